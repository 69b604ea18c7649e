"""Assignments to parts of arrays: in place where nobody needs the old contents, otherwise to a copy.

Where an array of zeros is added to, it is assigned, if the index names no element twice.  This module knows nothing of
how other arrays are computed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from shared.programs.compiling.buffers import Buffers
from shared.programs.compiling.literals import is_plain_dtype, number_text
from shared.programs.compiling.numpy_text import allocation, dtype_of
from shared.programs.compiling.scope import Scope
from shared.programs.parts import Equation
from shared.tracer import ADD_AT, SETITEM


def write_assignment(scope: Scope, buffers: Buffers, equation: Equation) -> None:
    """Write an assignment (an equation of a `Write`)."""
    number, buffer = equation.result, equation.operands[0]
    if number in scope.memory.in_place:
        target = scope.names[number] = scope.name(buffer)
        if buffer in scope.samples:
            scope.samples[number] = scope.samples[buffer]
        _write_elements(scope, equation, target, of_zeros=False)
        return
    literal = scope.literals.get(buffer)
    of_zeros = isinstance(literal, np.ndarray) and not literal.any()
    found = buffers.target(number)
    if found is not None:
        target = found
        scope.body.append(f"{target}.fill(0)" if of_zeros else f"{target}[...] = {scope.strong(buffer)}")
    else:
        target = scope.names[number] = f"v{number}"
        copied = allocation("zeros", scope.types[number]) if of_zeros else f"np.array({scope.name(buffer)})"
        scope.body.append(f"{target} = {copied}")
    _write_elements(scope, equation, target, of_zeros)


def _write_elements(scope: Scope, equation: Equation, target: str, of_zeros: bool) -> None:
    """Write to the elements of the array `target` that the index of an assignment selects."""
    updating = equation.primitive.updating
    *outer, inner = _indices(equation)
    place = target
    for part in outer:
        place += f"[{_index_text(scope, part)}]"
    index = _index_text(scope, inner)
    distinct = all(scope.memory.is_basic(k) for k in inner) or _names_each_once(scope, inner)
    source = scope.literals.get(equation.operands[1])
    if isinstance(source, np.ndarray) and source.size and not any(source.strides) and is_plain_dtype(source.dtype):
        text = str(number_text(source.flat[0].item()))
    else:
        text = scope.name(equation.operands[1])
    if updating is SETITEM or (of_zeros and distinct):
        scope.body.append(f"{place}[{index}] = {text}")
    elif updating is ADD_AT and not distinct:
        scope.body.append(f"np.add.at({place}, np.s_[{index}], {text})")
    else:
        scope.body.append(f"{place}[{index}] += {text}")


def _indices(equation: Equation) -> list[Sequence[int]]:
    """The parts of each index: `x[1:][k] = v` has two."""
    found: list[Sequence[int]] = []
    start = 2
    for length in equation.static["lengths"]:
        found.append(equation.operands[start : start + length])
        start += length
    return found


def _index_text(scope: Scope, parts: Sequence[int]) -> str:
    return ", ".join([scope.name(k) for k in parts]) or "()"


def _names_each_once(scope: Scope, index: Sequence[int]) -> bool:
    """Whether an index of arrays names no element twice, because one part of it is a literal without repetition."""
    types = scope.types
    arrays = [k for k in index if types[k].is_array]
    if any(dtype_of(types[k]).kind == "b" for k in arrays):
        return len(index) == 1
    others = [k for k in index if not types[k].is_array and types[k].kind not in (slice, type(None))]
    if others or len({types[k].shape for k in arrays}) != 1:
        return False
    literals = [scope.literals[k] for k in arrays if k in scope.literals]
    return any((literal >= 0).all() and len(np.unique(literal)) == literal.size for literal in literals)
