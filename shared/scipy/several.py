"""Ufuncs with several results: a primitive of one result, `part`, of which the ufunc is rewritten.

This module knows no function.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shared.core.facets import FUNCTION, align
from shared.core.primitive import Primitive
from shared.core.registry import composite, rule


def parts_of(ufunc: np.ufunc, *slopes: Callable[..., Any]) -> Primitive:
    """Declare a ufunc of several results by the partial derivative of its results by each argument.

    `slopes[k](part, *arguments)` is the partial derivative of the result `part` by argument k.  Returns the primitive
    of one result, which has to be a name of the module that declares it, so that it can be pickled.
    """

    def one_result(*arguments: Any, part: int) -> Any:
        return ufunc(*arguments)[part]

    one_result.__name__, one_result.__module__ = ufunc.__name__, slopes[0].__module__

    def of_one(slope: Callable[..., Any]) -> Callable[..., Any]:
        return lambda v, x, *, part: v * slope(part, x)

    def of_two(slope: Callable[..., Any]) -> Callable[..., Any]:
        return lambda v, x, y, *, part: v * slope(part, x, y)

    maps = [(of_one if ufunc.nin == 1 else of_two)(slope) for slope in slopes]
    primitive = rule(
        one_result,
        vjps=maps,
        jvps=maps,
        broadcasts=True,
        because="its partials depend on a keyword, which result it is",
        count=FUNCTION,
        batch=align,
        dependence="elementwise",
    )

    @composite(ufunc)
    def _all_results(*arguments: Any) -> tuple[Any, ...]:
        return tuple(primitive(*arguments, part=part) for part in range(ufunc.nout))

    return primitive
