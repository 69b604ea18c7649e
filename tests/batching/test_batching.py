"""vmap: batching of user code, its composition with both engines, and what it refuses."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dualad
import reversead
import shared
from shared.batching.batched import Batch, Batched, TooLarge, report_loops
from shared.batching.vmap import vmap
from shared.calling.tree import flatten
from shared.core.errors import ClosedLevelError, NoRuleError, ShapeError, StaleViewError, TracerConversionError
from shared.networks.mlp import MLP

rng = np.random.default_rng(7)
X = rng.normal(size=(4, 3))
A = rng.normal(size=(3, 3))


def loop(f: Any, axes: tuple[Any, ...], *columns: Any) -> Any:
    """The leaves of f's results, each stacked over the examples."""
    count = next(np.shape(c)[0] for c, axis in zip(columns, axes, strict=True) if axis == 0)
    rows = [
        flatten(f(*[c[k] if axis == 0 else c for c, axis in zip(columns, axes, strict=True)]))[0] for k in range(count)
    ]
    return [np.stack([np.asarray(row[j]) for row in rows]) for j in range(len(rows[0]))]


def assert_is_the_loop(f: Any, *columns: Any, axes: tuple[Any, ...] | None = None) -> None:
    axes = axes or (0,) * len(columns)
    found = flatten(vmap(f, in_axes=axes)(*columns))[0]
    expected = loop(f, axes, *columns)
    assert len(found) == len(expected)
    for value, want in zip(found, expected, strict=True):
        assert value.shape == want.shape
        assert value.dtype == want.dtype
        np.testing.assert_allclose(value, want, rtol=1e-12, atol=1e-13)


# --- the axes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_any_axis_of_an_argument_may_be_mapped(axis):
    x = rng.normal(size=(2, 3, 4))
    expected = np.stack([np.take(x, k, axis) * 2 for k in range(x.shape[axis])])
    np.testing.assert_array_equal(vmap(lambda a: a * 2, in_axes=axis)(x), expected)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_the_examples_go_to_any_axis_of_the_output(axis):
    x = rng.normal(size=(4, 2, 3))
    np.testing.assert_array_equal(vmap(lambda a: a * 2, out_axes=axis)(x), np.stack(list(x * 2), axis=axis))


def test_containers_of_arguments_and_outputs():
    class Pair(NamedTuple):
        first: Any
        second: Any

    def f(p: Any, q: Any) -> Any:
        return {"sum": p["a"] + q[1], "both": Pair(p["b"] * q[0], [q[1]])}

    a, b = rng.normal(size=(4, 3)), rng.normal(size=(3, 4))
    found = vmap(f, in_axes=({"a": 0, "b": 1}, (None, 0)), out_axes={"sum": 1, "both": 0})({"a": a, "b": b}, (2.0, a))
    np.testing.assert_array_equal(found["sum"], (a + a).T)
    np.testing.assert_array_equal(found["both"].first, b.T * 2.0)
    np.testing.assert_array_equal(found["both"].second[0], a)


def test_one_entry_serves_a_whole_container():
    found = vmap(lambda p, q: p[0] + p[1][0] + q, in_axes=(0, None))((X, [X]), 1.0)
    np.testing.assert_array_equal(found, X + X + 1.0)


def test_keyword_arguments_are_shared_by_all_examples():
    np.testing.assert_array_equal(vmap(lambda x, *, w: x * w)(X, w=A[0]), X * A[0])


def test_an_output_that_no_mapped_argument_reaches():
    assert vmap(lambda x: 3.0)(X).tolist() == [3.0] * 4
    assert vmap(lambda x: (x, 3.0), out_axes=(0, None))(X)[1] == 3.0
    with pytest.raises(ShapeError, match="out_axes is None"):
        vmap(lambda x: x, out_axes=None)(X)


def test_results_share_no_memory():
    y = X.copy()
    for found in (vmap(lambda x: x)(y), vmap(lambda x: x[1:])(y), vmap(lambda x: A)(y)):
        assert found.flags.writeable
        assert not np.shares_memory(found, y) and not np.shares_memory(found, A)


def test_integers_booleans_and_single_precision_keep_their_dtype():
    assert vmap(lambda x: x + 1)(np.arange(3)).dtype == np.intp
    assert vmap(lambda x: x > 1)(np.arange(3)).tolist() == [False, False, True]
    assert vmap(lambda x: np.sum(x * 2.0))(X.astype(np.float32)).dtype == np.float32


def test_integers_and_truth_values_of_each_example():
    n, m = np.array([[1, 2, 7], [4, 5, 6]]), np.array([3, 6])
    for f in (np.bitwise_and, np.bitwise_or, np.bitwise_xor, lambda a, b: a & 3 | b, lambda a, b: 5 ^ a & b):
        assert_is_the_loop(f, n, m)
        assert_is_the_loop(lambda a, b, f=f: f(a > 2, b > 3) if f.__class__ is np.ufunc else f(a, b), n, m)
    assert_is_the_loop(lambda a: (~a, np.invert(a > 2), np.where((a > 1) & ~(a > 5), a, 0)), n)


def test_no_examples_at_all():
    assert vmap(lambda x: np.sum(x) * x)(np.zeros((0, 3))).shape == (0, 3)


# --- user code ----------------------------------------------------------------------------------------------


def assignments(x: Any, v: Any) -> Any:
    y = x * 1.0
    row = y[1]
    row[0] = v
    row += v
    y[:, 1][0] = 5.0
    part = y[0:2]
    part[1][2:] *= v
    y[[0, 2], [1, 1]] = v
    y[y > 1.5] = 0.0
    y[y < -1.0] = v
    y[y.sum(axis=1) > v] = v
    return y, y[1]


def test_assignment_and_views_mean_what_they_mean_in_numpy():
    assert_is_the_loop(assignments, rng.normal(size=(5, 3, 3)), rng.normal(size=5))


def test_what_stands_for_a_number_is_replaced_and_not_written_to():
    def f(x: Any) -> Any:
        t = x[0]
        u = t
        u += 1
        return t * u

    assert_is_the_loop(f, X)


def test_arrays_made_like_a_mapped_one_can_be_filled():
    def f(x: Any) -> Any:
        a = np.zeros(3, like=x)
        for i in range(3):
            a[i] = x[i] * i
        a[1:] += x[1]
        return np.sum(a), np.zeros_like(x), np.full_like(x, x[0]), np.ones_like(x[0])

    assert_is_the_loop(f, X)


def test_a_branch_is_taken_where_all_examples_agree_and_refused_where_not():
    f = vmap(lambda x: x if x[0] > 0 else -x)
    np.testing.assert_array_equal(f(np.abs(X)), np.abs(X))
    np.testing.assert_array_equal(f(-np.abs(X)), np.abs(X))
    with pytest.raises(TracerConversionError, match=r"differs among the examples.*np\.where"):
        f(np.array([[1.0], [-1.0]]))


ENTRIES = ("integer", "slice", "reversed", "array", "column", "mask", "none", "mapped array", "mapped integer")


@st.composite
def indices(draw: Any) -> tuple[tuple[int, ...], list[str]]:
    shape = draw(st.sampled_from([(4,), (3, 4), (3, 4, 2)]))
    kinds = draw(st.lists(st.sampled_from([*ENTRIES, "ellipsis"]), min_size=1, max_size=5))
    taken, kept = 0, []
    for kind in kinds:
        if kind == "ellipsis" and "ellipsis" in kept:
            continue
        taken += kind not in ("none", "ellipsis")
        if taken <= len(shape):
            kept.append(kind)
    return shape, kept


def index_parts(kinds: list[str], shape: tuple[int, ...], random: np.random.Generator) -> list[tuple[Any, bool]]:
    """Parts of an index, each with whether it is one for each of three examples."""
    parts: list[tuple[Any, bool]] = []
    axis = 0
    for k, kind in enumerate(kinds):
        if kind in ("none", "ellipsis"):
            parts.append((None if kind == "none" else Ellipsis, False))
            if kind == "ellipsis":
                axis = len(shape) - sum(rest not in ("none", "ellipsis") for rest in kinds[k + 1 :])
            continue
        n, axis = shape[axis], axis + 1
        mask = np.zeros(n, bool)
        mask[random.permutation(n)[:2]] = True
        parts.append(
            {
                "integer": (int(random.integers(-n, n)), False),
                "slice": (slice(*sorted(random.integers(0, n + 1, 2).tolist())), False),
                "reversed": (slice(None, None, -1), False),
                "array": (random.integers(-n, n, 2), False),
                "column": (random.integers(-n, n, (2, 1)), False),
                "mask": (mask, False),
                "mapped array": (random.integers(-n, n, (3, 2)), True),
                "mapped integer": (random.integers(-n, n, 3), True),
            }[kind]
        )
    return parts


@settings(max_examples=400, deadline=None)
@given(indices(), st.integers(0, 2**32 - 1), st.sampled_from(["read", "assign", "add"]), st.booleans())
def test_every_mixture_of_indices_is_the_loop(chosen, seed, what, mapped_value):
    shape, kinds = chosen
    random = np.random.default_rng(seed)
    parts = index_parts(kinds, shape, random)
    mapped = [part for part, flag in parts if flag]
    x = random.normal(size=(3, *shape))

    def at(own: Any) -> tuple[Any, ...]:
        following = iter(own)
        return tuple(next(following) if flag else part for part, flag in parts)

    try:
        read = x[0][at([m[0] for m in mapped])]
    except IndexError:
        return
    value = random.normal(size=((3,) if mapped_value else ()) + np.shape(read))

    def f(x: Any, value: Any, *own: Any) -> Any:
        if what == "read":
            return x[at(own)] * value
        y = np.copy(x)
        if what == "add":
            y[at(own)] += value
        else:
            y[at(own)] = value
        return y

    assert_is_the_loop(f, x, value, *mapped, axes=(0, 0 if mapped_value else None, *[0] * len(mapped)))


# --- with the engines ---------------------------------------------------------------------------------------


def energy(x: Any) -> Any:
    y = np.zeros_like(x)
    y[0] = x[1] * x[2]
    y[1:] = np.sin(x[:2])
    y[[0, 1]] *= x[0]
    return np.sum(np.tanh(A @ y) ** 2) + np.linalg.norm(x)


@pytest.mark.parametrize("transform", ["grad", "value_and_grad", "jacobian", "hessian"])
def test_derivatives_of_each_example(ad, transform):
    assert_is_the_loop(getattr(ad, transform)(energy), X)


def test_jvp_and_vjp_of_each_example(ad):
    assert_is_the_loop(lambda x, t: ad.jvp(energy, (x,), (t,)), X, X[::-1])
    assert_is_the_loop(lambda x, c: ad.vjp(np.cumprod, x)[1](c)[0], X, X[::-1])
    assert_is_the_loop(lambda x, t: ad.linearize(energy, x)[1](t), X, X[::-1])


@pytest.mark.parametrize(
    "f",
    [
        lambda x, i: x[i[0]] ** 2 * x[0],
        lambda x, i: np.sum(x[i] ** 3),
        lambda x, i: np.sum(np.take(x, i) ** 3),
        lambda x, i: np.sum(np.take_along_axis(x, i, 0) ** 3),
    ],
)
def test_derivatives_through_indices_of_each_example(ad, f):
    i = np.array([[0, 0], [1, 2], [2, 2], [1, 0]])
    assert_is_the_loop(lambda x, i: ad.grad(lambda x: f(x, i))(x), X, i)


@pytest.mark.parametrize("add", [False, True])
def test_derivatives_through_assignment_at_indices_of_each_example(ad, add):
    def f(x: Any, i: Any) -> Any:
        y = x * 2.0
        if add:
            y[i] += x[:2] ** 2
        else:
            y[i] = x[:2] ** 2
        return np.sum(y**2)

    # Where an element is named twice, the last value stays.
    assert_is_the_loop(lambda x, i: ad.grad(f)(x, i), X, np.array([[0, 0], [1, 2], [2, 2], [1, 0]]))


def test_a_mapped_function_can_be_differentiated(ad):
    found = ad.grad(lambda x: np.sum(vmap(lambda r: np.sin(r) * r[0])(x) ** 2))(X)
    np.testing.assert_allclose(found, ad.grad(lambda x: np.sum((np.sin(x) * x[:, :1]) ** 2))(X), rtol=1e-12)
    i = np.array([0, 1, 2, 1])
    found = ad.grad(lambda x: np.sum(vmap(lambda j: x[j] * x[0])(i) ** 2))(X)
    np.testing.assert_allclose(found, ad.grad(lambda x: np.sum((x[i] * x[0]) ** 2))(X), rtol=1e-12)
    found = ad.grad(lambda w: np.sum(vmap(lambda r: np.tanh(w @ r))(X) ** 2))(A)
    np.testing.assert_allclose(found, ad.grad(lambda w: np.sum(np.tanh(X @ w.T) ** 2))(A), rtol=1e-12)
    found = ad.hessian(lambda w: np.sum(vmap(lambda r: np.tanh(w @ r) * w[0])(X) ** 2))(A[0])
    expected = ad.hessian(lambda w: np.sum((np.tanh(X @ w) * w[0]) ** 2))(A[0])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_vmap_nests():
    pairs = vmap(vmap(lambda a, b: a @ b, in_axes=(None, 0)), in_axes=(0, None))(X, A)
    np.testing.assert_allclose(pairs, X @ A.T, rtol=1e-14)
    scales = np.array([2.0, 0.0])
    found = vmap(lambda r: vmap(lambda s: reversead.grad(lambda r: energy(r) * s)(r))(scales))(X)
    expected = [[s * reversead.grad(energy)(r) for s in scales] for r in X]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)
    found = dualad.jacobian(vmap(reversead.grad(energy)))(X)
    np.testing.assert_allclose(found[2, :, 2], reversead.hessian(energy)(X[2]), rtol=1e-12)
    assert not found[0, :, 1].any()


def test_gradients_per_example_of_a_network(ad):
    mlp = MLP([3, 5, 4])
    parameters, labels = mlp.initialise("xavier_normal", rng), np.array([0, 3, 1, 1])
    gradient = ad.grad(mlp.objective("softmax_cross_entropy"))
    found = vmap(gradient, in_axes=(None, 0, 0))(parameters, X, labels)
    for k in range(len(X)):
        for (w, b), (v, a) in zip(found, gradient(parameters, X[k], labels[k]), strict=True):
            np.testing.assert_allclose(w[k], v, rtol=1e-11, atol=1e-14)
            np.testing.assert_allclose(b[k], a, rtol=1e-11, atol=1e-14)
    # Their mean is the gradient of the mean.
    for (w, b), (v, a) in zip(found, gradient(parameters, X, labels), strict=True):
        np.testing.assert_allclose(w.mean(0), v, rtol=1e-11, atol=1e-14)
        np.testing.assert_allclose(b.mean(0), a, rtol=1e-11, atol=1e-14)


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("axes", "args", "message"),
    [
        (0, (X, 1.0), r"axis 0 of leaf 1 .* shape is \(\).*None"),
        (2, (X,), r"axis 2 of leaf 0"),
        ((0, 0), (X, A), r"different lengths.*4 along axis 0 of leaf 0, of shape \(4, 3\); 3 along.*in_axes=None"),
        ((0,), (X, A), r"in_axes=\(0,\) does not fit \[\*, \*\]"),
        ({"a": 0}, (X,), "does not fit"),
        (({"b": 0},), ({"a": X},), "does not fit"),
        ("0", (X,), "does not fit"),
        (True, (X,), "does not fit"),
        (None, (X,), "no argument is mapped"),
        ((None, None), (X, A), "no argument is mapped"),
    ],
)
def test_axes_that_do_not_fit_are_refused(axes, args, message):
    with pytest.raises(ShapeError, match=message):
        vmap(lambda *a: a[0], in_axes=axes)(*args)


def test_outputs_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match="out_axes=3 is no axis"):
        vmap(lambda x: x, out_axes=3)(X)
    with pytest.raises(ShapeError, match="does not fit"):
        vmap(lambda x: (x, x), out_axes=(0, 0, 0))(X)
    with pytest.raises(ShapeError, match="returned a str"):
        vmap(lambda x: "x")(X)


@pytest.mark.parametrize(
    ("f", "error", "message"),
    [
        (lambda x: float(x[0]), TracerConversionError, "all examples"),
        (lambda x: np.zeros(int(x[0])), TracerConversionError, "the same for all examples"),
        (lambda x: np.array([x[0], 1.0]), TracerConversionError, "zeros_like"),
        (lambda x: np.arange(9.0)[x.astype(int)], (TracerConversionError, IndexError), "take_along_axis|index"),
        (lambda x: x[x > 0], NoRuleError, r"np\.where"),
        (lambda x: np.nonzero(x), NoRuleError, "from example to example"),
    ],
)
def test_what_needs_one_value_for_all_examples_is_refused(f, error, message):
    with pytest.raises(error, match=message):
        vmap(f)(X)


def test_a_value_that_escapes_is_refused():
    kept = []
    vmap(lambda x: kept.append(x) or x)(X)
    for use in (lambda t: t + 1.0, np.sin, lambda t: t[0], lambda t: t.__setitem__(0, 1.0), np.sum):
        with pytest.raises(ClosedLevelError, match="vmap"):
            use(kept[0])


def test_a_mapped_value_assigned_into_an_outer_array_is_refused(ad):
    def f(x: Any) -> Any:
        y = np.zeros_like(x)

        def inner(r: Any) -> Any:
            y[0] = r
            return r

        vmap(inner)(np.arange(2.0))
        return np.sum(y)

    with pytest.raises(StaleViewError, match="inner"):
        ad.grad(f)(X[0])


def test_an_exception_leaves_nothing_behind():
    with pytest.raises(ZeroDivisionError):
        vmap(lambda x: 1 / 0)(X)
    np.testing.assert_array_equal(vmap(lambda x: x + 1)(X), X + 1)


# --- loops and limits ---------------------------------------------------------------------------------------


def test_what_has_no_rule_is_looped_and_reported():
    cube = shared.rule(
        lambda x: np.sort(x) ** 3,
        vjps=(lambda c, x: c,),
        jvps=(lambda t, x: t,),
        because="a stranger that batching knows nothing of",
    )
    try:
        with report_loops() as looped:
            found = vmap(lambda x: cube(x))(X)
        assert sum(looped.values()) == 1
        np.testing.assert_array_equal(found, np.sort(X) ** 3)
    finally:
        del shared.REGISTRY[cube.function]


def test_an_array_beyond_the_limit_of_its_level_is_never_made():
    level = Batch("test", size=4, limit=200)
    x = Batched(level, np.zeros((4, 3)))
    assert (x + 1.0).shape == (3,)
    with pytest.raises(TooLarge) as caught:
        np.zeros((10, 1)) + x
    assert caught.value.bytes_per_example == 240
