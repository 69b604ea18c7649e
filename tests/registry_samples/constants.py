"""Samples of functions whose derivative is zero: their results are plain values, whatever they are given."""

import numpy as np

from registry_samples.sample import Sample, over

_UNARY = (
    "sign floor ceil rint trunc signbit spacing logical_not isfinite isinf isnan round around "
    "isposinf isneginf iscomplexobj isrealobj iscomplex isreal argmax argmin any all count_nonzero "
    "argsort nonzero flatnonzero argwhere shape ndim size"
)
_BINARY = (
    "floor_divide equal not_equal less less_equal greater greater_equal logical_and "
    "logical_or logical_xor isclose allclose array_equal array_equiv"
)
_AXIS = ("argmax", "argmin", "any", "all", "count_nonzero", "argsort")

CONSTANTS = [
    *over([f"np.{name}(x)" for name in _UNARY.split()], [(2, 3)]),
    *over([f"np.{name}(x)" for name in _UNARY.split() if name not in ("nonzero", "argwhere")], [()]),
    *(Sample(f"np.{name}(x, y)", x=(2, 3), y=(3,)) for name in _BINARY.split()),
    *(Sample(f"np.{name}(x, 0.4)", x=(2, 3)) for name in _BINARY.split()),
    *(Sample(f"np.{name}(x, y)", x=float, y=(3,)) for name in _BINARY.split()),
    *over([f"np.{name}(x, axis={axis})" for name in _AXIS for axis in ("0", "-1")], [(2, 3)]),
    *over([f"np.{name}(x, axis=1, keepdims=True)" for name in _AXIS if name != "argsort"], [(2, 3)]),
    *over([f"np.{name}(x > 0, where=np.array([True, False, True]){rest})" for name in ("any", "all")
        for rest in ("", ", axis=1, keepdims=True")], [(2, 3)]),
    *over(["np.nanargmax(x)", "np.nanargmin(x, axis=1)", "np.nanargmax(x, 0, keepdims=True)"], [(2, 3)]),
    *over(["np.greater(x, 0.3, dtype=bool)", "np.sum(x, dtype=int)"], [(2, 3)]),
    *over(["np.frexp(x)[1]", "np.fix(x)", "np.angle(x)", "np.angle(x, deg=True)", "np.digitize(x, [-1.0, 0.1, 1.1])",
        "np.digitize(x, [1.1, 0.1, -1.0], right=True)", "np.isin(x, [0.5, 1.0])", "np.isin(x, x[:1], invert=True)",
        "np.lexsort((x[0], x[1]))", "np.lexsort((x, x[::-1]), axis=0)", "np.argpartition(x, 1)",
        "np.argpartition(x, (0, 1), axis=0)", "np.argpartition(x, kth=2, axis=None)", "np.histogram(x, 3)[0]",
        "np.unique(x, return_inverse=True)[1]", "np.unique(x, True, False, True)[1:]", "np.unique_counts(x)[1]",
        "np.intersect1d(x, x[:1], return_indices=True)[1:]"], [(2, 3)]),
    *over(["np.round(x, 1)", "np.round(x, decimals=2)", "np.around(x, 1)", "np.size(x, 1)"], [(2, 3)]),
    *over(["np.argsort(x, kind='stable')", "np.argsort(x, axis=None)", "np.isclose(x, 0.5, atol=0.2)"], [(2, 3)]),
    *over(["x < 0.5", "0.5 < x", "x >= 1", "x == 0.5", "x != 0.5", "x <= 0", "x > 0", "x // 0.7", "2.0 // x"],
        [(2, 3), float]),
    *(Sample(f"x {operator} y", x=(2, 3), y=(3,)) for operator in ("<", "<=", ">", ">=", "==", "!=", "//")),
    *over(["np.result_type(x, np.float32).itemsize"], [(2, 3), ()]),
    *over(["np.can_cast(x.dtype, float)", "np.shares_memory(x, np.ones(3))",
        "np.may_share_memory(np.ones(3), x)"], [(3,)]),
    *over(["np.can_cast(x, np.float64)"], [(3,)]),
    *over(["np.searchsorted(np.array([-1.0, 0.1, 1.1]), x)", "np.searchsorted(np.arange(3.0), x, side='right')"],
        [(2, 3), ()]),
    *over(["np.searchsorted(np.sort(x), 0.4)", "np.searchsorted(np.sort(x), x, 'right')",
        "np.searchsorted(np.sort(x), [[0.3, np.nan]])"], [(4,)]),
    *over(["np.linalg.matrix_rank(x)"], [(2, 3), (2, 2, 2)]),
    *over(["x.argmax()", "x.astype(int)", "x.astype(bool)", "(x > 0).sum()", "x.shape", "x.ndim", "len(x)"],
        [(2, 3)]),
    *over(["np.modf(x)[1]", "np.divmod(x, 0.7)[0]", "np.linalg.slogdet(x)[0]"], [(2, 2)]),
    *over(["np.ones_like(x, dtype=int)", "np.zeros_like(x, dtype=bool)"], [(2, 3)]),
    *(Sample(f"(x > 0) {operator} (y > 0.4)", x=(2, 3), y=(3,)) for operator in ("&", "|", "^")),
    *over(["~(x > 0)", "True & (x > 0)", "x.astype(int) & 3"], [(2, 3)]),
    *over(["np.floor(x)", "np.sign(x)", "np.isnan(x)", "np.round(x)", "np.argmax(x)"], [np.float64]),
]  # fmt: skip
