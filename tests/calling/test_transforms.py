"""What the transforms take and give back: containers, types, fresh results; the same from both engines."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import dualad
import reversead
from shared import DifferentiationError, ShapeError, flatten, stop_gradient, tree_map
from shared.core.errors import ImpureFunctionError, LeafTypeError

X, Y = np.array([1.0, 2.0, 3.0]), np.array([0.5, -1.0, 2.0])
BIG = 20_000


class Layer(NamedTuple):
    weights: Any
    biases: Any


def assert_same(found: Any, expected: Any, rtol: float = 1e-13) -> None:
    """Equal structures, shapes, dtypes and kinds of number, and values equal to rounding."""
    found_leaves, found_structure = flatten(found)
    expected_leaves, expected_structure = flatten(expected)
    assert found_structure == expected_structure
    for a, b in zip(found_leaves, expected_leaves, strict=True):
        assert np.shape(a) == np.shape(b)
        assert np.asarray(a).dtype == np.asarray(b).dtype
        np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-14)


def arrays_in(tree: Any) -> list[np.ndarray]:
    return [leaf for leaf in flatten(tree)[0] if isinstance(leaf, np.ndarray)]


# --- containers ---------------------------------------------------------------------------------------------------

PARAMETERS = {"a": [X, (2.0, None)], "b": Layer(np.eye(2), 3), "c": {}}


def energy(p: Any) -> Any:
    assert p["a"][1][1] is None
    assert isinstance(p["b"], Layer)
    return np.sum(p["a"][0] ** 2) * p["a"][1][0] + np.sum(p["b"].weights) * p["b"].biases


GRADIENT = {"a": [4 * X, (14.0, None)], "b": Layer(np.full((2, 2), 3.0), 2.0), "c": {}}


def test_gradient_has_the_structure_of_its_argument(ad: Any) -> None:
    assert_same(ad.grad(energy)(PARAMETERS), GRADIENT)


def test_jvp_and_linearize_of_containers(ad: Any) -> None:
    tangent = tree_map(lambda leaf: np.ones_like(leaf) if isinstance(leaf, np.ndarray) else 1.0, PARAMETERS)
    expected = float(sum(np.sum(leaf) for leaf in flatten(GRADIENT)[0]))
    value, found = ad.jvp(energy, (PARAMETERS,), (tangent,))
    assert value == 34.0
    assert found == pytest.approx(expected)
    value, f_jvp = ad.linearize(energy, PARAMETERS)
    assert value == 34.0
    assert f_jvp(tangent) == pytest.approx(expected)


def test_vjp_of_containers_on_both_sides(ad: Any) -> None:
    def f(p: Any, q: Any) -> Any:
        return {"sum": (p[0] + q["x"], None), "product": [p[0] * q["x"], p[1]]}

    out, pullback = ad.vjp(f, (X, 2.0), {"x": Y})
    assert_same(out, {"sum": (X + Y, None), "product": [X * Y, 2.0]})
    found = pullback({"sum": (np.ones(3), None), "product": [np.array([0.0, 1.0, 2.0]), 5.0]})
    c = np.array([0.0, 1.0, 2.0])
    assert_same(found, ((1 + c * Y, 5.0), {"x": 1 + c * X}))


@pytest.mark.parametrize("outer", [dualad, reversead])
def test_hessian_vector_product_of_containers(ad: Any, outer: Any) -> None:
    v = tree_map(lambda leaf: np.full(np.shape(leaf), 0.5) if np.ndim(leaf) else 0.5, PARAMETERS)
    expected = {
        "a": [2 * X * 0.5 + 2 * 2.0 * 0.5, (float(np.sum(X)), None)],
        "b": Layer(np.full((2, 2), 0.5), 2.0),
        "c": {},
    }
    assert_same(ad.hvp(energy, PARAMETERS, v), expected)
    assert_same(outer.jvp(ad.grad(energy), (PARAMETERS,), (v,))[1], expected)


def test_empty_containers_have_empty_gradients(ad: Any) -> None:
    for empty in ({}, [], (), None, [None, {}]):
        assert_same(ad.grad(lambda p: 3.0)(empty), empty)
        assert_same(ad.value_and_grad(lambda p: 3.0)(empty)[0], 3.0)
        assert ad.jvp(lambda p: 3.0, (empty,), (empty,)) == (3.0, 0.0)


def test_the_function_receives_new_containers(ad: Any) -> None:
    p = {"x": [X]}

    def f(q: Any) -> Any:
        q["x"].append(2.0)
        q["y"] = 1.0
        return np.sum(q["x"][0]) * q["x"][1]

    assert_same(ad.grad(f)(p), {"x": [np.full(3, 2.0)]})
    assert list(p) == ["x"]
    assert len(p["x"]) == 1


def test_the_same_array_twice_counts_as_two_variables(ad: Any) -> None:
    assert_same(ad.grad(lambda p: np.sum(p[0] * p[1] ** 2))([X, X]), [X**2, 2 * X * X])
    assert_same(ad.grad(lambda a, b: np.sum(a * b**2), argnums=(0, 1))(X, X), (X**2, 2 * X * X))


JACOBIANS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], Any]] = {
    "array to array": (lambda x: x**2, (X,), 0),
    "matrix to vector": (lambda a: a @ X, (np.ones((2, 3)),), 0),
    "vector to matrix": (lambda x: np.outer(x, Y), (X,), 0),
    "array to number": (lambda x: np.sum(x * Y), (X,), 0),
    "number to array": (lambda t: t * X, (2.0,), 0),
    "number to number": (lambda t: t * t, (2.0,), 0),
    "one element": (lambda x: x * x, (np.ones(1),), 0),
    "zero axes": (lambda x: x * X, (np.array(2.0),), 0),
    "zero axes to zero axes": (lambda x: np.sin(x), (np.array(2.0),), 0),
    "NumPy scalar": (lambda x: x * X, (np.float32(2.0),), 0),
    "float32": (lambda x: np.sin(x), (X.astype(np.float32),), 0),
    "float32 and float64": (lambda x: np.sin(x) * X, (X.astype(np.float32),), 0),
    "integers": (lambda x: x * x, (np.array([1, 2]),), 0),
    "dict to dict": (
        lambda p: {"product": p["a"] * p["b"], "rest": (np.sum(p["a"]), None, [p["b"] * X])},
        ({"a": np.ones(2), "b": 3.0},),
        0,
    ),
    "named tuples": (lambda p: Layer(p.weights @ p.biases, 2 * p.biases), (Layer(np.ones((2, 3)), X),), 0),
    "two arguments": (lambda x, y: x * y, (X, Y), (0, 1)),
    "the second of two": (lambda x, y: x * y, (X, Y), 1),
    "the last": (lambda x, y: x * y, (X, Y), -1),
    "two of three, reversed": (lambda x, t, y: x * y * t, (X, 2.0, Y), [2, 0]),
    "output that does not vary": (lambda x: (x, X, 3.0), (X,), 0),
    "integer output": (lambda x: (np.argmax(x), np.array([1, 2]), 4), (X,), 0),
    "empty input": (lambda x: x * 2, (np.zeros((0, 2)),), 0),
    "empty output": (lambda x: x[:0] * 2, (X,), 0),
    "empty containers": (lambda p: [], ({},), 0),
    "complex to complex": (lambda z: np.exp(z) * z[0], (np.array([1 + 2j, 0.5j]),), 0),
    "complex number": (lambda z: z * z, (1 + 2j,), 0),
    "real to complex": (lambda x: x * (1 + 2j), (X,), 0),
    "real number to complex": (lambda x: x * 1j, (2.0,), 0),
    "float32 to complex": (lambda x: x * np.complex64(1 + 2j), (X.astype(np.float32),), 0),
}


@pytest.mark.parametrize("name", list(JACOBIANS))
def test_jacobians_of_both_engines_are_equal_and_right(name: str) -> None:
    f, args, argnums = JACOBIANS[name]
    found = [engine.jacobian(f, argnums)(*args) for engine in (dualad, reversead)]
    assert_same(found[0], found[1], rtol=1e-6 if "float32" in name else 1e-13)
    # Along a direction the Jacobian gives what differences give.
    outputs, structure = flatten(f(*args))
    chosen = [args[k] for k in argnums] if isinstance(argnums, (tuple, list)) else [args[argnums]]
    inputs = flatten(chosen)[0]
    blocks = flatten(found[0])[0]
    assert len(blocks) == len(outputs) * len(inputs)
    shapes = [np.shape(o) + np.shape(i) for o, i in itertools.product(outputs, inputs)]
    assert [np.shape(block) for block in blocks] == shapes
    assert structure.size == len(outputs)


@pytest.mark.parametrize("name", ["real to complex", "real number to complex", "float32 to complex"])
def test_jacobian_of_a_complex_function_of_a_real_number_is_complex(ad: Any, name: str) -> None:
    f, args, _ = JACOBIANS[name]
    factor = f(1.0)
    np.testing.assert_allclose(ad.jacobian(f)(*args), factor * np.eye(3) if np.ndim(args[0]) else factor, rtol=1e-6)


def test_elementwise_grad_of_a_complex_function_of_a_real_array_is_complex(ad: Any) -> None:
    np.testing.assert_allclose(ad.elementwise_grad(lambda x: np.exp(1j * x))(X), 1j * np.exp(1j * X))


@pytest.mark.parametrize("f", [np.abs, np.real, np.imag, np.conj, lambda z: z * np.conj(z)])
def test_functions_that_are_not_holomorphic_have_no_jacobian_by_one_number(f: Callable[..., Any]) -> None:
    # Such a function has two real derivatives; engines that picked one each would disagree in silence.
    z = np.array([3 + 4j])
    results = []
    for engine in (dualad, reversead):
        try:
            results.append(engine.jacobian(f)(z))
        except DifferentiationError:
            results.append(None)
    if results[0] is None or results[1] is None:
        assert results == [None, None]
    else:
        np.testing.assert_allclose(results[0], results[1])


# --- argnums, keywords, aux ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argnums", "expected"),
    [
        (0, Y),
        (1, X),
        (-1, 6.0),
        (np.int64(1), X),
        ((0,), (Y,)),
        ([1, 0], (X, Y)),
        ((0, -1), (Y, 6.0)),
        (range(2), (Y, X)),
        ((), ()),
    ],
)
def test_argnums(ad: Any, argnums: Any, expected: Any) -> None:
    def f(x: Any, y: Any, t: Any) -> Any:
        return np.sum(x * y) + t * t

    assert_same(ad.grad(f, argnums)(X, Y, 3.0), expected)
    assert_same(ad.grad(f, argnums=argnums)(X, Y, 3.0), expected)
    value, gradient = ad.value_and_grad(f, argnums)(X, Y, 3.0)
    assert value == np.sum(X * Y) + 9.0
    assert_same(gradient, expected)


def test_other_arguments_are_passed_as_they_are(ad: Any) -> None:
    def f(x: Any, mode: str, table: Any, *, scale: Any, flag: bool = False) -> Any:
        assert mode == "mode"
        assert table is TABLE
        assert flag is True
        assert type(scale) is int
        return np.sum(x) * scale

    TABLE = {"k": {1, 2}}
    assert_same(ad.grad(f)(X, "mode", TABLE, scale=3, flag=True), np.full(3, 3.0))
    assert_same(ad.jacobian(f)(X, "mode", TABLE, scale=3, flag=True), np.full(3, 3.0))
    assert ad.derivative(lambda t, k, s=1: t**k * s)(3.0, 2, s=2) == 12.0
    assert_same(ad.elementwise_grad(lambda x, k, s=1: x**k * s)(X, 2, s=2), 4 * X)


def test_aux(ad: Any) -> None:
    def f(x: Any) -> Any:
        y = np.sin(x)
        return np.sum(y), {"y": y, "number": 3, "text": "abc", "none": None, "pair": (y[0], Y), "flag": y > 0}

    gradient, aux = ad.grad(f, has_aux=True)(X)
    (value, again), same = ad.value_and_grad(f, has_aux=True)(X)
    assert_same(gradient, np.cos(X))
    assert_same(same, gradient)
    assert value == np.sum(np.sin(X))
    for found in (aux, again):
        assert type(found["y"]) is np.ndarray
        assert_same(found["y"], np.sin(X))
        assert found["number"] == 3
        assert found["text"] == "abc"
        assert found["none"] is None
        assert type(found["pair"][0]) is np.float64
        assert found["pair"][1] is Y
        assert found["flag"].tolist() == [True, True, True]


def test_aux_keeps_outer_derivatives(ad: Any) -> None:
    for outer in (dualad, reversead):

        def f(x: Any) -> Any:
            _, aux = ad.grad(lambda y: (y * y * x, y * x), has_aux=True)(2.0 * x)
            return aux

        # aux is 2 x^2
        assert outer.derivative(f)(3.0) == 12.0


def test_aux_does_not_alias_the_argument(ad: Any) -> None:
    x = np.ones(BIG)
    _, aux = ad.grad(lambda x: (np.sum(x), [x, x[:5], x.reshape(-1, 2)]), has_aux=True)(x)
    assert not any(np.shares_memory(a, x) for a in aux)
    assert all(a.flags.writeable for a in aux)


# --- types --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "kind", "dtype"),
    [
        (2.0, float, "f8"),
        (2, float, "f8"),
        (np.float64(2.0), np.float64, "f8"),
        (np.float32(2.0), np.float32, "f4"),
        (np.float16(2.0), np.float16, "f2"),
        (np.int32(2), np.float64, "f8"),
        (np.array(2.0), np.ndarray, "f8"),
        (np.array(2.0, np.float32), np.ndarray, "f4"),
        (np.array([2.0]), np.ndarray, "f8"),
        (np.array([2.0], np.float32), np.ndarray, "f4"),
        (np.array([2.0], np.float16), np.ndarray, "f2"),
        (np.array([2]), np.ndarray, "f8"),
        (np.array([2], np.uint8), np.ndarray, "f8"),
        (2 + 0j, complex, "c16"),
        (np.complex64(2), np.complex64, "c8"),
        (np.array([2 + 0j]), np.ndarray, "c16"),
    ],
)
def test_gradient_has_the_type_of_its_argument(ad: Any, x: Any, kind: type, dtype: str) -> None:
    def f(x: Any) -> Any:
        return np.sum(np.real(np.sin(x) * x * 2.0 + 1))

    slope = 2 * (np.cos(2.0) * 2.0 + np.sin(2.0))
    for gradient in (
        ad.grad(f)(x),
        ad.vjp(f, x)[1](np.asarray(f(x)).dtype.type(1))[0],
    ):
        assert type(gradient) is kind
        assert np.asarray(gradient).dtype == dtype
        assert np.shape(gradient) == np.shape(x)
        np.testing.assert_allclose(gradient, np.full(np.shape(x), slope), rtol=5e-3 if dtype == "f2" else 1e-6)


@pytest.mark.parametrize("dtype", ["f4", "f2"])
def test_narrow_types_are_kept_all_through(ad: Any, dtype: str) -> None:
    x = X.astype(dtype)

    def f(x: Any) -> Any:
        y = np.sin(x) * 2.0 / 3 - 0.5 + x**2 + np.maximum(x, 0.1) + abs(x) ** 0.5
        y = np.where(y > 0, y, 0.5 * y) @ (np.eye(3, dtype=dtype) * y) + np.mean(x) + np.log1p(x)[::-1]
        for seen in (y, np.sum(y), x[0] * 2.0):
            assert seen.dtype == dtype
        return y

    out, tangent = ad.jvp(f, (x,), (x,))
    assert out.dtype == tangent.dtype == dtype
    out, pullback = ad.vjp(f, x)
    assert out.dtype == pullback(x)[0].dtype == dtype
    assert ad.jacobian(f)(x).dtype == dtype
    assert ad.hvp(lambda x: np.sum(f(x)), x, x).dtype == dtype
    assert ad.linearize(f, x)[1](x).dtype == dtype


def test_tangents_take_the_type_of_their_primal(ad: Any) -> None:
    x = X.astype(np.float32)
    for tangent in (X, np.array([1, 2, 3])):
        _, found = ad.jvp(lambda x: x * 2, (x,), (tangent,))
        assert found.dtype == np.float32
        assert ad.vjp(lambda x: x * 2, x)[1](tangent)[0].dtype == np.float32
        assert ad.linearize(lambda x: x * 2, x)[1](tangent).dtype == np.float32


def test_python_numbers_stay_python_numbers(ad: Any) -> None:
    def f(x: Any) -> Any:
        return x * x + 2 * x - 1

    value, gradient = ad.value_and_grad(f)(3.0)
    assert (type(value), type(gradient)) == (float, float)
    assert (value, gradient) == (14.0, 8.0)
    for result in (ad.derivative(f)(3.0), ad.jvp(f, (3.0,), (1.0,))[1], ad.linearize(f, 3.0)[1](1.0)):
        assert type(result) is float
        assert result == 8.0


def test_value_is_what_plain_numpy_gives(ad: Any) -> None:
    for f, x in [
        (np.sin, 2.0),
        (lambda x: x * 2, 2),
        (lambda x: np.sum(x), X),
        (lambda x: np.sum(x), X.astype(np.float32)),
        (lambda x: x * 1.0, np.array(2.0)),
        (lambda x: x, np.array(2.0)),
        (lambda x: 7.0, 2.0),
        (lambda x: np.float32(7.0), 2.0),
    ]:
        plain = f(x) if not isinstance(x, int) else f(float(x))
        for value in (ad.value_and_grad(f)(x)[0], ad.vjp(f, x)[0], ad.linearize(f, x)[0], ad.jvp(f, (x,), (x,))[0]):
            assert type(value) is type(plain), f
            assert value == plain


def test_complex_gradients(ad: Any) -> None:
    # The g with Re(g t) the derivative along t: of |z|^2 it is 2 conj(z).
    z = np.array([1 + 2j, -0.5j])
    np.testing.assert_allclose(ad.grad(lambda z: np.sum(np.abs(z) ** 2))(z), 2 * np.conj(z))
    np.testing.assert_allclose(ad.grad(np.abs)(3 + 4j), 0.6 - 0.8j)
    np.testing.assert_allclose(ad.grad(lambda z: np.real(z * z))(3 + 4j), 2 * (3 + 4j))
    np.testing.assert_allclose(ad.grad(lambda z: np.imag(z))(3 + 4j), -1j)
    np.testing.assert_allclose(ad.grad(lambda x: np.abs(x * (3 + 4j)))(2.0), 5.0)


def test_complex_derivatives_along_directions(ad: Any) -> None:
    z, t, c = np.array([1 + 2j, -0.5j]), np.array([0.5, 1 - 1j]), np.array([1j, 2.0 + 1j])

    def f(z: Any) -> Any:
        return np.exp(z) * np.conj(z) + np.abs(z)

    h = 1e-6
    _, tangent = ad.jvp(f, (z,), (t,))
    np.testing.assert_allclose(tangent, (f(z + h * t) - f(z - h * t)) / (2 * h), rtol=1e-8)
    np.testing.assert_allclose(ad.linearize(f, z)[1](t), tangent)
    cotangent = ad.vjp(f, z)[1](c)[0]
    assert np.real(np.sum(cotangent * t)) == pytest.approx(np.real(np.sum(c * tangent)))


# --- empty arrays and arrays without axes -------------------------------------------------------------------------


def test_empty_arrays(ad: Any) -> None:
    for shape in ((0,), (0, 3), (2, 0)):
        x = np.zeros(shape)
        assert ad.grad(np.sum)(x).shape == shape
        assert ad.value_and_grad(lambda x: np.sum(x * x) + 1.0)(x)[0] == 1.0
        assert ad.jvp(np.sin, (x,), (x,))[1].shape == shape
        assert ad.vjp(np.sin, x)[1](x)[0].shape == shape
        assert ad.linearize(np.sin, x)[1](x).shape == shape
        assert ad.jacobian(np.sin)(x).shape == shape * 2
        assert ad.elementwise_grad(np.sin)(x).shape == shape
        assert ad.hessian(lambda x: np.sum(x * x))(x).shape == shape * 2
        assert ad.hvp(lambda x: np.sum(x * x), x, x).shape == shape


def test_arrays_without_axes(ad: Any) -> None:
    x = np.array(3.0)
    for found in (
        ad.grad(lambda x: x * x)(x),
        ad.derivative(lambda x: x * x)(x),
        ad.elementwise_grad(lambda x: x * x)(x),
        ad.jacobian(lambda x: x * x)(x),
        ad.vjp(lambda x: x * x, x)[1](np.array(1.0))[0],
        ad.jvp(lambda x: x * x, (x,), (np.array(1.0),))[1],
    ):
        assert np.shape(found) == ()
        assert found == 6.0
    assert ad.hessian(lambda x: x * x * x)(x) == 18.0


def test_assignment_to_an_array_without_axes(ad: Any) -> None:
    def f(x: Any) -> Any:
        y = np.copy(x)
        y[...] = y * x
        y += x
        y[()] *= 2.0
        return y

    x = np.array(3.0)
    assert ad.grad(f)(x) == 14.0
    assert x == 3.0


# --- each transform -----------------------------------------------------------------------------------------------


def test_derivative_of_a_function_with_outputs_of_any_structure(ad: Any) -> None:
    found = ad.derivative(lambda t: {"a": t * X, "b": (np.sin(t), 3.0, None)})(2.0)
    assert_same(found, {"a": X, "b": (np.float64(np.cos(2.0)), 0.0, None)})


def test_hessian(ad: Any) -> None:
    x = np.array([3.0, 5.0])
    np.testing.assert_allclose(ad.hessian(lambda x: x[0] ** 2 * x[1])(x), [[10.0, 6.0], [6.0, 0.0]])
    assert ad.hessian(lambda t: t**3)(2.0) == 12.0
    found = ad.hessian(lambda p: p["x"] * np.sum(p["y"] ** 2))({"x": 2.0, "y": x})
    assert float(found["x"]["x"]) == 0.0
    np.testing.assert_allclose(found["x"]["y"], 2 * x)
    np.testing.assert_allclose(found["y"]["x"], 2 * x)
    np.testing.assert_allclose(found["y"]["y"], 4.0 * np.eye(2))
    both = ad.hessian(lambda a, b: np.sum(a * b**2), argnums=(0, 1))(X, Y)
    np.testing.assert_allclose(both[0][1], np.diag(2 * Y))
    np.testing.assert_allclose(both[1][0], np.diag(2 * Y))
    np.testing.assert_allclose(both[1][1], np.diag(2 * X))
    np.testing.assert_allclose(both[0][0], np.zeros((3, 3)))


def test_linear_map_is_linear_and_can_be_called_again(ad: Any) -> None:
    out, f_jvp = ad.linearize(lambda x, y: np.sin(x) * y, X, Y)
    np.testing.assert_allclose(out, np.sin(X) * Y)
    a, b = f_jvp(X, np.zeros(3)), f_jvp(np.zeros(3), Y)
    np.testing.assert_allclose(a, np.cos(X) * Y * X)
    np.testing.assert_allclose(b, np.sin(X) * Y)
    np.testing.assert_allclose(f_jvp(2 * X, 3 * Y), 2 * a + 3 * b)
    np.testing.assert_array_equal(f_jvp(X, np.zeros(3)), a)


def test_linear_map_through_assignments_and_views(ad: Any) -> None:
    def f(x: Any) -> Any:
        y = np.zeros((3, 3), like=x)
        y[0] = x * x
        y[1] += y[0] * x[0]
        y[:, 2] = y[1]
        y[[0, 0], [1, 1]] = x[:2]
        z = y.T
        np.sum(z)
        return y @ x + z[0]

    out, f_jvp = ad.linearize(f, X)
    np.testing.assert_allclose(out, ad.jvp(f, (X,), (Y,))[0])
    h = 1e-6
    expected = (ad.vjp(f, X + h * Y)[0] - ad.vjp(f, X - h * Y)[0]) / (2 * h)
    for _ in range(2):
        np.testing.assert_allclose(f_jvp(Y), expected, rtol=1e-8)


NOT_ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "reversed": lambda x: x[::-1],
    "rolled": lambda x: np.roll(x, 1),
    "cumulative sum": np.cumsum,
    "centred": lambda x: x - np.mean(x),
    "normalised": lambda x: x / np.sum(x),
    "sorted": np.sort,
    "matrix": lambda x: np.arange(9.0).reshape(3, 3) @ x,
    "softmax": lambda x: np.exp(x) / np.sum(np.exp(x)),
    "times the first": lambda x: x * x[0],
    "a small part": lambda x: x + 1e-3 * np.sum(x),
}


@pytest.mark.parametrize("dtype", ["f8", "f4", "f2"])
@pytest.mark.parametrize("name", list(NOT_ELEMENTWISE))
def test_elementwise_grad_refuses_what_is_not_elementwise(ad: Any, name: str, dtype: str) -> None:
    x = np.array([3.0, 1.0, 2.0], dtype)
    with pytest.raises(ShapeError, match="elementwise"):
        ad.elementwise_grad(NOT_ELEMENTWISE[name])(x)


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (lambda x: x * 1e-30, np.array([1.0, 2.0, 3.0])),
        (lambda x: np.where(x > 1.5, 1e20 * x, x), X),
        (np.sqrt, np.array([0.0, 1.0])),
        (lambda x: x * np.array([1.0, np.inf, np.nan]), X),
        (lambda x: np.tanh(x) ** 3 / (1 + np.exp(-x)), X.astype(np.float32)),
        (lambda x: np.tanh(x) ** 3 / (1 + np.exp(-x)), X.astype(np.float16)),
        (lambda x: 0 * x, X),
        (lambda x: np.ones(3), X),
    ],
)
def test_elementwise_grad_accepts_what_is(ad: Any, f: Callable[..., Any], x: np.ndarray) -> None:
    with np.errstate(all="ignore"):
        found = ad.elementwise_grad(f)(x)
    assert found.shape == x.shape


def test_elementwise_grad_tells_small_parts_from_large_ones(ad: Any) -> None:
    # One huge slope must not hide that the other elements are mixed up.
    def f(x: Any) -> Any:
        return x[[0, 2, 1]] * np.array([1e20, 1.0, 1.0])

    with pytest.raises(ShapeError, match="elementwise"):
        ad.elementwise_grad(f)(X)


def test_elementwise_grad_refuses_several(ad: Any) -> None:
    for bad in (lambda x: (x, x), lambda x: np.sum(x), lambda x: x[:2], lambda x: x[None]):
        with pytest.raises(ShapeError, match="elementwise"):
            ad.elementwise_grad(bad)(X)
    with pytest.raises((ShapeError, LeafTypeError)):
        ad.elementwise_grad(lambda p: p[0])([X, X])


def test_stop_gradient(ad: Any) -> None:
    assert ad.stop_gradient is stop_gradient
    assert_same(ad.grad(lambda x: np.sum(x * ad.stop_gradient(x)))(X), X)
    assert ad.derivative(lambda x: ad.stop_gradient(x))(2.0) == 0.0
    # No level sees through.
    assert ad.derivative(lambda x: ad.derivative(lambda y: stop_gradient(x * y) * y)(1.0))(2.0) == 0.0
    assert_same(ad.grad(lambda x: math.floor(stop_gradient(x[0])) * x[1])(X), np.array([0.0, 1.0, 0.0]))


# --- results are fresh, and nothing of the caller's is touched ----------------------------------------------------

ALIASING: dict[str, Callable[..., Any]] = {
    "identity": lambda x: x,
    "view": lambda x: x[:],
    "sum of itself": lambda x: x + x,
    "constant": lambda x: x * np.ones(len(x)),
    "transpose": lambda x: x.reshape(-1, 1).T[0],
    "broadcast": lambda x: np.broadcast_to(x[0], (len(x),)),
    "zero": lambda x: 0.0 * x,
    "real": lambda x: np.real(x),
    "in place": lambda x: x.__iadd__(1.0),
    "assigned": lambda x: (x.__setitem__(slice(0, 1), 5.0), x)[1],
    "copy": lambda x: np.copy(x),
    "two views": lambda x: np.concatenate([x[:1], x[1:]]),
    "where": lambda x: np.where(np.arange(len(x)) > 1, x, x),
}


@pytest.mark.parametrize("size", [3, BIG])
@pytest.mark.parametrize("name", list(ALIASING))
def test_results_alias_nothing_and_are_writable(ad: Any, name: str, size: int) -> None:
    f, x, seed = ALIASING[name], np.linspace(1.0, 2.0, size), np.linspace(0.0, 1.0, size)
    kept_x, kept_seed = x.copy(), seed.copy()
    constant = np.ones(size)
    results = []
    for _ in range(2):
        results += arrays_in(ad.jvp(f, (x,), (seed,)))
        value, f_jvp = ad.linearize(f, x)
        results += arrays_in([value, f_jvp(seed), f_jvp(seed)])
        if size == 3 or ad is reversead:
            value, pullback = ad.vjp(f, x)
            results += arrays_in([value, pullback(seed), pullback(seed)])
            results += arrays_in(ad.grad(lambda x: np.sum(f(x) * constant))(x))
            results += arrays_in(ad.grad(lambda x: np.sum(f(x)))(x))
            results += arrays_in(ad.grad(lambda p: np.sum(f(p[0])) + np.sum(p[1]))([x, x]))
        if size == 3:
            results += arrays_in(ad.jacobian(f)(x))
    for result in results:
        assert result.flags.writeable
        assert result.base is None or result.base.flags.writeable
    for a, b in itertools.combinations([*results, x, seed, constant], 2):
        assert not np.shares_memory(a, b)
    for result in results:
        result[...] = -99.0
    np.testing.assert_array_equal(x, kept_x)
    np.testing.assert_array_equal(seed, kept_seed)
    assert x.flags.writeable
    assert seed.flags.writeable


@pytest.mark.parametrize("name", list(ALIASING))
def test_changing_a_result_does_not_change_the_next(ad: Any, name: str) -> None:
    f = ALIASING[name]
    value, pullback = ad.vjp(f, X)
    _, f_jvp = ad.linearize(f, X)
    expected = value.copy(), pullback(Y)[0].copy(), f_jvp(Y).copy()
    for _ in range(2):
        found = pullback(Y)[0], f_jvp(Y)
        for array, wanted in zip(found, expected[1:], strict=True):
            np.testing.assert_array_equal(array, wanted)
            array[...] = -99.0
        value[...] = -99.0


@pytest.mark.parametrize("size", [3, BIG])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_argument_changed_before_the_pullback_is_harmless(ad: Any, size: int, dtype: type) -> None:
    x = np.linspace(1.0, 2.0, size).astype(dtype)
    seed = np.zeros(size, dtype)
    seed[:2] = 1.0
    if ad is reversead or size == 3:
        _, pullback = ad.vjp(lambda x: np.sin(x) * x, x)
        expected = pullback(seed)[0].copy()
        x[:] = 77.0
        np.testing.assert_array_equal(pullback(seed)[0], expected)
    x = np.linspace(1.0, 2.0, size).astype(dtype)
    _, f_jvp = ad.linearize(lambda x: np.sin(x) * x, x)
    expected = f_jvp(seed)
    x[:] = 77.0
    np.testing.assert_array_equal(f_jvp(seed), expected)


def test_argument_in_a_container_changed_before_the_pullback_is_harmless(ad: Any) -> None:
    p = {"x": X.copy(), "t": [2.0]}
    _, pullback = ad.vjp(lambda p: np.sum(p["x"] ** 2) * p["t"][0], p)
    p["x"][:] = 0.0
    p["t"][0] = 0.0
    p["new"] = 1.0
    assert_same(pullback(1.0)[0], {"x": 4 * X, "t": [14.0]})


@pytest.mark.parametrize("kind", ["owner", "view", "large owner", "large view", "list", "scalar array"])
def test_constant_changed_before_the_pullback_is_harmless_or_an_error(kind: str) -> None:
    size = BIG if "large" in kind else 3
    # A copy, because what linspace returns is a view.
    original: Any = np.linspace(1.0, 2.0, size).copy()
    constant = {"view": original[:], "large view": original[:], "list": original.tolist()}.get(kind, original)
    if kind == "scalar array":
        constant = original = np.array(1.5)
    x = np.linspace(0.0, 1.0, size)

    def product(x: Any) -> Any:
        return x * constant

    for f in (product, lambda x: np.maximum(x, constant), lambda x: np.where(x > 0.5, x * constant, x)):
        _, pullback = reversead.vjp(f, x)
        _, f_jvp = reversead.linearize(f, x)
        expected = pullback(x)[0].copy(), f_jvp(x)
        refused = 0
        for target in (constant, original):
            try:
                target[...] = -5.0
            except (ValueError, TypeError):
                refused += 1
        np.testing.assert_array_equal(pullback(x)[0], expected[0])
        np.testing.assert_array_equal(f_jvp(x), expected[1])
        # An error or no effect: at least a large owner that a product needs is protected by its lock.
        if f is product:
            assert refused == {"large owner": 2, "list": 1}.get(kind, 0)
        del pullback, f_jvp
        original[...] = np.linspace(1.0, 2.0, size) if np.ndim(original) else 1.5


@pytest.mark.parametrize("size", [3, BIG])
def test_constant_changed_inside_the_program_is_harmless_or_an_error(ad: Any, size: int) -> None:
    buffer = np.ones(size)

    def f(x: Any) -> Any:
        y = x
        for k in range(3):
            buffer[:] = k + 1.0
            y = y * buffer
        return y[0]

    x = np.full(size, 2.0)
    if ad is dualad:
        # One direction says as much as all of them.
        seed = np.ones(size)
        assert ad.jvp(f, (x,), (seed,)) == (12.0, 6.0)
        return
    try:
        gradient = ad.grad(f)(x)
    except ValueError as error:
        assert "read-only" in str(error)
        assert size == BIG
    else:
        assert gradient[0] == 6.0
    assert buffer.flags.writeable


def test_index_and_mask_changed_before_the_pullback_are_harmless(ad: Any) -> None:
    index, mask = np.array([0, 2]), np.array([True, False, True])

    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        y[mask] = x[index] * 2.0
        return np.where(mask, x, 3.0 * x) + y + np.sum(x[mask])

    _, pullback = ad.vjp(f, X)
    if ad is dualad:
        return  # it runs the program again, which must be pure
    expected = pullback(Y)[0]
    index[:] = 1
    mask[:] = False
    np.testing.assert_array_equal(pullback(Y)[0], expected)


def test_seeds_are_never_changed(ad: Any) -> None:
    def f(x: Any) -> Any:
        y = np.copy(x)
        y[0] = 2.0
        y += x
        y *= x
        z = y[1:]
        z += 1.0
        return y

    for size in (3, BIG):
        x, seed = np.linspace(1.0, 2.0, size), np.linspace(1.0, 3.0, size)
        kept = seed.copy()
        if ad is reversead or size == 3:
            ad.vjp(f, x)[1](seed)
        ad.jvp(f, (x,), (seed,))
        ad.linearize(f, x)[1](seed)
        np.testing.assert_array_equal(seed, kept)


def test_read_only_arguments_and_seeds_are_fine(ad: Any) -> None:
    x, seed = X.copy(), Y.copy()
    x.flags.writeable = seed.flags.writeable = False

    def f(x: Any) -> Any:
        x[0] = 5.0
        x *= 2.0
        return x

    assert ad.vjp(f, x)[1](seed)[0].tolist() == [0.0, -2.0, 4.0]
    assert ad.jvp(f, (x,), (seed,))[1].tolist() == [0.0, -2.0, 4.0]
    assert ad.grad(lambda x: np.sum(f(x)))(x).flags.writeable


def test_broadcast_views_as_arguments(ad: Any) -> None:
    # Its elements share one place in memory, but are three variables.
    x = np.broadcast_to(np.float64(2.0), (3,))
    gradient = ad.grad(lambda x: np.sum(x * X))(x)
    np.testing.assert_array_equal(gradient, X)
    gradient[0] = 9.0
    assert gradient.tolist() == [9.0, 2.0, 3.0]


def test_arrays_in_other_orders_of_memory(ad: Any) -> None:
    a = np.arange(12.0).reshape(3, 4)
    for x in (np.asfortranarray(a), a[::-1, ::2], a.T, a[:, 1:3]):
        weights = np.arange(float(x.size)).reshape(x.shape)
        np.testing.assert_array_equal(ad.grad(lambda x, w=weights: np.sum(x * w))(x), weights)
        np.testing.assert_array_equal(ad.vjp(lambda x: x * 2, x)[1](weights)[0], 2 * weights)


# --- both engines give the same numbers ---------------------------------------------------------------------------

PROGRAMS: dict[str, Callable[..., Any]] = {
    "polynomial": lambda x: x[0] ** 3 * x[1] - x[2] / x[0],
    "matrices": lambda x: np.sum(np.outer(x, x) @ np.linalg.inv(np.eye(3) * 10 + np.outer(x, x))),
    "loop": lambda x: sum(np.sin(x[k]) * x[k - 1] for k in range(3)),
    "branch": lambda x: np.sum(x) if x[0] > 5 else np.sum(x * x),
    "recursion": lambda x: (lambda g: g(g, x, 5))(lambda g, y, k: np.sum(y) if k == 0 else g(g, y * np.cos(y), k - 1)),
    "reductions": lambda x: np.max(x) * np.prod(x) + np.std(x) + np.linalg.norm(x),
    "shapes": lambda x: np.sum(np.tile(x, (2, 2)).reshape(4, 3).T[1] * np.repeat(x, 2)[:4]),
}


@pytest.mark.parametrize("name", list(PROGRAMS))
def test_every_transform_agrees_with_every_other(name: str) -> None:
    f = PROGRAMS[name]
    h = 1e-5
    expected = np.array([(f(X + h * e) - f(X - h * e)) / (2 * h) for e in np.eye(3)])
    for ad in (dualad, reversead):
        gradient = ad.grad(f)(X)
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-8)
        for found in (
            ad.value_and_grad(f)(X)[1],
            ad.vjp(f, X)[1](1.0)[0],
            ad.jacobian(f)(X),
            np.array([ad.jvp(f, (X,), (e,))[1] for e in np.eye(3)]),
            np.array([ad.linearize(f, X)[1](e) for e in np.eye(3)]),
            np.array([ad.derivative(lambda t, e=e: f(X + t * e))(0.0) for e in np.eye(3)]),
        ):
            np.testing.assert_allclose(found, gradient, rtol=1e-12, atol=1e-13)
    hessians = [ad.hessian(f)(X) for ad in (dualad, reversead)]
    np.testing.assert_allclose(hessians[0], hessians[1], rtol=1e-10, atol=1e-11)
    np.testing.assert_allclose(hessians[0], hessians[0].T, rtol=1e-10, atol=1e-11)
    differences = np.array([(dualad.grad(f)(X + h * e) - dualad.grad(f)(X - h * e)) / (2 * h) for e in np.eye(3)])
    np.testing.assert_allclose(hessians[0], differences, rtol=1e-5, atol=1e-7)
    for ad in (dualad, reversead):
        np.testing.assert_allclose(ad.hvp(f, X, Y), hessians[0] @ Y, rtol=1e-10, atol=1e-11)


# --- functions that run again -----------------------------------------------------------------------------------------


def test_what_runs_a_function_again_finds_that_it_has_changed(ad: Any) -> None:
    factor = np.array([1.0, 2.0])
    _, pullback = ad.vjp(lambda x: np.sum(x * factor), np.ones(2))
    _, f_jvp = ad.linearize(lambda x: np.sum(x * factor), np.ones(2))
    assert pullback(1.0)[0].tolist() == [1, 2] and f_jvp(np.ones(2)) == 3
    factor[0] = 100.0
    for again, value in ((lambda: pullback(1.0)[0].tolist(), [1, 2]), (lambda: float(f_jvp(np.ones(2))), 3)):
        if ad is dualad:
            with pytest.raises(ImpureFunctionError, match="run again for its derivative"):
                again()
        else:
            assert again() == value
    factor[0] = 1.0
    assert pullback(1.0)[0].tolist() == [1, 2]


def test_chunks_of_directions_see_one_function() -> None:
    random = np.random.default_rng(0)
    with pytest.raises(ImpureFunctionError, match=r"grad: run again.*random numbers"):
        dualad.grad(lambda x: np.sum(x * random.normal(size=4)), chunk_size=2)(np.ones(4))
    noise = random.normal(size=4)
    np.testing.assert_array_equal(dualad.grad(lambda x: np.sum(x * noise), chunk_size=2)(np.ones(4)), noise)


# --- precision of a direction -----------------------------------------------------------------------------------------


def test_a_python_float_as_a_direction_of_a_double_keeps_its_digits(ad: Any) -> None:
    single = np.array([1.1, 1.3], np.float32)
    wanted = single.astype(float) / 3
    for x, f in (
        (np.float64(0.1), lambda z: z * single),
        (0.1, lambda z: np.add(z, 1.0) * single),
        (0.1, lambda z: np.copy(np.negative(z)) * -single),
        (0.1, lambda z: np.positive(z) * single),
        (0.1, lambda z: (z + np.float64(1.0)) * single),
        (0.1, lambda z: np.clip(z, -1.0, 1.0) * single),
    ):
        for found in (ad.jvp(f, (x,), (1 / 3,))[1], ad.linearize(f, x)[1](1 / 3)):
            assert found.dtype == np.float64
            np.testing.assert_allclose(found, wanted, rtol=1e-15)
    # within another differentiation, where the direction is a traced number
    nested = ad.jacobian(lambda t: ad.jvp(lambda z: z * single, (np.float64(0.1),), (t,))[1])(1 / 3)
    np.testing.assert_array_equal(nested, single.astype(float))
    assert ad.jvp(lambda z: z * single, (0.1,), (1 / 3,))[1].dtype == np.float32
