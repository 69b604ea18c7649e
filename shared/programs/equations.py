"""The parts of a recorded program: what is known of a value, and the steps that a program consists of.

An `Equation` makes one value from others by one primitive of the registry or by a `Write`; a `Guard` states what the
recording relied on.  Values are numbers here: this module knows no program, and nothing of how one is recorded or run.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import numpy as np

from shared.core.assignment import ADD_AT, SETITEM, NestedIndex, UpdatePrimitive
from shared.core.constants import as_kind
from shared.core.facets import FREE
from shared.core.primitive import Edge, Primitive, fitted
from shared.core.registry import internal_constant
from shared.core.visible import one_line
from shared.core.writing import duplicate, write
from shared.counting.assignments import written
from shared.rules.indexing import ADD_ONCE, ADD_TO_VIEW


class ValueType:
    """What is known of a value before it is computed: its Python type, shape and dtype (None if it has none).

    There is one instance of each, so types are compared by identity.  `ValueType.of(value)` finds it.
    """

    __slots__ = ("dtype", "is_array", "kind", "shape", "size")
    _known: ClassVar[dict[Any, ValueType]] = {}

    def __init__(self, kind: type, shape: tuple[int, ...], dtype: np.dtype[Any] | None):
        self.kind = kind
        self.shape = shape
        self.dtype = dtype
        #: whether it is an array, and not a number
        self.is_array = issubclass(kind, np.ndarray)
        #: the number of elements; 1 of a number
        self.size = math.prod(shape)

    @classmethod
    def of(cls, value: Any) -> ValueType:
        """The type of a plain value.

        >>> ValueType.of(np.ones((2, 3), np.float32)), ValueType.of(1.5)
        (float32[2,3], float)
        """
        key = (value.__class__, getattr(value, "shape", ()), getattr(value, "dtype", None))
        return cls._known.get(key) or cls.get(*key)

    @classmethod
    def get(cls, kind: type, shape: tuple[int, ...], dtype: Any) -> ValueType:
        """The type with these parts: made when it is first asked for, and the same one ever after.

        >>> ValueType.get(np.ndarray, (2, 3), np.dtype(float)) is ValueType.of(np.ones((2, 3)))
        True
        """
        key = (kind, tuple(shape), dtype)
        return cls._known.setdefault(key, cls(*key))

    @property
    def nbytes(self) -> int:
        """The bytes of its elements; 8 of a Python number, 16 of a complex one."""
        if self.dtype is None:
            return 16 if self.kind is complex else 8
        return self.size * self.dtype.itemsize

    @property
    def is_complex(self) -> bool:
        """Whether it is a complex number or an array of them."""
        return self.kind is complex if self.dtype is None else self.dtype.kind == "c"

    @property
    def description(self) -> str:
        """In words: `a Python float`, `a float64 scalar of NumPy`, `an array of float64 with shape (2, 3)`."""
        if self.is_array:
            return f"an array of {self.dtype} with shape {self.shape}"
        return f"a Python {self.kind.__name__}" if self.dtype is None else f"a {self.dtype} scalar of NumPy"

    def __reduce__(self) -> Any:
        return (ValueType.get, (self.kind, self.shape, self.dtype))

    def __repr__(self) -> str:
        if self.dtype is None:
            return self.kind.__name__
        return f"{self.dtype}[{','.join(map(str, self.shape))}]" if self.is_array else str(self.dtype)


#: How an array lies in memory: whether in C and in Fortran order, and its axes from the largest stride to the least.
Layout = tuple[bool, bool, tuple[int, ...]]


def layout_of(array: np.ndarray) -> Layout:
    """How an array lies in memory.

    >>> layout_of(np.zeros((2, 3)).T)
    (False, True, (1, 0))
    """
    strides = array.strides
    axes = tuple(sorted(range(array.ndim), key=lambda axis: -abs(strides[axis])))
    return array.flags.c_contiguous, array.flags.f_contiguous, axes


_AS_OUTSIDE: Mapping[str, Any] = MappingProxyType({})


class Equation:
    """`result = primitive(*operands, **static)`: operands and result are numbers of values; `where` is the user's line.

    `primitive` is a `Primitive` of the registry, or a `Write`.  `errors` are the settings of an np.errstate around it.
    """

    __slots__ = ("errors", "operands", "primitive", "result", "static", "where")

    def __init__(
        self,
        primitive: Any,
        operands: tuple[int, ...],
        static: dict[str, Any],
        result: int,
        where: str = "",
        errors: Mapping[str, Any] = _AS_OUTSIDE,
    ):
        self.primitive = primitive
        self.operands = operands
        self.static = static
        self.result = result
        self.where = where
        self.errors = errors

    def with_numbers(self, numbers: Mapping[int, int]) -> Equation:
        """The same equation of values that are numbered otherwise."""
        operands = tuple([numbers[k] for k in self.operands])
        return Equation(self.primitive, operands, self.static, numbers[self.result], self.where, self.errors)

    def __repr__(self) -> str:
        arguments = [f"v{k}" for k in self.operands] + [f"{k}={v!r}" for k, v in self.static.items()]
        return one_line(f"v{self.result} = {self.primitive.name}({', '.join(arguments)})")


class Guard:
    """What a recording relied on: the truth of value `operands[0]` (a bool), or its shape (a tuple)."""

    __slots__ = ("expected", "operands", "where")
    #: like an equation's, so that all steps can be read alike
    result = primitive = None

    def __init__(self, operand: int, expected: bool | tuple[int, ...], where: str = ""):
        self.operands = (operand,)
        self.expected = expected
        self.where = where

    def holds(self, value: Any) -> bool:
        """Whether a value is as it was when the program was recorded."""
        if self.expected.__class__ is tuple:
            return bool(np.shape(value) == self.expected)
        return bool(value) is self.expected

    def with_numbers(self, numbers: Mapping[int, int]) -> Guard:
        """The same guard of a value that is numbered otherwise."""
        return Guard(numbers[self.operands[0]], self.expected, self.where)

    def __repr__(self) -> str:
        return f"guard v{self.operands[0]} {'shape' if self.expected.__class__ is tuple else 'is'} {self.expected}"


Step = Equation | Guard


class Write:
    """An assignment as an equation: the operands are the array, the value and the parts of the index; a new array.

    `lengths` says how many parts each index of a nested one has (`x[1:][k] = v` is written as one assignment).
    """

    __slots__ = ("count", "name", "updating")
    form = "write"
    memory = "fresh"
    constant = elementwise = broadcasts = False

    def __init__(self, updating: UpdatePrimitive):
        self.updating = updating
        self.name = updating.name
        self.count = written(adds=updating is not SETITEM)

    def raw(self, buffer: Any, value: Any, *parts: Any, lengths: tuple[int, ...], own: bool = False) -> Any:
        """The changed array: `buffer` itself if the caller owns it, otherwise a copy."""
        return write(buffer if own else duplicate(buffer), self.updating, nested_index(parts, lengths), value)

    __call__ = raw

    def __reduce__(self) -> Any:
        return (_write_named, (self.name,))

    def __repr__(self) -> str:
        return f"<write {self.name}>"


WRITES = {updating: Write(updating) for updating in (SETITEM, ADD_AT, ADD_ONCE, ADD_TO_VIEW)}


def _write_named(name: str) -> Write:
    return next(found for found in WRITES.values() if found.name == name)


def nested_index(parts: Sequence[Any], lengths: tuple[int, ...]) -> Any:
    """The index that a write's operands stand for."""
    pieces, start = [], 0
    for length in lengths:
        pieces.append(tuple(parts[start : start + length]))
        start += length
    index: Any = pieces.pop()
    while pieces:
        index = NestedIndex(pieces.pop(), index)
    return index


def _part(values: Any, *, item: int) -> Any:
    return values[item]


_part.__name__ = "part"
#: One of the several results of a primitive, such as `np.nonzero`.
PART = internal_constant(_part, count=FREE, memory="may share")

_same = Edge(None, lambda c, kept: c, lambda t, kept: t)
_same.fitted = fitted(_same)
#: One number as one of another kind: Python's, NumPy's, or an array without axes.
AS_KIND = Primitive(as_kind, "rule", [_same], broadcasts=True, count=FREE, memory="may share")
