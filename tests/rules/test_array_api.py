"""The Array API's namespace of traced values: the names of the standard, their values and derivatives."""

from __future__ import annotations

import array_api_strict
import numpy as np
import pytest

import dualad
import reversead
import shared

ENGINES = [dualad, reversead]
POINT = np.array([0.3, -1.2, 2.5, 0.7])


def traced(engine, f, x=POINT):
    """The gradient of a function that is given the namespace and a traced value."""
    return engine.grad(lambda x: f(x.__array_namespace__(), x))(x)


@pytest.mark.parametrize(
    "name",
    sorted(
        set(array_api_strict.__all__)
        - {
            "set_array_api_strict_flags",
            "get_array_api_strict_flags",
            "reset_array_api_strict_flags",
            "ArrayAPIStrictFlags",
            "Device",
            "__version__",
        }
    ),
)
def test_the_namespace_has_every_name_of_the_standard(name) -> None:
    def f(x):
        assert hasattr(x.__array_namespace__(api_version="2024.12"), name)
        return x[0]

    reversead.grad(f)(POINT)


def test_an_unknown_version_is_refused() -> None:
    with pytest.raises(ValueError, match="2030"):
        reversead.grad(lambda x: x.__array_namespace__(api_version="2030.1").sum(x))(POINT)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "call, expected",
    [
        (lambda xp, x: xp.cumulative_sum(x, include_initial=True)[2], [1, 1, 0, 0]),
        (lambda xp, x: xp.cumulative_prod(x, include_initial=True)[2], [-1.2, 0.3, 0, 0]),
        (lambda xp, x: xp.sort(x, descending=True)[0], [0, 0, 1, 0]),
        (lambda xp, x: x[xp.argsort(x, descending=True)[1]], [0, 0, 0, 1]),
        (lambda xp, x: xp.unstack(x)[3], [0, 0, 0, 1]),
        (lambda xp, x: xp.sum(xp.clip(x, min=0.5)), [0, 0, 1, 1]),
        (lambda xp, x: xp.reshape(x, (2, 2), copy=True)[1, 0], [0, 0, 1, 0]),
        (lambda xp, x: xp.astype(x, xp.float32)[0], [1, 0, 0, 0]),
        (lambda xp, x: xp.var(x[:2], correction=1), [1.5, -1.5, 0, 0]),
        (lambda xp, x: xp.concat([x, xp.asarray([1.0])])[1], [0, 1, 0, 0]),
        (lambda xp, x: xp.permute_dims(xp.expand_dims(x, axis=0), (1, 0))[0, 0], [1, 0, 0, 0]),
        (lambda xp, x: xp.linalg.vector_norm(x[:1]), [1, 0, 0, 0]),
        (lambda xp, x: xp.finfo(x).eps * x[0] / xp.finfo(x.dtype).eps, [1, 0, 0, 0]),
    ],
)
def test_what_numpy_spells_otherwise(engine, call, expected) -> None:
    np.testing.assert_allclose(traced(engine, call), expected, atol=1e-15)


def test_equal_elements_keep_their_order_when_they_are_sorted_downwards() -> None:
    x = np.array([1.0, 2.0, 1.0, 2.0, 0.0])
    found = []
    reversead.grad(lambda x: found.append(x.__array_namespace__().argsort(x, descending=True)) or x[0])(x)
    assert found[0].tolist() == [1, 3, 0, 2, 4]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("make", ["zeros", "empty", "ones"])
def test_a_new_array_takes_traced_values(engine, make) -> None:
    def f(xp, x):
        new = getattr(xp, make)(4, dtype=x.dtype, device=x.device)
        new[...] = 0
        new[1:3] = x[:2]
        return xp.sum(new * new)

    np.testing.assert_allclose(traced(engine, f), [0.6, -2.4, 0, 0])


@pytest.mark.parametrize("outer", ENGINES)
@pytest.mark.parametrize("inner", ENGINES)
def test_a_new_array_within_an_inner_differentiation_is_its_own(outer, inner) -> None:
    def f(x):
        xp = x.__array_namespace__()
        new = xp.zeros(2)
        new[0] = x**3
        return new[0]

    def slope(x):
        x.__array_namespace__()  # the outer one asks first, and last
        found = inner.derivative(f)(x)
        new = x.__array_namespace__().zeros(1)
        new[0] = found
        return new[0]

    assert outer.derivative(slope)(2.0) == 12.0


def test_a_number_becomes_an_array_that_can_be_assigned_to() -> None:
    def f(xp, x):
        total = xp.asarray(xp.sum(x))
        total[...] = total * x[0]
        return total

    np.testing.assert_allclose(traced(reversead, f), np.sum(POINT) * np.eye(4)[0] + POINT[0])


def test_after_the_differentiation_new_arrays_are_plain() -> None:
    kept = []
    reversead.grad(lambda x: kept.append(x.__array_namespace__()) or x[0])(POINT)
    assert type(kept[0].zeros(3)) is np.ndarray and type(kept[0].asarray([1.0])) is np.ndarray


def test_mapped_recorded_and_counted_values_have_the_namespace_too() -> None:
    def f(x):
        xp = x.__array_namespace__() if hasattr(x, "__array_namespace__") else np
        new = xp.zeros(3, dtype=x.dtype)
        new[0] = xp.sum(x)
        return xp.sum(new * new)

    xs = np.arange(6.0).reshape(2, 3)
    np.testing.assert_allclose(shared.vmap(f)(xs), [9.0, 144.0])
    np.testing.assert_allclose(shared.compile(reversead.grad(f))(xs[1]), [24.0, 24.0, 24.0])


def test_there_is_one_device() -> None:
    def f(x):
        assert x.device == "cpu" and x.to_device("cpu") is x
        with pytest.raises(ValueError, match="'cuda'"):
            x.to_device("cuda")
        return x[0]

    reversead.grad(f)(POINT)
