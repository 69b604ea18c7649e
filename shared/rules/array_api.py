"""The Array API: the namespace of functions that traced values name as theirs (`x.__array_namespace__()`).

Libraries that are written for arrays of every kind, as much of SciPy is, ask an array for the functions to compute it
with (Python Data API Consortium, Array API standard, version 2024.12).  Those of a traced value are NumPy's, which ask
it back; what this module adds are the few spellings of the standard that NumPy lacks, and arrays that can take traced
values: what `xp.zeros(n)` makes belongs to the innermost differentiation that asked for the namespace and is still in
progress.  It is loaded when a value is first asked, and knows the names of the standard, and no derivative.
"""

from __future__ import annotations

import sys
import threading
from typing import Any
from weakref import ref

import numpy as np

from shared.core.assignment import ViewOf
from shared.core.duck_array import CREATION, DuckArray

#: For each thread the innermost level that asked, which nothing here keeps, and the kind of its traced values.
_asked = threading.local()
_allocate: Any = object.__new__


def namespace(x: DuckArray, *, api_version: str | None = None) -> Namespace:
    """What `x.__array_namespace__()` returns: one namespace, whatever `x` is."""
    if api_version is not None and api_version not in _VERSIONS:
        raise ValueError(f"version {api_version!r} of the Array API is not known; those known are {_VERSIONS}")
    level, _ = _innermost()
    if level is None or level.number < x.level.number:
        _asked.found = ref(x.level), next(kind for kind in type(x).__mro__ if not issubclass(kind, ViewOf))
    return NAMESPACE


def _innermost() -> tuple[Any, Any]:
    reference, kind = getattr(_asked, "found", (None, None))
    level = reference and reference()
    return (None, None) if level is None or level.closed else (level, kind)


def _like() -> Any:
    """A traced number that new arrays are made like; None where nothing is traced that asked for the namespace."""
    level, kind = _innermost()
    if level is None:
        return None
    like = _allocate(kind)
    like.level, like.primal = level, 0.0
    return like


_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")


class Namespace:
    """The functions of the standard, for traced values and plain arrays alike; every other name is NumPy's."""

    __name__ = "shared.rules.array_api"
    __array_api_version__ = _VERSIONS[-1]

    def __repr__(self) -> str:
        # SciPy prints this where a call mixes arrays, and no error of ours can be raised there.
        return "<namespace of traced arrays; beside them, make plain ones traced constants: np.asarray(a, like=x)>"

    def __getattr__(self, name: str) -> Any:
        if name in CREATION and name not in _WITHOUT_LIKE:
            return _creating(name)
        if name == "special":
            return _special()
        return getattr(np, name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(type(self)), *dir(np)})

    # --- what NumPy spells otherwise ---

    @staticmethod
    def asarray(x: Any, /, *, dtype: Any = None, device: Any = None, copy: bool | None = None) -> Any:
        if isinstance(x, DuckArray):
            if not x.is_array:
                # The standard knows no numbers beside arrays without axes, which can be assigned to.
                x = x.conformed(x, np.zeros((), x.dtype))
            if dtype is not None and x.dtype != dtype:
                return x.astype(dtype)
            return x.copy() if copy else x
        like = _like()
        return np.asarray(x, dtype, copy=copy) if like is None else np.array(x, dtype, copy=copy, like=like)

    @staticmethod
    def astype(x: Any, dtype: Any, /, *, copy: bool = True, device: Any = None) -> Any:
        return x.astype(dtype, copy=copy)

    @staticmethod
    def linspace(start: Any, stop: Any, /, num: int, **keywords: Any) -> Any:
        keywords.pop("device", None)
        return NAMESPACE.asarray(np.linspace(start, stop, num, **keywords))

    @staticmethod
    def sort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
        found = np.sort(x, axis=axis, stable=stable)
        return np.flip(found, axis=axis) if descending else found

    @staticmethod
    def argsort(x: Any, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Any:
        if not descending:
            return np.argsort(x, axis=axis, stable=stable)
        # Equal elements keep their order, which turning the result round would reverse.
        found = np.argsort(np.flip(x, axis=axis), axis=axis, stable=stable)
        return np.shape(x)[axis] - 1 - np.flip(found, axis=axis)

    @staticmethod
    def clip(x: Any, /, min: Any = None, max: Any = None) -> Any:
        return np.clip(x, min, max)

    @staticmethod
    def std(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
        return np.std(x, axis=axis, ddof=correction, keepdims=keepdims)

    @staticmethod
    def var(x: Any, /, *, axis: Any = None, correction: float = 0.0, keepdims: bool = False) -> Any:
        return np.var(x, axis=axis, ddof=correction, keepdims=keepdims)

    @staticmethod
    def cumulative_sum(x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Any:
        return _cumulative(np.cumsum, 0, x, axis, dtype, include_initial)

    @staticmethod
    def cumulative_prod(x: Any, /, *, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Any:
        return _cumulative(np.cumprod, 1, x, axis, dtype, include_initial)

    @staticmethod
    def unstack(x: Any, /, *, axis: int = 0) -> tuple[Any, ...]:
        return tuple(np.moveaxis(x, axis, 0))

    @staticmethod
    def reshape(x: Any, /, shape: Any, *, copy: bool | None = None) -> Any:
        return np.reshape(np.copy(x) if copy else x, shape)

    @staticmethod
    def finfo(type: Any, /) -> Any:
        return np.finfo(getattr(type, "dtype", type))

    @staticmethod
    def iinfo(type: Any, /) -> Any:
        return np.iinfo(getattr(type, "dtype", type))


def _cumulative(function: Any, neutral: int, x: Any, axis: Any, dtype: Any, include_initial: bool) -> Any:
    found = function(x, axis=0 if axis is None else axis, dtype=dtype)
    if not include_initial:
        return found
    shape = list(found.shape)
    shape[0 if axis is None else axis] = 1
    first = np.full_like(found, neutral, shape=shape)
    return np.concatenate([first, found], axis=0 if axis is None else axis)


#: what NumPy makes of values, for which the standard has `asarray`
_WITHOUT_LIKE = frozenset(("array", "asanyarray", "ascontiguousarray", "asfortranarray", "fromiter", "require"))


def _creating(name: str) -> Any:
    """NumPy's function that makes an array from nothing, here one that traced values can be written to."""
    function = getattr(np, name)

    def create(*args: Any, device: Any = None, **keywords: Any) -> Any:
        like = _like()
        return function(*args, **keywords) if like is None else function(*args, **keywords, like=like)

    create.__name__ = name
    return create


def _special() -> Any:
    """SciPy's functions as they are, of which traced values know the derivatives: not what asks for a namespace."""
    module = sys.modules.get("scipy.special")
    if module is None:
        raise AttributeError("special")
    return _Unwrapped(module)


class _Unwrapped:
    def __init__(self, module: Any):
        self.module = module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.module, name)
        found = getattr(found, "__wrapped__", found)
        if isinstance(found, np.ufunc):
            return found
        raise AttributeError(name)


NAMESPACE = Namespace()
