"""Whether a record tells the truth: the function is run beside it, and the results are compared.

A record holds what its function did once.  It stands for later calls as far as they depend on the arguments, and on
the contents of the arrays that were captured; anything else that the function read (a number, a branch on a setting, a
name bound to another object) is frozen in it.  When the results differ, the function is recorded again, and the first
difference between the two records says what has changed, bit by bit, with the user's line (`differences`).  This module
knows how programs are built and who holds their arrays, and no source text.
"""

from __future__ import annotations

import gc
import random
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from shared.calling.tree import flatten
from shared.core.errors import CompilationError, DifferentiationError, ProgramGuardError, StaleProgramError, user_line
from shared.programs.captures import lives_outside
from shared.programs.equations import Equation, Guard, Step, Write
from shared.programs.notation import literal_text
from shared.programs.program import Program
from shared.programs.text import comparison, right_side

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


#: When the first and the second of two programs were recorded, as a sentence says it.
Times = tuple[str, str]


def differences(first: Program, second: Program, times: Times = ("first", "then")) -> str | None:
    """Where two programs that were traced from the same call differ, with the user's line; None if they are equal.

    `times` says in words when each was recorded.

    Literals are equal if their bits are.  Cost: some microseconds an equation, and one comparison of the literals.

    >>> from shared.programs import trace
    >>> numbers = iter((0.25, 0.5))
    >>> def f(x):
    ...     return x * next(numbers)
    >>> print(differences(trace(f, 1.0), trace(f, 1.0)).partition(" (at")[0])
    x * 0.25
    >>> differences(trace(np.sin, 1.0), trace(np.sin, 1.0)) is None
    True
    """
    earlier, later = times
    # A literal is read by many steps, and compared once.
    unknown = {*first.literals, *first.captured, *second.literals, *second.captured}
    for one, other in zip(first.steps, second.steps, strict=False):
        if _is_same(first, second, one, other) and unknown.isdisjoint(one.operands):
            continue
        found = _step(first, second, one, other, times)
        if found is not None:
            return found
        if one.operands == other.operands:
            unknown.difference_update(one.operands)
    if len(first.steps) != len(second.steps):
        longer, count = (
            (first, len(second.steps)) if len(first.steps) > len(second.steps) else (second, len(first.steps))
        )
        step = longer.steps[count]
        return f"{_text(longer, step)}{step.where} was evaluated {earlier if longer is first else later} alone"
    if first.out_structure != second.out_structure or len(first.outputs) != len(second.outputs):
        return f"the result had the structure {first.out_structure} {earlier}, and {second.out_structure} {later}"
    for k, (one_output, other_output) in enumerate(zip(first.outputs, second.outputs, strict=True)):
        found = _operand(first, second, one_output, other_output, times)
        if found is not None:
            return f"output {k} {found}"
    return None


def _is_same(first: Program, second: Program, one: Step, other: Step) -> bool:
    """Whether two steps are one equation, if their operands are equal: as a rule they are, and need no description."""
    return (
        one.primitive == other.primitive
        and one.operands == other.operands
        and isinstance(one, Equation)
        and isinstance(other, Equation)
        and first.types[one.result] is second.types[other.result]
        and (one.static is other.static or _same_keywords(one.static, other.static))
    )


def _step(first: Program, second: Program, one: Step, other: Step, times: Times) -> str | None:
    earlier, later = times
    text = f"{_text(first, one)}{one.where}"
    if one.__class__ is not other.__class__ or one.primitive != other.primitive:
        return f"{text} was evaluated {earlier}, and {_text(second, other)}{other.where} {later}"
    for a, b in zip(one.operands, other.operands, strict=False):
        found = _operand(first, second, a, b, times)
        if found is not None:
            return f"{text} {found}"
    if len(one.operands) != len(other.operands):
        return f"{text} had {len(one.operands)} operands {earlier} and {len(other.operands)} {later}"
    if isinstance(one, Guard) or isinstance(other, Guard):
        if getattr(one, "expected", None) != getattr(other, "expected", None):
            return f"{text} was {one.expected} {earlier} and {other.expected} {later}"  # type: ignore[union-attr]
        return None
    if not _same_keywords(one.static, other.static):
        return f"{text} was {_text(second, other)} {later}"
    if first.types[one.result] is not second.types[other.result]:
        return (
            f"{text} gave {first.types[one.result].description} {earlier} and "
            f"{second.types[other.result].description} {later}"
        )
    return None


def _operand(first: Program, second: Program, a: int, b: int, times: Times) -> str | None:
    """How an operand of two programs differs, None if it does not; equal results so far have equal numbers."""
    earlier, later = times
    if a in first.literals and b in second.literals:
        one, other = first.literals[a], second.literals[b]
        if same_bits(one, other):
            return None
        return f"had the operand {literal_text(one)} {earlier} and {literal_text(other)} {later}"
    if a in first.captured and b in second.captured:
        if _same_memory(first.captured[a], second.captured[b]) or _made_by_each(first, second, a, b):
            return None
        return f"read an array from outside {earlier}, and another one {later}"
    return None if a == b else f"had other operands {later}"


def _made_by_each(first: Program, second: Program, a: int, b: int) -> bool:
    """Whether each run made an array of its own, with the same contents, that only garbage still refers to."""
    if not same_bits(first.captured[a], second.captured[b]):
        return False
    gc.collect()
    return not any(_is_held(program.captured, number) for program, number in ((first, a), (second, b)))


def _is_held(arrays: dict[int, np.ndarray], number: int) -> bool:
    views = Counter(id(array.base) for array in arrays.values())
    return lives_outside(arrays, number, views, {id(array) for array in arrays.values()})


def _same_memory(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two arrays are one, or the same view of it: each run makes views of its own."""
    # Both are held, so that their addresses are of the same time.
    return one is other or bool(one.__array_interface__ == other.__array_interface__)


def same_bits(one: Any, other: Any) -> bool:
    """Whether two values are of one class, and hold the same bits."""
    if one is other:
        return True
    if one.__class__ is not other.__class__:
        return False
    if isinstance(one, (np.ndarray, np.generic)):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        if one.dtype.char in "gG":
            # The bytes that fill up a long double mean nothing.
            return bool(np.all((one == other) | (one != one) & (other != other)) and _same_signs(one, other))
        return bool(one.tobytes() == other.tobytes())
    return repr(one) == repr(other)


def _same_signs(one: Any, other: Any) -> bool:
    return all(np.array_equal(np.signbit(part(one)), np.signbit(part(other))) for part in (np.real, np.imag))


def _same_keywords(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(same_bits(value, other[name]) for name, value in one.items())


def _text(program: Program, step: Step) -> str:
    if isinstance(step, Guard):
        return f"the branch on {comparison(program, step)}"
    if isinstance(step.primitive, Write):
        return f"an assignment ({right_side(program, step)})"
    return right_side(program, step)
