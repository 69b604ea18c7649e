"""Numbers: Python's, NumPy's scalars and arrays without axes, which promote and can be written to otherwise.

Python numbers are met by arrays through a cache that spares NumPy the conversion: `array + 1.5` takes NumPy nearly
twice as long as `array + np.array(1.5)`, so the constants of a program are kept as 0-d arrays.  A 0-d array is strongly
typed and a Python number is weak, so the cache serves float64 arrays only, where both give the same dtype.  This module
knows nothing of tracers or derivatives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

_FLOAT64 = np.dtype(np.float64)
_cache: dict[Any, np.ndarray] = {}
_LIMIT = 1024


def constant_operand(number: Any, other: np.ndarray) -> Any:
    """`number` (a Python int or float) as the operand to use beside the array `other`.

    >>> constant_operand(0.5, np.ones(3))
    array(0.5)
    >>> constant_operand(0.5, np.ones(3, np.float32))
    0.5
    """
    if other.dtype is not _FLOAT64:
        return number
    found = _cache.get(number)
    if found is None:
        # Zero stays as it is: 0.0 and -0.0 are equal keys, but not equal numbers.
        if number == 0 or number != number or abs(number) > 2**53:
            return number
        if len(_cache) >= _LIMIT:
            _cache.clear()
        found = np.array(number, _FLOAT64)
        found.flags.writeable = False
        _cache[number] = found
    return found


#: The kinds of number there are
KINDS = frozenset((float, complex, np.float64, np.float32, np.complex128, np.complex64, np.ndarray))


def as_kind(x: Any, *, kind: type) -> Any:
    """A number as one of another kind: a Python float or complex, a NumPy scalar, or an array without axes."""
    if kind is np.ndarray:
        return np.asarray(x)
    return kind(x.real if kind is float else x) if kind in (float, complex) else np.asarray(x)[()]
