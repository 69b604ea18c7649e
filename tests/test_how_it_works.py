"""The page that explains the library: its code runs, and everything printed there is what is printed.

Where the library changes its path or its size, the page has to be read again.  `python -m tests.test_how_it_works`
writes what its code prints now; the text around is nobody's but the writer's.
"""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "how-it-works.md"
PAGE = DOCUMENT.read_text(encoding="utf-8")
BLOCK = re.compile(r"```(python|pycon)\n(.*?)```", re.DOTALL)


def as_run(page: str) -> str:
    """The page with what its examples print now."""
    scope: dict[str, Any] = {"__name__": "page"}

    def run(match: re.Match[str]) -> str:
        kind, body = match.groups()
        if kind == "python":
            exec(compile(body, DOCUMENT.name, "exec"), scope)
            return match.group()
        shown = ""
        for example in doctest.DocTestParser().get_examples(body):
            first, *others = example.source.splitlines()
            shown += "\n".join([f">>> {first}", *[f"... {line}" for line in others]]) + "\n"
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(example.source, DOCUMENT.name, "single"), scope)
            shown += printed.getvalue()
        return f"```{kind}\n{shown}```"

    return BLOCK.sub(run, page)


def section(name: str) -> str:
    """The text below a heading, up to the next one of the same rank or above."""
    start = re.search(rf"^(#+) {re.escape(name)}\n", PAGE, re.MULTILINE)
    assert start is not None, name
    rest = PAGE[start.end() :]
    end = re.search(rf"^#{{1,{len(start[1])}}} ", re.sub(r"```.*?```", lambda m: "`" * len(m[0]), rest, flags=re.DOTALL), re.MULTILINE)  # fmt: skip
    return rest if end is None else rest[: end.start()]


def test_the_examples_print_what_the_page_says() -> None:
    assert as_run(PAGE) == PAGE


if __name__ == "__main__":
    DOCUMENT.write_text(as_run(PAGE), encoding="utf-8")
