"""Examples with known answers, from lectures and textbooks, computed by both engines."""

import numpy as np
import pytest
from worked_networks import digits_network

import dualad
import reversead
from shared.networks.backprop import backprop
from shared.networks.mlp import MLP
from shared.rules.special import sigmoid


def test_a_product_of_a_sum(ad):
    """f(x, y, z) = (x + y) z at (-2, 5, -4): the first circuit of many courses on backpropagation."""
    value, gradient = ad.value_and_grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2))(-2.0, 5.0, -4.0)
    assert value == -12.0
    assert [float(part) for part in gradient] == [-4.0, -4.0, 3.0]


def test_a_logistic_neuron_with_two_inputs(ad):
    """Weights (2, -3) and bias -3, at x = (-1, -2): the weighted input is 1."""

    def neuron(w, x):
        return sigmoid(w[0] * x[0] + w[1] * x[1] + w[2])

    value, (dw, dx) = ad.value_and_grad(neuron, argnums=(0, 1))(np.array([2.0, -3.0, -3.0]), np.array([-1.0, -2.0]))
    assert value == pytest.approx(0.731, abs=5e-4)
    np.testing.assert_allclose(dw, [-0.197, -0.393, 0.197], atol=5e-4)
    np.testing.assert_allclose(dx, [0.393, -0.590], atol=5e-4)
    slope = value * (1.0 - value)
    np.testing.assert_allclose(dw, slope * np.array([-1.0, -2.0, 1.0]), rtol=1e-14)
    np.testing.assert_allclose(dx, slope * np.array([2.0, -3.0]), rtol=1e-14)


def test_logarithm_product_and_sine(ad):
    """f(x1, x2) = ln x1 + x1 x2 - sin x2 at (2, 5) (Baydin et al. 2018, tables 2 and 3)."""
    value, gradient = ad.value_and_grad(lambda x: np.log(x[0]) + x[0] * x[1] - np.sin(x[1]))(np.array([2.0, 5.0]))
    assert value == pytest.approx(11.652, abs=5e-4)
    np.testing.assert_allclose(gradient, [5.5, 1.716], atol=5e-4)
    np.testing.assert_allclose(gradient, [1 / 2 + 5, 2 - np.cos(5.0)], rtol=1e-15)


def test_regularised_logistic_loss(ad):
    """0.5 |w|^2 - lambda log sigma(w . x) has the gradient w - lambda (1 - sigma(w . x)) x."""
    rng = np.random.default_rng(0)
    w, x, strength = rng.standard_normal(6), rng.standard_normal(6), 0.7
    gradient = ad.grad(lambda w: 0.5 * np.sum(w * w) - strength * np.log(sigmoid(np.dot(w, x))))(w)
    s = 1.0 / (1.0 + np.exp(-(w @ x)))
    np.testing.assert_allclose(gradient, w - strength * (1.0 - s) * x, rtol=1e-13)


def test_stacked_linear_layers_are_one_matrix(ad):
    """Without an activation depth adds nothing: the Jacobian is the product of the matrices, everywhere."""
    mlp = MLP([4, 6, 5, 3], activation="identity")
    parameters = mlp.initialise("xavier_normal", np.random.default_rng(1))
    product = np.linalg.multi_dot([weights for weights, _ in parameters])
    for seed in (2, 3):
        x = np.random.default_rng(seed).standard_normal(4)
        np.testing.assert_allclose(mlp(parameters, x), x @ product, rtol=1e-13, atol=1e-15)
        np.testing.assert_allclose(ad.jacobian(lambda x: mlp(parameters, x))(x), product.T, rtol=1e-13, atol=1e-15)


def test_reverse_gradient_of_the_digits_network_is_backprop():
    mlp, parameters, images, labels, _ = digits_network()
    value, gradient = reversead.value_and_grad(mlp.objective(l2=0.01))(parameters, images, labels)
    expected_value, expected = backprop(mlp, parameters, images, labels, l2=0.01)
    assert value == pytest.approx(expected_value, rel=1e-13)
    for layer, wanted in zip(gradient, expected, strict=True):
        for found, right in zip(layer, wanted, strict=True):
            np.testing.assert_allclose(found, right, rtol=1e-11, atol=1e-13 * np.abs(right).max())


def test_forward_derivatives_of_the_digits_network_are_the_slopes_of_backprop():
    mlp, parameters, images, labels, rng = digits_network()
    objective = mlp.objective(l2=0.01)
    expected_value, gradient = backprop(mlp, parameters, images, labels, l2=0.01)
    for _ in range(5):
        direction = [(rng.standard_normal(w.shape), rng.standard_normal(b.shape)) for w, b in parameters]
        value, slope = dualad.jvp(lambda p: objective(p, images, labels), (parameters,), (direction,))
        expected = sum(
            np.vdot(g, d) for layer in zip(gradient, direction, strict=True) for g, d in zip(*layer, strict=True)
        )
        size = sum(
            np.abs(g * d).sum() for layer in zip(gradient, direction, strict=True) for g, d in zip(*layer, strict=True)
        )
        assert value == pytest.approx(expected_value, rel=1e-13)
        assert slope == pytest.approx(expected, abs=1e-12 * size)
