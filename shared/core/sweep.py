"""The two sweeps over records: backwards with cotangents, forwards with tangents.

Records (`shared.core.records`) are read here as plain data; nothing here knows how they were written, and one that is
no operation says itself what a sweep does at it (`Edge.backward`, `Edge.forward`).  Both sweeps are loops, so the
length of a program is bounded by memory and not by Python's stack.  They compute with plain NumPy operations on values
that may be tracers of other levels, which is all that nesting takes.
"""

from __future__ import annotations

from operator import mul
from typing import Any

import numpy as np

from shared.core.assignment import ViewOf
from shared.core.edges import Like
from shared.core.errors import DifferentiationError, stopped_halfway
from shared.core.refcounts import ALONE_AS_LOCAL, getrefcount
from shared.core.updates import ARRAYS
from shared.core.writing import duplicate

_ndarray = np.ndarray


class Backward:
    """A sweep that pulls cotangents back from the outputs to the independent variables.

    It consumes `records` from the end.  `cotangents[node]` holds the seed of each node of an output and None elsewhere;
    it is consumed as well, so every value is freed as the sweep passes it.  `found[k]` becomes the cotangent of
    independent variable k.  Seeds are never written to: the sweep adds in place only into arrays that it made itself,
    whose nodes are in `owned`.  (Linnainmaa 1976; Griewank & Walther 2008, section 3.2)
    """

    __slots__ = ("cotangents", "found", "level", "owned", "records", "replayed")

    def __init__(self, level: Any, records: list[Any], cotangents: list[Any], independents: int):
        self.level = level
        self.records = records
        self.cotangents = cotangents
        self.found: list[Any] = [None] * independents
        self.owned: set[int] = set()
        #: what tells of the parts of the program that were recorded during the sweep, kept by who records them
        self.replayed: list[Any] = []

    def run(self) -> list[Any]:
        """Sweep to the first record; returns `found`."""
        records, cotangents, owned = self.records, self.cotangents, self.owned
        pop, take, alone = records.pop, cotangents.pop, ALONE_AS_LOCAL
        last = True
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
                        if pull is None:
                            edge.backward(self, c, kept, parent)
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
            if number_of_nodes(records) != len(cotangents) + (not last):
                raise stopped_halfway("an operation of the function") from error
            raise
        if records:
            raise stopped_halfway("an operation of the function")
        return self.found

    def accumulator(self, node: int, like: Like) -> Any:
        """The cotangent of a node as an array that the sweep may write to; it is to be put back afterwards."""
        found = self.cotangents[node]
        if found is None:
            return like.zeros()
        return found if node in self.owned and isinstance(found, ARRAYS) else duplicate(found)

    def mark(self, start: int, node: int) -> None:
        """Let the sweep stop at those records that have to be passed in any case, of the ones from `start` on.

        `node` is the first node of these.
        """
        marked = []
        for edge, parent in zip(self.records[start::3], self.records[start + 2 :: 3], strict=True):
            if edge.always:
                marked.append(node)
            # The node of a record ends where the next one begins.
            node += parent < 0
        if node != len(self.cotangents):
            raise stopped_halfway("an operation of the function")
        for node in marked:
            self.cotangents[node] = True


#: From this many bytes on, a new array costs the operating system's fresh pages, many times a call's overhead.
_LARGE = 1 << 17


def _may_hold_product(c: np.ndarray, kept: np.ndarray) -> bool:
    return c.base is None and c.flags.writeable and c.dtype is kept.dtype and (kept.shape == c.shape or not kept.shape)


def number_of_nodes(records: list[Any]) -> int:
    """How many nodes these records are of: more than were counted, if an operation was interrupted."""
    return sum([parent < 0 for parent in records[2::3]])


class Forward:
    """A sweep that pushes tangents from the independent variables on; it keeps the records.

    `values[node]` is the tangent of a node, None where no independent variable with a tangent reaches.  A tangent is
    freed after its last use (`last_use[node]`, the position of a record), and written in place by an assignment that is
    its last use, if the sweep made it itself (`owned`).
    """

    __slots__ = ("beyond", "last_use", "level", "owned", "replayed", "tangents", "values")

    def __init__(self, level: Any, tangents: list[Any]):
        self.level = level
        #: by the number of an independent variable
        self.tangents = tangents
        self.values: list[Any] = []
        self.last_use: list[int] = []
        self.owned: set[int] = set()
        #: as that of a sweep backwards
        self.replayed: list[Any] = []
        #: a position after all records that are being passed
        self.beyond = 0

    def run(self, records: list[Any], count: int, wanted: list[int]) -> list[Any]:
        """The tangents of the nodes `wanted`, of records that have `count` nodes."""
        self.extend(count)
        self.note_last_uses(records, 0, 0, wanted)
        try:
            last = self.advance(records, 0, -1)
        except Exception as error:
            if number_of_nodes(records) != count:
                raise stopped_halfway("an operation of the function") from error
            raise
        if last != count - 1:
            raise stopped_halfway("an operation of the function")
        return [self.values[node] for node in wanted]

    def extend(self, count: int) -> None:
        """Make room for the tangents of so many nodes in all."""
        self.values.extend([None] * (count - len(self.values)))
        self.last_use.extend([-1] * (count - len(self.last_use)))

    def truncate(self, count: int) -> None:
        """Forget the nodes from `count` on."""
        self.owned.difference_update(range(count, len(self.values)))
        del self.values[count:], self.last_use[count:]

    def note_last_uses(self, records: list[Any], origin: int, first: int, wanted: list[int]) -> None:
        """Note the last record that reads each node from `first` on, none for the nodes that are wanted.

        Positions are counted from `origin`.
        """
        last_use, position = self.last_use, origin
        for parent in records[2::3]:
            node = ~parent if parent < 0 else parent
            if node >= first:
                last_use[node] = position
            position += 3
        for node in wanted:
            if node >= first:
                last_use[node] = -1

    def advance(self, records: list[Any], origin: int, node: int) -> int:
        """Push tangents through records, of which the first begins node `node + 1`; returns the last node."""
        values, last_use, owned = self.values, self.last_use, self.owned
        before, self.beyond = self.beyond, origin + len(records) + 3
        items, positions = iter(records), range(origin, origin + len(records), 3)
        for position, edge, kept, parent in zip(positions, items, items, items, strict=True):
            if parent < 0:
                node += 1
                parent = ~parent
            push = edge.push
            if push is None:
                edge.forward(self, node, kept, parent, position)
            else:
                t = values[parent]
                if t is None:
                    continue
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
        self.beyond = before
        return node
