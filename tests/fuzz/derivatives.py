"""Checks of derivatives: against differences, which owe nothing to a rule, and of each transform against its adjoint.

The engines read the same rules, so their agreement is looked at, but never suffices.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from derivative_checks import direction, pairing

import dualad
import reversead
from fuzz.case import Case, loss_of
from fuzz.comparison import (
    Failure,
    Inconclusive,
    as_tangent,
    assert_close,
    assert_close_where_finite,
    assert_identical,
    assert_owned,
    assert_same_form,
    largest,
)
from fuzz.programs import copied
from shared import taylor
from shared.calling.tree import flatten, tree_map
from shared.checking.differences import difference_jvp

ENGINES = {"dualad": dualad, "reversead": reversead}
Function = Callable[..., Any]


def estimated(f: Function, primals: Any, tangents: Any) -> tuple[Any, Any, float]:
    """The derivative by differences, its error, and the size of its numbers; raises Inconclusive if it says little."""
    try:
        value, error = difference_jvp(f, primals, tangents)
    except IndexError as why:
        raise Inconclusive(f"a step away the program does not run: {why}") from why
    scale = max(1.0, largest(value))
    if not all(np.all(np.asarray(leaf) <= 1e-5 * scale) for leaf in flatten(error)[0]):
        raise Inconclusive("differences tell too little")
    return value, error, scale


def assert_estimated(case: Case, what: str, found: Any, expected: tuple[Any, Any, float]) -> None:
    value, error, scale = expected
    assert_close(what, found, value, 1e-3 if case.is_single else 1e-7, scale, error)


def first_derivatives(case: Case) -> None:
    """Values are NumPy's, tangents are differences, and cotangents are what the adjoint of these is."""
    f, primals = case.of_varying(case.function), case.primals
    tangents = direction(primals, 1)
    kept = copied(tangents)
    plain = case.plain(*case.arguments)
    expected = estimated(case.of_varying(case.frozen()), primals, tangents)
    cotangents = direction(plain, 2)
    kept_cotangents = copied(cotangents)
    for name, engine in ENGINES.items():
        out, tangent = engine.jvp(f, primals, tangents)
        linearized, f_jvp = engine.linearize(f, *primals)
        pulled_out, pullback = engine.vjp(f, *primals)
        for transform, value in (("jvp", out), ("linearize", linearized), ("vjp", pulled_out)):
            assert_same_form(f"value of {name}.{transform}", value, plain)
            assert_close(f"value of {name}.{transform}", value, plain, 1e-5 if case.is_single else 1e-12)
        assert_same_form(f"tangent of {name}.jvp", tangent, tree_map(as_tangent, plain))
        assert_owned(f"tangent of {name}.jvp", tangent, (case.arguments, case.constants, tangents, out))
        assert_estimated(case, f"tangent of {name}.jvp", tangent, expected)
        assert_close(f"tangent of {name}.linearize", f_jvp(*tangents), tangent, case.relative, expected[2])
        pulled = pullback(cotangents)
        assert_same_form(f"cotangents of {name}.vjp", pulled, primals)
        assert_owned(f"cotangents of {name}.vjp", pulled, (case.arguments, case.constants, cotangents, pulled_out))
        (left, left_size), (right, right_size) = pairing(cotangents, tangent), pairing(pulled, tangents)
        if abs(left - right) > (1e-3 if case.is_single else 1e-9) * max(left_size, right_size, 1.0):
            raise Failure(f"the adjoint of {name}.jvp: <c, J t> and <J^T c, t>", right, left)
        assert_close(f"cotangents of a second pullback of {name}", pullback(cotangents), pulled, 0.0)
    assert_identical("a tangent was written to", tangents, kept)
    assert_identical("a cotangent was written to", cotangents, kept_cotangents)


def gradients(case: Case) -> None:
    """Gradients of a loss by both engines: differences along one direction, and each other in every element."""
    loss, arguments = loss_of(case.function), case.arguments
    tangents = direction(case.primals, 3)
    slope, error, scale = estimated(case.of_varying(loss_of(case.frozen())), case.primals, tangents)
    value = loss(*copied(arguments))
    found = {}
    for name, engine in ENGINES.items():
        out, gradient = engine.value_and_grad(loss, argnums=case.varying)(*arguments)
        assert_close(f"value of {name}.value_and_grad", out, value, 1e-5 if case.is_single else 1e-12)
        assert_same_form(f"gradient of {name}", gradient, case.primals)
        assert_owned(f"gradient of {name}", gradient, (arguments, case.constants))
        assert_close(f"{name}.grad beside value_and_grad", engine.grad(loss, argnums=case.varying)(*arguments),
                     gradient, case.relative)  # fmt: skip
        along = pairing(gradient, tangents)[0]
        assert_close(f"gradient of {name} along a direction", along, slope, 1e-3 if case.is_single else 1e-7, scale,
                     error)  # fmt: skip
        found[name] = gradient
    assert_close("the gradients of both engines", found["reversead"], found["dualad"], case.relative)


def second_derivatives(case: Case) -> None:
    """Hessian-vector products in four mixtures, and by the pullback of a pullback: differences of the gradient."""
    loss, frozen = (case.of_varying(loss_of(f)) for f in (case.function, case.frozen()))
    x, v = case.primals, direction(case.primals, 4)
    every = tuple(range(len(x)))
    expected = estimated(reversead.grad(frozen, argnums=every), x, v)
    for name, product in products(loss, x, v).items():
        assert_same_form(f"{name}: the product", product, x)
        assert_estimated(case, name, product, expected)


def products(loss: Function, x: tuple[Any, ...], v: tuple[Any, ...]) -> dict[str, Any]:
    """The product of the Hessian of a loss at `x` with `v`, by every composition of two engines."""
    every = tuple(range(len(x)))
    found = {
        "reversead.hvp": reversead.hvp(loss, x, v, argnums=every),
        "dualad.hvp": dualad.hvp(loss, x, v, argnums=every),
        "pullback of reversead.grad": reversead.vjp(reversead.grad(loss, argnums=every), *x)[1](v),
    }
    for outer, forward in ENGINES.items():
        for inner, backward in ENGINES.items():
            name = f"{outer}.jvp of {inner}.grad"
            found[name] = forward.jvp(backward.grad(loss, argnums=every), x, v)[1]
    return found


def series(case: Case) -> None:
    """Taylor coefficients along a direction: derivatives nested in each other, up to the third."""
    f, x, v = case.of_varying(case.function), case.primals, direction(case.primals, 6)
    case.plain(*case.arguments)
    coefficients = taylor(f, copied(x), v, 3, argnums=tuple(range(len(x))))
    nested = f
    for k, found in enumerate(coefficients):
        expected = nested(*copied(x))
        assert_same_form(f"coefficient {k}", found, tree_map(as_tangent, expected) if k else expected)
        scaled = _scaled(found, math.factorial(k)) if k else found
        # Sums of terms that cancel keep the rounding of the terms.
        relative = 100 * case.relative * max(1.0, largest(expected))
        assert_close_where_finite(f"derivative {k} by series", scaled, expected, relative)
        nested = _along(nested, v)


def _scaled(tree: Any, by: int) -> Any:
    return tree_map(lambda leaf: leaf * by, tree)


def _along(f: Function, tangents: tuple[Any, ...]) -> Function:
    return lambda *x: dualad.jvp(f, x, tangents)[1]


def jacobians(case: Case) -> None:
    """Jacobians and Hessians, however many directions are taken together, against one direction at a time."""
    if "complex" in case.features:
        raise Inconclusive("a complex Jacobian is one of holomorphic functions")
    f, primals = case.of_varying(case.function), case.primals
    plain = case.plain(*case.arguments)
    chunk = int(case.chance.integers(1, 5))
    columns = [dualad.jvp(f, primals, unit)[1] for unit in units(primals)]
    for name, engine in ENGINES.items():
        for size in (None, chunk):
            matrix = engine.jacobian(f, argnums=tuple(range(len(primals))), chunk_size=size)(*primals)
            what = f"{name}.jacobian(chunk_size={size})"
            assert_close(what, _columns(_rows(matrix, plain), primals), columns, case.relative)
    if case.chance.random() < 0.3:
        loss = case.of_varying(loss_of(case.function))
        every = tuple(range(len(primals)))
        gradient = reversead.grad(loss, argnums=every)
        columns = [dualad.jvp(gradient, primals, unit)[1] for unit in units(primals)]
        for name, engine in ENGINES.items():
            matrix = engine.hessian(loss, argnums=every, chunk_size=chunk)(*primals)
            rows = []
            for row, primal in zip(matrix, primals, strict=True):
                blocks = [_rows(block, primal) for block in row]
                rows += [[leaf for block in blocks for leaf in block[k]] for k in range(len(blocks[0]))]
            assert_close(f"{name}.hessian(chunk_size={chunk})", _columns(rows, primals), columns, case.relative)


def units(primals: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """Every direction that moves one real number."""
    leaves, _ = flatten(primals)
    found = []
    for k, leaf in enumerate(leaves):
        for place in np.ndindex(np.shape(leaf)):
            for one in (1.0, 1j) if np.iscomplexobj(leaf) else (1.0,):
                found.append(_unit(primals, k, place, one))
    return found


def _unit(primals: tuple[Any, ...], moved: int, place: tuple[int, ...], one: complex) -> tuple[Any, ...]:
    count = iter(range(len(flatten(primals)[0])))

    def tangent(leaf: Any) -> Any:
        made = np.zeros(np.shape(leaf), np.asarray(leaf).dtype)
        if next(count) == moved:
            made[place] = one
        return made if isinstance(leaf, np.ndarray) else made[()] if isinstance(leaf, np.generic) else type(leaf)(made)

    tangents: tuple[Any, ...] = tree_map(tangent, primals)
    return tangents


def _rows(matrix: Any, outputs: Any) -> list[list[Any]]:
    """For each leaf of the outputs the derivatives by each leaf of the arguments, which are nested inside."""
    if isinstance(outputs, dict):
        return [row for key in sorted(outputs) for row in _rows(matrix[key], outputs[key])]
    if isinstance(outputs, (list, tuple)):
        return [row for part, out in zip(matrix, outputs, strict=True) for row in _rows(part, out)]
    return [flatten(matrix)[0]]


def _columns(rows: list[list[Any]], primals: Any) -> list[list[Any]]:
    """The columns of a matrix of blocks, each a list with an array for each leaf of the outputs."""
    return [
        [np.asarray(row[k])[(..., *place)] for row in rows]
        for k, leaf in enumerate(flatten(primals)[0])
        for place in np.ndindex(np.shape(leaf))
    ]
