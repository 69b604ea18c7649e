"""How each primitive is written as NumPy source: the tables that compilation reads.

Three kinds of text: an expression of Python floats (`math`), a call of a ufunc with an output array, and any other.
What has no entry is called by its own NumPy name; a function of this library that NumPy lacks is written out as its
source.  This module knows no buffers and no order of operations.
"""

from __future__ import annotations

import builtins
import inspect
import keyword
import math
import operator
import re
import textwrap
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from shared.operators import CONVERT
from shared.primitive import Primitive
from shared.programs.parts import ValueType
from shared.rules import indexing, linear_algebra, reductions, shapes, special

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

#: The ufuncs of NumPy by what a primitive is declared by: themselves, or Python's operators.
_UFUNCS: dict[Any, np.ufunc] = {
    **{
        ufunc: ufunc
        for name, ufunc in vars(np).items()
        if isinstance(ufunc, np.ufunc) and ufunc.signature is None and ufunc.__name__ == name
    },
    operator.lt: np.less,
    operator.le: np.less_equal,
    operator.gt: np.greater,
    operator.ge: np.greater_equal,
    operator.eq: np.equal,
    operator.ne: np.not_equal,
    operator.floordiv: np.floor_divide,
    operator.and_: np.bitwise_and,
    operator.or_: np.bitwise_or,
    operator.xor: np.bitwise_xor,
    operator.invert: np.invert,
}
del _UFUNCS[np.ldexp]  # its second operand stays an integer beside arrays


def ufunc_of(primitive: Any) -> np.ufunc | None:
    """The ufunc of NumPy that an elementwise primitive evaluates; None if there is none."""
    return _UFUNCS.get(primitive.function) if isinstance(primitive, Primitive) else None


def function_of(primitive: Primitive) -> Any:
    """The ufunc that a primitive evaluates, or else what it is declared by."""
    return _UFUNCS.get(primitive.function, primitive.function)


def output_text(opening: str, target: str) -> str:
    """The output array as an argument of a ufunc: by position, which is faster, where NumPy does not advise against."""
    return f"out={target}" if opening.startswith(("np.maximum(", "np.minimum(")) else target


#: The ufunc whose `reduce` a reduction is.
REDUCTIONS = {np.sum: np.add, np.max: np.maximum, np.min: np.minimum, np.prod: np.multiply}

# --- numbers and types ------------------------------------------------------------------------------------------------

FLOAT64 = np.dtype(np.float64)


def number_text(value: Any) -> str:
    """A number, or an array without axes, as source text."""
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return "math.nan" if value != value else ("math.inf" if value > 0 else "-math.inf")
    if isinstance(value, complex):
        return f"complex({number_text(value.real)}, {number_text(value.imag)})"
    return repr(value)


def dtype_of(type_: ValueType) -> np.dtype[Any]:
    """The dtype of an array or a number of NumPy."""
    assert type_.dtype is not None
    return type_.dtype


def dtype_text(type_: ValueType) -> str:
    """The dtype of an array or a number of NumPy as source text."""
    return f"np.{dtype_of(type_).name}"


def allocation(function: str, type_: ValueType) -> str:
    """The call of np.empty or np.zeros that makes an array of a type."""
    return f"np.{function}({type_.shape}, {dtype_text(type_)})"


# --- names ------------------------------------------------------------------------------------------------------------

#: Names that the text itself uses: those of modules, functions and variables, and those of values.
_TAKEN = frozenset(
    ("np", "math", "threading", "call", "Departed", "in_two_threads", "start", "first", "last", "rows", *dir(builtins),
     *keyword.kwlist)
)  # fmt: skip
_NUMBERED = re.compile(r"(x|v|c|b|t|s|array|part|stretch)[0-9]+(_[0-9a-z]+)?$")


def is_short(name: str) -> bool:
    """Whether a function of NumPy is so short that looking its name up would show: the text imports it by name."""
    return name == "dot" or isinstance(getattr(np, name, None), np.ufunc)


def is_free(name: str) -> bool:
    """Whether the text may call something of its own by a name."""
    return name.isidentifier() and name not in _TAKEN and not _NUMBERED.match(name) and not is_short(name)


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
    name = getattr(function, "__name__", "")
    for module, prefix in ((np, "np"), (np.linalg, "np.linalg"), (np.fft, "np.fft")):
        if getattr(module, name, None) is function:
            return f"{prefix}.{name}({arguments})"
    return f"{_defined(primitive, preamble)}({arguments})"


def _defined(primitive: Primitive, preamble: dict[str, Any]) -> str:
    """The name under which a function that NumPy lacks is defined: as its own source where that stands by itself."""
    raw = primitive.raw
    base = "".join(c if c.isalnum() else "_" for c in primitive.name.lstrip("_"))
    name = base = base if is_free(base) else f"function_{base}"
    entry = _own_source(raw, name)
    count = 1
    while preamble.get(name, entry) is not entry and preamble.get(name) != entry:
        count += 1
        name = f"{base}_{count}"
        entry = _own_source(raw, name)
    preamble[name] = entry
    return name


@lru_cache(maxsize=256)
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
    if isinstance(value, type):
        name = value.__name__
        if value in (float, complex, int, bool):
            return name
        if value.__module__ == "numpy" and vars(np).get(name) is value:
            return f"np.{name}"
    if isinstance(value, (np.integer, np.bool)):
        return repr(value.item())
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
