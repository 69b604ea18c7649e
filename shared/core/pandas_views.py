"""What stands for a pandas Series or DataFrame inside of a function that is differentiated.

pandas keeps plain numbers alone, so a Series of traced values is a `TracedSeries`: the traced array, its index and its
name.  It does what needs nothing else, with pandas' meaning: arithmetic and NumPy's functions of each element, which
keep the labels; elements by label (`s["a"]`, `s.loc`) and by position (`s.iloc`); sums and their kin, which leave out
NaN; and `s.to_numpy()`, the traced array.  Arithmetic of two needs equal indexes, where pandas would align them.  All
else is refused.  A `TracedFrame` is its columns.

This module imports no pandas, and knows nothing of derivatives or structures.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin

from shared.core.errors import NoRuleError, ShapeError, TracerConversionError, user_line
from shared.core.levels import Tracer
from shared.core.visible import one_line, shown


def has_labels(kind: type) -> bool:
    """Whether a class is one of xarray's or pandas', derives from one, or stands in the place of one (no tracer)."""
    if hasattr(kind, "__pandas_priority__"):
        return not issubclass(kind, Tracer)
    return any(package.partition(".")[0] in ("xarray", "pandas") for package in map(_module, kind.__mro__))


def _module(kind: type) -> str:
    module = getattr(kind, "__module__", "")
    return module if isinstance(module, str) else ""


class _NotOfViewsError(NoRuleError, AttributeError):
    """What asks whether there is such an attribute takes it for an answer."""


def _refused(kind: str, what: str) -> Exception:
    return _NotOfViewsError(
        f"{what} of a pandas {kind} that is being differentiated{user_line()}: only arithmetic, NumPy's functions, "
        "elements by label or position, and sums and their kin have a derivative. Take its array, .to_numpy(), and "
        "compute with NumPy's functions, or prepare the data outside of the function"
    )


def objects_of(series: Any) -> Exception:
    """The error for a pandas object that holds traced values, one an element."""
    return TracerConversionError(
        f"a pandas {type(series).__name__} was made of values that are being differentiated{user_line()}: pandas keeps "
        "plain numbers alone, and made an object of each. Build the array with np.stack([...]); labels come with "
        "arguments, which may be pandas objects themselves"
    )


_FLOAT = np.dtype(np.float64)


class _View:
    """What both views have: labels of rows, and what they refuse."""

    __slots__ = ()
    #: larger than that of pandas' own classes, so that these leave operations to this one
    __pandas_priority__ = 5000
    __array_priority__ = 2000.0
    __hash__ = None  # type: ignore[assignment]
    kind = ""

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):
            raise AttributeError(name)
        raise _refused(self.kind, f".{name}")

    def __array__(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise _refused(self.kind, "a plain NumPy array")

    def __setitem__(self, key: Any, value: Any) -> NoReturn:
        raise _refused(self.kind, "an assignment to elements")


class TracedSeries(_View, NDArrayOperatorsMixin):
    """A one-dimensional traced array with an index."""

    __slots__ = ("index", "name", "values")
    kind = "Series"

    def __init__(self, values: Any, index: Any, name: Any):
        self.values = values
        self.index = index
        self.name = name

    # --- what is read off ---

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.index),)

    @property
    def size(self) -> int:
        return len(self.index)

    ndim = 1

    @property
    def dtype(self) -> Any:
        return self.values.dtype

    def to_numpy(self) -> Any:
        """The traced array, without the labels."""
        return self.values

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.values)

    def __contains__(self, label: Any) -> bool:
        return label in self.index

    def items(self) -> Iterator[tuple[Any, Any]]:
        """The labels, each with its element."""
        return zip(self.index, self.values, strict=True)

    def __repr__(self) -> str:
        return f"TracedSeries({self.values!r}, index={one_line(shown(list(self.index[:6])))}, name={shown(self.name)})"

    # --- elements ---

    def _at(self, place: Any) -> Any:
        found = self.values[place]
        return self._like(found, self.index[place]) if np.ndim(found) else found

    def _like(self, values: Any, index: Any) -> Any:
        """A Series of these values: one of pandas' own, unless they are traced."""
        if isinstance(values, Tracer):
            return TracedSeries(values, index, self.name)
        return sys.modules["pandas"].Series(values, index=index, name=self.name)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            raise _refused(self.kind, "a slice without .loc or .iloc")
        return self._labelled(key)

    def _labelled(self, key: Any) -> Any:
        if isinstance(key, slice):
            return self._at(self.index.slice_indexer(key.start, key.stop, key.step))
        dtype = getattr(key, "dtype", None)
        if dtype is not None and dtype.kind == "b":
            if hasattr(key, "index") and not key.index.equals(self.index):
                raise _unaligned()
            return self._at(np.asarray(key))
        if isinstance(key, list) or dtype is not None:
            places = self.index.get_indexer(key)
            if (places < 0).any():
                raise KeyError(f"{shown(key)} not in index")
            return self._at(places)
        return self._at(self.index.get_loc(key))

    @property
    def loc(self) -> _By:
        """Elements by label."""
        return _By(self._labelled)

    @property
    def iloc(self) -> _By:
        """Elements by position."""
        return _By(self._at)

    # --- NumPy's protocols ---

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs.get("out") is not None:
            raise _refused(self.kind, f"np.{ufunc.__name__}.{method}" if method != "__call__" else "the keyword out")
        values = [self._aligned(value, "matmul" in ufunc.__name__) for value in inputs]
        found = ufunc(*values, **kwargs)
        several = isinstance(found, tuple)
        results = [
            self._like(part, self.index) if np.shape(part) == self.shape else part
            for part in (found if several else (found,))
        ]
        return tuple(results) if several else results[0]

    def _aligned(self, value: Any, product: bool) -> Any:
        if not isinstance(value, Tracer) and hasattr(value, "__pandas_priority__"):
            if getattr(value, "ndim", 1) > 1 and not product:
                raise _refused("DataFrame", "an operation on all columns")
            if not hasattr(value, "index") or not value.index.equals(self.index):
                raise _unaligned()
            if getattr(value, "dtype", _FLOAT).kind == "O":
                raise objects_of(value)
            return value.to_numpy()
        if not product and np.shape(value) not in ((), self.shape):
            raise ShapeError(
                f"an array of shape {np.shape(value)} meets a pandas Series of {len(self)} rows{user_line()}: "
                "take its array, .to_numpy(), to broadcast"
            )
        return value

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return on_arrays(function, args, kwargs)

    # --- what leaves out NaN ---

    def sum(self, axis: Any = None) -> Any:
        """The sum of what is no NaN."""
        return np.nansum(self.values)

    def mean(self, axis: Any = None) -> Any:
        """The mean of what is no NaN."""
        return np.nanmean(self.values)

    def prod(self, axis: Any = None) -> Any:
        """The product of what is no NaN."""
        return np.nanprod(self.values)

    def min(self, axis: Any = None) -> Any:
        """The least of what is no NaN."""
        return np.nanmin(self.values)

    def max(self, axis: Any = None) -> Any:
        """The largest of what is no NaN."""
        return np.nanmax(self.values)

    def std(self, axis: Any = None, ddof: int = 1) -> Any:
        """The standard deviation of what is no NaN, of a sample by default, as pandas has it."""
        return np.nanstd(self.values, ddof=ddof)

    def var(self, axis: Any = None, ddof: int = 1) -> Any:
        """The variance of what is no NaN, of a sample by default, as pandas has it."""
        return np.nanvar(self.values, ddof=ddof)

    def dot(self, other: Any) -> Any:
        """The inner product, with a Series of an equal index, or an array."""
        return self @ other

    def abs(self) -> Any:
        """The absolute values."""
        return abs(self)


class TracedFrame(_View):
    """The columns of a DataFrame, of which some are traced, with an index."""

    __slots__ = ("columns", "held", "index")
    kind = "DataFrame"

    def __init__(self, held: dict[Any, Any], index: Any, columns: Any):
        self.held = held
        self.index = index
        self.columns = columns

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.index), len(self.columns))

    ndim = 2

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.columns)

    def __contains__(self, name: Any) -> bool:
        return name in self.held

    def items(self) -> Iterator[tuple[Any, Any]]:
        """The columns, each with its name."""
        return ((name, self[name]) for name in self.columns)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, list):
            columns = self.columns[self.columns.get_indexer(key)] if all(k in self.held for k in key) else None
            if columns is None:
                raise KeyError(f"{shown(key)} not in columns")
            return TracedFrame({name: self.held[name] for name in columns}, self.index, columns)
        if isinstance(key, slice) or hasattr(key, "dtype"):
            raise _refused(self.kind, "a choice of rows")
        column = self.held[key]
        if isinstance(column, Tracer):
            return TracedSeries(column, self.index, key)
        return sys.modules["pandas"].Series(column, index=self.index, name=key)

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("__") and name in self.held:
            return self[name]
        return _View.__getattr__(self, name)

    def to_numpy(self) -> Any:
        """The traced array of shape (rows, columns), without the labels; all columns have to be numbers."""
        columns = [self.held[name] for name in self.columns]
        if not all(isinstance(column, (Tracer, np.ndarray)) for column in columns):
            raise _refused(self.kind, "an array of columns that are not all numbers")
        return np.stack(columns, axis=1)

    values = property(to_numpy)

    def dot(self, other: Any) -> Any:
        """The product with an array, without labels."""
        return self.to_numpy() @ other

    __matmul__ = dot

    def __rmatmul__(self, other: Any) -> Any:
        return other @ self.to_numpy()

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if ufunc is np.matmul:
            return on_arrays(ufunc, inputs, kwargs)
        raise _refused(self.kind, "an operation on all columns")

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        return on_arrays(function, args, kwargs)

    def __repr__(self) -> str:
        return f"TracedFrame({shown(list(self.columns))}, {len(self)} rows)"


def _of_columns(name: str) -> Callable[..., Any]:
    def refuse(self: Any, *args: Any) -> NoReturn:
        raise _refused("DataFrame", "an operation on all columns")

    refuse.__name__ = name
    return refuse


_OPERATORS = ("add", "sub", "mul", "truediv", "pow", "mod", "floordiv")
for _name in (
    *[f"__{side}{name}__" for name in _OPERATORS for side in ("", "r", "i")],
    "__neg__", "__abs__", "__lt__", "__gt__", "__le__", "__ge__", "__eq__", "__ne__",
):  # fmt: skip
    setattr(TracedFrame, _name, _of_columns(_name))


class _By:
    """`.loc` or `.iloc`: brackets around a function."""

    __slots__ = ("find",)

    def __init__(self, find: Callable[[Any], Any]):
        self.find = find

    def __getitem__(self, key: Any) -> Any:
        return self.find(key)


def on_arrays(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """A function of NumPy that drops the labels: NumPy would take the arrays, and pandas' methods for these."""
    method = _METHODS.get(function)
    if method is not None and args and isinstance(args[0], TracedSeries):
        plain = {key: value for key, value in kwargs.items() if key in ("axis", "ddof")}
        if plain.keys() == kwargs.keys() and len(args) == 1:
            if method in ("std", "var"):
                plain.setdefault("ddof", 0)  # NumPy's own
            return getattr(args[0], method)(**plain)
        raise _refused("Series", f"np.{function.__name__} with these arguments")
    args, kwargs = _plain(list(args)), {key: _plain(value) for key, value in kwargs.items()}
    return function(*args, **kwargs)


_METHODS: dict[Any, str] = {
    np.sum: "sum", np.mean: "mean", np.prod: "prod", np.min: "min", np.max: "max", np.std: "std", np.var: "var",
}  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, Tracer):
        return value
    if hasattr(value, "__pandas_priority__") and hasattr(value, "to_numpy"):
        return value.to_numpy()
    return type(value)([_plain(part) for part in value]) if value.__class__ in (list, tuple) else value


def _unaligned() -> Exception:
    return ShapeError(
        f"two pandas Series with different indexes meet where one is being differentiated{user_line()}: pandas would "
        "align their rows. Align them outside of the function, as with .reindex_like, or take arrays, .to_numpy(), to "
        "go by position"
    )


def beside_labels(function: Any, args: tuple[Any, ...]) -> Any:
    """What an elementwise function gives of a traced value and a plain object with labels.

    xarray's own classes compute with traced arrays, and views, too, so the operation is left to them (NotImplemented).
    pandas' do not: a view is made of the traced result.
    """
    plain: Any = next(value for value in args if not isinstance(value, Tracer))
    if isinstance(plain, _View) or not hasattr(plain, "__pandas_priority__"):
        return NotImplemented
    if getattr(plain, "ndim", 0) != 1 or not hasattr(plain, "index"):
        raise _refused(type(plain).__name__, f"np.{function.__name__} with a traced value")
    if plain.dtype.kind == "O":
        raise objects_of(plain)
    beside = TracedSeries(plain.to_numpy(), plain.index, plain.name)
    return beside.__array_ufunc__(function, "__call__", *[beside if value is plain else value for value in args])


def without_labels(value: Any) -> Any:
    """The plain array of an object with labels, as NumPy's functions take it; what is traced in it is refused."""
    if isinstance(value, _View):
        raise _refused(value.kind, "the labels, dropped by a function of a traced array,")
    found = np.asarray(value)
    if found.dtype.kind == "O":
        raise objects_of(value)
    return found
