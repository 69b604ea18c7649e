"""`python -m benchmarks.speed`: what automatic differentiation costs beside the derivative written by hand.

Each workload of `benchmarks.handwritten` is timed as an engine differentiates it and as one writes it by
hand: in one process, in turns, Python's cyclic collector on, the least of many samples. The ratio of the two
is what counts, since a slow machine slows both. Gradients are taken by `reversead`, directional derivatives
by `dualad`. This module knows nothing of how an engine works, and runs nothing at import.
"""

import argparse
import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

import numpy as np

import dualad
import reversead
from benchmarks.handwritten import WORKLOADS, Problem, Workload
from shared.tree import flatten

SHORTEST_SAMPLE = 0.01
"""Seconds a sample lasts at least, so that the collector's passes fall into samples and not between them."""


@dataclass(frozen=True)
class Measurement:
    """A workload's figures: seconds a call, or bytes at the peak where the quantity is peak memory."""

    name: str
    quantity: str
    by_hand: float
    engine: float
    operations: int | None
    target: float | None
    operation_target: float | None

    @property
    def ratio(self) -> float:
        """The engine's figure over the hand-written one; dimensionless."""
        return self.engine / self.by_hand

    @property
    def microseconds_an_operation(self) -> float | None:
        """The engine's time for one operation with its derivative; None where that says nothing."""
        if self.operations is None or self.quantity != "time":
            return None
        return self.engine / self.operations * 1e6

    @property
    def reached(self) -> bool:
        """Whether every target of the workload is met."""
        an_operation = self.microseconds_an_operation
        slow = self.target is not None and self.ratio > self.target
        slow_operation = (
            self.operation_target is not None and an_operation is not None and an_operation > self.operation_target
        )
        return not (slow or slow_operation)


def by_engine(workload: Workload, problem: Problem) -> Callable[[], Any]:
    """Return the call that has an engine do what `problem.by_hand` does: the same value and derivative."""
    if workload.transform == "jvp":
        primal, tangent = problem.arguments
        return lambda: dualad.jvp(problem.function, (primal,), (tangent,))
    transformed = reversead.value_and_grad(problem.function)
    return lambda: transformed(*problem.arguments)


@contextmanager
def collector(enabled: bool) -> Iterator[None]:
    """Switch Python's cyclic collector on or off for a while; asv, for one, hands it over switched off."""
    was_enabled = gc.isenabled()
    gc.collect()
    (gc.enable if enabled else gc.disable)()
    try:
        yield
    finally:
        (gc.enable if was_enabled else gc.disable)()


def seconds_a_call(call: Callable[[], Any], calls: int) -> float:
    """Return the mean duration of `calls` calls made in a row."""
    start = time.perf_counter()
    for _ in range(calls):
        call()
    return (time.perf_counter() - start) / calls


def least_seconds(calls: Sequence[Callable[[], Any]], repeat: int) -> list[float]:
    """Return the least duration of each call, of `repeat` samples taken in turns."""
    numbers = [max(1, round(SHORTEST_SAMPLE / seconds_a_call(call, 2))) for call in calls]
    samples = [
        [seconds_a_call(call, number) for call, number in zip(calls, numbers, strict=True)] for _ in range(repeat)
    ]
    return [min(column) for column in zip(*samples, strict=True)]


def settle_allocator() -> None:
    """Free one array of nearly 32 MiB, so that figures do not depend on what the process did before.

    Until the C library (glibc's malloc) has seen that, it hands freed arrays of a megabyte back to the system
    at once, and the page faults of getting them again cost eight times the arithmetic on 10^5 elements.
    """
    np.empty(31 * 2**20, np.uint8)


def peak_bytes(call: Callable[[], Any]) -> int:
    """Return the most memory that `call()` holds at once, as tracemalloc counts it."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def check_agreement(workload: Workload, answer: Any, expected: Any) -> None:
    """Raise ArithmeticError unless both answers agree: the time of a wrong derivative is worth nothing."""
    for got, wanted in zip(flatten(answer)[0], flatten(expected)[0], strict=True):
        if not np.allclose(got, wanted, rtol=1e-6, atol=1e-9 * float(np.max(np.abs(wanted), initial=0.0))):
            raise ArithmeticError(
                f"{workload.name}: the engine and the hand-written derivative disagree; run the tests."
            )


def measure(workload: Workload, repeat: int = 30) -> Measurement:
    """Measure one workload, engine and hand-written version in turns, and keep the least of `repeat` samples.

    Raises ArithmeticError when the two give different answers.
    """
    problem = workload.problem()
    engine = by_engine(workload, problem)

    def by_hand() -> Any:
        return problem.by_hand(*problem.arguments)

    check_agreement(workload, engine(), by_hand())
    if workload.quantity == "peak memory":
        with collector(enabled=False):
            hand_figure, engine_figure = float(peak_bytes(by_hand)), float(peak_bytes(engine))
    else:
        settle_allocator()
        with collector(enabled=True):
            hand_figure, engine_figure = least_seconds((by_hand, engine), repeat)
    return Measurement(
        name=workload.name,
        quantity=workload.quantity,
        by_hand=hand_figure,
        engine=engine_figure,
        operations=problem.operations,
        target=workload.target,
        operation_target=workload.operation_target,
    )


# ---------------------------------------------------------------------------------------------- the report

COLUMNS = ("work", "by hand", "engine", "ratio", "us/operation", "target", "reached")


def row(measurement: Measurement) -> tuple[str, ...]:
    """Write a measurement as the cells of the table, in the order of `COLUMNS`."""
    if measurement.quantity == "time":
        figures = [f"{seconds * 1e6:,.1f} us" for seconds in (measurement.by_hand, measurement.engine)]
    else:
        figures = [f"{count / 1e6:,.1f} MB" for count in (measurement.by_hand, measurement.engine)]
    an_operation = measurement.microseconds_an_operation
    targets = []
    if measurement.target is not None:
        targets.append(f"{measurement.target:g}")
    if measurement.operation_target is not None:
        targets.append(f"{measurement.operation_target:g} us/operation")
    return (
        measurement.name,
        *figures,
        f"{measurement.ratio:.2f}",
        "" if an_operation is None else f"{an_operation:.2f}",
        "<= " + ", ".join(targets) if targets else "",
        "yes" if measurement.reached else "no",
    )


def print_table(measurements: Sequence[Measurement]) -> None:
    """Print the table with rich where it is installed, otherwise in plain columns."""
    rows = [row(measurement) for measurement in measurements]
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
        for cells in (COLUMNS, *rows):
            print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
        return
    table = Table()
    for position, name in enumerate(COLUMNS):
        table.add_column(name, justify="right" if 1 <= position <= 4 else "left", no_wrap=True)
    for cells in rows:
        table.add_row(*cells)
    console = Console()
    # Cut cells hide figures when the output is a file or a pipe, for which rich assumes 80 columns.
    Console(width=None if console.is_terminal else 160).print(table)


class OneLineParser(argparse.ArgumentParser):
    """An argument parser whose complaint about a bad option is one line, with the usual exit status 2."""

    def error(self, message: str) -> NoReturn:
        """Print the message alone, without the usage, and exit with status 2."""
        self.exit(2, f"{self.prog}: error: {message}\n")


def positive_integer(text: str) -> int:
    """Read an option's value; raises argparse.ArgumentTypeError unless it is an integer of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def selected(patterns: Sequence[str]) -> list[Workload]:
    """Return the workloads whose name contains one of the patterns, in any case; all without a pattern."""
    wanted = [pattern.casefold() for pattern in patterns] or [""]
    return [work for work in WORKLOADS if any(pattern in work.name.casefold() for pattern in wanted)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and return the exit status; `arguments` are the command line's when not given."""
    parser = OneLineParser(
        prog="python -m benchmarks.speed",
        description="Time the engines beside derivatives written by hand, and print the ratios.",
    )
    parser.add_argument(
        "--only",
        metavar="NAME",
        action="append",
        default=[],
        help="those whose name contains this; repeatable",
    )
    parser.add_argument(
        "--repeat", metavar="N", type=positive_integer, default=30, help="samples of each; the least counts"
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON (seconds, bytes)")
    options = parser.parse_args(arguments)
    workloads = selected(options.only)
    if not workloads:
        parser.error(f"--only {' '.join(options.only)}: no workload has such a name")
    measurements = []
    for workload in workloads:
        print(f"measuring {workload.name}", file=sys.stderr)
        measurements.append(measure(workload, options.repeat))
    if options.json:
        print(json.dumps([asdict(found) | {"ratio": found.ratio} for found in measurements], indent=2))
    else:
        print_table(measurements)
    return 0


if __name__ == "__main__":
    sys.exit(main())
