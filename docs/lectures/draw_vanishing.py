"""The pictures of chapter 7: what its code leaves behind, drawn by matplotlib, and two networks as SVG.

`draw` writes them.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

PAGE = Path(__file__).parent / "7-vanishing.md"
#: M. Okabe and K. Ito's palette (2008), for readers who see fewer colours.
BLUE, ORANGE, GREEN, PINK, GREY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#666666"
COLOURS = {"sigmoid": ORANGE, "tanh": BLUE, "relu": GREEN, "softplus": GREY, "softsign": PINK}
DASHES = {"sigmoid": "-", "tanh": "--", "relu": "-.", "softplus": ":", "softsign": (0, (5, 1, 1, 1, 1, 1))}
NAMES = {"relu": "ReLU"}


def run(page: Path) -> dict[str, Any]:
    """Run the code of a chapter, and return its variables."""
    scope: dict[str, Any] = {"__name__": "page"}
    for kind, body in re.findall(r"```(python|pycon)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        sessions = doctest.DocTestParser().get_examples(body)
        for source in [body] if kind == "python" else [example.source for example in sessions]:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(source, page.name, "exec"), scope)
    return scope


def left_behind() -> dict[str, Any]:
    """The variables of the chapter."""
    return run(PAGE)


# --- figures ----------------------------------------------------------------------------------------------------------


def _plain(axes: Any) -> None:
    for ax in np.ravel(axes):
        ax.spines[["top", "right"]].set_visible(False)


def activations(of: dict[str, Any]) -> Figure:
    """The functions, and their slopes."""
    figure = Figure(figsize=(8.8, 3.4), layout="constrained")
    above, below = axes = figure.subplots(1, 2)
    for name, f in of["activations"].items():
        style = {"color": COLOURS[name], "linestyle": DASHES[name], "linewidth": 1.8}
        above.plot(of["line"], f(of["line"]), label=NAMES.get(name, name), **style)
        below.plot(of["line"], of["slopes"][name], **style)
    above.set(title="activation", ylim=(-1.2, 3.2), xlabel="z")
    above.legend(frameon=False, fontsize=9)
    below.axhline(0.25, color="#bbbbbb", linewidth=0.8, zorder=0)
    below.text(6.0, 0.26, "1/4", ha="right", va="bottom", fontsize=9, color=GREY)
    below.set(title="its derivative", ylim=(-0.03, 1.1), xlabel="z")
    _plain(axes)
    return figure


def deltas(of: dict[str, Any]) -> Figure:
    """A histogram a layer: activations in columns, initialisations in rows."""
    schemes, names = of["schemes"], ("sigmoid", "tanh", "relu", "softsign")
    figure = Figure(figsize=(10.0, 4.6), layout="constrained")
    axes = figure.subplots(len(schemes), len(names))
    colours = colormaps["viridis"](np.linspace(0.0, 0.85, 5))
    for row, (scheme, title) in zip(axes, schemes.items(), strict=True):
        for ax, name in zip(row, names, strict=True):
            passes = of["reports"][name, scheme].passes
            limit = 3 * max(float(np.std(passes.delta[layer])) for layer in range(1, 6))
            edges = np.linspace(-limit, limit, 71)
            for layer, colour in zip(range(1, 6), colours, strict=True):
                heights, _ = np.histogram(passes.delta[layer], edges)
                ax.stairs(100 * heights / passes.delta[layer].size, edges, color=colour, linewidth=1.3, label=layer)
            ax.set_yscale("symlog", linthresh=2.0)
            ax.set(ylim=(0, 110), yticks=[0, 1, 2, 10, 100], xticks=[-limit / 1.5, 0, limit / 1.5])
            ax.set_yticklabels(["0", "1", "2", "10", "100"] if name == names[0] else [])
            ax.set_xticklabels([f"{-limit / 1.5:.0e}", "0", f"{limit / 1.5:.0e}"], fontsize=8)
            if scheme == next(iter(schemes)):
                ax.set_title(NAMES.get(name, name))
        row[0].set_ylabel(f"{title}\nper cent of delta in a bin")
    axes[0, 0].legend(frameon=False, fontsize=8, title="layer", title_fontsize=8, handlelength=1.2)
    _plain(axes)
    return figure


def sum_of_500(of: dict[str, Any]) -> Figure:
    """The densities of z, the normal ones beside them, and where the sigmoid is saturated."""
    figure = Figure(figsize=(8.8, 3.2), layout="constrained")
    axes = figure.subplots(1, 2)
    for ax, (scheme, z), title, deviation, limit in zip(
        axes, of["sums"].items(), ("weights from N(0, 1)", "weights from N(0, 1/500)"), (500**0.5, 1.0), (75.0, 6.0),
        strict=True,
    ):  # fmt: skip
        line = np.linspace(-limit, limit, 400)
        ax.hist(z, np.linspace(-limit, limit, 61), density=True, color="#9ecae1", label=f"{len(z):,} units")
        density = np.exp(-((line / deviation) ** 2) / 2) / (deviation * math.sqrt(2 * math.pi))
        ax.plot(line, density, color=BLUE, label=f"normal, deviation {deviation:.1f}")
        for side in ((-limit, -4.4), (4.4, limit)):
            ax.axvspan(*side, color=ORANGE, alpha=0.15, linewidth=0, label="saturated" if side[0] > 0 else None)
        share = math.erfc(4.4 / (deviation * math.sqrt(2)))
        ax.set(title=f"{title}: {share:.0%} saturated" if scheme == "standard_normal" else f"{title}: none saturated")
        ax.set(xlabel="z", xlim=(-limit, limit), yticks=[], ylim=(0, 1.45 * density.max()))
        ax.legend(frameon=False, fontsize=8, loc="upper left")
    _plain(axes)
    return figure


def stuck(of: dict[str, Any]) -> Figure:
    """Mean and deviation of three layers over the epochs, above the loss."""
    figure = Figure(figsize=(8.8, 4.6), layout="constrained")
    above, below = axes = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    curves = np.array(of["curves"])
    epochs = np.arange(len(curves)) * 15 / (of["history"].losses.shape[1])
    for layer, colour, dash in zip(range(3), (BLUE, GREEN, ORANGE), ("--", ":", "-"), strict=True):
        mean, deviation = curves[:, layer].T
        above.fill_between(epochs, mean - deviation, mean + deviation, color=colour, alpha=0.15, linewidth=0)
        above.plot(epochs, mean, dash, color=colour, label=f"layer {layer + 1}")
    above.set(title="activations of three layers of sigmoids: mean ± standard deviation", ylim=(0, 1))
    above.legend(frameon=False, fontsize=9, ncols=3)
    losses = of["history"].epoch_losses
    below.plot(np.arange(len(losses)) + 0.5, losses, "o-", color=GREY, markersize=3)
    below.axhline(np.log(10), color="#bbbbbb", linewidth=0.8, zorder=0)
    below.text(len(losses), np.log(10), "ln 10", ha="right", va="bottom", fontsize=9, color=GREY)
    below.set(title="loss", xlabel="epoch", ylim=(0, 2.7))
    _plain(axes)
    return figure


def errors(of: dict[str, Any]) -> Figure:
    """Test error against examples seen: shallow networks and deep ones."""
    figure = Figure(figsize=(8.8, 3.4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    examples = int(np.count_nonzero(~of["is_test"]))
    for (name, depth), shares in of["seen"].items():
        ax = axes[0] if depth == 1 else axes[1]
        seen = [*(480 * np.arange(len(shares) - 1)), 6 * examples]
        ax.plot(seen, 100 * np.array(shares), color=COLOURS[name], linestyle=DASHES[name], label=NAMES.get(name, name))
    for ax, title in zip(axes, ("one hidden layer", "five hidden layers"), strict=True):
        ax.set(title=title, xlabel="examples seen", yscale="log", yticks=[2, 5, 10, 20, 50, 100])
        ax.set_yticklabels(["2", "5", "10", "20", "50", "100"])
        ax.minorticks_off()
    axes[0].set_ylabel("error on digits held out, per cent")
    axes[0].legend(frameon=False, fontsize=9)
    _plain(axes)
    return figure


def remedies(of: dict[str, Any]) -> Figure:
    """The norm of delta by layer in the network that vanishes and in that which explodes, and dC/dW clipped."""
    figure = Figure(figsize=(10.0, 3.4), layout="constrained")
    axes = figure.subplots(1, 3)
    styles = {"plain": (ORANGE, "o-"), "residual": (BLUE, "s--"), "normalised": (GREEN, "^:")}
    layers = np.arange(1, 21)
    for ax, case in zip(axes[:2], ("vanishes", "explodes"), strict=True):
        for way, (colour, style) in styles.items():
            ax.plot(layers, of["norms"][case, way], style, color=colour, markersize=4, label=way)
        ax.set(title=f"norm of delta, plain {case}")
    unclipped = of["reversead"].grad(of["deep"])(of["large"], of["added"], of["x"], of["relu"], of["ways"]["plain"])
    clipped, _ = of["clip_by_global_norm"](unclipped, 1.0)
    for gradient, colour, style, label in ((unclipped, ORANGE, "o-", "plain"), (clipped, PINK, "v--", "clipped to 1")):
        axes[2].plot(layers, [np.linalg.norm(dW) for dW in gradient], style, color=colour, markersize=4, label=label)
    axes[2].set(title="norm of dC/dW, plain explodes")
    for ax in axes:
        ax.set(yscale="log", xlabel="layer", xticks=[1, 5, 10, 15, 20])
        ax.legend(frameon=False, fontsize=9)
    _plain(axes)
    return figure


FIGURES: dict[str, Callable[[dict[str, Any]], Figure]] = {
    "activations": activations,
    "deltas": deltas,
    "sum-of-500": sum_of_500,
    "stuck": stuck,
    "errors": errors,
    "remedies": remedies,
}


# --- SVG --------------------------------------------------------------------------------------------------------------


def svg(width: int, height: int, parts: Sequence[str]) -> str:
    """A picture of these parts on white, with a head of an arrow to use as `url(#head)`."""
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
    style = f'font-family="Helvetica,Arial,sans-serif" font-size="14"><rect width="{width}" height="{height}" '
    marker = '<marker id="head" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    return "\n".join(
        [
            f'{head}{style}fill="white"/>',
            f'<defs>{marker}<path d="M0 0L8 4L0 8z" fill="{GREY}"/></marker></defs>',
            *parts,
            "</svg>",
            "",
        ]
    )


def text(x: float, y: float, what: str, colour: str = "#222222", anchor: str = "middle", size: int = 14) -> str:
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" fill="{colour}" font-size="{size}">{what}</text>'


def arrow(x1: float, y1: float, x2: float, y2: float, colour: str = GREY, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return (
        f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{colour}" stroke-width="1.5"{dashed} '
        'marker-end="url(#head)"/>'
    )


def number(value: float) -> str:
    return f"{value:.3g}".replace("-", "\u2212")


def four_neurons() -> str:
    """The chain, its factors backwards, and a bar for the size of the product after each."""
    weights, biases, x, y = (0.9, 0.8, -1.2, 1.1), (0.3, -0.5, 0.6, 0.2), 0.7, 1.0
    a = [x]
    for w, b in zip(weights, biases, strict=True):
        a.append(1 / (1 + math.exp(-(w * a[-1] + b))))
    parts, step, left = [], 160, 70
    parts += [text(left - 40, 46, "x"), text(left - 40, 64, number(x), GREY, size=12)]
    for k, (w, b) in enumerate(zip(weights, biases, strict=True), 1):
        middle = left + step * k - 80
        parts += [
            arrow(left - 28 if k == 1 else middle - step + 26, 50, middle - 26, 50),
            text(middle - 78, 40, f"w{k} = {number(w)}", size=12),
            f'<circle cx="{middle}" cy="50" r="24" fill="#CFE4F5" stroke="#333333"/>',
            text(middle, 55, f"a{k}"),
            text(middle, 92, f"b{k} = {number(b)}", GREY, size=12),
            text(middle, 18, number(a[k]), GREY, size=12),
        ]
    end = left + step * 4 - 80
    parts += [arrow(end + 26, 50, end + 72, 50), text(end + 86, 55, "C")]
    # Backwards, from the right: the product after each factor, on a logarithmic scale from 1/3 to 1/1,000.
    product = a[4] - y
    bars = [(end + 86, "dC/da4", product)]
    for k in (4, 3, 2, 1):
        middle = left + step * k - 80
        slope = a[k] * (1 - a[k])
        product *= slope
        bars.append((middle + 24, f"s'(z{k})", slope))
        if k > 1:
            product *= weights[k - 1]
            bars.append((middle - step / 2 + 14, f"w{k}", weights[k - 1]))
    running = 1.0
    for x_bar, name, factor in bars:
        running *= factor
        height = 20 + 40 * math.log10(abs(running) * 1000)
        parts += [
            f'<rect x="{x_bar - 17:g}" y="{250 - height:.1f}" width="34" height="{height:.1f}" '
            f'fill="{ORANGE if name[0] == "s" else BLUE}"/>',
            text(x_bar, 244 - height, number(running), size=11),
            text(x_bar, 266, name, size=12),
            text(x_bar, 282, f"\u00d7 {number(factor)}" if name[0] != "d" else number(factor), GREY, size=12),
        ]
    parts.append(text(left - 40, 302, "dC/db1 = the last product; bars on a logarithmic scale", GREY, "start", 12))
    return svg(760, 312, parts)


def u_net() -> str:
    """The network as a U: a box a layer, its shape in it, its gradient without and with connections beside it."""
    # As the chapter prints them: without connections, with connections.
    found = re.search(r"^0: ([\d. ]+)\n1: ([\d. ]+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    without, with_ = ([float(part) for part in line.split()] for line in found.groups())
    places = [(116, 60), (226, 150), (360, 240), (494, 150), (604, 60)]
    shapes = ["4 \u00d7 32", "8 \u00d7 16", "8 \u00d7 8", "8 \u00d7 16", "1 \u00d7 32"]
    parts = [text(20, 65, "signal", anchor="start"), arrow(62, 60, 76, 60)]
    for (x1, y1), (x2, y2), what in zip(places, places[1:], ("halve", "halve", "double", "double"), strict=False):
        down = y2 > y1
        side = -1 if down else 1
        parts.append(arrow(x1, y1 - 26 * side, x2 - 41, y2) if down else arrow(x1 + 40, y1, x2, y2 + 27))
        x, y = ((x1 + x2 - 41) / 2, (y1 + y2 + 26) / 2) if down else ((x1 + x2 + 40) / 2, (y1 + y2 + 27) / 2)
        parts.append(text(x + 10 * side, y + 12, what, GREY, "end" if down else "start", 12))
    for (x1, y1), (x2, y2) in ((places[0], places[4]), (places[1], places[3])):
        parts.append(arrow(x1 + 41, y1, x2 - 41, y2, BLUE, "6 4"))
        parts.append(text((x1 + x2) / 2, y1 - 8, "handed across", BLUE, size=12))
    for (x, y), shape, before, after in zip(places, shapes, without, with_, strict=True):
        parts += [
            f'<rect x="{x - 39}" y="{y - 24}" width="78" height="48" fill="#CFE4F5" stroke="#333333"/>',
            text(x, y - 2, shape, size=13),
            text(x, y + 15, f"{before:.2f} → {after:.2f}", ORANGE, size=11),
        ]
    parts += [arrow(644, 60, 660, 60), text(666, 65, "clean", anchor="start")]
    parts.append(
        text(24, 300, "orange: norm of the layer's gradient, without → with the connections", ORANGE, "start", 12)
    )
    return svg(720, 312, parts)


def svgs() -> dict[str, str]:
    """The text of each picture by its name."""
    return {"four-neurons": four_neurons(), "u-net": u_net()}
