"""Opaque calls: code that a record cannot follow inside, as one operation of it.

The function of a `custom_derivative`, and its rules, may be no NumPy (a sparse solver, a compiled extension).  They are
called as they are whenever the program runs: with plain numbers and arrays, and whatever else they were called with
when it was recorded.  This module knows neither what such code computes nor how anything else is recorded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shared.calling.tree import Structure, flatten
from shared.core.errors import ProgramGuardError, TracerConversionError, user_line
from shared.core.facets import FREE

_NUMBERS = (float, complex, int, bool)


class Opaque:
    """One call as a primitive: from the numbers and arrays among its leaves to the tuple of those that it returns.

    `called` has a `name`, and `run(leaves, structure, static, None)`, which returns the result.  `fixed` are the leaves
    that are no numbers or arrays, by position; `out_structure` is that of the result.
    """

    __slots__ = ("called", "fixed", "name", "out_structure", "raw", "static", "structure")
    form = "opaque"
    memory = "fresh"
    constant = elementwise = broadcasts = is_index = False
    #: what happens inside is not counted
    count = staticmethod(FREE)

    def __init__(
        self,
        called: Any,
        structure: Structure,
        static: dict[str, Any],
        fixed: Mapping[int, Any],
        out_structure: Structure,
    ):
        self.called = called
        self.structure = structure
        self.static = static
        self.fixed = fixed
        self.out_structure = out_structure
        self.name = f"{called.name} (opaque)"
        self.raw = self._run

    @property
    def function(self) -> Opaque:
        """Like a primitive's: what tells it from others."""
        return self

    def _run(self, *values: Any) -> tuple[Any, ...]:
        given = iter(values)
        leaves = [self.fixed[k] if k in self.fixed else next(given) for k in range(len(values) + len(self.fixed))]
        found, structure = run_opaquely(self.called, leaves, self.structure, self.static)
        if structure != self.out_structure:
            raise ProgramGuardError(
                f"{self.called.name} returned {structure}{user_line()}, and {self.out_structure} when it was recorded; "
                "trace it again"
            )
        return tuple(found)

    __call__ = _run

    def _key(self) -> tuple[Any, ...]:
        return (self.called, self.structure, self.out_structure)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Opaque):
            return NotImplemented
        return self._key() == other._key() and _same(self.fixed, other.fixed) and _same(self.static, other.static)

    def __hash__(self) -> int:
        return hash((self.called, len(self.fixed)))

    def __reduce__(self) -> Any:
        return (Opaque, (self.called, self.structure, self.static, self.fixed, self.out_structure))

    def __repr__(self) -> str:
        return f"<{self.name}>"


def run_opaquely(
    called: Any, leaves: list[Any], structure: Structure, static: dict[str, Any]
) -> tuple[list[Any], Structure]:
    """The leaves and the structure of a result, which shares no memory with the leaves that are given read-only."""
    given = [_protected(leaf) if isinstance(leaf, np.ndarray) else leaf for leaf in leaves]
    found, out_structure = flatten(called.run(given, structure, static, None))
    arrays = [leaf for leaf in given if isinstance(leaf, np.ndarray)]
    for k, leaf in enumerate(found):
        if isinstance(leaf, np.ndarray):
            if any(np.may_share_memory(leaf, other) for other in arrays):
                found[k] = leaf = leaf.copy()
            arrays.append(leaf)
    return found, out_structure


def _protected(array: np.ndarray) -> np.ndarray:
    view = array.view()
    view.flags.writeable = False
    return view


def _same(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
    return one.keys() == other.keys() and all(other[key] is value for key, value in one.items())


def is_recorded_leaf(leaf: Any) -> bool:
    """Whether a leaf of a call is an operand: a number that may vary, or an array; integers belong to the program."""
    if isinstance(leaf, (np.ndarray, np.generic)):
        return leaf.dtype.kind in "biufc"
    return isinstance(leaf, (float, complex))


def require_numbers(called: Any, found: list[Any]) -> None:
    """Refuse results that a record cannot hold."""
    for leaf in found:
        if not isinstance(leaf, (np.ndarray, np.generic, *_NUMBERS)):
            raise TracerConversionError(
                f"{called.name} returned a {type(leaf).__name__}{user_line()}, but its call is one operation of a "
                "record, whose results are numbers and arrays"
            )
