"""Functions with derivative rules of their own: closed forms in both engines and at every order."""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
from custom_roots import ENGINES, ROOTS, over_engines, roots, square_root

import dualad
import reversead
from shared import check_grads, count_operations, tree_map
from shared.batching.batched import report_loops
from shared.batching.vmap import vmap
from shared.core.errors import (
    LinearityError,
    ShapeError,
    TracerConversionError,
)
from shared.linear.custom import custom_derivative

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


# --- one example after the other --------------------------------------------------------------------------------------


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
