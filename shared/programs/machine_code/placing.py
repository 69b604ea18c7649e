"""Where values of a program lie, and the kernels that compute them: what lowering is built upon.

A statement goes into the first loop over its domain that comes after all it needs, or into the very loop that computes
what it needs at the same element.  Where a value lies is a buffer and a ghost: an array of bytes that nobody reads, at
the value's offset in a pool and with its strides, to which NumPy itself applies an index, a transpose or a reshape.
This module knows no equations.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from shared.programs.machine_code.kernels import (
    Buffer,
    Compute,
    Constant,
    Kernel,
    Operand,
    Product,
    Read,
    Statement,
    Stretch,
    Update,
    contiguous,
    squeezed,
)
from shared.programs.machine_code.operations import INDEX_DTYPE, c_type
from shared.programs.program import Program

#: A loop of more statements is split: its variables would not fit anywhere.
MOST_STATEMENTS = 4000
#: So many assignments in one loop may each need an array of a block on the stack.
MOST_UPDATES = 64
#: Integers up to here are floats.
_EXACT = 2**53
_LITERALS = (int, float, bool, np.float64, np.float32, np.bool_)
#: The kinds of numbers that C computes with.
NUMBERS = (float, np.float64, np.float32, bool, np.bool_)


class Place(NamedTuple):
    """Where a value lies: in a buffer, at the address of the ghost within the pool, with the strides of the ghost."""

    buffer: Buffer
    ghost: np.ndarray


class Unlowered(Exception):
    """An equation that looked like one for C and is not."""


class Placing:
    """The values of a program, and the kernels of the stretch that is being made."""

    stretch: Stretch

    def __init__(self, program: Program):
        self.program = program
        self.types = program.types
        self.reset()

    def reset(self) -> None:
        """Forget all places and kernels."""
        self.pool = np.empty(max((t.size for t in self.types), default=1), np.uint8)
        self.address: int = self.pool.__array_interface__["data"][0]
        self.places: dict[int, Place] = {}
        #: the values whose places lie in each buffer
        self.users: dict[int, list[int]] = {}
        self.buffers = 0
        self.stretches = 0
        #: the numbers that are handed out, in the order of their places in a workspace
        self.slots: list[int] = []
        #: what is said of the statements that are being added
        self.said = ""

    def is_number(self, number: int) -> bool:
        """Whether a value is a number that C computes with."""
        return self.types[number].kind in NUMBERS

    def begin(self) -> None:
        """Begin the next stretch."""
        self.stretch = Stretch(self.stretches)
        self.stretches += 1
        self.by_domain: dict[tuple[int, ...], list[int]] = {}

    def _buffer(self, kind: str, size: int, stretch: int | None = None) -> Buffer:
        self.buffers += 1
        return Buffer(self.buffers - 1, kind, size, self.stretch.number if stretch is None else stretch)

    def _new(self, number: int, kind: str | None = None) -> Buffer:
        """The buffer of a result, and the place of that."""
        type_ = self.types[number]
        buffer = self._buffer(kind or c_type(type_) or "", type_.size)
        self._set(number, Place(buffer, self.pool[: type_.size].reshape(type_.shape)))
        return buffer

    def _set(self, number: int, place: Place) -> None:
        self.places[number] = place
        self.users.setdefault(place.buffer.number, []).append(number)

    def place(self, number: int) -> Place:
        """Where a value lies; what is given from outside gets a buffer when it is first asked for."""
        found = self.places.get(number)
        if found is None:
            type_ = self.types[number]
            kind = "int64_t" if type_.dtype == INDEX_DTYPE and type_.is_array else c_type(type_)
            if kind is None or not type_.size:
                raise Unlowered
            buffer = self._buffer(kind, type_.size, -1)
            buffer.holder, buffer.is_number, buffer.stored = number, not type_.is_array, True
            ghost = self.pool[: type_.size].reshape(type_.shape)
            captured = self.program.captured.get(number)
            if captured is not None and captured.flags.fnc:
                buffer.is_fortran, ghost = True, self.pool[: type_.size].reshape(type_.shape[::-1]).T
            self._set(number, Place(buffer, ghost))
            found = self.places[number]
        return found

    def array(self, number: int) -> Place:
        """The place of an array that is taken apart: a uniform literal has none, and is written out."""
        constant, type_ = self.constant(number), self.types[number]
        if constant is None:
            return self.place(number)
        if not type_.is_array:
            raise Unlowered
        buffer = self._buffer(c_type(type_) or "", type_.size)
        self._compute("{0}", [constant], buffer.kind, buffer, type_.shape)
        buffer.stored = True
        return Place(buffer, self.pool[: type_.size].reshape(type_.shape))

    def constant(self, number: int) -> Constant | None:
        """A literal that is one number, or repeats one."""
        value = self.program.literals.get(number)
        if type(value) is int and abs(value) > _EXACT:
            return None
        if isinstance(value, np.ndarray):
            if value.size and not any(value.strides) and (value.dtype in (float, np.float32, bool)):
                return Constant(value.flat[0].item())
            return None
        return Constant(value.item() if isinstance(value, np.generic) else value) if type(value) in _LITERALS else None

    def read(self, number: int, shape: tuple[int, ...]) -> Operand:
        """A value as it is read for every element of a shape."""
        return self.constant(number) or self._read(self.place(number), shape)

    def _read(self, place: Place, shape: tuple[int, ...]) -> Read:
        if place.buffer.kind == "int64_t":
            raise Unlowered
        return self._at(place.buffer, np.broadcast_to(place.ghost, shape))

    def _at(self, buffer: Buffer, ghost: np.ndarray) -> Read:
        strides = tuple(s for s, n in zip(ghost.strides, ghost.shape, strict=True) if n != 1)
        return Read(buffer, ghost.__array_interface__["data"][0] - self.address, strides)

    def is_seen(self, number: int) -> bool:
        """Whether a value is a view of an array that Python has."""
        buffer = self.places[number].buffer
        return buffer.stretch < 0 and not buffer.is_number and self.types[number].is_array

    def _deliver(self, number: int) -> None:
        """See to it that Python gets a value: as a number, or as an array of its own."""
        place, type_ = self.places[number], self.types[number]
        buffer = place.buffer
        if self.is_number(number):
            slot = self._buffer(buffer.kind, 1)
            self._compute("{0}", [self._read(place, ())], slot.kind, slot, ())
            slot.slot = len(self.slots)
            self.slots.append(number)
            self.places[number] = Place(slot, self.pool[:1].reshape(()))
            return
        whole = place.ghost.flags.c_contiguous and place.ghost.size == buffer.size
        if not whole or buffer.stretch != self.stretch.number or buffer.holder is not None:
            copy = self._new(number)
            self._compute("{0}", [self._read(place, type_.shape)], copy.kind, copy, type_.shape)
            buffer = copy
        buffer.holder, buffer.stored = number, True

    # --- kernels ------------------------------------------------------------------------------------------------------

    def _is_local(self, read: Read, domain: tuple[int, ...]) -> bool:
        """Whether the kernel that made a buffer has an element in a variable where it is read."""
        buffer = read.buffer
        return (
            buffer.stretch == self.stretch.number
            and buffer.made >= 0
            and not buffer.updated
            and not read.terms
            and not read.offset
            and buffer.size == math.prod(domain)
            and read.strides == contiguous(domain)
            and self._domain_of(buffer.made) == domain
        )

    def _domain_of(self, at: int) -> tuple[int, ...] | None:
        kernel = self.stretch.kernels[at]
        return kernel.domain if isinstance(kernel, Kernel) else None

    def _after(self, read: Read, domain: tuple[int, ...]) -> int:
        """The first kernel in which a place can be read."""
        found = 0
        for buffer in read.buffers():
            if buffer.stretch == self.stretch.number:
                found = max(found, buffer.made + 1)
        return found - 1 if not read.terms and self._is_local(read, domain) else found

    def _add(self, statement: Statement, domain: tuple[int, ...], after: int = 0) -> int:
        """Put a statement into the first kernel that it fits into; returns which."""
        reads = [o for o in statement.operands if isinstance(o, Read)]
        if isinstance(statement, Update):
            for term, _, _ in statement.place.terms:
                after = max(after, self._after(term, domain))
        for read in reads:
            after = max(after, self._after(read, domain))
        found = self.by_domain.setdefault(domain, [])
        at = found[at_] if (at_ := bisect_left(found, after)) < len(found) else -1
        if at < 0 or self._is_full(self.stretch.kernels[at], statement):
            self.stretch.kernels.append(Kernel(domain))
            at = len(self.stretch.kernels) - 1
            found.append(at)
        kernel = self.stretch.kernels[at]
        assert isinstance(kernel, Kernel)
        for read in reads:
            local = read.buffer.made == at and self._is_local(read, domain)
            for buffer in read.buffers():
                buffer.read = max(buffer.read, at)
                if not local:
                    buffer.stored = True
        kernel.statements.append(statement)
        if statement.result is not None:
            statement.result.made = max(statement.result.made, at)
        return at

    @staticmethod
    def _is_full(kernel: Kernel | Product, statement: Statement) -> bool:
        assert isinstance(kernel, Kernel)
        found = kernel.statements
        if isinstance(statement, Update) and sum(isinstance(s, Update) for s in found) >= MOST_UPDATES:
            return True
        return len(found) >= MOST_STATEMENTS

    def _compute(self, expression: str, operands: Sequence[Operand], kind: str, result: Buffer, shape: Any) -> None:
        self._add(Compute(result, expression, tuple(operands), kind, self.said), squeezed(shape))
