"""Reverse mode: the tape, which variables (`reversead.variable`) write and sweeps (`reversead.sweeps`) read backwards.

While the program runs, every primitive appends to the tape one record per argument that varies: the linear map of
that argument (an edge of the registry), the few values it needs, and the node it leads to.  The sweep then visits the
nodes in reverse and pulls each node's cotangent through its edges, so the gradient costs a small multiple of the
program, whatever the number of inputs (Linnainmaa 1976; Speelpenning 1980; Griewank & Walther 2008, section 3.2).

The tape is one flat list, of which every record is three items: edge, kept values, parent.  The first record of a node
has its parent complemented (~parent): read backwards it is the last, which is how the sweep finds the ends of nodes.
A list of numbers and arrays costs Python's cyclic collector nothing; an object a node would.  This module knows the
form of the registry's edges, no calculus, and nothing of forward mode.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable, Sequence
from functools import partial
from time import sleep
from typing import Any, TypeVar

import numpy as np

from reversead.guard import Guard
from reversead.sweeps import INDEPENDENT, SETTINGS, forward, mark_switches, reverse
from reversead.variable import Variable
from shared.calling.arguments import as_leaf, differentiable, same_structure
from shared.calling.tree import LEAF as SINGLE
from shared.core.duck_array import DuckArray
from shared.core.errors import ClosedLevelError, ShapeError, closed, user_line
from shared.core.floating_errors import error_settings, restoring, settings_beyond, switch
from shared.core.levels import Level, current_recording

_ndarray = np.ndarray
T = TypeVar("T")

#: Where the numbers begin of nodes that a sweep records, as long as they are not in their place; beyond every other.
UNPLACED = 1 << 60
#: Where they begin of nodes that are not recorded at all.
DISCARDED = 1 << 61
#: Another thread may evaluate a checkpointed function; after so many seconds it is asked again whether it still does.
_PAUSE = 0.001


class Tape(Level):
    """The record of one differentiation; also the level that its variables belong to.

    By hand: make variables, compute, ask for gradients.  A tape belongs to the thread that made it.  An exception that
    leaves its with block releases it.

    >>> with Tape() as tape:
    ...     x = tape.variable(3.0)
    ...     y = x * x + 1.0
    >>> tape.gradient(y, [x])
    [6.0]
    """

    __slots__ = (
        "before",
        "constant",
        "count",
        "discarded",
        "floor",
        "guard",
        "inner",
        "outside",
        "record",
        "records",
        "reopening",
        "replayed",
        "settings",
        "switches",
        "thread",
        "variables",
    )

    def __init__(self, transform: str = "a Tape made by hand"):
        super().__init__(transform)
        self.records: list[Any] = []
        #: appends one or more records; bound once, because every operation calls it
        self.record = self.records.extend
        self.count = 0
        #: the number of each independent variable, by its node
        self.variables: dict[int, int] = {}
        self.thread = get_ident()
        #: what stands for NumPy's error handling where the tape was made, and at the last operation
        self.outside = self.settings = error_settings()
        #: whether an np.errstate lies between operations
        self.switches = False
        recording = current_recording()
        self.guard = Guard(self.thread) if recording is None else recording.constants()
        # The rest is for checkpoints (`reversead.checkpointing`).
        #: the number that a constant made by the program gets
        self.constant = -1
        #: while nothing is recorded, the tape that the program runs on
        self.inner: Tape | None = None
        #: the next number of a node that is not recorded, and of one that a sweep records
        self.discarded = DISCARDED
        self.replayed = UNPLACED
        #: the first node that may be assigned to: a checkpointed function may not change what it did not make
        self.floor = -DISCARDED
        #: who records a part of this tape again, one after the other; None as long as there is no such part
        self.reopening: Any = None
        #: while somebody does, what this tape was like before
        self.before: tuple[Any, ...] | None = None

    def variable(self, value: Any) -> Variable:
        """A new independent variable on this tape.  A gradient with respect to it can be asked for.

        An array is copied; an integer becomes a float.  Raises LeafTypeError for what has no derivative.
        """
        if self.thread != get_ident():
            raise self.refusal()
        return self.inputs([differentiable(value)], copy=True)[0]

    def inputs(self, values: list[Any], copy: bool) -> list[Variable]:
        """Independent variables of values known to be differentiable; without `copy` large arrays are locked."""
        variables, guard = [], self.guard.leaf
        for value in values:
            if value.__class__ is _ndarray:
                value = value.copy("K") if copy else guard(value)
            elif isinstance(value, DuckArray):
                self.guard = value.constants() or self.guard
            node = self.count
            self.record((INDEPENDENT, len(self.variables), ~0))
            self.variables[node] = len(self.variables)
            self.count = node + 1
            variables.append(Variable(self, value, node))
        return variables

    def sweep(self, nodes: list[int], seeds: list[Any], keep: bool = True) -> list[Any]:
        """Pull the seeds of some nodes back to the leaves: their cotangents, None for a leaf that none reaches.

        With `keep=False` the tape is consumed, which frees every value as soon as the sweep has passed it.
        """
        cotangents: list[Any] = [None] * self.size(nodes)
        for node, seed in zip(nodes, seeds, strict=True):
            if node >= 0:
                cotangents[node] = seed if cotangents[node] is None else cotangents[node] + seed
        leaves: list[Any] = [None] * len(self.variables)
        records = self.records.copy() if keep else self.records
        placements: list[Any] = []
        try:
            if self._may_switch():
                mark_switches(records, 0, 0, cotangents)
                self._switching(lambda: reverse(records, cotangents, leaves, self, placements), self.settings)
            else:
                reverse(records, cotangents, leaves, self, placements)
        except BaseException:
            _release(placements)
            raise
        return leaves

    def _switching(self, sweep: Callable[[], T], settings: Any) -> T:
        """The result of a sweep that begins with those settings, and may meet others."""

        def call() -> T:
            switch(settings_beyond(settings, self.outside))
            return sweep()

        return restoring(call)

    def _may_switch(self) -> bool:
        """Whether a sweep may have to change NumPy's error handling; what it records itself may have an np.errstate."""
        return self.switches or self.reopening is not None

    def size(self, wanted: Sequence[int]) -> int:
        """The number of nodes, for a sweep between the leaves and some nodes, all of which have to be recorded."""
        if self.reopening is None:
            return self.count
        parents = self.records[2::3]
        if max(max(parents, default=0), ~min(parents, default=0), max(wanted, default=0)) >= UNPLACED:
            raise escaped()
        return self.settled()

    def settled(self) -> int:
        """The number of nodes as it is while nobody records a part of this tape again."""
        while True:
            count, before = self.count, self.before
            if count < UNPLACED:
                return count
            if before is not None:
                settled: int = before[0]
                return settled
            if self.inner is not None and self.thread == get_ident():
                raise ClosedLevelError(
                    f"a gradient was asked for{user_line()} inside of a checkpointed function, on whose tape nothing "
                    "is recorded meanwhile; ask for it outside, and pass it as an argument"
                )
            sleep(_PAUSE)

    def push(self, tangents: list[Any], nodes: list[int]) -> list[Any]:
        """Push a tangent of every leaf (or None) forwards to some nodes; None where no tangent reaches."""
        wanted = [node for node in nodes if node >= 0]
        count, placements = self.size(wanted), list[Any]()
        try:
            if self._may_switch():
                sweep = partial(forward, self.records, count, tangents, wanted, self, placements)
                reached = self._switching(sweep, self.outside)
            else:
                reached = forward(self.records, count, tangents, wanted, self, placements)
        except BaseException:
            _release(placements)
            raise
        found = iter(reached)
        return [next(found) if node >= 0 else None for node in nodes]

    def gradient(self, output: Any, variables: Any, cotangent: Any = None) -> Any:
        """The cotangents of `variables` (one, or a list of them) for one output of any shape.

        `cotangent` is the output's, 1 by default, for which the output must be a scalar.  The tape is kept, so it can
        be asked again.  A variable that the output does not depend on has the gradient zero.  Cost: one reverse sweep.
        """
        if not isinstance(output, Variable) or output.level is not self:
            raise ShapeError(f"gradient: the output {output!r} was not computed on this tape")
        if self.count and not self.records:
            raise ClosedLevelError(
                f"gradient: this tape was released{user_line()}, by release() or by an exception that left its with "
                "block; ask for gradients before that"
            )
        if getattr(self.guard, "owner", 0) < 0:
            raise ClosedLevelError(
                f"gradient: the thread that wrote this tape was lost{user_line()} when the process forked; "
                "differentiate in this process instead"
            )
        if cotangent is None:
            if output.shape:
                raise ShapeError(f"gradient: give the cotangent of an output of shape {output.shape}")
            cotangent = 1.0
        cotangent = same_structure("gradient", "cotangent", cotangent, SINGLE, [output.primal])[0]
        many = isinstance(variables, (list, tuple))
        asked = list(variables) if many else [variables]
        numbers = [self._leaf_number(v) for v in asked]
        leaves = self.sweep([output.index], [cotangent])
        gradients = [as_leaf(leaves[k], v.primal) for k, v in zip(numbers, asked, strict=True)]
        return gradients if many else gradients[0]

    def _leaf_number(self, variable: Any) -> int:
        if isinstance(variable, Variable) and variable.level is self and variable.index in self.variables:
            return int(self.variables[variable.index])
        raise ShapeError(f"gradient: {variable!r} is not an independent variable of this tape: make it with variable()")

    def __enter__(self) -> Tape:
        return self

    def __exit__(self, kind: Any, *exception: object) -> None:
        try:
            if kind is None:
                self.close()
            else:
                self.release()
        except BaseException:
            # An interrupt leaves the block as any exception does.
            self.release()
            raise

    def note_settings(self, settings: Any = None) -> None:
        """Record that NumPy's error handling is another one from the next operation on: the present one by default."""
        settings = settings or error_settings()
        kept = (settings_beyond(self.settings, self.outside), settings_beyond(settings, self.outside))
        if kept[0] != kept[1]:
            self.switches = True
            # A node that nothing leads to: it refers to itself.
            self.record((SETTINGS, kept, ~self.count))
            self.count += 1
        self.settings = settings

    def close(self) -> None:
        """Stop recording: from now on a use of this tape's variables is an error.  Gradients may still be asked."""
        self.end()
        if isinstance(self.guard, Guard):
            self.guard.owner = 0

    def end(self) -> None:
        """The same for a tape that nobody but the call in progress will sweep."""
        self.closed = True
        self.thread = -1

    def release(self) -> None:
        """Drop everything recorded, and give large constants back to their owners for writing."""
        self.end()
        self.guard.release()
        self.records.clear()

    def refusal(self) -> Exception:
        """Why a variable of this tape cannot be used here and now."""
        if self.closed:
            return closed(_Ended(self))
        return ClosedLevelError(
            f"a tape was used in a thread that did not make it{user_line()}; differentiate inside each thread instead"
        )

    def __repr__(self) -> str:
        return f"<Tape of {self.transform}: {self.count} nodes, {len(self.records) // 3} edges, level {self.number}>"


def escaped() -> Exception:
    """Why a node that is not on the tape cannot be used."""
    return ClosedLevelError(
        "a traced value that a checkpointed function computed was stored outside of it, and used there"
        f"{user_line()}; it is not recorded. Return it from the function instead"
    )


def _release(placements: list[Any]) -> None:
    """Give back what the parts hold that a sweep has recorded (`reversead.reopening`), which an exception has left."""
    for *_, guard in placements:
        held = guard()
        if held is not None:
            held.release()


class _Ended:
    def __init__(self, level: Level):
        self.level = level
