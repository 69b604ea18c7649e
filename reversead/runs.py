"""A function at a point on a tape, kept for sweeps in both directions: what every transform but the gradient stands on.

This module knows the tape, containers and dtypes, and no transform.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reversead.tape import Tape
from reversead.variable import Variable
from shared.calling.arguments import Selection, as_leaf, as_leaves
from shared.calling.results import primal_of, require_numbers, split_aux, strip
from shared.calling.seeds import floating, seeded
from shared.calling.tree import flatten, unflatten


class TapedRun:
    """One evaluation of a function on a tape, kept for sweeps."""

    __slots__ = ("__del__", "aux", "nodes", "outputs", "selection", "structure", "tape")
    #: what the interpreter calls when this is freed; written in C, so that no interrupt can come in it
    __del__: Callable[[], None]

    def __init__(self, name: str, selection: Selection, has_aux: bool = False):
        self.tape = tape = Tape(name)
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

    def output(self) -> Any:
        return unflatten(self.structure, self.outputs)

    def pull(self, seeds: list[Any]) -> list[Any]:
        """The leaves' cotangents, for a cotangent of each output: a sweep backwards."""
        # The tape keeps what it needs for the next call, so results that it might share are copied.
        seeds = [seeded(output, seed) for output, seed in zip(self.outputs, seeds, strict=True)]
        return as_leaves(self.tape.pulled(self.nodes, seeds), self.selection.leaves)

    def push(self, seeds: list[Any]) -> list[Any]:
        """The outputs' tangents, for a tangent of each leaf, or None where it does not vary: a sweep forwards."""
        leaves = self.selection.leaves
        seeds = [None if seed is None else seeded(leaf, seed) for leaf, seed in zip(leaves, seeds, strict=True)]
        reached = self.tape.pushed(seeds, self.nodes)
        return [as_leaf(t, o) for t, o in zip(reached, map(floating, self.outputs), strict=True)]
