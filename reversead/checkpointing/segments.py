"""Segments: parts of the program that are recorded when the sweep comes to them, and not before.

The tape gets one node for such a part (a segment), which keeps its arguments, and one for each array of its result.  A
reverse sweep that has come to the first of these has passed all later nodes: it runs the segment again, which appends
its records to the list that the sweep consumes, numbered on from there.  The sweep goes on with them; so values that
the segment uses without being given them (their numbers are smaller) get their cotangents, and checkpoints within
checkpoints need no recursion.  A forward sweep pushes the tangents through the records of a segment when it comes to
it.  `call` and `loop` are what a tape does at a checkpoint.  This module knows tapes; it knows no calculus, and nothing
of how a sweep computes.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from reversead.checkpointing.checkpoints import checkpoints_of
from reversead.checkpointing.edges import DEPENDS, RECOMPUTE
from reversead.checkpointing.reopening import Placements, Reopened
from reversead.checkpointing.untaped import PENDING, Untaped, is_of, is_view
from reversead.multi_output import OUTPUT
from reversead.tape import Tape
from reversead.variable import Variable, detached
from shared.calling.tree import Structure, flatten, unflatten
from shared.core.duck_array import DuckArray
from shared.core.errors import ImpureFunctionError, user_line
from shared.core.floating_errors import error_settings
from shared.linear.checkpointing import split
from shared.linear.purity import Remembered

Function = Callable[..., Any]


def varies(tape: Tape, leaves: Sequence[Any]) -> bool:
    """Whether a function of these arguments would be recorded."""
    if tape.thread != get_ident():
        raise tape.refusal()
    return any(is_of(tape, leaf) and leaf.index >= 0 for leaf in leaves)


class Segment:
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

    #: what it is a segment of, in general
    what: ClassVar[str]

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
        self, tape: Tape, f: Callable[[Any, Tape], Any], leaves: list[Any], structure: Structure, used: set[int]
    ) -> tuple[list[Any], Structure] | None:
        """The value of `f`, of which nothing is recorded; None if it belongs to an inner level.

        `f` evaluates stages, on a tape of their own; `used` receives the nodes that it uses besides its arguments.
        """
        checkpoints_of(tape)
        done = Untaped(tape, self.what, f, leaves, structure, used)
        if done.changed:
            self.refuse_changed(leaves)
        return None if done.leaves is None else (done.leaves, done.result)

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
        given, structure, _ = self.arguments_on(tape)
        reopened = Reopened(tape, records, count, placements, known=count)

        def part() -> list[Any]:
            leaves, returned = flatten(self.run(tape, unflatten(structure, given)))
            self._require_same(tape, leaves, returned)
            return leaves

        leaves = reopened.recorded(part)
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
        reopened = Reopened(tape, records, count, placements, known, nodes)

        def part() -> tuple[list[Any], Structure]:
            found, returned = flatten(self.stage(unflatten(structure, given), k))
            if k == self.stages[-1]:
                self._require_same(tape, found, returned)
            return found, returned

        leaves, structure = reopened.recorded(part)
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


class Call(Segment):
    """A call of a checkpointed function."""

    __slots__ = ("f",)
    what = "a checkpointed function"

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
        return tape.guard.captured(array)

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


class Steps(Segment):
    """Consecutive steps of a loop, from `start` to before `stop`, and the snapshots that they may use."""

    __slots__ = ("snapshots", "start", "step", "stop")
    what = "a step of a checkpointed loop"

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


class _Advance:
    """Steps of a loop on one tape of their own, and the states in between with which further segments begin.

    It ends before the last step, or after a step that leaves a state of which parts may share memory, or belong to
    other levels: what these are to each other and to the program is settled before the next step may write to them.
    """

    __slots__ = ("_leaves", "_step", "_stop", "_tape", "k", "middle", "snapshots", "states", "used")

    def __init__(self, tape: Tape, leaves: list[Any], segment: Steps, k: int, middle: int, stop: int):
        self._tape, self._leaves, self._step, self._stop = tape, leaves, segment.step, stop
        #: the next step, and how many snapshots are left for the segment that it is in, which ends before `middle`
        self.k, self.middle, self.snapshots = k, middle, segment.snapshots
        #: of each segment that has ended: the state then as variables of the tape, its structure, the next step, the
        #: nodes that were used, and the snapshots that are left
        self.states: list[tuple[list[Any], Structure, int, set[int], int]] = []
        self.used: set[int] = set()

    def __call__(self, state: Any, inner: Tape) -> Any:
        given = flatten(state)[0]
        known = {id(twin): (twin, twin.primal, leaf) for twin, leaf in zip(given, self._leaves, strict=True)
                 if twin is not leaf}  # fmt: skip
        while True:
            state = self._step(state, self.k)
            self.k += 1
            leaves, structure = flatten(state)
            if not _is_plain(leaves, inner):
                return state
            if self.k == self.middle:
                if self._stop - self.k < 2:
                    return state
                self._take(leaves, structure, known)

    def _take(self, leaves: list[Any], structure: Structure, known: dict[int, tuple[Any, Any, Any]]) -> None:
        """Note a state for the tape, and begin the next segment."""
        outside = []
        for leaf in leaves:
            twin = leaf
            if isinstance(leaf, Variable):
                _, value, twin = known.get(id(leaf), (None, None, None))
                if twin is None or value is not leaf.primal:
                    twin = Variable(self._tape, leaf.primal, PENDING)
                    known[id(leaf)] = leaf, leaf.primal, twin
            outside.append(twin)
        self.snapshots = max(1, self.snapshots - 1)
        self.states.append((outside, structure, self.k, set(self.used), self.snapshots))
        self.used.clear()
        self.middle = self.k + split(self._stop - self.k, self.snapshots)


_NUMBERS = (int, float, complex, bool)


def _is_plain(leaves: list[Any], inner: Tape) -> bool:
    """Whether these are numbers, and variables of the tape that a step runs on: none twice, no view, of no other level.

    At least one is such a variable: a state that does not vary is no concern of a tape.
    """
    varying = [leaf for leaf in leaves if leaf.__class__ not in _NUMBERS]
    for leaf in varying:
        if leaf.__class__ is not Variable or leaf.level is not inner or isinstance(leaf.primal, DuckArray):
            return False
    return len({*map(id, varying)}) == len(varying) > 0


# --- what a tape does at a checkpoint ---------------------------------------------------------------------------------


def call(tape: Tape, f: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The value of `f(*args, **kwargs)`, recorded as one segment."""
    leaves, structure = flatten((args, kwargs))
    if not varies(tape, leaves):
        return f(*args, **kwargs)
    segment = Call(tape, leaves, structure, f)
    result = segment.evaluate(tape, lambda arguments, _: segment.stage(arguments, 0), leaves, structure, segment.used)
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
    while stop - start > 1 and varies(tape, leaves):
        segment = Steps(tape, leaves, structure, step, start, snapshots)
        middle = start + split(stop - start, snapshots)
        while segment.stop < middle:
            ahead = _Advance(tape, leaves, segment, segment.stop, middle, stop)
            result = segment.evaluate(tape, ahead, leaves, structure, ahead.used)
            for leaves, structure, start, used, snapshots in ahead.states:
                segment.used |= used
                segment.stop = start
                segment.record(tape, leaves, structure)
                segment = Steps(tape, leaves, structure, step, start, snapshots)
            middle = ahead.middle
            if result is None:
                break
            segment.used |= ahead.used
            leaves, structure = result
            segment.stop = ahead.k
        if segment.stop > start:
            segment.record(tape, leaves, structure)
            start = segment.stop
            snapshots = max(1, snapshots - 1)
        if start < middle:
            break
    return step(unflatten(structure, leaves), start), start + 1, snapshots
