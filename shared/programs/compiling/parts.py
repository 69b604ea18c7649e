"""A long text in parts: functions that are called one after another, which Python compiles one after another.

Python's compiler takes some six kilobytes a line until it is done with what it is given.  So a body of many lines is
written as several functions, each with what it reads of those before as its arguments, and what later ones read as its
results; and these are compiled one by one.  This module knows lines and names, and no programs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

#: Lines of a part.
_LENGTH = 2_000

_NAME = re.compile(r"\b[a-z]\w*")
_ASSIGNED = re.compile(r" *([a-z]\w*(?:, [a-z]\w*)*) = ")
_DEFINITION = re.compile(r"^(?=def (?:part\d+|call)\()", re.MULTILINE)


def in_parts(body: Sequence[str], given: Sequence[str], result: str) -> tuple[list[str], list[str]]:
    """The lines that define the parts of a body, and those that call them; a short body as it is.

    `given` are the names that the body finds, and `result` is the expression that is evaluated after it.
    """
    if len(body) <= _LENGTH:
        return [], list(body)
    chunks = list(_chunks(body))
    assigned = [_assigned(chunk) for chunk in chunks]
    mentioned = [_mentioned(chunk) for chunk in chunks]
    needed, later = [set[str]()] * len(chunks), set(_NAME.findall(result))
    for k in range(len(chunks) - 1, -1, -1):
        needed[k], later = later, later | mentioned[k]
    known = set(given)
    definitions: list[str] = []
    calls: list[str] = []
    for k, chunk in enumerate(chunks):
        read, left = sorted(mentioned[k] & known), sorted(assigned[k] & needed[k])
        end = [f"    return {', '.join(left)}"] if left else []
        definitions += [f"def part{k}({', '.join(read)}):", *[f"    {line}" for line in chunk], *end, "", ""]
        calls.append(f"{', '.join(left)}{' = ' if left else ''}part{k}({', '.join(read)})")
        known |= assigned[k]
    return definitions, calls


def definitions(text: str) -> list[str]:
    """A text cut before each of its parts, if it is long."""
    return _DEFINITION.split(text) if text.count("\n") > _LENGTH else [text]


def _chunks(body: Sequence[str]) -> Iterator[list[str]]:
    """Pieces of a body, none of which begins within a block."""
    chunk: list[str] = []
    for line in body:
        if len(chunk) >= _LENGTH and not line.startswith(" "):
            yield chunk
            chunk = []
        chunk.append(line)
    yield chunk


def _assigned(lines: Sequence[str]) -> set[str]:
    found = [match[1] for match in map(_ASSIGNED.match, lines) if match is not None]
    return {name for names in found for name in names.split(", ")}


def _mentioned(lines: Sequence[str]) -> set[str]:
    return {name for line in lines for name in _NAME.findall(line.partition("  # ")[0])}
