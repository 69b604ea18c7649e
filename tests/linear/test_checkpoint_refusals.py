"""Checkpoints: what is not pure is noticed and refused, and what looks like it but is pure is not."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from checkpointed_programs import (
    TRANSFORMS,
    Function,
    V,
    X,
    assert_same,
    refused,
    unchanged,
)

import dualad
import reversead
from shared.calling.tree import flatten
from shared.core.errors import ClosedLevelError, ImpureFunctionError, StaleViewError
from shared.linear.checkpointing import checkpoint
from shared.linear.purity import SUMS, Remembered

# --- what is not pure is refused --------------------------------------------------------------------------------------


def test_random_numbers_are_noticed() -> None:
    for size in (5, 5 * SUMS + 3):
        rng = np.random.default_rng(0)

        def drop(x: Any, rng: Any = rng, size: int = size) -> Any:
            return (np.zeros(size) + np.sum(x)) * (rng.random(size) < 0.5)

        refused(lambda x, f=drop: np.sum(checkpoint(f)(x)), ImpureFunctionError, "other numbers in an array")


def test_another_shape_or_structure_is_noticed() -> None:
    calls = 0

    def growing(x: Any, kind: str) -> Any:
        nonlocal calls
        calls += 1
        if kind == "shape":
            return np.concatenate([x] * calls)
        if kind == "structure":
            return [x * 2.0] * calls
        return x * 2.0 if calls % 2 else x.shape[0]

    for kind, words in (("shape", "shape"), ("structure", "in place of"), ("type", "in place of a traced value")):
        calls = 0
        f = checkpoint(lambda x, kind=kind: growing(x, kind))
        with pytest.raises(ImpureFunctionError, match=words):
            reversead.grad(lambda x, f=f: sum(np.sum(leaf) for leaf in flatten(f(x))[0]))(X)


def test_captured_array_that_changes_is_noticed() -> None:
    captured = np.ones(5)

    def f(x: Any) -> Any:
        captured[:] = 1.0
        y = checkpoint(lambda x: x * captured)(x)
        captured[3] = 2.0
        return np.sum(y)

    refused(f, ImpureFunctionError, "other numbers")


def test_variable_of_a_loop_is_noticed_even_where_the_numbers_agree() -> None:
    def f(x: Any) -> Any:
        y = x
        for weight in (x * 1.0, x * 1.0):
            y = checkpoint(lambda y: y * weight)(y)  # noqa: B023 - what is tested
        return np.sum(y)

    refused(f, ImpureFunctionError, "other traced values|did something else|used a traced value")


@pytest.mark.parametrize("how", ["bound again", "assigned to"])
def test_traced_value_that_changes_is_noticed_even_where_the_numbers_agree(how: str) -> None:
    def f(x: Any) -> Any:
        offset = np.zeros_like(x)
        y = checkpoint(lambda x: x * 2.0 + offset)(x)
        if how == "bound again":
            offset = y * 0.0
        else:
            offset[...] = y * 0.0
        return np.sum(y + offset)

    refused(f, ImpureFunctionError, "only after its first evaluation")


def test_assignment_to_an_argument_is_refused() -> None:
    def first(x: Any) -> Any:
        x[0] = 1.0
        return x * x

    def second(x: Any) -> Any:
        x += 1.0
        return x

    for block in (first, second):
        refused(lambda x, f=block: np.sum(checkpoint(f)(x * 1.0)), ImpureFunctionError, "assigned to its argument")


def test_assignment_to_an_array_of_the_program_around_is_refused() -> None:
    def program(change: Callable[[Any, Any, Any], None]) -> Function:
        def f(x: Any) -> Any:
            for array in (x * 1.0, np.zeros_like(x)):

                def block(y: Any, array: Any = array) -> Any:
                    change(array, y, x)
                    return y * array

                return np.sum(checkpoint(block)(x))

        return f

    for change in (
        lambda array, y, x: array.__setitem__(0, y[0]),
        lambda array, y, x: array.__setitem__(0, x[0]),
        lambda array, y, x: array.__setitem__(0, 1.0),
        lambda array, y, x: array.__iadd__(1.0),
        lambda array, y, x: array.__imul__(y),
        lambda array, y, x: array[1:].__iadd__(x[1:]),
        lambda array, y, x: array[1:].__setitem__(0, 3.0),
    ):
        refused(program(change), StaleViewError, "assigned")


def test_assignment_to_an_array_of_a_checkpointed_function_around_is_refused_at_once() -> None:
    def f(x: Any) -> Any:
        weight = x * 1.0

        def block(y: Any) -> Any:
            local = weight * 2.0
            return y * checkpoint(lambda v: local.__setitem__(0, 1.0) or v * local)(weight)

        return np.sum(checkpoint(block)(x))

    with pytest.raises(StaleViewError, match="assigned to a traced array"):
        reversead.vjp(f, X)


def test_refused_assignment_changes_nothing() -> None:
    def f(x: Any) -> Any:
        array = x * 1.0
        for value in (1.0, x[0]):
            with pytest.raises(StaleViewError):
                checkpoint(lambda y, value=value: array.__setitem__(0, value) or y)(x)
        return np.sum(array * array)

    assert_same(reversead.grad(f)(X), 2 * X)


def test_arrays_made_inside_may_be_assigned_to_whatever_they_are_made_from() -> None:
    calls = 0

    def f(x: Any, ck: Function) -> Any:
        weight, constant = x * 2.0, np.ones_like(x)

        def block(y: Any) -> Any:
            nonlocal calls
            calls += 1
            made = np.zeros_like(weight)
            made[0] = weight[1]
            made += weight
            made[1:][1] = y[0] * weight[2]
            made += y
            other = constant + 1.0
            other[1:] *= 2.0
            other[1:3] *= y[1:3]
            copied = np.copy(constant)
            copied[2] = weight[3]
            copied[0] = y[4]
            picked = np.cumsum(constant)
            picked[1] = weight[0]
            picked[:2] *= y[:2]
            return y * made * other * copied * picked, made

        out, made = ck(block)(x)
        made[0] = 1.0
        return np.sum(out * made)

    for transform in TRANSFORMS.values():
        for ad in (dualad, reversead):
            found = transform(ad, lambda x: f(x, checkpoint))
            assert_same(found, transform(ad, lambda x: f(x, unchanged)))
    calls = 0
    _, pullback = reversead.vjp(lambda x: f(x, checkpoint), X)
    pullback(1.0), pullback(1.0)
    assert calls == 3


def test_value_of_an_inner_differentiation_is_not_assigned_to_an_array_made_outside_of_it(ad: Any) -> None:
    def block(y: Any, weight: Any) -> Any:
        made = np.zeros_like(weight)

        def inner(t: Any) -> Any:
            made[0] = t
            return t * t

        return y * ad.derivative(inner)(y[0])

    refused(lambda x: np.sum(checkpoint(lambda y: block(y, x))(x * 1.0)), StaleViewError, "of an inner differentiation")


def test_traced_values_that_leave_it_otherwise_are_refused() -> None:
    kept: list[Any] = []

    def argument_used(y: Any, around: Any) -> Any:
        kept.append(np.tanh(y))
        return kept[-1] * 2.0

    def value_around_used(y: Any, around: Any) -> Any:
        kept.append(around * around)
        return y * kept[-1]

    for block in (argument_used, value_around_used):

        def f(x: Any, block: Function = block, alone: bool = False) -> Any:
            kept.clear()
            around = x * 2.0
            y = checkpoint(lambda y: block(y, around))(x)
            return np.sum(kept[0]) + (0.0 if alone else np.sum(y))

        def alone(x: Any, f: Function = f) -> Any:
            return f(x, alone=True)

        refused(f, ClosedLevelError, "Return it from the function|return it from the function")
        refused(alone, ClosedLevelError, "Return it from the function|return it from the function")


def test_traced_values_that_leave_a_function_without_a_result_are_refused() -> None:
    def f(x: Any) -> Any:
        kept: list[Any] = []
        weight = x * 2.0
        checkpoint(lambda y: kept.append(weight * weight))(x)
        return np.sum(kept[0])

    refused(f, ClosedLevelError, "not recorded")


def test_values_of_the_second_evaluation_cannot_be_used_on_a_tape_that_is_still_open() -> None:
    kept: list[Any] = []
    with reversead.Tape() as tape:
        x = tape.variable(X)

        def block(y: Any) -> Any:
            product = y * x
            kept.append(product)
            return product * 2.0

        total = np.sum(checkpoint(block)(x))
        assert_same(tape.gradient(total, x), 4 * X)
        again = np.sum(kept[-1]) + np.sum(x)
    with pytest.raises(ClosedLevelError, match="not recorded"):
        tape.gradient(again, x)


def test_values_of_an_evaluation_that_a_sweep_has_passed_are_refused() -> None:
    # Such a value's number belongs to another node by then: it must not be taken for that one.
    kept: list[Any] = []
    calls = 0

    def innermost(u: Any) -> Any:
        nonlocal calls
        calls += 1
        # In the outer function's first evaluation, in its second, in that of `middle`, and in its own.
        return u * 1.0 + kept[-1] * 0.0 if calls == 4 else u * 1.0

    def middle(u: Any) -> Any:
        for _ in range(10):
            u = u * 1.0
        return checkpoint(innermost)(u)

    def outer(u: Any) -> Any:
        y = checkpoint(middle)(u)
        kept.append(y * 1.0)
        return y

    with pytest.raises(ClosedLevelError, match="stored outside"):
        reversead.grad(lambda x: np.sum(checkpoint(outer)(x)))(X)
    assert calls == 4


def test_results_that_share_memory_are_written_as_in_numpy_or_refused() -> None:
    def through(x: Any) -> Any:
        part = checkpoint(lambda x: x[1:])(x)
        part[0] = 3.0
        return np.sum(x)

    refused(lambda x: through(x * 1.0), StaleViewError, "assignment to a view")

    def stale(x: Any) -> Any:
        part = checkpoint(lambda x: x[1:])(x)
        x[1] = 3.0
        return np.sum(part)

    refused(lambda x: stale(x * 1.0), StaleViewError, "view was used after")

    def two_results(x: Any) -> Any:
        def block(x: Any) -> Any:
            y = x * 2.0
            return y[1:], y

        part, whole = checkpoint(block)(x)
        whole[1] = 3.0
        return np.sum(part)

    refused(two_results, StaleViewError, "view was used after")

    def own(x: Any, ck: Function) -> Any:
        part = ck(lambda x: (x * 2.0)[1:])(x)
        part[0] = 3.0
        return np.sum(part * part)

    assert_same(reversead.grad(lambda x: own(x, checkpoint))(X), reversead.grad(lambda x: own(x, unchanged))(X))


def test_arguments_may_be_assigned_to_afterwards() -> None:
    def f(x: Any, ck: Function) -> Any:
        y = x * 1.0
        z = ck(lambda y: np.sin(y) * y)(y)
        z[1:] += ck(lambda part: np.cos(part) * part)(y[1:])
        y[1:3] = 2.0
        y[...] = z * y
        z[0] = 0.0
        y += 1.0
        return np.sum(y * z)

    for transform in TRANSFORMS.values():
        for ad in (dualad, reversead):
            found = transform(ad, lambda x: f(x, checkpoint))
            assert_same(found, transform(ad, lambda x: f(x, unchanged)))


def test_exception_in_the_second_evaluation_leaves_the_pullback_usable() -> None:
    fail = False

    @checkpoint
    def f(x: Any) -> Any:
        y = x * x
        if fail:
            raise KeyError("stop")
        return np.sum(y)

    _, pullback = reversead.vjp(lambda x: f(x) * f(2.0 * x), X)
    expected = pullback(1.0)
    fail = True
    with pytest.raises(KeyError):
        pullback(1.0)
    fail = False
    assert_same(pullback(1.0), expected)


def test_value_of_an_inner_differentiation_is_not_checkpointed_but_right() -> None:
    # The second evaluation would come when the inner differentiation has ended.
    def f(x: Any, ck: Function) -> Any:
        return dualad.jvp(lambda t: np.sum(ck(lambda y: y * t * t)(x)), (x[0],), (1.0,))[1]

    assert_same(reversead.grad(lambda x: f(x, checkpoint))(X), reversead.grad(lambda x: f(x, unchanged))(X))


def test_other_thread_is_refused_while_the_tape_is_open_and_may_sweep_it_afterwards() -> None:
    f = checkpoint(lambda x: np.sum(np.sin(x) * x))
    with ThreadPoolExecutor(1) as pool:
        with reversead.Tape() as tape:
            x = tape.variable(X)
            y = f(x)
            with pytest.raises(ClosedLevelError, match="thread"):
                pool.submit(tape.gradient, y, x).result()
        expected = tape.gradient(y, x)
        assert_same(pool.submit(tape.gradient, y, x).result(), expected)


def test_many_threads_pull_back_through_one_tape() -> None:
    def f(x: Any, ck: Function) -> Any:
        weight = np.cos(x)
        inner = ck(lambda y: np.sin(y) * weight)
        for _ in range(5):
            x = ck(lambda y: inner(y) + weight * x[0])(x)  # noqa: B023 - what is tested
        return x

    # `x` is bound again, so what the function uses is made an argument.
    def bound(x: Any, ck: Function) -> Any:
        weight = np.cos(x)
        inner = ck(lambda y: np.sin(y) * weight)
        for _ in range(5):
            x = ck(lambda y: inner(y) + weight * y[0])(x)
        return x

    with pytest.raises(ImpureFunctionError):
        reversead.vjp(lambda x: f(x, checkpoint), X)[1](V)
    _, pullback = reversead.vjp(lambda x: bound(x, checkpoint), X)
    seeds = [V * k for k in range(1, 25)]
    expected = [reversead.vjp(lambda x: bound(x, unchanged), X)[1](seed) for seed in seeds]
    with ThreadPoolExecutor(8) as pool:
        for found, wanted in zip(pool.map(pullback, seeds), expected, strict=True):
            assert_same(found, wanted)


# --- results that are compared without being kept ---------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, SUMS, 3 * SUMS + 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_other_results_are_told_apart(size: int, dtype: Any) -> None:
    rng = np.random.default_rng(0)
    value = rng.normal(size=size).astype(dtype)
    same = Remembered(value)
    assert same.difference(value.copy()) is None
    assert same.difference(value * (1 + 4 * np.finfo(dtype).eps)) is None
    for k in (0, size // 2, size - 1):
        other = value.copy()
        other[k] *= 1.5
        assert same.difference(other) == f"other numbers in an array of shape ({size},)"
    if size > 1:
        assert same.difference(value[::-1].copy()) is not None
    assert same.difference(value[:-1]) is not None
    assert same.difference(value.astype(np.complex64)) is not None


def test_numbers_that_are_not_finite_are_compared_too() -> None:
    for size in (3, 200):
        value = np.arange(size) * 1.0
        value[0], value[1] = np.nan, np.inf
        same = Remembered(value)
        assert same.difference(value.copy()) is None
        for other in (0.0, -np.inf):
            changed = value.copy()
            changed[1] = other
            assert same.difference(changed) is not None
    assert Remembered(2.0).difference(2.0) is None
    assert Remembered(2.0).difference(3.0) == "another number"
