"""How each primitive is written as NumPy source: the tables that compilation reads.

Three kinds of text: an expression of Python floats (`math`), a call of a ufunc with an output array, and any other.
What has no entry is called by its own NumPy name; a function of this library that NumPy lacks is written out as its
source.  This module knows no buffers and no order of operations.
"""

from __future__ import annotations

import builtins
import inspect
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shared.operators import CONVERT
from shared.primitive import Primitive
from shared.rules import indexing, linear_algebra, products, reductions, shapes, special

#: Functions that a program for compilation is recorded without: their own NumPy code is recorded in their place.
LOWERED = frozenset(
    primitive.function
    for primitive in (
        special.sigmoid,
        special.relu,
        special.softplus,
        special.softsign,
        special.log_softmax,
    )
) | {np.mean}

#: Of Python floats; each raises where NumPy would warn, and the call is then made again without compilation.
OF_FLOATS: dict[Any, str] = {
    np.add: "{} + {}",
    np.subtract: "{} - {}",
    np.multiply: "{} * {}",
    np.divide: "{} / {}",
    np.negative: "-{}",
    np.positive: "{}",
    np.square: "{0} * {0}",
    np.reciprocal: "1.0 / {}",
    np.absolute: "abs({})",
    np.fabs: "abs({})",
    np.power: "math.pow({}, {})",
    np.sqrt: "math.sqrt({})",
    np.hypot: "math.hypot({}, {})",
    np.arctan2: "math.atan2({}, {})",
    np.copysign: "math.copysign({}, {})",
    np.degrees: "math.degrees({})",
    np.radians: "math.radians({})",
    np.rad2deg: "math.degrees({})",
    np.deg2rad: "math.radians({})",
    **{
        getattr(np, name): f"math.{name}({{}})"
        for name in ("exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "sinh", "cosh",
                     "tanh", "cbrt")
    },
    **{
        getattr(np, f"arc{name}"): f"math.a{name}({{}})"
        for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")
    },
    np.less: "{} < {}",
    np.less_equal: "{} <= {}",
    np.greater: "{} > {}",
    np.greater_equal: "{} >= {}",
    np.equal: "{} == {}",
    np.not_equal: "{} != {}",
    np.copy: "{}",
    np.conjugate: "{}",
}  # fmt: skip

#: The ufunc that an operator's twin stands for (comparisons are declared by Python's own functions).
_OPERATORS = {
    "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
    "floordiv": np.floor_divide, "and_": np.bitwise_and, "or_": np.bitwise_or, "xor": np.bitwise_xor,
    "invert": np.invert, "inv": np.invert,
}  # fmt: skip


def ufunc_of(primitive: Any) -> np.ufunc | None:
    """The ufunc of NumPy that an elementwise primitive evaluates; None if there is none."""
    if not isinstance(primitive, Primitive):
        return None
    function = primitive.function
    if isinstance(function, np.ufunc):
        known = function.signature is None and getattr(np, function.__name__, None) is function
        if function is np.ldexp:
            return None  # its second operand stays an integer beside arrays
        return function if known else None
    if getattr(function, "__module__", "") in ("_operator", "operator"):
        return _OPERATORS.get(function.__name__)
    return None


def output_text(opening: str, target: str) -> str:
    """The output array as an argument of a ufunc: by position, which is faster, where NumPy does not advise against."""
    return f"out={target}" if opening.startswith(("np.maximum(", "np.minimum(")) else target


#: The ufunc whose `reduce` a reduction is.
REDUCTIONS = {np.sum: np.add, np.max: np.maximum, np.min: np.minimum, np.prod: np.multiply}

# --- other calls ------------------------------------------------------------------------------------------------------


def _index(parts: Sequence[str]) -> str:
    return ", ".join(parts) if parts else "()"


_CALLS: dict[Any, Callable[..., str]] = {
    indexing.GETITEM.function: lambda x, *index: f"{x}[{_index(index)}]",
    shapes.RESHAPE.function: lambda x, *, shape, order="C": (
        f"np.reshape({x}, {shape})" if order == "C" else f"np.reshape({x}, {shape}, order={order!r})"
    ),
    shapes.TRANSPOSE.function: lambda x, *, axes=None: f"{x}.T" if axes is None else f"np.transpose({x}, {axes})",
    shapes.ASTYPE.function: lambda x, *, dtype: f"np.asarray({x}).astype(np.{np.dtype(dtype).name})[()]",
    CONVERT.function: lambda x, *, dtype: f"np.asarray({x}).astype(np.{np.dtype(dtype).name})[()]",
    special.stop_gradient.function: lambda x: f"np.array({x})[()]",
    linear_algebra.SIGN_OF_DETERMINANT.function: lambda x: f"np.linalg.slogdet({x})[0]",
    **{
        primitive.function: lambda x, name=primitive.name: f"np.{name}({x}, axis=0)"
        for primitive in reductions.RUNNING_EXTREMA
    },
}
#: The parts of a singular value decomposition, by the names of their primitives.
_SINGULAR_VALUES = {"svd_u": 0, "svd_s": 1, "svd_vt": 2}


def call_text(primitive: Any, operands: Sequence[str], static: dict[str, Any], preamble: dict[str, Any]) -> str:
    """The text of a call; what it needs to be defined first is added to `preamble`, a name to a text or an object."""
    function = primitive.function
    written = _CALLS.get(function)
    if written is not None:
        return written(*operands, **static)
    ufunc = ufunc_of(primitive)
    if primitive.name in _SINGULAR_VALUES and primitive.raw.__module__ == linear_algebra.__name__:
        return f"np.linalg.svd({operands[0]}, full_matrices=False)[{_SINGULAR_VALUES[primitive.name]}]"
    keywords = [f"{name}={_static_text(value, preamble)}" for name, value in static.items()]
    arguments = ", ".join([*operands, *keywords])
    if ufunc is not None:
        return f"np.{ufunc.__name__}({arguments})"
    for module, prefix in ((np, "np"), (np.linalg, "np.linalg"), (np.fft, "np.fft")):
        if getattr(module, getattr(function, "__name__", ""), None) is function:
            return f"{prefix}.{function.__name__}({arguments})"
    return f"{_defined(primitive, preamble)}({arguments})"


def _defined(primitive: Primitive, preamble: dict[str, Any]) -> str:
    """The name under which a function that NumPy lacks is defined: as its own source where that stands by itself."""
    raw = primitive.raw
    name = base = "".join(c if c.isalnum() else "_" for c in primitive.name.lstrip("_")) or "function"
    entry = _own_source(raw, name)
    count = 1
    while preamble.get(name, entry) is not entry and preamble.get(name) != entry:
        count += 1
        name = f"{base}_{count}"
        entry = _own_source(raw, name)
    preamble[name] = entry
    return name


def _own_source(raw: Any, name: str) -> Any:
    """The source of a function that needs nothing but NumPy and `math`, under another name; else the function."""
    code = getattr(raw, "__code__", None)
    if code is None or raw.__closure__ is not None or raw.__name__ == "<lambda>" or raw.__defaults__:
        return raw
    needed = {n for n in code.co_names if n in raw.__globals__}
    if not needed <= {"np", "math"} or any(n not in raw.__globals__ and not _known(n) for n in code.co_names):
        return raw
    try:
        text = textwrap.dedent(inspect.getsource(raw))
    except (OSError, TypeError):
        return raw
    if not text.startswith("def "):
        return raw
    return "def " + name + text[text.index("(") :].rstrip().replace(": Any", "").replace(" -> Any", "")


def _known(name: str) -> bool:
    """Whether a name in a function's code is a builtin's, or may be an attribute's."""
    return any(hasattr(place, name) for place in (builtins, np, np.ndarray, np.ufunc, np.linalg, np.fft))


def _static_text(value: Any, preamble: dict[str, Any]) -> str:
    if isinstance(value, np.dtype):
        return f"np.dtype({value.str!r})"
    if isinstance(value, type) and (value.__module__ == "numpy" and getattr(np, value.__name__, None) is value):
        return f"np.{value.__name__}"
    if isinstance(value, (np.integer, np.bool)):
        return repr(value.item())
    if isinstance(value, type) and value in (float, complex, int, bool):
        return value.__name__
    if isinstance(value, np.ndarray) and value.dtype.kind in "biu" and value.size:
        return f"np.array({value.tolist()!r}, np.{value.dtype.name})"
    if value.__class__ in (tuple, list):
        inner = ", ".join(_static_text(v, preamble) for v in value)
        return f"({inner}{',' if len(value) == 1 else ''})" if value.__class__ is tuple else f"[{inner}]"
    if value is None or value.__class__ in (bool, int, str) or (value.__class__ is float and value - value == 0):
        return repr(value)
    name = f"static{len(preamble)}"
    preamble[name] = value
    return name


#: Calls whose result never shares memory with an operand.
FRESH = frozenset(
    (
        np.matmul, np.where, products.CONVOLVE.function, np.copy,
        np.fft.fft, np.fft.ifft, np.fft.rfft, np.fft.irfft, np.linalg.inv, np.linalg.solve,
        np.sort, np.argsort, np.cumsum, np.roll, np.repeat, np.sum, np.max, np.min, np.prod,
    )
)  # fmt: skip
