"""The graphs of a page: everything folded, one item opened, or everything shown, each in two widths.

This module knows what is folded and how wide a page may be, and nothing of the page around.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.page.folding import Item, boxes
from shared.page.sweeps import Sweeps
from shared.page.telling import number
from shared.programs.explaining.circuit import Circuit, Telling
from shared.programs.explaining.metrics import text_width
from shared.programs.explaining.naming import Names
from shared.programs.explaining.svg import TOLD, drawn

#: The widths of a picture on a desk and in a hand.
WIDE, NARROW = 860.0, 340.0
#: A graph of more nodes than this is folded at first; one of more than that is never drawn in full.
READABLE, MOST_NODES = 60, 260
#: A larger graph is there in one width alone, and scrolls where that is too much.
MOST_TWICE = 120


@dataclass(frozen=True)
class View:
    """One graph: its pictures, the narrow one empty of a large graph; and what is inside of a box.

    `folded` says of each value that a box has inside the value that the box stands for.
    """

    name: str
    wide: str
    narrow: str
    folded: Mapping[int, int]


def views(sweeps: Sweeps, items: Sequence[Item], names: Names, title: str) -> list[View]:
    """All views, of which the first is the one to begin with.

    Cost: a layout for each item, in two widths.
    """
    found: list[View] = []
    whole = len(sweeps.program.equations) + len(sweeps.program.inputs)
    told = _told(sweeps)
    if items:
        found.append(_view("fold", set(), sweeps, items, names, told, title))
        found += [_view(str(place), {place}, sweeps, items, names, told, title) for place in range(len(items))]
    everything = not items or whole <= MOST_NODES
    if everything:
        shown = _view("all", set(range(len(items))), sweeps, items, names, told, title)
        network = names.network and len(names.groups) > 1
        if items and (whole > READABLE or network):
            found.append(shown)
        else:
            found.insert(0, shown)
    return found


def _view(
    name: str,
    opened: set[int],
    sweeps: Sweeps,
    items: Sequence[Item],
    names: Names,
    told: Mapping[int, Telling],
    title: str,
) -> View:
    drawn_boxes = [box for place, item in enumerate(items) for box in boxes(item, place, names, opened=place in opened)]
    circuit = Circuit(sweeps.program, drawn_boxes, sweeps.parameters, names.name, lambda k: told.get(k, Telling()))
    label = f"The graph of {title}" + (", folded" if name == "fold" else "")
    wide = drawn(circuit.shapes, circuit.edges, label, WIDE, standalone=False)
    narrow = ""
    if len(circuit.shapes) <= MOST_TWICE:
        narrow = drawn(circuit.shapes, circuit.edges, label, NARROW, standalone=False)
    return View(name, wide, narrow, {k: box.exit for box in drawn_boxes for k in box.results})


def _told(sweeps: Sweeps) -> dict[int, Telling]:
    """What stands along each wire at last, and the room for everything that stands there before."""
    texts: dict[int, set[str]] = {}
    for one in sweeps.passes:
        for k, tangent in one["t"].items():
            texts.setdefault(k, set()).add(tangent[0])
    adjoints = {k: datum[0] for k, datum in sweeps.seeds.items() if datum is not None}
    for step in sweeps.back:
        for k, _, total, *_ in step["add"]:
            adjoints[k] = total[0]
            texts.setdefault(k, set()).add(total[0])
    found = {}
    for k, value in enumerate(sweeps.values):
        if k in sweeps.program.literals:
            continue
        above = number(value)
        below = adjoints.get(k, "")
        room = max(text_width(text, TOLD) for text in {above, below, *texts.get(k, ())})
        found[k] = Telling(above, below, room)
    return found


__all__ = ["View", "views"]
