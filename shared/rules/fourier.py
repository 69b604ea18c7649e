"""Discrete Fourier transforms: of one axis linear, and the others rewritten in terms of these.

Cotangents pair with tangents as Re(c t), without a conjugate, and the matrix of the transform, exp(-2 pi i j k / n), is
symmetric: so `fft` is its own transpose, and so is `ifft`.  What `n` cuts off of an axis the transpose pads with zeros,
and the other way round.  (Van Loan 1992, "Computational frameworks for the fast Fourier transform", sections 1.1, 4.3.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from shared.core.facets import Count, CountRule, later, of_array, size_of
from shared.core.primitive import Like, Primitive, fit
from shared.core.registry import composite, multilinear
from shared.rules.shapes import PAD

Norm = Literal["backward", "ortho", "forward"] | None

#: The norm by which the inverse transform scales as much as the transform does by a norm.
_REVERSED: dict[Norm, Norm] = {None: "forward", "backward": "forward", "ortho": "ortho", "forward": "backward"}


def _resized(x: Any, length: int, axis: int) -> Any:
    """The first `length` elements along an axis, after which there are zeros."""
    axis, given = axis % x.ndim, x.shape[axis]
    if given > length:
        return x[(slice(None),) * axis + (slice(None, length),)]
    if given < length:
        return PAD(x, widths=tuple((0, length - given if k == axis else 0) for k in range(x.ndim)))
    return x


@of_array
def _of_each(primitive: Any, x: Any, *, n: int | None = None, axis: int = -1, norm: Any = None) -> Any:
    return NotImplemented if x.ndim == 1 else primitive(x, n=n, axis=later(axis, x.ndim), norm=norm)


def _by_halves(adds: float, multiplications: float) -> CountRule:
    """The count of a transform: 5 n log2 n real operations, of real numbers half (Van Loan 1992, 1.4 and 4.3)."""

    def of_lines(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
        axis, points = static.get("axis", -1), static.get("n")
        lines: int = size_of(out) // max(out.shape[axis], 1)
        if points is None:
            points = (operands[0] if out.dtype.kind == "c" else out).shape[axis]
        steps = lines * points * math.log2(max(points, 2))
        return Count(int(adds * steps), int(multiplications * steps))

    return of_lines


_TRANSFORM: dict[str, Any] = {"memory": "fresh", "batch": _of_each, "dependence": "transform"}
_OF_COMPLEX, _OF_REAL = _by_halves(3, 2), _by_halves(1.5, 1)


def _symmetric(transform: Callable[..., Any]) -> Primitive:
    """Declare a transform of complex numbers, whose matrix is symmetric whatever the norm scales it by."""

    def transpose(c: Any, x: Like, *, n: int | None = None, axis: int = -1, norm: Norm = None) -> Any:
        return fit(_resized(transform(c, axis=axis, norm=norm), x.shape[axis], axis), x)

    return multilinear(transform, transpose, count=_OF_COMPLEX, **_TRANSFORM)


FFT, INVERSE_FFT = _symmetric(np.fft.fft), _symmetric(np.fft.ifft)

# A half spectrum leaves out what is the conjugate of the rest: all but its first element and, of an even number of
# points, its last stand for two, so irfft reads them twice, and rfft writes them once.


def _multiplicity(points: int, like: Any, axis: int) -> Any:
    """How many elements of the spectrum each element of half of it stands for, along an axis of `like`."""
    count = np.full(points // 2 + 1, 2, np.finfo(like.dtype).dtype)
    count[0] = 1
    if points % 2 == 0:
        count[-1] = 1
    return count.reshape((-1,) + (1,) * (like.ndim - 1 - axis % like.ndim))


def _rfft_transpose(c: Any, x: Like, *, n: int | None = None, axis: int = -1, norm: Norm = None) -> Any:
    points = x.shape[axis] if n is None else n
    once = np.conjugate(c) / _multiplicity(points, c, axis)
    return fit(_resized(np.fft.irfft(once, points, axis, _REVERSED[norm]), x.shape[axis], axis), x)


def _irfft_transpose(c: Any, x: Like, *, n: int | None = None, axis: int = -1, norm: Norm = None) -> Any:
    half = np.conjugate(np.fft.rfft(c, None, axis, _REVERSED[norm]))
    twice = half * _multiplicity(c.shape[axis], half, axis)
    return fit(_resized(twice, x.shape[axis], axis), x)


REAL_FFT = multilinear(np.fft.rfft, _rfft_transpose, count=_OF_REAL, **_TRANSFORM)
INVERSE_REAL_FFT = multilinear(np.fft.irfft, _irfft_transpose, count=_OF_REAL, **_TRANSFORM)


@composite(np.fft.hfft)
def _hfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None, out: None = None) -> Any:
    return np.fft.irfft(np.conjugate(a), n, axis, _reversed(norm))


@composite(np.fft.ihfft)
def _ihfft(a: Any, n: int | None = None, axis: int = -1, norm: Norm = None, out: None = None) -> Any:
    return np.conjugate(np.fft.rfft(a, n, axis, _reversed(norm)))


def _reversed(norm: Norm) -> Norm:
    if norm not in _REVERSED:
        raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')
    return _REVERSED[norm]


# --- several axes -----------------------------------------------------------------------------------------------------


def _lengths(a: Any, s: Sequence[int] | None, axes: Sequence[int] | None) -> list[tuple[int, int]]:
    """The number of points and the axis of each transform of one axis."""
    if axes is None:
        axes = range(-a.ndim if s is None else -len(s), 0)
    if s is None:
        s = [-1] * len(axes)
    if len(s) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    return [(a.shape[axis] if n in (-1, None) else n, axis) for n, axis in zip(s, axes, strict=True)]


def _over_axes(several: Callable[..., Any], default: Any, first: Callable[..., Any], rest: Callable[..., Any]) -> None:
    """Declare a transform over several axes: `first` over the last of them, then `rest` over the others."""

    @composite(several)
    def transform(
        a: Any, s: Sequence[int] | None = None, axes: Sequence[int] | None = default, norm: Norm = None,
        out: None = None,
    ) -> Any:  # fmt: skip
        one, turns = first, _lengths(a, s, axes)
        if not turns and first is np.fft.rfft:
            raise IndexError(f"np.fft.{several.__name__} takes one axis at least")
        for n, axis in reversed(turns):
            a = one(a, n, axis, norm)
            one = rest
        return a


def _to_real(several: Callable[..., Any], default: Any) -> None:
    """Declare the inverse of a transform of real numbers over several axes: the half spectrum comes last."""

    @composite(several)
    def transform(
        a: Any, s: Sequence[int] | None = None, axes: Sequence[int] | None = default, norm: Norm = None,
        out: None = None,
    ) -> Any:  # fmt: skip
        turns = _lengths(a, s, axes)
        if not turns:
            raise IndexError(f"np.fft.{several.__name__} takes one axis at least")
        points, last = turns.pop()
        if s is None:
            points = 2 * (points - 1)
        for n, axis in turns:
            a = np.fft.ifft(a, n, axis, norm)
        return np.fft.irfft(a, points, last, norm)


_LAST_TWO = (-2, -1)
_over_axes(np.fft.fftn, None, np.fft.fft, np.fft.fft)
_over_axes(np.fft.fft2, _LAST_TWO, np.fft.fft, np.fft.fft)
_over_axes(np.fft.ifftn, None, np.fft.ifft, np.fft.ifft)
_over_axes(np.fft.ifft2, _LAST_TWO, np.fft.ifft, np.fft.ifft)
_over_axes(np.fft.rfftn, None, np.fft.rfft, np.fft.fft)
_over_axes(np.fft.rfft2, _LAST_TWO, np.fft.rfft, np.fft.fft)
_to_real(np.fft.irfftn, None)
_to_real(np.fft.irfft2, _LAST_TWO)

# --- the order of the frequencies -------------------------------------------------------------------------------------


def _by_half(x: Any, axes: Any, sign: int) -> Any:
    if isinstance(axes, (int, np.integer)):
        axes = (axes,)
    axes = tuple(range(x.ndim)) if axes is None else tuple(int(axis) for axis in axes)
    return np.roll(x, tuple(sign * (x.shape[axis] // 2) for axis in axes), axes)


composite(np.fft.fftshift)(lambda x, axes=None: _by_half(x, axes, 1))
composite(np.fft.ifftshift)(lambda x, axes=None: _by_half(x, axes, -1))
