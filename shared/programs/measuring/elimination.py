"""Elimination orders: the two modes are two orders of one product, and not always the best ones.

The partial derivatives of every operation are the edges of the linearised computational graph; the Jacobian is the sum
over all paths of the products of their edges.  Eliminating a vertex multiplies each edge into it by each edge out of
it, and joins the products to what stands there already; when only inputs and outputs are left, the edges are the
Jacobian.  Inputs first is forward mode, outputs first is reverse mode, and other orders may be cheaper than both
(Griewank & Reese 1991; Griewank & Walther 2008, chapters 9 and 10).  To find the best order is NP-complete (Bentert et
al. 2024; for face elimination with equal partials, Naumann 2008), so it is sought for small graphs alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from shared.core.errors import user_line
from shared.core.visible import kind_of, one_line, shortened, shown
from shared.programs.equations import Equation, Write
from shared.programs.explaining.evaluation import program_of
from shared.programs.program import Program
from shared.programs.tabulation import Tabulated
from shared.rules import indexing

#: Graphs of more intermediate vertices than this are not searched for the best order.
MOST_VERTICES = 15

#: Longer names of vertices are cut in the middle in a table.
_LONGEST = 40
_HEADERS = ("order", "multiplications", "additions", "operations", "eliminates")


@dataclass(frozen=True, slots=True)
class EliminationOrder:
    """One order in which the intermediate vertices are eliminated, and what it costs."""

    name: str
    order: tuple[Any, ...]
    multiplications: int
    additions: int

    @property
    def operations(self) -> int:
        """Multiplications and additions together."""
        return self.multiplications + self.additions


class LinearGraph:
    """The linearised computational graph: `edges[i, j]` is the partial derivative of vertex j by vertex i.

    Vertices are anything hashable.  Inputs have no edges in, outputs none out; every other vertex is intermediate, and
    `intermediate` lists them in an order in which each comes after what it depends on.  Raises ValueError for a graph
    with a cycle, with an edge into an input or out of an output, or with an intermediate vertex that no input reaches
    or that reaches no output.

    >>> graph = LinearGraph({("x", "a"): 2.0, ("a", "y"): 3.0}, ["x"], ["y"])
    >>> graph.jacobian(["a"])
    array([[6.]])
    """

    def __init__(self, edges: Mapping[tuple[Any, Any], Any], inputs: Sequence[Any], outputs: Sequence[Any]):
        self.edges = dict(edges)
        self.inputs, self.outputs = list(inputs), list(outputs)
        ends = {*self.inputs, *self.outputs}
        if len(ends) < len(self.inputs) + len(self.outputs):
            raise ValueError(f"LinearGraph: a vertex is an input or an output twice{user_line()}; give each one name")
        first, last = set(self.inputs), set(self.outputs)
        for i, j in self.edges:
            if j in first or i in last:
                raise ValueError(
                    f"LinearGraph: the edge from {shown(i)} to {shown(j)} enters an input or leaves an output"
                    f"{user_line()}; put a vertex of its own in between, with an edge of partial derivative 1"
                )
        self.intermediate = self._sorted(ends)

    def _sorted(self, ends: set[Any]) -> list[Any]:
        """The intermediate vertices in topological order (Kahn 1962), in the order given where they can be."""
        into, out = _neighbours(self.edges)
        vertices = [v for v in dict.fromkeys(v for edge in self.edges for v in edge) if v not in ends]
        for v in vertices:
            if v not in into or v not in out:
                raise ValueError(
                    f"LinearGraph: {shown(v)} is between no input and no output{user_line()}; leave it out, or name it "
                    "among the inputs or outputs"
                )
        place = {v: k for k, v in enumerate(vertices)}
        missing = [sum(i in place for i in into[v]) for v in vertices]
        ready = [k for k, count in enumerate(missing) if not count]
        done: list[Any] = []
        while ready:
            v = vertices[heapq.heappop(ready)]
            done.append(v)
            for k in [place[j] for j in out[v] if j in place]:
                missing[k] -= 1
                if not missing[k]:
                    heapq.heappush(ready, k)
        if len(done) < len(vertices):
            waiting = [v for v, count in zip(vertices, missing, strict=True) if count]
            raise ValueError(f"LinearGraph: the edges make a cycle among {shown(waiting)}{user_line()}")
        return done

    def jacobian(self, order: Sequence[Hashable] | None = None) -> np.ndarray:
        """The Jacobian (outputs, inputs), accumulated by eliminating the vertices in this order; forwards by default.

        Cost: the multiplications and additions that `cost_of` counts, and a step for each edge.  Raises ValueError
        where `order` does not name every intermediate vertex once.
        """
        return self._eliminated(self.intermediate if order is None else order)[0]

    def cost_of(self, order: Sequence[Hashable], name: str = "given") -> EliminationOrder:
        """What an order costs, counted by eliminating the vertices as `jacobian` does.

        Raises ValueError where it does not name every intermediate vertex once.
        """
        _, multiplications, additions = self._eliminated(order)
        return EliminationOrder(name, tuple(order), multiplications, additions)

    def _eliminated(self, order: Sequence[Any]) -> tuple[np.ndarray, int, int]:
        if len(order) != len(self.intermediate) or set(order) != set(self.intermediate):
            raise ValueError(
                f"an elimination order names each of {shown(self.intermediate)} once, unlike {shown(list(order))}"
                f"{user_line()}"
            )
        *_, (into, multiplications, additions) = self._stages(order)
        found = np.array([[into.get(j, {}).get(i, 0.0) for i in self.inputs] for j in self.outputs])
        return found.reshape(len(self.outputs), len(self.inputs)), multiplications, additions

    def stages(self, order: Sequence[Hashable]) -> Iterator[tuple[dict[tuple[Any, Any], Any], int]]:
        """The edges before the first elimination of an order and after each, and the multiplications so far.

        >>> graph = LinearGraph({("x", "a"): 2.0, ("a", "y"): 3.0}, ["x"], ["y"])
        >>> [*graph.stages(["a"])]
        [({('x', 'a'): 2.0, ('a', 'y'): 3.0}, 0), ({('x', 'y'): 6.0}, 1)]
        """
        for into, multiplications, _ in self._stages(order):
            yield {(i, j): partial for j, row in into.items() for i, partial in row.items()}, multiplications

    def _stages(self, order: Sequence[Any]) -> Iterator[tuple[_Neighbours, int, int]]:
        """The edges into every vertex after each elimination, one table that changes, and what it took so far."""
        into, out = _neighbours(self.edges)
        multiplications = additions = 0
        yield into, 0, 0
        for v in order:
            before, after = into.pop(v), out.pop(v)
            for i, first in before.items():
                row = out[i]
                del row[v]
                for j, second in after.items():
                    product = first * second
                    multiplications += 1
                    if j in row:
                        additions += 1
                        product = row[j] + product
                    row[j] = into[j][i] = product
            for j in after:
                del into[j][v]
            yield into, multiplications, additions


#: For every vertex that has any, its neighbours and the partial derivatives on the edges between.
_Neighbours = dict[Any, dict[Any, Any]]


def _neighbours(edges: Mapping[tuple[Any, Any], Any]) -> tuple[_Neighbours, _Neighbours]:
    """The edges into every vertex, and those out of it."""
    into: _Neighbours = {}
    out: _Neighbours = {}
    for (i, j), partial in edges.items():
        out.setdefault(i, {})[j] = into.setdefault(j, {})[i] = partial
    return into, out


@dataclass(frozen=True, slots=True)
class EliminationOrders(Tabulated):
    """The orders `forward`, `reverse`, `markowitz` and, of a small graph, `best`, by name; prints as a table."""

    _headers: ClassVar[tuple[str, ...]] = _HEADERS

    graph: LinearGraph
    orders: tuple[EliminationOrder, ...]

    def __getitem__(self, name: str) -> EliminationOrder:
        for found in self.orders:
            if found.name == name:
                return found
        if name == "best":
            raise KeyError(
                f"the best order was not sought{user_line()}: it takes time that doubles with each of the "
                f"{len(self.graph.intermediate)} intermediate vertices, so beyond {MOST_VERTICES} take 'markowitz'"
            )
        raise KeyError(f"there is no order {name!r}{user_line()}; there are: {', '.join(self)}")

    def __iter__(self) -> Iterator[str]:
        return (found.name for found in self.orders)

    def __len__(self) -> int:
        return len(self.orders)

    def jacobian(self, name: str) -> np.ndarray:
        """The Jacobian (outputs, inputs), accumulated in the order of this name: the same in each, to rounding."""
        return self.graph.jacobian(self[name].order)

    def _caption(self) -> str:
        graph = self.graph
        return (
            f"Jacobian of {len(graph.outputs)} outputs by {len(graph.inputs)} inputs, "
            f"{len(graph.intermediate)} intermediate vertices, {len(graph.edges)} edges"
        )

    def _rows(self) -> list[list[Any]]:
        return [
            [
                o.name,
                o.multiplications,
                o.additions,
                o.operations,
                " ".join(shortened(str(v), _LONGEST) for v in o.order),
            ]
            for o in self.orders
        ]


def elimination_orders(f: Callable[..., Any] | Program | LinearGraph, *args: Any) -> EliminationOrders:
    """What the Jacobian of a scalar program costs by vertex elimination: forwards, in reverse, and in the best order.

    `f` takes numbers (integers count as floats), or arrays of which it reads single elements, and returns numbers;
    or it is a `Program`, or a `LinearGraph` made by hand, which needs no `args`.  Counted are multiplications and
    additions of partial derivatives, those by 1 like any other; the partial derivatives themselves every order needs.
    The best order has the fewest multiplications, and of these the fewest additions.  It is sought among all orders,
    for at most 15 intermediate vertices; beyond, there is the greedy choice of the least Markowitz degree (edges in
    times out).

    Cost: one evaluation of `f`; the best order of k vertices takes some 10 microseconds times 2**k.  Raises TypeError
    where the program computes with arrays.

    Sources: Griewank & Reese 1991, "On the calculation of Jacobian matrices by the Markowitz rule"; Griewank & Walther
    2008, chapters 9 and 10.

    >>> found = elimination_orders(lambda x, y: (np.sin(x * y), np.cos(x * y)), 1.0, 2.0)
    >>> [(name, found[name].multiplications) for name in found]
    [('forward', 4), ('reverse', 4), ('markowitz', 4), ('best', 4)]
    """
    graph = f if isinstance(f, LinearGraph) else linear_graph(f, *args)
    forward = list(graph.intermediate)
    orders = [graph.cost_of(forward, "forward"), graph.cost_of(forward[::-1], "reverse")]
    orders.append(graph.cost_of(_markowitz(graph), "markowitz"))
    if len(forward) <= MOST_VERTICES:
        orders.append(graph.cost_of(_best(graph), "best"))
    return EliminationOrders(graph, tuple(orders))


# --- orders -----------------------------------------------------------------------------------------------------------

#: For every vertex, by number, the vertices with an edge to it and those with an edge from it, as bits.
_Bits = tuple[tuple[int, ...], tuple[int, ...]]


def _bits(graph: LinearGraph) -> _Bits:
    """The graph with numbers for vertices, of which the intermediate ones come first."""
    number = {v: k for k, v in enumerate([*graph.intermediate, *graph.inputs, *graph.outputs])}
    into, out = [0] * len(number), [0] * len(number)
    for i, j in graph.edges:
        into[number[j]] |= 1 << number[i]
        out[number[i]] |= 1 << number[j]
    return tuple(into), tuple(out)


def _without(bits: _Bits, v: int) -> tuple[_Bits, int, int]:
    """The graph without vertex v, and the multiplications and additions of its elimination."""
    into, out = list(bits[0]), list(bits[1])
    before, after, mask = into[v], out[v], ~(1 << v)
    additions = 0
    for i in _members(before):
        additions += (out[i] & after).bit_count()
        out[i] = (out[i] | after) & mask
    for j in _members(after):
        into[j] = (into[j] | before) & mask
    into[v] = out[v] = 0
    return (tuple(into), tuple(out)), before.bit_count() * after.bit_count(), additions


def _members(bits: int) -> Iterator[int]:
    while bits:
        lowest = bits & -bits
        yield lowest.bit_length() - 1
        bits ^= lowest


def _markowitz(graph: LinearGraph) -> list[Any]:
    """Always the vertex whose elimination takes the fewest multiplications now; of equal ones the first."""
    into, out = _neighbours(graph.edges)
    vertices = graph.intermediate
    place = {v: k for k, v in enumerate(vertices)}
    degree = [len(into[v]) * len(out[v]) for v in vertices]
    waiting = [(d, k) for k, d in enumerate(degree)]
    heapq.heapify(waiting)
    order = []
    while waiting:
        d, k = heapq.heappop(waiting)
        if d != degree[k]:
            continue  # it has changed since, and stands in the heap again
        v = vertices[k]
        order.append(v)
        degree[k] = -1
        before, after = into.pop(v), out.pop(v)
        for i in before:
            del out[i][v]
            out[i].update(after)
        for j in after:
            del into[j][v]
            into[j].update(before)
        for k in {place[v] for v in (*before, *after) if v in place}:
            d = len(into[vertices[k]]) * len(out[vertices[k]])
            if d != degree[k]:
                degree[k] = d
                heapq.heappush(waiting, (d, k))
    return order


def _best(graph: LinearGraph) -> list[Any]:
    """By dynamic programming over sets: what remains when a set is eliminated does not depend on the order."""
    count = len(graph.intermediate)
    graphs: dict[int, _Bits] = {0: _bits(graph)}
    costs: dict[int, tuple[int, int]] = {0: (0, 0)}
    last: dict[int, int] = {}
    # A set is a larger number than its subsets, so every way to reach it is known when its turn comes.
    for gone in range(1 << count):
        bits = graphs.pop(gone)
        multiplications, additions = costs[gone]
        for v in range(count):
            reached = gone | 1 << v
            if reached == gone:
                continue
            known = costs.get(reached)
            least = multiplications + bits[0][v].bit_count() * bits[1][v].bit_count()
            if known is not None and least > known[0]:
                continue
            remaining, _, added = _without(bits, v)
            graphs.setdefault(reached, remaining)
            if known is None or (least, additions + added) < known:
                costs[reached], last[reached] = (least, additions + added), v
    order = []
    gone = (1 << count) - 1
    while gone:
        order.append(graph.intermediate[last[gone]])
        gone ^= 1 << last[gone]
    return order[::-1]


# --- from a program ---------------------------------------------------------------------------------------------------


def linear_graph(f: Callable[..., Any] | Program, *args: Any) -> LinearGraph:
    """The linearised computational graph of a scalar program at its arguments (see `elimination_orders`).

    Vertices are named as the program prints them; an output that is used again, or is an input, has a vertex of its
    own for the result, as is usual.

    Cost: one evaluation, and a derivative of each operation.  Raises TypeError where the program computes with arrays
    or complex numbers, and ProgramGuardError where a branch of it would go another way at these arguments than when it
    was recorded, or where it uses a function with a derivative of its own.

    >>> linear_graph(lambda x, y: np.sin(x * y), 0.0, 2.0).edges
    {('x', 'v2'): 2.0, ('y', 'v2'): 0.0, ('v2', 'output 1'): 1.0}
    """
    if not callable(f):
        raise TypeError(
            f"elimination_orders: expected a function, a program or a LinearGraph, not {shown(f)} (type {kind_of(f)})"
            f"{user_line()}"
        )
    program, args = program_of("elimination_orders", f, args)
    return Linearisation(program, args).graph()


class Linearisation:
    """The partial derivatives of a program, taken in order at the values of one run.

    `graph()` is the graph; `vertex[k]` then what value k is called in it.
    """

    def __init__(self, program: Program, args: tuple[Any, ...]):
        self.program = program
        program.require_own_derivatives("elimination_orders")
        self.values = program.values(*args)
        self.edges: dict[tuple[str, str], Any] = {}
        #: the vertices of values that depend on an input
        self.vertex: dict[int, str] = {}
        self.inputs: list[str] = []
        self.taken = {f"output {position + 1}" for position in range(len(program.outputs))}
        #: of an argument that is an array, the vertices of its elements
        self.elements: dict[int, np.ndarray] = {}
        for k in program.inputs:
            name, type_ = program.name_of(k), program.types[k]
            if type_.is_array:
                places = [", ".join(map(str, place)) for place in np.ndindex(type_.shape)]
                elements = [self._vertex(f"{name}[{place}]") for place in places]
                self.inputs += elements
                self.elements[k] = np.array(elements, object).reshape(type_.shape)
            elif type_.kind in (float, complex) or (type_.dtype is not None and type_.dtype.kind in "fc"):
                self.vertex[k] = self._vertex(name)
                self.inputs.append(self.vertex[k])

    def _vertex(self, name: str) -> str:
        """A vertex of this name, with primes if another has it: an argument may be called v3, two keys print alike."""
        while name in self.taken:
            name += "'"
        self.taken.add(name)
        return name

    def graph(self) -> LinearGraph:
        program = self.program
        for step in program.equations:
            self._differentiate(step)
        outputs = []
        for position, k in enumerate(program.outputs):
            if program.types[k].size != 1:
                raise self._refused(f"it returns {program.types[k]!r}", "return numbers", "")
            name = f"output {position + 1}"
            outputs.append(name)
            if k in self.vertex:
                self.edges[self.vertex[k], name] = 1.0
        return self._pruned(outputs)

    def _differentiate(self, step: Equation) -> None:
        program, types = self.program, self.program.types
        out = types[step.result]
        if self._is_element(step):
            array, *index = step.operands
            element = self.elements[array][tuple([program.literals[k] for k in index])]
            self.vertex[step.result] = np.reshape(element, ()).item()
            return
        active = [k in self.vertex for k in step.operands]
        if step.primitive.constant or not any(active):
            arrays = [k for k in step.operands if k in self.elements]
            if arrays and not step.primitive.constant:
                raise self._refused(
                    f"it computes with {program.name_of(arrays[0])}, a whole array", "read elements, x[0]", step.where
                )
            return
        if isinstance(step.primitive, Write) or out.size != 1 or any(types[k].size != 1 for k in step.operands):
            raise self._refused(f"it computes with arrays in {step!r}", "write it for numbers", step.where)
        if out.is_complex or any(types[k].is_complex for k in step.operands):
            raise self._refused(f"it computes with complex numbers in {step!r}", "write it for real ones", step.where)
        values = [self.values[k] for k in step.operands]
        seen: dict[str, Any] = {}
        for position, k in enumerate(step.operands):
            if active[position] and step.primitive.edges[position] is not None:
                # An array of one element has a tangent of its shape.
                one = np.ones_like(values[position]) if program.types[k].is_array else 1.0
                tangents = [one if p == position else None for p in range(len(values))]
                partial = step.primitive.push(self.values[step.result], values, tangents, step.static)
                # x * x has one edge, whose partial is the sum of both.
                vertex = self.vertex[k]
                seen[vertex] = seen[vertex] + partial if vertex in seen else partial
        if seen:
            self.vertex[step.result] = name = self._vertex(program.name_of(step.result))
            for vertex, partial in seen.items():
                self.edges[vertex, name] = float(np.reshape(partial, ()))

    def _is_element(self, step: Equation) -> bool:
        """Whether an equation reads one element of an argument at a fixed place."""
        if isinstance(step.primitive, Write) or step.primitive.function is not indexing.GETITEM.function:
            return False
        array, *index = step.operands
        program = self.program
        return (
            array in self.elements
            and program.types[step.result].size == 1
            and all(k in program.literals for k in index)
        )

    def _pruned(self, outputs: list[str]) -> LinearGraph:
        """The graph without vertices that reach no output, and without the copy of an output that nothing else uses."""
        needed, last, first = set(outputs), set(outputs), set(self.inputs)
        kept: dict[tuple[str, str], Any] = {}
        for (i, j), partial in reversed(self.edges.items()):
            if j in needed:
                needed.add(i)
                kept[i, j] = partial
        kept = dict(reversed(kept.items()))
        uses: dict[str, int] = {}
        for i, _ in kept:
            uses[i] = uses.get(i, 0) + 1
        renamed = {i: j for i, j in kept if j in last and i not in first and uses[i] == 1}
        edges = {(i, renamed.get(j, j)): partial for (i, j), partial in kept.items() if renamed.get(i) != j}
        return LinearGraph(edges, self.inputs, outputs)

    def _refused(self, what: str, instead: str, where: str) -> TypeError:
        where = where or user_line()
        return TypeError(
            one_line(f"elimination_orders: {self.program.name} is no program of numbers{where}: {what}; {instead}")
        )
