"""The sweeps over a tape: backwards with cotangents, forwards with tangents.

A tape is read here as plain data (see `reversead.tape` for its form); nothing here knows how it was written, and a part
that a checkpoint left out says itself how to record it.  Both sweeps are loops, so the length of a program is bounded
by memory and not by Python's stack.  They compute with plain NumPy operations on values that may be tracers of other
levels, which is all that nesting takes.
"""

from __future__ import annotations

from operator import mul
from typing import Any

import numpy as np

from reversead.multi_output import Parts
from shared.core.assignment import SETITEM, ViewOf
from shared.core.errors import DifferentiationError, stopped_halfway
from shared.core.floating_errors import switch
from shared.core.primitive import Edge
from shared.core.refcounts import ALONE_AS_LOCAL, getrefcount
from shared.core.writing import GATHER, OVERWRITE, UNCHANGED, deposit, duplicate, write

_ndarray = np.ndarray


_NOTHING: Any = None

# The records that a sweep follows in a way of its own have no push.
#: An independent variable: its kept value is its number, and its cotangent is a result.
INDEPENDENT = Edge(None, None, _NOTHING)
#: A part of the program that is recorded when a sweep comes to it: its kept value says how.
RECOMPUTE = Edge(None, None, _NOTHING)
#: From such a part to a further node that its value depends on.
DEPENDS = Edge(None, None, _NOTHING)
#: The beginning of a part that was recorded by a sweep: its kept value guards that part's constants until then.
LOCKS = Edge(None, None, _NOTHING)
#: A change of NumPy's error handling between two operations: its kept value is the settings before and after.
SETTINGS = Edge(None, None, _NOTHING)
#: What stands in place of the cotangent of such a node, so that the sweep stops there.
_SWITCH = object()


def reverse(records: list[Any], cotangents: list[Any], leaves: list[Any], tape: Any, placements: list[Any]) -> None:
    """Consume `records` of `tape` from the end, and leave the cotangent of leaf k in `leaves[k]`.

    `cotangents[node]` holds the seed of each node of an output and None elsewhere; it is consumed as well, so every
    value is freed as the sweep passes it.  Seeds are never written to: the sweep adds in place only into arrays that
    it made itself, whose nodes are in `owned`.  `placements` is empty at first, and tells of parts that were recorded.
    """
    last = True
    pop, take = records.pop, cotangents.pop
    owned: set[int] = set()
    alone = ALONE_AS_LOCAL
    try:
        while cotangents:
            c = take()
            while True:
                parent = pop()
                kept = pop()
                edge = pop()
                last = parent < 0
                if last:
                    parent = ~parent
                if c is not None:
                    pull = edge.pull
                    if edge is INDEPENDENT:
                        leaves[kept] = c
                    elif pull is None:
                        if edge is RECOMPUTE:
                            _splice(kept, c, records, cotangents, owned, tape, placements)
                        elif edge is SETTINGS:
                            switch(kept[0])
                        elif edge is not DEPENDS:
                            deposit(edge, c, kept, parent, cotangents, owned)
                    else:
                        if (
                            pull is mul
                            and last
                            and c.__class__ is _ndarray is kept.__class__
                            and c.nbytes >= _LARGE
                            and getrefcount(c) <= alone
                            and _may_hold_product(c, kept)
                        ):
                            # The last use of a large cotangent that nobody else holds: no new array is needed.
                            term = np.multiply(c, kept, out=c)
                        else:
                            term = pull(c, kept)
                        old = cotangents[parent]
                        if old is None:
                            cotangents[parent] = term
                        elif old.__class__ is not _ndarray or term.__class__ is not _ndarray:
                            cotangents[parent] = old + term
                        elif parent in owned:
                            old += term
                        else:
                            cotangents[parent] = old + term
                            owned.add(parent)
                if last:
                    break
    except (MemoryError, DifferentiationError):
        raise
    except Exception as error:
        if _nodes(records) != len(cotangents) + (not last):
            raise stopped_halfway("an operation of the function") from error
        raise
    if records:
        raise stopped_halfway("an operation of the function")


def mark_switches(records: list[Any], start: int, node: int, cotangents: list[Any]) -> None:
    """Mark the nodes at which a sweep has to change NumPy's error handling: of the records from `start` on."""
    marked = []
    for edge, parent in zip(records[start::3], records[start + 2 :: 3], strict=True):
        if edge is SETTINGS:
            marked.append(node)
        # The node of a record ends where the next one begins.
        node += parent < 0
    if node != len(cotangents):
        raise stopped_halfway("an operation of the function")
    for node in marked:
        cotangents[node] = _SWITCH


#: From this many bytes on, a new array costs the operating system's fresh pages, many times a call's overhead.
_LARGE = 1 << 17


def _may_hold_product(c: np.ndarray, kept: np.ndarray) -> bool:
    return c.base is None and c.flags.writeable and c.dtype is kept.dtype and (kept.shape == c.shape or not kept.shape)


def _nodes(records: list[Any]) -> int:
    """How many nodes these records are of: more than the tape has counted, if an operation was interrupted."""
    return sum([parent < 0 for parent in records[2::3]])


def _splice(
    segment: Any,
    c: Parts,
    records: list[Any],
    cotangents: list[Any],
    owned: set[int],
    tape: Any,
    placements: list[Any],
) -> None:
    """Record a segment at the end of `records`, where the sweep goes on, with the cotangents of its outputs."""
    first, start = len(cotangents), len(records)
    nodes, count = segment.replay(tape, records, first, placements)
    cotangents.extend([None] * (count - first))
    if tape.switches:
        mark_switches(records, start, first, cotangents)
    # These numbers belonged to nodes that the sweep has passed.
    owned.difference_update(range(first, count))
    for k, cotangent in c.values.items():
        node = nodes[k]
        if node >= 0:
            old = cotangents[node]
            cotangents[node] = cotangent if old is None else old + cotangent


def forward(
    records: list[Any], count: int, tangents: list[Any], wanted: list[int], tape: Any, placements: list[Any]
) -> list[Any]:
    """The tangents of the nodes `wanted`, from those of the leaves; None where no leaf with a tangent reaches.

    A node's tangent is freed after its last use, and written in place by an assignment that is its last use.
    """
    values: list[Any] = [None] * count
    last_use = [-1] * count
    _note_last_uses(records, 0, last_use, 0, wanted)
    try:
        last = _advance(records, 0, -1, values, last_use, set(), tangents, tape, placements)
    except Exception as error:
        if _nodes(records) != count:
            raise stopped_halfway("an operation of the function") from error
        raise
    if last != count - 1:
        raise stopped_halfway("an operation of the function")
    return [values[node] for node in wanted]


def _advance(
    records: list[Any],
    origin: int,
    node: int,
    values: list[Any],
    last_use: list[int],
    owned: set[int],
    tangents: list[Any],
    tape: Any,
    placements: list[Any],
) -> int:
    """Push tangents through records, of which the first begins node `node + 1`; positions are counted from `origin`.

    Returns the last node.
    """
    items = iter(records)
    for position, edge, kept, parent in zip(range(origin, origin + len(records), 3), items, items, items, strict=True):
        if parent < 0:
            node += 1
            parent = ~parent
        push = edge.push
        if push is None:
            if edge is INDEPENDENT:
                values[node] = tangents[kept]
                continue
            if edge is SETTINGS:
                switch(kept[1])
            elif edge is RECOMPUTE:
                beyond = origin + len(records) + 3
                values[node] = _through(kept, node, values, last_use, owned, beyond, tape, placements)
        else:
            t = values[parent]
            if t is None:
                continue
            if edge is OVERWRITE or edge is UNCHANGED:
                if parent not in owned or last_use[parent] != position:
                    t = duplicate(t)
                values[node] = write(t, SETITEM, kept, 0.0) if edge is OVERWRITE else t
                owned.add(node)
            elif edge is GATHER:
                _, index, like, primitive, _ = kept
                values[node] = write(like.zeros() if values[node] is None else values[node], primitive, index, t)
                owned.add(node)
            else:
                term = push(t, kept)
                if isinstance(term, ViewOf):
                    # An outer level's view would go stale when its base is written; its present value does not.
                    term = term.twin()  # type: ignore[attr-defined]
                if term is t:
                    owned.discard(parent)
                elif term.__class__ is _ndarray and term.base is not None and parent in owned:
                    # A node that shares its parent's memory: that must not be written in place; a small part is copied.
                    if 2 * term.nbytes <= term.base.nbytes:
                        term = term.copy()
                    else:
                        owned.discard(parent)
                values[node] = term if values[node] is None else values[node] + term
        if last_use[parent] == position:
            values[parent] = None
    return node


def _through(
    segment: Any,
    known: int,
    values: list[Any],
    last_use: list[int],
    owned: set[int],
    origin: int,
    tape: Any,
    placements: list[Any],
) -> Parts | None:
    """The tangents of a segment's outputs: each stage of it is recorded, and freed when tangents have been pushed."""
    if all(values[node] is None for node in segment.parents()):
        return None
    base, used = len(values), set[int]()
    leaves, structure, nodes = segment.arguments_on(tape)
    tangents = [values[node] if node >= 0 else None for node in nodes]
    # What is shared with an argument's tangent must not be written when that is used last.
    owned.difference_update(nodes)
    for stage in segment.stages:
        owned.difference_update(range(base, len(values)))
        del values[base:], last_use[base:]
        values.extend(tangents)
        records: list[Any] = []
        given = [-1 if t is None else base + k for k, t in enumerate(tangents)]
        leaves, structure, nodes, count = segment.replay_stage(
            tape, records, len(values), placements, known, stage, leaves, structure, given, used
        )
        last = len(values) - 1
        values.extend([None] * (count - len(values)))
        last_use.extend([-1] * (count - base))
        _note_last_uses(records, origin, last_use, base, nodes)
        _advance(records, origin, last, values, last_use, owned, [], tape, placements)
        tangents = [values[node] if node >= 0 else None for node in nodes]
    owned.difference_update(range(base, len(values)))
    del values[base:], last_use[base:]
    return Parts({k: tangents[place] for k, place in enumerate(segment.outputs) if tangents[place] is not None})


def _note_last_uses(records: list[Any], origin: int, last_use: list[int], first: int, wanted: list[int]) -> None:
    """Note the position of the last record that reads each node from `first` on, none for the nodes that are wanted."""
    position = origin
    for edge, parent in zip(records[::3], records[2::3], strict=True):
        if edge is not INDEPENDENT:
            node = ~parent if parent < 0 else parent
            if node >= first:
                last_use[node] = position
        position += 3
    for node in wanted:
        if node >= first:
            last_use[node] = -1
