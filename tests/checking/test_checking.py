"""The checker is checked: it passes right derivatives of hard functions, and catches wrong ones planted
here."""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from shared import logsumexp, relu, sigmoid, softmax, stop_gradient
from shared.calling import tree
from shared.checking.complex_step import ComplexStepNotApplicable, complex_step_gradient, complex_step_jvp
from shared.checking.differences import difference_gradient, difference_jvp, finite_difference_gradient
from shared.checking.gradients import GradientMismatch, InconclusiveDifferences, check_grads
from shared.core import registry
from shared.core.errors import LeafTypeError, ShapeError

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


# --- check_grads passes what is right -----------------------------------------------------------------------


def _mlp(parameters: Any, x: Any) -> Any:
    for weights, bias in parameters:
        x = np.tanh(weights @ x + bias)
    return np.sum(x * x)


_RNG = np.random.default_rng(1)
_LAYERS = [(_RNG.normal(size=(4, 3)), _RNG.normal(size=4)), (_RNG.normal(size=(2, 4)), _RNG.normal(size=2))]


def _newton(a: Any) -> Any:
    x = 1.0 + 0 * a
    for _ in range(6):
        x = x - (x * x - a) / (2 * x)
    return x


RIGHT: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "tiny and large elements": (lambda x: np.log(x) * np.sqrt(x), (np.array([1e-6, 1.0, 1e6]),)),
    "sine of a large number": (np.sin, (np.array([1e6, 2e5]),)),
    "polynomial of a large number": (lambda x: x**3 - 2 * x, (1e6,)),
    "polynomial of a tiny number": (lambda x: x**3 - 2 * x, (1e-6,)),
    "float32": (lambda x: np.sin(x) * np.exp(x), (X.astype(np.float32),)),
    "float32 and float64": (lambda x, y: x * np.cos(y), (X.astype(np.float32), Y)),
    "float32 product": (
        lambda a, b: np.tanh(a @ b),
        (_RNG.normal(size=(5, 8)).astype("f4"), np.ones(8, "f4")),
    ),
    "Python floats": (lambda x, y: x * np.exp(-y) / (x + y), (2.0, 0.5)),
    "underflow in float32": (lambda x: logsumexp(300 * x), (X.astype(np.float32),)),
    "float32 and a Python float": (lambda x, y: np.sin(x) * y, (X.astype(np.float32), 0.7)),
    "NumPy scalar": (lambda x: np.sin(x) * x, (np.float64(0.7),)),
    "0-d array": (lambda x: np.sin(x) * x, (np.array(0.7),)),
    "empty array": (lambda x: np.sin(x) * x, (np.zeros((0, 3)),)),
    "empty and other": (lambda x, y: np.sum(x) * y + y * y, (np.zeros((0, 3)), 2.0)),
    "zeros": (lambda x: np.sin(x) + x * x, (np.zeros(3),)),
    "zero among others": (lambda x: np.exp(x) * x[0], (np.array([0.0, 1e-17, 3.0]),)),
    "constant": (lambda x: 0.0 * x + 1.0, (X,)),
    "independent output": (lambda x: (np.sum(x * x), np.ones(2)), (X,)),
    "integer output": (lambda x: {"value": x * x, "best": np.argmax(x)}, (X,)),
    "linear": (lambda x: np.cumsum(x)[::-1], (X,)),
    "broadcasting": (lambda x, y: x[:, None] * y + y, (X, Y)),
    "containers": (
        lambda p, q: {"out": (p["w"][0] * q.x, p["w"][1] + q.y), "sum": np.sum(p["w"][0])},
        ({"w": [X, 2.0], "n": 3}, Point(Y, 0.5)),
    ),
    "unused argument": (lambda x, y: np.sum(x * x), (X, Y)),
    "integer and string arguments": (
        lambda x, labels, how: np.sum(x[labels] ** 2),
        (X, np.array([0, 2, 2]), "sum"),
    ),
    "network": (_mlp, (_LAYERS, X)),
    "cancellation": (lambda x: (x + 1e4) - 1e4 + np.sin(x), (X,)),
    "near a kink": (lambda x: np.maximum(x, 0.299) + np.abs(x - 0.301), (X,)),
    "branches": (lambda x: np.where(x > 0, np.exp(x), x * x), (X,)),
    "edge of the domain": (lambda x: np.arcsin(x) + np.sqrt(1 - x), (np.array([0.999, -0.5]),)),
    "saturation": (sigmoid, (np.array([-30.0, 0.1, 12.0]),)),
    "softmax of large numbers": (softmax, (np.array([1000.0, 1001.0, 998.0]),)),
    "cancellation in the complex step": (np.sinc, (1e-6 * X,)),
    "assignment": (_assigned, (X,)),
    "Newton iteration": (_newton, (2.0,)),
    "chain of many operations": (lambda x: _repeat(lambda v: np.sin(v) + 0.5 * v, x, 60), (X,)),
    "complex": (lambda z: z * np.exp(z), (np.array([0.3 + 0.4j, -1.0 + 0.2j]),)),
    "complex but not analytic": (lambda z: np.conj(z) * np.abs(z), (np.array([0.3 + 0.4j, -1.0 + 0.2j]),)),
    "real and complex arguments": (lambda x, z: x * z, (X, np.array([1j, 2.0, 1 - 1j]))),
    "Fortran order": (lambda x: np.sin(x) * x[0], (np.asfortranarray(np.outer(X, Y)),)),
    "real to complex to real": (lambda x: np.abs(np.exp(1j * x) + x), (X,)),
    "float32 inside": (lambda x: np.sin(x.astype(np.float32)) * 0.3, (X,)),
}


def _repeat(f: Callable[..., Any], x: Any, times: int) -> Any:
    for _ in range(times):
        x = f(x)
    return x


@pytest.mark.parametrize("name", RIGHT)
def test_right_derivatives_pass(name: str) -> None:
    f, args = RIGHT[name]
    report = check_grads(f, *args, engines=ENGINES, order=2)
    kinds = {comparison.engine for comparison in report.comparisons}
    assert {
        f"{o.__name__}.{m} over {i.__name__}.{k}" for o in ENGINES for i in ENGINES for m in MODES for k in MODES
    } < kinds


MODES = ("jvp", "vjp")


@pytest.mark.parametrize("name", ["tiny and large elements", "float32", "network", "softmax of large numbers"])
def test_right_derivatives_pass_whatever_the_direction(name: str) -> None:
    f, args = RIGHT[name]
    for seed in range(10):
        check_grads(f, *args, engines=ENGINES, order=1, directions=2, rng=seed)


@engines
def test_third_order(engine: Any) -> None:
    report = check_grads(lambda x: np.exp(x) * np.sin(x), 0.4, engines=(engine,), order=3)
    name = engine.__name__
    assert f"{name}.vjp over {name}.jvp over {name}.vjp" in {c.engine for c in report.comparisons}


def test_modes_restrict_what_is_run() -> None:
    reverse_only = SimpleNamespace(__name__="reverse only", vjp=reversead.vjp)
    report = check_grads(lambda x: np.sin(x) * x, X, engines=(reverse_only,), modes=("vjp",))
    assert {(c.engine, c.reference) for c in report.comparisons} == {
        ("reverse only.vjp", "differences"),
        ("reverse only.vjp over reverse only.vjp", "differences"),
    }
    forward_only = SimpleNamespace(__name__="forward only", jvp=dualad.jvp)
    report = check_grads(np.tanh, X, engines=(forward_only,), modes=("jvp",))
    assert {c.engine for c in report.comparisons} == {
        "forward only.jvp",
        "forward only.jvp over forward only.jvp",
    }


def test_argnums_leave_the_other_arguments_alone() -> None:
    seen: list[type] = []

    def f(x: Any, y: Any) -> Any:
        seen.append(type(y))
        return x * y

    check_grads(f, X, Y, engines=ENGINES, argnums=0)
    assert set(seen) == {np.ndarray}


def test_integers_named_in_argnums_are_taken_as_floats() -> None:
    check_grads(lambda x, n: x**3 * n, 2, 5, engines=ENGINES, argnums=0)
    check_grads(lambda x, n: x**3 * n, 2, 5, engines=ENGINES, argnums=(0, -1))


def test_report_says_what_was_compared() -> None:
    report = check_grads(lambda x: np.sin(x) * x, X, engines=ENGINES, order=1)
    assert [(c.engine, c.reference) for c in report.comparisons] == [
        ("dualad.jvp", "differences"),
        ("dualad.jvp", "the complex step"),
        ("dualad.vjp", "the adjoint identity"),
        ("reversead.jvp", "differences"),
        ("reversead.jvp", "the complex step"),
        ("reversead.vjp", "the adjoint identity"),
    ]
    assert 0 < report.largest < 1e-9
    assert "6 comparisons passed; largest relative disagreement" in repr(report)
    assert "reversead.vjp  " in repr(report) and "against the adjoint identity" in repr(report)


def test_report_says_why_the_complex_step_was_skipped() -> None:
    report = check_grads(relu, X, engines=ENGINES, order=1)
    assert "maximum is not analytic" in report.skipped and report.skipped in repr(report)
    assert "the complex step" not in {c.reference for c in report.comparisons}


def test_equal_seeds_make_equal_comparisons() -> None:
    reports = [check_grads(np.sin, X, engines=ENGINES, rng=seed) for seed in (7, 7, 8)]
    assert reports[0] == reports[1] != reports[2]


def test_arguments_are_not_changed() -> None:
    x = X.copy()

    def destructive(x: Any) -> Any:
        x *= x
        return x

    check_grads(destructive, x, engines=ENGINES)
    np.testing.assert_array_equal(x, X)


# --- check_grads catches what is wrong: engines -------------------------------------------------------------


def planted(name: str, **replaced: Callable[..., Any]) -> Any:
    """An engine that is `reversead` but for what is replaced."""
    return SimpleNamespace(__name__=name, **{"jvp": reversead.jvp, "vjp": reversead.vjp, **replaced})


def changed_jvp(change: Callable[[Any], Any]) -> Callable[..., Any]:
    def jvp(f: Any, primals: Any, tangents: Any) -> Any:
        out, tangent = reversead.jvp(f, primals, tangents)
        return out, change(tangent)

    return jvp


def changed_vjp(change: Callable[[Any], Any]) -> Callable[..., Any]:
    def vjp(f: Any, *primals: Any) -> Any:
        out, pullback = reversead.vjp(f, *primals)
        return out, lambda cotangent: tuple(change(c) for c in pullback(cotangent))

    return vjp


def at_index(index: Any, factor: float) -> Callable[[Any], Any]:
    """Multiplies one element of arrays of three; leaves everything else alone."""

    def change(values: Any) -> Any:
        if np.shape(values) != (3,):
            return values
        factors = np.ones(3)
        factors[index] = factor
        return values * factors

    return change


def product(p: Any) -> Any:
    return np.sin(p["w"][1]) * p["w"][0] + p["b"]


ARGUMENT = {"w": [X, Y], "b": np.float64(0.5)}

WRONG_ENGINES: dict[str, tuple[Any, str]] = {
    "sign of jvp": (
        planted("planted", jvp=changed_jvp(lambda t: -t)),
        "planted.jvp disagrees with differences",
    ),
    "sign of vjp": (
        planted("planted", vjp=changed_vjp(lambda c: -c)),
        "planted.vjp disagrees with the adjoint",
    ),
    "jvp by a ten-millionth": (
        planted("planted", jvp=changed_jvp(lambda t: t * (1 + 1e-7))),
        "planted.jvp disagrees",
    ),
    "vjp by a million-millionth": (
        planted("planted", vjp=changed_vjp(lambda c: c * (1 + 1e-12))),
        "the adjoint identity",
    ),
    "not a number": (planted("planted", jvp=changed_jvp(lambda t: t * np.nan)), "planted.jvp disagrees"),
    "infinite": (planted("planted", vjp=changed_vjp(lambda c: c * np.inf)), "planted.vjp disagrees"),
    "zero": (planted("planted", vjp=changed_vjp(lambda c: c * 0.0)), "planted.vjp disagrees"),
    "jvp at one index": (planted("planted", jvp=changed_jvp(at_index(1, 1.001))), "index 1"),
    "vjp at one index": (planted("planted", vjp=changed_vjp(at_index(2, 1.001))), "index 2"),
    "shape of tangents": (
        planted("planted", jvp=changed_jvp(lambda t: t[None])),
        r"planted.jvp: the tangent of output has shape \(1, 3\), but must have \(3,\)",
    ),
    "shape of cotangents": (
        planted("planted", vjp=changed_vjp(lambda c: np.sum(c))),
        r"planted.vjp: the cotangent of args\[0\]\['w'\]\[0\] has shape \(\), but must have \(3,\)",
    ),
    "dtype of cotangents": (
        planted("planted", vjp=changed_vjp(lambda c: np.float32(c))),
        r"planted.vjp: the cotangent of args\[0\]\['b'\] has dtype float32, but must have float64",
    ),
    "number of cotangents": (
        planted("planted", vjp=lambda f, *p: (f(*p), lambda c: reversead.vjp(f, *p)[1](c)[:-1])),
        "planted.vjp returns 2 cotangents instead of 3",
    ),
    "cotangents in another order": (
        planted("planted", vjp=lambda f, *p: (f(*p), lambda c: _swapped(reversead.vjp(f, *p)[1](c)))),
        "planted.vjp disagrees with the adjoint identity",
    ),
    "value": (
        planted("planted", jvp=lambda f, p, t: (f(*p) + 1.0, reversead.jvp(f, p, t)[1])),
        "planted.jvp computes another value of output",
    ),
    "value of vjp": (
        planted("planted", vjp=lambda f, *p: (f(*p) * 2, reversead.vjp(f, *p)[1])),
        "planted.vjp computes another value",
    ),
}


def _swapped(cotangents: Any) -> Any:
    first, second, third = cotangents
    return first, third, second


@pytest.mark.parametrize("name", WRONG_ENGINES)
def test_wrong_engine_is_caught(name: str) -> None:
    engine, message = WRONG_ENGINES[name]
    with pytest.raises(GradientMismatch, match=message):
        check_grads(product, ARGUMENT, engines=(dualad, engine), order=1)


@pytest.mark.parametrize("name", ["sign of vjp", "vjp at one index", "not a number", "infinite", "shape of cotangents"])
def test_wrong_pullback_is_caught_without_a_jvp(name: str) -> None:
    engine = (
        WRONG_ENGINES[name][0]
        if "vjp" in name or "cotangents" in name or name == "infinite"
        else planted("planted", vjp=changed_vjp(lambda c: c * np.nan))
    )
    with pytest.raises(GradientMismatch, match=r"planted\.vjp"):
        check_grads(product, ARGUMENT, engines=(engine,), modes=("vjp",), order=1)


def test_mismatch_names_engine_argument_index_values_and_error() -> None:
    engine = planted("planted", vjp=changed_vjp(at_index(2, -1.0)))
    with pytest.raises(GradientMismatch) as caught:
        check_grads(product, ARGUMENT, engines=(dualad, engine), order=1)
    mismatch = caught.value
    assert isinstance(mismatch, AssertionError)
    assert mismatch.engine == "planted.vjp"
    assert mismatch.reference == "the adjoint identity"
    assert mismatch.path in ("args[0]['w'][0]", "args[0]['w'][1]")
    assert mismatch.index == (2,)
    assert mismatch.actual == pytest.approx(-mismatch.expected, rel=1e-12)
    for part in ("planted.vjp", mismatch.path, "index 2", str(mismatch.actual), str(mismatch.expected)):
        assert part in str(mismatch)


def test_mismatch_of_a_jvp_names_the_output_and_the_partial_derivative() -> None:
    def jvp(f: Any, primals: Any, tangents: Any) -> Any:
        out, tangent = reversead.jvp(f, primals, tangents)
        wrong = np.zeros((2, 3))
        wrong[1, 2] = 0.5 * tangents[0][2]
        return out, tangent + wrong

    with pytest.raises(GradientMismatch) as caught:
        check_grads(lambda x: np.stack([x, x * x]), X, engines=(planted("planted", jvp=jvp),), order=1)
    mismatch = caught.value
    assert "output, index (1, 2)" in str(mismatch)
    assert (mismatch.path, mismatch.index) == ("args[0]", (2,))
    assert mismatch.expected == pytest.approx(2 * X[2], rel=1e-9)
    assert mismatch.actual == pytest.approx(2 * X[2] + 0.5, rel=1e-9)
    assert 0 < mismatch.error < 1e-8


def test_error_of_a_jvp_that_is_not_linear_is_reported_along_a_direction() -> None:
    # It is right along every single element, and wrong along directions of more than one.
    def jvp(f: Any, primals: Any, tangents: Any) -> Any:
        out, tangent = reversead.jvp(f, primals, tangents)
        return out, tangent * (1.0 if np.count_nonzero(tangents[0]) < 2 else 1.1)

    with pytest.raises(GradientMismatch, match="along a random direction") as caught:
        check_grads(np.sin, X[:2], engines=(planted("planted", jvp=jvp),), order=1)
    assert caught.value.path is None


@pytest.mark.parametrize("mode", MODES)
@engines
def test_engine_that_is_wrong_at_second_order_only(engine: Any, mode: str) -> None:
    """It unwraps what it is given, so that what is traced from outside becomes a constant."""

    def jvp(f: Any, primals: Any, tangents: Any) -> Any:
        return reversead.jvp(f, tuple(map(stop_gradient, primals)), tangents)

    def vjp(f: Any, *primals: Any) -> Any:
        return reversead.vjp(f, *map(stop_gradient, primals))

    inner = planted("planted", **{mode: {"jvp": jvp, "vjp": vjp}[mode]})
    check_grads(lambda x: np.sin(x) * x, X, engines=(engine, inner), order=1)
    with pytest.raises(GradientMismatch) as caught:
        check_grads(lambda x: np.sin(x) * x, X, engines=(engine, inner), order=2)
    assert caught.value.engine == f"{engine.__name__}.jvp over planted.{mode}"
    # The value of an inner transform of stopped arguments has no outer derivative at all.
    assert caught.value.path == "args[0]"


def test_exception_of_an_engine_says_which_one_it_was() -> None:
    def vjp(f: Any, *primals: Any) -> Any:
        raise RuntimeError("tape torn")

    with pytest.raises(RuntimeError, match="tape torn") as caught:
        check_grads(np.sin, X, engines=(planted("planted", vjp=vjp),))
    assert any("planted.vjp" in note for note in caught.value.__notes__)


# --- check_grads catches what is wrong: rules ---------------------------------------------------------------


@pytest.fixture
def planting() -> Iterator[None]:
    """Takes the planted primitives out of the registry again, so that no other test meets them."""
    before = set(registry.REGISTRY)
    yield
    for function in set(registry.REGISTRY) - before:
        del registry.REGISTRY[function]


def _cube(x: Any) -> Any:
    return x * x * x


def _scaled_product(x: Any, y: Any) -> Any:
    return 2.0 * x * y


WRONG_RULES: dict[str, tuple[Callable[[], Any], int, str]] = {
    "sign": (lambda: registry.elementwise(lambda x: _cube(x), lambda x: -3 * x * x), 1, "differences"),
    "factor": (lambda: registry.elementwise(lambda x: _cube(x), lambda x: 3.0003 * x * x), 1, "differences"),
    "seen by the complex step only": (
        lambda: registry.elementwise(lambda x: _cube(x), lambda x: 3 * x * x * (1 + 2e-13)),
        1,
        "the complex step",
    ),
    "one element": (
        lambda: registry.elementwise(lambda x: _cube(x), lambda x: np.where(x > 0.9, 3.001, 3.0) * x * x),
        1,
        "differences",
    ),
    "unwraps its operand": (
        lambda: registry.elementwise(lambda x: _cube(x), lambda x: 3 * _unwrapped(x) * _unwrapped(x)),
        2,
        "differences",
    ),
    "second order only": (
        lambda: registry.elementwise(lambda x: _cube(x), lambda x: 3 * x * stop_gradient(x)),
        2,
        "differences",
    ),
    "unwraps its cotangent and tangent": (
        lambda: registry.rule(
            lambda x: _cube(x),
            vjps=(lambda c, x: _unwrapped(c) * 3 * x * x,),
            jvps=(lambda t, x: _unwrapped(t) * 3 * x * x,),
            because="planted",
        ),
        2,
        "differences",
    ),
    "vjp is not the transpose": (
        lambda: registry.rule(
            lambda x: np.cumsum(x),
            vjps=(lambda c: np.cumsum(c),),
            jvps=(lambda t: np.cumsum(t),),
            because="planted",
        ),
        1,
        "the adjoint identity",
    ),
    "transpose of a multilinear function": (
        lambda: registry.multilinear(lambda x: x[::-1] * 2.0, lambda c, x: c * 2.0),
        1,
        "the adjoint identity",
    ),
}


def _unwrapped(value: Any) -> Any:
    # Of a batch of directions nothing is taken off, which would be noticed at once by its shape.
    while isinstance(value, (dualad.Dual, reversead.Variable)):
        value = value.primal
    return value


@pytest.mark.usefixtures("planting")
@pytest.mark.parametrize("name", WRONG_RULES)
def test_wrong_rule_that_both_engines_share_is_caught(name: str) -> None:
    plant, order, reference = WRONG_RULES[name]
    wrong = plant()
    if order > 1:  # it is right at first order
        check_grads(lambda x: wrong(np.sin(x)), X, engines=ENGINES, order=order - 1)
    f = (lambda x: wrong(x)) if order == 1 else (lambda x: wrong(np.sin(x)))
    with pytest.raises(GradientMismatch) as caught:
        check_grads(f, X, engines=ENGINES, order=order)
    assert caught.value.reference == reference
    assert caught.value.engine.count(" over ") == order - 1


@pytest.mark.usefixtures("planting")
@pytest.mark.parametrize("name", WRONG_RULES)
@engines
def test_wrong_rule_is_caught_through_each_engine_that_reads_it(engine: Any, name: str) -> None:
    plant, _, reference = WRONG_RULES[name]
    wrong = plant()
    if reference == "the adjoint identity" and engine is dualad:  # which never reads a transpose
        check_grads(lambda x: wrong(np.sin(x)), X, engines=(engine,))
        return
    with pytest.raises(GradientMismatch) as caught:
        check_grads(lambda x: wrong(np.sin(x)), X, engines=(engine,))
    assert caught.value.engine.startswith(engine.__name__)


@pytest.mark.usefixtures("planting")
def test_wrong_partial_of_one_of_two_arguments_names_that_argument() -> None:
    wrong = registry.elementwise(lambda x, y: _scaled_product(x, y), lambda y: 2 * y, lambda x: 2.02 * x)
    with pytest.raises(GradientMismatch) as caught:
        check_grads(lambda p: wrong(p["x"], p["y"]), {"x": X, "y": Y}, engines=ENGINES)
    assert caught.value.path == "args[0]['y']"
    assert caught.value.actual == pytest.approx(1.01 * caught.value.expected, rel=1e-9)


@pytest.mark.usefixtures("planting")
@engines
def test_wrong_shape_is_caught(engine: Any) -> None:
    wrong = registry.rule(
        lambda x: x + np.sum(x), vjps=(lambda c: np.sum(c),), jvps=(lambda t: np.sum(t),), because="planted"
    )
    with pytest.raises(GradientMismatch) as caught:
        check_grads(lambda x: wrong(x), X, engines=(engine,), order=1, modes=("jvp",))
    assert caught.value.engine == f"{engine.__name__}.jvp"
    with pytest.raises(GradientMismatch) as caught:
        check_grads(lambda x: wrong(x), X, engines=(engine,), order=1, modes=("vjp",))
    assert caught.value.engine == f"{engine.__name__}.vjp"


# --- what cannot be checked ---------------------------------------------------------------------------------


def test_kink_is_explained() -> None:
    with pytest.raises(GradientMismatch) as caught:
        check_grads(relu, np.array([1.0, 0.0]), engines=ENGINES)
    assert any("kink" in note for note in caught.value.__notes__)


def test_noise_is_inconclusive() -> None:
    # The derivative is right, and values beside it jump up and down by a hundredth.
    def noisy(x: Any) -> Any:
        return x + 0.01 * np.sign(np.sin(1e9 * stop_gradient(x)))

    with pytest.raises(InconclusiveDifferences, match="estimated error"):
        check_grads(noisy, np.array([0.37, 0.81]), engines=ENGINES, order=1)


def test_random_function_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="two calls with the same arguments"):
        check_grads(lambda x: x * rng.random(3), X, engines=ENGINES)


def test_point_where_f_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"), np.errstate(divide="ignore"):
        check_grads(np.log, np.array([1.0, 0.0]), engines=ENGINES)


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        ((X,), {"order": 0}, ValueError, "order"),
        ((X,), {"engines": ()}, ValueError, "engines"),
        ((X,), {"modes": ("forward",)}, ValueError, "modes"),
        ((X,), {"modes": ()}, ValueError, "modes"),
        ((X,), {"argnums": 1}, ValueError, "out of range"),
        ((3,), {}, ValueError, "no argument is a real"),
        ((np.array([True]),), {"argnums": 0}, LeafTypeError, "bool"),
    ],
)
def test_bad_call_is_refused(args: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_grads(np.sin, *args, **{"engines": ENGINES, **options})


def test_function_without_a_real_output_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to differentiate"):
        check_grads(np.argmax, X, engines=ENGINES)


def test_engines_must_be_named() -> None:
    with pytest.raises(TypeError, match="engines"):
        check_grads(np.sin, X)  # type: ignore[call-arg]


# --- the documentation page ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("planting")
def test_documentation_page_runs_and_shows_what_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "checking.md").read_text(encoding="utf-8")
    example, report, mistake = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    printed, message = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    names["test_energy_is_differentiated_rightly"]()
    exec(report, names)
    assert _without_digits(capsys.readouterr().out) == _without_digits(printed)
    with pytest.raises(GradientMismatch) as caught:
        exec(mistake, names)
    assert _without_digits(str(caught.value)) == _without_digits(message.rstrip())


def _without_digits(text: str) -> str:
    """The text without its measured numbers, the last digits of which differ between machines."""
    return re.sub(r"\d+\.\d+(e[+-]\d+)?", "#", text)
