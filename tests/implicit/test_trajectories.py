"""Solutions of differential equations: closed forms, forwards, by the continuous and by the discrete adjoint."""

from __future__ import annotations

import pickle
import subprocess
import sys
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from custom_roots import ENGINES, over_engines
from scipy.linalg import expm, expm_frechet

import dualad
import reversead
from shared import check_grads, compile, ode_solution, runge_kutta, trace, vmap
from shared.core.errors import LeafTypeError, RegistrationError, ShapeError, SolutionError, TracerConversionError
from shared.linear.checkpointing import evaluations


def linear(t: Any, y: Any, a: Any) -> Any:
    return a @ y


A = np.array([[-0.3, 1.0], [-1.0, -0.2]])
Y0, TIMES, WEIGHTS = np.array([1.0, 0.5]), np.array([0.0, 1.0, 2.5]), np.array([[3.0, 1.0], [0.5, -1.0], [1.0, 2.0]])

#: What solves, and how near its derivatives are to those of the solution.
SOLUTIONS = {
    "SciPy": (lambda f, **options: ode_solution(f, reversead, **options), 1e-7),
    "SciPy, in pieces": (lambda f, **options: ode_solution(f, reversead, pieces=3, **options), 1e-7),
    "SciPy, forward engine": (lambda f, **options: ode_solution(f, dualad, **options), 1e-7),
    "Runge-Kutta": (lambda f: runge_kutta(f, steps=60), 1e-6),
}
solutions = pytest.mark.parametrize(("solver", "rtol"), SOLUTIONS.values(), ids=SOLUTIONS.keys())


# --- closed forms -----------------------------------------------------------------------------------------------------


@solutions
def test_a_linear_equation_by_everything(ad: Any, solver: Any, rtol: float) -> None:
    """y = expm(A (t - t0)) y0, in every output, by the start, all times and the matrix."""
    solution = solver(linear)

    def f(y0: Any, times: Any, a: Any) -> Any:
        return np.sum(WEIGHTS * solution(y0, times, a))

    by_start, by_times, by_matrix = ad.grad(f, (0, 1, 2))(Y0, TIMES, A)
    reached = [expm(A * t) for t in TIMES]
    np.testing.assert_allclose(by_start, sum(e.T @ w for e, w in zip(reached, WEIGHTS, strict=True)), rtol=rtol)
    slopes = np.array([w @ A @ e @ Y0 for e, w in zip(reached, WEIGHTS, strict=True)])
    np.testing.assert_allclose(by_times, [-np.sum(slopes[1:]), *slopes[1:]], rtol=rtol)
    units = np.eye(4).reshape(4, 2, 2)
    expected = [
        sum(w @ expm_frechet(A * t, t * unit)[1] @ Y0 for t, w in zip(TIMES, WEIGHTS, strict=True)) for unit in units
    ]
    np.testing.assert_allclose(by_matrix, np.reshape(expected, (2, 2)), rtol=rtol)


def growth(t: Any, y: Any, rate: Any, most: Any) -> Any:
    return rate * y * (1 - y / most)


def logistic(t: float, y0: Any, rate: Any, most: Any) -> Any:
    return most / (1 + (most / y0 - 1) * np.exp(-rate * t))


@solutions
@over_engines
def test_the_logistic_equation_to_the_second_order(ad: Any, outer: Any, solver: Any, rtol: float) -> None:
    solution = solver(growth)
    found = solution(0.5, [0.0, 0.5, 1.5], 1.2, 2.0)
    np.testing.assert_allclose(found, [logistic(t, 0.5, 1.2, 2.0) for t in (0.0, 0.5, 1.5)], rtol=rtol)

    def last(p: Any) -> Any:
        return solution(p[0], [0.0, p[3]], p[1], p[2])[-1]

    def expected(p: Any) -> Any:
        return logistic(p[3], p[0], p[1], p[2])

    p = np.array([0.5, 1.2, 2.0, 1.5])
    np.testing.assert_allclose(ad.grad(last)(p), dualad.grad(expected)(p), rtol=rtol)
    along = np.array([1.0, -0.5, 0.3, 0.7])
    found = outer.jvp(ad.grad(last), (p,), (along,))[1]
    np.testing.assert_allclose(found, dualad.jvp(dualad.grad(expected), (p,), (along,))[1], rtol=10 * rtol)


def test_the_adjoint_of_a_derivative_is_right_at_the_third_order() -> None:
    solution = ode_solution(growth, reversead)

    def last(rate: Any) -> Any:
        return solution(0.5, [0.0, 1.0], rate, 2.0)[-1]

    found = reversead.grad(reversead.grad(dualad.derivative(last)))(1.2)
    third = dualad.derivative(dualad.derivative(dualad.derivative(lambda rate: logistic(1.0, 0.5, rate, 2.0))))
    assert found == pytest.approx(third(1.2), rel=1e-5)


def test_backwards_in_time(ad: Any) -> None:
    solution = ode_solution(growth, reversead)
    slope = ad.grad(lambda y0, t: solution(y0, t, 1.2, 2.0)[-1], (0, 1))
    by_start, by_times = slope(0.5, np.array([1.0, -0.5]))
    expected = dualad.grad(lambda y0, span: logistic(span, y0, 1.2, 2.0), (0, 1))(0.5, -1.5)
    np.testing.assert_allclose([by_start, *by_times], [expected[0], -expected[1], expected[1]], rtol=1e-7)


# --- containers, and the same program differentiated straight through -------------------------------------------------


def animals(t: Any, state: Any, rates: Any, driven: Any) -> Any:
    """Lotka and Volterra's equations, with a season where there is one."""
    x, y = state["x"], state["y"]
    season = 1 + 0.1 * np.sin(t) if driven else 1.0
    return {"x": season * rates["a"] * x - rates["b"][0] * x * y, "y": rates["b"][1] * x * y - y}


STATE, RATES = {"x": 1.0, "y": 0.5}, {"a": 1.1, "b": np.array([0.6, 0.4])}


def test_containers_against_differences() -> None:
    solution = ode_solution(animals, reversead, rtol=1e-12, atol=1e-12)

    def f(state: Any, rates: Any, times: Any) -> Any:
        return solution(state, times, rates, True)

    check_grads(f, STATE, RATES, np.array([0.2, 0.5, 0.8]), engines=ENGINES, order=1, rtol=1e-8)


def test_discrete_derivatives_against_differences() -> None:
    solution = runge_kutta(animals, steps=3)
    check_grads(lambda s, r, t: solution(s, t, r, True), STATE, RATES, np.array([0.2, 1.0]), engines=ENGINES, order=1)


def by_hand(state: Any, times: Any, rates: Any, steps: int) -> Any:
    """The rule of Runge and Kutta written out, with no checkpoints."""
    y, rows = np.stack([state["x"], state["y"]]), []
    for start, end in pairwise(times):
        h = (end - start) / steps
        for k in range(steps):

            def slope(t: Any, y: Any) -> Any:
                found = animals(t, {"x": y[0], "y": y[1]}, rates, True)
                return np.stack([found["x"], found["y"]])

            t = start + k * h
            k1 = slope(t, y)
            k2 = slope(t + h / 2, y + h / 2 * k1)
            k3 = slope(t + h / 2, y + h / 2 * k2)
            k4 = slope(t + h, y + h * k3)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        rows.append(y)
    return np.stack(rows)


@pytest.mark.parametrize("snapshots", [None, 1, 3])
def test_checkpoints_change_nothing(ad: Any, snapshots: Any) -> None:
    solution, times = runge_kutta(animals, steps=12, snapshots=snapshots), np.array([0.2, 1.0, 2.0])

    def loss(state: Any, rates: Any, times: Any) -> Any:
        return np.sum(solution(state, times, rates, True)["y"][1:] ** 2)

    def plain(state: Any, rates: Any, times: Any) -> Any:
        return np.sum(by_hand(state, times, rates, 12)[:, 1] ** 2)

    assert loss(STATE, RATES, times) == pytest.approx(plain(STATE, RATES, times), rel=1e-13)
    found, expected = (ad.grad(f, (0, 1, 2))(STATE, RATES, times) for f in (loss, plain))
    for one, other in zip(found[:2], expected[:2], strict=True):
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-11)
    np.testing.assert_allclose(found[2], expected[2], rtol=1e-10)


def test_the_continuous_derivative_is_that_of_the_steps_as_these_get_small(ad: Any) -> None:
    def gradient(solution: Any) -> Any:
        return ad.grad(lambda rates: solution(STATE, TIMES, rates, False)["x"][-1])(RATES)["b"]

    expected = gradient(ode_solution(animals, reversead, rtol=1e-11, atol=1e-11))
    errors = [np.max(np.abs(gradient(runge_kutta(animals, steps=steps)) - expected)) for steps in (10, 20)]
    # By the fourth power.
    assert errors[0] < 1e-3 and 12 < errors[0] / errors[1] < 20


# --- the cost, beside each other --------------------------------------------------------------------------------------


def test_evaluations_forwards_and_backwards() -> None:
    calls = 0

    def counted(t: Any, y: Any, theta: Any) -> Any:
        nonlocal calls
        calls += 1
        return -y + np.sum(theta) * np.cos(t)

    def count(ad: Any, solution: Any, size: int, **options: Any) -> int:
        nonlocal calls
        calls = 0
        ad.grad(lambda theta: solution(1.0, [0.0, 2.0], theta)[-1], **options)(np.full(size, 1 / size))
        return calls

    exact, steps = ode_solution(counted, reversead), runge_kutta(counted, steps=20, snapshots=4)
    value = (count(dualad, exact, 1), count(dualad, exact, 11), count(dualad, exact, 21))
    # Forwards, each direction is as much as the one before.
    assert value[2] - value[1] == pytest.approx(value[1] - value[0], rel=0.2)
    assert value[2] > 15 * value[0] / 2
    backwards = [count(reversead, exact, size) for size in (1, 11, 41)]
    assert max(backwards) <= 1.2 * min(backwards) < 3 * value[0]
    assert [count(dualad, steps, size, chunk_size=1) for size in (1, 7)] == [80, 7 * 80]
    assert {count(reversead, steps, size) for size in (1, 7)} == {4 * (1 + evaluations(19, 4))}


# --- batches and records ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("solver", "rtol"),
    [*list(SOLUTIONS.values())[:3], (lambda f: runge_kutta(f, steps=5), 1e-3)],
    ids=SOLUTIONS.keys(),
)
def test_many_examples_and_records(ad: Any, solver: Any, rtol: float) -> None:
    solution = solver(growth)
    gradient = ad.grad(lambda y0, rate: solution(y0, [0.0, 1.0], rate, 2.0)[-1], (0, 1))
    starts = [0.5, 1.0, 1.5]
    each = vmap(gradient, (0, None))(np.array(starts), 1.2)
    compiled, program = compile(gradient), trace(gradient, 0.5, 1.2)
    for k, y0 in enumerate(starts):
        expected = gradient(y0, 1.2)
        exact = dualad.grad(lambda y0, rate: logistic(1.0, y0, rate, 2.0), (0, 1))(y0, 1.2)
        np.testing.assert_allclose(expected, exact, rtol=rtol)
        for found in ([part[k] for part in each], compiled(y0, 1.2), program(y0, 1.2)):
            np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("solver", [lambda f: ode_solution(f, reversead), lambda f: runge_kutta(f, steps=20)])
def test_a_solution_pickles(solver: Any) -> None:
    solution = solver(growth)
    slope = reversead.grad(lambda rate: solution(0.5, [0.0, 1.0], rate, 2.0)[-1])(1.2)
    again = pickle.loads(pickle.dumps(solution))
    assert reversead.grad(lambda rate: again(0.5, [0.0, 1.0], rate, 2.0)[-1])(1.2) == slope


# --- what is forgotten, and what is refused ---------------------------------------------------------------------------


def test_what_cannot_be_followed_backwards_is_an_error_and_pieces_help(ad: Any) -> None:
    def friction(t: Any, v: Any, k: Any) -> Any:
        return 1.0 - k * v

    def last(solution: Any) -> Any:
        return lambda k: solution(0.0, [0.0, 2.0], k)[-1]

    k = 20.0
    expected = -1 / k**2 * (1 - np.exp(-2 * k)) + 2 * np.exp(-2 * k) / k
    for options in ({"pieces": 8}, {"pieces": 20, "rtol": 1e-6}):
        assert ad.grad(last(ode_solution(friction, reversead, **options)))(k) == pytest.approx(expected, rel=1e-5)
    assert dualad.grad(last(ode_solution(friction, reversead)))(k) == pytest.approx(expected, rel=1e-7)
    slope, of = reversead.grad(last(ode_solution(friction, reversead))), "friction cannot be followed backwards"
    with pytest.raises(SolutionError, match=rf"{of} from t = 2 to 0 \(at .*py:\d+\): .* misses what it was by"):
        slope(12.0)
    # It stops on the way, before the steps of the solver are too many.
    for rate in (k, 100.0):
        with pytest.raises(SolutionError, match=rf"{of} at t = [\d.]+ \(at .*py:\d+\): it has grown to"):
            slope(rate)


@pytest.mark.parametrize("method", ["Radau", "BDF", "LSODA"])
def test_a_stiff_equation_forwards(method: str) -> None:
    """y = cos t + (sin t) / k and terms of size 1 / k^2, after the layer at the start."""
    solution = ode_solution(lambda t, y, k: -k * (y - np.cos(t)), reversead, method=method)
    k, t = 1e4, 1.5
    found = dualad.derivative(lambda k: solution(0.0, [0.0, t], k)[-1])(k)
    assert found == pytest.approx(-np.sin(t) / k**2, rel=1e-2)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (
            lambda: dualad.grad(lambda k: ode_solution(lambda t, y: -k * y, reversead)(1.0, [0.0, k])[-1])(2.0),
            TracerConversionError,
            "the solution of <lambda> closes over a value that grad traces .* pass it as a parameter",
        ),
        (
            lambda: ode_solution(lambda t, y: y * y, reversead)(1.0, [0.0, 2.0]),
            SolutionError,
            "solve_ivp failed .* step size",
        ),
        (lambda: ode_solution(lambda t, y: [y, y], reversead)(1.0, [0.0, 2.0]), ShapeError, "f returned 2 numbers"),
        (lambda: runge_kutta(lambda t, y: [y, y], steps=2)(1.0, [0.0, 2.0]), ShapeError, "f returned 2 numbers"),
        (
            lambda: ode_solution(lambda t, y: {"x": y["y"], "z": y["x"]}, reversead)({"x": 1.0, "y": 2.0}, [0.0, 2.0]),
            ShapeError,
            "in the structure {'x': .*, 'z': .*} .* for 2 in {'x': .*, 'y': .*}; they have to be alike",
        ),
        (lambda: ode_solution(growth, reversead)(1.0, [0.0, 0.0], 1.0, 1.0), ShapeError, "increases or decreases"),
        (lambda: ode_solution(growth, reversead)(1.0, [], 1.0, 1.0), ShapeError, "increases or decreases"),
        (lambda: runge_kutta(growth, steps=2)(1.0, [], 1.0, 1.0), ShapeError, "there are no times"),
        (lambda: runge_kutta(growth, steps=0), RegistrationError, "steps=0"),
        (lambda: ode_solution(growth, reversead)(1j, [0.0, 1.0], 1.0, 1.0), LeafTypeError, "are complex"),
        (lambda: ode_solution(growth, reversead, jac=abs), RegistrationError, "jac, t_eval and events"),
        (lambda: ode_solution(growth, np), RegistrationError, "is no engine; give dualad or reversead"),
        (lambda: ode_solution(growth, reversead, pieces=0), RegistrationError, "pieces=0"),
        (lambda: ode_solution(3.0, reversead), RegistrationError, "3.0 is no function"),
    ],
)  # fmt: skip
def test_what_is_refused(call: Any, error: Any, match: str) -> None:
    with pytest.raises(error, match=match):
        call()


def test_one_time_alone_is_the_start(ad: Any) -> None:
    for solver, _ in SOLUTIONS.values():
        solution = solver(growth)
        found = ad.grad(lambda y0, t, rate: solution(y0, t, rate, 2.0)[0], (0, 1, 2))(0.5, np.array([1.0]), 1.2)  # noqa: B023
        assert found[0] == 1.0 and found[1] == np.zeros(1) and found[2] == 0.0


@solutions
def test_a_list_of_numbers_is_a_vector(ad: Any, solver: Any, rtol: float) -> None:
    """As SciPy's solvers take it."""
    solution = solver(lambda t, y, k: [y[1], -k * y[0]])
    found = ad.grad(lambda k: solution(np.array([1.0, 0.0]), [0.0, 1.5], k)[-1, 0])(2.0)
    # y = cos(sqrt(k) t)
    assert found == pytest.approx(-1.5 * np.sin(1.5 * np.sqrt(2.0)) / (2 * np.sqrt(2.0)), rel=rtol)


def test_whole_numbers_start_and_end_as_well(ad: Any) -> None:
    for solver, rtol in SOLUTIONS.values():
        slope = ad.grad(lambda rate: solver(growth)(1, [0, 1], rate, 2)[-1])(1.2)  # noqa: B023
        assert slope == pytest.approx(dualad.grad(lambda rate: logistic(1.0, 1.0, rate, 2.0))(1.2), rel=rtol)


def test_without_scipy_the_error_names_it_and_the_rest_works() -> None:
    code = (
        "import sys\n"
        "sys.modules['scipy'] = sys.modules['scipy.integrate'] = None\n"
        "import reversead\n"
        "from shared import implicit_root, ode_solution, runge_kutta\n"
        "assert abs(runge_kutta(lambda t, y: -y, steps=9)(1.0, [0.0, 1.0])[-1] - 0.3678794) < 1e-5\n"
        "assert reversead.grad(implicit_root(lambda x, a: x - a, lambda f, x: 3.0, reversead), 1)(0.0, 3.0) == 1.0\n"
        "try: ode_solution(lambda t, y: -y, reversead)(1.0, [0.0, 1.0])\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ode_solution needs SciPy (at <string>:7): pip install" in done.stdout, done.stderr
