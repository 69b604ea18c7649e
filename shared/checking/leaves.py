"""A function of nested arguments seen as a function of a flat list of named leaves, and its derivatives as
others.

Checking compares numbers leaf by leaf and names them in its messages (`args[0]['w'][1]`).  The derivative of
such a function, by one mode of one engine, is again such a function, of the same leaves and of the seeds
(tangents or cotangents); so whatever checks a first derivative checks those of any order.  This module knows
the interface of an engine and nothing of its workings.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from shared.calling import tree
from shared.calling.arguments import differentiable
from shared.checking.differences import copied, is_inexact, natural_scale
from shared.core.visible import one_line


class Differentiator(Protocol):
    """The part of an engine that checking needs; a module of this interface will do."""

    def jvp(self, f: Callable[..., Any], primals: Any, tangents: Any, /) -> tuple[Any, Any]:
        """The value of f and its derivative along the tangents."""

    def vjp(self, f: Callable[..., Any], /, *primals: Any) -> tuple[Any, Callable[..., Any]]:
        """The value of f and its pullback."""


def name_of(engine: Differentiator) -> str:
    """The name of an engine in messages, on one line: a module's, or the repr of anything else."""
    return one_line(str(getattr(engine, "__name__", repr(engine))))


@dataclass(frozen=True)
class LeafFunction:
    """`call(*leaves)` returns a list of arrays; `names` and `outputs` say what each leaf and each array
    is."""

    call: Callable[..., list[Any]]
    leaves: list[Any]
    names: list[str]
    outputs: list[str]

    def as_one(self, *leaves: Any) -> Any:
        """The function in the form that engines are given: one array alone, or a tuple of several."""
        return pack(self.call(*leaves))

    def fresh(self) -> list[Any]:
        """Copies of the leaves, so that nothing that is called can change them for the next."""
        return [copied(leaf) for leaf in self.leaves]


def pack(values: Sequence[Any]) -> Any:
    """One array alone, or a tuple of several."""
    return values[0] if len(values) == 1 else tuple(values)


def unpack(value: Any, count: int) -> list[Any]:
    """The inverse of `pack`; a value of another number of parts is returned as it is, in a list."""
    return [value] if count == 1 or not isinstance(value, (tuple, list)) else list(value)


def leaf_function(f: Callable[..., Any], args: tuple[Any, ...], argnums: int | Sequence[int] | None) -> LeafFunction:
    """`f` as a function of the leaves of `args` that are differentiated.

    With `argnums=None` those are all real and complex ones.  With argnums, those of the arguments named;
    integers among them are taken as float64, and what has no derivative (bool, str) raises LeafTypeError.
    """
    every, structure = tree.flatten(args)
    names = list(tree.leaf_paths(args, "args"))
    if argnums is None:
        chosen = [k for k, leaf in enumerate(every) if is_inexact(leaf)]
    else:
        numbers = (argnums,) if isinstance(argnums, int) else tuple(argnums)
        if not all(-len(args) <= number < len(args) for number in numbers):
            raise ValueError(f"argnums={argnums!r} is out of range: {len(args)} arguments were given")
        wanted = {number % len(args) for number in numbers}
        owners = [number for number, arg in enumerate(args) for _ in tree.flatten(arg)[0]]
        chosen = [k for k, owner in enumerate(owners) if owner in wanted]
    if not chosen:
        raise ValueError("no argument is a real or complex number or array; pass floats, or name integers in argnums")
    leaves = [differentiable(every[k], names[k]) for k in chosen]
    for k, leaf in zip(chosen, leaves, strict=True):
        every[k] = leaf
    results, out_structure = tree.flatten(f(*tree.unflatten(structure, [copied(leaf) for leaf in every])))
    kept = [k for k, result in enumerate(results) if is_inexact(result)]
    if not kept:
        raise ValueError("f returns no real or complex number or array, so there is nothing to differentiate")
    out_names = list(tree.leaf_paths(tree.unflatten(out_structure, results), "output"))

    def call(*values: Any) -> list[Any]:
        replaced = [copied(leaf) for leaf in every]
        for k, value in zip(chosen, values, strict=True):
            replaced[k] = value
        found = tree.flatten(f(*tree.unflatten(structure, replaced)))[0]
        return [found[k] for k in kept]

    return LeafFunction(call, leaves, [names[k] for k in chosen], [out_names[k] for k in kept])


def derivative_function(
    engine: Differentiator, mode: str, function: LeafFunction, rng: np.random.Generator
) -> LeafFunction:
    """The derivative of `function` by one mode of one engine, as a function of the leaves and of the
    seeds."""
    count = len(function.leaves)
    if mode == "jvp":
        seeds, kind, seeded, results = (
            random_tangents(function.leaves, rng),
            "tangent",
            function.names,
            function.outputs,
        )
    else:
        outputs = function.call(*function.fresh())
        seeds, kind, seeded, results = (
            random_cotangents(outputs, rng),
            "cotangent",
            function.outputs,
            function.names,
        )

    def call(*values: Any) -> list[Any]:
        primals, given = values[:count], values[count:]
        if mode == "jvp":
            return unpack(engine.jvp(function.as_one, primals, given)[1], len(results))
        return list(engine.vjp(function.as_one, *primals)[1](pack(given)))

    return LeafFunction(
        call,
        [*function.leaves, *seeds],
        [*function.names, *[f"the {kind} of {name}" for name in seeded]],
        [f"the {kind} of {name}" for name in results],
    )


def random_tangents(leaves: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    """A direction in which every element changes in proportion to its own size, so that none hides the
    others."""
    return [like_leaf(leaf, natural_scale(leaf) * _signs(np.shape(leaf), leaf, rng)) for leaf in leaves]


def random_cotangents(outputs: Sequence[Any], rng: np.random.Generator) -> list[Any]:
    """Weights of the output's elements that make each array of the output count alike."""
    weights = []
    for output in outputs:
        largest = float(np.abs(np.asarray(output)).max(initial=0.0))
        scale = 2.0 ** -np.clip(np.round(np.log2(largest)), -20, 20) if largest > 0 else 1.0
        weights.append(like_leaf(output, scale * _signs(np.shape(output), output, rng)))
    return weights


def _signs(shape: tuple[int, ...], leaf: Any, rng: np.random.Generator) -> Any:
    """Random numbers away from zero: of either sign, or of any phase where the leaf is complex."""
    size = rng.uniform(0.5, 1.5, shape)
    if np.asarray(leaf).dtype.kind == "c":
        return size * np.exp(2j * np.pi * rng.random(shape))
    return size * rng.choice([-1.0, 1.0], shape)


def like_leaf(leaf: Any, values: Any) -> Any:
    """Values of the kind (Python number, NumPy scalar, array) and dtype of a leaf."""
    if isinstance(leaf, np.generic):
        return leaf.dtype.type(values)
    if isinstance(leaf, (float, complex)):
        return type(leaf)(values)
    return np.asarray(values).astype(leaf.dtype)
