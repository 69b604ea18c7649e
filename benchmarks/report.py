"""The tables of `python -m benchmarks`, as rich draws them. This module measures nothing and knows no
workload."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from benchmarks import digits, scaling

if TYPE_CHECKING:
    from rich.table import Table

ENGINE_OF_MODE = {"reverse": "reversead", "forward": "dualad"}


def seconds_text(seconds: float) -> str:
    """A duration with three digits and the unit that suits it.

    >>> seconds_text(0.0000123), seconds_text(0.5), seconds_text(12.0)
    ('12.3 µs', '500 ms', '12 s')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def count_text(count: float) -> str:
    """A number of operations with three digits and the prefix that suits it.

    >>> count_text(1234), count_text(45_600_000), count_text(12)
    ('1.23k', '45.6M', '12')
    """
    for prefix, size in (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= size:
            return f"{count / size:.3g}{prefix}"
    return f"{count:.0f}"


def agreement_table(disagreements: Sequence[digits.Disagreement]) -> Table:
    """A row a pair of gradients: how far apart, how far apart they may be, and whether they are closer."""
    table = _table("the same gradient, taken in two ways")
    table.add_column("pair", no_wrap=True)
    table.add_column("largest relative disagreement", justify="right")
    table.add_column("allowed", justify="right")
    table.add_column("")
    for pair in disagreements:
        verdict = "agree" if pair.acceptable else "[bold red]DISAGREE"
        table.add_row(" and ".join(pair.ways), f"{pair.relative:.1e}", f"{pair.bound:.0e}", verdict)
    return table


def gradient_table(gradients: Sequence[digits.Gradient]) -> Table:
    """A row a way of taking the gradient, with the least CPU time of a call."""
    table = _table("one gradient of the loss")
    table.add_column("way")
    table.add_column("CPU time", justify="right")
    for gradient in gradients:
        table.add_row(gradient.way, seconds_text(gradient.seconds))
    return table


def ratio_text(ratio: float) -> str:
    """A ratio with three digits, or to the unit when it is large; dimensionless."""
    return f"{ratio:.3g}" if ratio < 1000 else f"{ratio:,.0f}"


def scaling_table(rows: Sequence[scaling.Row]) -> Table:
    """A row a network size: times, ratios and counts of every mode; in the last row the fitted exponents."""
    modes = [mode for mode in rows[0].seconds if mode != "function"]
    table = _table("the loss f of n parameters, alone and with its gradient")
    table.add_column("n", justify="right")
    table.add_column("f", justify="right")
    for mode in modes:
        table.add_column(mode, justify="right")
        table.add_column(f"{mode}\n/f", justify="right")
    for mode in ("function", *modes):
        table.add_column(f"{'f' if mode == 'function' else mode}\ncount", justify="right")
    for row in rows:
        cells = [str(row.inputs), seconds_text(row.seconds["function"])]
        for mode in modes:
            cells += [seconds_text(row.seconds[mode]), ratio_text(row.seconds_ratio(mode))]
        cells += [count_text(row.operations[mode]) for mode in ("function", *modes)]
        table.add_row(*cells)
    table.add_section()
    times, counts = scaling.exponents_of_time(rows), scaling.exponents_of_operations(rows)
    cells = ["n^p: p", f"{times['function']:.2f}"]
    for mode in modes:
        cells += [f"{times[mode]:.2f}", f"{times[mode] - times['function']:.2f}"]
    table.add_row(*cells, *(f"{counts[mode]:.2f}" for mode in ("function", *modes)))
    return table


def _table(title: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
