"""Samples of the library's own functions, as users call them and as the registry knows them."""

import numpy as np

from registry_samples.sample import over

_SHAPES = [(2, 3), (), float, np.float64, (0,)]

SPECIAL = [
    *over(["sigmoid(x)", "relu(x)", "softplus(x)", "softsign(x)"], _SHAPES),
    *over(["special.SIGMOID(x)", "special.RELU(x)", "special.SOFTPLUS(x)", "special.SOFTSIGN(x)"], [(2, 3)]),
    *over(["sigmoid(5 * x)", "softplus(30 * x)", "softplus(-30 * x)"], [(2, 3)]),
    *over(["logsumexp(x)", "logsumexp(x, axis=0)", "logsumexp(x, -1)", "logsumexp(x, axis=(0, 1))"], [(2, 3)]),
    *over(["logsumexp(x, keepdims=True)", "logsumexp(x, axis=1, keepdims=True)",
        "logsumexp(300 * x, axis=0)"], [(2, 3)]),
    *over(["logsumexp(x)"], [(), (4,), float]),
    *over(["special.LOGSUMEXP(x, axis=(-1, 0), keepdims=True)"], [(2, 1, 3)]),
    *over(["softmax(x)", "softmax(x, axis=0)", "log_softmax(x)", "log_softmax(x, 0)"], [(2, 3), (4,)]),
    *over(["softmax(x)", "log_softmax(x, 0)"], [(), float]),
    *over([f"special.SPHERICAL_BESSEL(x, order={n})" for n in range(4)], [(2, 3), ()]),
    *over(["np.sinc(0.1 * x)", "np.sinc(4 * x)", "np.sinc(1e-6 * x)"], [(2, 3)]),
]  # fmt: skip
