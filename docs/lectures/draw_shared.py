"""The pictures of chapter 8: LeNet-5 as SVG, what positions contribute, and the training that `benchmarks.lenet` does.

`draw` writes them; the training takes some minutes.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from docs.lectures.draw_vanishing import GREY, arrow, run, svg, text

PAGE = Path(__file__).parent / "8-shared-parameters.md"


def left_behind() -> dict[str, Any]:
    """The variables of the chapter."""
    return run(PAGE)


def positions(of: dict[str, Any]) -> Figure:
    """The digit, the kernel, the map, and the norm of what each position adds to the kernel's gradient."""
    figure = Figure(figsize=(9.2, 2.7), layout="constrained")
    axes = figure.subplots(1, 4, width_ratios=(32, 14, 28, 28))
    norms = np.sqrt(np.sum(of["by_position"] ** 2, axis=(2, 3)))
    found = of["convolved"](of["seven"], of["below"])
    most = float(np.abs(found).max())
    for ax, image, title, options in (
        (axes[0], of["seven"], "32 \u00d7 32 pixels", {"cmap": "gray_r"}),
        (axes[1], of["below"], "5 \u00d7 5 kernel", {"cmap": "RdBu", "vmin": -0.1, "vmax": 0.1}),
        (axes[2], found, "28 \u00d7 28 map", {"cmap": "RdBu", "vmin": -most, "vmax": most}),
        (axes[3], norms, "contributions, by position", {"cmap": "viridis"}),
    ):
        ax.imshow(image, **options)
        ax.set_title(title, fontsize=11)
        ax.set(xticks=[], yticks=[])
    return figure


def training(of: dict[str, Any]) -> Figure:
    """What `python -m benchmarks.lenet` draws."""
    from benchmarks import lenet

    split = lenet.Split.of(*lenet.mnist(), 0)
    return lenet.figure_of(lenet.trained(split, lenet.EPOCHS, 0, progress=True), split)


FIGURES: dict[str, Callable[[dict[str, Any]], Figure]] = {"positions": positions, "lenet": training}


def svgs() -> dict[str, str]:
    """The text of each picture by its name."""
    return {"lenet-layers": lenet_layers()}


def lenet_layers() -> str:
    """Each layer as a pile of its maps, or a bar of its units."""
    maps = [("image", 1, 32), ("C1", 6, 28), ("S2", 6, 14), ("C3", 16, 10), ("S4", 16, 5)]
    layers = [(name, count, side, f"{count} \u00d7 {side} \u00d7 {side}") for name, count, side in maps]
    layers += [(name, count, 0, str(count)) for name, count in (("C5", 120), ("F6", 84), ("output", 10))]
    steps = (
        "5 \u00d7 5 kernels",
        "mean of 2 \u00d7 2",
        "5 \u00d7 5 kernels",
        "mean of 2 \u00d7 2",
        "5 \u00d7 5 kernels",
        "product",
        "product",
    )
    parts, x, floor = [], 16.0, 190.0
    for number, (name, count, side, shape) in enumerate(layers):
        if side:
            width = 3.0 * side
            offset = 5.0 if count < 10 else 3.0
            for k in range(count):
                parts.append(
                    f'<rect x="{x + offset * k:g}" y="{floor - width - offset * (count - 1 - k):g}" width="{width:g}" '
                    f'height="{width:g}" fill="#CFE4F5" stroke="#333333"/>'
                )
            wide = width + offset * (count - 1)
        else:
            wide, height = 14.0, 1.2 * count
            parts.append(
                f'<rect x="{x:g}" y="{floor - height:g}" width="{wide:g}" height="{height:g}" fill="#F8D9C4" '
                'stroke="#333333"/>'
            )
        middle = x + wide / 2
        parts += [text(middle, floor + 20, name), text(middle, floor + 36, shape, GREY, size=11)]
        if number < len(steps):
            gap = 54.0
            parts.append(arrow(x + wide + 6, floor - 12, x + wide + gap - 6, floor - 12))
            parts.append(text(x + wide + gap / 2, floor + 54, steps[number], GREY, size=11))
            x += wide + gap
    return svg(round(x + 50), 256, parts)
