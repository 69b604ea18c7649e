"""Detected patterns against dense Jacobians: of every primitive, of programs, of Hessians, and at other points.

A pattern that lacks an entry makes a compressed Jacobian plausible and wrong, so what is asserted everywhere is that it
contains every nonzero, at the point of detection and at others; that it has no entry too many, wherever that is so.
"""

from __future__ import annotations

import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from registry_samples import COMPLEX, ONE_SHAPE, SAMPLES, Sample

import dualad
import reversead
from shared import (
    ClosedLevelError,
    LeafTypeError,
    RegistrationError,
    ShapeError,
    elementwise,
    multilinear,
    relu,
    rule,
    stop_gradient,
)
from shared.batching.vmap import vmap
from shared.calling.tree import flatten
from shared.core.duck_array import DuckArray
from shared.core.errors import DensePatternError
from shared.core.facets import STRUCTURES
from shared.core.primitive import Primitive
from shared.core.registry import REGISTRY
from shared.linear.custom import custom_derivative
from shared.sparse import dependence as rules_of_dependence
from shared.sparse.pattern import Pattern, as_pattern, as_sparse
from shared.sparse.sparsity import jacobian_pattern

RANDOM = np.random.default_rng(5)


def dense_jacobian(f: Callable[..., Any], args: list[Any]) -> np.ndarray:
    """All elements of the output by all elements of the arguments."""
    likes = flatten(f(*args))[0]
    blocks = dualad.jacobian(lambda *values: flatten(f(*values))[0], argnums=tuple(range(len(args))))(*args)
    columns = sum(np.size(a) for a in args)
    rows = [
        np.concatenate([np.reshape(block, (np.size(like), np.size(a))) for block, a in zip(row, args, strict=True)], 1)
        for like, row in zip(likes, blocks, strict=True)
    ]
    return np.concatenate(rows) if rows else np.zeros((0, columns))


def detected(f: Callable[..., Any], args: list[Any]) -> np.ndarray:
    return jacobian_pattern(f, *args, argnums=tuple(range(len(args)))).to_dense()


def assert_contains(pattern: np.ndarray, jacobian: np.ndarray) -> None:
    assert pattern.shape == jacobian.shape
    missing = np.argwhere((jacobian != 0) & ~pattern)
    assert not missing.size, f"nonzero entries that were not detected: {missing.tolist()}"


# --- every primitive --------------------------------------------------------------------------------------------------

#: Not holomorphic, so there is no complex Jacobian to compare with.
NOT_HOLOMORPHIC = (
    "conj", "vdot", "vecdot", "vecmat", "correlate", "slogdet", "eig(", "svd(", "singular_values.", "qr(", "pinv",
    "lstsq", "assume_a='her'", "trans='C'", "trans=2", "cho_solve(", "solveh_banded(", "polar(", "toeplitz(",
    "lyapunov(", ".solve(y, 'H')", ".solve(x, 'H')",
)  # fmt: skip
WITH_JACOBIAN = [*SAMPLES, *(s for s in COMPLEX if not any(name in s.expression for name in NOT_HOLOMORPHIC))]


#: Where a pattern has entries that are zero at every point that the test tries, and why.
INEXACT = {
    "one value is subtracted from or divided by itself": ("x / x", "x - x.T"),
    "what a step adds to an element was subtracted from it before": ("np.unwrap(",),
    "the first coefficients are one and the trace; a root of zero depends on the last coefficient": (
        "np.poly(x) x:(2,2)", "np.poly(x) x:(3,3)", "np.poly(x) x:(1,1)", "np.poly(x * np.eye(3",
        "np.roots(np.concatenate(",
    ),
    "of one element the mean, the largest and the least are itself": (
        "np.var(", "np.std(", "np.nanvar(", "np.nanstd(",
        "np.ptp(", "softmax(x) x:()", "softmax(x) x:float", "log_softmax(x, 0) x:()",
        "log_softmax(x, 0) x:float",
    ),
    "the domains of the operands or a constant decide which is chosen": (
        "np.clip(", "np.fmax(", "np.maximum.outer", "np.minimum.outer",
    ),
    "it is zero but where another operand is": ("np.heaviside(",),
    "a factor of a product of many is zero": ("np.prod(x *", "np.cumprod(x *", "np.multiply."),
    "the point decides what is read": ("np.interp(", "x[x > 0]", "x[np.nonzero", "np.argsort", "np.extract",
        "np.partition(", "np.unique(", "1d(x", "np.nanmedian(np.where", "np.nanquantile(", "np.nanpercentile(",
        "weights=[", "np.maximum.at", "np.histogram(x, 3, weights",
    ),
    "of a matrix all elements are taken together": (
        "linalg.", "solving.", "determinants.", "eigenvalues.", "singular_values.",
    ),
    "a cosine of a quarter turn is zero, or a transform undoes another": ("fft.hfft(", "fft.ir", "fft.dct", "fft.idct"),
    "of a convolution and a filter all elements are taken together": ("signal.",),
}  # fmt: skip


def other_points(sample: Sample) -> Iterator[list[Any]]:
    """The sample's arguments with their elements moved around and, where the domain allows it, their signs changed."""
    args = sample.arguments()
    for sign in (1, -1) if sample.domain == "spread" else (1,):
        for k in range(sum(np.size(a) for a in args)):
            yield [
                sign * np.roll(a, k) if isinstance(a, np.ndarray) else type(a)(sign * np.roll(a, k)[()]) for a in args
            ]


def is_exact(sample: Sample) -> bool:
    return sample not in COMPLEX and not any(part in str(sample) for parts in INEXACT.values() for part in parts)


@pytest.mark.parametrize("sample", [s for s in WITH_JACOBIAN if not is_exact(s)], ids=str)
def test_pattern_of_every_other_sample_contains_its_jacobian(sample: Sample) -> None:
    args = sample.arguments()
    assert_contains(detected(sample.function, args), dense_jacobian(sample.function, args))


@pytest.mark.parametrize("sample", [s for s in WITH_JACOBIAN if is_exact(s)], ids=str)
def test_pattern_of_moves_elementwise_functions_reductions_and_products_is_exact(sample: Sample) -> None:
    args = sample.arguments()
    pattern, seen = detected(sample.function, args), dense_jacobian(sample.function, args) != 0
    for point in other_points(sample):
        if np.array_equal(pattern, seen):
            break
        seen |= dense_jacobian(sample.function, point) != 0
    np.testing.assert_array_equal(pattern, seen)


#: Python's own `max` takes a branch, and what a mask reads is as long as it says.
OTHER_BRANCHES_AND_SHAPES = ("max(x) - min(x)", "x[x > 0]", "x[np.nonzero(x > 0)]", "np.extract(x > 0, x)")
#: A set is as long as it has different elements, and what is trimmed as its zeros say.
SETS = ("np.trim_zeros", "np.roots", "np.unique", "union1d(", "setdiff1d(", "setxor1d(", "intersect1d(")


def has_one_shape(sample: Sample) -> bool:
    expression = sample.expression
    return expression not in OTHER_BRANCHES_AND_SHAPES and not any(name in expression for name in SETS)


@pytest.mark.parametrize("sample", [s for s in ONE_SHAPE if s.domain == "spread" and has_one_shape(s)], ids=str)
def test_patterns_of_samples_hold_at_zeros_and_ties_and_those_found_there_elsewhere(sample: Sample) -> None:
    args = sample.arguments()
    # Not Python's own numbers, of which the reciprocal of zero is an error.
    rounded = [np.round(a) if hasattr(a, "dtype") else a for a in args]
    with np.errstate(all="ignore"):
        try:
            kinked = dense_jacobian(sample.function, rounded)
        except np.linalg.LinAlgError:
            return  # a singular matrix has no derivative
        jacobians = [dense_jacobian(sample.function, args), np.where(np.isfinite(kinked), kinked, 0.0)]
        for pattern in (detected(sample.function, args), detected(sample.function, rounded)):
            for jacobian in jacobians:
                assert_contains(pattern, jacobian)


def test_samples_of_nothing_leave_the_pattern_of_everything_else_as_it_is() -> None:
    tried = 0
    for sample in WITH_JACOBIAN:
        args = sample.arguments()

        def f(*args: Any, sample: Sample = sample) -> Any:
            return [sample.function(*[a[:0] if np.ndim(a) else a for a in args]), [a * 2.0 for a in args]]

        if not any(np.size(a) > 1 for a in args):
            continue
        with np.errstate(all="ignore"), warnings.catch_warnings():
            # NumPy says that a mean of nothing is one.
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                dualad.jvp(f, tuple(args), tuple(args))
            except Exception:
                continue  # it needs an element, a square, weights that add up to something, ...
            pattern = detected(f, args)
        count = pattern.shape[1]
        assert np.array_equal(pattern[-count:], np.eye(count, dtype=bool)), sample
        tried += 1
    assert tried > 1000


def test_a_rule_that_loses_an_entry_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(REGISTRY[np.sin], "dependence", lambda a: (None, None))
    with pytest.raises(AssertionError, match="not detected"):
        assert_contains(detected(np.sin, [np.ones(2)]), dense_jacobian(np.sin, [np.ones(2)]))


def test_every_word_has_a_meaning_and_a_row_that_uses_it() -> None:
    entries = [entry for entry in REGISTRY.values() if isinstance(entry, Primitive)]
    words = {entry.dependence for entry in entries if isinstance(entry.dependence, str)}
    assert words == set(STRUCTURES) == set(rules_of_dependence.MEANINGS)


# --- primitives that say nothing, or something wrong ------------------------------------------------------------------


@pytest.mark.usefixtures("undeclared")
def test_a_primitive_of_one_s_own_may_say_how_its_elements_depend() -> None:
    reverse = multilinear(lambda x: x[::-1], lambda c, x: c[::-1], dependence="move")
    np.testing.assert_array_equal(jacobian_pattern(reverse, np.ones(3)).to_dense(), np.eye(3, dtype=bool)[::-1])
    first = multilinear(
        lambda x: x[:1], lambda c, x: np.concatenate([c, np.zeros(2)]),
        dependence=lambda a: (a.operands[0].relation.taken(np.zeros(1, np.int64)), None),
    )  # fmt: skip
    assert jacobian_pattern(first, np.ones(3)) == Pattern([0], [0], (1, 3))
    with pytest.raises(RegistrationError, match=r"dependence, if no rule, is one of elementwise, .*; not 'moves'"):
        multilinear(lambda x: x[::-1], lambda c, x: c[::-1], dependence="moves")


@pytest.fixture
def undeclared() -> Iterator[None]:
    """Takes what a test declares out of the registry again."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


@pytest.mark.usefixtures("undeclared")
def test_unknown_linear_primitives_and_rules_mix_everything() -> None:
    reverse = multilinear(lambda x: x[::-1], lambda c, x: c[::-1])
    scaled = rule(
        lambda x, y: x * np.sum(y),
        vjps=(lambda c, y: c * np.sum(y), None),
        jvps=(lambda t, y: t * np.sum(y), None),
        broadcasts=True,
        because="it broadcasts, and yet it is not elementwise",
    )
    assert jacobian_pattern(reverse, np.ones(3)).nnz == 9
    assert jacobian_pattern(lambda x: reverse(x[:2]), np.ones(3)).nnz == 4
    assert jacobian_pattern(lambda x: scaled(x[:1], x[1:]), np.ones(3)) == Pattern([0], [0], (1, 3))
    assert jacobian_pattern(lambda x: scaled(x[:2], x[1:]), np.ones(3)).nnz == 4


@pytest.mark.usefixtures("undeclared")
def test_unknown_elementwise_primitives_are_elementwise() -> None:
    def ramp(x: Any) -> Any:
        return np.where(x > 0, x, 0)

    declared = elementwise(ramp, lambda x: (x > 0) * 1.0)
    np.testing.assert_array_equal(jacobian_pattern(declared, -np.ones(3)).to_dense(), np.eye(3, dtype=bool))


def test_a_function_with_its_own_derivative_depends_as_its_rule_does(ad: Any) -> None:
    # The function itself is constant almost everywhere.
    straight_through = custom_derivative(np.round, jvp=lambda tangents, out, x: tangents[0])
    running = custom_derivative(np.cumsum, vjp=lambda c, out, x: (np.flip(np.cumsum(np.flip(c))),))
    plain_only = custom_derivative(
        np.positive,
        jvp=lambda tangents, out, x: np.array([float(t) for t in tangents[0]]),
        vjp=lambda c, out, x: (np.array([float(v) for v in c]),),
    )
    x = np.array([0.2, 1.7, -0.4])
    for f, entries in ((straight_through, 3), (running, 6), (plain_only, 9)):
        pattern = jacobian_pattern(f, x)
        assert pattern.nnz == entries
        assert_contains(pattern.to_dense(), ad.jacobian(f)(x))
    assert jacobian_pattern(ad.grad(lambda x: np.sum(straight_through(x) ** 2)), x).nnz == 3


# --- programs ---------------------------------------------------------------------------------------------------------

N = 6
UPPER = np.diag(np.arange(1.0, N + 1)) + np.diag([0.0, 2.0, 0.0, 1.0, 3.0], 1)
TABLE = np.array([0.0, 1.0, 0.0, 2.0, 0.0, 3.0])


def banded(n: int, below: int, above: int) -> np.ndarray:
    rows, columns = np.indices((n, n))
    return (columns - rows <= above) & (rows - columns <= below)


def burgers(u: Any) -> Any:
    """An explicit step of the viscous Burgers equation with fixed ends."""
    inner = u[1:-1] - 0.1 * u[1:-1] * (u[2:] - u[:-2]) + 0.2 * (u[2:] - 2 * u[1:-1] + u[:-2])
    return np.concatenate([u[:1], inner, u[-1:]])


def fourth_order(u: Any) -> Any:
    padded = np.pad(u, 2)
    return (-padded[:-4] + 16 * padded[1:-3] - 30 * u + 16 * padded[3:-1] - padded[4:]) / 12 + u**3


def laplacian(w: Any) -> Any:
    return np.concatenate([w[1:], [3.0]]) - 2 * w + np.concatenate([[3.0], w[:-1]])


def brusselator_stacked(z: Any) -> Any:
    u, v = np.split(z, 2)
    return np.concatenate([1 + u * u * v - 4 * u + laplacian(u), 3 * u - u * u * v + laplacian(v)])


def brusselator_interleaved(z: Any) -> Any:
    u, v = z[0::2], z[1::2]
    rates = np.stack([1 + u * u * v - 4 * u + laplacian(u), 3 * u - u * u * v + laplacian(v)], axis=1)
    return np.reshape(rates, -1)


def test_pattern_of_a_burgers_step_is_tridiagonal() -> None:
    expected = banded(8, 1, 1)
    expected[0, 1] = expected[-1, -2] = False
    np.testing.assert_array_equal(jacobian_pattern(burgers, np.ones(8)).to_dense(), expected)


def test_pattern_of_a_fourth_order_stencil_is_pentadiagonal() -> None:
    np.testing.assert_array_equal(jacobian_pattern(fourth_order, np.zeros(9)).to_dense(), banded(9, 2, 2))


def test_pattern_of_the_brusselator_in_either_order() -> None:
    n = 7
    stacked = np.block([[banded(n, 1, 1), np.eye(n, dtype=bool)], [np.eye(n, dtype=bool), banded(n, 1, 1)]])
    np.testing.assert_array_equal(jacobian_pattern(brusselator_stacked, np.ones(2 * n)).to_dense(), stacked)
    order = np.arange(2 * n).reshape(2, n).T.reshape(-1)
    interleaved = jacobian_pattern(brusselator_interleaved, np.ones(2 * n)).to_dense()
    np.testing.assert_array_equal(interleaved, stacked[np.ix_(order, order)])


def test_pattern_of_an_arrow() -> None:
    def arrow(x: Any) -> Any:
        return np.concatenate([np.sum(x**2, keepdims=True), x[0] * x[1:]])

    expected = np.eye(5, dtype=bool)
    expected[0] = expected[:, 0] = True
    np.testing.assert_array_equal(jacobian_pattern(arrow, np.ones(5)).to_dense(), expected)


def test_residuals_depend_on_their_camera_and_their_point() -> None:
    cameras, points = np.array([0, 0, 1, 1, 1]), np.array([0, 2, 0, 1, 2])

    def residuals(camera: Any, point: Any) -> Any:
        seen = point[points] - camera[cameras, :3]
        return seen[:, :2] / seen[:, 2:] * camera[cameras, 3:]

    pattern = jacobian_pattern(residuals, np.ones((2, 4)), np.arange(9.0).reshape(3, 3), argnums=(0, 1)).to_dense()
    of_camera, of_point = pattern[:, :8].reshape(5, 2, 2, 4), pattern[:, 8:].reshape(5, 2, 3, 3)
    for k in range(5):
        np.testing.assert_array_equal(of_camera[k].any(axis=(0, 2)), np.arange(2) == cameras[k])
        np.testing.assert_array_equal(of_point[k].any(axis=(0, 2)), np.arange(3) == points[k])
        # The horizontal residual does not depend on the vertical position.
        assert not of_camera[k, 0, cameras[k], 1]
        assert not of_point[k, 0, points[k], 1]


def fill(x: Any) -> Any:
    y = np.zeros_like(x)
    for k in range(1, N):
        y[k] = y[k - 1] * x[k] + x[k - 1]
    return y


def views(x: Any) -> Any:
    y = x.copy()
    part = y[1:4]
    part *= x[:3]
    y[::2] += 1.0
    y[[0, 0, 5]] = x[[1, 2, 3]]
    return y


def assemble(x: Any) -> Any:
    matrix = np.zeros((N, N), like=x)
    for k in range(N):
        matrix[k, k] = x[k]
        if k:
            matrix[k, k - 1] += 2.0 * x[k - 1]
    return matrix @ np.sin(x)


def masked_assignment(x: Any) -> Any:
    y = np.zeros_like(x)
    y[x > 0] = x[0]
    y[1] += x[2]
    return y * x


def rare_assignment(x: Any) -> Any:
    # At most points no element is that large.
    y = x.copy()
    y[x > 2.5] = x[0] * x[1]
    return y


def rare_reading(x: Any) -> Any:
    return x[:2] * np.sum(x[x > 2.5] * x[3])


def ordered_assignment(x: Any) -> Any:
    y = np.zeros(N, like=x)
    y[np.argsort(x)] = x**2
    return y


def edited_mask(x: Any) -> Any:
    mask = x > 0
    part = mask[1:]
    part[...] = False
    mask[0] |= True
    mask &= x < 2
    return x * mask


def rounded(x: Any) -> Any:
    whole = np.floor(x)
    whole += 1
    whole[0] = 0
    return whole * x


def into_a_plain_array(write: Callable[[np.ndarray, Any], Any]) -> Callable[[Any], Any]:
    """A factor that NumPy writes into a plain array, where or what the point decides."""

    def f(x: Any) -> Any:
        factor = np.zeros(N)
        write(factor, x)
        return x * factor

    return f


def overwritten_up_to_a_count(x: Any) -> Any:
    y = x * 1.0
    y[: np.count_nonzero(x > 0)] = x[0]
    return y


def added_from_the_largest_on(x: Any) -> Any:
    y = x * 1.0
    part = y[np.argmax(x) :]
    part += x[0]
    return y


def around_the_largest(x: Any) -> Any:
    k = np.argmax(x[1:-1]) + 1
    return x * np.sum(x[k - 1 : k + 2] ** 2)


def examples(f: Callable[[Any], Any], x: Any) -> Any:
    """The results of the two halves of an array as examples, one after the other."""
    return np.reshape(vmap(f)(np.reshape(x, (2, 3))), -1)


def examples_cut_by_the_point(x: Any) -> Any:
    k = np.argmax(x) % 2

    def f(r: Any) -> Any:
        y = r * r
        y[:k] = r[2] * r[0]
        y[3:] = r[0]
        return np.concatenate([y[:1], r[k : k + 2] * r[0]])

    return examples(f, x)


def gradients_of_examples(x: Any) -> Any:
    kinked = reversead.grad(lambda r: np.sum(np.abs(r)) + np.sum(r[1:] * r[:-1]) * r[0] + np.max(r))
    return examples(kinked, x)


#: Programs of N numbers whose Jacobian has other zeros at other points.
DECIDED_BY_THE_POINT: dict[str, Callable[[Any], Any]] = {
    "a mask as a factor": lambda x: x * (x > 0),
    "a mask made a float": lambda x: x * (x > 0).astype(float),
    "a mask made by where": lambda x: x * np.where(x > 0, 1.0, 0.0),
    "masks combined": lambda x: x * (~(x > 0) | ((x > 1) & (x < 2))),
    "a mask of one element": lambda x: x * (x[0] > 0),
    "a mask made a plain array": lambda x: x * np.asarray(x > 0),
    "a mask made a list": lambda x: x * np.array([float(v) for v in (x > 0).tolist()]),
    "a matrix times a mask": lambda x: (UPPER * (x > 0)) @ x,
    "a choice": lambda x: np.where(x > 0, x, x[::-1]),
    "a choice of cases": lambda x: np.select([x > 1, x > 0], [x, x[::-1]], 0.0),
    "a sign": lambda x: x * np.sign(x),
    "a rounding": lambda x: x * np.floor(x),
    "a rounding made a float": lambda x: x * float(np.floor(stop_gradient(x)[0])),
    "a rounding made an integer": lambda x: x * int(np.floor(x[0])),
    "a rounding edited": rounded,
    "integers": lambda x: x * x.astype(int),
    "a count": lambda x: x * (np.count_nonzero(x > 0) - 3),
    "a step": lambda x: x * np.heaviside(x, 0.5),
    "a remainder": lambda x: x % np.abs(x[::-1]),
    "the largest element": lambda x: x * x[np.argmax(x)],
    "the largest element of a table": lambda x: x * TABLE[np.argmax(x)],
    "a table in order": lambda x: x * TABLE[np.argsort(x)],
    "sorted": np.sort,
    "the median": lambda x: np.sort(x)[3] * x,
    "taken in order": lambda x: np.take(x, np.argsort(x)),
    "extrema": lambda x: np.maximum(x[1:], x[:-1]) * np.min(x),
    "clipped": lambda x: np.clip(x, -0.5, 0.5) * x[::-1],
    "relu": lambda x: relu(x) * x[::-1],
    "powers": lambda x: np.abs(x) ** x[::-1],
    "outer product with a mask": lambda x: np.outer(x > 0, x)[0],
    "assigned by a mask": masked_assignment,
    "assigned by a mask that is mostly empty": rare_assignment,
    "read by a mask that is mostly empty": rare_reading,
    "assigned in order": ordered_assignment,
    "a mask edited": edited_mask,
    "added at a place of a plain array": into_a_plain_array(lambda w, x: np.add.at(w, np.argmax(x), 1.0)),
    "added to a part of a plain array": into_a_plain_array(lambda w, x: np.add.at(w[1:], np.argmax(x[1:]), 1.0)),
    "put into a plain array": into_a_plain_array(lambda w, x: np.put(w, np.argsort(x)[:2], 1.0)),
    "put by the array's method": into_a_plain_array(lambda w, x: w.put(np.argsort(x)[:2], 1.0)),
    "put along an axis": into_a_plain_array(lambda w, x: np.put_along_axis(w, np.argsort(x)[:2], 1.0, 0)),
    "copied into a plain array": into_a_plain_array(lambda w, x: np.copyto(w, x > 0)),
    "copied where a mask says": into_a_plain_array(lambda w, x: np.copyto(w, 1.0, where=x > 0)),
    "put where a mask says": into_a_plain_array(lambda w, x: np.putmask(w, x > 0, 1.0)),
    "placed where a mask says": into_a_plain_array(lambda w, x: np.place(w, x > 0, [1.0])),
    "the output of a function": into_a_plain_array(lambda w, x: np.clip(np.floor(x), 0, 1, w)),
    "the output of a scan": into_a_plain_array(lambda w, x: np.cumsum(x > 0, 0, None, w)),
    "the output of a ufunc": into_a_plain_array(lambda w, x: np.add(np.floor(x), 0, w)),
    "read from a dictionary": lambda x: x * {-1.0: 0.0, 0.0: 1.0, 1.0: 2.0}[np.sign(x)[0]],
    "assigned up to a count": overwritten_up_to_a_count,
    "added to a view that the point begins": added_from_the_largest_on,
    "a window that the point places": around_the_largest,
    "split at a count": lambda x: x[:1] * np.sum(np.split(x, [np.count_nonzero(x > 0)])[0]),
    "the fourth that a mask chooses": lambda x: x[:2] * np.sum(x[x > 0][3:]),
    "the fourth place that a mask chooses": lambda x: x[:2] * np.sum(x[np.flatnonzero(x > 0)][3:]),
    "the fourth place by where": lambda x: x[:2] * np.sum(x[np.where(x > 0)[0]][3:]),
    "examples cut by the point": examples_cut_by_the_point,
    "gradients of examples": gradients_of_examples,
    "the fourth place by a method": lambda x: x[:2] * np.sum(x[(x > 0).nonzero()[0]][3:]),
}

POINTS = [RANDOM.normal(size=N) * scale for scale in (0.1, 1.0, 1.0, 2.0, 4.0)]
POINTS += [np.arange(1.0, N + 1), -np.arange(1.0, N + 1), np.abs(POINTS[1]), -np.abs(POINTS[1])]

#: Derivatives of a scalar made of a program, which a pattern is detected through.
GRADIENTS: dict[str, Callable[..., Any]] = {
    "jacobian": lambda f: f,
    "reversead.grad": lambda f: reversead.grad(lambda x: np.sum(np.sin(f(x)))),
    "dualad.grad": lambda f: dualad.grad(lambda x: np.sum(np.sin(f(x)))),
}


@pytest.mark.parametrize("through", GRADIENTS)
@pytest.mark.parametrize("name", DECIDED_BY_THE_POINT)
def test_a_pattern_found_at_one_point_holds_at_the_others(name: str, through: str) -> None:
    f = GRADIENTS[through](DECIDED_BY_THE_POINT[name])
    patterns = [detected(f, [x]) for x in POINTS]
    for x in POINTS:
        jacobian = dense_jacobian(f, [x])
        for pattern in patterns:
            if pattern.shape == jacobian.shape:
                assert_contains(pattern, jacobian)


def test_slices_and_ends_of_python_integers_cost_no_entry() -> None:
    # After np.sort, which the point decides, slices are still the program's, and those without an element too.
    def f(x: Any) -> Any:
        y = np.concatenate([np.sort(x[:2]), x[2:], x[N:]])
        y[N:] = x[0]
        return y

    expected = np.eye(N, dtype=bool)
    expected[:2, :2] = True
    np.testing.assert_array_equal(detected(f, [POINTS[1]]), expected)


def test_a_factor_that_the_point_decides_costs_no_entry() -> None:
    eye = np.eye(N, dtype=bool)
    for name in ("a mask as a factor", "masks combined", "a sign", "a rounding", "a step", "a count"):
        for x in POINTS:
            np.testing.assert_array_equal(detected(DECIDED_BY_THE_POINT[name], [x]), eye)


def test_python_branches_are_those_of_the_point() -> None:
    def f(x: Any) -> Any:
        return x * x[0] if x[0] > 0 else x

    assert jacobian_pattern(f, np.array([1.0, 2.0])).nnz == 3
    assert jacobian_pattern(f, np.array([-1.0, 2.0])).nnz == 2


EXACT_PROGRAMS: dict[str, Callable[[Any], Any]] = {
    "a constant matrix": lambda x: UPPER @ np.sin(x),
    "a constant matrix on the right": lambda x: np.sin(x) @ UPPER,
    "a constant matrix in einsum": lambda x: np.einsum("ij,j->i", UPPER, x * x),
    "a batch of constant matrices": lambda x: np.stack([UPPER, UPPER.T]) @ np.reshape(x, (N, 1)),
    "a constant factor": lambda x: TABLE * x * x[::-1],
    "a constant mask": lambda x: np.where(TABLE > 0, x, 0.0),
    "a triangle": lambda x: np.tril(np.outer(x, x)),
    "a diagonal matrix": lambda x: np.diag(x) @ x[::-1],
    "an array filled element by element": fill,
    "views and overwritten elements": views,
    "a matrix assembled": assemble,
    "a matrix assembled, transposed": lambda x: np.diag(x) @ UPPER.T @ np.diag(x),
    "a cumulative product": lambda x: np.cumprod(np.reshape(x, (2, 3)), axis=1),
    "constant exponents": lambda x: x ** np.array([0.0, 1.0, 2.0, 0.0, 3.0, 1.0]),
    "a quotient": lambda x: x[:3] / x[3:],
    "rolled and padded": lambda x: np.roll(np.pad(x, 1), 2)[1:-1] * 2.0,
    "moved axes": lambda x: np.moveaxis(np.reshape(x, (1, 2, 3)), 0, 2)[..., 0].T,
    "a norm of a part": lambda x: np.linalg.norm(x[:2]) * x,
    "no output": lambda x: x[:0],
    "a constant": lambda x: np.ones(3),
    "several outputs": lambda x: {"b": x[0] * x[1], "a": (x[2:4], 1.0)},
}


@pytest.mark.parametrize("name", EXACT_PROGRAMS)
def test_patterns_of_programs_are_exact(name: str) -> None:
    f, x = EXACT_PROGRAMS[name], np.arange(1.0, N + 1)
    np.testing.assert_array_equal(detected(f, [x]), dense_jacobian(f, [x]) != 0)


OBJECTIVES: dict[str, tuple[Callable[[Any], Any], np.ndarray]] = {
    "Rosenbrock": (lambda x: np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2), banded(N, 1, 1)),
    "separable": (lambda x: np.sum(np.exp(x) * x), np.eye(N, dtype=bool)),
    "linear": (lambda x: np.sum(TABLE * x), np.zeros((N, N), bool)),
    "a quadratic form": (lambda x: x @ (UPPER @ x) + np.sum(x**2), (UPPER + UPPER.T + np.eye(N)) != 0),
    "of some elements": (lambda x: np.prod(x[1:3]) + x[5] ** 3, np.diag([False] * 5 + [True])),
    "in a loop": (
        lambda x: sum((x[k] * x[k + 2] for k in range(N - 2)), 0.0),
        np.diag([True] * 4, 2) | np.diag([True] * 4, -2),
    ),
    "of an array filled": (lambda x: np.sum(views(x) ** 2), np.zeros((0, 0), bool)),
}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_pattern_of_a_gradient_is_that_of_the_hessian(ad: Any, name: str) -> None:
    f, expected = OBJECTIVES[name]
    x = np.array([0.5, -1.2, 0.7, 1.9, -0.3, 1.1])
    pattern = jacobian_pattern(ad.grad(f), x)
    hessian = ad.hessian(f)(x)
    assert_contains(pattern.to_dense(), hessian)
    assert_contains(pattern.transpose().to_dense(), hessian)
    if name == "of some elements":
        expected = expected | (hessian != 0)
    elif name == "of an array filled":
        expected = hessian != 0
    np.testing.assert_array_equal(pattern.symmetrised().to_dense(), expected)


@given(st.lists(st.integers(0, 11), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_patterns_of_random_programs_hold_everywhere(steps: list[int], seed: int) -> None:
    random = np.random.default_rng(seed)
    order, constants = random.permutation(N), random.integers(-1, 2, (len(steps), N)).astype(float)
    operations: list[Callable[..., Any]] = [
        lambda a, b, c: a * b,
        lambda a, b, c: a + np.sin(b),
        lambda a, b, c: a * c,
        lambda a, b, c: np.where(a > 0, b, a),
        lambda a, b, c: np.maximum(a, b),
        lambda a, b, c: a[order],
        lambda a, b, c: np.concatenate([a[2:], b[:2]]),
        lambda a, b, c: np.tanh(a) * (b > 0),
        lambda a, b, c: np.roll(a, 1) - c,
        lambda a, b, c: np.broadcast_to(np.sum(a[:2]), (N,)) * b,
        lambda a, b, c: np.repeat(np.mean(np.reshape(a, (3, 2)), axis=1), 2),
        lambda a, b, c: np.abs(a) * np.floor(b),
    ]

    def f(x: Any) -> Any:
        a, b = x, x[::-1]
        for step, c in zip(steps, constants, strict=True):
            a, b = operations[step](a, b, c), a
        return a

    pattern = detected(f, [random.normal(size=N)])
    for scale in (0.5, 2.0, 2.0):
        assert_contains(pattern, dense_jacobian(f, [scale * random.normal(size=N)]))


# --- the function -----------------------------------------------------------------------------------------------------


def test_leaves_are_columns_one_after_the_other() -> None:
    def f(p: Any, k: int, q: Any, *, scale: Any) -> Any:
        return [p["b"] * q[k], p["a"][0] * scale]

    args = ({"b": np.ones(2), "a": (3.0,)}, 1, np.ones(3))
    pattern = jacobian_pattern(f, *args, argnums=(0, 2), scale=2.0)
    # Columns are those of a, b and q; rows those of the first output and of the second.
    assert pattern == Pattern([0, 0, 1, 1, 2], [1, 4, 2, 4, 0], (3, 6))
    assert jacobian_pattern(f, *args, argnums=2, scale=2.0) == Pattern([0, 1], [1, 1], (3, 3))


def test_scalars_and_empty_arguments() -> None:
    assert jacobian_pattern(lambda x: x * x, 2.0) == Pattern([0], [0], (1, 1))
    assert jacobian_pattern(lambda x: 1.0, 2.0) == Pattern([], [], (1, 1))
    assert jacobian_pattern(lambda x: np.sum(x), np.zeros(0)) == Pattern([], [], (1, 0))
    assert jacobian_pattern(lambda x: np.sum(x), 3) == Pattern([0], [0], (1, 1))


def test_errors_are_those_of_jacobian() -> None:
    with pytest.raises(LeafTypeError, match="jacobian_pattern"):
        jacobian_pattern(lambda x: x, np.ones(2, bool))
    with pytest.raises(ShapeError, match="returned a str"):
        jacobian_pattern(lambda x: "x", 1.0)
    with pytest.raises(ValueError, match="out of range"):
        jacobian_pattern(lambda x: x, 1.0, argnums=1)


def test_a_traced_value_cannot_be_used_after_the_detection() -> None:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.extend([x, x > 0])
        if len(kept) == 2:
            raise ZeroDivisionError
        return x

    with pytest.raises(ZeroDivisionError):
        jacobian_pattern(f, np.ones(2))
    for value in kept:
        assert isinstance(value, DuckArray)
        with pytest.raises(ClosedLevelError):
            np.sin(value)
    with pytest.raises(ClosedLevelError):
        kept[1] & True
    with pytest.raises(ClosedLevelError):
        kept[0][0] = 1.0


def test_the_caller_s_array_is_not_written() -> None:
    def f(x: Any) -> Any:
        x[0] = 7.0
        x += x[1]
        return x

    x = np.array([1.0, 2.0, 3.0])
    pattern = jacobian_pattern(f, x)
    np.testing.assert_array_equal(x, [1.0, 2.0, 3.0])
    np.testing.assert_array_equal(pattern.to_dense(), [[0, 1, 0], [0, 1, 0], [0, 1, 1]])


def test_detection_inside_a_differentiated_function(ad: Any) -> None:
    found = []

    def f(x: Any) -> Any:
        found.append(jacobian_pattern(lambda y: y[1:] * x[:-1], x))
        return np.sum(x**2)

    np.testing.assert_array_equal(ad.grad(f)(np.array([1.0, 2.0])), [2.0, 4.0])
    assert found[0] == Pattern([0], [1], (1, 2))


def test_large_banded_programs_take_memory_in_proportion_to_their_entries() -> None:
    n = 20_000
    x = RANDOM.normal(size=2 * n)
    tracemalloc.start()
    try:
        patterns = [jacobian_pattern(brusselator_stacked, x), jacobian_pattern(brusselator_interleaved, x)]
        patterns.append(jacobian_pattern(reversead.grad(OBJECTIVES["Rosenbrock"][0]), x))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert [pattern.nnz for pattern in patterns] == [8 * n - 4, 8 * n - 4, 6 * n - 2]
    # A dense matrix of booleans would take 1,600 MB.
    assert peak < 50e6


def test_a_dense_pattern_of_many_inputs_is_refused() -> None:
    with pytest.raises(DensePatternError, match=r"400,000,000 pairs .*test_sparsity.py"):
        jacobian_pattern(lambda x: x / np.sum(x), np.ones(20_000))


# --- patterns that users give -----------------------------------------------------------------------------------------


def test_a_pattern_keeps_its_entries_in_order_and_once() -> None:
    pattern = Pattern(np.array([2, 0, 2, 0], np.uint8), [1, 3, 1, 0], (3, 4))
    assert (pattern.rows.tolist(), pattern.columns.tolist()) == ([0, 0, 2], [0, 3, 1])
    assert (pattern.nnz, pattern.shape) == (3, (3, 4))
    assert repr(pattern) == "<pattern 3 x 4, 3 nonzeros>"
    assert repr(Pattern([0], [0], (1, 1))) == "<pattern 1 x 1, 1 nonzero>"
    assert pattern.transpose().transpose() == pattern != pattern.transpose()
    assert hash(pattern) == hash(as_pattern(pattern.to_dense()))
    np.testing.assert_array_equal(pattern.transpose().to_dense(), pattern.to_dense().T)


def test_a_pattern_cannot_be_changed() -> None:
    pattern = Pattern([0], [0], (1, 1))
    with pytest.raises(AttributeError, match="cannot be changed"):
        pattern.rows = np.zeros(1, int)
    with pytest.raises(ValueError, match="read-only"):
        pattern.rows[0] = 1


def test_union_and_symmetrised() -> None:
    lower = Pattern([1, 2], [0, 2], (3, 3))
    assert lower | Pattern([0], [0], (3, 3)) == Pattern([0, 1, 2], [0, 0, 2], (3, 3))
    assert lower.symmetrised() == Pattern([0, 1, 2], [1, 0, 2], (3, 3))
    with pytest.raises(ShapeError, match="differ in shape"):
        lower | Pattern([0], [0], (3, 2))
    with pytest.raises(ShapeError, match="not square"):
        Pattern([0], [0], (3, 2)).symmetrised()


def test_a_pattern_is_given_in_three_ways() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    matrix = RANDOM.random((4, 5)) < 0.4
    pattern = as_pattern(matrix)
    np.testing.assert_array_equal(pattern.to_dense(), matrix)
    assert as_pattern(pattern) is pattern
    assert as_pattern(np.nonzero(matrix), matrix.shape) == pattern
    for made in (sparse.csr_array, sparse.csc_matrix, sparse.coo_array, sparse.lil_array):
        assert as_pattern(made(matrix), (4, 5)) == pattern
    # An entry that is stored and False is none.
    stored = sparse.coo_array((np.array([True, False]), ([0, 1], [1, 2])), shape=(4, 5))
    assert as_pattern(stored) == Pattern([0], [1], (4, 5))


@pytest.mark.parametrize(
    ("given_for_one", "shape", "error", "message"),
    [
        (np.ones((2, 2)), None, LeafTypeError, "dtype float64.*matrix != 0"),
        (np.ones((2, 2), int), None, LeafTypeError, "dtype int64"),
        (np.ones(3, bool), None, ShapeError, "1 axes is no matrix"),
        (np.ones((2, 2), bool), (2, 3), ShapeError, "2 x 2, 4 nonzeros.*2 x 3 is needed"),
        (([0], [0]), None, TypeError, "need a shape"),
        (([0, 1], [0]), (2, 2), ShapeError, "2 row indices but 1 column"),
        (([0, 2], [0, 0]), (2, 2), ShapeError, "2 is out of range among the rows"),
        (([0], [-1]), (2, 2), ShapeError, "-1 is out of range among the columns"),
        (([0.0], [0]), (2, 2), LeafTypeError, "rows have dtype float64"),
        (([[0]], [0]), (2, 2), ShapeError, "rows have 2 axes"),
        (([0], [0]), (2,), TypeError, "a shape is two counts"),
        (([0], [0]), (2, 2.0), TypeError, "a shape is two counts"),
        ([[True]], None, TypeError, "a list is no pattern"),
        ("dense", None, TypeError, "a str is no pattern"),
    ],
)
def test_what_is_no_pattern_is_refused(given_for_one: Any, shape: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        as_pattern(given_for_one, shape)
    assert __file__ in str(caught.value)


def test_a_sparse_matrix_of_numbers_is_refused() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    with pytest.raises(LeafTypeError, match="matrix != 0"):
        as_pattern(sparse.eye_array(3))


def test_values_become_a_sparse_matrix_that_keeps_every_entry() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    pattern = Pattern([0, 0, 3], [1, 2, 0], (4, 3))
    matrix = as_sparse(np.array([1.0, 0.0, 2.0]), pattern)
    assert isinstance(matrix, sparse.csr_array)
    assert matrix.nnz == 3
    np.testing.assert_array_equal(matrix.toarray(), [[0, 1, 0], [0, 0, 0], [0, 0, 0], [2, 0, 0]])
    with pytest.raises(ShapeError, match="one for each nonzero"):
        as_sparse(np.ones(2), pattern)


def test_without_scipy_values_come_with_their_indices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "scipy.sparse", None)
    pattern = Pattern([0, 1], [1, 0], (2, 2))
    values, (rows, columns) = as_sparse(np.array([1.0, 2.0]), pattern)
    assert (values.tolist(), rows.tolist(), columns.tolist()) == ([1.0, 2.0], [0, 1], [1, 0])
    rows[0] = 1  # a copy
    assert pattern.rows[0] == 0


def test_traced_values_come_with_their_indices(ad: Any) -> None:
    pattern = Pattern([0, 1], [1, 0], (2, 2))
    assert ad.derivative(lambda t: as_sparse(np.stack([t, t * t]), pattern)[0])(3.0).tolist() == [1.0, 6.0]
