"""Checkpointing: reverse mode that recomputes a part of a program in place of remembering it.

A tape keeps the operands of every operation until the sweep has passed it.  `checkpoint(f)` keeps the arguments of `f`
alone, and runs `f` once more when the sweep comes to it; `checkpoint_loop` does so for the steps of a loop, with as
many stored states as it is allowed, by the schedule that recomputes least (Griewank 1992).  What an engine does about
it is in a module that its levels name (`Level.checkpointing`), loaded at the first checkpoint; this module knows the
schedule, no derivative and no engine.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from math import isqrt
from operator import index
from typing import Any, ParamSpec, TypeVar

from shared.calling.results import independent
from shared.calling.transformed import transformed
from shared.calling.tree import flatten, tree_map
from shared.core.duck_array import highest
from shared.core.errors import user_line

Function = Callable[..., Any]
P = ParamSpec("P")
V = TypeVar("V")


def checkpoint(f: Callable[P, V]) -> Callable[P, V]:
    """The function `f`, of which reverse mode keeps the arguments alone and recomputes the inside.

    The returned function takes and returns what `f` does: numbers, arrays and nested containers of them, keywords
    too.  Its value and all its derivatives are those of `f`.

    What it saves: a tape keeps the operands of all operations of `f` until the sweep has passed them.  Of a
    checkpointed call it keeps the arguments; the operands are there only while the sweep is inside of it.  A chain of n
    operations cut into sqrt(n) checkpointed pieces needs memory for 2 sqrt(n) values.  Checkpoints may be nested.

    Cost: one more evaluation of `f` in every sweep, and one more for each checkpoint that `f` is called
    within.  In forward mode there is nothing to save, and it costs nothing.  Where reverse mode goes over another
    derivative of a checkpointed function (reverse over reverse, reverse over forward), the result is right, but nothing
    is saved; for Hessian-vector products take forward over reverse, `dualad.jvp(reversead.grad(f), ...)`, which saves.

    `f` must be pure, because its second evaluation has to repeat the first: what it draws at random, and variables that
    are bound again later (of a loop around it), are passed as arguments.  It may use traced values of the program
    around it, which get their derivatives, but without a traced argument it is evaluated as if it were not
    checkpointed.  It may assign to arrays that it makes, and not to its arguments.

    Raises ImpureFunctionError where it assigns to an argument, or does something else the second time, as far as its
    values show it; StaleViewError where it assigns to a traced array of the program around it; ClosedLevelError where a
    traced value leaves it otherwise than by being returned.

    >>> import numpy as np
    >>> import reversead
    >>> block = checkpoint(lambda x: np.sin(np.exp(x) * x))
    >>> round(reversead.grad(lambda x: block(block(x)))(0.5), 9)
    0.249745397

    Source: Griewank & Walther 2008, Evaluating Derivatives, chapter 12; as a function transform, Chen et al. 2016,
    Training deep nets with sublinear memory cost.
    """

    @transformed(checkpoint, f)
    def checkpointed(*args: Any, **kwargs: Any) -> Any:
        level = _innermost((args, kwargs))
        if level is None or level.checkpointing is None:
            return f(*args, **kwargs)
        return import_module(level.checkpointing).call(level, f, args, kwargs)

    return checkpointed


def checkpoint_loop(step: Function, state: Any, n: int, snapshots: int | None = None) -> Any:
    """The state after `n` steps: `for k in range(n): state = step(state, k)`, reversed within limited memory.

    `state` is a number, an array or a nested container of them, and so is what `step(state, k)` returns.  In reverse
    mode at most `snapshots` states are kept at a time (the initial one counted), and steps are recomputed from them
    when the sweep comes to them; the operations of one step are recorded at a time.  By default `snapshots` is about
    sqrt(2 n), with which no step is evaluated more than three times.

    Cost: the schedule is the binomial one, which recomputes least (Griewank 1992; Griewank & Walther 2000, Algorithm
    799).  With c snapshots and r the least number for which n <= C(c + r, c), no step is evaluated more than r + 1
    times, and value and gradient together evaluate `step` exactly (r + 1) n - C(c + r, c + 1) times (`evaluations`):

    =========  ==================  =================  =================  =================
    snapshots  n = 100             n = 1,000          n = 10,000         n = 100,000
    =========  ==================  =================  =================  =================
    3          590 (5.9 n)         13,155 (13.2 n)    288,730 (28.9 n)   6,276,445 (62.8 n)
    10         322 (3.2 n)         4,636 (4.6 n)      67,624 (6.8 n)     932,040 (9.3 n)
    30         268 (2.7 n)         3,472 (3.5 n)      44,016 (4.4 n)     547,640 (5.5 n)
    100        199 (2.0 n)         2,898 (2.9 n)      34,747 (3.5 n)     394,747 (3.9 n)
    default    285 (2.9 n)         2,954 (3.0 n)      29,858 (3.0 n)     299,552 (3.0 n)
    =========  ==================  =================  =================  =================

    So n may grow exponentially while memory and evaluations a step grow linearly.  In forward mode, and where nothing
    is traced, it is the plain loop.  A pullback evaluates the steps again each time it is called; as it keeps its own
    snapshots for the next time, there are up to twice as many while it runs.

    `step` must be pure, but for one thing: it may change the state that it is given in place, and return it; the
    arrays of the caller are not changed.  It may use traced values of the program around it, such as weights, which get
    their derivatives.

    Raises ValueError for a negative n or fewer than one snapshot, TypeError for what is no integer, and the errors of
    `checkpoint`.

    >>> import reversead
    >>> def decay(rate):
    ...     return checkpoint_loop(lambda x, k: x - 0.001 * rate * x, 1.0, 1000, snapshots=5)
    >>> value, derivative = reversead.value_and_grad(decay)(2.0)
    >>> round(value, 9), round(derivative, 9)
    (0.135064522, -0.135335193)
    """
    n = _integer("n", n)
    if n < 0:
        raise ValueError(f"checkpoint_loop: the number of steps is {n}{user_line()}, but cannot be negative")
    if snapshots is not None:
        snapshots = _integer("snapshots", snapshots)
        if snapshots < 1:
            raise ValueError(
                f"checkpoint_loop: snapshots={snapshots}{user_line()}, but the initial state itself is one that has to "
                "be kept; give at least 1, or None for about sqrt(2 n)"
            )
    else:
        snapshots = default_snapshots(n)
    if not n:
        return state
    # A step may work in place, on arrays of our own.
    state = tree_map(independent, state)
    k = 0
    while k < n:
        level = _innermost(state)
        if level is None or level.checkpointing is None:
            state = step(state, k)
            if state is None:
                raise TypeError(f"checkpoint_loop: step returned None{user_line()}; it must return the state")
            k += 1
        else:
            state, k, snapshots = import_module(level.checkpointing).loop(level, step, state, k, n, snapshots)
    return state


def _innermost(values: Any) -> Any:
    """The level of the innermost differentiation among some values, None if none is traced."""
    top = highest(flatten(values)[0])
    return None if top is None else top.level


def _integer(name: str, value: Any) -> int:
    if not isinstance(value, bool):
        with suppress(TypeError):
            return index(value)
    raise TypeError(f"checkpoint_loop: {name} must be an integer, not {value!r}{user_line()}")


# --- the binomial schedule --------------------------------------------------------------------------------------------


def default_snapshots(n: int) -> int:
    """The fewest snapshots with which no step of `n` is evaluated more than three times: about sqrt(2 n).

    >>> default_snapshots(10_000)
    140
    """
    # The least c with C(c + 2, 2) >= n.
    c = max(1, (isqrt(8 * n + 1) - 3) // 2)
    return c if (c + 1) * (c + 2) >= 2 * n else c + 1


def evaluations(n: int, snapshots: int) -> int:
    """How often `checkpoint_loop` evaluates its step for the value and one reverse sweep together.

    Each of the `n` steps is evaluated once to be recorded, and t times in all to advance to a later state,
    t = r n - C(c + r, c + 1) with c snapshots and the least r for which n <= C(c + r, c) (Griewank & Walther 2000,
    equation 3).  If the state varies only because of traced values that `step` uses, and not from the start, the first
    step is recorded at once: 1 + evaluations(n - 1, snapshots).

    >>> evaluations(1, 1), evaluations(4, 1), evaluations(4, 3), evaluations(10, 3)
    (1, 10, 7, 25)
    """
    if n < 2:
        return n
    if snapshots == 1:
        return n * (n + 1) // 2
    r, reach, _ = _repetitions(n, snapshots)
    return n + r * n - reach * r // (snapshots + 1)


def split(length: int, snapshots: int) -> int:
    """Of `length` > 1 steps, after how many the next snapshot is stored, if the first of `snapshots` is at the start.

    It minimises m + t(m, snapshots) + t(length - m, snapshots - 1): advance m steps, reverse the rest with the other
    snapshots, then the m with all of them (Griewank & Walther 2000, section 2).

    >>> split(10, 3), split(10, 1)
    (4, 9)
    """
    if snapshots == 1:
        return length - 1
    r, _, before = _repetitions(length, snapshots)
    # With c snapshots, the steps before the next one may be C(c + r - 1, c) at most (`before`), and the rest, for which
    # one snapshot less is left, C(c + r - 2, c - 1) at least.  This is the latest such place.
    return min(before, length - before * snapshots // (snapshots + r - 1))


def _repetitions(length: int, snapshots: int) -> tuple[int, int, int]:
    """The least r with length <= C(snapshots + r, snapshots), that number, and the same for r - 1."""
    r, reach, before = 0, 1, 0
    while reach < length:
        r += 1
        before, reach = reach, reach * (snapshots + r) // r
    return r, reach, before
