"""Which arguments vary, by position or by name, and what is returned beside the derivative; in every operator."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from shared import LeafTypeError, ShapeError, flatten

ENGINES = (dualad, reversead)
X, Y, SCALE = np.array([1.0, 2.0, 3.0]), np.array([0.5, -1.0, 2.0]), 3.0


def energy(x: Any, y: Any, *, scale: Any = 2.0) -> Any:
    return np.sum(x * x * y) * scale


GRADIENTS = {"x": 2 * X * Y * SCALE, "y": X * X * SCALE, "scale": float(np.sum(X * X * Y))}
HESSIANS: dict[tuple[str, str], Any] = {
    ("x", "x"): np.diag(2 * Y * SCALE),
    ("x", "y"): np.diag(2 * X * SCALE),
    ("x", "scale"): 2 * X * Y,
    ("y", "x"): np.diag(2 * X * SCALE),
    ("y", "y"): np.zeros((3, 3)),
    ("y", "scale"): X * X,
    ("scale", "x"): 2 * X * Y,
    ("scale", "y"): X * X,
    ("scale", "scale"): 0.0,
}


def assert_same(found: Any, expected: Any) -> None:
    """Equal structures and shapes, and values equal to rounding."""
    found_leaves, found_structure = flatten(found)
    expected_leaves, expected_structure = flatten(expected)
    assert found_structure == expected_structure
    for a, b in zip(found_leaves, expected_leaves, strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def picked(names: Any, of: Callable[[str], Any]) -> Any:
    """What a result for these arguments looks like: bare for one, a tuple for several."""
    return of(names) if isinstance(names, str) else tuple(of(name) for name in names)


# --- by position and by name ------------------------------------------------------------------------------------------

#: Ways of passing the arguments of `energy`, argnums, and the arguments that these mean.
WAYS: dict[str, tuple[tuple[Any, ...], dict[str, Any], Any, Any]] = {
    "a position": ((X, Y), {"scale": SCALE}, 1, "y"),
    "a position from the end": ((X, Y), {"scale": SCALE}, -2, "x"),
    "name of a positional": ((X, Y), {"scale": SCALE}, "y", "y"),
    "name of a keyword": ((X,), {"scale": SCALE, "y": Y}, "y", "y"),
    "name of a keyword-only": ((X, Y), {"scale": SCALE}, "scale", "scale"),
    "everything by keyword": ((), {"scale": SCALE, "y": Y, "x": X}, "x", "x"),
    "a sequence of names": ((X, Y), {"scale": SCALE}, ("y", "x"), ("y", "x")),
    "a list of one name": ((X, Y), {"scale": SCALE}, ["y"], ("y",)),
    "names of both kinds": ((X,), {"y": Y, "scale": SCALE}, ["scale", "x", "y"], ("scale", "x", "y")),
    "positions and names": ((X, Y), {"scale": SCALE}, ("scale", 1, "x"), ("scale", "y", "x")),
    "NumPy's integers and names": ((X, Y), {"scale": SCALE}, [np.int64(-1), np.str_("x")], ("y", "x")),
    "an array of positions": ((X, Y), {"scale": SCALE}, np.array([1, 0]), ("y", "x")),
    "none of them": ((X, Y), {"scale": SCALE}, (), ()),
}


@pytest.mark.parametrize("way", list(WAYS))
def test_arguments_that_vary_are_given_by_position_or_name(ad: Any, way: str) -> None:
    args, kwargs, argnums, names = WAYS[way]
    gradient, value = picked(names, GRADIENTS.__getitem__), np.sum(X * X * Y) * SCALE
    hessian = picked(names, lambda i: picked(names, lambda j: HESSIANS[i, j]))
    assert_same(ad.grad(energy, argnums)(*args, **kwargs), gradient)
    assert_same(ad.value_and_grad(energy, argnums=argnums)(*args, **kwargs), (value, gradient))
    assert_same(ad.jacobian(energy, argnums)(*args, **kwargs), gradient)
    assert_same(ad.value_and_jacobian(energy, argnums)(*args, **kwargs), (value, gradient))
    assert_same(ad.hessian(energy, argnums)(*args, **kwargs), hessian)
    assert_same(ad.value_grad_and_hessian(energy, argnums)(*args, **kwargs), (value, gradient, hessian))


@pytest.mark.parametrize(
    ("argnums", "names"), [(0, "t"), ("k", "k"), (("k", 0), ("k", "t")), (["t"], ("t",)), ((), ())]
)
def test_derivative_by_position_or_name(ad: Any, argnums: Any, names: Any) -> None:
    expected = {"t": [X * 5.0, 4.0], "k": [X * 2.0, 0.0]}
    found = ad.derivative(lambda t, *, k: [X * t * k, t * t], argnums)(2.0, k=5.0)
    assert_same(found, picked(names, expected.__getitem__))


@pytest.mark.parametrize(
    ("argnums", "names"), [(1, "y"), ("x", "x"), (("y", 0), ("y", "x")), (["y"], ("y",)), ((), ())]
)
def test_elementwise_grad_by_position_or_name(ad: Any, argnums: Any, names: Any) -> None:
    found = ad.elementwise_grad(lambda x, y: x * x * y, argnums)(X, Y)
    assert_same(found, picked(names, {"x": 2 * X * Y, "y": X * X}.__getitem__))


def test_elementwise_grad_of_several_checks_each(ad: Any) -> None:
    def f(x: Any, y: Any) -> Any:
        return x * np.sum(y)

    assert_same(ad.elementwise_grad(f, "x")(X, Y), np.full(3, np.sum(Y)))
    for argnums in ("y", ("x", "y"), ("y", "x")):
        with pytest.raises(ShapeError, match="not elementwise"):
            ad.elementwise_grad(f, argnums)(X, Y)
    with pytest.raises(ShapeError, match="must take one array"):
        ad.elementwise_grad(lambda x, y: x * y[0] * y[1], ("x", "y"))(X, [Y, Y])


def test_derivatives_of_several_numbers_are_those_of_each(ad: Any) -> None:
    def f(a: Any, b: Any) -> Any:
        return {"product": a * b, "power": a**b}

    assert_same(ad.derivative(f, ("b", "a"))(2.0, 3.0), (ad.derivative(f, 1)(2.0, 3.0), ad.derivative(f)(2.0, 3.0)))
    with pytest.raises(ShapeError, match="one number"):
        ad.derivative(f, ("a", "b"))(2.0, X)


#: Functions of one argument called x, however it is declared, with the derivative 2 x.
DECLARATIONS: dict[str, tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any], Any]] = {}


class Square:
    def __call__(self, factor: Any, x: Any) -> Any:
        return factor * x * x

    def method(self, factor: Any, x: Any) -> Any:
        return factor * x * x

    @staticmethod
    def static(x: Any) -> Any:
        return x * x


def product(a: Any, x: Any, b: Any) -> Any:
    return a * x * x * b


DECLARATIONS.update(
    {
        "positional-only": (lambda x, /: x * x, (3.0,), {}, "x"),
        "keyword-only": (lambda *, x: x * x, (), {"x": 3.0}, "x"),
        "a default that is overridden": (lambda x=1.0: x * x, (), {"x": 3.0}, "x"),
        "gathered keywords": (lambda **options: options["x"] ** 2, (), {"x": 3.0}, "x"),
        "gathered positions": (lambda *xs: xs[0] * xs[1] ** 2, (1.0, 3.0), {}, 1),
        "a keyword after gathered positions": (lambda *xs, x: xs[0] * x * x, (1.0,), {"x": 3.0}, "x"),
        "before gathered positions": (lambda x, *xs: x * x * xs[0], (3.0, 1.0), {}, "x"),
        "callable object": (Square(), (1.0, 3.0), {}, "x"),
        "method": (Square().method, (1.0,), {"x": 3.0}, "x"),
        "static method": (Square.static, (3.0,), {}, "x"),
        "partial by position": (partial(product, 1.0), (3.0, 1.0), {}, "x"),
        "partial by keyword": (partial(product, b=1.0), (1.0, 3.0), {}, "x"),
        "partial before it by keyword": (partial(product, a=1.0), (), {"x": 3.0, "b": 1.0}, "x"),
        "partial of itself, overridden": (partial(product, 1.0, x=7.0), (), {"x": 3.0, "b": 1.0}, "x"),
        "NumPy function": (np.multiply, (2.0, 3.0), {}, "x1"),
        "built-in without a signature, by position": (max, (6.0, 3.0), {}, 0),
        "a name that the function itself uses": (
            lambda f, self, name, argnums: f * self * name * argnums,
            (1.0, 1.0, 6.0, 1.0),
            {},
            "argnums",
        ),
    }
)
EXPECTED = {"NumPy function": 3.0, "built-in without a signature, by position": 1.0}


@pytest.mark.parametrize("name", list(DECLARATIONS))
def test_names_are_those_of_the_signature(ad: Any, name: str) -> None:
    f, args, kwargs, argnums = DECLARATIONS[name]
    expected = EXPECTED.get(name, 6.0)
    assert ad.grad(f, argnums)(*args, **kwargs) == expected
    assert ad.grad(f, [argnums])(*args, **kwargs) == (expected,)
    assert ad.derivative(f, argnums)(*args, **kwargs) == expected


def test_keyword_that_takes_a_name_of_the_library_is_passed_on(ad: Any) -> None:
    kwargs = {"f": 2.0, "argnums": 3.0, "has_aux": 4.0, "self": 5.0}
    for name in kwargs:
        others = np.prod([v for k, v in kwargs.items() if k != name])
        assert ad.grad(lambda **given: np.prod(np.stack(list(given.values()))), name)(**kwargs) == others


@pytest.mark.parametrize("outer", ENGINES)
def test_names_survive_nesting(ad: Any, outer: Any) -> None:
    def f(data: Any, weights: Any, rate: Any = 1.0) -> Any:
        return np.sum(data * weights**3) * rate

    inner = ad.grad(f, "weights")
    assert_same(outer.jacobian(inner, "data")(X, weights=Y), np.diag(3 * Y**2))
    assert_same(outer.jacobian(inner, "weights")(X, Y, rate=2.0), np.diag(12 * X * Y))
    assert_same(outer.jacobian(inner, "rate")(X, weights=Y, rate=2.0), 3 * X * Y**2)
    third = outer.grad(lambda *args, **kwargs: np.sum(outer.jacobian(inner, "weights")(*args, **kwargs)), "weights")
    assert_same(third(X, weights=Y), 6 * X)
    twice = outer.grad(ad.grad(lambda x, y: x**2 * y**3, "x"), "y")
    assert twice(2.0, 3.0) == twice(2.0, y=3.0) == twice(x=2.0, y=3.0) == 108.0


def test_arguments_that_do_not_vary_are_passed_as_they_are(ad: Any) -> None:
    table = {"k": {1, 2}}

    def f(table_: Any, x: Any, *, mode: str, n: int) -> Any:
        assert table_ is table
        assert mode == "mode"
        assert type(n) is int
        return np.sum(x) * n

    assert_same(ad.grad(f, "x")(table, x=X, mode="mode", n=2), np.full(3, 2.0))
    assert_same(ad.grad(f, "x")(table, X, mode="mode", n=2), np.full(3, 2.0))


def test_array_passed_by_keyword_is_never_written(ad: Any) -> None:
    x = X.copy()

    def f(*, x: Any) -> Any:
        x[0] = 5.0
        x *= 2.0
        return np.sum(x * x)

    assert_same(ad.grad(f, "x")(x=x), [0.0, 16.0, 24.0] * np.ones(3))
    np.testing.assert_array_equal(x, X)


def test_signature_is_only_read_for_a_name(ad: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    read = inspect.signature
    monkeypatch.setattr(inspect, "signature", lambda f: calls.append(f) or read(f))
    for argnums in (0, -1, (0, 1), [1], np.int64(1)):
        ad.grad(lambda x, y: x * y, argnums)(2.0, 3.0)
    assert calls == []
    ad.grad(lambda x, y: x * y, "x")(2.0, 3.0)
    assert len(calls) == 1


# --- jvp, vjp, linearize, hvp -----------------------------------------------------------------------------------------


def pair(x: Any, y: Any, z: Any) -> Any:
    return [x * y, np.sum(y * y) * z]


Z, C = 4.0, [np.array([1.0, -2.0, 0.5]), 3.0]
TANGENTS = {"x": np.array([0.1, 0.2, -0.3]), "y": np.array([1.0, 0.0, 2.0]), "z": -1.5}
PUSHED: dict[str, Any] = {
    "x": [TANGENTS["x"] * Y, 0.0],
    "y": [TANGENTS["y"] * X, 2 * np.sum(Y * TANGENTS["y"]) * Z],
    "z": [np.zeros(3), np.sum(Y * Y) * TANGENTS["z"]],
}
PULLED = {"x": C[0] * Y, "y": C[0] * X + C[1] * 2 * Y * Z, "z": C[1] * float(np.sum(Y * Y))}
CHOICES: list[tuple[Any, Any]] = [
    (None, ("x", "y", "z")),
    (0, "x"),
    (-1, "z"),
    ("y", "y"),
    (("y",), ("y",)),
    (["z", 0], ("z", "x")),
    ((2, "y", 0), ("z", "y", "x")),
    ((), ()),
]


@pytest.mark.parametrize(("argnums", "names"), CHOICES)
def test_tangents_and_cotangents_are_those_of_the_primals_that_vary(ad: Any, argnums: Any, names: Any) -> None:
    primals, out = (X, Y, Z), pair(X, Y, Z)
    tangents = picked(names, TANGENTS.__getitem__)
    chosen = (names,) if isinstance(names, str) else names
    pushed = [sum((PUSHED[name][k] for name in chosen), np.zeros(np.shape(out[k]))[()]) for k in range(2)]
    assert_same(ad.jvp(pair, primals, tangents, argnums=argnums), (out, pushed))
    value, f_jvp = ad.linearize(pair, *primals, argnums=argnums)
    assert_same(value, out)
    for _ in range(2):
        assert_same(f_jvp(*(tangents if isinstance(tangents, tuple) else (tangents,))), pushed)
    value, pullback = ad.vjp(pair, *primals, argnums=argnums)
    assert_same(value, out)
    for _ in range(2):
        assert_same(pullback(C), picked(names, PULLED.__getitem__))


def test_primals_that_do_not_vary_may_be_anything(ad: Any) -> None:
    def f(mode: str, x: Any, table: Any) -> Any:
        return x * table[mode]

    primals = ("a", X, {"a": 2, "b": None})
    assert_same(ad.jvp(f, primals, Y, argnums="x"), (2 * X, 2 * Y))
    assert_same(ad.vjp(f, *primals, argnums="x")[1](Y), 2 * Y)
    assert_same(ad.linearize(f, *primals, argnums=[1])[1](Y), 2 * Y)


def test_primals_that_do_not_vary_may_change_before_the_pullback(ad: Any) -> None:
    a, table = X.copy(), {"t": [X.copy()], "a": (X.copy(), "text")}

    def f(a: Any, x: Any, table: Any) -> Any:
        assert list(table) == ["t", "a"]
        return x * a * table["t"][0] * table["a"][0]

    _, pullback = ad.vjp(f, a, X, table, argnums="x")
    _, f_jvp = ad.linearize(f, a, X, table, argnums="x")
    a[:] = table["t"][0][:] = table["a"][0][:] = 77.0
    assert_same(pullback(Y), X**3 * Y)
    assert_same(f_jvp(Y), X**3 * Y)
    table["t"] = "else"
    assert_same(pullback(Y), X**3 * Y)


def test_masked_constants_stay_masked(ad: Any) -> None:
    mask = np.ma.masked_array([1.0, 2.0, 3.0], [False, True, False])

    def f(m: Any, x: Any) -> Any:
        return x * m.filled(0.0)

    assert_same(ad.vjp(f, mask, X, argnums="x")[1](Y), np.array([1.0, 0.0, 3.0]) * Y)


def test_one_tangent_of_a_container(ad: Any) -> None:
    p, t = {"a": X, "b": (2.0, None)}, {"a": Y, "b": (1.0, None)}

    def f(n: int, p: Any) -> Any:
        return p["a"] * p["b"][0] * n

    expected = 3 * (Y * 2.0 + X)
    assert_same(ad.jvp(f, (3, p), t, argnums="p")[1], expected)
    assert_same(ad.jvp(f, (3, p), [t], argnums=["p"])[1], expected)
    assert_same(ad.linearize(f, 3, p, argnums="p")[1](t), expected)
    assert_same(ad.vjp(f, 3, p, argnums="p")[1](X), {"a": 6.0 * X, "b": (3 * float(X @ X), None)})


@pytest.mark.parametrize(
    ("argnums", "names", "v"),
    [
        (0, "x", Y),
        ("y", "y", X),
        (("x",), ("x",), (Y,)),
        (["y", "x"], ("y", "x"), [X, Y]),
        ([], (), ()),
    ],
)
def test_hessian_vector_products_of_chosen_arguments(ad: Any, argnums: Any, names: Any, v: Any) -> None:
    def f(x: Any, y: Any, n: int) -> Any:
        assert type(n) is int
        return np.sum(x * x * y) * n

    chosen, vectors = ((names,), (v,)) if isinstance(names, str) else (names, v)
    expected = picked(names, lambda i: sum(HESSIANS[i, j] @ w for j, w in zip(chosen, vectors, strict=True)))
    assert_same(ad.hvp(f, (X, Y, 3), v, argnums=argnums), expected)


# --- containers -------------------------------------------------------------------------------------------------------


def test_blocks_of_several_containers_nest_outputs_outside(ad: Any) -> None:
    p, q = {"a": X, "b": 2.0}, [Y]

    def f(p: Any, q: Any) -> Any:
        return {"u": p["a"] * q[0], "v": p["b"] ** 2}

    zeros, by_p, by_q = np.zeros((3, 3)), {"a": np.diag(Y), "b": np.zeros(3)}, [np.diag(X)]
    last = {"a": np.zeros(3), "b": 4.0}
    for argnums in ((0, 1), ["p", "q"], [0, "q"]):
        found = ad.jacobian(f, argnums)(p, q)
        assert_same(found, {"u": (by_p, by_q), "v": (last, [np.zeros(3)])})
    assert_same(ad.jacobian(f, "q")(p, q=q), {"u": by_q, "v": [np.zeros(3)]})
    value, found = ad.value_and_jacobian(f, ["q"])(q=q, p=p)
    assert_same(value, f(p, q))
    assert_same(found, {"u": (by_q,), "v": ([np.zeros(3)],)})
    assert found["u"][0][0].shape == zeros.shape


def test_hessian_blocks_of_several_containers(ad: Any) -> None:
    p, q = {"a": X, "b": 2.0}, [Y]

    def f(p: Any, q: Any) -> Any:
        return np.sum(p["a"] ** 2 * q[0]) * p["b"]

    pp = {"a": {"a": np.diag(4 * Y), "b": 2 * X * Y}, "b": {"a": 2 * X * Y, "b": 0.0}}
    pq, qp = {"a": [np.diag(4 * X)], "b": [X**2]}, [{"a": np.diag(4 * X), "b": X**2}]
    qq = [[np.zeros((3, 3))]]
    gradient = ({"a": 4 * X * Y, "b": float(np.sum(X**2 * Y))}, [2 * X**2])
    for argnums in ((0, 1), ["p", "q"]):
        assert_same(ad.hessian(f, argnums)(p, q), ((pp, pq), (qp, qq)))
        assert_same(ad.value_grad_and_hessian(f, argnums)(p, q), (f(p, q), gradient, ((pp, pq), (qp, qq))))
    assert_same(ad.hessian(f, ("q", "p"))(p, q=q), ((qq, qp), (pq, pp)))
    assert_same(ad.hessian(f, "p")(p, q=q), pp)
    assert_same(ad.hessian(f, ["q"])(p, q), ((qq,),))


# --- aux --------------------------------------------------------------------------------------------------------------


def with_aux(x: Any, y: Any = 1.0) -> Any:
    s = np.sin(x)
    return np.sum(s * s) * y, {"s": s, "first": s[0], "text": "abc", "set": {1}, "outer": (Y, None)}


def with_aux_last(found: Any) -> tuple[Any, Any]:
    """((value, aux), derivative, ...) as ((value, derivative, ...), aux)."""
    (value, aux), *derivatives = found
    return (value, *derivatives), aux


def applied(found: Any, *directions: Any) -> tuple[Any, Any]:
    """(value, linear function, aux) as ((value, its result), aux)."""
    value, linear, aux = found
    return (value, linear(*directions)), aux


VALUE, SLOPES = float(np.sum(np.sin(X) ** 2)), np.sin(2 * X)
CURVATURE = np.diag(2 * np.cos(2 * X))
#: Every operator with has_aux, as (result, aux), and that result.
WITH_AUX: dict[str, tuple[Callable[[Any, Any], tuple[Any, Any]], Any]] = {
    "grad": (lambda ad, f: ad.grad(f, has_aux=True)(X), SLOPES),
    "grad by name": (lambda ad, f: ad.grad(f, "x", True)(x=X), SLOPES),
    "value_and_grad": (lambda ad, f: with_aux_last(ad.value_and_grad(f, has_aux=True)(X)), (VALUE, SLOPES)),
    "jvp": (lambda ad, f: ad.jvp(f, (X,), (Y,), True)[1:], SLOPES @ Y),
    "jvp of none": (lambda ad, f: ad.jvp(f, (X,), (), has_aux=True, argnums=())[1:], 0.0),
    "vjp": (lambda ad, f: applied(ad.vjp(f, X, has_aux=True), 2.0), (VALUE, (2 * SLOPES,))),
    "vjp by name": (lambda ad, f: applied(ad.vjp(f, X, 1.0, has_aux=True, argnums="x"), 2.0), (VALUE, 2 * SLOPES)),
    "linearize": (lambda ad, f: applied(ad.linearize(f, X, has_aux=True), Y), (VALUE, SLOPES @ Y)),
    "derivative": (lambda ad, f: ad.derivative(lambda y: f(X, y), has_aux=True)(2.0), VALUE),
    "derivative of none": (lambda ad, f: ad.derivative(lambda y: f(X, y), (), has_aux=True)(2.0), ()),
    "elementwise_grad": (
        lambda ad, f: ad.elementwise_grad(lambda x: (np.sin(x) ** 2, f(x)[1]), has_aux=True)(X),
        SLOPES,
    ),
    "elementwise_grad of two": (
        lambda ad, f: ad.elementwise_grad(lambda x, y: (np.sin(x) ** 2 * y, f(x)[1]), (1, 0), True)(X, np.ones(3)),
        (np.sin(X) ** 2, SLOPES),
    ),
    "jacobian": (lambda ad, f: ad.jacobian(f, has_aux=True)(X), SLOPES),
    "jacobian of none": (lambda ad, f: ad.jacobian(f, (), has_aux=True)(X), ()),
    "value_and_jacobian": (lambda ad, f: with_aux_last(ad.value_and_jacobian(f, has_aux=True)(X)), (VALUE, SLOPES)),
    "hessian": (lambda ad, f: ad.hessian(f, has_aux=True)(X), CURVATURE),
    "hessian by name": (lambda ad, f: ad.hessian(f, ["x"], True)(x=X), ((CURVATURE,),)),
    "value_grad_and_hessian": (
        lambda ad, f: with_aux_last(ad.value_grad_and_hessian(f, has_aux=True)(X)),
        (VALUE, SLOPES, CURVATURE),
    ),
    "hvp": (lambda ad, f: ad.hvp(f, X, Y, True), CURVATURE @ Y),
    "hvp by name": (lambda ad, f: ad.hvp(f, [X, 1.0], [Y], has_aux=True, argnums=["x"]), (CURVATURE @ Y,)),
    "jacobian of a gradient": (lambda ad, f: ad.jacobian(ad.grad(f, has_aux=True), has_aux=True)(X), CURVATURE),
}  # fmt: skip


@pytest.mark.parametrize("name", list(WITH_AUX))
def test_aux_comes_back_free_of_tracers(ad: Any, name: str) -> None:
    call, expected = WITH_AUX[name]
    result, aux = call(ad, with_aux)
    assert_same(result, expected)
    assert set(aux) == {"s", "first", "text", "set", "outer"}
    assert type(aux["s"]) is np.ndarray
    np.testing.assert_array_equal(aux["s"], np.sin(X))
    assert type(aux["first"]) is np.float64
    assert aux["text"] == "abc"
    assert aux["set"] == {1}
    assert aux["outer"][0] is Y
    assert aux["outer"][1] is None


@pytest.mark.parametrize("outer", ENGINES)
@pytest.mark.parametrize("name", list(WITH_AUX))
def test_aux_keeps_the_derivatives_of_outer_levels(ad: Any, outer: Any, name: str) -> None:
    call, _ = WITH_AUX[name]

    def first(t: Any) -> Any:
        return call(ad, lambda x, y=1.0: with_aux(x * t, y))[1]["first"]

    assert outer.derivative(first)(1.0) == pytest.approx(np.cos(X[0]) * X[0])


@pytest.mark.parametrize(
    "name", ["grad", "jacobian", "derivative", "hessian", "value_and_jacobian", "elementwise_grad"]
)
def test_function_without_the_aux_it_announces_is_refused(ad: Any, name: str) -> None:
    with pytest.raises(ShapeError, match=r"must return a pair \(value, aux\)"):
        getattr(ad, name)(lambda x: x * x, has_aux=True)(2.0)
    for call in (
        lambda f: ad.jvp(f, (2.0,), (1.0,), has_aux=True),
        lambda f: ad.vjp(f, 2.0, has_aux=True),
        lambda f: ad.linearize(f, 2.0, has_aux=True),
        lambda f: ad.hvp(f, 2.0, 1.0, has_aux=True),
    ):
        with pytest.raises(ShapeError, match=r"must return a pair \(value, aux\)"):
            call(lambda x: x * x)


# --- value and derivative in one go -----------------------------------------------------------------------------------


class Counted:
    """A function that counts its evaluations."""

    def __init__(self, f: Callable[..., Any]):
        self.f, self.count = f, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.count += 1
        return self.f(*args, **kwargs)


def test_value_comes_without_an_evaluation_of_its_own(ad: Any) -> None:
    for name, alone in (("value_and_jacobian", "jacobian"), ("value_grad_and_hessian", "hessian")):
        both, one = Counted(lambda x: np.prod(x)), Counted(lambda x: np.prod(x))
        found = getattr(ad, name)(both)(X)
        np.testing.assert_allclose(found[-1], getattr(ad, alone)(one)(X))
        assert found[0] == 6.0
        # Forwards, all directions are carried by one evaluation.
        assert both.count == one.count == 1


def test_value_is_what_the_function_returns(ad: Any) -> None:
    p = {"a": np.float32([1.0, 2.0]), "b": 2.0}

    def f(p: Any) -> Any:
        return [p["a"] * p["b"], (p["b"], 7)]

    value, matrix = ad.value_and_jacobian(f)(p)
    assert value[0].dtype == np.float32
    assert value[0].tolist() == [2.0, 4.0]
    assert value[1] == (2.0, 7)
    assert type(value[1][1]) is int
    assert_same(matrix, ad.jacobian(f)(p))
    value, gradient, hessian = ad.value_grad_and_hessian(lambda t: t**3)(2.0)
    assert (value, gradient, hessian) == (8.0, 12.0, 12.0)
    assert_same(ad.value_and_jacobian(lambda p: p)({}), ({}, {}))
    value, gradient, hessian = ad.value_grad_and_hessian(lambda p: 3.0)([])
    assert (value, gradient, hessian) == (3.0, [], [])


@pytest.mark.parametrize("outer", ENGINES)
def test_value_and_derivatives_can_be_differentiated(ad: Any, outer: Any) -> None:
    def newton_step(t: Any) -> Any:
        value, gradient, hessian = ad.value_grad_and_hessian(lambda x: x**3 * t - x)(2.0)
        return value - gradient / hessian

    # 8 t - 2 - (12 t - 1) / (12 t)
    assert outer.derivative(newton_step)(0.5) == pytest.approx(8.0 - 1 / (12 * 0.25))


def test_result_arrays_are_fresh(ad: Any) -> None:
    x = X.copy()
    value, matrix = ad.value_and_jacobian(lambda x: x)(x)
    three = ad.value_grad_and_hessian(lambda x: np.sum(x * x))(x)
    for a, b in itertools.combinations([x, value, matrix, *three[1:]], 2):
        assert not np.shares_memory(a, b)
        assert a.flags.writeable
        assert b.flags.writeable


# --- errors -----------------------------------------------------------------------------------------------------------


def two(x: Any, y: Any = 2.0, *, scale: Any = 1.0) -> Any:
    return x * y * scale


BAD: dict[str, tuple[Callable[..., Any], Any, tuple[Any, ...], dict[str, Any], type, str]] = {
    "unknown name": (two, "z", (1.0,), {}, TypeError, "no argument of the function.*its arguments are: x, y, scale"),
    "unknown name in a sequence": (two, (0, "z"), (1.0,), {}, TypeError, "argnums='z' names no argument"),
    "unknown name, no parameters": (lambda: 1.0, "z", (), {}, TypeError, "its arguments are: none"),
    "a default": (two, "y", (1.0,), {}, TypeError, "argnums='y' names an argument that was not passed.*default"),
    "a keyword-only default": (two, "scale", (1.0, 2.0), {}, TypeError, "'scale' names an argument that was not"),
    "a default of a partial": (partial(two, y=3.0), "y", (1.0,), {}, TypeError, "'y' names an argument that was not"),
    "bound by a partial": (partial(two, 1.0), "x", (3.0,), {}, TypeError, "its arguments are: y, scale"),
    "a keyword of any name": (lambda **k: 1.0, "z", (), {}, TypeError, "'z' names a keyword that was not passed"),
    "all keywords": (lambda **k: k["a"], "k", (), {"a": 1.0}, TypeError, "'k' names a keyword that was not passed"),
    "all positions": (lambda *xs: xs[0], "xs", (1.0, 2.0), {}, TypeError, r"names all of \*xs.*give the positions"),
    "int and name": (two, (0, "x"), (1.0, 2.0), {}, ValueError, "names an argument twice"),
    "name and int from the end": (two, ("y", -1), (1.0, 2.0), {}, ValueError, "names an argument twice"),
    "a name twice": (two, ["x", "x"], (1.0, 2.0), {}, ValueError, "names an argument twice"),
    "a keyword twice": (two, ["y", "y"], (1.0,), {"y": 2.0}, ValueError, "names an argument twice"),
    "int of a keyword": (two, 1, (1.0,), {"y": 2.0}, ValueError, "1 positional argument; .*by its name.*argnums='y'"),
    "int of the first keyword": (two, 0, (), {"x": 1.0}, ValueError, "0 positional arguments; .*argnums='x'"),
    "no signature": (max, "x", (1.0, 2.0), {}, TypeError, "argnums='x' cannot be looked up.*no signature.*position"),
    "a positional-only and a keyword": (
        lambda x, /, **k: x * k["x"], "x", (1.0,), {"x": 2.0}, TypeError, "argnums='x' could mean",
    ),
    "a set": (two, {0, 1}, (1.0, 2.0), {}, TypeError, "argnums must be an int, the name of an argument, or a sequence"),
    "an iterator": (two, iter((0, 1)), (1.0, 2.0), {}, TypeError, "or a sequence of these, not <tuple"),
    "a float": (two, (0, 1.0), (1.0, 2.0), {}, TypeError, r"argnums must be .*, not 1\.0"),
    "a bool": (two, (0, True), (1.0, 2.0), {}, TypeError, "argnums must be .*, not True"),
    "None": (two, (None,), (1.0, 2.0), {}, TypeError, "argnums must be .*, not None"),
    "a named text": (two, "y", (1.0,), {"y": "text"}, LeafTypeError, "is a str"),
    "a named mask": (two, "y", (1.0,), {"y": np.array([True])}, LeafTypeError, "dtype bool"),
}  # fmt: skip


@pytest.mark.parametrize("name", list(BAD))
def test_argnums_that_mean_no_argument_are_refused(ad: Any, name: str) -> None:
    f, argnums, args, kwargs, kind, text = BAD[name]
    for operator in ("grad", "derivative", "elementwise_grad", "jacobian", "hessian", "value_grad_and_hessian"):
        with pytest.raises(kind, match=text) as refusal:
            getattr(ad, operator)(f, argnums)(*args, **kwargs)
        assert f"{__file__}:" in str(refusal.value)
    if not kwargs:
        for call in (
            lambda: ad.jvp(f, args, args, argnums=argnums),
            lambda: ad.vjp(f, *args, argnums=argnums),
            lambda: ad.linearize(f, *args, argnums=argnums),
            lambda: ad.hvp(f, args, args, argnums=argnums),
        ):
            with pytest.raises(kind, match=text):
                call()


def test_tangents_that_do_not_fit_the_choice_are_refused(ad: Any) -> None:
    for call in (
        lambda: ad.jvp(two, (1.0, 2.0), (1.0,), argnums="x"),
        lambda: ad.jvp(two, (1.0, 2.0), (1.0, 1.0), argnums=["x"]),
        lambda: ad.linearize(two, 1.0, 2.0, argnums="x")[1](1.0, 1.0),
        lambda: ad.linearize(two, 1.0, 2.0, argnums="x")[1](),
        lambda: ad.linearize(two, 1.0, 2.0, argnums=["y"])[1](1.0, 1.0),
        lambda: ad.hvp(two, (1.0, 2.0), (1.0, 1.0), argnums="x"),
        lambda: ad.hvp(two, (1.0, 2.0), (1.0,), argnums=["x", "y"]),
    ):
        with pytest.raises(ShapeError, match="structure"):
            call()
