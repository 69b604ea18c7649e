"""The picture of a drawn program as SVG, laid out here: what `Drawing.svg` is, whatever is installed.

What is drawn is decided by a `Graph`, which writes the same in Graphviz's language.  This module turns it into shapes,
with the signs of multiplication and minus that print has; where they stand is the business of
`shared.programs.explaining.layout`.
"""

from __future__ import annotations

from collections.abc import Callable

from shared.programs.explaining import labels
from shared.programs.explaining.circuit import SIGNS, Box, Circuit, Telling
from shared.programs.explaining.graph import Graph
from shared.programs.explaining.layers import Layer
from shared.programs.explaining.naming import Names
from shared.programs.explaining.svg import drawn

#: A box shows so many operations of a layer.
_ROWS = 8


def picture(graph: Graph) -> str:
    """The SVG of a graph, in bands of at most 860 pixels where it runs to the right.

    Cost: that of a layout, some tens of milliseconds for a hundred nodes.
    """
    names = Names(graph.program, graph.values or (), graph.groups)

    def called(k: int) -> str:
        return names.name(k) if k in names.textbook else graph.program.name_of(k)

    boxes = [_box(graph, place, group, called) for place, group in enumerate(graph.groups)] if graph.folded else []
    frames = {} if graph.folded else {k: graph.groups[place].title for k, place in graph.group_of.items()}
    program = graph.program

    def told(k: int) -> Telling:
        above, below = graph.told(k)
        return Telling(above.replace("-", "−"), below.replace("-", "−"))

    circuit = Circuit(program, boxes, graph.parameters, called, told, frames, habits=True, below=graph.below)
    kinds = {shape.kind for shape in circuit.shapes}
    label = f"The graph of {program.name}"
    down = not graph.across
    return drawn(circuit.shapes, circuit.edges, label, down=down, legend=_legend(graph, kinds) if graph.legend else ())


def _legend(graph: Graph, kinds: set[str]) -> list[tuple[str, str]]:
    order = ("parameter", "data", "constant", "operation", "unused", "guard", "output")
    found = [(kind, kind) for kind in order if kind in kinds]
    if graph.ordered:
        found.append(("small", "first operand above" if graph.across else "first operand left"))
    if graph.values is not None:
        found.append(("told above", "value"))
        if graph.adjoints:
            found.append(("told below", "adjoint"))
        if any(type_.shape for type_ in graph.program.types):
            found.append(("small", "‖·‖ norm of an array"))
    return found


def _box(graph: Graph, place: int, layer: Layer, called: Callable[[int], str]) -> Box:
    rows = [layer.title]
    program = graph.program
    varying = graph.varying(layer)
    for equation in layer.equations:
        if equation.result not in varying or labels.is_view(equation):
            continue
        row = _signed(labels.row_text(program, graph.made, equation, varying, called))
        for k in equation.operands:
            leaf = graph.leaf(k)
            if leaf in layer.inside and k not in varying:
                row += "  " + _weight(graph, leaf)
        rows.append(row)
    if len(rows) > _ROWS + 1:
        rows[_ROWS:] = [f"… {len(rows) - _ROWS} more"]
    if layer.guards:
        rows.append(f"{len(layer.guards)} guard{'s' * (len(layer.guards) > 1)}")
    return Box(f"layer{place + 1}", tuple(rows), layer.results, layer.inside, layer.exit, str(place))


def _weight(graph: Graph, leaf: int) -> str:
    """The shape of a weight, its norm and that of its adjoint."""
    parts = [labels.shape_text(graph.program.types[leaf])]
    if graph.values is not None:
        parts.append(labels.magnitude_text(graph.values[leaf], graph.digits))
        adjoint = labels.magnitude_text(graph.adjoints.get(leaf), graph.digits)
        parts += [f"adjoint {adjoint}"] if adjoint else []
    return "  ".join(part.replace("-", "−") for part in parts if part)


def _signed(text: str) -> str:
    """The row of a box with the sign of its operator, which stands first or last."""
    first, space, rest = text.partition(" ")
    if space and first in SIGNS:
        return f"{SIGNS[first]} {rest.replace('-', '−') if rest[:1] == '-' else rest}"
    rest, space, last = text.rpartition(" ")
    return f"{rest} {SIGNS[last]}" if space and last in SIGNS else SIGNS.get(text, text)


__all__ = ["picture"]
