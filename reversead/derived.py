"""What reverse mode makes of its few operations: Jacobians, Hessians and derivatives of one number or each element.

How they are put together stands in `shared.calling.derived`; here are the rows of a Jacobian, off one tape, and what
each transform costs: in evaluations of `f`, for n inputs and m outputs.  What is here is loaded when first asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from reversead.runs import TapedRun
from reversead.transforms import _value_and_grad
from shared.batching.directions import along_directions, number_of_directions
from shared.calling import derived
from shared.calling.arguments import Argnums, Selection
from shared.calling.jacobians import blocks_of_rows
from shared.calling.options import checked_options
from shared.calling.transformed import transformed, without_value
from shared.core.edges import Like

if TYPE_CHECKING:
    from concurrent.futures import Executor

P = ParamSpec("P")
V = TypeVar("V")


def derivative(f: Callable[P, Any], argnums: Argnums = 0, has_aux: bool = False, *, order: int = 1) -> Callable[P, Any]:
    """The derivative of a function with respect to one number; its value may be of any shape or structure.

    The number is argument `argnums` (a position or a name); of a sequence of these the result is a tuple, and with
    `has_aux` it is `(derivative, aux)`.  `order` is how often it is differentiated, by the same number each time.

    Cost: one evaluation and one forward sweep over the tape a number; of a higher order, one evaluation a number on
    power series, whose operations count O(order^2) each (`taylor`), where nesting takes a factor for each order.  `f`
    must then be pure.  Raises ShapeError if an argument is not one number, ValueError or TypeError for an order that is
    no integer from 0 on.

    >>> derivative(lambda t: np.exp(2.0 * t))(0.0)
    np.float64(2.0)
    >>> derivative(lambda t: t**10, order=9)(2.0)
    7257600.0
    """
    as_transform = transformed(derivative, f, argnums, has_aux, order=order)
    return as_transform(derived.derivative(OPERATIONS, f, argnums, has_aux, order))


def elementwise_grad(f: Callable[P, Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[P, Any]:
    """The derivative of a function that acts on each element of argument `argnums` alone, as an array of its shape.

    Of a sequence of arguments the result is a tuple, and with `has_aux` it is `(derivative, aux)`.

    Cost: one evaluation and, an argument, two forward sweeps over the tape, the second of which checks with another
    direction that the function is elementwise; raises ShapeError if it is not.

    >>> elementwise_grad(np.sin)(np.array([0.0, np.pi]))
    array([ 1., -1.])
    """
    as_transform = transformed(elementwise_grad, f, argnums, has_aux)
    return as_transform(derived.elementwise_grad(OPERATIONS, f, argnums, has_aux))


def jacobian(
    f: Callable[P, Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    executor: Executor | None = None,
) -> Callable[P, Any]:
    """The Jacobian of `f`: of an array of shape s_out by one of shape s_in, an array of shape s_out + s_in.

    The input is argument `argnums` (a position or a name); of a sequence of these there is a tuple of Jacobians.
    Containers give containers: the output's outside, the arguments' inside.  With `has_aux`, `(jacobian, aux)`.

    Cost: one evaluation and m reverse sweeps, so it suits few outputs; `dualad.jacobian` suits few inputs.  The sweeps
    run together, `chunk_size` at a time, by default as many as a budget of memory allows
    (`shared.batching.directions.BYTES`); an `executor` (threads, processes, a cluster) evaluates `f` and sweeps for
    spans of them elsewhere.  Raises ValueError for a chunk size below 1, ExecutorError where an executor cannot send
    `f` or loses a worker.

    >>> jacobian(lambda x: np.array([[1.0, 2.0], [3.0, 4.0]]) @ x)(np.ones(2))
    array([[1., 2.],
           [3., 4.]])
    """
    checked_options("jacobian", chunk_size, executor)
    as_transform = transformed(jacobian, f, argnums, has_aux, chunk_size=chunk_size, executor=executor)
    both = derived.value_and_jacobian(OPERATIONS, "jacobian", f, argnums, has_aux, chunk_size, executor)
    return as_transform(without_value(both, has_aux))


def value_and_jacobian(
    f: Callable[P, V],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    executor: Executor | None = None,
) -> Callable[P, tuple[V, Any]]:
    """The function that returns `(f(x), jacobian)`: the value of a function of arrays and its Jacobian.

    The Jacobian and the options are those of `jacobian`; with `has_aux` the first of the pair is `(value, aux)`.

    Cost: one evaluation and m reverse sweeps, so it suits few outputs; `dualad.value_and_jacobian` suits few inputs.

    >>> value_and_jacobian(lambda x: x**2)(np.array([1.0, 2.0]))
    (array([1., 4.]), array([[2., 0.],
           [0., 4.]]))
    """
    name = "value_and_jacobian"
    checked_options(name, chunk_size, executor)
    as_transform = transformed(value_and_jacobian, f, argnums, has_aux, chunk_size=chunk_size, executor=executor)
    return as_transform(derived.value_and_jacobian(OPERATIONS, name, f, argnums, has_aux, chunk_size, executor))


def hessian(
    f: Callable[P, Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    executor: Executor | None = None,
) -> Callable[P, Any]:
    """The Hessian of a scalar function, of shape s + s for an argument of shape s: reverse over reverse.

    Of several arguments it is a tuple of tuples, of which `[i][j]` is the block of arguments i and j; a block of
    containers nests that of i outside and that of j inside.  With `has_aux` the result is `(hessian, aux)`.

    Cost: n reverse sweeps over the tape of one gradient, a small multiple of n evaluations; the options are those of
    `jacobian`.

    >>> hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 5.0]))
    array([[10.,  6.],
           [ 6.,  0.]])
    """
    checked_options("hessian", chunk_size, executor)
    as_transform = transformed(hessian, f, argnums, has_aux, chunk_size=chunk_size, executor=executor)
    three = derived.value_grad_and_hessian(OPERATIONS, "hessian", f, argnums, has_aux, chunk_size, executor)
    return as_transform(without_value(three, has_aux))


def value_grad_and_hessian(
    f: Callable[P, V],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    executor: Executor | None = None,
) -> Callable[P, tuple[V, Any, Any]]:
    """The function that returns `(f(x), gradient, hessian)`: what one step of Newton's method needs.

    The gradient is that of `grad`, the Hessian that of `hessian`; with `has_aux` the first of the three is
    `(value, aux)`.

    Cost: that of `hessian`, whose one tape of the gradient also gives the value and the gradient.

    >>> value_grad_and_hessian(lambda x: x[0] ** 2 * x[1])(np.array([3.0, 5.0]))
    (np.float64(45.0), array([30.,  9.]), array([[10.,  6.],
           [ 6.,  0.]]))
    """
    name = "value_grad_and_hessian"
    checked_options(name, chunk_size, executor)
    as_transform = transformed(value_grad_and_hessian, f, argnums, has_aux, chunk_size=chunk_size, executor=executor)
    return as_transform(derived.value_grad_and_hessian(OPERATIONS, name, f, argnums, has_aux, chunk_size, executor))


# --- the rows of a Jacobian -------------------------------------------------------------------------------------------


def laplacian(
    f: Callable[P, Any], argnums: Argnums = 0, has_aux: bool = False, *, method: str = "taylor"
) -> Callable[P, Any]:
    """The Laplacian of a scalar function: the trace of its Hessian, without the rest of it.

    The sum is over all elements of the argument `argnums` (a position, a name), or of several.  With `has_aux` the
    result is `(laplacian, aux)`.  `method` says how it is found, with the same result:

    "taylor": second coefficients along the unit directions, in batches, of which only the sum is carried.  It keeps no
    tape, and where nothing is known of the Hessian takes the fewest operations, so it is the default.
    "hvp": a Hessian-vector product for each direction, of which one entry is kept; a tape of the gradient is kept.
    "sparse": the pattern of the Hessian is detected, and directions that nothing connects go together, as one.

    Cost: n directions, each of about 1 to 3 evaluations of `f`, counted in operations; of "hvp", one gradient on a
    tape, and n sweeps;
    of "sparse", the detection, and as many directions as the graph of the Hessian takes colours.  `f` must be pure.
    docs/recipes.md counts all of them beside the full Hessian.  Raises ShapeError if the output is not one real number,
    LeafTypeError for complex arguments, ValueError for another method.

    >>> laplacian(lambda x: np.sum(x**3) + x[0] * x[1])(np.array([1.0, 2.0]))
    np.float64(18.0)

    Source: Griewank & Walther 2008, section 13.3; for the sum, Li et al. 2024, "A computational framework for neural
    network-based variational Monte Carlo with Forward Laplacian"; for the groups, Curtis, Powell & Reid 1974.
    """
    as_transform = transformed(laplacian, f, argnums, has_aux, method=method)
    return as_transform(import_module("shared.series.curvature").laplacian(OPERATIONS, f, argnums, has_aux, method))


def hessian_diagonal(
    f: Callable[P, Any], argnums: Argnums = 0, has_aux: bool = False, *, method: str = "taylor"
) -> Callable[P, Any]:
    """The diagonal of the Hessian of a scalar function, in the structure, shapes and dtypes of argument `argnums`.

    Of a sequence of arguments it is a tuple; with `has_aux` the result is `(diagonal, aux)`.  The methods are those of
    `laplacian`, but that "sparse" takes Hessian-vector products, of which each entry is read off.

    Cost and errors: those of `laplacian`.

    >>> hessian_diagonal(lambda x: np.sum(x**3) + x[0] * x[1])(np.array([1.0, 2.0]))
    array([ 6., 12.])
    """
    as_transform = transformed(hessian_diagonal, f, argnums, has_aux, method=method)
    found = import_module("shared.series.curvature").hessian_diagonal(OPERATIONS, f, argnums, has_aux, method)
    return as_transform(found)


def _blocks(
    name: str, selection: Selection, has_aux: bool, chunk_size: int | None, executor: Executor | None
) -> tuple[TapedRun, list[list[Any]]]:
    """One run, whose tape is released, and the Jacobian's blocks [output][leaf], from its rows: a sweep each."""
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
    rows = rows or [np.zeros((0, *Like(leaf).shape)) for leaf in selection.leaves]
    return run, blocks_of_rows(name, rows, run.outputs, selection.leaves)


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


#: what the derived transforms, dense and sparse, are made of
OPERATIONS = derived.Operations(TapedRun, _value_and_grad, _blocks)
