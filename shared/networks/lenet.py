"""LeNet-5 in plain NumPy: convolutions as products with sliding windows, whose kernels are shared by all positions.

The network of LeCun, Bottou, Bengio & Haffner (1998, section II.B), as it is mostly taught, layer by layer::

    images      1@32x32
    C1          6@28x28     kernels of 5x5, tanh             (25 + 1) * 6       =    156 parameters
    S2          6@14x14     mean of 2x2                                              0
    C3         16@10x10     kernels of 5x5 on 6, tanh        (150 + 1) * 16     =  2,416
    S4         16@5x5       mean of 2x2                                              0
    C5        120           kernels of 5x5 on 16, tanh       (400 + 1) * 120    = 48,120
    F6         84           tanh                             (120 + 1) * 84     = 10,164
    output     10           logits                           (84 + 1) * 10      =    850
                                                                                  61,706

Where the paper differs: its C3 connects each map to some of the six only, its S2 and S4 have a factor and a bias a map,
its tanh is scaled, and its output measures distances to pictures of the digits.

The functions are plain NumPy code, for either engine, and know neither.  Parameters are pairs (W, b) as those of an
`MLP`, W of shape (n_in, n_out): a column of W is a kernel, and ``W[:, k].reshape(channels, 5, 5)`` its pictures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from shared.core.errors import user_line
from shared.networks.losses import softmax_cross_entropy
from shared.networks.mlp import Array, Parameters, initial_parameters

__all__ = ["SHAPES", "layers", "loss", "number_of_parameters", "parameters", "predict"]

#: The shape of W in every layer that has parameters: what goes into a unit, and how many different units there are.
SHAPES = {"C1": (25, 6), "C3": (150, 16), "C5": (400, 120), "F6": (120, 84), "output": (84, 10)}

_SIDE, _KERNEL = 32, 5


def number_of_parameters() -> int:
    """How many numbers the kernels, weights and biases hold together.

    >>> number_of_parameters()
    61706
    """
    return sum((n_in + 1) * n_out for n_in, n_out in SHAPES.values())


def parameters(
    rng: np.random.Generator, scheme: str = "scaled_normal", dtype: npt.DTypeLike = np.float64
) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """Draw initial parameters: biases zero, weights as `MLP.initialise` draws them.

    By default normal with standard deviation 1 / sqrt(n_in), n_in the number of inputs of a unit (LeCun, Bottou, Orr &
    Müller 1998, section 4.6).

    Args:
        rng: a `numpy.random.Generator`.
        scheme: one of `shared.networks.mlp.INITIALISERS`.
        dtype: a real floating dtype.

    Returns:
        A list of five pairs (W, b), of the shapes of `SHAPES`.

    Raises:
        ValueError: an unknown scheme, or a dtype that is not a real floating one.
        TypeError: rng is not a generator.

    >>> [W.shape for W, b in parameters(np.random.default_rng(0))]
    [(25, 6), (150, 16), (400, 120), (120, 84), (84, 10)]
    """
    return initial_parameters(SHAPES.values(), scheme, rng, dtype)


def predict(parameters: Parameters, images: Array) -> Array:
    """The logits of the ten digits; the digit itself is ``np.argmax(predict(parameters, images), axis=-1)``.

    Args:
        parameters: five pairs (W, b); arrays or tracers.
        images: shape (32, 32), or (batch, 32, 32) for a batch; a picture of 28x28 gets a border of 2, by
            ``np.pad(images, ((0, 0), (2, 2), (2, 2)))``.

    Returns:
        Shape (10,) or (batch, 10).

    Raises:
        ValueError: images or parameters of another shape.

    Cost: about 0.9 million operations an image.  The gradient with respect to all 61,706 parameters costs about 2.6
    evaluations in reverse mode, and 61,706 passes of about 2.6 evaluations, 160,000 evaluations, in forward mode.

    >>> predict(parameters(np.random.default_rng(0)), np.zeros((3, 32, 32))).shape
    (3, 10)
    """
    return layers(parameters, images)["output"]


def loss(parameters: Parameters, images: Array, labels: Array) -> Array:
    """The softmax cross-entropy of the logits, mean over the batch: what training minimises.

    Args:
        parameters: five pairs (W, b); differentiate with respect to them.
        images: as `predict` takes them.
        labels: integers from 0 to 9, one an image, or a row of weights over the ten digits an image.

    Returns:
        A scalar.

    Raises:
        ValueError: shapes that do not fit.
        TypeError: labels that are not integers.

    >>> zeros = [(0 * W, 0 * b) for W, b in parameters(np.random.default_rng(0))]
    >>> bool(np.isclose(loss(zeros, np.zeros((32, 32)), 7), np.log(10)))
    True
    """
    return softmax_cross_entropy(predict(parameters, images), labels)


def layers(parameters: Parameters, images: Array) -> dict[str, Array]:
    """What every layer computes, by its name in the paper: C1, S2, C3, S4, C5, F6, output.

    Args:
        parameters: as `predict` takes them.
        images: as `predict` takes them.

    Returns:
        Maps with their channels last: C1 of shape (28, 28, 6), or (batch, 28, 28, 6), and so on; vectors from C5 on.

    Raises:
        ValueError: images or parameters of another shape.

    >>> for name, maps in layers(globals()["parameters"](np.random.default_rng(0)), np.zeros((32, 32))).items():
    ...     print(name, maps.shape)
    C1 (28, 28, 6)
    S2 (14, 14, 6)
    C3 (10, 10, 16)
    S4 (5, 5, 16)
    C5 (120,)
    F6 (84,)
    output (10,)
    """
    if not hasattr(images, "shape"):
        images = np.asarray(images)
    _check(parameters, images)
    c1, c3, c5, f6, output = parameters
    batch = images.reshape(-1, _SIDE, _SIDE, 1)
    found = {"C1": np.tanh(_convolved(batch, c1))}
    found["S2"] = _subsampled(found["C1"])
    found["C3"] = np.tanh(_convolved(found["S2"], c3))
    found["S4"] = _subsampled(found["C3"])
    # A kernel of 5x5 has one position on a map of 5x5.
    found["C5"] = np.tanh(_convolved(found["S4"], c5))[:, 0, 0]
    found["F6"] = np.tanh(found["C5"] @ f6[0] + f6[1])
    found["output"] = found["F6"] @ output[0] + output[1]
    return found if images.ndim == 3 else {name: maps[0] for name, maps in found.items()}


def _convolved(maps: Array, layer: tuple[Array, Array]) -> Array:
    """Every window of the maps times every kernel: (batch, side, side, n) becomes (batch, side - 4, side - 4, m)."""
    weights, bias = layer
    windows = sliding_window_view(maps, (_KERNEL, _KERNEL), axis=(1, 2))
    batch, height, width = windows.shape[:3]
    # One product of matrices for all positions: they share the weights.
    products = windows.reshape(batch * height * width, -1) @ weights + bias
    return products.reshape(batch, height, width, -1)


def _subsampled(maps: Array) -> Array:
    """The mean of every 2x2: (batch, side, side, n) becomes (batch, side / 2, side / 2, n)."""
    batch, height, width, channels = maps.shape
    return maps.reshape(batch, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))


def _check(parameters: Parameters, images: Array) -> None:
    if images.ndim not in (2, 3) or images.shape[-2:] != (_SIDE, _SIDE) or 0 in images.shape:
        hint = "; give 28x28 a border: np.pad(images, ((0, 0), (2, 2), (2, 2)))" if images.shape[-1:] == (28,) else ""
        raise ValueError(
            f"images have shape {images.shape}{user_line()}; LeNet-5 takes (32, 32) or (batch, 32, 32){hint}"
        )
    if len(parameters) != len(SHAPES):
        raise ValueError(
            f"there are parameters for {len(parameters)} layers{user_line()}; LeNet-5 has {len(SHAPES)} pairs (W, b)"
        )
    for (name, shape), layer in zip(SHAPES.items(), parameters, strict=True):
        shapes = [np.shape(part) for part in layer]
        if shapes != [shape, shape[1:]]:
            found = ", ".join(map(str, shapes))
            raise ValueError(
                f"layer {name} has parameters of shape {found}{user_line()}; it wants W {shape} and b {shape[1:]}"
            )
