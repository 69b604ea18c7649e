"""Arrays that are read-only as long as somebody needs them unchanged.

Everybody who needs an array holds the same token of it, a view of the array.  When the last holder drops the token, or
is gone, the interpreter makes the array writable again: by the callbacks of weak references to the token, which are
functions written in C.  So nothing of this module has to run for it, and neither an interrupt nor an exception nor
another thread can come between; there is no lock of threads that could stay held.  The token is a view because arrays
are freed by reference counting alone: the cyclic collector cannot finalise a token that somebody still finds here.

What remains open: a write through another view, made before the lock.  This module knows nothing of derivatives.
"""

from __future__ import annotations

import gc
import os
from _thread import get_ident
from functools import partial
from typing import Any
from weakref import ref

import numpy as np

_ndarray = np.ndarray

#: Of each array that somebody holds, by its identity: weak references to its token, of which the first takes the entry
#: out of here and the second, None for an array that was read-only anyway, makes the array writable.
_tokens: dict[int, list[Any]] = {}


class Locks:
    """The arrays that one holder needs unchanged.

    `owner` is the thread whose call in progress will release them, 0 where they last until somebody drops them: what a
    fork leaves without its thread is released in the child.
    """

    __slots__ = ("__weakref__", "held", "owner")

    def __init__(self, owner: int = 0):
        #: the tokens, by the identity of their arrays; under 0 one whose array is being locked
        self.held: dict[int, Any] = {}
        self.owner = owner

    def lock(self, array: np.ndarray) -> bool:
        """Hold an array that owns its memory; if that is not possible at this moment, return False: copy it then."""
        # No variable holds the token, since the traceback of an interrupt would keep that.
        held = self.held
        key = id(array)
        entry = _tokens.get(key)
        if entry is None:
            held[0] = array.view(_ndarray)
            # Another thread may be faster; then there are no references to this token, and it vanishes.
            entry = _tokens.setdefault(key, [ref(held[0], partial(_tokens.pop, key)), None])
        held[0] = entry[0]()
        if held[0] is None:
            # The collector runs just when the token is being freed, and frees something that calls this.
            return False
        flags = array.flags
        if flags.writeable:
            # What will be called is setattr(flags, "writeable", reference), and a reference is true.
            entry[1] = ref(held[0], partial(setattr, flags, "writeable"))
            array.setflags(write=False)
        held[key] = held.pop(0)
        return True

    def release(self) -> None:
        """Give every array back for writing, unless another holder still needs it."""
        self.held.clear()

    def __bool__(self) -> bool:
        """Whether any array is read-only because of these."""
        return any(_tokens[key][1] is not None for key in self.held if key in _tokens)


def is_locked(array: np.ndarray) -> bool:
    """Whether somebody holds an array."""
    return id(array) in _tokens


def _forked() -> None:
    """In the child of a fork: the calls that other threads were in will never end there, nor release anything."""
    if _tokens:
        thread = get_ident()
        for found in gc.get_objects():
            if issubclass(type(found), Locks) and found.owner not in (0, thread):
                found.owner = -1
                found.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
