"""Many directions at once: chunks of any size give the same derivative, as fresh arrays of the same dtypes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from registry_samples import SAMPLES, one_shape

import dualad
import reversead
import shared.batching.directions
from shared.batching.batched import Batch, Batched
from shared.batching.directions import along_directions, number_of_directions, unit_seeds
from shared.batching.one_hot import OneHot
from shared.batching.vmap import vmap
from shared.calling.tree import flatten
from shared.core.errors import ClosedLevelError
from shared.counting.counter import count_operations

rng = np.random.default_rng(3)
A = rng.normal(size=(4, 5))
X = rng.normal(size=5)

#: Functions of containers and dtypes of every kind, each with its arguments.
PROGRAMS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "vector": (lambda x: np.tanh(A @ np.tanh(x)), (X,)),
    "matrix": (lambda w: w @ X[:3] * np.sum(w), (A[:, :3],)),
    "number": (lambda t: np.exp(t) * X, (0.5,)),
    "containers": (lambda p: {"s": p["a"] * p["b"][0], "t": [np.sum(p["a"]), 3, p["b"][0]]}, ({"a": X, "b": (2.0,)},)),
    "single precision": (lambda x: np.sin(x) * x, (X.astype(np.float32),)),
    "weak beside single precision": (lambda t, x: t * x * t, (0.5, X.astype(np.float32))),
    "both precisions": (lambda x, y: x * y, (X.astype(np.float32), X)),
    "complex and holomorphic": (lambda z: z * z * (1 + 2j), (X + 1j * X[::-1],)),
    "complex to real": (lambda z: np.abs(z) ** 2, (X + 1j * X[::-1],)),
    "real to complex": (lambda x: np.exp(1j * x), (X,)),
    "integers": (lambda x: x**2, (np.arange(3),)),
    "no input": (lambda x: X * 2, (np.zeros(0),)),
    "no output": (lambda x: x[:0], (X,)),
    "constant output": (lambda x: A[0], (X,)),
    "the input itself": (lambda x: x, (X,)),
    "one output twice": (lambda x: (lambda y: (y, y))(x * x), (X,)),
    "a scalar": (lambda x: np.prod(x), (X,)),
    "assignments": (lambda x: _assigned(x), (X,)),
    "one direction": (lambda x: np.sin(x), (X[:1],)),
}


def _assigned(x: Any) -> Any:
    y = np.zeros_like(x)
    y[::2] = np.sin(x[::2])
    y[[0, 1]] += x[3:]
    y[1] *= x[0]
    return y


def argnums_of(args: tuple[Any, ...]) -> Any:
    return tuple(range(len(args))) if len(args) > 1 else 0


def assert_equal_trees(found: Any, expected: Any) -> None:
    leaves, structure = flatten(found)
    wanted, wanted_structure = flatten(expected)
    assert structure == wanted_structure
    for leaf, want in zip(leaves, wanted, strict=True):
        assert type(leaf) is type(want)
        assert np.shape(leaf) == np.shape(want)
        assert np.asarray(leaf).dtype == np.asarray(want).dtype
        tight = np.finfo(leaf.dtype).eps if hasattr(leaf, "dtype") and leaf.dtype.kind in "fc" else 0.0
        np.testing.assert_allclose(leaf, want, rtol=20 * tight, atol=20 * tight)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("chunk_size", [None, 2, 3, 4, 5, 100])
def test_jacobian_is_the_same_in_chunks_of_any_size(ad, name, chunk_size):
    f, args = PROGRAMS[name]
    one_by_one = ad.jacobian(f, argnums_of(args), chunk_size=1)(*args)
    assert_equal_trees(ad.jacobian(f, argnums_of(args), chunk_size=chunk_size)(*args), one_by_one)


# A cotangent of a single precision input is rounded to it, a tangent of a double precision output is not.
@pytest.mark.parametrize("name", sorted(set(PROGRAMS) - {"both precisions"}))
def test_jacobians_of_both_engines_are_equal(name):
    f, args = PROGRAMS[name]
    assert_equal_trees(dualad.jacobian(f, argnums_of(args))(*args), reversead.jacobian(f, argnums_of(args))(*args))


@pytest.mark.parametrize("sample", one_shape([s for s in SAMPLES if "svd" not in str(s)][::3]), ids=str)
def test_jacobian_of_every_kind_of_primitive_is_the_same_at_once_and_one_by_one(ad, sample):
    args = sample.arguments()
    for position in range(len(args)):
        together = ad.jacobian(sample.function, position)(*args)
        assert_equal_trees_nearly(together, ad.jacobian(sample.function, position, chunk_size=1)(*args))


def assert_equal_trees_nearly(found: Any, expected: Any) -> None:
    for leaf, want in zip(flatten(found)[0], flatten(expected)[0], strict=True):
        assert np.asarray(leaf).dtype == np.asarray(want).dtype
        np.testing.assert_allclose(leaf, want, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("chunk_size", [None, 1, 3, 9])
def test_gradient_and_hessian_in_chunks(ad, chunk_size):
    def f(p: Any) -> Any:
        return np.sum(np.tanh(A @ p["x"]) ** 2) * p["t"]

    p = {"x": X, "t": 2.0}
    expected = reversead.grad(f)(p)
    found = ad.grad(f, chunk_size=chunk_size)(p)
    np.testing.assert_allclose(found["x"], expected["x"], rtol=1e-12)
    assert type(found["t"]) is float
    assert found["t"] == pytest.approx(expected["t"], rel=1e-12)
    found, expected = ad.hessian(f, chunk_size=chunk_size)(p), reversead.hessian(f)(p)
    for row in ("x", "t"):
        for column in ("x", "t"):
            np.testing.assert_allclose(found[row][column], expected[row][column], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("chunk_size", [None, 2])
def test_results_are_writable_and_share_no_memory(ad, name, chunk_size):
    f, args = PROGRAMS[name]
    found = [a for a in flatten(ad.jacobian(f, argnums_of(args), chunk_size=chunk_size)(*args))[0] if np.ndim(a)]
    given = [a for a in [*flatten(list(args))[0], A, X] if isinstance(a, np.ndarray)]
    for k, array in enumerate(found):
        assert array.flags.writeable
        assert not any(np.shares_memory(array, other) for other in [*found[:k], *given])


def test_jacobian_of_a_matrix_product_is_not_the_matrix_itself(ad):
    # The columns of the matrix are read from it, and must be copied.
    found = ad.jacobian(lambda x: A @ x)(X)
    np.testing.assert_array_equal(found, A)
    assert not np.shares_memory(found, A)


@pytest.mark.parametrize("budget", [64, 600, 5_000, 100_000])
def test_budgets_of_any_size_give_the_same_numbers(ad, monkeypatch, budget):
    def f(x: Any) -> Any:
        try:
            y = np.tanh(np.arange(20.0)[:, None] * x)
        except Exception:  # must not see that the memory was not enough
            return np.zeros(20)
        y[3:5] *= x
        return np.sum(y, axis=1)

    expected = ad.jacobian(f, chunk_size=1)(X)
    expected_of_two = ad.hessian(lambda x: np.sum(f(x) ** 2), chunk_size=1)(X)
    monkeypatch.setattr(shared.batching.directions, "BYTES", budget)
    np.testing.assert_allclose(ad.jacobian(f)(X), expected, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(ad.hessian(lambda x: np.sum(f(x) ** 2))(X), expected_of_two, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("transform", ["grad", "value_and_grad", "jacobian", "value_and_jacobian", "hessian"])
@pytest.mark.parametrize(
    ("chunk_size", "error", "message"),
    [(0, ValueError, "1 direction or more"), (-3, ValueError, "1 direction or more"),
     (2.0, TypeError, "integer or None"), ("2", TypeError, "integer or None"), (True, TypeError, "integer or None")],
)  # fmt: skip
def test_bad_chunk_sizes_are_refused(ad, transform, chunk_size, error, message):
    with pytest.raises(error, match=f"{transform}: chunk_size.*{message}"):
        getattr(ad, transform)(np.sum, chunk_size=chunk_size)


def test_an_output_that_is_not_scalar_has_no_forward_gradient():
    for chunk_size in (None, 1, 2):
        with pytest.raises(ValueError, match=r"shape \(5,\)"):
            dualad.grad(lambda x: x, chunk_size=chunk_size)(X)


def test_the_function_runs_once_for_all_directions(ad):
    runs = []

    def f(x: Any) -> Any:
        runs.append(None)
        return np.sin(x)

    ad.jacobian(f)(np.ones(50))
    assert len(runs) == 1


def test_a_function_that_fails_leaves_its_exception(ad):
    def f(x: Any) -> Any:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        ad.jacobian(f)(X)


# --- seeds --------------------------------------------------------------------------------------------------


def test_seeds_run_through_all_leaves_and_both_parts_of_complex_numbers():
    leaves = [X[:2], 1.5, np.array([1j, 2j]), np.float32([1.0])]
    assert number_of_directions(leaves) == 2 + 1 + 4 + 1
    found = along_directions("test", leaves, lambda seeds: [s if np.ndim(s) else s * np.ones(1) for s in seeds])
    np.testing.assert_array_equal(found[0], np.eye(8)[:, :2])
    np.testing.assert_array_equal(found[1][:, 0], np.eye(8)[:, 2])
    np.testing.assert_array_equal(found[2][3:7], [[1, 0], [1j, 0], [0, 1], [0, 1j]])
    np.testing.assert_array_equal(found[3][:, 0], np.eye(8)[:, 7])


@pytest.mark.parametrize("start", [0, 2])
def test_a_unit_direction_is_what_it_stands_for(start):
    level = Batch("test", size=3)
    (seed,) = unit_seeds(level, [X], start)
    assert isinstance(seed, OneHot)
    dense = Batched(level, np.eye(5)[start : start + 3])
    v, w = rng.normal(size=5), rng.normal(size=(5, 2))
    for f in (
        lambda s: s * v, lambda s: v * s, lambda s: s * 2.0, lambda s: 3 * s * v, lambda s: s * np.float64(2.0),
        lambda s: A @ s, lambda s: s @ w, lambda s: A @ (s * v), lambda s: (s * v) @ w, lambda s: -s, lambda s: s + 1,
        lambda s: s[1:], lambda s: s / v, lambda s: s * v[:, None], lambda s: np.sum(s * v), lambda s: s * s,
        lambda s: s * np.array(2.0), lambda s: s.reshape(5, 1) * v, lambda s: s @ v, lambda s: v @ s,
        lambda s: s * np.arange(5), lambda s: np.float32(2.0) * s, lambda s: s * (v + 1j),
    ):  # fmt: skip
        found, expected = f(seed), f(dense)
        assert found.shape == expected.shape
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found.primal, expected.primal, rtol=1e-15)
        # It may be asked for its elements in between.
        (seed,) = unit_seeds(level, [X], start)
        assert seed.primal.shape == (3, 5)
        np.testing.assert_allclose(f(seed).primal, expected.primal, rtol=1e-15)
        (seed,) = unit_seeds(level, [X], start)


def test_unit_directions_keep_single_precision():
    level = Batch("test", size=5)
    (seed,) = unit_seeds(level, [X.astype(np.float32)], 0)
    for f in (lambda s: s * 2.0, lambda s: s * X.astype(np.float32), lambda s: A.astype(np.float32) @ s):
        assert f(seed).dtype == np.float32
    assert (A @ seed).dtype == np.float64
    assert (seed * X).dtype == np.float64


def test_an_infinite_slope_does_not_reach_other_inputs():
    # Column k of the Jacobian of an elementwise function has one element; what is beside it is zero, not inf * 0.
    with np.errstate(divide="ignore"):
        for engine in (dualad, reversead):
            found = engine.jacobian(np.sqrt)(np.array([0.0, 1.0, 4.0]))
            np.testing.assert_array_equal(found, np.diag([np.inf, 0.5, 0.25]))


def test_operations_of_a_batched_jacobian_are_counted():
    n = 30
    evaluation = count_operations(lambda x: np.sin(x) * x, np.ones(n))
    counted = count_operations(dualad.jacobian(lambda x: np.sin(x) * x), np.ones(n))
    # Three products of n numbers for each of n directions, beside the evaluation and its partial derivatives.
    assert 3 * n * n <= counted - evaluation <= 6 * n * n


def test_hessian_by_forward_over_reverse_is_one_line():
    def f(x: Any) -> Any:
        return np.sum(np.tanh(A @ x) ** 3)

    found = dualad.jacobian(reversead.grad(f))(X)
    np.testing.assert_allclose(found, reversead.hessian(f)(X), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found, found.T, rtol=1e-12, atol=1e-14)


def test_jacobian_of_a_mapped_function_and_mapped_jacobian(ad):
    x = rng.normal(size=(3, 5))
    blocks = ad.jacobian(vmap(lambda r: np.tanh(A @ r)))(x)
    each = vmap(ad.jacobian(lambda r: np.tanh(A @ r)))(x)
    for k in range(3):
        np.testing.assert_allclose(blocks[k, :, k], each[k], rtol=1e-13)
        np.testing.assert_allclose(each[k], ad.jacobian(lambda r: np.tanh(A @ r))(x[k]), rtol=1e-13)


def test_a_unit_direction_that_escapes_is_refused():
    level = Batch("test", size=5)
    (seed,) = unit_seeds(level, [X], 0)
    level.closed = True
    for use in (lambda s: s * X, lambda s: s * 2.0, lambda s: A @ s, lambda s: s + 1.0, lambda s: s[0]):
        with pytest.raises(ClosedLevelError, match="test"):
            use(seed)
