"""The linear maps of an assignment: from a changed array to the array before, and to the value that was written.

A changed array is a value of its own, which depends on two: `x[i] = v` passes its cotangent on to `x` with zeros at
`i`, and to `v` what stood at `i`; `np.add.at(x, i, v)` passes it on to `x` as it is.  Sweeps go over these maps in
place, so that a loop that writes an array element by element takes as long backwards and forwards.  This module knows
what a sweep keeps (`shared.core.sweep`), and nothing of who records.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.core.assignment import SETITEM, UpdatePrimitive, located
from shared.core.duck_array import DuckArray
from shared.core.edges import Edge, Like, fit
from shared.core.writing import duplicate, read, winners, write

ARRAYS = (np.ndarray, DuckArray)


class _ToArrayBefore(Edge):
    """To the array before an assignment or an addition; keeps the index."""

    __slots__ = ()

    def forward(self, sweep: Any, node: int, kept: Any, parent: int, position: int) -> None:
        t = sweep.values[parent]
        if t is None:
            return
        if parent not in sweep.owned or sweep.last_use[parent] != position:
            t = duplicate(t)
        sweep.values[node] = write(t, SETITEM, kept, 0.0) if self is OVERWRITE else t
        sweep.owned.add(node)

    def backward(self, sweep: Any, cotangent: Any, kept: Any, parent: int) -> None:
        cotangents = sweep.cotangents
        # The node that was taken last is numbered len(cotangents).
        if len(cotangents) not in sweep.owned or not isinstance(cotangent, ARRAYS):
            cotangent = duplicate(cotangent)
        cotangent = write(cotangent, SETITEM, kept, 0.0)
        before = cotangents[parent]
        cotangents[parent] = cotangent if before is None else before + cotangent
        sweep.owned.add(parent)


class _ToValue(Edge):
    """To the value that was written; keeps what `_gather` and a sweep forwards need."""

    __slots__ = ()

    def forward(self, sweep: Any, node: int, kept: Any, parent: int, position: int) -> None:
        t = sweep.values[parent]
        if t is not None:
            _, index, like, primitive, _ = kept
            before = sweep.values[node]
            sweep.values[node] = write(like.zeros() if before is None else before, primitive, index, t)
            sweep.owned.add(node)


def _gather(c: Any, kept: Any) -> Any:
    like, index, _, _, stays = kept
    # A copy, because the edge to the array that was assigned to may clear these very elements next.
    part, index = located(np.asarray(c) if c.__class__ is float else c, index)
    c = np.copy(read(part, index)) if stays is None else np.where(stays, read(part, index), 0)
    surplus = like.ndim - c.ndim
    return fit(np.reshape(c, (1,) * surplus + c.shape) if surplus > 0 else c, like)


#: From a changed array to the array before an assignment: zero at the index.
OVERWRITE = _ToArrayBefore(None, None, None)
#: From a changed array to the array before an addition.
UNCHANGED = _ToArrayBefore(None, lambda c, kept: c, None)
#: From a changed array to the value that was assigned or added.  It keeps the Like of the value, the index, the Like of
#: the array, the primitive, and which of the values stay where the index names an element twice.
GATHER = _ToValue(None, _gather, None)


def map_to_before(primitive: UpdatePrimitive, index: Any) -> tuple[Edge, Any]:
    """The map from an array that `primitive` changed at `index` to the array before, and what that keeps."""
    return (OVERWRITE if primitive is SETITEM else UNCHANGED), index


def map_to_value(primitive: UpdatePrimitive, index: Any, value: Any, array: Any) -> tuple[Edge, Any]:
    """The map from the changed `array` to the value that was written, and what that keeps."""
    stays = winners(np.shape(array), index) if primitive is SETITEM else None
    return GATHER, (Like(value), index, Like(array), primitive, stays)
