"""The transforms of reverse mode: functions that take a function and return a derivative of it.

Each makes a `Tape`, runs the function on variables of it, and sweeps.  The names and signatures are those of every
engine (`shared.engine.Engine`); the costs given are in evaluations of `f`, for n inputs and m outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import numpy as np

from reversead.tape import Tape, Variable
from shared.arguments import Selection, as_leaf, as_leaves, same_structure, scalar_output
from shared.assembly import (
    basis,
    floating,
    matrices_of_rows,
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
)
from shared.primitive import Like
from shared.tracer import DuckArray
from shared.tree import flatten, unflatten

Function = Callable[..., Any]

_REAL = frozenset((float, np.float64, np.float32))


class _Run:
    """One evaluation of a function on a tape, kept for sweeps."""

    __slots__ = ("aux", "nodes", "outputs", "selection", "structure", "tape")

    def __init__(self, name: str, f: Function, args: Any, kwargs: Any, argnums: Any, has_aux: bool = False):
        self.tape = tape = Tape(name)
        self.selection = Selection(name, args, argnums)
        try:
            variables = tape.inputs(self.selection.leaves, copy=True)
            out, aux = split_aux(name, f(*self.selection.call_with(variables), **kwargs), has_aux)
            leaves, self.structure = flatten(out)
            require_numbers(name, leaves)
            self.nodes = [o.index if isinstance(o, Variable) and o.level is tape else -1 for o in leaves]
            self.outputs = [primal_of(o, tape) for o in leaves]
            self.aux = strip(aux, tape)
        except BaseException:
            tape.release()
            raise
        tape.close()

    def output(self) -> Any:
        return unflatten(self.structure, self.outputs)

    def pull(self, seeds: list[Any]) -> list[Any]:
        # The tape keeps what it needs for the next call, so results that it might share are copied.
        seeds = [seeded(output, seed) for output, seed in zip(self.outputs, seeds, strict=True)]
        return as_leaves(self.tape.sweep(self.nodes, seeds), self.selection.leaves)


def value_and_grad(f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """The function that returns `(f(x), gradient)`: the value of a scalar function and its gradient.

    The gradient has the structure, shapes and dtypes of argument `argnums`; of several, it is a tuple.  With `has_aux`
    the function returns `(value, aux)` and the result is `((value, aux), gradient)`.

    Cost: one evaluation and one reverse sweep, whatever n; within 5 evaluations of `f` counted in operations
    (Baur & Strassen 1983; Griewank & Walther 2008, section 4.6).  Raises ShapeError if the output is not one real
    number, LeafTypeError if an argument has no derivative.

    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    return _value_and_grad(f, argnums, has_aux, "value_and_grad")


def _value_and_grad(f: Function, argnums: int | Sequence[int], has_aux: bool, name: str) -> Function:
    @wraps(f, updated=())
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        tape = Tape(name)
        try:
            selection = Selection(name, args, argnums)
            # Nothing but `f` itself could change the arguments before the sweep, so the large are locked, not copied.
            variables = tape.inputs(selection.leaves, copy=False)
            out, aux = split_aux(name, f(*selection.call_with(variables), **kwargs), has_aux)
            traced = isinstance(out, Variable) and out.level is tape
            if not (traced and out.primal.__class__ in _REAL):
                scalar_output(name, out)
            seed: Any = 1.0 if not traced or out.dtype == np.float64 else out.dtype.type(1)
            if traced and isinstance(out.primal, DuckArray):
                seed = out.primal.seed(seed)
            if has_aux:
                aux = strip(aux, tape)
            tape.close()
            found = tape.sweep([out.index if traced else -1], [seed], keep=False)
            value = primal_of(out, tape)
            gradient = selection.pack(as_leaves(found, selection.leaves))
        finally:
            tape.release()
        return ((value, aux) if has_aux else value), gradient

    return value_and_gradient


def grad(f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
    """The gradient of a scalar function, in the structure, shapes and dtypes of argument `argnums`.

    With `has_aux` the function returns `(value, aux)` and the result is `(gradient, aux)`.  Cost and errors are those
    of `value_and_grad`.

    >>> grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2))(-2.0, 5.0, -4.0)
    (-4.0, -4.0, 3.0)
    """
    both = _value_and_grad(f, argnums, has_aux, "grad")

    @wraps(f, updated=())
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, result = both(*args, **kwargs)
        return (result, value[1]) if has_aux else result

    return gradient


def vjp(f: Function, *primals: Any) -> tuple[Any, Function]:
    """The value of `f` and its pullback, which takes a cotangent of the output to one of each primal.

    The pullback takes a value of the output's structure and shapes and returns a tuple, one entry a primal.  It may
    be called any number of times, and arrays changed since do not affect it: the primals are copied.

    Cost: one evaluation; each call of the pullback one reverse sweep (J^T c; Griewank & Walther 2008, section 3.2).

    >>> out, pullback = vjp(lambda x, y: x * y, 3.0, 4.0)
    >>> out, pullback(1.0)
    (12.0, (4.0, 3.0))
    """
    run = _Run("vjp", f, primals, {}, range(len(primals)))

    def pullback(cotangent: Any) -> Any:
        """The cotangents of the primals, for a cotangent of the output."""
        return run.selection.pack(run.pull(same_structure("vjp", "cotangent", cotangent, run.structure, run.outputs)))

    return run.output(), pullback


def linearize(f: Function, *primals: Any) -> tuple[Any, Function]:
    """The value of `f` and its derivative at the primals as a linear function of tangents.

    Cost: one evaluation that writes a tape; each call of the linear function sweeps the tape forwards with tangents,
    without evaluating `f` again.

    >>> out, f_jvp = linearize(lambda x: x**3, 2.0)
    >>> out, f_jvp(1.0), f_jvp(10.0)
    (8.0, 12.0, 120.0)
    """
    run = _Run("linearize", f, primals, {}, range(len(primals)))

    def f_jvp(*tangents: Any) -> Any:
        """The output's tangent, for a tangent of each primal."""
        return _push(run, "linearize", tangents)

    return run.output(), f_jvp


def _push(run: _Run, name: str, tangents: tuple[Any, ...]) -> Any:
    seeds = same_structure(name, "tangent", list(tangents), run.selection.structure, run.selection.leaves)
    return unflatten(run.structure, _pushed(run, seeds))


def _pushed(run: _Run, seeds: list[Any]) -> list[Any]:
    seeds = [seeded(leaf, seed) for leaf, seed in zip(run.selection.leaves, seeds, strict=True)]
    reached = run.tape.push(seeds, run.nodes)
    return [as_leaf(t, o) for t, o in zip(reached, map(floating, run.outputs), strict=True)]


def jvp(f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """The value of `f` at `primals`, and its derivative in the direction `tangents`.

    Cost: `linearize`, applied once.  A program of many operations is cheaper by `dualad.jvp`, which stores nothing.

    >>> jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    """
    run = _Run("jvp", f, tuple(primals), {}, range(len(primals)))
    return run.output(), _push(run, "jvp", tuple(tangents))


def derivative(f: Function) -> Function:
    """The derivative of a function of one number; its value may be of any shape or structure.

    Cost: one evaluation and one forward sweep over the tape.

    >>> derivative(lambda t: np.exp(2.0 * t))(0.0)
    np.float64(2.0)
    """

    @wraps(f, updated=())
    def df(x: Any, *args: Any, **kwargs: Any) -> Any:
        scalar_input("derivative", x)
        run = _Run("derivative", f, (x, *args), kwargs, 0)
        reached = run.tape.push([one_of(run.selection.leaves[0])], run.nodes)
        tangents = [as_leaf(t, o) for t, o in zip(reached, map(floating, run.outputs), strict=True)]
        return unflatten(run.structure, tangents)

    return df


def elementwise_grad(f: Function) -> Function:
    """The derivative of a function that acts on each element of its first argument alone, as an array of its shape.

    Cost: one evaluation and two forward sweeps over the tape, the second of which checks with another direction that
    the function is elementwise; raises ShapeError if it is not.

    >>> elementwise_grad(np.sin)(np.array([0.0, np.pi]))
    array([ 1., -1.])
    """

    @wraps(f, updated=())
    def df(x: Any, *args: Any, **kwargs: Any) -> Any:
        run = _Run("elementwise_grad", f, (x, *args), kwargs, 0)
        leaf = require_same_shape("elementwise_grad", run.selection.leaves, run.outputs)
        shape, dtype = Like(leaf).shape, Like(leaf).dtype or np.float64
        found = _pushed(run, [np.ones(shape, dtype)[()]])[0]
        direction = scattered_powers(shape, dtype)
        require_elementwise("elementwise_grad", _pushed(run, [direction])[0], found, direction)
        return found

    return df


def jacobian(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The Jacobian of `f`: of an array of shape s_out by one of shape s_in, an array of shape s_out + s_in.

    Containers give containers: the output's outside, the argument's inside.  Cost: one evaluation and m reverse
    sweeps, so it suits few outputs; `dualad.jacobian` suits few inputs.

    >>> jacobian(lambda x: np.array([[1.0, 2.0], [3.0, 4.0]]) @ x)(np.ones(2))
    array([[1., 2.],
           [3., 4.]])
    """

    @wraps(f, updated=())
    def df(*args: Any, **kwargs: Any) -> Any:
        run = _Run("jacobian", f, args, kwargs, argnums)
        rows = [run.pull(seeds) for seeds in basis(run.outputs, real=True)]
        blocks = matrices_of_rows("jacobian", rows, run.outputs, run.selection.leaves)
        return nest(blocks, run.structure, run.selection.pack)

    return df


def hessian(f: Function, argnums: int | Sequence[int] = 0) -> Function:
    """The Hessian of a scalar function, of shape s + s for an argument of shape s: reverse over reverse.

    Cost: n reverse sweeps over the tape of one gradient, a small multiple of n evaluations.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 5.0]))
    array([[10.,  6.],
           [ 6.,  0.]])
    """
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Function, x: Any, v: Any) -> Any:
    """The Hessian of a scalar function at `x` times a vector `v` of its structure, without forming the Hessian.

    Cost: a small multiple of one evaluation, whatever n (reverse over reverse; Christianson 1992; Pearlmutter 1994).

    >>> hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([6., 0.])
    """
    _, pullback = vjp(grad(f), x)
    return pullback(v)[0]
