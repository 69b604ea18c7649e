"""How each way grows with the size of a problem: its operations over those of one evaluation, flat or rising.

The ratio is the claim of the theory: a gradient in reverse costs a few evaluations at any size, forwards it costs as
many as there are inputs (Baur & Strassen 1983; Griewank & Walther 2008, sections 3.2 and 3.3).  Everything is counted,
so the same on every machine.  This module knows the interface of an engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shared.calling.arguments import Argnums
from shared.calling.engine import Engine
from shared.comparison.point import Point
from shared.comparison.progress import progress
from shared.comparison.ways import direction_of
from shared.core.errors import user_line
from shared.core.visible import one_line, shown
from shared.counting.counter import count_operations
from shared.programs.tabulation import Tabulated

#: A ratio that grows with an exponent below this is flat.
FLAT = 0.1


@dataclass(frozen=True, slots=True)
class Growth(Tabulated):
    """What each way costs at some sizes: `ratios[name]` are operations over those of the function, a number a size.

    `inputs`, `outputs` and `operations` are those of the function at each size.  `exponents[name]` is p where the ratio
    grows like inputs^p, fitted to the larger half of the sizes: 0 is flat, 1 is in proportion to the inputs.
    """

    _headers: ClassVar[tuple[str, ...]] = ("derivative", "grows like")

    function: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operations: tuple[int, ...]
    ratios: dict[str, tuple[float, ...]]

    @property
    def exponents(self) -> dict[str, float]:
        """Of each way, p where the ratio grows like inputs^p."""
        half = min(len(self.inputs) // 2, len(self.inputs) - 2)
        inputs = np.log(self.inputs[half:])
        return {name: float(np.polyfit(inputs, np.log(found[half:]), 1)[0]) for name, found in self.ratios.items()}

    def _caption(self) -> str:
        return one_line(f"{self.function}: operations over those of one evaluation, by the number of inputs")

    def _rows(self) -> list[list[Any]]:
        exponents = self.exponents
        return [
            [name, *[f"{ratio:,.1f}" for ratio in found], _told(exponents[name])] for name, found in self.ratios.items()
        ]

    def _heads(self) -> Sequence[str]:
        return [self._headers[0], *[f"n = {count:,}" for count in self.inputs], self._headers[1]]

    def plot(self, path: Any = None) -> Any:
        """A picture of the ratios over the number of inputs, each named at its end; matplotlib's figure.

        With a `path` it is saved there.  Raises ModuleNotFoundError where matplotlib is missing.
        """
        from shared.comparison.picture import draw_growth

        return draw_growth(self, path)


def growth(
    make: Callable[[int], tuple[Any, ...]],
    sizes: Sequence[int],
    *,
    engines: Sequence[Engine],
    argnums: Argnums | None = None,
    show_progress: bool | None = None,
) -> Growth:
    """What the ways to a derivative cost at growing sizes: `make(size)` returns a function and its arguments.

    Of a function with a scalar value: the gradient in reverse, forwards and by differences, a direction and a product
    with the Hessian; of others the Jacobian.  A gradient forwards is one direction, counted, times the inputs.

    Cost: at each size a few evaluations; for a Jacobian in reverse as many as outputs.  Raises what `compare` raises,
    and ValueError for fewer than two sizes.

    >>> import dualad, reversead
    >>> def make(n):
    ...     return lambda x: np.sum(np.sin(x) * x), np.linspace(0.0, 1.0, n)
    >>> found = growth(make, [10, 100, 1000], engines=(dualad, reversead))
    >>> [round(ratio, 2) for ratio in found.ratios["gradient, reverse"]]
    [2.17, 2.17, 2.17]
    >>> {name: round(power, 2) for name, power in found.exponents.items() if "gradient" in name}
    {'gradient, reverse': 0.0, 'gradient, forward': 1.0, 'gradient, differences': 1.0}
    """
    if len(sizes) < 2:
        raise ValueError(f"growth: give at least two sizes, not {shown(sizes)}{user_line()}")
    points: list[tuple[Point, int, dict[str, float]]] = []
    with progress("growing sizes", len(sizes), show_progress) as advance:
        for size in sizes:
            f, *args = make(size)
            point = Point("growth", f, tuple(args), argnums, engines)
            points.append((point, *_ratios(point)))
            advance()
    names = [name for name in points[0][2] if all(name in ratios for _, _, ratios in points)]
    return Growth(
        points[0][0].function,
        tuple(point.inputs for point, _, _ in points),
        tuple(point.outputs for point, _, _ in points),
        tuple(value for _, value, _ in points),
        {name: tuple(ratios[name] for _, _, ratios in points) for name in names},
    )


def _ratios(point: Point) -> tuple[int, dict[str, float]]:
    f, argnums, args = point.f, point.argnums, point.args
    value = count_operations(f, *args)
    if not value:
        raise ValueError(
            f"growth: {point.function} computes nothing with its arguments{user_line()}, so nothing can be told as a "
            "multiple of its cost"
        )
    along = count_operations(direction_of(point, point.forward), *args)
    group = "gradient" if point.is_scalar else "Jacobian"
    backwards = point.reverse.grad if point.is_scalar else point.reverse.jacobian
    found = {
        f"{group}, reverse": count_operations(backwards(f, argnums), *args),
        f"{group}, forward": point.inputs * along,
        f"{group}, differences": (point.inputs + 1) * value,
        "one direction, forward": along,
    }
    if point.is_scalar:
        gradient = point.reverse.grad(f, argnums)
        found["Hessian-vector product"] = count_operations(
            lambda *x: point.forward.jvp(gradient, x, point.direction, argnums=argnums), *args
        )
    return value, {name: operations / value for name, operations in found.items()}


def _told(exponent: float) -> str:
    return "flat" if abs(exponent) < FLAT else f"n^{exponent:.2f}"
