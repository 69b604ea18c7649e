"""What is loaded when it is first asked for: names of a package (PEP 562), and rules of other packages' ufuncs.

This module knows no name, no package and no rule.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any

import numpy as np


def on_demand(
    package: str, later: Mapping[str, Iterable[str]], parts: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and the `__dir__` of a package: `later` lists names by the module that they are in.

    `parts` are packages within it, which are loaded in the same way.  A name that was asked for stays, so that it costs
    nothing from then on.
    """
    modules = {name: module for module, names in later.items() for name in names}
    namespace = vars(sys.modules[package])

    def getattr_(name: str) -> Any:
        if name in modules:
            found = namespace[name] = getattr(import_module(modules[name]), name)
            return found
        if name in parts:
            return import_module(f"{package}.{name}")
        told = f"module {package!r} has no attribute {name!r}"
        if not name.startswith("_"):  # which those who look into packages ask for
            from shared.core.elsewhere import written_here

            told += written_here(name)
        raise AttributeError(told, name=name, obj=sys.modules[package])

    def dir_() -> list[str]:
        return sorted({*namespace, *modules, *parts})

    return getattr_, dir_


#: Modules with rules of other packages' ufuncs, by the package that defines them
_RULES: dict[str, str] = {}


def rules_later(package: str, module: str) -> None:
    """Declare that `module` has rules of the ufuncs of a package: it is loaded, if that is, when one is met."""
    _RULES[package] = module


def load_rules_of(function: Any) -> None:
    """Load what rules there are of a ufunc that is not NumPy's."""
    if isinstance(function, np.ufunc) and getattr(np, function.__name__, None) is not function:
        for package, module in _RULES.items():
            if package in sys.modules:
                import_module(module)
