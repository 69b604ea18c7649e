"""Which primitives return an array of their own, and which a view of the first operand: one table for all who ask.

`primitive.memory` is one of three:

- "fresh": the result never shares memory with an operand;
- "view": it lies in the memory of the first operand wherever NumPy can let it: an index of slices and integers (see
  `is_basic`), a reshape of contiguous memory, the imaginary part of complex numbers; elsewhere it is fresh;
- "may share": either, or nobody has said.  It is what a primitive of a user's own has, unless they set it.

This module knows nothing of programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from shared.core.primitive import Primitive
from shared.core.registry import REGISTRY
from shared.rules import elementwise, indexing, linear_algebra, products, reductions, shapes, special

Memory = Literal["fresh", "view", "may share"]


def shares(memory: Memory, *primitives: Any) -> None:
    """Declare how results lie in memory, of primitives given as such or as the functions the registry knows them by."""
    for given in primitives:
        primitive = given if isinstance(given, Primitive) else REGISTRY[given]
        assert isinstance(primitive, Primitive)
        primitive.memory = memory


def is_view(primitive: Any, operands: Sequence[Any]) -> bool:
    """Whether one evaluation of a primitive returns a view; memory to be reshaped is taken for contiguous.

    `operands` are arrays, or literals and types, as counts are given them.

    >>> x = np.ones(3)
    >>> is_view(indexing.GETITEM, (x, slice(1))), is_view(indexing.GETITEM, (x, np.array([1])))
    (True, False)
    """
    if primitive.memory != "view":
        return False
    if primitive is indexing.GETITEM:
        return is_basic(operands[1:])
    return primitive.function is not np.imag or operands[0].dtype.kind == "c"


def is_basic(parts: Sequence[Any]) -> bool:
    """Whether an index of these parts selects a view: of integers, slices, None and the ellipsis.

    >>> is_basic((0, slice(1, None), None)), is_basic((np.array([0, 1]),)), is_basic((True,))
    (True, False, False)
    """
    return all(
        (isinstance(part, (int, np.integer, slice, type(None), type(Ellipsis))) and part.__class__ is not bool)
        for part in parts
    )


# --- the table; ufuncs are fresh by themselves ------------------------------------------------------------------------

shares("view", indexing.GETITEM, shapes.RESHAPE, shapes.TRANSPOSE, np.broadcast_to, np.diagonal)
shares("view", elementwise.REAL, np.imag)
# np.einsum("ij->ji", x) is a view, and "ij->i" is not.
shares("may share", products.EINSUM)

shares(
    "fresh",
    elementwise.ADD, elementwise.SUBTRACT, elementwise.MULTIPLY, elementwise.DIVIDE, elementwise.POWER,
    elementwise.MODULO, elementwise.NEGATIVE, elementwise.POSITIVE, elementwise.ABSOLUTE, elementwise.INVERT,
    *elementwise.CONSTANT_OPERATORS.values(), *elementwise.LOGICAL_OPERATORS.values(), elementwise.SIGN,
    np.round, np.isclose, np.isposinf, np.isneginf, np.iscomplex, np.isreal, np.sinc,
)  # fmt: skip
shares(
    "fresh",
    special.SIGMOID, special.RELU, special.SOFTPLUS, special.SOFTSIGN, special.SPHERICAL_BESSEL, special.LOGSUMEXP,
    special.LOG_SOFTMAX, special.STOP_GRADIENT,
)  # fmt: skip
shares(
    "fresh",
    shapes.COPY, shapes.COPY_C, shapes.PAD, shapes.CONCATENATE, shapes.ASTYPE, shapes.CONVERT,
    np.roll, np.where, *shapes.QUESTIONS,
)  # fmt: skip
shares(
    "fresh",
    reductions.SUM, np.mean, np.prod, np.max, np.min, np.cumsum, reductions.CUMPROD, *reductions.RUNNING_EXTREMA,
    reductions.norm_sqrt, np.any, np.all, np.count_nonzero, np.argmax, np.argmin, np.argsort, np.searchsorted,
    np.nonzero, np.flatnonzero, np.argwhere, np.array_equal, np.array_equiv, np.allclose,
)  # fmt: skip
shares("fresh", products.MATMUL, products.CONVOLVE, np.fft.fft, np.fft.ifft, np.fft.rfft, np.fft.irfft)
shares(
    "fresh",
    np.linalg.inv, np.linalg.solve, np.linalg.det, np.linalg.matrix_rank, linear_algebra.LOGABSDET,
    linear_algebra.SIGN_OF_DETERMINANT, linear_algebra.CHOLESKY, linear_algebra.LEFT_VECTORS,
    linear_algebra.SINGULAR_VALUES, linear_algebra.RIGHT_VECTORS,
)  # fmt: skip
