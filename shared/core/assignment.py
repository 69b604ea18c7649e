"""Assignments as primitives, indices into views, and what a view remembers of its base.

`x[index] = value` and `np.add.at(x, index, value)` are pure functions of the array before, the value and the index;
where they may be done in place is decided by whoever does them (`shared.core.writing`).  This module knows no duck
array.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shared.core.levels import Tracer


class UpdatePrimitive:
    """A primitive that makes a changed array: pure in meaning, in place where nobody else holds the array."""

    __slots__ = ("name", "write")

    def __init__(self, name: str, write: Callable[[Any, Any, Any], None]):
        self.name = name
        self.write = write

    def __repr__(self) -> str:
        return f"<updating primitive {self.name}>"


class NestedIndex:
    """An index into a view: `x[path][index]`, so that a write to a view costs what is written, not the view's size."""

    __slots__ = ("index", "path")

    def __init__(self, path: Any, index: Any):
        self.path = path
        self.index = index


def located(x: Any, index: Any) -> tuple[Any, Any]:
    """The array, or view of it, that a possibly nested index refers into, and the last index."""
    while index.__class__ is NestedIndex:
        x, index = x[index.path], index.index
    return x, index


def _assign(buffer: Any, index: Any, value: Any) -> None:
    buffer, index = located(buffer, index)
    buffer[index] = value


def _add_at(buffer: Any, index: Any, value: Any) -> None:
    np.add.at(*located(buffer, index), value)


#: `x[index] = value`
SETITEM = UpdatePrimitive("setitem", _assign)
#: `np.add.at(x, index, value)`: an index that occurs twice is added to twice
ADD_AT = UpdatePrimitive("add_at", _add_at)


class ViewOf:
    """Mixed into an engine's tracer: a view of `base`, which may be a view itself; `root` is none.

    It is valid as long as the root still stands for `seen`: while a view lives it holds the root's buffer, so any
    assignment to the root has to move it to another buffer.  `path` is the index that the view was taken by, None if it
    is of another kind (a transpose), which cannot be written through.
    """

    __slots__ = ()
    base: Any
    root: Any
    seen: Any
    path: Any

    def writes_back(self, base: Any, index: Any) -> bool:
        same = self.base is base and self.path is not None and _same_index(self.path, index)
        return bool(same and self.root.primal is self.seen)


def _same_index(a: Any, b: Any) -> bool:
    a, b = (a if isinstance(a, tuple) else (a,)), (b if isinstance(b, tuple) else (b,))
    return len(a) == len(b) and all(
        type(p) is type(q) and not isinstance(p, (np.ndarray, Tracer)) and p == q for p, q in zip(a, b, strict=True)
    )
