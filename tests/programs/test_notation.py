"""How programs are written: operators belong to functions, and parentheses stand where Python needs them."""

from __future__ import annotations

import ast
import itertools
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shared import REGISTRY, draw, elementwise, trace, trace_table
from shared.programs import notation
from shared.programs.explaining import labels
from shared.programs.text import comparison, right_side, text_lines
from shared.rules import elementwise as rules

BETWEEN: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "<": operator.lt,
    "==": operator.eq,
}


def test_every_operator_binds_as_in_python() -> None:
    """Of any two operators, the one in the middle of x ? y ? z that Python takes first has the higher precedence."""
    symbols = {found.symbol: found for found in notation.INFIX.values()}
    for (one, first), (other, second) in itertools.product(symbols.items(), repeat=2):
        tree: Any = ast.parse(f"x {one} y {other} z", mode="eval").body
        if isinstance(tree, ast.Compare) and len(tree.ops) == 2:
            assert first.precedence == second.precedence
        elif first.precedence != second.precedence:
            left: Any = tree.left if hasattr(tree, "left") else tree.values[0]
            assert (not isinstance(left, ast.Name)) == (first.precedence > second.precedence), (one, other)


def nested(outer: str, inner: str, is_right: bool) -> tuple[Callable[..., Any], str]:
    """A function that applies one operator to the result of another, and its text with all parentheses."""
    f = BETWEEN.get(inner, lambda x, y: -x)
    text = f"(x {inner} y)" if inner in BETWEEN else "(-x)"
    if outer not in BETWEEN:
        return lambda x, y, z: -f(x, y), f"(-{text})"
    g = BETWEEN[outer]
    if is_right:
        return lambda x, y, z: g(z, f(x, y)), f"(z {outer} {text})"
    return lambda x, y, z: g(f(x, y), z), f"({text} {outer} z)"


@pytest.mark.parametrize("is_right", [False, True], ids=["left", "right"])
@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        (outer, inner)
        for outer, inner in itertools.product([*BETWEEN, "sign"], repeat=2)
        # NumPy takes no negative of a truth value.
        if outer != "sign" or inner not in ("<", "==")
    ],
)
def test_text_of_a_branch_means_what_it_computes(outer: str, inner: str, is_right: bool) -> None:
    f, text = nested(outer, inner, is_right)
    with np.errstate(all="ignore"):
        program = trace(lambda x, y, z: 1.0 if f(x, y, z) else 2.0, *np.array([0.7, 1.3, 2.1]))
    (guard,) = program.guards
    written = comparison(program, guard)
    assert ast.dump(ast.parse(written)) == ast.dump(ast.parse(text)), written


def test_parentheses_are_left_out_where_python_needs_none() -> None:
    program = trace(lambda x: 1.0 if np.sum(x) * 2.0 > 1.0 else 2.0, np.ones(3))
    assert comparison(program, program.guards[0]) == "sum(x) * 2.0 > 1.0"
    lines = [text for text, _, _ in text_lines(trace(lambda x: -2.0 * x**-3.0 - (-1.0) ** x, 2.0))]
    assert lines == ["v2 = x ** -3.0", "v4 = -2.0 * v2", "v6 = (-1.0) ** x", "v7 = v4 - v6"]


def test_a_primitive_of_one_s_own_is_no_operator_whatever_it_is_called() -> None:
    def add(x: Any, y: Any) -> Any:
        return x + 2 * y

    own_add = elementwise(add, 1, 2)
    del REGISTRY[add]
    program = trace(lambda x, y: own_add(x, y) + x, 1.0, 2.0)
    mine, numpys = program.equations
    assert mine.primitive.name == numpys.primitive.name == "add"
    assert [labels.operation_text(program, step) for step in program.equations] == ["add", "+"]
    assert [labels.is_commutative(step) for step in program.equations] == [False, True]
    assert [right_side(program, step) for step in program.equations] == ["add(x, y)", "v2 + x"]
    assert "add(v₋₁, v₀)" in str(trace_table(program, 1.0, 2.0))
    # The order of its operands is told apart in a picture.
    assert ":p0:" in draw(program).dot


@pytest.mark.parametrize(
    ("f", "symbol"),
    [
        (lambda x: x > 0.5, ">"),
        (lambda x: np.greater(x, 0.5), ">"),
        (lambda x: (x > 0.5) & (x < 2.0), "&"),
        (lambda x: np.logical_and(x > 0.5, x < 2.0), "and"),
        (lambda x: x // 2.0, "//"),
        (lambda x: np.floor_divide(x, 2.0), "//"),
        (lambda x: x**1.5, "**"),
        (lambda x: x @ x, "@"),
        (lambda x: ~(x > 0.5), "~"),
        (lambda x: -x, "-"),
    ],
)
def test_an_operator_and_its_function_are_written_alike(f: Callable[..., Any], symbol: str) -> None:
    program = trace(f, np.linspace(0.1, 3.0, 4))
    last = program.equations[-1]
    assert labels.operation_text(program, last) == symbol
    assert symbol == "and" or symbol in right_side(program, last)


def test_every_operator_of_python_that_is_traced_has_a_symbol() -> None:
    for primitive in (*rules.CONSTANT_OPERATORS.values(), *rules.LOGICAL_OPERATORS.values()):
        assert notation.operator_of(primitive, 2) is not None
        assert notation.operator_of(primitive, 1) is None
