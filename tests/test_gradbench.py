"""GradBench's problems are right, by other formulas, complex steps or differences; the tool speaks its messages.

The independent formulas are loops over scalars, SciPy's functions, or what the mathematics gives in closed form.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from scipy import optimize, special, stats
from scipy.spatial.transform import Rotation

from benchmarks.gradbench import ba, descent, det, gmm, ht, kmeans, lse, lstm, ode, particle, protocol, saddle
from benchmarks.gradbench.__main__ import main

RANDOM = np.random.default_rng(31)


def complex_step(f: Callable[[Any], Any], x: Any, step: float = 1e-30) -> Any:
    """The Jacobian of a real analytic function, a column an element of x, exact to rounding (Squire & Trapp 1998)."""
    columns = []
    for index in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[index] += 1j * step
        columns.append(np.imag(np.ravel(f(moved))) / step)
    return np.stack(columns, axis=1)


def central_difference(f: Callable[[Any], Any], x: Any, step: float = 1e-5) -> Any:
    """The same by central differences."""
    units = np.eye(x.size).reshape(-1, *x.shape)
    return np.stack([np.ravel(f(x + step * e) - f(x - step * e)) / (2.0 * step) for e in units], axis=1)


# ----------------------------------------------------------------------------------------------- small inputs


def hand_input(points: int = 4, *, coordinates: bool, mirrored: bool = False) -> dict[str, Any]:
    """A hand of 22 bones and 6 vertices with random numbers; its parents form a chain with branches."""
    bones, corners = 22, 6
    homogeneous = np.zeros((2, bones, 4, 4))
    homogeneous[:, :, :3, :] = 0.5 * RANDOM.normal(size=(2, bones, 3, 4))
    homogeneous[:, :, 3, 3] = 1.0
    model = {
        "bone_count": bones,
        "bone_names": [f"bone {number}" for number in range(bones)],
        "parents": [-1, 0, *(1 if number % 4 == 2 else number - 1 for number in range(2, bones))],
        "base_relatives": homogeneous[0].tolist(),
        "inverse_base_absolutes": homogeneous[1].tolist(),
        "base_positions": np.column_stack([RANDOM.normal(size=(corners, 3)), np.ones(corners)]).tolist(),
        "weights": RANDOM.uniform(size=(corners, bones)).tolist(),
        "triangles": [[0, 1, 2], [3, 4, 5], [1, 3, 5]],
        "is_mirrored": mirrored,
    }
    data = {
        "model": model,
        "correspondences": RANDOM.integers(0, 3 if coordinates else corners, points).tolist(),
        "points": RANDOM.normal(size=(points, 3)).tolist(),
    }
    us = RANDOM.uniform(size=(points, 2)).tolist() if coordinates else []
    return {"theta": RANDOM.normal(size=26).tolist(), "data": data, "us": us}


def mixture_input(dimensions: int, components: int = 2, points: int = 5) -> dict[str, Any]:
    below = dimensions * (dimensions - 1) // 2
    return {
        "d": dimensions,
        "k": components,
        "n": points,
        "x": RANDOM.normal(size=(points, dimensions)).tolist(),
        "m": 2,
        "gamma": 1.3,
        "alpha": RANDOM.normal(size=components).tolist(),
        "mu": RANDOM.normal(size=(components, dimensions)).tolist(),
        "q": RANDOM.normal(size=(components, dimensions)).tolist(),
        "l": RANDOM.normal(size=(components, below)).tolist(),
    }


POINTS = RANDOM.uniform(size=(12, 3))
#: One small input for each module.
INPUTS: dict[str, Any] = {
    "hello": 3.0,
    "ba": {
        "n": 2,
        "m": 3,
        "p": 5,
        "cam": RANDOM.uniform(0.1, 0.5, 11).tolist(),
        "x": [0.3, 0.4, 2.5],
        "w": 0.7,
        "feat": [0.1, 0.2],
    },
    "det": {"A": RANDOM.normal(size=16).tolist(), "ell": 4},
    "gmm": mixture_input(3),
    "ht": hand_input(coordinates=True),
    "kmeans": {"points": POINTS.tolist(), "centroids": POINTS[-3:].tolist()},
    "llsq": {"x": RANDOM.normal(size=4).tolist(), "n": 9},
    "lse": {"x": RANDOM.normal(size=5).tolist()},
    "lstm": {
        "main_params": RANDOM.normal(size=(4, 12)).tolist(),
        "extra_params": RANDOM.normal(size=(3, 3)).tolist(),
        "state": RANDOM.normal(size=(4, 3)).tolist(),
        "sequence": RANDOM.integers(0, 2, (4, 3)).astype(float).tolist(),
    },
    "ode": {"x": RANDOM.uniform(0.5, 1.5, 4).tolist(), "s": 3},
    "particle": {"w": 0.2071},
    "saddle": {"start": [1.0, 0.5]},
}

FUNCTIONS = [(module, name) for module in protocol.PROBLEMS for name in protocol.functions_of(module)]


def output(module: str, function: str, given: Any = None) -> Any:
    """What the tool answers, as it comes out of JSON."""
    message = {"id": 7, "kind": "evaluate", "module": module, "function": function, "input": given or INPUTS[module]}
    (line,) = protocol.answers([json.dumps(message)])
    found = json.loads(line)
    assert found["success"], found
    return found["output"]


def step_well(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin descents with a step that fits the curvature; from GradBench's own, they take hundreds of iterations."""
    monkeypatch.setattr(descent, "FIRST_STEP", {"particle": 5.5e-3}.get(module, 0.4))


# ------------------------------------------------------------------------------------------------- the session


def test_a_session_of_messages_over_standard_input_and_output() -> None:
    session = [
        {"id": 0, "kind": "start", "eval": "llsq"},
        {"id": 1, "kind": "define", "module": "llsq"},
        {"id": 2, "kind": "evaluate", "module": "llsq", "function": "primal", "input": {"x": [0.0, 1.0], "n": 3}},
        {"id": 3, "kind": "analysis", "of": 2, "valid": True},
        {
            "id": 4,
            "kind": "evaluate",
            "module": "llsq",
            "function": "gradient",
            "input": {"x": [0.5, 0.0], "n": 3, "min_runs": 3, "min_seconds": 0},
        },
        {"id": 5, "kind": "evaluate", "module": "llsq", "function": "hessian", "input": {}},
        {"id": 6, "kind": "define", "module": "nothing"},
        {"id": 7, "kind": "a kind to come"},
    ]
    lines = "\n".join(map(json.dumps, session)) + "\n"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.gradbench"], input=lines, capture_output=True, text=True, check=True
    )
    start, define, primal, analysis, gradient, hessian, nothing, unknown = map(json.loads, done.stdout.splitlines())
    assert start == {"id": 0, "tool": protocol.TOOL}
    assert define == {"id": 1, "success": True}
    # The points -1, 0, 1 have the signs -1, 0, 1, which x_1 t = t meets.
    assert (primal["id"], primal["success"], primal["output"]) == (2, True, 0.0)
    assert [timing["name"] for timing in primal["timings"]] == ["evaluate"]
    assert analysis == {"id": 3}
    # Residuals -1.5, -0.5, 0.5, so the derivatives are -sum(r) and -sum(r t).
    assert gradient["output"] == pytest.approx([1.5, -2.0])
    assert len(gradient["timings"]) == 3
    assert all(isinstance(timing["nanoseconds"], int) for timing in gradient["timings"])
    assert hessian["id"] == 5 and not hessian["success"] and "primal, gradient" in hessian["error"]
    assert nothing["id"] == 6 and not nothing["success"] and "'nothing'" in nothing["error"]
    assert unknown == {"id": 7}
    assert done.stderr == ""


def test_runs_go_on_until_both_bounds_are_met() -> None:
    found = protocol.evaluate("lse", "primal", {"x": [1.0], "min_runs": 2, "min_seconds": 0.002})
    spent = [timing["nanoseconds"] for timing in found["timings"]]
    assert len(spent) >= 2 and sum(spent) >= 2_000_000 > sum(spent[:-1])


@pytest.mark.parametrize("line", ["{", "[]", '{"kind": "start"}', '{"id": 1}', "3"])
def test_a_line_that_is_no_message_ends_the_session_with_one_line(
    line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", [line])
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("python -m benchmarks.gradbench: error: ")
    assert captured.err.count("\n") == 1


def test_what_is_not_finite_is_a_failure_and_the_session_goes_on() -> None:
    infinite = {"id": 1, "kind": "evaluate", "module": "hello", "function": "square", "input": 1e200}
    start = {"id": 2, "kind": "start"}
    with np.errstate(over="ignore"):
        first, second = map(json.loads, protocol.answers([json.dumps(infinite), "", json.dumps(start)]))
    assert first["id"] == 1 and not first["success"] and "not finite" in first["error"]
    assert second["id"] == 2


def test_an_input_that_does_not_fit_is_a_failure_with_its_reason() -> None:
    for module, given in (("llsq", {"x": [1.0], "n": 1}), ("gmm", {}), ("det", {"A": [1.0, 2.0], "ell": 3})):
        function = next(iter(protocol.functions_of(module)))
        found = protocol.answer({"id": 1, "kind": "evaluate", "module": module, "function": function, "input": given})
        assert not found["success"] and ":" in found["error"]


def test_the_modules_are_listed_with_their_functions(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in listed] == list(protocol.PROBLEMS)
    assert "kmeans: cost, dir" in listed


@pytest.mark.parametrize(("module", "function"), FUNCTIONS)
def test_every_function_answers(module: str, function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    step_well(module, monkeypatch)

    def numbers(part: Any) -> list[float]:
        parts = part.values() if isinstance(part, dict) else part
        return [n for p in parts for n in numbers(p)] if isinstance(part, (dict, list)) else [part]

    found = numbers(output(module, function))
    assert found and np.all(np.isfinite(found))


# ---------------------------------------------------------------------------------------------- the mathematics


def test_llsq_is_the_residual_of_a_polynomial() -> None:
    x, n = np.array(INPUTS["llsq"]["x"]), 9
    t = np.array([-1.0 + 2.0 * i / (n - 1) for i in range(n)])
    residuals = np.polynomial.polynomial.polyval(t, x) - np.sign(t)
    assert output("llsq", "primal") == pytest.approx(0.5 * residuals @ residuals, rel=1e-14)
    wanted = [residuals @ t**j for j in range(x.size)]
    np.testing.assert_allclose(output("llsq", "gradient"), wanted, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("x", [np.array([0.3, -1.0, 2.0]), np.array([1000.0, 999.0, -1000.0]), np.array([1.0, 1.0])])
def test_lse_and_its_gradient_are_scipys(x: Any) -> None:
    assert lse.log_sum_exp(x) == pytest.approx(special.logsumexp(x), rel=1e-15)
    np.testing.assert_allclose(output("lse", "gradient", {"x": x.tolist()}), special.softmax(x), rtol=1e-14)


@pytest.mark.parametrize("dimensions", [1, 2, 4])
def test_gmm_is_the_posterior_as_its_densities_define_it(dimensions: int) -> None:
    given = mixture_input(dimensions)
    alpha, mu, q, below, x, m, gamma = gmm._operands(given)
    wanted = 0.0
    likelihoods = np.zeros(len(x))
    for k, weight in enumerate(special.softmax(alpha)):
        lower = np.diag(np.exp(q[k]))
        entries = iter(below[k])
        for column in range(dimensions):
            for row in range(column + 1, dimensions):
                lower[row, column] = next(entries)
        precision = lower.T @ lower
        normal = stats.multivariate_normal(mu[k], np.linalg.inv(precision))
        likelihoods += weight * np.reshape(normal.pdf(x), len(x))
        prior = stats.wishart(dimensions + m + 1, np.eye(dimensions) / gamma**2)
        wanted += prior.logpdf(precision)
    wanted += np.sum(np.log(likelihoods))
    assert output("gmm", "objective", given) == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("dimensions", [1, 3])
def test_the_gradient_of_gmm_is_that_of_complex_steps(dimensions: int) -> None:
    given = mixture_input(dimensions)
    operands = gmm._operands(given)
    found = output("gmm", "jacobian", given)
    for position, name in enumerate(gmm.INDEPENDENT):
        part = operands[position]

        def along(moved: Any, position: int = position) -> Any:
            return gmm.log_posterior(*operands[:position], moved, *operands[position + 1 :])

        if part.size:
            np.testing.assert_allclose(np.ravel(found[name]), complex_step(along, part)[0], rtol=1e-11, atol=1e-12)
        assert np.shape(found[name]) == part.shape


def test_a_newton_step_of_kmeans_leads_to_the_means() -> None:
    """The gradient is 2 n_j (c_j - mean_j) and the Hessian 2 n_j, so their quotient is c_j - mean_j."""
    centroids, points = kmeans._operands(INPUTS["kmeans"])
    distances = np.array([[np.sum((p - c) ** 2) for c in centroids] for p in points])
    assert output("kmeans", "cost") == pytest.approx(np.sum(np.min(distances, axis=1)), rel=1e-14)
    own = np.argmin(distances, axis=1)
    wanted = [c - np.mean(points[own == j], axis=0) for j, c in enumerate(centroids)]
    np.testing.assert_allclose(output("kmeans", "dir"), wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("at_once", [det.LARGEST_AT_ONCE, 3])
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_det_is_the_determinant_and_its_gradient_the_cofactors(
    size: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(det, "LARGEST_AT_ONCE", at_once)
    matrix = RANDOM.normal(size=(size, size))
    given = {"A": matrix.ravel().tolist(), "ell": size}
    determinant = np.linalg.det(matrix)
    assert output("det", "primal", given) == pytest.approx(determinant, rel=1e-12)
    cofactors = determinant * np.linalg.inv(matrix).T
    np.testing.assert_allclose(output("det", "gradient", given), np.ravel(cofactors), rtol=1e-10)


def test_ode_is_exact_where_the_solution_is_a_polynomial_of_degree_four() -> None:
    """The solution is y_i = x_0 ... x_i t^(i + 1) / (i + 1)!, which a method of order 4 has exactly up to i = 3."""
    x = np.array(INPUTS["ode"]["x"])
    wanted = [np.prod(x[: i + 1]) * ode.END ** (i + 1) / math.factorial(i + 1) for i in range(x.size)]
    np.testing.assert_allclose(output("ode", "primal"), wanted, rtol=1e-13)
    np.testing.assert_allclose(output("ode", "gradient"), wanted[-1] / x, rtol=1e-12)


def test_the_gradient_of_ode_is_that_of_complex_steps_where_the_method_is_not_exact() -> None:
    x = RANDOM.uniform(0.5, 1.5, 7)
    wanted = complex_step(lambda at: ode.last(at, 4), x)[0]
    assert np.max(np.abs(wanted)) > 1e-3
    np.testing.assert_allclose(output("ode", "gradient", {"x": x.tolist(), "s": 4}), wanted, rtol=1e-12)


def lstm_by_scalars(main: Any, extra: Any, state: Any, sequence: Any) -> float:
    """The loss by loops over layers and bits, every gate by itself."""

    def logistic(z: float) -> float:
        return 1.0 / (1.0 + math.exp(-z))

    state, bits, total = state.copy(), sequence.shape[1], 0.0
    for now, following in pairwise(sequence):
        below = [now[i] * extra[0, i] for i in range(bits)]
        for k in range(0, len(main), 2):
            for i in range(bits):
                weight, bias = main[k, i::bits], main[k + 1, i::bits]
                forget = logistic(below[i] * weight[0] + bias[0])
                ingate = logistic(state[k, i] * weight[1] + bias[1])
                outgate = logistic(below[i] * weight[2] + bias[2])
                change = math.tanh(state[k, i] * weight[3] + bias[3])
                state[k + 1, i] = state[k + 1, i] * forget + ingate * change
                state[k, i] = outgate * math.tanh(state[k + 1, i])
            below = list(state[k])
        predicted = [below[i] * extra[1, i] + extra[2, i] for i in range(bits)]
        normaliser = math.log(2.0 + sum(math.exp(number) for number in predicted))
        total += sum(following[i] * (predicted[i] - normaliser) for i in range(bits))
    return -total / (bits * (len(sequence) - 1))


def test_lstm_is_the_network_written_with_scalars_and_its_gradient_that_of_complex_steps() -> None:
    main, extra, state, sequence = lstm._operands(INPUTS["lstm"])
    wanted = lstm_by_scalars(main, extra, state, sequence)
    assert output("lstm", "objective") == pytest.approx(wanted, rel=1e-13)
    in_main = complex_step(lambda at: lstm.mean_loss(at, extra, state, sequence), main)[0]
    in_extra = complex_step(lambda at: lstm.mean_loss(main, at, state, sequence), extra)[0]
    np.testing.assert_allclose(output("lstm", "jacobian"), np.concatenate([in_main, in_extra]), rtol=1e-11, atol=1e-14)


# ---------------------------------------------------------------------------------------------- bundle adjustment


def scene(rotation: list[float]) -> tuple[Any, Any, Any, ba.Scene]:
    """Two cameras and three points, all different, the cameras turned alike."""
    cameras = np.column_stack([np.tile(rotation, (2, 1)), RANDOM.uniform(0.1, 0.5, (2, 8))])
    numbers = np.arange(5)
    features = RANDOM.uniform(size=(5, 2))
    return (
        cameras,
        RANDOM.uniform(1.0, 2.0, (3, 3)),
        np.linspace(0.5, 0.9, 5),
        ba.Scene(2, 3, numbers % 2, numbers % 3, features),
    )


def test_ba_is_the_projection_of_each_point_by_itself() -> None:
    cameras, points, weights, where = scene([0.3, -0.2, 0.5])
    errors, costs = ba.residuals(cameras, points, weights, where)
    for number, (camera, point) in enumerate(zip(where.camera_of, where.point_of, strict=True)):
        c = cameras[camera]
        seen = Rotation.from_rotvec(c[:3]).apply(points[point] - c[3:6])
        flat = seen[:2] / seen[2]
        square = flat @ flat
        projected = c[6] * flat * (1.0 + c[9] * square + c[10] * square**2) + c[7:9]
        np.testing.assert_allclose(errors[number], weights[number] * (projected - where.features[number]), rtol=1e-12)
        assert costs[number] == 1.0 - weights[number] ** 2


@pytest.mark.parametrize("rotation", [[0.3, -0.2, 0.5], [0.0, 0.0, 0.0]], ids=["turned", "not turned"])
def test_the_sparse_jacobian_of_ba_is_that_of_differences(rotation: list[float]) -> None:
    cameras, points, weights, where = scene(rotation)
    parameters = np.concatenate([cameras.ravel(), points.ravel(), weights])
    found = ba.jacobian(where)(parameters)
    wanted = central_difference(lambda at: ba.all_residuals(at, where), parameters)
    np.testing.assert_allclose(found.toarray(), wanted, rtol=1e-7, atol=1e-8)
    if any(rotation):
        wanted = complex_step(lambda at: ba.all_residuals(at, where), parameters)
        np.testing.assert_allclose(found.toarray(), wanted, rtol=1e-12, atol=1e-13)
    # GradBench counts entries, zeros among them: 15 a residual, and one a weight.
    assert found.indptr.tolist() == [*range(0, 151, 15), *range(151, 156)]


def test_what_ba_sends_is_the_beginning_and_the_end() -> None:
    given = INPUTS["ba"] | {"p": 10}
    objective, jacobian = output("ba", "objective", given), output("ba", "jacobian", given)
    assert objective["reproj_error"]["repeated"] == objective["w_err"]["repeated"] == 10
    assert objective["w_err"]["element"] == pytest.approx(1.0 - 0.7**2)
    assert {len(part) for part in jacobian.values()} == {31}
    assert jacobian["rows"][:3] == [0, 15, 30]
    assert jacobian["cols"][:15] == [*range(11), 22, 23, 24, 31]
    # The last weight's own row: the last column, and -2 w.
    assert jacobian["cols"][-1] == 2 * 11 + 3 * 3 + 10 - 1 and jacobian["vals"][-1] == pytest.approx(-1.4)


# -------------------------------------------------------------------------------------------------- hand tracking


def vertices_by_loops(theta: Any, hand: ht.Hand) -> Any:
    """The skin, a vertex and a bone at a time, with SciPy's rotations."""
    absolutes: list[Any] = []
    for bone, parent in enumerate(hand.parents):
        turn = np.eye(4)
        finger, joint = divmod(bone - 2, 4)
        if bone >= 2 and joint < 3:
            own = theta[6 + 4 * finger : 10 + 4 * finger]
            angles = [own[0], 0.0, own[1]] if joint == 0 else [own[joint + 1], 0.0, 0.0]
            turn[:3, :3] = Rotation.from_euler("xyz", angles).as_matrix()
        turned = hand.relatives[bone] @ turn
        absolutes.append(turned if parent == -1 else absolutes[parent] @ turned)
    skin = []
    for position, weights in zip(hand.positions, hand.weights, strict=True):
        at = sum(w * (a @ i @ position)[:3] for w, a, i in zip(weights, absolutes, hand.inverses, strict=True))
        at = at * ([-1.0, 1.0, 1.0] if hand.mirrored else 1.0)
        skin.append(Rotation.from_rotvec(theta[:3]).apply(at) + theta[3:6])
    return np.array(skin)


@pytest.mark.parametrize("mirrored", [False, True])
def test_ht_is_the_skin_that_loops_give(mirrored: bool) -> None:
    for coordinates in (False, True):
        given = hand_input(coordinates=coordinates, mirrored=mirrored)
        theta, us, hand = ht.operands(given)
        skin = vertices_by_loops(theta, hand)
        wanted = []
        for number, (point, at) in enumerate(zip(hand.points, hand.correspondences, strict=True)):
            if coordinates:
                a, b, c = skin[hand.triangles[at]]
                u, v = us[number]
                wanted.append(point - (u * a + v * b + (1.0 - u - v) * c))
            else:
                wanted.append(point - skin[at])
        np.testing.assert_allclose(output("ht", "objective", given), np.ravel(wanted), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("coordinates", [False, True])
def test_the_jacobian_of_ht_is_that_of_complex_steps(coordinates: bool) -> None:
    given = hand_input(coordinates=coordinates)
    theta, us, hand = ht.operands(given)
    wanted = complex_step(lambda at: ht.residuals(at, us, hand), theta)
    if coordinates:
        own = complex_step(lambda at: ht.residuals(theta, at, hand), us)
        columns = [own[3 * number : 3 * number + 3, 2 * number : 2 * number + 2] for number in range(len(us))]
        wanted = np.column_stack([np.concatenate(columns), wanted])
    np.testing.assert_allclose(output("ht", "jacobian", given), wanted, rtol=1e-10, atol=1e-11)


def test_a_hand_that_is_not_turned_has_no_derivative_in_the_rotation_that_is_not_its_own_rule() -> None:
    given = hand_input(coordinates=False)
    given["theta"][:3] = [0.0, 0.0, 0.0]
    found = np.array(output("ht", "jacobian", given))
    assert not np.any(found[:, :3]) and np.all(np.isfinite(found)) and np.any(found[:, 6:])


# ----------------------------------------------------------------------------------------- derivatives within


def crossing_by_hand(w: float) -> float:
    """Where the particle crosses the axis, with Coulomb's force written out."""
    position, velocity = np.array([0.0, 8.0]), np.array([0.75, 0.0])
    charges = np.array([[10.0, 10.0 - w], [10.0, 0.0]])
    while True:
        apart = position - charges
        acceleration = np.sum(apart / np.linalg.norm(apart, axis=1, keepdims=True) ** 3, axis=0)
        position = position + 0.1 * velocity
        if position[1] <= 0.0:
            return float(position[0] - position[1] * velocity[0] / velocity[1])
        velocity = velocity + 0.1 * acceleration


@pytest.mark.parametrize("modes", descent.MODES)
def test_the_crossing_and_its_derivative_through_every_force(modes: str) -> None:
    outer, inner = modes
    at = np.array([0.3])
    assert particle.crossing(0.3, inner) == pytest.approx(crossing_by_hand(0.3), rel=1e-12)
    found = descent.GRADIENTS[outer](lambda w: particle.crossing(w[0], inner))(at)
    wanted = (crossing_by_hand(0.3 + 1e-6) - crossing_by_hand(0.3 - 1e-6)) / 2e-6
    assert found[0] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("modes", ["rr"])
def test_the_particle_is_steered_through_the_origin(modes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    root = optimize.brentq(crossing_by_hand, 0.0, 0.5, xtol=1e-12)
    # GradBench expects 0.2071918746486116: where its descent ends, a little off the root.
    assert root == pytest.approx(0.2071918746486116, abs=1e-5)
    step_well("particle", monkeypatch)
    assert particle.control(0.2, modes) == pytest.approx(root, abs=1e-5)


@pytest.mark.parametrize("modes", descent.MODES)
def test_the_saddle_point_is_the_origin(modes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    step_well("saddle", monkeypatch)
    np.testing.assert_allclose(saddle.saddle_point(np.array([1.0, -0.5]), modes), np.zeros(4), atol=2e-4)


@pytest.mark.parametrize("mode", sorted(descent.GRADIENTS))
def test_descent_ends_at_the_minimum_of_a_bowl(mode: str) -> None:
    centre = np.array([1.0, -2.0])
    found = descent.argmin(lambda x: np.sum((x - centre) ** 2), np.zeros(2), mode)
    np.testing.assert_allclose(found, centre, atol=1e-4)
    np.testing.assert_allclose(descent.argmax(lambda x: -np.sum((x - centre) ** 2), np.zeros(2), mode), found)
