"""Random programs of reads, writes, views and aliases: in both engines, at one level and at two, as in plain NumPy.

A program is a list of statements on six names, some of which share memory from the start.  It runs in plain NumPy and
traced; every name that can be read at the end must hold the same numbers, and its derivatives must be differences of
the plain run.  An engine may refuse a stale view; it may not finish with another number.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from derivative_checks import assert_close, assert_is_estimated, direction, pairing
from hypothesis import event, given, settings
from hypothesis import strategies as st

import dualad
import reversead
from shared import StaleViewError

ENGINES = {"dualad": dualad, "reversead": reversead}
POINT = np.array([[0.4, -1.1, 0.8], [1.3, 0.6, -0.7]])
NAMES = ["v0", "v1", "v2", "v3", "v4", "v5"]
#: Names of an outer level, which the statements of an inner one only read
OUTER_NAMES = ["w0", "w1", "w2"]

# --- statements -------------------------------------------------------------------------------------------------------

BASIC = [
    "[0]", "[-1]", "[1:]", "[:-1]", "[::-1]", "[::2]", "[...]", "[None]", "[0, ...]", "[..., 1]", "[1:2]", "[:, 0]",
    "[:, 1:]", "[0, 1]",
]  # fmt: skip
ADVANCED = [
    "[[0, 1]]", "[[1, 0]]", "[[0, 0]]", "[np.array([True, False])]", "[np.array([True, False, True])]", "[[1], [0]]",
    "[:, [0, 0]]",
]  # fmt: skip
VIEWS = [
    "np.reshape({}, -1)", "{}.T", "np.reshape({}, (2, -1))", "{}.ravel()", "np.flip({})", "np.squeeze({})",
    "np.atleast_2d({})", "np.swapaxes({}, 0, -1)",
]  # fmt: skip
FRESH = [
    "np.sin({})", "{} * 0.7", "{}.copy()", "np.zeros_like({})", "{} + 0.3", "{} * {}", "np.sum({}, axis=0)",
    "np.concatenate([{}, {}])", "np.sum({})", "np.sort({})", "np.cumsum({}, 0)", "np.take({}, [0, 1], axis=-1)",
]  # fmt: skip
CONSTANTS = ["0.5", "2.0", "np.array([0.5, -1.0])", "np.array([1.0, 0.5, 2.0])"]
METHODS = ["sort()", "sort(axis=0)", "fill(0.25)"]

indices = st.sampled_from(BASIC + ADVANCED)


@st.composite
def expressions(draw, readable, kinds=("constant", "name", "read", "fresh", "product")):
    kind = draw(st.sampled_from(kinds))
    name = draw(st.sampled_from(readable))
    if kind == "constant":
        return draw(st.sampled_from(CONSTANTS))
    if kind == "read":
        return name + draw(indices)
    if kind == "product":
        return f"({name} * {draw(st.sampled_from(readable))})"
    return draw(st.sampled_from(FRESH)).replace("{}", name) if kind == "fresh" else name


@st.composite
def statements(draw, readable):
    kind = draw(st.sampled_from(["part", "part", "part", "whole", "view", "reshaped", "alias", "fresh", "method"]))
    target, name = draw(st.sampled_from(NAMES)), draw(st.sampled_from(NAMES))
    if kind == "part":
        path = draw(st.sampled_from(["", "", *BASIC])) + draw(indices)
        return f"{target}{path} {draw(st.sampled_from(['=', '+=', '*=', '-=']))} {draw(expressions(readable))}"
    if kind == "whole":
        return f"{target} {draw(st.sampled_from(['+=', '*=', '-=']))} {draw(expressions(readable))}"
    if kind == "view":
        return f"{target} = {name}{draw(st.sampled_from(BASIC))}"
    if kind == "reshaped":
        return f"{target} = {draw(st.sampled_from(VIEWS)).format(name)}"
    if kind == "alias":
        return f"{target} = {name}"
    if kind == "method":
        return f"{target}.{draw(st.sampled_from(METHODS))}"
    # A name never stands for a constant: a plain array takes no traced values.
    return f"{target} = {draw(expressions(NAMES, kinds=('read', 'fresh', 'product')))}"


def programs(readable, longest):
    return st.lists(statements(readable), min_size=2, max_size=longest)


# --- running them -----------------------------------------------------------------------------------------------------


def run(program, x, outer=None):
    """The names and what they stand for at the end."""
    x = x.copy()
    state = {"np": np, "v0": x, "v1": x[0], "v2": x * 1.25, "v3": np.sin(x[1]), "v4": x[0] * x[1], "v5": x[0, 1]}
    state |= outer or {}
    for code in program:
        exec(code, state)
    return state


def results(program, x, names, outer=None):
    state = run(program, x, outer)
    return [state[name] * 1.0 for name in names]


def runnable(program, x, outer=None):
    """The statements that plain NumPy accepts, one after another, and that keep the numbers small."""
    kept = []
    for code in program:
        # Trying a statement may change arrays, so it is tried on a state of its own.
        state = run(kept, x, outer)
        name, dot, method = code.partition(".")
        if dot and method in METHODS and not isinstance(state[name], np.ndarray):
            continue  # NumPy's scalars have arrays' methods, which do nothing
        try:
            exec(code, state)
        except (ValueError, TypeError, IndexError, AttributeError):
            continue
        values = [np.asarray(state[name]) for name in NAMES]
        if all(v.dtype == np.float64 and v.size <= 24 and np.all(np.abs(v) < 50) for v in values):
            kept.append(code)
    return kept


def readable_names(program, x, outer=None):
    """The names that can be read at the end: a stale view cannot."""
    state, names = run(program, x, outer), []
    for name in NAMES:
        try:
            state[name] * 1.0
        except StaleViewError:
            event("a stale view at the end")
        else:
            names.append(name)
    return names


# --- the properties ---------------------------------------------------------------------------------------------------


@settings(max_examples=400, deadline=None, derandomize=True, database=None)
@given(programs(NAMES, longest=12))
def test_one_level(program):
    program = runnable(program, POINT)
    tangent = direction(POINT, 1)
    for name, engine in ENGINES.items():
        names = []

        def probe(x, names=names):
            names += readable_names(program, x)
            return x

        try:
            engine.jvp(probe, (POINT,), (tangent,))
        except StaleViewError:
            event("refused")
            continue
        event("ran to the end")

        def f(x, names=names):
            return results(program, x, names)

        what = f"{name} {program}, {names}"
        expected = f(POINT)
        found, pushed = engine.jvp(f, (POINT,), (tangent,))
        assert_close(f"value: {what}", found, expected, 1e-12)
        assert_is_estimated(f"tangent: {what}", pushed, f, (POINT,), (tangent,))
        cotangents = direction(expected, 2)
        pulled = engine.vjp(f, POINT)[1](cotangents)
        (left, size), (right, _) = pairing(cotangents, pushed), pairing(pulled, (tangent,))
        assert abs(left - right) <= 1e-11 * max(size, 1.0), f"{what}: <c, J t> = {left}, <J^T c, t> = {right}"


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(programs(NAMES + OUTER_NAMES, longest=8), st.integers(0, 2), st.booleans())
def test_two_levels(program, count, by_pullback):
    """The inner program reads arrays of the outer level, one a view of another; afterwards these are changed."""
    changes = ["w0[0] = 2.0", "w2[1:] *= w0[1, 1:]"][:count]
    seed = direction(POINT, 3)

    def outer_state(x):
        w0 = x * 0.9
        return {"w0": w0, "w1": w0[0], "w2": np.cos(x[1])}

    program = runnable(program, POINT, outer_state(POINT))
    for outer, inner in product(ENGINES, repeat=2):
        names = []

        def f(x, inner=inner, names=names, probing=False):
            state = outer_state(x)

            def g(z):
                if probing:
                    names[:] = readable_names(program, z, state)
                return results(program, z, names, state)

            if by_pullback and inner == "reversead":
                out, pullback = reversead.vjp(g, x)
                linear = pullback(direction(results(program, POINT, names, outer_state(POINT)), 4))
            else:
                out, linear = ENGINES[inner].jvp(g, (x,), (seed,))
            state["np"] = np
            for code in changes:
                exec(code, state)
            return out, linear, state["w0"] * state["w0"], state["w2"] * 1.0

        tangent = direction(POINT, 5)
        try:
            ENGINES[outer].jvp(lambda x, f=f: f(x, probing=True), (POINT,), (tangent,))
            found = ENGINES[outer].jvp(f, (POINT,), (tangent,))[1]
        except StaleViewError:
            event("refused")
            continue
        event("ran to the end")
        assert_is_estimated(f"{outer} over {inner} {program}, {names}", found, f, (POINT,), (tangent,))
