"""Variables: the values on a tape, which write it while the program computes with them.

Every primitive that processes a variable appends one record per argument that varies to the tape (`reversead.records`),
and gives a new variable; an assignment appends what undoes it.  Nothing here sweeps: a variable knows its tape as the
level that it belongs to, and its own node.  This module knows the form of the registry's edges, no calculus, and
nothing of forward mode.
"""

from __future__ import annotations

from _thread import get_ident
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from reversead.multi_output import evaluate, record_outputs
from reversead.records import detached, record_primitive
from shared.calling.seeds import has_derivative
from shared.core.assignment import SETITEM, UpdatePrimitive, ViewOf
from shared.core.constants import constant_operand
from shared.core.duck_array import CONSTANT_TYPES, DuckArray, captured, inner_into_outer, operand
from shared.core.errors import StaleViewError, user_line
from shared.core.floating_errors import error_settings
from shared.core.levels import Tracer, bind
from shared.core.primitive import Like, Primitive, differs
from shared.core.registry import UNARY
from shared.core.views import attach, base_of, view_class
from shared.core.writing import GATHER, OVERWRITE, UNCHANGED, lasting, winners, writable, write
from shared.rules.operators import ARITHMETIC

if TYPE_CHECKING:
    from reversead.tape import Tape

_ndarray = np.ndarray
_float64 = np.float64
_allocate: Any = object.__new__

#: The number, in place of -1, of a constant that was made while nothing was recorded.
LOCAL = -3


class Variable(DuckArray):
    """A value on a tape: its primal, and the number of its node (negative for a constant, which has none)."""

    __slots__ = ("index",)
    index: Any
    #: gives the module that records checkpoints; set by the package, since that is made of tapes and variables
    checkpointing: ClassVar[Callable[[], Any]]

    def __init__(self, tape: Tape, primal: Any, index: int):
        self.level = tape
        self.primal = primal
        self.index = index

    # --- what a primitive does to variables ---

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        primitive: Any = UNARY.get(ufunc)
        if primitive is None or method != "__call__" or kwargs:
            return DuckArray.__array_ufunc__(self, ufunc, method, *inputs, **kwargs)
        tape = self.level
        if tape.thread != get_ident():
            raise tape.refusal()
        value = self.primal
        if self.__class__ is _View:
            value = detached(value)
        out = primitive.evaluate(value)
        if error_settings() is not tape.settings:
            tape.note_settings()
        index = self.index
        if index < 0:
            return Variable(tape, out, tape.constant)
        edge: Any = primitive.edges[0]
        keep = edge.keep
        if keep.__class__ is int:
            tape.record((edge, (value, out)[keep], ~index))
        else:
            tape.record((edge, None if keep is None else primitive.keep(edge, 0, out, (value,), {}), ~index))
        node = tape.count
        tape.count = node + 1
        return Variable(tape, out, node)

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
        node = index = self.index
        if index >= 0:
            tape.record((primitive.edges[0], (Like(value), *rest, static), ~index))
            node = tape.count
            tape.count = node + 1
        else:
            node = tape.constant
        if out.__class__ is _ndarray:
            owner = out.base
            if owner is not None and (owner is value or owner is value.base):
                return new_view(tape, out, node, self, rest if primitive.is_index else None)
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
                        value = tape.guard.constant(a)
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
            node = tape.constant
        if (out.base is not None) if out.__class__ is _ndarray else nested:
            base = base_of(out, args, tape)
            if base is not None:
                return new_view(tape, out, node, base, primitive.path(args))
        return Variable(tape, out, node)

    def custom(self, function: Any, leaves: list[Any], structure: Any, static: dict[str, Any]) -> Any:
        tape = self.level
        if tape.thread != get_ident():
            raise tape.refusal()
        values, parents = [], []
        for a in leaves:
            if isinstance(a, Variable) and a.level is tape:
                values.append(detached(a.primal))
                parents.append(a.index)
            else:
                if a.__class__ is _ndarray:
                    a = tape.guard.constant(a)
                values.append(a.twin() if isinstance(a, DuckArray) else a)
                parents.append(-1)
        if error_settings() is not tape.settings:
            tape.note_settings()
        evaluation = evaluate(tape, function, values, structure, static)
        nodes = record_outputs(tape, evaluation, parents)
        return evaluation.output(
            [
                Variable(tape, out, node) if has_derivative(out) else out
                for out, node in zip(evaluation.outputs, nodes, strict=True)
            ]
        )

    # --- assignment ---

    def lift(self, value: Any) -> Variable:
        return Variable(self.level, captured(value, self.primal), self.level.constant)

    def twin(self) -> Variable:
        return Variable(self.level, self.primal, self.index)

    def become(self, other: Any) -> None:
        index = self.index
        # A view that is being written through has no number for that time.
        if index is not None and index < self.level.floor and index != LOCAL:
            raise _assigned_outside()
        self.primal, self.index = other.primal, other.index

    def update(self, primitive: UpdatePrimitive, value: Any, index: Any) -> None:
        tape = self.level
        if tape.thread != get_ident():
            raise tape.refusal()
        if self.index < tape.floor and self.index != LOCAL:
            raise _assigned_outside()
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
        base = self.index
        if base >= 0:
            tape.record((OVERWRITE if primitive is SETITEM else UNCHANGED, index, ~base))
        if parent >= 0:
            stays = winners(primal.shape, index) if primitive is SETITEM else None
            kept = (Like(value), index, Like(primal), primitive, stays)
            tape.record((GATHER, kept, parent if base >= 0 else ~parent))
        if base >= 0 or parent >= 0:
            self.index = tape.count
            tape.count += 1
        self.primal = primal

    # --- checkpoints ---

    def join(self, level: Any) -> None:
        tape = self.level
        if level is not tape.inner:
            raise inner_into_outer()
        links = [self]
        while isinstance(links[-1], ViewOf) and isinstance(links[-1].base, Variable):
            links.append(links[-1].base)
        if any(link.index < tape.floor and link.index != LOCAL for link in links):
            raise _assigned_outside()
        # Inside a checkpointed function nothing is recorded.  An array that the function made from values of this tape
        # is moved to the inner tape, like the arrays that it made there, so that it can be assigned to.
        for link in links:
            link.level, link.index = level, -1

    def checkpoint(self, f: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return Variable.checkpointing().call(self.level, f, args, kwargs)

    def checkpoint_loop(self, step: Any, state: Any, start: int, stop: int, snapshots: int) -> tuple[Any, int, int]:
        done: tuple[Any, int, int] = Variable.checkpointing().loop(self.level, step, state, start, stop, snapshots)
        return done


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
    evaluate, common, exempt = primitive.evaluate, primitive.common, not primitive.broadcasts
    first: Any
    second: Any
    first, second = primitive.edges
    keep_first, keep_second = first and first.keep, second and second.keep
    simple_first, simple_second = isinstance(keep_first, int), isinstance(keep_second, int)
    factored: Any = primitive.factored
    keeps_factored = [edge.keep for edge in (*factored, common)] if common else []
    simple_factored = all(keep is None or isinstance(keep, int) for keep in keeps_factored)
    guards_first, guards_second = (primitive.kept is None or k in primitive.kept for k in (0, 1))

    def operate(x: Any, y: Any) -> Any:
        if isinstance(x, Variable):
            tape, x_value, i = x.level, x.primal, x.index
            kind = y.__class__
            if kind is Variable and y.level is tape:
                y_value, j = y.primal, y.index
            elif kind is float or kind in CONSTANT_TYPES:
                y_value, j = y, -1
                if kind is _ndarray:
                    if guards_second:
                        y_value = tape.guard.constant(y)
                elif x_value.__class__ is _ndarray:
                    y_value = constant_operand(y, x_value)
            elif isinstance(y, Variable) and y.level is tape:
                y_value, j = detached(y.primal), y.index
            else:
                return bind(primitive, (x, y), {})
        elif x.__class__ in CONSTANT_TYPES:
            tape, y_value, j = y.level, y.primal, y.index
            x_value, i = x, -1
            if x.__class__ is not _ndarray:
                if y_value.__class__ is _ndarray:
                    x_value = constant_operand(x, y_value)
            elif guards_first:
                x_value = tape.guard.constant(x)
        else:
            return bind(primitive, (x, y), {})
        if tape.thread != get_ident():
            raise tape.refusal()
        if x.__class__ is _View:
            x_value = detached(x_value)
        out = evaluate(x_value, y_value)
        if error_settings() is not tape.settings:
            tape.note_settings()
        kind = out.__class__
        values = (x_value, y_value, out)
        recorded = False
        # Of two floats nothing can have been broadcast or promoted; of arrays it shows in shape and dtype.
        unfitted = exempt or kind is float or kind is _float64
        if common is not None and i >= 0 and j >= 0:
            if not unfitted or not simple_factored:
                return Variable(tape, out, record_primitive(tape, primitive, out, values[:2], (i, j), {}))
            node = tape.count
            tape.count = node + 2
            kept_first, kept_second, kept_common = [None if k is None else values[k] for k in keeps_factored]
            tape.record((factored[0], kept_first, ~i, factored[1], kept_second, j, common, kept_common, ~node))
            return Variable(tape, out, node + 1)
        if i >= 0 and first is not None:
            if simple_first:
                kept = values[keep_first]
            else:
                kept = None if keep_first is None else primitive.keep(first, 0, out, values[:2], {})
            if unfitted or (
                x_value.shape == out.shape and x_value.dtype is out.dtype
                if kind is _ndarray is x_value.__class__
                else not differs(x_value, out)
            ):
                tape.record((first, kept, ~i))
            else:
                tape.record((first.fitted, (Like(x_value), kept, Like(out)), ~i))
            recorded = True
        if j >= 0 and second is not None:
            if simple_second:
                kept = values[keep_second]
            else:
                kept = None if keep_second is None else primitive.keep(second, 1, out, values[:2], {})
            if recorded:
                i = j
            else:
                i = ~j
                recorded = True
            if unfitted or (
                y_value.shape == out.shape and y_value.dtype is out.dtype
                if kind is _ndarray is y_value.__class__
                else not differs(y_value, out)
            ):
                tape.record((second, kept, i))
            else:
                tape.record((second.fitted, (Like(y_value), kept, Like(out)), i))
        made = _allocate(Variable)
        made.level = tape
        made.primal = out
        if recorded:
            made.index = node = tape.count
            tape.count = node + 1
        else:
            made.index = tape.constant
        return made

    return operate


for _name, _primitive in ARITHMETIC.items():
    setattr(Variable, f"__{_name}__", operation(_primitive))


def _assigned_outside() -> Exception:
    return StaleViewError(
        f"a checkpointed function assigned to a traced array of the program around it{user_line()}, but has to be "
        "pure, because it will be evaluated again: return the new value, or make the array inside the function"
    )
