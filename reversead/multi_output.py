"""Functions of several outputs on a tape: how one map from k arguments to m outputs becomes records of a flat list.

A record leads from one node to one other, so a map that has to run once for all its outputs stands between two nodes of
its own: the arguments meet in the first, and the outputs start from the second.  The cotangents and tangents of these
two are `Parts`, which the sweeps add up like any others.  This module knows the form of a tape, and that an evaluation
of a custom function can push and pull; it knows nothing of their rules.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from reversead.variable import Variable, detached
from shared.calling.results import independent
from shared.calling.seeds import has_derivative
from shared.calling.tree import Structure
from shared.core.duck_array import DuckArray
from shared.core.floating_errors import error_settings
from shared.core.primitive import Edge, Like

if TYPE_CHECKING:
    from reversead.tape import Tape
    from shared.linear.custom import CustomFunction, Evaluation


class Parts:
    """Tangents or cotangents of several values, by their positions; those of one sum do not overlap."""

    __slots__ = ("values",)

    def __init__(self, values: dict[int, Any]):
        self.values = values

    def __add__(self, other: Parts) -> Parts:
        # In place, since every instance is made by an edge below, for the one node that sums it.
        self.values.update(other.values)
        return self

    def as_list(self, count: int) -> list[Any]:
        return [self.values.get(k) for k in range(count)]


def _parts(found: Sequence[Any]) -> Parts:
    return Parts({k: value for k, value in enumerate(found) if value is not None})


def _cotangent_of(c: Parts, kept: tuple[int, Like]) -> Any:
    position, like = kept
    found = c.values.get(position)
    if found is not None:
        return found
    return 0.0 if like.dtype is None else like.zeros()


def _pull(c: Parts, kept: tuple[Evaluation, Sequence[bool]]) -> Parts:
    evaluation, active = kept
    return _parts(evaluation.pull(c.as_list(len(evaluation.outputs)), active))


def _push(t: Parts, kept: tuple[Evaluation, Sequence[bool]]) -> Parts:
    evaluation, _ = kept
    # The sweep writes in place into tangents that it made, which a rule may have handed on as they are.
    return _parts([independent(found) for found in evaluation.push(t.as_list(len(evaluation.values)))])


#: From the node where the arguments meet to one of them.
TO_ARGUMENT = Edge(None, _cotangent_of, lambda t, kept: Parts({kept[0]: t}))
#: From the node where the outputs start to the one where the arguments meet: the map itself.
MAP = Edge(None, _pull, _push)
#: From an output to the node where all start; its kept value is its position.
OUTPUT = Edge(None, lambda c, kept: Parts({kept: c}), lambda t, kept: t.values.get(kept))


def call_custom(
    tape: Tape, function: CustomFunction, leaves: list[Any], structure: Structure, static: dict[str, Any]
) -> Any:
    """Process a function that has a derivative rule of its own, called with these leaves."""
    if tape.thread != get_ident():
        raise tape.refusal()
    values, parents = [], []
    for a in leaves:
        if isinstance(a, Variable) and a.level is tape:
            values.append(detached(a.primal))
            parents.append(a.index)
        else:
            if a.__class__ is np.ndarray:
                a = tape.guard.captured(a)
            values.append(a.twin() if isinstance(a, DuckArray) else a)
            parents.append(-1)
    if error_settings() is not tape.settings:
        tape.note_settings()
    evaluation = evaluate(tape, function, values, structure, static)
    nodes = record_outputs(tape, evaluation, parents)
    return evaluation.output(
        [
            Variable(tape, out, node) if has_derivative(out) else out
            for out, node in zip(evaluation.outputs, nodes, strict=True)
        ]
    )


def evaluate(
    tape: Tape, function: CustomFunction, values: list[Any], structure: Structure, static: dict[str, Any]
) -> Evaluation:
    """Evaluate a custom function on values below the level of `tape`, which that must not write to."""
    nodes, records = tape.count, len(tape.records)
    evaluation = function.evaluation(values, structure, static, tape)
    if tape.count != nodes:
        del tape.records[records:]
        tape.count = nodes
        raise function.closed_over(tape, "the function")
    return evaluation


def record_outputs(tape: Tape, evaluation: Evaluation, parents: Sequence[int]) -> list[int]:
    """Append the records of a custom function; returns the nodes of its outputs, negative for what does not vary."""
    active = [parent >= 0 for parent in parents]
    varying = [k for k, out in enumerate(evaluation.outputs) if has_derivative(out)]
    nodes = [-1] * len(evaluation.outputs)
    if not any(active) or not varying:
        return nodes
    first = True
    for k, parent in enumerate(parents):
        if parent >= 0:
            tape.record((TO_ARGUMENT, (k, Like(evaluation.values[k])), ~parent if first else parent))
            first = False
    arguments, start = tape.count, tape.count + 1
    tape.record((MAP, (evaluation, active), ~arguments))
    for position, k in enumerate(varying):
        tape.record((OUTPUT, k, ~start))
        nodes[k] = start + 1 + position
    tape.count = start + 1 + len(varying)
    return nodes
