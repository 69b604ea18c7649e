"""The counter itself, on programs counted by hand: it is the proof of every statement about cost."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import counting_scalars as scalars
import numpy as np
import pytest
from counted_cases import BY_HAND, CASES, PUBLISHED, Case, M, V, X, every_primitive

import reversead
from shared import REGISTRY, TracerConversionError
from shared.core import registry
from shared.core.assignment import SETITEM
from shared.core.primitive import Primitive
from shared.counting import ELEMENTARY, Count, count_operations, each
from shared.programs import equations as parts


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


def test_elements_beyond_zeros_are_counted_where_a_mask_chooses(ad: Any) -> None:
    def halved(x: Any) -> Any:
        y = np.copy(x)
        y[x > 2.0] = 0.0
        return y

    # Copies, comparisons, and a mask that may choose every element: 4 of each.
    assert count_operations(halved, X) == 12


def test_positions_and_truth_values_may_leave() -> None:
    def best(x: Any) -> Any:
        k = int(np.argmax(x))
        return x[k] if bool(np.any(x > 2.0)) else x[0]

    # 4 comparisons for the greatest, 4 with 2, 4 to see whether any holds, and a read
    assert count_operations(best, X) == 13


def test_inside_a_differentiation_counting_is_refused(ad: Any) -> None:
    with pytest.raises(TracerConversionError, match="differentiate inside count_operations"):
        ad.grad(lambda x: count_operations(np.sin, x) + x)(1.0)


@pytest.mark.parametrize("primitive", every_primitive(), ids=lambda p: p.name)
def test_every_primitive_declares_a_count_that_is_confirmed_independently(primitive: Primitive) -> None:
    assert primitive in PUBLISHED or any(case.primitive is primitive for case in CASES), (
        f"confirm the count of {primitive.name}: add a case here"
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.primitive.name)
def test_declared_count_is_that_of_numbers_that_count(case: Case) -> None:
    if case.primitive.function is np.isnat:
        out: Any = np.zeros(V.shape, bool)
    else:
        out = case.primitive.raw(*case.args, **case.static)
    rule: Any = case.primitive.count
    assert rule(parts.ValueType.of(out), case.args, case.static) == case.independent()
    # Types tell as much as values do.
    types = [parts.ValueType.of(a) if isinstance(a, np.ndarray) else a for a in case.args]
    assert rule(parts.ValueType.of(out), types, case.static) == case.independent()


@pytest.mark.parametrize("primitive", PUBLISHED, ids=lambda p: p.name)
def test_declared_count_is_the_published_one(primitive: Primitive) -> None:
    expected, *args = PUBLISHED[primitive]
    assert primitive.count(primitive.raw(*args), args, {}).operations == expected


WRITTEN: list[Any] = [
    (M, V[:3], (1,)), (M, 1.0, (slice(0, 2), 1)), (V, V[:2], (np.array([0, 0]),)), (V, 1.0, (np.ones(5, bool),)),
    (M, 1.0, (Ellipsis,)), (M, 1.0, (None, 1, slice(None, None, 2))),
]  # fmt: skip


@pytest.mark.parametrize(("array", "value", "index"), WRITTEN)
@pytest.mark.parametrize("write", parts.WRITES.values(), ids=lambda write: write.name)
def test_declared_count_of_an_assignment_is_that_of_a_container_that_counts(
    write: Any, array: Any, value: Any, index: Any
) -> None:
    tally = scalars.Tally()
    places = np.ravel(np.arange(array.size).reshape(array.shape)[index])
    cells = tally.numbers(np.ravel(array))
    for place in places:
        if write.updating is not SETITEM:
            cells[place] = tally.moved(cells[place]) + tally.number(1.0)
        tally.moved(cells[place])
    count = write.count(array, (array, value, *index), {"lengths": (len(index),)})
    assert count == Count(**tally)


def test_the_independent_count_sees_an_error() -> None:
    wrong = Case(np.multiply, lambda x, y: x * y + x, V, V)
    rule: Any = wrong.primitive.count
    assert rule(V, wrong.args, {}) != wrong.independent()


def test_a_primitive_of_one_s_own_may_say_what_it_costs() -> None:
    def cube(**count: Any) -> Primitive:
        made = registry.elementwise(lambda x: x * x * x, lambda x: 3 * x * x, **count)
        del REGISTRY[made.function]
        return made

    assert count_operations(cube(), X) == 4 * ELEMENTARY
    assert count_operations(cube(count=Count(multiply=2)), X) == 8
    assert count_operations(cube(count=lambda out, operands, static: Count(multiply=7)), X) == 7
    said_later = cube()
    said_later.count = each(Count(multiply=2))
    assert count_operations(said_later, X) == 8


def test_a_count_is_a_value() -> None:
    count = Count(add=2, move=1)
    assert count == Count(2, move=1) and hash(count) == hash(Count(2, move=1)) and count != Count(2)
    assert pickle.loads(pickle.dumps(count)) == count
    with pytest.raises(AttributeError, match="a Count does not change"):
        count.add = 3
