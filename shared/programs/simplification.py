"""Simplification: a recorded program without what does not have to be computed.

One pass forwards finds common subexpressions by value numbering (Aho, Sethi & Ullman 1986, section 9.4), evaluates
equations of literals, and passes identities on (`x * 1`, a reshape to the same shape, a copy); one backwards drops what
no output and no guard needs.  Values of a program never change, which is why all of this is safe: an assignment is an
equation like another.  Results stay equal, also in the sign of a zero (`x - 0.0` is `x`, `x + 0.0` is not).  This
module knows no derivative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from shared.core.primitive import Primitive
from shared.programs.equations import PART, Equation, Guard, Step, ValueType, Write
from shared.programs.program import Program
from shared.rules import indexing, shapes

#: Results of more elements than this are folded only where no operand is smaller: a record should not grow by it.
LARGEST_FOLDED = 4096
#: Literal arrays up to this size are compared by their contents.
_COMPARED = 1024

#: Primitives of one array that change nothing where the type of the result is that of the array.
_UNCHANGED = frozenset(
    (
        shapes.RESHAPE.function, np.broadcast_to, shapes.ASTYPE.function, np.copy, np.positive, np.real, np.conjugate,
    )
)  # fmt: skip
#: Arithmetic of two operands that has a neutral one: on the right, and on either side.
_WITH_NEUTRAL = frozenset((np.multiply, np.divide, np.add, np.subtract))
_COMMUTATIVE = frozenset((np.multiply, np.add))


def simplify(program: Program) -> Program:
    """The same function, to rounding, with fewer equations: the types and numbers of values are new.

    Cost: some microseconds an equation, and the evaluation of what consists of literals alone.

    >>> from shared.programs import trace
    >>> program = trace(lambda x: np.sin(x) * np.sin(x) + np.cos(x) * 0.0 * np.exp(2.0), 1.0)
    >>> len(program.equations), len(simplify(program).equations)
    (7, 6)
    """
    forward = _Forward(program)
    for step in program.steps:
        forward.step(step)
    return forward.program()


class _Forward:
    """The pass forwards: for every value, the one that stands for it."""

    def __init__(self, program: Program):
        self.source = program
        self.stands_for = list(range(len(program.types)))
        self.literals = dict(program.literals)
        self.known: dict[Any, int] = {}
        self.steps: list[Step] = []
        self.by_content: dict[Any, int] = {}
        self.made: dict[int, Equation] = {}
        self.guarded: set[Any] = set()
        for number in program.literals:
            self.stands_for[number] = self._literal(number)

    def _literal(self, number: int) -> int:
        """The first literal with the contents of this one."""
        value = self.literals[number]
        if isinstance(value, np.ndarray):
            if value.size > _COMPARED:
                return number
            key: Any = (ValueType.of(value), value.tobytes())
        elif value.__class__ is float:
            key = (float, value.hex())
        else:
            key = (value.__class__, getattr(value, "dtype", None), repr(value))
        return self.by_content.setdefault(key, number)

    def step(self, step: Step) -> None:
        stands_for, literals = self.stands_for, self.literals
        operands = tuple([stands_for[k] for k in step.operands])
        if isinstance(step, Guard):
            if operands[0] not in self.literals and (operands, step.expected) not in self.guarded:
                self.guarded.add((operands, step.expected))
                self.steps.append(Guard(operands[0], step.expected, step.where))
            return
        same = self._identity(step, operands)
        if same is None and all([k in literals for k in operands]):
            same = self._folded(step, operands)
        if same is None:
            key = (_function(step, self.source.types[step.result]), operands, static_key(step.static))
            same = self.known.setdefault(key, step.result)
            if same == step.result:
                same = None
        if same is not None:
            stands_for[step.result] = same
            return
        made = step
        if operands != step.operands:
            made = Equation(step.primitive, operands, step.static, step.result, step.where, step.errors)
        self.made[step.result] = made
        self.steps.append(made)

    def _identity(self, step: Equation, operands: tuple[int, ...]) -> int | None:
        """The operand that an equation merely hands on, if it does."""
        types, result = self.source.types, self.source.types[step.result]
        if isinstance(step.primitive, Write) or not operands:
            return None
        function, first = step.primitive.function, operands[0]
        if types[first] is result:
            if function in _UNCHANGED and not (function is np.conjugate and result.is_complex):
                return first
            if function is shapes.TRANSPOSE.function and len(result.shape) < 2:
                return first
            if function is indexing.GETITEM.function and result.is_array and all(map(self._is_whole, operands[1:])):
                return first
            if function is np.sum and step.static.get("axis") == ():
                return first
        if function is np.negative:
            inner = self.made.get(first)
            if inner is not None and not isinstance(inner.primitive, Write) and inner.primitive.function is np.negative:
                return inner.operands[0] if types[inner.operands[0]] is result else None
        if len(operands) == 2 and function in _WITH_NEUTRAL and not step.static:
            x, y = operands
            if y in self.literals and types[x] is result and self._is_neutral(function, y):
                return x
            if x in self.literals and types[y] is result and function in _COMMUTATIVE:
                return y if self._is_neutral(function, x) else None
        return None

    def _is_whole(self, number: int) -> bool:
        value = self.literals.get(number)
        return value is Ellipsis or (isinstance(value, slice) and value == slice(None))

    def _is_neutral(self, function: Any, number: int) -> bool:
        """Whether a literal changes nothing: x + 0.0 is 0.0 for -0.0, so of zeros only x - 0.0 and x + -0.0 are x."""
        if function is np.multiply or function is np.divide:
            return self._is_number(number, 1)
        if not self._is_number(number, 0):
            return False
        value = self.literals[number]
        is_negative = bool(np.signbit(np.real(value.flat[0] if isinstance(value, np.ndarray) else value)))
        return is_negative is (function is np.add)

    def _is_number(self, number: int, wanted: int) -> bool:
        """Whether a value is a literal all of whose elements are `wanted`."""
        value = self.literals.get(number)
        if isinstance(value, np.ndarray):
            return bool(value.size and not any(value.strides) and value.dtype.kind in "fc" and value.flat[0] == wanted)
        return isinstance(value, (int, float, complex, np.number)) and bool(value == wanted)

    def _folded(self, step: Equation, operands: tuple[int, ...]) -> int | None:
        """A new literal: the value of an equation of literals; None if it is not to be computed now."""
        result = self.source.types[step.result]
        given = [self.literals[k] for k in operands]
        if result.size > max(
            [LARGEST_FOLDED, *(v.size for v in given if isinstance(v, np.ndarray) and any(v.strides))]
        ):
            return None
        if step.primitive is PART:
            return None
        with np.errstate(all="ignore"):
            try:
                value = step.primitive.raw(*given, **step.static)
            except (ArithmeticError, ValueError, np.linalg.LinAlgError):
                return None  # it will raise when the program runs
        if isinstance(value, tuple):
            return None
        if isinstance(value, np.ndarray):
            value = np.array(value)
            value.flags.writeable = False
        self.literals[step.result] = value
        return self._literal(step.result)

    def program(self) -> Program:
        """What is left, numbered anew."""
        outputs = [self.stands_for[k] for k in self.source.outputs]
        return without_unread(self.source, self.source.types, self.literals, self.steps, outputs)


def without_unread(
    source: Program, types: Sequence[ValueType], literals: Mapping[int, Any], steps: Sequence[Step], outputs: list[int]
) -> Program:
    """The program of those steps that an output or a guard needs, numbered anew; all else as in `source`."""
    needed = {*outputs}
    kept: list[Step] = []
    for step in reversed(steps):
        result = step.result
        if result is None or result in needed:
            needed.update(step.operands)
            kept.append(step)
    kept.reverse()
    numbers: dict[int, int] = {}
    for k in (*source.inputs, *sorted(needed & (literals.keys() | source.captured.keys()))):
        numbers.setdefault(k, len(numbers))
    for step in kept:
        if step.result is not None:
            numbers[step.result] = len(numbers)
    left = [types[k] for k in numbers]
    for k, number in numbers.items():
        if k in literals:
            left[number] = ValueType.of(literals[k])
    return Program(
        source.name,
        left,
        [numbers[k] for k in source.inputs],
        {numbers[k]: name for k, name in source.names.items() if k in numbers},
        source.structure,
        source.static_leaves,
        {numbers[k]: value for k, value in literals.items() if k in numbers},
        {numbers[k]: array for k, array in source.captured.items() if k in numbers},
        [step.with_numbers(numbers) for step in kept],
        [numbers[k] for k in outputs],
        source.out_structure,
        source.custom,
        {numbers[k]: layout for k, layout in source.layouts.items()},
    )


def _function(step: Equation, result: ValueType) -> Any:
    """What tells primitives apart: an operator and the ufunc of the same name do the same to arrays."""
    primitive = step.primitive
    if isinstance(primitive, Primitive) and result.is_array and isinstance(primitive.function, np.ufunc):
        return primitive.function
    return primitive


def static_key(static: dict[str, Any]) -> Any:
    """What tells keywords apart; arrays by their contents, since a long one is not printed in full."""
    return tuple([(name, _key(static[name])) for name in sorted(static)]) if static else None


def _key(value: Any) -> Any:
    if value.__class__ is int or value is None or value.__class__ is bool:
        return (value.__class__, value)
    if isinstance(value, np.ndarray):
        return (value.shape, value.dtype.str, value.tobytes())
    if isinstance(value, (tuple, list)):
        return (value.__class__, *map(_key, value))
    return (value.__class__, repr(value))


__all__ = ["simplify", "static_key", "without_unread"]
