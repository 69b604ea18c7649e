"""Stretches: runs of elementwise equations on large arrays, evaluated some rows at a time.

A large array does not fit the processor's caches, so each operation on it waits for memory.  A stretch takes a block
of rows through all its equations before the next block, with what they pass on in small arrays that stay in the cache;
only what others need is written out in full.  Blocks are independent, so two threads share the largest stretches: NumPy
releases Python's lock while it computes.  This module knows no derivative.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.programs.compiling.numpy_text import REDUCTIONS, output_text, ufunc_of
from shared.programs.program import Equation, Program, Step, Write, literal_text
from shared.rules.indexing import ADD_ONCE, ADD_TO_VIEW

if TYPE_CHECKING:
    from shared.programs.compiling.source import Source

#: Arrays of fewer elements fit the second cache anyway.  It has to exceed BLOCK: then a vector that is a stretch by
#: itself is too long to be a row of another array of the stretch, which would be read whole and not by rows.
SMALLEST = 1 << 15
#: Elements of a block: 128 KB of float64.
BLOCK = 1 << 14
#: Elements of all small arrays of a stretch together: 7 MB of float64 a thread.  Shorter blocks cost more calls.
TEMPORARIES = 900_000
#: Elements times equations from which on starting a thread costs less than it saves.
FOR_TWO_THREADS = 1 << 22


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

    def settle(self, wanted: set[int]) -> Stretch:
        """Note what is read from outside, and what of its results is wanted there."""
        self.equations = [*self.elementwise, *self.sums, *self.writes]
        self.escaping = [e.result for e in self.elementwise if e.result in wanted]
        made = {e.result for e in self.equations}
        self.operands = tuple(dict.fromkeys(k for e in self.equations for k in e.operands if k not in made))
        return self


def scheduled(program: Program) -> list[Any]:
    """The steps of a program in an order in which equations of a stretch stand together, as one step.

    A stretch takes what can be computed before or in it; what needs its sums, or another arrangement of its arrays,
    comes after it.
    """
    found: list[Any] = []
    remaining: list[Step] = list(program.steps)
    if not any(type_.size >= SMALLEST for type_ in program.types if type_.is_array):
        return remaining
    wanted = set(program.outputs)
    while remaining:
        start = next((k for k, step in enumerate(remaining) if _rows_of(program, step)), None)
        if start is None:
            return found + remaining
        found += remaining[:start]
        rows = _rows_of(program, remaining[start])
        stretch, before, after = _gathered(program, remaining[start:], rows)
        if len(stretch.elementwise) + len(stretch.sums) + len(stretch.writes) < 2:
            found.append(remaining[start])
            remaining = remaining[start + 1 :]
            continue
        needed = wanted | {k for step in after for k in step.operands}
        found += before
        found.append(stretch.settle(needed))
        remaining = after
    return found


def _gathered(program: Program, steps: Sequence[Step], rows: int) -> tuple[Stretch, list[Step], list[Step]]:
    """A stretch, and the steps that come before and after it."""
    stretch = Stretch(rows)
    readers = Counter(k for step in program.steps for k in step.operands)
    readers.update(program.outputs)
    before: list[Step] = []
    after: list[Step] = []
    made, late, written = set[int](), set[int](), set[int]()
    for step in steps:
        operands = set(step.operands)
        if isinstance(step, Equation) and not operands & late:
            if _rows_of(program, step) == rows:
                stretch.elementwise.append(step)
                made.add(step.result)
                continue
            if operands & made and _is_sum(program, step):
                stretch.sums.append(step)
                late.add(step.result)
                continue
        if isinstance(step, Equation) and _is_addition(program, step, rows, made, written, readers):
            stretch.writes.append(step)
            late.add(step.result)
            written.add(step.result)
            continue
        if operands & (made | late):
            after.append(step)
            if step.result is not None:
                late.add(step.result)
        else:
            before.append(step)
    return stretch, before, after


def _is_addition(
    program: Program, step: Equation, rows: int, made: set[int], written: set[int], readers: Counter[int]
) -> bool:
    """Whether a step adds rows of the stretch to a part of an array of zeros, or of one that others were added to."""
    if not isinstance(step.primitive, Write) or step.primitive.updating not in (ADD_ONCE, ADD_TO_VIEW):
        return False
    buffer, value = step.operands[:2]
    literal = program.literals.get(buffer)
    fresh = isinstance(literal, np.ndarray) and literal.size > 0 and not literal.any()
    index = [program.literals.get(k) for k in step.operands[2:]]
    return (
        value in made
        and program.types[value].shape[0] == rows
        and (fresh or (buffer in written and readers[buffer] == 1))
        and len(step.static["lengths"]) == 1
        and isinstance(index[0], slice)
        and all(part is Ellipsis or isinstance(part, slice) for part in index)
        and np.broadcast_to(np.empty(()), program.types[buffer].shape)[tuple(index)].shape == program.types[value].shape
    )


def _rows_of(program: Program, step: Step) -> int:
    """The number of rows of an equation that can be evaluated row by row; 0 of any other step."""
    if not isinstance(step, Equation) or step.static or ufunc_of(step.primitive) is None:
        return 0
    result = program.types[step.result]
    if not result.is_array or result.size < SMALLEST or result.size // result.shape[0] > BLOCK:
        return 0
    rows = result.shape[0]
    for k in step.operands:
        type_ = program.types[k]
        if len(type_.shape) == len(result.shape) and type_.shape[0] not in (rows, 1):
            return 0
    return rows


def _is_sum(program: Program, step: Equation) -> bool:
    """Whether a step is the sum of all elements of an array, as a float64."""
    if REDUCTIONS.get(getattr(step.primitive, "function", None)) is not np.add or len(step.operands) != 1:
        return False
    operand, result = program.types[step.operands[0]], program.types[step.result]
    axis = step.static.get("axis")
    whole = axis is None or (len(operand.shape) == 1 and axis in (0, -1, (0,)))
    return whole and not step.static.get("keepdims") and result.kind is np.float64 and operand.dtype == np.float64


def write(source: Source, stretch: Stretch, position: int) -> None:
    """Write a stretch as a function of a range of rows, and its call."""
    program, names = source.program, source.names
    types = program.types
    number = sum(1 for line in source.head if line.startswith("def stretch"))
    full = {k: _full(source, k, position) for k in stretch.escaping}
    made = {e.result for e in stretch.elementwise}
    width = max(types[k].size // types[k].shape[0] for k in made)
    outer = dict(names)
    parameters: dict[str, str] = {}
    opening: list[str] = []
    for k in stretch.operands:
        type_ = types[k]
        literal = program.literals.get(k)
        by_rows = type_.is_array and type_.shape and any(
            len(type_.shape) == len(types[e.result].shape) and type_.shape[0] == stretch.rows
            for e in stretch.elementwise
            if k in e.operands
        )  # fmt: skip
        if k in program.literals and not (isinstance(literal, np.ndarray) and any(literal.strides)):
            continue
        if k in source.memory.floats:
            parameters[source._cell(k)] = source._cell(k)
            continue
        name = source.name(k)
        parameters[name] = name
        if by_rows:
            names[k] = f"{name}_rows"
            opening.append(f"{name}_rows = {name}[rows]")
    for k, name in full.items():
        parameters[name] = name
        names[k] = f"{name}_rows"
        opening.append(f"{name}_rows = {name}[rows]")
    targets = _targets(source, stretch, position)
    for e in stretch.writes:
        part = f"{targets[e.result]}[{', '.join(literal_text(program.literals[k]) for k in e.operands[2:])}]"
        name = f"part{e.result}"
        parameters[name] = part
        opening.append(f"{name}_rows = {name}[rows]")
    lines, temporaries = _lines(source, stretch)
    elements = max(BLOCK // 16, min(BLOCK, TEMPORARIES // max(len(temporaries), 1)))
    block = max(1, elements // width)
    totals = [f"v{e.result}" for e in stretch.sums]
    arguments = "".join(f", {name}" for name in parameters)
    rows = [f"def stretch{number}(first, last{arguments}):"]
    for name, type_ in temporaries.items():
        shape = (block, *type_.shape[1:])
        rows.append(f"    {name} = np.empty({shape}, np.{type_.dtype.name})")
    rows += [f"    {total} = 0.0" for total in totals]
    rows.append(f"    for start in range(first, last, {block}):")
    rows.append(f"        rows = slice(start, min(start + {block}, last))")
    if temporaries:
        rows.append(f"        if last - start < {block}:")
        rows += [f"            {name} = {name}[: last - start]" for name in temporaries]
    rows += [f"        {line}" for line in [*opening, *lines]]
    if totals:
        rows.append(f"    return {', '.join(totals)}")
    rows += ["", ""]
    names.clear()
    names.update(outer)
    names.update(full)
    names.update(targets)
    source.head += ["", "", *rows]
    values = "".join(f", {value}" for value in parameters.values())
    call = f"stretch{number}(0, {stretch.rows}{values})"
    worthwhile = stretch.rows * width * len(stretch.equations) >= FOR_TWO_THREADS and stretch.rows >= 4 * block
    if worthwhile and not stretch.writes:
        # Two threads that add to overlapping parts of one array would disturb each other.
        source.preamble["in_two_threads"] = _IN_TWO_THREADS
        middle = (stretch.rows // block // 2) * block
        halves = f"in_two_threads(stretch{number}, {middle}, {stretch.rows}{values})"
        if totals:
            source.body.append(f"first, second = {halves}")
            if len(totals) == 1:
                source.body.append(f"{totals[0]} = first + second")
            else:
                source.body.append(f"{', '.join(totals)} = [a + b for a, b in zip(first, second)]")
        else:
            source.body.append(halves)
    else:
        source.body.append(f"{', '.join(totals)} = {call}" if totals else call)


_IN_TWO_THREADS = '''def in_two_threads(stretch, middle, last, *arrays):
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
    return first, second'''


def _targets(source: Source, stretch: Stretch, position: int) -> dict[int, str]:
    """For every addition, the array that it changes: one of zeros, made before the stretch."""
    targets: dict[int, str] = {}
    for e in stretch.writes:
        known = targets.get(e.operands[0])
        if known is None:
            target = source.target(e.result, position)
            type_ = source.program.types[e.result]
            if target is None:
                assert type_.dtype is not None
                known = f"v{e.result}"
                source.body.append(f"{known} = np.zeros({type_.shape}, np.{type_.dtype.name})")
            else:
                known = target
                source.body.append(f"{known}.fill(0)")
        targets[e.result] = known
    return targets


def _full(source: Source, number: int, position: int) -> str:
    """The name of an array for all rows of a result."""
    target = source.target(number, position)
    if target is None:
        type_ = source.program.types[number]
        assert type_.dtype is not None
        target = f"v{number}"
        source.body.append(f"{target} = np.empty({type_.shape}, np.{type_.dtype.name})")
    return target


def _lines(source: Source, stretch: Stretch) -> tuple[list[str], dict[str, Any]]:
    """The lines for one block, and the small arrays that they use, each with a type of its shape."""
    types, names = source.program.types, source.names
    escaping = set(stretch.escaping)
    last_use: dict[int, int] = {}
    for at, equation in enumerate(stretch.elementwise):
        for k in equation.operands:
            last_use[k] = at
    temporaries: dict[str, Any] = {}
    free: dict[Any, list[str]] = {}
    lines: list[str] = []
    sums: dict[int, list[Equation]] = {}
    for e in stretch.sums:
        sums.setdefault(e.operands[0], []).append(e)
    writes: dict[int, list[Equation]] = {}
    for e in stretch.writes:
        writes.setdefault(e.operands[1], []).append(e)
    made = {e.result for e in stretch.elementwise}
    for at, equation in enumerate(stretch.elementwise):
        result = equation.result
        operands = equation.operands
        texts = [
            source.beside_arrays(k, [*operands[:i], *operands[i + 1 :]], types[result], into=True)
            for i, k in enumerate(operands)
        ]
        kind = (types[result].dtype, types[result].shape)
        if result not in escaping:
            for k in dict.fromkeys(operands):
                if k in made and k not in escaping and last_use[k] == at:
                    free.setdefault((types[k].dtype, types[k].shape), []).append(names[k])
            spare = free.get(kind)
            names[result] = spare.pop() if spare else f"t{len(temporaries)}"
            temporaries.setdefault(names[result], types[result])
        ufunc = ufunc_of(equation.primitive)
        assert ufunc is not None
        opening = f"np.{ufunc.__name__}({', '.join(texts)}"
        lines.append(f"{opening}, {output_text(opening, names[result])})")
        for e in sums.get(result, ()):
            axis = "" if len(types[result].shape) == 1 else ", None"
            lines.append(f"v{e.result} += float(np.add.reduce({names[result]}{axis}))")
        for e in writes.get(result, ()):
            lines.append(f"np.add(part{e.result}_rows, {names[result]}, part{e.result}_rows)")
        if result not in escaping and last_use.get(result, at) <= at:
            free.setdefault(kind, []).append(names[result])
    return lines, temporaries
