"""GradBench's `gmm`: the log posterior of a mixture of Gaussians under a Wishart prior, and its gradient.

K Gaussians in D dimensions have weights softmax(alpha), means mu_k and precision matrices Q_k^T Q_k, where Q_k is lower
triangular with diagonal exp(q_k) and the numbers l_k below it, column by column.  The prior of a precision matrix is
Wishart with scale I / gamma^2 and D + m + 1 degrees of freedom.

Srajer, Kukelova & Fitzgibbon 2018, "A benchmark of selected algorithmic differentiation tools on some problems in
computer vision and machine learning", section 4.1, with GradBench's corrections.  The gradient is one reverse sweep.
"""

import math
from functools import cache, partial
from typing import Any

import numpy as np

import reversead
from benchmarks.gradbench.protocol import Function, Input

#: The names of what is differentiated, in GradBench's order.
INDEPENDENT = ("alpha", "mu", "q", "l")


@cache
def places(dimensions: int) -> Any:
    """Where each entry of Q stands in the row [exp(q), l, 0]."""
    below = dimensions * (dimensions - 1) // 2
    found = np.full((dimensions, dimensions), dimensions + below)
    np.fill_diagonal(found, np.arange(dimensions))
    # The upper triangle of the transpose, row by row, is the lower one column by column.
    found.T[np.triu_indices(dimensions, 1)] = dimensions + np.arange(below)
    return found


def log_sum_exp(values: Any) -> Any:
    """log(sum(exp(values))) along the first axis."""
    largest = np.max(values, axis=0)
    return largest + np.log(np.sum(np.exp(values - largest), axis=0))


def log_multivariate_gamma(x: float, dimensions: int) -> float:
    """The logarithm of the multivariate gamma function of x (Muirhead 1982, theorem 2.1.12)."""
    factors = sum(math.lgamma(x - j / 2.0) for j in range(dimensions))
    return dimensions * (dimensions - 1) / 4.0 * math.log(math.pi) + factors


def log_posterior(alpha: Any, mu: Any, q: Any, l: Any, x: Any, m: int, gamma: float) -> Any:  # noqa: E741
    """Log posterior of the parameters, given points x of shape (N, D); mu and q have shape (K, D)."""
    components, dimensions = mu.shape
    points = len(x)
    entries = np.concatenate([np.exp(q), l, np.zeros((components, 1))], axis=1)
    transposed = np.swapaxes(entries[:, places(dimensions)], 1, 2)
    whitened = x @ transposed - mu[:, None, :] @ transposed
    exponents = (alpha + np.sum(q, axis=1))[:, None] - 0.5 * np.sum(whitened * whitened, axis=2)
    normaliser = 0.5 * dimensions * math.log(2.0 * math.pi) + log_sum_exp(alpha)
    likelihood = np.sum(log_sum_exp(exponents)) - points * normaliser
    freedom = dimensions + m + 1
    constant = freedom * dimensions * math.log(gamma / math.sqrt(2.0)) - log_multivariate_gamma(
        freedom / 2.0, dimensions
    )
    # The entries of Q are those of the row, and zeros.
    prior = components * constant - 0.5 * gamma**2 * np.sum(entries * entries) + m * np.sum(q)
    return likelihood + prior


gradient = reversead.grad(log_posterior, argnums=(0, 1, 2, 3))


def _operands(given: Input) -> tuple[Any, ...]:
    components, dimensions = int(given["k"]), int(given["d"])
    below = np.array(given["l"], dtype=float).reshape(components, dimensions * (dimensions - 1) // 2)
    alpha, mu, q, x = (np.array(given[name], dtype=float) for name in ("alpha", "mu", "q", "x"))
    return alpha, mu, q, below, x, int(given["m"]), float(given["gamma"])


FUNCTIONS = {
    "objective": Function(lambda given: partial(log_posterior, *_operands(given))),
    "jacobian": Function(
        lambda given: partial(gradient, *_operands(given)),
        lambda found: {name: part.tolist() for name, part in zip(INDEPENDENT, found, strict=True)},
    ),
}
