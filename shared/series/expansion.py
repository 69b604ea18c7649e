"""A function evaluated on a curve: the Taylor coefficients of what it returns, and derivatives of high order.

This module knows containers, arguments and series, and nothing of how a series goes through a primitive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from shared.calling.arguments import (
    Argnums,
    Selection,
    as_leaf,
    refuse_iterators,
    scalar_input,
    scalar_output,
)
from shared.calling.jacobians import complex_derivative
from shared.calling.results import CAREFUL, has_nan, primal_of, require_numbers, split_aux, strip
from shared.calling.seeds import floating, is_complex, one_of, seeded
from shared.calling.tree import flatten, unflatten
from shared.core.errors import ShapeError, user_line
from shared.core.levels import attempt
from shared.core.visible import kind_of, shown
from shared.series.truncated import Series, SeriesLevel

Function = Callable[..., Any]


def taylor(
    f: Function,
    x: Any,
    v: Any,
    order: int,
    has_aux: bool = False,
    *,
    argnums: Argnums | None = None,
    higher: Sequence[Any] = (),
) -> Any:
    """The Taylor coefficients [c_0, c_1, ..., c_order] of `f(x + t v)` at t = 0, in one evaluation of `f`.

    `v` has the structure and shapes of `x`, and each coefficient those of the output, whose shapes and dtypes it has:
    f(x + t v) = c_0 + c_1 t + c_2 t^2 + ....  The coefficients are plain: the derivative of order k along v is k! c_k.
    (They stay small where derivatives overflow, as factorials do; scale what is needed, at the end.)

    `higher` are further coefficients of the curve on which `f` is evaluated, x + t v + t^2 higher[0] + ..., each in the
    structure of `x`; without them it is a line.  With `argnums`, `x` is a sequence of all arguments of `f`; `v`
    and those of `higher` belong to the one that it names (by position or name), or are sequences in its order.  With
    `has_aux` the result is `(coefficients, aux)`.

    At kinks and ties coefficients are those of nested first derivatives; where a derivative does not exist, they are
    infinite or NaN.

    Cost: one evaluation, whose operations count O(order^2) each: a product of two series is a convolution.  What is
    linear takes `order` evaluations; a function without a recurrence of its own is expanded by its rule, in O(order^2)
    to O(order^3).  Nested differentiations take a factor for each order.  Raises ValueError or TypeError for an order
    that is no integer from 0 on, or more coefficients of the curve than the order; ShapeError for one that does not fit
    `x`.

    >>> import numpy as np
    >>> taylor(np.exp, 0.0, 1.0, 3)
    [np.float64(1.0), np.float64(1.0), np.float64(0.5), np.float64(0.16666666666666666)]
    >>> taylor(lambda x: 1 / (1 - x), 0.0, 1.0, 20)[20]
    1.0
    >>> taylor(lambda x, y: x * y, (2.0, np.ones(2)), 1.0, 2, argnums=0)
    [array([2., 2.]), array([1., 1.]), array([0., 0.])]
    >>> taylor(np.square, 1.0, 0.0, 2, higher=[3.0])  # of 1 + 3 t^2
    [np.float64(1.0), np.float64(0.0), np.float64(6.0)]

    Source: Griewank & Walther 2008, Evaluating Derivatives, chapter 13; Bettencourt, Johnson & Duvenaud 2019,
    Taylor-mode automatic differentiation for higher-order derivatives in JAX.
    """
    name = "taylor"
    order = checked_order(name, order)
    if not hasattr(higher, "__len__"):
        raise TypeError(
            f"{name}: higher is a {kind_of(higher)}{user_line()}, but has to be a list of coefficients of the curve, "
            "of t^2, t^3, ..., each in the structure of x"
        )
    if argnums is not None and not isinstance(x, (list, tuple)):
        raise ShapeError(
            f"{name}: with argnums, x is a sequence of all arguments of the function, not a {kind_of(x)}{user_line()}; "
            f"write {name}(f, (x, ...), v, order, argnums=...)"
        )
    if len(higher) > max(order - 1, 0):
        raise ValueError(
            f"{name}: the curve is given by {len(higher) + 1} coefficients beside x{user_line()}, but order={order} "
            f"has no use for more than {order}; give a higher order, or fewer of them"
        )
    primals, chosen = ((x,), 0) if argnums is None else (tuple(x), argnums)
    selection = Selection(name, f, primals, {}, chosen)
    curve = [selection.unpack(name, part) for part in (v, *higher)]
    found = Expansion(name, selection, [list(column) for column in zip(*curve, strict=True)], order, has_aux)
    coefficients = [found.coefficient(k) for k in range(order + 1)]
    return (coefficients, found.aux) if has_aux else coefficients


def checked_order(name: str, order: Any) -> int:
    """An order as an int; refuse what is none, or negative."""
    if isinstance(order, bool) or not isinstance(order, (int, np.integer)):
        raise TypeError(f"{name}: order must be an integer, not {shown(order)}{user_line()}")
    if order < 0:
        raise ValueError(f"{name}: order={order}{user_line()}, but a derivative has the order 0 (the value), 1, 2, ...")
    return int(order)


class Expansion:
    """One evaluation of a function on a curve: `outputs`, and of each its coefficients 1, 2, ..., order in `higher`."""

    __slots__ = ("aux", "higher", "outputs", "structure")
    aux: Any
    higher: list[list[Any]]
    outputs: list[Any]
    structure: Any

    def __init__(
        self,
        name: str,
        selection: Selection,
        curve: Sequence[Sequence[Any]],
        order: int,
        has_aux: bool = False,
        scalar: bool = False,
        average: Callable[[Any], Any] | None = None,
    ):
        """`curve` has a list of coefficients for each leaf, None for zero; `average` is that of a `SeriesLevel`."""

        def run() -> Expansion:
            self._run(name, selection, curve, order, has_aux, scalar, average)
            return self

        def run_carefully() -> Expansion:
            refuse_iterators(name, selection.args, selection.kwargs)
            again = object.__new__(Expansion)
            again._run_carefully(name, selection, curve, order, has_aux, scalar, average)
            return again

        care = CAREFUL.get()
        if care:
            self._take(attempt(run_carefully, lambda error: run()))
            return
        run()
        if care is None and any(has_nan(coefficients) for coefficients in self.higher):
            from shared.calling.careful import instead

            self._take(instead(self, run_carefully, lambda found: found.outputs))

    def _take(self, other: Expansion) -> None:
        self.outputs, self.structure, self.higher, self.aux = other.outputs, other.structure, other.higher, other.aux

    def _run(
        self,
        name: str,
        selection: Selection,
        curve: Sequence[Sequence[Any]],
        order: int,
        has_aux: bool,
        scalar: bool,
        average: Callable[[Any], Any] | None,
    ) -> None:
        level = SeriesLevel(name, order, average=average)
        try:
            series = [
                level.series(leaf, [c if c is None else seeded(leaf, c) for c in given[:order]])
                for leaf, given in zip(selection.leaves, curve, strict=True)
            ]
            out, aux = split_aux(name, selection.call(series), has_aux)
            if scalar:
                out = scalar_output(name, out)
            leaves, self.structure = flatten(out)
            require_numbers(name, leaves)
            self.outputs = [primal_of(o, level) for o in leaves]
            self.higher = [
                [as_leaf(c, floating(primal)) for c in (o.higher if _is_of(o, level) else [None] * order)]
                for o, primal in zip(leaves, self.outputs, strict=True)
            ]
            self.aux = strip(aux, level) if has_aux else None
        finally:
            level.closed = True

    def _run_carefully(
        self,
        name: str,
        selection: Selection,
        curve: Sequence[Sequence[Any]],
        order: int,
        has_aux: bool,
        scalar: bool,
        average: Callable[[Any], Any] | None,
    ) -> None:
        """The same with coefficients that know their exact zeros (see `shared.calling.careful`)."""
        from shared.linear.known_zeros import KnownZeros, WithZeros, live_of

        known = KnownZeros()
        seeds = []
        for leaf, given in zip(selection.leaves, curve, strict=True):
            moving = [c if c is None else seeded(leaf, c) for c in given]
            # What does not move at all is exactly zero; a coefficient that is zero on a curve is so by value.
            lives = [live_of(c) for c in moving if c is not None]
            live = reduce(np.logical_or, lives) if lives else None
            seeds.append([c if c is None else WithZeros(known, c, live) for c in moving])
        try:
            self._run(name, selection, seeds, order, has_aux, scalar, average)
            self.higher = [
                [as_leaf(c, floating(primal)) for c in known.plain(coefficients)]
                for coefficients, primal in zip(self.higher, self.outputs, strict=True)
            ]
        finally:
            known.closed = True

    def coefficient(self, k: int) -> Any:
        """The coefficient of t^k, in the structure of the output."""
        leaves = [coefficients[k - 1] for coefficients in self.higher] if k else self.outputs
        return unflatten(self.structure, leaves)


def _is_of(value: Any, level: SeriesLevel) -> bool:
    return isinstance(value, Series) and value.level is level


# --- derivatives by one number ----------------------------------------------------------------------------------------


def derivative(f: Function, argnums: Argnums, has_aux: bool, order: int) -> Function:
    """The derivative of an order with respect to a number, or a tuple of several: one expansion each."""
    name = "derivative"
    order = checked_order(name, order)

    def slopes(*args: Any, **kwargs: Any) -> Any:
        selection = Selection(name, f, args, kwargs, argnums)
        for argument in selection.arguments():
            scalar_input(name, argument)
        if len(selection.leaves) > 1:
            refuse_iterators(name, args, kwargs)
        found, aux = [], None
        for k in range(len(selection.leaves)):
            expansion, leaves = _slope(name, selection, k, has_aux, order)
            found.append(unflatten(expansion.structure, leaves))
            aux = expansion.aux
        result = found[0] if selection.single else tuple(found)
        return (result, aux) if has_aux else result

    return slopes


def _slope(name: str, selection: Selection, k: int, has_aux: bool, order: int) -> tuple[Expansion, list[Any]]:
    """The derivatives of the outputs by leaf k; of a complex one along 1 and along i, which have to agree."""

    def along(direction: Any) -> Expansion:
        curve = [[direction] if j == k else [] for j in range(len(selection.leaves))]
        return Expansion(name, selection, curve, order, has_aux)

    step = _step(order)
    one = step * one_of(selection.leaves[k])
    first = along(one)
    if not order:
        return first, first.outputs
    found = [_factorial_times(coefficients[-1], order, step) for coefficients in first.higher]
    if is_complex(selection.leaves[k]):
        across = along(1j * one)
        turned = [_factorial_times(c[-1], order, step) / 1j ** (order - 1) for c in across.higher]
        found = [complex_derivative(name, *pair) for pair in zip(found, turned, strict=True)]
    return first, found


def _step(order: int) -> int:
    """The length of the direction for an order, a power of two, with which no digit is lost.

    Along a unit direction c_k is the derivative over k!, which is beyond the smallest number of single precision from
    an order of 34 on, and of double precision from 171 on.  Along k / e it has about the size of the derivative.
    """
    return 1 if order <= 20 else 2 ** round(math.log2(order / math.e))


def _factorial_times(coefficient: Any, order: int, step: int) -> Any:
    """k! c_k / step^k, by parts, so that it overflows if the derivative does, and not because the factorial does."""
    for start in range(1, order + 1, 20):
        factors = range(start, min(start + 20, order + 1))
        part = math.prod(factors) / step ** len(factors)
        if part != 1:
            coefficient = coefficient * part
    return coefficient
