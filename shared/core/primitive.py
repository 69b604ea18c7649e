"""What a primitive is: an operation whose derivative is known, as the linear maps of its arguments.

With respect to one argument the derivative of a primitive is a linear map; an `Edge` is that map: `push` applies it to
a tangent (forward mode), `pull` applies its transpose to a cotangent (reverse mode), and both read the same few values
`kept` from the evaluation.  This module knows neither how primitives are declared (`shared.core.registry`), nor any
calculus (`shared.rules`), nor any engine.
"""

from __future__ import annotations

import inspect
import math
import pickle
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any

import numpy as np

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
from shared.core.levels import Tracer, bind, current_recording
from shared.core.visible import one_line, shown

if TYPE_CHECKING:
    from shared.core.facets import Memory

Function = Callable[..., Any]

#: Position of a primitive's output among the values that a rule may name; arguments have positions 0, 1, 2, ...
OUT = -1

#: What an edge keeps that needs every argument: their values, a `Like` in place of its own, and the keywords.
EVERYTHING = ("everything",)

#: A cotangent of one number may be a Python number; rules that move elements need NumPy's attributes of it.
PYTHON_NUMBERS = frozenset((int, float, complex, bool))


class Like:
    """Shape and dtype of a value that is not kept.  `dtype` is None for a Python scalar, which is weakly typed.

    >>> Like(np.ones((2, 3), np.float32))
    Like((2, 3), float32)
    """

    __slots__ = ("dtype", "is_complex", "shape")

    def __init__(self, value: Any):
        try:
            self.shape: tuple[int, ...] = value.shape
            self.dtype: np.dtype[Any] | None = value.dtype
        except AttributeError:
            # A Python number has neither: it has no axes, and takes the dtype of whatever it meets.
            self.shape, self.dtype = (), None
            #: set of a Python number only
            self.is_complex = isinstance(value, complex)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def zeros(self) -> np.ndarray:
        """A fresh array of zeros of this shape and dtype."""
        return np.zeros(self.shape, np.float64 if self.dtype is None else self.dtype)

    def __repr__(self) -> str:
        return f"Like({self.shape}, {self.dtype or 'weak'})"


class Edge:
    """The linear map that a primitive is with respect to one argument.

    `keep` says which values the map needs: None, one position (`OUT` or an argument's), a tuple of them, or EVERYTHING.
    `pull(cotangent, kept)` is the transpose, `push(tangent, kept)` the map.  `fitted` is the same edge for an argument
    that was broadcast or promoted: its `kept` is (Like of the argument, kept, Like of the output).

    Where `pull` or `push` is None, a sweep (`shared.core.sweep`) leaves it to `backward` or `forward`.  Those of a
    primitive whose transpose is given in accumulating form, `accumulate(accumulator, cotangent, kept)`, add in place,
    which costs the size of the cotangent and not that of the argument; the few records that are no operations (an
    independent variable, an assignment) have their own.
    """

    __slots__ = ("accumulate", "fitted", "keep", "pull", "push")

    #: whether a sweep backwards comes to it even if no cotangent does
    always = False

    def __init__(
        self,
        keep: Any,
        pull: Function | None,
        push: Function | None,
        accumulate: Function | None = None,
    ):
        self.keep = keep
        self.pull = pull
        self.push = push
        self.accumulate = accumulate
        self.fitted: Edge | None = None

    def backward(self, sweep: Any, cotangent: Any, kept: Any, parent: int) -> None:
        """Pass a cotangent on to the node `parent` of a sweep backwards."""
        assert self.accumulate is not None
        accumulator = sweep.accumulator(parent, kept[0])
        sweep.cotangents[parent] = self.accumulate(accumulator, cotangent, kept)
        sweep.owned.add(parent)

    def forward(self, sweep: Any, node: int, kept: Any, parent: int, position: int) -> None:
        """Pass the tangent of the node `parent` on to `node`, where `position` is that of this record."""
        raise NotImplementedError


def fit(cotangent: Any, like: Like) -> Any:
    """Undo broadcasting and promotion: sum `cotangent` to the shape of `like`, and return it in its dtype.

    This is the only place that does so (the transpose of NumPy's broadcasting is a sum over the stretched axes; of a
    promotion from real to complex, the real part).

    >>> fit(np.ones((4, 3)), Like(np.ones((3, ), np.float32)))
    array([4., 4., 4.], dtype=float32)
    """
    shape = like.shape
    if cotangent.__class__ in PYTHON_NUMBERS:
        cotangent = np.asarray(cotangent)[()]
    if cotangent.shape != shape:
        extra = cotangent.ndim - len(shape)
        if extra > 0:
            cotangent = np.add.reduce(cotangent, axis=0 if extra == 1 else tuple(range(extra)))
        if cotangent.shape != shape:
            given = cotangent.shape
            stretched = tuple([k for k, n in enumerate(shape) if n == 1 and given[k] != 1])
            cotangent = np.add.reduce(cotangent, axis=stretched, keepdims=True)
    dtype = like.dtype
    if dtype is None:
        return cotangent.real if cotangent.dtype.kind == "c" and not like.is_complex else cotangent
    found = cotangent.dtype
    if found is not dtype and found != dtype:
        if found.kind == "c" and dtype.kind != "c":
            cotangent = np.real(cotangent)
        cotangent = cotangent.astype(dtype)
    return cotangent


def differs(value: Any, out: Any) -> bool:
    """Whether an argument was broadcast or promoted on its way to `out`, so that its cotangent has to be fitted."""
    if getattr(value, "shape", ()) != getattr(out, "shape", ()):
        return True
    dtype, promoted = getattr(value, "dtype", None), getattr(out, "dtype", None)
    if dtype is None or promoted is None:
        # A Python number is weak, so it is promoted only from real to complex.
        return bool(np.iscomplexobj(out) and not np.iscomplexobj(value))
    return bool(dtype != promoted)


def stretch(tangent: Any, like: Like) -> Any:
    """Broadcast and promote `tangent` to the shape and dtype of `like`: what `fit` is the transpose of."""
    if getattr(tangent, "shape", ()) != like.shape:
        tangent = np.broadcast_to(tangent, like.shape)
    if like.dtype is not None and getattr(tangent, "dtype", None) != like.dtype:
        tangent = tangent.astype(like.dtype) if hasattr(tangent, "astype") else like.dtype.type(tangent)
    return tangent


def fitted(edge: Edge) -> Edge:
    pull, push = edge.pull, edge.push
    assert pull is not None and push is not None
    twin = Edge(
        edge.keep,
        lambda c, kept: fit(pull(c, kept[1]), kept[0]),
        lambda t, kept: stretch(push(t, kept[1]), kept[2]),
    )
    twin.fitted = twin
    return twin


class Primitive:
    """An operation with a derivative.  Calling it binds it: `multiply(x, y)` works on arrays and on tracers.

    `function` is what the registry is keyed by.  `edges[k]` is the linear map with respect to
    argument k, or None where that argument has no derivative (a mask, an index).
    """

    __slots__ = (
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
        "parameters",
        "raw",
        "reason",
        "residuals",
        "statics",
    )

    #: The names of all parameters of `function`: read when they are first asked for, since of most nobody asks.
    parameters: tuple[str, ...]

    #: What is declared of a primitive and its twins alike: each is a keyword of the constructor and an attribute.
    DECLARED = (
        "batch", "broadcasts", "common", "count", "dependence", "factored", "is_index", "is_question", "joint_push",
        "linear", "memory", "reason", "residuals", "statics",
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
        self._set_facets(count, memory, batch, dependence, linear)
        #: how many of its leading parameters are arrays (None: any number), and its keywords
        self.arguments: int | None = None if variadic else len(self.edges)
        self.statics = statics
        #: whether any edge needs the value of an argument after the evaluation, by position; None: of every one
        self.kept: frozenset[int] | None = self._kept()
        _KNOWN[function, self.raw] = self

    if not TYPE_CHECKING:  # which would take any attribute for one of these

        def __getattr__(self, name: str) -> Any:
            if name != "parameters":
                raise AttributeError(f"a primitive has no attribute {name!r}")
            self.parameters = _parameters(self.function)
            return self.parameters

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
        # Edges are closures, so a primitive pickles as what it was declared by, or else as the name that it has.
        if _KNOWN.get((self.function, self.raw)) is self and _is_importable(self.function, self.raw):
            return (known_primitive, (self.function, self.raw))
        module = getattr(self.function, "__module__", None) or ""
        for name, value in vars(sys.modules.get(module, pickle)).items():
            if value is self:
                return (named_primitive, (module, name))
            if isinstance(value, list) and any(entry is self for entry in value):
                return (named_primitive, (module, name, value.index(self)))
        raise pickle.PicklingError(
            f"the primitive {self.name} cannot be pickled, because its function {shown(self.function)} cannot be "
            "imported by its name: define that, or the primitive itself, at the top level of a module"
        )

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Bind with the arguments as a user wrote them: arrays become positional, the rest keywords."""
        if len(args) != self.arguments or (kwargs and not kwargs.keys() <= self.statics):
            args, kwargs = self.normalise(args, kwargs)
        if self.linear_in_one and isinstance(args[0], Tracer):
            return args[0].linear(self, (), kwargs)
        return bind(self, args, kwargs)

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
        """The index by which a view was taken, if it was; a view of another kind cannot be written through."""
        return args[1:] if self.is_index else None

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
                if self.broadcasts and differs(values[k], out):
                    edge, kept = edge.fitted, (Like(values[k]), kept, Like(out))
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


#: Every primitive, by its function and by what evaluates it: an operator's twin differs from a ufunc in that alone.
_KNOWN: dict[tuple[Any, Any], Primitive] = {}


def known_primitive(function: Any, evaluate: Any) -> Primitive:
    """The primitive that was declared of a function: what a pickled one is loaded by."""
    found = _KNOWN.get((function, evaluate))
    if found is None:
        raise pickle.UnpicklingError(
            f"no primitive is declared of {shown(function)}: import the module that declares it before unpickling"
        )
    return found


def named_primitive(module: str, name: str, place: int | None = None) -> Primitive:
    """The primitive of that name in a module, or at a place in the list of that name."""
    found: Any = getattr(import_module(module), name)
    primitive: Primitive = found if place is None else found[place]
    return primitive


def _is_of_two_alike(function: Any) -> bool:
    """Whether a function is a ufunc of two arguments of one dtype: np.ldexp takes an integer beside its float."""
    return (
        isinstance(function, np.ufunc) and function.nin == 2 and any(types[0] == types[1] for types in function.types)
    )


def _is_importable(*functions: Any) -> bool:
    try:
        pickle.dumps(functions)
    except (pickle.PicklingError, AttributeError, TypeError):
        return False
    return True


class Composite:
    """A function given in terms of others: nothing to differentiate of its own."""

    __slots__ = ("form", "function", "name", "refused", "rewrite")
    elementwise = is_binary = is_question = False

    def __init__(self, function: Function, rewrite: Function):
        self.function = function
        self.rewrite = rewrite
        #: what it is called where people read it
        self.name: str = one_line(getattr(function, "__name__", repr(function)))
        self.form = "composite"
        #: parameters that the rewritten form annotates as None: it takes them, as NumPy does, but has no use for them
        self.refused: list[tuple[int, str]] = []
        annotations = rewrite.__annotations__
        if "None" in annotations.values():
            positional, by_keyword = parameters_of(rewrite)
            places = [*enumerate(positional), *[(sys.maxsize, name) for name in by_keyword]]
            self.refused = [(k, name) for k, name in places if annotations.get(name) == "None"]

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for k, name in self.refused:
            value = args[k] if k < len(args) else kwargs.get(name)
            if value is not None and value is not np._NoValue and not (name == "where" and value is True):
                raise unsupported_keyword(self.name, name)
        recording = current_recording()
        if recording is not None:
            args, kwargs = recording.among(self.function, args, kwargs)
        return self.rewrite(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(args, kwargs)

    def __repr__(self) -> str:
        return f"<composite {self.name}>"


def parameters_of(function: Function) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of a function's positional parameters, and of those that are taken by keyword alone.

    Of a function in Python they are read off its code, in a twentieth of the time of `inspect.signature`: that is
    most of what an import of the tables takes.  Raises ValueError for a function written in C that does not say.

    >>> parameters_of(lambda x, y=1, *rest, axis=None, **more: x)
    (('x', 'y', 'rest'), ('axis', 'more'))
    """
    plain = inspect.unwrap(function) if hasattr(function, "__wrapped__") else function
    if isinstance(plain, FunctionType) and not hasattr(plain, "__signature__"):
        code = plain.__code__
        names, first, flags = code.co_varnames, code.co_argcount, code.co_flags
        last = first + code.co_kwonlyargcount
        rest = last + bool(flags & inspect.CO_VARARGS)
        more = rest + bool(flags & inspect.CO_VARKEYWORDS)
        return names[:first] + names[last:rest], names[first:last] + names[rest:more]
    found = inspect.signature(function).parameters.values()
    by_keyword = [p.name for p in found if p.kind in (p.KEYWORD_ONLY, p.VAR_KEYWORD)]
    return tuple(p.name for p in found if p.name not in by_keyword), tuple(by_keyword)


def _parameters(function: Function) -> tuple[str, ...]:
    if isinstance(function, np.ufunc):
        return tuple(f"x{k + 1}" for k in range(function.nin))
    if isinstance(function, BuiltinFunctionType):
        # As "($module, a, b, /)"; a function written in C need not say.
        names = (getattr(function, "__text_signature__", None) or "").strip("()").split(",")
        return tuple(name for part in names if (name := part.partition("=")[0].strip()).isidentifier())
    try:
        positional, by_keyword = parameters_of(function)
        return positional + by_keyword
    except ValueError:  # a function written in C that does not say
        return ()
