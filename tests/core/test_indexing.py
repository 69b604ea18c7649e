"""Assignment in place: a program that writes to traced arrays means what it means in plain NumPy, or says why not.

Every program here runs in plain NumPy as well, and its derivatives are compared with differences of that run.
What an engine may not do is to finish with another number.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from derivative_checks import (
    assert_close,
    assert_is_estimated,
    check_adjoint,
    check_first_derivative,
    check_second_derivative,
    check_value,
    direction,
)

import dualad
import reversead
from shared import DifferentiationError, StaleViewError

ENGINES = {"dualad": dualad, "reversead": reversead}
each_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
each_composition = pytest.mark.parametrize(
    ("outer", "inner"),
    list(product(ENGINES.values(), repeat=2)),
    ids=["-".join(p) for p in product(ENGINES, repeat=2)],
)

VECTOR = np.array([0.5, -1.25, 2.0, 0.75])
MATRIX = np.array([[0.5, -1.5, 2.0], [1.25, -0.75, 0.3]])


def check_program(f, args):
    """Values, first derivatives, adjoints and second derivatives; and the caller's arrays are never written."""
    before = [np.array(a) for a in args]
    check_value(f, args)
    check_first_derivative(f, args)
    check_adjoint(f, args)
    check_second_derivative(f, args)
    for a, b in zip(args, before, strict=True):
        np.testing.assert_array_equal(a, b)


# --- every index on the left side ---------------------------------------------------------------------------

VECTOR_INDICES = [
    "0", "-1", "np.int64(2)", "np.array(1)", "1:3", "::2", "::-1", "-3:-1", "3:0:-2", "2:2", "...", ":", "()",
    "None", "..., 1", "None, 2", "1:, None", "[0, 2]", "[3, 0, 1]", "np.array([0, 2])",
    "np.array([[0, 1], [2, 3]])", "[-1, 0]", "[True, False, True, False]", "np.array([False] * 4)",
    "np.array([True] * 4)", "[]", "True", "y > 0",
]  # fmt: skip
MATRIX_INDICES = [
    "0", "-1", "1, 2", ":, 1", "1, :", "..., 0", "0, ...", "1:, ::-1", "::-1, ::-2", "[1, 0]", ":, [2, 0]",
    "[0, 1, 0], [2, 1, 1]", "[[0], [1]], [0, 2]", "np.ix_([0, 1], [2, 0])", "1, [0, 2]", "1:, [0, 2]",
    "..., [0, 2]", "np.array([[True, False, True], [False, True, True]])", "np.array([True, False])",
    ":, np.array([True, False, True])", "y > 0", "None, 0", ":, None, 1", "np.nonzero(y > 0)",
]  # fmt: skip
EVERY_INDEX = [
    *(pytest.param(VECTOR, index, id=f"vector[{index}]") for index in VECTOR_INDICES),
    *(pytest.param(MATRIX, index, id=f"matrix[{index}]") for index in MATRIX_INDICES),
]

#: What is written, given the part of an array that the index means: constants, and values that fit in several
#: ways
VALUES = {
    "a constant": "2.5",
    "a constant array": "np.full(np.shape(part), 1.5)",
    "a number": "x.ravel()[1] * 2.0",
    "an array": "(x.ravel()[0] + np.arange(np.size(part)).reshape(np.shape(part))) * x.ravel()[-1]",
    "an array to be stretched": "x.ravel()[0] * np.ones(np.shape(part)[-1:])",
}


def statement(code):
    """The function of x that runs `code` on y, a copy of x with a derivative of its own, and returns what it
    left.
    """
    compiled = compile(f"y = x * 1.5 - 0.2\n{code}", "<program>", "exec")

    def program(x):
        names = {"np": np, "x": x}
        exec(compiled, names)
        return names["y"] * x

    program.__name__ = code.strip()
    return program


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(("array", "index"), EVERY_INDEX)
def test_assignment_at_every_index(array, index, value):
    program = statement(f"part = np.zeros(x.shape)[{index}]\ny[{index}] = {VALUES[value]}")
    check_program(program, [array.copy()])


@pytest.mark.parametrize("change", ["+= 2.0", "-= x.ravel()[0]", "*= x.ravel()[1]", "/= 3.0 + x.ravel()[2]", "**= 2"])
@pytest.mark.parametrize(("array", "index"), EVERY_INDEX)
def test_change_in_place_at_every_index(array, index, change):
    check_program(statement(f"y[{index}] {change}"), [array.copy()])


STATEMENTS = [
    # repeated and overlapping elements
    "y[[0, 0, 1]] = x[:3] * 2",
    "y[[1, 1]] += x[:2]",
    "y[np.array([[0, 0], [0, 0]])] = np.reshape(x, (2, 2))",
    "y[[True, True, False, False]] = x[2:]",
    "y[1:] = y[:-1]",
    "y[:-1] = y[1:]",
    "y[::-1] = y",
    "y[:] = y[::-1]",
    "y[1:] += y[:-1]",
    "y[:] = y",
    "y[...] = y * y",
    "y[0], y[1] = y[1], y[0]",
    "y[[0, 1]] = y[[1, 0]]",
    "for i in range(1, 4): y[i] = y[i - 1] * x[i]",
    "for i in range(4): y[i] += y[i - 1]",
    "for i in range(4): y[0] *= y[i]",
    "z = y[1:]; z[:] = z",
    "z = y[1:]; z[::-1] = z",
    "z = y[1:]; z[:-1] = z[1:]",
    "z = y[1:]; z[1:] += z[:-1]",
    "z = y[1:]; z += z",
    "z = y[1:]; z *= z[::-1]",
    "z = y[1:]; z[:2] = z[0]",
    # results that were computed before a write, by functions that hand tangents on unchanged
    "y[0] = x[1]; s = y + 1.0; y[1] = 7.0; y = s",
    "y[0] = x[1]; s = y.copy(); y[1] = 7.0; y = s",
    "y[0] = x[1]; s = y - np.ones(4); y[1:] = 7.0; y *= s",
    "y[0] = x[1]; s = +y; y += x; y *= s",
    "y[0] = x[1]; s = y[1:] + 1.0; y[1] = 7.0; y[1:] = s",
    "y[0] = x[1]; s = np.concatenate([y, y]); y[1] = 7.0; y *= s[:4]",
    "y[0] = x[1]; s = y + x; y[1] = 7.0; y *= s",
    "y[0] = x[1]; s = np.stack([y, y])[0]; y *= 2; y += s",
    "y[[0, 1]] = x[:2]; s = y.astype(float); y[1] = 7.0; y += s",
    "y += x; s = y - 1; y += s; s[0] = 1.0; y *= s",
    # shapes that NumPy stretches or shortens to fit
    "y[:2] = x[:1]",
    "y[:2] = x[None, :2]",
    "y[1:] = x[None, None, 1:]",
    "y[:] = x[0]",
    "y[...] = x[:1][None]",
    "y[2:3] = x[0]",
    "y[0] = x[:1][0]",
    "y[0] = x[0, ...]",
    # the whole array
    "y += x", "y -= x[0]", "y *= y", "y /= x", "y **= 3", "y += 1", "y *= 2", "y %= 5", "y += [1, 2, 3, 4]",
    "y += y[0]", "y *= y[::-1]", "y -= y",
    # numbers make new values
    "t = y[0]; t += x[1]; y[1] = t",
    "t = y[0]; s = t; t *= x[1]; y[1] = s",
    "t = np.sum(y); s = t; t += 1.0; y[0] = s * t",
    "t = np.max(y); s = t; t -= 1.0; y[0] = s * t",
    "t = np.linalg.norm(y, 1); s = t; t *= 2.0; y[0] = s * t",
    "t = np.tensordot(y, y, 1); s = t; t *= 2.0; y[0] = np.sum(s) * np.sum(t)",
    "t = y @ y; s = t; t *= 2.0; y[0] = s * t",
    "t = y[0, ...]; t += x[1]",
    "t = y[..., 2]; t[...] = x[1]",
    "t = y[0, ...]; s = t; t *= 2.0; y[1] = s + t",
    # aliases
    "z = y; z[0] = x[1]",
    "z = y; z += x",
    "z = y; y = y + 1.0; z[0] = 5.0; y *= z",
    "z = y; z *= 2; z[1] = y[0]",
    "z = y[:]; z[0] = x[1]",
    "z = y[...]; z += x",
    "z = y[1:]; z += 1.0",
    "z = y[1:]; z[0] = x[3]; z[-1] *= 2",
    "z = y[::-1]; z[0] = x[0]",
    "z = y[1:]; w = z[1:]; w += x[0]",
    "z = y[1:][1:][::-1]; z[0] = x[0]",
    "y[1:][1:] += x[:2]",
    "y[::2][1:][0] = x[0]",
    "z = y.copy(); z[0] = x[1]; y += z",
    "z = np.array(1.0) * y; z[0] = x[1]; y += z",
    "z = +y; z[0] = x[1]; y += z",
    "z = y[[0, 1, 2, 3]]; z[0] = x[1]; y += z",
    "z = np.take(y, [0, 1, 2, 3]); z[0] = x[1]; y += z",
    "z = y.flatten(); z[0] = x[1]; y += z",
    "z = np.concatenate([y]); z[0] = x[1]; y += z",
    "z = np.sort(y); z[0] = x[1]; y += z",
    "z = y * 1.0; y[0] = 3.0; y += z",
    "z = y * x; y *= 2; x2 = z * y; y += x2",
    "z = np.exp(y); y[1] = z[0]; y *= z",
    "z = np.sin(y); z *= 2; z[0] = y[0]; y += z",
    "z = y / x; w = z * z; z[0] = 1.0; y += w * z",
    "z = np.maximum(y, 0.1); y[:] = 0.0; y += z",
    "z = [y, y]; z[0][0] = x[1]; y += z[1]",
    # a copy made of transposes or reversals is laid out as NumPy lays it out
    "a = np.copy(np.reshape(y, (2, 2)).T); r = np.ravel(a); r[1] = 7.0; y += np.reshape(a, 4)",
    "a = np.reshape(y, (2, 2)).T * 1.0; r = a.ravel(); r[1] = 7.0; y += np.reshape(a, 4)",
    "a = np.reshape(y, (2, 2)).T; r = a.ravel(); r[1] = 7.0; y += np.reshape(a, 4)",
    # new arrays
    "z = np.zeros_like(y); z[1] = y[0]; y += z",
    "z = np.empty_like(y); z[:] = y; z[0] = x[2]; y += z",
    "z = np.ones_like(y); z[1:] *= y[1:]; y = z",
    "z = np.full_like(y, 2.0); z += y; y = z",
    "z = np.full_like(y, y[0]); z[0] = 1.0; y += z",
    "z = np.zeros_like(x, shape=(2, 2)); z[0] = x[:2]; y[:2] += z[0]",
    "z = np.zeros_like(y); z += 1.0; z *= y; y = z",
    "z = np.zeros(4, like=y); z[1] = y[0]; y += z",
    "z = np.ones((2, 4), like=y); z[1] = y; y += z[1] * z[0]",
    "z = np.empty(3, like=x); z[:] = x[1:]; y[:3] *= z",
    # methods in place
    "y.sort()", "y.fill(x[1])", "y[1:].sort()", "y[:2].fill(3.0)",
]  # fmt: skip


@pytest.mark.parametrize("code", STATEMENTS)
def test_statement(code):
    f = statement(code)
    try:
        f(VECTOR.copy())
    except TypeError:
        assert "like=" in code  # NumPy gives arrays alone a meaning there
    try:
        check_program(f, [VECTOR.copy()])
    except StaleViewError:
        pytest.fail(f"{code}: every view here is fresh, or one that can be written through")


MATRIX_STATEMENTS = [
    "y[0] += x[1]",
    "y[0][1] = x[1, 2]",
    "y[0][1:] += x[1, 2]",
    "y[:, 1][0] = x[0, 0]",
    "y[:, 0] = y[:, 1] * 2",
    "y[0], y[1] = y[1] * 1.0, y[0] * 1.0",
    "y[[0, 1]] = y[[1, 0]]",
    "for row in y: row *= row[0]",
    "for row in y: row[0] = x[0, 1]",
    "for i in range(2):\n  for j in range(3): y[i, j] = y[i, j - 1] * x[i, j]",
    "for i, j in np.ndindex(2, 3): y[i, j] += i * y[0, j]",
    "y[:] = x[0]",
    "y[:, :2] = x[:, 1:]",
    "y[1] = [1.0, 2.0, 3.0]",
    "y[...] = x[:, :1]",
    "y += x[:, :1]",
    "y *= x[0]",
    "y @= np.arange(9.0).reshape(3, 3)",
    "z = y[0]; z += x[1]; z[0] = x[0, 0]",
    "z = y[:, ::2]; z *= 2; z[0] = x[0, 0]",
    "z = y[0][None]; z[0, 1] = x[0, 0]",
    "z = y[None, :, 1]; z += x[0, 0]",
    "y[np.array([True, False])] = x[1]",
    "y[y > 0] = x[y > 0] ** 2",
    "y[y > 0] *= 2.0",
    "y[np.nonzero(x > 0)] += x[0, 0]",
    "y[np.arange(2), [0, 2]] = x[:, 0]",
    "y[:, [0, 0]] = x[:, 1:]",
    "y[[0, 0]] = x",
    "y[[0, 0]] += x",
    "y.T[...] = x.T",
    "y.sort(axis=0)",
]


@pytest.mark.parametrize("code", MATRIX_STATEMENTS)
def test_statement_on_a_matrix(code):
    try:
        check_program(statement(code), [MATRIX.copy()])
    except StaleViewError:
        assert "y.T" in code, "every view here is fresh, and one that can be written through"


# --- dtypes -------------------------------------------------------------------------------------------------

SINGLE = np.array([0.5, -1.25, 2.0], np.float32)
SINGLE_STATEMENTS = [
    "y[0] = c[1] * y[1]", "y[:] = c * y", "y += c * y", "y *= c", "y[1:] += c[1:]",
        "y[[0, 1]] = c[:2] * y[2]",
    "y[m] = c[0]", "z = np.zeros_like(y); z[:] = c * y; y = z", "y[0] = 2.5", "y /= 3", "y **= 2.0",
]  # fmt: skip


@pytest.mark.parametrize("code", SINGLE_STATEMENTS)
def test_float32_arrays_assigned_from_float64_stay_float32(code):
    compiled = compile("y = x * 1.5\n" + code, "<program>", "exec")

    def f(x, c):
        names = {"np": np, "x": x, "c": c, "m": np.array([True, False, True])}
        exec(compiled, names)
        return names["y"]

    double = np.array([0.25, 1.5, -0.75])
    expected = f(SINGLE, double)
    wanted = reversead.vjp(f, SINGLE.astype(float), double)[1](np.ones(3))
    assert expected.dtype == np.float32
    for engine in ENGINES.values():
        out, tangent = engine.jvp(f, (SINGLE, double), (np.ones(3, np.float32), np.ones(3)))
        assert out.dtype == tangent.dtype == np.float32
        np.testing.assert_array_equal(out, expected)
        np.testing.assert_allclose(np.sum(tangent), np.sum(wanted), rtol=1e-6)
        x_bar, c_bar = engine.vjp(f, SINGLE, double)[1](np.ones(3, np.float32))
        assert (x_bar.dtype, c_bar.dtype) == (np.float32, np.float64)
        np.testing.assert_allclose(x_bar, wanted[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(c_bar, wanted[1], rtol=1e-5, atol=1e-6)


# --- what NumPy refuses, or what cannot carry a derivative --------------------------------------------------

REFUSED = [
    ("x[9] = 1.0", IndexError),
    ("x['a'] = 1.0", IndexError),
    ("x[0, 0] = 1.0", IndexError),
    ("x[:2] = x", ValueError),
    ("x += np.ones((2, 4))", ValueError),
    ("x[0] = x[:2]", (ValueError, TypeError)),
    ("t = x[0]; t[0] = 1.0", TypeError),
    ("t = np.sum(x); t[...] = 1.0", TypeError),
    ("x += 1j", TypeError),
    ("x[:] = 1j * x", (TypeError, ValueError, np.exceptions.ComplexWarning)),
    ("x[:3] += x[:2]", ValueError),
    ("x[m] = x[:2]", ValueError),
]


@each_engine
@pytest.mark.parametrize(("code", "error"), REFUSED)
def test_what_numpy_refuses_is_refused_and_changes_nothing(engine, code, error):
    compiled = compile(code, "<program>", "exec")

    def program(x):
        with pytest.raises(error):
            exec(compiled, {"np": np, "x": x, "m": np.array([True, True, True, False])})
        return x * x

    program(VECTOR.copy())
    np.testing.assert_array_equal(engine.grad(lambda x: np.sum(program(x * 1.0)))(VECTOR), 2 * VECTOR)
    np.testing.assert_array_equal(engine.grad(lambda x: np.sum(program(x)))(VECTOR), 2 * VECTOR)


@each_engine
@pytest.mark.parametrize(
    "code",
    ["out = np.zeros(4); out[0] = x[0]", "out = np.zeros(4); out += x", "out = np.zeros(4); out[:] = x"],
)
def test_a_plain_array_refuses_traced_values(engine, code):
    compiled = compile(code, "<program>", "exec")

    def program(x):
        names = {"np": np, "x": x}
        exec(compiled, names)
        return np.sum(names["out"])

    with pytest.raises((ValueError, TypeError, DifferentiationError)):
        engine.grad(program)(VECTOR)


# --- two levels ---------------------------------------------------------------------------------------------


@each_composition
def test_the_inner_function_may_write_outer_values_into_its_own_arrays(outer, inner):
    def f(w):
        def g(z):
            y = np.zeros_like(z)
            y[0] = w[0] * z[1]
            y[1:] = z[1:] * z[1:]
            y[2] += w[1]
            y *= w[2]
            z[0] = w[0]
            return np.sum(y * z)

        return np.sum(inner.grad(g)(np.array([0.5, 1.5, -2.0])) ** 2)

    point = np.array([0.7, -1.1, 1.3])
    gradient = outer.grad(f)(point)
    tangent = direction(point, 1)
    assert_is_estimated("the gradient", np.float64(gradient @ tangent), f, (point,), (tangent,))


@each_composition
def test_an_inner_write_does_not_reach_the_outer_array(outer, inner):
    def f(x):
        def g(z):
            z[0] = 5.0
            z[1:] *= 2.0
            return np.sum(z * z)

        slope = inner.grad(g)(x)
        return np.sum(slope * x) + np.sum(x)

    # g is 25 + 4 sum(z[1:]^2), so f is 8 sum(x[1:]^2) + sum(x)
    expected = 1 + np.array([0.0, 16.0, 16.0, 16.0]) * VECTOR
    np.testing.assert_allclose(outer.grad(f)(VECTOR), expected)


@each_composition
def test_inner_values_are_refused_by_outer_arrays(outer, inner):
    for code in ("a[0] = z", "a += z", "a[1:] *= z", "a[[0, 1]] = z", "a.fill(z)"):
        compiled = compile(code, "<program>", "exec")

        def f(x, compiled=compiled):
            array = x * 1.0

            def g(z):
                exec(compiled, {"a": array, "z": z})
                return z * np.sum(array)

            return inner.grad(g)(2.0) + np.sum(array)

        with pytest.raises(StaleViewError, match="inside the inner function"):
            outer.grad(f)(VECTOR)


@each_engine
def test_an_outer_array_changed_after_its_use_in_an_inner_function(engine):
    """The inner derivative is of what was computed, not of what the outer array has become since."""

    def f(w):
        w = w * 1.0

        def g(z):
            out = np.sum(z * w) + np.sum(np.sin(w) * z**2)
            w[0] = 100.0
            return out

        # dualad runs g once a direction, so there g must not change anything.
        return np.sum(reversead.grad(g)(np.array([1.0, 2.0])))

    def expected(w):
        return np.sum(w + 2 * np.array([1.0, 2.0]) * np.sin(w))

    point = np.array([0.3, 0.8])
    tangent = np.array([0.7, -0.4])
    assert_close("the value", engine.jvp(f, (point,), (tangent,))[0], expected(point), 1e-14)
    found = engine.vjp(f, point)[1](1.0)[0] @ tangent
    assert_is_estimated("the gradient", np.float64(found), expected, (point,), (tangent,))


@each_composition
@pytest.mark.parametrize("transform", ["vjp", "linearize"])
def test_an_outer_argument_changed_before_the_inner_pullback(outer, inner, transform):
    def f(x):
        x = x * 1.0
        _, linear = getattr(inner, transform)(lambda z: z * z, x)
        x[0] = 100.0
        seed = np.ones(2)
        return np.sum(linear(seed)[0] if transform == "vjp" else linear(seed))

    point, tangent = np.array([0.3, 0.8]), np.array([0.7, -0.4])
    found, pushed = outer.jvp(f, (point,), (tangent,))
    assert found == pytest.approx(2 * point.sum(), rel=1e-14)
    assert pushed == pytest.approx(2 * tangent.sum(), rel=1e-14)
    np.testing.assert_allclose(outer.grad(f)(point), [2.0, 2.0], rtol=1e-14)


@each_composition
def test_an_outer_view_inside_an_inner_function(outer, inner):
    def f(x):
        rows = np.reshape(x * 1.0, (2, 2)) * 1.0
        rows[0] *= rows[1]

        def g(z):
            y = z * rows[0]
            y[0] += rows[1, 0]
            return np.sum(y * y)

        slope = inner.grad(g)(rows[1])
        rows[0] = slope
        rows[1][0] = slope[1] * x[0]
        return np.sum(rows * rows)

    tangent = direction(VECTOR, 3)
    assert_is_estimated("the gradient", np.float64(outer.grad(f)(VECTOR) @ tangent), f, (VECTOR,), (tangent,))
