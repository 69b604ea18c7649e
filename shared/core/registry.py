"""The registry: every function with a rule, and the five forms in which one is declared.

Every form is a way to write the edges of a primitive (`shared.core.primitive`) by the least that determines them:

    elementwise   the local partial derivative per argument         add, multiply, sin, hypot
    multilinear   the transpose per argument                        sum, reshape, matmul, getitem
    rule          both maps, written out                            divide, where, sort, max, prod
    composite     the same function in terms of other primitives    var, std, stack, pad
    constant      nothing: the derivative is zero                   floor, round, comparisons, argmax

Beside it every form takes the facets of the primitive as keywords (`shared.core.facets`): what it costs, whose memory
the result lies in, what becomes of one more axis, which elements depend on which, in what it is linear.  This module
knows no calculus (the tables are in `shared.rules`) and no engine.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from shared.core.edges import EVERYTHING, OUT, PYTHON_NUMBERS, Edge, fitted
from shared.core.errors import RegistrationError, unsupported_keyword
from shared.core.levels import current_recording
from shared.core.parameters import parameters_of
from shared.core.primitive import Function, Primitive
from shared.core.visible import one_line

if TYPE_CHECKING:
    from typing import Unpack

    from shared.core.facets import Facets


class Composite:
    """A function given in terms of others: nothing to differentiate of its own."""

    __slots__ = ("form", "function", "later", "name", "refused", "rewrite")
    elementwise = is_binary = is_question = False

    def __init__(self, function: Function, rewrite: Function, later: str = ""):
        self.function = function
        #: what it is called where people read it
        self.name: str = one_line(getattr(function, "__name__", repr(function)))
        self.form = "composite"
        #: the module that declares the rewritten form, if that is loaded when the function is first called
        self.later = later
        self.written(rewrite)

    def written(self, rewrite: Function) -> None:
        """Take the rewritten form, of which the parameters are read that it refuses."""
        self.rewrite = rewrite
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


#: Every function with a rule, keyed by the function that users call (NumPy's own, or a library's).
REGISTRY: dict[Any, Primitive | Composite] = {}

#: The elementwise ufuncs of one argument among them, for the engines' fast paths.
UNARY: dict[Any, Primitive] = {}

#: NumPy itself takes at most this many operands (NPY_MAXARGS)
_MOST_OPERANDS = 64

# --- the five forms ---------------------------------------------------------------------------------------------------


def elementwise(
    function: Function, *partials: Any, evaluate: Function | None = None, **facets: Unpack[Facets]
) -> Primitive:
    """Declare a function that acts element by element, by its local partial derivative per argument.

    A partial is a number (a constant derivative, which costs no multiplication when it is 1 or -1), a ufunc of the
    first argument, or a function whose parameters are named among `out, x, y, z, w`: the output and the first to
    fourth argument.  Only the values it names are kept for the reverse sweep.  Broadcasting and promotion are undone.

    >>> softclip = elementwise(lambda x: x / np.sqrt(1 + x * x), lambda x: (1 + x * x) ** -1.5)
    >>> softclip(np.array([0.0, 1.0]))
    array([0.        , 0.70710678])
    """
    edges = [_partial_edge(function, p) for p in partials]
    return _register(Primitive(function, "elementwise", edges, evaluate, broadcasts=True, **facets))


def multilinear(
    function: Function,
    *transposes: Function | None,
    accumulate: Function | None = None,
    push: Function | None = None,
    is_index: bool = False,
    evaluate: Function | None = None,
    **facets: Unpack[Facets],
) -> Primitive:
    """Declare a function that is linear in each argument that has a transpose (None: that argument is not linear).

    The jvp is the function itself with the tangent in the argument's place.  A transpose takes
    `(cotangent, *arguments, **keywords)`; the argument that it belongs to is given by a `Like` (shape and dtype
    only, since by linearity its value cannot matter), so nothing of it is kept.  `accumulate`, for the first
    argument, takes `(accumulator, cotangent, *arguments, **keywords)` and adds into the accumulator.  `push`, for the
    first argument too, is a jvp other than the function itself, as an edge takes it: of a tangent and what is kept.
    With `is_index=True` any number of arguments follow, the parts of an index.
    """
    edges: list[Edge | None] = []
    for k, transpose in enumerate(transposes):
        edges.append(None if transpose is None else _multilinear_edge(evaluate or function, k, transpose, push))
    if accumulate is not None:
        assert edges[0] is not None
        edges[0].pull, edges[0].accumulate = (
            None,
            lambda acc, c, kept: accumulate(acc, c, *kept[:-1], **kept[-1]),
        )
    statics = _keywords(function, [t for t in transposes if t])
    return _register(
        Primitive(
            function, "multilinear", edges, evaluate, statics=statics, is_index=is_index, variadic=is_index, **facets
        )
    )


def multilinear_in_all(function: Function, transpose: Function, **facets: Unpack[Facets]) -> Primitive:
    """Declare a function of any number of arrays, linear in each, by `transpose(k, c, arguments, **keywords)`."""

    def edge(k: int) -> Edge:
        def of_argument_k(c: Any, *arguments: Any, **static: Any) -> Any:
            return transpose(k, c, arguments, **static)

        return _multilinear_edge(function, k, of_argument_k)

    edges = [edge(k) for k in range(_MOST_OPERANDS)]
    return _register(Primitive(function, "multilinear", edges, variadic=True, **facets))


def rule(
    function: Function,
    *,
    vjps: Sequence[Function | None] = (),
    jvps: Sequence[Function | None] = (),
    common: Function | None = None,
    broadcasts: bool = False,
    evaluate: Function | None = None,
    because: str,
    **facets: Unpack[Facets],
) -> Primitive:
    """Declare both linear maps of a function, written out; `because` says in a line why no simpler form fits.

    `vjps[k]` takes `(c, ...)` and `jvps[k]` takes `(t, ...)`, then any of `out, x, y, z, w` by name, then the
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
    shared_edge: Edge | None = None
    factored: tuple[Edge | None, ...] = ()
    if common is not None:
        # Elementwise maps are their own transposes, so on the tape the same functions push tangents.
        shared_edge = _rule_edge(common, common, bool(keywords))
        factored = tuple(vjp and _rule_edge(vjp, vjp, bool(keywords)) for vjp in vjps)
    return _register(
        Primitive(
            function, "rule", edges, evaluate, statics=keywords, broadcasts=broadcasts, common=shared_edge,
            factored=factored, reason=because, **facets,
        )
    )  # fmt: skip


def variadic_rule(
    function: Function,
    *,
    residuals: Function,
    pull: Function,
    push: Function,
    because: str,
    **facets: Unpack[Facets],
) -> Primitive:
    """Declare both maps of a function of any number of arrays.

    `residuals(out, values, static)` returns what each argument's map needs, in one pass over the arguments;
    `pull(c, residual)` and `push(t, residual)` are the maps.  It needs the facet `joint_push`, the whole jvp at once,
    since a sum over k arguments would cost k times too much.
    """
    if "joint_push" not in facets:
        raise RegistrationError(f"{function.__name__}: give the whole jvp too, joint_push=...")
    edges = [Edge((), pull, push)]
    return _register(Primitive(function, "rule", edges, variadic=True, residuals=residuals, reason=because, **facets))


def composite(function: Function) -> Callable[[Function], Function]:
    """Declare `function` by rewriting it in terms of other functions: a decorator for the rewritten form.

    The rewritten form has the signature of the function and is called with the arguments as the user wrote them.
    """

    def decorate(rewrite: Function) -> Function:
        found = REGISTRY.get(function)
        if isinstance(found, Composite) and found.later and found.later == rewrite.__module__:
            found.written(rewrite)
        else:
            _register(Composite(function, rewrite))
        return rewrite

    return decorate


def composite_later(module: str, *functions: Function) -> None:
    """Declare functions whose rewritten forms are in a module that is loaded when one of them is first called."""

    def loading(function: Function) -> Function:
        def load_and_call(*args: Any, **kwargs: Any) -> Any:
            import_module(module)
            return REGISTRY[function].call(args, kwargs)

        return load_and_call

    for function in functions:
        _register(Composite(function, loading(function), module))


def with_keywords(function: Function) -> Callable[[Function], Function]:
    """Declare what a primitive does where `dtype=`, `where=` or `initial=` is given: a decorator for that call.

    The rewritten form has the signature of the function, as that of a composite; without them the rules are used.
    """

    def decorate(rewrite: Function) -> Function:
        entry = REGISTRY[function]
        assert isinstance(entry, Primitive)
        entry.rewritten = rewrite
        return rewrite

    return decorate


def constant(*functions: Function, **facets: Unpack[Facets]) -> None:
    """Declare functions whose derivative is zero wherever it exists: their result carries no derivative."""
    for function in functions:
        _register(Primitive(function, "constant", [], **facets))


def internal_constant(
    function: Function, evaluate: Function | None = None, *, broadcasts: bool = False, **facets: Unpack[Facets]
) -> Primitive:
    """A primitive with derivative zero that other rules call, and that no function of a user's is looked up by."""
    return Primitive(function, "constant", [], evaluate, broadcasts=broadcasts, **facets)


def infix(
    primitive: Primitive, evaluate: Function, *partials: Any, dispatches: bool = True, **facets: Unpack[Facets]
) -> Primitive:
    """The twin of `primitive` that Python's operator or a method stands for: the same in all but how it is evaluated.

    An operator `dispatches` by itself on arguments that are tracers of lower levels.  It may have `partials` of its
    own, and `facets`, where it means something else of Python's numbers.
    """
    declared = {**{name: getattr(primitive, name) for name in Primitive.DECLARED}, **facets}
    edges = [_partial_edge(primitive.function, p) for p in partials] or primitive.edges
    return Primitive(
        primitive.function, primitive.form, edges, evaluate, dispatches=dispatches,
        variadic=primitive.arguments is None, **declared,
    )  # fmt: skip


def alias(function: Function, of: Function) -> None:
    """Let `function` share the entry of another function with the same meaning and signature."""
    if function in REGISTRY:
        if REGISTRY[function] is REGISTRY[of]:
            return
        raise RegistrationError(f"{function.__name__} is declared already")
    REGISTRY[function] = REGISTRY[of]


# --- how a form becomes edges -----------------------------------------------------------------------------------------

_POSITIONS = {"out": OUT, "x": 0, "y": 1, "z": 2, "w": 3}


_Entry = TypeVar("_Entry", bound="Primitive | Composite")


def _register(entry: _Entry) -> _Entry:
    if entry.function in REGISTRY:
        raise RegistrationError(f"{entry.name} is declared already, as {REGISTRY[entry.function]!r}")
    REGISTRY[entry.function] = entry
    if isinstance(entry, Primitive) and entry.elementwise and entry.arguments == 1:
        UNARY[entry.function] = entry
    return entry


def _keywords(function: Function, written: Sequence[Function]) -> frozenset[str]:
    """The keywords that the rules take: every rule of a function must take the same ones."""
    kinds = [set(parameters_of(f)[1]) for f in written]
    for found in kinds:
        if found != kinds[0]:
            raise RegistrationError(f"{function.__name__}: its rules take different keywords, {kinds[0]} and {found}")
    return frozenset(kinds[0]) if kinds else frozenset()


def _named(function: Function, first: str) -> list[int]:
    """The positions of the values that a rule names, after `first` (its cotangent or tangent) if that is given."""
    names = parameters_of(function)[0][1 if first else 0 :]
    unknown = [name for name in names if name not in _POSITIONS]
    if unknown:
        raise RegistrationError(f"a rule may name {', '.join(_POSITIONS)}, not {', '.join(unknown)}")
    return [_POSITIONS[name] for name in names]


def _with_fitted(linear: Edge) -> Edge:
    linear.fitted = fitted(linear)
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


def _multilinear_edge(function: Function, k: int, transpose: Function, written: Function | None = None) -> Edge:
    def pull(c: Any, kept: Any) -> Any:
        if c.__class__ in PYTHON_NUMBERS:
            c = np.asarray(c)[()]
        *arguments, static = kept
        return transpose(c, *arguments, **static) if static else transpose(c, *arguments)

    def push(t: Any, kept: Any) -> Any:
        if t.__class__ in PYTHON_NUMBERS:
            t = np.asarray(t)[()]
        return function(*kept[:k], t, *kept[k + 1 : -1], **kept[-1])

    return Edge(EVERYTHING, pull, push if written is None or k else written)


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
                np.asarray(v)[()] if v.__class__ in PYTHON_NUMBERS else v, *[kept[p] for p in places], **kept[-1]
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
