"""Functions of weights and data that arrays of other libraries are put through, and a run of one library's arrays.

`python -m tests.foreign_functions cupy` does so on a machine that has CuPy and a GPU, `jax.numpy` in place of `cupy`
where JAX is. It prints whether each gradient, in both engines, is that of NumPy's arrays, and exits with 1 if not.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import numpy as np

import dualad
import reversead
import shared

_rng = np.random.default_rng(0)
X = _rng.normal(size=(40, 6))
Y = (_rng.uniform(size=40) > 0.5) * 1.0
W = _rng.normal(size=6)
V = _rng.normal(size=6)


def logistic(w, x, y):
    z = x @ w
    return np.sum(np.logaddexp(0.0, z) - y * z)


def cross_entropy(w, x, y):
    p = 1 / (1 + np.exp(-(x @ w)))
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))


def least_squares(w, x, y):
    return np.sum((x @ w - y) ** 2) / 2 + 0.1 * np.sum(w**2)


def network(w, x, y):
    hidden = np.tanh(x @ np.reshape(w, (6, 1)) + 0.5)
    return np.mean((np.maximum(hidden, 0.1)[:, 0] - y) ** 2)


def softmax(w, x, y):
    z = x * w
    e = np.exp(z - np.max(z, axis=1, keepdims=True))
    return -np.sum(np.log(e[:, 0] / np.sum(e, axis=1)))


def choices(w, x, y):
    return np.sum(np.where(x > 0, x * w, x - w) * np.sin(x)) + np.sum(np.clip(x * w, -1, 1) * np.sqrt(np.abs(x) + 1))


def moves(w, x, y):
    joined = np.concatenate([x * w, np.stack([w, w * w])])
    return np.sum(np.transpose(joined)[0] ** 2) + np.sum(x[5:9] * w) + np.sum((x * w)[:, 1] ** 2)


def spreads(w, x, y):
    return np.sum(np.std(x * w, axis=0)) + np.var(x * w) + np.sum(np.mean(x, axis=0) * w)


def assignments(w, x, y):
    z = np.copy(x * w)
    z[3] = z[4] * 2
    z[:, 1] += 1
    z[5:7] *= z[7:9]
    return np.sum(z * z)


def our_functions(w, x, y):
    return np.sum(shared.logsumexp(x * w, axis=1)) + np.sum(shared.log_softmax(x * w, axis=1)[:, 0]) + np.sum(
        shared.relu(x * w) + shared.sigmoid(x * w) + shared.softplus(x * w)
    )  # fmt: skip


def products(w, x, y):
    return np.sum(np.einsum("ij,j->i", x, w) ** 2) + np.sum(np.cumsum(x * w, axis=0)) + np.sum(np.prod(x * w, axis=1))


FUNCTIONS = [
    logistic, cross_entropy, least_squares, network, softmax, choices, moves, spreads, assignments, our_functions,
    products,
]  # fmt: skip


def run(library: str) -> int:
    """How many gradients of a library's arrays are not those of NumPy's, each reported on a line."""
    if library == "jax.numpy":
        import_module("jax").config.update("jax_enable_x64", True)
    namespace = import_module(library)
    failures = 0
    for f in FUNCTIONS:
        for engine in (dualad, reversead):
            expected = engine.grad(f)(W, X, Y)
            try:
                found = engine.grad(f)(*map(namespace.asarray, (W, X, Y)))
                right = np.allclose(_plain(found), expected, rtol=1e-10)
                said = f"{'right' if right else 'WRONG'}, as {type(found).__module__}.{type(found).__name__}"
            except Exception as error:
                right, said = False, f"{type(error).__name__}: {error}"
            failures += not right
            print(f"{f.__name__:16} {engine.__name__:10} {said}")
    return failures


def _plain(array: Any) -> np.ndarray:
    return array.get() if hasattr(array, "get") else np.asarray(array)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print("usage: python -m tests.foreign_functions LIBRARY, such as cupy, jax.numpy, dask.array")
        sys.exit(0 if sys.argv[1:] else 2)
    sys.exit(bool(run(sys.argv[1])))
