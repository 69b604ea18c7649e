"""What each step of a program says as text: numbers, arrays, assignments, and the containers that are returned.

Numbers are expressions of Python's arithmetic and of `math`: what NumPy does silently raises there where it leaves the
floats (`math.log(0.0)`), and whoever calls the text then evaluates the program otherwise.  Arrays are ufuncs, products
and reductions into buffers, copies, views and other calls.  Assignments are done in place where nobody needs the old
contents.  This module knows nothing of fused loops, and of the order of the steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from shared.calling.tree import LEAF, Structure
from shared.core.assignment import ADD_AT, SETITEM
from shared.programs.compiling.emitter import Buffers, Emitter
from shared.programs.compiling.literals import Namespace, is_plain_dtype, number_text, numpy_class
from shared.programs.compiling.numpy_text import (
    FLOAT64,
    OF_FLOATS,
    REDUCTIONS,
    allocation,
    dtype_of,
    dtype_text,
    function_of,
    output_text,
    ufunc_of,
)
from shared.programs.equations import AS_KIND, Equation, ValueType
from shared.rules import indexing, shapes

#: Expressions of numbers are nested up to about this many characters.
_LONGEST_EXPRESSION = 120
#: Sums of more elements than this are left to NumPy's pairwise summation, which rounds less than a dot product.
DOT_AT_MOST = 4096


def write_number(emitter: Emitter, equation: Equation) -> None:
    """Write an equation whose result is a number or a truth value."""
    number = equation.result
    is_truth = number in emitter.memory.truths
    function = function_of(equation.primitive)
    form = OF_FLOATS.get(function)
    if form is not None and not equation.static and all(_is_plain(emitter, k) for k in equation.operands):
        _write_expression(emitter, equation, form, is_truth)
        return
    text = None if is_truth else _moved(emitter, equation, function)
    if text is None:
        text = _inner_product(emitter, equation, function) or _sum_of_all(emitter, equation) or emitter.call(equation)
        text = f"bool({text})" if is_truth else f"float({text})"
    emitter.assign(number, text)


def _is_plain(emitter: Emitter, number: int) -> bool:
    """Whether an operand is a Python float, or a literal that can stand for one."""
    return number in emitter.memory.floats or (
        number in emitter.literals and emitter.types[number].kind in (int, float, np.float64)
    )


def _write_expression(emitter: Emitter, equation: Equation, form: str, is_truth: bool) -> None:
    number = equation.result
    if "{0}" in form:
        emitter.name(equation.operands[0])  # it stands there twice, so it needs a name
    text = form.format(*[emitter.float_operand(k) for k in equation.operands])
    if emitter.readers[number] == 1 and not is_truth and len(text) < _LONGEST_EXPRESSION:
        emitter.postpone(number, text, text.isidentifier() or form.startswith(("math.", "abs(")))
    else:
        emitter.assign(number, text)


def _moved(emitter: Emitter, equation: Equation, function: Any) -> str | None:
    """A float that is there already: one of another kind, or an element of an array; None if it is neither."""
    first, index = equation.operands[0] if equation.operands else -1, equation.operands[1:]
    if equation.primitive is AS_KIND and first in emitter.memory.floats:
        return emitter.name(first)
    if (
        function is shapes.RESHAPE.function
        and emitter.types[first].dtype == np.float64
        and emitter.types[first].is_array
    ):
        return f"{emitter.name(first)}.item()"
    if function is not indexing.GETITEM.function:
        return None
    if len(index) == len(emitter.types[first].shape) > 0 and all(
        isinstance(emitter.literals.get(k), int) for k in index
    ):
        return f"{emitter.name(first)}.item({', '.join(emitter.name(k) for k in index)})"
    return emitter.name(first) if first in emitter.memory.floats else None


def _inner_product(emitter: Emitter, equation: Equation, function: Any) -> str | None:
    if function is not np.matmul or any(emitter.types[k].dtype != FLOAT64 for k in equation.operands):
        return None
    first, second = equation.operands
    return f"np.dot({emitter.name(first)}, {emitter.name(second)})"


def _sum_of_all(emitter: Emitter, equation: Equation) -> str | None:
    """A reduction of all elements of an array to one number."""
    ufunc = REDUCTIONS.get(equation.primitive.function)
    if ufunc is None or len(equation.operands) != 1 or not equation.static.keys() <= {"axis", "keepdims"}:
        return None
    [operand] = equation.operands
    found = emitter.types[operand]
    if not found.is_array or found.dtype != FLOAT64:
        return None
    name = emitter.name(operand)
    if len(found.shape) != 1:
        return f"np.{ufunc.__name__}.reduce({name}, None)"
    if ufunc is np.add and 0 < found.size <= DOT_AT_MOST:
        return f"np.dot({name}, {emitter.ones(found.size, FLOAT64)})"
    return f"np.{ufunc.__name__}.reduce({name})"


def write_array(emitter: Emitter, buffers: Buffers, equation: Equation) -> None:
    """Write an equation whose result is an array, and no assignment."""
    kind = emitter.memory.kinds[equation.result]
    if kind == "view":
        _write_view(emitter, equation)
    elif kind == "out":
        _write_into(emitter, buffers, equation)
    else:
        text = emitter.call(equation)
        emitter.assign(equation.result, f"np.array({text})" if kind == "copied" else text)


def _write_view(emitter: Emitter, equation: Equation) -> None:
    """A view: made once where what it is a view of stays in its place."""
    number, first = equation.result, equation.operands[0]
    text = emitter.call(equation)
    sample = emitter.samples.get(first)
    # A literal that the text writes out may have another layout there.
    if sample is not None and (first not in emitter.literals or emitter.name(first) in emitter.bindings):
        index = [emitter.literals[k] for k in equation.operands[1:]]
        made = equation.primitive.raw(sample, *index, **equation.static)
        if np.may_share_memory(made, sample):
            emitter.samples[number] = made
            emitter.names[number] = emitter.define(("view", text), text, f"{emitter.name(first)}_")
            return
    emitter.assign(number, text)


def _write_into(emitter: Emitter, buffers: Buffers, equation: Equation) -> None:
    """An array that a function writes into a buffer, or returns where it leaves the program."""
    number, operands = equation.result, equation.operands
    ufunc = ufunc_of(equation.primitive)
    if ufunc is not None and not equation.static:
        opening = f"np.{ufunc.__name__}({emitter.beside_arrays(equation)}"
        _write_call(emitter, number, opening, buffers.target(number, operands))
    elif equation.primitive.function is np.copy:
        source = emitter.name(operands[0])
        target = buffers.target(number)
        emitter.body.append(f"v{number} = np.array({source})" if target is None else f"{target}[...] = {source}")
    elif equation.primitive.function is np.matmul:
        opening = f"{_product(emitter, equation)}({emitter.name(operands[0])}, {emitter.name(operands[1])}"
        _write_call(emitter, number, opening, buffers.target(number))
    else:
        _write_reduction(emitter, buffers, equation)


def _write_call(emitter: Emitter, number: int, opening: str, target: str | None) -> None:
    """A call that is complete but for its output array."""
    if target is None:
        emitter.assign(number, f"{opening})")
    else:
        emitter.body.append(f"{opening}, {output_text(opening, target)})")


def _product(emitter: Emitter, equation: Equation) -> str:
    """The function that computes a matrix product fastest."""
    a, b = (emitter.types[k] for k in equation.operands)
    if len(a.shape) == len(b.shape) == 2 and a.shape[1] == 1:
        return "np.multiply"  # an outer product, which NumPy does faster element by element
    if a.dtype == b.dtype == emitter.types[equation.result].dtype and max(len(a.shape), len(b.shape)) <= 2:
        return "np.dot"
    return "np.matmul"


def _write_reduction(emitter: Emitter, buffers: Buffers, equation: Equation) -> None:
    number, operand, static = equation.result, equation.operands[0], equation.static
    found = emitter.types[operand]
    if len(equation.operands) > 1 or not static.keys() <= {"axis", "keepdims"} or not found.is_array:
        emitter.memory.buffered.discard(number)
        emitter.assign(number, f"np.array({emitter.call(equation)})")
        return
    ufunc, axis, keepdims = REDUCTIONS[equation.primitive.function], static.get("axis"), bool(static.get("keepdims"))
    name = emitter.name(operand)
    target = buffers.target(number)
    summed = _axis_of_dot(found, emitter.types[number], axis) if ufunc is np.add else None
    if summed is not None:
        ones = emitter.ones(found.shape[summed], dtype_of(found))
        product = f"np.dot({ones}, {name}" if summed == 0 else f"np.dot({name}, {ones}"
        if target is None:
            reshaped = f".reshape({emitter.types[number].shape})" if keepdims else ""
            emitter.assign(number, f"{product}){reshaped}")
        else:
            emitter.body.append(f"{product}, {_flattened(emitter, number, target, found.shape[1 - summed])})")
        emitter.body[-1] += "  # sum"
        return
    text = f"np.{ufunc.__name__}.reduce({name}, {emitter.namespace.text(axis)}, None, {target}, {keepdims})"
    if target is None:
        emitter.assign(number, text)
    else:
        emitter.body.append(text)


def _axis_of_dot(operand: ValueType, result: ValueType, axis: object) -> int | None:
    """The axis of a matrix whose sum is a product with a vector of ones, which NumPy does faster; None if not so."""
    if isinstance(axis, tuple) and len(axis) == 1:
        [axis] = axis
    if not isinstance(axis, int) or len(operand.shape) != 2 or operand.dtype != result.dtype:
        return None
    summed = axis % 2
    is_float = operand.dtype is not None and operand.dtype.kind == "f"
    return summed if is_float and 0 < operand.shape[summed] <= DOT_AT_MOST else None


def _flattened(emitter: Emitter, number: int, target: str, size: int) -> str:
    """The name of a buffer as a vector."""
    if emitter.types[number].shape == (size,):
        return target
    return emitter.define((f"{target}.reshape", size), f"{target}.reshape({size})", f"{target}_")


def write_assignment(emitter: Emitter, buffers: Buffers, equation: Equation) -> None:
    """Write an assignment (an equation of a `Write`)."""
    number, buffer = equation.result, equation.operands[0]
    if number in emitter.memory.in_place:
        target = emitter.names[number] = emitter.name(buffer)
        if buffer in emitter.samples:
            emitter.samples[number] = emitter.samples[buffer]
        _write_elements(emitter, equation, target, of_zeros=False)
        return
    literal = emitter.literals.get(buffer)
    of_zeros = isinstance(literal, np.ndarray) and not literal.any()
    found = buffers.target(number)
    if found is not None:
        target = found
        emitter.body.append(f"{target}.fill(0)" if of_zeros else f"{target}[...] = {emitter.strong(buffer)}")
    else:
        target = emitter.names[number] = f"v{number}"
        copied = allocation("zeros", emitter.types[number]) if of_zeros else f"np.array({emitter.name(buffer)})"
        emitter.body.append(f"{target} = {copied}")
    _write_elements(emitter, equation, target, of_zeros)


def _write_elements(emitter: Emitter, equation: Equation, target: str, of_zeros: bool) -> None:
    """Write to the elements of the array `target` that the index of an assignment selects."""
    updating = equation.primitive.updating
    *outer, inner = _indices(equation)
    place = target
    for part in outer:
        place += f"[{_index_text(emitter, part)}]"
    index = _index_text(emitter, inner)
    distinct = all(emitter.memory.is_basic(k) for k in inner) or _names_each_once(emitter, inner)
    source = emitter.literals.get(equation.operands[1])
    if isinstance(source, np.ndarray) and source.size and not any(source.strides) and is_plain_dtype(source.dtype):
        text = str(number_text(source.flat[0].item()))
    else:
        text = emitter.name(equation.operands[1])
    if updating is SETITEM or (of_zeros and distinct):
        emitter.body.append(f"{place}[{index}] = {text}")
    elif updating is ADD_AT and not distinct:
        emitter.body.append(f"np.add.at({place}, np.s_[{index}], {text})")
    else:
        emitter.body.append(f"{place}[{index}] += {text}")


def _indices(equation: Equation) -> list[Sequence[int]]:
    """The parts of each index: `x[1:][k] = v` has two."""
    found: list[Sequence[int]] = []
    start = 2
    for length in equation.static["lengths"]:
        found.append(equation.operands[start : start + length])
        start += length
    return found


def _index_text(emitter: Emitter, parts: Sequence[int]) -> str:
    return ", ".join([emitter.name(k) for k in parts]) or "()"


def _names_each_once(emitter: Emitter, index: Sequence[int]) -> bool:
    """Whether an index of arrays names no element twice, because one part of it is a literal without repetition."""
    types = emitter.types
    arrays = [k for k in index if types[k].is_array]
    if any(dtype_of(types[k]).kind == "b" for k in arrays):
        return len(index) == 1
    others = [k for k in index if not types[k].is_array and types[k].kind not in (slice, type(None))]
    if others or len({types[k].shape for k in arrays}) != 1:
        return False
    literals = [emitter.literals[k] for k in arrays if k in emitter.literals]
    return any((literal >= 0).all() and len(np.unique(literal)) == literal.size for literal in literals)


def result_text(emitter: Emitter) -> str:
    """The expression after `return`; lines that it needs are added to the body."""
    return container_text(emitter.namespace, emitter.program.out_structure, _leaves(emitter))


def _leaves(emitter: Emitter) -> Iterator[str]:
    # Who gets an array twice gets two.
    returned: set[int] = set()
    for number in emitter.program.outputs:
        yield _leaf(emitter, number, number in returned)
        returned.add(number)


def _leaf(emitter: Emitter, number: int, again: bool) -> str:
    type_, name = emitter.types[number], emitter.name(number)
    if emitter.memory.is_number(number):
        if type_.is_array:
            return f"np.array({name}, {dtype_text(type_)})"
        return name if type_.kind in (float, bool) else f"{dtype_text(type_)}({name})"
    if not type_.is_array or (number in emitter.memory.results and not again):
        return name
    return f"np.array({name})"


def container_text(namespace: Namespace, structure: Structure, leaves: Iterator[str]) -> str:
    """The expression that builds a container of its leaves."""
    if structure is LEAF:
        return next(leaves)
    kind = structure.kind
    if kind is None:
        return "None"
    parts = [container_text(namespace, child, leaves) for child in structure.children]
    if kind is list:
        return f"[{', '.join(parts)}]"
    if kind is dict:
        keys = [namespace.text(key, "key") for key in structure.names or ()]
        return "{" + ", ".join(f"{k}: {p}" for k, p in zip(keys, parts, strict=True)) + "}"
    if kind is tuple:
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
    if structure.names is not None:
        return f"{namespace.object(structure.names.make, 'container', kind.__qualname__)}([{', '.join(parts)}])"
    return f"{_kind(namespace, kind)}({', '.join(parts)})"


def _kind(namespace: Namespace, kind: Any) -> str:
    """The name of a class of named tuples: NumPy's own are imported."""
    imported = numpy_class(kind)
    if imported is None or namespace.definitions.setdefault(kind.__name__, imported) != imported:
        return namespace.object(kind, "container", kind.__qualname__)
    return str(kind.__name__)
