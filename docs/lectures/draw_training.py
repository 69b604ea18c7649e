"""The pictures of chapter 6: what its code leaves behind, drawn by matplotlib, and the unit as SVG.

`draw` writes them.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

PAGE = Path(__file__).parent / "6-training.md"
#: M. Okabe and K. Ito's palette (2008), for readers who see fewer colours.
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#666666"
REGIONS = LinearSegmentedColormap.from_list("regions", [ORANGE, "white", BLUE])


def left_behind() -> dict[str, Any]:
    """Run the chapter, and return its variables."""
    scope: dict[str, Any] = {"__name__": "page"}
    for kind, body in re.findall(r"```(python|pycon)\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        sessions = doctest.DocTestParser().get_examples(body)
        for source in [body] if kind == "python" else [example.source for example in sessions]:
            with contextlib.redirect_stdout(io.StringIO()):
                exec(compile(source, PAGE.name, "exec"), scope)
    return scope


def digits(of: dict[str, Any]) -> Figure:
    """Test digits with predictions, accuracy by epoch, and the weights of the hidden units as images."""
    figure = Figure(figsize=(9.6, 6.0), layout="constrained")
    above, below = figure.subfigures(2, 1, height_ratios=[1.35, 1.0])
    left, right = above.subfigures(1, 2, width_ratios=[1.6, 1.0])
    said = np.argmax(of["digits"](of["theta"], of["test_images"]), axis=1)
    wrong = np.flatnonzero(said != of["test_labels"])
    # Two right ones of each of six classes, and six that it gets wrong.
    right_ones = [np.flatnonzero((said == k) & (of["test_labels"] == k))[:2] for k in (0, 2, 3, 5, 8, 9)]
    chosen = [*np.transpose(right_ones).ravel(), *wrong[:: max(len(wrong) // 6, 1)][:6]]
    for ax, number in zip(left.subplots(3, 6).flat, chosen, strict=True):
        ax.imshow(of["test_images"][number].reshape(28, 28), cmap="gray_r")
        is_right = said[number] == of["test_labels"][number]
        title = f"{said[number]}" if is_right else f"{said[number]}, is {of['test_labels'][number]}"
        ax.set_title(title, color=GREEN if is_right else ORANGE, fontsize=11)
        ax.set_axis_off()
    left.suptitle("what the network says: right, and wrong", fontsize=11)
    ax = right.subplots()
    epochs = np.arange(1, len(of["learned"]) + 1)
    for shares, name, style in zip(np.transpose(of["learned"]), ("training", "test"), ("o-", "s--"), strict=True):
        ax.plot(epochs, 100 * shares, style, color=GREEN if name == "test" else BLUE, markersize=4, label=name)
    ax.set(xlabel="epoch", title="per cent right", ylim=(84, 100))
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    weights = of["theta"][0][0].T.reshape(15, 28, 28)
    largest = np.quantile(np.abs(weights), 0.995)
    for k, ax in enumerate(below.subplots(2, 8).flat):
        if k < 15:
            ax.imshow(weights[k], cmap=REGIONS, vmin=-largest, vmax=largest)
        ax.set_axis_off()
    below.suptitle("the weights of the 15 hidden units: blue is positive, orange negative", fontsize=11)
    return figure


def boards(of: dict[str, Any]) -> Figure:
    """Four plots of points and of the probability that a network gives to class 1."""
    figure = Figure(figsize=(10.4, 3.1), layout="constrained")
    axes = figure.subplots(1, 4)
    panels = [("exclusive or", of["bent"], of["xor"], lambda x: x, of["corners"], of["exclusive_or"], (-0.5, 1.5))]
    for way, (network, made, _, _) in of["ways"].items():
        panels.append((way, network, of["boards"][way], made, of["board"], of["field"](of["board"]), (-1.0, 1.0)))
    for ax, (title, network, parameters, made, points, labels, (low, high)) in zip(axes, panels, strict=True):
        line = np.linspace(low, high, 120)
        grid = np.stack(np.meshgrid(line, line), axis=-1).reshape(-1, 2)
        scores = network(parameters, made(grid))
        probability = (1.0 / (1.0 + np.exp(scores[:, 0] - scores[:, 1]))).reshape(120, 120)
        # Paler than the points: from a quarter of the way to orange to a quarter of the way to blue.
        extent = (low, high, low, high)
        ax.imshow(0.5 + 0.5 * (probability - 0.5), extent=extent, origin="lower", cmap=REGIONS, vmin=0.0, vmax=1.0)
        if probability.min() < 0.5 < probability.max():
            ax.contour(line, line, probability, levels=[0.5], colors="black", linewidths=1.4)
        size = 60 if len(points) < 10 else 9
        for label, colour, marker in ((0, ORANGE, "o"), (1, BLUE, "^")):
            ax.scatter(*points[labels == label].T, s=size, color=colour, marker=marker, linewidths=0)
        ticks = [0, 1] if len(points) < 10 else [-1, 0, 1]
        ax.set(title=title, aspect="equal", xlim=(low, high), ylim=(low, high), xticks=ticks, yticks=ticks)
    return figure


def curve(of: dict[str, Any]) -> Figure:
    """The curve and its stairs."""
    figure = Figure(figsize=(10.4, 2.8), layout="constrained")
    places = of["places"]
    for ax, units in zip(figure.subplots(1, 4, sharey=True), (1, 4, 16, 64), strict=True):
        ax.plot(places, of["curve"](places), color=GREY, linewidth=3, alpha=0.5, label="the curve")
        network = of["MLP"]([1, units, 1], "sigmoid")
        ax.plot(places, network(of["stairs"](units), places), color=BLUE, linewidth=1.4, label="stairs")
        if units == 4:
            ax.plot(places, of["four"](of["better"], places), "--", color=ORANGE, linewidth=1.4, label="trained")
            ax.legend(frameon=False, fontsize=8)
        ax.set(title=f"{units} {'unit' if units == 1 else 'units'}")
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def surfaces(of: dict[str, Any]) -> Figure:
    """Both losses as surfaces, and below them the norms of their gradients as maps."""
    figure = Figure(figsize=(9.0, 7.2), layout="constrained")
    for column, loss in enumerate((of["cross_entropy"], of["squared_error"])):
        name = loss.__name__.replace("cross_", "cross-").replace("_", " ")
        ax = figure.add_subplot(2, 2, column + 1, projection="3d")
        ax.plot_surface(of["w1"], of["w2"], loss(of["w1"], of["w2"]), cmap="viridis", rstride=4, cstride=4, linewidth=0)
        ax.set(xlabel="w1", ylabel="w2", title=name)
        ax.view_init(elev=32, azim=-60)
        ax = figure.add_subplot(2, 2, column + 3)
        logarithm = np.log10(np.maximum(of["slopes"][loss.__name__], 1e-4))
        shown = ax.contourf(of["w1"], of["w2"], logarithm, levels=np.arange(-4.0, 1.01, 0.5), cmap="viridis")
        ax.set(xlabel="w1", ylabel="w2", title=f"norm of the gradient of {name}, log10", aspect="equal")
        figure.colorbar(shown, ax=ax)
    return figure


#: Every figure by its name: a function of the chapter's variables.
FIGURES: dict[str, Callable[[dict[str, Any]], Figure]] = {
    "digits": digits,
    "boards": boards,
    "curve": curve,
    "surfaces": surfaces,
}


def svgs() -> dict[str, str]:
    """The text of each other picture by its name."""
    return {"unit": unit()}


def unit() -> str:
    """A nerve cell, simplified, and below it the artificial unit, part by part."""
    parts: list[str] = []

    def text(x: float, y: float, what: str, colour: str = "#222222", anchor: str = "middle", size: int = 14) -> None:
        parts.append(f'<text x="{x}" y="{y}" fill="{colour}" text-anchor="{anchor}" font-size="{size}">{what}</text>')

    def path(points: str, width: float = 3.0, colour: str = "#8A5A00") -> None:
        parts.append(
            f'<path d="{points}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-linecap="round"/>'
        )

    # The cell: three branching dendrites, the body with its nucleus, the axon with its terminals.
    for y in (30, 100, 170):
        (x0, y0), (x1, y1) = (250, 100 + 0.35 * (y - 100)), (140, y)
        path(f"M {x0} {y0:g} L {x1} {y1}", 4)
        for part, rise in ((0.0, -16), (0.0, 16), (0.35, -20), (0.35, 20)):
            # Twigs begin on their branch.
            x, start = x1 + part * (x0 - x1), y1 + part * (y0 - y1)
            path(f"M {x:g} {start:g} L {x - 35:g} {start + rise:g}", 2.5)
    path("M 300 100 C 360 80 420 120 520 100", 6)
    for y in (60, 100, 140):
        path(f"M 520 100 Q 560 {y} 600 {y}", 3)
        parts.append(f'<circle cx="604" cy="{y}" r="6" fill="#8A5A00"/>')
    parts.append('<ellipse cx="275" cy="100" rx="42" ry="36" fill="#FBF0CF" stroke="#8A5A00" stroke-width="2"/>')
    parts.append('<circle cx="275" cy="100" r="11" fill="#8A5A00"/>')
    for x, what in ((110, "dendrites"), (275, "cell body"), (425, "axon"), (610, "to other cells")):
        text(x, 206, what, GREY)
    # The unit.
    for k, y in enumerate((260, 310, 360), 1):
        text(88, y + 5, f"x<tspan dy='4' font-size='10'>{k}</tspan>")
        path(f"M 105 {y} L 235 310", 2, BLUE)
        text(160, y + (310 - y) * 0.42 - 13, f"w<tspan dy='4' font-size='10'>{k}</tspan>", BLUE)
    parts.append('<circle cx="275" cy="310" r="40" fill="#CFE4F5" stroke="#0072B2" stroke-width="2"/>')
    text(275, 316, "&#931; w x + b", size=15)
    path("M 315 310 L 385 310", 2, BLUE)
    text(350, 300, "z", BLUE)
    parts.append('<rect x="385" y="275" width="80" height="70" fill="#CFE4F5" stroke="#0072B2" stroke-width="2"/>')
    path("M 395 333 C 430 333 420 287 455 287", 2.5, ORANGE)
    path("M 465 310 L 590 310", 2, BLUE)
    text(527, 300, "a = s(z)", BLUE)
    text(610, 315, "a")
    for x, what in ((110, "weighted inputs"), (275, "sum"), (425, "activation"), (610, "output")):
        text(x, 400, what, GREY)
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 420" width="680" height="420" '
    style = 'font-family="Helvetica,Arial,sans-serif"><rect width="680" height="420" fill="white"/>'
    return "\n".join([head + style, *parts, "</svg>", ""])
