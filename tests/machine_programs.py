"""Compiled functions as machine code, many in one call of the C compiler: what the tests of it share."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import pytest

from shared import compile
from shared.programs.compiling.compiled import Compiled
from shared.programs.compiling.rewriting import rewritten
from shared.programs.machine_code.compiler import CompilerError, find
from shared.programs.machine_code.exchange import Machine
from shared.programs.machine_code.machine import MachineCode, RefusedError, compile_together, probes
from shared.programs.simplification import simplify


def require_compiler() -> None:
    """Skip where there is no C compiler."""
    try:
        find(*probes())
    except CompilerError as error:
        pytest.skip(f"machine code cannot be tried: {error}", allow_module_level=True)


def code_of(variant: Any, prefix: str = "") -> MachineCode:
    """The C of a variant, not compiled.  Raises RefusedError."""
    return MachineCode(rewritten(simplify(variant.program)), prefix)


def as_machine_code(functions: Iterable[Compiled]) -> list[Machine]:
    """Let every variant of these run as machine code, of those that are not refused; they are told in order."""
    numbers = itertools.count()
    codes: list[tuple[Any, MachineCode]] = []
    for function in functions:
        for variant in function._variants:
            try:
                codes.append((variant, code_of(variant, f"program{next(numbers)}_")))
            except RefusedError:
                continue
    if not codes:
        return []
    compile_together([code for _, code in codes])
    machines = []
    for variant, code in codes:
        variant.machine = Machine(variant, warns=False)
        variant.machine.exchange(code)
        machines.append(variant.machine)
    return machines


def machine_of(function: Any, *arguments: Any, **settings: Any) -> Compiled:
    """A compiled function that runs as machine code, by its first call on."""
    compiled = compile(function, backend="c", **settings)
    compiled(*arguments)
    assert compiled.wait(60.0), [variant.machine.why for variant in compiled._variants]
    return compiled
