"""The diagonal of a Hessian and its trace, the Laplacian, without the rest of it.

Three ways, each of which gives the numbers of the full Hessian's diagonal:

    taylor   the second coefficient along each unit direction, all in one pass (`shared.series.expansion`); of a
             Laplacian their sum alone is carried, to which only the first ones have to be known one by one
             (Li et al. 2024, "forward Laplacian"; Dangel et al. 2025, "Collapsing Taylor mode")
    hvp      products of the Hessian with unit directions, of each of which one entry is kept: forward over the gradient
    sparse   the same with sums of unit directions that no entry of the Hessian connects, which its pattern tells

Counts of each are in docs/recipes.md.  An engine is given (`shared.calling.derived.Operations`); this module knows
none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from shared.batching.batched import Batched
from shared.batching.directions import along_directions, along_vectors
from shared.calling.arguments import Argnums, Selection, refuse_iterators
from shared.calling.derived import Operations
from shared.calling.jacobians import gradient_of
from shared.calling.seeds import is_complex
from shared.calling.transformed import without_value
from shared.core.edges import Like
from shared.core.errors import LeafTypeError, user_line
from shared.core.visible import shown
from shared.series.expansion import Expansion
from shared.sparse.colouring import Colouring, colour
from shared.sparse.pattern import Pattern
from shared.sparse.sparsity import jacobian_pattern

Function = Callable[..., Any]

METHODS = ("taylor", "hvp", "sparse")


def hessian_diagonal(engine: Operations, f: Function, argnums: Argnums, has_aux: bool, method: str) -> Function:
    """The diagonal of the Hessian of a scalar function, in the structure of the arguments."""
    name = "hessian_diagonal"
    _checked_method(name, method)

    def diagonal(*args: Any, **kwargs: Any) -> Any:
        selection = _selected(name, f, args, kwargs, argnums)
        if method == "taylor":
            entries, aux = _second_derivatives(name, selection, has_aux, None, averaged=False)
        else:
            entries, aux = _products(engine, name, selection, argnums, has_aux, method)
        found = selection.pack(gradient_of(entries, selection.leaves))
        return (found, aux) if has_aux else found

    return diagonal


def laplacian(engine: Operations, f: Function, argnums: Argnums, has_aux: bool, method: str) -> Function:
    """The trace of the Hessian of a scalar function, over all elements of the arguments."""
    name = "laplacian"
    _checked_method(name, method)

    def trace(*args: Any, **kwargs: Any) -> Any:
        selection = _selected(name, f, args, kwargs, argnums)
        if method == "hvp":
            entries, aux = _products(engine, name, selection, argnums, has_aux, method)
        else:
            # Along a sum of directions that nothing connects, the second derivative is the sum of those along each.
            colouring = None if method == "taylor" else _unconnected(engine, name, selection, argnums, has_aux)
            entries, aux = _second_derivatives(name, selection, has_aux, colouring, averaged=True)
        found = np.sum(entries)
        return (found, aux) if has_aux else found

    return trace


def _checked_method(name: str, method: str) -> None:
    if method not in METHODS:
        raise ValueError(
            f"{name}: method={shown(method)}{user_line()}, but must be one of {', '.join(map(repr, METHODS))}"
        )


def _selected(name: str, f: Function, args: tuple[Any, ...], kwargs: dict[str, Any], argnums: Argnums) -> Selection:
    refuse_iterators(name, args, kwargs)
    selection = Selection(name, f, args, kwargs, argnums)
    if any(is_complex(leaf) for leaf in selection.leaves):
        raise LeafTypeError(
            f"{name}: a complex number among the arguments{user_line()}; differentiate with respect to its real and "
            "imaginary parts, as numbers of their own"
        )
    return selection


def _averages(seeds: Sequence[Any]) -> Callable[[Any], Any] | None:
    """What takes the average of a coefficient over the directions that these seeds stand for."""
    level = next((seed.level for seed in seeds if isinstance(seed, Batched)), None)
    if level is None:
        return None

    def average(coefficient: Any) -> Any:
        if isinstance(coefficient, Batched) and coefficient.level is level:
            return np.add.reduce(coefficient.primal, axis=0) / level.size
        return coefficient

    return average


def _second_derivatives(
    name: str,
    selection: Selection,
    has_aux: bool,
    colouring: Colouring | None,
    averaged: bool,
) -> tuple[Any, Any]:
    """The second derivatives along all unit directions, or along the groups of a colouring; and aux.

    With `averaged`, each is the average of those which went together.
    """
    aux: list[Any] = []

    def evaluate(seeds: list[Any]) -> list[Any]:
        average = _averages(seeds) if averaged else None
        found = Expansion(name, selection, [[_moving(seed)] for seed in seeds], 2, has_aux, True, average)
        aux[:] = [found.aux] if has_aux else [None]
        return [2.0 * found.higher[0][1]]

    if colouring is None:
        columns = along_directions(name, selection.leaves, evaluate)
    else:
        columns = along_vectors(name, colouring.column_seeds, selection.leaves, evaluate)
    if not columns:  # there is no input
        evaluate([None] * len(selection.leaves))
        columns = [np.zeros(0)]
    return columns[0], aux[0]


def _moving(seed: Any) -> Any:
    """A direction of a leaf; None where it does not move, so that nothing is computed with zeros."""
    plain = seed.__class__ is np.ndarray or isinstance(seed, (float, np.generic))
    return None if plain and not np.any(seed) else seed


def _products(
    engine: Operations, name: str, selection: Selection, argnums: Argnums, has_aux: bool, method: str
) -> tuple[Any, Any]:
    """The diagonal by products of the Hessian with unit directions, or with sums of them; and aux."""
    colouring = None if method == "hvp" else _unconnected(engine, name, selection, argnums, has_aux)
    gradient = _gradient(engine, name, selection.f, argnums, has_aux)
    point = engine.evaluate(name, Selection(name, gradient, selection.args, selection.kwargs, argnums), has_aux)
    try:
        if colouring is None:

            def kept(seeds: list[Any]) -> list[Any]:
                pairs = zip(point.push(seeds), seeds, strict=True)
                return [sum([np.sum(t * s) if Like(t).shape else t * s for t, s in pairs])]

            columns = along_directions(name, selection.leaves, kept)
            entries = columns[0] if columns else np.zeros(0)
        else:
            columns = along_vectors(name, colouring.column_seeds, selection.leaves, point.push)
            entries = _own_entries(columns, colouring, selection.leaves)
        return entries, (point.value.aux if has_aux else None)
    except BaseException:
        point.release()
        raise


def _gradient(engine: Operations, name: str, f: Function, argnums: Argnums, has_aux: bool) -> Function:
    """The gradient, with the signature of the function, by which arguments have names."""
    return wraps(f)(without_value(engine.value_and_grad(name, f, argnums, has_aux), has_aux))


def _own_entries(columns: Sequence[Any], colouring: Colouring, leaves: Sequence[Any]) -> Any:
    """Of the products with each group of directions, the elements that belong to the group."""
    parts, start = [], 0
    for column, leaf in zip(columns, leaves, strict=True):
        size = Like(leaf).size
        colours = colouring.columns[start : start + size]  # type: ignore[index]
        parts.append(np.reshape(column, (-1, size))[colours, np.arange(size)])
        start += size
    return np.concatenate(parts) if parts else np.zeros(0)


def _unconnected(engine: Operations, name: str, selection: Selection, argnums: Argnums, has_aux: bool) -> Colouring:
    """Groups of inputs no two of which an entry of the Hessian connects: a colouring of its graph.

    It is one of the columns of the graph's incidence matrix, which has a row for each of its edges.
    """
    f = selection.f
    if has_aux:
        f = wraps(selection.f)(lambda *args, **kwargs: selection.f(*args, **kwargs)[0])
    gradient = _gradient(engine, name, f, argnums, False)
    pattern = jacobian_pattern(gradient, *selection.args, argnums=argnums, **selection.kwargs).symmetrised()
    upper = pattern.rows <= pattern.columns
    first, second = pattern.rows[upper], pattern.columns[upper]
    count = pattern.shape[1]
    edges = np.arange(len(first))
    # Each input has an edge to itself, so that those without others are in a group, too.
    rows = np.concatenate([edges, edges, len(edges) + np.arange(count)])
    columns = np.concatenate([first, second, np.arange(count)])
    return colour(Pattern(rows, columns, (len(edges) + count, count)), "columns")
