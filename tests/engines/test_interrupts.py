"""After an interrupt or another exception, wherever it comes, nothing is left behind, and the next call is right.

`tests/interruption.py` raises before every bytecode of the library in turn, in `tests/interrupted_calls.py`.
"""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from interrupted_calls import (
    ARRAYS,
    CALLS,
    EVERYWHERE,
    X,
    checkpointed,
    faults,
    left_behind,
    looped,
    rows,
    small_arrays_are_locked,
    weighted,
)
from interruption import Place, in_time, interrupted, is_ours, places

import reversead
import shared
from reversead.guard import Guard
from shared.core.levels import RECORDING
from shared.programs.recorder import Recording

__all__ = ["small_arrays_are_locked"]  # a fixture of every test here

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
        patch.setattr("interrupted_calls._tokens", {})
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
