"""The records of assignments, and what a sweep backwards does at them: common to the tape and to transposed functions.

An array that is assigned to becomes a new node: one record leads to the array before, one to the value assigned.  This
module knows edges and writing in place, and nothing of who records or sweeps.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.primitive import Edge, fit
from shared.tracer import SETITEM, DuckArray, duplicate, located, read, write

_ARRAYS = (np.ndarray, DuckArray)


def _gather(c: Any, kept: Any) -> Any:
    like, index, _, _, stays = kept
    # A copy, because the edge to the array that was assigned to may clear these very elements next.
    part, index = located(np.asarray(c) if c.__class__ is float else c, index)
    c = np.copy(read(part, index)) if stays is None else np.where(stays, read(part, index), 0)
    surplus = like.ndim - c.ndim
    return fit(np.reshape(c, (1,) * surplus + c.shape) if surplus > 0 else c, like)


#: From a changed array to the array before an assignment: zero at the index that is kept.
OVERWRITE = Edge(None, None, lambda t, kept: t)
#: From a changed array to the array before an addition.
UNCHANGED = Edge(None, lambda c, kept: c, lambda t, kept: t)
#: From a changed array to the value that was assigned or added.  It keeps the Like of the value, the index, the Like of
#: the array, the updating primitive, and which of the values stay where the index names an element twice.
GATHER = Edge(None, _gather, lambda t, kept: t)


def deposit(edge: Edge, c: Any, kept: Any, parent: int, cotangents: list[Any], owned: set[int]) -> None:
    """The edges that write into the parent's cotangent themselves, at the cost of what they write.

    `owned` are the nodes whose cotangents the sweep made itself, so that it may write to them.
    """
    old = cotangents[parent]
    if edge is OVERWRITE:
        # The node that was just taken is numbered len(cotangents).
        if len(cotangents) not in owned or not isinstance(c, _ARRAYS):
            c = duplicate(c)
        c = write(c, SETITEM, kept, 0.0)
        cotangents[parent] = c if old is None else old + c
    else:
        if old is None:
            old = kept[0].zeros()
        elif parent not in owned or not isinstance(old, _ARRAYS):
            old = duplicate(old)
        assert edge.accumulate is not None
        cotangents[parent] = edge.accumulate(old, c, kept)
    owned.add(parent)
