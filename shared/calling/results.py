"""What a user's function returned: checked, and taken out of the level that it was computed at.

That a function is elementwise shows in one direction of powers of two, which go through it without rounding.  This
module knows containers, shapes and levels, and no derivative.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from contextvars import ContextVar
from types import ModuleType
from typing import Any

import numpy as np

from shared.calling.tree import Structure, flatten, unflatten
from shared.core.duck_array import LIBRARIES, DuckArray, of_any_library, operand
from shared.core.edges import Like
from shared.core.errors import ShapeError, user_line
from shared.core.levels import Tracer
from shared.rules.special import STOP_GRADIENT

#: Whether derivatives are computed with care for zeros that are exact (`shared.calling.careful`): True from the start,
#: since one around this one is; None if there is a NaN; False not at all, while a program is recorded that runs for
#: other numbers as well.
CAREFUL: ContextVar[bool | None] = ContextVar("careful", default=None)


def stop_gradient(x: Any) -> Any:
    """The value of `x`, which no differentiation sees through: its derivative is zero at every level.

    Of a container, the same with the value of each number and array in it.

    >>> stop_gradient(np.array([1.0, 2.0]))
    array([1., 2.])
    """
    if isinstance(x, Tracer):
        return STOP_GRADIENT(x)
    leaves, structure = flatten(x)
    return unflatten(structure, [STOP_GRADIENT(leaf) for leaf in leaves])


def has_nan(values: Iterable[Any]) -> bool:
    """Whether there is a NaN among some values, or in what traced ones among them stand for.

    >>> has_nan([1.0, np.array([0.0, np.inf])]), has_nan([np.array([1.0, np.nan])])
    (False, True)
    """
    for value in values:
        kind = value.__class__
        if kind is _ndarray:
            # A transposed array (the gradient of a matrix) would be copied to search it.
            if value.ndim == 2 and not value.flags.c_contiguous:
                value = value.T
            try:
                # The largest is the first NaN, if there is one: half the time of asking every element.
                largest = value.item(value.argmax())
            except ValueError:  # an array of nothing
                continue
            if largest != largest:
                return True
        elif kind is float:
            if value != value:
                return True
        elif isinstance(value, DuckArray):
            # The value alone, of no level: nothing is recorded, and no count is taken.
            if has_nan((value.primal, getattr(value, "tangent", None))):
                return True
        elif isinstance(value, _NUMBERS) and value != value:
            return True
    return False


_ndarray = np.ndarray
_NUMBERS = (float, complex, np.inexact)


def strip(tree: Any, level: Any) -> Any:
    """A container with this level's tracers replaced by their primals (and nothing else changed)."""
    leaves, structure = flatten(tree)
    for leaf in leaves:
        if not isinstance(leaf, _PLAIN):
            _require_no_traced_parts(leaf, level)
    if structure.names is not None and not any(isinstance(leaf, Tracer) and leaf.level is level for leaf in leaves):
        return tree  # an object of a user's class stays that object
    return handed_out(structure, [primal_of(leaf, level) for leaf in leaves])


_PLAIN = (int, float, complex, str, bytes, np.ndarray, np.generic, Tracer)


def _require_no_traced_parts(value: Any, level: Any) -> None:
    """Refuse an object that is no container and holds values of this level, which would be returned as they are."""
    if isinstance(value, (set, frozenset)):
        parts = {f"an element of the {type(value).__name__}": part for part in value}
    else:
        found = getattr(value, "__dict__", None)
        if not isinstance(found, dict) or callable(value) or isinstance(value, ModuleType):
            return
        parts = {f"its attribute {name!r}": part for name, part in found.items()}
    for where, part in parts.items():
        held = part if isinstance(part, (list, tuple)) else part.values() if isinstance(part, dict) else (part,)
        if any(isinstance(one, Tracer) and one.level is level for one in held):
            raise ShapeError(
                f"the auxiliary value is a {type(value).__name__}{user_line()}, and {where} is a traced value, which "
                "would have no meaning outside: values are taken out of lists, tuples, dicts, named tuples, "
                "dataclasses and what shared.register_container makes a container. Return one of those, or put "
                "stop_gradient(x) in the object"
            )


def require_numbers(name: str, leaves: Sequence[Any]) -> None:
    """Refuse an output that is no number, array or container of them: a derivative inside it would be lost."""
    for leaf in leaves:
        dtype = getattr(leaf if isinstance(leaf, _PLAIN) else of_any_library(leaf), "dtype", None)
        if not isinstance(leaf, (bool, int, float, complex)) and (dtype is None or dtype.kind not in "biufc"):
            kind = type(leaf).__name__ if dtype is None else f"array of {dtype}"
            raise ShapeError(
                f"{name}: the function returned a {kind}{user_line()}; return numbers or arrays, in nested lists, "
                "tuples, dicts or named tuples (grad and value_and_grad return anything else with has_aux=True)"
            )


def handed_out(structure: Structure, leaves: Sequence[Any]) -> Any:
    """Results in their containers, as the user has them: those that are arrays of other libraries as such arrays."""
    if LIBRARIES:
        leaves = [leaf.whole() if isinstance(leaf, LIBRARIES[0]) else leaf for leaf in leaves]
    return unflatten(structure, leaves)


def primal_of(leaf: Any, level: Any) -> Any:
    if isinstance(leaf, Tracer) and leaf.level is level:
        return independent(leaf.primal)  # type: ignore[attr-defined]
    return leaf if isinstance(leaf, _PLAIN) else of_any_library(leaf)


def independent(value: Any) -> Any:
    """A copy of an array, so that neither it nor what it came from can change the other."""
    if isinstance(value, DuckArray):
        return value.twin()
    return np.array(value) if isinstance(value, np.ndarray) else value


def copied(value: Any) -> Any:
    """An argument with copies of the arrays in it: a later evaluation must see what the first one saw."""
    from shared.calling.containers import opened

    kind = value.__class__
    if kind is list or kind is tuple:
        return kind([copied(part) for part in value])
    if kind is dict:
        return {key: copied(part) for key, part in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return kind(*[copied(part) for part in value])
    if isinstance(value, np.ndarray):
        return value.copy("K")  # a masked array or a matrix stays one
    if not isinstance(value, (list, tuple, dict, Tracer)) or kind in (OrderedDict, defaultdict):
        found = opened(value)
        if found is not None:
            shell, children = found
            return shell.make([copied(child) for child in children])
    return independent(value)


def split_aux(name: str, out: Any, has_aux: bool) -> tuple[Any, Any]:
    """The output and the auxiliary values of a function declared to return them."""
    if not has_aux:
        return out, None
    if not (isinstance(out, tuple) and len(out) == 2):
        raise ShapeError(f"{name}: with has_aux=True the function must return a pair (value, aux){user_line()}")
    return out


def require_same_shape(name: str, leaves: Sequence[Any], outputs: Sequence[Any] | None = None) -> Any:
    """The one leaf of an elementwise function; an error if there are more, or the output has another shape."""
    if len(leaves) != 1 or (outputs is not None and len(outputs) != 1):
        raise ShapeError(f"{name}: the function must take one array and return one{user_line()}; use jacobian")
    if outputs is not None and Like(outputs[0]).shape != Like(leaves[0]).shape:
        raise ShapeError(
            f"{name}: the output has shape {Like(outputs[0]).shape} but the input {Like(leaves[0]).shape}"
            f"{user_line()}, so the function is not elementwise; use jacobian"
        )
    return leaves[0]


def scattered_powers(shape: tuple[int, ...], dtype: Any) -> Any:
    """A direction of powers of two, no two of which are equal among up to eight elements."""
    size = int(np.prod(shape, dtype=np.int64))
    powers = 2.0 ** (np.random.default_rng(0).permutation(size) % 8)
    return powers.reshape(shape).astype(dtype)[()]


def require_elementwise(name: str, response: Any, derivative: Any, direction: Any) -> None:
    """Refuse a function whose response to a direction of powers of two is not its derivative times that direction.

    For an elementwise function the two are equal to the last bit, since such factors go through it without rounding;
    only subnormal numbers may lose some.
    """
    response, expected = stop_gradient(operand(response)), stop_gradient(operand(derivative * direction))
    limits = np.finfo(Like(expected).dtype or np.float64)
    if not np.allclose(response, expected, rtol=2 * limits.eps, atol=1024 * limits.smallest_subnormal, equal_nan=True):
        raise ShapeError(
            f"{name}: the function is not elementwise{user_line()}: its output at one place depends on the input at "
            "another; use jacobian"
        )
