"""A failing program made small: steps are dropped, blocks opened, arguments left out, as long as it fails the same way.

Greedy: whatever can go goes, until nothing can.  This module knows the text of programs, and asks of a smaller one only
whether it still fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from fuzz.programs import NAME, Program, Step

#: Programs that are tried at most
TRIALS = 300


def shrunk(program: Program, fails: Callable[[Program], bool]) -> Program:
    """The smallest program found for which `fails` holds, beginning with one for which it does."""
    trials = 0
    before = None
    while program is not before:
        before = program
        for candidates in WAYS:
            # What was refused once is not tried again in the same pass: the next candidate is at the same place.
            place, options = 0, list(candidates(program))
            while place < len(options) and trials < TRIALS:
                smaller = options[place]
                place += 1
                if _runs(smaller):
                    trials += 1
                    if fails(smaller):
                        program, place = smaller, place - 1
                        options = list(candidates(program))
    return program


def _runs(program: Program) -> bool:
    """Whether plain NumPy runs it, since a step that was dropped may be missed."""
    try:
        with np.errstate(all="ignore"):
            program.function()(*program.values())
    except Exception:
        return False
    return True


def _other_results(program: Program) -> Iterator[Program]:
    """One of the names returned, or one that is made before; what is then of no use is left out at once."""
    names = list(dict.fromkeys(NAME.findall(program.result)))
    made = [step.written for step in reversed(program.steps) if step.text.startswith(f"{step.written} = ")]
    if program.result in made:
        # Only earlier ones, or two results would take turns.
        names, made = [], made[made.index(program.result) + 1 :]
    for name in dict.fromkeys([*names, *made]):
        yield _without_dead_steps(replace(program, result=name))
        yield replace(program, result=name)


def _without_dead_steps(program: Program) -> Program:
    """Without the steps that nothing after them needs, as far as the names tell."""
    needed, kept = set(NAME.findall(program.result)), []
    for step in reversed(program.steps):
        if step.body or step.written in needed:
            kept.append(step)
            needed |= step.names()
    return replace(program, steps=tuple(reversed(kept)))


def _without_dead_steps_at_once(program: Program) -> Iterator[Program]:
    smaller = _without_dead_steps(program)
    if len(smaller.steps) < len(program.steps):
        yield smaller


def _without_many_steps(program: Program) -> Iterator[Program]:
    count = len(program.steps)
    for length in (count // 2, count // 4):
        for start in range(0, count, max(length, 1)) if length > 1 else ():
            yield replace(program, steps=program.steps[:start] + program.steps[start + length :])


def _with_fewer_steps(program: Program) -> Iterator[Program]:
    for steps in _smaller_steps(program.steps):
        yield replace(program, steps=steps)


def _smaller_steps(steps: tuple[Step, ...]) -> Iterator[tuple[Step, ...]]:
    for k in reversed(range(len(steps))):
        before, step, after = steps[:k], steps[k], steps[k + 1 :]
        yield before + after
        if step.body and not step.last:
            yield before + step.body + after
        if step.otherwise:
            yield (*before, replace(step, otherwise=()), *after)
            yield before + step.otherwise + after
        # Without its body a loop that waits for something would never end.
        for body in () if step.text.startswith("while") else _smaller_steps(step.body):
            yield (*before, replace(step, body=body), *after)
        if step.text.startswith("@"):
            yield (*before, replace(step, text=step.text.split("\n", 1)[1]), *after)


def _fewer_arguments(program: Program) -> Iterator[Program]:
    used = program.names()
    for name in program.arguments:
        if name not in used and len(program.arguments) > 1:
            yield replace(program, arguments={key: part for key, part in program.arguments.items() if key != name})


def _renamed(program: Program) -> Iterator[Program]:
    """A step that gives a value a name left out, and an earlier name read in its place."""
    text = program.definition()
    for k, step in enumerate(program.steps):
        if step.body or not step.text.startswith(f"{step.written} = "):
            continue
        if re.search(rf"\b{step.written}(\[.*\]|\.\w+\(|) ?[-+*/]*= ", text.replace(step.text, "")):
            continue  # it is written to, and the other name must not be
        for other in dict.fromkeys(name for name in NAME.findall(step.text) if name != step.written):
            yield replace(
                program,
                steps=program.steps[:k]
                + tuple(_with_name(later, step.written, other) for later in program.steps[k + 1 :]),
                result=_substituted(program.result, step.written, other),
            )


def _with_name(step: Step, name: str, other: str) -> Step:
    return Step(
        _substituted(step.text, name, other),
        tuple(_with_name(inner, name, other) for inner in step.body),
        tuple(_with_name(inner, name, other) for inner in step.otherwise),
        _substituted(step.last, name, other),
    )


def _substituted(text: str, name: str, other: str) -> str:
    return NAME.sub(lambda match: other if match.group() == name else match.group(), text)


#: The boldest first
WAYS = (
    _without_dead_steps_at_once, _without_many_steps, _other_results, _with_fewer_steps, _fewer_arguments, _renamed,
)  # fmt: skip
