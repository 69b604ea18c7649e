"""What is declared of a primitive beside its derivative: its facets, and the words to declare them in.

    facet        what it says                                    words
    count        the operations of one evaluation                Count, each, each_read, FREE
    memory       whose memory the result lies in                 "fresh", "view", "may share"
    batch        what becomes of one more leading axis           align, of_array, each_matrix, later
    dependence   which inputs each element of the result has     "elementwise", "move", "reduction", ...
    linear       the arguments in which it is linear             (0,), Jointly(0, 1)

A row of a table names those in which its primitive differs from the default of its form (see `Facets`).  What makes use
of a facet is elsewhere: `shared.counting`, `shared.programs`, `shared.batching`, `shared.sparse`, `shared.linear`.
This module knows no primitive.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shared.core.errors import RegistrationError
from shared.core.visible import shown

#: "fresh": the result never shares memory with an operand.  "view": it lies in the memory of the first operand wherever
#: NumPy can let it (see `shared.rules.aliasing`), elsewhere it is fresh.  "may share": either, or nobody has said.
MEMORY = ("fresh", "view", "may share")

#: How the elements of a result depend on those of the arguments.  What a word means is in `shared.sparse.dependence`.
STRUCTURES = (
    # each element on those in its place; the others besides know more of zeros, or of a constant that chooses
    "elementwise", "zero at zero", "sum of two", "product", "quotient", "power", "choice", "imaginary part",
    # elements moved, read at an index, and joined
    "move", "index", "join",
    # along the axes of the keyword `axis`
    "sum", "reduction", "line", "scan", "transform",
    # along the first axis
    "scan of rows",
    # products and matrices
    "matrix product", "sparse product", "einsum", "convolution", "matrix", "solution", "sparse solution",
    # all on all
    "everything",
)  # fmt: skip


if TYPE_CHECKING:  # which need it alone; to make it takes a quarter of the time that this module takes to load
    from typing import Literal, TypedDict

    Memory = Literal["fresh", "view", "may share"]

    class Facets(TypedDict, total=False):
        """What every form takes beside the derivative, by keyword; what is not given is the default of the form."""

        #: A `Count` for each element of the result, or a rule `(out, operands, static)` that returns the whole count.
        #: Default: of an elementwise function one elementary function an element, of another that broadcasts one move
        #: an element, otherwise a move of each element that it reads or writes, whichever are more.
        count: Count | CountRule
        #: Default: "fresh" of a ufunc, and of what is written in this package; otherwise "may share".
        memory: Memory
        #: A rule `(primitive, size, batched, values, static)`: `batched[k]` says whether `values[k]` has a leading axis
        #: of `size` examples; returns the results along a leading axis, or NotImplemented where it does not cover them.
        #: Default: `align` of what broadcasts and of ufuncs, otherwise none: example by example.
        batch: BatchRule
        #: A word, or a rule of `shared.sparse.dependence`.  Default: of the elementwise form "elementwise", otherwise
        #: "everything": a rule that broadcasts may mix elements all the same.
        dependence: str | Callable[[Any], Any]
        #: The positions of the arguments in each of which alone it is linear, the others being constant, or a
        #: `Jointly(...)`.  Default: of a multilinear function those that have a transpose, otherwise none.
        linear: tuple[int, ...]
        #: The whole jvp at once, `(out, values, tangents, static)`, where `tangents[k]` is None for an argument that
        #: does not vary.  Default: the sum of what the arguments push.
        joint_push: Callable[..., Any]
        #: What a call with the first argument alone means, where that is another function.
        alone: Callable[[Any], Any]
        #: Whether it asks for dtypes or memory, which no value decides: no level traces the answer.
        is_question: bool


def require_word(name: str, facet: str, given: Any, words: tuple[str, ...]) -> None:
    """Refuse what is no word of a facet, which would be taken for one that says nothing."""
    if given not in words:
        raise RegistrationError(f"{name}: {facet} is one of {', '.join(words)}; not {shown(given)}")


# --- linear -----------------------------------------------------------------------------------------------------------


class Jointly(tuple[int, ...]):
    """Positions of arguments in which a function is linear jointly, as a sum is, and not in each; none means all.

    >>> 0 in Jointly(1, 2), 0 in Jointly()
    (False, True)
    """

    __slots__ = ()

    def __new__(cls, *positions: int) -> Jointly:
        return super().__new__(cls, positions)

    def __contains__(self, position: object) -> bool:
        return not self or super().__contains__(position)


# --- count ------------------------------------------------------------------------------------------------------------

#: What an elementary function (sin, exp, power, ...) costs, in arithmetic operations.
ELEMENTARY = 10

#: The kinds of operations, in the order of tables.
KINDS = ("add", "multiply", "divide", "compare", "elementary", "move")


class Count:
    """Scalar operations by kind: what an evaluation takes, read off the types of the operands and of the result.

    `add`: additions, subtractions and changes of sign.  `multiply`, `divide`: what they say.  `compare`: comparisons,
    roundings to integers, bit operations.  `elementary`: elementary functions.  `move`: elements read or
    written, or chosen between, without computing.  `operations` is the sum by the measure's weights.

    The measure is the usual one (Griewank & Walther 2008, section 2.5 and chapter 4): an addition, a multiplication, a
    division, a comparison, and reading or writing an element count 1, an elementary function counts `ELEMENTARY`.  Sums
    start from zero, products from one and extrema from an infinity, as plain loops do.  Reshaping, transposing,
    broadcasting and allocating are free, and so is what is done with truth values once they are known (`and`, `or`,
    `not`, taking them for 0 and 1): that is control.  An operation on complex numbers counts as one on real ones,
    except in the transforms of `np.fft`, whose published counts are of real operations.

    >>> count = 3 * Count(multiply=1, add=1) + Count(elementary=1)
    >>> count, count.operations
    (Count(add=3, multiply=3, elementary=1), 16)
    """

    __slots__ = KINDS
    add: int
    multiply: int
    divide: int
    compare: int
    elementary: int
    move: int

    # Written out, because `dataclasses` takes longer to import and to make it than all the rest of this module.

    def __init__(
        self, add: int = 0, multiply: int = 0, divide: int = 0, compare: int = 0, elementary: int = 0, move: int = 0
    ):
        put = object.__setattr__
        put(self, "add", add)
        put(self, "multiply", multiply)
        put(self, "divide", divide)
        put(self, "compare", compare)
        put(self, "elementary", elementary)
        put(self, "move", move)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"a Count does not change, so its {name!r} cannot be set: make another one")

    def _key(self) -> tuple[int, ...]:
        return self.add, self.multiply, self.divide, self.compare, self.elementary, self.move

    @property
    def operations(self) -> int:
        """The sum on the measure: an elementary function counts 10, anything else 1."""
        return self.add + self.multiply + self.divide + self.compare + self.move + ELEMENTARY * self.elementary

    def __add__(self, other: Count) -> Count:
        return Count(
            self.add + other.add,
            self.multiply + other.multiply,
            self.divide + other.divide,
            self.compare + other.compare,
            self.elementary + other.elementary,
            self.move + other.move,
        )

    def __rmul__(self, times: int) -> Count:
        return Count(
            times * self.add,
            times * self.multiply,
            times * self.divide,
            times * self.compare,
            times * self.elementary,
            times * self.move,
        )

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, Count) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __reduce__(self) -> Any:
        return (Count, self._key())

    def __repr__(self) -> str:
        parts = [f"{kind}={getattr(self, kind)}" for kind in KINDS if getattr(self, kind)]
        return f"Count({', '.join(parts)})"


#: `rule(out, operands, static)`: `out` and the operands have a shape and a dtype, or are literals (slices, numbers).
CountRule = Callable[[Any, Sequence[Any], dict[str, Any]], Count]

NOTHING = Count()
ADDITION, MULTIPLICATION, DIVISION = Count(add=1), Count(multiply=1), Count(divide=1)
COMPARISON, FUNCTION, MOVE = Count(compare=1), Count(elementary=1), Count(move=1)


def size_of(value: Any) -> int:
    """How many elements a type, an array or a number has."""
    return math.prod(getattr(value, "shape", ()))


def each(count: Count) -> CountRule:
    """A count for each element of the result.

    >>> each(Count(add=1))(np.zeros((2, 3)), (), {})
    Count(add=6)
    """

    def of_result(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
        size = math.prod(out.shape)
        return count if size == 1 else size * count

    return of_result


def each_read(count: Count, each_written: Count = NOTHING) -> CountRule:
    """A count for each element of the first operand, and one for each of the result."""

    def of_operand(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
        found = size_of(operands[0]) * count
        return found if each_written is NOTHING else found + size_of(out) * each_written

    return of_operand


def FREE(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    """The count of what computes and moves nothing."""
    return NOTHING


def _of_largest(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    return Count(move=max(map(size_of, (out, *operands))))


def is_truth(value: Any) -> bool:
    """Whether a type, an array or a number is one of truth values."""
    dtype = getattr(value, "dtype", None)
    return value.__class__ is bool or getattr(value, "kind", None) is bool or (dtype is not None and dtype.kind == "b")


_ONE_FUNCTION, _ONE_MOVE = each(FUNCTION), each(MOVE)


def default_count(primitive: Any) -> CountRule:
    """The count of a primitive that says nothing of it (see `Facets`)."""
    if primitive.elementwise:
        return _ONE_FUNCTION
    if primitive.broadcasts:
        return _ONE_MOVE
    return FREE if primitive.is_question else _of_largest


# --- memory -----------------------------------------------------------------------------------------------------------


def default_memory(primitive: Any) -> Memory:
    """What NumPy's ufuncs and this package compute is fresh; of what others do, nobody has said.

    Other functions of NumPy are among the others: some return views, which a default cannot know.
    """
    raw = primitive.raw
    fresh = isinstance(raw, np.ufunc) or (getattr(raw, "__module__", None) or "").startswith("shared.")
    return "fresh" if fresh else "may share"


# --- batch ------------------------------------------------------------------------------------------------------------

#: `rule(primitive, size, batched, values, static)`
BatchRule = Callable[[Any, int, Sequence[bool], Sequence[Any], dict[str, Any]], Any]


class Alike:
    """A result that all examples share and that has no axis of them."""

    __slots__ = ("value",)

    def __init__(self, value: Any):
        self.value = value


def aligned(size: int, batched: Sequence[bool], values: Sequence[Any]) -> list[Any]:
    """The arguments of an elementwise function, with axes inserted so that the examples meet along the first one."""
    rank = max(np.ndim(value) - flag for value, flag in zip(values, batched, strict=True))
    return [
        np.reshape(value, (size,) + (1,) * (rank + 1 - np.ndim(value)) + np.shape(value)[1:])
        if flag and np.ndim(value) <= rank
        else value
        for value, flag in zip(values, batched, strict=True)
    ]


def align(primitive: Any, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]) -> Any:
    """The batch rule of what acts element by element: its arguments aligned, NumPy's broadcasting does the rest."""
    return primitive(*aligned(size, batched, values), **static)


def ask(primitive: Any, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]) -> Any:
    """The batch rule of questions: dtypes and memory, which the answer depends on, the examples have in common."""
    return Alike(primitive(*values, **static))


def default_batch(primitive: Any) -> BatchRule | None:
    """What broadcasts is aligned, and so is a ufunc, unless it has a signature of axes of its own."""
    if primitive.broadcasts:
        return align
    if primitive.is_question:
        return ask
    function = primitive.function
    return align if isinstance(function, np.ufunc) and function.signature is None else None


def of_array(rule: Callable[..., Any]) -> BatchRule:
    """The batch rule of a function of one array: `rule(primitive, x, *rest, **static)`, x with the examples first."""

    def of_all(
        primitive: Any, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]
    ) -> Any:
        if len(values) > 1 and any(batched[1:]):
            return NotImplemented
        return rule(primitive, *values, **static)

    return of_all


def later(axis: Any, ndim: int) -> Any:
    """An axis, or several, of each example as axes of all examples together; None stands for all of them.

    `ndim` counts the axis of the examples.

    >>> later(0, 3), later(-1, 3), later(None, 3)
    (1, -1, (1, 2))
    """
    if axis is None:
        return tuple(range(1, ndim))
    if isinstance(axis, (tuple, list)):
        return tuple(later(k, ndim) for k in axis)
    if not -ndim < axis < ndim - 1:
        raise np.exceptions.AxisError(axis, ndim - 1)
    return axis + 1 if axis >= 0 else axis


def flattened(x: Any) -> Any:
    """Each example as a vector."""
    shape = np.shape(x)
    return np.reshape(x, (shape[0], math.prod(shape[1:])))


def with_rank(x: Any, rank: int, batched: bool) -> Any:
    """An array with axes inserted before its own (and after that of the examples) up to a rank of each example."""
    missing = rank + batched - np.ndim(x)
    if not batched or missing <= 0:
        return x
    shape = np.shape(x)
    return np.reshape(x, (shape[0],) + (1,) * missing + shape[1:])


# --- of stacks of matrices, whose last two axes are theirs ------------------------------------------------------------


def of_matrices(count: Callable[..., Count]) -> CountRule:
    """The count of each matrix of the first operand, `count(rows, columns)`, times their number."""

    def of_stack(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
        *stack, rows, columns = operands[0].shape
        number: int = math.prod(stack)
        return number * count(rows, columns)

    return of_stack


def each_matrix(*ranks: int) -> BatchRule:
    """The batch rule of what acts on each matrix of a stack, whose arguments have these ranks without their stacks."""

    def of_all(
        primitive: Any, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]
    ) -> Any:
        own = [np.ndim(value) - flag for value, flag in zip(values, batched, strict=True)]
        missing = [have < need for have, need in zip(own, ranks, strict=True)]
        if any(missing):
            return NotImplemented  # fewer axes are an error, which the examples alone give
        stack = max(have - need for have, need in zip(own, ranks, strict=True))
        arguments = zip(values, batched, ranks, strict=True)
        return primitive(*[with_rank(value, stack + need, flag) for value, flag, need in arguments], **static)

    return of_all
