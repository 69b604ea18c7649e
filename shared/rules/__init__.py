"""The calculus: tables of derivatives, one file a family, ordered from trivial to hard.

Importing this package declares every function of NumPy that has a rule.  It knows NumPy and calculus, and nothing of
levels or engines.  `elementwise` reads like the table of a calculus book, and every other table says in its rows why
they are no simpler.  A row also says what else is to be known of its function: what it costs, whose memory the result
lies in, what becomes of one more axis, what depends on what (`shared.core.facets`).  `special` are functions that NumPy
lacks, `operators` gives arrays their operators and methods.  Loaded later are `aliasing`, which finds the views among
results, by the recorded programs, which ask it; the rules of decompositions (`determinants`, `eigenvalues`,
`singular_values`, `factors`, `pseudoinverses`, written with `matrices`), when a function of theirs is met; and families
that few programs use (`LATER`), when the first of their functions is called.

Public, as names of `shared`: the functions of `special`.
"""

import numpy as np

from shared.core.lazy import rules_later
from shared.core.registry import composite_later
from shared.rules import (
    elementwise,
    fourier,
    indexing,
    keywords,
    linear_algebra,
    products,
    rearranging,
    reductions,
    shapes,
    special,
)

__all__ = [
    "LATER",
    "elementwise",
    "fourier",
    "indexing",
    "keywords",
    "linear_algebra",
    "products",
    "rearranging",
    "reductions",
    "shapes",
    "special",
]

#: The functions of the families that are loaded later
LATER = {
    "shared.rules.extending": (
        np.pad, np.lib.stride_tricks.sliding_window_view, np.resize, np.insert, np.delete, np.trim_zeros,
    ),
    "shared.rules.grids": (
        np.interp, np.ediff1d, np.unwrap, np.gradient, np.trapezoid, np.linspace, np.logspace, np.geomspace,
        np.meshgrid,
    ),
    "shared.rules.polynomials": (
        np.polyval, np.vander, np.polyadd, np.polysub, np.polymul, np.polydiv, np.polyder, np.polyint, np.poly,
        np.roots, np.polyfit,
    ),
    "shared.rules.statistics": (
        np.average, np.cov, np.corrcoef, np.nansum, np.nanprod, np.nancumsum, np.nancumprod, np.nanmean, np.nanvar,
        np.nanstd, np.nanmax, np.nanmin, np.nanargmax, np.nanargmin, np.median, np.nanmedian, np.quantile,
        np.percentile, np.nanquantile, np.nanpercentile,
    ),
    "shared.rules.tallies": (
        np.bincount, np.digitize, np.histogram_bin_edges, np.histogram, np.histogram2d, np.histogramdd, np.isin,
        np.lexsort, np.unique,
        np.unique_values, np.unique_counts, np.unique_inverse, np.unique_all, np.union1d, np.setdiff1d, np.setxor1d,
        np.intersect1d,
    ),
}  # fmt: skip

for _module, _functions in LATER.items():
    composite_later(_module, *_functions)

rules_later("scipy.special", "shared.scipy.special")
