"""Which call in the user's line took a traced value for a plain one, and what to write instead of it.

One text would not fit `math.sin(x)`, a function of SciPy, a sparse matrix and random numbers alike.  What was called is
read off the user's line, at the place where Python is executing it; whose function that is, off the names there.  This
module is loaded when there is an error to tell, and knows nothing of derivatives.
"""

from __future__ import annotations

import ast
import itertools
import linecache
import os
import sys
from collections.abc import Callable, Sequence
from types import CodeType, FrameType, ModuleType
from typing import Any

import numpy as np

from shared.core.visible import one_line

#: The functions of `math` that NumPy calls otherwise.
_OF_MATH = {"pow": "power", "dist": "linalg.norm", "fsum": "sum", "isclose": "isclose", "gcd": "gcd"}

#: What to write instead of a call of those modules, the longest name first.
_REMEDIES = {
    "numpy.random": "Draw the noise with plain parameters, then shift and scale it: mean + deviation * "
    "rng.standard_normal(n).",
    "scipy.sparse": "Of a sparse matrix A and a traced x write the product A @ x, which has its derivative; for traced "
    "nonzeros there is shared.scipy.sparse.with_data; anything else needs A.toarray().",
    "scipy": "SciPy computes it in code that no derivative is known of: write it with NumPy's functions, or declare a "
    "function that calls it with shared.custom_derivative.",
    "pandas": "A pandas object keeps plain numbers alone: take its array first, frame.to_numpy(), and compute with "
    "that.",
}

#: The functions of SciPy that compute with arrays of every kind, traced values too, once that is switched on.
OF_EVERY_ARRAY = {
    "scipy.cluster.vq": "whiten",
    "scipy.constants": "convert_temperature lambda2nu nu2lambda",
    "scipy.fft": (
        "fft fft2 fftn fftshift fht hfft ifft ifft2 ifftn ifftshift ifht ihfft irfft irfft2 irfftn rfft rfft2 rfftn"
    ),
    "scipy.integrate": "cumulative_simpson cumulative_trapezoid romb trapezoid",
    "scipy.linalg": "block_diag fiedler orthogonal_procrustes",
    "scipy.optimize": "rosen rosen_der rosen_hess rosen_hess_prod",
    "scipy.signal": (
        "bilinear_zpk envelope fftconvolve freqz freqz_zpk gauss_spline gausspulse hilbert hilbert2 lp2bp "
        "lp2bs lp2hp lp2lp lp2lp_zpk normalize oaconvolve resample sos2tf vectorstrength zpk2tf"
    ),
    "scipy.spatial.transform.Rotation": "__mul__ apply as_matrix as_quat as_rotvec magnitude",
    "scipy.special": "log_softmax logsumexp softmax",
    "scipy.stats": (
        "boxcox_llf circmean circstd circvar describe differential_entropy directional_stats gmean gzscore "
        "hmean iqr kstat kstatvar kurtosis median_abs_deviation moment pmean quantile sem skew tmax tmin "
        "trim_mean zmap zscore"
    ),
}


#: The functions of SciPy that the room `scipy` has under the same names, with derivatives.
OFFERED = {
    "scipy.fft": (
        "dct dctn dst dstn fft fft2 fftn hfft idct idctn idst idstn ifft ifft2 ifftn ihfft irfft irfft2 irfftn rfft "
        "rfft2 rfftn"
    ),
    "scipy.linalg": (
        "block_diag cho_factor cho_solve cholesky circulant det eigh eigvalsh expm expm_frechet hankel inv khatri_rao "
        "logm lstsq lu lu_factor lu_solve norm pinv polar qr solve solve_banded solve_circulant "
        "solve_continuous_lyapunov solve_discrete_lyapunov solve_sylvester solve_toeplitz solve_triangular "
        "solveh_banded sqrtm svd svdvals toeplitz"
    ),
    "scipy.signal": "convolve correlate fftconvolve lfilter",
    "scipy.sparse.linalg": "factorized splu spsolve",
}


def what_was_called(is_users: Callable[[CodeType], bool]) -> tuple[str, str] | None:
    """The call in the user's line that is being executed, as it is written there, and what to write instead.

    None if it cannot be told, or if it is no other package's.  `is_users` tells the user's code.
    """
    frame: Any = sys._getframe(1)
    while frame is not None and not is_users(frame.f_code):
        frame = frame.f_back
    return None if frame is None else _called_in(frame, frame.f_lasti)


def plain_array_needed(error: Exception, is_users: Callable[[CodeType], bool]) -> str | None:
    """What to say in place of the error of a function written in C that takes nothing but plain arrays.

    None if it was another error, or if its function cannot be told.
    """
    if "must be numpy.ndarray, not " not in str(error):
        return None
    found, line, at = None, "", error.__traceback__
    while at is not None:
        if is_users(at.tb_frame.f_code):
            found = _called_in(at.tb_frame, at.tb_lasti)
            line = f" (at {one_line(at.tb_frame.f_code.co_filename)}:{at.tb_lineno})"
        at = at.tb_next
    return found and f"{found[0]} takes no value that is being differentiated{line}. {found[1]}"


def _called_in(frame: FrameType, instruction: int) -> tuple[str, str] | None:
    node = _executing(frame, instruction)
    if isinstance(node, ast.Call):
        written, owner = ast.unparse(node.func), _owner(node.func, frame)
    elif isinstance(node, ast.BinOp):
        written = ast.unparse(node)
        owners = [_owner(side, frame) for side in (node.left, node.right)]
        owner = next((found for found in owners if any(_is_in(found, name) for name in _REMEDIES)), "")
    else:
        return None
    if owner in ("math", "cmath"):
        name = written.rpartition(".")[2]
        name = _OF_MATH.get(name, name.replace("acos", "arccos").replace("asin", "arcsin").replace("atan", "arctan"))
        if "." in name or hasattr(np, name):
            return one_line(
                written
            ), f"Write np.{name} in place of it: NumPy's functions have derivatives, math's none."
        return one_line(written), "NumPy's functions have derivatives, math's none: write it with those."
    for name, remedy in _REMEDIES.items():
        if _is_in(owner, name):
            return one_line(written), _offered(owner, written) or _switched_off(owner, written) or remedy
    return None


def _offered(owner: str, written: str) -> str:
    """The function of ours to call instead of one of SciPy's; empty if there is none."""
    name = written.rpartition(".")[2]
    if _is_in(owner, "scipy.sparse.linalg") and name == "solve":
        return "Call shared.scipy.sparse.linalg.splu(A).solve in place of it: it has the derivatives."
    for module, names in OFFERED.items():
        if _is_in(owner, module) and name in names.split():
            return f"Call shared.{module}.{name} in place of it: the same function, with derivatives."
    return ""


def _switched_off(owner: str, written: str) -> str:
    """How to let a function of SciPy's compute with traced values, if it would and was not told to."""
    name = written.rpartition(".")[2]
    if os.environ.get("SCIPY_ARRAY_API") or not any(
        _is_in(owner, module) and name in names.split() for module, names in OF_EVERY_ARRAY.items()
    ):
        return ""
    return (
        "SciPy computes it with arrays of every kind, and so with its derivative, if the environment variable "
        'SCIPY_ARRAY_API is "1" when it is imported: os.environ["SCIPY_ARRAY_API"] = "1" at the top of the program.'
    )


def integer_needed(error: Exception, paths: Sequence[str], is_users: Callable[[CodeType], bool]) -> str | None:
    """What to say in place of an error that a function had with floats where integers were given, named by `paths`.

    None if it was another error.
    """
    text = str(error)
    if not any(part in text for part in ("integer", "'float' and 'int'", "'int' and 'float'")):
        return None
    line, at = "", error.__traceback__
    while at is not None:
        if is_users(at.tb_frame.f_code):
            line = f" (at {one_line(at.tb_frame.f_code.co_filename)}:{at.tb_lineno})"
        at = at.tb_next
    named = ", ".join(paths[:4])
    return (
        f"{named} {'is an integer' if len(paths) == 1 else 'are integers'} and differentiated, so the function got "
        f"floats, of which one was needed as an index or a count{line}: {text}. Leave it out of argnums, or out of the "
        "container that is differentiated."
    )


def _is_in(owner: str, module: str) -> bool:
    return owner == module or owner.startswith(module + ".")


def _executing(frame: FrameType, instruction: int) -> Any:
    """The expression that a frame is executing, as a tree."""
    found = next(itertools.islice(frame.f_code.co_positions(), instruction // 2, None), None)
    if found is None or None in found:
        return None
    first, last, start, stop = found
    assert first is not None and last is not None
    lines = [linecache.getline(frame.f_code.co_filename, k, frame.f_globals).encode() for k in range(first, last + 1)]
    # Columns are counted in bytes; the end first, which may be in the same line.
    lines[-1] = lines[-1][:stop]
    lines[0] = lines[0][start:]
    try:
        return ast.parse(b"(" + b"".join(lines) + b")", mode="eval").body
    except (SyntaxError, ValueError):
        return None


def _owner(node: ast.expr, frame: FrameType) -> str:
    """The module that a function or an object in an expression belongs to; empty if its name does not tell."""
    names: list[str] = []
    while isinstance(node, (ast.Attribute, ast.Call)):
        if isinstance(node, ast.Attribute):
            names.append(node.attr)
            node = node.value
        else:
            node = node.func  # what a function of a module makes is that module's
    if not isinstance(node, ast.Name):
        return ""
    found: Any = frame.f_locals.get(node.id, frame.f_globals.get(node.id))
    while names and isinstance(found, ModuleType):
        # Nothing but modules is asked for attributes, which may be code of the user's.
        owner, found = found.__name__, vars(found).get(names.pop())
        if found is None:
            return owner
    if isinstance(found, ModuleType):
        return found.__name__
    module = getattr(type(found), "__module__", "")
    if module == "builtins" and type(found).__name__ == "SuperLU":
        return "scipy.sparse.linalg"  # whose class does not say so
    if module in ("builtins", "uarray"):
        # A function written in C, or one of Python's, or one for which SciPy lets others stand in.
        module = getattr(found, "__module__", None) or getattr(type(getattr(found, "__self__", None)), "__module__", "")
    return module if isinstance(module, str) else ""
