"""A C compiler found, and texts compiled to shared libraries that are kept in the user's cache directory.

The compiler is `$CC`, `cc`, `gcc` or `clang`, or that of the package `ziglang`.  A library is kept under a hash of its
text, the flags, the compiler's version, the processor and the C library; it is written under another name and then
renamed, so that processes may share the directory.  A directory that others may write to is not used: then nothing is
kept, as where a disk is full.  No flag lets the compiler change results: sums keep their order but for what the text
says, and products and sums are not fused.  This module knows no programs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

#: Sines and cosines of one argument would become a call that has no version for vectors.
_NOT_TOGETHER = ("sin", "cos", "sinf", "cosf")
_FLAGS = (
    "-std=gnu11", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-fPIC", "-shared",
    "-w", *(f"-fno-builtin-{name}" for name in _NOT_TOGETHER),
)  # fmt: skip
#: At the first level GCC's code is as fast as at the third, and there in a tenth of the time; Clang needs the second.
_GCC, _CLANG = ("-O1", "-ftree-loop-vectorize"), ("-O2", "-fno-sanitize=undefined")
#: Flags and libraries, from the fastest set to the plainest.
_VARIANTS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    ((*_FLAGS, *_GCC, "-march=native", "-Wl,-z,defs"), ("-lmvec", "-lm")),
    ((*_FLAGS, *_GCC, "-march=native"), ("-lm",)),
    ((*_FLAGS, *_CLANG, "-march=native"), ("-lm",)),
    (("-O1", "-ffp-contract=off", "-fPIC", "-shared", "-w"), ("-lm",)),
)
#: Libraries that are kept, of some twenty kilobytes each.
MOST_KEPT = 1000
#: Seconds after which a compiler is stopped.
_LONGEST = 120.0


class Compiler(NamedTuple):
    """How to call a C compiler, and with which of the sets of flags."""

    command: tuple[str, ...]
    version: str
    flags: tuple[str, ...]
    libraries: tuple[str, ...]

    @property
    def has_vector_math(self) -> bool:
        """Whether the versions for vectors of mathematical functions are there."""
        return "-lmvec" in self.libraries


class CompilerError(Exception):
    """There is no compiler, or it refused a text."""


class _Running:
    """The compilers that are running in this process."""

    def __init__(self) -> None:
        self.processes: set[subprocess.Popen[bytes]] = set()
        #: held while one is started, and while all are ended
        self.lock = threading.Lock()
        #: held while a compiler is looked for, so that only one thread does so
        self.finding = threading.Lock()
        self.is_stopped = False


_running = _Running()


def stop() -> None:
    """End the compilers that are still running, and start no more: the interpreter ends."""
    with _running.lock:
        _running.is_stopped = True
        for process in _running.processes:
            _kill(process)


def _renew() -> None:
    """A forked process has no compilers, and no thread that would release a lock."""
    global _running
    _running = _Running()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End a compiler with the programs that it runs: these would go on, and hold its messages open."""
    if process.poll() is None:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)


def _run(command: tuple[str, ...]) -> bytes:
    """What a command prints.  Raises CompilerError if it fails, or takes too long."""
    running = _running
    with running.lock:
        if running.is_stopped:
            raise CompilerError("the interpreter ends")
        # In a group of its own no Ctrl-C reaches it, which is meant for the program.
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
        )
        running.processes.add(process)
    with process:
        try:
            printed, errors = process.communicate(timeout=_LONGEST)
        except subprocess.TimeoutExpired:
            raise CompilerError(f"{command[0]} took longer than {_LONGEST:.0f} seconds") from None
        finally:
            _kill(process)
            running.processes.discard(process)
    if process.returncode:
        raise CompilerError(f"{command[0]} failed: {errors.decode('utf-8', 'replace').strip()[:2000]}")
    return printed


def _command() -> tuple[str, ...]:
    """How the compiler is called.  Raises CompilerError if there is none."""
    given = os.environ.get("CC", "").strip()
    if given:
        try:
            return tuple(shlex.split(given))
        except ValueError as error:
            raise CompilerError(f"the environment variable CC is no command ({error}): {given}") from None
    for name in ("cc", "gcc", "clang"):
        if path := shutil.which(name):
            return (path,)
    if importlib.util.find_spec("ziglang") is not None:
        return (sys.executable, "-m", "ziglang", "cc")
    raise CompilerError("there is no C compiler; install cc, gcc, clang or ziglang, or name one in the variable CC")


def find(probe: str, probe_with_vectors: str) -> Compiler:
    """The compiler, with the first set of flags by which it compiles a text; CompilerError where there is none.

    `probe_with_vectors` is a text that uses versions for vectors.  Cost: three calls of the compiler the first time.
    """
    with _running.finding:
        return _find(os.environ.get("CC", ""), os.environ.get("PATH", ""), probe, probe_with_vectors)


@cache
def _find(given: str, path: str, probe: str, probe_with_vectors: str) -> Compiler:
    if os.name != "posix" or sys.maxsize < 2**62 or sys.implementation.name != "cpython":
        raise CompilerError("machine code needs CPython on a 64-bit system with POSIX")
    command = _command()
    try:
        version = _run((*command, "--version")).decode("utf-8", "replace")
    except OSError as error:
        raise CompilerError(f"{command[0]} cannot be called: {error}") from None
    for flags, libraries in _VARIANTS:
        found = Compiler(command, version, flags, libraries)
        try:
            with library(probe_with_vectors if found.has_vector_math else probe, found):
                return found
        except CompilerError as error:
            why = error
    raise why


@cache
def _processor() -> str:
    """What a library is for besides its text: the processor, and the C library that it is linked to."""
    library_of_c = " ".join(platform.libc_ver())
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
        lines = {line for line in text.splitlines() if line.startswith(("flags", "Features", "model name"))}
        return "\n".join([library_of_c, *sorted(lines)])
    except OSError:
        return f"{library_of_c} {platform.machine()} {platform.processor()}"


def directory() -> Path | None:
    """Where libraries are kept: the user's own directory, which nobody else may write to; None if there is none."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    if not os.path.isabs(base):
        return None
    folder = Path(base) / "reversead-machine-code"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
    except OSError:
        return None
    own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o077
    return folder if own and os.access(folder, os.W_OK | os.X_OK) else None


@contextmanager
def library(text: str, compiler: Compiler) -> Iterator[Path]:
    """The shared library of a text, compiled if it is not kept; it is there as long as the block lasts.

    Where it cannot be kept it lies in a temporary directory, which is removed then.  Raises CompilerError.
    """
    folder = directory()
    parts = (text, *compiler.command, compiler.version, *compiler.flags, *compiler.libraries, _processor())
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]
    kept = folder and folder / f"{name}.so"
    if kept is not None and _is_own(kept):
        with suppress(OSError):
            os.utime(kept)  # the least recently used go first
        try:
            yield kept
        except CompilerError:
            kept.unlink(missing_ok=True)  # what cannot be loaded is compiled again the next time
            raise
        return
    try:
        made = Path(tempfile.mkdtemp(prefix="machine-code-"))
    except OSError as error:
        raise CompilerError(f"there is no temporary directory: {error}") from None
    try:
        source, result = made / "text.c", made / "text.so"
        try:
            source.write_text(text, "ascii")
            _run((*compiler.command, *compiler.flags, "-o", str(result), str(source), *compiler.libraries))
        except OSError as error:
            raise CompilerError(f"the compiled code could not be written: {error}") from None
        yield kept if kept is not None and _is_kept(result, kept) else result
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _is_kept(result: Path, kept: Path) -> bool:
    """Whether a library could be copied to where it is kept: a disk may be full, or only be read."""
    partial = None
    try:
        with tempfile.NamedTemporaryFile(dir=kept.parent, suffix=".new", delete=False) as file:
            partial = Path(file.name)
            file.write(result.read_bytes())
        os.replace(partial, kept)
    except OSError:
        if partial is not None:
            with suppress(OSError):
                partial.unlink()
        return False
    _trim(kept.parent)
    return True


def _trim(folder: Path) -> None:
    """Remove the libraries that were used longest ago, if there are too many; who has loaded one still has it."""
    with suppress(OSError):
        kept = [path for path in folder.iterdir() if path.suffix in (".so", ".new")]
        if len(kept) > MOST_KEPT:
            for path in sorted(kept, key=lambda path: path.stat().st_mtime)[: len(kept) - MOST_KEPT * 3 // 4]:
                path.unlink(missing_ok=True)


def _is_own(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid == os.getuid() and status.st_size > 0
