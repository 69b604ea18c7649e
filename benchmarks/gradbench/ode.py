"""GradBench's `ode`: a chain of differential equations by Runge and Kutta's method, and a gradient through it.

y_0' = x_0 and y_i' = x_i y_(i-1), from y(0) = 0 to time 2, in s steps of the classical method of order 4 (Kutta 1901).
The gradient is that of the last element of y in x, one reverse sweep through all steps; it is recorded and compiled,
since many small operations on arrays that stay in the cache spend their time in Python.  From Bell's cmpad (`an_ode`).
"""

from functools import partial
from typing import Any

import numpy as np

import reversead
from benchmarks.gradbench.protocol import Function, Input
from shared.programs import compile

END = 2.0


def rates(x: Any, y: Any) -> Any:
    """y' at y."""
    return x * np.concatenate([np.ones(1), y[:-1]])


def solution(x: Any, steps: int) -> Any:
    """y at time 2 after so many steps."""
    h = END / steps
    y = np.zeros(x.size)
    for _ in range(steps):
        k1 = rates(x, y)
        k2 = rates(x, y + (h / 2.0) * k1)
        k3 = rates(x, y + (h / 2.0) * k2)
        k4 = rates(x, y + h * k3)
        y = y + (h / 6.0) * (k1 + 2.0 * (k2 + k3) + k4)
    return y


def last(x: Any, steps: int) -> Any:
    """The last element of the solution."""
    return solution(x, steps)[-1]


def _operands(given: Input) -> tuple[Any, int]:
    return np.array(given["x"], dtype=float), int(given["s"])


def _gradient(given: Input) -> Any:
    x, steps = _operands(given)
    return partial(compile(reversead.grad(partial(last, steps=steps))), x)


FUNCTIONS = {
    "primal": Function(lambda given: partial(solution, *_operands(given))),
    "gradient": Function(_gradient),
}
