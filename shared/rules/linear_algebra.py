"""Linear algebra: inverses, solutions, determinants, decompositions, norms and powers.

The rules of decompositions, and what the derivative of a determinant needs, are in modules that are loaded when they
are met: `determinants`, `eigenvalues`, `singular_values`, `factors`, `pseudoinverses`.  Here is what NumPy's functions
are in terms of them.

Formulas: Giles 2008, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation".
Matrices are the last two axes; leading axes are a batch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from shared.core.edges import Like, fit
from shared.core.errors import NoRuleError, user_line
from shared.core.facets import Count, each_matrix, of_matrices, size_of, with_rank
from shared.core.registry import composite, constant, internal_constant, rule
from shared.rules.reductions import norm_sqrt, unwrapped

# --- counts: dense elimination with pivots (Golub & Van Loan 2013, sections 3.2, 3.4 and 4.2) -------------------------


def _elimination(n: int) -> Count:
    """The factors of a matrix: in step k a pivot among k + 1, k quotients, and k**2 products and differences."""
    products, quotients = (n - 1) * n * (2 * n - 1) // 6, n * (n - 1) // 2
    return Count(add=products, multiply=products, divide=quotients, compare=quotients)


def _substitution(n: int, columns: int) -> Count:
    """Forward and back substitution of each right-hand side."""
    return columns * Count(add=n * (n - 1), multiply=n * (n - 1), divide=n)


def _solve_count(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    n = operands[0].shape[-1]
    columns = 1 if len(operands[1].shape) == 1 else operands[1].shape[-1]
    stack: int = size_of(out) // max(n * columns, 1)
    return stack * (_elimination(n) + _substitution(n, columns))


def _singular_values_count(rows: int, columns: int) -> Count:
    # Iterations cannot be counted beforehand; this is the usual estimate (Golub & Van Loan 2013, section 8.6).
    m, n = max(rows, columns), min(rows, columns)
    total: int = 4 * m * n * n - 4 * n**3 // 3
    return Count(total - total // 2, total // 2)


# --- inverses and solutions -------------------------------------------------------------------------------------------


def _transposed(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


_OF_A_MATRIX: dict[str, Any] = {"memory": "fresh", "batch": each_matrix(2), "dependence": "matrix"}

rule(
    np.linalg.inv,
    vjps=(lambda c, out: -_transposed(out) @ c @ _transposed(out),),
    jvps=(lambda t, out: -out @ t @ out,),
    because="not linear, and its derivative is two products with the output",
    count=of_matrices(lambda n, _: _elimination(n) + _substitution(n, n)),
    **_OF_A_MATRIX,
)

# solve(A, b) is linear in b; in A it is -A^-1 dA x.  A right-hand side of one axis is one vector, whatever A's batch.


def _times_solution(t: Any, out: Any, y: Any) -> Any:
    return (t @ np.expand_dims(out, -1))[..., 0] if np.ndim(y) == 1 else t @ out


def _solve_first_vjp(c: Any, out: Any, x: Any, y: Any) -> Any:
    solved = _solved_transposed(x, c, y)
    if np.ndim(y) == 1:
        return fit(-np.expand_dims(solved, -1) * np.expand_dims(out, -2), Like(x))
    return fit(-solved @ _transposed(out), Like(x))


def _solved_transposed(x: Any, c: Any, y: Any) -> Any:
    if np.ndim(y) == 1:
        return np.linalg.solve(_transposed(x), np.expand_dims(c, -1))[..., 0]
    return np.linalg.solve(_transposed(x), c)


def _solve_first_jvp(t: Any, out: Any, x: Any, y: Any) -> Any:
    return -_solved(x, _times_solution(t, out, y), np.ndim(y) == 1)


def _solved(x: Any, b: Any, is_vector: bool) -> Any:
    return np.linalg.solve(x, np.expand_dims(b, -1))[..., 0] if is_vector else np.linalg.solve(x, b)


def _solve_each(
    primitive: Any, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]
) -> Any:
    a, b = values
    first, second = batched
    rank_a, rank_b = np.ndim(a) - first, np.ndim(b) - second
    if rank_a < 2 or rank_b < 1:
        return NotImplemented
    if not first and rank_a == 2 and rank_b <= 2:
        # One factorisation serves all examples: their right-hand sides are columns of one matrix.
        columns = np.moveaxis(b, 0, -1)
        solved = np.linalg.solve(a, np.reshape(columns, (np.shape(columns)[0], -1)))
        return np.moveaxis(np.reshape(solved, np.shape(columns)), -1, 0)
    # A right-hand side of one axis is one vector, whatever the batch of matrices.
    if rank_b == 1:
        b = np.expand_dims(b, -1)
    rank = max(rank_a, rank_b, 2)
    solved = np.linalg.solve(with_rank(a, rank, first), with_rank(b, rank, second))
    return solved[..., 0] if rank_b == 1 else solved


rule(
    np.linalg.solve,
    vjps=(_solve_first_vjp, lambda c, x, y: fit(_solved_transposed(x, c, y), Like(y))),
    jvps=(_solve_first_jvp, lambda t, x, y: _solved(x, t, np.ndim(y) == 1)),
    because="linear in the right-hand side only",
    count=_solve_count,
    memory="fresh",
    batch=_solve_each,
    dependence="solution",
    linear=(1,),
)


# --- determinants and factors -----------------------------------------------------------------------------------------


@cache
def _kind_of_result(function: Any) -> Any:
    """NumPy's own named tuple, which it does not export: the function that returns one shows it."""
    return type(function(np.ones((1, 1))))


def _result(*arrays: Any, of: Any) -> Any:
    return _kind_of_result(of)(*arrays)


def _trace_of_product(a: Any, b: Any) -> Any:
    return np.sum(a * _transposed(b), axis=(-2, -1))


def _determinants() -> Any:
    from shared.rules import determinants

    return determinants


rule(
    np.linalg.det,
    vjps=(lambda c, out, x: np.expand_dims(c, (-1, -2)) * _determinants().COFACTORS(x, out),),
    jvps=(lambda t, out, x: np.sum(_determinants().COFACTORS(x, out) * t, axis=(-2, -1)),),
    because="not linear; its gradient is the matrix of cofactors",
    count=of_matrices(lambda n, _: _elimination(n) + Count(multiply=n)),
    **_OF_A_MATRIX,
)


def _logabsdet(x: Any) -> Any:
    return np.linalg.slogdet(x)[1]


def _logabsdet_jvp(t: Any, x: Any) -> Any:
    found = _trace_of_product(np.linalg.inv(x), t)
    return np.real(found) if np.iscomplexobj(found) else found


LOGABSDET = rule(
    _logabsdet,
    vjps=(lambda c, x: np.expand_dims(c, (-1, -2)) * _transposed(np.linalg.inv(x)),),
    jvps=(_logabsdet_jvp,),
    because="not linear; by Jacobi's formula its gradient is the transposed inverse",
    # Of each pivot the absolute value, its logarithm, and a sum; of the sign below, its sign and a product
    count=of_matrices(lambda n, _: _elimination(n) + n * Count(add=2, elementary=1)),
    **_OF_A_MATRIX,
)


def _sign_of_determinant(x: Any) -> Any:
    return np.linalg.slogdet(x)[0]


SIGN_OF_DETERMINANT = internal_constant(
    _sign_of_determinant,
    count=of_matrices(lambda n, _: _elimination(n) + n * Count(compare=1, multiply=1)),
    batch=each_matrix(2),
)
constant(np.linalg.matrix_rank, count=of_matrices(_singular_values_count), memory="fresh", batch=each_matrix(2))


@composite(np.linalg.slogdet)
def _slogdet(a: Any) -> Any:
    sign = _determinants().PHASE if np.iscomplexobj(a) else SIGN_OF_DETERMINANT
    return _result(sign(a), LOGABSDET(a), of=np.linalg.slogdet)


# --- decompositions, whose rules are in modules of their own, each loaded when it is met --------------------------


def _eigenvalues() -> Any:
    from shared.rules import eigenvalues

    return eigenvalues


def _singular_values() -> Any:
    from shared.rules import singular_values

    return singular_values


def _factors() -> Any:
    from shared.rules import factors

    return factors


def _pseudoinverses() -> Any:
    from shared.rules import pseudoinverses

    return pseudoinverses


def _adjoint(x: Any) -> Any:
    return np.conjugate(_transposed(x)) if np.iscomplexobj(x) else _transposed(x)


def _triangle_read(UPLO: str) -> str:
    uplo = UPLO.upper()
    if uplo not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return uplo


@composite(np.linalg.eigh)
def _eigh(a: Any, UPLO: str = "L") -> Any:
    uplo, rules = _triangle_read(UPLO), _eigenvalues()
    values = rules.EIGENVALUES_OF_HERMITIAN(a, uplo=uplo)
    return _result(values, rules.EIGENVECTORS_OF_HERMITIAN(a, uplo=uplo), of=np.linalg.eigh)


@composite(np.linalg.eigvalsh)
def _eigvalsh(a: Any, UPLO: str = "L") -> Any:
    return _eigenvalues().EIGENVALUES_OF_HERMITIAN(a, uplo=_triangle_read(UPLO))


@composite(np.linalg.eig)
def _eig(a: Any) -> Any:
    rules = _eigenvalues()
    return _result(rules.kept_real(rules.EIGENVALUES(a, with_vectors=True)), rules.EIGENVECTORS(a), of=np.linalg.eig)


@composite(np.linalg.eigvals)
def _eigvals(a: Any) -> Any:
    rules = _eigenvalues()
    return rules.kept_real(rules.EIGENVALUES(a, with_vectors=False))


@composite(np.linalg.cholesky)
def _cholesky(a: Any, /, *, upper: bool = False) -> Any:
    factor = _factors().CHOLESKY
    return _adjoint(factor(_adjoint(a))) if upper else factor(a)


@composite(np.linalg.svd)
def _svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    if hermitian:
        return _svd_of_hermitian(a, compute_uv)
    rules = _singular_values()
    if not compute_uv:
        return rules.SINGULAR_VALUES(a)
    if full_matrices and np.shape(a)[-1] != np.shape(a)[-2]:
        raise NoRuleError(f"np.linalg.svd: give full_matrices=False{user_line()}: the further vectors are arbitrary")
    return _result(rules.LEFT_VECTORS(a), rules.SINGULAR_VALUES(a), rules.RIGHT_VECTORS(a), of=np.linalg.svd)


def _svd_of_hermitian(a: Any, compute_uv: bool) -> Any:
    if not compute_uv:
        return np.flip(np.sort(np.abs(np.linalg.eigvalsh(a)), axis=-1), -1)
    values, vectors = np.linalg.eigh(a)
    order = np.flip(np.argsort(np.abs(values), axis=-1), -1)
    values = np.take_along_axis(values, order, axis=-1)
    left = np.take_along_axis(vectors, np.expand_dims(order, -2), axis=-1)
    right = _adjoint(left * np.expand_dims(np.sign(values), -2))
    return _result(left, np.abs(values), right, of=np.linalg.svd)


@composite(np.linalg.svdvals)
def _svdvals(x: Any, /) -> Any:
    return _singular_values().SINGULAR_VALUES(x)


@composite(np.linalg.qr)
def _qr(a: Any, mode: str = "reduced") -> Any:
    if mode not in ("reduced", "complete", "r", "raw"):
        raise ValueError(f"Unrecognized mode {mode!r}")
    if np.ndim(a) < 2:
        raise np.linalg.LinAlgError(f"qr: an array of {np.ndim(a)} axes is no matrix")
    rows, columns = np.shape(a)[-2:]
    rules = _factors()
    if mode == "raw":
        return rules.qr_raw(a)
    if mode == "complete" and rows > columns:
        return _result(*rules.qr_complete(a), of=np.linalg.qr)
    # What has more columns than rows has the factors of its first columns, which determine the others.
    first = a[..., :rows] if columns > rows else a
    r = rules.TRIANGULAR_FACTOR(first)
    if columns <= rows and mode == "r":
        return r
    q = rules.ORTHOGONAL_FACTOR(first)
    if columns > rows:
        r = np.concatenate([r, _adjoint(q) @ a[..., rows:]], axis=-1)
    return r if mode == "r" else _result(q, r, of=np.linalg.qr)


def _cutoff(a: Any, rcond: Any, rtol: Any) -> float:
    """Below which part of the largest singular value NumPy takes one for zero."""
    if rcond is None:
        rcond = 1e-15 if rtol is np._NoValue else rtol
    if rcond is None:
        rcond = max(np.shape(a)[-2:]) * np.finfo(a.dtype).eps
    if np.ndim(rcond):
        raise NoRuleError(f"np.linalg.pinv: give one rcond for all matrices{user_line()}")
    return float(rcond)


@composite(np.linalg.pinv)
def _pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Any:
    rules = _pseudoinverses()
    return (rules.pinv_of_hermitian if hermitian else rules.PINV)(a, cutoff=_cutoff(a, rcond, rtol))


@composite(np.linalg.lstsq)
def _lstsq(a: Any, b: Any, rcond: Any = None) -> Any:
    if np.ndim(a) != 2 or np.ndim(b) not in (1, 2):
        raise np.linalg.LinAlgError(f"lstsq: arrays of shapes {np.shape(a)} and {np.shape(b)} are no equations")
    rows, columns = np.shape(a)
    a, b = (x if hasattr(x, "dtype") else np.asarray(x) for x in (a, b))
    dtype = np.result_type(a.dtype, b.dtype, np.float32)
    a, b, eps = a.astype(dtype), b.astype(dtype), np.finfo(dtype).eps
    cutoff = float(max(rows, columns) * eps if rcond is None else eps if rcond == -1 else rcond)
    solution = _pseudoinverses().LEAST_SQUARES(a, b, cutoff=cutoff)
    values = _singular_values().SINGULAR_VALUES(a)
    rank = np.sum(values > cutoff * np.max(values)) if min(rows, columns) else 0
    left = _squares(b - a @ solution)
    residuals = np.sum(left if np.ndim(b) == 2 else np.expand_dims(left, -1), axis=0)
    return solution, residuals if rank == columns and rows > columns else residuals[:0], rank, values


@composite(np.linalg.cond)
def _cond(x: Any, p: Any = None) -> Any:
    if not np.size(x):
        raise np.linalg.LinAlgError("cond is not defined on empty arrays")
    # Of a singular matrix it is infinite, which is no reason to warn.
    with np.errstate(all="ignore"):
        if p is None or p in (2, -2):
            values = _singular_values().SINGULAR_VALUES(x)
            found = values[..., -1] / values[..., 0] if p == -2 else values[..., 0] / values[..., -1]
        else:
            found = np.linalg.norm(x, p, axis=(-2, -1)) * np.linalg.norm(np.linalg.inv(x), p, axis=(-2, -1))
        undefined = np.isnan(found) & ~np.any(np.isnan(x), axis=(-2, -1))
        return np.where(undefined, np.inf, found)[()]


# --- norms and powers -------------------------------------------------------------------------------------------------


def _squares(x: Any) -> Any:
    return np.real(x * np.conjugate(x)) if np.iscomplexobj(x) else x * x


@composite(np.linalg.norm)
def _norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    for k in (axis,) if isinstance(axis, (int, np.integer)) else axis or ():
        normalize_axis_index(int(k), np.ndim(x))
    if axis is None and (ord is None or (ord == 2 and np.ndim(x) == 1) or (ord == "fro" and np.ndim(x) == 2)):
        result = norm_sqrt(np.sum(_squares(x)))
        return np.reshape(result, (1,) * np.ndim(x)) if keepdims else result
    axes = (
        tuple(range(np.ndim(x)))
        if axis is None
        else (int(axis),)
        if isinstance(axis, (int, np.integer))
        else tuple(axis)
    )
    if len(axes) == 1:
        return _vector_norm(x, ord, axes[0], keepdims)
    if len(axes) == 2:
        return _matrix_norm(x, ord, axes, keepdims)
    raise ValueError("Improper number of dimensions to norm.")


def _vector_norm(x: Any, ord: Any, axis: int, keepdims: bool) -> Any:
    if ord is None or ord == 2:
        return norm_sqrt(np.sum(_squares(x), axis=axis, keepdims=keepdims))
    size = np.absolute(x)
    if ord == np.inf:
        return _largest(size, axis, keepdims)
    if ord == -np.inf:
        return np.min(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return np.sum((size != 0).astype(size.dtype), axis=axis, keepdims=keepdims)
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order {ord!r} for vectors")
    if ord == 1:
        return np.sum(size, axis=axis, keepdims=keepdims)
    # At zero the root, whose derivative is infinite there, is taken of a constant: the least subgradient is 0.
    total = np.sum(size**ord, axis=axis, keepdims=True)
    safe = np.where(total == 0, 1, total)
    result = np.where(total == 0, 0, safe ** (1.0 / ord))
    return result if keepdims else unwrapped(np.squeeze(result, axis))


def _largest(sizes: Any, axis: int, keepdims: bool) -> Any:
    """The largest of some sizes; zero where there is none."""
    return (np.max if np.shape(sizes)[axis] else np.sum)(sizes, axis=axis, keepdims=keepdims)


def _smallest(sizes: Any, axis: int, keepdims: bool) -> Any:
    return np.min(sizes, axis=axis, keepdims=keepdims)


def _matrix_norm(x: Any, ord: Any, axes: tuple[int, ...], keepdims: bool) -> Any:
    row, column = (k % np.ndim(x) for k in axes)
    if row == column:
        raise ValueError("Duplicate axes given.")
    reduce: dict[Any, tuple[Callable[..., Any], int, int]] = {
        1: (_largest, row, column), -1: (_smallest, row, column),
        np.inf: (_largest, column, row), -np.inf: (_smallest, column, row),
    }  # fmt: skip
    if ord is None or ord == "fro":
        return norm_sqrt(np.sum(_squares(x), axis=(row, column), keepdims=keepdims))
    if ord in reduce:
        extreme, summed, rest = reduce[ord]
        result = extreme(np.sum(np.absolute(x), axis=summed, keepdims=True), rest, True)
    elif ord in (2, -2, "nuc"):
        values = _singular_values().SINGULAR_VALUES(np.moveaxis(x, (row, column), (-2, -1)))
        reduced = np.sum(values, axis=-1) if ord == "nuc" else (_largest if ord == 2 else _smallest)(values, -1, False)
        result = np.expand_dims(reduced, (min(row, column), max(row, column)))
    else:
        raise ValueError("Invalid norm order for matrices.")
    return result if keepdims else unwrapped(np.squeeze(result, (row, column)))


@composite(np.linalg.multi_dot)
def _multi_dot(arrays: Any, *, out: None = None) -> Any:
    result = arrays[0]
    for array in arrays[1:]:
        result = result @ array
    return result


@composite(np.linalg.matrix_power)
def _matrix_power(a: Any, n: int) -> Any:
    if np.ndim(a) < 2 or np.shape(a)[-1] != np.shape(a)[-2]:
        raise np.linalg.LinAlgError(f"matrix_power: an array of shape {np.shape(a)} is no stack of square matrices")
    if n < 0:
        a, n = np.linalg.inv(a), -n
    result = np.array(np.broadcast_to(np.eye(np.shape(a)[-1], dtype=a.dtype), np.shape(a))) if n == 0 else None
    while n:
        if n & 1:
            result = a if result is None else result @ a
        n >>= 1
        a = a @ a if n else a
    return result


@composite(np.linalg.tensorinv)
def _tensorinv(a: Any, ind: int = 2) -> Any:
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    shape = np.shape(a)
    rows = int(np.prod(shape[ind:], dtype=np.int64))
    return np.reshape(np.linalg.inv(np.reshape(a, (rows, -1))), shape[ind:] + shape[:ind])


@composite(np.linalg.tensorsolve)
def _tensorsolve(a: Any, b: Any, axes: Any = None) -> Any:
    rank = np.ndim(a)
    for k in axes or ():
        a = np.moveaxis(a, k, rank - 1)
    rest = np.shape(a)[np.ndim(b) - rank :] if np.ndim(b) < rank else ()
    size = int(np.prod(rest, dtype=np.int64))
    if np.size(a) != size * size:
        raise np.linalg.LinAlgError("tensorsolve: the axes of a must make it a square matrix, prod(b) by prod(x)")
    return np.reshape(np.linalg.solve(np.reshape(a, (size, size)), np.ravel(b)), rest)


# --- what np.linalg has of the array API: the same for the last axes --------------------------------------------------


@composite(np.linalg.matrix_norm)
def _matrix_norm_call(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Any:
    return np.linalg.norm(x, ord, axis=(-2, -1), keepdims=keepdims)


@composite(np.linalg.vector_norm)
def _vector_norm_call(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Any:
    shape = np.shape(x)
    axes = range(len(shape)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    axes = tuple(normalize_axis_index(int(k), len(shape)) for k in axes)
    if len(axes) == 1:
        return np.linalg.norm(x, ord, axes[0], keepdims)
    # Several axes are those of one vector.
    kept = [k for k in range(len(shape)) if k not in axes]
    vectors = np.reshape(np.transpose(x, (*kept, *axes)), (*[shape[k] for k in kept], -1))
    found = np.linalg.norm(vectors, ord, -1)
    return np.reshape(found, tuple(1 if k in axes else n for k, n in enumerate(shape))) if keepdims else found


@composite(np.linalg.trace)
def _trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Any:
    return np.trace(x, offset, -2, -1, dtype)


@composite(np.linalg.diagonal)
def _diagonal(x: Any, /, *, offset: int = 0) -> Any:
    return np.diagonal(x, offset, -2, -1)


@composite(np.linalg.outer)
def _outer(x1: Any, x2: Any, /) -> Any:
    if np.ndim(x1) != 1 or np.ndim(x2) != 1:
        raise ValueError(f"np.linalg.outer: both must have one axis, but they have {np.ndim(x1)} and {np.ndim(x2)}")
    return np.outer(x1, x2)


@composite(np.linalg.cross)
def _cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return np.cross(x1, x2, axis=axis)


@composite(np.linalg.matmul)
def _matmul(x1: Any, x2: Any, /) -> Any:
    return np.matmul(x1, x2)


@composite(np.linalg.tensordot)
def _tensordot(x1: Any, x2: Any, /, *, axes: Any = 2) -> Any:
    return np.tensordot(x1, x2, axes=axes)


@composite(np.linalg.vecdot)
def _vecdot(x1: Any, x2: Any, /, *, axis: int = -1) -> Any:
    return np.vecdot(x1, x2, axis=axis)


@composite(np.linalg.matrix_transpose)
def _matrix_transpose(x: Any, /) -> Any:
    if np.ndim(x) < 2:
        raise ValueError(f"np.linalg.matrix_transpose: an array of {np.ndim(x)} axes is no matrix")
    return _transposed(x)
