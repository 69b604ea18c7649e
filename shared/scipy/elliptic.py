"""The table of the elliptic integrals and functions, and of the arithmetic-geometric mean.

All their derivatives are symmetric integrals of the same kind with other exponents, a family that is closed: of
(t + x)**-p (t + y)**-q (t + z)**-r (t + w)**-s over t > 0 (Carlson 1977; DLMF 19.16, 19.18).  Legendre's forms are such
integrals at certain arguments (19.25), where nothing is 0 / 0 at m = 0.  Derivatives are for real arguments,
and those of Carlson's integrals for positive ones.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.special import _ufuncs as special

from shared.core.facets import Count, align
from shared.core.primitive import Primitive
from shared.core.registry import elementwise, rule
from shared.scipy.masks import dtype_of, in_blocks
from shared.scipy.refused import real_only
from shared.scipy.several import parts_of

Exponents = tuple[float, float, float, float]


def _symmetric(x: Any, y: Any, z: Any, w: Any, *, exponents: Exponents) -> Any:
    """The integral over t > 0, by the trapezoidal rule in log t; of not more than one argument zero."""
    real_only("an elliptic integral", x, y, z, w)
    kind = dtype_of(x, y, z, w)
    blocks = in_blocks(lambda *part: _symmetric(*part, exponents=exponents), kind, x, y, z, w)
    if blocks is not None:
        return blocks
    arguments = np.broadcast_arrays(*[np.asarray(a, np.float64) for a in (x, y, z, w)])
    used = [(a, p) for a, p in zip(arguments, exponents, strict=True) if p]
    stacked = np.stack([a for a, _ in used])
    positive = np.where(stacked > 0, stacked, np.inf)
    inside = np.all(stacked >= 0, axis=0) & np.all(np.isfinite(stacked), axis=0) & np.any(stacked > 0, axis=0)
    low = np.where(inside, positive.min(axis=0, initial=np.inf), 1)
    high = np.where(inside, stacked.max(axis=0), 1)
    # Beside t = 0 the integrand falls as t**(1 - what the zeros have), beyond all arguments as t**(1 - all).
    at_zero = 1 - sum(np.where(stacked[k] == 0, p, 0) for k, (_, p) in enumerate(used))
    first = np.log(low) - 42 / np.maximum(at_zero, 0.25)
    last = np.log(high) + 42 / (sum(exponents) - 1)
    count = int(np.ceil(np.max((last - first) / 0.4, initial=1)))
    step = (last - first) / count
    v = first[..., None] + step[..., None] * np.arange(count + 1)
    t = np.exp(v)
    with np.errstate(over="ignore", divide="ignore"):
        logs = v - sum(p * np.log(t + np.where(inside, a, 1)[..., None]) for a, p in used)
        total = np.sum(np.exp(logs), axis=-1) * step
    total = np.where(at_zero > 0, total, np.inf)
    return np.where(inside, total, np.nan).astype(kind)[()]


def _by(k: int) -> Any:
    def partial(v: Any, x: Any, y: Any, z: Any, w: Any, *, exponents: Exponents) -> Any:
        p = exponents[k]
        if not p:
            return 0 * v * x * y * z * w
        raised: Any = tuple(q + (n == k) for n, q in enumerate(exponents))
        return v * (-p * SYMMETRIC(x, y, z, w, exponents=raised))

    return partial


SYMMETRIC: Primitive = rule(
    _symmetric,
    vjps=[_by(k) for k in range(4)],
    jvps=[_by(k) for k in range(4)],
    broadcasts=True,
    because="its partials depend on a keyword, the exponents",
    count=Count(elementary=1200, multiply=800, add=1200),
    batch=align,
    dependence="elementwise",
)


def _of_three(p: float, q: float, r: float) -> Any:
    return lambda x, y, z: SYMMETRIC(x, y, z, 1.0, exponents=(p, q, r, 0.0))


_F, _D = (0.5, 0.5, 0.5), (0.5, 0.5, 1.5)

# --- Carlson's --------------------------------------------------------------------------------------------------------


def _slope(scale: float, p: float, q: float, r: float) -> Any:
    function = _of_three(p, q, r)
    return lambda x, y, z: scale * function(x, y, z)


def _second_kind_slope(x: Any, y: Any, z: Any) -> Any:
    """The derivative of R_G in its first argument, which is (R_F - x R_D(y, z, x) / 3) / 4."""
    return 0.25 * (special.elliprf(x, y, z) - x * special.elliprd(y, z, x) / 3)


elementwise(
    special.elliprc,
    lambda x, y: -0.25 * SYMMETRIC(x, y, 1.0, 1.0, exponents=(1.5, 1.0, 0.0, 0.0)),
    lambda x, y: -0.5 * SYMMETRIC(x, y, 1.0, 1.0, exponents=(0.5, 2.0, 0.0, 0.0)),
)
elementwise(special.elliprf, _slope(-0.25, 1.5, 0.5, 0.5), _slope(-0.25, 0.5, 1.5, 0.5), _slope(-0.25, 0.5, 0.5, 1.5))
elementwise(special.elliprd, _slope(-0.75, 1.5, 0.5, 1.5), _slope(-0.75, 0.5, 1.5, 1.5), _slope(-2.25, 0.5, 0.5, 2.5))
elementwise(
    special.elliprg,
    lambda x, y, z: _second_kind_slope(x, y, z),
    lambda x, y, z: _second_kind_slope(y, x, z),
    lambda x, y, z: _second_kind_slope(z, x, y),
)
elementwise(
    special.elliprj,
    lambda x, y, z, w: -0.75 * SYMMETRIC(x, y, z, w, exponents=(1.5, 0.5, 0.5, 1.0)),
    lambda x, y, z, w: -0.75 * SYMMETRIC(x, y, z, w, exponents=(0.5, 1.5, 0.5, 1.0)),
    lambda x, y, z, w: -0.75 * SYMMETRIC(x, y, z, w, exponents=(0.5, 0.5, 1.5, 1.0)),
    lambda x, y, z, w: -1.5 * SYMMETRIC(x, y, z, w, exponents=(0.5, 0.5, 0.5, 2.0)),
)

# --- Legendre's -------------------------------------------------------------------------------------------------------


def _complete(m: Any, p: float, q: float) -> Any:
    """The integral of (t)**-1/2 (t + 1 - m)**-p (t + 1)**-q"""
    return SYMMETRIC(0.0, 1 - m, 1.0, 1.0, exponents=(0.5, p, q, 0.0))


def _incomplete_by_m(phi: Any, m: Any, of_first_kind: bool) -> Any:
    """The derivatives of F and E in m, of an angle reduced to less than a quarter of a turn."""
    turns = np.round(phi * (1 / math.pi))
    angle = phi - math.pi * turns
    s, c = np.sin(angle), np.cos(angle)
    # F - E is m s**3 R_D(c**2, 1 - m s**2, 1) / 3, and the derivative of E is that over -2 m.
    p, q, scale = (1.5, 0.5, 0.25) if of_first_kind else (0.5, 1.5, -0.25)
    own = s * s * s * SYMMETRIC(c * c, 1 - m * s * s, 1.0, 1.0, exponents=(0.5, p, q, 0.0))
    return scale * (own + (2 * turns * _complete(m, p, q) if np.any(turns) else 0.0))


elementwise(special.ellipk, lambda x: 0.25 * _complete(x, 1.5, 0.5))
elementwise(special.ellipkm1, lambda x: -0.25 * SYMMETRIC(0.0, x, 1.0, 1.0, exponents=(0.5, 1.5, 0.5, 0.0)))
elementwise(special.ellipe, lambda x: -0.25 * _complete(x, 0.5, 1.5))


def _delta(x: Any, y: Any) -> Any:
    return np.sqrt(1 - y * np.square(np.sin(x)))


elementwise(special.ellipkinc, lambda x, y: 1 / _delta(x, y), lambda x, y: _incomplete_by_m(x, y, True))
elementwise(special.ellipeinc, lambda x, y: _delta(x, y), lambda x, y: _incomplete_by_m(x, y, False))


def _jacobi_by_argument(part: int, u: Any, m: Any) -> Any:
    """Of sn, cn, dn, am (DLMF 22.13.1)"""
    sn, cn, dn = (JACOBI(u, m, part=k) for k in range(3))
    return (cn * dn, -sn * dn, -m * sn * cn, dn)[part]


def _jacobi_by_m(part: int, u: Any, m: Any) -> Any:
    # am is the inverse of F in its first argument.
    sn, cn, dn, am = (JACOBI(u, m, part=k) for k in range(4))
    angle = -dn * _incomplete_by_m(am, m, True)
    return (cn * angle, -sn * angle, -sn * (0.5 * sn + m * cn * angle) / dn, angle)[part]


JACOBI = parts_of(special.ellipj, _jacobi_by_argument, _jacobi_by_m)

# --- the arithmetic-geometric mean (19.8.5, 19.16.20) -----------------------------------------------------------------


def _mean_slope(out: Any, x: Any, y: Any) -> Any:
    second = SYMMETRIC(0.0, x * x, y * y, 1.0, exponents=(0.5, 1.5, 0.5, 0.0))
    return out * out * np.abs(x) * second / math.pi


elementwise(special.agm, _mean_slope, lambda out, x, y: _mean_slope(out, y, x))
