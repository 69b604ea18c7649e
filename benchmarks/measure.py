"""How a figure is taken: the least CPU time of many interleaved calls, and the most memory held during one.

This module knows nothing of derivatives, workloads or asv: it measures callables without arguments.
"""

import gc
import tracemalloc
from collections.abc import Callable

from shared.comparison.timing import interleaved_minimum

__all__ = ["interleaved_minimum", "peak_bytes"]


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
