"""The transforms of reverse mode: functions that take a function and return a derivative of it.

Each makes a `Tape`, runs the function on variables of it, and sweeps.  The names and signatures are those of every
engine (`shared.calling.engine.Engine`); the costs given are in evaluations of `f`, for n inputs and m outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import numpy as np

from reversead.tape import Tape
from reversead.variable import Variable
from shared.batching.directions import along_directions, checked_chunk_size, checked_executor, number_of_directions
from shared.calling.arguments import Argnums, Selection, as_leaf, as_leaves, same_structure, scalar_input, scalar_output
from shared.calling.jacobians import blocks_of_rows, nest
from shared.calling.results import (
    primal_of,
    require_elementwise,
    require_numbers,
    require_same_shape,
    scattered_powers,
    split_aux,
    strip,
)
from shared.calling.seeds import floating, one_of, seeded
from shared.calling.transformed import transformed
from shared.calling.tree import flatten, unflatten
from shared.core.duck_array import DuckArray
from shared.core.primitive import Like

if TYPE_CHECKING:
    from concurrent.futures import Executor

Function = Callable[..., Any]

_REAL = frozenset((float, np.float64, np.float32))


class TapedRun:
    """One evaluation of a function on a tape, kept for sweeps."""

    __slots__ = ("__del__", "aux", "nodes", "outputs", "selection", "structure", "tape")
    #: what the interpreter calls when this is freed; written in C, so that no interrupt can come in it
    __del__: Callable[[], None]

    def __init__(self, name: str, selection: Selection, has_aux: bool = False):
        self.tape = tape = Tape(name)
        # What a checkpoint keeps may refer to variables, and so to the tape.
        self.__del__ = tape.records.clear
        self.selection = selection
        try:
            variables = tape.inputs(selection.leaves, copy=True)
            out, aux = split_aux(name, selection.call(variables), has_aux)
            leaves, self.structure = flatten(out)
            require_numbers(name, leaves)
            self.nodes = [o.index if isinstance(o, Variable) and o.level is tape else -1 for o in leaves]
            self.outputs = [primal_of(o, tape) for o in leaves]
            self.aux = strip(aux, tape)
            tape.close()
        except BaseException:
            tape.release()
            raise

    def release(self) -> None:
        """Give up the tape: for a transform that an exception leaves, whose frame may be kept, and this with it."""
        self.tape.release()

    def output(self) -> Any:
        return unflatten(self.structure, self.outputs)

    def pull(self, seeds: list[Any]) -> list[Any]:
        # The tape keeps what it needs for the next call, so results that it might share are copied.
        seeds = [seeded(output, seed) for output, seed in zip(self.outputs, seeds, strict=True)]
        return as_leaves(self.tape.sweep(self.nodes, seeds), self.selection.leaves)

    def push(self, seeds: list[Any]) -> list[Any]:
        """The outputs' tangents, for a tangent of each leaf, or None where it does not vary."""
        leaves = self.selection.leaves
        seeds = [None if seed is None else seeded(leaf, seed) for leaf, seed in zip(leaves, seeds, strict=True)]
        reached = self.tape.push(seeds, self.nodes)
        return [as_leaf(t, o) for t, o in zip(reached, map(floating, self.outputs), strict=True)]

    def push_one(self, position: int, seed: Any) -> list[Any]:
        """The outputs' tangents in the direction in which one leaf alone varies."""
        return self.push([seed if k == position else None for k in range(len(self.selection.leaves))])


def value_and_grad(
    f: Function,
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    executor: Executor | None = None,
) -> Function:
    """The function that returns `(f(x), gradient)`: the value of a scalar function and its gradient.

    The gradient has the structure, shapes and dtypes of argument `argnums`, a position or a name; of a sequence of
    these, it is a tuple.  With `has_aux` the function returns `(value, aux)` and the result is
    `((value, aux), gradient)`.

    Cost: one evaluation and one reverse sweep, whatever n; within 5 evaluations of `f` counted in operations
    (Baur & Strassen 1983; Griewank & Walther 2008, section 4.6).  There is one direction, so `chunk_size` and
    `executor`, which forward mode has a use for, change nothing.  Raises ShapeError if the output is not one real
    number, LeafTypeError if an argument has no derivative.

    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    checked_chunk_size("value_and_grad", chunk_size)
    checked_executor("value_and_grad", executor)
    return _value_and_grad(f, argnums, has_aux, "value_and_grad")


def _value_and_grad(f: Function, argnums: Argnums, has_aux: bool, name: str) -> Function:
    @transformed(_value_and_grad, f, argnums, has_aux, name)
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        tape = Tape(name)
        try:
            selection = Selection(name, f, args, kwargs, argnums)
            # Nothing but `f` itself could change the arguments before the sweep, so the large are locked, not copied.
            variables = tape.inputs(selection.leaves, copy=False)
            out, aux = split_aux(name, selection.call(variables), has_aux)
            traced = isinstance(out, Variable) and out.level is tape
            if not (traced and out.primal.__class__ in _REAL):
                scalar_output(name, out)
            seed: Any = 1.0 if not traced or out.dtype == np.float64 else out.dtype.type(1)
            if traced and isinstance(out.primal, DuckArray):
                seed = out.primal.seed(seed)
            if has_aux:
                aux = strip(aux, tape)
            tape.end()
            found = tape.sweep([out.index if traced else -1], [seed], keep=False)
            value = primal_of(out, tape)
            gradient = selection.pack(as_leaves(found, selection.leaves))
            tape.release()
        except BaseException:
            # Again, if that was interrupted.
            tape.release()
            raise
        return ((value, aux) if has_aux else value), gradient

    return value_and_gradient


def grad(
    f: Function,
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    executor: Executor | None = None,
) -> Function:
    """The gradient of a scalar function, in the structure, shapes and dtypes of argument `argnums`.

    An argument is given by its position or its name; of a sequence of these the gradient is a tuple.  With `has_aux`
    the function returns `(value, aux)` and the result is `(gradient, aux)`.  Cost and errors are those of
    `value_and_grad`.

    >>> grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2))(-2.0, 5.0, -4.0)
    (-4.0, -4.0, 3.0)
    >>> grad(lambda data, weights: np.sum(data * weights), argnums="weights")(np.ones(2), weights=np.zeros(2))
    array([1., 1.])
    """
    checked_chunk_size("grad", chunk_size)
    checked_executor("grad", executor)
    both = _value_and_grad(f, argnums, has_aux, "grad")

    @transformed(grad, f, argnums, has_aux, chunk_size=chunk_size, executor=executor)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, result = both(*args, **kwargs)
        return (result, value[1]) if has_aux else result

    return gradient


def vjp(f: Function, *primals: Any, has_aux: bool = False, argnums: Argnums | None = None) -> tuple[Any, ...]:
    """The value of `f` and its pullback, which takes a cotangent of the output to one of each primal.

    The pullback takes a value of the output's structure and shapes and returns a tuple, one entry a primal.  With
    `argnums` it returns the cotangent of that primal alone (a position or a name), or a tuple in that order (a
    sequence).  It may be called any number of times, and arrays changed since do not affect it: the primals are
    copied.  With `has_aux` the function returns `(out, aux)`, and the result is `(out, pullback, aux)`.

    Cost: one evaluation; each call of the pullback one reverse sweep (J^T c; Griewank & Walther 2008, section 3.2).
    Raises ShapeError for a cotangent that does not fit the output.

    >>> out, pullback = vjp(lambda x, y: x * y, 3.0, 4.0)
    >>> out, pullback(1.0)
    (12.0, (4.0, 3.0))
    """
    selection = Selection("vjp", f, primals, {}, argnums)
    run = TapedRun("vjp", selection, has_aux)

    def pullback(cotangent: Any) -> Any:
        """The cotangents of the primals that vary, for a cotangent of the output."""
        return selection.pack(run.pull(same_structure("vjp", "cotangent", cotangent, run.structure, run.outputs)))

    try:
        return (run.output(), pullback, run.aux) if has_aux else (run.output(), pullback)
    except BaseException:
        run.release()
        raise


def linearize(f: Function, *primals: Any, has_aux: bool = False, argnums: Argnums | None = None) -> tuple[Any, ...]:
    """The value of `f` and its derivative at the primals as a linear function of tangents.

    That function takes a tangent for each primal, or for those alone that `argnums` (a position, a name, or a sequence
    of these) picks, in that order.  With `has_aux` the function returns `(out, aux)`, and the result is
    `(out, f_jvp, aux)`.

    Cost: one evaluation that writes a tape; each call of the linear function sweeps the tape forwards with tangents,
    without evaluating `f` again.  Raises ShapeError for a tangent that does not fit its primal.

    >>> out, f_jvp = linearize(lambda x: x**3, 2.0)
    >>> out, f_jvp(1.0), f_jvp(10.0)
    (8.0, 12.0, 120.0)
    """
    selection = Selection("linearize", f, primals, {}, argnums)
    run = TapedRun("linearize", selection, has_aux)

    def f_jvp(*tangents: Any) -> Any:
        """The output's tangent, for a tangent of each primal that varies."""
        given = tangents[0] if selection.single and len(tangents) == 1 else tangents
        return unflatten(run.structure, run.push(selection.unpack("linearize", given)))

    try:
        return (run.output(), f_jvp, run.aux) if has_aux else (run.output(), f_jvp)
    except BaseException:
        run.release()
        raise


def jvp(
    f: Function, primals: Sequence[Any], tangents: Any, has_aux: bool = False, *, argnums: Argnums | None = None
) -> tuple[Any, ...]:
    """The value of `f` at `primals`, and its derivative in the direction `tangents`.

    By default every primal varies, and `tangents` is a sequence, one entry a primal.  `argnums` (a position, a name, or
    a sequence of these) picks those that do: `tangents` is then one tangent, or a sequence in that order.  Both results
    have the structure, shapes and dtypes of the output; with `has_aux` the function returns `(out, aux)`, and the
    result is `(out, tangent, aux)`.

    Cost: `linearize`, applied once.  A program of many operations is cheaper by `dualad.jvp`, which stores nothing.
    Raises ShapeError for a tangent that does not fit its primal.

    >>> jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    >>> jvp(lambda x, y: x * y, (3.0, 4.0), 10.0, argnums="y")
    (12.0, 30.0)
    """
    selection = Selection("jvp", f, tuple(primals), {}, argnums)
    run = TapedRun("jvp", selection, has_aux)
    try:
        tangent = unflatten(run.structure, run.push(selection.unpack("jvp", tangents)))
        return (run.output(), tangent, run.aux) if has_aux else (run.output(), tangent)
    except BaseException:
        run.release()
        raise


def derivative(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The derivative of a function with respect to one number; its value may be of any shape or structure.

    The number is argument `argnums`, a position or a name; of a sequence of these the result is a tuple of derivatives.
    With `has_aux` the function returns `(value, aux)` and the result is `(derivative, aux)`.

    Cost: one evaluation and one forward sweep over the tape a number.  Raises ShapeError if an argument is not one
    number.

    >>> derivative(lambda t: np.exp(2.0 * t))(0.0)
    np.float64(2.0)
    """

    @transformed(derivative, f, argnums, has_aux)
    def df(*args: Any, **kwargs: Any) -> Any:
        selection = Selection("derivative", f, args, kwargs, argnums)
        for argument in selection.arguments():
            scalar_input("derivative", argument)
        run = TapedRun("derivative", selection, has_aux)
        try:
            ones = [one_of(leaf) for leaf in selection.leaves]
            tangents = [unflatten(run.structure, run.push_one(k, one)) for k, one in enumerate(ones)]
            result = tangents[0] if selection.single else tuple(tangents)
            return (result, run.aux) if has_aux else result
        except BaseException:
            run.release()
            raise

    return df


def elementwise_grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The derivative of a function that acts on each element of argument `argnums` alone, as an array of its shape.

    The argument is given by its position or its name; of a sequence of these the result is a tuple of derivatives.
    With `has_aux` the function returns `(value, aux)` and the result is `(derivative, aux)`.

    Cost: one evaluation and, an argument, two forward sweeps over the tape, the second of which checks with another
    direction that the function is elementwise; raises ShapeError if it is not.

    >>> elementwise_grad(np.sin)(np.array([0.0, np.pi]))
    array([ 1., -1.])
    """
    name = "elementwise_grad"

    @transformed(elementwise_grad, f, argnums, has_aux)
    def df(*args: Any, **kwargs: Any) -> Any:
        selection = Selection(name, f, args, kwargs, argnums)
        arguments = [require_same_shape(name, leaves) for leaves in selection.leaves_by_argument()]
        run = TapedRun(name, selection, has_aux)
        try:
            tangents = []
            for k, leaf in enumerate(arguments):
                require_same_shape(name, [leaf], run.outputs)
                shape, dtype = Like(leaf).shape, Like(leaf).dtype or np.float64
                found = run.push_one(k, np.ones(shape, dtype)[()])[0]
                direction = scattered_powers(shape, dtype)
                require_elementwise(name, run.push_one(k, direction)[0], found, direction)
                tangents.append(found)
            result = tangents[0] if selection.single else tuple(tangents)
            return (result, run.aux) if has_aux else result
        except BaseException:
            run.release()
            raise

    return df


def _rows(
    name: str, selection: Selection, has_aux: bool, chunk_size: int | None, executor: Executor | None = None
) -> tuple[TapedRun, list[Any]]:
    """One run, whose tape is released, and for each input the cotangents along all directions of the outputs."""
    if executor is not None:
        # Only who gives an executor pays for loading what executors need.
        from shared.batching.parallel import on_executor, refuse_traced, spans_of

        refuse_traced(name, [selection.args, selection.kwargs])
    run = TapedRun(name, selection, has_aux)
    try:
        if executor is None:
            rows = along_directions(name, run.outputs, run.pull, chunk_size)
        else:
            # A tape belongs to the thread that made it, so every span makes its own.
            job = partial(_span_of_rows, name, selection, has_aux)
            spans = spans_of(number_of_directions(run.outputs), chunk_size)
            parts = list(on_executor(name, executor, job, [(span,) for span in spans]))
            rows = [np.concatenate(column) for column in zip(*parts, strict=True)]
        run.release()
    except BaseException:
        # Again, if that was interrupted.
        run.release()
        raise
    return run, rows or [np.zeros((0, *Like(leaf).shape)) for leaf in selection.leaves]


def _span_of_rows(name: str, selection: Selection, has_aux: bool, span: tuple[int, int]) -> list[Any]:
    run = None
    try:
        run = TapedRun(name, selection, has_aux)
        rows = along_directions(name, run.outputs, run.pull, None, span)
        run.release()
    except BaseException:
        # Again, if that was interrupted.
        if run is not None:
            run.release()
        raise
    return rows


def value_and_jacobian(
    f: Function,
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    executor: Executor | None = None,
) -> Function:
    """The function that returns `(f(x), jacobian)`: the value of a function of arrays and its Jacobian.

    The Jacobian is that of `jacobian`.  With `has_aux` the function returns `(value, aux)` and the result is
    `((value, aux), jacobian)`.

    Cost: one evaluation and m reverse sweeps, so it suits few outputs; `dualad.value_and_jacobian` suits few inputs.
    The options are those of `jacobian`.

    >>> value_and_jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    (array([1., 4.]), array([[2., 0.],
           [0., 4.]]))
    """
    return _value_and_jacobian(f, argnums, has_aux, "value_and_jacobian", chunk_size, executor)


def _value_and_jacobian(
    f: Function,
    argnums: Argnums,
    has_aux: bool,
    name: str,
    chunk_size: int | None,
    executor: Executor | None,
    square: bool = False,
) -> Function:
    # With `square`, `f` is a gradient with respect to the same arguments.
    checked_chunk_size(name, chunk_size)
    checked_executor(name, executor)

    @transformed(_value_and_jacobian, f, argnums, has_aux, name, chunk_size, executor, square)
    def value_and_matrix(*args: Any, **kwargs: Any) -> Any:
        selection = Selection(name, f, args, kwargs, argnums)
        run, rows = _rows(name, selection, has_aux, chunk_size, executor)
        blocks = blocks_of_rows(name, rows, run.outputs, selection.leaves)
        value = (run.output(), run.aux) if has_aux else run.output()
        return value, selection.pack_square(blocks) if square else nest(blocks, run.structure, selection.pack)

    return value_and_matrix


def jacobian(
    f: Function,
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    executor: Executor | None = None,
) -> Function:
    """The Jacobian of `f`: of an array of shape s_out by one of shape s_in, an array of shape s_out + s_in.

    The input is argument `argnums`, a position or a name; of a sequence of these there is a tuple of Jacobians.
    Containers give containers: the output's outside, the arguments' inside.  With `has_aux` the function returns
    `(value, aux)` and the result is `(jacobian, aux)`.

    Cost: one evaluation and m reverse sweeps, so it suits few outputs; `dualad.jacobian` suits few inputs.  The sweeps
    run together, `chunk_size` at a time, by default as many as a budget of memory allows
    (`shared.batching.directions.BYTES`); an `executor` (threads, processes, a cluster) evaluates `f` and sweeps for
    spans of them elsewhere.  Raises ValueError for a chunk size below 1, ExecutorError where an executor cannot send
    `f` or loses a worker.

    >>> jacobian(lambda x: np.array([[1.0, 2.0], [3.0, 4.0]]) @ x)(np.ones(2))
    array([[1., 2.],
           [3., 4.]])
    """
    both = _value_and_jacobian(f, argnums, has_aux, "jacobian", chunk_size, executor)

    @transformed(jacobian, f, argnums, has_aux, chunk_size=chunk_size, executor=executor)
    def df(*args: Any, **kwargs: Any) -> Any:
        value, matrix = both(*args, **kwargs)
        return (matrix, value[1]) if has_aux else matrix

    return df


def hessian(
    f: Function,
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    executor: Executor | None = None,
) -> Function:
    """The Hessian of a scalar function, of shape s + s for an argument of shape s: reverse over reverse.

    Of several arguments it is a tuple of tuples, of which `[i][j]` is the block of arguments i and j; a block of
    containers nests that of i outside and that of j inside.  With `has_aux` the function returns `(value, aux)` and
    the result is `(hessian, aux)`.

    Cost: n reverse sweeps over the tape of one gradient, a small multiple of n evaluations; the options are those of
    `jacobian`.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 5.0]))
    array([[10.,  6.],
           [ 6.,  0.]])
    """
    three = _value_grad_and_hessian(f, argnums, has_aux, "hessian", chunk_size, executor)

    @transformed(hessian, f, argnums, has_aux, chunk_size=chunk_size, executor=executor)
    def matrix(*args: Any, **kwargs: Any) -> Any:
        value, _, result = three(*args, **kwargs)
        return (result, value[1]) if has_aux else result

    return matrix


def value_grad_and_hessian(
    f: Function,
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    executor: Executor | None = None,
) -> Function:
    """The function that returns `(f(x), gradient, hessian)`: what one step of Newton's method needs.

    The gradient is that of `grad`, the Hessian that of `hessian`.  With `has_aux` the function returns `(value, aux)`
    and the result is `((value, aux), gradient, hessian)`.

    Cost: that of `hessian`, whose one tape of the gradient also gives the value and the gradient.

    >>> value_grad_and_hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 5.0]))
    (np.float64(45.0), array([30.,  9.]), array([[10.,  6.],
           [ 6.,  0.]]))
    """
    return _value_grad_and_hessian(f, argnums, has_aux, "value_grad_and_hessian", chunk_size, executor)


def _gradient_and_value(f: Function, argnums: Argnums, has_aux: bool, name: str) -> Function:
    both = _value_and_grad(f, argnums, has_aux, name)

    @transformed(_gradient_and_value, f, argnums, has_aux, name)
    def gradient_and_value(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return gradient, value

    return gradient_and_value


def _value_grad_and_hessian(
    f: Function, argnums: Argnums, has_aux: bool, name: str, chunk_size: int | None, executor: Executor | None
) -> Function:
    gradient_and_value = _gradient_and_value(f, argnums, has_aux, name)
    derivatives = _value_and_jacobian(gradient_and_value, argnums, True, name, chunk_size, executor, square=True)

    @transformed(_value_grad_and_hessian, f, argnums, has_aux, name, chunk_size, executor)
    def all_three(*args: Any, **kwargs: Any) -> Any:
        (gradient, value), matrix = derivatives(*args, **kwargs)
        return value, gradient, matrix

    return all_three


def hvp(f: Function, x: Any, v: Any, has_aux: bool = False, *, argnums: Argnums | None = None) -> Any:
    """The Hessian of a scalar function at `x` times a vector `v` of its structure, without forming the Hessian.

    With `argnums`, `x` is a sequence of all arguments of `f`; `v` and the product belong to the one that it names
    (by position or name), or are sequences in its order.  With `has_aux` the function returns `(value, aux)` and the
    result is `(product, aux)`.

    Cost: a small multiple of one evaluation, whatever n: the tape of f is swept forwards along v, and that is swept
    backwards (Christianson 1992; Pearlmutter 1994).  For many vectors at one point, `linearize(grad(f), x)` once.

    >>> hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([6., 0.])
    >>> hvp(lambda x, y: np.sum(x * y**2), (np.ones(2), np.ones(2)), np.array([1.0, 0.0]), argnums="y")
    array([2., 0.])
    """
    primals, chosen = ((x,), 0) if argnums is None else (x, argnums)

    @wraps(f, updated=())
    def slope(*args: Any) -> Any:
        # The derivative of f along v.  Its gradient is the product, and unlike a derivative of the gradient of f does
        # not need that gradient's value, in a network a product of matrices a layer.
        run = TapedRun("hvp", Selection("hvp", f, args, {}, chosen), has_aux)
        try:
            for output in run.outputs:
                scalar_output("hvp", output)
            tangent = unflatten(run.structure, run.push(run.selection.unpack("hvp", v)))
            return (tangent, run.aux) if has_aux else tangent
        except BaseException:
            run.release()
            raise

    value, product = _value_and_grad(slope, chosen, has_aux, "hvp")(*primals)
    return (product, value[1]) if has_aux else product
