"""Checkpoints of loops: derivatives, evaluations and memory are those of the best schedule."""

from __future__ import annotations

import weakref
from functools import cache
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
    plain_loop,
    refused,
    unchanged,
)

import dualad
import reversead
from shared.core.errors import ClosedLevelError, ImpureFunctionError
from shared.linear.checkpointing import checkpoint, checkpoint_loop, default_snapshots, evaluations, split

# --- loops ------------------------------------------------------------------------------------------------------------


def oscillate(state: Any, k: int) -> Any:
    return {"q": state["q"] + 0.1 * state["p"], "p": state["p"] - 0.1 * np.sin(state["q"]) + 0.01 * k, "t": state["t"]}


def energy(loop: Function, n: int, snapshots: int | None) -> Function:
    def f(x: Any) -> Any:
        state = loop(oscillate, {"q": x, "p": x[::-1] * 2.0, "t": ("unused", 3)}, n, snapshots)
        assert state["t"] == ("unused", 3)
        return np.sum(state["q"] ** 2 + state["p"] * state["q"])

    return f


@pytest.mark.parametrize("n", [0, 1, 2, 3, 8, 23])
@pytest.mark.parametrize("snapshots", [1, 2, 3, 30, None])
@pytest.mark.parametrize("name", ["value_and_grad", "vjp twice", "jvp", "linearize", "hvp", "forward over reverse"])
def test_loop_has_the_same_derivatives(ad: Any, name: str, n: int, snapshots: int | None) -> None:
    transform = TRANSFORMS[name]
    found = transform(ad, energy(checkpoint_loop, n, snapshots))
    assert_same(found, transform(ad, energy(plain_loop, n, snapshots)))


@pytest.mark.parametrize("name", list(TRANSFORMS))
def test_weights_that_a_step_uses_get_their_derivatives(ad: Any, name: str) -> None:
    def f(loop: Function) -> Function:
        def g(x: Any) -> Any:
            weights = np.sin(x) * np.eye(5) + 0.1
            # The state is no function of x at first.
            state = loop(lambda h, k: np.tanh(weights @ h + x * 0.1 * k), np.ones(5), 9, 3)
            return np.sum(state * weights[0])

        return g

    transform = TRANSFORMS[name]
    assert_same(transform(ad, f(checkpoint_loop)), transform(ad, f(plain_loop)), tolerance=1e-10)


def _in_place(state: Any, k: int) -> Any:
    h, w = state
    h[k % 5] += 0.1 * np.sin(w[k % 5]) * h[(k + 1) % 5]
    return h, w


def _of_a_view(state: Any, k: int) -> Any:
    h, w = state
    g = np.sin(h) * w
    return (g[::-1] if k % 3 else g * 1.0), w


STATES: dict[str, tuple[Any, Any]] = {
    "a part that is handed on": (lambda s, k: (np.sin(s[0]) * s[1], s[1]), lambda x: (x * 1.0, x + 1.0)),
    "parts that change places": (lambda s, k: (s[1], np.sin(s[0]) + 0.1 * s[1]), lambda x: (x * 1.0, x + 1.0)),
    "one part twice at times": (lambda s, k: (s[0], s[0]) if k % 4 == 1 else (np.sin(s[0]) * s[1], s[1] * 0.9),
                                lambda x: (x * 1.0, x + 1.0)),
    "changed in place": (_in_place, lambda x: (x * 1.0, x + 1.0)),
    "a view at times": (_of_a_view, lambda x: (x * 1.0, x + 1.0)),
    "a number beside it": (lambda s, k: (np.sin(s[0]) * s[1], 0.9 * s[1] + 0.01), lambda x: (x * 1.0, 1.0)),
    "an array that does not vary": (lambda s, k: (np.sin(s[0]) * s[1], s[1] * 0.9), lambda x: (x * 1.0, np.ones(5))),
    "what varies at some steps": (lambda s, k: (s[0] * 0.0 + 1.0 if k == 2 else s[0] * s[1], s[1]),
                                  lambda x: (x * 1.0, x + 1.0)),
    "constants for a while": (lambda s, k: (np.ones(5), s[1]) if k == 3 else (np.sin(s[0] + k), s[1]),
                              lambda x: (x * 1.0, 2.0)),
}  # fmt: skip


@pytest.mark.parametrize("snapshots", [1, 2, 4, None])
@pytest.mark.parametrize("name", STATES)
def test_states_of_every_kind(ad: Any, name: str, snapshots: int | None) -> None:
    step, first = STATES[name]

    def f(loop: Function) -> Function:
        def g(x: Any) -> Any:
            weights = 1.0 + 0.1 * x
            state = loop(lambda s, k: step((s[0] * (weights if k % 2 else 1.0), s[1]), k), first(x), 11, snapshots)
            return sum(np.sum(part * (k + 1.0)) for k, part in enumerate(state))

        return g

    x = np.linspace(0.2, 0.9, 5)
    assert_same(ad.value_and_grad(f(checkpoint_loop))(x), ad.value_and_grad(f(plain_loop))(x))
    assert_same(ad.hvp(f(checkpoint_loop), x, x), ad.hvp(f(plain_loop), x, x))


def test_loops_and_checkpoints_in_loops_and_checkpoints(ad: Any) -> None:
    def f(x: Any, ck: Function, loop: Function) -> Any:
        def inner(y: Any, k: int) -> Any:
            return ck(lambda y: np.sin(y) * x + 0.1 * k)(y)

        def outer(y: Any, k: int) -> Any:
            return loop(inner, y, 4, 2) + loop(lambda y, j: y * 0.9, x, k, 1)

        return np.sum(ck(lambda y: loop(outer, y, 5, 2) * y)(x))

    for name in ("value_and_grad", "jvp", "hvp", "forward over reverse", "reverse over forward"):
        transform = TRANSFORMS[name]
        found = transform(ad, lambda x: f(x, checkpoint, checkpoint_loop))
        assert_same(found, transform(ad, lambda x: f(x, unchanged, plain_loop)))


def test_step_may_work_in_place(ad: Any) -> None:
    def step(state: Any, k: int) -> Any:
        u, counted = state
        counted[k % 2] += 1
        u *= 1.1
        u[k % 5] = u[(k + 1) % 5] * u[0]
        return u, counted

    def in_new_arrays(state: Any, k: int) -> Any:
        u, counted = state[0] * 1.1, state[1].copy()
        counted[k % 2] += 1
        u[k % 5] = u[(k + 1) % 5] * u[0]
        return u, counted

    for snapshots in (1, 2, 10):
        x, counted = X.copy(), np.zeros(2, int)

        def f(x: Any, step: Function, loop: Function, counted: Any = counted, snapshots: int = snapshots) -> Any:
            u, found = loop(step, (x, counted), 9, snapshots)
            return np.sum(u * u) * found[0]

        for transform in (ad.value_and_grad, lambda f: lambda y: ad.jvp(f, (y,), (V,))):
            found = transform(lambda x, f=f: f(x, step, checkpoint_loop))(x)
            assert_same(found, transform(lambda x, f=f: f(x, in_new_arrays, plain_loop))(x))
        np.testing.assert_array_equal(x, X)
        np.testing.assert_array_equal(counted, [0, 0])
    np.testing.assert_array_equal(checkpoint_loop(step, (x, counted), 9)[1], [5, 4])
    np.testing.assert_array_equal(x, X)


def test_steps_that_assign_in_turns() -> None:
    # The nodes of one step get the numbers of those of the step before, some of which an assignment made.
    def step(y: Any, k: int) -> Any:
        if k % 2 == 0:
            for j in range(8):
                y[j % 5] = y[(j + 1) % 5] * y[0]
            return y
        values = [y + float(j) for j in range(8)]
        for value in values:
            value[0] = 0.0
        return sum(values) + y

    def copied(y: Any, k: int) -> Any:
        return step(np.copy(y), k)

    found = reversead.jvp(lambda x: checkpoint_loop(step, x, 6, 1), (X,), (V,))
    assert_same(found, reversead.jvp(lambda x: plain_loop(copied, x, 6), (X,), (V,)))
    assert_same(found, dualad.jvp(lambda x: checkpoint_loop(step, x, 6, 1), (X,), (V,)))


def test_step_that_changes_parts_that_share_memory_is_refused() -> None:
    def step(state: Any, k: int) -> Any:
        u, part = state
        u = u * 1.0 if k == 0 else u
        u += 1.0
        return u, u[1:] if k < 2 else part

    def f(x: Any) -> Any:
        u, part = checkpoint_loop(step, (x, x[1:]), 6, 2)
        return np.sum(u) + np.sum(part)

    with pytest.raises(ImpureFunctionError, match="share memory"):
        reversead.grad(f)(X)


def test_state_that_goes_over_to_an_inner_differentiation(ad: Any) -> None:
    def f(x: Any, loop: Function) -> Any:
        def along(t: Any) -> Any:
            return np.sum(loop(lambda y, k: y * t if k == 4 else np.sin(y), x, 9, 2))

        return ad.jvp(along, (x[0],), (1.0,))[1]

    for transform in (reversead.grad, dualad.grad):
        found = transform(lambda x: f(x, checkpoint_loop))(X)
        assert_same(found, transform(lambda x: f(x, plain_loop))(X))


def test_state_that_stops_to_vary_and_varies_again() -> None:
    def f(x: Any, loop: Function) -> Any:
        def step(y: Any, k: int) -> Any:
            return np.ones(5) if k == 5 else y * x

        return np.sum(loop(step, x, 12, 2))

    assert_same(reversead.grad(lambda x: f(x, checkpoint_loop))(X), reversead.grad(lambda x: f(x, plain_loop))(X))


def test_value_that_a_step_uses_for_nothing() -> None:
    def f(x: Any) -> Any:
        def step(y: Any, k: int) -> Any:
            if k == 0:
                np.sin(other)
            return y if k < 2 else y * weight

        weight, other = x * 1.0, x * 2.0
        return np.sum(checkpoint_loop(step, x, 4, 1))

    assert_same(reversead.grad(f)(X), 3 * X**2)
    assert_same(reversead.jvp(f, (X,), (V,))[1], np.sum(3 * X**2 * V))


def test_impure_step_is_noticed() -> None:
    rng = np.random.default_rng(0)

    def f(x: Any) -> Any:
        return np.sum(checkpoint_loop(lambda y, k: y * rng.random(5), x, 7, 2))

    refused(f, ImpureFunctionError, "other numbers")

    def stored(x: Any) -> Any:
        previous = [x]

        def step(y: Any, k: int) -> Any:
            z = y * previous[-1]
            previous.append(z)
            return z

        return np.sum(checkpoint_loop(step, x, 7, 2))

    refused(stored, ClosedLevelError, "return it from the function")


@pytest.mark.parametrize(
    ("n", "snapshots", "error", "words"),
    [
        (-1, 2, ValueError, "cannot be negative"),
        (2, 0, ValueError, "snapshots=0"),
        (2, -3, ValueError, "at least 1"),
        (2.0, 2, TypeError, "n must be an integer"),
        (True, 2, TypeError, "n must be an integer"),
        (2, 2.5, TypeError, "snapshots must be an integer"),
    ],
)
def test_impossible_numbers_are_refused(n: Any, snapshots: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        checkpoint_loop(lambda x, k: x, 1.0, n, snapshots)
    assert "test_checkpoint_loops.py" in str(caught.value)


def test_no_step_returns_the_state_itself() -> None:
    state = {"a": X}
    assert checkpoint_loop(lambda s, k: 1 / 0, state, 0) is state
    assert checkpoint_loop(lambda s, k: s + k, 1.0, np.int64(4)) == 7.0


# --- the schedule -----------------------------------------------------------------------------------------------------


@cache
def least_advances(length: int, snapshots: int) -> float:
    """The least number of steps to advance for a reversal, by trying every place for the next snapshot."""
    if length == 1:
        return 0
    if snapshots == 0:
        return float("inf")
    return min(m + least_advances(m, snapshots) + least_advances(length - m, snapshots - 1) for m in range(1, length))


@pytest.mark.parametrize("snapshots", range(1, 7))
def test_schedule_evaluates_the_least_number_of_steps(snapshots: int) -> None:
    for n in range(1, 60):
        assert evaluations(n, snapshots) == n + least_advances(n, snapshots)
        if n > 1:
            m = split(n, snapshots)
            best = m + least_advances(m, snapshots) + least_advances(n - m, snapshots - 1)
            assert best == least_advances(n, snapshots)


def test_default_number_of_snapshots_is_the_least_for_three_evaluations_a_step() -> None:
    for n in range(1, 2000):
        c = default_snapshots(n)
        assert (c + 1) * (c + 2) // 2 >= n
        assert c == 1 or c * (c + 1) // 2 < n
        assert evaluations(n, c) <= 3 * n


class Watched:
    """A step of a loop that counts its calls, and how many states of the loop are alive when it begins."""

    def __init__(self) -> None:
        self.calls = 0
        self.most = 0
        self.states: list[weakref.ref[Any]] = []

    def __call__(self, state: Any, k: int) -> Any:
        self.calls += 1
        self.states = [reference for reference in self.states if reference() is not None]
        self.most = max(self.most, len(self.states))
        state = np.tanh(state)
        primal = state
        while hasattr(primal, "primal"):
            primal = primal.primal
        self.states.append(weakref.ref(primal))
        return state


@pytest.mark.parametrize("n", [1, 2, 5, 30, 121])
@pytest.mark.parametrize("snapshots", [1, 2, 3, 10, 200])
def test_loop_evaluates_and_stores_what_the_schedule_says(n: int, snapshots: int) -> None:
    step = Watched()
    _, pullback = reversead.vjp(lambda x: checkpoint_loop(step, x, n, snapshots), X)
    # The value takes n evaluations, which store the first snapshots.
    assert step.calls == n
    pullback(V)
    assert step.calls == evaluations(n, snapshots)
    # Of the snapshots one is the initial state, which no step made; one state more is that which a step begins with.
    # The pullback keeps its own for the next time.
    assert step.most <= 2 * snapshots
    step = Watched()
    reversead.grad(lambda x: np.sum(checkpoint_loop(step, x, n, snapshots)))(X)
    assert step.calls == evaluations(n, snapshots)
    assert step.most <= snapshots
    # A sweep that pushes tangents needs every step once.
    step = Watched()
    reversead.jvp(lambda x: checkpoint_loop(step, x, n, snapshots), (X,), (V,))
    assert step.calls == (2 * n - 1)


def test_loop_without_a_varying_state_records_its_first_step() -> None:
    calls = 0

    def f(x: Any) -> Any:
        def step(y: Any, k: int) -> Any:
            nonlocal calls
            calls += 1
            return y * x

        return np.sum(checkpoint_loop(step, np.ones(5), 20, 3))

    assert_same(reversead.grad(f)(X), 20 * X**19)
    assert calls == 1 + evaluations(19, 3)


# The same with 100,000 steps of 10,000 numbers, of which the tape without checkpoints would need 30 GB, takes some
# seconds and 8 MiB; measured by resource.getrusage(resource.RUSAGE_SELF).ru_maxrss before and after:
#   x, w = np.linspace(0.1, 0.9, 10_000), np.full(10_000, 0.9)
#   step = lambda y, k: y + 1e-3 * (w - y) * y
#   reversead.grad(lambda x: np.sum(checkpoint_loop(step, x, 100_000, snapshots=100)))(x)
def test_memory_of_a_loop_is_bounded_by_its_snapshots() -> None:
    size, n, snapshots = 1000, 2000, 12

    def f(x: Any, weight: Any) -> Any:
        return np.sum(checkpoint_loop(lambda y, k: np.sin(y) * weight + 1e-3, x, n, snapshots))

    x, weight = np.linspace(0.1, 0.9, size), np.full(size, 0.9)
    gradients: list[Any] = []
    # What is imported and cached at the first use is not the loop's.
    reversead.grad(f, (0, 1))(x, weight)
    peak = peak_arrays(lambda: gradients.append(reversead.grad(f, (0, 1))(x, weight)), size)
    # What each snapshot remembers of its result is a fifth of an array of this size.
    assert peak <= 1.2 * snapshots + 12
    tangent = dualad.jvp(f, (x, weight), (x, weight))[1]
    np.testing.assert_allclose(np.sum(gradients[0][0] * x) + np.sum(gradients[0][1] * weight), tangent, rtol=1e-9)


def test_what_a_step_makes_is_not_kept() -> None:
    n, snapshots = 100, 5

    def f(x: Any) -> Any:
        weight = x * 2.0

        # Large enough to be locked: of such arrays a tape keeps note, and of the state, where it meets the weight.
        def step(y: Any, k: int) -> Any:
            return (np.sin(y) * np.full(SIZE, 1e-3 * k) + weight * np.full(SIZE, 1e-3)) * (weight - y) * y

        return np.sum(checkpoint_loop(step, x, n, snapshots))

    assert peak_arrays(lambda: reversead.grad(f)(np.ones(SIZE))) <= snapshots + 20
    _, f_jvp = reversead.linearize(f, np.ones(SIZE))
    assert peak_arrays(lambda: f_jvp(np.ones(SIZE))) <= 20
    _, pullback = reversead.vjp(f, np.ones(SIZE))
    assert peak_arrays(lambda: pullback(1.0)) <= snapshots + 20


def test_long_loop_needs_no_stack() -> None:
    n = 5_000
    for snapshots, length in ((1, 300), (2, 1000), (5, n), (None, n), (2 * n, n)):
        gradient = reversead.grad(lambda x, s=snapshots, n=length: checkpoint_loop(lambda y, k: y * 1.0001, x, n, s))
        assert gradient(1.0) == pytest.approx(1.0001**length, rel=1e-9)
        tangent = reversead.jvp(
            lambda x, s=snapshots, n=length: checkpoint_loop(lambda y, k: y * 1.0001, x, n, s), (1.0,), (1.0,)
        )[1]
        assert tangent == pytest.approx(1.0001**length, rel=1e-9)
