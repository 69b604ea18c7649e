"""Which results of a compiled derivative are asked for a NaN, and that none is missed that care would change."""

import itertools

import numpy as np
import pytest

import dualad
import reversead
from shared import compile, simplify, trace
from shared.calling.tree import flatten
from shared.programs.compiling.looks import look
from shared.programs.compiling.rewriting import rewritten

W = np.array([[0.5, 0.0], [-1.0, 2.0], [0.0, 0.0]])
SPECIAL = (0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, np.nan, 1e200, -1e200)


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def layers(count):
    def network(parameters):
        h = np.ones((4, 3))
        for weights, bias in parameters:
            h = np.tanh(h @ weights + bias)
        return np.sum(h * h)

    return network, [(np.full((3, 3), 0.1 + k / 100), np.full(3, 0.1)) for k in range(count)]


FUNCTIONS = {
    "a polynomial": rosenbrock,
    "a branch that is not taken": lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0)),
    "a branch, and its value beside it": lambda x: np.sum(np.where(x > 0, np.log(x), x) * x),
    "a quotient": lambda x: np.sum(x[:-1] / x[1:]),
    "a product with what is bounded": lambda x: np.sum(x * np.tanh(x)),
    "a matrix with zeros": lambda x: np.sum(np.tanh(x @ W)),
    "a matrix, then a square root": lambda x: np.sum(np.sqrt((x @ W) ** 2)),
    "one element": lambda x: np.sqrt(x[0]) + x[1],
    "the largest": lambda x: np.max(x) * np.sqrt(np.abs(x[0])),
    "a logarithm of a sum of exponentials": lambda x: np.log(np.sum(np.exp(x - np.max(x)))) + np.max(x),
    "powers": lambda x: np.sum(x**0.5 * x**2),
    "an assignment": lambda x: np.sum(np.sqrt(_first_replaced(x))),
    "a norm": lambda x: np.linalg.norm(x - x[0]),
    "an exponential of a quotient": lambda x: np.sum(np.exp(-1.0 / x**2)),
}  # fmt: skip


def _first_replaced(x):
    y = x * 1.0
    y[0] = 4.0
    return y


DERIVATIVES = {
    "value and gradient": lambda f: reversead.value_and_grad(f),
    "gradient": lambda f: reversead.grad(f),
    "value, gradient and more": lambda f: lambda x: {
        "of f": reversead.value_and_grad(f)(x), "2": 2.0 * reversead.grad(f)(x), "sum": np.sum(reversead.grad(f)(x)),
    },
    "Jacobian": lambda f: lambda x: dualad.jacobian(lambda y: f(y) * y)(x),
    "Hessian-vector product": lambda f: lambda x: reversead.hvp(f, x, np.array([1.0, 0.0, 0.0])),
}  # fmt: skip


@pytest.mark.parametrize("derivative", DERIVATIVES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_nan_is_missed_that_the_function_itself_does_not_have(name, derivative):
    taken = DERIVATIVES[derivative](FUNCTIONS[name])
    compiled = compile(taken, cache_size=64, verify="never")
    with np.errstate(all="ignore"):
        compiled(np.array([0.5, 1.0, 2.0]))
        for point in itertools.product(SPECIAL, (0.0, 3.0, np.inf), (2.0, np.nan)):
            x = np.array(point)
            for found, expected in zip(flatten(compiled(x))[0], flatten(taken(x))[0], strict=True):
                missed = np.isnan(found) & ~np.isnan(expected)
                assert not missed.any(), (point, found, expected)


def looks(f, *arguments):
    text = look(rewritten(simplify(trace(f, *arguments))))
    return [] if text == "True" else text.split(" and ")


def test_the_gradient_of_a_polynomial_is_settled_by_its_value():
    assert looks(reversead.value_and_grad(rosenbrock), np.arange(5.0)) == ["isfinite(result[0])"]


def test_the_gradients_of_many_layers_are_settled_by_few():
    network, parameters = layers(20)
    assert len(looks(reversead.value_and_grad(network), parameters)) <= 3


def test_what_may_multiply_a_zero_by_infinity_is_looked_at():
    found = looks(reversead.value_and_grad(lambda x: np.sum(np.where(x > 0, np.sqrt(x), 0.0))), np.ones(3))
    assert len(found) == 2 and "argmax" in found[1]


def test_integers_truths_and_arrays_without_elements_are_no_nan():
    assert looks(lambda x: (x > 0, np.argmax(x), x[:0]), np.ones(3)) == []


def test_a_result_within_an_object_has_no_expression():
    from dataclasses import dataclass

    @dataclass
    class Pair:
        first: object
        second: object

    assert look(trace(lambda x: Pair(x / x, x), np.ones(3))) is None
    slope = compile(reversead.grad(lambda p: np.sum(np.where(p.first > 0, np.sqrt(p.first), 0.0) + p.second)))
    for first in (1.0, 0.0):
        with np.errstate(all="ignore"):
            assert not np.isnan(slope(Pair(np.full(2, first), np.ones(2))).first).any()


@pytest.mark.parametrize("shape", [(3, 3), (40, 17), (200, 300)])
@pytest.mark.parametrize("what", [np.inf, -np.inf, np.nan])
def test_a_product_of_matrices_passes_on_what_is_not_finite_past_zeros(shape, what):
    """What the looks rely on: no implementation of a product leaves out the terms with a factor zero."""
    a, b = np.ones(shape), np.zeros((shape[1], 5))
    a[1, 2] = what
    with np.errstate(all="ignore"):
        matrices = [(a @ b)[1], np.dot(a, b)[1], (b.T @ a.T)[:, 1], (a @ b[:, :1])[1], (a[1:2] @ b)[0]]
        vectors = [a[1] @ b, (a @ b[:, 0])[1], a[1] @ b[:, 0], np.dot(a[1], np.zeros(shape[1])), np.sum(a)]
    assert not any(np.isfinite(product).any() for product in (*matrices, *vectors))


def _negative_to_the_zeroth(x):
    return (np.zeros_like(x) - 1.0) ** np.zeros(2, like=x)


def _assigned_so(x):
    y = np.zeros_like(x) - 1.0
    y[1:] **= np.zeros(1, like=x)
    return x * y


@pytest.mark.parametrize("f", [_negative_to_the_zeroth, _assigned_so])
def test_a_nan_among_the_constants_is_looked_for(f):
    """Folded into a constant, the product of a zero and an infinity does not show any more."""

    def along(x, direction):
        return dualad.jvp(f, (x,), (direction,))[1]

    x, compiled = np.array([0.5, 2.0]), compile(along, verify="never")
    with np.errstate(all="ignore"):
        for _ in range(3):
            np.testing.assert_array_equal(compiled(x, x), along(x, x))
            assert np.isfinite(compiled(x, x)).all()
