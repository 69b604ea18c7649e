"""Evaluating a part of the program without recording it, but so that the tape can be told of it afterwards.

The part runs on constants of a tape of its own, inside the one that it belongs to.  So its assignments have their
usual meaning and nothing is recorded; what it stores elsewhere cannot be used once it has ended; and it cannot assign
what it computes to the arrays of the program around it.  Values of that program's tape which it uses without being
given them are noted.  This module knows tapes and variables, and nothing of what such an evaluation is good for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from reversead.checkpointing.checkpoints import DISCARDED, checkpoints_of
from reversead.guard import Guard
from reversead.tape import Tape
from reversead.variable import LOCAL, Variable, detached, new_view
from shared.calling.tree import Structure, flatten, unflatten
from shared.core.assignment import ViewOf
from shared.core.duck_array import DuckArray
from shared.core.levels import Tracer

#: The number of a variable whose node is still to be recorded.
PENDING = -2


class Untaped:
    """One evaluation of `f(arguments, inner)` for a tape, on a tape `inner` of its own.

    `used` receives the nodes that it uses besides its arguments.  `leaves` and `result` are the leaves and the
    structure of its value: what it computed of the tape's variables are variables whose node is PENDING.  `leaves` is
    None if part of the value belongs to a level inside the tape's: that will have ended when the tape is swept.
    """

    __slots__ = ("_first", "_found", "_inner", "_made", "_originals", "_tape", "changed", "leaves", "result")

    def __init__(
        self,
        tape: Tape,
        name: str,
        f: Callable[[Any, Tape], Any],
        leaves: Sequence[Any],
        structure: Structure,
        used: set[int],
    ):
        self._tape = tape
        self._inner = inner = Tape(name)
        given = [Variable(inner, leaf.primal, -1) if is_of(tape, leaf) else leaf for leaf in leaves]
        twins = [(twin, twin.primal, leaf) for twin, leaf in zip(given, leaves, strict=True) if twin is not leaf]
        #: nodes from this number on are not recorded
        self._first = first = max(tape.count, checkpoints_of(tape).discarded)
        try:
            out = _suspended(tape, inner, first, used, lambda: f(unflatten(structure, given), inner))
            self._found, self.result = flatten(out)
            del out
            if inner.guard.held:
                own = [value for _, value, _ in twins] + [self._below(leaf) for leaf in self._found]
                _hand_over(inner.guard, tape.guard, own)
            inner.release()
        except BaseException:
            inner.release()
            raise
        #: for the arguments that were not changed in place, what stands for them on the tape
        self._originals = {id(twin): leaf for twin, value, leaf in twins if twin.primal is value}
        self.changed = len(self._originals) < len(twins)
        self._made: dict[int, Variable] = {}
        self.leaves: list[Any] | None = None
        with suppress(_Inner):
            self.leaves = [self._adopted(leaf) for leaf in self._found]

    # Results that share memory become variables that share it, so that writing to them afterwards means what it does
    # in NumPy, or raises.

    def _adopted(self, leaf: Any) -> Any:
        if not isinstance(leaf, Tracer) or leaf.level.number < self._tape.number:
            return leaf
        return self._variable(leaf)

    def _variable(self, leaf: Any) -> Any:
        outside = self._outside(leaf)
        if outside is not None:
            return outside
        variable = self._made.get(id(leaf))
        if variable is None:
            value = self._below(leaf)
            if isinstance(value, Tracer) and value.level.number >= self._tape.number:
                raise _Inner
            if not is_view(leaf):
                variable = Variable(self._tape, value, PENDING)
            elif self._outside(leaf.root) is None and not self._is_shared(leaf.root):
                variable = Variable(self._tape, detached(value), PENDING)
            else:
                # The indices of the views on the way to it are gone, so it can be read, but not written through.
                variable = new_view(self._tape, value, PENDING, self._base(leaf.root), None)
            self._made[id(leaf)] = variable
        variable.index = PENDING
        return variable

    def _outside(self, leaf: Any) -> Any:
        """The variable that a result is, if that existed before: an argument, or one that was used."""
        if leaf.level is self._tape and leaf.index < self._first:
            return leaf
        return self._originals.get(id(leaf))

    def _is_shared(self, root: Any) -> bool:
        """Whether several results are this array or views of it."""
        return sum(leaf is root or (is_view(leaf) and leaf.root is root) for leaf in self._found) > 1

    def _base(self, root: Any) -> Any:
        base = self._outside(root)
        if base is None:
            base = self._made.get(id(root))
        if base is None:
            base = self._made[id(root)] = Variable(self._tape, self._below(root), -1)
        return base

    def _below(self, value: Any) -> Any:
        """A value at the levels below the tape's, if it has one."""
        for level in (self._inner, self._tape):
            if is_of(level, value):
                value = value.primal
        return value


class _Inner(Exception):
    """A value belongs to a level inside the tape's."""


def is_of(tape: Tape, leaf: Any) -> bool:
    """Whether a leaf is a variable of the tape."""
    return isinstance(leaf, Variable) and leaf.level is tape


def is_view(leaf: Any) -> bool:
    """Whether a leaf shares memory with an array that somebody else may still refer to."""
    return isinstance(leaf, ViewOf) and isinstance(leaf.root, DuckArray)


def _suspended(tape: Tape, inner: Tape, first: int, used: set[int], call: Callable[[], Any]) -> Any:
    """The value of `call()`, while the tape counts on from `first` and records nothing, but notes the nodes `used`."""

    def note(records: Sequence[Any]) -> None:
        for parent in records[2::3]:
            node = ~parent if parent < 0 else parent
            if node < DISCARDED:
                used.add(node)

    checkpoints = checkpoints_of(tape)
    before = tape.count, tape.record, tape.floor, tape.no_node, tape.guard, checkpoints.inner, tape.settings

    def resume() -> None:
        checkpoints.discarded = max(checkpoints.discarded, tape.count)
        tape.count, tape.record, tape.floor, tape.no_node, tape.guard, checkpoints.inner, tape.settings = before

    try:
        tape.count, tape.floor, tape.no_node, tape.guard, checkpoints.inner = first, first, LOCAL, inner.guard, inner
        tape.record = note
        result = call()
        resume()
    except BaseException:
        # Again, if it was interrupted.
        resume()
        raise
    return result


def _hand_over(guard: Guard, to: Guard, own: Sequence[Any]) -> None:
    """Lock for longer those constants that somebody else refers to, and so may change before they are used again.

    The values of variables, `own`, are constants as well where they meet variables that were not given.
    """
    variables = {id(owner) for value in own for owner in (value, getattr(value, "base", None))}
    # What the function made itself and dropped is wanted by nobody.
    for array in guard.wanted():
        if id(array) not in variables:
            to.captured(array)
