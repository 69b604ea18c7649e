"""Choices between formulas, and the dtypes of what computes with NumPy in place of a ufunc.

Where a formula is not used it is computed of a harmless number, since zero times an infinite slope is no zero.  This
module knows no function of SciPy.
"""

from __future__ import annotations

import math
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
