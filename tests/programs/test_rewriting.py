"""Rewriting for compilation: what is computed otherwise than it was recorded, and what is not computed twice."""

import numpy as np
import pytest

import reversead
from shared import compile, simplify, trace
from shared.programs.compiling.rewriting import rewritten

SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, 1e308, -1e308, 745.0, -800.0, 1e-300, 40.0])
#: All pairs of special numbers, often enough for the array to be a long one.
X, Y = (np.tile(part.ravel(), 30) for part in np.meshgrid(SPECIAL, SPECIAL))

LOGARITHMS = {
    "of two arrays": lambda x, y: np.logaddexp(x, y),
    "of zero and an array": lambda x, y: np.logaddexp(0.0, x),
    "of an array and zeros": lambda x, y: np.logaddexp(x, np.zeros(x.shape)) - y,
    "of an array and a number": lambda x, y: np.logaddexp(x, y[3]),
}


@pytest.mark.parametrize("name", LOGARITHMS)
def test_logarithms_of_sums_of_exponentials_by_their_parts(name):
    function = LOGARITHMS[name]
    compiled = compile(function, verify="never")
    with np.errstate(all="ignore"):
        for x, y in ((np.cos(X.size + np.arange(X.size)) * 9.0, np.sin(np.arange(X.size)) * 9.0), (X, Y)):
            np.testing.assert_allclose(compiled(x, y), function(x, y), rtol=1e-13, atol=1e-14)
    assert "logaddexp" not in compiled.source()


def test_short_ones_and_those_of_other_dtypes_stay_what_they_are():
    for x in (np.ones(10), np.ones(10_000, np.float32)):
        assert "logaddexp(" in compile(lambda x: np.logaddexp(x, 2 * x)).source(x)


@pytest.mark.filterwarnings("error")
def test_the_parts_warn_of_nothing():
    x = np.tile([np.inf, -np.inf, 3.0, -800.0, 900.0], 1000)
    y = np.tile([np.inf, -np.inf, -np.inf, 5.0, -800.0], 1000)
    with np.errstate(over="raise", invalid="raise", divide="raise", under="ignore"):
        compiled = compile(np.logaddexp, verify="never")
        compiled(np.ones(5000), np.zeros(5000))
        np.testing.assert_array_equal(compiled(x, y)[:5], np.logaddexp(x[:5], y[:5]))


def duplicates(x):
    """The sum of rows twice, of products that rewriting alone finds equal."""
    return np.sum((x * 2.0) * x, axis=0), np.sum(x * (2.0 * x), axis=0), np.sum(2.0 * (x * x), axis=0)


def test_what_rewriting_makes_equal_is_computed_once():
    program = rewritten(simplify(trace(duplicates, np.ones((2, 3)))))
    assert len(simplify(program).equations) == len(program.equations)
    assert len(set(program.outputs)) == 1
    x = np.arange(6.0).reshape(2, 3)
    for found, expected in zip(compile(duplicates)(x), duplicates(x), strict=True):
        np.testing.assert_allclose(found, expected)


def test_a_product_that_became_part_of_an_inner_product_is_there_for_others():
    def f(x, y):
        return np.sum(x * y), (x * y) * 1.0, np.sum(y * x), np.cos(y * x)

    x, y = np.arange(4.0), np.ones(4) * 0.3
    for found, expected in zip(compile(f)(x, y), f(x, y), strict=True):
        np.testing.assert_allclose(found, expected)
    slope = reversead.grad(lambda x: np.sum(x * y) * np.sum(np.sin(x * y)) + np.sum(x * y))
    np.testing.assert_allclose(compile(slope)(x), slope(x))


MASK = np.array([[True, False, True], [True, True, True], [False, True, True]])
SOFTMAXES = {
    "the largest of all, sums of rows": (None, 1, {}),
    "the largest of columns, sums of rows": (0, 1, {}),
    "the largest of rows, sums of columns": (-1, 0, {}),
    "the largest of columns, sums of all": (0, None, {}),
    "the largest of rows, sums of rows": (1, -1, {}),
    "the largest of some, sums of others": (1, 1, {"where": MASK}),
}


@pytest.mark.parametrize("name", SOFTMAXES)
def test_a_sum_without_its_largest_term_is_no_softmax(name):
    largest, summed, chosen = SOFTMAXES[name]

    def f(x):
        s = x - np.max(x, axis=largest, keepdims=True)
        return np.exp(s - np.log(np.sum(np.exp(s), axis=summed, keepdims=True, **chosen)))

    compiled = compile(f, verify="never")
    x = np.array([[1.0, 2.0, -1.0], [0.5, 0.25, 3.0], [1.5, -2.0, 0.0]])
    with np.errstate(all="ignore"):
        for point in (x, x - [[2000.0], [0.0], [0.0]], x + np.array([2000.0, 0.0, 0.0]), x + 2000.0 * ~MASK):
            np.testing.assert_allclose(compiled(point), f(point), rtol=1e-12)
