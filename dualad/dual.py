"""Forward mode: the dual number, a primal with a tangent.

A `Dual` pushes its tangent through every primitive as the program runs, so one pass of the program gives a directional
derivative (or many, where the tangent is a batch of them: `shared.batching.batched`), and memory does not depend on the
number of operations (Wengert 1964; Griewank & Walther 2008, section 3.1).  This module knows the form of the registry's
edges, no calculus, and nothing of reverse mode.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.batching.batched import Batched
from shared.calling.arguments import differentiable, in_dtype_of
from shared.calling.seeds import has_derivative
from shared.core.assignment import UpdatePrimitive, ViewOf
from shared.core.constants import constant_operand
from shared.core.described import is_weak
from shared.core.duck_array import CONSTANT_TYPES, DuckArray, bind_two, captured, captures_within, highest
from shared.core.errors import LeafTypeError, ShapeError, closed, user_line
from shared.core.levels import Level, Tracer, bind
from shared.core.primitive import Primitive
from shared.core.registry import UNARY
from shared.core.views import attach, standing_for, view_class
from shared.core.writing import lasting, writable, write

_ndarray = np.ndarray


class ForwardLevel(Level):
    """One forward pass: the level that its dual numbers belong to."""

    __slots__ = ()

    def zero(self, value: Any) -> Any:
        """The tangent of a value that does not vary."""
        return like_output(None, value)

    def call_custom(self, function: Any, leaves: list[Any], structure: Any, static: dict[str, Any]) -> Any:
        if self.closed:
            raise closed(highest(leaves))
        own = [isinstance(a, Dual) and a.level is self for a in leaves]
        values = [a.primal if mine else a for a, mine in zip(leaves, own, strict=True)]
        evaluation = function.evaluation(values, structure, static, self)
        tangents = evaluation.push([a.tangent if mine else None for a, mine in zip(leaves, own, strict=True)])
        return evaluation.output(
            [
                new_dual(self, out, like_output(tangent, out)) if has_derivative(out) else out
                for out, tangent in zip(evaluation.outputs, tangents, strict=True)
            ]
        )


#: The level of duals made by hand.  It is below every transform's, and never ends.
BASE = ForwardLevel("Dual numbers made by hand", number=0)


class Dual(DuckArray):
    """A primal and its tangent, of equal shape and dtype.

    `Dual(value, tangent)` makes one by hand, for seeing the mechanism: every NumPy operation on it gives another
    Dual.  Duals made by hand share one base level, so they are one direction of differentiation.

    >>> x = Dual(3.0, 1.0)
    >>> x * x + 1.0
    Dual(10.0, tangent=6.0)
    """

    __slots__ = ("tangent",)
    tangent: Any

    def __init__(self, primal: Any, tangent: Any, level: ForwardLevel = BASE):
        if level is BASE:
            primal, tangent = _checked(primal, tangent)
        self.level = level
        self.primal = primal
        self.tangent = tangent

    # --- what a primitive does to dual numbers ---

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        primitive: Any = UNARY.get(ufunc)
        if primitive is None or method != "__call__" or kwargs:
            return DuckArray.__array_ufunc__(self, ufunc, method, *inputs, **kwargs)
        level = self.level
        if level.closed:
            raise closed(self)
        value = self.primal
        out = primitive.evaluate(value)
        edge: Any = primitive.edges[0]
        keep = edge.keep
        if keep.__class__ is int:
            kept = (value, out)[keep]
        else:
            kept = None if keep is None else primitive.keep(edge, 0, out, (value,), {})
        tangent = edge.push(self.tangent, kept)
        return new_dual(level, out, tangent if tangent.__class__ is _ndarray else like_output(tangent, out))

    @staticmethod
    def binary(primitive: Primitive, x: Any, y: Any) -> Any:
        if isinstance(x, Dual):
            level, x_value, x_tangent = x.level, x.primal, x.tangent
            if isinstance(y, Dual) and y.level is level:
                y_value, y_tangent = y.primal, y.tangent
            elif y.__class__ in CONSTANT_TYPES:
                y_value, y_tangent = y, None
                if y.__class__ is _ndarray:
                    if isinstance(x_value, DuckArray):
                        y_value = captured(y, x_value)
                elif x_value.__class__ is _ndarray:
                    y_value = constant_operand(y, x_value)
            else:
                return bind_two(primitive, x, y)
        elif x.__class__ in CONSTANT_TYPES:
            level, y_value, y_tangent = y.level, y.primal, y.tangent
            x_value, x_tangent = x, None
            if x.__class__ is _ndarray:
                if isinstance(y_value, DuckArray):
                    x_value = captured(x, y_value)
            elif y_value.__class__ is _ndarray:
                x_value = constant_operand(x, y_value)
        else:
            return bind_two(primitive, x, y)
        if level.closed:
            raise closed(x if isinstance(x, Dual) else y)
        out = primitive.evaluate(x_value, y_value)
        if out.__class__ is _ndarray:
            # A rule that chooses among elements would make a Python float's tangent float64, whatever the output.
            if x_tangent.__class__ is float:
                x_tangent = out.dtype.type(x_tangent)
            if y_tangent.__class__ is float:
                y_tangent = out.dtype.type(y_tangent)
        tangent = primitive.push(out, (x_value, y_value), (x_tangent, y_tangent), {})
        if out.__class__ is _ndarray:
            if tangent.__class__ is not _ndarray or tangent.shape != out.shape or tangent.dtype is not out.dtype:
                tangent = like_output(tangent, out)
        elif out.__class__ is not float:
            tangent = like_output(tangent, out)
        return new_dual(level, out, tangent)

    def linear(self, primitive: Primitive, rest: tuple[Any, ...], static: dict[str, Any]) -> Any:
        value, tangent = self.primal, self.tangent
        # A batch of tangents is pushed as quickly as one; other tracers may stand for numbers.
        if value.__class__ is not _ndarray or not (tangent.__class__ is _ndarray or isinstance(tangent, Batched)):
            return self.process(primitive, (self, *rest), static)
        level = self.level
        if level.closed:
            raise closed(self)
        out = primitive.raw(value, *rest, **static)
        if isinstance(tangent, Batched):
            tangent = tangent.pushed(primitive, rest, static)
        else:
            tangent = primitive.raw(tangent, *rest, **static)
        if out.__class__ is _ndarray:
            owner = out.base
            if owner is not None and (owner is value or owner is value.base):
                return _view(level, out, tangent, self, rest if primitive.is_index else primitive.path(()))
        return new_dual(level, out, tangent)

    def process(self, primitive: Primitive, args: tuple[Any, ...], static: dict[str, Any]) -> Any:
        values, own = self.operands(primitive, args)
        out = bind(primitive, tuple(values), static)
        if primitive.constant:
            return out
        tangents = [a.tangent if mine else None for a, mine in zip(args, own, strict=True)]
        tangent = like_output(primitive.push(out, values, tangents, static), out)
        return standing_for(new_dual(self.level, out, tangent), primitive, args)

    # --- assignment ---

    def lift(self, value: Any) -> Dual:
        value = captured(value, self.primal)
        return new_dual(self.level, value, self.level.zero(value))

    def twin(self) -> Dual:
        return new_dual(self.level, self.primal, self.tangent)

    def become(self, other: Any) -> None:
        self.primal, self.tangent = other.primal, other.tangent

    def update(self, primitive: UpdatePrimitive, value: Any, index: Any) -> None:
        if self.level.closed:
            raise closed(self)
        tangent: Any = 0.0
        if isinstance(value, Dual) and value.level is self.level:
            value, tangent = value.primal, value.tangent
        captures = captures_within(self)
        if captures is not None:
            # The tangent may be plain, but the index is one of a record.
            index = lasting(index, captures.index)
        primal_buffer, tangent_buffer = writable(self, "primal"), writable(self, "tangent")
        # Both are written before either is stored, so an index that does not fit leaves the pair as it was.
        primal_buffer = write(primal_buffer, primitive, index, value)
        self.tangent = write(tangent_buffer, primitive, index, tangent)
        self.primal = primal_buffer

    def __str__(self) -> str:
        return f"Dual({self.primal}, tangent={self.tangent})" if self.level is BASE else DuckArray.__str__(self)

    def __repr__(self) -> str:
        suffix = "" if self.level is BASE else f", level {self.level.number}"
        return f"Dual({self.primal!r}, tangent={self.tangent!r}{suffix})"


def new_dual(level: Any, primal: Any, tangent: Any) -> Dual:
    # `__init__` checks what people write by hand; here primal and tangent fit by construction.
    dual: Dual = _allocate(Dual)
    dual.level = level
    dual.primal = primal
    dual.tangent = tangent
    return dual


_allocate: Any = object.__new__
_View: Any = view_class(Dual)
_set_primal: Any = vars(DuckArray)["primal"].__set__


def _view(level: Any, out: Any, tangent: Any, base: Any, path: Any) -> Any:
    view = _allocate(_View)
    view.level = level
    _set_primal(view, out)
    view.tangent = tangent
    return attach(view, base, path)


def like_output(tangent: Any, out: Any) -> Any:
    """`tangent` in the shape and dtype of `out`; zeros where there is none."""
    if tangent.__class__ is Batched and out.__class__ is _ndarray:
        # Many directions: what nearly always holds is seen here at once.
        batch = tangent.primal
        if batch.dtype is out.dtype and batch.shape[1:] == out.shape:
            return tangent
    if out.__class__ is float or out.__class__ is complex:
        return 0.0 if tangent is None else tangent
    if isinstance(tangent, ViewOf):
        # A lower level's view would go stale with its base, which this result does not share.
        tangent = tangent.twin()  # type: ignore[attr-defined]
    if tangent is None:
        return np.zeros_like(out)
    shape = out.shape
    if getattr(tangent, "shape", ()) != shape:
        tangent = np.broadcast_to(tangent, shape)
    dtype = out.dtype
    if getattr(tangent, "dtype", bool) != dtype or (
        isinstance(tangent, DuckArray) and is_weak(tangent) and not is_weak(out)
    ):
        tangent = tangent.astype(dtype) if hasattr(tangent, "astype") else np.asarray(tangent, dtype)[()]
    return tangent


def _checked(primal: Any, tangent: Any) -> tuple[Any, Any]:
    """What a person gave to `Dual(...)`, as floating-point values of one shape."""
    primal, tangent = (np.asarray(v) if isinstance(v, list) else v for v in (primal, tangent))
    if isinstance(primal, Tracer) or isinstance(tangent, Tracer):
        raise LeafTypeError(
            f"Dual: the parts of a dual number made by hand are plain numbers and arrays{user_line()}; inside a "
            "differentiated function nest dualad.jvp instead"
        )
    primal, tangent = differentiable(primal, "Dual"), differentiable(tangent, "Dual")
    if isinstance(primal, np.ndarray) or isinstance(tangent, np.ndarray):
        primal = np.array(primal)
        tangent = np.array(tangent, dtype=primal.dtype)
        if primal.shape != tangent.shape:
            raise ShapeError(f"Dual: the primal has shape {primal.shape} but the tangent {tangent.shape}")
    else:
        tangent = in_dtype_of(tangent, primal)
    return primal, tangent
