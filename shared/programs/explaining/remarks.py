"""What an operation does with its adjoint at a point, in a word or three: distributes, switches, selects the left.

The words are those of `shared.programs.gates`; here is added which operand a maximum, a minimum or a choice has taken,
since that is what it has to remember.  This module knows nothing of sweeps and of layouts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.programs.equations import Equation
from shared.programs.gates import gate_of

_LARGER, _SMALLER = (np.maximum, np.fmax), (np.minimum, np.fmin)


def remark(equation: Equation, given: Sequence[Any]) -> str:
    """What an equation does with the adjoint of its result, for those values of its operands.

    >>> from shared import trace
    >>> program = trace(lambda x, y: np.maximum(x, y) * y + x, 5.0, 1.0)
    >>> [remark(equation, (5.0, 1.0)) for equation in program.equations]
    ['selects the left', 'switches', 'distributes']
    """
    verb = gate_of(equation.primitive).verb
    side = _side(equation, given)
    return f"{verb} {side}" if side else verb


def _side(equation: Equation, given: Sequence[Any]) -> str:
    """Which of two operands was taken, and of arrays how often the left one; nothing of what does not choose."""
    function = getattr(equation.primitive, "function", None)
    if function in _LARGER + _SMALLER and len(given) == 2:
        x, y = given
        first, second = (x, y) if function in _LARGER else (y, x)
        return _counted(np.greater(first, second), np.greater(second, first), np.equal(x, y))
    if function is np.where and len(given) == 3:
        left = np.broadcast_to(np.asarray(given[0], bool), np.broadcast_shapes(*map(np.shape, given)))
        return _counted(left, ~left, False)
    return ""


def _counted(left: Any, right: Any, tie: Any) -> str:
    """In words where the left and the right of two operands are taken; a NaN is beside neither.

    >>> _counted(True, False, False), _counted(np.array([True, False]), np.array([False, True]), False)
    ('the left', 'the left at 1 of 2')
    """
    count = np.size(left)
    if np.all(left):
        return "the left"
    if np.all(right):
        return "the right"
    if np.all(tie):
        return "both, they are equal"
    return f"the left at {np.sum(left):,} of {count:,}" if count > 1 else ""


__all__ = ["remark"]
