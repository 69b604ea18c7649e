"""Where the nodes of a graph stand and how its edges run: a layered layout, wrapped into bands of a given width.

The method is that of Sugiyama, Tagawa & Toda (1981): each node gets a rank, after all that it depends on; edges over
several ranks get a place in each; within the ranks the nodes are ordered by barycentres, so that few edges cross; then
each is moved as near to its neighbours as its own neighbours allow (least squares with an order, by pooling: Ayer et
al. 1955).  An edge runs level within a column, at a height that is its own, and bends in the gaps between columns,
where nothing else stands: so none goes through a node.  A graph that is wider than the limit is cut between ranks, and
goes on in a band below; a value that is used in another band leaves the first by a connector and enters the other by
one, as in the drawing of a circuit on several sheets.

This module knows no program: nodes are sizes, edges pairs of keys.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from shared.programs.explaining.metrics import text_width

#: Between columns: at least this, and more for every edge that bends there.
_GAP, _MORE, _MOST = 20.0, 2.5, 60.0
#: Between neighbours in a column, of which edges that pass need less; and between bands.
_APART, _PASSING, _BETWEEN = 10.0, 8.0, 26.0
#: How often the order and the heights are improved.
_SWEEPS = 12
#: The size of a connector's text, and what is around it.
CONNECTOR, _AROUND = 11.0, 14.0


@dataclass(frozen=True, slots=True)
class Node:
    """A box of some size; to the right of it a wire of the length `tail`; `name` is what a connector says.

    Edges enter along the middle `inlet` of its left side, along all of it if that is None.
    """

    key: Hashable
    width: float
    height: float
    tail: float = 0.0
    name: str = ""
    inlet: float | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """From the wire of one node to the left side of another, of which it takes `place` of `places`, from above."""

    start: Hashable
    end: Hashable
    place: int = 0
    places: int = 1


@dataclass(frozen=True, slots=True)
class Placed:
    """A node with its left upper corner, in a band.

    A connector has the value `of` a node, and leads `out` of its band, or in.
    """

    node: Node
    x: float
    y: float
    of: Hashable = None
    out: bool = False
    band: int = 0


@dataclass(slots=True)
class Layout:
    """Where everything is: the nodes, connectors among them, and of each edge the points between which it is drawn.

    The points of an edge come in pairs: level from the first to the second of a pair, and in a bend to the next pair.
    """

    width: float = 0.0
    height: float = 0.0
    nodes: list[Placed] = field(default_factory=list)
    edges: list[tuple[Edge, list[tuple[float, float]]]] = field(default_factory=list)


def layout(nodes: Sequence[Node], edges: Sequence[Edge], widest: float = 860.0) -> Layout:
    """The layout of an acyclic graph, in bands of at most a width, as far as its ranks allow.

    `nodes` are in an order in which each comes after what it depends on.  Cost: some microseconds times the number of
    edges times the number of ranks that an edge passes.

    >>> found = layout([Node(key, 20, 20) for key in "xy+"], [Edge("x", "+", 0, 2), Edge("y", "+", 1, 2)])
    >>> [(placed.node.key, placed.x, round(placed.y)) for placed in found.nodes]
    [('x', 0.0, 0), ('y', 0.0, 30), ('+', 45.0, 15)]
    """
    ranks = _ranks(nodes, edges)
    starts = _bands(nodes, edges, ranks, widest)
    found = Layout()
    band_of = {key: sum(rank >= start for start in starts) - 1 for key, rank in ranks.items()}
    inner = {edge.end for edge in edges}
    for edge in reversed(edges):
        # What depends on nothing stands in the band of its first use, if need be in a column before it.
        if edge.start not in inner and ranks[edge.start] == ranks[edge.end] - 1:
            band_of[edge.start] = band_of[edge.end]
    for band in range(len(starts)):
        part = _Band(band, nodes, edges, ranks, band_of)
        part.place()
        top = found.height + (_BETWEEN if band else 0.0)
        part.write(found, top)
    return found


def _ranks(nodes: Sequence[Node], edges: Sequence[Edge]) -> dict[Hashable, int]:
    """One more than the largest of what a node depends on; what depends on nothing stands just before its first use."""
    into: dict[Hashable, list[Hashable]] = {}
    for edge in edges:
        into.setdefault(edge.end, []).append(edge.start)
    ranks: dict[Hashable, int] = {}
    for node in nodes:
        ranks[node.key] = max((ranks[key] + 1 for key in into.get(node.key, ())), default=0)
    first: dict[Hashable, int] = {}
    for edge in edges:
        first[edge.start] = min(first.get(edge.start, ranks[edge.end]), ranks[edge.end])
    for node in nodes:
        if node.key not in into and node.key in first:
            ranks[node.key] = first[node.key] - 1
    return ranks


def _bands(nodes: Sequence[Node], edges: Sequence[Edge], ranks: dict[Hashable, int], widest: float) -> list[int]:
    """The ranks that a new band begins with."""
    count = max(ranks.values(), default=0) + 1
    widths = [0.0] * count
    for node in nodes:
        widths[ranks[node.key]] = max(widths[ranks[node.key]], node.width + node.tail)
    bends = [0] * (count + 1)
    for edge in edges:
        bends[ranks[edge.start]] += 1
    steps = [width + _gap(count) for width, count in zip(widths, bends, strict=False)]
    if sum(steps) <= widest + _GAP:
        return [0]
    # What a connector at either end of a band takes, where there are several.
    room = widest - 2 * (_connector_width("→ v100") + _GAP)
    starts = _cut(steps, room)
    # Bands of one width look better than a short one at the end: the narrowest that are as few.
    least, most = max(steps), room
    while most - least > 8:
        middle = (least + most) / 2
        if len(_cut(steps, middle)) > len(starts):
            least = middle
        else:
            most = middle
    return _cut(steps, most) if most > least else starts


def _cut(steps: Sequence[float], room: float) -> list[int]:
    """The ranks that bands begin with, each as long as there is room."""
    starts, used = [0], 0.0
    for rank, step in enumerate(steps):
        if used and used + step > room:
            starts.append(rank)
            used = 0.0
        used += step
    return starts


def _gap(bends: int) -> float:
    return min(_GAP + _MORE * bends, _MOST)


def _connector_width(text: str) -> float:
    return text_width(text, CONNECTOR) + _AROUND


class _Band:
    """One band: its nodes by columns, with connectors, and a place for every edge in the columns that it passes."""

    def __init__(
        self,
        band: int,
        nodes: Sequence[Node],
        edges: Sequence[Edge],
        ranks: dict[Hashable, int],
        band_of: dict[Hashable, int],
    ):
        self.band = band
        #: by vertex: its node, its column and what it is a connector of; passing edges have no node
        self.nodes: list[Node | None] = []
        self.column: list[int] = []
        self.of: list[tuple[Hashable, bool] | None] = []
        #: of each drawn edge, the vertices that it goes through
        self.paths: list[tuple[Edge, list[int]]] = []
        vertex: dict[Hashable, int] = {}
        known = {node.key: node for node in nodes}
        for node in nodes:
            if band_of[node.key] == band:
                vertex[node.key] = self._add(node, ranks[node.key])
        entry: dict[Hashable, int] = {}
        exits: dict[Hashable, int] = {}
        for edge in edges:
            first, last = band_of[edge.start] == band, band_of[edge.end] == band
            if first and not last:
                exits[edge.start] = ranks[edge.start] + 1
            elif last and not first:
                entry[edge.start] = min(entry.get(edge.start, ranks[edge.end]), ranks[edge.end])
        into = {
            key: self._add(_connector(known[key], out=False), rank - 1, (key, False)) for key, rank in entry.items()
        }
        for edge in edges:
            if band_of[edge.end] == band:
                start = vertex[edge.start] if edge.start in vertex else into[edge.start]
                self._connect(edge, start, vertex[edge.end])
        for key, rank in exits.items():
            out = self._add(_connector(known[key], out=True), rank, (key, True))
            self._connect(Edge(key, None), vertex[key], out)
        first_column = min(self.column, default=0)
        self.column = [column - first_column for column in self.column]
        self.columns: list[list[int]] = [[] for _ in range(max(self.column, default=0) + 1)]
        for v, column in enumerate(self.column):
            self.columns[column].append(v)
        self.before: list[list[tuple[int, float]]] = [[] for _ in self.nodes]
        self.after: list[list[tuple[int, float]]] = [[] for _ in self.nodes]
        for edge, path in self.paths:
            for tail, head in pairwise(path):
                shift = self._entrance(edge, head) if head == path[-1] else 0.0
                self.before[head].append((tail, shift))
                self.after[tail].append((head, shift))
        self.y = [0.0] * len(self.nodes)

    def _add(self, node: Node | None, rank: int, of: tuple[Hashable, bool] | None = None) -> int:
        self.nodes.append(node)
        self.column.append(rank)
        self.of.append(of)
        return len(self.nodes) - 1

    def _connect(self, edge: Edge, start: int, end: int) -> None:
        passing = [self._add(None, rank) for rank in range(self.column[start] + 1, self.column[end])]
        self.paths.append((edge, [start, *passing, end]))

    def _height(self, v: int) -> float:
        node = self.nodes[v]
        return 0.0 if node is None else node.height

    def _entrance(self, edge: Edge, head: int) -> float:
        """How far below the middle of a node an edge enters it."""
        node = self.nodes[head]
        side = 0.0 if node is None else node.height if node.inlet is None else node.inlet
        return side * ((edge.place + 1) / (edge.places + 1) - 0.5)

    # --- order ---

    def place(self) -> None:
        """Order every column, and give every vertex its height."""
        best, fewest = [list(column) for column in self.columns], self._crossings()
        for sweep in range(_SWEEPS):
            forwards = sweep % 2 == 0
            order = range(1, len(self.columns)) if forwards else range(len(self.columns) - 2, -1, -1)
            for column in order:
                self._sort(column, self.before if forwards else self.after)
            found = self._crossings()
            if found < fewest:
                best, fewest = [list(column) for column in self.columns], found
        self.columns = best
        self._heights()
        self._close_gaps()

    def _positions(self) -> list[float]:
        positions = [0.0] * len(self.nodes)
        for column in self.columns:
            for place, v in enumerate(column):
                positions[v] = place
        return positions

    def _sort(self, column: int, neighbours: list[list[tuple[int, float]]]) -> None:
        positions = self._positions()
        keys = {}
        for place, v in enumerate(self.columns[column]):
            around = neighbours[v]
            keys[v] = sum(positions[u] + 0.01 * shift for u, shift in around) / len(around) if around else place
        self.columns[column].sort(key=keys.__getitem__)

    def _crossings(self) -> int:
        positions = self._positions()
        count = 0
        for column in self.columns:
            pairs = sorted(
                (positions[v], positions[head] + 0.01 * shift) for v in column for head, shift in self.after[v]
            )
            ends: list[float] = []
            for _, end in pairs:
                place = bisect_right(ends, end)
                count += len(ends) - place
                ends.insert(place, end)
        return count

    # --- heights ---

    def _apart(self, upper: int, lower: int) -> float:
        """The least distance between the middles of two neighbours in a column."""
        passing = self.nodes[upper] is None, self.nodes[lower] is None
        between = _PASSING if all(passing) else _APART
        return (self._height(upper) + self._height(lower)) / 2 + between

    def _heights(self) -> None:
        for column in self.columns:
            self._fit(column, [0.0] * len(column))
        for sweep in range(_SWEEPS):
            forwards = sweep % 2 == 0
            for column in self.columns if forwards else self.columns[::-1]:
                wanted = []
                for v in column:
                    around = [self.y[u] - shift for u, shift in self.before[v]] if forwards or not self.after[v] else []
                    if not forwards or not around:
                        around = [self.y[u] + shift for u, shift in self.after[v]] or around
                    wanted.append(sum(around) / len(around) if around else self.y[v])
                self._fit(column, wanted)

    def _fit(self, column: list[int], wanted: list[float]) -> None:
        """The heights nearest to those wanted, in order and far enough apart: neighbours that collide are pooled."""
        offset, blocks = 0.0, []
        offsets = []
        for place, v in enumerate(column):
            if place:
                offset += self._apart(column[place - 1], v)
            offsets.append(offset)
            blocks.append([wanted[place] - offset, 1])
            while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
                last, count = blocks.pop()
                mean, others = blocks[-1]
                blocks[-1] = [(mean * others + last * count) / (others + count), others + count]
        levels = [mean for mean, count in blocks for _ in range(int(count))]
        for v, level, offset in zip(column, levels, offsets, strict=True):
            self.y[v] = level + offset

    def _close_gaps(self) -> None:
        """Move parts that nothing connects together, as near as neighbours in a column are."""
        spans = [(self.y[v] - self._height(v) / 2, self.y[v] + self._height(v) / 2) for v in range(len(self.nodes))]
        for v, heads in enumerate(self.after):
            for head, shift in heads:
                ends = sorted((self.y[v], self.y[head] + shift))
                spans[v] = (min(spans[v][0], ends[0]), max(spans[v][1], ends[1]))
        saved, reached = 0.0, None
        for v in sorted(range(len(spans)), key=spans.__getitem__):
            upper, lower = spans[v]
            if reached is not None and upper - reached > _APART:
                saved += upper - reached - _APART
            reached = lower if reached is None else max(reached, lower)
            self.y[v] -= saved

    # --- writing ---

    def write(self, found: Layout, top: float) -> None:
        """Add the nodes and edges to a layout, from the height `top` on."""
        if not self.nodes:
            return
        widths = [max((self._width(v) for v in column), default=0.0) for column in self.columns]
        bends = [sum(len(self.after[v]) for v in column) for column in self.columns]
        left = [0.0]
        for width, count in zip(widths, bends, strict=True):
            left.append(left[-1] + width + _gap(count))
        upper = min(self.y[v] - self._height(v) / 2 for v in range(len(self.nodes)))
        shift = top - upper
        for v, node in enumerate(self.nodes):
            y = self.y[v] + shift
            if node is not None:
                of, out = self.of[v] or (None, False)
                found.nodes.append(Placed(node, left[self.column[v]], y - node.height / 2, of, out, self.band))
            found.height = max(found.height, y + self._height(v) / 2)
        found.width = max(found.width, left[-2] + widths[-1])
        for edge, path in self.paths:
            points = []
            for v in path[:-1]:
                node, y = self.nodes[v], self.y[v] + shift
                x = left[self.column[v]]
                points += [(x + (node.width + node.tail if node else 0.0), y), (x + widths[self.column[v]], y)]
            end = path[-1]
            y = self.y[end] + shift + self._entrance(edge, end)
            points += [(left[self.column[end]], y), (left[self.column[end]], y)]
            found.edges.append((edge, points))

    def _width(self, v: int) -> float:
        node = self.nodes[v]
        return 0.0 if node is None else node.width + node.tail


def _connector(node: Node, out: bool) -> Node:
    text = f"{node.name} →" if out else f"→ {node.name}"
    return Node(node.key, _connector_width(text), 18.0, 0.0, text)


__all__ = ["CONNECTOR", "Edge", "Layout", "Node", "Placed", "layout"]
