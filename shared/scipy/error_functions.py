"""The table of the error function and its kin: of the normal distribution, of Dawson, Fresnel, Voigt, Owen.

The derivatives of what is scaled by exp(x**2) are repeated integrals of the error function, scaled in the same way: as
2 x erfcx(x) - 2 / sqrt(pi) they would cancel to nothing for large x.  Formulas: DLMF 7.2, 7.10, 7.18; Owen 1956.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import _ufuncs as special

from shared.core.facets import FUNCTION, Count, align
from shared.core.primitive import Primitive
from shared.core.registry import composite, elementwise, rule
from shared.scipy.masks import dtype_of, masked

_TWO_OVER_ROOT_PI, _ROOT_2_PI = 2 / math.sqrt(math.pi), math.sqrt(2 * math.pi)
_ROOT_2 = math.sqrt(2)

# --- error functions --------------------------------------------------------------------------------------------------


def _scaled_repeated_integral(x: Any, *, order: int) -> Any:
    """exp(x**2) i^n erfc(x): by the recurrence 7.18.7, upwards for small x, downwards for others (Gautschi 1961)."""
    kind = dtype_of(x)
    x = np.asarray(x, np.complex128 if kind.kind == "c" else np.float64)
    below, value = np.full(x.shape, _TWO_OVER_ROOT_PI), special.erfcx(x)
    down = np.real(x) > 1.2
    y = np.where(down, x, 1)
    first = value
    for n in range(1, order + 1):
        below, value = value, (0.5 * below - x * value) / n
    above, current = np.zeros_like(y), np.full_like(y, 1e-280)
    ratio = current
    for n in range(140 + order, 0, -1):
        above, current = current, 2 * y * current + 2 * (n + 1) * above
        if n - 1 == order:
            ratio = current
        # Only the quotient matters, of numbers that grow by the thousand.
        large = np.abs(current) > 1e200
        if np.any(large):
            scale = np.where(large, 1e-250, 1)
            above, current, ratio = above * scale, current * scale, ratio * scale
    return np.where(down, first * (ratio / current), value).astype(kind)[()]


def _scaled_slope(v: Any, x: Any, *, order: int) -> Any:
    return v * (-2 * (order + 1) * SCALED_REPEATED_INTEGRAL(x, order=order + 1))


SCALED_REPEATED_INTEGRAL: Primitive = rule(
    _scaled_repeated_integral,
    vjps=(_scaled_slope,),
    jvps=(_scaled_slope,),
    because="its partial depends on a keyword, the order",
    count=Count(elementary=1, multiply=300, add=150),
    batch=align,
    dependence="elementwise",
)

elementwise(special.erf, lambda x: _TWO_OVER_ROOT_PI * np.exp(-x * x))
elementwise(special.erfc, lambda x: -_TWO_OVER_ROOT_PI * np.exp(-x * x))
elementwise(special.erfi, lambda x: _TWO_OVER_ROOT_PI * np.exp(x * x))
elementwise(special.erfcx, lambda x: -2 * SCALED_REPEATED_INTEGRAL(x, order=1))
elementwise(special.erfinv, lambda out: np.exp(out * out) / _TWO_OVER_ROOT_PI)
elementwise(special.erfcinv, lambda out: -np.exp(out * out) / _TWO_OVER_ROOT_PI)
elementwise(special.dawsn, lambda out, x: 1 - 2 * x * out)


def _faddeeva_slope(v: Any, out: Any, x: Any) -> Any:
    return v * (1j * _TWO_OVER_ROOT_PI - 2 * x * out)


rule(
    special.wofz,
    vjps=(_faddeeva_slope,),
    jvps=(_faddeeva_slope,),
    broadcasts=True,
    because="it is complex of a real argument, which elementwise functions of one argument are taken not to be",
    count=FUNCTION,
    dependence="elementwise",
)

# --- the normal distribution ------------------------------------------------------------------------------------------


def _normal(x: Any) -> Any:
    return np.exp(-0.5 * x * x) / _ROOT_2_PI


def _hazard(x: Any, like: Any) -> Any:
    """The density over the distribution function, the derivative of log_ndtr; in the dtype of `like`."""
    if np.iscomplexobj(x):
        return 2 / _ROOT_2_PI / special.erfcx(-x / _ROOT_2)
    left = np.less(x, 0)
    y, z = masked(left, x, -1, like), masked(np.logical_not(left), x, 1, like)
    return np.where(left, 2 / _ROOT_2_PI / special.erfcx(-y / _ROOT_2), _normal(z) / special.ndtr(z))


elementwise(special.ndtr, _normal)
elementwise(special.log_ndtr, lambda out, x: _hazard(x, out))
elementwise(special.ndtri, lambda out: _ROOT_2_PI * np.exp(0.5 * out * out))
elementwise(special.ndtri_exp, lambda out: 1 / _hazard(out, out))

# --- Fresnel, Voigt, Owen ---------------------------------------------------------------------------------------------


def _fresnel_s(x: Any) -> Any:
    return special.fresnel(x)[0]


def _fresnel_c(x: Any) -> Any:
    return special.fresnel(x)[1]


FRESNEL_S: Primitive = elementwise(_fresnel_s, lambda x: np.sin(0.5 * math.pi * x * x))
FRESNEL_C: Primitive = elementwise(_fresnel_c, lambda x: np.cos(0.5 * math.pi * x * x))


@composite(special.fresnel)
def _fresnel(x: Any) -> tuple[Any, Any]:
    return FRESNEL_S(x), FRESNEL_C(x)


def _voigt_parts(x: Any, sigma: Any, gamma: Any) -> tuple[Any, Any]:
    """Re w and Im w of z = (x + i gamma) / (sigma sqrt 2), where w is Faddeeva's function (DLMF 7.19.3)."""
    w = special.wofz((x + 1j * gamma) / (_ROOT_2 * sigma))
    return np.real(w), np.imag(w)


def _voigt_by_position(x: Any, y: Any, z: Any) -> Any:
    real, imaginary = _voigt_parts(x, y, z)
    return (z * imaginary - x * real) / (_ROOT_2_PI * y * y * y)


def _voigt_by_width(out: Any, x: Any, y: Any, z: Any) -> Any:
    # As a convolution with a heat kernel: V_sigma = sigma V_xx.
    real, imaginary = _voigt_parts(x, y, z)
    second = ((x * x - z * z - y * y) * real - 2 * x * z * imaginary) / (_ROOT_2_PI * y**5) + z / (math.pi * y**4)
    return y * second


def _voigt_by_decay(x: Any, y: Any, z: Any) -> Any:
    real, imaginary = _voigt_parts(x, y, z)
    return (z * real + x * imaginary) / (_ROOT_2_PI * y * y * y) - 1 / (math.pi * y * y)


elementwise(special.voigt_profile, _voigt_by_position, _voigt_by_width, _voigt_by_decay)
elementwise(
    special.owens_t,
    lambda x, y: -0.5 * _normal(x) * special.erf(x * y / _ROOT_2),
    lambda x, y: np.exp(-0.5 * x * x * (1 + y * y)) / (2 * math.pi * (1 + y * y)),
)
