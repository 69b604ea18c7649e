"""Choices between formulas, dtypes and blocks of what computes with NumPy in place of a ufunc.

Where a formula is not used it is computed of a harmless number, since zero times an infinite slope is no zero.  This
module knows no function of SciPy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np


def dtype_of(*values: Any) -> np.dtype[Any]:
    """The dtype that a ufunc of floating-point numbers has for some arguments.

    >>> dtype_of(1, 2.5), dtype_of(np.float32(1), 2.5), dtype_of(np.arange(3), 1)
    (dtype('float64'), dtype('float32'), dtype('float64'))
    """
    if all(value.__class__ in (int, float) for value in values):
        return np.dtype(np.float64)
    found = np.result_type(*values)
    return found if found.kind in "fc" else np.dtype(np.float64)


def numbers_like(like: Any, *numbers: float) -> list[Any]:
    """Numbers in the dtype of an array: beside Python's, many ufuncs of SciPy compute in float64.

    >>> numbers_like(np.ones(2, np.float32), 1, 2)
    [np.float32(1.0), np.float32(2.0)]
    """
    return [like.dtype.type(number) for number in numbers]


def whole(x: Any) -> Any:
    """`x` rounded down; a Python number stays one, so that it makes nothing wider.

    >>> whole(2.5), whole(np.float32(2.5))
    (2, np.float32(2.0))
    """
    return math.floor(x) if x.__class__ in (int, float) else np.floor(x)


def masked(mask: Any, x: Any, other: float, like: Any) -> Any:
    """`x` where the mask is true, elsewhere a number; in the dtype of `like`, so that no Python float is made wider.

    >>> masked(np.array([True, False]), 2.5, 0, np.float32(1))
    array([2.5, 0. ], dtype=float32)
    """
    return np.where(mask, x, like.dtype.type(other))


#: How many elements a quadrature takes at once, each of which takes hundreds of numbers
BLOCK = 4096


def in_blocks(quadrature: Callable[..., Any], kind: np.dtype[Any], *arrays: Any) -> Any:
    """A quadrature of many elements block by block, so that it takes little memory; None of few elements.

    >>> in_blocks(np.add, np.dtype(np.float32), np.ones((2, BLOCK)), 1.0).shape
    (2, 4096)
    """
    arrays = np.broadcast_arrays(*arrays)
    shape, size = arrays[0].shape, arrays[0].size
    if size <= BLOCK:
        return None
    flat = [np.ravel(array) for array in arrays]
    parts = [quadrature(*[array[k : k + BLOCK] for array in flat]) for k in range(0, size, BLOCK)]
    return np.concatenate(parts).reshape(shape).astype(kind)
