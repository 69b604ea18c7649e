"""Gates in words: what a table and a drawing say of an operation is what its adjoints do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from shared import ReverseSweep, draw, relu, trace, trace_table
from shared.programs.explaining.remarks import remark


def gates(f: Any, *args: Any) -> list[str]:
    return [line.gate for line in trace_table(f, *args, columns=("primal", "gate")) if line.gate]


def handed(f: Any, *args: Any) -> list[Any]:
    """What the last operation hands to its operands, of an adjoint of 1."""
    return [contribution.value for contribution in next(ReverseSweep(f, *args)).contributions]


def test_a_sum_distributes_and_a_product_switches() -> None:
    assert gates(np.add, 5.0, 1.0) == ["distributes"] and handed(np.add, 5.0, 1.0) == [1.0, 1.0]
    assert gates(np.multiply, 5.0, 2.0) == ["switches"] and handed(np.multiply, 5.0, 2.0) == [2.0, 5.0]


@pytest.mark.parametrize("function", [np.maximum, np.fmax, np.minimum, np.fmin, lambda x, y: np.where(x > y, x, y)])
@pytest.mark.parametrize(("x", "y"), [(5.0, 1.0), (1.0, 5.0)])
def test_a_choice_remembers_the_side_that_is_handed_the_adjoint(function: Any, x: float, y: float) -> None:
    *_, word = gates(function, x, y)
    whole = handed(lambda x, y: function(x, y) * 1.0, x, y)
    sweep = ReverseSweep(function, x, y)
    left, right = sweep.finish()
    assert whole and (left, right) in ((1.0, 0.0), (0.0, 1.0))
    assert word == f"selects the {'left' if left else 'right'}"


def test_at_a_tie_both_are_named() -> None:
    assert gates(np.maximum, 3.0, 3.0) == ["selects both, they are equal"]
    assert ReverseSweep(np.maximum, 3.0, 3.0).finish() == (0.5, 0.5)


def test_of_arrays_it_is_counted_where_the_left_was_taken() -> None:
    x, y = np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])
    assert gates(lambda x, y: np.sum(np.maximum(x, y)), x, y) == ["selects the left at 1 of 3", "distributes"]
    assert gates(lambda x, y: np.sum(np.where(x > 1.5, x, y)), x, y) == ["selects the left at 2 of 3", "distributes"]


def test_an_index_and_relu_select_and_other_functions_scale() -> None:
    assert gates(lambda x: relu(np.sin(x[1])), np.ones(2)) == ["selects", "scales", "selects"]


def test_what_does_not_vary_has_no_habit() -> None:
    table = trace_table(lambda x, k: x * np.sin(k), 2.0, np.array(3), columns=("primal", "gate"))
    assert [line.gate for line in table.lines[:3]] == ["", "", ""]


def test_it_stands_in_every_notation_and_in_drawings() -> None:
    def f(x: Any, y: Any) -> Any:
        return (x + y) * np.maximum(x, y)

    table = trace_table(f, 5.0, 1.0, columns=("primal", "adjoint", "gate"))
    assert r"\mathrm{selects}\ \mathrm{the}\ \mathrm{left}" in table.latex()
    for text in (str(table), table.markdown(), table.html(), draw(f, 5.0, 1.0, gates=True).dot):
        assert all(word in text for word in ("distributes", "switches", "selects the left"))
    assert "distributes" not in draw(f, 5.0, 1.0).dot
    # What depends on data alone has no adjoint, and so no habit.
    assert draw(lambda w, x: w * np.sin(x), 5.0, 1.0, argnums=0, gates=True).dot.count("scales") == 0
    # Without a point nobody knows which was taken.
    assert "selects<" in draw(trace(f, 5.0, 1.0), gates=True).dot


def test_a_nan_is_no_side() -> None:
    program = trace(np.maximum, 5.0, 1.0)
    assert remark(program.equations[0], (np.nan, 1.0)) == "selects"
