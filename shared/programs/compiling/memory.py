"""Where the values of a program lie: which of them share memory, and which can use the same buffer one after the other.

An array that an equation makes is a root: it has memory of its own.  A view shares that of its roots; an assignment
changes its array in place if nobody needs the old contents.  A root is pooled (a buffer that is allocated once, and
used again by another root when it is dead) unless it leaves the program as a result.  This module knows no source text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from shared.programs.compiling.numpy_text import FLOAT64, REDUCTIONS, ufunc_of
from shared.programs.compiling.stretches import ScheduledStep, Stretch
from shared.programs.parts import Equation, Write
from shared.programs.program import Program
from shared.rules import indexing, shapes
from shared.rules.sharing import is_basic

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
    """The equations of a step: one, those of a stretch, or none of a guard."""
    if isinstance(step, Equation):
        return (step,)
    return step.equations if isinstance(step, Stretch) else ()
