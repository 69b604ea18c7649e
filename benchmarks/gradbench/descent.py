"""Gradient descent as `particle` and `saddle` prescribe it, of functions that may be under differentiation themselves.

The step doubles after ten successes and halves after a failure; it ends where the gradient, or the next step, is
shorter than 10^-5.  Siskind & Pearlmutter 2008, "Using programming language theory to make automatic differentiation
sound and efficient", give the problems and this rule.  The engine is an argument: forward or reverse.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

import dualad
import reversead

Function = Callable[[Any], Any]
FIRST_STEP = 1e-5
TOLERANCE = 1e-5
SUCCESSES = 10

#: The gradient by each mode, by GradBench's letter for it.
GRADIENTS: dict[str, Callable[[Function], Function]] = {"f": dualad.grad, "r": reversead.grad}
#: The outer mode and the inner one.
MODES = tuple(outer + inner for outer in GRADIENTS for inner in GRADIENTS)


def argmin(f: Function, start: Any, mode: str) -> Any:
    """Where a function of a vector is least, from `start`, by gradients of one mode."""
    gradient = GRADIENTS[mode](f)
    x, value, slope = start, f(start), gradient(start)
    step, successes = FIRST_STEP, 0
    while np.sum(slope * slope) > TOLERANCE**2:
        if successes == SUCCESSES:
            step, successes = 2.0 * step, 0
        ahead = x - step * slope
        if np.sum((ahead - x) ** 2) <= TOLERANCE**2:
            break
        value_ahead = f(ahead)
        if value_ahead < value:
            x, value, slope = ahead, value_ahead, gradient(ahead)
            successes += 1
        else:
            step, successes = step / 2.0, 0
    return x


def argmax(f: Function, start: Any, mode: str) -> Any:
    """Where a function is greatest."""
    return argmin(lambda x: -f(x), start, mode)
