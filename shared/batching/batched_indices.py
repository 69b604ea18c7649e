"""Indices under one more leading axis: how `x[index]` of each of K examples is one index of all of them together.

NumPy puts the axes of advanced indices where these stand if they stand together, and first if something stands between
them (NumPy's documentation, "Combining advanced and basic indexing").  The axis of the examples takes part in that, so
it may have to be moved afterwards.  This module knows NumPy's indexing, and nothing of tracers or derivatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.errors import NoRuleError, user_line

_BETWEEN = (slice, type(None), type(Ellipsis))


class BatchedIndex:
    """One index of all examples, and where the result's axes go.

    `whole` indexes the array of all examples (or the one array that they share); the result, or the value to be
    assigned, has axes `found` where the examples in turn would have axes `wanted`, counted with the examples first.
    """

    __slots__ = ("found", "wanted", "whole")

    def __init__(self, whole: tuple[Any, ...], found: tuple[int, ...] = (), wanted: tuple[int, ...] = ()):
        self.whole = whole
        self.found = found
        self.wanted = wanted

    def arranged(self, result: Any) -> Any:
        """What `x[whole]` gave, with the examples first."""
        return np.moveaxis(result, self.found, self.wanted) if self.found != self.wanted else result

    def rearranged(self, value: Any) -> Any:
        """A value with the examples first, as `x[whole] = ...` takes it."""
        return np.moveaxis(value, self.wanted, self.found) if self.found != self.wanted else value


def batched_index(
    size: int, index: Sequence[Any], batched: Sequence[bool], ndim: int, array_is_batched: bool
) -> BatchedIndex:
    """The index of all `size` examples that does what `index` does to each, an array of `ndim` axes.

    `batched[k]` says whether part k of the index is one for each example, along a leading axis; `array_is_batched`,
    whether the array indexed has such an axis, or is one array for all examples.
    """
    if not any(batched):
        whole = (slice(None), *index) if array_is_batched else tuple(index)
        if not _stands_apart(index):
            return BatchedIndex(whole)
        rank = max((_rank(part) for part in index if _is_advanced(part)), default=0)
        return BatchedIndex(whole, (rank,), (0,))
    apart = _stands_apart(index)
    parts, flags = _without_masks_and_ellipsis(index, batched, ndim)
    rank = max(np.ndim(part) - flag for part, flag in zip(parts, flags, strict=True) if _is_advanced(part))
    parts = [
        np.reshape(part, (size,) + (1,) * (rank + 1 - np.ndim(part)) + np.shape(part)[1:]) if flag else part
        for part, flag in zip(parts, flags, strict=True)
    ]
    before = next(k for k, part in enumerate(parts) if _is_advanced(part))
    if array_is_batched:
        examples = np.arange(size).reshape((size,) + (1,) * rank)
        # The examples' own index stands first, so the advanced axes come first, whether together or apart.
        move = range(1, rank + 1) if before and not apart else ()
        return BatchedIndex((examples, *parts), tuple(move), tuple(axis + before for axis in move))
    return BatchedIndex(tuple(parts), (0 if apart else before,), (0,))


def _is_advanced(part: Any) -> bool:
    """Whether a part counts as an advanced index beside an array: integers do."""
    return not isinstance(part, _BETWEEN)


def _is_array(part: Any) -> bool:
    return hasattr(part, "ndim") or isinstance(part, bool)


def _rank(part: Any) -> int:
    """How many axes an index part contributes to the axes of the advanced indices."""
    if isinstance(part, (bool, np.bool_)):
        return 1
    if getattr(getattr(part, "dtype", None), "kind", "i") == "b":
        return 1
    return int(np.ndim(part))


def _stands_apart(index: Sequence[Any]) -> bool:
    """Whether something stands between advanced indices, so that their axes come first."""
    if not any(_is_array(part) and not isinstance(part, np.integer) for part in index):
        return False
    places = [k for k, part in enumerate(index) if _is_advanced(part)]
    return places[-1] - places[0] >= len(places)


def _without_masks_and_ellipsis(
    index: Sequence[Any], batched: Sequence[bool], ndim: int
) -> tuple[list[Any], list[bool]]:
    """The same index with masks as the integers they stand for, and the ellipsis as slices."""
    parts: list[Any] = []
    flags: list[bool] = []
    place = None
    for part, flag in zip(index, batched, strict=True):
        if part is Ellipsis:
            place = len(parts)
            continue
        kind = "b" if isinstance(part, bool) else getattr(getattr(part, "dtype", None), "kind", "")
        if kind != "b":
            parts.append(part)
            flags.append(flag)
        elif flag or not np.ndim(part):
            raise NoRuleError(
                f"a mask of each example of vmap as an index{user_line()}: the number of elements that it chooses "
                "differs among the examples; use np.where(mask, x, other)"
            )
        else:
            chosen = np.nonzero(part)
            parts.extend(chosen)
            flags.extend([False] * len(chosen))
    missing = ndim - sum(part is not None for part in parts)
    if place is None:
        place = len(parts)
    parts[place:place] = [slice(None)] * missing
    flags[place:place] = [False] * missing
    return parts, flags
