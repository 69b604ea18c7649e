"""The API reference: a page for each engine and each room of `shared`, from the docstrings of what is public there.

Public is what `__all__` names, of the packages and of the rooms; and the modules that documents send readers to.
"""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from types import ModuleType
from typing import Any

#: Modules whose own names are public under theirs: all that they define without an underscore.
MODULES = {
    "networks": ["mlp", "lenet", "losses", "training", "backprop", "report"],
    "checking": ["differences", "complex_step"],
}


def write(folder: Path) -> None:
    """Write the pages of the reference, in reStructuredText, and their index into that folder."""
    folder.mkdir()
    pages = {name: page(importlib.import_module(name), public(name)) for name in ("dualad", "reversead")}
    pages |= {f"shared.{room}": text for room, text in rooms().items()}
    for name, text in pages.items():
        (folder / f"{name}.rst").write_text(text, encoding="utf-8")
    listed = "".join(f"   {name}\n" for name in pages)
    intro = (
        "The two engines have the same names. What both stand on is public as ``shared.name``; here it is listed by\n"
        "the room of ``shared`` that it comes from.\n\n"
    )
    text = heading("API", "=") + intro + ".. toctree::\n   :maxdepth: 1\n\n" + listed
    (folder / "index.rst").write_text(text, encoding="utf-8")


def public(name: str) -> dict[str, Any]:
    """What `__all__` of a module names, by its full name."""
    module = importlib.import_module(name)
    return {f"{name}.{key}": getattr(module, key) for key in sorted(module.__all__, key=str.lower)}


def rooms() -> dict[str, str]:
    """The page of every room of `shared` that has something public."""
    names: dict[str, dict[str, Any]] = {}
    for full, thing in public("shared").items():
        origin = getattr(thing, "__module__", None) or "shared.core.registry"
        if isinstance(thing, ModuleType):
            origin = thing.__name__
        if callable(thing) or not isinstance(thing, ModuleType):
            names.setdefault(origin.split(".")[1], {})[full] = thing
    for room in [*names, "comparison", "counting"]:
        module = importlib.import_module(f"shared.{room}")
        known = list(names.setdefault(room, {}).values())
        if hasattr(module, "__all__"):
            own = {k: v for k, v in public(f"shared.{room}").items() if not any(v is other for other in known)}
            names[room] |= {k: v for k, v in own.items() if callable(v)}
    pages = {}
    for room, things in sorted(names.items()):
        text = page(importlib.import_module(f"shared.{room}"), things)
        for module in MODULES.get(room, ()):
            text += "\n" + section_of(f"shared.{room}.{module}", things)
        pages[room] = text
    return pages


def section_of(name: str, shown: dict[str, Any]) -> str:
    """What a module defines itself, as a section of its room's page."""
    module = importlib.import_module(name)
    own = {
        f"{name}.{key}": thing
        for key, thing in vars(module).items()
        if not key.startswith("_")
        and callable(thing)
        and getattr(thing, "__module__", None) == name
        and inspect.getdoc(thing)
        and not any(thing is other for other in shown.values())
    }
    return heading(name, "-") + described(module) + "".join(directive(full, thing) for full, thing in own.items())


def page(module: ModuleType, things: dict[str, Any]) -> str:
    """A page with what its module says of itself, and those things."""
    return (
        heading(module.__name__, "=")
        + described(module)
        + "".join(directive(full, thing) for full, thing in things.items())
    )


def described(module: ModuleType) -> str:
    """The first paragraph of a module."""
    return (inspect.getdoc(module) or "").partition("\n\n")[0] + "\n\n"


def heading(title: str, rule: str) -> str:
    """A heading in reStructuredText."""
    return f"{title}\n{rule * len(title)}\n\n"


def directive(full: str, thing: Any) -> str:
    """The directive that shows the docstring of a thing."""
    if isinstance(thing, ModuleType):
        # A room that is called: its function has the docstring.
        function = type(thing).__call__
        return f"``{full}`` calls:\n\n.. autofunction:: {function.__module__}.{function.__name__}\n\n"
    if inspect.isclass(thing):
        kind = "exception" if issubclass(thing, BaseException) else "class"
        return f".. auto{kind}:: {full}\n   :members:\n\n"
    if callable(thing):
        return f".. autofunction:: {full}\n\n"
    return f".. py:data:: {full}\n\n   A {type(thing).__name__} of {len(thing):,} entries.\n\n"
