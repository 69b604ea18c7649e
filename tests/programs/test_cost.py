"""The cost of recorded programs: operations are those of the counter, bytes and lifetimes those of a count by hand."""

from __future__ import annotations

import contextlib
import gc
import io
import pickle
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from counted_cases import BY_HAND
from counted_programs import COMPOUND_PROGRAMS, SCALAR_PROGRAMS, WHOLE_ARRAY_PROGRAMS, vector

import dualad
import reversead
from shared import MLP, REGISTRY, ProgramGuardError, cost, count_operations, simplify, trace
from shared.core.facets import KINDS, Count
from shared.programs.tabulation import html_table, text_table

X = np.linspace(0.5, 1.5, 1000)
PROGRAMS: dict[str, Callable[..., Any]] = {
    **{f.__name__: f for f in SCALAR_PROGRAMS},
    **WHOLE_ARRAY_PROGRAMS,
    **COMPOUND_PROGRAMS,
}
TRANSFORMS: dict[str, Callable[..., Any]] = {
    "value": lambda f: lambda x, t: f(x),
    "reverse sweep": lambda f: lambda x, t: reversead.vjp(f, x)[1](t[0]),
    "direction": lambda f: lambda x, t: dualad.jvp(f, (x,), (t,)),
    "direction of a gradient": lambda f: lambda x, t: dualad.jvp(lambda x: reversead.vjp(f, x)[1](t[0]), (x,), (t,)),
}
GRADIENTS = {"dualad": dualad.value_and_grad, "reversead": reversead.value_and_grad}


# --- operations -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_record_costs_what_the_run_was_counted_to_cost(name: str, transform: str) -> None:
    f = TRANSFORMS[transform](PROGRAMS[name])
    assert cost(f, vector(5), vector(5)).operations == count_operations(f, vector(5), vector(5))


@pytest.mark.parametrize("engine", GRADIENTS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_a_record_leaves_out_what_is_computed_from_the_seed_alone(name: str, engine: str) -> None:
    gradient = GRADIENTS[engine](PROGRAMS[name])
    value = count_operations(PROGRAMS[name], vector(5))
    assert value <= cost(gradient, vector(5)).operations <= count_operations(gradient, vector(5))


@pytest.mark.parametrize(("f", "args", "expected"), [case for case in BY_HAND if case.id != "shapes are free"])
def test_programs_counted_by_hand(f: Callable[..., Any], args: tuple[Any, ...], expected: int) -> None:
    assert cost(f, *args).operations == expected


def test_network_is_counted_alike_in_both_ways() -> None:
    mlp = MLP([6, 5, 4, 3], "sigmoid")
    rng = np.random.default_rng(0)
    args = mlp.initialise("xavier_normal", rng), rng.normal(size=(7, 6)), rng.integers(0, 3, 7)
    loss = mlp.objective()

    def sweep(c: Any, *args: Any) -> Any:
        return reversead.vjp(lambda p: loss(p, *args[1:]), args[0])[1](c)

    assert cost(loss, *args).operations == count_operations(loss, *args)
    assert cost(sweep, 1.0, *args).operations == count_operations(sweep, 1.0, *args)


def test_kinds_are_told_apart() -> None:
    found = cost(lambda x: np.where(x > 1.0, np.exp(x) * x - 1.0 / x, x), X)
    assert found.count == 1000 * Count(add=1, multiply=1, divide=1, compare=1, elementary=1, move=1)
    assert found.operations == 15_000
    assert found["exp"].count == Count(elementary=1000)
    assert found["exp"].operations == 10_000


def test_total_is_the_sum_of_the_primitives() -> None:
    found = cost(reversead.value_and_grad(PROGRAMS["recurrence"]), vector(9))
    rows = [found[name] for name in found]
    for attribute in ("calls", "operations", "bytes_read", "bytes_written", "bytes_alive"):
        assert getattr(found.total, attribute) == sum(getattr(row, attribute) for row in rows) > 0
    for kind in KINDS:
        assert getattr(found.count, kind) == sum(getattr(row.count, kind) for row in rows)
    assert len(found) == len(rows) == len(list(found))
    assert "setitem" in found
    assert "sin" not in found


def test_a_program_is_counted_as_recorded_and_simplified_costs_less() -> None:
    program = trace(lambda x: (np.sin(x) * np.sin(x)) * 1.0, X)
    assert cost(program).operations == cost(program, X).operations == 22_000 + 1000 - 1000
    assert cost(simplify(program)).operations == 11_000
    assert cost(pickle.loads(pickle.dumps(program))).operations == cost(program).operations


def test_cost_is_deterministic() -> None:
    f = reversead.value_and_grad(PROGRAMS["accumulated"])
    assert str(cost(f, vector(6))) == str(cost(f, vector(6)))


# --- bytes ------------------------------------------------------------------------------------------------------------


def test_bytes_counted_by_hand() -> None:
    found = cost(lambda x, y: np.sum(np.sin(x) * y), X, X)
    assert (found["sin"].bytes_read, found["sin"].bytes_written) == (8000, 8000)
    assert (found["multiply"].bytes_read, found["multiply"].bytes_written) == (16000, 8000)
    assert (found["sum"].bytes_read, found["sum"].bytes_written) == (8000, 8)
    # The sine lives until the product is computed.
    assert found.peak_bytes == 16000
    assert found.given_bytes == 16000


def test_views_move_nothing_and_have_no_memory() -> None:
    found = cost(lambda x: np.exp(x.reshape(10, 100).T[:5, 1:]), X)
    assert (found["reshape"].bytes_read, found["transpose"].bytes_written, found["getitem"].bytes_read) == (0, 0, 0)
    assert found.peak_bytes == 5 * 9 * 8
    # A broadcast array is read where it lies, and an index array gathers.
    assert cost(lambda x: np.broadcast_to(x, (50, 1000)) + 1.0, X)["add"].bytes_read == 8000
    gathered = cost(lambda x: x[np.array([5, 5, 7])], X)["getitem"]
    assert (gathered.bytes_read, gathered.bytes_written) == (48, 24)


def test_a_view_keeps_its_array_alive() -> None:
    def kept(x: Any) -> Any:
        part = np.exp(x)[:1]
        return np.sin(x) + part

    # The exponentials, of which one element is used, the sines, and the sums.
    assert cost(kept, X).peak_bytes == 3 * 8000


def test_assignment_in_place_takes_no_memory_and_moves_what_it_writes() -> None:
    def fill(x: Any) -> Any:
        y = np.exp(x)
        for k in range(10):
            y[k] = x[k]
        return y

    found = cost(fill, X)
    assert found["setitem"].bytes_written == 80
    assert found.peak_bytes <= 8000 + 16

    def kept(x: Any) -> Any:
        y = np.exp(x)
        z = y.copy()
        z[0] = x[0]
        return y, z

    assert 16000 <= cost(kept, X).peak_bytes <= 16016


def test_memory_of_a_chain_is_flat_forwards_and_grows_in_reverse() -> None:
    def chain(depth: int) -> Callable[[Any], Any]:
        def f(x: Any) -> Any:
            for _ in range(depth):
                x = np.sin(x)
            return np.sum(x)

        return f

    def direction(depth: int) -> int:
        return cost(lambda x: dualad.jvp(chain(depth), (x,), (np.ones_like(x),)), X).peak_bytes

    def gradient(depth: int) -> int:
        return cost(reversead.grad(chain(depth)), X).peak_bytes

    assert direction(40) == direction(10)
    assert gradient(40) - gradient(10) == 30 * X.nbytes
    kept = cost(reversead.grad(chain(40)), X)
    assert kept["sin"].bytes_alive >= 39 * X.nbytes


@pytest.mark.parametrize("transform", [False, True], ids=["value", "gradient"])
@pytest.mark.parametrize("name", ["squared norm", "mean and variance", "outer product", "reversed", "sum of sines"])
def test_peak_is_the_memory_that_the_program_takes(name: str, transform: bool) -> None:
    x = np.linspace(0.5, 1.5, 300 if name == "outer product" else 60_000)
    program = trace(reversead.value_and_grad(PROGRAMS[name]) if transform else PROGRAMS[name], x)
    program(x)
    gc.collect()
    tracemalloc.start()
    try:
        program(x)
        measured = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Beyond the values, Python's own objects, and the copy of a result that might share memory.
    assert cost(program).peak_bytes <= measured + 2_000
    assert measured <= cost(program).peak_bytes + x.nbytes + 40_000


# --- what users meet --------------------------------------------------------------------------------------------------


def test_table_as_text_and_html() -> None:
    found = cost(lambda x: np.sin(x) * x, X)
    text = str(found)
    assert "11,000 operations" in text.splitlines()[0]
    assert "test_cost.py" in text.splitlines()[0]
    assert [line.split()[0] for line in text.splitlines()[1:]] == ["primitive", "sin", "multiply", "total"]
    assert found._repr_html_().count("<tr>") == 4
    assert "&lt;lambda&gt;" in found._repr_html_()
    assert text_table(["a"], []) == "a"
    assert "<td>1,000</td>" in html_table("t", ["n"], [[1000]])


def test_errors_say_what_to_write() -> None:
    with pytest.raises(TypeError, match=r"expected a function or a program, not 3.*test_cost.py"):
        cost(3)  # type: ignore[arg-type]
    with pytest.raises(KeyError, match=r"has no equation of 'cos'.*its primitives are: sin"):
        cost(np.sin, 1.0)["cos"]
    with pytest.raises(ProgramGuardError, match="trace it again"):
        cost(trace(np.sin, 1.0), X)
    with pytest.raises(AttributeError):
        cost(np.sin, 1.0).name = "other"  # type: ignore[misc]


def test_a_function_that_computes_nothing() -> None:
    found = cost(lambda x: x, X)
    assert (found.operations, found.peak_bytes, len(found)) == (0, 0, 0)
    assert "total" in str(found)


def test_of_no_elements() -> None:
    assert cost(lambda x: np.sum(np.exp(x) @ np.ones((0, 3))), np.zeros((2, 0))).operations == 6


def test_a_mask_beside_integers_chooses_as_many_elements_as_these_have() -> None:
    mask, columns = np.array([True, False, True]), np.array([0, 1])
    x = np.arange(6.0).reshape(3, 2)

    def assigned(x: Any) -> Any:
        y = np.copy(x)
        y[mask, columns] = x[0, 0]
        return y

    assert cost(lambda x: x[mask, columns], x).operations == 2
    # a copy of six elements, one that is read, and two that are written
    assert cost(assigned, x).operations == cost(np.copy, x).operations + 1 + 2
    assert count_operations(assigned, x) == cost(assigned, x).operations


# --- the page -------------------------------------------------------------------------------------------------------

PAGE = (Path(__file__).parents[2] / "docs" / "counting.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", PAGE, re.DOTALL)


def test_the_page_runs_and_prints_what_it_shows() -> None:
    scope: dict[str, Any] = {"__name__": "page"}
    try:
        for code, shown in EXAMPLES:
            with contextlib.redirect_stdout(io.StringIO()) as printed:
                exec(compile(code, "page.py", "exec"), scope)
            assert printed.getvalue() == shown
    finally:
        if "softclip" in scope:
            del REGISTRY[scope["softclip"].function]


def test_the_contents_of_the_page_list_every_section() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    anchors = [re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings]
    assert re.findall(r"- \[([^]]*)\]\(#([^)]*)\)", PAGE) == list(zip(headings, anchors, strict=True))
