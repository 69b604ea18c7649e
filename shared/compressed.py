"""Sparse Jacobians and Hessians from few products: what both engines do with a pattern, its colouring and products.

Columns that share no row are added up in one product with the Jacobian, and each entry is read off the product in
which it stands alone (Curtis, Powell & Reid 1974; Gebremedhin, Manne & Pothen 2005).  How a product is made an engine
says; this module knows none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shared.assembly import floating, is_complex
from shared.colouring import Colouring, colour
from shared.directions import along_vectors
from shared.errors import LeafTypeError, ShapeError, user_line
from shared.pattern import Pattern, as_pattern, as_sparse, require_complete
from shared.primitive import Like

Products = Callable[[list[Any]], list[Any]]


def chosen_colouring(
    name: str, given: Any, detect: Callable[[], Pattern], by: str, shape: tuple[int, int]
) -> Colouring:
    """The colouring to use: the one given, one of the pattern given, or one of the pattern that `detect` finds."""
    if isinstance(given, Colouring):
        if given.pattern.shape != shape:
            raise ShapeError(
                f"{name}: the colouring is of a matrix of shape {given.pattern.shape}{user_line()}, but the matrix has "
                f"shape {shape}"
            )
        return given
    found = detect() if given is None else as_pattern(given, shape)
    return colour(found.symmetrised() if by == "symmetric" else found, by)


def require_real(name: str, leaves: Sequence[Any]) -> None:
    """Refuse complex numbers, each of which is two directions but one column of a pattern."""
    if any(is_complex(leaf) for leaf in leaves):
        raise LeafTypeError(
            f"{name}: a complex number among the arguments or the outputs{user_line()}; differentiate real and "
            "imaginary parts as numbers of their own"
        )


def number_of(leaves: Sequence[Any]) -> int:
    """How many numbers some leaves hold together."""
    return sum(Like(leaf).size for leaf in leaves)


def compressed(
    name: str,
    colouring: Colouring,
    leaves: Sequence[Any],
    outputs: Sequence[Any],
    push: Products,
    pull: Products | None,
    report: Callable[[str], Any] | None,
    check: bool,
) -> Any:
    """The sparse matrix, from products by `push` (tangents of the inputs) and `pull` (cotangents of the outputs).

    With `check`, the pattern was not detected but given, and one product more tells whether it lacks an entry.
    """
    require_real(name, [*leaves, *outputs])
    if report is not None:
        report(str(colouring))
    outputs = [floating(output) for output in outputs]
    jvps = _products(name, colouring.column_seeds, leaves, push)
    vjps = _products(name, colouring.row_seeds, outputs, pull) if pull is not None and colouring.vjps else ()
    values = colouring.recover(jvps, vjps)
    if check:
        direction = np.random.default_rng(0).normal(size=(1, number_of(leaves)))
        require_complete(name, values, colouring.pattern, direction[0], _products(name, direction, leaves, push)[0])
    return as_sparse(values, colouring.pattern)


def _products(name: str, seeds: np.ndarray, spaces: Sequence[Any], evaluate: Products) -> Any:
    """The products along the rows of `seeds`, each with all elements of its leaves one after the other."""
    columns = along_vectors(name, seeds, spaces, evaluate)
    if not columns:
        return np.zeros((len(seeds), 0))
    joined = [np.reshape(column, (len(seeds), -1)) for column in columns]
    return np.concatenate(joined, axis=1) if len(joined) > 1 else joined[0]
