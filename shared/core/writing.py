"""Writing into arrays, plain or traced: in place where nobody else holds them.

`writable` gives the buffer of a tracer that may be written, `write` writes it; `lasting` makes an index that may be
kept, and `winners` tells which of several values assigned to one element stays.  What a derivative makes of a write is
in `shared.core.updates`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shared.core.assignment import NestedIndex, UpdatePrimitive, ViewOf, located
from shared.core.duck_array import DuckArray, highest
from shared.core.refcounts import ALONE_AS_LOCAL, ALONE_IN_SLOT, getrefcount


def lasting(index: Any, kept: Callable[[Any], Any] = np.array) -> Any:
    """An index that may be kept: arrays and lists in it are copied (`kept`), since their owner may change them."""
    kind = index.__class__
    if kind is tuple:
        # A tuple inside a tuple is an index array.
        return tuple([np.array(part) if part.__class__ is tuple else lasting(part, kept) for part in index])
    if kind is NestedIndex:
        return NestedIndex(index.path, lasting(index.index, kept))
    if isinstance(index, DuckArray):
        return index.twin()
    if kind is list:
        return np.array(index, np.intp if not index else None)
    return kept(index) if isinstance(index, np.ndarray) else index


def winners(shape: tuple[int, ...], index: Any) -> Any:
    """Of the values that `x[index] = values` assigns, which stay: None if all, a mask if an element is meant twice.

    Where an index array names an element twice, the last value assigned stays.  Cost: the size of the values.
    """
    if index.__class__ is NestedIndex:
        # Shapes of views are read off an array without memory of its own.
        view, index = located(np.broadcast_to(np.empty((), bool), shape), index)
        shape = view.shape
    parts = index if isinstance(index, tuple) else (index,)
    traced = highest(parts)
    if traced is not None:
        last = traced.lift(np.zeros(shape, np.intp))
        order = np.arange(last[index].size).reshape(last[index].shape)
        last[index] = order
        return last[index] == order
    if all(not isinstance(p, (np.ndarray, list, tuple)) or np.asarray(p).dtype.kind == "b" for p in parts):
        return None
    # Only elements that were written are read, so the scratch array needs no initial values.
    last = np.empty(shape, np.intp)
    order = np.arange(last[index].size).reshape(last[index].shape)
    last[index] = order
    stays = last[index] == order
    return None if stays.all() else stays


def read(x: Any, index: Any) -> Any:
    """`x[index]`, where a plain array may be read at the index of a tracer."""
    if not isinstance(x, DuckArray):
        by = highest(index if index.__class__ is tuple else (index,))
        if by is not None:
            x = by.lift(x)
    return x[index]


def held_by_others(tracer: DuckArray, slot: str) -> bool:
    """Whether anything besides this slot refers to its buffer: a kept value, a view, the caller's own array."""
    return getrefcount(getattr(tracer, slot)) > ALONE_IN_SLOT


def duplicate(buffer: Any) -> Any:
    return buffer.twin() if isinstance(buffer, DuckArray) else np.array(buffer)


def writable(tracer: DuckArray, slot: str) -> Any:
    """The buffer in a slot of a tracer, copied first if writing to it could be noticed elsewhere."""
    shared = held_by_others(tracer, slot)
    buffer = getattr(tracer, slot)
    if isinstance(buffer, np.ndarray):
        shared = shared or buffer.base is not None or not buffer.flags.writeable
    elif isinstance(buffer, ViewOf):
        # Written in place it would write through to its base, which this tracer's base writes by itself.
        shared = True
    elif isinstance(buffer, np.generic):
        # NumPy makes numbers of arrays without axes when it computes with them.
        shared = True
    elif isinstance(buffer, DuckArray) and buffer.plain_memory is not None:
        memory = buffer.plain_memory
        # One reference is the buffer's own.
        alone = getrefcount(memory) <= ALONE_AS_LOCAL + 1
        shared = shared or not alone or memory.base is not None or not memory.flags.writeable
    if shared:
        return duplicate(buffer)
    return buffer


def write(buffer: Any, primitive: UpdatePrimitive, index: Any, value: Any) -> Any:
    """Write into a buffer that the caller owns; returns it, lifted if the value or the index is of a higher level."""
    if isinstance(value, DuckArray) and not (isinstance(buffer, DuckArray) and buffer.can_hold(value)):
        buffer = value.lift(buffer)
    last = index
    while last.__class__ is NestedIndex:
        last = last.index
    if last.__class__ is tuple or isinstance(last, DuckArray):
        by = highest(last if last.__class__ is tuple else (last,))
        if by is not None and (not isinstance(buffer, DuckArray) or buffer.level.number < by.level.number):
            buffer = by.lift(buffer)
    if isinstance(buffer, DuckArray):
        buffer.update(primitive, value, index)
    else:
        primitive.write(buffer, index, value)
    return buffer
