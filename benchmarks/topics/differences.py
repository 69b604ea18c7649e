"""Differences beside the modes: n + 1 evaluations, and an error that no step makes small.

A forward difference errs by the step h times half the second derivative, and by rounding over h: its error over h is a
V whose tip is near 1e-8.  A central difference has its tip lower, at twice the evaluations.  The complex step does not
subtract, so its error falls until it is that of rounding (Squire & Trapp 1998), but f has to be analytic.  Both modes
are there already, without a step.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import dualad
import reversead
from benchmarks import workloads
from benchmarks.curves import Curve, Plot
from benchmarks.topics.sweep import grid

#: The negative of log10 of the step.
DIGITS_OF_STEP = tuple(range(1, 17))
#: Where the error is taken.
POINT = 1.5
ROUNDING = float(np.finfo(np.float64).eps)


def f(x: Any) -> Any:
    """The function of W. Squire and G. Trapp, Using complex variables to estimate derivatives (1998)."""
    return np.exp(x) / np.sqrt(np.sin(x) ** 3 + np.cos(x) ** 3)


def exact() -> float:
    """Its derivative at `POINT`, by hand."""
    x = POINT
    sine, cosine = np.sin(x), np.cos(x)
    cubes = sine**3 + cosine**3
    return float(np.exp(x) / np.sqrt(cubes) * (1.0 - 1.5 * sine * cosine * (sine - cosine) / cubes))


WAYS: dict[str, Callable[[float], Any]] = {
    "finite differences": lambda h: (f(POINT + h) - f(POINT)) / h,
    "central differences": lambda h: (f(POINT + h) - f(POINT - h)) / (2.0 * h),
    "complex step": lambda h: np.imag(f(POINT + 1j * h)) / h,
    "forward": lambda h: dualad.grad(f)(POINT),
    "reverse": lambda h: reversead.grad(f)(POINT),
}


def error(digits_of_step: int, way: str) -> float:
    """The relative error of a derivative with the step 10**-digits_of_step, at least that of one rounding."""
    return max(abs(float(WAYS[way](10.0**-digits_of_step)) / exact() - 1.0), ROUNDING)


def evaluations(log2_inputs: int, way: str) -> int:
    """How often a gradient runs a function of 2**log2_inputs numbers, counted as it does."""
    runs = 0

    def counted(x: Any) -> Any:
        nonlocal runs
        runs += 1
        return np.sum(x * x)

    workload = workloads.Workload("counted", counted, np.ones(2**log2_inputs), 2**log2_inputs)
    workloads.transformed(workload, way)(workload.argument)
    return runs


class Error:
    """The V: the relative error against the step."""

    version = "1"
    params = (grid(DIGITS_OF_STEP), tuple(WAYS))
    param_names = ("digits_of_step", "way")

    def track_error(self, digits_of_step: int, way: str) -> float:
        return error(digits_of_step, way)

    track_error.pretty_name = "G. relative error of a derivative, against the step"  # type: ignore[attr-defined]
    track_error.unit = "relative error"  # type: ignore[attr-defined]


class Evaluations:
    """How often each mode runs the function for a gradient."""

    version = "1"
    params = (grid((2, 4, 6, 8)), workloads.MODES)
    param_names = ("log2_n", "mode")

    def track_runs(self, log2_n: int, mode: str) -> int:
        return evaluations(log2_n, mode)

    track_runs.pretty_name = "G. runs of f for a gradient, against inputs"  # type: ignore[attr-defined]
    track_runs.unit = "runs of f"  # type: ignore[attr-defined]


def plots() -> Iterator[Plot]:
    """The V, and the runs of f."""
    steps = [10.0**-digits for digits in reversed(DIGITS_OF_STEP)]
    yield Plot(
        "relative error of a derivative",
        "Differences lose half of the digits at the best step, and all of them at a bad one.",
        "step",
        "relative error",
        [Curve(way, steps, [error(digits, way) for digits in reversed(DIGITS_OF_STEP)]) for way in WAYS],
    )
    sizes = (2, 4, 6, 8)
    yield Plot(
        "runs of f for a gradient",
        "Reverse and batched forward mode run f once, differences n + 1 times.",
        "n, inputs",
        "runs of f",
        [Curve(way, [2**k for k in sizes], [evaluations(k, way) for k in sizes]) for way in workloads.MODES],
    )
