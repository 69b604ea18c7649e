"""Derivatives by finite differences, with an error estimate: the reference that owes nothing to any rule.

A difference quotient needs values of `f` only, so it shares no mistake with an engine that differentiates
`f`.  What it gives up is accuracy: a long step truncates the Taylor series, a short one drowns in rounding.
Ridders' table (1982) balances the two by extrapolating central differences to step zero, and says how far it
can be trusted.

This module knows nothing about tracers, rules or engines: it only calls `f` on plain numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from shared.calling import tree
from shared.core.errors import ShapeError

Function = Callable[..., Any]
Vector = np.ndarray[Any, np.dtype[Any]]

#: Steps shrink by an irrational factor, so that values rounded to a coarser precision cannot agree by
#: coincidence.
_RATIO = 2 + math.sqrt(3)
_ROWS = 24
_COLUMNS = 6
#: Step of the first row, relative to the size of the argument.
FIRST_STEP = 0.11
#: Rows are added until the estimated error is this small relative to the derivative, or explained by
#: rounding.
_GOAL = 1e-9
#: Equal values at both ends of a step this short mean that f rounds, not that it is constant.
_SHORT = 1e-5


class Estimate(NamedTuple):
    """A derivative by differences and the estimated error of each of its elements, in the same structure."""

    value: Any
    error: Any


# --- the table ----------------------------------------------------------------------------------------------


class _RiddersTable:
    """Central differences at shrinking steps, extrapolated to step zero; one column removes one more power of
    h^2."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.rows: list[list[Vector]] = []
        self.errors: list[list[Vector]] = []
        self.rounding: list[Vector] = []

    def add(self, step: float, quotient: Vector, rounding: Vector) -> None:
        row, errors = [quotient], [np.full(quotient.shape, np.inf)]
        if self.rows:
            above = self.rows[-1]
            errors = [np.abs(quotient - above[0])]
            power = 1.0
            for column in range(min(len(self.rows), _COLUMNS - 1)):
                power *= _RATIO**2
                row.append(row[column] + (row[column] - above[column]) / (power - 1))
                errors.append(np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - above[column])))
        self.steps.append(step)
        self.rows.append(row)
        self.errors.append([np.where(np.isnan(e), np.inf, e) for e in errors])
        self.rounding.append(rounding)

    def noise(self) -> Vector:
        """How far f itself scatters, beyond its rounding: seen where extrapolation has nothing left to
        remove."""
        last = len(self.rows) - 1
        if last < _ROWS - 1:
            return _finite(self.errors[last][-1] * self.steps[last])
        seen = np.zeros(self.rounding[0].shape)
        count = np.zeros(self.rounding[0].shape, int)
        for i in range(last, _COLUMNS, -1):
            # Rows whose differences round to zero carry no information about the scatter.
            use = np.isfinite(self.rounding[i]) & (count < 4)
            scatter = _finite(np.maximum(self.errors[i][1], self.errors[i][2]) * self.steps[i])
            seen = np.where(use, np.maximum(seen, scatter), seen)
            count += use
        return seen

    def best(self) -> Estimate:
        """The entry with the least estimated error, element by element."""
        noise = self.noise()
        quotients = np.stack([row[0] for row in self.rows])
        floors = np.stack([np.maximum(r, noise / h) for r, h in zip(self.rounding, self.steps, strict=True)])
        allowed = 2 * floors + np.stack([errors[0] for errors in self.errors])
        value = np.full(quotients[0].shape, np.nan, quotients.dtype)
        error = np.full(value.shape, np.inf)
        for i, row in enumerate(self.rows):
            # A long step may alias an oscillation, and then all its extrapolations agree; shorter steps do
            # not.
            contradiction = np.fmax.reduce(np.abs(row[-1] - quotients[i:]) - allowed[i:], axis=0)
            floor = floors[i] + np.fmax(contradiction, 0.0)
            for entry, estimated in zip(row, self.errors[i], strict=True):
                total = estimated + floor
                better = total < error
                value, error = np.where(better, entry, value), np.where(better, total, error)
        return Estimate(value, 2 * error)


def _finite(values: Vector) -> Vector:
    return np.where(np.isfinite(values), values, 0.0)


def _differentiate_curve(
    curve: Callable[[float], Vector], value: Vector, roundoff: Vector, first: float = FIRST_STEP
) -> Estimate:
    """The derivative at 0 of a curve h -> R^m (or C^m), where `value` is `curve(0)` and `roundoff` its
    relative one."""
    table = _RiddersTable()
    has_moved = np.zeros(value.shape, bool)
    rounding_of_long_steps = np.full(value.shape, np.inf)
    step = first
    with np.errstate(all="ignore"):
        for i in range(_ROWS):
            ahead, behind = curve(step), curve(-step)
            difference = ahead - behind
            size = np.maximum(np.abs(value), np.maximum(np.abs(ahead), np.abs(behind)))
            # Both the values and the argument are rounded; the argument is of the order of one step of length
            # 1.
            rounding = roundoff * (size + np.abs(difference) / step) / step
            if step < _SHORT:
                rounding = np.where(has_moved & (difference == 0), np.inf, rounding)
            has_moved |= difference != 0
            rounding = np.where(np.isnan(rounding), np.inf, rounding)
            rounding_of_long_steps = np.minimum(rounding_of_long_steps, rounding)
            table.add(step, difference / (2 * step), rounding)
            if i >= 3:
                found = table.best()
                if np.all(found.error <= np.maximum(_GOAL * np.abs(found.value), 50 * rounding_of_long_steps)):
                    break
            step /= _RATIO
        return table.best()


# --- functions of leaves ------------------------------------------------------------------------------------


def is_inexact(leaf: Any) -> bool:
    """Whether a leaf is a real or complex number or array, which has a derivative as it stands."""
    return np.asarray(leaf).dtype.kind in "fc"


def copied(leaf: Any) -> Any:
    """A copy of an array, so that no function that is called can change what the next one is given."""
    return np.array(leaf) if isinstance(leaf, np.ndarray) else leaf


def promoted(leaf: Any) -> Any:
    """A fresh leaf of the same kind (Python number, NumPy scalar, array) in at least double precision.

    Differences of a float32 function lose half of its seven digits; the same code run on float64 loses none
    that matter.
    """
    if isinstance(leaf, (bool, int, float, complex)) and not isinstance(leaf, np.generic):
        return complex(leaf) if isinstance(leaf, complex) else float(leaf)
    dtype = np.result_type(leaf, np.float64)
    return dtype.type(leaf) if isinstance(leaf, np.generic) else np.array(leaf, dtype)


def moved(leaf: Any, step: float, tangent: Any) -> Any:
    """`leaf + step * tangent`, of the kind and dtype of the leaf."""
    if isinstance(leaf, (float, complex)) and not isinstance(leaf, np.generic):
        return leaf + step * type(leaf)(tangent)
    result = leaf + step * np.asarray(tangent).astype(leaf.dtype)
    return result if isinstance(leaf, np.generic) else np.asarray(result)


def natural_scale(leaf: Any) -> Vector:
    """The size of each element's sensible change: its own, or its neighbours' where it is zero (or only
    rounding)."""
    size = np.abs(np.asarray(leaf)).astype(np.float64)
    largest = size.max(initial=0.0)
    nonzero = size[size > 1e-14 * largest]
    typical = float(np.median(nonzero)) if nonzero.size else 1.0
    return np.where(size > 1e-14 * largest, size, typical) if size.size else size


def directional_difference(
    function: Function, leaves: Sequence[Any], tangents: Sequence[Any], first: float = FIRST_STEP
) -> Estimate:
    """Differences of `function(*leaves) -> sequence of arrays` along `tangents`; a list of arrays, and of
    errors.

    The leaves must be real or complex already.  A step that leaves the domain of the function (it raises an
    ArithmeticError or ValueError, or returns another shape, or something not finite) is passed over.
    """
    points = [promoted(leaf) for leaf in leaves]
    outputs = [np.asarray(out) for out in function(*[promoted(leaf) for leaf in leaves])]
    value = _join(outputs)
    roundoff = _join([np.full(o.shape, _roundoff(o)) for o in outputs])
    unit = step_unit(points, tangents)
    if unit == 0.0 or value.size == 0:
        zeros = [np.zeros(o.shape, value.dtype) for o in outputs]
        return Estimate(zeros, [np.zeros(o.shape) for o in outputs])

    def curve(step: float) -> Vector:
        try:
            ends = function(*[moved(p, step * unit, t) for p, t in zip(points, tangents, strict=True)])
            joined = _join([np.asarray(end) for end in ends])
        except (ArithmeticError, ValueError):
            joined = np.empty(0)
        return joined if joined.shape == value.shape else np.full(value.shape, np.nan)

    found = _differentiate_curve(curve, value, roundoff, first)
    shapes = [o.shape for o in outputs]
    return Estimate(_split(found.value / unit, shapes), _split(found.error / unit, shapes))


def has_kink(function: Function, leaves: Sequence[Any], tangents: Sequence[Any]) -> bool:
    """Whether the two one-sided differences of `function(*leaves)` differ, at tangents in proportion to the
    leaves.

    Those of a smooth function differ by its curvature times the step, so ever less at shorter steps, also where its
    slope is zero; at a kink the difference stays.
    """
    points = [promoted(leaf) for leaf in leaves]
    jumps, slopes = [], []
    with np.errstate(all="ignore"):
        for step in (1e-4, 1e-6):
            try:
                behind, here, ahead = (
                    _join([np.asarray(o) for o in function(*map(moved, points, [h] * len(points), tangents))])
                    for h in (-step, 0.0, step)
                )
                left, right = (here - behind) / step, (ahead - here) / step
            except (ArithmeticError, ValueError):  # the arguments are on the edge of the domain
                return False
            jumps.append(np.abs(right - left))
            slopes.append(np.maximum(np.abs(left), np.abs(right)))
        # Where the arguments cancel, it is their rounding that is left.
        largest = max((float(np.max(np.abs(point), initial=0.0)) for point in points), default=0.0)
        rounding = 1e-6 * np.abs(here) + 1e-8 * largest
        return bool(np.any((jumps[1] > 1e-3 * slopes[1] + rounding) & (jumps[1] > 0.3 * jumps[0])))


def chords(function: Function, leaves: Sequence[Any], tangents: Sequence[Any]) -> list[float]:
    """For each output of `function(*leaves)`, the steepest chord from here to points as far as differences reach.

    It tells a function that is flat here from one that is flat everywhere.
    """
    points = [promoted(leaf) for leaf in leaves]
    unit = step_unit(points, tangents)
    found: list[float] = []
    with np.errstate(all="ignore"):
        here = [np.asarray(out) for out in function(*[promoted(leaf) for leaf in leaves])]
        found = [0.0] * len(here)
        for step in (FIRST_STEP, -FIRST_STEP, FIRST_STEP / _RATIO, -FIRST_STEP / _RATIO):
            try:
                there = function(*[moved(p, step * unit, t) for p, t in zip(points, tangents, strict=True)])
                for k, (one, other) in enumerate(zip(here, there, strict=True)):
                    slope = np.max(np.abs(np.asarray(other) - one), initial=0.0) / abs(step * unit)
                    if np.isfinite(slope):
                        found[k] = max(found[k], float(slope))
            except (ArithmeticError, ValueError):
                continue
    return found


def _roundoff(output: Any) -> float:
    return float(np.finfo(output.dtype).eps) if output.dtype.kind in "fc" else 0.0


def _join(arrays: Sequence[Any]) -> Vector:
    joined = np.concatenate([np.ravel(a) for a in arrays]) if arrays else np.empty(0)
    return joined.astype(np.result_type(joined.dtype, np.float64))


def _split(vector: Vector, shapes: Sequence[tuple[int, ...]]) -> list[Vector]:
    ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    return [part.reshape(shape) for part, shape in zip(np.split(vector, ends), shapes, strict=True)]


def step_unit(points: Sequence[Any], tangents: Sequence[Any]) -> float:
    """The factor that makes the tangents as large as the elements that they move; 0 if they move nothing."""
    units = []
    for point, tangent in zip(points, tangents, strict=True):
        size = np.abs(np.asarray(tangent))
        if np.any(size > 0):
            units.append(natural_scale(point)[size > 0].max() / size.max())
    return float(min(units, default=0.0))


# --- the public forms ---------------------------------------------------------------------------------------


def difference_jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> Estimate:
    """The derivative of `f` at `primals` along `tangents`, by extrapolated central differences.

    `primals` and `tangents` are tuples of equal structure, one entry an argument; each may nest lists,
    tuples, dicts and named tuples of arrays.  Integers are taken as float64, float32 as float64; leaves that
    are no numbers (bool, str, None) are constants, whatever their tangent.  Returns `(estimate, error)`, both
    of the structure of `f(*primals)` with float64 (or complex128) leaves.  The error is an estimate, not a
    bound: it is infinite where no step gave a finite difference, and large where f has a kink nearby or is
    noisy.

    Costs 9 evaluations of f where f is smooth on the scale of its arguments, at most 49.
    Raises ShapeError where the structures or shapes of primals and tangents differ.

    >>> estimate, error = difference_jvp(np.sin, (1.0,), (2.0,))
    >>> bool(abs(estimate - 2 * np.cos(1.0)) <= error < 1e-9)
    True

    Source: C. J. F. Ridders, "Accurate computation of F'(x) and F'(x) F''(x)", Advances in Engineering
    Software 4 (1982); the extrapolation is L. F. Richardson's (1911).
    """
    call, leaves, directions, structure = flat_call(f, tuple(primals), tuple(tangents))
    found = directional_difference(call, leaves, directions)
    return Estimate(
        tree.unflatten(structure, [value[()] for value in found.value]),
        tree.unflatten(structure, [error[()] for error in found.error]),
    )


def difference_gradient(f: Function, x: Any) -> Estimate:
    """The gradient of a scalar function by extrapolated central differences, with an error estimate.

    `x` is an array, a number or a nested container of them; real.  Returns `(gradient, error)` in its
    structure, with float64 leaves (integers are taken as float64; leaves that are no numbers get zeros of
    their shape).  Costs 9 to 49 evaluations of f for each number in x.  Raises ShapeError if f is not scalar.

    >>> gradient, error = difference_gradient(lambda p: p["w"] @ p["w"], {"w": np.array([1.0, -2.0])})
    >>> gradient["w"].round(6), bool(error["w"].max() < 1e-9)
    (array([ 2., -4.]), True)

    Source: as `difference_jvp`.
    """
    leaves, structure = tree.flatten(x)
    values, errors = [], []
    for k, leaf in enumerate(leaves):
        value, error = np.zeros(np.shape(leaf)), np.zeros(np.shape(leaf))
        for index in np.ndindex(np.shape(leaf)) if _is_number(leaf) else ():
            tangents = [np.zeros(np.shape(other)) for other in leaves]
            tangents[k][index] = 1.0
            estimate = difference_jvp(lambda y: _scalar(f(y)), (x,), (tree.unflatten(structure, tangents),))
            value[index], error[index] = estimate
        values.append(value[()])
        errors.append(error[()])
    return Estimate(tree.unflatten(structure, values), tree.unflatten(structure, errors))


def finite_difference_gradient(f: Function, x: Any) -> Any:
    """The gradient of a scalar function by forward differences: f(x + h e_i) against f(x), one coordinate at
    a time.

    The simplest way and the least accurate: with the step h = sqrt(eps) (1 + abs(x_i)) about eight of the
    sixteen digits are lost.  `x` is an array, a number or a nested container of them; real.  Returns the
    structure of `x`, each leaf with the shape and dtype of its own (float64 for integers; zeros for leaves
    that are no numbers).  Costs n + 1 evaluations of f, for n numbers in x.  Raises ShapeError if f is not
    scalar.

    >>> finite_difference_gradient(lambda x: x[0] * x[1] ** 2, np.array([3.0, 2.0])).round(5)
    array([ 4., 12.])

    Source: J. Nocedal and S. J. Wright, "Numerical Optimization" (2006), section 8.1.
    """
    leaves, structure = tree.flatten(x)
    points = [promoted(leaf) if _is_number(leaf) else leaf for leaf in leaves]

    def value(k: int | None = None, replaced: Any = None) -> Any:
        copies = [copied(point) for point in points]
        if k is not None:
            copies[k] = replaced if isinstance(points[k], np.ndarray) else type(points[k])(replaced)
        return _scalar(f(tree.unflatten(structure, copies)))

    start = value()
    gradients = []
    for k, point in enumerate(points):
        gradient = np.zeros(np.shape(point))
        for index in np.ndindex(gradient.shape) if _is_number(point) else ():
            shifted = np.array(point)
            shifted[index] += math.sqrt(np.finfo(np.float64).eps) * (1 + abs(shifted[index]))
            step = shifted[index] - np.asarray(point)[index]  # what the addition really added
            gradient[index] = (value(k, shifted) - start) / step
        gradients.append(_in_dtype_of(leaves[k], gradient))
    return tree.unflatten(structure, gradients)


def flat_call(
    f: Function, primals: tuple[Any, ...], tangents: tuple[Any, ...]
) -> tuple[Function, list[Any], list[Any], Any]:
    """`f` as a function of its numeric leaves, those leaves and their tangents, and the structure of its
    output."""
    leaves, structure = tree.flatten(primals)
    directions, given = tree.flatten(tangents)
    if given != structure:
        raise ShapeError(f"the tangents have the structure {given}, but must have that of the primals, {structure}")
    numeric = [k for k, leaf in enumerate(leaves) if _is_number(leaf)]
    for k in numeric:
        if np.shape(leaves[k]) != np.shape(directions[k]):
            raise ShapeError(
                f"a tangent of shape {np.shape(directions[k])} was given for a primal of shape "
                f"{np.shape(leaves[k])}; a tangent has the shape of its primal"
            )
    points = [promoted(leaf) if _is_number(leaf) else leaf for leaf in leaves]
    _, out_structure = tree.flatten(f(*tree.unflatten(structure, [copied(point) for point in points])))

    def call(*values: Any) -> list[Any]:
        every = [copied(point) for point in points]
        for k, value in zip(numeric, values, strict=True):
            every[k] = value
        return tree.flatten(f(*tree.unflatten(structure, every)))[0]

    return call, [points[k] for k in numeric], [directions[k] for k in numeric], out_structure


def _is_number(leaf: Any) -> bool:
    return np.asarray(leaf).dtype.kind in "iufc"


def _scalar(value: Any) -> Any:
    if np.shape(value) != ():
        raise ShapeError(f"the gradient needs a scalar function; this one returned shape {np.shape(value)}")
    return value


def _in_dtype_of(leaf: Any, gradient: Vector) -> Any:
    dtype = np.asarray(leaf).dtype
    return gradient.astype(dtype if dtype.kind == "f" else np.float64)[()]
