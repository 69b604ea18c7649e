"""Sparse Jacobians and Hessians by reverse mode: products with the Jacobian from either side, off one tape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec

from reversead.derived import OPERATIONS
from reversead.transforms import grad
from shared.calling.arguments import Argnums
from shared.calling.transformed import transformed
from shared.sparse import derived

P = ParamSpec("P")


def sparse_jacobian(
    f: Callable[P, Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    pattern: Any = None,
    by: str = "best",
    report: Callable[[str], Any] | None = None,
) -> Callable[P, Any]:
    """The Jacobian of `f` as a sparse matrix, from as few products with it as its pattern allows.

    Rows are the elements of the output, columns those of the arguments `argnums`, leaf by leaf (a dict's in the order
    of its sorted keys), each in C order.  The result is a `scipy.sparse.csr_array`; without SciPy, or under another
    transform, `(values, (rows, columns))`.

    `pattern` says which entries may be nonzero: a boolean matrix (NumPy's or SciPy's), a `Pattern`, or a `Colouring`,
    made once for many points by `shared.colour(pattern, by)`, any of which one product more checks for missing entries;
    or None, to have it detected, structurally and valid for the Python branches taken (`shared.jacobian_pattern`).
    `by` is the strategy: "columns" (jvps), "rows" (vjps), "both", or the "best" of them.  `report=print` prints what it
    takes.

    Cost: one evaluation, one sweep a product, and the detection; each a batch.  Raises ShapeError for a pattern that
    does not fit or lacks an entry, LeafTypeError for one that is not boolean and for complex numbers.  Curtis,
    Powell & Reid 1974; Gebremedhin, Manne & Pothen 2005.

    >>> import numpy as np
    >>> J = sparse_jacobian(lambda x: x[1:] - x[:-1] ** 2, report=print)(np.ones(50))
    2 jvps instead of 50 jvps or 49 vjps
    >>> J.shape, J.nnz
    ((49, 50), 98)
    """
    as_transform = transformed(sparse_jacobian, f, argnums, has_aux, pattern=pattern, by=by, report=report)
    return as_transform(
        derived.sparse_jacobian(OPERATIONS, ("columns", "rows", "both"), f, argnums, has_aux, pattern, by, report)
    )


def sparse_hessian(
    f: Callable[P, Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    pattern: Any = None,
    report: Callable[[str], Any] | None = None,
) -> Callable[P, Any]:
    """The Hessian of a scalar function as a sparse matrix, from as few Hessian-vector products as its pattern allows.

    Rows and columns are the elements of the arguments `argnums`; the options are those of `sparse_jacobian`.  Both
    triangles are used, so a Hessian shaped like an arrow takes two products (star colouring: Coleman & More 1984).

    Cost: one gradient on a tape, one sweep over it a product, and the detection.

    >>> import numpy as np
    >>> H = sparse_hessian(lambda x: np.sum((x[1:] - x[:-1] ** 2) ** 2), report=print)(np.ones(50))
    3 hvps instead of 50 hvps
    >>> H.shape, H.nnz
    ((50, 50), 148)
    """
    as_transform = transformed(sparse_hessian, f, argnums, has_aux, pattern=pattern, report=report)
    gradient = grad(f, argnums, has_aux)
    return as_transform(derived.sparse_hessian(OPERATIONS, gradient, argnums, has_aux, pattern, report))
