"""Counts the operations of a function while it runs, exactly: the proof of what a derivative costs.

The measure is that of `shared.core.facets`, the count of each primitive that of its row.  `shared.cost` reads the same
numbers, and more, off a recorded program.  This counter keeps nothing but their sum, so it serves where a record would
not fit: for programs of millions of operations, in several threads at once, and for functions that branch as they like.

The counter is one more tracer: its level is below every differentiation's, so whatever rules and sweeps compute passes
through it.  This module knows no derivative and no engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shared.calling.tree import flatten, tree_map, unflatten
from shared.core.assignment import SETITEM, NestedIndex, UpdatePrimitive
from shared.core.duck_array import DuckArray
from shared.core.errors import TracerConversionError, user_line
from shared.core.facets import ELEMENTARY, Count
from shared.core.levels import Level, Tracer, bind
from shared.core.primitive import Primitive
from shared.core.views import standing_for
from shared.core.writing import writable, write
from shared.counting.assignments import elements_written

__all__ = ["ELEMENTARY", "Count", "count_operations"]

_WITHOUT_SHAPE = frozenset((float, int, complex, bool))


class _Number:
    """What a Python number is to the count of a primitive: something without axes."""

    shape = ()
    dtype = np.dtype(float)


_NUMBER: Any = _Number()


def operations(primitive: Primitive, out: Any, operands: Sequence[Any], static: dict[str, Any]) -> int:
    """The operations of one evaluation, on the measure."""
    of = _NUMBER if out.__class__ in _WITHOUT_SHAPE or out.__class__ is tuple else out
    return primitive.count(of, operands, static).operations


class Counter(Level):
    """The level of counted values, and the count so far."""

    __slots__ = ("total",)

    def __init__(self) -> None:
        super().__init__("count_operations")
        self.total = 0

    def seed(self, value: Any) -> Any:
        return Counted(self, value)

    def without_branches(self, follow: Callable[[], Any]) -> Any:
        """The value of `follow()`, which may branch here as it likes; where it raises, nothing of it is counted."""
        before = self.total
        try:
            return follow()
        except Exception:
            self.total = before
            raise

    def opaque(self, called: Any, leaves: list[Any], structure: Any, static: dict[str, Any]) -> Any:
        """Call code that is no NumPy on plain values: what it does inside cannot be counted."""
        values = [leaf.primal if isinstance(leaf, Counted) and leaf.level is self else leaf for leaf in leaves]
        found, out_structure = flatten(called.run(values, structure, static, None))
        return unflatten(out_structure, [Counted(self, leaf) if _is_counted(leaf) else leaf for leaf in found])


class Counted(DuckArray):
    """A value whose operations are counted."""

    __slots__ = ()

    def __init__(self, level: Counter, primal: Any):
        self.level = level
        self.primal = primal

    def process(self, primitive: Primitive, args: tuple[Any, ...], static: dict[str, Any]) -> Any:
        level = self.level
        values, _ = self.operands(primitive, args)
        out = bind(primitive, tuple(values), static)
        if primitive.is_question:
            return out
        count = operations(primitive, out, values, static)
        # Not in one line: the total is read first, and another thread may add to it while the cost is computed.
        level.total += count
        if out.__class__ is tuple:
            return tuple([Counted(level, part) for part in out])
        return standing_for(Counted(level, out), primitive, args)

    def lift(self, value: Any) -> Counted:
        return Counted(self.level, value)

    def twin(self) -> Counted:
        return Counted(self.level, self.primal)

    def become(self, other: Any) -> None:
        self.primal = other.primal

    def update(self, primitive: UpdatePrimitive, value: Any, index: Any) -> None:
        if isinstance(value, Counted):
            value = value.primal
        parts: list[Any] = []
        lengths: list[int] = []
        index = _plain(index, parts, lengths)
        size = elements_written(self.primal.shape, parts, lengths)
        # Where it adds, each element is read and added to before it is written.
        count = size if primitive is SETITEM else 3 * size
        self.level.total += count
        self.primal = write(writable(self, "primal"), primitive, index, value)

    # What this level drops is no derivative: positions and truth values may leave it.

    def __index__(self) -> int:  # type: ignore[override]
        return int(self.primal.__index__()) if _is_integer(self.primal) else super().__index__()

    __int__ = __index__  # type: ignore[assignment]

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return np.array(self.primal) if _is_integer(self.primal) else super().__array__()


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer, np.bool_)) or getattr(getattr(value, "dtype", None), "kind", "") in "biu"


def _plain(index: Any, parts: list[Any], lengths: list[int]) -> Any:
    """An index with plain values; its parts, and those of the index that it is nested in, are appended."""
    if index.__class__ is NestedIndex:
        path = _plain(index.path, parts, lengths)
        return NestedIndex(path, _plain(index.index, parts, lengths))
    found = [
        part.primal if isinstance(part, Counted) else part for part in (index if index.__class__ is tuple else (index,))
    ]
    found = [
        np.asarray(part, np.intp if not part else None) if isinstance(part, (list, tuple)) else part for part in found
    ]
    parts.extend(found)
    lengths.append(len(found))
    return tuple(found)


def _is_counted(leaf: Any) -> bool:
    if isinstance(leaf, (np.ndarray, np.generic)):
        return leaf.dtype.kind in "biufc"
    return isinstance(leaf, (float, complex))


def count_operations(f: Callable[..., Any], *args: Any) -> int:
    """The number of operations that `f(*args)` takes, counted while it runs.

    `f` may be a derivative: `count_operations(reversead.grad(g), x)`.  Floating-point numbers and arrays in the
    arguments, also in nested containers, are counted, and so is all that is computed from them; Python's integers,
    strings and other arguments pass through.  `cost(f, *args)` finds as many in a record, which leaves out only what a
    derivative computes from its seed alone, the same in every run.  Of a `custom_derivative` that is no NumPy (a sparse
    solver) the operations inside are not counted.

    Cost: one evaluation of `f`, some microseconds an operation, and no memory.  Raises TracerConversionError inside a
    differentiation.

    >>> count_operations(lambda x: np.sum(np.sin(x) * x), np.ones(5))
    60
    """
    level = Counter()

    def counted(leaf: Any) -> Any:
        if isinstance(leaf, Tracer):
            raise TracerConversionError(
                f"an argument of count_operations belongs to a differentiation in progress{user_line()}; "
                "differentiate inside count_operations: count_operations(ad.grad(f), x), and not "
                "ad.grad(lambda x: count_operations(f, x))"
            )
        return Counted(level, leaf) if _is_counted(leaf) else leaf

    try:
        f(*tree_map(counted, list(args)))
    finally:
        level.closed = True
    return level.total
