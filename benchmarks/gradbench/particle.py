"""GradBench's `particle`: the charge that steers a particle through the origin.

Two fixed charges, at (10, 10 - w) and (10, 0), repel a particle that starts at (0, 8) with velocity (0.75, 0).  Euler's
method follows its path until it crosses the x axis, where it is interpolated; w is wanted for which it crosses at the
origin.  The force is the gradient of a potential, taken by one mode at each step, and the descent's gradient, by the
same or the other mode, differentiates through all of it.  Siskind & Pearlmutter 2008.
"""

from functools import cache, partial
from typing import Any

import numpy as np

from benchmarks.gradbench.descent import GRADIENTS, MODES, argmin
from benchmarks.gradbench.protocol import Function, Input
from shared.programs import compile

TIME_STEP = 0.1
START, VELOCITY = (0.0, 8.0), (0.75, 0.0)


#: The charges are the first matrix less w times the second.
CHARGES, MOVED = np.array([[10.0, 10.0], [10.0, 0.0]]), np.array([[0.0, 1.0], [0.0, 0.0]])


def potential(position: Any, charges: Any) -> Any:
    """The sum of the reciprocal distances to the charges, one a row."""
    between = position - charges
    return np.sum(1.0 / np.sqrt(np.sum(between * between, axis=1)))


@cache
def force(mode: str) -> Any:
    """The potential's gradient by one mode, with the sign changed; compiled, for when nothing is differentiated."""
    return compile(GRADIENTS[mode](lambda position, charges: -potential(position, charges)))


def crossing(w: Any, mode: str) -> Any:
    """Where the particle crosses the x axis; the force is a gradient of that mode."""
    charges = CHARGES - w * MOVED
    position, velocity = np.array(START), np.array(VELOCITY)
    while True:
        acceleration = force(mode)(position, charges)
        position = position + TIME_STEP * velocity
        if position[1] <= 0.0:
            return position[0] - position[1] / velocity[1] * velocity[0]
        velocity = velocity + TIME_STEP * acceleration


def control(w: float, modes: str) -> Any:
    """The w, searched from the given one, for which the particle crosses nearest to the origin."""
    outer, inner = modes
    return argmin(lambda at: crossing(at[0], inner) ** 2, np.array([w]), outer)[0]


def _function(modes: str) -> Function:
    def prepare(given: Input) -> Any:
        return partial(control, float(given["w"]), modes)

    return Function(prepare)


FUNCTIONS = {modes: _function(modes) for modes in MODES}
