"""Calls that nearly mean something else: each has NumPy's meaning, or an error that says what to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
import shared

ENGINES = [dualad, reversead]
X = np.array([1.0, 2.0, 3.0])

# --- np.where with one argument ---------------------------------------------------------------------------------------


def picked(x: Any) -> Any:
    return np.sum(x[np.where(x > 1)] ** 2)


def test_where_with_one_argument_is_nonzero_at_every_level() -> None:
    assert shared.trace(picked, X)(X) == 13.0
    assert shared.compile(picked)(X) == 13.0
    assert shared.count_operations(picked, X) > 0
    with pytest.raises(shared.NoRuleError, match="differ in number from example to example"):
        shared.vmap(lambda x: np.where(x > 1)[0])(np.stack([X, X]))
    for ad in ENGINES:
        np.testing.assert_array_equal(ad.grad(picked)(X), [0.0, 4.0, 6.0])
        np.testing.assert_array_equal(ad.grad(lambda x: np.sum(x[np.where(x)]))(X - 1), [0.0, 1.0, 1.0])
        with pytest.raises(TypeError, match="the argument 'y' is missing"):
            ad.grad(lambda x: np.where(x > 1, x))(X)


# --- complex numbers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ad", ENGINES)
def test_what_is_not_holomorphic_has_no_complex_derivative(ad: Any) -> None:
    z = 3.0 + 4.0j
    for transform, at in ((ad.derivative, z), (ad.elementwise_grad, np.array([z])), (ad.jacobian, np.array([z]))):
        with pytest.raises(shared.ShapeError, match="must be holomorphic"):
            transform(np.conj)(at)
        with pytest.raises(shared.ShapeError, match="must be holomorphic"):
            transform(lambda z: z * np.abs(z))(at)
        # Of a real output it is a - i b, as everywhere.
        np.testing.assert_allclose(np.ravel(transform(np.abs)(at)), [0.6 - 0.8j], rtol=1e-15)
        np.testing.assert_allclose(np.ravel(transform(np.exp)(at)), [np.exp(z)], rtol=1e-15)
    assert ad.derivative(lambda t: np.abs(t * z))(2.0) == 5.0
    np.testing.assert_allclose(ad.jvp(lambda y: (-2.0) ** y, (z,), (1.0 + 0j,))[1], (-2.0) ** z * np.log(-2.0 + 0j))
    for x in (-2.0, np.array([-2.0])):
        slope = ad.jvp(lambda y, x=x: x**y, (np.full(np.shape(x), z)[()],), (np.ones(np.shape(x), complex)[()],))[1]
        np.testing.assert_allclose(slope, np.full(np.shape(x), (-2.0) ** z * np.log(-2.0 + 0j)), rtol=1e-14)


# --- one number in an array -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ad", ENGINES)
@pytest.mark.parametrize("shape", [(1,), (1, 1)])
def test_an_array_of_one_number_has_a_gradient(ad: Any, shape: tuple[int, ...]) -> None:
    def f(x: Any) -> Any:
        return np.reshape(np.sum(x**3), shape)

    value, gradient = ad.value_and_grad(f)(X)
    assert value.shape == shape and value == 36.0
    np.testing.assert_array_equal(gradient, 3 * X**2)
    np.testing.assert_array_equal(ad.hessian(f)(X), np.diag(6 * X))
    np.testing.assert_array_equal(ad.hvp(f, X, np.ones(3)), 6 * X)
    np.testing.assert_array_equal(shared.vmap(ad.grad(f))(np.stack([X, X])), [3 * X**2] * 2)
    np.testing.assert_array_equal(ad.grad(lambda x: np.ones(shape))(X), np.zeros(3))
    assert ad.grad(f)(X.astype(np.float32)).dtype == np.float32
    with pytest.raises(shared.ShapeError, match="of one number"):
        ad.grad(lambda x: x)(X)
    with pytest.raises(shared.ShapeError, match="complex number"):
        ad.grad(lambda x: np.reshape(np.sum(x) * 1j, shape))(X)


# --- objects, numbers and texts ---------------------------------------------------------------------------------------


class State:
    """An object that is no container, unlike a types.SimpleNamespace or a dataclass."""

    def __init__(self, held: Any):
        self.held = held


@pytest.mark.parametrize("ad", ENGINES)
@pytest.mark.parametrize(
    "held",
    [
        lambda x: State(x),
        lambda x: State([1.0, x]),
        lambda x: State({1: x}),
    ],
    ids=["attribute", "list in it", "dict in it"],
)
def test_an_object_with_traced_values_is_no_auxiliary_value(ad: Any, held: Callable[[Any], Any]) -> None:
    with pytest.raises(shared.ShapeError, match=r"a State \(at .*test_borderline.*its attribute"):
        ad.grad(lambda x: (np.sum(x), held(x)), has_aux=True)(X)
    with pytest.raises(shared.ShapeError, match="State"):
        ad.vjp(lambda x: (np.sum(x), [held(x)]), X, has_aux=True)
    # What holds none is returned as it is.
    plain = held(3.0)
    assert ad.grad(lambda x: (np.sum(x), plain), has_aux=True)(X)[1] is plain


def test_a_number_has_no_length_and_no_iterator() -> None:
    seen = []
    nothing: Any = None

    def f(x: Any) -> Any:
        seen.append(hasattr(x, "__len__") or hasattr(x, "__iter__") or np.iterable(x))
        seen.append(getattr(x, "__iter__", None) or getattr(x, "__iter__", nothing) is not None)
        if not x.shape:
            for many in (len, iter, list, lambda x: (*x,), lambda x: [k for k in x], lambda x: x.__iter__()):
                with pytest.raises(TypeError, match=r"of a scalar has no meaning.*np.ndim\(x\)"):
                    many(x)
        return np.sum(x) * 2.0

    for ad in ENGINES:
        for at in (2.0, np.float64(2.0)):
            # Again and again, since an interpreter comes to execute what it has seen before in another way.
            for _ in range(20):
                ad.value_and_grad(f)(at)
    shared.vmap(f)(X)
    shared.trace(f, 2.0)
    assert seen and not any(seen)
    for ad in ENGINES:
        assert ad.grad(lambda x: np.sum(x) * len(x) * hasattr(x, "__len__"))(X).tolist() == [3.0, 3.0, 3.0]
        assert ad.grad(lambda x: sum(x) * hasattr(x, "__iter__"))(X).tolist() == [1.0, 1.0, 1.0]


def test_a_dual_number_prints_its_tangent() -> None:
    assert str(dualad.Dual(3.0, 1.0)) == f"{dualad.Dual(3.0, 1.0)}" == "Dual(3.0, tangent=1.0)"


@pytest.mark.parametrize("ad", ENGINES)
def test_an_extremum_that_is_nan_has_no_slope(ad: Any) -> None:
    x = np.array([[1.0, np.nan], [3.0, 2.0]])
    for extremum in (np.max, np.min):
        found = ad.grad(lambda x, extremum=extremum: np.sum(extremum(x, axis=1)))(x)
        assert np.isnan(found[0]).all() and found[1].tolist() == ([1.0, 0.0] if extremum is np.max else [0.0, 1.0])


@pytest.mark.parametrize("ad", ENGINES)
@pytest.mark.parametrize("x", [1.0, np.ones(2), {"a": 2.0}, np.float64(1.0)], ids=["float", "array", "dict", "scalar"])
def test_primals_that_are_no_tuple_are_told_so(ad: Any, x: Any) -> None:
    with pytest.raises(shared.ShapeError, match=r"have to be a tuple .* write jvp\(f, \(x,\), \(v,\)\)"):
        ad.jvp(lambda x: x, x, x)


INTEGERS: dict[str, Callable[[Any], Any]] = {
    "an index": lambda p: np.sum(p["w"][p["n"]]),
    "np.take": lambda p: np.sum(np.take(p["w"], p["n"])),
    "a length": lambda p: np.sum(np.zeros(p["n"], like=p["w"]) + p["w"][0]),
    "a matrix power": lambda p: np.sum(np.linalg.matrix_power(np.eye(2) * p["w"][0], p["n"])),
    "a count": lambda p: sum(p["w"][0] for _ in range(p["n"])),
}


@pytest.mark.parametrize("ad", ENGINES)
@pytest.mark.parametrize("name", INTEGERS)
def test_an_integer_among_what_is_differentiated_is_named(ad: Any, name: str) -> None:
    f, n = INTEGERS[name], np.array([1, 0]) if name in ("an index", "np.take") else 2
    with pytest.raises(shared.LeafTypeError, match=r"leaf 0 .* is an integer .*test_borderline_calls") as caught:
        ad.grad(f)({"n": n, "w": X})
    assert isinstance(caught.value, IndexError) and isinstance(caught.value.__cause__, Exception)
    with pytest.raises(shared.LeafTypeError, match="leaf 1 of the differentiated arguments is an integer"):
        ad.grad(lambda w, n: f({"w": w, "n": n}), (0, 1))(X, n)
    # Where it is left out, it stays what it is.
    assert ad.grad(lambda w, n: f({"w": w, "n": n}))(X, n).shape == (3,)


@pytest.mark.parametrize("ad", ENGINES)
def test_other_errors_of_the_function_stay_what_they_are(ad: Any) -> None:
    def f(x: Any) -> Any:
        raise IndexError("mine")

    with pytest.raises(IndexError, match=r"^mine$"):
        ad.grad(f)(3)
    with pytest.raises(shared.LeafTypeError, match="argument 0 is an integer"):
        ad.grad(lambda n: sum(1.0 for _ in range(n)))(3)
    with pytest.raises(TypeError, match=r"at a point x it is grad\(f\)\(x\)"):
        ad.grad(np.sin, 2.0)(1.0)
