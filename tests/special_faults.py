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
    # --- quotients ----------------------------------------------------------------------------------------------------
    Fault("divide; x / y", "engines", "y", "0 -0, least",
          "0 in both modes: in reverse mode 0 * (1 / y) is NaN where 1 / y overflows"),
    Fault("arctan2", "engines", "x", "least, 0 -0", "0 in both modes: in reverse mode c / r overflows first"),
    Fault("arctan2", "engines", "y", "0 -0, least", "0 in both modes: in reverse mode c / r overflows first"),
    # --- powers -------------------------------------------------------------------------------------------------------
    Fault("power; x ** y", "joint", "both", "least, 0 -0",
          "the sum of the partials: along both one comparison serves both, which takes the least number for ordinary",
          ARRAYS),
    Fault("float_power", "joint", "both", "least, 0 -0", "the sum of the partials", ("double",)),
    Fault("power; float_power; x ** y", "exact", "x", "-0, least",
          "inf: y - 1 is rounded to the odd number -1, whose power of -0.0 is -inf", FLOATS),
    Fault("power; float_power; x ** y", "exact", "x", "least, least",
          "1: x ** (y - 1) overflows before y makes it small"),
    # --- functions of two arguments -----------------------------------------------------------------------------------
    Fault("hypot", "exact", "x", "least, least", "sqrt(1/2): the output is rounded to the least number"),
    Fault("hypot", "exact", "y", "least, least", "sqrt(1/2): the output is rounded to the least number"),
]  # fmt: skip


def known(name: str) -> set[Finding]:
    """All that the table says of one function."""
    rows = [fault for fault in FAULTS if name in fault.functions.split("; ")]
    return {finding for fault in rows for finding in fault.findings()}
