"""Arrays that a record meets: which of them live outside of the function, and how it keeps those that it made.

What nobody but the record holds when the function has ended, the function has made: it belongs to the program.
Anything else may be changed by others, and is read in each run.  This module knows nothing of programs.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from shared.core.refcounts import getrefcount

#: Arrays that a function makes and that hold one number from this many elements on are kept as that number.
_UNIFORM = 16


def lives_outside(arrays: dict[int, np.ndarray], number: int, views: Counter[int], owners: set[int]) -> bool:
    """Whether anybody but the record holds the memory of one of its arrays, and so may change it."""
    array = arrays[number]
    if getrefcount(array) > _HELD_HERE + views[id(array)]:
        return True
    base = _holder(array)
    del array
    while isinstance(base, np.ndarray):
        if getrefcount(base) > _HELD_HERE - 1 + views[id(base)] + (id(base) in owners):
            return True
        base = _holder(base)
    return not (base is None or isinstance(base, bytes))


def views_among(arrays: dict[int, np.ndarray]) -> Counter[int]:
    """How many arrays of the record, and views between them and their memory, refer to each array as their base."""
    found: Counter[int] = Counter()
    met = {id(array) for array in arrays.values()}
    for array in arrays.values():
        base = _holder(array)
        found[id(base)] += 1
        while isinstance(base, np.ndarray) and id(base) not in met:
            met.add(id(base))
            base = _holder(base)
            found[id(base)] += 1
    return found


def _holder(array: np.ndarray) -> Any:
    """Whose memory an array shows: another array, bytes, which never change, or what is neither; None of its own."""
    base: Any = array.base
    if base is None or isinstance(base, (np.ndarray, bytes)):
        return base
    # np.lib.stride_tricks puts an object of its own between a view and its array.
    return base if getattr(base, "base", None) is None else base.base


def _held_here() -> int:
    arrays = {0: np.zeros(1)}
    array = arrays[0]
    return getrefcount(array)


_HELD_HERE = _held_here()


def contents_of(array: np.ndarray) -> bytes:
    """What an array holds; of axes along which it repeats itself, once."""
    if array.size and 0 in array.strides:
        array = array[tuple([0 if stride == 0 else slice(None) for stride in array.strides])]
    return array.tobytes()


def rebuilt(array: np.ndarray, contents: bytes) -> np.ndarray:
    """An array of the form of `array` that holds what it held before."""
    repeats = [stride == 0 and array.size > 0 for stride in array.strides]
    shape = [1 if repeated else n for n, repeated in zip(array.shape, repeats, strict=True)]
    held = np.frombuffer(contents, array.dtype).reshape(shape)
    whole = np.array(np.broadcast_to(held, array.shape))
    in_columns = array.flags.f_contiguous and not array.flags.c_contiguous
    return kept(np.asfortranarray(whole) if in_columns else whole)


def kept(array: np.ndarray) -> np.ndarray:
    """An array that a function has made, as the record keeps it: read-only, and one number if all are equal."""
    if array.size >= _UNIFORM:
        first = array.flat[0]
        if first == first and (array == first).all() and not (first == 0 and np.signbit(np.real(array)).any()):
            return np.broadcast_to(np.array(first, array.dtype), array.shape)
    if array.base is not None:
        # A view would keep all of its base.
        array = array.copy("K")
    array.flags.writeable = False
    return array
