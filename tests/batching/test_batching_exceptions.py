"""An exception that some examples of vmap raise must not send all of them to the handler."""

import numpy as np
import pytest

import dualad
import reversead
import shared
from shared import SomeExamplesError, compile, trace, vmap

GOOD, POOR = np.array([3.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])


def fallback(x):
    matrix = np.eye(2) * x[0] + (1 - np.eye(2)) * x[1]
    try:
        return np.sum(np.linalg.cholesky(matrix))
    except (np.linalg.LinAlgError, ValueError):
        return 10.0 * x[2]


def logarithms(x):
    with np.errstate(all="raise"):
        try:
            return np.sum(np.log(x))
        except (FloatingPointError, ArithmeticError):
            return 100.0 * np.sum(x)


def quotient(x):
    with np.errstate(all="raise"):
        try:
            return x[0] / (x[0] - 1.0)
        except FloatingPointError:
            return x[1] * 3.0


def picked(x):
    try:
        return x[1:][np.argmax(x)]
    except IndexError:
        return x[0] * 5.0


def assigned(x):
    y = np.zeros_like(x)
    try:
        y[np.argmax(x) + 1] = x[0]
    except IndexError:
        return np.sum(x)
    return np.sum(y)


@shared.custom_derivative(vjp=lambda c, out, x: (c * np.ones(3),), jvp=lambda t, out, x: np.sum(t[0]))
def checked(x):
    if float(np.asarray(x)[0]) < 2.0:
        raise ValueError("too small")
    return float(np.asarray(x).sum())


def with_custom(x):
    try:
        return checked(x)
    except ValueError:
        return 7.0 * x[0]


CASES = {
    fallback: (np.stack([GOOD, POOR]), "cholesky raised LinAlgError for example 1, but not for all 2"),
    logarithms: (np.array([[1.0, 2.0, 3.0], [1.0, -2.0, 3.0]]), "log raised FloatingPointError for example 1"),
    quotient: (np.array([[2.0, 2.0], [1.0, 5.0]]), "divide raised FloatingPointError for example 1"),
    picked: (np.array([[3.0, 1.0, 2.0], [1.0, 2.0, 3.0]]), "getitem raised IndexError for example 1"),
    assigned: (np.array([[3.0, 1.0, 2.0], [1.0, 2.0, 3.0]]), "an assignment raised IndexError for example 1"),
    with_custom: (np.stack([GOOD, POOR]), "checked raised ValueError for example 1"),
}


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_an_exception_of_some_examples_is_one_that_no_handler_takes_for_all(f):
    points, message = CASES[f]
    with pytest.raises(SomeExamplesError, match=rf"{message}.*test_batching_exceptions.py:\d+") as caught:
        vmap(f)(points)
    assert not isinstance(caught.value, (ValueError, ArithmeticError, LookupError))
    assert "np.where" in str(caught.value)


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_where_all_examples_raise_or_none_the_handler_is_right(f):
    points, _ = CASES[f]
    for same in (points[[0, 0]], points[[1, 1]]):
        assert np.allclose(vmap(f)(same), [f(x) for x in same], rtol=1e-14)


@pytest.mark.parametrize("engine", [reversead, dualad])
@pytest.mark.parametrize("f", [fallback, logarithms, with_custom], ids=lambda f: f.__name__)
def test_the_same_of_gradients(f, engine):
    points, _ = CASES[f]
    with pytest.raises(SomeExamplesError):
        vmap(engine.grad(f))(points)
    for same in (points[[0, 0]], points[[1, 1]]):
        assert np.allclose(vmap(engine.grad(f))(same), [engine.grad(f)(x) for x in same], rtol=1e-14)


def test_an_exception_that_has_nothing_to_do_with_values_stays_what_it_is():
    with pytest.raises(ValueError, match=r"matmul|mismatch"):
        vmap(lambda x: x @ np.ones(5))(np.ones((2, 3)))
    with pytest.raises(IndexError):
        vmap(lambda x: x[7])(np.ones((2, 3)))


def test_a_record_of_examples_that_all_raise_is_refused_or_not_compiled():
    points = np.stack([POOR, POOR])
    with pytest.raises(shared.CaughtExceptionError):
        trace(vmap(fallback), points)
    compiled = compile(vmap(fallback))
    with pytest.warns(UserWarning, match="caught LinAlgError"):
        assert np.allclose(compiled(points), [fallback(x) for x in points])
    assert np.allclose(compiled(np.stack([GOOD, GOOD])), [fallback(GOOD)] * 2)
