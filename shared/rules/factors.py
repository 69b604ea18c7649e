"""Triangular and orthogonal factors: Cholesky and QR.

Formulas: Murray 2016, "Differentiation of the Cholesky decomposition", section 3; Walter & Lehmann 2012, "Algorithmic
differentiation of linear algebra functions with application in optimum experimental design", and for cotangents Roberts
& Roberts 2020, "QR and LQ decomposition matrix backpropagation algorithms for square, wide, and deep matrices".  Loaded
when one of them is called.  Matrices are the last two axes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.core.facets import Count, of_matrices
from shared.rules.matrices import (
    KNOWN,
    ONE_OF_SEVERAL,
    adjoint_of,
    along_columns,
    along_rows,
    conjugate_of,
    diagonal_mask,
    half_triangle,
    hermitian,
    matrix_rule,
    pulled,
    to_triangle,
    transposed,
)

# --- the Cholesky factor of the matrix that the lower triangle stands for ---------------------------------------------


def _both_solved(factor: Any, x: Any) -> Any:
    """The adjoint of factor^-1 x factor^-H."""
    return np.linalg.solve(factor, adjoint_of(np.linalg.solve(factor, x)))


def _cholesky(x: Any) -> Any:
    return np.linalg.cholesky(x)


def _cholesky_vjp(c: Any, out: Any) -> Any:
    factor = adjoint_of(out)
    return conjugate_of(to_triangle(_both_solved(factor, half_triangle(factor @ conjugate_of(c), "L")), "L"))


def _cholesky_jvp(t: Any, out: Any) -> Any:
    return out @ half_triangle(_both_solved(out, hermitian(t, "L")), "L")


def _cholesky_steps(n: int, _: int) -> Count:
    products = (n - 1) * n * (n + 1) // 6
    return Count(add=products, multiply=products, divide=n * (n - 1) // 2, elementary=n)


CHOLESKY = matrix_rule(
    _cholesky, _cholesky_vjp, _cholesky_jvp, of_matrices(_cholesky_steps),
    "not linear; both maps solve with the factor itself",
)  # fmt: skip


# --- QR: x = q r, of matrices with no more columns than rows, whose rank is full --------------------------------------


def _qr_q(x: Any) -> Any:
    return np.linalg.qr(x)[0]


def _qr_r(x: Any) -> Any:
    return np.linalg.qr(x, mode="r")


def _divided(x: Any, r: Any) -> Any:
    """x r^-1."""
    return transposed(np.linalg.solve(transposed(r), transposed(x)))


def _below(x: Any) -> Any:
    return x * np.tri(x.shape[-1], k=-1).astype(x.dtype)


def _imaginary_diagonal(x: Any) -> Any:
    return np.where(diagonal_mask(x.shape[-1]), 1j * np.imag(x), 0) if np.iscomplexobj(x) else 0


def _rotation(inner: Any) -> Any:
    """The q^H dq that leaves r triangular, and its diagonal real, for q^H dx r^-1."""
    lower = _below(inner)
    return lower - adjoint_of(lower) + _imaginary_diagonal(inner)


def _rotation_pulled(c: Any) -> Any:
    return _below(c - adjoint_of(c)) + _imaginary_diagonal(c)


def _qr_q_vjp(c: Any, x: Any) -> Any:
    q, r = np.linalg.qr(x)
    inner = adjoint_of(q) @ c
    return _divided(q @ (_rotation_pulled(inner) - inner) + c, adjoint_of(r))


def _qr_q_jvp(t: Any, x: Any) -> Any:
    q, r = np.linalg.qr(x)
    divided = _divided(t, r)
    inner = adjoint_of(q) @ divided
    return q @ (_rotation(inner) - inner) + divided


def _qr_r_vjp(c: Any, x: Any) -> Any:
    q, r = np.linalg.qr(x)
    inner = c @ adjoint_of(r)
    return _divided(q @ (inner - _rotation_pulled(inner)), adjoint_of(r))


def _qr_r_jvp(t: Any, x: Any) -> Any:
    q, r = np.linalg.qr(x)
    inner = _divided(adjoint_of(q) @ t, r)
    return (inner - _rotation(inner)) @ r


def _qr_steps(m: int, n: int) -> Count:
    # Golub & Van Loan 2013, section 5.2: 2 n^2 (m - n / 3) for r, and as many for q
    total = 4 * n * n * (3 * m - n) // 3
    return Count(total - total // 2, total // 2)


ORTHOGONAL_FACTOR = matrix_rule(_qr_q, pulled(_qr_q_vjp), _qr_q_jvp, of_matrices(_qr_steps), ONE_OF_SEVERAL)
TRIANGULAR_FACTOR = matrix_rule(_qr_r, pulled(_qr_r_vjp), _qr_r_jvp, of_matrices(_qr_steps), ONE_OF_SEVERAL)


# The reflections of Householder that LAPACK makes the factors of (Golub & Van Loan 2013, section 5.1): they determine
# what the triangular factor does not, the further columns of a complete q.


def _reflection(column: Any) -> tuple[Any, Any, Any]:
    """The vector v, with 1 as its first element, the factor t, and the b with (1 - conj(t) v v^H) column = b e_1."""
    first, others = column[..., :1], column[..., 1:]
    size = np.sum(np.real(conjugate_of(column) * column), axis=-1, keepdims=True)
    nothing = np.all(others == 0, axis=-1, keepdims=True) & (np.imag(first) == 0)
    norm = np.sqrt(np.where(nothing, 1, size))
    b = np.where(nothing, first, np.where(np.real(first) < 0, norm, -norm))
    safe = np.where(nothing, 1, b)
    # A column that is reduced already is left as it is; beside it LAPACK changes the sign.
    vector = KNOWN(others / np.where(nothing, 1, first - b), nothing)
    return np.concatenate([np.ones_like(first), vector], axis=-1), np.where(nothing, 0, (safe - first) / safe), b


def _reflected(x: Any, vector: Any, factor: Any) -> Any:
    return x - np.expand_dims(factor, -1) * (along_rows(vector) @ (along_columns(conjugate_of(vector)) @ x))


def householder(x: Any) -> tuple[list[Any], list[Any], Any]:
    """The reflections, shorter by one each, their factors, and r with all its rows."""
    rows, columns = x.shape[-2:]
    vectors, factors, finished = [], [], []
    for _ in range(min(rows, columns)):
        vector, factor, b = _reflection(x[..., 0])
        rest = _reflected(x[..., 1:], vector, conjugate_of(factor))
        finished.append(_padded(np.concatenate([b, rest[..., 0, :]], axis=-1), columns))
        vectors.append(vector)
        factors.append(factor)
        x = rest[..., 1:, :]
    below = [np.zeros_like(finished[0])] * (rows - len(finished))
    return vectors, factors, np.stack(finished + below, axis=-2)


def _padded(x: Any, size: int) -> Any:
    """A vector with zeros before it."""
    missing = size - x.shape[-1]
    return np.concatenate([np.zeros((*x.shape[:-1], missing), x.dtype), x], axis=-1)


def qr_raw(x: Any) -> tuple[Any, Any]:
    """As `np.linalg.qr` in mode "raw": r with the reflections below it, transposed, and their factors."""
    rows, columns = x.shape[-2:]
    if not min(rows, columns):
        return transposed(x), np.zeros((*x.shape[:-2], 0), x.dtype)
    vectors, factors, r = householder(x)
    below = [_padded(vector[..., 1:], rows) for vector in vectors]
    below += [np.zeros_like(below[0])] * (columns - len(below))
    return transposed(r) + np.stack(below, axis=-2), np.concatenate(factors, axis=-1)


def qr_complete(x: Any) -> tuple[Any, Any]:
    """As `np.linalg.qr` in mode "complete"."""
    rows, columns = x.shape[-2:]
    vectors, factors, r = householder(x) if columns else ([], [], x)
    q = np.broadcast_to(np.eye(rows, dtype=x.dtype), (*x.shape[:-2], rows, rows))
    for vector, factor in zip(reversed(vectors), reversed(factors), strict=True):
        q = _reflected(q, _padded(vector, rows), factor)
    return q, r
