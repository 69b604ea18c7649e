"""How a recorded program reads: one line an equation, operators infix, and the comparison that a branch is taken on.

`v5 = v3 * x`, `v6 = v2[1:, 0]`, `v7 = v6 with [0] = v5` for an assignment.  What is printed is for people: it is not
run again.  Whatever it is that users have named, an equation stays on its line.  This module knows how programs are
built, and neither how they are recorded nor what they compute.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from shared.calling.tree import unflatten
from shared.core.assignment import SETITEM
from shared.core.visible import one_line, shown
from shared.programs.equations import AS_KIND, PART, Equation, Guard, Write
from shared.programs.notation import (
    ATOM,
    SENTENCE,
    Operator,
    call_name,
    enclosed,
    index_text,
    keywords,
    literal_precedence,
    operator_of,
    type_name,
)
from shared.programs.tabulation import html_lines
from shared.rules import indexing, shapes
from shared.rules.shapes import CONVERT

if TYPE_CHECKING:
    from shared.programs.program import Program

#: The text of a comparison is traced back for as long as it stays this short.
_LONGEST = 60
#: Lines longer than this do not widen the column of the types.
_WIDEST = 60

#: The text of an operand, and how closely it binds.
_Names = Callable[[int], tuple[str, int]]


def right_side(program: Program, equation: Equation, called: Callable[[int], str] | None = None) -> str:
    """What an equation computes, as text; `called` says what values are called, `program.name_of` if nothing else.

    >>> import numpy as np
    >>> from shared.programs import trace
    >>> program = trace(lambda x: x[1:] * 2.0, np.ones(3))
    >>> [right_side(program, equation) for equation in program.equations]
    ['x[1:]', 'v2 * 2.0']
    """
    return one_line(_written(program, equation, lambda k: _name(program, k, called))[0])


def _name(program: Program, number: int, called: Callable[[int], str] | None = None) -> tuple[str, int]:
    literals = program.literals
    if number in literals:
        return program.name_of(number), literal_precedence(literals[number])
    return (called or program.name_of)(number), ATOM


def _written(program: Program, equation: Equation, names: _Names) -> tuple[str, int]:
    """The right side of an equation whose operands `names` writes, and how closely it binds."""
    written = [names(k) for k in equation.operands]
    operands = [text for text, _ in written]
    primitive, static = equation.primitive, equation.static
    if isinstance(primitive, Write):
        array, value, *parts = operands
        sign = "=" if primitive.updating is SETITEM else "+="
        return f"{array} with {index_text(parts, static['lengths'])} {sign} {value}", SENTENCE
    if primitive is PART:
        return f"part {static['item']} of {operands[0]}", SENTENCE
    operator = None if static else operator_of(primitive, len(operands))
    # What Python's words do to truth values, they do not do to arrays of them.
    if operator is not None and not operator.symbol.isalpha():
        return _with_operator(operator, written), operator.precedence
    function = primitive.function
    if function is indexing.GETITEM.function:
        return f"{_primary(*written[0])}{index_text(operands[1:])}", ATOM
    if function is shapes.TRANSPOSE.function and static.get("axes") is None:
        return f"{_primary(*written[0])}.T", ATOM
    if function is shapes.RESHAPE.function and static.get("order", "C") == "C":
        return f"reshape({operands[0]}, {static['shape']})", ATOM
    if function is AS_KIND.function:
        kind = static["kind"]
        return f"{'np.asarray' if kind is np.ndarray else type_name(kind)}({operands[0]})", ATOM
    if function in (shapes.ASTYPE.function, CONVERT.function):
        return f"{_primary(*written[0])}.astype({static['dtype']})", ATOM
    operands += [
        f"{name}={type_name(value) if isinstance(value, type) else value!r}" for name, value in keywords(static).items()
    ]
    return f"{call_name(primitive)}({', '.join(operands)})", ATOM


def _primary(text: str, precedence: int) -> str:
    """What an index or an attribute is asked of."""
    return text if precedence == ATOM else f"({text})"


def _with_operator(operator: Operator, operands: list[tuple[str, int]]) -> str:
    first = enclosed(*operands[0], operator)
    if len(operands) == 1:
        return f"{operator.symbol}{first}"
    return f"{first} {operator.symbol} {enclosed(*operands[1], operator, is_right=True)}"


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
        longer = _expression(program, made, guard.operands[0], depth)[0]
        if len(longer) > _LONGEST and depth > 1:
            break
        text = longer
    return one_line(text)


def _expression(program: Program, made: dict[int, Equation], number: int, depth: int) -> tuple[str, int]:
    equation = made.get(number)
    if equation is None or depth == 0:
        return _name(program, number)
    return _written(program, equation, lambda k: _expression(program, made, k, depth - 1))


def place(where: str) -> str:
    """The line of a step without the folders of its file, such as `model.py:12`.

    >>> place(" (at /home/ada/model.py:12)")
    'model.py:12'
    """
    return one_line(os.path.basename(where.removeprefix(" (at ").removesuffix(")")))


def text_lines(program: Program) -> Iterator[tuple[str, str, str]]:
    """For each step: what it says, the type of its result, and the user's line."""
    for step in program.steps:
        if isinstance(step, Guard):
            what = "has shape" if step.expected.__class__ is tuple else "is"
            yield one_line(f"guard {program.name_of(step.operands[0])} {what} {step.expected}"), "", place(step.where)
        else:
            text = f"v{step.result} = {right_side(program, step)}"
            yield text, shown(program.types[step.result]), place(step.where)


def html_listing(program: Program) -> str:
    """The program as an HTML table: inputs, what it reads from outside, and its steps, with types and lines."""
    rows = [[program.name_of(k), repr(program.types[k]), "argument"] for k in program.inputs]
    rows += [[program.name_of(k), repr(program.types[k]), "read from outside"] for k in program.captured]
    rows += [list(row) for row in text_lines(program)]
    rows.append([f"return {_returned(program)}", "", ""])
    counts = f"{len(program.equations):,} equations, {len(program.guards):,} guards"
    return html_lines(f"{program.name}: {counts}", ["step", "type", "line"], rows)


def _returned(program: Program) -> str:
    return repr(unflatten(program.out_structure, [_Text(program.name_of(k)) for k in program.outputs]))


def listing(program: Program) -> str:
    """The whole program: its inputs, what it reads from outside, a line for each step, and what it returns."""
    arguments = ", ".join(f"{program.names[k]}: {program.types[k]!r}" for k in program.inputs)
    rows = [f"{program.name}({arguments})"]
    rows += [f"  reads {program.name_of(k)}: {program.types[k]!r}" for k in program.captured]
    found = list(text_lines(program))
    left = min(max((len(text) for text, _, _ in found), default=0), _WIDEST)
    middle = max((len(kind) for _, kind, _ in found), default=0)
    rows += [f"  {text:<{left}}  {kind:<{middle}}  {where}".rstrip() for text, kind, where in found]
    return "\n".join([one_line(row) for row in (*rows, f"  return {_returned(program)}")])


class _Text(str):
    """Text that a container prints without quotes."""

    __slots__ = ()
    __repr__ = str.__str__
