"""GradBench's `ht`: how far a model of a hand lies from measured points, and the Jacobian of that.

A hand has bones, each turned relative to its parent by Euler angles; its skin follows them by weights (linear blend
skinning, Lander 1998).  26 parameters: a rotation (axis times angle) and a translation of all, and four angles a
finger.  Where a measured point belongs to a triangle, two more parameters say where in it.  A residual then depends on
28 columns of many, and forward mode takes those in 28 directions: one direction moves the first coordinate of all
triangles at once, another the second.  Taylor et al. 2014, "User-specific hand modeling from monocular depth
sequences"; Srajer, Kukelova & Fitzgibbon 2018, section 4.3.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np

import dualad
from benchmarks.gradbench.protocol import Function, Input

#: Below this angle there is no axis, and no rotation: the model's own rule.
SMALLEST_ANGLE = 1e-4
FINGERS = 5
#: Of the parameters of a finger: flexion and abduction of its first bone, flexion of the second and third.
FINGER_PARAMETERS = 4


class Hand(NamedTuple):
    """The model and the measurements; none of it is differentiated."""

    parents: tuple[int, ...]
    #: Shape (bones, 4, 4): homogeneous transforms at rest, relative to the parent, and back from the absolute ones.
    relatives: Any
    inverses: Any
    #: Homogeneous, of shape (vertices, 4), and what each bone weighs in it, of shape (vertices, bones).
    positions: Any
    weights: Any
    triangles: Any
    mirrored: bool
    #: For each measured point its vertex, or its triangle where there are coordinates in it.
    correspondences: Any
    points: Any


def angle_places(bones: int) -> Any:
    """Where the angles about x, y and z of each bone stand in the parameters with a zero behind; shape (bones, 3)."""
    zero = 6 + FINGERS * FINGER_PARAMETERS
    found = np.full((bones, 3), zero)
    for finger in range(FINGERS):
        first, parameter = 2 + 4 * finger, 6 + FINGER_PARAMETERS * finger
        found[first : first + 3, 0] = parameter + np.array([0, 2, 3])
        found[first, 2] = parameter + 1
    return found


def euler_rotations(angles: Any) -> Any:
    """Rz Ry Rx for each row of angles about x, y and z; shape (rows, 3, 3)."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(angles).T, np.sin(angles).T
    return np.stack(
        [
            np.stack([cz * cy, cz * sy * sx - sz * cx, cz * sy * cx + sz * sx], axis=-1),
            np.stack([sz * cy, sz * sy * sx + cz * cx, sz * sy * cx - cz * sx], axis=-1),
            np.stack([-sy, cy * sx, cy * cx], axis=-1),
        ],
        axis=1,
    )


def axis_rotation(rotation: Any) -> Any:
    """The matrix that turns about an axis by an angle, given as the direction and length of a vector (Rodrigues)."""
    square = np.sum(rotation * rotation)
    if square < SMALLEST_ANGLE**2:
        return np.eye(3)
    angle = np.sqrt(square)
    x, y, z = rotation / angle
    zero = 0.0 * x
    crossing = np.stack([zero, -z, y, z, zero, -x, -y, x, zero]).reshape(3, 3)
    return np.eye(3) + np.sin(angle) * crossing + (1.0 - np.cos(angle)) * (crossing @ crossing)


def vertices(theta: Any, hand: Hand) -> Any:
    """Where the vertices of the skin lie; shape (vertices, 3)."""
    bones = len(hand.parents)
    angles = np.concatenate([theta, np.zeros(1)])[angle_places(bones)]
    turned = np.concatenate([hand.relatives[:, :, :3] @ euler_rotations(angles), hand.relatives[:, :, 3:]], axis=2)
    absolutes: list[Any] = []
    for bone, parent in enumerate(hand.parents):
        absolutes.append(turned[bone] if parent < 0 else absolutes[parent] @ turned[bone])
    transforms = (np.stack(absolutes) @ hand.inverses)[:, :3].reshape(bones, 12)
    blended = (hand.weights @ transforms).reshape(-1, 3, 4)
    skin = np.sum(blended * hand.positions[:, None, :], axis=2)
    if hand.mirrored:
        skin = skin * np.array([-1.0, 1.0, 1.0])
    return skin @ axis_rotation(theta[:3]).T + theta[3:6]


def residuals(theta: Any, us: Any, hand: Hand) -> Any:
    """Measured points less those of the model, of shape (points, 3); `us` has shape (points, 2), or no element."""
    skin = vertices(theta, hand)
    if not us.size:
        return hand.points - skin[hand.correspondences]
    corners = hand.triangles[hand.correspondences]
    first, second, third = (skin[corners[:, corner]] for corner in range(3))
    u, v = us[:, :1], us[:, 1:]
    return hand.points - (u * first + v * second + (1.0 - u - v) * third)


def jacobian(theta: Any, us: Any, hand: Hand) -> Any:
    """The derivatives of each residual, a row: in its own two coordinates where there are any, then in theta."""

    def moved(shift: Any) -> Any:
        if not us.size:
            return residuals(theta + shift, us, hand)
        # A residual depends on its own row alone, so moving all rows alike says what each does.
        return residuals(theta + shift[2:], us + shift[:2], hand)

    directions = theta.size + (2 if us.size else 0)
    return dualad.jacobian(moved)(np.zeros(directions)).reshape(-1, directions)


def operands(given: Input) -> tuple[Any, Any, Hand]:
    """theta, the coordinates in triangles, and the hand, of a message's input."""
    model, data = given["data"]["model"], given["data"]
    arrays = {
        name: np.array(model[key], dtype=float)
        for name, key in (
            ("relatives", "base_relatives"),
            ("inverses", "inverse_base_absolutes"),
            ("positions", "base_positions"),
            ("weights", "weights"),
        )
    }
    hand = Hand(
        parents=tuple(model["parents"]),
        triangles=np.array(model["triangles"], dtype=int),
        mirrored=bool(model["is_mirrored"]),
        correspondences=np.array(data["correspondences"], dtype=int),
        points=np.array(data["points"], dtype=float),
        **arrays,
    )
    return np.array(given["theta"], dtype=float), np.array(given["us"], dtype=float), hand


FUNCTIONS = {
    "objective": Function(lambda given: partial(residuals, *operands(given)), lambda found: found.ravel().tolist()),
    "jacobian": Function(lambda given: partial(jacobian, *operands(given))),
}
