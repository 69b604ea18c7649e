"""Tables of figures in every notation: the same cells, and nothing that a notation would misread."""

from __future__ import annotations

import html.parser
import re

import numpy as np
import pytest

import dualad
import reversead
from shared import cost, derivative_costs, elimination_orders
from shared.programs.markup import latex_text
from shared.programs.tabulation import Tabulated, latex_tabular, markdown_table, written_out


def weights_1(x, y):
    """A function whose name has to be escaped."""
    return np.sin(x * y) * x


TABLES = {
    "cost": cost(weights_1, 1.0, 2.0),
    "derivative costs": derivative_costs(weights_1, 1.0, 2.0, forward=dualad, reverse=reversead),
    "elimination orders": elimination_orders(weights_1, 1.0, 2.0),
    "a lambda": cost(lambda x: x + 1.0, 1.0),
}


class Cells(html.parser.HTMLParser):
    """The texts of the cells of a table, row by row, and its caption."""

    def __init__(self, text: str):
        super().__init__()
        self.rows: list[list[str]] = []
        self.caption = ""
        self.tag = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tag = tag
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.tag == "caption":
            self.caption += data
        else:
            self.rows[-1][-1] += data


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_notation_has_the_same_cells_and_the_caption(table: Tabulated) -> None:
    caption = table._caption()
    expected = [list(table._headers), *[[written_out(value) for value in row] for row in table._rows()]]
    assert str(table).startswith(caption + "\n")

    cells = Cells(table.html())
    assert (cells.rows, cells.caption) == (expected, caption)
    assert table._repr_html_() == table.html()

    title, empty, head, rules, *rows = [
        re.sub(r"\\([^A-Za-z0-9\s])", r"\1", row) for row in table.markdown().splitlines()
    ]
    assert title == f"**{caption}**".replace("<", "&lt;")
    assert not empty
    assert [row[2:-2].split(" | ") for row in (head, *rows)] == expected
    assert rules.count("|") == head.count("|")

    body = [row.removesuffix(r" \\") for row in table.latex().splitlines() if row.endswith(r"\\")]
    assert body[0] == rf"\multicolumn{{{len(expected[0])}}}{{l}}{{{latex_text(caption)}}}"
    assert [row.split(" & ") for row in body[1:]] == [[latex_text(cell) for cell in row] for row in expected]


def test_what_latex_would_misread_is_escaped() -> None:
    assert latex_text("a_b 50% {x} ~^ \\ <y> ...") == (
        r"a\_b 50\% \{x\} \textasciitilde{}\textasciicircum{} \textbackslash{} $<$y$>$ \dots{}"
    )
    assert "weights\\_1" in TABLES["cost"].latex()
    assert "weights\\_1" in TABLES["cost"].markdown()


def test_notes_stand_in_their_places() -> None:
    lines = latex_tabular("t", "ll", ["a", "b"], [["1", "2"], ["3", "4"]], {1: "left out"}).splitlines()
    assert lines[5:8] == [r"1 & 2 \\", r"\multicolumn{2}{l}{left out} \\", r"3 & 4 \\"]


def test_numbers_are_set_to_the_right() -> None:
    assert markdown_table("t", ["a", "b"], [["x", "1"]], numbers=True).splitlines()[3] == "| --- | ---: |"
    assert TABLES["cost"].latex().startswith(r"\begin{tabular}{lrr")
