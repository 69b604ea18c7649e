"""Whether one evaluation returns a view of its operand, where its primitive is one that may.

What a primitive returns it declares (`memory`, see `shared.core.facets`): its result is fresh, or it lies in the memory
of the first operand wherever NumPy can let it.  It can with an index of slices and integers, with memory that is
contiguous for a reshape, and with complex numbers for their imaginary part; elsewhere it is fresh.  This module knows
nothing of programs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def is_view(primitive: Any, operands: Sequence[Any]) -> bool:
    """Whether one evaluation of a primitive returns a view; memory to be reshaped is taken for contiguous.

    `operands` are arrays, or literals and types, as counts are given them.

    >>> from shared.rules.indexing import GETITEM
    >>> x = np.ones(3)
    >>> is_view(GETITEM, (x, slice(1))), is_view(GETITEM, (x, np.array([1])))
    (True, False)
    """
    if primitive.memory != "view":
        return False
    if primitive.is_index:
        return is_basic(operands[1:])
    return primitive.function is not np.imag or operands[0].dtype.kind == "c"


def is_basic(parts: Sequence[Any]) -> bool:
    """Whether an index of these parts selects a view: of integers, slices, None and the ellipsis.

    >>> is_basic((0, slice(1, None), None)), is_basic((np.array([0, 1]),)), is_basic((True,))
    (True, False, False)
    """
    return all(
        (isinstance(part, (int, np.integer, slice, type(None), type(Ellipsis))) and part.__class__ is not bool)
        for part in parts
    )
