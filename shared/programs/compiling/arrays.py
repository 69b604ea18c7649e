"""Equations whose result is an array: ufuncs, products and reductions into buffers, copies, views, and other calls.

This module knows no assignments to parts of arrays, and nothing of stretches.
"""

from __future__ import annotations

import numpy as np

from shared.programs.compiling.buffers import Buffers
from shared.programs.compiling.floats import DOT_AT_MOST
from shared.programs.compiling.numpy_text import REDUCTIONS, dtype_of, output_text, ufunc_of
from shared.programs.compiling.scope import Scope
from shared.programs.parts import Equation, ValueType


def write_array(scope: Scope, buffers: Buffers, equation: Equation) -> None:
    """Write an equation whose result is an array, and no assignment."""
    kind = scope.memory.kinds[equation.result]
    if kind == "view":
        _write_view(scope, equation)
    elif kind == "out":
        _write_into(scope, buffers, equation)
    else:
        text = scope.call(equation)
        scope.assign(equation.result, f"np.array({text})" if kind == "copied" else text)


def _write_view(scope: Scope, equation: Equation) -> None:
    """A view: made once where what it is a view of stays in its place."""
    number, first = equation.result, equation.operands[0]
    text = scope.call(equation)
    sample = scope.samples.get(first)
    # A literal that the text writes out may have another layout there.
    if sample is not None and (first not in scope.literals or scope.name(first) in scope.bindings):
        index = [scope.literals[k] for k in equation.operands[1:]]
        made = equation.primitive.raw(sample, *index, **equation.static)
        if np.may_share_memory(made, sample):
            scope.samples[number] = made
            scope.names[number] = scope.define(("view", text), text, f"{scope.name(first)}_")
            return
    scope.assign(number, text)


def _write_into(scope: Scope, buffers: Buffers, equation: Equation) -> None:
    """An array that a function writes into a buffer, or returns where it leaves the program."""
    number, operands = equation.result, equation.operands
    ufunc = ufunc_of(equation.primitive)
    if ufunc is not None and not equation.static:
        opening = f"np.{ufunc.__name__}({scope.beside_arrays(equation)}"
        _write_call(scope, number, opening, buffers.target(number, operands))
    elif equation.primitive.function is np.copy:
        source = scope.name(operands[0])
        target = buffers.target(number)
        scope.body.append(f"v{number} = np.array({source})" if target is None else f"{target}[...] = {source}")
    elif equation.primitive.function is np.matmul:
        opening = f"{_product(scope, equation)}({scope.name(operands[0])}, {scope.name(operands[1])}"
        _write_call(scope, number, opening, buffers.target(number))
    else:
        _write_reduction(scope, buffers, equation)


def _write_call(scope: Scope, number: int, opening: str, target: str | None) -> None:
    """A call that is complete but for its output array."""
    if target is None:
        scope.assign(number, f"{opening})")
    else:
        scope.body.append(f"{opening}, {output_text(opening, target)})")


def _product(scope: Scope, equation: Equation) -> str:
    """The function that computes a matrix product fastest."""
    a, b = (scope.types[k] for k in equation.operands)
    if len(a.shape) == len(b.shape) == 2 and a.shape[1] == 1:
        return "np.multiply"  # an outer product, which NumPy does faster element by element
    if a.dtype == b.dtype == scope.types[equation.result].dtype and max(len(a.shape), len(b.shape)) <= 2:
        return "np.dot"
    return "np.matmul"


def _write_reduction(scope: Scope, buffers: Buffers, equation: Equation) -> None:
    number, operand, static = equation.result, equation.operands[0], equation.static
    found = scope.types[operand]
    if len(equation.operands) > 1 or not static.keys() <= {"axis", "keepdims"} or not found.is_array:
        scope.memory.buffered.discard(number)
        scope.assign(number, f"np.array({scope.call(equation)})")
        return
    ufunc, axis, keepdims = REDUCTIONS[equation.primitive.function], static.get("axis"), bool(static.get("keepdims"))
    name = scope.name(operand)
    target = buffers.target(number)
    summed = _axis_of_dot(found, scope.types[number], axis) if ufunc is np.add else None
    if summed is not None:
        ones = scope.ones(found.shape[summed], dtype_of(found))
        product = f"np.dot({ones}, {name}" if summed == 0 else f"np.dot({name}, {ones}"
        if target is None:
            reshaped = f".reshape({scope.types[number].shape})" if keepdims else ""
            scope.assign(number, f"{product}){reshaped}")
        else:
            scope.body.append(f"{product}, {_flattened(scope, number, target, found.shape[1 - summed])})")
        scope.body[-1] += "  # sum"
        return
    text = f"np.{ufunc.__name__}.reduce({name}, {scope.namespace.text(axis)}, None, {target}, {keepdims})"
    if target is None:
        scope.assign(number, text)
    else:
        scope.body.append(text)


def _axis_of_dot(operand: ValueType, result: ValueType, axis: object) -> int | None:
    """The axis of a matrix whose sum is a product with a vector of ones, which NumPy does faster; None if not so."""
    if isinstance(axis, tuple) and len(axis) == 1:
        [axis] = axis
    if not isinstance(axis, int) or len(operand.shape) != 2 or operand.dtype != result.dtype:
        return None
    summed = axis % 2
    is_float = operand.dtype is not None and operand.dtype.kind == "f"
    return summed if is_float and 0 < operand.shape[summed] <= DOT_AT_MOST else None


def _flattened(scope: Scope, number: int, target: str, size: int) -> str:
    """The name of a buffer as a vector."""
    if scope.types[number].shape == (size,):
        return target
    return scope.define((f"{target}.reshape", size), f"{target}.reshape({size})", f"{target}_")
