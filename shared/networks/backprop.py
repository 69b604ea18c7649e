"""Backpropagation by hand: the gradient of an MLP's loss in plain NumPy, without automatic differentiation.

It is the reference that the engines are checked against, and the speed they are measured against: the same
arithmetic with no bookkeeping.  It knows the networks of `shared.networks.mlp` and the losses of
`shared.networks.losses`, by their formulas, and nothing else: no engine, no registry, no tracer.  Each formula here is
written out anew, so that an error in the code under test cannot hide in the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from shared.networks.losses import find_loss, matching_target
from shared.networks.mlp import ACTIVATIONS, MLP, Parameters

__all__ = ["backprop"]

Floats: TypeAlias = npt.NDArray[Any]
LossAndGradient: TypeAlias = Callable[[Floats, Floats, float], tuple[Any, Floats]]


def backprop(
    mlp: MLP,
    parameters: Parameters,
    x: npt.ArrayLike,
    target: npt.ArrayLike,
    loss: str = "softmax_cross_entropy",
    l2: float = 0.0,
) -> tuple[Any, list[tuple[Floats, Floats]]]:
    """Value and gradient of ``mlp.objective(loss, l2)`` by the four equations of backpropagation.

    For one example, a column a^l the output of layer l, z^l its weighted input, C the loss, * the product
    element by element, and with delta^l = dC/dz^l (Rumelhart, Hinton & Williams 1986; in this form Nielsen
    2015, chapter 2)::

        delta^L = grad_a C * sigma'(z^L)                            (1)
        delta^l = (W^{l+1})^T delta^{l+1} * sigma'(z^l)             (2)
        dC/db^l = delta^l                                           (3)
        dC/dW^l = delta^l (a^{l-1})^T                               (4)

    Here an example is a row, a batch a matrix of rows, and W^l is stored as its transpose, of shape (n_in,
    n_out); the sums over the batch happen in the products, since C carries the factor 1/n of the mean::

        delta^L = grad_a C * sigma'(z^L)                            (1)
        delta^l = delta^{l+1} @ (W^{l+1}).T * sigma'(z^l)           (2)
        dC/db^l = ones @ delta^l                                    (3)
        dC/dW^l = (a^{l-1}).T @ delta^l   (+ l2 W^l)                (4)

    Args:
        mlp: the network.
        parameters: pairs (W, b) of real floating arrays.
        x: one example of shape (n_in,), or a batch of shape (batch, n_in).
        target: as the loss takes it.
        loss: one of `shared.networks.losses.LOSSES`.
        l2: strength of the penalty ``l2 / 2 * sum |W|^2``.

    Returns:
        The value, and the gradient: a list of pairs (dC/dW, dC/db) of the parameters' shapes and dtypes,
        fresh arrays.

    Raises:
        ValueError: an unknown loss, or shapes that do not fit.
        TypeError: parameters that are not real floating arrays; integer labels that are not integers.

    Cost: one forward pass and about two times that backwards; no product for the gradient of x.

    >>> mlp = MLP([1, 1], output="tanh")
    >>> value, [(dW, db)] = backprop(
    ...     mlp, [(np.array([[0.5]]), np.array([0.0]))], [2.0], [0.0], loss="half_squared_error"
    ... )
    >>> a = np.tanh(1.0)
    >>> bool(np.isclose(value, a**2 / 2)), bool(np.isclose(db[0], a * (1 - a**2)))
    (True, True)
    """
    find_loss(loss)
    a, wanted = np.asarray(x), np.asarray(target)
    mlp.check(parameters, a)
    if a.ndim == 1:
        a, wanted = a[np.newaxis], wanted[np.newaxis]
    hidden = ACTIVATIONS[mlp.activation]
    last = len(parameters) - 1

    inputs, slopes = [], []
    for number, (weights, bias) in enumerate(parameters):
        activation = hidden if number < last else ACTIVATIONS[mlp.output]
        inputs.append(a)
        z = a @ weights
        z += bias
        a = activation.function(z)
        slopes.append(None if activation.derivative is None else (activation.derivative, z, a))

    if a.dtype.kind != "f":
        raise TypeError(_NOT_FLOATING.format(a.dtype))
    batch = len(a)
    wanted = matching_target(a, wanted, integer_labels=loss == "softmax_cross_entropy")
    value, delta = _LOSSES_BY_HAND[loss](a, wanted, 1.0 / batch)
    ones = np.ones(batch, delta.dtype)
    gradient: list[Any] = [None] * (last + 1)
    for number in range(last, -1, -1):
        weights, bias = parameters[number]
        if number < last:
            delta = delta @ parameters[number + 1][0].T  # (2)
        slope = slopes[number]
        if slope is not None:
            derivative, z, a = slope
            delta *= derivative(z, a)  # (1), (2)
        # One example is an outer product, which NumPy does faster element by element than as a product of
        # matrices.
        for_weights = inputs[number].T @ delta if batch > 1 else inputs[number].T * delta  # (4)
        for_bias = ones @ delta  # (3)
        if l2:
            flat = weights.ravel()
            value += 0.5 * l2 * (flat @ flat)
            _add_scaled(for_weights, l2, weights)
        gradient[number] = (_as_dtype(for_weights, weights.dtype), _as_dtype(for_bias, bias.dtype))
    return value, gradient


def _add_scaled(total: Floats, factor: float, matrix: Floats) -> None:
    """``total += factor * matrix``, some rows at a time: page faults make a large temporary expensive."""
    rows = 1 + 2**13 // matrix.shape[1]
    for start in range(0, len(matrix), rows):
        total[start : start + rows] += factor * matrix[start : start + rows]


def _as_dtype(array: Floats, dtype: np.dtype[Any]) -> Floats:
    """The array in that dtype: itself, unless the data were wider than the parameters."""
    if array.dtype == dtype:
        return array
    if dtype.kind != "f":
        raise TypeError(_NOT_FLOATING.format(dtype))
    return array.astype(dtype)


_NOT_FLOATING = "backprop takes real floating parameters, not {}; write parameters.astype(np.float64)"


# ------------------------------------------------------------------- losses by hand
# Each returns the value and, as a fresh array, the gradient with respect to the output; scale is 1 / batch.


def _half_squared_error(output: Floats, target: Floats, scale: float) -> tuple[Any, Floats]:
    difference = output - target
    value = 0.5 * scale * np.vdot(difference, difference)
    difference *= scale
    return value, difference


def _softmax_cross_entropy(logits: Floats, labels: Floats, scale: float) -> tuple[Any, Floats]:
    shifted = logits - logits.max(axis=-1, keepdims=True)
    gradient = np.exp(shifted)
    total = gradient.sum(axis=-1, keepdims=True)
    if labels.ndim == logits.ndim:
        value = -scale * np.vdot(labels, shifted - np.log(total))
        # The weights of an example may sum to anything: softmax times that sum, minus the weights.
        gradient *= labels.sum(axis=-1, keepdims=True) / total
        gradient -= labels
    else:
        examples = np.arange(len(labels))
        value = scale * (np.log(total).sum() - shifted[examples, labels].sum())
        gradient /= total
        gradient[examples, labels] -= 1.0
    gradient *= scale
    return value, gradient


def _binary_cross_entropy(logits: Floats, labels: Floats, scale: float) -> tuple[Any, Floats]:
    decay = np.exp(-np.abs(logits))
    value = scale * (np.maximum(logits, 0.0) - labels * logits + np.log1p(decay)).sum()
    gradient = np.where(logits >= 0.0, 1.0, decay)
    gradient /= 1.0 + decay
    gradient -= labels
    gradient *= scale
    return value, gradient


_LOSSES_BY_HAND: dict[str, LossAndGradient] = {
    "half_squared_error": _half_squared_error,
    "softmax_cross_entropy": _softmax_cross_entropy,
    "binary_cross_entropy": _binary_cross_entropy,
}
