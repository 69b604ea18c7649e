"""Whether a function that was recorded has stored a value of the record somewhere, and where.

Every value of a record refers to it, so the record's references tell when one has outlived the function.  This module
knows nothing of what is recorded.
"""

from __future__ import annotations

import gc
from typing import Any

from shared.core.levels import Level, Tracer
from shared.core.refcounts import ALONE_AS_ITEM, ALONE_AS_PARAMETER, getrefcount

#: Values are searched for through so many levels of other values, such as the variables of a tape.
_DEEPEST = 8


def place_of_escaped(recording: Level, frames: int) -> str | None:
    """Where a value of a record that has ended is still referred to; None if there is no such value.

    Besides the parameter, `frames` variables of those who call this may refer to the record.  Cost: the time of a
    collection of garbage where there is such a value, or garbage that was one; otherwise nothing.
    """
    if getrefcount(recording) < ALONE_AS_PARAMETER + frames:
        return None
    gc.collect()
    if getrefcount(recording) < ALONE_AS_PARAMETER + frames:
        return None  # garbage, which only the collector could free
    values: list[Any] = [found for found in gc.get_referrers(recording) if isinstance(found, Tracer)]
    if not values:
        return None
    # The lists of this search refer to the values, too.
    own = [id(values)]
    for _ in range(_DEEPEST):
        holders = gc.get_referrers(*values)
        # Some interpreters make a tuple of the arguments of this call, to which only the list of holders refers.
        is_own = [
            id(holders[k]) in own or (holders[k].__class__ is tuple and getrefcount(holders[k]) <= ALONE_AS_ITEM)
            for k in range(len(holders))
        ]
        holders = [holder for holder, ours in zip(holders, is_own, strict=True) if not ours]
        own.append(id(holders))
        place = next((place for holder in holders if (place := _named(holder, values)) is not None), None)
        values = [found for found in holders if isinstance(found, Tracer)]
        own.append(id(values))
        if place is not None or not values:
            return place or "a variable outside of it"
    return "a variable outside of it"


def _named(holder: Any, values: list[Any]) -> str | None:
    """By what name, or in what container, a holder has one of the values; None where it has no names and no entries."""
    if isinstance(holder, (list, set, frozenset, tuple)):
        return f"a {type(holder).__name__}"
    entries = holder if isinstance(holder, dict) else getattr(holder, "__dict__", None)
    if not isinstance(entries, dict) or isinstance(holder, Tracer):
        return None
    wanted = set(map(id, values))
    return next((repr(key) for key, entry in list(entries.items()) if id(entry) in wanted), None)
