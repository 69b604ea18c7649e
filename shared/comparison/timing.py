"""How a time is taken: the least CPU time of many interleaved calls.

This module knows nothing of derivatives: it measures callables without arguments.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)

#: Seconds of one sample: quick calls are repeated until the cost of reading the clock no longer shows.
SHORTEST_SAMPLE = 5e-4

#: A task that waits, or shares its core, spends more time than CPU time: up to so many times as much is given to it.
_MOST_WAITING = 4


def interleaved_minimum(
    tasks: Mapping[Key, Callable[[], object]],
    *,
    rounds: int = 5,
    seconds_each: float = 0.03,
    shortest_sample: float = SHORTEST_SAMPLE,
    done: Callable[[], object] | None = None,
) -> dict[Key, float]:
    """CPU seconds of one call of each task: the least over `rounds` turns of at least `seconds_each` seconds.

    The tasks take turns, so that a machine that slows down for a while slows all of them down; the minimum is
    the sample that was disturbed least.  CPU time, not elapsed time: another program on the same core is not
    counted.  The cyclic garbage collector stays as it is, on, as users run.  A task that takes longer than
    `seconds_each` is called once a turn, and one that takes ten times as long is called twice in all.  One that waits,
    for a file or another process, is given four times `seconds_each` a turn by the clock on the wall.  `done` is called
    after each task of each turn.

    >>> sorted(interleaved_minimum({"one": lambda: 1, "two": lambda: 2}, rounds=1, seconds_each=1e-3))
    ['one', 'two']
    """
    least: dict[Key, float] = {}
    calls: dict[Key, int] = {}
    elapsed: dict[Key, float] = {}
    for key, task in tasks.items():
        least[key], elapsed[key] = _seconds(task, 1)
        longest = max(least[key], elapsed[key] / _MOST_WAITING)
        calls[key] = max(1, round(shortest_sample / max(longest, 1e-7)))
    for turn in range(rounds):
        for key, task in tasks.items():
            if not turn or max(least[key], elapsed[key] / _MOST_WAITING) <= 10 * seconds_each:
                spent = 0.0
                while spent < seconds_each:
                    sample, waited = _seconds(task, calls[key])
                    spent += max(sample, waited / _MOST_WAITING)
                    least[key] = min(least[key], sample / calls[key])
                    elapsed[key] = min(elapsed[key], waited / calls[key])
            if done is not None:
                done()
    return least


def _seconds(task: Callable[[], object], calls: int) -> tuple[float, float]:
    """CPU seconds of `calls` calls of `task`, and the seconds that pass meanwhile."""
    began, start = time.perf_counter(), time.process_time()
    for _ in range(calls):
        task()
    return time.process_time() - start, time.perf_counter() - began
