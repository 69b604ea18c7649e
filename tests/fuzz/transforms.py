"""Checks of what is combined with derivatives: batches, checkpoints, levels inside one another, sparse matrices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from derivative_checks import direction

import dualad
import reversead
import shared
from fuzz.case import Case, loss_of
from fuzz.comparison import Failure, Inconclusive, Refused, assert_close, assert_owned, assert_same_form
from fuzz.derivatives import ENGINES, assert_estimated, estimated, products, units
from fuzz.programs import copied, is_inexact
from shared import NoRuleError, TracerConversionError
from shared.calling.tree import flatten, tree_map

Function = Callable[..., Any]
EXAMPLES = (1.0, 1.03125, 0.96875)


# --- batches ----------------------------------------------------------------------------------------------------------


def batches(case: Case) -> None:
    """`vmap` of the function and of its derivatives, some arguments shared, against the loop."""
    if "writes to numbers" in case.features:
        raise Inconclusive("an example of an array of one axis is a number, not an array without axes")
    loss = loss_of(case.function)
    in_axes = [_axis(case, k) for k in range(len(case.arguments))]
    stacked = [_stacked(leaf, axis) for leaf, axis in zip(case.arguments, in_axes, strict=True)]
    examples = [
        [_example(value, axis, k) for value, axis in zip(stacked, in_axes, strict=True)] for k in range(len(EXAMPLES))
    ]
    functions = {
        "the function": case.function,
        "reversead.grad": reversead.grad(loss, argnums=case.varying),
        "dualad.grad": dualad.grad(loss, argnums=case.varying),
        "reversead.value_and_grad": reversead.value_and_grad(loss, argnums=case.varying),
    }
    chosen = ["the function", list(functions)[1 + case.program.seed % 3]]
    for name in chosen:
        f = functions[name]
        rows = [_row(case, f, example) for example in examples]
        if len({str([np.shape(leaf) for leaf in flatten(row)[0]]) for row in rows}) > 1:
            raise Inconclusive("the examples have results of several shapes")
        expected = tree_map(lambda *leaves: np.stack(leaves), *rows)
        kept = copied(stacked)
        try:
            found = shared.vmap(f, in_axes=tuple(in_axes))(*stacked)
        except (TracerConversionError, NoRuleError) as error:
            raise _refused(case, in_axes, error) from error
        what = f"vmap of {name}, in_axes={in_axes}"
        assert_close(what, found, expected, case.relative)
        if name == "the function" or not case.is_single:
            # Of a Python float that all examples share there is a derivative for each, which is no Python float.
            assert_same_form(what, found, expected)
        assert_owned(what, found, (stacked, case.constants))
        assert_close(f"{what}: an argument was written", stacked, kept, 0.0)
    if all(axis is not None for k, axis in enumerate(in_axes) if k in case.varying):

        def total(*args: Any) -> Any:
            return np.sum(shared.vmap(loss, in_axes=tuple(in_axes))(*args))

        try:
            found = reversead.grad(total, argnums=case.varying)(*stacked)
        except (TracerConversionError, NoRuleError) as error:
            raise _refused(case, in_axes, error) from error
        rows = [reversead.grad(loss, argnums=case.varying)(*example) for example in examples]
        expected = tree_map(lambda *leaves: np.stack(leaves), *rows)
        placed = [_placed(tree, in_axes[k]) for k, tree in zip(case.varying, expected, strict=True)]
        assert_close("reversead.grad of vmap", found, placed, case.relative)


def _refused(case: Case, in_axes: list[int | None], error: Exception) -> Exception:
    """The documented reason why a program cannot be mapped; the error itself if there is none."""
    if case.features & {"branches", "selections"}:
        return Refused("a branch or a selection that differs among examples")
    if any(in_axes[k] is None for k in case.varying):
        return Refused("an example written into an array that all examples share")
    return error


def _row(case: Case, f: Function, example: list[Any]) -> Any:
    try:
        return f(*copied(example))
    except Exception as error:
        raise Inconclusive(f"NumPy refuses an example: {error!r}") from error


def _axis(case: Case, k: int) -> int | None:
    if isinstance(case.arguments[k], int):
        return None
    choice = case.chance.random()
    if choice < 0.2 and k:
        return None
    arrays = all(np.ndim(leaf) for leaf in flatten(case.arguments[k])[0])
    return 0 if choice < 0.8 or not arrays else -1


def _stacked(value: Any, axis: int | None) -> Any:
    if axis is None:
        return value
    return tree_map(lambda leaf: np.stack([np.asarray(leaf) * _as_kind(leaf, s) for s in EXAMPLES], axis=axis), value)


def _as_kind(leaf: Any, factor: float) -> Any:
    return np.asarray(leaf).dtype.type(factor)


def _example(value: Any, axis: int | None, k: int) -> Any:
    return value if axis is None else tree_map(lambda leaf: np.take(leaf, k, axis=axis), value)


def _placed(value: Any, axis: int | None) -> Any:
    return tree_map(lambda leaf: np.moveaxis(leaf, 0, axis or 0), value)


# --- checkpoints ------------------------------------------------------------------------------------------------------


def checkpoints(case: Case) -> None:
    """Values and derivatives of a checkpointed program are those of the program."""
    f, primals = case.of_varying(case.function), case.primals
    case.plain(*case.arguments)
    kept = shared.checkpoint(f)
    tangents = direction(primals, 7)
    for name, engine in ENGINES.items():
        out, tangent = engine.jvp(f, primals, tangents)
        found, pushed = engine.jvp(kept, primals, tangents)
        assert_same_form(f"{name}.jvp of a checkpoint", found, out)
        assert_close(f"value of {name}.jvp of a checkpoint", found, out, 0.0)
        assert_close(f"{name}.jvp of a checkpoint", pushed, tangent, case.relative)
        cotangents = direction(out, 8)
        pulled = engine.vjp(f, *primals)[1](cotangents)
        again = engine.vjp(kept, *primals)[1](cotangents)
        assert_same_form(f"{name}.vjp of a checkpoint", again, pulled)
        assert_close(f"{name}.vjp of a checkpoint", again, pulled, case.relative)
    loss, cheap = loss_of(f), loss_of(kept)
    expected = products(loss, primals, tangents)
    for name, product in products(cheap, primals, tangents).items():
        assert_close(f"{name} of a checkpoint", product, expected[name], case.relative)


# --- levels -----------------------------------------------------------------------------------------------------------


def levels(case: Case) -> None:
    """An inner derivative of a program whose constants an outer one traces, and changes afterwards."""
    constants = {name: array for name, array in case.constants.items() if is_inexact(array)}
    if not set(constants) & case.program.names():
        raise Inconclusive("no captured arrays")
    tangents = direction(case.primals, 9)
    plain = case.plain(*case.arguments)
    cotangents = direction(plain, 10)
    rate = 1.125

    def outer(inner: Any, backwards: bool) -> Function:
        def along(s: Any) -> Any:
            scaled = {name: array * s for name, array in constants.items()}
            f = case.of_varying(case.program.function(**scaled))
            pulled = inner.vjp(f, *case.primals)[1](cotangents) if backwards else None
            found = pulled if backwards else inner.jvp(f, case.primals, tangents)[1]
            for array in scaled.values():
                array *= s
            return found, [array * 1.0 for array in scaled.values()]

        return along

    if "stop_gradient" in case.features:
        raise Inconclusive("what is stopped depends on the outer level, too")
    for inner_name, inner in ENGINES.items():
        for backwards in (False, True):
            f = outer(inner, backwards)
            expected = estimated(f, (rate,), (1.0,))
            for outer_name, engine in ENGINES.items():
                what = f"{outer_name}.jvp over {inner_name}.{'vjp' if backwards else 'jvp'} by captured arrays"
                assert_estimated(case, what, engine.jvp(f, (rate,), (1.0,))[1], expected)


# --- sparse matrices --------------------------------------------------------------------------------------------------


def sparse(case: Case) -> None:
    """Sparse Jacobians and Hessians are the dense ones."""
    f, primals = case.of_varying(case.function), case.primals
    plain = case.plain(*case.arguments)
    # A root of a negative Python float is complex, too.
    if "complex" in case.features or any(map(np.iscomplexobj, flatten(plain)[0])):
        raise Inconclusive("sparse derivatives are of real numbers")
    if not all(is_inexact(leaf) for leaf in flatten(plain)[0]):
        raise Inconclusive("results without a derivative")
    every = tuple(range(len(primals)))
    directions = units(primals)
    dense = _matrix([dualad.jvp(f, primals, unit)[1] for unit in directions], plain)
    for name, engine in ENGINES.items():
        matrix = engine.sparse_jacobian(f, argnums=every)(*primals)
        _assert_matrix(case, f"{name}.sparse_jacobian", matrix, dense)
    loss = loss_of(f)
    if not is_inexact(loss(*copied(primals))):
        raise Inconclusive("no loss")
    gradient = reversead.grad(loss, argnums=every)
    dense = _matrix([dualad.jvp(gradient, primals, unit)[1] for unit in directions], primals)
    for name, engine in ENGINES.items():
        matrix = engine.sparse_hessian(loss, argnums=every)(*primals)
        _assert_matrix(case, f"{name}.sparse_hessian", matrix, dense)


def _matrix(columns: list[Any], outputs: Any) -> np.ndarray:
    rows = sum(np.size(leaf) for leaf in flatten(outputs)[0])
    joined = [np.concatenate([np.ravel(leaf) for leaf in flatten(column)[0]]) for column in columns]
    return np.stack(joined, axis=1) if joined else np.zeros((rows, 0))


def _assert_matrix(case: Case, what: str, found: Any, dense: np.ndarray) -> None:
    if found.shape != dense.shape:
        raise Failure(f"{what}: the shape", found.shape, dense.shape)
    assert_close(what, found.toarray(), dense, case.relative)
