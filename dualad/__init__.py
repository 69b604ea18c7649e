"""Forward mode automatic differentiation of plain NumPy code, by dual numbers.

>>> import numpy as np
>>> import dualad as ad
>>> ad.derivative(np.sin)(0.0)
np.float64(1.0)
"""

import importlib.util
import os
import typing


def _require_own_shared() -> None:
    """Refuse another module that is called `shared` and comes first on the path, as a user's own file would."""
    try:
        found = importlib.util.find_spec("shared")
        place = None if found is None else found.origin or str(next(iter(found.submodule_search_locations or ()), None))
    except ValueError:  # one that was made by hand
        place = "a module made in this program"
    # Packages that were installed together lie side by side.
    if place is not None and os.path.dirname(os.path.dirname(place)) != os.path.dirname(os.path.dirname(__file__)):
        raise ImportError(f"{place} hides the package `shared` that dualad is installed with; give it another name")


_require_own_shared()

from dualad.dual import Dual
from dualad.transforms import grad, hvp, jvp, linearize, value_and_grad, vjp
from shared.calling.results import stop_gradient
from shared.core import lazy

if typing.TYPE_CHECKING:
    from dualad.derived import (
        derivative,
        elementwise_grad,
        hessian,
        hessian_diagonal,
        jacobian,
        laplacian,
        value_and_jacobian,
        value_grad_and_hessian,
    )
    from dualad.sparse import sparse_hessian, sparse_jacobian
    from shared.batching.vmap import vmap
    from shared.linear.checkpointing import checkpoint, checkpoint_loop
    from shared.series.expansion import taylor
else:
    __getattr__, __dir__ = lazy.on_demand(
        __name__,
        {
            "dualad.derived": (
                "derivative",
                "elementwise_grad",
                "hessian",
                "hessian_diagonal",
                "jacobian",
                "laplacian",
                "value_and_jacobian",
                "value_grad_and_hessian",
            ),
            "dualad.sparse": ("sparse_hessian", "sparse_jacobian"),
            "shared.batching.vmap": ("vmap",),
            "shared.linear.checkpointing": ("checkpoint", "checkpoint_loop"),
            "shared.series.expansion": ("taylor",),
        },
    )


__all__ = [
    "Dual",
    "checkpoint",
    "checkpoint_loop",
    "derivative",
    "elementwise_grad",
    "grad",
    "hessian",
    "hessian_diagonal",
    "hvp",
    "jacobian",
    "jvp",
    "laplacian",
    "linearize",
    "sparse_hessian",
    "sparse_jacobian",
    "stop_gradient",
    "taylor",
    "value_and_grad",
    "value_and_jacobian",
    "value_grad_and_hessian",
    "vjp",
    "vmap",
]
