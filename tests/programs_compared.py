"""Results of functions and of what is made of them, compared: values, kinds, layouts and memory."""

from __future__ import annotations

import numpy as np

import dualad
import reversead
from shared.calling.tree import flatten, tree_map

SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, 2.0, np.inf, -np.inf, np.nan, 1e300, -1e300, 1e-300, 5e-324)
#: LAPACK may not return from a NaN.
FINITE_ONLY = ("linalg", "cond", "corrcoef")


def copied(tree):
    return tree_map(lambda leaf: leaf.copy() if isinstance(leaf, np.ndarray) else leaf, tree)


def assert_same(found, expected, what, scale=0.0, exactly=False):
    """Equal in structure, kind, dtype, shape and, to rounding, in every number."""
    found_leaves, found_structure = flatten(found)
    expected_leaves, structure = flatten(expected)
    assert found_structure == structure, what
    for one, other in zip(found_leaves, expected_leaves, strict=True):
        assert type(one) is type(other), f"{what}: a {type(one).__name__} and not a {type(other).__name__}"
        a, b = np.asarray(one), np.asarray(other)
        assert (a.dtype, a.shape) == (b.dtype, b.shape), what
        if exactly or b.dtype.kind not in "fc":
            assert a.tobytes() == b.tobytes() or np.array_equal(a, b), f"{what}: {a} and not {b}"
            continue
        np.testing.assert_array_equal(np.isnan(a), np.isnan(b), what)
        finite = np.isfinite(b)
        np.testing.assert_array_equal(np.isfinite(a), finite, what)
        if b.dtype.kind == "f":
            np.testing.assert_array_equal(a[~finite], b[~finite], what)
        if finite.any():
            with np.errstate(all="ignore"):
                size = max(np.abs(b[finite]).max(), scale)
                error = np.abs(a[finite] / 2 - b[finite] / 2).max()
            assert error <= 500 * np.finfo(b.dtype).eps * size + 1e-300, f"{what}: {a} and not {b}"


def assert_owned(result, arguments, what):
    """A result is writable, and shares no memory with arguments or other results."""
    arrays = [leaf for leaf in flatten(result)[0] if isinstance(leaf, np.ndarray)]
    others = [leaf for leaf in flatten(arguments)[0] if isinstance(leaf, np.ndarray)]
    for k, array in enumerate(arrays):
        assert array.flags.writeable, f"{what}: a read-only result"
        for other in (*others, *arrays[:k]):
            assert not np.may_share_memory(array, other), f"{what}: shares memory"


def other_points(arguments):
    """Arguments of the same types: nearby, of other signs, and in other layouts."""

    def mapped(f):
        return [f(a) if isinstance(a, np.ndarray) and a.dtype.kind in "fc" else a for a in arguments]

    yield "again", list(arguments)
    yield "near", [a * 1.0625 if isinstance(a, (float, np.floating, np.ndarray)) and is_inexact(a) else a
                   for a in arguments]  # fmt: skip
    yield "reversed in memory", mapped(lambda a: np.array(a[..., ::-1])[..., ::-1] if a.ndim else a)
    yield "in columns", mapped(lambda a: np.array(a, order="F"))
    yield "strided", mapped(lambda a: np.repeat(a, 2, axis=0)[::2] if a.ndim else a)


def is_inexact(value):
    return np.asarray(value).dtype.kind in "fc"


def special_points(arguments, seeds=2):
    for seed in range(seeds):
        random = np.random.default_rng(seed)

        def special(a, random=random):
            if isinstance(a, np.ndarray) and a.dtype.kind == "f":
                chosen = random.choice(SPECIAL, a.shape).astype(a.dtype)
                return np.where(random.random(a.shape) < 0.5, chosen, a)
            if isinstance(a, float):
                return type(a)(random.choice(SPECIAL))
            return a

        yield f"special {seed}", [special(a) for a in arguments]


def tangents_of(function, count):
    return lambda *xs: dualad.jvp(function, xs[:count], xs[count:])


def cotangents_of(function):
    def pulled(*xs):
        out, pullback = reversead.vjp(function, *xs[:-1])
        return out, pullback(xs[-1])

    return pulled


def summed(function):
    def total(*xs):
        return sum(np.sum(np.real(leaf)) for leaf in flatten(function(*xs))[0])

    return total
