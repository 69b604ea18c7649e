"""GradBench's `saddle`: the saddle point of a function by gradient descent within gradient descent.

Wanted is min over x of max over y of f(x, y) = |x|^2 - |y|^2, for x and y in the plane.  The outer gradient goes
through the whole inner descent, with its gradients: derivatives within derivatives.  Each may be either mode.
Siskind & Pearlmutter 2008.
"""

from functools import partial
from typing import Any

import numpy as np

from benchmarks.gradbench.descent import MODES, argmax, argmin
from benchmarks.gradbench.protocol import Function, Input


def value(x: Any, y: Any) -> Any:
    """|x|^2 - |y|^2."""
    return np.sum(x * x) - np.sum(y * y)


def saddle_point(start: Any, modes: str) -> Any:
    """The four coordinates of x and y; every descent begins at `start`, the outer and inner gradients by two modes."""
    outer, inner = modes

    def greatest(x: Any) -> Any:
        return value(x, argmax(partial(value, x), start, inner))

    x = argmin(greatest, start, outer)
    return np.concatenate([x, argmax(partial(value, x), start, inner)])


def _function(modes: str) -> Function:
    def prepare(given: Input) -> Any:
        return partial(saddle_point, np.array(given["start"], dtype=float), modes)

    return Function(prepare)


FUNCTIONS = {modes: _function(modes) for modes in MODES}
