"""Sparse matrices from few products: groups of columns or rows that one product with the matrix tells apart.

Columns (or rows) that share no row (no column) can be added up without loss, so one product with their sum gives the
entries of all of them (Curtis, Powell & Reid 1974).  Finding few groups is colouring a graph (Coleman & More 1983), for
which greedy algorithms do well; the survey is Gebremedhin, Manne & Pothen 2005, "What color is your Jacobian?".  A
`Colouring` says which products to take (`column_seeds`, `row_seeds`) and reads the entries off them (`recover`).  This
module knows patterns and integers, and nothing of derivatives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.errors import NotRecoverableError, ShapeError, user_line
from shared.sparse.pattern import Pattern, as_pattern

#: Keys are counted, which is faster than sorting them, if they are numbers up to this multiple of how many there are.
_MOST_COUNTED = 8

#: What `colour` can be asked for.
STRATEGIES = ("best", "columns", "rows", "both", "symmetric")


class Colouring:
    """Which products with a matrix J give all entries of its pattern, and where in these products each entry stands.

    `columns[j]` is the colour of column j: one product J s is taken for each colour, s being 1 at its columns; likewise
    `rows[i]`, with products s J.  Both are None where no such product is needed, and -1 where a column or row is in
    none.  With `symmetric` an entry may be read off as its mirror image too.  Every entry's place is found when the
    colouring is made, so one that loses an entry raises NotRecoverableError and does not come into being.

    >>> tridiagonal = Pattern([0, 0, 1, 1, 1, 2, 2], [0, 1, 0, 1, 2, 1, 2], (3, 3))
    >>> Colouring(tridiagonal, columns=[0, 1, 2])
    <colouring of <pattern 3 x 3, 7 nonzeros>: 3 jvps>
    >>> Colouring(tridiagonal, columns=[0, 1, 0])  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    shared.core.errors.NotRecoverableError: entry (1, 0) cannot be recovered...
    """

    __slots__ = ("_places", "alternatives", "columns", "jvps", "pattern", "rows", "symmetric", "vjps")

    def __init__(self, pattern: Pattern, columns: Any = None, rows: Any = None, symmetric: bool = False):
        self.pattern = pattern
        self.symmetric = symmetric
        self.columns = _colours("columns", columns, pattern.shape[1])
        self.rows = _colours("rows", rows, pattern.shape[0])
        #: the number of products J s, and of products s J
        self.jvps, self.vjps = (0 if c is None else int(c.max(initial=-1)) + 1 for c in (self.columns, self.rows))
        #: other numbers of products, (jvps, vjps), that the text compares this with
        self.alternatives: tuple[tuple[int, int], ...] = ()
        self._places = self._find_places()

    def _find_places(self) -> Any:
        """For each entry, its place in the products J s and s J, laid flat one after the other."""
        (m, n), i, j = self.pattern.shape, self.pattern.rows, self.pattern.columns
        places = np.full(i.size, -1)
        if self.columns is not None:
            alone = _alone(i, self.columns[j])
            if self.symmetric:
                # The mirror image of entry (i, j) is in row j, with the colour of column i.
                places = np.where(alone[_mirror(self.pattern)], self.columns[i] * m + j, places)
            places = np.where(alone, self.columns[j] * m + i, places)
        if self.rows is not None:
            alone = _alone(j, self.rows[i]) & (places < 0)
            places = np.where(alone, self.jvps * m + self.rows[i] * n + j, places)
        lost = np.flatnonzero(places < 0)
        if lost.size:
            raise NotRecoverableError(
                f"entry ({i[lost[0]]}, {j[lost[0]]}) cannot be recovered{user_line()}: in every product that it is in "
                "it is added to another"
            )
        return places

    @property
    def column_seeds(self) -> np.ndarray:
        """The vectors s of the products J s, one a row: zeros and ones, of shape (jvps, n)."""
        return _seeds(self.columns, self.jvps, self.pattern.shape[1])

    @property
    def row_seeds(self) -> np.ndarray:
        """The vectors s of the products s J, one a row: zeros and ones, of shape (vjps, m)."""
        return _seeds(self.rows, self.vjps, self.pattern.shape[0])

    def recover(self, jvps: Any = (), vjps: Any = ()) -> Any:
        """The values of all entries of the pattern, in its order, from the products.

        `jvps` has the shape (jvps, m): product k is J times `column_seeds[k]`; `vjps` has the shape (vjps, n): product
        k is `row_seeds[k]` times J.  A sequence of vectors will do, and so will traced values.  Raises ShapeError for
        another number of products, or products of another length.
        """
        m, n = self.pattern.shape
        parts = [_flat("jvps", jvps, (self.jvps, m)), _flat("vjps", vjps, (self.vjps, n))]
        parts = [part for part, count in zip(parts, (self.jvps, self.vjps), strict=True) if count]
        if not parts:
            return np.zeros(0)
        return (np.concatenate(parts) if len(parts) > 1 else parts[0])[self._places]

    def __repr__(self) -> str:
        return f"<colouring of {self.pattern!r}: {self._count(self.jvps, self.vjps)}>"

    def __str__(self) -> str:
        """The number of products, and what it is instead of: `2 jvps and 1 vjp instead of 50 jvps or 50 vjps`."""
        others = [self._count(*pair) for pair in self.alternatives if sum(pair) > self.jvps + self.vjps]
        return self._count(self.jvps, self.vjps) + (f" instead of {' or '.join(others)}" if others else "")

    def _count(self, jvps: int, vjps: int) -> str:
        name = "hvp" if self.symmetric else "jvp"
        parts = [f"{count} {what}{'' if count == 1 else 's'}" for count, what in ((jvps, name), (vjps, "vjp")) if count]
        return " and ".join(parts) or "no product"


def _colours(name: str, given: Any, count: int) -> np.ndarray | None:
    if given is None:
        return None
    colours = np.asarray(given)
    if colours.shape != (count,) or (colours.dtype.kind not in "iu" and count):
        raise ShapeError(
            f"colouring: colours of the {name} of shape {colours.shape} and dtype {colours.dtype}{user_line()}; give "
            f"{count} integers"
        )
    return colours.astype(np.int64)


def _mirror(pattern: Pattern) -> Any:
    """For each entry (i, j), the number of entry (j, i); ShapeError if there is one that has none."""
    # In the order of columns, then rows, the entries of a symmetric matrix are mirror images of those in their own.
    order = np.argsort(pattern.columns, kind="stable")
    rows, columns = pattern.columns[order], pattern.rows[order]
    if pattern.shape[0] != pattern.shape[1] or not (
        np.array_equal(rows, pattern.rows) and np.array_equal(columns, pattern.columns)
    ):
        raise ShapeError(f"{pattern!r} is not symmetric{user_line()}; use pattern.symmetrised()")
    return order


def _alone(lines: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Whether each entry is the only one of its colour in its line (and has a colour at all)."""
    alone: np.ndarray = colours >= 0
    if colours.size:
        apart = int(colours.max()) + 2
        keys = lines * apart + (colours + 1)
        if (int(lines.max()) + 1) * apart <= _MOST_COUNTED * keys.size:
            alone &= np.bincount(keys)[keys] == 1
            return alone
        ordered = np.sort(keys)
        repeated = ordered[1:][ordered[1:] == ordered[:-1]]
        if repeated.size:
            nearest = np.minimum(np.searchsorted(repeated, keys), repeated.size - 1)
            alone &= repeated[nearest] != keys
    return alone


def _seeds(colours: np.ndarray | None, count: int, size: int) -> np.ndarray:
    seeds = np.zeros((count, size))
    if colours is not None:
        coloured = np.flatnonzero(colours >= 0)
        seeds[colours[coloured], coloured] = 1.0
    return seeds


def _flat(name: str, products: Any, shape: tuple[int, int]) -> Any:
    if isinstance(products, (list, tuple)):
        products = np.stack(products) if products else np.zeros((0, shape[1]))
    if np.shape(products) != shape and not (shape[0] == 0 == np.size(products)):
        raise ShapeError(f"recover: {name} of shape {np.shape(products)} were given{user_line()}, not of {shape}")
    return np.reshape(products, (-1,))


# --- strategies -------------------------------------------------------------------------------------------------------


def colour(pattern: Any, by: str = "best") -> Colouring:
    """A colouring of a pattern that takes few products, by one of the strategies, and which depends on nothing else.

    The pattern is a `Pattern`, such as `jacobian_pattern` detects, or a boolean matrix of NumPy or SciPy.

    `by="columns"` takes products J s alone (jvps), `"rows"` products s J alone (vjps), `"both"` the former for most
    rows and the latter for a few dense ones, or the other way round; `"symmetric"` uses that the matrix is symmetric
    (Hessian-vector products); `"best"` is the one of the first three that takes fewest products, columns before rows
    before both if equal.  The text of the result compares: `print(colour(pattern))`.

    Cost: proportional to the nonzeros (times the colours / 64), some microseconds each.  Raises ShapeError if the
    pattern is not symmetric but the strategy is, ValueError for another name.

    >>> arrow = np.eye(50, dtype=bool)
    >>> arrow[0, :] = arrow[:, 0] = True
    >>> pattern = Pattern(*np.nonzero(arrow), (50, 50))
    >>> print(colour(pattern))
    2 jvps and 1 vjp instead of 50 jvps or 50 vjps
    >>> print(colour(pattern, "symmetric"))
    2 hvps instead of 50 hvps
    """
    if by not in STRATEGIES:
        raise ValueError(f"colour: {by!r} is no strategy{user_line()}; there are {', '.join(map(repr, STRATEGIES))}")
    pattern = as_pattern(pattern)
    m, n = pattern.shape
    if by == "symmetric":
        result = colour_symmetric(pattern)
        result.alternatives = ((n, 0),)
        return result
    if by != "best":
        result = {"columns": colour_columns, "rows": colour_rows, "both": colour_both}[by](pattern)
        result.alternatives = ((n, 0), (0, m))
        return result
    tried = [colour_columns(pattern), colour_rows(pattern)]
    if min(c.jvps + c.vjps for c in tried) > 2:
        tried += _peeled(pattern)
    result = _fewest(tried)
    dearer = [(c.jvps, c.vjps) for c in tried[:2] if c.jvps + c.vjps > result.jvps + result.vjps]
    result.alternatives = tuple(dearer) or ((n, 0), (0, m))
    return result


def colour_columns(pattern: Pattern) -> Colouring:
    """Columns that share a row get different colours: products J s alone.

    In turns, as suits a band, if that is a colouring: it has as many colours as the fullest row has entries, and there
    is none with fewer.  Else greedily, in the order of the columns and, if that is more than the fullest row needs, by
    decreasing numbers of conflicts; the better of the two (Curtis, Powell & Reid 1974; Coleman & More 1983, sections 3
    and 4).
    """
    return Colouring(pattern, columns=_apart(pattern.rows, pattern.columns, pattern.shape))


def colour_rows(pattern: Pattern) -> Colouring:
    """Rows that share a column get different colours: products s J alone.  As `colour_columns` of the transpose."""
    return Colouring(pattern, rows=_apart(pattern.columns, pattern.rows, pattern.shape[::-1]))


def colour_both(pattern: Pattern) -> Colouring:
    """Products of both kinds: a few dense rows from products s J, all others from products J s, or the other way round.

    A dense row forces as many colours on the columns as it has entries.  So the densest rows, one after the other, are
    given to row colours, as long as that saves more than it costs, and the columns are coloured without regard to them;
    the same is tried with columns and rows exchanged.  (Row-column determination: Hossain & Steihaug 1998; Coleman &
    Verma 1998.)  At worst it is the colouring by columns or by rows alone.
    """
    return _fewest([colour_columns(pattern), colour_rows(pattern), *_peeled(pattern)])


def _peeled(pattern: Pattern) -> list[Colouring]:
    """The colourings by products of both kinds, where they save any."""
    found = []
    few = _peel(pattern.rows, pattern.columns, pattern.shape)
    if few is not None:
        found.append(Colouring(pattern, rows=few[0], columns=few[1]))
    few = _peel(pattern.columns, pattern.rows, pattern.shape[::-1])
    if few is not None:
        found.append(Colouring(pattern, columns=few[0], rows=few[1]))
    return found


def _fewest(colourings: Sequence[Colouring]) -> Colouring:
    return min(colourings, key=lambda c: c.jvps + c.vjps)


def colour_symmetric(pattern: Pattern) -> Colouring:
    """Columns coloured so that an entry or its mirror image stands alone in some product: a star colouring.

    Adjacent columns differ, and every path on four has three colours.  All is read off products J s, of which symmetry
    saves some: two for an arrow.  Greedily, in the order of the columns and by decreasing degree; the best of these and
    of what `colour_columns` finds, which needs no mirror images and may have as few as there can be (Coleman & More
    1984; Gebremedhin, Manne & Pothen 2005, section 4).  Raises ShapeError if the pattern is not symmetric.
    """
    _mirror(pattern)
    n = pattern.shape[1]
    best = _apart(pattern.rows, pattern.columns, pattern.shape)
    beside = pattern.rows != pattern.columns
    if _count(best) <= _least_star(pattern.rows[beside], pattern.columns[beside], n):
        return Colouring(pattern, columns=best, symmetric=True)
    neighbours = _Lines(pattern.rows[beside], pattern.columns[beside], n)
    entries = np.bincount(pattern.columns, minlength=n)
    used = np.flatnonzero(entries)
    for order in (used, used[np.argsort(-entries[used], kind="stable")]):
        found = _star(neighbours, order.tolist(), n, _count(best))
        best = best if found is None else found
    return Colouring(pattern, columns=best, symmetric=True)


def _least_star(ends: np.ndarray, others: np.ndarray, count: int) -> int:
    """A number of colours that no star colouring of a graph with these edges, each in both directions, goes below."""
    if not ends.size:
        return 1
    degrees = np.bincount(ends, minlength=count)
    # An edge between two vertices with other neighbours is the middle of a path on four, or a side of a triangle.
    return 3 if bool(((degrees[ends] > 1) & (degrees[others] > 1)).any()) else 2


# --- finding colours --------------------------------------------------------------------------------------------------
#
# The colours that a line must avoid are the bits of one integer, so looking for a free colour is one operation on it.
# A greedy search gives up as soon as it has as many colours as are known to do.


class _Lines:
    """The members of groups, one list of all: a list for each would keep Python's cyclic collector busy."""

    __slots__ = ("members", "starts")

    def __init__(self, groups: np.ndarray, members: np.ndarray, count: int):
        self.members: list[int] = members[np.argsort(groups, kind="stable")].tolist()
        self.starts: list[int] = [0, *np.cumsum(np.bincount(groups, minlength=count)).tolist()]

    def __getitem__(self, group: int) -> list[int]:
        return self.members[self.starts[group] : self.starts[group + 1]]


def _count(colours: np.ndarray) -> int:
    return int(colours.max(initial=-1)) + 1


def _lowest_free(taken: int) -> int:
    return (~taken & (taken + 1)).bit_length() - 1


def _apart(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Colours of the columns, different for columns that share a row; -1 for a column without entries."""
    m, n = shape
    lengths = np.bincount(rows, minlength=m)
    used = np.bincount(columns, minlength=n) > 0
    fullest = int(lengths.max(initial=0))
    in_turns = np.where(used, (np.cumsum(used) - 1) % max(fullest, 1), -1)
    if _alone(rows, in_turns[columns]).all():
        return in_turns
    of_columns = _Lines(columns, rows, n)
    best = _greedy(of_columns, range(n), shape, n + 1)
    assert best is not None
    if _count(best) > fullest:
        conflicts = np.bincount(columns, weights=lengths[rows], minlength=n)
        other = _greedy(of_columns, np.argsort(-conflicts, kind="stable").tolist(), shape, _count(best))
        best = best if other is None else other
    return best


def _greedy(of_columns: _Lines, order: Sequence[int], shape: tuple[int, int], fewer_than: int) -> np.ndarray | None:
    """Colours that differ for columns which share a row, found in the given order; None if they become too many."""
    m, n = shape
    colours = [-1] * n
    taken = [0] * m
    for column in order:
        forbidden = 0
        rows = of_columns[column]
        for row in rows:
            forbidden |= taken[row]
        if rows:
            free = _lowest_free(forbidden)
            if free + 1 >= fewer_than:
                return None
            colours[column] = free
            bit = 1 << free
            for row in rows:
                taken[row] |= bit
    return np.array(colours, np.int64)


def _peel(rows: np.ndarray, columns: np.ndarray, shape: tuple[int, int]) -> tuple[Any, Any] | None:
    """Colours of the densest rows, and of the columns without regard to these; None if none is worth a colour."""
    m, n = shape
    lengths = np.bincount(rows, minlength=m)
    order = np.argsort(-lengths, kind="stable")
    best, chosen = int(lengths.max(initial=0)), 0
    # Given that the k densest rows have g colours, the columns need at least as many as the next row has entries; and
    # rows of one colour have no more entries than there are columns.
    given = lengths[order]
    if not (-(-np.cumsum(given) // max(n, 1)) + np.append(given[1:], 0) < best).any():
        return None
    of_rows = _Lines(rows, columns, m)
    row_colours = np.full(m, -1)
    taken, used = [0] * n, 0
    for k, row in enumerate(order.tolist()):
        if used >= best or not lengths[row]:
            break
        forbidden = 0
        for column in of_rows[row]:
            forbidden |= taken[column]
        free = _lowest_free(forbidden)
        row_colours[row], used = free, max(used, free + 1)
        for column in of_rows[row]:
            taken[column] |= 1 << free
        bound = used + (int(lengths[order[k + 1]]) if k + 1 < m else 0)
        if bound < best:
            best, chosen = bound, k + 1
    if not chosen:
        return None
    row_colours[order[chosen:]] = -1
    rest = row_colours[rows] < 0
    column_colours = _apart(rows[rest], columns[rest], shape)
    return row_colours, (column_colours if _count(column_colours) else None)


def _star(neighbours: _Lines, order: Sequence[int], n: int, fewer_than: int) -> np.ndarray | None:
    """A star colouring of a graph of n vertices, greedily in the given order; None if the colours become too many.

    An edge (v, w) can be read off if v is the only neighbour of w with v's colour, or w the only one of v with w's:
    then no path on four has two colours.  For each vertex w, `near[w]` holds its neighbours' colours as bits,
    `twice[w]` those that occur twice or more, and `barred[w]` those that must not come to occur twice, since the
    neighbour that has such a colour sees w's colour twice already.
    """
    colours = [-1] * n
    near, twice, barred = [0] * n, [0] * n, [0] * n
    # The one neighbour of w that has a colour, while there is one only, at w * n + colour.
    only: dict[int, int] = {}
    for v in order:
        own = neighbours[v]
        forbidden, double = near[v], twice[v]
        for w in own:
            c = colours[w]
            if c >= 0:
                # Where v sees w's colour twice, w must not see v's twice.
                forbidden |= near[w] if double >> c & 1 else barred[w]
        colours[v] = mine = _lowest_free(forbidden)
        if mine + 1 >= fewer_than:
            return None
        bit = 1 << mine
        for w in own:
            c = colours[w]
            if not near[w] & bit:
                near[w] |= bit
                only[w * n + mine] = v
            else:
                if not twice[w] & bit:
                    twice[w] |= bit
                    if c >= 0:
                        barred[only[w * n + mine]] |= 1 << c
                if c >= 0:
                    barred[v] |= 1 << c
            if c >= 0 and double >> c & 1:
                barred[w] |= bit
    return np.array(colours, np.int64)
