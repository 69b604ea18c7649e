"""Other arguments for a program: near its own, far from them, at kinks, of other shapes, other integers.

This module draws numbers, and knows nothing of what they are given to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fuzz.programs import Program, is_inexact
from shared.calling.tree import tree_map

#: Where functions have their kinks, and numbers that are equal to one another
KINKS = (0.0, -0.0, 1.0, -1.0, 0.5, 0.5, 2.0)
#: What NumPy computes with no less; but where numbers are huge, rounding decides on a sine
EXTREMES = (0.0, -0.0, 1.0, np.inf, -np.inf, np.nan, 1e-300, 5e-324)


def _mapped(program: Program, change: Callable[[np.ndarray], Any]) -> tuple[Any, ...]:
    """The arguments with the numbers of every one that varies changed; kinds and dtypes stay."""

    def of_leaf(leaf: Any) -> Any:
        if not is_inexact(leaf):
            return leaf
        values = np.asarray(leaf)
        with np.errstate(all="ignore"):
            made = np.asarray(change(values)).astype(values.dtype)
        if isinstance(leaf, np.ndarray):
            return made
        return made[()] if isinstance(leaf, np.generic) else type(leaf)(made)

    return tuple(tree_map(of_leaf, value) for value in program.values())


def near(program: Program, factor: float = 1.0078125) -> tuple[Any, ...]:
    return _mapped(program, lambda values: values * factor)


def far(program: Program, seed: int) -> tuple[Any, ...]:
    """Other numbers of both signs, so that branches go another way."""
    random = np.random.default_rng(seed)
    return _mapped(program, lambda values: values * random.uniform(-1.5, 1.5, values.shape))


def among(program: Program, numbers: tuple[float, ...], seed: int) -> tuple[Any, ...]:
    """Some numbers of each argument replaced by special ones."""
    random = np.random.default_rng(seed)

    def change(values: np.ndarray) -> Any:
        return np.where(random.random(values.shape) < 0.6, random.choice(numbers, values.shape), values)

    return _mapped(program, change)


def other_integers(program: Program) -> Iterator[tuple[Any, ...]]:
    """The arguments with each integer changed."""
    for name, value in program.arguments.items():
        if isinstance(value, int):
            for other in {0, 1, 2, 3} - {value}:
                yield program.with_arguments(
                    [other if key == name else part for key, part in program.arguments.items()]
                ).values()


def enlarged(program: Program) -> tuple[Any, ...]:
    """The arguments with one more element along each axis that has two or more; dtypes and containers stay."""

    def of_leaf(leaf: Any) -> Any:
        if not isinstance(leaf, np.ndarray) or not leaf.ndim:
            return leaf
        return np.pad(leaf, [(0, 1 if n > 1 else 0) for n in leaf.shape], "reflect") * 0.875

    return tuple(tree_map(of_leaf, value) for value in program.values())


def in_other_layouts(program: Program) -> Iterator[tuple[Any, ...]]:
    """The same numbers, by columns and backwards in memory."""

    def layouts(change: Callable[[np.ndarray], np.ndarray]) -> tuple[Any, ...]:
        return tuple(
            tree_map(lambda leaf: change(leaf) if isinstance(leaf, np.ndarray) and leaf.ndim else leaf, value)
            for value in program.values()
        )

    yield layouts(np.asfortranarray)
    yield layouts(lambda leaf: leaf[..., ::-1].copy()[..., ::-1])
