"""Assignment in place: a program that writes to traced arrays means what it means in plain NumPy, or says why not.

Every program here runs in plain NumPy as well, and its derivatives are compared with differences of that run.
What an engine may not do is to finish with another number.
"""

from __future__ import annotations

import contextlib
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
    pairing,
)

import dualad
import reversead
from shared import DifferentiationError, StaleViewError, stop_gradient

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


# --- views: fresh, stale, or refused ------------------------------------------------------------------------

#: Each writes to an array of which a view exists, or to a view, and then looks at the other.  NumPy shows the
#: change.
LOOKING_AGAIN = [
    "v = y[1:]; y[1] = 3.0; out = v",
    "v = y[1:]; y += 1.0; out = v",
    "v = y[1:]; y *= x; out = v",
    "v = y[1:]; w = y[:2]; v[0] = x[0]; out = w",
    "v = y[1:]; w = v[1:]; y[2] = x[0]; out = w",
    "v = y[1:]; w = v[1:]; v[1] = x[0]; out = w",
    "v = y[1:]; w = v[1:]; w[0] = x[0]; out = v",
    "v = y[1:]; w = v[1:]; w[0] = x[0]; out = y",
    "v = y[::-1]; y[0] = x[3]; out = v * 2",
    "v = np.reshape(y, (2, 2)); y[0] = x[3]; out = v",
    "v = np.reshape(y, (2, 2)); v[0, 0] = x[3]; out = y",
    "v = np.reshape(y, (2, 2)).T; y[0] = x[3]; out = v",
    "v = y.T; v[0] = x[3]; out = y",
    "v = y.T; y[0] = x[3]; out = v",
    "v = np.ravel(y); v[0] = x[3]; out = y",
    "v = y.ravel(); y[0] = x[3]; out = v",
    "v = y.real; v[0] = x[3]; out = y",
    "v = y.real; y[0] = x[3]; out = v",
    "v = y.conj(); v[0] = x[3]; out = y",
    "v = y.astype(float, copy=False); v[0] = x[3]; out = y",
    "a = np.reshape(y, (2, 2)).T.copy(); v = a.ravel(); v[1] = x[3]; out = np.ravel(a)",
    "v = np.nan_to_num(y, copy=False); v[0] = x[3]; out = y",
    "v = np.squeeze(y[None]); v[0] = x[3]; out = y",
    "v = np.expand_dims(y, 0); v[0, 0] = x[3]; out = y",
    "v = np.atleast_1d(y); v[0] = x[3]; out = y",
    "v = np.atleast_2d(y); v[0, 0] = x[3]; out = y",
    "v = np.broadcast_to(y, (2, 4)); y[0] = x[3]; out = v",
    "v = np.diagonal(np.reshape(y, (2, 2))); y[0] = x[3]; out = v",
    "v = np.diag(np.reshape(y, (2, 2))); y[0] = x[3]; out = v",
    "v = np.einsum('ii->i', np.reshape(y, (2, 2))); v[0] = x[3]; out = y",
    "v = np.einsum('ii->i', np.reshape(y, (2, 2))); y[0] = x[3]; out = v",
    "v = np.split(y, 2); v[0][0] = x[3]; out = y",
    "v = np.split(y, 2); v[0][0] = x[3]; out = v[1]",
    "v = np.split(y, 2); y[0] = x[3]; out = v[0]",
    "v = np.flip(y); v[0] = x[3]; out = y",
    "v = np.moveaxis(y[None], 0, 1); v[0, 0] = x[3]; out = y",
    "v = np.swapaxes(y[None], 0, 1); y[0] = x[3]; out = v",
    "v = y[None]; v[0, 0] = x[3]; out = y",
    "v = y[0, ...]; v += x[3]; out = y",
    "v = y[0, ...]; y[0] = x[3]; out = v * 1.0",
    "v = y[1:]; del y; y = v; y[0] = 2.0; out = v",
    "v = list(np.reshape(y, (2, 2))); v[0][0] = x[3]; out = y",
    "v = list(np.reshape(y, (2, 2))); v[0][0] = x[3]; out = v[1]",
    "a, b = np.reshape(y, (2, 2)); a += b; out = y",
    "z = y; v = z[1:]; y[1] = x[0]; out = v",
    "v = y[1:]; z = y; z += 1.0; out = v",
    "v = y[1:]; y[:] = x; out = v",
    "v = y[1:]; v = v + 1; y[1] = x[0]; out = v",
    "v = y[1:]; s = v * 2; y[1] = x[0]; out = s",
    "y[0], y[1] = y[1], y[0]; out = y",
    "m = np.reshape(y, (2, 2)) * 1.0; m[0], m[1] = m[1], m[0]; out = m",
    "m = np.reshape(y, (2, 2)) * 1.0; a, b = m[0], m[1]; a[0] = x[0]; out = b",
    "v = y[1:]; v += x[0]; v *= x[1]; out = y",
    "v = y[1:]; v += x[0]; y[1] = 2.0; v = y[1:]; out = v",
    "v = np.transpose(y[None]); w = v[1:]; w[0] = x[0]; out = y",
    "v = np.rot90(np.reshape(y, (2, 2)), 2); v[0, 0] = x[0]; out = y",
    "v = np.rot90(np.reshape(y, (2, 2)), 4); v[0, 0] = x[0]; out = y",
    "v = np.take(y, 1); v = v * 1.0; y[1] = 3.0; out = v * x",
    "v = np.take(np.reshape(y, (2, 2)), 1, axis=0); v[0] = x[0]; out = y",
    "v = np.take(np.reshape(y, (2, 2)), 1, axis=0); y[2] = x[0]; out = v",
    "v = np.array_split(y, 3); v[1] += 1.0; out = y",
    "v = np.unstack(np.reshape(y, (2, 2))); v[0][0] = x[0]; out = y",
    "v = np.compress([True] * 4, y); v[0] = x[0]; out = y",
    "v = np.clip(y, -9.0, 9.0); v[0] = x[0]; out = y",
    "v = np.where(True, y, 0.0); v[0] = x[0]; out = y",
    "v = np.tile(y, 1); v[0] = x[0]; out = y",
    "v = np.repeat(y, 1); v[0] = x[0]; out = y",
    "v = np.roll(y, 0); v[0] = x[0]; out = y",
    "v = np.pad(y, 0); v[0] = x[0]; out = y",
    "v = np.sum(y, axis=()); v[0] = x[0]; out = y",
    "v = np.cumsum(y[:1]); v[0] = x[0]; out = y",
    "v = np.cumprod(y[:1]); v[0] = x[0]; out = y",
    "v = np.diff(y, 0); v[0] = x[0]; out = y",
    "v = np.linalg.matrix_power(np.reshape(y, (2, 2)), 1); v[0, 0] = x[0]; out = y",
    "v = np.linalg.multi_dot([y, np.eye(4)]); v[0] = x[0]; out = y",
    "v = np.einsum('i', y); v[0] = x[0]; out = y",
    "v = np.einsum('ij->ji', np.reshape(y, (2, 2))); v[0, 0] = x[0]; out = y",
    "v = np.einsum('i->i', y); y[0] = x[2]; out = v",
    "v = np.moveaxis(np.reshape(y, (2, 2)), 0, 0); v[0, 0] = x[0]; out = y",
    "v = np.rollaxis(np.reshape(y, (2, 2)), 1); v[0, 0] = x[0]; out = y",
    "v = np.tril(np.reshape(y, (2, 2)), 5); v[0, 0] = x[0]; out = y",
    "v = stop(y); v[0] = 3.0; out = y",
    "v = np.positive(y); v[0] = x[0]; out = y",
    "v = np.copy(y); y[0] = x[0]; out = v",
    "v = np.hstack([y]); v[0] = x[0]; out = y",
    "v = np.nan_to_num(y); v[0] = x[0]; out = y",
    "v = np.atleast_3d(y); v[0, 0, 0] = x[0]; out = y",
    "v = np.vsplit(np.reshape(y, (2, 2)), 2)[1]; v[0, 0] = x[0]; out = y",
    "v = np.fliplr(np.reshape(y, (2, 2))); v[0, 0] = x[0]; out = y",
    "v = np.select([True], [y]); v[0] = x[0]; out = y",
    "v = np.reshape(y[1:], -1); v[0] = x[3]; out = y",
    "v = np.reshape(y[1:], -1); v[0] = x[3]; out = v",
    "w = y[1:]; v = np.reshape(w, -1); v[0] = x[3]; out = w",
    "w = y[1:]; v = np.reshape(w, -1); del w; v[0] = x[3]; out = y",
    "w = y[1:]; v = np.reshape(w, -1); w = v[0]; v[0] = 0.5; out = y",
    "v = np.reshape(y[1:], (3, 1)).T; v[0, 0] = x[3]; out = y",
    "v = np.ravel(np.reshape(y, (2, 2))[1]); v[0] = x[3]; out = y",
    "m = np.reshape(y, (2, 2)) * 1.0; v = m.T.ravel(); v[0] = x[3]; out = m",
    "m = np.reshape(y, (2, 2)) * 1.0; v = m.T[0]; v[0] = x[3]; out = m",
    "m = np.reshape(y, (2, 2)) * 1.0; v = np.ravel(m.T, 'F'); v[0] = x[3]; out = m",
    "m = np.reshape(y, (2, 2)) * 1.0; v = m.T.copy().ravel(); v[0] = x[3]; out = v",
    "m = np.reshape(y, (2, 2)).T.copy(); v = m.ravel(); v[1] = x[3]; out = m",
    "v = y[1:]; del y; w = v[1:]; w[0] = x[3]; out = v",
    "v = y[1:]; w = v; y[1] = x[0]; del v; out = w",
    "v = np.append(y, []); v[0] = x[0]; out = y",
    "v = np.extract([True] * 4, y); v[0] = x[0]; out = y",
    "v = np.take_along_axis(y, np.arange(4), 0); v[0] = x[0]; out = y",
]


#: All of these are followed: a view of all of an array is as good as `y[...]`, and what nobody can name has no views.
FOLLOWED = [
    *(f"v = {whole}; v[0] = x[3] * v[1]; out = np.concatenate([y, v])" for whole in (
          "y[...]", "y.T", "y.T.T", "np.reshape(y, 4)", "y.reshape(-1)", "np.ravel(y)", "np.real(y)", "np.squeeze(y)",
          "np.atleast_1d(y)", "np.swapaxes(y, 0, 0)", "np.moveaxis(y, 0, -1)", "np.transpose(y[1:])")),
    "v = np.transpose(y); v.sort(axis=0); out = y",
    "v = np.ediff1d(y); v -= v[::-1]; out = v * y[1:]",
    "v = np.reshape(y * 2.0, (2, 2)); v -= v[::-1] * y[0]; out = v",
    "v = np.reshape(y * 2.0, (2, 2)); w = v[0]; w[1] = x[3]; out = v * w",
    "v = np.reshape(y * 2.0, (2, 2)).T; w = v[0].copy(); v[1] = w * x[0]; out = v",
]  # fmt: skip


@each_engine
@pytest.mark.parametrize("code", FOLLOWED)
def test_a_view_of_all_of_an_array_or_of_what_has_no_name_can_be_written_to(engine, code):
    check_looking_again(engine, code)


@each_engine
@pytest.mark.parametrize("code", LOOKING_AGAIN)
def test_a_view_shows_the_change_or_says_that_it_cannot(engine, code):
    with contextlib.suppress(StaleViewError):
        check_looking_again(engine, code)


def check_looking_again(engine, code):
    compiled = compile(f"y = x * 1.5 - 0.2\n{code}", "<program>", "exec")

    def program(x):
        names = {
            "np": np,
            "x": x,
            "stop": lambda v: v.copy() if isinstance(v, np.ndarray) else stop_gradient(v),
        }
        exec(compiled, names)
        return names["out"] * 1.0

    expected = program(VECTOR.copy())
    tangent = direction(VECTOR, 1)
    found, pushed = engine.jvp(program, (VECTOR,), (tangent,))
    assert_close("the value", found, expected, 1e-14)
    assert_is_estimated("the tangent", pushed, program, (VECTOR,), (tangent,))
    # Accepted above, so it is accepted by the pullback too.
    cotangent = direction(expected, 2)
    pulled = engine.vjp(program, VECTOR)[1](cotangent)[0]
    assert pairing(cotangent, pushed)[0] == pytest.approx(pairing(pulled, tangent)[0], rel=1e-12)


@each_engine
def test_a_stale_view_says_what_to_do(engine):
    def f(x):
        view = x[1:]
        x[1] = 3.0
        return np.sum(view)

    with pytest.raises(StaleViewError, match="Take the view again"):
        engine.grad(f)(VECTOR)


@each_engine
def test_writing_through_a_reshape_says_what_to_do(engine):
    def f(x):
        np.reshape(x, (2, 2))[0, 0] = 1.0
        return np.sum(x)

    with pytest.raises(StaleViewError, match="write to the original array"):
        engine.grad(f)(VECTOR)


# --- the caller's arrays ------------------------------------------------------------------------------------


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
