"""Which call in the user's line took a traced value for a plain one, and what to write instead of it.

One text would not fit `math.sin(x)`, a function of SciPy, a sparse matrix and random numbers alike.  What was called is
read off the user's line, at the place where Python is executing it; whose function that is, off the names there.  This
module is loaded when there is an error to tell, and knows nothing of derivatives.
"""

from __future__ import annotations

import ast
import itertools
import linecache
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
    "scipy.sparse": "A sparse matrix computes with plain arrays alone: use A.toarray(), or declare the product as a "
    "function of your own with shared.custom_derivative.",
    "scipy.special": "It takes plain arrays alone, as the ufuncs of scipy.special do not, which have derivatives. "
    "shared.scipy.special has functions of the same name for polygamma, multigammaln, comb, perm, factorial and the "
    "spherical Bessel functions; of the others docs/scipy.md says more.",
    "scipy": "SciPy computes it in code that no derivative is known of: write it with NumPy's functions, or declare a "
    "function that calls it with shared.custom_derivative.",
    "pandas": "A pandas object keeps plain numbers alone: take its array first, frame.to_numpy(), and compute with "
    "that.",
}


def what_was_called(is_users: Callable[[CodeType], bool]) -> tuple[str, str] | None:
    """The call in the user's line that is being executed, as it is written there, and what to write instead.

    None if it cannot be told, or if it is no other package's.  `is_users` tells the user's code.
    """
    frame: Any = sys._getframe(1)
    while frame is not None and not is_users(frame.f_code):
        frame = frame.f_back
    if frame is None:
        return None
    node = _executing(frame)
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
            return one_line(written), remedy
    return None


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


def _executing(frame: FrameType) -> Any:
    """The expression that a frame is executing, as a tree."""
    found = next(itertools.islice(frame.f_code.co_positions(), frame.f_lasti // 2, None), None)
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
    while isinstance(node, ast.Call):
        node = node.func  # what a function of a module makes is that module's
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
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
    if module == "builtins":
        # A function written in C, or one of Python's.
        module = getattr(found, "__module__", None) or getattr(type(getattr(found, "__self__", None)), "__module__", "")
    return module if isinstance(module, str) else ""
