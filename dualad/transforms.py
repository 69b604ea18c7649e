"""The transforms of forward mode: functions that take a function and return a derivative of it.

Each takes a fresh level, runs the function on dual numbers of it, and reads off tangents.  What is made of these few
operations stands in `dualad.derived` and `dualad.sparse`.  The names and signatures are those of every engine
(`shared.calling.engine.Engine`), which also says what `argnums` and `has_aux` mean everywhere; the costs given are in
evaluations ("passes") of `f` and in directions, for n inputs and m outputs.  A direction adds at most 3 evaluations,
counted in operations, to its pass; what needs several directions carries as many in one pass as a budget of memory
allows (`shared.batching.directions`), and evaluates `f` again for the next, so `f` must be pure: the same arguments
must give the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, overload

import numpy as np

from dualad.passes import ForwardPass, columns_of
from shared.batching.directions import along_directions, require_within_limit
from shared.calling.arguments import Argnums, Selection, refuse_iterators, same_structure, sequence_of_primals
from shared.calling.jacobians import gradient_of
from shared.calling.options import checked_options
from shared.calling.results import CAREFUL, copied, has_nan, independent
from shared.calling.seeds import is_complex, zero_like
from shared.calling.transformed import transformed, without_value
from shared.core.edges import Like
from shared.core.levels import Tracer

if TYPE_CHECKING:
    from concurrent.futures import Executor

Function = Callable[..., Any]
P = ParamSpec("P")
V = TypeVar("V")
A = TypeVar("A")
#: a function that returns `(value, aux)`
HasAux = Callable[..., tuple[V, A]]


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

    Cost: one pass, at most 4 evaluations of `f` counted in operations, and memory that does not depend on the number of
    operations (Wengert 1964; Griewank & Walther 2008, section 3.1).  Raises ShapeError for a tangent that does not fit
    its primal.

    >>> jvp(np.sin, (0.0,), (2.0,))
    (np.float64(0.0), np.float64(2.0))
    >>> jvp(lambda x, y: x * y, (3.0, 4.0), 10.0, argnums="y")
    (12.0, 30.0)
    """
    selection = Selection("jvp", f, sequence_of_primals("jvp", primals), {}, argnums)
    done = ForwardPass("jvp", selection, selection.unpack("jvp", tangents), has_aux)
    return (done.output(), done.tangent(), done.aux) if has_aux else (done.output(), done.tangent())


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

    Cost: one evaluation, and one pass for each call of the linear function.  `f` runs again each time, so it must be
    pure: ImpureFunctionError if it gives another value then.  The primals are copied.  Raises ShapeError for a tangent
    that does not fit its primal.

    >>> out, f_jvp = linearize(lambda x: x**3, 2.0)
    >>> out, f_jvp(1.0), f_jvp(10.0)
    (8.0, 12.0, 120.0)
    """
    selection = _copied("linearize", f, primals, argnums)
    first = ForwardPass("linearize", selection, [zero_like(leaf) for leaf in selection.leaves], has_aux)
    value = _value_of("linearize", first)

    def f_jvp(*tangents: Any) -> Any:
        """The output's tangent, for a tangent of each primal that varies."""
        given = tangents[0] if selection.single and len(tangents) == 1 else tangents
        return value.of(ForwardPass("linearize", selection, selection.unpack("linearize", given), has_aux)).tangent()

    return (first.output(), f_jvp, first.aux) if has_aux else (first.output(), f_jvp)


def _value_of(name: str, first: ForwardPass) -> Any:
    """The value of a function, which it has to give again: the arrays themselves are the user's from now on."""
    from shared.linear.purity import FirstValue

    return FirstValue(name, first.outputs)


def _copied(name: str, f: Function, primals: tuple[Any, ...], argnums: Argnums | None) -> Selection:
    refuse_iterators(name, primals, {})
    selection = Selection(name, f, primals, {}, argnums)
    selection.leaves = [independent(leaf) for leaf in selection.leaves]
    if argnums is not None:
        selection.args = tuple([a if k in selection.places else copied(a) for k, a in enumerate(primals)])
    return selection


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

    The pullback takes a value of the output's structure and shapes and returns a tuple, one entry a primal.  With
    `argnums` it returns the cotangent of that primal alone (a position or a name), or a tuple in that order (a
    sequence).  With `has_aux` the result is `(out, pullback, aux)`.

    Cost: one evaluation, and n directions for each call of the pullback, which stores no matrix.  `f` runs again each
    time, so it must be pure: ImpureFunctionError if it gives another value then.  The primals are copied.  Raises
    ShapeError for a cotangent that does not fit the output.

    >>> out, pullback = vjp(lambda x, y: x * y, 3.0, 4.0)
    >>> out, pullback(1.0)
    (12.0, (4.0, 3.0))
    """
    selection = _copied("vjp", f, primals, argnums)
    first = ForwardPass("vjp", selection, [zero_like(leaf) for leaf in selection.leaves], has_aux)
    value = _value_of("vjp", first)

    def pullback(cotangent: Any) -> Any:
        """The cotangents of the primals that vary, for a cotangent of the output."""
        seeds = same_structure("vjp", "cotangent", cotangent, first.structure, first.outputs)

        def paired(direction: list[Any]) -> list[Any]:
            done = ForwardPass("vjp", selection, direction, has_aux)
            require_within_limit(direction)
            return [_inner(seeds, value.of(done).tangents)]

        entries = along_directions("vjp", selection.leaves, paired)
        return selection.pack(gradient_of(entries[0] if entries else np.zeros(0), selection.leaves))

    return (first.output(), pullback, first.aux) if has_aux else (first.output(), pullback)


def _inner(cotangents: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The pairing of the output's cotangent with its tangent: Re(c t), bilinear, without a conjugate."""
    total: Any = 0.0
    for c, t in zip(cotangents, tangents, strict=True):
        product = np.sum(c * t) if Like(t).shape else c * t
        if CAREFUL.get() is not False and has_nan((product,)) and not isinstance(c, Tracer):
            # An output that is not asked for has the cotangent zero, whatever its tangent.
            product = np.sum(np.where(np.equal(c, 0), np.zeros((), Like(t).dtype), c * t))
        total = total + (np.real(product) if is_complex(product) else product)
    return total


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

    Cost: n directions: for more than a few inputs use `reversead.value_and_grad`.  `chunk_size` is how many one pass
    carries, by default as many as a budget of memory allows; an `executor` evaluates them elsewhere.  `f` must be pure.
    Raises ShapeError if the output is not one real number, LeafTypeError if an argument has no derivative.

    >>> value_and_grad(lambda x: np.sum(x**2))(np.array([1.0, 2.0]))
    (np.float64(5.0), array([2., 4.]))
    """
    name = "value_and_grad"
    checked_options(name, chunk_size, executor)
    as_transform = transformed(value_and_grad, f, argnums, has_aux, chunk_size=chunk_size, executor=executor)
    return as_transform(_value_and_grad(name, f, argnums, has_aux, chunk_size, executor))


def _value_and_grad(
    name: str,
    f: Function,
    argnums: Argnums,
    has_aux: bool,
    chunk_size: int | None = None,
    executor: Executor | None = None,
) -> Function:
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        selection = Selection(name, f, args, kwargs, argnums)
        first, columns = columns_of(name, selection, has_aux, chunk_size, executor, scalar=True)
        gradient = selection.pack(gradient_of(columns[0], selection.leaves))
        value = first.output()
        return ((value, first.aux) if has_aux else value), gradient

    return value_and_gradient


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
    are those of `value_and_grad`:
    n directions.

    >>> grad(lambda x, y, z: (x + y) * z, argnums=(0, 1, 2))(-2.0, 5.0, -4.0)
    (-4.0, -4.0, 3.0)
    >>> grad(lambda data, weights: np.sum(data * weights), argnums="weights")(np.ones(2), weights=np.zeros(2))
    array([1., 1.])
    """
    checked_options("grad", chunk_size, executor)
    as_transform = transformed(grad, f, argnums, has_aux, chunk_size=chunk_size, executor=executor)
    return as_transform(without_value(_value_and_grad("grad", f, argnums, has_aux, chunk_size, executor), has_aux))


def hvp(f: Function, x: Any, v: Any, has_aux: bool = False, *, argnums: Argnums | None = None) -> Any:
    """The Hessian of a scalar function at `x` times a vector `v` of its structure, without forming the Hessian.

    With `argnums`, `x` is a sequence of all arguments of `f`; `v` and the product belong to the one that it names
    (by position or name), or are sequences in its order.  With `has_aux` the result is `(product, aux)`.

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
