"""Rounding errors of a recorded program, line by line: how far the result may be off, and which line is to blame.

Every line adds an error of its own to its value, in the last places, and its adjoint says what that does to the result:
to first order the error of the result is the sum of adjoint times error over all lines (Linnainmaa 1976, "Taylor
expansion of the accumulated rounding error"; Iri 1984, "Simultaneous computation of functions, partial derivatives and
estimates of rounding errors"; Griewank & Walther 2008, section 3.4).  This module knows which primitives round and by
how much; adjoints are the business of `shared.programs.explaining.adjoints`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from shared.core.assignment import SETITEM, located
from shared.core.registry import REGISTRY
from shared.core.visible import one_line
from shared.programs.equations import AS_KIND, Equation, Write, nested_index
from shared.programs.explaining.adjoints import ReverseSweep
from shared.programs.explaining.evaluation import has_derivative, value_text
from shared.programs.notation import name_of
from shared.programs.program import Program
from shared.programs.tabulation import html_lines
from shared.programs.text import right_side


def _functions(*names: str) -> frozenset[Any]:
    """The library's own primitives of these names: one that a user declares under such a name is another."""
    return frozenset(entry.function for entry in REGISTRY.values() if entry.name.lstrip("_") in names)


#: Their result is made of the bits of their operands.
_EXACT = _functions(
    "broadcast_to", "diagonal", "roll", "getitem", "pad_zeros", "reshape", "transpose", "copy", "negative", "positive",
    "fabs", "copysign", "conjugate", "real", "imag", "where", "concatenate", "max", "min", "maximum", "minimum", "fmax",
    "fmin", "maximum.accumulate", "minimum.accumulate", "relu", "ldexp", "nextafter", "fmod",
)  # fmt: skip
_EXACT |= {AS_KIND.function}
#: Sums of products: the error is bounded by the roundings times the sum of the products' magnitudes, in any order.
_SUMS = _functions("sum", "mean", "cumsum", "matmul", "einsum", "convolve")
_PRODUCTS = _functions("prod", "cumprod")
_ABSOLUTE, _ASTYPE = _functions("absolute"), _functions("astype")
#: Algorithms of many operations, whose own error depends on more than their result: counted as one rounding of it.
_NOMINAL = _functions(
    "det", "inv", "solve", "cholesky", "logabsdet", "svd_s", "svd_u", "svd_vt", "fft", "ifft", "rfft", "irfft",
    "spherical_bessel", "logsumexp", "log_softmax",
)  # fmt: skip
#: A product or quotient of complex numbers loses up to this many units in the last place (Higham 2002, lemma 3.5).
_COMPLEX = 3.0

# --- what one line adds -----------------------------------------------------------------------------------------------


def local_error(equation: Equation, given: list[Any], out: Any) -> Any:
    """A bound of the rounding error that one equation adds to its result, element by element; 0.0 where it is exact.

    Arithmetic and elementary functions: eps |result|, which is two roundings of the former and one unit in the last
    place of the latter.  Sums of n products: half of eps times the roundings times the sum of magnitudes.
    """
    if not has_derivative(out):
        return 0.0
    eps = _eps(out) * (_COMPLEX if np.iscomplexobj(out) else 1.0)
    if isinstance(equation.primitive, Write):
        return _of_write(equation, given, out, eps)
    function = equation.primitive.function
    if equation.primitive.constant or function in _EXACT:
        return 0.0
    if function in _ABSOLUTE:
        return eps * np.abs(out) if np.iscomplexobj(given[0]) else 0.0
    if function in _ASTYPE:
        return eps * np.abs(out) if _eps(out) > _eps(given[0]) else 0.0
    if function in _SUMS:
        return eps / 2 * _of_sum(equation, given, out)
    if function in _PRODUCTS:
        count = np.size(given[0]) / max(np.size(out), 1)
        axis = equation.static.get("axis")
        count = count if count > 1 or axis is None else np.shape(given[0])[axis]
        return eps * max(count - 1, 0) * np.abs(out)
    return eps * np.abs(out)


def _eps(value: Any) -> float:
    """The distance from 1 to the next number of a value's precision; 0.0 of integers."""
    dtype = getattr(value, "dtype", None)
    if dtype is None:
        return float(np.finfo(np.float64).eps) if isinstance(value, (float, complex)) else 0.0
    return float(np.finfo(dtype).eps) if dtype.kind in "fc" else 0.0


def _of_sum(equation: Equation, given: list[Any], out: Any) -> Any:
    """The number of roundings of each element times the sum of the magnitudes it is made of."""
    primitive, static = equation.primitive, equation.static
    numbers = [k for k, value in enumerate(given) if isinstance(value, (np.ndarray, np.generic, float, complex, int))]
    magnitudes, ones = list(given), list(given)
    for k in numbers:
        # In double precision, where neither the count nor the sum can overflow.
        magnitudes[k] = np.abs(np.asarray(given[k])).astype(np.float64)
        ones[k] = np.ones(np.shape(given[k]))
    total = primitive.raw(*magnitudes, **static)
    if primitive.name == "mean":
        terms = np.size(given[0]) / max(np.size(out), 1)
        return terms * total
    return (primitive.raw(*ones, **static) + (len(numbers) - 2)) * total


def _of_write(equation: Equation, given: list[Any], out: Any, eps: float) -> Any:
    """Assigning is exact unless it rounds to fewer digits; adding rounds the elements that it adds to, each time."""
    array, value, *parts = given
    view, index = located(np.zeros(np.shape(out)), nested_index(parts, equation.static["lengths"]))
    base = view if view.base is None else view.base
    if equation.primitive.updating is SETITEM:
        if not hasattr(value, "dtype") or not 0.0 < _eps(value) < _eps(out):
            return 0.0
        view[index] = 1.0
        return eps * np.reshape(base, np.shape(out)) * np.abs(out)
    np.add.at(view, index, 1.0)
    times = np.array(np.reshape(base, np.shape(out)))
    view[...] = 0.0
    np.add.at(view, index, np.abs(value))
    return eps * times * (np.abs(array) + np.reshape(base, np.shape(out)))


def line_amount(sweep: ReverseSweep, equation: Equation) -> float:
    """What one line of a finished sweep adds to the rounding error of the output: |adjoint| times its own error."""
    adjoint = sweep.found[equation.result]
    if adjoint is None:
        return 0.0
    error = local_error(equation, sweep.given(equation), sweep.values[equation.result])
    with np.errstate(all="ignore"):
        return float(np.sum(np.abs(adjoint) * error))


# --- the whole --------------------------------------------------------------------------------------------------------


class LineError:
    """What one line adds: `amount`, the `share` of the whole that it is, the line's `text`, the user's line `where`."""

    __slots__ = ("amount", "equation", "share", "text", "where")

    def __init__(self, equation: Equation, text: str, amount: float, share: float):
        self.equation = equation
        self.text = text
        self.amount = amount
        self.share = share
        self.where = equation.where

    def __repr__(self) -> str:
        return one_line(f"LineError({self.text}: {self.amount:.2g}, {100 * self.share:.0f} %)")


class RoundingError:
    """An estimate of the rounding error of a program: `bound` for the output's `value`, and what each line adds.

    `lines` are in the order of the program; `worst(n)` are those that add most.  `nominal` names the primitives that
    are algorithms of their own, of which one rounding of the result was counted: there `bound` may be too low.
    """

    __slots__ = ("bound", "lines", "nominal", "value")

    def __init__(self, bound: float, value: Any, lines: list[LineError], nominal: list[str]):
        self.bound = bound
        self.value = value
        self.lines = lines
        self.nominal = nominal

    @property
    def relative(self) -> float:
        """The bound as a fraction of the value (of the sum of magnitudes, for several): inf where that is zero."""
        size = float(sum(np.sum(np.abs(part)) for part in self.value))
        return self.bound / size if size else (math.inf if self.bound else 0.0)

    def worst(self, count: int = 5) -> list[LineError]:
        """The lines that add most, largest first."""
        return sorted(self.lines, key=lambda line: -line.amount)[:count]

    def __float__(self) -> float:
        return self.bound

    def __str__(self) -> str:
        rows = [self._head()]
        shown = self._shown()
        left = max((len(line.text) for line in shown), default=0)
        rows += [f"  {100 * line.share:3.0f} %  {line.text:<{left}} {line.where}".rstrip() for line in shown]
        others = sum(line.amount > 0 for line in self.lines) - len(shown)
        if others > 0:
            rows.append(f"  and {others} more lines")
        if self.nominal:
            rows.append(f"  {self._remark()}")
        return "\n".join(map(one_line, rows))

    __repr__ = __str__

    def _head(self) -> str:
        head = f"rounding error at most about {self.bound:.2g}"
        if len(self.value) == 1 and np.ndim(self.value[0]) == 0:
            head += f" in {value_text(self.value[0], '.6g')}"
        return f"{head} (relative {self.relative:.2g})"

    def _shown(self) -> list[LineError]:
        return [line for line in self.worst() if line.amount > 0 or line.amount != line.amount]

    def _remark(self) -> str:
        return f"counted as one rounding each, which may be too little: {', '.join(self.nominal)}"

    def _repr_html_(self) -> str:
        rows = [[f"{100 * line.share:.0f} %", f"{line.amount:.2g}", line.text, line.where] for line in self._shown()]
        if self.nominal:
            rows.append(["", "", self._remark(), ""])
        return html_lines(self._head(), ["share", "error", "operation", "line"], rows)


def rounding_error(f: Callable[..., Any] | Program, *args: Any, cotangent: Any = None) -> RoundingError:
    """How far `f(*args)` may be off by rounding, to first order, and how much of that each operation adds.

    The sum over all operations of |adjoint x value| eps, where eps is that of the operation's own precision; exact
    operations (reading elements, reshaping, negation, a maximum) add nothing, and a sum over an array adds what its
    additions may.  It is a bound to first order in eps, and pessimistic: errors mostly cancel.  Arguments and constants
    count as exact: a float32 program's `0.1` is what float32 makes of it.  Underflow is not covered.  For an output of
    several numbers give a `cotangent`: the estimate is that of the sum of cotangent times output.

    Cost: one evaluation of `f` and one reverse sweep, with everything kept.  Raises as `ReverseSweep` does.

    >>> error = rounding_error(lambda x: (1 - np.cos(x)) / x**2, 1e-5)
    >>> error.worst(1)[0].text, error.relative > 1e-7
    ('cos(x)', True)
    >>> rounding_error(lambda x: 2 * (np.sin(x / 2) / x) ** 2, 1e-5).relative < 2e-15
    True
    """
    sweep = ReverseSweep.called("rounding_error", f, args, cotangent)
    sweep.finish()
    return error_of(sweep)


def error_of(sweep: ReverseSweep) -> RoundingError:
    """The rounding error of a program that a sweep has passed through: see `rounding_error`."""
    program = sweep.program
    amounts = [(equation, line_amount(sweep, equation)) for equation in program.equations]
    bound = math.fsum(amount for _, amount in amounts)
    lines = [
        LineError(equation, right_side(program, equation), amount, amount / bound if bound else 0.0)
        for equation, amount in amounts
    ]
    counted = {name_of(line.equation.primitive) for line in lines if line.amount and _is_nominal(line.equation)}
    return RoundingError(bound, [sweep.values[k] for k in program.outputs], lines, sorted(counted))


def _is_nominal(equation: Equation) -> bool:
    """Whether what the primitive does inside is more than was counted: also of those that users declare."""
    if isinstance(equation.primitive, Write):
        return False
    function = equation.primitive.function
    return function in _NOMINAL or function not in _KNOWN


#: NumPy's functions, and this library's; SciPy's have larger errors than those of one operation.
_KNOWN = _EXACT.union(
    function
    for function in (entry.function for entry in REGISTRY.values())
    if not isinstance(function, np.ufunc) or getattr(np, function.__name__, None) is function
)

__all__ = ["LineError", "RoundingError", "error_of", "line_amount", "local_error", "rounding_error"]
