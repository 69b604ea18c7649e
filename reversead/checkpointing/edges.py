"""The records that stand on a tape for a part of the program which a sweep records: what each sweep does at them.

This module knows the sweeps, and of a segment that it can be recorded (`reversead.checkpointing.segments`).
"""

from __future__ import annotations

from typing import Any

from reversead.multi_output import Parts
from shared.core.edges import Edge


class _Recompute(Edge):
    """Of the node of a segment, which is what it keeps.  Its cotangent and tangent are the `Parts` of its outputs."""

    __slots__ = ()

    def backward(self, sweep: Any, cotangent: Parts, kept: Any, parent: int) -> None:
        """Record the segment at the end of the records, where the sweep goes on, with the cotangents of its outputs."""
        cotangents = sweep.cotangents
        first, start = len(cotangents), len(sweep.records)
        nodes, count = kept.replay(sweep.level, sweep.records, first, sweep.replayed)
        cotangents.extend([None] * (count - first))
        if sweep.level.switches:
            sweep.mark(start, first)
        # These numbers belonged to nodes that the sweep has passed.
        sweep.owned.difference_update(range(first, count))
        for k, c in cotangent.values.items():
            node = nodes[k]
            if node >= 0:
                before = cotangents[node]
                cotangents[node] = c if before is None else before + c

    def forward(self, sweep: Any, node: int, kept: Any, parent: int, position: int) -> None:
        """The tangents of the outputs: each stage is recorded, and freed when tangents have been pushed through it."""
        if any(sweep.values[used] is not None for used in kept.parents()):
            sweep.values[node] = _through(sweep, kept, node)


def _through(sweep: Any, segment: Any, known: int) -> Parts:
    values, base, origin, used = sweep.values, len(sweep.values), sweep.beyond, set[int]()
    leaves, structure, nodes = segment.arguments_on(sweep.level)
    tangents = [values[node] if node >= 0 else None for node in nodes]
    # What is shared with an argument's tangent must not be written when that is used last.
    sweep.owned.difference_update(nodes)
    for stage in segment.stages:
        sweep.truncate(base)
        sweep.extend(base + len(tangents))
        values[base:] = tangents
        records: list[Any] = []
        given = [-1 if t is None else base + k for k, t in enumerate(tangents)]
        leaves, structure, nodes, count = segment.replay_stage(
            sweep.level, records, len(values), sweep.replayed, known, stage, leaves, structure, given, used
        )
        last = len(values) - 1
        sweep.extend(count)
        sweep.note_last_uses(records, origin, base, nodes)
        sweep.advance(records, origin, last)
        tangents = [values[node] if node >= 0 else None for node in nodes]
    sweep.truncate(base)
    return Parts({k: tangents[place] for k, place in enumerate(segment.outputs) if tangents[place] is not None})


class _Silent(Edge):
    """It passes nothing on."""

    __slots__ = ()

    def backward(self, sweep: Any, cotangent: Any, kept: Any, parent: int) -> None:
        pass

    def forward(self, sweep: Any, node: int, kept: Any, parent: int, position: int) -> None:
        pass


#: A part of the program that is recorded when a sweep comes to it.
RECOMPUTE = _Recompute(None, None, None)
#: From such a part to a further node that its value depends on.
DEPENDS = _Silent(None, None, None)
#: The beginning of a part that was recorded by a sweep: its kept value guards that part's constants until then.
LOCKS = _Silent(None, None, None)
