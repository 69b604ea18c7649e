"""Arrays of other libraries in both engines: dask's, which are lazy, and those that know the Array API alone."""

from __future__ import annotations

import array_api_strict
import dask
import dask.array as da
import numpy as np
import pytest

import dualad
import reversead
import shared
from shared import DifferentiationError, NoRuleError, ShapeError
from shared.core.foreign import Foreign
from tests.foreign_functions import (
    FUNCTIONS,
    V,
    W,
    X,
    Y,
    assignments,
    choices,
    logistic,
    moves,
    network,
    our_functions,
    products,
)

ENGINES = [dualad, reversead]
each_engine = pytest.mark.parametrize("engine", ENGINES)

each_function = pytest.mark.parametrize("f", FUNCTIONS, ids=lambda f: f.__name__)


def lazy(array: np.ndarray) -> da.Array:
    return da.from_array(array, chunks=tuple(max(n // 3, 2) for n in array.shape))


def without_computing(call):
    """The result of a call in which nothing may be computed."""

    def refuse(*args, **kwargs):
        raise AssertionError("a lazy array was computed")

    with dask.config.set(scheduler=refuse):
        return call()


def close(found, expected) -> None:
    for one, other in zip(shared.flatten(found)[0], shared.flatten(expected)[0], strict=True):
        assert not isinstance(one, Foreign)
        np.testing.assert_allclose(np.asarray(one), other, rtol=1e-10, atol=1e-12)


WHICH = {"weights": (True, False), "data": (False, True), "both": (True, True)}


@each_engine
@each_function
@pytest.mark.parametrize("which", WHICH)
def test_a_gradient_of_lazy_arrays_is_lazy(engine, f, which) -> None:
    w = lazy(W) if WHICH[which][0] else W
    x, y = (lazy(X), lazy(Y)) if WHICH[which][1] else (X, Y)
    value, gradient = without_computing(lambda: engine.value_and_grad(f)(w, x, y))
    assert isinstance(value, da.Array) and isinstance(gradient, da.Array)
    if w is not W:
        assert gradient.chunks == w.chunks
    close((value, gradient), engine.value_and_grad(f)(W, X, Y))


@pytest.mark.parametrize("f", [logistic, network, choices, moves, assignments], ids=lambda f: f.__name__)
def test_the_data_can_vary_too(f) -> None:
    x = lazy(X)
    gradient = without_computing(lambda: reversead.grad(f, "x")(W, x, lazy(Y)))
    assert gradient.chunks == x.chunks
    close(gradient, reversead.grad(f, "x")(W, X, Y))


@each_engine
@pytest.mark.parametrize("as_lazy", [False, True])
def test_every_transform_is_lazy(engine, as_lazy) -> None:
    x, y = lazy(X), lazy(Y)
    w, v = (lazy(W), lazy(V)) if as_lazy else (W, V)

    def both(call):
        close(without_computing(lambda: call(w, v, x, y)), call(W, V, X, Y))

    both(lambda w, v, x, y: engine.hvp(lambda w: logistic(w, x, y), w, v))
    both(lambda w, v, x, y: engine.hessian(lambda w: logistic(w, x, y))(w))
    both(lambda w, v, x, y: engine.jacobian(lambda w: np.tanh(x[:5] @ w))(w))
    both(lambda w, v, x, y: engine.jvp(lambda w: np.tanh(x @ w), (w,), (v,)))
    both(lambda w, v, x, y: engine.vjp(lambda w: np.tanh(x @ w), w)[1](y))
    both(lambda w, v, x, y: engine.linearize(lambda w: np.tanh(x @ w), w)[1](v))
    both(lambda w, v, x, y: engine.grad(lambda w: (logistic(w, x, y), x @ w), has_aux=True)(w))
    both(lambda w, v, x, y: engine.grad(lambda p: logistic(p["w"], x, y))({"w": w}))


def test_what_a_sum_spreads_takes_no_memory() -> None:
    x = da.ones((10**9, 4), chunks=(10**6, 4))
    gradient = without_computing(lambda: reversead.grad(lambda w: np.sum(x * w))(np.ones(4)))
    blocks = [part for layer in gradient.dask.layers.values() for part in getattr(layer, "values", list)()]
    assert max(getattr(part, "nbytes", 0) for part in blocks) < 10**6


@each_engine
def test_a_branch_on_a_lazy_value_is_refused_with_its_line(engine) -> None:
    def branch(w):
        total = np.sum(lazy(X) * w)
        return total if total > 0 else -total

    with pytest.raises(DifferentiationError, match=r"a dask array is lazy, and a branch .*test_foreign.*np\.where"):
        without_computing(lambda: engine.grad(branch)(W))


@each_engine
def test_a_mask_is_refused_where_nobody_knows_how_much_it_leaves(engine) -> None:
    with pytest.raises(ShapeError, match=r"axis of unknown length .*np\.where"):
        engine.grad(lambda w: np.sum((lazy(X) * w)[lazy(X) > 0]))(W)


@each_engine
def test_what_would_need_the_values_is_refused(engine) -> None:
    with pytest.raises(DifferentiationError, match="lazy"):
        without_computing(lambda: engine.elementwise_grad(np.sin)(lazy(X)))
    with pytest.raises(DifferentiationError, match=r"compute\(\) outside"):
        without_computing(lambda: engine.grad(lambda x: np.sum(np.asarray(np.floor(x))))(lazy(X)))


@each_engine
def test_a_function_that_the_library_lacks_is_named(engine) -> None:
    with pytest.raises(NoRuleError, match="dask array"):
        engine.grad(lambda x: np.sum(np.linalg.pinv(x)))(lazy(X))


@each_engine
def test_arrays_of_two_libraries_are_told_apart(engine) -> None:
    other = array_api_strict.asarray(X)
    with pytest.raises(TypeError, match=r"a dask array \(lazy\) and an array_api_strict array \(not lazy\) \(at"):
        engine.grad(lambda w: np.sum(w * lazy(X) + other))(W)


@pytest.mark.parametrize("transform", [shared.trace, lambda f, *args: shared.compile(f)(*args)])
def test_a_record_refuses_them(transform) -> None:
    with pytest.raises(TypeError, match="dask"):
        transform(reversead.grad(lambda w: np.sum(lazy(X) * w)), W)


def test_none_of_them_leaves_as_a_tracer() -> None:
    x = lazy(X)
    close(without_computing(lambda: shared.vmap(lambda row: np.sum(row * W))(x)), X @ W)
    tape = reversead.Tape()
    w = tape.variable(W)
    close(without_computing(lambda: tape.gradient(np.sum(np.tanh(x @ w)), w)), reversead.grad(
        lambda w: np.sum(np.tanh(X @ w)))(W))  # fmt: skip
    entries, _ = reversead.sparse_jacobian(lambda w: np.tanh(x @ w))(W)
    assert isinstance(entries, da.Array)
    gradient = reversead.grad(shared.checkpoint(lambda w: logistic(w, x, lazy(Y))))(W)
    close(gradient, reversead.grad(logistic)(W, X, Y))


def test_a_cluster_computes_a_gradient() -> None:
    distributed = pytest.importorskip("distributed")
    with distributed.Client(processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None) as client:
        gradient = reversead.grad(logistic)(W, lazy(X), lazy(Y))
        close(client.compute(gradient).result(), reversead.grad(logistic)(W, X, Y))


# --- the Array API alone ----------------------------------------------------------------------------------------------


@each_engine
@pytest.mark.parametrize("f", [f for f in FUNCTIONS if f not in (our_functions, products)], ids=lambda f: f.__name__)
def test_arrays_that_know_only_the_array_api(engine, f) -> None:
    gradient = engine.grad(f)(array_api_strict.asarray(W), X, Y)
    assert isinstance(gradient, type(array_api_strict.asarray(W)))
    close(gradient, engine.grad(f)(W, X, Y))
    close(engine.hessian(f)(array_api_strict.asarray(W), X, Y), engine.hessian(f)(W, X, Y))


@each_engine
def test_an_eager_array_may_decide_a_branch(engine) -> None:
    def f(w):
        return np.sum(w * w) if np.sum(w) > -100 else 0.0

    close(engine.grad(f)(array_api_strict.asarray(W)), 2 * W)


@each_engine
def test_single_precision_stays(engine) -> None:
    w = array_api_strict.asarray(W.astype(np.float32))
    gradient = engine.grad(lambda w: np.sum(np.sin(w) * w))(w)
    assert gradient.dtype == array_api_strict.float32


@each_engine
def test_a_function_that_the_standard_lacks_is_named(engine) -> None:
    with pytest.raises(NoRuleError, match="cumprod is not among the functions of array_api_strict"):
        engine.grad(lambda w: np.sum(np.cumprod(w)))(array_api_strict.asarray(W))
