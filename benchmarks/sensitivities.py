"""`python -m benchmarks.sensitivities`: what the gradient of a differential equation costs by its parameters.

The same gradient is taken forwards and backwards, of a solution by SciPy and of one by a fixed number of steps, and the
evaluations of the right-hand side are counted; the picture of that is in docs/sensitivities.md.  This module counts
calls, and knows nothing of how the derivatives come about.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import dualad
import reversead
from benchmarks.picture import Style
from shared import ode_solution, runge_kutta

#: Hidden units; a unit has five parameters.
WIDTHS = (2, 4, 8, 16, 32, 64)
TIMES = np.array([0.0, 2.0])
STEPS = 50

STYLES = {
    "value": Style("the solution alone", "#444444", "o"),
    "forward": Style("forward sensitivities", "#D55E00", "^"),
    "adjoint": Style("continuous adjoint", "#0072B2", "s"),
    "forward steps": Style(f"{STEPS} Runge-Kutta steps, forwards", "#E69F00", "v"),
    "adjoint steps": Style(f"{STEPS} Runge-Kutta steps, backwards with checkpoints", "#009E73", "D"),
}


class Row(NamedTuple):
    """The number of parameters, and the evaluations of the right-hand side by what is computed."""

    parameters: int
    evaluations: dict[str, int]


def field(t: Any, y: Any, weights: dict[str, Any]) -> Any:
    """A network with one hidden layer as the right-hand side of an equation of two unknowns (Chen et al. 2018)."""
    return weights["out"] @ np.tanh(weights["in"] @ y + weights["bias"])


def weights_of(width: int) -> dict[str, Any]:
    """The weights of two units, each as several equal ones: whatever the number of parameters, the same equation."""
    rng, copies = np.random.default_rng(0), width // 2
    return {
        "in": np.tile(rng.normal(size=(2, 2)), (copies, 1)),
        "bias": np.tile(rng.normal(size=2), copies),
        "out": np.tile(rng.normal(size=(2, 2)), copies) / copies,
    }


def measured(width: int) -> Row:
    """The evaluations for the loss of a network, and for its gradient in each way."""
    count = 0

    def counted(t: Any, y: Any, weights: dict[str, Any]) -> Any:
        nonlocal count
        count += 1
        return field(t, y, weights)

    def evaluations(call: Callable[..., Any]) -> int:
        nonlocal count
        count = 0
        call(weights_of(width))
        return count

    def loss_of(solution: Callable[..., Any]) -> Callable[..., Any]:
        return lambda weights: np.sum((solution(np.array([1.0, 0.0]), TIMES, weights)[-1] - 0.5) ** 2)

    exact, steps = loss_of(ode_solution(counted, reversead)), loss_of(runge_kutta(counted, steps=STEPS))
    ways = {
        "value": exact,
        "forward": dualad.grad(exact),
        "adjoint": reversead.grad(exact),
        # One direction at a time, so that an evaluation is one.
        "forward steps": dualad.grad(steps, chunk_size=1),
        "adjoint steps": reversead.grad(steps),
    }
    return Row(5 * width, {name: evaluations(call) for name, call in ways.items()})


def table(rows: Sequence[Row]) -> str:
    """The rows as the page has them, in Markdown."""
    heads = ["parameters", *(STYLES[name].label for name in rows[0].evaluations)]
    lines = [heads, ["---:"] * len(heads)]
    lines += [[f"{n:,}" for n in (row.parameters, *row.evaluations.values())] for row in rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def draw(rows: Sequence[Row], path: Path) -> None:
    """Write the picture of these rows to `path`, in the format of its suffix."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 5.6), layout="constrained")
    axes = figure.subplots()
    sizes = [row.parameters for row in rows]
    for name, style in STYLES.items():
        counts = [row.evaluations[name] for row in rows]
        axes.plot(sizes, counts, f"{style.marker}-", color=style.colour, label=style.label)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.set(xlabel="p, parameters of the right-hand side", ylabel="evaluations of the right-hand side")
    axes.set_title(
        "A gradient through a differential equation: forwards proportional to p, backwards flat", fontsize=12
    )
    axes.grid(True, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, dpi=150)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table, and write the picture."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sensitivities", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("sensitivities.png"), help="where to write the picture")
    options = parser.parse_args(arguments)
    rows = [measured(width) for width in WIDTHS]
    print(table(rows))
    draw(rows, options.output)
    print(f"picture: {options.output.resolve()}")


if __name__ == "__main__":
    main()
