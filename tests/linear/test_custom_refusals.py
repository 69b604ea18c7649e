"""Functions with derivative rules of their own: what is refused, and what the errors say."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from custom_roots import ROOTS, over_engines, square_root

import dualad
import reversead
from shared import count_operations
from shared.core.errors import (
    ClosedLevelError,
    LeafTypeError,
    LinearityError,
    RegistrationError,
    ShapeError,
    TracerConversionError,
)
from shared.linear.custom import custom_derivative

# --- what is refused --------------------------------------------------------------------------------------------------


def test_a_rule_is_needed() -> None:
    with pytest.raises(RegistrationError, match="square_root: give its derivative"):
        custom_derivative(square_root)
    with pytest.raises(RegistrationError, match="is no function"):
        custom_derivative(square_root, jvp=3.0)


@pytest.mark.parametrize(
    "rule, error, message",
    [
        (lambda c, out, x, y: c, ShapeError, "the vjp of f has to return a tuple of 2 cotangents"),
        (lambda c, out, x, y: (c,), ShapeError, "the vjp of f has to return a tuple of 2 cotangents"),
        (lambda c, out, x, y: [c, c], ShapeError, "the vjp of f has to return a tuple of 2 cotangents"),
        (lambda c, out, x, y: None, ShapeError, "the vjp of f has to return a tuple of 2 cotangents"),
        (lambda c, out, x, y: (c, [c]), ShapeError, "the vjp of f has to return a tuple of 2 cotangents"),
        (lambda c, out, x, y: (c, c[0]), ShapeError, r"the vjp of f returned shape \(\) where \(2,\) belongs"),
        (lambda c, out, x, y: (np.ones((2, 2)), c), ShapeError, r"returned shape \(2, 2\) where \(2,\) belongs"),
        (lambda c, out, x, y: ("text", c), LeafTypeError, "the vjp of f returned a str"),
        (lambda c, out, x, y: (np.array([True, False]), c), LeafTypeError, "the vjp of f returned an array of bool"),
    ],
)
def test_what_a_vjp_returns_is_checked(rule: Any, error: Any, message: str) -> None:
    def f(x: Any, y: Any) -> Any:
        return np.asarray(x + y)

    x = np.ones(2)
    for engine, of in ((reversead, {"vjp": rule}), (dualad, {"vjp": rule})):
        with pytest.raises(error, match=message):
            engine.grad(lambda x, y: np.sum(custom_derivative(f, **of)(x, y)))(x, x)  # noqa: B023


@pytest.mark.parametrize(
    "rule, error, message",
    [
        (lambda t, out, x: t[0], ShapeError, "the jvp of f has to return a tangent of the structure"),
        (lambda t, out, x: None, ShapeError, "the jvp of f has to return a tangent of the structure"),
        (lambda t, out, x: (t[0], None), ShapeError, "the jvp of f has to return a tangent of the structure"),
        (lambda t, out, x: (t[0], t[0], 0.0), ShapeError, "the jvp of f has to return a tangent of the structure"),
        (lambda t, out, x: (t[0][:1], t[0]), ShapeError, r"the jvp of f returned shape \(1,\) where \(2,\) belongs"),
        (lambda t, out, x: (t[0], 0.0), ShapeError, r"the jvp of f returned shape \(\) where \(2,\) belongs"),
        (lambda t, out, x: (t[0], 1j * t[0]), LeafTypeError, "the jvp of f returned a complex tangent"),
        (lambda t, out, x: (t[0], object()), LeafTypeError, "the jvp of f returned a object"),
    ],
)
def test_what_a_jvp_returns_is_checked(ad: Any, rule: Any, error: Any, message: str) -> None:
    def f(x: Any) -> Any:
        return np.array(x), np.array(x)

    with pytest.raises(error, match=message):
        ad.grad(lambda x: np.sum(custom_derivative(f, jvp=rule)(x)[0]))(np.ones(2))


def test_a_jvp_that_is_not_linear_cannot_be_transposed() -> None:
    f = custom_derivative(lambda x: float(x), jvp=lambda t, out, x: np.abs(t[0]))
    assert dualad.derivative(f)(3.0) == 1.0
    with pytest.raises(LinearityError, match=r"the jvp of .*np.absolute is not linear.*give a vjp as well"):
        reversead.grad(f)(3.0)


def test_a_custom_function_of_the_tangent_is_not_known_to_be_linear() -> None:
    double = custom_derivative(lambda x: 2.0 * x, jvp=lambda t, out, x: double(t[0]))
    assert dualad.derivative(double)(3.0) == 2.0
    with pytest.raises(LinearityError, match="does not say whether it is linear"):
        reversead.grad(double)(3.0)


class Holder:
    """No container: what an object holds is not looked for."""

    def __init__(self, value: Any):
        self.value = value


@over_engines
def test_a_traced_value_that_the_function_closes_over(ad: Any, outer: Any) -> None:
    def of(w: Any, run: Callable[[Any], Any]) -> Any:
        return custom_derivative(lambda x: run(w * x), jvp=lambda t, out, x: t[0])

    # of the same level, and of an outer one
    with pytest.raises(TracerConversionError, match="pass it as an argument"):
        ad.grad(lambda w: of(w, lambda y: y)(w))(2.0)
    with pytest.raises(TracerConversionError, match="pass it as an argument"):
        outer.grad(lambda w: ad.grad(of(w, lambda y: y))(3.0))(2.0)
    # with no argument that is traced
    with pytest.raises(TracerConversionError, match="pass it as an argument"):
        ad.grad(lambda w: of(w, lambda y: y)(3.0) + w)(2.0)
    # asked for a number
    with pytest.raises(TracerConversionError):
        ad.grad(lambda w: of(w, float)(w))(2.0)
    # taken by keyword alone
    with pytest.raises(TypeError, match="'scale' is traced"):
        f = custom_derivative(lambda x, *, scale: x * scale, jvp=lambda t, out, x, scale: t[0])
        ad.grad(lambda w: f(3.0, scale=[w]))(2.0)
    # hidden in an object
    with pytest.raises(TracerConversionError, match="within an object"):
        f = custom_derivative(lambda x, holder: x * holder.value, jvp=lambda t, out, x, holder: t[0])
        ad.grad(lambda w: f(3.0, Holder(w)))(2.0)


def test_a_traced_value_that_the_function_closes_over_and_does_not_return() -> None:
    """Nothing of it is in the result, but the tape shows that it was computed with; and is left as it was."""
    with reversead.Tape() as tape:
        w = tape.variable(2.0)
        x = tape.variable(3.0)
        f = custom_derivative(lambda x: [w * x, 1.0][1], jvp=lambda t, out, x: t[0])
        with pytest.raises(TracerConversionError, match="closes over"):
            f(x)
        y = w * x
    assert tape.gradient(y, [w, x]) == [3.0, 2.0]
    assert tape.count == 3


@pytest.mark.parametrize("rule", ["jvp", "vjp"])
def test_a_traced_value_of_the_same_level_that_a_rule_closes_over(ad: Any, rule: str) -> None:
    for scaled in (lambda v, w: v * w, lambda v, w: w):

        def f(w: Any) -> Any:
            rules = {
                "jvp": lambda t, out, x: scaled(t[0], w),  # noqa: B023
                "vjp": lambda c, out, x: (scaled(c, w),),  # noqa: B023
            }
            return custom_derivative(lambda x: float(x), **{rule: rules[rule]})(w)

        with pytest.raises((TracerConversionError, ClosedLevelError)) as caught:
            ad.grad(f)(2.0)
        assert "pass it as an argument" in str(caught.value) + "".join(getattr(caught.value, "__notes__", []))


@over_engines
def test_a_rule_may_close_over_values_of_outer_levels(ad: Any, outer: Any) -> None:
    """They are constants to it, and what it computes with them is differentiated there."""

    def slope(w: Any) -> Any:
        scaled = custom_derivative(lambda x: float(x), vjp=lambda c, out, x: (c * w * w,))
        return ad.grad(lambda x: scaled(x) * 5.0)(3.0)

    assert slope(2.0) == 20.0
    assert outer.derivative(slope)(2.0) == 20.0


def test_a_level_that_only_traces_does_not_hide_a_rule(ad: Any) -> None:
    root = ROOTS["jvp"]
    with pytest.raises(TracerConversionError, match="differentiate inside count_operations"):
        ad.grad(lambda x: count_operations(root, x) + x)(4.0)


def test_an_ended_level(ad: Any) -> None:
    kept: list[Any] = []
    ad.grad(lambda x: kept.append(x) or x)(4.0)
    with pytest.raises(ClosedLevelError):
        ROOTS["jvp"](kept[0])


def test_a_result_without_a_derivative_is_refused(ad: Any) -> None:
    """A rule for it would have no effect: the gradient would silently be zero."""
    step = custom_derivative(lambda x: x > 0, jvp=lambda t, out, x: t[0], vjp=lambda c, out, x: (c,))
    assert step(1.0)
    with pytest.raises(LeafTypeError, match=r"returned no real or complex number.*astype"):
        ad.grad(lambda x: x * step(x))(1.0)
    with_count = custom_derivative(lambda x: (2.0 * x, 3), jvp=lambda t, out, x: (2.0 * t[0], t[0]))
    with pytest.raises(LeafTypeError, match="returned a tangent of a int"):
        ad.grad(lambda x: with_count(x)[0])(1.0)


@pytest.mark.parametrize("transform", ["grad", "vjp"])
def test_a_tape_is_freed_without_the_cyclic_collector(transform: str) -> None:
    watched: list[weakref.ref[Any]] = []

    def values(x: Any) -> Any:
        out = np.array(x) * 2.0
        watched.append(weakref.ref(out))
        return out

    f = custom_derivative(values, vjp=lambda c, out, x: (c * 2.0,))
    gc.disable()
    try:
        if transform == "grad":
            reversead.grad(lambda x: np.sum(f(x) ** 2))(np.ones(3))
        else:
            _, pullback = reversead.vjp(lambda x: np.sum(f(x) ** 2), np.ones(3))
            pullback(1.0)
            assert watched[0]() is not None
            del pullback
        assert [reference() for reference in watched] == [None]
    finally:
        gc.enable()
