"""The user's source, as far as a program ran over it: the functions that its lines are in.

This module reads what Python has read already (`linecache`), and knows no program.
"""

from __future__ import annotations

import ast
import linecache
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from shared.core.visible import one_line

_WHERE = re.compile(r" \(at (.*):([0-9]+)\)", re.DOTALL)
#: No more lines than this of one function are shown, and no more functions.
_MOST_LINES, _MOST_BLOCKS = 80, 6


@dataclass(frozen=True)
class Block:
    """Some lines of the file at `path`, the first of which has the number `first`; `key` tells it from the others.

    A page shows `file`, the name without its folders.
    """

    key: str
    path: str
    file: str
    first: int
    lines: tuple[str, ...]


def place_of(where: str) -> tuple[str, int] | None:
    """The file and line of a step.

    >>> place_of(" (at /home/ada/model.py:12)"), place_of("")
    (('/home/ada/model.py', 12), None)
    """
    found = _WHERE.fullmatch(where)
    return (found[1], int(found[2])) if found else None


def blocks(wheres: Iterable[str]) -> list[Block]:
    """The functions that these places are in, the file's own lines where they are in none; none without a source."""
    wanted: dict[str, list[int]] = {}
    for where in wheres:
        place = place_of(where)
        if place is not None and place[1] not in wanted.setdefault(place[0], []):
            wanted[place[0]].append(place[1])
    found: list[Block] = []
    for file, numbers in wanted.items():
        lines = linecache.getlines(file)
        if not lines:
            continue
        for first, last in _spans(lines, sorted(numbers)):
            shown = tuple(one_line(line.rstrip("\n").expandtabs(4)) for line in lines[first - 1 : last])
            found.append(Block(str(len(found)), file, one_line(os.path.basename(file)), first, _dedented(shown)))
    return found[:_MOST_BLOCKS]


def _dedented(lines: tuple[str, ...]) -> tuple[str, ...]:
    indents = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    least = min(indents, default=0)
    return tuple(line[least:] for line in lines)


def _spans(lines: list[str], numbers: list[int]) -> list[tuple[int, int]]:
    """The first and last line of the functions that lines are in, shortened to what was run where they are long."""
    found: dict[tuple[int, int], list[int]] = {}
    functions = _functions("".join(lines))
    for number in numbers:
        around = [span for span in functions if span[0] <= number <= span[1]]
        span = min(around, key=lambda span: span[1] - span[0]) if around else (number, number)
        found.setdefault(span, []).append(number)
    spans: list[tuple[int, int]] = []
    for (first, last), inside in sorted(found.items()):
        if last - first >= _MOST_LINES:
            first, last = max(first, inside[0] - 2), min(last, inside[0] + _MOST_LINES)
        if spans and spans[-1][0] <= first and last <= spans[-1][1]:
            continue
        if spans and first <= spans[-1][1] + 1 and last - spans[-1][0] < _MOST_LINES:
            spans[-1] = (spans[-1][0], max(last, spans[-1][1]))
            continue
        spans.append((first, min(last, len(lines))))
    return spans


@lru_cache(maxsize=8)
def _functions(text: str) -> list[tuple[int, int]]:
    """The first and the last line of every function of a file."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return []
    found = []
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)) and node.end_lineno is not None:
            first = min([node.lineno, *[d.lineno for d in getattr(node, "decorator_list", ())]])
            found.append((first, node.end_lineno))
    return found


def line_key(found: list[Block], where: str) -> str:
    """The key of a line on the page: that of its block and its number; "" where it is not shown."""
    place = place_of(where)
    if place is None:
        return ""
    for block in found:
        if block.path == place[0] and block.first <= place[1] < block.first + len(block.lines):
            return f"{block.key}:{place[1]}"
    return ""


__all__ = ["Block", "blocks", "line_key"]
