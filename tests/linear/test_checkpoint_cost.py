"""Checkpoints: at one more evaluation, less memory, of which nothing is left."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from checkpointed_programs import (
    SIZE,
    TRANSFORMS,
    Function,
    V,
    X,
    assert_same,
    peak_arrays,
    unchanged,
)

import dualad
import reversead
from shared import count_operations
from shared.linear.checkpointing import checkpoint, checkpoint_loop

# --- cost -------------------------------------------------------------------------------------------------------------


def test_cost_is_one_more_evaluation_for_each_checkpoint_around() -> None:
    def work(x: Any) -> Any:
        for _ in range(10):
            x = np.sin(x) * x
        return x

    once, inside = checkpoint(work), checkpoint(lambda x: checkpoint(work)(x))
    programs = [lambda x, f=f: np.sum(f(f(x))) for f in (work, once, inside)]
    values = [count_operations(f, X) for f in programs]
    gradients = [count_operations(reversead.grad(f), X) for f in programs]
    assert values[0] == values[1] == values[2]
    evaluation = 2 * count_operations(work, X)
    assert gradients[1] - gradients[0] == evaluation
    assert gradients[2] - gradients[1] == evaluation


def test_values_of_the_program_around_cost_no_more() -> None:
    def f(x: Any, ck: Function) -> Any:
        weight = np.tanh(x)
        return np.sum(ck(lambda y: np.sin(y * weight) * weight)(x))

    one, other = (count_operations(reversead.grad(lambda x, ck=ck: f(x, ck)), X) for ck in (unchanged, checkpoint))
    assert other - one == count_operations(lambda y: np.sin(y * y) * y, X)


def test_number_of_evaluations(ad: Any) -> None:
    calls = 0

    @checkpoint
    def f(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return np.sum(x * x)

    f(X)
    assert calls == 1
    ad.jvp(f, (X,), (V,))
    assert calls == (2 if ad is dualad else 3)
    calls = 0
    _, pullback = reversead.vjp(f, X)
    assert calls == 1
    pullback(1.0), pullback(1.0)
    assert calls == 3


def test_what_the_output_does_not_depend_on_is_not_evaluated_again() -> None:
    calls = 0

    @checkpoint
    def f(x: Any) -> Any:
        nonlocal calls
        calls += 1
        return x * x

    def g(x: Any) -> Any:
        f(x)
        return np.sum(x)

    assert_same(reversead.grad(g)(X), np.ones(5))
    assert calls == 1
    with reversead.Tape() as tape:
        x, y = tape.variable(X), tape.variable(X)
        z = f(x) + y
    calls = 0
    assert_same(tape.push([X, None], [z.index]), [2 * X * X])
    assert calls == 1
    assert_same(tape.push([None, X], [z.index]), [X])
    assert calls == 1


# --- memory -----------------------------------------------------------------------------------------------------------


def chain_of_segments(ck: Function, segments: int, operations: int) -> Function:
    @ck
    def segment(x: Any) -> Any:
        for _ in range(operations):
            x = np.tanh(x)
        return x

    def f(x: Any) -> Any:
        for _ in range(segments):
            x = segment(x)
        return np.sum(x)

    return f


def test_memory_of_a_chain_is_that_of_its_segments_and_one_inside() -> None:
    x, segments, operations = np.ones(SIZE), 100, 20
    peak = peak_arrays(lambda: reversead.grad(chain_of_segments(checkpoint, segments, operations))(x))
    assert peak <= segments + operations + 8
    # What is saved: without checkpoints, each tanh keeps its output.
    everything = peak_arrays(lambda: reversead.grad(chain_of_segments(unchanged, 10, operations))(x))
    assert everything >= 10 * operations


def test_forward_sweep_keeps_one_segment() -> None:
    x = np.ones(SIZE)
    _, f_jvp = reversead.linearize(chain_of_segments(checkpoint, 20, 20), x)
    # The tangents, and the operands of one segment; the tape itself was there before.
    assert peak_arrays(lambda: f_jvp(x)) <= 20 + 10


def test_forward_over_reverse_keeps_one_segment() -> None:
    x, segments, operations = np.ones(SIZE), 20, 20
    f = chain_of_segments(checkpoint, segments, operations)
    peak = peak_arrays(lambda: dualad.jvp(reversead.grad(f), (x,), (x,)))
    # Every value has a tangent, and every partial too.
    assert peak <= 2 * segments + 4 * operations + 16


def test_constants_made_inside_are_not_kept() -> None:
    x, segments = np.ones(SIZE), 40

    @checkpoint
    def segment(y: Any, weight: Any) -> Any:
        return y * np.full(SIZE, 0.5) + weight * np.full(SIZE, 0.25)

    def f(y: Any) -> Any:
        weight = y * 2.0
        around = checkpoint(lambda y: y + weight * np.full(SIZE, 0.25))
        for _ in range(segments // 2):
            y = around(segment(y, weight))
        return np.sum(y)

    assert peak_arrays(lambda: reversead.grad(f)(x)) <= segments + 12
    _, pullback = reversead.vjp(f, x)
    assert peak_arrays(lambda: [pullback(1.0) for _ in range(2)]) <= 12
    _, f_jvp = reversead.linearize(f, x)
    assert peak_arrays(lambda: f_jvp(x)) <= 12


def test_small_parts_of_large_values_are_kept_alone() -> None:
    def f(x: Any) -> Any:
        block = checkpoint(lambda x: (x * 2.0)[:3])
        parts = [block(x) for _ in range(40)]
        return sum(np.sum(part) for part in parts)

    assert peak_arrays(lambda: reversead.grad(f)(np.ones(SIZE))) <= 8


@pytest.fixture
def collector_off() -> Iterator[None]:
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def left_by(call: Callable[[Function], Any]) -> tuple[int, int]:
    """How many of the arrays that a call shows to its argument live on, and the cycles that it leaves."""
    references: list[weakref.ref[Any]] = []

    def watch(value: Any) -> Any:
        primal = value
        while hasattr(primal, "primal"):
            primal = primal.primal
        references.append(weakref.ref(primal))
        return value

    gc.collect()
    call(watch)
    alive = sum(reference() is not None for reference in references)
    assert references
    return alive, gc.collect()


def closing_over(watch: Function) -> Function:
    def f(x: Any) -> Any:
        weight = watch(x * 2.0)
        inner = checkpoint(lambda z: watch(z * weight))
        y = checkpoint(lambda y: watch(inner(np.sin(y)) * weight))(x)
        return np.sum(checkpoint_loop(lambda y, k: watch(y * weight), y, 6, snapshots=2))

    return f


@pytest.mark.parametrize("name", [name for name in TRANSFORMS if name != "derivative"])
def test_nothing_is_left(ad: Any, collector_off: None, name: str) -> None:
    TRANSFORMS[name](ad, closing_over(lambda value: value))
    assert left_by(lambda watch: TRANSFORMS[name](ad, closing_over(watch))) == (0, 0)


def test_nothing_is_left_by_an_exception_in_the_second_evaluation(collector_off: None) -> None:
    def attempt(watch: Function) -> None:
        calls = 0

        @checkpoint
        def f(x: Any) -> Any:
            nonlocal calls
            calls += 1
            y = watch(x * x)
            if calls == 2:
                raise KeyError("stop")
            return y

        caught = False
        try:
            reversead.grad(lambda x: np.sum(f(x * 2.0)))(X)
        except KeyError:
            caught = True
        assert caught

    assert left_by(attempt) == (0, 0)


def test_constants_of_the_program_around_are_locked_until_the_sweep() -> None:
    constant, x = np.ones(SIZE), np.ones(SIZE)
    writeable: list[bool] = []

    def f(x: Any) -> Any:
        y = checkpoint(lambda x: x * constant)(x)
        writeable.append(constant.flags.writeable)
        return np.sum(y)

    _, pullback = reversead.vjp(f, x)
    pullback(1.0), pullback(1.0)
    assert writeable == [False]
    assert not constant.flags.writeable
    del pullback
    assert constant.flags.writeable


def test_plain_arguments_may_be_changed_in_place_where_they_are_small() -> None:
    def block(x: Any, scratch: Any) -> Any:
        scratch += 1.0
        return x * scratch

    scratch = np.ones(5)
    _, pullback = reversead.vjp(lambda x: checkpoint(block)(x, scratch), X)
    np.testing.assert_array_equal(scratch, np.full(5, 2.0))
    for _ in range(2):
        np.testing.assert_array_equal(pullback(V)[0], 2.0 * V)
    np.testing.assert_array_equal(scratch, np.full(5, 2.0))


def test_plain_arguments_are_locked_or_copied() -> None:
    for size in (5, SIZE):
        array, x = np.ones(size), np.ones(size)
        block = checkpoint(lambda x, a: x * a)
        _, pullback = reversead.vjp(lambda x, b=block, a=array: b(x, a), x)
        if size == 5:
            array[0] = 7.0
        else:
            assert not array.flags.writeable
        np.testing.assert_array_equal(pullback(x)[0], x)
