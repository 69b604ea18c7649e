"""The readings of a program are functions of it, and take a function with arguments alike."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import reversead
import shared
from shared import Program, compile, cost, draw, simplify, source, trace, trace_table

POINT = (2.0, -3.0)


def f(x, y):
    return np.sin(x * y) * (x * y) + 2.0 * 3.0


def test_a_program_runs_prints_and_pickles_and_has_no_readings():
    assert not {"draw", "source", "cost", "simplified", "trace_table", "lines"} & set(dir(Program))


def test_readings_take_a_function_or_its_program():
    program = trace(f, *POINT)
    assert draw(f, *POINT).dot == draw(program, *POINT).dot
    assert source(f, *POINT) == source(program)
    assert cost(f, *POINT).operations == cost(program).operations
    assert str(trace_table(f, *POINT)) == str(trace_table(program, *POINT))


def test_a_program_is_drawn_without_values_and_a_function_with_them():
    program = trace(f, *POINT)
    assert draw(program).dot != draw(program, *POINT).dot
    assert draw(f, *POINT, adjoints=False).dot == draw(program, *POINT, adjoints=False).dot


def test_a_derivative_is_drawn_like_any_function():
    gradient = reversead.grad(f)
    assert draw(gradient, *POINT).dot == draw(trace(gradient, *POINT), *POINT).dot


def test_source_needs_numpy_alone():
    scope: dict[str, object] = {}
    exec(source(f, *POINT), scope)
    assert scope["call"](*POINT) == pytest.approx(f(*POINT), rel=1e-12)  # type: ignore[operator]
    assert "shared" not in source(f, *POINT)
    assert compile(f).source(*POINT) == source(f, *POINT)


@pytest.mark.parametrize("reading", [draw, source], ids=lambda reading: reading.__name__)
def test_what_is_no_function_is_refused_by_name(reading):
    with pytest.raises(TypeError, match=r"expected a function.*, not 3"):
        reading(3, 1.0)


def test_simplify_leaves_the_program_as_it_was():
    program = trace(f, *POINT)
    before = str(program)
    small = simplify(program)
    assert str(program) == before and len(small.equations) < len(program.equations)
    assert small(*POINT) == program(*POINT)


def test_what_a_user_says_before_the_counter_is_loaded_stays():
    code = (
        "import sys, numpy as np, shared\n"
        "assert 'shared.counting.counter' not in sys.modules\n"
        "mine = lambda out, operands, static: shared.counting.Count(multiply=7)\n"
        "shared.REGISTRY[np.sin].count = mine\n"
        "print(shared.count_operations(np.sin, 1.0), shared.count_operations(np.cos, 1.0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["7", "10"]


def test_public_names_are_those_of_the_rooms():
    assert shared.draw is draw and shared.source is source and shared.simplify is simplify
