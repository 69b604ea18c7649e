"""What derivatives cost, by exact counts of operations: a small multiple of the program, whatever the program.

The measure is that of `shared.counting.counter`: + - * /, a comparison, and reading or writing an element count 1, an
elementary function 10, per element (Griewank & Walther 2008, chapter 4).  No clock is read.
"""

from __future__ import annotations

import gc
import itertools
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from counted_programs import (
    COMPOUND_PROGRAMS,
    SCALAR_PROGRAMS,
    WHOLE_ARRAY_PROGRAMS,
    accumulated,
    assigned,
    elementary_by_index,
    horner,
    nested_functions,
    recurrence,
    rosenbrock_by_index,
    sum_by_index,
    vector,
)
from hypothesis import given, settings
from hypothesis import strategies as st

import dualad
import reversead
from shared import relu, sigmoid
from shared.batching.directions import BYTES, along_directions
from shared.counting.counter import count_operations

SIZES = (1, 2, 3, 5, 10, 50, 200)
#: value and gradient in reverse, and one direction forward, in evaluations of the program (DESIGN: cheap gradient)
REVERSE, FORWARD = 5, 4


def reverse_ratio(f: Callable[..., Any], *args: Any) -> float:
    gradient = reversead.value_and_grad(f, argnums=tuple(range(len(args))))
    return count_operations(gradient, *args) / count_operations(f, *args)


def forward_ratio(f: Callable[..., Any], *args: Any) -> float:
    def along(*args: Any) -> Any:
        return dualad.jvp(f, args, tuple(np.ones_like(a) if isinstance(a, np.ndarray) else 1.0 for a in PLAIN))

    PLAIN = args
    return count_operations(along, *args) / count_operations(f, *args)


OPERATIONS: dict[str, Callable[..., Any]] = {
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "/": lambda x, y: x / y,
}


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("f", SCALAR_PROGRAMS, ids=lambda f: f.__name__)
def test_gradient_of_a_scalar_program_costs_at_most_five(f: Callable[..., Any], n: int) -> None:
    assert reverse_ratio(f, vector(n)) <= REVERSE


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("f", SCALAR_PROGRAMS, ids=lambda f: f.__name__)
def test_one_direction_of_a_scalar_program_costs_at_most_four(f: Callable[..., Any], n: int) -> None:
    assert forward_ratio(f, vector(n)) <= FORWARD


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", list(WHOLE_ARRAY_PROGRAMS))
def test_gradient_of_an_array_program_costs_at_most_five(name: str, n: int) -> None:
    assert reverse_ratio(WHOLE_ARRAY_PROGRAMS[name], vector(n)) <= REVERSE


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("name", list(WHOLE_ARRAY_PROGRAMS))
def test_one_direction_of_an_array_program_costs_at_most_four(name: str, n: int) -> None:
    assert forward_ratio(WHOLE_ARRAY_PROGRAMS[name], vector(n)) <= FORWARD


@pytest.mark.parametrize("name", list(COMPOUND_PROGRAMS))
def test_derivatives_of_reductions_cost_a_constant(name: str) -> None:
    f = COMPOUND_PROGRAMS[name]
    # A product's derivative is safe at zeros at every order, for which it forms and moves pairs of pairs of factors.
    limit = 13 if "product" in name else 8
    assert reverse_ratio(f, vector(400)) <= 1.05 * reverse_ratio(f, vector(100)) <= 1.05 * limit
    assert forward_ratio(f, vector(400)) <= 1.05 * forward_ratio(f, vector(100)) <= 1.05 * limit


def test_square_costs_a_multiplication_at_every_level() -> None:
    # x**2 is NumPy's square; as a general power its gradient would cost thirty times the program.
    assert count_operations(lambda x: np.sum(x**2), vector(5)) == 10
    assert reverse_ratio(lambda x: np.sum(x**2), vector(5)) <= REVERSE
    assert forward_ratio(lambda x: np.sum(x**2), vector(5)) <= FORWARD


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_one_direction_of_one_operation_costs_at_most_four(operation: str) -> None:
    assert forward_ratio(OPERATIONS[operation], 2.0, 3.0) <= FORWARD
    assert forward_ratio(OPERATIONS[operation], vector(5), vector(5)) <= FORWARD


ELEMENTARY = [
    "exp",
    "log",
    "sin",
    "cos",
    "tan",
    "tanh",
    "sinh",
    "cosh",
    "arctan",
    "arcsin",
    "sqrt",
    "cbrt",
    "log1p",
    "expm1",
    "exp2",
    "log2",
    "log10",
    "arcsinh",
]
ONE = [*ELEMENTARY, "negative", "square", "reciprocal", "absolute", "positive"]


@pytest.mark.parametrize("name", ONE)
def test_one_function_of_one_argument(name: str) -> None:
    f, x = getattr(np, name), np.full(5, 0.5)
    assert reverse_ratio(lambda x: np.sum(f(x)), x) <= REVERSE
    assert forward_ratio(f, x) <= FORWARD


@pytest.mark.parametrize("name", ["power", "arctan2", "hypot", "logaddexp", "maximum", "minimum", "fmax", "remainder"])
def test_one_function_of_two_arguments(name: str) -> None:
    f, x, y = getattr(np, name), np.full(5, 0.5), np.full(5, 0.7)
    assert reverse_ratio(lambda x, y: np.sum(f(x, y)), x, y) <= REVERSE
    assert forward_ratio(f, x, y) <= FORWARD


instructions = st.lists(
    st.tuples(
        st.sampled_from(["+", "-", "*", "/", "sin", "exp", "sqrt", "tanh", "write", "add to", "constant", "power"]),
        st.integers(0, 7),
        st.integers(0, 7),
    ),
    min_size=1,
    max_size=40,
)


@settings(max_examples=120, deadline=None)
@given(instructions)
def test_random_scalar_program(program: list[tuple[str, int, int]]) -> None:
    def f(x: Any) -> Any:
        values = [x[k] for k in range(4)]
        memory = np.zeros_like(x)
        for operation, i, j in program:
            a, b = values[i % len(values)], values[j % len(values)]
            if operation in OPERATIONS:
                new = OPERATIONS[operation](a, b + 1.5 if operation == "/" else b)
            elif operation == "write":
                memory[i % 4] = b
                new = memory[j % 4]
            elif operation == "add to":
                memory[i % 4] += b
                new = memory[j % 4]
            elif operation == "constant":
                new = 0.5 * a - 0.25
            elif operation == "power":
                new = (a * a + 1.0) ** 1.5
            else:
                new = getattr(np, operation)(np.tanh(a) + 1.5)
            values.append(new)
            # Values stay of moderate size, so that no overflow warns.
            values[-1] = np.tanh(values[-1])
        total = values[-1]
        for k in range(4):
            total = total + memory[k]
        return total

    x = np.array([0.3, -0.4, 0.5, 0.2])
    assert reverse_ratio(f, x) <= REVERSE
    assert forward_ratio(f, x) <= FORWARD


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("+-*/"), st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=40))
def test_random_program_of_arithmetic_alone(program: list[tuple[str, int, int]]) -> None:
    # Nothing here hides a cost: every operation counts 1, and so does every operation of its derivative.
    def f(*inputs: Any) -> Any:
        values = list(inputs)
        for operation, i, j in program:
            a, b = values[i % len(values)], values[j % len(values)]
            values.append(OPERATIONS[operation](a, b))
        return values[-1]

    x = (1.25, -0.5, 2.0)
    with np.errstate(all="ignore"):
        try:
            # Dividing by a difference that is zero is an error of the program, not of its derivative.
            assert np.all(np.isfinite(f(*x)))
        except (ZeroDivisionError, AssertionError, OverflowError):
            return
        try:
            reverse, forward = reverse_ratio(f, *x), forward_ratio(f, *x)
        except (ZeroDivisionError, OverflowError):
            return
    assert reverse <= REVERSE
    assert forward <= FORWARD


# --- how it grows -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", SCALAR_PROGRAMS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("transform", ["value_and_grad", "vjp", "linearize", "jvp"])
def test_loops_stay_linear(f: Callable[..., Any], transform: str) -> None:
    def count(n: int) -> int:
        t = vector(n)

        def vjp(x: Any) -> Any:
            return reversead.vjp(f, x)[1](1.0)

        programs: dict[str, Callable[..., Any]] = {
            "value_and_grad": reversead.value_and_grad(f),
            "vjp": vjp,
            "linearize": lambda x: reversead.linearize(f, x)[1](t),
            "jvp": lambda x: dualad.jvp(f, (x,), (t,)),
        }
        return count_operations(programs[transform], vector(n))

    # Quadratic growth would give a ratio of 4.
    assert count(400) <= 2.1 * count(200)


@pytest.mark.parametrize("f", [rosenbrock_by_index, horner, WHOLE_ARRAY_PROGRAMS["sum of sines"]])
def test_forward_gradient_grows_exactly_as_the_number_of_inputs(f: Callable[..., Any]) -> None:
    for n in (2, 4, 8, 16):
        seed = np.zeros(n)
        seed[0] = 1.0
        one = count_operations(lambda x, t=seed: dualad.jvp(f, (x,), (t,)), vector(n))
        # n passes, and the n numbers that they give are written into one array.
        assert n * one <= count_operations(dualad.grad(f, chunk_size=1), vector(n)) <= n * one + 2 * n


@pytest.mark.parametrize("f", [rosenbrock_by_index, horner, WHOLE_ARRAY_PROGRAMS["sum of sines"]])
def test_batched_forward_gradient_is_one_evaluation_and_a_tangent_for_each_input(f: Callable[..., Any]) -> None:
    small, large = (count_operations(dualad.grad(f), vector(n)) for n in (64, 256))
    # The evaluation grows as n, and so do the tangents of each of n inputs.
    assert 4**1.85 < large / small < 4**2.05
    assert large < FORWARD * 256 * count_operations(f, vector(256))


@pytest.mark.parametrize("chunk_size", [1, 3, 8, 20])
def test_chunks_cost_an_evaluation_each(chunk_size: int) -> None:
    runs = []

    def f(x: Any) -> Any:
        runs.append(None)
        return np.sum(np.sin(x))

    n = 20
    np.testing.assert_allclose(dualad.grad(f, chunk_size=chunk_size)(vector(n)), np.cos(vector(n)))
    assert len(runs) == -(-n // chunk_size)
    runs.clear()
    reversead.jacobian(lambda x: f(x) * x, chunk_size=chunk_size)(vector(n))
    assert len(runs) == 1


def stretched(m: int) -> Callable[..., Any]:
    return lambda x: np.sin(np.ones((m, 1)) * x).sum(axis=1)


@pytest.mark.parametrize(("n", "m"), [(4, 4), (8, 4), (4, 8)])
def test_forward_jacobian_costs_a_pass_an_input(n: int, m: int) -> None:
    f, x = stretched(m), vector(n)
    one = count_operations(lambda x: dualad.jvp(f, (x,), (np.ones(n),)), x)
    assert n * one <= count_operations(dualad.jacobian(f, chunk_size=1), x) <= n * one + 2 * n * m
    # Together they share the evaluation and the partial derivatives, a cosine an element of n x m.
    shared = (n - 1) * (count_operations(f, x) + 10 * n * m)
    assert n * one - shared <= count_operations(dualad.jacobian(f), x) <= n * one - shared + 2 * n * m


@pytest.mark.parametrize(("n", "m"), [(4, 4), (8, 4), (4, 8)])
def test_reverse_jacobian_costs_a_sweep_an_output(n: int, m: int) -> None:
    f, x = stretched(m), vector(n)
    primal = count_operations(f, x)
    one = count_operations(lambda x: reversead.vjp(f, x)[1](np.ones(m)), x) - primal
    assert m * one <= count_operations(reversead.jacobian(f, chunk_size=1), x) - primal <= m * one + 2 * n * m
    # Together they share the partial derivatives, a cosine an element of n x m.
    shared = (m - 1) * 10 * n * m
    assert m * one - shared <= count_operations(reversead.jacobian(f), x) - primal <= m * one - shared + 2 * n * m


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("f", [rosenbrock_by_index, elementary_by_index, recurrence, accumulated, nested_functions])
def test_hessian_vector_product_costs_a_small_constant(f: Callable[..., Any], n: int) -> None:
    v = vector(n)
    f_count = count_operations(f, vector(n))
    mixed = count_operations(lambda x: dualad.jvp(reversead.grad(f), (x,), (v,)), vector(n))
    # At most 4 times the gradient, which is at most 5 times the function; the sum of bounds is never met.
    assert mixed <= FORWARD * REVERSE * f_count
    reverse = count_operations(lambda x: reversead.hvp(f, x, v), vector(n))
    assert reverse <= REVERSE * REVERSE * f_count


def test_hessian_vector_product_does_not_depend_on_the_size() -> None:
    def ratio(n: int) -> float:
        v = vector(n)
        product = count_operations(lambda x: dualad.jvp(reversead.grad(rosenbrock_by_index), (x,), (v,)), vector(n))
        return product / count_operations(rosenbrock_by_index, vector(n))

    assert ratio(400) <= 1.05 * ratio(50)


def test_network_comes_near_three() -> None:
    sizes, batch = (64, 32, 16, 10), 8
    rng = np.random.default_rng(0)
    layers = [(rng.normal(size=(a, b)), rng.normal(size=b)) for a, b in itertools.pairwise(sizes)]
    images = rng.normal(size=(batch, sizes[0]))

    for activation in (np.tanh, sigmoid, relu):

        def loss(layers: Any, act: Any = activation) -> Any:
            a = images
            for weights, biases in layers:
                a = act(a @ weights + biases)
            return 0.5 * np.sum(a * a)

        # The first layer needs no cotangent of the images, hence a little under 3.
        assert 2.0 < count_operations(reversead.value_and_grad(loss), layers) / count_operations(loss, layers) <= 3.1


def test_pullback_costs_a_sweep_and_not_the_program() -> None:
    f, x = elementary_by_index, vector(50)
    once = count_operations(lambda x: reversead.vjp(f, x)[1](1.0), x)

    def twice(x: Any) -> Any:
        pullback = reversead.vjp(f, x)[1]
        return pullback(1.0), pullback(2.0)

    assert count_operations(twice, x) - once == once - count_operations(f, x)


def test_linear_map_of_reversead_does_not_run_the_program_again() -> None:
    runs = []

    def f(x: Any) -> Any:
        runs.append(None)
        return np.sin(x) * x

    _, f_jvp = reversead.linearize(f, vector(5))
    for _ in range(3):
        f_jvp(vector(5))
    _, pullback = reversead.vjp(f, vector(5))
    pullback(vector(5)), pullback(vector(5))
    reversead.jacobian(f)(vector(5))
    assert len(runs) == 3


# --- bytes: what operation counts do not see ----------------------------------------------------------------------


def peak_bytes(call: Callable[[], Any]) -> int:
    gc.collect()
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def rows_read(x: Any) -> Any:
    total = 0.0
    for k in range(len(x)):
        total = total + np.sum(x[k] * x[k - 1])
    return total


def rows_assigned(x: Any) -> Any:
    y = np.zeros_like(x)
    for k in range(len(x)):
        y[k] = x[k] * x[k]
    return np.sum(y)


def rows_of_a_recurrence(x: Any) -> Any:
    # A recurrent network: each state is kept, and read for the next.
    states = np.zeros_like(x)
    states[0] = x[0]
    for k in range(1, len(x)):
        states[k] = np.tanh(states[k - 1] * x[k])
    return np.sum(states)


def rows_added_to(x: Any) -> Any:
    y = np.ones_like(x)
    for k in range(1, len(x)):
        y[k] += y[k - 1] * x[k]
    return np.sum(y)


def rows_of_a_matrix_recurrence(x: Any) -> Any:
    states = np.zeros_like(x)
    weights = x[0][:, None] * x[1]
    for k in range(1, len(x)):
        states[k] = np.tanh(weights @ states[k - 1])
    return np.sum(states)


ROW_PROGRAMS = [rows_read, rows_assigned, rows_of_a_recurrence, rows_added_to, rows_of_a_matrix_recurrence]


@pytest.mark.parametrize(
    "f", [*ROW_PROGRAMS, sum_by_index, assigned, recurrence, accumulated], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("transform", ["grad", "vjp", "linearize", "jvp"])
def test_memory_of_loops_is_linear(f: Callable[..., Any], transform: str) -> None:
    def peak(n: int) -> int:
        x = np.full((n, 4), 0.5) if f in ROW_PROGRAMS else vector(n)
        calls: dict[str, Callable[[], Any]] = {
            "grad": lambda: reversead.grad(f)(x),
            "vjp": lambda: reversead.vjp(f, x)[1](1.0),
            "linearize": lambda: reversead.linearize(f, x)[1](x),
            "jvp": lambda: dualad.jvp(f, (x,), (x,)),
        }
        return peak_bytes(calls[transform])

    peak(50)
    assert peak(800) <= 2.4 * peak(400)


def test_memory_of_a_jvp_does_not_depend_on_the_number_of_operations() -> None:
    def chain(length: int) -> Callable[[Any], Any]:
        def f(x: Any) -> Any:
            for _ in range(length):
                x = np.sin(x) * x + 0.5
            return x

        return f

    x = np.ones(10_000)
    short, long = (peak_bytes(lambda n=n: dualad.jvp(chain(n), (x,), (x,))) for n in (5, 100))
    assert long <= short + 2_000


#: Functions of many inputs: what one direction needs is small, what all need together is not.
MANY_INPUTS: dict[str, Callable[[Any], Any]] = {
    "squares": lambda x: np.sum(x * x),
    "Rosenbrock": lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2),
    # The largest arrays are ten times as large as the input.
    "outer product": lambda x: np.sum(np.tanh(np.arange(10.0)[:, None] * x)),
    "assigned": lambda x: np.sum(_reversed_by_assignment(x) * x),
}


def _reversed_by_assignment(x: Any) -> Any:
    y = np.zeros_like(x)
    y[::-1] = np.sin(x)
    return y


@pytest.mark.parametrize("name", MANY_INPUTS)
def test_memory_of_many_directions_stays_within_the_budget(name: str) -> None:
    n = 20_000
    x, f = np.linspace(0.5, 1.5, n), MANY_INPUTS[name]
    gradient = reversead.grad(f)(x)
    span = 0, 200  # some of the directions: a chunk has all that it will have

    def some() -> None:
        def tangents(seeds: list[Any]) -> list[Any]:
            return [dualad.jvp(f, (x,), tuple(seeds))[1]]

        found = along_directions("test", [x], tangents, span=span)[0]
        np.testing.assert_allclose(found, gradient[slice(*span)], rtol=1e-10, atol=1e-12)

    assert n * n * 8 > 50 * BYTES
    assert peak_bytes(some) < BYTES


def test_memory_of_a_jacobian_is_the_result_and_the_budget() -> None:
    n, m = 2_000, 1_500
    weights = np.random.default_rng(0).normal(size=(m, n)) / n
    result = m * n * 8
    for transform in (dualad.jacobian, reversead.jacobian):
        peak = peak_bytes(lambda t=transform: t(lambda x: np.tanh(weights @ np.sin(x)))(np.ones(n)))
        # Forwards the columns are put into rows, which takes the result twice.
        assert peak < (2 if transform is dualad.jacobian else 1) * result + BYTES


def test_pullback_of_dualad_stores_no_matrix() -> None:
    n = 5_000
    _, pullback = dualad.vjp(lambda x: np.sin(x) * x, np.ones(n))
    assert n * n * 8 > 5 * BYTES
    assert peak_bytes(lambda: pullback(np.ones(n))) < BYTES
