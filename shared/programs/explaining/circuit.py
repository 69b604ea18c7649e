"""A recorded program as a graph to lay out and draw: what its nodes are, what they say, and which edges there are.

A value is a node: an argument, a number, an operation, an output, a guard.  Equations that are folded are one box, with
what enters and leaves it; its weights are inside.  What a value is called, and what stands along its wire, is given.
This module knows nothing of derivatives, nor of where anything stands.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shared.core.visible import shortened
from shared.programs.equations import Equation, Guard
from shared.programs.explaining import labels
from shared.programs.explaining.graph import output_names
from shared.programs.explaining.layout import Edge
from shared.programs.explaining.svg import Shape
from shared.programs.gates import gate_of
from shared.programs.notation import literal_text
from shared.programs.program import Program
from shared.programs.text import right_side

#: How operators are drawn that have a sign of their own.
SIGNS = {"*": "×", "-": "−", "**": "^", "<=": "≤", ">=": "≥", "!=": "≠", "==": "="}
#: Longer names, and longer texts for a pointer, are cut in the middle.
_NAME, _TITLE = 30, 400


@dataclass(frozen=True)
class Box:
    """Equations that are drawn as one: what the box says, what they make, which leaves are inside, what others use.

    `group` is what a page opens when the box is chosen.
    """

    key: str
    lines: tuple[str, ...]
    results: frozenset[int]
    inside: frozenset[int]
    exit: int
    group: str = ""


@dataclass(frozen=True)
class Telling:
    """What stands along the wire of a value: above, below, and the width that has to be free for it."""

    above: str = ""
    below: str = ""
    room: float = 0.0


class Circuit:
    """The nodes and edges of a program, some of whose equations are folded into boxes.

    `name` says what a value is called, `told` what stands along its wire; `parameters` are the inputs that are
    differentiated by; with `habits` a pointer reads what an operation does backwards; `below` says what stands under
    the name of an operation.  The results are `shapes`, each after what it depends on, and `edges`.
    """

    def __init__(
        self,
        program: Program,
        boxes: Sequence[Box],
        parameters: Collection[int],
        name: Callable[[int], str],
        told: Callable[[int], Telling],
        frames: Mapping[int, str] | None = None,
        habits: bool = False,
        below: Callable[[Equation], str] = labels.keywords_text,
    ):
        self.program = program
        self.parameters = frozenset(parameters)
        self.name = name
        self.told = told
        #: the title of the frame that a value is drawn in
        self.frames = frames or {}
        self.habits = habits
        self.below = below
        self.box_of = {k: box for box in boxes for k in box.results}
        self.shapes: list[Shape] = []
        self.edges: list[Edge] = []
        self._needed = _needed(program)
        #: where the edges of a value start, and which edges to a box there are already
        self._start: dict[int, str] = {}
        self._entered: set[tuple[int, str]] = set()
        self._leaves(boxes)
        last = {self.box_of[e.result].key: e.result for e in program.equations if e.result in self.box_of}
        for position, step in enumerate(program.steps):
            if isinstance(step, Guard):
                self._guard(step, position)
            else:
                self._equation(step, position, last)
        for place, (k, path) in enumerate(zip(program.outputs, output_names(program), strict=True)):
            title = shortened(f"{path} = {self.name(k)}", _TITLE)
            key = f"out{place}"
            self._edge(k, key, f"c{len(program.steps)}_{place}", 0, 1)
            self.shapes.append(Shape(key, "output", (shortened(path, _NAME),), title=title, value=key))

    # --- nodes ---

    def _leaves(self, boxes: Sequence[Box]) -> None:
        """The arguments, and arrays from outside, but for those that are inside of a box and used nowhere else."""
        program = self.program
        used: dict[int, set[str]] = {k: {""} for k in program.outputs}
        for step in program.steps:
            box = None if step.result is None else self.box_of.get(step.result)
            for k in step.operands:
                used.setdefault(k, set()).add("" if box is None or k not in box.inside else box.key)
        for k in (*program.inputs, *program.captured):
            if "" in used.get(k, {""}):
                self._leaf(k, "parameter" if k in self.parameters else "data")

    def _leaf(self, k: int, kind: str) -> None:
        name = self.name(k)
        size = labels.shape_text(self.program.types[k])
        title = "array" if name.startswith("array<") else shortened(name, _NAME)
        self._add(f"v{k}", k, kind, (title, size) if size else (title,), f"{name}: {self.program.types[k]!r}")
        self._start[k] = f"v{k}"

    def _add(
        self, key: str, k: int, kind: str, lines: tuple[str, ...], title: str, group: str = "", circle: bool = False
    ) -> None:
        told, name = self.told(k), shortened(self.name(k), _NAME)
        self.shapes.append(
            Shape(
                key, kind, lines, told.above, told.below, shortened(title, _TITLE), str(k), group, name, told.room,
                circle, "" if group else self.frames.get(k, ""),
            )
        )  # fmt: skip

    def _equation(self, equation: Equation, position: int, last: dict[str, int]) -> None:
        k = equation.result
        box = self.box_of.get(k)
        skipped = labels.inline(self.program, equation)
        places = [place for place in range(len(equation.operands)) if place not in skipped]
        if box is not None:
            self._start[k] = box.key
            for place in places:
                operand = equation.operands[place]
                if operand in box.results or operand in box.inside or self._is_number(operand):
                    continue
                if (operand, box.key) not in self._entered:
                    self._entered.add((operand, box.key))
                    self._edge(operand, box.key, "", 0, 1)
            if last[box.key] == k:
                self._add(box.key, box.exit, "layer", box.lines, box.lines[0], box.group)
            return
        text = labels.operation_text(self.program, equation)
        text = SIGNS.get(text, text)
        keywords = self.below(equation)
        kind = "operation" if k in self._needed else "unused"
        circle = len(text) <= 2 and len(places) <= 2 and not keywords
        title = f"{self.name(k)} = {right_side(self.program, equation, self.name)}: {self.program.types[k]!r}"
        if self.habits and kind == "operation":
            gate = gate_of(equation.primitive)
            title = f"{shortened(title, _TITLE // 2)}. Backwards it {gate.verb}: {gate.backwards}"
        for number, place in enumerate(places):
            self._edge(equation.operands[place], f"v{k}", f"c{position}_{place}", number, len(places))
        self._add(f"v{k}", k, kind, (text, keywords) if keywords else (text,), title, circle=circle)
        self._start[k] = f"v{k}"

    def _guard(self, guard: Guard, position: int) -> None:
        k = guard.operands[0]
        if k in self.box_of:
            return
        shape = guard.expected.__class__ is tuple
        says = f"shape {guard.expected}" if shape else f"is {guard.expected}"
        key = f"g{position}"
        self._edge(k, key, f"c{position}_0", 0, 1)
        self.shapes.append(Shape(key, "guard", (says,), title=shortened(f"{self.name(k)} {says}", _TITLE), value=key))

    # --- edges ---

    def _is_number(self, k: int) -> bool:
        literal = self.program.literals.get(k)
        return k in self.program.literals and not (isinstance(literal, np.ndarray) and literal.size > 1)

    def _edge(self, k: int, end: str, constant: str, place: int, places: int) -> None:
        """An edge from value k; a number is drawn anew wherever it is used, under the name `constant`."""
        if self._is_number(k):
            text = literal_text(self.program.literals[k])
            text = text.replace("-", "−") if text[:1] == "-" else text
            shape = Shape(constant, "constant", (shortened(text, _NAME),), value=constant, name=shortened(text, _NAME))
            self.shapes.append(shape)
            start = constant
        else:
            if k not in self._start:
                # A literal array, or a weight that something else uses, too.
                self._leaf(k, "parameter" if k in self.parameters else "data")
            start = self._start[k]
        self.edges.append(Edge(start, end, place, places))


def _needed(program: Program) -> set[int]:
    """The values that an output or a guard needs."""
    needed = set(program.outputs)
    for step in reversed(program.steps):
        if isinstance(step, Guard) or step.result in needed:
            needed.update(step.operands)
    return needed


__all__ = ["SIGNS", "Box", "Circuit", "Telling"]
