"""Colourings: how few products they take, and that every matrix of the pattern is recovered from these exactly.

A group that puts two entries together gives numbers that look right.  So recovery is tried on random matrices, the
number of colours on patterns where the least is known, and the check itself on colourings that are wrong on purpose.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dualad
import reversead
from shared import ShapeError
from shared.calling.seeds import seeded
from shared.sparse import colouring as colouring_module
from shared.sparse.colouring import (
    Colouring,
    NotRecoverableError,
    colour,
    colour_both,
    colour_columns,
    colour_rows,
    colour_symmetric,
)
from shared.sparse.pattern import Pattern, as_pattern, as_sparse, require_complete
from shared.sparse.sparsity import jacobian_pattern

JACOBIAN_STRATEGIES = ("columns", "rows", "both", "best")


def band(n: int, width: int) -> Pattern:
    rows = np.repeat(np.arange(n), 2 * width + 1)
    columns = rows + np.tile(np.arange(-width, width + 1), n)
    inside = (columns >= 0) & (columns < n)
    return Pattern(rows[inside], columns[inside], (n, n))


def arrow(n: int, head: int = 0) -> Pattern:
    matrix = np.eye(n, dtype=bool)
    matrix[head] = matrix[:, head] = True
    return as_pattern(matrix)


def bundle(cameras: int, points: int, observations: int) -> Pattern:
    """Two residuals an observation, each of which depends on one camera (9 numbers) and one point (3 numbers)."""
    random = np.random.default_rng(0)
    camera = random.integers(0, cameras, observations)[:, None] * 9 + np.arange(9)
    point = 9 * cameras + random.integers(0, points, observations)[:, None] * 3 + np.arange(3)
    columns = np.repeat(np.concatenate([camera, point], axis=1), 2, axis=0)
    rows = np.repeat(np.arange(2 * observations), 12)
    return Pattern(rows, columns.reshape(-1), (2 * observations, 9 * cameras + 3 * points))


def random_matrix(pattern: Pattern, seed: int = 0) -> np.ndarray:
    matrix = np.zeros(pattern.shape)
    matrix[pattern.rows, pattern.columns] = np.random.default_rng(seed).normal(size=pattern.nnz)
    return matrix


def assert_recovers(colouring: Colouring, matrix: np.ndarray) -> None:
    """All values are read off the products, exactly, since nothing is added to them but zeros."""
    jvps, vjps = colouring.column_seeds @ matrix.T, colouring.row_seeds @ matrix
    assert (len(jvps), len(vjps)) == (colouring.jvps, colouring.vjps)
    values = colouring.recover(jvps, vjps)
    np.testing.assert_array_equal(values, matrix[colouring.pattern.rows, colouring.pattern.columns])


# --- patterns whose least number of colours is known ------------------------------------------------------------------

COUNTS: list[Any] = [
    # pattern, then for columns, rows, both and best the products of either kind
    pytest.param(band(30, 1), (3, 0), (0, 3), (3, 0), (3, 0), id="tridiagonal"),
    pytest.param(band(30, 2), (5, 0), (0, 5), (5, 0), (5, 0), id="pentadiagonal"),
    pytest.param(band(1, 1), (1, 0), (0, 1), (1, 0), (1, 0), id="one number"),
    pytest.param(arrow(50), (50, 0), (0, 50), (2, 1), (2, 1), id="arrow"),
    pytest.param(arrow(50, 49), (50, 0), (0, 50), (2, 1), (2, 1), id="arrow to the end"),
    pytest.param(bundle(4, 40, 200), (12, 0), None, (12, 0), (12, 0), id="bundle adjustment"),
    pytest.param(bundle(4, 40, 200).transpose(), None, (0, 12), (0, 12), (0, 12), id="bundle adjustment, transposed"),
    pytest.param(Pattern(*np.indices((4, 6)).reshape(2, -1), (4, 6)), (6, 0), (0, 4), (0, 4), (0, 4), id="dense"),
    pytest.param(Pattern([], [], (3, 4)), (0, 0), (0, 0), (0, 0), (0, 0), id="no entry"),
    pytest.param(Pattern([], [], (0, 4)), (0, 0), (0, 0), (0, 0), (0, 0), id="no output"),
    pytest.param(Pattern([], [], (3, 0)), (0, 0), (0, 0), (0, 0), (0, 0), id="no input"),
    pytest.param(Pattern([0] * 5, range(5), (1, 5)), (5, 0), (0, 1), (0, 1), (0, 1), id="scalar output"),
    pytest.param(Pattern(range(5), [0] * 5, (5, 1)), (1, 0), (0, 5), (1, 0), (1, 0), id="scalar input"),
    pytest.param(Pattern([2, 2], [1, 3], (4, 5)), (2, 0), (0, 1), (0, 1), (0, 1), id="one row with entries"),
]


@pytest.mark.parametrize(("pattern", "by_columns", "by_rows", "by_both", "best"), COUNTS)
def test_numbers_of_products(pattern: Pattern, by_columns: Any, by_rows: Any, by_both: Any, best: Any) -> None:
    for by, expected in zip(JACOBIAN_STRATEGIES, (by_columns, by_rows, by_both, best), strict=True):
        colouring = colour(pattern, by)
        assert expected is None or (colouring.jvps, colouring.vjps) == expected, by
        assert_recovers(colouring, random_matrix(pattern))


def test_several_dense_rows_and_columns_take_products_of_both_kinds() -> None:
    matrix = np.eye(40, dtype=bool)
    matrix[:3] = matrix[:, 5:7] = True
    colouring = colour_both(as_pattern(matrix))
    # Three dense rows take a product each; then the dense columns one each, and the diagonal one.
    assert (colouring.jvps, colouring.vjps) == (3, 3)
    assert_recovers(colouring, random_matrix(as_pattern(matrix)))
    tall = np.zeros((60, 20), bool)
    tall[:, 0] = tall[::3, 1] = True
    tall[np.arange(60), np.arange(60) % 20] = True
    assert colour_columns(as_pattern(tall)).jvps == 3


def test_another_order_is_tried_where_the_natural_one_takes_too_many_colours() -> None:
    # Columns 0-1-3-2 form a path: first come the ends, which get the same colour, and then both between need another.
    path = Pattern([0, 0, 1, 1, 2, 2], [0, 1, 2, 3, 1, 3], (3, 4))
    assert colour_columns(path).jvps == 2
    # A path too, 1-4-0-3-2 with a chord (0, 2).
    matrix = np.eye(5, dtype=bool)
    for i, j in [(0, 2), (0, 3), (0, 4), (1, 4), (2, 3)]:
        matrix[i, j] = matrix[j, i] = True
    assert colour_symmetric(as_pattern(matrix)).jvps == 3


def test_colourings_are_the_same_every_time() -> None:
    pattern = as_pattern(np.random.default_rng(3).random((30, 40)) < 0.1)
    for by in JACOBIAN_STRATEGIES:
        first, second = colour(pattern, by), colour(pattern, by)
        np.testing.assert_array_equal(first.column_seeds, second.column_seeds)
        np.testing.assert_array_equal(first.row_seeds, second.row_seeds)


# --- symmetric matrices -----------------------------------------------------------------------------------------------

SYMMETRIC: list[Any] = [
    pytest.param(arrow(50), 2, id="arrow"),
    pytest.param(arrow(50, 49), 2, id="arrow to the end"),
    pytest.param(arrow(50, 20), 2, id="arrow from the middle"),
    pytest.param(band(30, 1), 3, id="tridiagonal"),
    pytest.param(band(30, 2), 5, id="pentadiagonal"),
    pytest.param(as_pattern(np.eye(9, dtype=bool)), 1, id="diagonal"),
    pytest.param(as_pattern(np.ones((6, 6), bool)), 6, id="dense"),
    pytest.param(Pattern([], [], (4, 4)), 0, id="no entry"),
    pytest.param(Pattern([], [], (0, 0)), 0, id="no input"),
    # Without a diagonal two columns of one colour share no row.
    pytest.param(Pattern([0, 3], [3, 0], (4, 4)), 1, id="one pair"),
    # Two stars that are joined at their centres: each leaf may have the colour of the other centre's leaves.
    pytest.param(
        Pattern([0, 0, 0, 1, 1, 1, 2, 3, 4, 5], [1, 2, 3, 0, 4, 5, 0, 0, 1, 1], (6, 6)), 3, id="two stars joined"
    ),
]


@pytest.mark.parametrize(("pattern", "expected"), SYMMETRIC)
def test_numbers_of_products_of_symmetric_matrices(pattern: Pattern, expected: int) -> None:
    colouring = colour(pattern, "symmetric")
    assert (colouring.jvps, colouring.vjps) == (expected, 0)
    matrix = random_matrix(pattern)
    assert_recovers(colouring, matrix + matrix.T)


def laplacian(side: int) -> Pattern:
    line, eye = band(side, 1).to_dense(), np.eye(side, dtype=bool)
    return as_pattern(np.kron(line, eye) | np.kron(eye, line))


def test_a_two_dimensional_laplacian_takes_fewer_products_by_symmetry() -> None:
    grid = laplacian(11)
    assert colour_columns(grid).jvps > colour_symmetric(grid).jvps
    matrix = random_matrix(grid)
    assert_recovers(colour_symmetric(grid), matrix + matrix.T)


def test_columns_get_their_colours_in_turns_only_where_that_is_a_colouring() -> None:
    # Neighbours in a grid are 1 and the side apart, which five colours in turns tell apart if the side is 5 k + 2 or 3.
    assert [colour_columns(laplacian(side)).jvps for side in (7, 8, 12, 13)] == [5] * 4
    for side in (9, 10, 11):
        assert_recovers(colour_columns(laplacian(side)), random_matrix(laplacian(side)))
    # A band some of whose columns have no entry
    gaps = Pattern(band(20, 1).rows, np.array([*range(9), *range(40, 51)])[band(20, 1).columns], (20, 60))
    assert colour_columns(gaps).jvps == 3
    assert_recovers(colour_columns(gaps), random_matrix(gaps))
    # A single entry beside the band, which three colours in turns would add to another: two others still do.
    for away in (3, 6, 28):
        beside = band(30, 1) | Pattern([0], [away], (30, 30))
        assert_recovers(colour_columns(beside), random_matrix(beside))
        assert_recovers(colour_rows(beside), random_matrix(beside))
        matrix = random_matrix(beside.symmetrised())
        assert_recovers(colour_symmetric(beside.symmetrised()), matrix + matrix.T)


def test_the_search_for_colours_of_a_band_does_not_go_through_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = 0
    lowest_free = colouring_module._lowest_free

    def counted(taken: int) -> int:
        nonlocal steps
        steps += 1
        return lowest_free(taken)

    monkeypatch.setattr(colouring_module, "_lowest_free", counted)
    for by in ("best", "symmetric"):
        taken = []
        for n in (50, 2000):
            steps = 0
            colour(band(n, 2), by)
            taken.append(steps)
        assert taken[0] == taken[1] < 50


def is_star_colouring(pattern: Pattern, colours: np.ndarray) -> bool:
    """By its definition: neighbours differ, and no path on four vertices has two colours."""
    beside = pattern.to_dense() & ~np.eye(pattern.shape[0], dtype=bool)
    neighbours = [np.flatnonzero(row) for row in beside]
    for b, c in np.argwhere(beside):
        if colours[b] == colours[c]:
            return False
        for a, d in product(neighbours[b], neighbours[c]):
            if len({a, b, c, d}) == 4 and colours[a] == colours[c] and colours[b] == colours[d]:
                return False
    return True


@given(st.integers(1, 9), st.floats(0, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_random_symmetric_matrices_are_recovered_exactly(n: int, density: float, seed: int) -> None:
    half = np.random.default_rng(seed).random((n, n)) < density
    pattern = as_pattern(half | half.T)
    colouring = colour_symmetric(pattern)
    matrix = random_matrix(pattern, seed)
    assert_recovers(colouring, matrix + matrix.T)
    assert colouring.jvps <= colour_columns(pattern).jvps


@given(st.integers(1, 8), st.floats(0, 0.7), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_what_is_recovered_by_symmetry_is_coloured_as_a_star_colouring(n: int, density: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    half = random.random((n, n)) < density
    pattern = as_pattern(half | half.T | np.eye(n, dtype=bool))
    colours = random.integers(0, 3, n)
    # With the diagonal in the pattern the two conditions are the same.
    if is_star_colouring(pattern, colours):
        Colouring(pattern, columns=colours, symmetric=True)
    else:
        with pytest.raises(NotRecoverableError):
            Colouring(pattern, columns=colours, symmetric=True)


@given(st.integers(1, 6), st.floats(0, 0.9), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_no_star_colouring_has_fewer_colours_than_is_taken_for_least(n: int, density: float, seed: int) -> None:
    half = np.random.default_rng(seed).random((n, n)) < density
    pattern = as_pattern((half | half.T) & ~np.eye(n, dtype=bool))
    least = colouring_module._least_star(pattern.rows, pattern.columns, n)
    fewer = (np.array(colours) for colours in product(range(least - 1), repeat=n))
    assert not any(is_star_colouring(pattern, colours) for colours in fewer)


@given(st.integers(0, 30), st.integers(1, 10), st.integers(1, 2000), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_what_is_alone_in_its_line_is_found_by_counting_and_by_sorting(size: int, lines: int, most: int, seed: int):
    random = np.random.default_rng(seed)
    line, colours = random.integers(0, lines, size), random.integers(-1, most, size)
    pairs = list(zip(line.tolist(), colours.tolist(), strict=True))
    expected = [pair[1] >= 0 and pairs.count(pair) == 1 for pair in pairs]
    assert colouring_module._alone(line, colours).tolist() == expected


# --- recovery ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 9), st.integers(0, 9), st.floats(0, 1), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_random_matrices_are_recovered_exactly(m: int, n: int, density: float, seed: int) -> None:
    pattern = as_pattern(np.random.default_rng(seed).random((m, n)) < density)
    found = {by: colour(pattern, by) for by in JACOBIAN_STRATEGIES}
    for colouring in found.values():
        assert_recovers(colouring, random_matrix(pattern, seed))
    counts = {by: c.jvps + c.vjps for by, c in found.items()}
    assert counts["both"] <= min(counts["columns"], counts["rows"])
    assert counts["best"] == counts["both"]


def test_a_wrong_colouring_is_refused() -> None:
    tridiagonal = band(6, 1)
    right = np.arange(6) % 3
    for wrong in range(6):
        colours = right.copy()
        colours[wrong] = right[wrong - 1] if wrong else right[1]
        for given_for in ({"columns": colours}, {"rows": colours}, {"columns": colours, "symmetric": True}):
            with pytest.raises(NotRecoverableError, match="cannot be recovered"):
                Colouring(tridiagonal, **given_for)  # type: ignore[arg-type]


def test_a_column_without_a_colour_is_refused_where_nothing_else_gives_it() -> None:
    pattern = arrow(5)
    with pytest.raises(NotRecoverableError, match=r"entry \(0, 3\)"):
        Colouring(pattern, columns=[0, 1, 2, -1, 3])
    # The first row and the first column give an arrow's head; one product more its diagonal.
    Colouring(pattern, columns=[0, 1, 1, 1, 1], rows=[0, -1, -1, -1, -1])
    with pytest.raises(NotRecoverableError, match=r"entry \(1, 1\)"):
        Colouring(pattern, columns=[0, -1, -1, -1, -1], rows=[0, -1, -1, -1, -1])


def test_every_entry_lost_is_found_by_comparing_with_a_matrix() -> None:
    # The check that refuses colourings, against recovery of random matrices: it refuses none that recovers.
    random = np.random.default_rng(1)
    refused = 0
    for _ in range(300):
        pattern = as_pattern(random.random((4, 4)) < 0.5)
        matrix = random_matrix(pattern)
        columns, rows = random.integers(-1, 3, 4), random.integers(-1, 3, 4)
        try:
            assert_recovers(Colouring(pattern, columns=columns, rows=rows), matrix)
        except NotRecoverableError:
            refused += 1
            sums = [matrix[:, columns == c].sum(axis=1)[:, None] == matrix for c in range(3)]
            sums += [matrix[rows == c].sum(axis=0)[None, :] == matrix for c in range(3)]
            inside = [(columns == c)[None, :] for c in range(3)] + [(rows == c)[:, None] for c in range(3)]
            direct = np.any([s & i for s, i in zip(sums, inside, strict=True)], axis=0)
            assert not direct[pattern.rows, pattern.columns].all()
    assert 0 < refused < 300


def test_a_symmetric_colouring_of_a_pattern_that_is_not_is_refused() -> None:
    for pattern in (Pattern([0], [1], (2, 2)), Pattern([0], [0], (2, 3))):
        with pytest.raises(ShapeError, match="not symmetric"):
            colour(pattern, "symmetric")
        with pytest.raises(ShapeError, match="not symmetric"):
            Colouring(pattern, columns=np.zeros(pattern.shape[1], int), symmetric=True)


def test_products_of_a_wrong_number_or_length_are_refused() -> None:
    colouring = colour(arrow(5), "both")
    jvps, vjps = np.zeros((2, 5)), np.zeros((1, 5))
    assert colouring.recover(list(jvps), list(vjps)).shape == (13,)
    for wrong in ((jvps[:1], vjps), (jvps,), (jvps[:, :4], vjps), (jvps, [*vjps, *vjps])):
        with pytest.raises(ShapeError, match="recover: "):
            colouring.recover(*wrong)
    with pytest.raises(ShapeError, match="4 integers"):
        Colouring(Pattern([0], [0], (1, 4)), columns=[0.0, 1.0, 2.0, 3.0])
    with pytest.raises(ShapeError, match="colours of the rows"):
        Colouring(Pattern([0], [0], (1, 4)), rows=[0, 1])
    with pytest.raises(ValueError, match="'diagonal' is no strategy"):
        colour(arrow(5), "diagonal")


def test_the_text_says_what_is_saved() -> None:
    assert str(colour(arrow(50))) == "2 jvps and 1 vjp instead of 50 jvps or 50 vjps"
    assert str(colour(bundle(4, 40, 200))).startswith("12 jvps instead of ")
    assert str(colour(band(30, 1))) == "3 jvps instead of 30 jvps or 30 vjps"
    assert str(colour(Pattern([0] * 49, range(49), (1, 49)))) == "1 vjp instead of 49 jvps"
    assert str(colour(arrow(50), "symmetric")) == "2 hvps instead of 50 hvps"
    assert str(colour(Pattern([], [], (2, 2)))) == "no product instead of 2 jvps or 2 vjps"
    assert str(colour(as_pattern(np.ones((2, 2), bool)))) == "2 jvps"
    assert repr(colour(arrow(50))) == "<colouring of <pattern 50 x 50, 148 nonzeros>: 2 jvps and 1 vjp>"


def test_large_patterns() -> None:
    n = 20_000
    for pattern, by, expected in (
        (band(n, 2), "best", 5), (band(n, 2), "symmetric", 5), (bundle(50, 3000, 15_000), "best", 12),
    ):  # fmt: skip
        colouring = colour(pattern, by)
        assert colouring.jvps + colouring.vjps == expected
    ends = np.arange(n)
    pattern = Pattern(np.concatenate([ends, ends, 0 * ends]), np.concatenate([ends, 0 * ends, ends]), (n, n))
    assert (colour(pattern).jvps, colour(pattern).vjps) == (2, 1)
    assert colour(pattern, "symmetric").jvps == 2


# --- with the engines -------------------------------------------------------------------------------------------------


def model(p: Any) -> Any:
    """A chain of numbers, each of which depends on its neighbours and on one that they share."""
    x, s = p["x"], p["s"]
    return {"inner": x[1:-1] * s - x[2:] * x[:-2], "sum": np.sum(x**2)}


def pieces(vector: Any, likes: Any) -> list[Any]:
    """A flat vector cut into arrays of the shapes of some leaves."""
    cuts = np.cumsum([np.size(like) for like in likes])[:-1]
    return [np.reshape(part, np.shape(like)) for part, like in zip(np.split(vector, cuts), likes, strict=True)]


def flat(leaves: Any) -> Any:
    return np.concatenate([np.reshape(leaf, (-1,)) for leaf in leaves])


@pytest.mark.parametrize("by", JACOBIAN_STRATEGIES)
def test_a_sparse_jacobian_from_the_engines_products(ad: Any, by: str) -> None:
    p = {"x": np.linspace(1.0, 2.0, 12), "s": 3.0}
    leaves = [p["s"], p["x"]]
    colouring = colour(jacobian_pattern(model, p), by)

    def of_leaves(s: Any, x: Any) -> Any:
        out = model({"x": x, "s": s})
        return [out["inner"], out["sum"]]

    out, pullback = ad.vjp(of_leaves, *leaves)
    jvps = [flat(ad.jvp(of_leaves, leaves, pieces(seed, leaves))[1]) for seed in colouring.column_seeds]
    vjps = [flat(pullback(pieces(seed, out))) for seed in colouring.row_seeds]
    blocks = ad.jacobian(of_leaves, argnums=(0, 1))(*leaves)
    dense = np.concatenate(
        [np.concatenate([np.reshape(block, (-1, np.size(a))) for block, a in zip(row, leaves, strict=True)], axis=1)
         for row in blocks]
    )  # fmt: skip
    matrix = as_sparse(colouring.recover(jvps, vjps), colouring.pattern)
    np.testing.assert_allclose(matrix.toarray(), dense, rtol=1e-14)
    if by == "both":
        assert str(colouring) == "4 jvps and 1 vjp instead of 13 jvps or 11 vjps"


def test_a_sparse_hessian_from_few_hessian_vector_products() -> None:
    def energy(x: Any) -> Any:
        return np.sum(np.cos(x[1:] - x[:-1])) + x[0] * np.sum(x**2)

    x = np.linspace(0.0, 1.0, 20)
    pattern = jacobian_pattern(reversead.grad(energy), x).symmetrised()
    colouring = colour(pattern, "symmetric")
    products = [dualad.jvp(reversead.grad(energy), (x,), (seed,))[1] for seed in colouring.column_seeds]
    np.testing.assert_allclose(
        as_sparse(colouring.recover(products), pattern).toarray(), reversead.hessian(energy)(x), rtol=1e-12, atol=1e-14
    )
    assert colouring.jvps <= 4


def test_a_given_pattern_that_lacks_an_entry_is_found_out() -> None:
    pattern, random = band(8, 1), np.random.default_rng(4)
    matrix, direction = random_matrix(pattern), random.normal(size=8)
    for k in range(pattern.nnz):
        kept = np.arange(pattern.nnz) != k
        lacking = Pattern(pattern.rows[kept], pattern.columns[kept], pattern.shape)
        colouring = colour(lacking)
        values = colouring.recover(colouring.column_seeds @ matrix.T, colouring.row_seeds @ matrix)
        with pytest.raises(ShapeError, match=r"sparse: the pattern lacks a nonzero entry in row \d"):
            require_complete("sparse", values, lacking, direction, matrix @ direction)
    values = matrix[pattern.rows, pattern.columns]
    require_complete("sparse", values, pattern, direction, matrix @ direction)
    single, narrow = matrix.astype(np.float32), direction.astype(np.float32)
    require_complete("sparse", values.astype(np.float32), pattern, narrow, single @ narrow)
    values[0] = np.inf
    require_complete("sparse", values, pattern, direction, np.where(np.arange(8) < 1, np.nan, matrix @ direction))


def test_recovered_values_can_be_differentiated(ad: Any) -> None:
    pattern = jacobian_pattern(lambda x: x[1:] * x[:-1] ** 2, np.ones(4))
    colouring = colour(pattern)

    def total(x: Any) -> Any:
        products = [
            ad.jvp(lambda y: y[1:] * y[:-1] ** 2, (x,), (seeded(x, seed),))[1] for seed in colouring.column_seeds
        ]
        return np.sum(colouring.recover(products) ** 2)

    # The entries are 2 x[k] x[k + 1] and x[k]^2.
    x = np.array([1.0, 2.0, 3.0, 4.0])
    expected = 4 * x**3
    expected[-1] = 0
    expected[:-1] += 8 * x[:-1] * x[1:] ** 2
    expected[1:] += 8 * x[:-1] ** 2 * x[1:]
    np.testing.assert_allclose(ad.grad(total)(x), expected, rtol=1e-14)


def test_rows_are_columns_of_the_transpose() -> None:
    pattern = as_pattern(np.random.default_rng(2).random((20, 30)) < 0.15)
    np.testing.assert_array_equal(colour_rows(pattern).row_seeds, colour_columns(pattern.transpose()).column_seeds)
