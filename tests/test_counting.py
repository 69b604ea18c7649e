"""The counter itself, on programs counted by hand: it is the proof of every statement about cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import reversead
from shared.counting import ELEMENTARY, count_operations

X, Y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.5, 1.5, 2.5, 3.5])
MATRIX = np.arange(1.0, 13.0).reshape(3, 4)

BY_HAND: list[Any] = [
    pytest.param(lambda x, y: x + y, (X, Y), 4, id="one addition an element"),
    pytest.param(lambda x, y: x * y - x / y, (X, Y), 12, id="three operations an element"),
    pytest.param(lambda x: 2.0 * x + 1.0, (X,), 8, id="constants count as operands"),
    pytest.param(lambda x: -x, (X,), 4, id="a sign"),
    pytest.param(np.sin, (X,), 4 * ELEMENTARY, id="an elementary function"),
    pytest.param(lambda x: np.exp(x) * np.log(x), (X,), 84, id="two of them and a product"),
    pytest.param(lambda x: x**3, (2.0,), ELEMENTARY, id="a power"),
    pytest.param(lambda x, y: x + y, (MATRIX, X), 12, id="broadcast: one an element of the result"),
    pytest.param(lambda x: x + 1.0, (3.0,), 1, id="a Python number"),
    pytest.param(lambda x: x[2], (X,), 1, id="reading an element"),
    pytest.param(lambda x: x[1:], (X,), 3, id="reading a slice"),
    pytest.param(lambda x: x[2] + x[3], (X,), 3, id="two reads and an addition"),
    pytest.param(lambda x: x[[0, 0, 1]], (X,), 3, id="reading by an index array"),
    pytest.param(lambda x: sum(x[k] for k in range(4)), (X,), 8, id="an indexing loop"),
    pytest.param(np.sum, (X,), 4, id="a sum reads its elements"),
    pytest.param(lambda x: np.sum(x, axis=0), (MATRIX,), 12, id="a sum along an axis too"),
    pytest.param(lambda x: np.sum(x * x), (X,), 8, id="a squared norm"),
    pytest.param(lambda a, x: a @ x, (MATRIX, X), 24, id="a matrix times a vector"),
    pytest.param(lambda a: a @ a.T, (MATRIX,), 72, id="a matrix times a matrix"),
    pytest.param(lambda x, y: x @ y, (X, Y), 8, id="an inner product"),
    pytest.param(lambda x: x.reshape(2, 2).T, (X,), 0, id="reshape and transpose are free"),
    pytest.param(lambda x: np.broadcast_to(x, (3, 4)), (X,), 0, id="broadcasting is free"),
    pytest.param(lambda x: np.zeros_like(x), (X,), 0, id="allocating is free"),
    pytest.param(lambda x: x.shape[0] * 2 + x.ndim, (X,), 0, id="shapes are free"),
    pytest.param(lambda x: 1.0, (X,), 0, id="nothing"),
    pytest.param(lambda x: sum(k * k for k in range(9)) + x, (1.0,), 1, id="plain Python numbers are free"),
    pytest.param(lambda p: p["a"] + p["b"][0], ({"a": X, "b": (Y,)},), 4, id="arguments in containers"),
    pytest.param(lambda x, k: x * k, (1.0, 3), 1, id="an integer argument"),
    pytest.param(lambda x: x if x > 1.0 else -x, (2.0,), 1, id="a comparison"),
]


@pytest.mark.parametrize(("f", "args", "expected"), BY_HAND)
def test_counted_by_hand(f: Callable[..., Any], args: tuple[Any, ...], expected: int) -> None:
    assert count_operations(f, *args) == expected


def test_assignment_counts_the_elements_written() -> None:
    def fill(x: Any) -> Any:
        y = np.zeros_like(x)
        for k in range(4):
            y[k] = x[k]
        y[1:3] = x[1:3]
        return y

    # 4 reads and 4 writes, then 2 of each.
    assert count_operations(fill, X) == 12


def test_addition_in_place_counts_what_it_reads_adds_and_writes() -> None:
    def accumulate(x: Any) -> Any:
        y = np.zeros_like(x)
        for k in range(4):
            y[k] += x[k]
        return y

    # Two reads, one addition and one write an element.
    assert count_operations(accumulate, X) == 16


def test_while_loop_counts_the_turns_it_takes() -> None:
    def halve(x: Any) -> Any:
        while x > 1.0:
            x = x / 2.0
        return x

    # 16 -> 1: four halvings, five comparisons.
    assert count_operations(halve, 16.0) == 9
    # 1024 -> 1
    assert count_operations(halve, 1024.0) == 21


def test_gradient_of_a_product_counted_by_hand() -> None:
    # One multiplication for the value and one for each cotangent, whose seed is a number and counts as an operand.
    count = count_operations(reversead.value_and_grad(lambda x, y: x * y, argnums=(0, 1)), 2.0, 3.0)
    assert count == 3


def test_gradient_of_a_sum_costs_no_multiplication() -> None:
    assert count_operations(reversead.value_and_grad(lambda x, y: x + y, argnums=(0, 1)), 2.0, 3.0) == 1


def test_gradient_of_a_squared_variable_adds_two_cotangents() -> None:
    assert count_operations(reversead.value_and_grad(lambda x: x * x), 3.0) == 4


def test_counting_changes_no_value(ad: Any) -> None:
    def f(x: Any) -> Any:
        seen.append(np.sum(np.sin(x) * x[::-1]))
        return seen[-1]

    seen: list[Any] = []
    found: list[Any] = []
    plain = ad.value_and_grad(f)(X)
    count_operations(lambda x: found.extend(ad.value_and_grad(f)(x)), X)
    assert float(found[0].primal) == plain[0]
    np.testing.assert_array_equal(found[1].primal, plain[1])


def test_counting_is_repeatable_and_nests_in_itself() -> None:
    def f(x: Any) -> Any:
        assert count_operations(np.sin, 1.0) == ELEMENTARY
        return x * x

    assert [count_operations(f, 2.0) for _ in range(3)] == [1, 1, 1]


def test_caller_s_array_is_not_written() -> None:
    x = X.copy()

    def f(x: Any) -> Any:
        x[0] = 7.0
        x += 1.0
        return x

    count_operations(f, x)
    np.testing.assert_array_equal(x, X)


def test_every_direction_of_a_forward_gradient_is_counted(ad: Any) -> None:
    # An exception must not leave a count behind for the next program.
    with pytest.raises(ZeroDivisionError):
        count_operations(lambda x: ad.grad(lambda y: y / 0 * 1 // 0)(x), 1.0)
    assert count_operations(lambda x: x * x, 1.0) == 1
