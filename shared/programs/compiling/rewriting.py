"""Rewriting for compilation: fewer operations by rules of algebra that hold to rounding.

Reverse mode multiplies by constants again and again (`x + x` for the square, `-1` for a difference).  One pass carries
such factors along as numbers, `v = factor * base`, through products, sums and negations, and multiplies once where the
value itself is needed.  Sums of products of vectors become inner products, exp(x - log(sum(exp(x)))) the quotient
of what it is made of, and np.logaddexp of long arrays its parts.  Only float64 values are touched.  A factor is taken
out of a sum or a product only if it is at least 1, and of a product at most 1024: so nothing overflows that did not
before, and what becomes zero was within that factor of it.  The sign of a zero may change.  This module knows no
derivative.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from shared.core.assignment import SETITEM
from shared.core.primitive import Primitive
from shared.core.registry import REGISTRY
from shared.programs.compiling.numpy_text import function_of, ufunc_of
from shared.programs.equations import WRITES, Equation, Guard, Step, ValueType, Write
from shared.programs.program import Program
from shared.programs.simplification import static_key, without_unread
from shared.rules import elementwise, shapes

#: Factors are combined between these sizes only, so that they can neither overflow nor vanish themselves.
_LEAST, _MOST = 1e-15, 1e15
#: A product may be taken of bases in place of multiples of them by factors up to this one.
_LARGEST_IN_PRODUCT = 1024.0
#: Inner products of longer vectors round more than NumPy's pairwise summation.
_LONGEST_PRODUCT = 4096
#: From so many elements on np.logaddexp of zero and an array, and of two arrays, is slower than its parts.
_LONG_FOR_ONE, _LONG_FOR_TWO = 300, 4000
_LARGEST = float(np.finfo(np.float64).max)

_MULTIPLY, _SUBTRACT, _ADD = REGISTRY[np.multiply], REGISTRY[np.subtract], REGISTRY[np.add]
_DIVIDE, _NEGATIVE, _MATMUL = REGISTRY[np.divide], REGISTRY[np.negative], REGISTRY[np.matmul]
_OF_NUMBERS: dict[Any, Any] = {
    _MULTIPLY: elementwise.MULTIPLY,
    _SUBTRACT: elementwise.SUBTRACT,
    _ADD: elementwise.ADD,
    _DIVIDE: elementwise.DIVIDE,
    _NEGATIVE: elementwise.NEGATIVE,
}


def rewritten(program: Program) -> Program:
    """The same function, to rounding, with no more equations.

    >>> from shared.programs import trace
    >>> program = trace(lambda x: -(x + x) * (3.0 * x), np.ones(2))
    >>> len(program.equations), len(rewritten(program).equations)
    (4, 2)
    """
    pass_ = _Pass(program)
    for step in program.steps:
        pass_.step(step)
    return pass_.program()


class _Pass:
    """One pass forwards; `forms[k]` is (factor, base): value k is the factor times value `base`."""

    def __init__(self, program: Program):
        self.source = program
        self.types = list(program.types)
        self.literals = dict(program.literals)
        self.readers = Counter(k for step in program.steps for k in step.operands)
        self.readers.update(program.outputs)
        self.forms: dict[int, tuple[float, int]] = {}
        #: how many forms have a base
        self.multiples: Counter[int] = Counter()
        self.steps: list[Step] = []
        self.made: dict[int, Equation] = {}
        self.numbers = {value: k for k, value in self.literals.items() if value.__class__ is float}
        #: what is computed already, by what tells equations apart
        self.known: dict[Any, int] = {}
        self.materialised: dict[tuple[float, int], int] = {}
        self.where = ""
        self.errors: Mapping[str, Any] = {}

    # --- values ---

    def form(self, number: int) -> tuple[float, int]:
        """A value as a factor and a base that is there, as far as nobody else needs the value itself."""
        found = self.forms.get(number)
        if found is None:
            return 1.0, number
        return found if self.readers[number] == 1 else (1.0, self.value(number))

    def value(self, number: int) -> int:
        """The number under which a value is there, computed now if it was only a form."""
        found = self.forms.get(number)
        if found is None:
            return number
        if found not in self.materialised:
            factor, base = found
            type_ = self.types[number]
            if factor == 1.0:
                return base
            if factor == -1.0:
                self.materialised[found] = self.emit(_NEGATIVE, (base,), type_)
            else:
                self.materialised[found] = self.emit(_MULTIPLY, (base, self.number(factor)), type_)
        return self.materialised[found]

    def number(self, factor: float) -> int:
        """A literal."""
        if factor not in self.numbers:
            self.types.append(ValueType.of(factor))
            self.numbers[factor] = len(self.types) - 1
            self.literals[self.numbers[factor]] = factor
        return self.numbers[factor]

    def emit(self, primitive: Any, operands: tuple[int, ...], type_: ValueType, **static: Any) -> int:
        """A new equation; returns its result.  Of Python floats it is the operator, whose result is one, too."""
        if type_.dtype is None:
            primitive = _OF_NUMBERS.get(primitive, primitive)
        made = Equation(primitive, operands, static, len(self.types), self.where, self.errors)
        known = self.known.setdefault(_key(made, operands, type_), made.result)
        if known != made.result:
            self.readers[known] += 2  # nobody is its only reader
            return known
        self.types.append(type_)
        self.made[made.result] = made
        self.steps.append(made)
        return made.result

    def literal_factor(self, number: int) -> float | None:
        """The number that a literal multiplies by, if it is one of moderate size."""
        value = self.literals.get(number)
        if isinstance(value, np.ndarray):
            if value.dtype != np.float64 or not value.size or (any(value.strides) and (value != value.flat[0]).any()):
                return None
            value = value.flat[0]
        if value.__class__ not in (int, float, np.float64):
            return None
        return float(value) if _LEAST < abs(value) < _MOST else None

    # --- steps ---

    def step(self, step: Step) -> None:
        self.where = step.where
        if isinstance(step, Guard):
            self.steps.append(Guard(self.value(step.operands[0]), step.expected, step.where))
            return
        self.errors = step.errors
        if self._carried(step) or any(rewrite(self, step) for rewrite in _OF_FUNCTION.get(_function(step), ())):
            return
        operands = tuple([self.value(k) for k in step.operands])
        known = self.known.setdefault(_key(step, operands, self.types[step.result]), step.result)
        if known != step.result:
            self.readers[known] += 2
            self.forms[step.result] = (1.0, known)
            return
        made = step
        if operands != step.operands:
            made = Equation(step.primitive, operands, step.static, step.result, step.where, step.errors)
        self.made[step.result] = made
        self.steps.append(made)

    def _carried(self, step: Equation) -> bool:
        """Whether a value could be noted as a form, or its operands' factors be taken into the equation."""
        ufunc, type_ = ufunc_of(step.primitive), self.types[step.result]
        if type_.dtype != np.float64 and type_.kind is not float:
            return False
        if isinstance(step.primitive, Write) or step.static or ufunc is None:
            return False
        x = step.operands[0]
        y = step.operands[-1]
        if ufunc is np.negative or (ufunc is np.add and x == y):
            return self._scaled(step, x, -1.0 if ufunc is np.negative else 2.0)
        if ufunc is np.absolute and x in self.forms:
            factor, base = self.forms[x]
            return self._note(step.result, abs(factor), self.emit(step.primitive, (base,), type_))
        if ufunc is np.multiply:
            return self._multiple(step, x, y) or self._multiple(step, y, x) or self._product(step, x, y)
        if ufunc is np.divide:
            divisor = self.literal_factor(y)
            return divisor is not None and self._scaled(step, x, 1.0 / divisor)
        if ufunc is np.add or ufunc is np.subtract:
            return self._sum(step, x, y, -1.0 if ufunc is np.subtract else 1.0)
        return False

    def _multiple(self, step: Equation, of: int, by: int) -> bool:
        factor = self.literal_factor(by)
        return factor is not None and self._scaled(step, of, factor)

    def _note(self, number: int, factor: float, base: int) -> bool:
        if not _LEAST < abs(factor) < _MOST:
            return False
        self.forms[number] = (factor, base)
        self.multiples[base] += 1
        return True

    def _scaled(self, step: Equation, of: int, factor: float) -> bool:
        """The result as a form, where it is a multiple of one operand of its own type."""
        known, base = self.forms.get(of, (1.0, of))
        if self.types[base] is not self.types[step.result] or base in self.literals:
            return False
        return self._note(step.result, known * factor, base)

    def _product(self, step: Equation, x: int, y: int) -> bool:
        (factor, a), (other, b) = self.form(x), self.form(y)
        type_ = self.types[step.result]
        if factor == other == 1.0 or not 1.0 <= abs(factor * other) <= _LARGEST_IN_PRODUCT:
            return False
        if not (abs(factor) >= 1.0 and abs(other) >= 1.0):
            return False
        return self._note(step.result, factor * other, self.emit(_MULTIPLY, (a, b), type_))

    def _sum(self, step: Equation, x: int, y: int, sign: float) -> bool:
        (factor, a), (other, b) = self.form(x), self.form(y)
        other *= sign
        type_ = self.types[step.result]
        if factor == other != 1.0 and abs(factor) >= 1.0:
            return self._note(step.result, factor, self.emit(_ADD, (a, b), type_))
        if factor == -other and abs(factor) > 1.0:
            return self._note(step.result, factor, self.emit(_SUBTRACT, (a, b), type_))
        if factor == 1.0 and other == -1.0 and sign == 1.0:
            return self._note(step.result, 1.0, self.emit(_SUBTRACT, (a, b), type_))
        if factor == -1.0 and other == 1.0:
            return self._note(step.result, 1.0, self.emit(_SUBTRACT, (b, a), type_))
        return False

    def _as_inner_product(self, step: Equation) -> bool:
        """The sum of a product of two vectors."""
        if len(step.operands) != 1:
            return False
        operand, type_ = step.operands[0], self.types[step.operands[0]]
        if len(type_.shape) != 1 or type_.dtype != np.float64 or not 0 < type_.size <= _LONGEST_PRODUCT:
            return False
        if step.static.get("keepdims") or self.readers[operand] != 1 or self.types[step.result].kind is not np.float64:
            return False
        factor, base = self.form(operand)
        if abs(factor) < 1.0:
            return False  # the sum of the products may overflow where that of their multiples does not
        product = self.made.get(base)
        if product is None or product is not self.steps[-1] or isinstance(product.primitive, Write):
            return False
        if ufunc_of(product.primitive) not in (np.multiply, np.square):
            return False
        a, b = product.operands[0], product.operands[-1]
        if any(self.types[k].shape != type_.shape or self.types[k].dtype != np.float64 for k in (a, b)):
            return False
        if base != operand and (self.readers[base] > 1 or self.multiples[base] > 1):
            return False  # others are made of the product, too
        self.steps.pop()
        self.known.pop(_key(product, product.operands, self.types[product.result]), None)
        return self._note(step.result, factor, self.emit(_MATMUL, (a, b), self.types[step.result]))

    def _as_quotient(self, step: Equation) -> bool:
        """exp(s - log(sum(exp(s)))) for s from which the largest was taken, as exp(s) / sum(exp(s))."""
        difference = self._operands(step.operands[0], np.subtract)
        if difference is None:
            return False
        shifted, logarithm = difference
        total = self._operand(logarithm, np.log)
        powers = self._operand(total, np.sum)
        origin = self._operands(shifted, np.subtract)
        if total is None or powers is None or origin is None or self._operand(powers, np.exp) != shifted:
            return False
        if self._operand(origin[1], np.max) != origin[0] or not self._axes(origin[1]) <= self._axes(total):
            return False  # all terms of a sum may vanish of which none is the largest
        self.forms[step.result] = (1.0, self.emit(_DIVIDE, (powers, total), self.types[step.result]))
        return True

    def _axes(self, number: int) -> set[int]:
        """The axes along which a value was reduced."""
        made, rank = self.made[number], len(self.types[self.made[number].operands[0]].shape)
        axis = made.static.get("axis")
        # NumPy takes axis=-1 of a number, too.
        return {*range(rank)} if axis is None or not rank else {*normalize_axis_tuple(axis, rank)}

    def _as_logarithm(self, step: Equation) -> bool:
        """np.logaddexp of long arrays as max + log1p(exp(min - max)), for which NumPy has vector instructions."""
        type_, (x, y) = self.types[step.result], map(self.value, step.operands)
        if type_.dtype != np.float64 or step.static or type_.size < _LONG_FOR_ONE:
            return False
        zero = next((k for k in (x, y) if self._is_zero(k)), None)
        other = x if zero == y else y
        if zero is not None and self.types[other] is type_:
            top = self._of(np.maximum, type_, other, self.number(0.0))
            below = self._of(np.negative, type_, self._of(np.absolute, type_, other))
        elif type_.size < _LONG_FOR_TWO or any(self.types[k].dtype != np.float64 for k in (x, y)):
            return False
        else:
            top = self._of(np.maximum, type_, x, y)
            # Of two equal infinities the difference has no value; one of them and the largest number has.
            near = self._of(np.maximum, type_, top, self.number(-_LARGEST))
            near = self._of(np.minimum, type_, near, self.number(_LARGEST))
            below = self._of(np.subtract, type_, self._of(np.minimum, type_, x, y), near)
            below = self._of(np.minimum, type_, below, self.number(0.0))
        rest = self._of(np.log1p, type_, self._of(np.exp, type_, below))
        return self._note(step.result, 1.0, self._of(np.add, type_, top, rest))

    def _of(self, function: Any, type_: ValueType, *operands: int) -> int:
        return self.emit(REGISTRY[function], operands, type_)

    def _is_zero(self, number: int) -> bool:
        value = self.literals.get(number)
        if isinstance(value, np.ndarray):
            return bool(value.size and not any(value.strides) and value.dtype == np.float64 and value.flat[0] == 0)
        return value.__class__ in (int, float, np.float64) and value == 0

    def _as_assignments(self, step: Equation) -> bool:
        """A vector joined of float64 numbers (np.stack) as one that they are assigned to, element by element."""
        type_ = self.types[step.result]
        if len(type_.shape) != 1 or type_.dtype != np.float64:
            return False
        numbers = [self._joined_number(k) for k in step.operands]
        if any(k is None or self.types[k].kind not in (float, np.float64) for k in numbers):
            return False
        last = self.literal(np.broadcast_to(0.0, type_.shape))
        for place, number in enumerate(numbers):
            operands = (last, self.value(int(number or 0)), self.literal(place))
            last = self.emit(WRITES[SETITEM], operands, type_, lengths=(1,))
        return self._note(step.result, 1.0, last)

    def _joined_number(self, number: int) -> int | None:
        """The number that an array of one element was made of, which may be a literal."""
        value = self.literals.get(number)
        if isinstance(value, np.ndarray) and value.shape == (1,) and value.dtype == np.float64:
            return self.literal(float(value[0]))
        return self._operand(number, shapes.RESHAPE.function)

    def literal(self, value: Any) -> int:
        """A new literal of any kind."""
        self.types.append(ValueType.of(value))
        self.literals[len(self.types) - 1] = value
        return len(self.types) - 1

    def _operands(self, number: int | None, function: Any) -> tuple[int, ...] | None:
        """The operands of the equation that made a value, if it evaluates a function."""
        made = None if number is None else self.made.get(number)
        return made.operands if made is not None and _function(made) is function else None

    def _operand(self, number: int | None, function: Any) -> int | None:
        """The operand of the equation that made a value, if it evaluates a function of one."""
        operands = self._operands(number, function)
        return operands[0] if operands is not None and len(operands) == 1 else None

    def program(self) -> Program:
        """The program of what is left: what the forms made superfluous is dropped."""
        outputs = [self.value(k) for k in self.source.outputs]
        return without_unread(self.source, self.types, self.literals, self.steps, outputs)


#: What is tried on the equations of a function.
_OF_FUNCTION: dict[Any, tuple[Any, ...]] = {
    np.sum: (_Pass._as_inner_product,),
    np.exp: (_Pass._as_quotient,),
    np.logaddexp: (_Pass._as_logarithm,),
    shapes.CONCATENATE.function: (_Pass._as_assignments,),
}


def _function(equation: Equation) -> Any:
    """What an equation evaluates; None of an assignment."""
    return None if isinstance(equation.primitive, Write) else equation.primitive.function


def _key(step: Equation, operands: tuple[int, ...], result: ValueType) -> Any:
    """What tells equations apart."""
    primitive = step.primitive
    function = function_of(primitive) if isinstance(primitive, Primitive) else primitive
    return (function, operands, result, static_key(step.static) if step.static else None)
