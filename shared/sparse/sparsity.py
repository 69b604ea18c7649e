"""Detects which entries of a Jacobian may be nonzero, by running the function once on values that carry index sets.

A traced value carries, besides what it stands for, the inputs that each of its elements depends on; every primitive
passes them on (`shared.sparse.dependence`).  The pattern is structural: it holds for every point at which the program
takes the same Python branches.  So values that the point decides but that have no derivative (comparisons, signs,
orders) are traced too, lest a zero that they have at one point be taken for a zero everywhere.  The level is made
before the function is called, hence an outer one: with an engine's gradient for the function, the pattern is that of a
Hessian.  This module knows no engine.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from shared.calling.arguments import Argnums, Selection
from shared.calling.results import require_numbers
from shared.calling.seeds import has_derivative
from shared.calling.tree import flatten, tree_map
from shared.core.assignment import SETITEM, NestedIndex, UpdatePrimitive, located
from shared.core.described import as_object, asked_for_product
from shared.core.duck_array import DuckArray, highest, operand
from shared.core.edges import Like
from shared.core.errors import TracerConversionError, closed, user_line
from shared.core.levels import Level, Tracer, bind
from shared.core.primitive import Primitive
from shared.core.registry import REGISTRY
from shared.core.views import standing_for
from shared.core.writing import writable, write
from shared.linear.custom import Evaluation
from shared.sparse.dependence import Application, Operand, decides_length, depend, everything, is_undecided, width_of
from shared.sparse.pattern import Pattern
from shared.sparse.relation import Relation, ascends, stacked, union, without_rows

#: Functions that ask for the shape, which the point does not decide; those that ask for types and memory say so.
_OF_SHAPE = frozenset((np.shape, np.ndim, np.size))

#: The names of functions and methods whose results have as many elements as the values decide.
_OF_ANY_LENGTH = frozenset(("nonzero", "flatnonzero", "argwhere", "extract", "compress", "unique", "bincount"))

#: How many shapes a detection keeps the numbers of: a loop reads from a few arrays, but may make any number of them.
_KEPT_NUMBERS = 16


class Detection(Level):
    """The level of one detection.

    `escaped` says that a value which the point decides has become a plain number or array, so that from then on no
    plain value is known to be constant in the program.  `vanishing` says that there has been an array as long as the
    point decides, such as what a mask chooses, so that from then on an array without an element may have some at other
    points; what such arrays depend on is `lost`, and added to every output.
    """

    __slots__ = ("_numbers", "escaped", "lost", "vanishing")

    def __init__(self) -> None:
        super().__init__("jacobian_pattern")
        self.escaped = False
        self.vanishing = False
        self.lost: Relation | None = None
        self._numbers: dict[tuple[int, ...], np.ndarray] = {}

    def numbers(self, shape: tuple[int, ...]) -> np.ndarray:
        """The flat indices of the elements of an array of `shape`."""
        found = self._numbers.get(shape)
        if found is None:
            if len(self._numbers) == _KEPT_NUMBERS:
                self._numbers.clear()
            found = self._numbers[shape] = np.arange(int(np.prod(shape, dtype=np.int64))).reshape(shape)
        return found

    def operand(self, value: Any) -> Operand:
        """An argument of a primitive, as the rules of dependence see it."""
        if isinstance(value, DependenceTracer) and value.level is self:
            primal = value.primal
            plain = primal if hasattr(primal, "dtype") else np.asarray(primal)
            return Operand(plain, False, value.relation, value.zero)
        if value.__class__ is slice:
            # It is the program's, as a branch is, unless one of its ends is a value that the point decides.
            return Operand(_plain(value, self), not _is_decided(value, self))
        return Operand(value, not (self.escaped or isinstance(value, Tracer)))

    def lose(self, relations: Iterable[Relation | None]) -> None:
        """Note that an array has no element, though at other points it may have some, which depend on all of these."""
        self.lost = union([self.lost, *[relation.whole() for relation in relations if relation is not None]])

    def call_custom(self, function: Any, leaves: list[Any], structure: Any, static: dict[str, Any]) -> Any:
        if self.closed:
            raise closed(highest(leaves))
        own = [isinstance(a, DependenceTracer) and a.level is self for a in leaves]
        values = [a.primal if mine else a for a, mine in zip(leaves, own, strict=True)]
        evaluation = Evaluation(function, values, structure, static, Level(function.name))
        outputs = evaluation.outputs
        relations = _of_custom_rule(self, evaluation, [
            a.relation if mine and has_derivative(a) else None for a, mine in zip(leaves, own, strict=True)
        ])  # fmt: skip
        if any(0 in Like(out).shape for out in outputs):
            self.lose([a.relation for a, mine in zip(leaves, own, strict=True) if mine])
        return evaluation.output(
            [
                DependenceTracer(self, out, relation) if has_derivative(out) else point_value(self, out)
                for out, relation in zip(outputs, relations, strict=True)
            ]
        )


class DependenceTracer(DuckArray):
    """A value with the inputs that its elements depend on (None: on none), and where it is always zero, if known."""

    __slots__ = ("relation", "zero")
    relation: Relation | None
    zero: np.ndarray | None

    def __init__(self, level: Detection, primal: Any, relation: Relation | None = None, zero: np.ndarray | None = None):
        self.level = level
        self.primal = primal
        self.relation = relation
        self.zero = zero

    def process(self, primitive: Primitive, args: tuple[Any, ...], static: dict[str, Any]) -> Any:
        level: Detection = self.level
        if level.closed:
            raise closed(self)
        values, varies = [], False
        for a in args:
            if isinstance(a, DependenceTracer) and a.level is level:
                values.append(a.primal)
                varies = varies or not isinstance(a, PointValue)
            else:
                values.append(_plain(a, level) if a.__class__ is slice else a if primitive.constant else operand(a))
        settled = _plain_keywords(static, level) if static else static
        out = bind(primitive, tuple(values), settled)
        if primitive.constant:
            level.vanishing = level.vanishing or primitive.name in _OF_ANY_LENGTH
            return out if primitive.is_question else point_value(level, out)
        like = Like(out)
        operands = [
            level.operand(a if isinstance(a, (Tracer, slice)) else value) for a, value in zip(args, values, strict=True)
        ]
        if primitive.is_index and not level.vanishing:
            level.vanishing = any(is_undecided(part) and decides_length(part.value) for part in operands[1:])
        if not varies and like.dtype is not None and like.dtype.kind not in "fc":
            return point_value(level, out)
        application = Application(primitive, operands, settled, like.shape, level.numbers)
        relation, zero = depend(application) if settled is static else everything(application)
        if 0 in like.shape and (level.vanishing or level.escaped):
            level.lose([x.relation for x in operands])
        if zero is not None and not zero.any():
            zero = None
        if not varies and zero is None:
            return point_value(level, out)
        return standing_for(DependenceTracer(level, out, relation, zero), primitive, args)

    # --- what needs a plain value ---

    def _escaped(self) -> Any:
        self.level.escaped = True
        return self.primal

    def __index__(self) -> int:  # type: ignore[override]
        return operator.index(self._escaped()) if self.relation is None else DuckArray.__index__(self)

    def __int__(self) -> int:  # type: ignore[override]
        return int(self._escaped()) if self.relation is None else DuckArray.__int__(self)

    def __float__(self) -> float:  # type: ignore[override]
        return float(self._escaped()) if self.relation is None else DuckArray.__float__(self)

    def __complex__(self) -> complex:  # type: ignore[override]
        return complex(self._escaped()) if self.relation is None else DuckArray.__complex__(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        if asked_for_product():
            return as_object(self)
        return np.array(self._escaped(), dtype) if self.relation is None else DuckArray.__array__(self)

    # --- assignment ---

    def lift(self, value: Any) -> DependenceTracer:
        dtype = Like(value).dtype
        if dtype is not None and dtype.kind not in "fc":
            return PointValue(self.level, value)
        return DependenceTracer(self.level, _plain(value, self.level), None, self.level.operand(value).zero)

    def twin(self) -> DependenceTracer:
        return DependenceTracer(self.level, self.primal, self.relation, self.zero)

    def become(self, other: Any) -> None:
        self.primal, self.relation, self.zero = other.primal, other.relation, other.zero

    def update(self, primitive: UpdatePrimitive, value: Any, index: Any) -> None:
        level: Detection = self.level
        if level.closed:
            raise closed(self)
        given, shape = level.operand(value), self.shape
        if isinstance(value, DependenceTracer) and value.level is level:
            value = value.primal
        reach, index = _reach(level, index, shape), _plain_index(index, level)
        self.primal = write(writable(self, "primal"), primitive, index, value)
        if reach is None:
            self._note(given, index, shape, replaced=primitive is SETITEM)
        elif given.relation is not None:
            everywhere = given.relation.whole().joined(np.zeros_like(reach), reach, level.numbers(shape).size)
            self.relation, self.zero = union([self.relation, everywhere]), None
        else:
            self.zero = None

    def _note(self, given: Operand, index: Any, shape: tuple[int, ...], replaced: bool) -> None:
        """After `given` was written at `index`: which element now depends on what."""
        numbers = self.level.numbers
        part, last = located(numbers(shape), index)
        rows = np.asarray(part[last])
        sources = numbers(given.shape)
        sources = sources.reshape(sources.shape[max(sources.ndim - rows.ndim, 0) :])
        sources, rows = np.broadcast_to(sources, rows.shape).reshape(-1), rows.reshape(-1)
        size = numbers(shape).size
        if replaced and not ascends(rows):
            # Of several values for one element, the last stays.
            rows, first = np.unique(rows[::-1], return_index=True)
            sources = sources[::-1][first]
        added = None if given.relation is None else given.relation.joined(sources, rows, size)
        zero = given.zero
        if not replaced:
            self.relation = union([self.relation, added])
            if self.zero is not None and (zero is None or not zero.all()):
                self.zero = self.zero.copy()
                self.zero.reshape(-1)[rows] = False
            return
        self.relation = without_rows(self.relation, rows, added)
        if self.zero is not None or zero is not None:
            self.zero = np.zeros(shape, bool) if self.zero is None else self.zero.copy()
            self.zero.reshape(-1)[rows] = False if zero is None else zero.reshape(-1)[sources]


def _of_custom_rule(level: Detection, evaluation: Any, varying: list[Relation | None]) -> list[Relation | None]:
    """What the outputs of a function with a derivative of its own depend on: what its rule makes of the tangents.

    What the function itself does says nothing, since its rule may say something else.
    """
    sizes = [Like(out).size for out in evaluation.outputs]
    tangents = [
        None if relation is None else DependenceTracer(level, np.ones_like(value)[()], relation)
        for relation, value in zip(varying, evaluation.values, strict=True)
    ]
    evaluation.values = [point_value(level, value) for value in evaluation.values]
    evaluation.outputs = [point_value(level, out) for out in evaluation.outputs]
    try:
        found = evaluation.push(tangents)
    except Exception:
        # A rule that only plain values go through, such as one of SciPy's functions, may mix them all.
        every = union([relation.whole() for relation in varying if relation is not None])
        return [every and every.taken(np.zeros(size, np.int64)) for size in sizes]
    return [t.relation if isinstance(t, DependenceTracer) and t.level is level else None for t in found]


def _plain_keywords(static: dict[str, Any], level: Detection) -> dict[str, Any]:
    """Keywords with plain values for those that the point decides; the same dict if there are none."""
    if not any(_is_decided(leaf, level) for value in static.values() for leaf in _leaves(value)):
        return static
    return {name: tree_map(lambda leaf: _plain(leaf, level), value) for name, value in static.items()}


def _leaves(value: Any) -> list[Any]:
    return flatten(value)[0] if value.__class__ in (list, tuple) else [value]


def _plain_index(index: Any, level: Detection) -> Any:
    """An index with plain arrays for those that the point decides."""
    if index.__class__ is NestedIndex:
        return NestedIndex(_plain_index(index.path, level), _plain_index(index.index, level))
    if index.__class__ is tuple:
        return tuple([_plain(part, level) for part in index])
    return _plain(index, level)


def _reach(level: Detection, index: Any, shape: tuple[int, ...]) -> np.ndarray | None:
    """The elements of an array that an index may name at other points; None if it always names the same."""
    if index.__class__ is NestedIndex:
        links = []
        while index.__class__ is NestedIndex:
            links.append(index.path)
            index = index.index
        undecided = any(is_undecided(part) for link in (*links, index) for part in _index_operands(level, link))
        return level.numbers(shape).reshape(-1) if undecided else None
    parts = _index_operands(level, index)
    if not any(is_undecided(part) for part in parts):
        return None
    reached: list[Any] = []
    for part in parts:
        reached += [slice(None)] * width_of(part.value) if is_undecided(part) else [part.value]
    return np.reshape(level.numbers(shape)[tuple(reached)], -1)


def _index_operands(level: Detection, index: Any) -> list[Operand]:
    parts = index if index.__class__ is tuple else (index,)
    return [
        level.operand(np.asarray(part, None if part else np.intp) if isinstance(part, (list, tuple)) else part)
        for part in parts
    ]


# --- values that the point decides ------------------------------------------------------------------------------------


class PointValue(DependenceTracer):
    """A value without a derivative that the point decides, such as a mask, an order of elements or a sign.

    It depends on no input, but its zeros are not the program's, nor does it, as an index, name the same elements at
    other points.  It behaves as a plain array does.  Asked for a truth value it gives it, since what Python does with
    that is a branch; asked for a plain number or array it gives that too, and its level notes the escape.
    """

    __slots__ = ()

    @property
    def shape(self) -> tuple[int, ...]:
        return getattr(self.primal, "shape", ())

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        # Arithmetic goes the usual way, which keeps what zeros the program's constants make.
        if (method == "__call__" and not kwargs and ufunc in REGISTRY) or _meets_others(inputs, self.level):
            return DuckArray.__array_ufunc__(self, ufunc, method, *inputs, **kwargs)
        return self._apply(getattr(ufunc, method), inputs, kwargs)

    def __array_function__(self, func: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if _meets_others([args, kwargs], self.level):
            return DuckArray.__array_function__(self, func, types, args, kwargs)
        return self._apply(func, args, kwargs)

    def _apply(self, function: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
        """What a function makes of the plain values, traced again."""
        if self.level.closed:
            raise closed(self)
        arrays = [leaf for leaf in flatten([list(args), dict(kwargs)])[0] if isinstance(leaf, np.ndarray)]
        args, kwargs = tree_map(lambda leaf: _plain(leaf, self.level), [list(args), dict(kwargs)])
        result = function(*args, **kwargs)
        if arrays and (result is None or any(result is array for array in arrays)):
            # It has written to a plain array, as np.add.at, np.copyto and all that take `out` do.
            self._escaped()
        if (
            function.__name__ in _OF_ANY_LENGTH
            or (function is np.where and len(args) == 1)
            or (_has_empty(result) and not _has_empty([args, kwargs]))
        ):
            self.level.vanishing = True
        of_no_value = function in _OF_SHAPE or (function in REGISTRY and REGISTRY[function].is_question)
        return result if of_no_value else point_value(self.level, result)

    @property
    def plain_memory(self) -> Any:
        return self.primal if isinstance(self.primal, np.ndarray) else None

    def can_hold(self, value: DuckArray) -> bool:
        # A sweep adds up cotangents of which only some depend on an input.
        return DuckArray.can_hold(self, value) and not _depends(value, self.level)

    def twin(self) -> DependenceTracer:
        primal = self.primal
        return PointValue(self.level, np.array(primal) if isinstance(primal, np.ndarray) else primal)

    def update(self, primitive: UpdatePrimitive, value: Any, index: Any) -> None:
        if _depends(value, self.level):
            raise TracerConversionError(
                f"a traced value was assigned into an array that has no derivative{user_line()}; make the array with "
                "np.zeros_like(x) or np.zeros_like(x, shape=n)"
            )
        # Its views are NumPy's own, so it is written in place.
        self.primal = write(self.primal, primitive, _plain_index(index, self.level), _plain(value, self.level))

    def __bool__(self) -> bool:
        return bool(self.primal)

    def __round__(self, digits: int | None = None) -> Any:
        return point_value(self.level, round(self.primal, digits))

    def __hash__(self) -> int:  # type: ignore[override]
        # A dictionary that is read by it gives a plain value.
        return hash(self._escaped())


def point_value(level: Detection, value: Any) -> Any:
    """A result without a derivative, traced wherever it is a number or an array, also inside a container."""
    if isinstance(value, (np.ndarray, np.generic, bool, int, float, complex, DuckArray)):
        return PointValue(level, value)
    return tree_map(lambda leaf: point_value(level, leaf), value) if isinstance(value, (list, tuple)) else value


def _has_empty(values: Any) -> bool:
    """Whether there is an array without an element among some values."""
    # A class of numbers has a shape, too, which is none.
    return any(0 in getattr(leaf, "shape", ()) for leaf in flatten(values)[0] if not isinstance(leaf, type))


def _is_decided(value: Any, level: Detection) -> bool:
    """Whether the point decides a value, or where a slice begins or ends."""
    if value.__class__ is slice:
        return any(_is_decided(part, level) for part in (value.start, value.stop, value.step))
    return isinstance(value, PointValue) and value.level is level


def _depends(value: Any, level: Detection) -> bool:
    return isinstance(value, DependenceTracer) and value.level is level and value.relation is not None


def _plain(value: Any, level: Detection) -> Any:
    """The plain value of what depends on no input."""
    if value.__class__ is slice:
        return slice(*[_plain(part, level) for part in (value.start, value.stop, value.step)])
    constant = isinstance(value, DependenceTracer) and value.level is level and value.relation is None
    return value.primal if constant else value


def _meets_others(values: Any, level: Detection) -> bool:
    """Whether there is a tracer among some values that is not one of the point's at this level."""
    return any(isinstance(leaf, Tracer) and not _is_decided(leaf, level) for leaf in flatten(list(values))[0])


def _give_plain_behaviour() -> None:
    """Give PointValue the operators and methods of a plain array that the duck array lacks or has other rules for."""
    for name in ("and", "or", "xor", "lshift", "rshift"):
        function = getattr(operator, f"__{name}__")
        setattr(PointValue, f"__{name}__", lambda x, y, function=function: x._apply(function, (x, y), {}))
        setattr(PointValue, f"__r{name}__", lambda x, y, function=function: x._apply(function, (y, x), {}))
    setattr(PointValue, "__invert__", lambda x: x._apply(operator.invert, (x,), {}))  # noqa: B010 - as the others
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "and", "or", "xor", "lshift", "rshift"):
        setattr(PointValue, f"__i{name}__", _in_place(getattr(operator, f"__i{name}__")))
    for name in dir(np.ndarray):
        if name.startswith("_") or name in ("shape", "dtype", "ndim", "size", "itemsize", "nbytes"):
            continue
        attribute = getattr(np.ndarray, name)
        setattr(PointValue, name, _method(name) if callable(attribute) else _attribute(name))


def _in_place(function: Callable[..., Any]) -> Callable[..., Any]:
    def update(x: PointValue, y: Any) -> PointValue:
        result = function(x.primal, _plain(y, x.level))
        if not x.is_array:
            return PointValue(x.level, result)
        x.primal = result
        return x

    return update


def _method(name: str) -> Callable[..., Any]:
    def method(x: PointValue, *args: Any, **kwargs: Any) -> Any:
        return x._apply(getattr(x.primal if hasattr(x.primal, "dtype") else np.asarray(x.primal), name), args, kwargs)

    method.__name__ = name
    return method


def _attribute(name: str) -> property:
    def read(x: PointValue) -> Any:
        found = getattr(x.primal if hasattr(x.primal, "dtype") else np.asarray(x.primal), name)
        if isinstance(found, (np.ndarray, np.generic)):
            return point_value(x.level, found)
        x._escaped()
        return found

    return property(read)


_give_plain_behaviour()

# --- detection --------------------------------------------------------------------------------------------------------


def jacobian_pattern(f: Callable[..., Any], *args: Any, argnums: Argnums = 0, **kwargs: Any) -> Pattern:
    """Which entries of the Jacobian of `f` at `args` may be nonzero.

    Rows are the elements of the output, columns those of the arguments that `argnums` names (as in `jacobian`), each
    with the leaves of containers one after the other and arrays in C order; a complex number is one element.  With an
    engine's gradient for `f` it is the pattern of a Hessian: `jacobian_pattern(reversead.grad(g), x)`.

    The pattern holds at every point at which `f` takes the same Python branches and uses the same Python integers, and
    gives its arrays the same shapes; there it contains every entry that can be nonzero, and possibly more, since no
    value of a traced number is looked at: `np.where(x > 0, y, z)`, `np.maximum(y, z)` depend on both choices, an
    element read at `np.argmax(x)` on all of them, `x - x` on x.  Constants that the function captures are part of it:
    their exact zeros, as factors, and their masks cut a dependence.  What an array is read or written by, if it depends
    on the point (`y[x > 0]`), mixes all elements along that axis, where `np.where` keeps them apart.  Whatever takes
    place outside of NumPy, such as a value computed from `float(stop_gradient(x))`, makes the rest of the pattern
    denser, never sparser.  A function with a derivative of its own (`custom_derivative`) depends as its rule does.

    Cost: one evaluation of `f`, some ten microseconds an operation, and work proportional to the entries that its
    values have; memory likewise.  Raises DensePatternError where a value has more than 100 million, LeafTypeError and
    ShapeError as `jacobian` does.  Source: the index domains of Griewank & Walther 2008, chapter 7; conservative
    detection over all points as in Hill & Dalle 2025, "Sparser, better, faster, stronger: sparsity detection for
    efficient automatic differentiation".

    >>> pattern = jacobian_pattern(lambda x: x[1:] - x[:-1] ** 2, np.ones(4))
    >>> pattern
    <pattern 3 x 4, 6 nonzeros>
    >>> pattern.to_dense().astype(int)
    array([[1, 1, 0, 0],
           [0, 1, 1, 0],
           [0, 0, 1, 1]])
    """
    selection = Selection("jacobian_pattern", f, args, kwargs, argnums)
    level = Detection()
    sizes = [Like(leaf).size for leaf in selection.leaves]
    columns = sum(sizes)
    try:
        inputs, start = [], 0
        for leaf, size in zip(selection.leaves, sizes, strict=True):
            own = np.arange(size)
            relation = Relation(own * columns + own + start, size, columns) if size else None
            inputs.append(DependenceTracer(level, leaf, relation))
            start += size
        leaves, _ = flatten(selection.call(inputs))
        require_numbers("jacobian_pattern", leaves)
        # Of a view the value is read too, which refuses one that is out of date.
        relations = [
            leaf.relation
            if isinstance(leaf, DependenceTracer) and leaf.level is level and leaf.primal is not None
            else None
            for leaf in leaves
        ]
        rows = [Like(leaf).size for leaf in leaves]
        found = stacked(relations, rows)
        if level.lost is not None:
            found = union([found, level.lost.taken(np.zeros(sum(rows), np.int64))])
    finally:
        level.closed = True
    keys = np.zeros(0, np.int64) if found is None else found.keys
    return Pattern.of_keys(keys, (sum(rows), columns))
