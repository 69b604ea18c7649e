"""Products: matmul and its kin, all linear in each factor.

The primitives are matmul and einsum; the other products are rewritten in terms of these.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from shared.core.edges import Like, fit
from shared.core.errors import NoRuleError, user_line
from shared.core.facets import Count, size_of, with_rank
from shared.core.registry import composite, multilinear, multilinear_in_all
from shared.rules.reductions import converted, strong, unwrapped
from shared.rules.shapes import PAD

# --- matmul -----------------------------------------------------------------------------------------------------------


def _matmul_first(c: Any, x: Like, y: Any) -> Any:
    rank = y.ndim
    if rank == 1:
        # c has the shape of x without its last axis
        return _sum_to(c * y if x.ndim == 1 else c[..., None] * y, x)
    if x.ndim == 1:
        return _sum_to(y @ c if rank == 2 else (y @ c[..., None])[..., 0], x)
    return _sum_to(c @ (y.T if rank == 2 else np.swapaxes(y, -1, -2)), x)


def _matmul_second(c: Any, x: Any, y: Like) -> Any:
    rank = x.ndim
    if rank == 1:
        return _sum_to(x * c if y.ndim == 1 else x[:, None] * c[..., None, :], y)
    transposed = x.T if rank == 2 else np.swapaxes(x, -1, -2)
    if rank == 2 == y.ndim and x.shape[0] == 1:
        # An outer product, which NumPy computes faster element by element than as a product of matrices, and fastest
        # along the longer of the two.
        return _sum_to((c.T * x).T if x.shape[1] > 4 * y.shape[1] else transposed * c, y)
    if y.ndim == 1:
        return _sum_to(transposed @ c if rank == 2 else (transposed @ c[..., None])[..., 0], y)
    return _sum_to(transposed @ c, y)


def _sum_to(cotangent: Any, like: Like) -> Any:
    # Leading axes broadcast as in any elementwise function.
    return cotangent if cotangent.shape == like.shape and cotangent.dtype is like.dtype else fit(cotangent, like)


def _matmul_count(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    products = size_of(out) * operands[0].shape[-1]
    return Count(products, products)


def _matmul_of_each(
    primitive: Any, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]
) -> Any:
    x, y = values
    first, second = batched
    rank_x, rank_y = np.ndim(x) - first, np.ndim(y) - second
    if rank_x == 0 or rank_y == 0:
        raise ValueError("matmul: an operand has no axes; use * for the product with a number")
    if not first and rank_x <= 2 and rank_y == 1:
        return y @ (x.T if rank_x == 2 else x)
    if not second and rank_y <= 2 and rank_x <= 2:
        if rank_x == 1:
            return x @ y
        # One product of large matrices in place of many small ones.
        size, rows, length = np.shape(x)
        return np.reshape(np.reshape(x, (size * rows, length)) @ y, (size, rows, *np.shape(y)[1:]))
    # A vector is a row on the left and a column on the right.
    if rank_x == 1:
        x = np.expand_dims(x, -2)
    if rank_y == 1:
        y = np.expand_dims(y, -1)
    rank = max(rank_x, rank_y, 2)
    out = with_rank(x, rank, first) @ with_rank(y, rank, second)
    if rank_x == 1 and rank_y == 1:
        return out[..., 0, 0]
    return out[..., 0, :] if rank_x == 1 else out[..., 0] if rank_y == 1 else out


MATMUL = multilinear(np.matmul, _matmul_first, _matmul_second,
                     count=_matmul_count, batch=_matmul_of_each, dependence="matrix product")  # fmt: skip

# --- einsum -----------------------------------------------------------------------------------------------------------


def _einsum(*operands: Any, subscripts: str) -> Any:
    return np.einsum(subscripts, *operands)


def _einsum_transpose(k: int, c: Any, operands: Sequence[Any], *, subscripts: str) -> Any:
    inputs, output = subscripts.split("->")
    terms = inputs.split(",")
    others = [term for j, term in enumerate(terms) if j != k]
    arrays = [operand for j, operand in enumerate(operands) if j != k]
    cotangent = fit(np.einsum(",".join([output, *others]) + "->" + terms[k], c, *arrays), operands[k])
    # Where the other operands were stretched along an axis, so is the cotangent.
    return cotangent if cotangent.shape == operands[k].shape else np.broadcast_to(cotangent, operands[k].shape)


def _einsum_count(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    terms = static["subscripts"].split("->")[0].split(",")
    lengths: dict[str, int] = {}
    for term, operand in zip(terms, operands, strict=True):
        for label, length in zip(term, operand.shape, strict=True):
            lengths[label] = max(length, lengths.get(label, 1)) if length else 0
    points = math.prod(lengths.values())
    return Count(points, (len(terms) - 1) * points)


_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"


def _einsum_of_each(
    primitive: Any, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]
) -> Any:
    terms, output = static["subscripts"].split("->")
    free = next((letter for letter in _LETTERS if letter not in static["subscripts"]), None)
    if free is None:
        return NotImplemented
    inputs = ",".join(free + term if flag else term for term, flag in zip(terms.split(","), batched, strict=True))
    return primitive(*values, subscripts=f"{inputs}->{free}{output}")


# np.einsum("ij->ji", x) is a view, and "ij->i" is not.
EINSUM = multilinear_in_all(_einsum, _einsum_transpose,
                            count=_einsum_count, memory="may share", batch=_einsum_of_each,
                            dependence="einsum")  # fmt: skip


@composite(np.einsum)
def _einsum_call(
    subscripts: Any, /, *operands: Any, optimize: Any = False, out: None = None, dtype: Any = None,
    order: str = "K", casting: str = "safe",
) -> Any:  # fmt: skip
    if not isinstance(subscripts, str):
        subscripts, operands = _with_subscripts([subscripts, *operands])
    operands = tuple(converted(a, dtype) for a in operands)
    terms, output = _spelled_out(subscripts, [np.ndim(a) for a in operands])
    # In the canonical form no label occurs twice in a term, and every label occurs elsewhere too, so that each
    # transpose is an einsum as well: diagonals are taken and lone labels are summed beforehand.
    arrays = []
    for k, operand in enumerate(operands):
        elsewhere = set(output).union(*(term for j, term in enumerate(terms) if j != k))
        operand, terms[k] = _canonical(operand, terms[k], elsewhere)
        arrays.append(operand)
    if optimize is not False:
        if len(arrays) > 2:
            return _pairwise(arrays, terms, output, optimize)
        if len(arrays) == 2:
            return _product(arrays, terms, output)
    return EINSUM(*arrays, subscripts=",".join(terms) + "->" + output)


def _with_subscripts(given: list[Any]) -> tuple[str, tuple[Any, ...]]:
    """The subscripts and the operands of the other form: operands, each followed by its list of labels."""
    output = given.pop() if len(given) % 2 else None
    terms = [*given[1::2], *([] if output is None else [output])]
    labels = sorted({label for term in terms for label in term if label is not Ellipsis})
    if len(labels) > len(_LETTERS):
        raise NoRuleError(f"np.einsum: more than {len(_LETTERS)} labels{user_line()}")
    letters = dict(zip(labels, sorted(_LETTERS), strict=False))
    texts = ["".join("..." if label is Ellipsis else letters[label] for label in term) for term in terms]
    inputs = ",".join(texts[: len(given) // 2])
    return (inputs if output is None else f"{inputs}->{texts[-1]}"), tuple(given[::2])


def _spelled_out(subscripts: str, ranks: list[int]) -> tuple[list[str], str]:
    """The terms and the output, with the ellipsis replaced by labels and an implicit output written out."""
    inputs, arrow, output = subscripts.replace(" ", "").partition("->")
    terms = inputs.split(",")
    if len(terms) != len(ranks):
        raise ValueError(f"einsum: {len(terms)} terms in {subscripts!r} for {len(ranks)} operands")
    free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" if c not in subscripts]
    longest = max((r - len(t.replace("...", "")) for t, r in zip(terms, ranks, strict=True) if "..." in t), default=0)
    labels = "".join(free[:longest])
    for k, (term, rank) in enumerate(zip(terms, ranks, strict=True)):
        if "..." in term:
            count = rank - len(term.replace("...", ""))
            terms[k] = term.replace("...", labels[longest - count :])
    if not arrow:
        joined = "".join(terms)
        output = labels + "".join(c for c in sorted(set(joined)) if joined.count(c) == 1 and c not in labels)
    return terms, output.replace("...", labels)


def _canonical(operand: Any, term: str, elsewhere: set[str]) -> tuple[Any, str]:
    for label in sorted(set(term)):
        while term.count(label) > 1:
            first = term.index(label)
            second = term.index(label, first + 1)
            if np.shape(operand)[first] != np.shape(operand)[second]:
                raise ValueError(f"einsum: the axes of label {label!r} have different lengths in {np.shape(operand)}")
            operand = np.diagonal(operand, 0, first, second)
            term = term[:first] + term[first + 1 : second] + term[second + 1 :] + label
    lone = tuple(k for k, label in enumerate(term) if label not in elsewhere)
    if lone:
        operand, term = np.sum(operand, axis=lone), "".join(c for c in term if c in elsewhere)
    return operand, term


def _pairwise(arrays: list[Any], terms: list[str], output: str, optimize: Any) -> Any:
    """Contract two operands at a time, in NumPy's order."""
    shapes = [np.empty(np.shape(a), bool) for a in arrays]
    order = np.einsum_path(",".join(terms) + "->" + output, *shapes, optimize=optimize)[0][1:]
    for chosen in order:
        parts = [(arrays[k], terms[k]) for k in chosen]
        for k in sorted(chosen, reverse=True):
            del arrays[k], terms[k]
        needed = set(output).union(*terms)
        result = "".join(sorted(set("".join(term for _, term in parts)) & needed)) if terms else output
        arrays.append(_product([a for a, _ in parts], [t for _, t in parts], result))
        terms.append(result)
    return arrays[0]


def _product(arrays: list[Any], terms: list[str], output: str) -> Any:
    """The contraction of operands that NumPy's optimised path makes: of two a product of matrices, if it is one."""
    subscripts = ",".join(terms) + "->" + output
    if len(arrays) != 2 or not all(_is_for_blas(a) for a in arrays):
        return EINSUM(*arrays, subscripts=subscripts)
    first, second = terms
    summed = "".join(label for label in first if label in second and label not in output)
    common = "".join(label for label in output if label in first and label in second)
    rows = "".join(label for label in output if label not in second)
    columns = "".join(label for label in output if label not in first)
    lengths = dict(zip(first, np.shape(arrays[0]), strict=True))
    others = dict(zip(second, np.shape(arrays[1]), strict=True))
    # Where an axis of length one is stretched, or nothing is summed, it is no product of matrices.
    if not summed or any(lengths[label] != others[label] for label in summed + common):
        return EINSUM(*arrays, subscripts=subscripts)
    lengths |= others
    x = _as_matrices(arrays[0], first, [common, rows, summed], lengths)
    y = _as_matrices(arrays[1], second, [common, summed, columns], lengths)
    found = np.reshape(np.matmul(x, y), tuple(lengths[label] for label in common + rows + columns))
    return _in_order(found, common + rows + columns, output)


def _is_for_blas(a: Any) -> bool:
    return getattr(getattr(a, "dtype", None), "char", "") in "fdFD" and np.ndim(a) > 0


def _as_matrices(x: Any, term: str, parts: list[str], lengths: dict[str, int]) -> Any:
    """An operand with its labels in this order, the axes of each part taken together; the first if there are any."""
    shape = tuple(math.prod(lengths[label] for label in part) for part in parts)
    x = _in_order(x, term, "".join(parts))
    shape = shape if parts[0] else shape[1:]
    return x if np.shape(x) == shape else np.reshape(x, shape)


def _in_order(x: Any, term: str, wanted: str) -> Any:
    return x if term == wanted else np.transpose(x, tuple(term.index(label) for label in wanted))


# --- convolution ------------------------------------------------------------------------------------------------------


def _convolve(x: Any, y: Any, *, mode: str) -> Any:
    return np.convolve(x, y, mode)


# All products, "full", and only those where all of y meets x, "valid", with x at least as long as y: by either factor
# the transpose of each is the other, or itself, with what is constant reversed.


def _convolve_first(c: Any, x: Like, y: Any, *, mode: str) -> Any:
    return fit(CONVOLVE(c, y[::-1], mode="valid" if mode == "full" else "full"), x)


def _convolve_second(c: Any, x: Any, y: Like, *, mode: str) -> Any:
    longer, shorter = (c, x[::-1]) if mode == "full" else (x[::-1], c)
    return fit(CONVOLVE(longer, shorter, mode="valid"), y)


def _convolve_count(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    sizes = size_of(operands[0]), size_of(operands[1])
    products = min(sizes) * (max(sizes) if static["mode"] == "full" else size_of(out))
    return Count(products, products)


def _convolve_of_each(
    primitive: Any, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]
) -> Any:
    x, y = (value if flag else np.reshape(value, (1, -1)) for value, flag in zip(values, batched, strict=True))
    taps = np.shape(y)[1]
    if static["mode"] == "full":
        x = PAD(x, widths=((0, 0), (taps - 1, taps - 1)))
    length = np.shape(x)[1] - taps + 1
    # As few array operations as there are elements of the shorter of factor and result
    if taps <= length:
        total: Any = 0
        for k in range(taps):
            total = total + y[:, k : k + 1] * x[:, taps - 1 - k : taps - 1 - k + length]
        return total
    y = y[:, ::-1]
    return np.stack([np.sum(x[:, k : k + taps] * y, axis=1) for k in range(length)], axis=1)


CONVOLVE = multilinear(_convolve, _convolve_first, _convolve_second,
                       count=_convolve_count, batch=_convolve_of_each, dependence="convolution")  # fmt: skip


@composite(np.convolve)
def _convolve_call(a: Any, v: Any, mode: str = "full") -> Any:
    a, v = np.atleast_1d(a), np.atleast_1d(v)
    if a.ndim > 1 or v.ndim > 1:
        raise ValueError("object too deep for desired array")
    if not (a.size and v.size):
        raise ValueError("a cannot be empty" if not a.size else "v cannot be empty")
    if mode not in ("full", "same", "valid"):
        raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")
    if v.size > a.size:
        a, v = v, a
    if mode != "same":
        return CONVOLVE(a, v, mode=mode)
    start = (v.size - 1) // 2
    return CONVOLVE(a, v, mode="full")[start : start + a.size]


@composite(np.correlate)
def _correlate(a: Any, v: Any, mode: str = "valid") -> Any:
    a, v = np.atleast_1d(a), np.atleast_1d(v)
    if v.size <= a.size:
        return np.convolve(a, (np.conjugate(v) if np.iscomplexobj(v) else v)[::-1], mode)
    # NumPy takes the longer one first, and turns the result round.
    turned = np.correlate(v, a, mode)[::-1]
    return np.conjugate(turned) if np.iscomplexobj(turned) else turned


# --- rewritten --------------------------------------------------------------------------------------------------------


@composite(np.dot)
def _dot(a: Any, b: Any, out: None = None) -> Any:
    rank_a, rank_b = np.ndim(a), np.ndim(b)
    if rank_a == 0 or rank_b == 0:
        return np.multiply(strong(a), strong(b))
    return a @ b if rank_b <= 2 else np.tensordot(a, b, axes=(-1, -2))


@composite(np.inner)
def _inner(a: Any, b: Any, /) -> Any:
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return np.multiply(strong(a), strong(b))
    return unwrapped(np.tensordot(a, b, axes=(-1, -1)))


@composite(np.outer)
def _outer(a: Any, b: Any, out: None = None) -> Any:
    return np.reshape(a, (-1, 1)) * np.reshape(b, (1, -1))


@composite(np.vdot)
def _vdot(a: Any, b: Any, /) -> Any:
    a = np.ravel(a)
    return np.matmul(np.conjugate(a) if np.iscomplexobj(a) else a, np.ravel(b))


@composite(np.vecdot)
def _vecdot(a: Any, b: Any, axis: int = -1) -> Any:
    return np.sum((np.conjugate(a) if np.iscomplexobj(a) else a) * b, axis=axis)


if hasattr(np, "matvec"):  # NumPy 2.2

    @composite(np.matvec)
    def _matvec(x1: Any, x2: Any, /) -> Any:
        return np.matmul(x1, x2[..., None])[..., 0]

    @composite(np.vecmat)
    def _vecmat(x1: Any, x2: Any, /) -> Any:
        return np.matmul((np.conjugate(x1) if np.iscomplexobj(x1) else x1)[..., None, :], x2)[..., 0, :]


@composite(np.tensordot)
def _tensordot(a: Any, b: Any, axes: Any = 2) -> Any:
    if isinstance(axes, (int, np.integer)):
        of_a, of_b = list(range(-int(axes), 0)), list(range(int(axes)))
    else:
        of_a, of_b = (list(x) if isinstance(x, (list, tuple)) else [x] for x in axes)
    rank_a, rank_b = np.ndim(a), np.ndim(b)
    of_a, of_b = [normalize_axis_index(k, rank_a) for k in of_a], [normalize_axis_index(k, rank_b) for k in of_b]
    shape_a, shape_b = np.shape(a), np.shape(b)
    if [shape_a[k] for k in of_a] != [shape_b[k] for k in of_b]:
        raise ValueError("shape-mismatch for sum")
    free_a = [k for k in range(rank_a) if k not in of_a]
    free_b = [k for k in range(rank_b) if k not in of_b]
    size = int(np.prod([shape_a[k] for k in of_a], dtype=np.int64))
    rest_a, rest_b = [shape_a[k] for k in free_a], [shape_b[k] for k in free_b]
    left = np.reshape(np.transpose(a, free_a + of_a), (int(np.prod(rest_a, dtype=np.int64)), size))
    right = np.reshape(np.transpose(b, of_b + free_b), (size, int(np.prod(rest_b, dtype=np.int64))))
    return np.reshape(np.matmul(left, right), (*rest_a, *rest_b))


@composite(np.kron)
def _kron(a: Any, b: Any) -> Any:
    rank = max(np.ndim(a), np.ndim(b))
    shape_a = (1,) * (rank - np.ndim(a)) + np.shape(a)
    shape_b = (1,) * (rank - np.ndim(b)) + np.shape(b)
    left = np.reshape(a, tuple(n for size in shape_a for n in (size, 1)))
    right = np.reshape(b, tuple(n for size in shape_b for n in (1, size)))
    return np.reshape(left * right, tuple(p * q for p, q in zip(shape_a, shape_b, strict=True)))


@composite(np.cross)
def _cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Any:
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = np.moveaxis(a, axisa, -1), np.moveaxis(b, axisb, -1)
    if a.shape[-1] != 3 or b.shape[-1] != 3:
        raise ValueError("np.cross: both vectors must have 3 components to be differentiated")
    turned = [1, 2, 0], [2, 0, 1]
    result = a[..., turned[0]] * b[..., turned[1]] - a[..., turned[1]] * b[..., turned[0]]
    return np.moveaxis(result, -1, axisc)
