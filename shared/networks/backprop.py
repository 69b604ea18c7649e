"""Backpropagation by hand: the gradient of an MLP's loss in plain NumPy, without automatic differentiation.

It is the reference that the engines are checked against, and the speed they are measured against: the same
arithmetic with no bookkeeping.  It knows the networks of `shared.networks.mlp` and the losses of
`shared.networks.losses`, by their formulas, and nothing else: no engine, no registry, no tracer.  Each formula here is
written out anew, so that an error in the code under test cannot hide in the reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import numpy.typing as npt

from shared.core.errors import user_line
from shared.networks.losses import find_loss, matching_target
from shared.networks.mlp import ACTIVATIONS, MLP, Parameters
from shared.networks.passes import Passes, view

__all__ = ["backprop"]

Floats: TypeAlias = npt.NDArray[Any]
LossAndGradient: TypeAlias = Callable[[Floats, Floats, float], tuple[Any, Floats]]
Gradient: TypeAlias = list[tuple[Floats, Floats]]


@overload
def backprop(
    mlp: MLP,
    parameters: Parameters,
    x: npt.ArrayLike,
    target: npt.ArrayLike,
    loss: str = ...,
    l2: float = ...,
    *,
    deltas: Literal[False] = False,
) -> tuple[Any, Gradient]: ...
@overload
def backprop(
    mlp: MLP,
    parameters: Parameters,
    x: npt.ArrayLike,
    target: npt.ArrayLike,
    loss: str = ...,
    l2: float = ...,
    *,
    deltas: Literal[True],
) -> tuple[Any, Gradient, Passes]: ...
def backprop(
    mlp: MLP,
    parameters: Parameters,
    x: npt.ArrayLike,
    target: npt.ArrayLike,
    loss: str = "softmax_cross_entropy",
    l2: float = 0.0,
    *,
    deltas: bool = False,
) -> tuple[Any, Gradient] | tuple[Any, Gradient, Passes]:
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
        deltas: whether to return what was computed on the way, too.

    Returns:
        The value, and the gradient: a list of pairs (dC/dW, dC/db) of the parameters' shapes and dtypes,
        fresh arrays.  With `deltas` also the `Passes`: w, b, z, a and delta of every layer by index.

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
    >>> _, _, found = backprop(
    ...     mlp, [(np.array([[0.5]]), np.array([0.0]))], [2.0], [0.0], loss="half_squared_error", deltas=True
    ... )
    >>> found.z[1], bool(found.delta[1] == db)
    (array([1.]), True)
    """
    find_loss(loss)
    a, wanted = np.asarray(x), np.asarray(target)
    mlp.check(parameters, a)
    one_example = a.ndim == 1
    if one_example:
        a, wanted = a[np.newaxis], wanted[np.newaxis]
    last = len(parameters) - 1
    names = [mlp.activation] * last + [mlp.output]

    # Where an activation is the identity, a is z: nothing may write into either.
    weighted, activated = [], [a]
    for name, (weights, bias) in zip(names, parameters, strict=True):
        z = a @ weights
        z += bias
        a = ACTIVATIONS[name].function(z)
        weighted.append(z)
        activated.append(a)

    if a.dtype.kind != "f":
        raise TypeError(_NOT_FLOATING.format(a.dtype) + user_line())
    batch = len(a)
    wanted = matching_target(a, wanted, integer_labels=loss == "softmax_cross_entropy")
    value, delta = _LOSSES_BY_HAND[loss](a, wanted, 1.0 / batch)
    ones = np.ones(batch, delta.dtype)
    gradient: list[Any] = [None] * (last + 1)
    errors: dict[int, Floats] = {}
    for number in range(last, -1, -1):
        weights, bias = parameters[number]
        if number < last:
            delta = delta @ parameters[number + 1][0].T  # (2)
        derivative = ACTIVATIONS[names[number]].derivative
        if derivative is not None:
            delta *= derivative(weighted[number], activated[number + 1])  # (1), (2)
        if deltas:
            errors[number + 1] = delta
        # One example is an outer product, which NumPy does faster element by element than as a product of
        # matrices.
        a = activated[number]
        for_weights = a.T @ delta if batch > 1 else a.T * delta  # (4)
        for_bias = ones @ delta  # (3)
        if l2:
            flat = weights.ravel()
            value += 0.5 * l2 * (flat @ flat)
            _add_scaled(for_weights, l2, weights)
        gradient[number] = (_as_dtype(for_weights, weights.dtype), _as_dtype(for_bias, bias.dtype))
    if not deltas:
        return value, gradient
    return value, gradient, _passes(parameters, weighted, activated, errors, one_example)


def _passes(
    parameters: Parameters,
    weighted: list[Floats],
    activated: list[Floats],
    errors: dict[int, Floats],
    one_example: bool,
) -> Passes:
    """What was computed, by layer, in the shape that x was given in."""
    row: Any = 0 if one_example else slice(None)
    pairs = zip(weighted, activated[1:], strict=True)
    return Passes(
        w={layer: view(weights.T) for layer, (weights, _) in enumerate(parameters, 1)},
        b={layer: view(bias) for layer, (_, bias) in enumerate(parameters, 1)},
        z={layer: z[row] for layer, z in enumerate(weighted, 1)},
        # The identity returns z itself, of which a^l is then a copy: no array here is another one.
        a={0: view(activated[0][row])}
        | {layer: (a.copy() if a is z else a)[row] for layer, (z, a) in enumerate(pairs, 1)},
        delta={layer: errors[layer][row] for layer in sorted(errors)},
    )


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
        raise TypeError(_NOT_FLOATING.format(dtype) + user_line())
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
