"""Taylor coefficients from first derivatives: what serves every primitive that has no recurrence of its own.

Along a curve the derivative of y = f(x) is y'(t) = f'(x(t)) x'(t).  The rule that pushes tangents computes the right
side, and is written with functions that have rules.  So it is evaluated on series, of x and of x', which gives the
coefficients of y', and (k + 1) y_{k+1} is the coefficient k of that: Picard's iteration on power series (Moore 1966,
chapter 11).  A rule that reads only the arguments is evaluated once, at order K - 1.  One that reads the output, too,
needs of that the coefficients up to k for the coefficient k + 1, so it is evaluated at the orders 0, 1, ..., K - 1: a
factor of K / 3 more.  Which of both it is shows at order 0, where an `Unfinished` output notes whether it was asked.

Rules call each other: the slope of the factor q of a matrix is made of both factors, and that of r as well.  What one
rule has found at a lower order is kept for the others, or this would double with each order.  This module knows no
calculus and no transform.
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
from shared.core.levels import Level, Tracer
from shared.core.primitive import Primitive

_ndarray = np.ndarray


class Grown:
    """The coefficients of one result as far as they are known, and what they were found from."""

    __slots__ = ("asks", "found", "higher", "static", "values")

    def __init__(self, values: Sequence[Any], higher: Sequence[list[Any] | None], static: dict[str, Any]):
        self.values = values
        self.static = static
        self.higher = higher
        self.found: list[Any] = []
        #: whether the rule reads the output, so that each coefficient takes the ones before it
        self.asks = True

    def is_of(self, higher: Sequence[list[Any] | None]) -> bool:
        """Whether it was found from these series, as far as both go."""
        return all(
            a is b or (a is not None and b is not None and all(p is q for p, q in zip(a, b, strict=False)))
            for a, b in zip(self.higher, higher, strict=True)
        )


def grown(
    level: Any,
    primitive: Primitive,
    out: Any,
    values: Sequence[Any],
    higher: Sequence[list[Any] | None],
    static: dict[str, Any],
) -> list[Any]:
    """The coefficients 1, ..., K of the result of a primitive, from the rule that pushes tangents."""
    memory: dict[Any, Grown] = {} if level.grown is None else level.grown
    known = _known(memory, primitive, values, higher, static)
    order, found = level.order, known.found
    while len(found) < order:
        # What is known so far, from which the rule gives one coefficient more; or all at once.
        inner = level.inner(len(found) if known.asks else order - 1, memory)
        arguments, tangents = _along(inner, values, higher)
        unfinished = inner.unfinished(out, found[: inner.order])
        pushed = primitive.push(unfinished, arguments, tangents, static)
        slopes = inner.coefficients(pushed)
        found += [fitted(_over(slopes[k], k + 1), out) for k in range(len(found), inner.order + 1)]
        known.asks = unfinished.asked
    return found[:order]


def _known(
    memory: dict[Any, Grown],
    primitive: Primitive,
    values: Sequence[Any],
    higher: Sequence[list[Any] | None],
    static: dict[str, Any],
) -> Grown:
    """What is known of this result, by whoever asked for it before, perhaps to another order."""
    # What is found is kept with its arguments, so that no other object can come to have their identities.
    key = (id(primitive), *map(id, values), *[(name, _token(value)) for name, value in static.items()])
    known = memory.get(key)
    if known is None or not known.is_of(higher):
        known = memory[key] = Grown(values, higher, static)
    return known


def _token(value: Any) -> Any:
    """What tells a keyword's value from others: itself and its type, or its identity."""
    try:
        hash(value)
    except TypeError:
        return id(value)
    return type(value), value


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
    if not level.order:
        outputs, made = flatten(function.apply(values, structure, static))
        return outputs, [[] for _ in outputs], partial(unflatten, made)
    inner = level.inner(level.order - 1, level.grown)
    arguments, tangents = _along(inner, values, higher)
    evaluation = function.evaluation(arguments, structure, static, Level(function.name))
    outputs = [inner.coefficients(out)[0] for out in evaluation.outputs]
    found = []
    for out, pushed in zip(outputs, evaluation.push(tangents), strict=True):
        slopes = inner.coefficients(pushed if has_derivative(out) else None)
        for slope in (out, *slopes):
            # To the series of the rule, those of the function around it would be constants.
            if isinstance(slope, Tracer) and slope.level.number >= level.number:
                raise function.closed_over(level, "its rule")
        found.append([_over(slope, k + 1) for k, slope in enumerate(slopes)])
    return outputs, found, evaluation.output


def _along(inner: Any, values: Sequence[Any], higher: Sequence[list[Any] | None]) -> tuple[list[Any], list[Any]]:
    """The arguments as series of a lower order, and their derivatives along the curve, which are series as well."""
    arguments, tangents = [], []
    for value, given in zip(values, higher, strict=True):
        if given is None:
            arguments.append(value)
            tangents.append(None)
            continue
        arguments.append(inner.series(value, given[: inner.order]))
        first, *rest = [c if c is None or k == 0 else (k + 1) * c for k, c in enumerate(given[: inner.order + 1])]
        tangents.append(inner.series(zero_like(value) if first is None else first, rest))
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
