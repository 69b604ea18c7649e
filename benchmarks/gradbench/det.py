"""GradBench's `det`: a determinant by expansion by minors, and its gradient.

Laplace's expansion along the first row, of every minor in turn, takes of the order of n! multiplications: no way to
compute a determinant, but a source of operations.  All minors of one size are expanded at once, as arrays; a minor that
is met again on another path is computed again, as the recursion would.  From Bell's cmpad (`det_by_minor`).  One
reverse sweep; from `LARGEST_AT_ONCE` rows on, the minors of the first row one after the other, checkpointed.
"""

from functools import cache, partial
from typing import Any

import numpy as np

import reversead
from benchmarks.gradbench.protocol import Function, Input

#: The largest matrix whose minors are all held at once: 9! of one number each, of size one.
LARGEST_AT_ONCE = 9


@cache
def remaining(size: int) -> Any:
    """For each column of a minor, the places of the others: shape (size, size - 1)."""
    return np.array([[other for other in range(size) if other != column] for column in range(size)])


@cache
def signs(size: int) -> Any:
    """1, -1, 1, ..."""
    return (-1.0) ** np.arange(size)


def minors(matrix: Any, columns: Any) -> Any:
    """The determinants of the last m rows with the given columns, of shape (batch, m); one for each of the batch."""
    size = columns.shape[1]
    row = matrix[len(matrix) - size]
    if size == 1:
        return row[columns[:, 0]]
    smaller = minors(matrix, columns[:, remaining(size)].reshape(-1, size - 1))
    return np.sum(signs(size) * row[columns] * smaller.reshape(columns.shape), axis=1)


def determinant(matrix: Any) -> Any:
    """The determinant of a square matrix."""
    size = len(matrix)
    columns = np.arange(size)
    if size <= LARGEST_AT_ONCE:
        return minors(matrix, columns[None])[0]
    total = 0.0
    for column in range(size):
        kept = matrix[1:][:, columns[columns != column]]
        total = total + (-1.0) ** column * matrix[0, column] * reversead.checkpoint(determinant)(kept)
    return total


def _operand(given: Input) -> Any:
    return np.array(given["A"], dtype=float).reshape(int(given["ell"]), int(given["ell"]))


FUNCTIONS = {
    "primal": Function(lambda given: partial(determinant, _operand(given))),
    "gradient": Function(
        lambda given: partial(reversead.grad(determinant), _operand(given)), lambda found: found.ravel().tolist()
    ),
}
