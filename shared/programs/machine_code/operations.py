"""Elementwise operations as C expressions: the table that lowering reads, and numbers as C literals.

`{0}`, `{1}`, ... are operands, each a name or a literal, `{f}` is the ending of a function of the C library ("f" for
float).  Expressions give what NumPy gives bit by bit where the operation is rounded correctly (+, -, *, /, sqrt,
comparisons, roundings), and to a few units in the last place where a function of the C library is called: NumPy has its
own versions of those.  Comparisons are the quiet ones, which raise no flag at a NaN.  This module knows no programs.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from shared.programs.equations import ValueType

#: The C type of the elements of each dtype that is computed with, and that of the only one that is an index.
C_TYPES: dict[Any, str] = {np.dtype(np.float64): "double", np.dtype(np.float32): "float", np.dtype(np.bool_): "truth"}
INDEX_DTYPE = np.dtype(np.int64)
#: The bytes of each C type.
SIZES = {"double": 8, "float": 4, "truth": 1, "int64_t": 8}

#: Results are numbers of the operands' own type.
ARITHMETIC: dict[Any, str] = {
    np.add: "{0} + {1}",
    np.subtract: "{0} - {1}",
    np.multiply: "{0} * {1}",
    np.divide: "{0} / {1}",
    np.negative: "-{0}",
    np.positive: "{0}",
    np.conjugate: "{0}",
    np.square: "{0} * {0}",
    np.reciprocal: "1 / {0}",
    np.absolute: "fabs{f}({0})",
    np.fabs: "fabs{f}({0})",
    np.copysign: "copysign{f}({0}, {1})",
    np.sqrt: "sqrt{f}({0})",
    np.maximum: "(isgreater({0}, {1}) || {0} != {0}) ? {0} : {1}",
    np.minimum: "(isless({0}, {1}) || {0} != {0}) ? {0} : {1}",
    np.fmax: "(isgreater({0}, {1}) || {1} != {1}) ? {0} : {1}",
    np.fmin: "(isless({0}, {1}) || {1} != {1}) ? {0} : {1}",
    np.sign: "isgreater({0}, 0) ? 1 : (isless({0}, 0) ? -1 : ({0} == 0 ? 0 : {0}))",
    np.floor: "floor{f}({0})",
    np.ceil: "ceil{f}({0})",
    np.trunc: "trunc{f}({0})",
    np.rint: "rint{f}({0})",
    np.power: "pow{f}({0}, {1})",
    np.hypot: "hypot{f}({0}, {1})",
    np.arctan2: "atan2{f}({0}, {1})",
    **{
        getattr(np, name): f"{name}{{f}}({{0}})"
        for name in ("exp", "expm1", "exp2", "log", "log1p", "log2", "log10", "sin", "cos", "tan", "sinh", "cosh",
                     "tanh", "cbrt")
    },
    **{
        getattr(np, f"arc{name}"): f"a{name}{{f}}({{0}})" for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh")
    },
}  # fmt: skip

#: Results are truth values.
TRUTHS: dict[Any, str] = {
    np.less: "isless({0}, {1})",
    np.less_equal: "islessequal({0}, {1})",
    np.greater: "isgreater({0}, {1})",
    np.greater_equal: "isgreaterequal({0}, {1})",
    np.equal: "{0} == {1}",
    np.not_equal: "{0} != {1}",
    np.isnan: "{0} != {0}",
    np.isinf: "isinf({0}) != 0",
    np.isfinite: "isfinite({0}) != 0",
    np.signbit: "signbit({0}) != 0",
}
#: Those of truth values.
LOGIC: dict[Any, str] = {
    np.logical_and: "{0} && {1}",
    np.logical_or: "{0} || {1}",
    np.logical_xor: "!{0} != !{1}",
    np.logical_not: "!{0}",
    np.bitwise_and: "{0} & {1}",
    np.bitwise_or: "{0} | {1}",
    np.bitwise_xor: "{0} ^ {1}",
    np.invert: "!{0}",
    np.equal: "{0} == {1}",
    np.not_equal: "{0} != {1}",
}

#: What NumPy makes of the root of minus infinity, if it is written as a power: it has changed.
with np.errstate(all="ignore"):
    _ROOT_BY_POWER = bool(np.isnan(np.power(np.array([-np.inf]), 0.5)[0]))


def power_by(exponent: float, of_floats: bool) -> str | None:
    """The expression of a power with a literal exponent, if it is not to be a call of `pow`."""
    if exponent == 2.0:
        return "{0} * {0}"
    if exponent == 1.0:
        return "{0}"
    if exponent == -1.0:
        return "1 / {0}"
    return "sqrt{f}({0})" if exponent == 0.5 and _ROOT_BY_POWER and not of_floats else None


#: The power of two numbers: NumPy has its own ways with infinite ones, in which the source computes.
POWER_OF_NUMBERS = "isfinite({0}) && isfinite({1}) ? pow{f}({0}, {1}) : (bad = 1, 0)"


def c_type(type_: ValueType) -> str | None:
    """The C type of a value's elements; None if it has none here."""
    if type_.dtype is not None:
        return C_TYPES.get(type_.dtype) if type_.dtype.isnative else None
    return "double" if type_.kind is float else "truth" if type_.kind is bool else None


def number_literal(value: Any, kind: str) -> str:
    """A number as a literal of a C type: all bits of it.

    >>> number_literal(0.5, "double"), number_literal(-1, "float"), number_literal(float("nan"), "double")
    ('0x1.0000000000000p-1', '(-0x1.0000000000000p+0f)', 'NAN')
    """
    if kind == "truth":
        return "1" if value else "0"
    with np.errstate(all="ignore"):
        number = float(np.float32(value)) if kind == "float" else float(value)
    if math.isnan(number):
        return "(-NAN)" if math.copysign(1.0, number) < 0 else "NAN"
    ending = "f" if kind == "float" else ""
    text = "INFINITY" if math.isinf(number) else abs(number).hex() + ending
    return f"(-{text})" if math.copysign(1.0, number) < 0 else text


_UNPLAIN = re.compile(r"[^A-Za-z0-9 _.,:;()\[\]<>=+*/@'-]")


def said(text: str) -> str:
    r"""What users named, as a comment of C: one line of plain signs, none of which begins anything.

    >>> print(said("rate\\\n*/ system(\"rm\");"))
    // rate__*/ system(_rm_);
    """
    return f"// {_UNPLAIN.sub('_', text).strip()}"
