"""The table of recurrences: functions whose Taylor coefficients follow from those of their arguments in O(K^2).

Each function solves a differential equation along a curve whose right side is made of products, and the product of two
series is a convolution (Griewank & Walther 2008, table 13.2; Moore 1966, chapter 11; Knuth 1997, section 4.7):

    y' = r y x'                     exp, exp2, expm1; x ** y of a constant x
    v(x) y' = r x'                  log, log2, log10, log1p, arctan, arctanh, arcsin, arccos, arcsinh
    y' = (a + b y + c y^2) x'       tan, tanh, sigmoid
    y' = z x', z' = +- y x'         sin, cos, sinh, cosh
    x y' = r y x'                   x ** r
    y^2 = x, x y = 1, y z = x       sqrt, reciprocal, divide, linalg.solve

A row is a function of the order K, the value of the result, and the series of each argument, as a list of K + 1
coefficients in which None stands for zero; it returns the list for the result, or None to leave it to
`shared.series.growing`.  Coefficients of a line, of which all but two are None, take O(K).  What is not here costs more
operations and gives the same numbers.  This module knows no series.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from shared.core.duck_array import DuckArray
from shared.rules.special import SIGMOID

Coefficients = list[Any]
Row = Callable[..., "Coefficients | None"]

RECURRENCES: dict[Any, Row] = {}

_LOG_2, _LOG_10 = math.log(2), math.log(10)
#: beyond it, powers by multiplication would take more steps than the recurrence that divides
_LARGEST_EXPONENT = 1024


# --- sums of products, where None is zero -----------------------------------------------------------------------------


def _plus(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b


def _minus(a: Any, b: Any) -> Any:
    return a if b is None else -b if a is None else a - b


def _times(a: Any, b: Any) -> Any:
    return None if a is None or b is None else a * b


def _is_one(number: Any) -> bool:
    return number.__class__ is int and number == 1


def _scaled(a: Any, by: Any) -> Any:
    return a if a is None or _is_one(by) else a * by


def _over(a: Any, by: Any) -> Any:
    if a is None or _is_one(by):
        return a
    try:
        return a / by
    except ZeroDivisionError:
        # At a pole a Python float raises where NumPy's numbers have a slope.
        return np.divide(a, by)


def _dot(a: Coefficients, b: Coefficients, k: int, first: int, last: int) -> Any:
    """The sum of a_j b_(k - j) for j from first to last."""
    total = None
    for j in range(first, last + 1):
        x, y = a[j], b[k - j]
        if x is not None and y is not None:
            total = x * y if total is None else total + x * y
    return total


def _self_dot(a: Coefficients, k: int, first: int) -> Any:
    """The sum of a_j a_(k - j) for j from first to k - first, each product taken once."""
    total = _dot(a, a, k, first, (k - 1) // 2)
    total = None if total is None else total + total
    middle = a[k // 2] if k % 2 == 0 and k // 2 >= first else None
    return _plus(total, _times(middle, middle))


def _product(order: int, a: Coefficients, b: Coefficients) -> Coefficients:
    return [_self_dot(a, k, 0) if a is b else _dot(a, b, k, 0, k) for k in range(order + 1)]


def _slopes(x: Coefficients, rate: Any = 1) -> Coefficients:
    """r j x_j: the coefficients of t r x'(t)."""
    return [None, *[_scaled(_scaled(c, j), rate) for j, c in enumerate(x) if j]]


def _solved(order: int, out: Any, of: Callable[[list[Any], int], Any]) -> Coefficients:
    """A series by its first coefficient and what gives the k-th from those before."""
    found = [out]
    for k in range(1, order + 1):
        found.append(of(found, k))
    return found


# --- y' = r y x' ------------------------------------------------------------------------------------------------------


def _exponential(order: int, out: Any, slopes: Coefficients) -> Coefficients:
    return _solved(order, out, lambda y, k: _over(_dot(slopes, y, k, 1, k), k))


RECURRENCES[np.exp] = lambda order, out, x: _exponential(order, out, _slopes(x))
RECURRENCES[np.exp2] = lambda order, out, x: _exponential(order, out, _slopes(x, _LOG_2))
RECURRENCES[np.expm1] = lambda order, out, x: _exponential(order, out + 1, _slopes(x))


# --- v(x) y' = r x' ---------------------------------------------------------------------------------------------------


def _integral(order: int, out: Any, x: Coefficients, v: Coefficients, rate: Any = 1) -> Coefficients:
    weighted: Coefficients = [None]

    def of(y: Coefficients, k: int) -> Any:
        rest = _over(_dot(weighted, v, k, 1, k - 1), k)
        y_k = _over(_minus(_scaled(x[k], rate), rest), v[0])
        weighted.append(_scaled(y_k, k))
        return y_k

    return _solved(order, out, of)


def _logarithm(rate: Any, shift: int = 0) -> Row:
    # Zero is added because the slope at -0.0 is that at 0.0.
    return lambda order, out, x: _integral(order, out, x, [x[0] + (shift or 0.0), *x[1:]], rate)


RECURRENCES[np.log] = _logarithm(1)
RECURRENCES[np.log2] = _logarithm(1 / _LOG_2)
RECURRENCES[np.log10] = _logarithm(1 / _LOG_10)
RECURRENCES[np.log1p] = _logarithm(1, shift=1)


def _squared(order: int, x: Coefficients, first: Any, sign: int) -> Coefficients:
    """The series of 1 + x^2 or 1 - x^2, which begins with `first`."""
    squares = [_self_dot(x, k, 0) for k in range(1, order + 1)]
    return [first, *[c if sign > 0 or c is None else -c for c in squares]]


def _arctan(order: int, out: Any, x: Coefficients) -> Coefficients:
    return _integral(order, out, x, _squared(order, x, 1 + x[0] * x[0], 1))


def _arctanh(order: int, out: Any, x: Coefficients) -> Coefficients:
    return _integral(order, out, x, _squared(order, x, (1 - x[0]) * (1 + x[0]), -1))


def _inverse_sine(rate: int) -> Row:
    def row(order: int, out: Any, x: Coefficients) -> Coefficients:
        inside = _squared(order, x, (1 - x[0]) * (1 + x[0]), -1)
        return _integral(order, out, x, _root(order, np.sqrt(inside[0]), inside), rate)

    return row


def _arcsinh(order: int, out: Any, x: Coefficients) -> Coefficients:
    root = np.sqrt(1 + x[0] * x[0]) if np.iscomplexobj(x[0]) else np.hypot(1, x[0])
    return _integral(order, out, x, _root(order, root, _squared(order, x, None, 1)))


# --- y^2 = x, x y = 1, y z = x ----------------------------------------------------------------------------------------


def _root(order: int, out: Any, x: Coefficients) -> Coefficients:
    twice = 2 * (out + 0.0)
    return _solved(order, out, lambda y, k: _over(_minus(x[k], _self_dot(y, k, 1)), twice))


def _reciprocal(order: int, out: Any, x: Coefficients) -> Coefficients:
    minus = -out
    return _solved(order, out, lambda y, k: _times(_dot(x, y, k, 1, k), minus))


def _quotient(order: int, out: Any, x: Coefficients, y: Coefficients) -> Coefficients:
    return _solved(order, out, lambda q, k: _over(_minus(x[k], _dot(y, q, k, 1, k)), y[0]))


def _solution(order: int, out: Any, a: Coefficients, b: Coefficients) -> Coefficients:
    """A x = b of matrices; a right-hand side of one axis is one vector, whatever the axes of A."""
    is_vector = np.ndim(b[0]) == 1

    def of(x: Coefficients, k: int) -> Any:
        total = None if b[k] is None else b[k][:, None] if is_vector else b[k]
        for j in range(1, k + 1):
            if a[j] is not None and x[k - j] is not None:
                total = _minus(total, a[j] @ (x[k - j][..., None] if is_vector else x[k - j]))
        if total is None:
            return None
        solved = np.linalg.solve(a[0], total)
        return solved[..., 0] if is_vector else solved

    return _solved(order, out, of)


RECURRENCES[np.sqrt] = _root
RECURRENCES[np.linalg.solve] = _solution
RECURRENCES[np.square] = lambda order, out, x: _product(order, x, x)
RECURRENCES[np.reciprocal] = _reciprocal
RECURRENCES[np.divide] = _quotient
RECURRENCES[np.arctan] = _arctan
RECURRENCES[np.arctanh] = _arctanh
RECURRENCES[np.arcsin] = _inverse_sine(1)
RECURRENCES[np.arccos] = _inverse_sine(-1)
RECURRENCES[np.arcsinh] = _arcsinh


# --- y' = (a + b y + c y^2) x' ----------------------------------------------------------------------------------------


def _riccati(slope: Callable[[Any, Any], Any], linear: int, square: int) -> Row:
    """`slope(y, x)` is a + b y + c y^2 at the point, in a form that loses no digits; b and c are numbers."""

    def row(order: int, out: Any, x: Coefficients) -> Coefficients:
        slopes, w = _slopes(x), [slope(out, x[0])]

        def of(y: Coefficients, k: int) -> Any:
            y_k = _over(_dot(slopes, w, k, 1, k), k)
            if k < order:
                squares = _self_dot([*y, y_k], k, 0)
                w.append(_plus(y_k if linear else None, squares if square > 0 or squares is None else -squares))
            return y_k

        return _solved(order, out, of)

    return row


RECURRENCES[np.tan] = _riccati(lambda y, x: 1 + y * y, 0, 1)
RECURRENCES[np.tanh] = _riccati(lambda y, x: 1 - y * y, 0, -1)
RECURRENCES[SIGMOID.function] = _riccati(lambda y, x: y * SIGMOID(-x), 1, -1)


# --- y' = z x', z' = s y x' -------------------------------------------------------------------------------------------


def _pair(other: Callable[[Any], Any], of_first: int, of_other: int) -> Row:
    """Two functions that are each other's derivative, but for the signs."""

    def row(order: int, out: Any, x: Coefficients) -> Coefficients:
        slopes, y, z = _slopes(x), [out], [other(x[0])]
        signed = slopes if of_first > 0 else [None if c is None else -c for c in slopes]
        backwards = slopes if of_other > 0 else [None if c is None else -c for c in slopes]
        for k in range(1, order + 1):
            y.append(_over(_dot(signed, z, k, 1, k), k))
            if k < order:
                z.append(_over(_dot(backwards, y, k, 1, k), k))
        return y

    return row


RECURRENCES[np.sin] = _pair(np.cos, 1, -1)
RECURRENCES[np.cos] = _pair(np.sin, -1, 1)
RECURRENCES[np.sinh] = _pair(np.cosh, 1, 1)
RECURRENCES[np.cosh] = _pair(np.sinh, 1, 1)


# --- powers -----------------------------------------------------------------------------------------------------------


def _power(order: int, out: Any, x: Coefficients, y: Coefficients) -> Coefficients | None:
    """x ** y with a number or a series as its exponent; an array of constant ones is left to the rule of the slope."""
    if any(c is not None for c in y[1:]):
        constant = all(c is None for c in x[1:])
        return (_power_of_constant if constant else _power_of_both)(order, out, x, y)
    exponent = y[0]
    if not isinstance(exponent, (int, float, np.integer, np.floating)):
        return None
    if exponent == 0:
        return [out, *[None] * order]
    if exponent > 0 and exponent % 1 == 0 and exponent <= _LARGEST_EXPONENT:
        return _whole_power(order, out, x, int(exponent))
    return _real_power(order, out, x, exponent)


def _whole_power(order: int, out: Any, x: Coefficients, exponent: int) -> Coefficients:
    """By squaring (Knuth 1997, section 4.6.3): without a division, so that zero is a point like any other."""
    found, base = None, x
    while True:
        if exponent % 2:
            found = base if found is None else _product(order, found, base)
        exponent //= 2
        if not exponent:
            return [out, *found[1:]]  # type: ignore[index]
        base = _product(order, base, base)


def _real_power(order: int, out: Any, x: Coefficients, exponent: Any) -> Coefficients:
    """x y' = r y x'; where x is zero, which that divides by, the first term of the binomial series."""
    meets_zero = exponent > 0 and _may_be_zero(x[0])
    base, start = (_nonzero(x[0]), _nonzero(out)) if meets_zero else (x[0], out)

    def of(y: Coefficients, k: int) -> Any:
        total = None
        for j in range(1, k + 1):
            weight = exponent * j - (k - j)
            if weight:
                total = _plus(total, _scaled(_times(x[j], y[k - j]), weight))
        return _over(_over(total, k), base)

    found = _solved(order, start, of)
    if not meets_zero:
        return found
    at_zero, binomial = np.equal(x[0], 0), 1.0
    for k, power in _powers_at(at_zero, x, order):
        binomial *= (exponent - k + 1) / k
        # Of a smaller exponent than k there are negative powers of zero.
        there = power * np.where(at_zero, math.copysign(math.inf, binomial), 1.0) if k > exponent else None
        found[k] = _chosen(at_zero, there, found[k])
    return [out, *found[1:]]


def _may_be_zero(x: Any) -> bool:
    """Whether a value has zeros, or stands for values that may have some."""
    return isinstance(x, DuckArray) or not np.all(x)


def _powers_at(where: Any, x: Coefficients, order: int) -> Iterator[tuple[int, Any]]:
    """Each k with the k-th power of x_1, which is 1 elsewhere; by multiplication, by which exact zeros stay so.

    Without an x_1 the curve begins with a higher power, of which roots may be anything: NaN.
    """
    first = x[1] if x[1] is not None else math.nan * next(c for c in x[1:] if c is not None)
    slope = power = np.where(where, first, np.ones_like(first))
    for k in range(1, order + 1):
        yield k, power
        power = power * slope


def _chosen(where: Any, first: Any, second: Any) -> Any:
    if first is None and second is None:
        return None
    kind = np.result_type(first if second is None else second)
    zero = kind.type(0)
    return np.where(where, zero if first is None else first, zero if second is None else second).astype(kind)[()]


def _power_of_constant(order: int, out: Any, x: Coefficients, y: Coefficients) -> Coefficients:
    """b ** y of a constant b; that of zero is zero, whatever y."""
    return _exponential(order, out, _slopes(y, np.log(_nonzero(x[0] + 0j if np.iscomplexobj(out) else x[0]))))


def _power_of_both(order: int, out: Any, x: Coefficients, y: Coefficients) -> Coefficients:
    """exp(y log x); where x is zero, what is left of each term as x approaches that."""
    base = _nonzero(x[0] + 0j if np.iscomplexobj(out) else x[0])
    logarithm = _integral(order, np.log(base), x, [base, *x[1:]])
    slopes = _slopes(_product(order, y, logarithm))
    if not _may_be_zero(x[0]):
        return _exponential(order, out, slopes)
    at_zero = np.equal(x[0], 0)
    found = _exponential(order, np.where(at_zero, np.ones_like(out), out), slopes)
    for k, power in _powers_at(at_zero, x, order):
        # Of a smaller exponent than k there are negative powers of zero, and logarithms of it.
        lost = np.where(at_zero, math.inf if k == 1 else math.nan, 1.0)
        there = np.where(y[0] > k, 0.0, np.where(y[0] == k, power, power * lost))
        if k == 1:
            there = np.where(y[0] == 0, 0.0, there)
        found[k] = _chosen(at_zero, there, found[k])
    return [out, *found[1:]]


def _nonzero(x: Any) -> Any:
    return np.where(np.equal(x, 0), np.ones_like(x), x)


RECURRENCES[np.power] = _power
