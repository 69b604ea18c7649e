"""A laid-out graph as SVG: boxes with text that fits them, wires with what is told above and below, edges without gaps.

Every text is measured in the fonts that the picture names, and pinned to that width where another font takes their
place; every text goes through the one function that escapes for XML.  An element says by `data-v` what value it shows,
so that a page may light it up.  This module knows no program and no derivative.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.core.visible import one_line
from shared.programs.explaining.layout import CONNECTOR, Edge, Layout, Node, Placed, layout
from shared.programs.explaining.metrics import FONTS, text_width
from shared.programs.markup import html_text

#: The sizes of text: in a box, in further lines of one, and along a wire.
TEXT, SMALL, TOLD = 13.0, 10.5, 11.5
#: A line of text in a box; what is around it; the room above or below a wire; a circle.
_LINE, _SMALL_LINE, _PADDING, _ROOM, _ROUND = 17.0, 13.0, 9.0, 15.0, 28.0
_MARGIN = 8.0
#: What a frame has above its nodes, for its title.
_FRAME = 18.0

#: How a picture by itself looks; a page has rules of its own for the same classes.
_RULES = {
    "text": f"font-family:{FONTS};font-size:{TEXT:g}px;fill:#222;white-space:pre",
    ".small": f"font-size:{SMALL:g}px;fill:#555",
    ".told": f"font-size:{TOLD:g}px",
    ".above": "fill:#00695c",
    ".below": "fill:#b34700;font-style:italic",
    ".edge": "fill:none;stroke:#555;stroke-width:1.2",
    ".wire": "fill:none;stroke:#555;stroke-width:1.2",
    ".box": "fill:#fff;stroke:#333;stroke-width:1.1",
    ".parameter .box": "fill:#cfe4f5;stroke:#0072b2;stroke-width:1.6",
    ".data .box": "fill:#fbf0cf;stroke:#8a6d00",
    ".constant .box": "fill:none;stroke:none",
    ".constant text": "fill:#666",
    ".unused .box": "stroke:#666;stroke-dasharray:4 3",
    ".unused text": "fill:#666",
    ".guard .box": "fill:#f6e3ee;stroke:#8f3f6f;stroke-dasharray:4 3",
    ".output .box": "fill:#e4e4e4;stroke:#333",
    ".layer .box": "fill:#f5f5f5;stroke:#333",
    ".connector .box": "fill:#fff;stroke:#888;stroke-dasharray:2 2",
    ".connector text": f"font-size:{CONNECTOR:g}px;fill:#444",
    ".frame": "fill:#f7f7f7;stroke:#aaa",
}
#: A notebook puts the picture into its own page, which these rules must not reach.
STYLE = "".join(f".program-drawing {selector}{{{rule}}}" for selector, rule in _RULES.items())


@dataclass(frozen=True, slots=True)
class Shape:
    """A node as it is seen: lines of text, of which the first is large; what its wire tells; what a pointer reads.

    `value` is what `data-v` says, `group` what `data-g` says, `frame` the title of the frame that it stands in; `room`
    is the width of the longest text that the wire may have to tell later.  A round one is a circle; of the kind
    "partial" there is the wire alone.
    """

    key: str
    kind: str
    lines: tuple[str, ...]
    above: str = ""
    below: str = ""
    title: str = ""
    value: str = ""
    group: str = ""
    name: str = ""
    room: float = 0.0
    round: bool = False
    frame: str = ""

    def size(self) -> tuple[float, float]:
        """The width and height of its box."""
        if self.kind == "partial":
            return 0.0, 0.0
        if self.round:
            return _ROUND, _ROUND
        width = max(text_width(line, SMALL if place else TEXT) for place, line in enumerate(map(one_line, self.lines)))
        width += 4.0 if self.kind == "constant" else 2 * _PADDING
        return max(width, 22.0), _LINE + _SMALL_LINE * (len(self.lines) - 1) + _PADDING

    def node(self, down: bool = False) -> Node:
        """The room that it takes, with its wire to the right; or, turned, below it."""
        width, height = self.size()
        told = max(self.room, *[text_width(one_line(text), TOLD) for text in (self.above, self.below)])
        inlet = 1.2 * _ROUND if self.round else width if down else height
        if down:
            room = max(width, 2 * told + 12.0 if told else 0.0)
            return Node(self.key, height, room, 26.0 * bool(told), self.name, inlet)
        room = max(height, 2 * _ROOM if told else 0.0)
        return Node(self.key, width, room, told + 10.0 if told else 0.0, self.name, inlet)


def drawn(
    shapes: Sequence[Shape],
    edges: Sequence[Edge],
    label: str,
    widest: float = 860.0,
    standalone: bool = True,
    down: bool = False,
    legend: Sequence[tuple[str, str]] = (),
) -> str:
    """The picture of a graph: an `svg` element, by itself with its style, or as a part of a page.

    `label` says to a screen reader what the picture shows; `legend` are kinds, or classes of text, and what they are
    called.  It runs to the right, in bands of the width `widest`; or `down`, in one.  Cost: that of the layout, some
    microseconds an element.

    >>> shapes = [Shape("x", "parameter", ("x",)), Shape("s", "operation", ("sin",), "0.84")]
    >>> text = drawn(shapes, [Edge("x", "s")], "sin(x)")
    >>> text.count("<path"), "0.84</text>" in text
    (3, True)
    """
    found = layout([shape.node(down) for shape in shapes], edges, math.inf if down else widest)
    return _Picture(found, {shape.key: shape for shape in shapes}, standalone, down).text(label, legend)


class _Picture:
    """One picture while it is written; `down` turns what is laid out to the right."""

    def __init__(self, found: Layout, shapes: dict[str, Shape], standalone: bool, down: bool):
        self.found = found
        self.shapes = shapes
        self.middles = {str(p.node.key): p.y + p.node.height / 2 for p in found.nodes if p.of is None}
        self.standalone = standalone
        self.down = down

    def text(self, label: str, legend: Sequence[tuple[str, str]]) -> str:
        found = self.found
        width, height = (found.height, found.width) if self.down else (found.width, found.height)
        frames = self._frames() if self.standalone else []
        below, legend_width, legend_height = _legend(legend, height + 14.0, max(width, 420.0))
        width, height = max(width, legend_width), height + legend_height
        left = upper = -_MARGIN - (_FRAME if frames else 0.0)
        width, height = width - 2 * left, height - 2 * upper
        size = f'width="{width:.0f}" height="{height:.0f}" viewBox="{left:g} {upper:g} {width:.0f} {height:.0f}"'
        space = 'xmlns="http://www.w3.org/2000/svg" class="program-drawing" ' if self.standalone else ""
        parts = [f'<svg {space}{size} role="{"img" if self.standalone else "group"}" aria-label="{html_text(label)}">']
        if self.standalone:
            parts.append(f"<title>{html_text(label)}</title><style>{STYLE}</style>")
            parts.append(f'<rect x="{left:g}" y="{upper:g}" width="100%" height="100%" fill="#fff"/>')
        parts += frames
        for edge, points in found.edges:
            parts += self._edge(edge, points)
        parts += [self._node(placed, self.shapes[str(placed.node.key)]) for placed in found.nodes]
        return "\n".join([*parts, *below, "</svg>"])

    # --- edges ---

    def _edge(self, edge: Edge, points: list[tuple[float, float]]) -> Iterator[str]:
        start = self.shapes[str(edge.start)]
        end = None if edge.end is None else self.shapes[str(edge.end)]
        if end is not None and end.round:
            # Beside its middle a circle begins further on.
            middle = self.middles[str(edge.end)]
            (x, y), radius = points[-1], _ROUND / 2
            inside = x + radius - math.sqrt(radius**2 - (y - middle) ** 2)
            points = [*points[:-1], (inside, y)]
        to = "" if end is None else f' data-to="{html_text(end.value)}"'
        yield f'<path class="edge" data-v="{html_text(start.value)}"{to} d="{self._path(points)}"/>'
        if end is not None and end.kind != "partial":
            yield self._arrow(points[-1], "head")
            if not self.standalone and start.kind not in ("constant", "data"):
                # For a page to show while a sweep goes back.
                yield self._arrow(points[0], "back")

    def _point(self, x: float, y: float) -> str:
        return f"{y:.1f} {x:.1f}" if self.down else f"{x:.1f} {y:.1f}"

    def _path(self, points: list[tuple[float, float]]) -> str:
        """Level between the points of a pair, and bent between pairs."""
        (x, y), *others = points
        text = f"M{self._point(x, y)}"
        for place, (x2, y2) in enumerate(others, 1):
            if place % 2 or abs(y2 - y) < 0.05:
                text += f"L{self._point(x2, y2)}" if x2 > x else ""
            else:
                middle = (x + x2) / 2
                text += f"C{self._point(middle, y)} {self._point(middle, y2)} {self._point(x2, y2)}"
            x, y = x2, y2
        return text

    def _arrow(self, point: tuple[float, float], kind: str) -> str:
        length = 6 if kind == "back" else -6
        sides = f"l-3 {length}h6z" if self.down else f"l{length} -3v6z"
        fill = ' fill="#555"' if kind == "head" else ""
        return f'<path class="{kind}"{fill} d="M{self._point(*point)}{sides}"/>'

    # --- nodes ---

    def _node(self, placed: Placed, shape: Shape) -> str:
        node = placed.node
        flow, across = placed.x, placed.y + node.height / 2
        if placed.of is not None:
            body = _box(flow, across - 9.0, node.width, 18.0, 9.0)
            body += _text(node.name, flow + node.width / 2, across + 4.0, CONNECTOR)
            return f'<g class="node connector" data-v="{html_text(shape.value)}">{body}</g>'
        width, height = shape.size()
        left, top = (across - width / 2, flow) if self.down else (flow, across - height / 2)
        body = _outline(shape, left, top, width, height)
        baseline = top + _PADDING / 2 + 12.5 + (1.0 if shape.round else 0.0)
        for place, line in enumerate(shape.lines):
            size, style = (SMALL, ' class="small"') if place else (TEXT, "")
            y = baseline + _SMALL_LINE * place + 2.0 * bool(place)
            body += _text(line, left + width / 2, y, size, style)
        if node.tail:
            body += self._wire(shape, flow + node.width, across, node.tail)
        title = f"<title>{html_text(shape.title)}</title>" if shape.title else ""
        group = f' data-g="{html_text(shape.group)}"' if shape.group else ""
        return f'<g class="node {shape.kind}" data-v="{html_text(shape.value)}"{group}>{title}{body}</g>'

    def _wire(self, shape: Shape, flow: float, across: float, length: float) -> str:
        """The wire behind a box, with what is told on either side of it."""
        wire = f'<path class="wire" d="M{self._point(flow, across)}L{self._point(flow + length, across)}"/>'
        above, below = ' class="told above"', ' class="told below"'
        if self.down:
            y = flow + length / 2 + 4.0
            wire += _text(shape.above, across - 5.0, y, TOLD, above, empty=True, anchor="end")
            return wire + _text(shape.below, across + 5.0, y, TOLD, below, empty=True, anchor="start")
        x = flow + length / 2
        wire += _text(shape.above, x, across - 4.0, TOLD, above, empty=True)
        return wire + _text(shape.below, x, across + 12.0, TOLD, below, empty=True)

    def _frames(self) -> list[str]:
        """Frames around the nodes of each layer, one a band, unless another node would stand in one."""
        around: dict[tuple[str, int], list[float]] = {}
        places = []
        for placed in self.found.nodes:
            node = placed.node
            x, y, width, height = placed.x, placed.y, node.width + node.tail, node.height
            if self.down:
                x, y, width, height = y, x, height, width
            frame = "" if placed.of is not None else self.shapes[str(node.key)].frame
            places.append((frame, placed.band, (x, y, x + width, y + height)))
            if frame:
                box = around.setdefault((frame, placed.band), [x, y, x + width, y + height])
                box[:] = [min(box[0], x), min(box[1], y), max(box[2], x + width), max(box[3], y + height)]
        found = []
        crowded = set()
        for (frame, band), (x, y, x2, y2) in around.items():
            left, upper, right, lower = x - 6.0, y - _FRAME, x2 + 2.0, y2 + 6.0
            alone = all(
                (other == frame and in_band == band)
                or right <= box[0] or box[2] <= left or lower <= box[1] or box[3] <= upper
                for other, in_band, box in places
            )  # fmt: skip
            crowded |= set() if alone else {frame}
            rectangle = (
                f'<rect class="frame" x="{left:.1f}" y="{upper:.1f}" width="{right - left:.1f}" '
                f'height="{lower - upper:.1f}" rx="5"/>'
            )
            title = _text(frame, left + 6.0, upper + 11.0, SMALL, ' class="small"', anchor="start")
            found.append((frame, rectangle + title))
        return [text for frame, text in found if frame not in crowded]


# --- parts ------------------------------------------------------------------------------------------------------------


def _outline(shape: Shape, x: float, y: float, width: float, height: float) -> str:
    if shape.kind == "partial":
        return ""
    if shape.kind == "guard":
        # A box with slanted sides: a question.
        right, cut = x + width, 6.0
        return (
            f'<path class="box" d="M{x + cut:.1f} {y:.1f}H{right - cut:.1f}L{right:.1f} {y + height / 2:.1f}'
            f'L{right - cut:.1f} {y + height:.1f}H{x + cut:.1f}L{x:.1f} {y + height / 2:.1f}Z"/>'
        )
    if shape.round:
        return f'<circle class="box" cx="{x + width / 2:.1f}" cy="{y + height / 2:.1f}" r="{_ROUND / 2:g}"/>'
    body = _box(x, y, width, height, 7.0 if shape.kind in ("parameter", "operation", "unused") else 1.0)
    inset = 3.0 if height > 20.0 else 2.0
    inner = _box(x + inset, y + inset, width - 2 * inset, height - 2 * inset, 1.0)
    return body + (inner if shape.kind == "output" else "")


def _box(x: float, y: float, width: float, height: float, radius: float) -> str:
    return f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}"/>'


def _text(
    text: str,
    x: float,
    y: float,
    size: float,
    attributes: str = "",
    empty: bool = False,
    anchor: str = "middle",
) -> str:
    shown = one_line(text)
    if not shown and not empty:
        return ""
    width = text_width(shown, size)
    pinned = f' textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs"' if width else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{attributes}{pinned}>{html_text(shown)}</text>'


def _legend(entries: Sequence[tuple[str, str]], top: float, widest: float) -> tuple[list[str], float, float]:
    """Samples of kinds, and words in the style of what they explain, in lines below; their width and height."""
    if not entries:
        return [], 0.0, 0.0
    parts = []
    x, y, reached = 0.0, top, 0.0
    for kind, words in entries:
        boxed = not kind.startswith("told") and kind not in ("small", "constant")
        width = text_width(words, SMALL) + (14.0 if boxed else 2.0)
        if x and x + width > widest:
            x, y = 0.0, y + 24.0
        style = f' class="{kind}"' if kind.startswith("told") else ' class="small"'
        text = _text(words, x + width / 2, y + 13.0, SMALL, f'{style} style="font-size:{SMALL:g}px"')
        shape = Shape("", kind, (words,))
        body = (_outline(shape, x, y, width, 18.0) if boxed else "") + text
        parts.append(f'<g class="legend {kind}">{body}</g>' if boxed or kind == "constant" else body)
        x += width + 12.0
        reached = max(reached, x - 12.0)
    return parts, reached, y + 20.0 - top + 14.0


__all__ = ["SMALL", "STYLE", "TEXT", "TOLD", "Shape", "drawn"]
