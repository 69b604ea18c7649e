"""Backpropagation by hand against differences and the complex step, and both engines against it."""

import numpy as np
import pytest

from shared.networks.backprop import backprop
from shared.networks.losses import LOSSES
from shared.networks.mlp import ACTIVATIONS, MLP

# The activations for complex arguments, written apart from the library's: see test_mlp.py.
ANALYTIC = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1.0 / (1.0 + np.exp(-z)),
    "tanh": np.tanh,
    "relu": lambda z: np.where(z.real > 0.0, z, 0.0),
    "softplus": lambda z: np.log(1.0 + np.exp(z)),
    "softsign": lambda z: z / (1.0 + np.where(z.real > 0.0, z, -z)),
}
# A loss and the form of its target: (name in LOSSES, integer labels?).
CASES = [
    ("half_squared_error", False),
    ("softmax_cross_entropy", False),
    ("softmax_cross_entropy", True),
    ("binary_cross_entropy", False),
]
SHAPES = [None, 1, 5]
SIZES = (4, 5, 3)


def problem(activation, loss, integer_labels, batch, output="identity", dtype=np.float64, seed=0):
    """A small network with parameters, an input and a target; batch None is one example of shape (n_in,)."""
    rng = np.random.default_rng(seed)
    mlp = MLP(SIZES, activation, output)
    zeros = mlp.initialise("zeros", rng)
    parameters = [tuple((0.7 * rng.standard_normal(part.shape)).astype(dtype) for part in layer) for layer in zeros]
    rows = 1 if batch is None else batch
    x = rng.standard_normal((rows, SIZES[0])).astype(dtype)
    labels = rng.integers(0, SIZES[-1], rows)
    if integer_labels:
        target = labels
    elif loss == "half_squared_error":
        target = rng.standard_normal((rows, SIZES[-1])).astype(dtype)
    else:
        # Not one-hot, and for the softmax not even of sum 1: both sides have to agree there too.
        target = rng.random((rows, SIZES[-1])).astype(dtype)
    return mlp, parameters, (x[0] if batch is None else x), (target[0] if batch is None else target)


def analytic_objective(mlp, parameters, x, target, loss, l2):
    """The objective in formulas that are analytic in the parameters, one example after another."""
    rows = np.atleast_2d(x)
    targets = [target] if x.ndim == 1 else target
    total = 0.0
    for a, wanted in zip(rows, targets, strict=True):
        for number, (weights, bias) in enumerate(parameters):
            last = number == len(parameters) - 1
            a = ANALYTIC[mlp.output if last else mlp.activation](a @ weights + bias)
        if loss == "half_squared_error":
            total = total + 0.5 * sum((a - wanted) ** 2)
        elif loss == "softmax_cross_entropy":
            weights = np.eye(len(a))[wanted] if np.ndim(wanted) == 0 else wanted
            total = total - sum(weights * np.log(np.exp(a) / sum(np.exp(a))))
        else:
            p = 1.0 / (1.0 + np.exp(-a))
            total = total - sum(wanted * np.log(p) + (1.0 - wanted) * np.log(1.0 - p))
    penalty = sum((weights**2).sum() for weights, _ in parameters)
    return total / len(rows) + 0.5 * l2 * penalty


def with_step(parameters, layer, part, index, step):
    """The parameters with a step added to one number."""
    changed = [[np.array(array, dtype=np.result_type(array, step)) for array in pair] for pair in parameters]
    changed[layer][part][index] += step
    return changed


def every_parameter(parameters):
    for layer, pair in enumerate(parameters):
        for part, array in enumerate(pair):
            for index in np.ndindex(array.shape):
                yield layer, part, index


def assert_same_gradient(found, expected, rtol):
    """Each array to rtol of its own largest entry: entries that nearly cancel have no relative accuracy."""
    assert len(found) == len(expected)
    for found_layer, expected_layer in zip(found, expected, strict=True):
        assert len(found_layer) == len(expected_layer) == 2
        for a, b in zip(found_layer, expected_layer, strict=True):
            assert a.shape == b.shape and a.dtype == b.dtype
            np.testing.assert_allclose(a, b, rtol=rtol, atol=rtol * max(np.abs(b).max(), 1e-30))


# -------------------------------------------------- by hand, against plain NumPy


@pytest.mark.parametrize("batch", SHAPES)
@pytest.mark.parametrize(("loss", "integer_labels"), CASES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backprop_agrees_with_the_complex_step(activation, loss, integer_labels, batch):
    mlp, parameters, x, target = problem(activation, loss, integer_labels, batch)
    value, gradient = backprop(mlp, parameters, x, target, loss, l2=0.3)
    assert value == pytest.approx(analytic_objective(mlp, parameters, x, target, loss, 0.3), rel=1e-13)
    for layer, part, index in every_parameter(parameters):
        stepped = with_step(parameters, layer, part, index, 1e-30j)
        expected = analytic_objective(mlp, stepped, x, target, loss, 0.3).imag / 1e-30
        assert gradient[layer][part][index] == pytest.approx(expected, rel=1e-11, abs=1e-13)


@pytest.mark.parametrize(("loss", "integer_labels"), CASES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backprop_agrees_with_central_differences_of_the_objective(activation, loss, integer_labels):
    mlp, parameters, x, target = problem(activation, loss, integer_labels, 5)
    objective = mlp.objective(loss, l2=0.3)
    value, gradient = backprop(mlp, parameters, x, target, loss, l2=0.3)
    assert value == pytest.approx(objective(parameters, x, target), rel=1e-13)
    h = 1e-5
    for layer, part, index in every_parameter(parameters):
        above = objective(with_step(parameters, layer, part, index, h), x, target)
        below = objective(with_step(parameters, layer, part, index, -h), x, target)
        assert gradient[layer][part][index] == pytest.approx((above - below) / (2 * h), rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("output", ACTIVATIONS)
@pytest.mark.parametrize(("loss", "integer_labels"), CASES)
def test_an_activation_of_the_last_layer_is_differentiated_too(output, loss, integer_labels):
    mlp, parameters, x, target = problem("tanh", loss, integer_labels, 5, output=output)
    _, gradient = backprop(mlp, parameters, x, target, loss)
    for layer, part, index in every_parameter(parameters):
        stepped = with_step(parameters, layer, part, index, 1e-30j)
        expected = analytic_objective(mlp, stepped, x, target, loss, 0.0).imag / 1e-30
        assert gradient[layer][part][index] == pytest.approx(expected, rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(("loss", "integer_labels"), CASES)
def test_backprop_keeps_float32(activation, loss, integer_labels):
    mlp, parameters, x, target = problem(activation, loss, integer_labels, 5, dtype=np.float32)
    value, gradient = backprop(mlp, parameters, x, target, loss, l2=0.3)
    assert value.dtype == np.float32
    wide = [tuple(part.astype(np.float64) for part in layer) for layer in parameters]
    _, expected = backprop(mlp, wide, x.astype(np.float64), target, loss, l2=0.3)
    assert_same_gradient(gradient, [tuple(part.astype(np.float32) for part in layer) for layer in expected], 1e-5)


def test_float32_parameters_get_a_float32_gradient_from_float64_data():
    mlp, parameters, x, target = problem("tanh", "softmax_cross_entropy", True, 5, dtype=np.float32)
    _, gradient = backprop(mlp, parameters, x.astype(np.float64), target)
    assert {part.dtype for layer in gradient for part in layer} == {np.dtype(np.float32)}


@pytest.mark.parametrize("batch", SHAPES)
def test_backprop_changes_nothing_it_is_given_and_returns_arrays_of_its_own(batch):
    mlp, parameters, x, target = problem("identity", "half_squared_error", False, batch)
    before = [part.copy() for layer in parameters for part in layer] + [x.copy(), target.copy()]
    _, gradient = backprop(mlp, parameters, x, target, "half_squared_error", l2=0.3)
    given = [part for layer in parameters for part in layer] + [x, target]
    for array, copy in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    for part in (part for layer in gradient for part in layer):
        assert part.flags.writeable and not any(np.shares_memory(part, array) for array in given)


def test_backprop_refuses_what_does_not_fit():
    mlp, parameters, x, target = problem("tanh", "softmax_cross_entropy", True, 5)
    with pytest.raises(ValueError, match="no loss 'mse'"):
        backprop(mlp, parameters, x, target, "mse")
    with pytest.raises(ValueError, match="x has shape"):
        backprop(mlp, parameters, x[:, 1:], target)
    with pytest.raises(ValueError, match="layer 0 has parameters"):
        backprop(mlp, [(parameters[0][0], np.zeros(1)), parameters[1]], x, target)
    with pytest.raises(ValueError, match="the target has shape"):
        backprop(mlp, parameters, x, target[1:])
    for dtype in (int, complex):
        wrong = [tuple(part.astype(dtype) for part in layer) for layer in parameters]
        with pytest.raises(TypeError, match="real floating parameters"):
            backprop(mlp, wrong, x, target)


# ---------------------------------------------------------- the engines against it


@pytest.mark.parametrize("batch", SHAPES)
@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize(("loss", "integer_labels"), CASES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_engine_agrees_with_backprop(ad, activation, loss, integer_labels, l2, batch):
    mlp, parameters, x, target = problem(activation, loss, integer_labels, batch)
    value, gradient = ad.value_and_grad(mlp.objective(loss, l2))(parameters, x, target)
    expected_value, expected = backprop(mlp, parameters, x, target, loss, l2)
    assert value == pytest.approx(expected_value, rel=1e-13)
    assert_same_gradient(gradient, expected, 1e-12)


@pytest.mark.parametrize("output", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_engine_agrees_with_backprop_through_the_last_activation(ad, output, loss):
    mlp, parameters, x, target = problem("tanh", loss, False, 5, output=output)
    _, gradient = ad.value_and_grad(mlp.objective(loss))(parameters, x, target)
    assert_same_gradient(gradient, backprop(mlp, parameters, x, target, loss)[1], 1e-12)


@pytest.mark.parametrize(("loss", "integer_labels"), CASES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_engine_agrees_with_backprop_in_float32(ad, activation, loss, integer_labels):
    mlp, parameters, x, target = problem(activation, loss, integer_labels, 5, dtype=np.float32)
    value, gradient = ad.value_and_grad(mlp.objective(loss, 0.3))(parameters, x, target)
    assert np.asarray(value).dtype == np.float32
    assert_same_gradient(gradient, backprop(mlp, parameters, x, target, loss, 0.3)[1], 1e-5)


# ------------------------------------------------------------- vanishing gradients


def test_the_gradient_of_the_first_layer_vanishes_with_depth_for_sigmoid_and_not_for_relu():
    """Each layer multiplies delta by sigmoid', at most 1/4, or by relu', 0 or 1 (Hochreiter 1991)."""
    depths = (2, 4, 8, 16)

    def first_layer_norms(activation):
        norms = []
        for depth in depths:
            mlp = MLP([32] * depth + [10], activation)
            parameters = mlp.initialise("xavier_normal", np.random.default_rng(7))
            rng = np.random.default_rng(8)
            _, gradient = backprop(mlp, parameters, rng.standard_normal((64, 32)), rng.integers(0, 10, 64))
            norms.append(np.linalg.norm(gradient[0][0]))
        return np.array(norms)

    sigmoid, relu = first_layer_norms("sigmoid"), first_layer_norms("relu")
    layers = depths[-1] - depths[0]
    assert np.all(np.diff(sigmoid) < 0)
    assert (sigmoid[-1] / sigmoid[0]) ** (1 / layers) < 0.35
    assert (relu[-1] / relu[0]) ** (1 / layers) > 0.6


# ------------------------------------- every delta, and the four equations one by one


def losses_by_shifts(mlp, parameters, x, target, loss):
    """C as a function of what is added to each z^l, so that its gradient at zero is every delta at once."""

    def objective(shifts):
        a = x
        for number, ((weights, bias), shift) in enumerate(zip(parameters, shifts, strict=True)):
            last = number == len(parameters) - 1
            a = ACTIVATIONS[mlp.output if last else mlp.activation].function(a @ weights + bias + shift)
        return LOSSES[loss](a, target)

    return objective


def close(found, expected):
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("batch", SHAPES)
@pytest.mark.parametrize(("loss", "integer_labels"), CASES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_of_the_four_equations_is_what_an_engine_computes(ad, activation, loss, integer_labels, batch):
    # The same activation at the end, so that the first equation has a slope in it.
    mlp, parameters, x, target = problem(activation, loss, integer_labels, batch, output=activation)
    _, gradient, found = backprop(mlp, parameters, x, target, loss, deltas=True)
    sigma = ACTIVATIONS[activation].function
    last = found.layers
    shifts = [np.zeros(found.z[layer].shape) for layer in found.z]
    every = ad.grad(losses_by_shifts(mlp, parameters, x, target, loss))(shifts)
    for layer, delta in zip(found.delta, every, strict=True):
        close(found.delta[layer], delta)
    # (1)
    of_output = ad.grad(LOSSES[loss])(found.a[last], target)
    close(found.delta[last], of_output * ad.elementwise_grad(sigma)(found.z[last]))
    for layer in range(1, last + 1):
        w, b, z, a, before = (found.w[layer], found.b[layer], found.z[layer], found.a[layer], found.a[layer - 1])
        close(z, before @ w.T + b)
        close(a, sigma(z))
        if layer < last:  # (2)
            _, pullback = ad.vjp(lambda z, w, b: sigma(z) @ w.T + b, z, found.w[layer + 1], found.b[layer + 1])
            close(found.delta[layer], pullback(found.delta[layer + 1])[0])
        # (3), (4): of one layer alone, the derivatives with respect to w and b
        _, pullback = ad.vjp(lambda w, b, before: before @ w.T + b, w, b, before)
        of_w, of_b, _ = pullback(found.delta[layer])
        close(gradient[layer - 1][0].T, of_w)
        close(gradient[layer - 1][1], of_b)
        rows, inputs = np.atleast_2d(found.delta[layer]), np.atleast_2d(before)
        close(of_b, sum(rows))
        close(of_w, sum(np.outer(delta, a) for delta, a in zip(rows, inputs, strict=True)))


@pytest.mark.parametrize("batch", SHAPES)
@pytest.mark.parametrize("activation", ["identity", "tanh"])
def test_deltas_change_neither_value_nor_gradient_and_are_arrays_of_their_own(activation, batch):
    mlp, parameters, x, target = problem(activation, "half_squared_error", False, batch)
    value, gradient = backprop(mlp, parameters, x, target, "half_squared_error", 0.3)
    same, again, found = backprop(mlp, parameters, x, target, "half_squared_error", 0.3, deltas=True)
    assert same == value
    for layer, other in zip(gradient, again, strict=True):
        for a, b in zip(layer, other, strict=True):
            np.testing.assert_array_equal(a, b)
    named = found.named()
    assert set(found.a) == {0, 1, 2} and set(found.w) == set(found.b) == set(found.z) == set(found.delta) == {1, 2}
    given = {"a^0", "w^1", "b^1", "w^2", "b^2"}
    assert {name for name, array in named.items() if not array.flags.writeable} == given
    own = [named[name] for name in named if name not in given]
    others = [part for layer in parameters for part in layer] + [x, target] + [part for pair in again for part in pair]
    for k, array in enumerate(own):
        assert not any(np.shares_memory(array, other) for other in own[k + 1 :] + others)


def test_the_chain_of_four_neurons_is_the_product_of_its_factors(ad):
    """dC/db1 = s'(z1) w2 s'(z2) w3 s'(z3) w4 s'(z4) dC/da4 (Nielsen 2015, chapter 5)."""
    mlp = MLP([1] * 5, "sigmoid", "sigmoid")
    rng = np.random.default_rng(3)
    parameters = [(rng.standard_normal((1, 1)), rng.standard_normal(1)) for _ in range(4)]
    x, y = np.array([0.7]), np.array([0.2])
    _, gradient, found = backprop(mlp, parameters, x, y, "half_squared_error", deltas=True)
    slope = {layer: float(a[0] * (1 - a[0])) for layer, a in found.a.items() if layer}
    w = {layer: float(found.w[layer][0, 0]) for layer in found.w}
    expected = slope[1] * w[2] * slope[2] * w[3] * slope[3] * w[4] * slope[4] * float(found.a[4][0] - y[0])
    assert float(gradient[0][1][0]) == pytest.approx(expected, rel=1e-13)
    by_engine = ad.grad(mlp.objective("half_squared_error"))(parameters, x, y)
    assert float(by_engine[0][1][0]) == pytest.approx(expected, rel=1e-13)
