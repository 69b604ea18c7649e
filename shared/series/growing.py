"""Taylor coefficients from first derivatives: what serves every primitive that has no recurrence of its own.

Along a curve the derivative of y = f(x) is y'(t) = f'(x(t)) x'(t).  The rule that pushes tangents computes the right
side, and is written with functions that have rules.  So it is evaluated on series, of x and of x', which gives the
coefficients of y', and (k + 1) y_{k+1} is the coefficient k of that: Picard's iteration on power series (Moore 1966,
chapter 11).  A rule that reads only the arguments is evaluated once, at order K - 1.  One that reads the output, too,
needs of that the coefficients up to k for the coefficient k + 1, so it is evaluated at the orders 0, 1, ..., K - 1.
Which of both it is shows at order 0, where an `Unfinished` output notes whether it was asked.

Whatever is computed while a rule is evaluated is remembered until the outermost one is done (`Known`): the next order
begins where the last one ended, so that all of them together cost about what the last one costs alone; and rules that
call each other, as those of the two factors of a matrix do, do not double their work with each order.  This module
knows no calculus and no transform.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from shared.calling.seeds import has_derivative, zero_like
from shared.calling.tree import flatten, unflatten
from shared.core.assignment import ViewOf
from shared.core.edges import Like, stretch
from shared.core.errors import user_line
from shared.core.levels import Level, Tracer
from shared.core.primitive import Primitive

_ndarray = np.ndarray

#: Constants that a rule makes, such as masks, are known again by what they contain up to so many bytes.
_SMALL = 4096


class Known:
    """What is known of one result: its value, and its coefficients as far as they have been computed."""

    __slots__ = ("arguments", "asks", "found", "higher", "out", "tangents")

    def __init__(self, arguments: Any, higher: Sequence[list[Any] | None]):
        #: kept, so that no other object can come to have their identities
        self.arguments = arguments
        self.higher = higher
        self.out: Any = None
        self.found: Any = []
        #: whether the rule reads the output, so that each coefficient takes the ones before it
        self.asks = True
        #: of each argument that varies, the coefficients of its derivative
        self.tangents: list[list[Any]] = [[] for _ in higher]

    def is_of(self, higher: Sequence[list[Any] | None]) -> bool:
        """Whether it was found from the same series, as far as both go."""
        return all(
            a is b or all(p is q for p, q in zip(a, b, strict=False))  # type: ignore[arg-type]
            for a, b in zip(self.higher, higher, strict=True)
        )


def known(
    memory: dict[Any, Known] | None,
    what: Any,
    values: Sequence[Any],
    higher: Sequence[list[Any] | None],
    static: dict[str, Any],
) -> tuple[Known, bool]:
    """What is known of the result of an operation on these arguments, and whether its value is.

    Of a series two are the same if their coefficients are the same objects.
    """
    if memory is None:
        return Known(None, higher), False
    tokens = [
        _token(value) if given is None else ("a series", id(value)) for value, given in zip(values, higher, strict=True)
    ]
    key = (id(what), *tokens, *[(name, _token(value)) for name, value in static.items()])
    found = memory.get(key)
    if found is None:
        memory[key] = found = Known((what, values, static), higher)
        return found, False
    if not found.is_of(higher):
        other = memory[key] = Known(found.arguments, higher)
        other.out = found.out
        return other, True
    if any(a is not b and len(b) > len(a) for a, b in zip(found.higher, higher, strict=True)):  # type: ignore[arg-type]
        found.higher = higher
    return found, True


def _token(value: Any) -> Any:
    """What tells a constant from others: numbers and small arrays by what they are, other objects by identity."""
    if isinstance(value, (int, float, complex, str, bool, tuple, type(None))):
        try:
            hash(value)
            return type(value), repr(value)
        except TypeError:
            return id(value)
    if value.__class__ is slice:
        return slice, _token((value.start, value.stop, value.step))
    if value.__class__ is _ndarray and value.nbytes <= _SMALL:
        return value.shape, value.dtype.str, value.tobytes()
    return id(value)


def grow(
    level: Any,
    primitive: Primitive,
    known: Known,
    values: Sequence[Any],
    higher: Sequence[list[Any] | None],
    static: dict[str, Any],
) -> None:
    """Find the coefficients of the result of a primitive that are missing, by the rule that pushes tangents."""
    memory: dict[Any, Known] = {} if level.memory is None else level.memory
    order, found = level.order, known.found
    while len(found) < order:
        # What is known so far, from which the rule gives one coefficient more; or all at once.
        inner = level.inner(len(found) if known.asks else order - 1, memory)
        arguments, tangents = _along(inner, known, values, higher)
        unfinished = inner.unfinished(known.out, found[: inner.order])
        try:
            pushed = primitive.push(unfinished, arguments, tangents, static)
        except RecursionError:
            if level.memory is not None:
                raise
            raise RecursionError(
                f"{level.transform}: order={order} is too high for {primitive.name}{user_line()}, whose slope calls "
                "other functions without recurrences, each one order lower, until Python refuses: take a lower order, "
                "or raise sys.setrecursionlimit"
            ) from None
        slopes = inner.coefficients(pushed)
        found += [fitted(_over(slopes[k], k + 1), known.out) for k in range(len(found), inner.order + 1)]
        known.asks = unfinished.asked


def custom(
    level: Any,
    function: Any,
    values: list[Any],
    higher: Sequence[list[Any] | None],
    structure: Any,
    static: dict[str, Any],
) -> tuple[list[Any], list[list[Any]], Callable[[list[Any]], Any]]:
    """The outputs of a function with a rule of its own, their coefficients, and what puts them together.

    Its rule is evaluated on series in the same way; the function itself is called once, on what these begin with.
    """
    memory: dict[Any, Known] = {} if level.memory is None else level.memory
    result, is_there = known(memory, function, values, higher, static)
    if is_there and result.out[2] != structure:
        result, is_there = Known(None, higher), False
    if not is_there:
        outputs, made = flatten(function.apply(values, structure, static))
        result.out = outputs, partial(unflatten, made), structure
    outputs, output, _ = result.out
    found = result.found or [[] for _ in outputs]
    if outputs and len(found[0]) < level.order:
        inner = level.inner(level.order - 1, memory)
        arguments, tangents = _along(inner, result, values, higher)
        evaluation = function.evaluation(arguments, structure, static, Level(function.name))
        for out, have, pushed in zip(outputs, found, evaluation.push(tangents), strict=True):
            slopes = inner.coefficients(pushed if has_derivative(out) else None)
            for slope in slopes:
                # To the series of the rule, those of the function around it would be constants.
                if isinstance(slope, Tracer) and slope.level.number >= level.number:
                    raise function.closed_over(level, "its rule")
            have += [fitted(_over(slopes[k], k + 1), out) for k in range(len(have), level.order)]
        result.found = found
    return outputs, [have[: level.order] for have in found], output


def _along(
    inner: Any, known: Known, values: Sequence[Any], higher: Sequence[list[Any] | None]
) -> tuple[list[Any], list[Any]]:
    """The arguments as series of a lower order, and their derivatives along the curve, which are series as well."""
    arguments: list[Any] = []
    tangents: list[Any] = []
    for value, given, slopes in zip(values, higher, known.tangents, strict=True):
        if given is None:
            arguments.append(value)
            tangents.append(None)
            continue
        arguments.append(inner.series(value, given[: inner.order]))
        for k in range(len(slopes), inner.order + 1):
            slopes.append(given[k] if given[k] is None or k == 0 else (k + 1) * given[k])
        if slopes[0] is None:
            slopes[0] = zero_like(value)
        tangents.append(inner.series(slopes[0], slopes[1 : inner.order + 1]))
    return arguments, tangents


def _over(slope: Any, k: int) -> Any:
    return slope if slope is None or k == 1 else slope / k


def fitted(coefficient: Any, out: Any) -> Any:
    """A coefficient in the shape and dtype of the value of its series; None for zero."""
    if coefficient is None:
        return None
    kind = out.__class__
    if kind is _ndarray and coefficient.__class__ is _ndarray:
        if coefficient.shape == out.shape and coefficient.dtype is out.dtype:
            return coefficient
    elif kind is float or kind is complex:
        return kind(coefficient) if isinstance(coefficient, (np.generic, _ndarray)) else coefficient
    if isinstance(coefficient, ViewOf):
        # A lower level's view would go stale with its base, which this result does not share.
        coefficient = coefficient.twin()  # type: ignore[attr-defined]
    return stretch(coefficient, Like(out))
