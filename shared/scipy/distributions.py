"""The table of the incomplete gamma and beta functions, their inverses, and the distribution functions made of them.

Everything is the gamma or the beta distribution's function at an argument of its own: `_gamma` and `_beta` are those
with the derivatives by which the rows are made.  An inverse has the derivatives of an implicit function: of x where
F(a, x) = p they are -F_a / F_x and 1 / F_x.  Numbers of successes are rounded down by SciPy, so that the derivative in
them is zero wherever it exists.  Formulas: DLMF 8.8, 8.17; Abramowitz & Stegun 1964, chapter 26; Johnson, Kotz &
Balakrishnan 1995, chapter 29.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import _ufuncs as special

from shared.core.registry import elementwise
from shared.scipy.elementary import RATIO, box_cox_slope
from shared.scipy.incomplete import BETA_SLOPE, BETA_WEIGHT, GAMMA_SLOPE, beta_density, gamma_density
from shared.scipy.masks import masked, whole
from shared.scipy.refused import refused

# --- the derivatives of P(a, x) and I_x(a, b) -------------------------------------------------------------------------


def _in_a(a: Any, x: Any) -> Any:
    return GAMMA_SLOPE(a, x, order=1)


def _first(a: Any, b: Any, x: Any) -> Any:
    return BETA_SLOPE(a, b, x, 1 - x, order=(1, 0))


def _second(a: Any, b: Any, x: Any) -> Any:
    return BETA_SLOPE(a, b, x, 1 - x, order=(0, 1))


# --- gamma ------------------------------------------------------------------------------------------------------------

elementwise(special.gammainc, lambda x, y: _in_a(x, y), lambda x, y: gamma_density(x, y))
elementwise(special.gammaincc, lambda x, y: -_in_a(x, y), lambda x, y: -gamma_density(x, y))
elementwise(
    special.gammaincinv,
    lambda out, x: -_in_a(x, out) / gamma_density(x, out),
    lambda out, x: 1 / gamma_density(x, out),
)
elementwise(
    special.gammainccinv,
    lambda out, x: -_in_a(x, out) / gamma_density(x, out),
    lambda out, x: -1 / gamma_density(x, out),
)
# chi squared, of x degrees of freedom: P(x / 2, y / 2)
elementwise(
    special.chdtr, lambda x, y: 0.5 * _in_a(0.5 * x, 0.5 * y), lambda x, y: 0.5 * gamma_density(0.5 * x, 0.5 * y)
)
elementwise(
    special.chdtrc, lambda x, y: -0.5 * _in_a(0.5 * x, 0.5 * y), lambda x, y: -0.5 * gamma_density(0.5 * x, 0.5 * y)
)
elementwise(
    special.chdtri,
    lambda out, x: -_in_a(0.5 * x, 0.5 * out) / gamma_density(0.5 * x, 0.5 * out),
    lambda out, x: -2 / gamma_density(0.5 * x, 0.5 * out),
)
elementwise(
    special.chdtriv,
    lambda out, y: 2 / _in_a(0.5 * out, 0.5 * y),
    lambda out, y: -gamma_density(0.5 * out, 0.5 * y) / _in_a(0.5 * out, 0.5 * y),
)
# gamma, of rate x and shape y: P(y, x z)
elementwise(
    special.gdtr,
    lambda x, y, z: z * gamma_density(y, x * z),
    lambda x, y, z: _in_a(y, x * z),
    lambda x, y, z: x * gamma_density(y, x * z),
)
elementwise(
    special.gdtrc,
    lambda x, y, z: -z * gamma_density(y, x * z),
    lambda x, y, z: -_in_a(y, x * z),
    lambda x, y, z: -x * gamma_density(y, x * z),
)
elementwise(
    special.gdtrix,
    lambda out, x: -out / x,
    lambda out, x, y: -_in_a(y, x * out) / (x * gamma_density(y, x * out)),
    lambda out, x, y: 1 / (x * gamma_density(y, x * out)),
)
elementwise(
    special.gdtria,
    lambda out, y, z: 1 / (z * gamma_density(y, out * z)),
    lambda out, y, z: -_in_a(y, out * z) / (z * gamma_density(y, out * z)),
    lambda out, z: -out / z,
)
elementwise(
    special.gdtrib,
    lambda out, x, z: -z * gamma_density(out, x * z) / _in_a(out, x * z),
    lambda out, x, z: 1 / _in_a(out, x * z),
    lambda out, x, z: -x * gamma_density(out, x * z) / _in_a(out, x * z),
)
# Poisson, of at most x events where y are expected: 1 - P(floor(x) + 1, y)
elementwise(special.pdtr, None, lambda x, y: -gamma_density(whole(x) + 1.0, y))
elementwise(special.pdtrc, None, lambda x, y: gamma_density(whole(x) + 1.0, y))
elementwise(special.pdtri, None, lambda out, x: -1 / gamma_density(whole(x) + 1.0, out))
elementwise(
    special.pdtrik,
    lambda out, y: -1 / _in_a(out + 1, y),
    lambda out, y: -gamma_density(out + 1, y) / _in_a(out + 1, y),
)

# --- beta -------------------------------------------------------------------------------------------------------------

elementwise(
    special.betainc,
    lambda x, y, z: _first(x, y, z),
    lambda x, y, z: _second(x, y, z),
    lambda x, y, z: beta_density(x, y, z),
)
elementwise(
    special.betaincc,
    lambda x, y, z: -_first(x, y, z),
    lambda x, y, z: -_second(x, y, z),
    lambda x, y, z: -beta_density(x, y, z),
)
elementwise(
    special.betaincinv,
    lambda out, x, y: -_first(x, y, out) / beta_density(x, y, out),
    lambda out, x, y: -_second(x, y, out) / beta_density(x, y, out),
    lambda out, x, y: 1 / beta_density(x, y, out),
)
elementwise(
    special.betainccinv,
    lambda out, x, y: -_first(x, y, out) / beta_density(x, y, out),
    lambda out, x, y: -_second(x, y, out) / beta_density(x, y, out),
    lambda out, x, y: -1 / beta_density(x, y, out),
)
# The parameters for which the function has a value: of that, the other parameter and the argument
elementwise(
    special.btdtria,
    lambda out, y, z: 1 / _first(out, y, z),
    lambda out, y, z: -_second(out, y, z) / _first(out, y, z),
    lambda out, y, z: -beta_density(out, y, z) / _first(out, y, z),
)
elementwise(
    special.btdtrib,
    lambda out, x, z: -_first(x, out, z) / _second(x, out, z),
    lambda out, x, z: 1 / _second(x, out, z),
    lambda out, x, z: -beta_density(x, out, z) / _second(x, out, z),
)
# Binomial, of at most x successes of y: I of 1 - z, where a = y - floor(x) and b = floor(x) + 1
elementwise(special.bdtr, None, None, lambda x, y, z: -beta_density(whole(x) + 1.0, y - whole(x), z))
elementwise(special.bdtrc, None, None, lambda x, y, z: beta_density(whole(x) + 1.0, y - whole(x), z))
elementwise(special.bdtri, None, None, lambda out, x, y: -1 / beta_density(whole(x) + 1.0, y - whole(x), out))
# Negative binomial, of at most x failures before y successes: I of z, where a = y and b = x + 1
elementwise(special.nbdtr, None, None, lambda x, y, z: beta_density(y, whole(x) + 1.0, z))
elementwise(special.nbdtrc, None, None, lambda x, y, z: -beta_density(y, whole(x) + 1.0, z))
elementwise(special.nbdtri, None, None, lambda out, x, y: 1 / beta_density(y, whole(x) + 1.0, out))


# The numbers of successes, trials or failures, as of continuous ones, for which the function has a value
def _binomial_by_successes(x: Any, y: Any, z: Any) -> Any:
    return _second(x + 1, y - x, z) - _first(x + 1, y - x, z)


elementwise(
    special.bdtrik,
    lambda out, y, z: 1 / _binomial_by_successes(out, y, z),
    lambda out, y, z: _second(out + 1, y - out, z) / _binomial_by_successes(out, y, z),
    lambda out, y, z: beta_density(out + 1, y - out, z) / _binomial_by_successes(out, y, z),
)
elementwise(
    special.bdtrin,
    lambda out, x, z: _binomial_by_successes(x, out, z) / _second(x + 1, out - x, z),
    lambda out, x, z: -1 / _second(x + 1, out - x, z),
    lambda out, x, z: -beta_density(x + 1, out - x, z) / _second(x + 1, out - x, z),
)
elementwise(
    special.nbdtrik,
    lambda out, y, z: 1 / _second(y, out + 1, z),
    lambda out, y, z: -_first(y, out + 1, z) / _second(y, out + 1, z),
    lambda out, y, z: -beta_density(y, out + 1, z) / _second(y, out + 1, z),
)
elementwise(
    special.nbdtrin,
    lambda out, x, z: -_second(out, x + 1, z) / _first(out, x + 1, z),
    lambda out, x, z: 1 / _first(out, x + 1, z),
    lambda out, x, z: -beta_density(out, x + 1, z) / _first(out, x + 1, z),
)


# --- F and t ----------------------------------------------------------------------------------------------------------


def _f_argument(x: Any, y: Any, z: Any) -> tuple[Any, Any, Any, Any]:
    """Parameters and argument of the beta distribution: I of w, where a = x / 2 and b = y / 2; and 1 - w."""
    return 0.5 * x, 0.5 * y, x * z / (y + x * z), y / (y + x * z)


# log(w / (1 - w)) is log(x) + log(z) - log(y).
def _f_by_x(x: Any, y: Any, z: Any) -> Any:
    place = _f_argument(x, y, z)
    return 0.5 * BETA_SLOPE(*place, order=(1, 0)) + BETA_WEIGHT(*place) / x


def _f_by_y(x: Any, y: Any, z: Any) -> Any:
    place = _f_argument(x, y, z)
    return 0.5 * BETA_SLOPE(*place, order=(0, 1)) - BETA_WEIGHT(*place) / y


def _f_by_z(x: Any, y: Any, z: Any) -> Any:
    return BETA_WEIGHT(*_f_argument(x, y, z)) / z


elementwise(special.fdtr, _f_by_x, _f_by_y, _f_by_z)
elementwise(
    special.fdtrc,
    lambda x, y, z: -_f_by_x(x, y, z),
    lambda x, y, z: -_f_by_y(x, y, z),
    lambda x, y, z: -_f_by_z(x, y, z),
)
elementwise(
    special.fdtri,
    lambda out, x, y: -_f_by_x(x, y, out) / _f_by_z(x, y, out),
    lambda out, x, y: -_f_by_y(x, y, out) / _f_by_z(x, y, out),
    lambda out, x, y: 1 / _f_by_z(x, y, out),
)
elementwise(
    special.fdtridfd,
    lambda out, x, z: -_f_by_x(x, out, z) / _f_by_y(x, out, z),
    lambda out, x, z: 1 / _f_by_y(x, out, z),
    lambda out, x, z: -_f_by_z(x, out, z) / _f_by_y(x, out, z),
)


def _t_by_freedom(x: Any, y: Any) -> Any:
    """The derivative of Student's distribution in its x degrees of freedom: half of F's, of 1 and x, at y**2."""
    zero = np.equal(y, 0)
    if not np.any(zero):
        return 0.5 * np.sign(y) * _f_by_y(1.0, x, y * y)
    # Zero at 0, of which no derivative is known here: NaN
    z = np.where(zero, np.ones_like(y), y)
    return np.where(zero, RATIO(0 * y, y), 0.5 * np.sign(z) * _f_by_y(1.0, x, z * z))


def _t_density(x: Any, y: Any) -> Any:
    return np.exp(-0.5 * (x + 1) * np.log1p(y * y / x) - special.betaln(0.5 * x, 0.5 + 0 * x)) / np.sqrt(x)


elementwise(special.stdtr, _t_by_freedom, _t_density)
elementwise(
    special.stdtrit,
    lambda out, x: -_t_by_freedom(x, out) / _t_density(x, out),
    lambda out, x: 1 / _t_density(x, out),
)
elementwise(
    special.stdtridf,
    lambda out, y: 1 / _t_by_freedom(out, y),
    lambda out, y: -_t_density(out, y) / _t_by_freedom(out, y),
)

# --- normal, by its mean or its deviation; noncentral chi squared; Kolmogorov and Smirnov -----------------------------

elementwise(special.nrdtrimn, lambda out, y, z: -y * _quantile_slope((z - out) / y), lambda out, y, z: (out - z) / y, 1)
elementwise(
    special.nrdtrisd,
    lambda y: -1 / special.ndtri(y),
    lambda out, y: -out * _quantile_slope(special.ndtri(y)) / special.ndtri(y),
    lambda y: 1 / special.ndtri(y),
)


def _quantile_slope(quantile: Any) -> Any:
    """The derivative of the normal quantile."""
    return math.sqrt(2 * math.pi) * np.exp(0.5 * quantile * quantile)


# --- Tukey's lambda, whose quantile is the difference of two transforms of Box and Cox --------------------------------


def _tukey_by_x(out: Any, y: Any) -> Any:
    return 1 / (np.power(out, y - 1) + np.power(1 - out, y - 1))


def _tukey_by_y(out: Any, y: Any) -> Any:
    low, high = (box_cox_slope(special.boxcox(p, y), np.log(p), y) for p in (out, 1 - out))
    return (high - low) * _tukey_by_x(out, y)


elementwise(special.tklmbda, _tukey_by_x, _tukey_by_y)


_NONCENTRAL = "a noncentral distribution has no rule in its degrees of freedom here"


def _noncentral_density(x: Any, y: Any, z: Any) -> Any:
    root = np.sqrt(x * z)
    scaled = special.ive(0.5 * y - 1, root)
    return 0.5 * np.exp(-0.5 * np.square(np.sqrt(x) - np.sqrt(z))) * np.power(x / z, 0.25 * y - 0.5) * scaled


def _noncentral_by_z(x: Any, y: Any, z: Any) -> Any:
    # F_z is minus the density with two more degrees of freedom.
    return -_noncentral_density(x, y + 2.0, z)


elementwise(special.chndtr, _noncentral_density, refused(special.chndtr, 1, _NONCENTRAL), _noncentral_by_z)
elementwise(
    special.chndtrix,
    lambda out, y, z: 1 / _noncentral_density(out, y, z),
    refused(special.chndtrix, 1, _NONCENTRAL),
    lambda out, y, z: -_noncentral_by_z(out, y, z) / _noncentral_density(out, y, z),
)
elementwise(
    special.chndtrinc,
    lambda out, x, y: -_noncentral_density(x, y, out) / _noncentral_by_z(x, y, out),
    refused(special.chndtrinc, 1, _NONCENTRAL),
    lambda out, x, y: 1 / _noncentral_by_z(x, y, out),
)


def _kolmogorov_slope(x: Any, like: Any) -> Any:
    """The derivative of Kolmogorov's function, by one of two series, of which one converges quickly (Marsaglia 2003).

    SciPy's own derivative has 8 digits where both series converge as quickly.
    """
    large, small = x > 0.8, np.logical_and(x > 0.04, x <= 0.8)
    y, z = masked(large, x, 1, like), masked(small, x, 1, like)
    alternating = sum((-1.0) ** k * 8 * k * k * y * np.exp(-2 * k * k * y * y) for k in range(1, 8))
    w = 1 / (z * z)
    transformed = sum(
        math.sqrt(2 * math.pi) * (w - 2 * c * w * w) * np.exp(-c * w)
        for c in ((2 * k - 1) ** 2 * math.pi**2 / 8 for k in range(1, 6))
    )
    return np.where(large, alternating, np.where(small, transformed, like.dtype.type(0)))


elementwise(special.kolmogorov, lambda out, x: _kolmogorov_slope(x, out))
elementwise(special.kolmogi, lambda out: 1 / _kolmogorov_slope(out, out))
elementwise(special.smirnov, None, lambda x, y: special._smirnovp(x, y))
elementwise(special.smirnovi, None, lambda out, x: 1 / special._smirnovp(x, out))
