"""Containers of numbers and arrays as one vector and back, and what this room knows of the levels in them.

Solvers of linear equations and of SciPy want the unknowns as one vector.  This module knows no equation and no
derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.calling.arguments import in_dtype_of
from shared.calling.seeds import has_derivative, is_complex
from shared.calling.tree import LEAF, flatten, tree_map, unflatten
from shared.core.edges import Like
from shared.core.errors import LeafTypeError, RegistrationError, ShapeError, TracerConversionError, user_line
from shared.linear.custom import levels_of


def packed(tree: Any) -> Any:
    """All numbers of a container as one vector, in the order of `flatten`.

    >>> packed({"b": 3.0, "a": np.array([[1.0], [2.0]])})
    array([1., 2., 3.])
    """
    leaves = [leaf if np.ndim(leaf) == 1 else np.ravel(leaf) for leaf in flatten(tree)[0]]
    return leaves[0] if len(leaves) == 1 else np.concatenate(leaves) if leaves else np.zeros(0)


def unpacked(vector: Any, like: Any) -> Any:
    """A vector as the container `like`, of its shapes and dtypes.

    >>> unpacked(np.array([1.0, 2.0, 3.0]), [np.zeros((1, 2)), 0.0])
    [array([[1., 2.]]), 3.0]
    """
    leaves, structure = flatten(like)
    parts, start = [], 0
    for leaf in leaves:
        shape = Like(leaf).shape
        stop = start + int(np.prod(shape))
        part = vector if len(leaves) == 1 else vector[start:stop]
        if len(shape) != 1:
            # A number for a number: not an array without axes.
            part = np.reshape(part, shape) if shape else part[0]
        parts.append(in_dtype_of(part, leaf))
        start = stop
    return unflatten(structure, parts)


def packed_like(name: str, found: Any, like: Any) -> Any:
    """What a function of `like` returned, which has to be like it, as one vector.

    A list of numbers may stand for a vector.

    >>> packed_like("f", [1.0, 2.0], np.zeros(2))
    array([1., 2.])
    """
    structure, expected = flatten(found)[1], flatten(like)[1]
    vector, size = packed(found), sum(int(np.prod(Like(leaf).shape)) for leaf in flatten(like)[0])
    if (structure != expected and expected is not LEAF) or np.size(vector) != size:
        raise ShapeError(
            f"{name} returned {np.size(vector)} numbers in the structure {structure}{user_line()} for {size} in "
            f"{expected}; they have to be alike"
        )
    return vector


class Varying:
    """The real and complex numbers and arrays within some arguments, apart from what has no derivative.

    `leaves` are these, and `put(leaves)` gives all arguments again, with others in their place.
    """

    __slots__ = ("_all", "_structure", "_where", "leaves")

    def __init__(self, arguments: Any):
        self._all, self._structure = flatten(arguments)
        self._where = [k for k, leaf in enumerate(self._all) if has_derivative(leaf)]
        self.leaves = [self._all[k] for k in self._where]

    def put(self, leaves: Sequence[Any]) -> Any:
        filled = list(self._all)
        for k, leaf in zip(self._where, leaves, strict=True):
            filled[k] = leaf
        return unflatten(self._structure, filled)

    def cotangents(self, found: Sequence[Any]) -> Any:
        """Cotangents of the leaves as those of the arguments, with None for what has no derivative."""
        spread: list[Any] = [None] * len(self._all)
        for k, leaf in zip(self._where, found, strict=True):
            spread[k] = leaf
        return unflatten(self._structure, spread)


def filled(tangent: Any, like: Any) -> Any:
    """A tangent as a rule gets it, with zeros for the numbers in `like` that have none, such as integers.

    >>> filled([None, 1.0], [2, 3.0])
    [array(0.), 1.0]
    """
    given, (leaves, structure) = iter(flatten(tangent)[0]), flatten(like)
    return unflatten(structure, [next(given) if has_derivative(leaf) else np.zeros(np.shape(leaf)) for leaf in leaves])


def state_at(states: Any, k: int) -> Any:
    """The state at time k."""
    return tree_map(lambda leaf: leaf[k], states)


def states_of(rows: Any, like: Any) -> Any:
    """States like `like` along a new first axis, from vectors in rows."""
    leaves, structure = flatten(like)
    ends = np.cumsum([0, *(np.size(leaf) for leaf in leaves)])
    parts = [
        np.reshape(rows[:, start:stop], (len(rows), *np.shape(leaf)))
        for leaf, start, stop in zip(leaves, ends[:-1], ends[1:], strict=True)
    ]
    return unflatten(structure, parts)


def rows_of(states: Any) -> Any:
    """States along the first axis as vectors in rows."""
    return np.concatenate([np.reshape(leaf, (len(leaf), -1)) for leaf in flatten(states)[0]], axis=1)


def require_count(name: str, what: str, count: Any) -> None:
    """Refuse a number of steps that is none."""
    if not isinstance(count, (int, np.integer)) or count < 1:
        raise RegistrationError(f"{name}: {what}={count!r}{user_line()}, but it has to be an integer of 1 or more")


def require_engine(name: str, engine: Any) -> None:
    """Refuse what does not differentiate."""
    if not all(callable(getattr(engine, part, None)) for part in ("jvp", "vjp", "jacobian", "grad")):
        raise RegistrationError(f"{name}: {engine!r}{user_line()} is no engine; give dualad or reversead, as modules")


def require_real(name: str, tree: Any) -> None:
    """Refuse unknowns that are complex: the derivative of an equation need not be linear over the complex numbers."""
    if any(is_complex(leaf) for leaf in flatten(tree)[0]):
        raise LeafTypeError(
            f"{name}: the unknowns are complex{user_line()}; take their real and imaginary parts as two unknowns, and "
            "return both parts of the equation"
        )


def require_passed(name: str, found: Any, given: Any) -> None:
    """Refuse values of a level that is not among those of the arguments: what was closed over has no derivative."""
    traced = [level for leaf in flatten(found)[0] for level in levels_of(leaf)]
    if traced:
        known = {level.number for leaf in flatten(given)[0] for level in levels_of(leaf)}
        for level in traced:
            if level.number not in known:
                raise TracerConversionError(
                    f"{name} closes over a value that {level.transform} traces{user_line()}, and its derivative would "
                    "be lost; pass it as a parameter"
                )
