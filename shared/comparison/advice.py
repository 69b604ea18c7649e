"""Which mode to take: predicted from counts and the constants of the machine, with the reason in one sentence.

Each way is recorded, and the calls and bytes of the record counted.  What would be too long to record is told from one
product: what a direction adds to the function is paid n times forwards, what a sweep adds m times in reverse, and a
colouring says how many a sparse Jacobian takes (Griewank & Walther 2008, sections 3.2 and 8.3; Curtis, Powell & Reid
1974).  This module measures no derivative.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from shared.batching.directions import BYTES
from shared.calling.arguments import Argnums
from shared.calling.engine import Engine
from shared.calling.tree import flatten
from shared.checking.leaves import like_leaf
from shared.comparison.calibration import Machine, machine
from shared.comparison.point import Point
from shared.comparison.unit_seeds import saved
from shared.comparison.ways import GRADIENT, JACOBIAN, Way, cotangent_of, direction_of, mixture, ways
from shared.core.errors import DensePatternError
from shared.programs.measuring.cost import Cost, cost
from shared.programs.tracing import trace
from shared.sparse.colouring import Colouring, colour
from shared.sparse.sparsity import jacobian_pattern

#: Predictions that are closer than this are said to be alike.
ALIKE = 1.2

#: Ways that take longer than this many seconds, as far as one product tells, are not recorded themselves.
LONGEST_RECORD = 0.2

#: The names of the ways that advice chooses among, and what they are called in it.
_MODES = {
    "reverse": "reverse", "forward, batched": "forward", "reverse, batched": "reverse", "mixed": "mixed",
    "sparse, forward": "sparse forward", "sparse, reverse": "sparse reverse", "sparse, both ways": "sparse both ways",
}  # fmt: skip


@dataclass(frozen=True)
class Advice:
    """Which way to take to a gradient or Jacobian, and why.

    `predicted` is the name of the way, `seconds` what each one is predicted to take, in order; `reason` a sentence.
    `measured` is the fastest one where they have been timed, and `apart` how many times slower the predicted one is.
    """

    group: str
    predicted: str
    seconds: dict[str, float]
    reason: str
    measured: str | None = None
    apart: float | None = None

    def beside(self, measured: dict[str, float]) -> Advice:
        """The same beside measured seconds, of those ways that were measured."""
        known = {name: measured[name] for name in self.seconds if name in measured}
        if self.predicted not in known:
            return self
        best = min(known, key=lambda name: known[name])
        return Advice(self.group, self.predicted, self.seconds, self.reason, best, known[self.predicted] / known[best])

    def __str__(self) -> str:
        text = f"{self.reason[0].upper()}{self.reason[1:]}."
        if self.measured is None or self.apart is None:
            return text
        if self.measured == self.predicted:
            return f"{text} Measured: {called(self.measured)} is the fastest."
        return f"{text} Measured: {called(self.measured)} is the fastest, {self.apart:.2f} times faster than predicted."


def called(name: str) -> str:
    """What a way is called in a sentence.

    >>> called("forward, batched")
    'forward'
    """
    return _MODES.get(name, name)


def advise(f: Callable[..., Any], *args: Any, engines: Sequence[Engine], argnums: Argnums | None = None) -> Advice:
    """Which mode to take for the gradient or Jacobian of `f` at `args`, predicted, with the reason in one sentence.

    `engines` are a forward and a reverse engine; `argnums` says what varies, by default all that can.  A colouring of
    a sparse Jacobian is taken as made before, once for many points.

    Cost: a record of `f` and of each way (of long ones, of a single product), the detection of a sparse pattern, and,
    once a process, about a second in which the machine is measured (`shared.comparison.calibration`).  Raises what
    `compare` raises.

    >>> import numpy as np
    >>> import dualad, reversead
    >>> advice = advise(lambda x: np.sum(np.sin(x) ** 2), np.ones(10_000), engines=(dualad, reversead))
    >>> advice.predicted, advice.reason.split(",")[0]
    ('reverse', '10')
    """
    point = Point("advise", f, args, argnums, engines)
    return predict(point, colouring(point), machine(point.forward, point.reverse))


def colouring(point: Point) -> Colouring | None:
    """The best colouring of the Jacobian's pattern; None of a gradient, and where the pattern has nothing to save."""
    if point.is_scalar:
        return None
    return _colouring(point, point.f, "best", min(point.inputs, point.outputs))


def hessian_colouring(point: Point) -> Colouring | None:
    """The colouring of the Hessian's pattern; None where there is none, and where the pattern has nothing to save."""
    if not point.is_scalar or point.inputs < 2 or point.is_slow:
        return None
    return _colouring(point, point.reverse.grad(point.f, point.argnums), "symmetric", point.inputs)


def _colouring(point: Point, f: Callable[..., Any], by: str, otherwise: int) -> Colouring | None:
    if not point.is_real or _seems_dense(point, f):
        return None
    try:
        pattern = jacobian_pattern(f, *point.args, argnums=point.argnums)
    except DensePatternError:
        return None
    if 2 * pattern.nnz > math.prod(pattern.shape):
        return None
    found = colour(pattern, by)
    return found if found.jvps + found.vjps < otherwise else None


def _seems_dense(point: Point, f: Callable[..., Any]) -> bool:
    """Whether the first column, the last and one between are mostly nonzero: then no pattern is worth its detection."""
    leaves = point.selection.leaves
    ends = np.cumsum([0, *point.sizes])
    for place in {0, point.inputs // 2, point.inputs - 1}:
        units = [
            like_leaf(leaf, (np.arange(start, end) == place).reshape(np.shape(leaf)).astype(float))
            for leaf, start, end in zip(leaves, ends, ends[1:], strict=False)
        ]
        tangent = point.forward.jvp(f, point.args, point.selection.pack(units), argnums=point.argnums)[1]
        column = [np.asarray(leaf) for leaf in flatten(tangent)[0]]
        if 2 * sum(map(np.count_nonzero, column)) <= sum(leaf.size for leaf in column):
            return False
    return True


def predict(point: Point, sparse: Colouring | None, constants: Machine) -> Advice:
    """The advice for a function at a point."""
    seconds = dict(sorted(_seconds(point, sparse, constants).items(), key=lambda item: item[1]))
    group = GRADIENT if point.is_scalar else JACOBIAN
    return Advice(group, next(iter(seconds)), seconds, _reason(point, sparse, seconds))


def candidates(point: Point, sparse: Colouring | None) -> list[Way]:
    """The ways that advice chooses among, to be run."""
    group = GRADIENT if point.is_scalar else JACOBIAN
    return [way for way in ways(point, sparse, None) if way.group == group and way.name in _MODES and not way.compiled]


class _Counts:
    """What the ways of one function take: from their own records, or for long ones from those of single products."""

    def __init__(self, point: Point, constants: Machine):
        self.point = point
        self.constants = constants
        self.program = trace(point.f, *point.args)
        self.largest = max([type_.nbytes for type_ in self.program.types], default=8)
        self.value = constants.arithmetic(cost(self.program))

    def seconds(self, way: Way, mode: str, products: int) -> float:
        """The seconds of a way that takes so many products, directions or sweeps."""
        expected = self._of_products(mode, products)
        if expected > LONGEST_RECORD:
            return expected
        try:
            record = cost(trace(way.program, *self.point.args))
        except TypeError:
            # The sparse matrix of a linear function depends on no argument, so a record has nothing of it.
            return expected
        arithmetic = self.constants.arithmetic(record)
        if "sparse" not in way.name:
            arithmetic -= saved(self.program, mode.startswith("reverse"), products, self.constants)
        return self._seconds(mode, record, products) + max(arithmetic, self.value)

    def _of_products(self, mode: str, products: int) -> float:
        """The same from one product: what it adds to the function is paid for each, as many at a time as fit."""
        backwards = mode.startswith("reverse")
        point = self.point
        one = cotangent_of(point, point.reverse) if backwards else direction_of(point, point.forward)
        record = cost(trace(one, *point.args))
        chunks = math.ceil(products / max(1, BYTES // 8 // max(self.largest, 1)))
        own = max(self.constants.arithmetic(record) - self.value, 0.0)
        values = 1 if backwards else chunks
        calls = self._seconds(mode, record, products, chunks)
        return calls + values * self.value + products * own

    def _seconds(self, mode: str, record: Cost, products: int, chunks: int = 1) -> float:
        """The seconds of a record's calls in a mode, and of the seeds, of which each product has as many numbers."""
        # A single product is no batch.
        alone = mode.removesuffix(" batched") if products == 1 else mode
        seeds = 8.0 * products**2 if products > 1 else 0.0
        calls = chunks * self.constants.calls(alone, record)
        return self.constants.start[mode] + calls + self.constants.moving(seeds, seeds / chunks)


def _seconds(point: Point, sparse: Colouring | None, constants: Machine) -> dict[str, float]:
    counts = _Counts(point, constants)
    found = {}
    for way in candidates(point, sparse):
        if way.name == "mixed":
            found[way.name] = _of_mixture(point, constants)
        elif "sparse" in way.name and sparse is not None:
            mode = "reverse batched" if sparse.vjps else "forward batched"
            taken = counts.seconds(way, mode, sparse.jvps + sparse.vjps + 1)
            found[way.name] = taken + constants.sparse + constants.entry * sparse.pattern.nnz
        elif way.name == "reverse":
            found[way.name] = counts.seconds(way, "reverse", 1)
        else:
            mode = way.name.replace(",", "")
            found[way.name] = counts.seconds(way, mode, point.outputs if "reverse" in mode else point.inputs)
    return found


def _of_mixture(point: Point, constants: Machine) -> float:
    """A Jacobian forwards by some arguments, one in reverse by the others, and both put together."""
    parts = mixture(point)
    assert parts is not None
    total = 16 * point.inputs * point.outputs * constants.byte
    for part, name in zip(parts, ("forward, batched", "reverse, batched"), strict=True):
        half = Point("advise", point.f, point.args, part, (point.forward, point.reverse))
        total += _seconds_of(half, name, constants)
    return total


def _seconds_of(point: Point, name: str, constants: Machine) -> float:
    (way,) = [way for way in candidates(point, None) if way.name == name]
    products = point.outputs if "reverse" in name else point.inputs
    return _Counts(point, constants).seconds(way, name.replace(",", ""), products)


# --- the reason -------------------------------------------------------------------------------------------------------


def _reason(point: Point, sparse: Colouring | None, seconds: dict[str, float]) -> str:
    best, *_ = seconds
    counts = f"{_plural(point.inputs, 'input')}, {_plural(point.outputs, 'output')}"
    dense = {called(name): taken for name, taken in seconds.items() if called(name) in ("forward", "reverse")}
    (first, least), (second, most) = dense.items()
    if most < ALIKE * least:
        text = f"{counts}: forward and reverse are alike, {first} ahead by {most / least - 1:.0%}"
    else:
        text = f"{counts}: {first}, {_times(most / least)} times cheaper than {second}"
    if "sparse" in best and sparse is not None:
        parts = (("direction", sparse.jvps), ("cotangent", sparse.vjps))
        products = " and ".join([_plural(count, what) for what, count in parts if count])
        text += f"; the pattern needs {products}: {called(best)}, {_times(least / seconds[best])} times cheaper still"
    elif best == "mixed":
        forwards, backwards = _mixed_names(point)
        saved = _times(least / seconds[best])
        text += f"; {forwards} forwards and {backwards} in reverse: mixed, {saved} times cheaper still"
    elif sparse is not None:
        needed = _plural(sparse.jvps + sparse.vjps, "product")
        text += f"; the pattern needs {needed}, which so few numbers do not repay"
    return text


def _mixed_names(point: Point) -> tuple[str, str]:
    parts = mixture(point)
    assert parts is not None
    names = {place: f"{name} ({_plural(count, 'number')})" for place, name, count in point.places()}
    forwards, backwards = (" and ".join(names[place] for place in part) for part in parts)
    return forwards, backwards


def _plural(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _times(ratio: float) -> str:
    """A ratio with two digits, or as a whole number where it is large.

    >>> _times(1.234), _times(31.4), _times(8123.0)
    ('1.2', '31', '8,100')
    """
    if ratio < 10:
        return f"{ratio:.1f}"
    digits = max(0, len(str(int(ratio))) - 2)
    return f"{round(ratio, -digits):,.0f}"


def tasks(point: Point, sparse: Colouring | None) -> dict[str, Callable[[], Any]]:
    """What advice chooses among, as calls to be timed."""
    return {way.name: partial(way.program, *point.args) for way in candidates(point, sparse)}
