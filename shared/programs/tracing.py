"""`trace`: the program that a function executes for some arguments.

It makes recorded values of the arguments, calls the function, and asks the recorder what that wrote down.  This module
knows no derivative and no engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shared.calling.arguments import argument_paths
from shared.calling.transformed import readable_name
from shared.calling.tree import flatten, unflatten
from shared.core.duck_array import operand
from shared.core.errors import (
    CaughtExceptionError,
    CompilationError,
    ImpureFunctionError,
    TracerConversionError,
    user_line,
)
from shared.core.levels import RECORDING, Tracer
from shared.core.visible import kind_of, shown
from shared.programs.equations import Equation, Layout, Write, layout_of
from shared.programs.escapes import place_of_escaped
from shared.programs.program import Program
from shared.programs.recorder import LARGEST_COMPARED, Recorded, Recording
from shared.rules import shapes

_NUMBERS = (float, complex, int, bool)


def trace(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Program:
    """The program that `f` executes on these arguments, as an object: every primitive it applies, in order.

    Floating-point numbers and arrays (of any dtype), also in nested containers, are inputs; integers, strings and other
    arguments belong to the program.  `f` may be a derivative: `trace(reversead.grad(g), x)` records the sweep, too.
    Arrays from outside of `f` are read at each call of the program, so later changes are seen; names that are bound
    anew are not, and neither is what `f` computes from plain arrays alone, or reads
    from an array that it has itself changed.  Integer arrays that say how often or where (np.repeat, np.split) belong
    to the program.  Derivatives that `f` takes at plain numbers and arrays are recorded, too.  Branches on values
    become guards.

    Cost: one evaluation of `f`, some ten microseconds an operation.  Raises TracerConversionError for `float(x)`,
    `int(x)` and `x.item()` of a recorded value; CaughtExceptionError where `f` catches what an operation raised; and
    TypeError where `f` returns what is no number or array.

    >>> program = trace(lambda x: np.sin(x) * x, 2.0)
    >>> program(3.0) == np.sin(3.0) * 3.0
    np.True_
    >>> [equation.primitive.name for equation in program.equations]
    ['sin', 'multiply']
    """
    return record(f, args, kwargs)


def record(
    f: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    transform: str = "trace",
    lowered: frozenset[Any] = frozenset(),
    longest: int | None = None,
) -> Program:
    """What `trace` returns; of the functions `lowered` it holds what they evaluate, in place of themselves.

    Raises RecordLengthError after `longest` values, by default some millions.  A record for "compile" stands in place
    of the function, so a value that the function has stored elsewhere, where it would be missed, is an error:
    CompilationError.
    """
    if not callable(f):
        raise TypeError(f"{transform}: expected a function, not {shown(f)} (type {kind_of(f)}){user_line()}")
    recording = Recording(transform, lowered, longest)
    try:
        return _recorded(recording, f, args, kwargs)
    except BaseException:
        # Again, if it was interrupted.
        _end(recording)
        raise


def _recorded(recording: Recording, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Program:
    transform = recording.transform
    name = readable_name(f)
    leaves, structure = flatten([list(args), kwargs])
    names, static_leaves, traced = _recorded_leaves(recording, leaves, list(argument_paths(f, args, kwargs)))
    inputs = list(names)
    given, keywords = unflatten(structure, traced)
    watched = [leaf for leaf in traced if isinstance(leaf, Recorded)]
    leaf = leaves = traced = None  # type: ignore[assignment]
    try:
        RECORDING.set(recording)
        result, out_structure = flatten(f(*given, **keywords))
        outputs = [_output(recording, name, leaf) for leaf in result]
        for leaf, number in zip(watched, inputs, strict=True):
            if leaf.number != number:
                raise ImpureFunctionError(
                    f"trace: {name} assigned to its argument {names[number]}{user_line()}, which is the caller's; a "
                    f"program writes to no argument. Return the new value, or begin with {names[number]} = np.copy("
                    f"{names[number]})"
                )
    except ValueError as error:
        if isinstance(error.__cause__, TracerConversionError):  # the last line is what is read
            error.add_note(str(error.__cause__))
        if recording.locked and "read-only" in str(error):
            error.add_note(
                f"{transform} locks the arrays larger than {LARGEST_COMPARED >> 20} MB that a function reads until it "
                "has ended: write to a new array, and not to one that has been used"
            )
        raise
    finally:
        _end(recording)
    if recording.raised is not None:
        raise CaughtExceptionError(f"{name} caught {recording.raised}")
    layouts = _layouts(recording, inputs, [leaf.primal for leaf in watched])
    del result, given, keywords, watched, leaf
    if transform == "compile":
        # Here, and in the function that called this.
        stored = place_of_escaped(recording, frames=2)
        if stored is not None:
            raise CompilationError(
                f"compile: {name} stores a value of the record in {stored}{user_line()}, where it would mean "
                "nothing afterwards; return it instead, and store what the compiled function returns"
            )
    literals, captured = recording.settle()
    return Program(
        name, recording.types, inputs, _named_captures(names, captured), structure, static_leaves, literals, captured,
        recording.steps, outputs, out_structure, tuple(recording.custom), layouts,
    )  # fmt: skip


def _end(recording: Recording) -> None:
    recording.end()
    RECORDING.set(recording.outer)


def _recorded_leaves(
    recording: Recording, leaves: list[Any], paths: list[str]
) -> tuple[dict[int, str], dict[int, Any], list[Any]]:
    """The names of those leaves that are inputs, by number; the others, by position; and all as `f` is given them."""
    names: dict[int, str] = {}
    static_leaves: dict[int, Any] = {}
    traced: list[Any] = []
    for position, (leaf, path) in enumerate(zip(leaves, paths, strict=True)):
        if isinstance(leaf, Tracer):
            raise TracerConversionError(
                f"trace: the argument {path} belongs to a differentiation in progress{user_line()}; trace the "
                "outermost function: trace(reversead.grad(f), x), not reversead.grad(lambda x: trace(f, x))"
            )
        if isinstance(leaf, (float, complex)) or (
            isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind in "biufc"
        ):
            if isinstance(leaf, np.ndarray) and leaf.__class__ is not np.ndarray:
                leaf = operand(leaf)
            number = recording.new(leaf)
            names[number] = path
            traced.append(Recorded(recording, leaf, number))
        else:
            static_leaves[position] = leaf
            traced.append(leaf)
    return names, static_leaves, traced


def _layouts(recording: Recording, inputs: list[int], arrays: list[Any]) -> dict[int, Layout]:
    """How the arguments lie in memory, where a reshape is a view or a copy by that, and arrays are assigned to."""
    steps = [step for step in recording.steps if isinstance(step, Equation)]
    writes = any(isinstance(step.primitive, Write) for step in steps)
    if not writes or not any(step.primitive is shapes.RESHAPE for step in steps):
        return {}
    found = zip(inputs, arrays, strict=True)
    return {k: layout_of(array) for k, array in found if isinstance(array, np.ndarray) and array.ndim > 1}


def _output(recording: Recording, name: str, leaf: Any) -> int:
    if isinstance(leaf, Recorded) and leaf.level is recording:
        _ = leaf.primal  # of a view whose base was assigned to, this raises
        return leaf.number
    if isinstance(leaf, (np.ndarray, np.generic, *_NUMBERS)):
        return recording.number_of(leaf)
    raise TypeError(
        f"trace: {name} returned {shown(leaf)} (type {kind_of(leaf)}){user_line()}; a program returns numbers, arrays "
        "and containers of them"
    )


def _named_captures(names: dict[int, str], captured: dict[int, np.ndarray]) -> dict[int, str]:
    return {**names, **{number: f"array{k + 1}" for k, number in enumerate(sorted(captured))}}
