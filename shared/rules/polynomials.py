"""Polynomials, by their coefficients, highest power first: values, arithmetic, roots, fits.

All but two are rewritten in terms of other functions.  A polynomial is fitted by its normal equations, of powers that a
triangular factor has made nearly orthonormal (Golub & Van Loan 2013, section 5.3).  The roots, and the characteristic
polynomial of a matrix, are found by iterations, so they have rules.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.edges import Like, fit
from shared.core.errors import NoRuleError, user_line
from shared.core.facets import Count, each_matrix, of_array
from shared.core.registry import composite, internal_constant, rule
from shared.rules.eigenvalues import kept_real
from shared.rules.indexing import assembled
from shared.rules.matrices import UNKNOWN, along_columns, along_rows, iterations, transposed
from shared.rules.reductions import strong, unwrapped


@composite(np.polyval)
def _polyval(p: Any, x: Any) -> Any:
    p, x = strong(p), strong(x)
    value = np.zeros_like(x)
    for k in range(p.shape[0]):
        value = value * x + p[k]
    # Without coefficients it is the array of zeros, also of a number.
    return unwrapped(value) if p.shape[0] else value


@composite(np.vander)
def _vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    x = strong(x)
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    count = x.shape[0] if N is None else operator.index(N)
    kind = np.promote_types(x.dtype, int)  # as NumPy has it, single precision is left
    x = x if x.dtype == kind else x.astype(kind)
    powers = [np.ones_like(x)]
    for _ in range(count - 1):
        powers.append(powers[-1] * x)
    return np.stack(powers if increasing else powers[::-1], axis=1)[:, :count]


def _as_polynomials(a1: Any, a2: Any) -> tuple[Any, Any]:
    """Coefficients of one length, with zeros in front."""
    a1, a2 = np.atleast_1d(a1), np.atleast_1d(a2)
    length = max(len(a1), len(a2))
    a1, a2 = (a if len(a) == length else np.pad(a, (length - len(a), 0)) for a in (a1, a2))
    return a1, a2


@composite(np.polyadd)
def _polyadd(a1: Any, a2: Any) -> Any:
    a1, a2 = _as_polynomials(a1, a2)
    return a1 + a2


@composite(np.polysub)
def _polysub(a1: Any, a2: Any) -> Any:
    a1, a2 = _as_polynomials(a1, a2)
    return a1 - a2


@composite(np.polymul)
def _polymul(a1: Any, a2: Any) -> Any:
    # Leading zeros are no part of a polynomial, but one that varies may be.
    a1, a2 = (np.trim_zeros(np.atleast_1d(a), "f") for a in (a1, a2))
    a1, a2 = (a if len(a) else np.zeros(1, a.dtype) for a in (a1, a2))
    return np.convolve(a1, a2)


@composite(np.polydiv)
def _polydiv(u: Any, v: Any) -> Any:
    u, v = np.atleast_1d(u) + 0.0, np.atleast_1d(v) + 0.0
    kind = np.result_type(u, v)
    m, n = len(u) - 1, len(v) - 1
    scale, quotient, rest = 1.0 / v[0], [], u if u.dtype == kind else u.astype(kind)
    for k in range(m - n + 1):
        leading = scale * rest[k]
        quotient.append(leading)
        rest = np.concatenate([rest[:k], rest[k : k + n + 1] - leading * v, rest[k + n + 1 :]])
    while len(rest) > 1 and np.abs(rest[0]) <= 1e-8:  # which NumPy's allclose takes for zero
        rest = rest[1:]
    return np.stack(quotient) if quotient else np.zeros(1, kind), rest


@composite(np.polyder)
def _polyder(p: Any, m: int = 1) -> Any:
    if operator.index(m) < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    for _ in range(m):
        p = p[:-1] * np.arange(len(p) - 1, 0, -1)
    return p


@composite(np.polyint)
def _polyint(p: Any, m: int = 1, k: Any = None) -> Any:
    p = strong(p)
    if operator.index(m) < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    constants = np.zeros(m) if k is None else np.atleast_1d(assembled(k))
    if len(constants) == 1 and m > 1:
        constants = constants[0] * np.ones(m)
    if len(constants) < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for j in range(m):
        p = np.concatenate([p / np.arange(len(p), 0, -1), constants[j : j + 1]])
    return p


# --- roots ------------------------------------------------------------------------------------------------------------


def _characteristic(x: Any) -> Any:
    if x.ndim == 2:
        return np.poly(x)
    found = np.stack([*map(np.poly, x.reshape(-1, *x.shape[-2:]))])
    return found.reshape(x.shape[:-2] + found.shape[-1:])


# The coefficients are smooth where eigenvalues are equal, too: d det(s - x) = -tr(adj(s - x) dx), and the coefficients
# of the adjugate follow from those of the determinant (Gantmacher 1959, volume 1, section IV.4).


def _adjugates(out: Any, x: Any) -> list[Any]:
    identity = np.eye(x.shape[-1], dtype=x.dtype)
    found = [np.broadcast_to(identity, x.shape)]
    for k in range(1, x.shape[-1]):
        found.append(x @ found[-1] + out[..., k, None, None] * identity)
    return found


def _characteristic_vjp(c: Any, out: Any, x: Any) -> Any:
    pulled = [c[..., k, None, None] * transposed(adjugate) for k, adjugate in enumerate(_adjugates(out, x), 1)]
    return fit(-sum(pulled[1:], pulled[0]), Like(x))


def _characteristic_jvp(t: Any, out: Any, x: Any) -> Any:
    pushed = [-np.sum(transposed(adjugate) * t, axis=(-2, -1)) for adjugate in _adjugates(out, x)]
    together = np.stack([0 * pushed[0], *pushed], axis=-1)
    return together if np.iscomplexobj(out) else np.real(together)


CHARACTERISTIC = rule(
    _characteristic, vjps=(_characteristic_vjp,), jvps=(_characteristic_jvp,), memory="fresh", count=iterations(10),
    batch=each_matrix(2), dependence="matrix",
    because="the eigenvalues between have no derivative where they are equal",
)  # fmt: skip


@composite(np.poly)
def _poly(seq_of_zeros: Any) -> Any:
    roots = np.atleast_1d(assembled(seq_of_zeros))
    if np.ndim(roots) == 2 and roots.shape[0] == roots.shape[1] and roots.shape[0]:
        return CHARACTERISTIC(roots if roots.dtype.kind in "fc" else roots.astype(np.float64))
    if np.ndim(roots) != 1:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    if not roots.shape[0]:
        return 1.0
    p = np.ones(1, roots.dtype)
    for k in range(roots.shape[0]):
        p = np.pad(p, (0, 1)) - roots[k] * np.pad(p, (1, 0))
    if roots.dtype.kind == "c" and np.all(np.sort(roots) == np.sort(np.conjugate(roots))):
        p = np.copy(p.real)
    return p


def _roots_of(x: Any) -> Any:
    found = np.roots(x) if x.ndim == 1 else np.stack([*map(np.roots, x.reshape(-1, x.shape[-1]))])
    found = found.reshape(x.shape[:-1] + found.shape[-1:])
    return found.astype(np.result_type(found, x)) if np.iscomplexobj(x) else found


# A root r of p moves by -dp(r) / p'(r) (Wilkinson 1963, section 2.3).  The powers are as many as the coefficients, so
# those count that are zero in front and at the end, and that NumPy strips.


def _powers(r: Any, x: Any) -> Any:
    found = [np.ones_like(r)]
    for _ in range(x.shape[-1] - 1):
        found.append(found[-1] * r)
    return np.stack(found[::-1], axis=-1)


def _slopes(powers: Any, x: Any) -> tuple[Any, Any]:
    """What the polynomial rises by at each root; and where that is not known, as at a root of higher order.

    Rounding moves a root by some eps |p|(|r|) / p'(r).  Not known is a slope that this changes by a percent or more.
    """
    degrees = np.arange(x.shape[-1] - 1, 0, -1)
    first = x[..., :-1] * degrees.astype(x.real.dtype)
    second = first[..., :-1] * (degrees[:-1] - 1).astype(x.real.dtype)
    slope = np.sum(powers[..., 1:] * along_columns(first), axis=-1)
    bend = np.abs(np.sum(powers[..., 2:] * along_columns(second), axis=-1))
    size = np.sum(np.abs(powers) * np.abs(along_columns(x)), axis=-1)
    return slope, np.abs(slope) ** 2 <= 100 * np.finfo(x.dtype).eps * size * bend


def _roots_vjp(c: Any, out: Any, x: Any) -> Any:
    powers = _powers(out, x)
    slope, unknown = _slopes(powers, x)
    shares = np.where(unknown, 0, c) / np.where(unknown, 1, slope)
    lost = np.sum(np.where(unknown, UNKNOWN(c), 0), axis=-1, keepdims=True)
    return fit(lost - np.sum(along_rows(shares) * powers, axis=-2), Like(x))


def _roots_jvp(t: Any, out: Any, x: Any) -> Any:
    powers = _powers(out, x)
    slope, unknown = _slopes(powers, x)
    moved = -np.sum(powers * along_columns(t), axis=-1) / np.where(unknown, 1, slope)
    return np.where(unknown, np.sum(UNKNOWN(t), axis=-1, keepdims=True), moved)


ROOTS = rule(
    _roots_of, vjps=(_roots_vjp,), jvps=(_roots_jvp,), memory="fresh",
    batch=of_array(lambda primitive, x: primitive(x)),
    count=lambda out, operands, static: iterations(10)(out, [np.broadcast_to(0.0, out.shape * 2)], {}),
    because="given implicitly, as zeros of a function",
)  # fmt: skip


@composite(np.roots)
def _roots(p: Any) -> Any:
    p = np.atleast_1d(assembled(p))
    if np.ndim(p) != 1:
        raise ValueError("Input must be a rank-1 array.")
    p = p if p.dtype.kind in "fc" else p.astype(np.float64)
    leading = 0
    while leading < p.shape[0] - 1 and p[leading] == 0:
        # Read here, since the number of roots depends on it: a record keeps to that number.
        leading += 1
    return kept_real(ROOTS(p))


# --- fits -------------------------------------------------------------------------------------------------------------


def _orthogonaliser(x: Any) -> Any:
    return np.linalg.inv(np.linalg.qr(x, mode="r"))


def _householder(out: Any, operands: Sequence[Any], static: dict[str, Any]) -> Count:
    # Golub & Van Loan 2013, section 5.2.2, without the inverse of the triangle
    m, n = operands[0].shape[-2:]
    return Count(add=n * n * (m - n // 3), multiply=n * n * (m - n // 3))


#: a matrix that makes the columns of another one nearly orthonormal, taken for constant
ORTHOGONALISER = internal_constant(
    _orthogonaliser,
    count=_householder,
    memory="fresh",
    batch=of_array(lambda primitive, x: primitive(x)),
)


def _weighted(values: Any, weights: Any) -> Any:
    """The product in the precision of the values, since NumPy writes it over them; refused where NumPy cannot."""
    product = values * weights
    if product.dtype == values.dtype:
        return product
    if not np.can_cast(product.dtype, values.dtype, "same_kind"):
        raise TypeError(
            f"np.polyfit: {product.dtype} weights of {values.dtype} points{user_line()}; give real weights, or convert "
            "the points with .astype(complex)"
        )
    return product.astype(values.dtype)


@composite(np.polyfit)
def _polyfit(
    x: Any, y: Any, deg: int, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False
) -> Any:  # fmt: skip
    x, y = strong(x) + 0.0, strong(y) + 0.0
    order = operator.index(deg) + 1
    if order < 1:
        raise ValueError("expected deg >= 0")
    if x.ndim != 1 or not x.size:
        raise TypeError("expected non-empty 1D vector for x")
    if y.ndim not in (1, 2) or x.shape[0] != y.shape[0]:
        raise TypeError("expected 1D or 2D array for y, as long as x")
    if full:
        raise NoRuleError(f"np.polyfit: full=True has no derivative rule{user_line()}; leave it out")
    if x.shape[0] < order:
        raise NoRuleError(f"np.polyfit: {order} coefficients of {x.shape[0]} points{user_line()}: lower the degree")
    powers, values = np.vander(x, order), y
    if w is not None:
        w = strong(w) + 0.0
        powers = _weighted(powers, w[:, None])
        values = _weighted(values, w[:, None] if y.ndim == 2 else w)
    scale = np.sqrt(np.sum(powers * powers, axis=0))
    powers = powers / scale
    # Whatever that matrix, the solution is the same; with nearly orthonormal columns its equations are as well
    # conditioned as can be.
    straight = ORTHOGONALISER(powers)
    columns = powers @ straight
    turned = np.swapaxes(columns, 0, 1)
    found = straight @ np.linalg.solve(turned @ columns, turned @ values)
    fitted = found / (scale[:, None] if y.ndim == 2 else scale)
    if not cov:
        return fitted
    base = np.linalg.inv(np.swapaxes(powers, 0, 1) @ powers) / np.outer(scale, scale)
    if isinstance(cov, str) and cov == "unscaled":
        return fitted, base if y.ndim == 1 else base[:, :, None]
    if len(x) <= order:
        raise ValueError("the number of data points must exceed order to scale the covariance matrix")
    left = values - powers @ found
    factor = np.sum(left * left, axis=0) / (len(x) - order)
    return fitted, base * factor if y.ndim == 1 else base[:, :, None] * factor
