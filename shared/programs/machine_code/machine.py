"""The machine code of a program: lowered, written, compiled and loaded, as a text of Python that calls it.

`MachineCode(program)` writes C; `compile_together` has it compiled, and `text` with `namespace` then defines a function
`call` as the text of NumPy does.  Programs that have little for C, or too much, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.programs.machine_code.compiler import CompilerError, find, library
from shared.programs.machine_code.driver import Driver
from shared.programs.machine_code.emission import StretchText, preamble, whole_text
from shared.programs.machine_code.kernels import Stretch
from shared.programs.machine_code.loading import layout, load, routines
from shared.programs.machine_code.lowering import Lowering
from shared.programs.machine_code.operations import said
from shared.programs.program import Program

#: The C compiler takes up to a millisecond an equation.
LONGEST = 8_000


class RefusedError(Exception):
    """A program that stays NumPy: the message says why."""


class MachineCode:
    """The C of a program.  Raises RefusedError where NumPy alone is the better code."""

    def __init__(self, program: Program, prefix: str = ""):
        if len(program.steps) > LONGEST:
            raise RefusedError(f"it has {len(program.steps):,} operations, more than {LONGEST:,}")
        if program.has_error_settings:
            raise RefusedError("it sets np.errstate")
        self.program = program
        try:
            layout()
        except CompilerError as error:
            raise RefusedError(str(error)) from None
        lowering = Lowering(program, routines() is not None)
        parts = [part for part in lowering.parts if isinstance(part, Stretch)]
        if 2 * lowering.count_by_c < len(program.steps) or not parts:
            raise RefusedError("most of it is calls of NumPy")
        self.stretches = [StretchText(part, len(lowering.slots), f"{prefix}stretch{part.number}") for part in parts]
        driver = Driver(program, lowering, self.stretches)
        self.text, self.namespace = driver.text, driver.bindings
        self.source = ""


def compile_together(codes: Sequence[MachineCode]) -> None:
    """Compile and load several, whose prefixes differ, in one call of the compiler.  Raises CompilerError."""
    compiler = find(*probes())
    opening = preamble(layout(), compiler.has_vector_math)
    stretches = [stretch for code in codes for stretch in code.stretches]
    text = whole_text(stretches, opening, codes[0].program.name)
    # Lines of the user's move, and what is kept stays the same.
    plain = re.sub(r" *// .*", "", text)
    with library(plain, compiler) as path:
        functions = dict(zip(stretches, load(path, [s.name for s in stretches]), strict=True))
    for code in codes:
        code.namespace.update((stretch.name, functions[stretch]) for stretch in code.stretches)
        own = whole_text(code.stretches, opening, code.program.name)
        python = "\n".join(f"// {line}".rstrip() for line in code.text.splitlines())
        code.source = f"{own}\n{said('The Python that calls it:')}\n{python}\n"


def probes() -> tuple[str, str]:
    """Texts by which a compiler is tried: a plain one, and one that uses the versions for vectors."""
    loops = []
    for name in ("exp", "expm1", "log", "log1p", "sin", "cos", "tanh", "cbrt", "asinh"):
        loops += [f"void try_{name}(double *restrict x) {{", "#pragma omp simd"]
        loops += [f"for (int i = 0; i < 64; i++) x[i] = {name}(x[i]);", "}"]
    body = "\n".join([*loops, ""])
    return preamble(layout(), False) + body, preamble(layout(), True) + body
