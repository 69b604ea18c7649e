"""Rearranging: functions that join, turn, order, repeat and cut arrays, rewritten in terms of others.

All are made of the primitives of `shared.rules.shapes` and of indexing, so none has a derivative of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from shared.core.registry import composite
from shared.rules.reductions import converted, strong
from shared.rules.shapes import RESHAPE, TRANSPOSE, Axes

# --- joining ----------------------------------------------------------------------------------------------------------


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


# --- axes -------------------------------------------------------------------------------------------------------------


def _several(axes: Axes) -> Sequence[int]:
    return [int(axes)] if isinstance(axes, (int, np.integer)) else [int(k) for k in axes]


def _normal(axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis % ndim


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
    elif not shape and _several(axis) in ([0], [-1]):
        gone = set()  # NumPy lets a number have that axis here
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

# --- order and repetition ---------------------------------------------------------------------------------------------


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


@composite(np.sort_complex)
def _sort_complex(a: Any) -> Any:
    ordered = np.sort(a)
    return ordered if ordered.dtype.kind == "c" else ordered.astype(np.result_type(ordered, np.complex128))


@composite(np.partition)
def _partition(a: Any, kth: Any, axis: int | None = -1, kind: Any = "introselect", order: None = None) -> Any:
    if axis is None:
        a, axis = np.ravel(a), 0
    return np.take_along_axis(a, np.argpartition(a, kth, axis=axis, kind=kind), axis=axis)


@composite(np.broadcast_arrays)
def _broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Any, ...]:
    arrays = [strong(a) for a in args]
    shape = np.broadcast_shapes(*(a.shape for a in arrays))
    return tuple(np.broadcast_to(a, shape) for a in arrays)


@composite(np.matrix_transpose)
def _matrix_transpose(x: Any, /) -> Any:
    if np.ndim(x) < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {np.ndim(x)}")
    return np.swapaxes(x, -1, -2)


@composite(np.astype)
def _astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
    return x.astype(dtype, copy=copy)


# --- along axes -------------------------------------------------------------------------------------------------------


@composite(np.apply_along_axis)
def _apply_along_axis(func1d: Any, axis: int, arr: Any, *args: Any, **keywords: Any) -> Any:
    arr = strong(arr)
    axis = _normal(axis, arr.ndim)
    lines = np.moveaxis(arr, axis, -1)
    around = lines.shape[:-1]
    found = [strong(func1d(lines[index], *args, **keywords)) for index in np.ndindex(around)]
    if not found:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    parts = [part if part.dtype == found[0].dtype else part.astype(found[0].dtype) for part in found]
    whole = np.reshape(np.stack(parts), (*around, *found[0].shape))
    own = range(len(around), whole.ndim)
    return np.transpose(whole, (*range(axis), *own, *range(axis, len(around))))


@composite(np.apply_over_axes)
def _apply_over_axes(func: Any, a: Any, axes: Any) -> Any:
    a = strong(a)
    for axis in _several(axes):
        axis = _normal(axis, a.ndim)
        found = func(a, axis)
        a = found if np.ndim(found) == a.ndim else np.expand_dims(found, axis)
    return a


# --- cutting ----------------------------------------------------------------------------------------------------------


@composite(np.array_split)
def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    axis, n = _normal(axis, np.ndim(ary)), np.shape(ary)[axis]
    if not np.ndim(indices_or_sections):
        each, extra = divmod(n, int(indices_or_sections))
        sizes = [each + 1] * extra + [each] * (int(indices_or_sections) - extra)
        cuts = np.cumsum([0, *sizes]).tolist()
    else:
        cuts = [0, *indices_or_sections, n]
    before = (slice(None),) * axis
    return [ary[(*before, slice(a, b))] for a, b in pairwise(cuts)]


@composite(np.split)
def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    if not np.ndim(indices_or_sections) and np.shape(ary)[axis] % indices_or_sections:
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


@composite(np.trace)
def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None) -> Any:
    return np.sum(converted(np.diagonal(a, offset, axis1, axis2), dtype), axis=-1)


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
