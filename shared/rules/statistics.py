"""Statistics: weighted averages, reductions that skip NaN, medians and quantiles, all rewritten in terms of others.

What depends on an order follows the permutation of a stable argsort, as `np.sort` does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from shared.core.errors import NoRuleError, user_line
from shared.core.levels import Tracer
from shared.core.registry import composite
from shared.core.writing import read
from shared.rules.reductions import Axis, strong, unwrapped

# --- averages ---------------------------------------------------------------------------------------------------------


@composite(np.average)
def _average(
    a: Any, axis: Axis = None, weights: Any = None, returned: bool = False, *, keepdims: Any = False
) -> Any:  # fmt: skip
    keepdims = keepdims is not np._NoValue and keepdims
    a = strong(a)
    if weights is None:
        average = np.mean(a, axis=axis, keepdims=keepdims)
        total: Any = np.asarray(a.size / max(np.size(average), 1), average.dtype)[()]
    else:
        weights = _weights(a, strong(weights), axis)
        if a.dtype.kind in "biu":
            a = a.astype(np.float64)
        total = np.sum(weights, axis=axis, keepdims=keepdims)
        if np.any(total == 0):
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        average = np.sum(a * weights, axis=axis, keepdims=keepdims) / total
        total = total if total.dtype == average.dtype else total.astype(average.dtype)
    if not returned:
        return average
    return average, total if np.shape(total) == np.shape(average) else np.copy(np.broadcast_to(total, average.shape))


def _weights(a: Any, weights: Any, axis: Axis) -> Any:
    """Weights of the shape of `a`, or of the axes that are averaged over, so that they broadcast against `a`."""
    if weights.shape == a.shape:
        return weights
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    axes = normalize_axis_tuple(axis, a.ndim)
    if weights.shape != tuple(a.shape[k] for k in axes):
        raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
    weights = np.transpose(weights, np.argsort(axes).tolist())
    return np.reshape(weights, tuple(n if k in axes else 1 for k, n in enumerate(a.shape)))


# --- what skips NaN ---------------------------------------------------------------------------------------------------


@composite(np.nansum)
def _nansum(
    a: Any, axis: Axis = None, dtype: None = None, out: None = None, keepdims: Any = False, initial: None = None,
    where: None = None,
) -> Any:  # fmt: skip
    return np.sum(np.where(np.isnan(a), 0, a), axis=axis, keepdims=keepdims is True)


@composite(np.nanmean)
def _nanmean(
    a: Any, axis: Axis = None, dtype: None = None, out: None = None, keepdims: Any = False, *, where: None = None
) -> Any:  # fmt: skip
    total = np.nansum(a, axis=axis, keepdims=keepdims)
    return total / np.sum(np.logical_not(np.isnan(a)), axis=axis, keepdims=keepdims is True).astype(total.dtype)


def _skipping(extremum: Any, worst: float) -> Any:
    def skipping(
        a: Any, axis: Axis = None, out: None = None, keepdims: Any = False, initial: None = None, where: None = None
    ) -> Any:  # fmt: skip
        keepdims = keepdims is True
        if a.dtype.kind not in "fc":
            return extremum(a, axis=axis, keepdims=keepdims)
        missing = np.isnan(a)
        found = extremum(np.where(missing, worst, a), axis=axis, keepdims=keepdims)
        return unwrapped(np.where(np.all(missing, axis=axis, keepdims=keepdims), np.nan, found))

    return skipping


composite(np.nanmax)(_skipping(np.max, -np.inf))
composite(np.nanmin)(_skipping(np.min, np.inf))

# --- medians and quantiles --------------------------------------------------------------------------------------------


def _ordered(a: Any, axis: Axis) -> tuple[Any, tuple[int, ...]]:
    """The elements that are reduced into one in ascending order, along the first axis; and the shape with axes kept."""
    a = strong(a)
    axes = normalize_axis_tuple(tuple(range(a.ndim)) if axis is None else axis, a.ndim)
    first = np.moveaxis(a, axes, range(len(axes)))
    rest = first.shape[len(axes) :]
    kept = tuple(1 if k in axes else n for k, n in enumerate(a.shape))
    return np.sort(np.reshape(first, (-1, *rest)) if len(axes) != 1 else first, axis=0), kept


def _nan_if_any(ordered: Any, result: Any) -> Any:
    # NaN is the last in order.
    return np.where(np.isnan(ordered[-1]), np.nan, result)


@composite(np.median)
def _median(
    a: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, keepdims: bool = False
) -> Any:  # fmt: skip
    ordered, kept = _ordered(a, axis)
    n = ordered.shape[0]
    if not n:
        raise ValueError(f"np.median of no elements{user_line()}")
    middle = np.mean(ordered[(n - 1) // 2 : n // 2 + 1], axis=0)
    result = _nan_if_any(ordered, middle)
    return np.reshape(result, kept) if keepdims else unwrapped(result)


@composite(np.quantile)
def _quantile(
    a: Any, q: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: None = None,
) -> Any:  # fmt: skip
    if method != "linear":
        raise NoRuleError(f"np.quantile: method={method!r} has no derivative rule{user_line()}; use method='linear'")
    if not isinstance(q, (Tracer, int, float)):
        q = np.asarray(q)
    if np.any(np.logical_not((q >= 0) & (q <= 1))):
        raise ValueError("Quantiles must be in the range [0, 1]")
    ordered, kept = _ordered(a, axis)
    n = ordered.shape[0]
    if not n:
        raise ValueError(f"np.quantile of no elements{user_line()}")
    if not isinstance(q, Tracer) and np.asarray(q).dtype.kind == "i":
        result = _nan_if_any(ordered, read(ordered, q * (n - 1)))  # the first or the last
        return np.reshape(result, np.shape(q) + kept) if keepdims else unwrapped(result)
    place = q * (n - 1)
    below = np.floor(place)
    if not isinstance(below, Tracer) and not np.ndim(below):
        below = float(below)  # weak, as a Python number among the quantiles is
    lower = below.astype(int) if hasattr(below, "astype") else int(below)
    shape = np.shape(q) + (1,) * (ordered.ndim - 1)
    share = np.reshape(place - below, shape) if np.ndim(q) else place - below
    found = read(ordered, lower)
    above = read(ordered, np.minimum(lower + 1, n - 1))
    rise = above - found
    if isinstance(q, Tracer):
        # At a kink in q, the slope of least size; at the last element there is only the one below.
        before = found - read(ordered, np.maximum(lower - 1, 0))
        last, inside = np.reshape(np.equal(lower, n - 1), shape), np.reshape(np.greater(lower, 0), shape)
        least = np.where(last, before, np.where(inside, np.minimum(before, rise), rise))
        rise = np.where(share == 0, least, rise)
    # From the nearer of the two, as NumPy does, which tells where an infinity makes NaN
    line = np.where(share >= 0.5, above - rise * (1 - share), found + rise * share)
    result = _nan_if_any(ordered, line)
    return np.reshape(result, np.shape(q) + kept) if keepdims else unwrapped(result)


@composite(np.percentile)
def _percentile(
    a: Any, q: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
    keepdims: bool = False, *, weights: None = None,
) -> Any:  # fmt: skip
    share: Any = (q if isinstance(q, (Tracer, int, float)) else np.asarray(q)) / 100  # type: ignore[operator]
    return np.quantile(a, share, axis=axis, method=method, keepdims=keepdims)
