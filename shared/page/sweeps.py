"""Both modes over one program, step by step, as data: passes forwards with their tangents, and the sweep back.

Values, tangents and adjoints are those of `shared.programs.explaining`, whose sweeps go one equation at a time.  What a
step says is put together from its formula, its numbers and the habit of its gate.  This module knows no engine, and
nothing of how a page looks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from shared.core.visible import shortened
from shared.page.counting import StepCosts, step_costs
from shared.page.telling import datum
from shared.programs.equations import Equation
from shared.programs.explaining.adjoints import ReverseStep, ReverseSweep
from shared.programs.explaining.evaluation import active_positions, has_derivative
from shared.programs.explaining.expressions import joined, typeset
from shared.programs.explaining.forward import pushed_from
from shared.programs.explaining.naming import Names
from shared.programs.gates import gate_of

#: At most so many passes forwards are on a page, and so many lines of them all together.
MOST_PASSES, MOST_LINES = 12, 2400
_FORMULA = 110


class Sweeps:
    """A program at a point, gone over in both modes with respect to some of its inputs, the `parameters`.

    `inputs` is the number of their elements, which is how many passes forward mode takes; `passes` are the first of
    them; `back` are the steps of the reverse sweep; `gradient` is what they come to, by input.
    """

    def __init__(self, sweep: ReverseSweep, parameters: Collection[int], names: Names):
        self.program = sweep.program
        self.names = names
        self.parameters = [k for k in self.program.inputs if k in parameters]
        self.values = sweep.values
        sweep.varies = self.varies = _varying(sweep, self.parameters)
        self.evaluation = sweep
        self.inputs = sum(int(np.size(self.values[k])) for k in self.parameters)
        self.seeds = {
            k: datum(sweep.found[k]) for k in self.program.outputs if self.varies[k] and sweep.found[k] is not None
        }
        #: of each equation, the operands to whose adjoints it adds
        self._added: dict[int, list[int]] = {}
        self._place = {equation.result: number for number, equation in enumerate(self.program.equations)}
        self.back = [self._step_back(step) for step in sweep]
        self.gradient = {k: sweep.found[k] for k in self.parameters}
        self.costs: StepCosts = step_costs(sweep, self._added)
        self.passes = self._passes()

    def _step_back(self, step: ReverseStep) -> dict[str, Any]:
        """Of a step of the reverse sweep, which is to be asked before the next: its equation, adjoint and additions."""
        adds = []
        for part in step.contributions:
            formula = self.names.adjoint_term(step.equation, part.position, part.overwrites)
            adds.append(
                [
                    part.operand,
                    datum(part.value),
                    datum(self.evaluation.found[part.operand]),
                    shortened(typeset(formula), _FORMULA),
                    int(part.index is None or part.overwrites),
                ]
            )
        if adds:
            self._added[step.equation.result] = [part.operand for part in step.contributions]
        return {"e": self._place[step.equation.result], "a": datum(step.adjoint), "add": adds}

    def _passes(self) -> list[dict[str, Any]]:
        most = max(1, min(MOST_PASSES, MOST_LINES // max(1, len(self.program.equations))))
        found: list[dict[str, Any]] = []
        for k in self.parameters:
            for index in np.ndindex(np.shape(self.values[k])):
                if len(found) == most:
                    return found
                seeds = {other: _zeros(self.values[other]) for other in self.parameters}
                seeds[k] = _unit(self.values[k], index)
                tangents = pushed_from(self.evaluation, seeds)
                name = self.names.name(k)
                seed = f"{name}[{', '.join(map(str, index))}]" if index else name
                found.append(
                    {
                        "seed": seed,
                        "t": {j: datum(t) for j, t in enumerate(tangents) if t is not None and self.varies[j]},
                    }
                )
        return found

    def steps(self, item_of: Callable[[int], int], line_of: Callable[[str], str]) -> list[dict[str, Any]]:
        """Of each equation what is said of it, which item it is in, and the line of the source that it is at."""
        return [self._step(equation, item_of, line_of) for equation in self.program.equations]

    def _step(self, equation: Equation, item_of: Callable[[int], int], line_of: Callable[[str], str]) -> dict[str, Any]:
        k, names, gate = equation.result, self.names, gate_of(equation.primitive)
        found: dict[str, Any] = {
            "k": k,
            "text": shortened(f"{names.name(k)} = {names.formula(equation)}", _FORMULA),
            "item": item_of(k),
            "at": line_of(equation.where),
            "what": shortened(equation.primitive.name.lstrip("_"), 40),
        }
        if self.varies[k]:
            positions = active_positions(equation, self.varies)
            tangent = joined([names.tangent_of(equation, positions)])
            found |= {
                "tan": shortened(f"{names.tangent_name(k)} = {typeset(tangent)}", _FORMULA),
                "gate": [gate.verb, gate.backwards, gate.forwards],
            }
        return found


def _varying(sweep: ReverseSweep, parameters: Sequence[int]) -> list[bool]:
    varies = [False] * len(sweep.values)
    for k in parameters:
        varies[k] = has_derivative(sweep.values[k])
    for equation in sweep.program.equations:
        reached = bool(active_positions(equation, varies))
        varies[equation.result] = reached and has_derivative(sweep.values[equation.result])
    return varies


def _zeros(value: Any) -> Any:
    return np.zeros_like(value) if isinstance(value, np.ndarray) else type(value)(0)


def _unit(value: Any, index: tuple[int, ...]) -> Any:
    if not isinstance(value, np.ndarray):
        return type(value)(1)
    found = np.zeros_like(value)
    found[index] = 1
    return found


__all__ = ["MOST_PASSES", "Sweeps"]
