"""Which names a function loads, so that a recorded program can be told from one whose names have been bound anew.

A program reads an array from outside each time it runs, but it reads the array that it met, and a number it met is part
of it: after `rate = 0.2` it would go on with the old rate.  So the names that the function's code loads are looked up
once, through the functions that they stand for, and compared by identity before each run.  This module knows nothing
of programs, derivatives or arrays.
"""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import (
    BuiltinFunctionType,
    CellType,
    CodeType,
    FunctionType,
    MappingProxyType,
    MethodType,
    ModuleType,
)
from typing import Any

from shared.transformed import Transformed

#: Packages whose own names nobody binds anew.
_FOREIGN = frozenset(("shared", "dualad", "reversead", "numpy", "scipy")) | sys.stdlib_module_names
#: Lists, tuples and dicts of up to so many entries are looked into, this deep.
_ENTRIES, _DEPTH = 64, 3
_MISSING = object()

#: (where, name, what it stands for), and how to look it up again: a dict, cell or other object, and the key in it
Found = tuple[str, str, Any, Any, Any]


def loaded_names(f: Callable[..., Any]) -> list[tuple[str, str, Any]]:
    """What the code of `f` loads from outside of itself, as (where, name, object).

    That are variables of enclosing functions and of modules, attributes that are reached from these or from `self`, and
    the entries of lists and dicts that they stand for; of `f` and of the Python functions that are found on the way:
    partial ones, methods, transforms of functions, decorated ones and those in default arguments.  Modules of this
    library, of NumPy and SciPy, and of the standard library are left out.

    Cost: some hundred microseconds a function.

    >>> rate = 0.1
    >>> def make(scale):
    ...     return lambda x: scale * x
    >>> loaded_names(make(2.0))
    [('closure of make.<locals>.<lambda>', 'scale', 2.0)]
    """
    return [(where, name, value) for where, name, value, _, key in _found(f) if not isinstance(key, _Stored)]


class Names:
    """The names that a function loads, as they are bound now: `unchanged()` says whether they still are.

    `owners` are objects that stand for parameters of these names: the attributes that are read from them belong to it.

    >>> settings = {"rate": 0.1}
    >>> def make():
    ...     return lambda x: settings["rate"] * x
    >>> found = Names(partial(make(), settings))
    >>> found.unchanged()
    True
    >>> settings["rate"] = 0.2
    >>> found.unchanged(), found.changed()
    (False, "'rate' (entry of an argument of partial)")
    """

    __slots__ = ("_attributes", "_cells", "_entries", "_found", "_lengths", "_stored", "values")

    def __init__(self, f: Callable[..., Any], owners: Mapping[str, Any] | None = None):
        #: everything that was found, with what belongs to an object for good
        self.values: list[Any] = []
        found = list(_found(f, owners or {}, self.values))
        self._found = [one for one in found if not isinstance(one[4], _Stored)]
        #: the namespaces that the code stores in, and under what name
        self._stored = [one for one in found if isinstance(one[4], _Stored)]
        self._cells: list[Any] = []
        self._entries: list[Any] = []
        self._attributes: list[Any] = []
        self._lengths: list[Any] = []
        for _, _, value, place, key in self._found:
            if isinstance(place, CellType):
                self._cells.append((place, value))
            elif key is _LENGTH:
                self._lengths.append((place, value))
            elif isinstance(place, (dict, list)):
                self._entries.append((place, key, value))
            else:
                self._attributes.append((place, key, value))

    def unchanged(self) -> bool:
        """Whether every name stands for the object that it stood for; some 50 ns a name."""
        try:
            for cell, value in self._cells:
                if cell.cell_contents is not value:
                    return False
            for place, key, value in self._entries:
                if place[key] is not value:
                    return False
            for place, value in self._lengths:
                if len(place) != value:
                    return False
            for place, key, value in self._attributes:
                if getattr(place, key) is not value:
                    return False
        except (ValueError, LookupError, AttributeError):
            return False  # a name that has been deleted
        return True

    def holding(self, kind: type) -> str | None:
        """The first name that stands by now for an object of a kind, or for a list or dict that holds one."""
        for where, name, value, place, key in self._found:
            if key is _LENGTH:
                entries = place.values() if isinstance(place, dict) else place
                now = next((entry for entry in entries if isinstance(entry, kind)), None)
            else:
                now = value if place is None else _looked_up(place, key)
            if isinstance(now, kind):
                return f"{name!r} ({where})"
        for where, name, _, place, _ in self._stored:
            if isinstance(place.get(name), kind):
                return f"{name!r} ({where})"
        return None

    def changed(self) -> str | None:
        """The first name that stands for something else by now, and where it is; None if there is none."""
        for where, name, value, place, key in self._found:
            now = _looked_up(place, key)
            if now != value if key is _LENGTH else now is not value:
                return f"{name!r} ({where})"
        return None

    def __len__(self) -> int:
        return len(self._found)


class _Length:
    """Stands in place of a key for the number of entries."""


_LENGTH = _Length()


class _Stored(str):
    """A key under which code stores something: what stands there by now does not matter to the record."""

    __slots__ = ()


def _looked_up(place: Any, key: Any) -> Any:
    try:
        if isinstance(place, CellType):
            return place.cell_contents
        if key is _LENGTH:
            return len(place)
        return place[key] if isinstance(place, (dict, list)) else getattr(place, key)
    except (ValueError, LookupError, AttributeError):
        return _MISSING


# --- finding them -----------------------------------------------------------------------------------------------------


def _found(
    f: Any, owners: Mapping[str, Any] = MappingProxyType({}), values: list[Any] | None = None
) -> Iterator[Found]:
    """Every name once, and every function and container once."""
    visited: set[int] = set()
    known: set[tuple[int, Any]] = set()
    # Callables to look into, each with its text; an explicit stack, since functions may call each other in long chains.
    pending: list[tuple[Any, str, int]] = [(f, _asked(f, "__qualname__", "the function"), 0)]
    pending += [(owner, name, 0) for name, owner in owners.items() if callable(owner)]
    kept = []
    while pending:
        value, text, depth = pending.pop()
        if id(value) in visited:
            continue
        visited.add(id(value))
        # As long as it is held, no other object has its id.
        kept.append(value)
        for found, deeper in _inside(value, text, depth, owners):
            if values is not None and not isinstance(found[4], _Stored):
                values.append(found[2])
            place, key = found[3], found[4]
            identity = (id(place), key if key.__class__ is str else id(key) if key is _LENGTH else repr(key))
            if place is not None and identity not in known:
                known.add(identity)
                yield found
            if deeper >= 0:
                pending.append((found[2], _asked(found[2], "__qualname__", found[1]), deeper))


def _inside(value: Any, text: str, depth: int, owners: Mapping[str, Any]) -> Iterator[tuple[Found, int]]:
    """What a value refers to, with the depth at which to look into it in turn (below zero: not at all)."""
    if isinstance(value, FunctionType):
        yield from _of_function(value, None, owners)
    elif isinstance(value, MethodType):
        if isinstance(value.__func__, FunctionType):
            yield from _of_function(value.__func__, value.__self__, owners)
        else:
            yield _held(text, value.__func__), 0
    elif isinstance(value, Transformed):
        for part in (*value.arguments, *value.options.values()):
            yield _held(f"argument of {value.transform.__name__}", part), 0
    elif isinstance(value, partial):
        for part in (value.func, *value.args, *value.keywords.values()):
            yield _held("argument of partial", part), 0
    elif isinstance(value, (list, tuple, dict)) and type(value) in (list, tuple, dict):
        if len(value) <= _ENTRIES and depth < _DEPTH:
            where = f"entry of an {text}" if text.startswith("argument") else f"entry of {text}"
            if not isinstance(value, tuple):
                yield (where, "length", len(value), value, _LENGTH), -1
            for key, entry in value.items() if isinstance(value, dict) else enumerate(value):
                yield (where, str(key), entry, None if isinstance(value, tuple) else value, key), depth + 1
    elif callable(value) and not isinstance(value, type) and not _is_foreign(type(value).__module__):
        call = type(value).__call__
        if isinstance(call, FunctionType):
            yield from _of_function(call, value, owners)
    wrapped = _asked(value, "__wrapped__", None) if callable(value) else None
    if wrapped is not None:
        yield _held(text, wrapped), 0


def _held(where: str, value: Any) -> Found:
    """What belongs to an object for good, so that there is no name to compare."""
    name = _asked(value, "__name__", where)
    return where, name if isinstance(name, str) else where, value, None, None


def _asked(value: Any, name: str, otherwise: Any) -> Any:
    """An attribute of any object at all: some make theirs up, and raise what they like."""
    try:
        return getattr(value, name)
    except Exception:
        return otherwise


def _of_function(
    function: FunctionType, owner: Any, owners: Mapping[str, Any] = MappingProxyType({})
) -> Iterator[tuple[Found, int]]:
    """What the code of a function loads; `owner` is what its first parameter stands for, if that is known."""
    if _is_foreign(function.__globals__.get("__name__", "")) and owner is None and function.__closure__ is None:
        return
    text = function.__qualname__
    for default in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        yield _held(f"default argument of {text}", default), 0
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    roots: dict[str, Any] = {}
    for name, cell in cells.items():
        content = _looked_up(cell, name)
        if content is not _MISSING:
            roots[name] = content
            if not _is_known_module(content):
                yield (f"closure of {text}", name, content, cell, name), 0
    code = function.__code__
    parameters = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    first = parameters[0] if owner is not None and parameters else None
    if _is_foreign(function.__globals__.get("__name__", "")):
        return
    for kind, name, attributes in _loads(function.__code__):
        if kind == "stored":
            yield (f"global of {function.__globals__.get('__name__', '')}", name, None, function.__globals__,
                   _Stored(name)), -1  # fmt: skip
            continue
        if kind == "global" and name in function.__globals__:
            value = function.__globals__[name]
            if not _is_known_module(value):
                module = function.__globals__.get("__name__", "")
                yield (f"global of {module}", name, value, function.__globals__, name), 0
        elif kind == "variable" and name == first:
            value = owner
        elif kind == "variable" and name in owners and name in parameters:
            value = owners[name]
        elif kind == "variable" and name in roots:
            value = roots[name]
        else:
            continue
        yield from _attributes(value, name, attributes)


def _attributes(value: Any, path: str, names: tuple[str, ...]) -> Iterator[tuple[Found, int]]:
    """What is reached from a value by one attribute after another."""
    for name in names:
        namespace = _asked(value, "__dict__", None)
        if isinstance(name, _Stored):
            if isinstance(namespace, dict):
                yield (f"attribute of {path}", str(name), None, namespace, name), -1
            return
        if _is_known_module(value) or (
            _is_foreign(_asked(value if isinstance(value, type) else type(value), "__module__", ""))
            and not isinstance(namespace, dict)
        ):
            return
        if isinstance(namespace, dict) and name in namespace:
            found: Any = namespace[name]
            yield (f"attribute of {path}", name, found, namespace, name), 0
        else:
            made = _property_of(value, name)
            if made is not None:
                yield from _of_function(made, value)
                return
            found = _looked_up(value, name) if _is_plain_attribute(value, name) else _MISSING
            if found is _MISSING:
                return
            if isinstance(found, MethodType):
                yield _held(f"method of {path}", found), 0
                return
            yield (f"attribute of {path}", name, found, value, name), 0
        value, path = found, f"{path}.{name}"


def _attribute(value: Any, name: str) -> Any:
    """What the class of a value, or a class itself, has under a name."""
    bases = value.__mro__ if isinstance(value, type) else type(value).__mro__
    return next((vars(base)[name] for base in bases if name in vars(base)), _MISSING)


def _property_of(value: Any, name: str) -> FunctionType | None:
    """The function that a property of a value runs, whose own attributes are then looked at."""
    attribute = _attribute(value, name)
    found = attribute.fget if isinstance(attribute, property) else getattr(attribute, "func", None)
    return found if isinstance(found, FunctionType) and not isinstance(value, type) else None


def _is_plain_attribute(value: Any, name: str) -> bool:
    """Whether reading an attribute runs none of the user's code: a method, a slot or a class variable."""
    attribute = _attribute(value, name)
    return attribute is not _MISSING and not isinstance(attribute, property)


def _loads(code: CodeType) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """The names that code loads, and that of the functions defined in it: each with the attributes read from it."""
    kind = name = ""
    attributes: list[str] = []
    for instruction in dis.get_instructions(code):
        operation = instruction.opname
        if operation in ("LOAD_ATTR", "LOAD_METHOD") and name:
            attributes.append(instruction.argval)
            continue
        if operation == "STORE_ATTR" and name:
            attributes.append(_Stored(instruction.argval))
        if operation == "STORE_GLOBAL":
            yield "stored", instruction.argval, ()
        if operation in ("CACHE", "EXTENDED_ARG"):
            continue
        if name:
            yield kind, name, tuple(attributes)
        name, attributes = "", []
        if operation in ("LOAD_GLOBAL", "LOAD_NAME"):
            kind, name = "global", instruction.argval
        elif operation.startswith(("LOAD_FAST", "LOAD_DEREF", "LOAD_CLASSDEREF")) and instruction.argval:
            kind, name = "variable", instruction.argval
            if isinstance(name, tuple):
                name = name[-1]
    if name:
        yield kind, name, tuple(attributes)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _loads(constant)


def _is_foreign(module: Any) -> bool:
    return isinstance(module, str) and module.partition(".")[0] in _FOREIGN


def _is_known_module(value: Any) -> bool:
    """Whether a value is a module, or a function written in C, that nobody changes."""
    if isinstance(value, ModuleType):
        return _is_foreign(value.__name__)
    return isinstance(value, BuiltinFunctionType)


__all__ = ["Names", "loaded_names"]
