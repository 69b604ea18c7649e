"""`check_grads`: are the derivatives that engines compute those of the function?  For users' own tests.

First derivatives are compared with differences of `f`, and with the complex step where `f` allows it;
cotangents with tangents through the adjoint identity; and every composition of engines with differences of
the derivative before it.  Engines are never compared with each other: they read the same rules, so they would
agree on a wrong one.

This module knows the interface of an engine (jvp and vjp) and nothing of its workings; it takes engines as
arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.checking.comparison import GradientMismatch
from shared.checking.first_derivative import Comparison, FirstDerivative, InconclusiveDifferences
from shared.checking.leaves import Differentiator, LeafFunction, derivative_function, leaf_function, name_of
from shared.core.visible import html_text, one_line

__all__ = ["Comparison", "GradientMismatch", "GradientReport", "InconclusiveDifferences", "check_grads"]


@dataclass(frozen=True, repr=False)
class GradientReport:
    """What `check_grads` compared; its repr is a table of it."""

    comparisons: tuple[Comparison, ...]
    #: why f itself was not compared with the complex step; empty if it was
    skipped: str = ""

    @property
    def largest(self) -> float:
        """The largest relative disagreement of all comparisons."""
        return max((c.disagreement for c in self.comparisons), default=0.0)

    def __repr__(self) -> str:
        count = len(self.comparisons)
        lines = [f"{count} comparisons passed; largest relative disagreement {self.largest:.1e}"]
        width = max((len(c.engine) for c in self.comparisons), default=0)
        lines += [f"  {c.engine:<{width}}  {c.disagreement:.1e}  against {c.reference}" for c in self.comparisons]
        lines += [f"  skipped: {self.skipped}"] if self.skipped else []
        return "\n".join(map(one_line, lines))

    def _repr_html_(self) -> str:
        rows = [(c.engine, f"{c.disagreement:.1e}", c.reference) for c in self.comparisons]
        rows += [("", "skipped", self.skipped)] if self.skipped else []
        body = "".join(f"<tr>{''.join(f'<td>{html_text(cell)}</td>' for cell in row)}</tr>" for row in rows)
        heads = "<th>derivative</th><th>disagreement</th><th>against</th>"
        caption = f"{len(self.comparisons)} comparisons passed; largest relative disagreement {self.largest:.1e}"
        return f"<table><caption>{caption}</caption><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"


def check_grads(
    f: Callable[..., Any],
    *args: Any,
    engines: Sequence[Differentiator],
    order: int = 2,
    modes: Sequence[str] = ("jvp", "vjp"),
    argnums: int | Sequence[int] | None = None,
    directions: int = 1,
    rtol: float | None = None,
    atol: float = 0.0,
    rng: int | np.random.Generator = 0,
) -> GradientReport:
    """Check the derivatives of `f` at `args` by every engine, and by every composition of engines up to
    `order`.

    `args` may nest lists, tuples, dicts and named tuples of arrays, and so may the output of `f`, which need
    not be scalar.  `engines` are modules with the interface `jvp(f, primals, tangents)` and `vjp(f,
    *primals)`.  At order 2 every engine differentiates the derivative by every engine, in each of `modes`; at
    order k, k deep.

    Each jvp is compared with central differences, in `directions` random directions in which every element of
    every argument changes in proportion to its size; f itself with the complex step too, where it is
    analytic.  A vjp is compared with the jvp by <c, J t> = <J^T c, t> (of complex products the real part), or
    with differences where `modes` has no "jvp".  Values, shapes and dtypes of outputs, tangents and
    cotangents are compared as well.  Derivatives of order 2 and more are taken by the arguments and by the
    seeds.

    `argnums` names the arguments to differentiate.  By default they are all; integers, bools and other leaves
    without a derivative are then left as they are, while integers of arguments named in `argnums` are taken
    as float64.  The tolerance is the estimated error of the reference, plus `rtol` of the derivative (by
    default 256 units of rounding of the coarsest dtype), plus `atol`; before it reports a mismatch it
    measures, at arguments moved a little, how much of it is rounding.  `rng` is a seed or generator: equal
    seeds make equal comparisons.

    Returns a `GradientReport`.  Raises GradientMismatch (an AssertionError) naming the engine, the argument,
    the index, both values and the estimated error; InconclusiveDifferences (an AssertionError) where
    differences of f tell nothing, at a kink or a discontinuity; ValueError where f is not deterministic, is
    not finite at `args`, or there is nothing to differentiate.

    Cost: for each engine and direction 9 to 49 evaluations of f, 4 with the complex step, a jvp and a vjp; at
    order k these times (engines x modes)^(k-1), each evaluation being that of a derivative of order k-1.

    >>> import numpy as np, dualad, reversead
    >>> report = check_grads(lambda x, y: np.sin(x) * y, np.ones(3), 2.0, engines=(dualad, reversead))
    >>> len(report.comparisons), report.largest < 1e-9
    (22, True)

    Sources: A. Griewank and A. Walther, "Evaluating Derivatives" (2008), chapter 3, for the adjoint identity;
    `shared.checking.differences` and `shared.checking.complex_step` for the references.
    """
    if order < 1:
        raise ValueError(f"order must be 1 or more, not {order}")
    if not engines:
        raise ValueError("name the engines to check: check_grads(f, x, engines=(dualad, reversead))")
    if not modes or not set(modes) <= {"jvp", "vjp"}:
        raise ValueError(f"modes must be 'jvp', 'vjp' or both, not {tuple(modes)!r}")
    function = leaf_function(f, args, argnums)
    _require_testable(function)
    generator = np.random.default_rng(rng)
    comparisons: list[Comparison] = []
    skipped = ""
    candidates = [(function, "")]
    for depth in range(order):
        for candidate, over in candidates:
            for _ in range(directions):
                derivative = FirstDerivative(candidate, over, modes, rtol, atol, generator)
                skipped = skipped if over else derivative.skipped
                for engine in engines:
                    comparisons += derivative.compare(engine)
        if depth < order - 1:
            candidates = [
                (
                    derivative_function(engine, mode, candidate, generator),
                    f" over {name_of(engine)}.{mode}{over}",
                )
                for candidate, over in candidates
                for engine in engines
                for mode in modes
            ]
    return GradientReport(tuple(comparisons), skipped)


def _require_testable(function: LeafFunction) -> None:
    first, second = function.call(*function.fresh()), function.call(*function.fresh())
    for name, a, b in zip(function.outputs, first, second, strict=True):
        if not np.all(np.isfinite(a)):
            raise ValueError(f"{name} is not finite at these arguments; choose a point where it is")
        if not np.array_equal(a, b):
            raise ValueError(
                f"{name} differs between two calls with the same arguments; fix what f draws at random, or "
                "what it keeps between calls"
            )
