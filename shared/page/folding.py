"""What is folded on a page: layers of a network, equal ones together, and the equal rounds of a loop.

An `Item` is what a click opens.  It knows programs and what they are called, and nothing of how a page looks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from shared.core.visible import shortened
from shared.programs.equations import Equation
from shared.programs.explaining import labels
from shared.programs.explaining.circuit import Box
from shared.programs.explaining.layers import Layer
from shared.programs.explaining.naming import Names
from shared.programs.explaining.rounds import kind_of_equation, rounds
from shared.programs.program import Program

#: Up to so many operations of an opened item are drawn; of a longer one its parts.
MOST_OPENED = 80
_LINES = 4
_WIDE = 34


@dataclass(frozen=True)
class Item:
    """Equations under one title, in `units` that are alike; the leaves `inside` of each unit, and what it hands on.

    `names` are what the units are called one by one.
    """

    title: str
    names: tuple[str, ...]
    units: tuple[tuple[Equation, ...], ...]
    inside: tuple[frozenset[int], ...]
    exits: tuple[int, ...]

    @property
    def results(self) -> frozenset[int]:
        """All values that it makes."""
        return frozenset(equation.result for unit in self.units for equation in unit)

    @property
    def size(self) -> int:
        """How many equations it has."""
        return sum(map(len, self.units))


def items(program: Program, groups: Sequence[Layer], names: Names) -> list[Item]:
    """What can be folded: the layers of a network, or else the rounds of loops."""
    if len(groups) > 1 or names.network:
        return _layers(program, groups)
    return [_run(program, run) for run in rounds(program)]


def _layers(program: Program, groups: Sequence[Layer]) -> list[Item]:
    found: list[Item] = []
    for _, alike in groupby(groups, key=lambda layer: _kind(program, layer)):
        layers = list(alike)
        for run in [layers] if len(layers) > 2 else [[layer] for layer in layers]:
            title = run[0].title
            if len(run) > 1:
                title = f"{len(run)} equal layers, {_number(run[0])} to {_number(run[-1])}"
            found.append(
                Item(
                    title,
                    tuple(layer.title for layer in run),
                    tuple(layer.equations for layer in run),
                    tuple(layer.inside for layer in run),
                    tuple(layer.exit for layer in run),
                )
            )
    return found


def _number(layer: Layer) -> str:
    return layer.title.removeprefix("layer ")


def _kind(program: Program, layer: Layer) -> object:
    return layer.title == "loss", [kind_of_equation(program, equation) for equation in layer.equations]


def _run(program: Program, run: list[list[Equation]]) -> Item:
    units = tuple(map(tuple, run))
    names = tuple(f"round {number}" for number in range(1, len(run) + 1))
    exits = tuple(unit[-1].result for unit in run)
    return Item(f"{len(run)} equal rounds", names, units, (frozenset(),) * len(run), exits)


def boxes(item: Item, place: int, names: Names, opened: bool = False) -> list[Box]:
    """The boxes of an item: one, or those of its units where it is opened and too long to be drawn in full."""
    group = str(place)
    if not opened:
        every = [k for unit in item.inside for k in unit]
        lines = (item.title, *_lines(item.units[0], names, item.inside[0]))
        return [Box(f"box{place}", lines, item.results, frozenset(every), item.exits[-1], group)]
    if item.size <= MOST_OPENED:
        return []
    return [
        Box(
            f"box{place}_{number}",
            (item.names[number], names.name(exit_)),
            frozenset(equation.result for equation in unit),
            inside,
            exit_,
            group,
        )
        for number, (unit, inside, exit_) in enumerate(zip(item.units, item.inside, item.exits, strict=True))
    ]


def _lines(unit: Sequence[Equation], names: Names, inside: frozenset[int]) -> list[str]:
    """What a box says of its operations: the first of them, and the shapes of its weights."""
    told = [e for e in unit if not labels.is_view(e)]
    lines = [shortened(f"{names.name(e.result)} = {names.formula(e)}", _WIDE) for e in told[:_LINES]]
    if len(told) > _LINES:
        lines.append(f"… {len(told) - _LINES} more")
    shapes = [f"{names.name(k)}: {labels.shape_text(names.program.types[k])}" for k in sorted(inside)]
    return [*lines, *([shortened(", ".join(shapes), _WIDE)] if shapes else [])]


__all__ = ["MOST_OPENED", "Item", "boxes", "items"]
