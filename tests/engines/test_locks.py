"""Records and locks end with what began them, in whatever order and thread, and whoever else wants the same."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from typing import Any
from weakref import ref

import numpy as np
import pytest
from interrupted_calls import (
    A,
    X,
    left_behind,
    small_arrays_are_locked,
)

import reversead
import shared
from reversead.guard import Guard
from shared.core.levels import RECORDING, current_recording
from shared.core.locks import _tokens, is_locked
from shared.programs.recorder import Recording

__all__ = ["small_arrays_are_locked"]  # a fixture of every test here

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
    assert first.captured(A) is A is second.captured(A)
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
    assert guard.captured(array) is array
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
        kept = guard.captured(A)
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
            if guard.captured(array) is array and array.flags.writeable:
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
