"""Solutions with sparse matrices, of which the right-hand side, the nonzeros or both may be traced.

SuperLU factors the matrix once; the value and all derivatives are solutions with these factors.  The cotangent of the
nonzeros is taken at their places alone.  Formulas: Giles 2008, "Collected matrix derivative results for forward and
reverse mode algorithmic differentiation", section 2.3.1, of which the rows and columns without nonzeros are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shared.core.duck_array import DuckArray
from shared.core.edges import Like, fit
from shared.core.errors import user_line
from shared.core.facets import Count, size_of
from shared.core.primitive import Primitive
from shared.core.registry import rule
from shared.rules.sparse_products import SPARSE_PRODUCT, SparseArray, at_nonzeros, of_examples, parts_of
from shared.scipy.offering import is_traced, required

sparse_linalg = required("scipy.sparse.linalg")


def _sparse_solution(x: Any, y: Any, *, pattern: Any, transposed: bool) -> Any:
    dtype = np.result_type(x, np.float32) if x.dtype.kind in "fc" else np.dtype(np.float64)
    try:
        factors = pattern.factors(x.astype(dtype))
    except RuntimeError as error:
        if "singular" not in str(error):
            raise
        raise np.linalg.LinAlgError(f"the sparse matrix is singular{user_line()}") from None
    trans = "N" if transposed else "T"
    if y.dtype.kind == "c" and dtype.kind != "c":
        # SuperLU's factors are of one type.
        return factors.solve(y.real.astype(dtype), trans) + 1j * factors.solve(y.imag.astype(dtype), trans)
    return factors.solve(y.astype(dtype), trans)


def _of_data(c: Any, out: Any, x: Any, y: Any, *, pattern: Any, transposed: bool) -> Any:
    solved = SPARSE_SOLUTION(x, c, pattern=pattern, transposed=not transposed)
    return fit(-at_nonzeros(solved, out, pattern, transposed), Like(x))


def _along_data(t: Any, out: Any, x: Any, *, pattern: Any, transposed: bool) -> Any:
    moved = SPARSE_PRODUCT(t, out, pattern=pattern, transposed=transposed)
    return -SPARSE_SOLUTION(x, moved, pattern=pattern, transposed=transposed)


def _counted(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    # The fill is not known beforehand: as much as the nonzeros, as it is of a band that is full.
    columns = 1 if len(out.shape) == 1 else out.shape[1]
    return size_of(operands[0]) * columns * Count(2, 2) + size_of(out) * Count(divide=1)


#: The solution by a sparse matrix of the nonzeros x, transposed if `transposed`; y has one axis or two.
SPARSE_SOLUTION: Primitive = rule(
    _sparse_solution,
    vjps=(
        _of_data,
        lambda c, x, y, *, pattern, transposed: fit(
            SPARSE_SOLUTION(x, c, pattern=pattern, transposed=not transposed), Like(y)
        ),
    ),
    jvps=(
        _along_data,
        lambda t, x, *, pattern, transposed: SPARSE_SOLUTION(x, t, pattern=pattern, transposed=transposed),
    ),
    because="linear in the right-hand side only",
    count=_counted,
    batch=of_examples,
    dependence="sparse solution",
    linear=(1,),
)


class Factored:
    """What `splu` returns of a matrix: `solve(b)`, with the factors that are computed once."""

    def __init__(self, A: Any):
        self.data, self.pattern, self.transposed = parts_of(A)
        self.shape = A.shape
        if self.shape[0] != self.shape[1]:
            raise ValueError(f"splu: a matrix of shape {self.shape} is not square{user_line()}")
        if not isinstance(self.data, DuckArray):
            self.data = np.array(self.data)  # the user may change the matrix
            _sparse_solution(self.data, np.zeros(self.shape[0]), pattern=self.pattern, transposed=self.transposed)

    def solve(self, b: Any, trans: str = "N") -> Any:
        """The solution x of A x = b, of Aᵀ x = b if `trans="T"`, or of Aᴴ x = b if "H"; b has one axis or two.

        >>> import numpy as np, reversead, scipy.sparse
        >>> factors = splu(scipy.sparse.csc_array(np.array([[2.0, 1.0], [0.0, 4.0]])))
        >>> reversead.grad(lambda b: np.sum(factors.solve(b, "T")))(np.ones(2))
        array([0.375, 0.25 ])
        """
        if trans not in ("N", "T", "H"):
            raise ValueError("trans must be N, T, or H")
        if not isinstance(b, DuckArray):
            b = np.asarray(b)
        if np.ndim(b) not in (1, 2) or np.shape(b)[0] != self.shape[0]:
            raise ValueError(
                f"solve: b has the shape {np.shape(b)}, beside a matrix of shape {self.shape}{user_line()}"
            )
        b = np.conjugate(b) if trans == "H" else b
        transposed = self.transposed != (trans != "N")
        found = SPARSE_SOLUTION(self.data, b, pattern=self.pattern, transposed=transposed)
        return np.conjugate(found) if trans == "H" else found


def splu(A: Any, *args: Any, **kwargs: Any) -> Any:
    """The factors of a square sparse matrix, whose `solve(b)` has derivatives in b, and in the nonzeros of `with_data`.

    `A` is a sparse matrix of SciPy's in any format, or of `shared.scipy.sparse.with_data`.  SciPy's further options are
    refused.  Raises LinAlgError for a singular matrix.  Cost: one factorisation; one solution with its factors for the
    value and for each derivative.  (Giles 2008, section 2.3.1)

    >>> import numpy as np, reversead, scipy.sparse
    >>> A = scipy.sparse.csc_array(np.array([[2.0, 1.0], [0.0, 4.0]]))
    >>> reversead.grad(lambda b: splu(A).solve(b)[0])(np.ones(2))
    array([ 0.5  , -0.125])
    """
    if args or kwargs:
        raise TypeError(f"splu: the options of SciPy's are not taken{user_line()}; call scipy.sparse.linalg.splu")
    return Factored(A)


def factorized(A: Any) -> Callable[[Any], Any]:
    """`splu(A).solve`: the function that solves with a sparse matrix.

    Cost: that of `splu`.  (Giles 2008, section 2.3.1)

    >>> import numpy as np, dualad, scipy.sparse
    >>> solve = factorized(scipy.sparse.csc_array(np.array([[2.0, 1.0], [0.0, 4.0]])))
    >>> dualad.jvp(solve, (np.ones(2),), (np.array([0.0, 1.0]),))[1]
    array([-0.125,  0.25 ])
    """
    return Factored(A).solve


def spsolve(A: Any, b: Any, permc_spec: str | None = None, use_umfpack: bool = True) -> Any:
    """As `scipy.sparse.linalg.spsolve`, of a dense b: the solution x of A x = b, with derivatives in b and in A.data.

    `A` is square and sparse, of SciPy's or of `shared.scipy.sparse.with_data`, whose nonzeros may be traced; `b` is
    (n,) or (n, k), dense.  On plain values it is SciPy's own; on traced ones the ordering of SuperLU is its default,
    and a singular matrix raises LinAlgError.  Cost: one factorisation; each derivative one solution with its factors,
    and two operations a nonzero and column.  (Giles 2008, section 2.3.1)

    >>> import numpy as np, reversead, scipy.sparse
    >>> from shared.scipy.sparse import with_data
    >>> A, b = scipy.sparse.csr_array(np.array([[2.0, 1.0], [0.0, 4.0]])), np.array([3.0, 4.0])
    >>> reversead.grad(lambda data: spsolve(with_data(A, data), b)[0])(A.data)
    array([-0.5  , -0.5  ,  0.125])
    """
    if not isinstance(A, SparseArray) and not is_traced(b):
        return sparse_linalg.spsolve(A, b, permc_spec, use_umfpack)
    if not hasattr(A, "tocsr"):
        raise TypeError(f"spsolve: A is no sparse matrix{user_line()}; shared.scipy.linalg.solve takes dense ones")
    if hasattr(b, "tocsr"):
        raise TypeError(f"spsolve: b is sparse{user_line()}; beside traced nonzeros it is dense: b.toarray()")
    factored = Factored(A)
    if np.ndim(b) == 2 and np.shape(b)[1] == 1:
        return factored.solve(np.ravel(b))  # as SciPy does
    return factored.solve(b)


__all__ = ["factorized", "splu", "spsolve"]
