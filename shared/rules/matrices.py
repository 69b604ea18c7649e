"""What the rules of decompositions are written with: adjoints, triangles, quotients by gaps between values.

Maps are written for the inner product Re tr(a^H b); a cotangent pairs without the conjugate, so one is taken of what
comes in and of what goes out (`pulled`).

Equal values.  Numbers that differ by rounding alone count as equal.  The vectors that belong to equal values are any
basis of their space, so what turns them within it has no derivative: it is NaN.  So is a second derivative that needs
more of a function of the values than its derivatives by each: an n-fold value has n of these, but the matrices that
split it have n (n + 1) / 2 dimensions.  This module knows no decomposition.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shared.core.edges import Edge, Like, fit
from shared.core.facets import MOVE, Count, CountRule, align, each_matrix, of_matrices
from shared.core.primitive import Primitive
from shared.core.registry import elementwise, rule
from shared.rules.special import STOP_GRADIENT


def conjugate_of(x: Any) -> Any:
    return np.conjugate(x) if np.iscomplexobj(x) else x


def transposed(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


def adjoint_of(x: Any) -> Any:
    return conjugate_of(np.swapaxes(x, -1, -2))


def along_columns(s: Any) -> Any:
    """Numbers as a row, which multiplies the columns of a matrix."""
    return np.expand_dims(s, -2)


def along_rows(s: Any) -> Any:
    return np.expand_dims(s, -1)


def diagonal_of(x: Any) -> Any:
    return np.diagonal(x, 0, -2, -1)


def pulled(pull: Callable[..., Any]) -> Callable[..., Any]:
    """The rule that a map for the inner product Re tr(a^H b) is for cotangents, which pair without the conjugate."""

    def of_x(c: Any, x: Any) -> Any:
        return fit(conjugate_of(pull(conjugate_of(c), x)), Like(x))

    return of_x


def pulled_to_triangle(pull: Callable[..., Any]) -> Callable[..., Any]:
    def of_x(c: Any, x: Any, *, uplo: str) -> Any:
        return fit(conjugate_of(pull(conjugate_of(c), x, uplo=uplo)), Like(x))

    return of_x


def half_triangle(x: Any, uplo: str) -> Any:
    """The lower or the upper triangle, half of the diagonal."""
    n = np.shape(x)[-1]
    half = np.tri(n) - 0.5 * np.eye(n)
    return x * (half if uplo == "L" else half.T).astype(x.dtype)


def hermitian(x: Any, uplo: str) -> Any:
    """The Hermitian matrix that a triangle stands for."""
    half = half_triangle(x, uplo)
    return half + adjoint_of(half)


def to_triangle(g: Any, uplo: str) -> Any:
    """The transpose of `hermitian`."""
    return half_triangle(g + adjoint_of(g), uplo)


def diagonal_mask(n: int) -> np.ndarray:
    return np.eye(n, dtype=bool)


def tolerance_of(values: Any) -> Any:
    """What numbers may differ by from rounding alone."""
    size = values.shape[-1]
    # Of no numbers there is no largest.
    return size * np.finfo(values.dtype).eps * (np.max if size else np.sum)(np.abs(values), axis=-1, keepdims=True)


def ties_of(values: Any) -> Any:
    """Which pairs of different values are equal."""
    values = STOP_GRADIENT(values)
    gaps = np.abs(along_columns(values) - along_rows(values))
    return (gaps <= along_rows(tolerance_of(values))) & ~diagonal_mask(values.shape[-1])


def _nan_unless_zero(x: Any) -> Any:
    return np.where(x == 0, x, np.nan)


def _unknown(t: Any, kept: None) -> Any:
    return UNKNOWN(t)


#: A product with a factor that is not known, and that nothing else has to do with: NaN, but for exact zeros.  It is
#: linear, so it can be transposed.
UNKNOWN = Primitive(_nan_unless_zero, "rule", [Edge(None, _unknown, _unknown)], batch=align, linear=(0,),
                    dependence="elementwise", reason="a factor that is not known is no number")  # fmt: skip


def _known(x: Any, y: Any) -> Any:
    return np.where(y, 0 * x, x)


#: Zero where the mask y is true, where the function that it stands for has that value and no derivative.
KNOWN = elementwise(_known, lambda x, y: np.where(y, np.nan, np.ones_like(x)), None, count=MOVE, linear=(0,))


def over_gaps(numerator: Any, gaps: Any, ties: Any) -> Any:
    """Quotients by gaps, zero on the diagonal, and NaN between equal values, whatever is divided.

    A cotangent that is zero between equal values says nothing: that of v diag(w) v^H is, at w = 0.
    """
    same = diagonal_mask(gaps.shape[-1])
    factors = np.where(ties, np.nan, np.where(same, 0, 1 / np.where(ties | same, 1, gaps)))
    return numerator * factors


def over_gaps_unless_turned(numerator: Any, gaps: Any, ties: Any, turning: Any) -> Any:
    """The same of a tangent: between equal values zero where it turns nothing; on the diagonal as it is."""
    same = ties | diagonal_mask(gaps.shape[-1])
    return np.where(ties, unknown_turns(turning), numerator / np.where(same, 1, gaps))


def unknown_turns(inner: Any) -> Any:
    """NaN where an element, or its counterpart across the diagonal, is not zero."""
    unknown = UNKNOWN(inner)
    return unknown + transposed(unknown)


def known_without_ties(x: Any, ties: Any) -> Any:
    """Each matrix of a stack, or NaN if there are equal values."""
    return x * np.where(np.any(ties, axis=(-2, -1), keepdims=True), np.nan, 1).astype(x.dtype)


def divided_differences(w: Any, y: Any) -> tuple[Any, Any]:
    """The divided differences of y at w, NaN where these are equal and y is not; and where these are equal."""
    ties = ties_of(w)
    rises, gaps = along_columns(y) - along_rows(y), along_columns(w) - along_rows(w)
    return over_gaps_unless_turned(rises, gaps, ties, rises), ties


def matrix_rule(
    evaluate: Callable[..., Any], vjp: Any, jvp: Any, count: CountRule, because: str, name: str = ""
) -> Primitive:
    """A primitive of one matrix; `vjp` is for the inner product."""
    if name:
        evaluate.__name__ = name
    return rule(
        evaluate, vjps=(vjp,), jvps=(jvp,), because=because, count=count, memory="fresh", batch=each_matrix(2),
        dependence="matrix",
    )  # fmt: skip


def iterations(cubes: float) -> CountRule:
    # Iterations cannot be counted beforehand; these are the usual estimates (Golub & Van Loan 2013, chapters 7 and 8).
    def of_matrix(n: int, _: int) -> Count:
        total = int(cubes * n**3)
        return Count(total - total // 2, total // 2)

    return of_matrices(of_matrix)


ONE_OF_SEVERAL = "one of several outputs, whose derivative takes all of them"


def singular_value_steps(rows: int, columns: int) -> Count:
    """The usual estimate of a singular value decomposition with vectors (Golub & Van Loan 2013, figure 8.6.1)."""
    m, n = max(rows, columns), min(rows, columns)
    total = 14 * m * n * n + 8 * n**3
    return Count(total - total // 2, total // 2)
