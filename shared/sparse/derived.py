"""Sparse Jacobians and Hessians made of an engine's few operations, as `shared.calling.derived` makes the dense ones.

An engine evaluates a function at a point and multiplies by its Jacobian there; `shared.sparse.recovery` says which
products to take and reads the entries off them.  This module knows no engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shared.calling.arguments import Argnums, Selection, refuse_iterators
from shared.calling.derived import Operations
from shared.calling.results import handed_out
from shared.calling.tree import flatten
from shared.core.errors import user_line
from shared.sparse.recovery import sparse_matrix

Function = Callable[..., Any]
Report = Callable[[str], Any] | None


def sparse_jacobian(
    engine: Operations,
    strategies: Sequence[str],
    f: Function,
    argnums: Argnums,
    has_aux: bool,
    pattern: Any,
    by: str,
    report: Report,
) -> Function:
    """The Jacobian by one of the strategies that an engine has; if there is but one, it is the best."""
    name = "sparse_jacobian"
    _require_report(name, report)
    known = ("best", *strategies)
    if by not in known:
        elsewhere = "" if "rows" in known else "; forward mode has no other, use reversead"
        raise ValueError(f"{name}: by={by!r}{user_line()}, but must be one of {', '.join(map(repr, known))}{elsewhere}")
    return _matrix(engine, name, f, argnums, has_aux, pattern, by if strategies[1:] else strategies[0], report)


def sparse_hessian(
    engine: Operations, gradient: Function, argnums: Argnums, has_aux: bool, pattern: Any, report: Report
) -> Function:
    """The Hessian, as the symmetric Jacobian of a gradient with respect to the same arguments."""
    _require_report("sparse_hessian", report)
    return _matrix(engine, "sparse_hessian", gradient, argnums, has_aux, pattern, "symmetric", report)


def _require_report(name: str, report: Any) -> None:
    if report is not None and not callable(report):
        raise TypeError(
            f"{name}: report must be a function that takes a text, such as print, not {report!r}{user_line()}"
        )


def _matrix(
    engine: Operations,
    name: str,
    f: Function,
    argnums: Argnums,
    has_aux: bool,
    pattern: Any,
    by: str,
    report: Report,
) -> Function:
    def matrix(*args: Any, **kwargs: Any) -> Any:
        selection = Selection(name, f, args, kwargs, argnums)
        refuse_iterators(name, selection.args, selection.kwargs)
        point = engine.evaluate(name, selection, has_aux)
        try:
            leaves, structure = flatten(sparse_matrix(name, selection, argnums, has_aux, point, pattern, by, report))
            return handed_out(structure, leaves)
        except BaseException:
            point.release()
            raise

    return matrix
