"""`python -m benchmarks.peers`: the referee, from the command line.

It reads the options, says what is installed, and puts the parts together; it measures and draws nothing itself.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers import adapters, racing, tables
from benchmarks.peers.functions import RACES, Race
from benchmarks.speed import OneLineParser, positive_integer

METHOD = (
    "One process on one core, one thread. Each library first gives its answer, which has to equal the derivative "
    "written by hand to 1e-6. Then they take turns, the hand-written one among them; the least CPU time of one call "
    "counts. Python's cyclic collector is on. Arrays are in each library's own form before the clock starts. "
    "The first call is elapsed time, taken once; it includes recording and compiling, not importing. "
    "Memory is what the kernel says that the process holds, so that every allocator counts. Float64 throughout."
)
NOISE = "The machine is shared: figures that differ by less than a tenth are equal, and one run says no more."


def main(arguments: Sequence[str] | None = None) -> int:
    """Race, print and return the exit status; `arguments` are the command line's when not given.

    Bad options end the process with status 2 and one line on standard error.
    """
    parser = make_parser()
    options = parser.parse_args(arguments)
    races = selected_races(options.only)
    if not races:
        parser.error(f"--only {' '.join(options.only)}: no derivative has such a name; --list names them")
    if options.list:
        print("\n".join(race.name for race in races))
        return 0
    if options.output is not None:
        complain = unwritable(options.output)
        if complain:
            parser.error(complain)
    classes = selected_peers(options.peers)
    racing.one_core()
    peers, missing = installed(classes)
    absent = sorted({peer.label for peer in classes} & set(missing)) if options.peers else []
    if absent:
        parser.error(f"--peers: not installed here: {', '.join(absent)}; pip install '.[peers]'")
    results = race_all(races, peers, options)
    described = description(peers, missing)
    if options.json:
        print(json.dumps(described | {"results": [asdict(r) | {"ratio": r.ratio} for r in results]}, indent=2))
    else:
        print("\n".join(page(results, described, markdown=options.markdown)))
    if options.output is not None:
        from benchmarks.peers import drawing

        drawing.draw(results, options.output, described["machine"])
        print(f"picture: {options.output.resolve()}", file=sys.stderr)
    return 0


def make_parser() -> OneLineParser:
    """The options."""
    known = ", ".join(dict.fromkeys(peer.label for peer in adapters.PEERS))
    parser = OneLineParser(
        prog="python -m benchmarks.peers",
        description="Take the same derivatives with this library and with every other one that is installed: "
        "compared first, then timed in turns, in units of the derivative written by hand in NumPy. Minutes.",
    )
    parser.add_argument(
        "--only", metavar="NAME", action="append", default=[], help="derivatives whose name contains this; repeatable"
    )
    parser.add_argument("--peers", metavar="NAME,...", type=peer_names, help=f"these libraries alone: {known}")
    parser.add_argument(
        "--form", choices=tables.FORMS, help="eager or compiled alone (torch.compile alone takes minutes)"
    )
    parser.add_argument(
        "--rounds", metavar="N", type=positive_integer, default=15, help="turns each takes (default: 15)"
    )
    parser.add_argument("--output", metavar="PATH", type=Path, help="write a picture here; the suffix is its format")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON (seconds, bytes)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, one turn: whether all works, no figures")
    parser.add_argument("--list", action="store_true", help="name the derivatives and measure nothing")
    return parser


def peer_names(text: str) -> frozenset[str]:
    """The libraries of a list such as jax,torch; raises argparse.ArgumentTypeError for one that nobody knows."""
    known = list(dict.fromkeys(peer.label for peer in adapters.PEERS))
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
    return frozenset(names)


def unwritable(path: Path) -> str:
    """Why no picture can be written to a path, as far as that can be known now; an empty string where one can."""
    try:
        from benchmarks.picture import suffixes

        known = sorted(suffixes())
    except ModuleNotFoundError:
        return "--output: matplotlib is missing; pip install '.[peers]'"
    if path.suffix.removeprefix(".").lower() not in known:
        return f"--output {path}: does not end in a picture format: choose one of {', '.join(known)}"
    if path.is_dir() or not path.parent.is_dir():
        return f"--output {path}: cannot be written: its directory has to exist"
    return ""


def selected_races(patterns: Sequence[str]) -> list[Race]:
    """The races whose name contains one of the patterns, in any case; all without a pattern."""
    wanted = [pattern.casefold() for pattern in patterns] or [""]
    return [race for race in RACES if any(pattern in race.name.casefold() for pattern in wanted)]


def selected_peers(names: frozenset[str] | None) -> list[type[adapters.Peer]]:
    """The adapters of the libraries that are asked for, and this library's, with which they are compared."""
    return [peer for peer in adapters.PEERS if names is None or peer.label in names or peer.package in adapters.OWN]


def installed(classes: Sequence[type[adapters.Peer]]) -> tuple[list[adapters.Peer], dict[str, str]]:
    """The libraries that can be imported, and for each that cannot its label with why."""
    peers, missing = [], {}
    for make in classes:
        try:
            peers.append(make())
        # Not ImportError alone: what a library does not bear, such as a newer NumPy, shows when it is imported.
        except Exception as error:
            missing[make.label] = racing.first_line(error)
    return peers, missing


def race_all(races: Sequence[Race], peers: Sequence[adapters.Peer], options: argparse.Namespace) -> list[racing.Result]:
    """Every race under a progress bar, the libraries warmed before."""
    peers = [peer for peer in peers if options.form in (None, peer.form)]
    results: list[racing.Result] = []
    effort: dict[str, Any] = {"rounds": options.rounds, "seconds_each": 0.03}
    if options.quick:
        effort = {"rounds": 1, "seconds_each": 1e-3, "small": True, "memory": False}
    # What libraries say of each other's versions is not for who reads a table.
    with progress_bar(len(peers) + len(races)) as advance, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for peer in peers:
            advance(f"starting {peer.label}")
            racing.warm(peer)
        for race in races:
            advance(race.name)
            results.extend(racing.run_race(race, peers, **effort))
    return results


@contextmanager
def progress_bar(total: int) -> Iterator[Callable[[str], None]]:
    """Yield what says that the next part begins: a bar where rich is installed, otherwise a line, on standard error."""
    try:
        from rich.console import Console
        from rich.progress import Progress
    except ImportError:
        numbers = iter(range(1, total + 1))
        yield lambda name: print(f"{next(numbers)}/{total} {name}", file=sys.stderr, flush=True)
        return
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=total, completed=-1)

        def advance(name: str) -> None:
            progress.update(bar, advance=1, description=name)

        yield advance


def processor() -> str:
    """The processor's name, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def description(peers: Sequence[adapters.Peer], missing: dict[str, str]) -> dict[str, Any]:
    """The method, the machine and the versions, as text."""
    versions = {peer.label: peer.version() or "from this directory" for peer in peers}
    return {
        "method": METHOD,
        "noise": NOISE,
        "machine": f"{processor()}, {platform.system()}, Python {platform.python_version()}, NumPy {np.__version__}",
        "versions": versions,
        "not installed": missing,
    }


def page(results: Sequence[racing.Result], described: dict[str, Any], *, markdown: bool) -> list[str]:
    """The lines of the whole answer: tables, where others are faster, who did not take part, how it was measured."""
    lines: list[str] = []
    heading = "### " if markdown else ""
    for table in tables.tables(results):
        lines += [f"{heading}{table.title[0].upper()}{table.title[1:]}", ""]
        lines += [*(tables.as_markdown(table) if markdown else tables.as_text(table)), ""]
    bullet = "- " if markdown else "  "
    for title, found in (
        ("Where another library is faster", tables.losses(results, adapters.OWN)),
        ("Who did not take part", tables.refusals(results)),
    ):
        if found:
            lines += [heading + title, "", *(bullet + line for line in found), ""]
    versions = ", ".join(f"{label} {version}" for label, version in described["versions"].items())
    lines += [heading + "How this was measured", "", described["method"] + " " + described["noise"], ""]
    lines += [f"{described['machine']}. {versions}."]
    if described["not installed"]:
        lines += ["Not installed: " + ", ".join(sorted(described["not installed"])) + "."]
    return lines


if __name__ == "__main__":
    sys.exit(main())
