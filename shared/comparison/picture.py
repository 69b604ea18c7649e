"""The picture of a comparison: a bar a way, its time and its operations over those of one evaluation.

It needs matplotlib, which is imported when a picture is asked for.  Names are drawn as they are: none is read as a
formula.  This module measures nothing.
"""

from __future__ import annotations

from typing import Any

from shared.comparison.figures import Figure
from shared.core.errors import user_line

_COLOURS = {"forward": "#d95f02", "reverse": "#1b6ca8", "other": "#8a8a8a"}


def draw(comparison: Any, path: Any = None) -> Any:
    """The picture as matplotlib's `Figure`, saved where a path is given."""
    try:
        from matplotlib.figure import Figure as Canvas
    except ImportError as error:
        raise ModuleNotFoundError(
            f"plot: matplotlib, which draws pictures, is missing{user_line()}; pip install matplotlib",
            name="matplotlib",
        ) from error
    rows = [figure for figure in comparison.figures if figure.times or figure.evaluations]
    canvas = Canvas(figsize=(11, 1.6 + 0.24 * len(rows)), layout="constrained")
    axes = canvas.subplots(1, 2, sharey=True)
    _bars(axes[0], rows, [row.evaluations for row in rows], "operations over those of one evaluation")
    _bars(axes[1], rows, [row.times for row in rows], "time over that of one evaluation")
    axes[0].set_yticks(range(len(rows)), [_label(row) for row in rows], parse_math=False)
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    canvas.suptitle(comparison._caption(), parse_math=False, x=0.01, ha="left", fontweight="bold")
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
