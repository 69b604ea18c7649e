"""Calls of every primitive, with what they cost where that is known."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import counting_scalars as scalars
import numpy as np
import pytest

from shared import REGISTRY
from shared.core.facets import Count
from shared.core.primitive import Primitive
from shared.counting.counter import ELEMENTARY
from shared.programs import equations as parts
from shared.programs import recorder
from shared.rules import (
    determinants,
    eigenvalues,
    elementwise,
    extending,
    factors,
    indexing,
    keywords,
    linear_algebra,
    matrices,
    polynomials,
    products,
    pseudoinverses,
    reductions,
    shapes,
    singular_values,
    sparse_products,
    special,
)
from shared.rules.shapes import CONVERT
from shared.rules.special import VALUE_ONLY

X, Y = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.5, 1.5, 2.5, 3.5])
MATRIX = np.arange(1.0, 13.0).reshape(3, 4)

BY_HAND: list[Any] = [
    pytest.param(lambda x, y: x + y, (X, Y), 4, id="one addition an element"),
    pytest.param(lambda x, y: x * y - x / y, (X, Y), 12, id="three operations an element"),
    pytest.param(lambda x: 2.0 * x + 1.0, (X,), 8, id="constants count as operands"),
    pytest.param(lambda x: -x, (X,), 4, id="a sign"),
    pytest.param(np.sin, (X,), 4 * ELEMENTARY, id="an elementary function"),
    pytest.param(lambda x: np.exp(x) * np.log(x), (X,), 84, id="two of them and a product"),
    pytest.param(lambda x: x**3, (2.0,), ELEMENTARY, id="a power"),
    pytest.param(lambda x, y: x + y, (MATRIX, X), 12, id="broadcast: one an element of the result"),
    pytest.param(lambda x: x + 1.0, (3.0,), 1, id="a Python number"),
    pytest.param(lambda x: x[2], (X,), 1, id="reading an element"),
    pytest.param(lambda x: x[1:], (X,), 3, id="reading a slice"),
    pytest.param(lambda x: x[2] + x[3], (X,), 3, id="two reads and an addition"),
    pytest.param(lambda x: x[[0, 0, 1]], (X,), 3, id="reading by an index array"),
    pytest.param(lambda x: sum(x[k] for k in range(4)), (X,), 8, id="an indexing loop"),
    pytest.param(np.sum, (X,), 4, id="a sum reads its elements"),
    pytest.param(lambda x: np.sum(x, axis=0), (MATRIX,), 12, id="a sum along an axis too"),
    pytest.param(lambda x: np.sum(x * x), (X,), 8, id="a squared norm"),
    pytest.param(lambda a, x: a @ x, (MATRIX, X), 24, id="a matrix times a vector"),
    pytest.param(lambda a: a @ a.T, (MATRIX,), 72, id="a matrix times a matrix"),
    pytest.param(lambda x, y: x @ y, (X, Y), 8, id="an inner product"),
    pytest.param(lambda x: x.reshape(2, 2).T, (X,), 0, id="reshape and transpose are free"),
    pytest.param(lambda x: np.broadcast_to(x, (3, 4)), (X,), 0, id="broadcasting is free"),
    pytest.param(lambda x: np.zeros_like(x), (X,), 0, id="allocating is free"),
    pytest.param(lambda x: x.shape[0] * 2 + x.ndim, (X,), 0, id="shapes are free"),
    pytest.param(lambda x: 1.0, (X,), 0, id="nothing"),
    pytest.param(lambda x: sum(k * k for k in range(9)) + x, (1.0,), 1, id="plain Python numbers are free"),
    pytest.param(lambda p: p["a"] + p["b"][0], ({"a": X, "b": (Y,)},), 4, id="arguments in containers"),
    pytest.param(lambda x, k: x * k, (1.0, 3), 1, id="an integer argument"),
    pytest.param(lambda x: x if x > 1.0 else -x, (2.0,), 1, id="a comparison"),
]


# --- the declared counts, confirmed by numbers that count -------------------------------------------------------------

V = np.array([1.5, -0.5, 2.25, 0.75, -3.0])
M = np.array([[4.0, 1.0, 0.5], [-1.0, 3.0, 0.25], [0.5, 2.0, 5.0]])
SORTED = np.arange(7.0)
LARGE = np.diag(SORTED + 9.0) + np.outer(SORTED, SORTED) / 8


class Case:
    """A primitive with arguments, and a plain program for the same arguments as numbers that count."""

    def __init__(self, primitive: Any, reference: Callable[..., Any], *args: Any, **static: Any):
        self.primitive = primitive if isinstance(primitive, Primitive) else REGISTRY[primitive]
        self.reference, self.args, self.static = reference, args, static

    def independent(self) -> Count:
        tally = scalars.Tally()
        self.reference(*[tally.numbers(a) if np.asarray(a).dtype.kind == "f" else a for a in self.args])
        return Count(**tally)


def moving(select: Callable[..., Any] = lambda x: x) -> Callable[..., Any]:
    """A reference that moves the elements that it selects, which NumPy does with objects as with numbers."""

    def move(*args: Any) -> Any:
        selected = np.ravel(select(*args))
        return selected[0].tally.moved(selected)

    return move


def by_element(one: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *arrays: [one(*numbers) for numbers in np.broadcast(*arrays)]


def free(*args: Any) -> Any:
    return args


def cofactors(x: Any, determinant: Any) -> Any:
    determinant = np.ravel(determinant)[0]
    return [[y * determinant for y in column] for column in scalars.solve(x, np.eye(len(x)))]


def second_cofactors(x: Any, k: Any) -> Any:
    """As many products as there are pivots make the determinant."""
    y = np.array(cofactors(x, scalars.product([x[0, 0]] * len(x))))
    trace = scalars.total([a * b for a, b in zip(np.ravel(y), np.ravel(k), strict=True)])
    product = scalars.matrix_product(np.array(scalars.matrix_product(y, k)), y)
    return [trace * a - b for a, b in zip(np.ravel(y), np.ravel(product), strict=True)]


PAIR = (V[:, None], V[:3])
CASES = [
    *[
        Case(ufunc, ufunc, *PAIR[: ufunc.nin])  # NumPy's own loops over objects
        for ufunc in (
            np.add, np.subtract, np.multiply, np.divide, np.negative, np.absolute, np.square, np.reciprocal,
            np.conjugate, np.floor, np.ceil, np.trunc, np.rint, np.floor_divide, np.remainder, np.arctan2, np.hypot,
            np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
        )
    ],
    *[
        Case(ufunc, ufunc, np.abs(V) / 4)
        for ufunc in (
            np.sqrt, np.cbrt, np.exp, np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p, np.sin, np.cos, np.tan,
            np.arcsin, np.arccos, np.arctan, np.sinh, np.cosh, np.tanh, np.arcsinh, np.arctanh,
        )
    ],
    Case(np.arccosh, np.arccosh, np.abs(V) + 1),
    Case(np.power, np.power, np.abs(V), V),
    Case(np.float_power, by_element(lambda x, y: x**y), np.abs(V), V),
    Case(reductions.norm_sqrt, np.sqrt, np.abs(V)),
    *[
        Case(function, by_element(lambda x, y: x.elementary(y)), *PAIR)
        for function in (np.logaddexp, np.logaddexp2)
    ],
    *[
        Case(function, by_element(lambda x: x.elementary()), V)
        for function in (np.sinc, special.SIGMOID.function, special.SOFTPLUS.function)
    ],
    Case(special.SPHERICAL_BESSEL, by_element(lambda x: x.elementary()), V, order=1),
    Case(special.MODIFIED_BESSEL, by_element(lambda x: x.elementary()), V, order=1),
    Case(elementwise.EXPONENT, by_element(lambda x: x < 0), V),
    Case(special.SOFTSIGN, lambda x: x / (1.0 + np.absolute(x)), V),
    Case(special.RELU, by_element(lambda x: x.tally.moved(x if x > 0 else 0)), V),
    *[Case(function, by_element(scalars.greater), *PAIR) for function in (np.maximum, np.minimum)],
    *[Case(function, by_element(scalars.greater_passing_over_nan), *PAIR) for function in (np.fmax, np.fmin)],
    Case(np.fabs, np.absolute, V),
    Case(np.copysign, by_element(lambda x, y: abs(x)), *PAIR),
    Case(np.fmod, by_element(lambda x, y: x - (x / y).__trunc__() * y), *PAIR),
    Case(elementwise.SIGN, by_element(scalars.sign), -np.abs(V)),
    Case(np.heaviside, by_element(lambda x, y: 1.0 if x > 0 else 0.0 if x < 0 else y), -np.abs(V), 0.5 * V),
    *[Case(f, by_element(lambda x: x * 0.5), V) for f in (np.degrees, np.rad2deg, np.radians, np.deg2rad)],
    Case(np.ldexp, by_element(lambda x, k: x * 2.0**k), V, 3),
    *[
        Case(function, by_element(lambda x: x == math.inf), V)
        for function in (np.isfinite, np.isinf, np.isnan, np.isposinf, np.isneginf, np.iscomplex, np.isreal)
    ],
    Case(np.isnat, by_element(lambda x: x.test(True)), V),
    *[Case(f, by_element(lambda x: x < 0), V) for f in (np.signbit, np.spacing)],
    Case(np.nextafter, by_element(lambda x, y: x < y), *PAIR),
    Case(np.round, np.rint, V),
    Case(np.round, by_element(lambda x: (x * 100.0).rint() / 100.0), V, decimals=2),
    Case(np.isclose, by_element(scalars.close), V, V),
    Case(np.allclose, by_element(lambda x, y: x.test(scalars.close(x, y))), V, V),
    *[Case(f, by_element(lambda x, y: x.test(x == y)), V, V) for f in (np.array_equal, np.array_equiv)],
    # truth values are control, and numbers have to be compared with zero
    *[Case(f, free, V > 0, V < 1) for f in (np.logical_and, np.logical_or, np.logical_xor)],
    *[Case(f, by_element(lambda x, y: (x != 0)), V, V) for f in (np.logical_and, np.logical_or, np.logical_xor)],
    *[Case(f, free, V > 0, V < 1) for f in (np.bitwise_and, np.bitwise_or, np.bitwise_xor)],
    *[Case(f, free, V > 0) for f in (np.logical_not, np.invert)],
    Case(shapes.ASTYPE, free, V > 0, dtype=float),
    # moves
    Case(np.positive, moving(), V), Case(np.copy, moving(), V), Case(shapes.ASTYPE, moving(), V, dtype=np.float32),
    Case(elementwise.REAL, moving(), V), Case(np.imag, moving(), V),
    Case(np.where, lambda c, x, y: by_element(lambda c, x, y: x.tally.moved(x if c else y))(c, x, y), V > 0, V, V),
    Case(indexing.GETITEM, moving(lambda x, i, j: x[i, j]), M, slice(1, 3), 2),
    Case(indexing.GETITEM, moving(lambda x, i: x[i]), V, np.array([0, 0, 3])),
    Case(indexing.GETITEM, moving(lambda x, i: x[i]), V, V > 0),
    Case(np.diagonal, moving(np.diagonal), M), Case(np.roll, moving(), V, shift=2),
    Case(shapes.PAD, lambda x: x[0].tally.moved(np.pad(x, (1, 2))), V, widths=((1, 2),)),
    Case(shapes.CONCATENATE, moving(lambda x, y: np.concatenate([x, y])), V, SORTED),
    *[Case(f, free, V) for f in (special.STOP_GRADIENT.function, np.iscomplexobj, np.isrealobj, np.result_type)
      if f in REGISTRY],
    Case(special.STOP_GRADIENT, free, V),
    Case(extending.WINDOWS, free, M, lengths=(2,), axes=(1,)),
    Case(extending.FOLD, lambda x: [scalars.total(np.ravel(x))], np.ones((3, 2, 2)), lengths=(2,), axes=(1,)),
    Case(shapes.RESHAPE, free, M, shape=(9,)), Case(shapes.TRANSPOSE, free, M),
    Case(np.broadcast_to, free, V, shape=(2, 5)),
    *[Case(f, free, V, V) for f in (np.may_share_memory, np.shares_memory)],
    Case(np.can_cast, free, np.dtype(float), np.dtype(float)),
    # reductions, from their neutral elements
    Case(reductions.SUM, lambda x: np.add.reduce(x, axis=None, initial=0.0), M),
    Case(reductions.SUM, lambda x: np.add.reduce(x, axis=1, initial=0.0), M, axis=1),
    Case(np.mean, lambda x: [scalars.total(row) / 3 for row in x], M, axis=1),
    Case(np.cumsum, lambda x: scalars.total(x), V),
    Case(np.prod, lambda x: np.multiply.reduce(x, axis=None, initial=1.0), M),
    Case(reductions.CUMPROD, lambda x: scalars.product(x), V),
    *[Case(f, scalars.greatest, M) for f in (np.max, np.min, np.argmax, np.argmin)],
    *[Case(primitive, scalars.greatest, V) for primitive in keywords.RUNNING_EXTREMA],
    *[Case(f, by_element(lambda x: x != 0), V) for f in (np.any, np.all, np.nonzero, np.flatnonzero, np.argwhere)],
    Case(np.count_nonzero, by_element(lambda x: x + 1 if x != 0 else x), V),
    Case(special.LOGSUMEXP, lambda x: [scalars.log_of_sum(row) for row in x], M, axis=1, keepdims=False),
    Case(special.LOG_SOFTMAX, lambda x: [scalars.log_of_shares(row) for row in x], M, axis=1),
    Case(np.argsort, scalars.merge_sort, np.array(scalars.slowest_to_sort(range(11)), float)),
    Case(np.searchsorted, lambda x, v: [scalars.bisect(x, each) for each in v], SORTED, np.array([-1.0, 2.5, 9.0])),
    # products
    Case(np.matmul, scalars.matrix_product, M[:2], M), Case(np.matmul, scalars.inner, V, V),
    Case(sparse_products.SPARSE_PRODUCT, scalars.sparse_product, V[:4], V[:3],
         pattern=sparse_products.Pattern(np.array([0, 2, 1, 2]), np.array([0, 2, 4]), (2, 3)), transposed=False),
    Case(products.EINSUM, scalars.contract, M[:2], M[:, :2], V[:2], subscripts="ij,jk,k->i"),
    Case(products.CONVOLVE, lambda x, y: scalars.convolve(x, y, 0, 7), V, V[:3], mode="full"),
    Case(products.CONVOLVE, lambda x, y: scalars.convolve(x, y, 2, 5), V, V[:3], mode="valid"),
    *[
        Case(f, lambda x: scalars.transform([(re, re.tally.number(0.0)) for re in x]), np.arange(8.0))
        for f in (np.fft.fft, np.fft.ifft)
    ],
    # dense elimination
    Case(np.linalg.solve, scalars.solve, M, M[:, :2]), Case(np.linalg.solve, scalars.solve, M, V[:3]),
    Case(np.linalg.inv, lambda x: scalars.solve(x, np.eye(3)), M),
    Case(np.linalg.det, lambda x: scalars.product(scalars.pivots(x)), M),
    Case(linear_algebra.LOGABSDET, lambda x: scalars.total([abs(p).log() for p in scalars.pivots(x)]), M),
    Case(
        linear_algebra.SIGN_OF_DETERMINANT,
        lambda x: [(1.0 if p > 0 else -1.0) * p for p in scalars.pivots(x)],
        M,
    ),
    Case(factors.CHOLESKY, scalars.cholesky, M @ M.T),
    # of another size, by which powers of it are told apart
    Case(factors.CHOLESKY, scalars.cholesky, LARGE),
    Case(np.linalg.solve, scalars.solve, LARGE, SORTED),
    Case(np.linalg.inv, lambda x: scalars.solve(x, np.eye(7)), LARGE),
    Case(np.linalg.det, lambda x: scalars.product(scalars.pivots(x)), LARGE),
    Case(determinants.TRANSPOSED_INVERSE, lambda x: scalars.solve(x, np.eye(3)), M),
    Case(determinants.COFACTORS, cofactors, M, np.float64(42.0)),
    Case(determinants.SECOND_COFACTORS, second_cofactors, M, M + 1),
    Case(determinants.PHASE, lambda x: scalars.product([p / p.log() for p in scalars.pivots(x)]), M),
    Case(matrices.KNOWN, moving(lambda x, y: x), V, V > 0), Case(matrices.UNKNOWN, moving(), V),
    # what Python's operators stand for
    *[
        Case(primitive, primitive.raw, V, np.abs(V)) for primitive in
        (elementwise.ADD, elementwise.SUBTRACT, elementwise.MULTIPLY, elementwise.DIVIDE, elementwise.MODULO)
    ],
    Case(elementwise.POWER, lambda x, y: x**y, np.abs(V), V),
    Case(elementwise.NEGATIVE, lambda x: -x, V), Case(elementwise.ABSOLUTE, lambda x: abs(x), V),
    Case(elementwise.POSITIVE, moving(), V), Case(shapes.COPY_C, moving(), V),
    *[Case(primitive, primitive.function, V, V) for primitive in elementwise.CONSTANT_OPERATORS.values()],
    *[Case(primitive, free, V > 0, V < 1) for primitive in elementwise.LOGICAL_OPERATORS.values()],
    Case(elementwise.INVERT, free, V > 0),
    Case(CONVERT, moving(), V, dtype=np.dtype(int)),
    Case(VALUE_ONLY, free, V),
    Case(parts.PART, free, (V, V), item=0),
    Case(recorder.AS_KIND, free, np.float64(1.0), kind=float),
]  # fmt: skip

#: Where there is no algorithm to run: iterations, and half of a transform.  (the formula by its source, arguments,
#: keywords)
PUBLISHED: dict[Any, tuple[int, tuple[Any, ...], dict[str, Any]]] = {
    # Golub & Van Loan 2013, figure 8.6.1: 14 m n^2 + 8 n^3 with vectors, 4 m n^2 - 4 n^3 / 3 without
    singular_values.LEFT_VECTORS: (14 * 3 * 4 + 8 * 8, (M[:, :2],), {}),
    singular_values.SINGULAR_VALUES: (14 * 3 * 4 + 8 * 8, (M[:, :2],), {}),
    singular_values.RIGHT_VECTORS: (14 * 3 * 4 + 8 * 8, (M[:, :2],), {}),
    REGISTRY[np.linalg.matrix_rank]: (4 * 27 - 36, (M,), {}),
    # and a product of m n k sums and products, of two factors or with one vector
    singular_values.SINGULAR_TOGETHER: (14 * 3 * 4 + 8 * 8 + 2 * 3 * 2 * 2, (M[:, :2], V[:2]), {}),
    pseudoinverses.PINV: (14 * 3 * 4 + 8 * 8 + 2 * 3 * 2 * 2, (M[:, :2],), {"cutoff": 1e-15}),
    pseudoinverses.LEAST_SQUARES: (14 * 3 * 4 + 8 * 8 + 2 * 3 * 2, (M[:, :2], V[:3]), {"cutoff": 1e-15}),
    # The same, section 8.3: 4 n^3 / 3 for the eigenvalues of a symmetric matrix, 9 n^3 with vectors; a product 2 n^3
    eigenvalues.EIGENVALUES_OF_HERMITIAN: (4 * 27 // 3, (M,), {"uplo": "L"}),
    eigenvalues.EIGENVECTORS_OF_HERMITIAN: (9 * 27, (M,), {"uplo": "L"}),
    eigenvalues.EIGENVECTORS_TOGETHER: (9 * 27 + 2 * 27, (M, V[:3]), {"uplo": "L"}),
    # The same, section 7.5: 10 n^3 for eigenvalues, 25 n^3 with vectors
    eigenvalues.IS_REAL: (0, (M,), {}),
    eigenvalues.EIGENVALUES: (10 * 27, (M,), {"with_vectors": False}),
    polynomials.CHARACTERISTIC: (10 * 27, (M,), {}),
    polynomials.ROOTS: (10 * 27, (np.array([1.0, -6.0, 11.0, -6.5]),), {}),
    eigenvalues.ORDER: (35 * 27, (M,), {}),
    eigenvalues.EIGENVECTORS: (25 * 27, (M,), {}),
    # The same, section 5.2: 2 n^2 (m - n / 3) for r, and as many for q
    factors.ORTHOGONAL_FACTOR: (4 * 27 - 36, (M,), {}),
    factors.TRIANGULAR_FACTOR: (4 * 27 - 36, (M,), {}),
    # Golub & Van Loan 2013, section 5.2.2: 2 n^2 (m - n / 3)
    polynomials.ORTHOGONALISER: (2 * 9 * (6 - 1), (np.ones((6, 3)) + np.eye(6, 3),), {}),
    # Floyd & Rivest 1975: n + min(k, n - k) comparisons
    REGISTRY[np.argpartition]: (7 + 2, (SORTED, 2), {}),
    # Van Loan 1992, section 4.3: 2.5 n log2 n for n real numbers
    REGISTRY[np.fft.rfft]: (60, (np.arange(8.0),), {}),
    REGISTRY[np.fft.irfft]: (60, (np.arange(5.0),), {}),
}  # fmt: skip


def every_primitive() -> list[Primitive]:
    """Those of the registry, and all that the modules of this library hold beside it; but not those of SciPy.

    Its functions count as one elementary function each, or as the sums that their rules are: there is nothing else to
    count them by.
    """
    found: dict[int, Primitive] = {id(e): e for e in REGISTRY.values() if isinstance(e, Primitive)}
    for name, module in list(sys.modules.items()):
        if name.split(".")[0] in ("shared", "dualad", "reversead"):
            for value in vars(module).values():
                parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else [value]
                found.update({id(part): part for part in list(parts) if isinstance(part, Primitive)})
    ours = ("numpy", "scipy", "shared", "dualad", "reversead", "operator", "_operator", "")
    return [
        p
        for p in found.values()
        if (getattr(p.function, "__module__", "") or "").split(".")[0] in ours and not _is_of_scipy(p.function)
    ]


def _is_of_scipy(function: Any) -> bool:
    if isinstance(function, np.ufunc):
        return getattr(np, function.__name__, None) is not function
    return (getattr(function, "__module__", None) or "").startswith("shared.scipy.")
