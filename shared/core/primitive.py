"""What a primitive is: an operation whose derivative is known, as the linear maps of its arguments.

A primitive has an edge (`shared.core.edges`) for each argument with a derivative, and says which linear maps one
evaluation has (`Primitive.linear_maps`): all that transposes or pushes reads them from there.  This module knows
neither how primitives are declared (`shared.core.registry`), nor any calculus (`shared.rules`), nor any engine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.core import pickling
from shared.core.edges import EVERYTHING, OUT, Edge, Like, as_met
from shared.core.errors import RegistrationError, unsupported_keyword
from shared.core.facets import (
    MEMORY,
    STRUCTURES,
    BatchRule,
    Count,
    CountRule,
    default_batch,
    default_count,
    default_memory,
    each,
    require_word,
)
from shared.core.levels import Tracer, bind
from shared.core.parameters import all_parameters
from shared.core.visible import one_line

if TYPE_CHECKING:
    from shared.core.facets import Memory

Function = Callable[..., Any]


class Primitive:
    """An operation with a derivative.  Calling it binds it: `multiply(x, y)` works on arrays and on tracers.

    `function` is what the registry is keyed by.  `edges[k]` is the linear map with respect to
    argument k, or None where that argument has no derivative (a mask, an index).
    """

    __slots__ = (
        "_parameters",
        "alone",
        "arguments",
        "batch",
        "broadcasts",
        "common",
        "constant",
        "count",
        "dependence",
        "edges",
        "elementwise",
        "evaluate",
        "factored",
        "form",
        "function",
        "is_binary",
        "is_index",
        "is_question",
        "joint_push",
        "kept",
        "linear",
        "linear_in_one",
        "memory",
        "name",
        "raw",
        "reason",
        "residuals",
        "rewritten",
        "statics",
    )

    #: What is declared of a primitive and its twins alike: each is a keyword of the constructor and an attribute.
    DECLARED = (
        "alone", "batch", "broadcasts", "common", "count", "dependence", "factored", "is_index", "is_question",
        "joint_push", "linear", "memory", "reason", "residuals", "statics",
    )  # fmt: skip

    def __init__(
        self,
        function: Function,
        form: str,
        edges: Sequence[Edge | None],
        evaluate: Function | None = None,
        *,
        dispatches: bool | None = None,
        variadic: bool = False,
        broadcasts: bool = False,
        is_index: bool = False,
        is_question: bool = False,
        statics: frozenset[str] = frozenset(),
        common: Edge | None = None,
        factored: tuple[Edge | None, ...] = (),
        residuals: Function | None = None,
        joint_push: Function | None = None,
        reason: str = "",
        alone: Function | None = None,
        count: Count | CountRule | None = None,
        memory: Memory | None = None,
        batch: BatchRule | None = None,
        dependence: str | Function | None = None,
        linear: tuple[int, ...] | None = None,
    ):
        self.function = function
        #: computes the value from plain arguments
        self.raw: Function = evaluate or function
        dispatches = isinstance(self.raw, np.ufunc) if dispatches is None else dispatches
        #: computes it from arguments that may be tracers of lower levels; ufuncs and operators dispatch by themselves
        self.evaluate: Function = self.raw if dispatches else self
        #: what it is called where people read it
        self.name: str = one_line(getattr(function, "__name__", repr(function)))
        self.form = form
        self.edges: tuple[Edge | None, ...] = tuple(edges)
        self.constant = form == "constant"
        self.elementwise = form == "elementwise"
        #: whether its further arguments are an index, by which a view can be written through
        self.is_index = is_index
        #: whether it asks for dtypes or memory, which no value decides, so that no level traces the answer
        self.is_question = is_question
        #: whether an engine's fast path for two arguments may take it: no keywords, an edge or None for each
        self.is_binary = len(self.edges) == 2 and _is_of_two_alike(function)
        self.linear_in_one = form == "multilinear" and len(self.edges) == 1
        self.broadcasts = broadcasts
        #: the map from the output's cotangent to one that the argument edges share (see `rule`)
        self.common = common
        #: the argument edges that start from there
        self.factored = factored
        #: per-argument kept values computed in one pass, for primitives of any number of arguments
        self.residuals = residuals
        #: the whole jvp at once, where a sum over arguments would cost more
        self.joint_push = joint_push
        self.reason = reason
        #: what a call with the first argument alone means, where that is another function
        self.alone = alone
        #: the call in terms of other functions, where keywords ask for more than the rules cover (see `with_keywords`)
        self.rewritten: Function | None = None
        self._set_facets(count, memory, batch, dependence, linear)
        #: how many of its leading parameters are arrays (None: any number), and its keywords
        self.arguments: int | None = None if variadic else len(self.edges)
        self.statics = statics
        #: whether any edge needs the value of an argument after the evaluation, by position; None: of every one
        self.kept: frozenset[int] | None = self._kept()
        self._parameters: tuple[str, ...] | None = None
        self._name_edges()
        pickling.note(self)

    def _name_edges(self) -> None:
        for edges in (self.edges, self.factored, (self.common,)):
            for k, edge in enumerate(edges):
                # Those of an operator are those of its function.
                if edge is not None and edge.owner is None:
                    edge.owner = self.name, "common factor" if edge is self.common else k
                    if edge.fitted is not None:
                        edge.fitted.owner = edge.owner

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of all parameters of `function`: read when they are first asked for, since of most nobody asks."""
        # Not by __getattr__, with which every attribute would be looked up the slow way.
        if self._parameters is None:
            self._parameters = all_parameters(self.function)
        return self._parameters

    def _set_facets(
        self,
        count: Count | CountRule | None,
        memory: Memory | None,
        batch: BatchRule | None,
        dependence: str | Function | None,
        linear: tuple[int, ...] | None,
    ) -> None:
        """What is declared beside the derivative (see `shared.core.facets`), with the defaults of the form."""
        if memory is not None:
            require_word(self.name, "memory", memory, MEMORY)
        if dependence is not None and not callable(dependence):
            require_word(self.name, "dependence, if no rule,", dependence, STRUCTURES)
        for k in linear or ():
            if k >= len(self.edges) or self.edges[k] is None:
                raise RegistrationError(f"{self.name}: it is said to be linear in argument {k}, but has no rule for it")
        self.count: CountRule = each(count) if isinstance(count, Count) else count or default_count(self)
        self.memory: Memory = memory or default_memory(self)
        self.batch = batch or default_batch(self)
        self.dependence = dependence or ("elementwise" if self.elementwise else "everything")
        if linear is None and self.form == "multilinear":
            linear = tuple([k for k, edge in enumerate(self.edges) if edge is not None])
        self.linear = () if linear is None else linear

    def __call__(self, *args: Any, **static: Any) -> Any:
        if len(args) == 1 and isinstance(args[0], Tracer):
            return args[0].process(self, args, static)
        return bind(self, args, static)

    def __repr__(self) -> str:
        return f"<primitive {self.name} ({self.form})>"

    def __reduce__(self) -> Any:
        return pickling.reduced(self)

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Bind with the arguments as a user wrote them: arrays become positional, the rest keywords."""
        if len(args) != self.arguments or (kwargs and not kwargs.keys() <= self.statics):
            if self.alone is not None and len(args) == 1 and not kwargs:
                return self.alone(args[0])
            # None of these keywords is among the first two parameters.
            if self.rewritten is not None and (kwargs or len(args) > 2) and self._asks_for_more(args, kwargs):
                return self.rewritten(*args, **kwargs)
            args, kwargs = self.normalise(args, kwargs)
        if self.linear_in_one and isinstance(args[0], Tracer):
            return args[0].linear(self, (), kwargs)
        return bind(self, args, kwargs)

    def _asks_for_more(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether a call gives a keyword that every reduction of NumPy takes and no rule knows."""
        given = {**dict(zip(self.parameters, args, strict=False)), **kwargs}
        values = [(name, given.get(name)) for name in ("dtype", "where", "initial")]
        return any(
            value is not None and value is not np._NoValue and not (name == "where" and value is True)
            for name, value in values
        )

    def normalise(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        count, names = self.arguments, self.parameters
        if self.constant:
            for name, value in kwargs.items():
                if isinstance(value, Tracer):
                    raise TypeError(f"{self.name}: pass {name!r} by position")
            place = names.index("out") if "out" in names else sys.maxsize
            if kwargs.get("out") is not None or (place < len(args) and args[place] is not None):
                raise unsupported_keyword(self.name, "out")
        if self.constant or count is None:
            return args, kwargs
        if len(args) > count:
            kwargs = {**kwargs, **dict(zip(names[count : len(args)], args[count:], strict=False))}
            args = args[:count]
        elif len(args) < count:
            kwargs = dict(kwargs)
            try:
                args = args + tuple(kwargs.pop(name) for name in names[len(args) : count])
            except KeyError as missing:
                raise TypeError(f"{self.name}: the argument {missing} is missing") from None
        if kwargs:
            kwargs = {k: v for k, v in kwargs.items() if v is not np._NoValue}
            for name in kwargs.keys() - self.statics:
                value = kwargs.pop(name)
                if value is not None and not (name == "where" and value is True):
                    raise unsupported_keyword(self.name, name)
        return args, kwargs

    def _kept(self) -> frozenset[int] | None:
        positions: set[int] = set()
        for edge in self.edges:
            if edge is None or edge.keep is None:
                continue
            if edge.keep is EVERYTHING:
                return None
            positions.update((edge.keep,) if isinstance(edge.keep, int) else edge.keep)
        return frozenset(positions)

    def keep(self, edge: Edge, k: int, out: Any, values: Sequence[Any], static: dict[str, Any]) -> Any:
        """What `edge` (of argument k) needs from this evaluation."""
        keep = edge.keep
        if keep is None:
            return None
        if keep is EVERYTHING:
            if len(values) == 1:
                return Like(values[0]), static
            if len(values) == 2:
                return (values[0], Like(values[1]), static) if k else (Like(values[0]), values[1], static)
            return (*values[:k], Like(values[k]), *values[k + 1 :], static)
        if isinstance(keep, int):
            return out if keep == OUT else values[keep]
        if self.statics:
            return (*[out if p == OUT else values[p] for p in keep], static)
        return tuple([out if p == OUT else values[p] for p in keep])

    def path(self, args: tuple[Any, ...]) -> Any:
        """The index by which a view was taken; Ellipsis where it may be all of the array; None if it is never one."""
        return args[1:] if self.is_index else Ellipsis if self.memory == "view" else None

    def linear_maps(
        self, out: Any, values: Sequence[Any], active: Sequence[int], static: dict[str, Any]
    ) -> tuple[list[tuple[int, Edge, Any]], tuple[Edge, Any] | None]:
        """The linear maps of one evaluation, one for each active argument that has a derivative.

        Each is `(k, edge, kept)`: the argument, the map, and the values that it needs of this evaluation; an argument
        that was broadcast or promoted has a map that undoes it.  The second result is None or the `(edge, kept)` of a
        factor that they share: the output's cotangent is pulled through that first, and what comes out of it then
        through each of the others.
        """
        if self.residuals is not None:
            residuals: Any = self.residuals(out, values, static)
            return [(k, self.edges[0], residuals[k]) for k in active], None  # type: ignore[misc]
        edges, common = self.edges, None
        if self.common is not None and len(active) == len(values):
            edges, common = self.factored, (self.common, self.keep(self.common, 0, out, values, static))
        maps = []
        for k in active:
            edge: Any = edges[k]
            if edge is not None:
                kept = self.keep(edge, k, out, values, static)
                if self.broadcasts:
                    edge, kept = as_met(edge, kept, values[k], out)
                maps.append((k, edge, kept))
        return maps, common

    def push(self, out: Any, values: Sequence[Any], tangents: Sequence[Any], static: dict[str, Any]) -> Any:
        """The tangent of `out`, where `tangents[k]` is None for an argument that does not vary; None if all are."""
        if self.joint_push is not None:
            return self.joint_push(out, values, tangents, static)
        total = None
        k = -1
        for tangent in tangents:
            k += 1
            if tangent is None:
                continue
            edge: Any = self.edges[k]
            if edge is None:
                continue
            keep = edge.keep
            if keep.__class__ is int:
                kept = out if keep == OUT else values[keep]
            else:
                kept = None if keep is None else self.keep(edge, k, out, values, static)
            term = edge.push(tangent, kept)
            total = term if total is None else total + term
        return total


def _is_of_two_alike(function: Any) -> bool:
    """Whether a function is a ufunc of two arguments of one dtype: np.ldexp takes an integer beside its float."""
    return (
        isinstance(function, np.ufunc) and function.nin == 2 and any(types[0] == types[1] for types in function.types)
    )
