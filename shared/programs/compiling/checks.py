"""Whether a call's arguments are as they were recorded, as text: a call is checked without any loop over types.

This module knows nothing of what is done with the arguments.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

import numpy as np

from shared.calling.tree import LEAF, Structure, flatten
from shared.programs.compiling.literals import literal
from shared.programs.equations import ValueType, layout_of
from shared.programs.program import Program

#: Arguments that stay what they are: others are objects, whose attributes may change.
PLAIN = (int, float, complex, str, bytes, type, np.generic, np.dtype, slice, range, type(Ellipsis), Enum)

#: What is returned for arguments of another kind.
OTHER = object()


class Check:
    """The text that takes arguments apart into leaves, and returns `other` where they are not as recorded."""

    def __init__(self, program: Program):
        self.program = program
        self.rows: list[str] = []
        self.scope: dict[str, Any] = {"ndarray": np.ndarray, "other": OTHER}
        self.inputs: list[str] = []
        self._numbers = iter(program.inputs)
        self._position = 0
        args, kwargs = program.structure.children
        self._unless(f"len(args) == {len(args.children)} and len(kwargs) == {len(kwargs.children)}")
        for k, child in enumerate(args.children):
            self._take(f"args[{k}]", child)
        for k, (key, child) in enumerate(zip(kwargs.names or (), kwargs.children, strict=True)):
            name = self._key(f"keyword{k}", key)
            self._unless(f"{name} in kwargs")
            self._take(f"kwargs[{name}]", child)
        for k, (number, array) in enumerate(program.captured.items()):
            self.scope[f"captured{k}"] = array
            type_ = program.types[number]
            self._unless(f"captured{k}.shape == {type_.shape} and captured{k}.dtype == {self._dtype(type_.dtype)}")

    def _unless(self, condition: str) -> None:
        self.rows += [f"    if not ({condition}):", "        return other"]

    def _key(self, name: str, key: Any) -> str:
        """A key as a literal, or by the generated name under which it is assigned."""
        text = literal(key)
        if text is None:
            self.scope[name] = key
        return text or name

    def _dtype(self, dtype: Any) -> str:
        name = f"dtype_{dtype.str[1:] if dtype.isnative else len(self.scope)}"
        self.scope[name] = dtype
        return name

    def _take(self, place: str, structure: Structure) -> None:
        if structure is LEAF:
            self._leaf(place)
            return
        if structure.kind is None:
            self._unless(f"{place} is None")
            return
        name = f"part{len(self.rows)}"
        if structure.names is not None and structure.kind is not dict:
            # A container of another class, which its shell knows how to take apart.
            self.scope["leaves_of"] = leaves_of
            self.scope[f"structure_{name}"] = structure
            self.rows.append(f"    {name} = leaves_of({place}, structure_{name})")
            self._unless(f"{name} is not None")
            for k in range(structure.size):
                self._leaf(f"{name}[{k}]")
            return
        self.scope[f"kind_{name}"] = structure.kind
        self.rows.append(f"    {name} = {place}")
        self._unless(f"{name}.__class__ is kind_{name} and len({name}) == {len(structure.children)}")
        for k, child in enumerate(structure.children):
            if structure.kind is dict:
                key = self._key(f"key{k}_{name}", (structure.names or ())[k])
                self._unless(f"{key} in {name}")
                self._take(f"{name}[{key}]", child)
            else:
                self._take(f"{name}[{k}]", child)

    def _leaf(self, place: str) -> None:
        position, self._position = self._position, self._position + 1
        name = f"x{position}"
        self.rows.append(f"    {name} = {place}")
        if position in self.program.static_leaves:
            value = self.program.static_leaves[position]
            self.scope[f"static{position}"] = value
            self.scope[f"kind{position}"] = value.__class__
            if not isinstance(value, PLAIN):
                self.scope[f"static{position}"] = value.copy() if isinstance(value, np.ndarray) else value
                self.scope["alike"] = alike
                self._unless(f"alike({name}, static{position})")
                return
            self._unless(
                f"{name} is static{position} or ({name}.__class__ is kind{position} and {name} == static{position})"
            )
            return
        number = next(self._numbers)
        type_: ValueType = self.program.types[number]
        self.inputs.append(name)
        if type_.is_array:
            dtype = self._dtype(type_.dtype)
            self._unless(
                f"{name}.__class__ is ndarray and {name}.shape == {type_.shape} and "
                f"({name}.dtype is {dtype} or {name}.dtype == {dtype})"
            )
            if number in self.program.layouts:
                self.scope["layout_of"] = layout_of
                self._unless(f"layout_of({name}) == {self.program.layouts[number]}")
        else:
            self.scope[f"kind{position}"] = type_.kind
            self._unless(f"{name}.__class__ is kind{position}")


def leaves_of(value: Any, structure: Structure) -> list[Any] | None:
    """The leaves of a value; None if it has not this structure."""
    if value.__class__ is not structure.kind:
        return None
    leaves, found = flatten(value)
    return leaves if found == structure else None


def alike(given: Any, recorded: Any) -> bool:
    """Whether an argument that is no number of the record is the one recorded, or equal to it."""
    if given is recorded or given.__class__ is not recorded.__class__:
        return given is recorded
    if isinstance(recorded, np.ndarray):
        return bool(given.dtype == recorded.dtype and np.array_equal(given, recorded))
    try:
        return bool(given == recorded)
    except (ValueError, TypeError):
        return False
