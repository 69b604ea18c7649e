"""Straight-line NumPy source for a recorded program: one line an equation, into buffers that are allocated once.

The text stands by itself: it runs without this library (what the program reads from outside is assigned to the names
that its head lists).  Float64 numbers are Python floats, constants beside arrays are 0-d arrays, ufuncs write into
buffers, views of buffers are made once.  A number that Python's `math` refuses raises, and a branch that goes another
way raises Departed: whoever calls the function then evaluates the program otherwise.  This module knows the order of
the steps and the frame of the text; what a step says is the business of the modules beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from shared.programs.compiling.arrays import write_array
from shared.programs.compiling.assignments import write_assignment
from shared.programs.compiling.blocks import write_stretch
from shared.programs.compiling.buffers import Buffers
from shared.programs.compiling.floats import write_number
from shared.programs.compiling.literals import comment, literal
from shared.programs.compiling.numpy_text import is_short
from shared.programs.compiling.results import result_text
from shared.programs.compiling.scope import Scope
from shared.programs.compiling.stretches import ScheduledStep, Stretch, scheduled
from shared.programs.parts import Equation, Guard, Write
from shared.programs.program import Program


class Source:
    """The text of a program, and the objects that it refers to by name.

    `text` defines `call(...)`, a function of the recorded inputs; `namespace` holds what has to be assigned before the
    text is executed: arrays from outside, large literals, and objects that have no text.  `Departed(k)` is raised where
    `guards[k]` does not hold.
    """

    def __init__(self, program: Program):
        # A stretch would put operations together that stand inside and outside of an np.errstate.
        steps: list[ScheduledStep] = list(program.steps) if program.has_error_settings else scheduled(program)
        scope = Scope(program, steps)
        buffers = Buffers(scope)
        self.guards: list[Guard] = []
        #: the lines of the body that stand within an np.errstate: from where to where, and its settings
        within: list[tuple[int, int, Mapping[str, Any]]] = []
        for position, step in enumerate(steps):
            buffers.position = position
            before = len(scope.body)
            if isinstance(step, Equation):
                _write_equation(scope, buffers, step)
            elif isinstance(step, Stretch):
                write_stretch(scope, buffers, step)
            else:
                _write_guard(scope, step, len(self.guards))
                self.guards.append(step)
            buffers.release()
            if isinstance(step, Equation) and step.errors and len(scope.body) > before:
                within.append((before, len(scope.body), step.errors))
        result = result_text(scope)
        _set_within(scope.body, within)
        self.text = _whole_text(scope, result, bool(self.guards))
        self.namespace: dict[str, Any] = {**scope.bindings, **scope.namespace.objects}


def _write_equation(scope: Scope, buffers: Buffers, equation: Equation) -> None:
    number, body = equation.result, scope.body
    before = len(body)
    if isinstance(equation.primitive, Write):
        write_assignment(scope, buffers, equation)
    elif scope.memory.is_number(number):
        write_number(scope, equation)
    elif scope.types[number].is_array:
        write_array(scope, buffers, equation)
    else:
        text = scope.call(equation)
        # A Python number does not promote arrays, as the one that NumPy's function returns would.
        scope.assign(number, f"complex({text})" if scope.types[number].kind is complex else text)
    if len(body) > before:
        said = equation.primitive.name.lstrip("_")
        if said not in body[-1]:
            body[-1] += f"  # {comment(said)}"


def _write_guard(scope: Scope, guard: Guard, count: int) -> None:
    value = scope.name(guard.operands[0])
    if guard.expected.__class__ is tuple:
        test = f"{value}.shape != {guard.expected}"
    else:
        truth = value if scope.memory.is_number(guard.operands[0]) else f"bool({value})"
        test = f"not {truth}" if guard.expected else truth
    scope.body.append(f"if {test}:")
    scope.body.append(f"    raise Departed({count})")


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


def _whole_text(scope: Scope, result: str, departs: bool) -> str:
    program, names = scope.program, scope.names
    inputs = ", ".join(f"{names[k]} = {program.names[k]}: {program.types[k]!r}" for k in program.inputs)
    lines = [
        *(_DEPARTED if departs else []),
        *scope.head,
        "",
        "",
        f"def call({', '.join(names[k] for k in program.inputs)}):",
        *[f"    {line}" for line in scope.body],
        f"    return {result}",
        "",
    ]
    code, called = _shortened("\n".join(lines))
    namespace = scope.namespace
    opening = [
        f"# {comment(program.name)}, recorded for {comment(inputs)}",
        "",
        "from __future__ import annotations",
        "",
    ]
    opening += ["import math", *(["import threading"] if "in_two_threads" in namespace.definitions else []), ""]
    opening += ["import numpy as np", *([f"from numpy import {', '.join(called)}"] if called else []), ""]
    opening += [f"# {name}: {array.dtype}{list(array.shape)}, to be assigned" for name, array in scope.bindings.items()]
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
