"""Tangents and cotangents that know which of their elements are exact zeros, whatever slope they meet.

A `WithZeros` is a tracer for linear maps: `primal` is the tangent or cotangent, `live` a truth value for each of its
elements, False where the structure of the program makes it zero.  Rules are written in NumPy on values that may be
tracers, so the same rules push and pull it.  What an operation, linear in it, does to `live`:

    moves, choices, joins, sums     the same operation on truth values: an element is live if one that it is made of is
    a product with a constant       live as the factor that varies; where it is not, the product is set to zero
    a product of matrices           the infinite entries that meet exact zeros alone are left out
    anything else that is linear    live, unless nothing is
    what is not linear              live

The first two lines create what the others carry: the plain zero that a rule puts in place of a branch that was not
taken, and the zeros of a seed, are exact.  A product that is zero by value stays live.  So `live` is False only where a
zero is certain, and elsewhere the values are those of the ordinary sweep.  Values may be tracers of outer levels, to
which the zeros are exact as well.  (When to use it is said in `shared.calling.careful`.)  This module knows no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.batching.batched import Batched
from shared.core.assignment import UpdatePrimitive
from shared.core.duck_array import DuckArray
from shared.core.levels import Level, bind
from shared.core.primitive import Primitive
from shared.core.writing import writable, write


class KnownZeros(Level):
    """The level of one sweep, or one pass, with known zeros."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("a derivative with known zeros")

    def seeds(self, values: Sequence[Any]) -> list[Any]:
        """Seeds whose zeros are exact: what a direction does not move, and an output that is not asked for."""
        return [None if value is None else WithZeros(self, value, live_of(value)) for value in values]

    def plain(self, values: Sequence[Any]) -> list[Any]:
        """What the values of this level stand for."""
        return [v.primal if isinstance(v, WithZeros) and v.level is self else v for v in values]


class WithZeros(DuckArray):
    """A tangent or a cotangent, and which of its elements are live."""

    __slots__ = ("live",)
    live: Any

    def __init__(self, level: KnownZeros, primal: Any, live: Any):
        self.level = level
        self.primal = primal
        self.live = live

    def process(self, primitive: Primitive, args: tuple[Any, ...], static: dict[str, Any]) -> Any:
        values, own = self.operands(primitive, args)
        if primitive.constant:
            return bind(primitive, tuple(values), static)
        lives = [a.live if mine else None for a, mine in zip(args, own, strict=True)]
        out, live = _applied(primitive, values, lives, static)
        return WithZeros(self.level, out, live)

    # --- assignment ---

    def lift(self, value: Any) -> WithZeros:
        return WithZeros(self.level, value, live_of(value))

    def twin(self) -> WithZeros:
        return WithZeros(self.level, self.primal, self.live)

    def become(self, other: Any) -> None:
        self.primal, self.live = other.primal, other.live

    def update(self, primitive: UpdatePrimitive, value: Any, index: Any) -> None:
        if isinstance(value, WithZeros) and value.level is self.level:
            value, live = value.primal, value.live
        else:
            live = live_of(value)
        primal_buffer, live_buffer = writable(self, "primal"), writable(self, "live")
        primal_buffer = write(primal_buffer, primitive, index, value)
        # Of truth values a sum is what either is, so additions are the same ones.
        self.live = write(live_buffer, primitive, index, live)
        self.primal = primal_buffer


def live_of(value: Any) -> Any:
    """Which elements of a value that a rule or a person wrote are no exact zeros; of a traced value, all may be."""
    if isinstance(value, Batched) and not isinstance(value.primal, DuckArray):
        return Batched(value.level, value.primal != 0)
    if isinstance(value, DuckArray):
        return np.ones(value.shape, bool)
    return np.not_equal(value, 0)


def _applied(primitive: Primitive, values: list[Any], lives: list[Any], static: dict[str, Any]) -> tuple[Any, Any]:
    """The value of a primitive, and which of its elements are live."""
    own = [k for k, live in enumerate(lives) if live is not None]
    structure = primitive.dependence
    if structure == "product" or (structure == "quotient" and own == [0]):
        out = bind(primitive, tuple(values), static)
        live = lives[own[0]] if len(own) == 1 else np.logical_and(*lives)
        live = _stretched(live, out)
        return _chosen(live, out), live
    if structure in ("matrix product", "einsum", "convolution") and len(own) == 1:
        return _product(primitive, values, lives, own[0], static)
    out = bind(primitive, tuple(values), static)
    live = _stretched(_carried(primitive, values, lives, own, static), out)
    return _chosen(live, out), live


def _carried(primitive: Primitive, values: list[Any], lives: list[Any], own: list[int], static: dict[str, Any]) -> Any:
    structure = primitive.dependence
    if any(k not in primitive.linear for k in own):
        return np.True_
    if structure in ("sum of two", "choice", "join"):
        parts = [
            live if live is not None else value if k not in primitive.linear else live_of(value)
            for k, (live, value) in enumerate(zip(lives, values, strict=True))
        ]
        return np.logical_or(*parts) if structure == "sum of two" else primitive(*parts, **static)
    if own == [0] and structure in ("move", "index", "sum", "scan"):
        return np.not_equal(primitive(lives[0], *values[1:], **static), 0)
    if own == [0] and structure in ("zero at zero", "imaginary part", "elementwise"):
        return lives[0]
    # What is linear makes zero of zeros.
    return np.any(lives[own[0]]) if len(own) == 1 else np.True_


def _product(
    primitive: Primitive, values: list[Any], lives: list[Any], k: int, static: dict[str, Any]
) -> tuple[Any, Any]:
    """A product of matrices of which the one at position k is live in part."""
    out = bind(primitive, tuple(values), static)
    ones = [np.ones(np.shape(value)) for value in values]
    ones[k] = lives[k].astype(np.float64)
    live = np.not_equal(primitive(*ones, **static), 0)
    if len(values) == 2:
        other = values[1 - k]
        finite = np.isfinite(other)
        # Where infinite entries meet exact zeros alone, the product is that of the finite ones.
        known, met = list(values), list(ones)
        known[1 - k] = np.where(finite, other, other.dtype.type(0))
        met[1 - k] = np.logical_not(finite).astype(np.float64)
        out = np.where(np.not_equal(primitive(*met, **static), 0), out, primitive(*known, **static))
    return _chosen(live, out), live


def _stretched(live: Any, out: Any) -> Any:
    shape = np.shape(out)
    return live if np.shape(live) == shape else np.broadcast_to(live, shape)


def _chosen(live: Any, out: Any) -> Any:
    """What is live of a result, and zero elsewhere: a choice, also to the levels below."""
    if not isinstance(live, DuckArray):
        if np.all(live):
            return out
        if out.__class__ is float or out.__class__ is complex:
            return out.__class__(0)
    chosen = np.where(live, out, np.result_type(out).type(0))
    return chosen[()] if chosen.__class__ is np.ndarray and out.__class__ is not np.ndarray else chosen
