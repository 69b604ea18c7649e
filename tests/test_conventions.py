"""The conventions of the library, in both engines: what a derivative is at a kink, and which dtype everything
has.

At a kink the derivative is the element of least norm of Clarke's subdifferential over all operands jointly
(Clarke 1983, section 2.1); where a function is not Lipschitz it is the one-sided limit; and no rule makes a
NaN where the derivative exists.  Dtypes are NumPy's: a gradient has its input's, and Python floats are weak.
"""

from __future__ import annotations

import math
from itertools import permutations, product

import numpy as np
import pytest

import dualad
import reversead
import shared
from shared.calling.results import stop_gradient
from shared.rules.special import log_softmax, logsumexp, relu, sigmoid, softmax, softplus, softsign

ENGINES = {"dualad": dualad, "reversead": reversead}
INF = math.inf

each_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
each_composition = pytest.mark.parametrize(
    ("outer", "inner"),
    list(product(ENGINES.values(), repeat=2)),
    ids=["-".join(p) for p in product(ENGINES, repeat=2)],
)


def partials(engine, f, *args):
    """The Jacobians of f by all arguments, by pullback and by pushforward; they must agree exactly."""
    numbers = tuple(range(len(args)))
    pulled = engine.jacobian(f, numbers)(*args)
    for k, jacobian in enumerate(pulled):
        tangents = tuple(np.ones_like(a) if j == k else np.zeros_like(a) for j, a in enumerate(args))
        tangents = tuple(t if isinstance(a, np.ndarray) else type(a)(t) for t, a in zip(tangents, args, strict=True))
        out, tangent = engine.jvp(f, args, tangents)
        summed = np.sum(jacobian, axis=tuple(range(np.ndim(out), np.ndim(jacobian))))
        np.testing.assert_allclose(tangent, summed, rtol=1e-15, atol=0)
    return pulled


def assert_partials(engine, f, args, expected):
    for found, wanted in zip(partials(engine, f, *args), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


# --- kinks of one operand -----------------------------------------------------------------------------------


@each_engine
@pytest.mark.parametrize("f", [np.abs, np.absolute, np.fabs, abs], ids=["abs", "absolute", "fabs", "builtin abs"])
def test_abs_has_derivative_zero_at_zero(engine, f):
    assert engine.grad(f)(0.0) == 0.0
    assert engine.grad(f)(-0.0) == 0.0
    assert_partials(engine, f, [np.array([0.0, -2.0, 3.0])], [np.diag([0.0, -1.0, 1.0])])


@each_engine
def test_relu_has_derivative_zero_at_zero(engine):
    assert engine.grad(relu)(0.0) == 0.0
    assert_partials(engine, relu, [np.array([-1.0, 0.0, 2.0])], [np.diag([0.0, 0.0, 1.0])])


@each_engine
def test_softsign_is_smooth_at_zero(engine):
    assert engine.grad(softsign)(0.0) == 1.0


@each_engine
@pytest.mark.parametrize("f", [np.sign, np.floor, np.ceil, np.rint, np.trunc, np.round], ids=lambda f: f.__name__)
def test_steps_have_derivative_zero_at_their_jumps(engine, f):
    assert engine.grad(f)(0.0) == 0.0
    assert engine.grad(f)(1.0) == 0.0


# --- ties ---------------------------------------------------------------------------------------------------

TWO_ARGUMENT_EXTREMA = [np.maximum, np.minimum, np.fmax, np.fmin]


@each_engine
@pytest.mark.parametrize("f", TWO_ARGUMENT_EXTREMA, ids=lambda f: f.__name__)
def test_a_tie_of_two_operands_is_split_equally(engine, f):
    x, y = np.array([1.0, 2.0, -1.0]), np.array([1.0, 3.0, -2.0])
    first = np.array([0.5, 0.0, 1.0] if f in (np.maximum, np.fmax) else [0.5, 1.0, 0.0])
    assert_partials(engine, f, [x, y], [np.diag(first), np.diag(1 - first)])
    assert partials(engine, f, 1.0, 1.0) == (0.5, 0.5)


@each_engine
@pytest.mark.parametrize("f", TWO_ARGUMENT_EXTREMA, ids=lambda f: f.__name__)
def test_a_tie_is_split_even_if_one_operand_does_not_vary(engine, f):
    assert engine.grad(lambda x: f(x, 0.0))(0.0) == 0.5
    assert engine.grad(lambda x: f(0.0, x))(0.0) == 0.5
    assert engine.grad(lambda x: f(x, np.zeros(())))(0.0) == 0.5
    np.testing.assert_array_equal(engine.grad(lambda x: np.sum(f(x, 0.0)))(np.zeros(2)), [0.5, 0.5])


@each_engine
@pytest.mark.parametrize("f", TWO_ARGUMENT_EXTREMA, ids=lambda f: f.__name__)
def test_an_extremum_of_a_value_with_itself_has_derivative_one(engine, f):
    assert engine.grad(lambda x: f(x, x))(2.0) == 1.0


@each_engine
def test_clip_splits_ties_with_its_limits(engine):
    x = np.array([-1.0, 0.0, 1.0, 2.0])
    assert_partials(engine, lambda x: np.clip(x, -1.0, 1.0), [x], [np.diag([0.5, 1.0, 0.5, 0.0])])


ARRAY_EXTREMA = {
    "max": np.max,
    "min": np.min,
    "amax": np.amax,
    "amin": np.amin,
    "maximum.reduce": np.maximum.reduce,
    "minimum.reduce": np.minimum.reduce,
    "method max": lambda x: x.max(),
    "method min": lambda x: x.min(),
}


@each_engine
@pytest.mark.parametrize("name", ARRAY_EXTREMA)
def test_a_tie_of_an_array_extremum_is_split_equally(engine, name):
    sign = 1.0 if "max" in name else -1.0
    f = ARRAY_EXTREMA[name]
    assert_partials(engine, f, [sign * np.array([1.0, 3.0, 3.0, 0.0, 3.0])], [[0.0, 1 / 3, 1 / 3, 0.0, 1 / 3]])
    assert_partials(engine, f, [sign * np.full(4, 7.0)], [np.full(4, 0.25)])


@each_engine
def test_a_tie_along_an_axis_is_split_along_that_axis(engine):
    x = np.array([[1.0, 2.0, 2.0], [5.0, 5.0, 5.0]])
    expected = np.array([[0.0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]])
    found = engine.grad(lambda x: np.sum(np.max(x, axis=1)))(x)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(engine.grad(lambda x: np.sum(np.max(x, axis=-1, keepdims=True)))(x), expected)
    np.testing.assert_array_equal(engine.grad(lambda x: np.max(x, axis=(0, 1)))(x), [[0] * 3, [1 / 3] * 3])


@each_engine
def test_a_running_maximum_splits_ties_among_the_places_that_attain_it(engine):
    x = np.array([1.0, 1.0, 0.0, 2.0, 2.0])
    expected = [
        [1, 0, 0, 0, 0],
        [0.5, 0.5, 0, 0, 0],
        [0.5, 0.5, 0, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0.5, 0.5],
    ]
    assert_partials(engine, np.maximum.accumulate, [x], [expected])
    assert_partials(engine, np.minimum.accumulate, [-x], [expected])


@each_engine
def test_range_of_constant_values_has_derivative_zero(engine):
    np.testing.assert_array_equal(engine.grad(np.ptp)(np.full(3, 2.0)), np.zeros(3))


@each_engine
def test_extrema_ignore_nan_as_numpy_does(engine):
    x, y = np.array([np.nan, 1.0, 2.0]), np.array([1.0, np.nan, 3.0])
    for f, wins in ((np.fmax, [0.0, 1.0, 0.0]), (np.fmin, [0.0, 1.0, 1.0])):
        assert_partials(engine, f, [x, y], [np.diag(wins), np.diag(1 - np.array(wins))])


# --- sort ---------------------------------------------------------------------------------------------------


@each_engine
def test_sort_follows_the_permutation_of_a_stable_argsort(engine):
    for values in permutations([1.0, 1.0, 0.0, 2.0]):
        x = np.array(values)
        expected = np.eye(4)[np.argsort(x, kind="stable")]
        assert_partials(engine, np.sort, [x], [expected])


# --- norms at zero ------------------------------------------------------------------------------------------

VECTOR_NORMS = [None, 1, 2, 3, 1.5, INF]
MATRIX_NORMS = [None, "fro", 1, INF, 2, "nuc"]


@each_engine
@pytest.mark.parametrize("order", VECTOR_NORMS)
def test_vector_norms_have_gradient_zero_at_zero(engine, order):
    np.testing.assert_array_equal(engine.grad(lambda x: np.linalg.norm(x, order))(np.zeros(3)), np.zeros(3))
    by_rows = engine.jacobian(lambda x: np.linalg.norm(x, order, axis=1))(np.array([[0.0, 0.0], [3.0, 0.0]]))
    assert np.all(np.isfinite(by_rows))
    np.testing.assert_array_equal(by_rows[0], np.zeros((2, 2)))
    np.testing.assert_allclose(by_rows[1], [[0.0, 0.0], [1.0, 0.0]])


@each_engine
@pytest.mark.parametrize("order", MATRIX_NORMS)
def test_matrix_norms_have_gradient_zero_at_zero(engine, order):
    for shape in ((2, 2), (2, 3)):
        found = engine.grad(lambda x: np.linalg.norm(x, order))(np.zeros(shape))
        np.testing.assert_array_equal(found, np.zeros(shape))


@each_engine
def test_the_nuclear_norm_of_a_singular_matrix_has_its_least_subgradient(engine):
    # The subdifferential at diag(3, 0) is diag(3, s) / 3 with |s| <= 1 (Watson 1992), whose least element has
    # s = 0.
    found = engine.grad(lambda x: np.linalg.norm(x, "nuc"))(np.diag([3.0, 0.0]))
    np.testing.assert_allclose(found, np.diag([1.0, 0.0]), atol=1e-12)


@each_engine
def test_the_spectral_norm_splits_equal_singular_values(engine):
    # The subdifferential at the identity is the positive matrices of trace 1, whose least element is I / n.
    found = engine.grad(lambda x: np.linalg.norm(x, 2))(np.eye(3))
    np.testing.assert_allclose(found, np.eye(3) / 3, atol=1e-12)


@each_engine
def test_hypot_at_zero(engine):
    assert partials(engine, np.hypot, 0.0, 0.0) == (0.0, 0.0)
    assert partials(engine, np.hypot, 0.0, -2.0) == (0.0, -1.0)
    assert_partials(engine, np.hypot, [np.zeros(2), np.array([0.0, 1.0])], [np.zeros((2, 2)), np.diag([0.0, 1.0])])


@each_engine
def test_std_of_equal_values_has_gradient_zero(engine):
    np.testing.assert_array_equal(engine.grad(np.std)(np.full(4, 0.5)), np.zeros(4))
    np.testing.assert_array_equal(engine.grad(np.std)(np.ones(1)), [0.0])
    found = engine.grad(lambda x: np.sum(np.std(x, axis=1)))(np.array([[1.0, 1.0], [0.0, 2.0]]))
    np.testing.assert_allclose(found, [[0.0, 0.0], [-0.5, 0.5]])


@each_engine
def test_abs_of_a_complex_zero_has_derivative_zero(engine):
    assert engine.jvp(np.abs, (0j,), (1 + 1j,))[1] == 0.0


# --- one-sided limits ---------------------------------------------------------------------------------------

INFINITE_SLOPES = {
    "sqrt at 0": (np.sqrt, 0.0, INF),
    "cbrt at 0": (np.cbrt, 0.0, INF),
    "x ** 0.5 at 0": (lambda x: x**0.5, 0.0, INF),
    "power(x, 0.5) at 0": (lambda x: np.power(x, 0.5), 0.0, INF),
    "log at 0": (np.log, 0.0, INF),
    "log2 at 0": (np.log2, 0.0, INF),
    "log1p at -1": (np.log1p, -1.0, INF),
    "arcsin at 1": (np.arcsin, 1.0, INF),
    "arcsin at -1": (np.arcsin, -1.0, INF),
    "arccos at 1": (np.arccos, 1.0, -INF),
    "arccosh at 1": (np.arccosh, 1.0, INF),
    "arctanh at 1": (np.arctanh, 1.0, INF),
    "reciprocal at 0": (np.reciprocal, 0.0, -INF),
}


@each_engine
@pytest.mark.parametrize("name", INFINITE_SLOPES)
def test_where_a_slope_is_infinite_the_derivative_is(engine, name):
    f, point, slope = INFINITE_SLOPES[name]
    with np.errstate(all="ignore"):
        assert engine.grad(f)(point) == slope
        assert engine.grad(lambda x: np.sum(f(x)))(np.array([point]))[0] == slope


# --- powers -------------------------------------------------------------------------------------------------

POWERS = {
    "x ** n": lambda x, n: x**n,
    "x ** float(n)": lambda x, n: x ** float(n),
    "np.power(x, n)": lambda x, n: np.power(x, n),
    "np.power(x, float(n))": lambda x, n: np.power(x, float(n)),
    "np.float_power(x, n)": lambda x, n: np.float_power(x, n),
    "x ** array of n": lambda x, n: (x * np.ones(2)) ** np.array([n, n]),
    "x ** array of float(n)": lambda x, n: (x * np.ones(2)) ** np.array([n, n], float),
}


@each_engine
@pytest.mark.parametrize("point", [0.0, -1.5, 2.0])
@pytest.mark.parametrize("form", POWERS)
def test_whole_powers_have_all_their_derivatives(engine, form, point):
    for exponent in range(4):

        def f(x, n=exponent):
            return np.sum(POWERS[form](x, n)) / (2 if "array" in form else 1)

        coefficient = 1.0
        for order in range(1, 4):
            f = engine.grad(f)
            coefficient *= exponent - order + 1
            expected = coefficient * point ** (exponent - order) if coefficient else 0.0
            assert f(point) == pytest.approx(expected, rel=1e-14), (exponent, order)


@each_composition
def test_powers_of_zero_with_both_operands_varying(outer, inner):
    assert inner.grad(lambda x, y: x**y, (0, 1))(0.0, 2.0) == (0.0, 0.0)
    assert inner.grad(lambda x, y: x**y, (0, 1))(0.0, 1.0) == (1.0, 0.0)
    # d/dy d/dx x**y = x**(y - 1) (1 + y log x), which tends to 0 at x = 0 for y = 2
    assert outer.grad(lambda y: inner.grad(lambda x: x**y)(0.0))(2.0) == 0.0
    assert outer.grad(lambda x: inner.grad(lambda y: x**y)(2.0))(0.0) == 0.0


@each_engine
def test_power_zero_of_anything_is_flat(engine):
    for x in (0.0, -2.0, INF):
        assert engine.grad(lambda x: x**0)(x) == 0.0
        assert engine.grad(lambda x: np.power(x, 0.0))(x) == 0.0
    assert engine.grad(lambda x, y: np.sum(x**y))(np.array([0.0, 1.0]), np.zeros(2)).tolist() == [0.0, 0.0]


# --- products with zeros ------------------------------------------------------------------------------------

FACTORS = [
    [2.0, 0.0, 3.0, 5.0],
    [0.0, 2.0, 0.0, 3.0],
    [0.0, 0.0, 0.0, 2.0],
    [0.0] * 4,
    [1.5, -2.0, 0.5, 3.0],
    [0.0],
    [2.0, 0.0],
]
PRODUCTS = {
    "prod": np.prod,
    "multiply.reduce": np.multiply.reduce,
    "cumprod": lambda x: np.cumprod(x)[-1],
    "multiply.accumulate": lambda x: np.multiply.accumulate(x)[-1],
    "prod over axes": lambda x: np.prod(np.reshape(x, (1, -1, 1)), axis=(0, 1, 2)),
}


def product_without(factors, *left_out):
    return math.prod(f for k, f in enumerate(factors) if k not in left_out)


@each_engine
@pytest.mark.parametrize("factors", FACTORS, ids=str)
@pytest.mark.parametrize("form", PRODUCTS)
def test_gradient_of_a_product_with_zeros(engine, form, factors):
    expected = [product_without(factors, k) for k in range(len(factors))]
    np.testing.assert_allclose(engine.grad(PRODUCTS[form])(np.array(factors)), expected, rtol=1e-15)


@each_composition
@pytest.mark.parametrize("factors", FACTORS, ids=str)
@pytest.mark.parametrize("form", PRODUCTS)
def test_hessian_of_a_product_with_zeros(outer, inner, form, factors):
    n = len(factors)
    expected = [[0.0 if i == j else product_without(factors, i, j) for j in range(n)] for i in range(n)]
    found = outer.jacobian(inner.grad(PRODUCTS[form]))(np.array(factors))
    np.testing.assert_allclose(found, expected, rtol=1e-15)


@each_engine
def test_every_partial_of_a_cumulative_product_with_zeros(engine):
    factors = np.array([2.0, 0.0, 3.0, 0.0, 5.0])
    expected = [[math.prod(np.delete(factors[: i + 1], j)) if j <= i else 0.0 for j in range(5)] for i in range(5)]
    assert_partials(engine, np.cumprod, [factors], [expected])


# --- infinities ---------------------------------------------------------------------------------------------


def test_choices_make_no_nan_of_an_infinite_cotangent():
    # Only a reverse sweep hands cotangents to the rules: forward mode multiplies them with a whole Jacobian.
    mask = np.array([True, False])
    for choose in (lambda x, y: np.where(mask, x, y), np.maximum, np.fmax):
        _, pullback = reversead.vjp(choose, np.array([2.0, 0.0]), np.ones(2))
        x_bar, y_bar = pullback(np.array([INF, -INF]))
        np.testing.assert_array_equal(x_bar, [INF, 0.0])
        np.testing.assert_array_equal(y_bar, [0.0, -INF])
    _, pullback = reversead.vjp(np.max, np.array([1.0, 3.0, 2.0]))
    np.testing.assert_array_equal(pullback(np.float64(INF))[0], [0.0, INF, 0.0])


@each_engine
def test_where_makes_no_nan_of_an_infinite_tangent(engine):
    def choose(x, y):
        return np.where(np.array([True, False]), x, y)

    tangents = (np.array([1.0, INF]), np.array([INF, 2.0]))
    _, tangent = engine.jvp(choose, (np.ones(2), np.ones(2)), tangents)
    np.testing.assert_array_equal(tangent, [1.0, 2.0])


@each_engine
@pytest.mark.parametrize("f", TWO_ARGUMENT_EXTREMA, ids=lambda f: f.__name__)
def test_extrema_make_no_nan_of_an_infinite_tangent(engine, f):
    x, y = np.array([1.0, 2.0]), np.array([2.0, 1.0])
    x_wins = f(x, y) == x
    tangents = (np.where(x_wins, 1.0, INF), np.where(x_wins, INF, 2.0))
    _, tangent = engine.jvp(f, (x, y), tangents)
    np.testing.assert_array_equal(tangent, np.where(x_wins, 1.0, 2.0))


INFINITE_OPERANDS = {
    "maximum(x, -inf)": (lambda x: np.maximum(x, -INF), 1.0, 1.0),
    "maximum(x, inf)": (lambda x: np.maximum(x, INF), 1.0, 0.0),
    "minimum(inf, x)": (lambda x: np.minimum(INF, x), 1.0, 1.0),
    "clip(x, -inf, inf)": (lambda x: np.clip(x, -INF, INF), 1.0, 1.0),
    "where(x > 0, x, inf)": (lambda x: np.where(x > 0, x, INF), 1.0, 1.0),
    "where(x > 0, inf, x)": (lambda x: np.where(x > 0, INF, x), 1.0, 0.0),
    "max of x and -inf": (lambda x: np.max(np.stack([x, -INF])), 1.0, 1.0),
    "max of x and inf": (lambda x: np.max(np.stack([x, INF])), 1.0, 0.0),
    "logaddexp(x, -inf)": (lambda x: np.logaddexp(x, -INF), 1.0, 1.0),
    "logaddexp2(-inf, x)": (lambda x: np.logaddexp2(-INF, x), 1.0, 1.0),
    "logsumexp of x and -inf": (lambda x: logsumexp(np.stack([x, -INF])), 1.0, 1.0),
    "softmax beside -inf": (lambda x: softmax(np.stack([x, -INF, 0.0]))[2], 0.0, -0.25),
    "log_softmax beside -inf": (lambda x: log_softmax(np.stack([x, -INF, 0.0]))[2], 0.0, -0.5),
    "exp at -inf": (np.exp, -INF, 0.0),
    "arctan at inf": (np.arctan, INF, 0.0),
    "tanh at inf": (np.tanh, INF, 0.0),
    "sum at inf": (lambda x: np.sum(np.stack([x, 1.0])), INF, 1.0),
    "maximum at inf": (lambda x: np.maximum(x, 0.0), INF, 1.0),
    "nan_to_num of nan": (lambda x: np.nan_to_num(np.stack([x, np.nan]))[0], 1.0, 1.0),
}


@each_engine
@pytest.mark.parametrize("name", INFINITE_OPERANDS)
def test_infinite_values_make_no_nan(engine, name):
    f, point, expected = INFINITE_OPERANDS[name]
    assert engine.grad(f)(point) == pytest.approx(expected, rel=1e-15)


LARGE_ARGUMENTS = {
    "sigmoid": (sigmoid, {-1000.0: 0.0, 1000.0: 0.0, 0.0: 0.25}),
    "softplus": (softplus, {-1000.0: 0.0, 1000.0: 1.0, 0.0: 0.5}),
    "softsign": (softsign, {-1000.0: 1001.0**-2, 0.0: 1.0}),
    "tanh": (np.tanh, {-1000.0: 0.0, 1000.0: 0.0}),
    "logaddexp": (lambda x: np.logaddexp(x, 0.0), {-1000.0: 0.0, 1000.0: 1.0, 0.0: 0.5}),
    "logsumexp": (lambda x: logsumexp(np.stack([x, 0.0])), {-1000.0: 0.0, 1000.0: 1.0, 0.0: 0.5}),
    "softmax": (lambda x: softmax(np.stack([x, 0.0]))[0], {-1000.0: 0.0, 1000.0: 0.0, 0.0: 0.25}),
    "arcsinh": (np.arcsinh, {1e200: 1e-200}),
    "hypot": (lambda x: np.hypot(x, x), {1e200: math.sqrt(2), 1e-200: math.sqrt(2)}),
    "arctan2": (lambda x: np.arctan2(x, 1e200), {1e200: 0.5e-200}),
}


@each_composition
@pytest.mark.parametrize("name", LARGE_ARGUMENTS)
def test_derivatives_of_large_arguments_do_not_overflow(outer, inner, name):
    f, expected = LARGE_ARGUMENTS[name]
    for point, slope in expected.items():
        assert inner.grad(f)(point) == pytest.approx(slope, rel=1e-14)
        assert np.isfinite(outer.grad(inner.grad(f))(point))


@each_engine
def test_the_slope_of_sigmoid_keeps_its_digits_on_both_sides(engine):
    for x in (-30.0, 30.0):
        assert engine.grad(sigmoid)(x) == pytest.approx(math.exp(-30.0) / (1 + math.exp(-30.0)) ** 2, rel=1e-12)


@each_engine
def test_sinc_has_all_its_derivatives_at_zero(engine):
    # sinc(x) = 1 - (pi x)^2 / 6 + (pi x)^4 / 120 - ...
    f = np.sinc
    for expected in (0.0, -(np.pi**2) / 3, 0.0, np.pi**4 / 5):
        f = engine.grad(f)
        assert f(0.0) == pytest.approx(expected, rel=1e-12, abs=1e-12)


# --- stop_gradient ------------------------------------------------------------------------------------------


@each_composition
def test_no_level_sees_through_stop_gradient(outer, inner):
    x = np.array([2.0, 3.0])
    np.testing.assert_array_equal(inner.grad(lambda x: np.sum(stop_gradient(x)))(x), np.zeros(2))
    np.testing.assert_array_equal(inner.grad(lambda x: np.sum(stop_gradient(x) * x))(x), x)
    second = outer.jacobian(inner.grad(lambda x: np.sum(stop_gradient(x) * x * x)))(x)
    # The inner gradient is 2 stop(x) x, whose derivative takes stop(x) for a constant again.
    np.testing.assert_array_equal(second, np.diag(2 * x))
    assert outer.grad(lambda y: inner.grad(lambda x: stop_gradient(x * y) * x * y)(2.0))(3.0) == 2.0 * 3.0


# --- dtypes -------------------------------------------------------------------------------------------------

SINGLE = np.array([0.5, -1.5, 2.0], np.float32)


@each_engine
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble], ids=lambda d: d.__name__)
def test_a_gradient_has_its_inputs_dtype_and_shape(engine, dtype):
    x = np.array([[0.5, 1.5]], dtype)
    value, gradient = engine.value_and_grad(lambda x: np.sum(np.exp(x) * 2.0 - x / 3))(x)
    assert value.dtype == dtype
    assert gradient.dtype == dtype
    assert gradient.shape == x.shape
    assert engine.hessian(lambda x: np.sum(x**3))(x).dtype == dtype


@each_engine
@pytest.mark.parametrize(
    "zero_d", [np.array(0.5), np.array(0.5, np.float32), np.float32(0.5), np.float64(0.5), 0.5], ids=repr
)
def test_a_gradient_has_the_type_of_a_scalar_input(engine, zero_d):
    gradient = engine.grad(lambda x: np.sin(x) * x)(zero_d)
    assert type(gradient) is type(zero_d)
    assert np.asarray(gradient).dtype == np.asarray(zero_d).dtype


@each_engine
@pytest.mark.parametrize(
    "integer", [2, np.int32(2), np.array(2), np.array([1, 2], np.int8), np.array([3], np.uint16)], ids=repr
)
def test_integers_are_differentiated_as_float64(engine, integer):
    gradient = engine.grad(lambda x: np.sum(x * x))(integer)
    np.testing.assert_array_equal(gradient, 2.0 * np.asarray(integer))
    assert np.asarray(gradient).dtype == np.float64


@each_engine
def test_arguments_that_are_not_differentiated_stay_what_they_are(engine):
    def f(x, labels, scale, flag, name):
        assert labels.dtype == np.int8
        assert type(scale) is int
        assert flag is True
        assert name == "sum"
        return np.sum(x[labels] * scale)

    np.testing.assert_array_equal(engine.grad(f)(np.ones(2), np.array([0, 1, 1], np.int8), 3, True, "sum"), [3.0, 6.0])


WEAK = {
    "2.5 * x": lambda x: 2.5 * x,
    "x + 1": lambda x: x + 1,
    "1.5 - x": lambda x: 1.5 - x,
    "x / 3.0": lambda x: x / 3.0,
    "1 / x": lambda x: 1 / x,
    "x ** 2.0": lambda x: x**2.0,
    "2.0 ** x": lambda x: 2.0**x,
    "maximum(x, 0.1)": lambda x: np.maximum(x, 0.1),
    "where(x > 0, x, 0.01 * x)": lambda x: np.where(x > 0, x, 0.01 * x),
    "where(x > 0, x, -1.0)": lambda x: np.where(x > 0, x, -1.0),
    "clip(x, -1.0, 1.0)": lambda x: np.clip(x, -1.0, 1.0),
    "hypot(x, 2.0)": lambda x: np.hypot(x, 2.0),
    "power(2, x)": lambda x: np.power(2, x),
    "divide(1, x)": lambda x: np.divide(1, x),
    "1e-3 * x + math.pi": lambda x: 1e-3 * x + math.pi,
}


@each_engine
@pytest.mark.parametrize("name", WEAK)
def test_python_numbers_are_weak(engine, name):
    f = WEAK[name]
    assert f(SINGLE).dtype == np.float32
    out, tangent = engine.jvp(f, (SINGLE,), (np.ones(3, np.float32),))
    assert out.dtype == tangent.dtype == np.float32
    assert engine.vjp(f, SINGLE)[1](np.ones(3, np.float32))[0].dtype == np.float32


@each_engine
def test_a_varying_python_float_is_weak(engine):
    def f(t, x):
        assert (t * x).dtype == np.float32
        assert (t * 2.0 * x).dtype == np.float32
        assert (x + t).dtype == np.float32
        assert ((t + 1) ** 2 * x).dtype == np.float32
        assert (-t / 3 * x).dtype == np.float32
        return np.sum(t * x)

    gradients = engine.grad(f, (0, 1))(0.5, SINGLE)
    assert type(gradients[0]) is float
    assert gradients[1].dtype == np.float32
    assert gradients == (pytest.approx(1.0), pytest.approx(0.5))


@each_engine
@pytest.mark.parametrize(
    "operation",
    [lambda t: +t, lambda t: abs(t), lambda t: t % 2.0, lambda t: t // 2.0 + t, lambda t: divmod(t, 2.0)[1],
        lambda t: t**2, lambda t: 3.0 % t],
    ids=["+t", "abs(t)", "t % 2.0", "t // 2.0 + t", "divmod(t, 2.0)[1]", "t**2", "3.0 % t"],
)  # fmt: skip
def test_every_operator_keeps_a_varying_python_float_weak(engine, operation):
    assert (operation(0.7) * SINGLE).dtype == np.float32
    out, tangent = engine.jvp(lambda t: operation(t) * SINGLE, (0.7,), (1.0,))
    assert out.dtype == tangent.dtype == np.float32


@each_composition
def test_a_python_float_of_two_levels_is_weak(outer, inner):
    def f(t, x):
        assert (t * x).dtype == np.float32
        return np.sum(np.sin(t * x) * x)

    gradient = inner.grad(f, 1)
    out, tangent = outer.jvp(lambda t: gradient(t, SINGLE), (0.5,), (1.0,))
    assert out.dtype == tangent.dtype == np.float32
    second = outer.grad(lambda t: inner.grad(lambda t: np.sum(np.exp(t * SINGLE)))(t))(0.5)
    assert type(second) is float
    # d/dt of the gradient by x, pulled back along ones: a number for the float, float32 for the array
    cotangents = outer.vjp(gradient, 0.5, SINGLE)[1](np.ones(3, np.float32))
    assert type(cotangents[0]) is float
    assert cotangents[1].dtype == np.float32


#: NumPy's functions make a double of a Python float, so their maps have to make one of its direction: beside single
#: precision the product is a double.
STRONG = {
    "dot": lambda t: np.dot(t, SINGLE),
    "inner": lambda t: np.inner(SINGLE, t),
    "positive": lambda t: np.positive(t) * SINGLE,
    "negative": lambda t: np.negative(t) * SINGLE,
    "copy": lambda t: np.copy(t) * SINGLE,
    "subtract": lambda t: np.subtract(t, 0) * SINGLE,
    "divide": lambda t: np.true_divide(t, 1) * SINGLE,
}


@each_engine
@pytest.mark.parametrize("name", STRONG)
def test_a_direction_that_is_traced_itself_is_as_strong_as_what_it_is_a_direction_of(engine, name):
    f, x, t = STRONG[name], 1.1, 1 / 3
    expected = f(t)
    assert expected.dtype == np.float64
    for along in (
        lambda t: dualad.jvp(f, (x,), (t,))[1],
        lambda t: reversead.linearize(f, x)[1](t),
    ):
        np.testing.assert_allclose(engine.jvp(along, (t,), (t,))[0], expected, rtol=1e-15)
        np.testing.assert_allclose(engine.jvp(along, (t,), (t,))[1], expected, rtol=1e-15)
        np.testing.assert_allclose(shared.compile(along)(t), expected, rtol=1e-15)
    for along in (
        lambda x: dualad.jvp(f, (x,), (t,))[1],
        lambda x: reversead.linearize(f, x)[1](t),
    ):
        np.testing.assert_allclose(engine.jvp(along, (x,), (t,))[0], expected, rtol=1e-15)
        np.testing.assert_allclose(shared.compile(along)(x), expected, rtol=1e-15)


@each_engine
def test_numpy_functions_of_python_floats_are_strong(engine):
    assert (np.sin(0.5) * SINGLE).dtype == np.float64

    def f(t):
        out = np.sin(t) * SINGLE
        assert out.dtype == np.float64
        return np.sum(out)

    assert type(engine.grad(f)(0.5)) is float


@each_engine
def test_promotion_is_undone_in_each_operand(engine):
    double = np.array([1.0, 2.0, 3.0])
    out, pullback = engine.vjp(lambda x, y: x * y, SINGLE, double)
    assert out.dtype == np.float64
    x_bar, y_bar = pullback(np.ones(3))
    assert (x_bar.dtype, y_bar.dtype) == (np.float32, np.float64)
    np.testing.assert_array_equal(x_bar, double.astype(np.float32))
    for join in (np.concatenate, np.stack, np.hstack):
        x_bar, y_bar = engine.grad(lambda x, y, join=join: np.sum(join([x, y]) ** 2), (0, 1))(SINGLE, double)
        assert (x_bar.dtype, y_bar.dtype) == (np.float32, np.float64)


@each_engine
def test_astype_is_undone(engine):
    gradient = engine.grad(lambda x: np.sum(x.astype(np.float64) ** 2))(SINGLE)
    assert gradient.dtype == np.float32
    np.testing.assert_array_equal(gradient, 2 * SINGLE)
    gradient = engine.grad(lambda x: np.sum(x.astype(np.float32) ** 2).astype(np.float64))(np.ones(2))
    assert gradient.dtype == np.float64


@each_engine
def test_astype_to_integers_has_derivative_zero(engine):
    gradient = engine.grad(lambda x: np.sum(x * x.astype(int)))(np.array([1.5, 2.5]))
    np.testing.assert_array_equal(gradient, [1.0, 2.0])


@each_engine
def test_tangents_and_cotangents_take_the_dtype_of_their_primals(engine):
    out, tangent = engine.jvp(lambda x: x * 2.0, (SINGLE,), (np.ones(3),))
    assert out.dtype == tangent.dtype == np.float32
    _, pullback = engine.vjp(lambda x: x * 2.0, SINGLE)
    assert pullback(np.ones(3))[0].dtype == np.float32


@each_engine
def test_a_float32_network_is_float32_all_through(engine):
    random = np.random.default_rng(0)
    weights = random.standard_normal((3, 2)).astype(np.float32)
    seen = []

    def loss(w):
        hidden = np.tanh(SINGLE @ w + np.ones(2, np.float32))
        out = logsumexp(hidden) - 0.5 * np.mean(np.square(hidden)) + 1e-3 * np.sum(w * w)
        seen.extend([hidden.dtype, out.dtype])
        return out

    value, gradient = engine.value_and_grad(loss)(weights)
    assert {value.dtype, gradient.dtype, *seen} == {np.dtype(np.float32)}
    assert engine.hvp(loss, weights, np.ones_like(weights)).dtype == np.float32


# --- what NumPy makes of nothing, and of infinities -----------------------------------------------------------------


@each_engine
@pytest.mark.parametrize("order", [np.inf, 1, 2, None])
@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0)])
def test_norms_of_no_numbers_are_zero(engine, order, shape):
    value, gradient = engine.value_and_grad(lambda x: np.linalg.norm(x, order))(np.zeros(shape))
    assert value == 0.0
    assert gradient.shape == shape


@each_engine
def test_the_fraction_of_an_infinity_is_zero(engine):
    x = np.array([INF, -INF, 2.75, -0.5])
    out, tangent = engine.jvp(lambda x: np.modf(x)[0], (x,), (np.ones(4),))
    np.testing.assert_array_equal(out, np.modf(x)[0])
    np.testing.assert_array_equal(tangent[2:], 1.0)
