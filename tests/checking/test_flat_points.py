"""Where a derivative is zero, or its terms cancel, or the arguments are large: right ones pass, wrong ones do not."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from shared import softmax
from shared.checking.gradients import GradientMismatch, InconclusiveDifferences, check_grads

ENGINES = (dualad, reversead)
X = np.array([0.3, -0.7, 1.2, 0.1, -1.4])

#: functions that are flat at the point, and the point
FLAT: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "weights of zero": (lambda w: np.sum(w**2), np.zeros(3)),
    "a product with itself at zero": (lambda v: v @ v, np.zeros(2)),
    "squared error at the exact fit": (lambda w: np.mean((w - 1.0) ** 2), np.ones(3)),
    "Rosenbrock at its minimum": (
        lambda v: np.sum(100 * (v[1:] - v[:-1] ** 2) ** 2 + (1 - v[:-1]) ** 2),
        np.ones(3),
    ),
    "a network of zeros": (
        lambda p: np.sum(np.tanh(p["W"] @ np.ones(3) + p["b"]) ** 2),
        {"W": np.zeros((2, 3)), "b": np.zeros(2)},
    ),
    "a saddle": (lambda v: v[0] * v[1], np.zeros(2)),
    "a product with two zeros": (np.prod, np.array([0.0, 0.0, 1.0])),
}
#: functions whose derivative is zero because its terms cancel
CANCELLING: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "deviations from the mean": (lambda v: np.sum(v - np.mean(v)), X),
    "a sum of probabilities": (lambda v: np.sum(softmax(v)), X),
    "probabilities of rows": (lambda v: np.sum(softmax(v), axis=-1), np.stack([X, X[::-1]])),
    "Pythagoras": (lambda v: np.sin(v) ** 2 + np.cos(v) ** 2, X),
    "a logarithm of an exponential": (lambda v: np.log(np.exp(v)) - v, X),
}
#: functions that change within a small part of their argument
FAST: dict[str, tuple[Callable[[Any], Any], Any]] = {
    "sin at 1e8": (np.sin, np.array([1e8, 1.1e8])),
    "a sum of cos": (lambda v: np.sum(np.cos(v)), 1e6 * X),
    "a fast oscillation": (lambda v: v + 0.01 * np.sin(1e9 * v), X),
}
RIGHT = {**FLAT, **CANCELLING, **FAST}


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", RIGHT)
def test_right_derivative_passes(name: str, order: int) -> None:
    f, at = RIGHT[name]
    check_grads(f, at, engines=ENGINES, order=order)


@pytest.mark.parametrize("name", RIGHT)
def test_wrong_derivative_is_caught(name: str) -> None:
    # Differences of what changes fast have fewer digits.
    amount = 1e-3 if name in FAST else 1e-6

    def jvp(f: Any, primals: Any, tangents: Any) -> Any:
        out, tangent = reversead.jvp(f, primals, tangents)
        return out, tangent + amount * np.ones_like(tangent)

    wrong = SimpleNamespace(__name__="wrong", jvp=jvp, vjp=reversead.vjp)
    f, at = RIGHT[name]
    with pytest.raises(GradientMismatch, match=r"wrong\.jvp"):
        check_grads(f, at, engines=(wrong,), order=1)


@pytest.mark.parametrize(
    ("f", "at"),
    [
        (lambda v: np.sum(np.abs(v)), np.zeros(2)),
        (lambda v: np.sum(np.abs(v - 1)), np.ones(2)),
        (lambda v: np.linalg.norm(v), np.zeros(3)),
        (lambda v: np.sum(np.maximum(v - 1, 0)), np.ones(2)),
    ],
)
def test_kink_at_which_the_function_is_zero_is_not_taken_for_a_flat_point(f: Callable[[Any], Any], at: Any) -> None:
    with pytest.raises(InconclusiveDifferences):
        check_grads(f, at, engines=ENGINES)
