"""The tracer of Taylor mode: a truncated power series, whose coefficients are propagated through every primitive.

A `Series` stands for a curve c_0 + c_1 t + ... + c_K t^K.  Its coefficients are values of lower levels: arrays,
numbers, or what other differentiations, batches and records trace.  A primitive gives the coefficients of its result

    by pushing each one, where it is linear in what varies;
    by the sum of Leibniz, where it is linear in each of several arguments;
    by a recurrence of its own (`shared.series.recurrences`: Griewank & Walther 2008, section 13.2);
    otherwise by its first derivative, along the curve (`shared.series.growing`).

So whatever has a rule in the registry has Taylor coefficients of any order.  None stands for a coefficient that is
zero because nothing is there, and costs nothing.  This module knows no transform and no engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from shared.calling.seeds import has_derivative
from shared.core.assignment import UpdatePrimitive
from shared.core.duck_array import DuckArray, captured, captures_within, conformed
from shared.core.errors import closed
from shared.core.facets import Jointly
from shared.core.levels import Level, bind
from shared.core.primitive import Primitive
from shared.core.views import standing_for
from shared.core.writing import lasting, writable, write
from shared.series.growing import Known, custom, fitted, grow, known
from shared.series.recurrences import RECURRENCES


class SeriesLevel(Level):
    """The level of series of one order: what is beyond it is not known."""

    __slots__ = ("average", "memory", "order")

    def __init__(
        self,
        transform: str,
        order: int,
        memory: dict[Any, Known] | None = None,
        average: Callable[[Any], Any] | None = None,
    ):
        super().__init__(transform)
        self.order = order
        #: what the last coefficients are replaced by, which nothing but themselves depends on, and that linearly:
        #: where only their average over many directions is asked for, that is all that need be propagated
        self.average = average
        #: of a level within a rule: what has been computed there at lower orders (see `shared.series.growing`)
        self.memory = memory

    def series(self, primal: Any, higher: Sequence[Any] = ()) -> Series:
        """The series that begins with some coefficients; the others are zero."""
        return Series(self, primal, [*higher, *[None] * (self.order - len(higher))])

    def result(self, out: Any, found: Sequence[Any]) -> Series:
        """What was computed: a value and its coefficients."""
        higher = list(found)
        if self.average is not None and higher:
            higher[-1] = self.average(higher[-1])
        return Series(self, out, higher)

    def inner(self, order: int, memory: dict[Any, Known]) -> SeriesLevel:
        """The level on which a rule is evaluated."""
        return SeriesLevel(self.transform, order, memory)

    def unfinished(self, out: Any, higher: list[Any]) -> Unfinished:
        """A result of which no more than these coefficients are known, as a rule reads it."""
        return Unfinished(self, out, higher)

    def coefficients(self, value: Any) -> list[Any]:
        """The coefficients 0, 1, ..., K of what was computed on this level; of a constant, which may be None, too."""
        if isinstance(value, Series) and value.level is self:
            return [value.primal, *value.higher]
        return [value, *[None] * self.order]

    def call_custom(self, function: Any, leaves: list[Any], structure: Any, static: dict[str, Any]) -> Any:
        if self.closed:
            raise closed(next(leaf for leaf in leaves if isinstance(leaf, Series) and leaf.level is self))
        own = [isinstance(a, Series) and a.level is self for a in leaves]
        values = [a.primal if mine else a for a, mine in zip(leaves, own, strict=True)]
        higher = [_read(a) if mine else None for a, mine in zip(leaves, own, strict=True)]
        outputs, found, output = custom(self, function, values, higher, structure, static)
        return output(
            [
                self.result(out, coefficients) if has_derivative(out) else out
                for out, coefficients in zip(outputs, found, strict=True)
            ]
        )


class Series(DuckArray):
    """A truncated power series: `primal` is its value, `higher` are the coefficients of t, t^2, ..., None for zero."""

    __slots__ = ("higher",)
    higher: list[Any]

    def __init__(self, level: Any, primal: Any, higher: list[Any]):
        self.level = level
        self.primal = primal
        self.higher = higher

    def process(self, primitive: Primitive, args: tuple[Any, ...], static: dict[str, Any]) -> Any:
        values, own = self.operands(primitive, args)
        if primitive.constant:
            return bind(primitive, tuple(values), static)
        level, higher = self.level, [_read(a) if mine else None for a, mine in zip(args, own, strict=True)]
        result, is_there = known(level.memory, primitive, values, higher, static)
        if not is_there:
            result.out = bind(primitive, tuple(values), static)
        if len(result.found) < level.order:
            _extend(level, primitive, result, values, higher, static)
        return standing_for(level.result(result.out, result.found[: level.order]), primitive, args)

    # --- assignment ---

    def lift(self, value: Any) -> Series:
        return self.level.series(captured(value, self.primal))  # type: ignore[no-any-return]

    def twin(self) -> Series:
        # A list of its own: who writes to a coefficient asks how many hold it.
        return Series(self.level, self.primal, list(self.higher))

    def become(self, other: Any) -> None:
        self.primal, self.higher = other.primal, list(other.higher)

    def update(self, primitive: UpdatePrimitive, value: Any, index: Any) -> None:
        if self.level.closed:
            raise closed(self)
        given: Sequence[Any] = [None] * self.level.order
        if isinstance(value, Series) and value.level is self.level:
            value, given = value.primal, value.higher
        captures = captures_within(self)
        if captures is not None:
            index = lasting(index, captures.index)
        # An index that does not fit raises here, when nothing has changed yet.
        primal = write(writable(self, "primal"), primitive, index, value)
        higher, slot = self.higher, _Slot()
        for k, part in enumerate(given):
            if part is None and higher[k] is None:
                continue
            slot.held, higher[k] = np.zeros_like(primal) if higher[k] is None else higher[k], None
            higher[k] = write(writable(slot, "held"), primitive, index, 0.0 if part is None else part)  # type: ignore[arg-type]
        self.primal = primal

    def conformed(self, derivative: Any, leaf: Any) -> Any:
        made = conformed(derivative, leaf)
        if isinstance(made, Series):
            made.higher = [None if c is None else conformed(c, leaf) for c in made.higher]
        return made

    def __repr__(self) -> str:
        return f"Series({self.primal!r}, higher={self.higher!r}, level {self.level.number})"


class Unfinished(Series):
    """What a rule is given as the output, while that is being computed; `asked` says whether its series was needed."""

    __slots__ = ("asked",)

    def __init__(self, level: Any, primal: Any, higher: list[Any]):
        super().__init__(level, primal, higher)
        self.asked = False

    def twin(self) -> Series:
        self.asked = True
        return Series.twin(self)


class _Slot:
    """Holds one coefficient while it is written, as the slot of a tracer does."""

    __slots__ = ("held",)
    held: Any


def _read(series: Series) -> list[Any]:
    """The coefficients of an argument, noted if that is a result which is not known yet."""
    if isinstance(series, Unfinished):
        series.asked = True
    return series.higher


def _extend(
    level: Any,
    primitive: Primitive,
    result: Known,
    values: list[Any],
    higher: list[list[Any] | None],
    static: dict[str, Any],
) -> None:
    """Find the coefficients of a result that are missing."""
    order, out, found = level.order, result.out, result.found
    own = [k for k, given in enumerate(higher) if given is not None and any(c is not None for c in given)]
    varying = [given if k in own else None for k, given in enumerate(higher)]
    linear = primitive.linear
    missing: Sequence[Any]
    if not own:
        missing = [None] * (order - len(found))
    elif all(k in linear for k in own):
        if len(own) == 1 or isinstance(linear, Jointly):
            missing = [
                None if all(t is None for t in tangents) else primitive.push(out, values, tangents, static)
                for tangents in ([given and given[k] for given in varying] for k in range(len(found), order))
            ]
        else:
            missing = _leibniz(len(found), order, primitive, values, varying, own, static)
    else:
        row = RECURRENCES.get(primitive.function)
        series = [[value, *(given or [None] * order)] for value, given in zip(values, varying, strict=True)]
        all_of_them = None if row is None else row(order, out, *series)
        if all_of_them is None:
            grow(level, primitive, result, values, varying, static)
            return
        missing = all_of_them[1 + len(found) :]
    found += [fitted(c, out) for c in missing]


def _leibniz(
    start: int,
    order: int,
    primitive: Primitive,
    values: list[Any],
    higher: list[list[Any] | None],
    own: list[int],
    static: dict[str, Any],
) -> list[Any]:
    """What is linear in each of several series: the sum over all that orders can add up to."""
    totals: list[Any] = [None] * (order + 1)
    series = [[values[k], *(higher[k] or ())] for k in own]
    present = [[j for j, c in enumerate(given) if c is not None] for given in series]
    arguments = list(values)
    for orders in product(*present):
        k = sum(orders)
        if start < k <= order:
            for position, given, j in zip(own, series, orders, strict=True):
                arguments[position] = given[j]
            term = bind(primitive, tuple(arguments), static)
            totals[k] = term if totals[k] is None else totals[k] + term
    return totals[start + 1 :]
