"""Derivatives of Bessel functions in their order, by quadrature.

K_v(x) is the integral of exp(-x cosh t) cosh(v t) over t > 0 (DLMF 10.32.9), under which any number of derivatives in v
can be taken.  The integrand falls double exponentially, so the trapezoidal rule has nearly all digits (Trefethen &
Weideman 2014): relative to mpmath the error is below 1e-12.  This module knows no ufunc that has a rule.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shared.core.facets import Count, align
from shared.core.primitive import Primitive
from shared.core.registry import rule
from shared.scipy.masks import dtype_of, in_blocks
from shared.scipy.refused import real_only

_NODES = 160


def _macdonald(v: Any, x: Any, *, order: int, scaled: bool) -> Any:
    """The order-th derivative of K_v(x) in v, times exp(x) if it is scaled."""
    real_only("the derivative of scipy.special.kv in its order", v, x)
    kind = dtype_of(v, x)
    blocks = in_blocks(lambda *part: _macdonald(*part, order=order, scaled=scaled), kind, v, x)
    if blocks is not None:
        return blocks
    v, x = np.broadcast_arrays(np.asarray(v, np.float64), np.asarray(x, np.float64))
    inside = (x > 0) & np.isfinite(v)
    nu, z = np.where(inside, np.abs(v), 0)[..., None], np.where(inside, x, 1)[..., None]
    # The exponent nu t - z (cosh t - 1) is greatest where sinh t = nu / z.
    peak = np.arcsinh(nu / z)

    def below_peak(t: Any) -> Any:
        return nu * (t - peak) - 2 * z * np.sinh(0.5 * (t + peak)) * np.sinh(0.5 * (t - peak))

    with np.errstate(over="ignore"):
        first = np.maximum(peak - _distance(lambda d: below_peak(peak - d)), 0)
        last = peak + _distance(lambda d: below_peak(peak + d))
        step = (last - first) / _NODES
        t = first + step * np.arange(_NODES + 1)
        # Half of it at t = 0, where the integrand is even, or odd and zero
        weights = np.where(t == 0, 0.5, 1.0) * step * t**order
        shape = np.exp(below_peak(t)) * (1 + (-1) ** order * np.exp(-2 * nu * t))
        top = nu * peak - 2 * z * np.sinh(0.5 * peak) ** 2
        found = np.exp((top if scaled else top - z)[..., 0]) * np.sum(weights * shape, axis=-1) / 2
    if order % 2:
        found = np.sign(v) * found
    return np.where(inside, found, np.where(x == np.inf, 0.0, np.nan)).astype(kind)[()]


def _distance(exponent: Any) -> Any:
    """How far from its peak an exponent has fallen by 50, by bisection."""
    low: Any = math.log(1e-12)
    high: Any = math.log(1e4)
    for _ in range(13):
        middle = 0.5 * (low + high)
        fallen = exponent(np.exp(middle)) < -50
        low, high = np.where(fallen, low, middle), np.where(fallen, middle, high)
    return np.exp(high)


def _by_order(c: Any, x: Any, y: Any, *, order: int, scaled: bool) -> Any:
    return c * MACDONALD(x, y, order=order + 1, scaled=scaled)


def _by_argument(c: Any, x: Any, y: Any, *, order: int, scaled: bool) -> Any:
    below, above = (MACDONALD(x + d, y, order=order, scaled=scaled) for d in (-1, 1))
    slope = -0.5 * (below + above)
    return c * (slope + MACDONALD(x, y, order=order, scaled=scaled) if scaled else slope)


MACDONALD: Primitive = rule(
    _macdonald,
    vjps=(_by_order, _by_argument),
    jvps=(_by_order, _by_argument),
    broadcasts=True,
    because="its partials depend on keywords, the order of the derivative and whether it is scaled",
    count=Count(elementary=3 * _NODES, multiply=3 * _NODES, add=3 * _NODES),
    batch=align,
    dependence="elementwise",
)
