"""Pictures that are laid out here: edges without gaps, none through a node, text that fits, and bands of a width."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from shared import REGISTRY
from shared.programs.explaining.layout import Edge, Layout, Node, layout
from shared.programs.explaining.metrics import text_width
from shared.programs.explaining.svg import Shape, drawn
from shared.programs.gates import gate_of


def random_graph(seed: int) -> tuple[list[Node], list[Edge]]:
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 60))
    nodes = [Node(k, *rng.uniform(10, 90, 2), rng.choice([0.0, 40.0]), f"v{k}") for k in range(count)]
    edges = []
    for k in range(1, count):
        starts = rng.integers(max(0, k - 12), k, int(rng.integers(0, 4)))
        edges += [Edge(int(start), k, place, len(starts)) for place, start in enumerate(starts)]
    return nodes, edges


def points_of(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Points along an edge, level within a pair and on the curve between pairs."""
    found = []
    for place, ((x, y), (x2, y2)) in enumerate(pairwise(points)):
        for t in np.linspace(0.02, 0.98, 25):
            level = place % 2 == 0
            bend = 3 * t**2 - 2 * t**3
            across = 1.5 * t * (1 - t) ** 2 + 1.5 * t**2 * (1 - t) + t**3 if not level else t
            found.append((x + (x2 - x) * across, y + (y2 - y) * (0 if level else bend)))
    return found


@pytest.mark.parametrize("seed", range(12))
def test_edges_have_no_gaps_and_go_through_no_node(seed: int) -> None:
    nodes, edges = random_graph(seed)
    found = layout(nodes, edges, 500.0)
    boxes = [(p.x, p.y, p.x + p.node.width, p.y + p.node.height) for p in found.nodes]
    for edge, points in found.edges:
        starts = [p for p in found.nodes if edge.start in (p.node.key, p.of) and not p.out]
        ends = [
            p
            for p in found.nodes
            if (p.node.key == edge.end and p.of is None) or (edge.end is None and p.of == edge.start and p.out)
        ]
        (x, y), (x2, y2) = points[0], points[-1]
        assert any(
            abs(p.x + p.node.width + p.node.tail - x) < 1e-6 and abs(p.y + p.node.height / 2 - y) < 1e-6 for p in starts
        )
        assert any(abs(p.x - x2) < 1e-6 and p.y <= y2 <= p.y + p.node.height for p in ends)
        for px, py in points_of(points):
            assert not any(
                left + 0.01 < px < right - 0.01 and upper + 0.01 < py < lower - 0.01
                for left, upper, right, lower in boxes
            )


@pytest.mark.parametrize("seed", range(12))
def test_nodes_do_not_overlap(seed: int) -> None:
    found = layout(*random_graph(seed), 500.0)
    placed = [(p.x, p.y, p.x + p.node.width + p.node.tail, p.y + p.node.height) for p in found.nodes]
    for k, (left, upper, right, lower) in enumerate(placed):
        for other in placed[k + 1 :]:
            apart = right <= other[0] or other[2] <= left or lower <= other[1] or other[3] <= upper
            assert apart


def chain(count: int) -> tuple[list[Node], list[Edge]]:
    return [Node(k, 40, 20, 0, f"v{k}") for k in range(count)], [Edge(k, k + 1) for k in range(count - 1)]


def test_a_long_program_is_wrapped_and_every_value_that_leaves_a_band_enters_another() -> None:
    found: Layout = layout(*chain(60))
    assert found.width <= 880 and found.height > 100
    out, entering = ({p.of for p in found.nodes if p.of is not None and p.out is way} for way in (True, False))
    assert out == entering and len(out) >= 3
    assert layout(*chain(5)).height == 20


def test_text_is_measured_and_pinned_to_its_room() -> None:
    shapes = [
        Shape("x", "parameter", ("weights['größe']", "20×5"), "‖3.14‖", "−0.5", value="0"),
        Shape("y", "operation", ("log_softmax", "axis=-1"), value="1"),
    ]
    root = ElementTree.fromstring(drawn(shapes, [Edge("x", "y")], "a"))
    space = "{http://www.w3.org/2000/svg}"
    for group in root.iter(f"{space}g"):
        (box, *_) = [e for e in group.iter(f"{space}rect")]
        left, right = float(box.get("x", 0)), float(box.get("x", 0)) + float(box.get("width", 0))
        for text in group.iter(f"{space}text"):
            pinned = text.get("textLength")
            assert (pinned is None) == (not text.text)
            if pinned and "told" not in text.get("class", ""):
                middle = float(text.get("x", 0))
                assert left <= middle - float(pinned) / 2 and middle + float(pinned) / 2 <= right
    assert text_width("0123456789", 10) == pytest.approx(55.6)
    assert re.search(r"font-family:Helvetica, Arial, 'Liberation Sans'", drawn(shapes, [], "a"))


def test_every_primitive_has_a_habit_and_the_famous_ones_their_words() -> None:
    words = {
        f: gate_of(REGISTRY[f]).verb for f in (np.add, np.subtract, np.multiply, np.matmul, np.maximum, np.minimum)
    }
    assert list(words.values()) == ["distributes", "distributes", "switches", "switches", "selects", "selects"]
    primitives: list[Any] = [entry for entry in REGISTRY.values() if hasattr(entry, "edges")]
    assert len(primitives) > 100 and all(gate_of(p).verb and gate_of(p).backwards for p in primitives)
