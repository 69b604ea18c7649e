"""Linear algebra where the generated samples do not come: singular matrices, equal values, phases, batches, texts.

What is smooth at a singular or repeated matrix is compared with differences, or with the same function written without
a decomposition; what is not smooth is NaN, or an element of the subdifferential at first order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from derivative_checks import assert_is_estimated, direction

import dualad
import reversead
from shared import compile, trace, vmap
from shared.checking.differences import difference_jvp

RANDOM = np.random.default_rng(7)
#: an orthogonal and a unitary matrix
TURN = np.linalg.qr(RANDOM.standard_normal((3, 3)))[0]
UNITARY = np.linalg.qr(RANDOM.standard_normal((3, 3)) + 1j * RANDOM.standard_normal((3, 3)))[0]
W = RANDOM.standard_normal((3, 3))
PAIRS = [(outer, inner) for outer in (dualad, reversead) for inner in (dualad, reversead)]
each_pair = pytest.mark.parametrize(
    ("outer", "inner"), PAIRS, ids=[f"{a.__name__} over {b.__name__}" for a, b in PAIRS]
)


def made(values: Any, turn: np.ndarray = TURN) -> np.ndarray:
    """The Hermitian matrix with these eigenvalues."""
    return (turn * np.asarray(values)) @ turn.conj().T


def second_derivative(outer: Any, inner: Any, f: Callable[[Any], Any], x: Any, t: Any, u: Any) -> Any:
    """The derivative along `u` of that along `t`, by each pair of engines."""

    def first(x: Any) -> Any:
        return dualad.jvp(f, (x,), (t,))[1] if inner is dualad else np.real(np.sum(reversead.grad(f)(x) * t))

    if outer is dualad:
        return dualad.jvp(first, (x,), (u,))[1]
    found = np.real(np.sum(reversead.grad(first)(x) * u))
    # The tape forwards is one more way.
    forwards = reversead.jvp(first, (x,), (u,))[1]
    assert np.isnan(forwards) or np.isnan(found) or np.isclose(forwards, found, rtol=1e-8, atol=1e-9)
    return found


# --- determinants of singular matrices --------------------------------------------------------------------------------


def minors(x: np.ndarray) -> np.ndarray:
    """The cofactors, each a determinant of what is left without a row and a column."""
    n = len(x)
    kept = [[j for j in range(n) if j != i] for i in range(n)]
    return np.array([
        [(-1) ** (i + j) * np.linalg.det(x[np.ix_(kept[i], kept[j])]) for j in range(n)] for i in range(n)
    ]).reshape(n, n)  # fmt: skip


def of_rank(rank: int, n: int, dtype: Any = float) -> np.ndarray:
    random = np.random.default_rng(10 * n + rank)
    parts = random.standard_normal((2, n, rank)).astype(dtype)
    if dtype is complex:
        parts = parts + 1j * random.standard_normal((2, n, rank))
    return parts[0] @ parts[1].T


RANKS = [(rank, n) for n in (1, 2, 3, 4, 5) for rank in range(n + 1)]


@pytest.mark.parametrize(("rank", "n"), RANKS)
@pytest.mark.parametrize("dtype", [float, complex])
def test_the_gradient_of_a_determinant_is_its_cofactors_whatever_the_rank(
    ad: Any, rank: int, n: int, dtype: Any
) -> None:
    x = of_rank(rank, n, dtype)
    c = 1.5 if dtype is float else 1.5 + 0.5j
    np.testing.assert_allclose(ad.vjp(np.linalg.det, x)[1](c)[0], c * minors(x), atol=1e-12, rtol=1e-10)
    t = direction(x, 1)
    np.testing.assert_allclose(ad.jvp(np.linalg.det, (x,), (t,))[1], np.sum(minors(x) * t), atol=1e-12, rtol=1e-10)


@each_pair
@pytest.mark.parametrize(("rank", "n"), RANKS)
def test_second_derivatives_of_a_determinant_hold_whatever_the_rank(outer: Any, inner: Any, rank: int, n: int) -> None:
    x = of_rank(rank, n)
    t, u = direction(x, 2), direction(x, 3)
    # The derivative of the cofactors, which are polynomials, by differences of their definition
    wanted = difference_jvp(lambda x: np.sum(minors(x) * t), (x,), (u,)).value
    found = second_derivative(outer, inner, np.linalg.det, x, t, u)
    np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-9)


def test_a_nearly_singular_determinant_has_accurate_cofactors(ad: Any) -> None:
    for small in (1e-3, 1e-7, 1e-11, 1e-15, 1e-200):
        x = np.diag([2.0, small, 3.0])
        np.testing.assert_allclose(ad.grad(np.linalg.det)(x), np.diag([3 * small, 6.0, 2 * small]), rtol=1e-14)
        turned = TURN @ x @ TURN.T
        np.testing.assert_allclose(ad.grad(np.linalg.det)(turned), minors(turned), rtol=1e-9, atol=1e-12)


def test_third_derivatives_of_a_determinant_hold_at_regular_matrices_and_are_nan_at_singular_ones(ad: Any) -> None:
    def third(x: Any) -> Any:
        return ad.jvp(lambda x: ad.jvp(lambda x: ad.jvp(np.linalg.det, (x,), (W,))[1], (x,), (W,))[1], (x,), (W,))[1]

    # det(x + s W) is a cubic in s, with the leading coefficient det(W).
    np.testing.assert_allclose(third(np.eye(3)), 6 * np.linalg.det(W), rtol=1e-12)
    assert np.isnan(third(of_rank(2, 3)))


def test_determinants_in_batches_mapped_and_compiled(ad: Any) -> None:
    batch = np.stack([of_rank(rank, 3) for rank in range(4)])
    wanted = np.stack([minors(x) for x in batch])
    gradient = ad.grad(np.linalg.det)
    found = ad.grad(lambda x: np.sum(np.linalg.det(x)))(batch)
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    np.testing.assert_allclose(vmap(gradient)(batch), wanted, atol=1e-12)
    np.testing.assert_allclose(compile(gradient)(batch[1]), wanted[1], atol=1e-12)
    hessian = ad.hessian(np.linalg.det)
    np.testing.assert_allclose(vmap(hessian)(batch), np.stack([hessian(x) for x in batch]), atol=1e-12)
    np.testing.assert_allclose(compile(hessian)(batch[2]), hessian(batch[2]), atol=1e-12)
    assert ad.grad(lambda x: np.sum(np.linalg.det(x)))(np.zeros((0, 2, 2))).shape == (0, 2, 2)
    assert ad.grad(np.linalg.det)(np.zeros((0, 0))).shape == (0, 0)


def test_a_determinant_of_what_is_not_finite_has_no_error(ad: Any) -> None:
    with np.errstate(all="ignore"):
        assert np.all(np.isnan(ad.grad(np.linalg.det)(np.full((2, 2), np.nan))))


# --- equal eigenvalues ------------------------------------------------------------------------------------------------

#: Spectra with equal values: whole, in part, exactly and up to rounding
EQUAL = {
    "the identity": np.eye(3),
    "zero": np.zeros((3, 3)),
    "two of three": np.diag([2.0, 1.0, 1.0]),
    "two of three, turned": made([2.0, 1.0, 1.0]),
    "two of three, turned by complex numbers": made([2.0, 1.0, 1.0], UNITARY),
}
each_equal = pytest.mark.parametrize("x", EQUAL.values(), ids=EQUAL)

#: Functions of the eigenvalues that do not tell them apart, and the same without eigenvalues
SYMMETRIC: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "the sum": (lambda w: np.sum(w), lambda x: np.trace(x).real),
    "the sum of squares": (lambda w: np.sum(w**2), lambda x: np.sum((x * np.conj(x)).real)),
    "the sum of cubes": (lambda w: np.sum(w**3), lambda x: np.trace(x @ x @ x).real),
    "the product": (lambda w: np.prod(w), lambda x: np.linalg.det(x).real),
}


def of_lower_triangle(x: Any) -> Any:
    lower = np.tril(x, -1)
    return lower + np.conj(lower.T) + np.diag(np.real(np.diagonal(x)))


@each_equal
@pytest.mark.parametrize("name", SYMMETRIC)
def test_symmetric_functions_of_equal_eigenvalues_have_their_derivative(ad: Any, x: Any, name: str) -> None:
    of_values, otherwise = SYMMETRIC[name]

    def plainly(x: Any) -> Any:
        return otherwise(of_lower_triangle(x))

    t = direction(x, 4)
    for f in (np.linalg.eigvalsh, lambda x: np.linalg.eigh(x)[0]):
        tangent = ad.jvp(lambda x, f=f: of_values(f(x)), (x,), (t,))[1]
        assert_is_estimated("a tangent", tangent, plainly, (x,), (t,))
        gradient = ad.grad(lambda x, f=f: of_values(f(x)))(x)
        np.testing.assert_allclose(np.sum(gradient * t).real, tangent, rtol=1e-9, atol=1e-12)


@each_pair
@pytest.mark.parametrize("name", SYMMETRIC)
@each_equal
def test_second_derivatives_at_equal_eigenvalues_are_right_or_nan(outer: Any, inner: Any, name: str, x: Any) -> None:
    of_values, otherwise = SYMMETRIC[name]
    t, u = direction(x, 5), direction(x, 6)
    found = second_derivative(outer, inner, lambda x: of_values(np.linalg.eigvalsh(x)), x, t, u)
    wanted = second_derivative(dualad, reversead, lambda x: otherwise(of_lower_triangle(x)), x, t, u)
    assert np.isnan(found) or np.isclose(found, wanted, rtol=1e-8, atol=1e-9)


@each_pair
def test_the_sum_of_squares_has_no_second_derivative_that_would_be_wrong(outer: Any, inner: Any) -> None:
    def f(x: Any) -> Any:
        return np.sum(np.linalg.eigvalsh(x) ** 2)

    aside = np.array([[0.0, 0.0], [1.0, 0.0]])
    # It is x00**2 + x11**2 + 2 x10**2: directions that leave the vectors as they are show no more than the values do.
    if (outer, inner) == (dualad, dualad):
        assert second_derivative(outer, inner, f, np.eye(2), np.diag([1.0, 3.0]), np.diag([1.0, 2.0])) == 14
    assert np.isnan(second_derivative(outer, inner, f, np.eye(2), aside, aside))


@each_pair
def test_a_single_value_beside_equal_ones_has_all_its_derivatives(outer: Any, inner: Any) -> None:
    x = made([1.0, 1.0, 3.0])
    t, u = direction(x, 7), direction(x, 8)

    def largest(x: Any) -> Any:
        return np.linalg.eigvalsh(x)[-1]

    def power(x: Any) -> Any:
        """The largest eigenvalue by the trace of a high power, which has no decomposition."""
        x = of_lower_triangle(x) / 3
        return 3 * np.trace(np.linalg.matrix_power(x, 128)) ** (1 / 128)

    found = second_derivative(outer, inner, largest, x, t, u)
    np.testing.assert_allclose(found, second_derivative(dualad, reversead, power, x, t, u), rtol=1e-9)


def test_a_vector_to_a_single_value_beside_equal_ones_has_its_derivative() -> None:
    x = made([1.0, 1.0, 3.0])

    def projector(x: Any) -> Any:
        v = np.linalg.eigh(x)[1][:, -1:]
        return np.sum(W * (v @ v.T))

    def by_powers(x: Any) -> Any:
        x = of_lower_triangle(x) / 3
        return np.sum(W * np.linalg.matrix_power(x, 64)) / np.trace(np.linalg.matrix_power(x, 64))

    np.testing.assert_allclose(dualad.grad(projector)(x), dualad.grad(by_powers)(x), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(reversead.grad(projector)(x), dualad.grad(by_powers)(x), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("x", [np.zeros((3, 3)), np.diag([0.0, 0.0, 2.0]), np.eye(3)], ids=["zero", "rank 1", "one"])
@pytest.mark.parametrize("function", [lambda w: w, lambda w: w * w, np.exp, lambda w: w - 1])
def test_functions_of_a_matrix_at_equal_eigenvalues_are_right_or_nan(ad: Any, x: Any, function: Any) -> None:
    def f(x: Any) -> Any:
        w, v = np.linalg.eigh(x)
        return (v * function(w)) @ v.T

    # D f(x)[t] is the corner of f of a block matrix, f([[x, t], [0, x]]); of these functions by their power series.
    t = of_lower_triangle(direction(x, 22))
    block = np.block([[x, t], [np.zeros((3, 3)), x]])
    wanted = _by_series(function, block)[:3, 3:]
    for found in (ad.jvp(f, (x,), (direction(x, 22),))[1], _rows_of_pullback(ad, f, x, direction(x, 22))):
        assert np.all(np.isnan(found) | np.isclose(found, wanted, rtol=1e-9, atol=1e-9))


def _by_series(function: Any, x: np.ndarray) -> Any:
    """A cubic or the exponential of a matrix."""
    if function is np.exp:
        term, total = np.eye(len(x)), np.eye(len(x))
        for k in range(1, 60):
            term = term @ x / k
            total = total + term
        return total
    a, b, c = function(0.0), (function(1.0) - function(-1.0)) / 2, (function(1.0) + function(-1.0)) / 2 - function(0.0)
    return a * np.eye(len(x)) + b * x + c * x @ x


def _rows_of_pullback(ad: Any, f: Any, x: Any, t: Any) -> Any:
    pullback = ad.vjp(f, x)[1]
    units = np.eye(9).reshape(9, 3, 3)
    return np.array([np.sum(pullback(unit)[0] * t) for unit in units]).reshape(3, 3)


@each_equal
def test_what_turns_vectors_of_equal_values_is_nan(ad: Any, x: Any) -> None:
    def f(x: Any) -> Any:
        return np.sum(W * np.linalg.eigh(x)[1].real)

    assert np.isnan(ad.grad(f)(x)).any()
    assert np.isnan(ad.jvp(f, (x,), (direction(x, 9),))[1])


def test_directions_that_keep_the_vectors_are_not_nan() -> None:
    found = dualad.jvp(lambda x: np.linalg.eigh(x)[1], (np.eye(3),), (np.diag([1.0, 2.0, 3.0]),))[1]
    np.testing.assert_array_equal(found, np.zeros((3, 3)))


@pytest.mark.parametrize("turn", [TURN, UNITARY], ids=["real", "complex"])
@pytest.mark.parametrize("function", [np.exp, np.sin, lambda w: w * w], ids=["exp", "sin", "square"])
def test_functions_of_a_matrix_that_do_not_depend_on_phases(ad: Any, turn: np.ndarray, function: Any) -> None:
    x = made([1.0, 2.0, -0.5], turn)

    def f(x: Any) -> Any:
        w, v = np.linalg.eigh(x)
        return (v * function(w)) @ np.conj(v.T)

    t = direction(x, 10)
    assert_is_estimated("a tangent", ad.jvp(f, (x,), (t,))[1], f, (x,), (t,))
    out, pullback = ad.vjp(f, x)
    c = direction(out, 11)
    np.testing.assert_allclose(
        np.sum(c * ad.jvp(f, (x,), (t,))[1]).real, np.sum(pullback(c)[0] * t).real, rtol=1e-10, atol=1e-12
    )


@pytest.mark.parametrize("uplo", ["L", "U", "l"])
def test_the_triangle_that_is_not_read_has_gradient_zero(ad: Any, uplo: str) -> None:
    x = RANDOM.standard_normal((3, 3))
    gradient = ad.grad(lambda x: np.sum(np.linalg.eigvalsh(x, uplo) ** 3))(x)
    unread = np.triu(gradient, 1) if uplo.upper() == "L" else np.tril(gradient, -1)
    np.testing.assert_array_equal(unread, 0)
    assert np.count_nonzero(gradient) == 6
    with pytest.raises(ValueError, match="UPLO"):
        ad.grad(lambda x: np.sum(np.linalg.eigvalsh(x, "X")))(x)


# --- singular values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 3), (3, 4), (4, 3)])
@pytest.mark.parametrize("dtype", [float, complex])
def test_symmetric_functions_of_equal_singular_values(ad: Any, shape: tuple[int, int], dtype: Any) -> None:
    x = 2 * np.eye(*shape, dtype=dtype)
    t = direction(x, 12)
    for f, plainly in (
        (lambda x: np.sum(np.linalg.svdvals(x) ** 2), lambda x: np.sum(np.abs(x) ** 2)),
        (lambda x: np.prod(np.linalg.svdvals(x)), _volume),
    ):
        tangent = ad.jvp(f, (x,), (t,))[1]
        assert_is_estimated("a tangent", tangent, plainly, (x,), (t,))
        np.testing.assert_allclose(np.sum(ad.grad(f)(x) * t).real, tangent, rtol=1e-9)


def _volume(x: Any) -> Any:
    gram = x @ x.conj().T if x.shape[0] <= x.shape[1] else x.conj().T @ x
    return np.sqrt(np.linalg.det(gram).real)


@each_pair
@pytest.mark.parametrize("shape", [(3, 3), (3, 4), (4, 3)])
def test_the_largest_singular_value_beside_equal_or_zero_ones(outer: Any, inner: Any, shape: tuple[int, int]) -> None:
    for values in ([3.0, 1.0, 1.0], [3.0, 0.0, 0.0], [3.0, 1.0, 0.0]):
        x = np.zeros(shape)
        x[:3, :3] = np.diag(values)
        t, u = direction(x, 13), direction(x, 14)
        found = second_derivative(outer, inner, lambda x: np.linalg.svdvals(x)[0], x, t, u)

        def power(x: Any) -> Any:
            return np.trace(np.linalg.matrix_power(x @ x.T / 9, 64)) ** (1 / 128) * 3

        np.testing.assert_allclose(found, second_derivative(dualad, reversead, power, x, t, u), rtol=1e-8)


@each_pair
def test_second_derivatives_at_equal_singular_values_are_right_or_nan(outer: Any, inner: Any) -> None:
    for x in (np.eye(3), np.zeros((2, 3)), np.diag([2.0, 1.0, 1.0]), np.diag([1.0, 0.0, 0.0]), np.eye(3, 2)):
        t, u = direction(x, 15), direction(x, 16)
        with np.errstate(all="ignore"):
            found = second_derivative(outer, inner, lambda x: np.sum(np.linalg.svdvals(x) ** 2), x, t, u)
        assert np.isnan(found) or np.isclose(found, 2 * np.sum(t * u), rtol=1e-9)


@each_pair
@pytest.mark.parametrize("shape", [(3, 3), (2, 3), (3, 2)])
def test_second_derivatives_of_complex_singular_values(outer: Any, inner: Any, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(3)
    x, t, u = (random.standard_normal(shape) + 1j * random.standard_normal(shape) for _ in range(3))

    def f(x: Any) -> Any:
        return np.sum(np.linalg.svdvals(x) ** 3)

    def plainly(x: Any) -> Any:
        return np.sum(np.linalg.svd(x, compute_uv=False) ** 3)

    found = second_derivative(outer, inner, f, x, t, u)
    wanted = difference_jvp(lambda x: dualad.jvp(f, (x,), (t,))[1], (x,), (u,))
    np.testing.assert_allclose(found, wanted.value, rtol=1e-6)
    assert_is_estimated("the first one", dualad.jvp(f, (x,), (t,))[1], plainly, (x,), (t,))


# --- general matrices -------------------------------------------------------------------------------------------------


def test_eigenvalues_alone_belong_to_the_vectors_in_another_order(ad: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = RANDOM.standard_normal((4, 4)) + np.diag([1.0, 4.0, 9.0, 20.0])
    gradients = [ad.grad(lambda x, k=k: np.linalg.eigvals(x)[k].real)(x) for k in range(4)]
    together = np.linalg.eig

    def turned(x: Any) -> Any:
        w, v = together(x)
        return type(together(np.eye(1)))(w[..., ::-1], v[..., ::-1])

    monkeypatch.setattr(np.linalg, "eig", turned)
    for k in range(4):
        found = ad.grad(lambda x, k=k: np.linalg.eigvals(x)[k].real)(x)
        np.testing.assert_allclose(found, gradients[k], rtol=1e-9, atol=1e-12)


def test_general_eigenvalues_of_the_identity(ad: Any) -> None:
    np.testing.assert_allclose(ad.grad(lambda x: np.sum(np.linalg.eigvals(x) ** 2).real)(np.eye(3)), 2 * np.eye(3))


def test_a_matrix_without_a_basis_of_eigenvectors_has_no_derivative(ad: Any) -> None:
    for x in (np.array([[0.0, 1.0], [0.0, 0.0]]), np.eye(3, k=1), np.array([[2.0, 1.0], [0.0, 2.0]])):
        try:
            found = ad.grad(lambda x: np.sum(np.linalg.eigvals(x) ** 2).real)(x)
        except np.linalg.LinAlgError:
            continue  # no inverse of the vectors
        assert np.all(np.isnan(found))


def test_complex_eigenvalues_of_real_matrices_have_real_gradients(ad: Any) -> None:
    x = np.array([[0.0, 1.0, 0.3], [-2.0, 0.1, 0.2], [0.5, 0.4, 3.0]])
    gradient = ad.grad(lambda x: np.sum(np.abs(np.linalg.eigvals(x)) ** 2))(x)
    assert gradient.dtype == np.float64
    t = direction(x, 17)
    tangent = np.sum(gradient * t)
    assert_is_estimated("a gradient", tangent, lambda x: np.sum(np.abs(np.linalg.eigvals(x)) ** 2), (x,), (t,))


@each_pair
def test_second_derivatives_of_general_eigenvalues(outer: Any, inner: Any) -> None:
    x = RANDOM.standard_normal((3, 3)) + np.diag([1.0, 4.0, 9.0])
    t, u = direction(x, 18), direction(x, 19)
    found = second_derivative(outer, inner, lambda x: np.sum(np.linalg.eigvals(x) ** 3).real, x, t, u)
    wanted = second_derivative(dualad, reversead, lambda x: np.trace(x @ x @ x), x, t, u)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)


# --- factors and pseudoinverses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["reduced", "complete", "r", "raw"])
@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 4), (1, 3), (3, 1), (2, 3, 2)])
@pytest.mark.parametrize("dtype", [float, complex])
def test_qr_in_every_mode_and_shape(ad: Any, mode: str, shape: tuple[int, ...], dtype: Any) -> None:
    random = np.random.default_rng(5)
    x = random.standard_normal(shape).astype(dtype)
    if dtype is complex:
        x = x + 1j * random.standard_normal(shape)
    expected = np.linalg.qr(x, mode)
    t = direction(x, 20)
    out, tangent = ad.jvp(lambda x: np.linalg.qr(x, mode), (x,), (t,))
    for one, other in zip(out if mode != "r" else [out], expected if mode != "r" else [expected], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
    assert type(out) is type(expected)
    assert_is_estimated(mode, tangent, lambda x: np.linalg.qr(x, mode), (x,), (t,))


@pytest.mark.parametrize("x", [np.zeros((0, 0)), np.zeros((2, 0, 0)), np.zeros((0, 2, 2))], ids=lambda x: str(x.shape))
def test_matrices_of_no_size(ad: Any, x: np.ndarray) -> None:
    for f in (
        lambda x: np.linalg.eigh(x), lambda x: np.linalg.eig(x), lambda x: np.linalg.eig(x + 0j), np.linalg.eigvals,
        lambda x: np.linalg.svd(x), lambda x: np.linalg.qr(x), lambda x: np.linalg.qr(x, "raw"),
        lambda x: np.linalg.pinv(x), lambda x: np.linalg.cholesky(x), lambda x: np.linalg.det(x),
    ):  # fmt: skip
        out, tangent = ad.jvp(f, (x,), (x,))
        expected = f(x)
        leaves = zip(*[v if isinstance(v, tuple) else (v,) for v in (out, tangent, expected)], strict=True)
        assert all(np.shape(a) == np.shape(b) == np.shape(c) for a, b, c in leaves)
        pulled = ad.vjp(f, x)[1](out)[0]
        assert pulled.shape == x.shape


@pytest.mark.parametrize("mode", ["complete", "raw", "reduced", "r"])
def test_qr_of_no_columns(ad: Any, mode: str) -> None:
    x = np.zeros((3, 0))
    out, expected = ad.jvp(lambda x: np.linalg.qr(x, mode), (x,), (x,))[0], np.linalg.qr(x, mode)
    for one, other in zip(*[v if isinstance(v, tuple) else (v,) for v in (out, expected)], strict=True):
        np.testing.assert_array_equal(one, other)


def test_condition_numbers_of_singular_matrices(ad: Any) -> None:
    for x in (np.diag([1.0, 0.0]), np.zeros((2, 2))):
        assert ad.value_and_grad(np.linalg.cond)(x)[0] == np.inf == np.linalg.cond(x)


def test_a_pseudoinverse_among_matrices_of_one_rank(ad: Any) -> None:
    a, b = RANDOM.standard_normal((4, 2)), RANDOM.standard_normal((2, 3))
    t = direction((a, b), 21)

    def f(a: Any, b: Any) -> Any:
        return np.linalg.pinv(a @ b)

    assert_is_estimated("rank 2", ad.jvp(f, (a, b), t)[1], f, (a, b), t)


def test_least_squares_have_all_that_numpy_returns(ad: Any) -> None:
    a, b = RANDOM.standard_normal((4, 2)), RANDOM.standard_normal((4, 3))
    for left, right in ((a, b), (a, b[:, 0]), (a[:2], b[:2]), (a.T, b[:2]), (np.outer(a[:, 0], [1.0, 2.0]), b)):
        found, expected = [], np.linalg.lstsq(left, right, rcond=None)
        ad.vjp(lambda a, b, found=found: found.append(np.linalg.lstsq(a, b, rcond=None)) or np.sum(a), left, right)
        for one, other in zip(found[0], expected, strict=True):
            value = getattr(one, "primal", one)
            assert np.shape(value) == np.shape(other)
            np.testing.assert_allclose(value, other, atol=1e-12)


def test_decompositions_are_mapped_without_a_loop(ad: Any) -> None:
    batch = RANDOM.standard_normal((4, 3, 3))
    for f in (
        lambda x: np.linalg.eigvalsh(x), lambda x: np.abs(np.linalg.eigh(x)[1]), lambda x: np.linalg.svdvals(x),
        lambda x: np.linalg.qr(x).R, lambda x: np.linalg.pinv(x[:, :2]), lambda x: np.linalg.qr(x[:, :2], "raw")[0],
        lambda x: np.linalg.lstsq(x[:, :2], x[:, 2])[0], lambda x: np.abs(np.linalg.eigvals(x)),
    ):  # fmt: skip
        gradient = ad.grad(lambda x, f=f: np.sum(f(x) ** 2 * 0.5 + f(x)))
        wanted = np.stack([gradient(x) for x in batch])
        np.testing.assert_allclose(vmap(gradient)(batch), wanted, rtol=1e-9, atol=1e-10)
        np.testing.assert_allclose(compile(gradient)(batch[0]), wanted[0], rtol=1e-9, atol=1e-10)


def test_a_record_of_a_decomposition_names_it() -> None:
    assert "eigh_values" in str(trace(np.linalg.eigvalsh, np.eye(2)))


COMPLEX_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "eigvalsh": lambda x: np.linalg.eigvalsh(x) ** 3,
    "eigh": lambda x: np.abs(np.linalg.eigh(x)[1]) ** 2,
    "eig": lambda x: np.linalg.eig(x)[1],
    "eigvals": lambda x: np.linalg.eigvals(x) ** 2,
    "svd": lambda x: np.abs(np.linalg.svd(x)[0]) ** 2,
    "cholesky": lambda x: np.linalg.cholesky(x @ np.conj(x.T)),
    "qr": lambda x: np.linalg.qr(x).Q + np.linalg.qr(x).R,
    "complete": lambda x: np.linalg.qr(x[:, :2], "complete")[0],
    "pinv": lambda x: np.linalg.pinv(x[:, :2]),
    "lstsq": lambda x: np.linalg.lstsq(x[:, :2], x[:, 2:])[0],
    "slogdet": lambda x: np.linalg.slogdet(x)[0] * np.linalg.slogdet(x)[1],
    "det": lambda x: np.linalg.det(x) ** 2,
}


@each_pair
@pytest.mark.parametrize("name", COMPLEX_FUNCTIONS)
def test_second_derivatives_of_complex_matrices(outer: Any, inner: Any, name: str) -> None:
    random = np.random.default_rng(11)
    x, t, u = (random.standard_normal((3, 3)) + 1j * random.standard_normal((3, 3)) for _ in range(3))
    c = direction(COMPLEX_FUNCTIONS[name](x), 23)

    def f(x: Any) -> Any:
        return np.real(np.sum(c * COMPLEX_FUNCTIONS[name](x)))

    found = second_derivative(outer, inner, f, x, t, u)
    wanted = difference_jvp(lambda x: dualad.jvp(f, (x,), (t,))[1], (x,), (u,))
    np.testing.assert_allclose(found, wanted.value, rtol=1e-6, atol=1e-6)
    assert_is_estimated("the first one", dualad.jvp(f, (x,), (t,))[1], f, (x,), (t,))
