"""Memory against time: what a tape keeps, by the user's line, and what checkpoints would save and cost.

The pullback of an engine is recorded, and what its sweep reads of what the evaluation made is what the tape keeps.
Where operations repeat, as in a loop or in layers, each repetition is a step: its state is what later steps need, its
tape what the sweep needs of it; what fewer kept states cost in evaluations is exact (`shared.linear.checkpointing`).
This module knows the interface of an engine, and no tape.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, isqrt
from typing import Any, ClassVar

import numpy as np

from shared.calling.arguments import Argnums
from shared.calling.engine import Engine
from shared.comparison.point import Point
from shared.comparison.ways import direction_of
from shared.core.levels import current_recording
from shared.core.visible import shortened
from shared.linear.checkpointing import default_snapshots, evaluations
from shared.programs.equations import Equation
from shared.programs.measuring.cost import cost
from shared.programs.notation import name_of
from shared.programs.program import Program
from shared.programs.tabulation import Tabulated
from shared.programs.tracing import trace
from shared.rules.aliasing import is_view

#: A loop has to come round so often at least.
_FEWEST_STEPS = 4
#: Steps of more operations than this are not looked for.
_LONGEST_STEP = 2_000
#: Without a loop to cut, fewer bytes are not worth a word.
_WORTH_SAVING = 2**20
_SNAPSHOTS = (2, 3, 5, 10, 30, 100)


@dataclass(frozen=True, slots=True)
class Kept:
    """What the tape keeps of one line of the user's: so many values, so many bytes, a share of all bytes."""

    line: str
    values: int
    bytes: int
    share: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A way to a derivative: the bytes it keeps, how often the steps are evaluated, its operations over the function's.

    `snapshots` are the states kept at a time, where it keeps some.
    """

    name: str
    bytes: int
    step_evaluations: int
    evaluations: float
    snapshots: int | None = None


@dataclass(frozen=True, slots=True)
class Memory(Tabulated):
    """What reverse mode keeps (`kept`, by line, the most first), and the frontier of memory against time (`plans`).

    `steps` is how often the loop comes round that the plans are for, 1 where there is none; `state_bytes` is what goes
    from one step to the next, `step_bytes` what the tape keeps of the largest step, `step_operations` what all steps
    cost once.  `tape_bytes` is all that is kept.  It prints as two tables.
    """

    _headers: ClassVar[tuple[str, ...]] = ("derivative", "bytes kept", "steps evaluated", "evaluations")

    function: str
    kept: tuple[Kept, ...]
    plans: tuple[Plan, ...]
    tape_bytes: int
    steps: int
    state_bytes: int
    step_bytes: int
    step_operations: int
    where: str

    def _caption(self) -> str:
        loop = f": {self.steps:,} steps{self.where}, {self.state_bytes:,} bytes a state" if self.steps > 1 else ""
        return f"{self.function}: memory against time{loop}"

    def _rows(self) -> list[list[Any]]:
        return [[plan.name, plan.bytes, plan.step_evaluations, plan.evaluations] for plan in self.plans]

    def lines(self) -> Lines:
        """What the tape keeps by line, as a table of its own."""
        return Lines(self.function, self.tape_bytes, self.kept)

    @property
    def advice(self) -> str:
        """Which line to checkpoint, in a sentence; empty where there is little to save."""
        looped = self.steps >= _FEWEST_STEPS
        if not self.kept or (not looped and self.tape_bytes < _WORTH_SAVING):
            return ""
        worst = self.kept[0]
        text = f"{worst.line} keeps {worst.share:.0%} of the tape ({worst.bytes:,} bytes in {worst.values:,} values)"
        if not looped:
            return f"{text}: checkpoint the function that it is in"
        saving = [plan for plan in self.plans if plan.snapshots]
        if not saving:
            return f"{text}; its {self.steps} steps are too few for checkpoints to save any"
        told = [
            f"{plan.bytes:,} with snapshots={plan.snapshots}, for {plan.evaluations:.1f} evaluations"
            for plan in (saving[0], saving[-1])
        ]
        return f"{text}: checkpoint_loop would keep {' or '.join(dict.fromkeys(told))}"

    def __str__(self) -> str:
        parts = [*map(Tabulated.__str__, (self, self.lines())), self.advice]
        return "\n\n".join(part for part in parts if part)


@dataclass(frozen=True, slots=True)
class Lines(Tabulated):
    """What a tape keeps, a row a line of the user's code."""

    _headers: ClassVar[tuple[str, ...]] = ("line", "values", "bytes", "share")

    function: str
    tape_bytes: int
    kept: tuple[Kept, ...]

    def _caption(self) -> str:
        return f"{self.function}: the tape keeps {self.tape_bytes:,} bytes"

    def _rows(self) -> list[list[Any]]:
        return [[line.line, line.values, line.bytes, f"{line.share:.0%}"] for line in self.kept]


def memory(
    f: Callable[..., Any], *args: Any, engines: Sequence[Engine], argnums: Argnums | None = None, most_lines: int = 10
) -> Memory:
    """What reverse mode keeps of `f` at `args`, by line, and what checkpoints would save and cost.

    Bytes are those of arrays and numbers, arguments not counted; of values that are views of one another the memory is
    counted once.  The plans are the value alone, a direction forwards, and one reverse sweep: with everything kept, in
    sqrt(n) pieces, and by the binomial schedule with some numbers of snapshots (Griewank 1992), for the loop or the
    layers whose repeated operations cover most of the program; the state and tape of a step are the largest of any.

    Cost: a record of `f`, of a direction and of a pullback.  Raises what `compare` raises.

    >>> import dualad, reversead
    >>> def f(x):
    ...     for _ in range(100):
    ...         x = np.sin(x)
    ...     return np.sum(x)
    >>> found = memory(f, np.ones(1000), engines=(dualad, reversead))
    >>> found.steps, found.state_bytes, found.tape_bytes
    (100, 8000, 792000)
    >>> [(plan.snapshots, plan.bytes, plan.step_evaluations) for plan in found.plans if plan.snapshots][-2:]
    [(3, 32000, 590), (2, 24000, 945)]
    """
    return memory_at(Point("memory", f, args, argnums, engines), most_lines)


def memory_at(point: Point, most_lines: int = 10) -> Memory:
    """The same of a function at a point."""
    border = 0

    def pulled(*args: Any) -> Any:
        nonlocal border
        _, pull = point.reverse.vjp(point.f, *args, argnums=point.argnums)
        border = len(current_recording().steps)
        return pull(point.cotangent)

    program = trace(pulled, *point.args)
    tape = _Tape(program, border)
    value = cost(trace(point.f, *point.args))
    along = cost(trace(direction_of(point, point.forward), *point.args))
    operations = max(value.operations, 1)
    back = cost(program).operations / operations
    steps = tape.steps()
    plans = [
        Plan("the value alone", value.peak_bytes, len(steps), 1.0),
        Plan("a direction, forward", along.peak_bytes, len(steps), along.operations / operations),
        Plan("reverse, all kept", tape.bytes, len(steps), back),
    ]
    state = step_bytes = step_operations = 0
    where = ""
    if len(steps) >= _FEWEST_STEPS:
        n = len(steps)
        states, kept = tape.state_bytes(), tape.kept_bytes()
        state = max(int(states[step.stop]) for step in steps[:-1])
        of_steps = [int(kept[step.stop] - kept[step.start]) for step in steps]
        step_bytes, rest = max(of_steps), tape.bytes - sum(of_steps)
        step_operations = tape.operations(range(steps[0].start, steps[-1].stop))
        where = tape.equations[steps[0].start].where
        share = step_operations / operations / n
        pieces = isqrt(n - 1) + 1
        length = ceil(n / pieces)
        found = [
            Plan(f"reverse, {snapshots} snapshots", rest + snapshots * state + step_bytes, taken,
                 back + share * (taken - n), snapshots)
            for snapshots in sorted({*_SNAPSHOTS, default_snapshots(n)}, reverse=True)
            if snapshots < n
            for taken in [evaluations(n, snapshots)]
        ]  # fmt: skip
        sqrt = rest + pieces * state + length * step_bytes
        found.append(
            Plan(f"reverse, sqrt({n:,}) pieces", sqrt, 2 * n - length, back + share * (n - length))
        )  # fmt: skip
        plans += _frontier(plans[-1], found)
    return Memory(
        point.function, tape.by_line(most_lines), tuple(plans), tape.bytes,
        max(len(steps), 1), state, step_bytes, step_operations, where,
    )  # fmt: skip


def _frontier(all_kept: Plan, found: list[Plan]) -> list[Plan]:
    """The plans that save bytes, and that no other beats in both bytes and time, from the quickest to the smallest."""
    saving = sorted((plan for plan in found if plan.bytes < all_kept.bytes), key=lambda plan: plan.evaluations)
    return [plan for place, plan in enumerate(saving) if all(plan.bytes < other.bytes for other in saving[:place])]


class _Tape:
    """The part of a recorded pullback before its sweep, and what the sweep needs of it."""

    def __init__(self, program: Program, border: int):
        self.program = program
        self.equations = [step for step in program.steps[:border] if isinstance(step, Equation)]
        later = [k for step in program.steps[border:] for k in step.operands] + list(program.outputs)
        made = {equation.result: place for place, equation in enumerate(self.equations)}
        #: the value whose memory each value lies in
        self.root = {k: k for k in range(len(program.types))}
        for equation in self.equations:
            operands = [program.literals.get(k, program.types[k]) for k in equation.operands]
            if program.types[equation.result].is_array and is_view(equation.primitive, operands):
                self.root[equation.result] = self.root[equation.operands[0]]
        self.made = made
        #: of each value that is kept the place of the equation that made it
        self.kept = {k: made[k] for k in sorted({self.root[k] for k in later}) if k in made}
        self.bytes = sum(program.types[k].nbytes for k in self.kept)
        #: the last place before the sweep at which a value is read
        self.last: dict[int, int] = {}
        for place, equation in enumerate(self.equations):
            for k in equation.operands:
                self.last[self.root[k]] = place

    def by_line(self, most: int) -> tuple[Kept, ...]:
        """What is kept by the line that made it, the most first."""
        found: dict[str, list[int]] = {}
        for k, place in self.kept.items():
            where = self.equations[place].where.removeprefix(" (at ").removesuffix(")") or "elsewhere"
            found.setdefault(shortened(where, 80), []).append(self.program.types[k].nbytes)
        rows = [Kept(line, len(sizes), sum(sizes), sum(sizes) / max(self.bytes, 1)) for line, sizes in found.items()]
        return tuple(sorted(rows, key=lambda row: -row.bytes)[:most])

    def kept_bytes(self) -> Any:
        """At each place the bytes kept of what the equations before it made."""
        change = np.zeros(len(self.equations) + 1, dtype=int)
        for k, place in self.kept.items():
            change[place + 1] += self.program.types[k].nbytes
        return np.cumsum(change)

    def state_bytes(self) -> Any:
        """At each place the bytes of what was made before it and is read from there on, before the sweep."""
        change = np.zeros(len(self.equations) + 1, dtype=int)
        for k, place in self.made.items():
            last = self.last.get(k, -1)
            if self.root[k] == k and place < last:
                change[place + 1] += self.program.types[k].nbytes
                change[last + 1] -= self.program.types[k].nbytes
        return np.cumsum(change)

    def operations(self, places: range) -> int:
        """The operations of these equations."""
        types, literals = self.program.types, self.program.literals
        total = 0
        for place in places:
            equation = self.equations[place]
            operands = [literals[k] if k in literals else types[k] for k in equation.operands]
            total += equation.primitive.count(types[equation.result], operands, equation.static).operations
        return total

    def steps(self) -> list[range]:
        """The repetitions of the operations that repeat and cover most of the program; empty where none do."""
        names: dict[tuple[str, str], int] = {}
        tokens = np.array(
            [names.setdefault((name_of(e.primitive), e.where), len(names)) for e in self.equations], dtype=int
        )
        best: tuple[int, int, int] = (0, 0, 0)
        for period in range(1, min(len(tokens) // _FEWEST_STEPS, _LONGEST_STEP) + 1):
            start, length = _longest_run(tokens[period:] == tokens[:-period])
            covered = (length + period) // period * period
            if length and covered >= _FEWEST_STEPS * period and covered > best[0]:
                best = (covered, start, period)
        covered, start, period = best
        return [range(at, at + period) for at in range(start, start + covered, period)] if covered else []


def _longest_run(same: Any) -> tuple[int, int]:
    """Where the longest run of truths begins, and its length."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], same, [False])).astype(np.int8)))
    if not edges.size:
        return 0, 0
    starts, ends = edges[::2], edges[1::2]
    longest = int(np.argmax(ends - starts))
    return int(starts[longest]), int(ends[longest] - starts[longest])
