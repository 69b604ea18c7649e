"""A function at a point, and every way to its derivatives beside each other: what each costs, why, and which to take.

`compare` counts, measures and checks them all; `advise` predicts the cheapest from counts alone; `growth` counts how
each grows with the size of a problem; `memory` says what a tape keeps, by the user's line, and what checkpoints save.
The engines are arguments: this room knows their interface, and neither of them.  It knows what derivatives cost, and no
derivative.  `python -m shared.comparison` does it from a shell, where engines are named.

Public: the names below, `compare` and `advise` also as names of `shared`.
"""

import typing

from shared.core import lazy

if typing.TYPE_CHECKING:
    from shared.comparison.advice import Advice, advise
    from shared.comparison.compared import compare
    from shared.comparison.frontier import Memory, memory
    from shared.comparison.growing import Growth, growth
    from shared.comparison.result import ModeComparison

__all__ = ["Advice", "Growth", "Memory", "ModeComparison", "advise", "compare", "growth", "memory"]

__getattr__, __dir__ = lazy.on_demand(
    __name__,
    {
        "shared.comparison.advice": ("Advice", "advise"),
        "shared.comparison.compared": ("compare",),
        "shared.comparison.frontier": ("Memory", "memory"),
        "shared.comparison.growing": ("Growth", "growth"),
        "shared.comparison.result": ("ModeComparison",),
    },
)
