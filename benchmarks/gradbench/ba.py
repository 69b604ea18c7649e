"""GradBench's `ba`: the residuals of bundle adjustment, and their sparse Jacobian.

A camera has 11 parameters: an axis of rotation times its angle, a centre, a focal length, a principal point, and two
coefficients of radial distortion.  An observation sees one point by one camera, with a weight: two residuals, and a
third that keeps the weight near one.  So a row of the Jacobian has at most 15 entries, of thousands of columns, and
forward mode takes the whole Jacobian in 15 directions (Curtis, Powell & Reid 1974), which a colouring of its pattern
finds.  Triggs, McLauchlan, Hartley & Fitzgibbon 2000, "Bundle adjustment: a modern synthesis"; Srajer, Kukelova &
Fitzgibbon 2018, section 4.2.  It needs SciPy.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np

import dualad
from benchmarks.gradbench.protocol import Function, Input

CAMERA = 11
#: The columns of one observation: a camera, a point, a weight.
BLOCK = CAMERA + 3 + 1


class Scene(NamedTuple):
    """Sizes, and what is not differentiated: which camera sees which point in an observation, and where."""

    cameras: int
    points: int
    camera_of: Any
    point_of: Any
    features: Any


def rotated(rotations: Any, vectors: Any) -> Any:
    """Each vector turned about its axis by its angle, which are the direction and length of `rotations` (Rodrigues)."""
    squares = np.sum(rotations * rotations, axis=1, keepdims=True)
    still = squares == 0.0
    # Without an angle there is no axis; a small rotation adds r x v, which has the derivative there.
    angles = np.sqrt(np.where(still, 1.0, squares))
    axes = rotations / angles
    cosines, sines = np.cos(angles), np.sin(angles)
    along = np.sum(axes * vectors, axis=1, keepdims=True) * (1.0 - cosines)
    turned = vectors * cosines + np.cross(axes, vectors) * sines + axes * along
    return np.where(still, vectors + np.cross(rotations, vectors), turned)


def residuals(cameras: Any, points: Any, weights: Any, scene: Scene) -> tuple[Any, Any]:
    """The weighted errors of reprojection, two an observation, and what the weights cost, one an observation."""
    camera = cameras[scene.camera_of]
    seen = rotated(camera[:, :3], points[scene.point_of] - camera[:, 3:6])
    flat = seen[:, :2] / seen[:, 2:]
    square = np.sum(flat * flat, axis=1, keepdims=True)
    distorted = flat * (1.0 + camera[:, 9:10] * square + camera[:, 10:11] * square * square)
    projected = distorted * camera[:, 6:7] + camera[:, 7:9]
    return weights[:, None] * (projected - scene.features), 1.0 - weights * weights


def all_residuals(parameters: Any, scene: Scene) -> Any:
    """The same of one vector of all cameras, points and weights: all errors of reprojection, then all of weights."""
    to_points, to_weights = CAMERA * scene.cameras, CAMERA * scene.cameras + 3 * scene.points
    errors, costs = residuals(
        parameters[:to_points].reshape(scene.cameras, CAMERA),
        parameters[to_points:to_weights].reshape(scene.points, 3),
        parameters[to_weights:],
        scene,
    )
    return np.concatenate([errors.ravel(), costs])


def pattern(scene: Scene) -> Any:
    """Which entries GradBench has: for a residual the columns of its camera, its point and its weight."""
    from scipy.sparse import csr_array

    observations = len(scene.camera_of)
    weights = CAMERA * scene.cameras + 3 * scene.points + np.arange(observations)
    columns = np.column_stack(
        [
            CAMERA * scene.camera_of[:, None] + np.arange(CAMERA),
            CAMERA * scene.cameras + 3 * scene.point_of[:, None] + np.arange(3),
            weights,
        ]
    )
    starts = np.concatenate(
        [BLOCK * np.arange(2 * observations), 2 * BLOCK * observations + np.arange(observations + 1)]
    )
    indices = np.concatenate([np.repeat(columns, 2, axis=0).ravel(), weights])
    size = weights[-1] + 1
    return csr_array((np.ones(indices.size, bool), indices, starts), shape=(3 * observations, size))


def jacobian(scene: Scene) -> Any:
    """The function of one vector of parameters that returns the Jacobian, a `scipy.sparse.csr_array`; coloured once."""
    from shared import colour

    return dualad.sparse_jacobian(partial(all_residuals, scene=scene), pattern=colour(pattern(scene), "columns"))


def operands(given: Input) -> tuple[Any, Any, Any, Scene]:
    """Cameras, points, weights and scene: GradBench sends one of each, which are repeated."""
    n, m, p = (int(given[name]) for name in ("n", "m", "p"))
    numbers = np.arange(p)
    scene = Scene(n, m, numbers % n, numbers % m, np.tile(np.array(given["feat"], dtype=float), (p, 1)))
    cameras, points = (np.tile(np.array(given[name], dtype=float), (k, 1)) for name, k in (("cam", n), ("x", m)))
    return cameras, points, np.full(p, float(given["w"])), scene


def _objective(given: Input) -> Any:
    return partial(residuals, *operands(given))


def _jacobian(given: Input) -> Any:
    cameras, points, weights, scene = operands(given)
    return partial(jacobian(scene), np.concatenate([cameras.ravel(), points.ravel(), weights]))


def _encode_residuals(found: tuple[Any, Any]) -> dict[str, Any]:
    errors, costs = found
    return {
        "reproj_error": {"elements": errors[0].tolist(), "repeated": len(errors)},
        "w_err": {"element": float(costs[0]), "repeated": len(costs)},
    }


def _encode_matrix(found: Any) -> dict[str, Any]:
    """The first 30 and the last of each array of the matrix: all others are repetitions."""
    arrays = {"rows": found.indptr, "cols": found.indices, "vals": found.data}
    return {name: [*array[:30].tolist(), array[-1].item()] for name, array in arrays.items()}


FUNCTIONS = {
    "objective": Function(_objective, _encode_residuals),
    "jacobian": Function(_jacobian, _encode_matrix),
}
