"""What a notebook shows of a program, a sweep, a rounding error, a diagnosis and a check: the text's, as HTML."""

from __future__ import annotations

from typing import Any

import numpy as np
from reading_markup import read_html

import dualad
import reversead
from shared import MLP, ReverseSweep, check_grads, cost, diagnose, rounding_error, trace, trace_table
from shared.comparison.agreement import Agreement


def f(x: Any, y: Any) -> Any:
    return np.sin(x) * y if x < y else x


def shown(thing: Any) -> str:
    return read_html(thing._repr_html_()).text


def test_a_program_shows_its_steps() -> None:
    program = trace(f, 1.0, 5.0)
    text = shown(program)
    for part in ("f: 3 equations, 1 guards", "xfloatargument", "v2 = x < y", "guard v2 is True", "v3 * y", "return v4"):
        assert part in text, text


def test_of_a_long_program_the_middle_is_left_out() -> None:
    def long(x: Any) -> Any:
        for _ in range(1000):
            x = x * 1.5
        return x

    program = trace(long, 1.0)
    assert program._repr_html_().count("<tr>") < 110
    assert "lines left out" in shown(program) and "return v" in shown(program)
    assert ReverseSweep(long, 1.0)._repr_html_().count("<tr>") < 110


def test_a_sweep_shows_how_far_it_is() -> None:
    sweep = ReverseSweep(lambda x, y: np.sin(x) * y, 0.0, 5.0)
    assert "0 of 2 equations passed" in shown(sweep) and "next" in shown(sweep) and "passed" not in rows(sweep)[-1]
    next(sweep)
    assert "1 of 2 equations passed" in shown(sweep)
    assert rows(sweep)[-1].endswith("passed") and rows(sweep)[-2].endswith("5next")


def rows(thing: Any) -> list[str]:
    return [read_html(row).text for row in thing._repr_html_().split("<tr>")[2:]]


def test_rounding_errors_diagnoses_and_checks_show_what_they_print() -> None:
    error = rounding_error(lambda x: (1 - np.cos(x)) / x**2, 1e-5)
    assert "rounding error at most about 2.2e-06" in shown(error) and "cos(x)" in rows(error)[0]
    found = diagnose(lambda x: np.sum(np.sqrt(x) ** 2), np.array([1.0, 0.0]))
    assert "zero times an infinite slope" in shown(found)
    assert shown(diagnose(np.sin, 1.0)).endswith("no kink was met")
    report = check_grads(np.sin, 1.0, engines=(dualad, reversead), order=1)
    assert "6 comparisons passed" in shown(report) and len(rows(report)) == 6
    agreed = Agreement(0.0, 1e-3, 0.0, 1e-9, 1e-9, None)
    assert read_html(agreed._repr_html_()).text == str(agreed) and str(agreed).startswith("DISAGREEMENT")


def test_headings_of_a_network_of_fifty_layers_fit_a_page() -> None:
    network = MLP([3, *[4] * 50, 2], "tanh")
    arguments = (
        network.initialise("xavier_normal", np.random.default_rng(0)),
        np.ones((4, 3)),
        np.eye(2)[[0, 1, 1, 0]],
    )
    table = trace_table(network.objective(), *arguments)
    assert table.title == (
        "objective(parameters[0][0], parameters[0][1], parameters[1][0], parameters[1][1], ... 98 more ..., x, target)"
    )
    lines = table.latex().splitlines()
    # The title, the heads and no more lines than a page has.
    assert len(lines) < 55 and max(map(len, lines)) < 400
    assert len(str(table).splitlines()[0]) < 120 and len(cost(network.objective(), *arguments)._caption()) < 120
