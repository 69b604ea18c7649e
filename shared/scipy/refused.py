"""What is refused: arguments that have a derivative which no rule computes, and functions without any rule.

A wrong number or a zero in their place would go unnoticed.  This module knows no function.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from shared.core.errors import NoRuleError, user_line

#: Why, by the function and the position of the argument
REFUSED: dict[tuple[Any, int], str] = {}


def arguments_of(ufunc: np.ufunc) -> list[str]:
    """The names of a ufunc's arguments, as its documentation has them.

    >>> from scipy import special
    >>> arguments_of(special.jv)
    ['v', 'z']
    """
    # Of both lines with the arguments, SciPy's has no "/" in it.
    found = re.search(r"^ *\w+\(([^/\n]*?),? *out=", ufunc.__doc__ or "", re.MULTILINE)
    return re.findall(r"\w+", found[1])[: ufunc.nin] if found else [f"x{k}" for k in range(ufunc.nin)]


def refused(ufunc: np.ufunc, position: int, why: str) -> Callable[[Any], Any]:
    """The partial derivative of a ufunc by an argument for which there is none: it raises."""
    REFUSED[ufunc, position] = why

    def partial(x: Any) -> Any:
        argument = arguments_of(ufunc)[position]
        raise NoRuleError(
            f"scipy.special.{ufunc.__name__} has no derivative rule in its argument {argument}{user_line()}: {why}. "
            f"Keep {argument} out of what is differentiated (argnums, or stop_gradient({argument})), or call it in a "
            "function with a shared.custom_derivative. What has a rule is in docs/scipy-special.md."
        )

    return partial


def real_only(name: str, *values: Any) -> None:
    """Refuse complex arguments of which a derivative is not known, though that of real ones is."""
    if any(np.iscomplexobj(value) for value in values):
        raise NoRuleError(f"{name} has no derivative rule for complex arguments{user_line()}")
