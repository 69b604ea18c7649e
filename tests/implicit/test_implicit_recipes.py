"""The recipes from rules of one's own to SciPy's solvers: they run, and their numbers are right."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from custom_roots import over_engines

from shared.core.errors import SolutionError

DOCUMENT = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", DOCUMENT[: DOCUMENT.index("## Hessian-vector products")], re.DOTALL)


@pytest.fixture(scope="module")
def recipes() -> dict[str, Any]:
    """The names that the examples define, run one after the other as they are printed."""
    scope: dict[str, Any] = {}
    for example in EXAMPLES:
        exec(example, scope)
    return scope


def test_the_numbers_in_the_recipes(recipes: dict[str, Any]) -> None:
    np.testing.assert_allclose(recipes["gradient"], [-1.0, math.exp(-1.0)], rtol=1e-14)
    assert recipes["curvature"] == pytest.approx(-2 * math.exp(-1.0), rel=1e-14)
    np.testing.assert_array_equal(recipes["clipped"], [0.5, 1.0])
    assert recipes["forwards"] == pytest.approx(recipes["backwards"], rel=1e-13)
    np.testing.assert_allclose(recipes["slope"], 0.5 / np.sqrt(recipes["a"]), rtol=1e-13)
    np.testing.assert_allclose(recipes["curvatures"], np.diag(-0.25 * recipes["a"] ** -1.5), rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(recipes["turned"], np.eye(3) - 1 / 3, rtol=1e-10, atol=1e-10)


@over_engines
def test_keplers_equation(ad: Any, outer: Any, recipes: dict[str, Any]) -> None:
    e, m = 0.3, 1.0

    def anomaly(e: Any, m: Any) -> Any:
        return recipes["anomaly"]({"eccentricity": e, "mean anomaly": m})

    E = anomaly(e, m)
    assert e * math.sin(E) + m == pytest.approx(E, rel=1e-15)
    slope = 1 / (1 - e * math.cos(E))
    expected = [math.sin(E) * slope, slope]
    np.testing.assert_allclose(ad.grad(anomaly, (0, 1))(e, m), expected, rtol=1e-13)
    # dE/dm = slope, which varies with E by -e sin(E) slope^2 and with e by cos(E) slope^2
    by_m = -e * math.sin(E) * slope**3
    by_e = math.cos(E) * slope**2 - e * math.sin(E) * slope**2 * expected[0]
    np.testing.assert_allclose(outer.grad(ad.grad(anomaly, 1), (0, 1))(e, m), [by_e, by_m], rtol=1e-12)
    np.testing.assert_allclose(outer.grad(ad.grad(anomaly, 0), 1)(e, m), by_e, rtol=1e-12)


@over_engines
def test_a_minimiser(ad: Any, outer: Any, recipes: dict[str, Any]) -> None:
    """sinh(x - theta) + sum(x) = 0, so (diag(cosh) + 1 1^T) dx = cosh dtheta."""
    minimiser, theta = recipes["minimiser"], np.array([0.5, -1.0])
    x = minimiser(theta)
    # As near as SciPy's method gets.
    np.testing.assert_allclose(np.sinh(x - theta), -np.sum(x), rtol=1e-8)
    curvature = np.diag(np.cosh(x - theta))
    np.testing.assert_allclose(
        ad.jacobian(minimiser)(theta), np.linalg.solve(curvature + np.ones((2, 2)), curvature), rtol=1e-12
    )

    # The energy at the minimiser varies by theta alone, to first order.
    def least(theta: Any) -> Any:
        return recipes["energy"](minimiser(theta), theta)

    np.testing.assert_allclose(ad.grad(least)(theta), -np.sinh(x - theta), rtol=1e-8)
    sensitivity = ad.jacobian(minimiser)(theta)
    np.testing.assert_allclose(
        outer.jacobian(ad.grad(least))(theta), curvature @ (np.eye(2) - sensitivity), rtol=1e-8, atol=1e-10
    )


@over_engines
def test_a_fixed_point(ad: Any, outer: Any, recipes: dict[str, Any]) -> None:
    def total(a: Any) -> Any:
        return np.sum(recipes["square_root"](a))

    a = np.array([2.0, 9.0])
    np.testing.assert_allclose(ad.grad(total)(a), 0.5 / np.sqrt(a), rtol=1e-13)
    np.testing.assert_allclose(outer.jacobian(ad.grad(total))(a), np.diag(-0.25 * a**-1.5), rtol=1e-12, atol=1e-15)


def test_the_residual_is_in_the_error_as_the_text_says(recipes: dict[str, Any]) -> None:
    lazy = recipes["implicit_root"](recipes["kepler"], lambda f, guess: guess, recipes["reversead"])
    with pytest.raises(SolutionError, match=r"root of kepler: .* no solution \(at .*: its residual is 2\.52e-01"):
        recipes["reversead"].grad(lazy, 1)(1.0, recipes["orbit"])


# --- SciPy as the caller ----------------------------------------------------------------------------------------------


def test_curve_fit_gets_the_columns_of_several_arguments(recipes: dict[str, Any]) -> None:
    at, (height, rate, level) = recipes["at"], (1.5, 0.7, 0.2)
    fall = np.exp(-rate * at)
    expected = np.stack([fall, -height * at * fall, np.ones(30)], axis=1)
    np.testing.assert_allclose(recipes["columns"](at, height, rate, level), expected, rtol=1e-14)
    np.testing.assert_allclose(recipes["fitted"], [2.5, 1.3, 0.5], rtol=1e-8)
    assert recipes["covariance"].shape == (3, 3)


def test_the_solvers_find_what_they_are_to_find(recipes: dict[str, Any]) -> None:
    np.testing.assert_allclose(recipes["bottom"].x, 1.0, rtol=1e-5)
    assert recipes["bottom"].nhev > 0
    np.testing.assert_allclose(recipes["least"].x, [2.5, 1.3, 0.5], rtol=1e-8)
    x = recipes["met"].x
    np.testing.assert_allclose([x[0] ** 2 + x[1] ** 2, x[0]], [4.0, np.exp(-x[1])], rtol=1e-10)
    assert recipes["met"].njev > 0
    assert recipes["cubic"](recipes["halley"]) == pytest.approx(0.0, abs=1e-12)


def test_a_stiff_solver_takes_the_jacobian(recipes: dict[str, Any]) -> None:
    y = np.array([0.3, -2.0])
    expected = [[0.0, 1.0], [-2000 * y[0] * y[1] - 1, 1000 * (1 - y[0] ** 2)]]
    np.testing.assert_allclose(recipes["dualad"].jacobian(recipes["oscillator"], 1)(0.0, y), expected, rtol=1e-14)
    stiff = recipes["stiff"]
    assert stiff.success and stiff.njev > 0
    # With the derivative that is written out it goes the same way.
    by_hand = recipes["solve_ivp"](
        recipes["oscillator"], (0.0, 100.0), [2.0, 0.0], method="Radau",
        jac=lambda t, y: [[0.0, 1.0], [-2000 * y[0] * y[1] - 1, 1000 * (1 - y[0] ** 2)]],
    )  # fmt: skip
    np.testing.assert_allclose(stiff.y, by_hand.y, rtol=1e-9)
