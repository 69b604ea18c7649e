"""GradBench's `lse`: log(sum_i exp(x_i)), taken from the maximum so that nothing overflows, and its gradient.

The maximum is differentiated like everything else; its parts of the gradient cancel.  One reverse sweep.
"""

from functools import partial
from typing import Any

import numpy as np

import reversead
from benchmarks.gradbench.protocol import Function, Input


def log_sum_exp(x: Any) -> Any:
    """log(sum_i exp(x_i)) of a vector."""
    largest = np.max(x)
    return largest + np.log(np.sum(np.exp(x - largest)))


def _operand(given: Input) -> Any:
    return np.array(given["x"], dtype=float)


FUNCTIONS = {
    "primal": Function(lambda given: partial(log_sum_exp, _operand(given))),
    "gradient": Function(lambda given: partial(reversead.grad(log_sum_exp), _operand(given))),
}
