"""The recorder: one more small tracer, which writes down every primitive that a function executes.

Its level lies below every differentiation's, so what an engine computes passes through it:
`trace(reversead.grad(f), x)` records the gradient program itself.  A `Recorded` value knows its number in the record,
and the value that it stands for in this run, by which branches are taken; each branch becomes a guard.  This module
knows no derivative and no engine, and nothing of what is done with programs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np

from shared.errors import TracerConversionError, closed, user_line
from shared.levels import Level, Tracer
from shared.primitive import Primitive
from shared.programs.program import PART, WRITES, Equation, Guard, Program, Step, ValueType
from shared.references import getrefcount
from shared.rules import shapes
from shared.tracer import (
    DuckArray,
    Through,
    Updating,
    attach,
    base_of,
    operand,
    view_class,
    writable,
    write,
)
from shared.tree import flatten, unflatten

_STATIC_RESULT = frozenset(shapes.QUESTIONS)
#: Functions whose result has a shape that depends on values.
_SHAPE_FROM_VALUES = frozenset((np.nonzero, np.flatnonzero, np.argwhere))
_NUMBERS = (float, complex, int, bool)
#: Arrays that a function makes and that hold one number from this many elements on are kept as that number.
_UNIFORM = 16


class Recording(Level):
    """The record of one run: the types of all values so far, and the steps."""

    __slots__ = ("arrays", "custom", "guarded", "literals", "numbers", "steps", "types")

    def __init__(self, transform: str = "trace"):
        super().__init__(transform)
        self.types: list[ValueType] = []
        self.steps: list[Step] = []
        #: numbers of literals by type and value, and of arrays by identity
        self.numbers: dict[Any, int] = {}
        self.literals: dict[int, Any] = {}
        self.arrays: dict[int, np.ndarray] = {}
        self.guarded: dict[Any, None] = {}
        self.custom: dict[str, None] = {}

    def new(self, value: Any) -> int:
        """The number of a new value."""
        self.types.append(ValueType.of(value))
        return len(self.types) - 1

    def constant(self, value: Any) -> int:
        """The number of a value that is not traced: an array by identity, anything else by type and value."""
        if isinstance(value, np.ndarray):
            key: Any = id(value)
        elif value.__class__ is float:
            # Zero has a sign, and a NaN differs from itself.
            key = (float, value if value and value == value else repr(value))
        elif isinstance(value, Tracer):
            raise TracerConversionError(
                f"{self.transform}: a value of a differentiation in progress was met{user_line()}; a record outlives "
                "it. Trace the outermost function, or pass the value as an argument"
            )
        else:
            key = (value.__class__, getattr(value, "dtype", None), repr(value))
        number = self.numbers.get(key)
        if number is None:
            number = self.numbers[key] = self.new(value)
            (self.arrays if isinstance(value, np.ndarray) else self.literals)[number] = value
        return number

    def equation(self, primitive: Any, operands: tuple[int, ...], static: dict[str, Any], out: Any) -> int:
        """Write down an equation; returns the number of its result."""
        number = self.new(out)
        self.steps.append(Equation(primitive, operands, static, number, user_line()))
        return number

    def guard(self, number: int, expected: Any) -> None:
        """Write down what the rest of the record relies on."""
        if (number, expected) not in self.guarded:
            self.guarded[number, expected] = None
            self.steps.append(Guard(number, expected, user_line()))

    def settle(self) -> tuple[dict[int, Any], dict[int, np.ndarray]]:
        """Tell literals from captured arrays, when the function has ended: what nobody else holds, it has made."""
        arrays, self.arrays = self.arrays, {}
        self.numbers.clear()
        views = Counter(id(array.base) for array in arrays.values())
        owners = {id(array) for array in arrays.values()}
        captured = {number: arrays[number] for number in arrays if _lives_outside(arrays, number, views, owners)}
        literals = dict(self.literals)
        for number in arrays.keys() - captured.keys():
            literals[number] = _kept(arrays[number])
        return literals, captured


def _lives_outside(arrays: dict[int, np.ndarray], number: int, views: Counter[int], owners: set[int]) -> bool:
    """Whether anybody but the record holds the memory of one of its arrays, and so may change it."""
    array = arrays[number]
    if getrefcount(array) > _HELD_HERE + views[id(array)]:
        return True
    base: Any = array.base
    if base is None:
        return False
    if not isinstance(base, np.ndarray) or base.base is not None:
        return True
    del array
    inside = views[id(base)] + (id(base) in owners)
    return getrefcount(base) > _HELD_HERE - 1 + inside


def _held_here() -> int:
    arrays = {0: np.zeros(1)}
    array = arrays[0]
    return getrefcount(array)


_HELD_HERE = _held_here()


def _kept(array: np.ndarray) -> np.ndarray:
    """An array that a function has made, as the record keeps it: read-only, and one number if all are equal."""
    if array.size >= _UNIFORM:
        first = array.flat[0]
        if first == first and (array == first).all() and not (first == 0 and np.signbit(np.real(array)).any()):
            return np.broadcast_to(np.array(first, array.dtype), array.shape)
    array.flags.writeable = False
    return array


class Constants:
    """What stands in place of a tape's guard while a program is recorded: a constant is recorded, and not copied."""

    __slots__ = ("held", "recording")

    def __init__(self, recording: Recording):
        self.recording = recording
        self.held: dict[int, Any] = {}

    def constant(self, array: np.ndarray) -> Recorded:
        """The array as a value of the record, which reads it anew in each run."""
        return Recorded(self.recording, array, self.recording.constant(array))

    leaf = index = constant

    def another(self) -> Constants:
        """One of the same kind."""
        return self

    def release(self) -> None:
        """Nothing is locked."""


class Recorded(DuckArray):
    """A value of a record: the number it has there, and what it is in this run."""

    __slots__ = ("number",)
    number: int

    def __init__(self, level: Recording, primal: Any, number: int):
        self.level = level
        self.primal = primal
        self.number = number

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = getattr(self.primal, "shape", ())
        return shape

    # --- what is done to a primitive ---

    def process(self, primitive: Primitive, args: tuple[Any, ...], static: dict[str, Any]) -> Any:
        recording = self.level
        if recording.closed:
            raise closed(self)
        values, operands = [], []
        for a in args:
            if isinstance(a, Recorded) and a.level is recording:
                values.append(a.primal)
                operands.append(a.number)
            else:
                if not isinstance(a, Tracer):
                    a = operand(a)
                operands.append(recording.constant(a))
                values.append(a)
        out = primitive.raw(*values, **static)
        if primitive.function in _STATIC_RESULT:
            return out
        number = recording.equation(primitive, tuple(operands), static, out)
        if isinstance(out, tuple):
            return tuple(self._part(number, out, k, primitive) for k in range(len(out)))
        if primitive.function in _SHAPE_FROM_VALUES or (
            primitive.is_index and any(isinstance(v, np.ndarray) and v.dtype.kind == "b" for v in values[1:])
        ):
            recording.guard(number, out.shape)
        base = base_of(out, args, recording)
        if base is None:
            return Recorded(recording, out, number)
        view = _allocate(_View)
        view.level = recording
        _set_primal(view, out)
        view.number = number
        return attach(view, base, primitive.path(args))

    def _part(self, number: int, values: tuple[Any, ...], k: int, primitive: Primitive) -> Recorded:
        recording = self.level
        part = recording.equation(PART, (number,), {"item": k}, values[k])
        if primitive.function in _SHAPE_FROM_VALUES:
            recording.guard(part, values[k].shape)
        return Recorded(recording, values[k], part)

    def custom(self, function: Any, leaves: list[Any], structure: Any, static: dict[str, Any]) -> Any:
        self.level.custom[getattr(function, "__name__", repr(function))] = None
        return function.follow(self.level, leaves, structure, static)

    # --- assignment ---

    def lift(self, value: Any) -> Recorded:
        return Recorded(self.level, value, self.level.constant(value))

    def constants(self) -> Constants:
        return Constants(self.level)

    def twin(self) -> Recorded:
        return Recorded(self.level, self.primal, self.number)

    def become(self, other: Any) -> None:
        self.primal, self.number = other.primal, other.number

    def new_like(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recorded:
        # What is not initialised would differ from run to run.
        return self.lift(
            np.zeros_like(self.primal, *args, **kwargs)
            if function is np.empty_like
            else function(self.primal, *args, **kwargs)
        )

    def update(self, primitive: Updating, value: Any, index: Any) -> None:
        recording = self.level
        if recording.closed:
            raise closed(self)
        plain, number = (value.primal, value.number) if isinstance(value, Recorded) else (operand(value), None)
        if number is None:
            number = recording.constant(plain)
        operands: list[int] = [self.number, number]
        lengths: list[int] = []
        plain_index = self._noted(index, operands, lengths)
        buffer = write(writable(self, "primal"), primitive, plain_index, plain)
        number = recording.equation(WRITES[primitive], tuple(operands), {"lengths": tuple(lengths)}, buffer)
        self.primal, self.number = buffer, number

    def _noted(self, index: Any, operands: list[int], lengths: list[int]) -> Any:
        """Append the parts of an index to the operands; returns the index with plain values."""
        if index.__class__ is Through:
            path = self._noted(index.path, operands, lengths)
            return Through(path, self._noted(index.index, operands, lengths))
        parts = index if index.__class__ is tuple else (index,)
        recording: Recording = self.level
        plain = []
        for part in parts:
            if isinstance(part, (list, tuple)):
                part = np.asarray(part, np.intp if not part else None)
            if isinstance(part, Recorded):
                operands.append(part.number)
                plain.append(part.primal)
            else:
                operands.append(recording.constant(part))
                plain.append(part)
        lengths.append(len(plain))
        return tuple(plain)

    # --- what a record cannot follow ---

    def __bool__(self) -> bool:
        verdict = bool(self.primal)
        if self.level.closed:
            raise closed(self)
        self.level.guard(self.number, verdict)
        return verdict

    def __float__(self) -> NoReturn:
        raise _left("a plain float", "use NumPy's functions in place of math's, and np.stack to build arrays")

    __complex__ = __float__

    def __index__(self) -> NoReturn:
        raise _left("a plain integer", "a count, a shape or an index must not depend on values: pass it as an argument")

    __int__ = __index__

    def __round__(self, digits: int | None = None) -> NoReturn:
        raise _left("a rounded number", "write np.round(x)")

    def item(self, *index: Any) -> NoReturn:
        """Refused: a Python number of one run would be wrong in the next."""
        raise _left("a Python number (item)", "x[0], or np.reshape(x, ()), is recorded")

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise _left("a plain NumPy array", "np.stack([...]) builds arrays; fill those made with np.zeros_like(x)")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise _left("a pickle", "trace what runs in the other process there")


def _left(wanted: str, instead: str) -> TracerConversionError:
    return TracerConversionError(
        f"{wanted} was asked of a value that is being recorded{user_line()}: it would leave the record, which stands "
        f"for other values too; {instead}"
    )


_View: Any = view_class(Recorded)
_allocate: Any = object.__new__
_set_primal: Any = vars(DuckArray)["primal"].__set__

# --- the transform ----------------------------------------------------------------------------------------------------


def trace(f: Callable[..., Any], *args: Any, **kwargs: Any) -> Program:
    """The program that `f` executes on these arguments, as an object: every primitive it applies, in order.

    Floating-point numbers and arrays (of any dtype), also in nested containers, are inputs; integers, strings and other
    arguments belong to the program.  `f` may be a derivative: `trace(reversead.grad(g), x)` records the sweep, too.
    Arrays from outside of `f` are read at each call of the program, so later changes are seen; names that are bound
    anew are not, and neither is what `f` computes from plain arrays alone.  Branches on values become guards.

    Cost: one evaluation of `f`, some ten microseconds an operation.  Raises TracerConversionError for `float(x)`,
    `int(x)` and `x.item()` of a recorded value, and TypeError where `f` returns what is no number or array.

    >>> program = trace(lambda x: np.sin(x) * x, 2.0)
    >>> program(3.0) == np.sin(3.0) * 3.0
    np.True_
    >>> [equation.primitive.name for equation in program.equations]
    ['sin', 'multiply']
    """
    if not callable(f):
        raise TypeError(f"trace: expected a function, not {f!r} (type {type(f).__name__}){user_line()}")
    recording = Recording("trace")
    name = getattr(f, "__name__", type(f).__name__)
    leaves, structure = flatten([list(args), kwargs])
    paths = list(_paths(f, args, kwargs))
    names: dict[int, str] = {}
    inputs: list[int] = []
    static_leaves: dict[int, Any] = {}
    traced: list[Any] = []
    for position, (leaf, path) in enumerate(zip(leaves, paths, strict=True)):
        if isinstance(leaf, Tracer):
            raise TracerConversionError(
                f"trace: the argument {path} belongs to a differentiation in progress{user_line()}; trace the "
                "outermost function: trace(reversead.grad(f), x), not reversead.grad(lambda x: trace(f, x))"
            )
        if isinstance(leaf, (float, complex)) or (
            isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind in "biufc"
        ):
            if isinstance(leaf, np.ndarray) and leaf.__class__ is not np.ndarray:
                leaf = operand(leaf)
            number = recording.new(leaf)
            inputs.append(number)
            names[number] = path
            traced.append(Recorded(recording, leaf, number))
        else:
            static_leaves[position] = leaf
            traced.append(leaf)
    given, keywords = unflatten(structure, traced)
    del traced
    try:
        result, out_structure = flatten(f(*given, **keywords))
        outputs = [_output(recording, name, leaf) for leaf in result]
    finally:
        recording.closed = True
    del result, given, keywords
    literals, captured = recording.settle()
    return Program(
        name, recording.types, inputs, _named_captures(names, captured), structure, static_leaves, literals, captured,
        recording.steps, outputs, out_structure, tuple(recording.custom),
    )  # fmt: skip


def _output(recording: Recording, name: str, leaf: Any) -> int:
    if isinstance(leaf, Recorded) and leaf.level is recording:
        return leaf.number
    if isinstance(leaf, (np.ndarray, np.generic, *_NUMBERS)):
        return recording.constant(leaf)
    raise TypeError(
        f"trace: {name} returned {leaf!r} (type {type(leaf).__name__}){user_line()}; a program returns numbers, arrays "
        "and containers of them"
    )


def _named_captures(names: dict[int, str], captured: dict[int, np.ndarray]) -> dict[int, str]:
    return {**names, **{number: f"array{k + 1}" for k, number in enumerate(sorted(captured))}}


def _paths(f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[str]:
    """What users call the leaves of the arguments: `x`, `parameters[0][1]`, `options['w']`."""
    import inspect

    try:
        parameters = list(inspect.signature(f).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    for k, arg in enumerate(args):
        root = f"args[{k}]"
        if k < len(parameters) and parameters[k].kind in (0, 1):
            root = parameters[k].name
        yield from _leaf_paths(arg, root)
    for name in sorted(kwargs):
        yield from _leaf_paths(kwargs[name], name)


def _leaf_paths(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        try:
            keys = sorted(value)
        except TypeError:
            keys = list(value)
        for key in keys:
            yield from _leaf_paths(value[key], f"{path}[{key!r}]")
    elif isinstance(value, (list, tuple)):
        fields = getattr(value, "_fields", None)
        for k, part in enumerate(value):
            yield from _leaf_paths(part, f"{path}.{fields[k]}" if fields else f"{path}[{k}]")
    elif value is not None:
        yield path
