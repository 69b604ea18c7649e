"""Recording a part of a tape again, by whatever thread sweeps it: into other records, in the place of its first nodes.

One thread at a time may do so, since the tape itself is written to meanwhile.  Which one that is follows from who waits
and is still there, and what the tape was like before is kept on it: so whoever comes next can go on after an interrupt,
wherever that has come.  This module knows tapes and their nodes, and nothing of what such a part is.
"""

from __future__ import annotations

from _thread import allocate_lock, get_ident
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar
from weakref import ref

from reversead.checkpointing.checkpoints import UNPLACED, checkpoints_of, escaped
from reversead.checkpointing.edges import LOCKS, RECOMPUTE
from reversead.tape import Tape
from shared.core.errors import ImpureFunctionError, user_line
from shared.core.floating_errors import error_settings

T = TypeVar("T")

#: Of the parts that a sweep has recorded and not passed yet, in the order of their places: from where and to where
#: their nodes were counted at first, by how much they have been moved, and a weak reference to their guard.
Placements = list[tuple[int, int, int, Any]]

#: After so many seconds a thread that waits looks whether the one that it waits for is still there.
_PATIENCE = 0.05


class Reopened:
    """One part that is recorded again, from node `count` on.

    Meanwhile its nodes are counted from where no others are, and moved to their place at the end.  So a variable that
    is not the program's as it was the first time is never taken for another one: it was bound or assigned to after the
    segment, or computed in a segment and stored elsewhere.  What existed before are nodes below `known`, and arguments.
    """

    __slots__ = (
        "__weakref__",
        "_arguments",
        "_before",
        "_count",
        "_ended",
        "_first",
        "_guard",
        "_known",
        "_last",
        "_placements",
        "_records",
        "_settings",
        "_shift",
        "_start",
        "_tape",
        "_thread",
        "_working",
        "used",
    )

    def __init__(
        self,
        tape: Tape,
        records: list[Any],
        count: int,
        placements: Placements,
        known: int,
        arguments: Sequence[int] = (),
    ):
        self._tape = tape
        self._records = records
        self._start = len(records)
        self._count = count
        self._placements = placements
        self._known = known
        self._arguments = arguments
        self._before: tuple[Any, ...] | None = None
        #: for the constants of this part
        self._guard = tape.guard.another()
        self._ended = False
        self._thread = get_ident()
        #: held while this is at work, so that others can wait for its end
        self._working = allocate_lock()
        #: the nodes below `known` that are used
        self.used: set[int] = set()

    def recorded(self, part: Callable[[], T]) -> T:
        """The value of `part()`, which is recorded."""
        try:
            self._begin()
            result = part()
            if self._tape.settings is not self._settings:
                # An np.errstate that ends with the part.
                self._tape.note_settings(self._settings)
            self._end()
            self._place()
            # Functions that this part has checkpointed may refer to its variables.
            self._placements.append((self._first, self._last, self._shift, ref(self._guard)))
        except BaseException:
            # Again, if it was interrupted.
            self._end()
            self._guard.release()
            del self._records[self._start :]
            raise
        return result

    def _begin(self) -> None:
        tape, placements = self._tape, self._placements
        self._wait()
        checkpoints = checkpoints_of(tape)
        if checkpoints.before is not None:
            # Whoever was here before was stopped.
            _settle(tape, checkpoints.before)
        if not tape.closed and tape.thread != get_ident():
            raise tape.refusal()
        while placements and placements[-1][0] - placements[-1][2] >= self._count:
            placements.pop()
        if placements:
            first, last, shift, guard = placements[-1]
            placements[-1] = first, min(last, self._count + shift), shift, guard
        self._first = checkpoints.replayed
        self._shift = self._first - self._count
        self._before = (
            tape.count, tape.record, tape.guard, tape.closed, tape.thread, tape.floor, tape.no_node, checkpoints.inner,
            tape.settings,
        )  # fmt: skip
        checkpoints.before = self._before
        tape.closed, tape.thread = False, get_ident()
        self._settings = tape.settings = error_settings()
        tape.count, tape.record, tape.guard = self._first + 1, self._records.extend, self._guard
        # The constants of this part are needed until its first record is taken.
        tape.record((LOCKS, tape.guard, ~0))

    def _end(self) -> None:
        tape = self._tape
        if self._before is not None and checkpoints_of(tape).before is self._before:
            self._last = tape.count
            _settle(tape, self._before)
        self._ended = True
        with suppress(RuntimeError):
            self._working.release()

    def _wait(self) -> None:
        """Wait until those that came before have ended, or are gone."""
        self._working.acquire()
        queue = checkpoints_of(self._tape).waiting
        queue.append(ref(self))
        while True:
            entry = queue[0]
            first = entry()
            if first is self:
                return
            if first is None or first._ended:
                with suppress(ValueError):
                    queue.remove(entry)
                continue
            if first._thread == self._thread:
                raise ImpureFunctionError(
                    f"a derivative was asked for{user_line()} inside of a checkpointed function that is being "
                    "evaluated again for it; ask for it outside, and pass it as an argument"
                )
            working = first._working
            # Not held here, so that it is gone as soon as its thread drops it.
            first = None
            if working.acquire(timeout=_PATIENCE):
                working.release()

    @property
    def end(self) -> int:
        """The number of the node after the last one."""
        return self._last - self._shift

    def _place(self) -> None:
        records, first, last, shift = self._records, self._first, self._last, self._shift
        for k in range(self._start + 2, len(records), 3):
            parent = records[k]
            if parent >= 0:
                records[k] = parent - shift if first <= parent < last else self.placed(parent)
            else:
                node = ~parent
                records[k] = ~(node - shift if first <= node < last else self.placed(node))
                if records[k - 2] is RECOMPUTE:
                    self._place_segment(records[k - 1])

    def _place_segment(self, segment: Any) -> None:
        segment.arguments = [(value, node if node is None else self.placed(node)) for value, node in segment.arguments]
        segment.used = {self.placed(node) for node in segment.used}

    def placed(self, node: int) -> int:
        """Where a node is that was used or made meanwhile; negative for a constant."""
        if self._first <= node < self._last:
            return node - self._shift
        if node >= UNPLACED:
            node = self._placed_before(node)
        if node >= self._known and node not in self._arguments:
            raise ImpureFunctionError(
                "a checkpointed function was evaluated again, and used a traced value that the program computed, or "
                f"assigned to, only after its first evaluation{user_line()}; pass as an argument what is bound again "
                "later, such as a loop's variable, and do not change the arrays that it uses"
            )
        if 0 <= node < self._known:
            self.used.add(node)
        return node

    def _placed_before(self, node: int) -> int:
        for first, last, shift, _ in reversed(self._placements):
            if first <= node < last:
                return node - shift
        raise escaped()


def _settle(tape: Tape, before: tuple[Any, ...]) -> None:
    """Make a tape what it was before a part of it was recorded again; the numbers that were used are not used again."""
    checkpoints = checkpoints_of(tape)
    checkpoints.replayed = max(checkpoints.replayed, tape.count)
    tape.count, tape.record, tape.guard, tape.closed, tape.thread, *rest = before
    tape.floor, tape.no_node, checkpoints.inner, tape.settings = rest
    checkpoints.before = None
