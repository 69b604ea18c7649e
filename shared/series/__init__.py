"""Truncated power series in place of numbers: all derivatives along a curve at once, up to an order.

It knows the registry and containers, no calculus of its own but the recurrences of Taylor coefficients, and no engine.
`truncated` is the tracer, `recurrences` the table, `growing` what is done for everything that is not in it; `expansion`
evaluates a function on a curve, `curvature` makes Laplacians and diagonals of Hessians of that.

Public, as a name of `shared` and of both engines: `taylor`; of the engines: `laplacian` and `hessian_diagonal`.
"""
