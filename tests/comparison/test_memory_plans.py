"""Memory against time: what is said of the tape and of checkpoints is what the engine does."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from shared import checkpoint_loop, cost
from shared.comparison import Memory, memory
from shared.linear.checkpointing import evaluations

ENGINES: Any = (dualad, reversead)
X = np.linspace(0.1, 1.0, 1000)
STEPS = 60


def looped(x: Any) -> Any:
    for _ in range(STEPS):
        y = np.sin(x)
        x = x + 0.1 * y
    return np.sum(x * x)


def checked(x: Any, snapshots: int, seen: list[int] | None = None) -> Any:
    def step(state: Any, k: int) -> Any:
        if seen is not None:
            seen.append(k)
        return state + 0.1 * np.sin(state)

    last = checkpoint_loop(step, x, STEPS, snapshots=snapshots)
    return np.sum(last * last)


@pytest.fixture(scope="module")
def found() -> Memory:
    return memory(looped, X, engines=ENGINES)


def test_what_the_tape_keeps_is_told_by_line(found: Memory) -> None:
    assert found.steps == STEPS
    # Every sine needs its argument; the first is the caller's. The last square needs the last state.
    assert found.tape_bytes == STEPS * X.nbytes
    (row,) = found.kept
    assert (row.values, row.bytes, row.share) == (STEPS, STEPS * X.nbytes, 1.0)
    assert row.line.endswith(f"test_memory_plans.py:{looped.__code__.co_firstlineno + 3}")
    assert found.state_bytes == X.nbytes


def test_plans_evaluate_steps_as_often_as_the_engine_does(found: Memory) -> None:
    plans = {plan.snapshots: plan for plan in found.plans if plan.snapshots}
    assert len(plans) >= 3
    for snapshots, plan in plans.items():
        seen: list[int] = []
        reversead.value_and_grad(lambda x, s=snapshots, seen=seen: checked(x, s, seen))(X)
        assert plan.step_evaluations == len(seen) == evaluations(STEPS, snapshots)


def test_plans_keep_as_many_bytes_as_the_engine_does(found: Memory) -> None:
    everything = cost(reversead.grad(looped), X).peak_bytes
    for plan in found.plans:
        if plan.snapshots:
            measured = cost(reversead.grad(lambda x, s=plan.snapshots: checked(x, s)), X).peak_bytes
            # What an operation works with in passing is not kept: a few arrays.
            assert plan.bytes <= measured <= plan.bytes + 6 * X.nbytes
            assert measured < everything


def test_the_plans_are_a_frontier(found: Memory) -> None:
    names = [plan.name for plan in found.plans]
    assert names[:3] == ["the value alone", "a direction, forward", "reverse, all kept"]
    assert f"reverse, sqrt({STEPS}) pieces" in names
    plans = found.plans[2:]
    assert all(one.bytes > two.bytes for one, two in pairwise(plans))
    assert all(one.evaluations < two.evaluations for one, two in pairwise(plans))
    forward = found.plans[1]
    assert forward.bytes < 8 * X.nbytes and forward.evaluations < 4


def test_layers_of_different_sizes_are_steps() -> None:
    rng = np.random.default_rng(0)
    widths = (30, 20, 25, 10, 5, 8)
    weights = [rng.normal(size=(b, a)) for a, b in pairwise(widths)]

    def network(weights: Any, x: Any) -> Any:
        for W in weights:
            x = np.tanh(W @ x)
        return np.sum(x)

    found = memory(network, weights, rng.normal(size=30), engines=ENGINES)
    assert found.steps == 5 and found.state_bytes == 25 * 8
    assert found.tape_bytes == sum(widths[1:]) * 8
    assert [row.line.rpartition(":")[2] for row in found.kept] == [str(network.__code__.co_firstlineno + 2)]


def test_without_a_loop_there_are_no_checkpoints() -> None:
    found = memory(lambda x: np.sum(np.exp(x)), X, engines=ENGINES)
    assert (found.steps, found.state_bytes, len(found.plans), found.advice) == (1, 0, 3, "")
    assert found.tape_bytes == X.nbytes
    large = memory(lambda x: np.sum(np.exp(x)), np.ones(2**18), engines=ENGINES)
    assert large.advice.endswith("checkpoint the function that it is in")


def test_what_is_said_in_words(found: Memory) -> None:
    assert "keeps 100% of the tape (480,000 bytes in 60 values): checkpoint_loop would keep " in found.advice
    text = str(found)
    assert text.count("memory against time: 60 steps") == 1 and "the tape keeps 480,000 bytes" in text
    assert "| bytes kept |" in found.markdown() and "<table>" in found.html()


def test_views_are_counted_once() -> None:
    def f(x: Any) -> Any:
        y = np.exp(x)
        return np.sum(np.sin(y.reshape(10, 100))) + np.sum(np.cos(y[:500]) * y[500:])

    # y once, through four views, and the cosine.
    assert memory(f, X, engines=ENGINES).tape_bytes == X.nbytes + 500 * 8
