"""The losses of supervised learning, each a few NumPy operations.

Every function here is ordinary NumPy code of the output of some model, so that either engine differentiates
it and plain arrays go through it unchanged.  The operations are kept few on purpose: under automatic
differentiation each of them costs about a microsecond whatever the size of its arrays.  The module knows
nothing about networks, engines or training.

All losses are means over the batch and sums over the outputs of an example.  An output of shape (outputs,) is
one example; one of shape (batch, outputs) is a batch.  A model with one output an example has outputs of shape
(batch, 1): write ``output[:, np.newaxis]`` when it returns shape (batch,).  All quantities are dimensionless;
all logarithms are natural.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

import numpy as np

from shared.core.errors import user_line
from shared.rules.special import log_softmax, softplus

__all__ = [
    "LOSSES",
    "binary_cross_entropy",
    "find_loss",
    "half_squared_error",
    "l2_penalty",
    "matching_target",
    "softmax_cross_entropy",
]

#: A NumPy array, or the tracer that stands for one while it is differentiated.
Array: TypeAlias = Any

Loss: TypeAlias = Callable[[Array, Array], Array]


def half_squared_error(output: Array, target: Array) -> Array:
    """Half the squared distance between output and target, mean over the batch.

    ``1 / (2 n) sum_i |output_i - target_i|^2`` for a batch of n examples (Nielsen 2015, chapter 1).

    Args:
        output: shape (outputs,) or (batch, outputs), any floating dtype.
        target: the same shape; taken in the output's dtype.

    Returns:
        A scalar of the output's dtype.

    Raises:
        ValueError: the shapes differ, or the output is neither one example nor a batch.

    >>> float(half_squared_error(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 0.0], [3.0, 4.0]])))
    1.0
    """
    target = matching_target(output, target)
    return np.square(output - target).sum() * (0.5 / batch_size(output))


def softmax_cross_entropy(logits: Array, labels: Array) -> Array:
    """Cross-entropy between labels and the softmax of the logits, mean over the batch.

    ``-1/n sum_i sum_k labels_ik log softmax(logits_i)_k``, computed from the logits through the logarithm of
    the softmax, so that it is finite for logits of any finite size (Bishop 2006, section 4.3.4).

    Args:
        logits: shape (classes,) or (batch, classes), any floating dtype.
        labels: either integers, one an example (a scalar, or shape (batch,)), from 0 to classes - 1; or one
            row of weights over the classes an example, of the logits' shape: one-hot, or any distribution.

    Returns:
        A scalar of the logits' dtype.

    Raises:
        ValueError: the labels have neither shape, or an integer label names no class.
        TypeError: one label an example, but not integers.

    >>> logits = np.array([[2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    >>> print(f"{softmax_cross_entropy(logits, np.array([0, 2])):.6f}")
    0.669079
    >>> print(f"{softmax_cross_entropy(logits, np.array([[1, 0, 0], [0, 0, 1]])):.6f}")
    0.669079
    """
    labels = matching_target(logits, labels, integer_labels=True)
    log_probabilities = log_softmax(logits, axis=-1)
    if labels.ndim == logits.ndim:
        # vdot conjugates its first argument: labels are real, so this stays analytic in the logits (complex
        # step works).
        return np.vdot(labels, log_probabilities) * (-1.0 / batch_size(logits))
    if labels.ndim == 0:
        return -log_probabilities[labels]
    return log_probabilities[np.arange(len(labels)), labels].sum() * (-1.0 / len(labels))


def binary_cross_entropy(logits: Array, labels: Array) -> Array:
    """Cross-entropy of independent yes-or-no outputs, given as logits, mean over the batch.

    ``-1/n sum_i sum_k [y log s(z) + (1 - y) log(1 - s(z))]`` with s the logistic function, computed as
    ``softplus(z) - y z``, which is the same and is finite for logits of any finite size (Bishop 2006, section
    4.3.2; summed over the outputs it is Nielsen 2015, chapter 3).

    Args:
        logits: shape (outputs,) or (batch, outputs), any floating dtype.
        labels: the same shape, 0 or 1 or a probability between; taken in the logits' dtype.

    Returns:
        A scalar of the logits' dtype.

    Raises:
        ValueError: the shapes differ, or the logits are neither one example nor a batch.

    >>> print(f"{binary_cross_entropy(np.array([0.0, 1000.0]), np.array([1, 1])):.6f}")
    0.693147
    """
    labels = matching_target(logits, labels)
    return (softplus(logits) - labels * logits).sum() * (1.0 / batch_size(logits))


def l2_penalty(parameters: Iterable[tuple[Array, Array]], strength: float) -> Array:
    """The penalty ``strength / 2 * sum |W|^2`` on the weights W of a network; biases are not penalised.

    Also called weight decay: its gradient is ``strength * W``.  The strength is not divided by the size of a
    batch or of the training set (Nielsen 2015, chapter 3, divides: his lambda is ``strength * n``).

    Args:
        parameters: pairs (W, b), as ``MLP.initialise`` returns them.
        strength: the factor, usually called lambda.

    Returns:
        A scalar of the weights' dtype.

    >>> float(l2_penalty([(np.array([[3.0, 4.0]]), np.array([100.0]))], 0.1))
    1.25
    """
    total: Array = 0.0
    for weights, _ in parameters:
        total = total + np.square(weights).sum()
    return total * (0.5 * strength)


#: Every loss by its name: a function of (output, target).
LOSSES: dict[str, Loss] = {
    "half_squared_error": half_squared_error,
    "softmax_cross_entropy": softmax_cross_entropy,
    "binary_cross_entropy": binary_cross_entropy,
}


def find_loss(name: str) -> Loss:
    """The loss of that name, from `LOSSES`.

    Raises:
        ValueError: there is no such loss; the message lists those there are.

    >>> find_loss("half_squared_error") is half_squared_error
    True
    """
    if name not in LOSSES:
        raise ValueError(f"there is no loss {name!r}{user_line()}; choose one of {', '.join(sorted(LOSSES))}")
    return LOSSES[name]


def batch_size(output: Array) -> int:
    """The number of examples in an output: 1 for shape (outputs,), n for shape (n, outputs).

    >>> batch_size(np.zeros(10)), batch_size(np.zeros((32, 10)))
    (1, 32)
    """
    return 1 if output.ndim == 1 else int(output.shape[0])


def matching_target(output: Array, target: Array, integer_labels: bool = False) -> Array:
    """The target, checked against the output and in its dtype, so that a float32 model keeps a float32 loss.

    Shapes have to agree exactly: NumPy would broadcast a target of shape (n,) against an output of shape (n,
    1) to n * n differences without a word.

    Args:
        output: what the model returned, shape (outputs,) or (batch, outputs).
        target: what it should have returned: an array, or numbers in nested lists.
        integer_labels: whether integers, one an example, are allowed too; they are returned as they are.

    Raises:
        ValueError: a shape that does not fit, an empty batch, or an integer label that names no class.
        TypeError: one label an example, but not integers.

    >>> matching_target(np.zeros((2, 3), np.float32), [[1, 0, 0], [0, 1, 0]]).dtype
    dtype('float32')
    """
    if not hasattr(target, "ndim"):
        target = np.asarray(target)
    if target.shape == output.shape and output.ndim in (1, 2) and output.shape[0] > 0:
        if target.dtype != output.dtype and output.dtype.kind in "fc":
            return target.astype(output.dtype)
        return target
    if output.ndim not in (1, 2) or 0 in output.shape:
        raise ValueError(
            f"the output has shape {output.shape}{user_line()}"
            "; a loss takes one example of shape (outputs,) or a batch of"
            " shape (batch, outputs), neither empty"
        )
    if not integer_labels or target.shape != output.shape[:-1]:
        allowed = f"{output.shape}" + (f", or integers of shape {output.shape[:-1]}" if integer_labels else "")
        raise ValueError(
            f"the target has shape {target.shape}{user_line()}; an output of shape {output.shape} needs {allowed}"
        )
    if target.dtype.kind not in "iu":
        raise TypeError(
            f"one label an example has to be an integer, not {target.dtype}{user_line()}; write labels.astype(int), or"
            " give a row of weights over the classes an example"
        )
    classes = output.shape[-1]
    # A negative index would count from the end, silently; one beyond the end is reported in the words of the
    # loss.
    if target.min() < 0 or target.max() >= classes:
        raise ValueError(
            f"labels go from {target.min()} to {target.max()}{user_line()}; with {classes} outputs they have to lie in"
            f" 0 to {classes - 1}"
        )
    return target
