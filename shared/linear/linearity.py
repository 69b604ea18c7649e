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

from shared.core.assignment import UpdatePrimitive
from shared.core.described import as_object, asked_for_product
from shared.core.duck_array import DuckArray
from shared.core.errors import LinearityError, closed, user_line
from shared.core.facets import Jointly
from shared.core.levels import Tracer, bind
from shared.core.primitive import Primitive
from shared.core.records import Records, record_primitive, record_update
from shared.core.views import standing_for
from shared.core.writing import duplicate, lasting, writable, write
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


class Transposition(Records):
    """The records of one linear function."""

    __slots__ = ("advice", "assigned", "copies")

    def __init__(self, name: str, advice: str = ""):
        super().__init__(name)
        self.advice = advice
        #: by id, the plain arrays that were met and the copies of them that are kept
        self.copies: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        #: where a constant was first assigned into an array, for the error if it stays there
        self.assigned = ""

    def kept(self, value: Any) -> Any:
        """A constant as the transpose may use it later, whatever becomes of the array that it is now."""
        if not isinstance(value, np.ndarray):
            return value.twin() if isinstance(value, DuckArray) else value
        found = self.copies.get(id(value))
        if found is not None and found[1].shape == value.shape and found[1].tobytes() == value.tobytes():
            return found[1]
        copy = value.copy("K")
        self.copies[id(value)] = (value, copy)
        return copy

    def refusal(self, problem: str, instead: str) -> LinearityError:
        advice = f"; {self.advice}" if self.advice else ""
        return LinearityError(
            f"{self.transform}: {problem}{user_line()}, so it cannot be transposed; {instead}{advice}"
        )

    def call_custom(self, function: Any, leaves: list[Any], structure: Any, static: dict[str, Any]) -> NoReturn:
        raise self.refusal(
            f"{function.name} has a derivative rule of its own, which does not say whether it is linear",
            "write it with NumPy functions that are linear, or give both the jvp and the vjp of the function around it",
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
        values, own = self.operands(primitive, args)
        traced = [k for k, a in enumerate(args) if own[k] and a.index != CONSTANT]
        if not traced or primitive.is_question or primitive is VALUE_ONLY:
            out = bind(primitive, tuple(values), static)
            return out if primitive.constant else standing_for(LinearValue(level, out, CONSTANT), primitive, args)
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
        return standing_for(LinearValue(level, out, index), primitive, args)

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
        node = record_update(level, primitive, index, constant, primal, base, parent)
        self.primal, self.index = primal, node if node >= 0 else ZERO

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
            "use NumPy's functions, and fill arrays made with np.zeros_like(x) or np.zeros_like(x, shape=n)",
        )

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        if asked_for_product():
            return as_object(self)
        self.__float__()

    __complex__ = __index__ = __int__ = __float__


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
    needed = primitive.kept
    kept = [
        plain[k] if k in traced else level.kept(value) if needed is None or k in needed else value
        for k, value in enumerate(values)
    ]
    parents = [args[k].index if k in traced else CONSTANT for k in range(len(args))]
    node = record_primitive(level, primitive, out, kept, parents, static)
    return node if node >= 0 else ZERO
