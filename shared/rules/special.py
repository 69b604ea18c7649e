"""The library's own functions and their derivatives: those of neural networks, stable for arguments of any size.

They take arrays and tracers alike; `shared.functions` is where users import them from.  Formulas: Goodfellow, Bengio &
Courville 2016, sections 3.10 and 4.1; Abramowitz & Stegun 1964, section 10.1 (spherical Bessel functions).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from shared.primitive import Primitive
from shared.registry import elementwise, rule


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
    top = np.maximum.reduce(x, axis=axis, keepdims=True)
    if not np.isfinite(top).all():
        # inf - inf has no value, but the result has: it is that infinity.
        top = np.where(np.isfinite(top), top, 0)
        with np.errstate(divide="ignore", over="ignore"):
            out = np.log(np.add.reduce(np.exp(x - top), axis=axis, keepdims=True)) + top
    else:
        out = np.log(np.add.reduce(np.exp(x - top), axis=axis, keepdims=True)) + top
    return out if keepdims else np.squeeze(out, axis)[()]


def _expand(c: Any, axis: Any, keepdims: bool) -> Any:
    return c if keepdims or axis is None else np.expand_dims(c, axis)


sigmoid: Primitive = elementwise(_named("sigmoid", "1 / (1 + exp(-x))", _sigmoid), lambda out, x: out * sigmoid(-x))
relu: Primitive = rule(
    _named("relu", "max(x, 0)", _relu),
    vjps=(lambda c, out: np.where(out > 0, c, 0),),
    jvps=(lambda t, out: np.where(out > 0, t, 0),),
    because="a choice: multiplied by 0, an infinite cotangent would become NaN",
)
softplus: Primitive = elementwise(_named("softplus", "log(1 + exp(x))", _softplus), lambda x: sigmoid(x))
logsumexp: Primitive = rule(
    _named("logsumexp", "log(sum(exp(x)))", _logsumexp),
    vjps=(lambda c, out, x, *, axis, keepdims: _expand(c, axis, keepdims) * np.exp(x - _expand(out, axis, keepdims)),),
    jvps=(
        lambda t, out, x, *, axis, keepdims: np.sum(
            t * np.exp(x - _expand(out, axis, keepdims)), axis=axis, keepdims=keepdims
        ),
    ),
    because="its weights exp(x - out) reuse the output; a composite of max, exp, sum and log would keep four arrays",
)


def _log_softmax(x: Any, *, axis: int) -> Any:
    shifted = x - np.maximum.reduce(x, axis=axis, keepdims=True)
    return shifted - np.log(np.add.reduce(np.exp(shifted), axis=axis, keepdims=True))


def _log_softmax_vjp(c: Any, out: Any, *, axis: int) -> Any:
    return c - np.exp(out) * np.add.reduce(c, axis=axis, keepdims=True)


log_softmax: Primitive = rule(
    _named("log_softmax", "x - logsumexp(x)", _log_softmax),
    vjps=(_log_softmax_vjp,),
    jvps=(lambda t, out, *, axis: t - np.add.reduce(t * np.exp(out), axis=axis, keepdims=True),),
    because="its Jacobian, the identity less the probabilities, needs the output alone; its parts keep four",
)


def _softsign(x: Any) -> Any:
    if np.iscomplexobj(x):
        raise TypeError("softsign takes real numbers")
    return x / (1 + np.abs(x))


softsign: Primitive = elementwise(
    _named("softsign", "x / (1 + |x|)", _softsign), lambda x: 1 / np.square(1 + np.abs(x))
)


def _stop_gradient(x: Any) -> Any:
    return np.array(x) if isinstance(x, np.ndarray) else x


stop_gradient = Primitive(_named("stop_gradient", "x, with derivative zero", _stop_gradient), "constant", [])

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
    below = order * spherical_bessel(x, order=order - 1) if order else 0.0
    return v * (below - (order + 1) * spherical_bessel(x, order=order + 1)) / (2 * order + 1)


spherical_bessel: Primitive = rule(
    _spherical_bessel,
    vjps=(_bessel_slope,),
    jvps=(_bessel_slope,),
    because="its partial depends on a keyword, the order",
)
# sinc(x) = j_0(pi x), whose derivatives (cos(pi x) - sinc(x)) / x, ... are 0 / 0 at 0, while those of j_n are not.
elementwise(np.sinc, lambda x: -math.pi * spherical_bessel(math.pi * x, order=1))
