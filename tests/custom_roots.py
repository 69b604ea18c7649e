"""A function whose derivative NumPy code does not show, with rules of its own: what several tests try."""

from __future__ import annotations

import math
from typing import Any

import pytest

import dualad
import reversead
from shared.linear.custom import custom_derivative

ENGINES = (dualad, reversead)
over_engines = pytest.mark.parametrize("outer", ENGINES, ids=lambda engine: f"{engine.__name__}-over")


def square_root(x: float) -> float:
    """The square root, by Python's own float function."""
    return math.sqrt(x)


def root_jvp(tangents: Any, out: Any, x: Any) -> Any:
    return tangents[0] / (2 * out)


def root_vjp(cotangent: Any, out: Any, x: Any) -> Any:
    return (cotangent / (2 * out),)


ROOTS = {
    "jvp": custom_derivative(square_root, jvp=root_jvp),
    "vjp": custom_derivative(square_root, vjp=root_vjp),
    "both": custom_derivative(square_root, jvp=root_jvp, vjp=root_vjp),
}
roots = pytest.mark.parametrize("root", ROOTS.values(), ids=ROOTS.keys())
