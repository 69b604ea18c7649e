"""Interrupts at every place of a call: an exception such as Ctrl-C raises, before each bytecode of this library's own.

A call that does the same each time is run once to number the places, and then once for each place, where the tracing
function of the interpreter raises (`sys.settrace`, `f_trace_opcodes`).  To make the whole linear in the places, only
that frame is traced by bytecodes that the place lies in.  Signals come in fewer places: CPython looks for them where
functions begin, after calls, and where loops go round.
"""

from __future__ import annotations

import dis
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from inspect import CO_GENERATOR
from types import CodeType, FrameType
from typing import Any, NamedTuple

import dualad
import reversead
import shared

_ROOTS = tuple(
    os.path.dirname(os.path.abspath(str(package.__file__))) + os.sep for package in (dualad, reversead, shared)
)
_LOOKS = ("RESUME", "CALL", "JUMP_BACKWARD")


class Place(NamedTuple):
    """Before bytecode `step` of the frame that is the `call`-th of the code asked for; 0 is where a frame begins."""

    call: int
    step: int
    line: str

    def __str__(self) -> str:
        return f"{self.line} (call {self.call}, bytecode {self.step})"


@cache
def is_ours(code: CodeType) -> bool:
    """Whether code is this library's."""
    return code.co_filename.startswith(_ROOTS)


@cache
def _handling(code: CodeType) -> frozenset[int]:
    """Where the handling of exceptions begins and ends: CPython would never forget one that is raised there."""
    found: set[int] = set()
    before: list[int] = []
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("PUSH_EXC_INFO", "POP_EXCEPT", "RERAISE"):
            found.add(instruction.offset)
            if instruction.opname == "POP_EXCEPT":
                found.update(before)
        before = [instruction.offset] if instruction.opname == "COPY" else []
    return frozenset(found)


def places(run: Callable[[], Any], signals: bool = False, among: Callable[[CodeType], bool] = is_ours) -> list[Place]:
    """The places of a call in the code that is `among` what is asked for; with `signals`, where these are looked for.

    The call must do the same each time, so it must not make what it has not made before, such as a cache.
    """
    found: list[Place] = []
    calls = 0

    def on_call(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal calls
        if not among(frame.f_code):
            return None
        call, step, last = calls, 0, ""
        calls += 1

        def note(frame: FrameType) -> None:
            name = os.path.relpath(frame.f_code.co_filename)
            found.append(Place(call, step, f"{name}:{frame.f_lineno} in {frame.f_code.co_name}"))

        def on_bytecode(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal step, last
            if event == "opcode":
                step += 1
                looked = last.startswith(_LOOKS)
                last = dis.opname[frame.f_code.co_code[frame.f_lasti]]
                # The call that is returned has raised itself, where a `try` around it holds.
                looked = looked and last != "RETURN_VALUE"
                if frame.f_lasti not in _handling(frame.f_code) and (looked or not signals):
                    note(frame)
            return on_bytecode

        if not frame.f_code.co_flags & CO_GENERATOR:
            note(frame)
        _trace_bytecodes(frame, on_bytecode)
        return on_bytecode

    # Twice: the first time that a code is traced CPython 3.12 tells no bytecodes.
    for _ in range(2):
        found.clear()
        calls = 0
        _traced(run, on_call)
    return found


def interrupted(
    run: Callable[[], Any],
    place: Place,
    error: type[BaseException] = KeyboardInterrupt,
    among: Callable[[CodeType], bool] = is_ours,
) -> BaseException | None:
    """The exception that leaves a call that is interrupted at a place, if one does."""
    calls = -1

    def on_call(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal calls
        if not among(frame.f_code):
            return None
        calls += 1
        if calls != place.call:
            return None
        if not place.step:
            raise error
        steps = 0

        def on_bytecode(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal steps
            if event == "opcode":
                steps += 1
                if steps == place.step:
                    raise error
            return on_bytecode

        _trace_bytecodes(frame, on_bytecode)
        return on_bytecode

    try:
        _traced(run, on_call)
    except error as raised:
        return raised
    return None


def _trace_bytecodes(frame: FrameType, on_bytecode: Any) -> None:
    """Have each bytecode of a frame told to a function."""
    # In this order: of a frame without a tracing function CPython 3.13 tells no bytecodes before the first exception,
    # so an interrupt would come elsewhere, perhaps where the interpreter never forgets it.
    frame.f_trace = on_bytecode
    frame.f_trace_opcodes, frame.f_trace_lines = True, False


def _traced(run: Callable[[], Any], on_call: Any) -> None:
    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        run()
    finally:
        sys.settrace(before)


@contextmanager
def unraisable() -> Iterator[list[Any]]:
    """What would be printed as "Exception ignored in" meanwhile."""
    found: list[Any] = []
    before, sys.unraisablehook = sys.unraisablehook, found.append
    try:
        yield found
    finally:
        sys.unraisablehook = before


@contextmanager
def in_time(seconds: float) -> Iterator[None]:
    """Raises AssertionError where it takes longer, if the system has alarms."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def late(*_: Any) -> None:
        raise AssertionError(f"this did not end within {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
