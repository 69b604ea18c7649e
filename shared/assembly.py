"""Derivatives put together from directions: basis seeds, and matrices and gradients stacked from their columns or rows.

It computes with NumPy functions that accept tracers, so that a Jacobian can itself be differentiated; it knows nothing
of how a direction is obtained.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

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


def one_hot(leaf: Any, position: int, unit: complex = 1) -> Any:
    """The basis vector of a leaf's space that is `unit` at a flat position, as a fresh value of the leaf's type."""
    seed = zero_like(leaf)
    if not isinstance(seed, np.ndarray):
        return seed + unit
    seed.flat[position] = unit
    return seed


def basis(leaves: Sequence[Any], real: bool = False) -> Iterator[list[Any]]:
    """The unit directions of the space of all leaves, each a list of seeds, one a leaf.

    With `real=True` the space is taken over the reals, in which a complex number has two directions, 1 and i.
    """
    for k, leaf in enumerate(leaves):
        units = (1, 1j) if real and is_complex(leaf) else (1,)
        for position in range(Like(leaf).size):
            for unit in units:
                yield [one_hot(other, position, unit) if j == k else zero_like(other) for j, other in enumerate(leaves)]


def is_complex(leaf: Any) -> bool:
    dtype = Like(leaf).dtype
    return isinstance(leaf, complex) if dtype is None else dtype.kind == "c"


def seeded(value: Any, seed: Any) -> Any:
    """A plain seed of a traced value, at the levels that count what is done to it."""
    return value.seed(seed) if isinstance(value, DuckArray) and not isinstance(seed, DuckArray) else seed


def stack(entries: Sequence[Any], shape: tuple[int, ...], leaf: Any) -> Any:
    """Scalars or arrays stacked along a new last axis, then given `shape`; traced if any entry is."""
    dtype = Like(leaf).dtype
    if any(isinstance(entry, Tracer) for entry in entries):
        return np.reshape(np.stack(entries, axis=-1), shape)
    if not entries:
        return np.zeros(shape, dtype)
    stacked = np.stack([np.asarray(entry) for entry in entries], axis=-1).reshape(shape)
    if dtype is not None and stacked.dtype != dtype and not (stacked.dtype.kind == "c" and dtype.kind != "c"):
        stacked = stacked.astype(dtype)
    return stacked if shape else stacked[()]


def gradient_of(entries: Sequence[Any], leaves: Sequence[Any]) -> list[Any]:
    """The gradient per leaf from one number per real unit direction.

    Of a complex leaf it is g with Re(g t) the derivative in every direction t: df/da - i df/db for a + i b.
    """
    gradients, start = [], 0
    for leaf in leaves:
        like = Like(leaf)
        if is_complex(leaf):
            pairs = entries[start : start + 2 * like.size]
            start += 2 * like.size
            mine = [a - 1j * b for a, b in zip(pairs[::2], pairs[1::2], strict=True)]
        else:
            mine = list(entries[start : start + like.size])
            start += like.size
        gradients.append(as_leaf(stack(mine, like.shape, leaf) if like.shape else mine[0], leaf))
    return gradients


def matrices_of(
    name: str, columns: Sequence[Sequence[Any]], outputs: Sequence[Any], leaves: Sequence[Any]
) -> list[list[Any]]:
    """Jacobians [output][leaf] of shape output.shape + leaf.shape, from the output tangents per real unit direction."""
    blocks: list[list[Any]] = []
    for k, output in enumerate(outputs):
        row, start = [], 0
        for leaf in leaves:
            like, step = Like(leaf), 2 if is_complex(leaf) else 1
            mine = [column[k] for column in columns[start : start + step * like.size]]
            start += step * like.size
            if step == 2:
                mine = _complex_numbers(name, mine, holomorphic=is_complex(output))
            row.append(stack(mine, Like(output).shape + like.shape, _jacobian_type(output, leaf)))
        blocks.append(row)
    return blocks


def matrices_of_rows(
    name: str, rows: Sequence[Sequence[Any]], outputs: Sequence[Any], leaves: Sequence[Any]
) -> list[list[Any]]:
    """Jacobians [output][leaf] of shape output.shape + leaf.shape, from the leaf cotangents per real unit seed."""
    blocks: list[list[Any]] = []
    start = 0
    for output in outputs:
        like, step = Like(output), 2 if is_complex(output) else 1
        mine = rows[start : start + step * like.size]
        start += step * like.size
        block = []
        for k, leaf in enumerate(leaves):
            entries = [row[k] for row in mine]
            if step == 2:
                entries = _complex_numbers(name, entries, holomorphic=is_complex(leaf))
            shape = Like(leaf).shape
            last = stack(entries, (*shape, like.size), _jacobian_type(output, leaf))
            block.append(np.reshape(np.moveaxis(last, -1, 0), like.shape + shape) if like.shape or shape else last[0])
        blocks.append(block)
    return blocks


def _complex_numbers(name: str, entries: Sequence[Any], holomorphic: bool) -> list[Any]:
    """A complex derivative per pair of real ones: what was found along 1 and along i, in turns.

    Of a holomorphic function the second is i times the first, which is checked.  Else it is a - i b: of a real output,
    the gradient convention; of a real input, because Re(i dy) is minus the imaginary part of dy.
    """
    along, across = list(entries[::2]), list(entries[1::2])
    if not holomorphic:
        return [a - 1j * b for a, b in zip(along, across, strict=True)]
    for a, b in zip(along, across, strict=True):
        require_holomorphic(name, a, b)
    return along


def _jacobian_type(output: Any, leaf: Any) -> Any:
    """A value of the dtype of a Jacobian block: the output's, made floating, and complex if the leaf is complex."""
    dtype = Like(floating(output)).dtype or np.dtype(type(floating(output)))
    return np.zeros((), np.result_type(dtype, np.complex64) if is_complex(leaf) else dtype)


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
