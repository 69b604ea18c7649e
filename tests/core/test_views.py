"""Views of traced arrays: what is written to one shows in the other, as in NumPy, or it is said that it cannot."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
from derivative_checks import assert_close, assert_is_estimated, direction, pairing

import dualad
import reversead
from shared import StaleViewError, stop_gradient

ENGINES = {"dualad": dualad, "reversead": reversead}
each_engine = pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)

VECTOR = np.array([0.5, -1.25, 2.0, 0.75])

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
