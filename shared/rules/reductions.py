"""Reductions and scans: sums, products, extrema, moments.

Sums are linear; extrema follow the positions where they are attained, a tie split equally; products use the products
of the other factors, never a division, so zeros are as good as any number.  What `dtype=`, `where=` and `initial=` add
to the primitives among them is in `shared.rules.keywords`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from shared.core.errors import NoRuleError, user_line
from shared.core.facets import (
    ADDITION,
    COMPARISON,
    DIVISION,
    MULTIPLICATION,
    Count,
    each_read,
    flattened,
    later,
    of_array,
    size_of,
)
from shared.core.levels import Tracer
from shared.core.primitive import Primitive
from shared.core.registry import alias, composite, constant, elementwise, multilinear, rule

Axis = int | tuple[int, ...] | None


def expanded(c: Any, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Any:
    """A reduced value with its reduced axes put back, of length 1."""
    if keepdims or not shape:
        return c
    if axis is None:
        return np.reshape(c, (1,) * len(shape))
    wanted = list(shape)
    for k in axis if isinstance(axis, (tuple, list)) else (axis,):
        wanted[k] = 1
    return c.reshape(wanted)


def spread(c: Any, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Any:
    """A reduced value repeated over the axes it was reduced along: what a sum is the transpose of."""
    if isinstance(c, Tracer):
        return np.broadcast_to(expanded(c, shape, axis, keepdims), shape)
    if axis is None and not keepdims:
        c = np.asarray(c)
        strides: Any = (0,) * len(shape)
    else:
        c = expanded(c, shape, axis, keepdims)
        if not c.flags.c_contiguous:
            return np.broadcast_to(c, shape)
        strides = [s if n == m else 0 for s, n, m in zip(c.strides, c.shape, shape, strict=True)]
    # What broadcast_to would return, in a fraction of the microseconds that it takes
    return np.ndarray(shape, c.dtype, c, strides=strides)


def strong(x: Any) -> Any:
    """A Python number as NumPy's functions of arrays take it: of its own dtype, and not that of what it meets."""
    if isinstance(x, Tracer):
        return x.astype(x.dtype) if x.ndim == 0 else x  # type: ignore[attr-defined]
    return np.asarray(x)


def asked(value: Any) -> bool:
    """Whether a keyword is given; NumPy has two values, and True of a mask, that say it is not."""
    return value is not None and value is not np._NoValue and value is not True


def converted(x: Any, dtype: Any) -> Any:
    """`x` in the dtype that a function is asked to compute in, if it is asked."""
    if not asked(dtype):
        return x
    x = strong(x)
    return x if x.dtype == np.dtype(dtype) else x.astype(dtype)


def chosen(x: Any, where: Any, other: Any) -> Any:
    """`x` with the elements that a mask leaves out replaced, so that nothing depends on them."""
    return np.where(where, x, other) if asked(where) else x


def unwrapped(x: Any) -> Any:
    """A result without axes as NumPy returns it: a scalar, not an array."""
    return x[()] if x.ndim == 0 else x


def count_of(shape: tuple[int, ...], axis: Axis) -> int:
    """How many elements are reduced into one."""
    axes = range(len(shape)) if axis is None else (axis,) if isinstance(axis, (int, np.integer)) else axis
    return math.prod([shape[k] for k in axes])


# --- one more leading axis --------------------------------------------------------------------------------------------


@of_array
def reduced(primitive: Any, x: Any, axis: Any = None, out: None = None, keepdims: Any = False, **rest: Any) -> Any:
    """The batch rule of a reduction: the axes of each example are counted from one later."""
    if axis is None and x.ndim == 2:
        return primitive(x, axis=1, keepdims=bool(keepdims), **rest)
    if x.ndim == 1 and axis not in (None, ()):
        return NotImplemented  # a number, of which NumPy takes axis 0 and -1 for the same
    return primitive(x, axis=later(axis, x.ndim), keepdims=bool(keepdims), **rest)


@of_array
def _positions(primitive: Any, x: Any, axis: int | None = None, out: None = None, *, keepdims: bool = False) -> Any:
    if axis is None:
        if keepdims or x.ndim == 1:
            return NotImplemented
        return primitive(flattened(x), axis=1)
    return NotImplemented if x.ndim == 1 else primitive(x, axis=later(axis, x.ndim), keepdims=keepdims)


@of_array
def _order(primitive: Any, x: Any, axis: int | None = -1, kind: Any = None, order: None = None, **rest: Any) -> Any:
    if axis is None:
        x, axis = flattened(x), -1
    return NotImplemented if x.ndim == 1 else primitive(x, axis=later(axis, x.ndim), kind=kind, **rest)


@of_array
def _order_of_part(primitive: Any, x: Any, kth: Any, axis: int | None = -1, kind: Any = "introselect",
                   order: None = None) -> Any:  # fmt: skip
    if axis is None:
        x, axis = flattened(x), -1
    return NotImplemented if x.ndim == 1 else primitive(x, kth, axis=later(axis, x.ndim), kind=kind)


@of_array
def _running(primitive: Any, x: Any, *, axis: int | None = None) -> Any:
    if axis is None:
        return primitive(flattened(x), axis=1)
    return NotImplemented if x.ndim == 1 else primitive(x, axis=later(axis, x.ndim))


@of_array
def along_first(primitive: Any, x: Any) -> Any:
    return np.moveaxis(primitive(np.moveaxis(x, 1, 0)), 1, 0)


# --- sums -------------------------------------------------------------------------------------------------------------


def _sum(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.add.reduce(x, axis=axis, keepdims=keepdims)


SUM = multilinear(
    np.sum,
    lambda c, x, *, axis=None, keepdims=False: spread(c, x.shape, axis, keepdims),
    evaluate=_sum,
    count=each_read(ADDITION),
    batch=reduced,
    dependence="sum",
)


def _mean(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    if getattr(x, "dtype", None) == np.float16:
        return np.mean(x, axis=axis, keepdims=keepdims)  # which adds up in float32
    return np.add.reduce(x, axis=axis, keepdims=keepdims) / count_of(np.shape(x), axis)


multilinear(
    np.mean,
    lambda c, x, *, axis=None, keepdims=False: spread(c / count_of(x.shape, axis), x.shape, axis, keepdims),
    evaluate=_mean,
    count=each_read(ADDITION, DIVISION),
    batch=reduced,
    dependence="sum",
)


def _cumsum_transpose(c: Any, x: Any, *, axis: int | None = None) -> Any:
    # A scalar is summed as an array of one element.
    flat = axis is None or not x.shape
    along = 0 if axis is None else axis
    summed = np.flip(np.cumsum(np.flip(c, along), along), along)
    return np.reshape(summed, x.shape) if flat else summed


multilinear(np.cumsum, _cumsum_transpose,
            count=each_read(ADDITION), memory="fresh", batch=_running, dependence="scan")  # fmt: skip

# --- extrema ----------------------------------------------------------------------------------------------------------


def _attained(out: Any, x: Any, axis: Axis, keepdims: bool) -> tuple[Any, Any]:
    """Where the extremum is attained, and at how many places.

    NaN is attained nowhere: all places then stand for it, and their number is NaN, which the derivative becomes.
    """
    mask = x == expanded(out, np.shape(x), axis, keepdims)
    count = np.sum(mask, axis=axis, keepdims=True)
    nowhere = count == 0
    return np.logical_or(mask, nowhere), np.where(nowhere, np.nan, count)


def _extremum_vjp(c: Any, out: Any, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    mask, count = _attained(out, x, axis, keepdims)
    c = expanded(c, np.shape(x), axis, keepdims)
    return np.where(mask, share_of(c, count), 0)


def _extremum_jvp(t: Any, out: Any, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    mask, count = _attained(out, x, axis, keepdims)
    return np.sum(np.where(mask, share_of(t, count), 0), axis=axis, keepdims=keepdims)


def share_of(value: Any, count: Any) -> Any:
    # An integer array would promote float32; its reciprocal in the value's dtype does not.
    return value * (1 / count).astype(value.dtype)


_COMPARES: dict[str, Any] = {"count": each_read(COMPARISON), "memory": "fresh"}

for _function in (np.max, np.min):
    rule(
        _function,
        vjps=(_extremum_vjp,),
        jvps=(_extremum_jvp,),
        because="linear along the places where the extremum is attained, which only the output tells",
        batch=reduced,
        dependence="reduction",
        **_COMPARES,
    )
for _name in ("amax", "amin"):
    alias(getattr(np, _name), getattr(np, _name[1:]))


@composite(np.ptp)
def _ptp(a: Any, axis: Axis = None, out: None = None, keepdims: bool = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


# --- positions and truth ----------------------------------------------------------------------------------------------


def comparisons_to_sort(n: int) -> int:
    """What merging halves takes of `n` elements at worst (Knuth 1998, section 5.2.4, exercise 14).

    >>> [comparisons_to_sort(n) for n in (1, 2, 3, 4, 8)]
    [0, 1, 3, 5, 17]
    """
    depth = (max(n, 1) - 1).bit_length()
    return n * depth - (1 << depth) + 1


def _to_sort(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    axis = operands[1] if len(operands) > 1 else static.get("axis", -1)
    length = size_of(out) if axis is None or not out.shape else out.shape[axis]
    return Count(compare=size_of(out) // max(length, 1) * comparisons_to_sort(length))


def _to_part(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    # Floyd & Rivest 1975: n + min(k, n - k) comparisons, and lower terms, for an element in its place
    axis = operands[2] if len(operands) > 2 else static.get("axis", -1)
    length = size_of(out) if axis is None or not out.shape else out.shape[axis]
    kth = np.ravel(np.asarray(operands[1] if len(operands) > 1 else static["kth"])) % max(length, 1)
    return Count(compare=sum(size_of(out) // max(length, 1) * (length + min(int(k), length - int(k))) for k in kth))


def _to_find(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    # By halving: the number of binary digits of the length
    return Count(compare=size_of(operands[1]) * size_of(operands[0]).bit_length())


def _places(primitive: Any, size: int, batched: Any, values: Any, static: dict[str, Any]) -> Any:
    raise NoRuleError(
        f"the places of the nonzero elements differ in number from example to example of vmap{user_line()}; "
        "use np.where(condition, x, other), or np.argsort for an order"
    )


def _places_in_order(
    primitive: Any, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]
) -> Any:
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


constant(np.any, np.all, batch=reduced, **_COMPARES)
constant(np.count_nonzero, count=each_read(Count(compare=1, add=1)), memory="fresh", batch=reduced)
constant(np.argmax, np.argmin, batch=_positions, **_COMPARES)
constant(np.argsort, count=_to_sort, memory="fresh", batch=_order)
constant(np.argpartition, count=_to_part, memory="fresh", batch=_order_of_part)
constant(np.nonzero, np.flatnonzero, np.argwhere, batch=_places, **_COMPARES)
constant(np.searchsorted, count=_to_find, memory="fresh", batch=_places_in_order)

# --- products ---------------------------------------------------------------------------------------------------------


def _products_of_others(x: Any) -> Any:
    """For each element along the last axis, the product of all the others: pairs, then pairs of pairs."""
    n = x.shape[-1]
    if n <= 1:
        return np.ones_like(x)
    if n % 2:
        x = np.concatenate([x, np.ones_like(x[..., :1])], axis=-1)
    even, odd = x[..., 0::2], x[..., 1::2]
    others = _products_of_others(even * odd)
    both = np.stack([others * odd, others * even], axis=-1)
    return np.reshape(both, x.shape)[..., :n]


def _others(x: Any, axis: Axis) -> Any:
    shape = np.shape(x)
    if not shape:
        return np.ones_like(x)
    axes = tuple(range(len(shape))) if axis is None else tuple(np.atleast_1d(axis).tolist())
    last = tuple(range(-len(axes), 0))
    moved = np.moveaxis(x, axes, last)
    flat = np.reshape(moved, (*moved.shape[: len(shape) - len(axes)], count_of(shape, axes)))
    return np.moveaxis(np.reshape(_products_of_others(flat), moved.shape), last, axes)


rule(
    np.prod,
    vjps=(lambda c, x, *, axis=None, keepdims=False: expanded(c, np.shape(x), axis, keepdims) * _others(x, axis),),
    jvps=(lambda t, x, *, axis=None, keepdims=False: np.sum(t * _others(x, axis), axis=axis, keepdims=keepdims),),
    because="out / x fails at zeros, so the products of the other factors are formed from pairs",
    count=each_read(MULTIPLICATION),
    memory="fresh",
    batch=reduced,
    dependence="reduction",
)


def _recurrence(a: Any, b: Any) -> Any:
    """u with u[0] = b[0] and u[i] = a[i] u[i-1] + b[i], along the first axis.

    By doubling: after step k each element accounts for the 2^k elements up to it, so it takes log2(n) array operations.
    """
    step = 1
    while step < b.shape[0]:
        b = np.concatenate([b[:step], b[step:] + a[step:] * b[:-step]])
        a = np.concatenate([a[:step], a[step:] * a[:-step]])
        step *= 2
    return b


def _before(x: Any) -> Any:
    """The products of the elements before each, along the first axis."""
    return np.concatenate([np.ones_like(x[:1]), np.cumprod(x[:-1], axis=0)])


def _cumprod(x: Any) -> Any:
    return np.cumprod(x, axis=0)


def _cumprod_vjp(c: Any, x: Any) -> Any:
    # The sum over i >= k of c[i] x[k+1] ... x[i] is a recurrence from the end.
    factors = np.concatenate([np.ones_like(x[:1]), np.flip(x[1:], 0)])
    return np.flip(_recurrence(factors, np.flip(c, 0)), 0) * _before(x)


CUMPROD = rule(
    _cumprod,
    vjps=(_cumprod_vjp,),
    jvps=(lambda t, x: _recurrence(x, t * _before(x)),),
    because="a quotient of products fails at zeros; both maps are linear recurrences, which do not",
    count=each_read(MULTIPLICATION),
    batch=along_first,
    dependence="scan of rows",
)


@composite(np.cumprod)
def _cumprod_call(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    a = converted(a, dtype)
    if a.dtype.kind not in "fc" and not isinstance(a, Tracer):
        return np.cumprod(a, axis)  # of integers, which nothing differentiates
    if axis is None or not np.ndim(a):
        return CUMPROD(np.ravel(a))
    return CUMPROD(a) if axis == 0 else np.moveaxis(CUMPROD(np.moveaxis(a, axis, 0)), 0, axis)


def _cumulative(scan: Any, neutral: int) -> Any:
    def cumulative(
        x: Any, /, *, axis: int | None = None, dtype: Any = None, out: None = None, include_initial: bool = False
    ) -> Any:  # fmt: skip
        x = np.atleast_1d(x)
        if axis is None:
            if np.ndim(x) >= 2:
                raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
            axis = 0
        running = scan(converted(x, dtype), axis=axis)
        if not include_initial:
            return running
        along = axis % np.ndim(x)
        shape = tuple(1 if k == along else n for k, n in enumerate(np.shape(x)))
        return np.concatenate([np.full(shape, neutral, running.dtype), running], axis=axis)

    return cumulative


if hasattr(np, "cumulative_sum"):  # NumPy 2.1
    composite(np.cumulative_sum)(_cumulative(np.cumsum, 0))
    composite(np.cumulative_prod)(_cumulative(np.cumprod, 1))


# --- moments ----------------------------------------------------------------------------------------------------------


def _sqrt(x: Any) -> Any:
    return np.sqrt(x)


#: sqrt for a sum of squares, whose root is a norm: at zero its least subgradient is 0, where sqrt' is inf
norm_sqrt: Primitive = elementwise(_sqrt, lambda out: np.where(out == 0, 0, 0.5 / np.where(out == 0, 1, out)))


def counted(a: Any, axis: Axis, where: Any, keepdims: bool = False) -> Any:
    """How many elements are reduced into one: a number, or an array of floats where a mask leaves some out."""
    if not asked(where):
        axes = () if axis is None else axis if isinstance(axis, tuple) else (axis,)
        for k in axes:
            normalize_axis_index(k, np.ndim(a))
        return count_of(np.shape(a), axis)
    precision = np.finfo(a.dtype).dtype if getattr(a, "dtype", np.dtype(int)).kind in "fc" else np.float64
    return np.sum(np.broadcast_to(where, np.shape(a)), axis=axis, keepdims=keepdims).astype(precision)


def divided_by_count(total: Any, count: Any) -> Any:
    """A sum over a count, in the precision of the sum."""
    mean = total / count
    return mean if not hasattr(count, "dtype") or mean.dtype == total.dtype else mean.astype(total.dtype)


@composite(np.var)
def _var(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, ddof: float = 0, keepdims: Any = False,
    *, where: Any = True, mean: Any = None, correction: float | None = None,
) -> Any:  # fmt: skip
    keepdims = keepdims is not np._NoValue and bool(keepdims)
    if asked(correction):
        if ddof != 0:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction  # type: ignore[assignment]
    a = chosen(a, where, 0)
    if asked(dtype):
        a = converted(a, np.result_type(dtype, getattr(a, "dtype", np.float64)))
    if not asked(mean):
        mean = divided_by_count(np.sum(a, axis=axis, keepdims=True), counted(a, axis, where, keepdims=True))
    centred = chosen(a - mean, where, 0)
    squares = np.real(centred * np.conjugate(centred)) if np.iscomplexobj(centred) else centred * centred
    total = converted(np.sum(squares, axis=axis, keepdims=keepdims), dtype)
    count = counted(a, axis, where, keepdims)
    return divided_by_count(total, np.maximum(count - ddof, 0) if asked(where) else max(count - ddof, 0))


@composite(np.std)
def _std(a: Any, axis: Axis = None, dtype: Any = None, out: None = None, ddof: float = 0, keepdims: Any = False,
         **rest: Any) -> Any:  # fmt: skip
    return norm_sqrt(_var(a, axis, dtype, out, ddof, keepdims, **rest))
