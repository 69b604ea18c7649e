"""np.errstate inside a function holds for what its operations are computed by later: sweeps, records, compiled text."""

import numpy as np
import pytest

import dualad
import reversead
import shared
from shared import checkpoint, compile, simplify, trace

X = np.array([0.0, -1.0, 2.0])


def silenced(x):
    with np.errstate(divide="ignore", invalid="ignore"):
        y = np.where(x > 0, np.log(x), 0.0)
    return np.sum(y * y)


def strict(x):
    y = np.exp(x)
    with np.errstate(over="raise"):
        z = y * y
    return np.sum(z)


def strict_slope(x):
    with np.errstate(divide="raise"):
        y = np.sqrt(x)  # its value is finite at zero, its slope is not
    return np.sum(y)


def checkpointed(x):
    return checkpoint(strict_slope)(x) + np.sum(x)


def around_a_checkpoint(x):
    with np.errstate(divide="raise"):
        return checkpoint(lambda x: np.sum(np.sqrt(x)))(x) + np.sum(x)


def settings_now():
    return np.geterr(), np.geterrcall()


TRANSFORMS = {
    "reversead.grad": reversead.grad,
    "reversead.vjp": lambda f: lambda x: reversead.vjp(f, x)[1](1.0)[0],
    "reversead.linearize": lambda f: lambda x: reversead.linearize(f, x)[1](np.ones_like(x)),
    "reversead.jacobian": reversead.jacobian,
    "dualad.grad": dualad.grad,
}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_warning_that_the_function_silences_is_silenced_in_the_derivative(name):
    # Warnings are errors here.
    TRANSFORMS[name](silenced)(X)


@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_warning_outside_of_the_block_is_not_silenced(name):
    def loud(x):
        with np.errstate(divide="ignore"):
            y = x * 2.0
        return np.sum(np.log(y))

    with pytest.warns(RuntimeWarning):
        TRANSFORMS[name](loud)(X[:1])


@pytest.mark.parametrize("f", [strict_slope, checkpointed, around_a_checkpoint])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_a_slope_that_the_block_does_not_allow_is_an_error(name, f):
    before = settings_now()
    with pytest.raises(FloatingPointError):
        TRANSFORMS[name](f)(np.zeros(2))
    assert settings_now() == before
    assert np.allclose(np.sum(TRANSFORMS[name](f)(np.ones(2))), np.sum(dualad.grad(f)(np.ones(2))))
    assert settings_now() == before


@pytest.mark.parametrize("ambient", ["ignore", "raise"])
def test_a_pullback_has_the_settings_of_its_call_outside_of_the_block(ambient):
    def f(x):
        y = 1.0 / x
        with np.errstate(over="ignore"):
            z = y + 1.0
        return np.sum(z)

    with np.errstate(divide="ignore"):
        _, pullback = reversead.vjp(f, np.zeros(2))
    with np.errstate(all=ambient):
        if ambient == "ignore":
            assert np.all(np.isinf(pullback(1.0)[0]))
        else:
            # d = c / y, computed outside of the block: inf * inf is no error, 1 / 0 is one
            with pytest.raises(FloatingPointError):
                pullback(1.0)


def test_handlers_set_by_the_function_are_called_in_the_sweep():
    seen = []

    def f(x):
        with np.errstate(divide="call", call=lambda kind, flag: seen.append(kind)):
            return np.sum(np.sqrt(x))

    reversead.grad(f)(np.zeros(2))
    assert seen == ["divide by zero"]
    assert np.geterrcall() is None


def test_a_block_left_by_an_exception_leaves_the_tape_right():
    def f(x):
        try:
            with np.errstate(over="raise"):
                y = x * 1e200 * 1e200
        except FloatingPointError:
            y = x * 3.0
        return np.sum(y)

    assert np.array_equal(reversead.grad(f)(np.full(2, 1e10)), [3.0, 3.0])


# --- records and compiled text ---


@pytest.mark.parametrize("g", [silenced, reversead.grad(silenced), dualad.grad(silenced)])
def test_a_record_and_a_text_silence_what_the_function_silences(g):
    expected = g(X)
    program, compiled = trace(g, X), compile(g)
    for _ in range(3):
        assert np.array_equal(program(X), expected, equal_nan=True)
        assert np.allclose(compiled(X), expected, rtol=1e-14, equal_nan=True)
        assert np.allclose(simplify(program)(X), expected, rtol=1e-14, equal_nan=True)
    assert "with np.errstate(divide='ignore', invalid='ignore'):" in compiled.source(X)
    assert compiled._variants[0].refusals == 0


def test_a_large_program_within_a_block_is_compiled_without_stretches():
    x = np.linspace(-1.0, 1.0, 300_000)
    compiled = compile(reversead.grad(silenced))
    assert np.allclose(compiled(x), reversead.grad(silenced)(x), rtol=1e-12)


@pytest.mark.parametrize("transform", [lambda f: f, reversead.grad, dualad.grad])
def test_what_the_block_does_not_allow_raises_in_a_record_and_is_not_compiled(transform):
    g = transform(strict)
    program = trace(g, np.ones(2))
    with pytest.raises(FloatingPointError, match="overflow"):
        program(np.full(2, 400.0))
    compiled = compile(g)
    with pytest.warns(UserWarning, match=r"np.errstate\(over='raise'\) \(at .*test_error_settings"):
        assert np.array_equal(compiled(np.ones(2)), g(np.ones(2)))
    with pytest.raises(FloatingPointError):
        compiled(np.full(2, 400.0))


def test_a_pickled_program_keeps_the_settings():
    import pickle

    program = pickle.loads(pickle.dumps(trace(strict, np.ones(2))))
    with pytest.raises(FloatingPointError):
        program(np.full(2, 400.0))


def test_vmap_has_the_settings_of_the_function():
    shared.vmap(silenced)(np.stack([X, X]))


def test_the_settings_are_told_apart_also_where_numpy_hides_them(monkeypatch):
    from shared.core import floating_errors

    token = floating_errors._all_settings()
    with np.errstate(over="raise"):
        other = floating_errors._all_settings()
    monkeypatch.setattr(floating_errors, "_variable", None)
    assert floating_errors.settings_beyond(other, token) == {"over": "raise"}


def test_nothing_is_written_to_a_tape_without_a_block():
    with reversead.Tape() as tape:
        x = tape.variable(np.ones(2))
        np.sum(np.sin(x) * x)
    assert not tape.switches and tape.count == 4
