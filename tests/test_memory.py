"""No leaks, no reference cycles, no recursion over operations, and values freed as soon as they can be.

All of it with Python's cyclic collector switched off: what it would have to collect is what is tested for.
"""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import dualad
import reversead

LONG = 1_000_000


@pytest.fixture(autouse=True)
def collector_off() -> Iterator[None]:
    gc.disable()
    # What earlier tests have left alive need not be searched each time.
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        gc.enable()


def cycles_left_by(call: Callable[[], Any]) -> int:
    """How many unreachable objects a call leaves behind; what the test runner left before does not count."""
    gc.collect()
    call()
    return gc.collect()


class Watched:
    """Weak references to arrays that a program makes, which must all be dead when nothing needs them."""

    def __init__(self) -> None:
        self.references: list[weakref.ref[Any]] = []

    def add(self, value: Any) -> Any:
        primal = value
        while hasattr(primal, "primal"):
            primal = primal.primal
        if isinstance(primal, np.ndarray):
            self.references.append(weakref.ref(primal))
        return value

    def alive(self) -> int:
        return sum(reference() is not None for reference in self.references)


def program(watched: Watched) -> Callable[..., Any]:
    """Operations of every kind, with assignment, views and a second use of most values."""

    def f(x: Any) -> Any:
        y = watched.add(np.sin(x) * x)
        z = watched.add(np.concatenate([y, y[::-1]]))
        w = watched.add(np.zeros_like(z))
        w[1:3] = z[:2] / (1.0 + x[0])
        w[0] += z[1]
        rows = w.reshape(2, -1)
        rows = watched.add(rows * np.arange(1.0, 3.0)[:, None])
        return np.sum(np.tanh(rows) @ x) + np.max(z) + np.linalg.norm(y) + np.sum(np.where(z > 0, z, w))

    return f


X = np.array([0.5, 1.5, 2.5])
EVERYTHING: dict[str, Callable[..., Any]] = {
    "grad": lambda ad, f: ad.grad(f)(X),
    "value_and_grad": lambda ad, f: ad.value_and_grad(f)(X),
    "jvp": lambda ad, f: ad.jvp(f, (X,), (X,)),
    "vjp": lambda ad, f: ad.vjp(f, X)[1](1.0),
    "vjp twice": lambda ad, f: [pull(1.0) for pull in [ad.vjp(f, X)[1]] for _ in range(2)],
    "linearize": lambda ad, f: ad.linearize(f, X)[1](X),
    "jacobian": lambda ad, f: ad.jacobian(f)(X),
    "hvp": lambda ad, f: ad.hvp(f, X, X),
    "hessian": lambda ad, f: ad.hessian(f)(X),
    "derivative": lambda ad, f: ad.derivative(lambda t: f(t * X))(1.0),
    "elementwise_grad": lambda ad, f: ad.elementwise_grad(lambda x: np.sin(x) * x)(X),
    "forward over reverse": lambda ad, f: dualad.jvp(reversead.grad(f), (X,), (X,)),
    "reverse over forward": lambda ad, f: reversead.grad(lambda x: dualad.jvp(f, (x,), (X,))[1])(X),
    "grad inside": lambda ad, f: ad.grad(lambda x: np.sum(ad.grad(f)(x) * x))(X),
    "with aux": lambda ad, f: ad.grad(lambda x: (f(x), {"kept": np.sin(x)}), has_aux=True)(X),
}


@pytest.mark.parametrize("name", list(EVERYTHING))
def test_no_cycles_and_nothing_kept(ad: Any, name: str) -> None:
    watched = Watched()
    f = program(watched)
    # What is made once, on first use, is not a leak.
    EVERYTHING[name](ad, f)
    gc.collect()
    EVERYTHING[name](ad, f)
    alive, cycles = watched.alive(), gc.collect()
    if name != "elementwise_grad":
        assert watched.references
    # Without the collector, what is left is held by somebody.
    assert alive == 0
    assert cycles == 0


@pytest.mark.parametrize("name", [name for name in EVERYTHING if name != "elementwise_grad"])
def test_no_cycles_after_an_exception(ad: Any, name: str) -> None:
    watched = Watched()
    complete = program(watched)

    def f(x: Any) -> Any:
        complete(x)
        raise KeyError("stop")

    caught = False
    gc.collect()
    try:
        EVERYTHING[name](ad, f)
    except KeyError:
        caught = True
    alive, cycles = watched.alive(), gc.collect()
    assert caught
    assert watched.references
    assert alive == 0
    assert cycles == 0


@pytest.mark.parametrize(
    "bad",
    [
        lambda x: float(x[0]),
        lambda x: np.array([x[0]]),
        lambda x: np.histogram(x),
        lambda x: x,
        lambda x: np.zeros(3).__setitem__(0, x[0]),
        lambda x: x.__setitem__(7, 1.0),
    ],
)
def test_no_cycles_after_our_own_errors(ad: Any, bad: Callable[..., Any]) -> None:
    watched = Watched()

    def f(x: Any) -> Any:
        return bad(watched.add(np.sin(x)))

    caught = False
    gc.collect()
    try:
        ad.grad(f)(X)
    except Exception:
        caught = True
    alive, cycles = watched.alive(), gc.collect()
    assert caught
    assert watched.references
    assert alive == 0
    assert cycles == 0


def test_dropping_a_pullback_frees_its_tape(ad: Any) -> None:
    watched = Watched()
    gc.collect()
    _, pullback = ad.vjp(program(watched), X)
    _, f_jvp = ad.linearize(program(watched), X)
    pullback(1.0), f_jvp(X)
    del pullback, f_jvp
    alive, cycles = watched.alive(), gc.collect()
    assert alive == 0
    assert cycles == 0


def test_tape_made_by_hand_has_no_cycles() -> None:
    watched = Watched()
    gc.collect()
    with reversead.Tape() as tape:
        x = tape.variable(X)
        y = program(watched)(x)
    tape.gradient(y, x)
    reference = weakref.ref(tape)
    del tape, x, y
    ended, alive, cycles = reference() is None, watched.alive(), gc.collect()
    assert ended
    assert alive == 0
    assert cycles == 0


def test_inputs_are_not_kept(ad: Any) -> None:
    for size in (3, 20_000):
        x = np.ones(size)
        reference = weakref.ref(x)
        results = [ad.jvp(lambda x: x * x, (x,), (x,))]
        if size == 3 or ad is reversead:
            results.append(ad.grad(lambda x: np.sum(x * x))(x))
        del x
        assert reference() is None
        assert results


@pytest.mark.parametrize("name", ["grad", "vjp", "jvp", "linearize", "jacobian", "hvp", "grad inside", "with aux"])
def test_no_growth_over_many_calls(ad: Any, name: str) -> None:
    def g(x: Any) -> Any:
        return np.sum(np.sin(x) * x) + x[0] * 2.5

    tracemalloc.start()
    try:
        for _ in range(20):
            EVERYTHING[name](ad, g)
        sizes = []
        for _ in range(4):
            for _ in range(100):
                EVERYTHING[name](ad, g)
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    # A tuple a call would be 5,600 bytes a round, in every round; the interpreter's lists of free tuples fill up once.
    assert min(after - before for before, after in pairwise(sizes)) < 4_000


# --- no recursion over operations ---------------------------------------------------------------------------------


def long_chain(x: Any) -> Any:
    for _ in range(LONG):
        x = x * 1.000001
    return x


EXPECTED = np.exp(LONG * np.log(1.000001))


def test_chain_of_a_million_operations_forwards() -> None:
    out, tangent = dualad.jvp(long_chain, (2.0,), (1.0,))
    assert out == pytest.approx(2 * EXPECTED, rel=1e-9)
    assert tangent == pytest.approx(EXPECTED, rel=1e-9)


def test_chain_of_a_million_operations_in_reverse() -> None:
    assert reversead.grad(long_chain)(2.0) == pytest.approx(EXPECTED, rel=1e-9)


def test_chain_of_a_million_operations_by_a_pullback_and_a_linear_map() -> None:
    gc.collect()
    out, pullback = reversead.vjp(long_chain, 2.0)
    assert out == pytest.approx(2 * EXPECTED, rel=1e-9)
    assert pullback(1.0)[0] == pytest.approx(EXPECTED, rel=1e-9)
    del pullback
    cycles = gc.collect()
    assert cycles == 0


def test_long_sum_of_separate_values(ad: Any) -> None:
    def f(x: Any) -> Any:
        values = [x * float(k) for k in range(5_000)]
        return sum(values)

    assert ad.grad(f)(1.0) == sum(range(5_000))


CHAINS: dict[str, Callable[[Any], Any]] = {
    "views of views": lambda x: x[:],
    "transposes": lambda x: x.T,
    "reshapes": lambda x: x.reshape(3),
    "reversed": lambda x: x[::-1],
    "copies": lambda x: np.copy(x),
    "ravel": lambda x: np.ravel(x),
    "broadcast": lambda x: np.broadcast_to(x, (3,)),
    "real parts": lambda x: np.real(x),
    "concatenated": lambda x: np.concatenate([x[:1], x[1:]]),
    "maximum": lambda x: np.maximum(x, -9.0),
}


@pytest.mark.parametrize("name", list(CHAINS))
def test_long_chains_of_every_kind_need_no_stack(ad: Any, name: str) -> None:
    def f(x: Any) -> Any:
        for _ in range(3_000):
            x = CHAINS[name](x)
        return np.sum(x * np.array([1.0, 2.0, 3.0]))

    gradients = []
    assert cycles_left_by(lambda: gradients.append(ad.grad(f)(X))) == 0
    np.testing.assert_array_equal(gradients[0], [1.0, 2.0, 3.0])


def test_long_chain_of_changes_in_place(ad: Any) -> None:
    def f(x: Any) -> Any:
        y = np.copy(x)
        for k in range(3_000):
            y += x[k % 3]
            y[k % 3] *= 1.0
        return np.sum(y)

    np.testing.assert_allclose(ad.grad(f)(X), [3001.0] * 3)


# --- memory while it runs -----------------------------------------------------------------------------------------


def peak_arrays(call: Callable[[], Any], size: int) -> float:
    """The most memory that a call holds at once, in arrays of the given size."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / (8 * size)
    finally:
        tracemalloc.stop()


SIZE = 100_000


def chain(operation: Callable[[Any, Any], Any], length: int) -> Callable[[Any], Any]:
    def f(x: Any) -> Any:
        y = x
        for _ in range(length):
            y = operation(y, x)
        return np.sum(y)

    return f


@pytest.mark.parametrize(
    ("name", "operation"),
    [
        ("add", lambda y, x: y + x),
        ("subtract", lambda y, x: y - x),
        ("times a number", lambda y, x: y * 0.5),
        ("minus", lambda y, x: -y),
        ("reversed", lambda y, x: (y + x)[::-1]),
        ("reshape", lambda y, x: (y + x).reshape(-1)),
        ("real", lambda y, x: np.real(y + x)),
        ("roll", lambda y, x: np.roll(y, 1)),
        ("added in place", lambda y, x: y.__iadd__(x) if y is not x else y + x),
    ],
)
def test_linear_operations_keep_no_array(name: str, operation: Callable[[Any, Any], Any]) -> None:
    x = np.ones(SIZE)
    peaks = [peak_arrays(lambda n=n: reversead.grad(chain(operation, n))(x), SIZE) for n in (5, 25)]
    assert peaks[1] <= peaks[0] + 0.5
    assert peaks[1] < 8


def test_every_kept_array_is_kept_once() -> None:
    # A product keeps its two operands, each of which is the output of another operation, too: one array a step.
    x, length = np.ones(SIZE), 20
    peak = peak_arrays(lambda: reversead.grad(chain(lambda y, x: np.sin(y) * x, length))(x), SIZE)
    assert peak <= 2 * length + 6
    # tanh keeps its output alone.
    peak = peak_arrays(lambda: reversead.grad(chain(lambda y, x: np.tanh(y), length))(x), SIZE)
    assert peak <= length + 5


def test_values_are_freed_while_the_sweep_passes() -> None:
    # If the sweep freed nothing, its cotangents would come on top of the values that are kept.
    x, length = np.ones(SIZE), 40
    f = chain(lambda y, x: np.tanh(y), length)
    peak = peak_arrays(lambda: reversead.grad(f)(x), SIZE)
    assert peak <= length + 5


def test_forward_mode_keeps_two_values_alive() -> None:
    x = np.ones(SIZE)
    peak = peak_arrays(lambda: dualad.jvp(chain(lambda y, x: np.tanh(y), 50), (x,), (x,)), SIZE)
    assert peak <= 8


def test_large_arguments_of_a_gradient_are_not_copied() -> None:
    x = np.ones(SIZE)
    # The gradient itself, and what the multiplication makes.
    assert peak_arrays(lambda: reversead.grad(lambda x: np.sum(x + x))(x), SIZE) <= 3.5


def test_large_constants_are_not_copied() -> None:
    constant = np.ones(SIZE)

    def f(x: Any) -> Any:
        for _ in range(20):
            x = x * constant
        return np.sum(x)

    assert peak_arrays(lambda: reversead.grad(f)(np.ones(SIZE)), SIZE) <= 5
