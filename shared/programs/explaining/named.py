"""The values of a program by name: what people read off a printed program is what they find its values by.

This module knows no derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.errors import user_line
from shared.core.visible import one_line
from shared.programs.explaining.evaluation import value_text
from shared.programs.program import Program


class Values(list[Any]):
    """The values of a program by number, `values[4]`, and by the name that it prints, `values["v4"]`, `values["x"]`."""

    def __init__(self, values: list[Any], program: Program):
        super().__init__(values)
        self._program = program

    def __getitem__(self, which: Any) -> Any:
        return super().__getitem__(number_of(self._program, which) if isinstance(which, str) else which)

    def __repr__(self) -> str:
        return shown("values", self._program, self)


def number_of(program: Program, which: Any) -> int:
    """The number of a value of a program, from its number or its name; raises KeyError with all names for another."""
    count = len(program.types)
    hint = ""
    if isinstance(which, str):
        called = [k for k, name in program.names.items() if name == which]
        if len(called) > 1:
            raise KeyError(
                f"{program.name} has several values that print as {which!r}{user_line()}; take them by number: "
                f"{', '.join(map(str, called))}"
            )
        if called:
            return called[0]
        if which[:1] == "v" and which[1:].isascii() and which[1:].isdigit():
            if int(which[1:]) < count:
                return int(which[1:])
        elif not which.isascii():
            hint = "; lines of trace_table, which it prints with v₁ and the like, are numbered otherwise"
    elif isinstance(which, (int, np.integer)) and not isinstance(which, bool) and 0 <= which < count:
        return int(which)
    raise KeyError(
        f"{program.name} has no value {which!r}{user_line()}: values are v0 to v{count - 1}, and by name "
        f"{', '.join(map(repr, program.names.values())) or 'none'}{hint}"
    )


#: Of more values than this the last are left out where all are shown.
_SHOWN = 40


def shown(what: str, program: Program, values: Sequence[Any]) -> str:
    """The values of the inputs and of the equations by name, a line each."""
    numbers = [k for k in range(len(values)) if k not in program.literals]
    rows = [
        f"  {program.name_of(k)} = {'none' if values[k] is None else value_text(values[k])}" for k in numbers[:_SHOWN]
    ]
    if len(numbers) > _SHOWN:
        rows.append(f"  and {len(numbers) - _SHOWN} more")
    return "\n".join(map(one_line, [f"<{what} of {program.name}:", *rows])) + ">"


__all__ = ["Values", "number_of", "shown"]
