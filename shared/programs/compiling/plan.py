"""The plan of a compiled program: which equations are fused to one loop, and where every value lies.

*Fused loops.*  A large array does not fit the processor's caches, so each operation on it waits for memory.  A fused
loop takes a block of rows through all its equations before the next block, with what they pass on in small arrays that
stay in the cache; only what others need is written out in full.  Blocks are independent, so two threads share the
largest loops: NumPy releases Python's lock while it computes.

*Memory.*  An array that an equation makes is a root: it has memory of its own.  A view shares that of its roots; an
assignment changes its array in place if nobody needs the old contents.  A root is pooled (a buffer that is allocated
once, and used again by another root when it is dead) unless it leaves the program as a result.

This module knows no source text.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence

import numpy as np

from shared.programs.compiling.numpy_text import FLOAT64, REDUCTIONS, ufunc_of
from shared.programs.equations import Equation, Step, Write
from shared.programs.program import Program
from shared.rules import indexing, shapes
from shared.rules.aliasing import is_basic
from shared.rules.indexing import ADD_ONCE, ADD_TO_VIEW

#: Arrays of fewer elements fit the second cache anyway.  It has to exceed BLOCK: then a vector that is a fused loop by
#: itself is too long to be a row of another array of the fused loop, which would be read whole and not by rows.
SMALLEST = 1 << 16
#: Elements of a block: 128 KB of float64.
BLOCK = 1 << 14
#: Elements of all small arrays of a fused loop together: 7 MB of float64 a thread.  Shorter blocks cost more calls.
TEMPORARIES = 900_000
#: Elements times equations from which on starting a thread costs less than it saves.
FOR_TWO_THREADS = 1 << 22
#: A fused loop ends where it could take none of so many steps.
_LOOK_AHEAD = 100


class FusedLoop:
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

    def settle(self, readers: Counter[int]) -> FusedLoop:
        """Note what is read from outside, and what of its results is read there; `readers` counts all that read."""
        inside = Counter(k for e in self.equations for k in e.operands)
        self.escaping = [e.result for e in self.elementwise if readers[e.result] > inside[e.result]]
        made = {e.result for e in self.equations}
        self.operands = tuple(k for k in inside if k not in made)
        return self


#: A step of a program whose steps have been put in order.
ScheduledStep = Step | FusedLoop

# --- the order of the steps -------------------------------------------------------------------------------------------


def scheduled(program: Program) -> list[ScheduledStep]:
    """The steps of a program in an order in which equations of a fused loop stand together, as one step.

    A fused loop takes what can be computed before or in it; what needs its sums, or another arrangement of its arrays,
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
        """All steps, some of them in fused loops."""
        found: list[ScheduledStep] = []
        while self.remaining:
            first = self.remaining[0]
            fused = self._fused(self.rows[first.result], found) if first.result in self.rows else None
            found.append(self.remaining.popleft() if fused is None else fused)
        return found

    def _fused(self, rows: int, found: list[ScheduledStep]) -> FusedLoop | None:
        """The loop that begins here, when all that comes before it is among the steps found; None if it is short."""
        gathering = _Gathering(self, rows)
        seen: list[Step] = []
        idle = 0
        while self.remaining and idle < _LOOK_AHEAD:
            step = self.remaining.popleft()
            seen.append(step)
            idle = 0 if gathering.takes(step) else idle + 1
        fused = gathering.fused
        if len(fused.equations) < 2:
            self.remaining.extendleft(reversed(seen))
            return None
        found += gathering.before
        self.remaining.extendleft(reversed(gathering.after))
        return fused.settle(self.readers)


class _Gathering:
    """A fused loop that takes one step after another, and the steps that have to come before and after it."""

    def __init__(self, schedule: _Schedule, rows: int):
        self.program = schedule.program
        self.readers = schedule.readers
        self.rows = schedule.rows
        self.fused = FusedLoop(rows)
        self.before: list[Step] = []
        self.after: list[Step] = []
        #: results that are there by rows, those that are there after the fused loop, and arrays that it adds to
        self.made: set[int] = set()
        self.late: set[int] = set()
        self.written: set[int] = set()

    def takes(self, step: Step) -> bool:
        """Put a step where it belongs; returns whether that is the fused loop."""
        fused, operands = self.fused, step.operands
        if isinstance(step, Equation):
            if self.late.isdisjoint(operands):
                if self.rows.get(step.result) == fused.rows:
                    fused.elementwise.append(step)
                    self.made.add(step.result)
                    return True
                if not self.made.isdisjoint(operands) and _is_sum(self.program, step):
                    fused.sums.append(step)
                    self.late.add(step.result)
                    return True
            if self._is_addition(step):
                fused.writes.append(step)
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
        """Whether it adds rows of the loop to a part of an array of zeros, or of one that others were added to."""
        if not isinstance(step.primitive, Write) or step.primitive.updating not in (ADD_ONCE, ADD_TO_VIEW):
            return False
        types, literals = self.program.types, self.program.literals
        buffer, value = step.operands[:2]
        literal = literals.get(buffer)
        fresh = isinstance(literal, np.ndarray) and literal.size > 0 and not literal.any()
        index = [literals.get(k) for k in step.operands[2:]]
        return (
            value in self.made
            and types[value].shape[0] == self.fused.rows
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


#: What is made once of a buffer, and stays a view of it.
VIEWS = frozenset((shapes.RESHAPE.function, shapes.TRANSPOSE.function, np.broadcast_to))
_FLOATS = (float, np.float64)
_TRUTHS = (bool, np.bool_)
_NOWHERE: frozenset[int] = frozenset()
#: What may be a view of one of more roots than this is copied, so that a long chain of such keeps few of them alive.
_MOST_ROOTS = 32


class Memory:
    """The memory of every value of a program whose steps are taken in the order given."""

    def __init__(self, program: Program, steps: Sequence[ScheduledStep]):
        self.program = program
        self.steps = steps
        #: values that are kept as Python floats, and as Python truth values
        self.floats = self._kept_as_floats()
        self.truths = {k for k, type_ in enumerate(program.types) if type_.kind in _TRUTHS}
        self.given = {*program.inputs, *program.literals, *program.captured}
        #: the roots whose memory a value may share
        self.roots: dict[int, frozenset[int]] = {k: frozenset((k,)) for k in self.given}
        #: how each array comes to be (see `_kind_of`)
        self.kinds: dict[int, str] = {}
        #: values that are all of a root's memory
        self.whole: set[int] = set(self.given)
        #: assignments that change their root: the result is the same root
        self.in_place: set[int] = set()
        #: roots that have a buffer, as opposed to memory that NumPy allocates in the call
        self.buffered: set[int] = set()
        #: the last position at which a root's memory is read
        self.ends: dict[int, int] = {}
        self._find_roots()
        #: the roots that end at each position
        self.ending: dict[int, list[int]] = {}
        for root, position in self.ends.items():
            self.ending.setdefault(position, []).append(root)
        #: arrays that are returned as they are, and their roots
        self.results = self._returned()
        self.leaving = {self.root(k) for k in self.results}

    def is_number(self, number: int) -> bool:
        """Whether a value is kept as one of Python's: a float or a truth value."""
        return number in self.floats or number in self.truths

    def root(self, number: int) -> int:
        """The one root of a value that is an array of its own, or the result of an assignment in place."""
        found = self.roots.get(number)
        return next(iter(found)) if found is not None and len(found) == 1 else number

    def is_basic(self, number: int) -> bool:
        """Whether an index is a literal that selects a view."""
        return number in self.program.literals and is_basic((self.program.literals[number],))

    def _kept_as_floats(self) -> set[int]:
        # What is assigned to has to be an array, even without axes.
        assigned: set[int] = set()
        for equation in self.program.equations:
            if isinstance(equation.primitive, Write):
                assigned.update((equation.operands[0], equation.result))
        return {
            k
            for k, type_ in enumerate(self.program.types)
            if (type_.kind in _FLOATS or (type_.is_array and type_.shape == () and type_.dtype == FLOAT64))
            and k not in assigned
        }

    def _last_uses(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for position, step in enumerate(self.steps):
            for k in step.operands:
                found[k] = position
        for k in self.program.outputs:
            found[k] = len(self.steps)
        return found

    def _find_roots(self) -> None:
        types, roots, last_uses = self.program.types, self.roots, self._last_uses()
        for root in self.given:
            self.ends[root] = last_uses.get(root, -1)
        for position, step in enumerate(self.steps):
            for equation in _equations(step):
                number = equation.result
                if self.is_number(number) or not types[number].is_array:
                    roots[number] = _NOWHERE
                    continue
                self._find_root(equation, position)
                for root in roots[number]:
                    self.ends[root] = max(self.ends.get(root, -1), last_uses.get(number, -1))

    def _find_root(self, equation: Equation, position: int) -> None:
        number, roots = equation.result, self.roots
        self.kinds[number] = kind = self._kind_of(equation)
        if kind == "write":
            self._assign(equation, position)
        elif kind == "view":
            roots[number] = roots.get(equation.operands[0], _NOWHERE)
        elif kind == "unknown":
            # It may be a view of any operand, or memory of its own.
            roots[number] = frozenset((number,)).union(*[roots.get(k, _NOWHERE) for k in equation.operands])
            if len(roots[number]) > _MOST_ROOTS:
                self.kinds[number] = "copied"
                roots[number] = frozenset((number,))
        else:
            roots[number] = frozenset((number,))
            self.whole.add(number)
            if kind == "out":
                self.buffered.add(number)

    def _assign(self, equation: Equation, position: int) -> None:
        number, buffer = equation.result, equation.operands[0]
        roots = self.roots.get(buffer, _NOWHERE)
        root = self.root(buffer)
        self.whole.add(number)
        if (
            len(roots) == 1
            and buffer in self.whole
            and root not in self.given
            and self.ends[root] <= position
            and not any(root in self.roots.get(k, _NOWHERE) for k in equation.operands[2:])
        ):
            self.in_place.add(number)
            self.roots[number] = roots
        else:
            self.roots[number] = frozenset((number,))
            self.buffered.add(number)

    def _kind_of(self, equation: Equation) -> str:
        """How an array comes to be: write, view, out (into a given array), fresh or unknown (a view, or fresh)."""
        primitive = equation.primitive
        if isinstance(primitive, Write):
            return "write"
        if ufunc_of(primitive) is not None and not equation.static:
            return "out"
        function = primitive.function
        if function in VIEWS:
            return "view"
        if function is indexing.GETITEM.function:
            parts = equation.operands[1:]
            if all(self.is_basic(k) for k in parts):
                return "view"
            # NumPy's integers select views, too.
            return "fresh" if any(self.program.types[k].is_array for k in parts) else "unknown"
        if function in REDUCTIONS or function is np.copy:
            return "out"
        if function is np.matmul and all(self.program.types[k].shape for k in equation.operands):
            dtype = self.program.types[equation.result].dtype
            return "out" if dtype is not None and dtype.kind in "fc" else "fresh"
        return "fresh" if primitive.memory == "fresh" else "unknown"

    def _returned(self) -> set[int]:
        outputs = set(self.program.outputs)
        owners = Counter(self.root(k) for k in outputs if k in self.roots)
        return {
            k
            for k in outputs
            if k in self.whole
            and k not in self.given
            and len(self.roots.get(k, _NOWHERE)) == 1
            and owners[self.root(k)] == 1  # otherwise two results would share memory
        }


def _equations(step: ScheduledStep) -> Sequence[Equation]:
    """The equations of a step: one, those of a fused loop, or none of a guard."""
    if isinstance(step, Equation):
        return (step,)
    return step.equations if isinstance(step, FusedLoop) else ()
