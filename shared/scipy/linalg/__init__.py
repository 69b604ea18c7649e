"""SciPy's linear algebra: functions of the same names and signatures as `scipy.linalg`'s, with derivatives.

On plain arrays each calls SciPy.  On traced values it has its derivatives in both modes and at every order, with the
factors that were computed once.  What is not here is not differentiated; SciPy's other functions stay SciPy's.
"""

from shared.scipy.linalg.factors import (
    cholesky,
    det,
    eigh,
    eigvalsh,
    lstsq,
    lu,
    lu_factor,
    norm,
    pinv,
    polar,
    qr,
    svd,
    svdvals,
)
from shared.scipy.linalg.functions import (
    expm,
    expm_frechet,
    logm,
    solve_continuous_lyapunov,
    solve_discrete_lyapunov,
    solve_sylvester,
    sqrtm,
)
from shared.scipy.linalg.structured import block_diag, circulant, hankel, khatri_rao, toeplitz
from shared.scipy.linalg.systems import (
    cho_factor,
    cho_solve,
    inv,
    lu_solve,
    solve,
    solve_banded,
    solve_circulant,
    solve_toeplitz,
    solve_triangular,
    solveh_banded,
)

__all__ = [
    "block_diag",
    "cho_factor",
    "cho_solve",
    "cholesky",
    "circulant",
    "det",
    "eigh",
    "eigvalsh",
    "expm",
    "expm_frechet",
    "hankel",
    "inv",
    "khatri_rao",
    "logm",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_solve",
    "norm",
    "pinv",
    "polar",
    "qr",
    "solve",
    "solve_banded",
    "solve_circulant",
    "solve_continuous_lyapunov",
    "solve_discrete_lyapunov",
    "solve_sylvester",
    "solve_toeplitz",
    "solve_triangular",
    "solveh_banded",
    "sqrtm",
    "svd",
    "svdvals",
    "toeplitz",
]
