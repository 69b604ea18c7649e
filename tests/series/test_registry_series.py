"""Taylor coefficients of every entry of the registry: against differentiations nested in each other."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from derivative_checks import direction
from registry_samples import COMPLEX, ONE_SHAPE, ONE_SHAPE_AND_BROADCASTS, Sample

import dualad
import reversead
from shared import flatten, taylor
from shared.core.registry import REGISTRY
from shared.series.recurrences import RECURRENCES

ORDER = 3


def nested(f: Any, primals: tuple[Any, ...], tangents: tuple[Any, ...], order: int) -> list[Any]:
    """The derivatives of orders 0, 1, ... along a line."""

    def along(g: Any) -> Any:
        return lambda *x: dualad.jvp(g, x, tangents)[1]

    found = [f(*primals)]
    for _ in range(order):
        f = along(f)
        found.append(f(*primals))
    return found


def assert_same(found: list[Any], derivatives: list[Any], relative: float) -> None:
    """Coefficients are those of these derivatives, in their shapes and dtypes."""
    columns = [[flatten(value)[0] for value in values] for values in (found, derivatives)]
    for coefficients, wanted in zip(zip(*columns[0], strict=True), zip(*columns[1], strict=True), strict=True):
        wanted = [np.asarray(leaf) for leaf in wanted]
        sizes = [np.abs(leaf[np.isfinite(leaf)]).max(initial=0.0) for leaf in wanted]
        for k, (c, want) in enumerate(zip(coefficients, wanted, strict=True)):
            c = np.asarray(c)
            assert c.shape == want.shape and c.dtype == want.dtype, (k, c, want)
            np.testing.assert_allclose(
                math.factorial(k) * c, want, rtol=relative, atol=relative * max(1.0, *sizes), err_msg=f"order {k}"
            )


@pytest.mark.parametrize("sample", [*ONE_SHAPE_AND_BROADCASTS, *COMPLEX], ids=str)
def test_coefficients_are_those_of_nested_derivatives(sample: Sample) -> None:
    primals = tuple(sample.arguments())
    tangents = direction(primals, 1)
    everything = tuple(range(len(primals)))
    found = taylor(sample.function, primals, tangents, ORDER, argnums=everything)
    assert_same(found, nested(sample.function, primals, tangents, ORDER), 1e-9)


@pytest.mark.parametrize("sample", ONE_SHAPE[::16], ids=str)
def test_sums_of_second_coefficients_go_through_every_kind_of_operation(sample: Sample) -> None:
    """The Laplacian, which carries their average, and the diagonal, which keeps them apart, against products."""

    def loss(*x: Any) -> Any:
        return sum(np.sum(np.sin(np.real(leaf))) for leaf in flatten(sample.function(*x))[0])

    primals = sample.arguments()
    everything = tuple(range(len(primals)))
    by_products = reversead.hessian_diagonal(loss, everything, method="hvp")(*primals)
    expected = np.concatenate([np.ravel(leaf) for leaf in flatten(by_products)[0]])
    diagonal = reversead.hessian_diagonal(loss, everything)(*primals)
    scale = 1.0 + np.abs(expected).max(initial=0.0)
    found = np.concatenate([np.ravel(leaf) for leaf in flatten(diagonal)[0]])
    np.testing.assert_allclose(found, expected, atol=1e-9 * scale)
    total = reversead.laplacian(loss, everything)(*primals)
    np.testing.assert_allclose(total, np.sum(expected), atol=1e-9 * scale * (1 + expected.size))


_BINARY = (np.power, np.divide)


@pytest.mark.parametrize("function", [f for f in RECURRENCES if f is not np.linalg.solve], ids=lambda f: f.__name__)
@pytest.mark.parametrize("curve", ["a line", "a curve"])
def test_recurrences_agree_with_the_rules_to_high_order(function: Any, curve: str, monkeypatch: Any) -> None:
    """With the row taken out of the table, the coefficients are those of the rule of the first derivative."""
    entry: Any = REGISTRY[function]
    x, v = np.array([0.3, 0.6]), np.array([0.5, -0.4])
    higher = [] if curve == "a line" else [np.array([0.2, 0.1]), np.array([0.0, -0.3])]
    functions = [lambda x: entry(x)]
    if function in _BINARY:
        functions = [lambda x: entry(x, 2.0 - x), lambda x: entry(1.5, x), lambda x: entry(x, 2.5)]
        functions += [lambda x: entry(x, -1.5), lambda x: entry(x, 5), lambda x: entry(x, 2000.0)]
    by_row = [taylor(f, x, v, 7, higher=higher) for f in functions]
    monkeypatch.delitem(RECURRENCES, function)
    for f, found in zip(functions, by_row, strict=True):
        expected = taylor(f, x, v, 7, higher=higher)
        for c, want in zip(found, expected, strict=True):
            np.testing.assert_allclose(c, want, rtol=1e-10, atol=1e-12 * np.abs(want).max())
