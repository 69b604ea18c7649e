"""Views of traced arrays, with NumPy's meaning: writing one writes through to its base, reading a stale one raises.

`view_class` makes the class of a level's views; `standing_for` turns a result that is a view of an operand into one of
these (`base_of` tells whether it is, `attach` makes it one).  This module knows nothing of what an engine does with an
assignment.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from shared.core.assignment import SETITEM, NestedIndex, UpdatePrimitive, ViewOf
from shared.core.duck_array import DuckArray
from shared.core.errors import StaleViewError, user_line
from shared.core.primitive import Primitive
from shared.core.refcounts import ALONE_IN_SLOT, getrefcount


class _Nobody:
    """The base of a view that turned out to be the only one to see its base."""

    primal = None


_NOBODY = _Nobody()
_get_primal: Any = vars(DuckArray)["primal"].__get__
_set_primal: Any = vars(DuckArray)["primal"].__set__


class View(ViewOf):
    """What is added to a level's values to make the class of its views (`view_class`)."""

    __slots__ = ()

    @property
    def primal(self) -> Any:
        if self.root.primal is not self.seen:
            raise StaleViewError(
                f"a view was used after its base array was assigned to{user_line()}; NumPy would show the new "
                "contents, which this view does not have. Take the view again (x[...]), or copy it: x[...].copy()"
            )
        return _get_primal(self)

    @primal.setter
    def primal(self, value: Any) -> None:
        _set_primal(self, value)

    def update(self, primitive: UpdatePrimitive, value: Any, index: Any) -> None:
        if _is_free(self):
            super().update(primitive, value, index)  # type: ignore[misc]
            return
        if isinstance(value, ViewOf):
            # It may be this very view, or overlap it: take its value before anything changes.
            value = value.twin()  # type: ignore[attr-defined]
        _write_through(self, primitive, value, index)

    def become(self, other: DuckArray) -> None:
        if _is_free(self):
            super().become(other)  # type: ignore[misc]
        else:
            _write_through(self, SETITEM, other, Ellipsis)


@cache
def view_class(engine: type[DuckArray]) -> Any:
    """The class of the views of a level's values: reading a stale one raises, writing one writes through."""
    slots = {"__slots__": ("base", "path", "root", "seen"), "__doc__": view_class.__doc__}
    return type(engine.__name__, (View, engine), {**slots, "__module__": engine.__module__, "engine": engine})


def _is_free(view: Any, below: int = 0) -> bool:
    """Whether nobody can see the base change but views below it, so many.

    If somebody can, and it cannot be written, or if the view is stale, raise.
    """
    view.primal  # noqa: B018 - which raises if it is stale
    if view.base is _NOBODY:
        return True
    if view.path is None and not _is_freed(view, below):
        raise StaleViewError(
            f"assignment to a view that is not a plain x[...]{user_line()} (a reshape, a transpose, ...): write "
            "to the original array, or to a copy of the view"
        )
    return view.path is None


def _is_freed(view: Any, below: int = 0) -> bool:
    """Whether nobody can see the base change but views below it, so many: then the view is one no longer."""
    link, visited = view, 1
    # Besides `base` of one view, the root is referred to by `root` of every view on the way.
    while getrefcount(link.base) <= ALONE_IN_SLOT + (visited + below if link.base is view.root else 0):
        # The base was an intermediate value, such as what a transpose was taken of.
        link = link.base
        visited += 1
        if not isinstance(link, ViewOf) or link.base is _NOBODY:
            view.base, view.root, view.seen = _NOBODY, _NOBODY, None
            return True
    return False


def _write_through(view: Any, primitive: UpdatePrimitive, value: Any, index: Any) -> None:
    """Write to the array that a view, or a view of a view, lies in; then take the views again."""
    links: list[Any] = []
    while isinstance(view, ViewOf) and not _is_free(view, len(links)):
        index = NestedIndex(view.path, index)
        links.append(view)
        view = view.base
    for link in links:
        # The last one may have been a view until now, of what nobody else sees.
        link.root = view
        # A view that held the root's buffer would make the root move to another one.
        link.seen = None
        _set_primal(link, None)
        for name in link.engine.__slots__:
            setattr(link, name, None)
    try:
        view.update(primitive, value, index)
    finally:
        for link in reversed(links):
            fresh = link.base[link.path]
            link.seen = link.root.primal
            link.engine.become(link, fresh.twin())


def standing_for(made: DuckArray, primitive: Primitive, args: tuple[Any, ...]) -> Any:
    """`made`, the result of a primitive; a view of an argument where its value lies in the memory of that."""
    base = base_of(made.primal, args, made.level)
    return made if base is None or not base.is_array else as_view(made, base, primitive.path(args))


def as_view(made: DuckArray, base: DuckArray, path: Any) -> Any:
    """What stands for the same as `made`, as a view of `base`."""
    engine: Any = type(made)
    view: Any = object.__new__(view_class(engine))
    view.level = made.level
    _set_primal(view, made.primal)
    for name in engine.__slots__:
        setattr(view, name, getattr(made, name))
    return attach(view, base, path)


def attach(view: Any, base: Any, path: Any) -> Any:
    """Make a fresh instance of a view class a view of `base`."""
    if path is Ellipsis and not _is_all(_get_primal(view), base.primal):
        path = None
    if isinstance(base, ViewOf) and base.path is None and base.base is not _NOBODY:
        # Before this view is counted among those who see the base's own base
        _is_freed(base)
    root = base.root if isinstance(base, ViewOf) and base.base is not _NOBODY else base
    view.base, view.root, view.path = base, root, path
    view.seen = root.primal
    return view


def _is_all(out: Any, base: Any) -> bool:
    """Whether a view has every element of its base in the same place, as the transpose of a vector has."""
    if isinstance(out, ViewOf):
        return out.path is not None
    if isinstance(out, DuckArray):
        out, base = out.plain_memory, base.plain_memory
    same = out.shape == base.shape and out.strides == base.strides and out.dtype == base.dtype
    # NumPy makes a few kinds of views that are not to be written to
    return bool(same and out.flags.writeable == base.flags.writeable)


def base_of(out: Any, args: tuple[Any, ...], level: Any) -> DuckArray | None:
    """The argument of this level that `out` (of the level below) is a view of, if there is one."""
    if isinstance(out, np.ndarray):
        owner = out.base
        if owner is None:
            return None
        for a in args:
            if isinstance(a, DuckArray) and a.level is level:
                primal = a.primal
                if isinstance(primal, np.ndarray) and (primal is owner or primal.base is owner):
                    return a
    elif isinstance(out, ViewOf):
        for a in args:
            if isinstance(a, DuckArray) and a.level is level and a.primal is out.base:
                return a
    elif isinstance(out, DuckArray) and out.plain_memory is not None:
        owner = out.plain_memory.base
        for a in args:
            if isinstance(a, DuckArray) and a.level is level and isinstance(a.primal, DuckArray):
                memory = a.primal.plain_memory
                if owner is not None and memory is not None and (memory is owner or memory.base is owner):
                    return a
    return None
