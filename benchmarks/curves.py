"""What a topic's picture shows: named curves over one axis, and the sentence they bear out.

This module knows nothing of derivatives, of clocks, and of how a picture is drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Curve:
    """One curve: its name, which stands at its end, and its points; the name also chooses its colour."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True)
class Plot:
    """Curves over a common axis, both axes logarithmic, with what they show in one sentence."""

    title: str
    claim: str
    x_label: str
    y_label: str
    curves: Sequence[Curve]


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The p of the power law cost = c * size**p nearest to the points, by least squares of the logarithms.

    >>> round(exponent([1, 10, 100], [3, 300, 30000]), 12)
    2.0
    """
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])


def spread(positions: Sequence[float], gap: float) -> list[float]:
    """The positions moved apart until neighbours are at least `gap` from each other, their order kept.

    Labels that would run into each other are pushed apart evenly about the mean of their group.

    >>> spread([0.0, 10.0, 10.0], 2.0)
    [0.0, 9.0, 11.0]
    """
    order = np.argsort(positions, kind="stable")
    groups: list[tuple[float, int]] = []
    for index in order:
        mean, size = positions[index], 1
        while groups and mean - groups[-1][0] < gap * (size + groups[-1][1]) / 2:
            below, count = groups.pop()
            mean, size = (mean * size + below * count) / (size + count), size + count
        groups.append((mean, size))
    moved = [mean + gap * (k - (size - 1) / 2) for mean, size in groups for k in range(size)]
    return [float(moved[rank]) for rank in np.argsort(order, kind="stable")]
