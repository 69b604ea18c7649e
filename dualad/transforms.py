"""The transforms of forward mode: functions that take a function and return a derivative of it.

Each takes a fresh level, runs the function on dual numbers of it, and reads off tangents.  The names and signatures
are those of every engine (`shared.calling.engine.Engine`); the costs given are in evaluations ("passes") of `f` and in
directions, for n inputs and m outputs.  A direction adds at most 3 evaluations, counted in operations, to its pass;
what needs several directions carries as many in one pass as a budget of memory allows (`shared.batching.directions`),
and evaluates `f` again for the next, so `f` must be pure: the same arguments must give the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from dualad.dual import Dual, new_dual
from shared.batching.directions import along_directions, checked_chunk_size, checked_executor, number_of_directions
from shared.calling.arguments import (
    Argnums,
    Selection,
    as_leaf,
    refuse_iterators,
    same_structure,
    scalar_input,
    scalar_output,
)
from shared.calling.jacobians import blocks_of_columns, gradient_of, nest
from shared.calling.results import (
    independent,
    primal_of,
    require_elementwise,
    require_numbers,
    require_same_shape,
    scattered_powers,
    split_aux,
    strip,
)
from shared.calling.seeds import floating, is_complex, one_of, seeded, zero_like
from shared.calling.transformed import transformed
from shared.calling.tree import flatten, unflatten
from shared.core.levels import Level
from shared.core.primitive import Like

if TYPE_CHECKING:
    from concurrent.futures import Executor

Function = Callable[..., Any]


class ForwardPass:
    """One evaluation of a function in one direction, or in all those that batched seeds stand for."""

    __slots__ = ("aux", "outputs", "structure", "tangents")

    def __init__(
        self, name: str, selection: Selection, seeds: Sequence[Any], has_aux: bool = False, scalar: bool = False
    ):
        level = Level(name)
        try:
            duals = [
                new_dual(level, leaf, seeded(leaf, seed)) for leaf, seed in zip(selection.leaves, seeds, strict=True)
            ]
            out, aux = split_aux(name, selection.call(duals), has_aux)
            if scalar:
                scalar_output(name, out)
            leaves, self.structure = flatten(out)
            require_numbers(name, leaves)
            self.outputs = [primal_of(o, level) for o in leaves]
            self.tangents = [
                as_leaf(o.tangent if isinstance(o, Dual) and o.level is level else None, floating(primal))
                for o, primal in zip(leaves, self.outputs, strict=True)
            ]
            self.aux = strip(aux, level) if has_aux else None
        finally:
            level.closed = True

    def output(self) -> Any:
        return unflatten(self.structure, self.outputs)

    def tangent(self) -> Any:
        return unflatten(self.structure, self.tangents)


def jvp(
    f: Function, primals: Sequence[Any], tangents: Any, has_aux: bool = False, *, argnums: Argnums | None = None
) -> tuple[Any, ...]:
    """The value of `f` at `primals`, and its derivative in the direction `tangents`.

    By default every primal varies, and `tangents` is a sequence, one entry a primal.  `argnums` (a position, a name, or
    a sequence of these) picks those that do: `tangents` is then one tangent, or a sequence in that order.  Both results
    have the structure, shapes and dtypes of the output; with `has_aux` the function returns `(out, aux)`, and the
    result is `(out, tangent, aux)`.

    Cost: one pass, at most 4 evaluations of `f` counted in operations, and memory that does not depend on the number of
    operations (Wengert 1964; Griewank & Walther 2008, section 3.1).  Raises ShapeError for a tangent that does not fit
    its primal.

    >>> jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    >>> jvp(lambda x, y: x * y, (3.0, 4.0), 10.0, argnums="y")
    (12.0, 30.0)
    """
    selection = Selection("jvp", f, tuple(primals), {}, argnums)
    done = ForwardPass("jvp", selection, selection.unpack("jvp", tangents), has_aux)
    return (done.output(), done.tangent(), done.aux) if has_aux else (done.output(), done.tangent())


def linearize(f: Function, *primals: Any, has_aux: bool = False, argnums: Argnums | None = None) -> tuple[Any, ...]:
    """The value of `f` and its derivative at the primals as a linear function of tangents.

    That function takes a tangent for each primal, or for those alone that `argnums` (a position, a name, or a sequence
    of these) picks, in that order.  With `has_aux` the function returns `(out, aux)`, and the result is
    `(out, f_jvp, aux)`.

    Cost: one evaluation, and one pass for each call of the linear function.  `f` runs again each time, so it must be
    pure; the primals are copied.  Raises ShapeError for a tangent that does not fit its primal.

    >>> out, f_jvp = linearize(lambda x: x**3, 2.0)
    >>> out, f_jvp(1.0), f_jvp(10.0)
    (8.0, 12.0, 120.0)
    """
    selection = _copied("linearize", f, primals, argnums)
    first = ForwardPass("linearize", selection, [zero_like(leaf) for leaf in selection.leaves], has_aux)

    def f_jvp(*tangents: Any) -> Any:
        """The output's tangent, for a tangent of each primal that varies."""
        given = tangents[0] if selection.single and len(tangents) == 1 else tangents
        return ForwardPass("linearize", selection, selection.unpack("linearize", given), has_aux).tangent()

    return (first.output(), f_jvp, first.aux) if has_aux else (first.output(), f_jvp)


def _copied(name: str, f: Function, primals: tuple[Any, ...], argnums: Argnums | None) -> Selection:
    refuse_iterators(name, primals, {})
    selection = Selection(name, f, primals, {}, argnums)
    selection.leaves = [independent(leaf) for leaf in selection.leaves]
    if argnums is not None:
        selection.args = tuple([a if k in selection.places else _copy(a) for k, a in enumerate(primals)])
    return selection


def _copy(value: Any) -> Any:
    """A primal that does not vary, with copies of the arrays in it: the next pass must see what the first one saw."""
    kind = value.__class__
    if kind is list or kind is tuple:
        return kind([_copy(part) for part in value])
    if kind is dict:
        return {key: _copy(part) for key, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return kind(*[_copy(part) for part in value])
    # A masked array or a matrix stays one.
    return value.copy("K") if isinstance(value, np.ndarray) else independent(value)


def vjp(f: Function, *primals: Any, has_aux: bool = False, argnums: Argnums | None = None) -> tuple[Any, ...]:
    """The value of `f` and its pullback, which takes a cotangent of the output to one of each primal.

    The pullback takes a value of the output's structure and shapes and returns a tuple, one entry a primal.  With
    `argnums` it returns the cotangent of that primal alone (a position or a name), or a tuple in that order (a
    sequence).  With `has_aux` the function returns `(out, aux)`, and the result is `(out, pullback, aux)`.

    Cost: one evaluation, and n directions for each call of the pullback, which stores no matrix.  `f` runs again each
    time, so it must be pure; the primals are copied.  Raises ShapeError for a cotangent that does not fit the output.

    >>> out, pullback = vjp(lambda x, y: x * y, 3.0, 4.0)
    >>> out, pullback(1.0)
    (12.0, (4.0, 3.0))
    """
    selection = _copied("vjp", f, primals, argnums)
    first = ForwardPass("vjp", selection, [zero_like(leaf) for leaf in selection.leaves], has_aux)

    def pullback(cotangent: Any) -> Any:
        """The cotangents of the primals that vary, for a cotangent of the output."""
        seeds = same_structure("vjp", "cotangent", cotangent, first.structure, first.outputs)

        def paired(direction: list[Any]) -> list[Any]:
            return [_inner(seeds, ForwardPass("vjp", selection, direction, has_aux).tangents)]

        entries = along_directions("vjp", selection.leaves, paired)
        return selection.pack(gradient_of(entries[0] if entries else np.zeros(0), selection.leaves))

    return (first.output(), pullback, first.aux) if has_aux else (first.output(), pullback)


def _inner(cotangents: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The pairing of the output's cotangent with its tangent: Re(c t), bilinear, without a conjugate."""
    total: Any = 0.0
    for c, t in zip(cotangents, tangents, strict=True):
        product = np.sum(c * t) if Like(t).shape else c * t
        total = total + (np.real(product) if is_complex(product) else product)
    return total


def _columns(
    name: str,
    selection: Selection,
    has_aux: bool,
    chunk_size: int | None,
    executor: Executor | None = None,
    scalar: bool = False,
) -> tuple[ForwardPass, list[Any]]:
    """One pass, for all but its tangents, and for each output the tangents along all directions of the inputs."""
    refuse_iterators(name, selection.args, selection.kwargs)
    if executor is None:
        return _span_of_columns(name, selection, has_aux, chunk_size, scalar, None)
    # Only who gives an executor pays for loading what executors need.
    from shared.batching.parallel import on_executor, refuse_traced, spans_of

    refuse_traced(name, [selection.args, selection.kwargs])
    job = partial(_span_of_columns, name, selection, has_aux, None, scalar)
    spans = spans_of(number_of_directions(selection.leaves), chunk_size)
    if not spans:
        return job(None)
    parts = list(on_executor(name, executor, job, [(span,) for span in spans]))
    return parts[0][0], [np.concatenate(column) for column in zip(*(part[1] for part in parts), strict=True)]


def _span_of_columns(
    name: str, selection: Selection, has_aux: bool, chunk_size: int | None, scalar: bool, span: tuple[int, int] | None
) -> tuple[Any, list[Any]]:
    passes: list[ForwardPass] = []

    def tangents(seeds: list[Any]) -> list[Any]:
        done = ForwardPass(name, selection, seeds, has_aux, scalar)
        found, done.tangents = done.tangents, []
        if not passes:
            passes.append(done)
        return found

    columns = along_directions(name, selection.leaves, tangents, chunk_size, span)
    if passes:
        # The value and aux are those of the first span; the others need not send theirs.
        return (None if span is not None and span[0] else passes[0]), columns
    # There is no input at all: the derivative is empty, the value is not.
    first = ForwardPass(name, selection, selection.leaves, has_aux, scalar)
    return first, [np.zeros((0, *Like(output).shape)) for output in first.outputs]


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

    Cost: n directions: for more than a few inputs use `reversead.value_and_grad`.  `chunk_size` is how many one pass
    carries, by default as many as a budget of memory allows; an `executor` evaluates them elsewhere.  `f` must be pure.
    Raises ShapeError if the output is not one real number, LeafTypeError if an argument has no derivative.

    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    return _value_and_grad(f, argnums, has_aux, "value_and_grad", chunk_size, executor)


def _value_and_grad(
    f: Function,
    argnums: Argnums,
    has_aux: bool,
    name: str,
    chunk_size: int | None = None,
    executor: Executor | None = None,
) -> Function:
    checked_chunk_size(name, chunk_size)
    checked_executor(name, executor)

    @transformed(_value_and_grad, f, argnums, has_aux, name, chunk_size, executor)
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        selection = Selection(name, f, args, kwargs, argnums)
        first, columns = _columns(name, selection, has_aux, chunk_size, executor, scalar=True)
        gradient = selection.pack(gradient_of(columns[0], selection.leaves))
        value = first.outputs[0]
        return ((value, first.aux) if has_aux else value), gradient

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
    `value_and_grad`: n directions.

    >>> grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2))(-2.0, 5.0, -4.0)
    (-4.0, -4.0, 3.0)
    >>> grad(lambda data, weights: np.sum(data * weights), argnums="weights")(np.ones(2), weights=np.zeros(2))
    array([1., 1.])
    """
    both = _value_and_grad(f, argnums, has_aux, "grad", chunk_size, executor)

    @transformed(grad, f, argnums, has_aux, chunk_size=chunk_size, executor=executor)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        value, result = both(*args, **kwargs)
        return (result, value[1]) if has_aux else result

    return gradient


def derivative(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The derivative of a function with respect to one number; its value may be of any shape or structure.

    The number is argument `argnums`, a position or a name; of a sequence of these the result is a tuple of derivatives.
    With `has_aux` the function returns `(value, aux)` and the result is `(derivative, aux)`.

    Cost: one pass a number.  `f` must be pure.  Raises ShapeError if an argument is not one number.

    >>> derivative(lambda t: np.exp(2.0 * t))(0.0)
    np.float64(2.0)
    """

    @transformed(derivative, f, argnums, has_aux)
    def df(*args: Any, **kwargs: Any) -> Any:
        selection = Selection("derivative", f, args, kwargs, argnums)
        for argument in selection.arguments():
            scalar_input("derivative", argument)
        ones = [one_of(leaf) for leaf in selection.leaves]
        passes = [
            ForwardPass("derivative", selection, _along(selection, k, one), has_aux) for k, one in enumerate(ones)
        ]
        first = passes[0] if passes else ForwardPass("derivative", selection, [], has_aux)
        tangents = [done.tangent() for done in passes]
        result = tangents[0] if selection.single else tuple(tangents)
        return (result, first.aux) if has_aux else result

    return df


def _along(selection: Selection, position: int, tangent: Any) -> list[Any]:
    """The direction in which one leaf alone varies."""
    return [tangent if k == position else zero_like(leaf) for k, leaf in enumerate(selection.leaves)]


def elementwise_grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """The derivative of a function that acts on each element of argument `argnums` alone, as an array of its shape.

    The argument is given by its position or its name; of a sequence of these the result is a tuple of derivatives.
    With `has_aux` the function returns `(value, aux)` and the result is `(derivative, aux)`.

    Cost: two passes an argument, the second of which checks with another direction that the function is elementwise;
    raises ShapeError if it is not.  `f` must be pure.

    >>> elementwise_grad(np.sin)(np.array([0.0, np.pi]))
    array([ 1., -1.])
    """
    name = "elementwise_grad"

    @transformed(elementwise_grad, f, argnums, has_aux)
    def df(*args: Any, **kwargs: Any) -> Any:
        selection = Selection(name, f, args, kwargs, argnums)
        arguments = [require_same_shape(name, leaves) for leaves in selection.leaves_by_argument()]
        passes = []
        for k, leaf in enumerate(arguments):
            shape, dtype = Like(leaf).shape, Like(leaf).dtype or np.float64
            done = ForwardPass(name, selection, _along(selection, k, np.ones(shape, dtype)[()]), has_aux)
            require_same_shape(name, [leaf], done.outputs)
            direction = scattered_powers(shape, dtype)
            response = ForwardPass(name, selection, _along(selection, k, direction), has_aux).tangents[0]
            require_elementwise(name, response, done.tangents[0], direction)
            passes.append(done)
        first = passes[0] if passes else ForwardPass(name, selection, [], has_aux)
        tangents = [done.tangents[0] for done in passes]
        result = tangents[0] if selection.single else tuple(tangents)
        return (result, first.aux) if has_aux else result

    return df


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

    Cost: n directions, whose first pass also gives the value; the options are those of `jacobian`.
    `reversead.value_and_jacobian` suits few outputs.  `f` must be pure.

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
        first, columns = _columns(name, selection, has_aux, chunk_size, executor)
        blocks = blocks_of_columns(name, columns, first.outputs, selection.leaves)
        value = (first.output(), first.aux) if has_aux else first.output()
        return value, selection.pack_square(blocks) if square else nest(blocks, first.structure, selection.pack)

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

    Cost: n directions, so it suits few inputs; `reversead.jacobian` suits few outputs.  `chunk_size` is how many one
    pass carries, by default as many as a budget of memory allows (`shared.batching.directions.BYTES`); an `executor`
    (threads, processes, a cluster) evaluates spans of them elsewhere.  `f` must be pure.  Raises ValueError for a chunk
    size below 1, ExecutorError where an executor cannot send `f` or loses a worker.

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
    """The Hessian of a scalar function, of shape s + s for an argument of shape s: forward over forward.

    Of several arguments it is a tuple of tuples, of which `[i][j]` is the block of arguments i and j; a block of
    containers nests that of i outside and that of j inside.  With `has_aux` the function returns `(value, aux)` and
    the result is `(hessian, aux)`.

    Cost: n * n directions of nested duals; the options are those of `jacobian`.  For more than a few inputs,
    `dualad.jacobian(reversead.grad(f))` costs n.

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

    Cost: that of `hessian`, which also gives the value and the gradient.

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

    Cost: n directions of nested duals (forward over forward).  `reversead.hvp` costs a small multiple of one
    evaluation.

    >>> hvp(lambda x: np.sum(x**3), np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    array([6., 0.])
    >>> hvp(lambda x, y: np.sum(x * y**2), (np.ones(2), np.ones(2)), np.array([1.0, 0.0]), argnums="y")
    array([2., 0.])
    """
    primals, chosen = ((x,), 0) if argnums is None else (x, argnums)
    _, *product = jvp(grad(f, chosen, has_aux), primals, v, has_aux, argnums=chosen)
    return tuple(product) if has_aux else product[0]
