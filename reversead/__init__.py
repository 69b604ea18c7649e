"""Reverse mode automatic differentiation of plain NumPy code, by a tape.

>>> import numpy as np
>>> import reversead as ad
>>> ad.grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
array([2., 4.])
"""

from reversead.sparse import sparse_hessian, sparse_jacobian
from reversead.tape import Tape
from reversead.transforms import (
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
from reversead.variable import Variable
from shared.checkpointing import checkpoint, checkpoint_loop
from shared.functions import stop_gradient
from shared.mapping import vmap

__all__ = [
    "Tape",
    "Variable",
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
