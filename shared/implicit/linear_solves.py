"""Linear equations with the derivative of an equation: by its matrix, by an iteration, or as the user says.

A `solve(matvec, b)` returns v with `matvec(v) = b`, for vectors; it may be any code, such as SciPy's conjugate
gradients or GMRES.  Here is the one that fixed points come with.  This module knows neither what is solved for nor how
its derivative is found.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

import numpy as np

from shared.batching.batched import Batched
from shared.core.errors import ShapeError, SolutionError, user_line
from shared.linear.custom import custom_derivative

Solve = Callable[[Callable[[Any], Any], Any], Any]

#: When the iteration below stops, by what is left beside the terms that it is the difference of; and when it gives up.
SMALLEST, MOST = 1e-14, 10_000


def iterate(matvec: Callable[[Any], Any], b: Any) -> Any:
    """v with `matvec(v) = b` by `v <- v + b - matvec(v)`, which converges where I - matvec contracts.

    For a fixed point x = g(x) the matvec is v - g_x v, and this the iteration of its derivatives: v <- g_x v + b
    forwards, and with the transpose backwards: the adjoint fixed-point iteration (Christianson 1994).

    Cost: one product an iteration; the error falls by the norm of I - matvec, by which that of the fixed point itself
    falls.  Raises SolutionError after 10,000 iterations.

    >>> iterate(lambda v: np.array([[1.0, 0.5], [0.0, 1.0]]) @ v, np.array([2.0, 2.0]))
    array([1., 2.])
    """
    v = b
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(MOST):
            left = b - matvec(v)
            v = v + left
            if not np.all(np.isfinite(v)):
                break
            if np.max(np.abs(left), initial=0.0) <= SMALLEST * np.max(np.abs(v) + np.abs(b), initial=0.0):
                return v
    raise SolutionError(
        f"the iteration for the derivative of a fixed point did not converge{user_line()}: the step is no contraction "
        "there; give solve='dense', which solves with its matrix, or a solve(matvec, b) of yours"
    )


def solved_by_matrix(name: str, matrix: Any, b: Any, adjoint: bool) -> Any:
    """v with matrix v = b, or with its transpose."""
    try:
        return np.linalg.solve(np.transpose(matrix) if adjoint else matrix, b)
    except np.linalg.LinAlgError as error:
        raise SolutionError(
            f"{name}: the Jacobian of the equation by the unknowns is singular at the solution{user_line()}, so it "
            "does not say how the solution moves: there is another one nearby, or its derivative is infinite"
        ) from error


def solved_by(name: str, solve: Solve, matvec: Callable[[Any], Any], b: Any, tolerance: float | None) -> Any:
    """What the user's `solve` returns, if it is a solution."""
    if not np.any(b):
        return b
    v = solve(matvec, b)
    if np.shape(v) != np.shape(b):
        raise ShapeError(f"{name}: solve(matvec, b) returned shape {np.shape(v)}{user_line()} for a b of {np.shape(b)}")
    if tolerance is not None:
        left, size = np.max(np.abs(matvec(v) - b), initial=0.0), np.max(np.abs(b), initial=0.0)
        if not left <= tolerance * size:
            raise SolutionError(
                f"{name}: solve(matvec, b) returned v with |matvec(v) - b| = {left:.2e} for |b| = {size:.2e}"
                f"{user_line()}; let it run longer, or give a larger tolerance than {tolerance:g}"
            )
    return v


def check_between(check: Callable[..., None]) -> Any:
    """The function `(subject, *given) -> subject` that first calls `check(*given)`, which may raise.

    It has a derivative of its own, so that a record holds the check as one operation, and what is around it as NumPy.
    `given` has no derivative; where it stands for several examples, these are along axes in front.
    """

    def passed(subject: Any, *given: Any) -> Any:
        check(*[_bare(value) for value in given])
        return subject

    update_wrapper(passed, check)
    del passed.__wrapped__  # type: ignore[attr-defined]  # whose signature it would be asked for
    return custom_derivative(
        passed,
        jvp=lambda tangents, *_: tangents[0],
        vjp=lambda cotangent, out, subject, *given: (cotangent, *[None] * len(given)),
    )


def _bare(value: Any) -> Any:
    while isinstance(value, Batched):
        value = value.primal
    return value


@check_between
def confirmed(step: Any, x: Any, residual: Any, name: str, tolerance: float) -> None:
    """That a Newton step from x is small."""
    far = np.max(np.abs(step), axis=-1, initial=0.0)
    close = far <= tolerance * (1.0 + np.max(np.abs(x), axis=-1, initial=0.0))
    if not np.all(close):
        size = np.max(np.abs(residual), initial=0.0)
        raise SolutionError(
            f"{name}: what the solver returned is no solution{user_line()}: its residual is {size:.2e}, and Newton's "
            f"method would go {np.max(far):.2e} from there; let the solver run longer, or give a larger tolerance than "
            f"{tolerance:g} (None for none)"
        )
