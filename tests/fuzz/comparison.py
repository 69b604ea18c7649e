"""How results are compared: equal in form, and in every number to rounding, where NaN equals NaN.

This module knows containers of numbers, and nothing of programs or engines.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from shared.calling.tree import flatten
from shared.core.levels import Tracer


class Failure(AssertionError):
    """Something that must hold of every program does not: what was found, and what it should be."""

    def __init__(self, what: str, found: Any = None, expected: Any = None):
        super().__init__(f"{what}\n  found    {found!r}\n  expected {expected!r}")
        self.what, self.found, self.expected = what, found, expected


class Inconclusive(Exception):
    """Nothing can be said of this program here: differences tell too little, or NumPy refuses the arguments."""


class Refused(Exception):
    """The library refuses the program for a reason that is documented, and that is there."""


def assert_same_form(what: str, found: Any, expected: Any) -> None:
    """Equal structure, and leaf by leaf equal Python type, shape and dtype."""
    leaves, structure = flatten(found)
    wanted, wanted_structure = flatten(expected)
    if structure != wanted_structure:
        raise Failure(f"{what}: the structure", structure, wanted_structure)
    for leaf, want in zip(leaves, wanted, strict=True):
        if isinstance(leaf, Tracer):
            raise Failure(f"{what}: still traced", leaf, want)
        if _form(leaf) != _form(want):
            raise Failure(f"{what}: the form", _form(leaf), _form(want))


def _form(leaf: Any) -> tuple[str, str, tuple[int, ...]]:
    array = np.asarray(leaf)
    return type(leaf).__name__, array.dtype.name, array.shape


def assert_close(what: str, found: Any, expected: Any, relative: float, scale: float = 1.0, error: Any = None) -> None:
    """Equal up to `relative` of the largest number there is, but at least of `scale`, and up to a known `error`."""
    leaves, wanted = flatten(found)[0], flatten(expected)[0]
    if len(leaves) != len(wanted):
        raise Failure(f"{what}: the number of results", len(leaves), len(wanted))
    errors = [0.0] * len(leaves) if error is None else flatten(error)[0]
    scale = max(scale, largest(wanted))
    for leaf, want, uncertain in zip(leaves, wanted, errors, strict=True):
        a, b = np.asarray(leaf), np.asarray(want)
        if a.shape != b.shape:
            raise Failure(f"{what}: the shape", a.shape, b.shape)
        with np.errstate(all="ignore"):
            equal = (a == b) | (_isnan(a) & _isnan(b))
            near = np.abs(np.where(equal, 0.0, a) - np.where(equal, 0.0, b)) <= relative * scale + uncertain
        if not np.all(equal | near):
            raise Failure(what, found, expected)


def assert_close_where_finite(what: str, found: Any, expected: Any, relative: float) -> None:
    """Equal where both are finite: a zero that comes from the structure of a program meets an infinite slope in one
    mode, and is not there in the other."""
    pairs = list(zip(flatten(found)[0], flatten(expected)[0], strict=True))
    finite = [np.isfinite(np.asarray(a)) & np.isfinite(np.asarray(b)) for a, b in pairs]
    assert_close(
        what,
        [np.where(mask, a, 0.0) for mask, (a, _) in zip(finite, pairs, strict=True)],
        [np.where(mask, b, 0.0) for mask, (_, b) in zip(finite, pairs, strict=True)],
        relative,
    )


def _isnan(array: np.ndarray) -> Any:
    return np.isnan(array) if array.dtype.kind in "fc" else np.zeros(array.shape, bool)


def largest(tree: Any) -> float:
    """The largest finite magnitude among the numbers of a tree."""
    found = 0.0
    for leaf in flatten(tree)[0]:
        array = np.asarray(leaf)
        if array.dtype.kind in "fciu" and array.size:
            with np.errstate(all="ignore"):
                sizes = np.abs(array)
                found = max(found, float(np.max(sizes[np.isfinite(sizes)], initial=0.0)))
    return found


def assert_owned(what: str, result: Any, others: Iterable[Any]) -> None:
    """Every array of a result is writable, and shares no memory with the others or with another of the result."""
    arrays = [leaf for leaf in flatten(result)[0] if isinstance(leaf, np.ndarray)]
    known = [leaf for leaf in flatten(list(others))[0] if isinstance(leaf, np.ndarray)]
    for k, array in enumerate(arrays):
        if not array.flags.writeable:
            raise Failure(f"{what}: a result is read-only", array)
        for other in (*known, *arrays[:k]):
            if np.may_share_memory(array, other):
                raise Failure(f"{what}: a result shares memory", array, other)


def assert_identical(what: str, found: Any, expected: Any) -> None:
    """The same bytes."""
    for leaf, want in zip(flatten(found)[0], flatten(expected)[0], strict=True):
        a, b = np.asarray(leaf), np.asarray(want)
        if a.dtype != b.dtype or a.shape != b.shape or a.tobytes() != b.tobytes():
            raise Failure(what, leaf, want)


def as_tangent(value: Any) -> Any:
    """The form of a value's tangent: a value that cannot vary may be an integer, its tangent is a float."""
    if np.asarray(value).dtype.kind in "fc":
        return value
    return float(value) if isinstance(value, (bool, int)) else np.asarray(value, np.float64)[()]
