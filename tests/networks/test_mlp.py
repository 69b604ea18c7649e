"""Networks, initialisers, activations and losses in plain NumPy, against formulas written out anew here."""

import math

import numpy as np
import pytest

from shared.networks.backprop import backprop
from shared.networks.losses import (
    LOSSES,
    binary_cross_entropy,
    find_loss,
    half_squared_error,
    l2_penalty,
    softmax_cross_entropy,
)
from shared.networks.mlp import ACTIVATIONS, INITIALISERS, MLP

# For complex arguments too, so that the complex step differentiates them to rounding (Squire & Trapp 1998).
FORMULAS = {
    "identity": lambda z: z,
    "sigmoid": lambda z: 1.0 / (1.0 + np.exp(-z)),
    "tanh": lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
    "relu": lambda z: np.where(z.real > 0.0, z, 0.0),
    "softplus": lambda z: np.log(1.0 + np.exp(z)),
    "softsign": lambda z: z / (1.0 + np.where(z.real > 0.0, z, -z)),
}
POINTS = np.array([-3.0, -1.2, -0.4, 0.3, 0.9, 2.5])


# ---------------------------------------------------------------- activations


def test_every_activation_has_a_formula_here():
    assert set(FORMULAS) == set(ACTIVATIONS)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation_is_its_formula(name):
    np.testing.assert_allclose(ACTIVATIONS[name].function(POINTS), FORMULAS[name](POINTS), rtol=1e-14)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"identity"}))
def test_derivative_by_hand_agrees_with_the_complex_step(name):
    function, derivative = ACTIVATIONS[name]
    by_hand = derivative(POINTS, function(POINTS))
    np.testing.assert_allclose(by_hand, FORMULAS[name](POINTS + 1e-30j).imag / 1e-30, rtol=1e-13)


def test_identity_says_that_its_derivative_multiplies_nothing():
    assert ACTIVATIONS["identity"].derivative is None


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_activations_are_finite_and_keep_the_dtype_at_plus_minus_1000(name, dtype):
    z = np.array([-1000.0, 0.0, 1000.0], dtype)
    function, derivative = ACTIVATIONS[name]
    a = function(z)
    assert a.dtype == dtype and np.all(np.isfinite(a))
    if derivative is not None:
        slope = derivative(z, a)
        assert slope.dtype == dtype and np.all(np.isfinite(slope))


def test_sigmoid_is_0_and_1_far_out():
    np.testing.assert_array_equal(ACTIVATIONS["sigmoid"].function(np.array([-1000.0, 0.0, 1000.0])), [0, 0.5, 1])


def test_relu_has_slope_0_at_its_kink():
    assert ACTIVATIONS["relu"].derivative(np.zeros(1), np.zeros(1))[0] == 0.0


# --------------------------------------------------------------- initialisers

DEVIATIONS = {
    "xavier_normal": lambda n_in, n_out: math.sqrt(2 / (n_in + n_out)),
    "xavier_uniform": lambda n_in, n_out: math.sqrt(2 / (n_in + n_out)),
    "he_normal": lambda n_in, n_out: math.sqrt(2 / n_in),
    "he_uniform": lambda n_in, n_out: math.sqrt(2 / n_in),
    "scaled_normal": lambda n_in, n_out: 1 / math.sqrt(n_in),
    "scaled_uniform": lambda n_in, n_out: 1 / math.sqrt(3 * n_in),
    "standard_normal": lambda n_in, n_out: 1.0,
    "zeros": lambda n_in, n_out: 0.0,
}


@pytest.mark.parametrize("scheme", INITIALISERS)
def test_initial_weights_have_mean_0_and_the_deviation_of_their_scheme(scheme):
    n_in, n_out = 400, 100
    [(weights, bias)] = MLP([n_in, n_out]).initialise(scheme, np.random.default_rng(1))
    deviation = DEVIATIONS[scheme](n_in, n_out)
    # 40,000 draws: standard errors are deviation / 200 (mean) and at most deviation / 280 (deviation).
    assert abs(weights.mean()) <= 4 * deviation / 200
    assert abs(weights.std() - deviation) <= 4 * deviation / 280
    assert not bias.any()


@pytest.mark.parametrize(
    ("scheme", "bound"),
    [("xavier_uniform", math.sqrt(6 / 500)), ("he_uniform", math.sqrt(6 / 400)), ("scaled_uniform", 0.05)],
)
def test_uniform_weights_fill_their_interval_and_stay_inside(scheme, bound):
    [(weights, _)] = MLP([400, 100]).initialise(scheme, np.random.default_rng(2))
    assert 0.999 * bound < np.abs(weights).max() <= bound


@pytest.mark.parametrize("scheme", ["xavier_normal", "he_normal", "scaled_normal", "standard_normal"])
def test_normal_weights_have_the_tails_of_a_normal_distribution(scheme):
    [(weights, _)] = MLP([400, 100]).initialise(scheme, np.random.default_rng(3))
    beyond_two = np.mean(np.abs(weights) > 2 * DEVIATIONS[scheme](400, 100))
    assert abs(beyond_two - 0.0455) < 0.005


@pytest.mark.parametrize("scheme", INITIALISERS)
def test_float32_parameters_are_the_float64_ones_rounded(scheme):
    mlp = MLP([4, 3, 2])
    narrow = mlp.initialise(scheme, np.random.default_rng(4), np.float32)
    wide = mlp.initialise(scheme, np.random.default_rng(4))
    for narrow_layer, wide_layer in zip(narrow, wide, strict=True):
        for a, b in zip(narrow_layer, wide_layer, strict=True):
            assert a.dtype == np.float32 and b.dtype == np.float64
            np.testing.assert_array_equal(a, b.astype(np.float32))


def test_from_zeros_the_hidden_weights_get_no_gradient_at_all():
    mlp = MLP([3, 4, 2])
    parameters = mlp.initialise("zeros", np.random.default_rng(0))
    x = np.random.default_rng(1).standard_normal((6, 3))
    _, gradient = backprop(mlp, parameters, x, np.array([0, 1, 1, 0, 1, 1]))
    assert not gradient[0][0].any() and not gradient[1][0].any()
    assert gradient[1][1].any()


def test_from_equal_weights_the_hidden_units_stay_identical_while_random_ones_part():
    mlp = MLP([3, 4, 2], "sigmoid")
    rng = np.random.default_rng(1)
    x, labels = rng.standard_normal((20, 3)), rng.integers(0, 2, 20)

    def spread_after_training(scheme):
        parameters = mlp.initialise(scheme, np.random.default_rng(2))
        for _ in range(30):
            _, gradient = backprop(mlp, parameters, x, labels)
            parameters = [(w - 0.5 * dw, b - 0.5 * db) for (w, b), (dw, db) in zip(parameters, gradient, strict=True)]
        hidden = parameters[0][0]
        assert hidden.any()
        return np.ptp(hidden, axis=1).max()

    # Not exactly 0: a matrix product may add up its last columns in another order than the others.
    assert spread_after_training("zeros") < 1e-12
    assert spread_after_training("xavier_normal") > 0.1


# -------------------------------------------------------------------- network


def test_forward_is_its_formula_for_one_example_and_for_a_batch():
    mlp = MLP([3, 5, 4, 2], "tanh", output="sigmoid")
    rng = np.random.default_rng(5)
    parameters = [(rng.standard_normal(w.shape), rng.standard_normal(b.shape)) for w, b in mlp.initialise("zeros", rng)]
    batch = rng.standard_normal((7, 3))
    outputs = mlp(parameters, batch)
    assert outputs.shape == (7, 2)
    for example, output in zip(batch, outputs, strict=True):
        a = example
        for number, (weights, bias) in enumerate(parameters):
            z = np.array([sum(weights[i, j] * a[i] for i in range(len(a))) + bias[j] for j in range(len(bias))])
            a = FORMULAS["sigmoid" if number == 2 else "tanh"](z)
        np.testing.assert_allclose(output, a, rtol=1e-13)
        np.testing.assert_allclose(mlp(parameters, example), a, rtol=1e-13)
    np.testing.assert_array_equal(mlp(parameters, batch.tolist()), outputs)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", LOSSES)
def test_float32_stays_float32(activation, loss):
    mlp = MLP([3, 4, 2], activation)
    parameters = mlp.initialise("xavier_normal", np.random.default_rng(0), np.float32)
    x = np.ones((5, 3), np.float32)
    target = np.eye(2)[[0, 1, 1, 0, 1]]
    assert mlp(parameters, x).dtype == np.float32
    assert mlp.objective(loss, l2=0.1)(parameters, x, target).dtype == np.float32
    assert mlp.objective(loss, l2=0.1)(parameters, x, target.astype(int)).dtype == np.float32


def test_a_network_is_a_frozen_value():
    mlp = MLP([2, 1])
    assert mlp == MLP((2, 1)) and hash(mlp) == hash(MLP((2, 1))) and mlp.sizes == (2, 1)
    with pytest.raises(AttributeError):
        mlp.sizes = (3, 1)


# --------------------------------------------------------------------- losses

OUTPUT = np.array([[0.3, -1.2, 2.0], [1.1, 0.4, -0.6]])


def test_half_squared_error_is_its_formula():
    target = np.array([[1.0, 0.0, 2.0], [0.5, 0.5, 0.5]])
    expected = (0.7**2 + 1.2**2 + 0.0 + 0.6**2 + 0.1**2 + 1.1**2) / 4
    assert half_squared_error(OUTPUT, target) == pytest.approx(expected, rel=1e-15)
    assert half_squared_error(OUTPUT[0], target[0]) == pytest.approx((0.7**2 + 1.2**2) / 2, rel=1e-15)


def test_softmax_cross_entropy_is_its_formula_in_all_forms_of_labels():
    probabilities = np.exp(OUTPUT) / np.exp(OUTPUT).sum(axis=1, keepdims=True)
    expected = -(math.log(probabilities[0, 2]) + math.log(probabilities[1, 0])) / 2
    one_hot = np.array([[0, 0, 1], [1, 0, 0]])
    for labels in ([2, 0], np.array([2, 0], np.uint8), one_hot, one_hot.astype(float)):
        assert softmax_cross_entropy(OUTPUT, labels) == pytest.approx(expected, rel=1e-14)
    assert softmax_cross_entropy(OUTPUT[0], 2) == pytest.approx(-math.log(probabilities[0, 2]), rel=1e-14)
    assert softmax_cross_entropy(OUTPUT[0], one_hot[0]) == pytest.approx(-math.log(probabilities[0, 2]), rel=1e-14)


def test_softmax_cross_entropy_takes_a_distribution_as_a_label():
    weights = np.array([0.2, 0.5, 0.3])
    log_probabilities = OUTPUT[0] - math.log(np.exp(OUTPUT[0]).sum())
    assert softmax_cross_entropy(OUTPUT[0], weights) == pytest.approx(-weights @ log_probabilities, rel=1e-14)


def test_binary_cross_entropy_is_its_formula():
    labels = np.array([[1.0, 0.0, 1.0], [0.0, 0.25, 1.0]])
    p = 1 / (1 + np.exp(-OUTPUT))
    expected = -(labels * np.log(p) + (1 - labels) * np.log(1 - p)).sum() / 2
    assert binary_cross_entropy(OUTPUT, labels) == pytest.approx(expected, rel=1e-14)


def test_cross_entropies_are_finite_and_right_for_huge_logits():
    assert softmax_cross_entropy(np.array([[1000.0, -1000.0]]), [1]) == 2000.0
    assert softmax_cross_entropy(np.array([[1000.0, -1000.0]]), [0]) == 0.0
    np.testing.assert_array_equal(binary_cross_entropy(np.array([[1000.0, -1000.0]]), [[0, 1]]), 2000.0)
    assert binary_cross_entropy(np.array([[1000.0, -1000.0]]), [[1, 0]]) == 0.0


def test_l2_penalty_leaves_the_biases_out():
    parameters = [
        (np.array([[1.0, 2.0]]), np.array([50.0, 60.0])),
        (np.array([[3.0], [4.0]]), np.array([70.0])),
    ]
    assert l2_penalty(parameters, 0.1) == pytest.approx(0.05 * (1 + 4 + 9 + 16), rel=1e-15)


def test_a_mean_over_the_batch_is_the_mean_of_its_examples():
    targets = {"softmax_cross_entropy": np.array([2, 0])}
    for name, loss in LOSSES.items():
        target = targets.get(name, np.array([[1.0, 0.0, 1.0], [0.0, 0.5, 1.0]]))
        separate = [loss(output, label) for output, label in zip(OUTPUT, target, strict=True)]
        assert loss(OUTPUT, target) == pytest.approx(np.mean(separate), rel=1e-14)


# --------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ([], ValueError, "numbers of inputs and of outputs"),
        ([3], ValueError, "numbers of inputs and of outputs"),
        ([3, 0, 1], ValueError, "at least 1 unit, not 0"),
        ([3, -2], ValueError, "at least 1 unit, not -2"),
        ([3, 2.0], TypeError, "has to be an integer, not 2.0"),
        ([True, 2], TypeError, "has to be an integer, not True"),
    ],
)
def test_bad_sizes_are_refused(sizes, error, message):
    with pytest.raises(error, match=message):
        MLP(sizes)


def test_unknown_names_are_refused_with_a_list_of_the_valid_ones():
    for make in (lambda: MLP([2, 1], "rleu"), lambda: MLP([2, 1], output="rleu")):
        with pytest.raises(ValueError, match=r"'rleu'.*identity, relu, sigmoid, softplus, softsign, tanh"):
            make()
    with pytest.raises(ValueError, match=r"'he'.*scaled_normal.*xavier_normal, xavier_uniform, zeros"):
        MLP([2, 1]).initialise("he", np.random.default_rng(0))
    for make in (lambda: find_loss("mse"), lambda: MLP([2, 1]).objective("mse")):
        with pytest.raises(ValueError, match=r"'mse'.*binary_cross_entropy, half_squared_error, softmax"):
            make()


def test_initialise_refuses_a_seed_and_an_integer_dtype():
    with pytest.raises(TypeError, match="default_rng"):
        MLP([2, 1]).initialise("zeros", 0)
    for dtype in (int, complex):
        with pytest.raises(ValueError, match="choose a floating one"):
            MLP([2, 1]).initialise("zeros", np.random.default_rng(0), dtype)


@pytest.mark.parametrize("x", [np.zeros(4), np.zeros((5, 4)), np.float64(1.0)])
def test_inputs_of_the_wrong_shape_are_named(x):
    mlp = MLP([3, 2])
    with pytest.raises(ValueError, match="x has shape"):
        mlp(mlp.initialise("zeros", np.random.default_rng(0)), x)


def test_parameters_of_the_wrong_shape_are_named():
    mlp = MLP([3, 4, 2])
    good = mlp.initialise("zeros", np.random.default_rng(0))
    x = np.zeros((5, 3))
    with pytest.raises(ValueError, match=r"parameters for 1 layers.*has 2"):
        mlp(good[:1], x)
    with pytest.raises(ValueError, match=r"layer 1 has parameters of shape \(5, 2\), \(2,\)"):
        mlp([good[0], (np.zeros((5, 2)), np.zeros(2))], x)
    with pytest.raises(ValueError, match=r"layer 0 has parameters of shape \(3, 4\), \(3,\)"):
        mlp([(np.zeros((3, 4)), np.zeros(3)), good[1]], x)


@pytest.mark.parametrize("loss", LOSSES)
def test_targets_that_numpy_would_broadcast_silently_are_refused(loss):
    with pytest.raises(ValueError, match="needs"):
        LOSSES[loss](np.zeros((4, 1)), np.zeros((1, 4)))
    with pytest.raises((ValueError, TypeError)):
        LOSSES[loss](np.zeros((4, 1)), np.zeros(4))
    with pytest.raises(ValueError, match="one example of shape"):
        LOSSES[loss](np.zeros((0, 2)), np.zeros((0, 2)))
    with pytest.raises(ValueError, match="one example of shape"):
        LOSSES[loss](np.zeros((2, 2, 2)), np.zeros((2, 2, 2)))


@pytest.mark.parametrize("labels", [[0, 3], [-1, 0]])
def test_labels_that_name_no_class_are_refused(labels):
    with pytest.raises(ValueError, match="0 to 2"):
        softmax_cross_entropy(OUTPUT, labels)


def test_labels_that_are_not_integers_are_refused():
    for labels in ([0.0, 1.0], [True, False]):
        with pytest.raises(TypeError, match="integer"):
            softmax_cross_entropy(OUTPUT, labels)
