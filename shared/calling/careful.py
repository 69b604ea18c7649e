"""Zero times infinity: when a derivative is computed a second time, with care for the zeros that are exact.

In `np.where(x > 0, np.sqrt(x), 0)` at 0 the branch that was not taken has slope inf and cotangent 0, whose product is
NaN, although nothing flows through what was not chosen.  An element of a tangent or cotangent that is zero because of
the structure of the program (a branch, a mask, an index that was not taken; an input that a direction does not move)
contributes exactly zero, whatever slope it meets.  A zero that is a value does not: in `np.sqrt(x) ** 2` at 0 it is
0 times inf whose limit is 1, so the result stays NaN.

Derivatives are computed without looking at any of this.  Only if the result has a NaN are they computed again, with
tangents or cotangents that know which of their elements are exact zeros (`shared.linear.known_zeros`): by sweeping the
tape again where it is still there, otherwise by calling the function again, which has to give the same value;
if it does not, or if something on the way does not take such a tangent, the result stays the NaN that it was.
Differentiations within one that is computed with care are so from the start (`CAREFUL`), since their zeros are exact
to those around them.  A compiled program is a record of the ordinary computation; if its result has a NaN, the function
is called instead.  This module is loaded when there is a NaN; it knows neither engines nor how a zero is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from shared.calling.results import CAREFUL
from shared.core.duck_array import DuckArray
from shared.core.levels import attempt

T = TypeVar("T")


def carefully(call: Callable[[], T]) -> T:
    """The value of `call()`, within which every differentiation is computed with care."""
    return _within(True, call)


def without_care(call: Callable[[], T]) -> T:
    """The value of `call()`, within which no differentiation is computed again for a NaN."""
    return _within(False, call)


def _within(care: bool, call: Callable[[], T]) -> T:
    before = CAREFUL.get()
    try:
        CAREFUL.set(care)
        found = call()
        CAREFUL.set(before)
    except BaseException:
        # Again, if it was interrupted.
        CAREFUL.set(before)
        raise
    return found


def instead(found: T, call: Callable[[], T], outputs: Callable[[T], Sequence[Any]] | None = None) -> T:
    """The value of `call()`, computed with care, in place of `found`, which has a NaN.

    It stays `found` where `call` raises.  With `outputs`, which reads the values of the function off a result, it also
    does where these differ: a function that gives another value when it is called again is not pure.
    """

    def follow() -> T:
        again = carefully(call)
        if outputs is not None and not _same(outputs(found), outputs(again)):
            return found
        return again

    rather: T = attempt(follow, lambda error: found)
    return rather


def _same(first: Sequence[Any], second: Sequence[Any]) -> bool:
    return len(first) == len(second) and all(map(_equal, first, second))


def _equal(x: Any, y: Any) -> bool:
    while isinstance(x, DuckArray) and isinstance(y, DuckArray):
        x, y = x.primal, y.primal
    x, y = np.asarray(x), np.asarray(y)
    return x.shape == y.shape and bool(np.all((x == y) | ((x != x) & (y != y))))
