"""The transforms of reverse mode: functions that take a function and return a derivative of it.

Each makes a `Tape`, runs the function on variables of it, and sweeps.  What is made of these few operations stands in
`reversead.derived` and `reversead.sparse`.  The names and signatures are those of every engine
(`shared.calling.engine.Engine`), which also says what `argnums` and `has_aux` mean everywhere; the costs given are in
evaluations of `f`, for n inputs and m outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

import numpy as np

from reversead.runs import TapedRun
from reversead.tape import Tape
from reversead.variable import Variable
from shared.calling.arguments import (
    Argnums,
    Selection,
    as_leaves,
    refuse_iterators,
    same_structure,
    scalar_output,
    sequence_of_primals,
)
from shared.calling.options import checked_options
from shared.calling.results import CAREFUL, handed_out, has_nan, primal_of, split_aux, strip
from shared.calling.transformed import transformed, without_value
from shared.calling.tree import LEAF
from shared.core.duck_array import DuckArray, seed_of
from shared.core.levels import attempt

if TYPE_CHECKING:
    from concurrent.futures import Executor

Function = Callable[..., Any]
P = ParamSpec("P")
V = TypeVar("V")
A = TypeVar("A")
#: a function that returns `(value, aux)`
HasAux = Callable[..., tuple[V, A]]

_DOUBLES = frozenset((float, np.float64))


def value_and_grad(
    f: Callable[P, V],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    executor: Executor | None = None,
) -> Callable[P, tuple[V, Any]]:
    """The function that returns `(f(x), gradient)`: the value of a scalar function and its gradient.

    The gradient has the structure, shapes and dtypes of argument `argnums` (a position, a name, or a sequence of
    these, of which it is a tuple).  With `has_aux`, `f` returns `(value, aux)`, which is then the first of the pair.

    Cost: one evaluation and one reverse sweep, whatever n; within 5 evaluations of `f` counted in operations
    (Baur & Strassen 1983; Griewank & Walther 2008, section 4.6).  There is one direction, so `chunk_size` and
    `executor`, which forward mode has a use for, change nothing.  Raises ShapeError if the output is not one real
    number, LeafTypeError if an argument has no derivative.

    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    checked_options("value_and_grad", chunk_size, executor)
    as_transform = transformed(value_and_grad, f, argnums, has_aux, chunk_size=chunk_size, executor=executor)
    return as_transform(_value_and_grad("value_and_grad", f, argnums, has_aux))


def _value_and_grad(name: str, f: Function, argnums: Argnums, has_aux: bool) -> Function:
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        care = CAREFUL.get()
        if care:
            found = _with_care(None, name, f, argnums, has_aux, args, kwargs)
        else:
            found = _value_and_leaves(name, Selection(name, f, args, kwargs, argnums), has_aux, False)
            if care is None and has_nan(found[2]):
                # The tape is used up, so the function is called again.
                found = _with_care(found, name, f, argnums, has_aux, args, kwargs)
        value, aux, leaves, selection = found
        if isinstance(value, DuckArray):
            value = handed_out(LEAF, [value])
        return ((value, aux) if has_aux else value), selection.pack(leaves)

    return value_and_gradient


def _with_care(
    found: Any, name: str, f: Function, argnums: Argnums, has_aux: bool, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """What `_value_and_leaves` finds with care; where that raises, what was found without, or is found now."""
    from shared.calling.careful import instead

    def evaluate(careful: bool) -> Any:
        return _value_and_leaves(name, Selection(name, f, args, kwargs, argnums), has_aux, careful)

    if found is None:
        return attempt(lambda: evaluate(True), lambda error: evaluate(False))

    def again() -> Any:
        refuse_iterators(name, args, kwargs)
        return evaluate(True)

    return instead(found, again, lambda result: result[:1])


def _value_and_leaves(name: str, selection: Selection, has_aux: bool, careful: bool) -> tuple[Any, Any, Any, Selection]:
    """The value of a function, what comes with it, the cotangents of its leaves, and the selection itself."""
    if careful:
        from reversead.careful import swept
    tape = Tape(name)
    try:
        # Nothing but `f` itself could change the arguments before the sweep, so the large are locked, not copied.
        variables = tape.inputs(selection.leaves, copy=False)
        out, aux = selection.call(variables), None
        if has_aux:
            out, aux = split_aux(name, out, True)
            aux = strip(aux, tape)
        if out.__class__ is Variable and out.level is tape and out.primal.__class__ in _DOUBLES:
            node, seed, value = out.index, 1.0, out.primal
        else:
            node, seed, value = _seeded(name, out, tape)
        tape.end()
        found = swept(tape, [node], [seed], False) if careful else tape.sweep([node], [seed], keep=False)
        leaves = as_leaves(found, selection.leaves)
        tape.release()
    except BaseException:
        # Again, if that was interrupted.
        tape.release()
        raise
    return value, aux, leaves, selection


def _seeded(name: str, out: Any, tape: Tape) -> tuple[int, Any, Any]:
    """The node of a scalar output, negative if it does not vary, its seed, and its value."""
    number = scalar_output(name, out)
    value = primal_of(out, tape) if number is out else strip(out, tape)
    if not (isinstance(number, Variable) and number.level is tape):
        return -1, None, value
    seed: Any = 1.0 if number.dtype == np.float64 else number.dtype.type(1)
    if isinstance(number.primal, DuckArray):
        seed = seed_of(number.primal, seed)
    return number.index, seed, value


def grad(
    f: Callable[P, Any],
    argnums: Argnums = 0,
    has_aux: bool = False,
    *,
    chunk_size: int | None = None,
    executor: Executor | None = None,
) -> Callable[P, Any]:
    """The gradient of a scalar function, in the structure, shapes and dtypes of argument `argnums`.

    Of a sequence of positions or names it is a tuple; with `has_aux` the result is `(gradient, aux)`.  Cost and errors
    are those of `value_and_grad`.

    >>> grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2))(-2.0, 5.0, -4.0)
    (-4.0, -4.0, 3.0)
    >>> grad(lambda data, weights: np.sum(data * weights), argnums="weights")(np.ones(2), weights=np.zeros(2))
    array([1., 1.])
    """
    checked_options("grad", chunk_size, executor)
    as_transform = transformed(grad, f, argnums, has_aux, chunk_size=chunk_size, executor=executor)
    return as_transform(without_value(_value_and_grad("grad", f, argnums, has_aux), has_aux))


@overload
def vjp(
    f: Callable[..., V], *primals: Any, has_aux: Literal[False] = False, argnums: Argnums | None = None
) -> tuple[V, Callable[[Any], Any]]: ...
@overload
def vjp(
    f: HasAux[V, A], *primals: Any, has_aux: Literal[True], argnums: Argnums | None = None
) -> tuple[V, Callable[[Any], Any], A]: ...
@overload
def vjp(f: HasAux[V, A], *primals: Any, has_aux: bool, argnums: Argnums | None = None) -> tuple[Any, ...]: ...
def vjp(f: Function, *primals: Any, has_aux: bool = False, argnums: Argnums | None = None) -> tuple[Any, ...]:
    """The value of `f` and its pullback, which takes a cotangent of the output to one of each primal.

    The pullback takes a value of the output's structure and shapes and returns a tuple, one entry a primal; with
    `argnums` the cotangent of that primal alone (a position or a name), or a tuple in that order (a sequence).  It may
    be called any number of times, and arrays changed since do not affect it: the primals are copied.  With `has_aux`
    the result is `(out, pullback, aux)`.

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
        seeds = same_structure("vjp", "cotangent", cotangent, run.structure, run.outputs)
        return selection.pack(run.pull(seeds, once=False))

    try:
        return (run.output(), pullback, run.aux) if has_aux else (run.output(), pullback)
    except BaseException:
        run.release()
        raise


@overload
def linearize(
    f: Callable[..., V], *primals: Any, has_aux: Literal[False] = False, argnums: Argnums | None = None
) -> tuple[V, Callable[..., V]]: ...
@overload
def linearize(
    f: HasAux[V, A], *primals: Any, has_aux: Literal[True], argnums: Argnums | None = None
) -> tuple[V, Callable[..., V], A]: ...
@overload
def linearize(f: HasAux[V, A], *primals: Any, has_aux: bool, argnums: Argnums | None = None) -> tuple[Any, ...]: ...
def linearize(f: Function, *primals: Any, has_aux: bool = False, argnums: Argnums | None = None) -> tuple[Any, ...]:
    """The value of `f` and its derivative at the primals as a linear function of tangents.

    That function takes a tangent for each primal, or for those alone that `argnums` (a position, a name, or a sequence
    of these) picks, in that order.  With `has_aux` the result is `(out, f_jvp, aux)`.

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
        return handed_out(run.structure, run.push(selection.unpack("linearize", given), once=False))

    try:
        return (run.output(), f_jvp, run.aux) if has_aux else (run.output(), f_jvp)
    except BaseException:
        run.release()
        raise


@overload
def jvp(
    f: Callable[..., V],
    primals: Sequence[Any],
    tangents: Any,
    has_aux: Literal[False] = False,
    *,
    argnums: Argnums | None = None,
) -> tuple[V, V]: ...
@overload
def jvp(
    f: HasAux[V, A], primals: Sequence[Any], tangents: Any, has_aux: Literal[True], *, argnums: Argnums | None = None
) -> tuple[V, V, A]: ...
@overload
def jvp(
    f: HasAux[V, A], primals: Sequence[Any], tangents: Any, has_aux: bool, *, argnums: Argnums | None = None
) -> tuple[Any, ...]: ...
def jvp(
    f: Function, primals: Sequence[Any], tangents: Any, has_aux: bool = False, *, argnums: Argnums | None = None
) -> tuple[Any, ...]:
    """The value of `f` at `primals`, and its derivative in the direction `tangents`.

    By default every primal varies, and `tangents` is a sequence, one entry a primal.  `argnums` (a position, a name, or
    a sequence of these) picks those that do: `tangents` is then one tangent, or a sequence in that order.  Both results
    have the structure, shapes and dtypes of the output; with `has_aux` they are `(out, tangent, aux)`.

    Cost: `linearize`, applied once.  A program of many operations is cheaper by `dualad.jvp`, which stores nothing.
    Raises ShapeError for a tangent that does not fit its primal.

    >>> jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    >>> jvp(lambda x, y: x * y, (3.0, 4.0), 10.0, argnums="y")
    (12.0, 30.0)
    """
    selection = Selection("jvp", f, sequence_of_primals("jvp", primals), {}, argnums)
    run = TapedRun("jvp", selection, has_aux)
    try:
        tangent = handed_out(run.structure, run.push(selection.unpack("jvp", tangents)))
        return (run.output(), tangent, run.aux) if has_aux else (run.output(), tangent)
    except BaseException:
        run.release()
        raise


def hvp(f: Function, x: Any, v: Any, has_aux: bool = False, *, argnums: Argnums | None = None) -> Any:
    """The Hessian of a scalar function at `x` times a vector `v` of its structure, without forming the Hessian.

    With `argnums`, `x` is a sequence of all arguments of `f`; `v` and the product belong to the one that it names
    (by position or name), or are sequences in its order.  With `has_aux` the result is `(product, aux)`.

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
            tangent = handed_out(run.structure, run.push(run.selection.unpack("hvp", v)))
            return (tangent, run.aux) if has_aux else tangent
        except BaseException:
            run.release()
            raise

    value, product = _value_and_grad("hvp", slope, chosen, has_aux)(*primals)
    return (product, value[1]) if has_aux else product
