"""Matrices that are made of others: Toeplitz, Hankel, circulant, block diagonal, Khatri-Rao.

They move elements, so each derivative is a move or a sum of elements.  Shapes and defaults are SciPy's.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.rules.indexing import assembled
from shared.rules.matrices import conjugate_of
from shared.scipy.offering import offered, required

linalg = required("scipy.linalg")


def _vector(values: Any) -> Any:
    return np.ravel(assembled(values))


@offered(linalg.toeplitz)
def toeplitz(c: Any, r: Any = None) -> Any:
    """As `scipy.linalg.toeplitz`, of vectors: the matrix of which the first column and row are c and r.

    Without `r` it is the conjugate of `c`; the first element of `r` is not read.  Cost: one move of each element, and
    one addition for each backwards.  (Golub & Van Loan 2013, section 4.7)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda c: np.sum(toeplitz(c) * np.array([[1.0, 2.0], [3.0, 4.0]])))(np.array([1.0, 1.0]))
    array([5., 5.])
    """
    c = _vector(c)
    r = conjugate_of(c) if r is None else _vector(r)
    rows, columns = np.shape(c)[0], np.shape(r)[0]
    values = np.concatenate([c[::-1], r[1:]])
    return values[rows - 1 - np.arange(rows)[:, None] + np.arange(columns)]


@offered(linalg.hankel)
def hankel(c: Any, r: Any = None) -> Any:
    """As `scipy.linalg.hankel`, of vectors: constant along antidiagonals, with the first column c and the last row r.

    Without `r` it is zero; its first element is not read.  Cost: one move of each element.
    (Golub & Van Loan 2013, section 4.7)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda c: np.sum(hankel(c)))(np.array([1.0, 1.0, 1.0]))
    array([1., 2., 3.])
    """
    c = _vector(c)
    r = np.zeros_like(c) if r is None else _vector(r)
    rows, columns = np.shape(c)[0], np.shape(r)[0]
    return np.concatenate([c, r[1:]])[np.arange(rows)[:, None] + np.arange(columns)]


@offered(linalg.circulant)
def circulant(c: Any) -> Any:
    """As `scipy.linalg.circulant`: the matrix of which each column is the one before, moved down by one.

    `c` is (..., n), the result (..., n, n).  Cost: one move of each element.  (Golub & Van Loan 2013, section 4.8)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda c: np.sum(circulant(c) * np.array([[1.0, 2.0], [3.0, 4.0]])))(np.array([1.0, 1.0]))
    array([5., 5.])
    """
    c = assembled(c)
    places = np.arange(np.shape(c)[-1])
    return c[..., (places[:, None] - places) % max(len(places), 1)]


@offered(linalg.block_diag)
def block_diag(*arrs: Any) -> Any:
    """As `scipy.linalg.block_diag`: the matrices along the diagonal of one, and zeros beside them.

    A vector is a matrix of one row.  Cost: one move of each element.

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda a: np.sum(block_diag(a, 2 * a)))(np.ones((1, 2)))
    array([[3., 3.]])
    """
    blocks = [np.atleast_2d(assembled(block)) for block in arrs]
    dtype = np.result_type(*[block.dtype for block in blocks])
    total, start, rows = sum(np.shape(block)[-1] for block in blocks), 0, []
    for block in blocks:
        columns = np.shape(block)[-1]
        widths = [*[(0, 0)] * (np.ndim(block) - 1), (start, total - start - columns)]
        rows.append(np.pad(block if block.dtype == dtype else block.astype(dtype), widths))
        start += columns
    stack = np.broadcast_shapes(*[np.shape(row)[:-2] for row in rows])
    return np.concatenate([np.broadcast_to(row, stack + np.shape(row)[-2:]) for row in rows], axis=-2)


@offered(linalg.khatri_rao)
def khatri_rao(a: Any, b: Any) -> Any:
    """As `scipy.linalg.khatri_rao`: the Kronecker product of each column of `a` with the same column of `b`.

    `a` is (..., n, k), `b` is (..., m, k), the result (..., n m, k).  Raises ValueError for other columns.  Cost: one
    product for each element.  (Golub & Van Loan 2013, section 12.3)

    >>> import numpy as np, dualad
    >>> dualad.jvp(khatri_rao, (np.eye(2), np.ones((1, 2))), (np.eye(2), np.zeros((1, 2))))[1]
    array([[1., 0.],
           [0., 1.]])
    """
    a, b = assembled(a), assembled(b)
    if np.ndim(a) < 2 or np.ndim(b) < 2 or np.shape(a)[-1] != np.shape(b)[-1]:
        raise ValueError("The number of columns for both arrays should be equal.")
    products = np.expand_dims(a, -2) * np.expand_dims(b, -3)
    shape = np.shape(products)
    return np.reshape(products, (*shape[:-3], shape[-3] * shape[-2], shape[-1]))


__all__ = ["block_diag", "circulant", "hankel", "khatri_rao", "toeplitz"]
