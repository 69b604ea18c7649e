"""How each primitive treats K examples at once, held along one more leading axis.

Elementwise functions need no rule of their own: their arguments are aligned, and NumPy's broadcasting does the rest
(some that the registry declares in other forms are listed as such).
The structural primitives have one each, below: `rule(size, batched, values, static)`, where `batched[k]` says whether
`values[k]` has the leading axis of the `size` examples, returns the results along a leading axis.  A rule that does
not cover its arguments returns NotImplemented; then, as without a rule, the primitive is applied example by example.
This module knows NumPy's meaning of axes, and nothing of derivatives.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shared.batching.batched_indices import batched_index
from shared.core.errors import NoRuleError, RegistrationError, user_line
from shared.core.levels import Tracer
from shared.core.primitive import Function, Primitive
from shared.core.registry import REGISTRY
from shared.core.writing import read
from shared.rules import elementwise, fourier, indexing, linear_algebra, products, reductions, shapes, special


def batch(*primitives: Any) -> Callable[[Function], Function]:
    """Declare the batch rule of primitives, given as such or as the functions that the registry knows them by."""

    def declare(rule: Function) -> Function:
        for given in primitives:
            primitive = given if isinstance(given, Primitive) else REGISTRY[given]
            assert isinstance(primitive, Primitive)
            if primitive.batch is not None:
                raise RegistrationError(f"{primitive.name} has a batch rule already")
            primitive.batch = rule
        return rule

    return declare


# --- elementwise ------------------------------------------------------------------------------------------------------


def aligned(size: int, batched: Sequence[bool], values: Sequence[Any]) -> list[Any]:
    """The arguments of an elementwise function, with axes inserted so that the examples meet along the first one."""
    rank = max(np.ndim(value) - flag for value, flag in zip(values, batched, strict=True))
    return [
        np.reshape(value, (size,) + (1,) * (rank + 1 - np.ndim(value)) + np.shape(value)[1:])
        if flag and np.ndim(value) <= rank
        else value
        for value, flag in zip(values, batched, strict=True)
    ]


#: Beside the ufuncs, which are elementwise by definition
_ELEMENTWISE = (
    elementwise.REAL, elementwise.ABSOLUTE, elementwise.SIGN, np.imag, special.RELU, special.SPHERICAL_BESSEL,
    special.STOP_GRADIENT, shapes.CONVERT, np.round, np.isclose, np.isposinf, np.isneginf, np.iscomplex, np.isreal,
    *elementwise.CONSTANT_OPERATORS.values(), *elementwise.LOGICAL_OPERATORS.values(), elementwise.INVERT,
)  # fmt: skip


def apply_aligned(primitive: Primitive) -> Function:
    """The batch rule of an elementwise primitive: the primitive itself, its arguments aligned."""

    def rule(size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]) -> Any:
        return primitive(*aligned(size, batched, values), **static)

    return rule


_UFUNCS = [function for function in REGISTRY if isinstance(function, np.ufunc) and function.signature is None]
for _given in (*_ELEMENTWISE, *_UFUNCS):
    _primitive: Any = _given if isinstance(_given, Primitive) else REGISTRY[_given]
    if isinstance(_primitive, Primitive) and not (_primitive.elementwise or _primitive.broadcasts):
        batch(_primitive)(apply_aligned(_primitive))


# --- one array, whose axes are counted from one later -----------------------------------------------------------------


def of_array(*primitives: Any) -> Callable[[Function], Function]:
    """Declare the rule of primitives of one array: `rule(primitive, x, *rest, **static)`, x with the examples first."""

    def declare(rule: Function) -> Function:
        for given in primitives:
            primitive: Any = given if isinstance(given, Primitive) else REGISTRY[given]

            def of_all(size: int, batched: Any, values: Any, static: Any, primitive: Any = primitive) -> Any:
                if len(values) > 1 and any(batched[1:]):
                    return NotImplemented
                return rule(primitive, *values, **static)

            batch(primitive)(of_all)
        return rule

    return declare


def later(axis: Any, ndim: int) -> Any:
    """An axis, or several, of each example as axes of all examples together; None stands for all of them.

    `ndim` counts the axis of the examples.
    """
    if axis is None:
        return tuple(range(1, ndim))
    if isinstance(axis, (tuple, list)):
        return tuple(later(k, ndim) for k in axis)
    if not -ndim < axis < ndim - 1:
        raise np.exceptions.AxisError(axis, ndim - 1)
    return axis + 1 if axis >= 0 else axis


@of_array(
    reductions.SUM, np.mean, np.max, np.min, np.prod, special.LOGSUMEXP, np.any, np.all, np.count_nonzero,
)  # fmt: skip
def _reduced(
    primitive: Primitive, x: Any, axis: Any = None, out: None = None, keepdims: Any = False, **rest: Any
) -> Any:
    if axis is None and x.ndim == 2:
        return primitive(x, axis=1, keepdims=bool(keepdims), **rest)
    if x.ndim == 1 and axis not in (None, ()):
        return NotImplemented  # a number, of which NumPy takes axis 0 and -1 for the same
    return primitive(x, axis=later(axis, x.ndim), keepdims=bool(keepdims), **rest)


def _flattened(x: Any) -> Any:
    """Each example as a vector."""
    shape = np.shape(x)
    return np.reshape(x, (shape[0], math.prod(shape[1:])))


@of_array(np.argmax, np.argmin)
def _positions(
    primitive: Primitive, x: Any, axis: int | None = None, out: None = None, *, keepdims: bool = False
) -> Any:
    if axis is None:
        if keepdims or x.ndim == 1:
            return NotImplemented
        return primitive(_flattened(x), axis=1)
    return NotImplemented if x.ndim == 1 else primitive(x, axis=later(axis, x.ndim), keepdims=keepdims)


@of_array(np.argsort)
def _order(
    primitive: Primitive, x: Any, axis: int | None = -1, kind: Any = None, order: None = None, **rest: Any
) -> Any:
    if axis is None:
        x, axis = _flattened(x), -1
    return NotImplemented if x.ndim == 1 else primitive(x, axis=later(axis, x.ndim), kind=kind, **rest)


@of_array(np.cumsum)
def _running(primitive: Primitive, x: Any, *, axis: int | None = None) -> Any:
    if axis is None:
        return primitive(_flattened(x), axis=1)
    return NotImplemented if x.ndim == 1 else primitive(x, axis=later(axis, x.ndim))


@of_array(
    reductions.CUMPROD, *(reductions.RUNNING_EXTREMA),
)  # fmt: skip
def _along_first(primitive: Primitive, x: Any) -> Any:
    return np.moveaxis(primitive(np.moveaxis(x, 1, 0)), 1, 0)


@of_array(special.LOG_SOFTMAX)
def _normalised(primitive: Primitive, x: Any, *, axis: int) -> Any:
    return NotImplemented if x.ndim == 1 else primitive(x, axis=later(axis, x.ndim))


@of_array(fourier.FFT, fourier.INVERSE_FFT, fourier.REAL_FFT, fourier.INVERSE_REAL_FFT)
def _transformed(primitive: Primitive, x: Any, *, n: int | None = None, axis: int = -1, norm: Any = None) -> Any:
    return NotImplemented if x.ndim == 1 else primitive(x, n=n, axis=later(axis, x.ndim), norm=norm)


@of_array(shapes.RESHAPE)
def _reshaped(primitive: Primitive, x: Any, *, shape: Any, order: str = "C") -> Any:
    given = np.shape(x)
    shape = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if -1 in shape:
        # NumPy finds the missing length, also of an array without elements; the array is a view without memory.
        shape = np.broadcast_to(np.empty((), bool), given[1:]).reshape(shape).shape
    if order == "C":
        return primitive(x, shape=(given[0], *shape), order=order)
    turned = np.reshape(np.transpose(x, (0, *range(len(given) - 1, 0, -1))), (given[0], *shape[::-1]))
    return np.transpose(turned, (0, *range(len(shape), 0, -1)))


@of_array(shapes.TRANSPOSE)
def _transposed(primitive: Primitive, x: Any, *, axes: tuple[int, ...] | None = None) -> Any:
    ndim = x.ndim
    given = range(ndim - 2, -1, -1) if axes is None else [axis % (ndim - 1) for axis in axes]
    return primitive(x, axes=(0, *(axis + 1 for axis in given)))


@of_array(np.broadcast_to)
def _spread(primitive: Primitive, x: Any, *, shape: Any) -> Any:
    shape = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(shape)
    given = np.shape(x)
    return primitive(np.reshape(x, (given[0],) + (1,) * (len(shape) + 1 - len(given)) + given[1:]),
                     shape=(given[0], *shape))  # fmt: skip


@of_array(np.roll)
def _rolled(primitive: Primitive, x: Any, *, shift: Any, axis: Any = None) -> Any:
    if axis is None:
        return np.reshape(primitive(_flattened(x), shift=shift, axis=1), np.shape(x))
    return primitive(x, shift=shift, axis=later(axis, x.ndim))


@of_array(shapes.PAD)
def _padded(primitive: Primitive, x: Any, *, widths: tuple[tuple[int, int], ...]) -> Any:
    return primitive(x, widths=((0, 0), *widths))


@of_array(np.diagonal)
def _diagonals(primitive: Primitive, x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    ndim = x.ndim
    return primitive(x, offset=offset, axis1=later(axis1, ndim), axis2=later(axis2, ndim))


@of_array(
    np.linalg.inv, np.linalg.det, linear_algebra.LOGABSDET, linear_algebra.SIGN_OF_DETERMINANT, np.linalg.matrix_rank,
    linear_algebra.LEFT_VECTORS, linear_algebra.SINGULAR_VALUES, linear_algebra.RIGHT_VECTORS, linear_algebra.CHOLESKY,
)  # fmt: skip
def _matrices(primitive: Primitive, x: Any, **rest: Any) -> Any:
    # Vectors would be taken for the rows of one matrix.
    return primitive(x, **rest) if x.ndim >= 3 else NotImplemented


class Alike:
    """A result that all examples share and that has no axis of them."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value


for _function in shapes.QUESTIONS:

    @batch(_function)
    def _asked(size: int, batched: Any, values: Any, static: Any, function: Any = _function) -> Any:
        # These depend on dtypes and memory alone, which the examples have in common.
        return Alike(REGISTRY[function](*values, **static))


@batch(np.nonzero, np.flatnonzero, np.argwhere)
def _places(size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]) -> Any:
    raise NoRuleError(
        f"the places of the nonzero elements differ in number from example to example of vmap{user_line()}; "
        "use np.where(condition, x, other), or np.argsort for an order"
    )


# --- several arrays ---------------------------------------------------------------------------------------------------


@batch(indexing.GETITEM)
def _read(size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]) -> Any:
    x = values[0]
    if not any(batched[1:]) and all(part.__class__ in indexing.BASIC for part in values[1:]):
        return x[(slice(None), *values[1:])]
    where = batched_index(size, values[1:], batched[1:], np.ndim(x) - batched[0], batched[0])
    return where.arranged(read(x, where.whole))


@batch(shapes.CONCATENATE)
def _joined(size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]) -> Any:
    parts = [
        value if flag else np.broadcast_to(value, (size, *np.shape(value)))
        for value, flag in zip(values, batched, strict=True)
    ]
    return shapes.CONCATENATE(*parts, axis=later(static.get("axis", 0), np.ndim(parts[0])))


def _with_rank(x: Any, rank: int, batched: bool) -> Any:
    """An array with axes inserted before its own (and after that of the examples) up to a rank of each example."""
    missing = rank + batched - np.ndim(x)
    if not batched or missing <= 0:
        return x
    shape = np.shape(x)
    return np.reshape(x, (shape[0],) + (1,) * missing + shape[1:])


@batch(products.MATMUL)
def _product(size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]) -> Any:
    x, y = values
    first, second = batched
    rank_x, rank_y = np.ndim(x) - first, np.ndim(y) - second
    if rank_x == 0 or rank_y == 0:
        raise ValueError("matmul: an operand has no axes; use * for the product with a number")
    if not first and rank_x <= 2 and rank_y == 1:
        return y @ (x.T if rank_x == 2 else x)
    if not second and rank_y <= 2 and rank_x <= 2:
        if rank_x == 1:
            return x @ y
        # One product of large matrices in place of many small ones.
        size, rows, length = np.shape(x)
        return np.reshape(np.reshape(x, (size * rows, length)) @ y, (size, rows, *np.shape(y)[1:]))
    # A vector is a row on the left and a column on the right.
    if rank_x == 1:
        x = np.expand_dims(x, -2)
    if rank_y == 1:
        y = np.expand_dims(y, -1)
    rank = max(rank_x, rank_y, 2)
    out = _with_rank(x, rank, first) @ _with_rank(y, rank, second)
    if rank_x == 1 and rank_y == 1:
        return out[..., 0, 0]
    return out[..., 0, :] if rank_x == 1 else out[..., 0] if rank_y == 1 else out


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


@batch(products.EINSUM)
def _contraction(size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]) -> Any:
    terms, output = static["subscripts"].split("->")
    free = next((letter for letter in _LETTERS if letter not in static["subscripts"]), None)
    if free is None:
        return NotImplemented
    inputs = ",".join(free + term if flag else term for term, flag in zip(terms.split(","), batched, strict=True))
    return products.EINSUM(*values, subscripts=f"{inputs}->{free}{output}")


@batch(np.linalg.solve)
def _solution(size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]) -> Any:
    a, b = values
    first, second = batched
    rank_a, rank_b = np.ndim(a) - first, np.ndim(b) - second
    if rank_a < 2 or rank_b < 1:
        return NotImplemented
    if not first and rank_a == 2 and rank_b <= 2:
        # One factorisation serves all examples: their right-hand sides are columns of one matrix.
        columns = np.moveaxis(b, 0, -1)
        solved = np.linalg.solve(a, np.reshape(columns, (np.shape(columns)[0], -1)))
        return np.moveaxis(np.reshape(solved, np.shape(columns)), -1, 0)
    # A right-hand side of one axis is one vector, whatever the batch of matrices.
    if rank_b == 1:
        b = np.expand_dims(b, -1)
    rank = max(rank_a, rank_b, 2)
    solved = np.linalg.solve(_with_rank(a, rank, first), _with_rank(b, rank, second))
    return solved[..., 0] if rank_b == 1 else solved


@batch(products.CONVOLVE)
def _convolution(size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]) -> Any:
    x, y = (value if flag else np.reshape(value, (1, -1)) for value, flag in zip(values, batched, strict=True))
    taps = np.shape(y)[1]
    if static["mode"] == "full":
        x = shapes.PAD(x, widths=((0, 0), (taps - 1, taps - 1)))
    length = np.shape(x)[1] - taps + 1
    # As few array operations as there are elements of the shorter of factor and result
    if taps <= length:
        total: Any = 0
        for k in range(taps):
            total = total + y[:, k : k + 1] * x[:, taps - 1 - k : taps - 1 - k + length]
        return total
    y = y[:, ::-1]
    return np.stack([np.sum(x[:, k : k + taps] * y, axis=1) for k in range(length)], axis=1)


@batch(np.searchsorted)
def _places_in_order(size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]) -> Any:
    a, v, *rest = values
    if not batched[0] and len(batched) == 2 and not rest and static.get("sorter") is None:
        return np.searchsorted(a, v, **static)
    if rest or static.get("sorter") is not None or np.ndim(a) != 2:
        return NotImplemented
    # Each example has an order of its own: the place is the number of elements before, NaN being the last in order.
    shape = np.shape(v)
    v = np.reshape(v, (shape[0], math.prod(shape[1:]), 1) if batched[1] else (1, math.prod(shape), 1))
    a = a[:, None, :]
    if static.get("side", "left") == "left":
        before = np.logical_or(a < v, np.logical_and(np.isnan(v), np.logical_not(np.isnan(a))))
    else:
        before = np.logical_not(np.logical_or(v < a, np.logical_and(np.isnan(a), np.logical_not(np.isnan(v)))))
    return np.reshape(np.sum(before, axis=-1), (size, *(shape[1:] if batched[1] else shape)))


#: Functions whose rewritten form has NumPy's dtypes for floating-point numbers alone: of integers and truth values they
#: are evaluated example by example.
FLOATING_ONLY = frozenset((
    np.einsum, np.tril, np.triu, np.linalg.norm, np.modf, np.vecdot, np.nan_to_num, np.diff, np.var, np.std,
    np.average, np.nansum, np.nanmean, np.nanmax, np.nanmin, np.median, np.quantile, np.percentile, np.gradient,
    np.ediff1d, np.polyval, np.vander, np.linspace, np.logspace, np.convolve, np.correlate,
))  # fmt: skip


def without_rule() -> list[str]:
    """The names of the primitives that are applied example by example, for want of a batch rule."""
    entries = {id(entry): entry for entry in REGISTRY.values()}.values()
    return sorted(
        entry.name
        for entry in entries
        if isinstance(entry, Primitive) and entry.batch is None and not (entry.elementwise or entry.broadcasts)
    )


def one_by_one(
    primitive: Primitive, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]
) -> Any:
    """The results of applying a primitive to each example in turn, along a leading axis."""
    results = [
        primitive(*[value[k] if flag else value for value, flag in zip(values, batched, strict=True)], **static)
        for k in range(size)
    ]
    if not results:
        raise NoRuleError(f"{primitive.name} has no batch rule, and there is no example to learn its shape from")
    if any(isinstance(result, Tracer) for result in results):
        return np.stack(results)
    return np.stack([np.asarray(result) for result in results])
