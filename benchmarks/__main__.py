"""`python -m benchmarks`: both engines on the handwritten digits, and the cost of a gradient by its inputs.

First one gradient is taken in every way and compared; then networks of growing size are timed and counted, which ends
in tables, the fitted exponents, a picture, and a report of it all in one HTML file.  This module reads the command line
and puts the parts together; it measures and draws nothing itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks import digits, page, picture, report, scaling, site, workloads
from benchmarks.speed import OneLineParser

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

MODES_OF_ENGINE = {
    "both": workloads.MODES,
    "reversead": ("function", "reverse", "finite differences"),
    "dualad": ("function", "forward", "batched forward", "finite differences"),
}
#: Of the network on the digits: 1,210 or 160 parameters, so that as many forward passes take seconds.
HIDDEN_UNITS, QUICK_HIDDEN_UNITS = 16, 2

#: Without asv's largest network, whose gradient in one direction at a time takes as long as all the others.
LOG2_INPUTS = workloads.LOG2_INPUTS[:-1]

QUICK_IMAGES = 200
QUICK_LOG2_INPUTS = (5, 6, 7)
SAVED_RESULTS = Path(__file__).resolve().parent.parent / ".asv" / "results"
#: Columns that the widest table needs; rich assumes 80 when the output is a file or a pipe.
NARROWEST = 110


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status: 0, or 1 where gradients disagree or something is missing.

    Bad options end the process with status 2 and one line on standard error.
    """
    try:
        return run(parse(arguments))
    except ModuleNotFoundError as error:
        problem = f"the package {error.name} is missing; the benchmarks need: pip install '.[bench]'"
    except (OSError, scaling.NoSavedResult) as error:
        problem = str(error)
    print(f"python -m benchmarks: error: {problem}", file=sys.stderr)
    return 1


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked as far as they can be before anything is measured."""
    parser = OneLineParser(
        prog="python -m benchmarks",
        description="Compare forward and reverse mode: the same gradient of a network on handwritten digits "
        "taken in several ways, then what a gradient costs as the network grows. Under a minute.",
    )
    smallest, largest = (2**log2_inputs for log2_inputs in workloads.LOG2_INPUTS_RANGE)
    parser.add_argument(
        "--sizes",
        type=network_sizes,
        metavar="N,N,...",
        help=f"numbers of network parameters to sweep over, powers of two from {smallest} to {largest}",
    )
    parser.add_argument(
        "--engine", choices=sorted(MODES_OF_ENGINE), default="both", help="the engines to run (default: both)"
    )
    parser.add_argument(
        "--output",
        type=picture_path,
        default=Path("gradient-cost.png"),
        metavar="PATH",
        help="where to write the picture; the suffix chooses the format; the report stands beside it, with the suffix "
        ".html (default: gradient-cost.png)",
    )
    parser.add_argument("--quick", action="store_true", help="a small network, few images, few sizes: seconds")
    parser.add_argument(
        "--seed",
        type=seed,
        default=0,
        metavar="INTEGER",
        help="of the digit network's parameters (default: 0)",
    )
    parser.add_argument(
        "--full", action="store_true", help="every topic of the asv suite into the report, with its pictures"
    )
    parser.add_argument(
        "--from-asv",
        action="store_true",
        help="measure nothing: draw the picture from the newest result that `make bench` saved",
    )
    options = parser.parse_args(arguments)
    if options.from_asv and (options.sizes or options.quick):
        parser.error("--from-asv takes the sizes of the saved result: leave out --sizes and --quick")
    return options


def network_sizes(text: str) -> tuple[int, ...]:
    """The log2 of every number of parameters in a list such as 64,256, ascending."""
    smallest, largest = workloads.LOG2_INPUTS_RANGE
    allowed = {str(2**log2_inputs): log2_inputs for log2_inputs in range(smallest, largest + 1)}
    for size in text.split(","):
        if size.strip() not in allowed:
            raise argparse.ArgumentTypeError(f"{size!r} is not a power of two from {2**smallest} to {2**largest}")
    chosen = sorted({allowed[size.strip()] for size in text.split(",")})
    if len(chosen) < 2:
        raise argparse.ArgumentTypeError("a slope needs two different sizes or more, as in 64,256")
    return tuple(chosen)


def picture_path(text: str) -> Path:
    """A path that a picture can be written to, as far as that can be known now."""
    path = Path(text)
    known = picture.suffixes()
    if path.suffix.removeprefix(".").lower() not in known:
        raise argparse.ArgumentTypeError(
            f"{text!r} does not end in a picture format: choose one of {', '.join(sorted(known))}"
        )
    if path.is_dir() or not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} cannot be written: its directory has to exist")
    return path


def seed(text: str) -> int:
    """A seed of NumPy's random generators."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer of 0 or more")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Everything that the options ask for, in order."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console()
    if console.width < NARROWEST and not console.is_terminal:
        console = Console(width=NARROWEST)
    modes = MODES_OF_ENGINE[options.engine]
    agree, compared = True, []
    if options.from_asv:
        rows, origin = scaling.saved_rows(SAVED_RESULTS, modes)
    else:
        # The bar goes to standard error, so that standard output holds the tables alone.
        with Progress(console=Console(stderr=True), transient=True) as progress:
            agree, compared = compare_on_digits(console, progress, options, modes)
            rows = sweep(progress, options, modes)
        origin = "operations counted exactly; least CPU time of many calls, one BLAS thread"
    tables = [report.ratio_table(rows), report.operations_table(rows), report.seconds_table(rows)]
    for table in tables:
        console.print(table)
    console.print(report.explanation(rows), highlight=False)
    figure = picture.figure_of_rows(rows, origin)
    figure.savefig(options.output, dpi=150)
    claim = picture.claim(rows).claim
    written = options.output.with_suffix(".html")
    parts = [page.image(picture.inline(figure), claim, large=True), page.paragraph(report.explanation(rows))]
    parts += [page.table(table) for table in (*tables, *compared)]
    if options.full:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            for topic in progress.track([*site.modules()], description="topics"):
                parts += site.section(topic)
    written.write_text(page.document("What a gradient costs", parts), encoding="utf-8")
    # Not by rich, which would break a long path over two lines.
    print(f"report: {written.resolve()}")
    print(f"picture: {options.output.resolve()}")
    return 0 if agree else 1


def compare_on_digits(
    console: Console, progress: Progress, options: argparse.Namespace, modes: Sequence[str]
) -> tuple[bool, list[Table]]:
    """Print how the gradients on the digits compare; whether every pair agrees, and the tables that say so."""
    images, labels = digits.load()
    hidden = HIDDEN_UNITS
    if options.quick:
        images, labels, hidden = images[:QUICK_IMAGES], labels[:QUICK_IMAGES], QUICK_HIDDEN_UNITS
    comparison = digits.Comparison(images, labels, hidden, np.random.default_rng(options.seed))
    differentiating = [mode for mode in modes if mode != "function"]
    bar = progress.add_task("gradients on the digits", total=len(comparison.ways(differentiating)))
    gradients = []
    for gradient in comparison.gradients(differentiating):
        gradients.append(gradient)
        progress.advance(bar)
    console.print(
        f"{len(images):,} handwritten digits of 8 by 8 pixels, and a tanh network 64-{hidden}-10 on them.\n"
        f"It has {comparison.workload.inputs:,} parameters, few: forward mode takes a direction for each one.\n",
        highlight=False,
    )
    pairs = digits.disagreements(gradients)
    tables = [report.gradient_table(gradients), report.agreement_table(pairs)]
    for table in tables:
        console.print(table)
    return all(pair.acceptable for pair in pairs), tables


def sweep(progress: Progress, options: argparse.Namespace, modes: Sequence[str]) -> list[scaling.Row]:
    """A row for every network size, measured under the progress bar."""
    log2_sizes = options.sizes or (QUICK_LOG2_INPUTS if options.quick else LOG2_INPUTS)
    # The bar counts parameters, not sizes: the largest network takes as long as all the others.
    bar = progress.add_task("networks of growing size", total=sum(2**log2_inputs for log2_inputs in log2_sizes))
    rows = []
    for log2_inputs in log2_sizes:
        rows.append(scaling.measure_row(log2_inputs, modes))
        progress.advance(bar, 2**log2_inputs)
    return rows


if __name__ == "__main__":
    sys.exit(main())
