"""Reductions and scans: sums, products, extrema, moments, and the reducing methods of ufuncs.

Sums are linear; extrema follow the positions where they are attained, a tie split equally; products use the products
of the other factors, never a division, so zeros are as good as any number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shared.errors import unsupported_keyword
from shared.levels import Tracer
from shared.registry import Primitive, alias, composite, constant, elementwise, multilinear, rule
from shared.tracer import METHODS

Axis = int | tuple[int, ...] | None


def expanded(c: Any, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Any:
    """A reduced value with its reduced axes put back, of length 1."""
    if keepdims or not shape:
        return c
    if axis is None:
        return np.reshape(c, (1,) * len(shape))
    wanted = list(shape)
    for k in (axis,) if axis.__class__ is int else axis:  # type: ignore[union-attr]
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


def unwrapped(x: Any) -> Any:
    """A result without axes as NumPy returns it: a scalar, not an array."""
    return x[()] if x.ndim == 0 else x


def count_of(shape: tuple[int, ...], axis: Axis) -> int:
    """How many elements are reduced into one."""
    axes = range(len(shape)) if axis is None else (axis,) if isinstance(axis, (int, np.integer)) else axis
    return int(np.prod([shape[k] for k in axes], dtype=np.int64))


def _sum(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.add.reduce(x, axis=axis, keepdims=keepdims)


SUM = multilinear(
    np.sum,
    lambda c, x, *, axis=None, keepdims=False: spread(c, x.shape, axis, keepdims),
    evaluate=_sum,
)


def _mean(x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    return np.add.reduce(x, axis=axis, keepdims=keepdims) / count_of(np.shape(x), axis)


multilinear(
    np.mean,
    lambda c, x, *, axis=None, keepdims=False: spread(c / count_of(x.shape, axis), x.shape, axis, keepdims),
    evaluate=_mean,
)


def _cumsum_transpose(c: Any, x: Any, *, axis: int | None = None) -> Any:
    # A scalar is summed as an array of one element.
    flat = axis is None or not x.shape
    along = 0 if axis is None else axis
    summed = np.flip(np.cumsum(np.flip(c, along), along), along)
    return np.reshape(summed, x.shape) if flat else summed


multilinear(np.cumsum, _cumsum_transpose)

# --- extrema ----------------------------------------------------------------------------------------------------------


def _attained(out: Any, x: Any, axis: Axis, keepdims: bool) -> tuple[Any, Any]:
    """Where the extremum is attained, and one over the number of places, per element."""
    mask = x == expanded(out, np.shape(x), axis, keepdims)
    count = np.maximum(np.sum(mask, axis=axis, keepdims=True), 1)
    return mask, count


def _extremum_vjp(c: Any, out: Any, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    mask, count = _attained(out, x, axis, keepdims)
    c = expanded(c, np.shape(x), axis, keepdims)
    return np.where(mask, _divided(c, count), 0)


def _extremum_jvp(t: Any, out: Any, x: Any, *, axis: Axis = None, keepdims: bool = False) -> Any:
    mask, count = _attained(out, x, axis, keepdims)
    return np.sum(np.where(mask, _divided(t, count), 0), axis=axis, keepdims=keepdims)


def _divided(value: Any, count: Any) -> Any:
    # An integer array would promote float32; its reciprocal in the value's dtype does not.
    return value * (1 / count).astype(value.dtype)


for _function in (np.max, np.min):
    rule(
        _function,
        vjps=(_extremum_vjp,),
        jvps=(_extremum_jvp,),
        because="linear along the places where the extremum is attained, which only the output tells",
    )
for _name in ("amax", "amin"):
    alias(getattr(np, _name), getattr(np, _name[1:]))


@composite(np.ptp)
def _ptp(a: Any, axis: Axis = None, out: None = None, keepdims: bool = False) -> Any:
    return np.max(a, axis=axis, keepdims=keepdims) - np.min(a, axis=axis, keepdims=keepdims)


constant(np.argmax, np.argmin, np.any, np.all, np.count_nonzero, np.argsort, np.nonzero, np.flatnonzero, np.argwhere)

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
)


@composite(np.cumprod)
def _cumprod(a: Any, axis: int | None = None, dtype: None = None, out: None = None) -> Any:
    # Doubling: after step k each element is the product of the 2^k elements up to it.
    x = np.copy(np.ravel(a) if axis is None else np.moveaxis(a, axis, 0))
    step = 1
    while step < x.shape[0]:
        x = np.concatenate([x[:step], x[step:] * x[:-step]])
        step *= 2
    return x if axis is None else np.moveaxis(x, 0, axis)


# --- moments ----------------------------------------------------------------------------------------------------------


def _sqrt(x: Any) -> Any:
    return np.sqrt(x)


#: sqrt for a sum of squares, whose root is a norm: at zero its least subgradient is 0, where sqrt' is inf
norm_sqrt: Primitive = elementwise(_sqrt, lambda out: np.where(out == 0, 0, 0.5 / np.where(out == 0, 1, out)))


@composite(np.var)
def _var(
    a: Any, axis: Axis = None, dtype: None = None, out: None = None, ddof: float = 0, keepdims: bool = False,
    *, where: bool = True, mean: Any = None, correction: float | None = None,
) -> Any:  # fmt: skip
    _only_defaults("np.var", dtype=dtype, where=None if where is True else where)
    centred = a - (np.mean(a, axis=axis, keepdims=True) if mean is None else mean)
    ddof = ddof if correction is None else correction
    squares = np.real(centred * np.conjugate(centred)) if np.iscomplexobj(centred) else centred * centred
    return np.sum(squares, axis=axis, keepdims=keepdims) / (count_of(np.shape(a), axis) - ddof)


@composite(np.std)
def _std(a: Any, axis: Axis = None, dtype: None = None, out: None = None, ddof: float = 0, keepdims: bool = False,
         **rest: Any) -> Any:  # fmt: skip
    return norm_sqrt(_var(a, axis, dtype, out, ddof, keepdims, **rest))


def _only_defaults(name: str, **given: Any) -> None:
    for keyword, value in given.items():
        if value is not None:
            raise unsupported_keyword(name, keyword)


# --- the methods of ufuncs --------------------------------------------------------------------------------------------


def _running_extremum(ufunc: np.ufunc) -> Primitive:
    """maximum.accumulate or minimum.accumulate along the first axis."""

    def evaluate(x: Any) -> Any:
        return ufunc.accumulate(x, axis=0)

    evaluate.__name__ = f"{ufunc.__name__}.accumulate"

    def runs(out: Any, x: Any) -> tuple[Any, Any, Any, Any]:
        # A run is a stretch of equal outputs; its members are the places that attain it.
        n = x.shape[0]
        position = np.arange(n).reshape((n,) + (1,) * (x.ndim - 1))
        starts = np.concatenate([np.ones_like(x[:1], dtype=bool), out[1:] != out[:-1]])
        start = np.maximum.accumulate(np.where(starts, position, 0), axis=0)
        ends = np.concatenate([starts[1:], np.ones_like(x[:1], dtype=bool)])
        end = np.flip(np.minimum.accumulate(np.flip(np.where(ends, position, n - 1), 0), axis=0), 0)
        member = x == out
        before = np.concatenate([np.zeros_like(member[:1], dtype=int), np.cumsum(member, axis=0)])
        count = np.maximum(before[1:] - np.take_along_axis(before, start, 0), 1)
        return member, start, end, count

    def vjp(c: Any, out: Any, x: Any) -> Any:
        member, _, end, count = runs(out, x)
        shares = _divided(c, count)
        after = np.concatenate([np.flip(np.cumsum(np.flip(shares, 0), 0), 0), 0 * shares[:1]])
        return np.where(member, after[:-1] - np.take_along_axis(after, end + 1, 0), 0)

    def jvp(t: Any, out: Any, x: Any) -> Any:
        member, start, _, count = runs(out, x)
        sums = np.cumsum(np.where(member, t, 0), 0)
        sums = np.concatenate([0 * sums[:1], sums])
        return _divided(sums[1:] - np.take_along_axis(sums, start, 0), count)

    return rule(
        evaluate,
        vjps=(vjp,),
        jvps=(jvp,),
        because="each output is an extremum over a prefix, and all prefixes share one pass",
    )


def _accumulate(primitive: Primitive) -> Callable[..., Any]:
    def along(x: Any, axis: int = 0, dtype: None = None) -> Any:
        return np.moveaxis(primitive(np.moveaxis(x, axis, 0)), 0, axis)

    return along


def _outer(ufunc: np.ufunc) -> Callable[..., Any]:
    def outer(x: Any, y: Any) -> Any:
        x, y = strong(x), strong(y)
        return ufunc(np.reshape(x, x.shape + (1,) * y.ndim), y)

    return outer


def _reduce(function: Callable[..., Any]) -> Callable[..., Any]:
    def reduce(x: Any, axis: Axis = 0, dtype: None = None, out: None = None, keepdims: bool = False) -> Any:
        return function(x, axis=axis, keepdims=keepdims)

    return reduce


METHODS[np.add, "reduce"] = _reduce(SUM)
METHODS[np.multiply, "reduce"] = _reduce(np.prod)
METHODS[np.maximum, "reduce"] = _reduce(np.max)
METHODS[np.minimum, "reduce"] = _reduce(np.min)
METHODS[np.add, "accumulate"] = lambda x, axis=0: np.cumsum(x, axis=axis)
METHODS[np.multiply, "accumulate"] = lambda x, axis=0: np.cumprod(x, axis=axis)
for _ufunc in (np.maximum, np.minimum):
    METHODS[_ufunc, "accumulate"] = _accumulate(_running_extremum(_ufunc))
_OUTER: tuple[np.ufunc, ...] = (
    np.add, np.subtract, np.multiply, np.divide, np.maximum, np.minimum, np.power, np.hypot, np.arctan2,
)  # fmt: skip
for _outer_ufunc in _OUTER:
    METHODS[_outer_ufunc, "outer"] = _outer(_outer_ufunc)
