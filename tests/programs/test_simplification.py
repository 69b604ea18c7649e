"""Simplification: fewer equations and the same function, to rounding.  (Every primitive: see test_trace.)"""

from __future__ import annotations

import numpy as np
import pytest

import dualad
import reversead
from shared import simplify
from shared.calling.tree import flatten
from shared.core.errors import ProgramGuardError
from shared.networks.mlp import MLP
from shared.programs import Program, trace
from shared.rules.special import sigmoid

X = np.array([1.0, 2.0, 3.0])
Z = np.array([1.0 + 2.0j, -0.5j])


def names(program):
    return [equation.primitive.name for equation in program.equations]


REMOVED = {
    "a common subexpression": (lambda x: np.sin(x) * np.sin(x), ["sin", "multiply"]),
    "dead code": (lambda x: (np.exp(x), np.sin(x))[1], ["sin"]),
    "constants": (lambda x: x * np.exp(np.zeros_like(x) + 2.0), ["multiply"]),
    "times one": (lambda x: x * 1.0 / 1.0 + -0.0 - 0.0, []),
    "a double negation": (lambda x: np.negative(np.negative(np.sin(x))), ["sin"]),
    "a reshape to the same shape": (lambda x: np.sin(x.reshape(3)), ["sin"]),
    "a view taken twice": (lambda x: x[1:] * x[1:], ["getitem", "multiply"]),
    "a broadcast done twice": (
        lambda x: np.broadcast_to(x, (2, 3)) + np.broadcast_to(x, (2, 3)),
        ["broadcast_to", "add"],
    ),
    "the conjugate of real numbers": (lambda x: np.conjugate(np.real(x)) * 2.0, ["multiply"]),
}


@pytest.mark.parametrize("name", REMOVED)
def test_what_need_not_be_computed_is_not(name):
    f, expected = REMOVED[name]
    program = simplify(trace(f, X))
    assert names(program) == expected
    np.testing.assert_allclose(program(X * 1.5), f(X * 1.5), rtol=1e-15)


KEPT = {
    "the conjugate of complex numbers": (np.conjugate, Z),
    "a promotion": (lambda x: x * np.ones(3), X.astype(np.float32)),
    "a broadcast by one": (lambda x: x * np.ones((2, 3)), X),
    "a negative zero": (lambda x: (x * 0.0, x * -0.0, 1.0 / (x * -0.0 + 0.0)), X),
    "a NaN": (lambda x: (x * np.nan, x + np.nan), X),
    "an infinity times zero": (lambda x: x * np.inf * 0.0, X),
    "a product with true": (lambda x: (x > 1.5) * True, X),
    "one minus": (lambda x: (1.0 - x, 0.0 - x, 1.0 / x, x**1.0), X),
    "an assignment and what was read before": (lambda x: _assigned(x), X),
    "integers": (lambda x: (x * 1, x // 1, x / 1), np.array([1, 2, 3])),
    "a Python float": (lambda x: (x * 1, np.positive(x), +x, -(x * -1)), 2.0),
}


def _assigned(x):
    y = x * 2.0
    before = y[1:] + 0.0
    first = y[0] * 1.0
    y[0] = 5.0
    return before, first, y, y[0] * 1.0


@pytest.mark.parametrize("name", KEPT)
def test_what_differs_is_not_taken_for_the_same(name):
    f, x = KEPT[name]
    with np.errstate(all="ignore"):
        program = simplify(trace(f, x))
        found, expected = program(x * 1), f(x * 1)
    if not isinstance(expected, tuple):
        found, expected = (found,), (expected,)
    for one, other in zip(found, expected, strict=True):
        assert type(one) is type(other)
        assert np.asarray(one).dtype == np.asarray(other).dtype
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(np.signbit(np.real(one)), np.signbit(np.real(other)))


def test_guards_stay_and_hold_once():
    def f(x):
        for _ in range(3):
            if np.sum(x) > 0.0:
                x = x * 1.0
        return x

    program = simplify(trace(f, X))
    assert len(program.guards) == 1
    with pytest.raises(ProgramGuardError, match=r"sum\(x\) > 0.0"):
        program(-X)


def test_what_raises_is_left_to_the_run():
    program = simplify(trace(lambda x: (x, np.linalg.inv(np.zeros_like(x) + np.eye(2))), np.eye(2)))
    assert isinstance(program, Program)
    program = simplify(trace(lambda x: x + (1.0 / (np.zeros(())[()] * np.ones(()) + 1.0)), 1.0))
    assert program(1.0) == 2.0


def test_the_original_is_unchanged():
    program = trace(lambda x: np.sin(x) * np.sin(x) * 1.0, X)
    text = str(program)
    simplify(program)
    assert str(program) == text
    again = simplify(simplify(program))
    assert str(again) == str(simplify(program))


# --- worked examples --------------------------------------------------------------------------------------------------


def neuron(w, x):
    return sigmoid(w[0] * x[0] + w[1] * x[1] + w[2])


def regularised(w, x):
    return 0.5 * np.sum(w * w) - 0.7 * np.log(sigmoid(np.dot(w, x)))


MLP_ = MLP([4, 6, 3], "sigmoid")
PARAMETERS = MLP_.initialise("xavier_normal", np.random.default_rng(1))
IMAGES, LABELS = np.random.default_rng(2).standard_normal((5, 4)), np.array([0, 2, 1, 1, 0])
WORKED = {
    "a product of a sum": (lambda x, y, z: (x + y) * z, (-2.0, 5.0, -4.0)),
    "a logistic neuron": (neuron, (np.array([2.0, -3.0, -3.0]), np.array([-1.0, -2.0]))),
    "logarithm, product and sine": (lambda x: np.log(x[0]) + x[0] * x[1] - np.sin(x[1]), (np.array([2.0, 5.0]),)),
    "a regularised logistic loss": (regularised, (X, X[::-1].copy())),
    "a network": (lambda p: MLP_.objective(l2=0.01)(p, IMAGES, LABELS), (PARAMETERS,)),
}


@pytest.mark.parametrize("engine", [dualad, reversead], ids=lambda engine: engine.__name__)
@pytest.mark.parametrize("name", WORKED)
def test_worked_examples(name, engine):
    f, args = WORKED[name]
    argnums = tuple(range(len(args)))
    for g in (f, engine.grad(f, argnums=argnums), engine.value_and_grad(f), lambda *a: engine.jvp(f, a, a)):
        program = trace(g, *args)
        simplified = simplify(program)
        assert len(simplified.equations) <= len(program.equations)
        for variant, rtol in ((program, 1e-14), (simplified, 1e-12)):
            for found, expected in zip(flatten(variant(*args))[0], flatten(g(*args))[0], strict=True):
                assert type(found) is type(expected) or np.asarray(found).dtype == np.asarray(expected).dtype
                np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-15)
