"""Elimination orders: counted by hand on small graphs, the same Jacobian in each, and the best one searched for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dualad
import reversead
from shared import LinearGraph, ProgramGuardError, custom_derivative, elimination_orders, trace
from shared.programs.measuring.elimination import MOST_VERTICES, linear_graph


def counts(found: Any) -> tuple[int, ...]:
    return tuple(found[name].multiplications for name in ("forward", "reverse", "best"))


def layered(*widths: int) -> LinearGraph:
    """Layers, each of whose vertices has an edge from every vertex of the one before."""
    layers = [[f"{letter}{k}" for k in range(width)] for letter, width in zip("abcdefgh", widths, strict=False)]
    rng = np.random.default_rng(0)
    edges = {
        (i, j): rng.normal() for one, other in itertools.pairwise(layers) for i, j in itertools.product(one, other)
    }
    return LinearGraph(edges, layers[0], layers[-1])


# --- by hand ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("widths", "expected"),
    [
        pytest.param((1, 1, 1), (1, 1, 1), id="one function of a function"),
        pytest.param((1, 1, 1, 1, 1), (3, 3, 3), id="a chain of four: three products"),
        pytest.param((3, 4, 2), (24, 24, 24), id="one layer: 3 x 4 x 2, whatever the order"),
        pytest.param((3, 1, 2), (6, 6, 6), id="all through one vertex"),
        pytest.param((4, 3, 2, 1), (4 * 3 * 2 + 4 * 2, 3 * 2 + 4 * 3, 3 * 2 + 4 * 3), id="to one output: reverse"),
        pytest.param((1, 2, 3, 4), (2 * 3 + 3 * 4, 2 * 3 * 4 + 2 * 4, 2 * 3 + 3 * 4), id="from one input: forward"),
        pytest.param((3, 2, 1, 2, 3), (30, 30, 21), id="through a waist: from both ends inwards"),
    ],
)
def test_counted_by_hand(widths: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert counts(elimination_orders(layered(*widths))) == expected


def test_additions_join_paths() -> None:
    # Two paths from x to y beside one edge: two products, each added to what is there.
    graph = LinearGraph(
        {("x", "a"): 2.0, ("a", "y"): 3.0, ("x", "b"): 5.0, ("b", "y"): 7.0, ("x", "y"): 11.0}, ["x"], ["y"]
    )
    found = elimination_orders(graph)
    assert found["best"].additions == 2
    assert found["best"].operations == 4
    assert found.jacobian("best") == 2 * 3 + 5 * 7 + 11


def bow_tie(x1: Any, x2: Any) -> Any:
    """Two inputs, each through a function of its own, meet in one number, which fans out to four outputs."""
    middle = np.sin(x1) * np.exp(x2)
    a, b, c, d = np.sin(middle), np.cos(middle), np.tanh(middle), np.exp(middle)
    return np.exp(a), np.sin(b), np.cos(c), c * d


def test_bow_tie() -> None:
    """By hand, in multiplications.

    Forwards: the two functions take 1 each, the middle 2 inputs times 4, the four functions 2 inputs times the 5 edges
    beyond them: 2 + 8 + 10 = 20.  In reverse: the four take 5, the middle 2 times 4, each of the two 4 outputs:
    5 + 8 + 8 = 21.  From both ends: 2 and 5, and then the middle 2 x 4: 15.
    """
    found = elimination_orders(bow_tie, 0.3, -0.5)
    assert counts(found) == (20, 21, 15)
    assert found["markowitz"].multiplications == 15
    assert found["best"].order[-1] == found["forward"].order[2]


# --- the derivative is the same ---------------------------------------------------------------------------------------


def speelpenning(x: Any) -> Any:
    value = x[0]
    for k in range(1, 5):
        value = value * x[k]
    return value


def coupled(x: Any) -> Any:
    shared_part = np.sin(x[0] * x[1]) / x[2]
    return shared_part**2, shared_part * np.exp(x[2]), np.where(x[0] > 0, shared_part - x[1], x[1]), x[2]


FUNCTIONS: list[tuple[Callable[..., Any], np.ndarray]] = [
    (speelpenning, np.array([1.5, -0.5, 2.0, 0.75, 3.0])),
    (coupled, np.array([0.5, 1.5, -0.75])),
    (lambda x: bow_tie(x[0], x[1]), np.array([0.3, -0.5])),
    (lambda x: np.log(x[0]) + x[0] * x[1] - np.sin(x[1]), np.array([2.0, 5.0])),
    (lambda x: (x[0] if x[0] > x[1] else x[1] * x[1], x[1]), np.array([1.0, 2.0])),
]


@pytest.mark.parametrize("ad", [dualad, reversead], ids=lambda ad: ad.__name__)
@pytest.mark.parametrize(("f", "x"), FUNCTIONS)
def test_every_order_gives_the_jacobian_of_the_engines(ad: Any, f: Callable[..., Any], x: np.ndarray) -> None:
    def stacked(x: Any) -> Any:
        result = f(x)
        return np.stack(result) if isinstance(result, tuple) else np.reshape(result, (1,))

    found = elimination_orders(f, x)
    expected = ad.jacobian(stacked)(x)
    assert found.graph.inputs == [f"x[{k}]" for k in range(len(x))]
    for name in found:
        np.testing.assert_allclose(found.jacobian(name), expected, rtol=1e-13, atol=1e-15)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_random_graphs(size: int, seed: int) -> None:
    """The best order is the best of all, and every order gives the sum over all paths."""
    rng = np.random.default_rng(seed)
    inputs, inner, outputs = (
        [f"{letter}{k}" for k in range(n)]
        for letter, n in (("x", rng.integers(1, 4)), ("v", size), ("y", rng.integers(1, 4)))
    )
    edges = {}
    for k, v in enumerate(inner):
        edges[str(rng.choice(inputs + inner[:k])), v] = rng.normal()
        edges[v, str(rng.choice(inner[k + 1 :] + outputs))] = rng.normal()
    for i, j in itertools.product(inputs + inner, inner + outputs):
        if rng.random() < 0.25 and (i in inputs or j in outputs or inner.index(i) < inner.index(j)):
            edges[i, j] = rng.normal()
    graph = LinearGraph(edges, inputs, outputs)
    vertices = [*inputs, *graph.intermediate, *outputs]
    matrix = np.array([[edges.get((i, j), 0.0) for i in vertices] for j in vertices])
    total = np.linalg.inv(np.eye(len(vertices)) - matrix)[-len(outputs) :, : len(inputs)]
    found = elimination_orders(graph)
    for name in found:
        np.testing.assert_allclose(found.jacobian(name), total, rtol=1e-9, atol=1e-9)
    every = itertools.permutations(graph.intermediate)
    costs = [(c.multiplications, c.additions) for c in map(graph.cost_of, itertools.islice(every, 720))]
    assert (found["best"].multiplications, found["best"].additions) == min(costs)


# --- guards, and how much work there is -------------------------------------------------------------------------------


def test_a_branch_that_would_go_another_way_is_refused() -> None:
    program = trace(lambda x: x * x if x > 0 else -x, 2.0)
    assert linear_graph(program, 3.0).jacobian().tolist() == [[6.0]]
    with pytest.raises(ProgramGuardError, match=r"the branch on x > 0 .* was recorded as True and is now False"):
        linear_graph(program, -3.0)
    assert linear_graph(lambda x: x * x if x > 0 else -x, -3.0).jacobian().tolist() == [[-1.0]]


def test_a_function_with_a_derivative_of_its_own_is_refused() -> None:
    doubled = custom_derivative(lambda x: x * 2.0, jvp=lambda out, primals, tangents: 100.0 * tangents[0])
    with pytest.raises(ProgramGuardError, match=r"elimination_orders: .* has a derivative of its own"):
        elimination_orders(lambda x: doubled(x) * x, 1.0)


class Vertex:
    """A vertex that counts how often any is looked up."""

    looked_up = 0

    def __init__(self, name: str):
        self.name = name

    def __hash__(self) -> int:
        Vertex.looked_up += 1
        return hash(self.name)


def look_ups(length: int) -> int:
    """How many vertices are looked up to eliminate a chain that is given from its end."""
    chain = [Vertex(f"v{k}") for k in range(length)]
    edges = dict.fromkeys(reversed(list(itertools.pairwise(chain))), 2.0)
    Vertex.looked_up = 0
    graph = LinearGraph(edges, chain[:1], chain[-1:])
    assert graph.intermediate == chain[1:-1]
    found = elimination_orders(graph)
    assert found["markowitz"].multiplications == found["reverse"].multiplications == length - 2
    return Vertex.looked_up


def test_work_grows_with_the_size_of_the_graph_and_not_with_its_square() -> None:
    one, twice = look_ups(100), look_ups(200)
    assert twice < 2.1 * one


# --- what users meet --------------------------------------------------------------------------------------------------


def test_a_program_may_be_given_and_unused_parts_are_left_out() -> None:
    def f(x: Any, y: Any) -> Any:
        np.exp(x)
        return np.sin(x) * 2.0

    found = elimination_orders(trace(f, 1.0, 2.0), 1.0, 2.0)
    assert found.graph.inputs == ["x", "y"]
    assert counts(found) == (1, 1, 1)
    np.testing.assert_allclose(found.jacobian("best"), [[2 * np.cos(1.0), 0.0]])
    assert elimination_orders(lambda x: (x, 3.0), 1.0).jacobian("forward").tolist() == [[1.0], [0.0]]


def test_large_graphs_have_no_best_order() -> None:
    def chain(x: Any) -> Any:
        for _ in range(MOST_VERTICES + 2):
            x = np.sin(x)
        return x

    found = elimination_orders(chain, 1.0)
    assert list(found) == ["forward", "reverse", "markowitz"]
    with pytest.raises(KeyError, match=r"was not sought.*beyond 15 take 'markowitz'"):
        found["best"]
    with pytest.raises(KeyError, match="there is no order 'backward'"):
        found["backward"]
    np.testing.assert_allclose(found.jacobian("markowitz")[0, 0], dualad.derivative(chain)(1.0))


def test_table_as_text_and_html() -> None:
    found = elimination_orders(bow_tie, 0.3, -0.5)
    assert str(found).startswith("Jacobian of 4 outputs by 2 inputs, 7 intermediate vertices, 13 edges\norder ")
    assert found._repr_html_().count("<tr>") == 5


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: elimination_orders(lambda x: np.sum(x), np.ones(3)), TypeError, "a whole array; read elements"),
        (lambda: elimination_orders(lambda x: x[0] * np.ones(3), np.ones(3)), TypeError, "arrays in .*for numbers"),
        (lambda: elimination_orders(lambda x: x, np.ones(3)), TypeError, "returns .*return numbers"),
        (lambda: elimination_orders(lambda x: x * 1j, 2.0), TypeError, "complex numbers in .*for real ones"),
        (lambda: elimination_orders(3, 2.0), TypeError, "expected a function, a program or a LinearGraph"),  # type: ignore[arg-type]
        (lambda: LinearGraph({("a", "b"): 1.0, ("b", "a"): 1.0}, ["x"], ["y"]), ValueError, "cycle"),
        (lambda: LinearGraph({("x", "a"): 1.0}, ["x"], ["y"]), ValueError, "between no input and no output"),
        (lambda: LinearGraph({("y", "x"): 1.0}, ["x"], ["y"]), ValueError, "enters an input or leaves an output"),
        (lambda: LinearGraph({}, ["x"], ["x"]), ValueError, "twice"),
        (lambda: layered(1, 2, 1).jacobian(["b0"]), ValueError, "names each of .* once"),
        (lambda: layered(1, 2, 1).cost_of(["b0", "b0"]), ValueError, "names each of .* once"),
    ],
)
def test_errors_say_what_to_write(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call()
    assert "test_elimination.py" in str(caught.value)


def test_integers_are_numbers_to_differentiate_by() -> None:
    found = elimination_orders(lambda x, y: np.sin(x * y) * x, 2, 5.0)
    assert found.graph.inputs == ["x", "y"]
    assert found.graph.edges == elimination_orders(lambda x, y: np.sin(x * y) * x, 2.0, 5.0).graph.edges


def test_an_array_of_one_element_is_read_as_its_number() -> None:
    found = elimination_orders(lambda x: np.reshape(x * x, (1,))[0] * x, 3.0)
    assert [found.jacobian(name).tolist() for name in found] == [[[27.0]]] * len(found)
