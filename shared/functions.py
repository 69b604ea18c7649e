"""Functions that NumPy lacks and networks need, differentiable and stable; they take arrays and tracers alike.

Also `stop_gradient`.  Everything else that can be differentiated is NumPy itself.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.rules import special


def sigmoid(x: Any) -> Any:
    """The logistic function 1 / (1 + exp(-x)), elementwise; exact to rounding for arguments of any size.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return special.sigmoid(x)


def relu(x: Any) -> Any:
    """max(x, 0), elementwise, with derivative 0 at 0.

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return special.relu(x)


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), elementwise; does not overflow.

    >>> softplus(np.array([-1000.0, 1000.0]))
    array([   0., 1000.])
    """
    return special.softplus(x)


def softsign(x: Any) -> Any:
    """x / (1 + |x|), elementwise (Glorot & Bengio 2010).

    >>> softsign(np.array([-1.0, 0.0, 3.0]))
    array([-0.5 ,  0.  ,  0.75])
    """
    return special.softsign(x)


def logsumexp(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) over `axis` (all axes by default); does not overflow.

    >>> float(logsumexp(np.array([1000.0, 1000.0])) - np.log(2.0))
    1000.0
    """
    return special.logsumexp(x, axis=axis, keepdims=keepdims)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """x - logsumexp(x): the logarithm of `softmax`, without its underflow.

    >>> log_softmax(np.array([0.0, -1000.0]))
    array([    0., -1000.])
    """
    return special.log_softmax(x, axis=axis)


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along `axis`; does not overflow.

    >>> softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    return np.exp(log_softmax(x, axis))


def stop_gradient(x: Any) -> Any:
    """The value of `x`, which no differentiation sees through: its derivative is zero at every level.

    >>> stop_gradient(np.array([1.0, 2.0]))
    array([1., 2.])
    """
    return special.stop_gradient(x)
