"""Factors, eigenvalues, singular values and numbers of matrices.

What NumPy has too is its function, whose rules are in `shared.rules`, with SciPy's signature.  On plain arrays each
function is SciPy's own.  On traced values `overwrite_a`, `check_finite` and what chooses a driver have no effect but on
signs: vectors, which are determined up to a factor of size 1, have SciPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from shared.core.errors import NoRuleError, user_line
from shared.core.facets import each_matrix
from shared.core.registry import internal_constant
from shared.rules.matrices import adjoint_of, along_columns, transposed
from shared.scipy.linalg.functions import POLAR_FACTOR
from shared.scipy.linalg.primitives import PIVOTED, SQUARE_LU
from shared.scipy.linalg.stacks import each
from shared.scipy.linalg.systems import ORDER, mirrored, square, triangular
from shared.scipy.offering import arrays, offered, required

linalg = required("scipy.linalg")


def _matrix(name: str, a: Any) -> Any:
    (a,) = arrays(a)
    if np.ndim(a) < 2:
        raise ValueError(f"{name}: an array of shape {np.shape(a)} is no matrix{user_line()}")
    return a


def _in_double(a: Any) -> Any:
    dtype = np.result_type(a.dtype, np.float64)
    return a if a.dtype == dtype else a.astype(dtype)


# --- Cholesky, LU and QR ----------------------------------------------------------------------------------------------


@offered(linalg.cholesky)
def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """As `scipy.linalg.cholesky`: the factor u with uᴴ u = a, or, if `lower`, l with l lᴴ = a.

    `a` is (..., n, n), of which that triangle is read, in which the cotangent lies.  Raises LinAlgError for a matrix
    that is not positive definite.  Cost: one factorisation, n³/3; two triangular solutions with matrices for each
    derivative.  (Murray 2016, "Differentiation of the Cholesky decomposition", section 3)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda a: cholesky(a, lower=True)[1, 1])(np.array([[4.0, 0.0], [2.0, 5.0]]))
    array([[ 0.0625, -0.    ],
           [-0.25  ,  0.25  ]])
    """
    a = _matrix("cholesky", a)
    square("cholesky", a)
    return np.linalg.cholesky(a, upper=not lower)


@offered(linalg.lu_factor)
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Any, Any]:
    """As `scipy.linalg.lu_factor`: both factors in one array, and the exchanges of rows, for `lu_solve`.

    `a` is (..., m, n), of full rank.  The exchanges are constants; where the pivot changes, there is no derivative.
    Cost: one factorisation, 2 n³/3; two triangular solutions with matrices for each derivative.  (Walter & Lehmann
    2012, "Algorithmic differentiation of linear algebra functions with application in optimum experimental design")

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda a: lu_factor(a)[0][1, 1])(np.array([[4.0, 2.0], [2.0, 5.0]]))
    array([[ 0.25, -0.5 ],
           [-0.5 ,  1.  ]])
    """
    a = _matrix("lu_factor", a)
    packed, pivots = _packed(a)
    return packed, pivots[..., : min(np.shape(a)[-2:])]


def _pivots(x: Any) -> Any:
    return np.array(np.real(x[..., -1, :]).astype(np.int32))


PIVOTS = internal_constant(_pivots, batch=each_matrix(2))


def _packed(a: Any) -> tuple[Any, Any]:
    """L and U in one array, of the rows in the order of the pivots; and the pivots, one for each column."""
    rows, columns = np.shape(a)[-2:]
    least = min(rows, columns)
    known = PIVOTED(a)
    pivots = PIVOTS(known)
    moved = np.take_along_axis(a, np.expand_dims(_row_order(pivots[..., :least], rows), -1), axis=-2)
    packed = SQUARE_LU(moved[..., :least, :least], known[..., :least, :least])
    if rows > least:
        below = transposed(triangular(packed, transposed(moved[..., least:, :]), False, 1))
        packed = np.concatenate([packed, below], axis=-2)
    if columns > least:
        packed = np.concatenate([packed, triangular(packed, moved[..., least:], True, 0, True)], axis=-1)
    return packed, pivots


def _row_order(pivots: Any, rows: int) -> Any:
    """The order of all rows: those that no pivot is in exchange nothing."""
    rest = np.broadcast_to(np.arange(np.shape(pivots)[-1], rows), (*np.shape(pivots)[:-1], rows - np.shape(pivots)[-1]))
    return ORDER(np.concatenate([pivots, rest], axis=-1))


@offered(linalg.lu)
def lu(
    a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True, p_indices: bool = False
) -> Any:
    """As `scipy.linalg.lu`: (p, l, u) with a = p l u, (p l, u) if `permute_l`, and p as indices if `p_indices`.

    `a` is (..., m, n), of full rank; p is a constant.  Cost: that of `lu_factor`.  (Walter & Lehmann 2012)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda a: lu(a)[2][1, 1])(np.array([[4.0, 2.0], [2.0, 5.0]]))
    array([[ 0.25, -0.5 ],
           [-0.5 ,  1.  ]])
    """
    a = _matrix("lu", a)
    rows, columns = np.shape(a)[-2:]
    least = min(rows, columns)
    packed, pivots = _packed(a)
    lower = np.tril(packed[..., :least], -1) + np.eye(rows, least, dtype=a.dtype)
    upper = np.triu(packed[..., :least, :])
    # a[order] = l u, so the rows of l in the inverse order are those of a.
    places = np.argsort(_row_order(pivots[..., :least], rows), axis=-1)
    if permute_l:
        return np.take_along_axis(lower, np.expand_dims(places, -1), axis=-2), upper
    if p_indices:
        return places, lower, upper
    real = np.zeros(0, a.dtype).real.dtype
    return (np.expand_dims(places, -1) == np.arange(rows)).astype(real), lower, upper


def _pivoting(x: Any) -> Any:
    return each(lambda a: linalg.qr(a, mode="r", pivoting=True, check_finite=False)[1], (2,), x)


COLUMN_ORDER = internal_constant(_pivoting, batch=each_matrix(2))


@offered(linalg.qr)
def qr(
    a: Any, overwrite_a: bool = False, lwork: int | None = None, mode: str = "full", pivoting: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """As `scipy.linalg.qr`: (q, r), with orthonormal columns and a triangle; mode "full", "r", "economic" or "raw".

    `a` is (..., m, n), of full rank.  With `pivoting` the order of the columns comes last, a constant.  Of more rows
    than columns, "full" and "raw" follow Householder's reflections one by one.  Cost: one factorisation, and for each
    derivative one more and a triangular solution.  (Walter & Lehmann 2012; Roberts & Roberts 2020, "QR and LQ
    decomposition matrix backpropagation algorithms")

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda a: qr(a, mode="economic")[1][0, 0])(np.array([[3.0], [4.0]]))
    array([[-0.6],
           [-0.8]])
    """
    modes = {"full": "complete", "r": "complete", "economic": "reduced", "raw": "raw"}
    if mode not in modes:
        raise ValueError("Mode argument should be one of ['full', 'r', 'economic', 'raw']")
    a = _matrix("qr", a)
    rows, columns = np.shape(a)[-2:]
    order: tuple[Any, ...] = ()
    if pivoting:
        order = (COLUMN_ORDER(a),)
        a = np.take_along_axis(a, np.expand_dims(order[0], -2), axis=-1)
    if mode == "raw":
        reflections, factors = np.linalg.qr(a, "raw")
        packed = transposed(reflections)
        return ((packed, factors), np.triu(packed[..., :columns, :]), *order)
    if mode == "r":
        r: Any = np.linalg.qr(a, "r")
        if rows > columns:
            r = np.pad(r, [*[(0, 0)] * (np.ndim(r) - 2), (0, rows - columns), (0, 0)])
        return (r, *order)
    return (*np.linalg.qr(a, modes[mode]), *order)


# --- eigenvalues and singular values ----------------------------------------------------------------------------------


def _eigenvectors(a: Any, b: Any, generalised: bool, **options: Any) -> Any:
    found = linalg.eigh(a, b if generalised else None, **options)[1]
    return found / np.linalg.norm(found, axis=0)


def _left_vectors(a: Any, _: Any, driver: str) -> Any:
    return linalg.svd(a, full_matrices=False, lapack_driver=driver, check_finite=False)[0]


_VECTORS: dict[str, Callable[..., Any]] = {"eigh": _eigenvectors, "svd": _left_vectors}


def _factors_of_size_one(x: Any, y: Any, z: Any, *, of: str, options: tuple[tuple[str, Any], ...]) -> Any:
    def of_one(found: Any, a: Any, b: Any) -> Any:
        along = np.sum(np.conjugate(found) * _VECTORS[of](a, b, **dict(options)), axis=-2)
        size = np.abs(along)
        # Of equal values the vectors are any basis: there is no factor then.
        return np.where(size > 0.5, along / np.where(size > 0.5, size, 1), 1).astype(found.dtype)

    return each(of_one, (2, 2, 2), x, y, z)


#: By what the vectors x, as columns of norm 1, are to be multiplied to be those that SciPy returns of y (and z).
IN_STEP = internal_constant(_factors_of_size_one, batch=each_matrix(2, 2, 2))


def _normed(v: Any) -> Any:
    return v / np.sqrt(np.sum(np.real(v * np.conjugate(v)), axis=-2, keepdims=True))


def _reduced(a: Any, b: Any, lower: bool, kind: int) -> tuple[Any, Callable[[Any], Any]]:
    """A Hermitian matrix of the same eigenvalues, and what makes eigenvectors of its own (as LAPACK's sygst)."""
    factor = np.linalg.cholesky(mirrored(b, lower))
    a = mirrored(a, lower)
    if kind == 1:
        inner = triangular(factor, adjoint_of(triangular(factor, a, True)), True)
    else:
        inner = adjoint_of(factor) @ a @ factor
    if kind == 3:
        return inner, lambda y: factor @ y
    return inner, lambda y: triangular(factor, y, True, 2)


@offered(linalg.eigh)
def eigh(
    a: Any, b: Any = None, *, lower: bool = True, eigvals_only: bool = False, overwrite_a: bool = False,
    overwrite_b: bool = False, type: int = 1, check_finite: bool = True, subset_by_index: Any = None,
    subset_by_value: Any = None, driver: str | None = None,
) -> Any:  # fmt: skip
    """As `scipy.linalg.eigh`: eigenvalues in ascending order, and the vectors as columns, of Hermitian matrices.

    With `b`, positive definite, those of a v = w b v (type 1), a b v = w v (2) or b a v = w v (3).  One triangle of
    each is read.  Vectors of equal eigenvalues have no derivative: it is NaN.  `subset_by_value` is refused, since the
    number of results would depend on values; all are computed for `subset_by_index`, too.  Raises LinAlgError if `b` is
    not positive definite.  Cost: two decompositions, one of them SciPy's, for its signs; one more and some products for
    each derivative.  (Giles 2008, section 3.1)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda a: eigh(a)[0][0])(np.diag([1.0, 2.0]))
    array([[1., 0.],
           [0., 0.]])
    """
    if subset_by_value is not None:
        raise NoRuleError(
            f"eigh: the number of eigenvalues between two values varies{user_line()}; use subset_by_index"
        )
    if type not in (1, 2, 3):
        raise ValueError('"type" keyword only accepts 1, 2, and 3.')
    a = _matrix("eigh", a)
    square("eigh", a)
    back: Callable[[Any], Any] | None = None
    inner, uplo, given = a, "L" if lower else "U", a
    if b is not None:
        a, b = arrays(a, b)
        square("eigh", b)
        (inner, back), uplo, given = _reduced(a, b, lower, type), "L", b
    first, last = (0, np.shape(a)[-1] - 1) if subset_by_index is None else subset_by_index
    if subset_by_index is not None and not 0 <= first <= last < np.shape(a)[-1]:
        raise ValueError(f"eigh: the indices {first} to {last} are not those of eigenvalues{user_line()}")
    chosen = slice(int(first), int(last) + 1)
    if eigvals_only:
        return np.linalg.eigvalsh(inner, uplo)[..., chosen]
    values, vectors = np.linalg.eigh(inner, uplo)
    if back is not None:
        vectors = back(vectors)
    vectors = vectors[..., chosen]
    subset = None if subset_by_index is None else (int(first), int(last))
    options: dict[str, Any] = {"generalised": b is not None, "lower": bool(lower), "type": type, "driver": driver}
    options["subset_by_index"] = subset
    factors = IN_STEP(_normed(vectors), a, given, of="eigh", options=tuple(options.items()))
    return values[..., chosen], vectors * along_columns(factors)


@offered(linalg.eigvalsh)
def eigvalsh(
    a: Any, b: Any = None, *, lower: bool = True, overwrite_a: bool = False, overwrite_b: bool = False, type: int = 1,
    check_finite: bool = True, subset_by_index: Any = None, subset_by_value: Any = None, driver: str | None = None,
) -> Any:  # fmt: skip
    """As `scipy.linalg.eigvalsh`: the eigenvalues that `eigh` returns.  (Giles 2008, section 3.1)

    Cost: one decomposition, and one with vectors for each derivative.

    >>> import numpy as np, dualad
    >>> dualad.jvp(eigvalsh, (np.diag([1.0, 2.0]),), (np.eye(2),))[1]
    array([1., 1.])
    """
    return eigh(a, b, lower=lower, eigvals_only=True, type=type, subset_by_index=subset_by_index,
                subset_by_value=subset_by_value, driver=driver)  # fmt: skip


@offered(linalg.svd)
def svd(
    a: Any, full_matrices: bool = True, compute_uv: bool = True, overwrite_a: bool = False, check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:  # fmt: skip
    """As `scipy.linalg.svd`: (u, s, vh), or s alone, of (..., m, n).

    Of what is not square give `full_matrices=False`: the further vectors are arbitrary, and refused.  Vectors of equal
    singular values have no derivative: it is NaN.  Cost: two decompositions, one of them SciPy's, for its signs; one
    more and some products for each derivative.  (Giles 2008, section 3.2)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda a: svd(a, compute_uv=False)[0])(np.diag([1.0, 2.0]))
    array([[0., 0.],
           [0., 1.]])
    """
    a = _matrix("svd", a)
    if not compute_uv:
        return np.linalg.svd(a, compute_uv=False)
    u, s, vh = np.linalg.svd(a, full_matrices)
    factors = IN_STEP(u, a, a, of="svd", options=(("driver", lapack_driver),))
    return u * along_columns(factors), s, np.expand_dims(np.conjugate(factors), -1) * vh


@offered(linalg.svdvals)
def svdvals(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """As `scipy.linalg.svdvals`: the singular values, in descending order.  (Giles 2008, section 3.2)

    Cost: one decomposition, and one with vectors for each derivative.

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda a: np.sum(svdvals(a)))(np.diag([1.0, 2.0]))
    array([[1., 0.],
           [0., 1.]])
    """
    return np.linalg.svd(_matrix("svdvals", a), compute_uv=False)


@offered(linalg.polar)
def polar(a: Any, side: str = "right") -> tuple[Any, Any]:
    """As `scipy.linalg.polar`: (u, p) with a = u p, or a = p u if `side="left"`, where p is positive semidefinite.

    `a` is (m, n), of full rank, with no fewer rows than columns (no more, for the left side); other shapes are
    refused.  Equal singular values do no harm.  Cost: one singular value decomposition, and a Sylvester equation and a
    solution for each derivative.  (Higham 2008, "Functions of Matrices", sections 8.1 and 8.2)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda a: polar(a)[1][0, 0])(2 * np.eye(2))
    array([[1., 0.],
           [0., 0.]])
    """
    if side not in ("right", "left"):
        raise ValueError("`side` must be either 'right' or 'left'")
    a = _matrix("polar", a)
    if side == "left":
        u, p = polar(adjoint_of(a))
        return adjoint_of(u), p
    if np.shape(a)[-2] < np.shape(a)[-1]:
        raise NoRuleError(
            f"polar: a matrix of shape {np.shape(a)} has no inverse of p{user_line()}; take the other side"
        )
    p = POLAR_FACTOR(a)
    return adjoint_of(np.linalg.solve(p, adjoint_of(a))), p


# --- numbers and inverses ---------------------------------------------------------------------------------------------


@offered(linalg.det)
def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Any:
    """As `scipy.linalg.det`: the determinant of each square matrix, singular ones too.  (Giles 2008, section 2.2.4)

    Cost: one factorisation, and one for each derivative.

    >>> import numpy as np, reversead
    >>> reversead.grad(det)(np.array([[1.0, 2.0], [2.0, 4.0]])).round(6)
    array([[ 4., -2.],
           [-2.,  1.]])
    """
    a = _in_double(_matrix("det", a))  # as SciPy does
    square("det", a)
    return np.linalg.det(a)


def _cutoff(a: Any, atol: Any, rtol: Any) -> float:
    """Below which part of the largest singular value SciPy takes one for zero."""
    if atol is not None and atol:
        raise NoRuleError(f"pinv: an absolute tolerance has no rule{user_line()}; give rtol")
    return float(max(np.shape(a)[-2:]) * np.finfo(a.dtype).eps if rtol is None else rtol)


@offered(linalg.pinv)
def pinv(a: Any, *, atol: Any = None, rtol: Any = None, return_rank: bool = False, check_finite: bool = True) -> Any:
    """As `scipy.linalg.pinv`: the pseudoinverse of each matrix, among matrices of one rank.

    Singular values up to `rtol` times the largest count as zero; `atol` is refused, and so is a traced rank.  Cost: one
    singular value decomposition, and products for each derivative.  (Golub & Pereyra 1973, "The differentiation of
    pseudo-inverses and nonlinear least squares problems whose variables separate")

    >>> import numpy as np, dualad
    >>> dualad.jvp(pinv, (np.array([[2.0], [0.0]]),), (np.array([[0.0], [1.0]]),))[1]
    array([[0.  , 0.25]])
    """
    a = _matrix("pinv", a)
    found = np.linalg.pinv(a, _cutoff(a, atol, rtol))
    return (found, np.linalg.matrix_rank(a, rtol=_cutoff(a, atol, rtol))) if return_rank else found


@offered(linalg.lstsq)
def lstsq(
    a: Any, b: Any, cond: Any = None, overwrite_a: bool = False, overwrite_b: bool = False, check_finite: bool = True,
    lapack_driver: str | None = None,
) -> Any:  # fmt: skip
    """As `scipy.linalg.lstsq`: (x, residues, rank, s) of the least squares problem, among matrices of one rank.

    `a` is (m, n), `b` is (m,) or (m, k).  Where columns are dependent, there are no residues, or NaNs from SciPy 1.18,
    as in SciPy's own; those of complex equations are real numbers.  Cost: one singular value decomposition, and one
    pseudoinverse for each derivative.  (Golub & Pereyra 1973)

    >>> import numpy as np, reversead
    >>> a = np.array([[1.0], [1.0]])
    >>> reversead.grad(lambda b: lstsq(a, b)[0][0])(np.array([1.0, 3.0]))
    array([0.5, 0.5])
    """
    a, b = arrays(a, b)
    cond = np.finfo(a.dtype).eps if cond is None else cond
    x, residues, rank, values = np.linalg.lstsq(a, b, cond)
    if _has_residues_of_any_rank():
        rows, columns = np.shape(a)
        if rank < columns < rows:
            residues = np.full(np.shape(b)[1:], np.nan, values.dtype)
        elif columns < rows:
            residues = np.reshape(residues, np.shape(b)[1:])
    elif np.ndim(b) == 1 and np.shape(residues)[0]:
        residues = residues[0]
    return x, residues, rank, values


@cache
def _has_residues_of_any_rank() -> bool:
    """Whether this SciPy's `lstsq` gives NaN for the residue of dependent columns, as an array of no axes."""
    return np.ndim(linalg.lstsq(np.zeros((2, 1)), np.zeros(2))[1]) == 0


@offered(linalg.norm)
def norm(a: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, check_finite: bool = True) -> Any:
    """As `scipy.linalg.norm`: the norm of a matrix or a vector, of every order.

    The derivative is zero where all is zero, the least subgradient.  Cost: for the orders 2, -2 and "nuc" of matrices a
    singular value decomposition, otherwise one operation an element.  (Giles 2008, section 3.3)

    >>> import numpy as np, reversead
    >>> reversead.grad(norm)(np.array([3.0, 4.0]))
    array([0.6, 0.8])
    """
    return np.linalg.norm(arrays(a)[0], ord, axis, keepdims)


__all__ = [
    "cholesky", "det", "eigh", "eigvalsh", "lstsq", "lu", "lu_factor", "norm", "pinv", "polar", "qr", "svd", "svdvals",
]  # fmt: skip
