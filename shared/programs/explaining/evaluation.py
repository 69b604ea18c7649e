"""A recorded program at one point: all its values, which of them vary, and how they are printed.

What explains a program (adjoints, tangents, tables, rounding errors) starts from here.  This module knows no engine, no
calculus, and no derivatives beyond which values have one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shared.calling.arguments import argument_paths
from shared.calling.transformed import readable_name
from shared.calling.tree import flatten, unflatten
from shared.core.assignment import NestedIndex
from shared.core.errors import LeafTypeError, user_line
from shared.core.levels import Tracer
from shared.core.visible import kind_of, one_line, shortened, shown
from shared.programs.equations import Equation, Write
from shared.programs.notation import index_text, literal_text
from shared.programs.program import Program
from shared.programs.tracing import trace


class Evaluated:
    """A program at one point: all its values, and which of them vary with the arguments.

    `values[k]` is value k; `varies[k]` whether it depends on a floating-point argument by operations with a derivative.
    Arrays given or read from outside are copied, so later changes of them are not seen.  An argument that is an integer
    is taken as a float, as by `grad`.

    Cost: one evaluation, and the memory of every value.  Raises what the program raises, LeafTypeError where no
    argument is a number or a floating-point array, or one belongs to a differentiation in progress, and
    ProgramGuardError where the program has used a function with a derivative of its own.

    >>> point = Evaluated("explain", lambda x: np.square(x) > 2.0, (3.0,))
    >>> point.values, point.varies
    ([3.0, np.float64(9.0), 2.0, np.True_], [True, True, False, False])
    """

    def __init__(self, name: str, f: Callable[..., Any], args: tuple[Any, ...]):
        #: the function that the user called, for errors
        self.caller = name
        self.program, args = program_of(name, f, args)
        program = self.program
        program.require_own_derivatives(name)
        self.values = program.values(*args)
        #: the name of the program with its arguments
        self.header = header(program, f, args)
        if not any(has_derivative(self.values[k]) for k in program.inputs):
            raise LeafTypeError(
                f"{name}: no argument of {program.name} is a floating-point number or array{user_line()}, so nothing "
                "varies; arrays of integers are taken as labels: write x.astype(float) for those that vary"
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


def program_of(name: str, f: Callable[..., Any] | Program, args: tuple[Any, ...]) -> tuple[Program, tuple[Any, ...]]:
    """`f` if it is a program, otherwise what it executes on these arguments; and the arguments, integers as floats.

    Raises LeafTypeError for an argument that belongs to a differentiation in progress, TypeError for what is no
    function, and what recording raises; where the function needs an integer a note says so.
    """
    if any(isinstance(leaf, Tracer) for leaf in flatten(list(args))[0]):
        raise LeafTypeError(
            f"{name}: an argument belongs to a differentiation in progress{user_line()}, but what is explained are "
            f"plain numbers and arrays; explain the derivative itself: {name}(reversead.grad(f), x)"
        )
    if not callable(f):
        raise TypeError(f"{name}: expected a function or a program, not {shown(f)} (type {kind_of(f)}){user_line()}")
    converted = with_floats(f, args)
    if isinstance(f, Program):
        return f, converted
    try:
        return trace(f, *converted), converted
    except Exception as error:
        changed = [arg for arg in args if _is_integer(arg)]
        if changed:
            error.add_note(
                f"{name} takes arguments that are integers (here {', '.join(map(str, changed))}) as floating-point "
                "numbers that vary; one that counts or indexes has to be fixed: "
                f"{name}(lambda x: f(x, {changed[0]}), x)"
            )
        raise


def with_floats(f: Callable[..., Any] | Program, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments with floats in place of integers, Python's and NumPy's; of a program only where it takes a float.

    Integers inside of containers, arrays of integers and truth values stay what they are: sizes, labels and switches.

    >>> with_floats(np.hypot, (3, np.int64(4), True, [5]))
    (3.0, np.float64(4.0), True, [5])
    """
    kinds: list[Any] = [np.float64 if isinstance(arg, np.integer) else float for arg in args]
    if isinstance(f, Program):
        kinds = (_kinds(f) + [None] * len(args))[: len(args)]
    return tuple(kind(arg) if kind and _is_integer(arg) else arg for kind, arg in zip(kinds, args, strict=True))


def varying_arguments(name: str, f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[int, ...]:
    """The positions of the arguments that can vary: all of their leaves are floating-point numbers or arrays.

    Integers have become floats before (see `with_floats`); arrays of integers and texts are labels and switches.
    Raises LeafTypeError where there is none, for `name`, the function that was called.

    >>> varying_arguments("cost", np.dot, (np.ones(3), [1, 2], "mode", {"a": 1.0}))
    (0, 3)
    """
    found = []
    for position, argument in enumerate(args):
        leaves = flatten(argument)[0]
        if leaves and all(has_derivative(leaf) or isinstance(leaf, Tracer) for leaf in leaves):
            found.append(position)
    if not found:
        raise LeafTypeError(
            f"{name}: no argument of {readable_name(f)} is a floating-point number or array{user_line()}, so nothing "
            "varies; arrays of integers are taken as labels: write x.astype(float) for those that vary"
        )
    return tuple(found)


def _is_integer(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _kinds(program: Program) -> list[Any]:
    """Of each positional argument the type, if it is a recorded floating-point number; None of any other."""
    inputs = iter(program.inputs)
    leaves: list[Any] = []
    for position in range(program.structure.size):
        kind = None if position in program.static_leaves else program.types[next(inputs)].kind
        leaves.append(kind if kind is not None and issubclass(kind, (float, np.floating)) else None)
    positional, _ = unflatten(program.structure, leaves)
    return [part if isinstance(part, type) else None for part in positional]


def header(program: Program, f: Callable[..., Any] | Program, args: tuple[Any, ...]) -> str:
    """The program's name with its arguments, of many the first and the last; of those fixed in it also the value.

    >>> f = lambda x, sizes: x * sizes[0]
    >>> header(trace(f, 2.0, [3]), f, (2.0, [3]))
    '<lambda>(x, sizes[0]=3)'
    """
    inputs = iter(program.inputs)
    texts = []
    for position, path in enumerate(argument_paths(f, args, {})):
        if position in program.static_leaves:
            texts.append(f"{shortened(path, _NAME)}={shortened(repr(program.static_leaves[position]), _VALUE)}")
        else:
            texts.append(shortened(program.names[next(inputs)], _NAME))
    if len(texts) > _ARGUMENTS:
        texts[_ARGUMENTS // 2 : -2] = [f"... {len(texts) - _ARGUMENTS // 2 - 2} more ..."]
    return one_line(f"{program.name}({', '.join(texts)})")


#: Longer names and values are cut in the middle in a header, and of more arguments some are left out: of the leaves of
#: a network's parameters a page has no room for all.
_NAME, _VALUE, _ARGUMENTS = 60, 20, 8


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
    return "()" if value == () else one_line(str(value))


def place_text(index: Any) -> str:
    """The index of an assignment as it is written, brackets included; small index arrays in full."""
    if index.__class__ is NestedIndex:
        return place_text(index.path) + place_text(index.index)
    return index_text([_index_part(part) for part in (index if isinstance(index, tuple) else (index,))])


def _index_part(part: Any) -> str:
    if isinstance(part, np.ndarray) and part.size <= PRINTED:
        return str(part.tolist())
    return literal_text(part)
