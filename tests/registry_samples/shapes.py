"""Samples of what moves, repeats, joins and cuts elements."""

import numpy as np

from registry_samples.sample import Sample, over

ONE_ARRAY = [
    *over(["np.reshape(x, (3, 2))", "np.reshape(x, -1)", "np.reshape(x, (2, -1))", "np.reshape(x, (6, 1))"],
        [(2, 3)]),
    *over(["np.reshape(x, (3, 2), order='F')", "np.reshape(x, shape=(6,))",
        "np.reshape(x, (2, 3), copy=True)"], [(2, 3)]),
    *over(["np.reshape(x, ())", "np.reshape(x, (1, 1))"], [(1,), ()]),
    *over(["np.reshape(x, (1,))"], [float, np.float64]),
    *over(["np.ravel(x)", "np.ravel(x, order='F')", "np.transpose(x)", "x.T", "x.mT"], [(2, 3)]),
    *over(["np.ravel(x)", "np.transpose(x)", "x.T"], [(), (3,), (2, 1, 2), np.float64, (0, 3)]),
    *over(["np.ravel(x)", "np.transpose(x)"], [float]),
    *over(["np.transpose(x, (2, 0, 1))", "np.transpose(x, (0, -1, 1))", "np.transpose(x, axes=[1, 0, 2])"],
        [(2, 1, 3)]),
    *over(["np.swapaxes(x, 0, 1)", "np.swapaxes(x, -1, 0)", "np.rollaxis(x, 2)", "np.rollaxis(x, 0, 3)"], [(2, 1, 3)]),
    *over(["np.rollaxis(x, -1, 1)", "np.rollaxis(x, 1, -1)", "np.rollaxis(x, 1, 1)"], [(2, 1, 3)]),
    *over(["np.moveaxis(x, 0, -1)", "np.moveaxis(x, [0, 1], [-1, 0])", "np.moveaxis(x, (2,), (0,))"], [(2, 1, 3)]),
    *over(["np.moveaxis(x, [2, 0], [0, 1])", "np.moveaxis(x, np.int64(0), 2)"], [(2, 1, 3)]),
    *over(["np.expand_dims(x, 0)", "np.expand_dims(x, -1)", "np.expand_dims(x, (0, 2))",
        "np.expand_dims(x, (-1, 1))"], [(2, 3)]),
    *over(["np.expand_dims(x, 0)"], [(), float, np.float64]),
    *over(["np.squeeze(x)", "np.squeeze(x, 0)", "np.squeeze(x, axis=-2)", "np.squeeze(x, (0, 2))"], [(1, 3, 1,
        2)]),
    *over(["np.squeeze(x)"], [(), (1,), (1, 1), float]),
    *over(["np.broadcast_to(x, (2, 3))", "np.broadcast_to(x, shape=(4, 2, 3))"], [(3,), (1, 3), (2, 1), ()]),
    *over(["np.broadcast_to(x, (2,))", "np.broadcast_to(x, 2)", "np.broadcast_to(x, ())"], [float, np.float64,
        ()]),
    *over(["np.flip(x)", "np.flip(x, 0)", "np.flip(x, -1)", "np.flip(x, (0, 1))", "np.flipud(x)",
        "np.fliplr(x)"], [(2, 3)]),
    *over(["np.flip(x)"], [(), (4,), (0,), float, np.float64]),
    *over([f"np.rot90(x, {k})" for k in range(-1, 5)] + ["np.rot90(x)", "np.rot90(x, 1, (1, 0))"], [(2, 3)]),
    *over(["np.rot90(x, k=3, axes=(0, 2))", "np.rot90(x, 1, axes=(-1, 0))"], [(2, 1, 2)]),
    *over(["np.roll(x, 1)", "np.roll(x, -2)", "np.roll(x, 1, axis=0)", "np.roll(x, (1, 2), axis=(0, 1))"],
        [(2, 3)]),
    *over(["np.roll(x, 1, axis=-1)", "np.roll(x, shift=7, axis=1)", "np.roll(x, 3, (0, 1))"], [(2, 3)]),
    *over(["np.tile(x, 2)", "np.tile(x, (2, 1))", "np.tile(x, (2, 1, 2))", "np.tile(x, ())", "np.tile(x, 0)"],
        [(2, 2)]),
    *over(["np.tile(x, 3)", "np.tile(x, (2, 2))", "np.tile(x, np.array([2, 1]))"], [(2,), ()]),
    *over(["np.tile(x, 3)"], [float]),
    *over(["np.repeat(x, 2)", "np.repeat(x, 2, axis=0)", "np.repeat(x, [1, 0, 2], axis=1)",
        "np.repeat(x, 2, -1)"], [(2, 3)]),
    *over(["np.repeat(x, np.array([2, 1, 0]))", "np.repeat(x, repeats=3)"], [(3,)]),
    *over(["np.repeat(x, 3)", "np.repeat(x, 3, axis=0)", "np.repeat(x, [2], axis=-1)"], [(), float]),
    *over(["np.pad(x, 1)", "np.pad(x, (1, 2), 'edge')", "np.pad(x, 0)"], [(), float, np.float64]),
    *over(["x.copy()", "x.copy() * x"], [(2, 3), (), np.float64]),
    *over(["np.pad(x, 1)", "np.pad(x, (1, 2))", "np.pad(x, ((1, 0), (0, 2)))", "np.pad(x, [[1], [2]])"], [(2, 3)]),
    *over(["np.pad(x, 1, mode='constant')", "np.pad(x, 1, 'constant', constant_values=7.0)"], [(2, 3), (2,)]),
    *over(["np.pad(x, (1, 2), constant_values=(3.0, 4.0))", "np.pad(x, 0)"], [(2,)]),
    *over([f"np.pad(x, {widths}, '{mode}')" for widths in ("1", "((2, 0), (1, 4))", "0")
        for mode in ("edge", "wrap", "reflect", "symmetric")], [(2, 3)]),
    *over(["np.pad(x, (1, 2), mode='reflect', reflect_type='even')", "np.pad(x, 9, 'wrap')"], [(3,)]),
    *over(["np.atleast_1d(x)", "np.atleast_2d(x)", "np.atleast_3d(x)"], [(), float, (2,), (2, 2), (1, 2, 2)]),
    *over(["np.copy(x)", "x.copy()", "x.flatten()", "x.flatten('F')"], [(2, 3)]),
    *over(["np.diff(x)", "np.diff(x, 2)", "np.diff(x, axis=0)", "np.diff(x, n=2, axis=0)", "np.diff(x, 0)"],
        [(3, 3)]),
    *over(["np.diff(x, prepend=0.5)", "np.diff(x, append=x[..., :1])"], [(4,)]),
    *over(["np.sort(x)", "np.sort(x, axis=0)", "np.sort(x, axis=None)", "np.sort(x, -1)"], [(3, 2), (2, 3)]),
    *over(["np.sort(x, kind='stable')", "np.sort(x, stable=True)", "np.sort(x)[::-1]"], [(5,)]),
    *over(["np.nan_to_num(x)"], [(2, 3)]),
    *over(["x.astype(np.float64)", "x.astype(float) * 2", "x.astype('d')",
        "x.astype(np.float64, copy=False)"], [(2, 3), (), np.float64]),
]  # fmt: skip

TRIANGLES = [
    *over(["np.diagonal(x)", "np.diagonal(x, 1)", "np.diagonal(x, offset=-1)", "np.diag(x)", "np.diag(x, 1)"],
        [(3, 3), (2, 3)]),
    *over(["np.diagonal(x, 0, 1, 2)", "np.diagonal(x, 1, 0, -1)", "np.diagonal(x, -1, axis1=2, axis2=0)"],
        [(2, 2, 3)]),
    *over(["np.diag(x)", "np.diag(x, 1)", "np.diag(x, -2)", "np.diagflat(x)", "np.diagflat(x, 1)"], [(3,),
        (1,)]),
    *over(["np.diagflat(x, -1)"], [(2, 2)]),
    *over(["np.trace(x)", "np.trace(x, 1)", "np.trace(x, offset=-1)"], [(3, 3), (2, 3)]),
    *over(["np.trace(x, 0, 1, 2)", "np.trace(x, 1, axis1=0, axis2=2)"], [(2, 2, 3)]),
    *over(["np.tril(x)", "np.triu(x)", "np.tril(x, 1)", "np.triu(x, -1)", "np.tril(x, k=-1)",
        "np.triu(x, k=1)"], [(3, 3), (2, 3)]),
    *over(["np.tril(x)", "np.triu(x, 1)"], [(2, 2, 3)]),
    *over(["np.diagonal(x, 5)", "np.trace(x, 5)"], [(2, 2)]),
]  # fmt: skip

_PAIRS = [((2, 3), (2, 3)), ((2, 3), (1, 3))]

JOINING = [
    *(Sample(f"np.concatenate([x, y]{rest})", x=(2, 3), y=(2, 3)) for rest in ("", ", axis=1", ", axis=-1",
        ", axis=None", ", 0")),
    *(Sample(f"np.{name}", x=x, y=y) for name in ("concatenate((x, y))", "vstack([x, y])") for x,
        y in _PAIRS),
    Sample("np.concatenate([x, np.array([1.0, 2.0]), y, [3, 4]])", x=(2,), y=(3,)),
    Sample("np.concatenate([x, y], axis=None)", x=(2,), y=(2, 2)),
    Sample("np.concatenate([x, x, x])", x=(2,)),
    Sample("np.concatenate([x])", x=(2,)),
    Sample("np.concatenate([x, y])", x=(0,), y=(2,)),
    Sample("np.concatenate([x, y], dtype=np.float64)", x=(2,), y=(1,)),
    Sample("np.concatenate([x[:1], 2.0 * x[1:2], x])", x=(3,)),
    *(Sample(f"np.stack([x, y]{rest})", x=(2, 3), y=(2, 3)) for rest in ("", ", axis=1", ", axis=-1",
        ", axis=2")),
    *(Sample("np.stack([x, y])", x=kind, y=kind) for kind in ((), float, np.float64)),
    Sample("np.stack([x[0], x[1] * x[2], 1.0])", x=(3,)),
    Sample("np.stack((x, np.arange(3.0)))", x=(3,)),
    *(Sample(f"np.{name}([x, y])", x=(3,), y=(3,)) for name in ("vstack", "hstack", "dstack",
        "column_stack")),
    *(Sample(f"np.{name}([x, y])", x=(2, 3), y=(2, 3)) for name in ("vstack", "hstack", "dstack",
        "column_stack")),
    *(Sample(f"np.{name}([x, y])", x=float, y=()) for name in ("vstack", "hstack", "dstack", "column_stack")),
    Sample("np.hstack((x, y))", x=(2,), y=(3,)),
    Sample("np.dstack([x, y])", x=(2, 2, 1), y=(2, 2, 2)),
    Sample("np.column_stack([x, y])", x=(3,), y=(3, 2)),
    Sample("np.block([[x, np.zeros((2, 1))], [y, np.array([[2.0]])]])", x=(2, 2), y=(1, 2)),
    Sample("np.block([x, y, 1.0])", x=(2,), y=()),
    Sample("np.block([[x, y]])", x=(2,), y=(3,)),
    Sample("np.block([x, 2.0 * x])", x=(2, 2)),
    Sample("np.block(x)", x=(2, 2)),
    Sample("np.append(x, y)", x=(2, 2), y=(3,)),
    Sample("np.append(x, 1.0)", x=(3,)),
    Sample("np.append(x, y, axis=0)", x=(2, 2), y=(1, 2)),
    *(Sample("np.where(np.array([True, False, True]), x, y)", x=x, y=y)
      for x, y in [((2, 3), (2, 3)), ((3,), (2, 3)), ((), (2, 3)), ((2, 1), (1, 3)), (float, (3,)), (float, float)]),
    Sample("np.where(x > 0, x, -2.0 * x)", x=(2, 3)),
    Sample("np.where(x > y, x * y, y)", x=(2, 3), y=(3,)),
    Sample("np.where(True, x, y)", x=(3,), y=(2, 3)),
    Sample("np.where([[True], [False]], x, 0)", x=(3,)),
    Sample("np.select([x > 1.0, x > 0.0], [x ** 2, 3.0 * x], default=1.5)", x=(2, 3)),
    Sample("np.select([x > 1.0, x > y], [x, y])", x=(2, 3), y=(3,)),
    # NumPy asks only the conditions and the choices who is traced, hence a default that depends on them.
    Sample("np.select([x > 0.0], [x], 2.0 * x[0])", x=(3,)),
]  # fmt: skip

CUTTING = [
    *over(["np.split(x, 2)", "np.split(x, [1])", "np.split(x, [1, 3])", "np.array_split(x, 3)",
        "np.vsplit(x, 2)"], [(4, 2)]),
    *over(["np.split(x, 2, axis=1)", "np.split(x, [1], -1)", "np.array_split(x, 2, axis=1)",
        "np.hsplit(x, 2)"], [(2, 4)]),
    *over(["np.hsplit(x, 2)", "np.hsplit(x, [1])", "np.array_split(x, 3)", "np.split(x, [2, 9])"], [(4,)]),
    *over(["np.split(x, [-1])", "np.split(x, np.array([1, 2]))", "np.array_split(x, np.array(3))"], [(4,)]),
    *over(["np.dsplit(x, 2)", "np.dsplit(x, [1])"], [(2, 1, 2)]),
    *([] if not hasattr(np, "unstack") else over(["np.unstack(x)", "np.unstack(x, axis=1)",
        "np.unstack(x, axis=-1)"], [(2, 3)])),
]  # fmt: skip

#: New arrays like a traced one: written to, since of themselves they do not depend on it
LIKE = [
    *over(["np.zeros_like(x) + x", "np.ones_like(x) * x", "np.full_like(x, 2.0) * x"], [(2, 3), (), float]),
    *over(["np.empty_like(x) * 0 + x"], [(2, 0)]),
    *over(["np.full_like(x, x[0]) * x", "np.full_like(x, x) * 3.0"], [(3,)]),
    *over(["np.zeros_like(x, dtype=np.float64) + x", "np.ones_like(x, shape=(2, 3)) * x"], [(3,)]),
    *over([f"{call} + x" for call in (
        "np.zeros(3, like=x)", "np.ones((2, 3), like=x)", "np.full((3,), 2.0, like=x)", "np.eye(3, like=x)",
        "np.arange(3.0, like=x)", "np.identity(3, like=x)",
    )], [(3,)]),
]  # fmt: skip

ALONG_AXES = [
    *over(["np.squeeze(x, axis=0)", "np.squeeze(x, -1)", "np.repeat(x, 3, axis=0)"], [(), float]),
    *over(["np.transpose(x, 0)", "np.transpose(x, (0,))"], [(3,)]),
    *over(["np.sort_complex(x).real"], [(3,), (2, 3)]),
    *over(["np.partition(x, 1)", "np.partition(x, 1, axis=0)", "np.partition(x, (0, 2), axis=None)",
        "np.partition(x, kth=2, axis=-1)"], [(3, 4)]),
    *over(["np.matrix_transpose(x)"], [(2, 3), (2, 3, 2)]),
    *over(["np.astype(x, np.float64)", "np.astype(x, np.float64, copy=False)"], [(2, 3)]),
    *over(["np.apply_along_axis(lambda v: v * np.sum(v), 0, x)", "np.apply_along_axis(np.sum, 1, x)",
        "np.apply_along_axis(lambda v, k: np.outer(v, v) * k, -1, x, 2.0)"], [(2, 3)]),
    *over(["np.apply_over_axes(np.sum, x, (0, 2))", "np.apply_over_axes(np.max, x, [1])"], [(2, 3, 2)]),
    Sample("np.broadcast_arrays(x, y)", x=(3,), y=(2, 1)), Sample("np.broadcast_arrays(x, 1.0)", x=(3,)),
    *([] if not hasattr(np, "cumulative_sum") else over([f"np.cumulative_{name}(x{rest})" for name in ("sum", "prod")
        for rest in (", axis=1", ", axis=0, include_initial=True", ", axis=-1, dtype=np.float64")], [(2, 3)])),
    *([] if not hasattr(np, "cumulative_sum") else over(["np.cumulative_sum(x)", "np.cumulative_prod(x)"], [(3,), ()])),
    *over(["np.trace(x, dtype=np.float64)"], [(3, 3)]),
]  # fmt: skip

CHOOSING = [
    Sample("np.choose([0, 1, 0], [x, y])", x=(3,), y=(3,)), Sample("np.choose([[0], [1]], [x, y])", x=(3,), y=()),
    *over(["np.choose([0, 1, 1], x)", "np.choose([3, -1, 1], x, mode='wrap')", "np.choose([3, -1, 1], x, mode='clip')"],
        [(2, 3)]),
    *over([
        "np.piecewise(x, [x < 0, x >= 0], [lambda v: v * v, lambda v: 3.0 * v])",
        "np.piecewise(x, [x > 0.0], [np.sin, 0.5])",
        "np.piecewise(x, [x > 1.0, x < -1.0], [2.0, lambda v, k: k * v, lambda v, k: v * v], 3.0)",
    ], [(2, 3), (4,), ()]),
]  # fmt: skip

SHAPES = ALONG_AXES + CHOOSING + ONE_ARRAY + TRIANGLES + JOINING + CUTTING + LIKE
