"""The pictures: what a gradient costs against the number of inputs, and the plots of the topics.

The first panel is the claim itself, the cost of a gradient as a multiple of one evaluation: flat in reverse mode,
along n in the others.  This module draws what it is given, whether measured now or saved by asv, and knows nothing of
where it comes from.
"""

from __future__ import annotations

import base64
import io
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks import scaling
from benchmarks.curves import Curve, Plot, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


class Style(NamedTuple):
    """How one mode is drawn: a hue of M. Okabe and K. Ito's palette (2008), and a marker for those who see no
    hue."""

    label: str
    colour: str
    marker: str


STYLES = {
    "function": Style("f alone", "#444444", "o"),
    "reverse": Style("reverse", "#0072B2", "s"),
    "forward": Style("forward, one by one", "#D55E00", "^"),
    "batched forward": Style("forward, batched", "#009E73", "v"),
    "finite differences": Style("finite differences", "#AA4499", "D"),
}
#: For curves that are not modes, in their order.
OTHERS = [
    Style("", colour, marker)
    for colour, marker in zip(
        ("#E69F00", "#56B4E9", "#882255", "#117733", "#332288", "#999933", "#CC6677", "#000000"),
        "P^sovDX<",
        strict=True,
    )
]

#: Points between the middles of two labels at the ends of curves, and points a label is away from its curve.
LABEL_GAP, LABEL_OFFSET = 13.0, 10.0


def suffixes() -> set[str]:
    """The file name suffixes, without the dot, that a picture can be written with."""
    from matplotlib.backend_bases import FigureCanvasBase

    return set(FigureCanvasBase.get_supported_filetypes())


def figure_of_rows(rows: Sequence[scaling.Row], subtitle: str) -> Figure:
    """The ratio to one evaluation, large; beside it the operations and the time that it comes from."""
    # A Figure of its own, without pyplot: no global state, and no window system is asked for.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13.0, 7.0), layout="constrained")
    axes = figure.subplot_mosaic([["ratio", "operations"], ["ratio", "seconds"]], width_ratios=[1.25, 1.0])
    ratio, operations, seconds = claim(rows), operations_of(rows), seconds_of(rows)
    for name, plot, large in (("ratio", ratio, True), ("operations", operations, False), ("seconds", seconds, False)):
        draw_curves(axes[name], plot, large=large)
        axes[name].set_title(plot.title, fontsize=12 if large else 10.5)
    figure.suptitle(textwrap.fill(ratio.claim, 110) + "\n", fontsize=13)
    figure.supxlabel(subtitle, fontsize=9, color="#555555")
    return figure


def claim(rows: Sequence[scaling.Row]) -> Plot:
    """Each mode's operations over those of one evaluation, the curves named with what they come to."""
    names = {}
    for mode, ratio in rows[-1].evaluations.items():
        figure = f"{ratio / rows[-1].inputs:.2g} n" if "forward" in mode else f"{ratio:.2f}"
        figure = {"function": "1", "finite differences": "n + 1"}.get(mode, figure)
        names[mode] = f"{STYLES[mode].label}: {figure}"
    return Plot(
        title="value and gradient as a multiple of one evaluation, in operations",
        claim=sentence(rows),
        x_label="n, parameters of the network",
        y_label="evaluations of f",
        curves=[
            Curve(names[mode], [row.inputs for row in rows], [row.evaluations[mode] for row in rows])
            for mode in rows[-1].operations
        ],
    )


def sentence(rows: Sequence[scaling.Row]) -> str:
    """The claim in words, about the modes that were measured."""
    least, most = (extreme(row.evaluations.get("reverse", 0.0) for row in rows) for extreme in (min, max))
    said = {
        "reverse": f"{least:.1f} to {most:.1f} evaluations in reverse mode, whatever the number n of inputs",
        "forward": "evaluations in proportion to n in forward mode",
        "finite differences": "n + 1 by finite differences",
    }
    return "Value and gradient cost " + ", ".join(text for mode, text in said.items() if mode in rows[0].operations)


def operations_of(rows: Sequence[scaling.Row]) -> Plot:
    """The operations of each mode, with the exponents of their power laws at the curves' ends."""
    curves = _with_exponents(rows, scaling.exponents_of_operations(rows), "operations")
    return Plot("operations, counted exactly", "", "n", "operations", curves)


def seconds_of(rows: Sequence[scaling.Row]) -> Plot:
    """The CPU time of each mode, in the same way."""
    return Plot(
        "time of one call", "", "n", "CPU seconds", _with_exponents(rows, scaling.exponents_of_time(rows), "seconds")
    )


def _with_exponents(rows: Sequence[scaling.Row], exponents: dict[str, float], quantity: str) -> list[Curve]:
    sizes = [row.inputs for row in rows]
    return [
        Curve(f"{STYLES[mode].label}: n^{power:.2f}", sizes, [getattr(row, quantity)[mode] for row in rows])
        for mode, power in exponents.items()
    ]


def figure_of(plot: Plot) -> Figure:
    """The picture of one topic's plot."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    axes = figure.subplots()
    draw_curves(axes, plot, large=True)
    axes.set_title(plot.title, fontsize=12)
    return figure


def style_of(name: str, position: int) -> Style:
    """The style of a curve: that of the mode that its name, before a colon, is; or one by its position."""
    label, _, _ = name.partition(":")
    named = [style for mode, style in STYLES.items() if label in (mode, style.label)]
    return named[0] if named else OTHERS[position % len(OTHERS)]


def draw_curves(axes: Axes, plot: Plot, *, large: bool) -> None:
    """The curves of a plot on logarithmic axes, each with its name at its end, moved apart where they would meet."""
    sizes = sorted({x for curve in plot.curves for x in curve.xs})
    counted = all(float(x).is_integer() for x in sizes)
    axes.set_xscale("log", base=2 if counted else 10)
    axes.set_yscale("log")
    for position, curve in enumerate(plot.curves):
        style = style_of(curve.name, position)
        axes.plot(
            curve.xs, curve.ys, style.marker + "-", color=style.colour, markersize=6 if large else 4.5, linewidth=1.6
        )
    lowest, highest = axes.get_ylim()
    # A flat curve alone on its axis would look like noise: at least a decade is shown.
    if highest < 10 * lowest:
        middle = np.sqrt(lowest * highest)
        axes.set_ylim(middle / 10**0.5, middle * 10**0.5)
    _label_ends(axes, plot.curves, 10.5 if large else 8.5)
    if counted:
        shown = sizes if len(sizes) <= 8 else sizes[:: -(-len(sizes) // 8)]
        axes.set_xticks(shown, [f"{x:.0f}" for x in shown])
    axes.minorticks_off()
    axes.set(xlabel=plot.x_label, ylabel=plot.y_label)
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _label_ends(axes: Axes, curves: Sequence[Curve], fontsize: float) -> None:
    """Every curve's name right of its last point."""
    axes.figure.draw_without_rendering()  # type: ignore[union-attr]  # the panel's height has to be known
    low, high = np.log10(axes.get_ylim())
    points = axes.get_window_extent().height / axes.figure.dpi * 72
    ends = [(np.log10(curve.ys[-1]) - low) / (high - low) * points for curve in curves]
    right = max(curve.xs[-1] for curve in curves)
    for position, (curve, end, label) in enumerate(
        zip(curves, ends, spread(ends, LABEL_GAP * fontsize / 10), strict=True)
    ):
        axes.annotate(
            curve.name,
            (right, curve.ys[-1]),
            xytext=(LABEL_OFFSET, label - end),
            textcoords="offset points",
            color=style_of(curve.name, position).colour,
            fontsize=fontsize,
            verticalalignment="center",
            annotation_clip=False,
        )


def inline(figure: Figure) -> str:
    """A picture as the address of an HTML image that holds it, a PNG in base64."""
    written = io.BytesIO()
    figure.savefig(written, format="png", dpi=110)
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode()
