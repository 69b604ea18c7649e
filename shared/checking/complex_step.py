"""Derivatives by the complex step: exact to rounding, where `f` is analytic and accepts complex numbers.

Evaluated at x + i h t, an analytic f has the imaginary part h f'(x) t - O(h^3); nothing is subtracted, so h
may be so small that no error remains (Squire & Trapp 1998).  The price is that f must be analytic in every
operation: one `abs`, `maximum`, `real` or comparison of complex numbers on the way gives a number that is
simply wrong.  So f is run on arrays that refuse whatever is not analytic, and the outcome is then an error,
never a wrong number.

This module knows nothing about tracers, rules or engines: it only calls `f` on complex numbers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

import numpy as np

from shared.calling import tree
from shared.checking.differences import flat_call, is_inexact, promoted
from shared.core.errors import ShapeError

#: A power of two, so that scaling by it is exact; its square vanishes beside any real part.
_STEP = 2.0**-100


class ComplexStepNotApplicable(ValueError):
    """`f` does not accept complex arguments, or is not analytic in each operation; the message says where it
    stops."""


#: Ufuncs whose derivative is zero: f branches and rounds by its real argument, wherever that puts it.
_LOCALLY_CONSTANT_UFUNCS = {
    *(np.greater, np.greater_equal, np.less, np.less_equal, np.equal, np.not_equal),
    *(np.isfinite, np.isinf, np.isnan, np.signbit, np.sign, np.floor, np.ceil, np.trunc, np.rint),
}

#: Ufuncs that are analytic where they are differentiable and that NumPy evaluates for complex arguments.
_ANALYTIC_UFUNCS = {
    *(np.add, np.subtract, np.multiply, np.divide, np.negative, np.positive, np.power, np.square, np.sqrt),
    *(np.reciprocal, np.exp, np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p, np.matmul),
    *(np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan),
    *(np.sinh, np.cosh, np.tanh, np.arcsinh, np.arccosh, np.arctanh),
}

#: Functions that only move elements, add them or multiply them, and the analytic ones of linear algebra and
#: fft.
_ANALYTIC_FUNCTIONS = {
    *(np.sum, np.mean, np.prod, np.cumsum, np.cumprod, np.diff, np.sinc, np.convolve),
    *(np.reshape, np.ravel, np.transpose, np.swapaxes, np.moveaxis, np.rollaxis, np.expand_dims, np.squeeze),
    *(
        np.broadcast_to,
        np.broadcast_arrays,
        np.flip,
        np.fliplr,
        np.flipud,
        np.roll,
        np.rot90,
        np.tile,
        np.repeat,
    ),
    *(
        np.concatenate,
        np.stack,
        np.vstack,
        np.hstack,
        np.column_stack,
        np.dstack,
        np.block,
        np.append,
        np.pad,
    ),
    *(np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit, np.atleast_1d, np.atleast_2d, np.atleast_3d),
    *(np.where, np.select, np.take, np.take_along_axis, np.compress, np.extract, np.delete, np.insert),
    *(np.diag, np.diagonal, np.diagflat, np.trace, np.tril, np.triu, np.copy),
    *(np.zeros_like, np.ones_like, np.full_like, np.empty_like, np.copyto, np.shape, np.ndim, np.size),
    *(np.dot, np.inner, np.outer, np.tensordot, np.einsum, np.kron, np.cross),
    *(np.linalg.inv, np.linalg.solve, np.linalg.det, np.linalg.matrix_power, np.linalg.multi_dot),
    *(np.fft.fft, np.fft.ifft, np.fft.fft2, np.fft.ifft2, np.fft.fftn, np.fft.ifftn),
}


def _refuse(name: str) -> NoReturn:
    raise ComplexStepNotApplicable(f"{name} is not analytic; use differences instead")


class _AnalyticArray(np.ndarray):
    """A complex array that refuses every operation which the complex step would get wrong."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if ufunc in _LOCALLY_CONSTANT_UFUNCS and method == "__call__":
            return ufunc(*[np.real(_plain(value)) for value in inputs], **kwargs)
        if ufunc not in _ANALYTIC_UFUNCS:
            _refuse(f"np.{ufunc.__name__}")
        out = kwargs.get("out")
        if out is not None:
            kwargs["out"] = tuple(_plain(target) for target in out)
        result = getattr(ufunc, method)(*[_plain(value) for value in inputs], **kwargs)
        return _analytic(result) if out is None else out[0]

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if func not in _ANALYTIC_FUNCTIONS:
            _refuse(f"np.{getattr(func, '__name__', func)}")
        return _analytic(super().__array_function__(func, types, args, kwargs))

    # An element of an ndarray is a NumPy scalar, which would refuse nothing.
    def __getitem__(self, index: Any) -> Any:
        return _analytic(super().__getitem__(index))

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))

    def item(self, *args: Any) -> Any:
        _refuse("item()")

    def tolist(self) -> Any:
        _refuse("tolist()")

    def conj(self) -> Any:
        _refuse("conj()")

    conjugate = conj

    # Assigning to these is refused as well, hence no setter.
    @property  # type: ignore[misc]
    def real(self) -> Any:
        _refuse(".real")

    @property  # type: ignore[misc]
    def imag(self) -> Any:
        _refuse(".imag")


def _plain(value: Any) -> Any:
    return value.view(np.ndarray) if isinstance(value, _AnalyticArray) else value


def _analytic(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)([_analytic(part) for part in value])
    if isinstance(value, (np.ndarray, np.complexfloating)) and value.dtype.kind == "c":
        return np.asarray(value).view(_AnalyticArray)
    return value


def complex_step_derivative(
    function: Callable[..., Any], leaves: Sequence[Any], tangents: Sequence[Any]
) -> list[np.ndarray[Any, Any]]:
    """The complex step for `function(*leaves) -> sequence of arrays`, where every leaf is real."""
    if any(np.asarray(leaf).dtype.kind != "f" for leaf in leaves):
        raise ComplexStepNotApplicable("an argument is complex already; use differences instead")
    points = [np.asarray(promoted(leaf)) for leaf in leaves]
    shifted = [
        _analytic(p.astype(np.result_type(p.dtype, np.complex128)) + 1j * _STEP * np.asarray(t))
        for p, t in zip(points, tangents, strict=True)
    ]
    values = [np.asarray(out) for out in function(*[promoted(leaf) for leaf in leaves])]
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            outputs = [_plain(np.asanyarray(out)) for out in function(*shifted)]
    except ComplexStepNotApplicable:
        raise
    except Exception as error:
        raise ComplexStepNotApplicable(f"f does not accept complex arguments: {error}") from error
    for value, output in zip(values, outputs, strict=True):
        if output.dtype.kind != "c":
            raise ComplexStepNotApplicable("f lost the imaginary part on the way; use differences instead")
        if not np.allclose(output.real, value, rtol=1e-10, atol=1e-10 * np.abs(value).max(initial=0.0)):
            raise ComplexStepNotApplicable("f of complex arguments is another function; use differences instead")
    return [output.imag / _STEP for output in outputs]


def complex_step_jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The derivative of `f` at `primals` along `tangents`, exact to rounding, from f(x + i h t) with h =
    2^-100.

    `primals` and `tangents` are tuples of equal structure, one entry an argument; each may nest lists,
    tuples, dicts and named tuples of real arrays (float32 and integers are taken as float64).  Returns the
    structure of `f(*primals)` with float64 leaves.  Costs three evaluations of f, one of them complex.

    Raises ComplexStepNotApplicable where f does not accept complex arguments, loses the imaginary part, or is
    not analytic in each operation (abs, maximum, real, ...), and ShapeError where primals and tangents do not
    match.  It cannot see what f does to arrays that it has converted to plain ones, by `np.asarray` for
    instance.

    >>> complex_step_jvp(lambda x: np.exp(x) * x, (1.0,), (1.0,)) == 2 * np.exp(1.0)
    np.True_
    >>> complex_step_jvp(np.abs, (1.0,), (1.0,))
    Traceback (most recent call last):
    shared.checking.complex_step.ComplexStepNotApplicable: np.absolute is not analytic; use differences instead

    Source: W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real functions", SIAM
    Review 40 (1998).
    """
    call, leaves, directions, structure = flat_call(f, tuple(primals), tuple(tangents))
    return tree.unflatten(structure, [value[()] for value in complex_step_derivative(call, leaves, directions)])


def complex_step_gradient(f: Callable[..., Any], x: Any) -> Any:
    """The gradient of a scalar function by the complex step, one coordinate at a time, exact to rounding.

    `x` is a real array, a number or a nested container of them; the gradient has its structure, with float64
    leaves (zeros for leaves that are no real numbers).  Costs three evaluations of f for each number in x.
    Raises ComplexStepNotApplicable as `complex_step_jvp` does, and ShapeError if f is not scalar.

    >>> complex_step_gradient(lambda x: x @ x, np.array([1.0, -2.0]))
    array([ 2., -4.])

    Source: as `complex_step_jvp`.
    """
    leaves, structure = tree.flatten(x)
    gradients = []
    for k, leaf in enumerate(leaves):
        gradient = np.zeros(np.shape(leaf))
        for index in np.ndindex(gradient.shape) if is_inexact(leaf) else ():
            tangents = [np.zeros(np.shape(other)) for other in leaves]
            tangents[k][index] = 1.0
            derivative = complex_step_jvp(f, (x,), (tree.unflatten(structure, tangents),))
            if np.shape(derivative) != ():
                raise ShapeError(f"the gradient needs a scalar function; this one returned {np.shape(derivative)}")
            gradient[index] = derivative
        gradients.append(gradient[()])
    return tree.unflatten(structure, gradients)
