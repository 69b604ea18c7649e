"""What is applied to each of K examples in turn, because no batch rule covers it.

Whether a primitive has a rule for one more leading axis is one of its facets (`shared.core.facets`); here is what is
done without one, and of which functions the rewritten form is not to be used.  This module knows no derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.errors import NoRuleError
from shared.core.levels import Tracer
from shared.core.primitive import Primitive
from shared.core.registry import REGISTRY

#: Functions whose rewritten form has NumPy's dtypes for floating-point numbers alone: of integers and truth values they
#: are evaluated example by example.
FLOATING_ONLY = frozenset((
    np.einsum, np.tril, np.triu, np.linalg.norm, np.modf, np.vecdot, np.nan_to_num, np.diff, np.var, np.std,
    np.average, np.nansum, np.nanmean, np.nanmax, np.nanmin, np.median, np.quantile, np.percentile, np.gradient,
    np.ediff1d, np.polyval, np.vander, np.linspace, np.logspace, np.convolve, np.correlate,
))  # fmt: skip


def without_rule() -> list[str]:
    """The names of the primitives that are applied example by example, for want of a batch rule."""
    entries = {id(entry): entry for entry in REGISTRY.values()}.values()
    return sorted(entry.name for entry in entries if isinstance(entry, Primitive) and entry.batch is None)


def one_by_one(
    primitive: Primitive, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]
) -> Any:
    """The results of applying a primitive to each example in turn, along a leading axis."""
    results = [
        primitive(*[value[k] if flag else value for value, flag in zip(values, batched, strict=True)], **static)
        for k in range(size)
    ]
    if not results:
        raise NoRuleError(f"{primitive.name} has no batch rule, and there is no example to learn its shape from")
    if any(isinstance(result, Tracer) for result in results):
        return np.stack(results)
    return np.stack([np.asarray(result) for result in results])
