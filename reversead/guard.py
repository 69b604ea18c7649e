"""Protects the plain arrays that a tape needs from being changed before the sweep reads them.

A captured constant belongs to the user, who may overwrite it after the program has read it.  One that is small, or a
view, is copied; a large one that owns its memory is locked read-only while the tape lives (`shared.core.locks`), so
that a write to it is an error at the line that writes, not a wrong gradient.  What remains open: a write through
another view, made before the lock, of a locked array.  This module knows nothing of derivatives.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Iterator

import numpy as np

from shared.core.locks import Locks, is_locked
from shared.core.refcounts import getrefcount

#: Copying this many bytes costs about as much as locking and releasing does; a constant may be met again and again.
SMALL = 1 << 14
SMALL_LEAF = 1 << 16


class Guard(Locks):
    """The captured arrays of one tape."""

    __slots__ = ()

    def captured(self, array: np.ndarray) -> np.ndarray:
        """An array to keep in place of `array`: itself, locked, or a copy."""
        if array.nbytes <= SMALL or array.base is not None:
            base = array.base
            if (
                base.__class__ is np.ndarray
                and array.nbytes > SMALL
                and not array.flags.writeable
                and is_locked(base)
                and self.captured(base) is base
            ):
                # A view of what is locked, made since: nobody writes through it, and the base stays locked.
                return array
            return array.copy("K")
        if id(array) in self.held or self.lock(array):
            return array
        return array.copy("K")

    def leaf(self, array: np.ndarray) -> np.ndarray:
        """The same for an independent variable, which comes once and not in every turn of a loop."""
        return array.copy("K") if array.nbytes <= SMALL_LEAF else self.captured(array)

    #: the same for an index, which is copied whatever its size
    index = staticmethod(np.array)

    def another(self) -> Guard:
        """A guard of the same kind that holds nothing, for the call in progress."""
        return Guard(get_ident())

    def wanted(self) -> Iterator[np.ndarray]:
        """The arrays that somebody else refers to, and so may change."""
        for key in self.held:
            if key and getrefcount(self.held[key].base) > _HELD_HERE:
                yield self.held[key].base


def _held_here() -> int:
    """What `wanted` counts of an array that nobody but a guard refers to."""
    guard = Guard()
    guard.lock(np.zeros(1))
    return next(getrefcount(guard.held[key].base) for key in guard.held)


_HELD_HERE = _held_here()
