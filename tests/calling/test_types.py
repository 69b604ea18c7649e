"""What a type checker knows about the transforms: their results take what the function takes; a wrong call is refused.

A program that uses each engine is checked by mypy, strictly and all at once.  Each of its lines ends with what mypy has
to say about it: the type that it reveals, or the code of its error and some words of it; or nothing.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import defaultdict
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").exists())

PROGRAM = """\
import numpy as np
import ENGINE as ad

def loss(w: np.ndarray, data: np.ndarray) -> float:
    return float(reveal_type(w)[0])  # note: ARRAY

def split(w: np.ndarray, data: np.ndarray) -> tuple[float, str]:
    return 0.0, "the rest"

class Model:
    def energy(self, x: float, *, scale: float = 1.0) -> float:
        return scale * x * x

@ad.grad
def slope(x: float) -> float:
    return x * x

w = data = np.ones(3)
chosen = len(w) > 2

reveal_type(ad.value_and_grad(loss))  # note: def (w: ARRAY, data: ARRAY) -> tuple[float, Any]
reveal_type(ad.value_and_grad(split, has_aux=True)(w, data))  # note: tuple[tuple[float, str], Any]
reveal_type(ad.value_and_jacobian(loss)(w, data))  # note: tuple[float, Any]
reveal_type(ad.value_grad_and_hessian(loss)(w, data))  # note: tuple[float, Any, Any]
reveal_type(ad.grad(loss))  # note: def (w: ARRAY, data: ARRAY) -> Any
reveal_type(ad.grad(split, 0, True))  # note: def (w: ARRAY, data: ARRAY) -> Any
reveal_type(ad.grad(split, "w", has_aux=chosen))  # note: def (w: ARRAY, data: ARRAY) -> Any
reveal_type(ad.derivative(Model().energy))  # note: def (x: float, *, scale: float =) -> Any
reveal_type(ad.elementwise_grad(Model().energy))  # note: def (x: float, *, scale: float =) -> Any
reveal_type(ad.jacobian(loss, (0, "data")))  # note: def (w: ARRAY, data: ARRAY) -> Any
reveal_type(ad.hessian(loss))  # note: def (w: ARRAY, data: ARRAY) -> Any
reveal_type(ad.sparse_jacobian(loss))  # note: def (w: ARRAY, data: ARRAY) -> Any
reveal_type(ad.sparse_hessian(loss))  # note: def (w: ARRAY, data: ARRAY) -> Any
reveal_type(ad.checkpoint(loss))  # note: def (w: ARRAY, data: ARRAY) -> float
reveal_type(slope)  # note: def (x: float) -> Any
reveal_type(ad.jvp(loss, (w, data), (w, data)))  # note: tuple[float, float]
reveal_type(ad.jvp(split, (w, data), (w, data), True))  # note: tuple[float, float, str]
reveal_type(ad.vjp(loss, w, data))  # note: tuple[float, def (Any) -> Any]
reveal_type(ad.vjp(split, w, data, has_aux=True))  # note: tuple[float, def (Any) -> Any, str]
reveal_type(ad.vjp(split, w, data, has_aux=chosen))  # note: tuple[Any, ...]
reveal_type(ad.linearize(loss, w, data, argnums="w"))  # note: tuple[float, def (*Any, **Any) -> float]
reveal_type(ad.linearize(split, w, data, has_aux=True)[2])  # note: str

# What NumPy or nobody has typed is taken as it is.
ad.grad(np.sin)(2.0)
ad.value_and_grad(lambda x: np.sum(x * x))(w)
ad.jacobian(ad.grad(lambda x, y: np.sum(x * y)))(w, y=data)

ad.value_and_grad(loss)(w)  # error: [call-arg] Too few arguments
ad.grad(loss)(w, "data")  # error: [arg-type] incompatible type "str"
ad.jacobian(loss)(w, data, rate=1.0)  # error: [call-arg] "rate"
ad.hessian(ad.grad(loss))(w, data, w)  # error: [call-arg] Too many arguments
ad.derivative(Model().energy)(1.0, size=2.0)  # error: [call-arg] "size"
ad.value_and_grad(loss)(w, data)[0].upper()  # error: [attr-defined] "float"
ad.grad(3.0)  # error: [arg-type] "float"
ad.grad(loss, argnums=1.5)  # error: [arg-type] "float"
ad.jacobian(loss, chunk_size="all")  # error: [arg-type] "str"
out, tangent, more = ad.jvp(loss, (w, data), (w, data))  # error: [misc] 3 expected
ad.vjp(loss, w, data, has_aux=True)  # error: [arg-type] "vjp"
"""


@pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed")
def test_a_type_checker_sees_what_each_function_takes(tmp_path: Path) -> None:
    programs = {engine: PROGRAM.replace("ENGINE", engine) for engine in ("dualad", "reversead")}
    for engine, program in programs.items():
        (tmp_path / f"with_{engine}.py").write_text(program)
    files = [str(tmp_path / f"with_{engine}.py") for engine in programs]
    options = ["--config-file", "pyproject.toml", "--hide-error-context", "--no-pretty", "--no-error-summary"]
    command = [sys.executable, "-m", "mypy", *options, *files]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    assert done.returncode == 1, done.stdout + done.stderr
    said = answers(done.stdout)
    for engine, program in programs.items():
        found = said.pop(f"with_{engine}.py")
        # What this NumPy calls an array whose shape and dtype are left open.
        array = re.search(r'type is "(.*)"', " ".join(found[5]))
        assert array is not None
        for number, line in enumerate(program.splitlines(), 1):
            code, _, wanted = line.partition("  # ")
            assert agrees(wanted.replace("ARRAY", array[1]), found[number]), (engine, code, found[number])
    assert not said, said


def answers(output: str) -> dict[str, dict[int, list[str]]]:
    """What mypy says, by file and line."""
    found: dict[str, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for line in output.splitlines():
        match = re.match(r"(.*\.py):(\d+): (.*)", line)
        assert match is not None, line
        found[Path(match[1]).name][int(match[2])].append(match[3])
    return found


def agrees(wanted: str, messages: list[str]) -> bool:
    """Whether mypy says what a line expects: one type, one error, or nothing."""
    kind, _, text = wanted.partition(": ")
    errors = [message for message in messages if message.startswith("error")]
    if kind == "note":
        return not errors and messages == [f'note: Revealed type is "{text}"']
    if kind == "error":
        code, _, words = text.partition(" ")
        return len(errors) == 1 and errors[0].endswith(code) and words in errors[0]
    return not messages
