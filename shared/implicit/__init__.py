"""Implicit functions: roots, fixed points, minimisers, solutions of differential equations, with their derivatives.

Any solver finds them, on plain numbers; the derivative is that of the equation which the solution satisfies, and not of
the steps that led there.  One class carries it, `roots.ImplicitFunction`; `linear_solves` solves with the derivative of
an equation, `vectors` puts containers of unknowns into one vector.  `trajectories` does the same for differential
equations around SciPy's solvers, whose derivatives are the solutions of differential equations; `runge_kutta` is a
program in NumPy, which is differentiated as it stands.

It knows no engine: what differentiates the equations is an argument.

Public, as names of `shared`: `implicit_root`, `fixed_point`, `minimum`, `ode_solution` and `runge_kutta`.
"""
