"""After an interrupt or another exception, wherever it comes, nothing is left behind, and the next call is right.

Left behind would be: an array that stays read-only, a record that stays in effect, another error handling of NumPy's, a
lock, something printed.  `tests/interruption.py` raises before every bytecode of the library in turn.  Small arrays are
locked here as large ones are, so that this takes its time for places and not for numbers.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from weakref import ref

import numpy as np
import pytest
from interruption import Place, in_time, interrupted, is_ours, places, unraisable

import dualad
import reversead
import shared
from reversead.guard import Guard
from shared.batching.parallel import sum_over_shards
from shared.core.errors import ClosedLevelError, DifferentiationError, ImpureFunctionError
from shared.core.levels import RECORDING, current_recording
from shared.core.locks import _tokens, is_locked
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
                gc.collect()
                if len(found) > 20:
                    break
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
    # A function is compiled anew in each call; of that, what begins and ends a record, and what exchanges variants.
    files = ("levels.py", "locks.py", "tracing.py", "compiled.py")
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
            pool.submit(int).result(60)
            return left_behind()

        assert faults(lambda: reversead.jacobian(rows, executor=pool)(X), signals=True, check=check) == []


# --- the harness finds what it looks for ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["grad", "vjp of a checkpoint"])
def test_interrupts_come_where_the_places_are(name: str) -> None:
    """Also where an exception is handled in the frame, and in one of several frames of the same code."""
    run = CALLS[name]
    for _ in range(3):
        run()
    seen, where = 0, places(run)[::7]
    for place in where:
        raised = interrupted(run, place)
        # Inside what frees an object, an exception is printed and goes no further.
        if raised is not None:
            lines = traceback.extract_tb(raised.__traceback__)
            assert place.line in [f"{os.path.relpath(line.filename)}:{line.lineno} in {line.name}" for line in lines]
            seen += 1
        raised = None
    assert seen > 0.9 * len(where)


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
        for array in ARRAYS:
            array.flags.writeable = True
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
    monkeypatch.setattr(reversead.transforms.TapedRun, "release", lambda self: None)
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


# --- records ----------------------------------------------------------------------------------------------------------


def test_record_that_has_ended_is_never_in_effect() -> None:
    outer = Recording()
    RECORDING.set(outer)
    try:
        inner = Recording()
        RECORDING.set(inner)
        assert current_recording() is inner
        # As after an interrupt that came before it was put away.
        inner.end()
        assert current_recording() is outer
        assert RECORDING.get() is outer
        outer.end()
        assert current_recording() is None
    finally:
        RECORDING.set(None)


def test_function_that_catches_what_stopped_an_inner_record_is_recorded() -> None:
    def stopped(x: Any) -> Any:
        raise KeyboardInterrupt

    def f(x: Any) -> Any:
        with pytest.raises(KeyboardInterrupt):
            shared.trace(stopped, X)
        return x * reversead.grad(lambda y: np.sum(y * y))(X)

    program = shared.trace(f, X)
    np.testing.assert_array_equal(program(A), A * 2 * X)
    assert left_behind() == []


def test_two_records_lock_one_array() -> None:
    inside, leave = threading.Event(), threading.Event()

    def waits(x: Any) -> Any:
        y = x * A
        inside.set()
        assert leave.wait(60)
        return y

    thread = threading.Thread(target=shared.trace, args=(waits, X))
    thread.start()
    assert inside.wait(60)
    shared.trace(lambda x: x * A, X)
    still_locked = not A.flags.writeable
    leave.set()
    thread.join()
    assert still_locked
    assert A.flags.writeable


# --- locks ------------------------------------------------------------------------------------------------------------


def test_array_is_locked_until_its_last_holder_lets_go() -> None:
    first, second = Guard(), Guard()
    assert first.constant(A) is A is second.constant(A)
    first.release()
    first.release()
    assert not A.flags.writeable
    assert is_locked(A)
    del second
    assert A.flags.writeable
    assert not is_locked(A)
    assert not _tokens


def test_read_only_array_stays_so_and_is_kept_without_a_copy() -> None:
    array = np.ones(10)
    array.flags.writeable = False
    guard = Guard()
    assert guard.constant(array) is array
    assert not guard
    guard.release()
    assert not array.flags.writeable
    assert not _tokens


def test_array_whose_token_is_just_being_freed_is_copied() -> None:
    # The collector may run in the middle of that, and finalise something that needs the same array.
    token = A.view()
    _tokens[id(A)] = [ref(token), None]
    del token
    try:
        guard = Guard()
        kept = guard.constant(A)
        assert kept is not A
        np.testing.assert_array_equal(kept, A)
        assert A.flags.writeable
    finally:
        del _tokens[id(A)]


def test_many_threads_lock_and_release_one_array() -> None:
    array = np.ones(10)
    wrong: list[str] = []

    def work() -> None:
        for _ in range(500):
            guard = Guard()
            if guard.constant(array) is array and array.flags.writeable:
                wrong.append("held, and writable")
            guard.release()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong
    assert array.flags.writeable
    assert not _tokens


FORKED = """
import faulthandler, os, threading
import numpy as np
import reversead, shared

faulthandler.dump_traceback_later(60, exit=True)
arrays = {name: np.ones(300_000) for name in ("grad", "vjp", "Tape", "trace", "replay", "kept")}
x = np.ones(300_000)
inside, leave = threading.Semaphore(0), threading.Event()

def f(name, last=lambda: None):
    def waits(x):
        y = np.sum(x * arrays[name])
        inside.release()
        leave.wait()
        return y
    return waits

def by_hand():
    with reversead.Tape() as tape:
        f("Tape")(tape.variable(x))

def replayed():
    times = []
    def part(u):
        times.append(u)
        return f("replay")(u) if len(times) > 1 else np.sum(u * arrays["replay"])
    reversead.grad(reversead.checkpoint(part))(x)

_, kept = reversead.vjp(lambda x: x * arrays["kept"], x)
work = [lambda: reversead.grad(f("grad"))(x), lambda: reversead.vjp(f("vjp"), x), by_hand,
        lambda: shared.trace(f("trace"), x), replayed]
threads = [threading.Thread(target=task) for task in work]
for thread in threads:
    thread.start()
for _ in threads:
    inside.acquire()
assert not any(array.flags.writeable for array in arrays.values())
child = os.fork()
if not child:
    print([name for name, array in arrays.items() if not array.flags.writeable], flush=True)
    kept(x)
    del kept
    print(all(array.flags.writeable for array in arrays.values()), flush=True)
    print(reversead.grad(lambda x: np.sum(x * arrays["grad"]))(x)[0], flush=True)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
leave.set()
for thread in threads:
    thread.join()
del kept
print(all(array.flags.writeable for array in arrays.values()))
"""


def in_a_process(script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_fork_while_other_threads_differentiate_locks_nothing_in_the_child() -> None:
    # What the child can still use stays locked there: a pullback that was made before.
    done = in_a_process(FORKED)
    assert done.stdout.split("\n")[:-1] == ["['kept']", "True", "1.0", "0", "True"], done.stderr[-2000:]


SIGNALS = """
import gc, random, signal, sys, time
import numpy as np
import reversead, shared

def handler(*_):
    raise KeyboardInterrupt

signal.signal(signal.SIGALRM, handler)
data, x = np.ones(3000), np.ones(3000)
loss = lambda x: np.sum(np.tanh(x * data))
part = lambda x: np.sum(reversead.checkpoint(lambda u: np.tanh(u * data))(x))
pulled = lambda: reversead.vjp(part, x)[1](1.0)
small = np.arange(3.0)
for run in (lambda: reversead.grad(loss)(x), pulled, lambda: shared.trace(lambda y: y * small, small)):
    run()
    start = time.perf_counter()
    run()
    once = time.perf_counter() - start
    for _ in range(300):
        try:
            signal.setitimer(signal.ITIMER_REAL, random.uniform(5e-6, 1.3 * once))
            run()
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            pass
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            pass
        assert data.flags.writeable and x.flags.writeable, "read-only"
        assert type(reversead.grad(lambda y: np.sum(y * y))(small)) is np.ndarray, "a record in effect"
print("nothing left behind")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no alarms")
def test_real_signals_leave_nothing_behind_and_print_nothing() -> None:
    done = in_a_process(SIGNALS)
    assert (done.stdout, done.stderr) == ("nothing left behind\n", "")
