"""What C text is made of: buffers, where elements are read, and kernels, which are loops over one domain.

A `Kernel` evaluates its statements for every element of its domain, in one pass over memory: elementwise expressions,
sums and extrema over some axes, and assignments to parts of buffers.  A `Product` is one call of BLAS.  A domain is a
shape without axes of length 1; a place in memory is an offset and a stride for each axis, in elements.  This module
knows no programs and no text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass(eq=False, slots=True)
class Buffer:
    """Memory of some elements of one C type: a number, an array that came from outside, or one made in a stretch."""

    number: int
    #: its C type
    kind: str
    size: int
    #: the stretch that makes it; -1 of what is given from outside
    stretch: int = -1
    #: the value whose Python object holds it: of what is given from outside, and of arrays that are returned
    holder: int | None = None
    #: whether that object is a number
    is_number: bool = False
    #: the last kernels that write it, and that read it from memory
    made: int = -1
    read: int = -1
    #: whether it has to lie in memory: otherwise it is a variable of its kernel, or of the function if it is a number
    stored: bool = False
    #: whether parts of it were assigned to, so that a kernel's variables do not hold it
    updated: bool = False
    #: whether it lies in Fortran order, as an array from outside may
    is_fortran: bool = False
    #: its place among the numbers that are handed out; -1 of what is not
    slot: int = -1


@dataclass(eq=False, slots=True)
class Read:
    """Elements of a buffer over a domain; `terms` are those of index arrays: (where it lies, its stride, its range)."""

    buffer: Buffer
    offset: int
    strides: tuple[int, ...]
    terms: tuple[tuple[Read, int, int], ...] = ()

    def buffers(self) -> Iterator[Buffer]:
        """All buffers that are read."""
        yield self.buffer
        for term, _, _ in self.terms:
            yield term.buffer


@dataclass(eq=False, slots=True)
class Constant:
    """A number that is known when the text is written."""

    value: Any


Operand = Read | Constant
#: The status of the first branch that went another way; that of each further one is less by 1.
DEPARTED = -10


@dataclass(eq=False, slots=True)
class Compute:
    """`result = expression(operands)` of each element, computed in the C type `kind`."""

    result: Buffer
    expression: str
    operands: tuple[Operand, ...]
    kind: str
    said: str = ""


@dataclass(eq=False, slots=True)
class Reduce:
    """The sum, largest or smallest of an operand over some axes; `strides` say where each element goes."""

    result: Buffer
    how: str
    operand: Read
    axes: tuple[int, ...]
    strides: tuple[int, ...]
    said: str = ""

    @property
    def operands(self) -> tuple[Operand, ...]:
        return (self.operand,)


@dataclass(eq=False, slots=True)
class Update:
    """`place = operand`, or `place += operand`, for each element."""

    place: Read
    adds: bool
    operand: Operand
    said: str = ""

    @property
    def result(self) -> Buffer:
        return self.place.buffer

    @property
    def operands(self) -> tuple[Operand, ...]:
        return (self.operand,)


@dataclass(eq=False, slots=True)
class Check:
    """The function returns at once, with `status`, unless a truth value is as expected."""

    operand: Operand
    expected: bool
    status: int
    result: None = None
    said: str = ""

    @property
    def operands(self) -> tuple[Operand, ...]:
        return (self.operand,)


Statement = Compute | Reduce | Update | Check


@dataclass(eq=False, slots=True)
class Kernel:
    """A loop over a domain."""

    domain: tuple[int, ...]
    statements: list[Statement] = field(default_factory=list)

    def reads(self) -> Iterator[Read]:
        """Every place that is read."""
        for statement in self.statements:
            for operand in statement.operands:
                if isinstance(operand, Read):
                    yield operand
                    yield from (term for term, _, _ in operand.terms)
            if isinstance(statement, Update):
                yield from (term for term, _, _ in statement.place.terms)

    def buffers(self) -> Iterator[Buffer]:
        """Every buffer that is read or written."""
        for read in self.reads():
            yield read.buffer
        for statement in self.statements:
            if statement.result is not None:
                yield statement.result


@dataclass(eq=False, slots=True)
class Product:
    """`result = a @ b` by BLAS: a is (rows, inner); b is (inner, columns), or a vector, and `columns` is 0."""

    result: Buffer
    a: Read
    b: Read
    rows: int
    inner: int
    columns: int
    said: str = ""

    def buffers(self) -> Iterator[Buffer]:
        """Every buffer that is read or written."""
        yield from (self.a.buffer, self.b.buffer, self.result)


@dataclass(eq=False, slots=True)
class Stretch:
    """What one C function computes."""

    number: int
    kernels: list[Kernel | Product] = field(default_factory=list)


def contiguous(domain: tuple[int, ...]) -> tuple[int, ...]:
    """The strides of elements that follow each other in C order.

    >>> contiguous((2, 3, 4))
    (12, 4, 1)
    """
    return tuple(math.prod(domain[k + 1 :]) for k in range(len(domain)))


def squeezed(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape as a domain: without axes of length 1."""
    return tuple(n for n in shape if n != 1)
