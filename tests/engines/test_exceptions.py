"""Exceptions in what is differentiated: it may catch them and go on, and after others nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from interrupted_calls import (
    A,
    AtOnce,
    X,
    checkpointed,
    custom,
    left_behind,
    looped,
    small_arrays_are_locked,
)
from interruption import in_time, interrupted, places

import dualad
import reversead
import shared
from shared.batching.parallel import sum_over_shards
from shared.core.errors import ClosedLevelError, DifferentiationError, ImpureFunctionError

__all__ = ["small_arrays_are_locked"]  # a fixture of every test here

# --- a function that catches it, and goes on --------------------------------------------------------------------------


def part_of_a_product(x: Any) -> Any:
    return np.sum(np.tanh(x * A))


def part_of_assignments(x: Any) -> Any:
    y = np.zeros_like(x)
    y[1:3] = x[:2] * A[:2]
    y[0] += x[3]
    return np.sum(y * y)


def set_an_element(y: Any, x: Any) -> None:
    y[2] = x[0]


def set_through_a_view(y: Any, x: Any) -> None:
    view = y[1:3]
    view[0] = x[0]


def add_in_place(y: Any, x: Any) -> None:
    y[1:3] += x[2:]


@pytest.mark.parametrize(
    ("part", "transform", "error"),
    [
        (part_of_a_product, reversead.vjp, KeyboardInterrupt),
        (part_of_a_product, reversead.jvp, MemoryError),
        (part_of_assignments, reversead.vjp, MemoryError),
        (part_of_assignments, reversead.jvp, KeyboardInterrupt),
        (checkpointed, reversead.vjp, KeyboardInterrupt),
        (looped, reversead.jvp, KeyboardInterrupt),
        (lambda x: np.sum(custom(x)), reversead.vjp, KeyboardInterrupt),
    ],
)
def test_function_that_catches_it_is_right_or_told(
    part: Callable[[Any], Any], transform: Any, error: type[BaseException]
) -> None:
    def f(x: Any, part: Callable[[Any], Any] = part) -> Any:
        z = x * 2.0
        try:
            more = part(z)
        except error:
            more = 0.0
        return np.sum(z * z * A) + more

    require_one_of(f, [f, lambda x: f(x, lambda z: 0.0)], transform, error)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("transform", [reversead.vjp, reversead.jvp, dualad.jvp])
@pytest.mark.parametrize("change", [set_an_element, set_through_a_view, add_in_place])
def test_array_whose_assignment_was_interrupted_is_right_or_told(
    change: Callable[[Any, Any], None], transform: Any, error: type[BaseException]
) -> None:
    def f(x: Any, change: Callable[[Any, Any], None] = change) -> Any:
        y = x * 2.0
        with suppress(error):
            change(y, x)
        return np.sum(y * y * A)

    require_one_of(f, [f, lambda x: f(x, lambda y, x: None)], transform, error)


def require_one_of(
    f: Callable[..., Any], programs: list[Callable[..., Any]], transform: Any, error: type[BaseException]
) -> None:
    """Require that `f`, interrupted, has the value and derivative of one of some programs, or that it is told."""

    def of(program: Callable[..., Any]) -> tuple[Any, Any]:
        if transform is not reversead.vjp:
            return transform(program, (X,), (A,))
        out, pullback = transform(program, X)
        return out, pullback(1.0)[0]

    result: list[Any] = []

    def run() -> None:
        result.clear()
        result.append(of(f))

    expected = [of(program) for program in programs]
    told = 0
    run()
    for place in places(run, signals=True):
        try:
            if interrupted(run, place, error) is None:
                (found,) = result
                assert any(
                    all(np.allclose(a, b, rtol=1e-12) for a, b in zip(found, e, strict=True)) for e in expected
                ), place
        except DifferentiationError as refusal:
            assert "stopped halfway by an exception" in str(refusal)
            assert __file__ in str(refusal)
            told += 1
    assert told


# --- other exceptions -------------------------------------------------------------------------------------------------


@shared.custom_derivative(vjp=lambda c, out, x: ({}["missing"],), jvp=lambda t, out, x: {}["missing"])
def failing_rule(x: Any) -> Any:
    return x * 1.0


def failing(x: Any) -> Any:
    raise KeyError(float(np.sum(X * A)) if isinstance(np.sum(x * A), float) else "stop")


@pytest.mark.parametrize(
    "call",
    [
        lambda f: reversead.grad(f)(X),
        lambda f: reversead.jacobian(f)(X),
        lambda f: reversead.hvp(f, X, X),
        lambda f: reversead.jvp(f, (X,), (X,)),
        lambda f: reversead.derivative(lambda t: f(t * A))(1.0),
        lambda f: reversead.elementwise_grad(f)(X),
        lambda f: reversead.sparse_jacobian(f, pattern=np.ones((1, 4), bool))(X),
        lambda f: reversead.jacobian(f, executor=AtOnce())(X),
        lambda f: reversead.grad(lambda x: reversead.checkpoint(f)(x))(X),
    ],
)
@pytest.mark.parametrize("in_sweep", [False, True], ids=["in the function", "in the sweep"])
def test_exception_that_is_kept_leaves_nothing_locked(call: Callable[..., Any], in_sweep: bool) -> None:
    f = (lambda x: np.sum(failing_rule(x * A) * A)) if in_sweep else failing
    with pytest.raises(Exception) as kept:
        call(f)
    assert kept.value.__traceback__ is not None
    assert left_behind() == []


def test_tape_that_an_exception_leaves_is_released() -> None:
    def compute(error: type[BaseException]) -> None:
        nonlocal tape, x, y
        with reversead.Tape() as tape:
            x = tape.variable(X)
            y = np.sum(x * A)
            assert not A.flags.writeable
            raise error

    tape = x = y = None  # type: ignore[assignment]
    for error in (KeyError, KeyboardInterrupt):
        with pytest.raises(error):
            compute(error)
        assert A.flags.writeable
        with pytest.raises(ClosedLevelError, match="by an exception that left its with block"):
            tape.gradient(y, x)
        with pytest.raises(ClosedLevelError):
            np.sin(x)


def test_tape_without_an_exception_answers_afterwards() -> None:
    with reversead.Tape() as tape:
        x = tape.variable(X)
        y = np.sum(x * A)
    assert not A.flags.writeable
    np.testing.assert_array_equal(tape.gradient(y, x), A)
    tape.release()
    assert A.flags.writeable


def test_shards_that_wait_are_cancelled_though_the_exception_is_kept() -> None:
    futures: list[Future[Any]] = []

    class Waiting(Executor):
        def submit(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            futures.append(Future())
            if len(futures) == 1:
                futures[0].set_result(f(*args))
            return futures[-1]

    def not_a_pair(w: Any, x: Any) -> Any:
        return 1.0

    with pytest.raises(TypeError) as kept:
        sum_over_shards(not_a_pair, [(A,), (X,), (A,)], Waiting())(X)
    assert kept.value.__traceback__ is not None
    assert [future.cancelled() for future in futures] == [False, True, True]


def test_gradient_asked_for_inside_a_checkpoint_is_refused() -> None:
    tape = reversead.Tape()
    x = tape.variable(2.0)
    y = x * x
    with pytest.raises(ClosedLevelError, match="inside of a checkpointed function"):
        reversead.checkpoint(lambda u: u * tape.gradient(y, x))(x)
    assert tape.gradient(x * tape.gradient(y, x), x) == 4.0


def test_pullback_called_while_it_evaluates_again_is_refused() -> None:
    pull: list[Any] = []

    def f(x: Any) -> Any:
        return x * (pull[0](1.0)[0] if pull else 1.0)

    _, pullback = reversead.vjp(reversead.checkpoint(f), 2.0)
    pull.append(pullback)
    with in_time(60), pytest.raises(ImpureFunctionError, match="that is being evaluated again for it"):
        pullback(1.0)
    pull.clear()
    assert pullback(1.0) == (1.0,)
