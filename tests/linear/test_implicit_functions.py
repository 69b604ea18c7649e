"""Derivatives of implicit functions by rules of one's own: the recipes of the documentation."""

from __future__ import annotations

import math
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from custom_roots import ENGINES, over_engines

from shared import check_grads
from shared.batching.batched import report_loops
from shared.batching.vmap import vmap
from shared.core.errors import (
    ShapeError,
)
from shared.linear.custom import custom_derivative

# --- implicit functions: the recipes of the documentation -------------------------------------------------------------

RECIPES = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", RECIPES, re.DOTALL)


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


@over_engines
def test_keplers_equation(ad: Any, outer: Any, recipes: dict[str, Any]) -> None:
    e, m = 0.3, 1.0
    root, kepler = recipes["root"], recipes["kepler"]

    def anomaly(e: Any, m: Any) -> Any:
        return root(kepler, np.array([1.0]), {"eccentricity": e, "mean anomaly": m})[0]

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


def test_a_root_of_several_unknowns_against_differences(recipes: dict[str, Any]) -> None:
    def F(x: Any, p: Any) -> Any:
        return np.stack([x[0] ** 2 + p["a"] * x[1] - 3.0, np.sin(x[1]) + x[0] * p["b"][0] - p["b"][1]])

    p = {"a": 0.5, "b": np.array([0.7, 1.2])}
    check_grads(lambda p: recipes["root"](F, np.array([1.5, 0.1]), p), p, engines=ENGINES)


def test_the_guess_of_a_root_has_no_derivative(ad: Any, recipes: dict[str, Any]) -> None:
    def f(guess: Any, theta: Any) -> Any:
        return np.sum(recipes["root"](lambda x, a: x * x - a, guess, theta))

    guess, theta = np.array([1.0, 2.0]), np.array([4.0, 9.0])
    found = ad.grad(f, (0, 1))(guess, theta)
    np.testing.assert_array_equal(found[0], [0.0, 0.0])
    np.testing.assert_allclose(found[1], [1 / 4, 1 / 6], rtol=1e-14)


@over_engines
def test_a_minimiser(ad: Any, outer: Any, recipes: dict[str, Any]) -> None:
    """sinh(x - theta) + sum(x) = 0, so (diag(cosh) + 1 1^T) dx = cosh dtheta."""
    minimiser, theta = recipes["minimiser"], np.array([0.5, -1.0])
    x = minimiser(theta)
    np.testing.assert_allclose(np.sinh(x - theta), -np.sum(x), rtol=1e-12)
    curvature = np.diag(np.cosh(x - theta))
    np.testing.assert_allclose(
        ad.jacobian(minimiser)(theta), np.linalg.solve(curvature + np.ones((2, 2)), curvature), rtol=1e-12
    )
    # The energy at the minimiser varies by theta alone, to first order.
    least = partial(lambda theta: recipes["energy"](minimiser(theta), theta))
    np.testing.assert_allclose(ad.grad(least)(theta), -np.sinh(x - theta), rtol=1e-12)
    sensitivity = ad.jacobian(minimiser)(theta)
    np.testing.assert_allclose(
        outer.jacobian(ad.grad(least))(theta), curvature @ (np.eye(2) - sensitivity), rtol=1e-11, atol=1e-13
    )


@over_engines
def test_a_fixed_point(ad: Any, outer: Any, recipes: dict[str, Any]) -> None:
    def total(a: Any) -> Any:
        return np.sum(recipes["fixed_point"](recipes["heron"], np.ones(2), a))

    a = np.array([2.0, 9.0])
    np.testing.assert_allclose(ad.grad(total)(a), 0.5 / np.sqrt(a), rtol=1e-13)
    np.testing.assert_allclose(outer.jacobian(ad.grad(total))(a), np.diag(-0.25 * a**-1.5), rtol=1e-12, atol=1e-15)


def test_a_contraction_of_several_unknowns_against_differences(recipes: dict[str, Any]) -> None:
    def g(x: Any, p: Any) -> Any:
        return np.tanh(p["w"] @ x + p["b"])

    p = {"w": np.array([[0.3, -0.2], [0.1, 0.4]]), "b": np.array([0.5, -0.3])}
    check_grads(lambda p: recipes["fixed_point"](g, np.zeros(2), p), p, engines=ENGINES)


def test_what_runs_example_by_example_is_reported():
    @custom_derivative(jvp=lambda tangents, out, x: tangents[0] * 2.0)
    def by_float(x):
        return 2.0 * float(x)

    with report_loops() as looped:
        np.testing.assert_array_equal(vmap(by_float)(np.arange(3.0)), [0.0, 2.0, 4.0])
    assert looped == {"by_float": 1}


def test_results_of_examples_that_differ_in_structure_are_refused():
    @custom_derivative(jvp=lambda tangents, out, x: out)
    def ragged(x):
        return [x] if float(x) > 0 else (x, x)

    with pytest.raises(ShapeError, match="ragged: its results for the examples of vmap differ in structure"):
        vmap(ragged)(np.array([1.0, -1.0]))
