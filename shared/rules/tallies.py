"""Counting elements: histograms, sets, and which elements are among others, rewritten in terms of other functions.

Counts have derivative zero; what has one are the weights that are added up, the edges of bins, and the elements that a
set keeps.  This module knows nothing of derivatives.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from shared.core.errors import NoRuleError, user_line
from shared.core.levels import Tracer
from shared.core.registry import composite
from shared.core.writing import read
from shared.rules.keywords import add_at
from shared.rules.reductions import converted, strong

# --- bins -------------------------------------------------------------------------------------------------------------


@composite(np.bincount)
def _bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    if isinstance(x, Tracer):
        raise NoRuleError(
            f"np.bincount of traced integers, whose greatest decides the shape{user_line()}; write "
            "np.sum(x[:, None] == np.arange(n), axis=0)"
        )
    x = np.asarray(x)
    weights = converted(strong(weights), np.float64)
    if weights.shape != x.shape:
        raise ValueError("The weights and list don't have the same length.")
    if x.size and x.min() < 0:
        raise ValueError("'list' argument must have no negative elements")
    count = max(int(x.max(initial=-1)) + 1, operator.index(minlength))
    total = np.zeros(count, like=weights)
    add_at(total, x.astype(np.intp), weights)  # type: ignore[arg-type]
    return total


@composite(np.digitize)
def _digitize(x: Any, bins: Any, right: bool = False) -> Any:
    x, bins = strong(x), strong(bins)
    if x.dtype.kind == "c":
        raise TypeError("x may not be complex")
    steps = bins[1:] - bins[:-1]
    side: Any = "left" if right else "right"
    if np.all(steps >= 0):
        return np.searchsorted(bins, x, side=side)
    if not np.all(steps <= 0):
        raise ValueError("bins must be monotonically increasing or decreasing")
    return bins.shape[0] - np.searchsorted(bins[::-1], x, side=side)


def _edges(a: Any, bins: Any, range: Any) -> Any:
    """The edges of bins, which vary where the least and the greatest element are their ends."""
    if isinstance(bins, str):
        raise NoRuleError(f"np.histogram: bins={bins!r} of traced values{user_line()}: say how many bins there are")
    if np.ndim(bins) == 1:
        bins = strong(bins)
        if np.any(bins[:-1] > bins[1:]):
            raise ValueError("`bins` must increase monotonically, when an array")
        return bins
    if np.ndim(bins):
        raise ValueError("`bins` must be 1d, when an array")
    count = operator.index(bins)
    if count < 1:
        raise ValueError("`bins` must be positive, when an integer")
    if range is not None:
        first, last = range
        if first > last:
            raise ValueError("max must be larger than min in range parameter.")
    else:
        first, last = (np.min(a), np.max(a)) if a.size else (0.0, 1.0)
    alike = first == last
    first, last = np.where(alike, first - 0.5, first), np.where(alike, last + 0.5, last)
    kind = np.result_type(a, np.float64 if a.dtype.kind in "biu" else a.dtype)
    return np.linspace(first, last, count + 1, dtype=kind)


@composite(np.histogram_bin_edges)
def _histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Any:
    return _edges(np.ravel(strong(a)), bins, range)


@composite(np.histogram)
def _histogram(a: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None) -> Any:
    a = np.ravel(strong(a))
    edges = _edges(a, bins, range)
    count = edges.shape[0] - 1
    place = np.searchsorted(edges, a, side="right") - 1
    place = np.where(a == edges[-1], count - 1, place)
    if weights is not None:
        weights = strong(weights)
        if weights.size != a.size:
            raise ValueError("weights should have the same shape as a.")
        weights = np.ravel(weights)
    total = _added_up(place, weights, count)
    if density:
        total = total / np.diff(edges) / np.sum(total)
    return total, edges


@composite(np.histogramdd)
def _histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> Any:  # fmt: skip
    if getattr(sample, "ndim", 0) == 2:
        columns = [sample[:, k] for k in np.arange(sample.shape[1])]
    else:
        columns = [np.ravel(strong(column)) for column in sample]
    if not hasattr(bins, "__len__") or isinstance(bins, str):
        bins = [bins] * len(columns)
    ranges = [None] * len(columns) if range is None else range
    if len(bins) != len(columns) or len(ranges) != len(columns):
        raise ValueError("The dimension of bins must be equal to the dimension of the sample x.")
    edges = [_edges(column, *given) for column, given in zip(columns, zip(bins, ranges, strict=True), strict=True)]
    lengths = [edge.shape[0] - 1 for edge in edges]
    flat, inside = 0, True
    for column, edge, length in zip(columns, edges, lengths, strict=True):
        place = np.searchsorted(edge, column, side="right") - 1
        place = np.where(column == edge[-1], length - 1, place)
        inside = np.logical_and(inside, np.logical_and(place >= 0, place < length))
        flat = flat * length + place
    flat = np.where(inside, flat, -1)  # type: ignore[assignment]
    weights = None if weights is None else np.ravel(strong(weights))
    total = np.reshape(_added_up(flat, weights, math.prod(lengths)), tuple(lengths)).astype(np.float64)
    if density:
        whole = np.sum(total)
        for k, edge in enumerate(edges):
            total = total / np.reshape(np.diff(edge), tuple(-1 if j == k else 1 for j in np.arange(len(edges))))
        total = total / whole
    return total, edges


@composite(np.histogram2d)
def _histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> Any:  # fmt: skip
    if np.size(x) != np.size(y):
        raise ValueError("x and y must have the same length.")
    if hasattr(bins, "__len__") and not isinstance(bins, str) and len(bins) != 2:
        bins = [bins[0]] * 2 if len(bins) == 1 else [bins] * 2  # the edges of both
    total, (of_x, of_y) = _histogramdd([x, y], bins, range, density, weights)
    return total, of_x, of_y


def _added_up(place: Any, weights: Any, count: int) -> Any:
    """The weights (or the number) of the elements in each bin; what lies in none is left out."""
    if isinstance(place, Tracer):
        among = np.equal(np.reshape(place, (-1, 1)), np.arange(count))
        return np.sum(among if weights is None else np.where(among, weights[:, None], 0), axis=0)
    inside = np.flatnonzero((place >= 0) & (place < count))
    if weights is None:
        return np.bincount(place[inside], minlength=count)
    total: Any = np.zeros(count, weights.dtype, like=weights)
    if isinstance(total, Tracer):
        add_at(total, place[inside], weights[inside])  # type: ignore[arg-type]
    else:
        np.add.at(total, place[inside], weights[inside])
    return total


# --- sets -------------------------------------------------------------------------------------------------------------


@composite(np.isin)
def _isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: Any = None
) -> Any:  # fmt: skip
    element, known = strong(element), np.sort(np.ravel(strong(test_elements)))
    if not known.size:
        return np.full(element.shape, invert)
    place = np.minimum(np.searchsorted(known, element), known.size - 1)
    found = read(known, place) == element
    return np.logical_not(found) if invert else found


@composite(np.lexsort)
def _lexsort(keys: Any, axis: int = -1) -> Any:
    order: Any = None
    for key in keys:
        key = strong(key)
        if order is None:
            order = np.argsort(key, axis=axis, kind="stable")
        else:
            again = np.argsort(np.take_along_axis(key, order, axis=axis), axis=axis, kind="stable")
            order = np.take_along_axis(order, again, axis=axis)
    return order


@composite(np.unique)
def _unique(
    ar: Any, return_index: bool = False, return_inverse: bool = False, return_counts: bool = False,
    axis: int | None = None, *, equal_nan: bool = True, sorted: bool = True,
) -> Any:  # fmt: skip
    ar = strong(ar)
    if axis is not None:
        axis = normalize_axis_index(axis, ar.ndim)
    along = None if axis is None or ar.ndim == 1 else axis
    rows = np.ravel(ar)[:, None] if along is None else np.moveaxis(ar, along, 0)
    lines = np.reshape(rows, (rows.shape[0], -1 if rows.size else math.prod(rows.shape[1:])))
    order = np.lexsort(tuple(lines[:, k] for k in range(lines.shape[1] - 1, -1, -1)))
    ordered = lines[order]
    differ = ordered[1:] != ordered[:-1]
    if equal_nan and along is None and lines.dtype.kind in "fc":
        differ = np.logical_and(differ, np.logical_not(np.isnan(ordered[1:]) & np.isnan(ordered[:-1])))
    first = np.concatenate([np.ones(min(len(lines), 1), bool), np.any(differ, axis=1)])
    found = rows[order[first]]
    results = [found[:, 0] if along is None else np.moveaxis(found, 0, along)]
    if return_index:
        results.append(order[first])
    if return_inverse:
        inverse = (np.cumsum(first) - 1)[np.argsort(order, kind="stable")]
        shape = ar.shape if axis is None else (len(inverse),)
        results.append(np.reshape(inverse, shape))
    if return_counts:
        results.append(np.diff(np.concatenate([np.flatnonzero(first), [len(lines)]])))
    return results[0] if len(results) == 1 else tuple(results)


def _declare_unique(function: Any, **wanted: bool) -> None:
    @composite(function)
    def unique_of(x: Any, /) -> Any:
        kind = type(function(np.zeros(1)))
        found = np.unique(x, equal_nan=False, **wanted)
        return kind(*found) if wanted else found


_declare_unique(np.unique_values)
_declare_unique(np.unique_counts, return_counts=True)
_declare_unique(np.unique_inverse, return_inverse=True)
_declare_unique(np.unique_all, return_index=True, return_inverse=True, return_counts=True)


@composite(np.union1d)
def _union1d(ar1: Any, ar2: Any) -> Any:
    return np.unique(np.concatenate([np.ravel(strong(ar1)), np.ravel(strong(ar2))]))


def _set_of(ar: Any, assume_unique: bool) -> Any:
    return np.ravel(strong(ar)) if assume_unique else np.unique(strong(ar))


@composite(np.setdiff1d)
def _setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    first = _set_of(ar1, assume_unique)
    return first[np.isin(first, strong(ar2), invert=True)]


@composite(np.setxor1d)
def _setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Any:
    first, second = _set_of(ar1, assume_unique), _set_of(ar2, assume_unique)
    return np.sort(
        np.concatenate([first[np.isin(first, second, invert=True)], second[np.isin(second, first, invert=True)]])
    )


@composite(np.intersect1d)
def _intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    first, second = np.ravel(strong(ar1)), np.ravel(strong(ar2))
    of_first, of_second = (np.unique(ar, return_index=True)[1] for ar in (first, second))
    of_first = of_first[np.isin(first[of_first], second)]
    if not return_indices:
        return first[of_first]
    return first[of_first], of_first, of_second[np.isin(second[of_second], first)]
