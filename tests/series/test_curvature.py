"""Laplacians and diagonals of Hessians: every method against the full Hessian, and what each costs."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from shared import LeafTypeError, ShapeError, count_operations, taylor, vmap
from shared import compile as compile_

METHODS = ("taylor", "hvp", "sparse")
X = np.array([0.3, 0.6, 0.8, 1.1])
RECIPES = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")


def f(x: Any) -> Any:
    return np.sum(x**3) + np.sum(np.sin(x[1:] * x[:-1])) + (x @ x) ** 1.5


def of_containers(p: Any, s: Any) -> Any:
    return np.sum(np.tanh(p["w"] @ p["w"]) * s**2) + p["b"] ** 4 * s


@pytest.mark.parametrize("method", METHODS)
def test_both_are_those_of_the_full_hessian(ad: ModuleType, method: str) -> None:
    hessian = reversead.hessian(f)(X)
    np.testing.assert_allclose(ad.hessian_diagonal(f, method=method)(X), np.diag(hessian), rtol=1e-11)
    np.testing.assert_allclose(ad.laplacian(f, method=method)(X), np.trace(hessian), rtol=1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_containers_and_several_arguments(ad: ModuleType, method: str) -> None:
    p, s = {"w": X.reshape(2, 2), "b": 0.7}, 1.5
    blocks = reversead.hessian(of_containers, argnums=(0, 1))(p, s)
    diagonal, of_s = ad.hessian_diagonal(of_containers, argnums=(0, "s"), method=method)(p, s)
    of_w = np.einsum("ijij->ij", blocks[0][0]["w"]["w"])
    np.testing.assert_allclose(diagonal["w"], of_w, rtol=1e-11)
    np.testing.assert_allclose([diagonal["b"], of_s], [blocks[0][0]["b"]["b"], blocks[1][1]], rtol=1e-11)
    assert type(diagonal["b"]) is float
    found = ad.laplacian(of_containers, argnums=(0, "s"), method=method)(p, s=s)
    np.testing.assert_allclose(found, np.sum(of_w) + diagonal["b"] + of_s, rtol=1e-11)


@pytest.mark.parametrize("method", METHODS)
def test_aux_numbers_and_nothing(ad: ModuleType, method: str) -> None:
    found, aux = ad.laplacian(lambda x: (f(x), "aux"), has_aux=True, method=method)(X)
    assert aux == "aux" and found == pytest.approx(np.trace(reversead.hessian(f)(X)))
    diagonal, aux = ad.hessian_diagonal(lambda x: (f(x), "aux"), has_aux=True, method=method)(X)
    assert aux == "aux" and diagonal.shape == (4,)
    assert ad.laplacian(np.sin, method=method)(0.5) == pytest.approx(-np.sin(0.5))
    assert ad.laplacian(lambda x: np.sum(x), method=method)(np.zeros(0)) == 0.0
    assert ad.laplacian(lambda x: np.sum(3.0 * x), method=method)(X) == 0.0
    single = ad.hessian_diagonal(f, method=method)(X.astype(np.float32))
    assert single.dtype == np.float32


def test_they_are_differentiated_mapped_and_compiled(ad: ModuleType) -> None:
    def trace(x: Any) -> Any:
        return np.trace(dualad.jacobian(reversead.grad(f))(x))

    np.testing.assert_allclose(ad.grad(ad.laplacian(f))(X), ad.grad(trace)(X), rtol=1e-9)
    points = np.stack([X, X + 0.2, X - 0.1])
    for method in ("taylor", "hvp"):
        found = vmap(ad.laplacian(f, method=method))(points)
        np.testing.assert_allclose(found, [trace(x) for x in points], rtol=1e-11)
    np.testing.assert_allclose(compile_(ad.laplacian(f))(X), trace(X), rtol=1e-11)
    along = taylor(ad.laplacian(f), X, np.ones(4), 1)[1]
    np.testing.assert_allclose(along, np.sum(ad.grad(trace)(X)), rtol=1e-9)


def test_directions_in_chunks_are_averaged_chunk_by_chunk(monkeypatch: Any) -> None:
    from shared.batching import directions

    x = np.linspace(0.1, 1.0, 50)
    expected = np.trace(reversead.hessian(f)(x))
    monkeypatch.setattr(directions, "BYTES", 40_000)
    np.testing.assert_allclose(reversead.laplacian(f)(x), expected, rtol=1e-11)


def test_zeros_that_meet_infinite_slopes_are_exact(ad: ModuleType) -> None:
    def with_branch(x: Any) -> Any:
        return np.sum(np.where(x > 0, np.sqrt(x) * x**2, 0.0)) + x[0] ** 2

    with np.errstate(all="ignore"):
        for method in ("taylor", "hvp"):
            found = ad.laplacian(with_branch, method=method)(np.array([1.0, 0.0]))
            assert found == pytest.approx(2 + 3.75)


def test_what_is_refused(ad: ModuleType) -> None:
    for transform in (ad.laplacian, ad.hessian_diagonal):
        with pytest.raises(ValueError, match=r"method='best' \(at .*'taylor', 'hvp', 'sparse'"):
            transform(f, method="best")
        with pytest.raises(LeafTypeError, match="complex"):
            transform(f)(X + 0j)
        with pytest.raises(ShapeError, match="one number"):
            transform(lambda x: x**2)(X)
        with pytest.raises(ShapeError, match="complex"):
            transform(lambda x: np.sum(x) * 1j)(X)
        with pytest.raises(TypeError, match="expected a function"):
            transform(X)


# --- what the recipes say of costs ------------------------------------------------------------------------------------


def row(name: str) -> list[int]:
    """The numbers in a row of a table of the recipes."""
    line = next(line for line in RECIPES.splitlines() if line.startswith(f"| {name} |"))
    return [int(cell.replace(",", "")) for cell in line.split("|")[2:-1]]


def wave(t: Any) -> Any:
    return np.sin(t) * np.exp(t * t) / (1 + t)


def test_operations_of_high_orders_are_as_the_recipes_say() -> None:
    found, nested = [], []
    for order in range(1, 11):
        found.append(count_operations(dualad.derivative(wave, order=order), 0.3))
        if order < 8:  # the others take seconds
            g = wave
            for _ in range(order):
                g = dualad.derivative(g)
            nested.append(count_operations(g, 0.3))
    assert found == row("`derivative(wave, order=order)`")
    assert nested == row("`nested(order)`")[:7]
    # Second differences are constant: the operations are a polynomial of degree two in the order.
    assert set(np.diff(found[2:], 2)) == {2}


def test_operations_of_laplacians_are_as_the_recipes_say() -> None:
    ways: dict[str, Any] = {
        "`u` itself": lambda u: u,
        "the trace of `reversead.hessian`": lambda u: lambda x: np.trace(reversead.hessian(u)(x)),
        "the trace of `dualad.jacobian(reversead.grad(u))`": lambda u: (
            lambda x: np.trace(dualad.jacobian(reversead.grad(u))(x))
        ),
        '`reversead.laplacian(u, method="hvp")`': lambda u: reversead.laplacian(u, method="hvp"),
        "`np.sum(hessian_diagonal(u))`": lambda u: reversead.hessian_diagonal(u),
        "`laplacian(u)`": reversead.laplacian,
    }
    for k, n in enumerate((2, 10, 50, 200)):
        first, second, last = np.ones((n, 64)), np.ones((64, 64)), np.ones(64)

        def u(x: Any, first: Any = first, second: Any = second, last: Any = last) -> Any:
            return np.tanh(np.tanh(x @ first) @ second) @ last

        for name, way in ways.items():
            assert count_operations(way(u), np.full(n, 0.1)) == row(name)[k], (name, n)


def test_operations_of_a_sparse_laplacian_are_as_the_recipes_say() -> None:
    def chain(x: Any) -> Any:
        return np.sum((x[1:] - x[:-1] ** 2) ** 2)

    x = np.linspace(0.0, 1.0, 50)
    counts = [
        count_operations(reversead.laplacian(chain, method="sparse"), x),
        count_operations(reversead.laplacian(chain), x),
        count_operations(lambda x: np.trace(reversead.hessian(chain)(x)), x),
    ]
    said = RECIPES[RECIPES.index("It takes 2,992 operations") :].split(".")[0]
    assert counts == [int(n.replace(",", "")) for n in re.findall(r"\d+,\d+", said)]
    np.testing.assert_allclose(reversead.laplacian(chain, method="sparse")(x), reversead.laplacian(chain)(x))
