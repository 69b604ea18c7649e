"""Containers that are none of Python's four: dataclasses, attrs classes, mappings with an order, a user's own classes.

Each is opened into its children and a `Shell`, which holds what is left of it: the class, the names of the children,
and what is *static*, that is, no number and no container of numbers.  A shell belongs to a structure as a dict's keys
do, so two structures are equal only if what is static is, too.

Of a dataclass or an attrs class, every field is a child, but for those that are static:

- a string, a bool, a function, an enum, and any other object that is no number and holds no arrays;
- an integer whose annotation says that it is one (`layers: int`, `sizes: tuple[int, ...]`).  Under any other
  annotation, as in a list, an integer is a number like others;
- a list, tuple or dict in which there is nothing else;
- a field that says so: `field(metadata={"static": True})`.  `{"static": False}` says the opposite.

An object is put together again without its `__init__` and `__post_init__`, which may refuse what is no plain array, or
compute fields anew: the fields are set, one by one, and nothing else is there.  A field that `__post_init__` computed
is a field like others, independent of those that it came from.

This module is loaded when the first such object comes.  It knows nothing of derivatives, and of structures only that
they have kinds, names and children.
"""

from __future__ import annotations

import dataclasses
import numbers
import re
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from shared.calling.shells import Shell
from shared.core.errors import LeafTypeError, RegistrationError, user_line
from shared.core.levels import Tracer
from shared.core.pandas_views import has_labels
from shared.core.visible import kind_of, one_line, shown


class _Fields(Shell):
    """A dataclass, an attrs class or a SimpleNamespace."""

    __slots__ = ()

    def make(self, parts: Sequence[Any]) -> Any:
        made = _new(self.kind)
        # Past `__setattr__`, which a frozen class refuses and an attrs class validates in.
        for name, value in (*self.static.items(), *zip(self.names, parts, strict=True)):
            object.__setattr__(made, name, value)
        return made


def _new(kind: Any) -> Any:
    try:
        return object.__new__(kind)
    except TypeError:  # what is written in C, or derives from that, as an exception does
        return kind.__new__(kind)


class _Items(Shell):
    """An OrderedDict or a defaultdict, whose keys are names."""

    __slots__ = ()

    def make(self, parts: Sequence[Any]) -> Any:
        items = zip(self.names, parts, strict=True)
        return defaultdict(self.static["default_factory"], items) if self.static else OrderedDict(items)

    def paths(self, root: str) -> list[str]:
        return [f"{root}[{shown(key)}]" for key in self.names]

    def text(self, parts: Sequence[str]) -> str:
        items = ", ".join(f"{shown(key)}: {part}" for key, part in zip(self.names, parts, strict=True))
        factory = "".join(f"{shown(value)}, " for value in self.static.values())
        return f"{self.kind.__name__}({factory}{{{items}}})"

    def entries(self, given: Any) -> list[Any] | None:
        return (
            [given[key] for key in self.names] if isinstance(given, dict) and given.keys() == set(self.names) else None
        )


class _Registered(Shell):
    """A container of a user's class, by the two functions that were registered for it."""

    __slots__ = ("by_name",)

    def __init__(self, kind: Any, names: tuple[Any, ...], static: dict[str, Any], by_name: bool):
        super().__init__(kind, names, static)
        self.by_name = by_name

    def make(self, parts: Sequence[Any]) -> Any:
        entry = _REGISTERED.get(self.kind)
        if entry is None:
            raise RegistrationError(
                f"{_name(self.kind)} is no container in this process{user_line()}: call register_container where the "
                "class is defined, so that other processes do, too"
            )
        children = dict(zip(self.names, parts, strict=True)) if self.by_name else tuple(parts)
        try:
            made = entry[1](self.static["static"], children)
        except Exception as error:
            error.add_note(
                f"This was raised by the unflatten function that {_name(self.kind)} was registered with. It is given "
                "what stands for arrays while a function is differentiated, derivatives, and arrays of other shapes: "
                "let it make the object without looking at the values, by object.__new__ if __init__ checks them."
            )
            raise
        if not isinstance(made, self.kind):
            raise RegistrationError(
                f"the unflatten function that {_name(self.kind)} was registered with returned {shown(made)} (type "
                f"{kind_of(made)}){user_line()}, but has to return a {_name(self.kind)}"
            )
        return made

    def paths(self, root: str) -> list[str]:
        return super().paths(root) if self.by_name else [f"{root}[{name}]" for name in self.names]

    def text(self, parts: Sequence[str]) -> str:
        if self.by_name:
            listed = [f"{name}={part}" for name, part in zip(self.names, parts, strict=True)]
        else:
            listed = list(parts)
        static = self.static["static"]
        return f"{_name(self.kind)}({', '.join(listed + ([] if static is None else [shown(static)]))})"

    def entries(self, given: Any) -> list[Any] | None:
        if not self.by_name and isinstance(given, (list, tuple)):
            return list(given) if len(given) == len(self.names) else None
        return super().entries(given)


_REGISTERED: dict[type, tuple[Callable[[Any], Any], Callable[[Any, Any], Any]]] = {}


def register_container(
    cls: type, flatten: Callable[[Any], tuple[Any, Any]], unflatten: Callable[[Any, Any], Any]
) -> None:
    """Make a class of yours a container: its objects may be arguments, results, tangents, wherever a list may be.

    `flatten(object)` returns `(children, static)`.  The children are numbers, arrays and containers of them, in a
    sequence, or in a dict by name, which error messages then use (`model.weights`).  `static` is anything else that the
    object is made of, such as settings, compared by `==`; None if there is nothing.

    `unflatten(static, children)` returns an object with these children, a tuple, or a dict if `flatten` gave one.  The
    children may be other than numbers and arrays: what stands for an array while a function is differentiated, or, in a
    Jacobian, a whole container.  So it must not compute with them or check them.

    Dataclasses, attrs classes, named tuples, OrderedDict, defaultdict and SimpleNamespace are containers by themselves;
    registered, a class (not its subclasses) is taken apart as said here.  Costs nothing else than the two calls.

    Raises RegistrationError for a class that is registered already, and for list, tuple, dict, named tuples, numbers
    and arrays; TypeError if `cls` is no class or one of the others no function.

    >>> import numpy as np, reversead
    >>> class Line:
    ...     def __init__(self, slope, start):
    ...         self.slope, self.start = slope, start
    >>> register_container(Line, lambda line: ((line.slope, line.start), None), lambda _, parts: Line(*parts))
    >>> slope = reversead.grad(lambda line: np.sum((line.slope * np.arange(3.0) + line.start) ** 2))(Line(1.0, 2.0))
    >>> slope.slope, slope.start
    (22.0, 18.0)
    """
    if not isinstance(cls, type):
        raise TypeError(f"register_container: expected a class, not {shown(cls)} (type {kind_of(cls)}){user_line()}")
    for function in (flatten, unflatten):
        if not callable(function):
            raise TypeError(f"register_container: expected a function, not {shown(function)}{user_line()}")
    if cls in _REGISTERED:
        raise RegistrationError(f"register_container: {_name(cls)} is a container already{user_line()}")
    if issubclass(cls, (Tracer, np.ndarray, np.generic, *_LEAVES)) or cls in (list, tuple, dict, type(None), object):
        raise RegistrationError(
            f"register_container: {_name(cls)} has its meaning already{user_line()}; register a class of your own"
        )
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        raise RegistrationError(
            f"register_container: {_name(cls)} is a named tuple and so a container already{user_line()}"
        )
    _REGISTERED[cls] = flatten, unflatten


_LEAVES = (int, float, complex, str, bytes)


def opened(value: Any) -> tuple[Shell, Sequence[Any]] | None:
    """The shell and the children of a container that is none of Python's four; None for a leaf."""
    kind = value.__class__
    if kind in _REGISTERED:
        return _open_registered(value, kind)
    if kind is OrderedDict:
        return _Items(kind, tuple(value), {}), list(value.values())
    if kind is defaultdict:
        return _Items(kind, tuple(value), {"default_factory": value.default_factory}), list(value.values())
    if kind is SimpleNamespace:
        return _open_fields(value, [(name, None, False) for name in vars(value)])
    if isinstance(value, (list, tuple, dict)):
        raise LeafTypeError(
            f"containers may be list, tuple, dict, named tuple, OrderedDict, defaultdict, dataclass, attrs class or "
            f"SimpleNamespace, not {_name(kind)}{user_line()}: convert it first, or say what it holds with "
            "shared.register_container"
        )
    if has_labels(kind):
        from shared.calling.labelled import opened_by_label

        return opened_by_label(value)
    if hasattr(kind, "__dataclass_fields__") or hasattr(kind, "__attrs_attrs__"):
        # What answers NumPy's protocols is an array, however it is written.
        return None if hasattr(kind, "__array_ufunc__") else _open_fields(value, _fields_of(kind))
    return None


def _open_registered(value: Any, kind: Any) -> tuple[Shell, Sequence[Any]]:
    found = _REGISTERED[kind][0](value)
    if not isinstance(found, tuple) or len(found) != 2 or not isinstance(found[0], Iterable):
        raise RegistrationError(
            f"the flatten function that {_name(kind)} was registered with returned {shown(found)}{user_line()}, but "
            "has to return a pair: the children, in a sequence or a dict, and what is static, or None"
        )
    children, static = found
    if isinstance(children, Mapping):
        return _Registered(kind, tuple(children), {"static": static}, True), list(children.values())
    children = list(children)
    return _Registered(kind, tuple(range(len(children))), {"static": static}, False), children


#: name, whether it is static (None if its value decides), whether its annotation says that it holds integers
_Field = tuple[str, bool | None, bool]
_known_fields: WeakKeyDictionary[type, list[_Field]] = WeakKeyDictionary()


def _fields_of(kind: Any) -> list[_Field]:
    found = _known_fields.get(kind)
    if found is None:
        listed = dataclasses.fields(kind) if hasattr(kind, "__dataclass_fields__") else kind.__attrs_attrs__
        found = _known_fields[kind] = [
            (field.name, field.metadata.get("static"), _says_integer(field.type)) for field in listed
        ]
    return found


#: what may stand in the annotation of a field that holds integers and names alone
_NO_REALS = frozenset((
    "int", "bool", "str", "bytes", "None", "NoneType", "Literal", "tuple", "Tuple", "list", "List", "dict", "Dict",
    "Sequence", "Mapping", "Iterable", "Optional", "Union", "Final", "Annotated", "typing", "t", "collections", "abc",
    "np", "numpy", "integer", "int64", "int32", "intp", "builtins", "Integral", "numbers",
))  # fmt: skip
_INTEGERS = frozenset(("int", "Literal", "integer", "int64", "int32", "intp", "Integral"))


def _says_integer(annotation: Any) -> bool:
    """Whether an annotation says that a field holds integers, and nothing that has a derivative.

    >>> _says_integer(int), _says_integer("tuple[int, ...]"), _says_integer("int | float"), _says_integer(None)
    (True, True, False, False)
    """
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__qualname__", "")
    if not isinstance(annotation, (str, type)) or getattr(annotation, "__args__", None):
        text = repr(annotation)
    words = set(re.findall(r"[^\W\d]\w*", text))
    return bool(words & _INTEGERS) and words <= _NO_REALS


def _open_fields(value: Any, fields: Sequence[_Field]) -> tuple[Shell, Sequence[Any]]:
    names, children, static = [], [], {}
    for name, declared, integers in fields:
        try:
            held = getattr(value, name)
        except AttributeError:
            continue  # a field that nothing was assigned to
        if declared or (declared is None and not _has_leaves(held, integers)):
            static[name] = held
        else:
            names.append(name)
            children.append(held)
    return _Fields(value.__class__, tuple(names), static), children


def _has_leaves(value: Any, integers: bool) -> bool:
    """Whether the value of a field is a child, and not static; with `integers`, an integer is static."""
    kind = value.__class__
    if value is None or isinstance(value, (np.ndarray, float, Tracer)):
        return not isinstance(value, np.ndarray) or value.dtype.kind in "biufcO"
    if isinstance(value, (bool, np.bool_, str, bytes, type, ModuleType, FunctionType, MethodType)):
        return False
    if isinstance(value, (int, np.integer)):
        return not integers
    if kind in (list, tuple, dict, OrderedDict, defaultdict) or (isinstance(value, tuple) and hasattr(kind, "_fields")):
        held = value.values() if isinstance(value, dict) else value
        return not value or any(_has_leaves(part, integers) for part in held if part is not None)
    if isinstance(value, (numbers.Number, list, tuple, dict)) or hasattr(value, "__array_ufunc__"):
        return True
    return opened(value) is not None or holds_arrays(value)


def holds_arrays(value: Any) -> bool:
    """Whether an object that is no container has arrays for attributes, which would have derivatives."""
    found = getattr(value, "__dict__", None)
    if not isinstance(found, dict) or isinstance(value, (type, ModuleType, FunctionType, MethodType)):
        return False
    for part in found.values():
        held = part if isinstance(part, (list, tuple)) else part.values() if isinstance(part, dict) else (part,)
        if any(isinstance(one, Tracer) or (isinstance(one, np.ndarray) and one.dtype.kind in "fcO") for one in held):
            return True
    return False


def _name(kind: type) -> str:
    return one_line(kind.__name__)
