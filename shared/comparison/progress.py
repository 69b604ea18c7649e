"""A bar for long work: rich's where it is installed, one line otherwise, and nothing where nobody looks.

This module knows nothing of the work.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

#: Widths of the line without rich.
_BAR = 30


@contextmanager
def progress(text: str, total: int, show: bool | None = None) -> Iterator[Callable[[], None]]:
    """A function to call after each of `total` pieces of work, while which a bar on standard error goes on.

    `show` forces it on or off; by default it is shown on a terminal.

    >>> with progress("counting", 2, show=False) as advance:
    ...     advance()
    """
    if show is None:
        show = sys.stderr is not None and sys.stderr.isatty()
    if not show:
        yield lambda: None
        return
    try:
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import Progress
    except ImportError:
        yield from _line(text, total)
        return
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task: Any = bar.add_task(escape(text), total=total)
        yield lambda: bar.advance(task)


def _line(text: str, total: int) -> Iterator[Callable[[], None]]:
    done = 0

    def advance() -> None:
        nonlocal done
        done += 1
        filled = _BAR * done // max(total, 1)
        sys.stderr.write(f"\r{text} [{'#' * filled}{' ' * (_BAR - filled)}] {done}/{total}")
        sys.stderr.flush()

    try:
        yield advance
    finally:
        sys.stderr.write("\r" + " " * (len(text) + _BAR + 30) + "\r")
        sys.stderr.flush()
