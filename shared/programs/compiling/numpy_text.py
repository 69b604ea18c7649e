"""How each primitive is written as NumPy source: the tables that compilation reads.

Three kinds of text: an expression of Python floats (`math`), a call of a ufunc with an output array, and any other.
What has no entry is called by its own NumPy name; a function of this library that NumPy lacks is written out as its
source, and one of a user's is an object that is called.  This module knows no buffers and no order of operations.
"""

from __future__ import annotations

import inspect
import math
import operator
import sys
import textwrap
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from shared.core.primitive import Primitive
from shared.programs.compiling.literals import Definition, Namespace
from shared.programs.equations import ValueType
from shared.rules import extending, indexing, keywords, linear_algebra, shapes, singular_values, special
from shared.rules.shapes import CONVERT

#: Functions that a program for compilation is recorded without: their own NumPy code is recorded in their place.
LOWERED = frozenset(
    primitive.function
    for primitive in (
        special.SIGMOID,
        special.RELU,
        special.SOFTPLUS,
        special.SOFTSIGN,
        special.LOG_SOFTMAX,
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
    # Of an infinite base the root is inf to `math`, as to Python, and NaN to NumPy since 2.3: left to who was asked.
    np.power: "math.pow({0} if {0} > -math.inf else math.sqrt(-1.0), {1})",
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

# --- types ------------------------------------------------------------------------------------------------------------

FLOAT64 = np.dtype(np.float64)


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


def is_short(name: str) -> bool:
    """Whether a function of NumPy is so short that looking its name up would show: the text imports it by name."""
    return name == "dot" or isinstance(getattr(np, name, None), np.ufunc)


# --- other calls ------------------------------------------------------------------------------------------------------


def _index(parts: Sequence[str]) -> str:
    return ", ".join(parts) if parts else "()"


def _astype(x: str, *, dtype: str) -> str:
    return f"np.asarray({x}).astype({dtype})[()]"


#: How some functions are called otherwise than by their name; keywords are given as texts, too.
_CALLS: dict[Any, Callable[..., str]] = {
    indexing.GETITEM.function: lambda x, *index: f"{x}[{_index(index)}]",
    shapes.RESHAPE.function: lambda x, *, shape, order="'C'": (
        f"np.reshape({x}, {shape})" if order == "'C'" else f"np.reshape({x}, {shape}, order={order})"
    ),
    shapes.TRANSPOSE.function: lambda x, *, axes="None": f"{x}.T" if axes == "None" else f"np.transpose({x}, {axes})",
    shapes.ASTYPE.function: _astype,
    CONVERT.function: _astype,
    extending.WINDOWS.function: lambda x, *, lengths, axes: (
        f"np.lib.stride_tricks.sliding_window_view({x}, {lengths}, {axes})"
    ),
    special.STOP_GRADIENT.function: lambda x: f"np.array({x})[()]",
    linear_algebra.SIGN_OF_DETERMINANT.function: lambda x: f"np.linalg.slogdet({x})[0]",
    **{
        primitive.function: lambda x, name=primitive.name: f"np.{name}({x}, axis=0)"
        for primitive in keywords.RUNNING_EXTREMA
    },
}
#: The parts of a singular value decomposition, by the names of their primitives.
_SINGULAR_VALUES = {"svd_u": 0, "svd_s": 1, "svd_vt": 2}
#: The functions of NumPy that are called by their own name.
_OWN_NAMES: dict[Any, str] = {
    function: f"{prefix}{name}"
    for module, prefix in ((np.fft, "np.fft."), (np.linalg, "np.linalg."), (np, "np."))
    for name, function in vars(module).items()
    if callable(function) and not name.startswith("_") and getattr(function, "__name__", "") == name
}


def call_text(primitive: Any, operands: Sequence[str], static: dict[str, Any], namespace: Namespace) -> str:
    """The text of a call; what it needs to be defined or assigned first is added to `namespace`."""
    function = primitive.function
    given = {name: namespace.text(value) for name, value in static.items()}
    written = _CALLS.get(function)
    if written is not None:
        return written(*operands, **given)
    ufunc = ufunc_of(primitive)
    if primitive.name in _SINGULAR_VALUES and primitive.raw.__module__ == singular_values.__name__:
        return f"np.linalg.svd({operands[0]}, full_matrices=False)[{_SINGULAR_VALUES[primitive.name]}]"
    if all(name.isidentifier() and name.isascii() for name in given):
        arguments = ", ".join([*operands, *[f"{name}={text}" for name, text in given.items()]])
    else:
        arguments = ", ".join([*operands, f"**{namespace.object(static, 'keywords')}"])
    if ufunc is not None:
        return f"np.{ufunc.__name__}({arguments})"
    name = _OWN_NAMES.get(function)
    return f"{_defined(primitive, namespace) if name is None else name}({arguments})"


def _defined(primitive: Primitive, namespace: Namespace) -> str:
    """The name of a function that NumPy lacks: this library's own are defined by their source, others assigned."""
    raw = primitive.raw
    special = sys.modules.get("scipy.special")
    if isinstance(raw, np.ufunc) and special is not None and vars(special).get(raw.__name__) is raw:
        # Under a name of its own: some functions have the names of NumPy's.
        name = f"scipy_{raw.__name__}"
        namespace.definitions[name] = Definition(f"from scipy.special import {raw.__name__} as {name}")
        return name
    source = _own_source(raw)
    if source is None:
        return namespace.object(raw, "function", primitive.name)
    name, text = source
    # Two functions of this library may have one name.
    while namespace.definitions.get(name, text) != text:
        name += "_"
        text = Definition(text.text.replace(f"def {name[:-1]}(", f"def {name}(", 1))
    namespace.definitions[name] = text
    return name


@lru_cache(maxsize=256)
def _own_source(raw: Any) -> tuple[str, Definition] | None:
    """The name and source of a function of this library that needs nothing but NumPy and `math`; None of any other.

    It is read from a file, and believed if it compiles to the very code that the function has.
    """
    if not isinstance(raw, FunctionType) or not raw.__module__.startswith("shared.") or raw.__closure__ is not None:
        return None
    code, known = raw.__code__, {"np": np, "math": math}
    outer = [name for name in code.co_names if name in raw.__globals__]
    if raw.__defaults__ or any(raw.__globals__[n] is not known.get(n) for n in outer):
        return None
    try:
        text = textwrap.dedent(inspect.getsource(raw))
    except (OSError, TypeError):
        return None
    if not text.startswith(f"def {code.co_name}("):
        return None
    name = f"_{code.co_name.lstrip('_')}"
    text = f"def {name}" + text[text.index("(") :].rstrip().replace(": Any", "").replace(" -> Any", "")
    # Python compiles the call of a module's function otherwise where it sees the import.
    module = compile(f"import math\nimport numpy as np\n{text}", raw.__module__, "exec")
    made = [part for part in module.co_consts if isinstance(part, CodeType)]
    same = ("co_code", "co_consts", "co_names", "co_varnames", "co_argcount", "co_kwonlyargcount", "co_flags")
    if len(made) != 1 or any(getattr(made[0], part) != getattr(code, part) for part in same):
        return None
    return name, Definition(text)
