"""What the generated tests leave out of interpolation, order statistics, averages, padding, convolution and Cholesky:
kinks, ties, NaN, what is refused, and cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reversead
from shared import count_operations, jacobian_pattern, trace
from shared.checking.differences import difference_jvp
from shared.core.errors import NoRuleError, ProgramGuardError

RANDOM = np.random.default_rng(7)
KNOTS = np.array([0.0, 1.0, 2.0, 4.0])
VALUES = np.array([1.0, 3.0, 4.0, 2.0])  # slopes 2, 1, -1


# --- interpolation ----------------------------------------------------------------------------------------------------


def test_interpolation_has_the_slope_of_least_size_at_a_knot(ad: Any) -> None:
    x = np.array([-1.0, 0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0])
    slopes = ad.elementwise_grad(lambda x: np.interp(x, KNOTS, VALUES))(x)
    # Where the slopes before and after have different signs, zero is between them; so it is at the ends.
    np.testing.assert_array_equal(slopes, [0, 0, 2, 1, 1, 0, -1, 0, 0])
    falling = ad.elementwise_grad(lambda x: np.interp(x, KNOTS, -VALUES))(x)
    np.testing.assert_array_equal(falling, -slopes)


def test_interpolation_at_a_knot_moves_with_its_value_and_against_its_place(ad: Any) -> None:
    gradient = ad.grad(lambda x, xp, fp: np.interp(x, xp, fp), argnums=(0, 1, 2))
    for x, k, slope in ((1.0, 1, 1.0), (2.0, 2, 0.0), (0.0, 0, 0.0), (4.0, 3, 0.0)):
        by_x, by_knots, by_values = gradient(x, KNOTS, VALUES)
        assert by_x == slope
        np.testing.assert_array_equal(by_knots, -slope * np.eye(4)[k])
        np.testing.assert_array_equal(by_values, np.eye(4)[k])


def test_interpolation_beside_a_jump_has_the_slope_of_its_own_side(ad: Any) -> None:
    slope = ad.derivative(lambda x: np.interp(x, KNOTS, VALUES, left=0.0, right=9.0))
    assert [slope(x) for x in (-1.0, 0.0, 4.0, 5.0)] == [0, 2, -1, 0]
    # two knots in one place
    slope = ad.derivative(lambda x: np.interp(x, [0.0, 1.0, 1.0, 2.0], [0.0, 1.0, 5.0, 8.0]))
    assert [slope(x) for x in (0.5, 1.0, 1.5)] == [1, 3, 3]


def test_interpolation_of_nan_and_outside_is_numpys(ad: Any) -> None:
    x = np.array([np.nan, -np.inf, np.inf, -1.0, 2.0, 4.0, 0.3])
    for rest in ({}, {"left": 7.0}, {"right": np.nan}):
        expected = np.interp(x, KNOTS, VALUES, **rest)
        found = ad.vjp(lambda x: np.interp(x, KNOTS, VALUES, **rest), x)[0]  # noqa: B023
        np.testing.assert_array_equal(found, expected)
    by_values = ad.jacobian(lambda fp: np.interp(x[1:], KNOTS, fp))(VALUES)
    np.testing.assert_allclose(by_values @ VALUES, np.interp(x[1:], KNOTS, VALUES))
    np.testing.assert_array_equal(ad.jacobian(lambda xp: np.interp(x[1:3], xp, VALUES))(KNOTS), np.zeros((2, 4)))


def test_interpolation_among_knots_in_one_place_has_numpys_value_and_finite_derivatives() -> None:
    random = np.random.default_rng(0)
    for _ in range(100):
        n = int(random.integers(1, 6))
        knots = np.sort(random.integers(0, 6, n) / 2.0)
        values, x = random.integers(-3, 3, n) * 1.0, np.arange(-2, 9) / 2.0
        for rest in ({}, {"left": 9.0}, {"right": -9.0}, {"left": 9.0, "right": -9.0}):
            out, pullback = reversead.vjp(lambda *args: np.interp(*args, **rest), x, knots, values)  # noqa: B023
            np.testing.assert_allclose(out, np.interp(x, knots, values, **rest), rtol=1e-14, atol=1e-14)
            assert all(np.isfinite(cotangent).all() for cotangent in pullback(np.ones_like(x)))


# --- order ------------------------------------------------------------------------------------------------------------


def test_a_median_of_ties_follows_the_stable_order(ad: Any) -> None:
    np.testing.assert_array_equal(ad.grad(np.median)(np.array([2.0, 2.0, 2.0])), [0, 1, 0])
    np.testing.assert_array_equal(ad.grad(np.median)(np.array([3.0, 1.0, 3.0, 1.0])), [0.5, 0, 0, 0.5])


def test_a_quantile_has_the_slope_of_least_size_where_it_passes_an_element(ad: Any) -> None:
    x = np.array([0.0, 4.0, 1.0, 2.0, 16.0])  # in order 0 1 2 4 16: slopes 4, 4, 8, 48
    slope = ad.derivative(lambda q: np.quantile(x, q))
    assert [slope(q) for q in (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)] == [4, 4, 4, 4, 8, 48, 48]


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_what_contains_nan_has_the_median_and_quantiles_nan(ad: Any, axis: Any) -> None:
    x = np.array([[1.0, np.nan, 2.0], [0.5, 3.0, 4.0]])
    for f in (lambda x: np.median(x, axis), lambda x: np.quantile(x, [0.2, 0.5], axis)):
        np.testing.assert_array_equal(ad.vjp(f, x)[0], f(x))


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # inf - inf, in NumPy's own value too
def test_quantiles_and_medians_of_infinities_are_numpys(ad: Any) -> None:
    for row in ([1, 2, np.inf], [-np.inf, 2, 3], [np.inf, np.inf, 1], [-np.inf, np.inf, 0, 1]):
        x = np.array(row)
        for q in (0.25, 0.3, 0.5, 0.75, [0.5, 0.9]):
            found = ad.vjp(lambda x: np.quantile(x, q), x)[0]  # noqa: B023
            np.testing.assert_array_equal(found, np.quantile(x, q))
        np.testing.assert_array_equal(ad.vjp(np.median, x)[0], np.median(x))


def test_quantiles_out_of_range_and_of_nothing_are_refused(ad: Any) -> None:
    x = np.arange(4.0)
    for q in (-0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="range"):
            ad.vjp(lambda x: np.quantile(x, q), x)  # noqa: B023
    with pytest.raises(ValueError, match="no elements"):
        ad.vjp(np.median, x[:0])


# --- NaN and averages -------------------------------------------------------------------------------------------------


def test_what_is_skipped_has_derivative_zero(ad: Any) -> None:
    x = np.array([1.0, np.nan, 3.0, 3.0])
    for f, expected in (
        (np.nansum, [1, 0, 1, 1]),
        (np.nanmean, np.array([1, 0, 1, 1]) / 3),
        (np.nanmax, [0, 0, 0.5, 0.5]),
        (np.nanmin, [1, 0, 0, 0]),
    ):
        np.testing.assert_array_equal(ad.grad(f)(x), expected)


def test_an_extremum_of_nothing_but_nan_is_nan(ad: Any) -> None:
    x = np.array([[np.nan, np.nan], [2.0, np.nan]])
    for f, rest in ((np.nanmax, 2.0), (np.nanmin, 2.0)):
        np.testing.assert_array_equal(ad.vjp(lambda x: f(x, axis=1), x)[0], [np.nan, rest])  # noqa: B023


def test_averages_refuse_what_numpy_refuses(ad: Any) -> None:
    x, w = np.ones((2, 3)), np.ones(3)
    with pytest.raises(ZeroDivisionError):
        ad.vjp(lambda w: np.average(x, 1, w), 0 * w)
    with pytest.raises(TypeError, match="Axis"):
        ad.vjp(lambda w: np.average(x, weights=w), w)
    with pytest.raises(ValueError, match="consistent"):
        ad.vjp(lambda w: np.average(x, 0, w), w)


# --- padding, grids ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    [
        lambda x: np.pad(x, 1, "linear_ramp"),
        lambda x: np.pad(x, 1, "mean"),
        lambda x: np.pad(x, 1, "reflect", reflect_type="odd"),
        lambda x: np.interp(x, KNOTS, VALUES, period=3.0),
        lambda x: np.logspace(0.0, 1.0, 3, base=x),
        lambda x: np.percentile(x, 30, method="hazen"),
        lambda x: np.quantile(x, 0.3, weights=np.ones(3), method="inverted_cdf"),
    ],
)
def test_rarer_options_have_numpys_values_and_their_derivatives(ad: Any, call: Any) -> None:
    x, t = np.array([1.1, 2.3, 2.6]), np.array([0.3, -0.7, 0.4])
    value, tangent = ad.jvp(call, (x,), (t,))
    np.testing.assert_allclose(value, call(x), rtol=1e-14)
    estimate, error = difference_jvp(call, (x,), (t,))
    assert np.all(np.abs(tangent - estimate) <= error + 1e-12)
    assert np.all(error < 1e-7)


def test_complex_knots_are_refused(ad: Any) -> None:
    with pytest.raises(NoRuleError):
        ad.vjp(lambda x: np.interp(x, KNOTS, VALUES * 1j), np.arange(1.0, 4.0))


def test_blocks_that_numpy_refuses_are_refused(ad: Any) -> None:
    for blocks, error in (
        (lambda x: [[x], x], ValueError),
        (lambda x: [x, []], ValueError),
        (lambda x: [(x,)], TypeError),
    ):
        with pytest.raises(error):
            np.block(blocks(np.ones(2)))
        with pytest.raises(error):
            ad.vjp(lambda x: np.block(blocks(x)), np.ones(2))  # noqa: B023


def test_an_evenly_spaced_grid_ends_where_it_is_told(ad: Any) -> None:
    start, stop = 0.1, 0.7
    out = ad.vjp(lambda stop: np.linspace(start, stop, 8), stop)[0]
    assert out[0] == start
    assert out[-1] == stop


# --- convolution ------------------------------------------------------------------------------------------------------


def test_a_convolution_and_its_gradient_cost_the_products_that_it_has() -> None:
    x, y = RANDOM.normal(size=50), RANDOM.normal(size=50)

    def energy(mode: str) -> Any:
        return lambda x, y: np.sum(np.convolve(x, y, mode))

    # One element, of 50 products: not the 2500 of all elements
    assert count_operations(energy("valid"), x, y) < 2 * 50 + 10
    assert count_operations(reversead.grad(energy("valid"), argnums=(0, 1)), x, y) < 4 * count_operations(
        energy("valid"), x, y
    )
    assert count_operations(energy("full"), x, y) == 2 * 50 * 50 + 99
    assert count_operations(reversead.grad(energy("full"), argnums=(0, 1)), x, y) < 4 * 2 * 50 * 50


def test_the_pattern_of_a_convolution_is_a_band_without_what_meets_zeros() -> None:
    kernel = np.array([1.0, 0.0, 2.0])
    pattern = jacobian_pattern(lambda x: np.convolve(x, kernel, "valid"), np.ones(6)).to_dense()
    np.testing.assert_array_equal(pattern, (np.eye(4, 6) + np.eye(4, 6, 2)) != 0)


def test_convolutions_that_numpy_refuses_are_refused(ad: Any) -> None:
    for wrong in (
        lambda x: np.convolve(x, np.zeros(0)),
        lambda x: np.convolve(x, np.ones((2, 2))),
        lambda x: np.convolve(x, x, "other"),
        lambda x: np.correlate(np.zeros(0), x),
    ):
        with pytest.raises(ValueError):
            ad.vjp(wrong, np.ones(3))


# --- Cholesky ---------------------------------------------------------------------------------------------------------


def test_a_cholesky_factor_depends_on_the_triangle_that_numpy_reads(ad: Any) -> None:
    a = np.array([[4.0, 9.0, 9.0], [1.0, 5.0, 9.0], [0.5, 2.0, 6.0]])
    weights = RANDOM.normal(size=(3, 3))
    lower = ad.grad(lambda a: np.sum(weights * np.linalg.cholesky(a)))(a)
    np.testing.assert_array_equal(lower != 0, np.tri(3, dtype=bool))
    upper = ad.grad(lambda a: np.sum(weights.T * np.linalg.cholesky(a, upper=True)))(a.T)
    np.testing.assert_allclose(upper, lower.T, rtol=1e-13)


def test_the_log_determinant_by_cholesky_has_the_gradient_of_slogdet(ad: Any) -> None:
    b = RANDOM.normal(size=(4, 4))

    def by_cholesky(b: Any) -> Any:
        return 2 * np.sum(np.log(np.diagonal(np.linalg.cholesky(b @ b.T + np.eye(4)))))

    def by_slogdet(b: Any) -> Any:
        return np.linalg.slogdet(b @ b.T + np.eye(4))[1]

    np.testing.assert_allclose(ad.grad(by_cholesky)(b), ad.grad(by_slogdet)(b), rtol=1e-12)
    np.testing.assert_allclose(ad.hessian(by_cholesky)(b), ad.hessian(by_slogdet)(b), rtol=1e-10, atol=1e-11)


def test_matrices_without_a_cholesky_factor_are_refused(ad: Any) -> None:
    for matrix in (-np.eye(2), -np.eye(2) + 0j):
        with pytest.raises(np.linalg.LinAlgError):
            ad.vjp(np.linalg.cholesky, matrix)


# --- roots of polynomials ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("p", "wanted"),
    [
        # dr = -dp(r) / p'(r)
        ([1, -3, 2], [[-4, -2, -1], [1, 1, 1]]),
        # a root at infinity comes near: of the roots that there are, all coefficients count
        ([0, 1, -3, 2], [[-8, -4, -2, -1], [1, 1, 1, 1]]),
        # a root of zero moves by the last coefficient
        ([2, -3, 0], [[-3 / 4, -1 / 2, -1 / 3], [0, 0, 1 / 3]]),
        ([5, 0], [[0, -1 / 5]]),
        # roots of higher order have no derivative, those beside them have
        ([1, -2, 1], np.full((2, 3), np.nan)),
        ([1, -3, 3, -1], np.full((3, 4), np.nan)),
        ([1, 0, 0], np.full((2, 3), np.nan)),
        ([1, -3, 0, 0], [[-3, -1, -1 / 3, -1 / 9], *np.full((2, 4), np.nan)]),
        ([3], np.zeros((0, 1))),
        ([0, 0], np.zeros((0, 2))),
    ],
)
def test_roots_move_by_the_slope_of_their_polynomial(ad: Any, p: list[float], wanted: Any) -> None:
    found = ad.jacobian(lambda p: np.real(np.roots(p)))(np.array(p, float))
    np.testing.assert_allclose(found, wanted, atol=1e-14)


def test_what_is_pulled_to_no_root_of_higher_order_is_not_lost(ad: Any) -> None:
    by_coefficients = ad.grad(lambda p: np.real(np.roots(p))[0])(np.array([1.0, -3.0, 0.0, 0.0]))
    np.testing.assert_allclose(by_coefficients, [-3, -1, -1 / 3, -1 / 9])


def test_a_record_of_roots_keeps_to_their_number_and_to_real_or_complex_ones() -> None:
    record = trace(np.roots, np.array([1.0, -3.0, 2.0]))
    np.testing.assert_allclose(record(np.array([1.0, -5.0, 6.0])), [3, 2])
    for other in ([0.0, 1.0, 1.0], [1.0, 1.0, 1.0]):
        with pytest.raises(ProgramGuardError, match="roots"):
            record(np.array(other))


def test_the_characteristic_polynomial_is_smooth_at_equal_eigenvalues(ad: Any) -> None:
    # det(s - x) = s^2 - tr(x) s + det(x), also without a basis of eigenvectors
    for x in (np.eye(2), np.array([[1.0, 1.0], [0.0, 1.0]]), np.zeros((2, 2))):
        cofactors = np.array([[x[1, 1], -x[1, 0]], [-x[0, 1], x[0, 0]]])
        np.testing.assert_array_equal(ad.jacobian(np.poly)(x), [0 * x, -np.eye(2), cofactors])
        second = ad.hessian(lambda x: np.poly(x)[2])(x)
        np.testing.assert_array_equal(second[0, 0], [[0, 0], [0, 1]])
        np.testing.assert_array_equal(second[0, 1], [[0, 0], [-1, 0]])


# --- contractions -----------------------------------------------------------------------------------------------------


def test_a_contraction_that_is_to_be_optimised_is_a_product_of_matrices_both_ways() -> None:
    windows = np.lib.stride_tricks.sliding_window_view(RANDOM.normal(size=(2, 3, 6, 6)), (3, 3), axis=(2, 3))
    weights = RANDOM.normal(size=(4, 3, 3, 3))

    def loss(weights: Any, optimize: bool) -> Any:
        return np.sum(np.tanh(np.einsum("bcijkl,ockl->boij", windows, weights, optimize=optimize)))

    gradient = reversead.grad(loss)
    np.testing.assert_allclose(gradient(weights, True), gradient(weights, False), rtol=1e-12, atol=1e-12)
    names = [step.primitive.name for step in trace(gradient, weights, True).steps]
    assert names.count("matmul") == 2 and not any("einsum" in name for name in names)
