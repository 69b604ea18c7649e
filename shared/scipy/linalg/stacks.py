"""Functions of single matrices applied to stacks of them, whose leading axes broadcast.

This module knows no function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shared.core.primitive import Primitive


def each(function: Callable[..., Any], ranks: Sequence[int], *values: np.ndarray) -> Any:
    """`function` of each matrix (or vector, by its rank) of some stacks, the results stacked."""
    stacks = [value.shape[: value.ndim - rank] for value, rank in zip(values, ranks, strict=True)]
    stack = np.broadcast_shapes(*stacks)
    if not stack:
        return function(*values)
    spread = [
        np.broadcast_to(value, stack + value.shape[value.ndim - rank :])
        for value, rank in zip(values, ranks, strict=True)
    ]
    if not np.prod(stack):
        pairs = zip(values, ranks, strict=True)
        single = [np.eye(*v.shape[-2:], dtype=v.dtype) if k == 2 else np.ones(v.shape[-k:], v.dtype) for v, k in pairs]
        found = np.asarray(function(*single))
        return np.zeros(stack + found.shape, found.dtype)
    results = np.stack([function(*[value[k] for value in spread]) for k in np.ndindex(stack)])
    return results.reshape(stack + results.shape[1:])


def each_with_columns(function: Callable[..., Any], matrices: Sequence[np.ndarray], right: np.ndarray) -> Any:
    """`function(*matrices, columns)` of each; where the matrices are single, one call for all columns of the stack."""
    if right.ndim == 2 or any(matrix.ndim > 2 for matrix in matrices):
        return each(function, (2,) * (len(matrices) + 1), *matrices, right)
    columns = np.moveaxis(right, -2, 0)
    found = function(*matrices, columns.reshape(columns.shape[0], -1))
    return np.moveaxis(found.reshape(columns.shape), 0, -2)


def columns_of(primitive: Primitive, *arguments: Any, **static: Any) -> Any:
    """A primitive of matrices and, last, right-hand sides, where one of one axis is one vector."""
    *others, right = arguments
    if np.ndim(right) != 1:
        return primitive(*others, right, **static)
    return primitive(*others, np.expand_dims(right, -1), **static)[..., 0]
