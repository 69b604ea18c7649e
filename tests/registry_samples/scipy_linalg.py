"""Samples of the functions that stand for SciPy's linear algebra, with every option."""

from registry_samples.sample import Sample, over

# The right-hand side of most varies no further: it has one rule for all options.
_OF_SYSTEMS = [f"linalg.solve(x, B{rest})" for rest in (
    ", assume_a='gen', transposed=True", ", assume_a='banded'", ", assume_a='sym'", ", lower=True, assume_a='sym'",
    ", assume_a='her'", ", assume_a='diagonal'", ", assume_a='tridiagonal'", ", assume_a='upper triangular'",
    ", assume_a='lower triangular', transposed=True", ", assume_a='tridiagonal', transposed=True",
)] + [f"linalg.solve_triangular(x, B{rest})" for rest in (
    "", ", lower=True", ", trans=1", ", trans='T', lower=True, unit_diagonal=True", ", trans='C'",
    ", unit_diagonal=True",
)] + [
    "linalg.solve(x + 3 * np.eye(3), B, assume_a='pos')",
    "linalg.solve(x + 3 * np.eye(3), B, lower=True, assume_a='positive definite')",
    "linalg.cho_solve((x, False), B)", "linalg.cho_solve((x, True), B)",
    "linalg.cho_solve(linalg.cho_factor(x + 3 * np.eye(3), lower=True), B)",
    "linalg.cho_solve(linalg.cho_factor(x + 3 * np.eye(3)), B)",
    *[f"linalg.lu_solve(linalg.lu_factor(x[::-1]), B, trans={trans})" for trans in (0, 1, 2)],
]  # fmt: skip


def _system(expression: str, x: tuple[int, ...], y: tuple[int, ...]) -> Sample:
    return Sample(expression, x=x, y=y, domain={"x": "matrix"})


def _band(below: int, above: int) -> str:
    return f"linalg.solve_banded(({below}, {above}), x + 3 * (np.arange({below + above + 1})[:, None] == {above})"


SYSTEMS = [
    *(Sample(e.replace("B", "np.array([[1.0, 0.5], [-2.0, 3.0], [0.7, -1.0]], x.dtype)"), x=(3, 3), domain="matrix")
        for e in _OF_SYSTEMS),
    *(_system(f"linalg.{call}", (3, 3), (3,)) for call in ("solve(x, y, assume_a='diagonal')",
        "solve(x + 3 * np.eye(3), y, assume_a='pos')", "solve_triangular(x, y, trans=1)", "lstsq(x, y)[0]",
        "lu_solve(linalg.lu_factor(x), y)")),
    *(_system("linalg.solve(x, y)", x, y) for x, y in (((3, 3), (3, 2)), ((2, 3, 3), (3,)), ((2, 2, 2), (2, 2, 1)),
        ((3, 3), (2, 3, 1)), ((1, 1), (1,)))),
    Sample("linalg.solve_triangular(x, np.ones((2, 2, 1)), lower=True)", x=(2, 2, 2), domain="matrix"),
    Sample("linalg.lu_solve(linalg.lu_factor(x), np.ones((2, 2, 1)))", x=(2, 2, 2), domain="matrix"),
    Sample("linalg.lstsq(x, np.arange(3.0))[1]", x=(3, 2)),
    *(Sample(f"{_band(below, above)}, np.arange(8.0).reshape(4, 2))", x=(below + above + 1, 4))
        for below, above in ((1, 1), (2, 1), (0, 2), (1, 0), (5, 0))),
    Sample(f"{_band(1, 2)}, y)", x=(4, 4), y=(4,)),
    *(Sample(f"linalg.solveh_banded(x + 8 * (np.arange(3)[:, None] == {row}), np.arange({n}.0), lower={row == 0})",
        x=(3, n)) for row in (0, 2) for n in (4, 2)),
    Sample("linalg.solveh_banded(x + 8 * (np.arange(2)[:, None] == 1), y)", x=(2, 3), y=(3, 1)),
    Sample("linalg.solve_toeplitz(x + 3 * (np.arange(3) == 0), np.ones((3, 2)))", x=(3,)),
    Sample("linalg.solve_toeplitz((x + 3 * (np.arange(3) == 0), y), np.ones(3))", x=(3,), y=(3,)),
    Sample("linalg.solve_circulant(x + 3 * (np.arange(3) == 0), y)", x=(3,), y=(3, 2)),
]  # fmt: skip

MATRICES = [
    *over([f"linalg.{call}" for call in ("inv(x)", "det(x)", "cholesky(x)", "expm(0.3 * x)", "sqrtm(x)")],
        [(3, 3), (2, 2, 2)], "matrix"),
    *over(["linalg.inv(x, assume_a='pos', lower=True)", "linalg.inv(x, assume_a='upper triangular')",
        "linalg.cholesky(x, lower=True)", "linalg.cho_factor(x)[0]", "linalg.polar(x)",
        "linalg.polar(x, side='left')", "linalg.expm(2 * x)"], [(3, 3)], "matrix"),
    # In single precision, SciPy's logarithm always warns.
    *over(["linalg.logm(x * np.float64(1))"], [(2, 2)], "matrix"),
    *over(["linalg.lu(x)[1:]", "linalg.lu_factor(x)[0]"], [(3, 3), (2, 3), (3, 2)]),
    *over(["linalg.lu(x, permute_l=True)", "linalg.lu(x, p_indices=True)[2]"], [(3, 2)]),
    *over(["linalg.qr(x)", "linalg.qr(x, mode='r')[0]", "linalg.qr(x, mode='economic')"], [(2, 3), (3, 2)]),
    *over(["linalg.qr(x, mode='raw')", "linalg.qr(x, mode='economic', pivoting=True)[:2]"], [(3, 2)]),
    *over(["linalg.svd(x, full_matrices=False)", "linalg.svd(x, compute_uv=False)", "linalg.svdvals(x)",
        "linalg.pinv(x)", "linalg.pinv(x, rtol=1e-9)"], [(3, 2)]),
    *over(["linalg.svd(x, lapack_driver='gesvd')"], [(3, 3)]),
    *over(["linalg.eigh(x, lower=True)", "linalg.eigh(x, lower=False)", "linalg.eigvalsh(x)",
        "linalg.eigh(x, eigvals_only=True)", "linalg.eigh(x, subset_by_index=[1, 2])", "linalg.eigh(x, driver='ev')"],
        [(3, 3)]),
    *(Sample(f"linalg.eigh(x, y + 3 * np.eye(2){rest})", x=(2, 2), y=(2, 2), domain={"y": "matrix"}) for rest in
        ("", ", type=2", ", type=3, lower=False", ", eigvals_only=True")),
    *over([f"linalg.norm(x{order})" for order in ("", ", 'fro'", ", 2", ", 'nuc'", ", 1, axis=0")], [(2, 3)]),
    *over(["linalg.functions.LOGARITHM_ALONG(x + 3 * np.eye(2), np.ones((2, 2)))",
        "linalg.functions.LOGARITHM_ALONG(2 * np.eye(2) + np.ones((2, 2)), x)"], [(2, 2)]),
    *over(["linalg.norm(x, np.inf) * x"], [(2, 3)]),
    Sample("linalg.solve_sylvester(x, y, z)", x=(3, 3), y=(2, 2), z=(3, 2), domain={"x": "matrix", "y": "matrix"}),
    *(Sample(call, x=(2, 2), y=(2, 2), domain={"x": "matrix"}) for call in
        ("linalg.solve_continuous_lyapunov(x, y)", "linalg.solve_discrete_lyapunov(0.1 * x, y)",
         "linalg.solve_discrete_lyapunov(0.1 * x, y, method='bilinear')", "linalg.expm_frechet(0.3 * x, y)",
         "linalg.expm_frechet(x, y, compute_expm=False)")),
]  # fmt: skip

MADE = [
    *over(["linalg.toeplitz(x)", "linalg.hankel(x)", "linalg.circulant(x)"], [(3,)]),
    Sample("linalg.toeplitz(x, y)", x=(3,), y=(2,)),
    Sample("linalg.hankel(x, y)", x=(3,), y=(2,)),
    Sample("linalg.block_diag(x, y, np.ones((1, 2)))", x=(2, 3), y=(2,)),
    Sample("linalg.khatri_rao(x, y)", x=(2, 3), y=(2, 3)),
]

_POSITIVE = "(x @ np.conjugate(x.T) + np.eye(3))"
SCIPY_LINALG_COMPLEX = [
    *(Sample(call, x=(3, 3), y=(3, 2), domain={"x": "complex", "y": kind}) for call in (
        "linalg.solve(x, y)", "linalg.solve(x, y, assume_a='sym')", "linalg.solve(x, y, assume_a='her', lower=True)",
        "linalg.solve_triangular(x, y, trans='C')", "linalg.solve_triangular(x, y, trans=1, lower=True)",
        f"linalg.cho_solve(linalg.cho_factor({_POSITIVE}), y)", "linalg.cho_solve((x, True), y)",
        "linalg.lu_solve(linalg.lu_factor(x), y, trans=1)", "linalg.lu_solve(linalg.lu_factor(x), y, trans=2)",
        f"linalg.solve({_POSITIVE}, y, assume_a='pos')", "linalg.solve_banded((1, 1), x, y)",
        "linalg.solveh_banded(x * 0.3 + 5 * (np.arange(3)[:, None] == 0), y, lower=True)",
        "linalg.solveh_banded(x * 0.3 + 5 * (np.arange(3)[:, None] == 2), y)",
    ) for kind in (("complex", "spread") if call == "linalg.solve(x, y)" else ("complex",))),
    Sample("linalg.solve(x, y)", x=(3, 3), y=(3,), domain={"x": "matrix", "y": "complex"}),
    *over([f"linalg.{call}" for call in ("expm(0.3 * x)", "sqrtm(x @ x + 5 * np.eye(3))", "logm(x @ x + 5 * np.eye(3))",
        "inv(x)", "lu(x)[1:]", "det(x)", "norm(x)", f"cholesky({_POSITIVE})", "polar(x)", "qr(x)", "svdvals(x)",
        "eigvalsh(x)", "toeplitz(x[0])", "pinv(x)")], [(3, 3)], "complex"),
    *over(["np.abs(linalg.eigh(x)[1])", "np.abs(linalg.svd(x)[0])"], [(3, 3)], "complex"),
    Sample(f"np.abs(linalg.eigh(y, {_POSITIVE})[1])", x=(3, 3), y=(3, 3), domain="complex"),
    Sample("linalg.solve_sylvester(x, y, z)", x=(3, 3), y=(2, 2), z=(3, 2), domain="complex"),
    Sample("linalg.solve_sylvester(x, y, z)", x=(3, 3), y=(2, 2), z=(3, 2), domain={"x": "complex"}),
    Sample("linalg.solve_continuous_lyapunov(x, y)", x=(3, 3), y=(3, 3), domain="complex"),
    Sample("linalg.solve_circulant(x, y)", x=(3,), y=(3,), domain="complex"),
    Sample("linalg.expm_frechet(x, y)[1]", x=(2, 2), y=(2, 2), domain={"x": "complex"}),
]  # fmt: skip

SCIPY_LINALG = [*SYSTEMS, *MATRICES, *MADE]
