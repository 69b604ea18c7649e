"""Whether a record stands for its function: whether that does the same each time, and the same when it is not recorded.

A function that draws random numbers, reads the clock or asks `isinstance(x, np.ndarray)` is recorded with what it did
once, on values that are no arrays.  So it is also called as it is, and where the results show a difference, or numbers
in the record may have come from anywhere, recorded a second time.  This module knows no source text.
"""

from __future__ import annotations

import random
from collections.abc import Callable
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

#: Results of a record and of its function may differ by rounding, which a long program makes grow.
_ROUNDING = 1e-5


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
    if not equal and not _agree(found, expected, _close):
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


def _close(one: Any, other: Any) -> bool:
    one, other = np.asarray(one), np.asarray(other)
    if one.shape != other.shape or one.dtype.kind not in "fcbiu" or other.dtype.kind not in "fcbiu":
        return False
    finite = np.abs(other[np.isfinite(other)])
    scale = _ROUNDING * float(finite.max(initial=0.0))
    return bool(np.allclose(one, other, rtol=_ROUNDING, atol=scale, equal_nan=True))
