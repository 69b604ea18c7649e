"""What the samples of the registry cannot say: numbers as Python has them, refusals with a remedy, higher orders."""

from __future__ import annotations

import cmath
import importlib
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from shared import REGISTRY, compile, composite, vmap
from shared.core.errors import LeafTypeError, NoRuleError, RegistrationError, TracerConversionError
from shared.core.registry import Composite
from shared.rules import LATER
from shared.rules.special import MODIFIED_BESSEL

ENGINES = [dualad, reversead]
both = pytest.mark.parametrize("ad", ENGINES, ids=lambda ad: ad.__name__)
THREE = np.array([0.5, -1.5, 2.0])


# --- a negative Python float to a fraction ----------------------------------------------------------------------------


@both
def test_a_negative_float_to_a_fraction_is_complex_as_in_python(ad: Any) -> None:
    value, slope = ad.value_and_grad(lambda v: abs(v**0.5))(-2.0)
    assert value == abs((-2.0) ** 0.5)
    assert slope == pytest.approx(-0.5 / 2**0.5)
    # The imaginary part of v**1.5 is -(-v)**1.5 there.
    assert ad.grad(lambda v: (v**1.5).imag)(-2.0) == pytest.approx(1.5 * 2**0.5)
    assert ad.grad(ad.grad(lambda v: (v**1.5).imag))(-2.0) == pytest.approx(-0.75 / 2**0.5)


@both
def test_its_derivative_by_the_exponent_is_python_s(ad: Any) -> None:
    for exponent in (0.5, 0.5 + 1j):
        out, tangent = ad.jvp(lambda y: (-2.0) ** y, (exponent,), (type(exponent)(1.0),))
        assert out == (-2.0) ** exponent
        assert tangent == pytest.approx(out * cmath.log(-2.0))
    _, tangent = ad.jvp(lambda x, y: x**y, (-2.0, 0.5), (1.0, 1.0))
    assert tangent == pytest.approx((-2.0) ** 0.5 * (0.5 / -2.0 + cmath.log(-2.0)))


@both
def test_a_negative_numpy_number_to_a_fraction_is_nan_as_in_numpy(ad: Any) -> None:
    with np.errstate(invalid="ignore"):
        value, slope = ad.value_and_grad(lambda v: v**1.5)(np.float64(-2.0))
    assert np.isnan(value) and np.isnan(slope)


def test_a_compiled_power_follows_the_sign() -> None:
    f = compile(lambda v: abs(v**0.5))
    for v in (2.0, -2.0, 3.0, -3.0):
        assert f(v) == abs(v**0.5)


@both
def test_zero_to_a_negative_power_raises_as_in_python(ad: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        ad.grad(lambda v: v**-1.0)(0.0)
    with pytest.raises(ZeroDivisionError):
        ad.grad(lambda v: 1.0 / v)(0.0)


# --- refusals ---------------------------------------------------------------------------------------------------------


@both
def test_an_integer_among_the_differentiated_arguments_is_no_index(ad: Any) -> None:
    for f in (lambda p: np.sum(p["w"][p["k"]]), lambda p: np.sum(np.take(p["w"], p["k"]))):
        with pytest.raises(LeafTypeError, match="integers among the differentiated arguments"):
            ad.grad(f)({"w": THREE, "k": np.array([0, 1])})


@both
@pytest.mark.parametrize("name", ["copyto", "putmask", "place", "put", "put_along_axis"])
def test_writing_traced_values_into_a_plain_array_says_how_to_make_it(ad: Any, name: str) -> None:
    calls: dict[str, Any] = {
        "copyto": lambda a, x: np.copyto(a, x),
        "putmask": lambda a, x: np.putmask(a, a < 1, x),
        "place": lambda a, x: np.place(a, a < 1, x),
        "put": lambda a, x: np.put(a, [0, 1, 2], x),
        "put_along_axis": lambda a, x: np.put_along_axis(a, np.array([[0], [0], [0]]), x[:, None], 1),
    }

    def f(x: Any) -> Any:
        plain = np.zeros((3, 3) if name == "put_along_axis" else 3)
        calls[name](plain, x)
        return np.sum(plain)

    with pytest.raises(TracerConversionError, match=f"np.{name}.*like=x"):
        ad.grad(f)(THREE)


@both
def test_keywords_without_a_rule_are_refused_with_a_reason(ad: Any) -> None:
    for f, words in (
        (lambda x: np.polyfit(x, x, 1, full=True)[0], "full=True"),
        (lambda x: np.polyfit(x, x, 3), "lower the degree"),
        (lambda x: np.histogram(x, "auto")[1], "how many bins"),
    ):
        with pytest.raises(NoRuleError, match=words):
            ad.jvp(f, (THREE,), (THREE,))


@both
def test_weighted_fits_are_in_the_precision_that_numpy_has(ad: Any) -> None:
    x, y = np.linspace(0.0, 1.0, 6, dtype=np.float32), np.sqrt(np.arange(6.0, dtype=np.float32))
    weights = [1.0, 2.0, 0.5, 1.0, 0.7, 1.1]
    fit = ad.jvp(lambda y: np.polyfit(x, y, 2, w=weights), (y,), (y,))[0]
    np.testing.assert_allclose(fit, np.polyfit(x, y, 2, w=weights), rtol=1e-13)
    with pytest.raises(TypeError, match=r"complex128 weights of float64 points .*\.astype"):
        ad.grad(lambda y: np.polyfit(x, y, 2, w=[1j] * 6)[0].real)(y)


@both
def test_masks_say_where_elements_go(ad: Any) -> None:
    mask = np.array([True, False, True])
    for f in (lambda x: np.insert(x, mask, 0.25), lambda x: np.delete(x, mask)):
        value, tangent = ad.jvp(f, (THREE,), (THREE,))
        np.testing.assert_array_equal(value, f(THREE))
        np.testing.assert_array_equal(tangent, np.where(value == 0.25, 0.0, value))


def test_examples_that_agree_are_trimmed_together() -> None:
    padded = np.pad(np.ones((2, 3)), ((0, 0), (1, 2)))
    np.testing.assert_array_equal(vmap(np.trim_zeros)(padded), np.ones((2, 3)))


# --- where a mask leaves out what has no finite slope -----------------------------------------------------------------


@both
def test_a_masked_logarithm_has_no_slope_where_it_is_not_taken(ad: Any) -> None:
    x = np.array([0.0, 2.0, -1.0])
    f = lambda x: np.sum(np.log(x, where=x > 0, out=None))  # noqa: E731
    value, slope = ad.value_and_grad(f)(x)
    assert value == np.log(2.0)
    np.testing.assert_array_equal(slope, [0.0, 0.5, 0.0])


# --- derivatives of every order ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [-30.0, -0.7, 0.0, 1e-9, 2.5, 9.0, 600.0])
def test_i0_has_every_derivative(x: float) -> None:
    def integral(order: int) -> float:
        """The derivative of that order: the mean of exp(x cos t) cos(t)**order, by the rule of equal steps."""
        t = np.arange(4096) * (2 * np.pi / 4096)
        return float(np.mean(np.exp(x * np.cos(t) - abs(x)) * np.cos(t) ** order)) * float(np.exp(abs(x)))

    f: Any = lambda x: np.i0(x)  # noqa: E731
    for order in range(4):
        found = f(np.float64(x))
        assert found == pytest.approx(integral(order), rel=1e-11, abs=1e-15)
        f = dualad.derivative(f) if order % 2 else reversead.grad(lambda x, f=f: f(x)[()])


def test_modified_bessel_functions_keep_their_digits_near_zero() -> None:
    assert MODIFIED_BESSEL(1e-8, order=3) == pytest.approx(1e-24 / 48, rel=1e-14)


# --- families that are loaded later -----------------------------------------------------------------------------------


@pytest.mark.parametrize("module", LATER)
def test_a_module_declares_what_is_announced_of_it_and_nothing_else(module: str) -> None:
    importlib.import_module(module)
    for function in LATER[module]:
        entry = REGISTRY[function]
        assert isinstance(entry, Composite) and entry.rewrite.__module__ == module
    written = {f for f, e in REGISTRY.items() if isinstance(e, Composite) and e.rewrite.__module__ == module}
    assert written == set(LATER[module])


def test_what_is_announced_cannot_be_declared_by_others() -> None:
    with pytest.raises(RegistrationError, match="declared already"):
        composite(np.unique)(lambda ar: ar)
