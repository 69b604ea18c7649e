"""Arrays with labels as containers: xarray's DataArray and Dataset, pandas' Series and DataFrame.

Their numbers are the children, and labels, names and attributes are static, so that a derivative has those of its
argument.  An array that has not the shape of the labels (a block of a Jacobian, what `vmap` stacks) comes as it is.

A DataArray can hold a traced array, and xarray computes with it by NumPy's functions.  pandas cannot: a view stands in
its place (`shared.core.pandas_views`).  Neither library is imported here before one of its objects has come.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.calling.shells import Shell
from shared.core.errors import LeafTypeError, user_line
from shared.core.levels import Tracer
from shared.core.pandas_views import TracedFrame, TracedSeries, objects_of
from shared.core.visible import one_line, shown


class _Labelled(Shell):
    __slots__ = ()
    may_be_mapped = False

    def paths(self, root: str) -> list[str]:
        return [root] if self.names == (None,) else [f"{root}[{shown(name)}]" for name in self.names]

    def text(self, parts: Sequence[str]) -> str:
        return f"{one_line(self.kind.__name__)}({self.described()})"

    def described(self) -> str:
        """The labels, in short."""
        raise NotImplementedError

    def entries(self, given: Any) -> list[Any] | None:
        return None


class _DataArray(_Labelled):
    __slots__ = ()
    is_one_array = True

    def make(self, parts: Sequence[Any]) -> Any:
        (part,) = parts
        held = self.static
        if np.ndim(part) != len(held["dims"]) or np.shape(part) != held["shape"]:
            return part
        return self.kind(part, held["coords"].coords, held["dims"], held["name"], held["attrs"])

    def described(self) -> str:
        sizes = zip(self.static["dims"], self.static["shape"], strict=True)
        return ", ".join([f"{one_line(str(dim))}: {size}" for dim, size in sizes])


class _Dataset(_Labelled):
    __slots__ = ()

    def make(self, parts: Sequence[Any]) -> Any:
        held = self.static
        given = dict(zip(self.names, parts, strict=True))
        if any(_shape(part) != held["variables"][name][2] for name, part in given.items()):
            return given
        found = {name: (held["variables"][name][0], part, held["variables"][name][1]) for name, part in given.items()}
        return self.kind({**held["others"], **found}, held["coords"].coords, held["attrs"])

    def described(self) -> str:
        return ", ".join([one_line(str(name)) for name in self.names])


class _Fixed(_Labelled):
    """A Series of what has no derivative: names, dates, bools."""

    __slots__ = ()

    def make(self, parts: Sequence[Any]) -> Any:
        return self.static["values"]

    def described(self) -> str:
        return f"{len(self.static['values'])} rows of {self.static['values'].dtype}"


class _Series(_Labelled):
    __slots__ = ()
    is_one_array = True

    def make(self, parts: Sequence[Any]) -> Any:
        (part,) = parts
        index, name = self.static["index"], self.static["name"]
        if _shape(part) != (len(index),):
            return part
        if isinstance(part, Tracer):
            return TracedSeries(part, index, name)
        return self.kind(part, index=index, name=name)

    def described(self) -> str:
        return f"{len(self.static['index'])} rows"


class _DataFrame(_Labelled):
    __slots__ = ()

    def make(self, parts: Sequence[Any]) -> Any:
        index, others, columns = self.static["index"], self.static["others"], self.static["columns"]
        given = dict(zip(self.names, parts, strict=True))
        if any(_shape(part) != (len(index),) for part in parts):
            return given
        if any(isinstance(part, Tracer) for part in parts):
            return TracedFrame({name: {**given, **others}[name] for name in columns}, index, columns)
        frame = self.kind({**given, **others}, index=index)
        return frame[list(columns)].set_axis(columns, axis=1)

    def described(self) -> str:
        return f"{len(self.static['index'])} rows, {', '.join([one_line(str(name)) for name in self.names])}"


def _shape(part: Any) -> Any:
    """The shape of an array; None of a container, which stands in a Jacobian where an array was."""
    return getattr(part, "shape", ()) if hasattr(part, "dtype") or isinstance(part, (int, float, complex)) else None


def opened_by_label(value: Any) -> tuple[Shell, Sequence[Any]] | None:
    """The shell and the children of an array with labels; None for anything else of these libraries."""
    if isinstance(value, TracedSeries):
        static = {"index": value.index, "name": value.name}
        return _Series(sys.modules["pandas"].Series, (None,), static), [value.values]
    if isinstance(value, TracedFrame):
        return _frame(sys.modules["pandas"].DataFrame, value.held, value.index, value.columns)
    for package, name, opener in _OPENERS:
        library = sys.modules.get(package)
        if library is not None and isinstance(value, getattr(library, name, ())):
            found: tuple[Shell, Sequence[Any]] | None = opener(value)
            return found
    return None


def _open_array(array: Any) -> tuple[Shell, Sequence[Any]]:
    static = {
        "dims": array.dims, "shape": array.shape, "coords": array.coords.to_dataset(), "name": array.name,
        "attrs": dict(array.attrs),
    }  # fmt: skip
    return _DataArray(array.__class__, (None,), static), [array.data]


def _open_dataset(dataset: Any) -> tuple[Shell, Sequence[Any]]:
    numeric = {name: array for name, array in dataset.data_vars.items() if array.dtype.kind in "iufcO"}
    static = {
        "coords": dataset.coords.to_dataset(),
        "attrs": dict(dataset.attrs),
        "variables": {name: (array.dims, dict(array.attrs), array.shape) for name, array in numeric.items()},
        "others": {name: array.variable for name, array in dataset.data_vars.items() if name not in numeric},
    }
    return _Dataset(dataset.__class__, tuple(numeric), static), [array.data for array in numeric.values()]


def _open_series(series: Any) -> tuple[Shell, Sequence[Any]]:
    static = {"index": series.index, "name": series.name}
    if not _is_numeric(series):
        return _Fixed(series.__class__, (), {"values": series}), []
    return _Series(series.__class__, (None,), static), [series.to_numpy()]


def _open_frame(frame: Any) -> tuple[Shell, Sequence[Any]]:
    if not frame.columns.is_unique:
        raise LeafTypeError(
            f"a DataFrame has two columns of one name{user_line()}, which derivatives could not be told apart by: "
            "rename one"
        )
    held = {name: (column.to_numpy() if _is_numeric(column) else column) for name, column in frame.items()}
    return _frame(frame.__class__, held, frame.index, frame.columns)


def _frame(kind: Any, held: dict[Any, Any], index: Any, columns: Any) -> tuple[Shell, Sequence[Any]]:
    numbers = {name: column for name, column in held.items() if isinstance(column, (np.ndarray, Tracer))}
    others = {name: column for name, column in held.items() if name not in numbers}
    static = {"index": index, "columns": columns, "others": others}
    return _DataFrame(kind, tuple(numbers), static), list(numbers.values())


def _is_numeric(series: Any) -> bool:
    """Whether a column holds numbers that have a derivative; an error where it does, but not as NumPy's."""
    dtype = series.dtype
    if dtype.kind == "O" and any(isinstance(entry, Tracer) for entry in series.to_numpy()):
        raise objects_of(series)
    if not isinstance(dtype, np.dtype) and dtype.kind in "iufc":
        raise LeafTypeError(
            f"a column of pandas has the dtype {dtype}{user_line()}, which may have missing values that are no "
            f"numbers: convert it, with .astype({'float' if dtype.kind != 'c' else 'complex'!r})".replace("'", "")
        )
    return isinstance(dtype, np.dtype) and dtype.kind in "iufc"


_OPENERS = (
    ("xarray", "DataArray", _open_array),
    ("xarray", "Dataset", _open_dataset),
    ("pandas", "Series", _open_series),
    ("pandas", "DataFrame", _open_frame),
)
