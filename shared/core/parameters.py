"""The names of a function's parameters, which tell its arrays from its keywords.

This module knows nothing of what a function is for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType
from typing import Any

import numpy as np

Function = Callable[..., Any]


def parameters_of(function: Function) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of a function's positional parameters, and of those that are taken by keyword alone.

    Of a function in Python they are read off its code, in a twentieth of the time of `inspect.signature`: that is
    most of what an import of the tables takes.  Raises ValueError for a function written in C that does not say.

    >>> parameters_of(lambda x, y=1, *rest, axis=None, **more: x)
    (('x', 'y', 'rest'), ('axis', 'more'))
    """
    plain = inspect.unwrap(function) if hasattr(function, "__wrapped__") else function
    if isinstance(plain, FunctionType) and not hasattr(plain, "__signature__"):
        code = plain.__code__
        names, first, flags = code.co_varnames, code.co_argcount, code.co_flags
        last = first + code.co_kwonlyargcount
        rest = last + bool(flags & inspect.CO_VARARGS)
        more = rest + bool(flags & inspect.CO_VARKEYWORDS)
        return names[:first] + names[last:rest], names[first:last] + names[rest:more]
    found = inspect.signature(function).parameters.values()
    by_keyword = [p.name for p in found if p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD)]
    return tuple(p.name for p in found if p.name not in by_keyword), tuple(by_keyword)


def all_parameters(function: Function) -> tuple[str, ...]:
    """The names of all parameters of a function, ufuncs and functions in C included; none where it does not say."""
    if isinstance(function, np.ufunc):
        return tuple(f"x{k + 1}" for k in range(function.nin))
    if isinstance(function, BuiltinFunctionType):
        # As "($module, a, b, /)"; a function written in C need not say.
        names = (getattr(function, "__text_signature__", None) or "").strip("()").split(",")
        return tuple(name for part in names if (name := part.partition("=")[0].strip()).isidentifier())
    try:
        positional, by_keyword = parameters_of(function)
        return positional + by_keyword
    except ValueError:  # a function written in C that does not say
        return ()
