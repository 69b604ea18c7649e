"""GradBench's `llsq`: a polynomial fitted to the sign function, its squared error and the gradient of that.

The error of the coefficients x is sum_i (s_i - sum_j x_j t_i^j)^2 / 2, at n equally spaced points t from -1 to 1 with
s_i the sign of t_i.  From Bell's cmpad (`llsq_obj`).  The gradient is one reverse sweep.
"""

from functools import partial
from typing import Any

import numpy as np

import reversead
from benchmarks.gradbench.protocol import Function, Input


def squared_error(x: Any, n: int) -> Any:
    """Half the sum of the squared residuals of the polynomial with coefficients x at n points, two or more."""
    if n < 2:
        raise ValueError(f"llsq: n = {n} points, but the points from -1 to 1 are two or more")
    t = np.linspace(-1.0, 1.0, n)
    residuals = np.sign(t) - np.vander(t, x.size, increasing=True) @ x
    return 0.5 * np.sum(residuals * residuals)


def _operands(given: Input) -> tuple[Any, int]:
    return np.array(given["x"], dtype=float), int(given["n"])


FUNCTIONS = {
    "primal": Function(lambda given: partial(squared_error, *_operands(given))),
    "gradient": Function(lambda given: partial(reversead.grad(squared_error), *_operands(given))),
}
