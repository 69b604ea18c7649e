"""Derivatives put together from directions: gradients and matrices from their entries, columns or rows.

It computes with NumPy functions that accept tracers, so that a Jacobian can itself be differentiated; it knows nothing
of how a direction is obtained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from shared.arguments import as_leaf
from shared.errors import ShapeError, user_line
from shared.functions import stop_gradient
from shared.levels import Tracer
from shared.primitive import Like
from shared.tracer import DuckArray
from shared.tree import Structure, flatten, unflatten


def zero_like(leaf: Any) -> Any:
    """A fresh zero of the type of a leaf: a Python number for a Python number."""
    if isinstance(leaf, Tracer):
        like = Like(leaf)
        return like.zeros()[()]
    if isinstance(leaf, (float, int, complex)) and not isinstance(leaf, np.generic):
        return 0j if isinstance(leaf, complex) else 0.0
    like = Like(leaf)
    if like.dtype is not None and like.dtype.kind not in "fc":
        return np.zeros(like.shape)[()]
    return np.zeros_like(leaf)[()] if isinstance(leaf, np.generic) else np.zeros_like(leaf)


def is_complex(leaf: Any) -> bool:
    dtype = Like(leaf).dtype
    return isinstance(leaf, complex) if dtype is None else dtype.kind == "c"


def seeded(value: Any, seed: Any) -> Any:
    """A plain seed of a traced value, at the levels that count what is done to it."""
    return value.seed(seed) if isinstance(value, DuckArray) and not isinstance(seed, DuckArray) else seed


def gradient_of(entries: Any, leaves: Sequence[Any]) -> list[Any]:
    """The gradient per leaf from an array with one number per real unit direction.

    Of a complex leaf it is g with Re(g t) the derivative in every direction t: df/da - i df/db for a + i b.
    """
    if len(leaves) == 1 and entries.__class__ is np.ndarray:
        only = leaves[0]
        if only.__class__ is np.ndarray and only.dtype is entries.dtype and only.shape == entries.shape:
            return [entries]
    gradients, start = [], 0
    for leaf in leaves:
        like, step = Like(leaf), 2 if is_complex(leaf) else 1
        mine = entries[start : start + step * like.size]
        start += step * like.size
        if step == 2:
            mine = mine[0::2] - 1j * mine[1::2]
        gradients.append(as_leaf(np.reshape(mine, like.shape) if like.shape else mine[0], leaf))
    return gradients


def blocks_of_columns(name: str, columns: Sequence[Any], outputs: Sequence[Any], leaves: Sequence[Any]) -> list[Any]:
    """Jacobians [output][leaf] of shape output.shape + leaf.shape, from the outputs' tangents along all directions.

    `columns[k]` holds the tangents of output k along its first axis, one a real unit direction of the leaves.
    """
    blocks: list[list[Any]] = []
    for output, column in zip(outputs, columns, strict=True):
        row, start, shape = [], 0, Like(output).shape
        for leaf in leaves:
            like, step = Like(leaf), 2 if is_complex(leaf) else 1
            mine = column if len(leaves) == 1 else column[start : start + step * like.size]
            start += step * like.size
            if step == 2:
                mine = _complex_numbers(name, mine, holomorphic=is_complex(output))
            row.append(_block(mine, np.moveaxis(mine, 0, -1), shape + like.shape, output, leaf))
        blocks.append(row)
    return blocks


def blocks_of_rows(name: str, rows: Sequence[Any], outputs: Sequence[Any], leaves: Sequence[Any]) -> list[Any]:
    """Jacobians [output][leaf] of shape output.shape + leaf.shape, from the leaves' cotangents along all directions.

    `rows[k]` holds the cotangents of leaf k along its first axis, one a real unit direction of the outputs.
    """
    blocks: list[list[Any]] = []
    start = 0
    for output in outputs:
        like, step = Like(output), 2 if is_complex(output) else 1
        block = []
        for leaf, row in zip(leaves, rows, strict=True):
            mine = row if len(outputs) == 1 else row[start : start + step * like.size]
            if step == 2:
                mine = _complex_numbers(name, mine, holomorphic=is_complex(leaf))
            block.append(_block(mine, mine, like.shape + Like(leaf).shape, output, leaf))
        start += step * like.size
        blocks.append(block)
    return blocks


def _block(source: Any, entries: Any, shape: tuple[int, ...], output: Any, leaf: Any) -> Any:
    """A Jacobian in its shape and dtype: that of the output, made floating, and complex if the leaf is complex.

    `entries` are those of `source` in the order of the Jacobian.  They are copied unless `source` owns its memory.
    """
    dtype = Like(floating(output)).dtype or np.dtype(type(floating(output)))
    if is_complex(leaf):
        dtype = np.result_type(dtype, np.complex64)
    if isinstance(entries, Tracer):
        traced: Any = np.copy(np.reshape(cast(Any, entries), shape))
        if not shape and traced.is_array:
            traced = traced[()]
        kept = traced.dtype == dtype or (traced.dtype.kind == "c" and dtype.kind != "c")
        return traced if kept else traced.astype(dtype)
    if entries.dtype.kind == "c" and dtype.kind != "c":
        dtype = entries.dtype
    if source.base is None and entries.shape == shape and entries.dtype == dtype:
        return entries
    return np.array(np.reshape(entries, shape), dtype, order="C")[()]


def _complex_numbers(name: str, entries: Any, holomorphic: bool) -> Any:
    """A complex derivative per pair of real ones: what was found along 1 and along i, in turns.

    Of a holomorphic function the second is i times the first, which is checked.  Else it is a - i b: of a real output,
    the gradient convention; of a real input, because Re(i dy) is minus the imaginary part of dy.
    """
    along, across = entries[0::2], entries[1::2]
    if not holomorphic:
        return along - 1j * across
    require_holomorphic(name, along, across)
    return along


def require_holomorphic(name: str, along: Any, across: Any) -> None:
    """Refuse a complex derivative that is not one number: its values in the directions 1 and i must differ by i."""
    if not np.allclose(stop_gradient(across), stop_gradient(1j * along), rtol=1e-6, atol=1e-12, equal_nan=True):
        raise ShapeError(
            f"{name}: a complex function of complex numbers must be holomorphic to have one Jacobian{user_line()}; "
            "differentiate its real and imaginary parts, or use jvp or vjp"
        )


def nest(blocks: list[list[Any]], outputs: Structure, pack: Callable[[Sequence[Any]], Any]) -> Any:
    """Jacobian blocks in nested containers: the output's structure outside, the arguments' inside."""
    return unflatten(outputs, [pack(row) for row in blocks])


def strip(tree: Any, level: Any) -> Any:
    """A container with this level's tracers replaced by their primals (and nothing else changed)."""
    leaves, structure = flatten(tree)
    return unflatten(structure, [primal_of(leaf, level) for leaf in leaves])


def require_numbers(name: str, leaves: Sequence[Any]) -> None:
    """Refuse an output that is no number, array or container of them: a derivative inside it would be lost."""
    for leaf in leaves:
        dtype = getattr(leaf, "dtype", None)
        if not isinstance(leaf, (bool, int, float, complex)) and (dtype is None or dtype.kind not in "biufc"):
            kind = type(leaf).__name__ if dtype is None else f"array of {dtype}"
            raise ShapeError(
                f"{name}: the function returned a {kind}{user_line()}; return numbers or arrays, in nested lists, "
                "tuples, dicts or named tuples (grad and value_and_grad return anything else with has_aux=True)"
            )


def primal_of(leaf: Any, level: Any) -> Any:
    if isinstance(leaf, Tracer) and leaf.level is level:
        return independent(leaf.primal)  # type: ignore[attr-defined]
    return leaf


def independent(value: Any) -> Any:
    """A copy of an array, so that neither it nor what it came from can change the other."""
    if isinstance(value, DuckArray):
        return value.twin()
    return np.array(value) if isinstance(value, np.ndarray) else value


def floating(output: Any) -> Any:
    """An output as the type of its tangent: one that cannot vary may be an integer, its tangent is a float."""
    if output.__class__ is np.float64:
        return output
    like = Like(output)
    if like.dtype is not None and like.dtype.kind not in "fc":
        return np.zeros(like.shape)[()]
    return float(output) if isinstance(output, int) else output


def one_of(leaf: Any) -> Any:
    """The number 1 in the dtype of a scalar leaf."""
    dtype = Like(leaf).dtype
    return 1.0 if dtype is None else np.ones((), dtype) if isinstance(leaf, np.ndarray) else dtype.type(1)


def split_aux(name: str, out: Any, has_aux: bool) -> tuple[Any, Any]:
    """The output and the auxiliary values of a function declared to return them."""
    if not has_aux:
        return out, None
    if not (isinstance(out, tuple) and len(out) == 2):
        raise ShapeError(f"{name}: with has_aux=True the function must return a pair (value, aux){user_line()}")
    return out


def scalar_input(name: str, x: Any) -> None:
    """Refuse an argument of `derivative` that is not one number."""
    shape = Like(x).shape
    if shape != () or isinstance(x, (list, tuple, dict)):
        what = f"shape {shape}" if shape else f"type {type(x).__name__}"
        raise ShapeError(
            f"{name}: the argument has {what}{user_line()}, but a derivative is with respect to one number; use "
            "elementwise_grad for a function applied to each element, or jacobian"
        )


def require_same_shape(name: str, leaves: Sequence[Any], outputs: Sequence[Any] | None = None) -> Any:
    """The one leaf of an elementwise function; an error if there are more, or the output has another shape."""
    if len(leaves) != 1 or (outputs is not None and len(outputs) != 1):
        raise ShapeError(f"{name}: the function must take one array and return one{user_line()}; use jacobian")
    if outputs is not None and Like(outputs[0]).shape != Like(leaves[0]).shape:
        raise ShapeError(
            f"{name}: the output has shape {Like(outputs[0]).shape} but the input {Like(leaves[0]).shape}"
            f"{user_line()}, so the function is not elementwise; use jacobian"
        )
    return leaves[0]


def scattered_powers(shape: tuple[int, ...], dtype: Any) -> Any:
    """A direction of powers of two, no two of which are equal among up to eight elements."""
    size = int(np.prod(shape, dtype=np.int64))
    powers = 2.0 ** (np.random.default_rng(0).permutation(size) % 8)
    return powers.reshape(shape).astype(dtype)[()]


def require_elementwise(name: str, response: Any, derivative: Any, direction: Any) -> None:
    """Refuse a function whose response to a direction of powers of two is not its derivative times that direction.

    For an elementwise function the two are equal to the last bit, since such factors go through it without rounding;
    only subnormal numbers may lose some.
    """
    response, expected = stop_gradient(response), stop_gradient(derivative * direction)
    limits = np.finfo(Like(expected).dtype or np.float64)
    if not np.allclose(response, expected, rtol=2 * limits.eps, atol=1024 * limits.smallest_subnormal, equal_nan=True):
        raise ShapeError(
            f"{name}: the function is not elementwise{user_line()}: its output at one place depends on the input at "
            "another; use jacobian"
        )
