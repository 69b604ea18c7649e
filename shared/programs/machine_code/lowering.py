"""A rewritten program as stretches of C and the NumPy calls between them.

What C can compute is taken equation by equation into kernels: an equation goes into the first loop over its domain that
comes after all it needs, or into the very loop that computes what it needs at the same element.  Views are index
arithmetic: NumPy itself applies an index, a transpose or a reshape to a ghost, an array of bytes that nobody reads, and
its address and strides are read off.  Assignments are made in place where nobody needs the old contents.  All else
stays an equation that NumPy evaluates.  This module knows no text.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from shared.core.assignment import ADD_AT, SETITEM
from shared.programs.compiling.numpy_text import ufunc_of
from shared.programs.equations import AS_KIND, Equation, Guard, Step, Write, nested_index
from shared.programs.machine_code.kernels import (
    Buffer,
    Check,
    Compute,
    Constant,
    Kernel,
    Operand,
    Product,
    Read,
    Reduce,
    Statement,
    Stretch,
    Update,
    contiguous,
    squeezed,
)
from shared.programs.machine_code.operations import (
    ARITHMETIC,
    INDEX_DTYPE,
    LOGIC,
    POWER_OF_NUMBERS,
    TRUTHS,
    c_type,
    power_by,
)
from shared.programs.program import Program
from shared.rules import indexing, shapes
from shared.rules.aliasing import is_basic
from shared.rules.indexing import ADD_TO_VIEW

#: Products of fewer multiplications are loops: a call of BLAS costs as much.
SMALLEST_PRODUCT = 1500
SMALLEST_BY_VECTOR = 6000
#: A loop of more statements is split: its variables would not fit anywhere.
_MOST_STATEMENTS = 4000
#: Integers up to here are floats.
_EXACT = 2**53
_NUMBERS = (float, np.float64, np.float32, bool, np.bool_)
_LITERALS = (int, float, bool, np.float64, np.float32, np.bool_)
_VIEWS = frozenset((shapes.TRANSPOSE.function, np.broadcast_to, np.diagonal))
_MOVED = frozenset((np.copy, shapes.RESHAPE.function, shapes.ASTYPE.function, shapes.CONVERT.function))
_REDUCTIONS = {np.sum: "sum", np.max: "max", np.min: "min"}


class Place(NamedTuple):
    """Where a value lies: in a buffer, at the address of the ghost within the pool, with the strides of the ghost."""

    buffer: Buffer
    ghost: np.ndarray


class Unlowered(Exception):
    """An equation that looked like one for C and is not."""


class Lowering:
    """The parts of a program in order: each is a `Stretch`, or a step for NumPy."""

    def __init__(self, program: Program, by_blas: bool):
        self.program = program
        self.types = program.types
        self.by_blas = by_blas
        self.left: set[int] = set()
        while True:
            try:
                self._lower()
                return
            except _RefusedError as refused:
                self.left.add(refused.result)

    def _lower(self) -> None:
        program = self.program
        self.pool = np.empty(max((t.size for t in self.types), default=1), np.uint8)
        self.address: int = self.pool.__array_interface__["data"][0]
        self.places: dict[int, Place] = {}
        self.buffers = 0
        self.slots: list[int] = []
        self.parts: list[Stretch | Step] = []
        self.guards: list[Guard] = program.guards
        levels, by_c = self._levels()
        order = sorted(range(len(program.steps)), key=lambda k: (levels[k], not by_c[k], k))
        steps = [program.steps[k] for k in order]
        self.last_use = {k: at for at, step in enumerate(steps) for k in step.operands}
        self.last_use.update(dict.fromkeys(program.outputs, len(steps)))
        #: what Python has to have: results, and operands of NumPy's steps
        self.wanted = set(program.outputs)
        made = {step.result: levels[k] for k, step in enumerate(program.steps)}
        for k, step in enumerate(program.steps):
            self.wanted.update(v for v in step.operands if not by_c[k] or made.get(v, levels[k]) < levels[k])
        self.users: dict[int, list[int]] = {}
        self.count_by_c = 0
        level = -1
        for self.position, (k, step) in enumerate(zip(order, steps, strict=True)):
            if not by_c[k]:
                self.parts.append(step)
                continue
            if levels[k] != level:
                level = levels[k]
                self._begin()
            self.count_by_c += 1
            try:
                self._step(step)
            except Unlowered:
                raise _RefusedError(step.result) from None
            if step.result in self.wanted:
                self._deliver(step.result)

    def _levels(self) -> tuple[list[int], list[bool]]:
        """For each step the number of times that the code has gone to NumPy before it, and whether it is C."""
        of_value: dict[int, tuple[int, bool]] = {}
        levels, by_c, last = [], [], 0
        for step in self.program.steps:
            known = [of_value[k] for k in step.operands if k in of_value]
            if isinstance(step, Guard):
                is_c = (
                    step.expected.__class__ is bool and all(c for _, c in known) and self._is_number(step.operands[0])
                )
            else:
                is_c = step.result not in self.left and self._is_for_c(step)
            if is_c:
                level = max((a if c else a + 1 for a, c in known), default=0)
            else:
                # NumPy's steps stay in their order, which may be seen.
                level = last = max(last, *(a for a, _ in known), 0)
            if step.result is not None:
                of_value[step.result] = level, is_c
            levels.append(level)
            by_c.append(is_c)
        return levels, by_c

    # --- what is for C ------------------------------------------------------------------------------------------------

    def _is_number(self, number: int) -> bool:
        return self.types[number].kind in _NUMBERS

    def _is_for_c(self, step: Equation) -> bool:
        """Whether the types of an equation are such that C may compute it; the equation itself is looked at later."""
        result = self.types[step.result]
        if c_type(result) is None or not result.size or not (result.kind is np.ndarray or result.kind in _NUMBERS):
            return False
        for k in step.operands:
            type_ = self.types[k]
            if not type_.size or not (k in self.program.literals or c_type(type_) or type_.dtype == INDEX_DTYPE):
                return False
        function = None if isinstance(step.primitive, Write) else step.primitive.function
        if function is None or function in _VIEWS or function in _MOVED or function in _REDUCTIONS:
            return True
        if function in (indexing.GETITEM.function, np.where, np.matmul) or step.primitive is AS_KIND:
            return True
        if step.primitive is shapes.CONCATENATE:
            return True
        ufunc = ufunc_of(step.primitive)
        return not step.static and (ufunc in ARITHMETIC or ufunc in TRUTHS or ufunc in LOGIC)

    # --- values -------------------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        self.stretch = Stretch(sum(isinstance(part, Stretch) for part in self.parts))
        self.parts.append(self.stretch)
        self.by_domain: dict[tuple[int, ...], list[int]] = {}

    def _buffer(self, kind: str, size: int, stretch: int | None = None) -> Buffer:
        self.buffers += 1
        return Buffer(self.buffers - 1, kind, size, self.stretch.number if stretch is None else stretch)

    def _new(self, number: int, kind: str | None = None) -> Buffer:
        """The buffer of a result, and the place of that."""
        type_ = self.types[number]
        buffer = self._buffer(kind or c_type(type_) or "", type_.size)
        self._set(number, Place(buffer, self.pool[: type_.size].reshape(type_.shape)))
        return buffer

    def _set(self, number: int, place: Place) -> None:
        self.places[number] = place
        self.users.setdefault(place.buffer.number, []).append(number)

    def place(self, number: int) -> Place:
        """Where a value lies; what is given from outside gets a buffer when it is first asked for."""
        found = self.places.get(number)
        if found is None:
            type_ = self.types[number]
            kind = "int64_t" if type_.dtype == INDEX_DTYPE and type_.is_array else c_type(type_)
            if kind is None or not type_.size:
                raise Unlowered
            buffer = self._buffer(kind, type_.size, -1)
            buffer.holder, buffer.is_number, buffer.stored = number, not type_.is_array, True
            self._set(number, Place(buffer, self.pool[: type_.size].reshape(type_.shape)))
            found = self.places[number]
        return found

    def constant(self, number: int) -> Constant | None:
        """A literal that is one number, or repeats one."""
        value = self.program.literals.get(number)
        if type(value) is int and abs(value) > _EXACT:
            return None
        if isinstance(value, np.ndarray):
            if value.size and not any(value.strides) and (value.dtype in (float, np.float32, bool)):
                return Constant(value.flat[0].item())
            return None
        return Constant(value.item() if isinstance(value, np.generic) else value) if type(value) in _LITERALS else None

    def read(self, number: int, shape: tuple[int, ...]) -> Operand:
        """A value as it is read for every element of a shape."""
        return self.constant(number) or self._read(self.place(number), shape)

    def _read(self, place: Place, shape: tuple[int, ...]) -> Read:
        if place.buffer.kind == "int64_t":
            raise Unlowered
        return self._at(place.buffer, np.broadcast_to(place.ghost, shape))

    def _at(self, buffer: Buffer, ghost: np.ndarray) -> Read:
        strides = tuple(s for s, n in zip(ghost.strides, ghost.shape, strict=True) if n != 1)
        return Read(buffer, ghost.__array_interface__["data"][0] - self.address, strides)

    def _deliver(self, number: int) -> None:
        """See to it that Python gets a value: as a number, or as an array of its own."""
        place, type_ = self.places[number], self.types[number]
        buffer = place.buffer
        if self._is_number(number):
            slot = self._buffer(buffer.kind, 1)
            self._compute("{0}", [self._read(place, ())], slot.kind, slot, ())
            slot.slot = len(self.slots)
            self.slots.append(number)
            self.places[number] = Place(slot, self.pool[:1].reshape(()))
            return
        whole = place.ghost.flags.c_contiguous and place.ghost.size == buffer.size
        if not whole or buffer.stretch != self.stretch.number or buffer.holder is not None:
            copy = self._new(number)
            self._compute("{0}", [self._read(place, type_.shape)], copy.kind, copy, type_.shape)
            buffer = copy
        buffer.holder, buffer.stored = number, True

    # --- kernels ------------------------------------------------------------------------------------------------------

    def _is_local(self, read: Read, domain: tuple[int, ...]) -> bool:
        """Whether the kernel that made a buffer has an element in a variable where it is read."""
        buffer = read.buffer
        return (
            buffer.stretch == self.stretch.number
            and buffer.made >= 0
            and not buffer.updated
            and not read.terms
            and not read.offset
            and buffer.size == math.prod(domain)
            and read.strides == contiguous(domain)
            and self._domain_of(buffer.made) == domain
        )

    def _domain_of(self, at: int) -> tuple[int, ...] | None:
        kernel = self.stretch.kernels[at]
        return kernel.domain if isinstance(kernel, Kernel) else None

    def _after(self, read: Read, domain: tuple[int, ...]) -> int:
        """The first kernel in which a place can be read."""
        found = 0
        for buffer in read.buffers():
            if buffer.stretch == self.stretch.number:
                found = max(found, buffer.made + 1)
        return found - 1 if not read.terms and self._is_local(read, domain) else found

    def _add(self, statement: Statement, domain: tuple[int, ...], after: int = 0) -> int:
        """Put a statement into the first kernel that it fits into; returns which."""
        reads = [o for o in statement.operands if isinstance(o, Read)]
        if isinstance(statement, Update):
            for term, _, _ in statement.place.terms:
                after = max(after, self._after(term, domain))
        for read in reads:
            after = max(after, self._after(read, domain))
        found = self.by_domain.setdefault(domain, [])
        at = found[at_] if (at_ := bisect_left(found, after)) < len(found) else -1
        if at < 0 or len(self.stretch.kernels[at].statements) >= _MOST_STATEMENTS:  # type: ignore[union-attr]
            self.stretch.kernels.append(Kernel(domain))
            at = len(self.stretch.kernels) - 1
            found.append(at)
        kernel = self.stretch.kernels[at]
        assert isinstance(kernel, Kernel)
        for read in reads:
            local = read.buffer.made == at and self._is_local(read, domain)
            for buffer in read.buffers():
                buffer.read = max(buffer.read, at)
                if not local:
                    buffer.stored = True
        kernel.statements.append(statement)
        if statement.result is not None:
            statement.result.made = max(statement.result.made, at)
        return at

    def _compute(self, expression: str, operands: Sequence[Operand], kind: str, result: Buffer, shape: Any) -> None:
        self._add(Compute(result, expression, tuple(operands), kind, self.said), squeezed(shape))

    # --- steps --------------------------------------------------------------------------------------------------------

    def _step(self, step: Step) -> None:
        self.said = "" if isinstance(step, Guard) else f"{step.primitive.name.lstrip('_')}{step.where}"
        if isinstance(step, Guard):
            operand = self.read(step.operands[0], ())
            # What was computed before has been computed, and what comes after may rely on the branch.
            self._add(Check(operand, bool(step.expected), -10 - self.guards.index(step), said=step.where), ())
        elif isinstance(step.primitive, Write):
            self._write(step)
        elif step.primitive is AS_KIND:
            self._elementwise(step, "{0}")
        elif step.primitive is shapes.CONCATENATE:
            self._concatenate(step)
        else:
            self._of_function(step, step.primitive.function)

    def _of_function(self, step: Equation, function: Any) -> None:
        if function is indexing.GETITEM.function:
            self._index(step)
        elif function in _VIEWS:
            place = self._array(step.operands[0])
            self._set(step.result, Place(place.buffer, step.primitive.raw(place.ghost, **step.static)))
        elif function is shapes.RESHAPE.function and step.static.get("order", "C") == "C":
            self._reshape(step)
        elif function in _MOVED and function is not shapes.RESHAPE.function:
            self._elementwise(step, "{0}")
        elif function in _REDUCTIONS:
            self._reduce(step, _REDUCTIONS[function])
        elif function is np.matmul:
            self._matmul(step)
        elif function is np.where and len(step.operands) == 3:
            self._elementwise(step, "{0} ? {1} : {2}")
        else:
            self._ufunc(step)

    def _array(self, number: int) -> Place:
        """The place of an array that is taken apart: a uniform literal has none, and is written out."""
        constant, type_ = self.constant(number), self.types[number]
        if constant is None:
            return self.place(number)
        if not type_.is_array:
            raise Unlowered
        buffer = self._buffer(c_type(type_) or "", type_.size)
        self._compute("{0}", [constant], buffer.kind, buffer, type_.shape)
        buffer.stored = True
        return Place(buffer, self.pool[: type_.size].reshape(type_.shape))

    def _ufunc(self, step: Equation) -> None:
        ufunc = ufunc_of(step.primitive)
        kinds = {c_type(self.types[k]) for k in step.operands}
        if ufunc is np.power:
            exponent = self.constant(step.operands[1])
            found = None
            if exponent is not None and not isinstance(exponent.value, bool):
                found = power_by(float(exponent.value), self.types[step.result].kind is float)
            of_numbers = self._is_number(step.result)
            self._elementwise(step, found or (POWER_OF_NUMBERS if of_numbers else ARITHMETIC[np.power]))
        elif self.types[step.result].dtype == bool or self.types[step.result].kind is bool:
            table = LOGIC if kinds == {"truth"} or ufunc not in TRUTHS else TRUTHS
            if ufunc not in table:
                raise Unlowered
            self._elementwise(step, table[ufunc])
        elif ufunc in ARITHMETIC:
            self._elementwise(step, ARITHMETIC[ufunc])
        else:
            raise Unlowered

    def _computing(self, step: Equation) -> str:
        """The C type that an equation is computed in: that of its operands, and of its result if that is no truth."""
        types = [self.types[k] for k in step.operands]
        if any(type_.dtype is not None and c_type(type_) is None and not self.constant(k)
               for k, type_ in zip(step.operands, types, strict=True)):  # fmt: skip
            raise Unlowered
        strong = {c_type(type_) for type_ in types if type_.dtype is not None} - {"truth", None}
        if any(type_.dtype is not None and type_.dtype.kind in "iu" for type_ in types):
            strong.add("double")
        result = c_type(self.types[step.result])
        if len(strong) > 1 or result is None:
            raise Unlowered
        found = next(iter(strong)) if strong else "double" if any(t.kind in (int, float) for t in types) else "truth"
        if result == "truth":
            return found
        if found != result and any(type_.dtype is not None and c_type(type_) != "truth" for type_ in types):
            raise Unlowered
        return result

    def _elementwise(self, step: Equation, expression: str) -> None:
        shape = self.types[step.result].shape
        function = None if isinstance(step.primitive, Write) else step.primitive.function
        if function in _MOVED or step.primitive is AS_KIND:
            kind = c_type(self.types[step.result]) or ""
            if kind == "truth" and c_type(self.types[step.operands[0]]) != "truth":
                raise Unlowered
        elif function is np.where:
            kind = c_type(self.types[step.result]) or ""
            if c_type(self.types[step.operands[0]]) != "truth":
                raise Unlowered
        else:
            kind = self._computing(step)
        operands = [self.read(k, shape) for k in step.operands]
        self._compute(expression, operands, kind, self._new(step.result), shape)

    def _reshape(self, step: Equation) -> None:
        place = self._array(step.operands[0])
        shape = self.types[step.result].shape
        try:
            ghost = place.ghost.view()
            ghost.shape = shape
        except AttributeError:  # it cannot be a view
            flat = self.types[step.operands[0]].shape
            buffer = self._buffer(place.buffer.kind, place.ghost.size)
            self._compute("{0}", [self._read(place, flat)], buffer.kind, buffer, flat)
            buffer.stored = True
            place = Place(buffer, self.pool[: buffer.size].reshape(flat))
            ghost = place.ghost.reshape(shape)
        self._set(step.result, Place(place.buffer, ghost))

    def _reduce(self, step: Equation, how: str) -> None:
        if len(step.operands) != 1 or not step.static.keys() <= {"axis", "keepdims"}:
            raise Unlowered
        [operand], shape = step.operands, self.types[step.operands[0]].shape
        kind = c_type(self.types[step.result])
        if c_type(self.types[operand]) != kind or kind == "truth" or self.constant(operand) is not None:
            raise Unlowered
        axis = step.static.get("axis")
        axes = range(len(shape)) if axis is None else [a % max(len(shape), 1) for a in np.atleast_1d(axis).tolist()]
        self._reduction(step.result, how, self._read(self.place(operand), shape), shape, tuple(axes))

    def _reduction(self, number: int, how: str, read: Read, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
        result = self._new(number)
        kept = tuple(1 if k in axes else n for k, n in enumerate(shape))
        strides = self._at(result, np.broadcast_to(self.pool[: result.size].reshape(kept), shape)).strides
        left = [k for k, n in enumerate(shape) if n != 1]
        reduced = tuple(at for at, k in enumerate(left) if k in axes)
        if not reduced:
            self._compute("{0}", [read], result.kind, result, shape)
            return
        self._add(Reduce(result, how, read, reduced, strides, self.said), squeezed(shape))
        result.stored = result.updated = True  # it is there when the loop has ended

    def _matmul(self, step: Equation) -> None:
        first, second = step.operands
        a, b = self._array(first), self._array(second)
        kind = c_type(self.types[step.result])
        if kind == "truth" or a.buffer.kind != kind or b.buffer.kind != kind:
            raise Unlowered
        ranks = len(self.types[first].shape), len(self.types[second].shape)
        if max(ranks) > 2 or min(ranks) < 1:
            raise Unlowered
        inner = self.types[first].shape[-1]
        size = self.types[step.result].size * inner
        if ranks != (1, 1) and size >= (SMALLEST_PRODUCT if ranks == (2, 2) else SMALLEST_BY_VECTOR):
            if not self.by_blas:
                raise Unlowered
            self._by_blas(step, a, b, ranks)
            return
        x, y, place = a.ghost, b.ghost, a.ghost.strides
        product: tuple[int, ...]
        if ranks[1] == 1:  # sums along the last axis
            product, axes = self.types[first].shape, (ranks[0] - 1,)
        elif y.strides[0] == 1 or (ranks[0] == 2 and place[1] != 1):
            x, y = (x[:, None] if ranks[0] == 2 else x[None]), y.T
            product = (*self.types[first].shape[:-1], *self.types[second].shape[::-1])
            axes = (len(product) - 1,)
        else:
            x = x[..., None]
            product = (*self.types[first].shape, self.types[second].shape[1])
            axes = (len(product) - 2,)
        reads = [self._at(p.buffer, np.broadcast_to(g, product)) for p, g in ((a, x), (b, y))]
        terms = self._buffer(kind or "", math.prod(product))
        self._compute("{0} * {1}", reads, terms.kind, terms, product)
        ghost = Read(terms, 0, contiguous(squeezed(product)))
        self._reduction(step.result, "sum", ghost, product, axes)

    def _by_blas(self, step: Equation, a: Place, b: Place, ranks: tuple[int, int]) -> None:
        if ranks[0] == 1:  # x @ B is B.T @ x
            a, b = Place(b.buffer, b.ghost.T), a
        rows, inner = a.ghost.shape
        places = [self._strided(place, any_step=place.ghost.ndim == 1) for place in (a, b)]
        result = self._new(step.result)
        for place in places:
            place.buffer.stored = True
            place.buffer.read = len(self.stretch.kernels)
        result.stored, result.updated, result.made = True, True, len(self.stretch.kernels)
        first, second = (Read(p.buffer, self._at(p.buffer, p.ghost).offset, p.ghost.strides) for p in places)
        columns = b.ghost.shape[1] if b.ghost.ndim == 2 else 0
        self.stretch.kernels.append(Product(result, first, second, rows, inner, columns, self.said))

    def _strided(self, place: Place, any_step: bool) -> Place:
        """A place that BLAS can read: rows or columns lie together, and no stride is 0 or negative."""
        strides, shape = place.ghost.strides, place.ghost.shape
        fits = all(s > 0 for s in strides) if any_step else (
            (strides[1] == 1 and strides[0] >= shape[1]) or (strides[0] == 1 and strides[1] >= shape[0])
        )  # fmt: skip
        if fits:
            return place
        copy = self._buffer(place.buffer.kind, place.ghost.size)
        self._compute("{0}", [self._read(place, shape)], copy.kind, copy, shape)
        return Place(copy, self.pool[: copy.size].reshape(shape))

    # --- indices and assignments --------------------------------------------------------------------------------------

    def _index(self, step: Equation) -> None:
        place = self._array(step.operands[0])
        found = self._indexed(place, step.operands[1:])
        shape = self.types[step.result].shape
        if isinstance(found, Place):
            self._set(step.result, Place(found.buffer, found.ghost.reshape(shape) if not shape else found.ghost))
            return
        if found.buffer.kind == "int64_t":
            raise Unlowered
        found.buffer.stored = True
        result = self._new(step.result)
        self._compute("{0}", [found], result.kind, result, shape)

    def _indexed(self, place: Place, parts: Sequence[int]) -> Place | Read:
        """A part of a place: a view of it, or elements by index arrays."""
        literals = self.program.literals
        arrays = [k for k in parts if self.types[k].is_array]
        if not arrays:
            if not all(k in literals and is_basic((literals[k],)) for k in parts):
                raise Unlowered
            index = tuple(literals[k] for k in parts)
            return Place(place.buffer, place.ghost[index if Ellipsis in index else (*index, ...)])
        # Index arrays come first, and the axes after them are taken whole.
        whole = [literals.get(k) for k in parts[len(arrays) :]]
        if list(parts[: len(arrays)]) != arrays or any(p is not Ellipsis and p != slice(None) for p in whole):
            raise Unlowered
        if any(self.types[k].dtype != INDEX_DTYPE or not self.types[k].size for k in arrays):
            raise Unlowered
        common = np.broadcast_shapes(*(self.types[k].shape for k in arrays))
        rest = place.ghost.shape[len(arrays) :]
        shape = (*common, *rest)
        terms = []
        for axis, k in enumerate(arrays):
            at = self.place(k)
            ghost = np.broadcast_to(at.ghost.reshape((*at.ghost.shape, *(1,) * len(rest))), shape)
            terms.append((self._at(at.buffer, ghost), place.ghost.strides[axis], place.ghost.shape[axis]))
        origin = place.ghost[(0,) * len(arrays)] if rest else place.ghost[(*(0,) * len(arrays), ...)]
        base = self._at(place.buffer, np.broadcast_to(origin, shape))
        return Read(base.buffer, base.offset, base.strides, tuple(terms))

    def _write(self, step: Equation) -> None:
        updating, (number, value), parts = step.primitive.updating, step.operands[:2], step.operands[2:]
        if updating not in (SETITEM, ADD_AT, ADD_TO_VIEW):
            raise Unlowered
        shape = self.types[step.result].shape
        if self._may_change(number, value):
            buffer = self.places[number].buffer
            self._set(step.result, self.places[number])
        else:
            buffer = self._new(step.result)
            self._compute("{0}", [self.read(number, shape)], buffer.kind, buffer, shape)
        buffer.stored = True
        place: Place | Read = self.places[step.result]
        start = 0
        for length in step.static["lengths"]:
            if not isinstance(place, Place):
                raise Unlowered
            place = self._indexed(place, parts[start : start + length])
            start += length
        target = self._written_shape(step, parts)
        if isinstance(place, Place):
            place = self._at(place.buffer, place.ghost)
        elif updating is SETITEM and not place.terms[0][0].buffer.holder:
            raise Unlowered
        update = Update(place, updating is not SETITEM, self.read(value, self._fitted(value, target)), self.said)
        domain = squeezed(target)
        # Several assignments may share a loop, after all that reads what was there before.
        self._add(update, domain, max(buffer.read + 1, buffer.made + (0 if buffer.updated else 1)))
        buffer.updated = True

    def _written_shape(self, step: Equation, parts: Sequence[int]) -> tuple[int, ...]:
        literals, types = self.program.literals, self.types
        index = [literals[k] if not types[k].is_array else np.zeros(types[k].shape, np.intp) for k in parts]
        ghost = self.pool[: types[step.result].size].reshape(types[step.result].shape)
        found = nested_index(index, step.static["lengths"])
        while hasattr(found, "path"):
            ghost, found = ghost[found.path], found.index
        return tuple(np.shape(np.broadcast_to(ghost, ghost.shape)[found]))

    def _fitted(self, value: int, target: tuple[int, ...]) -> tuple[int, ...]:
        # NumPy lets an assigned array have further axes of length 1 in front.
        if len(self.types[value].shape) > len(target):
            raise Unlowered
        return target

    def _may_change(self, number: int, value: int) -> bool:
        """Whether an array may be changed in place: it was made here, whole, and nobody needs what was there."""
        place = self.places.get(number)
        if place is None or number in self.program.literals or place.buffer.stretch != self.stretch.number:
            return False
        buffer = place.buffer
        whole = place.ghost.flags.c_contiguous and place.ghost.size == buffer.size
        other = self.places.get(value)
        return (
            whole
            and buffer.holder is None
            and (other is None or other.buffer is not buffer)
            and all(self.last_use.get(k, -1) <= self.position for k in self.users[buffer.number])
        )

    def _concatenate(self, step: Equation) -> None:
        shape = self.types[step.result].shape
        axis = step.static.get("axis", 0)
        if axis is None or not step.static.keys() <= {"axis"}:
            raise Unlowered
        axis %= len(shape)
        result = self._new(step.result)
        if any(c_type(self.types[k]) != result.kind for k in step.operands):
            raise Unlowered
        result.stored = result.updated = True
        ghost, start = self.places[step.result].ghost, 0
        for k in step.operands:
            part = self.types[k].shape
            at = self._at(result, ghost[(slice(None),) * axis + (slice(start, start + part[axis]),)])
            self._add(Update(at, False, self.read(k, part), self.said), squeezed(part))
            start += part[axis]


class _RefusedError(Exception):
    """The equation with this result is left to NumPy."""

    def __init__(self, result: int | None):
        assert result is not None
        self.result = result
