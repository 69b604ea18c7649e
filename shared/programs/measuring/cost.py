"""What a recorded program costs: operations by kind, bytes moved, and bytes alive, per primitive and in all.

Everything is read off the program's types: nothing is run, and nothing is estimated.  Operations are those that each
primitive declares (`shared.core.facets`).  Bytes are those of a machine without caches: each equation reads its
operands once and writes its result once, views neither read nor write, and an assignment writes what it assigns.
Memory follows the program as it runs: a value lives from the equation that makes it to the last that uses it, views
share the memory of their array, and an assignment takes over the memory of an array that nobody else needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shared.core.assignment import SETITEM
from shared.core.errors import user_line
from shared.core.facets import KINDS, NOTHING, Count
from shared.core.visible import kind_of, one_line, shortened, shown
from shared.counting.assignments import elements_written
from shared.programs.equations import PART, Equation, Write
from shared.programs.notation import name_of
from shared.programs.program import Program
from shared.programs.tabulation import Tabulated
from shared.programs.tracing import trace
from shared.rules import indexing
from shared.rules.aliasing import is_view

#: Longer names are cut in the middle in a table.
_LONGEST = 60
_HEADERS = ("primitive", "calls", *KINDS, "operations", "read", "written", "alive at peak")


@dataclass(frozen=True, slots=True)
class PrimitiveCost:
    """What the equations of one primitive cost together, or all equations.

    `calls`: how many equations.  `count`: their operations by kind.  `bytes_read`, `bytes_written`: what they move.
    `bytes_alive`: how much of the memory that they allocate is alive when the program needs most.
    """

    name: str
    calls: int = 0
    count: Count = NOTHING
    bytes_read: int = 0
    bytes_written: int = 0
    bytes_alive: int = 0

    @property
    def operations(self) -> int:
        """The operations on the measure: an elementary function counts 10, anything else 1."""
        return self.count.operations

    def __add__(self, other: PrimitiveCost) -> PrimitiveCost:
        return PrimitiveCost(
            self.name,
            self.calls + other.calls,
            self.count + other.count,
            self.bytes_read + other.bytes_read,
            self.bytes_written + other.bytes_written,
            self.bytes_alive + other.bytes_alive,
        )

    def _row(self) -> list[Any]:
        kinds = [getattr(self.count, kind) for kind in KINDS]
        moved = [self.bytes_read, self.bytes_written, self.bytes_alive]
        return [shortened(self.name, _LONGEST), self.calls, *kinds, self.operations, *moved]


@dataclass(frozen=True, slots=True)
class Cost(Tabulated):
    """What a program costs: a mapping from the names of its primitives to a `PrimitiveCost` each; prints as a table.

    `total` is their sum; `operations`, `count`, `bytes_read` and `bytes_written` are its.  `peak_bytes` is the most
    memory that values of the program occupy at once, and `peak_at` the line of the user's code where they do;
    `given_bytes` is the memory of arguments, captured arrays and literals, which is not among them.
    """

    _headers: ClassVar[tuple[str, ...]] = _HEADERS

    name: str
    primitives: tuple[PrimitiveCost, ...]
    total: PrimitiveCost
    given_bytes: int
    peak_at: str

    @property
    def operations(self) -> int:
        """All operations, on the measure."""
        return self.total.operations

    @property
    def count(self) -> Count:
        """All operations by kind, without weights."""
        return self.total.count

    @property
    def bytes_read(self) -> int:
        """The bytes that all equations read."""
        return self.total.bytes_read

    @property
    def bytes_written(self) -> int:
        """The bytes that all equations write."""
        return self.total.bytes_written

    @property
    def peak_bytes(self) -> int:
        """The most bytes that values of the program, its arguments not among them, occupy at once."""
        return self.total.bytes_alive

    def __getitem__(self, name: str) -> PrimitiveCost:
        for found in self.primitives:
            if found.name == name:
                return found
        known = ", ".join(self) or "none"
        raise KeyError(f"{self.name} has no equation of {name!r}{user_line()}; its primitives are: {known}")

    def __iter__(self) -> Iterator[str]:
        return (found.name for found in self.primitives)

    def __len__(self) -> int:
        return len(self.primitives)

    def __contains__(self, name: object) -> bool:
        return any(found.name == name for found in self.primitives)

    def _caption(self) -> str:
        peak = f"{self.peak_bytes:,} bytes at the peak{self.peak_at}"
        return one_line(f"{self.name}: {self.operations:,} operations, {peak}")

    def _rows(self) -> list[list[Any]]:
        return [row._row() for row in (*self.primitives, self.total)]


def cost(f: Callable[..., Any] | Program, *args: Any, **kwargs: Any) -> Cost:
    """What `f(*args)` costs: operations by kind, bytes read and written, bytes alive at once; exact and deterministic.

    `f` is recorded on these arguments (see `trace`), or is a `Program`: then arguments may be left out.  It may be a
    derivative: `cost(reversead.grad(g), x)`.  The program is counted as it was recorded; `cost(simplify(p))` counts
    what simplification leaves.  The measure is the usual one (Griewank & Walther 2008, chapter 4; see
    `shared.core.facets`), and the raw counts by kind stand beside it.  What NumPy needs for itself within an
    operation is not seen, and neither are Python's own objects.

    Cost: one recording, and some microseconds an equation.  Raises what `trace` raises, and TypeError where `f` is no
    function.

    >>> found = cost(lambda x: np.sum(np.sin(x) * x), np.ones(5))
    >>> found.operations, found.count, found.peak_bytes
    (60, Count(add=5, multiply=5, elementary=5), 80)
    >>> found["sin"].operations, found["sin"].bytes_read
    (50, 40)
    """
    if isinstance(f, Program):
        if args or kwargs:
            f.bound(args, kwargs)
        return _Reading(f).cost()
    if not callable(f):
        raise TypeError(f"cost: expected a function or a program, not {shown(f)} (type {kind_of(f)}){user_line()}")
    return _Reading(trace(f, *args, **kwargs)).cost()


def alive_after(program: Program) -> list[int]:
    """The bytes alive after each equation, once what no later step and no output needs is freed.

    Cost: some microseconds an equation.

    >>> alive_after(trace(lambda x: np.sum(np.sin(x) * x), np.ones(5)))
    [40, 40, 8]
    """
    reading = _Reading(program)
    reading.cost()
    return reading.after


class _Reading:
    """One pass over a program: what each equation costs, and which memory is alive after it."""

    def __init__(self, program: Program):
        self.program = program
        #: the value whose memory a value lies in, and how many bytes of memory a value extends over
        self.root = list(range(len(program.types)))
        self.extent = [type_.nbytes for type_ in program.types]
        for number, literal in program.literals.items():
            self.extent[number] = _bytes_of_literal(literal)
        self.given = {*program.inputs, *program.literals, *program.captured}
        #: how many live values lie in a root's memory, and who made it
        self.users: dict[int, int] = {}
        self.maker: dict[int, str] = {}
        self.alive: dict[str, int] = {}
        self.at_peak: dict[str, int] = {}
        self.peak, self.peak_at, self.now = 0, "", 0
        #: the bytes alive after each equation
        self.after: list[int] = []

    def cost(self) -> Cost:
        program = self.program
        found: dict[str, PrimitiveCost] = {}
        for step, done in zip(program.steps, program.last_uses(), strict=True):
            if isinstance(step, Equation):
                name = name_of(step.primitive)
                one = self._equation(step, done, name)
                found[name] = found[name] + one if name in found else one
                if self.now > self.peak:
                    self.peak, self.peak_at, self.at_peak = self.now, step.where, dict(self.alive)
            for number in done:
                self._release(number)
            if isinstance(step, Equation):
                self.after.append(self.now)
        rows = [
            PrimitiveCost(row.name, row.calls, row.count, row.bytes_read, row.bytes_written, self.at_peak.get(name, 0))
            for name, row in found.items()
        ]
        rows.sort(key=lambda row: -row.operations)
        total = PrimitiveCost("total")
        for row in rows:
            total = total + row
        return Cost(program.name, tuple(rows), total, sum(self.extent[k] for k in self.given), self.peak_at)

    # --- one equation ---

    def _equation(self, equation: Equation, done: tuple[int, ...], name: str) -> PrimitiveCost:
        types, literals = self.program.types, self.program.literals
        operands = [literals[k] if k in literals else types[k] for k in equation.operands]
        primitive, out = equation.primitive, types[equation.result]
        count = primitive.count(out, operands, equation.static)
        if isinstance(primitive, Write):
            read, written = self._write(equation, operands, done, name)
        elif out.is_array and is_view(primitive, operands) and types[equation.operands[0]].is_array:
            self._share(equation.result, equation.operands[0])
            read = written = 0
        elif primitive is PART:
            # Its tuple has no memory of its own: the parts are what was computed.
            self._allocate(equation.result, name)
            read = written = 0
        elif primitive.function is indexing.GETITEM.function:
            self._allocate(equation.result, name)
            written = out.nbytes
            read = written + sum(self.extent[k] for k in set(equation.operands[1:]))
        else:
            self._allocate(equation.result, name)
            read, written = sum(self.extent[k] for k in set(equation.operands)), self.extent[equation.result]
        return PrimitiveCost(name, 1, count, read, written)

    def _write(self, equation: Equation, operands: list[Any], done: tuple[int, ...], name: str) -> tuple[int, int]:
        buffer, value, *index = equation.operands
        out = self.program.types[equation.result]
        itemsize = 0 if out.dtype is None else out.dtype.itemsize
        written = elements_written(out.shape, operands[2:], equation.static["lengths"]) * itemsize
        read = self.extent[value] + sum(self.extent[k] for k in set(index))
        if equation.primitive.updating is not SETITEM:
            read += written
        if buffer in done and self.root[buffer] == buffer and self.users.get(buffer) == 1:
            self._share(equation.result, buffer)
            # An array that was written to in place is still one that owns its memory.
            self._rename(buffer, equation.result)
        else:
            self._allocate(equation.result, name)
            read, written = read + self.extent[buffer], written + out.nbytes
        return read, written

    # --- memory ---

    def _allocate(self, number: int, name: str) -> None:
        self.maker[number] = name
        self.users[number] = 1
        self.now += self.extent[number]
        self.alive[name] = self.alive.get(name, 0) + self.extent[number]

    def _share(self, number: int, other: int) -> None:
        root = self.root[number] = self.root[other]
        self.extent[number] = min(self.extent[number], self.extent[other])
        if root in self.users:
            self.users[root] += 1

    def _rename(self, root: int, number: int) -> None:
        """Let `number` own the memory that `root` has owned, which no other value lies in."""
        self.root[root] = self.root[number] = number
        self.users[number] = self.users.pop(root)
        self.maker[number] = self.maker.pop(root)

    def _release(self, number: int) -> None:
        root = self.root[number]
        left = self.users.get(root)
        if left is None:
            return
        if left > 1:
            self.users[root] = left - 1
            return
        del self.users[root]
        name = self.maker.pop(root)
        self.now -= self.extent[root]
        self.alive[name] -= self.extent[root]


def _bytes_of_literal(literal: Any) -> int:
    """The memory of a literal array; one number repeated is one number, and a number is part of the program."""
    if not isinstance(literal, np.ndarray):
        return 0
    return literal.nbytes if any(literal.strides) else literal.itemsize
