"""What a tape knows of the checkpoints on it: which of its nodes are not recorded, and who records a part again.

A tape that has a checkpoint has one `Checkpoints`.  While a part of the program is evaluated without being recorded
(`untaped`), and while one is recorded again (`reopening`), the tape counts its nodes elsewhere; what that was like
before is kept here.  This module knows tapes, and nothing of what such a part is.
"""

from __future__ import annotations

from _thread import get_ident
from collections import deque
from time import sleep
from typing import Any

from reversead.tape import Tape
from reversead.variable import LOCAL, Variable, assigned_outside
from shared.core.assignment import ViewOf
from shared.core.errors import ClosedLevelError, inner_into_outer, user_line

#: Where the numbers begin of nodes that a sweep records, as long as they are not in their place; beyond every other.
UNPLACED = 1 << 60
#: Where they begin of nodes that are not recorded at all.
DISCARDED = 1 << 61
#: Another thread may evaluate a checkpointed function; after so many seconds it is asked again whether it still does.
_PAUSE = 0.001


class Checkpoints:
    """The parts of one tape that are recorded when a sweep comes to them."""

    __slots__ = ("before", "discarded", "inner", "replayed", "waiting")

    def __init__(self) -> None:
        #: while nothing is recorded, the tape that the program runs on
        self.inner: Tape | None = None
        #: the next number of a node that is not recorded, and of one that a sweep records
        self.discarded = DISCARDED
        self.replayed = UNPLACED
        #: who records a part of the tape again, one after the other
        self.waiting: deque[Any] = deque()
        #: while somebody does, what the tape was like before
        self.before: tuple[Any, ...] | None = None

    def size(self, tape: Tape, wanted: list[int]) -> int:
        """The number of nodes, for a sweep between the leaves and some nodes, all of which have to be recorded."""
        parents = tape.records[2::3]
        if max(max(parents, default=0), ~min(parents, default=0), max(wanted, default=0)) >= UNPLACED:
            raise escaped()
        return self.settled(tape)

    def settled(self, tape: Tape) -> int:
        """The number of nodes as it is while nobody records a part of the tape again."""
        while True:
            count, before = tape.count, self.before
            if count < UNPLACED:
                return count
            if before is not None:
                settled: int = before[0]
                return settled
            if self.inner is not None and tape.thread == get_ident():
                raise ClosedLevelError(
                    f"a gradient was asked for{user_line()} inside of a checkpointed function, on whose tape nothing "
                    "is recorded meanwhile; ask for it outside, and pass it as an argument"
                )
            sleep(_PAUSE)

    def join(self, variable: Variable, level: Any) -> None:
        """Let an array of this tape take a value of the tape on which a checkpointed function runs; or refuse it.

        An array that the function made from values of this tape is moved to that inner tape, like the arrays that it
        made there.
        """
        if level is not self.inner:
            raise inner_into_outer()
        links: list[Any] = [variable]
        while isinstance(links[-1], ViewOf) and isinstance(links[-1].base, Variable):
            links.append(links[-1].base)
        floor = variable.level.floor
        if any(link.index < floor and link.index != LOCAL for link in links):
            raise assigned_outside()
        for link in links:
            link.level, link.index = level, -1

    def give_up(self, sweep: Any) -> None:
        """Give back what the parts hold that a sweep has recorded, which an exception has left."""
        for *_, guard in sweep.replayed:
            held = guard()
            if held is not None:
                held.release()


def checkpoints_of(tape: Tape) -> Checkpoints:
    """Those of a tape, which has some from now on."""
    if tape.checkpoints is None:
        tape.checkpoints = Checkpoints()
    found: Checkpoints = tape.checkpoints
    return found


def escaped() -> Exception:
    """Why a node that is not on the tape cannot be used."""
    return ClosedLevelError(
        "a traced value that a checkpointed function computed was stored outside of it, and used there"
        f"{user_line()}; it is not recorded. Return it from the function instead"
    )
