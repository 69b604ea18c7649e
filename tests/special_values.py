"""What the engines do at special values, compared with NumPy, with each other and with exact derivatives.

The grid holds infinities, the largest and least numbers, both zeros and NaN, in both arguments of functions of two: as
arrays of double and single precision, in one call a function, and as Python floats, one call a point.  What is found
wrong is told as `Finding`s, which the tests compare with the table of known ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from special_functions import BINARY, UNARY, Function, Wide, exact

import dualad
import reversead

#: The numbers of the grid, by the names that tables use.
DOUBLE = {"-inf": -np.inf, "-huge": -1e308, "-1": -1.0, "-0": -0.0, "0": 0.0, "least": 5e-324, "1": 1.0, "huge": 1e308,
          "inf": np.inf, "nan": np.nan}  # fmt: skip
SINGLE = DOUBLE | {"-huge": -1e38, "huge": 1e38, "least": 1.4e-45}
FORMS = ("double", "single", "float")
#: No finite program of a few operations loses more digits than these.
ROUNDING = 64


class Finding(NamedTuple):
    """Something wrong with one function at one point of the grid."""

    #: "value": not NumPy's, or Python's; "raises": where it has one; "engines": forward and reverse mode differ;
    #: "joint": the derivatives by both arguments at once are not those by each alone; "exact": not the right derivative
    check: str
    argument: str  #: by which the derivative is: x, y or both; empty for values
    point: str  #: such as "0" or "-inf, nan"
    form: str  #: of the operands: arrays in double or single precision, or Python floats


def points(name: str, form: str) -> tuple[list[str], list[Any]]:
    """The points of the grid for a function: their names, and a column of values for each argument."""
    grid = SINGLE if form == "single" else DOUBLE
    rows = list(product(grid, repeat=1 if name in UNARY else 2))
    dtype = np.float32 if form == "single" else np.float64
    columns = [np.array([grid[row[k]] for row in rows], dtype) for k in range(len(rows[0]))]
    return [", ".join(row) for row in rows], columns


def same(found: Any, wanted: Any, ulps: float = ROUNDING) -> Any:
    """Where two arrays are equal to rounding, NaN equal to NaN, and zeros of either sign equal."""
    limits = np.finfo(np.asarray(wanted).dtype)
    near = np.abs(found - wanted) <= ulps * (limits.eps * np.abs(wanted) + limits.smallest_subnormal)
    return (found == wanted) | (np.isnan(found) & np.isnan(wanted)) | (np.isfinite(found) & np.isfinite(wanted) & near)


def is_exact(found: Any, wanted: Any) -> Any:
    """Where a derivative is the exact one, rounded to its precision; where nothing is exact, nothing is wrong."""
    rounded = wanted.astype(found.dtype)
    limits = np.finfo(found.dtype)
    near = np.abs(found.astype(Wide) - wanted) <= ROUNDING * (limits.eps * np.abs(wanted) + limits.smallest_subnormal)
    return np.isnan(wanted) | (found == rounded) | (np.isfinite(found) & np.isfinite(rounded) & near)


class Derivatives(NamedTuple):
    """A function at every point of the grid: rows of points, an array for each way to compute the same."""

    value: Any  #: NumPy's or Python's own
    values: list[Any]  #: the engines'
    partials: list[dict[str, Any]]  #: by each argument alone
    joint: dict[str, Any]  #: along the direction (1, 1); none for functions of one argument
    pulled: list[Any]  #: the cotangents of both arguments at once


def evaluated(f: Function, columns: list[Any]) -> Derivatives:
    """All derivatives of one function at one or many points."""
    value = f(*columns)
    values, partials = [], []
    ones = [np.ones_like(c) if isinstance(c, np.ndarray) else 1.0 for c in columns]
    for k, column in enumerate(columns):

        def alone(x: Any, k: int = k) -> Any:
            return f(*columns[:k], x, *columns[k + 1 :])

        found = {}
        for engine in (dualad, reversead):
            out, found[f"{engine.__name__}.jvp"] = engine.jvp(alone, (column,), (ones[k],))
            values.append(out)
        out, pullback = reversead.vjp(alone, column)
        values.append(out)
        (found["reversead.vjp"],) = pullback(np.ones_like(out) if isinstance(out, np.ndarray) else 1.0)
        partials.append(found)
    joint: dict[str, Any] = {}
    pulled: list[Any] = []
    if len(columns) > 1:
        for engine in (dualad, reversead):
            out, joint[engine.__name__] = engine.jvp(f, tuple(columns), tuple(ones))
            values.append(out)
        out, pullback = reversead.vjp(f, *columns)
        values.append(out)
        pulled = list(pullback(np.ones_like(out) if isinstance(out, np.ndarray) else 1.0))
    return Derivatives(value, values, partials, joint, pulled)


@cache
def findings(name: str) -> frozenset[Finding]:
    """Everything that is wrong with one function on the grid."""
    f = UNARY.get(name) or BINARY[name]
    found: set[Finding] = set()
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for form in FORMS:
            names, columns = points(name, form)
            if form != "float":
                found.update(compared(name, form, np.array(names), evaluated(f, columns), columns))
                continue
            for point, arguments in zip(names, zip(*map(np.ndarray.tolist, columns), strict=True), strict=True):
                found.update(of_floats(name, f, point, list(arguments)))
    return frozenset(found)


def of_floats(name: str, f: Function, point: str, arguments: list[float]) -> Iterator[Finding]:
    try:
        value = f(*arguments)
        if isinstance(value, complex):
            return  # as (-8.0) ** (1 / 3) in Python: see tests/rules/test_numpy_edges.py
    except ArithmeticError as error:
        # The engines raise as Python does.
        for engine in (dualad, reversead):
            if type(error) is not raised(lambda engine=engine: engine.vjp(f, *arguments)):
                yield Finding("value", "", point, "float")
        return
    try:
        rows = evaluated(f, arguments)
    except ArithmeticError:
        yield Finding("raises", "", point, "float")
        return
    as_arrays = Derivatives(
        np.array([value]),
        [np.array([v]) for v in rows.values],
        [{way: np.array([p]) for way, p in partials.items()} for partials in rows.partials],
        {way: np.array([p]) for way, p in rows.joint.items()},
        [np.array([p]) for p in rows.pulled],
    )
    yield from compared(name, "float", np.array([point]), as_arrays, [np.array([a]) for a in arguments])


def raised(call: Callable[[], Any]) -> type[BaseException] | None:
    try:
        call()
    except Exception as error:
        return type(error)
    return None


def compared(name: str, form: str, at: Any, rows: Derivatives, columns: list[Any]) -> Iterator[Finding]:
    """The findings of one function in one form of its operands."""

    def wrong(check: str, argument: str, right: Any) -> Iterator[Finding]:
        for point in at[~np.broadcast_to(right, at.shape)]:
            yield Finding(check, argument, str(point), form)

    for value in rows.values:
        equal = (value == rows.value) & (np.signbit(value) == np.signbit(rows.value))
        yield from wrong("value", "", equal | (np.isnan(value) & np.isnan(rows.value)))
    dtype = columns[0].dtype
    # What a cotangent is rounded to; of a number that Python made an integer, or NumPy double precision.
    partials = [{way: np.asarray(p, dtype) for way, p in found.items()} for found in rows.partials]
    first = [found["reversead.vjp"] for found in partials]
    for argument, found, expected in zip("xy", partials, exact(name), strict=False):
        for way in found:
            yield from wrong("engines", argument, same(found[way], found["reversead.vjp"]))
        # Outside the domain, where the value is NaN, nothing is said.
        truth = np.where(np.isnan(rows.value), Wide("nan"), expected(*[c.astype(Wide) for c in columns]))
        yield from wrong("exact", argument, is_exact(found["dualad.jvp"], truth))
    if rows.joint:
        summed = first[0] + first[1]
        said = np.isfinite(first[0]) & np.isfinite(first[1]) & np.isfinite(summed)
        for along in rows.joint.values():
            yield from wrong("joint", "both", ~said | same(np.asarray(along, dtype), summed, ROUNDING * 16))
        for argument, alone, pulled in zip("xy", first, rows.pulled, strict=True):
            yield from wrong("joint", argument, same(np.asarray(pulled, dtype), alone))
