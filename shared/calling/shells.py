"""What is left of a container when its children are taken out, and when two such are the same.

A structure holds one for every container that is none of Python's four (`shared.calling.tree`).  This module knows how
static values are compared and shown, and no class of containers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.pandas_views import has_labels
from shared.core.visible import one_line, shown


class Shell:
    """What is left of a container when its children are taken out; equal to another one if both make the same."""

    __slots__ = ("kind", "names", "static")
    #: what becomes of an axis of an array in it: nothing, where arrays have labels that would not fit any more
    may_be_mapped = True
    #: whether it stands for the numbers of its only child
    is_one_array = False

    def __init__(self, kind: Any, names: tuple[Any, ...], static: dict[str, Any]):
        self.kind = kind
        self.names = names
        self.static = static

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Shell):
            return NotImplemented
        return self.kind is other.kind and self.names == other.names and same(self.static, other.static)

    def __hash__(self) -> int:
        return hash((self.kind, self.names))

    def make(self, parts: Sequence[Any]) -> Any:
        """The container with these children."""
        raise NotImplementedError

    def paths(self, root: str) -> list[str]:
        """What the children are called, where the container is called `root`."""
        return [f"{root}.{name}" for name in self.names]

    def text(self, parts: Sequence[str]) -> str:
        """The container as a structure is shown, its children as these texts."""
        shown_parts = [f"{name}={part}" for name, part in zip(self.names, parts, strict=True)]
        shown_parts += [f"{name}={shown(value)}" for name, value in self.static.items()]
        return f"{one_line(self.kind.__name__)}({', '.join(shown_parts)})"

    def entries(self, given: Any) -> list[Any] | None:
        """What `given`, such an object or a dict by name, says for each child; None if it does not fit."""
        if given.__class__ is dict:
            return [given[name] for name in self.names] if given.keys() == set(self.names) else None
        if given.__class__ is self.kind and all(hasattr(given, str(name)) for name in self.names):
            return [getattr(given, name) for name in self.names]
        return None


def same(one: Any, other: Any) -> bool:
    """Whether two static values are one object, or equal by `==`; arrays and labels by content, also in containers.

    >>> same({"a": np.arange(3)}, {"a": np.arange(3)}), same(1, 1.0), same("tanh", "relu")
    (True, False, False)
    """
    if one is other:
        return True
    if one.__class__ is not other.__class__:
        return False
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype.kind in "fcmM")
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if has_labels(one.__class__) and hasattr(one, "equals"):
        # Both ask for equal names, too, where there are any.
        return bool((one.identical if hasattr(one, "identical") else one.equals)(other))
    try:
        return bool(one == other) or (one != one and other != other)
    except Exception:
        # An array of comparisons is no answer: what cannot be compared is the same only if it is one object.
        return False


def where_different(found: Any, wanted: Any, place: str = "") -> str:
    """Where a structure first differs from another one, as the end of a message; empty where both show it."""
    if found.kind is not wanted.kind:
        return f"; they differ at {place}" if place else ""
    one, other = found.names, wanted.names
    if not isinstance(one, Shell):
        roots = [f"{place}[{shown(key)}]" for key in (one or range(len(found.children)))]
        if one != other or len(found.children) != len(wanted.children):
            return f"; they differ at {place}" if place else ""
    else:
        if one.names != other.names:
            every = dict.fromkeys((*one.names, *other.names))
            missing = [str(name) for name in every if (name in one.names) != (name in other.names)]
            what = ", ".join(missing) or "the same order"
            return f"; of {place or one_line(one.kind.__name__)}, they do not both have {what}"
        for name in {**one.static, **other.static}:
            here, there = one.static.get(name, _ABSENT), other.static.get(name, _ABSENT)
            if not same(here, there):
                return f"; the static {place}.{name} is {shown(here)}, not {shown(there)}"
        roots = one.paths(place)
    for mine, theirs, root in zip(found.children, wanted.children, roots, strict=True):
        if mine != theirs:
            return where_different(mine, theirs, root)
    return ""


class _Absent:
    def __repr__(self) -> str:
        return "missing"


_ABSENT = _Absent()
