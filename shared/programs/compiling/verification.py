"""Whether a record tells the truth: the function is run beside it, and the results are compared.

A record holds what its function did once.  It stands for later calls as far as they depend on the arguments, and on
the contents of the arrays that were captured; anything else that the function read (a number, a branch on a setting, a
name bound to another object) is frozen in it.  When the results differ, the function is recorded again, and the first
difference between the two records says what has changed, bit by bit.  This module knows no source text.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from shared.errors import (
    CompilationError,
    DifferentiationError,
    ProgramGuardError,
    StaleProgramError,
    user_line,
)
from shared.programs.compiling.changes import differences, same_bits
from shared.programs.program import Program
from shared.tree import flatten

#: Results of a record and of its function may differ by rounding, which a long program makes grow; in low precision by
#: so many units of it.
_ROUNDING, _UNITS = 1e-5, 100
#: Larger numbers stand for infinity, and say nothing of how others were rounded.
_MOST = 1e30

_NOT_DETERMINISTIC = (
    "a function that is recorded has to do the same each time: pass random numbers, times and counts as arguments"
)
_WHAT_TO_DO = (
    "What a function reads besides its arguments and the contents of arrays is frozen when it is recorded: pass it as "
    "an argument, or call clear() of the compiled function after a change"
)


def verify_first(
    program: Program, again: Callable[[], Program], function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Run the function beside its new record; CompilationError where that stands for this one call alone.

    `again` records the function once more.  Cost: the function and the record are run; the function is recorded again
    where results differ in a bit.
    """
    before = _random_states()
    expected = function(*args, **kwargs)
    if _random_states() != before:
        raise CompilationError(
            f"compile: {program.name} draws random numbers{user_line()}; a compiled function would give the same ones "
            "in each call. Draw them outside, and pass them as arguments"
        )
    found = program(*args, **kwargs)
    if _agree(found, expected, same_bits):
        return
    difference = differences(program, again(), ("in the first of two runs", "in the second"))
    if difference is not None:
        raise CompilationError(f"compile: {program.name} is not deterministic: {difference}; {_NOT_DETERMINISTIC}")
    _require_rounding(program, found, expected, args, kwargs)


def verify(
    program: Program,
    again: Callable[[], Program],
    result: Any,
    function: Any,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> None:
    """Run the function beside its compiled form, which gave `result`; StaleProgramError where something has changed.

    Bits decide: results that differ by no more than rounding are taken for equal only if the record itself, which
    computes in the order of the function, has the very bits of the function, or a second record those of the first.
    """
    try:
        expected = function(*args, **kwargs)
    except Exception as error:
        raise StaleProgramError(
            f"{program.name} raises {type(error).__name__} now{user_line()}, where its record has a value. "
            f"{_WHAT_TO_DO}"
        ) from error
    if _agree(result, expected, same_bits):
        return
    try:
        found = program(*args, **kwargs)
    except ProgramGuardError:
        return  # rounding in the text decided a branch, which may go either way
    if _agree(found, expected, same_bits):
        return
    try:
        difference = differences(program, again(), ("when it was recorded", "now"))
    except DifferentiationError as error:
        raise StaleProgramError(
            f"{program.name} cannot be recorded any more{user_line()}, as it was when it was compiled. {_WHAT_TO_DO}"
        ) from error
    if difference is not None:
        raise StaleProgramError(f"{program.name} has changed{user_line()}: {difference}. {_WHAT_TO_DO}")
    _require_rounding(program, found, expected, args, kwargs)


def _require_rounding(
    program: Program, found: Any, expected: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    """Raise CompilationError where two results that should be equal differ by more than rounding."""
    units = _units(program)
    if _agree(found, expected, partial(_close, rounding=max(_ROUNDING, units))):
        return
    # What is zero but for rounding differs by that of the numbers it was computed from.
    close = partial(_close, rounding=max(_ROUNDING, units), least=units * _largest(program, args, kwargs))
    if _agree(found, expected, close):
        return
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


def _random_states() -> list[Any]:
    """The states of the generators that any function may draw from: Python's and NumPy's own."""
    return [random.getstate(), _plain(np.random.get_state(legacy=False))]


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
        numbers = ~(np.isnan(one) | np.isnan(other))
        one, other = one[numbers], other[numbers]
    finite = np.abs(other[np.isfinite(other)])
    scale = max(rounding * float(finite.max(initial=0.0)), least)
    return bool(np.allclose(one, other, rtol=rounding, atol=scale, equal_nan=True))
