"""Indexing: reading elements is linear, and its transpose adds the cotangent where the elements were read.

Functions that write into an array are rewritten as assignments, which a level knows what to do with.

The accumulating transposes cost the size of what was read, so a loop that reads an array element by element has a
gradient that is linear in the length of the loop.

The index of many examples: NumPy puts the axes of advanced indices where these stand if they stand together, and first
if something stands between them (NumPy's documentation, "Combining advanced and basic indexing").  The axis of the
examples takes part in that, so it may have to be moved afterwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from shared.core.assignment import ADD_AT, UpdatePrimitive
from shared.core.duck_array import DuckArray
from shared.core.edges import PYTHON_NUMBERS
from shared.core.errors import NoRuleError, TracerConversionError, user_line
from shared.core.facets import MOVE
from shared.core.levels import Tracer
from shared.core.registry import composite, multilinear
from shared.core.writing import read, write
from shared.rules.reductions import asked, converted, strong


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


def _read_tangent(t: Any, kept: Any) -> Any:
    # The index of the elements may vary among examples that share the tangent.
    return read(np.asarray(t)[()] if t.__class__ in PYTHON_NUMBERS else t, tuple(kept[1:-1]))


def _read_each(
    primitive: Any, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]
) -> Any:
    x = values[0]
    if not any(batched[1:]) and all(part.__class__ in BASIC for part in values[1:]):
        return x[(slice(None), *values[1:])]
    where = batched_index(size, values[1:], batched[1:], np.ndim(x) - batched[0], batched[0])
    return where.arranged(read(x, where.whole))


_getitem.__name__ = "getitem"
GETITEM = multilinear(
    _getitem, scatter, accumulate=_deposit, push=_read_tangent, is_index=True,
    count=MOVE, memory="view", batch=_read_each, dependence="index",
)  # fmt: skip


@composite(np.take)
def _take(a: Any, indices: Any, axis: int | None = None, out: None = None, mode: str = "raise") -> Any:
    if axis is None:
        a, axis = np.ravel(a), 0
    axis = normalize_axis_index(axis, np.ndim(a))
    indices = indices if isinstance(indices, Tracer) else np.asarray(indices)
    if not indices.size and indices.dtype.kind == "f":
        indices = indices.astype(np.intp)  # an empty list
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
    return read(arr, _grid(np.shape(arr), indices, axis))


def _grid(shape: tuple[int, ...], indices: Any, axis: int) -> tuple[Any, ...]:
    """The index by which `indices` are places along one axis, and every other axis keeps its own."""
    grid = []
    for k, n in enumerate(shape):
        column = [1] * indices.ndim
        column[k] = n
        grid.append(indices if k == axis else np.arange(n).reshape(column))
    return tuple(grid)


@composite(np.compress)
def _compress(condition: Any, a: Any, axis: int | None = None, out: None = None) -> Any:
    return np.take(a, np.flatnonzero(condition), axis=axis)


@composite(np.extract)
def _extract(condition: Any, arr: Any) -> Any:
    return np.ravel(arr)[np.flatnonzero(np.ravel(condition))]


# --- arrays made of traced numbers, and writing into arrays -----------------------------------------------------------


def assembled(values: Any) -> Any:
    """An array of nested lists in which traced numbers may stand, or of what is an array already."""
    if not isinstance(values, (list, tuple)):
        return strong(values)
    return np.stack([assembled(part) for part in values]) if _holds_tracer(values) else np.asarray(values)


def _holds_tracer(values: Any) -> bool:
    return isinstance(values, Tracer) or (isinstance(values, (list, tuple)) and any(map(_holds_tracer, values)))


def made_of(like: DuckArray, function: Any, values: Any, dtype: Any = None, *_: Any, **given: Any) -> Any:
    """`np.array(values, like=like)` and its kin, where values are traced; NotImplemented where none is."""
    if function is np.fromiter:
        values = list(values)
        values = values[: given["count"]] if given.get("count", -1) >= 0 else values
    if not _holds_tracer(values):
        return NotImplemented
    new: Any = converted(assembled(values), dtype)
    if function is np.array and given.get("copy", True):
        new = np.copy(new)
    missing = given.get("ndmin", 0) - new.ndim
    new = np.reshape(new, (1,) * missing + new.shape) if missing > 0 else new
    return like.lift(new) if new.level.number < like.level.number else new


def _traced(name: str, array: Any) -> DuckArray:
    """The array that a function writes into, which has to be able to hold what it is given."""
    if not isinstance(array, DuckArray):
        raise TracerConversionError(
            f"{name} of traced values into a plain array{user_line()}: make the array with np.zeros(n, like=x) or "
            "np.zeros_like(x), of all that may vary"
        )
    if not array.is_array:
        raise TypeError(f"{name}: a traced scalar does not support item assignment")
    return array


def _repeated(values: Any, size: int) -> Any:
    """As many elements as are wanted, from the first on and round again."""
    values = np.ravel(assembled(values))
    if size and not values.size:
        raise ValueError("Cannot insert from an empty array!")
    return values if values.size == size else np.take(values, np.arange(size) % max(values.size, 1))


def _unravelled(places: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    """The index of elements that are counted through the whole array; `np.unravel_index` of traced integers, too."""
    index: list[Any] = []
    for n in reversed(shape):
        index.insert(0, places % max(n, 1))
        places = places // max(n, 1)
    return tuple(index)


@composite(np.copyto)
def _copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    dst, src = _traced("np.copyto", dst), assembled(src)
    if not np.can_cast(src.dtype, dst.dtype, casting):  # type: ignore[arg-type]
        raise TypeError(f"Cannot cast array data from {src.dtype} to {dst.dtype} according to the rule {casting!r}")
    dst[...] = np.where(where, converted(src, dst.dtype), dst) if asked(where) else src


@composite(np.putmask)
def _putmask(a: Any, /, mask: Any, values: Any) -> None:
    a = _traced("np.putmask", a)
    values = converted(_repeated(values, a.size), a.dtype)
    a[...] = np.where(mask, np.reshape(values, a.shape), a)


@composite(np.place)
def _place(arr: Any, mask: Any, vals: Any) -> None:
    arr = _traced("np.place", arr)
    vals = converted(np.ravel(assembled(vals)), arr.dtype)
    if not vals.size and np.any(mask):
        raise ValueError("Cannot insert from an empty array!")
    mask = np.reshape(strong(mask), arr.shape)
    rank = np.reshape(np.cumsum(np.ravel(mask)) - 1, arr.shape)
    if vals.size:
        arr[...] = np.where(mask, read(vals, rank % vals.size), arr)


@composite(np.put)
def _put(a: Any, ind: Any, v: Any, mode: str = "raise") -> None:
    a, places = _traced("np.put", a), np.ravel(strong(ind)).astype(np.intp)
    if mode != "raise":
        places = places % a.size if mode == "wrap" else np.clip(places, 0, a.size - 1)
    if np.any((places < -a.size) | (places >= a.size)):
        raise IndexError(f"an index of np.put is out of bounds for an array of {a.size} elements")
    a[_unravelled(places % max(a.size, 1), a.shape)] = _repeated(v, places.size)


@composite(np.put_along_axis)
def _put_along_axis(arr: Any, indices: Any, values: Any, axis: int | None = -1) -> None:
    arr = _traced("np.put_along_axis", arr)
    indices = indices if isinstance(indices, Tracer) else np.asarray(indices)
    if axis is None:
        arr[_unravelled(indices % max(arr.size, 1), arr.shape)] = assembled(values)
        return
    arr[_grid(arr.shape, indices, normalize_axis_index(axis, arr.ndim))] = assembled(values)


@composite(np.fill_diagonal)
def _fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    a = _traced("np.fill_diagonal", a)
    if a.ndim < 2:
        raise ValueError("array must be at least 2-d")
    if a.ndim > 2 and len(set(a.shape)) > 1:
        raise ValueError("All dimensions of input must be of equal length")
    places = np.arange(a.size).reshape(a.shape)
    step = a.shape[1] + 1 if a.ndim == 2 else int(1 + np.cumprod(a.shape[:-1]).sum())
    flat = places.ravel()[: a.shape[1] ** 2 if a.ndim == 2 and not wrap else None : step]
    a[np.unravel_index(flat, a.shape)] = _repeated(val, flat.size)


class FlatElements:
    """`x.flat` of a traced array: its elements in a line, which can be read, assigned to and iterated over."""

    __slots__ = ("array",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, array: Any):
        self.array = array

    def __len__(self) -> int:
        size: int = self.array.size
        return size

    def __iter__(self) -> Any:
        return iter(np.ravel(self.array))

    def __getitem__(self, index: Any) -> Any:
        found = np.ravel(self.array)[index]
        return np.copy(found) if isinstance(index, slice) else found

    def __setitem__(self, index: Any, value: Any) -> None:
        places = np.arange(self.array.size)[index]
        value = assembled(value)
        self.array[np.unravel_index(places, self.array.shape)] = _repeated(value, places.size) if places.ndim else value


# --- the index of many examples ---------------------------------------------------------------------------------------

_BETWEEN = (slice, type(None), type(Ellipsis))


class BatchedIndex:
    """One index of all examples, and where the result's axes go.

    `whole` indexes the array of all examples (or the one array that they share); the result, or the value to be
    assigned, has axes `found` where the examples in turn would have axes `wanted`, counted with the examples first.
    """

    __slots__ = ("found", "wanted", "whole")

    def __init__(self, whole: tuple[Any, ...], found: tuple[int, ...] = (), wanted: tuple[int, ...] = ()):
        self.whole = whole
        self.found = found
        self.wanted = wanted

    def arranged(self, result: Any) -> Any:
        """What `x[whole]` gave, with the examples first."""
        return np.moveaxis(result, self.found, self.wanted) if self.found != self.wanted else result

    def rearranged(self, value: Any) -> Any:
        """A value with the examples first, as `x[whole] = ...` takes it."""
        return np.moveaxis(value, self.wanted, self.found) if self.found != self.wanted else value


def batched_index(
    size: int, index: Sequence[Any], batched: Sequence[bool], ndim: int, array_is_batched: bool
) -> BatchedIndex:
    """The index of all `size` examples that does what `index` does to each, an array of `ndim` axes.

    `batched[k]` says whether part k of the index is one for each example, along a leading axis; `array_is_batched`,
    whether the array indexed has such an axis, or is one array for all examples.
    """
    if not any(batched):
        whole = (slice(None), *index) if array_is_batched else tuple(index)
        if not _stands_apart(index):
            return BatchedIndex(whole)
        rank = max((_rank(part) for part in index if _is_advanced(part)), default=0)
        return BatchedIndex(whole, (rank,), (0,))
    apart = _stands_apart(index)
    parts, flags = _without_masks_and_ellipsis(index, batched, ndim)
    rank = max(np.ndim(part) - flag for part, flag in zip(parts, flags, strict=True) if _is_advanced(part))
    parts = [
        np.reshape(part, (size,) + (1,) * (rank + 1 - np.ndim(part)) + np.shape(part)[1:]) if flag else part
        for part, flag in zip(parts, flags, strict=True)
    ]
    before = next(k for k, part in enumerate(parts) if _is_advanced(part))
    if array_is_batched:
        examples = np.arange(size).reshape((size,) + (1,) * rank)
        # The examples' own index stands first, so the advanced axes come first, whether together or apart.
        move = range(1, rank + 1) if before and not apart else ()
        return BatchedIndex((examples, *parts), tuple(move), tuple(axis + before for axis in move))
    return BatchedIndex(tuple(parts), (0 if apart else before,), (0,))


def _is_advanced(part: Any) -> bool:
    """Whether a part counts as an advanced index beside an array: integers do."""
    return not isinstance(part, _BETWEEN)


def _is_array(part: Any) -> bool:
    return hasattr(part, "ndim") or isinstance(part, bool)


def _rank(part: Any) -> int:
    """How many axes an index part contributes to the axes of the advanced indices."""
    if isinstance(part, (bool, np.bool_)):
        return 1
    if getattr(getattr(part, "dtype", None), "kind", "i") == "b":
        return 1
    return int(np.ndim(part))


def _stands_apart(index: Sequence[Any]) -> bool:
    """Whether something stands between advanced indices, so that their axes come first."""
    if not any(_is_array(part) and not isinstance(part, np.integer) for part in index):
        return False
    places = [k for k, part in enumerate(index) if _is_advanced(part)]
    return places[-1] - places[0] >= len(places)


def _without_masks_and_ellipsis(
    index: Sequence[Any], batched: Sequence[bool], ndim: int
) -> tuple[list[Any], list[bool]]:
    """The same index with masks as the integers they stand for, and the ellipsis as slices."""
    parts: list[Any] = []
    flags: list[bool] = []
    place = None
    for part, flag in zip(index, batched, strict=True):
        if part is Ellipsis:
            place = len(parts)
            continue
        kind = "b" if isinstance(part, bool) else getattr(getattr(part, "dtype", None), "kind", "")
        if kind != "b":
            parts.append(part)
            flags.append(flag)
        elif flag or not np.ndim(part):
            raise NoRuleError(
                f"a mask of each example of vmap as an index{user_line()}: the number of elements that it chooses "
                "differs among the examples; use np.where(mask, x, other)"
            )
        else:
            chosen = np.nonzero(part)
            parts.extend(chosen)
            flags.extend([False] * len(chosen))
    missing = ndim - sum(part is not None for part in parts)
    if place is None:
        place = len(parts)
    parts[place:place] = [slice(None)] * missing
    flags[place:place] = [False] * missing
    return parts, flags
