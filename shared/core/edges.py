"""Edges: the linear maps that derivatives are made of, and broadcasting undone.

With respect to one argument the derivative of an operation is a linear map; an `Edge` is that map: `push` applies it to
a tangent (forward mode), `pull` applies its transpose to a cotangent (reverse mode), and both read the same few values
`kept` from the evaluation.  This module knows neither operations (`shared.core.primitive`), nor calculus, nor engines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

from shared.core.described import is_weak

Function = Callable[..., Any]

#: Position of a primitive's output among the values that a rule may name; arguments have positions 0, 1, 2, ...
OUT = -1

#: What an edge keeps that needs every argument: their values, a `Like` in place of its own, and the keywords.
EVERYTHING = ("everything",)

#: A cotangent of one number may be a Python number; rules that move elements need NumPy's attributes of it.
PYTHON_NUMBERS = frozenset((int, float, complex, bool))


class Like:
    """Shape and dtype of a value that is not kept.  `dtype` is None for a Python scalar, which is weakly typed.

    >>> Like(np.ones((2, 3), np.float32))
    Like((2, 3), float32)
    """

    __slots__ = ("dtype", "is_complex", "shape")

    def __init__(self, value: Any):
        try:
            self.shape: tuple[int, ...] = value.shape
            self.dtype: np.dtype[Any] | None = value.dtype
        except AttributeError:
            # A Python number has neither: it has no axes, and takes the dtype of whatever it meets.
            self.shape, self.dtype = (), None
            #: set of a Python number only
            self.is_complex = isinstance(value, complex)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def zeros(self) -> np.ndarray:
        """A fresh array of zeros of this shape and dtype."""
        return np.zeros(self.shape, np.float64 if self.dtype is None else self.dtype)

    def __repr__(self) -> str:
        return f"Like({self.shape}, {self.dtype or 'weak'})"


class Edge:
    """The linear map that a primitive is with respect to one argument.

    `keep` says which values the map needs: None, one position (`OUT` or an argument's), a tuple of them, or EVERYTHING.
    `pull(cotangent, kept)` is the transpose, `push(tangent, kept)` the map.  `fitted` is the same edge for an argument
    that was broadcast or promoted: its `kept` is (Like of the argument, kept, Like of the output).

    Where `pull` or `push` is None, a sweep (`shared.core.sweep`) leaves it to `backward` or `forward`.  Those of a
    primitive whose transpose is given in accumulating form, `accumulate(accumulator, cotangent, kept)`, add in place,
    which costs the size of the cotangent and not that of the argument; the few records that are no operations (an
    independent variable, an assignment) have their own.
    """

    __slots__ = ("accumulate", "fitted", "keep", "owner", "pull", "push")

    #: whether a sweep backwards comes to it even if no cotangent does
    always = False

    def __init__(
        self,
        keep: Any,
        pull: Function | None,
        push: Function | None,
        accumulate: Function | None = None,
    ):
        self.keep = keep
        self.pull = pull
        self.push = push
        self.accumulate = accumulate
        self.fitted: Edge | None = None
        #: the name of the primitive that it belongs to, and of which argument, for people who look at records
        self.owner: tuple[str, int | str] | None = None

    def __repr__(self) -> str:
        if self.owner is None:
            return f"<edge {type(self).__name__.strip('_')}>"
        name, k = self.owner
        return f"<edge of {name}, {k if isinstance(k, str) else f'argument {k}'}>"

    def backward(self, sweep: Any, cotangent: Any, kept: Any, parent: int) -> None:
        """Pass a cotangent on to the node `parent` of a sweep backwards."""
        assert self.accumulate is not None
        accumulator = sweep.accumulator(parent, kept[0])
        sweep.cotangents[parent] = self.accumulate(accumulator, cotangent, kept)
        sweep.owned.add(parent)

    def forward(self, sweep: Any, node: int, kept: Any, parent: int, position: int) -> None:
        """Pass the tangent of the node `parent` on to `node`, where `position` is that of this record."""
        raise NotImplementedError


def fit(cotangent: Any, like: Like) -> Any:
    """Undo broadcasting and promotion: sum `cotangent` to the shape of `like`, and return it in its dtype.

    This is the only place that does so (the transpose of NumPy's broadcasting is a sum over the stretched axes; of a
    promotion from real to complex, the real part).

    >>> fit(np.ones((4, 3)), Like(np.ones((3, ), np.float32)))
    array([4., 4., 4.], dtype=float32)
    """
    shape = like.shape
    if cotangent.__class__ in PYTHON_NUMBERS:
        cotangent = np.asarray(cotangent)[()]
    if cotangent.shape != shape:
        extra = cotangent.ndim - len(shape)
        if extra == 1 and cotangent.__class__ is np.ndarray and len(cotangent) == 1:
            cotangent = cotangent[0]  # a sum of one
        elif extra > 0:
            cotangent = np.add.reduce(cotangent, axis=0 if extra == 1 else tuple(range(extra)))
        if cotangent.shape != shape:
            given = cotangent.shape
            stretched = tuple([k for k, n in enumerate(shape) if n == 1 and given[k] != 1])
            cotangent = np.add.reduce(cotangent, axis=stretched, keepdims=True)
    dtype = like.dtype
    if dtype is None:
        return cotangent.real if cotangent.dtype.kind == "c" and not like.is_complex else cotangent
    found = cotangent.dtype
    if found is not dtype and found != dtype:
        if found.kind == "c" and dtype.kind != "c":
            cotangent = np.real(cotangent)
        cotangent = cotangent.astype(dtype)
    return cotangent


def differs(value: Any, out: Any) -> bool:
    """Whether an argument was broadcast or promoted on its way to `out`, so that its cotangent has to be fitted."""
    if getattr(value, "shape", ()) != getattr(out, "shape", ()):
        return True
    dtype, promoted = getattr(value, "dtype", None), getattr(out, "dtype", None)
    if promoted is None:
        return bool(np.iscomplexobj(out) and not np.iscomplexobj(value))
    # A Python number is weak: its tangent takes the precision of whatever it meets, and that of NumPy's does not.
    return dtype is None or bool(dtype != promoted) or (is_weak(value) and not is_weak(out))


def stretch(tangent: Any, like: Like) -> Any:
    """Broadcast and promote `tangent` to the shape and dtype of `like`: what `fit` is the transpose of."""
    if getattr(tangent, "shape", ()) != like.shape:
        tangent = np.broadcast_to(tangent, like.shape)
    if like.dtype is not None and (getattr(tangent, "dtype", bool) != like.dtype or is_weak(tangent)):
        tangent = tangent.astype(like.dtype) if hasattr(tangent, "astype") else like.dtype.type(tangent)
    return tangent


def fitted(edge: Edge) -> Edge:
    pull, push = edge.pull, edge.push
    assert pull is not None and push is not None
    twin = Edge(
        edge.keep,
        lambda c, kept: fit(pull(c, kept[1]), kept[0]),
        lambda t, kept: stretch(push(t, kept[1]), kept[2]),
    )
    twin.fitted = twin
    return twin


_DOUBLE = Like(np.float64(0.0))


@cache
def strengthened(edge: Edge | None) -> Any:
    """The same map of a Python float, where the result is one of NumPy's doubles: its tangent has to be one, too.

    A cotangent of such a result is a double already, and one of a Python number may be of any kind.
    """
    push = None if edge is None else edge.push
    if edge is None or push is None:
        return edge

    def double(t: Any, kept: Any) -> Any:
        found = push(t, kept)
        return stretch(found, _DOUBLE) if is_weak(found) else found

    made = Edge(edge.keep, edge.pull, double, edge.accumulate)
    made.owner = edge.owner
    return made


def as_met(edge: Edge, kept: Any, value: Any, out: Any) -> tuple[Any, Any]:
    """The map of an argument as the operation met it, and what it keeps: with what undoes broadcasting and promotion.

    What a Python number is promoted to decides what its tangent becomes.
    """
    if value.__class__ is float and out.__class__ is np.float64:
        return strengthened(edge), kept
    if differs(value, out):
        return edge.fitted, (Like(value), kept, Like(out))
    return edge, kept
