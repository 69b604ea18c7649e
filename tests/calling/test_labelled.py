"""xarray's and pandas' objects as arguments and results: values against plain arrays, labels kept, the rest refused."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import dualad
import reversead
import shared
from shared.checking.differences import difference_gradient
from shared.core.errors import LeafTypeError, NoRuleError, ShapeError, TracerConversionError

ENGINES = pytest.mark.parametrize("ad", [dualad, reversead], ids=["dualad", "reversead"])

VALUES = np.array([[1.3, 2.1, 0.4], [3.7, 0.9, 2.6]])
ARRAY = xr.DataArray(
    VALUES, dims=("time", "x"), coords={"time": [10, 20], "x": list("abc")}, name="t", attrs={"unit": "K"}
)
WEIGHTS = xr.DataArray([1.0, 2.0, 4.0], dims="x", coords={"x": list("abc")})
DATASET = xr.Dataset({"t": ARRAY, "p": ("x", [1.0, 2.0, 3.0]), "label": ("x", list("uvw"))}, attrs={"source": "here"})
SERIES = pd.Series([1.5, 2.5, 0.5], index=[2, 1, 0], name="s")
OTHER = pd.Series([1.0, 2.0, 4.0], index=[2, 1, 0])
FRAME = pd.DataFrame({"a": [1.5, 2.5], "name": ["u", "v"], "k": [3, 4]}, index=["p", "q"])

#: programs on a DataArray, each with a result that xarray's own operations made
ON_ARRAYS: dict[str, Callable[[Any], Any]] = {
    "arithmetic": lambda d: 2 * d + 1 - d**2 / 3,
    "functions": lambda d: np.sin(d) + np.exp(-d),
    "mean": lambda d: d.mean("time") ** 2,
    "sum": lambda d: d.sum("x") ** 2,
    "std": lambda d: d.std("time"),
    "max": lambda d: d.max("x"),
    "sel": lambda d: d.sel(time=20) * d.sel(x=["c", "a"]),
    "isel": lambda d: d.isel(x=slice(0, 2)) ** 2,
    "loc": lambda d: d.loc[10] * d[1, 0],
    "dot": lambda d: d.dot(WEIGHTS) ** 2,
    "broadcast by name": lambda d: d.T * WEIGHTS * d,
    "constant first": lambda d: WEIGHTS * d,
    "where": lambda d: xr.where(d > 2.0, d**2, 0.5 * d),
    "masked": lambda d: d.where(d > 2.0).mean(),
    "shifted": lambda d: d.shift(time=1).sum() * d.roll(x=1),
    "concatenated": lambda d: xr.concat([d, d**2], "time"),
    "grouped": lambda d: d.groupby("time").mean(),
    "rolling": lambda d: d.rolling(x=2).mean().sum() ** 2,
    "weighted": lambda d: d.weighted(WEIGHTS).mean("x"),
    "differences": lambda d: d.diff("time") * d.cumsum("x"),
    "assigned": lambda d: _assigned(d),
}


def _assigned(d: Any) -> Any:
    d = d.copy()
    d[0] = d[1] * 2
    return d * d


def total(result: Any) -> Any:
    return (result * 1.5).sum()


@ENGINES
@pytest.mark.parametrize("program", ON_ARRAYS)
def test_the_gradient_of_a_data_array_is_one(ad: Any, program: str) -> None:
    f = ON_ARRAYS[program]
    value, slope = ad.value_and_grad(lambda d: total(f(d)))(ARRAY)
    expected = difference_gradient(lambda a: total(f(ARRAY.copy(data=a))).item(), VALUES).value
    assert value.item() == pytest.approx(total(f(ARRAY)).item())
    np.testing.assert_allclose(slope.values, expected, rtol=1e-5, atol=1e-7)
    assert slope.identical(ARRAY.copy(data=slope.values))


@ENGINES
def test_a_data_array_of_a_plain_argument(ad: Any) -> None:
    slope = ad.grad(lambda x: (xr.DataArray(x, dims=("t", "x")).mean("t") * WEIGHTS.values).sum())(VALUES)
    np.testing.assert_allclose(slope, np.broadcast_to(WEIGHTS.values / 2, (2, 3)))


@ENGINES
def test_a_traced_number_meets_constants_with_labels_on_either_side(ad: Any) -> None:
    for f in (lambda a: (a * ARRAY).sum(), lambda a: (ARRAY * a).sum(), lambda a: np.multiply(a, ARRAY).sum()):
        assert ad.grad(f)(2.0) == pytest.approx(VALUES.sum())
    for g in (lambda a: (a * SERIES).sum(), lambda a: (SERIES * a).sum(), lambda a: np.sum(np.multiply(SERIES, a))):
        assert ad.grad(g)(2.0) == pytest.approx(SERIES.sum())
    assert ad.grad(lambda a: (SERIES**a).sum())(2.0) == pytest.approx((SERIES**2 * np.log(SERIES)).sum())
    np.testing.assert_allclose(ad.grad(lambda a: (SERIES * a).sum())(np.ones(3)), SERIES)


@ENGINES
def test_a_dataset_is_a_container_of_its_variables(ad: Any) -> None:
    slope = ad.grad(lambda d: (d.t.sel(time=20) * d.p**2).sum())(DATASET)
    expected = DATASET.assign(
        t=ARRAY.copy(data=np.stack([np.zeros(3), DATASET.p.values**2])), p=2 * DATASET.p * VALUES[1]
    )
    xr.testing.assert_allclose(slope, expected)
    assert slope.attrs == DATASET.attrs and list(slope.label.values) == list("uvw")
    hessian = ad.hessian(lambda d: (d.p**3).sum())(DATASET)
    np.testing.assert_allclose(hessian["p"]["p"], np.diag(6 * DATASET.p.values))


@ENGINES
@pytest.mark.parametrize("x", [ARRAY, SERIES], ids=["xarray", "pandas"])
def test_results_tangents_and_cotangents_have_labels(ad: Any, x: Any) -> None:
    values = x.to_numpy()
    like = (lambda a: x.copy(data=a)) if x is ARRAY else (lambda a: pd.Series(a, x.index, name=x.name))

    def same(found: Any, expected: Any) -> None:
        assert type(found) is type(x)
        np.testing.assert_allclose(found.to_numpy(), expected)
        assert shared.flatten(found)[1] == shared.flatten(x)[1]

    out, tangent = ad.jvp(np.sin, (x,), (x,))
    same(out, np.sin(values))
    same(tangent, np.cos(values) * values)
    same(ad.vjp(np.sin, x)[1](x)[0], np.cos(values) * values)
    same(ad.linearize(np.sin, x)[1](x), np.cos(values) * values)
    same(ad.hvp(lambda d: (d**3).sum(), x, x), 6 * values**2)
    same(ad.elementwise_grad(lambda d: d**2)(x), 2 * values)
    same(ad.grad(lambda d: (d**2).sum(), has_aux=False)(x), 2 * values)
    same(ad.grad(lambda d: ((d**2).sum(), d * 1.0), has_aux=True)(x)[1], values)
    same(ad.grad(ad.checkpoint(lambda d: (d**3).sum()))(x), 3 * values**2)
    same(ad.grad(lambda d: (ad.stop_gradient(d) * d).sum())(x), values)
    same(shared.tree_map(lambda p, g: p - g, x, like(0.5 * values)), 0.5 * values)
    outer = ad.grad(lambda a: ad.grad(lambda d: (d * d * a).sum())(x).sum())(2.0)
    assert outer == pytest.approx(2 * values.sum())
    shared.check_grads(lambda d: (d**3).sum(), x, engines=[ad])
    # A block of a Jacobian has other axes than the labels say.
    jacobian = ad.jacobian(lambda d: d**2)(x)
    assert isinstance(jacobian, np.ndarray) and jacobian.shape == 2 * values.shape


@ENGINES
@pytest.mark.parametrize("x", [ARRAY, SERIES, DATASET[["t"]], FRAME[["a"]]], ids=lambda x: type(x).__name__)
def test_labelled_arguments_are_recorded_compiled_and_shared_by_examples(ad: Any, x: Any) -> None:
    (values,) = shared.flatten(x)[0]

    def f(d: Any, k: Any = 1.0) -> Any:
        column = d["t"] if isinstance(d, xr.Dataset) else d["a"] if len(np.shape(d)) == 2 and "a" in d else d
        return k * (column**2).sum()

    gradient = ad.grad(lambda d: f(d))
    for program in (shared.trace(gradient, x), shared.compile(gradient, verify="always")):
        found = program(x)
        np.testing.assert_allclose(shared.flatten(found)[0][0], 2 * values)
        assert shared.flatten(found)[1] == shared.flatten(x)[1]
    stacked = ad.vmap(lambda d, k: f(d, k), in_axes=(None, 0))(x, np.array([1.0, 2.0]))
    np.testing.assert_allclose(np.asarray(stacked), np.array([1.0, 2.0]) * np.sum(values**2))
    with pytest.raises(ShapeError, match=rf"axis of a {type(x).__name__} \(at .*test_labelled"):
        ad.vmap(f)(x)


@ENGINES
def test_labels_that_differ_are_named(ad: Any) -> None:
    with pytest.raises(ShapeError, match=r"\[0\]\.dims is \('time', 'y'\), not \('time', 'x'\)"):
        ad.jvp(np.sin, (ARRAY,), (ARRAY.rename(x="y"),))
    with pytest.raises(ShapeError, match=r"\[0\]\.index is .*test_labelled|test_labelled.*\[0\]\.index is"):
        ad.jvp(np.sin, (SERIES,), (SERIES[::-1],))
    with pytest.raises(ShapeError, match=r"Series\(3 rows\)"):
        ad.jvp(np.sin, (SERIES,), (SERIES.to_numpy(),))


# --- pandas inside of a function --------------------------------------------------------------------------------------

#: programs on a Series, by the function of a plain array that they are
ON_SERIES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "arithmetic": (lambda s: (2 * s + s**2 / OTHER - 1).sum(), lambda v: np.sum(2 * v + v**2 / OTHER.to_numpy() - 1)),
    "constant first": (lambda s: (OTHER * s - np.ones(3)).sum(), lambda v: np.sum(OTHER.to_numpy() * v)),
    "labels": (lambda s: s[2] * s.loc[0], lambda v: v[0] * v[2]),
    "positions": (lambda s: s.iloc[0] * s.iloc[-1] ** 2, lambda v: v[0] * v[2] ** 2),
    "slices": (lambda s: (s.loc[2:1] * s.iloc[:2]).sum(), lambda v: np.sum(v[:2] ** 2)),
    "lists of labels": (lambda s: (s[[0, 2]] * np.array([1.0, 3.0])).sum(), lambda v: v[2] + 3 * v[0]),
    "masks": (lambda s: s[s > 1.0].mean(), lambda v: np.mean(v[:2])),
    "mean": (lambda s: s.mean() ** 2, lambda v: np.mean(v) ** 2),
    "std": (lambda s: s.std() + s.var(), lambda v: np.std(v, ddof=1) + np.var(v, ddof=1)),
    "extremes": (lambda s: s.max() * s.min() * s.prod(), lambda v: np.max(v) * np.min(v) * np.prod(v)),
    "products": (lambda s: s.dot(OTHER) + s @ OTHER.to_numpy(), lambda v: 2 * np.dot(v, OTHER.to_numpy())),
    "NumPy": (
        lambda s: np.sum(np.exp(s)) + np.std(s) + np.linalg.norm(s) + np.where(s > 1.0, s, 0.0).sum(),
        lambda v: np.sum(np.exp(v)) + np.std(v) + np.linalg.norm(v) + np.where(v > 1.0, v, 0.0).sum(),
    ),
    "the array": (lambda s: np.sum(s.to_numpy()[::-1] * s.values), lambda v: np.sum(v[::-1] * v)),
}


@ENGINES
@pytest.mark.parametrize("program", ON_SERIES)
def test_a_series_computes_with_the_meaning_of_pandas(ad: Any, program: str) -> None:
    f, plain = ON_SERIES[program]
    value, slope = ad.value_and_grad(f)(SERIES)
    assert value == pytest.approx(f(SERIES))
    np.testing.assert_allclose(slope.to_numpy(), ad.grad(plain)(SERIES.to_numpy()), rtol=1e-12)
    assert slope.index.equals(SERIES.index) and slope.name == "s"


@ENGINES
def test_missing_values_are_left_out_as_pandas_does(ad: Any) -> None:
    holes = pd.Series([1.0, np.nan, 3.0])
    for f in (lambda s: s.sum(), lambda s: np.sum(s)):
        assert ad.value_and_grad(f)(holes)[0] == 4.0
        np.testing.assert_array_equal(ad.grad(f)(holes).to_numpy(), [1.0, 0.0, 1.0])


@ENGINES
def test_a_frame_is_a_container_of_its_columns(ad: Any) -> None:
    slope = ad.grad(lambda d: (d["a"] * d.k).sum() + len(d.columns) * len(d))(FRAME)
    pd.testing.assert_frame_equal(slope, FRAME.assign(a=[3.0, 4.0], k=[1.5, 2.5]))
    slope = ad.grad(lambda d: np.sum(d[["a", "k"]].to_numpy() @ np.array([1.0, 2.0])))(FRAME)
    pd.testing.assert_frame_equal(slope, FRAME.assign(a=[1.0, 1.0], k=[2.0, 2.0]))


@ENGINES
@pytest.mark.parametrize(
    ("f", "error", "text"),
    [
        (lambda s: (s * OTHER[::-1]).sum(), ShapeError, "different indexes"),
        (lambda s: s.rolling(2).sum(), NoRuleError, r"\.rolling of a pandas Series"),
        (lambda s: s[0:2].sum(), NoRuleError, "a slice without"),
        (lambda s: OTHER.dot(s), NoRuleError, "plain NumPy array"),
        (lambda s: (s * np.ones((3, 1))).sum(), ShapeError, "to_numpy"),
        (lambda s: np.sum(pd.Series([s.iloc[0], s.iloc[1]]) * s.iloc[0]), TracerConversionError, "pandas"),
        (lambda s: np.sum(np.exp(pd.Series([s.iloc[0]]))), TracerConversionError, "pandas"),
        (lambda s: pd.Series([s.iloc[0]]), TracerConversionError, "pandas Series was made of values"),
        (lambda s: np.sum(pd.Series(s.to_numpy())), TracerConversionError, "pd.Series asked for a plain NumPy array"),
    ],
)
def test_what_pandas_would_do_and_a_view_does_not(ad: Any, f: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text) as raised:
        ad.grad(f)(SERIES)
    assert "test_labelled.py" in str(raised.value)


@ENGINES
def test_what_is_refused_of_frames_and_their_columns(ad: Any) -> None:
    with pytest.raises(NoRuleError, match="all columns of a pandas DataFrame"):
        ad.grad(lambda d: (d * 2).sum())(FRAME)
    with pytest.raises(NoRuleError, match="not all numbers"):
        ad.grad(lambda d: d.to_numpy().sum())(FRAME)
    with pytest.raises(LeafTypeError, match=r"dtype Int64.*astype\(float\)"):
        ad.grad(lambda s: s.sum())(pd.Series([1, 2], dtype="Int64"))
    with pytest.raises(LeafTypeError, match="two columns of one name"):
        ad.grad(lambda d: d.sum())(pd.DataFrame(np.ones((2, 2)), columns=["a", "a"]))


@ENGINES
@pytest.mark.parametrize(
    ("f", "name"),
    [
        (lambda d: d.values.sum(), "d.values"),
        (lambda d: np.where(d > 2, d, 0.0).sum(), "np.where"),
        (lambda d: d.interp(time=15.0).sum(), "d.interp"),
    ],
)
def test_what_xarray_does_with_plain_arrays_alone_is_named(ad: Any, f: Any, name: str) -> None:
    with pytest.raises(TracerConversionError, match=rf"{name} asked for.*test_labelled.*xarray keeps a traced array"):
        ad.grad(f)(ARRAY)


def test_neither_library_is_imported_by_this_one() -> None:
    code = (
        "import sys, numpy as np, dataclasses, reversead, shared\n"
        "P = dataclasses.make_dataclass('P', ['x'])\n"
        "reversead.grad(lambda p: np.sum(p.x**2))(P(np.ones(2)))\n"
        "print([name for name in ('pandas', 'xarray', 'attr', 'attrs') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
