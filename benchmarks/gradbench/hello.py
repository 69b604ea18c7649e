"""GradBench's `hello`: the square of a number, and its derivative, to see that the messages work."""

from functools import partial
from typing import Any

import reversead
from benchmarks.gradbench.protocol import Function


def square(x: Any) -> Any:
    """x^2."""
    return x * x


FUNCTIONS = {
    "square": Function(lambda given: partial(square, float(given))),
    "double": Function(lambda given: partial(reversead.grad(square), float(given))),
}
