"""Dual numbers made by hand: every operation on them gives another, which anyone can follow with pencil and paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from dualad import Dual
from shared.core.errors import DifferentiationError, LeafTypeError, ShapeError


def pair(dual: Any) -> tuple[Any, Any]:
    assert isinstance(dual, Dual)
    return dual.primal, dual.tangent


def test_arithmetic_as_on_paper() -> None:
    x, y = Dual(3.0, 1.0), Dual(2.0, 0.5)
    assert pair(x + y) == (5.0, 1.5)
    assert pair(x - y) == (1.0, 0.5)
    assert pair(x * y) == (6.0, 3.5)
    assert pair(x / y) == (1.5, (1.0 * 2.0 - 3.0 * 0.5) / 4.0)
    assert pair(-x) == (-3.0, -1.0)
    assert pair(x**2) == (9.0, 6.0)
    assert pair(2.0 * x + 1.0) == (7.0, 2.0)
    assert pair(1.0 / y) == (0.5, -0.125)
    assert pair(7 - x) == (4.0, -1.0)


def test_the_square_of_the_dual_unit_is_zero() -> None:
    epsilon = Dual(0.0, 1.0)
    assert pair(epsilon * epsilon) == (0.0, 0.0)


def test_functions_of_numpy() -> None:
    primal, tangent = pair(np.sin(Dual(0.5, 2.0)))
    assert primal == np.sin(0.5)
    assert tangent == 2.0 * np.cos(0.5)


def test_arrays() -> None:
    x = Dual(np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    primal, tangent = pair(np.sum(x * x))
    assert (primal, tangent) == (5.0, 2.0)
    primal, tangent = pair(x[::-1])
    assert primal.tolist() == [2.0, 1.0]
    assert tangent.tolist() == [0.0, 1.0]


def test_assignment() -> None:
    x = Dual(np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    x[1] = x[0] * 3.0
    assert x.primal.tolist() == [1.0, 3.0]
    assert x.tangent.tolist() == [1.0, 3.0]
    x += 1.0
    assert x.primal.tolist() == [2.0, 4.0]
    assert x.tangent.tolist() == [1.0, 3.0]


def test_what_was_given_is_never_written() -> None:
    primal, tangent = np.array([1.0, 2.0]), np.array([1.0, 0.0])
    x = Dual(primal, tangent)
    x[0] = 9.0
    x *= 2.0
    assert primal.tolist() == [1.0, 2.0]
    assert tangent.tolist() == [1.0, 0.0]


def test_what_was_given_may_change_afterwards() -> None:
    primal, tangent = np.array([1.0, 2.0]), np.array([1.0, 0.0])
    x = Dual(primal, tangent)
    primal[0] = tangent[0] = 99.0
    assert pair(np.sum(x)) == (3.0, 1.0)


@pytest.mark.parametrize(
    ("primal", "tangent"),
    [(3, 1), (np.int64(3), 1), (np.int8(3), np.int8(1)), (np.array([3]), np.array([1])), ([3], [1]), (3, 1.0)],
)
def test_integers_become_float64(primal: Any, tangent: Any) -> None:
    x = Dual(primal, tangent)
    half = x * 0.5
    assert np.asarray(half.primal).dtype == np.asarray(half.tangent).dtype == np.float64
    assert float(np.sum(half.tangent)) == 0.5
    assert np.asarray(x.tangent).dtype == np.float64


@pytest.mark.parametrize("kind", [np.float64, np.int64, np.int32, np.int8])
def test_fraction_as_the_tangent_of_an_integer(kind: type) -> None:
    for primal, tangent in ((kind(3), 0.25), (np.array([3], kind), np.array([0.25]))):
        assert np.sum((Dual(primal, tangent) * 2).tangent) == 0.5


def test_float32_is_kept() -> None:
    x = Dual(np.ones(2, np.float32), np.ones(2))
    assert x.tangent.dtype == np.float32
    assert (np.sin(x) * x).tangent.dtype == np.float32
    y = np.sin(Dual(np.float32(0.5), 1.0)) * 2
    assert y.primal.dtype == y.tangent.dtype == np.float32
    assert np.asarray(Dual(np.float32(0.5), 0.1).tangent).dtype == np.float32


@pytest.mark.parametrize(
    ("primal", "tangent"), [(np.ones(3), np.ones(2)), (np.ones(3), 1.0), (1.0, np.ones(2)), (np.ones((1, 2)), [1, 2])]
)
def test_shapes_that_differ_are_refused(primal: Any, tangent: Any) -> None:
    with pytest.raises(ShapeError, match="shape"):
        Dual(primal, tangent)


@pytest.mark.parametrize("primal", [True, "3.0", None, np.array([True]), np.array([None]), {1.0}])
def test_what_has_no_derivative_is_refused(primal: Any) -> None:
    with pytest.raises(LeafTypeError):
        Dual(primal, np.ones(np.shape(primal)) if np.ndim(primal) else 1.0)


@pytest.mark.parametrize("tangent", ["1.0", None, True, 1j])
def test_a_tangent_must_be_a_number_of_the_primal_s_kind(tangent: Any) -> None:
    with pytest.raises(LeafTypeError):
        Dual(3.0, tangent)


def test_complex_numbers() -> None:
    z = Dual(1 + 2j, 1.0)
    primal, tangent = pair(z * z)
    assert primal == (1 + 2j) ** 2
    assert tangent == 2 * (1 + 2j)


def test_repr_shows_both_parts() -> None:
    assert repr(Dual(3.0, 1.0)) == "Dual(3.0, tangent=1.0)"


def test_hand_made_duals_share_one_direction() -> None:
    # Two seeds of 1 are the directional derivative along (1, 1), not two partial derivatives.
    assert (Dual(3.0, 1.0) * Dual(5.0, 1.0)).tangent == 8.0


@pytest.mark.parametrize("engine", [dualad, reversead])
def test_derivative_of_a_function_that_uses_a_hand_made_dual(engine: Any) -> None:
    # d/du of u^2 x is 2 u x: 12, whose own derivative along x is 2 u = 6.
    assert pair(engine.derivative(lambda u: u * u * Dual(2.0, 1.0))(3.0)) == (12.0, 6.0)


@pytest.mark.parametrize("engine", [dualad, reversead])
def test_hand_made_dual_as_the_argument_of_a_transform(engine: Any) -> None:
    assert pair(engine.grad(lambda u: u**3)(Dual(2.0, 1.0))) == (12.0, 12.0)


@pytest.mark.parametrize("engine", [dualad, reversead])
def test_hand_made_dual_of_a_traced_value_is_refused_or_right(engine: Any) -> None:
    # Its level is below that of the value it would hold; d/du of d/dx (x^2 u) at x = u is 2 x u + 2 u^2 = 4 u^2 ...
    def slope(u: Any) -> Any:
        return (Dual(u, 1.0) * Dual(u, 1.0)).tangent

    # ... and the tangent of x^2 at x = u is 2 u, whose derivative is 2.
    try:
        found = engine.derivative(slope)(3.0)
    except (DifferentiationError, TypeError):
        return
    assert found == 2.0


@pytest.mark.parametrize("engine", [dualad, reversead])
def test_hand_made_dual_of_a_traced_value_beside_that_value(engine: Any) -> None:
    def slope(u: Any) -> Any:
        return (Dual(u, 1.0) * u).tangent

    # The tangent of x u is u.  An error is right as well; another number is not.
    try:
        assert engine.derivative(slope)(3.0) == 1.0
    except (DifferentiationError, TypeError, AttributeError):
        return
