"""What a program's text consists of while it is written: lines, names, and the buffers that results are written to.

The `Emitter` knows by what each value stands: a name, a literal, a constant, or the expression that it is.  Float64
numbers are Python floats; what has one reader stands in that reader's expression.  Beside arrays a number is an array
without axes, which NumPy takes faster: a constant, or a cell that is filled when the number is there.

The `Buffers` are allocated once, in the head of the text; what one root has left, the next one of the same dtype and
about the same size takes.  This module knows no equations but their operands.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.programs.compiling.literals import Namespace, is_plain_dtype, literal, number_text, slice_text
from shared.programs.compiling.numpy_text import FLOAT64, allocation, call_text, dtype_of
from shared.programs.compiling.plan import Memory, ScheduledStep
from shared.programs.equations import Equation, ValueType
from shared.programs.program import Program
from shared.rules import indexing, shapes
from shared.rules.shapes import CONVERT

#: Literal arrays with at most this many elements are written out in the text.
_WRITTEN_OUT = 32
#: Functions that take apart what has to be an array, even one without axes.
_OF_ARRAYS = frozenset((indexing.GETITEM.function, shapes.TRANSPOSE.function))
_CONVERSIONS = frozenset((shapes.ASTYPE.function, CONVERT.function))
#: From here on not every integer is a float.
_INTEGERS_END = 2**53


class Emitter:
    """The values of a program as they stand in its text, and the lines written so far."""

    def __init__(self, program: Program, steps: Sequence[ScheduledStep]):
        self.program = program
        self.types = program.types
        self.literals = program.literals
        self.memory = Memory(program, steps)
        self.head: list[str] = []
        self.body: list[str] = []
        #: arrays that have to be assigned to names before the text is executed: those from outside, and large literals
        self.bindings: dict[str, Any] = {}
        #: what else the text needs by name
        self.namespace = Namespace()
        self.names: dict[int, str] = {}
        #: values that are there before the function runs, each with an array of the layout it will have
        self.samples: dict[int, Any] = {}
        #: how often each value is read
        self.readers = Counter(k for step in program.steps for k in step.operands)
        self.readers.update(program.outputs)
        #: the numbers that will stand in the expression of their one reader, and whether they need no parentheses there
        self._pending: dict[int, tuple[str, bool]] = {}
        #: names that the head defines, by what they stand for
        self._defined: dict[Any, str] = {}
        #: how many functions of fused loops the head defines
        self.fused_loops = 0
        self._cells: dict[int, str] = {}
        self._filled: set[int] = set()
        self._name_given()

    def _name_given(self) -> None:
        program = self.program
        for k, number in enumerate(program.inputs):
            self.names[number] = name = f"x{k}"
            if number in self.memory.floats and program.types[number].kind is not float:
                self.body.append(f"{name} = float({name})")
        for k, (number, array) in enumerate(sorted(program.captured.items())):
            self.names[number] = name = f"array{k + 1}"
            self.bindings[name] = array
            if number in self.memory.floats:
                self.names[number] = f"{name}_now"
                self.body.append(f"{name}_now = float({name})")
            else:
                self.samples[number] = array
        for number, value in program.literals.items():
            if isinstance(value, np.ndarray):
                self.samples[number] = value

    # --- lines ---

    def assign(self, number: int, text: str) -> None:
        """A line of the body that computes a value under its own name."""
        self.body.append(f"v{number} = {text}")

    def define(self, key: Any, text: str, prefix: str = "c") -> str:
        """The name of an object that the head makes: one for each key."""
        name = self._defined.get(key)
        if name is None:
            name = self.reserve(key, f"{prefix}{len(self._defined)}")
            self.head.append(f"{name} = {text}")
        return name

    def defined(self, key: Any) -> str | None:
        """The name that is defined for a key, if there is one."""
        return self._defined.get(key)

    def reserve(self, key: Any, name: str) -> str:
        """Note a name as defined by a line that somebody else writes."""
        self._defined[key] = name
        return name

    def literal(self, value: Any, dtype: np.dtype[Any]) -> str:
        """The name of an array without axes."""
        text = number_text(value.item() if isinstance(value, np.generic) else value)
        return self.define(("constant", text, dtype), f"np.array({text}, np.{dtype.name})")

    def ones(self, size: int, dtype: np.dtype[Any]) -> str:
        """The name of a vector of ones: an inner product with it is a sum."""
        return self.define(("ones", size, dtype), f"np.ones({size}, np.{dtype.name})")

    # --- values ---

    def name(self, number: int) -> str:
        """A value as it stands in any expression."""
        found = self.names.get(number)
        if found is not None:
            return found
        if number in self.literals:
            return self._literal(number)
        if number in self._pending:
            self.assign(number, self._pending.pop(number)[0])
        return f"v{number}"

    def _literal(self, number: int) -> str:
        value = self.literals[number]
        if isinstance(value, np.ndarray):
            self.names[number] = name = self._literal_array(number, value)
            return name
        text = slice_text(value) if isinstance(value, slice) else literal(value)
        return self.namespace.object(value, "literal") if text is None else text

    def _literal_array(self, number: int, value: np.ndarray) -> str:
        if is_plain_dtype(value.dtype):
            dtype = f"np.{value.dtype.name}"
            if not value.size:
                return self.define(number, f"np.empty({value.shape}, {dtype})")
            if value.ndim and not any(value.strides):
                return self.define(number, f"np.full({value.shape}, {number_text(value.flat[0].item())}, {dtype})")
            if value.size <= _WRITTEN_OUT and value.dtype.kind in "biuf" and np.isfinite(value).all():
                return self.define(number, f"np.array({value.tolist()!r}, {dtype})")
        name = self.reserve(number, f"c{len(self._defined)}")
        self.bindings[name] = value
        return name

    def strong(self, number: int) -> str:
        """A value as an operand of a call whose result depends on whether a number is NumPy's or Python's."""
        computed = number in self.memory.floats and number not in self.literals
        if computed and self.types[number].kind is not float:
            return f"np.float64({self.name(number)})"
        return self.name(number)

    def call(self, equation: Equation) -> str:
        """The call of an equation's function with its operands."""
        function, first = equation.primitive.function, equation.operands[0] if equation.operands else -1
        if function is indexing.GETITEM.function:
            operands = [self.name(k) for k in equation.operands]
        else:
            operands = [self.strong(k) for k in equation.operands]
        if function in _OF_ARRAYS and (self.memory.is_number(first) or not self.types[first].is_array):
            operands[0] = f"np.array({operands[0]})"
        text = call_text(equation.primitive, operands, equation.static, self.namespace)
        result = self.types[equation.result]
        # What makes a number of an array without axes is to leave it one, where the function does.
        return f"np.asarray({text})" if function in _CONVERSIONS and result.is_array and not result.shape else text

    # --- Python floats ---

    def postpone(self, number: int, text: str, closed: bool) -> None:
        """Let a number stand in the expression of its one reader; `closed` if it needs no parentheses there."""
        self._pending[number] = text, closed

    def float_operand(self, number: int) -> str:
        """A number as an operand of Python's arithmetic."""
        if number in self.literals:
            value = self.literals[number]
            text = number_text(value.item() if type(value) in (np.float64, np.ndarray) else value)
            if text is None:
                return self.name(number)
            return f"({text})" if text.startswith("-") else text
        pending = self._pending.pop(number, None)
        if pending is None:
            return self.name(number)
        text, closed = pending
        return text if closed else f"({text})"

    # --- beside arrays ---

    def beside_arrays(self, equation: Equation, into: bool = False) -> str:
        """The operands of a ufunc of arrays: a number becomes an array without axes, which NumPy takes faster.

        So does an array of equal numbers, where another operand gives the shape, or the array that is written `into`.
        """
        operands, literals, floats = equation.operands, self.literals, self.memory.floats
        texts = []
        for k in operands:
            if k in literals:
                texts.append(self._literal_beside(k, equation, into))
            elif k in floats:
                texts.append(self.number_beside(k, equation))
            else:
                texts.append(self.name(k))
        return ", ".join(texts)

    def number_beside(self, number: int, equation: Equation) -> str:
        """A computed number as an operand of a ufunc of arrays: a Python float stays one beside other dtypes."""
        is_array = self.types[number].kind is not float or self._is_wide(equation)
        return self._cell(number) if is_array else self.name(number)

    def _literal_beside(self, number: int, equation: Equation, into: bool) -> str:
        value = self.literals[number]
        if isinstance(value, np.ndarray):
            uniform = value.size and value.ndim and not any(value.strides) and is_plain_dtype(value.dtype)
            if uniform and (into or self._gives_shape(equation)):
                return self.literal(value.flat[0], value.dtype)
        elif isinstance(value, np.generic) and literal(value) is not None:
            return self.literal(value, value.dtype)
        elif type(value) in (int, float) and abs(value) < _INTEGERS_END and self._is_wide(equation):
            return self.literal(float(value), FLOAT64)
        return self.name(number)

    def _is_wide(self, equation: Equation) -> bool:
        """Whether a float64 in place of a Python number leaves the result's dtype as it is."""
        if self.types[equation.result].dtype not in (np.float64, np.bool_):
            return False
        return all(self.types[k].dtype == FLOAT64 for k in equation.operands if self.types[k].shape)

    def _gives_shape(self, equation: Equation) -> bool:
        """Whether an operand that is no literal has the shape of the result."""
        shape = self.types[equation.result].shape
        return any(self.types[k].shape == shape and k not in self.literals for k in equation.operands)

    def _cell(self, number: int) -> str:
        """An array without axes that holds a computed number."""
        cell = self._cells.get(number)
        if cell is None:
            self._cells[number] = cell = f"s{number}"
            self.head.append(f"{cell} = np.empty(())")
        if number not in self._filled:
            self._filled.add(number)
            self.body.append(f"{cell}[()] = {self.name(number)}")
        return cell


#: A result takes a larger buffer than it needs up to twice its size, and up to this size in any case.
_ANY_SIZE = 64


class Buffers:
    """The buffers of a text, and the roots that hold them at the step that is being written."""

    def __init__(self, emitter: Emitter):
        self.emitter = emitter
        #: the place in the program of the step that is being written
        self.position = 0
        #: of each root that holds one, the buffer's name and number of elements
        self._held: dict[int, tuple[str, int]] = {}
        #: those that nobody holds, by dtype, as (number of elements, name) from the smallest on
        self._free: dict[np.dtype[Any], list[tuple[int, str]]] = {}
        #: of each buffer an array like it, in the shape in which it is made
        self._samples: dict[str, np.ndarray] = {}
        #: the arrays like them in further shapes, by the names that they have there
        self._reshaped: dict[str, np.ndarray] = {}
        self._count = 0

    def target(self, number: int, operands: Sequence[int] = ()) -> str | None:
        """The name of the buffer that a new root is written to; None where it is allocated in the call.

        That of one of the `operands` which dies here is taken first: the function writes elements where it read them.
        """
        memory, types = self.emitter.memory, self.emitter.types
        if number not in memory.buffered or number in memory.leaving:
            return None
        held = self._held
        for root in [root for k in operands for root in sorted(memory.roots.get(k, ()))]:
            if root in held and types[root] is types[number] and memory.ends[root] <= self.position and root != number:
                held[number] = held.pop(root)
                return self._named(number)
        held[number] = self._take(types[number])
        return self._named(number)

    def release(self) -> None:
        """Take back the buffers of roots that nothing reads after this step."""
        for root in self.emitter.memory.ending.get(self.position, ()):
            held = self._held.pop(root, None)
            if held is not None:
                name, size = held
                insort(self._free.setdefault(dtype_of(self.emitter.types[root]), []), (size, name))

    def _take(self, type_: ValueType) -> tuple[str, int]:
        """The name and size of a buffer that holds a value of this type."""
        size, free = type_.size, self._free.setdefault(dtype_of(type_), [])
        smallest = bisect_left(free, (size, ""))
        if smallest < len(free) and free[smallest][0] <= max(2 * size, _ANY_SIZE):
            size, name = free.pop(smallest)
            return name, size
        self._count += 1
        return f"b{self._count - 1}", size

    def _named(self, number: int) -> str:
        """The name by which a root's buffer has the root's shape."""
        emitter, buffer, type_ = self.emitter, self._held[number][0], self.emitter.types[number]
        key = ("buffer", buffer, type_)
        name = emitter.defined(key)
        if name is None:
            base = self._samples.get(buffer)
            if base is None:
                name = emitter.reserve(key, buffer)
                emitter.head.append(f"{name} = {allocation('empty', type_)}")
                sample = self._samples[buffer] = np.empty(type_.shape, type_.dtype)
            else:
                cut = "" if type_.size == base.size else f"[:{type_.size}]"
                name = emitter.define(key, f"{buffer}.reshape(-1){cut}.reshape({type_.shape})", f"{buffer}_")
                sample = base.reshape(-1)[: type_.size].reshape(type_.shape)
            self._reshaped[name] = sample
        emitter.samples[number] = self._reshaped[name]
        emitter.names[number] = name
        return name
