"""The table of the incomplete gamma and beta functions, their inverses, and the distribution functions made of them.

Everything is the gamma or the beta distribution's function at an argument of its own: `_gamma` and `_beta` are those
with the derivatives by which the rows are made.  An inverse has the derivatives of an implicit function: of x where
F(a, x) = p they are -F_a / F_x and 1 / F_x.  Numbers of successes are rounded down by SciPy, so that the derivative in
them is zero wherever it exists.  Formulas: DLMF 8.8, 8.17; Abramowitz & Stegun 1964, chapter 26; Johnson, Kotz &
Balakrishnan 1995, chapter 29.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import _ufuncs as special

from shared.core.registry import elementwise
from shared.scipy.elementary import RATIO, box_cox_slope
from shared.scipy.incomplete import BETA_SLOPE, BETA_WEIGHT, GAMMA_SLOPE, beta_density, gamma_density
from shared.scipy.masks import masked, whole
from shared.scipy.refused import refused

# --- functions, what is left of them to 1, and their inverses ---------------------------------------------------------

#: By the number of arguments: a partial of what is left to 1, of its own arguments.
_NEGATED: dict[int, Callable[[Any], Any]] = {
    2: lambda f: lambda x, y: -f(x, y),
    3: lambda f: lambda x, y, z: -f(x, y, z),
}
#: By the number of arguments and the place of the one that is the result: a partial where that has been found.
_FOUND: dict[tuple[int, int], Callable[[Any], Any]] = {
    (2, 0): lambda f: lambda out, y: f(out, y),
    (2, 1): lambda f: lambda out, x: f(x, out),
    (3, 0): lambda f: lambda out, y, z: f(out, y, z),
    (3, 1): lambda f: lambda out, x, z: f(x, out, z),
    (3, 2): lambda f: lambda out, x, y: f(x, y, out),
}


def _with_rest(function: Any, rest: Any, *partials: Any) -> None:
    """Declare a function F and 1 - F, by the partials of F."""
    elementwise(function, *partials)
    elementwise(rest, *map(_NEGATED[len(partials)], partials))


def _inverse(function: Any, place: int, *partials: Any, of_rest: bool = False) -> None:
    """Declare what solves F = p, or 1 - F = p, for the argument at a place, where p is given, by the partials of F."""
    by, at = partials[place], _FOUND[len(partials), place]

    def in_another(partial: Any) -> Any:
        return lambda *found: -partial(*found) / by(*found)

    def in_number(*found: Any) -> Any:
        return (-1 if of_rest else 1) / by(*found)

    elementwise(function, *[at(in_number if k == place else in_another(f)) for k, f in enumerate(partials)])


# --- the derivatives of P(x, y) and I_z(x, y) -------------------------------------------------------------------------


def _in_a(x: Any, y: Any) -> Any:
    return GAMMA_SLOPE(x, y, order=1)


def _first(x: Any, y: Any, z: Any) -> Any:
    return BETA_SLOPE(x, y, z, 1 - z, order=(1, 0))


def _second(x: Any, y: Any, z: Any) -> Any:
    return BETA_SLOPE(x, y, z, 1 - z, order=(0, 1))


# --- gamma ------------------------------------------------------------------------------------------------------------

_GAMMA = (_in_a, lambda x, y: gamma_density(x, y))
_with_rest(special.gammainc, special.gammaincc, *_GAMMA)
_inverse(special.gammaincinv, 1, *_GAMMA)
_inverse(special.gammainccinv, 1, *_GAMMA, of_rest=True)
# chi squared, of x degrees of freedom: P(x / 2, y / 2)
_CHI_SQUARED = (lambda x, y: 0.5 * _in_a(0.5 * x, 0.5 * y), lambda x, y: 0.5 * gamma_density(0.5 * x, 0.5 * y))
_with_rest(special.chdtr, special.chdtrc, *_CHI_SQUARED)
_inverse(special.chdtri, 1, *_CHI_SQUARED, of_rest=True)
_inverse(special.chdtriv, 0, *_CHI_SQUARED)
# gamma, of rate x and shape y: P(y, x z)
_OF_RATE_AND_SHAPE = (
    lambda x, y, z: z * gamma_density(y, x * z),
    lambda x, y, z: _in_a(y, x * z),
    lambda x, y, z: x * gamma_density(y, x * z),
)
_with_rest(special.gdtr, special.gdtrc, *_OF_RATE_AND_SHAPE)
_inverse(special.gdtrib, 1, *_OF_RATE_AND_SHAPE)
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

_BETA = (_first, _second, lambda x, y, z: beta_density(x, y, z))
_with_rest(special.betainc, special.betaincc, *_BETA)
_inverse(special.betaincinv, 2, *_BETA)
_inverse(special.betainccinv, 2, *_BETA, of_rest=True)
# The parameters for which the function has a value
_inverse(special.btdtria, 0, *_BETA)
_inverse(special.btdtrib, 1, *_BETA)
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


_BINOMIAL = (
    _binomial_by_successes,
    lambda x, y, z: -_second(x + 1, y - x, z),
    lambda x, y, z: -beta_density(x + 1, y - x, z),
)
_inverse(special.bdtrik, 0, *_BINOMIAL)
_inverse(special.bdtrin, 1, *_BINOMIAL)
_NEGATIVE_BINOMIAL = (
    lambda x, y, z: _second(y, x + 1, z),
    lambda x, y, z: _first(y, x + 1, z),
    lambda x, y, z: beta_density(y, x + 1, z),
)
_inverse(special.nbdtrik, 0, *_NEGATIVE_BINOMIAL)
_inverse(special.nbdtrin, 1, *_NEGATIVE_BINOMIAL)


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


_F = (_f_by_x, _f_by_y, _f_by_z)
_with_rest(special.fdtr, special.fdtrc, *_F)
_inverse(special.fdtri, 2, *_F)
_inverse(special.fdtridfd, 1, *_F)


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
_inverse(special.stdtrit, 1, _t_by_freedom, _t_density)
_inverse(special.stdtridf, 0, _t_by_freedom, _t_density)

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
