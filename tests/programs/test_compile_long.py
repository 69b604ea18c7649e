"""Compiling programs of many steps: the work for each step does not grow with their number, and results stay right."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import reversead
from shared import compile, simplify, trace
from shared.programs.compiling import parts, plan
from shared.programs.compiling.rewriting import rewritten
from shared.programs.compiling.source import Source
from shared.programs.compiling.verification import differences


def assigned(x: Any, count: int) -> Any:
    y = np.sin(x)
    for k in range(count):
        y[k % 8] = x[k % 8] * y[(k + 3) % 8]
    return y


def joined(x: Any, count: int) -> Any:
    for k in range(count):
        x = np.concatenate([x[: k % 8], x[k % 8 :] * 0.5])
    return x


def perhaps_views(x: Any, count: int) -> Any:
    y = np.reshape(np.sin(x), (2, 4))
    for _ in range(count):
        y = np.einsum("ij->ji", y)
    return y


def between(x: Any, count: int) -> Any:
    for _ in range(count):
        x = np.cumsum(np.sin(x) * x) * 0.1
    return x


def alone(x: Any, count: int) -> Any:
    for _ in range(count):
        x = np.cumsum(np.sin(x)) * 0.1
    return x


def returned(x: Any, count: int) -> Any:
    return [x * (k + 0.5) for k in range(count)]


def kept(x: Any, count: int) -> Any:
    parts = [np.sin(x) * (k + 0.5) for k in range(count)]
    return sum(np.sum(np.cos(part)) for part in parts)


def floats(x: Any, count: int) -> Any:
    total = x[0]
    for k in range(count):
        total = np.sin(total * x[k % 8]) + total
    return total


PROGRAMS = [assigned, joined, perhaps_views, between, alone, returned, kept, floats]
X = np.linspace(0.1, 0.8, 8)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays of 8 elements are large ones."""
    monkeypatch.setattr(plan, "SMALLEST", 8)
    monkeypatch.setattr(plan, "BLOCK", 4)


def calls(function: Callable[[], Any]) -> int:
    """How many functions are called, Python's and those in C."""
    count = 0

    def note(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("function", PROGRAMS)
def test_work_grows_as_the_program(function: Callable[[Any, int], Any]) -> None:
    def work(count: int) -> float:
        one, other = (trace(function, X, count) for _ in range(2))
        return calls(lambda: (differences(one, other), Source(rewritten(simplify(one))))) / len(one.equations)

    work(5)  # what is made once
    assert work(800) < 1.3 * work(200)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("function", PROGRAMS)
def test_results_of_long_programs(function: Callable[[Any, int], Any]) -> None:
    compiled = compile(lambda x: function(x, 150))
    for x in (X, X * 1.25):
        np.testing.assert_allclose(np.array(compiled(x)), np.array(function(x.copy(), 150)), rtol=1e-12, atol=1e-300)


def branching(x: Any, count: int) -> Any:
    total = 0.0
    for k in range(count):
        with np.errstate(divide="ignore"):
            y = np.log(np.abs(x)) * k
        total = total + (np.sum(y) if x[k % 8] > 0.3 else x[0] * y[-1])
    return total


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("length", [1, 7])
@pytest.mark.parametrize("function", [*PROGRAMS, branching])
def test_a_text_in_parts_computes_what_it_does_as_one(function: Callable[[Any, int], Any], length: int) -> None:
    derivative = reversead.value_and_grad(lambda x: np.sum(np.cos(np.array(function(x, 12), like=x))))
    whole = compile(derivative)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parts, "_LENGTH", length)
        cut = compile(derivative)
        for x in (X, X * 1.25, -X):
            for one, other in zip(cut(x), whole(x), strict=True):
                assert np.array_equal(one, other)
        assert "def part1(" in cut.source()


@pytest.mark.parametrize("function", [joined, perhaps_views, assigned])
def test_gradients_of_long_programs(function: Callable[[Any, int], Any]) -> None:
    gradient = reversead.grad(lambda x: np.sum(np.cos(function(x, 60))))
    np.testing.assert_allclose(compile(gradient)(X), gradient(X), rtol=1e-11, atol=1e-300)


def test_a_long_chain_of_what_may_be_views_is_copied_now_and_then() -> None:
    program = trace(lambda x: perhaps_views(x, 200), X)
    roots = plan.Memory(program, program.steps).roots
    assert max(map(len, roots.values())) <= 32
    assert Source(program).text.count("= np.array(_einsum(") == 200 // 32
