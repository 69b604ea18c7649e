"""The table of the gamma function and its kin: psi, zeta, beta, binomial coefficients.

At poles the partials are what NumPy makes of them, infinite or NaN.  Formulas: DLMF 5.2.2, 5.5.3, 5.12.1, 5.15.1,
25.11.17; the derivative of zeta in s is Euler's and Maclaurin's formula (25.11.7) differentiated.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import _ufuncs as special

from shared.core.facets import COMPARISON, FUNCTION, align
from shared.core.primitive import Primitive
from shared.core.registry import constant, elementwise, rule
from shared.scipy.masks import dtype_of, masked
from shared.scipy.refused import real_only

#: The two ufuncs that scipy.special.zeta calls: of s, and of s and q
HURWITZ_ZETA, RIEMANN_ZETA = special._zeta, special._riemann_zeta


def polygamma(n: int, x: Any) -> Any:
    """The n-th derivative of psi (DLMF 5.15.1)."""
    if n == 0:
        return special.psi(x)
    if np.iscomplexobj(x):
        return COMPLEX_POLYGAMMA(x, order=n)
    return (-1.0) ** (n + 1) * math.factorial(n) * HURWITZ_ZETA(n + 1.0, x)


_BERNOULLI = [1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330]


def _complex_polygamma(z: Any, *, order: int) -> Any:
    """The order-th derivative of psi, of order at least 1: by recurrence, and 5.15.9 where the real part is large."""
    kind = np.result_type(z)
    z = np.asarray(z, np.complex128)
    # A sum over all whole numbers between would take too long, and has no digits left.
    far = z.real < -1000
    z = np.where(far, 1, z)
    shifts = max(0, math.ceil(16 - z.real.min(initial=16)))
    total = sum((math.factorial(order) * (z + k) ** -(order + 1.0) for k in range(shifts)), np.zeros_like(z))
    w = z + shifts
    total = total + math.factorial(order - 1) * w**-order + 0.5 * math.factorial(order) * w ** -(order + 1)
    for k, bernoulli in enumerate(_BERNOULLI):
        m = 2 * k + 2
        total = total + bernoulli * math.factorial(m + order - 1) / math.factorial(m) * w ** -(m + order)
    return np.where(far, np.nan, (-1.0) ** (order + 1) * total).astype(kind)[()]


def _complex_slope(v: Any, x: Any, *, order: int) -> Any:
    return v * COMPLEX_POLYGAMMA(x, order=order + 1)


COMPLEX_POLYGAMMA: Primitive = rule(
    _complex_polygamma,
    vjps=(_complex_slope,),
    jvps=(_complex_slope,),
    because="its partial depends on a keyword, the order",
    count=20 * FUNCTION,
    batch=align,
    dependence="elementwise",
)

# --- gamma ------------------------------------------------------------------------------------------------------------


def _reciprocal_slope(out: Any, x: Any) -> Any:
    """The derivative of 1 / Gamma(x): by reflection to the left, where psi has the poles of Gamma."""
    left = np.real(x) < 0.5
    y, z = masked(left, x, 0, out), masked(np.logical_not(left), x, 1, out)
    reflected = special.gamma(1 - y) * (np.cos(math.pi * y) - special.psi(1 - y) * np.sin(math.pi * y) / math.pi)
    return np.where(left, reflected, -special.psi(z) * out)


elementwise(special.gamma, lambda out, x: out * special.psi(x))
elementwise(special.gammaln, lambda x: special.psi(x))
elementwise(special.loggamma, lambda x: special.psi(x))
elementwise(special.rgamma, _reciprocal_slope)
elementwise(special.psi, lambda x: polygamma(1, x))
constant(special.gammasgn, count=COMPARISON)


# --- zeta -------------------------------------------------------------------------------------------------------------


def _zeta_slope(s: Any, q: Any, *, order: int) -> Any:
    """The order-th derivative of zeta(s, q) in s: truncated power series in s, of the terms of 25.11.7, added up."""
    kind = dtype_of(s, q)
    s, q = np.broadcast_arrays(np.asarray(s, np.float64), np.asarray(q, np.float64))
    # Below, the terms are much larger than their sum; it is also the continuation of the function to the left of 1.
    inside = (s > -1) & (s != 1) & (q > 0)
    s, q = np.where(inside, s, 2), np.where(inside, q, 1)
    terms = 12
    # k! times the k-th coefficient of b**-(s + h) in powers of h is (-log b)**k b**-s.
    total = sum((-np.log(q + n)) ** order * (q + n) ** -s for n in range(terms))
    b = q + terms
    powers = [(-np.log(b)) ** k * b**-s for k in range(order + 1)]
    # 1 / (s - 1 + h) has the derivatives (-1)**k k! / (s - 1)**(k + 1).
    pole = [(-1.0) ** k * math.factorial(k) / (s - 1) ** (k + 1) for k in range(order + 1)]
    total = total + 0.5 * powers[order]
    total = total + b * sum(math.comb(order, k) * pole[k] * powers[order - k] for k in range(order + 1))
    rising = [s, *([np.ones_like(s)] if order else []), *[np.zeros_like(s) for _ in range(order - 1)]]
    for m, bernoulli in enumerate(_BERNOULLI):
        scale = bernoulli / math.factorial(2 * m + 2) * b ** -(2.0 * m + 1)
        total = total + scale * sum(math.comb(order, k) * rising[k] * powers[order - k] for k in range(order + 1))
        for step in (2 * m + 1, 2 * m + 2):
            # Of a product with s + step
            rising = [rising[k] * (s + step) + (k * rising[k - 1] if k else 0) for k in range(order + 1)]
    return np.where(inside, total, np.nan).astype(kind)[()]


def _zeta_by_s(v: Any, x: Any, y: Any, *, order: int) -> Any:
    return v * ZETA_SLOPE(x, y, order=order + 1)


def _zeta_by_q(v: Any, x: Any, y: Any, *, order: int) -> Any:
    # zeta_q(s, q) = -s zeta(s + 1, q)
    found = x * ZETA_SLOPE(x + 1, y, order=order)
    return v * -(found + order * ZETA_SLOPE(x + 1, y, order=order - 1) if order else found)


ZETA_SLOPE: Primitive = rule(
    _zeta_slope,
    vjps=(_zeta_by_s, _zeta_by_q),
    jvps=(_zeta_by_s, _zeta_by_q),
    broadcasts=True,
    because="its partials depend on a keyword, the order of the derivative that it is",
    count=24 * FUNCTION,
    batch=align,
    dependence="elementwise",
)
elementwise(HURWITZ_ZETA, lambda x, y: ZETA_SLOPE(x, y, order=1), lambda x, y: -x * HURWITZ_ZETA(x + 1, y))


def _riemann_slope(x: Any) -> Any:
    real_only("scipy.special.zeta", x)
    return ZETA_SLOPE(x, np.ones_like(x), order=1)


elementwise(RIEMANN_ZETA, _riemann_slope)
elementwise(special.zetac, _riemann_slope)

# --- beta -------------------------------------------------------------------------------------------------------------


def _polygamma_difference(a: Any, b: Any, *, order: int) -> Any:
    """psi^(order)(a + b) - psi^(order)(b): by Taylor's series where the first is so small that digits would cancel."""
    kind = dtype_of(a, b)
    a, b = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(b, np.float64))
    near = (b > 0) & (np.abs(a) < 0.02 * b)
    found = polygamma(order, a + b) - polygamma(order, b)
    if np.any(near):
        x, y = np.where(near, a, 0), np.where(near, b, 1)
        series = sum(x**k / math.factorial(k) * polygamma(order + k, y) for k in range(1, 12))
        found = np.where(near, series, found)
    return np.asarray(found).astype(kind)[()]


def _difference_by_first(v: Any, x: Any, y: Any, *, order: int) -> Any:
    return v * polygamma(order + 1, x + y)


def _difference_by_second(v: Any, x: Any, y: Any, *, order: int) -> Any:
    return v * POLYGAMMA_DIFFERENCE(x, y, order=order + 1)


POLYGAMMA_DIFFERENCE: Primitive = rule(
    _polygamma_difference,
    vjps=(_difference_by_first, _difference_by_second),
    jvps=(_difference_by_first, _difference_by_second),
    broadcasts=True,
    because="its partials depend on a keyword, the order",
    count=2 * FUNCTION,
    batch=align,
    dependence="elementwise",
)


def _of_a_sum(x: Any, y: Any) -> Any:
    """psi(x) - psi(x + y)"""
    return -POLYGAMMA_DIFFERENCE(y, x, order=0)


elementwise(special.beta, lambda out, x, y: out * _of_a_sum(x, y), lambda out, x, y: out * _of_a_sum(y, x))
elementwise(special.betaln, _of_a_sum, lambda x, y: _of_a_sum(y, x))
elementwise(special.poch, lambda out, x, y: out * -_of_a_sum(x, y), lambda out, x, y: out * special.psi(x + y))
elementwise(
    special.binom,
    lambda out, x, y: out * POLYGAMMA_DIFFERENCE(y, x - y + 1, order=0),
    lambda out, x, y: out * (special.psi(x - y + 1) - special.psi(y + 1)),
)
