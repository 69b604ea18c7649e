"""What has changed between two records of one function, bit by bit: the first difference, with the user's line.

A function that draws random numbers, reads the clock, or reads a number that was set anew since, is recorded with the
numbers of that one run.  Recorded twice it shows, since the two programs differ.  This module knows how programs are
built and who holds their arrays, and nothing of how they are recorded.
"""

from __future__ import annotations

import gc
from collections import Counter
from typing import Any

import numpy as np

from shared.programs.captures import lives_outside
from shared.programs.notation import literal_text
from shared.programs.parts import Equation, Guard, Step, Write
from shared.programs.program import Program

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
        return f"the branch on {program.comparison(step)}"
    if isinstance(step.primitive, Write):
        return f"an assignment ({program.right_side(step)})"
    return program.right_side(step)


__all__ = ["differences"]
