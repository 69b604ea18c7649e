"""Sparsity patterns: which entries of a matrix may be nonzero, and matrices made of the values of these entries.

A `Pattern` is what detection (`shared.sparse.sparsity`) finds, what a user may give, and what colouring
(`shared.sparse.colouring`) starts from.  This module knows matrices, and nothing of derivatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.calling.results import stop_gradient
from shared.core.errors import LeafTypeError, ShapeError, user_line
from shared.core.levels import Tracer
from shared.core.visible import kind_of, shown
from shared.sparse.relation import unique


class Pattern:
    """The places where a matrix may be nonzero: `rows[k], columns[k]` of entry k, in the order of rows, then columns.

    It cannot be changed.  `a | b` has the entries of both; two patterns are equal if their shapes and entries are.
    Index arrays of any integer type are taken; an entry that is named twice counts once.

    >>> pattern = Pattern([1, 0, 1], [1, 0, 0], (2, 3))
    >>> pattern
    <pattern 2 x 3, 3 nonzeros>
    >>> pattern.rows, pattern.columns
    (array([0, 1, 1]), array([0, 0, 1]))
    """

    __slots__ = ("columns", "rows", "shape")
    rows: np.ndarray
    columns: np.ndarray
    shape: tuple[int, int]

    def __init__(self, rows: Any, columns: Any, shape: Sequence[int]):
        checked = _checked_shape(shape)
        first, second = _indices("rows", rows, checked[0]), _indices("columns", columns, checked[1])
        if first.shape != second.shape:
            raise ShapeError(
                f"pattern: {first.size} row indices but {second.size} column indices{user_line()}; give one of each "
                "for every entry"
            )
        self._set(unique(first * checked[1] + second), checked)

    def _set(self, keys: np.ndarray, shape: tuple[int, int]) -> None:
        rows, columns = np.divmod(keys, max(shape[1], 1))
        for array in (rows, columns):
            array.flags.writeable = False
        for name, value in (("rows", rows), ("columns", columns), ("shape", shape)):
            object.__setattr__(self, name, value)

    @classmethod
    def of_keys(cls, keys: np.ndarray, shape: tuple[int, int]) -> Pattern:
        """The pattern of entries numbered `row * shape[1] + column`, which must ascend."""
        made = cls.__new__(cls)
        made._set(keys, shape)
        return made

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a pattern cannot be changed; make another")

    @property
    def nnz(self) -> int:
        """The number of entries that may be nonzero."""
        return int(self.rows.size)

    @property
    def keys(self) -> np.ndarray:
        """The entries as numbers `row * shape[1] + column`, which ascend."""
        keys: np.ndarray = self.rows * self.shape[1] + self.columns
        return keys

    def transpose(self) -> Pattern:
        """The pattern of the transposed matrix.

        >>> Pattern([0, 0], [1, 2], (1, 3)).transpose()
        <pattern 3 x 1, 2 nonzeros>
        """
        return Pattern(self.columns, self.rows, self.shape[::-1])

    def symmetrised(self) -> Pattern:
        """This pattern together with its transpose, which is what a symmetric matrix needs; it must be square."""
        if self.shape[0] != self.shape[1]:
            raise ShapeError(f"{self!r} is not square{user_line()}, so it cannot be that of a symmetric matrix")
        transposed = self.transpose()
        return self if self == transposed else self | transposed

    def to_dense(self) -> np.ndarray:
        """The pattern as a matrix of booleans.

        >>> Pattern([0, 1], [1, 0], (2, 2)).to_dense()
        array([[False,  True],
               [ True, False]])
        """
        dense = np.zeros(self.shape, bool)
        dense[self.rows, self.columns] = True
        return dense

    def __or__(self, other: Any) -> Pattern:
        if not isinstance(other, Pattern):
            return NotImplemented
        if self.shape != other.shape:
            raise ShapeError(f"{self!r} and {other!r} differ in shape{user_line()}")
        return Pattern.of_keys(unique(np.concatenate([self.keys, other.keys])), self.shape)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Pattern):
            return NotImplemented
        return self.shape == other.shape and np.array_equal(self.keys, other.keys)

    def __hash__(self) -> int:
        return hash((self.shape, self.rows.tobytes(), self.columns.tobytes()))

    def __reduce__(self) -> Any:
        return Pattern, (self.rows, self.columns, self.shape)

    def __repr__(self) -> str:
        plural = "" if self.nnz == 1 else "s"
        return f"<pattern {self.shape[0]} x {self.shape[1]}, {self.nnz} nonzero{plural}>"


def _checked_shape(shape: Any) -> tuple[int, int]:
    try:
        m, n = shape
        if not all(isinstance(k, (int, np.integer)) and not isinstance(k, bool) and k >= 0 for k in (m, n)):
            raise TypeError
    except (TypeError, ValueError):
        raise TypeError(
            f"pattern: a shape is two counts, of rows and columns, not {shown(shape)}{user_line()}"
        ) from None
    return int(m), int(n)


def _indices(name: str, given: Any, bound: int) -> np.ndarray:
    indices = np.asarray(given)
    if indices.ndim != 1:
        raise ShapeError(f"pattern: the {name} have {indices.ndim} axes{user_line()}; give one index for every entry")
    if indices.dtype.kind not in "iu" and indices.size:
        raise LeafTypeError(f"pattern: the {name} have dtype {indices.dtype}{user_line()}; indices are integers")
    outside = (indices < 0) | (indices >= bound)
    if outside.any():
        raise ShapeError(
            f"pattern: {int(indices[outside][0])} is out of range among the {name}{user_line()}: they count from 0 to "
            f"{bound - 1}, and negative indices have no meaning in a pattern"
        )
    return indices.astype(np.int64)


def as_pattern(given: Any, shape: Sequence[int] | None = None) -> Pattern:
    """A pattern from what a user gives for one: a boolean matrix, dense or sparse, or the indices of its entries.

    `given` is a NumPy array of booleans with two axes, a SciPy sparse matrix of booleans, a pair `(rows, columns)` of
    index arrays, which needs the `shape`, or a Pattern.  With `shape`, a matrix of another shape is refused.

    Raises LeafTypeError for a matrix that is not of booleans or indices that are no integers, ShapeError for a wrong
    shape or an index out of range, TypeError for anything else.

    >>> as_pattern(np.eye(3, dtype=bool))
    <pattern 3 x 3, 3 nonzeros>
    >>> as_pattern(([0, 1], [2, 0]), shape=(2, 3))
    <pattern 2 x 3, 2 nonzeros>
    """
    if isinstance(given, tuple) and len(given) == 2:
        if shape is None:
            raise TypeError(f"pattern: index arrays (rows, columns) need a shape{user_line()}: pass shape=(m, n)")
        return Pattern(*given, shape)
    if isinstance(given, Pattern):
        pattern = given
    elif isinstance(given, Tracer):
        raise TypeError(f"pattern: a value that is being differentiated is no pattern{user_line()}; give booleans")
    elif isinstance(given, np.ndarray):
        _require_boolean(given)
        if given.ndim != 2:
            raise ShapeError(f"pattern: an array of {given.ndim} axes is no matrix{user_line()}; give one of two axes")
        rows, columns = np.nonzero(given)
        pattern = Pattern(rows, columns, given.shape)
    elif hasattr(given, "tocoo") and hasattr(given, "dtype"):
        _require_boolean(given)
        entries = given.tocoo()
        held = entries.data
        pattern = Pattern(entries.row[held], entries.col[held], given.shape)
    else:
        raise TypeError(
            f"pattern: a {kind_of(given)} is no pattern{user_line()}; give a matrix of booleans (NumPy's or a "
            "SciPy sparse one), or index arrays (rows, columns) with shape=(m, n)"
        )
    if shape is not None and pattern.shape != _checked_shape(shape):
        m, n = _checked_shape(shape)
        raise ShapeError(f"pattern: {pattern!r} was given{user_line()}, where one of {m} x {n} is needed")
    return pattern


def _require_boolean(matrix: Any) -> None:
    if matrix.dtype != np.bool_:
        raise LeafTypeError(
            f"pattern: a boolean matrix is needed, but one of dtype {matrix.dtype} was given{user_line()}; write "
            "`matrix != 0` if its nonzero entries are meant"
        )


def as_sparse(values: Any, pattern: Pattern) -> Any:
    """The matrix with these values at the entries of `pattern`, in their order, and zeros elsewhere.

    A `scipy.sparse.csr_array`, which keeps every entry of the pattern, also where the value is zero.  Where SciPy is
    not installed, or the values are traced by an outer differentiation, which it cannot hold: the pair
    `(values, (rows, columns))`.  Raises ShapeError unless there is one value for each entry.

    >>> as_sparse(np.array([1.0, 2.0]), Pattern([0, 1], [1, 0], (2, 2))).toarray()
    array([[0., 1.],
           [2., 0.]])
    """
    if np.shape(values) != (pattern.nnz,):
        raise ShapeError(
            f"as_sparse: values of shape {np.shape(values)} for {pattern!r}{user_line()}; give one for each nonzero"
        )
    indices = pattern.rows.copy(), pattern.columns.copy()
    if isinstance(values, Tracer):
        return values, indices
    try:
        from scipy.sparse import csr_array
    except ImportError:
        return values, indices
    starts = np.concatenate([[0], np.cumsum(np.bincount(pattern.rows, minlength=pattern.shape[0]))])
    return csr_array((np.asarray(values), indices[1], starts), shape=pattern.shape)


def require_complete(name: str, values: Any, pattern: Pattern, direction: Any, product: Any) -> None:
    """Refuse a pattern that lacks entries of the matrix whose values were recovered with it.

    The product of the whole matrix with a random `direction`, of n numbers, is compared with that of the values.  They
    agree to rounding (the square root of the precision, relative to the sum of the magnitudes) if no entry is missing;
    if one is, they differ for almost every direction, unless the entry is negligible in its row.  Raises ShapeError,
    which names a row.

    >>> lower = Pattern([0, 1], [0, 0], (2, 2))
    >>> values, direction = np.array([2.0, 3.0]), np.array([0.5, 1.0])
    >>> require_complete("jacobian", values, lower, direction, np.array([1.0, 1.5]))
    >>> require_complete("jacobian", values, lower, direction, np.array([1.0, 2.0]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    shared.core.errors.ShapeError: jacobian: the pattern lacks a nonzero entry in row 1...
    """
    values, product, direction = (np.asarray(stop_gradient(given)) for given in (values, product, direction))
    terms = values * direction[pattern.columns]
    found = np.zeros(pattern.shape[0], np.result_type(terms, product))
    sizes = np.zeros(pattern.shape[0])
    np.add.at(found, pattern.rows, terms)
    np.add.at(sizes, pattern.rows, np.abs(terms))
    # The direction has more digits than a matrix of float32, which rounded it.
    precision = max(np.finfo(np.result_type(given, np.float16)).eps for given in (values, product))
    allowed = np.sqrt(precision) * np.maximum(sizes, np.abs(product))
    # Where an entry is infinite or NaN nothing can be said.
    lacking = np.flatnonzero(np.isfinite(product) & np.isfinite(found) & (np.abs(found - product) > allowed))
    if lacking.size:
        raise ShapeError(
            f"{name}: the pattern lacks a nonzero entry in row {lacking[0]}{user_line()}; without it other entries are "
            "wrong: give a pattern that contains it (one detected at a point with other branches lacks theirs; "
            "patterns of several points are united by |), or none, to have it detected"
        )
