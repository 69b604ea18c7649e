"""Straight-line NumPy source for a recorded program: one line an equation, into buffers that are allocated once.

The text stands by itself: it runs without this library (what the program reads from outside is assigned to the names
that its head lists).  Float64 numbers are Python floats, constants beside arrays are 0-d arrays, ufuncs write into
buffers (`shared.programs.compiling.memory`), views of buffers are made once.  A number that Python's `math` refuses
raises, and a branch that goes another way raises Departed: whoever calls the function then evaluates the program
otherwise.
"""

from __future__ import annotations

import builtins
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.programs.compiling.memory import Buffers, Memory, equations_of
from shared.programs.compiling.numpy_text import OF_FLOATS, REDUCTIONS, call_text, output_text, ufunc_of
from shared.programs.compiling.stretches import Stretch, scheduled, write
from shared.programs.program import Equation, Guard, Program, Write, literal_text
from shared.programs.recorder import AS_KIND
from shared.rules import indexing, shapes
from shared.tracer import ADD_AT, SETITEM
from shared.tree import Structure

#: Literal arrays with at most this many elements are written out in the text.
_WRITTEN_OUT = 32
#: Expressions of numbers are nested up to about this many characters.
_LONGEST_EXPRESSION = 120
#: Sums of more elements than this are left to NumPy's pairwise summation, which rounds less than a dot product.
_DOT_AT_MOST = 4096


class Source:
    """The text of a program, and the objects that it refers to by name.

    `text` defines `call(...)`, a function of the recorded inputs; `bindings` are the arrays from outside (and large
    literals) that have to be assigned before the text is executed.
    """

    def __init__(self, program: Program):
        self.program = program
        self.steps = scheduled(program)
        self.memory = Memory(program, self.steps)
        self.buffers = Buffers()
        self.preamble: dict[str, Any] = {}
        self.bindings: dict[str, Any] = {}
        self.head: list[str] = []
        self.body: list[str] = []
        self.names: dict[int, str] = {}
        #: values whose name is defined once, before the function, each with an array of the layout it will have
        self.samples: dict[int, Any] = {}
        self.slots: dict[int, tuple[str, int]] = {}
        self.constants: dict[Any, str] = {}
        #: the shape in which each buffer was made, and an array like it
        self._first: dict[str, tuple[tuple[int, ...], np.ndarray]] = {}
        self.cells: dict[int, str] = {}
        self.filled: set[int] = set()
        self.guards: list[Guard] = []
        #: how often each value is read, and the numbers that stand in the expression of their one reader
        self.readers = Counter(k for step in program.steps for k in step.operands)
        self.readers.update(program.outputs)
        self.pending: dict[int, str] = {}
        #: those of them that need no parentheses: names and calls
        self.closed: set[int] = set()
        #: arrays that are returned as they are, once: who gets an array twice gets two
        self.returned: set[int] = set()
        self._name_given()
        for position, step in enumerate(self.steps):
            self._step(step, position)
        self.text = self._text()

    # --- names ---

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

    def _literal(self, number: int) -> str:
        """The text of a literal by itself."""
        value = self.program.literals[number]
        if number in self.names:
            return self.names[number]
        if isinstance(value, np.ndarray):
            self.names[number] = name = f"c{len(self.constants)}"
            self.constants[number] = name
            if value.size and not any(value.strides) and value.ndim:
                text = f"np.full({value.shape}, {_number(value.flat[0])}, np.{value.dtype.name})"
            elif not value.size:
                text = f"np.empty({value.shape}, np.{value.dtype.name})"
            elif value.size <= _WRITTEN_OUT and value.dtype.kind in "biuf" and np.isfinite(value).all():
                text = f"np.array({value.tolist()!r}, np.{value.dtype.name})"
            else:
                self.bindings[name] = value
                return name
            self.head.append(f"{name} = {text}")
            return name
        if isinstance(value, slice):
            return literal_text(value) if value != slice(None) else ":"
        if isinstance(value, np.generic):
            return f"np.{value.dtype.name}({_number(value)})"
        return "..." if value is Ellipsis else _number(value)

    def _constant(self, value: Any, dtype: Any) -> str:
        """The name of a 0-d array."""
        key = (repr(value), dtype)
        if key not in self.constants:
            self.constants[key] = name = f"c{len(self.constants)}"
            self.head.append(f"{name} = np.array({_number(value)}, np.{np.dtype(dtype).name})")
        return self.constants[key]

    def name(self, number: int) -> str:
        """A value as it stands in an expression."""
        if number in self.names:
            return self.names[number]
        if number in self.program.literals:
            return self._literal(number)
        if number in self.pending:
            self._set(number, self.pending.pop(number))
        return f"v{number}"

    def strong(self, number: int) -> str:
        """A value as an operand of a call whose result depends on whether a number is NumPy's or Python's."""
        computed = number in self.memory.floats and number not in self.program.literals
        if computed and self.program.types[number].kind is not float:
            return f"np.float64({self.name(number)})"
        return self.name(number)

    def beside_arrays(self, number: int, others: Sequence[int], result: Any, into: bool = False) -> str:
        """A value as an operand of a ufunc of arrays: a number becomes a 0-d array, which NumPy takes faster.

        So does an array of equal numbers, where another operand gives the shape, or the array that is written `into`.
        """
        types = self.program.types
        wide = result.dtype in (np.float64, np.bool_) and all(
            types[k].dtype == np.float64 for k in others if types[k].is_array and types[k].shape
        )
        if number in self.program.literals:
            value = self.program.literals[number]
            if isinstance(value, np.ndarray):
                if value.size and value.ndim and not any(value.strides) and (into or self._spreads(others, result)):
                    return self._constant(value.flat[0], value.dtype)
                return self._literal(number)
            if isinstance(value, np.generic) and not isinstance(value, bool):
                return self._constant(value, value.dtype)
            if wide and value.__class__ in (int, float) and abs(value) < 2**53:
                return self._constant(float(value), np.float64)
            return self._literal(number)
        if number in self.memory.floats and (wide or types[number].kind is not float):
            return self._cell(number)
        return self.name(number)

    def _spreads(self, others: Sequence[int], result: Any) -> bool:
        """Whether an array of equal numbers may stand as one number: another operand gives the shape."""
        return any(self.program.types[k].shape == result.shape and k not in self.program.literals for k in others)

    def _cell(self, number: int) -> str:
        """A 0-d array that holds a computed number."""
        cell = self.cells.get(number)
        if cell is None:
            self.cells[number] = cell = f"s{number}"
            self.head.append(f"{cell} = np.empty(())")
        if number not in self.filled:
            self.filled.add(number)
            self.body.append(f"{cell}[()] = {self.name(number)}")
        return cell

    # --- steps ---

    def _step(self, step: Any, position: int) -> None:
        if isinstance(step, Guard):
            self._guard(step)
        elif isinstance(step, Stretch):
            self._stretch(step, position)
        else:
            before = len(self.body)
            self._equation(step, position)
            if len(self.body) > before:
                said = step.primitive.name.lstrip("_")
                if said not in self.body[-1]:
                    self.body[-1] += f"  # {said}"
        self._release(position)

    def _release(self, position: int) -> None:
        """Give back the buffers of roots that nothing reads after this step."""
        for root in self.memory.ending.get(position, ()):
            slot = self.slots.pop(root, None)
            if slot is not None:
                self.buffers.give(slot[0], self.program.types[root].dtype, slot[1])

    def _guard(self, guard: Guard) -> None:
        value = self.name(guard.operands[0])
        number = len(self.guards)
        self.guards.append(guard)
        if guard.expected.__class__ is tuple:
            test = f"{value}.shape != {guard.expected}"
        elif guard.operands[0] in self.memory.truths or guard.operands[0] in self.memory.floats:
            test = f"not {value}" if guard.expected else value
        else:
            test = f"not bool({value})" if guard.expected else f"bool({value})"
        self.body.append(f"if {test}:")
        self.body.append(f"    raise Departed({number})")

    def _equation(self, equation: Equation, position: int) -> None:
        number, memory = equation.result, self.memory
        if isinstance(equation.primitive, Write):
            self._write(equation, position)
        elif number in memory.floats or number in memory.truths:
            self._number(equation)
        elif not self.program.types[number].is_array:
            self._set(number, self._call(equation))
        else:
            kind = memory.kind_of(equation)
            if kind == "view":
                self._view(equation)
            elif kind == "out":
                self._into(equation, position)
            else:
                self._set(number, self._call(equation))

    def _set(self, number: int, text: str) -> None:
        self.body.append(f"v{number} = {text}")

    def _call(self, equation: Equation) -> str:
        operands = [self.strong(k) for k in equation.operands]
        if equation.primitive.function is indexing.GETITEM.function:
            operands = [self.name(k) for k in equation.operands]
        if equation.primitive.function in (indexing.GETITEM.function, shapes.TRANSPOSE.function):
            first = equation.operands[0]
            if first in self.memory.floats or first in self.memory.truths or not self.program.types[first].is_array:
                operands[0] = f"np.array({operands[0]})"
        return call_text(equation.primitive, operands, equation.static, self.preamble)

    def _number(self, equation: Equation) -> None:
        """A float64 or a truth value, as Python's."""
        number, memory, types = equation.result, self.memory, self.program.types
        is_truth = number in memory.truths
        ufunc = ufunc_of(equation.primitive)
        function: Any = ufunc if ufunc is not None else equation.primitive.function
        plain = all(
            k in memory.floats or (k in self.program.literals and types[k].kind in (int, float, np.float64))
            for k in equation.operands
        )
        if plain and function in OF_FLOATS and not equation.static:
            form = OF_FLOATS[function]
            if form.count("{0}") > 1:
                self.name(equation.operands[0])  # it stands there twice, so it needs a name
            text = form.format(*[self._float(k) for k in equation.operands])
            if self.readers[number] == 1 and not is_truth and len(text) < _LONGEST_EXPRESSION:
                self.pending[number] = text
                if text.isidentifier() or form.startswith(("math.", "abs(")):
                    self.closed.add(number)
            else:
                self._set(number, text)
            return
        first = equation.operands[0] if equation.operands else -1
        if equation.primitive is AS_KIND and first in memory.floats:
            self._set(number, self.name(first))
            return
        if function is indexing.GETITEM.function and not is_truth and all(
            isinstance(self.program.literals.get(k), int) for k in equation.operands[1:]
        ) and len(equation.operands) - 1 == len(types[first].shape) > 0:  # fmt: skip
            self._set(number, f"{self.name(first)}.item({', '.join(self.name(k) for k in equation.operands[1:])})")
            return
        if function is indexing.GETITEM.function and first in memory.floats:
            self._set(number, self.name(first))
            return
        text = self._sum_to_number(equation)
        if text is None and function is np.matmul and all(types[k].dtype == np.float64 for k in equation.operands):
            text = f"np.dot({self.name(first)}, {self.name(equation.operands[1])})"
        if text is None:
            text = self._call(equation)
        self._set(number, f"bool({text})" if is_truth else f"float({text})")

    def _float(self, number: int) -> str:
        """A number as an operand of Python's arithmetic."""
        if number in self.program.literals:
            value = self.program.literals[number]
            text = _number(float(value) if isinstance(value, np.float64) else value)
            return f"({text})" if text.startswith("-") else text
        text = self.pending.pop(number, None)
        if text is not None:
            return text if number in self.closed else f"({text})"
        return self.name(number)

    def _sum_to_number(self, equation: Equation) -> str | None:
        """A reduction of all elements of an array to one number."""
        ufunc = REDUCTIONS.get(equation.primitive.function)
        if ufunc is None or len(equation.operands) != 1 or not set(equation.static) <= {"axis", "keepdims"}:
            return None
        operand = equation.operands[0]
        found = self.program.types[operand]
        if not found.is_array or found.dtype != np.float64:
            return None
        name = self.name(operand)
        if len(found.shape) == 1:
            if ufunc is np.add and 0 < found.size <= _DOT_AT_MOST:
                return f"np.dot({name}, {self._ones(found.size, found.dtype)})"
            return f"np.{ufunc.__name__}.reduce({name})"
        return f"np.{ufunc.__name__}.reduce({name}, None)"

    def _ones(self, size: int, dtype: Any) -> str:
        key = ("ones", size, dtype)
        if key not in self.constants:
            self.constants[key] = name = f"c{len(self.constants)}"
            self.head.append(f"{name} = np.ones({size}, np.{np.dtype(dtype).name})")
        return self.constants[key]

    # --- arrays ---

    def _view(self, equation: Equation) -> None:
        """A view: made once where what it is a view of stays in its place."""
        number, first = equation.result, equation.operands[0]
        text = self._call(equation)
        sample = self.samples.get(first)
        if sample is not None and not (first in self.program.literals and first not in self.bindings):
            made = equation.primitive.raw(sample, *[self.program.literals[k] for k in equation.operands[1:]],
                                          **equation.static)  # fmt: skip
            if np.may_share_memory(made, sample):
                self.samples[number] = made
                known = (text,)
                if known not in self.constants:
                    self.constants[known] = f"{self.name(first)}_{len(self.constants)}"
                    self.head.append(f"{self.constants[known]} = {text}")
                self.names[number] = self.constants[known]
                return
        self._set(number, text)

    def target(self, number: int, position: int, operands: Sequence[int] = ()) -> str | None:
        """The buffer that a new root is written to, None where it is allocated in the call.

        The buffers of `operands` that die here may be taken: the function writes elements where it has read them.
        """
        memory = self.memory
        if number not in memory.buffered or number in memory.leaving:
            return None
        type_ = self.program.types[number]
        for root in {r for k in operands for r in memory.roots.get(k, ())}:
            slot = self.slots.get(root)
            dead = slot is not None and memory.root_last_use.get(root, -1) <= position and root != number
            if dead and self.program.types[root] is type_:
                self.slots[number] = self.slots.pop(root)
                return self._named(number)
        self.slots[number] = self.buffers.take(type_)
        return self._named(number)

    def _named(self, number: int) -> str:
        """The name by which a buffer has the shape of a value."""
        name = self.slots[number][0]
        type_ = self.program.types[number]
        key = ("buffer", name, type_)
        if key not in self.constants:
            first = name not in self._first
            self.constants[key] = name if first else f"{name}_{len(self.constants)}"
            if first:
                self.head.append(f"{name} = np.empty({type_.shape}, np.{type_.dtype.name})")
                self._first[name] = (type_.shape, np.empty(type_.shape, type_.dtype))
            else:
                base = self._first[name][1]
                cut = "" if type_.size == base.size else f"[:{type_.size}]"
                self.head.append(f"{self.constants[key]} = {name}.reshape(-1){cut}.reshape({type_.shape})")
        base = self._first[name][1]
        self.samples[number] = base.reshape(-1)[: type_.size].reshape(type_.shape)
        self.names[number] = self.constants[key]
        return self.names[number]

    def _into(self, equation: Equation, position: int) -> None:
        """An array that a function writes into a buffer, or returns where it leaves the program."""
        number, operands = equation.result, equation.operands
        result = self.program.types[number]
        ufunc = ufunc_of(equation.primitive)
        if ufunc is not None and not equation.static:
            texts = [self.beside_arrays(k, [*operands[:i], *operands[i + 1 :]], result) for i, k in enumerate(operands)]
            target = self.target(number, position, operands)
            self._assign(number, f"np.{ufunc.__name__}({', '.join(texts)}", target)
            return
        function = equation.primitive.function
        if function is np.copy:
            source = self.name(operands[0])
            target = self.target(number, position)
            self.body.append(f"v{number} = np.array({source})" if target is None else f"{target}[...] = {source}")
            return
        if function is np.matmul:
            self._product(equation, position)
            return
        self._reduction(equation, position)

    def _assign(self, number: int, opening: str, target: str | None) -> None:
        if target is None:
            self._set(number, f"{opening})")
        else:
            self.body.append(f"{opening}, {output_text(opening, target)})")

    def _product(self, equation: Equation, position: int) -> None:
        number, (first, second) = equation.result, equation.operands
        types = self.program.types
        a, b = types[first], types[second]
        if len(a.shape) == len(b.shape) == 2 and a.shape[1] == 1:
            name = "np.multiply"  # an outer product, which NumPy does faster element by element
        elif a.dtype == b.dtype == types[number].dtype and max(len(a.shape), len(b.shape)) <= 2:
            name = "np.dot"
        else:
            name = "np.matmul"
        left, right = self.name(first), self.name(second)
        self._assign(number, f"{name}({left}, {right}", self.target(number, position))

    def _reduction(self, equation: Equation, position: int) -> None:
        number, operand = equation.result, equation.operands[0]
        static, found, result = equation.static, self.program.types[operand], self.program.types[number]
        ufunc = REDUCTIONS[equation.primitive.function]
        if len(equation.operands) > 1 or not set(static) <= {"axis", "keepdims"} or not found.is_array:
            self.memory.buffered.discard(number)
            self._set(number, f"np.array({self._call(equation)})")
            return
        axis, keepdims = static.get("axis"), bool(static.get("keepdims"))
        name = self.name(operand)
        target = self.target(number, position)
        one = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
        if ufunc is np.add and isinstance(one, int) and len(found.shape) == 2 and found.dtype == result.dtype:
            one %= 2
            if found.dtype is not None and found.dtype.kind == "f" and 0 < found.shape[one] <= _DOT_AT_MOST:
                ones = self._ones(found.shape[one], found.dtype)
                pair = f"{ones}, {name}" if one == 0 else f"{name}, {ones}"
                if target is None:
                    reshaped = f".reshape({result.shape})" if keepdims else ""
                    self._set(number, f"np.dot({pair}){reshaped}")
                else:
                    self.body.append(f"np.dot({pair}, {self._flattened(number, target, found.shape[1 - one])})")
                self.body[-1] += "  # sum"
                return
        text = f"np.{ufunc.__name__}.reduce({name}, {axis}, None, {target}, {keepdims})"
        if target is None:
            self._set(number, text)
        else:
            self.body.append(text)

    def _flattened(self, number: int, target: str, size: int) -> str:
        if self.program.types[number].shape == (size,):
            return target
        key = (f"{target}.reshape", size)
        if key not in self.constants:
            self.constants[key] = f"{target}_{len(self.constants)}"
            self.head.append(f"{self.constants[key]} = {target}.reshape({size})")
        return self.constants[key]

    # --- assignments ---

    def _write(self, equation: Equation, position: int) -> None:
        number, buffer, value = equation.result, equation.operands[0], equation.operands[1]
        literal = self.program.literals.get(buffer)
        zero = isinstance(literal, np.ndarray) and not literal.any()
        if number in self.memory.in_place:
            target = self.name(buffer)
            self.names[number] = target
            if buffer in self.samples:
                self.samples[number] = self.samples[buffer]
        else:
            slot = self.target(number, position)
            type_ = self.program.types[number]
            if slot is None:
                target = self.names[number] = f"v{number}"
                if zero:
                    self.body.append(f"{target} = np.zeros({type_.shape}, np.{type_.dtype.name})")
                else:
                    self.body.append(f"{target} = np.array({self.name(buffer)})")
            else:
                target = slot
                self.body.append(f"{target}.fill(0)" if zero else f"{target}[...] = {self.strong(buffer)}")
        self._store(equation, target, zero and number not in self.memory.in_place, value)

    def _store(self, equation: Equation, target: str, zero: bool, value: int) -> None:
        literals, lengths = self.program.literals, equation.static["lengths"]
        parts = list(equation.operands[2:])
        place, start = target, 0
        for length in lengths:
            inner = parts[start : start + length]
            start += length
            index = ", ".join(self.name(k) for k in inner) or "()"
            place, last = f"{place}[{index}]", inner
        distinct = all(self.memory.is_basic(k) for k in last) or self._names_each_once(last)
        source = literals.get(value)
        if isinstance(source, np.ndarray) and source.size and not any(source.strides):
            text = _number(source.flat[0])
        else:
            text = self.name(value)
        updating = equation.primitive.updating
        if updating is SETITEM or (zero and distinct):
            self.body.append(f"{place} = {text}")
        elif updating is ADD_AT and not distinct:
            inner = ", ".join(self.name(k) for k in last) or "()"
            base = place.removesuffix(f"[{inner}]")
            self.body.append(f"np.add.at({base}, np.s_[{inner}], {text})")
        else:
            self.body.append(f"{place} += {text}")

    def _names_each_once(self, index: Sequence[int]) -> bool:
        """Whether an index of arrays names no element twice, because one part of it is a literal without repetition."""
        types = self.program.types
        arrays = [k for k in index if types[k].is_array]
        if any(types[k].dtype is not None and types[k].dtype.kind == "b" for k in arrays):
            return len(index) == 1
        shapes_ = {types[k].shape for k in arrays}
        if len(shapes_) != 1 or len(arrays) != len([k for k in index if types[k].kind not in (slice, type(None))]):
            return False
        for k in arrays:
            literal = self.program.literals.get(k)
            if literal is not None and (literal >= 0).all() and len(np.unique(literal)) == literal.size:
                return True
        return False

    # --- stretches ---

    def _stretch(self, stretch: Stretch, position: int) -> None:
        write(self, stretch, position)

    # --- the whole text ---

    def _text(self) -> str:
        program = self.program
        arguments = ", ".join(self.names[k] for k in program.inputs)
        about = [f"{program.name}, recorded for " + ", ".join(
            f"{self.names[k]} = {program.names[k]}: {program.types[k]!r}" for k in program.inputs)]  # fmt: skip
        result = self._result(program.out_structure, iter(program.outputs))
        head, body = self.head, self.body
        called = sorted({name for line in (*head, *body) for name in _CALLED.findall(line) if _is_fast(name)})
        head, body = ([_CALLED.sub(_bare, line) for line in lines] for lines in (head, body))
        modules = ["math"] + (["threading"] if "in_two_threads" in self.preamble else [])
        rows = [
            '"""',
            *about,
            '"""',
            "",
            "from __future__ import annotations",
            "",
            *[f"import {m}" for m in modules],
            "",
            "import numpy as np",
            *([f"from numpy import {', '.join(called)}"] if called else []),
            "",
        ]
        for name, value in self.bindings.items():
            rows.append(f"# {name}: {value.dtype}{list(value.shape)}, to be assigned")
        for name, value in self.preamble.items():
            rows += ["", *value.split("\n"), ""] if isinstance(value, str) else [f"# {name}: to be assigned"]
        if self.guards:
            rows += ["", "class Departed(Exception):", '    """A branch went another way than recorded."""', "", ""]
        rows += head
        rows += ["", "", f"def call({arguments}):", *[f"    {line}" for line in body], f"    return {result}", ""]
        return "\n".join(rows)

    def _result(self, structure: Structure, outputs: Any) -> str:
        if structure.kind is None:
            return "None"
        if not structure.children and structure.size == 1 and structure.kind.__name__ == "_Leaf":
            return self._output(next(outputs))
        parts = [self._result(child, outputs) for child in structure.children]
        if structure.kind is list:
            return f"[{', '.join(parts)}]"
        if structure.kind is dict:
            keys = [self._key(key) for key in structure.names or ()]
            return "{" + ", ".join(f"{k}: {p}" for k, p in zip(keys, parts, strict=True)) + "}"
        inner = f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
        if structure.kind is tuple:
            return inner
        kind = structure.kind
        name, imported = kind.__name__, f"from {kind.__module__} import {kind.__name__}"
        if kind.__module__.partition(".")[0] == "numpy" and self.preamble.get(name) in (None, imported):
            self.preamble[name] = imported
        else:
            name = self._object(name, kind)
        return f"{name}({', '.join(parts)})"

    def _key(self, key: Any) -> str:
        """A key of a dict that is returned."""
        plain = key.__class__ in (str, bytes, int, bool) or (key.__class__ is float and math.isfinite(key))
        return repr(key) if plain else self._object(f"key_{type(key).__name__}", key)

    def _object(self, wanted: str, value: Any) -> str:
        """The name of an object that has to be assigned."""
        name, count = wanted, 1
        while (name in _TAKEN or _NUMBERED.match(name) or not name.isidentifier() or name in dir(builtins)
               or (name in self.preamble and self.preamble[name] is not value)):  # fmt: skip
            count += 1
            name = f"object_{wanted if wanted.isidentifier() else ''}_{count}"
        self.preamble[name] = value
        return name

    def _output(self, number: int) -> str:
        type_, memory = self.program.types[number], self.memory
        name = self.name(number)
        if number in memory.floats or number in memory.truths:
            if type_.kind in (float, bool):
                return name
            if type_.is_array:
                return f"np.array({name}, np.{type_.dtype.name})"
            return f"np.{type_.dtype.name}({name})"
        if not type_.is_array:
            return name
        if number in memory.results and number not in self.returned:
            self.returned.add(number)
            return name
        return f"np.array({name})"

    def scope(self) -> dict[str, Any]:
        """The names that the text expects, for executing it."""
        return {**self.bindings, **{n: v for n, v in self.preamble.items() if not isinstance(v, str)}}


#: Names that the text itself uses: those of modules and functions, and those of values.
_TAKEN = frozenset(("np", "math", "threading", "call", "Departed", "in_two_threads", "start", "first", "last", "rows"))
_NUMBERED = re.compile(r"(x|v|c|b|t|s|array|part|stretch)[0-9]+(_[0-9a-z]+)?$")
_CALLED = re.compile(r"\bnp\.([a-z_0-9]+)(?=\()")


def _is_fast(name: str) -> bool:
    """Whether a call is so short that looking its name up in NumPy's module would show."""
    return name == "dot" or isinstance(getattr(np, name), np.ufunc)


def _bare(match: re.Match[str]) -> str:
    return match[1] if _is_fast(match[1]) else match[0]


def _number(value: Any) -> str:
    """A number, or an array without axes, as source text."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return "math.nan" if value != value else ("math.inf" if value > 0 else "-math.inf")
    if isinstance(value, complex):
        return f"complex({_number(value.real)}, {_number(value.imag)})"
    return repr(value)


_ = shapes, equations_of
