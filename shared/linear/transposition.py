"""The transpose of a linear function, from its program: `linear_transpose`.

The function runs once, on values that record what is done to them (`shared.linear.linearity`).  Read backwards, the
records pull a cotangent of the output through the transposes: reverse mode for maps that need no point (Griewank &
Walther 2008, section 3.2).  Custom derivatives (`shared.linear.custom`) derive a vjp from a jvp by it, and a jvp from a
vjp.  This module knows no derivative and no engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shared.calling.arguments import as_leaf, differentiable, same_structure
from shared.calling.results import require_numbers
from shared.calling.seeds import floating
from shared.calling.tree import flatten, tree_map, unflatten
from shared.core.duck_array import DuckArray
from shared.core.primitive import Like
from shared.core.sweep import Backward
from shared.linear.linearity import CONSTANT, ZERO, LinearValue, Transposition, is_zero


class LinearMap:
    """A linear function of a list of leaves, which may return containers, traced once.

    `leaves` say by their shapes and dtypes what the arguments are; where `varies` is False the argument is zero.
    """

    __slots__ = ("arguments", "count", "nodes", "outputs", "records", "structure")

    def __init__(
        self,
        name: str,
        f: Callable[[list[Any]], Any],
        leaves: Sequence[Any],
        varies: Sequence[bool] | None = None,
        advice: str = "",
    ):
        level = Transposition(name, advice)
        self.arguments = [zero_of(leaf) for leaf in leaves]
        inputs = []
        for k, zero in enumerate(self.arguments):
            index = ZERO
            if varies is None or varies[k]:
                index = level.independent(k)
            inputs.append(LinearValue(level, zero, index))
        try:
            found, self.structure = flatten(f(inputs))
            require_numbers(name, found)
            self.nodes = [_node_of(level, leaf) for leaf in found]
            self.outputs = [
                leaf.primal if isinstance(leaf, LinearValue) and leaf.level is level else zero_of(floating(leaf))
                for leaf in found
            ]
        finally:
            level.closed = True
            level.copies = {}
        self.records, self.count = level.records, level.count

    def transpose(self, cotangents: Sequence[Any]) -> list[Any]:
        """The cotangents of the arguments from those of the outputs (None is zero); None where none arrives."""
        reached: list[Any] = [None] * self.count
        for node, c in zip(self.nodes, cotangents, strict=True):
            if node >= 0 and c is not None:
                reached[node] = c if reached[node] is None else reached[node] + c
        return Backward(None, self.records.copy(), reached, len(self.arguments)).run()


def zero_of(leaf: Any) -> Any:
    """A plain zero like a leaf: a Python number for one that is weakly typed."""
    like, bottom = Like(leaf), leaf
    while isinstance(bottom, DuckArray):
        bottom = bottom.primal
    if isinstance(bottom, (int, float, complex)) and not isinstance(bottom, np.generic):
        return 0j if isinstance(bottom, complex) else 0.0
    return like.zeros() if isinstance(bottom, np.ndarray) or like.shape else like.zeros()[()]


def _node_of(level: Transposition, leaf: Any) -> int:
    """The node of an output, which has to be zero where all arguments are."""
    if isinstance(leaf, LinearValue) and leaf.level is level and leaf.index != CONSTANT:
        if not is_zero(leaf.primal):
            raise level.refusal(
                f"the result is not zero where the arguments are zero, because a constant was assigned into it"
                f"{level.assigned}",
                "leave the constant out: a linear function maps zero to zero; make arrays to be filled with "
                "np.zeros_like",
            )
        return leaf.index
    if not is_zero(leaf):
        raise level.refusal(
            "a constant that is not zero was returned", "return what depends on the arguments, and linearly so"
        )
    return CONSTANT


def linear_transpose(f: Callable[..., Any], *likes: Any) -> Callable[[Any], tuple[Any, ...]]:
    """The transpose of `f`, which must be linear in all its arguments jointly.

    `likes` say by their shapes and dtypes what the arguments of `f` are; they may be nested containers, and their
    values do not matter.  The result takes a cotangent of the output, of its structure, shapes and dtypes, to a tuple
    of cotangents, one an argument: <c, f(t)> = <transpose(c), t> for every t, where <c, t> is the sum of products, and
    of complex numbers its real part, without a conjugate.  An argument that the output does not depend on gets zeros.

    `f` may close over anything, tracers of outer differentiations included: the transpose can be differentiated with
    respect to the cotangent and to what `f` closes over.  `f` runs once, with zeros; what it closes over is copied.

    Cost: one evaluation of `f`; each call of the transpose a small multiple of one.  Raises LinearityError for
    whatever is not linear or not known to be: a nonlinear function, a constant that is added or returned, a branch;
    ShapeError for a cotangent that does not fit.

    >>> A = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> transpose = linear_transpose(lambda x: A @ x, np.zeros(2))
    >>> transpose(np.array([1.0, 0.0, 0.0]))
    (array([1., 2.]),)
    """
    plain = tree_map(lambda like: like.zeros() if isinstance(like, Like) else like, list(likes))
    leaves, structure = flatten(plain)
    leaves = [differentiable(leaf, "linear_transpose", k) for k, leaf in enumerate(leaves)]
    linear = LinearMap("linear_transpose", lambda values: f(*unflatten(structure, values)), leaves)

    def transposed(cotangent: Any) -> tuple[Any, ...]:
        """A tuple of cotangents, one an argument, for a cotangent of the output."""
        seeds = same_structure("linear_transpose", "cotangent", cotangent, linear.structure, linear.outputs)
        found = linear.transpose(seeds)
        return tuple(unflatten(structure, [as_leaf(c, zero) for c, zero in zip(found, linear.arguments, strict=True)]))

    return transposed
