"""Pages whose code is run: every block of Python, and every session with what it prints.

`python -m tests.executed_pages` writes into all of them what their code prints now; paths as arguments choose some.
The text around that is for people to mend.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import re
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent / "docs"
LECTURES = sorted((DOCS / "lectures").glob("[0-9]*.md"))
PAGES = [*(DOCS / f"{name}.md" for name in ("how-it-works", "coming-from", "reproductions")), *LECTURES]
BLOCK = re.compile(r"```(python|pycon)\n(.*?)```", re.DOTALL)


def as_run(page: str, name: str) -> str:
    """The page of that file name with what its examples print now."""
    scope: dict[str, Any] = {"__name__": "page"}

    def run(match: re.Match[str]) -> str:
        kind, body = match.groups()
        if kind == "python":
            exec(compile(body, name, "exec"), scope)
            return match.group()
        session = ""
        for example in doctest.DocTestParser().get_examples(body):
            first, *others = example.source.splitlines()
            session += "\n".join([f">>> {first}", *[f"... {line}".rstrip() for line in others]]) + "\n"
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(example.source, name, "single"), scope)
            session += printed.getvalue()
        return f"```{kind}\n{session}```"

    return BLOCK.sub(run, page)


if __name__ == "__main__":
    for path in [Path(argument) for argument in sys.argv[1:]] or PAGES:
        path.write_text(as_run(path.read_text(encoding="utf-8"), path.name), encoding="utf-8")
