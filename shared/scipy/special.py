"""scipy.special: its rules, and functions in place of those that take plain arrays alone.

The ufuncs of `scipy.special` are differentiated as they stand, as in `reversead.grad(scipy.special.erf)(0.5)`.
Functions of it that turn their arguments into plain arrays before they call a ufunc cannot be; functions of the same
name, signature and value are here, which take traced values and plain ones.  Loading this module declares every rule.
It knows no engine.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special
from scipy.special import _ufuncs as special

from shared.core.errors import NoRuleError, user_line
from shared.scipy import bessel, distributions, elementary, elliptic, error_functions, gamma_functions, integrals

__all__ = [
    "RULES",
    "comb",
    "factorial",
    "multigammaln",
    "perm",
    "polygamma",
    "spherical_in",
    "spherical_jn",
    "spherical_kn",
    "spherical_yn",
]

#: The modules with the tables of rules
RULES = (bessel, distributions, elementary, elliptic, error_functions, gamma_functions, integrals)


def polygamma(n: Any, x: Any) -> Any:
    """The n-th derivative of psi at `x`, as scipy.special.polygamma; `n` are whole numbers, not differentiated.

    Both broadcast.  It costs one evaluation of zeta, as does each derivative in `x` (DLMF 5.15.1).

    >>> print(f"{polygamma(1, 1.0):.12f} {np.pi**2 / 6:.12f}")
    1.644934066848 1.644934066848
    """
    zero = np.equal(n, 0)
    if np.all(zero):
        return special.psi(x + 0 * np.asarray(n))
    m = np.where(zero, 1, n)
    found = np.where(m % 2 == 0, -1.0, 1.0) * special.gamma(m + 1.0) * special._zeta(m + 1.0, x)
    return np.where(zero, special.psi(x), found) if np.any(zero) else found


def multigammaln(a: Any, d: int) -> Any:
    """The logarithm of the multivariate gamma function of dimension `d`, as scipy.special.multigammaln.

    It costs `d` evaluations of gammaln.  Raises ValueError if `d` is no positive integer, or some `a` not above
    (d - 1) / 2.  (Muirhead 1982, theorem 2.1.12)

    >>> float(multigammaln(2.5, 1) - special.gammaln(2.5))
    0.0
    """
    if d != int(d) or d < 1:
        raise ValueError(f"multigammaln: d should be a positive integer, not {d}{user_line()}")
    if np.any(a <= 0.5 * (d - 1)):
        raise ValueError(f"multigammaln: a should be above (d - 1) / 2, which is {0.5 * (d - 1)}{user_line()}")
    terms = [special.gammaln(a - 0.5 * k) for k in range(int(d))]
    return sum(terms, d * (d - 1) * 0.25 * math.log(math.pi))


def comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Any:
    """The number of combinations of `k` among `N`, as scipy.special.comb: with gamma functions, in both arguments.

    Of plain whole numbers `exact=True` calls SciPy's.  It costs one evaluation of binom.

    >>> float(comb(5.0, 2.0))
    10.0
    """
    if exact:
        return scipy.special.comb(N, k, exact=True, repetition=repetition)
    if repetition:
        found = special.binom(N + k - 1, k)
        none = np.logical_and(np.equal(k, 0), np.greater_equal(N, 0))
        return np.where(none, 1, found) if np.any(none) else found
    inside = (np.less_equal(k, N)) & np.greater_equal(N, 0) & np.greater_equal(k, 0)
    found = special.binom(N, k)
    return found if np.all(inside) else np.where(inside, found, 0)


def perm(N: Any, k: Any, exact: bool = False) -> Any:
    """The number of ordered choices of `k` among `N`, as scipy.special.perm: with gamma functions, in both arguments.

    Of plain whole numbers `exact=True` calls SciPy's.  It costs one evaluation of poch.

    >>> float(perm(5.0, 2.0))
    20.0
    """
    if exact:
        return scipy.special.perm(N, k, exact=True)
    inside = (np.less_equal(k, N)) & np.greater_equal(N, 0) & np.greater_equal(k, 0)
    found = special.poch(N - k + 1, k)
    return found if np.all(inside) else np.where(inside, found, 0)


def factorial(n: Any, exact: bool = False) -> Any:
    """gamma(n + 1), and 0 where `n` is negative, as scipy.special.factorial; it costs one evaluation of gamma.

    Of plain whole numbers `exact=True` calls SciPy's.

    >>> float(factorial(4.0))
    24.0
    """
    if exact:
        return scipy.special.factorial(n, exact=True)
    negative = np.less(n, 0)
    if not np.any(negative):
        return special.gamma(n + 1)
    return np.where(negative, 0, special.gamma(np.where(negative, 0, n) + 1))


def _spherical(kind: str, n: Any, z: Any, derivative: bool, sign: int) -> Any:
    """A spherical Bessel function, of negative real arguments by reflection (DLMF 10.47.14)."""
    function = getattr(special, f"_spherical_{kind}_d" if derivative else f"_spherical_{kind}")
    n = np.asarray(n, np.dtype("long"))[()]
    negative = False if np.iscomplexobj(z) else np.less(z, 0)
    if not np.any(negative):
        return function(n, z)
    if not sign:
        raise NoRuleError(f"spherical_kn has no derivative rule for negative arguments{user_line()}")
    even = np.where(n % 2 == 0, sign, -sign) * (-1 if derivative else 1)
    return np.where(negative, even, 1) * function(n, np.where(negative, -1, 1) * z)


def spherical_jn(n: Any, z: Any, derivative: bool = False) -> Any:
    """The spherical Bessel function of the first kind, or its derivative in `z`, as scipy.special.spherical_jn.

    `n` are whole numbers, not differentiated.  A derivative costs one more evaluation.  (DLMF 10.47)

    >>> print(f"{spherical_jn(0, 1.0):.6f} {np.sin(1.0):.6f}")
    0.841471 0.841471
    """
    return _spherical("jn", n, z, derivative, 1)


def spherical_yn(n: Any, z: Any, derivative: bool = False) -> Any:
    """The spherical Bessel function of the second kind, or its derivative, as scipy.special.spherical_yn.

    >>> print(f"{spherical_yn(0, 1.0):.6f} {-np.cos(1.0):.6f}")
    -0.540302 -0.540302
    """
    return _spherical("yn", n, z, derivative, -1)


def spherical_in(n: Any, z: Any, derivative: bool = False) -> Any:
    """The modified spherical Bessel function of the first kind, or its derivative, as scipy.special.spherical_in.

    >>> print(f"{spherical_in(0, 1.0):.6f} {np.sinh(1.0):.6f}")
    1.175201 1.175201
    """
    return _spherical("in", n, z, derivative, 1)


def spherical_kn(n: Any, z: Any, derivative: bool = False) -> Any:
    """The modified spherical Bessel function of the second kind, or its derivative, as scipy.special.spherical_kn.

    Raises NoRuleError for negative real `z`.

    >>> print(f"{spherical_kn(0, 1.0):.6f} {np.pi / 2 * np.exp(-1.0):.6f}")
    0.577864 0.577864
    """
    return _spherical("kn", n, z, derivative, 0)
