"""Samples of linear algebra: inverses, solutions, determinants, powers, and a norm of every order."""

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
    *over(["np.linalg.svd(x, compute_uv=False)"], [(2, 3), (3, 2)]),
    *over(["np.linalg.svd(x).S", "np.linalg.svd(x).U @ np.linalg.svd(x).Vh"], [(2, 2), (3, 3)]),
]  # fmt: skip

# NumPy reads one triangle, so that the other may be anything.
CHOLESKY = [
    *over([f"np.linalg.cholesky({call})" for call in ("x", "x, upper=True", "x @ np.swapaxes(x, -1, -2)")],
        [(2, 2), (3, 3), (2, 2, 2), (1, 1)], "matrix"),
]  # fmt: skip

LINEAR_ALGEBRA = SQUARE + SOLVE + NORMS + SINGULAR + CHOLESKY
