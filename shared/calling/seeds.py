"""What tangents and cotangents of a leaf look like: whether there are any, its zero, its one, a seed that is counted.

This module knows numbers, arrays and their dtypes, and nothing of how derivatives are propagated.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.core.duck_array import DuckArray, seed_of
from shared.core.levels import Tracer
from shared.core.primitive import Like


def zero_like(leaf: Any) -> Any:
    """A fresh zero of the type of a leaf: a Python number for a Python number."""
    if isinstance(leaf, Tracer):
        like = Like(leaf)
        return like.zeros()[()]
    if isinstance(leaf, (float, int, complex)) and not isinstance(leaf, np.generic):
        return 0j if isinstance(leaf, complex) else 0.0
    like = Like(leaf)
    if like.dtype is not None and like.dtype.kind not in "fc":
        return np.zeros(like.shape)[()]
    return np.zeros_like(leaf)[()] if isinstance(leaf, np.generic) else np.zeros_like(leaf)


def is_complex(leaf: Any) -> bool:
    dtype = Like(leaf).dtype
    return isinstance(leaf, complex) if dtype is None else dtype.kind == "c"


def seeded(value: Any, seed: Any) -> Any:
    """A plain seed of a traced value, at the levels that count what is done to it."""
    return seed if isinstance(seed, DuckArray) else seed_of(value, seed)


def floating(output: Any) -> Any:
    """An output as the type of its tangent: one that cannot vary may be an integer, its tangent is a float."""
    if output.__class__ is np.float64:
        return output
    like = Like(output)
    if like.dtype is not None and like.dtype.kind not in "fc":
        return np.zeros(like.shape)[()]
    return float(output) if isinstance(output, int) else output


def one_of(leaf: Any) -> Any:
    """The number 1 in the dtype of a scalar leaf."""
    dtype = Like(leaf).dtype
    return 1.0 if dtype is None else np.ones((), dtype) if isinstance(leaf, np.ndarray) else dtype.type(1)


def has_derivative(leaf: Any) -> bool:
    """Whether a leaf is a real or complex number or array."""
    dtype = getattr(leaf, "dtype", None)
    return isinstance(leaf, (float, complex)) if dtype is None else getattr(dtype, "kind", "") in ("f", "c")
