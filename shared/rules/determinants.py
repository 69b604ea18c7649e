"""Derivatives of determinants: cofactors, which a singular matrix has too.

The determinant is a polynomial of the elements, so it has all derivatives everywhere, though Jacobi's formula divides
by it.  Its gradient is the matrix of cofactors; the derivative of that has the minors of order n - 2.  Both are made
by the inverse where that is accurate, and otherwise from the singular values, of which a minor leaves one or two out
(Horn & Johnson 2013, "Matrix Analysis", section 0.8).  Third derivatives at a singular matrix are NaN.  Loaded when a
determinant is differentiated.  Matrices are the last two axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.core.edges import Like, fit
from shared.core.facets import Count, each_matrix, of_matrices
from shared.core.registry import rule


def _transposed(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


#: The powers of the precision that a condition number may reach until an inverse is not taken for accurate, or not for
#: an inverse at all.
_ACCURATE, _ANY = -0.375, -0.9


def _regular(x: np.ndarray, power: float) -> tuple[np.ndarray, np.ndarray]:
    """Which matrices of a stack have an inverse that good, and the inverses; those of the others may be NaN."""
    inverse = np.full(x.shape, np.nan, x.dtype)
    with np.errstate(all="ignore"):
        found = np.linalg.det(x)
        # The inverse of what is not zero by its determinant exists: both take the same factors.
        exists = np.isfinite(found) & (found != 0)
        inverse[exists] = np.linalg.inv(x[exists])
        condition = np.linalg.norm(x, axis=(-2, -1)) * np.linalg.norm(inverse, axis=(-2, -1))
    return exists & (condition < np.finfo(x.dtype).eps ** power), inverse


def _others(x: np.ndarray, regular: np.ndarray) -> np.ndarray:
    """The matrices without a good inverse; those with a NaN or an infinity, of which nothing is known, are left out."""
    return ~regular & np.all(np.isfinite(x), axis=(-2, -1))


def _rotated(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The singular value decomposition u, s, v^H, and the determinant of u v^H."""
    u, s, vh = np.linalg.svd(x)
    return u, s, vh, np.linalg.det(u @ vh)


def _without_one(s: np.ndarray) -> np.ndarray:
    """The product of all numbers of a vector but one, for each; `s` has the vectors along its last axis."""
    ones = np.ones_like(s[..., :1])
    before = np.cumprod(np.concatenate([ones, s[..., :-1]], axis=-1), axis=-1)
    after = np.cumprod(np.concatenate([ones, s[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
    return before * after


def _without_two(s: np.ndarray) -> np.ndarray:
    """The product of all numbers of a vector but two different ones, for each pair; zero for equal places."""
    same = np.eye(s.shape[-1], dtype=bool)
    left = np.where(same, s.dtype.type(1), s[..., None, :])
    return np.where(same, s.dtype.type(0), _without_one(left))


def _cofactors(x: Any) -> Any:
    if not x.size:
        return np.zeros_like(x)
    regular, inverse = _regular(x, _ACCURATE)
    out = np.linalg.det(x)[..., None, None] * _transposed(inverse)
    others = _others(x, regular)
    if np.any(others):
        u, s, vh, sign = _rotated(x[others])
        out[others] = sign[..., None, None] * ((np.conjugate(u) * _without_one(s)[..., None, :]) @ np.conjugate(vh))
    return out


def _second_cofactors(x: Any, k: Any) -> Any:
    shape = np.broadcast_shapes(x.shape, k.shape)
    x, k = (np.ascontiguousarray(np.broadcast_to(a, shape)).astype(np.result_type(x, k), copy=False) for a in (x, k))
    if not x.size:
        return np.zeros_like(x)
    regular, inverse = _regular(x, _ACCURATE)
    y = _transposed(inverse)
    trace = np.sum(y * k, axis=(-2, -1), keepdims=True)
    out = np.linalg.det(x)[..., None, None] * (trace * y - y @ _transposed(k) @ y)
    others = _others(x, regular)
    if np.any(others):
        u, s, vh, sign = _rotated(x[others])
        inner = np.conjugate(_transposed(u)) @ k[others] @ np.conjugate(_transposed(vh))
        products = _without_two(s)
        diagonal = products @ np.diagonal(inner, axis1=-2, axis2=-1)[..., None]
        turned = diagonal * np.eye(s.shape[-1], dtype=s.dtype) - products * _transposed(inner)
        out[others] = sign[..., None, None] * (np.conjugate(u) @ turned @ np.conjugate(vh))
    return out


def _transposed_inverse_if_regular(x: Any) -> Any:
    regular, inverse = _regular(x, _ANY)
    return np.where(regular[..., None, None], _transposed(inverse), x.dtype.type(np.nan))


def _third(t: Any, x: Any, k: Any) -> Any:
    """The third derivative of the determinant, symmetric in its two directions; NaN at a singular matrix."""
    y = TRANSPOSED_INVERSE(x)
    of_t, of_k = y @ _transposed(t) @ y, y @ _transposed(k) @ y
    trace_t, trace_k = (np.sum(y * a, axis=(-2, -1), keepdims=True) for a in (t, k))
    both = np.sum(of_t * k, axis=(-2, -1), keepdims=True)
    mixed = of_t @ _transposed(k) @ y + of_k @ _transposed(t) @ y
    total = (trace_t * trace_k - both) * y - trace_t * of_k - trace_k * of_t + mixed
    return np.expand_dims(np.linalg.det(x), (-2, -1)) * total


def _inverse_steps(n: int, _: int = 0) -> Count:
    """Factors with pivots, forward and back substitution of n columns, and a product with the determinant."""
    products = (n - 1) * n * (2 * n - 1) // 6 + n * n * (n - 1)
    return Count(products, products + n + n * n, n * (n - 1) // 2 + n * n, n * (n - 1) // 2)


def _second_steps(n: int, _: int = 0) -> Count:
    return _inverse_steps(n) + Count(2 * n**3 + 2 * n * n, 2 * n**3 + 2 * n * n)


_NOT_SIMPLER = "its derivative has the minors of the matrix, which no partial has"

COFACTORS = rule(
    _cofactors,
    vjps=(lambda c, x: SECOND_COFACTORS(x, c),),
    jvps=(lambda t, x: SECOND_COFACTORS(x, t),),
    because=_NOT_SIMPLER,
    count=of_matrices(_inverse_steps),
    batch=each_matrix(2),
    dependence="matrix",
)

# The derivative of the cofactors along k.  It is linear in k and its own transpose, as second derivatives are.
SECOND_COFACTORS = rule(
    _second_cofactors,
    vjps=(lambda c, x, y: fit(_third(c, x, y), Like(x)), lambda c, x, y: fit(SECOND_COFACTORS(x, c), Like(y))),
    jvps=(lambda t, x, y: _third(t, x, y), lambda t, x: SECOND_COFACTORS(x, t)),
    because=_NOT_SIMPLER,
    count=of_matrices(_second_steps),
    batch=each_matrix(2, 2),
    linear=(1,),
)

TRANSPOSED_INVERSE = rule(
    _transposed_inverse_if_regular,
    vjps=(lambda c, out: -out @ _transposed(c) @ out,),
    jvps=(lambda t, out: -out @ _transposed(t) @ out,),
    because="not linear, and its derivative is two products with the output",
    count=of_matrices(_inverse_steps),
    batch=each_matrix(2),
    dependence="matrix",
)


# The phase of a complex determinant, d/|d|: only what turns it changes it, i d/|d| Im tr(x^-1 dx).


def _phase(x: Any) -> Any:
    return np.linalg.slogdet(x)[0]


def _phase_vjp(c: Any, out: Any, x: Any) -> Any:
    return np.expand_dims(1j * np.imag(c * out), (-1, -2)) * _transposed(np.linalg.inv(x))


def _phase_jvp(t: Any, out: Any, x: Any) -> Any:
    return 1j * out * np.imag(np.sum(_transposed(np.linalg.inv(x)) * t, axis=(-2, -1)))


PHASE = rule(
    _phase,
    vjps=(_phase_vjp,),
    jvps=(_phase_jvp,),
    because="not holomorphic: its derivative has an imaginary part taken",
    count=of_matrices(_inverse_steps),
    batch=each_matrix(2),
    dependence="matrix",
)
