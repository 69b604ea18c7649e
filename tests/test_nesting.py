"""Derivatives of functions that take derivatives, in every mixture of the two engines.

Nested differentiation goes wrong in one way above all: the perturbation of one differentiation is taken for
that of another ("perturbation confusion").  Each program here is named after where it, or its bug, comes
from; all have answers that can be worked out by hand.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from shared.core.errors import ClosedLevelError, DifferentiationError

Transform = Callable[[Callable[..., Any]], Callable[..., Any]]

ENGINES = (dualad, reversead)
SCALAR = (dualad.derivative, dualad.grad, reversead.derivative, reversead.grad)


def _name(value: Any) -> str:
    if isinstance(value, ModuleType):
        return value.__name__
    return f"{value.__module__.split('.')[0]}.{value.__name__}"


def over(kinds: tuple[Any, ...], *names: str) -> pytest.MarkDecorator:
    """One test a mixture: every choice of one of `kinds` for each of the names."""
    mixtures = list(itertools.product(kinds, repeat=len(names)))
    values = mixtures if len(names) > 1 else [m[0] for m in mixtures]
    return pytest.mark.parametrize(
        ",".join(names), values, ids=["-over-".join(_name(part) for part in mixture) for mixture in mixtures]
    )


two_scalar_transforms = over(SCALAR, "outer", "inner")
two_engines = over(ENGINES, "outer", "inner")
three_engines = over(ENGINES, "outer", "middle", "inner")


# --- perturbation confusion ---------------------------------------------------------------------------------


class TestSiskindPearlmutter2005:
    """ "Perturbation confusion and referential transparency": the sum, and products in its place."""

    @two_scalar_transforms
    def test_sum_of_both_variables(self, outer: Transform, inner: Transform) -> None:
        # Confused perturbations give 2.
        assert outer(lambda x: x * inner(lambda y: x + y)(1.0))(1.0) == 1.0

    @two_scalar_transforms
    def test_product_of_both_variables(self, outer: Transform, inner: Transform) -> None:
        assert outer(lambda x: x * inner(lambda y: x * y)(5.0))(3.0) == 6.0

    @two_scalar_transforms
    def test_inner_point_depends_on_the_outer_variable(self, outer: Transform, inner: Transform) -> None:
        # d/dy x y^2 at y = x is 2 x^2, so the whole is d/dx 2 x^3.
        assert outer(lambda x: x * inner(lambda y: x * y * y)(x))(3.0) == 54.0

    @two_scalar_transforms
    def test_inner_point_is_an_expression(self, outer: Transform, inner: Transform) -> None:
        # d/dy sin(x y) at y = 2 x is x cos(2 x^2).
        expected = np.cos(2 * 0.7**2) - 4 * 0.7**2 * np.sin(2 * 0.7**2)
        result = outer(lambda x: inner(lambda y: np.sin(x * y))(2.0 * x))(0.7)
        assert result == pytest.approx(expected, rel=1e-14)

    @two_scalar_transforms
    def test_variable_used_after_the_inner_derivative(self, outer: Transform, inner: Transform) -> None:
        def f(x: Any) -> Any:
            slope = inner(lambda y: x * np.exp(y))(0.0)
            return slope * x + x * x * slope

        assert outer(f)(2.0) == pytest.approx(2 * 2.0 + 3 * 2.0**2, rel=1e-15)

    @over(SCALAR, "outer", "middle", "inner")
    def test_three_levels(self, outer: Transform, middle: Transform, inner: Transform) -> None:
        # d/dx x d/dy (x y d/dz (x + y + z)) = d/dx x (x) = 2 x
        def f(x: Any) -> Any:
            return x * middle(lambda y: x * y * inner(lambda z: x + y + z)(1.0))(7.0)

        assert outer(f)(3.0) == 6.0

    @two_scalar_transforms
    def test_same_function_object_at_both_levels(self, outer: Transform, inner: Transform) -> None:
        def cube(x: Any) -> Any:
            return x * x * x

        assert outer(inner(cube))(2.0) == 12.0
        assert outer(lambda x: cube(x) * inner(cube)(x))(2.0) == 15 * 2.0**4


class TestManzyuk2019:
    """ "Perturbation confusion in forward automatic differentiation of higher-order functions": the amazing
    bug.

    The derivative of a function whose value is again a function: `shift(u)(f)(x) = f(x + u)`, so that the
    derivative by u at 0 turns f into its derivative.  Applied twice it must give the second derivative; an
    implementation that tags the closure once and for all gives the first one's perturbation to both.
    """

    @staticmethod
    def shift(u: Any) -> Callable[..., Any]:
        return lambda f: lambda x: f(x + u)

    @two_scalar_transforms
    def test_twice_with_a_fresh_level_for_every_call(self, outer: Transform, inner: Transform) -> None:
        def slope_by(transform: Transform) -> Callable[..., Any]:
            return lambda f: lambda x: transform(lambda u: self.shift(u)(f)(x))(0.0)

        first, second = slope_by(inner), slope_by(outer)
        assert second(first(np.exp))(1.0) == pytest.approx(np.e, rel=1e-15)
        assert second(first(lambda x: x * x * x))(2.0) == pytest.approx(12.0, rel=1e-15)

    @over(SCALAR, "transform")
    def test_once_and_for_all_is_refused(self, transform: Transform) -> None:
        with pytest.raises((DifferentiationError, TypeError)):
            slope = transform(self.shift)(0.0)
            slope(slope(np.exp))(1.0)

    @two_engines
    def test_curried_binary_function(self, outer: ModuleType, inner: ModuleType) -> None:
        def curried(x: Any) -> Callable[[Any], Any]:
            return lambda y: x * x * y * y * y

        result = outer.derivative(lambda x: inner.derivative(curried(x))(2.0))(3.0)
        assert result == 2 * 3.0 * 3 * 2.0**2


class TestForwardDiffClosures:
    """Closures over vectors, as in the issues that ForwardDiff.jl's confusion tests collect."""

    @two_engines
    def test_gradient_of_a_derivative_that_closes_over_the_vector(self, outer: ModuleType, inner: ModuleType) -> None:
        v = np.array([1.0, 2.0, -2.0])

        def f(v: Any) -> Any:
            return np.sum(v) * inner.derivative(lambda y: y * np.sqrt(np.sum(v * v)))(1.0)

        np.testing.assert_allclose(outer.grad(f)(v), 3.0 + np.sum(v) * v / 3.0, rtol=1e-14)

    @two_engines
    def test_gradient_of_a_gradient_that_closes_over_the_vector(self, outer: ModuleType, inner: ModuleType) -> None:
        # grad_y sum(v y^2) = 2 v y, at y = v: the sum of 2 v^2.
        v = np.array([1.0, 2.0, -2.0])
        result = outer.grad(lambda v: np.sum(inner.grad(lambda y: np.sum(v * y * y))(v)))(v)
        np.testing.assert_array_equal(result, 4 * v)

    @two_engines
    def test_jacobian_of_a_jacobian(self, outer: ModuleType, inner: ModuleType) -> None:
        # (x . y) y has the Jacobian y x^T + (x . y) I by y, and this has y_i I_jk + I_ij y_k by x.
        x, y = np.array([1.0, -2.0]), np.array([3.0, 0.5])
        result = outer.jacobian(lambda x: inner.jacobian(lambda y: np.sum(x * y) * y)(y))(x)
        eye = np.eye(2)
        expected = np.einsum("i,jk->ijk", y, eye) + np.einsum("ij,k->ijk", eye, y)
        np.testing.assert_allclose(result, expected, rtol=1e-15)

    @two_engines
    def test_outer_and_inner_values_meet_in_one_array(self, outer: ModuleType, inner: ModuleType) -> None:
        # [x, y] . [y, x] = 2 x y
        def f(x: Any) -> Any:
            return x * inner.derivative(lambda y: np.sum(np.stack([x, y]) * np.stack([y, x])))(5.0)

        assert outer.derivative(f)(3.0) == 4 * 3.0


class TestInnerVariableUnused:
    """The inner derivative of what does not depend on the inner variable is zero, whatever else is traced."""

    @two_scalar_transforms
    def test_inner_value_is_the_outer_variable(self, outer: Transform, inner: Transform) -> None:
        assert outer(lambda x: x * inner(lambda y: x)(1.0))(3.0) == 0.0

    @two_scalar_transforms
    def test_inner_value_is_a_function_of_the_outer_variable(self, outer: Transform, inner: Transform) -> None:
        assert outer(lambda x: inner(lambda y: x * x)(x) + x)(3.0) == 1.0

    @two_scalar_transforms
    def test_inner_value_is_a_number(self, outer: Transform, inner: Transform) -> None:
        assert outer(lambda x: x * inner(lambda y: 4.0)(x))(3.0) == 0.0

    @two_scalar_transforms
    def test_outer_variable_unused_in_the_inner_derivative(self, outer: Transform, inner: Transform) -> None:
        assert outer(lambda x: inner(np.sin)(1.0))(3.0) == 0.0


# --- higher derivatives -------------------------------------------------------------------------------------


@three_engines
def test_third_derivative_of_sin_and_exp(outer: ModuleType, middle: ModuleType, inner: ModuleType) -> None:
    third = lambda f: outer.derivative(middle.derivative(inner.derivative(f)))  # noqa: E731 - reads as the formula
    assert third(np.sin)(0.5) == pytest.approx(-np.cos(0.5), rel=1e-14)
    assert third(np.exp)(0.5) == pytest.approx(np.exp(0.5), rel=1e-14)


@three_engines
def test_third_elementwise_derivative(outer: ModuleType, middle: ModuleType, inner: ModuleType) -> None:
    x = np.array([0.3, 1.0, 2.0])
    third = outer.elementwise_grad(middle.elementwise_grad(inner.elementwise_grad(np.log)))
    np.testing.assert_allclose(third(x), 2 / x**3, rtol=1e-13)


@over(SCALAR, "first", "second")
def test_fifth_derivative_of_a_fifth_power(first: Transform, second: Transform) -> None:
    f: Callable[..., Any] = lambda x: x * x * x * x * x  # noqa: E731 - replaced by its derivative in the loop
    for transform in (first, second, first, second, first):
        f = transform(f)
    assert f(3.0) == 120.0


A = np.array([[2.0, 1.0, 0.0], [1.0, 3.0, -1.0], [0.0, -1.0, 4.0]])


def energy(x: Any) -> Any:
    """A function with the gradient A x + cos x and the Hessian A - diag(sin x)."""
    return 0.5 * (x @ A @ x) + np.sum(np.sin(x))


POINT = np.array([0.2, -0.7, 1.3])
DIRECTION = np.array([1.0, -2.0, 0.5])
HESSIAN = A - np.diag(np.sin(POINT))

HESSIAN_VECTOR_PRODUCTS = {
    "jvp of grad": lambda outer, inner: outer.jvp(inner.grad(energy), (POINT,), (DIRECTION,))[1],
    "vjp of grad": lambda outer, inner: outer.vjp(inner.grad(energy), POINT)[1](DIRECTION)[0],
    "linearize of grad": lambda outer, inner: outer.linearize(inner.grad(energy), POINT)[1](DIRECTION),
    "grad of jvp": lambda outer, inner: outer.grad(lambda x: inner.jvp(energy, (x,), (DIRECTION,))[1])(POINT),
    "grad of grad . v": lambda outer, inner: outer.grad(lambda x: inner.grad(energy)(x) @ DIRECTION)(POINT),
    "grad of linearize": lambda outer, inner: outer.grad(lambda x: inner.linearize(energy, x)[1](DIRECTION))(POINT),
    "grad of vjp": lambda outer, inner: outer.grad(lambda x: inner.vjp(energy, x)[1](1.0)[0] @ DIRECTION)(POINT),
}


@pytest.mark.parametrize("form", HESSIAN_VECTOR_PRODUCTS)
@two_engines
def test_hessian_vector_product(outer: ModuleType, inner: ModuleType, form: str) -> None:
    result = HESSIAN_VECTOR_PRODUCTS[form](outer, inner)
    np.testing.assert_allclose(result, HESSIAN @ DIRECTION, rtol=1e-13)


@two_engines
def test_hessian_as_the_jacobian_of_the_gradient(outer: ModuleType, inner: ModuleType) -> None:
    np.testing.assert_allclose(outer.jacobian(inner.grad(energy))(POINT), HESSIAN, rtol=1e-14, atol=1e-15)


@two_engines
def test_hvp_inside_a_gradient(outer: ModuleType, inner: ModuleType) -> None:
    # d/dx v^T H(x) v = -cos(x) v^2
    result = outer.grad(lambda x: DIRECTION @ inner.hvp(energy, x, DIRECTION))(POINT)
    np.testing.assert_allclose(result, -np.cos(POINT) * DIRECTION**2, rtol=1e-13)


@two_engines
def test_hessian_inside_a_gradient(outer: ModuleType, inner: ModuleType) -> None:
    result = outer.grad(lambda x: np.trace(inner.hessian(energy)(x)))(POINT)
    np.testing.assert_allclose(result, -np.cos(POINT), rtol=1e-13)


@two_engines
def test_gradient_through_inner_gradient_descent(outer: ModuleType, inner: ModuleType) -> None:
    # y <- y - h a (y - x) takes y from 0 to x (1 - (1 - h a)^n) in n steps.
    a, h, n = 0.8, 0.5, 20

    def descend(x: Any) -> Any:
        y = 0.0
        for _ in range(n):
            y = y - h * inner.grad(lambda y: 0.5 * a * (y - x) * (y - x))(y)
        return y

    assert outer.derivative(descend)(3.0) == pytest.approx(1 - (1 - h * a) ** n, rel=1e-14)


# --- pullbacks and linear maps that cross transforms --------------------------------------------------------


@two_engines
def test_pullback_differentiated_by_its_cotangent(outer: ModuleType, inner: ModuleType) -> None:
    # J^T c is linear in c: the gradient of |J^T c|^2 / 2 is J J^T c.
    matrix = np.array([[1.0, 2.0, 0.0], [-1.0, 0.5, 3.0]])
    _, pullback = inner.vjp(lambda x: matrix @ x, np.ones(3))
    c = np.array([2.0, -1.0])
    result = outer.grad(lambda c: 0.5 * np.sum(pullback(c)[0] ** 2))(c)
    np.testing.assert_allclose(result, matrix @ (matrix.T @ c), rtol=1e-14)


@two_engines
def test_linear_map_differentiated_by_its_tangent(outer: ModuleType, inner: ModuleType) -> None:
    x = np.array([0.3, 0.9])
    _, f_jvp = inner.linearize(np.sin, x)
    t = np.array([2.0, -1.0])
    result = outer.grad(lambda t: 0.5 * np.sum(f_jvp(t) ** 2))(t)
    np.testing.assert_allclose(result, np.cos(x) ** 2 * t, rtol=1e-14)


@two_engines
def test_pullback_made_and_called_inside_another_transform(outer: ModuleType, inner: ModuleType) -> None:
    # x . (c cos x) with c = x^2 taken inside: d/dx x^3 cos x.
    def f(x: Any) -> Any:
        _, pullback = inner.vjp(np.sin, x)
        return np.sum(x * pullback(x * x)[0])

    np.testing.assert_allclose(outer.grad(f)(POINT), 3 * POINT**2 * np.cos(POINT) - POINT**3 * np.sin(POINT))


@three_engines
def test_pullback_between_two_transforms(outer: ModuleType, middle: ModuleType, inner: ModuleType) -> None:
    # The pullback belongs to x and is called where z varies: x^2 z^2, by z 2 x^2 z, at z = 2 x that is 4 x^3.
    def f(x: Any) -> Any:
        _, pullback = inner.vjp(lambda y: y * y * y / 3, x)
        return middle.derivative(lambda z: pullback(z * z)[0])(2.0 * x)

    assert outer.derivative(f)(1.5) == pytest.approx(12 * 1.5**2, rel=1e-15)


# --- values that outlive their differentiation --------------------------------------------------------------


@over(ENGINES, "engine")
def test_value_kept_in_a_global_is_refused_afterwards(engine: ModuleType) -> None:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.append(x * 2.0)
        return x * x

    assert engine.derivative(f)(3.0) == 6.0
    with pytest.raises(ClosedLevelError, match="ended"):
        kept[0] + 1.0


@over(ENGINES, "engine")
def test_value_kept_from_one_call_is_refused_in_the_next(engine: ModuleType) -> None:
    cache: dict[str, Any] = {}

    def f(x: Any) -> Any:
        return x * cache.setdefault("square", x * x)

    assert engine.derivative(f)(2.0) == 12.0
    with pytest.raises(ClosedLevelError):
        engine.derivative(f)(2.0)


@two_engines
def test_inner_value_used_by_the_outer_function_is_refused(outer: ModuleType, inner: ModuleType) -> None:
    def f(x: Any) -> Any:
        kept: list[Any] = []

        def g(y: Any) -> Any:
            kept.append(x * y)
            return kept[0]

        return inner.derivative(g)(2.0) + kept[0]

    with pytest.raises(ClosedLevelError):
        outer.derivative(f)(3.0)


@two_engines
def test_closure_over_an_inner_variable_is_refused_once_it_has_ended(outer: ModuleType, inner: ModuleType) -> None:
    def f(x: Any) -> Any:
        later: list[Callable[[], Any]] = []

        def g(y: Any) -> Any:
            later.append(lambda: x * y)
            return y * y

        slope = inner.derivative(g)(x)
        return slope * later[0]()

    with pytest.raises(ClosedLevelError):
        outer.derivative(f)(3.0)


@two_engines
def test_inner_value_assigned_into_an_outer_array_is_refused(outer: ModuleType, inner: ModuleType) -> None:
    def f(x: Any) -> Any:
        history = np.zeros_like(x)

        def g(y: Any) -> Any:
            history[0] = y
            return y * y

        inner.derivative(g)(2.0)
        return np.sum(history * x)

    with pytest.raises(DifferentiationError):
        outer.grad(f)(np.array([1.0, 2.0]))


@two_engines
def test_outer_value_assigned_into_an_inner_array(outer: ModuleType, inner: ModuleType) -> None:
    # [y0, y1] becomes [x^2, y1]: the inner gradient is [0, 2 x y1], at y1 = 3 x.
    def f(x: Any) -> Any:
        def g(y: Any) -> Any:
            z = y * 1.0
            z[0] = x * x
            return np.sum(z * z * x)

        return np.sum(inner.grad(g)(np.stack([x, 3.0 * x])))

    assert outer.derivative(f)(2.0) == pytest.approx(12 * 2.0, rel=1e-15)


# --- generators and iterators -------------------------------------------------------------------------------


@two_scalar_transforms
def test_inner_derivatives_taken_lazily(outer: Transform, inner: Transform) -> None:
    # sum over k of d/dy (x y^k) at y = 2 is x (1 + 4 + 12).
    def f(x: Any) -> Any:
        slopes = (inner(lambda y, k=k: x * y**k)(2.0) for k in (1, 2, 3))
        return x * sum(slopes)

    assert outer(f)(3.0) == pytest.approx(2 * 3.0 * 17, rel=1e-15)


@two_engines
def test_generator_resumed_inside_another_transform(outer: ModuleType, inner: ModuleType) -> None:
    # The generator was started by the outer function and is run on inside the inner one: x, x^2, x^3.
    def powers(x: Any) -> Iterator[Any]:
        power = x
        while True:
            yield power
            power = power * x

    def f(x: Any) -> Any:
        stream = powers(x)
        next(stream)
        slope = inner.derivative(lambda y: y * next(stream))(1.0)
        return slope * next(stream)

    assert outer.derivative(f)(2.0) == 5 * 2.0**4


@over(ENGINES, "engine")
def test_generator_resumed_after_its_transform_is_refused(engine: ModuleType) -> None:
    def powers(x: Any) -> Iterator[Any]:
        power = x
        while True:
            yield power
            power = power * x

    streams: list[Iterator[Any]] = []

    def f(x: Any) -> Any:
        streams.append(powers(x))
        return next(streams[0]) * 2.0

    assert engine.derivative(f)(2.0) == 2.0
    with pytest.raises(ClosedLevelError):
        next(streams[0])


@two_engines
def test_arrays_filled_with_a_value_of_the_inner_level(outer: ModuleType, inner: ModuleType) -> None:
    def f(x: Any) -> Any:
        return np.sum(np.full(2, x[0] * x[1], like=x) * x) + np.sum(np.full((3, 2), fill_value=x[0], like=x))

    # x0 x1 (x0 + x1) + 6 x0
    np.testing.assert_array_equal(outer.jacobian(inner.grad(f))(np.array([2.0, 3.0])), [[6.0, 10.0], [10.0, 4.0]])


@two_engines
def test_iteration_over_an_outer_array_inside_an_inner_function(outer: ModuleType, inner: ModuleType) -> None:
    # Horner's rule: d/dy (c0 + c1 y + c2 y^2) at y = 3 is c1 + 6 c2.
    def slope(coefficients: Any) -> Any:
        def polynomial(y: Any) -> Any:
            total = 0.0
            for c in coefficients[::-1]:
                total = total * y + c
            return total

        return inner.derivative(polynomial)(3.0)

    np.testing.assert_array_equal(outer.grad(slope)(np.array([5.0, 7.0, 11.0])), [0.0, 1.0, 6.0])


# --- stop_gradient at several levels ------------------------------------------------------------------------


@two_engines
class TestStopGradient:
    """It is the identity with a zero derivative at every level, whichever engine's it is and whichever traces
    it."""

    def test_of_the_outer_variable_inside(self, outer: ModuleType, inner: ModuleType) -> None:
        f = lambda x: x * inner.derivative(lambda y: inner.stop_gradient(x) * y)(5.0)  # noqa: E731 - the formula
        assert outer.derivative(f)(3.0) == 3.0

    def test_of_the_inner_variable(self, outer: ModuleType, inner: ModuleType) -> None:
        # Where [y] is y stopped at every level, d/dy [y] y x is [y] x, and by x, at y = x^2, this is x^2.
        f = lambda x: inner.derivative(lambda y: outer.stop_gradient(y) * y * x)(x * x)  # noqa: E731 - the formula
        assert outer.derivative(f)(2.0) == pytest.approx(2.0**2, rel=1e-15)

    def test_of_the_inner_derivative(self, outer: ModuleType, inner: ModuleType) -> None:
        f = lambda x: x * outer.stop_gradient(inner.derivative(lambda y: x * y * y)(x))  # noqa: E731 - the formula
        assert outer.derivative(f)(3.0) == 2 * 3.0**2

    def test_of_a_value_of_both_levels(self, outer: ModuleType, inner: ModuleType) -> None:
        f = lambda x: x + inner.derivative(lambda y: inner.stop_gradient(x * y) + x * y)(x)  # noqa: E731 - the formula
        assert outer.derivative(f)(3.0) == 2.0


# --- exceptions and threads ---------------------------------------------------------------------------------


@two_engines
def test_exception_in_the_inner_transform_leaves_the_outer_usable(outer: ModuleType, inner: ModuleType) -> None:
    def f(x: Any) -> Any:
        def fails(y: Any) -> Any:
            _ = x * y
            raise ArithmeticError("no derivative today")

        with pytest.raises(ArithmeticError, match="today"):
            inner.derivative(fails)(2.0)
        return x * inner.derivative(lambda y: x + y)(1.0) * x

    assert outer.derivative(f)(3.0) == 6.0


@two_engines
def test_exception_in_both_transforms_leaves_nothing_behind(outer: ModuleType, inner: ModuleType) -> None:
    def fails(y: Any) -> Any:
        raise ArithmeticError(y)

    with pytest.raises(ArithmeticError):
        outer.derivative(lambda x: inner.derivative(lambda y: fails(x * y))(2.0))(3.0)
    assert outer.derivative(lambda x: x * inner.derivative(lambda y: x + y)(1.0))(1.0) == 1.0


@two_engines
def test_threads_nest_at_the_same_time(outer: ModuleType, inner: ModuleType) -> None:
    # Each thread has its own power: d/dx x d/dy (x y^k) at y = x is d/dx k x^(k+1).
    def nested(k: int) -> float:
        f = lambda x: x * inner.derivative(lambda y: x * y**k)(x)  # noqa: E731 - the formula
        return float(outer.derivative(f)(1.5))

    powers = [k % 8 + 1 for k in range(64)]
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(nested, powers))
    np.testing.assert_allclose(results, [k * (k + 1) * 1.5**k for k in powers], rtol=1e-14)


@two_engines
def test_value_of_another_thread_is_refused_or_right(outer: ModuleType, inner: ModuleType) -> None:
    # A tape belongs to the thread that made it; a dual number has none, and may be computed with anywhere.
    def f(x: Any) -> Any:
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: x * inner.derivative(lambda y: x * y)(1.0)).result()

    if outer is reversead:
        with pytest.raises(ClosedLevelError, match="thread"):
            outer.derivative(f)(3.0)
    else:
        assert outer.derivative(f)(3.0) == 6.0


# --- kinds of numbers -------------------------------------------------------------------------------------------------


@two_engines
@pytest.mark.parametrize("x", [1.5, np.float64(1.5), np.float32(1.5), np.array(1.5), 1.5 + 0.5j])
def test_a_derivative_is_the_kind_of_number_that_it_is_outside(outer: ModuleType, inner: ModuleType, x: Any) -> None:
    """A Python float that became a float64 inside would make float64 of the single precision beside it."""
    seen = []

    def f(x: Any, unused: Any) -> Any:
        slopes = inner.grad(lambda x, unused: np.real(x * x), argnums=(0, 1))(x, unused)
        seen.extend(slope.primal for slope in slopes)
        return slopes

    out, tangent = outer.jvp(f, (x, x), (x, x))
    for found in (*out, *tangent, *seen):
        assert type(found) is type(x)
        assert getattr(found, "dtype", None) == getattr(x, "dtype", None)
    assert out == (2 * x, 0)


@two_engines
def test_single_precision_stays_beside_the_slope_of_a_python_float(outer: ModuleType, inner: ModuleType) -> None:
    samples = np.ones(3, np.float32)

    def f(rate: float) -> Any:
        return inner.derivative(lambda r: r * r)(rate) * samples

    assert f(1.5).dtype == np.float32
    out, tangent = outer.jvp(f, (1.5,), (1.0,))
    assert out.dtype == tangent.dtype == np.float32


def test_hessian_vector_products_of_a_python_float_are_python_floats() -> None:
    for engine in ENGINES:
        product = engine.hvp(lambda x, y: x**3 * np.sum(y), (2.0, np.ones(2)), (1.0, np.ones(2)), argnums=(0, 1))
        assert type(product[0]) is float
        assert product[0] == 48.0


# --- arrays without axes, and arrays filled with a traced number ------------------------------------------------------


@two_engines
def test_an_array_is_filled_with_a_number_of_two_levels(outer: ModuleType, inner: ModuleType) -> None:
    """np.full asks its `like` alone, which may be of a lower level than the number."""
    f = lambda x: inner.grad(lambda y: np.sum(np.full(2, y[0] ** 3, like=y)))(x)[0]  # noqa: E731 - the formula
    np.testing.assert_allclose(outer.grad(f)(np.array([2.0, 5.0])), [24.0, 0.0])
    g = lambda x: inner.derivative(lambda y: np.sum(np.full(2, x * y * y, like=x)))(x)  # noqa: E731
    assert outer.derivative(g)(3.0) == 24.0
    h = lambda x: inner.derivative(lambda y: np.sum(np.full(2, x * x, like=y) * y))(x)  # noqa: E731
    assert outer.derivative(h)(3.0) == 12.0


@two_engines
def test_an_array_without_axes_is_written_to_at_two_levels(outer: ModuleType, inner: ModuleType) -> None:
    """NumPy makes numbers of such arrays when it computes with them, and numbers cannot be written to."""

    def f(y: Any) -> Any:
        total = np.zeros_like(y[0])
        total += y[0]
        total[...] = total * y[1]
        part = np.where(y[0] > 0, y[0], 1.0)
        part[np.abs(part) < 9.0] *= part
        total[()] += part
        total.fill(total * total)
        return total

    # (a b + a a)^2 = a^2 (a + b)^2, of which the inner derivative is by a and b, and the outer one by a.
    x = np.array([2.0, 3.0])
    hessian = outer.jacobian(inner.grad(f))(x)
    a, b = x
    s = a + b
    np.testing.assert_allclose(hessian, [[2 * s * s + 8 * a * s + 2 * a * a, 4 * a * s + 2 * a * a],
                                         [4 * a * s + 2 * a * a, 2 * a * a]])  # fmt: skip
