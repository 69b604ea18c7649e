"""What assignments cost: the elements that they write, read off their index.

What a primitive costs is one of its facets (`shared.core.facets`), declared in its row.  This module knows nothing of
levels, recordings or engines.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.facets import Count, CountRule


def elements_written(shape: tuple[int, ...], parts: Sequence[Any], lengths: Sequence[int]) -> int:
    """How many elements an assignment to an array of this shape writes.

    `parts` are the parts of an index, or of a nested one, each of as many parts as `lengths` says.  Of index arrays
    only the shape is looked at; a mask is taken to choose every element.
    """
    if len(lengths) == 1 and len(parts) == len(shape) and all([part.__class__ is int for part in parts]):
        return 1
    view: Any = np.broadcast_to(np.empty((), bool), shape)
    start = 0
    for length in lengths:
        view, start = view[_representative(parts[start : start + length])], start + length
    return int(np.size(view))


def _representative(parts: Sequence[Any]) -> tuple[Any, ...]:
    """An index by which as many elements are chosen as by one of such parts; literals stand for themselves."""
    arrays = [part for part in parts if getattr(part, "shape", None) is not None and not isinstance(part, np.generic)]
    # Beside arrays of integers a mask chooses as many elements as these have.
    beside = np.broadcast_shapes(*[part.shape for part in arrays if part.dtype.kind != "b"])[-1:]
    index: list[Any] = []
    for part in parts:
        if not any(part is array for array in arrays):
            index.append(part)
        elif part.dtype.kind != "b":
            index.append(np.zeros(part.shape, np.intp))
        elif beside in ((), (1,)):
            index.append(np.ones(part.shape, bool))
        else:
            index += [np.zeros(beside, np.intp)] * len(part.shape)
    return tuple(index)


def written(adds: bool) -> CountRule:
    """The count of an assignment: a write for each element, and where it adds, a read and an addition, too."""
    count = Count(move=2, add=1) if adds else Count(move=1)

    def of_write(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
        return elements_written(out.shape, operands[2:], static["lengths"]) * count

    return of_write
