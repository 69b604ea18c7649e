"""Sparse Jacobians and Hessians by reverse mode: products with the Jacobian from either side, off one tape."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from reversead.transforms import _Run, grad
from shared.arguments import Argnums, Selection
from shared.compressed import chosen_colouring, compressed, number_of
from shared.sparsity import jacobian_pattern

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

    Rows are the elements of the output, columns those of the arguments `argnums`, leaves one after the other in C
    order.  The result is a `scipy.sparse.csr_array`, or, where SciPy is not installed, `(values, (rows, columns))`.

    `pattern` says which entries may be nonzero: a boolean matrix (NumPy's or SciPy's) or a `Pattern`, which one product
    more checks for missing entries; a `Colouring`, made once for many points by `shared.colour(pattern, by)`; or None,
    to have it detected, structurally and valid for the Python branches taken (`shared.jacobian_pattern`).  `by` is the
    strategy: "columns" (jvps), "rows" (vjps), "both", or the "best" of them.  `report=print` prints what it takes.

    Cost: one evaluation, one sweep a product, and the detection; each a batch.  Raises ShapeError for a pattern that
    does not fit or lacks an entry, TypeError for one that is not boolean, LeafTypeError for complex numbers.  Curtis,
    Powell & Reid 1974; Gebremedhin, Manne & Pothen 2005.

    >>> import numpy as np
    >>> J = sparse_jacobian(lambda x: x[1:] - x[:-1] ** 2, report=print)(np.ones(50))
    2 jvps instead of 50 jvps or 49 vjps
    >>> J.shape, J.nnz
    ((49, 50), 98)
    """
    name = "sparse_jacobian"

    @wraps(f, updated=())
    def matrix(*args: Any, **kwargs: Any) -> Any:
        selection = Selection(name, f, args, kwargs, argnums)
        run = _Run(name, selection, has_aux)

        def detect() -> Any:
            return jacobian_pattern(_without_aux(f, has_aux), *args, argnums=argnums, **kwargs)

        shape = number_of(run.outputs), number_of(selection.leaves)
        colouring = chosen_colouring(name, pattern, detect, by, shape)
        check = pattern is not None and pattern is not colouring
        found = compressed(name, colouring, selection.leaves, run.outputs, run.push, run.pull, report, check)
        return (found, run.aux) if has_aux else found

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

    Cost: one gradient on a tape, one sweep over it a product, and the detection.

    >>> import numpy as np
    >>> H = sparse_hessian(lambda x: np.sum((x[1:] - x[:-1] ** 2) ** 2), report=print)(np.ones(50))
    3 hvps instead of 50 hvps
    >>> H.shape, H.nnz
    ((50, 50), 148)
    """
    name = "sparse_hessian"

    @wraps(f, updated=())
    def matrix(*args: Any, **kwargs: Any) -> Any:
        gradient = grad(f, argnums, has_aux)
        selection = Selection(name, gradient, args, kwargs, argnums)
        run = _Run(name, selection, has_aux)

        def detect() -> Any:
            return jacobian_pattern(_without_aux(gradient, has_aux), *args, argnums=argnums, **kwargs)

        size = number_of(selection.leaves)
        colouring = chosen_colouring(name, pattern, detect, "symmetric", (size, size))
        check = pattern is not None and pattern is not colouring
        found = compressed(name, colouring, selection.leaves, run.outputs, run.push, None, report, check)
        return (found, run.aux) if has_aux else found

    return matrix


def _without_aux(f: Function, has_aux: bool) -> Function:
    return wraps(f, updated=())(lambda *args, **kwargs: f(*args, **kwargs)[0]) if has_aux else f
