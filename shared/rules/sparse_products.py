"""Products of SciPy's sparse matrices with traced arrays, and the pattern of a sparse matrix, whose nonzeros may vary.

A product is bilinear in the nonzeros and in the dense array; the cotangent of the nonzeros is taken at their places
alone, and no dense matrix is ever made.  Loaded when a traced array first meets a sparse matrix.  It knows a sparse
matrix by its attributes, and SciPy only where it computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.duck_array import DuckArray
from shared.core.edges import fit
from shared.core.errors import user_line
from shared.core.facets import Count, size_of
from shared.core.primitive import Primitive
from shared.core.registry import multilinear


class Pattern:
    """Where the nonzeros of a sparse matrix are, row by row (the CSR format)."""

    def __init__(self, indices: np.ndarray, indptr: np.ndarray, shape: tuple[int, int]):
        # The user's matrix may be sorted in place.
        self.indices = np.array(indices)
        self.indptr = np.array(indptr)
        self.shape = shape
        self._rows: np.ndarray | None = None
        self._factored: tuple[bytes, Any] | None = None

    @property
    def rows(self) -> np.ndarray:
        """The row of each nonzero."""
        if self._rows is None:
            self._rows = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
        return self._rows

    def matrix(self, data: Any, transposed: bool = False, copy: bool = False) -> Any:
        """SciPy's sparse array of these nonzeros; what changes it in place, as sorting does, has to be given a copy."""
        from scipy.sparse import csc_array, csr_array

        kind, shape = (csc_array, self.shape[::-1]) if transposed else (csr_array, self.shape)
        return kind((data, self.indices, self.indptr), shape=shape, copy=copy)

    def repeated(self, times: int) -> Pattern:
        """The pattern of a matrix with so many blocks of this one along its diagonal."""
        rows, columns = self.shape
        blocks = np.arange(times)[:, None]
        indices = (self.indices + blocks * columns).reshape(-1)
        ends = (self.indptr[1:] + blocks * self.indices.size).reshape(-1)
        return Pattern(indices, np.concatenate([self.indptr[:1], ends]), (times * rows, times * columns))

    def factors(self, data: np.ndarray) -> Any:
        """SuperLU's factors of the transposed matrix, which is in the format that it takes.

        Those of the last nonzeros are kept, so that a derivative finds the factors of its value.
        """
        from hashlib import blake2b

        from scipy.sparse.linalg import splu

        key = blake2b(np.ascontiguousarray(data).tobytes() + data.dtype.str.encode()).digest()
        known = self._factored
        if known is None or known[0] != key:
            self._factored = known = key, splu(self.matrix(data, transposed=True, copy=True))
        return known[1]

    def __reduce__(self) -> Any:
        return Pattern, (self.indices, self.indptr, self.shape)

    def __repr__(self) -> str:
        return f"<pattern {self.shape[0]} x {self.shape[1]}, {self.indices.size} nonzeros>"


def _sparse_product(x: Any, y: Any, *, pattern: Any, transposed: bool) -> Any:
    if isinstance(x, DuckArray) or isinstance(y, DuckArray):
        return SPARSE_PRODUCT(x, y, pattern=pattern, transposed=transposed)
    return np.asarray(pattern.matrix(x, transposed) @ y)


def at_nonzeros(left: Any, right: Any, pattern: Any, transposed: bool) -> Any:
    """The elements of left rightᵀ at the places of the nonzeros."""
    if transposed:
        left, right = right, left
    products = np.take(left, pattern.rows, axis=0) * np.take(right, pattern.indices, axis=0)
    return products if np.ndim(products) == 1 else np.sum(products, axis=-1)


def _product_counted(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    columns = 1 if len(out.shape) == 1 else out.shape[1]
    return size_of(operands[0]) * columns * Count(1, 1)


def of_examples(
    primitive: Any, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]
) -> Any:
    """The batch rule: examples are columns of one array, or, where their nonzeros differ, blocks of one matrix."""
    (x, y), (first, second) = values, batched
    if not first:
        columns = np.moveaxis(y, 0, -1)
        found = primitive(x, np.reshape(columns, (np.shape(columns)[0], -1)), **static)
        return np.moveaxis(np.reshape(found, (np.shape(found)[0], *np.shape(columns)[1:])), -1, 0)
    y = y if second else np.broadcast_to(y, (size, *np.shape(y)))
    pattern = static["pattern"].repeated(size)
    found = primitive(np.ravel(x), np.reshape(y, (-1, *np.shape(y)[2:])), **{**static, "pattern": pattern})
    return np.reshape(found, (size, -1, *np.shape(y)[2:]))


SPARSE_PRODUCT: Primitive = multilinear(
    _sparse_product,
    lambda c, x, y, *, pattern, transposed: fit(at_nonzeros(c, y, pattern, transposed), x),
    lambda c, x, y, *, pattern, transposed: fit(SPARSE_PRODUCT(x, c, pattern=pattern, transposed=not transposed), y),
    count=_product_counted,
    batch=of_examples,
    dependence="sparse product",
)


def is_sparse(value: Any) -> bool:
    return hasattr(value, "tocsr") and not isinstance(value, (np.ndarray, DuckArray))


def parts_of(matrix: Any) -> tuple[Any, Pattern, bool]:
    """The nonzeros of a sparse matrix, their pattern, and whether that is of the transposed matrix."""
    if hasattr(matrix, "pattern"):
        return matrix.data, matrix.pattern, matrix.transposed
    if matrix.ndim != 2:
        raise ValueError(f"a sparse array of {matrix.ndim} axes is no matrix{user_line()}")
    if matrix.format == "csc":
        rows, columns = matrix.shape
        return matrix.data, Pattern(matrix.indices, matrix.indptr, (columns, rows)), True
    matrix = matrix.tocsr()
    return matrix.data, Pattern(matrix.indices, matrix.indptr, matrix.shape), False


def product(left: Any, right: Any) -> Any:
    """`left @ right`, of which one is sparse and the other one a traced or plain array of one axis or two."""
    from_left = is_sparse(left)
    matrix, dense = (left, right) if from_left else (right, left)
    data, pattern, transposed = parts_of(matrix)
    # x A = (Aᵀ xᵀ)ᵀ
    if not from_left:
        dense, transposed = np.transpose(dense), not transposed
    needed = pattern.shape[0 if transposed else 1]
    if np.ndim(dense) not in (1, 2) or np.shape(dense)[0] != needed:
        raise ValueError(
            f"matmul: shapes {np.shape(left)} and {np.shape(right)} do not fit each other{user_line()}; beside a "
            "sparse matrix an array has one axis or two"
        )
    found = SPARSE_PRODUCT(data, dense, pattern=pattern, transposed=transposed)
    return found if from_left else np.transpose(found)


class SparseArray:
    """A sparse matrix whose nonzeros may be traced: `data`, in the order of those of the matrix it was made of.

    `A @ x`, `x @ A`, `A.dot(x)`, `A.T` and `A.toarray()` are those of SciPy's; `spsolve` and `splu` take it.
    """

    __array_ufunc__ = None
    ndim = 2

    def __init__(self, data: Any, pattern: Pattern, transposed: bool = False):
        self.data = data
        self.pattern = pattern
        self.transposed = transposed

    @property
    def shape(self) -> tuple[int, int]:
        rows, columns = self.pattern.shape
        return (columns, rows) if self.transposed else (rows, columns)

    @property
    def dtype(self) -> Any:
        return self.data.dtype

    @property
    def T(self) -> SparseArray:
        return SparseArray(self.data, self.pattern, not self.transposed)

    def tocsr(self) -> SparseArray:
        return self

    def __matmul__(self, other: Any) -> Any:
        return product(self, other)

    def __rmatmul__(self, other: Any) -> Any:
        return product(other, self)

    dot = __matmul__

    def toarray(self) -> Any:
        return product(self, np.eye(self.shape[1], dtype=self.dtype))

    def __repr__(self) -> str:
        rows, columns = self.shape
        return f"<sparse array {rows} x {columns}, {self.pattern.indices.size} nonzeros {self.data!r}>"
