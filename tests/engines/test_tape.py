"""A tape made by hand: variables, operations, gradients, as in a lecture."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from reversead import Tape
from shared import custom_derivative
from shared.core.errors import ClosedLevelError, DifferentiationError, LeafTypeError, ShapeError

X = np.array([1.0, 2.0, 3.0])


def test_worked_example() -> None:
    with Tape() as tape:
        x, y, z = (tape.variable(v) for v in (-2.0, 5.0, -4.0))
        f = (x + y) * z
    assert f.primal == -12.0
    assert tape.gradient(f, [x, y, z]) == [-4.0, -4.0, 3.0]


def test_one_variable_or_several() -> None:
    with Tape() as tape:
        x = tape.variable(X)
        y = np.sum(x * x)
    np.testing.assert_array_equal(tape.gradient(y, x), 2 * X)
    for asked in ([x], (x,)):
        np.testing.assert_array_equal(tape.gradient(y, asked)[0], 2 * X)
    assert len(tape.gradient(y, [])) == 0


def test_several_outputs_and_any_number_of_times() -> None:
    with Tape() as tape:
        x = tape.variable(3.0)
        y, z = x * x, np.exp(x)
    for _ in range(3):
        assert tape.gradient(y, x) == 6.0
        assert tape.gradient(z, x) == pytest.approx(np.exp(3.0))


def test_gradient_with_respect_to_what_does_not_matter_is_zero() -> None:
    with Tape() as tape:
        x, y = tape.variable(3.0), tape.variable(X)
        z = x * x
    assert tape.gradient(z, y).tolist() == [0.0, 0.0, 0.0]


def test_before_the_tape_is_closed() -> None:
    tape = Tape()
    x = tape.variable(3.0)
    y = x * x
    assert tape.gradient(y, x) == 6.0
    z = y * x
    assert tape.gradient(z, x) == 27.0
    assert tape.gradient(y, x) == 6.0


def test_output_that_is_a_variable() -> None:
    with Tape() as tape:
        x = tape.variable(3.0)
    assert tape.gradient(x, x) == 1.0


def test_cotangent_of_an_array() -> None:
    with Tape() as tape:
        x = tape.variable(X)
        y = x * x
    seed = np.array([1.0, 10.0, 100.0])
    assert tape.gradient(y, x, cotangent=seed).tolist() == [2.0, 40.0, 600.0]
    assert seed.tolist() == [1.0, 10.0, 100.0]


@pytest.mark.parametrize("cotangent", [np.ones(2), np.ones(1), 1.0, np.ones((1, 3)), np.ones((3, 3)), [1.0, 2.0]])
def test_cotangent_of_another_shape_is_refused(cotangent: Any) -> None:
    with Tape() as tape:
        x = tape.variable(X)
        y = x * 2.0
    with pytest.raises(ShapeError, match="shape"):
        tape.gradient(y, x, cotangent=cotangent)


@pytest.mark.parametrize("cotangent", [np.ones(2), np.ones(1), [1.0]])
def test_cotangent_of_another_shape_than_a_scalar_is_refused(cotangent: Any) -> None:
    with Tape() as tape:
        x = tape.variable(X)
        y = np.sum(x)
    with pytest.raises(ShapeError):
        tape.gradient(y, x, cotangent=cotangent)


@pytest.mark.parametrize("cotangent", ["1", True, 1j, np.array(["a"])])
def test_cotangent_of_another_kind_is_refused(cotangent: Any) -> None:
    with Tape() as tape:
        x = tape.variable(2.0)
        y = x * 2.0
    with pytest.raises(DifferentiationError):
        tape.gradient(y, x, cotangent=cotangent)


def test_array_output_without_a_cotangent_is_refused() -> None:
    with Tape() as tape:
        x = tape.variable(X)
        y = x * x
    with pytest.raises(ShapeError, match="cotangent"):
        tape.gradient(y, x)


def test_gradients_are_fresh() -> None:
    with Tape() as tape:
        x = tape.variable(X)
        y, z = np.sum(x * x), x * 1.0
    first = tape.gradient(y, x)
    first[:] = -1.0
    assert tape.gradient(y, x).tolist() == [2.0, 4.0, 6.0]
    seed = np.ones(3)
    for output in (x, z):
        found = tape.gradient(output, x, cotangent=seed)
        found[:] = 7.0
        assert seed.tolist() == [1.0, 1.0, 1.0]
    twice = tape.gradient(y, [x, x])
    assert not np.shares_memory(*twice)


def test_array_given_may_change_afterwards() -> None:
    values = X.copy()
    with Tape() as tape:
        x = tape.variable(values)
        y = np.sum(x * x)
    values[:] = 0.0
    assert tape.gradient(y, x).tolist() == [2.0, 4.0, 6.0]


def test_types() -> None:
    with Tape() as tape:
        whole, single, wide = tape.variable(3), tape.variable(np.float32(3.0)), tape.variable(np.ones(2, np.float32))
        y, z, w = whole * whole, single * single, np.sum(wide * wide)
    gradient = tape.gradient(y, whole)
    assert type(gradient) is float
    assert gradient == 6.0
    assert type(tape.gradient(z, single)) is np.float32
    assert tape.gradient(w, wide).dtype == np.float32


@pytest.mark.parametrize("value", [True, "3.0", None, np.array([True]), np.array([None]), [1.0, 2.0]])
def test_what_has_no_derivative_is_refused(value: Any) -> None:
    with pytest.raises(LeafTypeError):
        Tape().variable(value)


def test_variable_after_the_end() -> None:
    with Tape() as tape:
        x = tape.variable(3.0)
    for use in (lambda: x * 2.0, lambda: np.sin(x), lambda: tape.variable(1.0)):
        with pytest.raises(ClosedLevelError):
            use()


def test_asking_for_what_is_no_variable_is_refused() -> None:
    other = Tape()
    stranger = other.variable(1.0)
    with Tape() as tape:
        x = tape.variable(3.0)
        y = x * x
    for asked in (y, stranger, 3.0, None, np.ones(2)):
        with pytest.raises(ShapeError):
            tape.gradient(y, asked)
    for output in (stranger, 3.0, None):
        with pytest.raises(ShapeError):
            tape.gradient(output, x)


def test_variable_that_was_assigned_to() -> None:
    with Tape() as tape:
        x = tape.variable(X)
        before = x[0] * x[1]
        x[0] = 5.0
        after = np.sum(x * x)
    # The name x stands for another value now, of which no gradient can be asked.
    with pytest.raises(ShapeError):
        tape.gradient(after, x)
    assert before.primal == 2.0


def test_released_tape_says_so() -> None:
    tape = Tape()
    x = tape.variable(3.0)
    y = x * x
    tape.release()
    with pytest.raises(DifferentiationError):
        tape.gradient(y, x)


def test_two_tapes_at_once() -> None:
    with Tape() as outer:
        x = outer.variable(3.0)
        with Tape() as inner:
            y = inner.variable(2.0)
            product = x * y * y
        slope = inner.gradient(product, y)
        result = slope * x
    # slope = 2 x y, so the result is 2 x^2 y, whose slope is 4 x y.
    assert result.primal == 36.0
    assert outer.gradient(result, x) == 24.0


@pytest.mark.parametrize("engine", [dualad, reversead])
def test_tape_inside_a_transform(engine: Any) -> None:
    def slope(x: Any) -> Any:
        with Tape() as tape:
            y = tape.variable(x)
            z = y * y * x
        return tape.gradient(z, y)

    # 2 x y at y = x, of which the derivative is 4 x.
    assert engine.derivative(slope)(3.0) == 12.0


@pytest.mark.parametrize("transform", [lambda f: dualad.derivative(f), lambda f: reversead.grad(f)])
def test_transform_of_a_function_that_uses_a_tape_s_variable(transform: Callable[..., Any]) -> None:
    with Tape() as tape:
        x = tape.variable(3.0)
        y = transform(lambda u: u * u * x)(2.0)
    # y = 2 u x
    assert y.primal == 12.0
    assert tape.gradient(y, x) == 4.0


def test_exception_leaves_nothing_locked() -> None:
    constant = np.ones(10_000)

    def compute() -> None:
        with Tape() as tape:
            np.sum(tape.variable(np.ones(10_000)) * constant)
            raise KeyError("stop")

    with pytest.raises(KeyError):
        compute()
    np.testing.assert_array_equal(reversead.grad(np.sum)(X), np.ones(3))


def test_dropping_the_tape_unlocks_its_constants() -> None:
    constant = np.ones(10_000)
    with Tape() as tape:
        x = tape.variable(np.ones(10_000))
        y = np.sum(x * constant)
    assert not constant.flags.writeable
    assert tape.gradient(y, x)[0] == 1.0
    del tape, x, y
    assert constant.flags.writeable


def test_repr_tells_the_size() -> None:
    with Tape() as tape:
        x = tape.variable(3.0)
        y = x * x
    assert "Tape" in repr(tape)
    assert "nodes" in repr(tape)
    assert "9.0" in repr(y)


def test_view_of_a_locked_constant_is_kept_without_a_copy() -> None:
    data, w = np.full((300, 300), 0.1), np.linspace(0.0, 1.0, 300)

    def f(w: np.ndarray) -> np.ndarray:
        # The first product locks the data, so that the transpose made of it afterwards is read-only, too.
        hidden = np.tanh(data @ w)
        return data.T @ hidden

    tracemalloc.start()
    try:
        out, pullback = reversead.vjp(f, w)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < data.nbytes / 2
    with pytest.raises(ValueError, match="read-only"):
        data[0, 0] = 5.0
    slope = 1 - np.tanh(data @ w) ** 2
    np.testing.assert_allclose(pullback(out)[0], data.T @ (slope * (data @ out)), rtol=1e-12)
    del pullback
    data[0, 0] = 5.0


def test_a_cotangent_that_two_operations_share_is_not_written_to() -> None:
    # Large enough to be written in place where one place alone holds it; here x and m are given the same one.
    size = 20_000
    three, five = np.full(size, 3.0), np.full(size, 5.0)

    def f(x: Any, y: Any, z: Any) -> Any:
        m, k = y * three, z * three
        return np.sum((x + m) * five) + np.sum(k * five)

    ones = np.ones(size)
    for found, expected in zip(reversead.grad(f, argnums=(0, 1, 2))(ones, ones, ones), (5.0, 15.0, 15.0), strict=True):
        assert np.all(found == expected)


def test_gradients_that_are_transposed_products_share_memory_with_nothing() -> None:
    x, w = np.arange(15.0).reshape(5, 3), np.arange(12.0).reshape(4, 3) / 10

    def f(v: Any, w: Any) -> Any:
        return np.sum(np.tanh(x @ v.T)) + np.sum(np.tanh(x @ w.T))

    first, second = reversead.grad(f, argnums=(0, 1))(w, w)
    assert np.array_equal(first, second) and first.flags.writeable
    assert not any(np.shares_memory(found, other) for found, other in [(first, second), (first, w), (second, w)])


def test_gradients_that_are_views_of_one_array_share_memory_with_nothing() -> None:
    x = np.ones((4, 3))
    for f in (lambda v, w: np.sum((v.T + w.T) ** 2), lambda v, w: np.sum((v.T + w.reshape(4, 3).T) ** 2)):
        first, second = reversead.grad(f, argnums=(0, 1))(x, x)
        assert np.array_equal(first, second) and not np.shares_memory(first, second)


@pytest.mark.parametrize("part", [lambda kept: kept.T, lambda kept: kept[:, :2].T])
def test_gradient_that_lies_in_an_array_of_somebody_else_is_copied(part: Callable[[Any], Any]) -> None:
    kept: list[np.ndarray] = []

    def vjp(cotangent: Any, out: Any, x: Any) -> Any:
        kept.append(np.ones((3, 2)) * cotangent)
        return (part(kept[-1]),)

    total = custom_derivative(lambda x: np.sum(x), vjp=vjp)
    gradient = reversead.grad(total)(np.zeros((2, 3)))
    assert gradient.tolist() == [[1.0] * 3] * 2
    assert not np.shares_memory(gradient, kept[-1])
