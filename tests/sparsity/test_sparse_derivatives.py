"""Sparse Jacobians and Hessians by either engine: the numbers of the dense ones, from few products."""

from __future__ import annotations

import pickle
import sys
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.sparse

import dualad
import reversead
from shared.batching.vmap import vmap
from shared.calling.tree import flatten
from shared.core.errors import LeafTypeError, ShapeError
from shared.counting.counter import count_operations
from shared.sparse.colouring import Colouring, colour
from shared.sparse.pattern import Pattern
from shared.sparse.sparsity import jacobian_pattern

rng = np.random.default_rng(11)


def burgers(u: Any) -> Any:
    """A step of Burgers' equation u_t + u u_x = nu u_xx, periodic at the left and fixed at the right."""
    dx, nu = 0.1, 0.05
    left, right = np.roll(u, 1), np.concatenate([u[1:], np.zeros(1)])
    return -u * (right - left) / (2 * dx) + nu * (right - 2 * u + left) / dx**2


def brusselator(w: Any) -> Any:
    """The right-hand side of the one-dimensional Brusselator of two species (Hairer & Wanner 1996, IV.10)."""
    u, v = w["u"], w["v"]
    laplacian = np.zeros_like(u), np.zeros_like(v)
    for species, result in zip((u, v), laplacian, strict=True):
        result[1:-1] = species[2:] - 2 * species[1:-1] + species[:-2]
    return {"u": 1 + u**2 * v - 4 * u + laplacian[0], "v": 3 * u - u**2 * v + laplacian[1]}


def arrow(x: Any) -> Any:
    """Its Hessian has a full first row and column, and a diagonal."""
    return x[0] * np.sum(x**2) + np.sum(np.cos(x))


def residuals(p: Any) -> Any:
    """Bundle adjustment: each observation is of one point by one camera, and depends on these alone."""
    cameras, points = p["cameras"], p["points"]
    observed_by, point = np.divmod(np.arange(0, 12, 2), 4)
    seen = points[point] - cameras[observed_by][:, :3]
    depth = 3 + seen[:, 2:]
    return cameras[observed_by][:, 3:] * seen[:, :2] / depth


def tall(x: Any) -> Any:
    """Every output depends on one input, but for the last, which depends on all."""
    return np.concatenate([np.sin(x), np.sum(x**2)[None]])


POINTS = {"cameras": rng.normal(size=(3, 4)), "points": rng.normal(size=(4, 3))}
SYSTEMS: dict[str, tuple[Callable[..., Any], Any, str, str]] = {
    # function, argument, what forward mode says, what reverse mode says
    "Burgers": (burgers, rng.normal(size=30), "3 jvps instead of 30 jvps or 30 vjps", "3 jvps"),
    "Brusselator": (brusselator, {"u": rng.normal(size=20), "v": rng.normal(size=20)}, "6 jvps", "6 jvps"),
    "bundle adjustment": (residuals, POINTS, "5 jvps", "5 jvps instead of 6 vjps"),
    "one dense row": (tall, rng.normal(size=25), "25 jvps instead of 26 vjps", "2 vjps instead of 25 jvps"),
    "a matrix": (lambda x: np.cumsum(x * x, axis=1)[:, ::2], rng.normal(size=(4, 6)), "5 jvps", "3 vjps"),
    "diagonal": (lambda x: np.tanh(x) * x, rng.normal(size=40), "1 jvp instead", "1 jvp instead"),
    "dense": (lambda x: np.sum(x**2) * x, rng.normal(size=5), "5 jvps", "5 jvps"),
    "scalar output": (lambda x: np.sum(x**3), rng.normal(size=9), "9 jvps", "1 vjp instead of 9 jvps"),
}


def dense(f: Callable[..., Any], x: Any) -> np.ndarray:
    """The Jacobian as a matrix of all output elements by all input elements."""
    leaves = flatten(x)[0]
    outputs = flatten(f(x))[0]
    blocks = flatten(reversead.jacobian(f)(x))[0]
    rows = [
        np.concatenate([np.reshape(blocks[k * len(leaves) + j], (np.size(o), -1)) for j in range(len(leaves))], axis=1)
        for k, o in enumerate(outputs)
    ]
    return np.concatenate(rows)


@pytest.mark.parametrize("name", SYSTEMS)
def test_sparse_jacobian_is_the_dense_one(ad, name):
    f, x, _, _ = SYSTEMS[name]
    found = ad.sparse_jacobian(f)(x)
    assert isinstance(found, scipy.sparse.csr_array)
    np.testing.assert_allclose(found.toarray(), dense(f, x), rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", SYSTEMS)
def test_it_takes_few_products_and_says_so(name):
    f, x, forward, reverse = SYSTEMS[name]
    said: list[str] = []
    dualad.sparse_jacobian(f, report=said.append)(x)
    reversead.sparse_jacobian(f, report=said.append)(x)
    assert said[0].startswith(forward)
    assert said[1].startswith(reverse)


@pytest.mark.parametrize("by", ["columns", "rows", "both", "best"])
@pytest.mark.parametrize("name", SYSTEMS)
def test_every_strategy_gives_the_same(name, by):
    f, x, _, _ = SYSTEMS[name]
    found = reversead.sparse_jacobian(f, by=by)(x)
    np.testing.assert_allclose(found.toarray(), dense(f, x), rtol=1e-12, atol=1e-13)


HESSIANS: dict[str, tuple[Callable[[Any], Any], int, int]] = {
    # function, number of inputs, products
    "arrow": (arrow, 30, 2),
    "Rosenbrock": (lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), 30, 3),
    "separable": (lambda x: np.sum(np.sin(x) * x), 12, 1),
    "two bodies": (lambda x: np.sum(np.exp(x[::2] * x[1::2])), 12, 2),
    "dense": (lambda x: np.sum(x) ** 3, 6, 6),
    "linear": (lambda x: 3 * np.sum(x), 6, 0),
}


@pytest.mark.parametrize("name", HESSIANS)
def test_sparse_hessian_is_the_dense_one(ad, name):
    f, n, products = HESSIANS[name]
    x = rng.normal(size=n)
    said: list[str] = []
    found = ad.sparse_hessian(f, report=said.append)(x)
    np.testing.assert_allclose(found.toarray(), reversead.hessian(f)(x), rtol=1e-10, atol=1e-11)
    assert said[0].startswith("no product" if not products else f"{products} hvp")


# --- empty selections and kinks ---------------------------------------------------------------------------------------


def written(index: Any, operation: str = "=") -> Callable[[Any], Any]:
    """A function that writes to no element, or to those that a mask of the point chooses."""

    def f(x: Any) -> Any:
        y = x**2
        where = index(x) if callable(index) else index
        if operation == "=":
            y[where] = x[0]
        elif operation == "+=":
            y[where] += x[0]
        else:
            y[where] *= x[0]
        return y

    return f


def written_to_a_view_of_a_view(x: Any) -> Any:
    y = x**2
    part = y[1:][1:]
    part[9:] = x[0]
    part[[]] += x[1]
    part[:0] *= part[:0]
    return y


def written_to_an_empty_array(x: Any) -> Any:
    y = x**2
    nothing = y[4:]
    nothing[...] = x[0]
    nothing += x[1]
    nothing.fill(x[2])
    nothing.sort()
    return y + np.sum(nothing)


def written_to_no_row(x: Any) -> Any:
    rows = np.outer(x, x)
    rows[[]] = x
    rows[:0] += x
    rows[np.zeros(4, bool)] = x[0]
    rows[np.zeros((4, 4), bool)] = x[1]
    rows[:, 4:] = x[0]
    return rows[0]


def joined_with_nothing(x: Any) -> Any:
    nothing = x[:0]
    y = np.concatenate([nothing, x[:2], nothing, x[2:] ** 2, np.append(nothing, nothing)])
    return np.hstack([y[4:], np.concatenate([np.reshape(nothing, (0, 2)), np.reshape(y, (2, 2))]).ravel()])


def with_products_of_nothing(x: Any) -> Any:
    nothing, none_by_four = x[4:], np.zeros((0, 4))
    rows = none_by_four @ np.outer(x, x)
    y = x * np.prod(nothing) + np.sum(nothing) + nothing @ nothing + none_by_four.T @ nothing
    return y**2 + np.einsum("ij,j->i", np.zeros((4, 0)), nothing) * x + np.sum(rows, axis=0) + np.cumsum(rows).sum()


EMPTY: dict[str, Callable[[Any], Any]] = {
    "a list": written([]),
    "a list, added": written([], "+="),
    "a list, multiplied": written([], "*="),
    "an array of integers": written(np.zeros(0, int)),
    "a mask": written(np.zeros(4, bool)),
    "a mask, added": written(np.zeros(4, bool), "+="),
    "a mask of the point": written(lambda x: x > 99.0),
    "a mask of the point, added": written(lambda x: x > 99.0, "+="),
    "a mask of a mask": written(lambda x: (x > 0) & np.zeros(4, bool)),
    "a number's mask": written(lambda x: x[0] > 99.0),
    "places of the point": written(lambda x: np.flatnonzero(x > 99.0)),
    "as many as the point has": written(lambda x: slice(np.count_nonzero(x > 99.0)), "*="),
    "a slice beyond the end": written(slice(4, None)),
    "a slice beyond the end, added": written(slice(7, 9), "+="),
    "a slice without a length": written(slice(2, 2)),
    "a slice the wrong way": written(slice(3, 1), "*="),
    "a view of a view": written_to_a_view_of_a_view,
    "an empty array": written_to_an_empty_array,
    "no row": written_to_no_row,
    "joined with nothing": joined_with_nothing,
    "products of nothing": with_products_of_nothing,
}


@pytest.mark.parametrize("name", EMPTY)
def test_what_selects_nothing_takes_nothing_away(ad, name):
    f, x = EMPTY[name], np.array([1.0, -2.0, 3.0, 0.0])
    np.testing.assert_allclose(ad.sparse_jacobian(f)(x).toarray(), reversead.jacobian(f)(x), rtol=1e-13)

    def total(x: Any) -> Any:
        return np.sum(np.array([1.0, 2.0, -1.0, 3.0]) * f(x))

    expected = reversead.hessian(total)(x)
    assert np.any(expected)
    for found in (ad.sparse_hessian(total), *(ad.sparse_jacobian(by.grad(total)) for by in (dualad, reversead))):
        np.testing.assert_allclose(found(x).toarray(), expected, rtol=1e-13, atol=1e-13)


#: Added to a sum of squares of differences, which they leave the Hessian of but at their kinks.
KINKS: dict[str, Callable[[Any], Any]] = {
    "abs": lambda x: np.sum(np.abs(x)),
    "fabs": lambda x: np.sum(np.fabs(x)),
    "maximum": lambda x: np.sum(np.maximum(x, 0)),
    "maximum of two": lambda x: np.sum(np.maximum(x, x[::-1])),
    "minimum of neighbours": lambda x: np.sum(np.minimum(x[1:], x[:-1])),
    "fmax": lambda x: np.sum(np.fmax(x, 1.0)),
    "where": lambda x: np.sum(np.where(x > 0, x, 0)),
    "clip": lambda x: np.sum(np.clip(x, -4, 4)),
    "a mask": lambda x: np.sum(x * (x > 0)),
    "a mask of floats": lambda x: np.sum(x * (x > 0).astype(float)),
    "chosen by a mask": lambda x: np.sum(x[x > 0]),
    "max": lambda x: np.max(x),
    "min of a part": lambda x: np.min(x[1:]),
    "sort": lambda x: np.sort(x) @ np.arange(4.0),
    "median": lambda x: np.median(x),
    "running maximum": lambda x: np.sum(np.maximum.accumulate(x)),
    "sign": lambda x: np.sum(x * np.sign(x)),
    "the largest": lambda x: x[np.argmax(x)],
    "a rounding": lambda x: np.sum(x * np.floor(x)),
    "a remainder": lambda x: np.sum(x % 2.0),
    "select": lambda x: np.sum(np.select([x > 1, x > 0], [x, 2 * x], -x)),
    "copysign": lambda x: np.sum(np.copysign(x, -x)),
}
SQUARES: dict[str, Callable[[Any], Any]] = {
    "slices": lambda x: np.sum((x[1:] - x[:-1]) ** 2),
    "np.diff": lambda x: np.sum(np.diff(x) ** 2),
    "a loop": lambda x: sum((x[k] - x[k - 1]) ** 2 for k in range(1, 4)),
    "indices": lambda x: np.sum((x[[1, 2, 3]] - x[[0, 1, 2]]) ** 2),
    "masks": lambda x: np.sum((x[np.arange(4) > 0] - x[np.arange(4) < 3]) ** 2),
}


@pytest.mark.parametrize(
    ("kink", "squares"), [*((kink, "slices") for kink in KINKS), *(("abs", squares) for squares in SQUARES)]
)
def test_cotangents_that_depend_on_nothing_meet_those_that_do(ad, kink, squares):
    expected = np.array([[2.0, -2, 0, 0], [-2, 4, -2, 0], [0, -2, 4, -2], [0, 0, -2, 2]])
    before, after = KINKS[kink], SQUARES[squares]
    for f in (lambda x: after(x) + before(x), lambda x: before(x) + after(x)):
        for x in (np.array([3.0, 1.0, -2.0, 5.0]), np.array([0.0, 1.0, 1.0, 0.0])):
            for found in (ad.sparse_hessian(f), *(ad.sparse_jacobian(by.grad(f)) for by in (dualad, reversead))):
                np.testing.assert_allclose(found(x).toarray(), expected, rtol=1e-14, atol=1e-14)


def test_a_pattern_may_be_given_in_any_form(ad):
    f, x, _, _ = SYSTEMS["Burgers"]
    pattern = jacobian_pattern(f, x)
    expected = dense(f, x)
    for given in (pattern, pattern.to_dense(), scipy.sparse.coo_array(pattern.to_dense()), np.ones((30, 30), bool),
                  colour(pattern, "columns")):  # fmt: skip
        np.testing.assert_allclose(ad.sparse_jacobian(f, pattern=given)(x).toarray(), expected, rtol=1e-12, atol=1e-13)
    f, n, _ = HESSIANS["arrow"]
    x = rng.normal(size=n)
    pattern = jacobian_pattern(reversead.grad(f), x)
    for given in (pattern, pattern.to_dense(), colour(pattern, "symmetric")):
        found = ad.sparse_hessian(f, pattern=given)(x)
        np.testing.assert_allclose(found.toarray(), reversead.hessian(f)(x), rtol=1e-10, atol=1e-11)


def test_a_colouring_serves_at_other_points_without_detection(ad):
    f, x, _, _ = SYSTEMS["Brusselator"]
    colouring = colour(jacobian_pattern(f, x), "columns")
    runs = []

    def counted(w: Any) -> Any:
        runs.append(None)
        return f(w)

    jacobian = ad.sparse_jacobian(counted, pattern=colouring)
    for k in range(3):
        w = {name: value + k for name, value in x.items()}
        np.testing.assert_allclose(jacobian(w).toarray(), dense(f, w), rtol=1e-12, atol=1e-12)
    assert len(runs) == 3 * (1 if ad is reversead else 2)


@pytest.mark.parametrize("scale", [1e-200, 1e-8, 1.0, 1e8, 1e200])
def test_a_pattern_that_lacks_an_entry_is_refused_whatever_the_size_of_the_entries(ad, scale):
    with pytest.raises(ShapeError, match="lacks a nonzero entry in row 0"):
        ad.sparse_jacobian(lambda x: scale * np.array([1.0, 2.0]) * x[::-1], pattern=np.eye(2, dtype=bool))(np.ones(2))


def test_a_pattern_that_lacks_an_entry_is_refused(ad):
    f, x, _, _ = SYSTEMS["Burgers"]
    lacking = jacobian_pattern(f, x).to_dense()
    lacking[7, 8] = False
    with pytest.raises(ShapeError, match="sparse_jacobian: the pattern lacks a nonzero entry in row 7"):
        ad.sparse_jacobian(f, pattern=lacking)(x)
    with pytest.raises(ShapeError, match="sparse_hessian: the pattern lacks"):
        ad.sparse_hessian(arrow, pattern=np.eye(30, dtype=bool))(x)


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        (np.ones((30, 30)), TypeError, "boolean"),
        (np.ones((30, 30), int), TypeError, "boolean"),
        (np.ones((30, 29), bool), ShapeError, "where one of 30 x 30 is needed"),
        (Pattern([0], [0], (2, 2)), ShapeError, "where one of 30 x 30 is needed"),
        (Colouring(Pattern([0], [0], (2, 2)), columns=[0, 0]), ShapeError, "shape"),
        ("banded", TypeError, "pattern"),
    ],
)
def test_patterns_that_do_not_fit_are_refused(ad, pattern, error, message):
    f, x, _, _ = SYSTEMS["Burgers"]
    with pytest.raises(error, match=message):
        ad.sparse_jacobian(f, pattern=pattern)(x)


@pytest.mark.parametrize("by", ["diagonals", "symmetric", None])
def test_unknown_strategies_are_refused_at_once(ad, by):
    # A symmetric colouring of a Jacobian that is not would give wrong numbers.
    with pytest.raises(ValueError, match="sparse_jacobian: by="):
        ad.sparse_jacobian(burgers, by=by)
    with pytest.raises(ValueError, match="use reversead"):
        dualad.sparse_jacobian(burgers, by="rows")


def test_a_colouring_for_other_products_is_refused(ad):
    x = np.arange(1.0, 8.0)
    pattern = jacobian_pattern(reversead.grad(arrow), x)
    with pytest.raises(ValueError, match=r"make it by colour\(pattern, 'columns'\)"):
        ad.sparse_jacobian(reversead.grad(arrow), pattern=colour(pattern, "symmetric"))(x)
    for by in ("columns", "both"):
        with pytest.raises(ValueError, match=r"make it by colour\(pattern, 'symmetric'\)"):
            ad.sparse_hessian(arrow, pattern=colour(pattern, by))(x)
    with pytest.raises(ValueError, match="takes other products"):
        dualad.sparse_jacobian(reversead.grad(arrow), pattern=colour(pattern, "both"))(x)


def test_a_colouring_from_another_branch_is_refused(ad):
    def f(x: Any) -> Any:
        return x * x[0] if x[0] > 5 else x * x

    colouring = colour(jacobian_pattern(f, np.arange(1.0, 5.0)), "columns")
    with pytest.raises(ShapeError, match="lacks a nonzero entry"):
        ad.sparse_jacobian(f, pattern=colouring)(np.arange(11.0, 15.0))


def test_it_is_called_like_the_function_and_says_what_it_is(ad):
    made = ad.sparse_jacobian(burgers)
    assert made.__name__ == "burgers"
    assert repr(made) == "<sparse_jacobian of burgers>"
    again = pickle.loads(pickle.dumps(ad.sparse_hessian(np.sum)))
    assert again(np.ones(3)).nnz == 0


def test_complex_numbers_are_refused(ad):
    with pytest.raises(LeafTypeError, match="complex"):
        ad.sparse_jacobian(lambda z: z * z)(np.ones(3) * 1j)
    with pytest.raises(LeafTypeError, match="complex"):
        ad.sparse_jacobian(lambda x: x * 1j)(np.ones(3))


def test_argnums_names_aux_and_single_precision(ad):
    def f(x: Any, y: Any, scale: float = 2.0) -> Any:
        return x[1:] * y[:-1] * scale, ("aux", x)

    x, y = rng.normal(size=6).astype(np.float32), rng.normal(size=6).astype(np.float32)
    found, (text, same) = ad.sparse_jacobian(f, ("y", "x"), has_aux=True)(x, y=y)
    assert text == "aux"
    np.testing.assert_array_equal(same, x)
    assert found.dtype == np.float32
    expected = reversead.jacobian(lambda y, x: f(x, y)[0], (0, 1))(y, x)
    np.testing.assert_allclose(found.toarray(), np.concatenate(expected, axis=1), rtol=1e-6)
    found, _ = ad.sparse_hessian(lambda x: (np.sum(x**3), None), has_aux=True)(y)
    np.testing.assert_allclose(found.toarray(), np.diag(6 * y), rtol=1e-6)


def test_python_numbers_integers_and_empty_leaves(ad):
    def f(p: Any) -> Any:
        return [p["t"] * p["x"], 3, np.zeros(0)]

    p = {"t": 2.0, "x": np.arange(3), "none": np.zeros(0)}
    found = ad.sparse_jacobian(f)(p).toarray()
    np.testing.assert_array_equal(found, [[0, 2, 0, 0], [1, 0, 2, 0], [2, 0, 0, 2], [0, 0, 0, 0]])
    assert ad.sparse_jacobian(lambda x: x[:0])(np.ones(3)).shape == (0, 3)
    assert ad.sparse_jacobian(lambda x: np.ones(2))(np.ones(0)).shape == (2, 0)


def test_without_scipy_the_result_is_values_and_indices(ad, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    values, (rows, columns) = ad.sparse_jacobian(lambda x: x[1:] * x[:-1])(np.array([1.0, 2.0, 3.0]))
    assert rows.tolist() == [0, 0, 1, 1]
    assert columns.tolist() == [0, 1, 1, 2]
    assert values.tolist() == [2.0, 1.0, 3.0, 2.0]


def test_values_can_be_differentiated_and_mapped(ad):
    f, x = (lambda x: x[1:] * x[:-1] ** 2), rng.normal(size=6)
    colouring = colour(jacobian_pattern(f, x), "columns")

    def total(x: Any) -> Any:
        return np.sum(ad.sparse_jacobian(f, pattern=colouring)(x)[0] ** 2)

    expected = reversead.grad(lambda x: np.sum(reversead.jacobian(f)(x) ** 2))(x)
    np.testing.assert_allclose(reversead.grad(total)(x), expected, rtol=1e-10)
    pattern = jacobian_pattern(f, x)
    np.testing.assert_allclose(
        reversead.grad(lambda x: np.sum(ad.sparse_jacobian(f, pattern=pattern)(x)[0] ** 2))(x), expected, rtol=1e-10
    )
    many = rng.normal(size=(3, 6))
    lacking = pattern.to_dense()
    lacking[2, 2] = False
    with pytest.raises(ShapeError, match="lacks a nonzero entry in row 2"):
        vmap(lambda x: ad.sparse_jacobian(f, pattern=lacking)(x)[0])(many)
    found = vmap(lambda x: ad.sparse_jacobian(f, pattern=colouring)(x)[0])(many)
    for k in range(3):
        np.testing.assert_allclose(found[k], ad.sparse_jacobian(f, pattern=colouring)(many[k]).data, rtol=1e-13)


def test_operations_grow_with_the_colours_and_not_with_the_size():
    def per_input(n: int) -> float:
        x = rng.normal(size=n)
        colouring = colour(jacobian_pattern(burgers, x), "columns")
        return count_operations(lambda u: dualad.sparse_jacobian(burgers, pattern=colouring)(u), x) / n

    assert per_input(300) == pytest.approx(per_input(30), rel=0.1)


@pytest.mark.parametrize(
    "call",
    [
        # A Hessian forward over forward has n directions inside each product.
        dualad.sparse_jacobian(burgers),
        reversead.sparse_jacobian(burgers),
        reversead.sparse_hessian(HESSIANS["Rosenbrock"][0]),
    ],
    ids=["dualad-Jacobian", "reversead-Jacobian", "reversead-Hessian"],
)
def test_twenty_thousand_inputs_take_little_memory(call):
    n = 20_000
    x = np.linspace(0.5, 1.5, n)
    tracemalloc.start()
    try:
        found = call(x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.shape == (n, n)
    # The dense matrix would take 3.2 GB.
    assert peak < 64 * 2**20


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_given_pattern_is_enough_in_every_precision(ad, dtype):
    x = np.linspace(0.5, 1.5, 9, dtype=dtype)

    def f(x):
        return np.tanh(x[1:]) * x[:-1]

    pattern = jacobian_pattern(f, x)
    for given in (pattern, colour(pattern)):
        found = ad.sparse_jacobian(f, pattern=given)(x)
        np.testing.assert_array_equal(found.toarray(), ad.jacobian(f)(x))
    with pytest.raises(ShapeError, match="lacks a nonzero entry"):
        ad.sparse_jacobian(f, pattern=Pattern(pattern.rows[1:], pattern.columns[1:], pattern.shape))(x)
