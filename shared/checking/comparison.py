"""Two computations of one derivative: do they agree, and if they do not, on which element of which argument?

A measure computes the derivative along a direction in two ways.  A disagreement beyond the tolerance is
looked at again at arguments moved a little, which shows how much of it is rounding; what remains is traced
to one element by halving the direction.  This module knows nothing of engines, differences or complex steps:
it is given measures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.checking.leaves import like_leaf

Vector = np.ndarray[Any, np.dtype[Any]]

#: Rounding that a derivative may accumulate, in units of its precision, before a second look is taken.
ROUNDINGS = 256


class GradientMismatch(AssertionError):
    """An engine's derivative is not that of the function.

    Attributes, for tools: `engine` (the engine or composition, as in "reversead.vjp over dualad.jvp"),
    `reference` (what it was compared with), `path` (the argument, as in "args[0]['w']"), `index` (in that
    argument), `actual`, `expected` and `error` (the estimated error of `expected`); where one does not apply
    it is None.
    """

    def __init__(
        self,
        message: str,
        *,
        engine: str,
        reference: str | None = None,
        path: str | None = None,
        index: tuple[int, ...] | None = None,
        actual: Any = None,
        expected: Any = None,
        error: float | None = None,
    ):
        super().__init__(message)
        self.engine = engine
        self.reference = reference
        self.path = path
        self.index = index
        self.actual = actual
        self.expected = expected
        self.error = error


@dataclass(frozen=True)
class Subject:
    """What is compared with what: the engine or composition, the reference, and what it is a derivative
    of."""

    engine: str
    reference: str
    outputs: Sequence[str]


@dataclass(frozen=True)
class Sample:
    """A derivative along one direction computed in two ways, array by array.

    `error` is the estimated error of `expected`, and `size` that of the terms in which both were rounded.
    """

    actual: list[Vector]
    expected: list[Vector]
    error: list[Vector]
    size: list[Vector]

    def disagreement(self) -> float:
        """The largest difference, relative to the largest element of its array."""
        largest = 0.0
        for actual, expected, size in zip(self.actual, self.expected, self.size, strict=True):
            apart = float(np.abs(actual - expected).max(initial=0.0))
            if apart > 0:
                largest = max(largest, apart / float(size.max(initial=0.0)))
        return largest


@dataclass(frozen=True)
class Gap:
    """Where the two derivatives of a sample disagree most, in units of the tolerance."""

    excess: float = 0.0
    output: int = 0
    index: tuple[int, ...] = ()
    actual: Any = 0.0
    expected: Any = 0.0
    error: float = 0.0


#: (leaves, tangents, attempt) -> a sample.  Attempts after the first look from elsewhere, where they can.
Measure = Callable[[list[Any], list[Any], int], Sample]


@dataclass(frozen=True)
class Comparator:
    """Decides on measures at one point, given by named leaves, along one direction, given by tangents of
    them."""

    leaves: list[Any]
    names: list[str]
    tangents: list[Any]
    precision: float
    rtol: float
    atol: float
    rng: np.random.Generator

    def settle(self, subject: Subject, measure: Measure) -> Sample:
        """The sample, if its derivatives agree within their errors; else raises GradientMismatch."""
        sample = measure(self.leaves, self.tangents, 0)
        gap = self._gap(sample)
        if gap.excess > 1:
            sample = self._second_look(measure, sample, self.tangents)
            gap = self._gap(sample)
        if gap.excess > 1:
            raise self._locate(subject, measure, gap)
        return sample

    def _gap(self, sample: Sample) -> Gap:
        worst = Gap()
        for k, (actual, expected) in enumerate(zip(sample.actual, sample.expected, strict=True)):
            if not actual.size:
                continue
            with np.errstate(all="ignore"):
                tolerance = sample.error[k] + self.rtol * sample.size[k] + self.atol
                excess = np.where(actual == expected, 0.0, np.abs(actual - expected) / tolerance)
            # An infinite or undefined derivative is wrong; where only the reference is undefined nothing is
            # known.
            excess = np.where(np.isfinite(actual), np.nan_to_num(excess, nan=0.0, posinf=np.inf), np.inf)
            index = tuple(int(i) for i in np.unravel_index(np.argmax(excess), excess.shape))
            if excess[index] > worst.excess:
                error = float(sample.error[k][index])
                worst = Gap(float(excess[index]), k, index, actual[index], expected[index], error)
        return worst

    def _second_look(self, measure: Measure, sample: Sample, tangents: list[Any]) -> Sample:
        """The sample, with its error widened by what arguments moved a little show to be rounding.

        Rounding is another at each such point, while a wrong derivative is as wrong as before.  The allowance
        for rounding is bounded by half of the digits, so that a jump of the derivative is never taken for it.
        """
        errors, noise = list(sample.error), [np.zeros(e.shape) for e in sample.error]
        for attempt in (1, 2, 3):
            other = measure([self._moved(leaf) for leaf in self.leaves], [self._moved(t) for t in tangents], attempt)
            for k, error in enumerate(other.error):
                errors[k] = np.fmax(errors[k], error)
                with np.errstate(all="ignore"):  # of infinite derivatives
                    change = (other.actual[k] - other.expected[k]) - (sample.actual[k] - sample.expected[k])
                    noise[k] = np.fmax(noise[k], np.abs(change))
        for k, error in enumerate(errors):
            bound = np.sqrt(self.precision) * sample.size[k].max(initial=0.0)
            errors[k] = error + np.minimum(4 * noise[k], bound)
        return Sample(sample.actual, sample.expected, errors, sample.size)

    def _moved(self, leaf: Any) -> Any:
        # Far enough to be rounded otherwise on the way, near enough for nearly the same derivative.
        shift = np.sqrt(np.finfo(np.asarray(leaf).dtype).eps) / 16 * self.rng.uniform(-1, 1, np.shape(leaf))
        return like_leaf(leaf, np.asarray(leaf) * (1 + shift))

    def _locate(self, subject: Subject, measure: Measure, gap: Gap) -> GradientMismatch:
        """Halve the direction as long as one half of it still disagrees, down to one element."""
        low, high = 0, sum(np.size(leaf) for leaf in self.leaves)
        while high - low > 1:
            middle = (low + high) // 2
            halves = [(low, middle), (middle, high)]
            gaps = []
            for start, end in halves:
                tangents = self._part(start, end)
                gaps.append(self._gap(self._second_look(measure, measure(self.leaves, tangents, 0), tangents)))
            worse = 0 if gaps[0].excess >= gaps[1].excess else 1
            if gaps[worse].excess <= 1:
                break
            (low, high), gap = halves[worse], gaps[worse]
        return self._mismatch(subject, gap, low if high - low == 1 else None)

    def _part(self, low: int, high: int) -> list[Any]:
        """The direction, for the elements from `low` to `high` of all leaves in order; zero for the
        others."""
        tangents, start = [], 0
        for tangent in self.tangents:
            position = np.arange(start, start + np.size(tangent)).reshape(np.shape(tangent))
            tangents.append(like_leaf(tangent, np.where((position >= low) & (position < high), tangent, 0)))
            start += np.size(tangent)
        return tangents

    def _mismatch(self, subject: Subject, gap: Gap, position: int | None) -> GradientMismatch:
        path, index, place, length = None, None, "along a random direction of all arguments", 1.0
        if position is not None:
            path, index, tangent = self._element(position)
            place = f"by {path}" + (f", index {_plain(index)}" if index else "")
            # Along a real direction of one element, the partial derivative itself can be shown.
            length = float(tangent) if np.isrealobj(tangent) else 1.0
        what = subject.outputs[gap.output] + (f", index {_plain(gap.index)}" if gap.index else "")
        actual, expected, error = gap.actual / length, gap.expected / length, gap.error / abs(length)
        return GradientMismatch(
            f"{subject.engine} disagrees with {subject.reference}\n"
            f"  derivative of {what} {place}\n"
            f"  {subject.engine}: {actual}\n"
            f"  {subject.reference}: {expected}, estimated error {error:.1e}\n"
            f"  they differ by {abs(actual - expected):.1e}, {gap.excess:.1e} times the tolerance",
            engine=subject.engine,
            reference=subject.reference,
            path=path,
            index=index,
            actual=actual,
            expected=expected,
            error=error,
        )

    def _element(self, position: int) -> tuple[str, tuple[int, ...], Any]:
        for name, tangent in zip(self.names, self.tangents, strict=True):
            if position < np.size(tangent):
                index = tuple(int(i) for i in np.unravel_index(position, np.shape(tangent)))
                return name, index, np.asarray(tangent)[index]
            position -= np.size(tangent)
        raise IndexError(position)


def _plain(index: tuple[int, ...]) -> Any:
    return index[0] if len(index) == 1 else index
