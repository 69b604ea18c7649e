"""Calls of SciPy on traced values, as they stand, and a run of all of them with SciPy's support for other arrays on.

That is switched on by an environment variable before SciPy is imported, so the run is a process of its own:
`python -m tests.scipy_calls` prints what became of each call as one JSON object: "works" if both engines give the
derivative that differences give, otherwise the errors.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

VARIABLE = "SCIPY_ARRAY_API"

Call = tuple[str, Callable[[Any], Any], np.ndarray]

_rng = np.random.default_rng(0)
VECTOR = _rng.uniform(0.5, 2, 12)
MATRIX = _rng.uniform(0.5, 2, (5, 4))
SQUARE = _rng.uniform(0.5, 2, (4, 4)) + 3 * np.eye(4)


def calls() -> Iterator[Call]:
    """Every call: the function's name in SciPy, what to differentiate, and where."""
    yield from _special()
    yield from _statistics()
    yield from _integrals_and_optimisation()
    yield from _transforms()
    yield from _signals()
    yield from _geometry_and_others()


def _each(module: Any, names: str, point: np.ndarray, call: Callable[[Any, Any], Any] | None = None) -> Iterator[Call]:
    """One call for each function of a module: of the point alone, or as `call(function, x)` has it."""
    for name in names.split():
        function = getattr(module, name)
        yield (
            f"{module.__name__}.{name}",
            function if call is None else lambda x, f=function: call(f, x),
            point,
        )


def _special() -> Iterator[Call]:
    from scipy import special

    yield from _each(special, "logsumexp softmax log_softmax erf gammaln expit ndtr entr digamma i0 j0", VECTOR)
    yield from _each(special, "xlogy rel_entr gammainc betaln", VECTOR, lambda f, x: f(x[:6], x[6:]))
    yield ("scipy.special.logsumexp", lambda x: special.logsumexp(x, b=x * x), VECTOR)


def _statistics() -> Iterator[Call]:
    from scipy import stats

    yield from _each(
        stats,
        "gmean hmean gstd zscore gzscore skew kurtosis sem variation moment tmean tvar tstd tsem tmin tmax iqr "
        "median_abs_deviation circmean circvar circstd kstat kstatvar differential_entropy entropy lmoment",
        VECTOR,
    )
    yield from _each(stats, "boxcox_llf yeojohnson_llf", VECTOR, lambda f, x: f(0.7, x))
    yield from _each(stats, "trim_mean quantile", VECTOR, lambda f, x: f(x, 0.3))
    yield from _each(stats, "pmean", VECTOR, lambda f, x: f(x, 3))
    yield from _each(stats, "zmap", VECTOR, lambda f, x: f(x[:6], x[6:]))
    yield from _each(stats, "jarque_bera skewtest kurtosistest normaltest", VECTOR, lambda f, x: f(x).statistic)
    yield from _each(stats, "ttest_1samp", VECTOR, lambda f, x: f(x, 0.5).statistic)
    yield from _each(
        stats,
        "ttest_ind ttest_rel pearsonr f_oneway bartlett levene alexandergovern",
        VECTOR,
        lambda f, x: f(x[:6], x[6:]).statistic,
    )
    yield from _each(
        stats, "chisquare power_divergence", VECTOR, lambda f, x: f(x, np.ones_like(x) * np.mean(x)).statistic
    )
    yield from _each(stats, "combine_pvalues", VECTOR, lambda f, x: f(x / 3).statistic)
    yield from _each(stats, "describe", VECTOR, lambda f, x: f(x).variance)
    yield from _each(stats, "directional_stats", MATRIX, lambda f, x: f(x).mean_resultant_length)


def _integrals_and_optimisation() -> Iterator[Call]:
    from scipy import integrate, optimize

    yield from _each(
        integrate,
        "trapezoid simpson cumulative_trapezoid cumulative_simpson",
        VECTOR,
        lambda f, x: f(x, x=np.cumsum(x * x)),
    )
    yield from _each(integrate, "romb", VECTOR, lambda f, x: f(x[:9]))
    yield from _each(integrate, "tanhsinh", VECTOR, lambda f, x: f(np.cos, 0 * x, x).integral)
    yield from _each(optimize, "rosen rosen_der rosen_hess", VECTOR)
    yield from _each(optimize, "rosen_hess_prod", VECTOR, lambda f, x: f(x, x))


def _transforms() -> Iterator[Call]:
    from scipy import fft

    def size(f: Any, x: Any) -> Any:
        return np.abs(f(x))

    yield from _each(fft, "fft ifft rfft irfft hfft ihfft", VECTOR, size)
    yield from _each(fft, "fft2 ifft2 rfft2 irfft2 fftn ifftn rfftn irfftn", MATRIX, size)
    yield from _each(fft, "fftshift ifftshift dct idct dst idst", VECTOR)
    yield from _each(fft, "dctn idctn dstn idstn", MATRIX)
    yield from _each(fft, "fht ifht", VECTOR, lambda f, x: f(x, 0.1, 0.5))


def _signals() -> Iterator[Call]:
    from scipy import signal

    yield from _each(signal, "convolve correlate fftconvolve oaconvolve", VECTOR, lambda f, x: f(x[:6], x[6:]))
    yield from _each(signal, "detrend envelope wiener sawtooth gausspulse", VECTOR)
    yield from _each(signal, "hilbert czt", VECTOR, lambda f, x: np.abs(f(x)))
    yield from _each(signal, "hilbert2", MATRIX, lambda f, x: np.abs(f(x)))
    yield from _each(signal, "resample", VECTOR, lambda f, x: f(x, 7))
    yield from _each(signal, "savgol_filter", VECTOR, lambda f, x: f(x, 5, 2))
    yield from _each(signal, "lfilter", VECTOR, lambda f, x: f(x[:2], x[2:4], x))
    yield from _each(signal, "upfirdn", VECTOR, lambda f, x: f(x[:2], x))
    yield from _each(signal, "freqz", VECTOR, lambda f, x: np.abs(f(x[:3], x[3:6], 5)[1]))
    yield from _each(signal, "freqz_zpk", VECTOR, lambda f, x: np.abs(f(x[:3], x[3:6], x[7], 5)[1]))
    yield from _each(signal, "bilinear normalize", VECTOR, lambda f, x: f(x[:3], x[3:6])[0])
    yield from _each(signal, "bilinear_zpk lp2lp_zpk", VECTOR, lambda f, x: f(x[:2], x[3:6], x[7], 2.0)[0])
    yield from _each(signal, "lp2lp lp2hp", VECTOR, lambda f, x: f(x[:3], x[3:6], 1.5)[0])
    yield from _each(signal, "lp2bp lp2bs", VECTOR, lambda f, x: f(x[:3], x[3:6], 1.5, 0.3)[0])
    yield from _each(signal, "zpk2tf", VECTOR, lambda f, x: f(x[:2], x[3:6], x[7])[0])
    yield from _each(signal, "sos2tf", VECTOR, lambda f, x: f(np.reshape(x, (2, 6)))[0])
    yield from _each(signal, "vectorstrength", VECTOR, lambda f, x: f(x, 3.0)[0])
    yield from _each(signal, "gauss_spline", VECTOR, lambda f, x: f(x, 3))
    yield from _each(signal, "periodogram", VECTOR, lambda f, x: f(x)[1])


def _geometry_and_others() -> Iterator[Call]:
    from scipy import constants, interpolate, linalg, ndimage
    from scipy.cluster import vq
    from scipy.spatial import distance, transform

    turn = transform.Rotation
    name = "scipy.spatial.transform.Rotation"
    yield f"{name}.as_matrix", lambda x: turn.from_rotvec(x[:3]).as_matrix(), VECTOR
    yield f"{name}.apply", lambda x: turn.from_quat(x[:4]).apply(x[4:7]), VECTOR
    yield f"{name}.as_quat", lambda x: turn.from_euler("xyz", x[:3]).as_quat(), VECTOR
    yield f"{name}.as_rotvec", lambda x: turn.from_quat(x[:4]).as_rotvec(), VECTOR
    yield f"{name}.magnitude", lambda x: turn.from_quat(x[:4]).magnitude(), VECTOR
    yield f"{name}.__mul__", lambda x: (turn.from_quat(x[:4]) * turn.from_quat(x[4:8])).as_matrix(), VECTOR
    yield "scipy.linalg.block_diag", lambda x: linalg.block_diag(x[None, :3], x[None, 3:6]), VECTOR
    yield from _each(linalg, "fiedler", VECTOR)
    yield from _each(linalg, "orthogonal_procrustes", MATRIX, lambda f, x: f(x, x * x)[0])
    yield from _each(linalg, "det inv norm", SQUARE)
    yield from _each(linalg, "solve", SQUARE, lambda f, x: f(x, x[0]))
    yield from _each(vq, "whiten", MATRIX)
    yield from _each(constants, "lambda2nu nu2lambda", VECTOR)
    yield from _each(constants, "convert_temperature", VECTOR, lambda f, x: f(x, "Celsius", "Kelvin"))
    yield from _each(ndimage, "gaussian_filter1d", VECTOR, lambda f, x: f(x, 1.0))
    yield from _each(ndimage, "sum laplace", MATRIX)
    yield from _each(distance, "pdist", MATRIX)
    yield from _each(distance, "cdist", MATRIX, lambda f, x: f(x, x))
    yield from _each(distance, "euclidean cosine", VECTOR, lambda f, x: f(x[:6], x[6:]))
    yield from _each(interpolate, "CubicSpline PchipInterpolator", VECTOR, lambda f, x: f(np.cumsum(x * x), x)(3.3))


def outcome(call: Callable[[Any], Any], point: np.ndarray) -> str:
    """What becomes of one call: "works", the errors of the engines, or how far off they are."""
    import dualad
    import reversead

    direction = np.random.default_rng(1).normal(size=point.shape)
    value = np.asarray(call(point))
    weights = np.random.default_rng(2).normal(size=value.shape)

    def total(x: Any) -> Any:
        return np.sum(call(x) * weights)

    def slope(h: float) -> Any:
        return (total(point + h * direction) - total(point - h * direction)) / (2 * h)

    expected = (4 * slope(5e-5) - slope(1e-4)) / 3
    ways = {
        "dualad": lambda: dualad.jvp(total, (point,), (direction,))[1],
        "reversead": lambda: np.sum(reversead.grad(total)(point) * direction),
    }
    found = {}
    for engine, way in ways.items():
        try:
            derivative = way()
            right = np.allclose(derivative, expected, rtol=1e-6, atol=1e-7)
            found[engine] = "works" if right else f"WRONG: {derivative} and not {expected}"
        except Exception as error:
            found[engine] = f"{type(error).__name__}: {error}"
    return found["dualad"] if found["dualad"] == found["reversead"] else " | ".join(found.values())


def run() -> dict[str, str]:
    """The outcome of every call, by the function's name; of several calls of one, the first that does not work."""
    found: dict[str, str] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, call, point in calls():
            if found.get(name, "works") == "works":
                found[name] = outcome(call, point)
    return found


if __name__ == "__main__":
    os.environ[VARIABLE] = "1"
    print(json.dumps(run()))
