"""Speed workloads with matrices and second derivatives: Jacobians, Hessians, their products, gradients per example.

Each is a plain NumPy function beside its derivative as one writes it well by hand, as in `benchmarks.handwritten`.
This module knows no engine and no clock, and allocates nothing before a problem is made.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.handwritten import FloatArray, Problem
from shared.networks.backprop import backprop
from shared.networks.losses import softmax_cross_entropy
from shared.networks.mlp import MLP
from shared.rules.special import softplus

#: One pair (W, b) a layer: parameters of a network, a direction in their space, or a gradient.
Layers = Sequence[tuple[FloatArray, FloatArray]]

# ---------------------------------------------------------------------------------------------- Jacobians


def two_tanh_layers(length: int) -> Problem:
    """The Jacobian of tanh(A tanh(A x)), for a square matrix A: two matrices, and their product."""
    random = np.random.default_rng(26)
    matrix = random.normal(size=(length, length)) / np.sqrt(length)

    def by_hand(x: FloatArray) -> FloatArray:
        hidden = np.tanh(matrix @ x)
        out = np.tanh(matrix @ hidden)
        outer: FloatArray = (1.0 - out * out)[:, None] * matrix
        return outer @ ((1.0 - hidden * hidden)[:, None] * matrix)

    return Problem(
        lambda x: np.tanh(matrix @ np.tanh(matrix @ x)), (random.normal(size=length),), by_hand, constants=(matrix,)
    )


# ------------------------------------------------------------------------------------ logistic regression


def _logistic_data(examples: int, features: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Examples, their labels 0 or 1, weights to differentiate at, and a direction."""
    random = np.random.default_rng(27)
    data = random.normal(size=(examples, features))
    labels = np.asarray(random.uniform(size=examples) < 0.5, dtype=float)
    return data, labels, 0.1 * random.normal(size=features), random.normal(size=features)


def _logistic_loss(data: FloatArray, labels: FloatArray, weights: Any) -> Any:
    """Mean negative log-likelihood of a logistic regression (Bishop 2006, section 4.3.2)."""
    logits = data @ weights
    return np.mean(softplus(logits) - labels * logits)


def _logistic_gradient(data: FloatArray, labels: FloatArray, weights: FloatArray) -> FloatArray:
    gradient: FloatArray = data.T @ (1.0 / (1.0 + np.exp(-(data @ weights))) - labels) / len(labels)
    return gradient


def _curvatures(logits: FloatArray) -> FloatArray:
    """The second derivative of softplus: s (1 - s) for s the logistic function; an even function."""
    decay = np.exp(-np.abs(logits))
    curvatures: FloatArray = decay / np.square(1.0 + decay)
    return curvatures


def logistic_regression(examples: int, features: int) -> Problem:
    """The loss of a logistic regression and its gradient: two products of the data with a vector."""
    data, labels, weights, _ = _logistic_data(examples, features)

    def by_hand(weights: FloatArray) -> tuple[Any, FloatArray]:
        logits = data @ weights
        decay = np.exp(-np.abs(logits))
        value = np.mean(np.maximum(logits, 0.0) + np.log1p(decay) - labels * logits)
        probabilities = np.maximum(decay, logits >= 0.0) / (1.0 + decay)
        gradient: FloatArray = data.T @ (probabilities - labels) / examples
        return value, gradient

    return Problem(lambda weights: _logistic_loss(data, labels, weights), (weights,), by_hand, constants=(data, labels))


def logistic_hessian_product(examples: int, features: int) -> Problem:
    """The Hessian of a logistic regression times a vector: three products of the data with a vector."""
    data, labels, weights, direction = _logistic_data(examples, features)

    def by_hand(weights: FloatArray, direction: FloatArray) -> FloatArray:
        along: FloatArray = _curvatures(data @ weights) * (data @ direction)
        return data.T @ along / examples

    return Problem(
        lambda weights: _logistic_loss(data, labels, weights),
        (weights, direction),
        by_hand,
        gradient=lambda weights: _logistic_gradient(data, labels, weights),
    )


def logistic_hessian(examples: int, features: int) -> Problem:
    """The Hessian of a logistic regression: the data's weighted Gram matrix (Bishop 2006, section 4.3.3)."""
    data, labels, weights, _ = _logistic_data(examples, features)

    def by_hand(weights: FloatArray) -> FloatArray:
        hessian: FloatArray = (data.T * (_curvatures(data @ weights) / examples)) @ data
        return hessian

    return Problem(
        lambda weights: _logistic_loss(data, labels, weights),
        (weights,),
        by_hand,
        gradient=lambda weights: _logistic_gradient(data, labels, weights),
    )


# ----------------------------------------------------------------------------------- multilayer perceptrons


def _network(sizes: tuple[int, ...], batch: int) -> tuple[MLP, Layers, FloatArray, np.ndarray]:
    random = np.random.default_rng(28)
    network = MLP(sizes, "tanh")
    parameters = network.initialise("xavier_normal", random)
    return network, parameters, random.uniform(0.0, 1.0, (batch, sizes[0])), random.integers(0, sizes[-1], batch)


def _softmax(logits: FloatArray) -> FloatArray:
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return probabilities


def perceptron_hessian_tangent(
    parameters: Layers, directions: Layers, images: FloatArray, labels: np.ndarray
) -> list[tuple[FloatArray, FloatArray]]:
    """The Hessian of a tanh network's cross-entropy times a direction, by the R-operator (Pearlmutter 1994).

    Backpropagation, with the tangent of every quantity in it: `pushed` of a layer's output, `tangent` of a delta.
    The gradient itself is left out, since nobody asks for it: no product makes a weight's gradient, only its tangent.
    """
    batch = len(images)
    outputs, pushed = [images], [np.zeros(0)]
    last = len(parameters) - 1
    for number, ((weights, bias), (along_weights, along_bias)) in enumerate(zip(parameters, directions, strict=True)):
        z = outputs[-1] @ weights
        z += bias
        along = outputs[-1] @ along_weights
        along += along_bias
        if number:
            along += pushed[-1] @ weights
        if number < last:
            out = np.tanh(z)
            along *= 1.0 - out * out
            outputs.append(out)
            pushed.append(along)
    delta = _softmax(z)
    tangent = delta * (along - (delta * along).sum(axis=1, keepdims=True))
    tangent /= batch
    delta[np.arange(batch), labels] -= 1.0
    delta /= batch
    products: list[Any] = [None] * len(parameters)
    for number in range(last, -1, -1):
        out, along = outputs[number], pushed[number]
        for_weights = out.T @ tangent
        if not number:
            products[0] = for_weights, tangent.sum(axis=0)
            break
        for_weights += along.T @ delta
        products[number] = for_weights, tangent.sum(axis=0)
        weights, along_weights = parameters[number][0], directions[number][0]
        tangent = tangent @ weights.T
        tangent += delta @ along_weights.T
        delta = delta @ weights.T
        slope = 1.0 - out * out
        tangent *= slope
        tangent -= 2.0 * delta * out * along
        delta *= slope
    return products


def perceptron_hessian_product(sizes: tuple[int, ...], batch: int) -> Problem:
    """The Hessian of a tanh network's loss in every weight and bias, times a random direction."""
    network, parameters, images, labels = _network(sizes, batch)
    random = np.random.default_rng(29)
    directions = [(random.normal(size=w.shape), random.normal(size=b.shape)) for w, b in parameters]
    return Problem(
        lambda parameters: softmax_cross_entropy(network(parameters, images), labels),
        (parameters, directions),
        lambda parameters, directions: perceptron_hessian_tangent(parameters, directions, images, labels),
        gradient=lambda parameters: backprop(network, parameters, images, labels)[1],
    )


def gradients_per_example(
    parameters: Layers, images: FloatArray, labels: np.ndarray
) -> list[tuple[FloatArray, FloatArray]]:
    """The gradient of a tanh network's cross-entropy for each example alone, along a first axis of every array."""
    outputs = [images]
    for weights, bias in parameters[:-1]:
        outputs.append(np.tanh(outputs[-1] @ weights + bias))
    weights, bias = parameters[-1]
    delta = _softmax(outputs[-1] @ weights + bias)
    delta[np.arange(len(labels)), labels] -= 1.0
    gradients: list[Any] = [None] * len(parameters)
    for number in range(len(parameters) - 1, -1, -1):
        out = outputs[number]
        gradients[number] = np.einsum("bi,bj->bij", out, delta), delta
        if number:
            delta = (delta @ parameters[number][0].T) * (1.0 - out * out)
    return gradients


def perceptron_examples(sizes: tuple[int, ...], batch: int) -> Problem:
    """One gradient an example: the function takes parameters, one image and its label."""
    network, parameters, images, labels = _network(sizes, batch)
    return Problem(
        lambda parameters, image, label: softmax_cross_entropy(network(parameters, image), label),
        (parameters, images, labels),
        gradients_per_example,
    )
