"""Equations whose result is a Python float or a truth value: expressions of Python's arithmetic and of `math`.

What NumPy does silently raises here where it leaves the floats (`math.log(0.0)`): whoever calls the text then evaluates
the program otherwise.  This module knows no arrays but as operands.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.programs.compiling.numpy_text import FLOAT64, OF_FLOATS, REDUCTIONS, function_of
from shared.programs.compiling.scope import Scope
from shared.programs.parts import AS_KIND, Equation
from shared.rules import indexing, shapes

#: Expressions of numbers are nested up to about this many characters.
_LONGEST_EXPRESSION = 120
#: Sums of more elements than this are left to NumPy's pairwise summation, which rounds less than a dot product.
DOT_AT_MOST = 4096


def write_number(scope: Scope, equation: Equation) -> None:
    """Write an equation whose result is a number or a truth value."""
    number = equation.result
    is_truth = number in scope.memory.truths
    function = function_of(equation.primitive)
    form = OF_FLOATS.get(function)
    if form is not None and not equation.static and all(_is_plain(scope, k) for k in equation.operands):
        _write_expression(scope, equation, form, is_truth)
        return
    text = None if is_truth else _moved(scope, equation, function)
    if text is None:
        text = _inner_product(scope, equation, function) or _sum_of_all(scope, equation) or scope.call(equation)
        text = f"bool({text})" if is_truth else f"float({text})"
    scope.assign(number, text)


def _is_plain(scope: Scope, number: int) -> bool:
    """Whether an operand is a Python float, or a literal that can stand for one."""
    return number in scope.memory.floats or (
        number in scope.literals and scope.types[number].kind in (int, float, np.float64)
    )


def _write_expression(scope: Scope, equation: Equation, form: str, is_truth: bool) -> None:
    number = equation.result
    if "{0}" in form:
        scope.name(equation.operands[0])  # it stands there twice, so it needs a name
    text = form.format(*[scope.float_operand(k) for k in equation.operands])
    if scope.readers[number] == 1 and not is_truth and len(text) < _LONGEST_EXPRESSION:
        scope.postpone(number, text, text.isidentifier() or form.startswith(("math.", "abs(")))
    else:
        scope.assign(number, text)


def _moved(scope: Scope, equation: Equation, function: Any) -> str | None:
    """A float that is there already: one of another kind, or an element of an array; None if it is neither."""
    first, index = equation.operands[0] if equation.operands else -1, equation.operands[1:]
    if equation.primitive is AS_KIND and first in scope.memory.floats:
        return scope.name(first)
    if function is shapes.RESHAPE.function and scope.types[first].dtype == np.float64 and scope.types[first].is_array:
        return f"{scope.name(first)}.item()"
    if function is not indexing.GETITEM.function:
        return None
    if len(index) == len(scope.types[first].shape) > 0 and all(isinstance(scope.literals.get(k), int) for k in index):
        return f"{scope.name(first)}.item({', '.join(scope.name(k) for k in index)})"
    return scope.name(first) if first in scope.memory.floats else None


def _inner_product(scope: Scope, equation: Equation, function: Any) -> str | None:
    if function is not np.matmul or any(scope.types[k].dtype != FLOAT64 for k in equation.operands):
        return None
    first, second = equation.operands
    return f"np.dot({scope.name(first)}, {scope.name(second)})"


def _sum_of_all(scope: Scope, equation: Equation) -> str | None:
    """A reduction of all elements of an array to one number."""
    ufunc = REDUCTIONS.get(equation.primitive.function)
    if ufunc is None or len(equation.operands) != 1 or not equation.static.keys() <= {"axis", "keepdims"}:
        return None
    [operand] = equation.operands
    found = scope.types[operand]
    if not found.is_array or found.dtype != FLOAT64:
        return None
    name = scope.name(operand)
    if len(found.shape) != 1:
        return f"np.{ufunc.__name__}.reduce({name}, None)"
    if ufunc is np.add and 0 < found.size <= DOT_AT_MOST:
        return f"np.dot({name}, {scope.ones(found.size, FLOAT64)})"
    return f"np.{ufunc.__name__}.reduce({name})"
