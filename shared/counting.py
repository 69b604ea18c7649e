"""Counts the operations of a program, exactly: the proof of what a derivative costs, where a clock only illustrates.

The measure is the usual one (Griewank & Walther 2008, chapter 4): `+ - * /`, a comparison, and reading or writing an
array element by index count 1 each, an elementary function (sin, exp, power, ...) counts 10, per element.  A
reduction counts the elements it reads, a product of matrices its multiplications and additions; reshaping, transposing,
broadcasting and allocating are free.

The counter is one more tracer: its level is below every differentiation's, so whatever rules and sweeps compute passes
through it.  This module knows no derivative and no engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shared.errors import closed
from shared.levels import Level, bind
from shared.primitive import Primitive
from shared.rules import indexing, linear_algebra, products, shapes, special
from shared.tracer import DuckArray, Updating, attach, base_of, located, operand, view_class, writable, write
from shared.tree import tree_map

#: What an elementary function costs, in arithmetic operations.
ELEMENTARY = 10

_ARITHMETIC = {
    np.add, np.subtract, np.multiply, np.divide, np.negative, np.positive, np.square, np.reciprocal, np.absolute,
    np.fabs, np.copysign, np.remainder, np.fmod, np.conjugate, np.real, np.imag, np.copy, np.degrees, np.radians,
    np.rad2deg, np.deg2rad, special.relu.function, np.maximum, np.minimum, np.fmax, np.fmin, np.where,
    shapes.ASTYPE.function,
}  # fmt: skip
_FREE = {
    shapes.RESHAPE.function, shapes.TRANSPOSE.function, np.broadcast_to, special.stop_gradient.function,
    *shapes.QUESTIONS,
}  # fmt: skip


#: What some functions are made of, per element: a comparison and a choice; a quotient, its floor, a product and a
#: difference; an exponential, a difference and a sum.
_WEIGHTS = {
    np.arctan2: ELEMENTARY, special.spherical_bessel.function: ELEMENTARY,
    np.maximum: 2, np.minimum: 2, np.fmax: 4, np.fmin: 4, np.remainder: 4, np.fmod: 4, np.floor_divide: 2,
    special.logsumexp.function: ELEMENTARY + 3, special.log_softmax.function: ELEMENTARY + 4,
}  # fmt: skip


def _matmul(out: Any, values: Any, static: Any) -> int:
    return int(2 * np.size(out) * np.shape(values[0])[-1])


def _convolve(out: Any, values: Any, static: Any) -> int:
    sizes = np.size(values[0]), np.size(values[1])
    return int(2 * min(sizes) * (max(sizes) if static["mode"] == "full" else np.size(out)))


def _einsum(out: Any, values: Any, static: Any) -> int:
    terms = static["subscripts"].split("->")[0].split(",")
    sizes = {
        c: n for term, value in zip(terms, values, strict=True) for c, n in zip(term, np.shape(value), strict=True)
    }
    return int(np.prod(list(sizes.values()), dtype=np.int64)) * len(terms)


def _transform(factor: float) -> Callable[..., int]:
    # About 5 n log2 n for a transform by halves, and half of that of real numbers: Van Loan 1992, section 1.4
    def count(out: Any, values: Any, static: Any) -> int:
        axis, points = static.get("axis", -1), static.get("n")
        shape = np.shape(out)
        lines = np.size(out) // max(shape[axis], 1)
        if points is None:
            points = np.shape(values[0])[axis]
            if not np.iscomplexobj(out):
                points = shape[axis]
        return int(factor * lines * points * np.log2(max(points, 2)))

    return count


def _cubic(factor: float) -> Callable[..., int]:
    # Counts of dense elimination: Golub & Van Loan 2013, sections 3.2 and 8.6
    return lambda out, values, static: int(factor * np.size(values[0]) * np.shape(values[0])[-1]) + np.size(out)


_SPECIAL: dict[Any, Callable[..., int]] = {
    np.matmul: _matmul,
    products.EINSUM.function: _einsum,
    products.CONVOLVE.function: _convolve,
    indexing.GETITEM.function: lambda out, values, static: int(np.size(out)),
    **dict.fromkeys((np.fft.fft, np.fft.ifft), _transform(5)),
    **dict.fromkeys((np.fft.rfft, np.fft.irfft), _transform(2.5)),
    np.linalg.inv: _cubic(2),
    linear_algebra.CHOLESKY.function: _cubic(1 / 3),
    np.linalg.solve: _cubic(2 / 3),
    np.linalg.det: _cubic(2 / 3),
    linear_algebra.LOGABSDET.function: _cubic(2 / 3),
    linear_algebra.SINGULAR_VALUES.function: _cubic(4),
}


def cost(primitive: Primitive, out: Any, values: Any, static: dict[str, Any]) -> int:
    """The operations of one evaluation of a primitive."""
    function = primitive.function
    if function in _FREE:
        return 0
    weight = _WEIGHTS.get(function)
    if weight is not None:
        return weight * max(int(np.size(v)) for v in (out, *values))
    special_cost = _SPECIAL.get(function)
    if special_cost is not None:
        return special_cost(out, values, static)
    size = int(np.size(out))
    if primitive.elementwise and function not in _ARITHMETIC:
        return ELEMENTARY * size
    if primitive.broadcasts:
        return size
    # A reduction or a move costs what it reads or what it writes, whichever is more.
    return max([size, *(int(np.size(v)) for v in values if isinstance(v, np.ndarray))])


class Counter(Level):
    """The level of counted values, and the count so far."""

    __slots__ = ("total",)

    def __init__(self) -> None:
        super().__init__("count_operations")
        self.total = 0


class Counted(DuckArray):
    """A value whose operations are counted."""

    __slots__ = ()

    def __init__(self, level: Counter, primal: Any):
        self.level = level
        self.primal = primal

    def process(self, primitive: Primitive, args: tuple[Any, ...], static: dict[str, Any]) -> Any:
        level = self.level
        if level.closed:
            raise closed(self)
        values = [a.primal if isinstance(a, Counted) and a.level is level else operand(a) for a in args]
        out = bind(primitive, tuple(values), static)
        count = cost(primitive, out, values, static)
        # Not in one line: the total is read first, and another thread may add to it while the cost is computed.
        level.total += count
        if (
            not isinstance(out, (float, complex, np.ndarray, np.generic, DuckArray))
            or getattr(getattr(out, "dtype", None), "kind", "f") not in "fc"
        ):
            return out
        base = base_of(out, args, level)
        if base is None:
            return Counted(level, out)
        return attach(_View(level, out), base, primitive.path(args))

    def lift(self, value: Any) -> Counted:
        return Counted(self.level, value)

    def seed(self, value: Any) -> Any:
        return Counted(self.level, value)

    def twin(self) -> Counted:
        return Counted(self.level, self.primal)

    def become(self, other: Any) -> None:
        self.primal = other.primal

    def update(self, primitive: Updating, value: Any, index: Any) -> None:
        if isinstance(value, Counted):
            value = value.primal
        part, last = located(self.primal, index)
        self.level.total += int(np.size(part[last]))
        self.primal = write(writable(self, "primal"), primitive, index, value)


_View: Any = view_class(Counted)


def count_operations(f: Callable[..., Any], *args: Any) -> int:
    """The number of operations that `f(*args)` takes, counted while it runs.

    `f` may be a derivative: `count_operations(reversead.grad(g), x)`.  Numbers and arrays in the arguments, also in
    nested containers, are counted; integer, boolean and other arguments pass through.  Cost: one evaluation of `f`,
    some microseconds an operation.

    >>> count_operations(lambda x: np.sum(np.sin(x) * x), np.ones(5))
    60
    """
    level = Counter()

    def counted(leaf: Any) -> Any:
        kind = getattr(getattr(leaf, "dtype", None), "kind", "f" if isinstance(leaf, (float, complex)) else "")
        return Counted(level, leaf) if kind in ("f", "c") else leaf

    try:
        f(*tree_map(counted, list(args)))
    finally:
        level.closed = True
    return level.total
