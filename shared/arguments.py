"""Calling conventions that both engines share: which arguments vary, what a leaf may be, what an output must be.

It knows containers, dtypes and error messages; it knows nothing of tangents, tapes or rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.errors import LeafTypeError, ShapeError, user_line
from shared.levels import Tracer
from shared.primitive import Like
from shared.references import ALONE_AS_ITEM, getrefcount
from shared.tracer import DuckArray
from shared.tree import Structure, flatten, unflatten


def differentiable(leaf: Any, name: str = "variable", position: int | None = None) -> Any:
    """`leaf` as a value to differentiate with respect to: integers become float64, what has no derivative is refused.

    `name` and `position` (of the leaf among all) are for the error message.
    """
    kind = leaf.__class__
    if kind is float or kind is complex or (kind is np.ndarray and leaf.dtype in _FLOATING):
        return leaf
    if isinstance(leaf, (np.ndarray, np.generic, Tracer)):
        letter = leaf.dtype.kind  # type: ignore[union-attr]
        if letter in "fc":
            if isinstance(leaf, (np.ma.MaskedArray, np.matrix)):
                kind = type(leaf).__name__
                raise _not_differentiable(name, position, f"is a {kind}", "pass np.asarray of it, or .filled(value)")
            # The user may assign to an outer tracer later; what is differentiated is its present value.
            return leaf.twin() if isinstance(leaf, DuckArray) else leaf
        if letter in "iu":
            return leaf.astype(np.float64)  # type: ignore[union-attr]
        raise _not_differentiable(name, position, f"has dtype {leaf.dtype}", "convert it with .astype(float)")  # type: ignore[union-attr]
    if kind is int or (isinstance(leaf, (int, float)) and kind is not bool):
        return float(leaf)
    if hasattr(leaf, "__array_ufunc__") and getattr(getattr(leaf, "dtype", None), "kind", "") in "fc":
        return leaf
    raise _not_differentiable(
        name, position, f"is a {kind.__name__}", "pass a number, an array of numbers, or nested containers of them"
    )


_FLOATING = frozenset((np.dtype(np.float64), np.dtype(np.float32)))


def _not_differentiable(name: str, position: int | None, problem: str, instead: str) -> LeafTypeError:
    where = "the argument" if position is None else f"leaf {position} of the differentiated arguments"
    return LeafTypeError(
        f"{name}: {where} {problem}{user_line()}, so it has no derivative; {instead}, or leave it out of argnums"
    )


class Selection:
    """The arguments of a call that vary, as a flat list of leaves, and how to put others in their place."""

    __slots__ = ("argnums", "args", "leaves", "single", "structure")

    def __init__(self, name: str, args: tuple[Any, ...], argnums: int | Sequence[int]):
        self.args = args
        self.single = argnums.__class__ is int or isinstance(argnums, np.integer)
        if argnums.__class__ is int and 0 <= argnums < len(args):
            self.argnums = [argnums]
            found, self.structure = flatten(args[argnums])
        else:
            self.argnums = _checked_argnums(name, len(args), [argnums] if self.single else argnums)
            chosen = [args[k] for k in self.argnums]
            found, self.structure = flatten(chosen[0] if self.single else chosen)
        self.leaves = [differentiable(leaf, name, k) for k, leaf in enumerate(found)]

    def call_with(self, leaves: Sequence[Any]) -> list[Any]:
        """The arguments, with these leaves in place of those that vary."""
        args = list(self.args)
        values = unflatten(self.structure, leaves)
        if self.single:
            args[self.argnums[0]] = values
        else:
            for number, value in zip(self.argnums, values, strict=True):
                args[number] = value
        return args

    def pack(self, leaves: Sequence[Any]) -> Any:
        """Results per leaf, in the structure that the user asked in: one argument's, or a tuple of several."""
        values = unflatten(self.structure, leaves)
        return values if self.single else tuple(values)


def _checked_argnums(name: str, count: int, argnums: Any) -> list[int]:
    if isinstance(argnums, (str, bool)) or not hasattr(argnums, "__iter__"):
        raise TypeError(f"{name}: argnums must be an int or a sequence of ints, not {argnums!r}")
    checked = []
    for number in argnums:
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)):
            raise TypeError(f"{name}: argnums must be an int or a sequence of ints, not {number!r}")
        if not -count <= number < count:
            raise ValueError(
                f"{name}: argnums={number} is out of range{user_line()}: the function was called with {count} "
                f"positional argument{'s' if count != 1 else ''}"
            )
        checked.append(int(number) % count)
    if len(set(checked)) != len(checked):
        raise ValueError(f"{name}: argnums={list(argnums)} names an argument twice")
    return checked


def as_leaves(values: list[Any], leaves: Sequence[Any]) -> list[Any]:
    """Derivatives in the types of the leaves they belong to: fresh, writable, zeros where there is none (None)."""
    results, array = [], np.ndarray
    for k, leaf in enumerate(leaves):
        # An array that this list alone refers to and that owns its memory can be handed out without a copy.
        alone = getrefcount(values[k]) <= ALONE_AS_ITEM
        value = values[k]
        plain = alone and value.__class__ is array is leaf.__class__
        if plain and value.base is None and value.dtype is leaf.dtype and value.flags.writeable:
            results.append(value)
        else:
            results.append(as_leaf(value, leaf))
    return results


def as_leaf(value: Any, leaf: Any) -> Any:
    """One derivative in the type of its leaf, copied if it is an array."""
    if isinstance(value, Tracer):
        value = value.twin() if isinstance(value, DuckArray) else value
        return in_dtype_of(value.real if _is_real(leaf) and value.dtype.kind == "c" else value, leaf)
    if isinstance(leaf, Tracer):
        return np.zeros_like(leaf) if value is None else value
    if leaf.__class__ is float:
        return 0.0 if value is None else float(value.real)
    if leaf.__class__ is complex:
        return 0j if value is None else complex(value)
    if isinstance(leaf, np.generic):
        return leaf.dtype.type(0 if value is None else value)
    if value is None:
        return np.zeros_like(leaf)
    # What the sweep hands over may be a broadcast view, a seed, or an array that two leaves share.
    return np.array(value, dtype=leaf.dtype)


def _is_real(leaf: Any) -> bool:
    dtype = getattr(leaf, "dtype", None)
    return not isinstance(leaf, complex) if dtype is None else dtype.kind != "c"


def scalar_output(name: str, out: Any) -> None:
    """Refuse an output that has no gradient: anything but one real number."""
    if isinstance(out, (list, tuple, dict)) or out is None:
        raise ShapeError(
            f"{name}: the function returned {'None' if out is None else f'a {type(out).__name__}'}{user_line()}, "
            "but a gradient is of one number; return it alone, or with extra values as (value, aux) and has_aux=True"
        )
    like = Like(out)
    if like.shape != ():
        raise ShapeError(
            f"{name}: the function returned an array of shape {like.shape}{user_line()}, but a gradient is of one "
            "number; sum it, or use jacobian or elementwise_grad"
        )
    if isinstance(out, complex) or (like.dtype is not None and like.dtype.kind == "c"):
        raise ShapeError(f"{name}: the function returned a complex number{user_line()}; return its real part or abs")
    if not isinstance(out, (int, float, np.generic, np.ndarray, Tracer)) and not hasattr(out, "dtype"):
        raise ShapeError(f"{name}: the function returned a {type(out).__name__}{user_line()}, not a number")


def same_structure(name: str, what: str, given: Any, structure: Structure, likes: Sequence[Any]) -> list[Any]:
    """The leaves of a tangent or cotangent, checked against what it belongs to."""
    leaves, found = flatten(given)
    if found != structure:
        raise ShapeError(f"{name}: the {what} has the structure {found}, not the shape of {structure}{user_line()}")
    result = []
    for leaf, like in zip(leaves, likes, strict=True):
        value = differentiable(leaf, f"{name}: the {what}")
        shape, wanted = Like(value).shape, Like(like).shape
        if shape != wanted:
            raise ShapeError(f"{name}: a {what} has shape {shape}, but must have {wanted}{user_line()}")
        result.append(in_dtype_of(value, like))
    return result


def in_dtype_of(value: Any, like: Any) -> Any:
    """A tangent or cotangent in the dtype of its primal; float to complex is a promotion, complex to float refused."""
    dtype = getattr(like, "dtype", None)
    if isinstance(value, Tracer):
        return value if dtype is None or value.dtype == dtype else value.astype(dtype)  # type: ignore[attr-defined]
    if np.iscomplexobj(value) and _is_real(like):
        raise LeafTypeError(
            f"a complex tangent or cotangent was given for a real value{user_line()}; give its real part"
        )
    if dtype is None:
        if isinstance(value, (np.generic, np.ndarray)):
            return value.item() if isinstance(like, complex) else float(value)
        return value
    if getattr(value, "dtype", None) == dtype:
        return value
    return np.asarray(value, dtype)[()] if isinstance(like, np.generic) else np.asarray(value, dtype)
