"""The incomplete gamma and beta functions as functions of their parameters: every derivative, by quadrature.

With t = exp(v), or t = 1 / (1 + exp(-v)), the integrands of both are log-concave functions of v.  A derivative in a
parameter multiplies the integrand by a polynomial in log t (and log(1 - t)), for which the integral over all t is zero:
so the tail that does not contain the mode is integrated, where the first polynomial hardly changes its sign and nothing
cancels.  Far tails keep their digits.  (The series of Moore 1982 and of Boik & Robison-Cox 1998 lose them, and end at
the first or second derivative.)  The tail is summed by double exponential formulas (Takahasi & Mori 1974), which
resolve features of any scale; relative to mpmath the error is below 1e-11 for parameters from 1e-3 to 1e4.

Formulas: DLMF 8.2.4, 8.2.6, 8.17.1.  This module knows of no ufunc that has a rule beside psi and zeta.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import _ufuncs as special

from shared.core.facets import Count, align
from shared.core.primitive import Primitive
from shared.core.registry import elementwise, rule
from shared.scipy.gamma_functions import POLYGAMMA_DIFFERENCE, polygamma
from shared.scipy.masks import dtype_of, in_blocks

# --- the densities ----------------------------------------------------------------------------------------------------


def _stirling(x: np.ndarray) -> Any:
    """log Gamma(x) less Stirling's (x - 1/2) log x - x + log(2 pi)/2 (DLMF 5.11.1)."""
    large = x >= 10
    z = np.where(large, x, 10)
    series = np.polynomial.polynomial.polyval(
        1 / (z * z), [1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400]
    )
    y = np.where(large, 1, x)
    return np.where(large, series / z, special.gammaln(y) - (y - 0.5) * np.log(y) + y - 0.5 * math.log(2 * math.pi))


def _deviance(a: np.ndarray, x: np.ndarray) -> Any:
    """a log(a / x) - a + x, without cancellation where x is near a (Loader 2000)."""
    d = (x - a) / a
    near = np.abs(d) < 0.2
    e = np.where(near, d, 0)
    r = e / (2 + e)
    odd = np.polynomial.polynomial.polyval(r * r, [1 / k for k in range(3, 23, 2)])
    return np.where(near, a * r * (e - 2 * r * r * odd), special.kl_div(a, x))


def _gamma_weight(a: Any, x: Any) -> Any:
    """x**a exp(-x) / Gamma(a)."""
    kind = dtype_of(a, x)
    a, x = np.asarray(a, np.float64), np.asarray(x, np.float64)
    c = np.where(a == 0, 1, a)
    found = np.sqrt(c / (2 * math.pi)) * np.exp(-_deviance(c, x) - _stirling(c))
    return np.where(x < 0, np.nan, np.where(a == 0, 0, found)).astype(kind)[()]


def _beta_weight(a: Any, b: Any, x: Any, y: Any) -> Any:
    """x**a y**b / B(a, b), where y is 1 - x."""
    kind = dtype_of(a, b, x, y)
    a, b, x, y = (np.asarray(value, np.float64) for value in (a, b, x, y))
    none = (a == 0) | (b == 0)
    a, b = np.where(none, 1, a), np.where(none, 1, b)
    n = a + b
    correction = _stirling(n) - _stirling(a) - _stirling(b)
    root = np.sqrt(a / n) * np.sqrt(b / (2 * math.pi))
    found = root * np.exp(correction - _deviance(a, n * x) - _deviance(b, n * y))
    return np.where((x < 0) | (y < 0), np.nan, np.where(none, 0, found)).astype(kind)[()]


GAMMA_WEIGHT: Primitive = elementwise(
    _gamma_weight,
    lambda out, x, y: out * (np.log(y) - special.psi(x)),
    lambda out, x, y: out * (np.divide(x, y) - 1),
)
BETA_WEIGHT: Primitive = elementwise(
    _beta_weight,
    lambda out, x, y, z: out * (np.log(z) + POLYGAMMA_DIFFERENCE(y, x, order=0)),
    lambda out, x, y, w: out * (np.log(w) + POLYGAMMA_DIFFERENCE(x, y, order=0)),
    lambda out, x, z: out * np.divide(x, z),
    lambda out, y, w: out * np.divide(y, w),
)


def gamma_density(a: Any, x: Any) -> Any:
    """x**(a - 1) exp(-x) / Gamma(a): the derivative of gammainc in x (DLMF 8.8.13)."""
    weight = GAMMA_WEIGHT(a, x)
    zero = np.equal(x, 0)
    if not np.any(zero):
        return weight / x
    at_zero = np.power(np.where(zero, x, weight.dtype.type(1)), a - 1)
    return np.where(zero, at_zero, weight / np.where(zero, weight.dtype.type(1), x))


def beta_density(a: Any, b: Any, x: Any) -> Any:
    """x**(a - 1) (1 - x)**(b - 1) / B(a, b): the derivative of betainc in x (DLMF 8.17.1)."""
    weight = BETA_WEIGHT(a, b, x, 1 - x)
    inner = np.logical_and(np.not_equal(x, 0), np.not_equal(x, 1))
    if np.all(inner):
        return weight / (x * (1 - x))
    at_edges = np.power(x, a - 1) * np.power(1 - x, b - 1) * np.exp(-special.betaln(a, b))
    one = weight.dtype.type(1)
    return np.where(inner, weight / np.where(inner, x * (1 - x), one), at_edges)


# --- double exponential formulas --------------------------------------------------------------------------------------


def _half_line() -> tuple[np.ndarray, np.ndarray]:
    u = np.arange(-3.75, 4.05, 1 / 16)
    s = np.exp(u - np.exp(-u))
    return s, s * (1 + np.exp(-u)) / 16


def _interval() -> tuple[np.ndarray, np.ndarray]:
    u = np.arange(-3.2, 3.2 + 1 / 32, 1 / 16)
    s = 1 / (1 + np.exp(-math.pi * np.sinh(u)))
    return s, s * s * np.exp(-math.pi * np.sinh(u)) * math.pi * np.cosh(u) / 16


_HALF_LINE, _INTERVAL = _half_line(), _interval()


def _tail(change: Callable[[Any], Any], weight: Callable[[Any], Any], knee: np.ndarray) -> np.ndarray:
    """The integral of exp(change(s)) weight(s) over s > 0, where change is concave and falls from 0 at s = 0.

    `knee` is where it may begin to fall.  The functions take an array with one more axis, of nodes, than `knee` has.
    """
    knee = knee[..., None]
    at_knee = change(knee)
    # Bisection for the distance in which the integrand falls to 1/e.
    low, high = np.full(knee.shape, math.log(1e-14)), np.full(knee.shape, math.log(1e20))
    for _ in range(14):
        middle = 0.5 * (low + high)
        falls = change(knee + np.exp(middle)) < at_knee - 1
        low, high = np.where(falls, low, middle), np.where(falls, middle, high)
    width = np.exp(high)
    nodes, weights = _HALF_LINE
    s = knee + width * nodes
    total: np.ndarray = np.sum(np.exp(change(s)) * weight(s) * (width * weights), axis=-1)
    if np.any(knee > 0):
        nodes, weights = _INTERVAL
        s = knee * nodes
        total += np.sum(np.exp(change(s)) * weight(s) * (knee * weights), axis=-1)
    return total


# --- the polynomials --------------------------------------------------------------------------------------------------


def _gamma_polynomial(order: int, a: Any, log_t: Any) -> Any:
    """The order-th derivative in a of t**a / Gamma(a), divided by it: a complete Bell polynomial."""
    cumulants = [log_t - polygamma(0, a), *[-polygamma(n, a) for n in range(1, order)]]
    found: list[Any] = [1.0]
    for n in range(order):
        found.append(sum(math.comb(n, k) * cumulants[k] * found[n - k] for k in range(n + 1)))
    return found[order]


def _beta_polynomial(order: tuple[int, int], a: Any, b: Any, log_t: Any, log_rest: Any) -> Any:
    """The same of t**a (1 - t)**b / B(a, b), of some order in a and some in b."""

    def cumulant(i: int, j: int) -> Any:
        if i and j:
            return polygamma(i + j - 1, a + b)
        found = POLYGAMMA_DIFFERENCE(a, b, order=j - 1) if j else POLYGAMMA_DIFFERENCE(b, a, order=i - 1)
        return found + (log_t if (i, j) == (1, 0) else log_rest if (i, j) == (0, 1) else 0.0)

    found: dict[tuple[int, int], Any] = {(0, 0): 1.0}
    for i in range(order[0] + 1):
        for j in range(order[1] + 1):
            if i:
                # One more derivative in a of that of order (i - 1, j)
                pairs = [(p, q) for p in range(i) for q in range(j + 1)]
                found[i, j] = sum(
                    math.comb(i - 1, p) * math.comb(j, q) * cumulant(p + 1, q) * found[i - 1 - p, j - q]
                    for p, q in pairs
                )
            elif j:
                found[i, j] = sum(math.comb(j - 1, q) * cumulant(0, q + 1) * found[0, j - 1 - q] for q in range(j))
    return found[order]


# --- gammainc ---------------------------------------------------------------------------------------------------------


def _broadcast(*values: Any) -> list[np.ndarray]:
    return list(np.broadcast_arrays(*[np.asarray(value, np.float64) for value in values]))


def _spread(inside: np.ndarray, limits: np.ndarray, values: Any, kind: np.dtype[Any]) -> Any:
    """Values of the elements inside of a domain, beside what holds outside of it."""
    found = np.array(limits)
    found[inside] = values
    return found.astype(kind)[()]


def _gamma_slope(a: Any, x: Any, *, order: int) -> Any:
    kind = dtype_of(a, x)
    blocks = in_blocks(lambda *part: _gamma_slope(*part, order=order), kind, a, x)
    if blocks is not None:
        return blocks
    a, x = _broadcast(a, x)
    inside = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    limits = np.where((a > 0) & ((x == 0) | (x == np.inf)), 0.0, np.nan)
    a, x = a[inside], x[inside]
    lower = x <= a
    outward = np.where(lower, -1.0, 1.0)[:, None]
    # Of the upper tail of a small a, nothing falls before t = 1.
    knee = np.where(lower, 0, np.maximum(-np.log(x), 0))
    log_x = np.log(x)[:, None]

    def change(s: Any) -> Any:
        return outward * s * a[:, None] - x[:, None] * np.expm1(outward * s)

    def weight(s: Any) -> Any:
        return _gamma_polynomial(order, a[:, None], log_x + outward * s)

    with np.errstate(over="ignore", under="ignore"):
        found = -outward[:, 0] * _gamma_weight(a, x) * _tail(change, weight, knee)
    return _spread(inside, limits, found, kind)


def _gamma_by_parameter(v: Any, x: Any, y: Any, *, order: int) -> Any:
    return v * GAMMA_SLOPE(x, y, order=order + 1)


def _gamma_by_argument(v: Any, x: Any, y: Any, *, order: int) -> Any:
    return v * (_gamma_polynomial(order, x, np.log(y)) * gamma_density(x, y))


#: 128 nodes, of two elementary functions each
_QUADRATURE = Count(elementary=300, multiply=600, add=600)

GAMMA_SLOPE: Primitive = rule(
    _gamma_slope,
    vjps=(_gamma_by_parameter, _gamma_by_argument),
    jvps=(_gamma_by_parameter, _gamma_by_argument),
    broadcasts=True,
    because="its partials depend on a keyword, the order of the derivative that it is",
    count=_QUADRATURE,
    batch=align,
    dependence="elementwise",
)

# --- betainc ----------------------------------------------------------------------------------------------------------


def _log_mixture(p: np.ndarray, q: np.ndarray, s: np.ndarray) -> Any:
    """log(q + p exp(s)), where p + q = 1: near s = 0 and for any s without cancellation and overflow."""
    near = np.log1p(np.maximum(p * np.expm1(np.minimum(s, 30)), -1 + 1e-16))
    far = np.maximum(s, 0) + np.log(np.where(s > 0, p, q) + np.where(s > 0, q, p) * np.exp(-np.abs(s)))
    return np.where((s > 30) | ((p >= 0.5) & (s < -1)), far, near)


def _beta_slope(a: Any, b: Any, x: Any, y: Any, *, order: tuple[int, int]) -> Any:
    # y is 1 - x, which callers may know better than this.
    kind = dtype_of(a, b, x, y)
    blocks = in_blocks(lambda *part: _beta_slope(*part, order=order), kind, a, b, x, y)
    if blocks is not None:
        return blocks
    a, b, x, y = _broadcast(a, b, x, y)
    valid = (a > 0) & (b > 0) & np.isfinite(a) & np.isfinite(b)
    inside = valid & (x > 0) & (y > 0)
    limits = np.where(valid & ((x == 0) | (y == 0)), 0.0, np.nan)
    a, b, x, y = a[inside], b[inside], x[inside], y[inside]
    lower = x * b <= y * a
    outward = np.where(lower, -1.0, 1.0)[:, None]
    v = np.log(x) - np.log(y)
    knee = np.maximum(np.where(lower, v - np.log1p(a), -np.log1p(b) - v), 0)
    A, B, X, Y = a[:, None], b[:, None], x[:, None], y[:, None]
    log_x, log_y = _log_of(X, Y), _log_of(Y, X)

    def logs(s: Any) -> tuple[Any, Any]:
        """log(t / x) and log((1 - t) / (1 - x))"""
        return -_log_mixture(Y, X, -outward * s), -_log_mixture(X, Y, outward * s)

    def change(s: Any) -> Any:
        of_t, of_rest = logs(s)
        return A * of_t + B * of_rest

    def weight(s: Any) -> Any:
        of_t, of_rest = logs(s)
        return _beta_polynomial(order, A, B, log_x + of_t, log_y + of_rest)

    with np.errstate(over="ignore", under="ignore"):
        found = -outward[:, 0] * _beta_weight(a, b, x, y) * _tail(change, weight, knee)
    return _spread(inside, limits, found, kind)


def _log_of(x: Any, y: Any) -> Any:
    """log(x), where y is 1 - x."""
    return np.where(x < 0.5, np.log(x), np.log1p(-np.minimum(y, 0.5)))


def _beta_by_first(v: Any, x: Any, y: Any, z: Any, w: Any, *, order: tuple[int, int]) -> Any:
    return v * BETA_SLOPE(x, y, z, w, order=(order[0] + 1, order[1]))


def _beta_by_second(v: Any, x: Any, y: Any, z: Any, w: Any, *, order: tuple[int, int]) -> Any:
    return v * BETA_SLOPE(x, y, z, w, order=(order[0], order[1] + 1))


# As of a function of z / (z + w)
def _beta_by_argument(v: Any, x: Any, y: Any, z: Any, w: Any, *, order: tuple[int, int]) -> Any:
    return v * (_beta_polynomial(order, x, y, np.log(z), np.log(w)) * BETA_WEIGHT(x, y, z, w) / z)


def _beta_by_rest(v: Any, x: Any, y: Any, z: Any, w: Any, *, order: tuple[int, int]) -> Any:
    return v * -(_beta_polynomial(order, x, y, np.log(z), np.log(w)) * BETA_WEIGHT(x, y, z, w) / w)


_BETA_RULES: Sequence[Callable[..., Any]] = (_beta_by_first, _beta_by_second, _beta_by_argument, _beta_by_rest)
BETA_SLOPE: Primitive = rule(
    _beta_slope,
    vjps=_BETA_RULES,
    jvps=_BETA_RULES,
    broadcasts=True,
    because="its partials depend on a keyword, the orders of the derivative that it is",
    count=_QUADRATURE,
    batch=align,
    dependence="elementwise",
)
