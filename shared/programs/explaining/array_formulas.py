"""Formulas of operations on whole arrays, as a lecturer writes them: matrix products, transposes, sums, reshaping.

A space between two factors is a product of matrices, vectors are columns, and ᵀ (here ↑T) transposes them; `1` beside
an adjoint is an array of ones.  Values are needed for their shapes, and for ties of maxima.  This module knows nothing
of tables, and computes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.registry import REGISTRY
from shared.programs.equations import AS_KIND, Equation
from shared.programs.notation import index_text, type_name
from shared.rules import shapes, special
from shared.rules.shapes import CONVERT

_TRANSPOSE, _RESHAPE = shapes.TRANSPOSE.function, shapes.RESHAPE.function
_CONVERSIONS = (AS_KIND.function, shapes.ASTYPE.function, CONVERT.function)
_CONCATENATE = next(entry.function for entry in REGISTRY.values() if entry.name == "_concatenate")

# --- what is computed -------------------------------------------------------------------------------------------------


def applied(equation: Equation, operands: Sequence[str], given: Sequence[Any], out: Any) -> str | None:
    """The right side of an equation, or its tangent where one operand is a tangent; None if it is written as a call."""
    function, static = equation.primitive.function, equation.static
    x = operands[0] if operands else ""
    if function is np.matmul and not static:
        ranks = [np.ndim(value) for value in given]
        if max(ranks) <= 2:
            return f"{x}↑T {operands[1]}" if ranks[0] == 1 else f"{x} {operands[1]}"
    elif function is _TRANSPOSE and _is_reversed(static.get("axes"), np.ndim(given[0])):
        return f"{x}↑T"
    elif function is _RESHAPE:
        return f"reshape({x}, {np.shape(out)}{_order(static)})"
    elif function is AS_KIND.function:
        return f"{type_name(static['kind'])}({x})" if static["kind"] is not np.ndarray else f"asarray({x})"
    elif function in _CONVERSIONS:
        return f"{x}.astype({static['dtype']})"
    return None


def _is_reversed(axes: Any, rank: int) -> bool:
    """Whether a transposition reverses the axes; of a vector it changes nothing."""
    return axes is None or [int(axis) % rank for axis in axes] == list(range(rank))[::-1]


def _order(static: dict[str, Any]) -> str:
    return "" if static.get("order", "C") == "C" else f", order={static['order']}"


# --- what is added to adjoints ----------------------------------------------------------------------------------------


def pulled(
    equation: Equation, position: int, incoming: str, texts: Sequence[str], given: Sequence[Any], out: Any
) -> str | None:
    """What an equation adds to the adjoint of an operand, from the adjoint of its result; None if no formula is known.

    `texts` are those of the operands, and of the result.

    (Giles 2008, "Collected matrix derivative results for forward and reverse mode algorithmic differentiation",
    section 2, for products and transposes.)
    """
    function, static = equation.primitive.function, equation.static
    shape = np.shape(given[position])
    if function is np.matmul and not static:
        return _of_product(position, incoming, texts, [np.ndim(value) for value in given])
    if function in (np.sum, np.mean):
        spread = _spread(incoming, shape, static)
        terms = np.size(given[0]) // max(np.size(out), 1)
        return spread if function is np.sum or terms == 1 else f"{spread}/{terms}"
    if function in (np.max, np.min):
        return _of_extremum(incoming, texts, given[0], out, static)
    if function is _TRANSPOSE:
        axes = static.get("axes")
        if _is_reversed(axes, len(shape)):
            return f"{incoming}↑T"
        inverse = tuple(int(k) for k in np.argsort([int(axis) % len(shape) for axis in axes or ()]))
        return f"transpose({incoming}, axes={inverse})"
    if function is _RESHAPE:
        return f"reshape({incoming}, {shape}{_order(static)})"
    if function is special.LOG_SOFTMAX.function:
        axis = static.get("axis", -1)
        return f"{incoming} - exp({texts[-1]})·sum({incoming}, axis={axis}, keepdims=True)"
    if function is special.LOGSUMEXP.function and np.size(out) == 1:
        return f"{incoming}·exp({texts[0]} - {texts[-1]})"
    if function is np.broadcast_to and np.size(given[0]) == 1:
        return f"sum({incoming})"
    if function is np.where:
        zeroed = (incoming, "0") if position == 1 else ("0", incoming)
        return f"where({texts[0]}, {', '.join(zeroed)})"
    if function is _CONCATENATE:
        return f"{incoming}{_part(position, given, static)}"
    if function in _CONVERSIONS and np.iscomplexobj(given[0]) == np.iscomplexobj(out):
        return incoming
    return None


def _of_product(position: int, incoming: str, texts: Sequence[str], ranks: list[int]) -> str | None:
    a, b = texts[:2]
    if max(ranks) > 2:
        return None
    if ranks == [1, 1]:
        return f"{incoming}·{b if position == 0 else a}"
    if ranks[0] == 1:
        return f"{b} {incoming}" if position == 0 else f"{a} {incoming}↑T"
    return f"{incoming} {b}↑T" if position == 0 else f"{a}↑T {incoming}"


def _spread(incoming: str, shape: tuple[int, ...], static: dict[str, Any]) -> str:
    """The adjoint of a sum in each place that was summed: an outer product with ones, of matrices."""
    rank, axis = len(shape), static.get("axis")
    axes = {int(k) % rank for k in (range(rank) if axis is None else np.atleast_1d(axis))} if rank else set()
    if not axes:
        return incoming
    if len(axes) == rank:
        return f"1·{incoming}"
    if rank == 2:
        row = incoming if static.get("keepdims") else f"{incoming}↑T"
        return f"1 {row}" if axes == {0} else f"{incoming} 1↑T"
    return f"1·{incoming}" if static.get("keepdims") else f"1·expand_dims({incoming}, axis={axis})"


def _of_extremum(incoming: str, texts: Sequence[str], given: Any, out: Any, static: dict[str, Any]) -> str | None:
    """The adjoint of a maximum where it is taken, in equal shares if it is in several places."""
    if np.ndim(out) != np.ndim(given) and np.size(out) != 1:
        return None
    winners = np.sum(np.equal(given, out), axis=static.get("axis"))
    if np.any(winners != np.ravel(winners)[:1]):
        return None
    share = int(np.ravel(winners)[0])
    return f"{incoming}·({texts[0]} == {texts[-1]})" + (f"/{share}" if share > 1 else "")


def _part(position: int, given: Sequence[Any], static: dict[str, Any]) -> str:
    """The index of one of several arrays in what they are joined to."""
    axis = static.get("axis", 0)
    if axis is None:
        lengths = [np.size(value) for value in given]
        axis = 0
    else:
        axis %= np.ndim(given[0])
        lengths = [np.shape(value)[axis] for value in given]
    start = sum(lengths[:position])
    return index_text([*[":"] * axis, f"{start}:{start + lengths[position]}"])


# --- factors that depend on which operand is chosen -------------------------------------------------------------------


def chosen(equation: Equation, position: int, texts: Sequence[str], given: Sequence[Any]) -> str | None:
    """The derivative of an elementwise maximum or minimum by one operand; None at a tie, which counts one half."""
    function = equation.primitive.function
    if function not in (np.maximum, np.minimum) or np.any(np.equal(*given)):
        return None
    sign = ">" if (function is np.maximum) == (position == 0) else "<"
    return f"({texts[0]} {sign} {texts[1]})"


__all__ = ["applied", "chosen", "pulled"]
