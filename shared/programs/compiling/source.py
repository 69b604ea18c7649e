"""Straight-line NumPy source for a recorded program: one line an equation, into buffers that are allocated once.

The text stands by itself: it runs without this library (what the program reads from outside is assigned to the names
that its head lists).  Float64 numbers are Python floats, constants beside arrays are 0-d arrays, ufuncs write into
buffers, views of buffers are made once.  A number that Python's `math` refuses raises, and a branch that goes another
way raises Departed: whoever calls the function then evaluates the program otherwise.  A fused loop is a function that
evaluates some equations for a range of rows, one block after another.  This module knows the order of the steps and the
frame of the text; what a single step says is the business of `shared.programs.compiling.statements`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from shared.programs.compiling import plan
from shared.programs.compiling.emitter import Buffers, Emitter
from shared.programs.compiling.literals import Definition, comment, literal
from shared.programs.compiling.numpy_text import allocation, dtype_text, is_short, output_text, ufunc_of
from shared.programs.compiling.parts import in_parts
from shared.programs.compiling.plan import FusedLoop, ScheduledStep, scheduled
from shared.programs.compiling.rewriting import rewritten
from shared.programs.compiling.statements import result_text, write_array, write_assignment, write_number
from shared.programs.equations import Equation, Guard, ValueType, Write
from shared.programs.program import Program
from shared.programs.simplification import simplify
from shared.programs.tracing import trace


def source(f: Callable[..., Any] | Program, *args: Any, **kwargs: Any) -> str:
    """A program, or what a function executes on these arguments, as straight-line NumPy source.

    It needs no other library than NumPy.  Its function `call` takes the leaves of the arguments in order; arrays from
    outside have to be assigned to the names that the text lists.  `compile(f).source(*args)` is the text that a
    compiled function runs.  Cost: a pass over the program, which is recorded if `f` is a function.

    >>> [line.strip() for line in source(lambda x: x * x, 3.0).splitlines() if "x0 * x0" in line]
    ['v1 = x0 * x0']
    """
    program = f if isinstance(f, Program) else trace(f, *args, **kwargs)
    return Source(rewritten(simplify(program))).text


class Source:
    """The text of a program, and the objects that it refers to by name.

    `text` defines `call(...)`, a function of the recorded inputs; `namespace` holds what has to be assigned before the
    text is executed: arrays from outside, large literals, and objects that have no text.  `Departed(k)` is raised where
    `guards[k]` does not hold.
    """

    def __init__(self, program: Program):
        # A fused loop would put operations together that stand inside and outside of an np.errstate.
        steps: list[ScheduledStep] = list(program.steps) if program.has_error_settings else scheduled(program)
        emitter = Emitter(program, steps)
        buffers = Buffers(emitter)
        self.guards: list[Guard] = []
        #: the lines of the body that stand within an np.errstate: from where to where, and its settings
        within: list[tuple[int, int, Mapping[str, Any]]] = []
        for position, step in enumerate(steps):
            buffers.position = position
            before = len(emitter.body)
            if isinstance(step, Equation):
                _write_equation(emitter, buffers, step)
            elif isinstance(step, FusedLoop):
                write_fused_loop(emitter, buffers, step)
            else:
                _write_guard(emitter, step, len(self.guards))
                self.guards.append(step)
            buffers.release()
            if isinstance(step, Equation) and step.errors and len(emitter.body) > before:
                within.append((before, len(emitter.body), step.errors))
        result = result_text(emitter)
        _set_within(emitter.body, within)
        self.text = _whole_text(emitter, result, bool(self.guards))
        self.namespace: dict[str, Any] = {**emitter.bindings, **emitter.namespace.objects}


def _write_equation(emitter: Emitter, buffers: Buffers, equation: Equation) -> None:
    number, body = equation.result, emitter.body
    before = len(body)
    if isinstance(equation.primitive, Write):
        write_assignment(emitter, buffers, equation)
    elif emitter.memory.is_number(number):
        write_number(emitter, equation)
    elif emitter.types[number].is_array:
        write_array(emitter, buffers, equation)
    else:
        text = emitter.call(equation)
        if emitter.types[number].kind is complex and equation.primitive.function is np.power:
            # Of a negative float np.power makes NaN.
            text = " ** ".join(f"({emitter.name(k)})" for k in equation.operands)
        # A Python number does not promote arrays, as the one that NumPy's function returns would.
        emitter.assign(number, f"complex({text})" if emitter.types[number].kind is complex else text)
    if len(body) > before:
        said = equation.primitive.name.lstrip("_")
        if said not in body[-1]:
            body[-1] += f"  # {comment(said)}"


def _write_guard(emitter: Emitter, guard: Guard, count: int) -> None:
    value = emitter.name(guard.operands[0])
    if guard.expected.__class__ is tuple:
        test = f"{value}.shape != {guard.expected}"
    else:
        truth = value if emitter.memory.is_number(guard.operands[0]) else f"bool({value})"
        test = f"not {truth}" if guard.expected else truth
    emitter.body.append(f"if {test}:")
    emitter.body.append(f"    raise Departed({count})")


def _set_within(body: list[str], within: list[tuple[int, int, Mapping[str, Any]]]) -> None:
    """Put lines of the body into blocks of np.errstate, one for lines of the same settings that follow each other."""
    blocks: list[tuple[int, int, Mapping[str, Any]]] = []
    for first, last, settings in within:
        if blocks and blocks[-1][1] == first and blocks[-1][2] == settings:
            blocks[-1] = (blocks[-1][0], last, settings)
        else:
            blocks.append((first, last, settings))
    for first, last, settings in reversed(blocks):
        keywords = ", ".join(f"{name}={literal(how)}" for name, how in settings.items())
        body[first:last] = [f"with np.errstate({keywords}):", *[f"    {line}" for line in body[first:last]]]


# --- the frame --------------------------------------------------------------------------------------------------------

_DEPARTED = ["", "class Departed(Exception):", '    """A branch went another way than recorded."""', "", ""]


def _whole_text(emitter: Emitter, result: str, departs: bool) -> str:
    program, names = emitter.program, emitter.names
    inputs = ", ".join(f"{names[k]} = {program.names[k]}: {program.types[k]!r}" for k in program.inputs)
    given = [names[k] for k in program.inputs]
    parts, body = in_parts(emitter.body, given, result)
    lines = [
        *(_DEPARTED if departs else []),
        *emitter.head,
        "",
        "",
        *parts,
        f"def call({', '.join(given)}):",
        *[f"    {line}" for line in body],
        f"    return {result}",
        "",
    ]
    code, called = _shortened("\n".join(lines))
    namespace = emitter.namespace
    opening = [
        f"# {comment(program.name)}, recorded for {comment(inputs)}",
        "",
        "from __future__ import annotations",
        "",
    ]
    opening += ["import math", *(["import threading"] if "in_two_threads" in namespace.definitions else []), ""]
    opening += ["import numpy as np", *([f"from numpy import {', '.join(called)}"] if called else []), ""]
    opening += [
        f"# {name}: {array.dtype}{list(array.shape)}, to be assigned" for name, array in emitter.bindings.items()
    ]
    for name in namespace.objects:
        called_so = comment(namespace.called[name])
        opening.append(f"# {name}: {f'{called_so}, ' if called_so else ''}to be assigned")
    for definition in namespace.definitions.values():
        opening += ["", definition.text, ""]
    return "\n".join([*opening, code])


_CALLED = re.compile(r"\bnp\.([a-z_0-9]+)(?=\()")


def _shortened(code: str) -> tuple[str, list[str]]:
    """The code with the names of short functions alone, and these names: looking them up in NumPy would show."""
    called = sorted(name for name in set(_CALLED.findall(code)) if is_short(name))
    if called:
        code = re.sub(rf"\bnp\.({'|'.join(called)})(?=\()", r"\1", code)
    return code, called


def write_fused_loop(emitter: Emitter, buffers: Buffers, fused: FusedLoop) -> None:
    """Write a fused loop as a function of a range of rows, and its call."""
    written = _Written(emitter, buffers, fused)
    emitter.head += ["", "", *written.definition(), "", ""]
    emitter.body += written.calls()


class _Written:
    """A fused loop as a function: what it is given, and the lines for one block of rows."""

    def __init__(self, emitter: Emitter, buffers: Buffers, fused: FusedLoop):
        self.emitter = emitter
        self.buffers = buffers
        self.fused = fused
        self.name = f"fused{emitter.fused_loops}"
        emitter.fused_loops += 1
        #: the parameters beside the range of rows, each with what stands for it in the call
        self.parameters: dict[str, str] = {}
        #: those of them of which a block sees its own rows
        self.by_rows: list[str] = []
        #: by what names values stand outside, where it is otherwise inside
        self.outside: dict[int, str | None] = {}
        #: the names of small arrays that nothing needs any more, by dtype and shape
        self.free: dict[Any, list[str]] = {}
        self.temporaries: dict[str, ValueType] = {}
        full = {k: self._full(k) for k in fused.escaping}
        self._take_operands()
        for k, name in full.items():
            self._take(name, k)
        self._take_targets()
        self.lines = self._lines()
        for k, outer in self.outside.items():
            if outer is None:
                del emitter.names[k]
            else:
                emitter.names[k] = outer
        self.width = max(emitter.types[e.result].size // fused.rows for e in fused.elementwise)
        elements = min(plan.BLOCK, plan.TEMPORARIES // max(len(self.temporaries), 1))
        elements = max(elements, plan.BLOCK // 16)
        self.block = max(1, elements // self.width)
        self.totals = [f"v{e.result}" for e in fused.sums]

    # --- parameters ---

    def _take(self, name: str, number: int | None = None) -> None:
        """Make an array a parameter; if it stands for a value, a block sees its rows as that value."""
        self.parameters[name] = name
        if number is not None:
            self.by_rows.append(name)
            self._call_inside(number, f"{name}_rows")

    def _call_inside(self, number: int, name: str) -> None:
        """Let a value stand by another name inside."""
        self.outside.setdefault(number, self.emitter.names.get(number))
        self.emitter.names[number] = name

    def _take_operands(self) -> None:
        emitter, types, rows = self.emitter, self.emitter.types, self.fused.rows
        readers: dict[int, list[Equation]] = {}
        for e in self.fused.elementwise:
            for k in e.operands:
                readers.setdefault(k, []).append(e)
        for k in self.fused.operands:
            literal, shape = emitter.literals.get(k), types[k].shape
            if k in emitter.literals and not (isinstance(literal, np.ndarray) and any(literal.strides)):
                continue
            if k in emitter.memory.floats:
                for e in readers[k]:
                    self._take(emitter.number_beside(k, e))
            else:
                by_rows = shape and shape[0] == rows
                by_rows = by_rows and any(len(types[e.result].shape) == len(shape) for e in readers.get(k, ()))
                self._take(emitter.name(k), k if by_rows else None)

    def _full(self, number: int) -> str:
        """The name of an array for all rows of a result."""
        target = self.buffers.target(number)
        if target is None:
            target = f"v{number}"
            self.emitter.assign(number, allocation("empty", self.emitter.types[number]))
        return target

    def _take_targets(self) -> None:
        """For every addition, the part that it changes of an array of zeros, which is made before the fused loop."""
        emitter = self.emitter
        targets: dict[int, str] = {}
        for e in self.fused.writes:
            target = targets.get(e.operands[0])
            if target is None:
                target = self.buffers.target(e.result)
                if target is None:
                    target = f"v{e.result}"
                    emitter.assign(e.result, allocation("zeros", emitter.types[e.result]))
                else:
                    emitter.body.append(f"{target}.fill(0)")
            targets[e.result] = emitter.names[e.result] = target
        for e in self.fused.writes:
            part = ", ".join(emitter.name(k) for k in e.operands[2:])
            self.parameters[f"part{e.result}"] = f"{targets[e.result]}[{part}]"
            self.by_rows.append(f"part{e.result}")

    # --- one block ---

    def _lines(self) -> list[str]:
        """The lines for one block, which use small arrays."""
        emitter, elementwise, escaping = self.emitter, self.fused.elementwise, set(self.fused.escaping)
        last_use = {k: at for at, e in enumerate(elementwise) for k in e.operands}
        passing = {e.result for e in elementwise} - escaping
        uses = self._uses()
        lines: list[str] = []
        for at, e in enumerate(elementwise):
            ufunc = ufunc_of(e.primitive)
            assert ufunc is not None  # otherwise it could not be evaluated by rows
            opening = f"np.{ufunc.__name__}({emitter.beside_arrays(e, into=True)}"
            if e.result in passing:
                for k in dict.fromkeys(e.operands):
                    if k in passing and last_use[k] == at:
                        self._give_back(k)
                self._call_inside(e.result, self._temporary(emitter.types[e.result]))
            name = emitter.names[e.result]
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
        type_ = self.emitter.types[number]
        self.free.setdefault((type_.dtype, type_.shape), []).append(self.emitter.names[number])

    def _uses(self) -> dict[int, list[str]]:
        """For each result that is summed or added, the lines that do so, with a place for its name."""
        found: dict[int, list[str]] = {}
        for e in self.fused.sums:
            axis = "" if len(self.emitter.types[e.operands[0]].shape) == 1 else ", None"
            found.setdefault(e.operands[0], []).append(f"v{e.result} += float(np.add.reduce({{}}{axis}))")
        for e in self.fused.writes:
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
        fused, totals = self.fused, self.totals
        values = "".join(f", {value}" for value in self.parameters.values())
        size = fused.rows * self.width * len(fused.equations)
        # Two threads that add to overlapping parts of one array would disturb each other.
        if fused.writes or size < plan.FOR_TWO_THREADS or fused.rows < 4 * self.block:
            call = f"{self.name}(0, {fused.rows}{values})"
            return [f"{', '.join(totals)} = {call}" if totals else call]
        self.emitter.namespace.definitions["in_two_threads"] = _IN_TWO_THREADS
        middle = (fused.rows // self.block // 2) * self.block
        halves = f"in_two_threads({self.name}, {middle}, {fused.rows}{values})"
        if not totals:
            return [halves]
        first = f"first, second = {halves}"
        if len(totals) == 1:
            return [first, f"{totals[0]} = first + second"]
        return [first, f"{', '.join(totals)} = [a + b for a, b in zip(first, second)]"]


_IN_TWO_THREADS = Definition('''def in_two_threads(loop, middle, last, *arrays):
    """The results of a fused loop for the rows before and after the middle."""
    found = []
    state = np.geterr()

    def run():
        try:
            with np.errstate(**state):
                found.append((loop(0, middle, *arrays), None))
        except BaseException as error:
            found.append((None, error))

    other = threading.Thread(target=run)
    other.start()
    try:
        second = loop(middle, last, *arrays)
    finally:
        other.join()
    first, error = found[0]
    if error is not None:
        raise error
    return first, second''')
