"""What is linear, and the values that only a linear function may compute with.

A `LinearValue` stands for the unknown argument of a linear function, and for whatever is computed from it.  Every
primitive that it meets has to be one that its row declares linear, and leaves one record per argument: the edge of the
registry, what it keeps, and the node it leads to.  Anything else is an error that names the primitive and the user's
line.  This module knows nothing of what the records are for (`shared.linear.transposition`), and no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from shared.core.assignment import SETITEM, UpdatePrimitive
from shared.core.duck_array import DuckArray, operand
from shared.core.errors import LinearityError, closed, user_line
from shared.core.facets import Jointly
from shared.core.levels import Level, Tracer, bind
from shared.core.primitive import Edge, Like, Primitive, differs
from shared.core.views import attach, base_of, view_class
from shared.core.writing import GATHER, OVERWRITE, UNCHANGED, duplicate, lasting, winners, writable, write
from shared.rules.special import VALUE_ONLY


def evaluated(value: Any) -> Any:
    return VALUE_ONLY(value) if isinstance(value, Tracer) else value


def is_zero(value: Any) -> bool:
    """Whether all elements of a value, traced or not, are zero."""
    while isinstance(value, DuckArray):
        value = value.primal
    return not np.any(value)


# --- the values that a linear function computes with ------------------------------------------------------------------

#: The index of a value that does not depend on the arguments, and of one that is zero whatever they are.
CONSTANT, ZERO = -1, -2

#: An argument: its kept value is its number, and its cotangent is a result.
ARGUMENT = Edge(None, None, lambda t, kept: t)


class Transposition(Level):
    """The records of one linear function: edge, kept value and parent of each, the first of a node with ~parent."""

    __slots__ = ("advice", "assigned", "constants", "count", "records")

    def __init__(self, name: str, advice: str = ""):
        super().__init__(name)
        self.advice = advice
        self.records: list[Any] = []
        self.count = 0
        #: by id, the plain arrays that were met and the copies of them that are kept
        self.constants: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        #: where a constant was first assigned into an array, for the error if it stays there
        self.assigned = ""

    def node(self) -> int:
        self.count += 1
        return self.count - 1

    def kept(self, value: Any) -> Any:
        """A constant as the transpose may use it later, whatever becomes of the array that it is now."""
        if not isinstance(value, np.ndarray):
            return value.twin() if isinstance(value, DuckArray) else value
        found = self.constants.get(id(value))
        if found is not None and found[1].shape == value.shape and found[1].tobytes() == value.tobytes():
            return found[1]
        copy = value.copy("K")
        self.constants[id(value)] = (value, copy)
        return copy

    def refusal(self, problem: str, instead: str) -> LinearityError:
        advice = f"; {self.advice}" if self.advice else ""
        return LinearityError(
            f"{self.transform}: {problem}{user_line()}, so it cannot be transposed; {instead}{advice}"
        )


class LinearValue(DuckArray):
    """A value that is linear in the arguments: its node, and as `primal` its value where all arguments are zero."""

    __slots__ = ("index",)
    index: int

    def __init__(self, level: Transposition, primal: Any, index: int):
        self.level = level
        self.primal = primal
        self.index = index

    def process(self, primitive: Primitive, args: tuple[Any, ...], static: dict[str, Any]) -> Any:
        level = self.level
        if level.closed:
            raise closed(self)
        values: list[Any] = []
        traced: list[int] = []
        for k, a in enumerate(args):
            if isinstance(a, LinearValue) and a.level is level:
                values.append(a.primal)
                if a.index != CONSTANT:
                    traced.append(k)
            else:
                values.append(a if primitive.constant else operand(a))
        if not traced or primitive.is_question or primitive is VALUE_ONLY:
            out = bind(primitive, tuple(values), static)
            return out if primitive.constant else self._standing_for(out, CONSTANT, primitive, args)
        jointly = require_linear(level, primitive, traced)
        # What stands for the arguments has no derivative, and must stay the same value for views of it to be known.
        plain = [value if k in traced else evaluated(value) for k, value in enumerate(values)]
        with np.errstate(invalid="ignore"):  # a coefficient may be infinite
            out = bind(primitive, tuple(plain), static)
        if not is_zero(out) and all(is_zero(values[k]) for k in traced):
            if jointly:
                raise level.refusal(
                    f"{called(primitive)} has a result that is not zero where the arguments are zero, because of a "
                    "constant that it adds or chooses",
                    "leave the constant out: a linear function maps zero to zero",
                )
            out = np.zeros_like(out)  # not the NaN of 0 * inf
        index = record(level, primitive, args, traced, [values, plain], out, static)
        return self._standing_for(out, index, primitive, args)

    def _standing_for(self, out: Any, index: int, primitive: Primitive, args: tuple[Any, ...]) -> Any:
        base = base_of(out, args, self.level)
        if base is None:
            return LinearValue(self.level, out, index)
        return attach(_View(self.level, out, index), base, primitive.path(args))

    def custom(self, function: Any, leaves: list[Any], structure: Any, static: dict[str, Any]) -> Any:
        raise self.level.refusal(
            f"{function.name} has a derivative rule of its own, which does not say whether it is linear",
            "write it with NumPy functions that are linear, or give both the jvp and the vjp of the function around it",
        )

    def lift(self, value: Any) -> LinearValue:
        return LinearValue(self.level, value, CONSTANT)

    def twin(self) -> LinearValue:
        return LinearValue(self.level, self.primal, self.index)

    def become(self, other: Any) -> None:
        self.primal, self.index = other.primal, other.index

    def update(self, primitive: UpdatePrimitive, value: Any, index: Any) -> None:
        level = self.level
        if level.closed:
            raise closed(self)
        index = lasting(index)
        parent, constant = CONSTANT, value
        if isinstance(value, LinearValue) and value.level is level:
            parent, constant = value.index, value.primal
        base = self.index
        buffer = writable(self, "primal")
        if base == CONSTANT == parent:
            self.primal = write(buffer, primitive, index, constant)
            return
        if parent == CONSTANT and not level.assigned and not is_zero(constant):
            level.assigned = user_line()
        if base == CONSTANT and isinstance(buffer, Tracer):
            # From now on only the value for zero arguments matters, not how it varies at outer levels.
            buffer = duplicate(evaluated(buffer))
        primal = write(buffer, primitive, index, evaluated(constant))
        if base >= 0:
            level.records += (OVERWRITE if primitive is SETITEM else UNCHANGED, index, ~base)
        if parent >= 0:
            stays = winners(primal.shape, index) if primitive is SETITEM else None
            kept = (Like(value), index, Like(primal), primitive, stays)
            level.records += (GATHER, kept, parent if base >= 0 else ~parent)
        self.index = level.node() if base >= 0 or parent >= 0 else ZERO
        self.primal = primal

    def __bool__(self) -> bool:
        if self.index == CONSTANT:
            return bool(self.primal)
        raise self.level.refusal(
            "a branch was taken on a value that depends on the arguments",
            "branch on constants only, or choose with np.where",
        )

    def __float__(self) -> NoReturn:
        raise self.level.refusal(
            "a plain number or array was asked of a value that depends on the arguments",
            "use NumPy's functions, and fill arrays made with np.zeros_like(x) or np.zeros(n, like=x)",
        )

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        self.__float__()

    __complex__ = __index__ = __int__ = __float__


_View: Any = view_class(LinearValue)


def require_linear(level: Transposition, primitive: Primitive, traced: Sequence[int]) -> bool:
    """Refuse a primitive that is not linear in the arguments `traced`; whether it is so in all of them jointly."""
    places = primitive.linear
    if all(k in places for k in traced):
        if isinstance(places, Jointly):
            return True
        if len(traced) == 1:
            return False
        raise level.refusal(
            f"{called(primitive)} has {len(traced)} factors that depend on the arguments", "let one of them alone"
        )
    if primitive.constant:
        raise level.refusal(
            f"{called(primitive)} was asked of a value that depends on the arguments, and is not linear",
            "compare and round constants only",
        )
    where = f" in argument {traced[0]}" if primitive.arguments != 1 else ""
    raise level.refusal(
        f"{called(primitive)} is not linear{where}",
        "write the function with sums, products with constants, and what moves or repeats elements",
    )


def called(primitive: Primitive) -> str:
    """What users know a primitive as."""
    name = primitive.name.lstrip("_")
    return f"np.{name}" if hasattr(np, name) else name


def record(
    level: Transposition,
    primitive: Primitive,
    args: tuple[Any, ...],
    traced: Sequence[int],
    both: Sequence[list[Any]],
    out: Any,
    static: dict[str, Any],
) -> int:
    """Append the records of one primitive, given its constants as they are and evaluated; returns its node."""
    values, plain = both
    active = [k for k in traced if args[k].index >= 0]
    if not active:
        return ZERO
    needed = primitive.kept
    kept_values = [
        plain[k] if k in traced else level.kept(value) if needed is None or k in needed else value
        for k, value in enumerate(values)
    ]
    residuals = None if primitive.residuals is None else primitive.residuals(out, plain, static)
    first = True
    for k in active:
        edge: Any = primitive.edges[k if residuals is None else 0]
        kept = primitive.keep(edge, k, out, kept_values, static) if residuals is None else residuals[k]
        if primitive.broadcasts and differs(plain[k], out):
            edge, kept = edge.fitted, (Like(plain[k]), kept, Like(out))
        parent = args[k].index
        level.records += (edge, kept, ~parent if first else parent)
        first = False
    return level.node()
