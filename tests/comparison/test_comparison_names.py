"""Names that look like markup or code are text in a comparison, wherever it shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hostile_names import NAMES, visible
from reading_markup import READERS

import dualad
import reversead
from shared import compare
from shared.comparison import Growth, ModeComparison
from shared.comparison.agreement import Parting
from shared.comparison.progress import progress
from shared.core.visible import one_line, shortened


def loop(x: Any) -> Any:
    for _ in range(6):
        x = np.sin(x) * x
    return np.sum(x)


@pytest.fixture(scope="module")
def found() -> ModeComparison:
    return compare(loop, np.ones(3), engines=(dualad, reversead), seconds=0.02, show_progress=False)


def named(found: ModeComparison, name: str) -> ModeComparison:
    """A comparison that shows a name wherever one of the user's can stand, as its parts make it."""
    name = shortened(one_line(name), 60)
    assert found.memory is not None
    memory = replace(
        found.memory, function=name, where=f" (at {name}.py:1)",
        kept=tuple(replace(row, line=f"{name}.py:1") for row in found.memory.kept),
    )  # fmt: skip
    parting = Parting(0, name, f" (at {name}.py:1)", f"the first to part is operation 1, {name} (at {name}.py:1)")
    return replace(
        found, function=name, memory=memory,
        figures=tuple(replace(row, note=f"ValueError: {name}") for row in found.figures),
        agreement=replace(found.agreement, derivatives=1.0, parting=parting),
        advice=replace(found.advice, reason=f"2 inputs: {name} (2 numbers) forwards"),
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_stay_text(found: ModeComparison, name: str) -> None:
    ours, other = named(found, name), named(found, "n" * min(max(len(one_line(name)), 1), 60))
    for language, texts in {
        "plain": (str(ours), str(other)),
        "markdown": (ours.markdown(), other.markdown()),
        "html": (ours._repr_html_(), other._repr_html_()),
    }.items():
        document, expected = (READERS[language](text) for text in texts)
        assert document.parts == expected.parts, texts[0][:2000]
        texts[0].encode("utf-8")
        if len(name) < 30 and name.strip():
            assert visible(name).strip() in document.text


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_stay_text_where_sizes_grow(name: str) -> None:
    found, other = (
        Growth(function, (1, 2), (1, 1), (3, 6), {"gradient, reverse": (2.0, 2.0)})
        for function in (shortened(one_line(name), 60), "name")
    )
    for language in ("plain", "markdown", "html", "latex"):
        texts = [str(table) if language == "plain" else getattr(table, language)() for table in (found, other)]
        documents = [READERS[language](text) for text in texts]
        assert documents[0].parts == documents[1].parts


def test_a_bar_shows_names_as_they_are(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress("[red]x[/] [/]", 1, show=True) as advance:
        advance()
    assert "[red]x[/] [/]" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["$x$", r"$\input{x}$", "\x1b[31m", "\ud800", "名 x_1^2"])
def test_a_picture_shows_names_as_they_are(found: ModeComparison, name: str, tmp_path: Any) -> None:
    canvas = named(found, name).plot()
    assert canvas.get_suptitle() == f"{one_line(name)}: 3 inputs, 1 output"
    assert not canvas._suptitle.get_parse_math()
