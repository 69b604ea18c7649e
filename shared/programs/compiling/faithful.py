"""Whether a record stands for its function: whether that does the same each time, and the same when it is not recorded.

A function that draws random numbers, reads the clock or asks `isinstance(x, np.ndarray)` is recorded with what it did
once, on values that are no arrays.  So it is also called as it is, and where the results show a difference, or numbers
in the record may have come from anywhere, recorded a second time.  This module knows no source text.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from shared.errors import CompilationError, user_line
from shared.levels import Tracer
from shared.programs.compiling.contents import may_be_computed, numbers_among
from shared.programs.compiling.determinism import differences, same_bits
from shared.programs.compiling.names import Names
from shared.programs.compiling.numpy_text import LOWERED
from shared.programs.program import Program
from shared.programs.tracing import record
from shared.tree import flatten

#: Results of a record and of its function may differ by rounding, which a long program makes grow; in low precision by
#: so many units of it.
_ROUNDING, _UNITS = 1e-5, 100
#: Larger numbers stand for infinity, and say nothing of how others were rounded.
_MOST = 1e30


def faithful_record(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], names: Names
) -> Program:
    """The record of a call, or CompilationError saying why it stands for that call alone.

    Cost: the function is recorded and called once; recorded once more if numbers in the record may have come from
    elsewhere than from its code.
    """
    program = record(function, args, kwargs, LOWERED)
    stored = names.holding(Tracer)
    if stored is not None:
        raise CompilationError(
            f"compile: {program.name} stores a value of the record in {stored}{user_line()}, where it would mean "
            "nothing afterwards; return it instead, and store what the compiled function returns"
        )
    before = _random_states(names)
    expected = function(*args, **kwargs)
    if _random_states(names) != before:
        raise CompilationError(
            f"compile: {program.name} draws random numbers{user_line()}; a compiled function would give the same ones "
            "in each call. Draw them outside, and pass them as arguments"
        )
    found = program(*args, **kwargs)
    equal = _agree(found, expected, same_bits)
    numbers = numbers_among([function, *names.values])
    if equal and not any(may_be_computed(literal, numbers) for literal in program.literals.values()):
        return program
    difference = differences(program, record(function, args, kwargs, LOWERED))
    if difference is not None:
        raise CompilationError(f"compile: {program.name} is not deterministic: {difference}")
    units = _units(program)
    if equal or _agree(found, expected, partial(_close, rounding=max(_ROUNDING, units))):
        return program
    # What is zero but for rounding differs by that of the numbers it was computed from.
    close = partial(_close, rounding=max(_ROUNDING, units), least=units * _largest(program, args, kwargs))
    if not _agree(found, expected, close):
        if _agree(found, expected, partial(close, with_nan=False)):
            raise CompilationError(
                f"compile: {program.name} computes NaN at these arguments where the function alone has other numbers"
                f"{user_line()}: a derivative that is infinite or NaN is multiplied by a zero, which the function "
                "leaves out. Call it first where its derivatives are finite"
            )
        raise CompilationError(
            f"compile: {program.name} computes otherwise when it is recorded{user_line()}. Does it ask for the type of "
            "a value (isinstance(x, np.ndarray), np.isscalar(x))? Ask for its shape (np.ndim(x)), or decide outside"
        )
    return program


def _random_states(names: Names) -> list[Any]:
    """The states of the generators that a function may draw from: NumPy's and Python's own, and those it names."""
    states: list[Any] = [random.getstate()]
    for value in (np.random.mtrand._rand, *names.values):
        if isinstance(value, np.random.RandomState):
            states.append(repr(_plain(value.get_state(legacy=False))))
        elif isinstance(value, np.random.Generator):
            states.append(repr(_plain(value.bit_generator.state)))
        elif isinstance(value, random.Random):
            states.append(value.getstate())
    return states


def _plain(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _plain(value) for key, value in state.items()}
    return state.tobytes() if isinstance(state, np.ndarray) else state


def _agree(found: Any, expected: Any, equal: Callable[[Any, Any], bool]) -> bool:
    ours, structure = flatten(found)
    theirs, other = flatten(expected)
    return structure == other and all(equal(a, b) for a, b in zip(ours, theirs, strict=True))


def _units(program: Program) -> float:
    """Some units in the last place of the lowest precision that a value of the program has."""
    dtypes = {type_.dtype for type_ in program.types if type_.dtype is not None and type_.dtype.kind in "fc"}
    return _UNITS * float(max(np.finfo(dtype).eps for dtype in (np.dtype(float), *dtypes)))


def _largest(program: Program, args: tuple[Any, ...], kwargs: dict[str, Any]) -> float:
    """The largest number among the values that the program computes."""
    values = program.values(*args, **kwargs)
    made = [values[e.result] for e in program.equations if not isinstance(values[e.result], tuple)]
    sizes = [np.abs(np.asarray(value, complex)) for value in made]
    return max([float(size[size < _MOST].max(initial=0.0)) for size in sizes], default=0.0)


def _close(one: Any, other: Any, rounding: float, least: float = 0.0, with_nan: bool = True) -> bool:
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape or one.dtype.kind not in "fcbiu" or other.dtype.kind not in "fcbiu":
        return False
    if not with_nan:
        one, other = one[~np.isnan(one)], other[~np.isnan(one)]
    finite = np.abs(other[np.isfinite(other)])
    scale = max(rounding * float(finite.max(initial=0.0)), least)
    return bool(np.allclose(one, other, rtol=rounding, atol=scale, equal_nan=True))
