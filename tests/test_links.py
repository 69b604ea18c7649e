"""What the pages for people point to is there: files, folders, headings of pages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
CODE = re.compile(r"^```.*?^```", re.DOTALL | re.MULTILINE)

#: A file or folder of the project, named from its root: in the text, with or without a link.
NAMED = re.compile(r"(?<![\w./:-])((?:benchmarks|docs|dualad|reversead|shared|tests|\.ci)/[\w./-]*\w)")


def text_of(page: Path) -> str:
    """A page without its blocks of code."""
    return CODE.sub("", page.read_text(encoding="utf-8"))


def anchors_of(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def missing_from(page: Path, text: str) -> list[str]:
    """What a page with that text links to or names, but is not there."""
    without_spans = re.sub(r"`[^`]*`", "", text)
    missing = []
    for target in re.findall(r"\]\(([^)\s]+)\)", without_spans):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        file = page.parent / path if path else page
        if not file.exists() or (anchor and anchor not in anchors_of(text if file == page else text_of(file))):
            missing.append(target)
    return missing + [path for path in NAMED.findall(text) if not (ROOT / path).exists()]


def test_there_are_pages() -> None:
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "how-it-works.md", "conventions.md"} <= {
        page.name for page in PAGES
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_a_page_links_to_or_names_exists(page: Path) -> None:
    assert missing_from(page, text_of(page)) == []


def test_what_is_missing_is_found() -> None:
    page = ROOT / "docs" / "counting.md"
    text = """# A page
[one](compiling.md) [two](../shared/core/levels.py), `shared/core/levels.py`, [three](#a-page), [four](../README.md#why)
[five](nowhere.md) [six](#nothing), `tests/test_nothing.py`, `f[i](x)`, https://a.example/docs/none.md
[seven](compiling.md#compiling) [eight](compiling.md#nothing)
"""
    assert missing_from(page, text) == [
        "../README.md#why", "nowhere.md", "#nothing", "compiling.md#nothing", "tests/test_nothing.py"
    ]  # fmt: skip
