"""Python's operators and ndarray's methods and attributes, given to the duck array as names for registered functions.

A table and a loop: nothing here knows what an operation computes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from shared.core.duck_array import DuckArray, bind_two
from shared.core.errors import float_as_integer
from shared.core.levels import Tracer, bind
from shared.core.primitive import Primitive
from shared.core.registry import REGISTRY
from shared.rules import elementwise, indexing, keywords, products, shapes
from shared.rules.shapes import CONVERT

ARITHMETIC = {
    "add": elementwise.ADD,
    "sub": elementwise.SUBTRACT,
    "mul": elementwise.MULTIPLY,
    "truediv": elementwise.DIVIDE,
    "matmul": products.MATMUL,
    "mod": elementwise.MODULO,
}

#: methods of ndarray that are functions of NumPy with the same further arguments
ARRAY_METHODS = (
    "sum", "mean", "prod", "max", "min", "var", "std", "ptp", "cumsum", "cumprod", "argmax", "argmin", "argsort",
    "any", "all", "ravel", "swapaxes", "squeeze", "repeat", "take", "diagonal", "trace", "clip", "round", "dot",
    "nonzero",
)  # fmt: skip


def _arithmetic(name: str, primitive: Primitive) -> None:
    def forward(self: Any, other: Any) -> Any:
        return self.binary(primitive, self, other)

    def reflected(self: Any, other: Any) -> Any:
        return self.binary(primitive, other, self)

    def in_place(self: Any, other: Any) -> Any:
        return self.replace(self.binary(primitive, self, other))

    for prefix, method in (("", forward), ("r", reflected), ("i", in_place)):
        setattr(DuckArray, f"__{prefix}{name}__", method)


def bound(primitive: Primitive, x: Any, y: Any) -> Any:
    """A primitive of two arguments of any kind; a product may be with a sparse matrix."""
    if primitive is products.MATMUL and not (isinstance(x, _DENSE) and isinstance(y, _DENSE)):
        # Loaded when there is one.
        from shared.rules.sparse_products import is_sparse, product

        if is_sparse(x) or is_sparse(y):
            return product(x, y)
    return bind_two(primitive, x, y)


_DENSE = (np.ndarray, DuckArray)


def _product(self: Any, other: Any) -> Any:
    if isinstance(other, _DENSE):
        return self.binary(products.MATMUL, self, other)
    return bound(products.MATMUL, self, other)


def _reflected_product(self: Any, other: Any) -> Any:
    if isinstance(other, _DENSE):
        return self.binary(products.MATMUL, other, self)
    return bound(products.MATMUL, other, self)


def _constant(name: str, primitive: Primitive) -> None:
    setattr(DuckArray, f"__{name}__", lambda self, other: bind(primitive, (self, other), {}))


def _logical(name: str, primitive: Primitive) -> None:
    setattr(DuckArray, f"__{name}__", lambda self, other: bind(primitive, (self, other), {}))
    setattr(DuckArray, f"__r{name}__", lambda self, other: bind(primitive, (other, self), {}))


def _method(name: str, function: Callable[..., Any]) -> None:
    call = REGISTRY[function].call

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        return call((self, *args), kwargs)

    method.__name__ = name
    method.__doc__ = f"As `numpy.{name}`."
    setattr(DuckArray, name, method)


#: exponents for which NumPy itself takes a cheaper function
_POWERS = {2: np.square, 1: np.positive, 0.5: np.sqrt, -1: np.reciprocal}


def _power(self: Any, other: Any) -> Any:
    if other.__class__ is int:
        # Of integers NumPy takes none but the square, and 2.0 would make them floats.
        if other in _POWERS and self.is_array and (other == 2 or self.dtype.kind in "fc"):
            return _ufunc(self, _POWERS[other])
    elif other.__class__ is float and other in _POWERS and self.is_array and self.dtype.kind in "fc":
        return _ufunc(self, _POWERS[other])
    return self.binary(elementwise.POWER, self, other)


def _ufunc(self: Any, ufunc: np.ufunc) -> Any:
    """As `ufunc(self)`, without the way through NumPy, which would only ask this array again."""
    return self.__array_ufunc__(ufunc, "__call__", self)


def _negative(self: Any) -> Any:
    # As an operator it keeps a Python number weak; for arrays the ufunc, which is the shorter way, means the same.
    weak = isinstance(self.primal, (float, complex)) or (isinstance(self.primal, Tracer) and not self.is_array)
    return bind(elementwise.NEGATIVE, (self,), {}) if weak else _ufunc(self, np.negative)


def _reshape(self: Any, *shape: Any, order: str = "C", copy: bool | None = None) -> Any:
    """As `numpy.reshape`; the shape may be given as several numbers."""
    if copy:
        self = np.copy(self)
    if order != "C":
        return REGISTRY[np.reshape].call((self, shape[0] if len(shape) == 1 else shape), {"order": order})
    return self.linear(shapes.RESHAPE, (), {"shape": shape[0] if len(shape) == 1 else shape, "order": order})


def _transpose(self: Any, *axes: Any) -> Any:
    """As `numpy.transpose`; the axes may be given as several numbers."""
    given: Any = axes[0] if len(axes) == 1 and not isinstance(axes[0], (int, np.integer)) else axes
    return np.transpose(self, given or None)


def _astype(self: Any, dtype: Any, order: str = "K", casting: str = "unsafe", subok: bool = True,
            copy: bool = True) -> Any:  # fmt: skip
    """As `ndarray.astype`; a conversion to integers or booleans has derivative zero and gives a plain array."""
    if not copy and np.dtype(dtype) == self.dtype:
        return self
    if np.dtype(dtype).kind in "fc":
        return shapes.ASTYPE(self, dtype=np.dtype(dtype))
    return CONVERT(self, dtype=np.dtype(dtype))


def _compress(self: Any, condition: Any, axis: int | None = None) -> Any:
    """As `ndarray.compress`."""
    return np.compress(condition, self, axis)


def _tolist(self: Any) -> Any:
    """As `ndarray.tolist`: nested lists, here of traced numbers."""
    return [_tolist(row) for row in self] if self.shape else self


def _item(self: Any, *index: Any) -> Any:
    """As `ndarray.item`: one element, here as a traced number."""
    if not index and self.size != 1:
        raise ValueError("can only convert an array of size 1 to a Python scalar")
    flat = np.ravel(self)
    return self[index] if len(index) > 1 else flat[index[0] if index else 0]


def _copy(self: Any, order: str = "C") -> Any:
    """As `ndarray.copy`; a number, which nobody can change, is its own."""
    if not self.is_array:
        return self.twin()
    return bind(shapes.COPY_C if order == "C" else shapes.COPY, (self,), {})


def _fill(self: Any, value: Any) -> None:
    """As `ndarray.fill`."""
    self[...] = value


def _getitem(self: Any, index: Any) -> Any:
    if index.__class__ is not tuple:
        index = (index,)
    for part in index:
        if part.__class__ not in indexing.BASIC:
            index = [_as_index(part) for part in index]
            if any([isinstance(part, Tracer) for part in index]):
                return bind(indexing.GETITEM, (self, *index), {})
            return self.process(indexing.GETITEM, (self, *index), {})
    return self.linear(indexing.GETITEM, index, {})


def _as_index(part: Any) -> Any:
    if isinstance(part, Tracer) and part.dtype.kind in "fc":  # type: ignore[attr-defined]
        raise float_as_integer("an index")
    # An empty list is an index array of integers, though NumPy makes an array of floats of it.
    return np.asarray(part, np.intp if not part else None) if isinstance(part, list) else part


def _set_flat(self: Any, value: Any) -> None:
    """`x.flat = value`: every element, from the first value on and round again."""
    indexing.FlatElements(self)[:] = value


def _sort(self: Any, axis: int = -1, kind: Any = None, order: None = None) -> None:
    """As `ndarray.sort`: in place."""
    self[...] = np.sort(self, axis, kind)


def _conjugate(self: Any) -> Any:
    """As `ndarray.conj`, which returns the array itself where it is real."""
    return np.conjugate(self) if np.iscomplexobj(self) else self


def _namespace(self: Any, *, api_version: str | None = None) -> Any:
    """The functions that libraries for arrays of every kind compute this with (the Array API standard)."""
    from shared.rules.array_api import namespace

    return namespace(self, api_version=api_version)


def _of_library(value: Any) -> Any:
    from shared.core.foreign import Foreign, is_foreign

    return Foreign(value) if is_foreign(value) else value


def _to_device(self: Any, device: Any, /, *, stream: Any = None) -> Any:
    """As `ndarray.to_device`: there is one device, named "cpu"."""
    if device != "cpu" or stream is not None:
        raise ValueError(f"traced values are on the device 'cpu' alone, not {device!r}")
    return self


def _missing(name: str) -> property:
    """An attribute of ndarray that traced arrays lack, saying what to use; a __getattr__ would slow down all others."""
    instead = f"np.{name}(x)" if hasattr(np, name) else "another method, or x.ravel() for its elements"

    def refuse(self: Any) -> Any:
        raise AttributeError(f"traced arrays have no method or attribute {name!r}: use {instead}")

    return property(refuse)


def install() -> None:
    """Give the duck array all of them."""
    for name, primitive in ARITHMETIC.items():
        _arithmetic(name, primitive)
    for name, primitive in elementwise.CONSTANT_OPERATORS.items():
        _constant(name, primitive)
    for name, primitive in elementwise.LOGICAL_OPERATORS.items():
        _logical(name, primitive)
    for name in ARRAY_METHODS:
        _method(name, getattr(np, name))
    named: dict[str, Any] = {
        "made_of": indexing.made_of,
        "of_library": staticmethod(_of_library),
        "__array_namespace__": _namespace,
        "device": "cpu",
        "to_device": _to_device,
        "flat": property(lambda self: indexing.FlatElements(self), lambda self, value: _set_flat(self, value)),
        "ufunc_method": staticmethod(keywords.ufunc_method),
        "ufunc_with_keywords": staticmethod(keywords.ufunc_with_keywords),
        "__matmul__": _product,
        "__rmatmul__": _reflected_product,
        "__pow__": _power,
        "__rpow__": lambda self, other: self.binary(elementwise.POWER, other, self),
        "__ipow__": lambda self, other: self.replace(self**other),
        "__neg__": _negative,
        "__pos__": lambda self: bind(elementwise.POSITIVE, (self,), {}),
        "__rfloordiv__": lambda self, other: bind(elementwise.CONSTANT_OPERATORS["floordiv"], (other, self), {}),
        "__ifloordiv__": lambda self, other: self.replace(self // other),
        "__divmod__": lambda self, other: (self // other, self % other),
        "__rdivmod__": lambda self, other: (other // self, other % self),
        "__invert__": lambda self: bind(elementwise.INVERT, (self,), {}),
        "__abs__": lambda self: bind(elementwise.ABSOLUTE, (self,), {}),
        "__getitem__": _getitem,
        "reshape": _reshape,
        "transpose": _transpose,
        "astype": _astype,
        "copy": _copy,
        "__copy__": _copy,
        "__deepcopy__": lambda self, memo: np.copy(self) if self.is_array else self,
        "compress": _compress,
        "tolist": _tolist,
        "item": _item,
        "fill": _fill,
        "sort": _sort,
        "conj": _conjugate,
        "conjugate": _conjugate,
        "flatten": lambda self, order="C": np.copy(np.ravel(self, order)),
        "T": property(lambda self: self.linear(shapes.TRANSPOSE, (), {})),
        "mT": property(lambda self: np.swapaxes(self, -1, -2)),
        "real": property(lambda self: np.real(self)),
        "imag": property(lambda self: np.imag(self)),
    }
    for name, attribute in named.items():
        setattr(DuckArray, name, attribute)
    for name in dir(np.ndarray):
        if not name.startswith("_") and not hasattr(DuckArray, name):
            setattr(DuckArray, name, _missing(name))
