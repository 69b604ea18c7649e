"""What may stand in a text that is executed: literals that were checked, generated names, and this library's own code.

A program holds what users have named: dict keys, functions, static values, classes.  None of that is written into a
text as it is.  A value stands there as a literal if it is of an exactly known type, so that nobody else's `__repr__`
has a say, and short and plain besides; anything else is an object that has to be assigned to a generated name.  What
users named is shown in comments, escaped to one line of ASCII.  This module knows no programs.
"""

from __future__ import annotations

import math
import re
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np

#: The types whose own name is their text.
_TYPES: dict[Any, str] = {float: "float", complex: "complex", int: "int", bool: "bool"}
#: Numbers of NumPy whose text makes them again: not longdouble, which may hold more digits than any text has here.
_SCALARS: dict[Any, str] = {
    getattr(np, name): f"np.{name}"
    for name in ("float64", "float32", "float16", "complex128", "complex64", "int64", "int32", "int16", "int8",
                 "uint64", "uint32", "uint16", "uint8")
}  # fmt: skip
_SCALARS[np.bool_] = "np.bool_"
_DTYPES = {np.dtype(kind): text for kind, text in _SCALARS.items()}
_DTYPE_CLASSES = frozenset(type(dtype) for dtype in _DTYPES)
#: Strings that NumPy's functions take as settings, and short keys.  None of these signs opens a call.
_PLAIN = re.compile(r"[A-Za-z0-9_ ,.<>=|+-]{0,64}")
#: Longer integers are objects: Python refuses to write the longest out.
_LONGEST_INTEGER = 512
#: Containers of more entries are objects.
_MOST_ENTRIES = 4096


@dataclass(frozen=True, slots=True)
class Definition:
    """Source text of this library's own, which the executed text begins with: an import, or a function."""

    text: str


class Namespace:
    """What a text refers to by name: definitions, and objects that have to be assigned before it is executed."""

    def __init__(self) -> None:
        self.definitions: dict[str, Definition] = {}
        self.objects: dict[str, Any] = {}
        #: what users call an object, for the comment that lists it
        self.called: dict[str, str] = {}
        self._known: dict[int, str] = {}

    def object(self, value: Any, kind: str, called: str = "") -> str:
        """The generated name of an object: `kind` and a number."""
        name = self._known.get(id(value))
        if name is None:
            name = self._known[id(value)] = f"{kind}{len(self.objects)}"
            self.objects[name] = value
            self.called[name] = called
        return name

    def text(self, value: Any, kind: str = "static") -> str:
        """A value as a literal, or as the name of an object that has to be assigned."""
        found = literal(value)
        return self.object(value, kind) if found is None else found


def literal(value: Any) -> str | None:
    """The text of a value in pure ASCII, or None if it has to be an object.

    >>> literal(2.0), literal((1, None)), literal(slice(1, None)), literal("ij,j->i"), literal(np.float32(0.5))
    ('2.0', '(1, None)', 'slice(1, None, None)', "'ij,j->i'", 'np.float32(0.5)')
    >>> literal("print(1)") is None, literal(np.str_("axis")) is None
    (True, True)
    """
    kind = type(value)
    if kind is str:
        return repr(value) if _PLAIN.fullmatch(value) else None
    if kind in (tuple, list):
        return _sequence(value)
    if kind is slice:
        parts = [literal(part) for part in (value.start, value.stop, value.step)]
        return None if None in parts else f"slice({', '.join(map(str, parts))})"
    if kind in _DTYPE_CLASSES:
        known = _DTYPES.get(value) if value.isnative else None
        return None if known is None else f"np.dtype({known})"
    if kind is type:
        return _TYPES.get(value) or _SCALARS.get(value)
    return number_text(value)


def number_text(value: Any) -> str | None:
    """The text of a number, a truth value, None or an ellipsis; None for anything else."""
    kind = type(value)
    if kind in _SCALARS:
        return f"{_SCALARS[kind]}({number_text(value.item())})"
    if kind is float:
        if math.isfinite(value):
            return repr(value)
        return "math.nan" if value != value else ("math.inf" if value > 0 else "-math.inf")
    if kind is complex:
        return f"complex({number_text(value.real)}, {number_text(value.imag)})"
    if kind is int:
        return repr(value) if value.bit_length() <= _LONGEST_INTEGER else None
    if kind is bool or value is None:
        return repr(value)
    return "..." if value is Ellipsis else None


def _sequence(values: Any) -> str | None:
    if len(values) > _MOST_ENTRIES:
        return None
    parts = [literal(value) for value in values]
    if None in parts:
        return None
    inner = ", ".join(map(str, parts))
    if type(values) is list:
        return f"[{inner}]"
    return f"({inner}{',' if len(values) == 1 else ''})"


def slice_text(value: slice) -> str | None:
    """A slice as it stands between brackets, or None if it has to be an object.

    >>> slice_text(slice(1, None)), slice_text(slice(None, None, np.int64(2))), slice_text(slice("a"))
    ('1:', '::2', None)
    """
    parts = []
    for part in (value.start, value.stop, value.step):
        if part is not None and type(part) is not int and type(part) not in _SCALARS:
            return None
        text = "" if part is None else number_text(part if type(part) is int else part.item())
        if text is None:
            return None
        parts.append(text)
    return ":".join(parts if parts[2] else parts[:2])


def is_plain_dtype(dtype: np.dtype[Any]) -> bool:
    """Whether numbers of a dtype have a text that makes them again."""
    return type(dtype) in _DTYPE_CLASSES and dtype.isnative and dtype in _DTYPES


def numpy_class(kind: type) -> Definition | None:
    """The import of a class that belongs to a module of NumPy, such as that of the results of `np.linalg.slogdet`."""
    module, name = kind.__module__, kind.__name__
    if type(module) is not str or type(name) is not str or module.partition(".")[0] != "numpy":
        return None
    if not all(part.isidentifier() and part.isascii() for part in (*module.split("."), name)):
        return None
    return Definition(f"from {module} import {name}") if vars(sys.modules.get(module, re)).get(name) is kind else None


def comment(text: str) -> str:
    r"""What users named, as it may stand behind a `#`: one line of ASCII.

    >>> print(comment("rate\nimport os"), comment("λ"))
    rate\nimport os \u03bb
    """
    return text.encode("unicode_escape").decode("ascii")
