"""What each way costs: operations and bytes alive, counted; time, measured; how far its result is from the others'.

A way that would take too long is not run: where one of its equal parts can be counted it is multiplied, and what is not
known is left empty.  A way that refuses is noted with what it says.  This module knows no derivative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from time import process_time
from typing import Any

import numpy as np

from shared.comparison.point import Point
from shared.comparison.timing import interleaved_minimum
from shared.comparison.ways import DIRECTION, GRADIENT, JACOBIAN, PRODUCT, VALUE, Array, Way
from shared.core.visible import shortened
from shared.counting.counter import count_operations
from shared.programs.measuring.cost import cost
from shared.programs.simplification import simplify
from shared.programs.tracing import trace

#: Of a way with equal parts, one after the other, that make more NumPy calls than this, one is counted.
MOST_CALLS = 20_000

#: A matrix of more numbers than this is not made.
MOST_ENTRIES = 20_000_000

#: Seconds of a call and of an operation by which it is decided, alike on every machine, what is too long to be run.
_CALL, _OPERATION = 2e-6, 1e-9
#: A batch makes so many calls for one of the function's, about.
_CALLS_IN_A_BATCH = 10

#: A function of more NumPy calls than this is a long one: each record of a derivative takes a second and more.
_LONG = 5_000

#: What is run of a slow function, or a long one.
_ESSENTIAL = frozenset(
    {
        (VALUE, "as it is"), (DIRECTION, "forward"), (GRADIENT, "reverse"), (GRADIENT, "forward, batched"),
        (JACOBIAN, "forward, batched"), (JACOBIAN, "reverse, batched"), (PRODUCT, "forward over reverse"),
    }
)  # fmt: skip

_LONGEST_NOTE = 90


@dataclass(frozen=True, slots=True)
class Figure:
    """What one way costs.

    `operations` are counted (an elementary function counts 10), `evaluations` the same as a multiple of the function's
    own, `bytes_alive` the most that its values occupy at once, `seconds` the least CPU time of many calls.  `error` is
    its largest difference from the first exact way of its group, relative to the largest number.  What is not known is
    None, and `note` says why.
    """

    group: str
    name: str
    exact: bool
    operations: int | None = None
    evaluations: float | None = None
    bytes_alive: int | None = None
    seconds: float | None = None
    times: float | None = None
    error: float | None = None
    note: str = ""


class Measuring:
    """The figures of ways at one point, one way after the other, and then all their times."""

    def __init__(self, point: Point, longest: float):
        self.point = point
        self.longest = longest
        self.value_operations = count_operations(point.f, *point.args)
        self.calls = max(1, cost(trace(point.f, *point.args)).total.calls)
        self.references: dict[str, Array] = {}
        self.tasks: dict[tuple[str, str], Callable[[], Any]] = {}

    def figure(self, way: Way) -> Figure:
        """What a way costs but for its time, and how far its result is from that of the first one of its group."""
        found = Figure(way.group, way.name, way.exact)
        if (way.group, way.name) not in _ESSENTIAL:
            if self.point.is_slow:
                return replace(found, note=f"left out: one evaluation takes {self.point.seconds:.2g} s")
            if self.calls > _LONG:
                return replace(found, note=f"left out: one evaluation is {self.calls:,} NumPy calls")
        too_long = self._too_long(way)
        try:
            found = self._counted(way, found, too_long)
            if too_long:
                return replace(found, note=too_long)
            start = process_time()
            result = way.program(*self.point.args)
            seconds = process_time() - start
        except Exception as error:
            if way.group == "value" and not way.compiled:
                raise
            return replace(found, note=shortened(f"{type(error).__name__}: {error}", _LONGEST_NOTE))
        self.tasks[way.group, way.name] = partial(way.program, *self.point.args)
        note = f"first call {seconds * 1e3:,.1f} ms" if way.compiled else ""
        return replace(found, error=self._error(way, result), note=note)

    def timed(self, figures: Sequence[Figure], rounds: int, seconds: float, done: Any = None) -> list[Figure]:
        """The figures with their times, taken in turns."""
        least = interleaved_minimum(self.tasks, rounds=rounds, seconds_each=seconds, done=done)
        value = next(iter(least.values()), None)
        return [
            replace(figure, seconds=taken, times=taken / value) if taken is not None and value else figure
            for figure in figures
            for taken in [least.get((figure.group, figure.name))]
        ]

    def _too_long(self, way: Way) -> str:
        point = self.point
        square = point.inputs if way.group == "Hessian" else point.outputs
        if way.group in ("Jacobian", "Hessian") and "sparse" not in way.name and square * point.inputs > MOST_ENTRIES:
            return f"left out: a matrix of {square:,} by {point.inputs:,}"
        one_by_one = way.repeats > 1 or not way.exact
        calls = self.calls * (way.runs if one_by_one else _CALLS_IN_A_BATCH)
        expected = _CALL * calls + _OPERATION * way.runs * self.value_operations
        return f"left out: may take {expected:,.1f} s" if expected > self.longest else ""

    def _counted(self, way: Way, found: Figure, too_long: str) -> Figure:
        point, value = self.point, self.value_operations
        if not way.exact:
            if way.counted is not None:
                operations = way.repeats * count_operations(way.counted, *point.args)
                return replace(found, operations=operations, evaluations=operations / value if value else None)
            evaluations = way.runs if too_long else self._evaluations(way)
            return replace(found, operations=round(evaluations * value), evaluations=evaluations)
        program, repeats = way.counted or way.program, way.repeats
        many = repeats > 1 and way.runs * self.calls > MOST_CALLS
        alive: int | None
        if too_long or many:
            if way.counted is None or way.compiled:
                return found
            alive = cost(trace(program, *point.args)).peak_bytes
            operations = repeats * count_operations(program, *point.args)
        elif way.compiled:
            record = cost(simplify(trace(program, *point.args)))
            operations, alive = record.operations, record.peak_bytes
        else:
            operations = count_operations(way.program, *point.args)
            try:
                alive = cost(trace(way.program, *point.args)).peak_bytes
            except TypeError:
                # The sparse matrix of a linear function depends on no argument, so a record has nothing of it.
                alive = None
        return replace(
            found, operations=operations, evaluations=operations / value if value else None, bytes_alive=alive
        )

    def _evaluations(self, way: Way) -> float:
        """How often a way without an engine evaluates the function."""
        selection, f = self.point.selection, self.point.selection.f
        count = 0

        def counting(*args: Any) -> Any:
            nonlocal count
            count += 1
            return f(*args)

        selection.f = counting
        try:
            way.program(*self.point.args)
        finally:
            selection.f = f
        return float(count) or way.runs

    def _error(self, way: Way, result: Any) -> float | None:
        if np.prod(getattr(result, "shape", ()), dtype=float) > MOST_ENTRIES:
            # A sparse matrix, which has nothing to be compared with that would fit.
            return None
        found = way.flat(result)
        return relative_difference(found, self.references.setdefault(way.group, found))


def relative_difference(one: Array, other: Array) -> float:
    """The largest difference of two arrays, relative to the largest number; infinite where only one is finite.

    >>> relative_difference(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    0.5
    """
    if one.shape != other.shape:
        return float("inf")
    # Truth values have no difference, and one of unsigned integers is never negative.
    one, other = (array if array.dtype.kind in "fc" else array.astype(float) for array in (one, other))
    with np.errstate(all="ignore"):
        apart = np.where((one == other) | (np.isnan(one) & np.isnan(other)), 0.0, np.abs(one - other))
        apart = np.where(np.isnan(apart), np.inf, apart)
        largest = float(np.max(apart, initial=0.0))
        size = np.abs(other)[np.isfinite(other)].max(initial=0.0) if other.size else 0.0
    return 0.0 if largest == 0 else largest / float(size) if size else float("inf")
