"""The calculus: tables of derivatives, one file a family, ordered from trivial to hard.

Importing this package declares every entry of the registry.  The tables know NumPy and calculus, and nothing of levels
or engines.
"""

from shared.rules import (
    batches,
    counts,
    elementwise,
    fourier,
    grids,
    indexing,
    linear_algebra,
    products,
    reductions,
    shapes,
    sharing,
    special,
    statistics,
)

__all__ = [
    "batches",
    "counts",
    "elementwise",
    "fourier",
    "grids",
    "indexing",
    "linear_algebra",
    "products",
    "reductions",
    "shapes",
    "sharing",
    "special",
    "statistics",
]
