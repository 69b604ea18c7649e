"""Checkpoints: the same values and derivatives from less memory, at one more evaluation; what is not pure is refused.

A checkpointed program is compared with the same program without checkpoints, which other tests compare with the truth.
"""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pytest

import dualad
import reversead
from shared import count_operations
from shared.batching.vmap import vmap
from shared.calling.tree import flatten
from shared.core.errors import ClosedLevelError, ImpureFunctionError, StaleViewError
from shared.linear.checkpointing import checkpoint, checkpoint_loop, default_snapshots, evaluations, split
from shared.linear.custom import custom_derivative
from shared.linear.purity import SUMS, Remembered

X = np.array([0.3, 0.7, 1.1, -0.4, 0.2])
V = np.array([1.0, -2.0, 0.5, 0.25, 3.0])

Function = Callable[..., Any]


def unchanged(f: Function) -> Function:
    """What `checkpoint` is compared with."""
    return f


def plain_loop(step: Function, state: Any, n: int, snapshots: int | None = None) -> Any:
    for k in range(n):
        state = step(state, k)
    return state


def assert_same(found: Any, expected: Any, tolerance: float = 1e-12) -> None:
    found_leaves, found_structure = flatten(found)
    leaves, structure = flatten(expected)
    assert found_structure == structure
    for a, b in zip(found_leaves, leaves, strict=True):
        assert type(a) is type(b)
        assert getattr(a, "dtype", None) == getattr(b, "dtype", None)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, float(np.max(np.abs(b)))))


# --- the same values and derivatives ----------------------------------------------------------------------------------


def several_blocks(ck: Function) -> Function:
    block = ck(lambda x: np.sin(np.exp(-x) * x) + x[::-1])
    return lambda x: np.sum(block(block(block(x))) ** 2)


def containers_and_keywords(ck: Function) -> Function:
    @ck
    def block(state: Any, *, scale: Any, name: str, power: int = 2) -> Any:
        assert name == "block"
        return {"a": (state["a"][0] * scale, np.sum(state["b"])), "n": power, "none": None, "b": [state["b"] ** power]}

    def f(x: Any) -> Any:
        out = block({"a": (x, 3.0), "b": x * 2.0}, scale=x[0], name="block", power=3)
        assert out["n"] == 3
        assert out["none"] is None
        return np.sum(out["a"][0]) * out["a"][1] + np.sum(out["b"][0])

    return f


class Pair(NamedTuple):
    first: Any
    second: Any


def named_tuples_and_repeated_results(ck: Function) -> Function:
    def swap(pair: Pair) -> Any:
        product = pair.first * pair.second
        return Pair(product, product), pair.first

    return lambda x: sum(np.sum(v * x) for v in flatten(ck(swap)(Pair(x, np.cos(x))))[0])


def values_of_the_program_around(ck: Function) -> Function:
    def f(x: Any) -> Any:
        weight, bias = np.tanh(x) * 2.0, np.sum(x)
        constant = np.zeros_like(x)
        block = ck(lambda y: np.sin(y) * weight + bias + constant)
        return np.sum(block(x) * block(weight) * weight)

    return f


def assignments_inside(ck: Function) -> Function:
    @ck
    def block(x: Any) -> Any:
        y = np.zeros_like(x)
        for k in range(len(x)):
            y[k] += x[k] * x[k - 1]
        y[1:3] *= 2.0
        z = y.copy()
        z += x
        z[::2] = y[::2]
        return z * y

    return lambda x: np.sum(block(x) * x)


def checkpoints_in_checkpoints(ck: Function) -> Function:
    @ck
    def inner(x: Any, weight: Any) -> Any:
        return np.sin(x) * weight

    @ck
    def middle(x: Any) -> Any:
        weight = np.cos(x)
        local = ck(lambda y: y * weight + x)
        return inner(local(inner(x, weight)), weight)

    @ck
    def outer(x: Any) -> Any:
        return middle(middle(x)) + x[0]

    return lambda x: np.sum(outer(outer(x)))


def results_that_do_not_vary(ck: Function) -> Function:
    @ck
    def block(x: Any) -> Any:
        return x > 0, np.argmax(x), np.zeros_like(x), reversead.stop_gradient(x), np.arange(3), x * 2.0, x.shape[0]

    def f(x: Any) -> Any:
        positive, place, zeros, value, three, double, n = block(x)
        return np.sum(np.where(positive, double, -value)) * n + x[place] + np.sum(zeros) + three[2]

    return f


def arguments_that_come_back(ck: Function) -> Function:
    def f(x: Any) -> Any:
        y, same, part, flat = ck(lambda x, y: (y * x, x, x[1:3], x.reshape(1, 5)))(x, np.sin(x))
        assert same is x
        return np.sum(y * same) + np.sum(part) * flat[0, 4]

    return f


def cotangents_that_are_shared(ck: Function) -> Function:
    # A sum's cotangent is a broadcast view, which is added to, here by several uses inside and outside.
    @ck
    def block(x: Any, y: Any) -> Any:
        z = x + y
        return z, z + x, np.sum(z), z[1:4]

    def f(x: Any) -> Any:
        a, b, c, d = block(x * 1.0, x[::-1])
        return np.sum(a) + np.sum(b) + c + np.sum(d) + np.sum(a + b) + a[0] * d[1]

    return f


def segments_of_different_lengths(ck: Function) -> Function:
    # The numbers of nodes whose cotangents were accumulated in place are taken again by those of a longer segment.
    @ck
    def long(x: Any) -> Any:
        total = np.zeros_like(x)
        for k in range(12):
            total = total + x * float(k) + x[::-1]
        return total + total

    def f(x: Any) -> Any:
        y = long(x)
        a = y + x
        b = a + y
        c = a + b + y
        return np.sum(c) + np.sum(a) + np.sum(long(b) * V)

    return f


def numbers_of_nodes_that_were_added_to(ck: Function) -> Function:
    # After the segment every node is used twice, so that cotangents were added up in place; within it, a cotangent that
    # two values share gets another term for one of them.  The segments' nodes have the numbers of those after it.
    def segment(x: Any, before: int) -> Any:
        for _ in range(before):
            x = x * 1.1
        first = x * 3.0
        second = x * 2.0
        other = np.sin(second)
        return (first + second) + other

    def f(x: Any) -> Any:
        total = 0.0
        for before in range(4):
            values = [ck(lambda x, n=before: segment(x, n))(x)]
            for _ in range(12):
                values.append(np.sin(values[-1]))
            total = total + np.sum(np.stack(values) * V)
        return total

    return f


def tangents_that_are_shared(ck: Function) -> Function:
    # A tangent that was made by an assignment, and may be written at its last use, comes out of the segment as it is.
    @ck
    def shift(x: Any) -> Any:
        return x + 1.0

    @ck
    def assign(x: Any) -> Any:
        made = np.zeros_like(x)
        for k in range(8):
            made[k % 5] = x[k % 5]
        return made

    @ck
    def assign_to_a_sum(x: Any) -> Any:
        values = [x + float(k) for k in range(8)]
        for value in values:
            value[0] = 0.0
        return sum(values) + x

    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        y[...] = x
        z = shift(y)
        y[0] = 0.0
        return np.sum(z * V) + np.sum(y) + np.sum(assign_to_a_sum(assign(x)) * V)

    return f


def branches_in_python(ck: Function) -> Function:
    def block(x: Any) -> Any:
        return x * x if x[0] > 0 else -x

    return lambda x: np.sum(ck(block)(x) + ck(block)(-x))


PROGRAMS = [
    several_blocks,
    containers_and_keywords,
    named_tuples_and_repeated_results,
    values_of_the_program_around,
    assignments_inside,
    checkpoints_in_checkpoints,
    results_that_do_not_vary,
    arguments_that_come_back,
    cotangents_that_are_shared,
    segments_of_different_lengths,
    numbers_of_nodes_that_were_added_to,
    tangents_that_are_shared,
    branches_in_python,
]

TRANSFORMS: dict[str, Callable[[Any, Function], Any]] = {
    "value_and_grad": lambda ad, f: ad.value_and_grad(f)(X),
    "jvp": lambda ad, f: ad.jvp(f, (X,), (V,)),
    "vjp twice": lambda ad, f: [pull(2.0) for pull in [ad.vjp(f, X)[1]] for _ in range(2)],
    "linearize": lambda ad, f: [push(V) for push in [ad.linearize(f, X)[1]] for _ in range(2)],
    "derivative": lambda ad, f: ad.derivative(lambda t: f(t * X))(0.7),
    "hvp": lambda ad, f: ad.hvp(f, X, V),
    "hessian": lambda ad, f: ad.hessian(f)(X),
    "forward over reverse": lambda ad, f: dualad.jvp(reversead.grad(f), (X,), (V,)),
    "reverse over forward": lambda ad, f: reversead.grad(lambda x: dualad.jvp(f, (x,), (V,))[1])(X),
    "pushed through a gradient": lambda ad, f: reversead.jvp(reversead.grad(f), (X,), (V,)),
    "third order": lambda ad, f: dualad.jvp(lambda x: reversead.hvp(f, x, V), (X,), (V,)),
}


@pytest.mark.parametrize("name", list(TRANSFORMS))
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_same_values_and_derivatives(ad: Any, program: Callable[[Function], Function], name: str) -> None:
    transform = TRANSFORMS[name]
    assert_same(transform(ad, program(checkpoint)), transform(ad, program(unchanged)))


def test_same_jacobian_of_containers(ad: Any) -> None:
    def f(tree: Any, ck: Function) -> Any:
        return ck(lambda t: {"p": t["a"] * t["b"], "q": [np.sin(t["a"])]})(tree)

    tree = {"a": X[:3], "b": 2.0}
    assert_same(ad.jacobian(lambda t: f(t, checkpoint))(tree), ad.jacobian(lambda t: f(t, unchanged))(tree))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_dtype_is_kept(ad: Any, dtype: Any) -> None:
    x = X.astype(dtype)
    out, gradient = ad.value_and_grad(lambda x: np.sum(np.abs(checkpoint(lambda x: x * x * 0.5)(x)) ** 2))(x)
    assert gradient.dtype == dtype
    assert out.dtype == x.real.dtype


def test_python_numbers_stay_what_they_are(ad: Any) -> None:
    block = checkpoint(lambda a, b: (a * b, a + 1))
    value, gradients = ad.value_and_grad(lambda a, b: sum(block(a, b)), argnums=(0, 1))(2.0, 3)
    assert (value, gradients) == (9.0, (4.0, 2.0))
    assert type(value) is float


def test_plain_values_go_straight_through() -> None:
    called: list[Any] = []

    @checkpoint
    def f(x: Any, *, y: Any = 1) -> Any:
        """What f says."""
        called.append((x, y))
        return called

    assert f.__name__ == "f"
    assert f.__doc__ == "What f says."
    assert f(2, y="text") is called
    assert called == [(2, "text")]


def test_functions_with_derivatives_of_their_own(ad: Any) -> None:
    @custom_derivative(vjp=lambda c, out, x, y: (c * 3.0 * y, c * 3.0 * x))
    def product(x: Any, y: Any) -> Any:
        return np.array([float(a) * float(b) for a, b in zip(x, y, strict=True)])

    def f(x: Any, ck: Function) -> Any:
        weight = np.cos(x)
        block = ck(lambda y: product(np.sin(y), weight) * product(weight, weight) + product(y, y))
        return np.sum(block(x) * x)

    for name in ("value_and_grad", "jvp", "vjp twice", "linearize"):
        transform = TRANSFORMS[name]
        assert_same(transform(ad, lambda x: f(x, checkpoint)), transform(ad, lambda x: f(x, unchanged)))


def test_batches(ad: Any) -> None:
    def f(x: Any, ck: Function) -> Any:
        weight = np.cos(x)
        return np.sum(ck(lambda y: np.sin(y) * weight)(x) ** 2)

    rows = np.stack([X, V, X * V])
    for transform in (
        lambda ck: vmap(ad.grad(lambda x: f(x, ck)))(rows),
        lambda ck: ad.grad(lambda rows: np.sum(vmap(lambda x: f(x, ck))(rows)))(rows),
        lambda ck: ad.jacobian(ad.grad(lambda x: f(x, ck)))(X),
    ):
        assert_same(transform(checkpoint), transform(unchanged))


def test_elementwise_gradient(ad: Any) -> None:
    assert_same(ad.elementwise_grad(checkpoint(lambda x: np.sin(x) * x))(X), np.cos(X) * X + np.sin(X))


def random_block(rng: np.random.Generator, depth: int) -> Function:
    """A random function of a list of vectors, with blocks inside it that use its values; `ck` wraps each."""
    plan = [tuple(int(v) for v in rng.integers(0, 60, 3)) for _ in range(int(rng.integers(3, 9)))]
    inner = [random_block(rng, depth - 1) for _ in range(2)] if depth else []

    def block(given: Any, around: Any, ck: Function) -> Any:
        values = list(given)
        for kind, i, j in plan:
            a, b, c = values[i % len(values)], values[j % len(values)], around[i % len(around)]
            match kind % (11 if inner else 9):
                case 0:
                    values.append(np.sin(a) * b)
                case 1:
                    values.append(a + b)
                case 2:
                    values.append(a[::-1] * 0.5 - b)
                case 3:
                    made = np.zeros_like(a)
                    made[j % 5] = b[i % 5]
                    made[1:3] += a[1:3] * b[0]
                    values.append(made)
                case 4:
                    values.append(np.broadcast_to(np.sum(a), (5,)) * 0.1 + b)
                case 5:
                    made = np.copy(a)
                    made += b
                    made[1:][j % 4] += b[0]
                    made[:2] *= b[:2]
                    made[i % 5] *= 2.0
                    values.append(made)
                case 6:
                    values.append(np.tanh(a) * c)
                case 7:
                    values.append(np.concatenate([a[i % 5 :], b[: i % 5]]))
                case 8:
                    values.append(sum(a[m] * b[4 - m] for m in range(5)) * c)
                case choice:
                    wrapped = ck(lambda v, f=inner[choice - 9], a=a: f(v, [*around, a], ck))
                    values.extend(wrapped([b, a] if j % 3 else [a, a, b]))
            del values[:-6]
        return values[-3:]

    return block


@pytest.mark.parametrize("seed", range(12))
def test_random_programs(seed: int) -> None:
    block = random_block(np.random.default_rng(seed), depth=2)

    def f(x: Any, w: Any, ck: Function) -> Any:
        around = [w * 1.0, x * 0.3]
        values = ck(lambda v: block(v, around, ck))([x, np.sin(x) + w])
        values = ck(lambda a, b: block([a, b], around, ck))(values[0], values[-1]) + values[:1]
        return np.concatenate(values)

    def compare(transform: Callable[[Function], Any]) -> None:
        assert_same(
            transform(lambda x, w: f(x, w, checkpoint)), transform(lambda x, w: f(x, w, unchanged)), tolerance=1e-10
        )

    seed_of_output = np.arange(f(X, V, unchanged).size) * 1.0

    def pulled_twice(g: Function) -> Any:
        given = seed_of_output.copy()
        pullback = reversead.vjp(g, X, V)[1]
        results = [pullback(given), pullback(given)]
        assert_same(results[0], results[1], tolerance=0.0)
        np.testing.assert_array_equal(given, seed_of_output)
        return results[0]

    compare(pulled_twice)
    compare(lambda g: reversead.jvp(g, (X, V), (V, X)))
    compare(lambda g: reversead.jacobian(g, (0, 1))(X, V))
    compare(lambda g: dualad.jvp(reversead.grad(lambda x: np.sum(g(x, x) ** 2) * 0.01), (X,), (V,)))
    compare(lambda g: reversead.grad(lambda x: np.sum(dualad.jvp(g, (x, x), (V, X))[1]))(X))


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

SIZE = 20_000


def peak_arrays(call: Callable[[], Any], size: int = SIZE) -> float:
    """The most memory that a call holds at once, in arrays of the given size."""
    # What is imported at the first use is not the call's.
    reversead.grad(lambda x: np.sum(checkpoint(np.sin)(x)))(np.ones(2 * SUMS))
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / (8 * size)
    finally:
        tracemalloc.stop()


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


# --- what is not pure is refused --------------------------------------------------------------------------------------


def refused(f: Function, error: type[Exception], words: str) -> None:
    for derivative in (
        reversead.grad(f),
        lambda x: reversead.vjp(f, x)[1](1.0),
        lambda x: reversead.jvp(f, (x,), (x,)),
        lambda x: dualad.jvp(reversead.grad(f), (x,), (x,)),
    ):
        with pytest.raises(error, match=words) as caught:
            derivative(X)
        assert "test_checkpoint.py" in str(caught.value)


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
    assert "test_checkpoint.py" in str(caught.value)


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
