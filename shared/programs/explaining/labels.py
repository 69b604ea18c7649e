"""Labels: what the parts of a recorded program are called where a person reads them in a picture.

Operators are infix, shapes are written 20×5, indices in brackets.  This module knows nothing of layouts and no
derivative, and nothing of the language that pictures are written in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from shared.core.assignment import SETITEM
from shared.core.visible import shortened
from shared.programs.equations import PART, Equation, ValueType, Write
from shared.programs.notation import call_name, index_text, keywords, literal_text, name_of, operator_of
from shared.programs.program import Program
from shared.rules import indexing, shapes

#: keywords that say nothing beyond the shape of the result
_TOLD_BY_SHAPE = frozenset(("shape", "order", "kind"))
#: Longer text is too long for a box.
LONGEST = 36
_TIMES = "\N{MULTIPLICATION SIGN}"

# --- values -----------------------------------------------------------------------------------------------------------


def shape_text(type_: ValueType) -> str:
    """An array's shape as 20×5 or (3), with its dtype if that is not float64; of numbers the dtype, if it matters.

    >>> shape_text(ValueType.of(np.ones((20, 5)))), shape_text(ValueType.of(np.ones(3, np.int64)))
    ('20×5', 'int64 (3)')
    >>> shape_text(ValueType.of(1.5))
    ''
    """
    if type_.dtype is None:
        return "" if type_.kind is float else type_.kind.__name__
    dtype = "" if type_.dtype == np.float64 else str(type_.dtype)
    lengths = _TIMES.join(map(str, type_.shape))
    return f"{dtype} {f'({lengths})' if len(type_.shape) == 1 else lengths}".strip()


def number_text(value: Any, digits: int) -> str:
    """A number with so many significant digits.

    >>> number_text(0.123456, 3), number_text(np.float64(-0.0), 3), number_text(7, 3), number_text(1 + 2j, 3)
    ('0.123', '0', '7', '1+2j')
    """
    if isinstance(value, np.ndarray):
        value = value[()]
    if isinstance(value, (bool, np.bool_, int, np.integer)):
        return str(value)
    if isinstance(value, (complex, np.complexfloating)):
        return f"{complex(value):.{digits}g}"
    return f"{float(value) + 0.0:.{digits}g}"


def magnitude_text(value: Any, digits: int) -> str:
    """A number as it is, an array by its Euclidean norm; nothing of integers and truth values in arrays.

    >>> magnitude_text(2.0, 3), magnitude_text(np.array([3.0, -4.0]), 3), magnitude_text(np.array([1, 2]), 3)
    ('2', '‖5‖', '')
    """
    if value is None or isinstance(value, tuple):
        return ""
    if np.ndim(value) == 0:
        return number_text(value, digits)
    if value.dtype.kind not in "fc":
        return ""
    sizes = np.abs(value).astype(np.float64).ravel()
    largest = sizes.max(initial=0.0)
    # Divided by the largest, no square overflows or underflows.
    norm = largest * np.linalg.norm(sizes / largest) if 0 < largest < np.inf else largest
    return f"‖{number_text(norm, digits)}‖"


# --- operations -------------------------------------------------------------------------------------------------------


def _index_texts(program: Program, parts: Sequence[int]) -> list[str]:
    """The parts of the index that these operands stand for, as they are written; one that is computed is a dot."""
    texts = []
    for k in parts:
        literal = program.literals.get(k)
        texts.append("·" if k not in program.literals or isinstance(literal, np.ndarray) else literal_text(literal))
    return texts


def inline(program: Program, equation: Equation) -> frozenset[int]:
    """The positions of operands that are part of the label, and not drawn: the numbers and slices of an index."""
    first = _first_of_index(equation)
    return frozenset(
        position
        for position, k in enumerate(equation.operands)
        if k in program.literals
        and (
            (first is not None and position >= first and not isinstance(program.literals[k], np.ndarray))
            or isinstance(program.literals[k], (slice, type(Ellipsis), type(None), str))
        )
    )


def drawn(program: Program, equation: Equation) -> list[int]:
    """The positions of the operands that are drawn."""
    skipped = inline(program, equation)
    return [place for place in range(len(equation.operands)) if place not in skipped]


def _first_of_index(equation: Equation) -> int | None:
    if isinstance(equation.primitive, Write):
        return 2
    return 1 if equation.primitive.function is indexing.GETITEM.function else None


def is_commutative(equation: Equation) -> bool:
    """Whether an equation is an operator whose operands may change places."""
    operator = operator_of(equation.primitive, len(equation.operands))
    return operator is not None and operator.is_commutative


def operation_text(program: Program, equation: Equation) -> str:
    """The label of an operation: its operator, its index, or its name.

    >>> from shared.programs import trace
    >>> program = trace(lambda x: np.exp(x[0] * x[1]) + np.sum(x, axis=0), np.ones((2, 3)))
    >>> [operation_text(program, equation) for equation in program.equations]
    ['[0]', '[1]', '*', 'exp', 'sum', '+']
    """
    primitive = equation.primitive
    if isinstance(primitive, Write):
        parts = _index_texts(program, equation.operands[2:])
        sign = "=" if primitive.updating is SETITEM else "+="
        return f"{index_text(parts, equation.static['lengths'])} {sign}"
    if primitive is PART:
        return f"[{equation.static['item']}]"
    if _first_of_index(equation) == 1:
        return index_text(_index_texts(program, equation.operands[1:]))
    operator = operator_of(primitive, len(equation.operands))
    return shortened(call_name(primitive), LONGEST) if operator is None else operator.symbol


def keywords_text(equation: Equation) -> str:
    """The keywords that matter, as axis=0; of indices, parts and writes there are none."""
    if isinstance(equation.primitive, Write) or equation.primitive is PART:
        return ""
    told = [f"{name}={value}" for name, value in keywords(equation.static).items() if name not in _TOLD_BY_SHAPE]
    return shortened(", ".join(told), LONGEST)


def is_view(equation: Equation) -> bool:
    """Whether an equation shows one array's elements in another place: reshaped, transposed or indexed, say."""
    return bool(equation.primitive.memory == "view")


def row_text(
    program: Program,
    made: Mapping[int, Equation],
    equation: Equation,
    varying: Collection[int],
    called: Callable[[int], str] | None = None,
) -> str:
    """An operation as a row in the box of a layer: what happens to the value from the row above, as "@ W" or "1 /".

    `made` finds the equation of a value; `varying` are the values that come from the layer itself, or into it; `called`
    says what values are called, `program.name_of` if nothing else.
    """
    operator = operation_text(program, equation)
    if operator_of(equation.primitive, 2) is None or len(equation.operands) != 2:
        return operator
    left, right = equation.operands
    if left in varying and right in varying:
        return operator
    if left in varying:
        return f"{operator} {operand_text(program, made, right, called)}"
    return f"{operand_text(program, made, left, called)} {operator}"


def operand_text(
    program: Program, made: Mapping[int, Equation], number: int, called: Callable[[int], str] | None = None
) -> str:
    """A leaf or a view of it: `W`, `W.T`, `theta[0:6]`, `diagonal(W)`."""
    prefix = suffix = ""
    while number in made and is_view(made[number]):
        equation = made[number]
        function = equation.primitive.function
        if function is shapes.TRANSPOSE.function:
            suffix = ".T" + suffix
        elif function is indexing.GETITEM.function:
            suffix = index_text(_index_texts(program, equation.operands[1:])) + suffix
        elif function not in _SHAPED_ANEW:
            prefix, suffix = f"{prefix}{name_of(equation.primitive)}(", ")" + suffix
        number = equation.operands[0]
    return shortened(prefix + (called or program.name_of)(number) + suffix, LONGEST)


#: views that go without saying
_SHAPED_ANEW = frozenset((shapes.RESHAPE.function, np.broadcast_to))


__all__ = [
    "LONGEST", "drawn", "inline", "is_commutative", "is_view", "keywords_text", "magnitude_text",
    "number_text", "operand_text", "operation_text", "row_text", "shape_text",
]  # fmt: skip
