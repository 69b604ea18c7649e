"""Functions given by their values on a grid, and grids: interpolation, differences, quadrature.

All are rewritten in terms of other functions.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index, normalize_axis_tuple

from shared.core.errors import NoRuleError, user_line
from shared.core.levels import Tracer
from shared.core.registry import composite
from shared.core.writing import read
from shared.rules.reductions import strong, unwrapped

# --- interpolation ----------------------------------------------------------------------------------------------------


def _double(values: Any) -> Any:
    """What np.interp computes with, whatever it is given."""
    values = values if isinstance(values, Tracer) else np.asarray(values)
    if values.dtype.kind == "c":
        raise NoRuleError(
            f"np.interp of complex values has no derivative rule{user_line()}: interpolate np.real and np.imag apart"
        )
    return values if values.dtype == np.float64 else values.astype(np.float64)


@composite(np.interp)
def _interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Any:
    moves = isinstance(x, Tracer) or isinstance(xp, Tracer)
    x, xp, fp = _double(x), _double(xp), _double(fp)
    if period is not None:
        if np.any(np.equal(period, 0)):
            raise ValueError("period must be a non-zero value")
        period, left, right = np.abs(period), None, None
        x, xp = np.mod(x, period), np.mod(xp, period)
        order = np.argsort(xp, kind="stable")
        xp, fp = read(xp, order), read(fp, order)
        xp = np.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = np.concatenate([fp[-1:], fp, fp[:1]])
    n = xp.shape[0] if xp.ndim == 1 else 0
    if n != np.size(fp):
        raise ValueError("fp and xp are not of the same length.")
    if not n:
        raise ValueError("array of sample points is empty")
    first, last = xp[0], xp[-1]
    # The line is evaluated where it is needed alone, so that an infinite x elsewhere makes no NaN of its derivatives.
    within = np.where(np.logical_or(x < first, x > last), first, x)
    inner = _between(within, xp, fp, moves) if n > 1 else fp[0] + 0 * within
    # At the ends the slope outside is zero, and so is the least of the two; a jump there has the slope inside.
    at_first, at_last = x == first, x == last
    if n > 1 and left is None:
        inner = np.where(np.logical_and(at_first, first < xp[1]), fp[0], inner)
    if n > 1:
        inner = np.where(np.logical_and(at_last, True if right is None else xp[-2] == last), fp[-1], inner)
    low = np.where(x < first, fp[0] if left is None else left, inner)
    return unwrapped(np.where(x > last, fp[-1] if right is None else right, low))


def _between(x: Any, xp: Any, fp: Any, moves: bool) -> Any:
    """The line through the two points beside each x."""
    place = np.clip(np.searchsorted(xp, x, side="right") - 1, 0, xp.shape[0] - 2)
    start, value = read(xp, place), read(fp, place)
    slope = _slope(start, value, read(xp, place + 1), read(fp, place + 1))
    if moves:
        # At a kink, the slope of least size between that before and that after.
        before = np.maximum(place - 1, 0)
        earlier = _slope(read(xp, before), read(fp, before), start, value)
        least = np.where(slope * earlier <= 0, 0, np.where(np.abs(slope) < np.abs(earlier), slope, earlier))
        follows = np.logical_and(place > 0, read(xp, before) < start)
        slope = np.where(np.logical_and(x == start, follows), least, slope)
    return value + slope * (x - start)


def _slope(x: Any, y: Any, x_next: Any, y_next: Any) -> Any:
    width = x_next - x
    # Two points in one place are a jump, which no x lies within.
    return (y_next - y) / np.where(width == 0, 1, width)


# --- differences and quadrature ---------------------------------------------------------------------------------------


@composite(np.ediff1d)
def _ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Any:
    ary = np.ravel(ary)
    parts = []
    for part in (to_begin, ary[1:] - ary[:-1], to_end):
        if part is not None:
            part = np.ravel(strong(part))
            if not np.can_cast(part.dtype, ary.dtype, "same_kind"):
                raise TypeError("dtype of `to_begin` and `to_end` must be compatible with input `ary`")
            parts.append(part if part.dtype == ary.dtype else part.astype(ary.dtype))
    return np.concatenate(parts) if len(parts) > 1 else parts[0]


@composite(np.unwrap)
def _unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * np.pi) -> Any:
    p = strong(p)
    axis = normalize_axis_index(axis, p.ndim)
    step = np.diff(p, axis=axis)
    high = period / 2
    discont = high if discont is None else discont
    turned = np.mod(step + high, period) - high
    turned = np.where(np.logical_and(turned == -high, step > 0), high, turned)
    correction = np.where(np.abs(step) < discont, 0, turned - step)
    before = (slice(None),) * axis
    rest = p[(*before, slice(1, None))] + np.cumsum(correction, axis=axis)
    return np.concatenate([p[(*before, slice(None, 1))], rest], axis=axis)


@composite(np.gradient)
def _gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    f = strong(f)
    axes = tuple(range(f.ndim)) if axis is None else normalize_axis_tuple(axis, f.ndim)
    if edge_order > 2:
        raise ValueError("'edge_order' greater than 2 not supported")
    if not varargs:
        varargs = (1.0,)
    if len(varargs) == 1 and np.ndim(varargs[0]) == 0:
        varargs = varargs * len(axes)
    if len(varargs) != len(axes):
        raise TypeError("invalid number of arguments")
    if f.dtype.kind in "biu":
        f = f.astype(np.float64)
    slopes = []
    for along, spacing in zip(axes, varargs, strict=True):
        if f.shape[along] < edge_order + 1:
            raise ValueError(
                "Shape of array too small to calculate a numerical gradient, "
                "at least (edge_order + 1) elements are required."
            )
        slope = np.moveaxis(_gradient_along_first(np.moveaxis(f, along, 0), spacing, edge_order), 0, along)
        slopes.append(slope if slope.dtype == f.dtype else slope.astype(f.dtype))
    return slopes[0] if len(slopes) == 1 else tuple(slopes)


def _gradient_along_first(f: Any, spacing: Any, edge_order: int) -> Any:
    """Second-order differences along the first axis, one-sided at its ends: Fornberg 1988, of three points."""
    if np.ndim(spacing) == 0:
        inner = (f[2:] - f[:-2]) / (2.0 * spacing)
        before = after = spacing
        steps = [(spacing, spacing), (spacing, spacing)]
    else:
        spacing = strong(spacing)
        if spacing.ndim != 1:
            raise ValueError("distances must be either scalars or 1d")
        if spacing.shape[0] != f.shape[0]:
            raise ValueError("when 1d, distances must match the length of the corresponding dimension")
        precision = np.finfo(f.dtype).dtype
        widths = np.diff(spacing.astype(np.float64) if spacing.dtype.kind in "iu" else spacing)
        widths = widths if widths.dtype == precision else widths.astype(precision)
        before, after = widths[0], widths[-1]
        one, two = (np.reshape(w, (-1,) + (1,) * (f.ndim - 1)) for w in (widths[:-1], widths[1:]))
        inner = (
            -two / (one * (one + two)) * f[:-2] + (two - one) / (one * two) * f[1:-1]
            + one / (two * (one + two)) * f[2:]
        )  # fmt: skip
        steps = [(widths[0], widths[1]), (widths[-1], widths[-2])] if edge_order == 2 else []
    if edge_order == 1:
        first, last = (f[1] - f[0]) / before, (f[-1] - f[-2]) / after
    else:
        first, last = _at_end(f[0], f[1], f[2], *steps[0]), -_at_end(f[-1], f[-2], f[-3], *steps[1])
    return np.concatenate([first[None], inner, last[None]])


def _at_end(f0: Any, f1: Any, f2: Any, one: Any, two: Any) -> Any:
    both = one + two
    return -(both + one) / (one * both) * f0 + both / (one * two) * f1 - one / (two * both) * f2


@composite(np.trapezoid)
def _trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    y = strong(y)
    axis = normalize_axis_index(axis, y.ndim)
    if x is None:
        widths = dx
    else:
        x = strong(x)
        widths = np.diff(x, axis=0 if x.ndim == 1 else axis - y.ndim)
        if x.ndim == 1:
            widths = np.reshape(widths, (-1,) + (1,) * (y.ndim - 1 - axis))
    before = (slice(None),) * axis
    return np.sum(widths * (y[(*before, slice(1, None))] + y[(*before, slice(None, -1))]) / 2.0, axis=axis)


# --- grids ------------------------------------------------------------------------------------------------------------


@composite(np.linspace)
def _linspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, retstep: bool = False, dtype: Any = None,
    axis: int = 0, *, device: Any = None,
) -> Any:  # fmt: skip
    num = operator.index(num)
    if num < 0:
        raise ValueError(f"Number of samples, {num}, must be non-negative.")
    parts = num - 1 if endpoint else num
    start, stop = (np.asarray(v) if isinstance(v, (list, tuple)) else v for v in (start, stop))
    kind = np.result_type(start, stop)
    precision = np.finfo(kind).dtype if kind.kind in "fc" else np.float64
    delta = np.subtract(stop, start)
    column = (-1,) + (1,) * np.ndim(delta)
    share = (np.arange(num) / max(parts, 1)).astype(precision).reshape(column)
    grid = np.add(start, share * delta)
    if endpoint and num > 1:
        grid = np.where((np.arange(num) == parts).reshape(column), stop, grid)
    if axis != 0:
        grid = np.moveaxis(grid, 0, axis)
    if dtype is not None:
        grid = (np.floor(grid) if np.issubdtype(dtype, np.integer) else grid).astype(dtype)
    return (grid, delta / parts if parts > 0 else np.nan) if retstep else grid


@composite(np.logspace)
def _logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> Any:  # fmt: skip
    if np.ndim(base):
        start, stop, base = strong(start), strong(stop), strong(base)
        rank = len(np.broadcast_shapes(start.shape, stop.shape, base.shape))
        start, stop, base = (np.reshape(v, (1,) * (rank - v.ndim) + v.shape) for v in (start, stop, base))
        base = np.expand_dims(base, axis)
    grid = np.power(base, np.linspace(start, stop, num, endpoint, axis=axis))
    return grid if dtype is None else grid.astype(dtype)


@composite(np.geomspace)
def _geomspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0
) -> Any:  # fmt: skip
    start, stop, num = strong(start), strong(stop), operator.index(num)
    if np.any(start == 0) or np.any(stop == 0):
        raise ValueError("Geometric sequence cannot include zero")
    kind = np.result_type(start, stop, np.float64)
    start, stop = (v if v.dtype == kind else v.astype(kind) for v in (start, stop))
    # Turned so that it begins on the positive axis, and turned back at the end
    sign = start / np.abs(start) if kind.kind == "c" else np.sign(start)
    grid = np.logspace(np.log10(start / sign), np.log10(stop / sign), num, endpoint) * sign
    ends = [(0, start)] if num > 0 else []
    ends += [(num - 1, stop)] if num > 1 and endpoint else []
    for place, end in ends:
        grid = np.where((np.arange(num) == place).reshape((-1,) + (1,) * (grid.ndim - 1)), end, grid)
    grid = grid if axis == 0 else np.moveaxis(grid, 0, axis)
    wanted = kind if dtype is None else np.dtype(dtype)
    return grid if grid.dtype == wanted else grid.astype(wanted)


@composite(np.meshgrid)
def _meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    if indexing not in ("xy", "ij"):
        raise ValueError("Valid values for `indexing` are 'xy' and 'ij'.")
    count = len(xi)
    order = [1, 0, *range(2, count)] if indexing == "xy" and count > 1 else list(range(count))
    grids = [
        np.reshape(x, tuple(-1 if k == place else 1 for k in range(count)))
        for x, place in zip(xi, order, strict=True)
    ]  # fmt: skip
    if not sparse:
        shape = np.broadcast_shapes(*(np.shape(grid) for grid in grids))
        grids = [np.broadcast_to(grid, shape) for grid in grids]
    return tuple(np.copy(grid) for grid in grids) if copy else tuple(grids)
