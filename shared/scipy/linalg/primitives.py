"""Solutions with a factor that is computed once: the primitives that the functions of this package are written with.

A primitive has one result.  So what LAPACK returns of a matrix is packed into one array, a constant: the factors and,
below them, one more row with the pivots.  The solution is a primitive of that, of the matrix and of the right-hand
side; its derivatives are solutions with the same factors, at every order (Giles 2008, "Collected matrix derivative
results for forward and reverse mode algorithmic differentiation", section 2.3.1).  Matrices are the last two axes.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shared.core.edges import Like, fit
from shared.core.errors import user_line
from shared.core.facets import Count, each_matrix, of_matrices, size_of
from shared.core.primitive import Primitive
from shared.core.registry import internal_constant, rule
from shared.rules.matrices import transposed
from shared.scipy.linalg.stacks import each, each_with_columns
from shared.scipy.offering import required

linalg = required("scipy.linalg")

# --- triangles --------------------------------------------------------------------------------------------------------


def _triangle(x: Any, lower: bool, unit: bool) -> Any:
    """The part of a matrix that a triangular solution reads."""
    return np.tril(x, -1 if unit else 0) if lower else np.triu(x, 1 if unit else 0)


def _triangular(x: Any, y: Any, *, lower: bool, unit: bool, trans: int) -> Any:
    def solve(a: Any, b: Any) -> Any:
        return linalg.solve_triangular(a, b, trans, lower, unit, check_finite=False)

    return each_with_columns(solve, (x,), y)


def _triangular_jvp(t: Any, out: Any, x: Any, *, lower: bool, unit: bool, trans: int) -> Any:
    moved = _triangle(t, lower, unit)
    return -TRIANGULAR(x, (transposed(moved) if trans else moved) @ out, lower=lower, unit=unit, trans=trans)


def _triangular_vjp(c: Any, out: Any, x: Any, *, lower: bool, unit: bool, trans: int) -> Any:
    solved = TRIANGULAR(x, c, lower=lower, unit=unit, trans=1 - trans)
    outer = out @ transposed(solved) if trans else solved @ transposed(out)
    return fit(-_triangle(outer, lower, unit), Like(x))


def _substitution(n: int, columns: int) -> Count:
    products = columns * (n * (n - 1) // 2)
    return Count(add=products, multiply=products, divide=columns * n)


def _per_solution(count: Callable[[int, int], Count]) -> Callable[..., Count]:
    def of_stack(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
        n, columns = out.shape[-2:]
        number: int = size_of(out) // max(n * columns, 1)
        return number * count(n, columns)

    return of_stack


#: The solution of a system whose matrix is a triangle of x, transposed if `trans`; y has right-hand sides as columns.
TRIANGULAR: Primitive = rule(
    _triangular,
    vjps=(
        _triangular_vjp,
        lambda c, x, y, *, lower, unit, trans: fit(TRIANGULAR(x, c, lower=lower, unit=unit, trans=1 - trans), Like(y)),
    ),
    jvps=(
        _triangular_jvp,
        lambda t, x, *, lower, unit, trans: TRIANGULAR(x, t, lower=lower, unit=unit, trans=trans),
    ),
    because="linear in the right-hand side only",
    count=_per_solution(_substitution),
    batch=each_matrix(2, 2),
    dependence="solution",
    linear=(1,),
)


# --- factors, each in one array ---------------------------------------------------------------------------------------


def _with_row(factors: np.ndarray, row: np.ndarray) -> np.ndarray:
    return np.concatenate([factors, row[None].astype(factors.dtype)])


def _lu(a: np.ndarray) -> np.ndarray:
    with warnings.catch_warnings():
        # Of singular matrices there are factors too; who solves with them says more.
        warnings.simplefilter("ignore", linalg.LinAlgWarning)
        factors, pivots = linalg.lu_factor(a, check_finite=False)
    return _with_row(factors, np.pad(pivots, (0, a.shape[1] - len(pivots))))


def _regular_lu(a: np.ndarray) -> np.ndarray:
    packed = _lu(a)
    if not a.size:
        return packed
    if not np.all(np.diagonal(packed)):
        raise linalg.LinAlgError(f"the matrix is singular{user_line()}")
    (condition,) = linalg.get_lapack_funcs(("gecon",), (packed,))
    reciprocal, _ = condition(packed[:-1], np.abs(a).sum(axis=0).max(initial=0.0), norm="1")
    if reciprocal < np.finfo(packed.dtype).eps:
        text = f"an ill-conditioned matrix{user_line()}: the solution may not be accurate, rcond={reciprocal:.6g}"
        warnings.warn(text, linalg.LinAlgWarning, stacklevel=2)
    return packed


def _lu_solved(packed: np.ndarray, b: np.ndarray, trans: int) -> np.ndarray:
    return np.asarray(linalg.lu_solve((packed[:-1], _integers(packed[-1])), b, trans, check_finite=False))


def _integers(row: np.ndarray) -> np.ndarray:
    return np.real(row).astype(np.int32)


def _factored(cholesky: Callable[..., Any], a: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(cholesky(a, lower=True, check_finite=False))
    except linalg.LinAlgError:
        # SciPy's own words are about LAPACK.
        raise linalg.LinAlgError(f"the matrix is not positive definite{user_line()}") from None


def _cholesky(a: np.ndarray) -> np.ndarray:
    return _factored(linalg.cholesky, a)


def _cholesky_solved(packed: np.ndarray, b: np.ndarray, trans: int) -> np.ndarray:
    if trans:
        return np.asarray(linalg.cho_solve((packed, True), np.conjugate(b), check_finite=False)).conj()
    return np.asarray(linalg.cho_solve((packed, True), b, check_finite=False))


def _band_lu(ab: np.ndarray, below: int) -> np.ndarray:
    n, above = ab.shape[1], ab.shape[0] - below - 1
    if not n:
        return np.zeros((2 * below + above + 2, 0), ab.dtype)
    (factor,) = linalg.get_lapack_funcs(("gbtrf",), (ab,))
    lu, pivots, info = factor(np.concatenate([np.zeros((below, n), ab.dtype), ab]), below, above)
    if info > 0:
        raise linalg.LinAlgError(f"the matrix is singular{user_line()}")
    return _with_row(lu, pivots)


def _band_solved(packed: np.ndarray, b: np.ndarray, trans: int, below: int) -> np.ndarray:
    if not b.size:
        return np.zeros(b.shape, np.result_type(packed, b))
    above = packed.shape[0] - 2 - 2 * below
    (solve,) = linalg.get_lapack_funcs(("gbtrs",), (packed, b))
    found, _ = solve(packed[:-1], below, above, b, _integers(packed[-1]), trans=trans)
    return np.asarray(found)


def _band_cholesky(ab: np.ndarray, below: int) -> np.ndarray:
    return _factored(linalg.cholesky_banded, ab[below:])


def _band_cholesky_solved(packed: np.ndarray, b: np.ndarray, trans: int, below: int) -> np.ndarray:
    if trans:
        return np.asarray(linalg.cho_solve_banded((packed, True), np.conjugate(b), check_finite=False)).conj()
    return np.asarray(linalg.cho_solve_banded((packed, True), b, check_finite=False))


#: By kind, what factors one matrix, and what solves with the factors.  Those of bands take the diagonals of the band as
#: rows, and the number of them below the main one.
_KINDS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "general": (_regular_lu, _lu_solved),
    "positive": (_cholesky, _cholesky_solved),
    "band": (_band_lu, _band_solved),
    "positive band": (_band_cholesky, _band_cholesky_solved),
}


def _of_band(kind: str, below: int) -> tuple[int, ...]:
    return (below,) if kind.endswith("band") else ()


def _factor(x: Any, *, kind: str, below: int = 0) -> Any:
    return each(lambda a: _KINDS[kind][0](a, *_of_band(kind, below)), (2,), x)


def _factoring(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    rows, n = operands[0].shape[-2:]
    # A band costs the products of each pivot's row and column within it (Golub & Van Loan 2013, section 4.3).
    width = rows // 2 if static["kind"].endswith("band") else None
    products = (n - 1) * n * (2 * n - 1) // 6 if width is None else n * width * width
    products //= 2 if static["kind"].startswith("positive") else 1
    number: int = size_of(operands[0]) // max(rows * n, 1)
    return number * Count(add=products, multiply=products, divide=n * (n if width is None else width))


FACTOR = internal_constant(_factor, count=_factoring, batch=each_matrix(2))


def _pivoted(x: Any) -> Any:
    return each(_lu, (2,), x)


#: The factors and pivots of any matrix, singular and rectangular ones too.
PIVOTED = internal_constant(
    _pivoted, count=of_matrices(lambda m, n: min(m, n) * m * n * Count(1, 1)), batch=each_matrix(2)
)


# --- solutions with them ----------------------------------------------------------------------------------------------


def banded_product(ab: Any, x: Any, below: int, trans: int) -> Any:
    """The product of the matrix whose diagonals are the rows of `ab`, transposed if `trans`, with columns."""
    n = np.shape(ab)[-1]
    total: Any = 0
    for row, shift in enumerate(range(np.shape(ab)[-2] - below - 1, -below - 1, -1)):
        if abs(shift) < n:
            # Column j of the matrix has this diagonal's element in row j - shift.
            columns, rows = slice(max(shift, 0), n + min(shift, 0)), (max(-shift, 0), max(shift, 0))
            diagonal = np.expand_dims(ab[..., row, columns], -1)
            inner = slice(rows[0], n - rows[1])
            moved = diagonal * x[..., inner if trans else columns, :]
            before, after = (columns.start, n - columns.stop) if trans else rows
            total = total + np.pad(moved, [*[(0, 0)] * (np.ndim(moved) - 2), (before, after), (0, 0)])
    return total


def banded_outer(left: Any, right: Any, rows: int, below: int) -> Any:
    """The diagonals, as rows, of left rightᵀ: the transpose of `banded_product` by its first argument."""
    n = np.shape(left)[-2]
    found = []
    for shift in range(rows - below - 1, -below - 1, -1):
        first, last = max(shift, 0), max(n + min(shift, 0), 0)
        if first >= last:
            stack = np.broadcast_shapes(np.shape(left)[:-2], np.shape(right)[:-2])
            found.append(np.zeros((*stack, n), np.result_type(left.dtype, right.dtype)))
            continue
        diagonal = np.sum(left[..., first - shift : last - shift, :] * right[..., first:last, :], axis=-1)
        found.append(np.pad(diagonal, [*[(0, 0)] * (np.ndim(diagonal) - 1), (first, n - last)]))
    return np.stack(found, axis=-2)


def _solved(x: Any, y: Any, z: Any, *, kind: str, trans: int, below: int) -> Any:
    return each_with_columns(lambda f, b: _KINDS[kind][1](f, b, trans, *_of_band(kind, below)), (x,), z)


def _solved_jvp(t: Any, out: Any, x: Any, y: Any, *, kind: str, trans: int, below: int) -> Any:
    moved = banded_product(t, out, below, trans) if kind.endswith("band") else (transposed(t) if trans else t) @ out
    return -SOLVED(x, y, moved, kind=kind, trans=trans, below=below)


def _solved_vjp(c: Any, out: Any, x: Any, y: Any, *, kind: str, trans: int, below: int) -> Any:
    solved = SOLVED(x, y, c, kind=kind, trans=1 - trans, below=below)
    left, right = (out, solved) if trans else (solved, out)
    if kind.endswith("band"):
        return fit(-banded_outer(left, right, np.shape(y)[-2], below), Like(y))
    return fit(-left @ transposed(right), Like(y))


def _solving(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    n = out.shape[-2]
    wide = min(operands[0].shape[-2], n) if static["kind"].endswith("band") else n
    number: int = size_of(out) // max(n, 1)
    return number * Count(add=n * wide, multiply=n * wide, divide=n)


#: The solution with the factors x of the matrix y, transposed if `trans`; z has right-hand sides as columns.
SOLVED: Primitive = rule(
    _solved,
    vjps=(
        None,
        _solved_vjp,
        lambda c, x, y, z, *, kind, trans, below: fit(
            SOLVED(x, y, c, kind=kind, trans=1 - trans, below=below), Like(z)
        ),
    ),
    jvps=(
        None,
        _solved_jvp,
        lambda t, x, y, *, kind, trans, below: SOLVED(x, y, t, kind=kind, trans=trans, below=below),
    ),
    because="linear in the right-hand side only",
    count=_solving,
    batch=each_matrix(2, 2, 2),
    dependence="solution",
    linear=(2,),
)


# --- the triangular factors themselves --------------------------------------------------------------------------------


def _square_lu(x: Any, y: Any) -> Any:
    return np.array(np.broadcast_to(y, np.broadcast_shapes(np.shape(x), np.shape(y))))


def _square_lu_jvp(t: Any, out: Any) -> Any:
    left = TRIANGULAR(out, t, lower=True, unit=True, trans=0)
    inner = transposed(TRIANGULAR(out, transposed(left), lower=False, unit=False, trans=1))
    below = np.tril(inner, -1)
    return below + np.tril(out, -1) @ below + np.triu(inner) @ np.triu(out)


def _square_lu_vjp(c: Any, out: Any) -> Any:
    below, above = np.tril(c, -1), np.triu(c)
    inner = np.tril(below + transposed(np.tril(out, -1)) @ below, -1) + np.triu(above @ transposed(np.triu(out)))
    left = TRIANGULAR(out, inner, lower=True, unit=True, trans=1)
    return transposed(TRIANGULAR(out, transposed(left), lower=False, unit=False, trans=0))


#: Both factors of a square matrix x that needs no further pivots, in one array, which y is.
SQUARE_LU = rule(
    _square_lu,
    vjps=(lambda c, out, x: fit(_square_lu_vjp(c, out), Like(x)), None),
    jvps=(_square_lu_jvp, None),
    because="not linear; both maps solve with the factors themselves",
    batch=each_matrix(2, 2),
    dependence="matrix",
)
