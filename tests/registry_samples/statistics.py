"""Samples of averages, of reductions that skip NaN, of medians and quantiles."""

from registry_samples.sample import Sample, over

_AXES = ["", ", axis=0", ", axis=-1, keepdims=True", ", axis=(0, 1)"]
_HOLES = "np.where(np.array([[True, False, True], [True, True, True]]), x, np.nan)"

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
