"""Samples of averages, of reductions that skip NaN, of medians and quantiles."""

from registry_samples.sample import Sample, over

_AXES = ["", ", axis=0", ", axis=-1, keepdims=True", ", axis=(0, 1)"]
_HOLES = "np.where(np.array([[True, False, True], [True, True, True]]), x, np.nan)"

_METHODS = (
    "linear", "lower", "higher", "midpoint", "nearest", "inverted_cdf", "averaged_inverted_cdf", "closest_observation",
    "interpolated_inverted_cdf", "hazen", "weibull", "median_unbiased", "normal_unbiased",
)  # fmt: skip
_MASK = "np.array([[True, False, True], [False, True, True]])"
_SKIPPING = ("nanprod", "nanvar", "nanstd", "nanmedian")

STATISTICS = [
    *over([f"np.average(x{rest})" for rest in (*_AXES, ", returned=True")], [(2, 3)]),
    *(Sample(f"np.average(x, weights=y{rest})", x=(2, 3), y=(2, 3), domain={"y": "positive"})
      for rest in (*_AXES, ", axis=1, returned=True")),
    *(Sample(f"np.average(x, 1, y{rest})", x=(2, 3), y=(3,), domain={"y": "positive"})
      for rest in ("", ", True", ", keepdims=True")),
    Sample("np.average(x, axis=(2, 0), weights=y)", x=(2, 2, 3), y=(3, 2), domain={"y": "positive"}),
    Sample("np.average(x, weights=[1.0, 2.0, 3.0])", x=(3,)),
    Sample("np.average([1, 2, 4], weights=x)", x=(3,), domain="positive"),
    *over([f"np.{name}(x{rest})" for name in ("nansum", "nanmean", "nanmax", "nanmin") for rest in _AXES], [(2, 3)]),
    *over([f"np.{name}({_HOLES}{rest})" for name in ("nansum", "nanmean", "nanmax", "nanmin") for rest in _AXES],
        [(2, 3)]),
    *over([f"np.{name}({a}{rest})" for name in _SKIPPING for a in ("x", _HOLES) for rest in _AXES], [(2, 3)]),
    *over([f"np.{name}({a}{rest})" for name in ("nancumsum", "nancumprod") for a in ("x", _HOLES)
        for rest in ("", ", axis=0", ", 1", ", dtype=np.float64")], [(2, 3)]),
    *over([f"np.{name}({_HOLES}, where={_MASK}, axis=1{rest})" for name in ("nansum", "nanmean", "nanprod", "nanvar",
        "nanstd") for rest in ("", ", keepdims=True")], [(2, 3)]),
    *over([f"np.{name}({_HOLES}, axis=1, initial=0.7)" for name in ("nansum", "nanprod", "nanmax", "nanmin")],
        [(2, 3)]),
    *over([f"np.{name}({_HOLES}, initial=0.7, where={_MASK})" for name in ("nansum", "nanprod", "nanmax", "nanmin")],
        [(2, 3)]),
    *over([f"np.{name}({_HOLES}, dtype=np.float64)" for name in ("nansum", "nanmean", "nanprod", "nanvar", "nanstd")],
        [(2, 3)]),
    *over(["np.nanvar(x, ddof=1)", "np.nanstd(x, 1, correction=1)"], [(2, 3)]),
    *over(["np.cov(x)", "np.corrcoef(x)", "np.cov(x, rowvar=False)", "np.cov(x, bias=True)", "np.cov(x, ddof=0)",
        "np.corrcoef(x, rowvar=False)", "np.cov(x, dtype=np.float64)"], [(3, 4)]),
    *over(["np.cov(x)", "np.cov(x, aweights=[1.0, 2.0, 0.5])", "np.cov(x, fweights=[1, 2, 1])",
        "np.cov(x, fweights=[1, 2, 1], aweights=[1.0, 2.0, 0.5])"], [(3,), (2, 3)]),
    Sample("np.cov(x, y)", x=(3,), y=(3,)), Sample("np.corrcoef(x, y)", x=(4,), y=(4,)),
    Sample("np.cov(x, y, rowvar=False)", x=(3, 2), y=(3, 2)),
    Sample("np.cov(x, aweights=y)", x=(2, 4), y=(4,), domain={"y": "positive"}),
    *over([f"np.quantile(x, {q}, method='{method}')" for q in ("0.3", "[0.1, 0.85]") for method in _METHODS], [(5,)]),
    *over([f"np.{name}({a}, {q}, axis=1, method='{method}')" for name, q in (("nanquantile", "0.3"),
        ("nanpercentile", "[10.0, 85.0]")) for a in ("x", _HOLES) for method in _METHODS], [(2, 3)]),
    *over([f"np.{call}{rest})" for call in ("nanquantile(x, 0.3", "nanquantile(x, [0.1, 0.85]", "nanpercentile(x, 40.0")
        for rest in _AXES], [(2, 3)]),
    *over(["np.quantile(x, [0.2, 0.7], method='inverted_cdf', weights=[1.0, 2.0, 0.5], axis=1)",
        f"np.nanquantile({_HOLES}, [0.2, 0.7], method='inverted_cdf', weights=np.ones((2, 3)), axis=1)"],
        [(2, 3)]),
    Sample("np.quantile(x, 0.4 * y, method='hazen')", x=(5,), y=(), domain={"y": "positive"}),
    Sample("np.nanquantile(x, 0.4 * y, axis=1)", x=(3, 4), y=(2,), domain={"y": "positive"}),
    *over([f"np.median(x{rest})" for rest in _AXES], [(4, 3), (3, 4)]),
    *over(["np.median(x)"], [(4,), (5,), (1,)]),
    *over([f"np.{call}{rest})" for call in ("quantile(x, 0.3", "quantile(x, [0.1, 0.85]", "percentile(x, 40.0")
        for rest in _AXES], [(2, 3)]),
    *over(["np.percentile(x, 50)", "np.quantile(x, 1)", "np.quantile(x, 0.0)", "np.percentile(x, [[20], [70]])"],
        [(4,)]),
    *(Sample("np.quantile(x, 0.4 * y)", x=(3, 2), y=kind, domain={"y": "positive"}) for kind in ((), (2,), float)),
    Sample("np.quantile(x, 0.4 * y, axis=1, keepdims=True)", x=(3, 4), y=(2,), domain={"y": "positive"}),
    Sample("np.percentile(x, 40.0 * y)", x=(5,), y=(), domain={"y": "positive"}),
]  # fmt: skip
