"""What an operation writes on a tape: one record for each argument that varies.

A record is three items: the edge (the linear map of that argument), the values that it needs, and the node it leads to,
complemented in the first record of a node.  This module knows the form of the registry's edges, and nothing of how
variables are made or swept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.primitive import Like, Primitive, differs

_ndarray = np.ndarray


def detached(value: Any) -> Any:
    """The value of a view as a rule may keep it: copied if it is a small part of its base.

    Kept as it is, it would hold the whole base, which the next assignment to that would have to copy: in a loop over
    the rows of a matrix, each time the matrix and not the row.
    """
    if value.__class__ is _ndarray:
        base = value.base
        if base.__class__ is _ndarray and 2 * value.nbytes <= base.nbytes:
            return value.copy("K")
    return value


def record_primitive(
    tape: Any, primitive: Primitive, out: Any, values: Sequence[Any], parents: Sequence[int], static: dict[str, Any]
) -> int:
    """Append the records of one primitive; returns its node, negative if nothing that varies reaches it."""
    edges: Any = primitive.edges
    common = primitive.common
    if common is not None:
        # A factor that two arguments share becomes a node of its own, whose cotangent is computed once.
        if min(parents) >= 0:
            edges = primitive.factored
        else:
            common = None
    residuals = None
    if primitive.residuals is not None:
        residuals = primitive.residuals(out, values, static)
        edges = edges * len(values)
    recorded = False
    for k, parent in enumerate(parents):
        if parent < 0:
            continue
        edge = edges[k]
        if edge is None:
            continue
        kept = primitive.keep(edge, k, out, values, static) if residuals is None else residuals[k]
        if primitive.broadcasts and differs(values[k], out):
            edge, kept = edge.fitted, (Like(values[k]), kept, Like(out))
        tape.record((edge, kept, parent if recorded else ~parent))
        recorded = True
    if not recorded:
        return -1
    node: int = tape.count
    if common is not None:
        tape.record((common, primitive.keep(common, 0, out, values, static), ~node))
        node += 1
    tape.count = node + 1
    return node
