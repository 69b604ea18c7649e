"""`python -m tests.fuzz`: many programs, by hand; what fails is printed when it is found, made small.

Each program is drawn by a seed of its own, from `--seed` on, so a failure is found again by its seed alone.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.speed import OneLineParser, positive_integer
from fuzz.checks import CHECKS
from fuzz.drawing import drawn_program
from fuzz.running import Tally, failures

#: Seconds between two lines where there is no progress bar
_LINE_EVERY = 30.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, or 1 where a program fails a check.

    Bad options end the process with status 2 and one line on standard error.
    """
    options = parse(arguments)
    if options.show:
        for seed in range(options.seed, options.seed + options.programs):
            print(drawn_program(seed).source())
        return 0
    return run(options.programs, options.seed, options.check or list(CHECKS), options.kinds)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = OneLineParser(
        prog="python -m tests.fuzz",
        description="Draw random NumPy programs, and check of each that derivatives, batches, records, compiled text, "
        "checkpoints and sparse matrices are what they have to be. A failure is printed as a program that runs.",
    )
    parser.add_argument(
        "--programs", type=positive_integer, default=1000, metavar="N", help="how many programs (default: 1000)"
    )
    parser.add_argument(
        "--seed", type=natural_number, default=0, metavar="N", help="of the first program; the others follow it"
    )
    parser.add_argument(
        "--check", action="append", choices=list(CHECKS), metavar="NAME",
        help=f"make this check alone, or these: {', '.join(CHECKS)}",
    )  # fmt: skip
    parser.add_argument(
        "--kinds", type=positive_integer, default=20, metavar="N",
        help="stop after so many kinds of failure (default: 20); of each kind the first is shown",
    )  # fmt: skip
    parser.add_argument("--show", action="store_true", help="print the programs, and check nothing")
    return parser.parse_args(arguments)


def natural_number(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def run(programs: int, seed: int, checks: Sequence[str], kinds: int) -> int:
    """Check programs, show the first failure of each kind, and at the end how often what came out; the exit status."""
    tally, known = Tally(), set[str]()
    with progress(programs) as advance:
        for k in range(programs):
            for found in failures([seed + k], checks, tally):
                if found.kind not in known:
                    known.add(found.kind)
                    print(f"\n{found.shrunk()}\n", flush=True)
            advance()
            if len(known) >= kinds:
                print(f"stopped after {len(known)} kinds of failure", flush=True)
                break
    print(tally)
    return 1 if known else 0


@contextmanager
def progress(total: int) -> Any:
    """A function to call after each of `total` programs: a bar on a terminal if rich is there, else a line at times."""
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ModuleNotFoundError:
        yield _lines(total)
        return
    if not sys.stderr.isatty():
        yield _lines(total)
        return
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("programs", total=total)
        yield lambda: bar.advance(task)


def _lines(total: int) -> Callable[[], None]:
    done, shown = 0, time.monotonic()

    def advance() -> None:
        nonlocal done, shown
        done += 1
        if time.monotonic() - shown >= _LINE_EVERY:
            shown = time.monotonic()
            print(f"{done} of {total} programs", file=sys.stderr, flush=True)

    return advance
