"""What every step costs, so that counters can run with it: operations of either mode, and bytes alive.

Operations are counted on the measure, one equation at a time: those of its value, of its tangent, and of what it adds
to adjoints, each computed with counted values.  So they are those of an engine that does nothing twice (the tests hold
the sums to what the engines are counted to do).  Bytes: forwards a value and its tangent are freed after their last
use; in reverse all values are kept until the sweep has passed what made them.  This module knows no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.counting.counter import count_operations
from shared.programs.equations import Equation, Write
from shared.programs.explaining.evaluation import Evaluated, active_positions
from shared.programs.measuring.cost import alive_after
from shared.programs.program import Program


@dataclass(frozen=True)
class StepCosts:
    """Of every equation, in their order: operations of the value, the tangent and the adjoints; and bytes alive.

    `forward_bytes` and `up_bytes` are after the step of the dual sweep and of the recording one; `down_bytes[k]` after
    the sweep back has passed equation k.
    """

    value: list[int]
    tangent: list[int]
    adjoint: list[int]
    forward_bytes: list[int]
    up_bytes: list[int]
    down_bytes: list[int]

    @property
    def evaluation(self) -> int:
        """One evaluation of the function."""
        return sum(self.value)

    @property
    def forward(self) -> int:
        """One pass forwards: the value and its derivative in one direction."""
        return sum(self.value) + sum(self.tangent)

    @property
    def reverse(self) -> int:
        """The values, and the sweep back over them."""
        return sum(self.value) + sum(self.adjoint)


def step_costs(evaluation: Evaluated, added: dict[int, list[int]]) -> StepCosts:
    """The costs of a program at its point; `added[k]` are the operands that equation k adds to, in a reverse sweep.

    Cost: some twenty microseconds an equation and operand, and the program's own operations a few times over.
    """
    program = evaluation.program
    equations = program.equations
    types, literals = program.types, program.literals
    values = [
        e.primitive.count(types[e.result], [literals[k] if k in literals else types[k] for k in e.operands], e.static)
        .operations
        for e in equations
    ]  # fmt: skip
    tangents = [_pushed(evaluation, e) for e in equations]
    seen: set[int] = set(program.outputs)
    adjoints = [0] * len(equations)
    for place in reversed(range(len(equations))):
        equation = equations[place]
        adjoints[place] = _pulled(evaluation, equation) if equation.result in added else 0
        for k in added.get(equation.result, ()):
            if _goes_to_elements(equation):
                adjoints[place] += 3 * types[equation.result].size
            elif k in seen:
                # What is there already is added to.
                adjoints[place] += types[k].size
            seen.add(k)
    alive = alive_after(program)
    forward = [2 * n for n in alive]
    up = _kept(program)
    return StepCosts(values, tangents, adjoints, forward, up, _falling(evaluation, up, added))


def _pushed(evaluation: Evaluated, equation: Equation) -> int:
    positions = active_positions(equation, evaluation.varies)
    if not positions or not evaluation.varies[equation.result]:
        return 0
    out, given = evaluation.values[equation.result], evaluation.given(equation)
    primitive = equation.primitive
    if isinstance(primitive, Write):
        return int(np.size(given[1]))

    def push(out: Any, given: Sequence[Any], seeds: Sequence[Any]) -> Any:
        tangents: list[Any] = [None] * len(given)
        for place, seed in zip(positions, seeds, strict=True):
            tangents[place] = seed
        return primitive.push(out, given, tangents, equation.static)

    seeds = [_ones(given[place]) for place in positions]
    return count_operations(push, out, given, seeds)


def _pulled(evaluation: Evaluated, equation: Equation) -> int:
    positions = active_positions(equation, evaluation.varies)
    out, given = evaluation.values[equation.result], evaluation.given(equation)
    primitive = equation.primitive
    if isinstance(primitive, Write):
        # The place is read for the value assigned, and cleared for what was there.
        return 2 * int(np.size(given[1]))

    def pull(adjoint: Any, out: Any, given: Sequence[Any]) -> Any:
        maps, common = primitive.linear_maps(out, given, positions, equation.static)
        if common is not None:
            edge, kept = common
            adjoint = edge.pull(adjoint, kept)
        return [edge.pull(adjoint, kept) for _, edge, kept in maps if edge.pull is not None]

    return count_operations(pull, _ones(out), out, given)


def _goes_to_elements(equation: Equation) -> bool:
    """Whether an adjoint is added in the place of some elements: each is read, added to and written."""
    primitive = equation.primitive
    if isinstance(primitive, Write) or primitive.residuals is not None:
        return False
    edge = primitive.edges[0]
    return edge is not None and edge.pull is None


def _ones(value: Any) -> Any:
    return np.ones_like(value) if isinstance(value, np.ndarray) else type(value)(1)


# --- bytes ------------------------------------------------------------------------------------------------------------


def _kept(program: Program) -> list[int]:
    """The bytes of all values up to each equation, views counting nothing."""
    found, total = [], 0
    for equation in program.equations:
        total += 0 if equation.primitive.memory == "view" else program.types[equation.result].nbytes
        found.append(total)
    return found


def _falling(evaluation: Evaluated, up: list[int], added: dict[int, list[int]]) -> list[int]:
    """The bytes after the sweep back has passed each equation: the values before it, and the adjoints that wait."""
    program = evaluation.program
    equations = program.equations
    waiting = {k: program.types[k].nbytes for k in program.outputs}
    found = [0] * len(equations)
    for place in reversed(range(len(equations))):
        waiting.pop(equations[place].result, None)
        for k in added.get(equations[place].result, ()):
            waiting[k] = program.types[k].nbytes
        found[place] = (up[place - 1] if place else 0) + sum(waiting.values())
    return found


__all__ = ["StepCosts", "step_costs"]
