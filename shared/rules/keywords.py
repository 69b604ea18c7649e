"""What keywords and the methods of ufuncs ask for: `dtype=`, `where=`, `initial=`; reduce, accumulate, outer, at.

A reduction with keywords is rewritten in terms of the same one without them: elements that a mask leaves out are
replaced by what changes nothing, and an initial value is one more element.  Where a ufunc's mask leaves elements out
NumPy says nothing of the result; here it is zero, with derivative zero.  The methods of ufuncs without a faster way
apply the ufunc as often as NumPy would.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from shared.core.assignment import ADD_AT
from shared.core.duck_array import UFUNC_METHODS, DuckArray, highest
from shared.core.errors import TracerConversionError, unsupported_keyword, user_line
from shared.core.facets import COMPARISON, each_read
from shared.core.lazy import load_rules_of
from shared.core.levels import Tracer
from shared.core.primitive import Primitive
from shared.core.registry import REGISTRY, Composite, rule, with_keywords
from shared.rules.reductions import (
    SUM,
    Axis,
    along_first,
    asked,
    chosen,
    converted,
    counted,
    divided_by_count,
    share_of,
    strong,
    unwrapped,
)

# --- reductions -------------------------------------------------------------------------------------------------------


def _flag(keepdims: Any) -> bool:
    return keepdims is not np._NoValue and bool(keepdims)


def _no_output(name: str, out: Any) -> None:
    if asked(out):
        raise unsupported_keyword(f"np.{name}", "out")


def _with_initial(result: Any, initial: Any, combine: Callable[[Any, Any], Any]) -> Any:
    return combine(converted(initial, result.dtype), result) if asked(initial) else result


@with_keywords(np.sum)
def _sum(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None,
    where: Any = True,
) -> Any:  # fmt: skip
    _no_output("sum", out)
    total = np.sum(converted(chosen(a, where, 0), dtype), axis=axis, keepdims=_flag(keepdims))
    return _with_initial(total, initial, np.add)


@with_keywords(np.prod)
def _prod(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, keepdims: Any = False, initial: Any = None,
    where: Any = True,
) -> Any:  # fmt: skip
    _no_output("prod", out)
    product = np.prod(converted(chosen(a, where, 1), dtype), axis=axis, keepdims=_flag(keepdims))
    return _with_initial(product, initial, np.multiply)


@with_keywords(np.mean)
def _mean(
    a: Any, axis: Axis = None, dtype: Any = None, out: Any = None, keepdims: Any = False, *, where: Any = True
) -> Any:  # fmt: skip
    _no_output("mean", out)
    a, keepdims = converted(a, dtype), _flag(keepdims)
    if not asked(where):
        return np.mean(a, axis=axis, keepdims=keepdims)
    a = converted(chosen(a, where, 0), np.result_type(a, np.float64) if a.dtype.kind in "biu" else None)
    return divided_by_count(np.sum(a, axis=axis, keepdims=keepdims), counted(a, axis, where, keepdims))


def _worst(extremum: Any, dtype: np.dtype[Any]) -> Any:
    """What is no larger (or smaller) than any number of a dtype."""
    if dtype.kind == "b":
        return extremum is np.min
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return limits.min if extremum is np.max else limits.max
    return -np.inf if extremum is np.max else np.inf


def _extremum(extremum: Any) -> None:
    name = extremum.__name__.removeprefix("a")

    @with_keywords(extremum)
    def with_initial(
        a: Any, axis: Axis = None, out: Any = None, keepdims: Any = False, initial: Any = None, where: Any = True
    ) -> Any:  # fmt: skip
        _no_output(name, out)
        a = strong(a)
        if asked(where):
            if not asked(initial):
                raise ValueError(
                    f"reduction operation '{name}imum' does not have an identity, so to use a where mask one has to "
                    f"specify 'initial'"
                )
            a = np.where(where, a, _worst(extremum, a.dtype))
        if not asked(initial):
            return extremum(a, axis=axis, keepdims=_flag(keepdims))
        # One more element, so that a tie with it is split as among the others
        axes = normalize_axis_tuple(tuple(range(a.ndim)) if axis is None else axis, a.ndim)
        rest = tuple(n for k, n in enumerate(a.shape) if k not in axes)
        line = np.reshape(np.moveaxis(a, axes, range(len(axes))), (a.size // max(int(np.prod(rest)), 1), *rest))
        first = np.broadcast_to(converted(initial, a.dtype), (1, *rest))
        result = extremum(np.concatenate([first, line]), axis=0)
        return (
            np.reshape(result, tuple(1 if k in axes else n for k, n in enumerate(a.shape)))
            if _flag(keepdims)
            else result
        )


for _function in (np.max, np.min):
    _extremum(_function)


@with_keywords(np.cumsum)
def _cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: Any = None) -> Any:
    _no_output("cumsum", out)
    return np.cumsum(converted(a, dtype), axis=axis)


@with_keywords(np.any)
def _any(a: Any, axis: Axis = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    _no_output("any", out)
    return np.any(np.logical_and(a, where), axis=axis, keepdims=_flag(keepdims))


@with_keywords(np.all)
def _all(a: Any, axis: Axis = None, out: Any = None, keepdims: Any = False, *, where: Any = True) -> Any:
    _no_output("all", out)
    return np.all(np.logical_or(a, np.logical_not(where)), axis=axis, keepdims=_flag(keepdims))


# --- calls of ufuncs --------------------------------------------------------------------------------------------------

#: Within the domain of every function, and away from its poles: what is computed with where a mask leaves elements out
_HARMLESS, _HARMLESS_TO = 0.5, {np.arccosh: 1.5}


def ufunc_with_keywords(
    ufunc: np.ufunc, inputs: tuple[Any, ...], kwargs: dict[str, Any], where: Any, dtype: Any, casting: str
) -> Any:
    """A call of a ufunc with `dtype=`, in which it computes, or with `where=`, beside which the result is zero."""
    if asked(dtype):
        inputs = _cast_inputs(ufunc, inputs, np.dtype(dtype), casting)
    elif casting not in ("same_kind", "unsafe", "safe"):
        raise unsupported_keyword(f"np.{ufunc.__name__}", "casting")
    if not asked(where):
        return REGISTRY[ufunc].call(inputs, kwargs)
    if ufunc.signature is not None:
        raise TypeError(f"np.{ufunc.__name__} takes no mask: it has core dimensions{user_line()}")
    other = _HARMLESS_TO.get(ufunc, _HARMLESS)
    inputs = tuple(
        np.where(where, x, other) if getattr(getattr(x, "dtype", None), "kind", "") in ("f", "c") else x for x in inputs
    )
    found = REGISTRY[ufunc].call(inputs, kwargs)
    parts = [np.where(where, part, part.dtype.type(0)) for part in (found if isinstance(found, tuple) else (found,))]
    return tuple(map(unwrapped, parts)) if isinstance(found, tuple) else unwrapped(parts[0])


def _cast_inputs(ufunc: np.ufunc, inputs: tuple[Any, ...], dtype: np.dtype[Any], casting: str) -> tuple[Any, ...]:
    if dtype == np.bool_ and all(types.endswith("->?") for types in ufunc.types if "O" not in types):
        return inputs  # a comparison, whose result has that type anyway
    if not any(set(types) == {dtype.char, "-", ">"} for types in ufunc.types):
        raise TypeError(f"np.{ufunc.__name__}: there is no loop that computes in {dtype}{user_line()}")
    for x in inputs:
        given = getattr(x, "dtype", None)
        if given is not None and not np.can_cast(given, dtype, casting):  # type: ignore[arg-type]
            raise TypeError(
                f"np.{ufunc.__name__}: an input cannot be cast from {given} to {dtype} by the rule {casting!r}"
                f"{user_line()}"
            )
    return tuple(converted(x, dtype) for x in inputs)


# --- the methods of ufuncs --------------------------------------------------------------------------------------------


def _running_extremum(ufunc: np.ufunc) -> Primitive:
    """maximum.accumulate or minimum.accumulate along the first axis."""

    def evaluate(x: Any) -> Any:
        return ufunc.accumulate(x, axis=0)

    evaluate.__name__ = f"{ufunc.__name__}.accumulate"

    # A run is a stretch of equal outputs, whose derivative its members share: the places up to it that attain it.  The
    # sums stay within a run, since differences of sums over all of the array would cancel.

    def members(out: Any, x: Any) -> tuple[Any, Any, Any]:
        starts = np.concatenate([np.ones_like(out[:1], dtype=bool), out[1:] != out[:-1]])
        member = (x == out).astype(int)
        count = member[:1]
        counts = [count[0]]
        for k in range(1, x.shape[0]):
            counts.append(np.where(starts[k], 0, counts[-1]) + member[k])
        return starts, member == 1, np.maximum(np.stack(counts), 1)

    def vjp(c: Any, out: Any, x: Any) -> Any:
        if not x.shape[0]:
            return c
        starts, member, count = members(out, x)
        shares, sums = share_of(c, count), []
        total: Any = 0
        for k in range(x.shape[0] - 1, -1, -1):
            total = shares[k] + total
            sums.append(total)
            total = np.where(starts[k], 0, total)
        return np.where(member, np.stack(sums[::-1]), 0)

    def jvp(t: Any, out: Any, x: Any) -> Any:
        if not x.shape[0]:
            return t
        starts, member, count = members(out, x)
        chosen = np.where(member, t, 0)
        sums: list[Any] = []
        for k in range(x.shape[0]):
            sums.append(chosen[k] if k == 0 else np.where(starts[k], 0, sums[-1]) + chosen[k])
        return share_of(np.stack(sums), count)

    return rule(
        evaluate,
        vjps=(vjp,),
        jvps=(jvp,),
        because="each output is an extremum over a prefix, and all prefixes share one pass",
        batch=along_first,
        dependence="scan of rows",
        count=each_read(COMPARISON),
        memory="fresh",
    )


RUNNING_EXTREMA = [_running_extremum(ufunc) for ufunc in (np.maximum, np.minimum)]


def _accumulate(scan: Callable[[Any], Any]) -> Composite:
    def accumulate(x: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Any:
        moved = np.moveaxis(converted(x, dtype), axis, 0)
        # A scan of nothing has no first element to start from.
        return np.moveaxis(scan(moved) if len(moved) else np.copy(moved), 0, axis)

    return Composite(accumulate, accumulate)


def _reduce(function: Callable[..., Any]) -> Composite:
    """The method of a ufunc that NumPy has a function for; it reduces along the first axis unless told otherwise."""

    def reduce(
        x: Any, axis: Axis = 0, dtype: Any = None, out: None = None, keepdims: Any = False, initial: Any = None,
        where: Any = True,
    ) -> Any:  # fmt: skip
        given = {"dtype": dtype, "initial": initial, "where": where}
        more = {name: value for name, value in given.items() if asked(value)}
        if not more:
            return function(x, axis=axis, keepdims=_flag(keepdims))
        if "dtype" in more and function in (np.max, np.min):
            x = converted(x, more.pop("dtype"))
        return (np.sum if function is SUM else function)(x, axis=axis, keepdims=_flag(keepdims), **more)

    return Composite(function, reduce)


def _one_after_the_other(ufunc: np.ufunc) -> Callable[..., Any]:
    def reduce(
        x: Any, axis: Axis = 0, dtype: Any = None, out: None = None, keepdims: Any = False, initial: Any = None,
        where: Any = True,
    ) -> Any:  # fmt: skip
        x = strong(converted(x, dtype))
        axes = normalize_axis_tuple(tuple(range(x.ndim)) if axis is None else axis, x.ndim)
        if asked(where) and not asked(initial) and ufunc.identity is None:
            raise ValueError(
                f"reduction operation {ufunc.__name__!r} does not have an identity, so to use a where mask one has to "
                "specify 'initial'"
            )
        kept = tuple(1 if k in axes else n for k, n in enumerate(x.shape))
        where = np.broadcast_to(where, x.shape) if asked(where) else None
        for along in sorted(axes, reverse=True):
            moved = np.moveaxis(x, along, 0)
            steps = list(range(len(moved)))
            masks = None if where is None else np.moveaxis(where, along, 0)
            first = initial if asked(initial) else ufunc.identity if masks is not None or not steps else None
            if len(axes) > 1 and (asked(initial) or masks is not None):
                raise unsupported_keyword(f"np.{ufunc.__name__}.reduce over several axes", "initial or where")
            if first is None and not steps:
                raise ValueError(f"zero-size array to reduction operation {ufunc.__name__} which has no identity")
            total = (
                moved[steps.pop(0)] if first is None else np.broadcast_to(converted(first, x.dtype), moved.shape[1:])
            )
            for k in steps:
                total = ufunc(total, moved[k]) if masks is None else np.where(masks[k], ufunc(total, moved[k]), total)
            x = total
        return np.reshape(x, kept) if _flag(keepdims) else unwrapped(x)

    return reduce


def _scan(ufunc: np.ufunc) -> Callable[[Any], Any]:
    def scan(x: Any) -> Any:
        found = [x[0]]
        for k in range(1, len(x)):
            found.append(ufunc(found[-1], x[k]))
        return np.stack(found)

    return scan


def _reduce_at(ufunc: np.ufunc) -> Callable[..., Any]:
    def reduceat(x: Any, indices: Any, axis: int = 0, dtype: Any = None, out: None = None) -> Any:
        moved = np.moveaxis(converted(x, dtype), axis, 0)
        starts = [int(k) for k in np.asarray(indices)]
        if any(not 0 <= k < len(moved) for k in starts):
            raise IndexError(f"an index is out of bounds for np.{ufunc.__name__}.reduceat{user_line()}")
        parts = [
            ufunc.reduce(moved[start:stop], axis=0) if start < stop else moved[start]
            for start, stop in pairwise([*starts, len(moved)])
        ]
        return np.moveaxis(np.stack(parts) if parts else moved[:0], 0, axis)

    return reduceat


def _outer(ufunc: np.ufunc) -> Callable[..., Any]:
    def outer(x: Any, y: Any, **kwargs: Any) -> Any:
        x, y = strong(x), strong(y)
        return ufunc(np.reshape(x, x.shape + (1,) * y.ndim), y, **kwargs)

    return outer


def _at(ufunc: np.ufunc) -> Callable[..., Any]:
    """`ufunc.at(x, index, values)`: in place, and as often as an element is named by the index."""

    def at(given: Any, index: Any, *values: Any) -> None:
        x: Any = given
        if not isinstance(given, DuckArray):
            raise TracerConversionError(
                f"np.{ufunc.__name__}.at of a plain array with traced values{user_line()}: make the array with "
                "np.zeros(n, like=x) or np.zeros_like(x), of all that may vary"
            )
        if ufunc in (np.add, np.subtract):
            add_at(x, index, values[0] if ufunc is np.add else np.negative(strong(values[0])))
            return
        # The occurrences of an element come one after the other: all first ones together, then all second ones.
        place = np.arange(x.size).reshape(x.shape)[index]
        flat = np.ravel(place)
        spread = [np.ravel(np.broadcast_to(_alike(value, x.dtype), np.shape(place))) for value in values]
        for turn in _turns(flat):
            where = np.unravel_index(flat[turn], x.shape)
            x[where] = ufunc(x[where], *[value[turn] for value in spread])

    return at


def _alike(value: Any, dtype: np.dtype[Any]) -> Any:
    """Real numbers in the precision of the array that they meet in place; others as they are."""
    value = strong(value)
    return converted(value, dtype) if value.dtype.kind == "f" and dtype.kind == "f" else value


def _turns(places: np.ndarray) -> Sequence[np.ndarray]:
    """Positions of `places`, of which each part names no place twice, in their order."""
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]])) if len(places) else np.arange(0)
    counts = np.diff([*starts, len(places)])
    occurrence = np.empty(len(places), int)
    occurrence[order] = np.arange(len(places)) - np.repeat(starts, counts)
    return [np.flatnonzero(occurrence == k) for k in range(int(counts.max(initial=0)))]


def add_at(x: DuckArray, index: Any, value: Any) -> None:
    """`np.add.at(x, index, value)` for a traced array, in the time of what is added."""
    if not x.is_array:
        raise TypeError("a traced scalar does not support item assignment")
    for other in (value, highest(index if index.__class__ is tuple else (index,))):
        if isinstance(other, Tracer) and other.level.number > x.level.number:
            x.level.join(x, other.level)
    value = np.asarray(value) if isinstance(value, (list, tuple)) else value
    x.update(ADD_AT, value, index)


UFUNC_METHODS[np.add, "reduce"] = _reduce(SUM)
UFUNC_METHODS[np.multiply, "reduce"] = _reduce(np.prod)
UFUNC_METHODS[np.maximum, "reduce"] = _reduce(np.max)
UFUNC_METHODS[np.minimum, "reduce"] = _reduce(np.min)
UFUNC_METHODS[np.add, "accumulate"] = _accumulate(lambda x: np.cumsum(x, axis=0))
UFUNC_METHODS[np.multiply, "accumulate"] = _accumulate(lambda x: np.cumprod(x, axis=0))
UFUNC_METHODS[np.maximum, "accumulate"], UFUNC_METHODS[np.minimum, "accumulate"] = map(_accumulate, RUNNING_EXTREMA)
_OF_TWO: dict[str, Callable[[np.ufunc], Any]] = {
    "reduce": _one_after_the_other, "accumulate": lambda ufunc: _accumulate(_scan(ufunc)), "reduceat": _reduce_at,
    "outer": _outer, "at": _at,
}  # fmt: skip


def ufunc_method(ufunc: np.ufunc, method: str) -> Callable[..., Any] | None:
    """A method of a ufunc that has a rule, in terms of calls of it; None if there is none."""
    if ufunc not in REGISTRY:
        load_rules_of(ufunc)
    if ufunc not in REGISTRY or ufunc.nout != 1 or ufunc.signature is not None:
        return None
    if method == "at" or ufunc.nin == 2:
        found: Callable[..., Any] = _OF_TWO[method](ufunc)
        return found
    return None
