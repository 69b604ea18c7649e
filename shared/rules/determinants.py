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
from shared.core.primitive import Primitive
from shared.core.registry import rule


def _transposed(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


# The functions below need nothing but NumPy, so that the text of a compiled function can hold them.  Where the
# determinant is not zero the inverse exists, since both take the same factors; it is accurate up to a condition number
# that is a power of the precision.  Of what is not finite nothing is known.


def _cofactors(x: Any, y: Any) -> Any:
    exists, determinant = y != 0, np.asarray(y)[..., None, None]
    if np.all(exists):
        inverse = np.linalg.inv(x)
        out = determinant * inverse.swapaxes(-1, -2)
        if not x.size or np.abs(x).max() * np.abs(inverse).max() * x.shape[-1] < np.finfo(x.dtype).eps ** -0.375:
            return out
    else:
        inverse = np.full(x.shape, np.nan, x.dtype)
        inverse[exists] = np.linalg.inv(x[exists])
        out = determinant * inverse.swapaxes(-1, -2)
    with np.errstate(all="ignore"):
        size, other = np.abs(x), np.abs(inverse)
        condition = np.einsum("...ij,...ij", size, size) * np.einsum("...ij,...ij", other, other)
    others = ~(condition < np.finfo(x.dtype).eps ** -0.75)
    if x.size and np.any(others):
        others = others & np.all(np.isfinite(x), axis=(-2, -1))
        u, s, vh = np.linalg.svd(x[others])
        # The products of all singular values but one
        ones = np.ones_like(s[:, :1])
        before = np.cumprod(np.concatenate([ones, s[:, :-1]], axis=1), axis=1)
        after = np.cumprod(np.concatenate([ones, s[:, :0:-1]], axis=1), axis=1)[:, ::-1]
        rotation = np.linalg.det(u @ vh)[:, None, None]
        out[others] = rotation * (np.conjugate(u) * (before * after)[:, None, :]) @ np.conjugate(vh)
    return out


def _second_cofactors(x: Any, k: Any) -> Any:
    shape, dtype = np.broadcast_shapes(x.shape, k.shape), np.result_type(x, k)
    x, k = np.array(np.broadcast_to(x, shape), dtype), np.array(np.broadcast_to(k, shape), dtype)
    inverse = np.full(shape, np.nan, dtype)
    with np.errstate(all="ignore"):
        determinant = np.linalg.det(x)
        exists = determinant != 0
        inverse[exists] = np.linalg.inv(x[exists])
        condition = np.linalg.norm(x, axis=(-2, -1)) * np.linalg.norm(inverse, axis=(-2, -1))
        y = np.swapaxes(inverse, -1, -2)
        trace = np.sum(y * k, axis=(-2, -1), keepdims=True)
        out = np.expand_dims(determinant, (-2, -1)) * (trace * y - y @ np.swapaxes(k, -1, -2) @ y)
    accurate = exists & (condition < np.finfo(dtype).eps ** -0.375)
    others = ~accurate & np.all(np.isfinite(x), axis=(-2, -1))
    if x.size and np.any(others):
        u, s, vh = np.linalg.svd(x[others])
        inner = np.conjugate(np.swapaxes(u, -1, -2)) @ k[others] @ np.conjugate(np.swapaxes(vh, -1, -2))
        # The products of all singular values but two, for each pair
        same = np.eye(s.shape[1], dtype=bool)
        left = np.where(same, np.ones_like(s)[:, None, :], s[:, None, :])
        ones = np.ones_like(left[..., :1])
        before = np.cumprod(np.concatenate([ones, left[..., :-1]], axis=-1), axis=-1)
        after = np.cumprod(np.concatenate([ones, left[..., :0:-1]], axis=-1), axis=-1)[..., ::-1]
        products = np.where(same, 0, before * after)
        diagonal = products @ np.diagonal(inner, 0, -2, -1)[..., None]
        turned = np.where(same, diagonal, 0) - products * np.swapaxes(inner, -1, -2)
        rotation = np.linalg.det(u @ vh)[:, None, None]
        out[others] = rotation * (np.conjugate(u) @ turned @ np.conjugate(vh))
    return out


def _transposed_inverse_if_regular(x: Any) -> Any:
    inverse = np.full(x.shape, np.nan, x.dtype)
    with np.errstate(all="ignore"):
        determinant = np.linalg.det(x)
        exists = determinant != 0
        inverse[exists] = np.linalg.inv(x[exists])
        condition = np.linalg.norm(x, axis=(-2, -1)) * np.linalg.norm(inverse, axis=(-2, -1))
        inverse[condition > np.finfo(x.dtype).eps ** -0.9] = np.nan
    return np.swapaxes(inverse, -1, -2)


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
    """Factors with pivots, then forward and back substitution of n columns."""
    products = (n - 1) * n * (2 * n - 1) // 6 + n * n * (n - 1)
    return Count(products, products, n * (n - 1) // 2 + n * n, n * (n - 1) // 2)


def _cofactor_steps(n: int, _: int = 0) -> Count:
    """The inverse, and its product with the determinant."""
    return _inverse_steps(n) + Count(multiply=n * n)


def _second_steps(n: int, _: int) -> Count:
    """The same with the product of the pivots, a trace, a difference, and two products of matrices."""
    return _cofactor_steps(n) + Count(2 * n**3 + 2 * n * n, 2 * n**3 + 2 * n * n + n)


def _phase_steps(n: int, _: int) -> Count:
    """Factors with pivots; of each pivot the absolute value, a quotient and a product."""
    products, quotients = (n - 1) * n * (2 * n - 1) // 6, n * (n - 1) // 2
    return Count(products, products + n, quotients + n, quotients, n)


_NOT_SIMPLER = "its derivative has the minors of the matrix, which no partial has"

# Beside the matrix it takes its determinant, which is known by then and is not differentiated again.
COFACTORS = rule(
    _cofactors,
    vjps=(lambda c, x: SECOND_COFACTORS(x, c), None),
    jvps=(lambda t, x: SECOND_COFACTORS(x, t), None),
    because=_NOT_SIMPLER,
    count=of_matrices(_cofactor_steps),
    batch=each_matrix(2, 0),
    dependence="matrix",
)

# The derivative of the cofactors along k.  It is linear in k and its own transpose, as second derivatives are.
SECOND_COFACTORS: Primitive = rule(
    _second_cofactors,
    vjps=(lambda c, x, y: fit(_third(c, x, y), Like(x)), lambda c, x, y: fit(SECOND_COFACTORS(x, c), Like(y))),
    jvps=(lambda t, x, y: _third(t, x, y), lambda t, x: SECOND_COFACTORS(x, t)),
    because=_NOT_SIMPLER,
    count=of_matrices(_second_steps),
    batch=each_matrix(2, 2),
    linear=(1,),
)

TRANSPOSED_INVERSE: Primitive = rule(
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
    count=of_matrices(_phase_steps),
    batch=each_matrix(2),
    dependence="matrix",
)
