"""The page about compiling: its code runs, and prints what the page says."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parents[2] / "docs" / "compiling.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(python|text)\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_print_what_the_page_says() -> None:
    scope: dict[str, Any] = {"__name__": "page"}
    printed = expected = ""
    for kind, block in BLOCKS:
        if kind == "python":
            with contextlib.redirect_stdout(io.StringIO()) as out:
                exec(block, scope)
            printed += out.getvalue().strip() + "\n"
        else:
            expected += block.strip() + "\n"
    assert printed.split() == expected.split()


def test_the_contents_list_every_section() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    links = re.findall(r"^- \[(.*)\]\(#(.*)\)$", PAGE, re.MULTILINE)
    assert links == [(h, re.sub(r"[^\w -]", "", h).lower().replace(" ", "-")) for h in headings]
