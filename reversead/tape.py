"""Reverse mode: the tape, which variables (`reversead.variable`) write, and which is swept backwards.

While the program runs, every primitive appends to the tape one record per argument that varies: the linear map of
that argument (an edge of the registry), the few values it needs, and the node it leads to.  The sweep then visits the
nodes in reverse and pulls each node's cotangent through its edges, so the gradient costs a small multiple of the
program, whatever the number of inputs (Linnainmaa 1976; Speelpenning 1980; Griewank & Walther 2008, section 3.2).

What records are is said in `shared.core.records`, how they are swept in `shared.core.sweep`.  This module knows whose
tape it is (a thread's, a call's), what protects the constants on it, and nothing of calculus and of forward mode.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import numpy as np

from reversead.guard import Guard
from reversead.variable import Variable
from shared.calling.arguments import as_leaf, differentiable, same_structure
from shared.calling.results import CAREFUL, handed_out, has_nan
from shared.calling.tree import LEAF as SINGLE
from shared.core.duck_array import DuckArray, captures_within
from shared.core.errors import ClosedLevelError, ShapeError, closed, inner_into_outer, user_line
from shared.core.floating_errors import error_settings, restoring, settings_beyond, switch
from shared.core.levels import Level, current_recording
from shared.core.records import SETTINGS, Records
from shared.core.sweep import Backward, Forward

_ndarray = np.ndarray
T = TypeVar("T")

#: The first node that may be assigned to, where every one may.
EVERY_NODE = -(1 << 61)


class Tape(Records):
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
        "checkpoints",
        "floor",
        "guard",
        "no_node",
        "outside",
        "settings",
        "switches",
        "thread",
        "variables",
    )
    checkpointing = "reversead.checkpointing"

    def __init__(self, transform: str = "a Tape made by hand"):
        Records.__init__(self, transform)
        #: the number of each independent variable, by its node
        self.variables: dict[int, int] = {}
        self.thread = get_ident()
        #: what stands for NumPy's error handling where the tape was made, and at the last operation
        self.outside = self.settings = error_settings()
        #: whether an np.errstate lies between operations
        self.switches = False
        recording = current_recording()
        #: keeps captured arrays from being changed before the sweep reads them
        self.guard = Guard(self.thread) if recording is None else recording.captures()
        #: the number in place of a node of what does not vary, and the first node that may be assigned to: others
        #: while a checkpointed function is evaluated
        self.no_node, self.floor = -1, EVERY_NODE
        #: what `reversead.checkpointing` knows of this tape, once there is a checkpoint on it
        self.checkpoints: Any = None

    def variable(self, value: Any) -> Variable:
        """A new independent variable on this tape.  A gradient with respect to it can be asked for.

        An array is copied; an integer becomes a float.  Raises LeafTypeError for what has no derivative.
        """
        if self.thread != get_ident():
            raise self.refusal()
        return self.inputs([differentiable(value)], copy=True)[0]

    def inputs(self, values: list[Any], copy: bool) -> list[Variable]:
        """Independent variables of values known to be differentiable; without `copy` large arrays are locked."""
        made, guard = [], self.guard.leaf
        for node, value in enumerate(values, self.independent(len(self.variables), len(values))):
            if value.__class__ is _ndarray:
                value = value.copy("K") if copy else guard(value)
            elif isinstance(value, DuckArray):
                self.guard = captures_within(value) or self.guard
            self.variables[node] = len(self.variables)
            made.append(Variable(self, value, node))
        return made

    def sweep(self, nodes: list[int], seeds: list[Any], keep: bool = True) -> list[Any]:
        """Pull the seeds of some nodes back to the leaves: their cotangents, None for a leaf that none reaches.

        With `keep=False` the tape is consumed, which frees every value as soon as the sweep has passed it.
        """
        cotangents: list[Any] = [None] * self._size(nodes)
        for node, seed in zip(nodes, seeds, strict=True):
            if node >= 0:
                cotangents[node] = seed if cotangents[node] is None else cotangents[node] + seed
        sweep = Backward(self, self.records.copy() if keep else self.records, cotangents, len(self.variables))
        if not (self.switches or self.checkpoints):
            return sweep.run()
        try:
            sweep.mark(0, 0)
            return self._switching(sweep.run, self.settings)
        except BaseException:
            self._give_up(sweep)
            raise

    def push(self, tangents: list[Any], nodes: list[int]) -> list[Any]:
        """Push a tangent of every leaf (or None) forwards to some nodes; None where no tangent reaches."""
        wanted = [node for node in nodes if node >= 0]
        sweep = Forward(self, tangents)
        run = partial(sweep.run, self.records, self._size(wanted), wanted)
        try:
            reached = iter(self._switching(run, self.outside) if self.switches or self.checkpoints else run())
        except BaseException:
            self._give_up(sweep)
            raise
        return [next(reached) if node >= 0 else None for node in nodes]

    def pulled(self, nodes: list[int], seeds: list[Any]) -> list[Any]:
        """As `sweep`, and the tape is kept: with care where the result would have a NaN (`reversead.careful`)."""
        care = CAREFUL.get()
        found = [] if care else self.sweep(nodes, seeds)
        if care or (care is None and has_nan(found)):
            from reversead.careful import pulled

            return pulled(self, nodes, seeds, found)
        return found

    def pushed(self, tangents: list[Any], nodes: list[int]) -> list[Any]:
        """As `push`, with care where the result would have a NaN."""
        care = CAREFUL.get()
        found = [] if care else self.push(tangents, nodes)
        if care or (care is None and has_nan(found)):
            from reversead.careful import pushed

            return pushed(self, tangents, nodes, found)
        return found

    def _size(self, wanted: list[int]) -> int:
        """The number of nodes, for a sweep between the leaves and some nodes, all of which have to be recorded."""
        if self.checkpoints is None:
            return self.count
        size: int = self.checkpoints.size(self, wanted)
        return size

    def _give_up(self, sweep: Any) -> None:
        if self.checkpoints is not None:
            self.checkpoints.give_up(sweep)

    def _switching(self, sweep: Callable[[], T], settings: Any) -> T:
        """The result of a sweep that begins with those settings of NumPy's, and may meet others."""

        def call() -> T:
            switch(settings_beyond(settings, self.outside))
            return sweep()

        return restoring(call)

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
        leaves = self.pulled([output.index], [cotangent])
        gradients = [handed_out(SINGLE, [as_leaf(leaves[k], v.primal)]) for k, v in zip(numbers, asked, strict=True)]
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
            self.record((SETTINGS, kept, ~self.count))
            self.node()
        self.settings = settings

    def call_custom(self, function: Any, leaves: list[Any], structure: Any, static: dict[str, Any]) -> Any:
        # Loaded when the first such function is met: it is made of variables, and most programs have none.
        from reversead.multi_output import call_custom

        return call_custom(self, function, leaves, structure, static)

    def join(self, array: Any, inner: Level) -> None:
        if self.checkpoints is None:
            raise inner_into_outer()
        self.checkpoints.join(array, inner)

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
        if not self.closed:
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


class _Ended:
    def __init__(self, level: Level):
        self.level = level
