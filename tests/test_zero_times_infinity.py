"""Nothing flows through what was not chosen: zeros of the program's structure meet infinite slopes.

In both modes, at every order, alone and mapped, compiled and checkpointed: a branch, a mask, an index that was not
taken and an input that a direction does not move contribute exactly zero.  A zero that is a value stays NaN, and so
does what cannot be computed again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
import shared
from shared.calling.results import CAREFUL, has_nan
from shared.core.levels import Tracer
from shared.linear.known_zeros import KnownZeros, WithZeros

ENGINES = [dualad, reversead]
EDGE = np.array([0.0, 4.0])


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with np.errstate(all="ignore"):
        yield


def guarded(x: Any) -> Any:
    return np.where(x > 0, np.sqrt(x), 0)


def total(x: Any) -> Any:
    return np.sum(guarded(x))


def overwritten(x: Any) -> Any:
    roots = np.sqrt(x)
    roots[0] = 1.0
    return np.sum(roots)


def filled(x: Any) -> Any:
    out = np.zeros_like(x)
    for k in range(2):
        out[k] = np.where(x[k] > 0, np.sqrt(x[k]), 0)
    return np.sum(out)


def joined(x: Any) -> Any:
    return np.sum(np.concatenate([np.sqrt(x)[1:], np.where(x > 0, x, 0) ** 2 * 0.0]))


#: Programs whose gradient at (0, 4) is (0, 1/4).
CHOICES: dict[str, Callable[[Any], Any]] = {
    "where": total,
    "where, the other way": lambda x: np.sum(np.where(x <= 0, 0, np.sqrt(x))),
    "select": lambda x: np.sum(np.select([x > 0, x < 0], [np.sqrt(x), np.log(x)], 0.0)),
    "maximum": lambda x: np.sum(np.maximum(np.sqrt(x), 1.0)),
    "clip": lambda x: np.sum(np.clip(np.sqrt(x), 0.5, 9.0)),
    "a mask": lambda x: np.sum(np.sqrt(x)[x > 0]),
    "an index": lambda x: np.sqrt(x)[1],
    "an index array": lambda x: np.sum(np.sqrt(x)[np.array([1, 1])]) / 2,
    "a slice": lambda x: np.sum(np.sqrt(x)[1:]),
    "take": lambda x: np.sum(np.take(np.sqrt(x), [1])),
    "assignment over it": overwritten,
    "assignment of it": filled,
    "joined": joined,
    "max": lambda x: np.max(np.sqrt(x)),
    "triu": lambda x: np.sum(np.triu(np.sqrt(np.stack([x, x])), 1)),
    "broadcast": lambda x: np.sum(np.where(np.array([[True], [True]]) & (x > 0), np.sqrt(x), 0)) / 2,
    "reshaped": lambda x: np.sum(np.where(np.reshape(x, (2, 1)) > 0, np.sqrt(np.reshape(x, (2, 1))), 0).T),
    "scaled": lambda x: np.sum(3.0 * np.where(x > 0, np.sqrt(x), 0) / 3.0),
    "einsum": lambda x: np.einsum("i,i->", np.where(x > 0, 1.0, 1.0), guarded(x)),
    "padded": lambda x: np.sum(np.pad(guarded(x), 1)),
    "a branch of logarithms": lambda x: np.sum(np.where(x > 0, np.log(np.where(x > 0, x, 0)), 0)),
}


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("ad", ENGINES)
def test_what_was_not_chosen_contributes_nothing(ad: Any, name: str) -> None:
    f = CHOICES[name]
    np.testing.assert_array_equal(ad.grad(f)(EDGE), [0.0, 0.25])
    np.testing.assert_array_equal(ad.jacobian(f)(EDGE), [0.0, 0.25])
    np.testing.assert_array_equal(ad.jacobian(f, chunk_size=1)(EDGE), [0.0, 0.25])
    assert ad.jvp(f, (EDGE,), (np.array([3.0, 2.0]),))[1] == 0.5
    assert ad.linearize(f, EDGE)[1](np.array([3.0, 2.0])) == 0.5
    np.testing.assert_array_equal(ad.vjp(f, EDGE)[1](2.0)[0], [0.0, 0.5])
    assert ad.grad(f)(EDGE.astype(np.float32)).dtype == np.float32


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize(("outer", "inner"), list(product(ENGINES, ENGINES)))
def test_and_at_second_order(outer: Any, inner: Any, name: str) -> None:
    f = CHOICES[name]
    second = -1 / 16 if name == "a branch of logarithms" else -1 / 32
    np.testing.assert_array_equal(outer.jacobian(inner.grad(f))(EDGE), [[0.0, 0.0], [0.0, second]])
    np.testing.assert_array_equal(outer.jvp(inner.grad(f), (EDGE,), (np.ones(2),))[1], [0.0, second])


@pytest.mark.parametrize("ad", ENGINES)
def test_and_where_only_the_second_derivative_is_infinite(ad: Any) -> None:
    def f(x: Any) -> Any:
        return np.sum(np.where(x > 0, x**1.5, 0))

    np.testing.assert_array_equal(ad.grad(f)(EDGE), [0.0, 3.0])
    np.testing.assert_array_equal(ad.hessian(f)(EDGE), [[0.0, 0.0], [0.0, 0.375]])
    np.testing.assert_array_equal(ad.hvp(f, EDGE, np.ones(2)), [0.0, 0.375])
    assert ad.grad(ad.grad(ad.grad(guarded)))(0.0) == 0.0


@pytest.mark.parametrize("ad", ENGINES)
def test_and_of_numbers_mapped_compiled_and_checkpointed(ad: Any) -> None:
    assert ad.grad(guarded)(0.0) == 0.0 and ad.derivative(guarded)(0.0) == 0.0
    np.testing.assert_array_equal(shared.vmap(ad.grad(guarded))(EDGE), [0.0, 0.25])
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(shared.vmap(guarded)(x)))(EDGE), [0.0, 0.25])
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(ad.checkpoint(guarded)(x)))(EDGE), [0.0, 0.25])
    for points in ([np.array([1.0, 4.0]), EDGE, EDGE, np.array([1.0, 4.0])], [EDGE, np.array([1.0, 4.0]), EDGE]):
        compiled = shared.compile(ad.grad(total), verify="always")
        for x in points:
            np.testing.assert_array_equal(compiled(x), [0.5 if x[0] else 0.0, 0.25])


@pytest.mark.parametrize("ad", ENGINES)
def test_an_input_that_a_direction_does_not_move(ad: Any) -> None:
    """The promise about poles: beside one, derivatives by other inputs are clean."""
    pole = np.array([1.0, 0.0])
    np.testing.assert_array_equal(ad.grad(lambda x: np.sum(1 / x))(pole), [-1.0, -np.inf])
    np.testing.assert_array_equal(ad.jacobian(lambda x: 1 / x)(pole), [[-1.0, 0.0], [0.0, -np.inf]])
    np.testing.assert_array_equal(ad.hessian(lambda x: np.sum(1 / x))(pole), [[2.0, 0.0], [0.0, np.inf]])
    np.testing.assert_array_equal(ad.hessian(lambda x: np.sum(np.sqrt(x)))(EDGE), [[-np.inf, 0.0], [0.0, -1 / 32]])
    assert ad.grad(lambda x, y: np.sqrt(x) + y, (0, 1))(0.0, 1.0) == (np.inf, 1.0)
    assert ad.grad(lambda x, y: np.divide(x, y), (0, 1))(1.0, 0.0) == (np.inf, -np.inf)
    assert ad.jvp(np.divide, (1.0, 0.0), (1.0, 0.0))[1] == np.inf
    assert ad.jvp(np.power, (-2.0, 3.0), (1.0, 0.0))[1] == 12.0
    # Of a negative base the powers at whole numbers alone are real: there is no derivative along the exponent.
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(ad.grad(lambda x, y: x**y, (0, 1))(-2.0, 3.0), (12.0, np.nan))


@pytest.mark.parametrize("ad", ENGINES)
def test_infinite_entries_of_a_matrix_meet_exact_zeros(ad: Any) -> None:
    matrix = np.array([[np.inf, 1.0], [2.0, 3.0]])
    np.testing.assert_array_equal(ad.jacobian(lambda x: matrix @ np.where(x > 1, x, 0), chunk_size=1)(EDGE)[1], [0, 3])
    np.testing.assert_array_equal(ad.vjp(lambda x: matrix @ x, EDGE)[1](np.array([0.0, 1.0]))[0], [2.0, 3.0])
    np.testing.assert_array_equal(ad.jvp(lambda x: matrix @ x, (EDGE,), (np.array([0.0, 1.0]),))[1], [1.0, 3.0])


@pytest.mark.parametrize("ad", ENGINES)
def test_a_zero_that_is_a_value_stays_nan(ad: Any) -> None:
    for f in (
        lambda x: np.sqrt(x) ** 2,  # whose derivative is 1
        lambda x: np.sqrt(x) * 0.0,
        lambda x: np.sqrt(x) * np.sqrt(x),
        lambda x: np.where(x >= 0, np.sqrt(x) ** 2, 0),
    ):
        assert np.isnan(ad.grad(f)(0.0))
    assert np.isnan(ad.grad(lambda x: np.where(x > 0, x, np.sqrt(x) ** 2))(0.0))


@pytest.mark.parametrize("ad", ENGINES)
def test_what_is_not_pure_stays_nan(ad: Any) -> None:
    calls: list[int] = []

    def pure(x: Any) -> Any:
        # Forwards a direction that does not move the first number meets its slope, backwards the branch not taken does.
        return np.sum(np.sqrt(x)) if ad is dualad else total(x)

    def impure(x: Any) -> Any:
        calls.append(1)
        return pure(x) * len(calls)

    def slope(f: Any) -> Any:
        return dualad.jvp(f, (EDGE,), (np.array([0.0, 1.0]),))[1] if ad is dualad else reversead.grad(f)(EDGE)[0]

    assert slope(pure) == (0.25 if ad is dualad else 0.0)
    assert np.isnan(slope(impure)) and len(calls) == 2


def test_an_iterator_is_not_used_twice() -> None:
    assert np.isnan(reversead.grad(lambda x, parts: total(x) + sum(parts))(EDGE, iter([1.0, 2.0]))[0])


def test_a_pullback_does_not_call_the_function_again() -> None:
    weights, calls = np.array([1.0, 1.0]), []

    def f(x: Any) -> Any:
        calls.append(1)
        return weights * guarded(x)

    _, pullback = reversead.vjp(f, EDGE)
    weights[:] = 7.0
    np.testing.assert_array_equal(pullback(np.ones(2))[0], [0.0, 0.25])
    assert len(calls) == 1


def test_nothing_is_done_twice_while_everything_is_finite() -> None:
    calls = []

    def f(x: Any) -> Any:
        calls.append(1)
        return total(x)

    for ad in ENGINES:
        calls.clear()
        ad.grad(f)(np.array([1.0, 4.0]))
        ad.jvp(f, (np.array([1.0, 4.0]),), (np.ones(2),))
        assert len(calls) == 2


def test_a_rule_that_takes_no_traced_cotangent_leaves_the_nan() -> None:
    @shared.custom_derivative(vjp=lambda c, out, x: (float(c) * 0.5 / out,))
    def root(x: Any) -> Any:
        return np.sqrt(x)

    assert reversead.grad(lambda x: np.where(x > 0, root(x), 0.0))(4.0) == 0.25
    assert np.isnan(reversead.grad(lambda x: np.where(x > 0, root(x), 0.0))(0.0))
    assert CAREFUL.get() is None


def test_care_ends_with_an_exception() -> None:
    raised = []

    def f(x: Any) -> Any:
        if CAREFUL.get():
            raised.append(1)
            raise ValueError("the second time")
        return total(x)

    assert np.isnan(reversead.grad(f)(EDGE)[0])
    assert raised and CAREFUL.get() is None


# --- the values themselves --------------------------------------------------------------------------------------------


def test_known_zeros_stay_certain() -> None:
    """An element is marked as zero only where it is, whatever linear function it went through."""
    random, level = np.random.default_rng(0), KnownZeros()
    matrix = random.normal(size=(3, 3))
    maps: list[Callable[[Any], Any]] = [
        lambda t: 2.0 * t, lambda t: t / 3.0, lambda t: -t, lambda t: t + t[::-1], lambda t: t - t,
        lambda t: np.where([True, False, True], t, 0), lambda t: np.cumsum(t), lambda t: np.sum(t), lambda t: t[1:],
        lambda t: t[np.array([0, 0, 2])], lambda t: np.concatenate([t, t]), lambda t: np.stack([t, 0 * t]),
        lambda t: matrix @ t, lambda t: t @ matrix, lambda t: np.einsum("i,ij->j", t, matrix),
        lambda t: np.linalg.solve(matrix, t), lambda t: np.fft.fft(t), lambda t: np.real(t), lambda t: np.imag(1j * t),
        lambda t: np.outer(t, matrix[0]), lambda t: np.roll(t, 1), lambda t: np.mean(t), lambda t: np.pad(t, 1),
        lambda t: np.convolve(t, matrix[0]), lambda t: t.astype(np.float32), lambda t: np.conjugate(t),
        lambda t: np.flip(t), lambda t: np.diff(t), lambda t: np.tile(t, 2), lambda t: np.broadcast_to(t, (2, 3)),
        lambda t: np.vdot(matrix[0], t), lambda t: np.degrees(t), lambda t: np.dot(t, matrix),
    ]  # fmt: skip
    for f, mask in product(maps, product([0.0, 1.0], repeat=3)):
        given = random.normal(size=3) * mask
        (t,) = level.seeds([given])
        found, expected = f(t), f(given)
        assert isinstance(found, WithZeros) and isinstance(found, Tracer)
        np.testing.assert_allclose(found.primal, expected, rtol=1e-12, atol=1e-15)
        live = np.broadcast_to(found.live, np.shape(expected))
        # Whatever the live elements of the seed were, the others of the result are zero.
        for _ in range(2):
            other = f(random.normal(size=3) * mask)
            assert not np.any(other[~live] if np.ndim(other) else other * ~live)


def test_nan_is_found_in_what_a_tracer_stands_for() -> None:
    assert not has_nan([1.0, 2, None, np.inf, np.float32(1), 1j, np.array([1, 2]), np.array([np.inf])])
    for value in (np.nan, np.float32("nan"), np.array([0, np.nan]), complex(0, np.nan), dualad.Dual(1.0, np.nan)):
        assert has_nan([0.0, value])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(
    "make", [np.zeros_like, lambda x: np.zeros(2, like=x), lambda x: np.asarray([0.0, 0.0], like=x)]
)
def test_an_array_that_does_not_vary_contributes_nothing(engine: Any, make: Callable[[Any], Any]) -> None:
    # The zeros of its tangent are those of the structure, too: the slope of the root is infinite there.
    np.testing.assert_array_equal(engine.grad(lambda x: np.sum(np.sqrt(make(x)) * 2.0 + x))(EDGE), [1, 1])
    np.testing.assert_array_equal(engine.hessian(lambda x: np.sum(np.sqrt(make(x)) + x**2))(EDGE), 2 * np.eye(2))
