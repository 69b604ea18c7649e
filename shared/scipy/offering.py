"""How a function of SciPy's is offered: SciPy itself on plain arrays, a form with derivatives on traced values.

This module knows no function of SciPy's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any, TypeVar

import numpy as np

from shared.calling.tree import flatten
from shared.core.duck_array import DuckArray, highest
from shared.core.levels import current_recording

F = TypeVar("F", bound=Callable[..., Any])


def required(name: str) -> Any:
    """A module of SciPy's; without SciPy, an error that says how to install it."""
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "scipy":
            raise
        raise ImportError(f"shared.{name} needs SciPy: pip install 'forward-reverse-ad[scipy]'") from None


def is_traced(*values: Any) -> bool:
    """Whether any of some values, or what they contain, is traced."""
    return highest(flatten(values)[0]) is not None


def offered(function: Callable[..., Any]) -> Callable[[F], F]:
    """Let a function that computes with traced values stand for one of SciPy's, which plain arguments are given to."""

    def decorate(of_traced: F) -> F:
        @wraps(of_traced)
        def call(*args: Any, **kwargs: Any) -> Any:
            if not is_traced(args, kwargs):
                return function(*args, **kwargs)
            recording = current_recording()
            if recording is not None:
                # Plain arrays beside traced ones are read anew in each run.
                args, kwargs = recording.among(of_traced, args, kwargs)
            return of_traced(*args, **kwargs)

        return call  # type: ignore[return-value]

    return decorate


def arrays(*values: Any) -> list[Any]:
    """Arrays of floating-point numbers of one dtype, as SciPy makes of its arguments before it computes."""
    found: list[Any] = [value if isinstance(value, DuckArray) else np.asarray(value) for value in values]
    dtype = np.result_type(*[value.dtype for value in found])
    dtype = np.result_type(dtype, np.float32 if dtype in (np.float16, np.float32) else np.complex64
                           if dtype == np.complex64 else np.float64)  # fmt: skip
    return [value if value.dtype == dtype else value.astype(dtype) for value in found]
