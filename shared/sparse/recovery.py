"""Sparse Jacobians and Hessians from few products: what both engines do with a pattern, its colouring and products.

Columns that share no row are added up in one product with the Jacobian, and each entry is read off the product in
which it stands alone (Curtis, Powell & Reid 1974; Gebremedhin, Manne & Pothen 2005).  How a product is made an engine
says, whose evaluation of the function at a point is given; this module knows none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from shared.batching.batched import Batched
from shared.batching.directions import along_vectors
from shared.calling.arguments import Argnums, Selection
from shared.calling.derived import Evaluation
from shared.calling.seeds import floating, is_complex
from shared.core.duck_array import DuckArray
from shared.core.edges import Like
from shared.core.errors import ImpureFunctionError, LeafTypeError, ShapeError, user_line
from shared.sparse.colouring import Colouring, colour
from shared.sparse.pattern import Pattern, as_pattern, as_sparse, require_complete
from shared.sparse.sparsity import jacobian_pattern

Leaves = list[Any]


def sparse_matrix(
    name: str,
    selection: Selection,
    argnums: Argnums,
    has_aux: bool,
    point: Evaluation,
    pattern: Any,
    by: str,
    report: Callable[[str], Any] | None,
) -> Any:
    """The Jacobian of the selected function as a sparse matrix; with `by="symmetric"` it is a gradient's.

    A pattern or colouring that is given, and not detected, is checked for missing entries by one product more.
    """
    value, push, pull, leaves = point.value, point.push, point.pull, selection.leaves
    if any(is_complex(leaf) for leaf in (*leaves, *value.outputs)):
        raise LeafTypeError(
            f"{name}: a complex number among the arguments or the outputs{user_line()}; differentiate real and "
            "imaginary parts as numbers of their own"
        )
    # An output that cannot vary may be an integer, whose cotangent is a float.
    outputs = [floating(output) for output in value.outputs]
    colouring = _colouring(name, selection, argnums, has_aux, pattern, by, (_size(outputs), _size(leaves)))
    if (colouring.vjps and pull is None) or colouring.symmetric != (by == "symmetric"):
        raise ValueError(
            f"{name}: {colouring!r} takes other products than this{user_line()}; make it by "
            f"colour(pattern, {'symmetric' if by == 'symmetric' else 'columns'!r})"
        )
    if report is not None:
        report(str(colouring))
    # What is given is checked, by one direction more beside the others.
    direction = np.random.default_rng(0).normal(size=(0 if pattern is None else 1, _size(leaves)))
    pushed = _products(name, np.concatenate([colouring.column_seeds, direction]), leaves, push)
    jvps = pushed[: colouring.jvps]
    vjps = _products(name, colouring.row_seeds, outputs, pull) if pull is not None and colouring.vjps else ()
    values = colouring.recover(jvps, vjps)
    if pattern is not None:
        for own, want in _examples(values, pushed[-1]):
            require_complete(name, own, colouring.pattern, direction[0], want)
    found = as_sparse(values, colouring.pattern)
    return (found, value.aux) if has_aux else found


def _colouring(
    name: str,
    selection: Selection,
    argnums: Argnums,
    has_aux: bool,
    given: Any,
    by: str,
    shape: tuple[int, int],
) -> Colouring:
    """The colouring to use: the one given, one of the pattern given, or one of the pattern that is detected."""
    if isinstance(given, Colouring):
        if given.pattern.shape != shape:
            raise ShapeError(
                f"{name}: the colouring is of a matrix of shape {given.pattern.shape}{user_line()}, but the matrix has "
                f"shape {shape}"
            )
        return given
    found: Pattern
    if given is None:
        f = (lambda *args, **kwargs: selection.f(*args, **kwargs)[0]) if has_aux else selection.f
        f = _Named(f, selection.f) if has_aux else f
        found = jacobian_pattern(f, *selection.args, argnums=argnums, **selection.kwargs)
        if found.shape != shape:
            raise ImpureFunctionError(
                f"{name}: the function gave {shape[0]} numbers once and {found.shape[0]} the next time{user_line()}; "
                "it is evaluated several times, and must return the same for the same arguments"
            )
    else:
        found = as_pattern(given, shape)
    return colour(found.symmetrised() if by == "symmetric" else found, by)


class _Named:
    """A function with the signature of another one, by which argument names are resolved."""

    def __init__(self, f: Callable[..., Any], like: Callable[..., Any]):
        self.f = f
        self.__wrapped__ = like

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.f(*args, **kwargs)


def _size(leaves: Sequence[Any]) -> int:
    return sum(Like(leaf).size for leaf in leaves)


def _products(name: str, vectors: np.ndarray, leaves: Sequence[Any], evaluate: Callable[[Leaves], Leaves]) -> Any:
    """The products along the rows of `vectors`, each with all elements of its leaves one after the other."""
    columns = along_vectors(name, vectors, leaves, evaluate)
    if not columns:
        return np.zeros((len(vectors), 0))
    joined = [np.reshape(column, (len(vectors), -1)) for column in columns]
    return np.concatenate(joined, axis=1) if len(joined) > 1 else joined[0]


def _examples(values: Any, product: Any) -> Iterator[tuple[Any, Any]]:
    """The plain arrays that two values stand for: one pair, or one for each example of vmap."""
    values, product = _without_derivatives(values), _without_derivatives(product)
    mapped = values if isinstance(values, Batched) else product
    if not isinstance(mapped, Batched):
        yield values, product
        return
    level = mapped.level
    for k in range(level.size):
        own = [x.primal[k] if isinstance(x, Batched) and x.level is level else x for x in (values, product)]
        yield from _examples(*own)


def _without_derivatives(value: Any) -> Any:
    while isinstance(value, DuckArray) and not isinstance(value, Batched):
        value = value.primal
    return value
