"""GradBench's `kmeans`: the cost of centroids, sum_i min_j |c_j - p_i|^2, and Newton's step on it.

The Hessian is diagonal, so that its product with a vector of ones is its diagonal.  One forward direction through one
reverse sweep has both the gradient and that product.  Bottou & Bengio 1994, "Convergence properties of the k-means
algorithms", section 3.
"""

from functools import partial
from typing import Any

import numpy as np

import dualad
import reversead
from benchmarks.gradbench.protocol import Function, Input


def nearest(points: Any, centroids: Any) -> Any:
    """For each point the number of the nearest centroid; |p|^2, which is the same for all, is left out."""
    return np.argmin(np.sum(centroids * centroids, axis=1) - 2.0 * (points @ centroids.T), axis=1)


def cost(centroids: Any, points: Any) -> Any:
    """The sum of the squared distances from each point to its nearest centroid.

    Which centroid is nearest is a number, constant around almost every argument; so the minimum's derivative is that of
    the distance it takes.
    """
    distances = points - centroids[nearest(points, reversead.stop_gradient(centroids))]
    return np.sum(distances * distances)


def newton_step(centroids: Any, points: Any) -> Any:
    """The gradient divided by the diagonal of the Hessian, in the shape of the centroids."""
    gradient = reversead.grad(cost)
    slope, diagonal = dualad.jvp(lambda at: gradient(at, points), (centroids,), (np.ones_like(centroids),))
    return slope / diagonal


def _operands(given: Input) -> tuple[Any, Any]:
    return np.array(given["centroids"], dtype=float), np.array(given["points"], dtype=float)


FUNCTIONS = {
    "cost": Function(lambda given: partial(cost, *_operands(given))),
    "dir": Function(lambda given: partial(newton_step, *_operands(given))),
}
