"""Arrays that somebody else holds: arguments, seeds, results and constants are nobody's to change but their owner's."""

from __future__ import annotations

import runpy
import sys

import numpy as np
import pytest
from derivative_checks import assert_is_estimated, direction

import dualad
import reversead
from shared.core import refcounts

ENGINES = {"dualad": dualad, "reversead": reversead}
each_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)

VECTOR = np.array([0.5, -1.25, 2.0, 0.75])


@each_engine
@pytest.mark.parametrize("size", [3, 2000], ids=["small", "large"])
@pytest.mark.parametrize("code", ["x[0] = 5.0", "x += 1.0", "x[:] = 0.0", "x *= x", "x[1:] += x[:-1]", "x.sort()"])
def test_neither_arguments_nor_seeds_are_written(engine, size, code):
    compiled = compile(code, "<program>", "exec")

    def f(x):
        exec(compiled, {"x": x, "np": np})
        return x * x

    x = np.random.default_rng(0).standard_normal(size)
    tangent, cotangent = np.ones(size), np.full(size, 2.0)
    kept = [a.copy() for a in (x, tangent, cotangent)]
    engine.jvp(f, (x,), (tangent,))
    engine.linearize(f, x)[1](tangent)
    engine.grad(lambda x: np.sum(f(x)))(x) if engine is reversead or size == 3 else None
    if size == 3 or engine is reversead:
        engine.vjp(f, x)[1](cotangent)
    for now, before in zip((x, tangent, cotangent), kept, strict=True):
        np.testing.assert_array_equal(now, before)
        assert now.flags.writeable


@each_engine
def test_results_alias_nothing(engine):
    x = VECTOR.copy()
    tangent = np.ones(4)
    out, pushed = engine.jvp(lambda x: (x, x[1:], x.T, x), (x,), (tangent,))
    arrays = [x, tangent, *out, *pushed]
    for i, a in enumerate(arrays):
        assert a.flags.writeable
        assert not any(np.shares_memory(a, b) for b in arrays[:i])
    out, pullback = engine.vjp(lambda x, y: (x + y, x), x, x)
    seeds = (np.ones(4), np.ones(4))
    first, second = pullback(seeds), pullback(seeds)
    arrays = [x, *seeds, *out, *first, *second]
    for i, a in enumerate(arrays):
        assert a.flags.writeable
        assert not any(np.shares_memory(a, b) for b in arrays[:i])


#: Programs that use a small constant array or index, and change it after.  The derivative is of what was
#: computed.
CHANGING_CONSTANTS = [
    "out = x * c", "out = c - x * x", "out = x / c", "out = c / x", "out = c ** x", "out = x ** c",
        "out = x @ c",
    "out = np.reshape(c, (2, 2)) @ np.reshape(x, (2, 2))", "out = np.where(c > 1.5, x, 2 * x)",
        "out = np.hypot(x, c)",
    "out = np.maximum(x, c)", "out = x[i]", "out = np.take(x, i)", "out = x[m]",
        "out = np.einsum('i,i->i', x, c)",
    "out = np.dot(c, x)", "out = np.outer(c, x)", "out = np.kron(x, c)", "out = np.tensordot(x, c, 1)",
    "out = np.concatenate([x, c]) ** 2", "out = np.linalg.solve(np.reshape(c, (2, 2)) + np.eye(2), x[:2])",
    "out = np.where(m, x, c)", "out = np.logaddexp(x, c)", "out = np.arctan2(c, x)",
        "out = np.clip(x, -c, c)",
    "x[i] = x[j] * 2; out = x * x", "x[i] += x[j]; out = x * x", "x[m] = x[0]; out = x * x",
        "x[m] *= 3; out = x * x",
    "x[i] = c[i] * x[j]; out = x * x", "x[:] = c * x; out = x * x",
        "y = np.zeros_like(x); y[i] = x[j]; out = y * x",
    "out = np.take_along_axis(x, i, 0)", "out = np.repeat(x, i)", "out = np.multiply.outer(x, c)",
        "out = np.select([m], [x], c)",
    "out = x * c[1:2]", "v = c[::2]; out = x[:2] * v", "out = np.cross(x[:3], c[:3])",
        "out = np.compress(m, x)",
    "x[l] = x[j] * 2; out = x * x", "out = x[l]", "x[(i, )] = x[j] * 2; out = x * x",
        "x[[i]] = x[j] * 2; out = x * x",
]  # fmt: skip


@each_engine
@pytest.mark.parametrize("code", CHANGING_CONSTANTS)
def test_constants_that_are_changed_afterwards_do_not_matter(engine, code):
    compiled = compile(code, "<program>", "exec")

    def run(x, change):
        names = {
            "np": np,
            "x": x * 1.0,
            "c": np.array([0.5, 2.0, 1.5, 3.0]),
            "i": np.array([2, 0, 1, 3]),
            "l": [0, 2, 1, 3],
        }
        names |= {"j": np.array([0, 1, 2, 2]), "m": np.array([True, False, True, True])}
        exec(compiled, names)
        if change:
            names["c"][:] = 100.0
            names["i"][:] = 0
            names["l"][:] = [3, 3, 3, 3]
            names["j"][:] = 3
            names["m"][:] = False
        return names["out"]

    x = np.array([0.5, 1.25, 2.0, 0.75])
    tangent, cotangent = direction(x, 1), direction(run(x, False), 2)
    expected = engine.jvp(lambda x: run(x, False), (x,), (tangent,))[1]
    assert_is_estimated("without the change", expected, lambda x: run(x, False), (x,), (tangent,))
    np.testing.assert_array_equal(engine.jvp(lambda x: run(x, True), (x,), (tangent,))[1], expected)
    np.testing.assert_array_equal(
        engine.vjp(lambda x: run(x, True), x)[1](cotangent)[0],
        engine.vjp(lambda x: run(x, False), x)[1](cotangent)[0],
    )


@each_engine
def test_a_large_constant_cannot_be_changed_while_the_sweep_needs_it(engine):
    constant = np.ones(2000)

    def f(x):
        out = np.sum(x * x) * np.sum(constant * x[0])
        constant[0] = 100.0
        return out

    def run(x):
        try:
            return engine.grad(f)(x)
        except ValueError as error:
            assert "read-only" in str(error)
            return None

    gradient = run(np.array([2.0]))
    assert gradient is None or gradient[0] == 3 * 4.0 * 2000
    constant[1] = 2.0  # given back for writing


@each_engine
def test_arguments_changed_before_a_pullback_do_not_matter(engine):
    x, w = VECTOR.copy(), np.array([1.0, 2.0, 3.0, 4.0])
    out, pullback = engine.vjp(lambda x, w: x * x * w, x, w)
    _, f_jvp = engine.linearize(lambda x, w: x * x * w, x, w)
    kept = x.copy()
    x[:] = 100.0
    w[:] = 100.0
    out[:] = 0.0
    x_bar, w_bar = pullback(np.ones(4))
    np.testing.assert_allclose(x_bar, 2 * kept * [1, 2, 3, 4])
    np.testing.assert_allclose(w_bar, kept**2)
    np.testing.assert_allclose(f_jvp(np.ones(4), np.zeros(4)), 2 * kept * [1, 2, 3, 4])


def test_the_counts_are_right_under_a_debugger_that_reads_all_variables():
    """Before Python 3.13 what it has read holds the values: what somebody holds would pass for what nobody does."""
    names = ("ALONE_AS_BASE", "ALONE_AS_ITEM", "ALONE_AS_LOCAL", "ALONE_IN_SLOT")

    def read(frame, event, argument):
        assert frame.f_locals is not None
        return read

    before = sys.gettrace()
    sys.settrace(read)
    try:
        counted = runpy.run_path(refcounts.__file__)
    finally:
        sys.settrace(before)
    assert [counted[name] for name in names] == [getattr(refcounts, name) for name in names]
