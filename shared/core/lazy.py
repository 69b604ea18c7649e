"""Names of a package that are loaded when they are first asked for (PEP 562).

This module knows no name and no package.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from typing import Any


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
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def dir_() -> list[str]:
        return sorted({*namespace, *modules, *parts})

    return getattr_, dir_
