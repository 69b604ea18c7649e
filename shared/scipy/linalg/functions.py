"""Functions of matrices, and the Sylvester equation, which the derivatives of some are solutions of.

A Fréchet derivative of a function is itself a block of the function of a larger matrix, f([[a, e], [0, a]]), at every
order (Mathias 1996, "A chain rule for matrix functions and applications"; Higham 2008, "Functions of Matrices",
section 3.2).  On plain arrays each function is SciPy's own.  Matrices are the last two axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shared.core.edges import Like, fit
from shared.core.errors import user_line
from shared.core.facets import Count, each_matrix, size_of
from shared.core.primitive import Primitive
from shared.core.registry import internal_constant, rule
from shared.rules.matrices import (
    ONE_OF_SEVERAL,
    adjoint_of,
    conjugate_of,
    iterations,
    matrix_rule,
    transposed,
)
from shared.scipy.linalg.stacks import each
from shared.scipy.linalg.systems import solve, square
from shared.scipy.offering import arrays, offered, required

linalg = required("scipy.linalg")

# --- the Sylvester equation a x + x b = q -----------------------------------------------------------------------------

# A rule has three arguments at most, so both matrices are one vector, and so are all four factors.


def _joined(*matrices: Any) -> Any:
    """Square matrices as one vector."""
    stack = np.broadcast_shapes(*[np.shape(x)[:-2] for x in matrices])
    flat = [np.reshape(x, (*np.shape(x)[:-2], -1)) for x in matrices]
    return np.concatenate([np.broadcast_to(x, (*stack, np.shape(x)[-1])) for x in flat], axis=-1)


def _parted(vector: Any, *sizes: int) -> list[Any]:
    """The square matrices of these sizes that a vector holds."""
    found, start = [], 0
    for n in sizes:
        found.append(np.reshape(vector[..., start : start + n * n], (*np.shape(vector)[:-1], n, n)))
        start += n * n
    return found


def _schur(x: Any) -> Any:
    def of_one(a: Any) -> Any:
        return np.concatenate(linalg.schur(a, output="real" if a.dtype.kind == "f" else "complex", check_finite=False))

    return each(of_one, (2,), x)


#: The triangular factor, and below it the unitary one.
SCHUR = internal_constant(_schur, count=iterations(25), batch=each_matrix(2))


def _sylvester(x: Any, y: Any, z: Any, *, trans: bool) -> Any:
    def of_one(factors: Any, q: Any) -> Any:
        m, n = q.shape
        if not q.size:
            return np.zeros(q.shape, np.result_type(factors, q))
        first, u, second, v = _parted(factors, m, m, n, n)
        is_complex = factors.dtype.kind == "c"
        # Of complex factors LAPACK takes the adjoint, so the transposed equation is conjugated.
        q = np.conjugate(q) if trans and is_complex else q
        if q.dtype.kind == "c" and not is_complex:
            return of_one(factors, q.real) + 1j * of_one(factors, q.imag)
        (substitute,) = linalg.get_lapack_funcs(("trsyl",), (first, second))
        letter = ("C" if is_complex else "T") if trans else "N"
        found, scale, info = substitute(first, second, np.conjugate(u.T) @ q @ v, trana=letter, tranb=letter)
        if info:
            raise linalg.LinAlgError(f"a and -b have an eigenvalue in common{user_line()}: the equation is singular")
        found = u @ (scale * found) @ np.conjugate(v.T)
        return np.conjugate(found) if trans and is_complex else found

    return each(of_one, (1, 2), x, z)


def _sylvester_jvp(t: Any, out: Any, x: Any, y: Any, *, trans: bool) -> Any:
    a, b = _parted(t, *np.shape(out)[-2:])
    moved = transposed(a) @ out + out @ transposed(b) if trans else a @ out + out @ b
    return -SYLVESTER(x, y, moved, trans=trans)


def _sylvester_vjp(c: Any, out: Any, x: Any, y: Any, *, trans: bool) -> Any:
    solved = SYLVESTER(x, y, c, trans=not trans)
    of_a, of_b = solved @ transposed(out), transposed(out) @ solved
    found = _joined(transposed(of_a), transposed(of_b)) if trans else _joined(of_a, of_b)
    return fit(-found, Like(y))


def _substituting(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    m, n = out.shape[-2:]
    number: int = size_of(out) // max(m * n, 1)
    # Four products with the unitary factors, and the substitution (Golub & Van Loan 2013, section 7.6.3)
    products = 5 * (m * m * n + m * n * n) // 2
    return number * Count(products, products, m * n)


#: The solution of a x + x b = z (of aᵀ x + x bᵀ = z if `trans`), by both Schur factors x and both matrices y.
SYLVESTER: Primitive = rule(
    _sylvester,
    vjps=(None, _sylvester_vjp, lambda c, x, y, z, *, trans: fit(SYLVESTER(x, y, c, trans=not trans), Like(z))),
    jvps=(None, _sylvester_jvp, lambda t, x, y, *, trans: SYLVESTER(x, y, t, trans=trans)),
    because="linear in the right-hand side only",
    count=_substituting,
    batch=each_matrix(1, 1, 2),
    linear=(2,),
)


def sylvester(a: Any, b: Any, q: Any, trans: bool = False) -> Any:
    """The solution of a x + x b = q."""
    m, n = np.shape(a)[-1], np.shape(b)[-1]
    first, second = SCHUR(a), SCHUR(b)
    parts = (first[..., :m, :], first[..., m:, :], second[..., :n, :], second[..., n:, :])
    return SYLVESTER(_joined(*parts), _joined(a, b), q, trans=trans)


def _sylvester_by_scipy(a: Any, b: Any, q: Any) -> Any:
    # SciPy 1.17 takes the real Schur form of one of them for a triangular one where another is complex.
    a, b, q = (np.asarray(value) for value in (a, b, q))
    if any(value.dtype.kind == "c" for value in (a, b, q)):
        a, b, q = (value.astype(np.result_type(value.dtype, np.complex64)) for value in (a, b, q))
    return linalg.solve_sylvester(a, b, q)


@offered(_sylvester_by_scipy)
def solve_sylvester(a: Any, b: Any, q: Any) -> Any:
    """As `scipy.linalg.solve_sylvester`: the solution x of a x + x b = q.

    `a` is (m, m), `b` is (n, n), `q` is (m, n).  Raises LinAlgError if a and -b have an eigenvalue in common.  Cost:
    two Schur decompositions, about 25 n³ each, and for each derivative one substitution with the same factors.
    (Kao & Hennequin 2020, "Automatic differentiation of Sylvester, Lyapunov, and algebraic Riccati equations",
    section 2)

    >>> import numpy as np, reversead
    >>> a, b = np.array([[2.0, 1.0], [0.0, 3.0]]), np.array([[1.0]])
    >>> reversead.grad(lambda q: np.sum(solve_sylvester(a, b, q)))(np.ones((2, 1))).round(4)
    array([[0.3333],
           [0.1667]])
    """
    a, b, q = arrays(a, b, q)
    square("solve_sylvester", a)
    square("solve_sylvester", b)
    if np.shape(q)[-2:] != (np.shape(a)[-1], np.shape(b)[-1]):
        raise ValueError(f"solve_sylvester: q has the shape {np.shape(q)}, which does not fit a and b{user_line()}")
    return sylvester(a, b, q)


@offered(linalg.solve_continuous_lyapunov)
def solve_continuous_lyapunov(a: Any, q: Any) -> Any:
    """As `scipy.linalg.solve_continuous_lyapunov`: the solution x of a x + x aᴴ = q.

    Raises LinAlgError if that is singular.  Cost: that of `solve_sylvester`.  (Kao & Hennequin 2020, section 2)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda q: np.sum(solve_continuous_lyapunov(np.diag([1.0, 2.0]), q)))(np.eye(2)).round(4)
    array([[0.5   , 0.3333],
           [0.3333, 0.25  ]])
    """
    a, q = arrays(a, q)
    return solve_sylvester(a, adjoint_of(a), q)


@offered(linalg.solve_discrete_lyapunov)
def solve_discrete_lyapunov(a: Any, q: Any, method: str | None = None) -> Any:
    """As `scipy.linalg.solve_discrete_lyapunov`: the solution x of a x aᴴ - x + q = 0.

    `method` is "direct", which solves for all elements at once, O(n⁶), or "bilinear"; by default the first for n < 10.
    (Kao & Hennequin 2020, section 2; Gajic & Qureshi 2008, "Lyapunov matrix equation in system stability and control")

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda q: np.sum(solve_discrete_lyapunov(0.5 * np.eye(2), q)))(np.eye(2)).round(4)
    array([[1.3333, 1.3333],
           [1.3333, 1.3333]])
    """
    a, q, _ = arrays(a, q, np.zeros(()))  # SciPy computes it in double precision
    square("solve_discrete_lyapunov", a)
    n = np.shape(a)[-1]
    method = ("direct" if n < 10 else "bilinear") if method is None else method.lower()
    eye = np.eye(n, dtype=a.dtype)
    if method == "direct":
        system = np.eye(n * n, dtype=a.dtype) - np.kron(a, conjugate_of(a))
        return np.reshape(solve(system, np.ravel(q)), np.shape(q))
    if method != "bilinear":
        raise ValueError(f"Unknown solver {method}")
    adjoint = adjoint_of(a)
    b = transposed(np.linalg.solve(transposed(adjoint + eye), transposed(adjoint - eye)))
    left = 2.0 * np.linalg.solve(a + eye, q)
    c = transposed(np.linalg.solve(transposed(adjoint + eye), transposed(left)))
    return solve_sylvester(adjoint_of(b), b, -c)


# --- square roots and polar factors -----------------------------------------------------------------------------------


def _sqrtm(x: Any) -> Any:
    return each(linalg.sqrtm, (2,), x)


SQUARE_ROOT = matrix_rule(
    _sqrtm,
    lambda c, out, x: fit(sylvester(out, out, c, trans=True), Like(x)),
    lambda t, out: sylvester(out, out, t),
    iterations(28),
    "its derivative solves a Sylvester equation with the output",
)


@offered(linalg.sqrtm)
def sqrtm(A: Any, disp: Any = None, blocksize: Any = None) -> Any:
    """As `scipy.linalg.sqrtm`: the principal square root of each square matrix.

    It is complex where an eigenvalue is negative.  A singular matrix has no derivative: LinAlgError.  Cost: one Schur
    decomposition, and for each derivative one of the output.  (Higham 2008, "Functions of Matrices", section 6.1)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda a: np.sum(sqrtm(a)))(np.diag([4.0, 9.0])).round(4)
    array([[0.25  , 0.2   ],
           [0.2   , 0.1667]])
    """
    (A,) = arrays(A)
    square("sqrtm", A)
    return SQUARE_ROOT(A)


def _polar_p(x: Any) -> Any:
    return each(lambda a: linalg.polar(a)[1], (2,), x)


def _polar_vjp(c: Any, out: Any, x: Any) -> Any:
    solved = sylvester(out, out, 0.5 * (c + adjoint_of(c)))
    return 2 * x @ solved


#: The positive factor of x = u p, of which p² = xᴴ x.
POLAR_FACTOR: Primitive = matrix_rule(
    _polar_p,
    lambda c, out, x: fit(conjugate_of(_polar_vjp(conjugate_of(c), out, x)), Like(x)),
    lambda t, out, x: sylvester(out, out, adjoint_of(t) @ x + adjoint_of(x) @ t),
    iterations(22),
    ONE_OF_SEVERAL,
)


# --- the exponential and the logarithm --------------------------------------------------------------------------------


def _blocks(a: Any, e: Any) -> Any:
    """[[a, e], [0, a]]"""
    return np.concatenate([np.concatenate([a, e], axis=-1), np.concatenate([np.zeros_like(e), a], axis=-1)], axis=-2)


def _diagonal_blocks(e: Any) -> Any:
    return np.concatenate(
        [np.concatenate([e, np.zeros_like(e)], axis=-1), np.concatenate([np.zeros_like(e), e], axis=-1)], axis=-2
    )


def _corner(e: Any) -> Any:
    zero = np.zeros_like(e)
    return np.concatenate([np.concatenate([zero, e], axis=-1), np.concatenate([zero, zero], axis=-1)], axis=-2)


def _of_one_type(*values: Any) -> list[Any]:
    dtype = np.result_type(*[value.dtype for value in values])
    alike = [value if value.dtype == dtype else value.astype(dtype) for value in values]
    shape = np.broadcast_shapes(*[np.shape(value) for value in values])
    return [value if np.shape(value) == shape else np.broadcast_to(value, shape) for value in alike]


def _with_frechet(
    evaluate: Callable[..., Any], derivative: Callable[..., Any], cubes: float
) -> tuple[Primitive, Primitive]:
    """A function of matrices and its Fréchet derivative at x along y, declared together."""

    def first_jvp(t: Any, x: Any, y: Any) -> Any:
        n = np.shape(x)[-1]
        x, y, t = _of_one_type(x, y, t)
        return frechet(_blocks(x, y), _diagonal_blocks(t))[..., :n, n:]

    def first_vjp(c: Any, x: Any, y: Any) -> Any:
        n, like = np.shape(x)[-1], Like(x)
        x, y, c = _of_one_type(x, y, c)
        pulled_back = frechet(transposed(_blocks(x, y)), _corner(c))
        return fit(pulled_back[..., :n, :n] + pulled_back[..., n:, n:], like)

    frechet = rule(
        derivative,
        vjps=(first_vjp, lambda c, x, y: fit(frechet(transposed(x), c), Like(y))),
        jvps=(first_jvp, lambda t, x: frechet(x, t)),
        because="linear in the second argument only",
        count=iterations(3 * cubes),
        batch=each_matrix(2, 2),
        linear=(1,),
    )
    function = matrix_rule(
        evaluate,
        lambda c, x: fit(frechet(transposed(x), c), Like(x)),
        lambda t, x: frechet(x, t),
        iterations(cubes),
        "its derivative is another function of the matrix",
    )
    return function, frechet


def _expm(x: Any) -> Any:
    return linalg.expm(x)


def _expm_frechet(x: Any, y: Any) -> Any:
    def of_one(a: Any, e: Any) -> Any:
        found = linalg.expm_frechet(a, e, compute_expm=False, check_finite=False)
        return found.astype(np.result_type(a, e), copy=False)

    return each(of_one, (2, 2), x, y)


def _logm_by_scipy(*args: Any, **kwargs: Any) -> Any:
    # SciPy draws random numbers to estimate a norm, which would make every function that calls it one that draws them.
    state = np.random.get_state()
    try:
        return linalg.logm(*args, **kwargs)
    finally:
        np.random.set_state(state)


def _logm(x: Any) -> Any:
    return each(_logm_by_scipy, (2,), x)


def _logm_frechet(x: Any, y: Any) -> Any:
    def of_one(a: Any, e: Any) -> Any:
        n, dtype = len(a), np.result_type(a, e)
        a, e = (value.astype(np.result_type(dtype, np.float64)) for value in (a, e))
        # It is linear in e, which is given the size of a, so that none of the blocks drowns the others.
        size = np.linalg.norm(e) / (np.linalg.norm(a) or 1.0)
        if size == 0:
            return np.zeros(a.shape, dtype)
        found = size * _logm_by_scipy(_blocks(a, e / size))[:n, n:]
        return found.astype(np.result_type(dtype, np.complex64) if found.dtype.kind == "c" else dtype)

    return each(of_one, (2, 2), x, y)


EXPONENTIAL, EXPONENTIAL_ALONG = _with_frechet(_expm, _expm_frechet, 20)
LOGARITHM, LOGARITHM_ALONG = _with_frechet(_logm, _logm_frechet, 60)


@offered(linalg.expm)
def expm(A: Any) -> Any:
    """As `scipy.linalg.expm`: the exponential of each square matrix, defective ones too.

    Cost: a first derivative is that of `expm_frechet`, about three exponentials; each order more doubles the size of
    the matrix.  (Al-Mohy & Higham 2009, "Computing the Fréchet derivative of the matrix exponential, with an
    application to condition number estimation"; Higham & Relton 2014, "Higher order Fréchet derivatives of matrix
    functions")

    >>> import numpy as np, dualad
    >>> dualad.jvp(expm, (np.zeros((2, 2)),), (np.array([[0.0, 1.0], [0.0, 0.0]]),))[1]
    array([[0., 1.],
           [0., 0.]])
    """
    (A,) = arrays(A)
    square("expm", A)
    return EXPONENTIAL(A)


@offered(linalg.expm_frechet)
def expm_frechet(
    A: Any, E: Any, method: str | None = None, compute_expm: bool = True, check_finite: bool = True
) -> Any:
    """As `scipy.linalg.expm_frechet`: the exponential at A, and its derivative along E, with derivatives in both.

    Cost: about three exponentials, each derivative as much of a matrix of twice the size.  (Al-Mohy & Higham 2009)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda e: expm_frechet(np.zeros((2, 2)), e)[1][0, 1])(np.ones((2, 2)))
    array([[0., 1.],
           [0., 0.]])
    """
    if method not in (None, "SPS", "blockEnlarge"):
        raise ValueError(f"Unknown implementation {method}")
    A, E, _ = arrays(A, E, np.zeros(()))  # SciPy computes it in double precision
    square("expm_frechet", A)
    if np.shape(A) != np.shape(E):
        raise ValueError("expected A and E to be the same shape")
    along = EXPONENTIAL_ALONG(A, E)
    return (EXPONENTIAL(A), along) if compute_expm else along


@offered(_logm_by_scipy)
def logm(A: Any, disp: Any = None) -> Any:
    """As `scipy.linalg.logm`: the principal logarithm of each square matrix without eigenvalues that are negative.

    It is complex where an eigenvalue is negative; there, and at a singular matrix, it has no derivative.  Cost: a
    derivative is one logarithm of a matrix of twice the size, for each order once more.  (Higham 2008, "Functions of
    Matrices", section 3.2 and chapter 11)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda a: np.trace(logm(a)))(np.diag([2.0, 4.0])).round(4)
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    (A,) = arrays(A)
    square("logm", A)
    return LOGARITHM(A)


__all__ = [
    "expm", "expm_frechet", "logm", "solve_continuous_lyapunov", "solve_discrete_lyapunov", "solve_sylvester", "sqrtm",
]  # fmt: skip
