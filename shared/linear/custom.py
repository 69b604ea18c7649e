"""Functions with derivative rules of their own, declared once for both engines: `custom_derivative`.

The rules of the registry (`shared.core.registry`) are those of NumPy's functions of arrays; these are of a user's
functions of nested containers.  The function itself runs on plain values, so it may use anything: `float`, SciPy, loops
until convergence; its derivative is what the rule says, at every order and in every nesting of engines.  A rule is one
linear map, given forwards (a jvp) or backwards (a vjp); the other direction is its transpose
(`shared.linear.transposition`).  This module knows no calculus and no engine: what a level does with an `Evaluation` is
the engine's part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from functools import partial, update_wrapper
from inspect import isfunction, ismethod, signature
from types import MethodType
from typing import Any

import numpy as np

from shared.batching.batched import Batch, Batched, note_loop, raised_by_some
from shared.calling.arguments import in_dtype_of, refuse_iterators
from shared.calling.results import independent
from shared.calling.seeds import has_derivative, is_complex
from shared.calling.transformed import own_name
from shared.calling.tree import LEAF, Structure, flatten, unflatten
from shared.core.duck_array import DuckArray, highest
from shared.core.edges import Like
from shared.core.errors import (
    ClosedLevelError,
    LeafTypeError,
    RegistrationError,
    ShapeError,
    TracerConversionError,
    closed,
    user_line,
)
from shared.core.levels import Level, Tracer, attempt
from shared.core.refcounts import ALONE_AS_ITEM, getrefcount
from shared.core.visible import one_line
from shared.linear.transposition import LinearMap, zero_of

Function = Callable[..., Any]


def custom_derivative(f: Function | None = None, *, jvp: Function | None = None, vjp: Function | None = None) -> Any:
    """The function `f`, differentiated by the rules given and not by what it does; also as a decorator.

    `jvp(tangents, out, *args)` returns the tangent of the output, in its structure, from a tuple of tangents, one an
    argument and in its structure.  `vjp(cotangent, out, *args)` returns a tuple of cotangents, one a positional
    argument, from the cotangent of the output.  One of them is enough: the other is its transpose, for which the rule
    has to be linear (`shared.linear_transpose`), and written with NumPy.  `out` is the value of `f(*args)`.

    Arguments and output may be nested containers.  What is no real or complex number or array (an int, a bool, an index
    array, a callable, a string, an object) has no derivative: it is handed on as it is, its tangent is None, and its
    cotangent may be.  The tangent of an argument that does not vary is zero; None as a cotangent (of an argument, or
    within one) means zero.  The rules of a Python function get all its arguments, also those left to their defaults:
    by keyword what it takes by keyword alone, which is static; by position the rest, however it was passed.

    `f` and the rules must be pure.  `f` sees plain values: it may use `float`, SciPy or loops until convergence, and
    none of that is recorded.  It must not change its arguments, which are read-only while it is being differentiated.
    The rules see values that outer differentiations may trace, so that higher derivatives are those of the rules.
    Everything that is differentiated is an argument: a traced value that `f` closes over is refused.  For many examples
    (`vmap`) or directions (`jacobian`) at once, code that cannot take arrays of them is run for one after the other.
    A record (`trace`, `compile`) follows f and the rules inside; what is no NumPy, or branches on values, is one
    operation of it, which is called as it is.

    Cost: one evaluation of `f` and one call of a rule; where that is derived by transposition, a small multiple of one.
    Raises RegistrationError without a rule; ShapeError, naming the rule, for a result of the wrong structure or shape;
    LeafTypeError for one that is no number, or a complex tangent of a real output; LinearityError (a ValueError) where
    a rule to be transposed is not linear; TracerConversionError for a traced value that `f` or a rule closes over.

    >>> import math, dualad, reversead
    >>> @custom_derivative(jvp=lambda tangents, out, x: tangents[0] / (2 * out))
    ... def root(x):
    ...     return math.sqrt(x)
    >>> root(4.0), dualad.derivative(root)(4.0), reversead.grad(reversead.grad(root))(4.0)
    (2.0, 0.25, -0.03125)
    >>> root
    <root with a derivative of its own: jvp as given, vjp by transposition>

    The rule of an implicit function needs no derivative of the iteration that finds it (Griewank & Walther 2008,
    chapter 15): that of roots, fixed points, minimisers and differential equations is in `shared.implicit`.
    """
    if f is None:
        return lambda decorated: custom_derivative(decorated, jvp=jvp, vjp=vjp)
    return CustomFunction(f, jvp, vjp)


class CustomFunction:
    """A function with derivative rules of its own; made by `custom_derivative`."""

    def __init__(self, f: Function, jvp: Function | None, vjp: Function | None):
        update_wrapper(self, f)
        self.name: str = one_line(getattr(f, "__name__", repr(f)))
        if jvp is None and vjp is None:
            raise RegistrationError(f"{self.name}: give its derivative{user_line()}: a jvp, a vjp, or both")
        for rule in (f, jvp, vjp):
            if rule is not None and not callable(rule):
                raise RegistrationError(f"{self.name}: {rule!r} is no function{user_line()}")
        self.function = f
        self.jvp = jvp
        self.vjp = vjp
        # Of NumPy's functions and others written in C the parameters are too many for rules to take them all.
        self._signature = signature(f) if isfunction(f) or ismethod(f) else None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if highest(flatten((args, kwargs))[0]) is None:
            out = self.function(*args, **kwargs)
            self.require_level(out, None)
            return out
        refuse_iterators(self.name, args, kwargs)
        if self._signature is not None:
            bound = self._signature.bind(*args, **kwargs)
            bound.apply_defaults()
            args, kwargs = bound.args, bound.kwargs
        for name, value in kwargs.items():
            if highest(flatten(value)[0]) is not None:
                raise TypeError(
                    f"{self.name}: {name!r} is traced, but arguments that are taken by keyword alone are static"
                    f"{user_line()}; make it a positional parameter"
                )
        leaves, structure = flatten(args)
        return self.apply(leaves, structure, kwargs)

    def apply(self, leaves: list[Any], structure: Structure, static: dict[str, Any]) -> Any:
        """The value, as the highest level among the leaves processes it; where there is none, f itself runs."""
        top = highest(leaves)
        if top is None:
            return self.run(leaves, structure, static, None)
        return top.level.call_custom(self, leaves, structure, static)

    def evaluation(self, values: list[Any], structure: Structure, static: dict[str, Any], level: Level) -> Evaluation:
        """One evaluation at a level that differentiates, which applies the rule of it."""
        return Evaluation(self, values, structure, static, level)

    def run(self, leaves: list[Any], structure: Structure, static: dict[str, Any], level: Level | None) -> Any:
        """The value of f itself, on plain values or on those of one level that it is to trace; nothing aliases it."""
        out = self.function(*unflatten(structure, [_protected(leaf) for leaf in leaves]), **static)
        self.require_level(out, level)
        found, out_structure = flatten(out)
        del out
        for k in range(len(found)):
            plain = found[k].__class__ is np.ndarray and found[k].base is None and found[k].flags.writeable
            if not (plain and getrefcount(found[k]) <= ALONE_AS_ITEM):
                found[k] = independent(found[k])
        return unflatten(out_structure, found)

    def follow(self, level: Level, leaves: list[Any], structure: Structure, static: dict[str, Any]) -> Any:
        """What a level that does not differentiate does: trace f, if no differentiation needs its rule.

        Where f cannot be traced, a level that stands for many examples takes them one by one, and a record writes down
        the call as it is.
        """
        if level.closed:
            raise closed(next(leaf for leaf in leaves if isinstance(leaf, Tracer) and leaf.level is level))
        inside = next((below for leaf in leaves for below in levels_of(leaf) if below is not level), None)
        one_by_one = isinstance(level, Batch) and level.size > 0

        def otherwise(error: Exception) -> Any:
            if one_by_one:
                return self._one_by_one(level, leaves, structure, static)
            if level.opaque is not None:
                return level.opaque(self, leaves, structure, static)
            error.add_note(f"{level.transform} follows the operations of {self.name}, so these must be NumPy's.")
            raise error

        if inside is None:
            follow = partial(self.run, leaves, structure, static, level)
            return attempt(follow if level.opaque is None else partial(level.without_branches, follow), otherwise)
        if one_by_one:
            return self._one_by_one(level, leaves, structure, static)
        raise TracerConversionError(
            f"{self.name}: a function with a derivative of its own was called within {level.transform} on values "
            f"that {inside.transform} differentiates{user_line()}; differentiate inside {level.transform} instead"
        )

    def _one_by_one(self, level: Any, leaves: list[Any], structure: Structure, static: dict[str, Any]) -> Any:
        """The results for the examples of a batch, each of which is taken by itself."""
        note_loop(self.name)

        def alone(k: int) -> Any:
            return self.apply(_example(leaves, level, k), structure, static)

        rows = []
        for k in range(level.size):
            try:
                rows.append(flatten(alone(k)))
            except Exception as error:
                raise raised_by_some(level, self.name, error, alone) from error
        if any(found != rows[0][1] for _, found in rows):
            raise ShapeError(f"{self.name}: its results for the examples of vmap differ in structure{user_line()}")
        columns = zip(*[found for found, _ in rows], strict=True)
        return unflatten(rows[0][1], [_together(self.name, column, level) for column in columns])

    def require_level(self, out: Any, level: Level | None) -> None:
        """Refuse a result that is traced by another level than the arguments were."""
        for leaf in flatten(out)[0]:
            if isinstance(leaf, Tracer) and leaf.level is not level:
                raise self.closed_over(leaf.level, "the function")

    def closed_over(self, level: Level, what: str) -> TracerConversionError:
        return TracerConversionError(
            f"{self.name}: {what} closes over a value that {level.transform} traces{user_line()}, or was given it "
            "within an object, and its derivative would be lost; pass it as an argument"
        )

    def __reduce__(self) -> Any:
        return own_name(self) or (CustomFunction, (self.function, self.jvp, self.vjp))

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self if instance is None else MethodType(self, instance)

    def __repr__(self) -> str:
        how = [
            f"{name} {'as given' if rule is not None else 'by transposition'}"
            for name, rule in (("jvp", self.jvp), ("vjp", self.vjp))
        ]
        return f"<{self.name} with a derivative of its own: {', '.join(how)}>"


class Evaluation:
    """One evaluation of a custom function at one level, and its derivative there: what an engine processes.

    `values` are the leaves of the arguments, with this level's tracers replaced by their primals; `outputs` are those
    of the value.  Tangents and cotangents are lists, one entry a leaf, None where there is none.
    """

    __slots__ = ("_out_structure", "function", "level_number", "outputs", "static", "structure", "values")

    def __init__(
        self, function: CustomFunction, values: list[Any], structure: Structure, static: dict[str, Any], level: Level
    ):
        self.function = function
        self.values = values
        self.structure = structure
        self.static = static
        # Not the level itself, which a tape is: its records hold this.
        self.level_number = level.number
        self.outputs, self._out_structure = flatten(function.apply(values, structure, static))
        if self.outputs and not any(has_derivative(out) for out in self.outputs):
            raise LeafTypeError(
                f"{function.name}: the function returned no real or complex number{user_line()}, so its rule has no "
                "effect; convert the result with float() or .astype(float)"
            )

    def output(self, leaves: Sequence[Any]) -> Any:
        """The value, with these leaves in place of its own."""
        return unflatten(self._out_structure, leaves)

    def push(self, tangents: Sequence[Any]) -> list[Any]:
        """The tangents of the output, None for a leaf that has none; an argument without one does not vary."""
        return self._for_examples(Evaluation._push, tangents, self.outputs)

    def pull(self, cotangents: Sequence[Any], active: Sequence[bool]) -> list[Any]:
        """The cotangents of the arguments, None for a leaf that is not active or gets zero."""
        return self._for_examples(partial(Evaluation._pull, active=active), cotangents, self.values)

    def _for_examples(self, map_: Function, given: Sequence[Any], likes: Sequence[Any]) -> list[Any]:
        """A map applied at once to all examples or directions that `given` may stand for; if it cannot, one by one."""
        top = highest([v for v in (*given, *self.values, *self.outputs) if isinstance(getattr(v, "level", 0), Batch)])
        if top is None or not top.level.size:
            found: list[Any] = map_(self, given)
            return found
        level = top.level

        def one_by_one(
            error: Exception,
        ) -> Any:  # whatever the rule's own code makes of an array that stands for several
            note_loop(self.function.name)
            # An example may itself stand for several, of an outer level.
            rows = [
                self._example(level, k)._for_examples(map_, _example(given, level, k), likes) for k in range(level.size)
            ]
            return self._together(rows, level, likes)

        results: list[Any] = attempt(lambda: map_(self, given), one_by_one)
        return results

    def _together(self, rows: Sequence[Sequence[Any]], level: Batch, likes: Sequence[Any]) -> list[Any]:
        return [
            None
            if all(part is None for part in column)
            else _together(self.function.name, [zero_of(like) if part is None else part for part in column], level)
            for column, like in zip(zip(*rows, strict=True), likes, strict=True)
        ]

    def _example(self, level: Batch, k: int) -> Evaluation:
        one = copy(self)
        one.values, one.outputs = _example(self.values, level, k), _example(self.outputs, level, k)
        return one

    def _push(self, tangents: Sequence[Any]) -> list[Any]:
        if self.function.jvp is not None:
            return self._jvp(tangents)
        active = [k for k, t in enumerate(tangents) if t is not None]

        def of_cotangents(given: list[Any]) -> list[Any]:
            found = self._vjp(_spread(given, self.outputs))
            return [zero_of(self.values[k]) if found[k] is None else found[k] for k in active]

        likes = [leaf for leaf in self.outputs if has_derivative(leaf)]
        linear = LinearMap(f"the vjp of {self.function.name}", of_cotangents, likes, advice="or give a jvp as well")
        found = linear.transpose([tangents[k] for k in active])
        return self._checked("the transposed vjp", _spread(found, self.outputs), self.outputs, tangents)

    def _pull(self, cotangents: Sequence[Any], active: Sequence[bool]) -> list[Any]:
        if self.function.vjp is not None:
            found = self._vjp(cotangents)
            return [c if wanted else None for c, wanted in zip(found, active, strict=True)]

        def of_tangents(given: list[Any]) -> list[Any]:
            return [t for t in self._jvp(_spread(given, self.values)) if t is not None]

        likes = [leaf for leaf in self.values if has_derivative(leaf)]
        varies = [wanted for leaf, wanted in zip(self.values, active, strict=True) if has_derivative(leaf)]
        linear = LinearMap(
            f"the jvp of {self.function.name}", of_tangents, likes, varies, advice="or give a vjp as well"
        )
        given = [c for leaf, c in zip(self.outputs, cotangents, strict=True) if has_derivative(leaf)]
        found = _spread(linear.transpose(given), self.values)
        return self._checked("the transposed jvp", found, self.values, cotangents)

    def _jvp(self, tangents: Sequence[Any]) -> list[Any]:
        given = unflatten(self.structure, _filled(tangents, self.values))
        found = _parts(self._out_structure, self._call("the jvp", self.function.jvp, given))
        if found is None or any(t is None and has_derivative(out) for t, out in zip(found, self.outputs, strict=True)):
            raise ShapeError(
                f"the jvp of {self.function.name} has to return a tangent of the structure {self._out_structure} of "
                f"the output{user_line()}, with None for leaves without a derivative alone"
            )
        return self._checked("the jvp", found, self.outputs, tangents)

    def _vjp(self, cotangents: Sequence[Any]) -> list[Any]:
        given = unflatten(self._out_structure, _filled(cotangents, self.outputs))
        returned = self._call("the vjp", self.function.vjp, given)
        found = _parts(self.structure, returned) if returned is not None else None
        if found is None:
            count = len(self.structure.children)
            raise ShapeError(
                f"the vjp of {self.function.name} has to return a tuple of {count} cotangents{user_line()}, one for "
                f"each positional argument and of its structure, together {self.structure}; for what has no derivative "
                "or gets zero, None"
            )
        return self._checked("the vjp", found, self.values, cotangents)

    def _call(self, what: str, rule: Any, given: Any) -> Any:
        args = unflatten(self.structure, [_protected(leaf) for leaf in self.values])
        out = unflatten(self._out_structure, [_protected(leaf) for leaf in self.outputs])
        called = _Rule(f"{what} of {self.function.name}", rule)
        leaves, structure = flatten((given, out, args))
        top = highest(leaves)
        if top is None or top.level.opaque is None:
            return called.run(leaves, structure, self.static, None)
        return attempt(
            partial(top.level.without_branches, partial(called.run, leaves, structure, self.static, None)),
            lambda error: top.level.opaque(called, leaves, structure, self.static),
        )

    def _checked(self, what: str, found: Sequence[Any], likes: Sequence[Any], given: Sequence[Any]) -> list[Any]:
        """What a rule returned, of the shapes and dtypes of what it belongs to, and of no level that it must not be."""
        name = f"{what} of {self.function.name}"
        inner = highest(given)
        limit = self.level_number if inner is None else max(self.level_number, inner.level.number)
        results: list[Any] = []
        for value, like in zip(found, likes, strict=True):
            if value is None or not has_derivative(like):
                if likes is self.outputs and has_derivative(value) and (isinstance(value, Tracer) or np.any(value)):
                    raise LeafTypeError(
                        f"{name} returned a tangent of a {type(like).__name__}{user_line()}, which has none; let the "
                        "function return a floating-point number, or the jvp None"
                    )
                results.append(None)
                continue
            if isinstance(value, Tracer) and (value.level.number == self.level_number or value.level.number > limit):
                raise self.function.closed_over(value.level, what)
            dtype = Like(value).dtype
            if dtype is None and (isinstance(value, bool) or not isinstance(value, (int, float, complex))):
                raise LeafTypeError(f"{name} returned a {type(value).__name__}{user_line()} where a number belongs")
            if dtype is not None and dtype.kind not in "iufc":
                raise LeafTypeError(f"{name} returned an array of {dtype}{user_line()} where numbers belong")
            if Like(value).shape != Like(like).shape:
                raise ShapeError(
                    f"{name} returned shape {Like(value).shape} where {Like(like).shape} belongs{user_line()}"
                )
            if is_complex(value) and not is_complex(like):
                if likes is self.outputs:
                    raise LeafTypeError(f"{name} returned a complex tangent of a real output{user_line()}")
                # Of a real argument that becomes complex only the real part arrives.
                value = np.real(value)
            results.append(in_dtype_of(float(value) if isinstance(value, int) else value, like))
        return results


class _Rule:
    """A rule of a custom function as what is called: with tangents or cotangents, the output and the arguments."""

    def __init__(self, name: str, rule: Function):
        self.name = name
        self.rule = rule

    def run(self, leaves: Sequence[Any], structure: Structure, static: dict[str, Any], level: None) -> Any:
        given, out, args = unflatten(structure, leaves)
        try:
            return self.rule(given, out, *args, **static)
        except ClosedLevelError as error:
            error.add_note(f"If {self.name} closes over that value, pass it as an argument.")
            raise

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Rule) and self.rule is other.rule

    def __hash__(self) -> int:
        return hash(self.rule)


def levels_of(leaf: Any) -> Iterator[Level]:
    """The levels of a traced value, from the highest down."""
    while isinstance(leaf, DuckArray):
        yield leaf.level
        leaf = leaf.primal


def _example(leaves: Sequence[Any], level: Batch, k: int) -> list[Any]:
    """The leaves of example k."""
    return [leaf.primal[k] if isinstance(leaf, Batched) and leaf.level is level else leaf for leaf in leaves]


def _together(name: str, results: Sequence[Any], level: Batch) -> Any:
    """One value that stands for the results of all examples."""
    first = results[0]
    if not isinstance(first, (np.ndarray, np.generic, Tracer, float, complex)):
        if all(result is first or result == first for result in results):
            return first
        if not isinstance(first, (int, bool)):
            raise TracerConversionError(
                f"{name}: a {type(first).__name__} that differs among the examples of vmap was returned{user_line()}"
            )
    traced = any(isinstance(result, Tracer) for result in results)
    return Batched(level, np.stack(results if traced else [np.asarray(result) for result in results]))


def _protected(leaf: Any) -> Any:
    """A value to hand to the user's code, which cannot change ours by it."""
    if isinstance(leaf, np.ndarray):
        view = leaf.view()
        view.flags.writeable = False
        return view
    return leaf.twin() if isinstance(leaf, DuckArray) else leaf


def _filled(given: Sequence[Any], likes: Sequence[Any]) -> list[Any]:
    """Tangents or cotangents as rules take them: zeros where there is none, None where there can be none."""
    return [
        None if not has_derivative(like) else zero_of(like) if value is None else _protected(value)
        for value, like in zip(given, likes, strict=True)
    ]


def _spread(given: Sequence[Any], likes: Sequence[Any]) -> list[Any]:
    """Values for the leaves that have a derivative, with None for the others."""
    values = iter(given)
    return [next(values) if has_derivative(like) else None for like in likes]


def _parts(structure: Structure, given: Any) -> list[Any] | None:
    """The leaves of what a rule returned, where None stands for a leaf or a container of them; None if it misfits."""
    if given is None:
        return [None] * structure.size
    if structure == LEAF:
        return [given] if flatten(given)[1] is LEAF else None
    names = structure.names
    if names is not None and structure.kind is not dict:
        parts, its_structure = flatten(given)
        return parts if its_structure == structure else None
    if given.__class__ is not structure.kind or len(given) != len(structure.children):
        return None
    if names is not None:
        if any(name not in given for name in names):
            return None
        given = [given[name] for name in names]
    found: list[Any] = []
    for child, part in zip(structure.children, given, strict=True):
        leaves = _parts(child, part)
        if leaves is None:
            return None
        found += leaves
    return found
