"""`compare`: a function, and all ways to its derivatives counted, measured and checked.

It puts the parts together; each is in a module of its own.  The engines are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from shared.calling.arguments import Argnums
from shared.calling.engine import Engine
from shared.comparison.advice import colouring, hessian_colouring, predict
from shared.comparison.agreement import agreement
from shared.comparison.calibration import machine
from shared.comparison.figures import Measuring
from shared.comparison.frontier import memory_at
from shared.comparison.point import Point
from shared.comparison.progress import progress
from shared.comparison.result import ModeComparison
from shared.comparison.ways import ways
from shared.core.errors import user_line

#: Turns in which every way is timed.
_ROUNDS = 3
#: A way that takes no longer than this many seconds, as far as counts tell, is run in any case.
_LONGEST = 0.5


def compare(
    f: Callable[..., Any],
    *args: Any,
    engines: Sequence[Engine],
    argnums: Argnums | None = None,
    seconds: float = 1.0,
    show_progress: bool | None = None,
) -> ModeComparison:
    """Every way to the derivatives of `f` at `args` beside each other, and which one to take.

    `f` is any differentiable function of numbers, arrays and containers, and returns such; `engines` are a forward and
    a reverse engine, `engines=(dualad, reversead)`.  `argnums` says which arguments vary, as in `grad`; by default all
    that can: floating-point numbers and arrays, and integers that are arguments themselves, as floats.  What is
    compared, where `f` has it:

    - the value, plain and compiled; a direction and a cotangent by both engines, by extrapolated differences and by a
      complex step;
    - the gradient, or the Jacobian: forward and reverse, one by one and batched, compiled, sparse with its colouring,
      mixed (the arguments with fewer numbers than there are outputs forwards, the others in reverse), by n + 1
      evaluations and by a complex step;
    - the product with the Hessian and the whole Hessian, in every order of the engines, sparse and compiled.

    Each has its operations, counted (see `count_operations`), the bytes alive at its peak (see `cost`), the least CPU
    time of many calls in turns, and its largest relative difference from the first exact way of its kind.  A way that
    would take longer than half a second, or `seconds` / 2, as its counts tell, is not run: of equal parts one is
    counted.  Set one BLAS thread
    (`OPENBLAS_NUM_THREADS=1`) before NumPy is imported to have times that compare.  `show_progress` turns the bar on
    standard error on or off; by default it is there on a terminal.

    Cost: a few seconds, `seconds` of which for the times.  Of a function that takes longer than 0.2 seconds an
    evaluation, or makes more than 5,000 NumPy calls, only the value, a direction, the gradient or Jacobian and a
    product with the Hessian are run, of a slow one without differences: about 40 evaluations in all.  Raises TypeError
    where `f` is no function or returns what is no number, LeafTypeError where no argument can vary, ImpureFunctionError
    where a second evaluation gives another result, ValueError for a time that is not positive, and what `f` and the
    engines raise.

    >>> import numpy as np, dualad, reversead
    >>> found = compare(lambda x: np.sum(np.sin(x) * x), np.ones(100), engines=(dualad, reversead), seconds=0.2)
    >>> found.inputs, found.outputs, found["gradient", "reverse"].operations, found.agreement.holds
    (100, 1, 2600, True)
    """
    if isinstance(seconds, bool) or not seconds > 0:
        raise ValueError(f"compare: seconds must be a positive number, not {seconds!r}{user_line()}")
    point = Point("compare", f, args, argnums, engines)
    checked = agreement(point)
    sparse, second = colouring(point), hessian_colouring(point)
    every = ways(point, sparse, second)
    measuring = Measuring(point, max(seconds / 2, _LONGEST))
    with progress(f"comparing {point.function}", (1 + _ROUNDS) * len(every), show_progress) as advance:
        figures = []
        for way in every:
            figures.append(measuring.figure(way))
            advance()
        figures = measuring.timed(figures, _ROUNDS, seconds / (_ROUNDS * len(every)), advance)
    advice = predict(point, sparse, machine(point.forward, point.reverse))
    measured = {figure.name: figure.seconds for figure in figures if figure.group == advice.group}
    advice = advice.beside({name: taken for name, taken in measured.items() if taken is not None})
    found = sparse if sparse is not None else second
    return ModeComparison(
        point.function, point.inputs, point.outputs, point.argnums, tuple(figures), checked, advice,
        memory_at(point), str(found or ""),
    )  # fmt: skip
