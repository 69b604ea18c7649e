"""Samples of functions on grids: interpolation, differences, quadrature, polynomials."""

from registry_samples.sample import Sample, over

_KNOTS = "np.array([-2.1, -1.2, -0.1, 0.9, 2.2])"
_RISING = "np.cumsum(np.abs(y)) - 3.0"

GRIDS = [
    *(Sample(f"np.interp(x, {_KNOTS}, y{rest})", x=kind, y=(5,))
      for kind in ((2, 3), (), float) for rest in ("", ", left=0.5", ", -1.0, right=2.0")),
    *(Sample(f"np.interp(x, {_RISING}, z{rest})", x=kind, y=(4,), z=(4,))
      for kind in ((6,), (2, 2), float) for rest in ("", ", right=0.5")),
    Sample("np.interp([-0.3, 0.8, 5.0], np.arange(3.0), x)", x=(3,)),
    Sample("np.interp(x, [0.1], y)", x=(3,), y=(1,)),
    *over(["np.ediff1d(x)", "np.ediff1d(x, to_end=7.0)", "np.ediff1d(x, to_begin=x[0], to_end=[1.0, 2.0])"],
        [(4,), (3,)]),
    *over(["np.ediff1d(x)"], [(2, 3)]),
    *over([f"np.gradient(x{rest})" for rest in ("", ", 2.0", ", axis=0", ", edge_order=2", ", 0.5, axis=-1",
        ", 2.0, np.array([0.0, 1.0, 2.5])", ", np.array([0.0, 1.0, 3.0]), axis=1, edge_order=2")], [(4, 3)]),
    *over(["np.gradient(x)", "np.gradient(x, 0.5, edge_order=2)"], [(3,), (5,)]),
    Sample("np.gradient(x)", x=(2,)),
    *(Sample(f"np.gradient(x, np.sort(y){rest})", x=(5,), y=(5,)) for rest in ("", ", edge_order=2")),
    *(Sample(f"np.gradient(x, y{rest})", x=(3, 4), y=float) for rest in ("", ", edge_order=2")),
    *over(["np.trapezoid(x)", "np.trapezoid(x, dx=0.5)", "np.trapezoid(x, axis=0)", "np.trapezoid(x, [0.0, 1.0, 3.0])"],
        [(3,), (3, 3)]),
    Sample("np.trapezoid(x, y)", x=(2, 3), y=(3,)),
    Sample("np.trapezoid(x, y, axis=0)", x=(2, 3), y=(2, 3)),
    Sample("np.trapezoid(x, dx=np.abs(x[0]))", x=(4,)),
    *(Sample("np.polyval(x, y)", x=(3,), y=kind) for kind in ((2, 2), (), float)),
    *(Sample("np.polyval(x, y)", x=(0,), y=kind) for kind in ((2,), (), float)),
    Sample("np.polyval([1.0, -2.0, 0.5], x)", x=(3,)),
    *over([f"np.vander(x{rest})" for rest in ("", ", 2", ", N=4, increasing=True", ", 1", ", 0")], [(3,)]),
    *(Sample(f"np.linspace(x, y{rest})", x=x, y=y) for x, y in (((), ()), (float, float), ((2,), ()), ((2, 1), (2,)))
      for rest in (", 4", ", num=3, endpoint=False", ", 1", ", 3, axis=-1")),
    *over(["np.linspace(x, 1.0, 3)", "np.linspace([0.0, 1.0], x, 3)", "np.linspace(x, 1.0, 3, retstep=True)[0]",
        "np.linspace(x, 1.0, 4, False, True)[1]",
        "np.linspace(0, x, 3, dtype=np.float64)", "np.linspace(x, 2.0, 0)"], [(2,), float]),
    *(Sample(f"np.logspace(x, y{rest})", x=x, y=y) for x, y in (((), ()), (float, float), ((2,), ()))
      for rest in (", 4", ", 3, False, 2.0")),
    *over([f"np.interp({at}, [0.0, 1.0, 2.5], x, period=3.0)" for at in ("[0.4, 2.8, -1.2]", "7.3")], [(3,)]),
    Sample("np.interp(x, [0.3, 1.0, 2.5], y, period=3.0)", x=(4,), y=(3,)),
    *over(["np.unwrap(x)", "np.unwrap(4 * x)", "np.unwrap(4 * x, discont=4.0)", "np.unwrap(x, period=0.8)"], [(5,)]),
    *over(["np.unwrap(4 * x, axis=0)", "np.unwrap(4 * x)"], [(3, 2)]),
    *(Sample(f"np.{call}", x=(a,), y=(b,)) for call in ("polyadd(x, y)", "polysub(x, y)", "polymul(x, y)",
        "polydiv(x, y)[0]", "polydiv(x, y)[1][-1]") for a, b in ((3, 3), (2, 4), (4, 2))),
    *over([f"np.{call}" for call in ("polyder(x)", "polyder(x, 2)", "polyder(x, 0)", "polyint(x)", "polyint(x, 2)",
        "polyint(x, 2, [0.5, x[0]])", "polyint(x, m=1, k=0.5)", "poly(x)", "polyadd(x, [1.0])")], [(4,)]),
    *(Sample(f"np.polyfit(x, y, {rest}", x=(6,), y=(6,)) for rest in ("1)", "2)", "0)", "2, cov=True)[1]",
        "1, cov='unscaled')[1]", "2, w=[1.0, 2.0, 0.5, 1.0, 0.7, 1.1])")),
    Sample("np.polyfit(x, y, 1)", x=(4,), y=(4, 2)), Sample("np.polyfit(x, y, 1, cov=True)[1]", x=(4,), y=(4, 2)),
    *(Sample(f"np.geomspace(x, y{rest})", x=x, y=y, domain="positive")
      for x, y in (((), ()), (float, float), ((2,), ())) for rest in (", 4", ", 3, False", ", 1", ", 3, axis=-1")),
    *over(["np.logspace([0.0, 1.0], 2.0, 3, base=x)", "np.logspace(0.0, 1.0, 3, base=x, axis=-1)"], [(2,)], "positive"),
    Sample("np.logspace(0.0, 1.0, 3, base=x)", x=(), domain="positive"),
    *(Sample(f"np.meshgrid(x, y{rest})", x=(2,), y=(3,)) for rest in ("", ", indexing='ij'", ", copy=False",
        ", np.arange(2.0)")),
    Sample("np.multiply(*np.meshgrid(x, y, sparse=True))", x=(2,), y=(3,)),
    Sample("np.meshgrid(x)", x=(2,)),
    Sample("np.meshgrid(x, y)[0] * np.meshgrid(x, y)[1]", x=(), y=(3,)),
]  # fmt: skip
