"""The functions that are tested at special values, and their exact derivatives there.

Functions come from the registry, every universal function of one and of two real arguments that has a derivative, with
operators, reductions and short programs beside them.  A derivative is written out a second time here, by the textbook
(Abramowitz & Stegun 1964, chapter 4), and computed in extended precision, whose range is so large that nothing
overflows or vanishes on the way; conventions at kinks are those of docs/conventions.md.  NaN means that nothing is
said: where no derivative exists, and at infinities where a limit would depend on the way there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from shared import REGISTRY, relu, sigmoid, softplus, softsign

Function = Callable[..., Any]
Wide = np.longdouble
PI = Wide("3.14159265358979323846264338327950288")
LOG_2, LOG_10 = np.log(Wide(2)), np.log(Wide(10))

#: Not of real floating-point arguments alone, or of matrices.
OTHER_UFUNCS = {"bitwise_and", "bitwise_or", "bitwise_xor", "invert", "isnat", "ldexp", "matmul", "vecdot",
                "matvec", "vecmat"}  # fmt: skip
#: Whose results are truth values, which have no derivative.
PREDICATES = {"signbit", "isfinite", "isinf", "isnan", "logical_not", "logical_and", "logical_or", "logical_xor",
              "equal", "not_equal", "less", "less_equal", "greater", "greater_equal"}  # fmt: skip


def ufuncs(arguments: int) -> dict[str, Function]:
    """The universal functions of NumPy in the registry of so many arguments, by name; of several results, each one."""
    found: dict[str, Function] = {}
    for key in REGISTRY:
        if not isinstance(key, np.ufunc) or key.nin != arguments or key.__name__ in OTHER_UFUNCS | PREDICATES:
            continue
        if getattr(np, key.__name__, None) is not key:
            continue  # another package's, whose edges are tested with it
        if key.nout == 1:
            found[key.__name__] = key
        else:
            for j in range(key.nout):
                found[f"{key.__name__}[{j}]"] = lambda *args, key=key, j=j: key(*args)[j]
    return found


#: Functions of one argument.
UNARY: dict[str, Function] = {
    **ufuncs(1),
    "-x": operator.neg,
    "+x": operator.pos,
    "abs(x)": operator.abs,
    "relu": relu,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "softsign": softsign,
    "nan_to_num": np.nan_to_num,
    "x ** 0": lambda x: x**0,
    "x ** 1.0": lambda x: x**1.0,
    "x ** 2": lambda x: x**2,
    "x ** 0.5": lambda x: x**0.5,
    "x ** -1.0": lambda x: x**-1.0,
    "0.0 ** x": lambda x: 0.0**x,
    "2.0 ** x": lambda x: 2.0**x,
    "1.0 / x": lambda x: 1.0 / x,
    "maximum(x, 0.1 * x)": lambda x: np.maximum(x, 0.1 * x),
}

#: Functions of two arguments.
BINARY: dict[str, Function] = {
    **ufuncs(2),
    "x + y": operator.add,
    "x - y": operator.sub,
    "x * y": operator.mul,
    "x / y": operator.truediv,
    "x ** y": operator.pow,
    "x % y": operator.mod,
    "x // y": operator.floordiv,
    "sqrt(x) + y": lambda x, y: np.sqrt(x) + y,
    "sum": lambda x, y: np.sum(np.stack([x, y]), axis=0),
    "prod": lambda x, y: np.prod(np.stack([x, y]), axis=0),
    "max": lambda x, y: np.max(np.stack([x, y]), axis=0),
    "min": lambda x, y: np.min(np.stack([x, y]), axis=0),
    "cumsum": lambda x, y: np.cumsum(np.stack([x, y]), axis=0)[1],
    "cumprod": lambda x, y: np.cumprod(np.stack([x, y]), axis=0)[1],
}

# --- exact derivatives ------------------------------------------------------------------------------------------------


def number(value: Any) -> Function:
    return lambda *args: np.full(args[0].shape, value, Wide)


def finite(f: Function) -> Function:
    """Said of finite arguments only."""
    return lambda *args: np.where(np.all(np.isfinite(args), axis=0), f(*args), Wide("nan"))


def chosen(condition: Any, yes: Any, no: Any) -> Any:
    return np.where(condition, Wide(1) * yes, Wide(1) * no)


def winner(beats: Function) -> tuple[Function, Function]:
    """An extremum: one for the operand that decides, one half each in a tie, nothing for NaN."""

    def share(x: Any, y: Any) -> Any:
        return chosen(x == y, 0.5, chosen(beats(x, y) | np.isnan(y), 1, 0))

    return share, lambda x, y: share(y, x)


def softer(exponential: Function) -> tuple[Function, Function]:
    return lambda x, y: 1 / (1 + exponential(y - x)), lambda x, y: 1 / (1 + exponential(x - y))


def at_zero(f: Function) -> Function:
    """Zero where both operands are: the element of least norm."""
    return lambda x, y: chosen((x == 0) & (y == 0), 0, f(x, y))


#: A root or logarithm of -0.0 is that of 0.0: its slope is the limit from within the domain, hence the absolute values.
ONE_ARGUMENT: dict[str, Function] = {
    **dict.fromkeys(["negative", "-x"], number(-1)),
    **dict.fromkeys(["positive", "conjugate", "+x", "x ** 1.0"], number(1)),
    **dict.fromkeys(["floor", "ceil", "rint", "trunc", "spacing", "sign", "modf[1]", "frexp[1]", "x ** 0"], number(0)),
    **dict.fromkeys(["square", "x ** 2"], lambda x: 2 * x),
    **dict.fromkeys(["reciprocal", "1.0 / x", "x ** -1.0"], lambda x: -1 / (x * x)),
    **dict.fromkeys(["sqrt", "x ** 0.5"], lambda x: 0.5 / np.sqrt(np.abs(x))),
    **dict.fromkeys(["fabs", "absolute", "abs(x)"], np.sign),
    **dict.fromkeys(["degrees", "rad2deg"], number(180 / PI)),
    **dict.fromkeys(["radians", "deg2rad"], number(PI / 180)),
    **dict.fromkeys(["exp", "expm1"], np.exp),
    **dict.fromkeys(["exp2", "2.0 ** x"], lambda x: LOG_2 * np.exp2(x)),
    "cbrt": lambda x: 1 / (3 * np.cbrt(x) ** 2),
    "log": lambda x: 1 / np.abs(x),
    "log2": lambda x: 1 / np.abs(x) / LOG_2,
    "log10": lambda x: 1 / np.abs(x) / LOG_10,
    "log1p": lambda x: 1 / np.abs(1 + x),
    "sin": np.cos,
    "cos": lambda x: -np.sin(x),
    "tan": lambda x: 1 + np.tan(x) ** 2,
    "arcsin": lambda x: 1 / np.sqrt((1 - x) * (1 + x)),
    "arccos": lambda x: -1 / np.sqrt((1 - x) * (1 + x)),
    "arctan": lambda x: 1 / (1 + x * x),
    "sinh": np.cosh,
    "cosh": np.sinh,
    "tanh": lambda x: 1 / np.cosh(x) ** 2,
    "arcsinh": lambda x: 1 / np.sqrt(1 + x * x),
    "arccosh": lambda x: 1 / np.sqrt((x - 1) * (x + 1)),
    "arctanh": lambda x: 1 / np.abs((1 - x) * (1 + x)),
    "modf[0]": finite(number(1)),
    "frexp[0]": finite(lambda x: np.ldexp(np.ones_like(x), -np.frexp(x)[1])),
    "nan_to_num": lambda x: chosen(np.isfinite(x), 1, 0),
    "relu": lambda x: chosen(x > 0, 1, 0),
    "sigmoid": lambda x: 1 / (2 + np.exp(x) + np.exp(-x)),
    "softplus": lambda x: 1 / (1 + np.exp(-x)),
    "softsign": lambda x: 1 / (1 + np.abs(x)) ** 2,
    "0.0 ** x": lambda x: chosen(x > 0, 0, Wide("nan")),
    "maximum(x, 0.1 * x)": finite(lambda x: chosen(x == 0, Wide("0.55"), chosen(x > 0, 1, Wide("0.1")))),
}

POWER = (
    # A base of -0.0 counts as 0.0: nearly all exponents are no integers, and there a power of -0.0 is that of 0.0.
    lambda x, y: chosen(y == 0, 0, y * np.power(np.where((x == 0) & (np.abs(y) < 1), 0, x), y - 1)),
    # 0**y is 0 for every y > 0; for y < 0 it is infinite, and at 0 it jumps: nothing is said of these.
    lambda x, y: chosen(x == 0, chosen(y > 0, 0, Wide("nan")), np.power(x, y) * np.log(x)),
)
MAXIMUM, MINIMUM = winner(np.greater), winner(np.less)
SUM = number(1), number(1)
PRODUCT = lambda x, y: y, lambda x, y: x
QUOTIENT = lambda x, y: 1 / y, lambda x, y: -x / y / y
NONE = number(0), number(0)
REMAINDER = number(1), finite(lambda x, y: -np.floor(x / y))

TWO_ARGUMENTS: dict[str, tuple[Function, Function]] = {
    **dict.fromkeys(["add", "x + y", "sum", "cumsum"], SUM),
    **dict.fromkeys(["subtract", "x - y"], (number(1), number(-1))),
    **dict.fromkeys(["multiply", "x * y", "prod", "cumprod"], PRODUCT),
    **dict.fromkeys(["divide", "x / y"], QUOTIENT),
    **dict.fromkeys(["power", "float_power", "x ** y"], POWER),
    **dict.fromkeys(["remainder", "x % y", "divmod[1]"], REMAINDER),
    **dict.fromkeys(["floor_divide", "x // y", "divmod[0]"], NONE),
    **dict.fromkeys(["maximum", "fmax", "max"], MAXIMUM),
    **dict.fromkeys(["minimum", "fmin", "min"], MINIMUM),
    "fmod": (number(1), finite(lambda x, y: -np.trunc(x / y))),
    "hypot": (at_zero(lambda x, y: x / np.hypot(x, y)), at_zero(lambda x, y: y / np.hypot(x, y))),
    "arctan2": (lambda x, y: y / (x * x + y * y), lambda x, y: -x / (x * x + y * y)),
    "logaddexp": softer(np.exp),
    "logaddexp2": softer(np.exp2),
    "copysign": (lambda x, y: np.sign(x) * np.copysign(Wide(1), y), number(0)),
    "nextafter": (number(1), number(0)),
    # Its second argument is its value at zero.
    "heaviside": (number(0), lambda x, y: chosen(x == 0, 1, 0)),
    "sqrt(x) + y": (lambda x, y: 0.5 / np.sqrt(np.abs(x)), number(1)),
}


def exact(name: str) -> tuple[Function, ...]:
    """The partial derivatives of a function by each of its arguments."""
    return (ONE_ARGUMENT[name],) if name in UNARY else TWO_ARGUMENTS[name]
