"""Minimisers by any solver, with and without equations as constraints, and how they move with the parameters.

At a minimum the gradient vanishes, so a minimiser is a root, of the gradient; with equations beside it, of that of the
Lagrangian.  This module knows no solver and no engine.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.calling.engine import Engine
from shared.core.errors import RegistrationError, user_line
from shared.implicit.linear_solves import Solve
from shared.implicit.roots import TOLERANCE, Function, ImplicitFunction, solution_of
from shared.implicit.vectors import packed, unpacked
from shared.linear.custom import CustomFunction


def minimum(
    objective: Function,
    solver: Function,
    engine: Engine,
    *,
    constraint: Function | None = None,
    solve: Solve | str = "dense",
    tolerance: float | None = TOLERANCE,
) -> Function:
    """The function `(start, *params) -> x` at which `objective(x, *params)` is least, found by `solver`.

    `solver(f, start)` finds x for `f(x) = objective(x, *params)`, such as `scipy.optimize.minimize`, and is to converge
    well: the derivative belongs to the point where the gradient vanishes (`scipy.optimize.minimize` is more exact with
    `jac=reversead.grad(f)`).  With `constraint` x is the least with `constraint(x, *params) = 0`, a number, an array or
    a container of them; then it is `solver(f, start, g)` with `g(x) = constraint(x, *params)`, and the result is
    `(x, multipliers)`, where the gradient of `objective + multipliers . constraint` vanishes: multipliers like the
    constraint, found by least squares, whose negative is the derivative of the least value by what the constraint is.

    `engine` differentiates the objective, twice and once more for each order.  `solve` and `tolerance` are those of
    `implicit_root`, the derivative that of its equation, the gradient: the Hessian is solved with, so conjugate
    gradients can do so, unless there is a constraint.  A point that is no minimum but stationary is taken as it is.

    Cost: the value is that of `solver`; a derivative that of n products with the Hessian (dense), or as many as
    `solve` takes.  Raises SolutionError where the gradient does not vanish at x, or the Hessian (with the constraint:
    the KKT matrix) is singular; and what `implicit_root` raises.

    >>> import reversead
    >>> from scipy.optimize import minimize
    >>> def energy(x, load):
    ...     return np.sum(np.cosh(x)) - load * x[0]
    >>> def solver(f, start):
    ...     return minimize(f, start, jac=reversead.grad(f), tol=1e-10)
    >>> rest = minimum(energy, solver, reversead)  # sinh(x[0]) = load
    >>> slope = reversead.jacobian(rest, 1)(np.zeros(2), 0.75)
    >>> bool(np.allclose(slope, [0.8, 0.0]))  # 1 / sqrt(1 + load^2)
    True

    Source: Fiacco & McCormick 1968, Nonlinear Programming, section 2.4; Gould et al. 2016, On differentiating
    parameterized argmin and argmax problems; Blondel et al. 2022, section 2.2.
    """
    kind = _Minimum if constraint is None else _ConstrainedMinimum
    made = kind("the minimum of", objective, solver, engine, solve, tolerance)
    made.gradient = engine.grad
    if constraint is not None:
        if not callable(constraint):
            raise RegistrationError(f"{made.__name__}: constraint={constraint!r}{user_line()} is no function")
        made.constraint = constraint
    return CustomFunction(*made.rules())


class _Minimum(ImplicitFunction):
    """The function `(start, *params) -> x` where the gradient of `function(x, *params)` by x vanishes."""

    gradient: Any
    constraint: Any

    def residual(self, x: Any, *params: Any, **static: Any) -> Any:
        return packed(self.gradient(self.function)(x, *params, **static))


class _ConstrainedMinimum(_Minimum):
    """The function `(start, *params) -> (x, multipliers)` where the gradient of the Lagrangian vanishes."""

    def residual(self, x: Any, *params: Any, **static: Any) -> Any:
        def lagrangian(unknowns: Any) -> Any:
            x, multipliers = unknowns
            by = packed(multipliers) @ packed(self.constraint(x, *params, **static))
            return self.function(x, *params, **static) + by

        return packed(self.gradient(lagrangian)(x))

    def __call__(self, start: Any, *params: Any, **static: Any) -> Any:
        function = self.of_unknowns(self.function, params, static)
        equations = self.of_unknowns(self.constraint, params, static)
        x = solution_of(self.__name__, self.solver(function, start, equations))
        slope = packed(self.gradient(function)(x))
        normals = self.jacobian(lambda v: packed(equations(unpacked(v, x))))(packed(x))
        multipliers = np.linalg.lstsq(np.transpose(normals), -slope)[0]
        return x, unpacked(multipliers, equations(x))
