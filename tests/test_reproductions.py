"""The pages of published numbers and of other libraries' calls: their code runs, their tables say what it prints."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from executed_pages import BLOCK, DOCS, as_run

REPRODUCTIONS = (DOCS / "reproductions.md").read_text(encoding="utf-8")
COMING_FROM = (DOCS / "coming-from.md").read_text(encoding="utf-8")


def rows(page: str) -> list[list[str]]:
    """The cells of the rows of a page's tables, without their heads."""
    lines = [line for line in page.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]


@pytest.mark.parametrize("name", ["reproductions.md", "coming-from.md"])
def test_a_page_prints_what_it_shows(name: str) -> None:
    page = (DOCS / name).read_text(encoding="utf-8")
    assert as_run(page, name) == page


@pytest.mark.parametrize("row", rows(REPRODUCTIONS), ids=lambda row: row[0][:60])
def test_our_figures_are_printed_in_the_section_that_the_row_leads_to(row: list[str]) -> None:
    what, published, ours, where = row
    anchor = where.partition("(#")[2].removesuffix(")")
    sections = {
        re.sub(r"[^\w -]", "", part.partition("\n")[0]).lower().replace(" ", "-"): part
        for part in REPRODUCTIONS.split("\n## ")
    }
    printed = "\n".join(
        line
        for _, body in BLOCK.findall(sections[anchor])
        for line in body.splitlines()
        if not line.startswith((">", "."))
    )
    figures = re.findall(r"(?<![\w.])-?\d[\d,]*\.?\d*(?:e-\d+)?(?![\w.])", ours.replace("1e-14", ""))
    for figure in figures:
        assert re.search(rf"(?<![\d.,]){re.escape(figure.rstrip(','))}(?![\d.])", printed), (what, figure)
    assert figures or "True" in ours or ours.startswith("none"), row
    assert published


def test_the_four_equations_hold_in_both_engines() -> None:
    assert REPRODUCTIONS.count("[True, True, True, True]\n") == 2


# --- the calls of other libraries -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scope() -> dict[str, Any]:
    found: dict[str, Any] = {"__name__": "page"}
    exec(next(body for kind, body in BLOCK.findall(COMING_FROM) if kind == "python"), found)
    return found


CALLS = {row[0]: row[1:] for row in rows(COMING_FROM)}


@pytest.mark.parametrize("what", CALLS)
def test_our_call_runs(what: str, scope: dict[str, Any]) -> None:
    ours, *theirs = CALLS[what]
    code = re.fullmatch(r"`([^`]+)`", ours)
    assert code and len(theirs) == 4
    assert eval(code[1], dict(scope)) is not None or code[1].startswith("print(")


def test_calls_for_one_thing_agree(scope: dict[str, Any]) -> None:
    """The products with the Hessian and the Jacobians are each one number, whatever the call."""

    def value(what: str) -> Any:
        return eval(CALLS[what][0].strip("`"), dict(scope))

    np.testing.assert_allclose(value("a Hessian times v"), value("the same in one call"), rtol=1e-12)
    np.testing.assert_allclose(value("a Hessian times v"), value("a Hessian") @ scope["v"], rtol=1e-12)
    np.testing.assert_allclose(value("a Jacobian, by columns"), value("a Jacobian, by rows"), rtol=1e-12)
    np.testing.assert_allclose(value("J v, forwards")[1], value("a Jacobian, by rows") @ scope["v"], rtol=1e-12)
    np.testing.assert_allclose(value("a compiled function"), value("a gradient"), rtol=1e-12)
