"""Unit directions that know it: batched values each of whose examples has one element that is not zero.

The seeds of a Jacobian are such values, and stay so through elementwise functions; a matrix times them is columns of
that matrix.  While that lasts, K directions of n numbers cost K and not K n, and the first matrix product of a Jacobian
costs nothing.  Anything else sees an ordinary `Batched` value, filled in when it is first asked for.  Where operations
are counted, seeds are ordinary from the start, so a count is of the arithmetic without this short cut.  This module
knows no derivative.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shared.batching.batched import Batch, Batched, new_batched
from shared.core.duck_array import CONSTANT_TYPES
from shared.core.errors import closed
from shared.core.primitive import Primitive

_ndarray = np.ndarray
_allocate: Any = object.__new__


class OneHot(Batched):
    """Example k is zero but for its element number `start + k` in C order, which is `weights[k]`, or 1."""

    __slots__ = ("_dense", "_dtype", "_shape", "start", "weights")
    weights: Any
    start: int
    _dense: Any

    def __init__(self, level: Batch, shape: tuple[int, ...], start: int, dtype: Any, weights: Any = None):
        self.level = level
        self.weights = weights
        self.start = start
        self._shape = shape
        self._dtype = dtype
        self._dense = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self._dtype
        return dtype

    @property
    def is_array(self) -> bool:
        return bool(self._shape)

    @property
    def primal(self) -> Any:
        """All examples as one array."""
        if self._dense is None:
            size: int = self.level.size
            length = math.prod(self._shape)
            dense = np.zeros((size, length), self._dtype)
            # Element start + k of row k: a step of one more than a row is long.
            dense.reshape(-1)[self.start :: length + 1][:size] = 1 if self.weights is None else self.weights
            self._dense = dense.reshape(size, *self._shape) if len(self._shape) != 1 else dense
        return self._dense

    @primal.setter
    def primal(self, value: Any) -> None:
        self._dense = value

    def twin(self) -> Batched:
        return new_batched(self.level, self._dense) if self._dense is not None else self.times(None)

    def times(self, weights: Any) -> OneHot:
        """The same examples, each times its weight; None for a copy."""
        made: OneHot = _allocate(OneHot)
        made.level, made._shape, made.start, made._dense = self.level, self._shape, self.start, None
        if weights is None:
            made.weights, made._dtype = self.weights, self._dtype
        else:
            made.weights = weights if self.weights is None else self.weights * weights
            made._dtype = made.weights.dtype
        return made

    def part(self, array: Any) -> Any:
        """The elements of an array of this shape at which the examples are not zero."""
        return array.reshape(-1)[self.start : self.start + self.level.size]

    # --- what keeps the form ---

    @staticmethod
    def binary(primitive: Primitive, x: Any, y: Any) -> Any:
        if primitive.function is np.multiply:
            if x.__class__ is OneHot and x._dense is None and _scales(x, y):
                return x.times(_factor(x, y))
            if y.__class__ is OneHot and y._dense is None and _scales(y, x):
                return y.times(_factor(y, x))
        return Batched.binary(primitive, x, y)

    def process(self, primitive: Primitive, args: tuple[Any, ...], static: dict[str, Any]) -> Any:
        if primitive.function is np.matmul and self._dense is None and len(self._shape) == 1:
            if self.level.closed:
                raise closed(self)
            first, second = args
            start, stop = self.start, self.start + self.level.size
            found: Any = None
            if second is self and _is_matrix(first) and first.shape[1] == self._shape[0]:
                found = first.T[start:stop]
            elif first is self and _is_matrix(second) and second.shape[0] == self._shape[0]:
                found = second[start:stop]
            if found is not None:
                # A copy, since the matrix is the user's, who may change it.
                if self.weights is not None:
                    found = found * self.weights[:, None]
                else:
                    found = found.astype(np.result_type(found, self._dtype))
                return new_batched(self.level, found)
        return Batched.process(self, primitive, args, static)


def _scales(x: OneHot, factor: Any) -> bool:
    """Whether a product with this constant only changes the weights.

    The zeros are exact: where an infinite slope meets one, the derivative is zero, and not NaN.
    """
    if factor.__class__ not in CONSTANT_TYPES or x.level.closed:
        return False
    if factor.__class__ is _ndarray:
        return (factor.shape == x._shape or not factor.shape) and factor.dtype.kind == "f"
    return True


def _factor(x: OneHot, factor: Any) -> Any:
    """The weights that a constant multiplies by, as an array of their own: the user may change the constant."""
    if factor.__class__ is _ndarray and factor.shape:
        return x.part(factor).astype(np.result_type(factor, x._dtype))
    if x.weights is None:
        return np.full(x.level.size, 1, x._dtype) * factor
    return factor


def _is_matrix(value: Any) -> bool:
    return value.__class__ is _ndarray and value.ndim == 2 and value.dtype.kind == "f"
