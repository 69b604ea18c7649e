"""Functions that NumPy lacks and networks need, with their derivatives: stable for arguments of any size.

They take arrays and tracers alike.  Also `stop_gradient`; everything else that can be differentiated is NumPy itself.
Capitals are the primitives, small letters the functions that users call.  Formulas: Goodfellow, Bengio & Courville
2016, sections 3.10 and 4.1; Abramowitz & Stegun 1964, sections 9.6 and 10.1 (modified and spherical Bessel functions).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.facets import FREE, FUNCTION, Count, align, each_read, later, of_array, size_of
from shared.core.primitive import Primitive
from shared.core.registry import composite, elementwise, internal_constant, rule
from shared.rules.reductions import reduced


def _sigmoid(x: Any) -> Any:
    if np.iscomplexobj(x):
        raise TypeError("sigmoid takes real numbers; write 1 / (1 + np.exp(-z)) for complex ones")
    # exp is only ever taken of a negative number, so it cannot overflow, and the small values keep their digits.
    decay = np.exp(-np.abs(x))
    # 1 where x is not negative, since decay is at most 1.  A maximum, because a choice by np.where takes several times
    # as long where the signs are irregular.
    return np.maximum(decay, x >= 0) / (1 + decay)


def _named(name: str, documentation: str, function: Any) -> Any:
    function.__name__ = name
    function.__doc__ = documentation
    return function


def _relu(x: Any) -> Any:
    return np.maximum(x, 0)


def _softplus(x: Any) -> Any:
    if np.iscomplexobj(x):
        raise TypeError("softplus takes real numbers; write np.log(1 + np.exp(z)) for complex ones")
    # np.logaddexp(x, 0) by its parts, for which NumPy has vector instructions.
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def _logsumexp(x: Any, *, axis: Any = None, keepdims: bool = False) -> Any:
    top: Any = np.maximum.reduce(x, axis=axis, keepdims=True)
    # Of a traced value nobody may ask.  No name but NumPy's is used, since compiled programs write this out.
    if not isinstance(top, (np.ndarray, np.generic)) or not np.isfinite(top).all():
        # inf - inf has no value, but the result has: it is that infinity.
        top = np.where(np.isfinite(top), top, 0)
        with np.errstate(divide="ignore", over="ignore"):
            out = np.log(np.add.reduce(np.exp(x - top), axis=axis, keepdims=True)) + top
    else:
        out = np.log(np.add.reduce(np.exp(x - top), axis=axis, keepdims=True)) + top
    return out if keepdims else np.squeeze(out, axis)[()]


def _expand(c: Any, axis: Any, keepdims: bool) -> Any:
    return c if keepdims or axis is None else np.expand_dims(c, axis)


SIGMOID: Primitive = elementwise(_named("sigmoid", "1 / (1 + exp(-x))", _sigmoid), lambda out, x: out * SIGMOID(-x))
RELU: Primitive = rule(
    _named("relu", "max(x, 0)", _relu),
    vjps=(lambda c, out: np.where(out > 0, c, 0),),
    jvps=(lambda t, out: np.where(out > 0, t, 0),),
    because="a choice: multiplied by 0, an infinite cotangent would become NaN",
    count=Count(compare=1, move=1),
    batch=align,
    dependence="elementwise",
)
SOFTPLUS: Primitive = elementwise(_named("softplus", "log(1 + exp(x))", _softplus), lambda x: SIGMOID(x))
LOGSUMEXP: Primitive = rule(
    _named("logsumexp", "log(sum(exp(x)))", _logsumexp),
    vjps=(lambda c, out, x, *, axis, keepdims: _expand(c, axis, keepdims) * np.exp(x - _expand(out, axis, keepdims)),),
    jvps=(
        lambda t, out, x, *, axis, keepdims: np.sum(
            t * np.exp(x - _expand(out, axis, keepdims)), axis=axis, keepdims=keepdims
        ),
    ),
    because="its weights exp(x - out) reuse the output; a composite of max, exp, sum and log would keep four arrays",
    # The greatest, the differences from it, their exponentials, the sum; of each sum the logarithm, and the greatest.
    count=each_read(Count(compare=1, add=2, elementary=1), Count(elementary=1, add=1)),
    batch=reduced,
    dependence="reduction",
)


def _log_softmax(x: Any, *, axis: int) -> Any:
    shifted = x - np.maximum.reduce(x, axis=axis, keepdims=True)
    return shifted - np.log(np.add.reduce(np.exp(shifted), axis=axis, keepdims=True))


def _log_softmax_vjp(c: Any, out: Any, *, axis: int) -> Any:
    return c - np.exp(out) * np.add.reduce(c, axis=axis, keepdims=True)


def _log_softmax_count(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    lines: int = size_of(out) // max(out.shape[static["axis"]], 1)
    return size_of(out) * Count(compare=1, add=3, elementary=1) + lines * FUNCTION


@of_array
def _normalised(primitive: Any, x: Any, *, axis: int) -> Any:
    return NotImplemented if x.ndim == 1 else primitive(x, axis=later(axis, x.ndim))


LOG_SOFTMAX: Primitive = rule(
    _named("log_softmax", "x - logsumexp(x)", _log_softmax),
    vjps=(_log_softmax_vjp,),
    jvps=(lambda t, out, *, axis: t - np.add.reduce(t * np.exp(out), axis=axis, keepdims=True),),
    because="its Jacobian, the identity less the probabilities, needs the output alone; its parts keep four",
    count=_log_softmax_count,
    batch=_normalised,
    dependence="line",
)


def _softsign(x: Any) -> Any:
    if np.iscomplexobj(x):
        raise TypeError("softsign takes real numbers")
    return x / (1 + np.abs(x))


SOFTSIGN: Primitive = elementwise(
    _named("softsign", "x / (1 + |x|)", _softsign),
    lambda x: 1 / np.square(1 + np.abs(x)),
    count=Count(add=2, divide=1),
)


def _stop_gradient(x: Any) -> Any:
    return np.array(x) if isinstance(x, np.ndarray) else x


STOP_GRADIENT = internal_constant(
    _named("stop_gradient", "x, with derivative zero", _stop_gradient), count=FREE, batch=align
)

# --- sinc and its derivatives -----------------------------------------------------------------------------------------


def _spherical_bessel(x: Any, *, order: int) -> Any:
    """j_n(x): by its power series near zero, where the closed form cancels, by upward recurrence elsewhere."""
    x = np.asarray(x)
    near = np.abs(x) < order + 2
    small, large = np.where(near, x, 0), np.where(near, 1, x)
    term = small**order / math.prod(range(1, 2 * order + 2, 2))
    series = term
    for k in range(1, 16 + order):
        term = term * (-0.5 * small * small) / (k * (2 * order + 2 * k + 1))
        series = series + term
    below, closed = np.cos(large) / large, np.sin(large) / large
    for n in range(order):
        below, closed = closed, (2 * n + 1) / large * closed - below
    return np.where(near, series, closed).astype(x.dtype)[()]


def _bessel_slope(v: Any, x: Any, *, order: int) -> Any:
    below = order * SPHERICAL_BESSEL(x, order=order - 1) if order else 0.0
    return v * (below - (order + 1) * SPHERICAL_BESSEL(x, order=order + 1)) / (2 * order + 1)


SPHERICAL_BESSEL: Primitive = rule(
    _spherical_bessel,
    vjps=(_bessel_slope,),
    jvps=(_bessel_slope,),
    because="its partial depends on a keyword, the order",
    count=FUNCTION,
    batch=align,
    dependence="elementwise",
)
# sinc(x) = j_0(pi x), whose derivatives (cos(pi x) - sinc(x)) / x, ... are 0 / 0 at 0, while those of j_n are not.
elementwise(np.sinc, lambda x: -math.pi * SPHERICAL_BESSEL(math.pi * x, order=1), memory="fresh")


# --- i0 and its derivatives -------------------------------------------------------------------------------------------


def _modified_bessel(x: Any, *, order: int) -> Any:
    """I_n(x) by its power series, whose terms have one sign, so that nothing cancels; I_0 is NumPy's."""
    if order == 0:
        return np.i0(x)
    x = np.asarray(x)
    half = 0.5 * x.astype(np.float64)
    term = half**order / math.factorial(order)
    total, k = term, 0
    with np.errstate(over="ignore", invalid="ignore"):
        while np.any(np.abs(term) > 1e-17 * np.abs(total)):
            k += 1
            term = term * (half * half) / (k * (k + order))
            total = total + term
    return total.astype(x.dtype)


def _modified_slope(v: Any, x: Any, *, order: int) -> Any:
    if not order:
        return v * MODIFIED_BESSEL(x, order=1)
    return v * (0.5 * (MODIFIED_BESSEL(x, order=order - 1) + MODIFIED_BESSEL(x, order=order + 1)))


MODIFIED_BESSEL: Primitive = rule(
    _modified_bessel,
    vjps=(_modified_slope,),
    jvps=(_modified_slope,),
    because="its partial depends on a keyword, the order",
    count=FUNCTION,
    batch=align,
    dependence="elementwise",
)


@composite(np.i0)
def _i0(x: Any) -> Any:
    if np.iscomplexobj(x):
        raise TypeError("i0 not supported for complex values")
    return MODIFIED_BESSEL(x, order=0)


def _evaluation(x: Any) -> Any:
    return x


#: The value of a tracer of an outer level without its derivative, which zeros times it do not need.  At levels that
#: count it counts nothing, and where there is one more axis it is applied to the whole array.
VALUE_ONLY = internal_constant(STOP_GRADIENT.function, _evaluation, broadcasts=True, count=FREE, memory="may share")


def sigmoid(x: Any) -> Any:
    """The logistic function 1 / (1 + exp(-x)), elementwise; exact to rounding for arguments of any size.

    >>> sigmoid(np.array([-1000.0, 0.0, 1000.0]))
    array([0. , 0.5, 1. ])
    """
    return SIGMOID(x)


def relu(x: Any) -> Any:
    """max(x, 0), elementwise, with derivative 0 at 0.

    >>> relu(np.array([-1.0, 0.0, 2.0]))
    array([0., 0., 2.])
    """
    return RELU(x)


def softplus(x: Any) -> Any:
    """log(1 + exp(x)), elementwise; does not overflow.

    >>> softplus(np.array([-1000.0, 1000.0]))
    array([   0., 1000.])
    """
    return SOFTPLUS(x)


def softsign(x: Any) -> Any:
    """x / (1 + |x|), elementwise (Glorot & Bengio 2010).

    >>> softsign(np.array([-1.0, 0.0, 3.0]))
    array([-0.5 ,  0.  ,  0.75])
    """
    return SOFTSIGN(x)


def logsumexp(x: Any, axis: int | tuple[int, ...] | None = None, keepdims: bool = False) -> Any:
    """log(sum(exp(x))) over `axis` (all axes by default); does not overflow.

    >>> float(logsumexp(np.array([1000.0, 1000.0])) - np.log(2.0))
    1000.0
    """
    return LOGSUMEXP(x, axis=axis, keepdims=keepdims)


def log_softmax(x: Any, axis: int = -1) -> Any:
    """x - logsumexp(x): the logarithm of `softmax`, without its underflow.

    >>> log_softmax(np.array([0.0, -1000.0]))
    array([    0., -1000.])
    """
    return LOG_SOFTMAX(x, axis=axis)


def softmax(x: Any, axis: int = -1) -> Any:
    """exp(x) / sum(exp(x)) along `axis`; does not overflow.

    >>> softmax(np.array([1000.0, 1000.0]))
    array([0.5, 0.5])
    """
    return np.exp(log_softmax(x, axis))
