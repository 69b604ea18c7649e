"""Stretches: runs of elementwise equations on large arrays, evaluated some rows at a time.

A large array does not fit the processor's caches, so each operation on it waits for memory.  A stretch takes a block
of rows through all its equations before the next block, with what they pass on in small arrays that stay in the cache;
only what others need is written out in full.  Blocks are independent, so two threads share the largest stretches: NumPy
releases Python's lock while it computes.  This module knows which equations stand together, and no text
(`shared.programs.compiling.blocks`).
"""

from __future__ import annotations

from collections import Counter, deque

import numpy as np

from shared.programs.compiling.numpy_text import REDUCTIONS, ufunc_of
from shared.programs.parts import Equation, Step, Write
from shared.programs.program import Program
from shared.rules.indexing import ADD_ONCE, ADD_TO_VIEW

#: Arrays of fewer elements fit the second cache anyway.  It has to exceed BLOCK: then a vector that is a stretch by
#: itself is too long to be a row of another array of the stretch, which would be read whole and not by rows.
SMALLEST = 1 << 16
#: Elements of a block: 128 KB of float64.
BLOCK = 1 << 14
#: Elements of all small arrays of a stretch together: 7 MB of float64 a thread.  Shorter blocks cost more calls.
TEMPORARIES = 900_000
#: Elements times equations from which on starting a thread costs less than it saves.
FOR_TWO_THREADS = 1 << 22
#: A stretch ends where it could take none of so many steps.
_LOOK_AHEAD = 100


class Stretch:
    """Some equations over arrays of the same number of rows, sums of what they compute, and additions of it."""

    result = None

    def __init__(self, rows: int):
        self.rows = rows
        #: the elementwise equations in order, the sums of all elements, and the additions to parts of new arrays
        self.elementwise: list[Equation] = []
        self.sums: list[Equation] = []
        self.writes: list[Equation] = []
        #: results of elementwise equations that are needed outside
        self.escaping: list[int] = []

    @property
    def equations(self) -> list[Equation]:
        """All of its equations."""
        return [*self.elementwise, *self.sums, *self.writes]

    def settle(self, readers: Counter[int]) -> Stretch:
        """Note what is read from outside, and what of its results is read there; `readers` counts all that read."""
        inside = Counter(k for e in self.equations for k in e.operands)
        self.escaping = [e.result for e in self.elementwise if readers[e.result] > inside[e.result]]
        made = {e.result for e in self.equations}
        self.operands = tuple(k for k in inside if k not in made)
        return self


#: A step of a program whose steps have been put in order.
ScheduledStep = Step | Stretch

# --- the order of the steps -------------------------------------------------------------------------------------------


def scheduled(program: Program) -> list[ScheduledStep]:
    """The steps of a program in an order in which equations of a stretch stand together, as one step.

    A stretch takes what can be computed before or in it; what needs its sums, or another arrangement of its arrays,
    comes after it.
    """
    if not any(type_.size >= SMALLEST for type_ in program.types if type_.is_array):
        return list(program.steps)
    return _Schedule(program).steps()


class _Schedule:
    """The steps that are still to be put in order, and what is known of them."""

    def __init__(self, program: Program):
        self.program = program
        self.remaining = deque(program.steps)
        self.readers = Counter(k for step in program.steps for k in step.operands)
        self.readers.update(program.outputs)
        #: the number of rows of each equation that can be evaluated row by row, by its result
        self.rows = {e.result: rows for e in program.equations if (rows := _rows_of(program, e))}

    def steps(self) -> list[ScheduledStep]:
        """All steps, some of them in stretches."""
        found: list[ScheduledStep] = []
        while self.remaining:
            first = self.remaining[0]
            stretch = self._stretch(self.rows[first.result], found) if first.result in self.rows else None
            found.append(self.remaining.popleft() if stretch is None else stretch)
        return found

    def _stretch(self, rows: int, found: list[ScheduledStep]) -> Stretch | None:
        """The stretch that begins here, when all that comes before it is among the steps found; None if it is short."""
        gathering = _Gathering(self, rows)
        seen: list[Step] = []
        idle = 0
        while self.remaining and idle < _LOOK_AHEAD:
            step = self.remaining.popleft()
            seen.append(step)
            idle = 0 if gathering.takes(step) else idle + 1
        stretch = gathering.stretch
        if len(stretch.equations) < 2:
            self.remaining.extendleft(reversed(seen))
            return None
        found += gathering.before
        self.remaining.extendleft(reversed(gathering.after))
        return stretch.settle(self.readers)


class _Gathering:
    """A stretch that takes one step after another, and the steps that have to come before and after it."""

    def __init__(self, schedule: _Schedule, rows: int):
        self.program = schedule.program
        self.readers = schedule.readers
        self.rows = schedule.rows
        self.stretch = Stretch(rows)
        self.before: list[Step] = []
        self.after: list[Step] = []
        #: results that are there by rows, those that are there after the stretch, and arrays that it adds to
        self.made: set[int] = set()
        self.late: set[int] = set()
        self.written: set[int] = set()

    def takes(self, step: Step) -> bool:
        """Put a step where it belongs; returns whether that is the stretch."""
        stretch, operands = self.stretch, step.operands
        if isinstance(step, Equation):
            if self.late.isdisjoint(operands):
                if self.rows.get(step.result) == stretch.rows:
                    stretch.elementwise.append(step)
                    self.made.add(step.result)
                    return True
                if not self.made.isdisjoint(operands) and _is_sum(self.program, step):
                    stretch.sums.append(step)
                    self.late.add(step.result)
                    return True
            if self._is_addition(step):
                stretch.writes.append(step)
                self.late.add(step.result)
                self.written.add(step.result)
                return True
        if self.made.isdisjoint(operands) and self.late.isdisjoint(operands):
            self.before.append(step)
        else:
            self.after.append(step)
            if step.result is not None:
                self.late.add(step.result)
        return False

    def _is_addition(self, step: Equation) -> bool:
        """Whether it adds rows of the stretch to a part of an array of zeros, or of one that others were added to."""
        if not isinstance(step.primitive, Write) or step.primitive.updating not in (ADD_ONCE, ADD_TO_VIEW):
            return False
        types, literals = self.program.types, self.program.literals
        buffer, value = step.operands[:2]
        literal = literals.get(buffer)
        fresh = isinstance(literal, np.ndarray) and literal.size > 0 and not literal.any()
        index = [literals.get(k) for k in step.operands[2:]]
        return (
            value in self.made
            and types[value].shape[0] == self.stretch.rows
            and (fresh or (buffer in self.written and self.readers[buffer] == 1))
            and len(step.static["lengths"]) == 1
            and isinstance(index[0], slice)
            and all(part is Ellipsis or isinstance(part, slice) for part in index)
            and np.broadcast_to(np.empty(()), types[buffer].shape)[tuple(index)].shape == types[value].shape
        )


def _rows_of(program: Program, step: Equation) -> int:
    """The number of rows of an equation that can be evaluated row by row; 0 of any other."""
    result = program.types[step.result]
    if result.size < SMALLEST or not result.is_array or result.size // result.shape[0] > BLOCK:
        return 0
    if step.static or ufunc_of(step.primitive) is None:
        return 0
    rows = result.shape[0]
    for k in step.operands:
        type_ = program.types[k]
        if len(type_.shape) == len(result.shape) and type_.shape[0] not in (rows, 1):
            return 0
    return rows


def _is_sum(program: Program, step: Equation) -> bool:
    """Whether a step is the sum of all elements of an array, as a float64."""
    if isinstance(step.primitive, Write) or len(step.operands) != 1:
        return False
    if REDUCTIONS.get(step.primitive.function) is not np.add:
        return False
    operand, result = program.types[step.operands[0]], program.types[step.result]
    axis = step.static.get("axis")
    whole = axis is None or (len(operand.shape) == 1 and axis in (0, -1, (0,)))
    return whole and not step.static.get("keepdims") and result.kind is np.float64 and operand.dtype == np.float64
