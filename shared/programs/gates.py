"""What a gate does with what comes back to it, in a word: add distributes, multiply switches, max selects.

One row a function, for whatever tells of programs in words: tables, drawings, pages.  The words are those of lectures
on backpropagation (Karpathy, Johnson & Li 2016, CS231n course notes, "Backpropagation, intuitions"); the derivatives
themselves are the registry's.  This module knows no program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.core.primitive import Primitive
from shared.programs.equations import AS_KIND, PART, Write
from shared.rules import indexing, shapes, special


@dataclass(frozen=True, slots=True)
class Gate:
    """A habit of a gate: its `verb`, what it does `backwards` with the adjoint, and `forwards` with the tangents."""

    verb: str
    backwards: str
    forwards: str


DISTRIBUTES = Gate("distributes", "every operand gets the whole adjoint", "the tangents add")
SUBTRACTS = Gate(
    "distributes",
    "the first operand gets the whole adjoint, the second the same with the other sign",
    "the tangents subtract",
)
SWITCHES = Gate(
    "switches",
    "each operand gets the adjoint times the other operand",
    "each tangent is multiplied by the other operand, and they add",
)
DIVIDES = Gate(
    "scales",
    "the numerator gets the adjoint over the denominator, the denominator that times minus the quotient",
    "each tangent is multiplied by its partial derivative, and they add",
)
SELECTS = Gate(
    "selects",
    "what was chosen gets the adjoint, the others nothing",
    "the tangent of what was chosen passes",
)
SCALES = Gate("scales", "the adjoint is multiplied by the slope here", "the tangent is multiplied by the slope here")
NEGATES = Gate("scales", "the adjoint changes its sign", "the tangent changes its sign")
SPREADS = Gate(
    "distributes",
    "every element that was added gets the adjoint of the sum",
    "the tangents of the elements add",
)
AVERAGES = Gate(
    "distributes",
    "every element gets an equal share of the adjoint",
    "the mean of the tangents",
)
MOVES = Gate(
    "moves",
    "each element's adjoint goes back to where the element came from",
    "the tangents move with the elements",
)
READS = Gate(
    "selects",
    "the element that was read gets the adjoint, the others nothing",
    "the tangent of the element that was read passes",
)
WRITES = Gate(
    "switches over",
    "the value assigned gets the adjoint of its place, what it overwrote gets nothing there",
    "the tangent of the value assigned takes the place of the old one",
)
PASSES = Gate("passes", "the adjoint passes unchanged", "the tangent passes unchanged")
COMBINES = Gate(
    "combines",
    "each operand gets the adjoint through the transpose of its derivative",
    "the tangents go through the derivative",
)
STOPS = Gate("stops", "nothing goes back: the derivative is zero, or there is none", "the tangent ends here")

#: By the function of a primitive; what is not here goes by its form.
GATES: dict[Any, Gate] = {
    np.add: DISTRIBUTES,
    np.subtract: SUBTRACTS,
    np.negative: NEGATES,
    np.positive: PASSES,
    np.copy: PASSES,
    AS_KIND.function: PASSES,
    shapes.ASTYPE.function: PASSES,
    shapes.CONVERT.function: PASSES,
    np.multiply: SWITCHES,
    np.matmul: SWITCHES,
    np.dot: SWITCHES,
    np.inner: SWITCHES,
    np.outer: SWITCHES,
    np.divide: DIVIDES,
    np.maximum: SELECTS,
    np.minimum: SELECTS,
    np.fmax: SELECTS,
    np.fmin: SELECTS,
    np.max: SELECTS,
    np.min: SELECTS,
    np.where: SELECTS,
    np.clip: SELECTS,
    special.RELU.function: SELECTS,
    np.sum: SPREADS,
    np.cumsum: SPREADS,
    np.mean: AVERAGES,
    indexing.GETITEM.function: READS,
    shapes.RESHAPE.function: MOVES,
    shapes.TRANSPOSE.function: MOVES,
    np.broadcast_to: Gate("distributes", "the adjoints of the copies add", "the tangent is copied"),
    np.concatenate: MOVES,
    special.STOP_GRADIENT.function: STOPS,
}


def gate_of(primitive: Any) -> Gate:
    """The habit of a primitive, or of an assignment (`Write`).

    >>> from shared import REGISTRY
    >>> [gate_of(REGISTRY[f]).verb for f in (np.add, np.multiply, np.maximum, np.sin, np.greater)]
    ['distributes', 'switches', 'selects', 'scales', 'stops']
    """
    if isinstance(primitive, Write):
        return WRITES
    if primitive is PART:
        return PASSES
    found = GATES.get(primitive.function)
    if found is not None:
        return found
    if primitive.constant:
        return STOPS
    if isinstance(primitive, Primitive) and primitive.elementwise and len(primitive.edges) == 1:
        return SCALES
    return MOVES if primitive.memory in ("view", "may share") else COMBINES


__all__ = ["GATES", "Gate", "gate_of"]
