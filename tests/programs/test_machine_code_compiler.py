"""The C compiler of machine code: found, refused, stopped and forked; and the directory where libraries are kept."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from machine_programs import code_of, machine_of, require_compiler

from shared import compile
from shared.programs.machine_code import background, compiler, loading
from shared.programs.machine_code.machine import RefusedError, probes

require_compiler()

X = np.linspace(-1.0, 1.5, 1000)


@pytest.fixture
def no_compiler(monkeypatch):
    monkeypatch.setenv("CC", "/nowhere/cc")


def test_without_a_compiler_the_source_runs_and_a_warning_says_so_once(no_compiler):
    compiled = compile(lambda x: np.sum(x * x), backend="c", verify="never")
    compiled(X)
    assert not compiled.wait(60.0)
    with pytest.warns(UserWarning, match="runs as NumPy source and not as machine code, since /nowhere/cc") as caught:
        assert compiled(X) == pytest.approx(np.sum(X * X))
        assert compiled(X) == pytest.approx(np.sum(X * X))
    assert len(caught) == 1 and "\n" not in str(caught[0].message)


def test_automatic_compilation_without_a_compiler_is_silent(no_compiler):
    compiled = compile(lambda x: np.sum(x * x), backend="auto")
    compiled(X)
    assert not compiled.wait(60.0)
    assert compiled(X) == pytest.approx(np.sum(X * X))


def test_long_programs_and_those_of_numpy_are_refused(monkeypatch):
    for function in (lambda x: np.linalg.inv(np.linalg.det(x) + np.linalg.inv(x)), lambda x: x.T[::2]):
        compiled = compile(function)
        compiled(np.eye(3))
        with pytest.raises(RefusedError, match="calls of NumPy"):
            code_of(compiled._variants[0])
    monkeypatch.setattr("shared.programs.machine_code.machine.LONGEST", 2)
    compiled = compile(lambda x: np.sin(np.cos(np.exp(x))))
    compiled(X)
    with pytest.raises(RefusedError, match="3 operations, more than 2"):
        code_of(compiled._variants[0])


def test_libraries_are_kept_in_the_users_own_directory(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    machine_of(lambda x: np.sum(x * 1.25), X)
    folder = tmp_path / "reversead-machine-code"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    kept = {path.name: path.stat().st_ino for path in folder.iterdir()}
    assert kept and all(re.fullmatch(r"[0-9a-f]{40}\.so", name) for name in kept)
    machine_of(lambda x: np.sum(x * 1.25), X)
    assert {path.name: path.stat().st_ino for path in folder.iterdir()} == kept


def test_the_libraries_used_longest_ago_are_removed(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compiler, "MOST_KEPT", 4)
    functions = [machine_of(lambda x, k=k: np.sum(x * (k + 0.125)), X) for k in range(6)]
    assert 3 <= len(list((tmp_path / "reversead-machine-code").iterdir())) <= 4
    for k, function in enumerate(functions):
        assert function(X) == pytest.approx(np.sum(X * (k + 0.125)))


@pytest.mark.parametrize("trouble", ["others may write", "a link", "a file", "relative"])
def test_a_directory_that_is_not_safe_is_not_used(trouble, tmp_path, monkeypatch):
    compiler.find(*probes())
    monkeypatch.chdir(tmp_path)  # a compiler may have a cache of its own, and find the same directory good enough
    folder = tmp_path / "reversead-machine-code"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative" if trouble == "relative" else str(tmp_path))
    if trouble == "others may write":
        folder.mkdir()
        folder.chmod(0o777)
    elif trouble == "a link":
        (tmp_path / "other").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "other")
    elif trouble == "a file":
        folder.write_text("")
    assert compiler.directory() is None
    assert machine_of(lambda x: np.sum(x * 2.25), X)(X) == pytest.approx(np.sum(X * 2.25))
    assert not any(path.suffix == ".so" for path in tmp_path.rglob("*"))


def test_a_broken_compiler_is_told_of(tmp_path, monkeypatch):
    script = tmp_path / "cc"
    script.write_text('#!/bin/sh\n[ "$1" = --version ] && echo 1.0 && exit 0\necho no such luck >&2\nexit 1\n')
    script.chmod(0o755)
    monkeypatch.setenv("CC", str(script))
    with pytest.raises(compiler.CompilerError, match="no such luck"):
        compiler.find(*probes())


def test_the_interpreter_may_end_while_a_compiler_runs(tmp_path):
    code = """
import numpy as np, reversead
from shared import compile

def long(x):
    for k in range(400):
        x = np.sin(x) * 1.5 + x
    return np.sum(x)

print(compile(reversead.grad(long), backend="c")(np.ones(10))[0] < np.inf)
"""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


# --- troubles ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Directories of a test alone: where libraries are kept, and a temporary one."""
    compiler.find(*probes())
    kept, temporary = tmp_path / "cache with spaces", tmp_path / "temporary"
    kept.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("XDG_CACHE_HOME", str(kept))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return kept / "reversead-machine-code", temporary


def script(path, text):
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def of_square(number):
    """Machine code that no other test has, right."""
    f = machine_of(lambda x: np.sum(x * x * number), X)
    assert f(X) == pytest.approx(np.sum(X * X * number))


@pytest.mark.parametrize("is_kept", [True, False])
def test_temporary_files_are_removed(folders, is_kept, monkeypatch):
    if not is_kept:
        monkeypatch.setattr(compiler, "directory", lambda: None)
        compiler._find.cache_clear()  # what is tried leaves nothing, either
    of_square(3.125)
    assert not list(folders[1].iterdir())


def test_on_a_full_disk_nothing_is_kept_and_the_code_runs(folders, monkeypatch):
    def full(*paths):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", full)
    of_square(4.125)
    assert not list(folders[0].iterdir()) and not list(folders[1].iterdir())


def test_a_library_that_cannot_be_loaded_is_compiled_again(folders):
    text, found = "void connect(void **functions) {} int one(void) { return 1; }", compiler.find(*probes())
    with compiler.library(text, found) as kept:
        content = kept.read_bytes()
    kept.write_bytes(content[:100])
    with pytest.raises(compiler.CompilerError, match="cannot be loaded"), compiler.library(text, found) as broken:
        loading.load(broken, ["one"])
    assert broken == kept
    with compiler.library(text, found) as mended:
        assert loading.load(mended, ["one"])
    assert mended == kept and len(kept.read_bytes()) > 100


def test_what_is_kept_stays_when_the_settings_change_meanwhile(folders, monkeypatch):
    text = "int one(void) { return 1; }"
    with compiler.library(text, compiler.find(*probes())):
        pass
    with compiler.library(text, compiler.find(*probes())) as kept:
        monkeypatch.setenv("XDG_CACHE_HOME", "elsewhere")
    assert kept.parent == folders[0] and kept.exists()


def test_a_compiler_may_have_arguments_and_spaces_in_its_name(folders, monkeypatch):
    (folders[1].parent / "my tools").mkdir()
    name = script(folders[1].parent / "my tools" / "cc", 'shift\nexec cc "$@"')
    monkeypatch.setenv("CC", f"'{name}' --quietly")
    of_square(6.125)


@pytest.mark.parametrize("given, why", [("gcc 'x", "CC is no command .*: gcc 'x"), ("/no such/cc", "/no cannot")])
def test_a_compiler_that_is_none_is_told_of(given, why, monkeypatch):
    monkeypatch.setenv("CC", given)
    with pytest.raises(compiler.CompilerError, match=why):
        compiler.find(*probes())


def test_where_there_is_none_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setenv("CC", " ")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(compiler.CompilerError, match="install cc, gcc, clang or ziglang"):
        compiler.find(*probes())


def test_an_interrupt_of_the_program_does_not_reach_the_compiler():
    printed = compiler._run((sys.executable, "-c", "import os; print(os.getpgrp())"))
    assert int(printed) != os.getpgrp()


def test_a_compiler_is_stopped_with_the_programs_that_it_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(compiler, "_running", compiler._Running())
    started, why = tmp_path / "started", []

    def work():
        with pytest.raises(compiler.CompilerError) as caught:
            compiler._run((script(tmp_path / "cc", f"sleep 600 & touch '{started}'; wait"),))
        why.append(caught.value)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    while not started.exists():
        thread.join(0.01)
        assert thread.is_alive()
    compiler.stop()
    thread.join(60.0)
    assert why
    with pytest.raises(compiler.CompilerError, match="the interpreter ends"):
        compiler._run(("cc", "--version"))


def test_without_threads_the_code_is_made_at_once(monkeypatch):
    def no_thread(self):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(background, "_worker", background._Worker())
    monkeypatch.setattr(threading.Thread, "start", no_thread)
    of_square(7.125)


def test_when_the_thread_has_ended_nobody_waits_for_it(monkeypatch):
    monkeypatch.setattr(compiler, "_running", compiler._Running())
    worker = background._Worker()
    monkeypatch.setattr(background, "_worker", worker)
    worker.end()
    f = compile(lambda x: np.sum(x * x * 8.125), backend="auto")
    f(X)
    f.wait()
    assert f(X) == pytest.approx(np.sum(X * X * 8.125))


def test_a_process_that_forks_while_a_compiler_is_looked_for_compiles_in_both(tmp_path):
    started, going = tmp_path / "started", tmp_path / "going"
    name = script(tmp_path / "cc", f"touch '{started}'\nwhile [ ! -e '{going}' ]; do sleep 0.02; done\nexec cc \"$@\"")
    code = f"""
import os, time
import numpy as np
from shared import compile

def f(x):
    return np.sum(x * x * 9.125)

first = compile(f, backend="c")
first(np.ones(9))
while not os.path.exists({str(started)!r}):
    time.sleep(0.01)
child = os.fork()
open({str(going)!r}, "w").close()
found = first if child else compile(f, backend="c")
found(np.ones(9))
done = found.wait(60.0)
if not child:
    os._exit(0 if done else 3)
print(done, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    root = Path(__file__).resolve().parents[2]
    environment = {**os.environ, "CC": name, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(root)}
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=150)
    assert (done.stdout, done.stderr) == ("True 0\n", "")
