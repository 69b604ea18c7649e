"""What the races found, as tables: text for a terminal, Markdown for a page, and the sentences that say who is faster.

This module measures nothing and knows no library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from benchmarks.peers.racing import Result
from benchmarks.report import ratio_text, seconds_text

FORMS = ("eager", "compiled")
#: Figures that are closer than this factor count as equal.
NOISE = 1.1
#: What stands where a library has no figure.
NOTHING = "-"
#: Kernel pages are counted in lots: less than this is no figure.
SMALLEST_PEAK = 2**20


class Table(NamedTuple):
    """A title, the names of the columns, and rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def way_of(result: Result) -> str:
    """A library in its form, as a column of a table that has both forms."""
    return result.label if result.form == "eager" else f"{result.label}, compiled"


def _names(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))


def _table(
    title: str,
    results: Sequence[Result],
    column: Callable[[Result], str],
    cell: Callable[[Result], str],
    by_hand: bool = False,
) -> Table:
    """A row a race, a column a library; those of which no race has a figure are left out."""
    columns = _names(column(result) for result in results)
    rows = []
    for race in _names(result.race for result in results):
        found = {column(result): result for result in results if result.race == race}
        cells = [cell(found[name]) if name in found else NOTHING for name in columns]
        if any(text != NOTHING for text in cells):
            reference = next((r.by_hand_seconds for r in found.values() if r.by_hand_seconds is not None), None)
            hand = [NOTHING if reference is None else seconds_text(reference)] if by_hand else []
            rows.append((race, *hand, *cells))
    return Table(title, ("derivative", *(["by hand"] if by_hand else []), *columns), rows)


def _ratio_cell(result: Result) -> str:
    return NOTHING if result.ratio is None else ratio_text(result.ratio)


def _peak_cell(result: Result) -> str:
    if result.peak_bytes is None:
        return NOTHING
    return "< 1" if result.peak_bytes < SMALLEST_PEAK else f"{result.peak_bytes / 1e6:,.0f}"


def ratio_table(results: Sequence[Result], form: str) -> Table:
    """CPU time in units of the derivative written by hand, of the libraries in one form."""
    title = f"CPU time, {form}, in units of the derivative written by hand in NumPy"
    return _table(title, [r for r in results if r.form == form], lambda r: r.label, _ratio_cell, by_hand=True)


def first_call_table(results: Sequence[Result]) -> Table:
    """From the function to the first answer, of all that compile: what has to be won back by later calls."""
    title = "first call, compiled: recording, compiling, running"
    return _table(
        title,
        [result for result in results if result.form == "compiled"],
        lambda result: result.label,
        lambda result: NOTHING if result.first_seconds is None else seconds_text(result.first_seconds),
    )


def memory_table(results: Sequence[Result]) -> Table:
    """The most memory held during a call, for the races in which some library holds a megabyte."""
    large = {result.race for result in results if (result.peak_bytes or 0) >= SMALLEST_PEAK}
    return _table(
        "memory held during a call beyond that before, MB",
        [result for result in results if result.race in large],
        way_of,
        _peak_cell,
    )


def tables(results: Sequence[Result]) -> list[Table]:
    """Every table that has a row, in order."""
    found = [
        *(ratio_table(results, form) for form in FORMS),
        first_call_table(results),
        memory_table(results),
    ]
    return [table for table in found if table.rows]


def losses(results: Sequence[Result], own: frozenset[str]) -> list[str]:
    """A line for each race and form that this library does not win: who is faster, and how many times."""
    lines = []
    for race in _names(result.race for result in results):
        for form in FORMS:
            found = [r for r in results if r.race == race and r.form == form and r.ratio is not None]
            ours = [result for result in found if result.package in own]
            faster = [result for result in found if result.package not in own]
            if not ours or not faster:
                continue
            best = min(ours, key=lambda result: result.ratio or 0.0)
            ahead = sorted((r for r in faster if r.ratio * NOISE < best.ratio), key=lambda r: r.ratio)
            if ahead:
                who = ", ".join(f"{r.label} {ratio_text(best.ratio / r.ratio)} times" for r in ahead)
                lines.append(f"{race}, {form}: {best.label} takes {ratio_text(best.ratio)}; faster by: {who}")
    return lines


def refusals(results: Sequence[Result]) -> list[str]:
    """A line for each library and reason: what it did not take part in, and why."""
    grouped: dict[tuple[str, str], list[str]] = {}
    for result in results:
        if result.refusal:
            grouped.setdefault((way_of(result), result.refusal), []).append(result.race)
    return [
        f"{way}: {reason} ({'; '.join(races[:3])}{f'; and {len(races) - 3} more' if len(races) > 3 else ''})"
        for (way, reason), races in grouped.items()
    ]


def as_markdown(table: Table) -> Iterator[str]:
    """The lines of a table in Markdown, figures to the right."""
    yield f"| {' | '.join(table.columns)} |"
    yield "| --- |" + " ---: |" * (len(table.columns) - 1)
    for row in table.rows:
        yield f"| {' | '.join(row)} |"


def as_text(table: Table) -> Iterator[str]:
    """The lines of a table in columns of equal width, figures to the right."""
    widths = [max(map(len, column)) for column in zip(table.columns, *table.rows, strict=True)]
    for row in (table.columns, *table.rows):
        first, *others = (
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        yield "  ".join([first, *others]).rstrip()
