"""Programs that vmap, or chunks of directions, once got wrong: each named after what went wrong."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
import shared.batching.directions
from shared.batching.vmap import vmap
from shared.core.errors import StaleViewError

both_engines = pytest.mark.parametrize("engine", [dualad, reversead], ids=["dualad", "reversead"])

X = np.arange(1.0, 7.0).reshape(3, 2)


# --- unit directions that are evaluated late ------------------------------------------------------------------------


def test_a_work_array_that_is_overwritten_after_its_use_as_a_factor():
    def f(x: Any) -> Any:
        w = np.array([1.0, 2.0, 3.0])
        y = x * w
        w *= 10.0
        return y

    np.testing.assert_array_equal(dualad.jacobian(f)(np.ones(3)), np.diag([1.0, 2.0, 3.0]))


def test_a_work_matrix_that_is_overwritten_after_its_use_in_a_product():
    def f(x: Any) -> Any:
        a = np.eye(3)
        y = a @ x
        a *= 10.0
        return y

    np.testing.assert_array_equal(dualad.jacobian(f)(np.ones(3)), np.eye(3))


def test_a_gradient_through_a_work_array_that_is_reused():
    def f(x: Any) -> Any:
        w, total = np.empty(3), 0.0
        for k in range(3):
            w[:] = k
            total = total + x * w
        return np.sum(total)

    np.testing.assert_array_equal(dualad.grad(f)(np.ones(3)), np.full(3, 3.0))


@pytest.mark.parametrize(("dtype", "large"), [(np.float32, 1e30), (np.float16, 1e3)])
def test_factors_of_a_lower_precision_leave_the_precision_of_a_direction(dtype, large):
    w = np.full(3, large, dtype)
    jacobian = reversead.jacobian(lambda x: x * w * w)(np.ones(3))
    np.testing.assert_allclose(jacobian, np.diag(w.astype(float) ** 2), rtol=1e-15)


# --- the limit of memory ----------------------------------------------------------------------------------------------


def with_a_bare_except(x: Any) -> Any:
    try:
        return np.sum(np.outer(np.outer(x, x), x))
    except:  # noqa: E722
        return np.sum(x)


def with_suppress(x: Any) -> Any:
    y = np.sum(x)
    with contextlib.suppress(BaseException):
        y = np.sum(np.outer(np.outer(x, x), x))
    return y


def with_a_return_in_finally(x: Any) -> Any:
    y = np.sum(x)
    try:
        y = np.sum(np.outer(np.outer(x, x), x))
    finally:
        return y  # noqa: B012


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@pytest.mark.parametrize("f", [with_a_bare_except, with_suppress, with_a_return_in_finally])
@pytest.mark.parametrize("bytes_", [1000, 4000, 8192])
def test_a_function_that_catches_everything_does_not_take_its_other_branch(monkeypatch, f, bytes_):
    monkeypatch.setattr(shared.batching.directions, "BYTES", bytes_)
    value, gradient = dualad.value_and_grad(f)(np.ones(4))
    assert value == 64.0
    np.testing.assert_array_equal(gradient, np.full(4, 48.0))
    np.testing.assert_array_equal(dualad.vjp(f, np.ones(4))[1](1.0)[0], np.full(4, 48.0))


def test_a_function_that_catches_everything_under_forward_over_reverse(monkeypatch):
    monkeypatch.setattr(shared.batching.directions, "BYTES", 1000)
    found = dualad.jacobian(reversead.grad(with_a_bare_except))(np.ones(4))
    np.testing.assert_array_equal(found, np.full((4, 4), 24.0) + 0 * np.eye(4))


# --- examples that are numbers ----------------------------------------------------------------------------------------


def shifted(s: Any) -> Any:
    y = s[None]
    y += 10.0
    return s * 1.0


def test_an_array_made_of_a_number_is_no_view_of_it():
    np.testing.assert_array_equal(vmap(shifted)(np.arange(3.0)), np.arange(3.0))


def test_an_array_made_of_an_element_does_not_write_to_its_array():
    def f(x: Any) -> Any:
        y = x[0][None]
        y += 10.0
        return x * 1.0

    np.testing.assert_array_equal(vmap(f)(X), X)


@both_engines
def test_a_derivative_under_vmap_past_an_array_made_of_an_element(engine):
    def f(x: Any) -> Any:
        s = x[0]
        y = s[None]
        y *= 10.0
        return s * 1.0

    np.testing.assert_array_equal(vmap(engine.grad(f))(X), [[1.0, 0.0]] * 3)
    np.testing.assert_array_equal(engine.grad(lambda x: np.sum(vmap(f)(x)))(X), [[1.0, 0.0]] * 3)


@pytest.mark.parametrize("f", [np.atleast_1d, np.ravel, lambda s: np.reshape(s, 1), lambda s: np.expand_dims(s, 0)])
def test_an_array_made_of_a_number_by_a_function_can_be_written(f):
    def g(s: Any) -> Any:
        y = f(s)
        y += 10.0
        return y

    np.testing.assert_array_equal(vmap(g)(np.arange(3.0)), np.arange(10.0, 13.0)[:, None])


def test_an_element_taken_with_an_ellipsis_is_a_view():
    def f(x: Any) -> Any:
        y = x[0, ...]
        y *= 5.0
        return x * 1.0

    np.testing.assert_array_equal(vmap(f)(X), np.stack([f(x.copy()) for x in X]))


# --- shapes that fit all examples together but not one ----------------------------------------------------------------


def put(index: Any, value: Any) -> Any:
    def f(x: Any) -> Any:
        x = x.copy()
        x[index] = value
        return x

    return f


@pytest.mark.parametrize(
    ("index", "value"),
    [(0, np.arange(3.0)), (0, [1.0, 2.0, 3.0]), (slice(None), np.arange(6.0).reshape(3, 2)), (..., np.ones((3, 1)))],
    ids=["vector for a number", "list for a number", "matrix for a vector", "column for a vector"],
)
def test_an_assignment_of_one_value_an_example_by_accident(index, value):
    with pytest.raises(ValueError):
        put(index, value)(X[0])
    with pytest.raises(ValueError):
        vmap(put(index, value))(X)


def test_an_assignment_of_one_value_an_example_by_accident_from_an_outer_level():
    with pytest.raises(ValueError):
        vmap(lambda a: vmap(put(0, a))(X))(np.ones((2, 3)))


@pytest.mark.parametrize(
    "f",
    [np.linalg.inv, lambda x: np.linalg.svd(x, compute_uv=False), lambda x: np.linalg.matrix_power(x, 2)],
    ids=["inv", "svd", "matrix_power"],
)
def test_a_vector_an_example_is_no_matrix_of_all_examples(f):
    x = np.eye(3) + 1.0
    with pytest.raises(np.linalg.LinAlgError):
        f(x[0])
    with pytest.raises((np.linalg.LinAlgError, ValueError)):
        vmap(f)(x)


def test_solve_refuses_a_number_on_the_right():
    with pytest.raises(ValueError):
        vmap(lambda b: np.linalg.solve(np.eye(3), b))(np.ones(3))


# --- types of arguments -----------------------------------------------------------------------------------------------


def test_a_mask_is_not_dropped():
    masked = np.ma.masked_array(np.ones((2, 3)), mask=[[1, 0, 0], [0, 0, 0]])
    with pytest.raises(TypeError):
        vmap(np.sum)(masked)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_a_matrix_does_not_change_the_meaning_of_its_operators():
    with pytest.raises(TypeError):
        vmap(lambda x: x * x)(np.matrix(np.eye(2)))


def test_the_cotangent_of_a_python_complex_number_keeps_its_imaginary_part():
    def f(z: Any) -> Any:
        return np.real(np.sum(z * np.array([1.0, 2.0])) * 1j)

    assert reversead.grad(f)(1j) == dualad.grad(f)(1j) == 3j


# --- dtypes -----------------------------------------------------------------------------------------------------------


def test_a_traced_jacobian_backwards_has_the_dtype_of_the_output():
    f = reversead.jacobian(lambda x: np.eye(2) @ np.sin(x))
    x = np.ones((3, 2), np.float32)
    assert vmap(f)(x).dtype == f(x[0]).dtype == np.float64


def test_a_nested_gradient_forwards_of_a_constant_has_the_dtype_of_its_leaf():
    f = dualad.grad(lambda x: np.sum(np.ones(2)))
    x = np.ones((3, 2), np.float32)
    assert vmap(f)(x).dtype == f(x[0]).dtype == np.float32


@pytest.mark.parametrize(
    ("f", "dtype"),
    [
        (lambda x: np.einsum("i->", x), np.int8),
        (lambda x: np.einsum("i->", x), np.bool_),
        (np.tril, np.bool_),
        (np.nan_to_num, np.int8),
        (lambda x: np.modf(x)[0], np.int8),
        (lambda x: np.linalg.norm(x, np.inf), np.int8),
        (lambda x: np.linalg.norm(x, 0), np.int8),
    ],
    ids=["sum of int8", "sum of bool", "tril", "nan_to_num", "modf", "norm inf", "norm 0"],
)
def test_integers_and_booleans_have_the_dtype_that_numpy_gives(f, dtype):
    x = np.ones((3, 2), dtype)
    found, expected = vmap(f)(x), np.stack([f(row) for row in x])
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


# --- no examples ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f",
    [np.argmax, np.cumsum, lambda x: np.roll(x, 1), lambda x: np.argsort(x, axis=None)],
    ids=["argmax", "cumsum", "roll", "argsort"],
)
def test_no_examples_of_functions_of_all_elements(f):
    assert vmap(f)(np.zeros((0, 2, 3))).shape == (0, *np.shape(f(np.zeros((2, 3)))))


@pytest.mark.parametrize("ad", [dualad, reversead], ids=["dualad", "reversead"])
def test_a_number_that_is_read_of_each_example_is_a_copy(ad):
    def swapped(x):
        x = np.copy(x)
        x[0], x[1] = x[1], x[0]
        return x * np.arange(3.0)

    def before(x):
        y, total = np.copy(x), 0.0
        for k in range(1, 3):
            old = y[k - 1]
            y[k - 1] = 2.0 * y[k]
            total = total + k * old
        return total

    def view(x):
        y = np.copy(x)
        first = y[0, ...]
        first[...] = 3.0 * x[2]
        return y

    x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    for f in (swapped, before, view):
        np.testing.assert_array_equal(vmap(f)(x), np.stack([f(row) for row in x]))
        each = np.stack([ad.grad(lambda row, f=f: np.sum(f(row) ** 2))(row) for row in x])
        np.testing.assert_array_equal(vmap(ad.grad(lambda row, f=f: np.sum(f(row) ** 2)))(x), each)
        np.testing.assert_array_equal(ad.grad(lambda x, f=f: np.sum(vmap(f)(x) ** 2))(x), each)


def _squeezed(x):
    y = x * 1.0
    v = np.squeeze(y)
    v *= 2.0
    return np.sum(y)


def _reshaped_to_a_number(x):
    y = x * 1.0
    v = y.reshape(())
    v[...] = 5.0
    return np.sum(y)


@pytest.mark.parametrize("f", [_squeezed, _reshaped_to_a_number])
def test_a_view_without_axes_is_an_array_in_each_example(f):
    """NumPy changes the base with it: what does not do so may not pass for a number and leave the base as it was."""
    x = np.array([[1.0], [2.0]])
    for call in (
        lambda: vmap(f)(x),
        lambda: vmap(lambda x: dualad.jvp(f, (x,), (x,)))(x),
        lambda: dualad.grad(f)(x[0]),
    ):
        with pytest.raises(StaleViewError, match="a reshape, a transpose"):
            call()


def test_a_view_without_axes_of_what_has_no_name_can_be_written_to():
    def f(x):
        v = np.squeeze(np.sum(x, keepdims=True))
        same = v
        v += x[0]
        return same * v

    x = np.array([[1.0, 3.0], [2.0, 5.0]])
    np.testing.assert_array_equal(vmap(f)(x), [f(row) for row in x])
    np.testing.assert_array_equal(vmap(reversead.grad(f))(x), [reversead.grad(f)(row) for row in x])
