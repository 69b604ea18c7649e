"""What plain arrays held when a function was recorded, where the record may depend on it.

An array from outside that meets a recorded value is read anew in each run.  What a function computes from such arrays
alone (`A2 = A * 2`, `float(A[0])`, a branch on `A.max()`) never passes through the recorder: only its result is part of
the record.  So the arrays that a function reaches by names are compared with copies of themselves before each run.
This module knows nothing of derivatives and of source text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from shared.programs.program import Program

#: Arrays of at most so many bytes are always compared: that takes less than a microsecond.
_SMALL = 8192
#: An array that is read at each call, and was changed so often without any effect on the record, is left alone.
_PATIENCE = 2


class Contents:
    """Copies of arrays: `unchanged()` says whether they still hold the same."""

    __slots__ = ("_held",)

    def __init__(self, arrays: Iterable[np.ndarray] = ()):
        self._held = [(array, array.shape, array.tobytes()) for array in arrays]

    def __len__(self) -> int:
        return len(self._held)

    def unchanged(self) -> bool:
        """Whether every array has the shape and the bits that it had; the time of copying them."""
        return not self._held or not self.changed()

    def of(self, arrays: Sequence[np.ndarray]) -> Contents:
        """The copies of some of the arrays alone."""
        found = Contents()
        found._held = [held for held in self._held if any(held[0] is array for array in arrays)]
        return found

    def changed(self) -> list[np.ndarray]:
        """The arrays that hold something else."""
        return [array for array, shape, bits in self._held if array.shape != shape or array.tobytes() != bits]


def arrays_among(values: Iterable[Any]) -> list[np.ndarray]:
    """The arrays among some values, each once."""
    return list({id(value): value for value in values if isinstance(value, np.ndarray)}.values())


def watched(program: Program, values: Sequence[Any], harmless: Mapping[int, int]) -> list[np.ndarray]:
    """The arrays among `values` (all that the function reaches by names) whose contents a program may depend on.

    Small ones always, and those that the program does not read itself; of the others those that numbers or arrays in
    it may have been computed from.  `harmless` counts, by identity, how often an array was changed while the record
    stayed the same.
    """
    arrays = arrays_among(values)
    if not arrays:
        return []
    captured = list(program.captured.values())
    numbers = numbers_among(values)
    computed = any(may_be_computed(literal, numbers) for literal in program.literals.values())
    return [
        array
        for array in arrays
        if (array.nbytes <= _SMALL or computed or not _is_read(array, captured))
        and (harmless.get(id(array), 0) < _PATIENCE or not _is_read(array, captured))
    ]


def _is_read(array: np.ndarray, captured: Sequence[np.ndarray]) -> bool:
    return any(np.may_share_memory(array, one) for one in captured)


def may_be_computed(literal: Any, numbers: set[Any]) -> bool:
    """Whether a literal may come from an array: not those that derivatives consist of, and not those in the code."""
    if isinstance(literal, np.ndarray):
        return literal.dtype.kind in "fc" and any(literal.strides)
    if isinstance(literal, (float, complex, np.inexact)):
        if literal in numbers or literal != literal:
            return False
        return isinstance(literal, np.inexact) or not (_is_whole(literal) or _is_whole(1.0 / literal))
    return False


def _is_whole(number: Any) -> bool:
    return isinstance(number, float) and number.is_integer()


def numbers_among(values: Sequence[Any]) -> set[Any]:
    """The numbers that names stand for, and those that stand in the code of functions."""
    found: set[Any] = {0.0}
    pending = [value.__code__ for value in values if isinstance(value, FunctionType)]
    found.update(value for value in values if isinstance(value, (float, int, complex, np.number)))
    while pending:
        for constant in pending.pop().co_consts:
            if isinstance(constant, CodeType):
                pending.append(constant)
            elif isinstance(constant, (float, complex)):
                found.add(constant)
    return found
