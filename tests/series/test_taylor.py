"""Taylor mode: closed forms to high order, curves, containers, nesting, assignment, singular points, refusals."""

from __future__ import annotations

import math
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from shared import (
    ClosedLevelError,
    LeafTypeError,
    ShapeError,
    TracerConversionError,
    checkpoint,
    custom_derivative,
    sigmoid,
    taylor,
    trace,
    vmap,
)
from shared import compile as compile_

X, V = np.array([0.3, 0.6, 0.8]), np.array([1.0, 0.5, -0.7])


def program(x: Any) -> Any:
    """A number, by several kinds of operations."""
    return np.sum(np.sin(x) * np.exp(x[::-1]) / (1 + x)) + (x @ x) ** 2.5 + np.cbrt(x[0]) * np.maximum(x, 0.5)[1]


def derivatives(f: Any, order: int) -> float:
    """The derivative of that order of f along V at X, by nesting."""
    for _ in range(order):
        f = (lambda g: lambda x: dualad.jvp(g, (x,), (V,))[1])(f)
    return f(X)  # type: ignore[no-any-return]


# --- closed forms -----------------------------------------------------------------------------------------------------


def bernoulli(n: int) -> Fraction:
    """B_n, by its recurrence."""
    found = [Fraction(1)]
    for m in range(1, n + 1):
        found.append(-sum((math.comb(m + 1, k) * found[k] for k in range(m)), Fraction(0)) / (m + 1))
    return found[n]


def of_tan(k: int) -> Fraction:
    """Abramowitz & Stegun 1964, 4.3.67."""
    if k % 2 == 0:
        return Fraction(0)
    n = k + 1
    return (-1) ** (n // 2 - 1) * 2**n * (2**n - 1) * bernoulli(n) / math.factorial(n)


def fibonacci(k: int) -> int:
    a, b = 0, 1
    for _ in range(k):
        a, b = b, a + b
    return a


CLOSED_FORMS: dict[str, tuple[Any, Any]] = {
    "exp": (np.exp, lambda k: Fraction(1, math.factorial(k))),
    "sin": (np.sin, lambda k: Fraction(0 if k % 2 == 0 else (-1) ** (k // 2), math.factorial(k))),
    "cosh": (np.cosh, lambda k: Fraction(1 - k % 2, math.factorial(k))),
    "geometric": (lambda x: 1 / (1 - x), lambda k: Fraction(1)),
    "log1p": (np.log1p, lambda k: Fraction((-1) ** (k + 1), k) if k else Fraction(0)),
    "arctan": (np.arctan, lambda k: Fraction((-1) ** (k // 2), k) if k % 2 else Fraction(0)),
    "arcsin": (np.arcsin, lambda k: Fraction(math.comb(k - 1, k // 2), 2 ** (k - 1) * k) if k % 2 else Fraction(0)),
    "tan": (np.tan, of_tan),
    "tanh": (np.tanh, lambda k: of_tan(k) * (-1) ** (k // 2)),
    "sigmoid": (sigmoid, lambda k: of_tan(k) * (-1) ** (k // 2) / 2 ** (k + 1) + Fraction(int(k == 0), 2)),
    "Catalan": (
        lambda x: np.sqrt(1 - 4 * x),
        lambda k: Fraction(-2 * math.comb(2 * k - 2, k - 1), k) if k else Fraction(1),
    ),
    "Fibonacci": (lambda x: x / (1 - x - x * x), lambda k: Fraction(fibonacci(k))),
    "binomial": (lambda x: (1 + x) ** 12, lambda k: Fraction(math.comb(12, k))),
    "by a rule": (lambda x: np.logaddexp(x, 0.0), lambda k: of_softplus(k)),
}


def of_softplus(k: int) -> Any:
    """The integral of the sigmoid function."""
    return CLOSED_FORMS["sigmoid"][1](k - 1) / k if k else math.log(2.0)


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_closed_forms_to_order_20(name: str) -> None:
    function, coefficient = CLOSED_FORMS[name]
    found = taylor(function, 0.0, 1.0, 20)
    np.testing.assert_allclose(found, [float(coefficient(k)) for k in range(21)], rtol=1e-13, atol=1e-18)


def test_derivatives_of_an_order_where_factorials_overflow() -> None:
    assert dualad.derivative(np.exp, order=200)(0.0) == pytest.approx(1.0, rel=1e-13)
    assert reversead.derivative(np.sin, order=301)(0.0) == pytest.approx(1.0, rel=1e-13)
    single = dualad.derivative(np.exp, order=60)(np.float32(0.0))
    assert single == pytest.approx(1.0, rel=1e-5) and single.dtype == np.float32
    assert dualad.derivative(lambda x: 1 / (1 - x), order=165)(0.0) == pytest.approx(math.factorial(165), rel=1e-12)
    assert dualad.derivative(lambda x: 1 / (1 - x), order=171)(0.0) == math.inf


@pytest.mark.parametrize("order", range(6))
def test_derivative_of_an_order_is_the_nested_one(ad: ModuleType, order: int) -> None:
    def f(t: Any) -> Any:
        return {"a": np.sin(t) * t**3, "b": [np.exp(t) * np.ones(2)]}

    nested = f
    for _ in range(order):
        nested = ad.derivative(nested)
    found, expected = ad.derivative(f, order=order)(0.7), nested(0.7)
    np.testing.assert_allclose(found["a"], expected["a"], rtol=1e-13)
    np.testing.assert_allclose(found["b"][0], expected["b"][0], rtol=1e-13)


def test_derivative_of_an_order_by_several_arguments_with_aux(ad: ModuleType) -> None:
    found, aux = ad.derivative(lambda x, y: (x**3 * y**4, "aux"), argnums=("y", 0), has_aux=True, order=2)(2.0, 3.0)
    assert found == (8.0 * 12 * 9, 12.0 * 81) and aux == "aux"


def test_derivative_of_an_order_by_a_complex_number(ad: ModuleType) -> None:
    z = 0.3 + 0.4j
    assert ad.derivative(lambda z: np.exp(2 * z), order=5)(z) == pytest.approx(32 * np.exp(2 * z))
    with pytest.raises(ShapeError, match="holomorphic"):
        ad.derivative(lambda z: z * np.conjugate(z) * z, order=2)(z)


# --- what curves and values may be ------------------------------------------------------------------------------------


def test_a_curve_has_the_coefficients_of_the_composition() -> None:
    higher = [np.array([0.2, -0.1, 0.4]), np.array([-0.3, 0.0, 0.1])]

    def along(t: Any) -> Any:
        return program(X + t * V + t**2 * higher[0] + t**3 * higher[1])

    found, expected = taylor(program, X, V, 5, higher=higher), taylor(along, 0.0, 1.0, 5)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_containers_names_and_aux() -> None:
    def f(scale: Any, at: Any) -> Any:
        return {"y": at["x"] * scale, "z": (at["x"] ** 2 + at["w"],)}, "aux"

    at, v = {"x": X, "w": 2.0}, {"x": V, "w": -1.0}
    found, aux = taylor(f, (3.0, at), v, 2, True, argnums="at")
    assert aux == "aux" and found[0]["z"][0].shape == (3,)
    np.testing.assert_allclose(found[1]["y"], 3 * V)
    np.testing.assert_allclose(found[1]["z"][0], 2 * X * V - 1)
    np.testing.assert_allclose(found[2]["z"][0], V * V)
    both = taylor(lambda x, y: x * y, (2.0, 3.0), (1.0, 10.0), 3, argnums=(0, 1))
    assert both == [6.0, 23.0, 10.0, 0.0]


@pytest.mark.parametrize("dtype", [np.float32, np.complex64, np.complex128])
def test_dtypes_stay(dtype: Any) -> None:
    x, v = X.astype(dtype), V.astype(dtype)
    found = taylor(lambda x: np.sin(x) * x**2 / (1 + x) + 2.5 * x**1.5 + np.tanh(x) + np.cbrt(np.abs(x)), x, v, 3)
    assert [c.dtype for c in found] == [np.dtype(dtype)] * 4


def test_python_numbers_are_weak() -> None:
    found = taylor(lambda a: (a * a + a**0.5) * np.ones(2, np.float32), 2.0, 1.0, 3)
    assert [c.dtype for c in found] == [np.float32] * 4
    assert [type(c) for c in taylor(lambda a: a * a / (1 + a), 2.0, 1.0, 3)] == [float] * 4


def test_a_constant_and_an_integer_have_zero_coefficients() -> None:
    assert taylor(lambda x: 3, 1.0, 1.0, 2) == [3, 0.0, 0.0]
    found = taylor(lambda x: np.floor(x), X, V, 2)
    assert np.all(found[1] == 0) and found[1].shape == (3,)
    assert taylor(np.sin, 2, 1, 1)[1] == pytest.approx(np.cos(2.0))


# --- nesting ----------------------------------------------------------------------------------------------------------


def test_engines_around_and_inside(ad: ModuleType) -> None:
    third = ad.grad(lambda x: 6 * taylor(program, x, V, 3)[3])(X)
    second_of_gradient = taylor(ad.grad(program), X, V, 2)[2]
    np.testing.assert_allclose(third @ V, derivatives(program, 4), rtol=1e-10)
    np.testing.assert_allclose(2 * second_of_gradient @ V, derivatives(program, 3), rtol=1e-10)
    by_direction = ad.grad(lambda v: taylor(program, X, v, 2)[2])(V)
    np.testing.assert_allclose(by_direction, ad.hessian(program)(X) @ V, rtol=1e-10)


def test_a_series_of_a_coefficient() -> None:
    found = taylor(lambda x: taylor(program, x, V, 2)[2], X, V, 2)
    np.testing.assert_allclose(found[2] / 6, taylor(program, X, V, 4)[4], rtol=1e-11)


def test_vmap_around_and_inside() -> None:
    points = np.stack([X, X + 0.1])
    each = vmap(lambda x: taylor(program, x, V, 3)[3])(points)
    np.testing.assert_allclose(each, [taylor(program, x, V, 3)[3] for x in points], rtol=1e-12)
    along = vmap(lambda v: taylor(program, X, v, 2)[2])(np.eye(3))
    np.testing.assert_allclose(2 * along, np.diag(reversead.hessian(program)(X)), rtol=1e-11)
    inside = taylor(lambda x: np.sum(vmap(lambda a: np.sin(a) * a)(x)), X, V, 4)
    np.testing.assert_allclose(inside, taylor(lambda x: np.sum(np.sin(x) * x), X, V, 4), rtol=1e-12)


def test_records_and_compiled_functions_hold_it() -> None:
    def f(x: Any) -> Any:
        return taylor(lambda x: program(x) + np.sum(x**0.5 + np.where(x > 0.4, x, 0.0) ** 3.5), x, V, 3)

    recorded, compiled = trace(f, X), compile_(f)
    for x in (X, X + 0.05):
        np.testing.assert_allclose(recorded(x), f(x), rtol=1e-13)
        np.testing.assert_allclose(compiled(x), f(x), rtol=1e-13)
    np.testing.assert_allclose(taylor(compile_(program), X, V, 3), taylor(program, X, V, 3), rtol=1e-13)


def test_checkpoints_save_and_change_nothing() -> None:
    plain = reversead.grad(lambda x: taylor(program, x, V, 3)[3])(X)
    for around in (
        reversead.grad(lambda x: taylor(checkpoint(program), x, V, 3)[3]),
        reversead.grad(checkpoint(lambda x: taylor(program, x, V, 3)[3])),
    ):
        np.testing.assert_allclose(around(X), plain, rtol=1e-12)
    found = taylor(reversead.grad(checkpoint(program)), X, V, 3)[3]
    np.testing.assert_allclose(found, taylor(reversead.grad(program), X, V, 3)[3], rtol=1e-12)


# --- functions with rules of their own --------------------------------------------------------------------------------


def test_rules_of_ones_own_are_expanded(ad: ModuleType) -> None:
    calls = []

    @custom_derivative(jvp=lambda tangents, out, x: tangents[0] / (2 * out))
    def root(x: Any) -> Any:
        calls.append(x)
        return math.sqrt(x)

    @custom_derivative(vjp=lambda c, out, x: (c * cosine(x),))
    def sine(x: Any) -> Any:
        return np.array([math.sin(a) for a in x])

    @custom_derivative(vjp=lambda c, out, x: (-c * sine(x),))
    def cosine(x: Any) -> Any:
        return np.array([math.cos(a) for a in x])

    found = taylor(lambda x: root(x * x + x), 2.0, 1.0, 8)
    np.testing.assert_allclose(found, taylor(lambda x: np.sqrt(x * x + x), 2.0, 1.0, 8), rtol=1e-12)
    assert calls == [6.0]
    found = taylor(lambda x: sine(x * x + x), X, V, 8)
    np.testing.assert_allclose(found, taylor(lambda x: np.sin(x * x + x), X, V, 8), rtol=1e-11, atol=1e-13)
    slope = ad.grad(lambda x: taylor(lambda x: np.sum(sine(x * x)), x, V, 3)[3])(X)
    np.testing.assert_allclose(slope, ad.grad(lambda x: taylor(lambda x: np.sum(np.sin(x * x)), x, V, 3)[3])(X))


def test_a_rule_that_closes_over_a_series_is_refused() -> None:
    @custom_derivative(jvp=lambda tangents, out, x: tangents[0] * held[0])
    def double(x: Any) -> Any:
        return 2.0 * x

    held: list[Any] = []

    def f(x: Any) -> Any:
        held[:] = [x]
        return double(x * x)

    with pytest.raises(TracerConversionError, match="closes over"):
        taylor(f, 2.0, 1.0, 3)


# --- assignment and views ---------------------------------------------------------------------------------------------


def test_assignment_has_the_meaning_that_numpy_gives_it() -> None:
    def assigned(x: Any) -> Any:
        y = np.zeros_like(x)
        y[0] = x[1] * x[2]
        y[1:] = np.sin(x[:2])
        part = y[1:]
        part[0] = part[0] * x[0]
        y[2] += x[0] ** 2
        np.add.at(y, [0, 0], x[:2])
        y *= x
        before = y.copy()
        y[1] = 1.0
        y[x > 0.7] = x[0]
        return before, y

    def pure(x: Any) -> Any:
        y = np.stack([x[1] * x[2] + x[0] + x[1], np.sin(x[0]) * x[0], np.sin(x[1]) + x[0] ** 2]) * x
        return y, np.stack([y[0], 1.0 + 0 * x[0], x[0]])

    for found, expected in zip(taylor(assigned, X, V, 4), taylor(pure, X, V, 4), strict=True):
        for part, want in zip(found, expected, strict=True):
            np.testing.assert_allclose(part, want, rtol=1e-13, atol=1e-15)


def test_an_assignment_leaves_other_series_alone() -> None:
    def f(x: Any) -> Any:
        y = x * x
        same, copied, positive = y, y.copy(), +y
        y[0] = x[1]
        return same[0] + 10 * copied[0] + 100 * positive[0]

    assert taylor(f, X, V, 2)[1] == pytest.approx(V[1] + 110 * 2 * X[0] * V[0])
    with pytest.raises(IndexError):
        taylor(lambda x: (x * 1).__setitem__(7, x[0]), X, V, 2)


def test_an_argument_is_not_changed() -> None:
    x = X.copy()

    def f(x: Any) -> Any:
        x[0] = x[1]
        return x

    taylor(f, x, V, 2)
    assert np.array_equal(x, X)


# --- singular points --------------------------------------------------------------------------------------------------

SINGULAR = {
    "sqrt": np.sqrt,
    "square": lambda x: x**2,
    "cube": lambda x: x**3.0,
    "5 / 2": lambda x: x**2.5,
    "1 / 2": lambda x: x**0.5,
    "-1": lambda x: x**-1.0,
    "array": lambda x: x ** np.array([2.0, 3.0, 1.0]),
    "chosen": lambda x: np.where(x > 0, np.sqrt(x), 0),
    "cbrt": np.cbrt,
    "log": np.log,
    "reciprocal": lambda x: 1 / x,
    "base zero": lambda x: 0.0 ** (x + 1),
    "sinc": np.sinc,
    "maximum": lambda x: np.maximum(x, 0),
}


@pytest.mark.parametrize("name", SINGULAR)
@pytest.mark.parametrize("v", [np.ones(3), np.array([0.0, 1.0, 0.0])], ids=["all vary", "zero stays"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_singular_points_are_as_in_the_first_order_modes(name: str, v: Any) -> None:
    f, x = SINGULAR[name], np.array([0.0, 1.0, -0.0])
    found, nested = taylor(f, x, v, 3), f
    for k in range(4):
        np.testing.assert_allclose(math.factorial(k) * found[k], nested(x), rtol=1e-12, atol=1e-14, err_msg=str(k))
        nested = (lambda g: lambda x: dualad.jvp(g, (x,), (v,))[1])(nested)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_power_of_both_at_zero_has_no_plausible_number() -> None:
    # x**(x + 2) = x^2 + x^3 log x + ...
    assert taylor(lambda x: x ** (x + 2), 0.0, 1.0, 2) == [0.0, 0.0, 1.0]
    assert math.isnan(taylor(lambda x: x ** (x + 2), 0.0, 1.0, 3)[3])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_curve_that_begins_with_a_square_is_not_taken_for_one_that_stays() -> None:
    # (t^2)^(5/2) is |t|^5, and the root of t^2 is |t|.
    higher = [1.0, 0.0, 0.0, 0.0]
    assert taylor(lambda x: x**2.5, 0.0, 0.0, 5, higher=higher)[:3] == [0.0, 0.0, 0.0]
    assert math.isnan(taylor(lambda x: x**2.5, 0.0, 0.0, 5, higher=higher)[5])
    assert math.isnan(taylor(np.sqrt, 0.0, 0.0, 2, higher=[1.0])[1])
    still = taylor(lambda x: np.sqrt(x) + x**2.5, np.zeros(2), np.zeros(2), 3, higher=[np.array([0.0, 1.0])])
    assert [c[0] for c in still] == [0.0] * 4 and math.isnan(still[1][1])


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1.5, "2", None, True, np.float64(2)])
def test_an_order_is_an_integer(order: Any) -> None:
    with pytest.raises(TypeError, match="order must be an integer"):
        taylor(np.sin, 0.0, 1.0, order)
    if order is not True:
        with pytest.raises(TypeError, match="order must be an integer"):
            dualad.derivative(np.sin, order=order)


def test_an_order_is_not_negative(ad: ModuleType) -> None:
    with pytest.raises(ValueError, match=r"order=-1 \(at .*test_taylor.py"):
        taylor(np.sin, 0.0, 1.0, -1)
    with pytest.raises(ValueError, match="order=-2"):
        ad.derivative(np.sin, order=-2)


def test_order_zero_is_the_value(ad: ModuleType) -> None:
    assert taylor(np.exp, 0.0, 1.0, 0) == [1.0]
    assert ad.derivative(np.exp, order=0)(0.0) == 1.0
    assert taylor(np.exp, 0.0, 1.0, np.int64(1)) == [1.0, 1.0]


def test_directions_that_do_not_fit() -> None:
    with pytest.raises(ShapeError, match="shape"):
        taylor(np.sin, X, np.ones(2), 2)
    with pytest.raises(ShapeError, match="structure"):
        taylor(np.sin, X, [V, V], 2)
    with pytest.raises(ShapeError, match="shape"):
        taylor(np.sin, X, V, 3, higher=[1.0])
    with pytest.raises(ValueError, match="no use for more than 2"):
        taylor(np.sin, X, V, 2, higher=[V, V])
    with pytest.raises(TypeError, match="higher is a float"):
        taylor(np.sin, 1.0, 1.0, 2, higher=1.0)
    with pytest.raises(ShapeError, match="x is a sequence of all arguments"):
        taylor(np.sin, X, V, 2, argnums=0)
    with pytest.raises(LeafTypeError):
        taylor(np.sin, 1.0, 1j, 2)
    with pytest.raises(LeafTypeError):
        taylor(np.sin, "x", 1.0, 2)
    with pytest.raises(ShapeError):
        dualad.derivative(np.sin, order=2)(X)


def test_a_series_has_no_meaning_outside() -> None:
    kept = []
    taylor(lambda x: kept.append(x) or x, 1.0, 1.0, 2)
    with pytest.raises(ClosedLevelError):
        np.sin(kept[0])


def test_a_chain_of_rules_deeper_than_python_is_refused_by_name() -> None:
    with pytest.raises(RecursionError, match="order=400 is too high for power"):
        taylor(lambda x: x ** np.array([2.5, 1.5, 0.5]), X, V, 400)
