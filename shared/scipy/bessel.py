"""The table of the Bessel functions and their kin, in their argument: those of Hankel, Kelvin, Struve, Airy too.

In the order the modified functions of the second kind have derivatives (`shared.scipy.orders`), as Matern's covariance
needs them; of the others it is refused.  What SciPy scales by exp(-|Re z|) is not a holomorphic function of complex z,
and is refused there; of real x, i0e and its kin have a kink at 0, and the derivative 0 or that of the unscaled function
there.  Formulas: DLMF 9.2, 9.10, 10.6, 10.29, 10.51, 10.61, 11.4.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.special import _ufuncs as special

from shared.core.registry import composite, elementwise
from shared.scipy.masks import dtype_of
from shared.scipy.orders import MACDONALD
from shared.scipy.refused import real_only, refused
from shared.scipy.several import parts_of

_WHY = "the derivative of a Bessel function in its order has no rule here"
_WRIGHT = "the derivative of Wright's function in its parameters has no rule here"

# --- of any order -----------------------------------------------------------------------------------------------------


def _difference(function: Any) -> Callable[[Any, Any], Any]:
    return lambda x, y: 0.5 * (function(x - 1.0, y) - function(x + 1.0, y))


def _mean(function: Any) -> Callable[[Any, Any], Any]:
    return lambda x, y: 0.5 * (function(x - 1.0, y) + function(x + 1.0, y))


def _scaled_difference(function: Any) -> Callable[[Any, Any], Any]:
    def slope(x: Any, y: Any) -> Any:
        real_only(f"scipy.special.{function.__name__}, which is not holomorphic,", y)
        return 0.5 * (function(x - 1.0, y) - function(x + 1.0, y))

    return slope


def _ive_slope(out: Any, x: Any, y: Any) -> Any:
    real_only("scipy.special.ive, which is not holomorphic,", y)
    return 0.5 * (special.ive(x - 1.0, y) + special.ive(x + 1.0, y)) - np.sign(y) * out


for _function in (special.jv, special.yv, special.hankel1, special.hankel2):
    elementwise(_function, refused(_function, 0, _WHY), _difference(_function))
for _function in (special.jve, special.yve):
    elementwise(_function, refused(_function, 0, _WHY), _scaled_difference(_function))
elementwise(special.iv, refused(special.iv, 0, _WHY), _mean(special.iv))
elementwise(special.ive, refused(special.ive, 0, _WHY), _ive_slope)
elementwise(
    special.kv,
    lambda x, y: MACDONALD(x, y, order=1, scaled=False),
    lambda x, y: -0.5 * (special.kv(x - 1.0, y) + special.kv(x + 1.0, y)),
)
elementwise(
    special.kve,
    lambda x, y: MACDONALD(x, y, order=1, scaled=True),
    lambda out, x, y: out - 0.5 * (special.kve(x - 1.0, y) + special.kve(x + 1.0, y)),
)
elementwise(
    special.hankel1e,
    refused(special.hankel1e, 0, _WHY),
    lambda out, x, y: 0.5 * (special.hankel1e(x - 1.0, y) - special.hankel1e(x + 1.0, y)) - 1j * out,
)
elementwise(
    special.hankel2e,
    refused(special.hankel2e, 0, _WHY),
    lambda out, x, y: 0.5 * (special.hankel2e(x - 1.0, y) - special.hankel2e(x + 1.0, y)) + 1j * out,
)
# Of whole orders
elementwise(special.kn, None, lambda x, y: -0.5 * (special.kv(x - 1.0, y) + special.kv(x + 1.0, y)))
elementwise(special.yn, None, lambda x, y: 0.5 * (special.yv(x - 1.0, y) - special.yv(x + 1.0, y)))

# --- of orders 0 and 1 ------------------------------------------------------------------------------------------------

elementwise(special.j0, lambda x: -special.j1(x))
elementwise(special.j1, lambda x: 0.5 * (special.j0(x) - special.jv(2.0, x)))
elementwise(special.y0, lambda x: -special.y1(x))
elementwise(special.y1, lambda x: 0.5 * (special.y0(x) - special.yv(2.0, x)))
elementwise(special.i0, lambda x: special.i1(x))
elementwise(special.i1, lambda x: 0.5 * (special.i0(x) + special.iv(2.0, x)))
elementwise(special.k0, lambda x: -special.k1(x))
elementwise(special.k1, lambda out, x: -special.k0(x) - out / x)
elementwise(special.i0e, lambda out, x: special.i1e(x) - np.sign(x) * out)
elementwise(special.i1e, lambda out, x: 0.5 * (special.i0e(x) + special.ive(2.0, x)) - np.sign(x) * out)
elementwise(special.k0e, lambda out, x: out - special.k1e(x))
elementwise(special.k1e, lambda out, x: out - special.k0e(x) - out / x)

# --- spherical: of whole orders, by their differential equations (10.47.1, 10.47.2) ---------------------------------


def _spherical(kind: str, sign: int) -> None:
    value, slope = getattr(special, f"_spherical_{kind}"), getattr(special, f"_spherical_{kind}_d")
    elementwise(value, None, lambda x, y: slope(x, y))

    def curvature(out: Any, x: Any, y: Any) -> Any:
        return -2 * out / y + (sign + np.multiply(x, x + 1, dtype=out.dtype) / (y * y)) * value(x, y)

    elementwise(slope, None, curvature)


for _name, _sign in (("jn", -1), ("yn", -1), ("in", 1), ("kn", 1)):
    _spherical(_name, _sign)

# --- Kelvin -----------------------------------------------------------------------------------------------------------

elementwise(special.ber, lambda x: special.berp(x))
elementwise(special.bei, lambda x: special.beip(x))
elementwise(special.ker, lambda x: special.kerp(x))
elementwise(special.kei, lambda x: special.keip(x))
elementwise(special.berp, lambda out, x: -special.bei(x) - out / x)
elementwise(special.beip, lambda out, x: special.ber(x) - out / x)
elementwise(special.kerp, lambda out, x: -special.kei(x) - out / x)
elementwise(special.keip, lambda out, x: special.ker(x) - out / x)


@composite(special.kelvin)
def _kelvin(x: Any) -> tuple[Any, Any, Any, Any]:
    return (
        special.ber(x) + 1j * special.bei(x),
        special.ker(x) + 1j * special.kei(x),
        special.berp(x) + 1j * special.beip(x),
        special.kerp(x) + 1j * special.keip(x),
    )


# --- Struve -----------------------------------------------------------------------------------------------------------


def _struve_term(x: Any, y: Any) -> Any:
    return np.power(0.5 * y, x) * special.rgamma(x + 1.5 + 0 * y) / math.sqrt(math.pi)


elementwise(
    special.struve,
    refused(special.struve, 0, _WHY),
    lambda x, y: 0.5 * (special.struve(x - 1.0, y) - special.struve(x + 1.0, y) + _struve_term(x, y)),
)
elementwise(
    special.modstruve,
    refused(special.modstruve, 0, _WHY),
    lambda x, y: 0.5 * (special.modstruve(x - 1.0, y) + special.modstruve(x + 1.0, y) + _struve_term(x, y)),
)
# Wright's function, in its argument (10.46.1)
elementwise(
    special.wright_bessel,
    refused(special.wright_bessel, 0, _WRIGHT),
    refused(special.wright_bessel, 1, _WRIGHT),
    lambda x, y, z: special.wright_bessel(x, x + y, z),
)
elementwise(special.itstruve0, lambda x: special.struve(dtype_of(x).type(0), x))
elementwise(special.it2struve0, lambda x: -special.struve(dtype_of(x).type(0), x) / x)
elementwise(special.itmodstruve0, lambda x: special.modstruve(dtype_of(x).type(0), x))

# --- Airy, and integrals ----------------------------------------------------------------------------------------------


def _airy_slope(part: int, x: Any) -> Any:
    """Of Ai, Ai', Bi, Bi'"""
    return x * AIRY(x, part=part - 1) if part % 2 else AIRY(x, part=part + 1)


def _scaled_airy_slope(part: int, x: Any) -> Any:
    real_only("scipy.special.airye, which is not holomorphic,", x)
    rest = x * SCALED_AIRY(x, part=part - 1) if part % 2 else SCALED_AIRY(x, part=part + 1)
    root = np.sqrt(np.maximum(x, 0.0))
    return rest + (root if part < 2 else -root) * SCALED_AIRY(x, part=part)


def _integral_of_airy_slope(part: int, x: Any) -> Any:
    return AIRY(x if part < 2 else -x, part=2 * (part % 2))


AIRY = parts_of(special.airy, _airy_slope)
SCALED_AIRY = parts_of(special.airye, _scaled_airy_slope)
INTEGRAL_OF_AIRY = parts_of(special.itairy, _integral_of_airy_slope)
INTEGRAL_OF_J0_Y0 = parts_of(special.itj0y0, lambda part, x: special.y0(x) if part else special.j0(x))
INTEGRAL_OF_I0_K0 = parts_of(special.iti0k0, lambda part, x: special.k0(x) if part else special.i0(x))
INTEGRAL_OF_J0_Y0_BY_X = parts_of(
    special.it2j0y0, lambda part, x: -special.y0(x) / x if part else (1 - special.j0(x)) / x
)
INTEGRAL_OF_I0_K0_BY_X = parts_of(
    special.it2i0k0, lambda part, x: -special.k0(x) / x if part else (special.i0(x) - 1) / x
)
