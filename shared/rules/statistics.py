"""Statistics: averages, covariances, reductions that skip NaN, medians and quantiles, rewritten in terms of others.

What depends on an order follows the permutation of a stable argsort, as `np.sort` does.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from shared.core.errors import user_line
from shared.core.levels import Tracer
from shared.core.registry import composite
from shared.core.writing import read
from shared.rules.reductions import Axis, asked, converted, norm_sqrt, strong, unwrapped

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


# --- covariances ------------------------------------------------------------------------------------------------------


def _rows(x: Any, rowvar: bool, dtype: Any) -> Any:
    """Variables as rows, in the dtype of the covariance."""
    x = strong(x)
    if x.ndim > 2:
        raise ValueError("np.cov: more than 2 dimensions")
    turned = not rowvar and (x.ndim == 2 and x.shape[0] != 1)
    x = np.reshape(x, (1, -1)) if x.ndim < 2 else x
    return converted(x.T if turned else x, dtype)


@composite(np.cov)
def _cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, fweights: Any = None,
    aweights: Any = None, *, dtype: Any = None,
) -> Any:  # fmt: skip
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    if dtype is None:
        dtype = np.result_type(*(strong(x).dtype for x in (m, y) if x is not None), np.float64)
    m = strong(m)
    # A matrix of one row is turned, too, where it is the first argument.
    x = _rows(m.T if not rowvar and m.ndim == 2 else m, True, dtype)
    if y is not None:
        x = np.concatenate([x, _rows(y, rowvar, dtype)])
    ddof = (0 if bias else 1) if ddof is None else ddof
    weights = None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is not None:
            given = converted(given, np.float64)
            if given.ndim > 1 or given.shape[0] != x.shape[1]:
                raise RuntimeError(f"incompatible numbers of samples and {name}")
            if name == "fweights" and not np.all(given == np.round(given)):
                raise TypeError("fweights must be integer")
            if np.any(given < 0):
                raise ValueError(f"{name} cannot be negative")
            weights = given if weights is None else weights * given
    if weights is None:
        mean, factor = np.mean(x, axis=1), x.shape[1] - ddof
    else:
        total = np.sum(weights)
        mean = np.sum(x * weights, axis=1) / total
        if ddof == 0:
            factor = total
        else:
            factor = total - ddof * (
                1 if aweights is None else np.sum(weights * converted(aweights, np.float64)) / total
            )
    if factor <= 0:
        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        factor = 0.0
    centred = x - mean[:, None]
    other = (centred if weights is None else centred * weights).T
    product = np.matmul(centred, np.conjugate(other) if np.iscomplexobj(other) else other)
    return np.squeeze(product * np.divide(1, factor))


@composite(np.corrcoef)
def _corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Any:
    c = np.cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return c / c
    deviation = np.sqrt(np.real(np.diagonal(c)))
    c = c / deviation[:, None] / deviation[None, :]
    if np.iscomplexobj(c):
        return _within_one(c.real) + 1j * _within_one(c.imag)
    return _within_one(c)


def _within_one(x: Any) -> Any:
    """What rounding has put beyond -1 or 1 put back, and what is within left as it is, the bounds included."""
    return np.where(x > 1, 1, np.where(x < -1, -1, x))


# --- what skips NaN ---------------------------------------------------------------------------------------------------


def _without_nan(a: Any, other: float) -> Any:
    return np.where(np.isnan(a), other, a)


def _more(**given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if asked(value)}


def _kept(keepdims: Any) -> bool:
    return keepdims is not np._NoValue and bool(keepdims)


@composite(np.nansum)
def _nansum(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: Any = False, initial: Any = None,
    where: Any = None,
) -> Any:  # fmt: skip
    more = _more(dtype=dtype, initial=initial, where=where)
    return np.sum(_without_nan(a, 0), axis=axis, keepdims=_kept(keepdims), **more)


@composite(np.nanprod)
def _nanprod(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: Any = False, initial: Any = None,
    where: Any = None,
) -> Any:  # fmt: skip
    more = _more(dtype=dtype, initial=initial, where=where)
    return np.prod(_without_nan(a, 1), axis=axis, keepdims=_kept(keepdims), **more)


@composite(np.nancumsum)
def _nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    return np.cumsum(_without_nan(a, 0), axis=axis, **_more(dtype=dtype))


@composite(np.nancumprod)
def _nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
    return np.cumprod(_without_nan(a, 1), axis=axis, **_more(dtype=dtype))


@composite(np.nanmean)
def _nanmean(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, keepdims: Any = False, *, where: Any = None
) -> Any:  # fmt: skip
    total = np.nansum(a, axis=axis, keepdims=keepdims, **_more(dtype=dtype, where=where))
    return total / np.sum(_present(a, where), axis=axis, keepdims=_kept(keepdims)).astype(total.dtype)


def _present(a: Any, where: Any) -> Any:
    present = np.logical_not(np.isnan(a))
    return np.logical_and(present, where) if asked(where) else present


@composite(np.nanvar)
def _nanvar(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, ddof: float = 0, keepdims: Any = False,
    *, where: Any = None, mean: Any = None, correction: Any = None,
) -> Any:  # fmt: skip
    more = _more(dtype=dtype, mean=mean, correction=correction)
    return np.var(
        _without_nan(a, 0), axis=axis, ddof=ddof, keepdims=_kept(keepdims), where=_present(a, where), **more
    )  # fmt: skip


@composite(np.nanstd)
def _nanstd(
    a: Any, axis: Axis = None, dtype: Any = None, out: None = None, ddof: float = 0, keepdims: Any = False,
    **rest: Any,
) -> Any:  # fmt: skip
    return norm_sqrt(_nanvar(a, axis, dtype, out, ddof, keepdims, **rest))


def _skipping(extremum: Any, worst: float) -> Any:
    def skipping(
        a: Any, axis: Axis = None, out: None = None, keepdims: Any = False, initial: Any = None, where: Any = None
    ) -> Any:  # fmt: skip
        keepdims, more = _kept(keepdims), _more(initial=initial, where=where)
        if a.dtype.kind not in "fc":
            return extremum(a, axis=axis, keepdims=keepdims, **more)
        missing = np.isnan(a)
        found = extremum(np.where(missing, worst, a), axis=axis, keepdims=keepdims, **more)
        if more:
            return found
        return unwrapped(np.where(np.all(missing, axis=axis, keepdims=keepdims), np.nan, found))

    return skipping


composite(np.nanmax)(_skipping(np.max, -np.inf))
composite(np.nanmin)(_skipping(np.min, np.inf))


def _place_of(position: Any, worst: float) -> Any:
    def place(a: Any, axis: int | None = None, out: None = None, *, keepdims: Any = False) -> Any:
        missing = np.isnan(a)
        if np.any(np.all(missing, axis=axis)):
            raise ValueError("All-NaN slice encountered")
        return position(np.where(missing, worst, a), axis=axis, keepdims=_kept(keepdims))

    return place


composite(np.nanargmax)(_place_of(np.argmax, -np.inf))
composite(np.nanargmin)(_place_of(np.argmin, np.inf))

# --- medians and quantiles --------------------------------------------------------------------------------------------


def _ordered(a: Any, axis: Axis) -> tuple[Any, tuple[int, ...]]:
    """The elements that are reduced into one in ascending order, along the first axis; and the shape with axes kept."""
    line, kept = _as_lines(a, axis)
    return np.sort(line, axis=0), kept


def _as_lines(a: Any, axis: Axis) -> tuple[Any, tuple[int, ...]]:
    """The elements that are reduced into one along the first axis; and the shape with axes kept."""
    a = strong(a)
    axes = normalize_axis_tuple(tuple(range(a.ndim)) if axis is None else axis, a.ndim)
    first = np.moveaxis(a, axes, range(len(axes)))
    rest = first.shape[len(axes) :]
    kept = tuple(1 if k in axes else n for k, n in enumerate(a.shape))
    return np.reshape(first, (math.prod(first.shape[: len(axes)]), *rest)) if len(axes) != 1 else first, kept


def _nan_if_any(ordered: Any, result: Any) -> Any:
    # NaN is the last in order.
    return np.where(np.isnan(ordered[-1]), np.nan, result)


@composite(np.median)
def _median(
    a: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, keepdims: Any = False
) -> Any:  # fmt: skip
    ordered, kept = _ordered(a, axis)
    n = ordered.shape[0]
    if not n:
        raise ValueError(f"np.median of no elements{user_line()}")
    middle = np.mean(ordered[(n - 1) // 2 : n // 2 + 1], axis=0)
    result = _nan_if_any(ordered, middle)
    return np.reshape(result, kept) if _kept(keepdims) else unwrapped(result)


@composite(np.nanmedian)
def _nanmedian(
    a: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, keepdims: Any = False
) -> Any:  # fmt: skip
    ordered, kept = _ordered(a, axis)
    n = np.sum(np.logical_not(np.isnan(ordered)), axis=0)
    low, high = (_read_each(ordered, np.maximum(k, 0)) for k in ((n - 1) // 2, np.minimum(n // 2, len(ordered) - 1)))
    result = 0.5 * (low + high)
    return np.reshape(result, kept) if _kept(keepdims) else unwrapped(result)


def _read_each(ordered: Any, place: Any) -> Any:
    """The elements at places along the first axis that differ from line to line; further axes of places come first."""
    rest = ordered.shape[1:]
    flat = np.reshape(place, (math.prod(np.shape(place)[: np.ndim(place) - len(rest)]), *rest))
    return np.reshape(np.take_along_axis(ordered, flat, axis=0), np.shape(place))


#: Hyndman & Fan 1996: alpha and beta of the methods that interpolate, each between neighbours of n q + alpha + q (1 -
#: alpha - beta) - 1
_BETWEEN = {
    "interpolated_inverted_cdf": (0, 1), "hazen": (0.5, 0.5), "weibull": (0, 0), "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}  # fmt: skip


def _up_unless(whole: Callable[[Any, Any], Any], shift: float) -> Callable[[Any, Any], Any]:
    """The place after n q - 1 - shift, or that before it where `whole(its fraction, it)` says so."""

    def place(q: Any, n: Any) -> Any:
        index = n * q - 1 - shift
        below = np.floor(index)
        return np.maximum(np.where(whole(index - below, below), below, below + 1), 0)

    return place


#: The methods that take one element: its place
_ONE: dict[str, Callable[[Any, Any], Any]] = {
    "lower": lambda q, n: np.floor((n - 1) * q),
    "higher": lambda q, n: np.ceil((n - 1) * q),
    "nearest": lambda q, n: np.round((n - 1) * q),
    "inverted_cdf": _up_unless(lambda share, below: share == 0, 0),
    "closest_observation": _up_unless(lambda share, below: np.logical_and(share == 0, below % 2 == 1), 0.5),
}


def _half(q: Any, n: Any, method: str) -> tuple[Any, Any]:
    """The place and the share of the methods that take an element, or halfway between two."""
    if method == "midpoint":
        index = 0.5 * (np.floor((n - 1) * q) + np.ceil((n - 1) * q))
        return index, np.where(index % 1 == 0, 0.0, 0.5)
    index = n * q - 1
    return index, np.where(index - np.floor(index) == 0, 0.5, 1.0)


def _quantile_of(ordered: Any, q: Any, method: str, n: Any) -> Any:
    """The quantiles of lines in order, n elements in each: a number, or an array where it differs."""
    read_at = read if isinstance(n, int) else _read_each
    own = isinstance(n, int)
    if not own and np.ndim(q) and q.dtype.kind == "f":
        n = n.astype(q.dtype)
    last = n - 1
    if not own and np.ndim(q):
        q = np.reshape(q, np.shape(q) + (1,) * (ordered.ndim - 1))

    def fits(value: Any) -> Any:
        """A number for each quantile as it meets the elements that are read."""
        if own and np.ndim(value):
            return np.reshape(value, np.shape(value) + (1,) * (ordered.ndim - 1))
        return value

    def whole(value: Any) -> Any:
        within = np.minimum(np.maximum(value, 0), np.maximum(last, 0))
        return within.astype(int)

    if method in _ONE:
        return read_at(ordered, whole(_ONE[method](q, n)))
    if method in ("midpoint", "averaged_inverted_cdf"):
        place, share = _half(q, n, method)
        below = np.floor(place)
    else:
        alpha, beta = _BETWEEN.get(method, (1, 1))
        place = q * last if method == "linear" else n * q + (alpha + q * (1 - alpha - beta)) - 1
        below = np.floor(place)
        share = place - (below if isinstance(below, Tracer) or np.ndim(below) else float(below))
    lower, upper = whole(below), whole(below + 1)
    share = fits(share)
    if not own or not isinstance(q, Tracer):
        # A Python number among the quantiles is weak, whatever its place was computed with.
        strong_q = q.is_array if isinstance(q, Tracer) else hasattr(q, "dtype")  # type: ignore[attr-defined]
        share = share.astype(q.dtype) if strong_q else _in_precision_of(share, ordered)
    found, above = read_at(ordered, lower), read_at(ordered, upper)
    rise = above - found
    if isinstance(q, Tracer):
        # At a kink in q, the slope of least size; at the last element there is only the one below.
        before = found - read_at(ordered, np.maximum(lower - 1, 0))
        at_last, inside = fits(np.greater_equal(lower, last)), fits(np.greater(lower, 0))
        outside: Any = (before, rise) if method == "linear" else (0, 0)
        least = np.where(at_last, outside[0], np.where(inside, np.minimum(before, rise), outside[1]))
        rise = np.where(share == 0, least, rise)
    # From the nearer of the two, as NumPy does, which tells where an infinity makes NaN
    return np.where(share >= 0.5, above - rise * (1 - share), found + rise * share)


def _in_precision_of(share: Any, ordered: Any) -> Any:
    if ordered.dtype.kind != "f":
        return share
    return share.astype(ordered.dtype) if hasattr(share, "astype") else share


def _weighted(a: Any, q: Any, axis: Axis, weights: Any, skips: bool) -> Any:
    """The first element up to which the weights make a share q of all, for each line; NaN where there is one."""
    line, _ = _as_lines(a, axis)
    weights, _ = _as_lines(np.broadcast_to(_weights(strong(a), strong(weights), axis), np.shape(a)), axis)
    if np.any(weights < 0):
        raise ValueError("Weights must be non-negative.")
    order = np.argsort(line, axis=0, kind="stable")
    line, weights = np.take_along_axis(line, order, axis=0), np.take_along_axis(weights, order, axis=0)
    n: Any = line.shape[0]
    if skips:
        weights = np.where(np.isnan(line), 0, weights)
        n = np.sum(np.logical_not(np.isnan(line)), axis=0)
    shares = np.cumsum(weights.astype(np.float64), axis=0)
    shares = shares / shares[-1]
    shares = np.where(shares == 0, -1, shares)
    wanted = np.reshape(q, np.shape(q) + (1,) * line.ndim) if np.ndim(q) else q
    place = np.minimum(np.sum(shares < wanted, axis=np.ndim(q)), np.maximum(n - 1, 0))
    found = _read_each(line, place)
    return found if skips else _nan_if_any(line, found)


def _quantiles(
    a: Any, q: Any, axis: Axis, method: str, keepdims: Any, weights: Any, skips: bool
) -> Any:  # fmt: skip
    if method not in ("linear", "midpoint", "averaged_inverted_cdf", *_ONE, *_BETWEEN):
        raise ValueError(f"{method!r} is not a valid method of np.quantile{user_line()}")
    if not isinstance(q, (Tracer, int, float)):
        q = np.asarray(q)
    if np.any(np.logical_not((q >= 0) & (q <= 1))):
        raise ValueError("Quantiles must be in the range [0, 1]")
    _, kept = _as_lines(a, axis)
    if weights is not None:
        if method != "inverted_cdf":
            raise ValueError(f"Only method 'inverted_cdf' supports weights. Got: {method}.")
        result = _weighted(a, q, axis, weights, skips)
    else:
        ordered, kept = _ordered(a, axis)
        if not ordered.shape[0]:
            raise ValueError(f"np.quantile of no elements{user_line()}")
        exact = not isinstance(q, Tracer) and np.asarray(q).dtype.kind == "i"
        if skips:
            n: Any = np.sum(np.logical_not(np.isnan(ordered)), axis=0)
            result = _quantile_of(ordered, q * 1.0 if exact else q, method, n)
        elif exact and method == "linear":
            result = read(ordered, q * (ordered.shape[0] - 1))  # the first or the last
        else:
            result = _quantile_of(ordered, q * 1.0 if exact else q, method, ordered.shape[0])
        result = result if skips else _nan_if_any(ordered, result)
    return np.reshape(result, np.shape(q) + kept) if _kept(keepdims) else unwrapped(result)


def _declare_quantiles(quantile: Any, percentile: Any, skips: bool) -> None:
    @composite(quantile)
    def of_share(
        a: Any, q: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
        keepdims: Any = False, *, weights: Any = None,
    ) -> Any:  # fmt: skip
        return _quantiles(a, q, axis, method, keepdims, weights, skips)

    @composite(percentile)
    def of_hundred(
        a: Any, q: Any, axis: Axis = None, out: None = None, overwrite_input: bool = False, method: str = "linear",
        keepdims: Any = False, *, weights: Any = None,
    ) -> Any:  # fmt: skip
        share: Any = (q if isinstance(q, (Tracer, int, float)) else np.asarray(q)) / 100  # type: ignore[operator]
        return _quantiles(a, share, axis, method, keepdims, weights, skips)


_declare_quantiles(np.quantile, np.percentile, skips=False)
_declare_quantiles(np.nanquantile, np.nanpercentile, skips=True)
