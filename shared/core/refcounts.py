"""How many references an object shows that one place alone refers to: the test of whether it may be written in place.

The counts differ between interpreters, so they are taken here, once, by the very expressions that use them.  A count
that is too low only makes a copy that was not needed.  This module knows nothing of tracers or derivatives.
"""

from __future__ import annotations

from sys import getrefcount
from typing import Any

import numpy as np

__all__ = [
    "ALONE_AS_BASE",
    "ALONE_AS_ITEM",
    "ALONE_AS_LOCAL",
    "ALONE_AS_PARAMETER",
    "ALONE_IN_SLOT",
    "getrefcount",
]


class _Holder:
    __slots__ = ("held",)

    def __init__(self, held: Any):
        self.held = held


def _of_slot() -> int:
    holder = _Holder(np.zeros(1))
    return getrefcount(holder.held)


def _of_item() -> int:
    items = [np.zeros(1)]
    return getrefcount(items[0])


def _of_local() -> int:
    local = np.zeros(1)
    return getrefcount(local)


def _shown(parameter: Any) -> int:
    return getrefcount(parameter)


def _of_parameter() -> int:
    local = np.zeros(1)
    return _shown(local)


def _of_base() -> int:
    view = np.zeros((1, 1)).T
    base = view.base
    return _shown(base)


#: what getrefcount(holder.slot), getrefcount(items[k]) and getrefcount(local) show of an object held there alone
ALONE_IN_SLOT, ALONE_AS_ITEM = _of_slot(), _of_item()
# A debugger that reads the variables of every frame may hold what is one, but not what is in a list.
ALONE_AS_LOCAL = min(_of_local(), ALONE_AS_ITEM)

#: What getrefcount(parameter) shows of an object that a local variable of the caller alone refers to, and of one that
#: is the base of one view besides.  A parameter need not be a reference of its own: some interpreters borrow it.
ALONE_AS_PARAMETER = min(_of_parameter(), ALONE_AS_ITEM + 1)
ALONE_AS_BASE = min(_of_base(), ALONE_AS_ITEM + 2)
