"""The theorem, by exact counts: gradients in reverse cost a constant, forwards as much for each input.

The bounds are asserted for every worked example, for networks from 50 to 50,000 parameters, and for random programs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import conftest
import numpy as np
import pytest
from counted_programs import SCALAR_PROGRAMS, vector
from hypothesis import given, settings
from hypothesis import strategies as st
from worked_networks import digits_network

import dualad
import reversead
from shared import MLP, derivative_costs, sigmoid
from shared.core import registry
from shared.core.errors import LeafTypeError
from shared.programs.measuring.theorem import FORWARD, PLACING, REVERSE, DerivativeCosts

REVERSE_ROW, DIRECTION, GRADIENT = (
    "value and gradient, reverse", "value and direction, forward", "value and gradient, forward",
)  # fmt: skip
PRODUCTS = ("forward over reverse", "reverse over forward", "reverse alone")


def costs(f: Callable[..., Any], *args: Any, argnums: Any = 0) -> DerivativeCosts:
    return derivative_costs(f, *args, forward=dualad, reverse=reversead, argnums=argnums)


def digits() -> tuple[Any, ...]:
    mlp, parameters, images, labels, _ = digits_network()
    return mlp.objective(l2=0.01), (parameters, images, labels), 0


_W, _X = np.random.default_rng(0).standard_normal((2, 6))
_LINEAR = MLP([4, 6, 5, 3], activation="identity")

#: the programs of tests/test_worked_examples.py, by the names of their tests
EXAMPLES: dict[str, tuple[Any, ...]] = {
    "a_product_of_a_sum": (lambda x, y, z: (x + y) * z, (-2.0, 5.0, -4.0), (0, 1, 2)),
    "a_logistic_neuron_with_two_inputs": (
        lambda w, x: sigmoid(w[0] * x[0] + w[1] * x[1] + w[2]),
        (np.array([2.0, -3.0, -3.0]), np.array([-1.0, -2.0])),
        (0, 1),
    ),
    "logarithm_product_and_sine": (
        lambda x: np.log(x[0]) + x[0] * x[1] - np.sin(x[1]),
        (np.array([2.0, 5.0]),),
        0,
    ),
    "regularised_logistic_loss": (
        lambda w: 0.5 * np.sum(w * w) - 0.7 * np.log(sigmoid(np.dot(w, _X))),
        (_W,),
        "w",
    ),
    "stacked_linear_layers_are_one_matrix": (
        lambda x: np.sum(_LINEAR(_LINEAR.initialise("xavier_normal", np.random.default_rng(1)), x)),
        (_X[:4],),
        0,
    ),
    "reverse_gradient_of_the_digits_network_is_backprop": digits(),
    "forward_derivatives_of_the_digits_network_are_the_slopes_of_backprop": digits(),
}


def test_every_worked_example_is_here() -> None:
    (path,) = Path(conftest.__file__).parent.rglob("test_worked_examples.py")
    functions = [node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)]
    tests = {name.removeprefix("test_") for name in functions if name.startswith("test_")}
    assert tests == EXAMPLES.keys()


@pytest.mark.parametrize("name", EXAMPLES)
def test_bounds_hold_for_the_worked_example(name: str) -> None:
    f, args, argnums = EXAMPLES[name]
    found = costs(f, *args, argnums=argnums)
    assert found.holds, str(found)
    assert found[REVERSE_ROW].multiple <= REVERSE
    assert found[DIRECTION].multiple <= FORWARD
    assert found[GRADIENT].multiple <= FORWARD * found.inputs + PLACING * found.inputs / found["value"].operations
    for way in PRODUCTS:
        assert found[f"Hessian-vector product, {way}"].multiple <= REVERSE * (REVERSE if "alone" in way else FORWARD)


@pytest.mark.parametrize("n", [2, 7, 30])
@pytest.mark.parametrize("f", SCALAR_PROGRAMS, ids=lambda f: f.__name__)
def test_bounds_hold_for_a_loop_over_elements(f: Callable[..., Any], n: int) -> None:
    found = costs(f, vector(n))
    assert found.holds, str(found)


# --- networks of 50 to 50,000 parameters ------------------------------------------------------------------------------

#: (inputs, width of each of four hidden layers): 51 to 55,223 parameters
SIZES = ((11, 2), (7, 5), (15, 10), (33, 22), (75, 50), (165, 110))


def network(inputs: int, width: int) -> DerivativeCosts:
    mlp = MLP([inputs, width, width, width, width, 3], "relu")
    rng = np.random.default_rng(width)
    parameters = mlp.initialise("xavier_normal", rng)
    images, labels = rng.normal(size=(16, inputs)), rng.integers(0, 3, 16)
    return costs(mlp.objective(), parameters, images, labels)


@pytest.fixture(scope="module")
def networks() -> list[DerivativeCosts]:
    return [network(*sizes) for sizes in SIZES]


def test_networks_have_fifty_to_fifty_thousand_parameters(networks: list[DerivativeCosts]) -> None:
    sizes = [found.inputs for found in networks]
    assert (sizes[0], sizes[-1]) == (51, 55_223)


def test_bounds_hold_for_networks(networks: list[DerivativeCosts]) -> None:
    for found in networks:
        assert found.holds, str(found)


def test_gradient_of_a_network_in_reverse_costs_near_three_evaluations(networks: list[DerivativeCosts]) -> None:
    multiples = [found[REVERSE_ROW].multiple for found in networks]
    assert all(2.0 < multiple < 3.1 for multiple in multiples)
    # The first layer needs no cotangent of the images, so a little less than 3.
    assert 2.6 < multiples[-1] < 3.0
    assert all(2.0 < found[DIRECTION].multiple < 3.1 for found in networks)


def test_gradient_of_a_network_forwards_costs_in_proportion_to_its_parameters(networks: list[DerivativeCosts]) -> None:
    inputs = np.log([found.inputs for found in networks])
    forward = np.polyfit(inputs, np.log([found[GRADIENT].multiple for found in networks]), 1)[0]
    reverse = np.polyfit(inputs, np.log([found[REVERSE_ROW].multiple for found in networks]), 1)[0]
    product = np.polyfit(
        inputs, np.log([found["Hessian-vector product, forward over reverse"].multiple for found in networks]), 1
    )[0]
    assert 0.95 < forward < 1.05
    assert abs(reverse) < 0.05
    assert abs(product) < 0.1


def test_many_directions_are_one_direction_many_times(networks: list[DerivativeCosts]) -> None:
    # What is counted of few inputs, and what is said of many, agree.
    small = networks[0]
    assert small.inputs * small[DIRECTION].operations == pytest.approx(small[GRADIENT].operations, rel=0.05)
    assert networks[-1][GRADIENT].operations == networks[-1].inputs * networks[-1][DIRECTION].operations
    assert "value and gradient, batched forward" in list(small)
    assert "value and gradient, batched forward" not in list(networks[-1])


# --- random programs --------------------------------------------------------------------------------------------------

INSTRUCTIONS = ("+", "-", "*", "/", "sin", "exp", "tanh", "sqrt", "read", "write", "add to", "constant", "choose")


def run(program: list[tuple[str, int, int]], x: Any) -> Any:
    """A program of scalars with an array that it reads and writes."""
    memory = np.zeros_like(x)
    values = [x[k] for k in range(len(x))]
    for name, i, j in program:
        a, b = values[i % len(values)], values[j % len(values)]
        if name in "+-*/":
            new = a + b if name == "+" else a - b if name == "-" else a * b if name == "*" else a / (1.5 + b * b)
        elif name == "read":
            new = memory[i % len(x)]
        elif name == "write":
            memory[i % len(x)] = a
            continue
        elif name == "add to":
            memory[i % len(x)] += a * 0.5
            continue
        elif name == "constant":
            new = 0.5 * a - 0.25
        elif name == "choose":
            new = a * b if a > b else a + b
        else:
            new = getattr(np, name)(a) if name != "sqrt" else np.sqrt(1.5 + a * a)
        values.append(np.tanh(new) if name in "*exp" else new)
    total = values[-1] * 1.0
    for k in range(len(x)):
        total = total + memory[k] * memory[k]
    return total


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(INSTRUCTIONS), st.integers(0, 9), st.integers(0, 9)), min_size=1, max_size=30)
)
def test_bounds_hold_for_random_programs_that_read_and_write(program: list[tuple[str, int, int]]) -> None:
    found = costs(lambda x: run(program, x), np.array([0.3, -0.4, 0.5]))
    assert found[REVERSE_ROW].multiple <= REVERSE
    assert found[DIRECTION].multiple <= FORWARD
    assert found.holds, str(found)


# --- what the check is worth ------------------------------------------------------------------------------------------


def test_a_quadratic_rule_is_found_out() -> None:
    """A primitive that is linear in cost, with a rule that reads all elements for each one."""

    def slow(c: Any, x: Any) -> Any:
        parts = [np.sum(np.where(np.arange(len(x)) == k, c, 0.0)) for k in range(len(x))]
        return np.stack(parts)

    doubled = registry.rule(lambda x: x + x, vjps=(slow,), jvps=(slow,), because="planted")
    try:
        found = costs(lambda x: np.sum(doubled(x)), vector(50))
        assert not found.holds
        assert not found[REVERSE_ROW].holds
        assert not found[DIRECTION].holds
    finally:
        del registry.REGISTRY[doubled.function]


# --- what users meet --------------------------------------------------------------------------------------------------


def test_table_as_text_and_html() -> None:
    found = costs(lambda x: np.sum(np.sin(x) * x), np.ones(100))
    rows = str(found).splitlines()
    assert rows[0].endswith("derivatives with respect to 100 numbers")
    assert re.fullmatch(r"value and gradient, reverse +2,600 +2\.17 +5", rows[3])
    assert len(rows) == 2 + len(found) == 2 + len(list(found))
    assert found._repr_html_().count("<tr>") == 1 + len(found)


def test_arguments_that_are_not_differentiated_are_counted_too() -> None:
    found = costs(lambda w, x: np.sum(np.exp(x)) * w, 2.0, np.ones(10))
    assert found["value"].operations == 111
    assert all(found[name].operations >= 111 for name in found if "product" not in name)


def test_a_direction_may_be_given() -> None:
    given = derivative_costs(
        lambda x, y: np.sum(x * y), np.ones(3), 2.0,
        forward=dualad, reverse=reversead, argnums=("x", "y"), direction=(np.zeros(3), 1.0),
    )  # fmt: skip
    assert [row.operations for row in given.derivatives] == [
        row.operations for row in costs(lambda x, y: np.sum(x * y), np.ones(3), 2.0, argnums=(0, 1)).derivatives
    ]


def test_all_arguments_that_can_vary_do_by_default() -> None:
    def neuron(w0: Any, w1: Any, w2: Any, x0: Any, x1: Any) -> Any:
        return 1 / (1 + np.exp(-(w0 * x0 + w1 * x1 + w2)))

    found = derivative_costs(neuron, 2.0, -3, -3.0, -1.0, np.int64(-2), forward=dualad, reverse=reversead)
    assert (found.inputs, found[REVERSE_ROW].operations, found[GRADIENT].operations) == (5, 26, 165)
    alone = costs(neuron, 2.0, -3.0, -3.0, -1.0, -2.0)
    assert (alone.inputs, alone[REVERSE_ROW].operations, alone[GRADIENT].operations) == (1, 23, 25)

    def chosen(weights: Any, labels: Any, mode: str) -> Any:
        return np.sum(weights["w"][labels]) if mode == "sum" else np.prod(weights["w"])

    labels = np.array([0, 1])
    found = derivative_costs(chosen, {"w": np.ones(3)}, labels, "sum", forward=dualad, reverse=reversead)
    assert found.inputs == 3
    with pytest.raises(LeafTypeError, match=r"no argument of sum is a floating-point number.*test_theorem.py"):
        derivative_costs(np.sum, labels, forward=dualad, reverse=reversead)


def test_the_table_is_headed_by_the_name_of_the_function() -> None:
    network = MLP([2, 2])
    parameters = network.initialise("zeros", np.random.default_rng(0))
    arguments = (parameters, np.ones(2), 1)
    assert costs(network.objective(), *arguments).function == "objective"
    assert costs(network.objective(l2=0.1), *arguments).function == "penalised_objective"
    assert costs(reversead.grad(np.sin), 1.0).function == "grad of sin"


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"computes nothing with its arguments.*test_theorem.py"):
        costs(lambda x: x, 1.0)
    with pytest.raises(TypeError, match=r"expected a function, not 'f'.*test_theorem.py"):
        costs("f", 1.0)  # type: ignore[arg-type]
    with pytest.raises(KeyError, match="there are: value, value and gradient, reverse"):
        costs(np.sin, 1.0)["gradient"]
    with pytest.raises((TypeError, ValueError), match="a gradient is of one number"):
        costs(np.sin, np.ones(3))
