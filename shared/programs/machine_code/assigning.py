"""Indices and assignments as places: views, elements by index arrays, and what is changed in place.

This module knows no operation that computes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.assignment import ADD_AT, SETITEM
from shared.programs.equations import Equation, nested_index
from shared.programs.machine_code.kernels import Kernel, Read, Update, squeezed
from shared.programs.machine_code.operations import INDEX_DTYPE, c_type
from shared.programs.machine_code.placing import Place, Placing, Unlowered
from shared.rules.aliasing import is_basic
from shared.rules.indexing import ADD_TO_VIEW


class Assigning(Placing):
    """Equations that read or write parts of arrays.  Raises Unlowered of those that C does not do."""

    #: the position of the equation that is being lowered, and the last one that reads each value
    position: int
    last_use: dict[int, int]

    def _index(self, step: Equation) -> None:
        place = self.array(step.operands[0])
        found = self._indexed(place, step.operands[1:])
        shape = self.types[step.result].shape
        if isinstance(found, Place):
            self._set(step.result, Place(found.buffer, found.ghost.reshape(shape) if not shape else found.ghost))
            return
        if found.buffer.kind == "int64_t":
            raise Unlowered
        found.buffer.stored = True
        result = self._new(step.result)
        self._compute("{0}", [found], result.kind, result, shape)

    def _indexed(self, place: Place, parts: Sequence[int]) -> Place | Read:
        """A part of a place: a view of it, or elements by index arrays."""
        literals = self.program.literals
        arrays = [k for k in parts if self.types[k].is_array]
        if not arrays:
            if not all(k in literals and is_basic((literals[k],)) for k in parts):
                raise Unlowered
            index: Any = tuple(literals[k] for k in parts)
            return Place(place.buffer, place.ghost[index if Ellipsis in index else (*index, ...)])
        # Index arrays come first, and the axes after them are taken whole.
        whole = [literals.get(k) for k in parts[len(arrays) :]]
        if list(parts[: len(arrays)]) != arrays or any(p is not Ellipsis and p != slice(None) for p in whole):
            raise Unlowered
        if any(self.types[k].dtype != INDEX_DTYPE or not self.types[k].size for k in arrays):
            raise Unlowered
        common = np.broadcast_shapes(*(self.types[k].shape for k in arrays))
        rest = place.ghost.shape[len(arrays) :]
        shape = (*common, *rest)
        terms = []
        for axis, k in enumerate(arrays):
            at = self.place(k)
            ghost = np.broadcast_to(at.ghost.reshape((*at.ghost.shape, *(1,) * len(rest))), shape)
            terms.append((self._at(at.buffer, ghost), place.ghost.strides[axis], place.ghost.shape[axis]))
        first: Any = (*(0,) * len(arrays), ...)
        origin = place.ghost[first]
        base = self._at(place.buffer, np.broadcast_to(origin, shape))
        return Read(base.buffer, base.offset, base.strides, tuple(terms))

    def _write(self, step: Equation) -> None:
        updating, (number, value), parts = step.primitive.updating, step.operands[:2], step.operands[2:]
        if updating not in (SETITEM, ADD_AT, ADD_TO_VIEW):
            raise Unlowered
        shape = self.types[step.result].shape
        if self._may_change(number, value):
            buffer = self.places[number].buffer
            self._set(step.result, self.places[number])
        else:
            buffer = self._new(step.result)
            self._compute("{0}", [self.read(number, shape)], buffer.kind, buffer, shape)
        buffer.stored = True
        place: Place | Read = self.places[step.result]
        start = 0
        for length in step.static["lengths"]:
            if not isinstance(place, Place):
                raise Unlowered
            place = self._indexed(place, parts[start : start + length])
            start += length
        target = self._written_shape(step, parts)
        if isinstance(place, Place):
            place = self._at(place.buffer, place.ghost)
        elif updating is SETITEM and not place.terms[0][0].buffer.holder:
            raise Unlowered
        update = Update(place, updating is not SETITEM, self.read(value, self._fitted(value, target)), self.said)
        # After all that reads what was there before.
        self._add(update, squeezed(target), max(buffer.read + 1, buffer.made + (0 if self._may_share(update) else 1)))
        buffer.updated = True

    def _may_share(self, update: Update) -> bool:
        """Whether an assignment may share a loop with the last ones to the same buffer.

        A loop takes all of them through a block before the next block, so they have to be additions, or to one place.
        """
        buffer, place = update.result, update.place
        kernel = self.stretch.kernels[buffer.made] if buffer.updated and buffer.made >= 0 else None
        if not isinstance(kernel, Kernel):
            return False
        others = [s for s in kernel.statements if s.result is buffer]
        return all(
            isinstance(s, Update)
            and (
                (s.adds and update.adds)
                or (
                    not (s.place.terms or place.terms or s.place.offset != place.offset)
                    and s.place.strides == place.strides
                )
            )
            for s in others
        )

    def _written_shape(self, step: Equation, parts: Sequence[int]) -> tuple[int, ...]:
        literals, types = self.program.literals, self.types
        index = [literals[k] if not types[k].is_array else np.zeros(types[k].shape, np.intp) for k in parts]
        ghost = self.pool[: types[step.result].size].reshape(types[step.result].shape)
        found = nested_index(index, step.static["lengths"])
        while hasattr(found, "path"):
            ghost, found = ghost[found.path], found.index
        return tuple(np.shape(np.broadcast_to(ghost, ghost.shape)[found]))

    def _fitted(self, value: int, target: tuple[int, ...]) -> tuple[int, ...]:
        # NumPy lets an assigned array have further axes of length 1 in front.
        if len(self.types[value].shape) > len(target):
            raise Unlowered
        return target

    def _may_change(self, number: int, value: int) -> bool:
        """Whether an array may be changed in place: it was made here, whole, and nobody needs what was there."""
        place = self.places.get(number)
        if place is None or number in self.program.literals or place.buffer.stretch != self.stretch.number:
            return False
        buffer = place.buffer
        whole = place.ghost.flags.c_contiguous and place.ghost.size == buffer.size
        other = self.places.get(value)
        return (
            whole
            and buffer.holder is None
            and (other is None or other.buffer is not buffer)
            and all(self.last_use.get(k, -1) <= self.position for k in self.users[buffer.number])
        )

    def _concatenate(self, step: Equation) -> None:
        shape = self.types[step.result].shape
        axis = step.static.get("axis", 0)
        if axis is None or not step.static.keys() <= {"axis"}:
            raise Unlowered
        axis %= len(shape)
        result = self._new(step.result)
        if any(c_type(self.types[k]) != result.kind for k in step.operands):
            raise Unlowered
        result.stored = result.updated = True
        ghost, start = self.places[step.result].ghost, 0
        for k in step.operands:
            part = self.types[k].shape
            at = self._at(result, ghost[(slice(None),) * axis + (slice(start, start + part[axis]),)])
            self._add(Update(at, False, self.read(k, part), self.said), squeezed(part))
            start += part[axis]
