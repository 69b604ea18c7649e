"""A function evaluated on dual numbers: in one direction, once for each of several, or in all directions of its inputs.

This module knows dual numbers, containers and chunks of directions, and no transform.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dualad.dual import Dual, ForwardLevel, new_dual
from shared.batching.directions import along_directions, number_of_directions, require_within_limit
from shared.calling.arguments import Selection, as_leaf, refuse_iterators, scalar_output
from shared.calling.results import CAREFUL, handed_out, has_nan, primal_of, require_numbers, split_aux, strip
from shared.calling.seeds import floating, seeded, zero_like
from shared.calling.tree import flatten
from shared.core.edges import Like
from shared.core.levels import attempt

if TYPE_CHECKING:
    from concurrent.futures import Executor


class ForwardPass:
    """One evaluation of a function in one direction, or in all those that batched seeds stand for."""

    __slots__ = ("aux", "outputs", "structure", "tangents")
    aux: Any
    outputs: list[Any]
    structure: Any
    tangents: list[Any]

    def __init__(
        self, name: str, selection: Selection, seeds: Sequence[Any], has_aux: bool = False, scalar: bool = False
    ):
        care = CAREFUL.get()
        if care:
            from dualad.careful import run_carefully

            attempt(
                lambda: run_carefully(self, name, selection, seeds, has_aux, scalar),
                lambda error: self.run(ForwardLevel(name), selection, seeds, has_aux, scalar),
            )
            return
        self.run(ForwardLevel(name), selection, seeds, has_aux, scalar)
        if care is None and has_nan(self.tangents):
            from dualad.careful import run_carefully
            from shared.calling.careful import instead

            again = object.__new__(ForwardPass)

            def with_care() -> ForwardPass:
                refuse_iterators(name, selection.args, selection.kwargs)
                run_carefully(again, name, selection, seeds, has_aux, scalar)
                return again

            if instead(self, with_care, lambda found: found.outputs) is again:
                self.outputs, self.structure, self.tangents, self.aux = (
                    again.outputs, again.structure, again.tangents, again.aux,
                )  # fmt: skip

    def run(self, level: ForwardLevel, selection: Selection, seeds: Sequence[Any], has_aux: bool, scalar: bool) -> None:
        """Evaluate at a level of its own, which is closed afterwards."""
        name = level.transform
        try:
            duals = [
                new_dual(level, leaf, seeded(leaf, seed)) for leaf, seed in zip(selection.leaves, seeds, strict=True)
            ]
            out, aux = split_aux(name, selection.call(duals), has_aux)
            number = scalar_output(name, out) if scalar else None
            leaves, self.structure = flatten(out)
            require_numbers(name, leaves)
            primals = self.outputs = [primal_of(o, level) for o in leaves]
            if scalar and number is not out:
                # An array of one number has the gradient of that.
                leaves, primals = [number], [primal_of(number, level)]
            self.tangents = [
                as_leaf(o.tangent if isinstance(o, Dual) and o.level is level else None, floating(primal))
                for o, primal in zip(leaves, primals, strict=True)
            ]
            self.aux = strip(aux, level) if has_aux else None
        finally:
            level.closed = True

    def output(self) -> Any:
        return handed_out(self.structure, self.outputs)

    def tangent(self) -> Any:
        return handed_out(self.structure, self.tangents)


class Passes:
    """A function at a point: evaluated again for each direction, of which the first also gives the value."""

    __slots__ = ("_first", "has_aux", "name", "selection")

    #: a cotangent would take a direction for each input
    pull = None

    def __init__(self, name: str, selection: Selection, has_aux: bool = False):
        self.name = name
        self.selection = selection
        self.has_aux = has_aux
        self._first: ForwardPass | None = None

    @property
    def value(self) -> ForwardPass:
        """The first pass, which also has the value; one along zero, if there has been none."""
        if self._first is None:
            self.push([None] * len(self.selection.leaves))
        assert self._first is not None
        return self._first

    def push(self, seeds: list[Any]) -> list[Any]:
        """The outputs' tangents, for a tangent of each leaf, or None where it does not vary: one pass."""
        leaves = self.selection.leaves
        seeds = [zero_like(leaf) if seed is None else seed for leaf, seed in zip(leaves, seeds, strict=True)]
        done = ForwardPass(self.name, self.selection, seeds, self.has_aux)
        if self._first is None:
            self._first = done
        return done.tangents

    def release(self) -> None:
        """Nothing: a pass keeps no tape."""


def columns_of(
    name: str,
    selection: Selection,
    has_aux: bool,
    chunk_size: int | None,
    executor: Executor | None = None,
    scalar: bool = False,
) -> tuple[ForwardPass, list[Any]]:
    """One pass, for all but its tangents, and for each output the tangents along all directions of the inputs."""
    refuse_iterators(name, selection.args, selection.kwargs)
    if executor is None:
        return _span_of_columns(name, selection, has_aux, chunk_size, scalar, None)
    # Only who gives an executor pays for loading what executors need.
    from shared.batching.parallel import on_executor, refuse_traced, spans_of

    refuse_traced(name, [selection.args, selection.kwargs])
    job = partial(_span_of_columns, name, selection, has_aux, None, scalar)
    spans = spans_of(number_of_directions(selection.leaves), chunk_size)
    if not spans:
        return job(None)
    parts = list(on_executor(name, executor, job, [(span,) for span in spans]))
    return parts[0][0], [np.concatenate(column) for column in zip(*(part[1] for part in parts), strict=True)]


def _span_of_columns(
    name: str, selection: Selection, has_aux: bool, chunk_size: int | None, scalar: bool, span: tuple[int, int] | None
) -> tuple[Any, list[Any]]:
    passes: list[ForwardPass] = []

    def tangents(seeds: list[Any]) -> list[Any]:
        done = ForwardPass(name, selection, seeds, has_aux, scalar)
        require_within_limit(seeds)
        found, done.tangents = done.tangents, []
        if not passes:
            passes.append(done)
        else:
            from shared.linear.purity import FirstValue

            FirstValue(name, passes[0].outputs).of(done)
        return found

    columns = along_directions(name, selection.leaves, tangents, chunk_size, span)
    if passes:
        # The value and aux are those of the first span; the others need not send theirs.
        return (None if span is not None and span[0] else passes[0]), columns
    # There is no input at all: the derivative is empty, the value is not.
    first = ForwardPass(name, selection, selection.leaves, has_aux, scalar)
    return first, [np.zeros((0, *Like(output).shape)) for output in first.outputs]
