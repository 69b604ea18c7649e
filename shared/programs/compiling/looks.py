"""Which results of a compiled derivative are asked for a NaN: as few as tell that care would not change any of them.

A derivative with a NaN is computed again with care for zeros that are exact (`shared.calling.careful`), which changes
what comes of a product of such a zero and a number that is not finite, and nothing else.  So not every result has to
be looked at.  Of each value of the program this module knows, once some results are found finite,

    finite   that all of its elements are.  A sum, a difference, a product, a quotient is finite only if its terms, its
             factors, its numerator are, since infinity and NaN go through these operations
    settled  that care would compute it as it is: arguments, constants without a NaN, finite values, and what is made of
             settled ones without a product, of finite ones by one, or of settled ones and a constant that is neither 0
             nor inf

and results that are settled need no look: a NaN in them is one of an overflow, or of an argument.  The gradient of
sum(100 (y - x^2)^2 + (1 - x)^2) is settled where the value is finite, which is a number; the gradients of fifty layers,
where that of the first layer's bias is.  A look that fails says nothing yet: every result is asked for a NaN then.
This module knows neither derivatives nor how a zero is known to be exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from shared.calling.results import has_nan
from shared.calling.tree import LEAF, Structure
from shared.core.assignment import SETITEM
from shared.programs.compiling.literals import literal
from shared.programs.compiling.numpy_text import function_of
from shared.programs.equations import AS_KIND, Equation, ValueType, Write
from shared.programs.program import Program
from shared.rules import indexing, shapes

#: What infinity and NaN of any operand go through.
_PASSED_ON = frozenset((np.add, np.subtract, np.multiply, np.negative, np.positive, np.square, np.matmul, np.sum))
#: What hands on each element, as it is.
_WHOLE = frozenset((shapes.RESHAPE.function, shapes.TRANSPOSE.function, np.broadcast_to, np.copy, AS_KIND.function))
#: What is finite where its operands are.
_BOUNDED = frozenset(
    (*_WHOLE, indexing.GETITEM.function, shapes.CONCATENATE.function, np.tanh, np.sin, np.cos, np.negative, np.positive)
)
#: What care computes as it is, besides ufuncs of one argument.
_SETTLED = frozenset(
    (*_BOUNDED, np.add, np.subtract, np.maximum, np.minimum, np.sum, shapes.ASTYPE.function, np.where)
)  # fmt: skip
_PRODUCTS = frozenset((np.multiply, np.matmul))
#: So many arrays are looked at, at most, to find out what is settled: each time is a pass over the program.
_PASSES = 3
_HARMLESS = {"axis", "keepdims"}
_DOUBLES = (np.dtype(np.float64), np.dtype(np.float32))


def look(program: Program) -> str | None:
    """An expression of `result`, `isfinite` and `inf` that is true if no result has a NaN that care would change.

    It may be false for others, too.  None if `result` has parts that an expression does not reach.

    >>> from shared.programs import trace
    >>> look(trace(lambda x: (np.sum(x), 2.0 * x, x / x), np.ones(3)))
    'isfinite(result[0]) and (y := (x := result[2]).item(x.argmax())) == y'
    """
    places: dict[int, str] = {}
    for number, place in zip(program.outputs, _paths(program.out_structure, "result"), strict=True):
        if place is None:
            return None
        if _may_be_nan(program.types[number]):
            places.setdefault(number, place)
    rows = [_text(places[number], program.types[number], finite) for number, finite in _chosen(program, places).items()]
    return " and ".join(rows) or "True"


def _paths(structure: Structure, place: str) -> Iterator[str | None]:
    """Where in `result` each leaf is; None for one that an expression does not reach."""
    if structure is LEAF:
        yield place
        return
    for k, child in enumerate(structure.children):
        key: str | None = str(k)
        if structure.names is not None:
            key = literal(structure.names[k]) if structure.kind is dict else None
        yield from [None] * child.size if key is None else _paths(child, f"{place}[{key}]")


def _may_be_nan(type_: ValueType) -> bool:
    return bool(
        type_.size and (type_.kind in (float, complex) or (type_.dtype is not None and type_.dtype.kind in "fc"))
    )


def _chosen(program: Program, results: Iterable[int]) -> dict[int, bool]:
    """The results to look at: True if they have to be finite, False if they only may not have a NaN."""
    types = program.types
    finite = [number for number in results if types[number].kind in (float, np.float64)]
    settled = _Known(program, finite).settled
    left = [number for number in results if number not in settled]
    tried: set[int] = set()
    for _ in range(_PASSES):
        arrays = [k for k in left if k not in tried and types[k].is_array and types[k].dtype in _DOUBLES]
        if len(left) < 2 or not arrays:
            break
        one = min(arrays, key=lambda number: types[number].size)
        tried.add(one)
        settled = _Known(program, [*finite, one]).settled
        others = [number for number in left if number not in settled]
        # That an array is finite takes twice as long to find out as that it has no NaN.
        if len(others) < len(left) - 1:
            finite, left = [*finite, one], others
    return {**dict.fromkeys(finite, True), **dict.fromkeys(left, False)}


def _text(place: str, type_: ValueType, finite: bool) -> str:
    if not type_.is_array:
        return f"isfinite({place})" if finite else f"{place} == {place}"
    array = f"(x := {place})" if len(type_.shape) == 1 else f'(x := {place}.ravel("K"))'
    if finite:
        # A product with itself would warn of an overflow.
        return f"-inf < {array}.item(x.argmin()) and x.item(x.argmax()) < inf"
    # The largest is the first NaN, if there is one: half the time of asking every element.
    return f"(y := {array}.item(x.argmax())) == y"


class _Known:
    """What is known of the values of a program where some results are finite."""

    def __init__(self, program: Program, finite: Iterable[int]):
        self.types, self.literals = program.types, program.literals
        self.finite = set(finite)
        for step in reversed(program.equations):
            if step.result in self.finite:
                self.finite.update(self._through(step))
        self.finite.update(number for number, value in program.literals.items() if _is_finite(value))
        # What a NaN was folded into may be such a product itself.
        literals = [number for number, value in program.literals.items() if not _has_nan(value)]
        self.settled = {*program.inputs, *program.captured, *literals, *self.finite}
        for step in program.equations:
            if self._is_settled(step):
                self.settled.add(step.result)

    def _through(self, step: Equation) -> tuple[int, ...]:
        """The operands that are finite because the result is: each element of them has a part in it."""
        primitive, result = step.primitive, self.types[step.result]
        if not result.size or any(self.types[k].is_complex is not result.is_complex for k in step.operands):
            return ()
        if isinstance(primitive, Write):
            return step.operands[:1] if primitive.updating is not SETITEM else ()
        function = function_of(primitive)
        if function in _WHOLE or function is shapes.ASTYPE.function:
            return step.operands
        if not step.static.keys() <= _HARMLESS:
            return ()  # with `where`, some elements have no part in it
        if function in _PASSED_ON:
            return step.operands
        return step.operands[:1] if function is np.divide else ()

    def _is_settled(self, step: Equation) -> bool:
        operands = step.operands
        if not self.settled.issuperset(operands):
            return False
        if isinstance(step.primitive, Write):
            return True
        function = function_of(step.primitive)
        if self.finite.issuperset(operands):
            if function in _BOUNDED:
                self.finite.add(step.result)
            if function in _PRODUCTS:
                return True
        if function in _SETTLED or (isinstance(function, np.ufunc) and function.nin == 1):
            return True
        if function is np.multiply:
            return any(self._is_factor(number) for number in operands)
        return function is np.divide and self._is_factor(operands[1])

    def _is_factor(self, number: int) -> bool:
        """Whether a value is a constant that is neither zero nor infinite nor NaN."""
        return (
            number in self.finite and number in self.literals and bool(np.all(np.not_equal(self.literals[number], 0)))
        )


def _is_finite(value: Any) -> bool:
    """Whether a literal holds finite numbers only."""
    if isinstance(value, np.ndarray):
        # A constant that was stretched holds one number.
        value = value if any(value.strides) or not value.size else value[(0,) * value.ndim]
        return value.dtype.kind in "biufc" and bool(np.isfinite(value).all())
    return isinstance(value, (int, float, complex, np.number)) and bool(np.isfinite(value))


def _has_nan(value: Any) -> bool:
    """Whether a literal is a NaN, or has one."""
    return isinstance(value, (float, complex, np.inexact, np.ndarray)) and has_nan([value])
