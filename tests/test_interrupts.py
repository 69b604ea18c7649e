"""After an interrupt or another exception, wherever it comes, nothing is left behind, and the next call is right.

Left behind would be: an array that stays read-only, a record that stays in effect, another error handling of NumPy's, a
lock, something printed.  `tests/interruption.py` raises before every bytecode of the library in turn.  Small arrays are
locked here as large ones are, so that this takes its time for places and not for numbers.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from interruption import Place, in_time, interrupted, is_ours, places, unraisable

import dualad
import reversead
import shared
from reversead.guard import Guard
from shared.errors import DifferentiationError
from shared.levels import RECORDING, current_recording
from shared.locks import _tokens
from shared.parallel import sum_over_shards
from shared.programs.recorder import Recording

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
                if len(found) > 20:
                    break
                gc.collect()
    return found


# --- nothing is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EVERYWHERE)
def test_interrupt_before_any_bytecode_leaves_nothing_behind(name: str) -> None:
    assert faults(CALLS[name]) == []


@pytest.mark.parametrize("name", [name for name in CALLS if name not in EVERYWHERE])
def test_signal_leaves_nothing_behind(name: str) -> None:
    assert faults(CALLS[name], signals=True) == []


@pytest.mark.parametrize("name", ["grad", "vjp of a loop", "custom_derivative", "trace of grad"])
def test_want_of_memory_leaves_nothing_behind(name: str) -> None:
    assert faults(CALLS[name], MemoryError, signals=True) == []


#: Those that return what goes on holding arrays would be interrupted where the caller has it already.
ENDING = [name for name in CALLS if name != "Tape" and not name.startswith(("vjp", "linearize"))]


@pytest.mark.parametrize("name", ENDING)
def test_exception_that_is_kept_keeps_nothing_locked(name: str) -> None:
    # As at an interactive prompt: its traceback refers to the frames of the call, and these to a tape.
    assert faults(CALLS[name], signals=True, kept=True) == []


@pytest.mark.parametrize("transform", [reversead.vjp, reversead.linearize])
def test_kept_exception_in_what_returns_a_pullback_keeps_nothing_locked(transform: Callable[..., Any]) -> None:
    assert faults(lambda: transform(weighted, X), signals=True, kept=True) == []


def test_compile_leaves_nothing_behind() -> None:
    # What is compiled is compiled anew in each call; of the library, what records and what exchanges variants.
    files = ("levels.py", "locks.py", "tracing.py", "recorder.py", "compiled.py")
    among = lambda code: is_ours(code) and code.co_filename.endswith(files)  # noqa: E731
    assert faults(lambda: shared.compile(weighted)(X), signals=True, among=among) == []


@pytest.mark.parametrize("f", [weighted, checkpointed, looped])
@pytest.mark.parametrize("forwards", [False, True], ids=["pullback", "f_jvp"])
def test_interrupted_pullback_is_right_the_next_time(f: Callable[..., Any], forwards: bool) -> None:
    linear = [(reversead.linearize if forwards else reversead.vjp)(f, X)[1]]

    def call() -> Any:
        return linear[0](X) if forwards else linear[0](1.0)[0]

    expected = call()

    def check() -> list[str]:
        with in_time(60):
            again = call()
        return [] if (again == expected).all() else ["another result"]

    # The tokens of the pullback's own constants remain.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(f"{__name__}._tokens", {})
        assert faults(call, signals=True, check=check) == []
    # And no other thread waits for one that was interrupted.
    with ThreadPoolExecutor(1) as pool:
        np.testing.assert_array_equal(pool.submit(call).result(60), expected)
    linear.clear()
    assert left_behind() == []


def test_executor_of_threads_leaves_nothing_behind() -> None:
    with ThreadPoolExecutor(1) as pool:

        def check() -> list[str]:
            # A job that runs cannot be cancelled, and holds what it needs until it has ended.
            pool.submit(gc.collect).result(60)
            return left_behind()

        assert faults(lambda: reversead.jacobian(rows, executor=pool)(X), signals=True, check=check) == []


# --- the harness finds what it looks for ------------------------------------------------------------------------------


class Counting(Guard):
    """Counts by hand, with statements between what belongs together."""

    __slots__ = ()
    counts: dict[int, list[Any]] = {}  # noqa: RUF012

    def lock(self, array: np.ndarray) -> bool:
        entry = self.counts.get(id(array))
        if entry is not None:
            entry[1] += 1
        elif array.flags.writeable:
            array.flags.writeable = False
            self.counts[id(array)] = [array, 1]
        self.held[id(array)] = array
        return True

    def release(self) -> None:
        held, self.held = self.held, {}
        for key in held:
            if key in self.counts:
                self.counts[key][1] -= 1
                if not self.counts[key][1]:
                    self.counts.pop(key)[0].flags.writeable = True


def test_guard_that_counts_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reversead.tape.Guard", Counting)
    among = lambda code: is_ours(code) or code.co_name in ("lock", "release")  # noqa: E731
    for signals in (False, True):
        found = faults(lambda: reversead.grad(weighted)(X), signals=signals, among=among)
        assert any("read-only" in fault for fault in found)
        A.flags.writeable = True
        Counting.counts.clear()


def test_record_set_before_the_try_is_found() -> None:
    def recorded() -> None:
        record = Recording()
        token = RECORDING.set(record)
        try:
            np.sum(X)
        finally:
            RECORDING.reset(token)
            record.end()

    try:
        found = faults(recorded, signals=True, among=lambda code: code is recorded.__code__)
        assert any("recording" in fault for fault in found)
    finally:
        RECORDING.set(None)


def test_release_by_python_code_is_found() -> None:
    class Released:
        def __del__(self) -> None:
            len(ARRAYS)

    found = faults(Released, signals=True, among=lambda code: code is Released.__del__.__code__)
    assert any("printed KeyboardInterrupt" in fault for fault in found)


def test_run_that_is_not_released_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reversead.transforms.Run, "release", lambda self: None)
    found = faults(CALLS["jvp"], signals=True, kept=True)
    assert any("read-only" in fault for fault in found)
    assert faults(CALLS["jvp"], signals=True) == []


def test_places_are_all_places() -> None:
    def run() -> list[int]:
        return [abs(k) for k in range(3)]

    where = places(run, among=lambda code: code.co_filename == __file__)
    assert len(where) > 20
    for place in where:
        assert interrupted(run, place, among=lambda code: code.co_filename == __file__) is not None
    beyond = Place(len(where), 1, "")
    assert interrupted(run, beyond, among=lambda code: code.co_filename == __file__) is None


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


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("transform", [reversead.vjp, reversead.linearize], ids=["vjp", "linearize"])
@pytest.mark.parametrize(
    "part", [part_of_a_product, part_of_assignments, checkpointed, looped, lambda x: np.sum(custom(x))]
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


def once(program: Callable[[Any], Any], x: Any) -> tuple[Any, Callable[[Any], Any]]:
    """What `dualad.linearize` returns, of one evaluation: that evaluates the program again in each direction."""
    out, tangent = dualad.jvp(program, (x,), (X,))
    return out, lambda direction: tangent


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
@pytest.mark.parametrize("transform", [reversead.vjp, reversead.linearize, once])
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
        out, linear = transform(program, X)
        return out, linear(1.0)[0] if transform is reversead.vjp else linear(X)

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
