"""SciPy's Fourier, cosine and sine transforms, of the same names and signatures, with derivatives.

They are linear.  A cosine or sine transform is an orthogonal one between diagonal matrices, and the transpose of an
orthogonal matrix is its inverse: so one primitive, which is its own inverse's transpose, is enough for all types, norms
and directions.  (Britanak, Yip & Rao 2007, "Discrete cosine and sine transforms", chapters 2 and 4.)  The Fourier
transforms are NumPy's (`shared.rules.fourier`).  On plain arrays each function is SciPy's own; on traced values
`overwrite_x` and `workers` have no effect.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.array_utils import normalize_axis_index

from shared.core.edges import fit
from shared.core.errors import user_line
from shared.core.facets import Count, later, of_array, size_of
from shared.core.primitive import Primitive
from shared.core.registry import multilinear
from shared.scipy.offering import arrays, offered, required

fft_module = required("scipy.fft")

# --- the orthogonal transforms ----------------------------------------------------------------------------------------


def _orthogonal(x: Any, *, name: str, kind: int, axis: int) -> Any:
    if not isinstance(x, np.ndarray):
        return ORTHOGONAL(x, name=name, kind=kind, axis=axis)
    return getattr(fft_module, name)(x, kind, axis=axis, norm="ortho", orthogonalize=True)


#: Of the types 1 and 4 the matrix is symmetric, those of 2 and 3 are the transposes of each other.
_TRANSPOSED = {1: 1, 2: 3, 3: 2, 4: 4}


def _steps(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    points = out.shape[static["axis"]]
    steps = size_of(out) * math.log2(max(points, 2)) * 1.25
    return Count(int(0.6 * steps), int(0.4 * steps))


ORTHOGONAL: Primitive = multilinear(
    _orthogonal,
    lambda c, x, *, name, kind, axis: fit(ORTHOGONAL(c, name=name, kind=_TRANSPOSED[kind], axis=axis), x),
    count=_steps,
    batch=of_array(lambda primitive, x, *, name, kind, axis: primitive(
        x, name=name, kind=kind, axis=later(axis, x.ndim))),
    dependence="line",
)  # fmt: skip


def _ends(n: int, name: str, kind: int) -> tuple[Any, Any]:
    """By what an orthogonal transform multiplies elements after and before the one without `orthogonalize`."""
    after, before = np.ones(n), np.ones(n)
    end = 0 if name == "dct" else -1
    if kind == 1 and name == "dct":
        after[[0, -1]] = np.sqrt(2)
        before[[0, -1]] = 1 / np.sqrt(2)
    elif kind == 2:
        after[end] = np.sqrt(2)
    elif kind == 3:
        before[end] = 1 / np.sqrt(2)
    return after, before


def _transform(
    name: str, inverse: bool, x: Any, kind: int, n: int | None, axis: int, norm: str | None, orthogonalize: bool | None
) -> Any:
    if kind not in _TRANSPOSED:
        raise ValueError(f"{name}: the type is 1, 2, 3 or 4, not {kind!r}{user_line()}")
    norms = {None: "backward", "backward": "backward", "ortho": "ortho", "forward": "forward"}
    if norm not in norms:
        raise ValueError(f'Invalid norm value {norm!r}; should be "backward", "ortho" or "forward".')
    (x,) = arrays(x)
    axis = normalize_axis_index(axis, x.ndim)
    if n is not None:
        x = _resized(x, n, axis)
    n, scaled = x.shape[axis], norms[norm]
    if n < (2 if kind == 1 and name == "dct" else 1):
        raise ValueError(f"{name}: an axis of {n} elements is too short{user_line()}")
    orthogonalize = scaled == "ortho" if orthogonalize is None else orthogonalize
    if inverse:
        kind = _TRANSPOSED[kind]
        scaled = {"backward": "forward", "forward": "backward", "ortho": "ortho"}[scaled]
    points = n - 1 if kind == 1 and name == "dct" else n + 1 if kind == 1 else n
    factor = {"ortho": 1.0, "backward": math.sqrt(2 * points), "forward": 1 / math.sqrt(2 * points)}[scaled]
    after, before = (np.ones(n), np.ones(n)) if orthogonalize else _ends(n, name, kind)
    along = [n if k == axis else 1 for k in range(x.ndim)]
    real = np.zeros(0, x.dtype).real.dtype
    found = ORTHOGONAL(x * before.reshape(along).astype(real), name=name, kind=kind, axis=axis)
    return found * (factor * after).reshape(along).astype(real)


def _resized(x: Any, n: int, axis: int) -> Any:
    given = x.shape[axis]
    if n < given:
        return x[(slice(None),) * axis + (slice(n),)]
    return np.pad(x, [(0, n - given) if k == axis else (0, 0) for k in range(x.ndim)]) if n > given else x


def _of_one_axis(function: Callable[..., Any], name: str, inverse: bool) -> Callable[..., Any]:
    def transform(
        x: Any, type: int = 2, n: int | None = None, axis: int = -1, norm: str | None = None,
        overwrite_x: bool = False, workers: int | None = None, orthogonalize: bool | None = None,
    ) -> Any:  # fmt: skip
        return _transform(name, inverse, x, type, n, axis, norm, orthogonalize)

    return _named(function, transform)


def _of_axes(function: Callable[..., Any], name: str, inverse: bool) -> Callable[..., Any]:
    def transform(
        x: Any, type: int = 2, s: Any = None, axes: Any = None, norm: str | None = None, overwrite_x: bool = False,
        workers: int | None = None, *, orthogonalize: bool | None = None,
    ) -> Any:  # fmt: skip
        s = (s,) if isinstance(s, (int, np.integer)) else s
        axes = (axes,) if isinstance(axes, (int, np.integer)) else axes
        if axes is None:
            axes = range(-(np.ndim(x) if s is None else len(s)), 0)
        lengths = [None] * len(axes) if s is None else list(s)
        if len(lengths) != len(axes):
            raise ValueError("when given, axes and shape arguments have to be of the same length")
        for axis, n in zip(axes, lengths, strict=True):
            x = _transform(name, inverse, x, type, n, axis, norm, orthogonalize)
        return x

    return _named(function, transform)


# --- the Fourier transforms -------------------------------------------------------------------------------------------


def _fourier(function: Callable[..., Any]) -> Callable[..., Any]:
    def transform(x: Any, *args: Any, **keywords: Any) -> Any:
        names = ("s" if function.__name__[-1] in "n2" else "n", "axes" if function.__name__[-1] in "n2" else "axis",
                 "norm", "overwrite_x", "workers")  # fmt: skip
        given = {**dict(zip(names, args, strict=False)), **keywords}
        if given.pop("plan", None) is not None:
            raise NotImplementedError("Passing a precomputed plan is not yet supported by scipy.fft functions")
        return getattr(np.fft, function.__name__)(arrays(x)[0], **{k: v for k, v in given.items() if k in names[:3]})

    return _named(function, transform)


def _named(function: Callable[..., Any], transform: Callable[..., Any]) -> Callable[..., Any]:
    transform.__name__ = transform.__qualname__ = function.__name__
    transform.__doc__ = (
        f"As `scipy.fft.{function.__name__}`: it is linear, and its own derivative; O(n log n) for the value and for "
        "each derivative."
    )
    return offered(function)(transform)


dct, idct = (_of_one_axis(getattr(fft_module, name), "dct", name[0] == "i") for name in ("dct", "idct"))
dst, idst = (_of_one_axis(getattr(fft_module, name), "dst", name[0] == "i") for name in ("dst", "idst"))
dctn, idctn = (_of_axes(getattr(fft_module, name), "dct", name[0] == "i") for name in ("dctn", "idctn"))
dstn, idstn = (_of_axes(getattr(fft_module, name), "dst", name[0] == "i") for name in ("dstn", "idstn"))
fft, ifft, rfft, irfft, hfft, ihfft, fft2, ifft2, rfft2, irfft2, fftn, ifftn, rfftn, irfftn = (
    _fourier(getattr(fft_module, name))
    for name in ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft", "fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn",
                 "rfftn", "irfftn")
)  # fmt: skip

__all__ = [
    "dct", "dctn", "dst", "dstn", "fft", "fft2", "fftn", "hfft", "idct", "idctn", "idst", "idstn", "ifft", "ifft2",
    "ifftn", "ihfft", "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftn",
]  # fmt: skip

#: Examples, for doctest.
__test__ = {
    "dct": """
    >>> import numpy as np, reversead
    >>> reversead.grad(lambda x: dct(x)[1])(np.zeros(4)).round(4)
    array([ 1.8478,  0.7654, -0.7654, -1.8478])
    >>> reversead.grad(lambda x: np.abs(fft(x)[1]) ** 2)(np.array([1.0, 2.0]))
    array([-2.,  2.])
    """
}
