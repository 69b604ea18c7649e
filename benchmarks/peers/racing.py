"""How a race is run: answers compared first, then calls in turns, the least of many counting; memory of the process.

This module knows no library: it is given adapters.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import interleaved_minimum
from benchmarks.peers.adapters import NotOffered, Peer
from benchmarks.peers.functions import Race
from benchmarks.speed import settle_allocator
from shared.calling.tree import flatten

#: What the derivative written by hand is called among the ways.
BY_HAND = "by hand"


@dataclass(frozen=True)
class Result:
    """What one library in one form did with one race; where it did nothing, why."""

    race: str
    label: str
    form: str
    package: str
    #: CPU seconds of one call, the least of many; None where there is no right answer.
    seconds: float | None = None
    #: Seconds from the user's function to the first answer: recording, compiling and running it, not importing.
    first_seconds: float | None = None
    #: The most memory that the process held during one call, beyond what it held before; None where unknown.
    peak_bytes: int | None = None
    #: The time of the derivative written by hand, taken in turns with this one.
    by_hand_seconds: float | None = None
    #: Why there is no figure: what the library has not, or its own words.
    refusal: str = ""

    @property
    def ratio(self) -> float | None:
        """The time in units of that written by hand; dimensionless."""
        if self.seconds is None or self.by_hand_seconds is None:
            return None
        return self.seconds / self.by_hand_seconds


def leaves(answer: Any, convert: Callable[[Any], Any]) -> list[Any]:
    """The arrays of an answer, in order, as NumPy's."""
    if isinstance(answer, (tuple, list)):
        return [leaf for part in answer for leaf in leaves(part, convert)]
    return [convert(answer)]


def agree(found: Sequence[Any], wanted: Sequence[Any]) -> bool:
    """Whether two lists of arrays are equal, to 10^-6 of each entry or to 10^-9 of the largest one.

    Shapes may differ in axes of length 1, since some libraries have matrices alone.
    """
    return len(found) == len(wanted) and all(
        np.size(got) == np.size(right)
        and np.allclose(
            np.reshape(got, np.shape(right)), right, rtol=1e-6, atol=1e-9 * float(np.max(np.abs(right), initial=0.0))
        )
        for got, right in zip(found, wanted, strict=True)
    )


def one_core() -> None:
    """Keep this process, and all its threads, on one core, where the system can: then a library has one thread."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def resident_peak(task: Callable[[], Any]) -> int | None:
    """The most bytes that the process held during `task()` beyond those before, whoever allocated them; None off Linux.

    The kernel counts them (VmHWM less VmRSS), so the allocators of every library count alike; memory that an allocator
    kept for later is handed back before.  Pages are counted in lots: below a megabyte it says nothing.
    """
    status, clear = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if sys.platform != "linux" or not clear.exists():
        return None
    task()
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)

    def kilobytes(name: str) -> int:
        (line,) = [line for line in status.read_text().splitlines() if line.startswith(name)]
        return int(line.split()[1])

    try:
        clear.write_text("5")
    except OSError:
        return None
    before = kilobytes("VmRSS")
    answer = task()
    peak = kilobytes("VmHWM")
    del answer
    return max(0, peak - before) * 1024


def first_line(error: BaseException) -> str:
    """What an error says, in one line that fits beside a table."""
    lines = str(error).strip().splitlines() or [""]
    text = f"{type(error).__name__}: {lines[0]}" if not isinstance(error, NotOffered) else lines[0]
    return text if len(text) <= 120 else text[:117] + "..."


def run_race(
    race: Race,
    peers: Sequence[Peer],
    *,
    rounds: int = 5,
    seconds_each: float = 0.03,
    small: bool = False,
    memory: bool = True,
) -> Iterator[Result]:
    """Race the libraries on one row; a result for each, in order.

    Each first gives its answer, which has to be the one by hand, while the clock takes the first call.  Those that are
    right then take turns (`benchmarks.measure.interleaved_minimum`).  A library that refuses, or is wrong, has a result
    that says so.
    """
    problem = race.problem(small=small)
    arguments = race.arguments(problem)
    along = problem.arguments[1] if race.quantity == "Hessian product" else None
    wanted = [np.asarray(leaf) for leaf in flatten(problem.by_hand(*problem.arguments))[0]]
    tasks: dict[str, Callable[[], Any]] = {BY_HAND: lambda: problem.by_hand(*problem.arguments)}
    first: dict[str, float] = {}
    refusals: dict[str, str] = {}
    for number, peer in enumerate(peers):
        key = str(number)
        start = time.perf_counter()
        try:
            call = peer.call(race.quantity, race.function, arguments, problem.constants, along)
            answer = call()
            first[key] = time.perf_counter() - start
            right = agree(leaves(answer, peer.numpy), wanted)
        # Whatever a library raises is its answer to this race.
        except Exception as error:
            refusals[key] = first_line(error)
            continue
        if right:
            tasks[key] = call
        else:
            refusals[key] = "gives another derivative than the one by hand"
    settle_allocator()
    seconds = interleaved_minimum(tasks, rounds=rounds, seconds_each=seconds_each)
    for number, peer in enumerate(peers):
        key = str(number)
        named = {"race": race.name, "label": peer.label, "form": peer.form, "package": peer.package}
        if key in refusals:
            yield Result(**named, refusal=refusals[key])
            continue
        yield Result(
            **named,
            seconds=seconds[key],
            first_seconds=first[key],
            peak_bytes=resident_peak(tasks[key]) if memory else None,
            by_hand_seconds=seconds[BY_HAND],
        )


def warm(peer: Peer) -> None:
    """Take one tiny derivative, so that no first call pays for what a library starts once in a process.

    A library that cannot take this one says so in the races.
    """
    from benchmarks.peers.functions import rosenbrock

    try:
        peer.call("gradient", rosenbrock, [np.array([0.5, 0.7])], [])()
    except Exception:
        return
