"""Which inputs each element of a value may depend on, as a sparse relation, and the ways in which it is passed on.

A relation has one row for each element of a value and one column for each input: the index domains of Griewank &
Walther 2008, chapter 7, for all elements at once.  Moves take rows, reductions unite them.  Everything costs the
entries that are read and written; nothing of the size rows x columns is ever made.  This module knows sorted integers,
and nothing of primitives or tracers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.errors import DensePatternError, user_line

#: Entries that a relation may have, eight bytes each.  A value that needs more is dense, and so is its pattern.
MOST_ENTRIES = 100_000_000


class Relation:
    """The entries `row * columns + column`, in ascending order, of a matrix of `rows` rows."""

    __slots__ = ("columns", "keys", "rows")

    def __init__(self, keys: np.ndarray, rows: int, columns: int):
        self.keys = keys
        self.rows = rows
        self.columns = columns

    def __repr__(self) -> str:
        return f"<relation {self.rows} x {self.columns}, {self.keys.size} entries>"

    def taken(self, source: np.ndarray) -> Relation:
        """The relation whose row r is row `source[r]` of this; a negative source gives an empty row."""
        columns = self.columns
        if source.size and source[0] >= 0 and source[-1] - source[0] + 1 == source.size and ascends(source):
            # A run of rows is cut out.
            start, stop = np.searchsorted(self.keys, (source[0] * columns, (source[-1] + 1) * columns))
            return Relation(self.keys[start:stop] - source[0] * columns, source.size, columns)
        first = source * columns
        starts = np.searchsorted(self.keys, first)
        counts = np.searchsorted(self.keys, first + columns) - starts
        counts[source < 0] = 0
        ends = np.cumsum(counts)
        total = _affordable(int(ends[-1])) if ends.size else 0
        # Entry e of the result is entry e of a list of runs: those of its row in this relation.
        shift = np.repeat(starts - (ends - counts), counts)
        moved = np.repeat((np.arange(source.size) - source) * columns, counts)
        return Relation(self.keys[np.arange(total) + shift] + moved, source.size, columns)

    def sent(self, target: np.ndarray, rows: int) -> Relation:
        """The relation of `rows` rows where row r of this joins row `target[r]`; a negative target drops it."""
        origin = self.keys // self.columns
        goal = target[origin]
        keys = self.keys + (goal - origin) * self.columns
        return Relation(unique(keys[goal >= 0]), rows, self.columns)

    def joined(self, sources: np.ndarray, targets: np.ndarray, rows: int) -> Relation:
        """The relation of `rows` rows where row `sources[p]` of this joins row `targets[p]`, for every pair p."""
        return self.taken(sources).sent(targets, rows)

    def only(self, kept: np.ndarray) -> Relation:
        """This relation, with the rows that are not kept empty."""
        return Relation(self.keys[kept[self.keys // self.columns]], self.rows, self.columns)

    def along(self, shape: tuple[int, ...], axes: Sequence[int]) -> Relation:
        """Every element of an array of `shape` gets what any element has that differs from it along `axes` only."""
        groups, count = grouped(shape, axes)
        return self.sent(groups, count).taken(groups)

    def whole(self) -> Relation:
        """One row, the union of all."""
        return self.sent(np.zeros(self.rows, np.int64), 1)

    def up_to(self, shape: tuple[int, ...], axis: int) -> Relation:
        """Every element of an array of `shape` gets what those up to it along `axis` have."""
        lines = grouped(shape, (axis,))[0]
        length, step = shape[axis], int(np.prod(shape[axis + 1 :], dtype=np.int64))
        origin = self.keys // self.columns
        # Along a line an input counts from the first element that depends on it; rows of a line ascend with position.
        keys = lines[origin] * self.columns + (self.keys - origin * self.columns)
        first = np.unique(keys, return_index=True)[1]
        firsts = origin[first]
        inputs = self.keys[first] - firsts * self.columns
        counts = length - firsts // step % length
        ends = np.cumsum(counts)
        total = _affordable(int(ends[-1])) if ends.size else 0
        steps = np.arange(total) - np.repeat(ends - counts, counts)
        rows = np.repeat(firsts, counts) + steps * step
        return Relation(np.sort(rows * self.columns + np.repeat(inputs, counts)), self.rows, self.columns)


def _affordable(entries: int) -> int:
    if entries > MOST_ENTRIES:
        raise DensePatternError(
            f"a value depends on {entries:,} pairs of an element and an input{user_line()}, which is a dense pattern: "
            "use jacobian or hessian, or give a pattern yourself"
        )
    return entries


def ascends(numbers: np.ndarray) -> bool:
    """Whether each of some numbers is greater than the one before."""
    return bool((numbers[1:] > numbers[:-1]).all())


def unique(keys: np.ndarray) -> np.ndarray:
    """The different numbers among some, in ascending order."""
    if ascends(keys):
        return keys
    # Mostly these are a few ascending runs, which a merging sort merges.
    keys = np.sort(keys, kind="stable")
    first = np.empty(keys.size, bool)
    first[0] = True
    np.not_equal(keys[1:], keys[:-1], out=first[1:])
    return keys if first.all() else keys[first]


def union(relations: Sequence[Relation | None]) -> Relation | None:
    """The union of relations of equal rows and columns; None, which has no entries, if there is none."""
    found: list[Relation] = []
    for relation in relations:
        if relation is not None and relation.keys.size and all(relation is not other for other in found):
            found.append(relation)
    if len(found) < 2:
        return found[0] if found else None
    _affordable(sum(relation.keys.size for relation in found))
    keys = unique(np.concatenate([relation.keys for relation in found]))
    return Relation(keys, found[0].rows, found[0].columns)


def stacked(relations: Sequence[Relation | None], sizes: Sequence[int]) -> Relation | None:
    """The rows of several relations, one below the other; `sizes` are the numbers of rows."""
    keys, start, columns = [], 0, 0
    for relation, size in zip(relations, sizes, strict=True):
        if relation is not None:
            columns = relation.columns
            keys.append(relation.keys + start * columns)
        start += size
    return Relation(np.concatenate(keys), start, columns) if keys else None


def without_rows(relation: Relation | None, rows: np.ndarray, instead: Relation | None) -> Relation | None:
    """A relation with other entries in some rows, which ascend: those of `instead`, which has no other rows."""
    if relation is None:
        return instead
    if not rows.size:
        return relation
    columns = relation.columns
    if rows[-1] - rows[0] + 1 == rows.size:
        # A run of rows is cut out and pasted in, which costs no more than copying the entries.
        start, stop = np.searchsorted(relation.keys, (rows[0] * columns, (rows[-1] + 1) * columns))
        between = relation.keys[:0] if instead is None else instead.keys
        keys = np.concatenate([relation.keys[:start], between, relation.keys[stop:]])
        return Relation(keys, relation.rows, columns)
    kept = np.ones(relation.rows, bool)
    kept[rows] = False
    return union([relation.only(kept), instead])


def grouped(shape: tuple[int, ...], axes: Sequence[int]) -> tuple[np.ndarray, int]:
    """The group of each element of an array, where a group's elements differ along `axes` only; and how many groups."""
    kept = tuple(1 if k in axes else n for k, n in enumerate(shape))
    count = int(np.prod(kept, dtype=np.int64))
    return spread(np.arange(count).reshape(kept), shape), count


def spread(numbers: Any, shape: tuple[int, ...]) -> np.ndarray:
    """An array broadcast to `shape`, flat."""
    return np.broadcast_to(numbers, shape).reshape(-1)
