"""The figure of a `LayerReport`, by matplotlib: histograms, and by layer spread, saturation and the size of gradients.

It draws the numbers that it is given, and knows nothing of how a network computes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from shared.networks.report import LayerReport

__all__ = ["figure_of"]

#: M. Okabe and K. Ito's palette (2008), for readers who see fewer colours.
BLUE, ORANGE, GREEN = "#0072B2", "#D55E00", "#009E73"
QUANTITIES = {"z": "weighted inputs z", "a": "activations a", "delta": "errors δ = dC/dz"}


def figure_of(report: LayerReport) -> Figure:
    """See `LayerReport.plot`."""
    try:
        # A Figure of its own, without pyplot: no global state, and no window system is asked for.
        import matplotlib
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "LayerReport.plot needs matplotlib: pip install 'forward-reverse-ad[plot]'; print(report) needs nothing"
        ) from error
    count = len(report.rows)
    # Short of the palest end, which is hard to see on white.
    colours = matplotlib.colormaps["viridis"](np.linspace(0.0, 0.85, count))
    figure = Figure(figsize=(12.0, 7.0), layout="constrained")
    axes = figure.subplots(2, 3)
    for ax, name in zip(axes[0], QUANTITIES, strict=True):
        _histograms(ax, report, name, colours)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    few = range(count) if count <= 8 else sorted({0, count // 3, 2 * count // 3, count - 1})
    axes[0, 0].legend([handles[k] for k in few], [labels[k] for k in few], frameon=False, fontsize=8)
    _spreads(axes[1, 0], report)
    _saturation(axes[1, 1], report)
    _norms(axes[1, 2], report)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle(report._caption(), fontsize=12)
    return figure


def _histograms(ax: Axes, report: LayerReport, name: str, colours: Any) -> None:
    """A curve a layer, over the same bins."""
    arrays = [np.asarray(getattr(report.passes, name)[row.layer], dtype=np.float64).ravel() for row in report.rows]
    arrays = [array[np.isfinite(array)] for array in arrays]
    every = np.concatenate(arrays)
    # All but the outermost 1 in 1,000 at either end: one far value would squeeze everything into one bin.
    low, high = np.quantile(every, [0.001, 0.999]) if every.size else (0.0, 1.0)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, 61)
    for row, array, colour in zip(report.rows, arrays, colours, strict=True):
        # By the number of all elements: what lies outside of the bins is missing, and not hidden in the others.
        heights = np.histogram(array, edges)[0] / (max(array.size, 1) * (edges[1] - edges[0]))
        # The outputs are few, so their curve is ragged: dotted, so that it hides none of the others.
        style = ":" if row is report.rows[-1] and len(report.rows) > 1 else "-"
        ax.stairs(heights, edges, color=colour, linestyle=style, linewidth=1.4, label=f"layer {row.layer}")
    ax.set(title=QUANTITIES[name], ylabel="density")
    ax.locator_params(axis="x", nbins=5)
    ax.ticklabel_format(axis="x", scilimits=(-2, 3))
    if name == "delta":
        # Layers whose gradients vanish are spikes at 0, beside which the others would not be seen.
        ax.set_yscale("symlog", linthresh=1.0)
        ax.set_ylim(bottom=0.0)


def _layers(ax: Axes, report: LayerReport) -> list[int]:
    from matplotlib.ticker import MaxNLocator

    ax.set_xlabel("layer")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return [row.layer for row in report.rows]


def _spreads(ax: Axes, report: LayerReport) -> None:
    layers = _layers(ax, report)
    for name, colour, marker in (("z", BLUE, "o-"), ("a", ORANGE, "s-")):
        means = np.array([getattr(row, name).mean for row in report.rows])
        deviations = np.array([getattr(row, name).deviation for row in report.rows])
        ax.fill_between(layers, means - deviations, means + deviations, color=colour, alpha=0.2, linewidth=0)
        ax.plot(layers, means, marker, color=colour, markersize=4, label=name)
    ax.axhline(0.0, color="#999999", linewidth=0.6, zorder=0)
    ax.set(title="mean ± standard deviation")
    ax.legend(frameon=False, fontsize=8)


def _saturation(ax: Axes, report: LayerReport) -> None:
    layers = _layers(ax, report)
    ax.bar(layers, [100 * row.a.saturated for row in report.rows], color=GREEN, width=0.6)
    ax.set(title="share of units saturated", ylabel="per cent", ylim=(0, 100))


def _norms(ax: Axes, report: LayerReport) -> None:
    layers = _layers(ax, report)
    norms = [row.delta.norm for row in report.rows]
    if all(norm > 0 for norm in norms):
        ax.set_yscale("log")
    ax.plot(layers, norms, "o-", color=BLUE)
    ax.set(title="norm of δ", ylabel="norm, all examples together")
