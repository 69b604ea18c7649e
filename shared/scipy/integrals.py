"""The table of the exponential, sine and cosine integrals, of hypergeometric functions and orthogonal polynomials.

In the parameters of hypergeometric functions, and in the degrees and parameters of polynomials, derivatives are
refused.  Formulas: DLMF 4.13, 6.2, 8.19, 13.3, 15.5, 16.3, 18.9, 25.12; Corless et al. 1996 (Lambert's W).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import _ufuncs as special

from shared.core.primitive import Primitive
from shared.core.registry import elementwise
from shared.scipy.masks import masked, numbers_like
from shared.scipy.refused import refused
from shared.scipy.several import parts_of

# --- exponential integrals --------------------------------------------------------------------------------------------

elementwise(special.expi, lambda x: np.exp(x) / x)
elementwise(special.exp1, lambda x: -np.exp(-x) / x)


def _expn_slope(out: Any, x: Any, y: Any) -> Any:
    first = np.equal(x, 0)
    if not np.any(first):
        return -special.expn(x - 1, y)
    # By the recurrence 8.19.12, where the order below is -1
    return np.where(first, -(np.exp(-y) + out) / y, -special.expn(np.where(first, 0, x - 1), y))


elementwise(
    special.expn, refused(special.expn, 0, "its order is a whole number in most uses; of others none is known"),
    _expn_slope,
)  # fmt: skip


def _sici_slope(part: int, x: Any) -> Any:
    if part:
        return np.cos(x) / x
    return np.sin(x) / x if np.iscomplexobj(x) else np.sinc(x / np.pi)


def _shichi_slope(part: int, x: Any) -> Any:
    if part:
        return np.cosh(x) / x
    return np.sinh(x) / x if np.iscomplexobj(x) else 0.5 * (special.exprel(x) + special.exprel(-x))


SICI = parts_of(special.sici, _sici_slope)
SHICHI = parts_of(special.shichi, _shichi_slope)


def _spence_slope(out: Any, x: Any) -> Any:
    """log(x) / (1 - x)"""
    near = np.less(np.abs(x - 1), 0.5)
    far = np.logical_not(near)
    y, z = masked(near, x, 1, out), masked(far, x, 2, out)
    return np.where(near, -special.hyp2f1(*numbers_like(np.real(y), 1, 1, 2), 1 - y), np.log(z) / (1 - z))


elementwise(special.spence, _spence_slope)

# --- inverses of x exp(x) and x + log(x) ------------------------------------------------------------------------------

#: What scipy.special.lambertw calls: of z, the branch and a tolerance
LAMBERT_W = special._lambertw
elementwise(LAMBERT_W, lambda out: np.exp(-out) / (1 + out), None, None)
elementwise(special.wrightomega, lambda out: out / (1 + out))

# --- hypergeometric functions -----------------------------------------------------------------------------------------

_PARAMETER = "a hypergeometric function has no rule in its parameters here"

elementwise(special.hyp0f1, refused(special.hyp0f1, 0, _PARAMETER), lambda x, y: special.hyp0f1(x + 1.0, y) / x)
elementwise(
    special.hyp1f1,
    refused(special.hyp1f1, 0, _PARAMETER),
    refused(special.hyp1f1, 1, _PARAMETER),
    lambda x, y, z: x / y * special.hyp1f1(x + 1.0, y + 1.0, z),
)
elementwise(
    special.hyp2f1,
    refused(special.hyp2f1, 0, _PARAMETER),
    refused(special.hyp2f1, 1, _PARAMETER),
    refused(special.hyp2f1, 2, _PARAMETER),
    lambda x, y, z, w: x * y / z * special.hyp2f1(x + 1.0, y + 1.0, z + 1.0, w),
)
elementwise(
    special.hyperu,
    refused(special.hyperu, 0, _PARAMETER),
    refused(special.hyperu, 1, _PARAMETER),
    lambda x, y, z: -x * special.hyperu(x + 1.0, y + 1.0, z),
)


# --- parabolic cylinder functions, by their differential equations (12.2.4, 12.14.1) ----------------------------------


def _cylinder(ufunc: np.ufunc, parts: Any, curvature: Any) -> Any:
    parameter = refused(ufunc, 0, "a parabolic cylinder function has no rule in its parameter here")

    def by_argument(part: int, x: Any, y: Any) -> Any:
        return curvature(x, y) * parts()(x, y, part=0) if part else parts()(x, y, part=1)

    return parts_of(ufunc, lambda part, x, y: parameter(x), by_argument)


CYLINDER_D: Primitive = _cylinder(special.pbdv, lambda: CYLINDER_D, lambda x, y: 0.25 * y * y - x - 0.5)
CYLINDER_V: Primitive = _cylinder(special.pbvv, lambda: CYLINDER_V, lambda x, y: 0.25 * y * y - x - 0.5)
CYLINDER_W: Primitive = _cylinder(special.pbwa, lambda: CYLINDER_W, lambda x, y: x - 0.25 * y * y)

# --- orthogonal polynomials -------------------------------------------------------------------------------------------

_DEGREE = "an orthogonal polynomial has no rule in its degree here"
_SHAPE = "an orthogonal polynomial has no rule in its parameters here"


def _lowered(n: Any) -> tuple[Any, Any]:
    """The degree below, and whether there is one: the derivative of a constant polynomial is zero."""
    none = np.equal(n, 0)
    return np.where(none, 0, n - 1) if np.any(none) else n - 1, np.logical_not(none)


def _polynomial(ufunc: np.ufunc, slope: Any) -> None:
    """Declare a polynomial of degree n by `slope(n, n - 1, ..., x)`."""

    def partial(n: Any, *rest: Any) -> Any:
        below, varies = _lowered(n)
        return varies * slope(n, below, *rest)

    whole = all(types.startswith("l") for types in ufunc.types)
    parameters = [None if whole else refused(ufunc, k, _SHAPE if k else _DEGREE) for k in range(ufunc.nin - 1)]
    last = {
        2: lambda x, y: partial(x, y),
        3: lambda x, y, z: partial(x, y, z),
        4: lambda x, y, z, w: partial(x, y, z, w),
    }[ufunc.nin]
    elementwise(ufunc, *parameters, last)


_jacobi, _gegenbauer, _laguerre = special.eval_jacobi, special.eval_gegenbauer, special.eval_genlaguerre

elementwise(
    special.lpmv,
    None,
    refused(special.lpmv, 1, _DEGREE),
    lambda out, x, y, z: (y * z * out - (y + x) * special.lpmv(x, y - 1.0, z)) / (z * z - 1),
)
_polynomial(_jacobi, lambda n, m, a, b, x: 0.5 * (n + a + b + 1) * _jacobi(m, a + 1.0, b + 1.0, x))
_polynomial(special.eval_legendre, lambda n, m, x: 0.5 * (n + 1) * _jacobi(m, 1.0, 1.0, x))
_polynomial(special.eval_sh_legendre, lambda n, m, x: (n + 1) * _jacobi(m, 1.0, 1.0, 2 * x - 1))
_polynomial(_gegenbauer, lambda n, m, a, x: 2 * a * _gegenbauer(m, a + 1.0, x))
_polynomial(special.eval_chebyt, lambda n, m, x: n * special.eval_chebyu(m, x))
_polynomial(special.eval_chebyu, lambda n, m, x: 2 * _gegenbauer(m, 2.0, x))
_polynomial(special.eval_chebyc, lambda n, m, x: n * special.eval_chebys(m, x))
_polynomial(special.eval_chebys, lambda n, m, x: _gegenbauer(m, 2.0, 0.5 * x))
_polynomial(special.eval_sh_chebyt, lambda n, m, x: 2 * n * special.eval_sh_chebyu(m, x))
_polynomial(special.eval_sh_chebyu, lambda n, m, x: 4 * _gegenbauer(m, 2.0, 2 * x - 1))
_polynomial(_laguerre, lambda n, m, a, x: -_laguerre(m, a + 1.0, x))
_polynomial(special.eval_laguerre, lambda n, m, x: -_laguerre(m, 1.0, x))
_polynomial(special.eval_hermite, lambda n, m, x: 2 * n * special.eval_hermite(m, x))
_polynomial(special.eval_hermitenorm, lambda n, m, x: n * special.eval_hermitenorm(m, x))
_polynomial(special.eval_sh_jacobi, lambda n, m, p, q, x: n * special.eval_sh_jacobi(m, p + 2.0, q + 1.0, x))
