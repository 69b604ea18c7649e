"""The tables of `python -m benchmarks`, as rich draws them.  This module measures nothing and knows no
workload."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from benchmarks import digits, scaling

if TYPE_CHECKING:
    from rich.table import Table


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


def ratio_table(rows: Sequence[scaling.Row]) -> Table:
    """The claim as a table: value and gradient in each mode as a multiple of one evaluation, in exact operations."""
    modes = [mode for mode in rows[0].operations if mode != "function"]
    table = _table("f and its gradient, as a multiple of one evaluation of f (operations, counted exactly)")
    table.add_column("n", justify="right")
    for mode in modes:
        table.add_column(mode, justify="right")
    for row in rows:
        table.add_row(str(row.inputs), *(ratio_text(row.evaluations[mode]) for mode in modes))
    return table


def seconds_table(rows: Sequence[scaling.Row]) -> Table:
    """CPU time of the loss alone and with its gradient in each mode, and how many plain evaluations that is."""
    costs = [row.seconds for row in rows]
    title = "CPU time of the loss f of n parameters, alone and with its gradient"
    return _cost_table(title, rows, costs, scaling.exponents_of_time(rows), seconds_text)


def operations_table(rows: Sequence[scaling.Row]) -> Table:
    """Operations of the loss alone and with its gradient in each mode, counted exactly, and their ratios."""
    costs = [row.operations for row in rows]
    return _cost_table(
        "operations of the same, counted exactly", rows, costs, scaling.exponents_of_operations(rows), count_text
    )


def _cost_table(
    title: str,
    rows: Sequence[scaling.Row],
    costs: Sequence[Mapping[str, float]],
    exponents: Mapping[str, float],
    text: Callable[[float], str],
) -> Table:
    """A row a network size: the cost of every mode and its ratio to the function's; last, the fitted exponents."""
    modes = [mode for mode in exponents if mode != "function"]
    table = _table(title)
    table.add_column("n", justify="right")
    table.add_column("f", justify="right")
    for mode in modes:
        table.add_column(mode.replace(" ", "\n"), justify="right")
        table.add_column("/f", justify="right")
    for row, cost in zip(rows, costs, strict=True):
        cells = [str(row.inputs), text(cost["function"])]
        for mode in modes:
            cells += [text(cost[mode]), ratio_text(cost[mode] / cost["function"])]
        table.add_row(*cells)
    table.add_section()
    cells = ["n^p: p", f"{exponents['function']:.2f}"]
    for mode in modes:
        cells += [f"{exponents[mode]:.2f}", f"{exponents[mode] - exponents['function']:.2f}"]
    table.add_row(*cells)
    return table


def explanation(rows: Sequence[scaling.Row]) -> str:
    """What the two tables of costs show, in a few lines that end in an empty one."""
    lines = [
        "The last row fits cost = c n^p by least squares; under a ratio: the exponents' difference.",
        "A short call is mostly Python's fixed cost an operation, which the counts leave out.",
    ]
    exponents = scaling.exponents_of_operations(rows)
    if {"forward", "batched forward"} <= exponents.keys():
        single, batched, alone = (exponents[mode] for mode in ("forward", "batched forward", "function"))
        lines += [
            "Forward takes one direction at a time; batched forward carries many in each NumPy call,",
            f"which saves time, and a constant factor of the operations. These grow as n^{alone:.2f} for f,",
            f"and for forward by {single - alone:.2f}, for batched forward by {batched - alone:.2f} "
            "powers of n faster.",
        ]
    return "\n".join(lines) + "\n"


def _table(title: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    return Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
