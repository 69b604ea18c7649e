"""The order in which the chain rule multiplies: the Jacobians of layers from the input's end, or from the scalar's.

A network of layers of n units that ends in one number has the gradient v J_L ... J_2 J_1, with a row v.  From the
input's end each product is of two matrices, O(n^3) a layer, as forward mode multiplies; from the scalar's end it is of
a row and a matrix, O(n^2), as reverse mode does.  The ratio is the factor n itself.
"""

import functools
from collections.abc import Iterator

import numpy as np

from benchmarks.curves import Curve, Plot
from benchmarks.measure import interleaved_minimum
from benchmarks.topics.sweep import _Timed, grid
from shared.counting.counter import count_operations

#: 64 to 4,096 units, the width of the fully connected layers of A. Krizhevsky, I. Sutskever and G. Hinton (2012).
LOG2_UNITS = (6, 7, 8, 9, 10, 11, 12)
LAYERS = 3
ENDS = ("from the scalar's end", "from the input's end")


def product(row: np.ndarray, jacobian: np.ndarray, end: str) -> np.ndarray:
    """The row times `LAYERS` Jacobians, all `jacobian`, multiplied from one end or the other; (n,)."""
    if end == ENDS[0]:
        for _ in range(LAYERS):
            row = row @ jacobian
        return row
    total = jacobian
    for _ in range(LAYERS - 1):
        total = jacobian @ total
    return row @ total


@functools.lru_cache(maxsize=1)
def factors(log2_units: int) -> tuple[np.ndarray, np.ndarray]:
    """A row and a Jacobian of a layer of tanh units, float32: at 4,096 units 64 mebibytes."""
    n = 2**log2_units
    rng = np.random.default_rng(n)
    jacobian = rng.normal(size=(n, n)).astype(np.float32) / np.float32(np.sqrt(n))
    return np.ones(n, np.float32), jacobian


def operations(log2_units: int, end: str) -> int:
    """The operations of the product, exactly: of each entry n multiplications and, from zero, n additions."""
    n = 2**log2_units
    return LAYERS * 2 * n**2 if end == ENDS[0] else (LAYERS - 1) * 2 * n**3 + 2 * n**2


def counted(log2_units: int, end: str) -> int:
    """The same, counted while it is computed; to confirm the formula where that is quick."""
    row, jacobian = factors(log2_units)
    return count_operations(lambda matrix: product(row, matrix, end), jacobian)


class AgainstUnits(_Timed):
    """The product from either end, against the number of units a layer."""

    version = "1"
    # At 4,096 units a product from the input's end takes many seconds.
    repeat = (1, 10, 2.0)
    params = (grid(LOG2_UNITS), ENDS)
    param_names = ("log2_units", "order")

    def time_product(self, log2_units: int, order: str) -> None:
        product(*factors(log2_units), order)

    def track_operations(self, log2_units: int, order: str) -> int:
        return operations(log2_units, order)

    def track_ratio(self, log2_units: int, order: str) -> float:
        return round(operations(log2_units, order) / operations(log2_units, ENDS[0]), 3)

    time_product.pretty_name = "F. product of Jacobians, against units: CPU time"  # type: ignore[attr-defined]
    track_operations.pretty_name = "F. product of Jacobians, against units: operations"  # type: ignore[attr-defined]
    track_operations.unit = "operations"  # type: ignore[attr-defined]
    track_ratio.pretty_name = "F. product of Jacobians, against units: ratio to the scalar's end"  # type: ignore[attr-defined]
    track_ratio.unit = "products from the scalar's end"  # type: ignore[attr-defined]


def plots() -> Iterator[Plot]:
    """The factor n, counted, and what is left of it on a clock: some ten seconds."""
    xs = [2**size for size in LOG2_UNITS]
    curves = [
        Curve(end, xs, [operations(size, end) / operations(size, ENDS[0]) for size in LOG2_UNITS]) for end in ENDS
    ]
    yield Plot(
        f"the product of {LAYERS} layers' Jacobians",
        "Multiplied from the input's end, the same gradient takes 2 n / 3 times the operations.",
        "units a layer",
        "products from the scalar's end",
        curves,
    )
    seconds = [measured(size) for size in LOG2_UNITS]
    curves = [Curve(end, xs, [each[end] for each in seconds]) for end in ENDS]
    slow, quick = (seconds[-1][end] for end in reversed(ENDS))
    yield Plot(
        f"the product of {LAYERS} layers' Jacobians: CPU time",
        f"On a clock the factor is {slow / quick:.0f} at {xs[-1]:,} units: a product of matrices uses what it reads "
        "many times, that of a row and a matrix reads each number from memory, for a single use.",
        "units a layer",
        "CPU seconds",
        curves,
    )


def measured(log2_units: int) -> dict[str, float]:
    """The CPU seconds of the product from each end."""
    tasks = {end: functools.partial(product, *factors(log2_units), end) for end in ENDS}
    return interleaved_minimum(tasks, rounds=3)
