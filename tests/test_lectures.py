"""The lectures: their code runs, and prints what the chapters show.

`python -m tests.executed_pages` writes what the code prints now; the text around that is for people to mend.
"""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from xml.etree import ElementTree

import pytest
from executed_pages import LECTURES as CHAPTERS
from executed_pages import as_run

LECTURES = Path(__file__).parent.parent / "docs" / "lectures"
INDEX = LECTURES / "README.md"


def heading(chapter: Path) -> str:
    return chapter.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_a_chapter_prints_what_it_shows(chapter: Path) -> None:
    page = chapter.read_text(encoding="utf-8")
    assert as_run(page, chapter.name) == page


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.stem)
def test_every_exercise_has_a_folded_solution_with_code(chapter: Path) -> None:
    exercises = chapter.read_text(encoding="utf-8").partition("\n## Exercises\n")[2].partition("\n## ")[0]
    questions = re.split(r"^\*\*\d+\.\*\* ", exercises, flags=re.MULTILINE)[1:]
    assert len(questions) >= 3
    assert re.findall(r"^\*\*(\d+)\.\*\* ", exercises, re.MULTILINE) == [str(k + 1) for k in range(len(questions))]
    for question in questions:
        _, opened, solution = question.partition("<details>\n<summary>Solution</summary>\n\n")
        assert opened and "```pycon\n" in solution and solution.rstrip().endswith("\n</details>"), question


def test_the_index_lists_every_chapter_in_order() -> None:
    listed = re.findall(r"^(\d+)\. \[(.*)\]\((.*)\)", INDEX.read_text(encoding="utf-8"), re.MULTILINE)
    assert [(f"{number}. {title}", file) for number, title, file in listed] == [
        (heading(chapter), chapter.name) for chapter in CHAPTERS
    ]


def test_the_drawings_are_current_and_each_is_shown() -> None:
    # run_path leaves no compiled file behind
    script = runpy.run_path(str(LECTURES / "draw.py"))
    made = dict(script["drawings"]())
    assert {path.stem for path in LECTURES.glob("*.dot")} == made.keys()
    for name, drawing in made.items():
        kept = (LECTURES / f"{name}.dot").read_text(encoding="utf-8")
        assert drawing.dot == kept, f"{name}: run python docs/lectures/draw.py"
    texts, figures = {"chain": script["chain"]()}, set()
    for module in LECTURES.glob("draw_*.py"):
        pictures = runpy.run_path(str(module))
        texts |= pictures["svgs"]()
        figures |= set(pictures.get("FIGURES", ()))
    for name, svg in texts.items():
        assert (LECTURES / f"{name}.svg").read_text(encoding="utf-8") == svg, f"{name}: run make figures"
    svgs = {path.name for path in LECTURES.glob("*.svg")}
    assert svgs == {f"{name}.svg" for name in (*made, *texts)}
    for name in svgs:
        assert ElementTree.parse(LECTURES / name).getroot().tag.endswith("svg")
    pngs = {path.name: path for path in LECTURES.glob("*.png")}
    assert pngs.keys() == {f"{name}.png" for name in figures}
    for name, path in pngs.items():
        assert path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n" and path.stat().st_size < 100_000, name
    text = "".join(chapter.read_text(encoding="utf-8") for chapter in CHAPTERS)
    assert set(re.findall(r"^!\[[^]]*\]\(([^/)]*\.(?:svg|png))\)", text, re.MULTILINE)) == svgs | pngs.keys()
