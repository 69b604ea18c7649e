"""Differential equations by a fixed number of steps, in plain NumPy: differentiated step by step, with checkpoints.

What comes out is the derivative of the numbers that the scheme computes, to rounding: forwards the discrete
sensitivities, backwards the discrete adjoint.  This module knows no derivative and no engine.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from shared.calling.transformed import transformed
from shared.calling.tree import tree_map
from shared.core.edges import Like
from shared.core.errors import ShapeError, user_line
from shared.implicit.roots import Function
from shared.implicit.vectors import packed, packed_like, require_count, states_of, unpacked
from shared.linear.checkpointing import checkpoint_loop


def runge_kutta(f: Function, *, steps: int, snapshots: int | None = None) -> Function:
    """The function `(y0, times, *params) -> y` with dy/dt = `f(t, y, *params)` and y = y0 at `times[0]`, by steps.

    It is called like `ode_solution`, and takes `steps` steps of the classical Runge-Kutta method of order 4 from each
    of `times` to the next.  It is a program like any other: everything in it may be traced, batched and recorded, and
    `f` may close over traced values.  Reverse mode keeps `snapshots` states between two times, and computes the steps
    again from these (`checkpoint_loop`): the derivative is that of the steps, exact to rounding, and differs from that
    of the solution as the value does, by the fourth power of a step.

    Cost: 4 `steps` evaluations of `f` between two times.  Forwards each is one with a tangent, for each direction;
    backwards, between two times, 4 `evaluations(steps, snapshots)` in all (`shared.linear.checkpointing`), at most 3
    times as many by default, whatever the number of parameters.

    Raises ShapeError where `f` returns something unlike the state, and what `checkpoint_loop` raises.

    >>> import reversead
    >>> def growth(t, y, rate):
    ...     return rate * y * (1 - y)
    >>> solution = runge_kutta(growth, steps=100)
    >>> value, slope = reversead.value_and_grad(lambda rate: solution(0.5, [0.0, 2.0], rate)[-1])(1.0)
    >>> print(f"{value:.6f} {slope:.6f} {2 * value * (1 - value):.6f}")
    0.880797 0.209987 0.209987

    Source: Kutta 1901; Hairer, Norsett & Wanner 1993, Solving Ordinary Differential Equations I, section II.1; for the
    adjoint of the scheme, Hager 2000, Runge-Kutta methods in optimal control and the transformed adjoint system.
    """

    require_count("runge_kutta", "steps", steps)

    @transformed(runge_kutta, f, steps=steps, snapshots=snapshots)
    def solution(y0: Any, times: Any, *params: Any, **static: Any) -> Any:
        like = tree_map(lambda leaf: np.zeros(Like(leaf).shape), y0)
        t, y = packed(times), packed(y0) * 1.0
        if not len(t):
            raise ShapeError(f"runge_kutta: there are no times{user_line()}; the first is that of the start")

        def slope(t: Any, y: Any) -> Any:
            return packed_like("runge_kutta: f", f(t, unpacked(y, like), *params, **static), like)

        rows = [y]
        for k in range(len(t) - 1):
            step = partial(_step, slope, t[k], (t[k + 1] - t[k]) / steps)
            rows.append(checkpoint_loop(step, rows[-1], steps, snapshots))
        return states_of(np.stack(rows), like)

    return solution


def _step(slope: Function, start: Any, h: Any, y: Any, k: int) -> Any:
    """Step k of size h: Simpson's rule with slopes found on the way (Hairer, Norsett & Wanner 1993, table II.1.2)."""
    t = start + k * h
    first = slope(t, y)
    second = slope(t + h / 2, y + h / 2 * first)
    third = slope(t + h / 2, y + h / 2 * second)
    fourth = slope(t + h, y + h * third)
    return y + h / 6 * (first + 2 * second + 2 * third + fourth)
