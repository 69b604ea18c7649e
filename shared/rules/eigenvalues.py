"""Eigenvalues and eigenvectors: of Hermitian matrices, of which NumPy reads a triangle, and of any.

Formulas: Giles 2008, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation",
section 3.1; of functions of the eigenvalues, Higham 2008, "Functions of Matrices", section 3.2.  What is done about
equal eigenvalues is said in `shared.rules.matrices`.  Loaded when one of them is called.  Matrices are the last two
axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.edges import Like, fit
from shared.core.facets import FREE, ask, each_matrix
from shared.core.primitive import Primitive
from shared.core.registry import internal_constant, rule
from shared.rules.matrices import (
    ONE_OF_SEVERAL,
    adjoint_of,
    along_columns,
    along_rows,
    conjugate_of,
    diagonal_mask,
    diagonal_of,
    divided_differences,
    hermitian,
    iterations,
    known_without_ties,
    matrix_rule,
    over_gaps,
    over_gaps_unless_turned,
    pulled,
    pulled_to_triangle,
    ties_of,
    to_triangle,
    transposed,
    unknown_turns,
)
from shared.rules.special import STOP_GRADIENT

# --- Hermitian matrices: x = v diag(w) v^H, of the triangle that NumPy reads ------------------------------------------


def _eigh_values(x: Any, *, uplo: str) -> Any:
    return np.linalg.eigvalsh(x, uplo)


def _eigh_vectors(x: Any, *, uplo: str) -> Any:
    return np.linalg.eigh(x, uplo)[1]


def _eigh_together(x: Any, y: Any, *, uplo: str) -> Any:
    v = np.linalg.eigh(x, uplo)[1]
    return (v * np.expand_dims(y, -2)) @ np.conjugate(np.swapaxes(v, -1, -2))


def _eigh_values_jvp(t: Any, x: Any, *, uplo: str) -> Any:
    v = EIGENVECTORS_OF_HERMITIAN(x, uplo=uplo)
    return np.real(np.sum(conjugate_of(v) * (hermitian(t, uplo) @ v), axis=-2))


def _eigh_vectors_vjp(c: Any, x: Any, *, uplo: str) -> Any:
    w, v = np.linalg.eigh(x, uplo)
    turning = adjoint_of(v) @ c
    turned = 0.5 * (turning - adjoint_of(turning))
    inner = over_gaps(turned, along_columns(w) - along_rows(w), ties_of(w))
    return to_triangle(v @ inner @ adjoint_of(v), uplo)


def _turned(inner: Any, w: Any) -> Any:
    gaps = along_columns(w) - along_rows(w)
    return np.where(diagonal_mask(w.shape[-1]), 0, over_gaps_unless_turned(inner, gaps, ties_of(w), inner))


def _eigh_vectors_jvp(t: Any, x: Any, *, uplo: str) -> Any:
    w, v = np.linalg.eigh(x, uplo)
    inner = adjoint_of(v) @ hermitian(t, uplo) @ v
    return v @ _turned(inner, w)


# v diag(y) v^H is what values pull to.  Its derivative by x has divided differences (y_j - y_i) / (w_j - w_i), which
# between equal values are zero if y is constant there, and are not known if y varies with x.


def _together_first_vjp(c: Any, x: Any, y: Any, *, uplo: str) -> Any:
    w, v = np.linalg.eigh(x, uplo)
    inner = adjoint_of(v) @ conjugate_of(c) @ v
    return fit(conjugate_of(to_triangle(v @ (divided_differences(w, y)[0] * inner) @ adjoint_of(v), uplo)), Like(x))


def _together_second_vjp(c: Any, x: Any, y: Any, *, uplo: str) -> Any:
    w, v = np.linalg.eigh(x, uplo)
    inner = adjoint_of(v) @ conjugate_of(c) @ v
    unknown = np.sum(np.where(ties_of(w), unknown_turns(inner), 0), axis=-1)
    return fit(np.real(diagonal_of(inner) + unknown), Like(y))


def _together_push(t: Any, w: Any, v: Any, y: Any, uplo: str, y_varies: bool) -> Any:
    inner = adjoint_of(v) @ hermitian(t, uplo) @ v
    quotients, ties = divided_differences(w, y)
    found = quotients * inner
    return v @ (np.where(ties, unknown_turns(inner), found) if y_varies else found) @ adjoint_of(v)


def _together_second_jvp(t: Any, x: Any, *, uplo: str) -> Any:
    # Alone, it is not known what else varies.
    ties = ties_of(EIGENVALUES_OF_HERMITIAN(x, uplo=uplo))
    return known_without_ties(EIGENVECTORS_TOGETHER(x, t, uplo=uplo), ties)


def _together_joint(out: Any, values: Sequence[Any], tangents: Sequence[Any], static: dict[str, Any]) -> Any:
    (x, y), (of_x, of_y), uplo = values, tangents, static["uplo"]
    by_y = None if of_y is None else EIGENVECTORS_TOGETHER(x, of_y, uplo=uplo)
    if of_x is None:
        return by_y
    by_x = _together_push(of_x, *np.linalg.eigh(x, uplo), y, uplo, of_y is not None)
    return by_x if by_y is None else by_x + by_y


EIGENVALUES_OF_HERMITIAN = matrix_rule(
    _eigh_values,
    pulled_to_triangle(lambda c, x, *, uplo: to_triangle(EIGENVECTORS_TOGETHER(x, c, uplo=uplo), uplo)),
    _eigh_values_jvp, iterations(4 / 3), "its derivative takes the eigenvectors too",
)  # fmt: skip
EIGENVECTORS_OF_HERMITIAN = matrix_rule(
    _eigh_vectors, pulled_to_triangle(_eigh_vectors_vjp), _eigh_vectors_jvp, iterations(9), ONE_OF_SEVERAL
)
EIGENVECTORS_TOGETHER: Primitive = rule(
    _eigh_together,
    vjps=(_together_first_vjp, _together_second_vjp),
    jvps=(
        lambda t, x, y, *, uplo: _together_push(t, *np.linalg.eigh(x, uplo), y, uplo, y_varies=False),
        _together_second_jvp,
    ),
    because="linear in the second argument only",
    joint_push=_together_joint,
    count=iterations(11),
    batch=each_matrix(2, 1),
    linear=(1,),
)


# --- eigenvalues of any matrix: x = v diag(w) v^-1 --------------------------------------------------------------------

# LAPACK makes vectors of norm 1, and of a complex one the largest component real.


def _is_real(w: Any) -> Any:
    return not np.iscomplexobj(w)


IS_REAL = internal_constant(_is_real, count=FREE, batch=ask)


def kept_real(w: Any) -> Any:
    """Values that are real or complex as they come out, which a record notes: it has to stay so when that is run."""
    bool(IS_REAL(w))
    return w


def _eig_values(x: Any, *, with_vectors: bool) -> Any:
    return np.linalg.eig(x)[0] if with_vectors else np.linalg.eigvals(x)


def _eig_vectors(x: Any) -> Any:
    return np.linalg.eig(x)[1]


def _largest(v: Any) -> Any:
    """One at the largest component of each column, zero elsewhere."""
    rows = np.expand_dims(np.arange(v.shape[-2]), -1)
    if not v.size:
        return np.zeros(v.shape, bool)
    return rows == along_columns(np.argmax(np.abs(STOP_GRADIENT(v)), axis=-2))


def _of_any(x: Any) -> tuple[Any, Any, Any]:
    w, v = np.linalg.eig(x)
    inverse = np.linalg.inv(v)
    if not w.shape[-1]:
        return w, v, inverse
    # Of a matrix without a basis of eigenvectors nothing is known.
    largest = np.max(np.abs(STOP_GRADIENT(inverse)), axis=(-2, -1), keepdims=True)
    none = ~(largest < np.finfo(w.dtype).eps ** -0.75)
    return w, v, inverse * np.where(none, np.nan, 1).astype(largest.dtype)


def _order(x: Any) -> Any:
    """Which of the vectors belongs to each of the values that are computed without them."""
    alone, together = np.linalg.eigvals(x), np.linalg.eig(x)[0]
    if not x.size:
        return np.zeros(alone.shape, np.intp)
    order = np.argmin(np.abs(np.expand_dims(alone, -1) - np.expand_dims(together, -2)), axis=-1)
    found = np.sort(order, axis=-1) == np.arange(order.shape[-1])
    if not np.all(found):
        # Of equal values each has a vector: they are counted off.
        np.put_along_axis(order, np.argsort(alone, axis=-1), np.argsort(together, axis=-1), axis=-1)
    return order


ORDER = internal_constant(_order, count=iterations(35), batch=each_matrix(2))


def _of_values_alone(x: Any, with_vectors: bool) -> tuple[Any, Any]:
    """The vectors in the order of the values, and their inverse."""
    _, v, inverse = _of_any(x)
    if with_vectors:
        return v, inverse
    order = np.broadcast_to(np.expand_dims(ORDER(x), -2), v.shape)
    return np.take_along_axis(v, order, axis=-1), transposed(np.take_along_axis(transposed(inverse), order, axis=-1))


def _eig_values_vjp(c: Any, x: Any, *, with_vectors: bool) -> Any:
    v, inverse = _of_values_alone(x, with_vectors)
    c = conjugate_of(c)
    return fit(conjugate_of(adjoint_of(inverse) @ (along_rows(c) * adjoint_of(v))), Like(x))


def _eig_values_jvp(t: Any, x: Any, *, with_vectors: bool) -> Any:
    v, inverse = _of_values_alone(x, with_vectors)
    return np.sum(transposed(inverse) * (t @ v), axis=-2)


def _eig_vectors_vjp(c: Any, x: Any) -> Any:
    w, v, inverse = _of_any(x)
    along = np.sum(conjugate_of(c) * v, axis=-2, keepdims=True)
    free = c - v * np.real(along)
    if np.iscomplexobj(v):
        free = free + np.where(_largest(v), 1j * np.imag(along) / np.where(_largest(v), np.real(v), 1), 0)
    turning = adjoint_of(v) @ free
    gaps = conjugate_of(along_columns(w) - along_rows(w))
    return adjoint_of(inverse) @ over_gaps(turning, gaps, ties_of(w)) @ adjoint_of(v)


def _eig_vectors_jvp(t: Any, x: Any) -> Any:
    w, v, inverse = _of_any(x)
    inner = inverse @ t @ v
    turned = v @ _turned(inner, w)
    found = turned - v * np.real(np.sum(conjugate_of(v) * turned, axis=-2, keepdims=True))
    if np.iscomplexobj(v):
        phase = np.imag(turned) / np.where(_largest(v), np.real(v), 1)
        found = found - 1j * v * np.sum(np.where(_largest(v), phase, 0), axis=-2, keepdims=True)
    return found


EIGENVALUES = matrix_rule(
    _eig_values, _eig_values_vjp, _eig_values_jvp, iterations(10), "its derivative takes the eigenvectors too"
)
EIGENVECTORS = matrix_rule(_eig_vectors, pulled(_eig_vectors_vjp), _eig_vectors_jvp, iterations(25), ONE_OF_SEVERAL)
