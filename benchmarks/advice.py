"""`python -m benchmarks.advice`: how often the advice on modes is right, on a grid of functions.

Each function of the grid is given to the advisor, which predicts from counts, and then every way that it chooses
among is timed, interleaved, the least of many calls.  A hit is a predicted way that is the fastest, or within 1.2 times
of it.  The grid varies inputs, outputs, depth and sparsity, and scalar against array work.  It runs nothing at import.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import dualad
import reversead
from benchmarks.speed import OneLineParser, positive_integer
from shared.comparison.advice import ALIKE, colouring, predict, tasks
from shared.comparison.calibration import machine
from shared.comparison.point import Point
from shared.comparison.progress import progress
from shared.comparison.result import seconds_text
from shared.comparison.timing import interleaved_minimum
from shared.programs.tabulation import markdown_table, text_table

ENGINES: tuple[Any, Any] = (dualad, reversead)
HEADERS = ("function", "inputs", "outputs", "predicted", "fastest", "slower by", "its time", "hit")


@dataclass(frozen=True)
class Case:
    """A function of the grid, and its arguments."""

    name: str
    f: Callable[..., Any]
    args: tuple[Any, ...]


@dataclass(frozen=True)
class Outcome:
    """What was predicted for a function, and what was measured."""

    name: str
    inputs: int
    outputs: int
    predicted: str
    fastest: str
    apart: float
    seconds: dict[str, float]
    expected: dict[str, float]

    @property
    def hit(self) -> bool:
        """Whether the predicted way is the fastest, or nearly."""
        return self.apart <= ALIKE

    def row(self) -> list[str]:
        """The cells of its line in the table."""
        return [
            self.name, f"{self.inputs:,}", f"{self.outputs:,}", self.predicted, self.fastest, f"{self.apart:.2f}",
            seconds_text(self.seconds[self.fastest]), "yes" if self.hit else "NO",
        ]  # fmt: skip


# --- the grid ---------------------------------------------------------------------------------------------------------


def chain(depth: int) -> Callable[[Any], Any]:
    """Elementwise operations one after the other: a diagonal Jacobian."""

    def f(x: Any) -> Any:
        for _ in range(depth):
            x = np.sin(x) * x + 0.5
        return x

    return f


def layers(depth: int, n: int, m: int) -> Callable[[Any], Any]:
    """Matrices with tanh between them, from n numbers to m."""
    rng = np.random.default_rng(0)
    widths = [*[n] * depth, m]
    weights = [rng.normal(size=(b, a)) / np.sqrt(a) for a, b in pairwise(widths)]

    def f(x: Any) -> Any:
        for W in weights:
            x = np.tanh(W @ x)
        return x

    return f


def scalars(steps: int, m: int) -> Callable[[Any], Any]:
    """Numbers one at a time, as a simulation in plain Python does: two or more inputs, m outputs."""

    def f(x: Any) -> Any:
        a, b = x[0], x[-1]
        found = []
        for k in range(steps):
            a, b = a * b + 0.1, np.sin(a) - 0.5 * b
            if k >= steps - m:
                found.append(a + b)
        return np.stack(found)

    return f


def stencil(x: Any) -> Any:
    return (x[1:-1] - 0.5 * (x[2:] + x[:-2])) * x[1:-1] ** 2


def arrow(x: Any) -> Any:
    return x * x[0] + np.sin(x)


def summed(f: Callable[..., Any]) -> Callable[..., Any]:
    def total(*args: Any) -> Any:
        return np.sum(f(*args) ** 2)

    return total


def rate(a: Any, w: Any) -> Any:
    """One number that everything depends on, and many that each matter to one output."""
    return a * np.tanh(w) + np.exp(-a)


def projected(a: Any, w: Any) -> Any:
    """A few numbers that spread over a grid, which a few sums of many weights scale."""
    return np.outer(np.tanh(a), np.ones(8)) * np.sum(np.sin(w))


def apart(a: Any, w: Any) -> Any:
    """Few numbers through long arrays, many through short ones: each part suits another mode."""
    line = np.linspace(0.0, 1.0, 6_000)
    for _ in range(5):
        line = np.sin(line * a[0] + a[1])
    return np.sum(line.reshape(60, 100), axis=1) + np.sum(w.reshape(60, -1), axis=1) ** 2


def curve(t: Any) -> Any:
    """A curve through many points from few coefficients."""
    line = np.linspace(0.0, 1.0, 400)
    value = np.zeros(400, like=t)
    for k in range(len(t)):
        value = value + t[k] * np.cos(k * line)
    return value


def grid() -> Iterator[Case]:
    """Every function, from scalar to sparse."""
    rng = np.random.default_rng(1)
    for n in (2, 10, 100, 1_000):
        for depth in (2, 20):
            yield Case(f"chain of {depth}, summed", summed(chain(depth)), (rng.uniform(size=n),))
            yield Case(f"chain of {depth}", chain(depth), (rng.uniform(size=n),))
    for n, m in ((3, 3), (3, 300), (30, 3), (30, 30), (30, 300), (300, 3), (300, 30), (300, 300), (2, 2_000)):
        for depth in (1, 4):
            yield Case(f"{depth} layers", layers(depth, n, m), (rng.normal(size=n),))
    for n in (4, 40, 400):
        yield Case("2 layers, summed", summed(layers(2, n, n)), (rng.normal(size=n),))
    for n, steps, m in ((2, 10, 1), (2, 10, 5), (2, 60, 1), (2, 60, 40), (40, 30, 2), (40, 30, 30)):
        yield Case(f"{steps} steps of numbers", scalars(steps, m), (rng.uniform(0.1, 0.4, size=n),))
    yield Case("30 steps of numbers, summed", summed(scalars(30, 1)), (rng.uniform(0.1, 0.4, size=2),))
    for n in (10, 100, 500, 2_000):
        yield Case("stencil", stencil, (rng.normal(size=n),))
        yield Case("arrow", arrow, (rng.normal(size=n),))
    for n in (30, 1_000):
        yield Case("stencil, summed", summed(stencil), (rng.normal(size=n),))
        yield Case("running product", np.cumprod, (rng.uniform(0.9, 1.1, size=min(n, 300)),))
    for n in (20, 500, 1_500):
        yield Case("a rate and weights", rate, (0.7, rng.normal(size=n)))
    for n in (50, 5_000):
        yield Case("a few and many, mixed", projected, (rng.normal(size=3), rng.normal(size=n)))
    for n in (600, 6_000):
        yield Case("few through long arrays, many through short", apart, (rng.normal(size=2), rng.normal(size=n)))
    for n in (2, 10):
        yield Case("a curve of coefficients", curve, (rng.normal(size=n),))
    for n in (4, 12):
        yield Case("inverse of a matrix", np.linalg.inv, (rng.normal(size=(n, n)) + n * np.eye(n),))
    yield Case("product of matrices", lambda a, b: a @ b, (rng.normal(size=(6, 40)), rng.normal(size=(40, 2))))
    yield Case("distances", lambda p: np.sum((p[:, None] - p[None]) ** 2, -1), (rng.normal(size=(12, 2)),))
    yield Case("softmax", lambda x: np.exp(x) / np.sum(np.exp(x)), (rng.normal(size=50),))
    yield Case("log of a sum", lambda x: np.log(np.sum(np.exp(x))), (rng.normal(size=500),))


def drawn(count: int, seed: int = 0) -> Iterator[Case]:
    """Functions drawn at random: up to five stages, of random kinds and widths.  A seed gives the same ones."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        n = int(2 ** rng.uniform(0, 10))
        stages = [_stage(rng) for _ in range(rng.integers(1, 6))]
        scalar = rng.random() < 0.3
        name = " + ".join([stage.__name__ for stage in stages] + ["sum"] * scalar)
        yield Case(f"drawn {number}: {name}", _composed(stages, scalar), (rng.uniform(0.2, 0.8, size=n),))


def _composed(stages: Sequence[Callable[[Any], Any]], scalar: bool) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        for stage in stages:
            x = stage(x)
        return np.sum(x * x) if scalar else x

    return f


def _stage(rng: np.random.Generator) -> Callable[[Any], Any]:
    """One stage of a function: from a vector to a vector."""
    width, depth = int(2 ** rng.uniform(0, 9)), int(rng.integers(1, 7))
    matrices: dict[int, Any] = {}

    def dense(x: Any) -> Any:
        weights = matrices.setdefault(len(x), np.random.default_rng(3).normal(size=(width, len(x))) / np.sqrt(len(x)))
        return np.tanh(weights @ x)

    def elementwise(x: Any) -> Any:
        for _ in range(depth):
            x = x * np.cos(x) + 0.1
        return x

    def neighbours(x: Any) -> Any:
        return x[1:] * x[:-1] if len(x) > 1 else x * x

    def normalised(x: Any) -> Any:
        return x / np.sqrt(1.0 + np.sum(x * x))

    def numbers(x: Any) -> Any:
        total = x[0]
        for k in range(min(len(x), 4 * depth)):
            total = total * x[k] + np.sin(x[k])
        return x * total

    def pooled(x: Any) -> Any:
        return np.sum(np.reshape(x[: len(x) // 2 * 2], (2, -1)), axis=0) if len(x) > 1 else x

    kinds = (dense, elementwise, neighbours, normalised, numbers, pooled)
    return kinds[rng.integers(len(kinds))]


# --- measuring --------------------------------------------------------------------------------------------------------


def outcome(case: Case, rounds: int, seconds: float) -> Outcome:
    """The advice on one function, and the times of what it chose among."""
    point = Point("advise", case.f, case.args, None, ENGINES)
    sparse = colouring(point)
    advice = predict(point, sparse, machine(*ENGINES))
    measured = interleaved_minimum(tasks(point, sparse), rounds=rounds, seconds_each=seconds)
    beside = advice.beside(measured)
    assert beside.measured is not None and beside.apart is not None
    return Outcome(
        case.name, point.inputs, point.outputs, advice.predicted, beside.measured, beside.apart, measured,
        advice.seconds,
    )  # fmt: skip


def summary(found: Sequence[Outcome]) -> str:
    """The rate of hits in a sentence."""
    hits = sum(one.hit for one in found)
    same = sum(one.predicted == one.fastest for one in found)
    return (
        f"{hits} of {len(found)} ({hits / max(len(found), 1):.0%}) are the fastest or within {ALIKE} times of it, "
        f"{same} the fastest; the worst is {max(one.apart for one in found):.2f} times slower"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the grid, print the table and return the exit status."""
    parser = OneLineParser(
        prog="python -m benchmarks.advice",
        description="Predict the fastest mode for a grid of functions from counts, then measure all; a few minutes. "
        "Set OPENBLAS_NUM_THREADS=1.",
    )
    parser.add_argument("patterns", nargs="*", metavar="WORD", help="only functions whose name contains one of these")
    parser.add_argument(
        "--random", type=positive_integer, metavar="N", help="in place of the grid, N functions drawn at random"
    )
    parser.add_argument("--seed", type=int, default=0, help="of these functions (default: 0)")
    parser.add_argument("--rounds", type=positive_integer, default=5, help="turns of each way (default: 5)")
    parser.add_argument("--milliseconds", type=positive_integer, default=30, help="of a turn (default: 30)")
    parser.add_argument("--markdown", action="store_true", help="print the table in Markdown")
    parser.add_argument("--json", type=Path, metavar="PATH", help="also write all figures there")
    options = parser.parse_args(arguments)
    wanted = options.patterns or [""]
    every = drawn(options.random, options.seed) if options.random else grid()
    cases = [case for case in every if any(word in case.name for word in wanted)]
    if not cases:
        parser.error(f"no function of the grid has {' or '.join(map(repr, wanted))} in its name")
    found = []
    with progress("the grid of functions", len(cases), None) as advance:
        for case in cases:
            found.append(outcome(case, options.rounds, options.milliseconds / 1e3))
            advance()
    rows = [one.row() for one in found]
    title = f"advice on {len(found)} functions"
    print(markdown_table(title, HEADERS, rows) if options.markdown else f"{title}\n{text_table(HEADERS, rows)}")
    print(f"\n{summary(found)}")
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(one) for one in found], indent=1), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
