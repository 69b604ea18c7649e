"""The transforms of forward mode: functions that take a function and return a derivative of it.

Each takes a fresh level, runs the function on dual numbers of it, and reads off tangents.  The names and signatures
are those of every engine (`shared.engine.Engine`); the costs given are in evaluations ("passes") of `f`, for n inputs
and m outputs.  What needs several directions runs `f` once for each, so `f` must be pure: the same arguments must
give the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from dualad.dual import Dual, new_dual
from shared.arguments import Selection, as_leaf, same_structure, scalar_output
from shared.assembly import (
    basis,
    floating,
    gradient_of,
    independent,
    is_complex,
    matrices_of,
    nest,
    one_of,
    primal_of,
    require_elementwise,
    require_numbers,
    require_same_shape,
    scalar_input,
    scattered_powers,
    seeded,
    split_aux,
    strip,
    zero_like,
)
from shared.levels import Level
from shared.primitive import Like
from shared.tree import flatten, unflatten

Function = Callable[..., Any]


class _Pass:
    """One evaluation of a function in one direction."""

    __slots__ = ("aux", "outputs", "structure", "tangents")

    def __init__(
        self,
        name: str,
        f: Function,
        selection: Selection,
        seeds: Sequence[Any],
        kwargs: Any = None,
        has_aux: bool = False,
    ):
        level = Level(name)
        try:
            duals = [
                new_dual(level, leaf, seeded(leaf, seed)) for leaf, seed in zip(selection.leaves, seeds, strict=True)
            ]
            out, aux = split_aux(name, f(*selection.call_with(duals), **(kwargs or {})), has_aux)
            leaves, self.structure = flatten(out)
            require_numbers(name, leaves)
            self.outputs = [primal_of(o, level) for o in leaves]
            self.tangents = [
                as_leaf(o.tangent if isinstance(o, Dual) and o.level is level else None, floating(primal))
                for o, primal in zip(leaves, self.outputs, strict=True)
            ]
            self.aux = strip(aux, level)
        finally:
            level.closed = True


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of `f` at `primals`, and its derivative in the direction `tangents`.

    Both results have the structure, shapes and dtypes of the output.  Cost: one pass, at most 4 evaluations of `f`
    counted in operations, and memory that does not depend on the number of operations (Wengert 1964; Griewank &
    Walther 2008, section 3.1).  Raises ShapeError for a tangent that does not fit its primal.

    >>> jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    """
    done = _jvp("jvp", f, tuple(primals), tuple(tangents))
    return unflatten(done.structure, done.outputs), unflatten(done.structure, done.tangents)


def _jvp(name: str, f: Function, primals: tuple[Any, ...], tangents: tuple[Any, ...]) -> _Pass:
    selection = Selection(name, primals, range(len(primals)))
    seeds = same_structure(name, "tangent", list(tangents), selection.structure, selection.leaves)
    return _Pass(name, f, selection, seeds)


def linearize(f: Function, *primals: Any) -> tuple[Any, Function]:
    """The value of `f` and its derivative at the primals as a linear function of tangents.

    Cost: one evaluation, and one pass for each call of the linear function.  `f` runs again each time, so it must be
    pure; the primals are copied.

    >>> out, f_jvp = linearize(lambda x: x**3, 2.0)
    >>> out, f_jvp(1.0), f_jvp(10.0)
    (8.0, 12.0, 120.0)
    """
    selection = _copied("linearize", primals)
    out = _Pass("linearize", f, selection, [zero_like(leaf) for leaf in selection.leaves])

    def f_jvp(*tangents: Any) -> Any:
        """The output's tangent, for a tangent of each primal."""
        seeds = same_structure("linearize", "tangent", list(tangents), selection.structure, selection.leaves)
        done = _Pass("linearize", f, selection, seeds)
        return unflatten(done.structure, done.tangents)

    return unflatten(out.structure, out.outputs), f_jvp


def _copied(name: str, primals: tuple[Any, ...]) -> Selection:
    selection = Selection(name, primals, range(len(primals)))
    selection.leaves = [independent(leaf) for leaf in selection.leaves]
    return selection


def vjp(f: Function, *primals: Any) -> tuple[Any, Function]:
    """The value of `f` and its pullback, which takes a cotangent of the output to one of each primal.

    The pullback takes a value of the output's structure and shapes and returns a tuple, one entry a primal.
    Cost: one evaluation, and n passes for each call of the pullback, which stores no matrix.  `f` runs again each
    time, so it must be pure; the primals are copied.

    >>> out, pullback = vjp(lambda x, y: x * y, 3.0, 4.0)
    >>> out, pullback(1.0)
    (12.0, (4.0, 3.0))
    """
    selection = _copied("vjp", primals)
    run = _Pass("vjp", f, selection, [zero_like(leaf) for leaf in selection.leaves])

    def pullback(cotangent: Any) -> Any:
        """The cotangents of the primals, for a cotangent of the output."""
        seeds = same_structure("vjp", "cotangent", cotangent, run.structure, run.outputs)
        entries = []
        for direction in basis(selection.leaves, real=True):
            tangents = _Pass("vjp", f, selection, direction).tangents
            entries.append(_inner(seeds, tangents))
        return selection.pack(gradient_of(entries, selection.leaves))

    return unflatten(run.structure, run.outputs), pullback


def _inner(cotangents: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The pairing of the output's cotangent with its tangent: Re(c t), bilinear, without a conjugate."""
    total: Any = 0.0
    for c, t in zip(cotangents, tangents, strict=True):
        product = np.sum(c * t) if Like(t).shape else c * t
        total = total + (np.real(product) if is_complex(product) else product)
    return total


def value_and_grad(f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """The function that returns `(f(x), gradient)`: the value of a scalar function and its gradient.

    The gradient has the structure, shapes and dtypes of argument `argnums`; of several, it is a tuple.  With `has_aux`
    the function returns `(value, aux)` and the result is `((value, aux), gradient)`.

    Cost: n passes, one a direction: for more than a few inputs use `reversead.value_and_grad`.  `f` must be pure.
    Raises ShapeError if the output is not one real number, LeafTypeError if an argument has no derivative.

    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    return _value_and_grad(f, argnums, has_aux, "value_and_grad")


def _value_and_grad(f: Function, argnums: int | Sequence[int], has_aux: bool, name: str) -> Function:
    @wraps(f, updated=())
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        selection = Selection(name, args, argnums)
        first: _Pass | None = None
        entries = []
        for direction in basis(selection.leaves, real=True):
            done = _Pass(name, f, selection, direction, kwargs, has_aux)
            if first is None:
                scalar_output(name, unflatten(done.structure, done.outputs))
                first = done
            entries.append(done.tangents[0])
        if first is None:  # no input at all: the gradient is empty, the value is not
            first = _Pass(name, f, selection, selection.leaves, kwargs, has_aux)
            scalar_output(name, unflatten(first.structure, first.outputs))
        gradient = selection.pack(gradient_of(entries, selection.leaves))
        value = first.outputs[0]
        return ((value, first.aux) if has_aux else value), gradient

    return value_and_gradient


def grad(f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """The gradient of a scalar function, in the structure, shapes and dtypes of argument `argnums`.

    With `has_aux` the function returns `(value, aux)` and the result is `(gradient, aux)`.  Cost and errors are those
    of `value_and_grad`: n passes.

    >>> grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2))(-2.0, 5.0, -4.0)
    (-4.0, -4.0, 3.0)
    """
    both = _value_and_grad(f, argnums, has_aux, "grad")

    @wraps(f, updated=())
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, result = both(*args, **kwargs)
        return (result, value[1]) if has_aux else result

    return gradient


def derivative(f: Function) -> Function:
    """The derivative of a function of one number; its value may be of any shape or structure.

    Cost: one pass.

    >>> derivative(lambda t: np.exp(2.0 * t))(0.0)
    np.float64(2.0)
    """

    @wraps(f, updated=())
    def df(x: Any, *args: Any, **kwargs: Any) -> Any:
        scalar_input("derivative", x)
        selection = Selection("derivative", (x, *args), 0)
        done = _Pass("derivative", f, selection, [one_of(selection.leaves[0])], kwargs)
        return unflatten(done.structure, done.tangents)

    return df


def elementwise_grad(f: Function) -> Function:
    """The derivative of a function that acts on each element of its first argument alone, as an array of its shape.

    Cost: two passes, the second of which checks with a random direction that the function is elementwise; raises
    ShapeError if it is not.

    >>> elementwise_grad(np.sin)(np.array([0.0, np.pi]))
    array([ 1., -1.])
    """

    @wraps(f, updated=())
    def df(x: Any, *args: Any, **kwargs: Any) -> Any:
        selection = Selection("elementwise_grad", (x, *args), 0)
        leaf = require_same_shape("elementwise_grad", selection.leaves)
        shape, dtype = Like(leaf).shape, Like(leaf).dtype or np.float64
        done = _Pass("elementwise_grad", f, selection, [np.ones(shape, dtype)[()]], kwargs)
        require_same_shape("elementwise_grad", selection.leaves, done.outputs)
        direction = scattered_powers(shape, dtype)
        response = _Pass("elementwise_grad", f, selection, [direction], kwargs).tangents[0]
        require_elementwise("elementwise_grad", response, done.tangents[0], direction)
        return done.tangents[0]

    return df


def jacobian(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The Jacobian of `f`: of an array of shape s_out by one of shape s_in, an array of shape s_out + s_in.

    Containers give containers: the output's outside, the argument's inside.  Cost: n passes, one a column, so it
    suits few inputs; `reversead.jacobian` suits few outputs.  `f` must be pure.

    >>> jacobian(lambda x: np.array([[1.0, 2.0], [3.0, 4.0]]) @ x)(np.ones(2))
    array([[1., 2.],
           [3., 4.]])
    """

    @wraps(f, updated=())
    def df(*args: Any, **kwargs: Any) -> Any:
        selection = Selection("jacobian", args, argnums)
        passes = [
            _Pass("jacobian", f, selection, direction, kwargs) for direction in basis(selection.leaves, real=True)
        ]
        first = passes[0] if passes else _Pass("jacobian", f, selection, selection.leaves, kwargs)
        blocks = matrices_of("jacobian", [p.tangents for p in passes], first.outputs, selection.leaves)
        return nest(blocks, first.structure, selection.pack)

    return df


def hessian(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The Hessian of a scalar function, of shape s + s for an argument of shape s: forward over forward.

    Cost: n * n passes of nested duals.  For more than a few inputs, `dualad.jacobian(reversead.grad(f))` costs n.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 5.0]))
    array([[10.,  6.],
           [ 6.,  0.]])
    """
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Function, x: Any, v: Any) -> Any:
    """The Hessian of a scalar function at `x` times a vector `v` of its structure, without forming the Hessian.

    Cost: n passes of nested duals (forward over forward).  `dualad.jvp(reversead.grad(f), (x,), (v,))` costs a small
    multiple of one evaluation.

    >>> hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([6., 0.])
    """
    return jvp(grad(f), (x,), (v,))[1]
