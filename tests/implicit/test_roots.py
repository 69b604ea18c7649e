"""Roots, fixed points and minimisers by any solver: closed forms, both modes, every order, records and batches."""

from __future__ import annotations

import pickle
from collections import namedtuple
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from custom_roots import ENGINES, over_engines
from scipy.optimize import brentq, fsolve, minimize, newton, root, root_scalar
from scipy.sparse.linalg import LinearOperator, gmres

import dualad
import reversead
from shared import (
    check_grads,
    compile,
    fixed_point,
    implicit_root,
    minimum,
    report_loops,
    stop_gradient,
    trace,
    vmap,
)
from shared.core.errors import LeafTypeError, RegistrationError, ShapeError, SolutionError, TracerConversionError


def by_gmres(matvec: Callable[[Any], Any], b: Any) -> Any:
    return gmres(LinearOperator((b.size, b.size), matvec=matvec, dtype=float), b, rtol=1e-13)[0]


SOLVES: dict[str, Any] = {"dense": "dense", "GMRES": by_gmres}
solves = pytest.mark.parametrize("solve", SOLVES.values(), ids=SOLVES.keys())


def square(x: Any, a: Any) -> Any:
    return x * x - a


def exact(f: Any, start: Any) -> Any:
    """The root of one number's function to all digits."""
    return brentq(f, 0.0, 100.0, xtol=1e-15)


# --- every solver, mode, order ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solver", "start"),
    [
        (lambda f, bracket: brentq(f, *bracket, xtol=1e-15), (1.0, 3.0)),
        (lambda f, x0: newton(f, x0, tol=1e-15), 1.0),
        (lambda f, x0: root_scalar(f, x0=x0, x1=3.0), 1.0),
        (lambda f, x0: fsolve(f, x0, xtol=1e-15), np.array([1.0])),
        (root, np.array([1.0])),
        (lambda f, x0: root(f, x0, jac=dualad.jacobian(f), tol=1e-14), np.array([1.0])),
    ],
    ids=["brentq", "newton", "root_scalar", "fsolve", "root", "root with jac"],
)
def test_solvers_of_scipy(ad: Any, solver: Any, start: Any) -> None:
    x = implicit_root(square, solver, reversead)
    assert x(start, 4.0) == pytest.approx(2.0, abs=1e-9)
    found = ad.jacobian(x, 1)(start, 4.0)
    assert found == pytest.approx(0.25, abs=1e-8) and np.shape(found) == np.shape(x(start, 4.0))


@solves
@over_engines
@pytest.mark.parametrize("engine", ENGINES)
def test_derivatives_up_to_the_third_order(ad: Any, outer: Any, engine: Any, solve: Any) -> None:
    x = implicit_root(square, exact, engine, solve=solve)
    assert ad.grad(x, 1)(1.0, 4.0) == pytest.approx(1 / 4, rel=1e-12)
    assert outer.grad(ad.grad(x, 1), 1)(1.0, 4.0) == pytest.approx(-1 / 32, rel=1e-12)
    assert ad.grad(outer.grad(ad.grad(x, 1), 1), 1)(1.0, 4.0) == pytest.approx(3 / 256, rel=1e-11)


def coupled(x: Any, p: Any, power: int) -> Any:
    """Two equations for unknowns in a container, with parameters in another and an integer."""
    first = x["u"] ** power + p["a"] * x["v"][0] - 3.0
    return {"first": first, "second": np.sin(x["v"]) + x["u"] * p["b"][0] - p["b"][1]}


def newtons_method(f: Any, x: Any) -> Any:
    """A fixed number of steps, in NumPy: it can be differentiated straight through."""

    def of_vector(v: Any) -> Any:
        found = f({"u": v[0], "v": v[1:]})
        return np.concatenate([np.reshape(found["first"], (1,)), found["second"]])

    v = np.concatenate([np.reshape(x["u"], (1,)), x["v"]])
    for _ in range(8):
        v = v - np.linalg.solve(dualad.jacobian(of_vector)(v), of_vector(v))
    return {"u": v[0], "v": v[1:]}


START = {"u": 1.5, "v": np.array([0.1])}
PARAMETERS = {"a": 0.5, "b": np.array([0.7, 1.2])}


@solves
def test_containers_against_differences(solve: Any) -> None:
    x = implicit_root(coupled, newtons_method, reversead, solve=solve)
    check_grads(lambda p: x(START, p, 2), PARAMETERS, engines=ENGINES)


@solves
def test_the_same_program_differentiated_straight_through(ad: Any, solve: Any) -> None:
    x = implicit_root(coupled, newtons_method, reversead, solve=solve)

    def through(p: Any) -> Any:
        found = newtons_method(lambda x: coupled(x, p, 2), START)
        return found["u"] * found["v"][0]

    def implicit(p: Any) -> Any:
        found = x(START, p, 2)
        return found["u"] * found["v"][0]

    for transform in (ad.grad, ad.hessian):
        found, expected = transform(implicit)(PARAMETERS), transform(through)(PARAMETERS)
        check = np.testing.assert_allclose
        if transform is ad.grad:
            check(found["a"], expected["a"], rtol=1e-11)
            check(found["b"], expected["b"], rtol=1e-11)
        else:
            check(found["b"]["b"], expected["b"]["b"], rtol=1e-10)
            check(found["a"]["b"], expected["a"]["b"], rtol=1e-10)


def test_what_it_costs_does_not_depend_on_the_iteration() -> None:
    """The derivative needs a product with the parameters and a Jacobian, and none for a step of the solver."""
    calls = 0

    def counted(x: Any, a: Any) -> Any:
        nonlocal calls
        calls += 1
        return x * x - a

    def slow(steps: int) -> Any:
        def solver(f: Any, x: Any) -> Any:
            for _ in range(steps):
                x = x - 0.5 * f(x) / x
            return x

        return implicit_root(counted, solver, reversead)

    for engine in ENGINES:
        counts = []
        for steps in (50, 500):
            calls = 0
            engine.grad(slow(steps), 1)(1.0, 4.0)
            counts.append(calls - steps)
        assert counts[0] == counts[1] <= 5


# --- batches and records ----------------------------------------------------------------------------------------------


@solves
def test_many_examples(ad: Any, solve: Any) -> None:
    a = np.array([1.0, 4.0, 9.0])
    x = implicit_root(square, exact, reversead, solve=solve)
    np.testing.assert_allclose(vmap(lambda a: x(1.0, a))(a), np.sqrt(a), rtol=1e-14)
    np.testing.assert_allclose(vmap(ad.grad(lambda a: x(1.0, a)))(a), 0.5 / np.sqrt(a), rtol=1e-12)
    np.testing.assert_allclose(ad.jacobian(vmap(lambda a: x(1.0, a)))(a), np.diag(0.5 / np.sqrt(a)), rtol=1e-12)


def test_a_solver_in_numpy_does_all_examples_at_once() -> None:
    x = implicit_root(coupled, newtons_method, reversead)

    def slope(a: Any) -> Any:
        return reversead.grad(lambda a: x(START, {**PARAMETERS, "a": a}, 2)["u"])(a)

    with report_loops() as looped:
        found = vmap(slope)(np.array([0.5, 0.6]))
    assert not looped
    np.testing.assert_allclose(found, [slope(0.5), slope(0.6)], rtol=1e-12)


def test_one_example_that_is_no_root_is_found_among_many() -> None:
    def stops(f: Any, x: Any) -> Any:
        for _ in range(6):
            x = x - 0.5 * f(x) / x
        return x

    slope = vmap(reversead.grad(lambda a: implicit_root(square, stops, reversead)(1.0, a)))
    np.testing.assert_allclose(slope(np.array([1.0, 4.0])), [0.5, 0.25], rtol=1e-9)
    with pytest.raises(SolutionError, match="no solution"):
        slope(np.array([1.0, 4.0, 1e6]))


@solves
def test_compiled_and_traced(ad: Any, solve: Any) -> None:
    x = implicit_root(square, exact, reversead, solve=solve)
    for f, of in (
        (lambda a: x(1.0, a), lambda a: a**0.5),
        (ad.grad(lambda a: x(1.0, a)), lambda a: 0.5 * a**-0.5),
        (ad.grad(ad.grad(lambda a: x(1.0, a))), lambda a: -0.25 * a**-1.5),
    ):
        compiled, program = compile(f), trace(f, 4.0)
        for a in (4.0, 9.0, 2.0):
            assert compiled(a) == pytest.approx(of(a), rel=1e-12)
            assert program(a) == pytest.approx(of(a), rel=1e-12)


def test_a_record_follows_the_rule_around_the_solver_and_checks_the_root_in_every_run() -> None:
    good = True
    x = implicit_root(square, lambda f, start: exact(f, start) if good else 3.0, reversead)
    program = trace(reversead.grad(lambda a: x(1.0, a)), 4.0)
    assert "the root of square (opaque)" in str(program) and "vjp" not in str(program)
    assert program(9.0) == pytest.approx(1 / 6)
    good = False
    with pytest.raises(SolutionError, match=r"the root of square: .* no solution"):
        program(4.0)


def test_an_implicit_function_pickles() -> None:
    x = pickle.loads(pickle.dumps(implicit_root(square, exact, reversead, solve=by_gmres)))
    assert repr(x) == "<the root of square with a derivative of its own: jvp as given, vjp as given>"
    assert reversead.grad(x, 1)(1.0, 4.0) == pytest.approx(0.25)


# --- fixed points -----------------------------------------------------------------------------------------------------


def layer(x: Any, p: Any) -> Any:
    return np.tanh(p["w"] @ x + p["b"])


LAYER = {"w": np.array([[0.3, -0.2], [0.1, 0.4]]), "b": np.array([0.5, -0.3])}


@pytest.mark.parametrize("options", [{}, {"solve": "dense"}, {"solve": by_gmres}], ids=["iterated", "dense", "GMRES"])
def test_a_contraction_against_differences(options: Any) -> None:
    x = fixed_point(layer, reversead, **options)
    check_grads(lambda p: x(np.zeros(2), p), LAYER, engines=ENGINES, order=1)


def test_the_iteration_differentiated_straight_through(ad: Any) -> None:
    def through(b: Any) -> Any:
        x = np.zeros(2)
        for _ in range(80):
            x = layer(x, {**LAYER, "b": b})
        return np.sum(x)

    x = fixed_point(layer, reversead)
    found = ad.hessian(lambda b: np.sum(x(np.zeros(2), {**LAYER, "b": b})))(LAYER["b"])
    np.testing.assert_allclose(found, ad.hessian(through)(LAYER["b"]), rtol=1e-11)


def test_a_repelling_fixed_point_has_a_derivative_by_the_matrix(ad: Any) -> None:
    """x = 2 x + a at x = -a, which no iteration finds."""
    for solver in (lambda g, start: -1.5, lambda g, start: newton(lambda at: at - g(at), start)):
        x = fixed_point(lambda x, a: 2 * x + a, reversead, solver=solver, solve="dense")
        assert ad.grad(x, 1)(1.0, 1.5) == pytest.approx(-1.0)


# --- minimisers -------------------------------------------------------------------------------------------------------


def bowl(x: Any, p: Any) -> Any:
    return np.sum(p["k"] * (x - p["c"]) ** 2)


def downhill(f: Any, start: Any) -> Any:
    return minimize(f, start, jac=reversead.grad(f), tol=1e-12)


def on_a_plane(f: Any, start: Any, g: Any) -> Any:
    equation = {"type": "eq", "fun": g, "jac": reversead.jacobian(g)}
    return minimize(f, start, jac=reversead.grad(f), constraints=equation, tol=1e-13)


BOWL = {"k": np.array([1.0, 2.0, 4.0]), "c": np.array([1.0, 0.5, -1.0])}


@solves
def test_a_minimum_against_a_closed_form(ad: Any, solve: Any) -> None:
    x = minimum(bowl, downhill, reversead, solve=solve)
    found = ad.jacobian(lambda p: x(np.zeros(3), p))(BOWL)
    np.testing.assert_allclose(found["c"], np.eye(3), atol=1e-10)
    np.testing.assert_allclose(found["k"], np.zeros((3, 3)), atol=1e-6)


@over_engines
def test_a_minimum_on_a_plane_against_a_closed_form(ad: Any, outer: Any) -> None:
    """2 k (x - c) + m = 0 and sum(x) = s: m = 2 (sum(c) - s) / sum(1/k), and x = c - m / (2 k)."""

    def plane(x: Any, p: Any) -> Any:
        return {"sum": np.sum(x) - p["s"]} if "s" in p else np.sum(x)

    p = {**BOWL, "s": 2.0}
    x = minimum(bowl, lambda f, x0, g: on_a_plane(f, x0, lambda x: g(x)["sum"]), reversead, constraint=plane)

    def expected(p: Any) -> Any:
        m = 2 * (np.sum(p["c"]) - p["s"]) / np.sum(1 / p["k"])
        return p["c"] - m / (2 * p["k"]), m

    found, multipliers = x(np.zeros(3), p)
    np.testing.assert_allclose(found, expected(p)[0], atol=1e-8)
    assert multipliers == {"sum": pytest.approx(expected(p)[1], abs=1e-7)}
    for k in ("k", "c", "s"):
        for part in (lambda p: x(np.zeros(3), p)[0], lambda p: x(np.zeros(3), p)[1]["sum"]):
            which = 0 if np.shape(part(p)) else 1
            slope = ad.jacobian(part)(p)[k]
            np.testing.assert_allclose(slope, ad.jacobian(lambda p, w=which: expected(p)[w])(p)[k], atol=1e-6)
    # The least value changes by minus the multiplier as the constraint does.
    least = ad.grad(lambda s: bowl(x(np.zeros(3), {**p, "s": s})[0], p))(2.0)
    assert least == pytest.approx(-expected(p)[1], abs=1e-7)
    bend = outer.grad(ad.grad(lambda s: bowl(x(np.zeros(3), {**p, "s": s})[0], p)))(2.0)
    assert bend == pytest.approx(2 / np.sum(1 / p["k"]), rel=1e-6)


# --- what is refused --------------------------------------------------------------------------------------------------


Pair = namedtuple("Pair", "first second")


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda: reversead.grad(implicit_root(square, lambda f, x: 2.1, reversead), 1)(1.0, 4.0),
            SolutionError,
            r"root of square: what the solver returned is no solution \(at .*test_roots.py:\d+\): its residual is "
            r"4\.10e-01, and Newton's method would go 9\.76e-02",
        ),
        (
            lambda: dualad.grad(implicit_root(square, lambda f, x: float("nan"), reversead), 1)(1.0, 4.0),
            SolutionError,
            "no solution",
        ),
        (
            lambda: reversead.grad(implicit_root(square, lambda f, x: 2.1, reversead, solve=by_gmres), 1)(1.0, 4.0),
            SolutionError,
            "its residual is 4.10e-01",
        ),
        (
            lambda: reversead.grad(implicit_root(lambda x, a: (x - a) ** 2, lambda f, x: 1.0, reversead), 1)(1.0, 1.0),
            SolutionError,
            "the Jacobian of the equation by the unknowns is singular",
        ),
        (
            lambda: reversead.grad(implicit_root(square, exact, reversead, solve=lambda A, b: b), 1)(1.0, 9.0),
            SolutionError,
            r"solve\(matvec, b\) returned v with \|matvec\(v\) - b\|",
        ),
        (
            lambda: reversead.grad(implicit_root(square, exact, reversead, solve=lambda A, b: b[0]), 1)(1.0, 9.0),
            ShapeError,
            r"solve\(matvec, b\) returned shape \(\)",
        ),
        (
            lambda: reversead.grad(lambda a: implicit_root(lambda x, b: x - a * b, exact, reversead)(1.0, 2.0))(3.0),
            TracerConversionError,
            "closes over a value that grad traces .* pass it as a parameter",
        ),
        (
            lambda: dualad.grad(lambda a: implicit_root(lambda x, b: x - a * b, exact, reversead)(1.0, a))(3.0),
            TracerConversionError,
            "closes over a value that grad traces .* pass it as a parameter",
        ),
        (
            # The solver does not ask for the equation.
            lambda: reversead.grad(lambda a: implicit_root(lambda x: x - a, lambda f, x: 3.0, reversead)(1.0))(3.0),
            TracerConversionError,
            "pass it as a parameter",
        ),
        (
            lambda: reversead.grad(
                implicit_root(lambda x, a: np.stack([x - a, x]), lambda f, x: 0.0, reversead), 1
            )(1.0, 0.0),
            ShapeError,
            "2 equations for 1 unknowns",
        ),
        (
            lambda: dualad.grad(
                lambda a: np.real(implicit_root(lambda x, a: x * x + a, lambda f, x: 1j, reversead)(1.0, a))
            )(1.0),
            LeafTypeError,
            "the unknowns are complex",
        ),
        (lambda: implicit_root(square, exact, reversead, solve="lu"), RegistrationError, "give 'dense' or a function"),
        (lambda: implicit_root(square, None, reversead), RegistrationError, "the solver is None"),
        (
            lambda: fixed_point(lambda x, a: {"b": a}, reversead)({"a": 1.0}, 2.0),
            ShapeError,
            "the step returned 1 numbers in the structure {'b': .*} .* they have to be alike",
        ),
        (
            lambda: reversead.grad(
                lambda a: np.sum(fixed_point(lambda x, a: a, reversead, solver=lambda g, x: np.ones(2))(1.0, a))
            )(1.0),
            ShapeError,
            "the fixed point of <lambda> returned 1 numbers",
        ),
        (lambda: implicit_root(square, exact, np), RegistrationError, "is no engine; give dualad or reversead"),
        (lambda: implicit_root(square, print, reversead)(1.0, 2.0), TypeError, "the solver returned None"),
        (lambda: minimum(bowl, downhill, reversead, constraint=1.0), RegistrationError, "constraint=1.0"),
        (
            lambda: fixed_point(lambda x, a: 2 * x + a, reversead)(1.0, 1.0),
            SolutionError,
            "the iteration for a fixed point did not converge",
        ),
        (
            lambda: reversead.grad(fixed_point(lambda x, a: 2 * x + a, reversead, solver=lambda *_: -1.0), 1)(0.0, 1.0),
            SolutionError,
            "the step is no contraction .* solve='dense'",
        ),
        (
            lambda: reversead.jacobian(
                minimum(bowl, lambda f, x: minimize(f, x, method="Nelder-Mead", options={"maxiter": 2}), reversead), 1
            )(np.zeros(3), BOWL),
            SolutionError,
            "the minimum of bowl: what the solver returned is no solution",
        ),
    ],
)  # fmt: skip
def test_what_is_refused(call: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_without_a_tolerance_nothing_is_checked() -> None:
    near = implicit_root(square, lambda f, x: 2.1, reversead, tolerance=None)
    assert reversead.grad(near, 1)(1.0, 4.0) == pytest.approx(1 / 4.2)


def test_the_start_has_no_influence(ad: Any) -> None:
    x = implicit_root(square, lambda f, x: newton(f, x, tol=1e-15), reversead)
    assert ad.grad(x, (0, 1))(1.5, 4.0) == (0.0, pytest.approx(0.25))
    # A start may depend on the parameters, also where these themselves do not vary.
    assert ad.grad(lambda a: x(a, stop_gradient(a)))(4.0) == 0.0


def test_parameters_of_every_kind(ad: Any) -> None:
    """Named tuples, integers, strings and callables; single precision stays what it is."""

    def equation(x: Any, p: Any, n: int, kind: str, g: Any) -> Any:
        return g(x) ** n - p.first * p.second if kind == "power" else x

    x = implicit_root(equation, exact, reversead)
    p = Pair(np.float32(2.0), 4.5)
    slope = ad.grad(x, 1)(1.0, p, 2, "power", abs)
    assert slope.first == pytest.approx(0.75) and slope.second == pytest.approx(1 / 3)
    assert slope.first.dtype == np.float32
