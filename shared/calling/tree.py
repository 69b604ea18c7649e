"""Nested containers of arrays: lists, tuples, dicts and named tuples, taken apart into leaves and put together again.

Anything that is none of these is a leaf; None is an empty container.  Dict keys are taken in sorted order
where they can be sorted, so the order of insertion does not matter.  This module knows nothing of derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from shared.core.errors import ShapeError
from shared.core.visible import one_line, shown


class Structure:
    """The shape of a nested container: how to put its leaves back.  Two are equal if they nest alike."""

    __slots__ = ("children", "kind", "names", "size")

    def __init__(self, kind: Any, names: tuple[Any, ...] | None, children: tuple[Structure, ...], size: int):
        self.kind = kind
        self.names = names
        self.children = children
        self.size = size

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Structure):
            return NotImplemented
        return self.kind is other.kind and self.names == other.names and self.children == other.children

    def __hash__(self) -> int:
        return hash((self.kind, self.names, self.children))

    def __reduce__(self) -> Any:
        # The leaf is one object, also in another process.
        return (_structure, (self.kind, self.names, self.children, self.size))

    def __repr__(self) -> str:
        if self.kind is _Leaf:
            return "*"
        if self.kind is None:
            return "None"
        parts = [repr(child) for child in self.children]
        if self.kind is dict:
            return "{" + ", ".join(f"{shown(k)}: {p}" for k, p in zip(self.names or (), parts, strict=True)) + "}"
        if self.kind is list:
            return f"[{', '.join(parts)}]"
        name = "" if self.kind is tuple else one_line(self.kind.__name__)
        return f"{name}({', '.join(parts)}{',' if len(parts) == 1 and not name else ''})"


class _Leaf:
    """Marks a leaf; a class so that structures compare kinds by identity."""


def _structure(kind: Any, names: Any, children: Any, size: int) -> Structure:
    return LEAF if kind is _Leaf else Structure(kind, names, children, size)


LEAF = Structure(_Leaf, None, (), 1)
_NONE = Structure(None, None, (), 0)


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of `tree`, depth first, and the structure that `unflatten` puts them back into.

    >>> flatten({"w": [1.0, 2.0], "b": (3.0,)})
    ([3.0, 1.0, 2.0], {'b': (*,), 'w': [*, *]})
    """
    if tree.__class__ not in _CONTAINERS and not isinstance(tree, _CONTAINERS):
        return ([], _NONE) if tree is None else ([tree], LEAF)
    leaves: list[Any] = []
    return leaves, _flatten(tree, leaves)


_CONTAINERS = (list, tuple, dict)
_array = np.ndarray


def _flatten(tree: Any, leaves: list[Any]) -> Structure:
    kind = tree.__class__
    names: tuple[Any, ...] | None = None
    if kind is dict:
        names = tuple(_in_order(tree))
        children = [tree[name] for name in names]
    elif kind is list or kind is tuple or (isinstance(tree, tuple) and hasattr(tree, "_fields")):
        children = tree
    else:
        raise TypeError(
            f"containers may be list, tuple, dict or namedtuple, not {one_line(kind.__name__)}: convert it first"
        )
    before = len(leaves)
    parts = []
    for child in children:
        if child.__class__ is _array:
            leaves.append(child)
            parts.append(LEAF)
        elif isinstance(child, _CONTAINERS):
            parts.append(_flatten(child, leaves))
        elif child is None:
            parts.append(_NONE)
        else:
            leaves.append(child)
            parts.append(LEAF)
    return Structure(kind, names, tuple(parts), len(leaves) - before)


def _in_order(tree: dict[Any, Any]) -> Sequence[Any]:
    # Sorted where keys can be compared, so that insertion order does not distinguish two dicts.
    try:
        return sorted(tree)
    except TypeError:
        return list(tree)


def unflatten(structure: Structure, leaves: Sequence[Any]) -> Any:
    """Put leaves back into a structure.

    >>> unflatten(flatten([0, (0, 0)])[1], [1.0, 2.0, 3.0])
    [1.0, (2.0, 3.0)]
    """
    if len(leaves) != structure.size:
        raise ShapeError(f"{len(leaves)} leaves do not fit the structure {structure}, which has {structure.size}")
    return leaves[0] if structure is LEAF else _unflatten(structure, iter(leaves))


def _unflatten(structure: Structure, leaves: Iterator[Any]) -> Any:
    kind = structure.kind
    if kind is None:
        return None
    parts = [next(leaves) if child is LEAF else _unflatten(child, leaves) for child in structure.children]
    if kind is list:
        return parts
    if kind is dict:
        return dict(zip(structure.names or (), parts, strict=True))
    return tuple(parts) if kind is tuple else kind(*parts)


def leaf_paths(tree: Any, root: str) -> Iterator[str]:
    """What the leaves of a tree called `root` are called, each on one line, in the order of `flatten`.

    >>> list(leaf_paths({"w": [1.0, 2.0], "b": (3.0,)}, "p"))
    ["p['b'][0]", "p['w'][0]", "p['w'][1]"]
    """
    if isinstance(tree, dict):
        for key in _in_order(tree):
            yield from leaf_paths(tree[key], f"{root}[{shown(key)}]")
    elif isinstance(tree, (list, tuple)):
        fields = getattr(tree, "_fields", None)
        for k, part in enumerate(tree):
            name = str(fields[k]) if fields else ""
            yield from leaf_paths(part, f"{root}.{name}" if name.isidentifier() else f"{root}[{k}]")
    elif tree is not None:
        yield root


def tree_map(f: Callable[..., Any], tree: Any, *rest: Any) -> Any:
    """Apply `f` to the leaves of one tree, or to corresponding leaves of several of the same structure.

    >>> tree_map(lambda a, b: a + b, {"x": 1, "y": (2, 3)}, {"x": 10, "y": (20, 30)})
    {'x': 11, 'y': (22, 33)}
    """
    leaves, structure = flatten(tree)
    others = []
    for other in rest:
        other_leaves, other_structure = flatten(other)
        if other_structure != structure:
            raise ShapeError(f"the structures differ: {structure} and {other_structure}")
        others.append(other_leaves)
    return unflatten(structure, [f(*values) for values in zip(leaves, *others, strict=True)])
