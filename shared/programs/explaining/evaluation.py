"""A recorded program at one point: all its values, which of them vary, and how they are printed.

What explains a program (adjoints, tangents, tables, rounding errors) starts from here.  This module knows no engine, no
calculus, and no derivatives beyond which values have one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shared.errors import LeafTypeError, user_line
from shared.levels import Tracer
from shared.programs.notation import index_text, literal_text
from shared.programs.parts import Equation, Write
from shared.programs.program import Program
from shared.programs.recorder import trace
from shared.tracer import Through
from shared.tree import flatten


class Evaluated:
    """A program at one point: all its values, and which of them vary with the arguments.

    `values[k]` is value k; `varies[k]` whether it depends on a floating-point argument by operations with a derivative.
    Arrays given or read from outside are copied, so later changes of them are not seen.

    Cost: one evaluation, and the memory of every value.  Raises what the program raises, LeafTypeError where no
    argument is a floating-point number or array, or one belongs to a differentiation in progress, and
    ProgramGuardError where the program has used a function with a derivative of its own.

    >>> point = Evaluated("explain", lambda x: np.square(x) > 2.0, (3.0,))
    >>> point.values, point.varies
    ([3.0, np.float64(9.0), 2.0, np.True_], [True, True, False, False])
    """

    def __init__(self, name: str, f: Callable[..., Any], args: tuple[Any, ...]):
        self.program = program = program_of(name, f, args)
        program.require_own_derivatives(name)
        self.values = program.values(*args)
        if not any(has_derivative(self.values[k]) for k in program.inputs):
            raise LeafTypeError(
                f"{name}: no argument of {program.name} is a floating-point number or array{user_line()}, so nothing "
                "varies; integers belong to the program: write 2.0 for 2"
            )
        self.varies = self._varying()

    def _varying(self) -> list[bool]:
        varies = [False] * len(self.values)
        for k in self.program.inputs:
            varies[k] = has_derivative(self.values[k])
        for equation in self.program.equations:
            reached = bool(active_positions(equation, varies))
            varies[equation.result] = reached and has_derivative(self.values[equation.result])
        return varies

    def given(self, equation: Equation) -> list[Any]:
        """The values of an equation's operands."""
        return [self.values[k] for k in equation.operands]


def program_of(name: str, f: Callable[..., Any], args: tuple[Any, ...]) -> Program:
    """`f` if it is a program, otherwise what it executes on these arguments."""
    if any(isinstance(leaf, Tracer) for leaf in flatten(list(args))[0]):
        raise LeafTypeError(
            f"{name}: an argument belongs to a differentiation in progress{user_line()}, but what is explained are "
            f"plain numbers and arrays; explain the derivative itself: {name}(reversead.grad(f), x)"
        )
    return f if isinstance(f, Program) else trace(f, *args)


def has_derivative(value: Any) -> bool:
    """Whether a value is a floating-point or complex number or array."""
    dtype = getattr(value, "dtype", None)
    return isinstance(value, (float, complex)) if dtype is None else dtype.kind in "fc"


def active_positions(equation: Equation, varies: Sequence[bool]) -> list[int]:
    """The positions of the operands that vary and that the result has a derivative with respect to."""
    primitive, operands = equation.primitive, equation.operands
    if isinstance(primitive, Write):
        return [position for position in (0, 1) if varies[operands[position]]]
    if primitive.constant:
        return []
    edges = primitive.edges if primitive.residuals is None else primitive.edges * len(operands)
    return [position for position, k in enumerate(operands) if varies[k] and edges[position] is not None]


# --- text -------------------------------------------------------------------------------------------------------------

#: Arrays of up to this many elements are printed in full.
PRINTED = 4


def value_text(value: Any, number_format: str = ".4g") -> str:
    """A number, a small array in full, or the shape and the Euclidean norm of a larger one.

    >>> value_text(1 / 3), value_text(np.ones(2)), value_text(np.ones((3, 4)))
    ('0.3333', '[1, 1]', '(3, 4) of norm 3.464')
    """
    if isinstance(value, np.ndarray) and value.ndim:
        if value.size <= PRINTED and value.ndim == 1:
            return f"[{', '.join(value_text(v, number_format) for v in value.tolist())}]"
        shape = str(value.shape)
        if value.dtype.kind not in "fciu":
            return f"{shape} of {value.dtype}"
        return f"{shape} of norm {format(float(np.linalg.norm(np.ravel(value).astype(complex))), number_format)}"
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.item()
    if isinstance(value, (float, complex)):
        # No sign is shown of a zero: it is an artefact of the order of operations.
        return format(value + 0.0, number_format)
    return "()" if value == () else str(value)


def place_text(index: Any) -> str:
    """The index of an assignment as it is written, brackets included; small index arrays in full."""
    if index.__class__ is Through:
        return place_text(index.path) + place_text(index.index)
    return index_text([_index_part(part) for part in (index if isinstance(index, tuple) else (index,))])


def _index_part(part: Any) -> str:
    if isinstance(part, np.ndarray) and part.size <= PRINTED:
        return str(part.tolist())
    return literal_text(part)
