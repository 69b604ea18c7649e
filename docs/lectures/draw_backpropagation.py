"""The pictures of chapter 5, as SVG: a network in two forms, and the Jacobians of a layer.  `draw` writes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from shared import MLP, jacobian_pattern, sigmoid
from shared.networks.backprop import backprop
from shared.networks.diagram import network_diagram


def svgs() -> dict[str, str]:
    """The text of each picture by its name."""
    return {
        "layers": network_diagram(MLP([784, 15, 10], "sigmoid")).svg,
        "neurons": neurons(),
        "jacobians": jacobians(),
    }


def neurons() -> str:
    """The network of the chapter, at its example."""
    w1, w2 = np.array([[1.5, -0.5], [0.5, 1.0], [-1.0, 0.5]]), np.array([[1.0, -2.0, 0.5], [-0.5, 1.0, 1.5]])
    parameters = [(w1.T, np.array([0.1, -0.2, 0.0])), (w2.T, np.array([0.0, 0.4]))]
    network = MLP([2, 3, 2], "sigmoid")
    _, _, found = backprop(network, parameters, [1.0, -2.0], [0.0, 1.0], deltas=True)
    return network_diagram(network, found, form="neurons", inputs=["x₁", "x₂"], outputs=["z₁", "z₂"]).svg


def jacobians() -> str:
    """Where the three Jacobians of a layer with 6 inputs and 4 outputs are not zero: squares of a grid."""
    w, a, side, top = np.ones((4, 6)), np.ones(6), 14, 46
    functions: list[tuple[str, str, Any, Any]] = [
        ("z by a", "full", lambda a: w @ a, a),
        ("a by z", "diagonal", sigmoid, np.ones(4)),
        ("z by w", "blocks in rows", lambda w: w @ a, w),
    ]
    parts, x = [], 12
    for name, kind, f, at in functions:
        pattern = jacobian_pattern(f, at)
        rows, columns = pattern.shape
        parts.append(f'<text x="{x}" y="18">{name}</text>')
        parts.append(f'<text x="{x}" y="36" fill="#666666">{kind}</text>')
        for row, column in zip(pattern.rows, pattern.columns, strict=True):
            parts.append(
                f'<rect x="{x + side * column}" y="{top + side * row}" width="{side}" height="{side}" '
                'fill="#0072B2" stroke="white"/>'
            )
        parts.append(
            f'<rect x="{x}" y="{top}" width="{side * columns}" height="{side * rows}" fill="none" stroke="#333333"/>'
        )
        x += side * columns + 60
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {x - 40} 116" width="{x - 40}" height="116" '
    style = (
        f'font-family="Helvetica,Arial,sans-serif" font-size="14"><rect width="{x - 40}" height="116" fill="white"/>'
    )
    return "\n".join([head + style, *parts, "</svg>", ""])
