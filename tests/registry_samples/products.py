"""Samples of products of vectors and matrices, and every form of einsum."""

import numpy as np

from registry_samples.sample import Sample, over

MATMUL_SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 2)),
    ((1, 3), (3, 1)),
    ((2, 2, 3), (3, 2)),
    ((2, 3), (2, 3, 1)),
    ((2, 1, 3), (1, 3, 2)),
    ((2, 1, 2, 2), (2, 2, 1)),
    ((3,), (2, 3, 2)),
    ((2, 2, 3), (3,)),
    ((0, 3), (3, 2)),
    ((2, 0), (0, 3)),
]

DOT_SHAPES = [
    ((3,), (3,)),
    ((2, 3), (3,)),
    ((3,), (3, 2)),
    ((2, 3), (3, 2)),
    ((2, 2), (2, 2, 2)),
    ((2, 2, 2), (2,)),
]
DOT_SHAPES += [(float, (2, 3)), ((2, 3), ()), (float, float), ((3,), (2, 3, 2)), ((2, 1, 3), (3, 2))]

PRODUCTS = [
    *(Sample(form, x=x, y=y) for x, y in MATMUL_SHAPES for form in ("x @ y", "np.matmul(x, y)")),
    *(Sample("np.dot(x, y)", x=x, y=y) for x, y in DOT_SHAPES),
    *(Sample("np.inner(x, y)", x=x, y=y) for x, y in [((3,), (3,)), ((2, 3), (3,)), ((2, 3), (2, 3)), ((3,),
        (2, 2, 3)), (float, (3,)), ((2, 3), ())]),
    *(Sample("np.outer(x, y)", x=x, y=y) for x, y in [((3,), (2,)), ((2, 2), (3,)), (float, (3,)), ((), ()),
        ((3,), float)]),
    *(Sample("np.vdot(x, y)", x=x, y=y) for x, y in [((3,), (3,)), ((2, 3), (2, 3)), ((2, 3), (6,)), ((),
        ())]),
    *(Sample("np.vecdot(x, y)", x=x, y=y)
      for x, y in [((3,), (3,)), ((2, 3), (3,)), ((2, 3), (2, 3)), ((2, 1, 3), (2, 3))]),
    Sample("np.vecdot(x, y, axis=0)", x=(3, 2), y=(3, 2)),
    *([] if not hasattr(np, "matvec") else [
        Sample("np.matvec(x, y)", x=(2, 3), y=(3,)), Sample("np.matvec(x, y)", x=(2, 2, 3), y=(2, 3)),
        Sample("np.vecmat(x, y)", x=(2,), y=(2, 3)), Sample("np.vecmat(x, y)", x=(2, 2), y=(2, 3)),
    ]),
    Sample("np.matmul(np.arange(6.0).reshape(2, 3), x)", x=(3, 2)),
    Sample("x @ np.arange(3)", x=(2, 3)),
    Sample("np.arange(6.0).reshape(2, 3) @ x", x=(3,)),
    Sample("x @ x", x=(2, 2)),
    Sample("x @ x.T", x=(2, 3)),
    Sample("x @ x", x=(3,)),
    Sample("x.dot(x)", x=(3,)),
    *(Sample(f"np.tensordot(x, y{axes})", x=(2, 3, 2), y=(3, 2, 2)) for axes in ("", ", axes=2", ", axes=0",
        ", axes=([1, 0], [0, 1])")),
    *(Sample(f"np.tensordot(x, y, {axes})", x=(2, 3), y=(3, 2)) for axes in ("1", "axes=(1, 0)",
        "axes=([0], [1])", "axes=((0, 1), (1, 0))")),
    Sample("np.tensordot(x, y, axes=(-1, -2))", x=(2, 3), y=(3, 2)),
    Sample("np.tensordot(x, y, 0)", x=(2,), y=(3,)),
    Sample("np.tensordot(x, y, 1)", x=(3,), y=(3,)),
    *(Sample("np.kron(x, y)", x=x, y=y)
      for x, y in [((2,), (3,)), ((2, 2), (2, 1)), ((2,), (2, 2)), ((2, 1, 2), (2,)), (float, (3,)), ((), ())]),
    *(Sample(f"np.cross(x, y{rest})", x=(3,), y=(3,)) for rest in ("", ", axis=0")),
    Sample("np.cross(x, y)", x=(2, 3), y=(3,)),
    Sample("np.cross(x, y)", x=(2, 3), y=(2, 3)),
    Sample("np.cross(x, y, axis=0)", x=(3, 2), y=(3, 2)),
    Sample("np.cross(x, y, axisa=0, axisb=1, axisc=0)", x=(3, 2), y=(2, 3)),
    Sample("np.cross(x, y, axisa=0)", x=(3, 2), y=(2, 3)),
]  # fmt: skip

CONVOLUTIONS = [
    *(Sample(f"np.{name}(x, y{rest})", x=x, y=y)
      for name in ("convolve", "correlate")
      for x, y in [((5,), (3,)), ((2,), (4,)), ((3,), (3,)), ((4,), (2,)), ((1,), (3,))]
      for rest in ("", ", 'full'", ", mode='same'", ", 'valid'")),
    Sample("np.convolve(x, y)", x=float, y=(3,)),
    Sample("np.correlate([1.0, 2.0, -1.0, 0.5], x)", x=(2,)),
    Sample("np.convolve(x, x)", x=(4,)),
]  # fmt: skip

#: of complex numbers, where a correlation conjugates its second factor
CONVOLUTIONS_COMPLEX = [
    *(Sample(f"np.convolve(x, y, {mode})", x=(4,), y=(2,), domain=domain)
      for domain in ("complex", {"x": "complex"}, {"y": "complex"}) for mode in ("'full'", "'same'", "'valid'")),
    *(Sample(f"np.correlate(x, y, {mode})", x=x, y=y, domain="complex")
      for x, y in [((4,), (2,)), ((2,), (3,))] for mode in ("'full'", "'same'", "'valid'")),
]  # fmt: skip

EINSUM = [
    *over(["np.einsum('ij', x)", "np.einsum('ji', x)", "np.einsum('ij->j', x)", "np.einsum('ij->', x)",
        "np.einsum('ij->ji', x)"], [(2, 3)]),
    *over(["np.einsum('ii', x)", "np.einsum('ii->i', x)", "np.einsum('ii->', x)",
        "np.einsum('...ii->...i', x)"], [(3, 3)]),
    *over(["np.einsum('...ii', x)", "np.einsum('ijj->i', x)"], [(2, 3, 3)]),
    *over(["np.einsum('i...i', x)"], [(2, 3, 2)]),
    *over(["np.einsum('iij->ij', x)", "np.einsum('iij', x)", "np.einsum('iij->j', x)",
        "np.einsum('ii...->...i', x)"], [(2, 2, 3)]),
    *over(["np.einsum('iii', x)", "np.einsum('iii->i', x)"], [(2, 2, 2)]),
    *over(["np.einsum('...', x)", "np.einsum('...->...', x)"], [(2, 3), ()]),
    *over(["np.einsum('i...->...', x)", "np.einsum('...i->i...', x)", "np.einsum('...i', x)",
        "np.einsum('b...a', x)"], [(2, 1, 3)]),
    *over(["np.einsum('i,i->i', x, x)", "np.einsum('i,j', x, x)"], [(3,)]),
    *(Sample(f"np.einsum('{s}', x, y)", x=(2, 3), y=(3, 2)) for s in
      ("ij,jk", "ij,jk->ik", "ij,jk->ki", "ij,ji", "ij,ji->", "ij,kl->il", "ij,jk->", "ij , jk -> k",
          "ij,jk->ijk", "ij,...", "...j,jk->...k")),
    *(Sample(f"np.einsum('{s}', x, y)", x=(2, 3), y=(3,)) for s in ("ij,j", "ij,j->i", "ij,j->ij",
        "...j,j->...", "ij,k->j", "...,...")),
    *(Sample(f"np.einsum('{s}', x, y)", x=(3,), y=(3,)) for s in ("i,i", "i,i->i", "i,j->ji", "i,i->", "i,j",
        "i,j->")),
    *(Sample(f"np.einsum('{s}', x, y)", x=(2, 2, 3), y=(3, 2)) for s in ("...ij,jk->...ik", "bij,jk->bik",
        "aab,bc->ac", "...j,jk", "b...j,jk->b...k")),
    Sample("np.einsum('...ij,...jk->...ik', x, y)", x=(2, 2, 3), y=(1, 3, 2)),
    Sample("np.einsum('...ij,...jk->...ik', x, y)", x=(2, 3), y=(2, 3, 1)),
    Sample("np.einsum('ij,ij->i', x, y)", x=(1, 3), y=(2, 3)),
    Sample("np.einsum('ij,jk', x, y)", x=(2, 1), y=(3, 2)),
    Sample("np.einsum(',i->i', x, y)", x=float, y=(3,)),
    Sample("np.einsum(',', x, y)", x=float, y=()),
    Sample("np.einsum('ii,jj->ij', x, y)", x=(2, 2), y=(3, 3)),
    Sample("np.einsum('ij,j->i', np.arange(6.0).reshape(2, 3), x)", x=(3,)),
    Sample("np.einsum('ij,j->i', x, [1, 2, 3])", x=(2, 3)),
    *(Sample(f"np.einsum('ij,jk,kl{o})", x=(2, 3), y=(3, 2), z=(2, 2)) for o in
      ("', x, y, z", "->il', x, y, z, optimize=True", "->li', x, y, z, optimize='optimal'",
          "', x, y, z, optimize='greedy'", "->', x, y, z, optimize=False")),
    Sample("np.einsum('ij,jk,kl->il', x, y, z, optimize=['einsum_path', (0, 1), (0, 1)])", x=(2, 3), y=(3, 2),
        z=(2, 2)),
    *(Sample(f"np.einsum(x, [0, 1], y, [1, 2]{rest})", x=(2, 3), y=(3, 2)) for rest in ("", ", [2, 0]",
        ", [0, 2], optimize=True")),
    Sample("np.einsum(x, [Ellipsis, 0], y, [0, Ellipsis], [Ellipsis])", x=(2, 3), y=(3, 2)),
    Sample("np.einsum('ij,j->i', x, y, dtype=np.float64)", x=(2, 3), y=(3,)),
    Sample("np.einsum('i,ij,j', x, y, z)", x=(2,), y=(2, 3), z=(3,)),
    Sample("np.einsum('i,i,i->i', x, y, z, optimize=True)", x=(3,), y=(3,), z=(3,)),
    Sample("np.einsum('ii,ij,...j->...i', x, y, z, optimize=True)", x=(2, 2), y=(2, 3), z=(2, 3)),
    Sample("np.einsum('ij,k,l->l', x, y, z, optimize=True)", x=(2, 2), y=(2,), z=(3,)),
    Sample("np.einsum('i,i,j,j->', x, x, y, y, optimize=True)", x=(3,), y=(2,)),
    Sample("np.einsum('ij,jk->ik', x, y, optimize=True)", x=(2, 3), y=(3, 2)),
]  # fmt: skip
