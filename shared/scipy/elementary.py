"""The table of SciPy's elementary functions: exponentials, powers, entropies, losses, transforms of data.

Where a function has its limit at an edge, as x log y at x = 0, its partials have theirs: RATIO(0, y) is 0 for every y,
and so is what xlogy's partial in y is at x = 0; the partial in x is log y, and minus infinity at y = 0.  Where a
function is infinite beyond its domain its partials are NaN.  Formulas: Abramowitz & Stegun 1964, chapter 4; Box & Cox
1964; Huber 1964; DLMF 13.3.15, 15.5.1.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import _ufuncs as special

from shared.core.facets import COMPARISON, DIVISION, MULTIPLICATION, Count
from shared.core.primitive import Primitive
from shared.core.registry import constant, elementwise
from shared.scipy.masks import dtype_of, masked, numbers_like

_LOG_2, _LOG_10, _DEGREE = math.log(2), math.log(10), math.pi / 180

# --- exponentials and trigonometric functions -------------------------------------------------------------------------

elementwise(special.exp2, lambda out: out * _LOG_2)
elementwise(special.exp10, lambda out: out * _LOG_10)
elementwise(special.expm1, lambda out: out + 1)
elementwise(special.log1p, lambda x: np.divide(1, 1 + x))
elementwise(special.cbrt, lambda out: np.divide(1, 3 * out * out))
elementwise(special.exprel, lambda x: 0.5 * special.hyp1f1(2.0, 3.0, x))
elementwise(special.cosm1, lambda x: -np.sin(x))
elementwise(special.sindg, lambda x: _DEGREE * special.cosdg(x))
elementwise(special.cosdg, lambda x: -_DEGREE * special.sindg(x))
elementwise(special.tandg, lambda out: _DEGREE * (1 + out * out))
elementwise(special.cotdg, lambda out: -_DEGREE * (1 + out * out))
elementwise(special.radian, _DEGREE, _DEGREE / 60, _DEGREE / 3600, count=Count(multiply=3, add=2))
constant(special.round, count=COMPARISON)

elementwise(special.expit, lambda out, x: out * special.expit(-x))
elementwise(special.logit, lambda x: np.divide(1, x * (1 - x)))
elementwise(special.log_expit, lambda x: special.expit(-x))

# --- logarithms of products and quotients -----------------------------------------------------------------------------


def _ratio(x: Any, y: Any) -> Any:
    """x / y, and 0 where x is 0."""
    zero = np.equal(x, 0)
    return np.divide(x, np.where(zero, np.result_type(x, y).type(1), y)) if np.any(zero) else np.divide(x, y)


def _log_ratio(x: Any, y: Any) -> Any:
    """log(x / y), of which neither the quotient overflows nor cancels the digits of what is near 1."""
    kind = dtype_of(x, y)
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    inside = (x > 0) & (y > 0)
    safe = np.where(inside, x, 1)
    return np.where(inside, special.rel_entr(safe, np.where(inside, y, 1)) / safe, np.log(x) - np.log(y)).astype(kind)[
        ()
    ]


RATIO: Primitive = elementwise(
    _ratio, lambda x, y: np.divide(1, y) + 0 * x, lambda out, y: -RATIO(out, y), count=DIVISION
)
LOG_RATIO: Primitive = elementwise(_log_ratio, lambda x: np.divide(1, x), lambda y: np.divide(-1, y))

elementwise(special.xlogy, lambda y: np.log(y), lambda x, y: RATIO(x, y))
elementwise(special.xlog1py, lambda y: special.log1p(y), lambda x, y: RATIO(x, 1 + y))
elementwise(special.entr, lambda x: -1 - np.log(x))
elementwise(special.rel_entr, lambda x, y: 1 + LOG_RATIO(x, y), lambda x, y: -RATIO(x, y))
elementwise(special.kl_div, lambda x, y: LOG_RATIO(x, y), lambda x, y: 1 - RATIO(x, y))

# --- losses -----------------------------------------------------------------------------------------------------------


# The first argument is the distance at which the loss changes; of a negative one it is infinite.
def _pseudo_huber_width(x: Any, y: Any) -> Any:
    u = np.divide(y, x)
    root = np.hypot(1, u)
    return x * u * (u / root) * np.square(u / (1 + root))


elementwise(
    special.huber,
    lambda out, x, y: np.maximum(np.abs(y) - x, 0) + 0 * out,
    lambda out, x, y: np.maximum(np.minimum(y, x), -x) + 0 * out,
    count=COMPARISON + 3 * MULTIPLICATION,
)
elementwise(
    special.pseudo_huber,
    lambda out, x, y: _pseudo_huber_width(x, y) + 0 * out,
    lambda out, x, y: y / np.hypot(1, np.divide(y, x)) + 0 * out,
)

# --- powers -----------------------------------------------------------------------------------------------------------


def _power_slope(out: Any, x: Any, y: Any) -> Any:
    # x**0 is 1 for every x.
    return y * np.power(masked(np.logical_or(x != 0, y != 0), x, 1, out), y - 1)


elementwise(special.powm1, _power_slope, lambda out, x: (out + 1) * np.log(masked(np.not_equal(x, 0), x, 1, out)))


def box_cox_slope(out: Any, log_x: Any, y: Any) -> Any:
    """The derivative of (exp(y log x) - 1) / y in y, where log x may be -inf."""
    near = np.abs(y * log_x) < 1
    u, v = masked(near, log_x, 0, out), masked(near, y, 0, out)
    power = y * out + 1
    direct = (power * masked(power != 0, log_x, 0, out) - out) / masked(np.logical_not(near), y, 1, out)
    return np.where(near, u * u * (0.5 * special.hyp1f1(2.0, 3.0, u * v)), direct)


def _inverse_box_cox_slope(out: Any, x: Any, y: Any) -> Any:
    """The derivative of log1p(x y) / y in y, times `out`."""
    t = x * y
    near = np.abs(t) < 0.5
    far = np.logical_not(near)
    u, v = masked(near, x, 0, out), masked(far, y, 1, out)
    direct = (x / (1 + t) - np.log1p(masked(far, t, 0, out)) / v) / v
    w = -masked(near, t, 0, out)
    return out * np.where(near, -0.5 * u * u * special.hyp2f1(*numbers_like(w, 2, 2, 3), w), direct)


elementwise(special.boxcox, lambda x, y: np.power(x, y - 1), lambda out, x, y: box_cox_slope(out, np.log(x), y))
elementwise(special.boxcox1p, lambda x, y: np.power(1 + x, y - 1), lambda out, x, y: box_cox_slope(out, np.log1p(x), y))
elementwise(
    special.inv_boxcox, lambda out, x, y: out / (1 + x * y), lambda out, x, y: _inverse_box_cox_slope(out, x, y)
)
elementwise(
    special.inv_boxcox1p,
    lambda out, x, y: (1 + out) / (1 + x * y),
    lambda out, x, y: _inverse_box_cox_slope(1 + out, x, y),
)
