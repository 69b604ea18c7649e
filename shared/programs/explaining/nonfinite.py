"""Where the first NaN or infinity of a derivative comes from, and which kinks lie on the way.

A program is recorded at the point in question and swept backwards one operation at a time, with everything kept; so
the operation can be named in which a value, or an adjoint, first is no finite number, with its operands and the user's
line.  `debug` does so for every derivative that is taken within it.  This module knows no engine; of the calculus it
knows where the conventions of kinks apply.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import Parameter, Signature, signature
from typing import Any

import numpy as np

from shared.calling.arguments import WATCHING, Selection
from shared.calling.tree import tree_map
from shared.core.duck_array import DuckArray
from shared.core.visible import html_text, one_line
from shared.programs.equations import Equation, Write
from shared.programs.explaining.adjoints import Contribution, ReverseStep, ReverseSweep
from shared.programs.explaining.evaluation import has_derivative, program_of, value_text
from shared.programs.program import Program
from shared.programs.text import right_side
from shared.rules.reductions import norm_sqrt
from shared.rules.special import RELU

Function = Callable[..., Any]

#: Operations that choose among their operands, or among the elements of one.
_CHOICES = frozenset(("where", "maximum", "minimum", "fmax", "fmin", "relu", "getitem", "max", "min", "setitem"))


class Finding:
    """One thing that was found: `what` it is, the operation in words, and the user's `line` (" (at file:line)")."""

    __slots__ = ("detail", "equation", "line", "operation", "what")

    def __init__(self, what: str, program: Program, equation: Equation, detail: str):
        self.what = what
        self.equation = equation
        self.operation = one_line(f"{program.name_of(equation.result)} = {right_side(program, equation)}")
        self.line = equation.where
        self.detail = detail

    def __str__(self) -> str:
        return one_line(f"{self.what}: {self.operation}{self.line}: {self.detail}")

    def __repr__(self) -> str:
        return f"<{self}>"


class Diagnosis:
    """What `diagnose` has found: the first `value` and the first `adjoint` that are not finite, and the `kinks`.

    The first two are a `Finding`, or None where everything is finite; the kinks are a list of them, and so are the
    slopes that are `lost` to rounding.
    """

    __slots__ = ("adjoint", "kinks", "lost", "name", "value")

    def __init__(
        self, name: str, value: Finding | None, adjoint: Finding | None, kinks: list[Finding], lost: list[Finding]
    ):
        self.name = name
        self.value = value
        self.adjoint = adjoint
        self.kinks = kinks
        self.lost = lost

    def __bool__(self) -> bool:
        """Whether anything was found."""
        return bool(self.value or self.adjoint or self.kinks or self.lost)

    def __str__(self) -> str:
        found = [finding for finding in (self.value, self.adjoint, *self.kinks, *self.lost) if finding is not None]
        if not found:
            return f"{self.name}: all values and adjoints are finite, and no kink was met"
        return "\n".join([f"{self.name}:", *(f"  {finding}" for finding in found)])

    def __repr__(self) -> str:
        return f"<diagnosis of {self}>"

    def _repr_html_(self) -> str:
        head, *findings = str(self).split("\n")
        items = "".join(f"<li>{html_text(finding.strip())}</li>" for finding in findings)
        return f"<div>{html_text(head)}{f'<ul>{items}</ul>' if items else ''}</div>"


def diagnose(f: Function | Program, *args: Any, cotangent: Any = None) -> Diagnosis:
    """Where the derivative of `f` at `args` first is no finite number, and which kinks it meets.

    `value` is the first operation whose result is not finite though its operands are; `adjoint`, the first in a sweep
    backwards that makes a contribution that is not finite from an adjoint that is, and whether that is zero times an
    infinite slope, with the choice that the zero comes from.  `kinks` are the operations that were asked for a
    derivative where they have none: it follows the convention of docs/conventions.md there, and a second derivative
    sees the convention and not the function.  `lost` are those whose slope is computed as 0 from a result that is
    rounded to 1, where it is small and not 0.  `cotangent` is that of the output, ones by default.

    Cost: an evaluation that is recorded, two of the record, and one sweep with everything kept.  Raises as
    `ReverseSweep` does.

    >>> print(diagnose(lambda x: np.sum(np.where(x > 0, np.log(np.abs(x)), 0.0)), np.array([1.0, 0.0])).adjoint.what)
    an adjoint that is not finite
    """
    with np.errstate(all="ignore"):
        program, args = program_of("diagnose", f, args)
        if cotangent is None:
            cotangent = tree_map(_one_of, program(*args))
        sweep = ReverseSweep.called("diagnose", program, args, cotangent)
        value = next(_values(sweep), None)
        kinks, lost = list(_named(sweep, "a kink", _KINKS)), list(_named(sweep, "a slope lost to rounding", _LOST))
        adjoint = _first_adjoint(sweep)
    return Diagnosis(sweep.program.name, value, adjoint, kinks, lost)


def _one_of(out: Any) -> Any:
    if not has_derivative(out):
        return out
    return np.ones_like(out) if isinstance(out, np.ndarray) else type(out)(1)


def _finite(value: Any) -> bool:
    return not has_derivative(value) or bool(np.isfinite(value).all())


def _values(sweep: ReverseSweep) -> Iterator[Finding]:
    for equation in sweep.program.equations:
        given = sweep.given(equation)
        if not _finite(sweep.values[equation.result]) and all(map(_finite, given)):
            yield Finding(
                "a value that is not finite",
                sweep.program,
                equation,
                f"{value_text(sweep.values[equation.result])} of {_texts(given)}",
            )


def _texts(values: list[Any]) -> str:
    return ", ".join(value_text(value) for value in values if has_derivative(value)) or "no numbers"


def _first_adjoint(sweep: ReverseSweep) -> Finding | None:
    #: by value, the operations that have added to its adjoint
    users: dict[int, list[Equation]] = {}
    for step in sweep:
        for contribution in step.contributions:
            if not _finite(contribution.value) and _finite(step.adjoint):
                return _adjoint(sweep, step, contribution, users)
            users.setdefault(contribution.operand, []).append(step.equation)
    return None


def _adjoint(
    sweep: ReverseSweep, step: ReverseStep, contribution: Contribution, users: dict[int, list[Equation]]
) -> Finding:
    detail = f"the adjoint {value_text(step.adjoint)} adds {value_text(contribution.value)} to {contribution.name}"
    adjoint, added = np.asarray(step.adjoint), np.asarray(contribution.value)
    zeros = (
        bool(np.any(adjoint == 0)) if adjoint.shape != added.shape else bool(np.any(np.isnan(added) & (adjoint == 0)))
    )
    if zeros and np.isnan(added).any():
        detail += ", which is zero times an infinite slope"
        choices = [equation for equation in users.get(step.equation.result, []) if _chooses(equation)]
        if choices:
            detail += "; the zero comes from " + " and ".join(
                one_line(f"{right_side(sweep.program, equation)}{equation.where}") for equation in choices
            )
    detail += f"; the operands are {_texts(sweep.given(step.equation))}"
    return Finding("an adjoint that is not finite", sweep.program, step.equation, detail)


def _chooses(equation: Equation) -> bool:
    return isinstance(equation.primitive, Write) or equation.primitive.name.lstrip("_") in _CHOICES


# --- kinks ------------------------------------------------------------------------------------------------------------


_Rules = dict[Any, Callable[[list[Any], Any], tuple[int, str]]]


def _named(sweep: ReverseSweep, what: str, rules: _Rules) -> Iterator[Finding]:
    for equation in sweep.program.equations:
        if isinstance(equation.primitive, Write) or not sweep.varies[equation.result]:
            continue
        rule = rules.get(equation.primitive.function)
        if rule is None:
            continue
        count, convention = rule(sweep.given(equation), sweep.values[equation.result])
        if count:
            elements = f"{count} elements" if count > 1 else "one element"
            yield Finding(what, sweep.program, equation, f"{convention} at {elements}")


def _at_zero(convention: str) -> Callable[[list[Any], Any], tuple[int, str]]:
    return lambda given, out: (int(np.count_nonzero(np.asarray(given[0]) == 0)), convention)


def _norm_at_zero(given: list[Any], out: Any) -> tuple[int, str]:
    return int(np.count_nonzero(np.asarray(out) == 0)), "a norm at zero, whose derivative is taken as 0"


def _tie(given: list[Any], out: Any) -> tuple[int, str]:
    return int(np.count_nonzero(np.equal(given[0], given[1]))), "a tie, of which each operand gets one half"


def _several(given: list[Any], out: Any) -> tuple[int, str]:
    # Where an extremum is attained more often than there are results, some of them share it.
    attained = np.asarray(given[0])
    found = int(np.count_nonzero(np.isin(attained, np.unique(np.asarray(out))))) - int(np.size(out))
    return max(found, 0), "a tie, which those that attain the extremum share,"


def _saturated(given: list[Any], out: Any) -> tuple[int, str]:
    lost = np.isfinite(np.asarray(given[0])) & (np.abs(np.asarray(out)) == 1)
    return int(np.count_nonzero(lost)), "it is rounded to 1 and its slope, which is 4 exp(-2 |x|), to 0"


_LOST: _Rules = {np.tanh: _saturated}

_KINKS: _Rules = {
    **dict.fromkeys((np.absolute, np.fabs), _at_zero("|x| at zero, whose derivative is taken as 0")),
    RELU.function: _at_zero("relu at zero, whose derivative is taken as 0"),
    **dict.fromkeys((norm_sqrt.function, np.hypot), _norm_at_zero),
    **dict.fromkeys((np.maximum, np.minimum, np.fmax, np.fmin), _tie),
    **dict.fromkeys((np.max, np.min), _several),
}


# --- every derivative within a context --------------------------------------------------------------------------------


@contextmanager
def debug(report: Callable[[str], Any] | None = None) -> Iterator[list[Diagnosis]]:
    """Diagnose every derivative that is taken within it: where the first NaN or infinity comes from, and the kinks met.

    It yields a list of what was found, which grows, and prints each to stderr; `report` is called with the text in
    place of that.  What is diagnosed is the function that a transform is given (`diagnose`), at the point where it is
    called; a derivative within a derivative is part of the function that the outer one is given.  A function that
    cannot be recorded (`shared.trace`) is left alone, and says so.  A compiled function runs as text, and is seen
    where it is recorded.

    Cost: for each differentiation within it that of `diagnose`; nothing outside.

    >>> import reversead
    >>> with debug(report=lambda text: None) as found:
    ...     gradient = reversead.grad(lambda x: np.sum(np.abs(x)))(np.array([1.0, 0.0]))
    >>> found[0].kinks[0].what, found[0].kinks[0].detail
    ('a kink', '|x| at zero, whose derivative is taken as 0 at one element')
    """
    say = report or (lambda text: print(text, file=sys.stderr))
    found: list[Diagnosis] = []

    def watch(selection: Selection) -> None:
        before = WATCHING.get()
        WATCHING.set(None)
        try:
            diagnosis = _of(selection)
            if isinstance(diagnosis, str):
                say(diagnosis)
            elif diagnosis:
                found.append(diagnosis)
                say(str(diagnosis))
        finally:
            WATCHING.set(before)

    before = WATCHING.get()
    try:
        WATCHING.set(watch)
        yield found
    finally:
        WATCHING.set(before)


def _of(selection: Selection) -> Diagnosis | str | None:
    """What there is to say of one call of a transform; None where it is part of another one."""
    leaves = selection.leaves
    if any(isinstance(leaf, DuckArray) for leaf in leaves):
        return None

    def function(*values: Any) -> Any:
        out = selection.call(values)
        return out[0] if isinstance(out, tuple) and len(out) == 2 and not has_derivative(out[1]) else out

    function.__name__ = getattr(selection.f, "__name__", "the function")
    names = _names(selection)
    if len(names) == len(leaves):
        parameters = [Parameter(name, Parameter.POSITIONAL_OR_KEYWORD) for name in names]
        function.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    try:
        return diagnose(function, *leaves)
    except Exception as error:
        return one_line(f"debug: {function.__name__} cannot be followed: {type(error).__name__}: {error}")


def _names(selection: Selection) -> list[str]:
    """The names of the arguments that vary; none where they cannot be told."""
    try:
        found = list(signature(selection.f).parameters)
        return [place if isinstance(place, str) else found[place] for place in selection.places]
    except (TypeError, ValueError, IndexError):
        return []


__all__ = ["Diagnosis", "Finding", "debug", "diagnose"]
