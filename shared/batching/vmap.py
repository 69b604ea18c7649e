"""vmap: a function of one example as a function of many, evaluated once for all of them.

It finds the mapped axes of the arguments, makes `Batched` values of them (`shared.batching.batched`), and puts the
examples of the outputs where they are wanted.  This module knows containers and axes, and no primitive.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shared.batching.batched import Batch, Batched
from shared.calling.arguments import refuse_iterators
from shared.calling.results import handed_out
from shared.calling.transformed import transformed
from shared.calling.tree import LEAF, Structure, flatten, unflatten
from shared.core.duck_array import DuckArray, operand
from shared.core.errors import ShapeError, user_line
from shared.core.levels import current_recording
from shared.core.refcounts import ALONE_AS_ITEM, ALONE_IN_SLOT, getrefcount


def vmap(f: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0) -> Callable[..., Any]:
    """The function that maps `f` over an axis of its arguments, in one evaluation for all examples.

    `in_axes` says which axis of each positional argument runs over the examples: an int for all of them, None for an
    argument that all examples share, or a tuple with one entry an argument, each an int, None, or a container that
    matches the argument (or an outer part of it).  `out_axes` says where the axis goes in the outputs, in the same
    form; None returns, once, an output that no mapped argument reaches.  Keyword arguments are shared by all examples.

    The result is that of `np.stack([f(*examples[k]) for k in ...], axis=out_axes)`.  Cost: one evaluation of `f` on
    arrays with one more axis, so the Python code runs once; a primitive without a batch rule runs example by example
    (`report_loops` counts these).  `f` may take derivatives, and `vmap(f)` may be differentiated.

    `f` must be pure: what it draws at random it draws once, for all examples.

    Raises ShapeError for axes that do not fit and examples of unequal number; TracerConversionError where `f` needs a
    plain value that differs among the examples, as a branch on it does.

    >>> a, b = np.arange(6.0).reshape(3, 2), np.ones(2)
    >>> vmap(np.dot, in_axes=(0, None))(a, b)
    array([1., 5., 9.])
    """

    @transformed(vmap, f, in_axes, out_axes)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        refuse_iterators("vmap", args, kwargs)
        leaves, structure = flatten(list(args))
        axes = _axes_of("in_axes", in_axes, list(args))
        _refuse_labels(structure, axes)
        level = Batch("vmap", _number_of_examples(leaves, axes, bool(kwargs)))
        try:
            inputs = [
                leaf if axis is None else Batched(level, _examples_first(leaf, axis))
                for leaf, axis in zip(leaves, axes, strict=True)
            ]
            out = f(*unflatten(structure, inputs), **kwargs)
            results, returned = flatten(out)
            places = _axes_of("out_axes", out_axes, out)
            del out, inputs
            return handed_out(returned, _results(results, level, places))
        finally:
            level.closed = True

    return mapped


def _axes_of(name: str, axes: Any, tree: Any) -> list[int | None]:
    """One axis a leaf of `tree`, where an entry of `axes` holds for everything below its place."""
    if axes is None or (isinstance(axes, (int, np.integer)) and not isinstance(axes, bool)):
        return [None if axes is None else int(axes)] * len(flatten(tree)[0])
    kinds = (list, tuple) if name == "in_axes" and isinstance(tree, list) else (type(tree),)
    if isinstance(axes, dict) and isinstance(tree, dict):
        if axes.keys() == tree.keys():
            _, structure = flatten(tree)
            return [axis for key in structure.names or () for axis in _axes_of(name, axes[key], tree[key])]
    elif not isinstance(tree, (list, tuple, dict)) or type(tree) not in (list, tuple, dict):
        found = _within_shell(name, axes, tree)
        if found is not None:
            return found
    elif isinstance(axes, (list, tuple)) and isinstance(tree, kinds) and len(axes) == len(tree):
        return [axis for entry, branch in zip(axes, tree, strict=True) for axis in _axes_of(name, entry, branch)]
    _, structure = flatten(tree)
    raise ShapeError(
        f"vmap: {name}={_shown(axes)} does not fit {structure}, where * is an array{user_line()}: give an int or None "
        f"for all, or one entry {'an argument, as in (0, None)' if name == 'in_axes' else 'an output'}, each an int, "
        "None or a container that matches it"
    )


def _within_shell(name: str, axes: Any, tree: Any) -> list[int | None] | None:
    """The axes within a container that is none of Python's four; None if they do not fit."""
    _, structure = flatten(tree)
    entries = None if structure.names is None else structure.names.entries(axes)
    branches = None if entries is None else structure.names.entries(tree)
    if entries is None or branches is None:
        return None
    return [axis for entry, branch in zip(entries, branches, strict=True) for axis in _axes_of(name, entry, branch)]


def _refuse_labels(structure: Structure, axes: Sequence[int | None]) -> None:
    """Refuse a mapped array with labels: an example has an axis less than the labels say."""
    labelled = structure.names is not None and structure.kind is not dict and not structure.names.may_be_mapped
    if labelled and any(axis is not None for axis in axes):
        raise ShapeError(
            f"vmap: in_axes maps over an axis of a {structure.kind.__name__}{user_line()}, whose labels do not fit "
            "one example: pass its array, x.to_numpy(), or give it in_axes=None, for all examples to share it"
        )
    start = 0
    for child in structure.children:
        if child is not LEAF:
            _refuse_labels(child, axes[start : start + child.size])
        start += child.size


def _shown(axes: Any) -> str:
    text = repr(axes)
    return text if len(text) < 80 else f"a {type(axes).__name__}"


def _number_of_examples(leaves: Sequence[Any], axes: Sequence[int | None], has_keywords: bool) -> int:
    sizes: dict[int, list[str]] = {}
    for k, (leaf, axis) in enumerate(zip(leaves, axes, strict=True)):
        if axis is None:
            continue
        shape = np.shape(leaf)
        if not -len(shape) <= axis < len(shape):
            raise ShapeError(
                f"vmap: in_axes maps over axis {axis} of leaf {k} of the arguments, whose shape is {shape}"
                f"{user_line()}; give None for an argument that all examples share, and np.array(...) of a list of "
                "numbers, which is a container of them"
            )
        sizes.setdefault(int(shape[axis]), []).append(f"axis {axis} of leaf {k}, of shape {shape}")
    if not sizes:
        keywords = "; keyword arguments are shared by all examples, so pass by position what is mapped"
        raise ShapeError(
            f"vmap: no argument is mapped{user_line()}: in_axes must name an axis of at least one"
            f"{keywords if has_keywords else ''}"
        )
    if len(sizes) > 1:
        found = "; ".join(f"{size} along {places[0]}" for size, places in sizes.items())
        raise ShapeError(
            f"vmap: the mapped axes of the arguments have different lengths{user_line()}: {found}; give in_axes=None "
            "to an argument that all examples share"
        )
    return next(iter(sizes))


def _examples_first(leaf: Any, axis: int) -> Any:
    leaf = operand(leaf)
    if not hasattr(leaf, "__array_function__"):
        leaf = np.asarray(leaf)
    recording = current_recording()
    if recording is not None:
        leaf = recording.lifted(leaf)
    moved = np.moveaxis(leaf, axis, 0) if axis else leaf
    return moved.twin() if isinstance(moved, DuckArray) else moved


def _results(outputs: list[Any], level: Batch, axes: Sequence[int | None]) -> list[Any]:
    """The outputs with the examples along their axes, none of which shares memory with anything."""
    results = []
    for k, axis in enumerate(axes):
        # An array that this output alone refers to, and that owns its memory, needs no copy.
        alone = axis == 0 and getrefcount(outputs[k]) <= ALONE_AS_ITEM
        leaf = outputs[k]
        if alone and leaf.__class__ is Batched and leaf.level is level and getrefcount(leaf.primal) <= ALONE_IN_SLOT:
            primal = leaf.primal
            if primal.__class__ is np.ndarray and primal.base is None and primal.flags.writeable:
                results.append(primal)
                continue
        results.append(_result(leaf, level, axis))
    return results


def _result(leaf: Any, level: Batch, axis: int | None) -> Any:
    """An output with the examples along `axis`, sharing no memory with anything."""
    if isinstance(leaf, Batched) and leaf.level is level:
        if axis is None:
            raise ShapeError(
                f"vmap: out_axes is None for an output that differs among the examples{user_line()}; give it an axis"
            )
        return _placed(leaf.primal, axis)
    if isinstance(leaf, (str, bytes)) or not (hasattr(leaf, "dtype") or isinstance(leaf, (bool, int, float, complex))):
        raise ShapeError(
            f"vmap: the function returned a {type(leaf).__name__}{user_line()}; return numbers or arrays, in nested "
            "lists, tuples, dicts or named tuples"
        )
    recording = current_recording()
    if recording is not None:
        # An array from outside, whose contents may be others in the next run
        leaf = recording.lifted(leaf)
    if axis is None:
        return np.copy(leaf) if isinstance(leaf, (np.ndarray, DuckArray)) else leaf
    return _placed(np.broadcast_to(leaf, (level.size, *np.shape(leaf))), axis)


def _placed(examples: Any, axis: int) -> Any:
    """A copy of what has the examples along its first axis, with them along another."""
    ndim = np.ndim(examples)
    if not -ndim <= axis < ndim:
        raise ShapeError(
            f"vmap: out_axes={axis} is no axis of an output of shape {np.shape(examples)[1:]}{user_line()}"
        )
    return np.copy(np.moveaxis(examples, 0, axis))
