"""Forward mode automatic differentiation of plain NumPy code, by dual numbers.

>>> import numpy as np
>>> import dualad as ad
>>> ad.derivative(np.sin)(0.0)
np.float64(1.0)
"""

from dualad.dual import Dual
from dualad.sparse import sparse_hessian, sparse_jacobian
from dualad.transforms import (
    derivative,
    elementwise_grad,
    grad,
    hessian,
    hvp,
    jacobian,
    jvp,
    linearize,
    value_and_grad,
    value_and_jacobian,
    value_grad_and_hessian,
    vjp,
)
from shared.checkpointing import checkpoint, checkpoint_loop
from shared.functions import stop_gradient
from shared.mapping import vmap

__all__ = [
    "Dual",
    "checkpoint",
    "checkpoint_loop",
    "derivative",
    "elementwise_grad",
    "grad",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "linearize",
    "sparse_hessian",
    "sparse_jacobian",
    "stop_gradient",
    "value_and_grad",
    "value_and_jacobian",
    "value_grad_and_hessian",
    "vjp",
    "vmap",
]
