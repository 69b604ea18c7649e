"""Derivatives by differences and by the complex step: right to their own estimate of the error, or an error."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from shared.calling import tree
from shared.checking.complex_step import ComplexStepNotApplicable, complex_step_gradient, complex_step_jvp
from shared.checking.differences import difference_gradient, difference_jvp, finite_difference_gradient
from shared.core.errors import ShapeError

ENGINES = (dualad, reversead)
engines = pytest.mark.parametrize("engine", ENGINES, ids=[engine.__name__ for engine in ENGINES])

Point = namedtuple("Point", "x y")

X = np.array([0.3, -0.7, 1.2])
Y = np.array([1.1, 0.4, -0.6])


class Counted:
    """A function that counts its evaluations."""

    def __init__(self, f: Callable[..., Any]):
        self.f = f
        self.calls = 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        return self.f(*args)


# --- differences --------------------------------------------------------------------------------------------

#: name -> f, its derivative, points
CURVES: dict[str, tuple[Callable[..., Any], Callable[..., Any], list[float]]] = {
    "sin": (np.sin, np.cos, [0.0, 0.3, 1.57, -4.0, 100.0]),
    "exp": (np.exp, np.exp, [0.0, -3.0, 5.0, 50.0]),
    "log of tiny, near and large": (np.log, lambda x: 1 / x, [1e-6, 1.0, 1e6]),
    "sqrt near its branch point": (np.sqrt, lambda x: 0.5 / np.sqrt(x), [1e-12, 1e-3, 1.0]),
    "arcsin near its end": (np.arcsin, lambda x: 1 / np.sqrt((1 - x) * (1 + x)), [0.0, 0.99, 1 - 1e-6]),
    "reciprocal": (lambda x: 1 / x, lambda x: -1 / x**2, [1e-6, -0.3, 1e6]),
    "oscillation": (lambda x: np.sin(1e4 * x), lambda x: 1e4 * np.cos(1e4 * x), [0.1, 1.0, 3.0]),
    "sine of a large number": (np.sin, np.cos, [1e6, 123456.7]),
    "narrow peak": (lambda x: np.exp(-200 * x * x), lambda x: -400 * x * np.exp(-200 * x * x), [0.01, 0.3]),
    "beside a large constant": (lambda x: 1e8 + np.sin(x), np.cos, [0.3, 2.0]),
    "cancellation": (lambda x: (x + 1e6) - 1e6, np.ones_like, [0.01, 1.0]),
    "rounded to float32": (lambda x: np.float64(np.float32(np.sin(x))), np.cos, [0.3, 1.0, 2.0]),
    "kink nearby": (lambda x: np.abs(x - 0.3), lambda x: np.sign(x - 0.3), [0.2999, 0.31]),
    "constant": (lambda x: 0 * x + 3.0, np.zeros_like, [1.0]),
    "cubic at zero": (lambda x: x**3, lambda x: 3 * x**2, [0.0]),
}


@pytest.mark.parametrize("name", CURVES)
def test_difference_error_covers_the_true_error(name: str) -> None:
    f, derivative, points = CURVES[name]
    for point in points:
        estimate, error = difference_jvp(f, (point,), (1.0,))
        exact = derivative(np.float64(point))
        # The true value that it is compared with is rounded too.
        assert abs(estimate - exact) <= error + 4e-16 * abs(exact)
        assert error < np.inf


@pytest.mark.parametrize("name", ["sin", "exp", "log of tiny, near and large", "reciprocal"])
def test_differences_of_smooth_functions_are_accurate_and_cheap(name: str) -> None:
    f, _, points = CURVES[name]
    for point in points:
        counted = Counted(f)
        estimate, error = difference_jvp(counted, (point,), (1.0,))
        assert error < 1e-7 * abs(estimate)
        assert counted.calls <= 16


def test_difference_error_at_a_jump_is_large() -> None:
    estimate, error = difference_jvp(lambda x: np.where(x > 1.0, 5.0, 0.0), (1.0,), (1.0,))
    assert error > 0.1 * abs(estimate)


def test_difference_error_is_infinite_where_f_is_undefined_all_around() -> None:
    _, error = difference_jvp(lambda x: np.sqrt(-1.0 - x * x) if x != 2.0 else 0.0, (2.0,), (1.0,))
    assert error == np.inf


def test_steps_that_raise_or_change_the_shape_are_passed_over() -> None:
    def f(x: Any) -> Any:
        if x > 1.05:
            raise ValueError("out of the domain")
        return np.full(2 if x > 0.99 else 3, x * x)

    estimate, error = difference_jvp(f, (1.0,), (1.0,))
    np.testing.assert_allclose(estimate, 2.0, atol=1e-7)
    assert error.max() < 1e-6


def test_difference_jvp_of_containers() -> None:
    primals = ({"w": [X, 2.0], "name": "layer", "flag": True}, Point(Y, 3))
    tangents = ({"w": [Y, 0.5], "name": "", "flag": False}, Point(X, 1.0))

    def f(p: Any, q: Any) -> Any:
        return {"sum": np.sum(p["w"][0] * q.x) * p["w"][1], "pair": (q.y**2, np.arange(2))}

    estimate, error = difference_jvp(f, primals, tangents)
    assert estimate["sum"] == pytest.approx(2 * (Y @ Y + X @ X) + 0.5 * (X @ Y), rel=1e-12)
    assert estimate["pair"][0] == pytest.approx(6.0, rel=1e-12)
    np.testing.assert_array_equal(estimate["pair"][1], np.zeros(2))
    assert tree.flatten(error)[1] == tree.flatten(estimate)[1]


def test_difference_jvp_of_float32_is_as_accurate_as_of_float64() -> None:
    x = X.astype(np.float32)
    estimate, error = difference_jvp(np.sin, (x,), (np.ones(3, np.float32),))
    assert estimate.dtype == np.float64
    np.testing.assert_allclose(estimate, np.cos(x.astype(np.float64)), rtol=1e-10)
    assert error.max() < 1e-9


def test_difference_jvp_of_complex_functions_of_complex_arguments() -> None:
    z = np.array([0.3 + 0.4j, -1.0 + 0.2j])
    estimate, error = difference_jvp(lambda z: z * z, (z,), (np.array([1j, 2.0]),))
    np.testing.assert_allclose(estimate, 2 * z * np.array([1j, 2.0]), rtol=1e-11)
    assert error.max() < 1e-9


@pytest.mark.parametrize("bad", [(np.ones(2),), ([np.ones(3)],), (np.ones(3), 1.0)])
def test_difference_jvp_refuses_other_tangents(bad: tuple[Any, ...]) -> None:
    with pytest.raises(ShapeError, match="tangent"):
        difference_jvp(np.sin, (X,), bad)


def test_difference_gradient() -> None:
    x = {"w": np.array([[1.0, 2.0], [3.0, 1e-6]]), "b": 1e6}
    gradient, error = difference_gradient(lambda p: np.sum(p["w"] ** 2) + np.log(p["b"]), x)
    np.testing.assert_allclose(gradient["w"], 2 * x["w"], atol=2 * error["w"].max())
    assert error["w"].max() < 1e-6
    assert gradient["b"] == pytest.approx(1e-6, rel=1e-6)


@pytest.mark.parametrize("difference", [finite_difference_gradient, difference_gradient, complex_step_gradient])
def test_gradient_of_a_vector_function_is_refused(difference: Callable[..., Any]) -> None:
    with pytest.raises(ShapeError, match="scalar"):
        difference(lambda x: x * x, X)


def test_forward_differences_cost_n_plus_one_evaluations() -> None:
    f = Counted(lambda x: np.sum(np.sin(x[0])) * x[1])
    gradient = finite_difference_gradient(f, [np.ones((3, 4)), 2.0])
    assert f.calls == 13 + 1
    np.testing.assert_allclose(gradient[0], np.full((3, 4), 2 * np.cos(1.0)), rtol=1e-6)
    assert gradient[1] == pytest.approx(12 * np.sin(1.0), rel=1e-6)


def test_forward_differences_keep_shape_and_dtype() -> None:
    gradient = finite_difference_gradient(
        lambda p: np.sum(p["a"] ** 2) + p["b"] * 3, {"a": X.astype(np.float32), "b": 2, "label": "x"}
    )
    assert gradient["a"].dtype == np.float32
    np.testing.assert_allclose(gradient["a"], 2 * X, rtol=1e-6)
    assert gradient["b"] == pytest.approx(3.0)


def test_differences_do_not_change_their_arguments() -> None:
    x = X.copy()

    def destructive(x: Any) -> Any:
        x *= x
        return np.sum(x)

    for difference in (finite_difference_gradient, lambda f, x: difference_gradient(f, x)[0]):
        np.testing.assert_allclose(difference(destructive, x), 2 * X, rtol=1e-6)
        np.testing.assert_array_equal(x, X)


# --- the complex step ---------------------------------------------------------------------------------------


def _assigned(x: Any) -> Any:
    out = np.zeros_like(x)
    out[:] = x * x
    out[0] += x[1]
    return out


ANALYTIC: dict[str, Callable[..., Any]] = {
    "elementary": lambda x: np.exp(np.sin(x)) / (2 + x) ** 2.5 + np.log1p(x * x) * np.tanh(x),
    "matrix": lambda x: np.linalg.inv(np.outer(x, x) + np.eye(3)) @ x,
    "einsum": lambda x: np.einsum("i,j->ij", x, x[::-1]),
    "assignment": _assigned,
    "loop over elements": lambda x: sum(v * v * np.sin(v) for v in x),
    "branch": lambda x: np.where(x > 0, x * x, np.sin(x)),
    "python branch": lambda x: x[0] ** 2 if x[0] > 0 else x[1],
    "rounding": lambda x: x * np.floor(10 * x) * np.sign(x),
    "reductions": lambda x: np.cumsum(x).mean() + np.prod(x) + x.sum() * x.reshape(3, 1).T[0],
}


@pytest.mark.parametrize("name", ANALYTIC)
def test_complex_step_is_exact(name: str) -> None:
    f = ANALYTIC[name]
    exact = complex_step_jvp(f, (X,), (Y,))
    estimate, error = difference_jvp(f, (X,), (Y,))
    assert np.all(np.abs(exact - estimate) <= error)


NOT_ANALYTIC: dict[str, Callable[..., Any]] = {
    "np.abs": lambda x: x + 1e-9 * np.abs(x),
    "abs of an element": lambda x: abs(x[0]) * x,
    "maximum": lambda x: np.maximum(x, 0.1),
    "max": lambda x: x.max() * x,
    "sort": np.sort,
    "norm": np.linalg.norm,
    "real": lambda x: x.real * x,
    "np.real": lambda x: np.real(x) * x,
    "conj": lambda x: x * x.conj(),
    "vdot": lambda x: np.vdot(x, x),
    "var": np.var,
    "hypot": lambda x: np.hypot(x, 1.0),
    "item": lambda x: x[0].item() * x,
    "tolist": lambda x: sum(abs(v) for v in x.tolist()),
    "float": lambda x: float(x[0]) * x,
    "real buffer": lambda x: np.add(np.zeros(3), x, out=np.zeros(3)),
    "assignment to a real buffer": lambda x: _into_real(x),
    "imaginary part dropped": lambda x: np.asarray(x).astype(float),
    "absolute value behind asarray": lambda x: np.abs(np.asarray(x)),
}


def _into_real(x: Any) -> Any:
    out = np.zeros(3)
    out[:] = x
    return out


@pytest.mark.parametrize("name", NOT_ANALYTIC)
def test_complex_step_that_would_be_wrong_is_refused(name: str) -> None:
    with pytest.raises(ComplexStepNotApplicable):
        complex_step_jvp(NOT_ANALYTIC[name], (X,), (Y,))


def test_complex_step_of_complex_arguments_is_refused() -> None:
    with pytest.raises(ComplexStepNotApplicable, match="complex already"):
        complex_step_jvp(lambda z: z * z, (1j,), (1.0,))


def test_complex_step_gradient_of_containers() -> None:
    gradient = complex_step_gradient(
        lambda p: np.sum(np.sin(p["w"]) ** 2) * p["b"], {"w": X, "b": np.float32(2.0), "name": "layer"}
    )
    np.testing.assert_allclose(gradient["w"], 2 * np.sin(2 * X), rtol=1e-15)
    assert gradient["b"] == pytest.approx(np.sum(np.sin(X) ** 2), rel=1e-15)
