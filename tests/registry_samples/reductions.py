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


REDUCTIONS_AND_SCANS = [
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
