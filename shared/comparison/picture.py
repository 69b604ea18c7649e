"""Pictures of a comparison: a bar a way, its time and operations over those of one evaluation; or lines over sizes.

It needs matplotlib, which is imported when a picture is asked for.  Names are drawn as they are: none is read as a
formula.  This module measures nothing.
"""

from __future__ import annotations

from typing import Any

from shared.comparison.figures import Figure
from shared.core.errors import user_line

_COLOURS = {"forward": "#d95f02", "reverse": "#1b6ca8", "other": "#8a8a8a"}


def draw(comparison: Any, path: Any = None) -> Any:
    """The picture of all ways as matplotlib's `Figure`, saved where a path is given."""
    rows = [figure for figure in comparison.figures if figure.times or figure.evaluations]
    canvas = _canvas(11, 1.6 + 0.24 * len(rows))
    axes = canvas.subplots(1, 2, sharey=True)
    _bars(axes[0], rows, [row.evaluations for row in rows], "operations over those of one evaluation")
    _bars(axes[1], rows, [row.times for row in rows], "time over that of one evaluation")
    axes[0].set_yticks(range(len(rows)), [_label(row) for row in rows], parse_math=False)
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    canvas.suptitle(comparison._caption(), parse_math=False, x=0.01, ha="left", fontweight="bold")
    return _saved(canvas, path)


def draw_growth(growth: Any, path: Any = None) -> Any:
    """The picture of ratios over the number of inputs: flat lines and rising ones, named at their ends."""
    canvas = _canvas(9, 5.2)
    axes = canvas.subplots()
    ends = []
    for name, ratios in growth.ratios.items():
        dotted = "--" if "direction" in name or "product" in name else ":" if "differences" in name else "-"
        mode = next((mode for mode in ("forward", "reverse") if mode in name), "other")
        axes.plot(growth.inputs, ratios, dotted, color=_COLOURS[mode], marker="o", markersize=4, linewidth=1.8)
        ends.append((ratios[-1], name, _COLOURS[mode]))
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_ylim(0.7, max(ratio for ratios in growth.ratios.values() for ratio in ratios) * 2)
    _name_ends(axes, growth.inputs[-1], ends)
    axes.set_xlabel("inputs")
    axes.set_title("operations over those of one evaluation", fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    canvas.suptitle(growth.function, parse_math=False, x=0.01, ha="left", fontweight="bold")
    return _saved(canvas, path)


def _name_ends(axes: Any, last: int, ends: list[tuple[float, str, str]]) -> None:
    """The names at the ends of the lines, moved apart where these lie together."""
    below = 0.0
    for ratio, name, colour in sorted(ends):
        place = max(ratio, below * 1.45)
        below = place
        axes.annotate(
            f"{name}: {_number(ratio)}", (last, place), xytext=(8, 0), textcoords="offset points", va="center",
            fontsize=9, color=colour, annotation_clip=False,
        )  # fmt: skip


def _canvas(width: float, height: float) -> Any:
    try:
        from matplotlib.figure import Figure as Canvas
    except ImportError as error:
        raise ModuleNotFoundError(
            f"plot: matplotlib, which draws pictures, is missing{user_line()}; pip install matplotlib",
            name="matplotlib",
        ) from error
    return Canvas(figsize=(width, height), layout="constrained")


def _saved(canvas: Any, path: Any) -> Any:
    if path is not None:
        canvas.savefig(path, dpi=150)
    return canvas


def _bars(axes: Any, rows: list[Figure], values: list[Any], title: str) -> None:
    for place, (row, value) in enumerate(zip(rows, values, strict=True)):
        if value:
            axes.barh(place, value, left=0, color=_colour(row), height=0.72)
            axes.text(value, place, f" {_number(value)}", va="center", fontsize=8)
        elif row.note:
            axes.text(1, place, " not run", va="center", fontsize=8, color="#8a8a8a")
    axes.set_xscale("log")
    known = [value for value in values if value]
    axes.set_xlim(min([0.5, *known]) / 1.2, max([2.0, *known]) * 4)
    axes.axvline(1.0, color="black", linewidth=0.8)
    axes.set_title(title, fontsize=10, loc="left")
    groups = [row.group for row in rows]
    for place in range(1, len(rows)):
        if groups[place] != groups[place - 1]:
            axes.axhline(place - 0.5, color="#cccccc", linewidth=0.8)
    axes.spines[["top", "right"]].set_visible(False)


def _colour(row: Figure) -> str:
    for mode in ("reverse", "forward"):
        if row.name.startswith(mode) or row.name.endswith(f", {mode}"):
            return _COLOURS[mode]
    return _COLOURS["other"]


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _label(row: Figure) -> str:
    return row.group if row.name == "as it is" else f"{row.group}: {row.name}"
