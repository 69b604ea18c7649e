"""The tangents of a recorded program, of every value: forward mode as it is read, with everything kept.

It follows the edges of the registry's primitives, as an engine does (Wengert 1964; Griewank & Walther 2008, section
3.1), and knows no engine and no calculus.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from shared.calling.arguments import in_dtype_of
from shared.calling.tree import flatten
from shared.core.edges import PYTHON_NUMBERS, Like, stretch
from shared.core.errors import LeafTypeError, ShapeError, user_line
from shared.core.writing import duplicate, write
from shared.programs.equations import Equation, Write, nested_index
from shared.programs.explaining.evaluation import Evaluated, has_derivative
from shared.programs.program import Program


def tangents(f: Callable[..., Any] | Program, *args: Any, direction: Any) -> tuple[list[Any], list[Any]]:
    """The value and the tangent of every value of a program, by their numbers: forward mode, with everything kept.

    `direction` holds one tangent an argument, in its structure, or None for one that does not vary; of a single
    argument its tangent alone will do.  The tangent of a value that does not vary is None.

    Cost: one evaluation of the program, and of every equation its linear map.  Raises as `ReverseSweep` does, and
    ShapeError for a direction that does not fit the arguments.

    >>> values, pushed = tangents(lambda x, y: np.sin(x) * y, 0.0, 5.0, direction=(1.0, 0.0))
    >>> float(values[3]), float(pushed[3])
    (0.0, 5.0)
    """
    evaluation = Evaluated("tangents", f, args)
    return evaluation.values, pushed_tangents(evaluation, args, direction)


def pushed_tangents(evaluation: Evaluated, args: tuple[Any, ...], direction: Any) -> list[Any]:
    """The tangents of all values of an evaluation: see `tangents`."""
    program = evaluation.program
    given = zip(program.inputs, _input_tangents(evaluation, args, direction), strict=True)
    return pushed_from(evaluation, dict(given))


def pushed_from(evaluation: Evaluated, seeds: Mapping[int, Any]) -> list[Any]:
    """The tangents of all values of an evaluation, from those of its inputs by number."""
    values, program = evaluation.values, evaluation.program
    found: list[Any] = [None] * len(values)
    for k, tangent in seeds.items():
        if evaluation.varies[k]:
            found[k] = tangent
    for equation in program.equations:
        if not evaluation.varies[equation.result]:
            continue
        out, given = values[equation.result], evaluation.given(equation)
        incoming = [found[k] for k in equation.operands]
        if all(t is None for t in incoming):
            continue
        if isinstance(equation.primitive, Write):
            found[equation.result] = _written_tangent(equation, given, incoming)
            continue
        if isinstance(out, np.ndarray):
            # A rule that chooses among elements would make a Python float's tangent float64, whatever the output.
            incoming = [out.dtype.type(t) if t.__class__ in PYTHON_NUMBERS else t for t in incoming]
        tangent = equation.primitive.push(out, given, incoming, equation.static)
        found[equation.result] = None if tangent is None else stretch(tangent, Like(out))
    return found


def _written_tangent(equation: Equation, given: list[Any], incoming: list[Any]) -> Any:
    updating = equation.primitive.updating
    array, _, *parts = given
    buffer = np.zeros_like(array) if incoming[0] is None else duplicate(np.asarray(incoming[0]))
    index = nested_index(parts, equation.static["lengths"])
    return write(buffer, updating, index, 0.0 if incoming[1] is None else incoming[1])


def _input_tangents(evaluation: Evaluated, args: tuple[Any, ...], direction: Any) -> list[Any]:
    """One tangent an input of the program, None for what does not vary."""
    program, caller = evaluation.program, evaluation.caller
    parts = _parts(caller, args, direction)
    found: list[Any] = []
    position = 0
    inputs = iter(program.inputs)
    for k, (argument, part) in enumerate(zip(args, parts, strict=True)):
        leaves, structure = flatten(argument)
        given: list[Any] = [None] * len(leaves)
        if part is not None:
            given, found_structure = flatten(part)
            if found_structure != structure:
                raise ShapeError(
                    f"{caller}: the direction of argument {k} has the structure {found_structure}, not {structure}"
                    f"{user_line()}"
                )
        for tangent in given:
            if position not in program.static_leaves:
                found.append(_checked_tangent(evaluation, next(inputs), tangent))
            elif tangent is not None and not _is_zero(tangent):
                raise LeafTypeError(
                    f"{caller}: argument {k} holds {program.static_leaves[position]!r}, which has no derivative"
                    f"{user_line()}; its tangent must be None or 0"
                )
            position += 1
    return found


def _parts(caller: str, args: tuple[Any, ...], direction: Any) -> list[Any]:
    """The direction as one tangent an argument."""
    if len(args) == 1 and flatten(direction)[1] == flatten(args[0])[1]:
        return [direction]
    if isinstance(direction, (list, tuple)) and len(direction) == len(args):
        return list(direction)
    raise ShapeError(
        f"{caller}: the direction must be a tuple of {len(args)}, one tangent an argument (None for one that does not "
        f"vary), not {direction!r}{user_line()}"
    )


def _checked_tangent(evaluation: Evaluated, k: int, tangent: Any) -> Any:
    caller, program, value = evaluation.caller, evaluation.program, evaluation.values[k]
    if tangent is None:
        return None
    if np.shape(tangent) != np.shape(value):
        raise ShapeError(
            f"{caller}: the direction of {program.names[k]} has shape {np.shape(tangent)}, but must have "
            f"{np.shape(value)}{user_line()}"
        )
    if has_derivative(value):
        return in_dtype_of(tangent, value)
    if not _is_zero(tangent):
        raise LeafTypeError(
            f"{caller}: {program.names[k]} is of integers or truth values{user_line()}, so its tangent must be None"
        )
    return None


def _is_zero(tangent: Any) -> bool:
    try:
        return not np.any(np.asarray(tangent, float))
    except (TypeError, ValueError):
        return False
