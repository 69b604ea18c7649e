"""The theorem in figures: what the derivatives of a function cost, in operations and in evaluations of the function.

A gradient in reverse costs at most a small constant times the function, whatever the number of inputs; a direction
forwards costs a small constant, so that a gradient forwards costs as much for each input (Baur & Strassen 1983, theorem
1; Griewank & Walther 2008, sections 3.2, 3.3 and 4.6).  Products with the Hessian compose the two.  The engines are
arguments: this module knows neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Any, ClassVar

import numpy as np

from shared.calling.arguments import Argnums, Selection
from shared.calling.engine import Engine
from shared.calling.transformed import readable_name
from shared.checking.leaves import like_leaf
from shared.core.errors import user_line
from shared.core.visible import kind_of, shown
from shared.counting.counter import count_operations
from shared.counting.modes import require_order
from shared.programs.explaining.evaluation import varying_arguments, with_floats
from shared.programs.tabulation import Tabulated

#: The bounds on the measure, in evaluations of the function: value and gradient in reverse, value and one direction.
REVERSE, FORWARD = 5, 4

#: The operations by which each of the n numbers of a gradient forwards is put into its place.
PLACING = 3

#: Up to this many inputs all directions of a forward gradient are run; beyond, one is counted, and multiplied.
MOST_DIRECTIONS = 200

_HEADERS = ("derivative", "operations", "evaluations", "bound")


@dataclass(frozen=True, slots=True)
class DerivativeCost:
    """What one derivative costs: `operations`, as a `multiple` of the function's own, beside the `bound` on that."""

    name: str
    operations: int
    multiple: float
    bound: float

    @property
    def holds(self) -> bool:
        """Whether the multiple is within the bound."""
        return self.multiple <= self.bound


@dataclass(frozen=True, slots=True)
class DerivativeCosts(Tabulated):
    """What the derivatives of a function cost: a mapping from their names to a `DerivativeCost` each; a table in print.

    `inputs` is the number of elements that are differentiated with respect to.
    """

    _headers: ClassVar[tuple[str, ...]] = _HEADERS

    function: str
    inputs: int
    derivatives: tuple[DerivativeCost, ...]

    @property
    def holds(self) -> bool:
        """Whether every derivative is within its bound."""
        return all(row.holds for row in self.derivatives)

    def __getitem__(self, name: str) -> DerivativeCost:
        for found in self.derivatives:
            if found.name == name:
                return found
        raise KeyError(f"there is no derivative {name!r}{user_line()}; there are: {', '.join(self)}")

    def __iter__(self) -> Iterator[str]:
        return (found.name for found in self.derivatives)

    def __len__(self) -> int:
        return len(self.derivatives)

    def _caption(self) -> str:
        return f"{self.function}: derivatives with respect to {self.inputs:,} numbers"

    def _rows(self) -> list[list[Any]]:
        return [[row.name, row.operations, row.multiple, f"{row.bound:,.0f}"] for row in self.derivatives]


def derivative_costs(
    f: Callable[..., Any],
    *args: Any,
    forward: Engine,
    reverse: Engine,
    argnums: Argnums | None = None,
    direction: Any = None,
) -> DerivativeCosts:
    """What the value, the gradient and products with the Hessian of a scalar function cost, each way to get them.

    `forward` and `reverse` are the engines, as modules.  `argnums` says which arguments are differentiated with respect
    to, as in `grad`; by default all that can vary: floating-point numbers and arrays, also in containers, and integers
    that are arguments themselves, which are taken as floats (as in `trace_table`; arrays of integers are labels).
    `direction` is a tangent of these, as in `jvp`; ones by default.  Rows:

    - `value`: the function itself;
    - `value and gradient, reverse`: at most 5 evaluations, whatever the number n of inputs;
    - `value and direction, forward`: at most 4;
    - `value and gradient, forward`: n runs, at most 4 n evaluations, and 3 operations for each of the n numbers to put
      it into its place; for more than 200 inputs, n times the row above;
    - `value and gradient, batched forward`: the same n directions in one run (up to 200 inputs);
    - `Hessian-vector product, forward over reverse`: at most 4 * 5 evaluations;
    - `Hessian-vector product, reverse over forward`: at most 5 * 4;
    - `Hessian-vector product, reverse alone`: `reverse.hvp`, at most 5 * 5.

    The bounds are proved for programs of scalar operations and of reads and writes of elements; they hold for
    elementwise functions and products of arrays, too, but some reductions and factorisations of arrays exceed them,
    since their rules do more than the functions themselves (see `holds`).

    Cost: up to 400 evaluations of `f`, most of them for n directions.  Raises ValueError where `f` computes nothing,
    and what the engines raise where `f` is not a scalar function.

    Sources: Baur & Strassen 1983, "The complexity of partial derivatives"; Griewank & Walther 2008, sections 3.2, 3.3,
    3.4 and 4.6 (the bounds 4 and 5 are those of their measure with a read and a write at the price of an addition).

    >>> import dualad, reversead
    >>> found = derivative_costs(lambda x: np.sum(np.sin(x) * x), np.ones(100), forward=dualad, reverse=reversead)
    >>> [round(found[name].multiple, 2) for name in ("value and gradient, reverse", "value and gradient, forward")]
    [2.17, 225.17]
    """
    if not callable(f):
        raise TypeError(f"derivative_costs: expected a function, not {shown(f)} (type {kind_of(f)}){user_line()}")
    require_order("derivative_costs", forward, reverse)
    if argnums is None:
        args = with_floats(f, args)
        argnums = varying_arguments("derivative_costs", f, args)
    selection = Selection("derivative_costs", f, args, {}, argnums)
    inputs = sum(int(np.size(leaf)) for leaf in selection.leaves)
    if direction is None:
        direction = selection.pack([like_leaf(leaf, np.ones(np.shape(leaf))) for leaf in selection.leaves])
    value = count_operations(f, *args)
    if not value:
        raise ValueError(
            f"derivative_costs: {readable_name(f)} computes nothing with its arguments{user_line()}, so nothing can "
            "be told as a multiple of its cost"
        )

    found = [DerivativeCost("value", value, 1.0, 1)]
    programs = _programs(f, forward, reverse, argnums, direction, inputs, value)
    if inputs > MOST_DIRECTIONS:
        del programs["value and gradient, batched forward"]
    for name, (program, bound) in programs.items():
        if inputs > MOST_DIRECTIONS and name == "value and gradient, forward":
            count = inputs * found[-1].operations
        else:
            count = count_operations(program, *args)
        found.append(DerivativeCost(name, count, count / value, bound))
    return DerivativeCosts(readable_name(f), inputs, tuple(found))


def _programs(
    f: Callable[..., Any], forward: Engine, reverse: Engine, argnums: Argnums, direction: Any, inputs: int, value: int
) -> dict[str, tuple[Callable[..., Any], float]]:
    """What computes each derivative, and the bound on that, in evaluations of `f`, which has `value` operations."""

    def along(*x: Any) -> Any:
        return forward.jvp(f, x, direction, argnums=argnums)

    @wraps(f, updated=())
    def slope(*x: Any) -> Any:
        return along(*x)[1]

    def forward_over_reverse(*x: Any) -> Any:
        return forward.jvp(reverse.grad(f, argnums), x, direction, argnums=argnums)

    def reverse_alone(*x: Any) -> Any:
        return reverse.hvp(f, x, direction, argnums=argnums)

    every_direction = FORWARD * inputs + PLACING * inputs / value
    return {
        "value and gradient, reverse": (reverse.value_and_grad(f, argnums), REVERSE),
        # The gradient forwards is counted by the direction before it.
        "value and direction, forward": (along, FORWARD),
        "value and gradient, forward": (forward.value_and_grad(f, argnums, chunk_size=1), every_direction),
        "value and gradient, batched forward": (forward.value_and_grad(f, argnums), every_direction),
        "Hessian-vector product, forward over reverse": (forward_over_reverse, FORWARD * REVERSE),
        "Hessian-vector product, reverse over forward": (reverse.grad(slope, argnums), REVERSE * FORWARD),
        "Hessian-vector product, reverse alone": (reverse_alone, REVERSE * REVERSE),
    }
