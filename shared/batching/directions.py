"""Many directions of differentiation at once: unit seeds along a batch axis, in chunks that fit a budget of memory.

A Jacobian takes one direction for each number of the input (forwards) or of the output (backwards).  They are carried
together by `shared.batching.batched`, as many at a time as the budget allows, or in as many calls as an executor is to
run.  This module knows how directions are divided and put together; what an engine does along them it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shared.batching.batched import Batch, Batched, TooLarge
from shared.batching.one_hot import OneHot
from shared.calling.seeds import is_complex, seeded
from shared.core.edges import Like
from shared.core.levels import Tracer

#: The memory, in bytes, that the directions of one derivative may take beyond that of a single direction.
BYTES = 2**25

#: A program has a few arrays in use at the same time, so no single one may take more than this share of the budget.
_ARRAYS_IN_USE = 8

_SINGLE = (np.dtype(np.float16), np.dtype(np.float32), np.dtype(np.complex64))

#: How much larger than the inputs the arrays of a program are expected to be, at most, before it is known.
_GROWTH = 8


def number_of_directions(leaves: Sequence[Any]) -> int:
    """How many unit directions the space of the leaves has over the reals: two for a complex number."""
    return sum([Like(leaf).size * (2 if is_complex(leaf) else 1) for leaf in leaves])


def unit_seeds(level: Batch, leaves: Sequence[Any], start: int) -> list[Any]:
    """Seeds, one a leaf, of the unit directions from number `start` on, as many as the level has examples.

    The directions run through the leaves in order, and through 1 and i of a complex number in turn.  A leaf that none
    of them touches gets a plain zero, which costs nothing.
    """
    seeds: list[Any] = []
    offset = 0
    for leaf in leaves:
        like, step = Like(leaf), 2 if is_complex(leaf) else 1
        length = like.size * step
        first, last = max(start, offset), min(start + level.size, offset + length)
        dtype: Any = like.dtype
        weak = dtype is None
        if weak or dtype.kind not in "fc":
            dtype = np.dtype(complex if step == 2 else float)
        if last - first == level.size > 1 and step == 1 and like.shape and not isinstance(leaf, Tracer):
            seeds.append(OneHot(level, like.shape, first - offset, dtype))
        elif first < last:
            rows = np.zeros((level.size, like.size), dtype)
            numbers = np.arange(first, last)
            places, units = (numbers - offset) // step, np.where((numbers - offset) % step, 1j, 1)
            rows[numbers - start, places] = units if step == 2 else 1
            if level.size == 1:
                # A single direction needs no batch.
                seed = rows.reshape(like.shape) if like.shape else rows[0, 0]
                seeds.append(seeded(leaf, seed.item() if weak else seed))
            else:
                seeds.append(Batched(level, seeded(leaf, rows.reshape(level.size, *like.shape))))
        else:
            seeds.append(seeded(leaf, dtype.type(0).item() if weak else np.zeros(like.shape, dtype)[()]))
        offset += length
    return seeds


def along_directions(
    name: str,
    spaces: Sequence[Any],
    evaluate: Callable[[list[Any]], list[Any]],
    chunk_size: int | None = None,
    span: tuple[int, int] | None = None,
) -> list[Any]:
    """What `evaluate(seeds)` gives along the unit directions of the leaves `spaces`, or along a span of them.

    `evaluate` is called once a chunk with seeds that stand for all its directions, and returns values that do; the
    result has one array a value, with the directions along its first axis, and is empty if there are none.  Where an
    array of a chunk would exceed the budget, that chunk is begun again with as many directions as fit, so `evaluate`
    must be pure.
    """
    each = 0
    if chunk_size is None and span is None and len(spaces) == 1:
        leaf = spaces[0]
        real = leaf.__class__ is np.ndarray and leaf.dtype.kind == "f" and leaf.size > 1
        if real and 8 * _GROWTH * leaf.size**2 <= BYTES / _ARRAYS_IN_USE:
            found = _at_once(name, leaf, evaluate)
            if isinstance(found, list):
                return found
            each = found
    likes = [Like(leaf) for leaf in spaces]

    def seeds(level: Batch, start: int) -> list[Any]:
        return unit_seeds(level, spaces, start)

    whole = span or (0, number_of_directions(spaces))
    return _in_chunks(name, whole, likes, seeds, evaluate, chunk_size, _alone(spaces, likes), each)


def _at_once(name: str, leaf: Any, evaluate: Callable[[list[Any]], list[Any]]) -> list[Any] | int:
    """All directions of one small real array in a single chunk; if that is too large, the bytes of a direction.

    The commonest case by far, without what the others need, which would cost as much as several operations.
    """
    size, limit = leaf.size, BYTES / _ARRAYS_IN_USE
    level = Batch(name, size, limit)
    try:
        values = evaluate([OneHot(level, leaf.shape, 0, leaf.dtype)])
        _require_within_limit(level)
        found = [_along_first(value, level) for value in values]
    except TooLarge as large:
        if large.level is not level:
            raise
        return large.bytes_per_example
    finally:
        level.closed = True
    return found if any([isinstance(value, Tracer) for value in found]) else _separate(found)


def along_vectors(
    name: str, vectors: np.ndarray, spaces: Sequence[Any], evaluate: Callable[[list[Any]], list[Any]]
) -> list[Any]:
    """The same along given directions: each row of `vectors` has the elements of all leaves, one after the other."""
    likes = [Like(leaf) for leaf in spaces]
    ends = np.cumsum([0, *(like.size for like in likes)])

    def seeds(level: Batch, start: int) -> list[Any]:
        rows = vectors[start : start + level.size]
        made: list[Any] = []
        for leaf, like, a, b in zip(spaces, likes, ends, ends[1:], strict=False):
            dtype: Any = like.dtype if like.dtype is not None and like.dtype.kind in "fc" else np.dtype(float)
            part = rows[:, a:b].reshape(len(rows), *like.shape).astype(dtype)
            if level.size > 1:
                made.append(Batched(level, seeded(leaf, part)))
            else:
                made.append(seeded(leaf, part[0].item() if like.dtype is None else part[0]))
        return made

    return _in_chunks(name, (0, len(vectors)), likes, seeds, evaluate, None, [])


def _in_chunks(
    name: str,
    span: tuple[int, int],
    likes: Sequence[Like],
    seeds: Callable[[Batch, int], list[Any]],
    evaluate: Callable[[list[Any]], list[Any]],
    chunk_size: int | None,
    alone: Sequence[int],
    known: int = 0,
) -> list[Any]:
    # `known` are the bytes of the largest array of one direction, if that is known.
    start, stop = span
    given, each = chunk_size is not None, max(8 * sum([like.size for like in likes]), known, 1)
    # A given chunk size is the caller's own measure of memory.
    limit = float("inf") if given else BYTES / _ARRAYS_IN_USE
    # How large arrays become on the way is only known after the first chunk.
    size = chunk_size or max(1, int(limit / (1 if known else _GROWTH) // each))
    collected = _Collected(stop - start)
    while start < stop:
        end = min(start + size, stop)
        if alone:
            end = min([end, *(at for at in alone if at > start), *(start + 1 for at in alone if at == start)])
        level = Batch(name, end - start, limit)
        try:
            found = evaluate(seeds(level, start))
            _require_within_limit(level)
            collected.add([_along_first(value, level) for value in found], level.size)
        except TooLarge as large:
            if large.level is not level:
                raise
            each = max(each, large.bytes_per_example)
            size = max(1, min(level.size - 1, int(limit // each)))
            continue
        finally:
            level.closed = True
        start += level.size
        if not given:
            each = max(each, level.largest // level.size)
            size = max(1, int(limit // each))
    return collected.results


def require_within_limit(seeds: Sequence[Any]) -> None:
    """Raise TooLarge if a function of these seeds has caught it: what it returned may come of another way it went."""
    for seed in seeds:
        if isinstance(seed, Batched):
            _require_within_limit(seed.level)


def _require_within_limit(level: Batch) -> None:
    """Raise TooLarge if it was raised and caught by the function, which may have gone another way in consequence."""
    if level.largest > level.limit:
        raise TooLarge(level, level.largest // level.size)


def _alone(leaves: Sequence[Any], likes: Sequence[Like]) -> list[int]:
    """The directions that are not carried with others: those of Python floats beside arrays of single precision.

    An array of float64 tangents would make float64 of what a weak Python float leaves float32.
    """
    if len(likes) == 1 or not any(like.dtype in _SINGLE for like in likes):
        return []
    starts = [0]
    for leaf in leaves:
        starts.append(starts[-1] + number_of_directions([leaf]))
    return [k for like, a, b in zip(likes, starts, starts[1:], strict=False) if like.dtype is None for k in range(a, b)]


class _Collected:
    """The results of chunk after chunk, put into arrays made once, so that a large Jacobian is never held twice."""

    __slots__ = ("count", "parts", "results", "total")

    def __init__(self, total: int):
        self.total = total
        self.count = 0
        self.results: list[Any] = []
        #: the chunks so far, where results are traced and cannot be written into arrays
        self.parts: list[list[Any]] = []

    def add(self, found: list[Any], size: int) -> None:
        first, self.count = self.count, self.count + size
        if any(isinstance(value, Tracer) for value in found):
            self.parts.append(found)
            if self.count == self.total:
                self.results = [np.concatenate(c) if len(c) > 1 else c[0] for c in zip(*self.parts, strict=True)]
        elif size == self.total:
            self.results = _separate(found)
        else:
            if not first:
                self.results = [np.empty((self.total, *value.shape[1:]), value.dtype) for value in found]
            for result, value in zip(self.results, found, strict=True):
                result[first : self.count] = value


def _separate(arrays: list[Any]) -> list[Any]:
    """Arrays of which no two share memory, nor one with anything else: what two places hold is copied."""
    seen: set[int] = set()
    result = []
    for array in arrays:
        if array.base is not None or not array.flags.writeable or id(array) in seen:
            array = np.array(array)
        seen.add(id(array))
        result.append(array)
    return result


def _along_first(value: Any, level: Batch) -> Any:
    """The values of all directions along a first axis, of a value that may be the same for all."""
    if level.size == 1:
        return np.reshape(value, (1, *np.shape(value)))
    if isinstance(value, Batched) and value.level is level:
        return value.primal
    return np.broadcast_to(value, (level.size, *np.shape(value)))
