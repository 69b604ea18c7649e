"""Random programs of reads, writes, empty selections and kinks, for the tests of sparsity patterns.

A program is a list of lines of NumPy on a few variables of fixed shapes, made from the tables below; it computes a
vector from a vector.  A line is kept if plain NumPy runs it at every point, so all programs run to the end.  This
module knows NumPy and the library's own functions, and no engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from shared import vmap
from shared.linear.custom import custom_derivative
from shared.rules import special as nn

N = 6


def into(write: Callable[[np.ndarray], Any]) -> np.ndarray:
    """A plain array of zeros that `write` has written to."""
    factor = np.zeros(N)
    write(factor)
    return factor


#: What the lines may name besides their variables: constants with zeros, ties and empty selections among them.
CONSTANTS: dict[str, Any] = {
    "np": np,
    "nn": nn,
    "vmap": vmap,
    "into": into,
    "TABLE": np.array([0.0, 1.0, 0.0, -2.0, 0.5, 3.0]),
    "EXPONENTS": np.array([0, 1, 2, 0, 3, 1]),
    "MASK": np.array([True, False, True, True, False, False]),
    "NONE": np.zeros(N, bool),
    "UPPER": np.diag(np.arange(1.0, N + 1)) + np.diag([0.0, 2.0, 0.0, 1.0, 3.0], 1),
    "SMALL": np.array([[1.0, 0.0, 2.0], [0.0, -1.0, 0.5]]),
    "ORDER": np.array([2, 0, 5, 1, 4, 3]),
    "TWICE": np.array([0, 0, 5]),
    "rounded_straight": custom_derivative(np.round, jvp=lambda tangents, out, x: tangents[0]),
    "running_sum": custom_derivative(np.cumsum, vjp=lambda c, out, x: (np.flip(np.cumsum(np.flip(c))),)),
}

#: By kind of value, expressions that give one: v has N elements, t three, s one without an axis, m is of 2 x 3, e has
#: no element, z is of 0 x 3.  `{v}` is replaced by a variable of that kind, `{k}` by an index, `{c}` by a number.
EXPRESSIONS: dict[str, list[str]] = {
    "v": [
        # elementwise
        "{v} * {v}", "{v} + {v}", "{v} - {v}", "{v} / (1 + {v} * {v})", "{v} * {s}", "{v} + {s}", "np.sin({v})",
        "np.tanh({v})", "np.square({v})", "{v} ** 3", "np.exp(-{v} * {v})", "{v} * {c}", "{v} + {c}", "-{v}",
        "np.sqrt(1 + {v} * {v})", "np.arctan2({v}, 2 + {v} * {v})", "nn.sigmoid({v})", "nn.softplus({v})",
        "{v} * TABLE", "TABLE * {v} * {v}", "{v} + TABLE", "{v} * 0.0", "{v} ** EXPONENTS", "np.real({v})",
        # kinks
        "np.abs({v})", "np.maximum({v}, {v})", "np.minimum({v}, {v})", "np.maximum({v}, 0)", "nn.relu({v})",
        "np.minimum({v}, {c})", "np.fmax({v}, {v})", "np.fmin({v}, {s})", "np.clip({v}, -1, 1)",
        "np.clip({v}, {v} - 1, {v})", "np.clip({v}, 0, None)", "np.where({v} > 0, {v}, {v})",
        "np.where({v} > {v}, {v}, 0.0)", "np.where({v} == 0, {v}, {c})", "np.where(MASK, {v}, {v})",
        "np.where(NONE, {v}, {c})", "np.where({v} > {c}, {s}, {v})", "{v} * ({v} > 0)", "{v} * ({v} >= {v})",
        "{v} * (({v} > 0) & MASK)", "{v} * ~({v} < 1)", "{v} * np.sign({v})", "{v} * np.floor({v})",
        "{v} * np.heaviside({v}, 0.5)", "np.copysign({v}, {v})", "{v} % 2.0", "np.hypot({v}, {v})",
        "np.select([{v} > 1, {v} > 0], [{v}, {v}], 0.0)", "{v} * nn.stop_gradient({v})", "np.fabs({v})",
        "np.nan_to_num({v})", "{v} * np.isfinite({v})", "{v} * np.round({v})", "np.sinc({v})",
        "{v} * (np.abs({v}) < 1).astype(float)", "{v} * np.where({v} > 0, 1.0, 0.0)", "{v} * ({s} > 0)",
        # order
        "np.sort({v})", "np.sort({v})[::-1]", "{v}[np.argsort({v})]", "{v} * {v}[np.argmax({v})]",
        "np.take({v}, np.argsort({v}))", "np.take_along_axis({v}, np.argsort({v}), 0)", "{v} * TABLE[np.argsort({v})]",
        "np.maximum.accumulate({v})", "np.minimum.accumulate({v})", "{v} - np.median({v})",
        # moves
        "{v}[::-1]", "{v}[ORDER]", "np.roll({v}, {k})", "np.flip({v})", "np.concatenate([{t}, {t}])",
        "np.concatenate([{e}, {v}])", "np.concatenate([{v}, {e}, {e}])", "np.concatenate([{t}, {e}, {t}])",
        "np.hstack([{e}, {t}, {t}])", "np.append({v}, {e})", "np.append({t}, {t})", "np.repeat({t}, 2)",
        "np.tile({t}, 2)", "np.pad({t}, (1, 2))", "np.pad({t}, (1, 2), constant_values=2.0)",
        "np.pad({t}, 3)[{k}:][:6]", "np.pad({t}, (0, 3), mode='edge')", "np.reshape({m}, -1)", "{m}.ravel()",
        "{m}.T.ravel()", "{m}.T.reshape(6)", "np.reshape(np.stack([{t}, {t}], axis=1), -1)",
        "np.broadcast_to({s}, (6,))", "np.diff({v}, append={s})", "np.concatenate([{v}[:{k}], {v}[{k}:]])",
        "np.repeat({v}, [2, 0, 1, 0, 3, 0])", "{v}.copy()", "np.concatenate(np.array_split({v}, [2, 2, 9]))",
        "np.concatenate(np.split({v}, [{k}]))[::-1]", "np.concatenate([*{z}, {v}])",
        "np.concatenate([{v}[MASK], {v}[~MASK]])", "np.concatenate([{v}[NONE], {v}])",
        # reductions and scans
        "{v} * np.sum({v})", "{v} + np.sum({v}[{v} > {c}])", "{v} * np.sum({v}[{v} > 9] * {s})", "np.cumsum({v})",
        "np.cumprod({v})", "{v} - np.mean({v})", "{v} + np.sum({e})", "{v} * np.prod({e})",
        "{v} + np.sum({z}, axis=1).sum()", "np.tile(np.sum({z}, axis=0), 2) + {v}", "np.tile(np.sum({m}, axis=0), 2)",
        "np.tile(np.prod({z}, axis=0), 2) * {v}", "nn.log_softmax({v})", "{v} * nn.logsumexp({v})", "{v} * np.max({v})",
        "{v} * np.min({t})", "{v} + np.ptp({v})", "np.tile(np.max({m}, axis=0), 2)", "{v} * np.prod({t})",
        "{v} + np.std({t})", "{v} + np.linalg.norm({t})", "{v} * np.count_nonzero({v} > 0)", "{v} * np.any({v} > 1)",
        "{v} + np.sum({v}, initial=0.0)", "{v} + np.var({v})",
        # products
        "UPPER @ {v}", "{v} @ UPPER", "np.einsum('ij,j->i', UPPER, {v})", "(UPPER * ({v} > 0)) @ {v}",
        "np.diag({v}) @ {v}", "np.tril(np.outer({v}, {v}))[{k}]", "np.outer({v}, {v})[:, {k}]",
        "np.zeros((6, 0)) @ {e} + {v}", "np.einsum('ij,j->i', np.zeros((6, 0)), {e}) * {v} + {v}", "{v} + {e} @ {e}",
        "{v} + np.dot({e}, np.zeros(0))", "np.tile({e} @ {z}, 2) + {v}", "np.convolve({t}, [1.0, 0.0, 2.0, 1.0])",
        "np.convolve({v}, {t}, 'same')", "np.tile(np.cross({t}, {t}), 2)", "np.linalg.solve(UPPER, {v})",
        "np.linalg.solve(4 * np.eye(6) + np.outer({v}, {v}), {v})", "np.tensordot(UPPER, {v}, 1)",
        "np.kron({t}, [1.0, 0.0])", "np.reshape({m} * SMALL, -1)", "np.reshape({m} + {t}, -1)",
        "np.fft.irfft(np.fft.rfft({v}))", "np.real(np.fft.fft({v}))", "np.inner(UPPER, {v})",
        # functions of functions
        "rounded_straight({v})", "running_sum({v})", "np.reshape(vmap(lambda r: r * np.sum(r))({m}), -1)",
        "np.reshape(vmap(lambda r: np.where(r > 0, r, r[::-1]))({m}), -1)", "vmap(lambda a: a * np.abs(a))({v})",
        "np.reshape(vmap(np.sort)({m}), -1)",
        # plain arrays, which the point decides
        "{v} * into(lambda w: np.add.at(w, np.argmax({v}), 1.0))",
        "{v} * into(lambda w: np.put(w, np.argsort({v})[:2], 1.0))", "{v} * into(lambda w: np.copyto(w, {v} > 0))",
        "{v} * into(lambda w: np.putmask(w, {v} > {c}, 2.0))", "{v} * into(lambda w: np.clip(np.floor({v}), 0, 1, w))",
        "{v} * TABLE[np.argmax({v})]", "{v} * TABLE[{v} > 0].sum()",
        "{v} * np.bincount(np.argsort({v})[:2], minlength=6)", "{v} * np.asarray({v} > {v})",
        "{v} * dict(enumerate([0.0, 1.0]))[({v} > 0)[{k}]]",
        # parts that the point places
        "{v} * np.sum({v}[np.argmax({v}[:-2]):][:2])", "{v} * np.sum({v}[:np.count_nonzero({v} > 0)])",
        "{v} * np.sum({v}[{v} > 0][2:])", "np.roll({v}, np.argmin({v}))",
        "np.concatenate(np.split({v}, [np.argmax({v})])[::-1])", "{v} * np.sum({v}[np.flatnonzero({v} < 0)][1:] ** 2)",
        # outside of NumPy
        "{v} * float(nn.stop_gradient({v})[{k}])", "{v} * int(np.argmax({v}))",
        "{v} * np.array((({v} > 0) * 1.0).tolist())", "np.stack([a * b for a, b in zip({v}, {v})])",
        "np.zeros_like({v})", "np.ones_like({v})", "np.full_like({v}, {s})", "np.full(6, {s}, like={v})",
        "np.interp({v}, [-1.0, 0.0, 1.0], [0.0, 2.0, 0.0])", "np.vander({t}, 2).ravel()",
    ],
    "t": [
        "{v}[:3]", "{v}[3:]", "{v}[::2]", "{v}[1:4]", "{v}[4:1:-1]", "{v}[MASK]", "{v}[TWICE]", "{v}[[1, 1, 2]]",
        "{m}[0]", "{m}[-1]", "{m}[1, ::-1]", "np.sum({m}, axis=0)", "np.max({m}, axis=0)", "np.sort({t})", "{t} * {t}",
        "np.abs({t})", "np.diff({v})[1:4]", "np.cross({t}, {t})", "np.stack([{s}, {s}, {s}])",
        "np.where({t} > 0, {t}, {s})", "SMALL.T @ np.stack([{s}, {s}])", "np.concatenate([{e}, {t}])",
        "{v}[np.flatnonzero(MASK)]", "np.extract(MASK, {v})", "np.compress(MASK, {v})", "np.sum({z}, axis=0)",
        "np.diagonal(np.outer({t}, {t}))", "np.array_split({v}, 2)[1]", "np.flip({t})", "np.mean({m}, axis=0)",
        "np.std({m}, axis=0)",
    ],
    "s": [
        "{v}[{k}]", "{m}[1, 2]", "{m}[0][{j}]", "np.sum({v})", "np.max({v})", "np.min({v})", "np.prod({t})",
        "{v} @ {v}", "np.sum({e})", "np.prod({e})", "np.sum({v}[{v} > 0])", "np.sum({v}[{v} > 9])",
        "{v}[np.argmin({v})]", "np.linalg.norm({t})", "np.trace(np.outer({t}, {t}))", "{s} * {s}", "np.abs({s})",
        "np.maximum({s}, {s})", "np.where({s} > 0, {s}, {c})", "np.mean({v})", "{e} @ {e}", "np.sum({z})",
        "np.linalg.det(np.outer({t}, {t}) + np.eye(3))", "np.max(np.abs({v}))", "np.dot({t}, {t})",
        "np.sum(np.where({v} > 0, {v}, 0))", "np.cumsum({v})[-1]", "{s} * ({s} > 0)", "np.median({v})",
        "np.sum({v}[:0] * {s})", "np.vdot({t}, {t})", "np.squeeze({v}[{k}:][:1])",
    ],
    "m": [
        "np.reshape({v}, (2, 3))", "np.stack([{t}, {t}])", "np.vstack([{t}, {t}])", "np.outer({t}, {t})[:2]",
        "{m} * {t}", "{m} * {m}", "{m} @ np.diag({t})", "{m}[::-1]", "{m}[:, ::-1]", "{m}[:, [2, 0, 0]]",
        "np.maximum({m}, 0)", "np.abs({m})", "np.concatenate([{z}, {m}])", "np.concatenate([{m}, {z}])",
        "np.cumsum({m}, axis=0)", "np.sort({m}, axis=0)", "np.sort({m})", "np.where({m} > 0, {m}, {t})", "{m} * SMALL",
        "np.broadcast_to({t}, (2, 3))", "np.triu({m})", "np.tril({m}, -1)",
        "np.take_along_axis({m}, np.argsort({m}, axis=1), 1)", "np.reshape({v}, (3, 2)).T",
        "np.concatenate([{m}, {m}[:, :0]], axis=1)", "np.pad({t}[None], ((1, 0), (0, 0)))",
        "vmap(lambda r: r * r[0])({m})", "np.concatenate([{m}[:0], {m}])", "{m} - np.max({m}, axis=1, keepdims=True)",
        "np.full_like({m}, {s})", "np.zeros_like({m})",
    ],
    "e": [
        "{v}[:0]", "{v}[9:]", "{v}[{k}:{k}][:0]", "{v}[[]]", "{v}[NONE]", "{v}[6:]", "{t}[3:]", "{e} * {e}",
        "{e} + {s}", "np.abs({e})", "np.sort({e})", "np.cumsum({e})", "np.concatenate([{e}, {e}])",
        "np.reshape({z}, -1)", "np.zeros_like({e})", "np.sum({z}, axis=1)", "np.where({e} > 0, {e}, {s})",
        "np.flip({e})", "np.roll({e}, 1)", "np.repeat({v}, [0] * 6)", "np.take({v}, np.zeros(0, int))",
        "np.maximum({e}, {s})", "{m}[:0, 0]", "{e}[::-1]", "{e}[[]]", "np.diff({v}[:1])", "np.zeros((0, 6)) @ {v}",
        "np.array_split({v}, [0])[0]",
    ],
    "z": [
        "{m}[:0]", "{m}[2:]", "{m}[[]]", "np.zeros((0, 6)) @ np.stack([{v}, {v}, {v}], axis=1)",
        "np.reshape({e}, (0, 3))", "{z} * {z}", "{z} + {t}", "{e}[:, None] * {t}", "np.outer({e}, {t})", "np.sort({z})",
        "np.cumsum({z}, axis=1)", "np.maximum({z}, {t})", "np.broadcast_to({t}, (0, 3))", "np.zeros_like({z})",
        "np.transpose(np.reshape({e}, (3, 0)))",
    ],
}  # fmt: skip

#: Indices by which a vector is written, with the number of elements that they name (None: the point decides).
INDICES: dict[str, int | None] = {
    "[{k}]": 1, "[-1]": 1, "[1:4]": 3, "[::2]": 3, "[::-1]": 6, "[...]": 6, "[2:]": 4, "[:{k}]": None, "[[0, 5]]": 2,
    "[[1, 1, 2]]": 3, "[TWICE]": 3, "[ORDER]": 6, "[MASK]": 3, "[~MASK]": 3, "[3:3]": 0, "[9:]": 0, "[:0]": 0,
    "[[]]": 0, "[()]": 6, "[NONE]": 0, "[np.zeros(0, int)]": 0, "[6:]": 0, "[NONE & MASK]": 0, "[{v} > 0]": None,
    "[{v} > 9]": None, "[{v} >= {v}]": None, "[{v} == 0]": None, "[np.argsort({v})]": 6, "[np.argmax({v})]": 1,
    "[np.flatnonzero({v} > 9)]": None, "[np.flatnonzero({v} > 0)]": None, "[({v} > 0) & NONE]": 0,
    "[({v} > 0) & MASK]": None, "[:np.count_nonzero({v} > 0)]": None, "[np.argmax({v}):]": None,
    "[np.argmax({v}[:4]):][:3]": None, "[1:][np.argmin({v}):]": None, "[{s} > 0]": None, "[np.argsort({v})[:2]]": 2,
}  # fmt: skip

#: What is done to a vector in other ways: to its views, its rows as a matrix, itself
WRITES = [
    "{v} += {v}", "{v} *= {v}", "{v} -= {s}", "{v} *= TABLE", "{v} /= 2.0", "{v} *= {v} > 0", "{t} *= {s}",
    "{t} += {t}", "{t}[1:] = {s}", "{t}[1:][:1] += {s}", "{t}[::2][[]] = {s}", "{t}[3:] = {c}", "{t}[3:] += {t}[3:]",
    "{t}[...] = {t}", "{t}[0] = {s}", "{m}[0] = {t}", "{m}[:, 1] += {s}", "{m}[1][:2] = {v}[:2]",
    "{m}[0][1:][3:] = {s}", "{m}[[]] = {t}", "{m}[:0] += {t}", "{m} *= {t}", "{m}[{m} > 0] = {s}", "{m}[{m} > 9] = {s}",
    "{m}[[0, 0]] = {m}", "{m}[np.argmax({t})%2] = {t}", "{e}[...] = {s}", "{e} += {s}", "{e}[:] = {e}",
    "{z}[...] = {t}", "{v}.sort()", "{t}.sort()", "{v}.fill({s})", "{e}.sort()", "{m}.sort(axis=0)",
    "{v}[1:][1:][::2] *= {s}", "{v}[1:][9:] = {s}", "{v}[2:][[]] += {s}",
]  # fmt: skip


#: What the result is a sum of
TERMS = [
    "{0}", "np.abs({0})", "np.maximum({0}, 0)", "{0} * ({0} > 0)", "np.where({0} > 0, {0}, 0)", "np.clip({0}, -1, 1)",
    "np.max({0})", "np.sort({0})", "np.sum(({0}[1:] - {0}[:-1]) ** 2)", "np.sum(np.diff({0}) ** 2)",
    "np.sum({0}[TWICE] ** 2)", "{0} * {0}[0]", "sum(({0}[i] - {0}[i - 1]) ** 2 for i in range(1, 4))",
    "np.concatenate([{0}[1:] * {0}[:-1], {0}[:1]])", "np.sum({0}[{0} > 0] ** 2)",
    "np.sum(np.maximum({0}[2:], {0}[:-2]) * {0}[1:-1])",
]  # fmt: skip


class Program:
    """A function from a vector of N numbers to another, and the lines that compute it."""

    def __init__(self, lines: list[str]):
        self.lines = lines
        self.code = compile("\n".join(lines), "<random program>", "exec")

    def __call__(self, x: Any) -> Any:
        names = {**CONSTANTS, "x": x}
        exec(self.code, names)
        return names["result"]

    def __repr__(self) -> str:
        return "\n    ".join(["program:", *self.lines])


#: One variable of each kind that every program starts with.
START = [
    "v0 = x * 1.0",
    "v1 = np.sin(x[::-1])",
    "t0 = x[1:4] * 0.5",
    "s0 = x[2] + 0.0",
    "m0 = np.reshape(v1 * 1.5, (2, 3))",
    "e0 = x[6:] * 2.0",
    "z0 = x[:0, None] + t0",
]
SHAPES = {"v": (N,), "t": (3,), "s": (), "m": (2, 3), "e": (0,), "z": (0, 3)}


def random_program(
    seed: Any, points: list[np.ndarray], length: int, takes: Callable[[Program], bool] = lambda program: True
) -> Program:
    """A program of up to `length` random lines that plain NumPy runs at all points, and `takes` does not refuse."""
    random = np.random.default_rng(seed)
    counts = dict.fromkeys(SHAPES, 1) | {"v": 2}
    lines, names = list(START), [line.split()[0] for line in START]
    for _ in range(length):
        line, kind = _random_line(random, counts)
        made = None if kind is None else f"{kind}{counts[kind]}"
        known = names if made is None else [*names, made]
        # Every variable is read, which shows whether it can be.
        tried = [*lines, line, f"result = v0 + {' + '.join(f'np.sum({name})' for name in known)}"]
        if _runs(tried, made, points) and takes(Program(tried)):
            lines.append(line)
            names = known
            if kind is not None:
                counts[kind] += 1
    total = " + ".join(_term(random, names) for _ in range(random.integers(2, 7)))
    # What follows the last line linearly has cotangents that depend on nothing.
    lines.append(f"result = {total} + v0" if random.random() < 0.6 else f"result = np.tanh({total} + v0)")
    return Program(lines)


def _term(random: np.random.Generator, names: list[str]) -> str:
    """A vector or number made of one of the variables, mostly with a kink or from neighbours."""
    name = random.choice(names)
    return str(random.choice(TERMS)).format(name) if name[0] == "v" else f"np.sum(np.abs({name}))"


def _random_line(random: np.random.Generator, counts: dict[str, int]) -> tuple[str, str | None]:
    """A line, and the kind of the variable that it makes (None: it writes to one)."""

    def fill(match: re.Match[str]) -> str:
        kind = match[1]
        if kind in counts:
            # Mostly the latest, so that lines build on each other.
            back = min(int(random.geometric(0.5)), counts[kind])
            return f"{kind}{counts[kind] - back}"
        if kind in "kj":
            return str(random.integers(N if kind == "k" else 3))
        return str(random.choice([0.0, 1.0, -1.0, 0.5, 2.0]))

    def text(template: str) -> str:
        return re.sub(r"\{(\w)\}", fill, template)

    choice = random.random()
    if choice < 0.55:
        kind = str(random.choice(list(SHAPES), p=[0.5, 0.12, 0.12, 0.12, 0.08, 0.06]))
        return f"{kind}{counts[kind]} = {text(random.choice(EXPRESSIONS[kind]))}", kind
    if choice < 0.85:
        template = str(random.choice(list(INDICES)))
        index, size = text(template), INDICES[template]
        values = ["{s}", "{c}", "{v}[{k}]", "{v}[:1]", "{s} * {s}"]
        if size is None:
            values += [f"{{v}}{index}", f"{{v}}{index} * {{s}}"]
        else:
            values += [f"{{v}}[:{size}]", f"{{v}}[{N - size}:]", f"np.abs({{v}}[:{size}])"]
        operation = random.choice(["=", "=", "+=", "*=", "-="])
        return f"{text('{v}')}{index} {operation} {text(random.choice(values))}", None
    return text(random.choice(WRITES)), None


def _runs(lines: list[str], made: str | None, points: list[np.ndarray]) -> bool:
    """Whether plain NumPy runs the lines at every point, with moderate numbers, and what they make has its shape."""
    code = compile("\n".join(lines), "<random program>", "exec")
    for point in points:
        names = {**CONSTANTS, "x": point.copy()}
        try:
            with np.errstate(all="ignore"):
                exec(code, names)
        except (
            ValueError,
            TypeError,
            IndexError,
            AttributeError,
            ZeroDivisionError,
            OverflowError,
            np.linalg.LinAlgError,
        ):
            return False
        values = [np.asarray(value) for name, value in names.items() if name[0] in SHAPES and name[1:].isdigit()]
        if not all(np.all(np.abs(value) < 1e4) and value.dtype == np.float64 for value in values):
            return False
        if made is not None and np.shape(names[made]) != SHAPES[made[0]]:
            return False
    return True


def kinked_points() -> list[np.ndarray]:
    """Points with zeros and ties, of either sign and of both, and some that have none of these."""
    random = np.random.default_rng(7)
    return [
        random.normal(size=N),
        2 * random.normal(size=N),
        np.array([0.0, 1.0, 1.0, -1.0, 0.0, 2.0]),
        np.zeros(N),
        np.ones(N),
        -np.abs(random.normal(size=N)),
        np.abs(random.normal(size=N)),
        np.arange(6.0) - 2,
    ]
