"""Longer and shorter arrays: padding, windows, elements put in and taken out, rewritten in terms of other functions.

Where elements go is found out by NumPy itself, on an array of indices.  This module knows nothing of derivatives.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple
from numpy.lib.stride_tricks import sliding_window_view

from shared.core.errors import NoRuleError, unsupported_keyword, user_line
from shared.core.facets import FREE, Count, later, of_array
from shared.core.levels import Tracer
from shared.core.primitive import Primitive
from shared.core.registry import composite, multilinear
from shared.rules.indexing import assembled
from shared.rules.reductions import converted, strong
from shared.rules.shapes import PAD

# --- padding ----------------------------------------------------------------------------------------------------------

Pair = tuple[Any, Any]
Widths = tuple[int, int]
_HOW_WIDE = "write how many elements come before and after along each axis, such as ((1, 2), (0, 0))"

#: The ways of padding, and the keywords that each has
_MODES: dict[str, tuple[str, ...]] = {
    "constant": ("constant_values",), "edge": (), "linear_ramp": ("end_values",), "empty": (), "wrap": (),
    "reflect": ("reflect_type",), "symmetric": ("reflect_type",),
    "maximum": ("stat_length",), "mean": ("stat_length",), "median": ("stat_length",), "minimum": ("stat_length",),
}  # fmt: skip
_STATISTICS: dict[str, Callable[..., Any]] = {
    "maximum": np.max,
    "mean": np.mean,
    "median": np.median,
    "minimum": np.min,
}


def _pairs(values: Any, ndim: int) -> list[Pair]:
    """What is given for each side of each axis, from one for all, one for each side, or all of them."""
    values = assembled(values)
    spread = np.broadcast_to(values, (ndim, 2))
    return [(spread[k, 0], spread[k, 1]) for k in range(ndim)]


def _widths(given: Any, ndim: int) -> tuple[Widths, ...]:
    if isinstance(given, dict):
        pairs = [(0, 0)] * ndim
        for axis, width in given.items():
            pairs[axis] = (width, width) if isinstance(width, (int, np.integer)) else tuple(width)
        given = pairs
    widths = np.asarray(given)
    if widths.dtype.kind not in "iu":
        raise TypeError(f"np.pad: pad_width has to be of integers, not of {widths.dtype}{user_line()}; {_HOW_WIDE}")
    if np.any(widths < 0):
        raise ValueError(f"np.pad: pad_width has negative numbers{user_line()}; {_HOW_WIDE}, and x[1:-1] to cut off")
    return tuple((int(a), int(b)) for a, b in np.broadcast_to(widths, (ndim, 2)))


@composite(np.pad)
def _pad(array: Any, pad_width: Any, mode: Any = "constant", **keywords: Any) -> Any:
    array = strong(array)
    widths = _widths(pad_width, array.ndim)
    if callable(mode):
        return _padded_by(mode, array, widths, keywords)
    if mode not in _MODES:
        raise ValueError(f"np.pad: there is no mode {mode!r}{user_line()}; write one of {', '.join(_MODES)}")
    unknown = set(keywords) - set(_MODES[mode])
    if unknown:
        known = ", ".join(_MODES[mode]) or "none"
        raise ValueError(f"np.pad: unsupported keywords {sorted(unknown)}{user_line()}; mode {mode!r} takes {known}")
    if not any(map(any, widths)):
        return np.copy(array)
    constant_values = keywords.get("constant_values", 0)
    if mode == "empty" or (isinstance(constant_values, (int, float)) and constant_values == 0 and mode == "constant"):
        return PAD(array, widths=widths)
    sides = _sides(mode, keywords, array.ndim)
    for axis, (width, side) in enumerate(zip(widths, sides, strict=True)):
        if any(width):
            moved = np.moveaxis(array, axis, 0)
            array = np.moveaxis(_padded(moved, width, mode, side, keywords.get("reflect_type", "even")), 0, axis)
    return array


def _sides(mode: str, keywords: dict[str, Any], ndim: int) -> list[Pair]:
    """The values at both sides of each axis that a mode wants: constants, ends of ramps, lengths of statistics."""
    if mode == "constant":
        return _pairs(keywords.get("constant_values", 0), ndim)
    if mode == "linear_ramp":
        return _pairs(keywords.get("end_values", 0), ndim)
    length = keywords.get("stat_length")
    return [(None, None)] * ndim if length is None else _pairs(length, ndim)


def _padded(x: Any, width: Widths, mode: str, side: Pair, reflect_type: str) -> Any:
    """An array padded along its first axis."""
    n = x.shape[0]
    if mode in ("edge", "reflect", "symmetric", "wrap"):
        if reflect_type == "odd" and n > 1:
            return _reflected_at_ends(x, width, mode)
        if not n:
            raise ValueError(f"np.pad: mode {mode!r} has nothing to extend an empty axis by{user_line()}; write "
                             'mode="constant"')  # fmt: skip
        return np.take(x, np.pad(np.arange(n), width, mode), axis=0)
    if mode == "constant":
        before, after = (_block(value, count, x) for value, count in zip(side, width, strict=True))
    elif mode == "linear_ramp":
        before, after = _ramp(side[0], x[:1], width[0]), _ramp(side[1], x[-1:], width[1])[::-1]
    else:
        before, after = (
            _block(_statistic(mode, x, side[k], k), count, x) for k, count in enumerate(width)
        )  # fmt: skip
    return np.concatenate([before, x, after])


def _block(value: Any, count: int, x: Any) -> Any:
    return np.broadcast_to(converted(value, x.dtype), (count, *x.shape[1:]))


def _ramp(end: Any, edge: Any, count: int) -> Any:
    """From the end value to just before the edge."""
    end = converted(end, edge.dtype)
    steps = np.arange(count, dtype=edge.dtype).reshape((-1,) + (1,) * (edge.ndim - 1))
    return end + steps * ((edge - end) / max(count, 1))


def _statistic(mode: str, x: Any, length: Any, side: int) -> Any:
    n = x.shape[0]
    length = n if length is None else min(operator.index(length), n)
    if not length:
        raise ValueError(f"np.pad: there is no {mode} of 0 elements{user_line()}; write a stat_length of at least 1")
    return _STATISTICS[mode](x[:length] if side == 0 else x[n - length :], axis=0, keepdims=True)


def _reflected_at_ends(x: Any, width: Widths, mode: str) -> Any:
    """Reflected at the points of the ends: each element is a sum of few others, which NumPy shows of unit vectors."""
    n = x.shape[0]
    rows = np.pad(np.eye(n), (width, (0, 0)), mode, reflect_type="odd")
    places = np.argsort(rows == 0, axis=1, kind="stable")[:, : max(int(np.count_nonzero(rows, axis=1).max()), 1)]
    factors = np.take_along_axis(rows, places, axis=1).astype(x.dtype)
    column = (-1,) + (1,) * (x.ndim - 1)
    total: Any = 0
    for k in range(places.shape[1]):
        factor = factors[:, k].reshape(column)
        total = total + np.where(factor == 0, 0, factor * x[places[:, k]])
    return np.concatenate([total[: width[0]], x, total[width[0] + n :]])


def _padded_by(function: Callable[..., None], x: Any, widths: Sequence[Widths], keywords: dict[str, Any]) -> Any:
    """Padded by a function of the user's, which writes into each line of the array in turn."""
    padded = PAD(x, widths=tuple(widths))
    for axis, width in enumerate(widths):
        moved = np.copy(np.moveaxis(padded, axis, -1))
        for index in np.ndindex(moved.shape[:-1]):
            line = np.copy(moved[index])
            function(line, width, axis, keywords)
            moved[index] = line
        padded = np.moveaxis(moved, -1, axis)
    return padded


# --- windows and repetition -------------------------------------------------------------------------------------------


def _windows(x: Any, *, lengths: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    found = sliding_window_view(x, lengths, axes)
    if not isinstance(x, np.ndarray) or not found.size:
        return found
    # The same memory, as a view whose base is the array: by that a level knows what is a view of what.
    owner = x if x.flags.c_contiguous else x.T if x.flags.f_contiguous else x.base
    if not isinstance(owner, np.ndarray) or not owner.flags.c_contiguous:
        return np.array(found)
    start, first = (a.__array_interface__["data"][0] for a in (x, owner))
    view: np.ndarray = np.ndarray(found.shape, x.dtype, owner, start - first, found.strides)
    view.flags.writeable = False
    return view


def _fold(c: Any, *, lengths: tuple[int, ...], axes: tuple[int, ...]) -> Any:
    if not axes:
        return np.copy(c)
    for axis, length in zip(reversed(axes), reversed(lengths), strict=True):
        windows = c.shape[axis]
        total = np.zeros_like(c, shape=(*c.shape[:axis], windows + length - 1, *c.shape[axis + 1 : -1]))
        before = (slice(None),) * axis
        # As few additions of arrays as there are elements in a window, or windows.
        if length <= windows:
            for k in range(length):
                total[(*before, slice(k, k + windows))] += c[..., k]
        else:
            for k in range(windows):
                total[(*before, slice(k, k + length))] += np.moveaxis(c[(*before, k)], -1, axis)
        c = total
    return c


def _fold_count(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    shape, additions = list(operands[0].shape), 0
    for axis, length in zip(reversed(static["axes"]), reversed(static["lengths"]), strict=True):
        additions += math.prod(shape)
        shape.pop()
        shape[axis] += length - 1
    return Count(add=additions)


def _fold_dependence(a: Any) -> Any:
    c = a.operands[0]
    if not math.prod(c.shape):
        return None, None  # no windows at all, and zeros where they would have been
    places = sliding_window_view(a.numbers(a.shape), a.static["lengths"], a.static["axes"])
    return c.relation and c.relation.sent(places.reshape(-1), a.size), None


#: The windows added up, each where it was taken from: the transpose of taking them.
FOLD: Primitive = multilinear(
    _fold,
    lambda c, x, *, lengths, axes: WINDOWS(c, lengths=lengths, axes=axes),
    count=_fold_count,
    memory="fresh",
    batch=of_array(
        lambda primitive, x, *, lengths, axes: primitive(x, lengths=lengths, axes=later(axes, x.ndim - len(lengths)))
    ),
    dependence=_fold_dependence,
)

#: Windows lie in the memory of the array, so a change of it shows in them.
WINDOWS: Primitive = multilinear(
    _windows,
    lambda c, x, *, lengths, axes: FOLD(c, lengths=lengths, axes=axes),
    count=FREE,
    memory="view",
    batch=of_array(lambda primitive, x, *, lengths, axes: primitive(x, lengths=lengths, axes=later(axes, x.ndim))),
    dependence="move",
)


@composite(sliding_window_view)
def _sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Any:  # fmt: skip
    if writeable:
        raise unsupported_keyword("sliding_window_view", "writeable")
    lengths = tuple(window_shape) if np.iterable(window_shape) else (window_shape,)
    axes = tuple(range(np.ndim(x))) if axis is None else normalize_axis_tuple(axis, np.ndim(x), allow_duplicate=True)
    if len(lengths) != len(axes):
        raise ValueError(
            f"sliding_window_view: window_shape has {len(lengths)} lengths for {len(axes)} axes{user_line()}; write a "
            "length for each axis"
        )
    return WINDOWS(x, lengths=lengths, axes=axes)


@composite(np.resize)
def _resize(a: Any, new_shape: Any) -> Any:
    shape = (new_shape,) if isinstance(new_shape, (int, np.integer)) else tuple(new_shape)
    if any(n < 0 for n in shape):
        raise ValueError(f"np.resize: new_shape={shape} has negative numbers{user_line()}; write every length out")
    a, size = np.ravel(a), math.prod(shape)
    if not a.size or not size:
        return np.zeros_like(a, shape=shape)
    return np.reshape(np.take(a, np.arange(size) % a.size), shape)


# --- elements put in and taken out ------------------------------------------------------------------------------------


def _line(arr: Any, axis: int | None) -> tuple[Any, int]:
    arr = strong(arr)
    if axis is None:
        return np.ravel(arr), 0
    return arr, normalize_axis_index(axis, arr.ndim)


def _places(obj: Any, n: int) -> np.ndarray:
    """The places before which elements are put in: integers, a slice or a mask."""
    if isinstance(obj, Tracer):
        raise NoRuleError(f"np.insert, np.delete: the places cannot be traced{user_line()}")
    if isinstance(obj, slice):
        return np.arange(*obj.indices(n), dtype=np.intp)
    places = np.array(obj)
    if places.dtype == bool:
        return np.flatnonzero(places)
    if places.ndim > 1:
        raise ValueError(
            f"np.insert: the places are an array of shape {places.shape}{user_line()}; write an integer, or a list"
        )
    return places.astype(np.intp) if not places.size else places


@composite(np.insert)
def _insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> Any:
    arr, axis = _line(arr, axis)
    n = arr.shape[axis]
    places, values = _places(obj, n), converted(assembled(values), arr.dtype)
    if places.size == 1:
        index = int(places.item())
        if not -n <= index <= n:
            raise IndexError(
                f"np.insert: index {index} is out of bounds for axis {axis} with size {n}{user_line()}; write one "
                f"between {-n} and {n}"
            )
        index += n if index < 0 else 0
        values = np.reshape(values, (1,) * (arr.ndim - np.ndim(values)) + np.shape(values))
        if not places.ndim:
            # A number among the indices takes its axis away from those of the values.
            values = np.moveaxis(values, 0, axis)
        source = np.insert(np.arange(n), index, n + np.arange(np.shape(values)[axis]))
    else:
        source = np.insert(np.arange(n), places, n + np.arange(len(places)))
    shape = tuple(len(source) - n if k == axis else m for k, m in enumerate(arr.shape))
    return np.take(np.concatenate([arr, np.broadcast_to(values, shape)], axis=axis), source, axis=axis)


@composite(np.delete)
def _delete(arr: Any, obj: Any, axis: int | None = None) -> Any:
    arr, axis = _line(arr, axis)
    if isinstance(obj, Tracer):
        raise NoRuleError(f"np.insert, np.delete: the places cannot be traced{user_line()}")
    return np.take(arr, np.delete(np.arange(arr.shape[axis]), obj), axis=axis)


@composite(np.trim_zeros)
def _trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Any:
    trim = trim.lower()
    if trim not in ("fb", "bf", "f", "b"):
        raise ValueError(f'np.trim_zeros: trim={trim!r}{user_line()}; write "fb", "f" or "b"')
    filt = strong(filt)
    for along in range(filt.ndim) if axis is None else normalize_axis_tuple(axis, filt.ndim):
        others = tuple(k for k in range(filt.ndim) if k != along)
        some = np.any(filt != 0, axis=others)
        n = some.shape[0]
        # A traced answer is asked element by element: where all runs or examples agree, it has one.
        first = next((k for k in range(n) if some[k]), n) if "f" in trim else 0
        stop = n - next((k for k in range(n - first) if some[n - 1 - k]), n - first) if "b" in trim else n
        if first == n:
            first = stop = 0
        filt = filt[(slice(None),) * along + (slice(first, stop),)]
    return filt
