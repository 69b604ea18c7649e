"""Checkpoints on the tape: parts of the program that are recorded when the sweep comes to them, and not before.

The tape gets one node for such a part (a segment), which keeps its arguments, and one for each array of its result.  A
reverse sweep that has come to the first of these has passed all later nodes: it runs the segment again, which appends
its records to the list that the sweep consumes, numbered on from there.  The sweep goes on with them; so values that
the segment uses without being given them (their numbers are smaller) get their cotangents, and checkpoints within
checkpoints need no recursion.  A forward sweep pushes the tangents through the records of a segment when it comes to
it.  This module knows tapes; it knows no calculus, and nothing of how a sweep computes.
"""

from __future__ import annotations

import threading
from _thread import get_ident
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from reversead.junction import OUTPUT
from reversead.records import detached
from reversead.sweep import DEPENDS, LOCKS, RECOMPUTE
from reversead.tape import UNPLACED, Tape, escaped
from reversead.unrecorded import PENDING, Unrecorded, is_of, is_view
from reversead.variable import Variable
from shared.checkpointing import split
from shared.errors import ImpureFunctionError, user_line
from shared.floating_errors import error_settings
from shared.repetition import Remembered
from shared.tracer import DuckArray
from shared.tree import Structure, flatten, unflatten

Function = Callable[..., Any]


def call(tape: Tape, f: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The value of `f(*args, **kwargs)`, recorded as one segment."""
    leaves, structure = flatten((args, kwargs))
    if not _varies(tape, leaves):
        return f(*args, **kwargs)
    segment = _Call(tape, leaves, structure, f)
    result = segment.evaluate(tape, 0, leaves, structure)
    if result is None:
        return f(*args, **kwargs)
    segment.record(tape, *result)
    return unflatten(result[1], result[0])


def loop(tape: Tape, step: Function, state: Any, start: int, stop: int, snapshots: int) -> tuple[Any, int, int]:
    """The steps from `start` on, as segments and a last step that is recorded at once.

    Returns the state, the number of the next step, and how many snapshots are left: it ends before `stop` where the
    state does not vary, or varies at an inner level, which goes on with it.
    """
    leaves, structure = flatten(state)
    while stop - start > 1 and _varies(tape, leaves):
        middle = start + split(stop - start, snapshots)
        segment = _Steps(tape, leaves, structure, step, start, snapshots)
        while segment.stop < middle:
            result = segment.evaluate(tape, segment.stop, leaves, structure)
            if result is None:
                break
            leaves, structure = result
            segment.stop += 1
        if segment.stop > start:
            segment.record(tape, leaves, structure)
            start = segment.stop
            snapshots = max(1, snapshots - 1)
        if start < middle:
            break
    return step(unflatten(structure, leaves), start), start + 1, snapshots


def _varies(tape: Tape, leaves: Sequence[Any]) -> bool:
    """Whether a function of these arguments would be recorded."""
    if tape.thread != get_ident():
        raise tape.refusal()
    return any(is_of(tape, leaf) and leaf.index >= 0 for leaf in leaves)


class _Segment:
    """A part of the program as its node keeps it: its arguments, and what its result was like.

    It has one or more `stages`, each of which takes the result of the one before.
    """

    __slots__ = ("arguments", "outputs", "remembered", "result", "structure", "used")

    def __init__(self, tape: Tape, leaves: list[Any], structure: Structure):
        #: the values of the arguments, and the nodes of those that are variables of the tape (else None)
        self.arguments = [self._kept(tape, leaf) for leaf in leaves]
        self.structure = structure
        #: the nodes that it uses besides
        self.used: set[int] = set()
        #: the structure of the result, the places of its leaves that got a node, and what these leaves were
        self.result = structure
        self.outputs: list[int] = []
        self.remembered: list[Remembered] = []

    def _kept(self, tape: Tape, leaf: Any) -> tuple[Any, int | None]:
        if is_of(tape, leaf):
            return detached(leaf.primal), leaf.index
        if isinstance(leaf, np.ndarray):
            return self.kept_constant(tape, leaf), None
        return leaf.twin() if isinstance(leaf, DuckArray) else leaf, None

    # --- what kinds of segment differ in ---

    @property
    def name(self) -> str:
        raise NotImplementedError

    @property
    def stages(self) -> Sequence[int]:
        raise NotImplementedError

    def kept_constant(self, tape: Tape, array: np.ndarray) -> np.ndarray:
        raise NotImplementedError

    def stage(self, arguments: Any, k: int) -> Any:
        raise NotImplementedError

    def run(self, tape: Tape, arguments: Any) -> Any:
        """All stages, for the tape to record."""
        raise NotImplementedError

    def refuse_changed(self, leaves: Sequence[Any]) -> None:
        """Refuse that a stage has changed some of its arguments, these leaves, in place; or accept it."""
        raise NotImplementedError

    # --- the first time ---

    def evaluate(
        self, tape: Tape, k: int, leaves: list[Any], structure: Structure
    ) -> tuple[list[Any], Structure] | None:
        """The result of one stage, of which nothing is recorded; None if it belongs to an inner level."""
        if tape.reopening is None:
            tape.reopening = threading.RLock()
        used: set[int] = set()
        done = Unrecorded(tape, self.name, lambda arguments: self.stage(arguments, k), leaves, structure, used)
        if done.changed:
            self.refuse_changed(leaves)
        if done.leaves is None:
            return None
        self.used |= used
        return done.leaves, done.result

    def record(self, tape: Tape, leaves: list[Any], structure: Structure) -> None:
        """Record the segment as one node, and a node for each variable of its result that has none yet."""
        self.result = structure
        if error_settings() is not tape.settings:
            tape.note_settings()
        node = tape.count
        for k, leaf in enumerate(leaves):
            if is_of(tape, leaf) and leaf.index == PENDING:
                self.outputs.append(k)
                self.remembered.append(Remembered(leaf))
                leaf.index = node + len(self.outputs)
        if self.outputs:
            first, *others = self.parents()
            tape.record((RECOMPUTE, self, ~first))
        elif self.used:
            # Nothing comes of it, but that it is the same the next time is seen by what it uses.
            first, *others = sorted(self.used)
            tape.record((DEPENDS, None, ~first))
        else:
            return
        for parent in others:
            tape.record((DEPENDS, None, parent))
        for k in range(len(self.outputs)):
            tape.record((OUTPUT, k, ~node))
        tape.count = node + 1 + len(self.outputs)

    def parents(self) -> list[int]:
        """The nodes that its value depends on."""
        return sorted(self.used.union(node for _, node in self.arguments if node is not None and node >= 0))

    # --- in a sweep ---

    def arguments_on(self, tape: Tape) -> tuple[list[Any], Structure, list[int]]:
        """The arguments as variables of the tape, and their nodes."""
        leaves, nodes = [], []
        for value, node in self.arguments:
            if node is not None:
                value = Variable(tape, value, node)
            elif isinstance(value, np.ndarray) and value.flags.writeable:
                # What the segment does to it must not be seen by the next sweep.
                value = value.copy("K")
            leaves.append(value)
            nodes.append(-1 if node is None else node)
        return leaves, self.structure, nodes

    def replay(self, tape: Tape, records: list[Any], count: int, placements: Placements) -> tuple[list[int], int]:
        """Append the records of the segment, its nodes counted from `count` on: the outputs' nodes, the next count."""
        leaves, structure, _ = self.arguments_on(tape)
        with _Reopened(tape, records, count, placements, known=count) as reopened:
            leaves, structure = flatten(self.run(tape, unflatten(structure, leaves)))
            self._require_same(tape, leaves, structure)
        self._require_used(reopened.used)
        return [reopened.placed(leaves[place].index) for place in self.outputs], reopened.end

    def replay_stage(
        self,
        tape: Tape,
        records: list[Any],
        count: int,
        placements: Placements,
        known: int,
        k: int,
        leaves: list[Any],
        structure: Structure,
        nodes: Sequence[int],
        used: set[int],
    ) -> tuple[list[Any], Structure, list[int], int]:
        """Append the records of one stage, its nodes counted from `count` on, of arguments that are at `nodes`.

        Gives its result, the nodes of that, and the next count.  Apart from the arguments, nodes before `known` can be
        used; those that are go into `used`.
        """
        given = [
            Variable(tape, leaf.primal, node) if is_of(tape, leaf) else leaf
            for leaf, node in zip(leaves, nodes, strict=True)
        ]
        with _Reopened(tape, records, count, placements, known, nodes) as reopened:
            leaves, structure = flatten(self.stage(unflatten(structure, given), k))
            if k == self.stages[-1]:
                self._require_same(tape, leaves, structure)
        used |= reopened.used
        if k == self.stages[-1]:
            self._require_used(used)
        return (
            leaves,
            structure,
            [reopened.placed(leaf.index) if is_of(tape, leaf) else -1 for leaf in leaves],
            reopened.end,
        )

    def _require_same(self, tape: Tape, leaves: list[Any], structure: Structure) -> None:
        """Refuse a result that is not that of the first time: the cotangents do not belong to it."""
        if structure != self.result:
            raise self.impure(f"it returned {structure} in place of {self.result}")
        for place, remembered in zip(self.outputs, self.remembered, strict=True):
            if not is_of(tape, leaves[place]):
                raise self.impure(f"it returned a {type(leaves[place]).__name__} in place of a traced value")
            difference = remembered.difference(leaves[place])
            if difference:
                raise self.impure(f"it returned {difference}")

    def _require_used(self, used: set[int]) -> None:
        if not self.used <= used:
            raise self.impure("it used other traced values of the program around it")

    def impure(self, difference: str) -> ImpureFunctionError:
        return ImpureFunctionError(
            f"{self.name} did something else when it was evaluated again{user_line()}: {difference}. It must be pure: "
            "pass as arguments what is drawn at random, and variables that are bound again before the derivative is "
            "taken (such as those of a loop), and do not change the arrays that it uses"
        )


class _Call(_Segment):
    """A call of a checkpointed function."""

    __slots__ = ("f",)

    def __init__(self, tape: Tape, leaves: list[Any], structure: Structure, f: Function):
        self.f = f
        super().__init__(tape, leaves, structure)

    @property
    def name(self) -> str:
        return f"the checkpointed function {getattr(self.f, '__name__', repr(self.f))}"

    @property
    def stages(self) -> Sequence[int]:
        return (0,)

    def kept_constant(self, tape: Tape, array: np.ndarray) -> np.ndarray:
        return tape.guard.constant(array)

    def stage(self, arguments: Any, k: int) -> Any:
        args, kwargs = arguments
        return self.f(*args, **kwargs)

    def run(self, tape: Tape, arguments: Any) -> Any:
        return self.stage(arguments, 0)

    def refuse_changed(self, leaves: Sequence[Any]) -> None:
        raise ImpureFunctionError(
            f"{self.name} assigned to its argument{user_line()}, but will be evaluated again on it: copy the argument "
            "first (np.copy), and return what the caller is to see"
        )


class _Steps(_Segment):
    """Consecutive steps of a loop, from `start` to before `stop`, and the snapshots that they may use."""

    __slots__ = ("snapshots", "start", "step", "stop")

    def __init__(self, tape: Tape, leaves: list[Any], structure: Structure, step: Function, start: int, snapshots: int):
        self.step = step
        self.start = self.stop = start
        self.snapshots = snapshots
        super().__init__(tape, leaves, structure)

    @property
    def name(self) -> str:
        return f"the step {getattr(self.step, '__name__', repr(self.step))} of a checkpointed loop"

    @property
    def stages(self) -> Sequence[int]:
        return range(self.start, self.stop)

    def kept_constant(self, tape: Tape, array: np.ndarray) -> np.ndarray:
        # A step may change its state in place.
        return array.copy("K")

    def stage(self, arguments: Any, k: int) -> Any:
        return self.step(arguments, k)

    def run(self, tape: Tape, arguments: Any) -> Any:
        k, snapshots = self.start, self.snapshots
        while k < self.stop:
            arguments, k, snapshots = loop(tape, self.step, arguments, k, self.stop, snapshots)
        return arguments

    def refuse_changed(self, leaves: Sequence[Any]) -> None:
        traced = [leaf for leaf in leaves if isinstance(leaf, DuckArray)]
        if len({id(leaf) for leaf in traced}) < len(traced) or any(is_view(leaf) for leaf in traced):
            raise ImpureFunctionError(
                f"{self.name} changed in place a state of which parts share memory{user_line()}; copy these parts "
                "(np.copy), or return a new state"
            )


# --- recording again --------------------------------------------------------------------------------------------------


#: Of the parts that a sweep has recorded and not passed yet, in the order of their places: from where and to where
#: their nodes were counted at first, and by how much they have been moved.
Placements = list[tuple[int, int, int]]


class _Reopened:
    """While a part of a tape is recorded again, by whatever thread sweeps: into other records, from node `count` on.

    Meanwhile its nodes are counted from where no others are, and moved to their place at the end.  So a variable that
    is not the program's as it was the first time is never taken for another one: it was bound or assigned to after the
    segment, or computed in a segment and stored elsewhere.  What existed before are nodes below `known`, and arguments.
    """

    __slots__ = (
        "_arguments",
        "_before",
        "_count",
        "_first",
        "_known",
        "_last",
        "_placements",
        "_records",
        "_settings",
        "_shift",
        "_start",
        "_tape",
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
        #: the nodes below `known` that are used
        self.used: set[int] = set()

    def __enter__(self) -> _Reopened:
        tape, placements = self._tape, self._placements
        if not tape.closed and tape.thread != get_ident():
            raise tape.refusal()
        while placements and placements[-1][0] - placements[-1][2] >= self._count:
            placements.pop()
        if placements:
            first, last, shift = placements[-1]
            placements[-1] = first, min(last, self._count + shift), shift
        tape.reopening.acquire()
        self._before = tape.closed, tape.thread, tape.count, tape.record, tape.guard, tape.settings
        self._first = tape.replayed
        self._shift = self._first - self._count
        tape.closed, tape.thread = False, get_ident()
        self._settings = tape.settings = error_settings()
        tape.count, tape.record, tape.guard = self._first + 1, self._records.extend, tape.guard.another()
        # The constants of this part are needed until its first record is taken.
        tape.record((LOCKS, tape.guard, ~0))
        return self

    def __exit__(self, *exception: object) -> None:
        tape = self._tape
        if tape.settings is not self._settings:
            # An np.errstate that ends with the segment.
            tape.note_settings(self._settings)
        self._last = tape.replayed = tape.count
        tape.closed, tape.thread, tape.count, tape.record, tape.guard, tape.settings = self._before
        tape.reopening.release()
        if exception[0] is None:
            self._place()
            # Functions that this part has checkpointed may refer to its variables.
            self._placements.append((self._first, self._last, self._shift))

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

    def _place_segment(self, segment: _Segment) -> None:
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
        for first, last, shift in reversed(self._placements):
            if first <= node < last:
                return node - shift
        raise escaped()
