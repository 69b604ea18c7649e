"""Roots and fixed points by any solver, differentiated by the implicit function theorem.

Where F(x, theta) = 0 and F_x is regular, x is a function of theta nearby, and F_x dx + F_theta dtheta = 0: one linear
equation at the solution, whatever the iteration before it.  This module knows no solver and no engine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from shared.calling.engine import Engine
from shared.calling.results import stop_gradient
from shared.calling.transformed import readable_name
from shared.calling.tree import flatten
from shared.core.errors import RegistrationError, ShapeError, SolutionError, user_line
from shared.implicit.linear_solves import Solve, confirmed, iterate, solved_by, solved_by_matrix
from shared.implicit.vectors import Varying, packed, packed_like, require_engine, require_passed, require_real, unpacked
from shared.linear.custom import CustomFunction

Function = Callable[..., Any]

#: How far a solution may be from the root, beside 1 + |x|.
TOLERANCE = 1e-6


def implicit_root(
    residual: Function,
    solver: Function,
    engine: Engine,
    *,
    solve: Solve | str = "dense",
    tolerance: float | None = TOLERANCE,
) -> Function:
    """The function `(start, *params) -> x` with `residual(x, *params) = 0`, found by `solver`.

    `solver(equation, start)` finds x for `equation(x) = residual(x, *params)`, on plain numbers, in whatever way:
    `scipy.optimize.root`, `fsolve`, `newton` or, with a bracket as the start, `lambda f, ab: brentq(f, *ab)`.  It
    returns x, or one of SciPy's results that hold it.  x is a real number, an array or a container of them, and
    `residual` has as many numbers.  Parameters are numbers, arrays and containers; what has no derivative (an int, a
    callable) is handed on.  The result has derivatives of every order, in both modes, with respect to the parameters;
    with respect to the start they are zero.  `vmap` and records call a solver that is no NumPy as it is, one example
    after the other.

    `engine` (`reversead` or `dualad`) differentiates `residual`: `reversead`, unless there are few parameters or one
    goes forwards.  `solve` says how to solve with the Jacobian F_x of `residual` by x: "dense" makes the matrix;
    a function `solve(matvec, b)` gets products with it, or with its transpose, and vectors (conjugate gradients for
    a symmetric Jacobian, GMRES for others).

    What is checked when it is differentiated: that a Newton step from x is at most `tolerance * (1 + max|x|)`, for the
    derivative at a point that is no root is a plausible wrong number; and that `solve` has solved as exactly.  None
    leaves it out.  At a root where F_x is all but singular (a double root) the derivative is large or infinite.

    Cost: the value is that of `solver`, and one evaluation of `residual`.  For a derivative: n products (dense), or as
    many as `solve` takes, twice with the check, and one product with F_theta; each is a small multiple of one
    evaluation of `residual`.

    Raises SolutionError where x is no root, the Jacobian is singular, or `solve` has not solved; ShapeError where
    there are not as many equations as unknowns; LeafTypeError for complex unknowns; TracerConversionError where
    `residual` closes over a traced value, which has to be a parameter.

    >>> import reversead
    >>> from scipy.optimize import brentq
    >>> def kepler(E, eccentricity, mean_anomaly):
    ...     return E - eccentricity * np.sin(E) - mean_anomaly
    >>> anomaly = implicit_root(kepler, lambda f, bracket: brentq(f, *bracket, xtol=1e-15), reversead)
    >>> E = anomaly((0.0, 4.0), 0.3, 1.0)
    >>> slope = reversead.grad(anomaly, 2)((0.0, 4.0), 0.3, 1.0)
    >>> print(f"{E:.9f} {slope:.9f} {1 / (1 - 0.3 * np.cos(E)):.9f}")
    1.288091313 1.091329301 1.091329301

    Source: Griewank & Walther 2008, Evaluating Derivatives, chapter 15; Blondel et al. 2022, Efficient and modular
    implicit differentiation.
    """
    return CustomFunction(*ImplicitFunction("the root of", residual, solver, engine, solve, tolerance).rules())


def fixed_point(
    step: Function,
    engine: Engine,
    *,
    solver: Function | None = None,
    solve: Solve | str = iterate,
    tolerance: float | None = TOLERANCE,
) -> Function:
    """The function `(start, *params) -> x` with `x = step(x, *params)`; by default, by iterating from the start.

    `solver(map, start)`, such as `scipy.optimize.fixed_point`, finds x for `map(x) = step(x, *params)`; the default
    repeats `map` until x stays.  The derivative solves (I - g_x) dx = g_theta dtheta, by default by an iteration as
    well, with no matrix: forwards dx <- g_x dx + g_theta dtheta, backwards u <- g_x^T u + c.  All else, `solve` and
    `tolerance` too, is as for `implicit_root`.

    Cost: the value is that of the iteration; a derivative that of about as many iterations of products, or with
    `solve="dense"` of n.  Raises SolutionError where an iteration does not converge in 10,000 steps, and as
    `implicit_root`.

    >>> import reversead
    >>> heron = lambda x, a: 0.5 * (x + a / x)  # the square root of a
    >>> root = fixed_point(heron, reversead)
    >>> print(f"{root(1.0, 9.0):.9f} {reversead.grad(root, 1)(1.0, 9.0):.9f}")
    3.000000000 0.166666667

    Source: Christianson 1994, Reverse accumulation and attractive fixed points; Griewank & Walther 2008, section 15.3.
    """
    return CustomFunction(
        *_FixedPoint("the fixed point of", step, solver or _repeated, engine, solve, tolerance).rules()
    )


class ImplicitFunction:
    """The function `(start, *params) -> x` with `residual(x, *params) = 0`, and its derivative rules."""

    def __init__(
        self,
        kind: str,
        function: Function,
        solver: Function,
        engine: Engine,
        solve: Solve | str,
        tolerance: float | None,
    ):
        self.__name__ = f"{kind} {readable_name(function)}"
        for what, given in (("the equation", function), ("the solver", solver)):
            if not callable(given):
                raise RegistrationError(f"{self.__name__}: {what} is {given!r}{user_line()}, which is no function")
        if solve != "dense" and not callable(solve):
            raise RegistrationError(
                f"{self.__name__}: solve={solve!r}{user_line()}; give 'dense' or a function solve(matvec, b)"
            )
        require_engine(self.__name__, engine)
        self.function = function
        self.solver = solver
        self.tolerance = tolerance
        # Not the engine itself, which is a module, and so would not pickle.
        self.push, self.pull, self.jacobian = engine.jvp, engine.vjp, engine.jacobian
        self.inverse: tuple[CustomFunction, ...] | None = None
        if callable(solve):
            # Forwards, backwards, and for the check of the root, where b is all rounding and need not be met exactly.
            solves = ((False, tolerance), (True, tolerance), (False, None))
            self.inverse = tuple(CustomFunction(*_LinearSolution(self, solve, *how).rules()) for how in solves)

    def rules(self) -> tuple[Function, Function, Function]:
        return self, self.jvp, self.vjp

    def residual(self, x: Any, *params: Any, **static: Any) -> Any:
        """The equation, as one vector."""
        return packed(self.function(x, *params, **static))

    def __call__(self, start: Any, *params: Any, **static: Any) -> Any:
        given = self.of_unknowns(self.function, params, static)
        x = solution_of(self.__name__, self.solver(given, start))
        # Also where the solver does not ask for it, it must not close over a traced value.
        given(x)
        return x

    def of_unknowns(self, function: Function, params: Any, static: dict[str, Any]) -> Function:
        """The function of the unknowns alone that a solver gets."""

        def given(x: Any) -> Any:
            out = function(x, *params, **static)
            require_passed(self.__name__, out, (x, params))
            return out

        return given

    def jvp(self, tangents: Any, x: Any, start: Any, *params: Any, **static: Any) -> Any:
        varying = Varying(params)
        if not varying.leaves:
            return unpacked(np.zeros_like(packed(x)), x)
        moved = self.push(self._along(x, varying, static), (varying.leaves,), (flatten(tangents[1:])[0],))[1]
        return unpacked(-self._solved(moved, False, x, params, static), x)

    def vjp(self, cotangent: Any, x: Any, start: Any, *params: Any, **static: Any) -> Any:
        varying = Varying(params)
        if not varying.leaves:
            return (None,) * (1 + len(params))
        u = -self._solved(packed(cotangent), True, x, params, static)
        return None, *varying.cotangents(self.pull(self._along(x, varying, static), varying.leaves)[1](u)[0])

    def _along(self, x: Any, varying: Varying, static: dict[str, Any]) -> Function:
        return lambda leaves: self.residual(x, *varying.put(leaves), **static)

    def product(self, v: Any, adjoint: bool, x: Any, params: Any, static: dict[str, Any]) -> Any:
        """The derivative of the equation by the unknowns, or its transpose, times a vector."""

        def equation(x: Any) -> Any:
            return self.residual(x, *params, **static)

        if adjoint:
            return packed(self.pull(equation, x)[1](v)[0])
        return self.push(equation, (x,), (unpacked(v, x),))[1]

    def _solved(self, b: Any, adjoint: bool, x: Any, params: Any, static: dict[str, Any]) -> Any:
        """That derivative, or its transpose, solved with b."""
        residual, vector = self._residual_of(x, params, static), packed(x)
        if self.inverse is None:
            matrix = self.jacobian(lambda v: self.residual(unpacked(v, x), *params, **static))(vector)
            if self.tolerance is not None:
                step = solved_by_matrix(self.__name__, stop_gradient(matrix), residual, False)
                matrix = confirmed(matrix, step, stop_gradient(vector), residual, self.__name__, self.tolerance)
            return solved_by_matrix(self.__name__, matrix, b, adjoint)
        if self.tolerance is not None:
            step = self.inverse[2](None, residual, *stopped((x, *params)), **static)
            vector = confirmed(vector, step, stop_gradient(vector), residual, self.__name__, self.tolerance)
        return self.inverse[adjoint](None, b, unpacked(vector, x), *params, **static)

    def _residual_of(self, x: Any, params: Any, static: dict[str, Any]) -> Any:
        """The residual at a solution, which must be one equation for each unknown, as a constant."""
        require_real(self.__name__, x)
        x, *params = stopped((x, *params))
        found = self.residual(x, *params, **static)
        require_real(self.__name__, found)
        if np.shape(found) != np.shape(packed(x)):
            raise ShapeError(
                f"{self.__name__}: {np.size(found)} equations for {np.size(packed(x))} unknowns{user_line()}; there "
                "must be as many"
            )
        return found


class _FixedPoint(ImplicitFunction):
    """The function `(start, *params) -> x` with `x = function(x, *params)`."""

    def residual(self, x: Any, *params: Any, **static: Any) -> Any:
        return packed(x) - packed_like(self.__name__, self.function(x, *params, **static), x)


class _LinearSolution(ImplicitFunction):
    """The function `(None, b, x, *params) -> v` that solves with the derivative of an implicit function at x.

    It is an implicit function itself, of an equation that is linear in v, so `of` solves for its derivatives, too.
    """

    def __init__(self, of: ImplicitFunction, solve: Solve, adjoint: bool, tolerance: float | None):
        self.__name__ = of.__name__
        self.of = of
        self.solve = solve
        self.adjoint = adjoint
        self.tolerance = tolerance
        self.push, self.pull = of.push, of.pull

    def residual(self, x: Any, *params: Any, **static: Any) -> Any:
        b, at, *rest = params
        return self.of.product(x, self.adjoint, at, rest, static) - b

    def __call__(self, start: Any, *params: Any, **static: Any) -> Any:
        b, x, *rest = params
        product = partial(self.of.product, adjoint=self.adjoint, x=x, params=rest, static=static)
        return solved_by(self.__name__, self.solve, product, b, self.tolerance)

    def _solved(self, b: Any, adjoint: bool, x: Any, params: Any, static: dict[str, Any]) -> Any:
        _, at, *rest = params
        assert self.of.inverse is not None
        return self.of.inverse[adjoint != self.adjoint](None, b, at, *rest, **static)


def stopped(arguments: tuple[Any, ...]) -> Any:
    """Arguments that no differentiation sees."""
    varying = Varying(arguments)
    return varying.put([stop_gradient(leaf) for leaf in varying.leaves])


def solution_of(name: str, found: Any) -> Any:
    """The solution that a solver returned, or SciPy's object in which it is."""
    if found is None:
        raise TypeError(f"{name}: the solver returned None{user_line()}; it has to return x")
    for part, success in (("x", "success"), ("root", "converged")):
        if hasattr(found, part) and hasattr(found, success):
            return getattr(found, part)
    return found


def _repeated(step: Function, start: Any) -> Any:
    """The fixed point of a function, by repeating it."""
    x = start
    for _ in range(10_000):
        after = step(x)
        before, vector = packed(x), packed_like("the step", after, x)
        x = after
        if not np.all(np.isfinite(vector)):
            break
        if np.max(np.abs(vector - before), initial=0.0) <= 1e-14 * (1.0 + np.max(np.abs(vector), initial=0.0)):
            return x
    raise SolutionError(
        f"the iteration for a fixed point did not converge{user_line()}; give a solver, or another start"
    )
