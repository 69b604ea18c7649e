"""Whether a function that was evaluated twice has given the same both times, without its first result being kept.

Of a result its shape and dtype are remembered and a few sums.  A function that draws at random, or uses what has been
changed since, is found out by them, or by the numbers themselves where these are few.  This module knows values of any
level, and nothing of what they are evaluated for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.duck_array import DuckArray
from shared.core.edges import Like
from shared.core.errors import ImpureFunctionError, user_line

#: An array is remembered as this many sums; one that is no longer, number by number.
SUMS = 64


class Remembered:
    """What a result was: its shape, its dtype, and enough of its value to tell another one."""

    __slots__ = ("like", "scale", "sums")

    def __init__(self, value: Any):
        self.like = Like(value)
        self.sums, self.scale = _sums(value)

    def difference(self, value: Any) -> str | None:
        """How another result differs from this, in words; None where it is the same as far as can be told.

        >>> Remembered(np.zeros(3)).difference(np.zeros(4))
        'shape (4,) and dtype float64 in place of (3,) and float64'
        >>> Remembered(np.zeros(3)).difference(np.zeros(3))
        """
        like, expected = Like(value), self.like
        if like.shape != expected.shape or like.dtype != expected.dtype:
            return f"shape {like.shape} and dtype {like.dtype} in place of {expected.shape} and {expected.dtype}"
        sums, _ = _sums(value)
        if sums is None or self.sums is None or _same_bytes(sums, self.sums) or np.array_equal(sums, self.sums):
            return None
        scale = self.scale
        if scale is None:
            scale = np.max(np.abs(self.sums), initial=0.0, where=np.isfinite(self.sums))
        # Threads may add in another order, so only half of the digits have to agree.
        tolerance = np.sqrt(np.finfo(like.dtype or np.float64).eps)
        with np.errstate(all="ignore"):
            close = np.isfinite(scale) & (np.abs(sums - self.sums) <= tolerance * scale)
        if np.all(close | (sums == self.sums) | (np.isnan(sums) & np.isnan(self.sums))):
            return None
        return f"other numbers in an array of shape {like.shape}" if like.shape else "another number"


class FirstValue:
    """The outputs that a function gave at first, of which each is remembered: run again, it has to give them again."""

    __slots__ = ("name", "outputs")

    def __init__(self, name: str, outputs: Sequence[Any]):
        self.name = name
        self.outputs = [Remembered(output) for output in outputs]

    def of(self, done: Any) -> Any:
        """A later evaluation, if its outputs are those of the first."""
        outputs = done.outputs
        found = [first.difference(output) for first, output in zip(self.outputs, outputs, strict=False)]
        different = next(filter(None, found), None)
        if different is not None or len(outputs) != len(self.outputs):
            raise ImpureFunctionError(
                f"{self.name}: run again for its derivative, the function gave {different or 'other outputs'}"
                f"{user_line()}. Something that it uses has changed since: an array or a variable from outside, or "
                "random numbers. Make that an argument, or let the function have a copy of its own; "
                f"reversead.{self.name} runs it once, and keeps what it needs."
            )
        return done


def _same_bytes(one: Any, other: Any) -> bool:
    """Whether two arrays of one shape are the same in memory, which is soon seen."""
    return isinstance(one, np.ndarray) and isinstance(other, np.ndarray) and one.tobytes() == other.tobytes()


def _sums(value: Any) -> tuple[Any, Any]:
    """Sums of interleaved parts of an array, and how large their terms are together; None for what is not NumPy's.

    Of few numbers these are the sums, and tell by themselves how large they are.  Of a traced value the numbers below
    all levels are taken, so that nothing is traced or counted.
    """
    while isinstance(value, DuckArray):
        value = value.primal
    if not isinstance(value, np.ndarray):
        return (value, None) if isinstance(value, (float, complex, np.generic)) else (None, None)
    rows = value.size // SUMS
    if not rows:
        return value.copy(), None
    flat = np.ravel(value, order="K")
    wide = np.result_type(flat.dtype, np.float64)
    whole, rest = flat[: rows * SUMS].reshape(rows, SUMS), flat[rows * SUMS :].astype(wide)
    with np.errstate(all="ignore"):
        sums = np.add.reduce(whole, axis=0, dtype=wide)
        # A sum of magnitudes is at most sqrt(rows) times the root of the sum of squares (Cauchy and Schwarz).
        scale = np.sqrt(rows * np.einsum("ij,ij->j", whole, whole.conj()).real)
        return np.append(sums, rest), np.append(scale, np.abs(rest))
