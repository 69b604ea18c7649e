"""SciPy's convolutions and linear filters, of the same names and signatures, with derivatives.

A convolution is bilinear, and its transpose is one with the other operand turned round.  A filter is linear in its
input, and its transpose is the same filter run backwards; in its coefficients it has the derivative of a quotient of
polynomials, which is the filter of another signal.  (Oppenheim & Schafer 2010, "Discrete-time signal processing",
chapters 2 and 6.)  On plain arrays each function is SciPy's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from shared.core.edges import Like, fit
from shared.core.errors import user_line
from shared.core.facets import Count, size_of
from shared.core.primitive import Primitive
from shared.core.registry import multilinear, rule
from shared.rules.matrices import conjugate_of
from shared.scipy.offering import arrays, offered, required

signal = required("scipy.signal")

# --- convolutions -----------------------------------------------------------------------------------------------------


def _full_convolution(x: Any, y: Any, *, method: str, stack: int = 0) -> Any:
    if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray)):
        return FULL(x, y, method=method, stack=stack)
    if not stack:
        return signal.convolve(x, y, "full", method)
    return np.stack([_full_convolution(a, b, method=method, stack=stack - 1) for a, b in zip(x, y, strict=True)])


def _transposed_convolution(c: Any, other: Any, like: Like, method: str, stack: int) -> Any:
    turned = np.flip(other, tuple(range(stack, np.ndim(other))))
    found = FULL(c, turned, method=method, stack=stack)
    places = [slice(m - 1, m - 1 + n) for m, n in zip(other.shape[stack:], like.shape[stack:], strict=True)]
    return fit(found[(..., *places)], like)


def _pairs(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    number: int = math.prod(out.shape[: static.get("stack", 0)])
    return size_of(operands[0]) * size_of(operands[1]) // max(number, 1) * Count(1, 1)


def _convolved_each(
    primitive: Any, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]
) -> Any:
    x, y = values
    if not static["stack"] and not all(batched):
        # Along the axis of the examples the other array has one element, so they stay apart.
        x, y = (value if flag else np.expand_dims(value, 0) for value, flag in zip(values, batched, strict=True))
        return primitive(x, y, **static)
    x, y = (
        value if flag else np.broadcast_to(value, (size, *np.shape(value)))
        for value, flag in zip(values, batched, strict=True)
    )
    return primitive(x, y, **{**static, "stack": static["stack"] + 1})


#: The full convolution of two arrays, each with as many leading axes of pairs as `stack` says.
FULL: Primitive = multilinear(
    _full_convolution,
    lambda c, x, y, *, method, stack: _transposed_convolution(c, y, x, method, stack),
    lambda c, x, y, *, method, stack: _transposed_convolution(c, x, y, method, stack),
    count=_pairs,
    batch=_convolved_each,
)


def _central(full: Any, shape: tuple[int, ...]) -> Any:
    starts = [(have - want) // 2 for have, want in zip(full.shape, shape, strict=True)]
    return full[tuple(slice(start, start + want) for start, want in zip(starts, shape, strict=True))]


def _convolved(name: str, x: Any, y: Any, mode: str, method: str) -> Any:
    if mode not in ("full", "same", "valid"):
        raise ValueError("acceptable mode flags are 'valid', 'same', or 'full'")
    if np.ndim(x) != np.ndim(y):
        raise ValueError(f"{name}: the arrays have {np.ndim(x)} and {np.ndim(y)} axes{user_line()}")
    if not np.ndim(x):
        return x * y
    full = FULL(x, y, method=method, stack=0)
    if mode == "full":
        return full
    if mode == "same":
        return _central(full, np.shape(x))
    shapes = sorted([np.shape(x), np.shape(y)])
    if not all(a <= b for a, b in zip(*shapes, strict=True)):
        raise ValueError("For 'valid' mode, one must be at least as large as the other in every dimension")
    return _central(full, tuple(b - a + 1 for a, b in zip(*shapes, strict=True)))


@offered(signal.convolve)
def convolve(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """As `scipy.signal.convolve`: the convolution of two arrays of as many axes, in mode "full", "same" or "valid".

    Cost: on traced values the full one is computed, and for each derivative another one, of the sum of the lengths.
    (Oppenheim & Schafer 2010, section 2.3)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda x: convolve(x, np.array([1.0, 2.0, 3.0]), mode="same")[0])(np.zeros(3))
    array([2., 1., 0.])
    """
    in1, in2 = arrays(in1, in2)
    return _convolved("convolve", in1, in2, mode, method)


@offered(signal.fftconvolve)
def fftconvolve(in1: Any, in2: Any, mode: str = "full", axes: None = None) -> Any:
    """As `scipy.signal.fftconvolve` along all axes: `convolve` by Fourier transforms, O(n log n).

    `axes` is refused.  (Oppenheim & Schafer 2010, section 8.7)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda x: fftconvolve(x, np.array([1.0, 2.0]))[1])(np.zeros(2)).round(6)
    array([2., 1.])
    """
    if axes is not None:
        raise NotImplementedError(f"fftconvolve: `axes` has no rule{user_line()}")
    in1, in2 = arrays(in1, in2)
    return _convolved("fftconvolve", in1, in2, mode, "fft")


@offered(signal.correlate)
def correlate(in1: Any, in2: Any, mode: str = "full", method: str = "auto") -> Any:
    """As `scipy.signal.correlate`: the convolution of `in1` with the conjugate of `in2`, turned round.

    Cost: that of `convolve`.  (Oppenheim & Schafer 2010, section 2.9)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda x: correlate(x, np.array([1.0, 2.0]))[0])(np.zeros(2))
    array([2., 0.])
    """
    in1, in2 = arrays(in1, in2)
    return _convolved("correlate", in1, np.flip(conjugate_of(in2)), mode, method)


# --- filters ----------------------------------------------------------------------------------------------------------


# The axis is counted from the end; further axes of the coefficients are a stack, which the signal begins with.


def _recursion(x: Any, y: Any, *, axis: int) -> Any:
    if x.ndim > 1:
        return np.stack([_recursion(a, b, axis=axis) for a, b in zip(x, y, strict=True)])
    return signal.lfilter(np.ones(1, np.result_type(x.dtype, y.dtype)), x, y, axis=axis)


def _driven(coefficients: Any, y: Any, axis: int) -> Any:
    """The signal filtered by coefficients, without feedback."""
    n, missing = np.shape(y)[axis], np.ndim(y) - np.ndim(coefficients) + 1
    total: Any = np.zeros_like(y)
    for k in range(min(np.shape(coefficients)[-1], n)):
        factor = coefficients[..., k]
        total = total + np.reshape(factor, np.shape(factor) + (1,) * missing) * _delayed(y, k, axis)
    return total


def _delayed(y: Any, steps: int, axis: int) -> Any:
    return _padded(_first(y, np.shape(y)[axis] - steps, axis), steps, 0, axis) if steps else y


def _first(y: Any, length: int, axis: int) -> Any:
    return y[(..., slice(length), *(slice(None),) * (-axis - 1))]


def _padded(y: Any, before: int, after: int, axis: int) -> Any:
    return np.pad(y, [(before, after) if k == np.ndim(y) + axis else (0, 0) for k in range(np.ndim(y))])


def _backwards(x: Any, c: Any, axis: int) -> Any:
    return np.flip(RECURSION(x, np.flip(c, axis), axis=axis), axis)


def _recursion_vjp(c: Any, out: Any, x: Any, *, axis: int) -> Any:
    solved, n = _backwards(x, c, axis), np.shape(out)[axis]
    axes = tuple(range(np.ndim(x) - 1, np.ndim(out)))
    products = [solved * _delayed(out, k, axis) if k < n else np.zeros_like(out) for k in range(np.shape(x)[-1])]
    return fit(-np.stack([np.sum(p, axis=axes) for p in products], axis=-1), Like(x))


def _steps(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    taps: int = operands[0].shape[-1]
    return size_of(out) * taps * Count(1, 1)


def _each_filter(
    primitive: Any, size: int, batched: Sequence[bool], values: Sequence[Any], static: dict[str, Any]
) -> Any:
    x, y = values
    if not batched[0] and np.ndim(x) == 1:
        return primitive(x, y, **static)
    x, y = (
        value if flag else np.broadcast_to(value, (size, *np.shape(value)))
        for value, flag in zip(values, batched, strict=True)
    )
    return primitive(x, y, **static)


#: The signal whose filtering by the coefficients x is y: y_t = x_0 out_t + x_1 out_(t - 1) + ...
RECURSION: Primitive = rule(
    _recursion,
    vjps=(_recursion_vjp, lambda c, x, y, *, axis: fit(_backwards(x, c, axis), Like(y))),
    jvps=(
        lambda t, out, x, *, axis: -RECURSION(x, _driven(t, out, axis), axis=axis),
        lambda t, x, *, axis: RECURSION(x, t, axis=axis),
    ),
    because="linear in the signal only",
    count=_steps,
    batch=_each_filter,
    linear=(1,),
)


@offered(signal.lfilter)
def lfilter(b: Any, a: Any, x: Any, axis: int = -1, zi: Any = None) -> Any:
    """As `scipy.signal.lfilter`: the signal x filtered by the quotient of the polynomials b and a, along an axis.

    It has derivatives in b, a, x and the initial state `zi`, with which the final state is returned too.  Raises
    ValueError where a[0] is zero.  Cost: one filter for the value, and one for each derivative, which runs backwards in
    reverse mode.  (Oppenheim & Schafer 2010, section 6.3)

    >>> import numpy as np, reversead
    >>> reversead.grad(lambda a: lfilter([1.0], [1.0, a], np.array([1.0, 0.0, 0.0]))[2])(0.5)
    1.0
    >>> reversead.grad(lambda x: lfilter([1.0], [1.0, 0.5], x)[2])(np.zeros(3))
    array([ 0.25, -0.5 ,  1.  ])
    """
    from shared.rules.indexing import assembled

    b, a, x = arrays(np.atleast_1d(assembled(b)), np.atleast_1d(assembled(a)), x)
    if np.ndim(a) != 1 or np.ndim(b) != 1 or not np.shape(a)[0] or not np.shape(b)[0] or a[0] == 0:
        raise ValueError(f"lfilter: b and a have one axis, and a[0] is not zero{user_line()}")
    axis = normalize_axis_index(axis, np.ndim(x)) - np.ndim(x)
    b, a = b / a[0], a / a[0]
    driven, n = _driven(b, x, axis), np.shape(x)[axis]
    if zi is None:
        return RECURSION(a, driven, axis=axis)
    order = max(np.shape(a)[0], np.shape(b)[0]) - 1
    expected = tuple(order if k == np.ndim(x) + axis else m for k, m in enumerate(np.shape(x)))
    if np.shape(zi) != expected:
        raise ValueError(f"lfilter: zi has the shape {np.shape(zi)}, and not {expected}{user_line()}")
    # The state is what comes out of the delays first, and what the signals leave there after their end.
    state = _padded(arrays(zi, x)[0], 0, n, axis)
    found = RECURSION(a, driven + _first(state, n, axis), axis=axis)
    left = _driven(b, _padded(x, 0, order, axis), axis) - _driven(a, _padded(found, 0, order, axis), axis) + state
    return found, left[(..., slice(n, None), *(slice(None),) * (-axis - 1))]


__all__ = ["convolve", "correlate", "fftconvolve", "lfilter"]
