"""Buffers: which array each result is written to, and by which name that has the result's shape.

A buffer is allocated once, in the head of the text; what one root has left, the next one of the same dtype and about
the same size takes.  This module knows nothing of what is written.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.programs.compiling.numpy_text import allocation, dtype_of
from shared.programs.compiling.scope import Scope
from shared.programs.parts import ValueType

#: A result takes a larger buffer than it needs up to twice its size, and up to this size in any case.
_ANY_SIZE = 64


class Buffers:
    """The buffers of a text, and the roots that hold them at the step that is being written."""

    def __init__(self, scope: Scope):
        self.scope = scope
        #: the place in the program of the step that is being written
        self.position = 0
        #: of each root that holds one, the buffer's name and number of elements
        self._held: dict[int, tuple[str, int]] = {}
        #: those that nobody holds, by dtype, as (number of elements, name) from the smallest on
        self._free: dict[np.dtype[Any], list[tuple[int, str]]] = {}
        #: of each buffer an array like it, in the shape in which it is made
        self._samples: dict[str, np.ndarray] = {}
        #: the arrays like them in further shapes, by the names that they have there
        self._reshaped: dict[str, np.ndarray] = {}
        self._count = 0

    def target(self, number: int, operands: Sequence[int] = ()) -> str | None:
        """The name of the buffer that a new root is written to; None where it is allocated in the call.

        That of one of the `operands` which dies here is taken first: the function writes elements where it read them.
        """
        memory, types = self.scope.memory, self.scope.types
        if number not in memory.buffered or number in memory.leaving:
            return None
        held = self._held
        for root in [root for k in operands for root in sorted(memory.roots.get(k, ()))]:
            if root in held and types[root] is types[number] and memory.ends[root] <= self.position and root != number:
                held[number] = held.pop(root)
                return self._named(number)
        held[number] = self._take(types[number])
        return self._named(number)

    def release(self) -> None:
        """Take back the buffers of roots that nothing reads after this step."""
        for root in self.scope.memory.ending.get(self.position, ()):
            held = self._held.pop(root, None)
            if held is not None:
                name, size = held
                insort(self._free.setdefault(dtype_of(self.scope.types[root]), []), (size, name))

    def _take(self, type_: ValueType) -> tuple[str, int]:
        """The name and size of a buffer that holds a value of this type."""
        size, free = type_.size, self._free.setdefault(dtype_of(type_), [])
        smallest = bisect_left(free, (size, ""))
        if smallest < len(free) and free[smallest][0] <= max(2 * size, _ANY_SIZE):
            size, name = free.pop(smallest)
            return name, size
        self._count += 1
        return f"b{self._count - 1}", size

    def _named(self, number: int) -> str:
        """The name by which a root's buffer has the root's shape."""
        scope, buffer, type_ = self.scope, self._held[number][0], self.scope.types[number]
        key = ("buffer", buffer, type_)
        name = scope.defined(key)
        if name is None:
            base = self._samples.get(buffer)
            if base is None:
                name = scope.reserve(key, buffer)
                scope.head.append(f"{name} = {allocation('empty', type_)}")
                sample = self._samples[buffer] = np.empty(type_.shape, type_.dtype)
            else:
                cut = "" if type_.size == base.size else f"[:{type_.size}]"
                name = scope.define(key, f"{buffer}.reshape(-1){cut}.reshape({type_.shape})", f"{buffer}_")
                sample = base.reshape(-1)[: type_.size].reshape(type_.shape)
            self._reshaped[name] = sample
        scope.samples[number] = self._reshaped[name]
        scope.names[number] = name
        return name
