"""Which call in the user's line took a traced value for a plain one, and what to write instead of it.

One text would not fit `math.sin(x)`, a function of SciPy, a sparse matrix, random numbers, `K[i, j] = x` and `table[x]`
alike.  What was called is read off the user's line, at the place where Python is executing it; whose function that is,
off the names there.  This
module is loaded when there is an error to tell, and knows nothing of derivatives.
"""

from __future__ import annotations

import ast
import dis
import itertools
import linecache
import os
import sys
from collections.abc import Callable, Sequence
from types import CodeType, FrameType, ModuleType
from typing import Any

import numpy as np

from shared.core.locks import is_locked
from shared.core.visible import one_line

#: The functions of `math` that NumPy calls otherwise.
_OF_MATH = {"pow": "power", "dist": "linalg.norm", "fsum": "sum", "isclose": "isclose", "gcd": "gcd"}

#: What to write instead of a call of those modules, the longest name first.
_REMEDIES = {
    "numpy.random": "Draw the noise with plain parameters, then shift and scale it: mean + deviation * "
    "rng.standard_normal(n).",
    "scipy.sparse": "Of a sparse matrix A and a traced x write the product A @ x, which has its derivative; for traced "
    "nonzeros there is shared.scipy.sparse.with_data; anything else needs A.toarray().",
    "scipy.special": "It takes plain arrays alone, as the ufuncs of scipy.special do not, which have derivatives. "
    "shared.scipy.special has functions of the same name for polygamma, multigammaln, comb, perm, factorial and the "
    "spherical Bessel functions; of the others docs/scipy-special.md says more.",
    "scipy": "SciPy computes it in code that no derivative is known of: write it with NumPy's functions, or declare a "
    "function that calls it with shared.custom_derivative.",
    "pandas": "A pandas object keeps plain numbers alone: take its array first, frame.to_numpy(), and compute with "
    "that.",
    "xarray": "xarray keeps a traced array where it computes by NumPy's functions: write it with xarray's arithmetic, "
    "reductions and indexing (xr.where for np.where), or with NumPy's functions of the array, da.data.",
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
    "scipy.special": (
        "betaln digamma entr erf expit gammainc gammaln i0 j0 log_softmax logsumexp ndtr rel_entr softmax xlogy"
    ),
    "scipy.stats": (
        "bartlett boxcox_llf chisquare circmean circstd circvar combine_pvalues describe differential_entropy "
        "directional_stats entropy gmean gzscore hmean iqr jarque_bera kstat kstatvar kurtosis kurtosistest lmoment "
        "levene median_abs_deviation moment normaltest pmean power_divergence quantile sem skew skewtest tmax "
        "tmin trim_mean ttest_1samp ttest_ind ttest_rel zmap zscore"
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
    frames: list[FrameType] = []
    frame: Any = sys._getframe(1)
    while frame is not None:
        if is_users(frame.f_code):
            frames.append(frame)
            if f"-packages{os.sep}" not in frame.f_code.co_filename:
                break
        frame = frame.f_back
    # The line that called a package, such as pandas, tells more than the line within.
    return next((told for told in map(_told_of, [*frames[-1:], *frames[:1]]) if told is not None), None)


def plain_array_needed(error: Exception, is_users: Callable[[CodeType], bool]) -> str | None:
    """What to say in place of the error of a function written in C that takes nothing but plain arrays.

    None if it was another error, or if its function cannot be told.
    """
    if "must be numpy.ndarray, not " not in str(error):
        return None
    found, line, at = None, "", error.__traceback__
    while at is not None:
        if is_users(at.tb_frame.f_code):
            found = _told_of(at.tb_frame, at.tb_lasti)
            line = f" (at {one_line(at.tb_frame.f_code.co_filename)}:{at.tb_lineno})"
        at = at.tb_next
    return found and f"{found[0]} takes no value that is being differentiated{line}. {found[1]}"


def _told_of(frame: FrameType, instruction: int | None = None) -> tuple[str, str] | None:
    """What the line tells that a frame is executing, or was at an instruction."""
    node = _executing(frame, frame.f_lasti if instruction is None else instruction)
    if isinstance(node, ast.Attribute):
        written, owner = ast.unparse(node), _owner(node.value, frame)
    elif isinstance(node, ast.Subscript):
        return _of_plain_array(node, frame)
    elif isinstance(node, ast.Call):
        written, owner = ast.unparse(node.func), _owner(node.func, frame)
        if _is_in(owner, "numpy"):
            # NumPy takes what has labels for a plain array.
            owner = next((found for arg in node.args if (found := _owner(arg, frame)).startswith("xarray.")), owner)
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


def _users_frame(is_users: Callable[[CodeType], bool]) -> FrameType | None:
    """The innermost frame of the user's code."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not is_users(frame.f_code):
        frame = frame.f_back
    return frame


def _of_plain_array(node: ast.Subscript, frame: FrameType) -> tuple[str, str] | None:
    """What to write in place of an assignment to elements of a plain array, or of reading it at a traced index."""
    if not isinstance(_value(node.value, frame), np.ndarray):
        return None
    name, written = one_line(ast.unparse(node.value)), one_line(ast.unparse(node))
    if dis.opname[frame.f_code.co_code[frame.f_lasti]].startswith("STORE"):
        return f"{written} = ...", assigned_to_plain(name)
    return written, (
        f"An index has no derivative: {name}[int(stop_gradient(x))] is one entry of the table, and np.interp(x, grid, "
        f"{name}) has the slopes between them."
    )


def assigned_to_plain(name: str) -> str:
    """What to do where traced values are written into a plain array of this name."""
    return (
        f"{name} is a plain array, whose elements hold no derivative: make it in the function, with {name} = "
        f"np.zeros_like(x, shape={name}.shape), of all the x that may vary (np.zeros_like(u * k)); then = and += work. "
        "To keep a statistic from call to call, assign stop_gradient(value)."
    )


def written_in_place(is_users: Callable[[CodeType], bool], line: str) -> str | None:
    """What to write in place of `b += x` or `K[i] += x`, where the target is a plain array; None of another line."""
    frame = _users_frame(is_users)
    node = None if frame is None else _executing(frame, frame.f_lasti)
    if not isinstance(node, ast.AugAssign):
        return None
    target, sign = one_line(ast.unparse(node.target)), _SIGNS[type(node.op)]
    if isinstance(node.target, ast.Subscript):
        return f"{target} {sign}= ...{line}: " + assigned_to_plain(one_line(ast.unparse(node.target.value)))
    return (
        f"{target} {sign}= ...{line}: {target} is a plain array, which holds no derivative, and {sign}= would write "
        f"into it: {target} = {target} {sign} ... makes a new one."
    )


_SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**", ast.MatMult: "@", ast.Mod: "%",
    ast.FloorDiv: "//",
}  # fmt: skip


def who_locked(error: Exception, name: str, is_users: Callable[[CodeType], bool]) -> str | None:
    """Of an error in writing to an array that is locked for a derivative: which one, and what to do.

    None if the user's line names no such array.
    """
    found, at = None, error.__traceback__
    while at is not None:
        if is_users(at.tb_frame.f_code):
            found = at
        at = at.tb_next
    if found is None:
        return None
    frame = found.tb_frame
    places = {**{name: frame.f_globals.get(name) for name in frame.f_code.co_names}, **frame.f_locals}
    for variable, value in places.items():
        base = value
        while isinstance(base, np.ndarray) and not is_locked(base):
            base = base.base
        if isinstance(base, np.ndarray):
            return (
                f"{one_line(variable)} is read-only (at {one_line(frame.f_code.co_filename)}:{found.tb_lineno}), "
                f"because a tape holds it ({name}): its values are needed for the derivative, and a large array is "
                "locked in place of copied, until the tape is gone. Write to a copy of it, or before it is used."
            )
    return None


def integer_needed(error: Exception, paths: Sequence[str], is_users: Callable[[CodeType], bool]) -> str | None:
    """What to say in place of an error that a function had with floats where integers were given, named by `paths`.

    None if it was another error.
    """
    text = str(error).rstrip(".")
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


def calls_with_text(frame: FrameType, text: str) -> bool:
    """Whether a frame is executing a call with this text as its last argument or the last but one."""
    before = [
        one for one in dis.get_instructions(frame.f_code) if one.offset <= frame.f_lasti and one.opname != "CACHE"
    ]
    # An interpreter that has seen the call before may have made it at PRECALL.
    if not before or not before.pop().opname.startswith(("CALL", "PRECALL")):
        return False
    arguments = [one for one in before if one.opname != "PRECALL"][-2:]
    return any(one.opname.startswith("LOAD_CONST") and one.argval == text for one in arguments)


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
    text = b"".join(lines)
    for whole, mode in ((b"(" + text + b")", "eval"), (text, "exec")):
        try:
            body: Any = ast.parse(whole, mode=mode).body  # type: ignore[attr-defined]
        except (SyntaxError, ValueError):
            continue
        return body[0] if isinstance(body, list) and len(body) == 1 else body
    return None


def _value(node: ast.expr, frame: FrameType) -> Any:
    """What a name, or an attribute that is stored as such, stands for in a frame; None if that takes more."""
    if isinstance(node, ast.Name):
        return frame.f_locals.get(node.id, frame.f_globals.get(node.id))
    if isinstance(node, ast.Attribute):
        # Nothing is asked for attributes, which may be code of the user's.
        stored = getattr(_value(node.value, frame), "__dict__", None)
        return stored.get(node.attr) if isinstance(stored, dict) else None
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
