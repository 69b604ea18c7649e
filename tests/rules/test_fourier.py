"""Fourier transforms beyond the generated tests: the pairing of cotangents, precision, half spectra, cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from derivative_checks import Report, direction, pairing

import dualad
import reversead
from shared import count_operations, jacobian_pattern
from shared.core.errors import NoRuleError

RANDOM = np.random.default_rng(3)
TO_COMPLEX = ("fft", "ifft", "rfft", "ihfft", "fft2", "ifft2", "fftn", "ifftn", "rfft2", "rfftn")
TO_REAL = ("irfft", "hfft", "irfft2", "irfftn")


def complex_numbers(*shape: int) -> np.ndarray:
    return RANDOM.normal(size=shape) + 1j * RANDOM.normal(size=shape)


@pytest.mark.parametrize("transform", [np.fft.fft, np.fft.ifft], ids=lambda f: f.__name__)
def test_the_gradient_is_the_transform_itself_without_a_conjugate(ad: Any, transform: Any) -> None:
    weights, z = complex_numbers(6), complex_numbers(6)
    gradient = ad.grad(lambda z: np.sum(np.real(weights * transform(z))))(z)
    np.testing.assert_allclose(gradient, transform(weights), rtol=1e-13)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 9])
@pytest.mark.parametrize("norm", [None, "backward", "ortho", "forward"])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_adjoint_for_every_number_of_points_and_norm(name: str, norm: Any, n: int) -> None:
    x: np.ndarray = RANDOM.normal(size=4) if name in ("rfft", "ihfft") else complex_numbers(4)

    def f(x: Any) -> Any:
        return getattr(np.fft, name)(x, n, norm=norm)

    t, c = direction(x, 1), direction(f(x), 2)
    out, tangent = dualad.jvp(f, (x,), (t,))
    np.testing.assert_array_equal(out, f(x))
    np.testing.assert_allclose(tangent, f(t), rtol=1e-14)
    (pulled,) = reversead.vjp(f, x)[1](c)
    (left, size), (right, _) = pairing(c, tangent), pairing(pulled, t)
    assert abs(left - right) <= 1e-13 * size


def test_irfft_does_not_read_the_imaginary_parts_at_the_ends_of_the_half_spectrum(ad: Any) -> None:
    z = complex_numbers(4)
    gradient = ad.grad(lambda z: np.sum(np.fft.irfft(z, 6) ** 2 * np.arange(6)))(z)
    assert np.array_equal(gradient.imag == 0, [True, False, False, True])
    gradient = ad.grad(lambda z: np.sum(np.fft.irfft(z, 7) ** 2 * np.arange(7)))(z)
    assert np.array_equal(gradient.imag == 0, [True, False, False, False])


@pytest.mark.parametrize("name", TO_COMPLEX + TO_REAL)
def test_single_precision_stays_single(ad: Any, name: str) -> None:
    x = RANDOM.normal(size=(3, 4)).astype(np.float32)
    z = x if name in ("rfft", "ihfft", "rfft2", "rfftn") else complex_numbers(3, 4).astype(np.complex64)

    def f(x: Any) -> Any:
        return np.sum(np.abs(getattr(np.fft, name)(x)))

    report = Report()
    _, pullback = ad.vjp(f, report.witness(z))
    pullback(report.witness(np.float32(1)))
    assert not [result for result in report.results if result[1] in (np.float64, np.complex128)]
    assert ad.grad(f)(z).dtype == z.dtype
    assert ad.grad(f)(x).dtype == np.float32


def test_a_gradient_through_a_transform_costs_a_small_multiple_of_it() -> None:
    x = RANDOM.normal(size=1024)

    def f(x: Any) -> Any:
        return np.sum(np.abs(np.fft.rfft(x)))

    assert count_operations(np.fft.fft, x + 0j) == 5 * 1024 * 10
    assert count_operations(np.fft.rfft, x) == count_operations(np.fft.irfft, complex_numbers(513)) == 2.5 * 1024 * 10
    assert count_operations(reversead.grad(f), x) < 3 * count_operations(f, x)


def test_the_pattern_of_a_transform_is_within_its_axis_and_what_it_reads() -> None:
    pattern = jacobian_pattern(lambda x: np.abs(np.fft.rfft(x, 3, axis=0)), np.ones((4, 2))).to_dense()
    expected = np.kron(np.array([[1, 1, 1, 0]] * 2), np.eye(2))
    np.testing.assert_array_equal(pattern, expected != 0)


def test_numpys_own_errors_are_kept(ad: Any) -> None:
    x = np.ones(4)
    for wrong, error in (
        (lambda x: np.fft.fft(x, 0), ValueError),
        (lambda x: np.fft.fft(x, norm="other"), ValueError),
        (lambda x: np.fft.ihfft(x, norm="other"), ValueError),
        (lambda x: np.fft.rfft(x + 0j), TypeError),
        (lambda x: np.fft.fft(x, axis=1), IndexError),
        (lambda x: np.fft.fftn(x, s=(2, 2), axes=(0,)), ValueError),
        (lambda x: np.fft.rfftn(x, axes=()), IndexError),
        (lambda x: np.fft.irfftn(x, axes=()), IndexError),
    ):
        with pytest.raises(error):
            wrong(x)
        with pytest.raises(error):
            ad.vjp(wrong, x)
    with pytest.raises(NoRuleError, match="out"):
        ad.vjp(lambda x: np.fft.fft(x, out=np.zeros(4, complex)), x)
