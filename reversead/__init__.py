"""Reverse mode automatic differentiation of plain NumPy code, by a tape.

>>> import numpy as np
>>> import reversead as ad
>>> ad.grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
array([2., 4.])
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
        raise ImportError(f"{place} hides the package `shared` that reversead is installed with; give it another name")


_require_own_shared()

from reversead.tape import Tape
from reversead.transforms import grad, hvp, jvp, linearize, value_and_grad, vjp
from reversead.variable import Variable
from shared.calling.results import stop_gradient
from shared.core import lazy

if typing.TYPE_CHECKING:
    from reversead.derived import (
        derivative,
        elementwise_grad,
        hessian,
        hessian_diagonal,
        jacobian,
        laplacian,
        value_and_jacobian,
        value_grad_and_hessian,
    )
    from reversead.sparse import sparse_hessian, sparse_jacobian
    from shared.batching.vmap import vmap
    from shared.linear.checkpointing import checkpoint, checkpoint_loop
    from shared.series.expansion import taylor
else:
    __getattr__, __dir__ = lazy.on_demand(
        __name__,
        {
            "reversead.derived": (
                "derivative",
                "elementwise_grad",
                "hessian",
                "hessian_diagonal",
                "jacobian",
                "laplacian",
                "value_and_jacobian",
                "value_grad_and_hessian",
            ),
            "reversead.sparse": ("sparse_hessian", "sparse_jacobian"),
            "shared.batching.vmap": ("vmap",),
            "shared.linear.checkpointing": ("checkpoint", "checkpoint_loop"),
            "shared.series.expansion": ("taylor",),
        },
    )


__all__ = [
    "Tape",
    "Variable",
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
