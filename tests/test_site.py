"""The site: links led to pages of the code, a navigation that finds every page, a reference with every public name, and
a check that finds dead links.  That Sphinx takes all of it without a warning is what `make docs` says.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import dualad
import reversead
import shared

ROOT = Path(__file__).parent.parent
SITE = ROOT / "docs" / "site"


def module(name: str) -> dict[str, Any]:
    # run_path leaves no compiled file behind
    return runpy.run_path(str(SITE / f"{name}.py"))


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = tmp_path_factory.mktemp("site") / "sources"
    module("staging")["stage"](ROOT, sources, [])
    return sources


def linked(text: str, page: str = "docs/page.md") -> tuple[str, set[str]]:
    shown: set[Path] = set()
    return module("staging")["with_links_staged"](text, ROOT / page, ROOT, shown), {path.as_posix() for path in shown}


def test_links_to_code_lead_to_pages_of_it_and_links_to_pages_stay() -> None:
    text, shown = linked(
        "[a](../shared/core/sweep.py), [b](../shared/core) [c](recipes.md#roots) [d](https://a.example/)"
    )
    assert text == (
        "[a](../source/shared/core/sweep.py.md), [b](../source/shared/core.md) [c](recipes.md#roots) "
        "[d](https://a.example/)"
    )
    assert shown == {"shared/core/sweep.py", "shared/core"}


def test_the_readme_is_the_front_page_and_pictures_stay_where_they_are() -> None:
    assert (
        linked("[a](../README.md#which-engine), ![b](growth.png)")[0]
        == "[a](../index.md#which-engine), ![b](growth.png)"
    )
    assert linked("[a](docs/recipes.md)", "README.md") == ("[a](docs/recipes.md)", set())


def test_what_looks_like_a_link_in_code_is_none() -> None:
    text = "`f[0](README.md)`\n\n```python\nf[0](../shared/core)\n```\n\n[a](../LICENSE)"
    assert linked(text) == (text.replace("../LICENSE", "../source/LICENSE.md"), {"LICENSE"})


def test_every_page_is_in_the_navigation(staged: Path) -> None:
    trees = "\n".join(path.read_text(encoding="utf-8").partition("```{toctree}")[2] for path in staged.rglob("*.md"))
    entries = set(trees.replace("<", "\n").replace(">", "\n").split())
    for page in ROOT.glob("docs/*.md"):
        assert f"docs/{page.stem}" in entries, page.name
    # A pattern, for chapters that are still to come.
    assert "[0-9]*" in entries and "docs/lectures/README" in entries


def test_a_page_that_no_section_names_is_a_guide(tmp_path: Path) -> None:
    (tmp_path / "docs" / "lectures").mkdir(parents=True)
    for name in ("README.md", "docs/new-page.md", "docs/recipes.md", "docs/lectures/README.md"):
        (tmp_path / name).write_text("# Title\n\nThe first paragraph, [linked](nowhere.md).\n\nThe second.\n", "utf-8")
    module("staging")["stage"](tmp_path, tmp_path / "sources", [])
    guides = (tmp_path / "sources" / "guides.md").read_text(encoding="utf-8")
    assert "[**Title**](docs/new-page.md): The first paragraph, linked.\n" in guides
    assert guides.index("docs/recipes\n") < guides.index("docs/new-page\n")


def test_what_a_folder_holds_is_listed_and_a_file_shown(staged: Path) -> None:
    assert "- `sweep.py`: " in (staged / "source/shared/core.md").read_text(encoding="utf-8")
    shown = (staged / "source/shared/core/sweep.py.md").read_text(encoding="utf-8")
    assert (ROOT / "shared/core/sweep.py").read_text(encoding="utf-8") in shown


def test_the_reference_has_every_public_name(tmp_path: Path) -> None:
    module("reference")["write"](tmp_path / "api")
    text = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "api").glob("*.rst"))
    for package in (dualad, reversead, shared):
        for name in package.__all__:
            # A room is a page; and one that can be called is named there, too.
            is_room = isinstance(getattr(package, name), ModuleType)
            assert (f"{package.__name__}.{name}\n=" if is_room else f":: {package.__name__}.{name}\n") in text, name
    assert (
        ".. autofunction:: shared.networks.training.train\n" in text and ".. autoexception:: shared.ShapeError" in text
    )


def test_dead_links_and_what_comes_from_elsewhere_are_found(tmp_path: Path) -> None:
    (tmp_path / "one.html").write_text(
        '<a id="here"></a><a href="#here">a</a><a href="two.html#there">b</a><a href="https://a.example/">c</a>'
        '<a href="three.html">d</a><a href="two.html#nowhere">e</a><script src="https://cdn.example/x.js"></script>'
        '<link rel="stylesheet" href="//fonts.example/x.css"><img src="gone.png"><img src="data:image/png;base64,AA">',
        encoding="utf-8",
    )
    (tmp_path / "two.html").write_text('<h1 id="there">There</h1>', encoding="utf-8")
    (tmp_path / "x.css").write_text("@import url('https://fonts.example/y.css'); a { color: red }", encoding="utf-8")
    assert module("links")["faults"](tmp_path) == [
        "one.html: loads https://cdn.example/x.js from elsewhere",
        "one.html: loads //fonts.example/x.css from elsewhere",
        "one.html: three.html is not there",
        "one.html: two.html#nowhere has no such place",
        "one.html: gone.png is not there",
        "x.css: loads https://fonts.example/y.css from elsewhere",
    ]


def test_microscopes_are_embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Page:
        def save(self, path: str) -> None:
            Path(path).write_text("<p>a microscope</p>", encoding="utf-8")

    microscopes = module("microscopes")
    monkeypatch.setattr(shared, "page", lambda f, *args: Page())
    assert microscopes["write"](tmp_path / "sources") == ["docs/microscopes"]
    text = (tmp_path / "sources" / "docs" / "microscopes.md").read_text(encoding="utf-8")
    microscopes["copy"](tmp_path / "sources", tmp_path / "site")
    for name in microscopes["programs"]():
        assert f'src="../microscopes/{name}.html"' in text
        assert (tmp_path / "site" / "microscopes" / f"{name}.html").exists()


def test_a_folder_that_is_no_site_is_not_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (tmp_path / "thesis.txt").write_text("years", encoding="utf-8")
    build = module("build")["build"]
    for output in (tmp_path, tmp_path / "thesis.txt"):
        (fault,) = build(output)
        assert fault.startswith(f"{output} is no site")
    assert (tmp_path / "thesis.txt").read_text(encoding="utf-8") == "years"
