"""SciPy's linear algebra, transforms and sparse matrices with derivatives: what their samples do not show."""

from __future__ import annotations

import doctest
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.linalg
import scipy.sparse
import scipy.sparse.linalg
from derivative_checks import ENGINES, check_first_derivative
from registry_samples.scipy_linalg import SCIPY_LINALG
from registry_samples.scipy_transforms import SCIPY_TRANSFORMS

import dualad
import reversead
import shared
from shared import NoRuleError, compile, count_operations, jacobian_pattern, vmap
from shared.calling.tree import flatten
from shared.rules import sparse_products
from shared.scipy import fft, linalg, signal, sparse
from shared.scipy.linalg import primitives
from shared.scipy.sparse import linalg as solving

RANDOM = np.random.default_rng(3)
REGULAR = RANDOM.normal(size=(4, 4)) + 4 * np.eye(4)
RIGHT = RANDOM.normal(size=(4, 2))
#: Not normal: two eigenvectors are nearly the same.
DEFECTIVE = np.array([[2.0, 30.0], [0.0, 2.0]])


# --- plain arrays are SciPy's -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("module", [linalg, fft, signal], ids=lambda module: module.__name__)
def test_plain_arrays_are_given_to_scipy(module: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A function of ours on plain arguments evaluates no primitive, so that its result is SciPy's to the last bit."""
    called: list[Any] = []
    monkeypatch.setattr("shared.core.primitive.bind", lambda *args: called.append(args))
    samples = [s for s in [*SCIPY_LINALG, *SCIPY_TRANSFORMS] if s.expression.startswith(module.__name__.split(".")[-1])]
    assert len(samples) > 8
    for sample in samples:
        if not any(name in sample.expression for name in ("ALONG", "np.fft")):
            sample.function(*sample.arguments())
    assert not called


def test_the_values_of_some_are_scipys_to_the_last_bit() -> None:
    for function, args in (
        ("solve", (REGULAR, RIGHT)),
        ("expm", (REGULAR,)),
        ("qr", (REGULAR,)),
        ("toeplitz", (RIGHT[0],)),
    ):
        found, expected = getattr(linalg, function)(*args), getattr(scipy.linalg, function)(*args)
        pairs = zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]
        assert all(np.array_equal(a, b) for a, b in pairs)


def test_a_sylvester_equation_of_real_matrices_and_a_complex_side_is_solved() -> None:
    a, b, q = REGULAR, np.array([[0.0, 1.0], [-1.0, 0.0]]), RIGHT * (1 + 2j)
    for found in (linalg.solve_sylvester(a, b, q), reversead.vjp(lambda q: linalg.solve_sylvester(a, b, q), q)[0]):
        np.testing.assert_allclose(a @ found + found @ b, q, atol=1e-12)


#: What SciPy has changed over its versions: the values and forms are those of the one that is there.
CHANGED = {
    "cho_factor": lambda a: linalg.cho_factor(a @ a.T + np.eye(4))[0],
    "cho_factor of a batch": lambda a: linalg.cho_factor(np.stack([a @ a.T + np.eye(4)] * 2), lower=True)[0],
    "cho_solve of a batch": lambda a: linalg.cho_solve(linalg.cho_factor(np.stack([a @ a.T + np.eye(4)] * 2)), a),
    "residue": lambda a: linalg.lstsq(a[:, :2], a[:, 2])[1],
    "residues": lambda a: linalg.lstsq(a[:, :2], a[:, 2:])[1],
    "residue of dependent columns": lambda a: linalg.lstsq(np.ones((4, 2)) * a[0, 0], a[:, 2])[1],
    "residues of dependent columns": lambda a: linalg.lstsq(np.ones((4, 2)) * a[0, 0], a[:, 2:])[1],
    "residue of as many equations": lambda a: linalg.lstsq(a, a[0])[1],
}


@pytest.mark.parametrize("name", CHANGED)
def test_results_are_of_the_form_that_scipy_gives_them(ad: Any, name: str) -> None:
    expected = CHANGED[name](REGULAR)
    found = ad.jvp(CHANGED[name], (REGULAR,), (REGULAR,))[0]
    assert type(found) is type(expected) and np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


def test_a_batch_of_lower_and_upper_factors_is_refused(ad: Any) -> None:
    factors = np.stack([np.eye(2)] * 2), np.array([True, False])
    with pytest.raises(ValueError, match="lower and upper factors in one batch"):
        ad.jvp(lambda b: linalg.cho_solve(factors, b), (np.ones((2, 1)),), (np.ones((2, 1)),))


# --- singular, ill-conditioned, not normal ----------------------------------------------------------------------------

UNIT = scipy.sparse.csr_array(np.eye(2))
SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
REFUSALS = {
    "singular": (lambda a: linalg.solve(a, np.ones(2)), SINGULAR, np.linalg.LinAlgError, "singular"),
    "singular triangle": (lambda a: linalg.solve_triangular(a, np.ones(2)), np.zeros((2, 2)), np.linalg.LinAlgError,
        "singular"),
    "singular diagonal": (lambda a: linalg.solve(a, np.ones(2), assume_a="diagonal"), np.zeros((2, 2)),
        np.linalg.LinAlgError, "singular"),
    "singular band": (lambda a: linalg.solve_banded((0, 1), a, np.ones(2)), np.zeros((2, 2)), np.linalg.LinAlgError,
        "singular"),
    "not definite": (lambda a: linalg.solve(a, np.ones(2), assume_a="pos"), -np.eye(2), np.linalg.LinAlgError,
        "definite"),
    "band not definite": (lambda a: linalg.solveh_banded(a, np.ones(2)), -np.ones((2, 2)), np.linalg.LinAlgError,
        "definite"),
    "not definite factor": (linalg.cho_factor, -np.eye(2), np.linalg.LinAlgError, "definite"),
    "common eigenvalue": (lambda a: linalg.solve_sylvester(a, -a, np.ones((2, 2))), np.eye(2), np.linalg.LinAlgError,
        "eigenvalue in common"),
    "singular circulant": (lambda a: linalg.solve_circulant(a[0], np.ones(2)), np.ones((2, 2)), np.linalg.LinAlgError,
        "singular"),
    "singular sparse": (lambda a: solving.spsolve(sparse.with_data(UNIT, a[0]), np.ones(2)),
        np.zeros((2, 2)), np.linalg.LinAlgError, "singular"),
    "structure": (lambda a: linalg.solve(a, a, assume_a="round"), np.eye(2), ValueError, "not a recognized"),
    "shapes": (lambda a: linalg.solve(a, np.ones(3)), np.eye(2), ValueError, "do not fit"),
    "no square": (linalg.expm, np.ones((2, 3)), ValueError, "no square matrix"),
    "complex transposed": (lambda a: linalg.solve(a, a, transposed=True), np.eye(2) * 1j, NotImplementedError,
        "complex"),
    "by value": (lambda a: linalg.eigh(a, subset_by_value=(0, 1)), np.eye(2), NoRuleError, "subset_by_index"),
    "further vectors": (linalg.svd, np.ones((3, 2)), NoRuleError, "full_matrices=False"),
    "absolute tolerance": (lambda a: linalg.pinv(a, atol=1.0), np.eye(2), NoRuleError, "rtol"),
    "wide polar": (linalg.polar, np.ones((2, 3)), NoRuleError, "the other side"),
    "mode": (lambda a: linalg.qr(a, mode="complete"), np.eye(2), ValueError, "economic"),
    "type": (lambda a: fft.dct(a, 5), np.eye(2), ValueError, "type is 1, 2, 3 or 4"),
    "state": (lambda a: signal.lfilter([1.0, 1.0], [1.0], a[0], zi=np.ones(3)), np.eye(2), ValueError,
        "zi has the shape"),
    "format": (lambda a: sparse.with_data(scipy.sparse.dia_array(np.eye(2)), a[0]), np.eye(2), ValueError, "tocsr"),
    "nonzeros": (lambda a: sparse.with_data(UNIT, a), np.eye(2), ValueError, "2 nonzeros"),
    "sparse shapes": (lambda a: scipy.sparse.csr_array(np.eye(3)) @ a, np.eye(2), ValueError, "do not fit"),
    "twice": (lambda a: sparse.with_data(scipy.sparse.coo_array((np.ones(2), ([0, 0], [1, 1])), shape=(2, 2)), a[0]),
        np.eye(2), ValueError, "occurs twice"),
    "dense": (lambda a: solving.spsolve(np.eye(2), a), np.eye(2), TypeError, "shared.scipy.linalg.solve"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSALS)
def test_what_has_no_answer_is_an_error(ad: Any, name: str) -> None:
    f, x, error, text = REFUSALS[name]
    with pytest.raises(error, match=text):
        ad.jvp(f, (x,), (np.ones_like(x),))


def test_an_ill_conditioned_matrix_is_warned_of() -> None:
    nearly = SINGULAR + np.diag([0.0, 4e-15])
    with pytest.warns(scipy.linalg.LinAlgWarning, match=r"linear_algebra\.py"):
        dualad.jvp(lambda b: linalg.solve(nearly, b), (np.ones(2),), (np.ones(2),))


EMPTY = np.zeros((0, 0))


@pytest.mark.parametrize(
    "f",
    [
        lambda a: linalg.solve(a, a[:, :0]),
        lambda a: linalg.solve(a, np.zeros(0), assume_a="tridiagonal"),
        lambda a: linalg.solve_banded((1, 1), np.zeros((3, 0)), a),
        lambda a: linalg.solve_sylvester(a, a, a),
        *(linalg.inv, linalg.lu, linalg.lu_factor, linalg.cholesky, linalg.expm, linalg.eigh, linalg.qr, linalg.svd),
    ],
)
def test_an_empty_matrix_has_what_scipy_gives(ad: Any, f: Any) -> None:
    for found, expected in zip(flatten(ad.jvp(f, (EMPTY,), (EMPTY,))[0])[0], flatten(f(EMPTY))[0], strict=True):
        assert np.shape(found) == np.shape(expected)


@pytest.mark.parametrize(
    "f",
    [
        linalg.expm,
        linalg.sqrtm,
        linalg.logm,
        lambda a: linalg.solve(a, np.ones(2)),
        lambda a: linalg.solve_sylvester(a, np.eye(2), np.ones((2, 2))),
    ],
    ids=["expm", "sqrtm", "logm", "solve", "solve_sylvester"],
)
def test_a_defective_matrix_has_its_derivatives(f: Any) -> None:
    check_first_derivative(lambda a: f(a), [DEFECTIVE])


def test_equal_singular_values_do_a_polar_factor_no_harm() -> None:
    check_first_derivative(linalg.polar, [2 * np.eye(3)])


def test_a_logarithm_and_its_exponential_undo_each_other_at_the_third_order() -> None:
    a = np.array([[2.0, 0.3], [-0.4, 1.5]])

    def along(f: Any) -> Any:
        return lambda s: reversead.vjp(lambda s: f(a + s * np.array([[0.5, 1.0], [-0.7, 0.2]])), s)[0]

    third = dualad.derivative(dualad.derivative(dualad.derivative(along(lambda x: linalg.expm(linalg.logm(x))))))(0.3)
    np.testing.assert_allclose(third, 0, atol=1e-8)


# --- the factors are computed once ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["general", "positive", "band"])
def test_a_gradient_factors_once(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    factor, solved = primitives._KINDS[kind]
    calls: list[str] = []

    def counted(*args: Any) -> Any:
        calls.append("factor")
        return factor(*args)

    monkeypatch.setitem(primitives._KINDS, kind, (counted, solved))
    a = REGULAR @ REGULAR.T
    solve = {
        "general": lambda a: linalg.solve(a, RIGHT),
        "positive": lambda a: linalg.solve(a, RIGHT, assume_a="pos"),
        "band": lambda a: linalg.solve_banded((1, 2), a, RIGHT),
    }[kind]
    reversead.hvp(lambda a: np.sum(solve(a) ** 2), a, a)
    assert calls == ["factor"]


def test_a_sparse_gradient_factors_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    splu = scipy.sparse.linalg.splu
    monkeypatch.setattr(scipy.sparse.linalg, "splu", lambda a: calls.append("factor") or splu(a))
    A = scipy.sparse.csr_array(REGULAR)
    reversead.hvp(lambda d: np.sum(solving.spsolve(sparse.with_data(A, d), RIGHT) ** 2), A.data, A.data)
    assert calls == ["factor"]


def test_a_matrix_that_is_not_square_is_reused_for_all_right_hand_sides_of_a_batch() -> None:
    columns = RANDOM.normal(size=(5, 4))
    found = vmap(reversead.grad(lambda b: np.sum(linalg.solve(REGULAR, b) ** 2)))(columns)
    inverse = np.linalg.inv(REGULAR)
    np.testing.assert_allclose(found, 2 * columns @ inverse.T @ inverse, rtol=1e-10)


# --- sparse matrices --------------------------------------------------------------------------------------------------


def _laplacian(n: int) -> Any:
    return scipy.sparse.diags_array([-np.ones(n - 1), 4 * np.ones(n), -np.ones(n - 1)], offsets=[-1, 0, 1]).tocsr()


def test_no_dense_matrix_is_made_of_a_sparse_one(ad: Any) -> None:
    n = 20_000
    A, b = _laplacian(n), np.linspace(0.0, 1.0, n)

    def loss(data: Any, b: Any) -> Any:
        return np.sum(solving.spsolve(sparse.with_data(A, data), b) ** 2) + np.sum(sparse.with_data(A, data) @ b)

    tracemalloc.start()
    if ad is reversead:
        by_data, by_b = ad.grad(loss, argnums=(0, 1))(A.data, b)
        x = scipy.sparse.linalg.spsolve(A.tocsc(), b)
        y = scipy.sparse.linalg.spsolve(A.tocsc(), 2 * x)
        rows = np.repeat(np.arange(n), np.diff(A.indptr))
        np.testing.assert_allclose(by_data, b[A.indices] - y[rows] * x[A.indices], atol=1e-12)
        np.testing.assert_allclose(by_b, y + A.T @ np.ones(n), atol=1e-12)
    else:
        _, slope = ad.jvp(loss, (A.data, b), (A.data, b))
        # The first term keeps its value when both are scaled, and the second one is of the second degree.
        assert np.isclose(slope, 2 * np.sum(A @ b))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # a dense matrix has 3.2 GB


def test_a_matrix_that_is_sorted_in_place_later_does_not_change_a_gradient() -> None:
    A = scipy.sparse.csr_array((np.array([2.0, 1.0, 3.0]), np.array([1, 0, 1]), np.array([0, 2, 3])), shape=(2, 2))
    expected = A.T @ np.array([1.0, 10.0])

    def f(x: Any) -> Any:
        y = A @ x
        A.indices[:2] = A.indices[:2][::-1].copy()
        return y @ np.array([1.0, 10.0])

    np.testing.assert_array_equal(reversead.grad(f)(np.ones(2)), expected)


def test_factors_are_those_of_the_matrix_when_it_was_given() -> None:
    A = scipy.sparse.csc_array(REGULAR)
    factors = solving.splu(A)
    A.data[:] = 1.0
    np.testing.assert_allclose(factors.solve(RIGHT), np.linalg.solve(REGULAR, RIGHT))


def test_the_pattern_of_a_sparse_product_is_the_matrix() -> None:
    A = _laplacian(6)
    assert np.array_equal(jacobian_pattern(lambda x: np.sin(A @ x), np.ones(6)).to_dense(), A.toarray() != 0)
    report: list[Any] = []
    J = reversead.sparse_jacobian(lambda x: (A @ x) ** 2, report=report.append)(np.ones(6))
    np.testing.assert_allclose(J.toarray(), 2 * (A @ np.ones(6))[:, None] * A.toarray())
    assert "3" in str(report[0])


def test_a_compiled_program_reads_the_nonzeros_anew() -> None:
    A = scipy.sparse.csr_array(REGULAR)
    compiled = compile(lambda data, x: np.sum(sparse.with_data(A, data) @ x))
    for scale in (1.0, 2.0, 3.0):
        assert np.isclose(compiled(scale * A.data, np.ones(4)), scale * REGULAR.sum())


def test_a_product_is_counted_by_its_nonzeros() -> None:
    A = _laplacian(50)
    assert count_operations(lambda x: A @ x, np.ones(50)) == 2 * A.nnz
    assert count_operations(reversead.grad(lambda x: np.sum(A @ x)), np.ones(50)) <= 6 * A.nnz


@pytest.mark.parametrize("name", ["csr_matrix", "csc_matrix", "coo_matrix", "lil_array", "dok_array", "bsr_array"])
def test_products_with_every_format(ad: Any, name: str) -> None:
    A = getattr(scipy.sparse, name)(REGULAR)
    value, tangent = ad.jvp(lambda x: (A @ x, x.T @ A), (RIGHT,), (RIGHT,))
    for found in (value, tangent):
        np.testing.assert_allclose(found[0], REGULAR @ RIGHT)
        np.testing.assert_allclose(found[1], RIGHT.T @ REGULAR)


def test_examples_with_nonzeros_of_their_own_are_blocks_of_one_matrix() -> None:
    A = scipy.sparse.csr_array(REGULAR)
    data = np.stack([A.data, 2 * A.data])
    found = vmap(lambda d: solving.spsolve(sparse.with_data(A, d), RIGHT[:, 0]))(data)
    solution = np.linalg.solve(REGULAR, RIGHT[:, 0])
    np.testing.assert_allclose(found, [solution, solution / 2])
    jacobian = dualad.jacobian(lambda d: sparse.with_data(A, d) @ np.ones(4))(A.data)
    np.testing.assert_array_equal(jacobian, np.repeat(np.eye(4), 4, axis=1))


# --- the page ---------------------------------------------------------------------------------------------------------


def test_the_examples_of_the_page_are_right() -> None:
    page = Path(shared.__file__).parents[1] / "docs" / "scipy.md"
    _, _, section = page.read_text(encoding="utf-8").partition("\n## Linear algebra and sparse matrices\n")
    test = doctest.DocTestParser().get_doctest(section.partition("\n## ")[0], {}, page.name, str(page), 0)
    assert len(test.examples) > 20
    assert not doctest.DocTestRunner(verbose=False).run(test).failed


# --- SciPy is an extra ------------------------------------------------------------------------------------------------


def test_nothing_loads_scipy_but_what_needs_it() -> None:
    code = (
        "import sys, numpy as np, dualad, reversead, shared\n"
        "reversead.grad(lambda x: np.sum(x @ np.eye(2)))(np.ones(2))\n"
        "assert not any(name.partition('.')[0] == 'scipy' for name in sys.modules)\n"
        "sys.modules['scipy'] = None\n"
        "for name in ('linalg', 'sparse', 'sparse.linalg', 'fft', 'signal'):\n"
        "    try: __import__('shared.scipy.' + name)\n"
        "    except ImportError as error: print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert all(line.endswith("needs SciPy: pip install 'forward-reverse-ad[scipy]'") for line in lines), lines


def test_the_modules_are_found_from_the_package() -> None:
    assert shared.scipy.linalg is linalg and sparse_products.Pattern is sparse.Pattern
    assert set(ENGINES) == {"dualad", "reversead"}
