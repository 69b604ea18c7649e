"""Arrays of other libraries, such as dask's: their operations, by NumPy's functions or those of the Array API.

Rules and sweeps compute with NumPy's arrays and with tracers.  An array of another library is therefore given to them
as a tracer, whose level is below every differentiation's: it hands each operation on to the library, which answers in
its own way, at once or lazily, on this machine or on others.  Results leave a differentiation as the library's arrays.
Nothing here asks a lazy array for its values; what would need them is refused.

A value that NumPy stretched over an axis (the cotangent of a sum) is kept unstretched, and so meets arrays of any size
without taking their memory.  This module is loaded when such an array is met, and knows no library by name, and no
derivative.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

import numpy as np

from shared.core.assignment import SETITEM, NestedIndex, UpdatePrimitive
from shared.core.duck_array import LIBRARIES, DuckArray
from shared.core.errors import DifferentiationError, NoRuleError, ShapeError, user_line
from shared.core.levels import Level
from shared.core.primitive import Primitive


class _Libraries(Level):
    """The level of all such arrays: one, that never ends."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("arrays of another library", number=0)


_LEVEL = _Libraries()


def is_foreign(value: Any) -> bool:
    """Whether a value is an array of another library, in a sense that it and NumPy agree on."""
    return (
        not isinstance(value, (np.ndarray, np.generic, DuckArray))
        and (hasattr(value, "__array_function__") or hasattr(value, "__array_namespace__"))
        and hasattr(value, "shape")
        and hasattr(value, "dtype")
    )


class Foreign(DuckArray):
    """An array of another library: `primal`, stretched by NumPy's rules of broadcasting to `full`."""

    __slots__ = ("full",)
    full: tuple[int, ...]

    def __init__(self, array: Any, full: tuple[int, ...] | None = None):
        self.level = _LEVEL
        self.primal = array
        self.full = tuple(array.shape) if full is None else full
        if any(n != n for n in self.full):
            raise ShapeError(
                f"{_named(array)} has an axis of unknown length{user_line()}, as a mask makes it: choose with "
                "np.where(mask, x, 0) instead, or let the library find the length first"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        return self.full

    @property
    def dtype(self) -> np.dtype[Any]:
        return _numpy_dtype(self.primal)

    @property
    def is_array(self) -> bool:
        return True

    # --- operations ---

    def process(self, primitive: Primitive, args: tuple[Any, ...], static: dict[str, Any]) -> Any:
        if primitive.is_question:
            return primitive.raw(*[a.outline() if isinstance(a, Foreign) else a for a in args], **static)
        if primitive.name == "broadcast_to":
            return Foreign(self.primal, tuple(static["shape"]))
        _refuse_several(args)
        stretches = primitive.elementwise or primitive.broadcasts or primitive.name in _STRETCHING
        values = [self._argument(a, stretches) for a in args]
        out = _asked(primitive, values, static, self.primal)
        if out.__class__ is tuple or isinstance(out, list):
            return tuple([_taken(part, None) for part in out])
        full = None
        if stretches:
            full = np.broadcast_shapes(*[np.shape(a) for a in args])
        return _taken(out, full)

    def _argument(self, value: Any, stretches: bool) -> Any:
        """An argument as the library takes it, unstretched if the operation stretches it itself."""
        if isinstance(value, Foreign):
            return value.primal if stretches else value.whole()
        if value.__class__ is np.ndarray or isinstance(value, np.generic):
            core = _unstretched(value) if value.__class__ is np.ndarray else value
            array = _made_like(core, self.primal)
            return array if stretches or core is value else Foreign(array, value.shape).whole()
        return value

    def whole(self) -> Any:
        """The library's array, stretched in deed."""
        if tuple(self.primal.shape) == self.full:
            return self.primal
        return _function(np.broadcast_to, self.primal)(self.primal, self.full)

    def named(self) -> str:
        """What people call it, as in: a dask array."""
        return _named(self.primal)

    def outline(self) -> np.ndarray:
        """An array of NumPy's of this shape and dtype, without memory: all that questions about them need."""
        return np.broadcast_to(np.zeros((), self.dtype), self.full)

    # --- assignment: the library's arrays are values ---

    def lift(self, value: Any) -> Foreign:
        return value if isinstance(value, Foreign) else Foreign(self._argument(value, False))

    def twin(self) -> Foreign:
        return Foreign(self.primal, self.full)

    def become(self, other: Any) -> None:
        self.primal, self.full = other.primal, other.full

    def update(self, primitive: UpdatePrimitive, value: Any, index: Any) -> None:
        value = self._argument(value, True)
        self.primal = _updated(self.whole(), primitive, value, index)

    def conformed(self, derivative: Any, leaf: Any) -> Any:
        """A derivative as an array of the leaf's library, in the same pieces."""
        if not isinstance(leaf, Foreign):
            return derivative
        found = derivative.whole() if isinstance(derivative, Foreign) else leaf._argument(derivative, False)
        chunks = getattr(leaf.primal, "chunks", None)
        if chunks is not None and getattr(found, "chunks", chunks) != chunks:
            found = found.rechunk(chunks)
        return Foreign(found)

    # --- questions that need the values ---

    def __bool__(self) -> bool:
        if _is_lazy(self.primal):
            raise self._refusal("a branch on it", "choose with np.where, or compute it first")
        return bool(self.primal)

    def _refusal(self, what: str, instead: str) -> DifferentiationError:
        return DifferentiationError(
            f"{_named(self.primal)} is lazy, and {what} would compute it{user_line()}; {instead}"
        )

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        if not _is_lazy(self.primal):
            super().__array__()
        raise self._refusal("a plain NumPy array of it", "call its compute() outside of what is differentiated")

    def __repr__(self) -> str:
        return f"Foreign({self.primal!r})"


LIBRARIES.append(Foreign)

#: Primitives that stretch their arguments without being elementwise maps of them
_STRETCHING = frozenset(("where", "lt", "le", "gt", "ge", "eq", "ne", "logical_and", "logical_or", "floordiv"))


def _named(array: Any) -> str:
    """An array by its library, as in: a dask array."""
    library = type(array).__module__.partition(".")[0]
    return f"{'an' if library[:1] in 'aeiou' else 'a'} {library} array"


def _is_lazy(array: Any) -> bool:
    return hasattr(array, "__dask_graph__")


def _refuse_several(args: Sequence[Any]) -> None:
    """Refuse an operation on arrays of several libraries, which only the user can convert."""
    found = {_named(a.primal): a.primal for a in args if isinstance(a, Foreign)}
    if len(found) > 1:
        kinds = [f"{name} ({'lazy' if _is_lazy(array) else 'not lazy'})" for name, array in found.items()]
        raise TypeError(
            f"an operation was given {' and '.join(kinds)}{user_line()}: convert one to the other's library"
        )


def _taken(out: Any, full: tuple[int, ...] | None) -> Any:
    if isinstance(out, Foreign):
        out = out.primal
    return Foreign(out, full) if is_foreign(out) else out


def _unstretched(value: np.ndarray) -> np.ndarray:
    """The part of an array that its axes of stride 0 repeat."""
    if 0 not in value.strides or not value.size:
        return value
    return value[tuple([slice(0, 1) if not stride else slice(None) for stride in value.strides])]


def _made_like(value: Any, like: Any) -> Any:
    if hasattr(like, "__array_function__"):
        return np.asarray(value, like=like) if value.__class__ is np.ndarray else value
    return like.__array_namespace__().asarray(value)


def _numpy_dtype(array: Any) -> np.dtype[Any]:
    try:
        found: np.dtype[Any] = np.dtype(array.dtype)
    except TypeError:
        found = np.dtype(str(array.dtype).rpartition(".")[2])
    return found


def _function(function: Any, array: Any) -> Any:
    """NumPy's function as the library has it: NumPy's own where that asks the array, else the Array API's."""
    if hasattr(array, "__array_function__"):
        return function
    namespace, name = array.__array_namespace__(), getattr(function, "__name__", "")
    found = getattr(namespace, _STANDARD.get(name, name), None)
    if found is None:
        raise NoRuleError(
            f"{name} is not among the functions of {namespace.__name__}{user_line()}; write it with those, or convert "
            "the array to NumPy's"
        )
    return found


#: NumPy's names that the Array API spells otherwise
_STANDARD = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctan2": "atan2", "arctanh": "atanh", "concatenate": "concat", "invert": "bitwise_invert", "power": "pow",
    "true_divide": "divide", "_transpose": "permute_dims", "transpose": "permute_dims", "conjugate": "conj",
    "_concatenate": "concat", "_reshape": "reshape", "_astype": "astype",
}  # fmt: skip


def _asked(primitive: Primitive, values: list[Any], static: dict[str, Any], array: Any) -> Any:
    """The value of a primitive on arrays of the library."""
    function, name = primitive.function, primitive.name
    if name in _SPECIAL:
        return _SPECIAL[name](*values, **static)
    if getattr(function, "__module__", None) == "_operator":
        return function(*(values if hasattr(array, "__array_function__") else _promoted(name, values, array)))
    if not (isinstance(function, np.ufunc) or (function.__module__ or "").startswith("numpy")):
        if not name.startswith("_"):
            # A function of this package, written with those of NumPy's that have rules.
            return primitive.raw(*[Foreign(value) if is_foreign(value) else value for value in values], **static)
        # A primitive of its own that a function of NumPy's is rewritten as.
        function = getattr(np, name[1:], primitive.raw)
    static = {name: value for name, value in static.items() if _DEFAULTS.get(name, _asked) != value}
    if name in ("sum", "mean", "prod") and _numpy_dtype(array).kind == "b":
        values = [_astype(array, dtype=np.int64)]
    if not hasattr(array, "__array_function__"):
        values = _promoted(name, values, array)
    try:
        if not _is_lazy(array) or isinstance(function, np.ufunc):
            return _function(function, array)(*values, **static)
        with warnings.catch_warnings():
            # dask warns of what it has no lazy way for, and computes.
            warnings.simplefilter("error", FutureWarning)
            return function(*values, **static)
    except (TypeError, FutureWarning) as error:
        if "__array_" in str(error) or isinstance(error, FutureWarning):
            raise NoRuleError(
                f"{name} is not known of {_named(array)}{user_line()}: {error}. Write it with functions that "
                "its library has, or convert the array to NumPy's"
            ) from error
        raise


def _promoted(name: str, values: list[Any], array: Any) -> list[Any]:
    """Operands of one dtype, as NumPy would make them: the Array API leaves mixed ones undefined."""
    if len(values) < 2 or name in ("reshape", "take", "squeeze", "expand_dims"):
        return values
    first = 1 if name == "where" else 0
    rest = values[first:]
    if not all(is_foreign(value) or isinstance(value, (bool, int, float, complex)) for value in rest):
        return values
    kind = np.result_type(*[_numpy_dtype(value) if is_foreign(value) else value for value in rest])
    rest = [value if is_foreign(value) else array.__array_namespace__().asarray(value) for value in rest]
    return [*values[:first], *[v if _numpy_dtype(v) == kind else _astype(v, dtype=kind) for v in rest]]


#: keywords that a library need not know, with the value that means nothing
_DEFAULTS: dict[str, Any] = {"order": "C", "keepdims": False, "axis": None, "subok": False}


def _transpose(x: Any, *, axes: Any = None) -> Any:
    axes = tuple(range(len(x.shape)))[::-1] if axes is None else tuple(axes)
    return _function(np.permute_dims, x)(x, axes)


def _reshape(x: Any, *, shape: Any, order: str = "C") -> Any:
    if order != "C":
        raise NoRuleError(f"reshape: order={order!r} is not known of {_named(x)}{user_line()}; transpose it")
    return _function(np.reshape, x)(x, (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape))


def _astype(x: Any, *, dtype: Any) -> Any:
    if hasattr(x, "astype"):
        return x.astype(dtype)
    namespace = x.__array_namespace__()
    return namespace.astype(x, getattr(namespace, np.dtype(dtype).name))


def _joined(*arrays: Any, axis: int = 0) -> Any:
    return _function(np.concatenate, arrays[0])(arrays, axis=axis)


def _einsum(*operands: Any, subscripts: str) -> Any:
    return np.einsum(subscripts, *operands)


def _index(x: Any, index: tuple[Any, ...]) -> tuple[Any, ...]:
    if hasattr(x, "__array_function__") or any(part is Ellipsis for part in index):
        return index
    return (*index, Ellipsis)  # which the Array API asks for


_SPECIAL: dict[str, Any] = {
    "_transpose": _transpose,
    "_reshape": _reshape,
    "_astype": _astype,
    "_convert": _astype,
    "_concatenate": _joined,
    "_einsum": _einsum,
    "copy": lambda x: x,
    "_copy_c": lambda x: x,
    "getitem": lambda x, *index: x[_index(x, index)],
}


def _updated(array: Any, primitive: UpdatePrimitive, value: Any, index: Any) -> Any:
    """The array that an assignment makes."""
    if index.__class__ is NestedIndex:
        part = _updated(array[index.path], primitive, value, index.index)
        return _updated(array, SETITEM, part, index.path)
    parts: Sequence[Any] = index if isinstance(index, tuple) else (index,)
    plain = tuple([part.whole() if isinstance(part, Foreign) else part for part in parts])
    place = _index(array, plain) if isinstance(index, tuple) else plain[0]
    if hasattr(array, "at"):
        # Arrays that nobody can change, such as JAX's, make a new one.
        return array.at[place].set(value) if primitive is SETITEM else array.at[place].add(value)
    if primitive is not SETITEM:
        if any(not isinstance(part, (int, np.integer, slice)) and part is not Ellipsis for part in plain):
            raise NoRuleError(
                f"an element of {_named(array)} may be meant twice by an index of arrays{user_line()}, whose "
                "derivative adds up there; use slices, or np.where"
            )
        value = array[_index(array, plain)] + value
    new = array.copy() if hasattr(array, "copy") else array.__array_namespace__().asarray(array, copy=True)
    masks = any(_numpy_dtype(part).kind == "b" for part in plain if hasattr(part, "dtype"))
    new[plain[0] if masks and len(plain) == 1 else _index(array, plain)] = value
    return new
