"""How a figure is taken: the least CPU time of many interleaved calls, and the most memory held during one.

This module knows nothing of derivatives, workloads or asv: it measures callables without arguments.
"""

import gc
import time
import tracemalloc
from collections.abc import Callable, Hashable, Mapping
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)

#: Seconds of one sample: quick calls are repeated until the cost of reading the clock no longer shows.
SHORTEST_SAMPLE = 5e-4


def interleaved_minimum(
    tasks: Mapping[Key, Callable[[], object]], *, rounds: int = 5, seconds_each: float = 0.03
) -> dict[Key, float]:
    """CPU seconds of one call of each task: the least over `rounds` turns of at least `seconds_each` seconds.

    The tasks take turns, so that a machine that slows down for a while slows all of them down; the minimum is
    the sample that was disturbed least.  CPU time, not elapsed time: another program on the same core is not
    counted.  The cyclic garbage collector stays as it is, on, as users run.  A task that takes longer than
    `seconds_each` is called once a turn, and one that takes ten times as long is called twice in all.
    """
    least: dict[Key, float] = {}
    calls: dict[Key, int] = {}
    for key, task in tasks.items():
        seconds = _seconds(task, 1)
        calls[key] = max(1, round(SHORTEST_SAMPLE / max(seconds, 1e-7)))
        least[key] = seconds
    for turn in range(rounds):
        for key, task in tasks.items():
            if turn and least[key] > 10 * seconds_each:
                continue
            spent = 0.0
            while spent < seconds_each:
                sample = _seconds(task, calls[key])
                spent += sample
                least[key] = min(least[key], sample / calls[key])
    return least


def _seconds(task: Callable[[], object], calls: int) -> float:
    """CPU seconds of `calls` calls of `task`."""
    start = time.process_time()
    for _ in range(calls):
        task()
    return time.process_time() - start


def peak_bytes(task: Callable[[], object]) -> int:
    """The most bytes that Python and NumPy held at once during one call of `task`, beyond those held before.

    The cyclic collector is off meanwhile, so that garbage in reference cycles counts as what it is, memory
    that is still held.  The first call of a task may fill caches, so one call goes before, unmeasured.
    """
    task()
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        task()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        if collecting:
            gc.enable()
    return peak - before
