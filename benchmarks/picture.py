"""The picture of `python -m benchmarks`: what a gradient costs against the number of inputs, in time and in
operations.

This module draws the rows it is given, whether measured now or saved by asv, and knows nothing of where they
come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks import scaling

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Style(NamedTuple):
    """How one mode is drawn: a hue of M. Okabe and K. Ito's palette (2008), and a marker for those who see no
    hue."""

    label: str
    colour: str
    marker: str


STYLES = {
    "function": Style("f alone", "#444444", "o"),
    "reverse": Style("f and gradient, reverse", "#0072B2", "s"),
    "forward": Style("f and gradient, forward, one direction at a time", "#D55E00", "^"),
    "batched forward": Style("f and gradient, forward, batched directions", "#009E73", "v"),
}

#: What the picture says below its panels when both forward modes are in it.
BATCHING = (
    "Batching carries many directions in every NumPy call: it saves time, and a constant factor of the operations.\n"
    "Counted, both forward gradients are one power of n steeper than f, and the reverse gradient is parallel to f."
)


def suffixes() -> set[str]:
    """The file name suffixes, without the dot, that a picture can be written with."""
    from matplotlib.backend_bases import FigureCanvasBase

    return set(FigureCanvasBase.get_supported_filetypes())


def draw(rows: Sequence[scaling.Row], path: Path, subtitle: str) -> None:
    """Write the picture of these rows to `path`, in the format of its suffix."""
    # A Figure of its own, without pyplot: no global state, and no window system is asked for.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11.0, 5.8), layout="constrained")
    time_axes, operation_axes = figure.subplots(1, 2)
    _panel(time_axes, rows, lambda row: row.seconds, scaling.exponents_of_time(rows))
    time_axes.set(title="time of one call", ylabel="CPU seconds")
    _panel(operation_axes, rows, lambda row: row.operations, scaling.exponents_of_operations(rows))
    operation_axes.set(title="operations of one call, counted", ylabel="operations")
    figure.suptitle(f"The cost of a gradient with n inputs\n{subtitle}", fontsize=12)
    handles, labels = time_axes.get_legend_handles_labels()
    both = {"forward", "batched forward"} <= rows[0].operations.keys()
    # One legend for both panels, outside them, where it meets no curve.
    figure.legend(
        handles,
        labels,
        title=BATCHING if both else None,
        loc="outside lower center",
        ncols=len(handles),
        frameon=False,
        fontsize=9.5,
    )
    figure.savefig(path, dpi=150)


def _panel(
    axes: Axes,
    rows: Sequence[scaling.Row],
    quantity: Callable[[scaling.Row], Mapping[str, Any]],
    exponents: Mapping[str, float],
) -> None:
    """One log-log panel: every mode's points, and the fitted power law through them with its slope."""
    sizes = np.array([row.inputs for row in rows], dtype=float)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    for mode, slope in exponents.items():
        style = STYLES[mode]
        costs = np.array([quantity(row)[mode] for row in rows], dtype=float)
        # The least-squares line in logarithms goes through the mean point.
        fitted = np.exp(np.mean(np.log(costs)) + slope * (np.log(sizes) - np.mean(np.log(sizes))))
        axes.plot(sizes, costs, style.marker, color=style.colour, markersize=7, label=style.label)
        axes.plot(sizes, fitted, color=style.colour, linewidth=1.5)
        axes.annotate(
            f"slope {slope:.2f}",
            (sizes[-1], costs[-1]),
            xytext=(10, 0),
            textcoords="offset points",
            color=style.colour,
            verticalalignment="center",
            annotation_clip=False,
        )
    axes.set_xticks(sizes, [f"{size:.0f}" for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("n, parameters of the network")
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
