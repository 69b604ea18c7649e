"""The ways to each derivative of a function, as rows of tables: what is called, and what its result is as one array.

A way is a function of the arguments that an engine's transform gives, written as a user would write it.  Which ways
there are depends on the function: one with a scalar value has a gradient and a Hessian, others a Jacobian.  This module
says what each way is and counts how often it runs the function; it neither runs nor measures any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.calling.engine import Engine
from shared.calling.tree import flatten
from shared.checking.complex_step import complex_step_derivative
from shared.checking.differences import directional_difference
from shared.comparison.point import Point
from shared.programs.compiling.compiled import compile
from shared.sparse.colouring import Colouring

Function = Callable[..., Any]
Array = np.ndarray[Any, np.dtype[Any]]

#: What is computed, in the order of a report.
VALUE, DIRECTION, COTANGENT, PRODUCT, HESSIAN = (
    "value", "direction", "cotangent", "Hessian-vector product", "Hessian",
)  # fmt: skip
GRADIENT, JACOBIAN = "gradient", "Jacobian"


@dataclass(frozen=True)
class Way:
    """One way to one derivative: `program(*args)` computes it, and `flat` makes one array of what it returns.

    `runs` is what it takes about, in evaluations, for what it would be too long to run.  `exact` says that its result
    has no error but rounding; `compiled` that its first call makes a program, which the others use.
    """

    group: str
    name: str
    program: Function
    flat: Callable[[Any], Array]
    runs: float
    exact: bool = True
    compiled: bool = False
    #: what stands for the program when it is counted: what it compiles, or one of `repeats` equal runs
    counted: Function | None = None
    repeats: int = 1


def ways(point: Point, sparse: Colouring | None, sparse_hessian: Colouring | None) -> list[Way]:
    """All ways to the derivatives of a function at a point, a group after the other."""
    found = [Way(VALUE, "as it is", point.f, _vector, 1.0)]
    if point.is_real:
        found.append(Way(VALUE, "compiled", compile(point.f), _vector, 1.0, compiled=True, counted=point.f))
    found += [*_directions(point), *_cotangents(point), *_first(point, sparse)]
    if point.is_scalar and point.is_real:
        found += [*_products(point), *_hessians(point, sparse_hessian)]
    return found


def direction_of(point: Point, engine: Engine) -> Function:
    """The derivative along the point's direction, by an engine."""

    def along(*args: Any) -> Any:
        return engine.jvp(point.f, args, point.direction, argnums=point.argnums)[1]

    return along


def cotangent_of(point: Point, engine: Engine) -> Function:
    """The cotangents of what varies, for the point's cotangent of the result, by an engine."""

    def pulled(*args: Any) -> Any:
        return engine.vjp(point.f, *args, argnums=point.argnums)[1](point.cotangent)

    return pulled


def _directions(point: Point) -> Iterator[Way]:
    yield Way(DIRECTION, "forward", direction_of(point, point.forward), _vector, 3.0)
    yield Way(DIRECTION, "reverse", direction_of(point, point.reverse), _vector, 5.0)
    if point.is_real:
        flat = _flat_function(point)
        leaves, tangents = point.selection.leaves, point.tangents
        yield Way(
            DIRECTION, "extrapolated differences",
            lambda *args: directional_difference(flat, leaves, tangents).value, _vector, 30.0, exact=False,
        )  # fmt: skip
        yield Way(
            DIRECTION, "complex step",
            lambda *args: complex_step_derivative(flat, leaves, tangents), _vector, 3.0, exact=False,
        )  # fmt: skip


def _cotangents(point: Point) -> Iterator[Way]:
    yield Way(COTANGENT, "reverse", cotangent_of(point, point.reverse), _vector, 4.0)
    yield Way(COTANGENT, "forward", cotangent_of(point, point.forward), _vector, 3.0 * point.inputs)


# --- first derivatives ------------------------------------------------------------------------------------------------


def _first(point: Point, sparse: Colouring | None) -> Iterator[Way]:
    f, argnums, n, m = point.f, point.argnums, point.inputs, point.outputs
    forward, reverse = point.forward, point.reverse
    unit: dict[str, Any] = {"counted": direction_of(point, forward), "repeats": n}
    flat: Callable[[Any], Array]
    if point.is_scalar:
        group, flat = GRADIENT, _vector
        yield Way(group, "reverse", reverse.grad(f, argnums), flat, 4.0)
        yield Way(group, "forward, one by one", forward.grad(f, argnums, chunk_size=1), flat, 3.0 * n, **unit)
        yield Way(group, "forward, batched", forward.grad(f, argnums), flat, 2.0 * n)
        matrices = {"reverse": reverse.grad(f, argnums), "forward": forward.grad(f, argnums)}
    else:
        group, flat = JACOBIAN, _blocks(point.out_sizes, point.sizes)
        jacobians = {"forward": forward.jacobian, "reverse": reverse.jacobian}
        yield Way(group, "forward, one by one", forward.jacobian(f, argnums, chunk_size=1), flat, 3.0 * n, **unit)
        yield Way(group, "forward, batched", forward.jacobian(f, argnums), flat, 2.0 * n)
        yield Way(
            group, "reverse, one by one", reverse.jacobian(f, argnums, chunk_size=1), flat, 3.0 * m,
            counted=cotangent_of(point, reverse), repeats=m,
        )  # fmt: skip
        yield Way(group, "reverse, batched", reverse.jacobian(f, argnums), flat, 2.0 * m)
        matrices = {mode: jacobian(f, argnums) for mode, jacobian in jacobians.items()}
        parts = mixture(point)
        if parts is not None:
            yield Way(group, "mixed", mixed(point, parts), _as_it_is, 3.0 * min(n, m))
        if sparse is not None:
            yield from _sparse(point, sparse)
    for mode, matrix in matrices.items():
        runs = 4.0 if mode == "reverse" and point.is_scalar else 2.0 * (n if mode == "forward" else m)
        yield Way(group, f"{mode}, compiled", compile(matrix), flat, runs, compiled=True, counted=matrix)
    if point.is_real:
        yield Way(group, "differences", quotients(point), _as_it_is, n + 1.0, exact=False)
        yield Way(group, "complex step", complex_steps(point), _as_it_is, 3.0 * n, exact=False)


def _sparse(point: Point, colouring: Colouring) -> Iterator[Way]:
    """By the products that a colouring takes: forward for columns, reverse for rows or both."""
    engine = point.reverse if colouring.vjps else point.forward
    mode = "reverse" if not colouring.jvps else "both ways" if colouring.vjps else "forward"
    products = colouring.jvps + colouring.vjps + 1
    made = engine.sparse_jacobian(point.f, point.argnums, pattern=colouring)
    yield Way(JACOBIAN, f"sparse, {mode}", made, _dense, 2.0 * products)


def mixture(point: Point) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The arguments to take forwards, fewer numbers than there are outputs, and those in reverse; None if all alike.

    >>> import dualad, reversead
    >>> f = lambda a, w: a * np.tanh(w[:4] * w[4:])
    >>> mixture(Point("compare", f, (2.0, np.ones(8)), None, (dualad, reversead)))
    ((0,), (1,))
    """
    places = point.places()
    forwards = tuple(place for place, _, count in places if count < point.outputs)
    backwards = tuple(place for place, _, count in places if count >= point.outputs)
    return (forwards, backwards) if forwards and backwards else None


def mixed(point: Point, parts: tuple[tuple[int, ...], tuple[int, ...]]) -> Function:
    """The Jacobian with respect to some arguments forwards and to others in reverse, put together."""
    order = [place for place, _, _ in point.places()]
    sizes = dict(zip(order, _sizes_by_argument(point), strict=True))
    jacobians = [
        engine.jacobian(point.f, argnums=part)
        for engine, part in zip((point.forward, point.reverse), parts, strict=True)
    ]

    def matrix(*args: Any) -> Any:
        columns: dict[int, Any] = {}
        for jacobian, part in zip(jacobians, parts, strict=True):
            blocks = _matrix_of(jacobian(*args), point.out_sizes, [size for place in part for size in sizes[place]])
            ends = np.cumsum([sum(sizes[place]) for place in part])[:-1]
            columns |= dict(zip(part, np.split(blocks, ends, axis=1), strict=True))
        return np.concatenate([columns[place] for place in order], axis=1)

    return matrix


def _sizes_by_argument(point: Point) -> list[list[int]]:
    return [[int(np.size(leaf)) for leaf in part] for part in point.selection.leaves_by_argument()]


# --- second derivatives -----------------------------------------------------------------------------------------------


def _products(point: Point) -> Iterator[Way]:
    f, argnums, direction, n = point.f, point.argnums, point.direction, point.inputs

    def over(outer: Engine, inner: Engine) -> Function:
        gradient = inner.grad(f, argnums)
        return lambda *args: outer.jvp(gradient, args, direction, argnums=argnums)[1]

    def slope(*args: Any) -> Any:
        return point.forward.jvp(f, args, direction, argnums=argnums)[1]

    yield Way(PRODUCT, "forward over reverse", over(point.forward, point.reverse), _vector, 12.0)
    yield Way(PRODUCT, "reverse over forward", point.reverse.grad(slope, argnums), _vector, 12.0)
    yield Way(
        PRODUCT, "reverse over reverse",
        lambda *args: point.reverse.hvp(f, args, direction, argnums=argnums), _vector, 15.0,
    )  # fmt: skip
    yield Way(PRODUCT, "forward over forward", over(point.forward, point.forward), _vector, 5.0 * n)
    yield Way(
        PRODUCT, "differences of the gradient", _product_by_differences(point), _vector, 8.0, exact=False,
        counted=point.reverse.grad(f, argnums), repeats=2,
    )  # fmt: skip


def _product_by_differences(point: Point) -> Function:
    """Central differences of the reverse gradient along the direction, with the step that balances their errors."""
    gradient = point.reverse.grad(lambda *leaves: point.selection.call(leaves), tuple(range(len(point.sizes))))
    leaves = [np.asarray(leaf, float) for leaf in point.selection.leaves]

    def product(*args: Any) -> Any:
        step = np.finfo(float).eps ** (1 / 3)
        ends = [
            gradient(
                *[(leaf + sign * step * np.asarray(t))[()] for leaf, t in zip(leaves, point.tangents, strict=True)]
            )
            for sign in (1.0, -1.0)
        ]
        return [(np.asarray(ahead) - behind) / (2 * step) for ahead, behind in zip(*ends, strict=True)]

    return product


def _hessians(point: Point, sparse: Colouring | None) -> Iterator[Way]:
    f, argnums, n = point.f, point.argnums, point.inputs
    flat = _blocks(point.sizes, point.sizes)
    pairs = {"forward": point.forward, "reverse": point.reverse}
    for outer in pairs:
        for inner in ("reverse", "forward"):
            gradient = pairs[inner].grad(f, argnums)
            runs = (6.0 if inner == "reverse" else 6.0 * n) * n
            yield Way(HESSIAN, f"{outer} over {inner}", pairs[outer].jacobian(gradient, argnums), flat, runs)
    if sparse is not None:
        made = point.reverse.sparse_hessian(f, argnums, pattern=sparse)
        yield Way(HESSIAN, "sparse", made, _dense, 6.0 * (sparse.jvps + 1))
    matrix = point.forward.jacobian(point.reverse.grad(f, argnums), argnums)
    made = compile(matrix)
    yield Way(HESSIAN, "forward over reverse, compiled", made, flat, 6.0 * n, compiled=True, counted=matrix)


# --- without an engine ------------------------------------------------------------------------------------------------


def _flat_function(point: Point) -> Callable[..., list[Any]]:
    """The function of the leaves that vary, with the outputs as a list."""
    return lambda *leaves: flatten(point.selection.call(leaves))[0]


def quotients(point: Point) -> Function:
    """The matrix of forward differences: n + 1 evaluations, and half of the digits (Nocedal & Wright 2006, 8.1)."""

    def matrix(*args: Any) -> Any:
        leaves = point.selection.leaves
        start = _vector(point.selection.call(leaves))
        columns = []
        for k, leaf in enumerate(leaves):
            for place in range(int(np.size(leaf))):
                moved = np.array(leaf, float)
                before = moved.flat[place]
                moved.flat[place] += np.sqrt(np.finfo(float).eps) * (1 + abs(before))
                replaced = [moved[()] if j == k else other for j, other in enumerate(leaves)]
                columns.append((_vector(point.selection.call(replaced)) - start) / (moved.flat[place] - before))
        return _columns(columns, point)

    return matrix


def complex_steps(point: Point) -> Function:
    """The same by a complex step in each coordinate, exact to rounding where the function is analytic."""
    flat = _flat_function(point)

    def matrix(*args: Any) -> Any:
        leaves = point.selection.leaves
        columns = []
        for k, leaf in enumerate(leaves):
            for place in range(int(np.size(leaf))):
                tangents = [np.zeros(np.shape(other)) for other in leaves]
                tangents[k].flat[place] = 1.0
                columns.append(_vector(complex_step_derivative(flat, leaves, tangents)))
        return _columns(columns, point)

    return matrix


def _columns(columns: list[Array], point: Point) -> Array:
    matrix = np.stack(columns, axis=1)
    return matrix[0] if point.is_scalar else matrix


# --- results as one array ---------------------------------------------------------------------------------------------


def _vector(result: Any) -> Array:
    return np.concatenate([np.ravel(np.asarray(leaf)) for leaf in flatten(result)[0]])


def _as_it_is(result: Any) -> Array:
    return np.asarray(result)


def _dense(result: Any) -> Array:
    if not hasattr(result, "toarray"):
        raise TypeError("without SciPy a sparse matrix is its values and their places")
    return np.asarray(result.toarray())


def _matrix_of(result: Any, rows: list[int], columns: list[int]) -> Any:
    """One matrix of the blocks [output][leaf] of a nested Jacobian."""
    blocks = iter(flatten(result)[0])
    return np.concatenate(
        [np.concatenate([np.reshape(next(blocks), (a, b)) for b in columns], axis=1) for a in rows], axis=0
    )


def _blocks(rows: list[int], columns: list[int]) -> Callable[[Any], Array]:
    return lambda result: np.asarray(_matrix_of(result, rows, columns))
