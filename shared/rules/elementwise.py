"""The table of derivatives: NumPy's elementwise functions, from trivial to hard.

One line a function: the function, then its local partial derivative per argument, as a number or as a function of the
output and the arguments.  None: no derivative with respect to that argument.  At kinks every partial is the element of
least norm of the Clarke subdifferential over all operands jointly (Clarke 1983, section 2.1): 0 for abs at 0, one half
each for a tie of `maximum`.  Where a function is not Lipschitz it is the one-sided limit (sqrt'(0) = inf).  Formulas:
Abramowitz & Stegun 1964, sections 3.3, 4.1 to 4.6.

A row without a count counts as one elementary function an element.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.duck_array import DuckArray
from shared.core.errors import NoRuleError, user_line
from shared.core.facets import (
    ADDITION,
    COMPARISON,
    DIVISION,
    FUNCTION,
    MOVE,
    MULTIPLICATION,
    NOTHING,
    Count,
    CountRule,
    Jointly,
    align,
    is_truth,
    size_of,
)
from shared.core.levels import Tracer
from shared.core.registry import alias, composite, constant, elementwise, infix, internal_constant, rule
from shared.rules.reductions import strong, unwrapped
from shared.rules.special import SIGMOID

_LOG_2, _LOG_10 = math.log(2), math.log(10)

# --- arithmetic -------------------------------------------------------------------------------------------------------


def _difference_tangent(out: Any, values: Any, tangents: Any, static: Any) -> Any:
    first, second = tangents
    return first if second is None else -second if first is None else first - second


def _quotient(x: Any, y: Any) -> Any:
    # np.divide of two Python floats has a slope at a pole, where Python's own operator raises.
    try:
        return x / y
    except ZeroDivisionError:
        return np.divide(x, y)


def _quotient_tangent(out: Any, values: Any, tangents: Any, static: Any) -> Any:
    first, second = tangents
    if second is None:
        return _quotient(first, values[1])
    return _quotient(-(out * second) if first is None else first - out * second, values[1])


_SUM: dict[str, Any] = {"count": ADDITION, "dependence": "sum of two", "linear": Jointly(0, 1)}
_COPY: dict[str, Any] = {"count": MOVE, "dependence": "zero at zero", "linear": (0,)}
_CHANGE_OF_SIGN: dict[str, Any] = {"count": ADDITION, "dependence": "zero at zero"}

add = elementwise(np.add, 1, 1, **_SUM)
subtract = elementwise(np.subtract, 1, -1, joint_push=_difference_tangent, **_SUM)
multiply = elementwise(np.multiply, lambda y: y, lambda x: x,
                       count=MULTIPLICATION, dependence="product", linear=(0, 1))  # fmt: skip
negative = elementwise(np.negative, -1, linear=(0,), **_CHANGE_OF_SIGN)
positive = elementwise(np.positive, 1, **_COPY)
divide = rule(
    np.divide,
    common=lambda c, y: _quotient(c, y),
    vjps=(lambda c: c, lambda c, out: -out * c),
    jvps=(lambda t, y: _quotient(t, y), lambda t, out, y: _quotient(-out * t, y)),
    joint_push=_quotient_tangent,
    broadcasts=True,
    because="both cotangents share the quotient c / y, so computing it once keeps the gradient within its bound",
    count=DIVISION,
    dependence="quotient",
    linear=(0,),
)
square = elementwise(np.square, lambda x: x + x, count=MULTIPLICATION)
reciprocal = elementwise(np.reciprocal, lambda out: -out * out, count=DIVISION)


def _is_weak(x: Any) -> bool:
    """Whether it is a Python float, or stands for one."""
    while isinstance(x, Tracer):
        x = x.primal  # type: ignore[attr-defined]
    return x.__class__ is float


def _is_complex_power(x: Any, y: Any) -> bool:
    """Whether x**y is complex of two Python floats: np.power, and the operator of all other numbers, make NaN."""
    if not (_is_weak(y) and _is_weak(x)):
        return False
    # What is asked of a recorded number is a branch of the record: a plain exponent is asked first.
    return bool(y % 1 != 0 and x < 0) if y.__class__ is float else bool(x < 0 and y % 1 != 0)


def _operator_partial(x: Any, y: Any) -> Any:
    if x.__class__ is not np.ndarray and y.__class__ is not np.ndarray and _is_complex_power(x, y):
        return y * x ** (y - 1.0)
    return _power_partial(x, y)


def _power_partial(x: Any, y: Any) -> Any:
    # x**0 is 1 whatever x, so its derivative is 0 even where y * x**(y - 1) would be 0 * inf.
    if isinstance(y, (int, float)):
        return y * np.power(x, y - 1.0) if y != 0 else np.zeros_like(x)
    # The exponent stays y - 1, on which the second derivative depends; the base is replaced where 0 * inf would arise.
    # That is where the reciprocal of the base overflows, or is NaN.  Zero is added lest -0.0 be odd to a rounded y - 1.
    kind = np.result_type(x, y)
    spoils = np.logical_and(y == 0, np.logical_not(np.abs(x) > np.finfo(kind).tiny))
    return y * np.power(np.where(spoils, kind.type(1), x + 0.0), y - 1)


def _exponent_partial(out: Any, x: Any) -> Any:
    # 0**y is 0 for every y > 0, so its derivative is 0 where out * log(x) would be 0 * -inf.  Of a negative base only
    # the powers at whole numbers are real, so there is none: NaN, as the logarithm.
    if isinstance(x, (int, float)):
        if x < 0:
            return out * (np.log(complex(x)) if np.iscomplexobj(out) else math.nan)
        return out * (math.log(x) if x else 0.0)
    kind = np.result_type(out)
    if kind.kind == "c":
        return out * np.log(x + strong(x == 0).astype(kind))
    return out * np.log(np.where(x == 0, kind.type(1), x))


def _operator_tangent(out: Any, values: Any, tangents: Any, static: Any) -> Any:
    if tangents[1] is None:
        return tangents[0] * _operator_partial(*values)
    if np.iscomplexobj(out) and tangents[0] is not None:
        return tangents[0] * _operator_partial(*values) + tangents[1] * _exponent_partial(out, values[0])
    return _power_tangent(out, values, tangents, static)


def _power_tangent(out: Any, values: Any, tangents: Any, static: Any) -> Any:
    (x, y), (first, second) = values, tangents
    if first is None:
        return second * _exponent_partial(out, x)
    if second is None:
        return first * _power_partial(x, y)
    kind = np.result_type(out)
    if isinstance(y, (int, float)) or kind.kind == "c":
        return first * _power_partial(x, y) + second * _exponent_partial(out, x)
    # The same with one comparison for both.
    zero, one = x == 0, kind.type(1)
    slope = y * np.power(np.where(np.logical_and(y == 0, zero), one, x), y - 1)
    return first * slope + second * (out * np.log(np.where(zero, one, x)))


_POWER: dict[str, Any] = {"joint_push": _power_tangent, "dependence": "power"}
power = elementwise(np.power, _power_partial, _exponent_partial, **_POWER)
float_power = elementwise(np.float_power, _power_partial, _exponent_partial, **_POWER)
# Zero is added because the slope at -0.0 is that at 0.0, which it equals: the limit from within the domain.
sqrt = elementwise(np.sqrt, lambda out: np.divide(0.5, out + 0.0))
elementwise(np.cbrt, lambda out: 1 / (3 * out * out))

# np.divide and not the operator: at a pole Python's floats raise ZeroDivisionError, where the slope is inf.

# --- exponentials and logarithms --------------------------------------------------------------------------------------

exp = elementwise(np.exp, lambda out: out)
elementwise(np.exp2, lambda out: out * _LOG_2)
# Not out + 1, which is 0 from -37 on.
elementwise(np.expm1, np.exp)
log = elementwise(np.log, lambda x: np.divide(1, x + 0.0))
elementwise(np.log2, lambda x: np.divide(1 / _LOG_2, x + 0.0))
elementwise(np.log10, lambda x: np.divide(1 / _LOG_10, x + 0.0))
elementwise(np.log1p, lambda x: np.divide(1, 1 + x))

# --- trigonometric and hyperbolic functions ---------------------------------------------------------------------------

sin = elementwise(np.sin, np.cos)
cos = elementwise(np.cos, lambda x: -np.sin(x))
elementwise(np.tan, lambda out: 1 + out * out)
elementwise(np.arcsin, lambda x: 1 / np.sqrt((1 - x) * (1 + x)))
elementwise(np.arccos, lambda x: -1 / np.sqrt((1 - x) * (1 + x)))
elementwise(np.arctan, lambda x: 1 / (1 + x * x))
elementwise(np.sinh, np.cosh)
elementwise(np.cosh, np.sinh)
tanh = elementwise(np.tanh, lambda out: 1 - out * out)
elementwise(np.arcsinh, lambda x: 1 / (np.sqrt(1 + x * x) if np.iscomplexobj(x) else np.hypot(1, x)))
elementwise(np.arccosh, lambda x: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1)))
elementwise(np.arctanh, lambda x: np.divide(1, (1 - x) * (1 + x)))
_MULTIPLE: dict[str, Any] = {"count": MULTIPLICATION, "linear": (0,)}
elementwise(np.degrees, float(180 / np.pi), **_MULTIPLE)
elementwise(np.rad2deg, float(180 / np.pi), **_MULTIPLE)
elementwise(np.radians, float(np.pi / 180), **_MULTIPLE)
elementwise(np.deg2rad, float(np.pi / 180), **_MULTIPLE)


def _copysign_partial(out: Any, x: Any) -> Any:
    # The sign of x in the dtype of the output, which np.sign of a Python float would not have.
    return np.sign(out) * np.where(x == 0, 0, np.where(x < 0, -1, 1)).astype(out.dtype)


# --- functions of two arguments ---------------------------------------------------------------------------------------


def _nonzero(x: Any) -> Any:
    """`x` with its zeros replaced by ones: a divisor for a quotient whose numerator is zero there."""
    return np.where(x == 0, 1, x)


elementwise(np.hypot, lambda out, x: x / _nonzero(out), lambda out, y: y / _nonzero(out))


# The first argument of arctan2 is the ordinate; the rule calls it x like every first argument.
def _angle_tangent(out: Any, values: Any, tangents: Any, static: Any) -> Any:
    (x, y), (first, second) = values, tangents
    radius = np.hypot(x, y)
    if second is None:
        return first * (y / radius) / radius
    across = second * (x / radius)
    return (-across if first is None else first * (y / radius) - across) / radius


arctan2 = rule(
    np.arctan2,
    common=lambda c, x, y: c / np.hypot(x, y),
    vjps=(lambda c, x, y: c * (y / np.hypot(x, y)), lambda c, x, y: -c * (x / np.hypot(x, y))),
    jvps=(
        lambda t, x, y: t * (y / np.hypot(x, y)) / np.hypot(x, y),
        lambda t, x, y: -t * (x / np.hypot(x, y)) / np.hypot(x, y),
    ),
    joint_push=_angle_tangent,
    broadcasts=True,
    because="both cotangents share a quotient; divided twice, and not by a square, they cannot overflow",
    count=FUNCTION,
    dependence="elementwise",
)
# Of the difference of the operands, since beside a large number the output has lost what exp(x - out) would need.
elementwise(np.logaddexp, lambda x, y: SIGMOID(x - y), lambda x, y: SIGMOID(y - x))
elementwise(np.logaddexp2, lambda x, y: SIGMOID((x - y) * _LOG_2), lambda x, y: SIGMOID((y - x) * _LOG_2))
# A quotient and its floor; x less the floor's multiple of y
_REMAINDER = Count(divide=1, compare=1, multiply=1, add=1)
remainder = elementwise(np.remainder, 1, lambda x, y: -np.floor_divide(x, y), count=_REMAINDER)
elementwise(np.fmod, 1, lambda x, y: -np.trunc(np.divide(x, y)), count=_REMAINDER)
elementwise(np.copysign, _copysign_partial, None, count=ADDITION)
elementwise(np.ldexp, lambda out, x, y: np.ldexp(np.ones_like(out), y), None, count=MULTIPLICATION, linear=(0,))
elementwise(np.nextafter, 1, None, count=COMPARISON)


def _at_zero(c: Any, x: Any, y: Any) -> Any:
    return np.where(x == 0, c, np.result_type(x, y).type(0))


rule(
    np.heaviside,
    vjps=(None, lambda c, x, y: _at_zero(c, x, y)),
    jvps=(None, lambda t, x, y: _at_zero(t, x, y)),
    broadcasts=True,
    because="its second argument is its value at zero and nowhere else: a choice, so that no inf * 0 arises",
    count=Count(compare=2),  # Is it positive, and if not, is it negative?
    dependence="elementwise",
)

# --- kinks ------------------------------------------------------------------------------------------------------------


def _share(c: Any, wins: Any, x: Any, y: Any) -> Any:
    """`c` where an operand wins, half of it in a tie, zero elsewhere; a choice, so that no inf * 0 arises."""
    # Beside a Python float alone np.where would choose float64, whatever the operands are.
    zero = 0 if np.ndim(c) else np.result_type(x, y).type(0)
    return np.where(x == y, 0.5 * c, np.where(wins, c, zero))


def _extremum(function: Any, beats: Any, ignores_nan: bool) -> None:
    """Declare maximum or one of its kin; `beats(x, y)` says where the first operand alone decides."""

    def wins(x: Any, y: Any) -> Any:
        return (beats(x, y) | np.isnan(y)) if ignores_nan else beats(x, y)

    def first(c: Any, x: Any, y: Any) -> Any:
        return _share(c, wins(x, y), x, y)

    def second(c: Any, x: Any, y: Any) -> Any:
        # Beside NaN too, exactly one of both decides.
        return _share(c, np.logical_not(wins(x, y)), x, y)

    def joint(out: Any, values: Any, tangents: Any, static: Any) -> Any:
        (x, y), (of_x, of_y) = values, tangents
        if of_x is None:
            return second(of_y, x, y)
        if of_y is None:
            return first(of_x, x, y)
        return np.where(x == y, 0.5 * (of_x + of_y), np.where(wins(x, y), of_x, of_y))

    rule(
        function,
        vjps=(first, second),
        jvps=(first, second),
        joint_push=joint,
        broadcasts=True,
        because="the partial is a choice between operands: multiplying by it would make NaN of an infinite cotangent",
        # Where not-a-numbers are passed over, two more tests
        count=Count(compare=3 if ignores_nan else 1, move=1),
        dependence="elementwise",
    )


_extremum(np.maximum, operator.gt, ignores_nan=False)
_extremum(np.minimum, operator.lt, ignores_nan=False)
_extremum(np.fmax, operator.gt, ignores_nan=True)
_extremum(np.fmin, operator.lt, ignores_nan=True)

elementwise(np.fabs, lambda x: np.sign(x), **_CHANGE_OF_SIGN)


def _abs_vjp(c: Any, out: Any, x: Any) -> Any:
    return c * np.conjugate(x) / _nonzero(out) if np.iscomplexobj(x) else c * np.sign(x)


def _abs_jvp(t: Any, out: Any, x: Any) -> Any:
    return np.real(t * np.conjugate(x)) / _nonzero(out) if np.iscomplexobj(x) else t * np.sign(x)


absolute = rule(
    np.absolute,
    vjps=(_abs_vjp,),
    jvps=(_abs_jvp,),
    because="of a complex argument it is not complex-linear, so no factor describes it",
    **_CHANGE_OF_SIGN,
)

# --- complex parts: linear over the reals -----------------------------------------------------------------------------


def _real(x: Any) -> Any:
    return np.real(x)


rule(
    np.conjugate,
    vjps=(lambda c: np.conjugate(c),),
    jvps=(lambda t: np.conjugate(t),),
    because="linear over the reals only",
    linear=(0,),
    **_CHANGE_OF_SIGN,
)
REAL = rule(
    _real,
    vjps=(lambda c: c + 0j,),
    jvps=(lambda t: np.real(t),),
    because="linear over the reals only",
    memory="view",
    batch=align,
    **_COPY,
)


@composite(np.real)
def _real_call(val: Any) -> Any:
    # Of a real array NumPy returns the array itself, so a change of one is a change of the other.
    return REAL(val) if np.iscomplexobj(val) else val


rule(
    np.imag,
    vjps=(lambda c, x: -1j * c if np.iscomplexobj(x) else 0 * c,),
    jvps=(lambda t, x: np.imag(t),),
    because="linear over the reals only",
    count=MOVE,
    memory="view",
    batch=align,
    dependence="imaginary part",
    linear=(0,),
)

# --- zero derivative --------------------------------------------------------------------------------------------------


def _logic(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    # A number has to be compared with zero first, or its bits combined.
    return size_of(out) * COMPARISON if not all(map(is_truth, operands)) else NOTHING


def _rounding(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    decimals = operands[1] if len(operands) > 1 else static.get("decimals", 0)
    # Beside the rounding, a multiplication by a power of ten and a division by it.
    scaled = isinstance(decimals, int) and decimals == 0
    return size_of(out) * (COMPARISON if scaled else Count(compare=1, multiply=1, divide=1))


def _of_both(count: Count) -> CountRule:
    return lambda out, operands, static: max(map(size_of, operands[:2])) * count


#: |x - y| <= a + r |y|
_CLOSE = Count(add=4, multiply=1, compare=1)
#: what NumPy's functions and Python's operators do that act element by element and are no ufuncs
_LIKE_UFUNCS: dict[str, Any] = {"memory": "fresh", "batch": align}
_FLOOR_OF_QUOTIENT, _SIGN = Count(divide=1, compare=1), Count(compare=2)

constant(
    np.floor, np.ceil, np.rint, np.trunc, np.signbit, np.spacing, np.isfinite, np.isinf, np.isnan, np.isnat,
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal, count=COMPARISON,
)  # fmt: skip
constant(np.isposinf, np.isneginf, np.iscomplex, np.isreal, count=COMPARISON, **_LIKE_UFUNCS)
constant(np.logical_and, np.logical_or, np.logical_xor, np.logical_not, count=_logic)
constant(np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert, count=_logic)
constant(np.floor_divide, count=_FLOOR_OF_QUOTIENT)
constant(np.round, count=_rounding, **_LIKE_UFUNCS)
alias(np.around, np.round)
constant(np.isclose, count=_CLOSE, **_LIKE_UFUNCS)
constant(np.allclose, count=_of_both(_CLOSE + COMPARISON), memory="fresh")
constant(np.array_equal, np.array_equiv, count=_of_both(Count(compare=2)), memory="fresh")


def _sign(x: Any) -> Any:
    return np.sign(x)


SIGN = internal_constant(_sign, count=_SIGN, batch=align)


@composite(np.sign)
def _sign_call(x: Any) -> Any:
    if np.iscomplexobj(x):
        raise NoRuleError(f"np.sign of a complex number has no derivative rule{user_line()}; write z / np.abs(z)")
    return SIGN(x)


# --- rewritten in terms of others -------------------------------------------------------------------------------------


@composite(np.angle)
def _angle(z: Any, deg: bool = False) -> Any:
    z = strong(z)
    # Of a real number it is 0 or pi, and does not vary.
    angle = np.arctan2(z.imag, z.real) if z.dtype.kind == "c" else np.arctan2(0, SIGN(z))
    return unwrapped(angle * (180 / np.pi) if deg else angle)


def _exponent(x: Any) -> Any:
    return np.frexp(x)[1]


EXPONENT = internal_constant(_exponent, count=COMPARISON, batch=align)


@composite(np.frexp)
def _frexp(x: Any) -> Any:
    exponent = EXPONENT(x)
    # By halves, since the power of two for the least numbers is beyond the greatest
    half = exponent // 2
    return np.ldexp(np.ldexp(x, -half), half - exponent), exponent


@composite(np.fix)
def _fix(x: Any, out: None = None) -> Any:
    return np.trunc(x)


@composite(np.real_if_close)
def _real_if_close(a: Any, tol: float = 100) -> Any:
    a = strong(a)
    if a.dtype.kind != "c":
        # NumPy makes an array of a number.
        return a.conformed(a, np.zeros(())) if isinstance(a, DuckArray) and not a.is_array else a
    limit = np.finfo(a.dtype).eps * tol if tol > 1 else tol
    return a.real if np.all(np.abs(a.imag) < limit) else a


@composite(np.divmod)
def _divmod(x: Any, y: Any) -> Any:
    return np.floor_divide(x, y), np.remainder(x, y)


@composite(np.modf)
def _modf(x: Any) -> Any:
    whole = np.trunc(x)
    infinite = np.isinf(x)
    number, integer = np.where(infinite, 0, x), np.where(infinite, 0, whole)
    # A fraction has the sign of its number, zero too.
    return unwrapped(np.where(np.signbit(x), -(integer - number), number - integer)), whole


@composite(np.clip)
def _clip(
    a: Any, a_min: Any = None, a_max: Any = None, out: None = None, *,
    min: Any = None, max: Any = None, **keywords: Any,
) -> Any:  # fmt: skip
    a = strong(a)
    low, high = (a_min if min is None else min), (a_max if max is None else max)
    if keywords:
        return _clip_with(a, low, high, **keywords)
    if low is None and high is None:
        return np.positive(a)  # a new array, as NumPy's
    if low is not None:
        a = np.maximum(a, low)
    return a if high is None else np.minimum(a, high)


def _clip_with(a: Any, low: Any, high: Any, *, dtype: Any = None, where: Any = True, **keywords: Any) -> Any:
    """`np.clip` with the keywords of a ufunc: of the dtype in which it computes, and zero beside what `where` tells."""
    keywords["dtype"] = dtype
    if low is None and high is None:
        return np.positive(a, where=where, **keywords)
    if low is not None:
        a = np.maximum(a, low, where=where if high is None else True, **keywords)
    return a if high is None else np.minimum(a, high, where=where, **keywords)


@composite(np.nan_to_num)
def _nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    if x.dtype.kind == "c":
        real, imaginary = (np.nan_to_num(part, nan=nan, posinf=posinf, neginf=neginf) for part in (x.real, x.imag))
        finite = real + 1j * imaginary
    elif x.dtype.kind != "f":
        finite = np.copy(x)
    else:
        finite = _finite(x, nan, posinf, neginf)
    if copy or not np.ndim(x):
        return unwrapped(finite)
    x[...] = finite
    return x


def _finite(x: Any, nan: float, posinf: Any, neginf: Any) -> Any:
    limits = np.finfo(x.dtype)
    high, low = (limits.max if posinf is None else posinf), (limits.min if neginf is None else neginf)
    return np.where(np.isnan(x), nan, np.where(np.isposinf(x), high, np.where(np.isneginf(x), low, x)))


# --- operators: evaluated by Python's own, so that a Python float stays one -------------------------------------------


ADD = infix(add, operator.add)
SUBTRACT = infix(subtract, operator.sub)
MULTIPLY = infix(multiply, operator.mul)
DIVIDE = infix(divide, operator.truediv)
# Leaves the reals for (-8.0) ** (1 / 3), as Python does
POWER = infix(power, operator.pow, _operator_partial, _exponent_partial, joint_push=_operator_tangent)
NEGATIVE = infix(negative, operator.neg)
POSITIVE = infix(positive, operator.pos)
ABSOLUTE = infix(absolute, operator.abs)
MODULO = infix(remainder, operator.mod)
#: comparisons and floor division of Python floats stay Python's own
CONSTANT_OPERATORS = {
    **{
        name: internal_constant(getattr(operator, name), count=COMPARISON, **_LIKE_UFUNCS)
        for name in ("lt", "le", "gt", "ge", "eq", "ne")
    },
    "floordiv": internal_constant(operator.floordiv, count=_FLOOR_OF_QUOTIENT, **_LIKE_UFUNCS),
}
#: of truth values and integers, which some levels trace
LOGICAL_OPERATORS = {
    name: internal_constant(function, count=_logic, **_LIKE_UFUNCS)
    for name, function in (("and", operator.and_), ("or", operator.or_), ("xor", operator.xor))
}
INVERT = internal_constant(operator.invert, count=_logic, **_LIKE_UFUNCS)
