"""The calculus: tables of derivatives, one file a family, ordered from trivial to hard.

Importing this package declares every entry of the registry.  It knows NumPy and calculus, and nothing of levels or
engines.  `elementwise` reads like the table of a calculus book, and every other table says in its rows why they are no
simpler.  A row also says what else is to be known of its function: what it costs, whose memory the result lies in, what
becomes of one more axis, what depends on what (`shared.core.facets`).  `special` are functions that NumPy lacks,
`operators` gives arrays their operators and methods.  `aliasing`, which finds the views among results, is loaded by the
recorded programs, which ask it.

Public, as names of `shared`: the functions of `special`.
"""

from shared.rules import (
    elementwise,
    extending,
    fourier,
    grids,
    indexing,
    keywords,
    linear_algebra,
    products,
    rearranging,
    reductions,
    shapes,
    special,
    statistics,
    tallies,
)

__all__ = [
    "elementwise",
    "extending",
    "fourier",
    "grids",
    "indexing",
    "keywords",
    "linear_algebra",
    "products",
    "rearranging",
    "reductions",
    "shapes",
    "special",
    "statistics",
    "tallies",
]
