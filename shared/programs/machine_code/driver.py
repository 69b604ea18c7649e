"""The Python text around stretches of C: it hands objects over, calls NumPy between, and builds the result.

Like any text that is executed it holds generated names and checked literals alone.  This module knows no C.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np

from shared.programs.compiling.literals import Namespace, comment
from shared.programs.compiling.numpy_text import dtype_text
from shared.programs.compiling.statements import container_text
from shared.programs.equations import Equation, Guard, Write
from shared.programs.machine_code.emission import StretchText
from shared.programs.machine_code.kernels import DEPARTED, Stretch
from shared.programs.machine_code.loading import Workspace, settled
from shared.programs.machine_code.lowering import Lowering
from shared.programs.program import Program

_DEPARTED = ["class Departed(Exception):", '    """A branch went another way than recorded."""', "", ""]


class Driver:
    """The text of `call(...)`, and what its names stand for but for the functions of C."""

    def __init__(self, program: Program, lowering: Lowering, stretches: list[StretchText]):
        self.program = program
        self.types = program.types
        self.slots = {number: slot for slot, number in enumerate(lowering.slots)}
        self.guards = program.guards
        self.stretches = stretches
        self.namespace = Namespace()
        self.names: dict[int, str] = {number: f"x{k}" for k, number in enumerate(program.inputs)}
        self.made_by_numpy: set[int] = set()
        self.body: list[str] = []
        strict = any(program.types[e.result].kind is float for e in program.equations)
        bindings: dict[str, Any] = {}
        for k, (number, array) in enumerate(sorted(program.captured.items())):
            self.names[number] = f"array{k + 1}"
            bindings[f"array{k + 1}"] = array
        remaining = iter(stretches)
        for part in lowering.parts:
            if isinstance(part, Stretch):
                self._call(next(remaining))
            elif isinstance(part, Guard):
                self._guard(part)
            else:
                self._numpy(part)
        result = container_text(self.namespace, program.out_structure, self._leaves())
        size = max((s.bytes for s in stretches), default=0)
        head = [
            *(line for d in self.namespace.definitions.values() for line in (d.text, "")),
            *(_DEPARTED if self.guards else []),
            f"memory = Workspace({size}, {max(len(self.slots), 1)})",
            "w, doubles, floats, truths = memory.address, memory.doubles, memory.floats, memory.truths",
            "",
            "",
        ]
        inputs = ", ".join(self.names[k] for k in program.inputs)
        self.text = "\n".join(
            [*head, f"def call({inputs}):", *[f"    {line}" for line in self.body], f"    return {result}", ""]
        )
        self.bindings: dict[str, Any] = {
            **bindings,
            **self.namespace.objects,
            "np": np,
            "empty": np.empty,
            "Workspace": Workspace,
            "settled": partial(settled, strict=strict),
        }

    def name(self, number: int) -> str:
        """What a value is called; a literal is an object."""
        found = self.names.get(number)
        if found is not None:
            return found
        if number in self.program.literals:
            return self.namespace.object(self.program.literals[number], "literal")
        if number in self.slots:
            return self._number(number, wraps=True)
        return f"v{number}"

    def _number(self, number: int, wraps: bool) -> str:
        """A number that C computed, as one of its kind."""
        kind, slot = self.types[number].kind, self.slots[number]
        if kind in (bool, np.bool_):
            return f"{'bool' if kind is bool else 'np.bool_'}(truths[{8 * slot}])"
        if kind is np.float32:
            return f"np.float32(floats[{2 * slot}])"
        return f"doubles[{slot}]" if kind is float or not wraps else f"np.float64(doubles[{slot}])"

    def _call(self, stretch: StretchText) -> None:
        name = stretch.name
        for number in stretch.made:
            type_ = self.types[number]
            dtype = "" if type_.dtype == np.float64 else f", {dtype_text(type_)}"
            self.body.append(f"v{number} = empty({type_.shape}{dtype})")
        objects = []
        for number in stretch.objects:
            text = self.name(number)
            if number in self.program.literals:
                text = self.namespace.object(np.require(self.program.literals[number], None, ("C", "A")), "literal")
            if self.types[number].kind is bool:
                text = f"np.bool_({text})"
            objects.append(text)
        self.body += [
            f"objects = ({', '.join(objects)}{',' if len(objects) == 1 else ''})",
            f"status = {name}(w, objects)",
            "if status:",
            f"    status = settled({name}, w, objects, status)",
            *(["    if status:", f"        raise Departed({DEPARTED} - status)"] if self.guards else []),
        ]

    def _guard(self, guard: Guard) -> None:
        value = self.name(guard.operands[0])
        if guard.expected.__class__ is tuple:
            test = f"np.shape({value}) != {guard.expected}"
        else:
            test = f"bool({value}) is not {guard.expected}"
        self.body += [f"if {test}:", f"    raise Departed({self.guards.index(guard)})"]

    def _numpy(self, step: Equation) -> None:
        operands = ", ".join(self.name(k) for k in step.operands)
        raw = step.primitive.raw
        function = self.namespace.object(partial(raw, **step.static) if step.static else raw, "function")
        said = "an assignment" if isinstance(step.primitive, Write) else comment(step.primitive.name)
        self.body.append(f"v{step.result} = {function}({operands})  # {said}")
        self.made_by_numpy.add(step.result)

    def _leaves(self) -> Iterator[str]:
        returned: set[int] = set()
        for number in self.program.outputs:
            type_, name = self.types[number], self.name(number)
            own = type_.is_array and number not in returned and name == f"v{number}"
            returned.add(number)
            if not type_.is_array or (own and number not in self.made_by_numpy):
                yield name
            else:
                yield f"np.array({name})"
