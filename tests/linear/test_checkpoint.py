"""Checkpoints: the same values and derivatives as without.

A checkpointed program is compared with the same program without checkpoints, which other tests compare with the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from checkpointed_programs import (
    TRANSFORMS,
    Function,
    V,
    X,
    assert_same,
    unchanged,
)

import dualad
import reversead
from shared.batching.vmap import vmap
from shared.calling.tree import flatten
from shared.linear.checkpointing import checkpoint
from shared.linear.custom import custom_derivative

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
