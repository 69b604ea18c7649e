"""A function at a point on a tape, kept for sweeps in both directions: what every transform but the gradient stands on.

This module knows the tape, containers and dtypes, and no transform.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reversead.tape import Tape
from reversead.variable import Variable
from shared.calling.arguments import Selection, as_leaf, as_leaves, refuse_iterators
from shared.calling.results import CAREFUL, handed_out, has_nan, primal_of, require_numbers, split_aux, strip
from shared.calling.seeds import floating, seeded
from shared.calling.tree import flatten


class TapedRun:
    """One evaluation of a function on a tape, kept for sweeps."""

    __slots__ = ("__del__", "_again", "aux", "has_aux", "name", "nodes", "outputs", "selection", "structure", "tape")
    #: what the interpreter calls when this is freed; written in C, so that no interrupt can come in it
    __del__: Callable[[], None]

    def __init__(self, name: str, selection: Selection, has_aux: bool = False):
        self.tape = tape = Tape(name)
        self.name, self.has_aux = name, has_aux
        self._again: TapedRun | None = None
        # What a checkpoint keeps may refer to variables, and so to the tape.
        self.__del__ = tape.records.clear
        self.selection = selection
        try:
            variables = tape.inputs(selection.leaves, copy=True)
            out, aux = split_aux(name, selection.call(variables), has_aux)
            leaves, self.structure = flatten(out)
            require_numbers(name, leaves)
            self.nodes = [o.index if isinstance(o, Variable) and o.level is tape else -1 for o in leaves]
            self.outputs = [primal_of(o, tape) for o in leaves]
            self.aux = strip(aux, tape)
            tape.close()
        except BaseException:
            tape.release()
            raise

    @property
    def value(self) -> TapedRun:
        """What the function returned, which is kept here too: `outputs`, `structure` and `aux`."""
        return self

    def release(self) -> None:
        """Give up the tape: for a transform that an exception leaves, whose frame may be kept, and this with it."""
        self.tape.release()
        if self._again is not None and self._again is not self:
            self._again.release()

    def output(self) -> Any:
        return handed_out(self.structure, self.outputs)

    def pull(self, seeds: list[Any], once: bool = True) -> list[Any]:
        """The leaves' cotangents, for a cotangent of each output: a sweep backwards.

        With `once=False` the function may not be called again, since what it reads may have changed since.
        """
        # The tape keeps what it needs for the next call, so results that it might share are copied.
        seeds = [seeded(output, seed) for output, seed in zip(self.outputs, seeds, strict=True)]
        found = self.tape.pulled(self.nodes, seeds)
        if once and has_nan(found):
            found = self._rather(found, lambda run: run.tape.pulled(run.nodes, seeds))
        return as_leaves(found, self.selection.leaves)

    def push(self, seeds: list[Any], once: bool = True) -> list[Any]:
        """The outputs' tangents, for a tangent of each leaf, or None where it does not vary: a sweep forwards."""
        leaves = self.selection.leaves
        seeds = [None if seed is None else seeded(leaf, seed) for leaf, seed in zip(leaves, seeds, strict=True)]
        reached = self.tape.pushed(seeds, self.nodes)
        if once and has_nan(reached):
            reached = self._rather(reached, lambda run: run.tape.pushed(seeds, run.nodes))
        return [as_leaf(t, o) for t, o in zip(reached, map(floating, self.outputs), strict=True)]

    def _rather(self, found: list[Any], sweep: Callable[[TapedRun], list[Any]]) -> list[Any]:
        """What a sweep finds of another evaluation, in which differentiations within the function take care, too.

        On this tape they did not, having had no NaN of their own (see `shared.calling.careful`).
        """
        from shared.calling.careful import instead

        if CAREFUL.get() is not None:
            return found
        if self._again is None:
            selection = self.selection

            def evaluate() -> TapedRun:
                refuse_iterators(self.name, selection.args, selection.kwargs)
                return TapedRun(self.name, selection, self.has_aux)

            self._again = instead(self, evaluate, lambda run: run.outputs)
        again = self._again
        return found if again is self else instead(found, lambda: sweep(again))
