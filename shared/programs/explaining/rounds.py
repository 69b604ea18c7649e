"""Rounds: where a program does the same several times over, as a loop does, or equal layers one after the other.

Two equations are alike if one primitive makes a value of one type from values of the same types, at one line of the
user's code.  A run of rounds is a sequence of equations that repeats, one round behind the other.  This module knows
nothing of layers, and no derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shared.core.visible import shown
from shared.programs.equations import Equation
from shared.programs.program import Program

#: Fewer rounds are not worth a name; longer rounds are not looked for.
FEWEST, LONGEST = 3, 120


def rounds(program: Program, equations: Sequence[Equation] | None = None) -> list[list[list[Equation]]]:
    """The runs of a program, each as a list of its rounds, of at least three; they do not overlap.

    Cost: at most 120 comparisons an equation.

    >>> import numpy as np
    >>> from shared.programs import trace
    >>> def f(x):
    ...     for _ in range(4):
    ...         x = x + 0.1 * np.sin(x)
    ...     return x
    >>> [run] = rounds(trace(f, 1.0))
    >>> len(run), [equation.primitive.name for equation in run[0]]
    (4, ['sin', 'multiply', 'add'])
    """
    found: list[list[list[Equation]]] = []
    steps = list(program.equations if equations is None else equations)
    kinds = [kind_of_equation(program, equation) for equation in steps]
    place = 0
    while place < len(steps):
        period, count = _longest(kinds, place)
        if count < FEWEST or period * count < 2 * FEWEST:
            place += 1
            continue
        found.append([steps[place + k * period : place + (k + 1) * period] for k in range(count)])
        place += period * count
    return found


def kind_of_equation(program: Program, equation: Equation) -> Any:
    """What two equations have in common that are alike."""
    types = program.types
    operands = tuple(_size(types[k]) for k in equation.operands)
    static = shown(sorted(equation.static.items())) if equation.static else ""
    return id(equation.primitive), equation.where, static, _size(types[equation.result]), operands


def _size(type_: Any) -> Any:
    # A Python float and a number of NumPy's are one kind here: a loop may start from the one, and go on with the other.
    return type_.shape, type_.is_complex


def _longest(kinds: list[Any], place: int) -> tuple[int, int]:
    """The period that most equations repeat with from here on, the shortest of several, and how often."""
    best = (0, 0)
    for period in range(1, min(LONGEST, (len(kinds) - place) // FEWEST) + 1):
        end = place + period
        while end < len(kinds) and kinds[end] == kinds[end - period]:
            end += 1
        count = (end - place) // period
        if count >= FEWEST and period * count > best[0] * best[1]:
            best = (period, count)
    return best


__all__ = ["FEWEST", "kind_of_equation", "rounds"]
