"""The recorder: one more small tracer, which writes down every primitive that a function executes.

Its level lies below every differentiation's, so what an engine computes passes through it:
`trace(reversead.grad(f), x)` records the gradient program itself.  A `Recorded` value knows its number in the record,
and the value that it stands for in this run, by which branches are taken; each branch becomes a guard.  This module
knows no derivative and no engine, and nothing of what is done with programs.
"""

from __future__ import annotations

import sys
from _thread import get_ident
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np

from shared.calling.tree import flatten, unflatten
from shared.core.assignment import NestedIndex, UpdatePrimitive
from shared.core.constants import KINDS, as_kind
from shared.core.described import as_object, asked_for_product
from shared.core.duck_array import LIBRARIES, DuckArray, operand
from shared.core.errors import (
    ClosedLevelError,
    CompilationError,
    RecordLengthError,
    TracerConversionError,
    is_users,
    user_line,
)
from shared.core.floating_errors import error_settings, settings_beyond
from shared.core.levels import RECORDING, Level, Tracer, current_recording
from shared.core.locks import Locks
from shared.core.primitive import Primitive
from shared.core.views import standing_for
from shared.core.visible import one_line
from shared.core.writing import writable, write
from shared.programs.captures import contents_of, kept, lives_outside, rebuilt, views_among
from shared.programs.equations import AS_KIND, PART, WRITES, Equation, Guard, Step, ValueType
from shared.programs.opaque import Opaque, is_recorded_leaf, require_numbers, run_opaquely

#: Functions whose result has a shape that depends on values.
_SHAPE_FROM_VALUES = frozenset((np.nonzero, np.flatnonzero, np.argwhere))
#: Functions whose arrays of integers are counts, sections or shapes, which belong to the program.
_COUNTING = frozenset(
    (
        np.tile, np.repeat, np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit, np.pad, np.roll, np.linspace,
        np.logspace, np.geomspace, np.vander, np.diag, np.tril, np.triu, np.reshape, np.broadcast_to, np.rot90,
        np.insert, np.delete, np.bincount, np.resize, np.put, np.lib.stride_tricks.sliding_window_view,
    )
)  # fmt: skip
_NUMBERS = (float, complex, int, bool)
#: Whether a larger array changes while it is recorded is not looked at each time it is read: it is locked read-only.
LARGEST_COMPARED = 1 << 20
#: Records of more values are given up: they take about half a kilobyte a value.
LONGEST_RECORD = 4_000_000
_NO_KEYWORDS: dict[str, Any] = {}


class Recording(Level):
    """The record of one run: the types of all values so far, and the steps."""

    __slots__ = (
        "arrays", "contents", "custom", "errors", "guarded", "lines", "literals", "locked", "longest", "lowered",
        "numbers", "outer", "outside", "raised", "steps", "thread", "types",
    )  # fmt: skip

    def __init__(self, transform: str = "trace", lowered: frozenset[Any] = frozenset(), longest: int | None = None):
        super().__init__(transform)
        self.thread = get_ident()
        #: the record that this thread wrote before, if any
        self.outer = current_recording()
        #: after so many values the record is given up
        self.longest = LONGEST_RECORD if longest is None else longest
        #: what an operation raised, with the user's line, where the function has caught it
        self.raised: str | None = None
        #: NumPy's error handling outside of the function, and by what stands for it that of each np.errstate inside
        self.outside = error_settings()
        self.errors: dict[Any, Mapping[str, Any]] = {self.outside: {}}
        #: functions in whose place the primitives are recorded that they evaluate
        self.lowered = lowered
        self.types: list[ValueType] = []
        self.steps: list[Step] = []
        #: numbers of literals by type and value, and of arrays by identity
        self.numbers: dict[Any, int] = {}
        self.literals: dict[int, Any] = {}
        self.arrays: dict[int, np.ndarray] = {}
        #: what small arrays held when they were read, and the large ones that are locked
        self.contents: dict[int, bytes] = {}
        self.locked = Locks(self.thread)
        #: the users' lines by place in the code; None for this library's own code
        self.lines: dict[Any, str | None] = {}
        self.guarded: dict[Any, None] = {}
        self.custom: dict[str, None] = {}

    def new(self, value: Any) -> int:
        """The number of a new value."""
        self.types.append(ValueType.of(value))
        return len(self.types) - 1

    def number_of(self, value: Any) -> int:
        """The number of a value that is not traced: an array by identity, anything else by type and value."""
        if isinstance(value, np.ndarray):
            return self._array(value)
        if value.__class__ is float:
            # Zero has a sign, and a NaN differs from itself.
            key: Any = (float, value if value and value == value else repr(value))
        elif LIBRARIES and isinstance(value, LIBRARIES[0]):
            raise TracerConversionError(
                f"{self.transform}: {value.named()} was met{user_line()}; a record computes with NumPy's arrays. Leave "
                "it out, or convert it first"
            )
        elif isinstance(value, Tracer):
            raise TracerConversionError(
                f"{self.transform}: a value of a differentiation in progress was met{user_line()}; a record outlives "
                "it. Trace the outermost function, or pass the value as an argument"
            )
        else:
            key = (value.__class__, getattr(value, "dtype", None), repr(value))
        number = self.numbers.get(key)
        if number is None:
            number = self.new(value)
            self.literals[number] = value
            self.numbers[key] = number
        return number

    def _array(self, array: np.ndarray) -> int:
        """The number of an array that is not traced; another one once its contents have changed."""
        key = id(array)
        number = self.numbers.get(key)
        if number is not None:
            contents = self.contents.get(number)
            if contents is None or contents_of(array) == contents:
                return number
        number = self.new(array)
        self.arrays[number] = array
        owner: Any = array if array.base is None else array.base
        if array.nbytes <= LARGEST_COMPARED or owner.__class__ is not np.ndarray or not self.locked.lock(owner):
            self.contents[number] = contents_of(array)
        # Last, so that an interrupt leaves no number without an array.
        self.numbers[key] = number
        return number

    def lifted(self, value: Any) -> Any:
        """A plain number or array that a derivative is taken with respect to, or along, as a value of the record."""
        if self.thread != get_ident() or isinstance(value, Tracer):
            return value
        if isinstance(value, (float, complex)) or (isinstance(value, _ARRAYS) and value.dtype.kind in "biufc"):
            return Recorded(self, value, self.number_of(value))
        return value

    def among(
        self, function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments of a function that computes with them, with arrays as values of the record if any is traced."""
        leaves, structure = flatten([list(args), kwargs])
        if self.thread != get_ident() or not any(isinstance(leaf, Tracer) for leaf in leaves):
            return args, kwargs
        letters = "fcb" if function in _COUNTING else "fcbiu"
        found, keywords = unflatten(
            structure,
            [
                self.lifted(leaf) if isinstance(leaf, np.ndarray) and leaf.dtype.kind in letters else leaf
                for leaf in leaves
            ],
        )
        return tuple(found), keywords

    # --- what cannot be followed ---

    def call_custom(self, function: Any, leaves: list[Any], structure: Any, static: dict[str, Any]) -> Any:
        self.custom[getattr(function, "__name__", repr(function))] = None
        return function.follow(self, leaves, structure, static)

    def opaque(self, called: Any, leaves: list[Any], structure: Any, static: dict[str, Any]) -> Any:
        """Call code that is no NumPy on plain values, and write it down as one operation."""
        self.custom[called.name] = None
        values = [leaf.primal if isinstance(leaf, Recorded) and leaf.level is self else leaf for leaf in leaves]
        # What the code differentiates inside, on its plain values, is no part of this record.
        token = RECORDING.set(None)
        try:
            found, out_structure = run_opaquely(called, values, structure, static)
        except Exception as error:
            self.failed(called.name, error)
            raise
        finally:
            RECORDING.reset(token)
        require_numbers(called, found)
        operands: list[int] = []
        fixed: dict[int, Any] = {}
        for position, leaf in enumerate(leaves):
            if isinstance(leaf, Recorded) and leaf.level is self:
                operands.append(leaf.number)
            elif is_recorded_leaf(leaf):
                operands.append(self.number_of(leaf))
            else:
                fixed[position] = leaf
        primitive = Opaque(called, structure, static, fixed, out_structure)
        number = self.equation(primitive, tuple(operands), {}, tuple(found))
        parts = []
        for k, value in enumerate(found):
            part = self.equation(PART, (number,), {"item": k}, value)
            if isinstance(value, np.ndarray):
                self.guard(part, value.shape)
            parts.append(Recorded(self, value, part))
        return unflatten(out_structure, parts)

    def without_branches(self, follow: Callable[[], Any]) -> Any:
        """The value of `follow()`, which is followed inside; CompilationError where it branches on a value.

        A loop until convergence would be recorded with the number of turns that it takes in this one run.
        """
        guards = len(self.guarded)
        result = follow()
        # The shapes of what opaque code returned are guarded, too, and are no branches.
        if len(self.guarded) > guards and not self._opaque_parts().issuperset(k for k, _ in [*self.guarded][guards:]):
            raise CompilationError(f"{self.transform}: a branch on a value within code that may be called as it is")
        return result

    def _opaque_parts(self) -> set[int]:
        """The numbers of all values that opaque code returned."""
        equations = [step for step in self.steps if isinstance(step, Equation)]
        calls = {step.result for step in equations if isinstance(step.primitive, Opaque)}
        return {step.result for step in equations if step.primitive is PART and step.operands[0] in calls}

    def mark(self) -> tuple[int, ...]:
        """How far the record has come."""
        return len(self.types), len(self.steps), len(self.guarded), len(self.custom), self.raised is not None

    def undo(self, mark: tuple[int, ...]) -> None:
        """Forget what was written down since a mark: an attempt that failed."""
        values, steps, guards, custom, had_raised = mark
        del self.types[values:], self.steps[steps:]
        for known in (self.numbers, self.literals, self.arrays, self.contents):
            table: dict[Any, Any] = known
            by_value = known is self.numbers
            for key in [key for key, value in table.items() if (value if by_value else key) >= values]:
                del table[key]
        for table, length in ((self.guarded, guards), (self.custom, custom)):
            while len(table) > length:
                table.popitem()
        if not had_raised:
            self.raised = None

    def captures(self) -> Captures:
        """What keeps the arrays that a derivative captures, in place of a tape's guard."""
        return Captures(self)

    def line(self) -> str:
        """Where the user's code is, as `user_line()` says it: the text of each place is made once."""
        lines = self.lines
        frame: Any = sys._getframe(2)
        while frame is not None:
            code = frame.f_code
            found = lines.get(code, code)
            if found is code:
                found = lines[code] = "" if is_users(code) else None
            if found is not None:
                place = (code, frame.f_lasti)
                found = lines.get(place)
                if found is None:
                    found = lines[place] = f" (at {one_line(code.co_filename)}:{frame.f_lineno})"
                return found
            frame = frame.f_back
        return ""

    def equation(self, primitive: Any, operands: tuple[int, ...], static: dict[str, Any], out: Any) -> int:
        """Write down an equation; returns the number of its result."""
        types = self.types
        number = len(types)
        types.append(ValueType.of(out))
        settings = error_settings()
        errors = self.errors.get(settings)
        if errors is None:
            errors = self.errors[settings] = settings_beyond(settings, self.outside)
        self.steps.append(Equation(primitive, operands, static or _NO_KEYWORDS, number, self.line(), errors))
        if number >= self.longest:
            raise RecordLengthError(
                f"{self.transform}: {number:,} values were recorded, and the function goes on{user_line()}: a loop "
                "that does not end while it is recorded, or one too long to be written out. Record the body of the "
                "loop; of a gradient, let fewer operations do the work of more numbers"
            )
        return number

    def failed(self, what: str, error: Exception) -> None:
        """Note that an operation raised: if the function catches that, the record is of no use for other values."""
        if self.raised is None:
            self.raised = f"{type(error).__name__} raised by {what}{self.line()}"

    def guard(self, number: int, expected: Any) -> None:
        """Write down what the rest of the record relies on."""
        if (number, expected) not in self.guarded:
            self.guarded[number, expected] = None
            self.steps.append(Guard(number, expected, self.line()))

    def refusal(self, value: Any) -> Exception:
        """Why a value of this record cannot be used here and now."""
        if self.closed:
            return ClosedLevelError(
                f"a value that was recorded was used after trace had ended{user_line()}: it was probably stored in a "
                "variable outside of the function; return it from the function instead"
            )
        return ClosedLevelError(
            f"a value that is being recorded was used in another thread{user_line()}; call trace inside each thread"
        )

    def end(self) -> None:
        """Stop recording, and give the arrays that were locked back for writing."""
        self.closed = True
        self.thread = -1
        self.locked.release()
        self.lines.clear()

    def settle(self) -> tuple[dict[int, Any], dict[int, np.ndarray]]:
        """Tell literals from captured arrays, when the function has ended: what nobody else holds, it has made.

        So are the contents, as they were, of an array that the function itself has changed after reading it.
        """
        arrays, self.arrays = self.arrays, {}
        self.numbers.clear()
        met = Counter(map(id, arrays.values()))
        rewritten: dict[int, Any] = {}
        for number, contents in self.contents.items():
            if met[id(arrays[number])] > 1 or contents_of(arrays[number]) != contents:
                rewritten[number] = rebuilt(arrays[number], contents)
        for number in rewritten:
            del arrays[number]
        self.contents.clear()
        views = views_among(arrays)
        owners = {id(array) for array in arrays.values()}
        captured = {number: arrays[number] for number in arrays if lives_outside(arrays, number, views, owners)}
        literals = {**self.literals, **rewritten}
        for number in arrays.keys() - captured.keys():
            literals[number] = kept(arrays[number])
        return literals, captured


class Captures:
    """What stands in place of a tape's guard while a program is recorded: an array is recorded, and not copied."""

    __slots__ = ("__weakref__", "held", "recording")

    def __init__(self, recording: Recording):
        self.recording = recording
        self.held: dict[int, Any] = {}

    def captured(self, array: np.ndarray) -> Recorded:
        """The array as a value of the record, which reads it anew in each run."""
        return Recorded(self.recording, array, self.recording.number_of(array))

    leaf = index = captured

    def another(self) -> Captures:
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
        if recording.thread != get_ident():
            raise recording.refusal(self)
        values, operands = [], []
        for a in args:
            if isinstance(a, Recorded) and a.level is recording:
                values.append(a.primal)
                operands.append(a.number)
            else:
                # Names and types, such as the side of np.searchsorted, are operands of functions without a derivative.
                if primitive.constant and isinstance(a, (str, type, np.dtype)):
                    a = a if isinstance(a, str) else np.dtype(a)
                elif not isinstance(a, Tracer):
                    a = operand(a)
                operands.append(recording.number_of(a))
                values.append(a)
        if primitive.function in recording.lowered and self.dtype != np.float16:
            return primitive.raw(*args, **static)
        try:
            out = primitive.raw(*values, **static)
        except Exception as error:
            recording.failed(primitive.name.lstrip("_"), error)
            raise
        if primitive.is_question:
            return out
        if primitive.is_index:
            # x[mask] of one truth value has one row or none.
            for part, value in zip(operands[1:], values[1:], strict=True):
                if value.__class__ in (bool, np.bool_) or (value.__class__ is np.ndarray and value.shape == () and
                                                           value.dtype.kind == "b"):  # fmt: skip
                    recording.guard(part, bool(value))
        number = recording.equation(primitive, tuple(operands), static, out)
        if isinstance(out, tuple):
            return tuple(self._part(number, out, k, primitive) for k in range(len(out)))
        if primitive.function in _SHAPE_FROM_VALUES or (
            primitive.is_index and any(isinstance(v, np.ndarray) and v.dtype.kind == "b" for v in values[1:])
        ):
            recording.guard(number, out.shape)
        return standing_for(Recorded(recording, out, number), primitive, args)

    def _part(self, number: int, values: tuple[Any, ...], k: int, primitive: Primitive) -> Recorded:
        recording = self.level
        part = recording.equation(PART, (number,), {"item": k}, values[k])
        if primitive.function in _SHAPE_FROM_VALUES:
            recording.guard(part, values[k].shape)
        return Recorded(recording, values[k], part)

    # --- assignment ---

    def lift(self, value: Any) -> Recorded:
        return Recorded(self.level, value, self.level.number_of(value))

    def twin(self) -> Recorded:
        return Recorded(self.level, self.primal, self.number)

    def become(self, other: Any) -> None:
        self.primal, self.number = other.primal, other.number

    def conformed(self, derivative: Any, leaf: Any) -> Any:
        # One kind of number promotes otherwise than another, and a gradient may be computed with in turn.
        kind = (leaf.primal if isinstance(leaf, Recorded) else leaf).__class__
        if not isinstance(derivative, Tracer):
            return as_kind(derivative, kind=kind) if kind in KINDS else derivative
        if not isinstance(derivative, Recorded) or kind not in KINDS or derivative.primal.__class__ is kind:
            return derivative
        return AS_KIND(derivative, kind=kind)

    def new_like(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Recorded:
        # What is not initialised would differ from run to run.
        return self.lift(
            np.zeros_like(self.primal, *args, **kwargs)
            if function is np.empty_like
            else function(self.primal, *args, **kwargs)
        )

    def _created(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return super()._created(np.zeros if function is np.empty else function, args, kwargs)

    def update(self, primitive: UpdatePrimitive, value: Any, index: Any) -> None:
        recording = self.level
        if recording.thread != get_ident():
            raise recording.refusal(self)
        plain, number = (value.primal, value.number) if isinstance(value, Recorded) else (operand(value), None)
        if number is None:
            number = recording.number_of(plain)
        operands: list[int] = [self.number, number]
        lengths: list[int] = []
        plain_index = self._noted(index, operands, lengths)
        buffer = writable(self, "primal")
        if not isinstance(buffer, np.ndarray):
            # A sweep adds to the cotangent of a number, too: as to that of an array without axes.
            buffer = np.array(buffer)
        try:
            buffer = write(buffer, primitive, plain_index, plain)
        except Exception as error:
            recording.failed("an assignment", error)
            raise
        number = recording.equation(WRITES[primitive], tuple(operands), {"lengths": tuple(lengths)}, buffer)
        self.primal, self.number = buffer, number

    def _noted(self, index: Any, operands: list[int], lengths: list[int]) -> Any:
        """Append the parts of an index to the operands; returns the index with plain values."""
        if index.__class__ is NestedIndex:
            path = self._noted(index.path, operands, lengths)
            return NestedIndex(path, self._noted(index.index, operands, lengths))
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
                operands.append(recording.number_of(part))
                plain.append(part)
        lengths.append(len(plain))
        return tuple(plain)

    # --- what a record cannot follow ---

    def __bool__(self) -> bool:
        try:
            verdict = bool(self.primal)
        except ValueError as error:
            self.level.failed("a branch", error)
            raise
        if self.level.thread != get_ident():
            raise self.level.refusal(self)
        self.level.guard(self.number, verdict)
        return verdict

    def __float__(self) -> NoReturn:
        raise self._left(
            "a plain float",
            "leave out float(), use NumPy's functions in place of math's, and np.stack([...]) to build arrays; one "
            "that is filled is made in the function, with np.zeros_like(x, shape=n), of all the x that may vary",
        )

    __complex__ = __float__

    def __index__(self) -> NoReturn:
        raise self._left(
            "a plain integer",
            "leave out int(): x[np.argmax(x)] is recorded; of a plain array that is indexed, pass the array as an "
            "argument, too; a count or a shape must not depend on values: pass it as an integer argument",
        )

    __int__ = __index__

    def __round__(self, digits: int | None = None) -> NoReturn:
        raise self._left("a rounded number", "write np.round(x)")

    def __format__(self, spec: str) -> str:
        if spec:
            raise self._left("text", "print(x) shows a value while it is recorded, without a format")
        return str(self)

    def item(self, *index: Any) -> NoReturn:
        """Refused: a Python number of one run would be wrong in the next."""
        raise self._left("a Python number (item)", "x[0], or np.reshape(x, ()), is recorded")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        if asked_for_product():
            return as_object(self)
        raise self._left(
            "a plain NumPy array",
            "np.stack([...]) builds arrays; fill those made with np.zeros_like(x); where it is the index of a plain "
            "array, pass the array as an argument, too",
        )

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise self._left("a pickle", "trace what runs in the other process there")

    def _left(self, wanted: str, instead: str) -> TracerConversionError:
        error = TracerConversionError(
            f"{wanted} was asked of a value that is being recorded{user_line()}: it would leave the record, which "
            f"stands for other values too; {instead}"
        )
        self.level.failed(f"{wanted} that was asked of a value of the record,", error)
        return error


_ARRAYS = (np.ndarray, np.generic)
