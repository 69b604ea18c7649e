"""One forward pass with tangents that know which of their elements are exact zeros.

It is loaded when a pass has found a NaN (see `shared.calling.careful`), and knows dual numbers and what such tangents
are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dualad.dual import ForwardLevel
from shared.calling.arguments import Selection, as_leaf
from shared.calling.seeds import floating, seeded
from shared.linear.known_zeros import KnownZeros

if TYPE_CHECKING:
    from dualad.passes import ForwardPass


class CarefulLevel(ForwardLevel):
    """A forward pass in which the tangents of what does not vary are exact zeros, too."""

    __slots__ = ("known",)

    def __init__(self, name: str):
        super().__init__(name)
        self.known = KnownZeros()

    def zero(self, value: Any) -> Any:
        return self.known.seeds([super().zero(value)])[0]


def run_carefully(
    found: ForwardPass, name: str, selection: Selection, seeds: Sequence[Any], has_aux: bool, scalar: bool
) -> None:
    """As `ForwardPass.run`, with tangents that know their exact zeros."""
    level = CarefulLevel(name)
    known = level.known
    seeds = known.seeds([seeded(leaf, seed) for leaf, seed in zip(selection.leaves, seeds, strict=True)])
    try:
        found.run(level, selection, seeds, has_aux, scalar)
        found.tangents = [
            as_leaf(tangent, floating(np.reshape(primal, ())[()] if scalar and np.ndim(primal) else primal))
            for tangent, primal in zip(known.plain(found.tangents), found.outputs, strict=True)
        ]
    finally:
        known.closed = True
