"""Stretches as text: a function that evaluates some equations for a range of rows, one block after another.

What blocks pass on lies in small arrays; what others need, in arrays for all rows.  This module knows no derivative,
and nothing of which equations stand together (`shared.programs.compiling.stretches`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.programs.compiling import stretches
from shared.programs.compiling.buffers import Buffers
from shared.programs.compiling.literals import Definition
from shared.programs.compiling.numpy_text import allocation, dtype_text, output_text, ufunc_of
from shared.programs.compiling.scope import Scope
from shared.programs.compiling.stretches import Stretch
from shared.programs.parts import Equation, ValueType


def write_stretch(scope: Scope, buffers: Buffers, stretch: Stretch) -> None:
    """Write a stretch as a function of a range of rows, and its call."""
    written = _Written(scope, buffers, stretch)
    scope.head += ["", "", *written.definition(), "", ""]
    scope.body += written.calls()


class _Written:
    """A stretch as a function: what it is given, and the lines for one block of rows."""

    def __init__(self, scope: Scope, buffers: Buffers, stretch: Stretch):
        self.scope = scope
        self.buffers = buffers
        self.stretch = stretch
        self.name = f"stretch{scope.stretches}"
        scope.stretches += 1
        #: the parameters beside the range of rows, each with what stands for it in the call
        self.parameters: dict[str, str] = {}
        #: those of them of which a block sees its own rows
        self.by_rows: list[str] = []
        #: by what names values stand outside, where it is otherwise inside
        self.outside: dict[int, str | None] = {}
        #: the names of small arrays that nothing needs any more, by dtype and shape
        self.free: dict[Any, list[str]] = {}
        self.temporaries: dict[str, ValueType] = {}
        full = {k: self._full(k) for k in stretch.escaping}
        self._take_operands()
        for k, name in full.items():
            self._take(name, k)
        self._take_targets()
        self.lines = self._lines()
        for k, outer in self.outside.items():
            if outer is None:
                del scope.names[k]
            else:
                scope.names[k] = outer
        self.width = max(scope.types[e.result].size // stretch.rows for e in stretch.elementwise)
        elements = min(stretches.BLOCK, stretches.TEMPORARIES // max(len(self.temporaries), 1))
        elements = max(elements, stretches.BLOCK // 16)
        self.block = max(1, elements // self.width)
        self.totals = [f"v{e.result}" for e in stretch.sums]

    # --- parameters ---

    def _take(self, name: str, number: int | None = None) -> None:
        """Make an array a parameter; if it stands for a value, a block sees its rows as that value."""
        self.parameters[name] = name
        if number is not None:
            self.by_rows.append(name)
            self._call_inside(number, f"{name}_rows")

    def _call_inside(self, number: int, name: str) -> None:
        """Let a value stand by another name inside."""
        self.outside.setdefault(number, self.scope.names.get(number))
        self.scope.names[number] = name

    def _take_operands(self) -> None:
        scope, types, rows = self.scope, self.scope.types, self.stretch.rows
        readers: dict[int, list[Equation]] = {}
        for e in self.stretch.elementwise:
            for k in e.operands:
                readers.setdefault(k, []).append(e)
        for k in self.stretch.operands:
            literal, shape = scope.literals.get(k), types[k].shape
            if k in scope.literals and not (isinstance(literal, np.ndarray) and any(literal.strides)):
                continue
            if k in scope.memory.floats:
                for e in readers[k]:
                    self._take(scope.number_beside(k, e))
            else:
                by_rows = shape and shape[0] == rows
                by_rows = by_rows and any(len(types[e.result].shape) == len(shape) for e in readers.get(k, ()))
                self._take(scope.name(k), k if by_rows else None)

    def _full(self, number: int) -> str:
        """The name of an array for all rows of a result."""
        target = self.buffers.target(number)
        if target is None:
            target = f"v{number}"
            self.scope.assign(number, allocation("empty", self.scope.types[number]))
        return target

    def _take_targets(self) -> None:
        """For every addition, the part that it changes of an array of zeros, which is made before the stretch."""
        scope = self.scope
        targets: dict[int, str] = {}
        for e in self.stretch.writes:
            target = targets.get(e.operands[0])
            if target is None:
                target = self.buffers.target(e.result)
                if target is None:
                    target = f"v{e.result}"
                    scope.assign(e.result, allocation("zeros", scope.types[e.result]))
                else:
                    scope.body.append(f"{target}.fill(0)")
            targets[e.result] = scope.names[e.result] = target
        for e in self.stretch.writes:
            part = ", ".join(scope.name(k) for k in e.operands[2:])
            self.parameters[f"part{e.result}"] = f"{targets[e.result]}[{part}]"
            self.by_rows.append(f"part{e.result}")

    # --- one block ---

    def _lines(self) -> list[str]:
        """The lines for one block, which use small arrays."""
        scope, elementwise, escaping = self.scope, self.stretch.elementwise, set(self.stretch.escaping)
        last_use = {k: at for at, e in enumerate(elementwise) for k in e.operands}
        passing = {e.result for e in elementwise} - escaping
        uses = self._uses()
        lines: list[str] = []
        for at, e in enumerate(elementwise):
            ufunc = ufunc_of(e.primitive)
            assert ufunc is not None  # otherwise it could not be evaluated by rows
            opening = f"np.{ufunc.__name__}({scope.beside_arrays(e, into=True)}"
            if e.result in passing:
                for k in dict.fromkeys(e.operands):
                    if k in passing and last_use[k] == at:
                        self._give_back(k)
                self._call_inside(e.result, self._temporary(scope.types[e.result]))
            name = scope.names[e.result]
            lines.append(f"{opening}, {output_text(opening, name)})")
            lines += [line.format(name) for line in uses.get(e.result, ())]
            if e.result in passing and last_use.get(e.result, at) <= at:
                self._give_back(e.result)
        return lines

    def _temporary(self, type_: ValueType) -> str:
        """The name of a small array that may be written to."""
        spare = self.free.get((type_.dtype, type_.shape))
        name = spare.pop() if spare else f"t{len(self.temporaries)}"
        self.temporaries.setdefault(name, type_)
        return name

    def _give_back(self, number: int) -> None:
        type_ = self.scope.types[number]
        self.free.setdefault((type_.dtype, type_.shape), []).append(self.scope.names[number])

    def _uses(self) -> dict[int, list[str]]:
        """For each result that is summed or added, the lines that do so, with a place for its name."""
        found: dict[int, list[str]] = {}
        for e in self.stretch.sums:
            axis = "" if len(self.scope.types[e.operands[0]].shape) == 1 else ", None"
            found.setdefault(e.operands[0], []).append(f"v{e.result} += float(np.add.reduce({{}}{axis}))")
        for e in self.stretch.writes:
            found.setdefault(e.operands[1], []).append(f"np.add(part{e.result}_rows, {{}}, part{e.result}_rows)")
        return found

    # --- the function and its call ---

    def definition(self) -> list[str]:
        """The lines of the function."""
        block = self.block
        rows = [f"def {self.name}({', '.join(['first', 'last', *self.parameters])}):"]
        for name, type_ in self.temporaries.items():
            rows.append(f"    {name} = np.empty({(block, *type_.shape[1:])}, {dtype_text(type_)})")
        rows += [f"    {total} = 0.0" for total in self.totals]
        rows.append(f"    for start in range(first, last, {block}):")
        rows.append(f"        rows = slice(start, min(start + {block}, last))")
        if self.temporaries:
            rows.append(f"        if last - start < {block}:")
            rows += [f"            {name} = {name}[: last - start]" for name in self.temporaries]
        rows += [f"        {name}_rows = {name}[rows]" for name in self.by_rows]
        rows += [f"        {line}" for line in self.lines]
        if self.totals:
            rows.append(f"    return {', '.join(self.totals)}")
        return rows

    def calls(self) -> list[str]:
        """The lines that call the function: in two threads where that is worth it."""
        stretch, totals = self.stretch, self.totals
        values = "".join(f", {value}" for value in self.parameters.values())
        size = stretch.rows * self.width * len(stretch.equations)
        # Two threads that add to overlapping parts of one array would disturb each other.
        if stretch.writes or size < stretches.FOR_TWO_THREADS or stretch.rows < 4 * self.block:
            call = f"{self.name}(0, {stretch.rows}{values})"
            return [f"{', '.join(totals)} = {call}" if totals else call]
        self.scope.namespace.definitions["in_two_threads"] = _IN_TWO_THREADS
        middle = (stretch.rows // self.block // 2) * self.block
        halves = f"in_two_threads({self.name}, {middle}, {stretch.rows}{values})"
        if not totals:
            return [halves]
        first = f"first, second = {halves}"
        if len(totals) == 1:
            return [first, f"{totals[0]} = first + second"]
        return [first, f"{', '.join(totals)} = [a + b for a, b in zip(first, second)]"]


_IN_TWO_THREADS = Definition('''def in_two_threads(stretch, middle, last, *arrays):
    """The results of a stretch for the rows before and after the middle."""
    found = []
    state = np.geterr()

    def run():
        try:
            with np.errstate(**state):
                found.append((stretch(0, middle, *arrays), None))
        except BaseException as error:
            found.append((None, error))

    other = threading.Thread(target=run)
    other.start()
    try:
        second = stretch(middle, last, *arrays)
    finally:
        other.join()
    first, error = found[0]
    if error is not None:
        raise error
    return first, second''')
