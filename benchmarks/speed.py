"""`python -m benchmarks.speed`: what automatic differentiation costs beside the derivative written by hand.

Each row of `benchmarks.speed_table` is timed as an engine differentiates it and as one writes it by hand (or
as another way does it): in one process, in turns, Python's cyclic collector on, the least of many samples.  The
ratio of the two is what counts, since a slow machine slows both.  This module knows nothing of how an engine
works, and runs nothing at import.
"""

import argparse
import gc
import json
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

import dualad
import reversead
from benchmarks.handwritten import Problem
from benchmarks.speed_table import BY_HAND, WORKLOADS, Workload
from shared.batching.vmap import vmap
from shared.calling.tree import flatten, tree_map
from shared.programs import compile

#: Seconds a sample lasts at least, so that the collector's passes fall into samples and not between them.
SHORTEST_SAMPLE = 0.01


@dataclass(frozen=True)
class Measurement:
    """A workload's figures: seconds a call, or bytes at the peak where the quantity is peak memory."""

    name: str
    quantity: str
    #: What the engine is compared with: the derivative by hand, or another way.
    reference: str
    reference_figure: float
    engine: float
    operations: int | None
    target: float | None
    operation_target: float | None

    @property
    def ratio(self) -> float:
        """The engine's figure over the reference's; dimensionless."""
        return self.engine / self.reference_figure

    @property
    def microseconds_an_operation(self) -> float | None:
        """The engine's time for one operation with its derivative; None where that says nothing."""
        if self.operations is None or self.quantity != "time":
            return None
        return self.engine / self.operations * 1e6

    @property
    def reached(self) -> bool | None:
        """Whether every target of the workload is met; None where there is none."""
        if self.target is None and self.operation_target is None:
            return None
        an_operation = self.microseconds_an_operation
        slow = self.target is not None and self.ratio > self.target
        slow_operation = (
            self.operation_target is not None and an_operation is not None and an_operation > self.operation_target
        )
        return not (slow or slow_operation)


Call = Callable[[], Any]


def _transformed(transform: Callable[..., Callable[..., Any]]) -> Callable[[Problem], Call]:
    """Make the way that applies a transform to the function once, and the result to the arguments in every call."""
    return lambda problem: partial(transform(problem.function), *problem.arguments)


def _tangent(problem: Problem) -> Call:
    primal, direction = problem.arguments
    return lambda: dualad.jvp(problem.function, (primal,), (direction,))


def _forward_over_reverse(problem: Problem) -> Call:
    primal, direction = problem.arguments
    gradient = reversead.grad(problem.function)
    return lambda: dualad.jvp(gradient, (primal,), (direction,))[1]


def _reverse_over_forward(problem: Problem) -> Call:
    primal, direction = problem.arguments

    def slope(primal: Any) -> Any:
        return dualad.jvp(problem.function, (primal,), (direction,))[1]

    return partial(reversead.grad(slope), primal)


def _linear_map(problem: Problem) -> Call:
    """The gradient's derivative, taken once: a call applies it to the direction."""
    primal, direction = problem.arguments
    _, push = reversead.linearize(reversead.grad(problem.function), primal)
    return partial(push, direction)


def _example_by_example(problem: Problem) -> Call:
    gradient = reversead.grad(problem.function)
    parameters, *examples = problem.arguments

    def gradients() -> Any:
        each = [gradient(parameters, *example) for example in zip(*examples, strict=True)]
        return tree_map(lambda *parts: np.stack(parts), *each)

    return gradients


def _compiled(derivative: Callable[..., Any]) -> Callable[[Problem], Call]:
    """Make the way that compiles a derivative, a function of the problem's function and its arguments."""

    def way(problem: Problem) -> Call:
        def taken(*arguments: Any) -> Any:
            return derivative(problem.function, *arguments)

        return partial(compile(taken), *problem.arguments)

    return way


def _machine_code(transform: Callable[..., Callable[..., Any]]) -> Callable[[Problem], Call]:
    """Make the way that compiles what a transform returns to machine code; without a C compiler it is NumPy source."""

    def way(problem: Problem) -> Call:
        compiled = compile(transform(problem.function), backend="auto")
        compiled(*problem.arguments)
        compiled.wait()
        return partial(compiled, *problem.arguments)

    return way


#: Every way to differentiate: given a problem, the call that returns what `problem.by_hand` does.
WAYS: Mapping[str, Callable[[Problem], Call]] = MappingProxyType(
    {
        "reversead.value_and_grad": _transformed(reversead.value_and_grad),
        "dualad.value_and_grad": _transformed(dualad.value_and_grad),
        "dualad.jvp": _tangent,
        "dualad.jacobian": _transformed(dualad.jacobian),
        "reversead.jacobian": _transformed(reversead.jacobian),
        "dualad.hessian": _transformed(dualad.hessian),
        "reversead.hessian": _transformed(reversead.hessian),
        "dualad.jacobian(reversead.grad)": _transformed(lambda f: dualad.jacobian(reversead.grad(f))),
        "dualad.jvp(reversead.grad)": _forward_over_reverse,
        "reversead.grad(dualad.jvp)": _reverse_over_forward,
        "reversead.hvp": lambda problem: partial(reversead.hvp, problem.function, *problem.arguments),
        "reversead.linearize, applied": _linear_map,
        "compile(reversead.value_and_grad)": _transformed(lambda f: compile(reversead.value_and_grad(f))),
        "compile(reversead.value_and_grad), C": _machine_code(reversead.value_and_grad),
        "compile(reversead.hvp)": _compiled(reversead.hvp),
        "compile(dualad.jvp(reversead.grad))": _compiled(
            lambda f, primal, direction: dualad.jvp(reversead.grad(f), (primal,), (direction,))[1]
        ),
        "vmap(reversead.grad)": _transformed(lambda f: vmap(reversead.grad(f), in_axes=(None, 0, 0))),
        "reversead.grad in a loop": _example_by_example,
    }
)


def call_of(way: str, problem: Problem) -> Call:
    """Return the call that takes a problem's derivative in a way of `WAYS`, or by hand."""
    return partial(problem.by_hand, *problem.arguments) if way == BY_HAND else WAYS[way](problem)


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
    """Raise ArithmeticError unless both answers agree: the time of a wrong derivative is worth nothing.

    The reference's answer is the expected one.
    """
    for got, wanted in zip(flatten(answer)[0], flatten(expected)[0], strict=True):
        if not np.allclose(got, wanted, rtol=1e-6, atol=1e-9 * float(np.max(np.abs(wanted), initial=0.0))):
            raise ArithmeticError(
                f"{workload.name}: the engine and the derivative it is compared with disagree; run the tests."
            )


def measure(workload: Workload, repeat: int = 30) -> Measurement:
    """Measure one workload, engine and reference in turns, and keep the least of `repeat` samples.

    Raises ArithmeticError when the two give different answers.
    """
    problem = workload.problem()
    engine, reference = call_of(workload.way, problem), call_of(workload.reference, problem)
    check_agreement(workload, engine(), reference())
    if workload.quantity == "peak memory":
        with collector(enabled=False):
            reference_figure, engine_figure = float(peak_bytes(reference)), float(peak_bytes(engine))
    else:
        settle_allocator()
        with collector(enabled=True):
            reference_figure, engine_figure = least_seconds((reference, engine), repeat)
    return Measurement(
        name=workload.name,
        quantity=workload.quantity,
        reference=workload.reference,
        reference_figure=reference_figure,
        engine=engine_figure,
        operations=problem.operations,
        target=workload.target,
        operation_target=workload.operation_target,
    )


def beside_each_other(workload: Workload, repeat: int = 30) -> tuple[str, ...]:
    """The cells of a row of `BESIDE`: the reference, and the ratios of all ways of `COMPARED` to it, in turns."""
    problem = workload.problem()
    calls = [call_of(way, problem) for way in (workload.reference, *COMPARED)]
    expected = calls[0]()
    for call in calls[1:]:
        check_agreement(workload, call(), expected)
    settle_allocator()
    with collector(enabled=True):
        reference, *figures = least_seconds(calls, repeat)
    name = workload.name.partition(": compile")[0]
    return (name, f"{reference * 1e6:,.1f} us", *(f"{figure / reference:.2f}" for figure in figures))


# ---------------------------------------------------------------------------------------------- the report

#: The ways that `--compare` sets beside each other.
COMPARED = (
    "reversead.value_and_grad",
    "compile(reversead.value_and_grad)",
    "compile(reversead.value_and_grad), C",
)
BESIDE = ("work", "by hand", "eager", "compiled", "C")

COLUMNS = ("work", "reference", "figure", "engine", "ratio", "us/operation", "target", "reached")


def row(measurement: Measurement) -> tuple[str, ...]:
    """Write a measurement as the cells of the table, in the order of `COLUMNS`."""
    if measurement.quantity == "time":
        figures = [f"{seconds * 1e6:,.1f} us" for seconds in (measurement.reference_figure, measurement.engine)]
    else:
        figures = [f"{count / 1e6:,.1f} MB" for count in (measurement.reference_figure, measurement.engine)]
    an_operation = measurement.microseconds_an_operation
    targets = []
    if measurement.target is not None:
        targets.append(f"{measurement.target:g}")
    if measurement.operation_target is not None:
        targets.append(f"{measurement.operation_target:g} us/operation")
    return (
        measurement.name,
        measurement.reference,
        *figures,
        f"{measurement.ratio:.2f}",
        "" if an_operation is None else f"{an_operation:.2f}",
        "<= " + ", ".join(targets) if targets else "",
        {True: "yes", False: "no", None: ""}[measurement.reached],
    )


def print_table(rows: Sequence[tuple[str, ...]], columns: tuple[str, ...] = COLUMNS) -> None:
    """Print the table with rich where it is installed, otherwise in plain columns."""
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
        for cells in (columns, *rows):
            print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())
        return
    table = Table()
    for position, name in enumerate(columns):
        figures = 2 <= position <= 5 or (columns is not COLUMNS and position > 0)
        table.add_column(name, justify="right" if figures else "left", no_wrap=figures)
    for cells in rows:
        table.add_row(*cells)
    console = Console()
    # Cut cells hide figures when the output is a file or a pipe, for which rich assumes 80 columns.
    Console(width=None if console.is_terminal else 200).print(table)


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
    parser.add_argument(
        "--compare", action="store_true", help="print the engine alone, compiled, and as machine code, side by side"
    )
    options = parser.parse_args(arguments)
    workloads = selected(options.only)
    if options.compare:
        workloads = [work for work in workloads if work.way == COMPARED[1] and work.quantity == "time"]
    if not workloads:
        parser.error(f"--only {' '.join(options.only)}: no workload has such a name")
    if options.compare:
        print_table([beside_each_other(work, options.repeat) for work in workloads], BESIDE)
        return 0
    measurements = []
    for workload in workloads:
        print(f"measuring {workload.name}", file=sys.stderr)
        measurements.append(measure(workload, options.repeat))
    if options.json:
        print(json.dumps([asdict(found) | {"ratio": found.ratio} for found in measurements], indent=2))
    else:
        print_table([row(measurement) for measurement in measurements])
    return 0


if __name__ == "__main__":
    sys.exit(main())
