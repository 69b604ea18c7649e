"""Linear algebra: inverses, solutions, determinants and norms.

Formulas: Giles 2008, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation".
Matrices are the last two axes; leading axes are a batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from shared.core.errors import NoRuleError, user_line
from shared.core.facets import Count, CountRule, of_array, size_of, with_rank
from shared.core.primitive import Like, Primitive, fit
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


def _cholesky_steps(n: int) -> Count:
    products = (n - 1) * n * (n + 1) // 6
    return Count(add=products, multiply=products, divide=n * (n - 1) // 2, elementary=n)


def _of_matrices(count: Callable[[int], Count]) -> CountRule:
    def of_stack(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
        shape = operands[0].shape
        stack: int = math.prod(shape[:-2])
        return stack * count(shape[-1])

    return of_stack


def _solve_count(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    n = operands[0].shape[-1]
    columns = 1 if len(operands[1].shape) == 1 else operands[1].shape[-1]
    stack: int = size_of(out) // max(n * columns, 1)
    return stack * (_elimination(n) + _substitution(n, columns))


def _singular(vectors: bool) -> CountRule:
    # Iterations cannot be counted beforehand; these are the usual estimates (Golub & Van Loan 2013, section 8.6).
    def of_stack(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
        *leading, rows, columns = operands[0].shape
        m, n = max(rows, columns), min(rows, columns)
        stack: int = math.prod(leading)
        total: int = 14 * m * n * n + 8 * n**3 if vectors else 4 * m * n * n - 4 * n**3 // 3
        return stack * Count(total - total // 2, total // 2)

    return of_stack


# --- inverses and solutions -------------------------------------------------------------------------------------------


def _transposed(x: Any) -> Any:
    return np.swapaxes(x, -1, -2)


@of_array
def _of_each(primitive: Any, x: Any, **rest: Any) -> Any:
    # Vectors would be taken for the rows of one matrix.
    return primitive(x, **rest) if x.ndim >= 3 else NotImplemented


_OF_A_MATRIX: dict[str, Any] = {"memory": "fresh", "batch": _of_each, "dependence": "matrix"}

rule(
    np.linalg.inv,
    vjps=(lambda c, out: -_transposed(out) @ c @ _transposed(out),),
    jvps=(lambda t, out: -out @ t @ out,),
    because="not linear, and its derivative is two products with the output",
    count=_of_matrices(lambda n: _elimination(n) + _substitution(n, n)),
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


def _trace_of_product(a: Any, b: Any) -> Any:
    return np.sum(a * _transposed(b), axis=(-2, -1))


rule(
    np.linalg.det,
    vjps=(lambda c, out, x: np.expand_dims(c * out, (-1, -2)) * _transposed(np.linalg.inv(x)),),
    jvps=(lambda t, out, x: out * _trace_of_product(np.linalg.inv(x), t),),
    because="not linear; by Jacobi's formula its derivative is a trace of a product with the inverse",
    count=_of_matrices(lambda n: _elimination(n) + Count(multiply=n)),
    **_OF_A_MATRIX,
)


def _logabsdet(x: Any) -> Any:
    return np.linalg.slogdet(x)[1]


LOGABSDET = rule(
    _logabsdet,
    vjps=(lambda c, x: np.expand_dims(c, (-1, -2)) * _transposed(np.linalg.inv(x)),),
    jvps=(lambda t, x: _trace_of_product(np.linalg.inv(x), t),),
    because="not linear; by Jacobi's formula its gradient is the transposed inverse",
    # Of each pivot the absolute value, its logarithm, and a sum; of the sign below, its sign and a product
    count=_of_matrices(lambda n: _elimination(n) + n * Count(add=2, elementary=1)),
    **_OF_A_MATRIX,
)


def _sign_of_determinant(x: Any) -> Any:
    return np.linalg.slogdet(x)[0]


#: NumPy's own named tuple, which it does not export
_SlogdetResult: Any = type(np.linalg.slogdet(np.ones((1, 1))))
SIGN_OF_DETERMINANT = internal_constant(
    _sign_of_determinant,
    count=_of_matrices(lambda n: _elimination(n) + n * Count(compare=1, multiply=1)),
    batch=_of_each,
)
constant(np.linalg.matrix_rank, count=_singular(vectors=False), memory="fresh", batch=_of_each)


@composite(np.linalg.slogdet)
def _slogdet(a: Any) -> Any:
    if np.iscomplexobj(a):
        raise NoRuleError(f"np.linalg.slogdet of a complex matrix has no derivative rule{user_line()}; use det")
    return _SlogdetResult(SIGN_OF_DETERMINANT(a), LOGABSDET(a))


# The Cholesky factor of the matrix that the lower triangle stands for (NumPy does not read the upper one).  Formulas:
# Murray 2016, "Differentiation of the Cholesky decomposition", section 3.


def _lower_half(x: Any) -> Any:
    """The lower triangle, half of the diagonal."""
    n = np.shape(x)[-1]
    return x * (np.tri(n) - 0.5 * np.eye(n)).astype(x.dtype)


def _both_solved(factor: Any, x: Any) -> Any:
    """The transpose of factor^-1 x factor^-T."""
    return np.linalg.solve(factor, _transposed(np.linalg.solve(factor, x)))


def _cholesky(x: Any) -> Any:
    return np.linalg.cholesky(x)


def _cholesky_vjp(c: Any, out: Any) -> Any:
    transposed = _transposed(out)
    found = _both_solved(transposed, _lower_half(transposed @ c))
    return _lower_half(found + _transposed(found))


def _cholesky_jvp(t: Any, out: Any) -> Any:
    lower = _lower_half(t)
    return out @ _lower_half(_both_solved(out, lower + _transposed(lower)))


CHOLESKY = rule(
    _cholesky,
    vjps=(_cholesky_vjp,),
    jvps=(_cholesky_jvp,),
    because="not linear; both maps solve with the factor itself",
    count=_of_matrices(_cholesky_steps),
    **_OF_A_MATRIX,
)


@composite(np.linalg.cholesky)
def _cholesky_call(a: Any, /, *, upper: bool = False) -> Any:
    if np.iscomplexobj(a):
        raise NoRuleError(f"np.linalg.cholesky of a complex matrix has no derivative rule{user_line()}")
    return _transposed(CHOLESKY(_transposed(a))) if upper else CHOLESKY(a)


# The singular value decomposition x = u diag(s) v^T gives three primitives, whose rules are written with all three.
# Formulas: Townsend 2016, "Differentiating the singular value decomposition"; they hold for distinct singular values,
# and, where x is not square, for nonzero ones.


def _svd_part(part: int) -> Callable[..., Any]:
    def evaluate(x: Any) -> Any:
        return np.linalg.svd(x, full_matrices=False)[part]

    evaluate.__name__ = ("svd_u", "svd_s", "svd_vt")[part]
    return evaluate


def _gaps(s: Any) -> Any:
    """1 / (s_j^2 - s_i^2), zero on the diagonal."""
    squares = s * s
    gap = np.expand_dims(squares, -2) - np.expand_dims(squares, -1)
    same = np.eye(s.shape[-1], dtype=bool)
    return np.where(same, 0, 1 / np.where(same, 1, gap))


def _beyond(u: Any, c: Any) -> Any:
    """The part of `c` orthogonal to the columns of `u`; nothing where these span the whole space."""
    return c - u @ (_transposed(u) @ c) if u.shape[-2] > u.shape[-1] else 0 * c


def _decomposed(x: Any) -> tuple[Any, Any, Any]:
    if np.iscomplexobj(x):
        raise NoRuleError(f"np.linalg.svd of a complex matrix has no derivative rule{user_line()}")
    u, s, vt = np.linalg.svd(x, full_matrices=False)
    return u, s, _transposed(vt)


def _columns(s: Any) -> Any:
    return np.expand_dims(s, -2)


def _vectors_vjp(c: Any, u: Any, s: Any, v: Any) -> Any:
    turning = _transposed(u) @ c
    inner = (_gaps(s) * (turning - _transposed(turning))) * _columns(s)
    return (u @ inner + _beyond(u, c) / _columns(s)) @ _transposed(v)


def _vectors_jvp(t: Any, u: Any, s: Any, v: Any) -> Any:
    scaled = (_transposed(u) @ t @ v) * _columns(s)
    return u @ (_gaps(s) * (scaled + _transposed(scaled))) + _beyond(u, t @ v) / _columns(s)


def _left_vjp(c: Any, x: Any) -> Any:
    return _vectors_vjp(c, *_decomposed(x))


def _left_jvp(t: Any, x: Any) -> Any:
    return _vectors_jvp(t, *_decomposed(x))


# The right singular vectors of x are the left ones of its transpose.


def _right_vjp(c: Any, x: Any) -> Any:
    u, s, v = _decomposed(x)
    return _transposed(_vectors_vjp(_transposed(c), v, s, u))


def _right_jvp(t: Any, x: Any) -> Any:
    u, s, v = _decomposed(x)
    return _transposed(_vectors_jvp(_transposed(t), v, s, u))


# A singular value is never negative, so zero is a kink, where the least subgradient is zero.


def _values_vjp(c: Any, x: Any) -> Any:
    u, s, v = _decomposed(x)
    return (u * _columns(np.where(s > 0, c, 0))) @ _transposed(v)


def _values_jvp(t: Any, x: Any) -> Any:
    u, s, v = _decomposed(x)
    return np.where(s > 0, np.sum(u * (t @ v), axis=-2), 0)


def _one_of_three(part: int, vjp: Any, jvp: Any) -> Primitive:
    return rule(
        _svd_part(part),
        vjps=(vjp,),
        jvps=(jvp,),
        because="one of three outputs, whose derivative takes all three",
        count=_singular(vectors=True),  # every one of them is computed with the other two
        **_OF_A_MATRIX,
    )


LEFT_VECTORS = _one_of_three(0, _left_vjp, _left_jvp)
SINGULAR_VALUES = _one_of_three(1, _values_vjp, _values_jvp)
RIGHT_VECTORS = _one_of_three(2, _right_vjp, _right_jvp)
_SVDResult: Any = type(np.linalg.svd(np.ones((1, 1))))


@composite(np.linalg.svd)
def _svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    if not compute_uv:
        return SINGULAR_VALUES(a)
    if full_matrices and np.shape(a)[-1] != np.shape(a)[-2]:
        raise NoRuleError(f"np.linalg.svd: give full_matrices=False{user_line()}: the further vectors are arbitrary")
    return _SVDResult(LEFT_VECTORS(a), SINGULAR_VALUES(a), RIGHT_VECTORS(a))


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
        values = SINGULAR_VALUES(np.moveaxis(x, (row, column), (-2, -1)))
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
