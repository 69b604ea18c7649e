"""Singular values and vectors of real and complex matrices.

Formulas: Townsend 2016, "Differentiating the singular value decomposition"; Wan & Zhang 2019, "Automatic
differentiation for complex valued SVD".  Vectors hold for distinct singular values, and, where x is not square, for
nonzero ones; what is done about equal ones is said in `shared.rules.matrices`.  Loaded when one of them is called.
Matrices are the last two axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shared.core.edges import Like, fit
from shared.core.facets import Count, each_matrix, of_matrices
from shared.core.primitive import Primitive
from shared.core.registry import rule
from shared.rules.matrices import (
    KNOWN,
    ONE_OF_SEVERAL,
    adjoint_of,
    along_columns,
    along_rows,
    conjugate_of,
    diagonal_mask,
    diagonal_of,
    divided_differences,
    known_without_ties,
    matrix_rule,
    over_gaps,
    over_gaps_unless_turned,
    pulled,
    singular_value_steps,
    ties_of,
    tolerance_of,
    unknown_turns,
)
from shared.rules.special import STOP_GRADIENT

# --- singular values: x = u diag(s) v^H -------------------------------------------------------------------------------


def _svd_part(part: int) -> Callable[..., Any]:
    def evaluate(x: Any) -> Any:
        return np.linalg.svd(x, full_matrices=False)[part]

    evaluate.__name__ = ("svd_u", "svd_s", "svd_vt")[part]
    return evaluate


def _decomposed(x: Any) -> tuple[Any, Any, Any]:
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return u, s, adjoint_of(vh)


def _zeros(s: Any) -> Any:
    """Which singular values are zero, up to rounding."""
    s = STOP_GRADIENT(s)
    return s <= tolerance_of(s)


def _beyond(u: Any, c: Any, factors: Any) -> Any:
    """The part of `c` orthogonal to the columns of `u`, its columns times factors; nothing if `u` spans the space."""
    return (c - u @ (adjoint_of(u) @ c)) * along_columns(factors) if u.shape[-2] > u.shape[-1] else 0


def _inverses(s: Any) -> Any:
    """Of the singular values; of zero it is not known what its vectors are divided by."""
    return np.where(s == 0, np.nan, 1 / np.where(s == 0, 1, s))


def _square_gaps(s: Any) -> Any:
    return (along_columns(s) - along_rows(s)) * (along_columns(s) + along_rows(s))


def _phases(inner: Any, s: Any) -> Any:
    """Half of what turns a pair of complex vectors apart, as a diagonal matrix; of real ones nothing does."""
    if not np.iscomplexobj(inner):
        return 0
    size = inner.shape[-1]
    return np.where(diagonal_mask(size), 0.5j * np.imag(inner) / np.where(diagonal_mask(size), along_columns(s), 1), 0)


def _left_vjp(c: Any, u: Any, s: Any, v: Any) -> Any:
    turning = adjoint_of(u) @ c
    both = over_gaps(turning - adjoint_of(turning), _square_gaps(s), ties_of(s))
    inner = both * along_columns(s) + _phases(turning, s)
    return (u @ inner + _beyond(u, c, _inverses(s))) @ adjoint_of(v)


def _left_jvp(t: Any, u: Any, s: Any, v: Any) -> Any:
    inner = adjoint_of(u) @ t @ v
    scaled = inner * along_columns(s)
    turned = over_gaps_unless_turned(scaled + adjoint_of(scaled), _square_gaps(s), ties_of(s), inner)
    turned = np.where(diagonal_mask(s.shape[-1]), 0, turned)
    return u @ (turned + _phases(inner, s)) + _beyond(u, t @ v, _inverses(s))


# The right singular vectors of x are the left ones of its adjoint.


def _right_vjp(c: Any, x: Any) -> Any:
    u, s, v = _decomposed(x)
    return adjoint_of(_left_vjp(adjoint_of(c), v, s, u))


def _right_jvp(t: Any, x: Any) -> Any:
    u, s, v = _decomposed(x)
    return adjoint_of(_left_jvp(adjoint_of(t), v, s, u))


# A singular value is never negative, so zero is a kink, where the least subgradient is zero.


def _singular_jvp(t: Any, x: Any) -> Any:
    u, s, v = _decomposed(x)
    found = np.real(np.sum(conjugate_of(u) * (t @ v), axis=-2))
    return KNOWN(found, s <= 0)


# u diag(y) v^H: of the inner part k = u^H dx v, the Hermitian half is multiplied by (y_j - y_i) / (s_j - s_i) and the
# other by (y_j + y_i) / (s_j + s_i); what leaves the space of the vectors, by y_i / s_i.


def _singular_together(x: Any, y: Any) -> Any:
    u, s, vh = np.linalg.svd(x, full_matrices=False)
    return (u * np.expand_dims(np.where(s > 0, y, 0 * y), -2)) @ vh


def _turned_apart(t: Any, u: Any, s: Any, v: Any, y: Any, y_varies: bool) -> Any:
    inner = adjoint_of(u) @ t @ v
    quotients, ties = divided_differences(s, y)
    none = _zeros(s)
    both_none = along_columns(none) & along_rows(none)
    sums = np.where(both_none, 1, along_columns(s) + along_rows(s))
    known = np.where(none, np.where((y == 0) & (not y_varies), y, np.nan), y / np.where(none, 1, s))
    means = (along_columns(y) + along_rows(y)) / sums
    means = np.where(both_none, along_columns(known) + along_rows(known), means)
    found = 0.5 * (quotients * (inner + adjoint_of(inner)) + means * (inner - adjoint_of(inner)))
    if y_varies:
        found = np.where(ties, unknown_turns(inner), found)
    found = (u @ found + _beyond(u, t @ v, known)) @ adjoint_of(v)
    return found + u @ adjoint_of(_beyond(v, adjoint_of(t) @ u, known)) if v.shape[-2] > v.shape[-1] else found


def _singular_first_vjp(c: Any, x: Any, y: Any) -> Any:
    # The map is its own transpose.
    return fit(conjugate_of(_turned_apart(conjugate_of(c), *_decomposed(x), y, y_varies=False)), Like(x))


def _singular_second_vjp(c: Any, x: Any, y: Any) -> Any:
    u, s, v = _decomposed(x)
    inner = adjoint_of(u) @ conjugate_of(c) @ v
    unknown = np.sum(np.where(ties_of(s), unknown_turns(inner), 0), axis=-1)
    known = np.where(_zeros(s), np.nan, 1).astype(s.dtype)
    return fit(known * np.real(diagonal_of(inner) + unknown), Like(y))


def _singular_second_jvp(t: Any, x: Any) -> Any:
    # Alone, it is not known what else varies.
    s = SINGULAR_VALUES(x)
    return known_without_ties(SINGULAR_TOGETHER(x, t), ties_of(s) | along_rows(_zeros(s)))


def _singular_joint(out: Any, values: Sequence[Any], tangents: Sequence[Any], static: dict[str, Any]) -> Any:
    (x, y), (of_x, of_y) = values, tangents
    by_y = None if of_y is None else SINGULAR_TOGETHER(x, of_y)
    if of_x is None:
        return by_y
    by_x = _turned_apart(of_x, *_decomposed(x), y, of_y is not None)
    return by_x if by_y is None else by_x + by_y


LEFT_VECTORS = matrix_rule(
    _svd_part(0), pulled(lambda c, x: _left_vjp(c, *_decomposed(x))), lambda t, x: _left_jvp(t, *_decomposed(x)),
    of_matrices(singular_value_steps), ONE_OF_SEVERAL,
)  # fmt: skip
SINGULAR_VALUES = matrix_rule(
    _svd_part(1), pulled(lambda c, x: SINGULAR_TOGETHER(x, c)), _singular_jvp, of_matrices(singular_value_steps),
    ONE_OF_SEVERAL,
)  # fmt: skip
RIGHT_VECTORS = matrix_rule(
    _svd_part(2), pulled(_right_vjp), _right_jvp, of_matrices(singular_value_steps), ONE_OF_SEVERAL
)


def _together_steps(rows: int, columns: int) -> Count:
    return singular_value_steps(rows, columns) + rows * columns * min(rows, columns) * Count(1, 1)


SINGULAR_TOGETHER: Primitive = rule(
    _singular_together,
    vjps=(_singular_first_vjp, _singular_second_vjp),
    jvps=(lambda t, x, y: _turned_apart(t, *_decomposed(x), y, y_varies=False), _singular_second_jvp),
    because="linear in the second argument only",
    joint_push=_singular_joint,
    count=of_matrices(_together_steps),
    batch=each_matrix(2, 1),
    linear=(1,),
)
