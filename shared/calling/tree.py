"""Nested containers of arrays: taken apart into leaves and put together again.

Lists, tuples, dicts and named tuples are taken apart here.  What else is a container (dataclasses, labelled arrays, a
user's own classes) is known to `shared.calling.containers`, which is loaded when an object comes that is neither of
these nor a number or an array.  Anything else is a leaf; None is an empty container.  Dict keys are taken in sorted
order where they can be sorted, so the order of insertion does not matter.  This module knows nothing of derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any

import numpy as np

from shared.core.errors import ShapeError, user_line
from shared.core.levels import Tracer
from shared.core.visible import one_line, shown


class Structure:
    """The shape of a nested container: how to put its leaves back.  Two are equal if they nest alike.

    `names` are the keys of a dict; of a container that is none of Python's own, its `Shell`, which holds what is left
    of it without the children (`shared.calling.containers`).
    """

    __slots__ = ("children", "is_flat", "kind", "names", "size")

    def __init__(self, kind: Any, names: Any, children: tuple[Structure, ...], size: int, is_flat: bool = False):
        self.kind = kind
        self.names = names
        self.children = children
        self.size = size
        #: whether the children are known to be leaves, all of them
        self.is_flat = is_flat

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Structure):
            return NotImplemented
        return self.kind is other.kind and self.names == other.names and self.children == other.children

    def __hash__(self) -> int:
        return hash((self.kind, self.names, self.children))

    @property
    def is_one_array(self) -> bool:
        """Whether it is an array with labels, which stands for its numbers."""
        return bool(getattr(self.names, "is_one_array", False))

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
        if self.names is not None:
            return str(self.names.text(parts))
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
    kind = tree.__class__
    if kind is _array or kind in _LEAVES:
        return [tree], LEAF
    leaves: list[Any] = []
    try:
        return leaves, _flatten(tree, leaves)
    except RecursionError:
        raise ShapeError(
            f"a {one_line(kind.__name__)} holds itself{user_line()}, or nests too deeply to be taken apart into arrays"
        ) from None


_array = np.ndarray
#: the classes of leaves that have been met, so that these are not asked what they are; tracers add themselves
_LEAVES: set[Any] = {
    bool, int, float, complex, str, bytes, np.float64, np.float32, np.int64, np.complex128, np.bool_,
}  # fmt: skip


def _flatten(tree: Any, leaves: list[Any]) -> Structure:
    kind = tree.__class__
    names: Any = None
    if kind is list or kind is tuple:
        children = tree
    elif kind is dict:
        names = tuple(_in_order(tree))
        children = [tree[name] for name in names]
    elif tree is None:
        return _NONE
    elif isinstance(tree, Tracer):
        _LEAVES.add(kind)
        leaves.append(tree)
        return LEAF
    elif isinstance(tree, tuple) and hasattr(tree, "_fields"):
        children = tree
    else:
        from shared.calling.containers import opened

        found = opened(tree)
        if found is None:
            leaves.append(tree)
            return LEAF
        names, children = found
        kind = names.kind
    for child in children:
        kind_of_child = child.__class__
        if kind_of_child is not _array and kind_of_child not in _LEAVES:
            break
    else:
        leaves.extend(children)
        return _of_leaves(kind, names, len(children))
    before = len(leaves)
    parts = []
    for child in children:
        kind_of_child = child.__class__
        if kind_of_child is _array or kind_of_child in _LEAVES:
            leaves.append(child)
            parts.append(LEAF)
        else:
            parts.append(_flatten(child, leaves))
    return Structure(kind, names, tuple(parts), len(leaves) - before)


def _of_leaves(kind: Any, names: Any, count: int) -> Structure:
    """The structure of a container of leaves; that of a short list or tuple is made once."""
    if names is None and count <= _SHORT and (kind is tuple or kind is list):
        return _short(kind, count)
    return Structure(kind, names, (LEAF,) * count, count, is_flat=True)


@cache
def _short(kind: Any, count: int) -> Structure:
    return Structure(kind, None, (LEAF,) * count, count, is_flat=True)


_SHORT = 32


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
    if structure.is_flat:
        parts = list(islice(leaves, structure.size))
    else:
        parts = [next(leaves) if child is LEAF else _unflatten(child, leaves) for child in structure.children]
    if kind is list:
        return parts
    if kind is dict:
        return dict(zip(structure.names or (), parts, strict=True))
    if kind is tuple:
        return tuple(parts)
    return kind(*parts) if structure.names is None else structure.names.make(parts)


def leaf_paths(tree: Any, root: str) -> Iterator[str]:
    """What the leaves of a tree called `root` are called, each on one line, in the order of `flatten`.

    >>> list(leaf_paths({"w": [1.0, 2.0], "b": (3.0,)}, "p"))
    ["p['b'][0]", "p['w'][0]", "p['w'][1]"]
    """
    yield from paths_within(flatten(tree)[1], root)


def paths_within(structure: Structure, root: str) -> Iterator[str]:
    """What the leaves of something called `root` that has this structure are called (`leaf_paths`)."""
    kind, names = structure.kind, structure.names
    if structure is LEAF:
        yield root
        return
    if kind is None:
        return
    if kind is dict:
        roots = [f"{root}[{shown(key)}]" for key in names]
    elif names is not None:
        roots = names.paths(root)
    else:
        fields = [str(name) for name in getattr(kind, "_fields", ())]
        roots = [
            f"{root}.{fields[k]}" if k < len(fields) and fields[k].isidentifier() else f"{root}[{k}]"
            for k in range(len(structure.children))
        ]
    for child, path in zip(structure.children, roots, strict=True):
        yield from paths_within(child, path)


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
            from shared.calling.shells import where_different

            raise ShapeError(
                f"the structures differ: {structure} and {other_structure}"
                f"{where_different(other_structure, structure)}{user_line()}"
            )
        others.append(other_leaves)
    return unflatten(structure, [f(*values) for values in zip(leaves, *others, strict=True)])
