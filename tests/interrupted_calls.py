"""The calls that tests interrupt, and what may be left behind.

Left behind would be: an array that stays read-only, a record that stays in effect, another error handling of NumPy's, a
lock, something printed.  Small arrays are locked here as large ones are, so that a call that is interrupted at every
place takes its time for places and not for numbers.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

import numpy as np
import pytest
from interruption import in_time, interrupted, is_ours, places, unraisable

import dualad
import reversead
import shared
from shared.batching.parallel import sum_over_shards
from shared.core.levels import RECORDING, current_recording
from shared.core.locks import _tokens

A, X = np.arange(1.0, 5.0), np.arange(4.0) + 0.5
ROWS, EXAMPLES = np.full((2, 4), 0.5), np.ones((2, 4))
ARRAYS = (A, X, ROWS, EXAMPLES)


@pytest.fixture(autouse=True)
def small_arrays_are_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reversead.guard.SMALL", 24)
    monkeypatch.setattr("reversead.guard.SMALL_LEAF", 24)
    monkeypatch.setattr("shared.programs.recorder.LARGEST_COMPARED", 24)


class AtOnce(Executor):
    """Does its work when it is submitted."""

    def submit(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(f(*args, **kwargs))
        return future


# --- the calls that are interrupted -----------------------------------------------------------------------------------


def weighted(x: Any) -> Any:
    return np.sum(x * x * A)


def rows(x: Any) -> Any:
    return ROWS @ (x * A)


def checkpointed(x: Any) -> Any:
    return np.sum(reversead.checkpoint(lambda u: u * A)(x))


def looped(x: Any) -> Any:
    return np.sum(reversead.checkpoint_loop(lambda state, k: state * A, x, 2))


@shared.custom_derivative(vjp=lambda c, out, x: (c * A,))
def custom(x: Any) -> Any:
    return x * A


def pulled(f: Callable[..., Any]) -> Any:
    _, pullback = reversead.vjp(f, X)
    return pullback(1.0)[0]


def pushed(f: Callable[..., Any]) -> Any:
    _, f_jvp = reversead.linearize(f, X)
    return f_jvp(X)


def by_hand() -> Any:
    with reversead.Tape() as tape:
        x = tape.variable(X)
        y = np.sum(x * A)
    return tape.gradient(y, x)


def settings() -> Any:
    def f(x: Any) -> Any:
        with np.errstate(over="ignore"):
            y = x * A
        return np.sum(y)

    return reversead.grad(f)(X)


def of_shards() -> Any:
    gradient = reversead.value_and_grad(lambda w, x: np.sum(w * x * A))
    return sum_over_shards(gradient, [(A,), (X,)], AtOnce())(X)


CALLS: dict[str, Callable[[], Any]] = {
    "grad": lambda: reversead.grad(weighted)(X),
    "vjp": lambda: pulled(weighted),
    "linearize": lambda: pushed(weighted),
    "jvp": lambda: reversead.jvp(weighted, (X,), (X,))[1],
    "derivative": lambda: reversead.derivative(lambda t: t * A)(1.0),
    "elementwise_grad": lambda: reversead.elementwise_grad(lambda x: x * A)(X),
    "jacobian": lambda: reversead.jacobian(rows)(X),
    "jacobian on an executor": lambda: reversead.jacobian(rows, executor=AtOnce())(X),
    "hessian": lambda: reversead.hessian(weighted)(X),
    "hvp": lambda: reversead.hvp(weighted, X, X),
    "sparse_jacobian": lambda: reversead.sparse_jacobian(lambda x: x * A)(X).toarray(),
    "grad of a checkpoint": lambda: reversead.grad(checkpointed)(X),
    "vjp of a checkpoint": lambda: pulled(checkpointed),
    "linearize of a checkpoint": lambda: pushed(checkpointed),
    "vjp of a loop": lambda: pulled(looped),
    "custom_derivative": lambda: reversead.grad(lambda x: np.sum(custom(x)))(X),
    "errstate": settings,
    "Tape": by_hand,
    "vmap": lambda: reversead.vmap(reversead.grad(weighted))(EXAMPLES),
    "trace": lambda: shared.trace(lambda x: x * A, X)(X),
    "trace of grad": lambda: shared.trace(reversead.grad(weighted), X)(X),
    "sum_over_shards": of_shards,
    "dualad.grad": lambda: dualad.grad(weighted)(X),
    "dualad.jacobian": lambda: dualad.jacobian(rows)(X),
}

EVERYWHERE = ("grad", "vjp", "linearize", "jacobian", "vjp of a checkpoint", "Tape", "errstate", "trace", "vmap")

# --- what may be left behind ------------------------------------------------------------------------------------------

SETTINGS = np.geterr()
SQUARES = np.arange(3.0)


def left_behind() -> list[str]:
    """What an interrupt has left behind."""
    found = []
    if not all(array.flags.writeable for array in ARRAYS):
        found.append("read-only")
    if RECORDING.get() is not None or current_recording() is not None:
        found.append("recording")
    if np.geterr() != SETTINGS:
        found.append("error handling")
    with in_time(60):
        gradient = reversead.grad(lambda x: np.sum(x * x))(SQUARES)
    if type(gradient) is not np.ndarray or (gradient != 2 * SQUARES).any():
        found.append("the next gradient")
    return found


def faults(
    run: Callable[[], Any],
    error: type[BaseException] = KeyboardInterrupt,
    signals: bool = False,
    kept: bool = False,
    among: Callable[[Any], bool] = is_ours,
    check: Callable[[], list[str]] = left_behind,
) -> list[str]:
    """What interrupts leave behind, at most at some places; with `kept`, while the exception is still referred to."""
    for _ in range(3):
        run()
    found: list[str] = []
    where = places(run, signals, among)
    assert where
    with unraisable() as printed:
        for place in where:
            raised = interrupted(run, place, error, among)
            if not kept:
                del raised
            left = check()
            raised = None
            left += [f"not {array} tokens" for array in [len(_tokens)] if array and not kept]
            if printed:
                left.append(f"printed {printed.pop().exc_value!r}")
            if left:
                found.append(f"{place}: {', '.join(left)}")
                gc.collect()
                if len(found) > 20:
                    break
    return found
