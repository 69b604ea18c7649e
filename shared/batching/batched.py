"""Batching: one evaluation of a function for many examples at once, by a tracer that stands for all of them.

A `Batched` value holds K arrays of one shape along a hidden leading axis; code sees the shape of one.  Every primitive
is applied to all examples by one NumPy call, by its batch rule (a facet of it, see `shared.core.facets`); without one,
example by example (`shared.batching.example_by_example`).  `vmap` (`shared.batching.vmap`) carries examples with
it, the engines their directions of differentiation (`shared.batching.directions`).  This module knows no derivative and
no engine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NoReturn

import numpy as np

from shared.batching.example_by_example import FLOATING_ONLY, one_by_one
from shared.calling.tree import flatten, unflatten
from shared.core.assignment import SETITEM, NestedIndex, UpdatePrimitive, ViewOf
from shared.core.constants import constant_operand
from shared.core.described import as_object, asked_for_product
from shared.core.duck_array import CONSTANT_TYPES, DuckArray, bind_two, captured, highest
from shared.core.errors import (
    DifferentiationError,
    NoRuleError,
    SomeExamplesError,
    TracerConversionError,
    closed,
    user_line,
)
from shared.core.facets import Alike, align, aligned
from shared.core.levels import Level, Tracer, bind
from shared.core.primitive import Primitive
from shared.core.registry import UNARY
from shared.core.views import standing_for
from shared.core.writing import writable, write
from shared.rules.indexing import batched_index

_ndarray = np.ndarray
_allocate: Any = object.__new__


class Batch(Level):
    """The level of batched values: how many examples they hold, and how large one array of all may become."""

    __slots__ = ("largest", "limit", "size")

    def __init__(self, transform: str, size: int, limit: float = float("inf")):
        super().__init__(transform)
        self.size = size
        #: in bytes; beyond it TooLarge is raised
        self.limit = limit
        #: the bytes of the largest array of all examples so far
        self.largest = 0


class TooLarge(BaseException):
    """An array of all examples would exceed its level's limit.  Whoever set that catches this, and takes fewer.

    Not an Exception, because the function that is being evaluated must not catch it.
    """

    def __init__(self, level: Batch, bytes_per_example: int):
        super().__init__(level, bytes_per_example)
        self.level = level
        self.bytes_per_example = bytes_per_example


class Batched(DuckArray):
    """The values of one variable in all examples: `primal` has them along its first axis, `shape` is that of one."""

    __slots__ = ()

    def __init__(self, level: Batch, primal: Any):
        self.level = level
        self.primal = primal

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self.primal.shape
        return shape[1:]

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self.primal.dtype
        return dtype

    @property
    def is_array(self) -> bool:
        """Whether each example is an array; examples without axes are numbers, as the elements of an array are."""
        # Views are arrays, with axes or without: x[0, ...] and np.squeeze(x) are, where x[0] is a number.
        return self.primal.ndim > 1 or isinstance(self, ViewOf)

    # --- what a primitive does to all examples ---

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        primitive: Any = UNARY.get(ufunc)
        if primitive is None or method != "__call__" or kwargs:
            if ufunc in FLOATING_ONLY and method == "__call__" and not kwargs:
                return self.__array_function__(ufunc, (), inputs, {})
            return DuckArray.__array_ufunc__(self, ufunc, method, *inputs, **kwargs)
        level = self.level
        if level.closed:
            raise closed(self)
        try:
            out = primitive.evaluate(self.primal)
        except Exception:
            return self.process(primitive, inputs, {})  # which tells the examples apart
        return new_batched(level, out)

    def __array_function__(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func in FLOATING_ONLY and self.primal.__class__ is _ndarray and self.primal.dtype.kind in "biu":
            leaves, structure = flatten([list(args), kwargs])
            if not any(isinstance(leaf, DuckArray) and leaf.dtype.kind in "fc" for leaf in leaves):
                return _each_example(func, leaves, structure, self.level)
        return DuckArray.__array_function__(self, func, types, args, kwargs)

    @staticmethod
    def binary(primitive: Primitive, x: Any, y: Any) -> Any:
        if not primitive.broadcasts:
            return bind_two(primitive, x, y)
        if isinstance(x, Batched):
            level, first = x.level, x.primal
            if y.__class__ in CONSTANT_TYPES:
                if y.__class__ is not _ndarray:
                    second = constant_operand(y, first) if first.__class__ is _ndarray else y
                elif y.ndim < first.ndim:
                    second = y
                else:
                    return bind_two(primitive, x, y)
            elif isinstance(y, Batched) and y.level is level and y.primal.ndim == first.ndim:
                second = y.primal
            else:
                return bind_two(primitive, x, y)
        elif x.__class__ in CONSTANT_TYPES:
            level, second = y.level, y.primal
            if x.__class__ is not _ndarray:
                first = constant_operand(x, second) if second.__class__ is _ndarray else x
            elif x.ndim < second.ndim:
                first = x
            else:
                return bind_two(primitive, x, y)
        else:
            return bind_two(primitive, x, y)
        if level.closed:
            return bind_two(primitive, x, y)
        try:
            out = primitive.evaluate(first, second)
        except Exception:
            return bind_two(primitive, x, y)  # which tells the examples apart
        return new_batched(level, out)

    def linear(self, primitive: Primitive, rest: tuple[Any, ...], static: dict[str, Any]) -> Any:
        made = self.pushed(primitive, rest, static)
        out = made.primal
        if out.__class__ is not _ndarray:
            return self.process(primitive, (self, *rest), static)
        # An array made of a number, such as s[None], is no view of it.
        if out.base is None:
            return made
        if _is_number(primitive, out, rest):
            return new_batched(self.level, out.copy())
        return standing_for(made, primitive, (self, *rest))

    def pushed(self, primitive: Primitive, rest: tuple[Any, ...], static: dict[str, Any]) -> Batched:
        """A primitive that is linear in this array, applied to it as to a tangent: the result is no view of it."""
        level, primal = self.level, self.primal
        if level.closed:
            raise closed(self)
        if primal.__class__ is _ndarray:
            if primitive.is_index:
                return new_batched(level, primal[(slice(None), *rest)])
            if primitive.batch is not None:
                out = primitive.batch(primitive, level.size, (True,), (primal,), static)
                if out is not NotImplemented:
                    return new_batched(level, out)
        made: Batched = self.process(primitive, (self, *rest), static)
        return made.twin()

    def process(self, primitive: Primitive, args: tuple[Any, ...], static: dict[str, Any]) -> Any:
        level = self.level
        values, batched = self.operands(primitive, args)
        try:
            out = applied(primitive, level.size, batched, values, static)
        except Exception as error:

            def alone(k: int) -> Any:
                return primitive(*[v[k] if flag else v for v, flag in zip(values, batched, strict=True)], **static)

            raise raised_by_some(level, primitive.name.lstrip("_"), error, alone) from error
        if out.__class__ is Alike:
            return out.value
        if _is_number(primitive, out, args[1:]):
            return new_batched(level, np.copy(out))
        return standing_for(new_batched(level, out), primitive, args)

    # --- assignment ---

    def lift(self, value: Any) -> Batched:
        # A view, which is copied to all examples when it is first written to.
        value = captured(value, self.primal)
        return Batched(self.level, np.broadcast_to(value, (self.level.size, *np.shape(value))))

    def new_like(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Batched:
        if function is np.empty_like and isinstance(self.primal, DuckArray):
            function = np.zeros_like  # a record of what is not initialised would differ from run to run
        return self.lift(function(np.broadcast_to(np.zeros((), self.dtype), self.shape), *args, **kwargs))

    def twin(self) -> Batched:
        return Batched(self.level, self.primal)

    def conformed(self, derivative: Any, leaf: Any) -> Any:
        # The examples of numbers are an array.
        return derivative

    def become(self, other: Any) -> None:
        self.primal = other.primal

    def update(self, primitive: UpdatePrimitive, value: Any, index: Any) -> None:
        level = self.level
        if level.closed:
            raise closed(self)
        buffer = _lifted_for(index, writable(self, "primal"), level)
        part, paths = buffer, []
        while index.__class__ is NestedIndex:
            paths.append((slice(None), *(index.path if index.path.__class__ is tuple else (index.path,))))
            part, index = part[paths[-1]], index.index
        parts = index if index.__class__ is tuple else (index,)
        try:
            if len(parts) == 1 and isinstance(parts[0], Batched) and parts[0].dtype.kind == "b":
                where, value = _by_mask(level, primitive, parts[0], part, value)
            else:
                where, value = _by_index(level, parts, part, value)
            for path in reversed(paths):
                where = NestedIndex(path, where)
            self.primal = write(buffer, primitive, where, value)
        except IndexError as error:

            def alone(k: int) -> Any:
                own = [p.primal[k] if isinstance(p, Batched) and p.level is level else p for p in parts]
                return part[k][tuple(own)]

            raise raised_by_some(level, "an assignment", error, alone) from error

    # --- what would need one value for all examples ---

    def __bool__(self) -> bool:
        found = self.primal
        while isinstance(found, DuckArray):
            found = found.primal
        verdicts = np.asarray(found, bool)
        if verdicts.ndim == 1 and verdicts.size and verdicts.all() == verdicts.any():
            verdict = bool(verdicts[0])
            # Asked of the level below, too: a record has to note what it relies on.
            return bool(np.all(self.primal) if verdict else np.any(self.primal))
        raise TracerConversionError(
            f"a branch was taken on a value that differs among the examples of vmap{user_line()}; "
            "use np.where(condition, x, y), or a loop over the examples"
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        if asked_for_product():
            return as_object(self)
        raise _many(
            "a plain NumPy array",
            "Build arrays by np.stack([...]); fill those made with np.zeros_like(x) or np.zeros_like(x, shape=n). A "
            "plain one is read at a mapped index by np.take_along_axis(array, index, axis): for one integer, "
            "index[None].",
        )

    def __float__(self) -> NoReturn:
        raise _many(
            "a plain number",
            "Leave out float(); fill arrays made with np.zeros_like(x) or np.zeros_like(x, shape=n), not plain ones; "
            "use NumPy's functions in place of math's.",
        )

    __complex__ = __float__

    def __index__(self) -> NoReturn:
        raise _many("a plain integer", "A count or a shape must be the same for all examples.")

    __int__ = __index__

    def __format__(self, spec: str) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"Batched({self.level.size} of shape {self.shape}: {self.primal!r}, level {self.level.number})"


def _is_number(primitive: Primitive, out: Any, index: tuple[Any, ...]) -> bool:
    """Whether what is read of each example is a number, which NumPy copies; of x[0, ...] it makes a view."""
    return primitive.is_index and out.ndim == 1 and not any(part is Ellipsis for part in index)


def _many(wanted: str, instead: str) -> TracerConversionError:
    return TracerConversionError(
        f"{wanted} was asked of a value that stands for all examples of vmap{user_line()}. {instead}"
    )


def raised_by_some(level: Batch, what: str, error: Exception, alone: Callable[[int], Any]) -> Exception:
    """What to raise where an operation on all examples raised `error`, and `alone(k)` is that on one example.

    Code that catches an exception takes another way with all examples, so one that not every example raises must not
    be caught as what it is.
    """
    if isinstance(error, DifferentiationError):
        return error
    raised = [k for k in range(level.size) if _raises(alone, k)]
    if not raised or len(raised) == level.size:
        return error
    return SomeExamplesError(
        f"{level.transform}: {what} raised {type(error).__name__} for example {raised[0]}, but not for all "
        f"{level.size}{user_line()}: {error}. Code that catches it would send every example the other way: choose by "
        "np.where(condition, x, y), or write a loop over the examples"
    )


def _raises(alone: Callable[[int], Any], k: int) -> bool:
    try:
        alone(k)
    except Exception:
        return True
    return False


def new_batched(level: Any, primal: Any) -> Batched:
    nbytes = primal.nbytes
    if nbytes > level.largest:
        level.largest = nbytes
        if nbytes > level.limit:
            raise TooLarge(level, nbytes // level.size)
    made: Batched = _allocate(Batched)
    made.level = level
    made.primal = primal
    return made


def applied(
    primitive: Primitive, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]
) -> Any:
    """A primitive applied to all examples: the results along a leading axis, or `Alike` what they share."""
    rule = primitive.batch
    if rule is align:
        return bind(primitive, tuple(aligned(size, batched, values)), static)
    if rule is not None:
        out = rule(primitive, size, batched, values, static)
        if out is not NotImplemented:
            return out
    note_loop(primitive.name)
    return one_by_one(primitive, size, batched, values, static)


def _each_example(function: Any, leaves: list[Any], structure: Any, level: Batch) -> Any:
    """A function of NumPy applied to each example in turn, its results along a hidden axis."""
    rows, returned = [], None
    for k in range(level.size):
        own = [leaf.primal[k] if isinstance(leaf, Batched) and leaf.level is level else leaf for leaf in leaves]
        args, kwargs = unflatten(structure, own)
        row, returned = flatten(function(*args, **kwargs))
        rows.append(row)
    if returned is None:
        raise NoRuleError(f"{function.__name__} of integers: there is no example to learn its shape from{user_line()}")
    note_loop(function.__name__)
    return unflatten(returned, [new_batched(level, np.stack(column)) for column in zip(*rows, strict=True)])


def note_loop(name: str) -> None:
    found = _loops.get()
    if found is not None:
        found[name] += 1


_loops: ContextVar[Counter[str] | None] = ContextVar("loops", default=None)


@contextmanager
def report_loops() -> Iterator[Counter[str]]:
    """Counts, while it is entered, the primitives that `vmap` applied example by example, by their names.

    >>> from shared.batching.vmap import vmap
    >>> with report_loops() as looped:
    ...     same = vmap(lambda x: np.allclose(x, 1.0))(np.ones((3, 2)))
    >>> looped
    Counter({'allclose': 1})
    """
    found: Counter[str] = Counter()
    before = _loops.get()
    try:
        _loops.set(found)
        yield found
        _loops.set(before)
    except BaseException:
        # Again, if it was interrupted.
        _loops.set(before)
        raise


def _lifted_for(index: Any, buffer: Any, level: Batch) -> Any:
    """A buffer of all examples that can be read at the index of a tracer of a lower level."""
    while index.__class__ is NestedIndex:
        index = index.index
    parts = index if index.__class__ is tuple else (index,)
    outer = highest([part for part in parts if isinstance(part, Tracer) and part.level is not level])
    if outer is None or (isinstance(buffer, DuckArray) and buffer.level.number >= outer.level.number):
        return buffer
    return outer.lift(buffer)


def _by_index(level: Batch, parts: tuple[Any, ...], buffer: Any, value: Any) -> tuple[Any, Any]:
    """The assignment `x[parts] = value` of each example as one of all: its index and the values."""
    parts = tuple([np.asarray(part) if isinstance(part, (list, tuple)) and part else part for part in parts])
    flags = [isinstance(part, Batched) and part.level is level for part in parts]
    found = [part.primal if flag else part for part, flag in zip(parts, flags, strict=True)]
    position = batched_index(level.size, found, flags, buffer.ndim - 1, True)
    mapped = isinstance(value, Batched) and value.level is level
    if mapped or np.ndim(value):
        buffer = _lifted_for(position.whole, buffer, level)
        shape = np.shape(position.arranged(buffer[position.whole]))
        if mapped:
            value = _with_axes_of(value.primal, shape)
        elif np.ndim(value) >= len(shape):
            # It must fit each example, and not by chance all of them together.
            value = np.broadcast_to(_without_leading(value, len(shape) - 1), shape[1:])
        value = position.rearranged(np.broadcast_to(value, shape))
    return position.whole, value


def _without_leading(value: Any, rank: int) -> Any:
    """A value of the given rank, as an assignment takes it: leading axes of length 1 do not count."""
    given = np.shape(value)
    surplus = len(given) - rank
    return np.reshape(value, given[surplus:]) if all(n == 1 for n in given[:surplus]) else value


def _with_axes_of(values: Any, shape: tuple[int, ...]) -> Any:
    """The values of all examples, with axes of length 1 inserted or removed after the first, to the rank of `shape`."""
    given = np.shape(values)
    surplus = len(given) - len(shape)
    if surplus < 0:
        return np.reshape(values, (given[0],) + (1,) * -surplus + given[1:])
    if surplus and all(n == 1 for n in given[1 : 1 + surplus]):
        return np.reshape(values, (given[0], *given[1 + surplus :]))
    return values


def _by_mask(level: Batch, primitive: UpdatePrimitive, mask: Batched, buffer: Any, value: Any) -> tuple[Any, Any]:
    """The assignment `x[mask] = value` where each example has a mask of its own: one mask of all, and the values."""
    if mask.level is not level and primitive is SETITEM and not np.ndim(value):
        # The examples of this level share the mask, those of an outer one do not: a choice does for both.
        if isinstance(value, Batched) and value.level is level:
            value = np.reshape(value.primal, (level.size,) + (1,) * (np.ndim(buffer) - 1))
        reach: Any = np.reshape(mask, mask.shape + (1,) * (np.ndim(buffer) - 1 - mask.ndim))
        return Ellipsis, np.where(reach, value, buffer).astype(buffer.dtype)
    if mask.level is not level or np.ndim(value):
        raise TracerConversionError(
            f"x[mask] = value with a mask of each example of vmap takes one number{user_line()}; "
            "use x = np.where(mask, value, x)"
        )
    whole = mask.primal
    if not (isinstance(value, Batched) and value.level is level):
        return (whole,), value
    # Each element that is chosen takes the value of its example; the axes that the mask does not reach share it.
    examples = np.reshape(np.arange(level.size), (level.size,) + (1,) * (np.ndim(whole) - 1))
    chosen = value.primal[np.broadcast_to(examples, np.shape(whole))[whole]]
    return (whole,), np.reshape(chosen, (-1,) + (1,) * (np.ndim(buffer) - np.ndim(whole)))
