"""The options of transforms that need several directions: how many go together, and who evaluates them.

They are checked when a transform is made, not when it is called.  This module knows no directions and no executor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.core.errors import user_line
from shared.core.visible import shown


def checked_options(name: str, chunk_size: int | None, executor: Any) -> None:
    """Refuse what `chunk_size` and `executor` cannot be; without them nothing is checked."""
    if chunk_size is not None:
        checked_chunk_size(name, chunk_size)
    if executor is not None:
        checked_executor(name, executor)


def checked_chunk_size(name: str, chunk_size: int) -> None:
    """Refuse a chunk size that is no positive integer."""
    if isinstance(chunk_size, bool) or not isinstance(chunk_size, (int, np.integer)):
        raise TypeError(f"{name}: chunk_size must be an integer or None, not {chunk_size!r}{user_line()}")
    if chunk_size < 1:
        raise ValueError(f"{name}: chunk_size={chunk_size}{user_line()}, but a chunk has 1 direction or more")


def checked_executor(name: str, executor: Any) -> None:
    """Refuse an executor that takes no work: an executor class, a `multiprocessing.Pool`, a number of workers."""
    if executor is not None and (isinstance(executor, type) or not callable(getattr(executor, "submit", None))):
        raise TypeError(
            f"{name}: executor must be a concurrent.futures.Executor, such as ProcessPoolExecutor(), not "
            f"{shown(executor)}{user_line()}"
        )
