"""The graph of a recorded program as text in Graphviz's language, DOT.

Nodes are what the program computes with, edges are its values.  A value that has something to say (a shape, a number,
an adjoint) passes through a node without a border, a piece of wire: what is above the wire is the value, what is below
the adjoint, and where several operations use the value the wire forks behind it.  The language is described in
Gansner, Koutsofios & North (2015), "Drawing graphs with dot".  This module knows nothing of derivatives: values and
adjoints are given to it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from shared.calling.tree import leaf_paths, unflatten
from shared.core.visible import shortened
from shared.programs.equations import Equation, Guard
from shared.programs.explaining import labels
from shared.programs.explaining.appearance import (
    ADJOINT,
    FONT,
    GREY,
    KINDS,
    NAME,
    ROUND,
    SAMPLES,
    VALUE,
    WIRE,
    cell,
    wire,
    with_entrances,
)
from shared.programs.explaining.layers import Layer
from shared.programs.explaining.remarks import remark
from shared.programs.gates import gate_of
from shared.programs.markup import dot_label, dot_string
from shared.programs.notation import literal_text
from shared.programs.program import Program
from shared.programs.text import right_side


class Graph:
    """The drawing of one program, written in one pass over its steps.

    `groups` are the layers to show, as boxes if `folded` and as frames otherwise; `values` and `adjoints` are None, or
    tables by number, in which None stands for what there is not; `parameters` are the inputs to differentiate by.
    """

    def __init__(
        self,
        program: Program,
        groups: Sequence[Layer],
        folded: bool,
        parameters: Collection[int],
        values: Sequence[Any] | None = None,
        adjoints: Mapping[int, Any] | None = None,
        direction: str = "right",
        digits: int = 3,
        legend: bool = True,
        gates: bool = False,
    ):
        self.program = program
        self.groups = groups
        self.folded = folded
        self.parameters = frozenset(parameters)
        self.values = values
        self.adjoints = adjoints or {}
        self.across = direction == "right"
        self.digits = digits
        self.legend = legend
        self.gates = gates
        self.made = {equation.result: equation for equation in program.equations}
        self.leaves = frozenset([*program.inputs, *program.captured])
        #: the place of the group that each value, and each leaf shown inside one, belongs to
        self.group_of = {k: place for place, group in enumerate(groups) for k in group.results}
        for place, group in enumerate(groups):
            for k in group.inside:
                self.group_of.setdefault(k, place)
        self.used = _used(program)
        self.kinds: dict[str, None] = {}
        self.nodes: dict[str, str] = {}
        #: the group whose frame a node stands in
        self.frame: dict[str, int] = {}
        self.edges: list[str] = []
        #: the values that have an edge to the box of a layer
        self.entered: set[tuple[int, str]] = set()
        self.ordered = False
        self._write()

    @property
    def size(self) -> int:
        """The number of nodes, without the pieces of wire."""
        return sum(not name.startswith("w") for name in self.nodes)

    # --- the pass over the program ---

    def _write(self) -> None:
        program = self.program
        inside = {k for group in self.groups for k in group.inside} if self.folded else set()
        for k in program.inputs:
            # A weight that something else uses, too, is drawn when that is met.
            if k not in inside:
                self._node(k)
        for position, step in enumerate(program.steps):
            if isinstance(step, Guard):
                self._guard(step, position)
            else:
                self._equation(step, position)
        paths = output_names(program)
        for place, (k, path) in enumerate(zip(program.outputs, paths, strict=True)):
            self._add(
                "output", f"out{place}", dot_label(shortened(path, labels.LONGEST)), f"{path} = {program.name_of(k)}"
            )
            self._edge(k, f"out{place}", f"c{len(program.steps)}_{place}")

    def _equation(self, equation: Equation, position: int) -> None:
        name = self._node(equation.result)
        group = self.group_of.get(equation.result)
        skipped = labels.inline(self.program, equation)
        marked = self._marked(equation, labels.drawn(self.program, equation))
        for place, k in enumerate(equation.operands):
            if place in skipped:
                continue
            if self.folded and group is not None:
                inner = self.group_of.get(k) == group if k in self.made else k in self.groups[group].inside
                if inner or self._is_number(k) or (k, name) in self.entered:
                    continue
                self.entered.add((k, name))
            if place in marked and name == f"v{equation.result}":
                self.ordered = True
                self._edge(k, name + marked[place][0], f"c{position}_{place}", group, marked[place][1])
            else:
                self._edge(k, name, f"c{position}_{place}", group)

    def _marked(self, equation: Equation, places: list[int]) -> dict[int, tuple[str, str]]:
        """Where edges enter, or the marks on them, if the order of operands matters: a layout does not always keep it.

        Up to three enter from the upper left to the lower left, or from left to right; more of them are numbered.
        """
        if not self._in_order(equation, places):
            return {}
        if len(places) > _ENTRANCES:
            mark = f'headlabel=<<font point-size="9" color="{GREY}">{{}}</font>>, labeldistance=1.2'
            return {place: ("", mark.format(number + 1)) for number, place in enumerate(places)}
        if self._is_round(equation):
            sides = ("nw", "sw") if self.across else ("nw", "ne")
            return {place: (f":{side}", "") for place, side in zip(places, sides, strict=True)}
        side = "w" if self.across else "n"
        return {place: (f":p{number}:{side}", "") for number, place in enumerate(places)}

    def _in_order(self, equation: Equation, places: list[int]) -> bool:
        """Whether the order of the operands in these places matters."""
        if labels.is_commutative(equation):
            return False
        return len({equation.operands[place] for place in places}) > 1

    def _is_round(self, equation: Equation) -> bool:
        """Whether an operation is drawn as a circle: an operator is."""
        text = labels.operation_text(self.program, equation)
        return len(text) <= 2 and len(labels.drawn(self.program, equation)) <= 2 and not self.below(equation)

    def below(self, equation: Equation) -> str:
        """What stands below the name of an operation: its keywords, and what it does with its adjoint."""
        told = [labels.keywords_text(equation)]
        has_adjoint = equation.result in self.adjoints if self.adjoints else not equation.primitive.constant
        if self.gates and has_adjoint:
            values = self.values
            verb = gate_of(equation.primitive).verb
            told.append(verb if values is None else remark(equation, [values[k] for k in equation.operands]))
        return "; ".join(filter(None, told))

    def _guard(self, guard: Guard, position: int) -> None:
        k = guard.operands[0]
        group = self.group_of.get(k)
        if self.folded and group is not None and guard in self.groups[group].guards:
            return
        shape = guard.expected.__class__ is tuple
        says = f"shape {guard.expected}" if shape else f"is {guard.expected}"
        self._add("guard", f"g{position}", dot_label(says), f"guard: {self.program.name_of(k)} {says}", group)
        self._edge(k, f"g{position}", f"c{position}_0", group, style="style=dashed")

    # --- nodes ---

    def _add(self, kind: str, name: str, label: str, tooltip: str, group: int | None = None, look: str = "") -> str:
        self.kinds[kind] = None
        self.nodes[name] = f"{name} [label=<{label}>, {look or KINDS[kind][0]}, tooltip={_tooltip(tooltip)}]"
        if group is not None and not self.folded:
            self.frame[name] = group
        return name

    def _node(self, k: int) -> str:
        """The node of a value: of the operation that makes it, of the layer it is in, or of a leaf."""
        group = self.group_of.get(k)
        if k in self.made and group is not None and self.folded:
            name = f"layer{group + 1}"
            if name not in self.nodes:
                self._layer(name, self.groups[group])
            return name
        name = f"v{k}"
        if name in self.nodes:
            return name
        type_ = self.program.types[k]
        tooltip = f"{self.program.name_of(k)}: {type_!r}"
        if k in self.made:
            return self._operation(name, self.made[k], group)
        kind = "parameter" if k in self.parameters else "data"
        title = shortened(self.program.name_of(k), labels.LONGEST)
        if title.startswith("array<"):
            title = "array"
        size = labels.shape_text(type_)
        label = dot_label(title) + (f'<br/><font point-size="10">{dot_label(size)}</font>' if size else "")
        return self._add(kind, name, label, tooltip, group)

    def _operation(self, name: str, equation: Equation, group: int | None) -> str:
        program = self.program
        below = self.below(equation)
        label = dot_label(labels.operation_text(program, equation))
        label += f'<br/><font point-size="10">{dot_label(below)}</font>' if below else ""
        kind = "operation" if equation.result in self.used else "unused"
        look = KINDS[kind][0]
        places = labels.drawn(program, equation)
        if self._is_round(equation):
            look = look.replace("shape=box", "shape=circle").replace("rounded,", "") + ROUND
        elif len(places) <= _ENTRANCES and self._in_order(equation, places):
            label = with_entrances(label, len(places), self.across)
            look += ', margin="0,0"'
        # Where there are frames, this would tear nodes out of theirs.
        look += ", ordering=in" * (len(places) > 1 and (self.folded or not self.groups))
        tooltip = f"v{equation.result} = {right_side(program, equation)}: {program.types[equation.result]!r}"
        return self._add(kind, name, label, tooltip, group, look)

    def _layer(self, name: str, layer: Layer) -> None:
        rows = self._rows(layer)
        columns = max(len(row) for row in rows)
        title = f'<tr><td colspan="{columns}" align="left"><b>{dot_label(layer.title)}</b></td></tr>'
        body = "".join(f"<tr>{''.join(row)}{'<td></td>' * (columns - len(row))}</tr>" for row in rows)
        table = f'<table border="0" cellborder="0" cellspacing="0" cellpadding="2">{title}<hr/>{body}</table>'
        tooltip = "; ".join(f"v{e.result} = {right_side(self.program, e)}" for e in layer.equations[:20])
        self._add("layer", name, table, tooltip)

    def _rows(self, layer: Layer) -> list[list[str]]:
        """The cells of the rows of a layer's box: an operation, and of its weight the shape, value and adjoint."""
        program = self.program
        varying = self.varying(layer)
        rows: list[list[str]] = []
        for equation in layer.equations:
            if equation.result not in varying or labels.is_view(equation):
                continue
            weight = any(self.leaf(k) in layer.inside and k not in varying for k in equation.operands)
            row = [cell(labels.row_text(program, self.made, equation, varying), f'color="{NAME}"' * weight)]
            for k in equation.operands:
                leaf = self.leaf(k)
                if leaf in layer.inside and k not in varying:
                    row.append(cell(labels.shape_text(program.types[leaf]), f'color="{GREY}" point-size="10"'))
                    row += self._magnitudes(leaf)
            rows.append(row)
        if len(rows) > _ROWS:
            rows[_ROWS - 1 :] = [[cell(f"… {len(rows) - _ROWS + 1} more")]]
        if layer.guards:
            rows.append([cell(f"{len(layer.guards)} guard{'s' * (len(layer.guards) > 1)}", f'color="{GREY}"')])
        return rows

    def _magnitudes(self, leaf: int) -> list[str]:
        if self.values is None:
            return []
        value = labels.magnitude_text(self.values[leaf], self.digits)
        adjoint = labels.magnitude_text(self.adjoints.get(leaf), self.digits)
        cells = [cell(value, f'color="{VALUE}"')]
        return [*cells, cell(adjoint, f'color="{ADJOINT}"', slanted=True)] if adjoint else cells

    def varying(self, layer: Layer) -> set[int]:
        """What a layer computes of the values that come into it: not what prepares its weights, or checks labels.

        A loss may also be computed of parameters directly, as a penalty is.
        """
        outside = {k for e in layer.equations for k in e.operands} - layer.results
        if layer.title == "loss":
            start = {k for k in outside if k in self.made} | (self.parameters & layer.inside)
        else:
            start = {k for k in outside if k not in layer.inside and not self._is_number(k)}
        for equation in layer.equations:
            if any(k in start for k in equation.operands):
                start.add(equation.result)
        return start

    def leaf(self, k: int) -> int:
        """The input or array from outside that a value is a view of; any other value itself."""
        while k in self.made and labels.is_view(self.made[k]):
            k = self.made[k].operands[0]
        return k

    def _is_number(self, k: int) -> bool:
        literal = self.program.literals.get(k)
        return k in self.program.literals and not (isinstance(literal, np.ndarray) and literal.size > 1)

    # --- edges ---

    def _edge(
        self,
        k: int,
        head: str,
        constant: str,
        group: int | None = None,
        style: str = "",
    ) -> None:
        """An edge from value k to a node; a number is drawn anew wherever it is used, under the name `constant`."""
        if self._is_number(k):
            text = shortened(literal_text(self.program.literals[k]), labels.LONGEST)
            tail = self._add("constant", constant, dot_label(text), text, group)
        else:
            tail = self._tail(k)
        self.edges.append(f"{tail} -> {head} [{style}]")

    def _tail(self, k: int) -> str:
        """Where the edges of a value start: its node, or the piece of wire behind it that tells about it."""
        name = self._node(k)
        above, below = self.told(k)
        if not above and not below:
            return name
        piece = f"w{k}"
        if piece not in self.nodes:
            colour = GREY if self.values is None else VALUE
            self.nodes[piece] = (
                f"{piece} [label=<{wire(above, below, colour, self.across)}>, shape=plain, tooltip={dot_string(name)}]"
            )
            group = self.group_of.get(k)
            if group is not None and not self.folded and k != self.groups[group].exit:
                self.frame[piece] = group
            start, end = ("e", "w") if self.across else ("s", "n")
            self.edges.append(f"{name}:{start} -> {piece}:{end} [arrowhead=none, weight=4]")
        return f"{piece}:{'e' if self.across else 's'}"

    def told(self, k: int) -> tuple[str, str]:
        """What is said of a value and of its adjoint."""
        size = "" if k in self.leaves or k in self.program.literals else labels.shape_text(self.program.types[k])
        if not self.program.types[k].shape:
            size = ""
        if self.values is None:
            return size, ""
        magnitude = labels.magnitude_text(self.values[k], self.digits)
        return f"{size} {magnitude}".strip(), labels.magnitude_text(self.adjoints.get(k), self.digits)

    # --- the text ---

    def dot(self) -> str:
        """The whole graph in DOT."""
        lines = [
            "digraph program {",
            f"  rankdir={'LR' if self.across else 'TB'}; nodesep=0.2; ranksep=0.25; labelloc=b; bgcolor=white;",
            f'  graph [fontname="{FONT}", fontsize=11, tooltip={_tooltip(self.program.name)}];',
            f'  node [fontname="{FONT}", fontsize=12, height=0.3, width=0.3, margin="0.08,0.04"];',
            f'  edge [fontname="{FONT}", color="{WIRE}", arrowsize=0.6];',
        ]
        lines += [f"  {text};" for name, text in self.nodes.items() if name not in self.frame]
        for place, group in enumerate(self.groups):
            inside = [name for name in self.nodes if self.frame.get(name) == place]
            if inside:
                lines.append(f"  subgraph cluster_{place + 1} {{")
                lines.append(f"    label={dot_string(group.title)}; labeljust=l; labelloc=t; style=rounded; margin=6;")
                lines.append(f'    color="#AAAAAA"; bgcolor="#F7F7F7"; fontcolor="{GREY}";')
                lines += [f"    {self.nodes[name]};" for name in inside]
                lines.append("  }")
        lines += [f"  {edge};".replace(" []", "") for edge in self.edges]
        if self.legend:
            lines.append(f"  label=<{self._legend()}>;")
        return "\n".join([*lines, "}", ""])

    def _legend(self) -> str:
        cells = [
            f'<td><table cellpadding="3" {KINDS[kind][1]}><tr><td>{SAMPLES.get(kind, kind)}</td></tr></table></td>'
            for kind in KINDS
            if kind in self.kinds and kind != "layer"
        ]
        if self.folded and any(group.inside for group in self.groups):
            cells.append(f'<td><font color="{NAME}">weight of a layer</font></td>')
        if self.ordered:
            cells.append(f'<td><font color="{GREY}">first operand {"above" if self.across else "left"}</font></td>')
        if self.values is not None:
            cells.append(f'<td><font color="{VALUE}">value</font></td>')
            if self.adjoints:
                cells.append(f'<td><font color="{ADJOINT}"><i>adjoint</i></font></td>')
            if any(type_.shape for type_ in self.program.types):
                cells.append(f'<td><font color="{GREY}">‖·‖ norm of an array</font></td>')
        return f'<table border="0" cellborder="0" cellspacing="6" cellpadding="0"><tr>{"".join(cells)}</tr></table>'


#: Up to so many operands are told apart by where their edges enter.
_ENTRANCES = 3
#: A box shows so many operations of a layer.
_ROWS = 8


#: Longer tooltips cover the picture that they tell about.
_TOOLTIP = 2000


def _tooltip(text: str) -> str:
    return dot_string(shortened(text, _TOOLTIP))


def _used(program: Program) -> set[int]:
    """The values that an output or a guard needs."""
    needed = set(program.outputs)
    for step in reversed(program.steps):
        if isinstance(step, Guard) or step.result in needed:
            needed.update(step.operands)
    return needed


def output_names(program: Program) -> list[str]:
    """What the outputs are called: "output", or where they are in the container that is returned."""
    root = program.name if program.name.isidentifier() and len(program.outputs) == 1 else "output"
    return list(leaf_paths(unflatten(program.out_structure, program.outputs), root))


__all__ = ["Graph", "output_names"]
