"""The duck array: an object that NumPy code takes for an array, and that binds every operation to its level.

It answers NumPy's two protocols (`__array_ufunc__`, `__array_function__`), so users differentiate plain NumPy code.  It
knows no calculus, and nothing of what a level does with an operation: an engine is a subclass that says so in `process`
and `update`.  Shapes, dtypes and what is refused are in `shared.core.described`, how assignments write is in
`shared.core.writing`, views are in `shared.core.views`; `shared.rules.operators` fills in operators and methods.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from shared.core.assignment import SETITEM, UpdatePrimitive, ViewOf
from shared.core.constants import KINDS, as_kind
from shared.core.described import Described
from shared.core.errors import closed, float_as_integer, no_rule, stopped_halfway, unsupported_keyword, user_line
from shared.core.lazy import load_rules_of
from shared.core.levels import Tracer, bind
from shared.core.primitive import Primitive
from shared.core.registry import REGISTRY
from shared.core.visible import kind_of, shown

#: Entries for ufunc methods: UFUNC_METHODS[np.add, "reduce"]
UFUNC_METHODS: dict[tuple[np.ufunc, str], Callable[..., Any]] = {}

#: NumPy's functions that make an array from nothing; with `like=tracer` they make a traced one
CREATION = frozenset((
    "zeros", "ones", "empty", "full", "eye", "identity", "arange", "tri", "fromfunction",
    "array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray", "fromiter", "require",
))  # fmt: skip
#: those among them that make it of values, which may be traced
OF_VALUES = frozenset((
    "array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray", "fromiter", "require",
))  # fmt: skip

#: the tracer of other libraries' arrays, once there is one (`shared.core.foreign`)
LIBRARIES: list[Any] = []

_NUMBERS = (int, float, complex, np.generic)
_WITHOUT_AXES = np.zeros(())
_PLAIN = (*_NUMBERS, np.ndarray)
_TAKEN = (Tracer, *_PLAIN)

#: The types that the hot paths accept as constants without asking further.
CONSTANT_TYPES = frozenset((int, float, np.ndarray, np.float64))


class DuckArray(Described):
    """A traced value: `primal` is what it stands for, a plain value or a tracer of a lower level."""

    __slots__ = ("primal",)
    #: the array that a level holds which does without views of its own, so that NumPy's tell what is a view of what
    plain_memory: Any = None
    __array_priority__ = 1000.0
    #: larger than that of pandas' own classes, which leave operators to this one
    __pandas_priority__ = 4500
    primal: Any

    # --- what an engine provides ---

    def lift(self, value: Any) -> DuckArray:
        """`value`, of a lower level, as a tracer of this one whose derivative is zero."""
        raise NotImplementedError

    def conformed(self, derivative: Any, leaf: Any) -> Any:
        """The derivative of a leaf, one of which is this, as the kind of number (Python's or NumPy's) the leaf is."""
        return conformed(derivative, leaf)

    def update(self, primitive: UpdatePrimitive, value: Any, index: Any) -> None:
        """Change this tracer by `primitive` (assign or add at `index`), in place where nobody else would notice."""
        raise NotImplementedError

    def can_hold(self, value: DuckArray) -> bool:
        """Whether `value` can be written into this as it is, and not only into what `value.lift` makes of this."""
        held: bool = value.level.number <= self.level.number
        return held

    def twin(self) -> DuckArray:
        """Another tracer that stands for the same value."""
        raise NotImplementedError

    def new_like(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> DuckArray:
        """What `np.zeros_like` or one of its kin makes of this: a tracer that can be assigned to."""
        return self.lift(function(self.primal, *args, **kwargs))

    def become(self, other: DuckArray) -> None:
        """Stand for what `other` stands for from now on."""
        raise NotImplementedError

    #: `ufunc_method(ufunc, method)`: what `ufunc.reduce` and its kin do; None if that has no rule.
    ufunc_method: Callable[..., Any]
    #: `ufunc_with_keywords(ufunc, inputs, kwargs, where, dtype, casting)`: a call of a ufunc with these keywords.
    ufunc_with_keywords: Callable[..., Any]

    #: `of_library(value)`: an array of another library as a tracer; another value as it is (`shared.core.foreign`).
    of_library: Callable[[Any], Any]

    #: `like.made_of(function, values, ...)`: what `np.array(values, like=like)` and its kin make of traced values.
    made_of: Callable[..., Any]

    @staticmethod
    def binary(primitive: Primitive, x: Any, y: Any) -> Any:
        """Process an elementwise primitive of two arguments; an engine may have a faster way."""
        return bind_two(primitive, x, y)

    def operands(self, primitive: Primitive, args: tuple[Any, ...]) -> tuple[list[Any], list[bool]]:
        """The arguments of a primitive that this level processes, as it finds them one level below.

        Those of this level are unwrapped, and flagged in the second list; others are made what rules take.
        """
        level, beside = self.level, self.primal
        if level.closed:
            raise closed(self)
        values, own = [], []
        for a in args:
            mine = isinstance(a, DuckArray) and a.level is level
            own.append(mine)
            if mine:
                a = a.primal
            elif not primitive.constant:
                a = captured(operand(a), beside)
            values.append(a)
        return values, own

    # --- NumPy's protocols ---

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs:
            entry: Any = REGISTRY.get(ufunc) or _entry_of(ufunc)
            return self.binary(entry, *inputs) if entry.is_binary else entry.call(inputs, kwargs)
        if any(o is not None for o in kwargs.pop("out", ())):
            raise unsupported_keyword(_named(ufunc), "out")
        if method != "__call__":
            entry = UFUNC_METHODS.get((ufunc, method)) or self.ufunc_method(ufunc, method)
            if entry is None:
                raise no_rule(f"{_named(ufunc)}.{method}")
            return entry(*inputs, **kwargs)
        entry = REGISTRY.get(ufunc) or _entry_of(ufunc)
        where, dtype, casting = kwargs.pop("where", True), kwargs.pop("dtype", None), kwargs.pop("casting", "same_kind")
        for keyword, neutral in (("order", "K"), ("subok", True)):
            if kwargs.pop(keyword, neutral) != neutral:
                raise unsupported_keyword(_named(ufunc), keyword)
        if where is not True or dtype is not None or casting != "same_kind":
            return self.ufunc_with_keywords(ufunc, inputs, kwargs, where, dtype, casting)
        return entry.call(inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        entry = REGISTRY.get(func)
        if entry is None:
            if func.__name__ in CREATION and func is getattr(np, func.__name__):
                return self._created(func, args, kwargs)
            raise no_rule(f"{func.__module__.replace('numpy', 'np')}.{func.__name__}")
        if kwargs.get("out") is not None:
            raise unsupported_keyword(f"np.{func.__name__}", "out")
        return entry.call(args, kwargs)

    def _created(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A new array at this level, with derivative zero, so that it can be assigned to."""
        first = args[0] if args else None
        parts = first if first.__class__ is tuple or first.__class__ is list else (first,)
        if function.__name__ not in OF_VALUES and any(isinstance(part, DuckArray) for part in parts):
            raise float_as_integer("a shape")
        if function is np.full:
            fill_value = args[1] if len(args) > 1 else kwargs.get("fill_value")
            if isinstance(fill_value, DuckArray):
                return highest((self, fill_value))._filled(*args, **kwargs)
        if function.__name__ in OF_VALUES:
            made = self.made_of(function, *args, **kwargs)
            if made is not NotImplemented:
                return made
        if isinstance(self.primal, DuckArray):
            return self.lift(function(*args, like=self.primal, **kwargs))
        new = function(*args, **kwargs)
        if isinstance(new, DuckArray):
            return new  # what a function of indices made of traced values
        return self.lift(new) if new.dtype.kind in "fc" else new

    def _filled(self, shape: Any, fill_value: Any, dtype: Any = None, order: Any = "C", **rest: Any) -> Any:
        filled = self._created(np.empty, (shape, fill_value.dtype if dtype is None else dtype, order), rest)
        filled[...] = fill_value
        return filled

    # --- assignment, with NumPy's meaning ---

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, DuckArray):
            if isinstance(value, ViewOf) and value.writes_back(self, index):
                return  # the end of `x[i] += v`: the view has written itself back already
            if value.level.number > self.level.number:
                self.level.join(self, value.level)
        if index.__class__ is tuple or isinstance(index, DuckArray):
            inner = highest(index if index.__class__ is tuple else (index,))
            if inner is not None and inner.level.number > self.level.number:
                self.level.join(self, inner.level)
        if not self.is_array:
            raise TypeError("a traced scalar does not support item assignment")
        try:
            self.update(SETITEM, value, index)
        except BaseException as error:
            _spoil_if_stopped(self, error)
            raise

    def replace(self, result: Any) -> Any:
        """The end of `x += v`: an array takes the result as its new contents, a number becomes a new number."""
        if not self.is_array:
            return result
        if not isinstance(result, DuckArray) or result.level is not self.level:
            if isinstance(result, Tracer) and result.level.number > self.level.number:
                self.level.join(self, result.level)
            else:
                result = self.lift(result)
        if result.shape != self.shape:
            raise ValueError(
                f"non-broadcastable output operand with shape {self.shape} doesn't match the broadcast "
                f"shape {result.shape}"
            )
        if result.dtype != self.dtype:
            if not np.can_cast(result.dtype, self.dtype, "same_kind"):
                raise TypeError(f"cannot assign a result of dtype {result.dtype} in place to {self.dtype}")
            result = result.astype(self.dtype)
        if not result.shape:
            # NumPy's sum of two arrays without axes is a scalar, but in place it stays an array.
            result = result.conformed(result, _WITHOUT_AXES)
        try:
            self.become(result)
        except BaseException as error:
            _spoil_if_stopped(self, error)
            raise
        return self


def conformed(derivative: Any, leaf: Any) -> Any:
    """The derivative of a leaf as the kind of number that the leaf is, below every level that differentiates.

    Kinds promote in different ways, and a derivative may be computed with in turn: that of a Python float beside
    single precision is a Python float, inside of another differentiation, too.
    """
    if isinstance(derivative, DuckArray):
        while isinstance(leaf, DuckArray) and leaf.level.number >= derivative.level.number:
            leaf = leaf.primal
        made = derivative.twin()
        for name in ("primal", "tangent"):
            part = getattr(made, name, None)
            if part is not None:
                # A level below may have its own way: a record notes it, a batch has no kind of number.
                setattr(
                    made, name, part.conformed(part, leaf) if isinstance(part, DuckArray) else conformed(part, leaf)
                )
        return made
    while isinstance(leaf, DuckArray):
        leaf = leaf.primal
    kind = leaf.__class__
    return derivative if kind not in KINDS or np.ndim(derivative) else as_kind(derivative, kind=kind)


def _named(ufunc: np.ufunc) -> str:
    """A ufunc as a user writes it; not all are NumPy's."""
    name = ufunc.__name__
    return f"np.{name}" if getattr(np, name, None) is ufunc else f"the ufunc {name}"


def _entry_of(ufunc: np.ufunc) -> Any:
    """The entry of a ufunc whose rules are loaded when it is first met; it is an error if there is none."""
    load_rules_of(ufunc)
    entry = REGISTRY.get(ufunc)
    if entry is None:
        raise no_rule(_named(ufunc))
    return entry


def operand(value: Any) -> Any:
    """A constant argument as rules take it: lists become arrays, what is no number is refused."""
    if isinstance(value, (np.matrix, np.ma.MaskedArray)):
        raise TypeError(
            f"a {kind_of(value)} cannot be an operand of a differentiated operation{user_line()}: its operators "
            "or its mask mean something else; use np.asarray(x), or x.filled(value)"
        )
    if isinstance(value, _PLAIN) or value is None or value is Ellipsis or isinstance(value, slice):
        return value
    if isinstance(value, Tracer):
        return value
    if hasattr(value, "__array_ufunc__"):
        from shared.core.pandas_views import has_labels, without_labels

        return without_labels(value) if has_labels(value.__class__) else of_any_library(value)
    if hasattr(value, "__array_namespace__"):
        return of_any_library(value)
    if isinstance(value, (list, tuple)):
        value = np.asarray(value)
        if value.dtype.kind in "biufc":
            return value
    raise TypeError(f"{shown(value)} cannot be an operand of a differentiated operation: expected a number or an array")


def of_any_library(value: Any) -> Any:
    """An array of another library as a tracer, which computes with that; any other value as it is."""
    if hasattr(value, "__array_function__") or hasattr(value, "__array_namespace__"):
        return DuckArray.of_library(value)
    return value


def bind_two(primitive: Primitive, x: Any, y: Any) -> Any:
    """`bind` for two arguments, unless one has labels (xarray, pandas): what that makes of the operation."""
    other = y if isinstance(x, Tracer) else x
    if not isinstance(other, _TAKEN) and hasattr(other, "__array_ufunc__"):
        from shared.core.pandas_views import beside_labels, has_labels

        if has_labels(other.__class__):
            return beside_labels(primitive.function, (x, y))
    return bind(primitive, (x, y), {})


def captured(value: Any, by: Any) -> Any:
    """A plain array that meets the value `by`: if `by` belongs to a record, the record's own reading of that array.

    A record reads arrays from outside anew in each run.  Any other operand is returned as it is.
    """
    if value.__class__ is not np.ndarray or not isinstance(by, DuckArray):
        return value
    captures = captures_within(by)
    return value if captures is None else captures.captured(value)


def captures_within(value: Any) -> Any:
    """What keeps the arrays that a derivative of a value captures (`Level.captures`); None if no level says."""
    while isinstance(value, DuckArray):
        found = value.level.captures()
        if found is not None:
            return found
        value = value.primal
    return None


def seed_of(value: Any, seed: Any) -> Any:
    """A plain seed of a derivative of `value`, as the levels of that want to see it (`Level.seed`)."""
    while isinstance(value, DuckArray):
        found = value.level.seed(seed)
        if found is not None:
            return found
        value = value.primal
    return seed


class _Stopped:
    """Stands in place of the level of an array to which an assignment was made in part."""

    def __getattr__(self, name: str) -> NoReturn:
        raise stopped_halfway("an assignment")


def _spoil_if_stopped(array: Any, error: BaseException) -> None:
    """Let nobody use an array, or the base of a view, of which an interrupted assignment may have changed a part.

    What raises otherwise (an index that does not fit) has changed nothing.
    """
    if isinstance(error, Exception) and not isinstance(error, MemoryError):
        return
    while isinstance(array, ViewOf):
        array.level = _STOPPED  # type: ignore[attr-defined]
        array = array.base
    if isinstance(array, DuckArray):
        array.level = _STOPPED


_STOPPED: Any = _Stopped()


def highest(values: Any) -> Any:
    """The tracer of the highest level among some values, None if none is a tracer."""
    top = None
    for value in values:
        if isinstance(value, DuckArray) and (top is None or value.level.number > top.level.number):
            top = value
    return top
