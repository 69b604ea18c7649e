"""`debug` and `diagnose`: where a NaN comes from, and which kinks were met, with the user's line."""

import numpy as np
import pytest

import dualad
import reversead
import shared
from shared import debug, diagnose

ENGINES = {"dualad": dualad, "reversead": reversead}


def chosen_root(x):
    return np.sum(np.where(x > 0, np.sqrt(x), 0.0))


def test_zero_times_infinity_is_named_with_the_choice_that_the_zero_comes_from():
    found = diagnose(chosen_root, np.array([1.0, 0.0]))
    assert found.value is None
    text = str(found.adjoint)
    assert "sqrt(x)" in text and "zero times an infinite slope" in text
    assert "the zero comes from where(" in text
    assert text.count("test_debug.py:") == 2


def test_zero_that_is_a_value_is_not_said_to_come_from_a_choice():
    found = diagnose(lambda x: np.sum(np.sqrt(x) ** 2), np.array([1.0, 0.0]))
    assert "zero times an infinite slope" in str(found.adjoint)
    assert "comes from" not in str(found.adjoint)


def test_pole_is_named_where_the_value_is_made():
    found = diagnose(lambda x: np.sum(np.log(x) * 2.0), np.array([1.0, 0.0]))
    assert "log(x)" in str(found.value) and "[0, -inf] of [1, 0]" in str(found.value)
    assert "adds [2, inf] to x" in str(found.adjoint)
    assert "zero times" not in str(found.adjoint)


KINKS = {
    "abs": (lambda x: np.sum(np.abs(x)), np.array([1.0, 0.0, 0.0]), "|x| at zero, whose derivative is taken as 0 at 2"),
    "norm": (lambda x: np.linalg.norm(x) ** 2, np.zeros(2), "a norm at zero, whose derivative is taken as 0"),
    "relu": (lambda x: np.sum(shared.relu(x)), np.array([0.0, 1.0]), "relu at zero"),
    "maximum": (lambda x: np.sum(np.maximum(x, 1.0)), np.array([1.0, 2.0]), "a tie, of which each operand gets"),
    "max": (lambda x: np.max(x), np.array([3.0, 1.0, 3.0]), "a tie, which those that attain the extremum share"),
}


@pytest.mark.parametrize("name", KINKS)
def test_kink_is_named_with_its_convention(name):
    f, at, words = KINKS[name]
    found = diagnose(f, at)
    assert found.value is None and found.adjoint is None
    assert len(found.kinks) == 1
    assert words in str(found.kinks[0]) and "test_debug.py:" in str(found.kinks[0])


@pytest.mark.parametrize("f", [lambda x: np.sum(np.sin(x)), lambda x: np.max(x), lambda x: np.sum(np.sqrt(x))])
def test_nothing_is_found_where_nothing_is_wrong(f):
    found = diagnose(f, np.array([1.0, 2.0]))
    assert not found
    assert "finite, and no kink was met" in str(found)


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("transform", ["grad", "value_and_grad", "jacobian", "hessian", "hvp", "jvp", "vjp"])
def test_every_transform_is_watched_within_the_context(engine, transform):
    x = np.array([1.0, 2.0])

    def f(x):
        return np.sum(np.maximum(x, 1.0) ** 2)

    texts = []
    with debug(report=texts.append) as found:
        if transform in ("grad", "value_and_grad", "jacobian", "hessian"):
            getattr(engine, transform)(f)(x)
        elif transform == "vjp":
            engine.vjp(f, x)[1](1.0)
        elif transform == "hvp":
            engine.hvp(f, x, x)
        else:
            engine.jvp(f, (x,), (x,))
    assert found and len(texts) == len(found)
    assert any("a tie" in text and "maximum(x, 1.0)" in text for text in texts)
    before = len(found)
    engine.grad(f)(x)
    assert len(found) == before


def test_second_derivative_at_a_kink_is_named():
    with debug(report=lambda text: None) as found:
        hessian = reversead.hessian(lambda w: np.linalg.norm(w) ** 2)(np.zeros(2))
    np.testing.assert_array_equal(hessian, np.zeros((2, 2)))
    assert any("a norm at zero" in str(kink) for diagnosis in found for kink in diagnosis.kinks)


def test_gradient_is_the_same_within_the_context():
    x = np.array([0.3, -0.7])
    f = lambda x: np.sum(np.abs(np.sin(x)))  # noqa: E731
    with debug(report=lambda text: None):
        within = reversead.grad(f)(x)
    np.testing.assert_array_equal(within, reversead.grad(f)(x))


def test_function_that_cannot_be_recorded_is_left_alone_and_named():
    texts = []
    with debug(report=texts.append) as found:
        gradient = reversead.grad(lambda x: x * float(shared.stop_gradient(x)))(2.0)
    assert gradient == 2.0 and not found
    assert "cannot be followed" in texts[0]


def test_it_prints_to_stderr(capsys):
    with debug():
        reversead.grad(lambda x: np.sum(np.abs(x)))(np.zeros(1))
    assert "a kink" in capsys.readouterr().err


def test_context_ends_where_an_exception_leaves_it():
    texts = []
    with pytest.raises(ZeroDivisionError), debug(report=texts.append):
        raise ZeroDivisionError
    reversead.grad(lambda x: np.sum(np.abs(x)))(np.zeros(1))
    assert not texts


# --- overflow, and tails ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_a_slope_that_is_lost_to_rounding_is_named(engine):
    with debug(report=lambda text: None) as found:
        assert engine.grad(lambda x: np.sum(np.tanh(x)))(np.array([25.0, 1.0, -25.0]))[0] == 0
        assert engine.grad(np.tanh)(18.0) != 0
        assert engine.grad(shared.sigmoid)(40.0) == pytest.approx(np.exp(-40.0))
    (text,) = [str(finding) for finding in found[0].lost]
    assert "a slope lost to rounding" in text and "to 0 at 2 elements" in text and "test_debug.py:" in text


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_overflow_is_explained_and_what_the_page_advises_is_right(engine):
    for f, x in ((lambda x: np.log1p(np.exp(x)), 800.0), (lambda x: 1 / (1 + np.exp(-x)), -1000.0)):
        with debug(report=lambda text: None) as found, np.errstate(all="ignore"):
            assert np.isnan(engine.grad(f)(x))
        assert "exp(" in str(found[0].adjoint) and "zero times an infinite slope" in str(found[0].adjoint)
    assert engine.grad(lambda x: np.logaddexp(0, x))(800.0) == engine.grad(shared.softplus)(800.0) == 1
    assert engine.grad(shared.sigmoid)(-1000.0) == 0
    assert engine.grad(np.expm1)(-50.0) == np.exp(-50.0)
    small = engine.jacobian(shared.log_softmax)(np.array([0.0, 50.0, 100.0]))
    np.testing.assert_allclose(small[2, :2], [-np.exp(-100.0), -np.exp(-50.0)], rtol=1e-14)
