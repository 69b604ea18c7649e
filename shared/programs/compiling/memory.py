"""Where the values of a program lie: which of them share memory, and which can use the same buffer one after the other.

An array that an equation makes is a root: it has memory of its own.  A view shares that of its roots; an assignment
changes its array in place if nobody needs the old contents.  A root is pooled (a buffer that is allocated once, and
used again by another root when it is dead) unless it leaves the program as a result.  This module knows no source text.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.programs.compiling.numpy_text import FRESH, REDUCTIONS, ufunc_of
from shared.programs.program import Equation, Program, ValueType, Write
from shared.rules import indexing, shapes

VIEWS = frozenset((shapes.RESHAPE.function, shapes.TRANSPOSE.function, np.broadcast_to))
_FLOATS = (float, np.float64)
_BASIC = (int, slice, type(None), type(Ellipsis))


class Memory:
    """The memory of every value of a program whose steps are taken in the order given."""

    def __init__(self, program: Program, steps: Sequence[Any]):
        self.program = program
        self.steps = steps
        written = {e.operands[0] for e in program.equations if isinstance(e.primitive, Write)}
        written |= {e.result for e in program.equations if isinstance(e.primitive, Write)}
        #: values that are kept as Python floats, and as Python truth values
        self.floats = {
            k
            for k, t in enumerate(program.types)
            if k not in written and (t.kind in _FLOATS or (t.is_array and t.shape == () and t.dtype == np.float64))
        }
        self.truths = {k for k, t in enumerate(program.types) if t.kind in (bool, np.bool_)}
        self.given = {*program.inputs, *program.literals, *program.captured}
        self.last_use = self._last_uses()
        #: the roots whose memory a value may share
        self.roots: dict[int, frozenset[int]] = {k: frozenset((k,)) for k in self.given}
        #: roots that an assignment may change, by the equation's result: that result is the same root
        self.in_place: set[int] = set()
        #: roots that have a buffer, as opposed to memory that NumPy allocates in the call
        self.buffered: set[int] = set()
        self._find_roots()
        #: the last position at which a root's memory is read
        self.root_last_use = self._root_last_uses()
        #: the roots that end at each position
        self.ending: dict[int, list[int]] = {}
        for root, position in self.root_last_use.items():
            self.ending.setdefault(position, []).append(root)
        outputs = list(program.outputs)
        self.results = {
            k
            for k in outputs
            if self.roots.get(k) == frozenset((self.root(k),)) and not self.is_view(k) and k not in self.given
        }
        #: roots that leave the program as they are
        self.leaving = {self.root(k) for k in self.results if outputs.count(k) >= 1}
        for root in self.leaving:
            if sum(self.root(k) == root for k in set(outputs) if k in self.roots) > 1:
                self.results -= {k for k in self.results if self.root(k) == root}
        self.leaving = {self.root(k) for k in self.results}

    def root(self, number: int) -> int:
        """The one root of a value that is an array of its own, or the result of an assignment in place."""
        found = self.roots.get(number)
        return next(iter(found)) if found is not None and len(found) == 1 else number

    def is_view(self, number: int) -> bool:
        """Whether a value shares memory without being the root or the root after an assignment."""
        return number not in self.whole

    def _last_uses(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for position, step in enumerate(self.steps):
            for k in step.operands:
                found[k] = position
        for k in self.program.outputs:
            found[k] = len(self.steps)
        return found

    def _find_roots(self) -> None:
        types = self.program.types
        #: values that are all of a root's memory
        self.whole: set[int] = set(self.given)
        viewers: dict[int, list[int]] = {}
        for position, step in enumerate(self.steps):
            for equation in equations_of(step):
                number = equation.result
                if number in self.floats or number in self.truths or not types[number].is_array:
                    self.roots[number] = frozenset()
                    continue
                shared = frozenset().union(*[self.roots.get(k, frozenset()) for k in equation.operands])
                kind = self.kind_of(equation)
                if kind == "write":
                    self._write(equation, position, viewers)
                elif kind == "view":
                    self.roots[number] = self.roots.get(equation.operands[0], frozenset())
                elif kind == "unknown":
                    # It may be a view of any operand, or memory of its own.
                    self.roots[number] = shared | {number}
                else:
                    self.roots[number] = frozenset((number,))
                    self.whole.add(number)
                    if kind == "out":
                        self.buffered.add(number)
                for root in self.roots[number]:
                    viewers.setdefault(root, []).append(number)

    def _write(self, equation: Equation, position: int, viewers: dict[int, list[int]]) -> None:
        number, buffer = equation.result, equation.operands[0]
        roots = self.roots.get(buffer, frozenset())
        root = self.root(buffer)
        free = (
            len(roots) == 1
            and buffer in self.whole
            and root not in self.given
            and all(self.last_use.get(k, -1) <= position for k in viewers.get(root, []))
            and not any(root in self.roots.get(k, ()) for k in equation.operands[2:])
        )
        self.whole.add(number)
        if free:
            self.in_place.add(number)
            self.roots[number] = roots
        else:
            self.roots[number] = frozenset((number,))
            self.buffered.add(number)

    def kind_of(self, equation: Equation) -> str:
        """How an array comes to be: write, view, out (into a given array), fresh or unknown."""
        primitive = equation.primitive
        if isinstance(primitive, Write):
            return "write"
        result = self.program.types[equation.result]
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
        if function is np.matmul and min(len(self.program.types[k].shape) for k in equation.operands) > 0:
            return "out" if result.dtype is not None and result.dtype.kind in "fc" else "fresh"
        return "fresh" if function in FRESH or primitive.elementwise else "unknown"

    def is_basic(self, number: int) -> bool:
        """Whether an index is a literal that selects a view."""
        return number in self.program.literals and isinstance(self.program.literals[number], _BASIC)

    def _root_last_uses(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for number, roots in self.roots.items():
            used = self.last_use.get(number, -1)
            for root in roots:
                found[root] = max(found.get(root, -1), used)
        return found


def equations_of(step: Any) -> Sequence[Equation]:
    """The equations of a step: one, those of a stretch, or none of a guard."""
    if isinstance(step, Equation):
        return (step,)
    return getattr(step, "equations", ())


class Buffers:
    """Hands out buffers by size: what one root has left, the next of the same dtype takes."""

    def __init__(self) -> None:
        self.free: dict[np.dtype[Any], list[tuple[int, str]]] = {}
        #: name, dtype and number of elements of each
        self.made: list[tuple[str, np.dtype[Any], int]] = []

    def take(self, type_: ValueType) -> tuple[str, int]:
        """The name and size of a buffer that holds a value of this type."""
        assert type_.dtype is not None
        size, free = type_.size, self.free.setdefault(type_.dtype, [])
        fitting = [entry for entry in free if size <= entry[0] <= max(2 * size, 64)]
        if fitting:
            best = min(fitting)
            free.remove(best)
            return best[1], best[0]
        name = f"b{len(self.made)}"
        self.made.append((name, type_.dtype, size))
        return name, size

    def give(self, name: str, dtype: Any, size: int) -> None:
        """Take a buffer back whose contents are dead."""
        self.free.setdefault(dtype, []).append((size, name))
