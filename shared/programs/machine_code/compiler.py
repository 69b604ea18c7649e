"""A C compiler found, and texts compiled to shared libraries that are kept in the user's cache directory.

The compiler is `$CC`, `cc`, `gcc` or `clang`, or that of the package `ziglang`.  A library is kept under a hash of its
text, the flags, the compiler's version and the processor; it is written under another name and then renamed, so that
processes may share the directory.  A directory that others may write to is not used: then nothing is kept.  No flag
lets the compiler change results: sums keep their order but for what the text says, and products and sums are not fused.
This module knows no programs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
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


_running: set[subprocess.Popen[bytes]] = set()
_lock = threading.Lock()


def stop() -> None:
    """End the compilers that are still running: the interpreter ends."""
    for process in list(_running):
        process.kill()


def _run(command: tuple[str, ...]) -> None:
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:  # fmt: skip
        _running.add(process)
        try:
            _, errors = process.communicate(timeout=_LONGEST)
        except subprocess.TimeoutExpired:
            process.kill()
            raise CompilerError(f"{command[0]} took longer than {_LONGEST:.0f} seconds") from None
        finally:
            _running.discard(process)
    if process.returncode:
        raise CompilerError(f"{command[0]} failed: {errors.decode('utf-8', 'replace').strip()[:2000]}")


def _commands() -> list[tuple[str, ...]]:
    given = os.environ.get("CC", "")
    if given:
        return [tuple(shlex.split(given))]
    found: list[tuple[str, ...]] = [(path,) for name in ("cc", "gcc", "clang") if (path := shutil.which(name))]
    if not found and importlib.util.find_spec("ziglang") is not None:
        return [(sys.executable, "-m", "ziglang", "cc")]
    return found[:1]


def find(probe: str, probe_with_vectors: str) -> Compiler:
    """The compiler, with the first set of flags by which it compiles a text; CompilerError where there is none.

    `probe_with_vectors` is a text that uses versions for vectors.  Cost: three calls of the compiler the first time.
    """
    with _lock:
        return _find(os.environ.get("CC", ""), os.environ.get("PATH", ""), probe, probe_with_vectors)


@cache
def _find(given: str, path: str, probe: str, probe_with_vectors: str) -> Compiler:
    if os.name != "posix" or sys.maxsize < 2**62 or sys.implementation.name != "cpython":
        raise CompilerError("machine code needs CPython on a 64-bit system with POSIX")
    why = "there is no C compiler (cc, or what the environment variable CC names)"
    for command in _commands():
        try:
            done = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=_LONGEST, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            why = f"{command[0]} cannot be called: {error}"
            continue
        for flags, libraries in _VARIANTS:
            found = Compiler(command, done.stdout, flags, libraries)
            try:
                library(probe_with_vectors if found.has_vector_math else probe, found)
            except CompilerError as error:
                why = str(error)
                continue
            return found
    raise CompilerError(why)


@cache
def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
        lines = {line for line in text.splitlines() if line.startswith(("flags", "Features", "model name"))}
        return "\n".join(sorted(lines))
    except OSError:
        return f"{platform.machine()} {platform.processor()}"


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


def library(text: str, compiler: Compiler) -> Path:
    """The shared library of a text, compiled if it is not kept.

    Where nothing can be kept it lies in a temporary directory, which whoever loads it removes (`forget`).
    """
    parts = (text, *compiler.command, compiler.version, *compiler.flags, *compiler.libraries, _processor())
    name = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]
    folder = directory()
    if folder is not None:
        kept = folder / f"{name}.so"
        if _is_own(kept):
            with suppress(OSError):
                os.utime(kept)  # the least recently used go first
            return kept
    made = Path(tempfile.mkdtemp(prefix="machine-code-"))
    try:
        source, result = made / "text.c", made / "text.so"
        source.write_text(text, "ascii")
        _run((*compiler.command, *compiler.flags, "-o", str(result), str(source), *compiler.libraries))
        if folder is None:
            return result
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".new", delete=False) as partial:
            partial.write(result.read_bytes())
        os.replace(partial.name, kept)
        _trim(folder)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        raise CompilerError(f"the compiled code could not be written: {error}") from None
    except CompilerError:
        shutil.rmtree(made, ignore_errors=True)
        raise
    shutil.rmtree(made, ignore_errors=True)
    return kept


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


def forget(path: Path) -> None:
    """Remove a library that was loaded and is not kept."""
    if path.parent != directory():
        shutil.rmtree(path.parent, ignore_errors=True)
