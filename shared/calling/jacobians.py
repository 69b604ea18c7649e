"""Derivatives put together from directions: gradients from their entries, Jacobians from their columns or rows.

It computes with NumPy functions that accept tracers, so that a Jacobian can itself be differentiated; it knows nothing
of how a direction is obtained.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from shared.calling.arguments import as_leaf
from shared.calling.results import stop_gradient
from shared.calling.seeds import floating, is_complex
from shared.calling.tree import Structure, unflatten
from shared.core.edges import Like
from shared.core.errors import ShapeError, user_line
from shared.core.levels import Tracer


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


def complex_derivative(name: str, along: Any, across: Any) -> Any:
    """The derivative of one output by a complex number, from those along 1 and along i, as a Jacobian has it."""
    if not is_complex(along) and not is_complex(across):
        return along - 1j * across
    require_holomorphic(name, along, across)
    return along


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
