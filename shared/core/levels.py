"""Levels: which differentiation a value belongs to, and the one dispatch that follows from it.

Every transform call (`grad`, `jvp`, ...) takes a fresh level, and larger numbers are inner.  A primitive is processed
at the highest level among its arguments; values of lower levels are constants to it.  Nothing is pushed or popped, so
an exception cannot corrupt anything, threads cannot disturb each other, and the tangents of two nested
differentiations cannot be confused (Siskind & Pearlmutter 2005, "Perturbation confusion and referential
transparency").  This module knows neither NumPy nor the registry nor the engines.
"""

from __future__ import annotations

import itertools
from _thread import get_ident
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from shared.core.errors import inner_into_outer

_numbers = itertools.count(1)

#: The record that the function running in this thread is written down in, if there is one (`shared.programs`).
RECORDING: ContextVar[Any] = ContextVar("recording", default=None)


def current_recording() -> Any:
    """The record that this thread writes; None also where a copied context outlives the record, or is another's."""
    found = RECORDING.get()
    return found if found is None or found.thread == get_ident() else _around(found)


def _around(found: Any) -> Any:
    """The record in effect, where one was found that has ended, or is another thread's.

    An interrupt may come before an ended record is put away, which is done here then.
    """
    while found is not None and found.closed:
        found = found.outer
        RECORDING.set(found)
    return found if found is not None and found.thread == get_ident() else None


class Level:
    """One differentiation in progress: a number (larger is inner), and whether it has ended."""

    __slots__ = ("__weakref__", "closed", "number", "transform")

    def __init__(self, transform: str = "a transform", number: int | None = None):
        self.number = next(_numbers) if number is None else number
        self.closed = False
        self.transform = transform

    #: Of a level that can call code as one operation, where it cannot follow it inside: what calls an object with a
    #: name and a method `run`, and what follows a function that must not branch on values.
    opaque: Any = None
    without_branches: Any = None

    #: the module that says what a level of this kind does at a checkpoint (`shared.linear.checkpointing`), if anything
    checkpointing: str | None = None

    def captures(self) -> Any:
        """What keeps the arrays that a derivative within this level captures; None if a guard of its own does."""
        return None

    def seed(self, value: Any) -> Any:
        """A seed of a derivative that is taken within this level, if the level has to see that, too; else None."""
        return None

    def call_custom(self, function: Any, leaves: list[Any], structure: Any, static: dict[str, Any]) -> Any:
        """Process a function that has a derivative rule of its own (`shared.linear.custom`), called with these leaves.

        An engine applies the rule.  A level that does not differentiate traces the function itself.
        """
        return function.follow(self, leaves, structure, static)

    def join(self, array: Any, inner: Level) -> None:
        """Make `array`, of this level, a value of an inner one, of which a value is to be assigned to it; or refuse."""
        raise inner_into_outer()

    def __repr__(self) -> str:
        return f"<level {self.number} of {self.transform}{', ended' if self.closed else ''}>"


def attempt(follow: Callable[[], Any], otherwise: Callable[[Exception], Any]) -> Any:
    """The value of `follow()`; where that raises, of `otherwise(error)`: a record then keeps nothing of the attempt."""
    recording = current_recording()
    mark = None if recording is None else recording.mark()
    try:
        return follow()
    except Exception as error:
        if recording is not None:
            recording.undo(mark)
        return otherwise(error)


class Tracer:
    """A value that belongs to a level.  `process(primitive, args, static)` says what its level does to a primitive."""

    __slots__ = ("level",)
    level: Any

    def process(self, primitive: Any, args: tuple[Any, ...], static: dict[str, Any]) -> Any:
        raise NotImplementedError

    def linear(self, primitive: Any, rest: tuple[Any, ...], static: dict[str, Any]) -> Any:
        """Process a primitive that is linear in one array, this; a level may have a faster way."""
        return self.process(primitive, (self, *rest), static)


def bind(primitive: Any, args: tuple[Any, ...], static: dict[str, Any]) -> Any:
    """Process `primitive` at the highest level among its arguments; on plain values, evaluate it."""
    top, number = None, -1
    for a in args:
        if isinstance(a, Tracer) and a.level.number > number:
            top, number = a, a.level.number
    if top is None:
        return primitive.raw(*args, **static)
    return top.process(primitive, args, static)
