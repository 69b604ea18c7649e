"""Orders of the chain rule to look at: vertices of a small graph eliminated one at a time, and a chain of Jacobians.

Forward and reverse mode are two orders of one product (Griewank & Walther 2008, chapters 9 and 10).  Of a network, each
layer has a Jacobian, and the gradient is their product: from the loss every product is a vector times a matrix, n^2
multiplications a layer of n units, from the input a matrix times a matrix, n^3.  This module knows no engine.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.page.telling import number
from shared.programs.explaining.layout import Edge
from shared.programs.explaining.naming import Names
from shared.programs.explaining.svg import Shape, drawn
from shared.programs.measuring.elimination import EliminationOrders, LinearGraph, Linearisation, elimination_orders
from shared.programs.program import Program

#: Graphs of more vertices to eliminate, or of more edges, are not shown.
MOST_VERTICES, MOST_EDGES = 12, 40


@dataclass(frozen=True)
class Order:
    """One order: its name, and of each stage what was eliminated, the multiplications so far, and the graph."""

    name: str
    stages: tuple[tuple[str, int, str], ...]


@dataclass(frozen=True)
class Elimination:
    """The orders of a graph, and the Jacobian that all of them come to."""

    orders: tuple[Order, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    jacobian: np.ndarray


def eliminated(
    program: Program, args: tuple[Any, ...], parameters: Collection[int], names: Names
) -> Elimination | None:
    """The elimination orders of a small program of numbers, drawn; None of any other.

    `parameters` are the inputs that are differentiated by; what depends on the others alone is no vertex.
    """
    try:
        linear = Linearisation(program, args)
        graph = _of_parameters(linear, linear.graph(), parameters)
    except (TypeError, ValueError):
        return None
    if not 1 <= len(graph.intermediate) <= MOST_VERTICES or len(graph.edges) > MOST_EDGES:
        return None
    called = {vertex: names.name(k) for k, vertex in linear.vertex.items() if vertex not in graph.inputs}
    single = len(graph.outputs) == 1
    called |= {vertex: "y" if single else f"y{place + 1}" for place, vertex in enumerate(graph.outputs)}
    found = elimination_orders(graph)
    kept = ["forward", "reverse", "markowitz"]
    if "best" in found and found["best"].multiplications < found["markowitz"].multiplications:
        kept.append("best")
    orders = tuple(_order(found, name, called) for name in kept)
    return Elimination(
        orders,
        tuple(called.get(v, str(v)) for v in graph.inputs),
        tuple(called[v] for v in graph.outputs),
        found.jacobian("forward"),
    )


def _of_parameters(linear: Linearisation, graph: LinearGraph, parameters: Collection[int]) -> LinearGraph:
    """The part of a graph that the parameters reach."""
    inputs = [v for k in linear.program.inputs if k in parameters for v in _vertices(linear, k)]
    reached = set(inputs)
    edges = {}
    # In the order of the program, so that what reaches a vertex comes before what it reaches.
    for (i, j), partial in graph.edges.items():
        if i in reached:
            edges[i, j] = partial
            reached.add(j)
    return LinearGraph(edges, inputs, graph.outputs)


def _vertices(linear: Linearisation, k: int) -> list[str]:
    return [*linear.elements[k].ravel()] if k in linear.elements else [linear.vertex[k]]


def _order(found: EliminationOrders, name: str, called: dict[Any, str]) -> Order:
    order = found[name].order
    graph = found.graph
    stages = []
    for gone, (edges, multiplications) in zip([None, *order], graph.stages(order), strict=True):
        what = "" if gone is None else called.get(gone, str(gone))
        stages.append((what, multiplications, _picture(graph, edges, called)))
    return Order(name, tuple(stages))


def _picture(graph: LinearGraph, edges: dict[tuple[Any, Any], Any], called: dict[Any, str]) -> str:
    """A graph whose edges tell their partial derivatives: each is a piece of wire between two vertices."""
    alive = {v for edge in edges for v in edge}
    shapes: list[Shape] = []
    wires: list[Edge] = []
    into: dict[Any, list[Any]] = {}
    for i, j in edges:
        into.setdefault(j, []).append(i)
    for v in [*graph.inputs, *graph.intermediate, *graph.outputs]:
        if v not in alive:
            continue
        kind = "parameter" if v in graph.inputs else "output" if v in graph.outputs else "operation"
        sources = into.get(v, [])
        for place, i in enumerate(sources):
            key = f"{i} to {v}"
            shapes.append(Shape(key, "partial", (), number(edges[i, v], 3), name=key))
            wires += [Edge(f"v {i}", key), Edge(key, f"v {v}", place, len(sources))]
        text = called.get(v, str(v))
        shapes.append(Shape(f"v {v}", kind, (text,), name=text))
    return drawn(shapes, wires, f"{len(edges)} edges with their partial derivatives", standalone=False)


# --- layers -----------------------------------------------------------------------------------------------------------


def chain(names: Names) -> list[int]:
    """The sizes of the layers of a network, from its input on; none where there are fewer than two layers."""
    if len(names.groups) < 2 or not names.network:
        return []
    types = names.program.types
    sizes: list[int] = []
    for layer in names.groups:
        product = next(e for e in layer.equations if getattr(e.primitive, "function", None) is np.matmul)
        first, second = (types[k].shape for k in product.operands)
        out = types[product.result].shape
        if len(first) > 2 or len(second) > 2 or not out:
            return []
        weight_is_left = product.operands[0] in layer.inside
        taken = first[-1]
        given = out[0] if weight_is_left else out[-1]
        if sizes and sizes[-1] != taken:
            return []
        sizes += [given] if sizes else [taken, given]
    return sizes


__all__ = ["Elimination", "chain", "eliminated"]
