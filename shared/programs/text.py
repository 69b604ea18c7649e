"""How a recorded program reads: one line an equation, operators infix, and the comparison that a branch is taken on.

`v5 = v3 * x`, `v6 = v2[1:, 0]`, `v7 = v6 with [0] = v5` for an assignment.  What is printed is for people: it is not
run again.  This module knows how programs are built, and neither how they are recorded nor what they compute.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

from shared.operators import CONVERT
from shared.programs.program import PART, Equation, Guard, Program, Write, type_name
from shared.rules import elementwise, indexing, products, shapes
from shared.tree import unflatten

#: The operators of Python by the function of a primitive of two arguments.
_INFIX: dict[Any, str] = {
    primitive.function: symbol
    for primitive, symbol in (
        (elementwise.ADD, "+"),
        (elementwise.SUBTRACT, "-"),
        (elementwise.MULTIPLY, "*"),
        (elementwise.DIVIDE, "/"),
        (elementwise.POWER, "**"),
        (elementwise.MODULO, "%"),
        (products.MATMUL, "@"),
    )
} | {
    primitive.function: {"floordiv": "//", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!=",
                         "and": "&", "or": "|", "xor": "^"}[name]
    for name, primitive in (*elementwise.CONSTANT_OPERATORS.items(), *elementwise.LOGICAL_OPERATORS.items())
}  # fmt: skip
_PREFIX: dict[Any, str] = {elementwise.NEGATIVE.function: "-", elementwise.INVERT.function: "~"}
#: Keywords that are left out where they have the value that NumPy gives them by itself.
_DEFAULTS = {"axis": None, "keepdims": False, "order": "C", "dtype": None, "axes": None, "kind": None}
#: The text of a comparison is traced back for as long as it stays this short.
_LONGEST = 60
#: Lines longer than this do not widen the column of the types.
_WIDEST = 60

Names = Callable[[int], str]


def right_side(program: Program, equation: Equation, names: Names | None = None) -> str:
    """What an equation computes, as text; `names` says what its operands are called.

    >>> import numpy as np
    >>> from shared.programs import trace
    >>> program = trace(lambda x: x[1:] * 2.0, np.ones(3))
    >>> [right_side(program, equation) for equation in program.equations]
    ['x[1:]', 'v2 * 2.0']
    """
    operands = [(names or program.name_of)(k) for k in equation.operands]
    primitive, static = equation.primitive, equation.static
    if isinstance(primitive, Write):
        array, value, *parts = operands
        sign = "=" if primitive.name == "setitem" else "+="
        return f"{array} with {_places(parts, static['lengths'])} {sign} {value}"
    function = primitive.function
    if len(operands) == 2 and not static and function in _INFIX:
        return f"{_enclosed(operands[0])} {_INFIX[function]} {_enclosed(operands[1], right=True)}"
    if len(operands) == 1 and not static and function in _PREFIX:
        return f"{_PREFIX[function]}{_enclosed(operands[0])}"
    if primitive is PART:
        return f"part {static['item']} of {operands[0]}"
    if function is indexing.GETITEM.function:
        return f"{_enclosed(operands[0])}[{_index(operands[1:])}]"
    if function is shapes.TRANSPOSE.function and static.get("axes") is None:
        return f"{_enclosed(operands[0])}.T"
    if function is shapes.RESHAPE.function and static.get("order", "C") == "C":
        return f"reshape({operands[0]}, {static['shape']})"
    if function in (shapes.ASTYPE.function, CONVERT.function):
        return f"{_enclosed(operands[0])}.astype({static['dtype']})"
    operands += [
        f"{name}={type_name(value) if isinstance(value, type) else value!r}"
        for name, value in static.items()
        if not (name in _DEFAULTS and _DEFAULTS[name] == value)
    ]
    return f"{primitive.name.lstrip('_')}({', '.join(operands)})"


def _enclosed(operand: str, right: bool = False) -> str:
    """An operand of an operator: in brackets if it is an expression, or a negative number that might be misread."""
    return f"({operand})" if " " in _outside_brackets(operand) or (operand.startswith("-") and not right) else operand


def _outside_brackets(text: str) -> str:
    depth, kept = 0, []
    for letter in text:
        depth -= letter in ")]}"
        if depth == 0:
            kept.append(letter)
        depth += letter in "([{"
    return "".join(kept)


def _index(parts: list[str]) -> str:
    return ", ".join(parts) if parts else "()"


def _places(parts: list[str], lengths: tuple[int, ...]) -> str:
    """The index of an assignment, `[1:][0]` where it goes through a view."""
    text, start = "", 0
    for length in lengths:
        text += f"[{_index(parts[start : start + length])}]"
        start += length
    return text


def comparison(program: Program, guard: Guard) -> str:
    """What a guard tests, traced back some equations to what users know by name, such as `sum(x) > 0.0`."""
    needed = {guard.operands[0]}
    made: dict[int, Equation] = {}
    # Two equations back, so one pass backwards that follows at most so many values is enough.
    for _ in range(3):
        for step in program.steps:
            if step.result in needed and isinstance(step, Equation):
                made[step.result] = step
        needed = {k for equation in made.values() for k in equation.operands} - made.keys()
    text = program.name_of(guard.operands[0])
    for depth in range(1, 4):
        longer = _expression(program, made, guard.operands[0], depth)
        if len(longer) > _LONGEST and depth > 1:
            break
        text = longer
    return text


def _expression(program: Program, made: dict[int, Equation], number: int, depth: int) -> str:
    equation = made.get(number)
    if equation is None or depth == 0:
        return program.name_of(number)
    return right_side(program, equation, lambda k: _expression(program, made, k, depth - 1))


def place(where: str) -> str:
    """The line of a step without the folders of its file, such as `model.py:12`.

    >>> place(" (at /home/ada/model.py:12)")
    'model.py:12'
    """
    return os.path.basename(where.removeprefix(" (at ").removesuffix(")"))


def lines(program: Program) -> Iterator[tuple[str, str, str]]:
    """For each step: what it says, the type of its result, and the user's line."""
    for step in program.steps:
        if isinstance(step, Guard):
            what = "has shape" if step.expected.__class__ is tuple else "is"
            yield f"guard {program.name_of(step.operands[0])} {what} {step.expected}", "", place(step.where)
        else:
            text = f"v{step.result} = {right_side(program, step)}"
            yield text, repr(program.types[step.result]), place(step.where)


def listing(program: Program) -> str:
    """The whole program: its inputs, what it reads from outside, a line for each step, and what it returns."""
    arguments = ", ".join(f"{program.names[k]}: {program.types[k]!r}" for k in program.inputs)
    rows = [f"{program.name}({arguments})"]
    rows += [f"  reads {program.name_of(k)}: {program.types[k]!r}" for k in program.captured]
    found = list(lines(program))
    left = min(max((len(text) for text, _, _ in found), default=0), _WIDEST)
    middle = max((len(kind) for _, kind, _ in found), default=0)
    rows += [f"  {text:<{left}}  {kind:<{middle}}  {where}".rstrip() for text, kind, where in found]
    results = unflatten(program.out_structure, [_Text(program.name_of(k)) for k in program.outputs])
    return "\n".join([*rows, f"  return {results!r}"])


class _Text(str):
    """Text that a container prints without quotes."""

    __slots__ = ()
    __repr__ = str.__str__
