"""Primitives in another process: a primitive pickles as what it was declared by, or as the name that it has.

Its edges are closures, which do not pickle; so the module that declares it has to be imported where it is loaded.  This
module knows of a primitive that it has a function and what evaluates it.
"""

from __future__ import annotations

import pickle
import sys
from importlib import import_module
from typing import Any

import numpy as np

from shared.core.lazy import load_rules_of
from shared.core.visible import shown

#: Every primitive, by its function and by what evaluates it: an operator's twin differs from a ufunc in that alone.
_KNOWN: dict[tuple[Any, Any], Any] = {}


def known_primitive(function: Any, evaluate: Any) -> Any:
    """The primitive that was declared of a function: what a pickled one is loaded by."""
    found = _KNOWN.get((function, evaluate))
    if found is None:
        load_rules_of(function)
        found = _KNOWN.get((function, evaluate))
    if found is None:
        raise pickle.UnpicklingError(
            f"no primitive is declared of {shown(function)}: import the module that declares it before unpickling"
        )
    return found


def named_primitive(module: str, name: str, place: int | None = None) -> Any:
    """The primitive, or the function of one, of that name in a module, or at a place in the list of that name."""
    found: Any = getattr(import_module(module), name)
    return found if place is None else found[place]


class _Attribute:
    """What pickles as an attribute of a module."""

    def __init__(self, *place: str):
        self.place = place

    def __reduce__(self) -> Any:
        return (named_primitive, self.place)


def _found_by_name(function: Any) -> Any:
    """A function, or what pickles as it does.

    A ufunc knows no module.  `pickle` asks each one that is loaded for the name of a ufunc of SciPy's, and those that
    NumPy has deprecated answer with a warning.
    """
    if isinstance(function, np.ufunc):
        name: str = function.__name__
        for module in ("numpy", "scipy.special"):
            if getattr(sys.modules.get(module), name, None) is function:
                return _Attribute(module, name)
    return function


def note(primitive: Any) -> None:
    """Remember what a primitive is declared by."""
    _KNOWN[primitive.function, primitive.raw] = primitive


def reduced(primitive: Any) -> Any:
    """What `__reduce__` of a primitive returns."""
    key = (primitive.function, primitive.raw)
    named = tuple(map(_found_by_name, key))
    if _KNOWN.get(key) is primitive and _is_importable(*named):
        return (known_primitive, named)
    module = getattr(primitive.function, "__module__", None) or ""
    for name, value in vars(sys.modules.get(module, pickle)).items():
        if value is primitive:
            return (named_primitive, (module, name))
        if isinstance(value, list) and any(entry is primitive for entry in value):
            return (named_primitive, (module, name, value.index(primitive)))
    raise pickle.PicklingError(
        f"the primitive {primitive.name} cannot be pickled, because its function {shown(primitive.function)} cannot be "
        "imported by its name: define that, or the primitive itself, at the top level of a module"
    )


def _is_importable(*functions: Any) -> bool:
    try:
        pickle.dumps(functions)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True
