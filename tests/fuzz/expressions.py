"""The pieces of which expressions are drawn: a table a family, and how the gaps in a piece are filled.

A gap such as {x} stands for something that is drawn: a varying value (x: of any shape, a: an array, v: of one axis, m:
of two, q: a square one, s: a number; r, ra, rq: real ones), what goes with it (y: broadcasts with it; b: of its shape;
w: a vector of the length of v; c: a constant), an axis of the first one, an index into it, a number.  A piece need not
fit: what raises, or gives no reasonable numbers, is not taken.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np

from fuzz.programs import is_inexact

# --- what is drawn from: pieces are two spaces apart, or on lines of their own ----------------------------------------

FAMILIES: dict[str, list[str]] = {
    name: re.split(r"  +|\n", table.strip())
    for name, table in {
        "elementwise": """
np.sin({x})  np.cos({x})  np.tanh({x})  np.arctan({x})  np.exp({x})  np.expm1({x})  np.square({x})  np.sinh({x})
np.arcsinh({x})  np.cosh({r})  np.sqrt({x})  np.cbrt({r})  np.log({x})  np.log1p({x})  np.log2({r})  np.reciprocal({x})
np.exp2({r})  np.negative({x})  np.positive({x})  np.abs({x})  np.fabs({r})  abs({x})  np.sign({r}) * {x}  -{x}  +{x}
np.deg2rad({r})  np.degrees({r}) * 0.01  np.sinc({r})  np.arcsin({x} * 0.3)  np.arccos({x} * 0.3)  np.tan({x} * 0.5)
np.arctanh({x} * 0.3)  np.log10(np.abs({x}) + {p})  np.sqrt(np.abs({x}) + {p})  np.log({x} * {x} + {p})
1 / (1 + np.exp(-{x}))  shared.sigmoid({r})  shared.relu({r})  shared.softplus({r})  shared.softsign({r})
shared.log_softmax({ra}, axis={axis})  shared.softmax({ra}, axis={axis})  np.nan_to_num({r})  np.conj({x})
np.real({x})  np.imag({x}) + {x}  {x}.real  {x}.conj()  np.floor({r}) + {x}  np.round({r}) * {x}  np.trunc({r}) - {x}
np.cos({x}) * np.exp(-{x} * {x})  np.arccosh({r} * {r} + 1.5)  np.clip({r}, -0.5, 0.8)  np.clip({r}, {c}, 2.0)
np.clip({r}, None, 0.4)  np.clip({r}, {y}, {y2})  {ra}.clip(-0.7, 0.9)
""",
        "binary": """
{x} + {y}  {x} - {y}  {x} * {y}  {x} / {y}  {y} - {x}  {y} * {x}  {y} / (1.5 + {x} * {x})  {x} / (2.0 + np.sin({b}))
np.add({x}, {y})  np.multiply({y}, {x})  np.subtract({y}, {x})  np.divide({x}, {y})  np.maximum({r}, {y})
np.minimum({y}, {r})  np.fmax({r}, {y})  np.fmin({r}, {y})  np.arctan2({r}, {y})  np.hypot({r}, {y})
np.logaddexp({r}, {y})  np.logaddexp2({r}, {y})  np.power(np.abs({x}) + {p}, {y})  ({r} * {r} + 0.3) ** {y}
{p} ** {x}  {x} ** 2  {x} ** 3  {x} ** {k}  {x} ** -1  {x} ** 0.5  {x} ** 2.0  np.power({x}, 2)  np.remainder({r}, 1.3)
np.fmod({r}, 1.7)  {r} % {p}  np.copysign({r}, {y})  np.heaviside({r}, 0.5) * {x}  np.ldexp({r}, 1)  {x} * {c}
np.float_power(np.abs({x}) + {p}, {y})  {x} * {x}  {x} - {x} * 0.5  {n} * {x} + {n2}  {n} - {x}  {c} + {x}
np.where({mask}, {x}, {y})  np.where({mask}, {y}, {x})  np.where({x} > {n}, {x}, {n2})  np.maximum({r}, 0.0)
{x} * ({mask})  np.select([{mask}], [{x}], {n})  np.floor_divide({r}, {p}) + {x}  np.divmod({r}, {p})[1]
np.modf({r})[0]  {r} // {p} - {x}  {x} + {b} * 1j
""",
        "reductions": """
np.sum({a}, axis={axes}, keepdims={keep})  np.mean({a}, axis={axes}, keepdims={keep})  np.sum({x})  np.mean({a})
np.prod({a}, axis={axes})  np.max({ra}, axis={axes}, keepdims={keep})  np.min({ra}, axis={axes})  np.amax({ra})
np.var({a}, axis={axes})  np.std({ra}, axis={axes}, ddof=0)  np.var({ra}, axis={axis}, ddof=1)
np.ptp({ra}, axis={axis})  np.median({ra}, axis={axes})  np.quantile({ra}, 0.3, axis={axis})
np.percentile({ra}, [20, 65])  np.linalg.norm({a})
np.linalg.norm({ra}, axis={axis})  np.linalg.norm({v}, 1)  np.linalg.norm({v}, np.inf)  np.linalg.norm({m}, 'fro')
shared.logsumexp({ra}, axis={axes}, keepdims={keep})  np.average({a}, axis={axis})  {a}.sum(axis={axis})  {a}.mean()
np.average({v}, weights={b} * {b} + 1.0)  np.nansum({ra}, axis={axes})  np.nanmax({ra}, axis={axis})  np.nanmean({ra})
{a}.prod()  {ra}.max()  {ra}.min(axis={axis})  {ra}.std()  {a}.var(axis={axis})  np.add.reduce({a}, axis={axis})
np.trapezoid({a})  np.cumsum({a}, axis={axis})  np.cumprod({a}, axis={axis})  np.cumsum({a})  {a}.cumsum()
np.diff({a}, axis={axis})  np.diff({v}, n=2)  np.maximum.accumulate({ra}, axis={axis})  np.trace({m})  np.ediff1d({v})
np.gradient({v})  np.sort({ra}, axis={axis})  np.sort({ra}, axis=None)  np.prod({a} * 0.8 + 0.3)  np.sum({a} * {b})
np.trapezoid({v}, dx=0.5)  np.minimum.accumulate({v})  np.polyval({v}, {n})  np.vander({v}, 3)  np.sum({a}, axis=())
np.interp({r}, [-2.0, -0.5, 0.4, 2.0], [0.3, 1.0, -0.5, 0.8])  sum([e * e for e in {v}])
""",
        "shapes": """
np.reshape({a}, {shape})  {a}.reshape({shape})  np.reshape({a}, -1)  np.ravel({a})  {a}.ravel()  {a}.T
np.transpose({a})  np.transpose({a}, {perm})  {a}.transpose({perm})  np.swapaxes({a}, 0, -1)  np.moveaxis({a}, 0, -1)
np.squeeze({a})
np.expand_dims({x}, 0)  np.broadcast_to({x}, {wide})  np.atleast_1d({x})  np.atleast_2d({x})  np.flip({a}, axis={axis})
np.flip({a})  np.roll({a}, {k}, axis={axis})  np.roll({a}, 1)  np.rot90({m})  np.tile({a}, 2)  np.diag({v})
np.repeat({a}, 2, axis={axis})  np.repeat({v}, 2)  np.tril({m})  np.triu({m}, 1)  np.diag({m})  np.diagonal({m})
np.pad({v}, 1)  np.pad({a}, (1, 0))  np.concatenate([{a}, {b}])  np.concatenate([{v}, {v2}])  np.append({v}, {s})
np.concatenate([{a}, {b}], axis={axis})  np.stack([{x}, {b}])  np.stack([{a}, {b}], axis=-1)  np.hstack([{a}, {b}])
np.vstack([{a}, {b}])  np.column_stack([{v}, {w}])  np.split({v}, [1])[1]  np.array_split({a}, 2)[0]
np.split({v}, [1, 2])[0]  np.concatenate([{v}, {v2}[:1]])  np.stack([{s}, {s2}, {n}])  np.array_split({v}, 3)[1]
{a}.copy()  np.copy({a})  {x} * 1.0  {a}.astype(np.float32)  {a}.astype(np.float64)  {a}.flatten()  {x}[..., None]
np.zeros_like({a}) + {x}  np.ones_like({a}) * {x}  np.full_like({a}, 0.5) * {x}  np.meshgrid({v}, {w})[0]  {x}[None]
np.linspace({s}, {s2}, 3)  np.fliplr({m})  np.atleast_3d({v})  np.block([{v}, {v2}])  np.dstack([{v}, {w}])
np.diagflat({v})  np.stack(list({a}))  np.unstack({a})[0]  np.stack([row * {n} for row in {a}])
""",
        "indexing": """
{a}[{index}]  {a}[{index}]  {a}[{index}]  {a}[{advanced}]  {a}[{advanced}]  {a}[{advanced}]  {a}[{mask_of}]
np.take({a}, [0, -1], axis={axis})  np.take({a}, {k})  {v}[np.argmax({v})]  {v}[np.argsort({v})]  {a}[{whole}]
np.take_along_axis({ra}, np.argsort({ra}, axis={axis}), {axis})  np.compress([True, False], {a}, axis={axis})
np.extract({mask_of}, {a})  {a}[{index}][...]  {v}[{ints}]  {v}[{v} > {n}]  {a}[np.abs({a}) < {p}]  {a}[..., 0]
{v}[np.nonzero({v} > {n})]  {v}[::-1]  {a}[:0]  {a}[np.array([], int)]  {v}[{v} > 9.0]  {a}[{a} < -99.0]
np.take({v}, {ints})  {a}[{k}]  {v}[:{k}]  {v}[{k}:]
""",
        "products": """
{m} @ {v}  {v} @ {w}  {m} @ {m2}  {m} @ {m2}.T  np.matmul({m}, {m}.T)  {m}.T @ {m}  np.dot({v}, {w})  np.dot({m}, {v})
np.dot({x}, {y})  np.inner({v}, {w})  np.outer({v}, {v2})  np.outer({x}, {y})  np.vdot({v}, {w})  np.kron({v}, {v2})
np.tensordot({m}, {m2}, axes=1)  np.tensordot({a}, {b}, axes={rank})  np.einsum('i,i->', {v}, {w})
np.einsum('i,j->ij', {v}, {v2})  np.einsum('ij->ji', {m})  np.einsum('ij,ij->i', {m}, {m})
np.einsum('ij,j->i', {m}, {v})  np.einsum('ii->i', {q})  np.einsum('ij,kj->ik', {m}, {m2})  np.einsum('...i->...', {a})
np.einsum('i,ij,j', {v}, {q}, {v})  np.einsum('i,i,i->i', {v}, {w}, {v})  np.convolve({v}, {v2})
np.correlate({v}, {v2})
np.convolve({v}, {w}, mode='same')
np.cross({v}, {w})  {c} @ {m}  {m} @ {c}  np.linalg.det({q})  np.linalg.inv({q} * 0.3 + 2.0 * np.eye({len}))
np.linalg.solve({q} * 0.3 + 2.0 * np.eye({len}), {q})  np.linalg.solve({q} + 4.0 * np.eye({len}), {v})
np.linalg.cholesky({rq} @ {rq}.T + np.eye({len}))  np.linalg.slogdet({rq} + 3.0 * np.eye({len}))[1]  np.matmul({v}, {m})
np.linalg.matrix_power({q}, 2)  np.real(np.fft.fft({v}))  np.abs(np.fft.rfft({v}) + 0.5)  np.fft.irfft(np.fft.rfft({v}))
np.vecdot({v}, {w})  np.linalg.multi_dot([{m}, {m2}.T, {m}])  np.fft.fftshift({v})  np.fft.ifft({v}).imag
""",
    }.items()
}

#: Relative weights of the families
WEIGHTS = {"elementwise": 4, "binary": 6, "reductions": 4, "shapes": 4, "indexing": 4, "products": 3}

BASIC = [
    "0", "-1", "1:", ":-1", "::-1", "::2", "...", "None", "0, ...", "..., 1", "1:2", ":, 0", ":, 1:", "0, 1", "-2:",
    "...,", "None, ..., None", "1:, ::-1", "2:2", ":, None", "()",
]  # fmt: skip
ADVANCED = [
    "[0, 1]", "[1, 0]", "[0, 0]", "[[1], [0]]", ":, [0, 0]", "np.array([1, -1])", "[0, 1], [1, 0]", "[-1, 0], 1:", "[]",
    "np.array([[0, 1], [1, 1]])", "None, [0, 1]", "..., [1, 0]", "1, [0, 0]", "np.ix_([0, 1], [1])", "[0], :, [0]",
    "np.array([True, False])", "[True, False, True]", "np.array([False, False, False])", "np.array([], int)",
    ":, np.array([True, False])", "True", "np.array(1)",
]  # fmt: skip


# --- filling the gaps -------------------------------------------------------------------------------------------------


class Source(Protocol):
    """What operands are drawn from: names, and what they stand for at the point of the program."""

    def choose(self, options: Any) -> Any:
        """One of some options, none of which is favoured."""

    def varying(self, suits: Callable[[Any], bool]) -> str:
        """An expression for a value that varies; raises Unsuitable where there is none."""

    def constant(self, suits: Callable[[Any], bool]) -> str:
        """The same of a constant."""

    def indices(self, kind: str) -> Iterable[str]:
        """The names of the masks ("m"), or of the integer arrays ("i")."""

    def count(self) -> str:
        """A small integer, or an argument that is one."""

    def value(self, text: str) -> Any:
        """What an expression stands for."""


class Unsuitable(Exception):
    """Nothing fits into a gap."""


GAP = re.compile(r"\{(\w+?)(\d?)\}")


def drawn_expression(source: Source, families: dict[str, int] = WEIGHTS) -> str:
    """A random expression in what the source has."""
    names = list(families)
    family = source.choose([name for name in names for _ in range(families[name])])
    return filled(source.choose(FAMILIES[family]), source)


def filled(piece: str, source: Source) -> str:
    """A piece with its gaps filled: the same gap by the same text, a numbered one by another."""
    chosen: dict[str, str] = {}
    subject = ""
    # What is a value by itself comes first, and then what goes with the first of these.
    for match in sorted(GAP.finditer(piece), key=lambda match: match.group(1) not in _SUITS):
        kind, gap = match.group(1), match.group(0)
        if gap not in chosen:
            chosen[gap] = _fill(kind, source, subject)
            subject = subject or chosen[gap] * (kind in _SUITS)
    return GAP.sub(lambda match: chosen[match.group(0)], piece)


_SUITS: dict[str, Callable[[Any], bool]] = {
    "x": lambda value: True,
    "a": lambda value: np.ndim(value) > 0,
    "v": lambda value: np.ndim(value) == 1,
    "m": lambda value: np.ndim(value) == 2,
    "q": lambda value: np.ndim(value) == 2 and len(value) == len(value.T) > 0,
    "s": lambda value: np.ndim(value) == 0,
    "rq": lambda value: np.ndim(value) == 2 and len(value) == len(value.T) > 0 and not np.iscomplexobj(value),
    "r": lambda value: not np.iscomplexobj(value),
    "ra": lambda value: np.ndim(value) > 0 and not np.iscomplexobj(value),
}


def _fill(kind: str, source: Source, subject: str) -> str:
    """The text for a gap, where `subject` is what filled the first one."""
    if kind in _SUITS:
        return source.varying(_SUITS[kind])
    if kind == "n":
        return source.choose(["0.7", "-0.4", "1.3", "0.25", "2.0", "-1.0", "0.0"])
    if kind == "p":
        return source.choose(["0.3", "0.8", "1.5", "2.0"])
    if kind == "k":
        return source.count()
    if kind == "keep":
        return source.choose(["True", "False"])
    if kind == "c":
        return source.constant(lambda value: is_inexact(value) and np.ndim(value) > 0)
    value = source.value(subject) if subject else None
    shape = np.shape(value)
    if kind == "y":
        return source.choose(
            [
                lambda: source.varying(lambda other: _broadcast(shape, np.shape(other))),
                lambda: source.varying(lambda other: _broadcast(shape, np.shape(other))),
                lambda: source.constant(lambda other: is_inexact(other) and _broadcast(shape, np.shape(other))),
                lambda: source.constant(lambda other: is_inexact(other) and _broadcast(shape, np.shape(other))),
                lambda: source.choose(["0.6", "-1.2", "1.5", "2.0", "3", "-1"]),
            ]
        )()
    if kind == "b":
        return source.varying(lambda other: np.shape(other) == shape)
    if kind == "w":
        pick = source.choose([source.varying, source.varying, source.constant])
        return pick(lambda other: is_inexact(other) and np.shape(other) == shape[-1:])
    if kind == "mask":
        named = [name for name in source.indices("m") if _broadcast(shape, np.shape(source.value(name)))]
        return source.choose([*named, f"{subject} > {_fill('n', source, '')}" if subject else "True"])
    if kind == "ints":
        return source.choose([*source.indices("i"), "np.array([1, 0, 1])", "np.array([[0], [-1]])"])
    if not shape:
        raise Unsuitable(kind)
    return _of_an_array(kind, source, subject, shape)


def _of_an_array(kind: str, source: Source, subject: str, shape: tuple[int, ...]) -> str:
    """The text for a gap that goes with an array."""
    axes = [*range(len(shape)), -1]
    if kind == "axis":
        return str(source.choose(axes))
    if kind == "axes":
        return str(source.choose(["None", *axes, tuple(range(len(shape))), (source.choose(axes),)]))
    if kind == "rank":
        return str(len(shape))
    if kind == "len":
        return f"len({subject})"
    if kind == "index":
        return source.choose(BASIC)
    if kind == "advanced":
        return source.choose(ADVANCED)
    if kind in ("mask_of", "whole"):
        named = [name for name in source.indices("m") if np.shape(source.value(name)) in (shape, shape[:1])]
        plain = [f"{subject} > {_fill('n', source, '')}", f"{subject} < 0.5"]
        return source.choose([*named, *plain] if kind == "mask_of" else [*named, "...", ":"])
    if kind == "perm":
        order = list(range(len(shape)))
        return str(tuple(order[1:] + order[:1]) if source.choose([True, False]) else tuple(reversed(order)))
    if kind == "shape":
        size = math.prod(shape)
        halves = [(2, -1), (-1, 2)] if size and size % 2 == 0 else []
        return str(source.choose([(-1, 1), (1, -1), (size,), tuple(reversed(shape)), (1, *shape), *halves]))
    if kind == "wide":
        return str((2, *shape))
    raise ValueError(f"no gap is called {kind}")


def _broadcast(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
    try:
        np.broadcast_shapes(one, other)
    except ValueError:
        return False
    return True
