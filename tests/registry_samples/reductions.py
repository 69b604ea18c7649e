"""Samples of reductions, scans and the methods of ufuncs: every axis form, with and without keepdims."""

import numpy as np

from registry_samples.sample import Sample, over

REDUCTIONS = ["sum", "mean", "prod", "max", "min", "amax", "amin", "var", "std", "ptp"]
AXES_OF_TWO = ["", "axis=None", "axis=0", "axis=1", "axis=-1", "axis=-2", "axis=(0, 1)", "axis=(1,)"]
AXES_OF_THREE = ["axis=(0, 2)", "axis=(-1, 0)", "axis=1"]


def _calls(name: str) -> list[Sample]:
    two = [Sample(f"np.{name}(x, {axis})" if axis else f"np.{name}(x)", x=(2, 3)) for axis in AXES_OF_TWO]
    kept = [
        Sample(f"np.{name}(x, {axis + ', ' if axis else ''}keepdims=True)", x=(2, 3))
        for axis in ("", "axis=0", "axis=-1", "axis=(0, 1)")
    ]
    three = [Sample(f"np.{name}(x, {axis}{k})", x=(2, 2, 2)) for axis in AXES_OF_THREE for k in ("", ", keepdims=True")]
    scalars = over([f"np.{name}(x)"], [(), (4,), (1,), float, np.float64])
    rest = [Sample(f"np.{name}(x, 1)", x=(2, 3)), Sample(f"np.{name}(x, axis=1)", x=(0, 3))]
    return two + kept + three + scalars + rest


def _scans(name: str) -> list[Sample]:
    axes = ["", "axis=None", "axis=0", "axis=1", "axis=-1"]
    two = [Sample(f"np.{name}(x, {axis})" if axis else f"np.{name}(x)", x=(3, 2)) for axis in axes]
    return two + over([f"np.{name}(x)"], [(), (5,), (1,), (0,)]) + [Sample(f"np.{name}(x, 1)", x=(2, 2, 2))]


def _methods(name: str) -> list[Sample]:
    reduce = [
        Sample(f"np.{name}.reduce(x{rest})", x=(2, 3))
        for rest in (
            "",
            ", axis=None",
            ", axis=1",
            ", axis=-1",
            ", axis=(0, 1)",
            ", axis=1, keepdims=True",
            ", 1",
        )
    ]
    accumulate = [Sample(f"np.{name}.accumulate(x{rest})", x=(3, 2)) for rest in ("", ", axis=1", ", axis=-1", ", 0")]
    return [
        *reduce,
        Sample(f"np.{name}.reduce(x)", x=(3,)),
        *accumulate,
        Sample(f"np.{name}.accumulate(x)", x=(5,)),
        Sample(f"np.{name}.accumulate(x)", x=(0, 2)),
        Sample(f"np.{name}.accumulate(x, 1)", x=(2, 0)),
    ]


def _outers(name: str) -> list[Sample]:
    shapes = [((3,), (2,)), ((2, 2), (3,)), ((2,), (2, 2)), ((), (3,)), (float, (3,)), ((3,), float)]
    return [Sample(f"np.{name}.outer(x, y)", x=x, y=y, domain="positive") for x, y in shapes]


_MASKS = ("np.array([True, False, True])", "np.array([[True, False, True], [False, True, True]])")


def _keywords() -> list[Sample]:
    """`dtype=`, `where=`, `initial=` and `out=None` of everything that takes them."""
    masked = [
        f"np.{name}(x, {axis}where={mask}{rest})"
        for name in ("sum", "mean", "prod", "var", "std")
        for mask in _MASKS
        for axis, rest in (("", ""), ("axis=1, ", ""), ("axis=1, ", ", keepdims=True"))
    ]
    started = [
        f"np.{name}(x{rest}, initial={initial})"
        for name in ("sum", "prod", "max", "min")
        for rest in ("", ", axis=0", ", axis=(0, 1), keepdims=True", f", where={_MASKS[1]}", f", 1, where={_MASKS[0]}")
        for initial in ("0.7", "np.float64(-0.9)")
    ]
    typed = [f"np.{name}(x, dtype=np.float64)" for name in
             ("sum", "mean", "prod", "var", "std", "cumsum", "cumprod", "add.reduce", "add.accumulate",
              "multiply.reduce", "multiply.accumulate", "maximum.reduce")]  # fmt: skip
    methods = [
        f"np.{name}.reduce(x, 1, initial=0.7{rest})"
        for name in ("add", "multiply", "maximum", "minimum", "logaddexp", "hypot")
        for rest in ("", f", where={_MASKS[0]}", ", keepdims=True")
    ]
    others = ["np.sum(x, None, None, None)", "np.max(x, out=None)", "np.var(x, mean=0.2)", "np.sum(x, 0, np.float64)",
              "np.prod(x, initial=np.float64(2))", "np.clip(x, -0.5, 0.5, out=None)"]  # fmt: skip
    traced = [
        Sample(f"np.{name}(x + 0 * y, axis=1, initial=y)", x=(2, 3), y=()) for name in ("sum", "prod", "max", "min")
    ]
    return (
        over([*masked, *started, *typed, *methods, *others], [(2, 3)])
        + traced
        + over(["np.max(x, initial=0.7)", "np.min(x, axis=0, initial=0.7)"], [(0,), (0, 2)])
    )


def _other_ufuncs() -> list[Sample]:
    """The methods of ufuncs that are applied as often as NumPy would, and calls with a mask or a dtype."""
    calls = [
        "np.logaddexp.reduce(x)", "np.logaddexp.reduce(x, None)", "np.logaddexp.reduce(x, (0, 1), keepdims=True)",
        "np.subtract.reduce(x, 1)", "np.subtract.accumulate(x)", "np.hypot.reduce(x, axis=1)", "np.fmax.reduce(x)",
        "np.divide.accumulate(x, axis=1)", "np.logaddexp.accumulate(x, 1)", "np.add.reduceat(x, [0, 2, 1], axis=1)",
        "np.multiply.reduceat(x, [1, 0])", "np.maximum.reduceat(x, [0, 1], 1)", "np.logaddexp.outer(x, x)",
        "np.add(x, 1.0, dtype=np.float64)", "np.exp(x, dtype=np.float64)", "np.matmul(x, x.T, dtype=np.float64)",
        f"np.multiply(x, x, where={_MASKS[0]}, out=None) * {_MASKS[0]}",
        f"np.sum(np.exp(x, where={_MASKS[1]}, out=None)[{_MASKS[1]}])",
        "np.where(x > 0, np.log(x, where=x > 0, out=None), 0)", "np.sqrt(x * x, casting='safe')",
        "np.divmod(x, 0.7, dtype=np.float64)[1]",
    ]  # fmt: skip
    return over(calls, [(2, 3)])


REDUCTIONS_AND_SCANS = [
    *_keywords(),
    *_other_ufuncs(),
    *(sample for name in REDUCTIONS for sample in _calls(name)),
    *over(["np.sum(x)", "np.prod(x)"], [(0,), (0, 3), (2, 0)]),
    *over(
        ["np.sum(x, axis=0)", "np.prod(x, axis=0)", "np.sum(x, axis=())", "np.prod(x, axis=())"],
        [(0, 3), (2, 3)],
    ),
    *over(["np.max(x, axis=())", "np.min(x, axis=())", "np.mean(x, axis=())"], [(2, 3)]),
    Sample("np.var(x, ddof=1)", x=(4,)),
    Sample("np.var(x, axis=1, ddof=1, keepdims=True)", x=(2, 3)),
    Sample("np.std(x, axis=0, ddof=1)", x=(3, 2)),
    Sample("np.std(x, correction=1)", x=(4,)),
    Sample("np.var(x, mean=np.mean(x, axis=0, keepdims=True), axis=0)", x=(3, 2)),
    *(sample for name in ("cumsum", "cumprod") for sample in _scans(name)),
    *(sample for name in ("add", "multiply", "maximum", "minimum") for sample in _methods(name)),
    *over(["np.maximum.accumulate(x)", "np.minimum.accumulate(x, axis=-1)"], [(0,), (0, 3), (2, 0), (1,)]),
    *(
        sample
        for name in (
            "add",
            "subtract",
            "multiply",
            "divide",
            "maximum",
            "minimum",
            "power",
            "hypot",
            "arctan2",
        )
        for sample in _outers(name)
    ),
    Sample("np.add.outer(x, np.arange(3.0))", x=(2,)),
    Sample("np.multiply.outer(np.arange(3.0), x)", x=(2,)),
    Sample("sum(x)", x=(3,)),
    Sample("sum(x)", x=(2, 3)),
    Sample("max(x) - min(x)", x=(3,)),
]

# With zeros among the factors, whose products must not be formed by dividing (the factors themselves are
# smooth).
REDUCTIONS_AND_SCANS += [
    Sample("np.prod(x * np.array([1.0, 0.0, 2.0]))", x=(3,)),
    Sample("np.prod(x * np.array([0.0, 0.0, 2.0]))", x=(3,)),
    Sample("np.prod(x * np.array([[1.0, 0.0, 2.0], [0.0, 0.0, 1.0]]), axis=1)", x=(2, 3)),
    Sample("np.cumprod(x * np.array([1.0, 0.0, 2.0, 0.0]))", x=(4,)),
    Sample("np.multiply.reduce(x * np.array([[0.0], [2.0]]))", x=(2, 3)),
    Sample("np.multiply.accumulate(x * np.array([1.0, 0.0, 2.0, 1.0]))", x=(4,)),
]
