"""Samples of linear algebra: inverses, solutions, determinants, decompositions, powers, and a norm of every order."""

from registry_samples.sample import Sample, over

SQUARE = [
    *over(["np.linalg.inv(x)", "np.linalg.det(x)", "np.linalg.slogdet(x)[1]", "np.linalg.slogdet(x)"],
          [(2, 2), (3, 3), (2, 2, 2), (1, 1)], "matrix"),
    *over(["np.linalg.slogdet(x).logabsdet * 2.0", "np.linalg.slogdet(-x).sign * np.linalg.det(x)"], [(3, 3)],
        "matrix"),
    *over([f"np.linalg.matrix_power(x, {n})" for n in (0, 1, 2, 3, 5, -1, -2)], [(2, 2)], "matrix"),
    *over(["np.linalg.matrix_power(x, 3)"], [(2, 2, 2)], "matrix"),
    *over(["np.linalg.inv(np.linalg.inv(x)) @ x", "np.linalg.det(x.T @ x)"], [(2, 2)], "matrix"),
]  # fmt: skip

SOLVE_SHAPES = [
    ((3, 3), (3,)),
    ((2, 2), (2, 3)),
    ((2, 2, 2), (2,)),
    ((2, 2, 2), (2, 2, 1)),
    ((2, 2), (2, 2, 1)),
    ((2, 2, 2), (2, 1)),
    ((1, 2, 2), (2, 2, 1)),
]

SOLVE = [
    *(Sample("np.linalg.solve(x, y)", x=x, y=y, domain={"x": "matrix"}) for x, y in SOLVE_SHAPES),
    Sample("np.linalg.solve(np.array([[2.0, 1.0], [0.5, 3.0]]), x)", x=(2,)),
    Sample("np.linalg.solve(x, np.arange(2.0))", x=(2, 2), domain="matrix"),
    Sample("np.linalg.multi_dot([x, y])", x=(2, 3), y=(3, 2)),
    Sample("np.linalg.multi_dot([x, y, z])", x=(2, 3), y=(3, 2), z=(2, 2)),
    Sample("np.linalg.multi_dot([x, y, z])", x=(3,), y=(3, 2), z=(2,)),
    Sample("np.linalg.multi_dot((x, np.ones((3, 2)), y))", x=(2, 3), y=(2, 2)),
]  # fmt: skip

VECTOR_ORDERS = ["", "None", "2", "1", "np.inf", "-np.inf", "0", "3", "-1", "2.5", "0.5", "-2"]
MATRIX_ORDERS = ["", "None", "'fro'", "1", "-1", "np.inf", "-np.inf", "2", "-2", "'nuc'"]


def _norm(order: str, rest: str, **kinds: tuple[int, ...]) -> Sample:
    return Sample(f"np.linalg.norm(x{f', {order}' if order else ''}{rest})", **kinds)


NORMS = [
    *(_norm(order, rest, x=(4,)) for order in VECTOR_ORDERS for rest in ("", ", keepdims=True")),
    *(_norm(order, rest, x=(2, 3)) for order in VECTOR_ORDERS if order for rest in (", axis=0",
        ", axis=-1, keepdims=True", ", (1,)")),
    *(_norm(order, rest, x=(2, 3)) for order in MATRIX_ORDERS for rest in ("", ", keepdims=True")),
    *(_norm(order, rest, x=(3, 2)) for order in MATRIX_ORDERS if order for rest in ("", ", axis=(1, 0)")),
    *(_norm(order, rest, x=(2, 2, 3)) for order in MATRIX_ORDERS if order for rest in (", axis=(0, 2)",
        ", axis=(-1, 1), keepdims=True")),
    Sample("np.linalg.norm(x)", x=(2, 2, 2)),
    Sample("np.linalg.norm(x)", x=()),
    Sample("np.linalg.norm(x, keepdims=True)", x=(2, 1, 2)),
    Sample("np.linalg.norm(x, ord=3, axis=1)", x=(2, 3)),
]  # fmt: skip

# Singular vectors have an arbitrary sign, which LAPACK keeps over a short step; a singular value needs none.
SINGULAR = [
    *over([f"np.linalg.svd(x, full_matrices=False)[{k}]" for k in (0, 1, 2)], [(2, 3), (3, 2), (2, 2), (2, 3, 2)]),
    *over(["np.linalg.svd(x, compute_uv=False)", "np.linalg.svdvals(x)"], [(2, 3), (3, 2), (2, 2, 3)]),
    *over(["np.linalg.svd(x).S", "np.linalg.svd(x).U @ np.linalg.svd(x).Vh"], [(2, 2), (3, 3)]),
    *over(["np.linalg.svd(x, hermitian=True)", "np.linalg.svd(x, compute_uv=False, hermitian=True)"], [(3, 3)]),
    Sample("singular_values.SINGULAR_TOGETHER(x, y)", x=(2, 3), y=(2,)),
    Sample("singular_values.SINGULAR_TOGETHER(x, y)", x=(3, 2), y=(2,)),
    Sample("singular_values.SINGULAR_TOGETHER(x, y)", x=(3, 3), y=(3,)),
    *over([f"np.linalg.cond(x{p})" for p in ("", ", 2", ", -2", ", 1", ", 'fro'", ", np.inf")], [(2, 2), (2, 3, 3)]),
    *over(["np.linalg.cond(x)"], [(2, 3)]),
]  # fmt: skip

EIGENVALUES = [
    Sample("matrices.KNOWN(x, np.zeros(3, bool))", x=(3,)),
    *over(["np.linalg.eigvalsh(x)", "np.linalg.eigh(x)[1]", "np.linalg.eigh(x)", "np.linalg.eigh(x, UPLO='U')",
        "np.linalg.eigvalsh(x, 'U')"], [(2, 2), (3, 3), (2, 2, 2), (1, 1)]),
    Sample("eigenvalues.EIGENVECTORS_TOGETHER((x + np.swapaxes(x, -1, -2)), y, uplo='L')", x=(3, 3), y=(3,)),
    Sample("eigenvalues.EIGENVECTORS_TOGETHER((x + np.swapaxes(x, -1, -2)), y, uplo='U')", x=(2, 2, 2), y=(2,)),
    *over(["np.real(np.roots(x))", "np.abs(np.roots(x))", "np.real(np.roots([x[0], 0.5, x[1]]))",
        "np.real(np.roots(np.concatenate([np.zeros(1), x, np.zeros(1)])))"], [(4,)]),
    *over(["np.real(np.roots(x))", "np.roots(x)[0]"], [(2,)]),
    *over(["np.poly(x)"], [(2, 2), (3, 3), (1, 1)]), Sample("np.poly(x * np.eye(3, k=1) + np.eye(3))", x=(3, 3)),
    *over(["np.linalg.eigvals(x @ np.swapaxes(x, -1, -2))", "np.linalg.eig(x @ np.swapaxes(x, -1, -2))"],
        [(2, 2), (3, 3), (2, 2, 2)]),
    *over(["np.imag(np.linalg.eigvals(x - np.swapaxes(x, -1, -2) + np.eye(3)))",
        "np.imag(np.linalg.eig(np.tril(x) - 3 * np.triu(x, 1))[1])", "np.real(np.linalg.eig(x)[1])",
        "np.abs(np.linalg.eigvals(x))"], [(3, 3)]),
]  # fmt: skip

QR = [
    *over(["np.linalg.qr(x)", "np.linalg.qr(x)[0]", "np.linalg.qr(x).R", "np.linalg.qr(x, mode='r')",
        "np.linalg.qr(x, 'complete')", "np.linalg.qr(x, 'raw')"], [(2, 2), (3, 2), (2, 3), (2, 3, 2), (1, 1), (4, 1)]),
]  # fmt: skip

PSEUDOINVERSES = [
    *over(["np.linalg.pinv(x)"], [(2, 2), (3, 2), (2, 3), (2, 3, 2)]),
    *over(["np.linalg.pinv(x, hermitian=True)", "np.linalg.pinv(x, 1e-10)", "np.linalg.pinv(x, rtol=1e-10)"], [(3, 3)]),
    *(Sample("np.linalg.lstsq(x, y)[0]", x=x, y=y) for x, y in (((3, 2), (3,)), ((2, 3), (2, 2)), ((2, 2), (2,)),
        ((4, 2), (4, 3)))),
    *(Sample("np.linalg.lstsq(x, y)[1]", x=x, y=y) for x, y in (((3, 2), (3,)), ((4, 2), (4, 3)), ((2, 2), (2,)))),
    Sample("np.linalg.lstsq(x, np.arange(3.0), None)[3]", x=(3, 2)),
    *over(["np.linalg.tensorinv(x, 1)"], [(3, 3)]),
    *over(["np.linalg.tensorinv(np.reshape(x, (2, 3, 6)))"], [(6, 6)], "matrix"),
    Sample("np.linalg.tensorsolve(np.reshape(x, (2, 3, 6)), y)", x=(6, 6), y=(2, 3), domain={"x": "matrix"}),
    Sample("np.linalg.tensorsolve(np.reshape(x, (2, 6, 3)), y, axes=(1,))", x=(6, 6), y=(2, 3)),
]  # fmt: skip

DETERMINANTS = [
    *over(["determinants.COFACTORS(x, np.linalg.det(x))"], [(2, 2), (3, 3), (2, 2, 2), (1, 1), (4, 4)], "matrix"),
    Sample("determinants.SECOND_COFACTORS(x, y)", x=(3, 3), y=(3, 3), domain="matrix"),
    Sample("determinants.SECOND_COFACTORS(x, y)", x=(2, 3, 3), y=(3, 3), domain="matrix"),
    *over(["determinants.TRANSPOSED_INVERSE(x)"], [(2, 2), (2, 3, 3)], "matrix"),
]  # fmt: skip

ALIASES = [
    *over(["np.linalg.trace(x)", "np.linalg.trace(x, offset=1)", "np.linalg.diagonal(x)",
        "np.linalg.diagonal(x, offset=-1)", "np.linalg.matrix_transpose(x)"], [(2, 3), (2, 3, 2)]),
    *over(["np.linalg.matrix_norm(x)", "np.linalg.matrix_norm(x, ord=1, keepdims=True)",
        "np.linalg.matrix_norm(x, ord='nuc')", "np.linalg.matrix_norm(x, ord=-2)"], [(2, 3), (2, 3, 2)]),
    *over(["np.linalg.vector_norm(x)", "np.linalg.vector_norm(x, axis=-1, ord=3)",
        "np.linalg.vector_norm(x, axis=(0, 1), keepdims=True)", "np.linalg.vector_norm(x, keepdims=True, ord=1)",
        "np.linalg.vector_norm(x, axis=(1, 0), ord=np.inf)"], [(2, 3), (2, 3, 2)]),
    Sample("np.linalg.outer(x, y)", x=(2,), y=(3,)),
    Sample("np.linalg.cross(x, y)", x=(2, 3), y=(3,)),
    Sample("np.linalg.cross(x, y, axis=0)", x=(3, 2), y=(3, 2)),
    Sample("np.linalg.matmul(x, y)", x=(2, 3), y=(3, 2)),
    Sample("np.linalg.tensordot(x, y)", x=(2, 3), y=(2, 3)),
    Sample("np.linalg.tensordot(x, y, axes=1)", x=(2, 3), y=(3, 2)),
    Sample("np.linalg.vecdot(x, y)", x=(2, 3), y=(3,)),
    Sample("np.linalg.vecdot(x, y, axis=0)", x=(2, 3), y=(2, 3)),
]  # fmt: skip

# NumPy reads one triangle, so that the other may be anything.
CHOLESKY = [
    *over([f"np.linalg.cholesky({call})" for call in ("x", "x, upper=True", "x @ np.swapaxes(x, -1, -2)")],
        [(2, 2), (3, 3), (2, 2, 2), (1, 1)], "matrix"),
]  # fmt: skip

# Of complex vectors the phase is arbitrary: what does not depend on it is differentiated.
HERMITIAN = "(x + np.conjugate(np.swapaxes(x, -1, -2)))"
LINEAR_ALGEBRA_COMPLEX = [
    *over(["np.linalg.eigvalsh(x)", "np.linalg.eigvalsh(x, 'U')", "np.abs(np.linalg.eigh(x)[1])",
        "np.abs(np.linalg.eigh(x, 'U')[1])", "np.linalg.eigvals(x)", "np.linalg.eig(x)[1]", "np.linalg.slogdet(x)",
        "np.linalg.det(x)", "determinants.COFACTORS(x, np.linalg.det(x))"], [(2, 2), (3, 3), (2, 2, 2)], "complex"),
    Sample(f"eigenvalues.EIGENVECTORS_TOGETHER({HERMITIAN}, y, uplo='L')", x=(3, 3), y=(3,), domain={"x": "complex"}),
    Sample("np.poly(x)", x=(2, 2), domain="complex"), Sample("np.roots(x)", x=(3,), domain="complex"),
    *over(["np.linalg.svdvals(x)", "np.abs(np.linalg.svd(x, full_matrices=False)[0])",
        "np.abs(np.linalg.svd(x, full_matrices=False)[2])", "np.linalg.norm(x, 'nuc')", "np.linalg.norm(x, 2)",
        "np.linalg.svd(x, full_matrices=False)[0] @ np.linalg.svd(x, full_matrices=False)[2]", "np.linalg.cond(x)"],
        [(2, 3), (3, 2), (3, 3)], "complex"),
    *(Sample("singular_values.SINGULAR_TOGETHER(x, y)", x=x, y=(2,), domain={"x": "complex"}) for x in ((2, 3), (3, 2),
        (2, 2))),
    *over(["np.linalg.cholesky(x @ np.conjugate(x.T))", "np.linalg.cholesky(x @ np.conjugate(x.T), upper=True)",
        "np.linalg.qr(x)", "np.linalg.qr(x, 'r')"], [(2, 2), (3, 3)], "complex"),
    *over(["np.linalg.qr(x)", "np.linalg.qr(x, 'complete')", "np.linalg.qr(x, 'raw')", "np.linalg.pinv(x)"],
        [(2, 3), (3, 2), (2, 3, 2)], "complex"),
    *(Sample("np.linalg.lstsq(x, y)[0]", x=x, y=y, domain=domain) for x, y in (((3, 2), (3,)), ((2, 3), (2, 2)))
        for domain in ("complex", {"x": "complex"}, {"y": "complex"})),
    Sample("np.linalg.lstsq(x, y)[1]", x=(3, 2), y=(3,), domain="complex"),
    *over(["np.linalg.trace(x)", "np.linalg.matrix_norm(x)", "np.linalg.vector_norm(x, ord=3)"], [(2, 2)], "complex"),
]  # fmt: skip

LINEAR_ALGEBRA = [
    *SQUARE, *SOLVE, *NORMS, *SINGULAR, *CHOLESKY, *EIGENVALUES, *QR, *PSEUDOINVERSES, *DETERMINANTS, *ALIASES,
]  # fmt: skip
