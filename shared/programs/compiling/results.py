"""What a compiled function returns: the containers of its results as text.

Classes of containers, and keys of dicts that are no plain literals, are objects that have to be assigned to names.
This module knows nothing of how the results are computed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shared.programs.compiling.literals import numpy_class
from shared.programs.compiling.numpy_text import dtype_text
from shared.programs.compiling.scope import Scope
from shared.tree import LEAF, Structure


def result_text(scope: Scope) -> str:
    """The expression after `return`; lines that it needs are added to the body."""
    return _container(scope, scope.program.out_structure, _leaves(scope))


def _leaves(scope: Scope) -> Iterator[str]:
    # Who gets an array twice gets two.
    returned: set[int] = set()
    for number in scope.program.outputs:
        yield _leaf(scope, number, number in returned)
        returned.add(number)


def _leaf(scope: Scope, number: int, again: bool) -> str:
    type_, name = scope.types[number], scope.name(number)
    if scope.memory.is_number(number):
        if type_.is_array:
            return f"np.array({name}, {dtype_text(type_)})"
        return name if type_.kind in (float, bool) else f"{dtype_text(type_)}({name})"
    if not type_.is_array or (number in scope.memory.results and not again):
        return name
    return f"np.array({name})"


def _container(scope: Scope, structure: Structure, leaves: Iterator[str]) -> str:
    if structure is LEAF:
        return next(leaves)
    kind = structure.kind
    if kind is None:
        return "None"
    parts = [_container(scope, child, leaves) for child in structure.children]
    if kind is list:
        return f"[{', '.join(parts)}]"
    if kind is dict:
        keys = [scope.namespace.text(key, "key") for key in structure.names or ()]
        return "{" + ", ".join(f"{k}: {p}" for k, p in zip(keys, parts, strict=True)) + "}"
    if kind is tuple:
        return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
    return f"{_kind(scope, kind)}({', '.join(parts)})"


def _kind(scope: Scope, kind: Any) -> str:
    """The name of a class of named tuples: NumPy's own are imported."""
    imported, namespace = numpy_class(kind), scope.namespace
    if imported is None or namespace.definitions.setdefault(kind.__name__, imported) != imported:
        return namespace.object(kind, "container", kind.__qualname__)
    return str(kind.__name__)
