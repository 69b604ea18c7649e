"""A laid-out graph as SVG: boxes with text that fits them, wires with what is told above and below, edges without gaps.

Every text is measured in the fonts that the picture names, and pinned to that width where another font takes their
place; every text goes through the one function that escapes for XML.  An element says by `data-v` what value it shows,
so that a page may light it up.  This module knows no program and no derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
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

#: How a picture by itself looks; a page has rules of its own for the same classes.
STYLE = (
    f"text{{font-family:{FONTS};font-size:{TEXT:g}px;fill:#222;white-space:pre}}"
    f".small{{font-size:{SMALL:g}px;fill:#555}}.told{{font-size:{TOLD:g}px}}.above{{fill:#00695c}}"
    f".below{{fill:#b34700;font-style:italic}}.edge,.wire{{fill:none;stroke:#555;stroke-width:1.2}}"
    ".box{fill:#fff;stroke:#333;stroke-width:1.1}.parameter .box{fill:#cfe4f5;stroke:#0072b2;stroke-width:1.6}"
    ".data .box{fill:#fbf0cf;stroke:#8a6d00}.constant .box{fill:none;stroke:none}.constant text{fill:#666}"
    ".unused .box{stroke:#666;stroke-dasharray:4 3}.unused text{fill:#666}"
    ".guard .box{fill:#f6e3ee;stroke:#8f3f6f;stroke-dasharray:4 3}.output .box{fill:#e4e4e4;stroke:#333}"
    ".layer .box{fill:#f5f5f5;stroke:#333}.connector .box{fill:#fff;stroke:#888;stroke-dasharray:2 2}"
    f".connector text{{font-size:{CONNECTOR:g}px;fill:#444}}"
)


@dataclass(frozen=True, slots=True)
class Shape:
    """A node as it is seen: lines of text, of which the first is large; what its wire tells; what a pointer reads.

    `value` is what `data-v` says, `group` what `data-g` says; `room` is the width of the longest text that the wire may
    have to tell later.  A round one is a circle; of the kind "partial" there is the wire alone.
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

    def node(self) -> Node:
        """The room that it takes."""
        if self.kind == "partial":
            return Node(self.key, 0.0, _ROOM, text_width(one_line(self.above), TOLD) + 10.0, self.name)
        height = _LINE + _SMALL_LINE * (len(self.lines) - 1) + _PADDING
        width = max(text_width(line, SMALL if place else TEXT) for place, line in enumerate(map(one_line, self.lines)))
        width += 4.0 if self.kind == "constant" else 2 * _PADDING
        if self.round:
            width = height = _ROUND
        told = max(self.room, *[text_width(one_line(text), TOLD) for text in (self.above, self.below)])
        tail = told + 10.0 if told else 0.0
        height = max(height, 2 * _ROOM if told else 0.0)
        return Node(self.key, max(width, 22.0), height, tail, self.name)


def drawn(
    shapes: Sequence[Shape], edges: Sequence[Edge], label: str, widest: float = 860.0, standalone: bool = True
) -> str:
    """The picture of a graph: an `svg` element, by itself with its style, or as a part of a page.

    `label` says to a screen reader what the picture shows.  Cost: that of the layout, some microseconds an element.

    >>> shapes = [Shape("x", "parameter", ("x",)), Shape("s", "operation", ("sin",), "0.84")]
    >>> text = drawn(shapes, [Edge("x", "s")], "sin(x)")
    >>> text.count("<path"), "0.84</text>" in text
    (3, True)
    """
    found = layout([shape.node() for shape in shapes], edges, widest)
    return written(found, {shape.key: shape for shape in shapes}, label, standalone)


def written(found: Layout, shapes: dict[str, Shape], label: str, standalone: bool = True) -> str:
    """The text of a picture whose parts have their places."""
    width, height = found.width + 2 * _MARGIN, found.height + 2 * _MARGIN
    size = f'width="{width:.0f}" height="{height:.0f}" viewBox="{-_MARGIN:g} {-_MARGIN:g} {width:.0f} {height:.0f}"'
    space = 'xmlns="http://www.w3.org/2000/svg" ' if standalone else ""
    parts = [f'<svg {space}{size} role="img" aria-label="{html_text(label)}">']
    if standalone:
        parts.append(f"<title>{html_text(label)}</title><style>{STYLE}</style>")
        parts.append(f'<rect x="{-_MARGIN:g}" y="{-_MARGIN:g}" width="100%" height="100%" fill="#fff"/>')
    for edge, points in found.edges:
        start = shapes[str(edge.start)]
        end = "" if edge.end is None else f' data-to="{html_text(shapes[str(edge.end)].value)}"'
        parts.append(f'<path class="edge" data-v="{html_text(start.value)}"{end} d="{_path(points)}"/>')
        if edge.end is not None and shapes[str(edge.end)].kind != "partial":
            parts.append(_arrow(*points[-1]))
            if not standalone and shapes[str(edge.start)].kind not in ("constant", "data"):
                parts.append(_arrow(*points[0], backwards=True))
    parts += [_written(placed, shapes[str(placed.node.key)]) for placed in found.nodes]
    return "\n".join([*parts, "</svg>"])


def _path(points: list[tuple[float, float]]) -> str:
    """Level between the points of a pair, and bent between pairs."""
    (x, y), *others = points
    text = f"M{x:.1f} {y:.1f}"
    for place, (x2, y2) in enumerate(others, 1):
        if place % 2:
            text += f"H{x2:.1f}" if x2 > x else ""
        elif abs(y2 - y) < 0.05:
            text += f"H{x2:.1f}"
        else:
            middle = (x + x2) / 2
            text += f"C{middle:.1f} {y:.1f} {middle:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
        x, y = x2, y2
    return text


def _arrow(x: float, y: float, backwards: bool = False) -> str:
    """The head of an arrow at the end of an edge; or at its beginning, for a page to show while a sweep goes back."""
    if backwards:
        return f'<path class="back" d="M{x:.1f} {y:.1f}l6 -3v6z"/>'
    return f'<path class="head" fill="#555" d="M{x:.1f} {y:.1f}l-6 -3v6z"/>'


def _written(placed: Placed, shape: Shape) -> str:
    node, x, y = placed.node, placed.x, placed.y
    middle = y + node.height / 2
    if placed.of is not None:
        body = _box(x, middle - 9.0, node.width, 18.0, 9.0)
        body += _text(node.name, x + node.width / 2, middle + 4.0, CONNECTOR)
        return f'<g class="node connector" data-v="{html_text(shape.value)}">{body}</g>'
    width = node.width
    height = _ROUND if shape.round else _LINE + _SMALL_LINE * (len(shape.lines) - 1) + _PADDING
    top = middle - height / 2
    if shape.kind == "partial":
        body = ""
    elif shape.kind == "guard":
        body = _guard(x, top, width, height)
    elif shape.round:
        body = f'<circle class="box" cx="{x + width / 2:.1f}" cy="{middle:.1f}" r="{_ROUND / 2:g}"/>'
    else:
        body = _box(x, top, width, height, 7.0 if shape.kind in ("parameter", "operation", "unused") else 1.0)
    if shape.kind == "output":
        body += _box(x + 3, top + 3, width - 6, height - 6, 1.0)
    baseline = top + _PADDING / 2 + 12.5 + (1.0 if shape.round else 0.0)
    for place, line in enumerate(shape.lines):
        size, style = (SMALL, ' class="small"') if place else (TEXT, "")
        body += _text(line, x + width / 2, baseline + _SMALL_LINE * place + 2.0 * bool(place), size, style)
    if node.tail:
        end = x + width + node.tail
        body += f'<path class="wire" d="M{x + width:.1f} {middle:.1f}H{end:.1f}"/>'
        centre = x + width + node.tail / 2
        body += _text(shape.above, centre, middle - 4.0, TOLD, ' class="told above"', empty=True)
        body += _text(shape.below, centre, middle + 12.0, TOLD, ' class="told below"', empty=True)
    title = f"<title>{html_text(shape.title)}</title>" if shape.title else ""
    group = f' data-g="{html_text(shape.group)}"' if shape.group else ""
    return f'<g class="node {shape.kind}" data-v="{html_text(shape.value)}"{group}>{title}{body}</g>'


def _box(x: float, y: float, width: float, height: float, radius: float) -> str:
    return f'<rect class="box" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}"/>'


def _guard(x: float, y: float, width: float, height: float) -> str:
    """A box with slanted sides: a question."""
    right, cut = x + width, 6.0
    return (
        f'<path class="box" d="M{x + cut:.1f} {y:.1f}H{right - cut:.1f}L{right:.1f} {y + height / 2:.1f}'
        f'L{right - cut:.1f} {y + height:.1f}H{x + cut:.1f}L{x:.1f} {y + height / 2:.1f}Z"/>'
    )


def _text(text: str, x: float, y: float, size: float, attributes: str = "", empty: bool = False) -> str:
    shown = one_line(text)
    if not shown and not empty:
        return ""
    width = text_width(shown, size)
    pinned = f' textLength="{width:.1f}" lengthAdjust="spacingAndGlyphs"' if width else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="middle"{attributes}{pinned}>{html_text(shown)}</text>'


__all__ = ["SMALL", "STYLE", "TEXT", "TOLD", "Shape", "drawn", "written"]
