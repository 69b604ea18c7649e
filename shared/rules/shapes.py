"""Shapes: what moves, repeats, joins and cuts elements without computing with them.

A few multilinear primitives (reshape, transpose, broadcast_to, roll, pad), two rules (concatenate, where), and the
rest rewritten in terms of these and of indexing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from shared.core.duck_array import DuckArray
from shared.core.errors import NoRuleError, user_line
from shared.core.facets import FREE, MOVE, NOTHING, Count, Jointly, align, flattened, is_truth, later, of_array, size_of
from shared.core.primitive import Like, fit
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
from shared.rules.reductions import count_of

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
    return TRANSPOSE(a, axes=None if axes is None else tuple(axes))


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


#: The ways of padding that repeat elements.
_REPEATING = ("edge", "reflect", "symmetric", "wrap")


@composite(np.pad)
def _pad(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0,
         reflect_type: str = "even") -> Any:  # fmt: skip
    if mode not in ("constant", *_REPEATING) or reflect_type != "even":
        raise NoRuleError(
            f"np.pad: mode={mode!r}, reflect_type={reflect_type!r} has no derivative rule{user_line()}; use "
            f"mode='constant', {', '.join(map(repr, _REPEATING))}, or np.concatenate"
        )
    shape = np.shape(array)
    if not shape:
        return np.copy(array)
    widths = tuple((int(a), int(b)) for a, b in np.broadcast_to(np.asarray(pad_width), (len(shape), 2)))
    if mode != "constant":
        for axis, (n, width) in enumerate(zip(shape, widths, strict=True)):
            if any(width):
                array = np.take(array, np.pad(np.arange(n), width, mode), axis=axis)
        return array if any(map(any, widths)) else np.copy(array)
    padded = PAD(array, widths=widths)
    if isinstance(constant_values, (int, float)) and constant_values == 0:
        return padded
    if np.ndim(constant_values):
        if isinstance(constant_values, DuckArray):
            raise NoRuleError(f"np.pad: traced constant_values must be one number{user_line()}")
        return padded + np.pad(np.zeros(shape, array.dtype), widths, constant_values=constant_values)
    inside = np.pad(np.ones(shape, bool), widths)
    return np.where(inside, padded, constant_values)


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


@composite(np.stack)
def _stack(arrays: Any, axis: int = 0, out: None = None, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    arrays = list(arrays)
    if len({np.shape(a) for a in arrays}) > 1:
        raise ValueError("all input arrays must have the same shape")
    return np.concatenate([np.expand_dims(a, axis) for a in arrays], axis=axis, dtype=dtype)


@composite(np.vstack)
def _vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    return np.concatenate([np.atleast_2d(a) for a in tup], axis=0, dtype=dtype)


@composite(np.hstack)
def _hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    arrays = [np.atleast_1d(a) for a in tup]
    return np.concatenate(arrays, axis=0 if arrays and np.ndim(arrays[0]) == 1 else 1, dtype=dtype)


@composite(np.dstack)
def _dstack(tup: Any) -> Any:
    return np.concatenate([np.atleast_3d(a) for a in tup], axis=2)


@composite(np.column_stack)
def _column_stack(tup: Any) -> Any:
    columns = [np.reshape(a, (-1, 1)) if np.ndim(a) < 2 else a for a in tup]
    return np.concatenate(columns, axis=1)


@composite(np.append)
def _append(arr: Any, values: Any, axis: int | None = None) -> Any:
    if axis is None:
        return np.concatenate([np.ravel(arr), np.ravel(values)])
    return np.concatenate([arr, values], axis=axis)


@composite(np.block)
def _block(arrays: Any) -> Any:
    depth, rank = _nesting(arrays)
    rank = max(rank, depth)

    def joined(part: Any, axis: int) -> Any:
        if isinstance(part, list):
            return np.concatenate([joined(p, axis + 1) for p in part], axis=axis)
        return np.reshape(part, (1,) * (rank - np.ndim(part)) + np.shape(part))

    result = joined(arrays, -depth)
    return result if depth else np.copy(result)


def _nesting(arrays: Any) -> tuple[int, int]:
    """How deep the lists of a block are nested, and the largest number of axes of an array in them."""
    if isinstance(arrays, tuple):
        raise TypeError("np.block: only lists can be used to arrange blocks, and np.block does not allow tuples")
    if not isinstance(arrays, list):
        return 0, np.ndim(arrays)
    if not arrays:
        raise ValueError("np.block: a list cannot be empty")
    found = [_nesting(part) for part in arrays]
    if len({depth for depth, _ in found}) > 1:
        raise ValueError("np.block: list depths are mismatched")
    return found[0][0] + 1, max(rank for _, rank in found)


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


# --- rewritten: axes --------------------------------------------------------------------------------------------------


def _several(axes: Axes) -> Sequence[int]:
    return [int(axes)] if isinstance(axes, (int, np.integer)) else [int(k) for k in axes]


def _normal(axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis % ndim


@composite(np.ravel)
def _ravel(a: Any, order: str = "C") -> Any:
    return RESHAPE(a, shape=(-1,), order=_only_c_or_f("np.ravel", order))


@composite(np.swapaxes)
def _swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    axes = list(range(np.ndim(a)))
    p, q = _normal(axis1, len(axes)), _normal(axis2, len(axes))
    axes[p], axes[q] = axes[q], axes[p]
    return TRANSPOSE(a, axes=tuple(axes))


@composite(np.moveaxis)
def _moveaxis(a: Any, source: Axes, destination: Axes) -> Any:
    ndim = np.ndim(a)
    sources = [_normal(s, ndim) for s in _several(source)]
    targets = [_normal(d, ndim) for d in _several(destination)]
    axes = [k for k in range(ndim) if k not in sources]
    for target, s in sorted(zip(targets, sources, strict=True)):
        axes.insert(target, s)
    return TRANSPOSE(a, axes=tuple(axes))


@composite(np.rollaxis)
def _rollaxis(a: Any, axis: int, start: int = 0) -> Any:
    axis, start = _normal(axis, np.ndim(a)), start + np.ndim(a) if start < 0 else start
    return np.moveaxis(a, axis, start - 1 if axis < start else start)


@composite(np.expand_dims)
def _expand_dims(a: Any, axis: Axes) -> Any:
    axes = _several(axis)
    ndim = np.ndim(a) + len(axes)
    new = {_normal(int(k), ndim) for k in axes}
    old = iter(np.shape(a))
    return RESHAPE(a, shape=tuple(1 if k in new else next(old) for k in range(ndim)))


@composite(np.squeeze)
def _squeeze(a: Any, axis: Axes | None = None) -> Any:
    shape = np.shape(a)
    if axis is None:
        gone = {k for k, n in enumerate(shape) if n == 1}
    else:
        gone = {_normal(k, len(shape)) for k in _several(axis)}
        if any(shape[k] != 1 for k in gone):
            raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return RESHAPE(a, shape=tuple(n for k, n in enumerate(shape) if k not in gone))


def _at_least(rank: int) -> Any:
    def one(a: Any) -> Any:
        shape = np.shape(a)
        if len(shape) >= rank:
            return a
        if rank == 3 and len(shape) == 2:
            return np.reshape(a, (*shape, 1))
        if rank == 3 and len(shape) == 1:
            return np.reshape(a, (1, *shape, 1))
        return np.reshape(a, (1,) * (rank - len(shape)) + shape)

    def at_least(*arrays: Any) -> Any:
        results = tuple(one(a) for a in arrays)
        return results[0] if len(results) == 1 else results

    return at_least


composite(np.atleast_1d)(_at_least(1))
composite(np.atleast_2d)(_at_least(2))
composite(np.atleast_3d)(_at_least(3))

# --- rewritten: order and repetition ----------------------------------------------------------------------------------


@composite(np.flip)
def _flip(m: Any, axis: Axes | None = None) -> Any:
    ndim = np.ndim(m)
    if not ndim:
        return np.positive(m)
    axes = range(ndim) if axis is None else _several(axis)
    turned = {_normal(k, ndim) for k in axes}
    return m[tuple(slice(None, None, -1) if k in turned else slice(None) for k in range(ndim))]


@composite(np.flipud)
def _flipud(m: Any) -> Any:
    return np.flip(m, 0)


@composite(np.fliplr)
def _fliplr(m: Any) -> Any:
    return np.flip(m, 1)


@composite(np.rot90)
def _rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    k %= 4
    if k == 2:
        return np.flip(m, axes)
    if k == 1:
        return np.swapaxes(np.flip(m, axes[1]), *axes)
    return np.flip(np.swapaxes(m, *axes), axes[1]) if k == 3 else m[...]


@composite(np.tile)
def _tile(A: Any, reps: Any) -> Any:
    counts = (reps,) if isinstance(reps, (int, np.integer)) else tuple(reps)
    shape = (1,) * (len(counts) - np.ndim(A)) + np.shape(A)
    counts = (1,) * (len(shape) - len(counts)) + counts
    apart = tuple(n for size in shape for n in (1, size))
    repeated = tuple(n for count, size in zip(counts, shape, strict=True) for n in (count, size))
    spread = np.broadcast_to(np.reshape(A, apart), repeated)
    return np.copy(np.reshape(spread, tuple(c * n for c, n in zip(counts, shape, strict=True))))


@composite(np.repeat)
def _repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    if axis is None or (not np.ndim(a) and axis in (0, -1)):
        a, axis = np.ravel(a), 0
    return np.take(a, np.repeat(np.arange(np.shape(a)[axis]), repeats), axis=axis)


@composite(np.sort)
def _sort(a: Any, axis: int | None = -1, kind: Any = None, order: None = None, *, stable: Any = None) -> Any:
    if axis is None:
        a, axis = np.ravel(a), 0
    return np.take_along_axis(a, np.argsort(a, axis=axis, kind=kind or "stable"), axis=axis)


# --- rewritten: cutting -----------------------------------------------------------------------------------------------


@composite(np.array_split)
def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    axis, n = _normal(axis, np.ndim(ary)), np.shape(ary)[axis]
    if isinstance(indices_or_sections, (int, np.integer)):
        each, extra = divmod(n, int(indices_or_sections))
        sizes = [each + 1] * extra + [each] * (int(indices_or_sections) - extra)
        cuts = np.cumsum([0, *sizes]).tolist()
    else:
        cuts = [0, *indices_or_sections, n]
    before = (slice(None),) * axis
    return [ary[(*before, slice(a, b))] for a, b in pairwise(cuts)]


@composite(np.split)
def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    if isinstance(indices_or_sections, (int, np.integer)) and np.shape(ary)[axis] % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return np.array_split(ary, indices_or_sections, axis)


@composite(np.hsplit)
def _hsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return np.split(ary, indices_or_sections, 0 if np.ndim(ary) == 1 else 1)


@composite(np.vsplit)
def _vsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return np.split(ary, indices_or_sections, 0)


@composite(np.dsplit)
def _dsplit(ary: Any, indices_or_sections: Any) -> list[Any]:
    return np.split(ary, indices_or_sections, 2)


def _unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
    return tuple(np.moveaxis(x, axis, 0))


if hasattr(np, "unstack"):  # NumPy 2.1
    composite(np.unstack)(_unstack)


def _diagonal_transpose(c: Any, x: Any, *, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    first, second = _normal(axis1, x.ndim), _normal(axis2, x.ndim)
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


@composite(np.trace)
def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: None = None, out: None = None) -> Any:
    return np.sum(np.diagonal(a, offset, axis1, axis2), axis=-1)


@composite(np.diag)
def _diag(v: Any, k: int = 0) -> Any:
    if np.ndim(v) == 2:
        return np.diagonal(v, k)
    if np.ndim(v) != 1:
        raise ValueError("Input must be 1- or 2-d.")
    n = len(v) + abs(k)
    column = np.pad(v, (0, abs(k)))
    return np.where(np.eye(n, k=k, dtype=bool), np.reshape(column, (n, 1) if k >= 0 else (1, n)), 0)


@composite(np.diagflat)
def _diagflat(v: Any, k: int = 0) -> Any:
    return np.diag(np.ravel(v), k)


@composite(np.tril)
def _tril(m: Any, k: int = 0) -> Any:
    return np.where(np.tri(*np.shape(m)[-2:], k=k, dtype=bool), m, 0)


@composite(np.triu)
def _triu(m: Any, k: int = 0) -> Any:
    return np.where(np.tri(*np.shape(m)[-2:], k=k - 1, dtype=bool), 0, m)


@composite(np.diff)
def _diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = np._NoValue, append: Any = np._NoValue) -> Any:
    axis = _normal(axis, np.ndim(a))
    if n == 0:
        return a
    around = [prepend, a, append]
    edge = tuple(1 if k == axis else m for k, m in enumerate(np.shape(a)))
    parts = [np.broadcast_to(p, edge) if np.ndim(p) == 0 else p for p in around if p is not np._NoValue]
    if len(parts) > 1:
        a = np.concatenate(parts, axis=axis)
    before = (slice(None),) * axis
    difference = np.not_equal if getattr(a, "dtype", None) == np.bool_ else np.subtract
    for _ in range(n):
        a = difference(a[(*before, slice(1, None))], a[(*before, slice(None, -1))])
    return a


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
