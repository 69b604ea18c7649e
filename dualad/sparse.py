"""Sparse Jacobians and Hessians by forward mode: products with the Jacobian from the right, many in one pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dualad.transforms import ForwardPass, grad
from shared.calling.arguments import Argnums, Selection
from shared.calling.seeds import zero_like
from shared.calling.transformed import transformed
from shared.sparse.recovery import Products, require_options, sparse_matrix

Function = Callable[..., Any]


def sparse_jacobian(
    f: Function,
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    pattern: Any = None,
    by: str = "best",
    report: Callable[[str], Any] | None = None,
) -> Function:
    """The Jacobian of `f` as a sparse matrix, from as few products with it as its pattern allows.

    Rows are the elements of the output, columns those of the arguments `argnums`, leaves one after the other (those of
    a dict in the order of its sorted keys), each in C order.  The result is a `scipy.sparse.csr_array`; where SciPy is
    not installed, or under another transform, `(values, (rows, columns))`.

    `pattern` says which entries may be nonzero: a boolean matrix (NumPy's or SciPy's), a `Pattern`, or a `Colouring`,
    made once for many points by `shared.colour(pattern, by)`, any of which one product more checks for missing entries;
    or None, to have it detected, structurally and valid for the Python branches taken (`shared.jacobian_pattern`).
    `by` is the strategy: forward mode has "columns" (jvps) alone, which is the "best" it has; for rows and for both use
    `reversead`.  `report=print` prints what it takes.

    Cost: two evaluations, the tangents of all products in one pass or a few, and the detection.  Raises ShapeError for
    a pattern that does not fit or lacks an entry, LeafTypeError for one that is not boolean and for complex
    numbers, ValueError for another strategy.  Curtis, Powell & Reid 1974; Gebremedhin, Manne & Pothen 2005.

    >>> import numpy as np
    >>> J = sparse_jacobian(lambda x: x[1:] - x[:-1] ** 2, report=print)(np.ones(50))
    2 jvps instead of 50 jvps or 49 vjps
    >>> J.shape, J.nnz
    ((49, 50), 98)
    """
    name = "sparse_jacobian"
    require_options(name, by, ("best", "columns"), report)

    @transformed(sparse_jacobian, f, argnums, has_aux, pattern=pattern, by=by, report=report)
    def matrix(*args: Any, **kwargs: Any) -> Any:
        selection = Selection(name, f, args, kwargs, argnums)
        return sparse_matrix(name, selection, argnums, has_aux, _products, pattern, "columns", report)

    return matrix


def sparse_hessian(
    f: Function,
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    pattern: Any = None,
    report: Callable[[str], Any] | None = None,
) -> Function:
    """The Hessian of a scalar function as a sparse matrix, from as few Hessian-vector products as its pattern allows.

    Rows and columns are the elements of the arguments `argnums`; the options are those of `sparse_jacobian`.  Both
    triangles are used, so a Hessian shaped like an arrow takes two products (star colouring: Coleman & More 1984).

    Cost: two gradients by forward mode, the tangents of all products through such a gradient, and the detection; for
    more than a few inputs `reversead.sparse_hessian` costs a small multiple of an evaluation a product.

    >>> import numpy as np
    >>> H = sparse_hessian(lambda x: np.sum((x[1:] - x[:-1] ** 2) ** 2), report=print)(np.ones(50))
    3 hvps instead of 50 hvps
    >>> H.shape, H.nnz
    ((50, 50), 148)
    """
    name = "sparse_hessian"
    require_options(name, "symmetric", ("symmetric",), report)
    gradient = grad(f, argnums, has_aux)

    @transformed(sparse_hessian, f, argnums, has_aux, pattern=pattern, report=report)
    def matrix(*args: Any, **kwargs: Any) -> Any:
        selection = Selection(name, gradient, args, kwargs, argnums)
        return sparse_matrix(name, selection, argnums, has_aux, _products, pattern, "symmetric", report)

    return matrix


def _products(name: str, selection: Selection, has_aux: bool) -> Products:
    first = ForwardPass(name, selection, [zero_like(leaf) for leaf in selection.leaves], has_aux)

    def push(tangents: list[Any]) -> list[Any]:
        return ForwardPass(name, selection, tangents, has_aux).tangents

    return Products(first.outputs, first.aux, push, None)
