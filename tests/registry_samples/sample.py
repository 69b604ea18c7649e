"""What a sample is: an expression in plain NumPy with arguments that are drawn for it, away from its kinks.

The expression is a string, so that it can be the name of the test that it makes.  Arguments are drawn from a
seed that depends on the sample alone; no two elements of a sample have equal magnitudes, and none is near
zero, so extrema, absolute values and sorts are smooth there.  This module knows nothing of rules and engines.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special
from scipy.sparse import coo_array, csc_array, csr_array

import shared.scipy.special

# Those that are loaded when a function of theirs is met have to be loaded for the registry to be complete.
from shared.rules import (
    determinants,
    eigenvalues,
    extending,
    factors,
    matrices,
    pseudoinverses,
    singular_values,
    special,
)
from shared.scipy import fft, incomplete, linalg, orders, signal, sparse
from shared.scipy.sparse import linalg as solving

_LOADED_LATER = (determinants, eigenvalues, factors, matrices, pseudoinverses, singular_values)


def changed(array: Any, change: Callable[[Any], Any]) -> Any:
    """A copy of an array, after a function that changes arrays in place."""
    array = array * 1
    change(array)
    return array


_NAMES: dict[str, Any] = {
    "np": np, "linalg": linalg, "special": special, "scipy_special": scipy.special, "own_special": shared.scipy.special,
    "changed": changed, "windows": np.lib.stride_tricks.sliding_window_view,
    "fold": extending.FOLD,
}  # fmt: skip
_NAMES |= {m.__name__.rpartition(".")[2]: m for m in (*shared.scipy.special.RULES, incomplete, orders)}
_NAMES |= {"fft": fft, "signal": signal, "sparse": sparse, "solving": solving}
_NAMES["CSR"] = csr_array(np.array([[1.5, 0.0, 2.0], [0.0, -0.5, 1.0]]))
_NAMES["CSC"], _NAMES["COO"] = csc_array(_NAMES["CSR"]), coo_array(_NAMES["CSR"])
_NAMES["SQUARE"] = csr_array(np.array([[4.0, 0.0, 1.5], [0.0, 3.0, 0.0], [-1.0, 0.0, 5.0]]))
_NAMES["DIAGONAL"] = np.array([4.0, 0.0, 4.0, 0.0, 4.0])
_NAMES |= {m.__name__.rpartition(".")[2]: m for m in _LOADED_LATER}
_NAMES |= {name: value for name, value in vars(special).items() if callable(value) and not name.startswith("_")}

#: What an argument is: the shape of an array, or `float`, or a NumPy scalar type.
Kind = Any


class Sample:
    """One call, such as `Sample("np.sum(x, axis=0)", x=(2, 3))`.

    Every keyword is an argument to differentiate: a shape, `float` for a Python float, or `np.float64` for a
    scalar. `domain` says where the values lie: "spread" (the default, 0.3 to 2 in magnitude), "positive",
    "unit", "above one", "halves" and "near one" (whose quotients are far from integers), "matrix" (square,
    far from singular) or "complex"; a dict says it per argument.
    """

    def __init__(self, expression: str, *, domain: str | dict[str, str] = "spread", **kinds: Kind):
        self.expression = expression
        self.domain = domain
        self.kinds = kinds
        code = compile(f"lambda {', '.join(kinds)}: {expression}", "<sample>", "eval")
        self.function: Callable[..., Any] = eval(code, dict(_NAMES))

    def arguments(self, dtype: type = np.float64) -> list[Any]:
        """Fresh values, the same at every call; arrays and NumPy scalars in the precision of `dtype`."""
        random = np.random.default_rng(zlib.crc32(str(self).encode()))
        sizes = [_size(kind) for kind in self.kinds.values()]
        total = sum(sizes)
        magnitudes = 0.3 + 1.7 * (np.arange(total) + 0.6 * random.random(total)) / max(total, 1)
        values = random.permutation(magnitudes) * random.choice([-1.0, 1.0], total)
        parts = np.split(values, np.cumsum(sizes)[:-1])
        return [
            _cast(_placed(part, kind, self.domain_of(name), random), kind, dtype)
            for part, (name, kind) in zip(parts, self.kinds.items(), strict=True)
        ]

    def domain_of(self, name: str) -> str:
        """Where the values of one argument lie."""
        return self.domain.get(name, "spread") if isinstance(self.domain, dict) else self.domain

    def __str__(self) -> str:
        return f"{self.expression} {' '.join(f'{name}:{_shown(kind)}' for name, kind in self.kinds.items())}"

    __repr__ = __str__


def _size(kind: Kind) -> int:
    return int(np.prod(kind)) if isinstance(kind, tuple) else 1


def _shown(kind: Kind) -> str:
    return kind.__name__ if isinstance(kind, type) else "(" + ",".join(map(str, kind)) + ")"


def _placed(values: np.ndarray, kind: Kind, domain: str, random: np.random.Generator) -> Any:
    """Numbers of magnitude 0.3 to 2, moved into a domain and shaped."""
    shape = kind if isinstance(kind, tuple) else ()
    moved: np.ndarray = {
        "spread": lambda: values,
        "matrix": lambda: values,
        "positive": lambda: np.abs(values),
        "unit": lambda: 0.45 * values,
        "above one": lambda: 1 + 0.5 * np.abs(values),
        "halves": lambda: np.sign(values) * (1.4 + 0.1 * np.abs(values)),
        "near one": lambda: 1 + 0.03 * values,
        "complex": lambda: values + 1j * random.permutation(values),
    }[domain]()
    placed = moved.reshape(shape)
    return placed + 3 * np.eye(shape[-1]) if domain == "matrix" else placed


def _cast(value: Any, kind: Kind, dtype: type) -> Any:
    if kind is float:
        return float(value)
    if value.dtype.kind == "c":
        dtype = np.result_type(dtype, np.complex64).type
    return value.astype(dtype)[()] if isinstance(kind, type) else value.astype(dtype)


def over(expressions: list[str], shapes: list[Kind], domain: str = "spread") -> list[Sample]:
    """Every expression in x over every shape."""
    return [Sample(expression, x=shape, domain=domain) for expression in expressions for shape in shapes]
