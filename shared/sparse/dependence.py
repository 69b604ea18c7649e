"""How every primitive passes dependence on: which inputs its output depends on, given those of its arguments.

The rules are structural: they hold whatever the values of traced arguments are.  Only what is constant in the program
cuts a dependence: a product with an exact zero of a constant, a choice by a constant mask.  Which structure a primitive
has, its row says in a word (`shared.core.facets.Structure`), whose meaning is here; a row that says nothing makes all
outputs depend on all inputs, so what is missing costs sparsity and never an entry.  This module knows nothing of
tracers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from shared.core.primitive import Primitive
from shared.rules import fourier
from shared.sparse.relation import Relation, grouped, spread, stacked, union

#: What a rule returns: the relation of the output (None: it depends on nothing), and where it is always zero (or None).
Dependence = tuple[Relation | None, np.ndarray | None]


class Operand:
    """An argument: its plain value, the relation of its elements, and where it is zero at every point, if known.

    `settled` says that the value is constant in the program, and not one that the point decides, so that the value
    itself may be looked at.
    """

    __slots__ = ("_zero", "relation", "settled", "shape", "value")

    def __init__(
        self,
        value: Any,
        settled: bool,
        relation: Relation | None = None,
        zero: np.ndarray | None = None,
    ):
        self.value = value
        self.settled = settled
        self.relation = relation
        self.shape: tuple[int, ...] = getattr(value, "shape", ())
        self._zero = zero

    @property
    def zero(self) -> np.ndarray | None:
        """Where the value is zero whatever the inputs; None if nowhere that is known."""
        if self._zero is None and self.settled:
            self._zero = known_zeros(self.value)
        return self._zero


def known_zeros(constant: Any) -> np.ndarray | None:
    """Where a constant is zero; None if nowhere."""
    zero = np.asarray(constant == 0)
    return zero if zero.any() else None


class Application:
    """One evaluation of a primitive, as its rule sees it; `numbers(shape)` are the flat indices of an array's elements.

    `numbers` is given so that reading element by element need not make them anew each time.
    """

    __slots__ = ("numbers", "operands", "primitive", "shape", "static")

    def __init__(
        self,
        primitive: Primitive,
        operands: Sequence[Operand],
        static: dict[str, Any],
        shape: tuple[int, ...],
        numbers: Callable[[tuple[int, ...]], np.ndarray],
    ):
        self.primitive = primitive
        self.operands = operands
        self.static = static
        self.shape = shape
        self.numbers = numbers

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))

    def varying(self) -> list[Operand]:
        """The arguments that depend on an input and with respect to which there is a derivative."""
        edges = self.primitive.edges
        return [
            operand
            for k, operand in enumerate(self.operands)
            if operand.relation is not None and (k >= len(edges) or edges[k] is not None)
        ]

    def broadcast(self, operand: Operand, cut: np.ndarray | None = None) -> Relation | None:
        """An operand's relation at each element of the output, none where `cut`, which may have to be broadcast too."""
        relation = operand.relation
        if relation is None:
            return None
        if cut is None:
            return self.repeated(relation, operand.shape)
        source = spread(self.numbers(operand.shape), self.shape)
        return relation.taken(np.where(spread(cut, self.shape), -1, source))

    def repeated(self, relation: Relation, shape: tuple[int, ...]) -> Relation:
        """A relation of the elements of an array of `shape`, which is broadcast to the output."""
        return relation if shape == self.shape else relation.taken(spread(self.numbers(shape), self.shape))

    def everywhere(self, mask: np.ndarray | None) -> np.ndarray | None:
        """A mask over the output's elements."""
        return mask if mask is None or mask.shape == self.shape else np.broadcast_to(mask, self.shape)


#: A rule: what one evaluation makes of the relations of its arguments.
Rule = Callable[[Application], Dependence]


def depend(application: Application) -> Dependence:
    """The relation of a primitive's output and where it is known to be zero."""
    structure = application.primitive.dependence
    rule: Rule = MEANINGS[structure] if isinstance(structure, str) else structure
    return rule(application)


def everything(a: Application) -> Dependence:
    """All outputs depend on all that any argument depends on."""
    one = union([operand.relation.whole() for operand in a.varying() if operand.relation is not None])
    return (one and one.taken(np.zeros(a.size, np.int64))), None


# --- elementwise ------------------------------------------------------------------------------------------------------


def _elementwise(a: Application) -> Dependence:
    return union([a.broadcast(operand) for operand in a.varying()]), None


def _same_zeros(a: Application) -> Dependence:
    x = a.operands[0]
    return a.broadcast(x), a.everywhere(x.zero)


def _sum_of_two(a: Application) -> Dependence:
    x, y = a.operands
    both = None if x.zero is None or y.zero is None else x.zero & y.zero
    return union([a.broadcast(x), a.broadcast(y)]), a.everywhere(both)


def _product(a: Application) -> Dependence:
    x, y = a.operands
    relation = union([a.broadcast(x, y.zero), a.broadcast(y, x.zero)])
    zero = x.zero if y.zero is None else y.zero if x.zero is None else x.zero | y.zero
    return relation, a.everywhere(zero)


def _quotient(a: Application) -> Dependence:
    x, y = a.operands
    return union([a.broadcast(x), a.broadcast(y, x.zero)]), a.everywhere(x.zero)


def _power(a: Application) -> Dependence:
    # x**0 is 1 whatever x
    x, y = a.operands
    return union([a.broadcast(x, y.zero), a.broadcast(y)]), None


def _choice(a: Application) -> Dependence:
    condition, x, y = a.operands
    if not condition.settled:
        both = None if x.zero is None or y.zero is None else x.zero & y.zero
        return union([a.broadcast(x), a.broadcast(y)]), a.everywhere(both)
    first = np.asarray(condition.value, bool)
    zero = None
    if x.zero is not None or y.zero is not None:
        zero = np.where(first, False if x.zero is None else x.zero, False if y.zero is None else y.zero)
    return union([a.broadcast(x, ~first), a.broadcast(y, first)]), a.everywhere(zero)


def _imaginary(a: Application) -> Dependence:
    x = a.operands[0]
    return (a.broadcast(x), None) if np.iscomplexobj(x.value) else (None, np.ones(a.shape, bool))


# --- moves ------------------------------------------------------------------------------------------------------------


def _move(a: Application) -> Dependence:
    # What the function does to the numbers of the elements says where each comes from; 0 is what padding adds.
    x = a.operands[0]
    return _moved(x, a.primitive.raw(a.numbers(x.shape) + 1, **a.static) - 1)


def _moved(x: Operand, source: Any) -> Dependence:
    source = np.asarray(source)
    added = source < 0
    zero = added if x.zero is None else added | x.zero.reshape(-1)[source]
    return x.relation and x.relation.taken(source.reshape(-1)), zero


def _getitem(a: Application) -> Dependence:
    x, *index = a.operands
    source = a.numbers(x.shape)[tuple([part.value for part in index])]
    axes = undecided_axes(index, len(x.shape))
    if not axes:
        return _moved(x, source)
    # At another point the index may name any other element along these axes.
    return x.relation and x.relation.along(x.shape, axes).taken(np.reshape(source, -1)), None


def undecided_axes(index: Sequence[Operand], ndim: int) -> list[int]:
    """The axes of an array along which an index chooses by values that the point decides."""
    widths = [width_of(part.value) for part in index]
    axes: list[int] = []
    start = 0
    for part, width in zip(index, widths, strict=True):
        if part.value is Ellipsis:
            width = ndim - sum(widths)
        if is_undecided(part):
            axes.extend(range(start, start + width))
        start += width
    return axes


def is_undecided(part: Operand) -> bool:
    """Whether the point decides a part of an index; an integer of Python's is the program's, as a branch."""
    return not part.settled and (hasattr(part.value, "dtype") or part.value.__class__ is slice)


def decides_length(part: Any) -> bool:
    """Whether the value of a part of an index decides how many elements it names, as that of a mask or a slice does."""
    return part.__class__ is slice or part.dtype.kind == "b"


def width_of(part: Any) -> int:
    """How many axes of an array a part of an index takes."""
    if part is None or part is Ellipsis or isinstance(part, bool):
        return 0
    dtype = getattr(part, "dtype", None)
    return int(part.ndim) if dtype is not None and dtype.kind == "b" else 1


def _concatenate(a: Application) -> Dependence:
    ends = np.cumsum([0, *(int(np.prod(x.shape, dtype=np.int64)) for x in a.operands)])
    starts = zip(a.operands, ends[:-1], strict=True)
    source = a.primitive.raw(*[a.numbers(x.shape) + start for x, start in starts], **a.static)
    relation = stacked([x.relation for x in a.operands], np.diff(ends).tolist())
    zero = None
    if any(x.zero is not None for x in a.operands):
        zero = a.primitive.raw(*[np.zeros(x.shape, bool) if x.zero is None else x.zero for x in a.operands], **a.static)
    return relation and relation.taken(source.reshape(-1)), zero


# --- reductions and scans ---------------------------------------------------------------------------------------------


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    if not ndim:
        return ()
    return tuple(range(ndim)) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, ndim)


def _reduction(a: Application) -> Dependence:
    x = a.operands[0]
    groups, count = grouped(x.shape, _axes(a.static.get("axis"), len(x.shape)))
    return x.relation and x.relation.sent(groups, count), None


def _sum(a: Application) -> Dependence:
    x = a.operands[0]
    zero = None
    if x.zero is not None:
        axes = _axes(a.static.get("axis"), len(x.shape))
        zero = np.all(x.zero, axis=axes).reshape(a.shape)
    return _reduction(a)[0], zero


def _scan(a: Application, axis: int | None) -> Dependence:
    x = a.operands[0]
    shape = x.shape if axis is not None and x.shape else (a.size,)
    place = 0 if axis is None or not x.shape else axis % len(shape)
    return x.relation and x.relation.up_to(shape, place), None


def _line(a: Application) -> Dependence:
    x = a.operands[0]
    return x.relation and x.relation.along(x.shape, _axes(a.static["axis"], len(x.shape))), None


def _transform(a: Application) -> Dependence:
    """Each output of a Fourier transform depends on the elements along its axis, up to as many as there are points."""
    x, rank = a.operands[0], len(a.shape)
    if x.relation is None:
        return None, None
    axis = a.static.get("axis", -1) % rank
    read = a.static.get("n")
    if read is None:
        read = x.shape[axis]
    elif a.primitive is fourier.INVERSE_REAL_FFT:
        read = read // 2 + 1
    within = np.arange(x.shape[axis]) < read
    lines, count = grouped(x.shape, (axis,))
    kept = np.where(spread(within.reshape((-1,) + (1,) * (rank - 1 - axis)), x.shape), lines, -1)
    along = [1 if k == axis else n for k, n in enumerate(x.shape)]
    return x.relation.sent(kept, count).taken(spread(np.arange(count).reshape(along), a.shape)), None


# --- products of matrices ---------------------------------------------------------------------------------------------

#: Pairs of elements of two factors up to which a factor's zeros are gone through one by one.
_MOST_PAIRS = 20_000_000


def _matmul(a: Application) -> Dependence:
    x, y = a.operands
    # Labels: -1 is summed, -2 and -3 are the rows and columns of the result; a batch's axes are counted from the last.
    first = [] if len(x.shape) < 2 else [*range(len(x.shape) - 3, -1, -1), -2]
    second = [] if len(y.shape) < 2 else [*range(len(y.shape) - 3, -1, -1)]
    last = [] if len(y.shape) < 2 else [-3]
    batch = max(len(x.shape), len(y.shape)) - 2
    output = [*range(batch - 1, -1, -1), *([-2] if first else []), *last]
    return _contraction(a, [[*first, -1], [*second, -1, *last]], output)


def _einsum(a: Application) -> Dependence:
    inputs, output = a.static["subscripts"].split("->")
    terms = [[ord(label) for label in term] for term in inputs.split(",")]
    return _contraction(a, terms, [ord(label) for label in output])


def _convolve(a: Application) -> Dependence:
    """An output depends on the pairs of elements whose places add up to its own, but for those beside a known zero."""
    x, y = a.operands
    if x.shape[0] * y.shape[0] > _MOST_PAIRS:
        return everything(a)
    first, second = np.arange(x.shape[0])[:, None], np.arange(y.shape[0])
    target = first + second - (0 if a.static["mode"] == "full" else y.shape[0] - 1)
    meets = (target >= 0) & (target < a.size)
    relations = []
    for operand, other, places in ((x, np.False_ if y.zero is None else y.zero, first),
                                   (y, np.False_ if x.zero is None else x.zero[:, None], second)):  # fmt: skip
        if operand.relation is not None:
            pairs = np.nonzero(meets & ~other)
            sources = np.broadcast_to(places, target.shape)[pairs]
            relations.append(operand.relation.joined(sources, target[pairs], a.size))
    return union(relations), None


def _contraction(a: Application, terms: list[list[int]], output: list[int]) -> Dependence:
    """A sum of products, each factor's axes named by labels, where those that the output lacks are summed over."""
    sizes: dict[int, int] = {}
    for term, x in zip(terms, a.operands, strict=True):
        for label, n in zip(term, x.shape, strict=True):
            sizes[label] = n if sizes.get(label, 1) == 1 else sizes[label]
    relations = []
    for k, x in enumerate(a.operands):
        if x.relation is None:
            continue
        other = a.operands[1 - k] if len(a.operands) == 2 else None
        found = None
        if other is not None and other.zero is not None:
            found = _by_nonzeros(a.size, x, terms[k], other.zero, terms[1 - k], output, sizes)
        relations.append(found or _by_labels(a, x, terms[k], output))
    return union(relations), _zeros_of_contraction(a, terms, output)


def _by_labels(a: Application, x: Operand, term: list[int], output: list[int]) -> Relation:
    """An output depends on the elements of a factor that agree with it in the labels that they share."""
    assert x.relation is not None
    groups, count = grouped(x.shape, [k for k, label in enumerate(term) if label not in output])
    kept = [label for label in term if label in output]
    lengths = dict(zip(term, x.shape, strict=True))
    arranged = np.arange(count).reshape([lengths[label] for label in kept])
    order = [kept.index(label) for label in output if label in kept]
    arranged = arranged.transpose(order).reshape([lengths.get(label, 1) for label in output])
    return x.relation.sent(groups, count).taken(spread(arranged, a.shape))


def _by_nonzeros(
    size: int, x: Operand, term: list[int], zero: np.ndarray, other: list[int], output: list[int], sizes: dict[int, int]
) -> Relation | None:
    """The same, by the elements that meet a nonzero of the other factor; None if these are too many to go through."""
    free = [label for label in term if label not in other]
    repeats = int(np.prod([sizes[label] for label in free], dtype=np.int64))
    lengths = [sizes[label] for label in other]
    nonzero = np.flatnonzero(~np.broadcast_to(zero, lengths))
    count = nonzero.size
    if count * repeats > _MOST_PAIRS:
        return None
    met = np.unravel_index(nonzero, lengths) if other else ()
    beside = np.unravel_index(np.arange(repeats), [sizes[label] for label in free]) if free else ()
    places = {label: np.repeat(place, repeats) for label, place in zip(other, met, strict=True)}
    places |= {label: np.tile(place, count) for label, place in zip(free, beside, strict=True)}
    sources = np.zeros(count * repeats, np.int64)
    for label, n in zip(term, x.shape, strict=True):
        sources = sources * n + (places[label] if n > 1 else 0)
    targets = np.zeros(count * repeats, np.int64)
    for label in output:
        targets = targets * sizes[label] + places[label]
    assert x.relation is not None
    return x.relation.joined(sources, targets, size)


def _zeros_of_contraction(a: Application, terms: list[list[int]], output: list[int]) -> np.ndarray | None:
    if all(x.zero is None for x in a.operands):
        return None
    numbers = {label: k for k, label in enumerate(dict.fromkeys([label for term in terms for label in term]))}
    factors: list[Any] = []
    for x, term in zip(a.operands, terms, strict=True):
        factors += [np.ones(x.shape) if x.zero is None else (~x.zero).astype(float), [numbers[label] for label in term]]
    return np.asarray(np.einsum(*factors, [numbers[label] for label in output], optimize=True) == 0)


def _sparse_product(a: Application) -> Dependence:
    """A row of the product depends on the nonzeros of that row, and on what of the dense array they meet."""
    data, x = a.operands
    pattern = a.static["pattern"]
    rows, columns = pattern.rows, pattern.indices
    if a.static["transposed"]:
        rows, columns = columns, rows
    beside = np.arange(a.shape[1] if len(a.shape) > 1 else 1)
    targets = (rows[:, None] * beside.size + beside).reshape(-1)
    relations = []
    if x.relation is not None:
        met = np.ones(rows.size, bool) if data.zero is None else ~data.zero
        sources = (columns[:, None] * beside.size + beside).reshape(-1)
        met = np.repeat(met, beside.size)
        relations.append(x.relation.joined(sources[met], targets[met], a.size))
    if data.relation is not None:
        sources = np.repeat(np.arange(rows.size), beside.size)
        if x.zero is not None:
            met = ~np.reshape(x.zero, (-1, beside.size))[columns].reshape(-1)
            sources, targets = sources[met], targets[met]
        relations.append(data.relation.joined(sources, targets, a.size))
    return union(relations), None


# --- linear algebra ---------------------------------------------------------------------------------------------------


def _of_matrix(a: Application) -> Dependence:
    """All that is computed of a matrix depends on all of it, and on no other matrix of the batch."""
    x = a.operands[0]
    if x.relation is None:
        return None, None
    groups, count = grouped(x.shape, (len(x.shape) - 2, len(x.shape) - 1))
    return x.relation.sent(groups, count).taken(np.repeat(np.arange(count), a.size // max(count, 1))), None


def _solve(a: Application) -> Dependence:
    *_, matrix, right = a.operands  # before them there may be factors, which are constants
    of_matrix = of_right = None
    if matrix.relation is not None:
        rank = len(matrix.shape)
        groups, count = grouped(matrix.shape, (rank - 2, rank - 1))
        kept = matrix.shape[:-2] + ((1,) if len(right.shape) == 1 else (1, 1))
        of_matrix = matrix.relation.sent(groups, count).taken(spread(np.arange(count).reshape(kept), a.shape))
    if right.relation is not None:
        # A column of the solution depends on that column of the right-hand side.
        axis = max(len(right.shape) - 2, 0)
        of_right = a.repeated(right.relation.along(right.shape, (axis,)), right.shape)
    return union([of_matrix, of_right]), None


def _sparse_solve(a: Application) -> Dependence:
    """A column of the solution depends on that column of the right-hand side, and all depend on all nonzeros."""
    data, right = a.operands
    of_data = data.relation and data.relation.whole().taken(np.zeros(a.size, np.int64))
    return union([of_data, right.relation and right.relation.along(right.shape, (0,))]), None


#: What each word of a row means.
MEANINGS: dict[str, Rule] = {
    "elementwise": _elementwise,
    "zero at zero": _same_zeros,
    "sum of two": _sum_of_two,
    "product": _product,
    "quotient": _quotient,
    "power": _power,
    "choice": _choice,
    "imaginary part": _imaginary,
    "move": _move,
    "index": _getitem,
    "join": _concatenate,
    "sum": _sum,
    "reduction": _reduction,
    "line": _line,
    "scan": lambda a: _scan(a, a.static.get("axis")),
    "scan of rows": lambda a: _scan(a, 0),
    "transform": _transform,
    "matrix product": _matmul,
    "sparse product": _sparse_product,
    "einsum": _einsum,
    "convolution": _convolve,
    "matrix": _of_matrix,
    "solution": _solve,
    "sparse solution": _sparse_solve,
    "everything": everything,
}
