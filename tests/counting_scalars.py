"""An independent count: numbers that count what is done with them, and each primitive written as plain loops over them.

Nothing here reads the declared counts.  NumPy's own loops over arrays of objects run a primitive where there is one;
elsewhere a textbook algorithm is written out.  A comparison gives a plain truth value, whose use is control and free.
Copies and choices are counted where a function does nothing else: `Tally.moved`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


class Tally(Counter[str]):
    """What has been done so far, by kind."""

    def number(self, value: float) -> Scalar:
        return Scalar(value, self)

    def numbers(self, array: Any) -> np.ndarray:
        """An array of objects that count here."""
        made = np.empty(np.shape(array), object)
        for index in np.ndindex(made.shape):
            made[index] = self.number(float(np.asarray(array)[index]))
        return made

    def moved(self, array: Any) -> Any:
        self["move"] += int(np.size(array))
        return array


class Scalar:
    """A real number that counts its operations."""

    def __init__(self, value: float, tally: Tally):
        self.value = value
        self.tally = tally

    def of(self, kind: str, value: float) -> Scalar:
        self.tally[kind] += 1
        return Scalar(value, self.tally)

    def test(self, verdict: bool) -> bool:
        self.tally["compare"] += 1
        return verdict

    def __add__(self, other: Any) -> Scalar:
        return self.of("add", self.value + plain(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Scalar:
        return self.of("add", self.value - plain(other))

    def __rsub__(self, other: Any) -> Scalar:
        return self.of("add", plain(other) - self.value)

    def __mul__(self, other: Any) -> Scalar:
        return self.of("multiply", self.value * plain(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Scalar:
        return self.of("divide", self.value / plain(other))

    def __rtruediv__(self, other: Any) -> Scalar:
        return self.of("divide", plain(other) / self.value)

    def __neg__(self) -> Scalar:
        return self.of("add", -self.value)

    def __abs__(self) -> Scalar:
        return self.of("add", abs(self.value))

    def conjugate(self) -> Scalar:
        return self.of("add", self.value)

    def __pow__(self, other: Any) -> Scalar:
        return self.of("elementary", abs(self.value) ** plain(other))

    def __floor__(self) -> Scalar:
        return self.of("compare", math.floor(self.value))

    __ceil__ = __trunc__ = rint = __floor__

    def __floordiv__(self, other: Any) -> Scalar:
        return (self / other).__floor__()

    def __mod__(self, other: Any) -> Scalar:
        return self - (self // other) * other

    def __lt__(self, other: Any) -> bool:
        return self.test(self.value < plain(other))

    def __le__(self, other: Any) -> bool:
        return self.test(self.value <= plain(other))

    def __gt__(self, other: Any) -> bool:
        return self.test(self.value > plain(other))

    def __ge__(self, other: Any) -> bool:
        return self.test(self.value >= plain(other))

    def __eq__(self, other: object) -> bool:
        return self.test(self.value == plain(other))

    def __ne__(self, other: object) -> bool:
        return self.test(self.value != plain(other))

    __hash__ = None  # type: ignore[assignment]

    def larger(self, other: Scalar) -> bool:
        """Whether it is larger in magnitude, as one comparison."""
        return self.test(abs(self.value) > abs(other.value))

    def elementary(self, *others: Any) -> Scalar:
        """Any elementary function: what it gives does not matter here, as long as it is a positive number."""
        return self.of("elementary", abs(self.value) + 0.5)

    sqrt = cbrt = exp = exp2 = expm1 = log = log2 = log10 = log1p = sin = cos = tan = arcsin = arccos = arctan = (
        elementary
    )
    sinh = cosh = tanh = arcsinh = arccosh = arctanh = arctan2 = hypot = elementary


def plain(value: Any) -> float:
    return value.value if isinstance(value, Scalar) else value


# --- one number at a time ---------------------------------------------------------------------------------------------


def greater(x: Any, y: Any) -> Any:
    return x.tally.moved(x if x > y else y)


def greater_passing_over_nan(x: Any, y: Any) -> Any:
    x_is_nan, y_is_nan, first = x != x, y != y, x > y
    return x.tally.moved(y if x_is_nan or (not y_is_nan and not first) else x)


def sign(x: Any) -> float:
    return 1.0 if x > 0 else -1.0 if x < 0 else 0.0


def close(x: Any, y: Any) -> bool:
    return bool(abs(x - y) <= 1e-8 + 1e-5 * abs(y))


# --- reductions, each from its neutral element ------------------------------------------------------------------------


def total(numbers: Any) -> Any:
    result: Any = 0.0
    for x in np.ravel(numbers):
        result = result + x
    return result


def product(numbers: Any) -> Any:
    result: Any = 1.0
    for x in np.ravel(numbers):
        result = result * x
    return result


def greatest(numbers: Any) -> Any:
    result: Any = -math.inf
    for x in np.ravel(numbers):
        if x > result:
            result = x
    return result


def log_of_sum(numbers: Any) -> Any:
    top = greatest(numbers)
    return total([(x - top).exp() for x in np.ravel(numbers)]).log() + top


def log_of_shares(numbers: Any) -> Any:
    top = greatest(numbers)
    shifted = [x - top for x in np.ravel(numbers)]
    logarithm = total([x.exp() for x in shifted]).log()
    return [x - logarithm for x in shifted]


def merge_sort(numbers: Sequence[Any]) -> list[Any]:
    if len(numbers) < 2:
        return list(numbers)
    half = len(numbers) // 2
    left, right = merge_sort(numbers[:half]), merge_sort(numbers[half:])
    merged = []
    while left and right:
        merged.append((left if left[0] <= right[0] else right).pop(0))
    return merged + left + right


def slowest_to_sort(values: Sequence[float]) -> list[float]:
    """An arrangement for which every merge compares all but its last element."""
    ordered = sorted(values)
    if len(ordered) < 2:
        return ordered
    half = len(ordered) // 2
    odd, even = ordered[1::2], ordered[0::2]
    left, right = (odd, even) if len(odd) == half else (even, odd)
    return slowest_to_sort(left) + slowest_to_sort(right)


def bisect(ordered: Sequence[Any], x: Any) -> int:
    low, high = 0, len(ordered)
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < x:
            low = middle + 1
        else:
            high = middle
    return low


# --- products ---------------------------------------------------------------------------------------------------------


def inner(x: Any, y: Any) -> Any:
    return total([a * b for a, b in zip(x, y, strict=True)])


def matrix_product(x: Any, y: Any) -> Any:
    return [[inner(row, column) for column in y.T] for row in x]


def contract(x: Any, y: Any, z: Any) -> Any:
    """ij,jk,k->i"""
    return [
        total([x[i, j] * y[j, k] * z[k] for j in range(y.shape[0]) for k in range(y.shape[1])])
        for i in range(x.shape[0])
    ]


def sparse_product(x: Any, y: Any) -> Any:
    """The matrix [[x0, 0, x1], [0, x2, x3]] times y, each sum from zero."""
    rows = [x[0] * y[0], x[1] * y[2]], [x[2] * y[1], x[3] * y[2]]
    return [np.add.reduce(np.array(row, object), initial=0.0) for row in rows]


def convolve(x: Any, y: Any, first: int, last: int) -> Any:
    n, m = len(x), len(y)
    return [total([x[i] * y[k - i] for i in range(n) if 0 <= k - i < m]) for k in range(first, last)]


# --- transforms: decimation in time, of pairs of real numbers ---------------------------------------------------------


def transform(numbers: Sequence[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    n = len(numbers)
    if n == 1:
        return list(numbers)
    even, odd = transform(numbers[::2]), transform(numbers[1::2])
    sums, differences = [], []
    for k, ((a, b), (c, d)) in enumerate(zip(even, odd, strict=True)):
        u, v = math.cos(2 * math.pi * k / n), -math.sin(2 * math.pi * k / n)
        c, d = c * u - d * v, c * v + d * u
        sums.append((a + c, b + d))
        differences.append((a - c, b - d))
    return sums + differences


# --- linear algebra ---------------------------------------------------------------------------------------------------


def factors(matrix: Any) -> Any:
    """Elimination with row exchanges, in place: the factors in one array, and the exchanges."""
    a, n = matrix.copy(), len(matrix)
    exchanges = []
    for k in range(n):
        pivot = k
        for i in range(k + 1, n):
            if a[i, k].larger(a[pivot, k]):
                pivot = i
        exchanges.append((k, pivot))
        a[[k, pivot]] = a[[pivot, k]]
        for i in range(k + 1, n):
            a[i, k] = a[i, k] / a[k, k]
            for j in range(k + 1, n):
                a[i, j] = a[i, j] - a[i, k] * a[k, j]
    return a, exchanges


def solve(matrix: Any, right: Any) -> Any:
    (a, exchanges), n = factors(matrix), len(matrix)
    columns = [list(column) for column in np.reshape(right, (n, -1)).T]
    for x in columns:
        for k, pivot in exchanges:
            x[k], x[pivot] = x[pivot], x[k]
        for i in range(n):
            for j in range(i):
                x[i] = x[i] - a[i, j] * x[j]
        for i in reversed(range(n)):
            for j in range(i + 1, n):
                x[i] = x[i] - a[i, j] * x[j]
            x[i] = x[i] / a[i, i]
    return columns


def cholesky(matrix: Any) -> Any:
    a, n = matrix.copy(), len(matrix)
    for j in range(n):
        for i in range(j, n):
            for k in range(j):
                a[i, j] = a[i, j] - a[i, k] * a[j, k]
        a[j, j] = a[j, j].sqrt()
        for i in range(j + 1, n):
            a[i, j] = a[i, j] / a[j, j]
    return a


def pivots(matrix: Any) -> list[Any]:
    return list(np.diagonal(factors(matrix)[0]))


Reference = Callable[..., Any]
