"""Indexing: reading elements is linear, and its transpose adds the cotangent where the elements were read.

The accumulating transposes cost the size of what was read, so a loop that reads an array element by element has a
gradient that is linear in the length of the loop.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from shared.core.assignment import ADD_AT, UpdatePrimitive
from shared.core.duck_array import DuckArray
from shared.core.levels import Tracer
from shared.core.primitive import PYTHON_NUMBERS
from shared.core.registry import composite, multilinear
from shared.core.writing import read, write


def _getitem(x: Any, *index: Any) -> Any:
    return x[index]


def _add(buffer: Any, index: Any, value: Any) -> None:
    buffer[index] += value


def _add_to_view(buffer: Any, index: Any, value: Any) -> None:
    part = buffer[index]
    if part.__class__ is np.ndarray:
        np.add(part, value, part)
    else:
        buffer[index] = part + value


#: `x[index] += value` where no element is meant twice, which is faster than `ADD_AT`
ADD_ONCE = UpdatePrimitive("add_once", _add)
#: the same where the index gives a view, which is faster again
ADD_TO_VIEW = UpdatePrimitive("add_to_view", _add_to_view)


#: The index types that are no arrays: they give views, name no element twice, and need no protection from change.
BASIC = frozenset((int, slice, type(None), type(Ellipsis)))


def _deposit(accumulator: Any, c: Any, x: Any, *index: Any) -> Any:
    primitive = ADD_TO_VIEW
    for i in index:
        if i.__class__ not in BASIC:
            # An array of integers may name an element twice; no other index can.
            if isinstance(i, (np.ndarray, DuckArray)) and i.dtype.kind != "b":
                return write(accumulator, ADD_AT, index, c)
            primitive = ADD_ONCE
    return write(accumulator, primitive, index, c)


def scatter(c: Any, x: Any, *index: Any) -> Any:
    """Zeros like `x`, with `c` added at `index`: the transpose of reading."""
    return _deposit(x.zeros(), c, x, *index)


_getitem.__name__ = "getitem"
GETITEM = multilinear(_getitem, scatter, accumulate=_deposit)
GETITEM.arguments, GETITEM.is_index = None, True


def _read_tangent(t: Any, kept: Any) -> Any:
    return read(np.asarray(t)[()] if t.__class__ in PYTHON_NUMBERS else t, tuple(kept[1:-1]))


# The index of the elements may vary among examples that share the tangent.
_edge: Any = GETITEM.edges[0]
_edge.push = _read_tangent


@composite(np.take)
def _take(a: Any, indices: Any, axis: int | None = None, out: None = None, mode: str = "raise") -> Any:
    if axis is None:
        a, axis = np.ravel(a), 0
    axis = normalize_axis_index(axis, np.ndim(a))
    indices = indices if isinstance(indices, Tracer) else np.asarray(indices)
    if mode != "raise":
        n = np.shape(a)[axis]
        indices = indices % n if mode == "wrap" else np.clip(indices, 0, n - 1)
    taken = a[(slice(None),) * axis + (indices[()],)]
    # One index gives a view of the array, but np.take always copies.
    return taken if indices.ndim or not np.ndim(taken) else np.copy(taken)


@composite(np.take_along_axis)
def _take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    if axis is None:
        arr, axis = np.ravel(arr), 0
    axis = normalize_axis_index(axis, np.ndim(arr))
    indices = indices if isinstance(indices, Tracer) else np.asarray(indices)
    grid = []
    for k, n in enumerate(np.shape(arr)):
        shape = [1] * indices.ndim
        shape[k] = n
        grid.append(indices if k == axis else np.arange(n).reshape(shape))
    return arr[tuple(grid)]


@composite(np.compress)
def _compress(condition: Any, a: Any, axis: int | None = None, out: None = None) -> Any:
    return np.take(a, np.flatnonzero(condition), axis=axis)


@composite(np.extract)
def _extract(condition: Any, arr: Any) -> Any:
    return np.ravel(arr)[np.flatnonzero(np.ravel(condition))]
