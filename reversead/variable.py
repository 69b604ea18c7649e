"""Variables: the values on a tape, which write it while the program computes with them.

Every primitive that processes a variable appends one record per argument that varies to the tape
(`shared.core.records`), and gives a new variable; an assignment appends what undoes it.  Nothing here sweeps: a
variable knows its tape as the level that it belongs to, and its own node.  This module knows the form of the registry's
edges, no calculus, and nothing of forward mode.
"""

from __future__ import annotations

from _thread import get_ident
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.core.assignment import UpdatePrimitive
from shared.core.constants import constant_operand
from shared.core.duck_array import CONSTANT_TYPES, DuckArray, captured, operand
from shared.core.edges import Like
from shared.core.errors import StaleViewError, user_line
from shared.core.floating_errors import error_settings
from shared.core.levels import Tracer, bind
from shared.core.primitive import Primitive
from shared.core.records import record_primitive, record_update, recorder_of_one, recorders_of_two
from shared.core.registry import UNARY
from shared.core.views import attach, base_of, view_class
from shared.core.writing import lasting, writable, write
from shared.rules.operators import ARITHMETIC, bound

if TYPE_CHECKING:
    from reversead.tape import Tape

_ndarray = np.ndarray
_float64 = np.float64
_allocate: Any = object.__new__

#: The number, in place of -1, of a constant that was made while nothing was recorded.
LOCAL = -3


def detached(value: Any) -> Any:
    """The value of a view as a rule may keep it: copied if it is a small part of its base.

    Kept as it is, it would hold the whole base, which the next assignment to that would have to copy: in a loop over
    the rows of a matrix, each time the matrix and not the row.
    """
    if value.__class__ is _ndarray:
        base = value.base
        if base.__class__ is _ndarray and 2 * value.nbytes <= base.nbytes:
            return value.copy("K")
    return value


class Variable(DuckArray):
    """A value on a tape: its primal, and the number of its node (negative for a constant, which has none)."""

    __slots__ = ("index",)
    index: Any

    def __init__(self, tape: Tape, primal: Any, index: int):
        self.level = tape
        self.primal = primal
        self.index = index

    # --- what a primitive does to variables ---

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        found = _UNARY.get(ufunc) or _of_one(ufunc)
        if found is None or method != "__call__" or kwargs:
            return DuckArray.__array_ufunc__(self, ufunc, method, *inputs, **kwargs)
        evaluate, record = found
        tape = self.level
        if tape.thread != get_ident():
            raise tape.refusal()
        value = self.primal
        if self.__class__ is _View:
            value = detached(value)
        out = evaluate(value)
        if error_settings() is not tape.settings:
            tape.note_settings()
        index = self.index
        return Variable(tape, out, tape.no_node if index < 0 else record(tape, out, value, index))

    @staticmethod
    def binary(primitive: Primitive, x: Any, y: Any) -> Any:
        return operation(primitive)(x, y)

    def linear(self, primitive: Primitive, rest: tuple[Any, ...], static: dict[str, Any]) -> Any:
        value = self.primal
        if value.__class__ is not _ndarray:
            return self.process(primitive, (self, *rest), static)
        tape = self.level
        if tape.thread != get_ident():
            raise tape.refusal()
        out = primitive.raw(value, *rest, **static) if static else primitive.raw(value, *rest)
        if error_settings() is not tape.settings:
            tape.note_settings()
        node, index = tape.no_node, self.index
        if index >= 0:
            tape.record((primitive.edges[0], (Like(value), *rest, static), ~index))
            node = tape.node()
        if out.__class__ is _ndarray:
            owner = out.base
            if owner is not None and (owner is value or owner is value.base):
                return new_view(tape, out, node, self, rest if primitive.is_index else primitive.path(()))
        return Variable(tape, out, node)

    def process(self, primitive: Primitive, args: tuple[Any, ...], static: dict[str, Any]) -> Any:
        tape = self.level
        if tape.thread != get_ident():
            raise tape.refusal()
        values: list[Any] = []
        parents: list[int] = []
        active, nested, kept = 0, False, primitive.kept
        for a in args:
            if isinstance(a, Variable) and a.level is tape:
                value = a.primal
                parents.append(a.index)
                active += a.index >= 0
            else:
                value = a
                if a.__class__ is _ndarray:
                    if not primitive.constant and (kept is None or len(parents) in kept):
                        value = tape.guard.captured(a)
                elif a.__class__ not in CONSTANT_TYPES and not primitive.constant:
                    # An outer tracer may be assigned to before the sweep: what is kept is its present value.
                    value = a.twin() if isinstance(a, DuckArray) else operand(a)
                parents.append(-1)
            if isinstance(value, Tracer):
                nested = True
            values.append(value)
        out = bind(primitive, tuple(values), static) if nested else primitive.raw(*values, **static)
        if primitive.constant:
            return out
        if error_settings() is not tape.settings:
            tape.note_settings()
        if active:
            # Only now, because what was evaluated may be a view of these values.
            node = record_primitive(tape, primitive, out, [detached(value) for value in values], parents, static)
        else:
            node = tape.no_node
        if (out.base is not None) if out.__class__ is _ndarray else nested:
            base = base_of(out, args, tape)
            if base is not None:
                return new_view(tape, out, node, base, primitive.path(args))
        return Variable(tape, out, node)

    # --- assignment ---

    def lift(self, value: Any) -> Variable:
        return Variable(self.level, captured(value, self.primal), self.level.no_node)

    def twin(self) -> Variable:
        return Variable(self.level, self.primal, self.index)

    def become(self, other: Any) -> None:
        index = self.index
        # A view that is being written through has no number for that time.
        if index is not None and index < self.level.floor and index != LOCAL:
            raise assigned_outside()
        self.primal, self.index = other.primal, other.index

    def update(self, primitive: UpdatePrimitive, value: Any, index: Any) -> None:
        tape = self.level
        if tape.thread != get_ident():
            raise tape.refusal()
        if self.index < tape.floor and self.index != LOCAL:
            raise assigned_outside()
        if index.__class__ is not int:
            index = lasting(index, tape.guard.index)
        parent = -1
        if isinstance(value, Variable) and value.level is tape:
            if value.index == self.index >= 0:
                value = np.copy(value)
            value, parent = value.primal, value.index
        if error_settings() is not tape.settings:
            tape.note_settings()
        primal = write(writable(self, "primal"), primitive, index, value)
        node = record_update(tape, primitive, index, value, primal, self.index, parent)
        if node >= 0:
            self.index = node
        self.primal = primal


#: Of the ufuncs of one argument that have been met: what evaluates each, and what records it.
_UNARY: dict[np.ufunc, tuple[Any, Any]] = {}


def _of_one(ufunc: np.ufunc) -> tuple[Any, Any] | None:
    primitive = UNARY.get(ufunc)
    if primitive is None:
        return None
    found = _UNARY[ufunc] = primitive.evaluate, recorder_of_one(primitive)
    return found


_View: Any = view_class(Variable)
_set_primal: Any = vars(DuckArray)["primal"].__set__


def new_view(tape: Any, out: Any, node: int, base: Any, path: Any) -> Any:
    view = _allocate(_View)
    view.level = tape
    _set_primal(view, out)
    view.index = node
    return attach(view, base, path)


@cache
def operation(primitive: Primitive) -> Any:
    """The function `(x, y) -> Variable` that processes a primitive of two arguments, at least one of them a variable.

    This is the hottest path of the engine: everything that does not depend on the operands is looked up here, once.
    """
    evaluate = primitive.evaluate
    record_first, record_second, record_both = recorders_of_two(primitive)
    guards_first, guards_second = (primitive.kept is None or k in primitive.kept for k in (0, 1))

    def operate(x: Any, y: Any) -> Any:
        if x.__class__ is Variable or isinstance(x, Variable):
            tape, x_value, i = x.level, x.primal, x.index
            kind = y.__class__
            if kind is Variable and y.level is tape:
                y_value, j = y.primal, y.index
            elif kind is float or kind in CONSTANT_TYPES:
                y_value, j = y, -1
                if kind is _ndarray:
                    if guards_second:
                        y_value = tape.guard.captured(y)
                elif x_value.__class__ is _ndarray:
                    y_value = constant_operand(y, x_value)
            elif isinstance(y, Variable) and y.level is tape:
                y_value, j = detached(y.primal), y.index
            else:
                return bound(primitive, x, y)
        elif x.__class__ in CONSTANT_TYPES:
            tape, y_value, j = y.level, y.primal, y.index
            x_value, i = x, -1
            if x.__class__ is not _ndarray:
                if y_value.__class__ is _ndarray:
                    x_value = constant_operand(x, y_value)
            elif guards_first:
                x_value = tape.guard.captured(x)
        else:
            return bound(primitive, x, y)
        if tape.thread != get_ident():
            raise tape.refusal()
        if x.__class__ is _View:
            x_value = detached(x_value)
        out = evaluate(x_value, y_value)
        if error_settings() is not tape.settings:
            tape.note_settings()
        made = _allocate(Variable)
        made.level = tape
        made.primal = out
        if j < 0:
            made.index = record_first(tape, out, x_value, y_value, i) if i >= 0 else tape.no_node
        elif i < 0:
            made.index = record_second(tape, out, x_value, y_value, j)
        else:
            made.index = record_both(tape, out, x_value, y_value, i, j)
        return made

    return operate


for _name, _primitive in ARITHMETIC.items():
    setattr(Variable, f"__{_name}__", operation(_primitive))


def assigned_outside() -> Exception:
    return StaleViewError(
        f"a checkpointed function assigned to a traced array of the program around it{user_line()}, but has to be "
        "pure, because it will be evaluated again: return the new value, or make the array inside the function"
    )
