"""Solutions of differential equations by SciPy's solvers, with forward sensitivities and the continuous adjoint.

The derivative of a solution along a direction is the solution of a differential equation beside it, and its adjoint is
that of one which runs backwards.  So both rules of a solution are solutions, and differentiated by the same rules: that
makes every order.  This module knows no engine and no steps of a solver.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from shared.calling.engine import Engine
from shared.calling.results import stop_gradient
from shared.calling.transformed import readable_name
from shared.calling.tree import flatten, tree_map
from shared.core.errors import RegistrationError, ShapeError, SolutionError, user_line
from shared.core.levels import Tracer
from shared.implicit.linear_solves import check_between
from shared.implicit.roots import Function
from shared.implicit.vectors import (
    Varying,
    filled,
    packed,
    packed_like,
    require_count,
    require_engine,
    require_passed,
    require_real,
    rows_of,
    state_at,
    states_of,
    unpacked,
)
from shared.linear.custom import CustomFunction

#: How far from itself a solution may be that is followed backwards, beside 1 + |y|; and beyond which size, beside that
#: at the times, it is given up on the way, before it takes for ever.
TOLERANCE, FAR = 1e-5, 1e3


def ode_solution(
    f: Function,
    engine: Engine,
    *,
    method: str = "DOP853",
    rtol: float = 1e-9,
    atol: float = 1e-9,
    pieces: int = 1,
    tolerance: float | None = TOLERANCE,
    **options: Any,
) -> Function:
    """The function `(y0, times, *params) -> y` with dy/dt = `f(t, y, *params)` and y = y0 at `times[0]`.

    The state is a real number, an array or a container of them, and `f` returns one like it; the result is like it,
    with an axis in front, one entry for each of `times`, which are an increasing or decreasing vector.  Parameters are
    any containers.  `scipy.integrate.solve_ivp` solves it (extra `[scipy]`), by the `method`, tolerances and further
    options given (`max_step`, `first_step`).  There are derivatives of every order with respect to y0, the times (the
    first one, too) and the parameters:

    - forwards by the forward sensitivities: (y, s) with ds/dt = f_y s + f_theta dtheta is solved once for each
      direction.  With p parameters, p times twice the work;
    - backwards by the continuous adjoint: from the last time to the first, y, a with da/dt = -f_y^T a, and the integral
      of f_theta^T a are solved for together, from each of `times` to the one before, where y starts anew from what it
      was.  The work is a few evaluations of `f` a step, whatever p is, and the memory that of y at `times`.  With
      `pieces`, y is first computed again for as many checkpoints between two times, and starts anew from each.

    Both are as exact as the tolerances, not as rounding: they are derivatives of the solution and not of the solver's
    steps, and differ from those by about as much as the value does from the solution.  (`runge_kutta` is differentiated
    step by step.)  An equation that forgets where it came from cannot be followed backwards for long: if y misses what
    it was by more than `tolerance * (1 + max|y|)`, that is an error, and more `pieces` help, or forward mode, or
    `runge_kutta`.  None leaves the check out.

    `engine` differentiates `f`; take `reversead` if there are many parameters.

    Cost: as said, in evaluations of `f`, each with one product forwards (`engine.jvp`) or backwards (`engine.vjp`);
    docs/sensitivities.md counts them.  Raises SolutionError where the solver fails or y cannot be followed backwards;
    ShapeError where f returns something unlike the state, or `times` is no vector; TracerConversionError where `f`
    closes over a traced value.

    >>> import reversead
    >>> def growth(t, y, rate):
    ...     return rate * y * (1 - y)  # y = 1 / (1 + exp(-rate t)) from 1/2
    >>> solution = ode_solution(growth, reversead)
    >>> def last(rate):
    ...     return solution(0.5, np.array([0.0, 2.0]), rate)[-1]
    >>> value, slope = reversead.value_and_grad(last)(1.0)
    >>> print(f"{value:.6f} {slope:.6f} {2 * value * (1 - value):.6f}")
    0.880797 0.209987 0.209987

    Source: Hairer, Norsett & Wanner 1993, Solving Ordinary Differential Equations I, sections I.14 and II.6; Cao, Li,
    Petzold & Serban 2003, Adjoint sensitivity analysis for differential-algebraic equations; Chen et al. 2018, Neural
    ordinary differential equations, whose y has no new starts.
    """
    if "jac" in options or "t_eval" in options or "events" in options:
        raise RegistrationError(
            f"ode_solution: jac, t_eval and events are not for a solution whose derivatives are solutions too"
            f"{user_line()}: the times are an argument, and implicit_root finds when something happens"
        )
    if not callable(f):
        raise RegistrationError(f"ode_solution: {f!r} is no function{user_line()}")
    require_engine("ode_solution", engine)
    require_count("ode_solution", "pieces", pieces)
    options.update(method=method, rtol=rtol, atol=atol)
    name = f"the solution of {readable_name(f)}"
    return CustomFunction(*_Trajectory(name, f, _Products(engine.jvp, engine.vjp), options, pieces, tolerance).rules())


class _Products(NamedTuple):
    """What differentiates `f`: not the engine itself, which is a module, and so would not pickle."""

    jvp: Function
    vjp: Function


class _Trajectory:
    """The function `(y0, times, *params) -> y`, and its derivative rules."""

    def __init__(
        self, name: str, f: Function, products: _Products, options: dict[str, Any], pieces: int, tolerance: float | None
    ):
        self.__name__ = name
        self.f = f
        self.products = products
        self.options = options
        self.pieces = pieces
        self.tolerance = tolerance
        # The solutions that differentiate this one, when they are first asked for; a record knows them again.
        self.derived: dict[Any, CustomFunction] = {}

    def rules(self) -> tuple[Function, Function, Function]:
        return self, self.jvp, self.vjp

    def _solution(self, how: Function, what: str) -> CustomFunction:
        if what not in self.derived:
            made = _Trajectory(
                f"{self.__name__}, {what}", how, self.products, self.options, self.pieces, self.tolerance
            )
            self.derived[what] = CustomFunction(*made.rules())
        return self.derived[what]

    def __call__(self, y0: Any, times: Any, *params: Any, **static: Any) -> Any:
        try:
            from scipy.integrate import solve_ivp
        except ImportError as error:
            raise ImportError(f"ode_solution needs SciPy{user_line()}: pip install 'scipy>=1.13'") from error
        require_real(self.__name__, y0)
        times, like = self._checked(times), tree_map(lambda leaf: np.zeros(np.shape(leaf)), y0)
        start = np.asarray(packed(y0), float)
        if len(times) == 1:
            return states_of(start[None], like)

        def slope(t: float, y: Any) -> Any:
            found = self.f(t, unpacked(y, like), *params, **static)
            require_passed(self.__name__, found, params)
            return packed_like(f"{self.__name__}: f", found, like)

        found = solve_ivp(slope, (times[0], times[-1]), start, t_eval=times, **self.options)
        if not found.success:
            raise SolutionError(f"{self.__name__}: solve_ivp failed{user_line()}: {found.message}")
        return states_of(found.y.T, like)

    def _checked(self, times: Any) -> Any:
        times = packed(times)
        steps = np.diff(times)
        if np.size(times) == 0 or not (np.all(steps > 0) or np.all(steps < 0)):
            raise ShapeError(
                f"{self.__name__}: the times have to be a vector that increases or decreases{user_line()}, not {times}"
            )
        return times

    # --- forward sensitivities ---

    def jvp(self, tangents: Any, out: Any, y0: Any, times: Any, *params: Any, **static: Any) -> Any:
        s0, moved = packed(filled(tangents[0], y0)), packed(filled(tangents[1], times))
        still = not isinstance(moved, Tracer) and not np.any(moved)
        slopes = None if still else self._slopes(out, times, params, static)
        if slopes is not None:
            s0 = s0 - slopes[0] * moved[0]
        like = state_at(out, 0)
        solution = self._solution(self.along, "forwards")
        _, s = solution((y0, unpacked(s0, like)), times, params, flatten(tangents[2:])[0], **static)
        return s if slopes is None else states_of(rows_of(s) + slopes * moved[:, None], like)

    def along(self, t: Any, state: Any, params: Any, tangents: Any, **static: Any) -> Any:
        """The slopes of the state and of its tangent."""
        function, varying = self._of_state(t, params, static)
        y, s = state
        return self.products.jvp(function, (y, varying.leaves), (s, tangents))

    # --- the continuous adjoint ---

    def vjp(self, cotangent: Any, out: Any, y0: Any, times: Any, *params: Any, **static: Any) -> Any:
        varying = Varying(params)
        require_real(f"{self.__name__}, backwards", varying.leaves)
        t, given, like = packed(times), rows_of(cotangent), state_at(out, 0)
        slopes = self._slopes(out, times, params, static)
        # What moves a time moves the value there.
        by_time = np.sum(given * slopes, axis=1)
        if self.pieces > 1 and len(t) > 1:
            parts = [t[:-1] + np.diff(t) * (k / self.pieces) for k in range(self.pieces)]
            t = np.concatenate([np.ravel(np.stack(parts, axis=1)), t[-1:]])
            given = np.concatenate([_apart(given[:-1], self.pieces), given[-1:]])
            out = self._solution(self.f, "again")(y0, t, *params, **static)
        solution = self._solution(self.against, "backwards")
        limit = np.inf if self.tolerance is None else FAR * (1.0 + np.max(np.abs(stop_gradient(rows_of(out)))))
        a, sums = given[-1], [np.zeros(np.shape(leaf)) for leaf in varying.leaves]
        for k in range(len(t) - 1, 0, -1):
            back = solution(
                (state_at(out, k), unpacked(a, like), sums), np.stack([t[k], t[k - 1]]), params, limit, **static
            )
            y, arrived, sums = state_at(back, 1)
            a = packed(arrived)
            if self.tolerance is not None:
                was = stop_gradient(packed(state_at(out, k - 1)))
                missed = stop_gradient(packed(y)) - was
                ends = stop_gradient(t[k]), stop_gradient(t[k - 1])
                a = followed(a, missed, was, *ends, self.__name__, self.tolerance)
            a = a + given[k - 1]
        # What moves the first time moves the start of all others.
        first = -np.sum((a - given[0]) * slopes[0])
        by_time = np.concatenate([np.reshape(first, (1,)), by_time[1:]])
        return unpacked(a, y0), unpacked(by_time, times), *varying.cotangents(sums)

    def against(self, t: Any, state: Any, params: Any, limit: Any, **static: Any) -> Any:
        """The slopes of the state, of its adjoint, and of what reaches the parameters."""
        function, varying = self._of_state(t, params, static)
        y, a, _ = state
        size = np.max(np.abs(packed(y)))
        if not isinstance(size, Tracer) and not isinstance(limit, Tracer) and not size <= limit:
            raise _lost(self.__name__, f"at t = {t:g}", f"it has grown to {size:.2e}")
        slope, pullback = self.products.vjp(function, y, varying.leaves)
        by_state, by_parameters = pullback(a)
        return slope, tree_map(np.negative, by_state), tree_map(np.negative, by_parameters)

    def _of_state(self, t: Any, params: Any, static: dict[str, Any]) -> tuple[Function, Varying]:
        varying = Varying(params)

        def slope(y: Any, leaves: Any) -> Any:
            found = self.f(t, y, *varying.put(leaves), **static)
            return unpacked(packed_like(f"{self.__name__}: f", found, y), y)

        return slope, varying

    def _slopes(self, out: Any, times: Any, params: Any, static: dict[str, Any]) -> Any:
        """f at the times, in rows."""
        t = packed(times)
        return np.stack([packed(self.f(t[k], state_at(out, k), *params, **static)) for k in range(len(t))])


@check_between
def followed(missed: Any, was: Any, start: Any, end: Any, name: str, tolerance: float) -> None:
    """That a solution which was followed backwards came to where it was."""
    far = np.max(np.abs(missed), axis=-1, initial=0.0)
    if not np.all(far <= tolerance * (1.0 + np.max(np.abs(was), axis=-1, initial=0.0))):
        raise _lost(name, f"from t = {start:g} to {end:g}", f"there it misses what it was by {np.max(far):.2e}")


def _lost(name: str, where: str, how: str) -> SolutionError:
    return SolutionError(
        f"{name} cannot be followed backwards {where}{user_line()}: {how}, so its adjoint would be that of another "
        "one; give more pieces, or differentiate forwards, or by shared.runge_kutta"
    )


def _apart(rows: Any, distance: int) -> Any:
    """Rows with rows of zeros between them."""
    spread = np.stack([rows, *[np.zeros_like(rows)] * (distance - 1)], axis=1)
    return np.reshape(spread, (-1, np.shape(rows)[1]))
