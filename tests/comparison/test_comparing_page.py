"""The page docs/comparing.md: its code runs and prints what the page shows, and what else it says is so."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

import pytest

import dualad
import reversead
from shared.comparison import growth
from shared.core.registry import REGISTRY

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").exists())
PAGE = (ROOT / "docs" / "comparing.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def scope() -> Any:
    """What the examples leave behind, each of which prints what the page shows."""
    known, names = set(REGISTRY), {"__name__": "page"}
    for code, shown in EXAMPLES:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(compile(code, "page.py", "exec"), names)
        assert printed.getvalue() == shown
    for function in set(REGISTRY) - known:
        del REGISTRY[function]
    return names


def test_the_page_runs_and_prints_what_it_shows(scope: Any) -> None:
    assert len(EXAMPLES) >= 7


def test_counts_in_the_long_table_are_those_of_a_run(scope: Any) -> None:
    (table,) = re.findall(r"```console\n(heat: 61 .*?)\n\n", PAGE, re.DOTALL)
    shown = {line[:36].strip(): line[36:].split()[0] for line in table.splitlines()[1:]}
    for figure in scope["found"].figures:
        name = figure.group if figure.name == "as it is" else f"{figure.group}, {figure.name}"
        assert shown.pop(name) == f"{figure.operations:,}"
    assert list(shown) == ["derivative"]


def test_the_contents_list_every_section() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]
    assert re.findall(r"- \[([^]]*)\]\(#([^)]*)\)", PAGE) == list(zip(headings, anchors, strict=True))


def test_the_table_of_the_grid_adds_up() -> None:
    rows = re.findall(r"^\| .* \| (\d+\.\d\d) \| [^|]* \| (yes|NO) \|$", PAGE, re.MULTILINE)
    hits, count = map(int, re.findall(r"^(\d+) of (\d+) \(\d+%\) are the fastest or within", PAGE, re.MULTILINE)[0])
    assert len(rows) == count >= 60 and sum(hit == "yes" for _, hit in rows) == hits
    # What is printed is rounded.
    assert all((float(apart) <= 1.205) >= (hit == "yes") for apart, hit in rows)


def test_growth_is_flat_in_reverse_and_rises_forwards(scope: Any, tmp_path: Path) -> None:
    network = scope["network"]
    exponents = network.exponents
    assert abs(exponents["gradient, reverse"]) < 0.02 and abs(exponents["Hessian-vector product"]) < 0.02
    assert exponents["gradient, forward"] == pytest.approx(1.0, abs=0.02)
    assert exponents["gradient, differences"] == pytest.approx(1.0, abs=0.01)
    for text in (network.markdown(), network.html(), network.latex()):
        assert "n = 10,000" in text and "grows like" in text
    canvas = network.plot(tmp_path / "growth.png")
    assert len(canvas.axes[0].lines) == 1 + len(network.ratios)
    assert (tmp_path / "growth.png").read_bytes().startswith(b"\x89PNG")


def test_growth_needs_two_sizes_and_something_to_count() -> None:
    engines: Any = (dualad, reversead)
    with pytest.raises(ValueError, match=r"at least two sizes, not \[3\]"):
        growth(lambda n: (abs, 1.0), [3], engines=engines)
    with pytest.raises(ValueError, match=r"<lambda> computes nothing with its arguments.*test_comparing_page.py"):
        growth(lambda n: (lambda x: x, 1.0), [3, 4], engines=engines)
