"""Transforms of one program combined: batches, checkpoints, rules of a function's own, transposition, sparsity.

Each derivative is compared with that of the same program without them, which differences or closed forms check
elsewhere; what a combination may not do silently is at the end.
"""

from __future__ import annotations

import copy
import gc
import pickle
import random
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import scipy.optimize

import dualad
import reversead
from shared import (
    ClosedLevelError,
    DifferentiationError,
    checkpoint,
    checkpoint_loop,
    colour,
    count_operations,
    custom_derivative,
    jacobian_pattern,
    linear_transpose,
    stop_gradient,
    tree_map,
    vmap,
)
from shared.batching import directions

Function = Callable[..., Any]
over_engines = pytest.mark.parametrize("outer", (dualad, reversead), ids=lambda e: f"{e.__name__}-over")

N = 3
X = np.array([0.31, -0.47, 0.83])
XS = np.stack([X, 2.0 * X])
MATRIX = np.array([[0.2, -0.5, 0.3], [0.4, 0.1, -0.6], [-0.3, 0.7, 0.25]])
WEIGHTS = np.array([0.4, -0.8, 0.6])


def close(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-11)


# --- random programs --------------------------------------------------------------------------------------------------


def assigned(x: Any) -> Any:
    y = np.zeros_like(x)
    y[0] = x[1] * x[2]
    y[1:] = np.sin(x[:-1])
    y[1] += x[0]
    return y


def written_through_a_view(x: Any) -> Any:
    y = np.copy(x)
    part = y[1:]
    part *= x[0]
    return y


def element_by_element(x: Any) -> Any:
    out = np.zeros(N, like=x)
    for k in range(N):
        out[k] = x[k] * x[(k + 1) % N]
    return out


STEPS: list[Function] = [
    assigned,
    written_through_a_view,
    element_by_element,
    np.tanh,
    lambda x: MATRIX @ np.sin(x),
    lambda x: np.cumsum(x) * 0.3,
    lambda x: x[[2, 0, 0]] * x,
    lambda x: np.einsum("i,j,ij->j", x, x, MATRIX),
    lambda x: np.where(x > 0.1, x * x, np.sin(x)),
    lambda x: x / np.sqrt(1.0 + np.sum(x**2)),
    lambda x: np.concatenate([x[1:], x[:1] ** 2]),
    lambda x: np.linalg.solve(2.0 * np.eye(N) + 0.3 * np.outer(x, x), x),
    lambda x: x * np.prod(x),
    lambda x: np.outer(x, np.tanh(x)) @ WEIGHTS,
]

#: Ways to write a function, each with the plain one that it equals.
WRAPPED: list[tuple[Callable[[Function], Function], Callable[[Function], Function]]] = [
    (checkpoint, lambda f: f),
    (lambda f: lambda x: vmap(f)(x[None])[0], lambda f: f),
    (
        lambda f: lambda x: np.sum(vmap(f, in_axes=1, out_axes=1)(np.stack([0.5 * x, x], axis=1)), axis=1),
        lambda f: lambda x: f(0.5 * x) + f(x),
    ),
    (
        lambda f: lambda x: vmap(checkpoint(lambda r, s: f(r * s)), in_axes=(0, None))(np.stack([x, x * x]), x)[1],
        lambda f: lambda x: f(x * x * x),
    ),
    (lambda f: custom_derivative(f, jvp=lambda t, out, x: dualad.jvp(f, (x,), t)[1]), lambda f: f),
    (lambda f: custom_derivative(f, vjp=lambda c, out, x: reversead.vjp(f, x)[1](c)), lambda f: f),
    (
        lambda f: lambda x: checkpoint_loop(lambda z, k: 0.5 * z + 0.1 * (k + 1) * np.tanh(f(z)), x, 3, snapshots=1),
        lambda f: lambda x: loop(lambda z, k: 0.5 * z + 0.1 * (k + 1) * np.tanh(f(z)), x, 3),
    ),
    (
        lambda f: lambda x: linear_transpose(lambda v: MATRIX @ (v * f(x)), x)(np.tanh(x))[0],
        lambda f: lambda x: f(x) * (MATRIX.T @ np.tanh(x)),
    ),
    (
        lambda f: lambda x: (lambda z: vmap(checkpoint(lambda y: f(y) * z))(np.stack([x, 0.5 * x]))[1])(np.sin(x)),
        lambda f: lambda x: f(0.5 * x) * np.sin(x),
    ),
]

DERIVED: list[Callable[[Function], Function]] = [
    lambda f: dualad.grad(lambda x: np.sum(np.tanh(f(x)))),
    lambda f: reversead.grad(lambda x: np.sum(np.tanh(f(x)))),
    lambda f: lambda x: dualad.jvp(f, (x,), (np.cos(x),))[1],
    lambda f: lambda x: reversead.vjp(f, x)[1](np.cos(x))[0],
    lambda f: lambda x: reversead.linearize(f, x)[1](np.cos(x)),
    lambda f: lambda x: reversead.hvp(lambda y: np.sum(np.tanh(f(y))), x, np.cos(x)),
]


def loop(step: Function, state: Any, n: int) -> Any:
    for k in range(n):
        state = step(state, k)
    return state


def random_program(seed: int) -> tuple[Function, Function, list[Function]]:
    """The same function with the transforms under test, and without; and the steps that it is made of."""
    choose = random.Random(seed)
    derivatives = 1
    steps: list[Function] = []

    def build(depth: int) -> tuple[Function, Function]:
        nonlocal derivatives
        kind = choose.random()
        if not depth:
            step = choose.choice(STEPS)
            steps.append(step)
            return step, step
        wrapped, plain = build(depth - 1)
        if kind < 0.2:
            first, second = build(depth - 1)
            return lambda x: wrapped(first(x)), lambda x: plain(second(x))
        if kind < 0.4 and derivatives:
            derivatives -= 1
            derive = choose.choice(DERIVED)
            return derive(wrapped), derive(plain)
        one, other = choose.choice(WRAPPED)
        return one(wrapped), other(plain)

    return (*build(2), steps)


def columns(linear: Function) -> Any:
    return np.stack([linear(e) for e in np.eye(N)], axis=1)


#: Ways to a Jacobian of a function of X.
JACOBIANS: dict[str, Callable[[Function], Any]] = {
    "dualad": lambda f: dualad.jacobian(f)(X),
    "dualad in chunks": lambda f: dualad.jacobian(f, chunk_size=2)(X),
    "reversead": lambda f: reversead.jacobian(f)(X),
    "reversead one by one": lambda f: reversead.jacobian(f, chunk_size=1)(X),
    "of a checkpoint": lambda f: reversead.jacobian(checkpoint(f))(X),
    "linearize": lambda f: columns(reversead.linearize(f, X)[1]),
    "pullback in a batch": lambda f: (lambda pullback: vmap(lambda e: pullback(e)[0])(np.eye(N)))(
        reversead.vjp(f, X)[1]
    ),
    "jvps in a batch": lambda f: vmap(lambda e: dualad.jvp(f, (X,), (e,))[1], out_axes=1)(np.eye(N)),
    "in a batch": lambda f: vmap(reversead.jacobian(f))(XS)[0],
    "of a batch": lambda f: reversead.jacobian(vmap(f))(XS)[0, :, 0],
    "sparse by jvps": lambda f: dualad.sparse_jacobian(f)(X).toarray(),
    "sparse by either": lambda f: reversead.sparse_jacobian(f)(X).toarray(),
}


@pytest.mark.parametrize("seed", range(60))
def test_random_combinations_have_the_derivative_of_the_plain_program(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapped, plain, _ = random_program(seed)
    close(wrapped(X), plain(X))
    wanted = dualad.jacobian(plain, chunk_size=1)(X)
    differences = np.stack([(plain(X + 1e-5 * e) - plain(X - 1e-5 * e)) / 2e-5 for e in np.eye(N)], axis=1)
    np.testing.assert_allclose(wanted, differences, rtol=1e-4, atol=1e-6)
    before = X.copy()
    for name in random.Random(seed).sample(list(JACOBIANS), 4):
        monkeypatch.setattr(directions, "BYTES", random.Random(seed).choice([2**25, 600, 64]))
        close(JACOBIANS[name](wrapped), wanted)
    assert np.array_equal(X, before)
    assert X.flags.writeable


# --- programs of users ------------------------------------------------------------------------------------------------


def root_of_cubic(a: Any, b: Any) -> Any:
    return scipy.optimize.brentq(lambda z: z**3 + float(a) * z - float(b), -10.0, 10.0, xtol=1e-15, rtol=1e-14)


def root_rule(tangents: Any, z: Any, a: Any, b: Any) -> Any:
    def residual(a: Any, b: Any, z: Any) -> Any:
        return z**3 + a * z - b

    slope = reversead.derivative(lambda z: residual(a, b, z))(z)
    return -dualad.jvp(lambda a, b: residual(a, b, z), (a, b), tangents)[1] / slope


root = custom_derivative(root_of_cubic, jvp=root_rule)


def root_by_newton(a: Any, b: Any) -> Any:
    z = stop_gradient(root(a, b))
    for _ in range(3):
        z = z - (z**3 + a * z - b) / (3.0 * z**2 + a)
    return z


POINT = np.array([1.3, 0.5, 0.9])
POINTS = np.stack([POINT, 2.0 * POINT])


def of_root(x: Any) -> Any:
    return root(x[0], x[1]) * x[2]


def of_newton(x: Any) -> Any:
    return root_by_newton(x[0], x[1]) * x[2]


@pytest.mark.parametrize("f", [of_root, checkpoint(of_root)], ids=["rule", "checkpoint"])
def test_a_solver_with_a_rule_of_its_own(ad: Any, f: Function) -> None:
    hessian = ad.hessian(of_newton)(POINT)
    for chunk_size in (None, 1, 2):
        close(ad.hessian(f, chunk_size=chunk_size)(POINT), hessian)
    close(ad.hvp(f, POINT, X), hessian @ X)
    close(ad.sparse_hessian(f)(POINT).toarray(), hessian)
    close(vmap(ad.grad(f))(POINTS), np.stack([ad.grad(of_newton)(p) for p in POINTS]))
    close(vmap(ad.hessian(f))(POINTS), np.stack([ad.hessian(of_newton)(p) for p in POINTS]))
    both = ad.jacobian(lambda p: np.stack([of_newton(p[0]), of_newton(p[1])]))(POINTS)
    close(ad.jacobian(vmap(f))(POINTS), both)
    close(ad.sparse_jacobian(vmap(f))(POINTS).toarray(), both.reshape(2, 6))

    def looped(g: Function, run: Function) -> Function:
        return lambda x: run(lambda z, k: g(z, x[1]) * x[2] + 0.2, x[0], 5)

    close(ad.hessian(looped(root, checkpoint_loop))(POINT), ad.hessian(looped(root_by_newton, loop))(POINT))


def equilibrium(weights: Any, b: Any) -> Any:
    z = np.zeros(N)
    for _ in range(100):
        z = np.tanh(weights @ z + b)
    return z


def equilibrium_rule(c: Any, z: Any, weights: Any, b: Any) -> Any:
    def step(z: Any, weights: Any, b: Any) -> Any:
        return np.tanh(weights @ z + b)

    adjoint = np.linalg.solve((np.eye(N) - dualad.jacobian(step)(z, weights, b)).T, c)
    return reversead.vjp(lambda weights, b: step(z, weights, b), weights, b)[1](adjoint)


layer = custom_derivative(equilibrium, vjp=equilibrium_rule)


def test_a_network_with_an_implicit_layer_in_a_batch(ad: Any) -> None:
    p = {"W": 0.5 * MATRIX, "V": MATRIX.T}

    def loss(p: Any, rows: Any) -> Any:
        return np.sum((vmap(lambda r: layer(p["W"], r @ p["V"]))(rows) - 1.0) ** 2)

    def plain(p: Any, rows: Any) -> Any:
        return sum(np.sum((equilibrium(p["W"], r @ p["V"]) - 1.0) ** 2) for r in rows)

    for f in (loss, checkpoint(loss)):
        found, wanted = ad.grad(f, argnums=("p", "rows"))(p, rows=XS), reversead.grad(plain, (0, 1))(p, XS)
        tree_map(close, found, wanted)
    wanted = reversead.hessian(plain, 1)(p, XS)
    close(ad.hessian(loss, "rows")(p, XS), wanted)
    close(ad.sparse_hessian(loss, "rows")(p, rows=XS).toarray(), wanted.reshape(6, 6))
    close(ad.hvp(loss, (p, XS), XS, argnums="rows"), np.einsum("ijkl,kl->ij", wanted, XS))


def test_a_checkpointed_ode_over_a_batch_of_initial_values(ad: Any) -> None:
    def energy(run: Function, p: Any, y0: Any) -> Any:
        def field(y: Any) -> Any:
            return np.stack([p["a"] * y[0] - p["b"] * y[0] * y[1], -p["c"] * y[1] + y[0] * y[1]])

        def step(state: Any, k: int) -> Any:
            y = state["y"] + 0.1 * field(state["y"] + 0.05 * field(state["y"]))
            return {"y": y, "sum": state["sum"] + np.sum(y**2) * (k + 1)}

        return run(step, {"y": y0, "sum": 0.0}, 6)["sum"]

    def f(p: Any, y0: Any) -> Any:
        return energy(lambda *given: checkpoint_loop(*given, snapshots=2), p, y0)

    def plain(p: Any, y0: Any) -> Any:
        return energy(loop, p, y0)

    p = {"a": 1.1, "b": 0.4, "c": np.float64(0.7)}
    starts = np.array([[1.0, 0.5], [2.0, 1.0], [0.3, 1.2]])
    tree_map(close, ad.hessian(f, (0, 1))(p, starts[0]), reversead.hessian(plain, (0, 1))(p, starts[0]))
    found = vmap(ad.value_grad_and_hessian(f, "y0"), in_axes=(None, 0))(p, starts)
    rows = [reversead.value_grad_and_hessian(plain, 1)(p, y) for y in starts]
    for values, wanted in zip(found, zip(*rows, strict=True), strict=True):
        close(values, np.stack(wanted))
    wanted = reversead.jacobian(lambda p: np.stack([plain(p, y) for y in starts]))(p)
    tree_map(close, ad.jacobian(lambda p: vmap(lambda y: f(p, y))(starts))(p), wanted)


def test_auxiliary_values_and_names_within_other_derivatives(ad: Any) -> None:
    def f(a: Any, b: Any) -> Any:
        return np.sum(np.sin(a * b) * a), {"product": a * b, "count": 3}

    def plain(b: Any) -> Any:
        return f(X, b)[0]

    hessian = reversead.hessian(plain)(X)
    gradient = ad.grad(f, "b", has_aux=True)
    for engine in (dualad, reversead):
        found = engine.jvp(lambda a, b: gradient(a, b=b), (X, X), WEIGHTS, has_aux=True, argnums="b")
        close(found[1], hessian @ WEIGHTS)
        assert found[2]["count"] == 3
        pullback = engine.vjp(lambda a, b: gradient(a, b=b), X, X, has_aux=True, argnums="b")[1]
        close(pullback(WEIGHTS), hessian @ WEIGHTS)
    (value, aux), slope, matrix = vmap(ad.value_grad_and_hessian(f, "b", has_aux=True), in_axes=(None, 0))(X, XS)
    close(value, [plain(b) for b in XS])
    close(aux["product"], X * XS)
    close(slope, [reversead.grad(plain)(b) for b in XS])
    close(matrix, [reversead.hessian(plain)(b) for b in XS])
    close(ad.grad(checkpoint(f), "b", has_aux=True)(X, b=X)[0], reversead.grad(plain)(X))


def test_sparse_derivatives_within_other_derivatives(ad: Any) -> None:
    def f(y: Any) -> Any:
        return y[1:] * y[:-1] ** 2

    colouring = colour(jacobian_pattern(f, X))

    def of_values(y: Any) -> Any:
        # Of a traced point the values are given, and no SciPy matrix.
        return np.sum(ad.sparse_jacobian(f)(y)[0] ** 3)

    def plain(y: Any) -> Any:
        return np.sum(ad.jacobian(f)(y) ** 3)

    for engine in (dualad, reversead):
        close(engine.grad(of_values)(X), engine.grad(plain)(X))
        close(engine.hessian(checkpoint(of_values))(X), engine.hessian(plain)(X))
        close(vmap(engine.grad(of_values))(XS), np.stack([engine.grad(plain)(y) for y in XS]))
    close(ad.sparse_jacobian(f, pattern=colouring)(2.0 * X).toarray(), ad.jacobian(f)(2.0 * X))


def test_a_given_pattern_in_a_batch(ad: Any) -> None:
    def f(y: Any) -> Any:
        return y[1:] * y[:-1]

    pattern = jacobian_pattern(f, X)
    found = vmap(lambda y: ad.sparse_jacobian(f, pattern=pattern)(y)[0])(XS)
    close(found, np.stack([ad.sparse_jacobian(f)(y).data for y in XS]))


@over_engines
def test_transposes_of_derivatives_and_of_batches(ad: Any, outer: Any) -> None:
    def f(y: Any) -> Any:
        return np.sin(y) * y[0]

    def changed(v: Any) -> Any:
        part = v[1:]
        part += v[0] * 1.0
        return v

    jacobian = ad.jacobian(f)(X)
    close(linear_transpose(lambda t: ad.jvp(f, (X,), (t,))[1], X)(WEIGHTS)[0], jacobian.T @ WEIGHTS)
    close(linear_transpose(ad.linearize(f, X)[1], X)(WEIGHTS)[0], jacobian.T @ WEIGHTS)
    close(linear_transpose(lambda c: ad.vjp(f, X)[1](c)[0], X)(WEIGHTS)[0], jacobian @ WEIGHTS)
    matrix = np.array([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    close(linear_transpose(vmap(changed), XS)(XS)[0], XS @ matrix)

    def transposed(q: Any) -> Any:
        return linear_transpose(checkpoint(lambda v: changed(np.copy(v)) * q), q)(q)[0]

    def plain(q: Any) -> Any:
        return matrix.T @ (q * q)

    close(vmap(transposed)(XS), np.stack([plain(q) for q in XS]))
    close(outer.jacobian(transposed)(X), outer.jacobian(plain)(X))
    close(outer.sparse_jacobian(transposed)(X).toarray(), outer.jacobian(plain)(X))
    close(vmap(outer.jacobian(transposed))(XS), np.stack([outer.jacobian(plain)(q) for q in XS]))


# --- what is changed in place -----------------------------------------------------------------------------------------


def adds(x: Any) -> Any:
    x += 1.0
    return np.sin(x) * x[0]


def assigns(x: Any) -> Any:
    x[0] = x[1] * x[2]
    x[1:] *= 2.0
    return x * x


def writes_a_view(x: Any) -> Any:
    part = x[::-1]
    part -= x[0]
    return np.exp(x)


def assigned_by_mask(x: Any) -> Any:
    y = np.copy(x)
    y[y > 0.0] = 0.5
    return np.sum(y * x)


def test_assignment_by_a_mask_in_a_batch_of_gradients() -> None:
    wanted = np.stack([reversead.grad(assigned_by_mask)(x) for x in XS])
    close(vmap(reversead.grad(assigned_by_mask))(XS), wanted)
    close(vmap(dualad.grad(assigned_by_mask, chunk_size=1))(XS), wanted)


@pytest.mark.parametrize("f", [adds, assigns, writes_a_view])
def test_no_transform_changes_the_arrays_of_its_caller(ad: Any, f: Function) -> None:
    def pure(x: Any) -> Any:
        return f(np.copy(x))

    def total(x: Any) -> Any:
        return np.sum(np.tanh(f(x)))

    def pure_total(x: Any) -> Any:
        return np.sum(np.tanh(pure(x)))

    jacobian, hessian = ad.jacobian(pure)(X), ad.hessian(pure_total)(X)
    wanted = np.stack([ad.jacobian(pure)(x) for x in XS])
    x, xs = X.copy(), XS.copy()
    for chunk_size in (None, 1, 2):
        close(ad.jacobian(f, chunk_size=chunk_size)(x), jacobian)
    close(ad.hessian(total)(x), hessian)
    close(ad.hvp(total, x, WEIGHTS), hessian @ WEIGHTS)
    close(vmap(ad.jacobian(f))(xs), wanted)
    close(vmap(f)(xs), np.stack([pure(x) for x in XS]))
    close(np.einsum("kikj->kij", ad.jacobian(vmap(f))(xs)), wanted)
    close(ad.sparse_jacobian(f)(x).toarray(), jacobian)
    close(ad.sparse_hessian(total)(x).toarray(), hessian)
    close(
        ad.jacobian(lambda x: checkpoint_loop(lambda z, k: 0.3 * f(z), x, 3, snapshots=1))(x),
        ad.jacobian(lambda x: loop(lambda z, k: 0.3 * pure(z), x, 3))(x),
    )
    assert np.array_equal(x, X) and np.array_equal(xs, XS)
    assert x.flags.writeable and xs.flags.writeable


def test_linear_functions_and_pullbacks_outlive_changes_of_their_arguments(ad: Any) -> None:
    a, matrix = X.copy(), MATRIX.copy()
    f = checkpoint(lambda a, matrix: {"out": np.tanh(matrix @ a) * a})
    out, f_jvp = ad.linearize(f, a, matrix)
    _, pullback = ad.vjp(f, a, matrix)
    tangent, cotangents = f_jvp(WEIGHTS, MATRIX)["out"], pullback({"out": WEIGHTS})
    a += 5.0
    matrix *= 0.0
    out["out"][:] = 9.0
    for _ in range(3):
        assert np.array_equal(f_jvp(WEIGHTS, MATRIX)["out"], tangent)
        again = pullback({"out": WEIGHTS})
        assert all(np.array_equal(c, d) for c, d in zip(again, cotangents, strict=True))
        again[0][:], again[1][:] = 7.0, 7.0


def test_copies_of_tracers_are_arrays_of_their_own(ad: Any) -> None:
    def f(x: Any) -> Any:
        y = copy.deepcopy({"a": [x, x]})
        y["a"][0][0] = 5.0
        z = copy.copy(x)
        z[1] = 0.0
        return np.sum(y["a"][1] * z)

    wanted = ad.grad(lambda x: 5.0 * x[0] + x[2] ** 2)(X)
    close(ad.grad(f)(X), wanted)
    close(vmap(ad.grad(checkpoint(f)))(XS), np.stack([ad.grad(lambda x: 5.0 * x[0] + x[2] ** 2)(x) for x in XS]))


# --- state, memory, costs ---------------------------------------------------------------------------------------------


def combinations() -> dict[str, Function]:
    def body(x: Any) -> Any:
        return np.sum(np.tanh(x * x) + 0.1 * np.cumsum(x))

    rule = custom_derivative(np.tanh, jvp=lambda t, out, x: t[0] * (1.0 - out * out))
    return {
        "checkpoint": reversead.grad(checkpoint(body)),
        "loop": reversead.grad(lambda x: np.sum(checkpoint_loop(lambda z, k: np.sin(z) * x, x, 6, snapshots=2))),
        "rule": reversead.grad(lambda x: np.sum(rule(x))),
        "all": reversead.grad(lambda x: np.sum(vmap(checkpoint(lambda r: rule(r) * r))(x.reshape(4, -1)))),
        "batch": lambda x: vmap(reversead.grad(checkpoint(body)))(x.reshape(4, -1)),
        "hvp": lambda x: reversead.hvp(checkpoint(body), x, x),
        "linearize": lambda x: reversead.linearize(checkpoint(lambda x: rule(x) * x), x)[1](x),
        "jvp": lambda x: dualad.jvp(lambda x: vmap(rule)(x.reshape(4, -1)), (x,), (x,)),
        "transpose": lambda x: linear_transpose(vmap(lambda v: 2.0 * v), x.reshape(4, -1))(x.reshape(4, -1)),
    }


@pytest.mark.parametrize("name", combinations())
def test_nothing_is_left_of_a_combination(name: str) -> None:
    f = combinations()[name]
    f(np.linspace(0.1, 1.0, 400))
    gc.collect()
    gc.disable()
    try:
        x = np.linspace(0.1, 1.0, 20_000)
        alive = weakref.ref(x)
        f(x)
        assert x.flags.writeable
        del x
        assert alive() is None
        assert gc.collect() == 0
    finally:
        gc.enable()


@pytest.mark.parametrize("name", [name for name in combinations() if name != "transpose"])
def test_counts_of_a_combination_are_the_same_each_time(name: str) -> None:
    f = combinations()[name]
    x = np.linspace(0.1, 1.0, 8)
    counts = {count_operations(f, x) for _ in range(3)}
    assert len(counts) == 1
    assert 0 < counts.pop() < 100 * count_operations(lambda x: np.sum(np.tanh(x * x)), x)


def test_an_error_midway_leaves_nothing_behind(ad: Any) -> None:
    failing = True
    large = np.random.default_rng(0).normal(size=(100, 100))

    def sometimes(x: Any) -> Any:
        y = np.sin(large @ x)
        if failing:
            raise RuntimeError("midway")
        return y * x

    f = checkpoint(sometimes)
    x = np.linspace(-1.0, 1.0, 100)
    rule = custom_derivative(lambda x: np.sin(large @ x) * x, jvp=lambda t, out, x: dualad.jvp(f, (x,), t)[1])
    runs: dict[str, Function] = {
        "grad": lambda: ad.grad(lambda x: np.sum(f(x)))(x),
        "loop": lambda: ad.grad(lambda x: np.sum(checkpoint_loop(lambda z, k: f(z), x, 3, snapshots=1)))(x),
        "batch": lambda: vmap(ad.grad(lambda x: np.sum(f(x))))(np.stack([x, x])),
        "jacobian": lambda: ad.jacobian(f)(x),
        "sparse": lambda: ad.sparse_jacobian(f)(x).toarray(),
        "rule": lambda: ad.jvp(rule, (x,), (x,))[1],
    }
    for run in runs.values():
        failing = True
        with pytest.raises(RuntimeError, match="midway"):
            run()
        assert large.flags.writeable and x.flags.writeable
        failing = False
        assert np.array_equal(run(), run())
        assert large.flags.writeable and x.flags.writeable


def test_results_and_transforms_of_transforms_pickle() -> None:
    f = vmap(reversead.grad(checkpoint(sum_of_squares)))
    close(pickle.loads(pickle.dumps(f))(XS), 2.0 * XS)
    matrix = reversead.sparse_jacobian(np.sin)(X)
    close(pickle.loads(pickle.dumps(matrix)).toarray(), np.diag(np.cos(X)))


def sum_of_squares(x: Any) -> Any:
    return np.sum(x**2)


@pytest.mark.parametrize("shape", [(0,), (2, 0, 3)])
def test_combinations_of_nothing(ad: Any, shape: tuple[int, ...]) -> None:
    empty = np.zeros(shape)
    for f in (
        checkpoint(lambda x: x * 2.0),
        custom_derivative(lambda x: x * 2.0, vjp=lambda c, out, x: (c * 2.0,)),
        vmap(lambda r: r * 2.0),
        lambda x: checkpoint_loop(lambda z, k: z * 1.2, x, 3),
    ):
        assert ad.jacobian(f)(empty).shape == shape + shape
        assert ad.hessian(lambda x, f=f: np.sum(f(x) * x))(empty).shape == shape + shape
        assert ad.sparse_jacobian(f)(empty).shape == (0, 0)
        assert vmap(ad.grad(lambda x, f=f: np.sum(f(x))))(np.zeros((0, 3, 2))).shape == (0, 3, 2)


def test_sparse_derivatives_of_twenty_thousand_numbers_take_few_products() -> None:
    def f(x: Any) -> Any:
        return np.concatenate([x[:1] ** 2, x[1:-1] * x[2:] - np.exp(-(x[:-2] ** 2)), 3.0 * x[-1:]])

    x = np.linspace(0.1, 1.0, 20_000)
    rule = custom_derivative(f, vjp=lambda c, out, x: reversead.vjp(f, x)[1](c))
    reports: list[str] = []
    plain = dualad.sparse_jacobian(f, report=reports.append)(x)
    for g in (checkpoint(f), rule):
        found = reversead.sparse_jacobian(g, report=reports.append)(x)
        assert abs(found - plain).max() < 1e-12
    assert all(report.startswith(("3 ", "4 ")) for report in reports)


# --- what fails -------------------------------------------------------------------------------------------------------


@over_engines
def test_a_pattern_sees_what_is_written_through_a_view_of_a_point(ad: Any, outer: Any) -> None:
    def f(x: Any) -> Any:
        return ad.jvp(written_through_a_view, (stop_gradient(x),), (x,))[1]

    close(outer.sparse_jacobian(f)(X).toarray(), outer.jacobian(f)(X))


def test_a_pattern_of_a_rule_that_differentiates_a_function_that_writes_a_view(ad: Any) -> None:
    f = custom_derivative(
        written_through_a_view, jvp=lambda t, out, x: reversead.jvp(written_through_a_view, (x,), t)[1]
    )
    close(ad.sparse_jacobian(f)(X).toarray(), ad.jacobian(f)(X))


@pytest.mark.parametrize(
    "f", [np.sort, lambda x: x[np.argmax(x)], lambda x: dualad.grad(lambda y: np.sum(np.where(y > 0, y * y, y)))(x)]
)
def test_a_pattern_of_a_batch_that_the_point_decides(f: Function) -> None:
    close(
        reversead.sparse_jacobian(vmap(f))(XS).toarray(),
        reversead.jacobian(lambda xs: np.stack([f(xs[0]), f(xs[1])]))(XS).reshape(-1, 6),
    )


@pytest.mark.parametrize("f", [np.sort, lambda x: x[np.argmax(x)]])
def test_gradients_of_indexing_in_a_batch_of_batches(f: Function) -> None:
    gradient = reversead.grad(lambda x: np.sum(f(x) ** 2 * WEIGHTS))
    close(vmap(vmap(gradient))(XS[None]), np.stack([gradient(x) for x in XS])[None])


def test_a_rule_that_takes_plain_values_alone_in_a_batch_of_jacobians(ad: Any) -> None:
    f = custom_derivative(
        np.sin,
        jvp=lambda t, out, x: np.array([float(np.cos(v)) * float(w) for v, w in zip(x, t[0], strict=True)]),
        vjp=lambda c, out, x: (np.array([float(np.cos(v)) * float(w) for v, w in zip(x, c, strict=True)]),),
    )
    close(ad.jacobian(f)(X), np.diag(np.cos(X)))
    close(vmap(ad.jacobian(f))(XS), np.stack([np.diag(np.cos(x)) for x in XS]))


def test_assignment_by_a_mask_in_a_batch_of_directions_in_a_batch(ad: Any) -> None:
    found = vmap(ad.hessian(assigned_by_mask))(XS)
    close(found, np.stack([ad.hessian(assigned_by_mask)(x) for x in XS]))


@pytest.mark.parametrize(
    "derivative",
    [
        lambda f, given: dualad.jacobian(f, chunk_size=1)(X, given),
        lambda f, given: dualad.sparse_jacobian(f)(X, given).toarray(),
        lambda f, given: reversead.sparse_jacobian(f)(X, given).toarray(),
        lambda f, given: columns(dualad.linearize(f, X, given, argnums=0)[1]),
        lambda f, given: dualad.jacobian(custom_derivative(f, jvp=lambda t, out, x, given: t[0] * sum(given)))(
            X, given
        ),
    ],
    ids=["chunks", "sparse by jvps", "sparse by either", "linearize", "rule"],
)
def test_an_iterator_among_the_arguments_is_refused_or_right(derivative: Function) -> None:
    def f(x: Any, given: Iterator[float]) -> Any:
        return sum((x * factor for factor in given), np.zeros(N))

    try:
        found = derivative(f, iter([1.0, 2.0]))
    except (DifferentiationError, TypeError, ValueError):
        return
    close(found, 3.0 * np.eye(N))


@pytest.mark.parametrize("what", ["count", "rule"])
def test_values_that_escaped_are_refused(what: str) -> None:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.append(x * 2.0)
        return np.sum(x)

    if what == "count":
        count_operations(f, X)
        with pytest.raises(ClosedLevelError):
            np.sin(kept[0])
    else:
        vmap(f)(XS)
        with pytest.raises(ClosedLevelError):
            custom_derivative(lambda y: y * 2.0, jvp=lambda t, out, y: t[0] * 2.0)(kept[0])
