"""The registry: what a primitive is, and the five forms in which one is declared.

A primitive is an operation whose derivative is known.  With respect to one argument that derivative is a linear map;
an `Edge` is that map: `push` applies it to a tangent (forward mode), `pull` applies its transpose to a cotangent
(reverse mode), and both read the same few values `kept` from the evaluation.  Every form below is a way to write the
edges of a primitive by the least that determines them:

    elementwise   the local partial derivative per argument         add, multiply, sin, hypot
    multilinear   the transpose per argument                        sum, reshape, matmul, getitem
    rule          both maps, written out                            divide, where, sort, max, prod
    composite     the same function in terms of other primitives    var, std, stack, pad
    constant      nothing: the derivative is zero                   sign, floor, comparisons, argmax

This module knows no calculus (the tables are in `shared.rules`) and no engine.
"""

from __future__ import annotations

import inspect
import operator
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from shared.errors import RegistrationError, unsupported_keyword
from shared.levels import Tracer, bind

Function = Callable[..., Any]

#: Every function with a rule, keyed by the function that users call (NumPy's own, or a library's).
REGISTRY: dict[Any, Primitive | Composite] = {}

#: The elementwise ufuncs of one argument among them, for the engines' fast paths.
UNARY: dict[Any, Primitive] = {}

#: Position of a primitive's output among the values that a rule may name; arguments have positions 0, 1, 2, ...
OUT = -1

#: What an edge keeps that needs every argument: their values, a `Like` in place of its own, and the keywords.
EVERYTHING = ("everything",)

#: NumPy itself takes at most this many operands (NPY_MAXARGS)
_MOST_OPERANDS = 64


#: A cotangent of one number may be a Python number; rules that move elements need NumPy's attributes of it.
_PYTHON_NUMBERS = frozenset((int, float, complex, bool))


class Like:
    """Shape and dtype of a value that is not kept.  `dtype` is None for a Python scalar, which is weakly typed.

    >>> Like(np.ones((2, 3), np.float32))
    Like((2, 3), float32)
    """

    __slots__ = ("dtype", "shape")

    def __init__(self, value: Any):
        try:
            self.shape: tuple[int, ...] = value.shape
            self.dtype: np.dtype[Any] | None = value.dtype
        except AttributeError:
            # A Python number has neither: it has no axes, and takes the dtype of whatever it meets.
            self.shape, self.dtype = (), None

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def zeros(self) -> np.ndarray:
        """A fresh array of zeros of this shape and dtype."""
        return np.zeros(self.shape, np.float64 if self.dtype is None else self.dtype)

    def __repr__(self) -> str:
        return f"Like({self.shape}, {self.dtype or 'weak'})"


class Edge:
    """The linear map that a primitive is with respect to one argument.

    `keep` says which values the map needs: None, one position (`OUT` or an argument's), a tuple of them, or EVERYTHING.
    `pull(cotangent, kept)` is the transpose, `push(tangent, kept)` the map.  Where `pull` is None the transpose is
    given in accumulating form, `accumulate(accumulator, cotangent, kept)`, which costs the size of the cotangent
    and not that of the argument.  `fitted` is the same edge for an argument that was broadcast or promoted: its
    `kept` is (Like of the argument, kept, Like of the output).
    """

    __slots__ = ("accumulate", "fitted", "keep", "pull", "push")

    def __init__(
        self,
        keep: Any,
        pull: Function | None,
        push: Function,
        accumulate: Function | None = None,
    ):
        self.keep = keep
        self.pull = pull
        self.push = push
        self.accumulate = accumulate
        self.fitted: Edge | None = None


def fit(cotangent: Any, like: Like) -> Any:
    """Undo broadcasting and promotion: sum `cotangent` to the shape of `like`, and return it in its dtype.

    This is the only place that does so (the transpose of NumPy's broadcasting is a sum over the stretched axes; of a
    promotion from real to complex, the real part).

    >>> fit(np.ones((4, 3)), Like(np.ones((3, ), np.float32)))
    array([4., 4., 4.], dtype=float32)
    """
    shape = like.shape
    if cotangent.__class__ in _PYTHON_NUMBERS:
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
        return cotangent.real if cotangent.dtype.kind == "c" else cotangent
    found = cotangent.dtype
    if found is not dtype and found != dtype:
        if found.kind == "c" and dtype.kind != "c":
            cotangent = np.real(cotangent)
        cotangent = cotangent.astype(dtype)
    return cotangent


def stretch(tangent: Any, like: Like) -> Any:
    """Broadcast and promote `tangent` to the shape and dtype of `like`: what `fit` is the transpose of."""
    if getattr(tangent, "shape", ()) != like.shape:
        tangent = np.broadcast_to(tangent, like.shape)
    if like.dtype is not None and getattr(tangent, "dtype", None) != like.dtype:
        tangent = tangent.astype(like.dtype) if hasattr(tangent, "astype") else like.dtype.type(tangent)
    return tangent


def _fitted(edge: Edge) -> Edge:
    pull, push = edge.pull, edge.push
    assert pull is not None
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
        "broadcasts",
        "common",
        "constant",
        "edges",
        "elementwise",
        "evaluate",
        "factored",
        "form",
        "function",
        "is_binary",
        "is_index",
        "joint_push",
        "kept",
        "linear_in_one",
        "name",
        "parameters",
        "raw",
        "reason",
        "residuals",
        "statics",
    )

    def __init__(self, function: Function, form: str, edges: Sequence[Edge | None], evaluate: Function | None = None):
        self.function = function
        #: computes the value from plain arguments
        self.raw: Function = evaluate or function
        #: computes it from arguments that may be tracers of lower levels; ufuncs and operators dispatch by themselves
        self.evaluate: Function = self.raw if isinstance(self.raw, np.ufunc) else self
        self.name: str = getattr(function, "__name__", repr(function))
        self.form = form
        self.edges: tuple[Edge | None, ...] = tuple(edges)
        self.constant = form == "constant"
        self.elementwise = form == "elementwise"
        #: whether its further arguments are an index, by which a view can be written through
        self.is_index = False
        #: whether an engine's fast path for two arguments may take it: no keywords, an edge or None for each
        self.is_binary = isinstance(function, np.ufunc) and function.nin == 2 == len(self.edges)
        self.linear_in_one = form == "multilinear" and len(self.edges) == 1
        self.broadcasts = False
        #: the map from the output's cotangent to one that the argument edges share (see `rule`)
        self.common: Edge | None = None
        #: the argument edges that start from there
        self.factored: tuple[Edge | None, ...] = ()
        #: per-argument kept values computed in one pass, for primitives of any number of arguments
        self.residuals: Function | None = None
        #: the whole jvp at once, where a sum over arguments would cost more
        self.joint_push: Function | None = None
        self.reason = ""
        #: names of the leading array parameters, then of the others, of `function`
        self.arguments: int | None = len(self.edges)
        self.parameters: tuple[str, ...] = _parameters(function)
        self.statics: frozenset[str] = frozenset()
        #: whether any edge needs the value of an argument after the evaluation, by position; None: of every one
        self.kept: frozenset[int] | None = self._kept()

    def __call__(self, *args: Any, **static: Any) -> Any:
        if len(args) == 1 and isinstance(args[0], Tracer):
            return args[0].process(self, args, static)
        return bind(self, args, static)

    def __repr__(self) -> str:
        return f"<primitive {self.name} ({self.form})>"

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

    def push(self, out: Any, values: Sequence[Any], tangents: Sequence[Any], static: dict[str, Any]) -> Any:
        """The tangent of `out`, where `tangents[k]` is None for an argument that does not vary; None if all are."""
        if self.joint_push is not None:
            return self.joint_push(out, values, tangents, static)
        total = None
        for k, (edge, tangent) in enumerate(zip(self.edges, tangents, strict=False)):
            if tangent is None or edge is None:
                continue
            term = edge.push(tangent, self.keep(edge, k, out, values, static))
            total = term if total is None else total + term
        return total


class Composite:
    """A function given in terms of others: nothing to differentiate of its own."""

    __slots__ = ("form", "function", "name", "refused", "rewrite")
    elementwise = is_binary = False

    def __init__(self, function: Function, rewrite: Function):
        self.function = function
        self.rewrite = rewrite
        self.name: str = getattr(function, "__name__", repr(function))
        self.form = "composite"
        #: parameters that the rewritten form annotates as None: it takes them, as NumPy does, but has no use for them
        self.refused = [
            (k if p.kind is not p.KEYWORD_ONLY else sys.maxsize, p.name)
            for k, p in enumerate(inspect.signature(rewrite).parameters.values())
            if p.annotation == "None"
        ]

    def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        for k, name in self.refused:
            value = args[k] if k < len(args) else kwargs.get(name)
            if value is not None and value is not np._NoValue and not (name == "where" and value is True):
                raise unsupported_keyword(self.name, name)
        return self.rewrite(*args, **kwargs)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(args, kwargs)

    def __repr__(self) -> str:
        return f"<composite {self.name}>"


# --- the five forms ---------------------------------------------------------------------------------------------------


def elementwise(function: Function, *partials: Any, evaluate: Function | None = None) -> Primitive:
    """Declare a function that acts element by element, by its local partial derivative per argument.

    A partial is a number (a constant derivative, which costs no multiplication when it is 1 or -1), a ufunc of the
    first argument, or a function whose parameters are named among `out, x, y, z`: the output and the first, second and
    third argument.  Only the values it names are kept for the reverse sweep.  Broadcasting and promotion are undone.

    >>> softclip = elementwise(lambda x: x / np.sqrt(1 + x * x), lambda x: (1 + x * x) ** -1.5)
    >>> softclip(np.array([0.0, 1.0]))
    array([0.        , 0.70710678])
    """
    primitive = Primitive(function, "elementwise", [_partial_edge(function, p) for p in partials], evaluate)
    primitive.broadcasts = True
    return _register(primitive)


def multilinear(
    function: Function,
    *transposes: Function | None,
    accumulate: Function | None = None,
    evaluate: Function | None = None,
) -> Primitive:
    """Declare a function that is linear in each argument that has a transpose (None: that argument is not linear).

    The jvp is the function itself with the tangent in the argument's place.  A transpose takes
    `(cotangent, *arguments, **keywords)`; the argument that it belongs to is given by a `Like` (shape and dtype
    only, since by linearity its value cannot matter), so nothing of it is kept.  `accumulate`, for the first
    argument, takes `(accumulator, cotangent, *arguments, **keywords)` and adds into the accumulator.
    """
    edges: list[Edge | None] = []
    for k, transpose in enumerate(transposes):
        edges.append(None if transpose is None else _multilinear_edge(evaluate or function, k, transpose))
    primitive = Primitive(function, "multilinear", edges, evaluate)
    if accumulate is not None:
        assert edges[0] is not None
        edges[0].pull, edges[0].accumulate = (
            None,
            lambda acc, c, kept: accumulate(acc, c, *kept[:-1], **kept[-1]),
        )
    primitive.statics = _keywords(function, [t for t in transposes if t])
    return _register(primitive)


def multilinear_in_all(function: Function, transpose: Function) -> Primitive:
    """Declare a function of any number of arrays, linear in each, by `transpose(k, c, arguments, **keywords)`."""

    def edge(k: int) -> Edge:
        def of_argument_k(c: Any, *arguments: Any, **static: Any) -> Any:
            return transpose(k, c, arguments, **static)

        return _multilinear_edge(function, k, of_argument_k)

    primitive = Primitive(function, "multilinear", [])
    primitive.edges = tuple(edge(k) for k in range(_MOST_OPERANDS))
    primitive.kept = None
    primitive.arguments = None
    return _register(primitive)


def rule(
    function: Function,
    *,
    vjps: Sequence[Function | None] = (),
    jvps: Sequence[Function | None] = (),
    common: Function | None = None,
    broadcasts: bool = False,
    evaluate: Function | None = None,
    because: str,
) -> Primitive:
    """Declare both linear maps of a function, written out; `because` says in a line why no simpler form fits.

    `vjps[k]` takes `(c, ...)` and `jvps[k]` takes `(t, ...)`, then any of `out, x, y, z` by name, then the
    function's keywords.  `common(c, ...)` is computed once from the output's cotangent and handed to every vjp in
    its place.  With `broadcasts=True` broadcasting and promotion are undone for it.
    """
    if len(vjps) != len(jvps):
        raise RegistrationError(
            f"{function.__name__}: {len(vjps)} vjps but {len(jvps)} jvps; give one of each per argument"
        )
    keywords = _keywords(function, [f for f in (*vjps, *jvps) if f is not None])
    edges = [
        None if vjp is None or jvp is None else _rule_edge(vjp, jvp, bool(keywords), common)
        for vjp, jvp in zip(vjps, jvps, strict=True)
    ]
    primitive = Primitive(function, "rule", edges, evaluate)
    primitive.broadcasts = broadcasts
    primitive.reason = because
    primitive.statics = keywords
    if common is not None:
        # Elementwise maps are their own transposes, so on the tape the same functions push tangents.
        primitive.common = _rule_edge(common, common, bool(keywords))
        primitive.factored = tuple(vjp and _rule_edge(vjp, vjp, bool(keywords)) for vjp in vjps)
    return _register(primitive)


def variadic_rule(
    function: Function,
    *,
    residuals: Function,
    pull: Function,
    push: Function,
    joint_push: Function,
    because: str,
) -> Primitive:
    """Declare both maps of a function of any number of arrays.

    `residuals(out, values, static)` returns what each argument's map needs, in one pass over the arguments;
    `pull(c, residual)` and `push(t, residual)` are the maps; `joint_push(out, values, tangents, static)` is the
    whole jvp at once, since a sum over k arguments would cost k times too much.
    """
    primitive = Primitive(function, "rule", [])
    primitive.arguments = None
    primitive.residuals = residuals
    primitive.joint_push = joint_push
    primitive.edges = (Edge((), pull, push),)
    primitive.reason = because
    return _register(primitive)


def composite(function: Function) -> Callable[[Function], Function]:
    """Declare `function` by rewriting it in terms of other functions: a decorator for the rewritten form.

    The rewritten form has the signature of the function and is called with the arguments as the user wrote them.
    """

    def decorate(rewrite: Function) -> Function:
        _register(Composite(function, rewrite))
        return rewrite

    return decorate


def constant(*functions: Function) -> None:
    """Declare functions whose derivative is zero wherever it exists: their result carries no derivative."""
    for function in functions:
        _register(Primitive(function, "constant", []))


def infix(primitive: Primitive, evaluate: Function) -> Primitive:
    """The twin of `primitive` that Python's operator stands for: same edges, evaluated by the operator itself."""
    twin = Primitive(primitive.function, primitive.form, primitive.edges, evaluate)
    twin.evaluate = evaluate
    for name in ("broadcasts", "common", "factored", "joint_push", "reason", "statics", "name", "arguments"):
        setattr(twin, name, getattr(primitive, name))
    return twin


def alias(function: Function, of: Function) -> None:
    """Let `function` share the entry of another function with the same meaning and signature."""
    if function in REGISTRY:
        if REGISTRY[function] is REGISTRY[of]:
            return
        raise RegistrationError(f"{function.__name__} is declared already")
    REGISTRY[function] = REGISTRY[of]


# --- how a form becomes edges -----------------------------------------------------------------------------------------

_POSITIONS = {"out": OUT, "x": 0, "y": 1, "z": 2}


_Entry = TypeVar("_Entry", bound="Primitive | Composite")


def _register(entry: _Entry) -> _Entry:
    if entry.function in REGISTRY:
        raise RegistrationError(f"{entry.name} is declared already, as {REGISTRY[entry.function]!r}")
    REGISTRY[entry.function] = entry
    if isinstance(entry, Primitive) and entry.elementwise and entry.arguments == 1:
        UNARY[entry.function] = entry
    return entry


def _parameters(function: Function) -> tuple[str, ...]:
    if isinstance(function, np.ufunc):
        return tuple(f"x{k + 1}" for k in range(function.nin))
    try:
        return tuple(inspect.signature(function).parameters)
    except ValueError:  # a function written in C that does not say
        return ()


def _keywords(function: Function, written: Sequence[Function]) -> frozenset[str]:
    """The keywords that the rules take: every rule of a function must take the same ones."""
    kinds = [{p.name for p in inspect.signature(f).parameters.values() if p.kind is p.KEYWORD_ONLY} for f in written]
    for found in kinds:
        if found != kinds[0]:
            raise RegistrationError(f"{function.__name__}: its rules take different keywords, {kinds[0]} and {found}")
    return frozenset(kinds[0]) if kinds else frozenset()


def _named(function: Function, first: str) -> list[int]:
    """The positions of the values that a rule names, after `first` (its cotangent or tangent) if that is given."""
    names = [
        p.name
        for p in inspect.signature(function).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if first:
        names = names[1:]
    unknown = [name for name in names if name not in _POSITIONS]
    if unknown:
        raise RegistrationError(f"a rule may name {', '.join(_POSITIONS)}, not {', '.join(unknown)}")
    return [_POSITIONS[name] for name in names]


def _with_fitted(linear: Edge) -> Edge:
    linear.fitted = _fitted(linear)
    return linear


def _partial_edge(function: Function, partial: Any) -> Edge | None:
    if partial is None:
        return None
    if not callable(partial):
        if partial == 1:
            return _with_fitted(Edge(None, lambda c, kept: c, lambda t, kept: t))
        if partial == -1:
            return _with_fitted(Edge(None, lambda c, kept: -c, lambda t, kept: -t))
        number = float(partial)
        return _with_fitted(Edge(None, lambda c, kept: c * number, lambda t, kept: t * number))
    positions = [0] if isinstance(partial, np.ufunc) else _named(partial, "")
    if not positions:
        raise RegistrationError(f"{function.__name__}: a constant partial is written as a number")
    if len(positions) > 1:

        def times(c: Any, kept: Any) -> Any:
            return c * partial(*kept)

        return _with_fitted(Edge(tuple(positions), times, times))
    probe = object()
    try:
        is_identity = partial(probe) is probe
    except Exception:  # the partial computes something, which the probe cannot
        is_identity = False
    if is_identity:
        return _with_fitted(Edge(positions[0], operator.mul, operator.mul))

    def times_partial(c: Any, kept: Any) -> Any:
        return c * partial(kept)

    return _with_fitted(Edge(positions[0], times_partial, times_partial))


def _multilinear_edge(function: Function, k: int, transpose: Function) -> Edge:
    def pull(c: Any, kept: Any) -> Any:
        if c.__class__ in _PYTHON_NUMBERS:
            c = np.asarray(c)[()]
        *arguments, static = kept
        return transpose(c, *arguments, **static) if static else transpose(c, *arguments)

    def push(t: Any, kept: Any) -> Any:
        if t.__class__ in _PYTHON_NUMBERS:
            t = np.asarray(t)[()]
        return function(*kept[:k], t, *kept[k + 1 : -1], **kept[-1])

    return _with_fitted(Edge(EVERYTHING, pull, push))


def _rule_edge(vjp: Function, jvp: Function, keywords: bool, common: Function | None = None) -> Edge:
    """The edge of a written rule.  It keeps the values that either map names, and the keywords if there are any."""
    for_vjp, for_jvp = _named(vjp, "c"), _named(jvp, "t")
    for_common = _named(common, "c") if common else []
    keep: Any = tuple(dict.fromkeys(for_vjp + for_jvp + for_common))

    def reading(rule: Function, positions: list[int]) -> Function:
        places = [keep.index(p) for p in positions]
        if keywords:
            # A float among the cotangents stands for a NumPy scalar, whose attributes such rules may need.
            return lambda v, kept: rule(
                np.asarray(v)[()] if v.__class__ in _PYTHON_NUMBERS else v, *[kept[p] for p in places], **kept[-1]
            )
        if len(keep) <= 1:
            return (lambda v, kept: rule(v, kept)) if places else (lambda v, kept: rule(v))
        return lambda v, kept: rule(v, *[kept[p] for p in places])

    pull, push = reading(vjp, for_vjp), reading(jvp, for_jvp)
    if common is not None:
        factor, rest = reading(common, for_common), pull
        pull = lambda c, kept: rest(factor(c, kept), kept)  # noqa: E731 - one of several forms of the same function
    if not keywords and len(keep) <= 1:
        keep = keep[0] if keep else None
    return _with_fitted(Edge(keep, pull, push))
