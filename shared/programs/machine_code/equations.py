"""Equations as statements of kernels: elementwise operations, reductions, products, views.

What has no entry in the tables, or operands of types that these do not know, is refused (Unlowered) and left to NumPy.
This module knows nothing of the order of equations.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shared.programs.compiling.numpy_text import ufunc_of
from shared.programs.equations import AS_KIND, Equation, Guard, Step, Write
from shared.programs.machine_code.assigning import Assigning
from shared.programs.machine_code.kernels import DEPARTED, Check, Product, Read, Reduce, contiguous, squeezed
from shared.programs.machine_code.operations import (
    ARITHMETIC,
    INDEX_DTYPE,
    LOGIC,
    POWER_OF_NUMBERS,
    TRUTHS,
    c_type,
    power_by,
)
from shared.programs.machine_code.placing import NUMBERS, Place, Unlowered
from shared.rules import indexing, shapes

#: Products of fewer multiplications are loops: a call of BLAS costs as much.
SMALLEST_PRODUCT = 1500
SMALLEST_BY_VECTOR = 6000
#: Products of a matrix and a vector of more are NumPy's: its BLAS is newer than SciPy's, and the call is nothing then.
LARGEST_BY_VECTOR = 100_000
_VIEWS = frozenset((shapes.TRANSPOSE.function, np.broadcast_to, np.diagonal))
_MOVED = frozenset((np.copy, shapes.RESHAPE.function, shapes.ASTYPE.function, shapes.CONVERT.function))
_REDUCTIONS = {np.sum: "sum", np.max: "max", np.min: "min"}


class Equations(Assigning):
    """Whether and how an equation is computed by C."""

    by_blas: bool
    guards: list[Guard]

    def is_for_c(self, step: Equation) -> bool:
        """Whether the types of an equation are such that C may compute it; the equation itself is looked at later."""
        result = self.types[step.result]
        if c_type(result) is None or not result.size or not (result.kind is np.ndarray or result.kind in NUMBERS):
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

    def _step(self, step: Step) -> None:
        self.said = "" if isinstance(step, Guard) else f"{step.primitive.name.lstrip('_')}{step.where}"
        if isinstance(step, Guard):
            operand = self.read(step.operands[0], ())
            # What was computed before has been computed, and what comes after may rely on the branch.
            self._add(Check(operand, bool(step.expected), DEPARTED - self.guards.index(step), said=step.where), ())
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
            place = self.array(step.operands[0])
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

    def _ufunc(self, step: Equation) -> None:
        ufunc = ufunc_of(step.primitive)
        kinds = {c_type(self.types[k]) for k in step.operands}
        if ufunc is np.power:
            exponent = self.constant(step.operands[1])
            found = None
            if exponent is not None and not isinstance(exponent.value, bool):
                found = power_by(float(exponent.value), self.types[step.result].kind is float)
            of_numbers = self.is_number(step.result)
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
            return found or "truth"
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
        place = self.array(step.operands[0])
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
        a, b = self.array(first), self.array(second)
        kind = c_type(self.types[step.result])
        if kind == "truth" or a.buffer.kind != kind or b.buffer.kind != kind:
            raise Unlowered
        ranks = len(self.types[first].shape), len(self.types[second].shape)
        if max(ranks) > 2 or min(ranks) < 1:
            raise Unlowered
        inner = self.types[first].shape[-1]
        size = self.types[step.result].size * inner
        if ranks != (1, 1) and size >= (SMALLEST_PRODUCT if ranks == (2, 2) else SMALLEST_BY_VECTOR):
            if not self.by_blas or (ranks != (2, 2) and size > LARGEST_BY_VECTOR):
                raise Unlowered
            self._by_blas(step, a, b, ranks)
            return
        x, y, place = a.ghost, b.ghost, a.ghost.strides
        product: tuple[int, ...]
        if ranks == (2, 1) and place[0] == 1 < place[1]:  # rows are added that lie together
            x, y, product, axes = x.T, y[:, None], self.types[first].shape[::-1], (0,)
        elif ranks[1] == 1:  # sums along the last axis
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
        if max(*a.ghost.shape, *b.ghost.shape, *a.ghost.strides, *b.ghost.strides) >= 2**31:
            raise Unlowered  # BLAS counts with 32 bits
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
