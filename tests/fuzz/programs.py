"""A program as data: arguments, constants and a list of steps, which are printed as Python and run as such.

What runs is the text itself, so a program that fails can be pasted into a file.  This module draws nothing at random,
and checks nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

import dualad
import reversead
import shared
from shared.calling.tree import tree_map

Function = Callable[..., Any]

#: What the text of a program may name besides its own
MODULES: dict[str, Any] = {"np": np, "dualad": dualad, "reversead": reversead, "shared": shared, "nan": np.nan,
                           "inf": np.inf}  # fmt: skip

#: A name of a program's own: an argument, a constant, a variable, a mask, an index, a function, a number of steps
NAME = re.compile(r"\b[acvmigk]\d+\b")


@dataclass(frozen=True)
class Step:
    """A line of a program, or a block: a line that ends in a colon, and the steps below it.

    `otherwise` are the steps below `else:`, and `last` a line that ends the block (that of a function returns).
    """

    text: str
    body: tuple[Step, ...] = ()
    otherwise: tuple[Step, ...] = ()
    last: str = ""

    def lines(self, indent: str = "") -> Iterator[str]:
        yield from (indent + line for line in self.text.split("\n"))
        deeper = indent + "    "
        for step in self.body:
            yield from step.lines(deeper)
        if self.last:
            yield deeper + self.last
        if self.text.endswith(":") and not self.body and not self.last:
            yield deeper + "pass"
        if self.otherwise:
            yield indent + "else:"
            for step in self.otherwise:
                yield from step.lines(deeper)

    @property
    def written(self) -> str:
        """The name that it binds or writes to."""
        return first_name(self.text)

    def names(self) -> set[str]:
        """Every name of the program's own in it."""
        return set(NAME.findall("\n".join(self.lines())))


@dataclass(frozen=True)
class Program:
    """A function of a few arguments, with what is drawn for it."""

    seed: int
    #: name to value: an array, a number, a container of them, or an integer, which is no argument to differentiate
    arguments: Mapping[str, Any]
    #: arrays and numbers of the function's surroundings, by name
    constants: Mapping[str, Any]
    steps: tuple[Step, ...]
    #: the expression that is returned
    result: str
    #: what may be refused or differ, and why: "stale views", "branches", "masks", "single precision", ...
    features: frozenset[str] = field(default_factory=frozenset)

    @property
    def varying(self) -> tuple[int, ...]:
        """The positions of the arguments that are differentiated."""
        return tuple(k for k, value in enumerate(self.arguments.values()) if not isinstance(value, int))

    @property
    def size(self) -> int:
        """How many lines it has."""
        return sum(1 for step in self.steps for _ in step.lines())

    def values(self) -> tuple[Any, ...]:
        """Fresh arguments."""
        return tuple(copied(value) for value in self.arguments.values())

    def definition(self) -> str:
        lines = [f"def f({', '.join(self.arguments)}):"]
        for step in self.steps:
            lines += step.lines("    ")
        return "\n".join([*lines, f"    return {self.result}", ""])

    def function(self, **surroundings: Any) -> Function:
        """The program as a function; `surroundings` stand in the place of constants or modules of these names.

        Constants are copies, which are found as `f.__globals__[name]`.
        """
        scope = {**MODULES, **{name: copied(value) for name, value in self.constants.items()}, **surroundings}
        exec(compile(self.definition(), f"<program {self.seed}>", "exec"), scope)
        made: Function = scope["f"]
        return made

    def source(self) -> str:
        """The whole of it as a file that runs, and leaves `f`, `arguments` and `value` behind."""
        used = self.names()
        imported = [name for name in ("dualad", "reversead", "shared") if name in self.definition()]
        lines = ["import numpy as np", *(f"import {name}" for name in imported)]
        arguments = ", ".join(literal(value) for value in self.arguments.values())
        constants = [f"{name} = {literal(value)}" for name, value in self.constants.items() if name in used]
        if re.search(r"\b(nan|inf)\b", arguments + "".join(constants)):
            lines.append("from numpy import inf, nan")
        comma = "," if len(self.arguments) == 1 else ""
        end = [f"arguments = ({arguments}{comma})", "value = f(*arguments)"]
        return "\n".join([*lines, "", *constants, "", "", self.definition(), "", *end, ""])

    def names(self) -> set[str]:
        """Every name that its steps and its result read or write."""
        return set(NAME.findall(self.result)).union(*(step.names() for step in self.steps))

    def in_double(self) -> Program:
        """The same without what rounds numbers to single precision: its arguments are as they were."""

        def doubled(step: Step) -> Step:
            return replace(
                step,
                text=step.text.replace("np.float32", "np.float64"),
                body=tuple(map(doubled, step.body)),
                otherwise=tuple(map(doubled, step.otherwise)),
            )

        return replace(self, steps=tuple(map(doubled, self.steps)))

    def with_arguments(self, values: Sequence[Any]) -> Program:
        return replace(self, arguments=dict(zip(self.arguments, values, strict=True)))


def copied(tree: Any) -> Any:
    """A tree with copies of its arrays, in their own layout."""
    return tree_map(lambda leaf: leaf.copy("K") if isinstance(leaf, np.ndarray) else leaf, tree)


def first_name(text: str) -> str:
    found = NAME.search(text)
    return found.group() if found else ""


def literal(value: Any) -> str:
    """The text that makes an equal value."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {literal(part)}" for key, part in value.items()) + "}"
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, np.ndarray):
        shape = "" if value.size else f".reshape({value.shape})"
        return f"np.array({value.tolist()!r}, np.{value.dtype.name}){shape}"
    if isinstance(value, np.generic):
        return f"np.{value.dtype.name}({value.item()!r})"
    return repr(value)


def is_inexact(value: Any) -> bool:
    """Whether a value is a real or complex number or array, traced or not."""
    dtype = getattr(value, "dtype", None)
    return dtype.kind in "fc" if dtype is not None else isinstance(value, (float, complex))


def magnitude(value: Any) -> float:
    """The largest absolute value in an array; infinite if it is not finite."""
    array = np.asarray(value)
    largest = float(np.max(np.abs(array), initial=0.0)) if array.dtype.kind in "fciu" else 0.0
    return largest if math.isfinite(largest) else math.inf
