"""Any number of threads may differentiate at once; a tape belongs to the thread that made it."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from shared.core.errors import ClosedLevelError

THREADS = 8


def in_another_thread(call: Callable[[], Any]) -> Any:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(call).result(timeout=60)


def all_at_once(call: Callable[[int], Any]) -> list[Any]:
    """`call(k)` in every thread, started together."""
    barrier = threading.Barrier(THREADS)

    def started(k: int) -> Any:
        barrier.wait(timeout=60)
        return call(k)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(started, range(THREADS)))


@pytest.fixture(autouse=True)
def often_switched() -> Any:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(interval)


def test_many_threads_differentiate_at_once(ad: Any) -> None:
    def f(x: Any, k: int) -> Any:
        y = np.zeros_like(x)
        for i in range(len(x)):
            y[i] += np.sin(x[i]) * x[i - 1] ** k
        return np.sum(y * y)

    def task(k: int) -> list[np.ndarray]:
        x = np.linspace(0.5, 1.5, 6) + k
        return [ad.grad(lambda x: f(x, k))(x) for _ in range(10)]

    expected = [task(k) for k in range(THREADS)]
    for mine, wanted in zip(all_at_once(task), expected, strict=True):
        np.testing.assert_array_equal(mine, wanted)


def test_many_threads_nest_at_once() -> None:
    def task(k: int) -> float:
        inner = (dualad, reversead)[k % 2]
        outer = (reversead, dualad)[k // 2 % 2]
        total = 0.0
        for _ in range(50):
            total += outer.derivative(lambda x: x * inner.grad(lambda y: x * y * y)(x * k))(1.0)
        return total

    # d/dx of x * 2 x (x k) is 6 k x^2.
    assert all_at_once(task) == [50 * 6.0 * k for k in range(THREADS)]


def test_one_function_object_serves_all_threads(ad: Any) -> None:
    gradient = ad.value_and_grad(lambda x: np.sum(np.exp(x) * x))
    xs = [np.linspace(0, 1, 10) * k for k in range(THREADS)]
    for k, (value, slope) in enumerate(all_at_once(lambda k: [gradient(xs[k]) for _ in range(20)][-1])):
        assert value == pytest.approx(np.sum(np.exp(xs[k]) * xs[k]))
        np.testing.assert_allclose(slope, np.exp(xs[k]) * (1 + xs[k]))


def test_levels_are_never_shared() -> None:
    from shared.core.levels import Level

    numbers = [n for part in all_at_once(lambda k: [Level().number for _ in range(2000)]) for n in part]
    assert len(set(numbers)) == len(numbers)


# --- a tape belongs to its thread ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda x: x * 2.0,
        lambda x: 2.0 / x,
        lambda x: np.sin(x),
        lambda x: x[0],
        lambda x: x[[0, 1]],
        lambda x: np.sum(x),
        lambda x: x.reshape(3, 1),
        lambda x: np.concatenate([x, x]),
        lambda x: x.__setitem__(0, 1.0),
        lambda x: x.__iadd__(1.0),
        lambda x: x @ np.ones(3),
    ],
)
def test_variable_used_in_another_thread_is_refused(use: Callable[..., Any]) -> None:
    def f(x: Any) -> Any:
        with pytest.raises(ClosedLevelError, match="thread") as refusal:
            in_another_thread(lambda: use(x))
        assert f"{__file__}:{use.__code__.co_firstlineno}" in str(refusal.value)
        return np.sum(x * x)

    # And the variable is still good in its own thread.
    np.testing.assert_array_equal(reversead.grad(f)(np.ones(3)), [2.0, 2.0, 2.0])


def test_tape_used_in_another_thread_is_refused() -> None:
    tape = reversead.Tape()
    with pytest.raises(ClosedLevelError, match="thread"):
        in_another_thread(lambda: tape.variable(1.0))
    x = tape.variable(3.0)
    assert tape.gradient(x * x, x) == 6.0


def test_results_may_be_asked_for_from_another_thread(ad: Any) -> None:
    x = np.array([1.0, 2.0])
    _, pullback = ad.vjp(lambda x: np.sin(x) * x, x)
    _, f_jvp = ad.linearize(lambda x: np.sin(x) * x, x)
    slope = np.cos(x) * x + np.sin(x)
    np.testing.assert_allclose(in_another_thread(lambda: pullback(np.ones(2))[0]), slope)
    np.testing.assert_allclose(in_another_thread(lambda: f_jvp(np.ones(2))), slope)


def test_one_pullback_called_by_all_threads_at_once(ad: Any) -> None:
    x = np.linspace(0.1, 1.0, 20)
    _, pullback = ad.vjp(lambda x: np.cumsum(np.sin(x) * x), x)
    _, f_jvp = ad.linearize(lambda x: np.cumsum(np.sin(x) * x), x)
    seeds = [np.full(20, float(k)) for k in range(THREADS)]
    expected = [(pullback(seed)[0], f_jvp(seed)) for seed in seeds]
    found = all_at_once(lambda k: [(pullback(seeds[k])[0], f_jvp(seeds[k])) for _ in range(5)])
    for mine, wanted in zip(found, expected, strict=True):
        for pair in mine:
            np.testing.assert_array_equal(pair, wanted)


def test_pullback_inside_another_thread_s_differentiation() -> None:
    _, pullback = reversead.vjp(lambda x: x**3, 2.0)
    # The cotangent is traced in the other thread.
    assert in_another_thread(lambda: reversead.grad(lambda c: pullback(c * c)[0])(3.0)) == 72.0


def test_duals_are_not_bound_to_a_thread() -> None:
    def f(x: Any) -> Any:
        return in_another_thread(lambda: np.sin(x) * x)

    _, tangent = dualad.jvp(f, (0.5,), (1.0,))
    assert tangent == pytest.approx(np.cos(0.5) * 0.5 + np.sin(0.5))


# --- constants locked by several threads --------------------------------------------------------------------------


def test_constant_shared_by_threads_is_writable_at_the_end() -> None:
    constants = [np.ones(10_000) for _ in range(3)]

    def task(k: int) -> float:
        total = 0.0
        for turn in range(20):

            def f(x: Any, turn: int = turn) -> Any:
                y = x
                for constant in constants:
                    y = y * constant
                if (turn + k) % 3 == 0:
                    raise KeyError("stop")
                return np.sum(y)

            try:
                total += float(reversead.grad(f)(np.ones(10_000))[0])
            except KeyError:
                total += 1.0
        return total

    assert all_at_once(task) == [20.0] * THREADS
    assert all(constant.flags.writeable for constant in constants)


def test_constant_stays_locked_until_its_last_tape_is_gone() -> None:
    constant, x = np.ones(10_000), np.ones(10_000)
    pullbacks = all_at_once(lambda k: reversead.vjp(lambda x: x * constant * float(k), x)[1])
    for k in range(THREADS):
        with pytest.raises(ValueError, match="read-only"):
            constant[0] = 5.0
        assert pullbacks[0](x)[0][0] == float(k)
        del pullbacks[0]
    constant[0] = 5.0


def test_arrays_that_were_read_only_stay_so() -> None:
    constant = np.ones(10_000)
    constant.flags.writeable = False
    reversead.grad(lambda x: np.sum(x * constant))(np.ones(10_000))
    assert not constant.flags.writeable


def test_argument_locked_during_a_gradient_is_writable_afterwards() -> None:
    x = np.ones(10_000)
    reversead.grad(lambda v: np.sum(v * v * x))(x)
    assert x.flags.writeable
    with pytest.raises(KeyError):
        reversead.grad(lambda v: {}["missing"])(x)
    assert x.flags.writeable


def test_collector_that_frees_a_tape_while_the_guard_works_does_not_hang() -> None:
    # A pullback in a user's own reference cycle is freed by the cyclic collector, which may run between any two
    # steps, also those in which an array is being locked.  Here it does; in a process that can be stopped.
    script = """
import faulthandler, gc
import numpy as np
import reversead, shared.core.locks
faulthandler.dump_traceback_later(30, exit=True)
class Collecting(dict):
    def get(self, *key):
        gc.collect()
        return super().get(*key)
shared.core.locks._tokens = Collecting()
class Holder: pass
def cycle():
    holder, constant = Holder(), np.ones(5000)
    holder.pullback = reversead.vjp(lambda x: x * constant, np.ones(5000))[1]
    holder.self = holder
cycle()
constant = np.ones(5000)
reversead.grad(lambda x: np.sum(x * constant))(np.ones(5000))
print("done", constant.flags.writeable, len(shared.core.locks._tokens))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["done", "True", "0"], done.stderr[-2000:]
