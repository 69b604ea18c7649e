"""Functions with derivative rules of their own: closed forms in both engines and at every order, and errors."""

from __future__ import annotations

import gc
import math
import re
import weakref
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

import dualad
import reversead
from shared import check_grads, count_operations, tree_map
from shared.batching.batched import report_loops
from shared.batching.vmap import vmap
from shared.core.errors import (
    ClosedLevelError,
    LeafTypeError,
    LinearityError,
    RegistrationError,
    ShapeError,
    TracerConversionError,
)
from shared.linear.custom import custom_derivative

ENGINES = (dualad, reversead)
over_engines = pytest.mark.parametrize("outer", ENGINES, ids=lambda engine: f"{engine.__name__}-over")


def square_root(x: float) -> float:
    """The square root, by Python's own float function."""
    return math.sqrt(x)


def root_jvp(tangents: Any, out: Any, x: Any) -> Any:
    return tangents[0] / (2 * out)


def root_vjp(cotangent: Any, out: Any, x: Any) -> Any:
    return (cotangent / (2 * out),)


ROOTS = {
    "jvp": custom_derivative(square_root, jvp=root_jvp),
    "vjp": custom_derivative(square_root, vjp=root_vjp),
    "both": custom_derivative(square_root, jvp=root_jvp, vjp=root_vjp),
}
roots = pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS.keys())

# --- one rule, every derivative ---------------------------------------------------------------------------------------


@roots
def test_every_transform_of_a_function_of_one_number(ad: Any, root: Any) -> None:
    assert root(4.0) == 2.0
    assert ad.derivative(root)(4.0) == ad.grad(root)(4.0) == ad.jacobian(root)(4.0) == 0.25
    assert ad.value_and_grad(root)(4.0) == (2.0, 0.25)
    assert ad.jvp(root, (4.0,), (3.0,)) == (2.0, 0.75)
    out, pullback = ad.vjp(root, 4.0)
    assert (out, pullback(3.0), pullback(4.0)) == (2.0, (0.75,), (1.0,))
    out, f_jvp = ad.linearize(root, 4.0)
    assert (out, f_jvp(3.0), f_jvp(4.0)) == (2.0, 0.75, 1.0)
    assert ad.hessian(root)(4.0) == -1 / 32
    assert ad.hvp(root, 4.0, 3.0) == -3 / 32


@roots
@over_engines
def test_derivatives_of_all_orders_in_every_nesting(ad: Any, outer: Any, root: Any) -> None:
    for of_outer in (outer.derivative, outer.grad):
        for of_inner in (ad.derivative, ad.grad):
            assert of_outer(of_inner(root))(4.0) == pytest.approx(-1 / 32, rel=1e-15)
            assert of_inner(of_outer(of_inner(root)))(4.0) == pytest.approx(3 / 256, rel=1e-15)


@roots
def test_the_checker_passes_it(root: Any) -> None:
    check_grads(lambda x, y: root(x * y) + y * root(x), 2.0, 3.0, engines=ENGINES, order=2)


@roots
def test_within_other_operations(ad: Any, root: Any) -> None:
    def f(x: Any) -> Any:
        y = np.zeros_like(x)
        for k in range(len(x)):
            y[k] = root(x[k]) * root(x[0])
        y *= 2.0
        return y

    x = np.array([1.0, 4.0, 9.0])
    expected = np.diag(1 / np.sqrt(x))
    expected[:, 0] += np.sqrt(x)
    np.testing.assert_allclose(ad.jacobian(f)(x), expected, rtol=1e-14)


@over_engines
def test_what_runs_and_what_the_rules_see(ad: Any, outer: Any) -> None:
    """f and, in the innermost place, its rules run on plain values, whatever is nested around them."""
    seen = []

    def cube(x: Any) -> float:
        seen.append(type(x))
        return float(x) ** 3

    f = custom_derivative(cube, jvp=lambda tangents, out, x: 3 * x * x * tangents[0])
    assert outer.derivative(ad.derivative(f))(2.0) == 12.0
    assert set(seen) == {float}


# --- arguments and results --------------------------------------------------------------------------------------------

Point = namedtuple("Point", "x y")


def moments_jvp(tangents: Any, out: Any, data: Any, scale: Any) -> Any:
    d, s = tangents
    total = scale * (d["a"].sum() + d["b"][0].x) + s * (data["a"].sum() + data["b"][0].x)
    return {"total": total, "parts": (d["a"] * data["b"][0].y + data["a"] * d["b"][0].y, None)}


@partial(custom_derivative, jvp=moments_jvp)
def moments(data: Any, scale: Any) -> Any:
    a, (point,) = data["a"], data["b"]
    return {"total": float(scale * (a.sum() + point.x)), "parts": (np.asarray(a * point.y), len(a))}


def plain_moments(data: Any, scale: Any) -> Any:
    a, (point,) = data["a"], data["b"]
    return {"total": scale * (a.sum() + point.x), "parts": (a * point.y, len(a))}


DATA = {"a": np.array([1.0, 2.0, 3.0]), "b": [Point(0.5, 2.0)], "none": None}


def of_moments(f: Callable[..., Any], data: Any, scale: Any) -> Any:
    out = f(data, scale)
    return out["total"] ** 2 * out["parts"][0] / out["parts"][1]


@over_engines
def test_containers_in_arguments_and_results(ad: Any, outer: Any) -> None:
    found = ad.jacobian(partial(of_moments, moments), (0, 1))(DATA, 1.5)
    expected = ad.jacobian(partial(of_moments, plain_moments), (0, 1))(DATA, 1.5)
    tree_map(partial(np.testing.assert_allclose, rtol=1e-14), found, expected)

    def gradient(f: Any, engine: Any) -> Any:
        return engine.grad(lambda data, scale: np.sum(of_moments(f, data, scale)), (0, 1))

    second = outer.jvp(gradient(moments, ad), (DATA, 1.5), (DATA, 1.0))[1]
    expected = outer.jvp(gradient(plain_moments, ad), (DATA, 1.5), (DATA, 1.0))[1]
    tree_map(partial(np.testing.assert_allclose, rtol=1e-13), second, expected)


def test_the_tapes_forward_sweep_with_several_outputs() -> None:
    _, of_custom = reversead.linearize(partial(of_moments, moments), DATA, 1.5)
    _, of_plain = reversead.linearize(partial(of_moments, plain_moments), DATA, 1.5)
    for scale in (1.0, -2.0):
        np.testing.assert_allclose(of_custom(DATA, scale), of_plain(DATA, scale), rtol=1e-14)


def test_a_rule_runs_once_for_all_outputs() -> None:
    calls = []

    def split_vjp(cotangent: Any, out: Any, x: Any) -> Any:
        calls.append(cotangent)
        return (cotangent[0] * np.cos(x) + 2 * cotangent[1] * x + 0 * cotangent[2],)

    split = custom_derivative(lambda x: (np.sin(x), x * x, np.zeros(3)), vjp=split_vjp)

    def f(x: Any) -> Any:
        first, second, _ = split(x)
        return np.sum(first * second)

    x = np.array([0.5, 1.0, 2.0])
    np.testing.assert_allclose(reversead.grad(f)(x), np.cos(x) * x * x + np.sin(x) * 2 * x, rtol=1e-14)
    assert len(calls) == 1
    np.testing.assert_array_equal(calls[0][2], np.zeros(3))


def test_no_rule_runs_for_outputs_that_nothing_needs() -> None:
    f = custom_derivative(np.sin, vjp=lambda c, out, x: pytest.fail("was called"))
    assert reversead.grad(lambda x: [x**2, f(x)][0])(3.0) == 6.0


def test_an_argument_passed_twice(ad: Any) -> None:
    product = custom_derivative(lambda x, y: float(x * y), vjp=lambda c, out, x, y: (c * y, c * x))
    assert ad.grad(lambda x: product(x, x))(3.0) == 6.0
    assert ad.grad(ad.grad(lambda x: product(x, x)))(3.0) == 2.0


@pytest.mark.parametrize("rule", ["jvp", "vjp"])
def test_arguments_without_a_derivative_are_handed_on(ad: Any, rule: str) -> None:
    seen: list[Any] = []

    def choose(x: Any, rows: Any, mask: Any, name: str, function: Any, n: int, *, keyword: int) -> Any:
        seen.append((rows, mask, name, function, n, keyword))
        return np.where(mask, x[rows], 0.0) * n * keyword

    def jvp(tangents: Any, out: Any, x: Any, *rest: Any, keyword: int) -> Any:
        assert tangents[1:] == (None,) * 5
        seen.append((*rest, keyword))
        return choose(tangents[0], *rest, keyword=keyword)

    def vjp(c: Any, out: Any, x: Any, rows: Any, mask: Any, *rest: Any, keyword: int) -> Any:
        pulled = np.zeros(len(x), like=c)
        for k, row in enumerate(rows):
            pulled[row] += c[k] * mask[k] * rest[-1] * keyword
        return pulled, None, None, None, None, None

    f = custom_derivative(choose, **{rule: jvp if rule == "jvp" else vjp})
    rows, mask = np.array([0, 2, 2]), np.array([True, True, False])
    found = ad.jacobian(lambda x: f(x, rows, mask, "name", math.sin, 3, keyword=2))(np.ones(3))
    np.testing.assert_array_equal(found, [[6, 0, 0], [0, 0, 6], [0, 0, 0]])
    for given in seen:
        np.testing.assert_array_equal(given[0], rows)
        assert given[2:] == ("name", math.sin, 3, 2)


def test_defaults_and_keywords_of_positional_parameters(ad: Any) -> None:
    """However it is called, the rules see the same arguments, defaults included."""
    seen = []

    def power(x: Any, n: Any = 3.0, *, scale: float = 1.0) -> Any:
        return scale * float(x) ** float(n)

    def vjp(c: Any, out: Any, x: Any, n: Any, *, scale: float) -> Any:
        seen.append((x, n, scale))
        return c * scale * n * x ** (n - 1), c * out * np.log(x)

    f = custom_derivative(power, vjp=vjp)
    assert ad.grad(f)(2.0) == ad.grad(lambda x: f(x, 3.0))(2.0) == ad.grad(lambda x: f(n=3.0, x=x))(2.0) == 12.0
    assert ad.grad(lambda n: f(2.0, n=n, scale=1.0))(3.0) == pytest.approx(8 * math.log(2))
    assert ad.grad(f, argnums="x")(x=2.0) == 12.0
    assert ad.grad(lambda x: f(x, scale=0.5))(2.0) == 6.0
    assert set(seen) == {(2.0, 3.0, 1.0), (2.0, 3.0, 0.5)}
    with pytest.raises(TypeError, match="argument"):
        ad.grad(lambda x: f(x, 3.0, 1.0))(2.0)


def test_none_as_a_cotangent_is_zero(ad: Any) -> None:
    f = custom_derivative(lambda x, p: x * p["a"], vjp=lambda c, out, x, p: (c * p["a"], {"a": None, "b": None}))
    p = {"a": 2.0, "b": np.ones(2)}
    found = ad.grad(lambda x, p: f(x, p) + p["a"], (0, 1))(3.0, p)
    assert found[0] == 2.0 and found[1]["a"] == 1.0
    np.testing.assert_array_equal(found[1]["b"], np.zeros(2))
    g = custom_derivative(lambda x, p: x * p["a"], vjp=lambda c, out, x, p: (None, None))
    assert ad.grad(g)(3.0, p) == 0.0


@roots
def test_dtypes(ad: Any, root: Any) -> None:
    f = custom_derivative(np.sqrt, jvp=root.jvp, vjp=root.vjp)
    x = np.array([1.0, 4.0], np.float32)
    for result in (*ad.jvp(f, (x,), (x,)), ad.vjp(f, x)[1](x)[0], ad.jacobian(f)(x)):
        assert result.dtype == np.float32
    assert type(ad.grad(root)(4.0)) is float
    assert ad.grad(root)(4) == 0.25
    assert type(ad.grad(f)(np.float32(4.0))) is np.float32


def test_a_rule_that_returns_another_dtype_is_converted(ad: Any) -> None:
    f = custom_derivative(
        lambda x: 2 * x,
        jvp=lambda t, out, x: np.float64(2) * t[0].astype(float),
        vjp=lambda c, out, x: ((2 * c).astype(float),),
    )
    x = np.ones(2, np.float32)
    assert ad.jvp(f, (x,), (x,))[1].dtype == ad.vjp(f, x)[1](x)[0].dtype == np.float32
    g = custom_derivative(lambda x: 3.0, jvp=lambda t, out, x: 0, vjp=lambda c, out, x: (0,))
    assert ad.grad(g)(1.0) == 0.0 and type(ad.grad(g)(1.0)) is float


@pytest.mark.parametrize("rule", ["jvp", "vjp"])
def test_complex_numbers(ad: Any, rule: str) -> None:
    """f(x, z) = conj(z) x e^ix; by hand, against the same function without a rule."""

    def plain(x: Any, z: Any) -> Any:
        return np.conj(z) * x * np.exp(1j * x)

    def jvp(t: Any, out: Any, x: Any, z: Any) -> Any:
        return np.conj(t[1]) * x * np.exp(1j * x) + t[0] * np.conj(z) * (1 + 1j * x) * np.exp(1j * x)

    def vjp(c: Any, out: Any, x: Any, z: Any) -> Any:
        return c * np.conj(z) * (1 + 1j * x) * np.exp(1j * x), np.conj(c * x * np.exp(1j * x))

    f = custom_derivative(plain, **({"jvp": jvp} if rule == "jvp" else {"vjp": vjp}))
    primals, tangents = (0.7, 1.0 - 2.0j), (1.3, 0.5 + 1.0j)
    np.testing.assert_allclose(ad.jvp(f, primals, tangents)[1], ad.jvp(plain, primals, tangents)[1], rtol=1e-14)
    found, expected = (ad.vjp(g, *primals)[1](2.0 + 3.0j) for g in (f, plain))
    np.testing.assert_allclose(found, expected, rtol=1e-14)
    assert [type(c) for c in found] == [float, complex]


def test_the_result_is_a_new_value(ad: Any) -> None:
    """What f returns may be its argument or a buffer that it uses again; the derivative does not depend on it."""
    buffer = np.empty(2)

    def doubled(x: Any) -> Any:
        np.multiply(2.0, x, out=buffer)
        return buffer

    f = custom_derivative(doubled, jvp=lambda t, out, x: 2.0 * t[0])
    same = custom_derivative(lambda x: x, jvp=lambda t, out, x: t[0], vjp=lambda c, out, x: (c,))

    def g(x: Any) -> Any:
        y, z = same(f(x)), f(3.0 * x)
        y[0] = 7.0 * x[0]
        return y * z

    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(ad.jacobian(g)(x), np.diag([84.0, 48.0]))
    assert ad.jvp(same, (x,), (x,))[0] is not x


def test_tangents_that_a_rule_hands_on_are_not_written_to() -> None:
    """The tape's forward sweep assigns in place where a tangent is used last."""
    same = custom_derivative(lambda x: np.array(x), jvp=lambda t, out, x: t[0])

    def f(x: Any) -> Any:
        y = 1.0 * x
        y[0] = 2.0 * x[1]
        z = same(y)
        y[1] = 0.0
        return y + z

    found = np.stack([reversead.linearize(f, np.ones(2))[1](e) for e in np.eye(2)], axis=-1)
    np.testing.assert_array_equal(found, [[0.0, 4.0], [0.0, 1.0]])


def test_assignment_to_the_argument_afterwards(ad: Any) -> None:
    square = custom_derivative(lambda x: np.array(x) ** 2, vjp=lambda c, out, x: (2 * c * x,))

    def f(x: Any) -> Any:
        x = 1.0 * x
        y = square(x)
        x[0] = 10.0
        return y + x

    np.testing.assert_array_equal(ad.jacobian(f)(np.array([3.0, 5.0])), np.diag([6.0, 11.0]))


def test_a_constant_argument_changed_before_the_pullback() -> None:
    weights = np.ones(3)
    f = custom_derivative(lambda x, w: float(w @ x), vjp=lambda c, out, x, w: (c * w, None))
    _, pullback = reversead.vjp(lambda x: f(x, weights), np.ones(3))
    weights[:] = 5.0
    np.testing.assert_array_equal(pullback(1.0)[0], np.ones(3))


def test_arguments_are_read_only_while_they_are_differentiated(ad: Any) -> None:
    def in_place(x: Any) -> Any:
        x *= 2.0
        return x

    f = custom_derivative(in_place, jvp=lambda t, out, x: 2.0 * t[0])
    np.testing.assert_array_equal(f(np.ones(2)), [2.0, 2.0])
    with pytest.raises(ValueError, match="read-only"):
        ad.jvp(f, (np.ones(2),), (np.ones(2),))


def test_rules_do_not_change_seeds(ad: Any) -> None:
    def vjp(c: Any, out: Any, x: Any) -> Any:
        c *= 2.0
        return (c,)

    f = custom_derivative(lambda x: 2.0 * x, jvp=lambda t, out, x: 2.0 * t[0], vjp=vjp)
    if ad is reversead:
        with pytest.raises(ValueError, match="read-only"):
            ad.vjp(f, np.ones(2))[1](np.ones(2))
    t = np.ones(2)
    ad.jvp(f, (np.ones(2),), (t,))
    np.testing.assert_array_equal(t, 1.0)


@over_engines
def test_a_rule_that_changes_its_traced_arguments_changes_copies(ad: Any, outer: Any) -> None:
    def vjp(c: Any, out: Any, x: Any) -> Any:
        if not isinstance(x, np.ndarray):
            x *= 2.0
        return (c * x,)

    square = custom_derivative(lambda x: x * x, vjp=vjp)

    def twice(x: Any) -> Any:
        _, pullback = ad.vjp(square, x)
        return np.sum(pullback(np.ones(2))[0] + pullback(np.ones(2))[0])

    np.testing.assert_array_equal(outer.grad(twice)(np.array([3.0, 5.0])), [4.0, 4.0])


# --- what the rules may be --------------------------------------------------------------------------------------------


def test_gradient_clipping(ad: Any) -> None:
    """The identity, whose cotangent is clipped: not linear, so forward mode needs a jvp of its own."""
    clipped = custom_derivative(lambda x, limit: x, vjp=lambda c, out, x, limit: (np.clip(c, -limit, limit), None))

    def loss(f: Any) -> Any:
        return lambda x: np.sum(f(x) ** 3)

    x = np.array([0.1, 1.0, -2.0])
    if ad is dualad:
        with pytest.raises(LinearityError, match=r"the vjp of .*maximum.*test_custom.py:\d+.*give a jvp as well"):
            ad.grad(loss(lambda x: clipped(x, 1.5)))(x)
    else:
        np.testing.assert_allclose(ad.grad(loss(lambda x: clipped(x, 1.5)))(x), [0.03, 1.5, 1.5])
        # Where it is not clipped, the second derivative is that of the cube.
        hessian = ad.hessian(loss(lambda x: clipped(x, 1.5)))(x)
        np.testing.assert_allclose(np.diag(hessian), [0.6, 0.0, 0.0], atol=1e-15)


@over_engines
def test_straight_through(ad: Any, outer: Any) -> None:
    """The sign with the derivative of the identity (Bengio, Leonard & Courville 2013)."""
    sign = custom_derivative(np.sign, jvp=lambda t, out, x: t[0])
    x = np.array([-0.3, 0.2])
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(sign(x) * np.array([3.0, 5.0])))(x), [3.0, 5.0])
    # d/dx sign(x)^2 = 2 sign(x), whose derivative is 2 again.
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(sign(x) ** 2))(x), [-2.0, 2.0])
    np.testing.assert_array_equal(outer.jacobian(ad.grad(lambda x: np.sum(sign(x) ** 2)))(x), 2 * np.eye(2))


def test_a_rule_with_an_infinite_coefficient(ad: Any) -> None:
    """Where another argument does not vary, its coefficient may be infinite in reverse mode."""
    power = custom_derivative(
        lambda x, y: x**y, jvp=lambda t, out, x, y: t[0] * y * x ** (y - 1) + t[1] * (out * np.divide(-1.0, x))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        found = reversead.grad(lambda x: power(x, 2.0))(np.float64(0.0))
    assert found == 0.0


def test_quadrature_by_scipy(ad: Any) -> None:
    """I(a, b) of exp(-t^2), whose derivatives are the values at the ends."""

    def integrand(t: Any) -> Any:
        return np.exp(-t * t)

    def jvp(tangents: Any, out: Any, a: Any, b: Any) -> Any:
        return tangents[1] * integrand(b) - tangents[0] * integrand(a)

    area = custom_derivative(lambda a, b: scipy.integrate.quad(integrand, a, b)[0], jvp=jvp)
    a, b = 0.3, 1.1
    np.testing.assert_allclose(ad.grad(area, (0, 1))(a, b), [-integrand(a), integrand(b)], rtol=1e-14)
    assert ad.grad(ad.grad(area, 1), 1)(a, b) == pytest.approx(-2 * b * integrand(b), rel=1e-14)
    assert ad.grad(ad.grad(area, 1), 0)(a, b) == 0.0
    check_grads(lambda a, b: area(a, b) * a, a, b, engines=(ad,))


SOLVERS = {
    "jvp": {"jvp": lambda t, out, a, b: np.linalg.solve(a, t[1] - t[0] @ out)},
    "vjp": {"vjp": lambda c, out, a, b: (lambda u: (-np.outer(u, out), u))(np.linalg.solve(a.T, c))},
}


@pytest.mark.parametrize("rule", SOLVERS.values(), ids=SOLVERS.keys())
@over_engines
def test_linear_equations_by_scipy(ad: Any, outer: Any, rule: Any) -> None:
    solve = custom_derivative(lambda a, b: scipy.linalg.solve(a, b), **rule)
    a, b = np.array([[3.0, 1.0], [0.5, 2.0]]), np.array([1.0, 2.0])
    for argnums in (0, 1, (0, 1)):
        found = ad.jacobian(solve, argnums)(a, b)
        expected = ad.jacobian(np.linalg.solve, argnums)(a, b)
        tree_map(partial(np.testing.assert_allclose, rtol=1e-12), found, expected)
    second = outer.jacobian(ad.grad(lambda a, b: np.sum(solve(a, b) ** 2), (0, 1)), (0, 1))(a, b)
    expected = outer.jacobian(ad.grad(lambda a, b: np.sum(np.linalg.solve(a, b) ** 2), (0, 1)), (0, 1))(a, b)
    tree_map(partial(np.testing.assert_allclose, rtol=1e-11), second, expected)


def test_a_rule_that_uses_the_function_itself(ad: Any) -> None:
    """exp' = exp: the rule calls the function, so all orders follow."""
    exp = custom_derivative(lambda x: math.exp(x), jvp=lambda t, out, x: t[0] * exp(x))
    d = exp
    for _ in range(4):
        d = ad.derivative(d)
        assert d(0.5) == pytest.approx(math.exp(0.5), rel=1e-15)


def test_a_rule_that_is_wrong_is_found_by_the_checker() -> None:
    wrong = custom_derivative(square_root, jvp=lambda t, out, x: t[0] / out)
    with pytest.raises(AssertionError, match="disagrees with differences"):
        check_grads(wrong, 4.0, engines=ENGINES)


def test_methods_and_decoration(ad: Any) -> None:
    class Scaled:
        def __init__(self, factor: float):
            self.factor = factor

        @partial(custom_derivative, vjp=lambda c, out, self, x: (None, c * self.factor))
        def scale(self, x: Any) -> Any:
            """x times the factor."""
            return self.factor * float(x)

    assert ad.grad(Scaled(3.0).scale)(2.0) == 3.0
    assert Scaled.scale.__doc__ == "x times the factor."
    assert ROOTS["vjp"].__name__ == "square_root" and "by Python's own" in ROOTS["vjp"].__doc__
    assert repr(ROOTS["vjp"]) == "<square_root with a derivative of its own: jvp by transposition, vjp as given>"


def test_operations_are_counted_through_it() -> None:
    def square_jvp(t: Any, out: Any, x: Any) -> Any:
        return 2.0 * x * t[0]

    square = custom_derivative(lambda x: x * x, jvp=square_jvp)
    x = np.ones(10)
    assert count_operations(square, x) == 10
    assert count_operations(lambda x: dualad.jvp(square, (x,), (np.ones(10),)), x) == 30
    # The value and its sum; the rule's 2 x, its product with zeros as it is transposed, and that with the cotangent.
    assert count_operations(reversead.grad(lambda x: np.sum(square(x))), x) == 20 + 30


# --- many examples, and many directions, at once ----------------------------------------------------------------------


@roots
def test_vmap_inside_and_outside(ad: Any, root: Any) -> None:
    x = np.array([1.0, 4.0, 9.0])
    np.testing.assert_array_equal(vmap(root)(x), [1.0, 2.0, 3.0])
    np.testing.assert_allclose(vmap(ad.grad(root))(x), [1 / 2, 1 / 4, 1 / 6], rtol=1e-15)
    np.testing.assert_allclose(ad.jacobian(vmap(root))(x), np.diag([1 / 2, 1 / 4, 1 / 6]), rtol=1e-15)
    np.testing.assert_allclose(vmap(ad.grad(ad.grad(root)))(x), -0.25 * x**-1.5, rtol=1e-14)
    np.testing.assert_allclose(ad.hessian(lambda x: np.sum(vmap(root)(x)))(x), np.diag(-0.25 * x**-1.5), rtol=1e-14)


def test_vmap_of_results_of_every_kind() -> None:
    f = custom_derivative(lambda x, n: ([float(x) * n, math.ceil(x)], n, "text", None), jvp=lambda t, out, x, n: None)
    seen = []

    def g(x: Any) -> Any:
        numbers, *rest = f(x, 2)
        seen.extend(rest)
        return numbers

    np.testing.assert_array_equal(vmap(g)(np.array([0.5, 1.5])), [[1.0, 3.0], [1, 2]])
    assert seen == [2, "text", None]
    g = custom_derivative(lambda x: str(float(x)), jvp=lambda t, out, x: None)
    with pytest.raises(TracerConversionError, match="a str that differs among the examples"):
        vmap(g)(np.array([0.5, 1.5]))


@pytest.mark.parametrize("rule", ["jvp", "vjp"])
def test_rules_that_need_plain_numbers_serve_many_directions(ad: Any, rule: str) -> None:
    """A Jacobian carries its directions together; a rule that calls SciPy takes them one by one."""
    a = np.array([[3.0, 1.0], [0.5, 2.0]])
    rules = {
        "jvp": lambda t, out, b: np.asarray(scipy.linalg.solve(a, t[0])),
        "vjp": lambda c, out, b: (np.asarray(scipy.linalg.solve(a.T, c)),),
    }
    solve = custom_derivative(lambda b: scipy.linalg.solve(a, b), **rules)
    solve = custom_derivative(lambda b: scipy.linalg.solve(a, b), **rules)
    np.testing.assert_allclose(ad.jacobian(solve)(np.ones(2)), np.linalg.inv(a), rtol=1e-14)
    if ad is (dualad if rule == "jvp" else reversead):
        one = custom_derivative(lambda b: scipy.linalg.solve(a, b), **{rule: rules[rule]})
        np.testing.assert_allclose(ad.jacobian(one)(np.ones(2)), np.linalg.inv(a), rtol=1e-14)
    examples = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    found = vmap(lambda b: ad.grad(lambda b: np.sum(solve(b) ** 2))(b))(examples)
    np.testing.assert_allclose(found, 2 * examples @ np.linalg.inv(a).T @ np.linalg.inv(a), rtol=1e-13)


def test_cotangents_of_arguments_that_do_not_vary_cost_nothing() -> None:
    scale = custom_derivative(lambda x, w: x * np.sum(w), jvp=lambda t, out, x, w: t[0] * 3.0 + np.sum(t[1] * w) * x)

    def cost(argnums: Any) -> int:
        return count_operations(reversead.grad(scale, argnums), 2.0, np.ones(1000))

    # What is zero is multiplied and summed once, when the rule is run; it is not pulled back.
    assert 2000 < cost(0) < 3100 < cost((0, 1)) < 6000


# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_rule_is_needed() -> None:
    with pytest.raises(RegistrationError, match="square_root: give its derivative"):
        custom_derivative(square_root)
    with pytest.raises(RegistrationError, match="is no function"):
        custom_derivative(square_root, jvp=3.0)


@pytest.mark.parametrize(
    "rule, error, message",
    [
        (lambda c, out, x, y: c, ShapeError, "the vjp of f has to return a tuple of 2 cotangents"),
        (lambda c, out, x, y: (c,), ShapeError, "the vjp of f has to return a tuple of 2 cotangents"),
        (lambda c, out, x, y: [c, c], ShapeError, "the vjp of f has to return a tuple of 2 cotangents"),
        (lambda c, out, x, y: None, ShapeError, "the vjp of f has to return a tuple of 2 cotangents"),
        (lambda c, out, x, y: (c, [c]), ShapeError, "the vjp of f has to return a tuple of 2 cotangents"),
        (lambda c, out, x, y: (c, c[0]), ShapeError, r"the vjp of f returned shape \(\) where \(2,\) belongs"),
        (lambda c, out, x, y: (np.ones((2, 2)), c), ShapeError, r"returned shape \(2, 2\) where \(2,\) belongs"),
        (lambda c, out, x, y: ("text", c), LeafTypeError, "the vjp of f returned a str"),
        (lambda c, out, x, y: (np.array([True, False]), c), LeafTypeError, "the vjp of f returned an array of bool"),
    ],
)
def test_what_a_vjp_returns_is_checked(rule: Any, error: Any, message: str) -> None:
    def f(x: Any, y: Any) -> Any:
        return np.asarray(x + y)

    x = np.ones(2)
    for engine, of in ((reversead, {"vjp": rule}), (dualad, {"vjp": rule})):
        with pytest.raises(error, match=message):
            engine.grad(lambda x, y: np.sum(custom_derivative(f, **of)(x, y)))(x, x)  # noqa: B023


@pytest.mark.parametrize(
    "rule, error, message",
    [
        (lambda t, out, x: t[0], ShapeError, "the jvp of f has to return a tangent of the structure"),
        (lambda t, out, x: None, ShapeError, "the jvp of f has to return a tangent of the structure"),
        (lambda t, out, x: (t[0], None), ShapeError, "the jvp of f has to return a tangent of the structure"),
        (lambda t, out, x: (t[0], t[0], 0.0), ShapeError, "the jvp of f has to return a tangent of the structure"),
        (lambda t, out, x: (t[0][:1], t[0]), ShapeError, r"the jvp of f returned shape \(1,\) where \(2,\) belongs"),
        (lambda t, out, x: (t[0], 0.0), ShapeError, r"the jvp of f returned shape \(\) where \(2,\) belongs"),
        (lambda t, out, x: (t[0], 1j * t[0]), LeafTypeError, "the jvp of f returned a complex tangent"),
        (lambda t, out, x: (t[0], object()), LeafTypeError, "the jvp of f returned a object"),
    ],
)
def test_what_a_jvp_returns_is_checked(ad: Any, rule: Any, error: Any, message: str) -> None:
    def f(x: Any) -> Any:
        return np.array(x), np.array(x)

    with pytest.raises(error, match=message):
        ad.grad(lambda x: np.sum(custom_derivative(f, jvp=rule)(x)[0]))(np.ones(2))


def test_a_jvp_that_is_not_linear_cannot_be_transposed() -> None:
    f = custom_derivative(lambda x: float(x), jvp=lambda t, out, x: np.abs(t[0]))
    assert dualad.derivative(f)(3.0) == 1.0
    with pytest.raises(LinearityError, match=r"the jvp of .*np.absolute is not linear.*give a vjp as well"):
        reversead.grad(f)(3.0)


def test_a_custom_function_of_the_tangent_is_not_known_to_be_linear() -> None:
    double = custom_derivative(lambda x: 2.0 * x, jvp=lambda t, out, x: double(t[0]))
    assert dualad.derivative(double)(3.0) == 2.0
    with pytest.raises(LinearityError, match="does not say whether it is linear"):
        reversead.grad(double)(3.0)


@over_engines
def test_a_traced_value_that_the_function_closes_over(ad: Any, outer: Any) -> None:
    def of(w: Any, run: Callable[[Any], Any]) -> Any:
        return custom_derivative(lambda x: run(w * x), jvp=lambda t, out, x: t[0])

    # of the same level, and of an outer one
    with pytest.raises(TracerConversionError, match="pass it as an argument"):
        ad.grad(lambda w: of(w, lambda y: y)(w))(2.0)
    with pytest.raises(TracerConversionError, match="pass it as an argument"):
        outer.grad(lambda w: ad.grad(of(w, lambda y: y))(3.0))(2.0)
    # with no argument that is traced
    with pytest.raises(TracerConversionError, match="pass it as an argument"):
        ad.grad(lambda w: of(w, lambda y: y)(3.0) + w)(2.0)
    # asked for a number
    with pytest.raises(TracerConversionError):
        ad.grad(lambda w: of(w, float)(w))(2.0)
    # taken by keyword alone
    with pytest.raises(TypeError, match="'scale' is traced"):
        f = custom_derivative(lambda x, *, scale: x * scale, jvp=lambda t, out, x, scale: t[0])
        ad.grad(lambda w: f(3.0, scale=[w]))(2.0)
    # hidden in an object
    with pytest.raises(TracerConversionError, match="within an object"):
        f = custom_derivative(lambda x, holder: x * holder.value, jvp=lambda t, out, x, holder: t[0])
        ad.grad(lambda w: f(3.0, SimpleNamespace(value=w)))(2.0)


def test_a_traced_value_that_the_function_closes_over_and_does_not_return() -> None:
    """Nothing of it is in the result, but the tape shows that it was computed with; and is left as it was."""
    with reversead.Tape() as tape:
        w = tape.variable(2.0)
        x = tape.variable(3.0)
        f = custom_derivative(lambda x: [w * x, 1.0][1], jvp=lambda t, out, x: t[0])
        with pytest.raises(TracerConversionError, match="closes over"):
            f(x)
        y = w * x
    assert tape.gradient(y, [w, x]) == [3.0, 2.0]
    assert tape.count == 3


@pytest.mark.parametrize("rule", ["jvp", "vjp"])
def test_a_traced_value_of_the_same_level_that_a_rule_closes_over(ad: Any, rule: str) -> None:
    for scaled in (lambda v, w: v * w, lambda v, w: w):

        def f(w: Any) -> Any:
            rules = {
                "jvp": lambda t, out, x: scaled(t[0], w),  # noqa: B023
                "vjp": lambda c, out, x: (scaled(c, w),),  # noqa: B023
            }
            return custom_derivative(lambda x: float(x), **{rule: rules[rule]})(w)

        with pytest.raises((TracerConversionError, ClosedLevelError)) as caught:
            ad.grad(f)(2.0)
        assert "pass it as an argument" in str(caught.value) + "".join(getattr(caught.value, "__notes__", []))


@over_engines
def test_a_rule_may_close_over_values_of_outer_levels(ad: Any, outer: Any) -> None:
    """They are constants to it, and what it computes with them is differentiated there."""

    def slope(w: Any) -> Any:
        scaled = custom_derivative(lambda x: float(x), vjp=lambda c, out, x: (c * w * w,))
        return ad.grad(lambda x: scaled(x) * 5.0)(3.0)

    assert slope(2.0) == 20.0
    assert outer.derivative(slope)(2.0) == 20.0


def test_a_level_that_only_traces_does_not_hide_a_rule(ad: Any) -> None:
    root = ROOTS["jvp"]
    with pytest.raises(TracerConversionError, match="differentiate inside count_operations"):
        ad.grad(lambda x: count_operations(root, x) + x)(4.0)


def test_an_ended_level(ad: Any) -> None:
    kept: list[Any] = []
    ad.grad(lambda x: kept.append(x) or x)(4.0)
    with pytest.raises(ClosedLevelError):
        ROOTS["jvp"](kept[0])


def test_a_result_without_a_derivative_is_refused(ad: Any) -> None:
    """A rule for it would have no effect: the gradient would silently be zero."""
    step = custom_derivative(lambda x: x > 0, jvp=lambda t, out, x: t[0], vjp=lambda c, out, x: (c,))
    assert step(1.0)
    with pytest.raises(LeafTypeError, match=r"returned no real or complex number.*astype"):
        ad.grad(lambda x: x * step(x))(1.0)
    with_count = custom_derivative(lambda x: (2.0 * x, 3), jvp=lambda t, out, x: (2.0 * t[0], t[0]))
    with pytest.raises(LeafTypeError, match="returned a tangent of a int"):
        ad.grad(lambda x: with_count(x)[0])(1.0)


@pytest.mark.parametrize("transform", ["grad", "vjp"])
def test_a_tape_is_freed_without_the_cyclic_collector(transform: str) -> None:
    watched: list[weakref.ref[Any]] = []

    def values(x: Any) -> Any:
        out = np.array(x) * 2.0
        watched.append(weakref.ref(out))
        return out

    f = custom_derivative(values, vjp=lambda c, out, x: (c * 2.0,))
    gc.disable()
    try:
        if transform == "grad":
            reversead.grad(lambda x: np.sum(f(x) ** 2))(np.ones(3))
        else:
            _, pullback = reversead.vjp(lambda x: np.sum(f(x) ** 2), np.ones(3))
            pullback(1.0)
            assert watched[0]() is not None
            del pullback
        assert [reference() for reference in watched] == [None]
    finally:
        gc.enable()


# --- implicit functions: the recipes of the documentation -------------------------------------------------------------

RECIPES = (Path(__file__).parents[2] / "docs" / "recipes.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", RECIPES, re.DOTALL)


@pytest.fixture(scope="module")
def recipes() -> dict[str, Any]:
    """The names that the examples define, run one after the other as they are printed."""
    scope: dict[str, Any] = {}
    for example in EXAMPLES:
        exec(example, scope)
    return scope


def test_the_numbers_in_the_recipes(recipes: dict[str, Any]) -> None:
    np.testing.assert_allclose(recipes["gradient"], [-1.0, math.exp(-1.0)], rtol=1e-14)
    assert recipes["curvature"] == pytest.approx(-2 * math.exp(-1.0), rel=1e-14)
    np.testing.assert_array_equal(recipes["clipped"], [0.5, 1.0])
    assert recipes["forwards"] == pytest.approx(recipes["backwards"], rel=1e-13)
    np.testing.assert_allclose(recipes["slope"], 0.5 / np.sqrt(recipes["a"]), rtol=1e-13)
    np.testing.assert_allclose(recipes["curvatures"], np.diag(-0.25 * recipes["a"] ** -1.5), rtol=1e-12, atol=1e-15)


@over_engines
def test_keplers_equation(ad: Any, outer: Any, recipes: dict[str, Any]) -> None:
    e, m = 0.3, 1.0
    root, kepler = recipes["root"], recipes["kepler"]

    def anomaly(e: Any, m: Any) -> Any:
        return root(kepler, np.array([1.0]), {"eccentricity": e, "mean anomaly": m})[0]

    E = anomaly(e, m)
    assert e * math.sin(E) + m == pytest.approx(E, rel=1e-15)
    slope = 1 / (1 - e * math.cos(E))
    expected = [math.sin(E) * slope, slope]
    np.testing.assert_allclose(ad.grad(anomaly, (0, 1))(e, m), expected, rtol=1e-13)
    # dE/dm = slope, which varies with E by -e sin(E) slope^2 and with e by cos(E) slope^2
    by_m = -e * math.sin(E) * slope**3
    by_e = math.cos(E) * slope**2 - e * math.sin(E) * slope**2 * expected[0]
    np.testing.assert_allclose(outer.grad(ad.grad(anomaly, 1), (0, 1))(e, m), [by_e, by_m], rtol=1e-12)
    np.testing.assert_allclose(outer.grad(ad.grad(anomaly, 0), 1)(e, m), by_e, rtol=1e-12)


def test_a_root_of_several_unknowns_against_differences(recipes: dict[str, Any]) -> None:
    def F(x: Any, p: Any) -> Any:
        return np.stack([x[0] ** 2 + p["a"] * x[1] - 3.0, np.sin(x[1]) + x[0] * p["b"][0] - p["b"][1]])

    p = {"a": 0.5, "b": np.array([0.7, 1.2])}
    check_grads(lambda p: recipes["root"](F, np.array([1.5, 0.1]), p), p, engines=ENGINES)


def test_the_guess_of_a_root_has_no_derivative(ad: Any, recipes: dict[str, Any]) -> None:
    def f(guess: Any, theta: Any) -> Any:
        return np.sum(recipes["root"](lambda x, a: x * x - a, guess, theta))

    guess, theta = np.array([1.0, 2.0]), np.array([4.0, 9.0])
    found = ad.grad(f, (0, 1))(guess, theta)
    np.testing.assert_array_equal(found[0], [0.0, 0.0])
    np.testing.assert_allclose(found[1], [1 / 4, 1 / 6], rtol=1e-14)


@over_engines
def test_a_minimiser(ad: Any, outer: Any, recipes: dict[str, Any]) -> None:
    """sinh(x - theta) + sum(x) = 0, so (diag(cosh) + 1 1^T) dx = cosh dtheta."""
    minimiser, theta = recipes["minimiser"], np.array([0.5, -1.0])
    x = minimiser(theta)
    np.testing.assert_allclose(np.sinh(x - theta), -np.sum(x), rtol=1e-12)
    curvature = np.diag(np.cosh(x - theta))
    np.testing.assert_allclose(
        ad.jacobian(minimiser)(theta), np.linalg.solve(curvature + np.ones((2, 2)), curvature), rtol=1e-12
    )
    # The energy at the minimiser varies by theta alone, to first order.
    least = partial(lambda theta: recipes["energy"](minimiser(theta), theta))
    np.testing.assert_allclose(ad.grad(least)(theta), -np.sinh(x - theta), rtol=1e-12)
    sensitivity = ad.jacobian(minimiser)(theta)
    np.testing.assert_allclose(
        outer.jacobian(ad.grad(least))(theta), curvature @ (np.eye(2) - sensitivity), rtol=1e-11, atol=1e-13
    )


@over_engines
def test_a_fixed_point(ad: Any, outer: Any, recipes: dict[str, Any]) -> None:
    def total(a: Any) -> Any:
        return np.sum(recipes["fixed_point"](recipes["heron"], np.ones(2), a))

    a = np.array([2.0, 9.0])
    np.testing.assert_allclose(ad.grad(total)(a), 0.5 / np.sqrt(a), rtol=1e-13)
    np.testing.assert_allclose(outer.jacobian(ad.grad(total))(a), np.diag(-0.25 * a**-1.5), rtol=1e-12, atol=1e-15)


def test_a_contraction_of_several_unknowns_against_differences(recipes: dict[str, Any]) -> None:
    def g(x: Any, p: Any) -> Any:
        return np.tanh(p["w"] @ x + p["b"])

    p = {"w": np.array([[0.3, -0.2], [0.1, 0.4]]), "b": np.array([0.5, -0.3])}
    check_grads(lambda p: recipes["fixed_point"](g, np.zeros(2), p), p, engines=ENGINES)


def test_what_runs_example_by_example_is_reported():
    @custom_derivative(jvp=lambda tangents, out, x: tangents[0] * 2.0)
    def by_float(x):
        return 2.0 * float(x)

    with report_loops() as looped:
        np.testing.assert_array_equal(vmap(by_float)(np.arange(3.0)), [0.0, 2.0, 4.0])
    assert looped == {"by_float": 1}


def test_results_of_examples_that_differ_in_structure_are_refused():
    @custom_derivative(jvp=lambda tangents, out, x: out)
    def ragged(x):
        return [x] if float(x) > 0 else (x, x)

    with pytest.raises(ShapeError, match="ragged: its results for the examples of vmap differ in structure"):
        vmap(ragged)(np.array([1.0, -1.0]))
