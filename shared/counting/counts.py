"""What each primitive costs: the table of operation counts, one line a function.

A count says how many scalar operations of each kind one evaluation takes.  It is read off the types of the operands and
of the result alone, so that a recorded program is counted without being run.  The measure is the usual one (Griewank &
Walther 2008, section 2.5 and chapter 4): an addition, a multiplication, a division, a comparison, and reading or
writing an element count 1, an elementary function counts `ELEMENTARY`.  Sums start from zero, products from one and
extrema from an infinity, as plain loops do.  Reshaping, transposing, broadcasting and allocating are free, and so is
what is done with truth values once they are known (`and`, `or`, `not`, taking them for 0 and 1): that is control.

An operation on complex numbers counts as one on real ones, except in the transforms of `np.fft`, whose published counts
are of real operations.  This module knows nothing of levels, recordings or engines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from shared.core.primitive import Primitive
from shared.core.registry import REGISTRY
from shared.rules import elementwise, indexing, linear_algebra, products, reductions, shapes, special

#: What an elementary function (sin, exp, power, ...) costs, in arithmetic operations.
ELEMENTARY = 10


@dataclass(frozen=True, slots=True)
class Count:
    """Scalar operations by kind.

    `add`: additions, subtractions and changes of sign.  `multiply`, `divide`: what they say.  `compare`: comparisons,
    roundings to integers, bit operations.  `elementary`: elementary functions.  `move`: elements read or
    written, or chosen between, without computing.  `operations` is the sum by the measure's weights.

    >>> count = 3 * Count(multiply=1, add=1) + Count(elementary=1)
    >>> count, count.operations
    (Count(add=3, multiply=3, elementary=1), 16)
    """

    add: int = 0
    multiply: int = 0
    divide: int = 0
    compare: int = 0
    elementary: int = 0
    move: int = 0

    @property
    def operations(self) -> int:
        """The sum on the measure: an elementary function counts 10, anything else 1."""
        return self.add + self.multiply + self.divide + self.compare + self.move + ELEMENTARY * self.elementary

    def __add__(self, other: Count) -> Count:
        return Count(
            self.add + other.add,
            self.multiply + other.multiply,
            self.divide + other.divide,
            self.compare + other.compare,
            self.elementary + other.elementary,
            self.move + other.move,
        )

    def __rmul__(self, times: int) -> Count:
        return Count(
            times * self.add,
            times * self.multiply,
            times * self.divide,
            times * self.compare,
            times * self.elementary,
            times * self.move,
        )

    def __repr__(self) -> str:
        parts = [f"{kind}={getattr(self, kind)}" for kind in KINDS if getattr(self, kind)]
        return f"Count({', '.join(parts)})"


#: The kinds of operations, in the order of tables.
KINDS = tuple(field.name for field in fields(Count))
NOTHING = Count()

#: `rule(out, operands, static)`: `out` and the operands have a shape and a dtype, or are literals (slices, numbers).
Rule = Callable[[Any, Sequence[Any], dict[str, Any]], Count]


#: the primitives that this table counts
_counted: set[Primitive] = set()


def counted(rule: Rule, *primitives: Any) -> Rule:
    """Declare the count of primitives, given as such or as the functions that the registry knows them by."""
    for given in primitives:
        primitive = given if isinstance(given, Primitive) else REGISTRY[given]
        assert isinstance(primitive, Primitive)
        if primitive.count is None:
            primitive.count = rule
            _counted.add(primitive)
        # What a user has set before this table was loaded stays.
        assert primitive not in _counted or primitive.count is rule, f"{primitive.name} has a count already"
    return rule


def size_of(value: Any) -> int:
    """How many elements a type, an array or a number has."""
    return math.prod(getattr(value, "shape", ()))


def each(count: Count) -> Rule:
    """A count for each element of the result.

    >>> each(Count(add=1))(np.zeros((2, 3)), (), {})
    Count(add=6)
    """

    def of_result(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
        size = math.prod(out.shape)
        return count if size == 1 else size * count

    return of_result


def each_read(count: Count, each_written: Count = NOTHING) -> Rule:
    """A count for each element of the first operand, and one for each of the result."""

    def of_operand(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
        found = size_of(operands[0]) * count
        return found if each_written is NOTHING else found + size_of(out) * each_written

    return of_operand


def undeclared(primitive: Primitive) -> Rule:
    """The count of a primitive that declares none, such as one of a user's own.

    An elementwise one counts as an elementary function an element, another as a move of each element that it reads or
    writes, whichever are more.  Set `primitive.count`, for example to `each(Count(add=2, divide=1))`, to say better.
    """
    if primitive.elementwise:
        return each(Count(elementary=1))

    def of_largest(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
        return Count(move=max(map(size_of, (out, *operands))))

    return each(Count(move=1)) if primitive.broadcasts else of_largest


# --- element by element -----------------------------------------------------------------------------------------------

ONE_ADD, ONE_COMPARE = each(Count(add=1)), each(Count(compare=1))
ONE_FUNCTION, ONE_MOVE = each(Count(elementary=1)), each(Count(move=1))
FREE: Rule = lambda out, operands, static: NOTHING  # noqa: E731 - one line of the table

counted(ONE_ADD, np.add, np.subtract, np.negative, np.absolute, np.fabs, np.copysign, np.conjugate)
counted(each(Count(multiply=1)), np.multiply, np.square, np.degrees, np.rad2deg, np.radians, np.deg2rad, np.ldexp)
counted(each(Count(divide=1)), np.divide, np.reciprocal)
counted(ONE_MOVE, np.positive, np.copy, elementwise.REAL, np.imag, np.where)
counted(
    ONE_COMPARE,
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.isfinite, np.isinf, np.isnan, np.isnat, np.isposinf, np.isneginf, np.iscomplex, np.isreal,
    np.floor, np.ceil, np.rint, np.trunc, np.signbit, np.spacing, np.nextafter,
)  # fmt: skip
counted(
    ONE_FUNCTION,
    np.power, np.float_power, np.sqrt, reductions.norm_sqrt, np.cbrt, np.exp, np.exp2, np.expm1,
    np.log, np.log2, np.log10, np.log1p, np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan, np.arctan2,
    np.sinh, np.cosh, np.tanh, np.arcsinh, np.arccosh, np.arctanh, np.hypot, np.logaddexp, np.logaddexp2,
    np.sinc, special.SPHERICAL_BESSEL, special.SIGMOID, special.SOFTPLUS,
)  # fmt: skip


def _is_truth(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    return value.__class__ is bool or getattr(value, "kind", None) is bool or (dtype is not None and dtype.kind == "b")


def _logic(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    # A number has to be compared with zero first, or its bits combined.
    return size_of(out) * Count(compare=1) if not all(map(_is_truth, operands)) else NOTHING


def conversion(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    return NOTHING if _is_truth(operands[0]) else size_of(out) * Count(move=1)


counted(
    _logic,
    np.logical_and, np.logical_or, np.logical_xor, np.logical_not,
    np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert,
    *elementwise.LOGICAL_OPERATORS.values(), elementwise.INVERT,
)  # fmt: skip
counted(conversion, shapes.ASTYPE, shapes.CONVERT)
# A comparison and a choice of what to write; where not-a-numbers are passed over, two more tests.
counted(each(Count(compare=1, move=1)), np.maximum, np.minimum, special.RELU)
counted(each(Count(compare=3, move=1)), np.fmax, np.fmin)
# Is it positive, and if not, is it negative?
counted(each(Count(compare=2)), elementwise.SIGN, np.heaviside)
# A quotient and its floor; x less the floor's multiple of y
counted(each(Count(divide=1, compare=1)), np.floor_divide, elementwise.CONSTANT_OPERATORS["floordiv"])
counted(each(Count(divide=1, compare=1, multiply=1, add=1)), np.remainder, np.fmod)
# x / (1 + |x|)
counted(each(Count(add=2, divide=1)), special.SOFTSIGN)
# |x - y| <= a + r |y|
_CLOSE = Count(add=4, multiply=1, compare=1)
counted(each(_CLOSE), np.isclose)


def _round(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    decimals = operands[1] if len(operands) > 1 else static.get("decimals", 0)
    # Beside the rounding, a multiplication by a power of ten and a division by it.
    scaled = isinstance(decimals, int) and decimals == 0
    return size_of(out) * (Count(compare=1) if scaled else Count(compare=1, multiply=1, divide=1))


counted(_round, np.round)

# --- moves ------------------------------------------------------------------------------------------------------------

counted(
    FREE,
    shapes.RESHAPE,
    shapes.TRANSPOSE,
    np.broadcast_to,
    special.STOP_GRADIENT,
    special.VALUE_ONLY,
    *shapes.QUESTIONS,
)
counted(ONE_MOVE, indexing.GETITEM, np.diagonal, np.roll, shapes.PAD, shapes.CONCATENATE)


def elements_written(shape: tuple[int, ...], parts: Sequence[Any], lengths: Sequence[int]) -> int:
    """How many elements an assignment to an array of this shape writes.

    `parts` are the parts of an index, or of a nested one, each of as many parts as `lengths` says.  Of index arrays
    only the shape is looked at; a mask is taken to choose every element.
    """
    if len(lengths) == 1 and len(parts) == len(shape) and all([part.__class__ is int for part in parts]):
        return 1
    view: Any = np.broadcast_to(np.empty((), bool), shape)
    start = 0
    for length in lengths:
        view, start = view[_representative(parts[start : start + length])], start + length
    return int(np.size(view))


def _representative(parts: Sequence[Any]) -> tuple[Any, ...]:
    """An index by which as many elements are chosen as by one of such parts; literals stand for themselves."""
    arrays = [part for part in parts if getattr(part, "shape", None) is not None and not isinstance(part, np.generic)]
    # Beside arrays of integers a mask chooses as many elements as these have.
    beside = np.broadcast_shapes(*[part.shape for part in arrays if part.dtype.kind != "b"])[-1:]
    index: list[Any] = []
    for part in parts:
        if not any(part is array for array in arrays):
            index.append(part)
        elif part.dtype.kind != "b":
            index.append(np.zeros(part.shape, np.intp))
        elif beside in ((), (1,)):
            index.append(np.ones(part.shape, bool))
        else:
            index += [np.zeros(beside, np.intp)] * len(part.shape)
    return tuple(index)


def written(adds: bool) -> Rule:
    """The count of an assignment: a write for each element, and where it adds, a read and an addition, too."""
    count = Count(move=2, add=1) if adds else Count(move=1)

    def of_write(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
        return elements_written(out.shape, operands[2:], static["lengths"]) * count

    return of_write


# --- reductions and scans ---------------------------------------------------------------------------------------------

counted(each_read(Count(add=1)), reductions.SUM, np.cumsum)
counted(each_read(Count(add=1), Count(divide=1)), np.mean)
counted(each_read(Count(multiply=1)), np.prod, reductions.CUMPROD)
counted(each_read(Count(compare=1)), np.max, np.min, *reductions.RUNNING_EXTREMA, np.argmax, np.argmin, np.any, np.all)
counted(each_read(Count(compare=1)), np.nonzero, np.flatnonzero, np.argwhere)
counted(each_read(Count(compare=1, add=1)), np.count_nonzero)
# The greatest, the differences from it, their exponentials, the sum; of each sum the logarithm, and the greatest again.
counted(each_read(Count(compare=1, add=2, elementary=1), Count(elementary=1, add=1)), special.LOGSUMEXP)


def _log_softmax(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    lines: int = size_of(out) // max(out.shape[static["axis"]], 1)
    return size_of(out) * Count(compare=1, add=3, elementary=1) + lines * Count(elementary=1)


counted(_log_softmax, special.LOG_SOFTMAX)


def _of_both(count: Count) -> Rule:
    return lambda out, operands, static: max(map(size_of, operands[:2])) * count


counted(_of_both(Count(compare=2)), np.array_equal, np.array_equiv)
counted(_of_both(_CLOSE + Count(compare=1)), np.allclose)


def comparisons_to_sort(n: int) -> int:
    """What merging halves takes of `n` elements at worst (Knuth 1998, section 5.2.4, exercise 14).

    >>> [comparisons_to_sort(n) for n in (1, 2, 3, 4, 8)]
    [0, 1, 3, 5, 17]
    """
    depth = (max(n, 1) - 1).bit_length()
    return n * depth - (1 << depth) + 1


def _argsort(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    axis = operands[1] if len(operands) > 1 else static.get("axis", -1)
    length = size_of(out) if axis is None or not out.shape else out.shape[axis]
    return Count(compare=size_of(out) // max(length, 1) * comparisons_to_sort(length))


counted(_argsort, np.argsort)
# By halving: the number of binary digits of the length
counted(
    lambda out, operands, static: Count(compare=size_of(operands[1]) * size_of(operands[0]).bit_length()),
    np.searchsorted,
)

# --- products ---------------------------------------------------------------------------------------------------------


def _matmul(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    products_ = size_of(out) * operands[0].shape[-1]
    return Count(products_, products_)


def _einsum(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    terms = static["subscripts"].split("->")[0].split(",")
    lengths: dict[str, int] = {}
    for term, operand in zip(terms, operands, strict=True):
        for label, length in zip(term, operand.shape, strict=True):
            lengths[label] = max(length, lengths.get(label, 1)) if length else 0
    points = math.prod(lengths.values())
    return Count(points, (len(terms) - 1) * points)


def _convolve(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    sizes = size_of(operands[0]), size_of(operands[1])
    products_ = min(sizes) * (max(sizes) if static["mode"] == "full" else size_of(out))
    return Count(products_, products_)


counted(_matmul, products.MATMUL)
counted(_einsum, products.EINSUM)
counted(_convolve, products.CONVOLVE)

# --- transforms by halves: 5 n log2 n real operations, of real numbers half (Van Loan 1992, sections 1.4, 4.3) --------


def _transform(adds: float, multiplications: float) -> Rule:
    def of_lines(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
        axis, points = static.get("axis", -1), static.get("n")
        lines: int = size_of(out) // max(out.shape[axis], 1)
        if points is None:
            points = (operands[0] if out.dtype.kind == "c" else out).shape[axis]
        steps = lines * points * math.log2(max(points, 2))
        return Count(int(adds * steps), int(multiplications * steps))

    return of_lines


counted(_transform(3, 2), np.fft.fft, np.fft.ifft)
counted(_transform(1.5, 1), np.fft.rfft, np.fft.irfft)

# --- linear algebra: dense elimination with pivots (Golub & Van Loan 2013, sections 3.2, 3.4 and 4.2) -----------------


def _elimination(n: int) -> Count:
    """The factors of a matrix: in step k a pivot among k + 1, k quotients, and k**2 products and differences."""
    products_, quotients = (n - 1) * n * (2 * n - 1) // 6, n * (n - 1) // 2
    return Count(add=products_, multiply=products_, divide=quotients, compare=quotients)


def _substitution(n: int, columns: int) -> Count:
    """Forward and back substitution of each right-hand side."""
    return columns * Count(add=n * (n - 1), multiply=n * (n - 1), divide=n)


def _of_matrices(count: Callable[[int], Count]) -> Rule:
    def of_stack(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
        shape = operands[0].shape
        stack: int = math.prod(shape[:-2])
        return stack * count(shape[-1])

    return of_stack


def _solve(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    n = operands[0].shape[-1]
    columns = 1 if len(operands[1].shape) == 1 else operands[1].shape[-1]
    stack: int = size_of(out) // max(n * columns, 1)
    return stack * (_elimination(n) + _substitution(n, columns))


def _cholesky(n: int) -> Count:
    products_ = (n - 1) * n * (n + 1) // 6
    return Count(add=products_, multiply=products_, divide=n * (n - 1) // 2, elementary=n)


counted(_solve, np.linalg.solve)
counted(_of_matrices(lambda n: _elimination(n) + _substitution(n, n)), np.linalg.inv)
counted(_of_matrices(lambda n: _elimination(n) + Count(multiply=n)), np.linalg.det)
# Of each pivot the absolute value, its logarithm, and a sum; or its sign, and a product
counted(_of_matrices(lambda n: _elimination(n) + n * Count(add=2, elementary=1)), linear_algebra.LOGABSDET)
counted(_of_matrices(lambda n: _elimination(n) + n * Count(compare=1, multiply=1)), linear_algebra.SIGN_OF_DETERMINANT)
counted(_of_matrices(_cholesky), linear_algebra.CHOLESKY)


def _singular(vectors: bool) -> Rule:
    # Iterations cannot be counted beforehand; these are the usual estimates (Golub & Van Loan 2013, section 8.6).
    def of_stack(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
        *leading, rows, columns = operands[0].shape
        m, n = max(rows, columns), min(rows, columns)
        stack: int = math.prod(leading)
        total: int = 14 * m * n * n + 8 * n**3 if vectors else 4 * m * n * n - 4 * n**3 // 3
        return stack * Count(total - total // 2, total // 2)

    return of_stack


# Every one of the three parts is computed with the other two.
counted(_singular(True), linear_algebra.LEFT_VECTORS, linear_algebra.SINGULAR_VALUES, linear_algebra.RIGHT_VECTORS)
counted(_singular(False), np.linalg.matrix_rank)

# --- the twins that Python's operators stand for ----------------------------------------------------------------------

for _twin in (
    elementwise.ADD, elementwise.SUBTRACT, elementwise.MULTIPLY, elementwise.DIVIDE, elementwise.POWER,
    elementwise.NEGATIVE, elementwise.POSITIVE, elementwise.ABSOLUTE, elementwise.MODULO, shapes.COPY_C,
):  # fmt: skip
    _of_function: Any = REGISTRY[_twin.function]
    _twin.count = _of_function.count
for _name, _operator in elementwise.CONSTANT_OPERATORS.items():
    if _name != "floordiv":
        counted(ONE_COMPARE, _operator)
