"""What a traced value answers without its level: shape, dtype, length, text; and what it refuses to become.

A shape and a dtype carry no derivative.  A plain float or array would drop one silently, so each is an error that says
what to write instead.  This module knows nothing of operations.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any, NoReturn, cast

import numpy as np

from shared.core.errors import not_a_number, not_hashable, user_line
from shared.core.levels import Tracer

_NUMBERS = (int, float, complex, np.generic)


class _OfNumberError(AttributeError, TypeError):
    """What asks a number for what arrays have: hasattr takes it for an answer, len(x) and iter(x) raise it."""


def is_weak(value: Any) -> bool:
    """Whether a value is a Python number or stands for one, traced or not: it takes the dtype of whatever it meets."""
    while isinstance(value, Described):
        value = value.primal
    return value.__class__ in (float, complex, int, bool)


class _OfArrays:
    """A method that a value without axes does not have.

    That can be said by attribute alone: `collections.abc` asks the class, which numbers and arrays share.
    """

    def __init__(self, method: Any):
        self.method = method
        self.name: str = method.__name__

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        # Without a method to iterate with, Python would call __getitem__, up to its first IndexError: so only who asks
        # for it by name is told that there is none.
        if instance is None or instance.shape or (self.name == "__iter__" and not _asks_by_name(self.name)):
            return self.method if instance is None else self.method.__get__(instance, owner)
        raise _of_a_number("len()" if self.name == "__len__" else "iteration")


def _asks_by_name(name: str) -> bool:
    """Whether what the caller executes is `hasattr(x, name)`, or getattr."""
    frame = sys._getframe(2)
    if name not in frame.f_code.co_consts:
        return False
    # Loaded for programs that do so alone
    from shared.core.callers import calls_with_text

    return calls_with_text(frame, name)


def _of_a_number(what: str) -> _OfNumberError:
    return _OfNumberError(
        f"{what} of a scalar has no meaning{user_line()}. If isinstance with collections.abc led here: it cannot tell "
        "a traced number from an array, but np.ndim(x), np.iterable(x) and hasattr do"
    )


def asked_for_product() -> bool:
    """Whether the array is asked for by a product with a sparse matrix of SciPy's, `A @ x`.

    SciPy leaves the product to x where NumPy can make nothing but an object of it (`as_object`).
    """
    asking: Any = sys._getframe(1)
    while asking is not None and asking.f_code.co_name == "__array__":
        asking = asking.f_back
    return (
        asking is not None
        and asking.f_code.co_name == "_matmul_dispatch"
        and asking.f_globals.get("__name__", "").startswith("scipy.sparse")
    )


def as_object(value: Any) -> np.ndarray:
    """An array of no axes that holds a value as an object."""
    found = np.empty((), object)
    found[()] = value
    return found


class Described(Tracer):
    """The part of a duck array that is read off what it stands for, `primal`, or refused."""

    __slots__ = ()
    primal: Any

    # --- what would drop a derivative ---

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        if asked_for_product():
            return as_object(self)
        asking = sys._getframe(1)  # which may be a comprehension
        if {"_vectorize_call", "_get_ufunc_and_otypes"} & {f.f_code.co_name for f in (asking, asking.f_back) if f}:
            raise not_a_number(
                "an array of objects",
                "np.vectorize and np.frompyfunc call a function for each element: write it with NumPy's functions, "
                "which take arrays, or shared.vmap(f)(x).",
            )
        raise not_a_number(
            "a plain NumPy array",
            "np.stack([...]), np.concatenate([...]) and, of nested lists, np.block([[...], [...]]) build arrays from "
            "traced values; to fill an array element by element, make it with np.zeros_like(x) or "
            "np.zeros_like(x, shape=n), which can be assigned to, of all that may vary: np.zeros_like(u * k). A method "
            "of a plain array takes no traced value: write A @ x for A.dot(x).",
        )

    def __float__(self) -> NoReturn:
        raise not_a_number(
            "a plain float",
            "Fill an array that was made with np.zeros_like(x) or np.zeros_like(x, shape=n), of all the x that may "
            "vary (np.zeros_like(u * k)), and not a plain one; use NumPy's functions in place of math's (np.sin(x) for "
            "math.sin(x)); or say stop_gradient(x) if the derivative must be dropped.",
        )

    __complex__ = __float__

    def __index__(self) -> NoReturn:
        raise not_a_number(
            "a plain integer", "An index or a count has no derivative: write int(stop_gradient(x)) for its value."
        )

    __int__ = __index__

    def __hash__(self) -> NoReturn:
        raise not_hashable()

    def __round__(self, digits: int | None = None) -> NoReturn:
        raise not_a_number("a rounded number", "np.round(x) is the constant that it rounds to.")

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise not_a_number("a pickle", "Send plain arrays to another process, and differentiate there.")

    def __bool__(self) -> bool:
        return bool(self.primal)

    # --- shape and type, which carry no derivative ---

    @property
    def shape(self) -> tuple[int, ...]:
        primal = self.primal
        return () if type(primal) is float or type(primal) is complex else primal.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype; of a Python number, the one NumPy gives it by itself."""
        primal = self.primal
        return primal.dtype if hasattr(primal, "dtype") else np.dtype(type(primal))

    @property
    def is_array(self) -> bool:
        """Whether it has NumPy's array meaning under assignment; what stands for a number does not."""
        primal = self.primal
        return primal.is_array if isinstance(primal, Described) else not isinstance(primal, _NUMBERS)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return self.size * self.dtype.itemsize

    @_OfArrays
    def __len__(self) -> int:
        return self.shape[0]

    @_OfArrays
    def __iter__(self) -> Iterator[Any]:
        if not self.shape:
            raise _of_a_number("iteration")
        return (cast(Any, self)[k] for k in range(len(self)))

    def __contains__(self, item: Any) -> bool:
        return bool(np.any(self == item))

    # --- text ---

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.primal!r}, level {self.level.number})"

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.primal})"

    def __format__(self, spec: str) -> str:
        return format(self.primal, spec) if spec else str(self)
