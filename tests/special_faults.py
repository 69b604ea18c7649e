"""The known faults at special values: a table that can only shrink.

Each row says of one or several functions at which points of the grid something is wrong, and what would be right.
`test_special_values.py` compares what it finds with these rows exactly: a fault that is not listed fails, and so does a
row that is not found any more, which is then to be deleted.  This module knows nothing of rules and engines.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

from special_values import DOUBLE, FORMS, Finding


class Fault(NamedTuple):
    """Points are written as alternatives, separated by "; ", of a set of numbers for each argument: "* - nan" is
    every number but NaN."""

    functions: str
    check: str
    argument: str
    points: str
    right: str
    forms: tuple[str, ...] = FORMS

    def findings(self) -> set[Finding]:
        names = {
            ", ".join(row)
            for alternative in self.points.split("; ")
            for row in product(*map(_numbers, alternative.split(", ")))
        }
        return {Finding(self.check, self.argument, point, form) for point in names for form in self.forms}


def _numbers(text: str) -> list[str]:
    wanted, _, unwanted = text.partition(" - ")
    found = list(DOUBLE) if wanted == "*" else wanted.split()
    assert set(found) <= set(DOUBLE) and set(unwanted.split()) <= set(found), f"no such points: {text}"
    return [number for number in found if number not in unwanted.split()]


ARRAYS = ("double", "single")
FLOATS = ("float",)

#: Functions are separated by "; ".
FAULTS = [
    # --- roots and logarithms at -0.0 ---------------------------------------------------------------------------------
    Fault("sqrt; log; log2; log10", "exact", "x", "-0",
          "inf, as at 0.0, which it equals: the limit from within the domain; -inf is found"),
    Fault("x ** 0.5", "exact", "x", "-0", "inf, as of floats and at 0.0; -inf is found", ARRAYS),
    Fault("sqrt(x) + y", "exact", "x", "-0, * - nan", "inf, as at 0.0"),
    # --- quotients ----------------------------------------------------------------------------------------------------
    Fault("divide; x / y", "engines", "y", "0 -0, least",
          "0 in both modes: in reverse mode 0 * (1 / y) is NaN where 1 / y overflows"),
    Fault("divide; fmod", "raises", "", "*, 0 -0",
          "NumPy's value and slope: a quotient in the rule is Python's, of floats, and raises", FLOATS),
    Fault("arctan2", "engines", "x", "least, 0 -0", "0 in both modes: in reverse mode c / r overflows first"),
    Fault("arctan2", "engines", "y", "0 -0, least", "0 in both modes: in reverse mode c / r overflows first"),
    # --- powers -------------------------------------------------------------------------------------------------------
    Fault("power; float_power; x ** y", "exact", "x", "least nan, 0 -0",
          "0, since x**0 is 1 for every x: an exponent that is an array is only looked at where the base is 0", ARRAYS),
    Fault("power; float_power; x ** y", "joint", "both", "least, 0 -0",
          "the sum of the partials: along both the exponent is not looked at where the base is not 0", FLOATS),
    Fault("power; float_power; x ** y", "exact", "x", "-0, least",
          "inf: y - 1 is rounded to the odd number -1, whose power of -0.0 is -inf", FLOATS),
    Fault("power; float_power; x ** y", "exact", "x", "least, least",
          "1: x ** (y - 1) overflows before y makes it small"),
    # --- functions of two arguments -----------------------------------------------------------------------------------
    Fault("hypot", "exact", "x", "least, least", "sqrt(1/2): the output is rounded to the least number"),
    Fault("hypot", "exact", "y", "least, least", "sqrt(1/2): the output is rounded to the least number"),
    Fault("logaddexp; logaddexp2", "exact", "x", "inf, * - inf nan",
          "1, the limit: exp(x - out) is exp(inf - inf); 1 / (1 + exp(y - x)) would be right"),
    Fault("logaddexp; logaddexp2", "exact", "y", "* - inf nan, inf",
          "1, the limit: exp(y - out) is exp(inf - inf); 1 / (1 + exp(x - y)) would be right"),
    Fault("logaddexp; logaddexp2", "exact", "x", "huge, huge; -huge, -huge",
          "1/2: the logarithm of 2 is lost in the output, so that the partials add up to 2"),
    Fault("logaddexp; logaddexp2", "exact", "y", "huge, huge; -huge, -huge",
          "1/2: the logarithm of 2 is lost in the output, so that the partials add up to 2"),
    Fault("heaviside", "exact", "y", "0 -0, * - nan", "1, for at 0 the value is the second argument; it is 0 now"),
    # --- extrema of NaN -----------------------------------------------------------------------------------------------
    Fault("maximum; minimum", "joint", "both", "nan, *; * - nan, nan",
          "the sum of the partials: each is 0 where an operand is NaN, but along both it is the second tangent"),
    Fault("fmax; fmin", "joint", "both", "nan, nan", "one answer: each partial is 1, so together 2, but 1 is found"),
    Fault("maximum(x, 0.1 * x)", "engines", "x", "nan", "one answer in both modes"),
    # --- reductions ---------------------------------------------------------------------------------------------------
    Fault("prod; cumprod", "engines", "x", "inf -inf nan, * - nan",
          "the other factor, as in reverse mode: forwards the zero tangent of the other one meets an infinite slope"),
    Fault("prod; cumprod", "engines", "y", "* - nan, inf -inf nan",
          "the other factor, as in reverse mode: forwards the zero tangent of the other one meets an infinite slope"),
    Fault("prod; cumprod", "exact", "x", "inf -inf, * - 0 -0 nan", "the other factor, as in reverse mode"),
    Fault("prod; cumprod", "exact", "y", "* - 0 -0 nan, inf -inf", "the other factor, as in reverse mode"),
    # --- values -------------------------------------------------------------------------------------------------------
    Fault("modf[0]", "value", "", "-inf -huge -1 -0", "-0.0, as NumPy's: a fraction has the sign of its number"),
]  # fmt: skip


def known(name: str) -> set[Finding]:
    """All that the table says of one function."""
    rows = [fault for fault in FAULTS if name in fault.functions.split("; ")]
    return {finding for fault in rows for finding in fault.findings()}


#: Quotients whose gradient by one array, in forward mode, has NaN beside an infinite element: they are elementwise, so
#: the elements should be kept apart.
NOT_APART = ["1.0 / x", "divide", "arctan2", "x / y"]

#: Functions whose gradient by both numbers at once, in forward mode, has NaN beside an infinite or NaN partial: a
#: direction that does not move an argument should not meet its slope.  Extrema of NaN are those of the table above.
NOT_SEPARATE = [
    "multiply", "divide", "power", "float_power", "hypot", "arctan2", "logaddexp", "logaddexp2", "remainder", "fmod",
    "copysign", "maximum", "minimum", "fmax", "fmin", "divmod[1]", "x * y", "x / y", "x ** y", "x % y", "sqrt(x) + y",
]  # fmt: skip
