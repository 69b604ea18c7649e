"""Shapes: what moves, repeats, joins and cuts elements without computing with them.

A few multilinear primitives (reshape, transpose, broadcast_to, roll, pad, diagonal) and two rules (concatenate, where).
What is rewritten in terms of these and of indexing is in `shared.rules.rearranging`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from shared.core.duck_array import DuckArray
from shared.core.edges import Like, fit
from shared.core.errors import NoRuleError, user_line
from shared.core.facets import FREE, MOVE, NOTHING, Count, Jointly, align, flattened, is_truth, later, of_array, size_of
from shared.core.levels import Tracer
from shared.core.registry import (
    composite,
    constant,
    elementwise,
    infix,
    internal_constant,
    multilinear,
    rule,
    variadic_rule,
)
from shared.rules.indexing import scatter
from shared.rules.reductions import converted, count_of, strong, unwrapped

Axes = int | Sequence[int]

# --- linear in one array ----------------------------------------------------------------------------------------------


def _reshape(x: Any, *, shape: Any, order: str = "C") -> Any:
    return x.reshape(shape, order=order) if isinstance(x, np.ndarray) else np.reshape(x, shape, order)


@of_array
def _reshape_each(primitive: Any, x: Any, *, shape: Any, order: str = "C") -> Any:
    given = np.shape(x)
    shape = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if -1 in shape:
        # NumPy finds the missing length, also of an array without elements; the array is a view without memory.
        shape = np.broadcast_to(np.empty((), bool), given[1:]).reshape(shape).shape
    if order == "C":
        return primitive(x, shape=(given[0], *shape), order=order)
    turned = np.reshape(np.transpose(x, (0, *range(len(given) - 1, 0, -1))), (given[0], *shape[::-1]))
    return np.transpose(turned, (0, *range(len(shape), 0, -1)))


RESHAPE = multilinear(_reshape, lambda c, x, *, shape, order="C": np.reshape(c, x.shape, order),
                      count=FREE, memory="view", batch=_reshape_each, dependence="move")  # fmt: skip


def _only_c_or_f(name: str, order: str) -> str:
    if order not in ("C", "F"):
        raise NoRuleError(f"{name}: order={order!r} depends on the memory layout{user_line()}; say order='C' or 'F'")
    return order


@composite(np.reshape)
def _reshape_call(a: Any, /, shape: Any = None, order: str = "C", *, copy: bool | None = None) -> Any:
    result = RESHAPE(a, shape=shape, order=_only_c_or_f("np.reshape", order))
    return np.copy(result) if copy else result


@composite(np.ravel)
def _ravel(a: Any, order: str = "C") -> Any:
    return RESHAPE(a, shape=(-1,), order=_only_c_or_f("np.ravel", order))


def _transpose(x: Any, *, axes: tuple[int, ...] | None = None) -> Any:
    return x.transpose(axes) if isinstance(x, np.ndarray) else np.transpose(x, axes)


def _transpose_transpose(c: Any, x: Any, *, axes: tuple[int, ...] | None = None) -> Any:
    return np.transpose(c, None if axes is None else tuple(np.argsort([a % len(axes) for a in axes]).tolist()))


@of_array
def _transpose_each(primitive: Any, x: Any, *, axes: tuple[int, ...] | None = None) -> Any:
    ndim = x.ndim
    given = range(ndim - 2, -1, -1) if axes is None else [axis % (ndim - 1) for axis in axes]
    return primitive(x, axes=(0, *(axis + 1 for axis in given)))


TRANSPOSE = multilinear(_transpose, _transpose_transpose,
                        count=FREE, memory="view", batch=_transpose_each, dependence="move")  # fmt: skip


@composite(np.transpose)
def _transpose_call(a: Any, axes: Any = None) -> Any:
    if axes is not None:
        axes = tuple(axes) if np.ndim(axes) else (int(axes),)
    return TRANSPOSE(a, axes=axes)


@of_array
def _broadcast_each(primitive: Any, x: Any, *, shape: Any) -> Any:
    shape = (int(shape),) if isinstance(shape, (int, np.integer)) else tuple(shape)
    given = np.shape(x)
    return primitive(np.reshape(x, (given[0],) + (1,) * (len(shape) + 1 - len(given)) + given[1:]),
                     shape=(given[0], *shape))  # fmt: skip


multilinear(np.broadcast_to, lambda c, x, *, shape: fit(c, x),
            count=FREE, memory="view", batch=_broadcast_each, dependence="move")  # fmt: skip


def _roll_back(c: Any, x: Any, *, shift: Axes, axis: Axes | None = None) -> Any:
    back = tuple(-s for s in shift) if isinstance(shift, (tuple, list)) else -shift  # type: ignore[operator]
    return np.roll(c, back, axis)


@of_array
def _roll_each(primitive: Any, x: Any, *, shift: Any, axis: Any = None) -> Any:
    if axis is None:
        return np.reshape(primitive(flattened(x), shift=shift, axis=1), np.shape(x))
    return primitive(x, shift=shift, axis=later(axis, x.ndim))


multilinear(np.roll, _roll_back, count=MOVE, memory="fresh", batch=_roll_each, dependence="move")


def _pad_zeros(x: Any, *, widths: tuple[tuple[int, int], ...]) -> Any:
    return np.pad(x, widths)


PAD = multilinear(
    _pad_zeros,
    lambda c, x, *, widths: c[tuple(slice(a, a + n) for (a, _), n in zip(widths, x.shape, strict=True))],
    count=MOVE,
    batch=of_array(lambda primitive, x, *, widths: primitive(x, widths=((0, 0), *widths))),
    dependence="move",
)


def _diagonal_transpose(c: Any, x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    first, second = normalize_axis_index(axis1, x.ndim), normalize_axis_index(axis2, x.ndim)
    rest = tuple(n for k, n in enumerate(x.shape) if k not in (first, second))
    moved = Like(np.broadcast_to(np.zeros((), x.dtype), (*rest, x.shape[first], x.shape[second])))
    steps = np.arange(c.shape[-1])
    placed = scatter(c, moved, Ellipsis, steps - min(offset, 0), steps + max(offset, 0))
    return np.moveaxis(placed, (-2, -1), (first, second))


@of_array
def _diagonal_each(primitive: Any, x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    ndim = x.ndim
    return primitive(x, offset=offset, axis1=later(axis1, ndim), axis2=later(axis2, ndim))


multilinear(np.diagonal, _diagonal_transpose,
            count=MOVE, memory="view", batch=_diagonal_each, dependence="move")  # fmt: skip


def _copy(x: Any) -> Any:
    return np.array(x, order="K")


def _copy_c(x: Any) -> Any:
    return np.array(x, order="C")


COPY = elementwise(np.copy, 1, evaluate=_copy, count=MOVE, dependence="zero at zero", linear=(0,))
#: what the method does: its default is C order, which decides whether a later ravel is a view
COPY_C = infix(COPY, _copy_c, dispatches=False)

# --- joining ----------------------------------------------------------------------------------------------------------


def _concatenate(*arrays: Any, axis: int = 0) -> Any:
    return np.concatenate(arrays, axis=axis)


def _pieces(out: Any, values: Sequence[Any], static: dict[str, Any]) -> list[Any]:
    axis = static.get("axis", 0) % len(out.shape)
    before, stop, pieces = (slice(None),) * axis, 0, []
    for value in values:
        start, stop = stop, stop + np.shape(value)[axis]
        pieces.append(((*before, slice(start, stop)), Like(value), Like(out)))
    return pieces


def _cut(c: Any, piece: Any) -> Any:
    c = c[piece[0]]
    dtype = piece[1].dtype
    return c if c.dtype == dtype else (np.real(c) if dtype.kind != "c" else c).astype(dtype)


def _place(t: Any, piece: Any) -> Any:
    index, _, like = piece
    widths = tuple(
        (s.start or 0, n - (n if s.stop is None else s.stop)) for s, n in zip(index, like.shape, strict=False)
    )
    return PAD(t, widths=widths + ((0, 0),) * (len(like.shape) - len(widths))).astype(like.dtype)


def _joined_tangents(out: Any, values: Sequence[Any], tangents: Sequence[Any], static: dict[str, Any]) -> Any:
    return _concatenate(
        *[np.zeros_like(v) if t is None else t for v, t in zip(values, tangents, strict=True)], **static
    )


def _join_each(
    primitive: Any, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]
) -> Any:
    parts = [
        value if flag else np.broadcast_to(value, (size, *np.shape(value)))
        for value, flag in zip(values, batched, strict=True)
    ]
    return primitive(*parts, axis=later(static.get("axis", 0), np.ndim(parts[0])))


CONCATENATE = variadic_rule(
    _concatenate,
    residuals=_pieces,
    pull=_cut,
    push=_place,
    joint_push=_joined_tangents,
    because="linear in all its arguments jointly, not in each",
    count=MOVE,
    batch=_join_each,
    dependence="join",
    linear=Jointly(),
)


@composite(np.concatenate)
def _concatenate_call(arrays: Any, /, axis: int | None = 0, out: None = None, *, dtype: Any = None,
                      casting: str = "same_kind") -> Any:  # fmt: skip
    if axis is None:
        arrays, axis = [np.ravel(a) for a in arrays], 0
    joined = CONCATENATE(*arrays, axis=axis)
    return joined if dtype is None else joined.astype(dtype)


# --- choosing, and questions ------------------------------------------------------------------------------------------


def _chosen_tangent(out: Any, values: Sequence[Any], tangents: Sequence[Any], static: dict[str, Any]) -> Any:
    # A zero of the output's dtype, beside which the tangent of a Python float stays weak.
    zero = out.dtype.type(0)
    first, second = (zero if t is None else t for t in tangents[1:])
    return np.where(values[0], first, second)


rule(
    np.where,
    vjps=(None, lambda c, x: np.where(x, c, 0), lambda c, x: np.where(x, 0, c)),
    jvps=(None, lambda t, x: np.where(x, t, 0), lambda t, x: np.where(x, 0, t)),
    joint_push=_chosen_tangent,
    broadcasts=True,
    because="linear in both choices jointly; a choice and not a product, so no inf * 0 arises",
    alone=np.nonzero,
    count=MOVE,
    memory="fresh",
    dependence="choice",
    linear=Jointly(1, 2),
)
constant(
    np.iscomplexobj, np.isrealobj, np.result_type, np.can_cast, np.may_share_memory, np.shares_memory,
    is_question=True, memory="fresh",
)  # fmt: skip
composite(np.shape)(lambda a: a.shape)
composite(np.ndim)(lambda a: len(a.shape))
composite(np.size)(lambda a, axis=None: a.size if axis is None else count_of(a.shape, axis))


@composite(np.select)
def _select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    result = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        result = np.where(condition, choice, result)
    return result


@composite(np.choose)
def _choose(a: Any, choices: Any, out: None = None, mode: str = "raise") -> Any:
    choices = [choices[k] for k in range(len(choices))]
    index, last = strong(a), len(choices) - 1
    if index.dtype.kind not in "biu":
        raise TypeError(f"np.choose: the index has to be an array of integers{user_line()}")
    if mode == "raise" and np.any((index < 0) | (index > last)):
        raise ValueError("invalid entry in choice array")
    if mode != "raise":
        index = index % (last + 1) if mode == "wrap" else np.clip(index, 0, last)
    result = np.broadcast_to(strong(choices[0]), np.broadcast_shapes(np.shape(choices[0]), index.shape))
    for k in range(1, last + 1):
        result = np.where(index == k, choices[k], result)
    return unwrapped(result if last else np.copy(result))


@composite(np.piecewise)
def _piecewise(x: Any, condlist: Any, funclist: Any, *args: Any, **keywords: Any) -> Any:
    x, functions = strong(x), list(funclist)
    if not isinstance(condlist, (list, tuple)):
        several = np.ndim(condlist) > x.ndim
        given = [condlist[k] for k in range(len(condlist))] if several else [condlist]
    else:
        alone = len(condlist) and not np.ndim(condlist[0]) and x.ndim
        given = [np.asarray(condlist)] if alone else list(condlist)
    conditions: list[Any] = [strong(condition).astype(bool) for condition in given]
    if len(functions) == len(conditions) + 1:
        any_of_them = conditions[0]
        for condition in conditions[1:]:
            any_of_them = np.logical_or(any_of_them, condition)
        conditions.append(np.logical_not(any_of_them))
    if len(functions) != len(conditions):
        raise ValueError(f"with {len(conditions)} condition(s), either {len(conditions)} or {len(conditions) + 1} "
                         "functions are expected")  # fmt: skip
    result = np.zeros_like(x)
    traced = [isinstance(condition, Tracer) for condition in conditions]
    for condition, function, differs in zip(conditions, functions, traced, strict=True):
        if not callable(function):
            result = np.where(condition, converted(function, x.dtype), result)
        elif differs or not x.ndim:
            # Which elements it is given differs from example to example, or from run to run: all of them.
            if differs or condition:
                result = np.where(condition, converted(function(x, *args, **keywords), x.dtype), result)
        elif np.any(condition):
            result[condition] = function(x[condition], *args, **keywords)
    return result


# --- new arrays like another: traced, so that they can be assigned to -------------------------------------------------


def _like(function: Any) -> Any:
    def make(a: Any, *args: Any, **kwargs: Any) -> Any:
        return a.new_like(function, args, kwargs) if isinstance(a, DuckArray) else function(a, *args, **kwargs)

    def like(a: Any, *args: Any, **kwargs: Any) -> Any:
        dtype = kwargs.get("dtype")
        if dtype is not None and np.dtype(dtype).kind not in "fc":
            return function(np.broadcast_to(np.zeros((), a.dtype), a.shape), *args, **kwargs)
        return make(a, *args, **kwargs)

    return like


for _function in (np.zeros_like, np.ones_like, np.empty_like):
    composite(_function)(_like(_function))


@composite(np.full_like)
def _full_like(a: Any, fill_value: Any, dtype: Any = None, **kwargs: Any) -> Any:
    new = np.empty_like(a, dtype=dtype, **kwargs)
    if isinstance(new, DuckArray) and not new.is_array:
        return (np.zeros_like(a, dtype=dtype) + fill_value).astype(new.dtype)
    new[...] = fill_value
    return new


# --- dtypes -----------------------------------------------------------------------------------------------------------


def _astype(x: Any, *, dtype: Any) -> Any:
    return np.asarray(x).astype(dtype)[()] if isinstance(x, (int, float, complex)) else x.astype(dtype)


def _cast(c: Any, *, dtype: Any) -> Any:
    return c


def _cast_tangent(t: Any, *, dtype: Any) -> Any:
    return np.real(t) if np.iscomplexobj(t) and np.dtype(dtype).kind != "c" else t


def _conversion(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    return NOTHING if is_truth(operands[0]) else size_of(out) * MOVE


ASTYPE = rule(
    _astype,
    vjps=(_cast,),
    jvps=(_cast_tangent,),
    broadcasts=True,
    because="the identity, whose cotangent has another dtype than its argument",
    count=_conversion,
    dependence="zero at zero",
    linear=(0,),
)


def _convert(x: Any, *, dtype: Any) -> Any:
    return np.asarray(x).astype(dtype)


CONVERT = internal_constant(_convert, count=_conversion, batch=align)
