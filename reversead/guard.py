"""Protects the plain arrays that a tape needs from being changed before the sweep reads them.

A captured constant belongs to the user, who may overwrite it after the program has read it.  One that is small, or a
view, is copied; a large one that owns its memory is locked read-only while the tape lives, so that a write to it is
an error at the line that writes, not a wrong gradient.  Locks are counted across tapes and threads.  What remains
open: a write through another view, made before the lock, of a locked array.  This module knows nothing of derivatives.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from typing import Any

import numpy as np

#: Copying this many bytes costs about as much as locking and releasing does; a constant may be met again and again.
SMALL = 1 << 14
SMALL_LEAF = 1 << 16

_lock = threading.Lock()
_locked: dict[int, list[Any]] = {}
#: What tapes that the collector freed held.  It may run inside the lock, so it leaves the release to whoever has that.
_abandoned: deque[dict[int, np.ndarray]] = deque()


def _forked() -> None:
    """In the child of a fork: whichever thread had the lock is not there, and would never release it."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


class Guard:
    """The constants of one tape."""

    __slots__ = ("held",)

    def __init__(self) -> None:
        self.held: dict[int, np.ndarray] = {}

    def constant(self, array: np.ndarray) -> np.ndarray:
        """An array to keep in place of `array`: itself, locked, or a copy."""
        if array.nbytes <= SMALL or array.base is not None:
            base = array.base
            if (
                base.__class__ is np.ndarray
                and array.nbytes > SMALL
                and not array.flags.writeable
                and id(base) in _locked
            ):
                # A view of what is locked, made since: nobody writes through it, and the base stays locked.
                self.constant(base)
                return array
            return array.copy("K")
        key = id(array)
        if key in self.held:
            return array
        with _lock:
            entry = _locked.get(key)
            if entry is not None:
                entry[1] += 1
            elif array.flags.writeable:
                array.flags.writeable = False
                _locked[key] = [array, 1]
            else:
                return array
        self.held[key] = array
        if _abandoned:
            _collect()
        return array

    def leaf(self, array: np.ndarray) -> np.ndarray:
        """The same for an independent variable, which comes once and not in every turn of a loop."""
        return array.copy("K") if array.nbytes <= SMALL_LEAF else self.constant(array)

    #: the same for an index, which is copied whatever its size
    index = staticmethod(np.array)

    def another(self) -> Guard:
        """A guard of the same kind that holds nothing."""
        return Guard()

    def release(self) -> None:
        """Give every locked array back for writing, unless another tape still needs it."""
        if self.held:
            held, self.held = self.held, {}
            with _lock:
                _give_back(held)
        if _abandoned:
            _collect()

    def __del__(self) -> None:
        if self.held:
            _abandoned.append(self.held)
            _collect()


def _give_back(held: dict[int, np.ndarray]) -> None:
    for key in held:
        entry = _locked[key]
        entry[1] -= 1
        if not entry[1]:
            entry[0].flags.writeable = True
            del _locked[key]


def _collect() -> None:
    """Release what was abandoned, unless somebody has the lock, who will do so afterwards."""
    while _abandoned and _lock.acquire(blocking=False):
        try:
            while _abandoned:
                _give_back(_abandoned.popleft())
        finally:
            _lock.release()
