"""Sparse matrices of SciPy's beside traced arrays, and sparse matrices whose nonzeros are traced.

`A @ x`, `x @ A` and `A.dot(x)` of a sparse matrix A and a traced x need nothing from here: they have their derivatives
as they stand, for A constant.  For nonzeros that vary there is `with_data`.  What solves with them is in
`shared.scipy.sparse.linalg`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.core.duck_array import DuckArray
from shared.core.errors import user_line
from shared.rules.sparse_products import Pattern, SparseArray, parts_of, product
from shared.scipy.offering import required

sparse = required("scipy.sparse")


def matmul(a: Any, b: Any) -> Any:
    """The product `a @ b`, of which one is a sparse matrix of SciPy's, or of `with_data`, and the other one is dense.

    The dense one has one axis or two, and may be traced.  Raises ValueError for shapes that do not fit.  Cost: two
    operations a nonzero and column for the value and for each derivative, and no dense matrix.  (Giles 2008, "Collected
    matrix derivative results for forward and reverse mode algorithmic differentiation", section 2.2.2)

    >>> import numpy as np, reversead, scipy.sparse
    >>> A = scipy.sparse.csr_array(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))
    >>> reversead.grad(lambda x: np.sum(matmul(A, x) ** 2))(np.ones(3))
    array([ 6., 18., 12.])
    >>> reversead.grad(lambda x: np.sum((A @ x) ** 2))(np.ones(3))
    array([ 6., 18., 12.])
    """
    traced = [value for value in (a, b) if isinstance(value, (DuckArray, SparseArray))]
    return product(a, b) if traced else a @ b


def with_data(A: Any, data: Any) -> Any:
    """A sparse matrix with the pattern of A and other nonzeros, which may be traced.

    `A` is a sparse matrix of SciPy's in the format CSR, CSC or COO, `data` a vector in the order of `A.data`.  The
    result takes part in products (`@`, `dot`, `T`, `toarray`), and `shared.scipy.sparse.linalg` solves with it; the
    cotangent of `data` is a vector of the nonzeros alone.  Of plain `data` it is SciPy's sparse array.  Raises
    ValueError for another format, another number of nonzeros, or a place that occurs twice in COO.  Cost: none.

    >>> import numpy as np, reversead, scipy.sparse
    >>> A = scipy.sparse.csr_array(np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 0.0]]))
    >>> reversead.grad(lambda data: np.sum(with_data(A, data) @ np.array([1.0, 2.0, 3.0])))(A.data)
    array([1., 3., 2.])
    """
    if A.format not in ("csr", "csc", "coo"):
        raise ValueError(
            f"with_data: the format is {A.format!r}, of which nonzeros may be zero{user_line()}; A.tocsr()"
        )
    shape = np.shape(data)
    if shape != np.shape(A.data):
        raise ValueError(f"with_data: A has {A.data.size} nonzeros, and data the shape {shape}{user_line()}")
    if A.format == "coo":
        places = sparse.coo_array((np.arange(A.data.size), (A.coords[0], A.coords[1])), shape=A.shape).tocsr()
        if places.nnz != A.data.size or not A.data.size == len(np.unique(places.data)):
            raise ValueError(f"with_data: a place occurs twice{user_line()}; A.sum_duplicates() first")
        pattern, transposed = Pattern(places.indices, places.indptr, A.shape), False
        data = data[places.data]
    else:
        _, pattern, transposed = parts_of(A)
    if isinstance(data, DuckArray):
        return SparseArray(data, pattern, transposed)
    return pattern.matrix(np.asarray(data), transposed, copy=True)


__all__ = ["matmul", "with_data"]
