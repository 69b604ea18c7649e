"""Linear systems: dense, triangular, with factors that are given, banded, Toeplitz and circulant.

On plain arrays each function is SciPy's own.  On traced values `overwrite_a`, `overwrite_b` and `check_finite` have no
effect: nothing is overwritten, and what is not finite gives what LAPACK gives.  Formulas: Giles 2008, "Collected matrix
derivative results for forward and reverse mode algorithmic differentiation", section 2.3.1: x = A⁻¹b has the derivative
A⁻¹(db - dA x) and the cotangents A⁻ᵀc and -A⁻ᵀc xᵀ, which are solutions with the same factors.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from shared.core.errors import NoRuleError, user_line
from shared.core.facets import each_matrix
from shared.core.registry import internal_constant
from shared.rules.matrices import conjugate_of, transposed
from shared.scipy.linalg.primitives import FACTOR, SOLVED, TRIANGULAR
from shared.scipy.linalg.stacks import columns_of
from shared.scipy.linalg.structured import toeplitz
from shared.scipy.offering import arrays, offered, required

linalg = required("scipy.linalg")

#: The structures of `solve`, by all their names.
_STRUCTURES = {
    None: "general", "gen": "general", "general": "general", "banded": "general",
    "sym": "symmetric", "symmetric": "symmetric", "her": "hermitian", "hermitian": "hermitian",
    "pos": "positive", "positive definite": "positive",
    "diagonal": "diagonal", "tridiagonal": "tridiagonal",
    "upper triangular": "upper", "lower triangular": "lower",
}  # fmt: skip

_TRANSPOSED: dict[Any, int] = {0: 0, "N": 0, 1: 1, "T": 1, 2: 2, "C": 2}


def _operation(trans: Any) -> int:
    if trans not in _TRANSPOSED:
        raise ValueError(f"trans is one of {', '.join(map(repr, _TRANSPOSED))}; not {trans!r}")
    return _TRANSPOSED[trans]


def mirrored(a: Any, lower: bool, conjugate: bool = True) -> Any:
    """The symmetric or Hermitian matrix that a triangle stands for."""
    strict, diagonal = (np.tril(a, -1), np.tril(a) - np.tril(a, -1)) if lower else (
        np.triu(a, 1), np.triu(a) - np.triu(a, 1))  # fmt: skip
    if not conjugate:
        return strict + diagonal + transposed(strict)
    real = np.real(diagonal).astype(a.dtype) if np.iscomplexobj(a) else diagonal
    return strict + real + transposed(conjugate_of(strict))


def with_factor(a: Any, b: Any, kind: str = "general", trans: int = 0, below: int = 0) -> Any:
    """The solution, by the factors of `a` that are computed once for it and for all its derivatives."""
    return columns_of(SOLVED, FACTOR(a, kind=kind, below=below), a, b, kind=kind, trans=trans, below=below)


def triangular(a: Any, b: Any, lower: bool, trans: int = 0, unit: bool = False) -> Any:
    """The solution with a triangle of `a`, whose adjoint `trans=2` stands for."""
    # conj(aᴴ x) = aᵀ conj(x)
    b = conjugate_of(b) if trans == 2 else b
    found = columns_of(TRIANGULAR, a, b, lower=bool(lower), unit=bool(unit), trans=int(trans > 0))
    return conjugate_of(found) if trans == 2 else found


def square(name: str, a: Any, b: Any = None) -> None:
    """Refuse what is no square matrix, or no right-hand side of it."""
    shape = np.shape(a)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ValueError(f"{name}: an array of shape {shape} is no square matrix{user_line()}")
    if b is not None and (not np.ndim(b) or np.shape(b)[-1 if np.ndim(b) == 1 else -2] != shape[-1]):
        raise ValueError(f"{name}: shapes {shape} and {np.shape(b)} do not fit each other{user_line()}")


@offered(linalg.solve)
def solve(
    a: Any, b: Any, lower: bool = False, overwrite_a: bool = False, overwrite_b: bool = False,
    check_finite: bool = True, assume_a: str | None = None, transposed: bool = False,
) -> Any:  # fmt: skip
    """As `scipy.linalg.solve`: the solution x of a x = b, for a square matrix and right-hand sides as columns.

    `a` is (..., n, n), `b` is (n,) or (..., n, k), stacks broadcast.  `assume_a` is what SciPy takes; a derivative is
    with respect to what is read of `a`: of "sym", "her" and "pos" one triangle (the lower one if `lower`), of
    "diagonal" and "tridiagonal" these diagonals.  Without it, structure is not looked for on traced values.  Raises
    LinAlgError for a singular matrix, or one that is not positive definite; warns of an ill-conditioned one.

    Cost: one factorisation; each derivative one solution more with the factors.  (Giles 2008, section 2.3.1)

    >>> import numpy as np, reversead
    >>> a, b = np.array([[4.0, 1.0], [2.0, 3.0]]), np.array([1.0, 2.0])
    >>> reversead.grad(lambda b: np.sum(solve(a, b)))(b)
    array([0.1, 0.3])
    >>> reversead.grad(lambda a: np.sum(solve(a, b, assume_a="pos", lower=True)))(a).round(3)
    array([[ 0.016,  0.   ],
           [-0.063, -0.187]])
    """
    if assume_a not in _STRUCTURES:
        raise ValueError(f"{assume_a} is not a recognized matrix structure")
    structure = _STRUCTURES[assume_a]
    a, b = arrays(a, b)
    square("solve", a, b)
    if transposed and np.iscomplexobj(a):
        raise NotImplementedError(
            "scipy.linalg.solve can currently not solve a^T x = b or a^H x = b for complex matrices."
        )
    trans = int(transposed)
    if structure == "diagonal":
        diagonal = np.diagonal(a, 0, -2, -1)
        _refuse_zeros(diagonal)
        return b / (diagonal if np.ndim(b) == 1 else np.expand_dims(diagonal, -1))
    if structure == "tridiagonal":
        return with_factor(_diagonals(a), b, "band", trans, 1)
    if structure in ("upper", "lower"):
        return triangular(a, b, structure == "lower", trans)
    if structure != "general":
        a = mirrored(a, lower, structure != "symmetric")
    return with_factor(a, b, "positive" if structure == "positive" else "general", trans)


def _refuse_zeros(diagonal: Any) -> None:
    if np.any(diagonal == 0):
        raise linalg.LinAlgError(f"the matrix is singular{user_line()}")


def _diagonals(a: Any) -> Any:
    """The three main diagonals, as `solve_banded` takes them."""
    rows = [np.diagonal(a, shift, -2, -1) for shift in (1, 0, -1)]
    widths = [(1, 0), (0, 0), (0, 1)]
    n = np.shape(a)[-1]
    if n == 0:
        return np.zeros((*np.shape(a)[:-2], 3, 0), a.dtype)
    return np.stack(
        [np.pad(row, [*[(0, 0)] * (np.ndim(row) - 1), width]) for row, width in zip(rows, widths, strict=True)], axis=-2
    )


@offered(linalg.inv)
def inv(
    a: Any, overwrite_a: bool = False, check_finite: bool = True, *, assume_a: str | None = None, lower: bool = False
) -> Any:
    """As `scipy.linalg.inv`: the inverse of each square matrix.

    `assume_a` and `lower` are as in `solve`.  Raises LinAlgError for a singular matrix.  Cost: one inversion, and two
    products for each derivative.  (Giles 2008, section 2.2.3)

    >>> import numpy as np, dualad
    >>> dualad.jvp(inv, (np.diag([2.0, 4.0]),), (np.eye(2),))[1]
    array([[-0.25  ,  0.    ],
           [ 0.    , -0.0625]])
    """
    (a,) = arrays(a)
    square("inv", a)
    if assume_a in (None, "gen", "general"):
        return np.linalg.inv(a)
    return solve(a, np.eye(np.shape(a)[-1], dtype=a.dtype), lower=lower, assume_a=assume_a)


@offered(linalg.solve_triangular)
def solve_triangular(
    a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False, overwrite_b: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """As `scipy.linalg.solve_triangular`: the solution with a triangle of `a`, the upper one unless `lower`.

    `trans` is 0 or "N", 1 or "T" for aᵀ, 2 or "C" for its adjoint; with `unit_diagonal` the diagonal is not read.  The
    cotangent of `a` lies in what is read.  Raises LinAlgError for a zero on the diagonal.  Cost: one substitution for
    the value, and one for each derivative.  (Giles 2008, section 2.3.1)

    >>> import numpy as np, reversead
    >>> a, b = np.array([[2.0, 9.0], [1.0, 4.0]]), np.array([2.0, 9.0])
    >>> reversead.grad(lambda a: solve_triangular(a, b, lower=True)[1])(a)
    array([[ 0.125, -0.   ],
           [-0.25 , -0.5  ]])
    """
    a, b = arrays(a, b)
    square("solve_triangular", a, b)
    return triangular(a, b, lower, _operation(trans), unit_diagonal)


@offered(linalg.cho_factor)
def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Any, Any]:
    """As `scipy.linalg.cho_factor`: the Cholesky factor of each Hermitian matrix, for `cho_solve`, and `lower`.

    One triangle is read, and one has the factor; the other one is that of `a`, or zero from SciPy 1.18 on, as it is in
    SciPy's own.  Raises LinAlgError for a matrix that is not positive definite.  Cost: one factorisation, and two
    triangular solutions with matrices for each derivative.
    (Murray 2016, "Differentiation of the Cholesky decomposition")

    >>> import numpy as np, reversead
    >>> a, b = np.array([[4.0, 0.0], [2.0, 5.0]]), np.array([4.0, 6.0])
    >>> reversead.grad(lambda a: np.sum(cho_solve(cho_factor(a, lower=True), b)))(a)
    array([[-0.09375, -0.     ],
           [-0.25   , -0.125  ]])
    """
    (a,) = arrays(a)
    square("cho_factor", a)
    factor = np.linalg.cholesky(a, upper=not lower)
    if _leaves_the_other_triangle():
        factor = factor + (np.triu(a, 1) if lower else np.tril(a, -1))
    return factor, (np.full(np.shape(a)[:-2], lower) if np.ndim(a) > 2 else lower)


@cache
def _leaves_the_other_triangle() -> bool:
    """Whether this SciPy's `cho_factor` leaves what it does not read as it was."""
    return bool(linalg.cho_factor(np.array([[1.0, 0.5], [0.5, 1.0]]))[0][1, 0])


def _same_triangle(lower: Any) -> bool:
    """Which triangle has the factor; of a batch SciPy says it once for each matrix."""
    if np.size(lower) and np.any(lower) != np.all(lower):
        raise ValueError(f"cho_solve: lower and upper factors in one batch; solve with each kind apart{user_line()}")
    return bool(np.all(lower))


@offered(linalg.cho_solve)
def cho_solve(c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    """As `scipy.linalg.cho_solve`: the solution by the result of `cho_factor`, in both of which it has derivatives.

    Cost: two triangular solutions for the value, and two for each derivative.  (Giles 2008, section 2.3.1)

    >>> import numpy as np, reversead
    >>> factor = cho_factor(np.array([[4.0, 2.0], [2.0, 5.0]]))
    >>> reversead.grad(lambda b: cho_solve(factor, b)[0])(np.ones(2))
    array([ 0.3125, -0.125 ])
    """
    c, b = arrays(c_and_lower[0], b)
    square("cho_solve", c, b)
    lower = _same_triangle(c_and_lower[1])
    return triangular(c, triangular(c, b, lower, 0 if lower else 2), lower, 2 if lower else 0)


@offered(linalg.lu_solve)
def lu_solve(lu_and_piv: Any, b: Any, trans: int = 0, overwrite_b: bool = False, check_finite: bool = True) -> Any:
    """As `scipy.linalg.lu_solve`: the solution by the result of `lu_factor`, in both of which it has derivatives.

    `trans` is 0, 1 for the transposed matrix, or 2 for its adjoint.  Cost: two triangular solutions for the value, and
    two for each derivative.  (Giles 2008, section 2.3.1)

    >>> import numpy as np, reversead
    >>> from shared.scipy.linalg import lu_factor
    >>> a, b = np.array([[1.0, 2.0], [4.0, 4.0]]), np.array([1.0, 2.0])
    >>> reversead.grad(lambda a: np.sum(lu_solve(lu_factor(a), b)))(a)
    array([[ 0.   ,  0.   ],
           [ 0.   , -0.125]])
    """
    lu, pivots = lu_and_piv
    lu, b = arrays(lu, b)
    square("lu_solve", lu, b)
    trans, is_vector = _operation(trans), np.ndim(b) == 1
    b = np.expand_dims(b, -1) if is_vector else b
    order = np.expand_dims(ORDER(pivots), -1)
    stack = np.broadcast_shapes(np.shape(lu)[:-2], np.shape(b)[:-2])
    b = np.broadcast_to(b, stack + np.shape(b)[-2:])
    order = np.broadcast_to(order, stack + np.shape(order)[-2:])
    if trans == 0:
        found = np.take_along_axis(b, order, axis=-2)
        found = triangular(lu, triangular(lu, found, True, 0, True), False)
    else:
        found = triangular(lu, triangular(lu, b, False, trans), True, trans, True)
        found = np.take_along_axis(found, np.argsort(order, axis=-2), axis=-2)
    return found[..., 0] if is_vector else found


def _order(pivots: Any) -> Any:
    """The order of rows that LAPACK's exchanges, one after the other, bring about."""
    pivots = np.asarray(pivots)
    order = np.broadcast_to(np.arange(pivots.shape[-1]), pivots.shape).copy()
    if not order.size:
        return order
    lines, exchanges = order.reshape(-1, order.shape[-1]), pivots.reshape(-1, order.shape[-1]).astype(np.intp)
    for line, exchange in zip(lines, exchanges, strict=True):
        for k, other in enumerate(exchange):
            line[k], line[other] = line[other], line[k]
    return order


ORDER = internal_constant(_order, batch=each_matrix(1))


# --- bands ------------------------------------------------------------------------------------------------------------


@offered(linalg.solve_banded)
def solve_banded(
    l_and_u: Any, ab: Any, b: Any, overwrite_ab: bool = False, overwrite_b: bool = False, check_finite: bool = True
) -> Any:
    """As `scipy.linalg.solve_banded`: the solution with a matrix of which the diagonals in a band are not zero.

    `ab[u + i - j, j]` is the element i, j, for `l` diagonals below the main one and `u` above it.  What of `ab` is not
    read has the cotangent zero; no matrix is made that is not in a band.  Raises LinAlgError for a singular matrix.
    Cost: one factorisation, O(n l (l + u)); O(n (l + u)) more a right-hand side for the value and for each derivative.
    (Giles 2008, section 2.3.1; Golub & Van Loan 2013, section 4.3)

    >>> import numpy as np, reversead
    >>> ab, b = np.array([[0.0, 1.0, 1.0], [4.0, 4.0, 4.0]]), np.array([5.0, 5.0, 4.0])
    >>> reversead.grad(lambda ab: solve_banded((0, 1), ab, b)[0])(ab)
    array([[-0.      , -0.25    ,  0.0625  ],
           [-0.25    ,  0.0625  , -0.015625]])
    """
    below, above = l_and_u
    ab, b = arrays(ab, b)
    _fits_band("solve_banded", ab, b, below + above + 1)
    return with_factor(ab, b, "band", 0, int(below))


def _fits_band(name: str, ab: Any, b: Any, rows: int | None) -> None:
    shape, n = np.shape(ab), np.shape(b)[-1 if np.ndim(b) == 1 else -2] if np.ndim(b) else 0
    if len(shape) < 2 or shape[-1] != n or rows not in (None, shape[-2]):
        wanted = f"({'rows' if rows is None else rows}, {n})"
        raise ValueError(f"{name}: the diagonals have the shape {shape} and not {wanted}{user_line()}")


@offered(linalg.solveh_banded)
def solveh_banded(
    ab: Any, b: Any, overwrite_ab: bool = False, overwrite_b: bool = False, lower: bool = False,
    check_finite: bool = True,
) -> Any:  # fmt: skip
    """As `scipy.linalg.solveh_banded`: the solution with a Hermitian positive definite matrix in a band.

    The rows of `ab` are the diagonals of its upper triangle, the main one last, or, if `lower`, of its lower one, the
    main one first.  Raises LinAlgError for a matrix that is not positive definite.  Cost: one factorisation, O(n u²),
    and O(n u) more a right-hand side for the value and for each derivative.  (Giles 2008, section 2.3.1)

    >>> import numpy as np, reversead
    >>> ab, b = np.array([[4.0, 4.0], [2.0, 0.0]]), np.array([6.0, 6.0])
    >>> reversead.grad(lambda ab: solveh_banded(ab, b, lower=True)[0])(ab).round(4)
    array([[-0.3333,  0.1667],
           [-0.1667,  0.    ]])
    """
    ab, b = arrays(ab, b)
    _fits_band("solveh_banded", ab, b, None)
    return with_factor(_whole_band(ab, lower), b, "positive band", 0, np.shape(ab)[-2] - 1)


def _whole_band(ab: Any, lower: bool) -> Any:
    """All diagonals of the Hermitian matrix of which those of one triangle are given."""
    rows, n = np.shape(ab)[-2:]
    # The diagonal at a distance d from the main one, of the upper triangle at the end of its row, of the lower in front
    given = [ab[..., d if lower else rows - 1 - d, slice(None)] for d in range(rows)]
    given = [row[..., : n - d] if lower else row[..., d:] for d, row in enumerate(given) if d < n]
    main = np.real(given[0]).astype(ab.dtype) if np.iscomplexobj(ab) else given[0]

    def placed(row: Any, before: int, after: int) -> Any:
        return np.pad(row, [*[(0, 0)] * (np.ndim(row) - 1), (before, after)])

    below = [placed(conjugate_of(row) if not lower else row, 0, d) for d, row in enumerate(given) if d]
    above = [placed(conjugate_of(row) if lower else row, d, 0) for d, row in enumerate(given) if d]
    empty = [np.zeros_like(main)] * (rows - len(given))
    return np.stack([*empty, *reversed(above), main, *below, *empty], axis=-2)


# --- matrices that a vector determines --------------------------------------------------------------------------------


@offered(linalg.solve_toeplitz)
def solve_toeplitz(c_or_cr: Any, b: Any, check_finite: bool = True) -> Any:
    """As `scipy.linalg.solve_toeplitz`: the solution with the Toeplitz matrix of a first column, or of (c, r).

    On traced values the matrix is made and factored, O(n³), where SciPy takes O(n²).  Raises LinAlgError for a singular
    matrix.  (Giles 2008, section 2.3.1)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda c: solve_toeplitz(c, np.ones(2))[0])(np.array([3.0, 1.0]))
    array([-0.0625, -0.0625])
    """
    c, r = c_or_cr if isinstance(c_or_cr, tuple) else (c_or_cr, conjugate_of(c_or_cr))
    if np.ndim(b) > 2:
        raise NoRuleError(f"solve_toeplitz: give b one or two axes, not {np.ndim(b)}{user_line()}")
    a, b = arrays(toeplitz(c, r), b)
    square("solve_toeplitz", a, b)
    return with_factor(a, b)


@offered(linalg.solve_circulant)
def solve_circulant(
    c: Any, b: Any, singular: str = "raise", tol: Any = None, caxis: int = -1, baxis: int = 0, outaxis: int = 0
) -> Any:
    """As `scipy.linalg.solve_circulant`, with `singular="raise"`: the solution with the circulant matrix of a vector.

    `c` is (n,), `b` has n elements along its first axis; other axes are refused.  Raises LinAlgError for a matrix that
    is singular to `tol`.  Cost: three transforms, O(n log n), and as many for each derivative.
    (Golub & Van Loan 2013, section 4.8)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda c: solve_circulant(c, np.ones(2))[0])(np.array([3.0, 1.0]))
    array([-0.0625, -0.0625])
    """
    if np.ndim(c) != 1 or baxis or outaxis or singular != "raise":
        raise NoRuleError(f"solve_circulant: c has one axis, b and the result the first, singular='raise'{user_line()}")
    c, b = arrays(c, b)
    if not np.ndim(b) or np.shape(b)[0] != np.shape(c)[0]:
        raise ValueError(f"solve_circulant: shapes {np.shape(c)} and {np.shape(b)} do not fit each other{user_line()}")
    eigenvalues = np.fft.fft(c)
    sizes = np.abs(eigenvalues)
    if tol is None:
        tol = np.max(sizes) * np.shape(c)[0] * np.finfo(c.dtype).eps
    if np.any(sizes <= tol):
        raise linalg.LinAlgError(f"the circulant matrix is singular{user_line()}")
    found = np.fft.ifft(np.fft.fft(b, axis=0) / np.reshape(eigenvalues, (-1,) + (1,) * (np.ndim(b) - 1)), axis=0)
    return found if np.iscomplexobj(c) or np.iscomplexobj(b) else np.real(found)


__all__ = [
    "cho_factor", "cho_solve", "inv", "lu_solve", "solve", "solve_banded", "solve_circulant", "solve_toeplitz",
    "solve_triangular", "solveh_banded",
]  # fmt: skip
