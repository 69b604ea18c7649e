"""The drawings of docs/explaining.md: run `python docs/graphs/draw.py` to make them anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from shared import MLP, draw, trace
from shared.networks.losses import softmax_cross_entropy
from shared.programs.explaining.drawing import Drawing

HERE = Path(__file__).parent
# Written out, not drawn at random, so that every version of NumPy makes the same drawings.
X = np.array([[0.5, -1.0, 2.0], [1.5, 0.3, -0.7], [-0.2, 0.8, 0.1], [1.1, -0.6, 0.4]])
LABELS = np.eye(2)[[0, 1, 1, 0]]


def product(x: Any, y: Any, z: Any) -> Any:
    return (x + y) * z


def neuron(w0: Any, w1: Any, w2: Any, x0: Any, x1: Any) -> Any:
    return 1 / (1 + np.exp(-(w0 * x0 + w1 * x1 + w2)))


def squared_error(w: Any, b: Any, X: Any, y: Any) -> Any:
    return np.mean((X @ w + b - y) ** 2)


def cross_entropy(W: Any, b: Any, X: Any, Y: Any) -> Any:
    return softmax_cross_entropy(X @ W + b, Y)


def loss(theta: Any, X: Any, Y: Any) -> Any:
    return MLP([3, 5, 2], "tanh").objective("softmax_cross_entropy")(theta, X, Y)


def drawings() -> Iterator[tuple[str, Drawing]]:
    """The name of each drawing, and the drawing."""
    point = (-2.0, 5.0, -4.0)
    yield "product", draw(trace(product, *point), *point)
    example = (2.0, -3.0, -3.0, -1.0, -2.0)
    yield "neuron", draw(trace(neuron, *example), *example, argnums=(0, 1, 2))
    line = (np.array([0.4, -0.3, 0.9]), 0.5, X, np.array([1.0, 0.2, -0.5, 0.7]))
    yield "regression", draw(trace(squared_error, *line), *line, argnums=(0, 1))
    weights = np.array([[0.2, -0.4], [0.7, 0.1], [-0.3, 0.5]])
    classes = (weights, np.array([0.1, -0.1]), X, LABELS)
    yield "softmax", draw(trace(cross_entropy, *classes), *classes, argnums=(0, 1))
    steps = np.linspace(-1.0, 1.0, 15).reshape(3, 5)
    theta = [(steps, np.full(5, 0.1)), (np.cos(np.arange(10.0)).reshape(5, 2), np.array([0.2, -0.2]))]
    network = trace(loss, theta, X, LABELS)
    yield "network", draw(network, theta, X, LABELS, argnums=0)
    yield "network-unfolded", draw(network, theta, X, LABELS, argnums=0, fold=False)


if __name__ == "__main__":
    for name, drawing in drawings():
        drawing.save(HERE / f"{name}.dot")
        drawing.save(HERE / f"{name}.svg")
        print(name)
