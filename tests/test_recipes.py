"""The recipes of the documentation from Hessian-vector products on: their code runs, and their numbers are right.

What the examples compute is compared with closed forms and dense matrices that are written out here, without an engine.
The recipes before these are tested in `test_implicit_recipes.py`.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.spatial.transform import Rotation

import dualad
import reversead
from shared import count_operations, flatten, report_loops
from shared.linear.checkpointing import default_snapshots, evaluations
from shared.networks.backprop import backprop

ROOT = Path(__file__).parent.parent
DOCUMENT = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
RECIPES = DOCUMENT[DOCUMENT.index("## Hessian-vector products") :]
EXAMPLES = re.findall(r"```python\n(.*?)```", RECIPES, re.DOTALL)


@pytest.fixture(scope="module")
def recipes() -> dict[str, Any]:
    """The names that the examples define, run one after the other as they are printed; and what they print."""
    scope: dict[str, Any] = {"__name__": __name__}  # a dataclass looks its module up
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for example in EXAMPLES:
            exec(example, scope)
    scope["printed"] = printed.getvalue()
    return scope


def dense(product: Any, n: int) -> np.ndarray:
    """The matrix of a linear function of n numbers."""
    return np.stack([product(unit) for unit in np.eye(n)], axis=1)


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


def test_the_contents_list_every_section() -> None:
    headings = re.findall(r"^## (.*)$", DOCUMENT, re.MULTILINE)
    contents = DOCUMENT[: DOCUMENT.index("\n## ")]
    anchors = [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]
    links = dict.fromkeys(re.findall(r"\[([^]]*)\]\(#([^)]*)\)", contents))
    assert list(links) == list(zip(headings, anchors, strict=True))


# --- Hessian-vector products ------------------------------------------------------------------------------------------


def logistic_gradient(x: Any, y: Any, w: Any) -> Any:
    return -x.T @ (y * sigmoid(-y * (x @ w)))


def logistic_hessian(x: Any, y: Any, w: Any) -> Any:
    p = sigmoid(y * (x @ w))
    return (x.T * (p * (1 - p))) @ x


def test_products_with_the_hessian_of_a_logistic_regression(recipes: dict[str, Any]) -> None:
    x, y = recipes["x"], recipes["y"]
    for w in (np.zeros(50), np.linspace(-1, 1, 50)):
        expected = logistic_hessian(x, y, w) + np.eye(50)
        np.testing.assert_allclose(dense(lambda v, w=w: recipes["product"](w, v), 50), expected, rtol=1e-11, atol=1e-12)
    expected = logistic_hessian(x, y, recipes["found"].x) + np.eye(50)
    np.testing.assert_allclose(recipes["hessian"], expected, rtol=1e-11, atol=1e-12)


def test_newtons_method_finds_the_minimum(recipes: dict[str, Any]) -> None:
    w = recipes["w"]
    residual = logistic_gradient(recipes["x"], recipes["y"], w) + w
    assert np.max(np.abs(residual)) < 1e-12
    # The Hessian is I or more, so nobody is farther from the minimum than the length of the gradient there.
    assert recipes["found"].success
    assert np.linalg.norm(recipes["found"].x - w) <= np.linalg.norm(recipes["found"].jac) + 1e-12 < 1e-3


def test_the_counts_of_products_in_the_text(recipes: dict[str, Any]) -> None:
    cost, w, v = recipes["cost"], np.zeros(50), np.ones(50)

    def linearised(count: int) -> Any:
        def run(w: Any, v: Any) -> None:
            _, hvp = reversead.linearize(reversead.grad(cost), w)
            for _ in range(count):
                hvp(v)

        return run

    unit = count_operations(cost, w)
    found = (
        f"{count_operations(recipes['product'], w, v) / unit:.1f}",
        f"{10 * count_operations(recipes['product'], w, v) / unit:.0f}",
        f"{count_operations(linearised(1), w, v) / unit:.1f}",
        f"{count_operations(linearised(10), w, v) / unit:.0f}",
        f"{count_operations(dualad.jacobian(reversead.grad(cost)), w) / unit:.0f}",
    )
    text = " ".join(RECIPES.split())
    stated = re.search(
        r"one such `product` costs ([\d.]+) times `cost`, and ten cost ([\d.]+)\. "
        r"By `linearize`, one costs ([\d.]+) and ten cost ([\d.]+), .* All of `hessian` costs ([\d.]+)\.",
        text,
    )
    assert stated is not None
    assert stated.groups() == found


# --- the gradient of every example ------------------------------------------------------------------------------------


def test_gradients_of_examples_are_those_of_backpropagation_one_by_one(ad: Any, recipes: dict[str, Any]) -> None:
    network, parameters, images, labels = (recipes[name] for name in ("network", "parameters", "images", "labels"))
    found = recipes["each"]
    if ad is dualad:
        mapped = ad.vmap(ad.grad(network.objective()), in_axes=(None, 0, 0))
        found = mapped(parameters, images[:3], labels[:3])
    for k in range(len(flatten(found)[0][0])):
        _, expected = backprop(network, parameters, images[k], labels[k])
        for array, one in zip(flatten(found)[0], flatten(expected)[0], strict=True):
            np.testing.assert_allclose(array[k], one, rtol=1e-11, atol=1e-14)
    assert flatten(found)[1] == flatten(parameters)[1]


def test_no_operation_of_the_batch_is_a_loop(recipes: dict[str, Any]) -> None:
    names = ("network", "parameters", "images", "labels", "theta", "of_labels")
    network, parameters, images, labels, theta, of_labels = (recipes[name] for name in names)
    with report_loops() as looped:
        recipes["vmap"](reversead.grad(network.objective()), (None, 0, 0))(parameters, images, labels)
        recipes["vmap"](of_labels, (None, 0, None))(theta, images, np.arange(3))
    assert not looped


def test_no_example_moves_the_private_gradient_by_more_than_the_bound(recipes: dict[str, Any]) -> None:
    bound, total, lengths = recipes["C"], 0.0, []
    arrays = flatten(recipes["each"])[0]
    for k in range(32):
        gradient = np.concatenate([array[k].ravel() for array in arrays])
        length = np.sqrt(np.sum(gradient**2))
        total = total + (gradient if length <= bound else gradient * (bound / length))
        lengths.append(length)
    # Of both kinds there are some.
    assert 0 < sum(length > bound for length in lengths) < 32
    np.testing.assert_allclose(recipes["norms"], lengths, rtol=1e-13)
    found = np.concatenate([array.ravel() for array in flatten(recipes["bounded"])[0]])
    np.testing.assert_allclose(found, total, rtol=1e-12, atol=1e-13)
    assert [a.shape for a in flatten(recipes["private"])[0]] == [a.shape for a in flatten(recipes["parameters"])[0]]


def test_the_noise_of_the_private_gradient(recipes: dict[str, Any]) -> None:
    class Drawn:
        """Gives the standard deviation that was asked for in place of a number drawn with it."""

        def normal(self, mean: float, deviation: float, shape: Any) -> Any:
            return np.full(shape, mean + deviation)

    example = next(example for example in EXAMPLES if "private =" in example)
    scope = {**recipes, "rng": Drawn()}
    exec(next(line for line in example.splitlines() if line.startswith("private =")), scope)
    for private, bounded in zip(flatten(scope["private"])[0], flatten(recipes["bounded"])[0], strict=True):
        np.testing.assert_allclose(private, (bounded + recipes["sigma"] * recipes["C"]) / 32, rtol=1e-14)


# --- Gauss-Newton and Fisher ------------------------------------------------------------------------------------------


def model_jacobian(w: Any, x: Any) -> Any:
    """The derivatives of the logits of each example, written out: of shape (examples, 3, 56)."""
    first, second = w[:32].reshape(4, 8), w[32:].reshape(8, 3)
    hidden = np.tanh(x @ first)
    by_first = np.einsum("ei,eh,hc->ecih", x, 1 - hidden**2, second)
    by_second = np.einsum("eh,cd->echd", hidden, np.eye(3))
    return np.concatenate([by_first.reshape(len(x), 3, 32), by_second.reshape(len(x), 3, 24)], axis=2)


def probabilities(z: Any) -> Any:
    weights = np.exp(z)
    return weights / weights.sum(axis=1, keepdims=True)


def dense_gauss_newton(jacobian: Any, p: Any) -> Any:
    """The mean of J^T (diag(p) - p p^T) J over the examples."""
    bend = np.einsum("ec,cd->ecd", p, np.eye(3)) - p[:, :, None] * p[:, None, :]
    return np.einsum("ecn,ecd,edm->nm", jacobian, bend, jacobian) / len(p)


def test_gauss_newton_products(recipes: dict[str, Any]) -> None:
    theta, images, ggn = recipes["theta"], recipes["images"], recipes["ggn"]
    expected = dense_gauss_newton(model_jacobian(theta, images), probabilities(recipes["logits"](theta, images)))
    found = dense(ggn, 56)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(recipes["moved"], expected @ recipes["v"], rtol=1e-11, atol=1e-13)
    assert np.linalg.eigvalsh((found + found.T) / 2).min() > -1e-13
    # The model is not linear, so there is a second term, with which the matrix is not positive semidefinite here.
    surprise, labels = recipes["surprise"], recipes["labels"]
    hessian = dualad.jacobian(reversead.grad(surprise))(theta, images, labels)
    assert np.linalg.eigvalsh(hessian).min() < -1e-3


def test_the_gauss_newton_matrix_of_a_linear_model_is_the_hessian(recipes: dict[str, Any]) -> None:
    images, labels = recipes["images"], recipes["labels"]
    loss, w = recipes["softmax_cross_entropy"], np.linspace(-1, 1, 12)

    def model(w: Any) -> Any:
        return images @ w.reshape(4, 3)

    jacobian = np.einsum("ei,cd->ecid", images, np.eye(3)).reshape(32, 3, 12)
    expected = dense_gauss_newton(jacobian, probabilities(model(w)))
    found = dense(recipes["gauss_newton"](model, lambda z: loss(z, labels), w), 12)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-14)
    hessian = reversead.hessian(lambda w: loss(model(w), labels))(w)
    np.testing.assert_allclose(hessian, expected, rtol=1e-11, atol=1e-14)


def test_gauss_newton_products_of_containers(recipes: dict[str, Any]) -> None:
    theta, images, labels, v = (recipes[name] for name in ("theta", "images", "labels", "v"))

    def parts(w: Any) -> Any:
        return {"first": w[:32].reshape(4, 8), "second": w[32:].reshape(8, 3)}

    product = recipes["gauss_newton"](
        lambda w: np.tanh(images @ w["first"]) @ w["second"],
        lambda z: recipes["softmax_cross_entropy"](z, labels),
        parts(theta),
    )(parts(v))
    for name, expected in parts(recipes["moved"]).items():
        np.testing.assert_allclose(product[name], expected, rtol=1e-12, atol=1e-14)


def test_the_fisher_matrix_is_the_gauss_newton_matrix(recipes: dict[str, Any]) -> None:
    theta, images, labels = recipes["theta"], recipes["images"], recipes["labels"]
    jacobian, p = model_jacobian(theta, images), probabilities(recipes["logits"](theta, images))
    # The gradient of -log p(y | x) is J^T (p - e_y).
    scores = np.einsum("eyc,ecn->eyn", p[:, None, :] - np.eye(3), jacobian)
    np.testing.assert_allclose(recipes["scores"], scores, rtol=1e-11, atol=1e-13)
    fisher = np.einsum("ey,eyn,eym->nm", p, scores, scores) / 32
    np.testing.assert_allclose(dense(recipes["fisher"], 56), fisher, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(dense(recipes["ggn"], 56), fisher, rtol=1e-11, atol=1e-13)

    observed = np.stack([scores[k, label] for k, label in enumerate(labels)])
    np.testing.assert_allclose(recipes["empirical"], observed.T @ observed / 32, rtol=1e-11, atol=1e-13)
    assert np.linalg.norm(recipes["empirical"] - fisher) > 0.1 * np.linalg.norm(fisher)

    expected = np.linalg.solve(fisher + 0.1 * np.eye(56), observed.mean(axis=0))
    np.testing.assert_allclose(recipes["natural"], expected, rtol=1e-8, atol=1e-8 * np.max(np.abs(expected)))


def test_a_gauss_newton_product_costs_less_than_a_fisher_product(recipes: dict[str, Any]) -> None:
    theta, v, images, labels = (recipes[name] for name in ("theta", "v", "images", "labels"))
    scores, chances = recipes["scores"], recipes["chances"]

    def by_gauss_newton(w: Any, v: Any) -> Any:
        model, loss = recipes["logits"], recipes["softmax_cross_entropy"]
        return recipes["gauss_newton"](lambda w: model(w, images), lambda z: loss(z, labels), w)(v)

    def by_scores(w: Any, v: Any) -> Any:
        of_all = recipes["vmap"](recipes["of_labels"], (None, 0, None))(w, images, np.arange(3))
        return np.tensordot(chances * (of_all @ v), of_all, 2) / 32

    np.testing.assert_allclose(by_scores(theta, v), by_gauss_newton(theta, v), rtol=1e-10, atol=1e-13)
    assert scores.size == 32 * 3 * 56
    assert 2 * count_operations(by_gauss_newton, theta, v) < count_operations(by_scores, theta, v)


# --- sparse Jacobians -------------------------------------------------------------------------------------------------


def brusselator_jacobian(state: Any) -> Any:
    u, v = state[:100], state[100:]
    spread = 0.02 * 101**2 * (np.eye(100, k=1) - 2 * np.eye(100) + np.eye(100, k=-1))
    reaction = np.block([[np.diag(2 * u * v - 4), np.diag(u**2)], [np.diag(3 - 2 * u * v), np.diag(-(u**2))]])
    return reaction + np.kron(np.eye(2), spread)


def test_the_sparse_jacobian_of_the_brusselator(ad: Any, recipes: dict[str, Any]) -> None:
    sparse = ad.sparse_jacobian(recipes["brusselator"], pattern=recipes["colouring"])
    for state in (recipes["start"], np.random.default_rng(1).normal(size=200)):
        np.testing.assert_allclose(sparse(state).toarray(), brusselator_jacobian(state), rtol=1e-13, atol=1e-12)
    np.testing.assert_array_equal(recipes["colouring"].pattern.to_dense(), brusselator_jacobian(np.full(200, 0.7)) != 0)


def test_the_products_that_the_text_states(recipes: dict[str, Any]) -> None:
    assert recipes["printed"] == str(recipes["colouring"]) + "\n"
    assert f"(start)  # {recipes['colouring']}\n" in RECIPES
    assert recipes["few"].jvps == 8
    assert recipes["few"].vjps == 0
    assert recipes["few"].pattern.shape == (160, 84)
    assert "  # 8 jvps, for a matrix of 160 x 84\n" in RECIPES


@pytest.mark.parametrize("method", ["BDF", "Radau"])
def test_stiff_solvers_go_the_way_of_the_dense_jacobian(method: str, recipes: dict[str, Any]) -> None:
    f, start, sparse = (recipes[name] for name in ("brusselator", "start", "sparse"))

    def solve(**options: Any) -> Any:
        solution = solve_ivp(lambda t, y: f(y), (0, 10), start, method=method, **options)
        assert solution.success
        return solution

    found = recipes["path"] if method == "BDF" else solve(jac=lambda t, y: sparse(y))
    expected = solve(jac=lambda t, y: brusselator_jacobian(y))
    np.testing.assert_allclose(found.t, expected.t, rtol=1e-9)
    np.testing.assert_allclose(found.y, expected.y, rtol=1e-9)
    # With SciPy's differences it goes another way, as far as its tolerance of 1e-3 allows.
    differences = solve(jac_sparsity=recipes["colouring"].pattern.to_dense())
    np.testing.assert_allclose(differences.y[:, -1], expected.y[:, -1], rtol=1e-2)


def test_a_bundle_adjustment(recipes: dict[str, Any]) -> None:
    photographs, few = recipes["photographs"], recipes["few"]
    for p in (recipes["guess"], recipes["fit"].x):
        by_complex_step = dense(lambda e, p=p: photographs(p + 1e-30j * e).imag / 1e-30, 84)
        for engine in (dualad, reversead):
            found = engine.sparse_jacobian(photographs, pattern=few)(p).toarray()
            np.testing.assert_allclose(found, by_complex_step, rtol=1e-11, atol=1e-12)
    assert recipes["fit"].success
    # SciPy stops where no component of the gradient exceeds 1e-8, beside that of the guess.
    before = photographs(recipes["guess"]) - recipes["taken"]
    assert recipes["fit"].cost < 1e-12 * 0.5 * np.sum(before**2)


def test_what_the_cameras_see(recipes: dict[str, Any]) -> None:
    truth = recipes["truth"]
    expected = []
    for camera in truth[:24].reshape(4, 6):
        angle = 2 * np.arctan(np.linalg.norm(camera[:3]))
        turn = Rotation.from_rotvec(angle * camera[:3] / np.linalg.norm(camera[:3]))
        seen = turn.apply(truth[24:].reshape(20, 3)) + camera[3:]
        expected.append(seen[:, :2] / seen[:, 2:])
    np.testing.assert_allclose(recipes["taken"], np.ravel(expected), rtol=1e-12)


# --- checkpoints and many cores ---------------------------------------------------------------------------------------


def adjoint(start: Any, steps: int) -> Any:
    """The derivative of the mean of u after some steps of Euler's method, by dense Jacobians of the steps."""
    states = [start]
    for _ in range(steps - 1):
        u, v = states[-1][:100], states[-1][100:]
        wide = np.concatenate([[1.0], u, [1.0]]), np.concatenate([[3.0], v, [3.0]])
        spread = np.concatenate([w[:-2] - 2 * w[1:-1] + w[2:] for w in wide]) * (0.02 * 101**2)
        states.append(states[-1] + 0.001 * (np.concatenate([1 + u * u * v - 4 * u, 3 * u - u * u * v]) + spread))
    cotangent = np.concatenate([np.full(100, 0.01), np.zeros(100)])
    for state in reversed(states):
        cotangent = cotangent + 0.001 * brusselator_jacobian(state).T @ cotangent
    return cotangent


def test_the_gradient_of_a_long_loop(recipes: dict[str, Any]) -> None:
    np.testing.assert_allclose(recipes["sensitivities"], adjoint(recipes["start"], 1000), rtol=1e-9, atol=1e-14)
    few = reversead.grad(recipes["final"])(recipes["start"], 100, 3)
    np.testing.assert_allclose(few, adjoint(recipes["start"], 100), rtol=1e-11, atol=1e-15)


def test_the_evaluations_in_the_table() -> None:
    rows = {cells[0]: cells[1:] for cells in (re.split(r"\s*\|\s*", row.strip("| ")) for row in RECIPES.splitlines())}
    plain, *snapshots = rows["snapshots"]
    assert plain == "a plain loop"
    stated = [int(count.replace(",", "")) for count in rows["evaluations of a step"]]
    counts = [default_snapshots(4000) if "None" in given else int(given) for given in snapshots]
    assert f"None: {default_snapshots(4000)}" in snapshots
    assert stated == [4000, *(evaluations(4000, count) for count in counts)]


def test_a_sum_over_checkpointed_parts(recipes: dict[str, Any]) -> None:
    expected = logistic_gradient(recipes["x"], recipes["y"], recipes["w"])
    np.testing.assert_allclose(recipes["in_parts"], expected, rtol=1e-11, atol=1e-13)


def test_the_examples_as_a_script_with_processes(tmp_path: Path, recipes: dict[str, Any]) -> None:
    script, results = tmp_path / "recipes.py", tmp_path / "results.npz"
    save = f"    np.savez({str(results)!r}, total=total, downwards=downwards, matrix=matrix)\n"
    script.write_text("\n\n".join(EXAMPLES) + save, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    x, y, w = recipes["x"], recipes["y"], recipes["w"]
    with np.load(results) as found:
        np.testing.assert_allclose(found["total"], np.sum(np.log1p(np.exp(-y * (x @ w)))), rtol=1e-12)
        np.testing.assert_allclose(found["downwards"], logistic_gradient(x, y, w), rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found["matrix"], brusselator_jacobian(recipes["start"]), rtol=1e-13, atol=1e-12)


def test_containers_of_ones_own_and_labels_are_kept(recipes: dict[str, Any]) -> None:
    dense, steepest = recipes["dense"], recipes["steepest"]
    hidden = np.tanh(dense.weights @ [1.0, 2.0])
    out = np.tanh(dense.weights @ hidden)
    back = 2 * out * (1 - out**2)
    inner = (dense.weights.T @ back) * (1 - hidden**2)
    np.testing.assert_allclose(steepest.weights, np.outer(back, hidden) + np.outer(inner, [1.0, 2.0]), rtol=1e-12)
    np.testing.assert_allclose(recipes["stepped"].biases, -0.1 * (back + inner), rtol=1e-12)
    assert (steepest.activation, steepest.repeats) == ("tanh", 2)
    force = recipes["force"]
    assert (force.stiffness, force.length, force.name) == (0.125, -1.0, "a")
    warming, prices = recipes["warming"], recipes["prices"]
    assert recipes["along_place"].identical(warming.copy(data=[[0.0, 3.5], [0.0, 3.5]]))
    assert recipes["paid"].equals(prices[::-1].set_axis(prices.index) + 1.0)
