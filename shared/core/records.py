"""Records: what is written down of a program, so that a sweep can follow its derivatives.

A level that writes records gives every value that varies a number, its node.  The records are one flat list, of which
each takes three items: an edge (a linear map), what that keeps, and the parent, the node that it leads to.  A node has
a record for each of its parents, of which the first is complemented (~parent): read backwards it is the last, which is
how a sweep finds the ends of nodes.  A list of numbers and arrays costs Python's cyclic collector nothing; an object a
node would.  This module knows the form of a primitive's edges, no calculus, and no engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from shared.core.edges import Edge, Like, as_met, differs, strengthened
from shared.core.floating_errors import switch
from shared.core.levels import Level
from shared.core.primitive import Primitive
from shared.core.updates import map_to_before, map_to_value

_ndarray = np.ndarray
_float64 = np.float64


class _Independent(Edge):
    """The only record of an independent variable, which has no parent; keeps its number among them."""

    __slots__ = ()

    def backward(self, sweep: Any, cotangent: Any, kept: Any, parent: int) -> None:
        sweep.found[kept] = cotangent

    def forward(self, sweep: Any, node: int, kept: Any, parent: int, position: int) -> None:
        sweep.values[node] = sweep.tangents[kept]


class _Settings(Edge):
    """A change of NumPy's error handling between two operations; keeps the settings before and after.

    It is a node of its own, which refers to itself, so that no other one leads to it.
    """

    __slots__ = ()
    always = True

    def backward(self, sweep: Any, cotangent: Any, kept: Any, parent: int) -> None:
        switch(kept[0])

    def forward(self, sweep: Any, node: int, kept: Any, parent: int, position: int) -> None:
        switch(kept[1])


INDEPENDENT = _Independent(None, None, None)
SETTINGS = _Settings(None, None, None)


class Records(Level):
    """A level whose operations are written down."""

    __slots__ = ("count", "record", "records")
    #: the number in place of a node of what does not vary
    no_node = -1

    def __init__(self, transform: str):
        Level.__init__(self, transform)
        self.records: list[Any] = []
        #: appends one or more records; bound once, because every operation calls it
        self.record: Callable[[Sequence[Any]], None] = self.records.extend
        #: the number of nodes, and of the next one
        self.count = 0

    def node(self) -> int:
        """The number of a new node, whose records have just been appended."""
        node = self.count
        self.count = node + 1
        return node

    def independent(self, number: int) -> int:
        """A node for an independent variable, whose cotangent is result `number` of a sweep."""
        self.record((INDEPENDENT, number, ~0))
        return self.node()


def record_primitive(
    level: Records,
    primitive: Primitive,
    out: Any,
    values: Sequence[Any],
    parents: Sequence[int],
    static: dict[str, Any],
) -> int:
    """Append the records of one evaluation; returns its node, `level.no_node` if nothing with a derivative varies.

    `parents` are the nodes of the arguments, negative for what does not vary.
    """
    active = [k for k, parent in enumerate(parents) if parent >= 0]
    maps, common = primitive.linear_maps(out, values, active, static)
    if not maps:
        return level.no_node
    first = True
    for k, edge, kept in maps:
        level.record((edge, kept, ~parents[k] if first else parents[k]))
        first = False
    if common is not None:
        # The factor that the maps share is a node of its own, whose cotangent is computed once.
        level.record((*common, ~level.node()))
    return level.node()


def record_update(level: Records, primitive: Any, index: Any, value: Any, array: Any, before: int, written: int) -> int:
    """Append the records of an assignment to `array`; returns its node, negative if nothing in it varies.

    `before` is the node of the array as it was, and `written` that of the value, negative for what does not vary.
    """
    if before >= 0:
        level.record((*map_to_before(primitive, index), ~before))
    if written >= 0:
        level.record((*map_to_value(primitive, index, value, array), written if before >= 0 else ~written))
    return level.node() if before >= 0 or written >= 0 else -1


# --- the same, for what programs do most ------------------------------------------------------------------------------

#: Writes the records of an operation that varies: `(level, out, value, parent)`, or with two values and two parents.
Recorder = Callable[..., int]


@cache
def recorder_of_one(primitive: Primitive) -> Recorder:
    """`record_primitive` for an elementwise primitive of one argument: of those, Python numbers alone are promoted."""
    edge: Any = primitive.edges[0]
    is_simple, strong = _is_simple(edge), strengthened(edge)
    place = _place(edge)

    def recorder(level: Records, out: Any, value: Any, parent: int) -> int:
        kept = (value, None, out)[place] if is_simple else primitive.keep(edge, 0, out, (value,), {})
        if value.__class__ is float and out.__class__ is _float64:
            level.record((strong, kept, ~parent))
        elif value.__class__ is not _ndarray and value.__class__ is not _float64 and differs(value, out):
            level.record((edge.fitted, (Like(value), kept, Like(out)), ~parent))
        else:
            level.record((edge, kept, ~parent))
        node = level.count
        level.count = node + 1
        return node

    return recorder


@cache
def recorders_of_two(primitive: Primitive) -> tuple[Recorder, Recorder, Recorder]:
    """`record_primitive` for a primitive of two arguments, without keywords: where the first varies, the second, both.

    What does not depend on the operands is looked up here, once.  The first two are given the one parent.
    """
    first, second = (_recorder_of_argument(primitive, k) for k in (0, 1))
    if primitive.edges[1] is None:
        return first, second, lambda level, out, x, y, i, j: first(level, out, x, y, i)
    if primitive.edges[0] is None:
        return first, second, lambda level, out, x, y, i, j: second(level, out, x, y, j)
    return first, second, _recorder_of_both(primitive)


def _recorder_of_argument(primitive: Primitive, k: int) -> Recorder:
    edge: Any = primitive.edges[k]
    if edge is None:
        return lambda level, out, x, y, parent: level.no_node
    exempt, is_simple, place, strong = not primitive.broadcasts, _is_simple(edge), _place(edge), strengthened(edge)
    keep = primitive.keep

    def recorder(level: Records, out: Any, x: Any, y: Any, parent: int) -> int:
        kept = (x, y, None, out)[place] if is_simple else keep(edge, k, out, (x, y), {})
        kind, value = out.__class__, y if k else x
        # Of two doubles nothing can have been broadcast or promoted; of arrays shape and dtype show it.
        if (
            exempt
            or kind is float
            or (
                kind is value.__class__
                and (kind is _float64 or (kind is _ndarray and value.shape == out.shape and value.dtype is out.dtype))
            )
        ):
            level.record((edge, kept, ~parent))
        elif kind is _float64 and value.__class__ is float:
            level.record((strong, kept, ~parent))
        else:
            level.record((*as_met(edge, kept, value, out), ~parent))
        node = level.count
        level.count = node + 1
        return node

    return recorder


def _recorder_of_both(primitive: Primitive) -> Recorder:
    first: Any
    second: Any
    common: Any = primitive.common
    first, second = primitive.edges if common is None else primitive.factored
    exempt, keep = not primitive.broadcasts, primitive.keep
    simple_first, simple_second, simple_common = map(_is_simple, (first, second, common))
    place_first, place_second, place_common = map(_place, (first, second, common))

    def recorder(level: Records, out: Any, x: Any, y: Any, i: int, j: int) -> int:
        values, kind = (x, y, None, out), out.__class__
        of_x = values[place_first] if simple_first else keep(first, 0, out, (x, y), {})
        of_y = values[place_second] if simple_second else keep(second, 1, out, (x, y), {})
        a, b = first, second
        if not (exempt or kind is float):
            # Of two doubles nothing can have been broadcast or promoted; of arrays shape and dtype show it.
            if kind is _ndarray:
                shape, dtype = out.shape, out.dtype
                if x.__class__ is not _ndarray or x.dtype is not dtype or x.shape != shape:
                    a, of_x = as_met(first, of_x, x, out)
                if y.__class__ is not _ndarray or y.dtype is not dtype or y.shape != shape:
                    b, of_y = as_met(second, of_y, y, out)
            elif not (kind is _float64 is x.__class__ and kind is y.__class__):
                a, of_x = as_met(first, of_x, x, out)
                b, of_y = as_met(second, of_y, y, out)
        level.record((a, of_x, ~i, b, of_y, j))
        node = level.count
        if common is not None:
            kept = values[place_common] if simple_common else keep(common, 0, out, (x, y), {})
            level.record((common, kept, ~node))
            node += 1
        level.count = node + 1
        return node

    return recorder


def _is_simple(edge: Edge | None) -> bool:
    return edge is None or edge.keep is None or isinstance(edge.keep, int)


def _place(edge: Edge | None) -> Any:
    """Where what an edge keeps stands among the arguments, None and the output."""
    return -2 if edge is None or edge.keep is None else edge.keep
