"""Whether the engines agree with each other and with differences; and where not, the first primitive where they part.

One direction t and one cotangent c are enough: forward mode gives c . (J t), reverse mode (J' c) . t, and difference
quotients of values the same number without any rule.  Where two of the three part, the record is walked through: each
primitive alone, at the values that the function gave it, by the same three.  This module knows no rule and no engine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.calling.tree import flatten
from shared.checking.differences import directional_difference, has_kink
from shared.checking.leaves import random_cotangents, random_tangents
from shared.comparison.figures import relative_difference
from shared.comparison.point import Point
from shared.core.edges import PYTHON_NUMBERS
from shared.core.visible import html_text, one_line, shortened
from shared.programs.equations import Equation
from shared.programs.explaining.evaluation import has_derivative
from shared.programs.notation import name_of
from shared.programs.program import Program, evaluated
from shared.programs.tracing import trace

#: Exact derivatives agree to this many times the rounding of the coarsest type in use.
_ROUNDINGS = 2**16


@dataclass(frozen=True, slots=True)
class Parting:
    """The first primitive at which derivatives part: its `number` among the equations, the user's line, who is apart.

    `primitive` is None where no primitive of the record does: then it is a function with a derivative of its own, which
    a record follows inside, and `text` names those that there are.
    """

    number: int | None
    primitive: str | None
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far values and derivatives are apart: largest relative differences.

    `values`: what the engines return as the value, beside the function.  `derivatives`: forward beside reverse, along
    one direction and cotangent.  `differences`: both beside difference quotients, whose estimated error is `uncertain`,
    relative, too; infinite where they tell nothing, or were not taken.  `parting` is None where all agree.
    """

    values: float
    derivatives: float
    differences: float
    uncertain: float
    tolerance: float
    parting: Parting | None

    @property
    def holds(self) -> bool:
        """Whether all agree, differences within their error."""
        return max(self.values, self.derivatives) <= self.tolerance and not self._apart_from_differences

    @property
    def _apart_from_differences(self) -> bool:
        return self.differences > self.uncertain + self.tolerance

    def __str__(self) -> str:
        told = f"{_digits(self.differences)} (estimated error {self.uncertain:.1e})"
        if np.isinf(self.uncertain):
            told = "cannot tell"
        text = (
            f"values agree {_digits(self.values)}, forward and reverse derivatives {_digits(self.derivatives)}; "
            f"differences {told}"
        )
        if self.holds:
            return text
        found = f"DISAGREEMENT: {text}"
        return f"{found}\n{self.parting.text}" if self.parting is not None else found

    def _repr_html_(self) -> str:
        return "<div>" + "".join(f"<p>{html_text(line)}</p>" for line in str(self).split("\n")) + "</div>"


def agreement(point: Point) -> Agreement:
    """Whether both engines give the function's value and one derivative, and differences the same; see `Agreement`.

    Cost: two derivatives and up to 49 evaluations, none of a slow function; where they part also a record, and as much
    for each primitive.

    >>> import dualad, reversead
    >>> found = agreement(Point("compare", lambda x: np.sum(np.sin(x)), (np.ones(3),), None, (dualad, reversead)))
    >>> found.holds, found.parting
    (True, None)
    """
    out, tangent = point.forward.jvp(point.f, point.args, point.direction, argnums=point.argnums)
    other, pull = point.reverse.vjp(point.f, *point.args, argnums=point.argnums)
    cotangents = flatten(pull(point.cotangent))[0]
    values = max(
        relative_difference(np.asarray(leaf), np.asarray(value))
        for found in (flatten(out)[0], flatten(other)[0])
        for leaf, value in zip(found, point.value, strict=True)
    )
    forwards = _paired(point.cotangents, flatten(tangent)[0])
    backwards = _paired(cotangents, point.tangents)
    tolerance = _tolerance([*point.selection.leaves, *point.value])
    derivatives = _apart(forwards, backwards, _size(point.cotangents, flatten(tangent)[0]))
    selected = point.selection.call

    def flat(*leaves: Any) -> list[Any]:
        return flatten(selected(leaves))[0]

    differences, uncertain = 0.0, float("inf")
    if not point.is_slow:
        differences, uncertain = _beside_differences(
            flat, point.selection.leaves, point.tangents, point.cotangents, forwards
        )
    found = Agreement(values, derivatives, differences, uncertain, tolerance, None)
    if found.holds:
        return found
    return Agreement(values, derivatives, differences, uncertain, tolerance, first_parting(point))


def first_parting(point: Point) -> Parting | None:
    """The first primitive whose derivatives part, at the values that the function gives it; None if none is found."""
    program = trace(point.f, *point.args)
    values = program.values(*point.args)
    for number, equation in enumerate(program.equations):
        apart = _apart_at(point, program, equation, values)
        if apart:
            name = one_line(name_of(equation.primitive))
            text = f"the first to part is operation {number + 1}, {shortened(name, 60)}{equation.where}: {apart}"
            return Parting(number, name, equation.where, text)
    if program.custom:
        names = shortened(", ".join(program.custom), 200)
        return Parting(
            None,
            None,
            "",
            f"no operation of the record parts; what it does not show are derivatives of one's own: {names}",
        )
    return None


def _apart_at(point: Point, program: Program, equation: Equation, values: list[Any]) -> str:
    """Who parts at one equation, in words; empty if nobody does, or it has no derivative."""
    operands = [k for k in dict.fromkeys(equation.operands) if k not in program.literals and has_derivative(values[k])]
    if not operands or not has_derivative(values[equation.result]):
        return ""

    def alone(*given: Any) -> Any:
        table = list(values)
        for k, value in zip(operands, given, strict=True):
            table[k] = value
        return evaluated(equation, table, (), set())

    leaves = [values[k] for k in operands]
    rng = np.random.default_rng(0)
    tangents, cotangents = random_tangents(leaves, rng), random_cotangents([values[equation.result]], rng)
    try:
        tangent = point.forward.jvp(alone, leaves, tangents)[1]
        pulled = point.reverse.vjp(alone, *leaves)[1](cotangents[0])
    except Exception as error:
        return f"{type(error).__name__}: {one_line(str(error))}"
    forwards, backwards = _paired(cotangents, [tangent]), _paired(pulled, tangents)
    tolerance = _tolerance([*leaves, values[equation.result]])
    if _apart(forwards, backwards, _size(cotangents, [tangent])) > tolerance:
        return (
            f"along a direction {point.forward.__name__} has {forwards:.6g}, {point.reverse.__name__} {backwards:.6g}"
        )
    apart, uncertain = _beside_differences(lambda *x: [alone(*x)], leaves, tangents, cotangents, forwards)
    if apart > uncertain + tolerance:
        return f"along a direction both engines have {forwards:.6g}, and differences another number"
    return ""


def _beside_differences(
    flat: Callable[..., Sequence[Any]],
    leaves: Sequence[Any],
    tangents: Sequence[Any],
    cotangents: Sequence[Any],
    forwards: float,
) -> tuple[float, float]:
    """How far a directional derivative is from that of differences, and their estimated error, both relative."""
    found = directional_difference(flat, leaves, tangents)
    quotient = _paired(cotangents, found.value)
    error = sum(float(np.sum(np.abs(c) * e)) for c, e in zip(cotangents, found.error, strict=True))
    size = max(abs(forwards), abs(quotient))
    if not np.isfinite(error) or not np.isfinite(size):
        return 0.0, float("inf")
    if size == 0:
        return 0.0, 0.0
    size = max(size, _size(cotangents, found.value))
    apart, error = abs(forwards - quotient) / size, error / size
    if apart > error and has_kink(flat, leaves, tangents):
        # Where there is no derivative every convention is right, and differences have theirs.
        return 0.0, float("inf")
    return apart, error


def _size(cotangents: Sequence[Any], tangents: Sequence[Any]) -> float:
    """What c . t would be if no terms cancelled: their rounding is that of this number."""
    return sum(float(np.sum(np.abs(c) * np.abs(t))) for c, t in zip(cotangents, tangents, strict=True))


def _digits(apart: float) -> str:
    return f"to {apart:.1e}" if apart else "exactly"


def _paired(cotangents: Sequence[Any], tangents: Sequence[Any]) -> float:
    """Re(c . t), bilinear."""
    return float(sum(np.real(np.sum(np.asarray(c) * np.asarray(t))) for c, t in zip(cotangents, tangents, strict=True)))


def _apart(one: float, other: float, size: float) -> float:
    if one == other or (np.isnan(one) and np.isnan(other)):
        return 0.0
    return abs(one - other) / size if np.isfinite(size) and np.isfinite(one) and np.isfinite(other) else float("inf")


def _tolerance(leaves: Sequence[Any]) -> float:
    kinds = [np.asarray(leaf).dtype for leaf in leaves if leaf.__class__ not in PYTHON_NUMBERS]
    return _ROUNDINGS * max([float(np.finfo(d).eps) for d in kinds if d.kind in "fc"], default=2.0**-52)
