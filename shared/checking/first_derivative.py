"""The first derivative of one function by one engine, against every reference there is for it.

This is where engines are run: their results are first checked in form (number, shape, dtype, value of the
function), then measured against differences, the complex step and, of pullbacks, the adjoint identity.  This
module knows the interface of an engine and nothing of its workings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.checking.comparison import ROUNDINGS, Comparator, GradientMismatch, Measure, Sample, Subject
from shared.checking.complex_step import ComplexStepNotApplicable, complex_step_derivative
from shared.checking.differences import (
    FIRST_STEP,
    Estimate,
    chords,
    copied,
    directional_difference,
    has_kink,
    step_unit,
)
from shared.checking.leaves import (
    Differentiator,
    LeafFunction,
    name_of,
    pack,
    random_cotangents,
    random_tangents,
    unpack,
)

Vector = np.ndarray[Any, np.dtype[Any]]

#: (leaves, tangents, attempt) -> the derivative, array by array, and its estimated error.
_Reference = Callable[[list[Any], list[Any], int], Estimate]

#: Differences whose error is a larger part of the derivative than this tell no right one from a wrong one...
_CONCLUSIVE = 0.01
#: ... unless the derivative is as good as zero beside the value of the function, or its steepness nearby.
_NEGLIGIBLE = 1e-6
#: Values of so many roundings of the arguments are what is left where these cancel.
_CANCELLED = 64


class InconclusiveDifferences(AssertionError):
    """Differences of the function are too uncertain at this point to check anything against."""


@dataclass(frozen=True)
class Comparison:
    """One passed comparison: the engine or composition, its reference, and the largest relative
    disagreement."""

    engine: str
    reference: str
    disagreement: float


class FirstDerivative:
    """The references for the first derivative of one function at one point, along one random direction.

    `over` describes the function where it is itself a derivative, as in " over dualad.jvp".
    """

    def __init__(
        self,
        function: LeafFunction,
        over: str,
        modes: Sequence[str],
        rtol: float | None,
        atol: float,
        rng: np.random.Generator,
    ):
        self.function = function
        self.over = over
        self.modes = modes
        self.atol = atol
        self.outputs = function.call(*function.fresh())
        self.cotangents = random_cotangents(self.outputs, rng)
        self.tangents = random_tangents(function.leaves, rng)
        dtypes = [np.asarray(value).dtype for value in [*function.leaves, *self.outputs]]
        coarsest = max((np.finfo(dtype) for dtype in dtypes), key=lambda info: float(info.eps))
        self.precision = float(coarsest.eps)
        self.rtol = ROUNDINGS * self.precision if rtol is None else rtol
        # A product may underflow on the way to a result that a wider format could still hold.
        underflow = float(coarsest.tiny) / self.precision
        self.comparator = Comparator(
            function.leaves, function.names, self.tangents, self.precision, self.rtol, atol + underflow, rng
        )
        self.differences = directional_difference(function.call, function.leaves, self.tangents)
        self.largest = max((float(np.max(np.abs(leaf), initial=0.0)) for leaf in function.leaves), default=0.0)
        unit = step_unit(function.leaves, self.tangents) or 1.0
        #: of each output, how large terms of its derivative are that may cancel: as large as make up its value
        self.terms = [
            (self.largest if self._cancels(k) else float(np.max(np.abs(output), initial=0.0))) / unit
            for k, output in enumerate(self.outputs)
        ]
        #: why the complex step is no reference, if it is not
        self.skipped = "complex step: only for the function itself" if over else ""
        if not over:
            self._try_complex_step()

    def _try_complex_step(self) -> None:
        try:
            exact = complex_step_derivative(self.function.call, self.function.leaves, self.tangents)
        except ComplexStepNotApplicable as reason:
            self.skipped = f"complex step: {reason}"
            return
        for value, estimate, error in zip(exact, *self.differences, strict=True):
            if not np.all(np.abs(value - estimate) <= 4 * error + self.rtol * np.abs(estimate)):
                # Something not analytic was hidden from the complex step by a conversion to a plain array.
                self.skipped = "complex step: it disagrees with differences"

    def compare(self, engine: Differentiator) -> Iterator[Comparison]:
        """Compare one engine with every reference; raises GradientMismatch or InconclusiveDifferences."""
        pushed, pulled = (f"{name_of(engine)}.{mode}{self.over}" for mode in ("jvp", "vjp"))
        push, pull = self._pusher(engine, pushed), self._puller(engine, pulled)
        weighted = ["the output, weighted by a cotangent,"]
        if "jvp" in self.modes:
            outputs = self.function.outputs
            yield self._settle(Subject(pushed, "differences", outputs), self._of_tangents(push, self._differences))
            if not self.skipped:
                measure = self._of_tangents(push, self._complex_step)
                yield self._settle(Subject(pushed, "the complex step", outputs), measure)
        if "vjp" in self.modes:
            against_jvp = "jvp" in self.modes
            reference: _Reference = (lambda *at: _exact(push(*at))) if against_jvp else self._differences
            name = "the adjoint identity" if against_jvp else "differences"
            yield self._settle(Subject(pulled, name, weighted), self._of_cotangents(pull, reference))

    def _settle(self, subject: Subject, measure: Measure) -> Comparison:
        try:
            sample = self.comparator.settle(subject, measure)
        except GradientMismatch as mismatch:
            if mismatch.reference == "differences" and has_kink(
                self.function.call, self.function.leaves, self.tangents
            ):
                mismatch.add_note(
                    "The function has a kink or a jump here: its one-sided differences differ, so no "
                    "difference decides what its derivative is. Move the arguments off it."
                )
            raise
        if subject.reference == "differences":
            self._require_conclusive(subject, sample)
        return Comparison(subject.engine, subject.reference, sample.disagreement())

    def _require_conclusive(self, subject: Subject, sample: Sample) -> None:
        for k, error in enumerate(sample.error):
            both = np.fmax(np.abs(sample.actual[k]), np.abs(sample.expected[k]))
            worst, size = error.max(initial=0.0), np.nan_to_num(both).max(initial=0.0)
            value = np.abs(self.outputs[k]).max(initial=0.0)
            if worst <= _CONCLUSIVE * size or worst <= _NEGLIGIBLE * value or worst <= _NEGLIGIBLE * self._steepness(k):
                continue
            raise InconclusiveDifferences(
                f"{subject.engine} cannot be checked at these arguments: differences of "
                f"{subject.outputs[k]} have an estimated error of {worst:.1e} for a derivative of "
                f"{size:.1e}. Is there a kink, a jump or noise? Choose other arguments, or a smoother "
                "function"
            )

    def _steepness(self, k: int) -> float:
        """What a derivative of output k is to be compared with where it is zero, as at a minimum; 0 at a kink.

        It is how steep the function is nearby.  One that is nothing but the rounding of its arguments, because they
        cancel, is steep nowhere; of that it is the size of the arguments.
        """
        function = self.function
        if has_kink(function.call, function.leaves, self.tangents):
            return 0.0
        return max(chords(function.call, function.leaves, self.tangents)[k], self.terms[k] * self._cancels(k))

    def _cancels(self, k: int) -> bool:
        """Whether output k is nothing but the rounding of the arguments."""
        return bool(np.abs(self.outputs[k]).max(initial=0.0) <= _CANCELLED * self.precision * self.largest)

    # --- the references ---

    def _differences(self, leaves: list[Any], tangents: list[Any], attempt: int) -> Estimate:
        if tangents is self.tangents and not attempt:  # computed once for every engine
            return self.differences
        return directional_difference(self.function.call, leaves, tangents, FIRST_STEP * 0.8**attempt)

    def _complex_step(self, leaves: list[Any], tangents: list[Any], attempt: int) -> Estimate:
        # Where f cancels, as sin(x) / x does near 0, so does its complex step, in terms of the order of f.
        exact = complex_step_derivative(self.function.call, leaves, tangents)
        return Estimate(exact, [self.rtol * np.abs(np.asarray(output)) for output in self.outputs])

    # --- the engine, with the form of its results checked ---

    def _pusher(self, engine: Differentiator, name: str) -> Callable[..., list[Vector]]:
        def push(leaves: list[Any], tangents: list[Any], attempt: int) -> list[Vector]:
            at, along = tuple(map(copied, leaves)), tuple(map(copied, tangents))
            with _noting(name):
                out, tangent = engine.jvp(self.function.as_one, at, along)
            self._require_value(name, out, attempt)
            found = unpack(tangent, len(self.outputs))
            return _require_form(name, "tangent", found, self.outputs, self.function.outputs)

        return push

    def _puller(self, engine: Differentiator, name: str) -> Callable[..., list[Vector]]:
        def pull(leaves: list[Any], attempt: int) -> list[Vector]:
            with _noting(name):
                out, pullback = engine.vjp(self.function.as_one, *map(copied, leaves))
                found = list(pullback(pack([copied(c) for c in self.cotangents])))
            self._require_value(name, out, attempt)
            return _require_form(name, "cotangent", found, self.function.leaves, self.function.names)

        return pull

    def _require_value(self, name: str, out: Any, attempt: int) -> None:
        outputs = self.function.outputs
        found = _require_form(name, "value", unpack(out, len(outputs)), self.outputs, outputs)
        for value, expected, what in zip(found, self.outputs, outputs, strict=True):
            # Later attempts are made at other arguments.
            allowed = ROUNDINGS * self.precision * np.abs(expected).max(initial=0.0) + self.atol
            if not attempt and not np.all(np.abs(value - expected) <= allowed):
                raise GradientMismatch(
                    f"{name} computes another value of {what} than the function itself: {value} instead of {expected}",
                    engine=name,
                    actual=value,
                    expected=expected,
                )

    def _of_tangents(self, push: Callable[..., list[Vector]], reference: _Reference) -> Measure:
        """J t by the engine against J t by a reference."""

        def measure(leaves: list[Any], tangents: list[Any], attempt: int) -> Sample:
            actual, known = push(leaves, tangents, attempt), reference(leaves, tangents, attempt)
            size = [
                np.fmax(np.fmax(np.abs(a), np.abs(e)), term)
                for a, e, term in zip(actual, known.value, self.terms, strict=True)
            ]
            return Sample(actual, known.value, known.error, size)

        return measure

    def _of_cotangents(self, pull: Callable[..., list[Vector]], reference: _Reference) -> Measure:
        """<J^T c, t> against <c, J t>, of complex products the real part."""

        def measure(leaves: list[Any], tangents: list[Any], attempt: int) -> Sample:
            known = reference(leaves, tangents, attempt)
            cotangents = pull(leaves, attempt)
            with np.errstate(all="ignore"):  # what is infinite or not a number is reported as such
                left = [_wide(c) * t for c, t in zip(cotangents, tangents, strict=True)]
                right = [_wide(c) * t for c, t in zip(self.cotangents, known.value, strict=True)]
                size = sum(float(np.abs(term).sum()) for term in [*left, *right])
                size += sum(float(np.abs(c).sum()) * term for c, term in zip(self.cotangents, self.terms, strict=True))
                error = sum(np.sum(np.abs(c) * e) for c, e in zip(self.cotangents, known.error, strict=True))
                return Sample([_total(left)], [_total(right)], [np.asarray(error)], [np.asarray(size)])

        return measure


@contextmanager
def _noting(name: str) -> Iterator[None]:
    """Adds to an exception which engine or composition raised it."""
    try:
        yield
    except Exception as error:
        error.add_note(f"raised while check_grads ran {name}")
        raise


def _require_form(name: str, kind: str, found: list[Any], wanted: Sequence[Any], paths: Sequence[str]) -> list[Vector]:
    if len(found) != len(wanted):
        raise GradientMismatch(f"{name} returns {len(found)} {kind}s instead of {len(wanted)}", engine=name)
    arrays = [np.asarray(value) for value in found]
    for value, primal, path in zip(arrays, wanted, paths, strict=True):
        of_primal = np.asarray(primal)
        properties: list[tuple[str, Any, Any]] = [("shape", value.shape, of_primal.shape)]
        # A Python number has no dtype of its own: it takes that of what it meets.
        if isinstance(primal, (np.ndarray, np.generic)):
            properties.append(("dtype", value.dtype, of_primal.dtype))
        for what, given, right in properties:
            if given != right:
                raise GradientMismatch(
                    f"{name}: the {kind} of {path} has {what} {given}, but must have {right}",
                    engine=name,
                    path=path,
                    actual=given,
                    expected=right,
                )
    return arrays


def _exact(values: list[Vector]) -> Estimate:
    return Estimate(values, [np.zeros(v.shape) for v in values])


def _wide(values: Any) -> Vector:
    """In double precision at least, so that the products of a float32 check are not rounded once more."""
    return np.asarray(values).astype(np.result_type(values, np.float64))


def _total(terms: list[Vector]) -> Vector:
    return np.asarray(np.real(sum((t.sum() for t in terms), np.float64(0.0))))
