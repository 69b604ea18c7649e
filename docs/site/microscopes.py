"""The microscopes of the site: for some programs the page that `shared.page` makes, and a page that embeds them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import shared

PAGE = "docs/microscopes"


# Their source is shown, so it is written as readers write theirs.


def survey(x1, x2):
    return np.log(x1) + x1 * x2 - np.sin(x2)


def neuron(w0, w1, w2, x0, x1):
    return 1 / (1 + np.exp(-(w0 * x0 + w1 * x1 + w2)))


def network() -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """The loss of a perceptron with one hidden layer, and arguments for it."""
    perceptron = shared.MLP([3, 5, 2], "tanh")
    theta = perceptron.initialise("xavier_normal", np.random.default_rng(0))
    return perceptron.objective(), (theta, np.ones((4, 3)), np.eye(2)[[0, 1, 1, 0]])


def programs() -> dict[str, tuple[str, Callable[..., Any], tuple[Any, ...]]]:
    """What is shown: by file name the title, the function and its arguments."""
    loss, arguments = network()
    return {
        "survey": ("The example of Baydin et al. (2018), ln x1 + x1 x2 - sin x2", survey, (2.0, 5.0)),
        "neuron": ("A neuron in two dimensions", neuron, (2.0, -3.0, -3.0, -1.0, -2.0)),
        "network": ("A perceptron with one hidden layer", loss, arguments),
    }


def write(sources: Path) -> list[str]:
    """Write the microscopes and the page that embeds them into the sources; returns the names of such pages."""
    folder = sources / "microscopes"
    folder.mkdir(parents=True)
    lines = [
        "# Microscopes",
        "",
        "Programs to step through in both modes. Click into one, and go on with the arrow keys, or play with Space.",
    ]
    for name, (title, function, arguments) in programs().items():
        shared.page(function, *arguments).save(str(folder / f"{name}.html"))
        frame = f'<iframe class="microscope" loading="lazy" src="../microscopes/{name}.html" title="{title}"></iframe>'
        lines += ["", f"## {title}", "", frame, "", f'<a href="../microscopes/{name}.html">On a page of its own</a>']
    text = sources / f"{PAGE}.md"
    text.parent.mkdir(parents=True, exist_ok=True)
    text.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return [PAGE]


def copy(sources: Path, output: Path) -> None:
    """Put the microscopes into the site, as they are."""
    shutil.copytree(sources / "microscopes", output / "microscopes")
