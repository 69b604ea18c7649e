"""Pseudoinverses and least squares.

Formulas: Golub & Pereyra 1973, "The differentiation of pseudo-inverses and nonlinear least squares problems whose
variables separate", theorem 4.3.  They hold among matrices of one rank: where the rank changes, neither function is
continuous.  Loaded when one of them is called.  Matrices are the last two axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.edges import Like, fit
from shared.core.facets import Count, each_matrix, of_matrices
from shared.core.registry import rule
from shared.rules.matrices import (
    adjoint_of,
    along_rows,
    conjugate_of,
    hermitian,
    singular_value_steps,
)

# --- pseudoinverses and least squares, among matrices of one rank -----------------------------------------------------


def _pinv(x: Any, *, cutoff: float) -> Any:
    return np.linalg.pinv(x, cutoff)


def _pinv_map(t: Any, out: Any, x: Any) -> Any:
    """The derivative along the adjoint of `t`, but for its first term: what makes up for a matrix not being square."""
    left, right = t - (t @ x) @ out, t - out @ (x @ t)
    return out @ (adjoint_of(out) @ left) + (right @ adjoint_of(out)) @ out


def _pinv_vjp(c: Any, out: Any, x: Any, *, cutoff: float) -> Any:
    c, adjoint = conjugate_of(c), adjoint_of(out)
    turned = adjoint_of(c)
    first = (turned - x @ (out @ turned)) @ out @ adjoint
    second = adjoint @ out @ (turned - (turned @ out) @ x)
    return conjugate_of(first + second - adjoint @ c @ adjoint)


def _pinv_jvp(t: Any, out: Any, x: Any, *, cutoff: float) -> Any:
    return _pinv_map(adjoint_of(t), out, x) - out @ t @ out


def _pinv_steps(rows: int, columns: int) -> Count:
    return singular_value_steps(rows, columns) + rows * columns * min(rows, columns) * Count(1, 1)


PINV = rule(
    _pinv,
    vjps=(_pinv_vjp,),
    jvps=(_pinv_jvp,),
    because="not linear, and its derivative is products with the output",
    count=of_matrices(_pinv_steps),
    batch=each_matrix(2),
    dependence="matrix",
)


def pinv_of_hermitian(x: Any, *, cutoff: float) -> Any:
    """The pseudoinverse of the matrix that the lower triangle stands for."""
    return PINV(hermitian(x, "L"), cutoff=cutoff)


def _least_squares(x: Any, y: Any, *, cutoff: float) -> Any:
    return np.linalg.lstsq(x, y, cutoff)[0]


def _least_squares_vjp(c: Any, out: Any, x: Any, y: Any, *, cutoff: float) -> Any:
    inverse, left = PINV(x, cutoff=cutoff), y - x @ out
    if np.ndim(y) == 1:
        c, out, left = along_rows(c), along_rows(out), along_rows(left)
    c, adjoint = conjugate_of(c), adjoint_of(inverse)
    turned = adjoint_of(c)
    first = left @ (turned @ inverse @ adjoint)
    second = adjoint @ out @ (turned - (turned @ inverse) @ x)
    return fit(conjugate_of(first + second - adjoint @ c @ adjoint_of(out)), Like(x))


def _least_squares_jvp(t: Any, out: Any, x: Any, y: Any, *, cutoff: float) -> Any:
    inverse, left, adjoint = PINV(x, cutoff=cutoff), y - x @ out, adjoint_of(t)
    again = adjoint @ (adjoint_of(inverse) @ out)
    return inverse @ (adjoint_of(inverse) @ (adjoint @ left) - t @ out) + again - inverse @ (x @ again)


def _least_squares_count(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    rows, columns = operands[0].shape[-2:]
    products = rows * (operands[1].shape[1] if len(operands[1].shape) > 1 else 1) * columns
    return singular_value_steps(rows, columns) + Count(products, products)


def _least_squares_of_each(
    primitive: Any, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]
) -> Any:
    x, y = values
    inverse = PINV(x, **static)
    if np.ndim(y) - batched[1] == 1:
        return (inverse @ along_rows(y))[..., 0]
    return inverse @ y


LEAST_SQUARES = rule(
    _least_squares,
    vjps=(
        _least_squares_vjp,
        lambda c, x, y, *, cutoff: fit(conjugate_of(adjoint_of(PINV(x, cutoff=cutoff)) @ conjugate_of(c)), Like(y)),
    ),
    jvps=(_least_squares_jvp, lambda t, x, *, cutoff: PINV(x, cutoff=cutoff) @ t),
    because="linear in the right-hand side only",
    count=_least_squares_count,
    batch=_least_squares_of_each,
    linear=(1,),
)
