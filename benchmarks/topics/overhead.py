"""What Python costs: the fixed time of an operation, which disappears in large arrays, and the parts of a gradient.

An operation of an engine is a few microseconds of Python beside NumPy's own; the counts leave them out.  Against the
size of the arrays, the ratio of the times comes down to that of the operations.  The controls use no derivative: if
they change from one commit to the next, the machine did.
"""

from collections.abc import Iterator

import numpy as np

from benchmarks import workloads
from benchmarks.curves import Curve, Plot
from benchmarks.measure import interleaved_minimum
from benchmarks.topics.sweep import _Timed, grid

#: log2 of the operations in a chain, and of the numbers in its arrays.
LOG2_DEPTH = 6
LOG2_ARRAY_SIZES = (0, 4, 8, 12, 16)


class AgainstArraySize(_Timed):
    """A gradient in reverse and one direction forwards of 64 operations, against the size of their arrays."""

    version = "1"
    params = (grid(LOG2_ARRAY_SIZES), workloads.SINGLE_MODES)
    param_names = ("log2_size", "mode")

    def time_derivative(self, log2_size: int, mode: str) -> None:
        workloads.one_derivative(workloads.chain(LOG2_DEPTH, 2**log2_size), mode)()

    time_derivative.pretty_name = "H. 64 operations, against the size of their arrays: CPU time"  # type: ignore[attr-defined]


class Parts(_Timed):
    """What a reverse gradient is made of, and one forward direction beside it."""

    version = "1"
    params = (grid(workloads.LOG2_INPUTS[::3]), workloads.PARTS)
    param_names = ("log2_n", "part")

    def time_part(self, log2_n: int, part: str) -> None:
        workloads.part(workloads.network(log2_n), part)()

    time_part.pretty_name = "H. the parts of a gradient: CPU time"  # type: ignore[attr-defined]


class Control(_Timed):
    """No automatic differentiation."""

    version = "1"

    def time_matrix_product(self) -> None:
        _matrix() @ _matrix()

    def time_elementwise(self) -> None:
        np.sin(_matrix())

    def time_interpreter(self) -> int:
        total = 0
        for number in range(1000):
            total += number
        return total

    time_matrix_product.pretty_name = "H. control, no derivative: a product of matrices"  # type: ignore[attr-defined]
    time_elementwise.pretty_name = "H. control, no derivative: an elementwise function"  # type: ignore[attr-defined]
    time_interpreter.pretty_name = "H. control, no derivative: a loop in plain Python"  # type: ignore[attr-defined]


def _matrix() -> np.ndarray:
    """A 128 by 128 matrix, cheap beside what is done with it."""
    return np.full((128, 128), 0.5)


def plots() -> Iterator[Plot]:
    """A picture that is timed: it takes seconds, and is another one on every machine."""
    chains = {size: workloads.chain(LOG2_DEPTH, 2**size) for size in LOG2_ARRAY_SIZES}
    seconds = {
        size: interleaved_minimum({mode: workloads.one_derivative(chain, mode) for mode in workloads.SINGLE_MODES})
        for size, chain in chains.items()
    }
    yield Plot(
        "64 operations: CPU time, as a multiple of f",
        "Python's fixed cost an operation disappears in large arrays.",
        "numbers in an array",
        "times f's CPU time",
        [
            Curve(mode, [2**size for size in seconds], [each[mode] / each["function"] for each in seconds.values()])
            for mode in workloads.SINGLE_MODES
        ],
    )
