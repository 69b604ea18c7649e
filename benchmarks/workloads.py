"""What is measured: functions, sizes and modes, defined once for asv, `python -m benchmarks` and the tests.

A workload is a scalar function of one argument, the argument, and the number of its inputs.  This module knows
nothing of clocks, asv or pictures, needs nothing but NumPy and the engines, and computes nothing at import: a
workload is built when it is first asked for, and kept.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

import dualad
import reversead
from shared import cost, derivative_costs
from shared.calling.tree import tree_map
from shared.checking.differences import finite_difference_gradient
from shared.counting.counter import count_operations
from shared.networks.mlp import MLP
from shared.programs import DerivativeCosts

#: `function` is the plain evaluation, without any derivative; the others take value and gradient.  Forward mode is
#: measured both ways: one direction at a time, a run of the program for each input, and batched, where every NumPy call
#: carries many directions.  Batching saves Python's cost an operation, and computes the function itself once for many
#: directions; the arithmetic of the directions remains, so both counts of operations grow alike.  Finite differences
#: need no engine: one evaluation more for each input.
MODES = ("function", "reverse", "forward", "batched forward", "finite differences")

#: The modes of `one_derivative`, where forward mode and differences take one direction and there is nothing to batch.
SINGLE_MODES = ("function", "reverse", "forward", "finite differences")

#: The step of differences in one direction, near the best for numbers of size 1: the square root of float64's rounding.
DIFFERENCE_STEP = 2.0**-26


def value_and_differences(function: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, Any]]:
    """Value and gradient by forward differences, in n + 1 evaluations for n inputs, the value's own among them."""

    def both(argument: Any) -> tuple[Any, Any]:
        values = []

        def remembered(x: Any) -> Any:
            values.append(function(x))
            return values[-1]

        gradient = finite_difference_gradient(remembered, argument)
        return values[0], gradient

    return both


#: The transform of each differentiating mode.
VALUE_AND_GRADIENT: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "reverse": reversead.value_and_grad,
        "forward": functools.partial(dualad.value_and_grad, chunk_size=1),
        "batched forward": dualad.value_and_grad,
        "finite differences": value_and_differences,
    }
)

#: The rows of `shared.derivative_costs` that there are for any number of inputs.
DERIVATIVES = (
    "value and gradient, reverse",
    "value and direction, forward",
    "value and gradient, forward",
    "Hessian-vector product, forward over reverse",
    "Hessian-vector product, reverse over forward",
    "Hessian-vector product, reverse alone",
)

#: What a reverse gradient is made of, and one forward direction beside it; see `part`.
PARTS = ("plain evaluation", "traced evaluation", "reverse sweep", "whole gradient", "forward sweep")

#: log2 of the numbers of network parameters: 64 to 8192.  One direction at a time, the largest takes seconds.
LOG2_INPUTS = (6, 7, 8, 9, 10, 11, 12, 13)

#: The smallest and the largest network that `network` is meant for, as log2 of its number of parameters.
LOG2_INPUTS_RANGE = (5, 16)

#: log2 of the numbers of chained operations that are timed: 16 to 4096.
LOG2_DEPTHS = (4, 6, 8, 10, 12)

#: log2 of the numbers of chained operations whose memory is measured: 8 to 128.
LOG2_MEMORY_DEPTHS = (3, 4, 5, 6, 7)

NETWORK_BATCH = 256
CHAIN_INPUTS = 10
#: Two mebibytes of float64 an array, so what an operation keeps stands out from the interpreter's own.
MEMORY_CHAIN_INPUTS = 2**18


@dataclass(frozen=True, eq=False)
class Workload:
    """A scalar function of one argument, a tree of arrays, and how many numbers that tree holds."""

    name: str
    function: Callable[[Any], Any]
    argument: Any
    inputs: int


def layer_sizes(log2_inputs: int) -> tuple[int, int, int]:
    """The input, hidden and output widths of a nearly square network with exactly 2**log2_inputs parameters.

    With h hidden units, h outputs and d inputs there are h (d + 1) + h (h + 1) parameters; for h a power of
    two, d = 2**log2_inputs / h - h - 2 makes that sum the power of two asked for.

    >>> layer_sizes(8)
    (22, 8, 8)
    >>> 8 * (22 + 1) + 8 * (8 + 1)
    256

    Raises ValueError where no such network exists, below 32 parameters.
    """
    if log2_inputs < LOG2_INPUTS_RANGE[0]:
        raise ValueError(f"no network here has 2**{log2_inputs} parameters: give 5 or more")
    hidden = 2 ** (log2_inputs // 2 - 1)
    return 2**log2_inputs // hidden - hidden - 2, hidden, hidden


@functools.cache
def network(log2_inputs: int) -> Workload:
    """The loss of a tanh network with 2**log2_inputs parameters on a random batch, as a function of them.

    The batch does not grow with the network, so the operations of the loss grow as the number of parameters.
    """
    sizes = layer_sizes(log2_inputs)
    rng = np.random.default_rng(log2_inputs)
    images = rng.uniform(-1.0, 1.0, size=(NETWORK_BATCH, sizes[0]))
    labels = rng.integers(0, sizes[-1], size=NETWORK_BATCH)
    return classifier(MLP(sizes, "tanh"), images, labels, rng)


def classifier(mlp: MLP, images: Any, labels: Any, rng: np.random.Generator) -> Workload:
    """The cross-entropy of `mlp` on labelled images (batch, inputs), as a function of fresh parameters."""
    objective = mlp.objective("softmax_cross_entropy")

    def loss(parameters: Any) -> Any:
        return objective(parameters, images, labels)

    inputs = mlp.number_of_parameters
    return Workload(f"network of {inputs} parameters", loss, mlp.initialise("xavier_normal", rng), inputs)


@functools.cache
def rosenbrock(log2_inputs: int) -> Workload:
    """Rosenbrock's function of 2**log2_inputs variables, whose operations grow as their number, but for a constant."""

    def valley(x: Any) -> Any:
        return np.sum(100.0 * (x[1:] - x[:-1] * x[:-1]) ** 2 + (1.0 - x[:-1]) ** 2)

    inputs = 2**log2_inputs
    return Workload(f"Rosenbrock's function of {inputs} variables", valley, np.linspace(-1.0, 1.0, inputs), inputs)


@functools.cache
def chain(log2_depth: int, inputs: int = CHAIN_INPUTS) -> Workload:
    """The sum of sin(sin(...sin(x))), 2**log2_depth times, of a vector of length `inputs`.

    The derivative of every step needs the step's operand, so a reverse sweep keeps one array an operation.
    """
    depth = 2**log2_depth

    def repeated_sine(x: Any) -> Any:
        for _ in range(depth):
            x = np.sin(x)
        return np.sum(x)

    return Workload(f"chain of {depth} operations", repeated_sine, np.linspace(0.5, 1.5, inputs), inputs)


def transformed(workload: Workload, mode: str) -> Callable[[Any], Any]:
    """The function of the workload's argument that is measured: its value, or value and gradient.

    In forward mode a gradient of n inputs takes n directions; in reverse mode it is one sweep forwards and one
    backwards.
    """
    return workload.function if mode == "function" else VALUE_AND_GRADIENT[mode](workload.function)


@functools.cache
def task(workload: Workload, mode: str) -> Callable[[], Any]:
    """The computation that is timed, ready to be called: `transformed(workload, mode)` of its argument."""
    return functools.partial(transformed(workload, mode), workload.argument)


@functools.cache
def one_derivative(workload: Workload, mode: str) -> Callable[[], Any]:
    """One of `SINGLE_MODES`: where one forward direction is compared with a reverse gradient, as for memory.

    `function` and `reverse` are those of `task`; `forward` is a single jvp, along ones, and `finite differences` the
    quotient along the same.
    """
    return functools.partial(single(workload, mode), workload.argument)


def single(workload: Workload, mode: str) -> Callable[[Any], Any]:
    """What `one_derivative` computes, as a function of the workload's argument."""
    function = workload.function
    if mode == "forward":
        return lambda x: dualad.jvp(function, (x,), (tree_map(np.ones_like, x),))
    if mode == "finite differences":
        return lambda x: (function(tree_map(lambda leaf: leaf + DIFFERENCE_STEP, x)) - function(x)) / DIFFERENCE_STEP
    return transformed(workload, mode)


@functools.cache
def part(workload: Workload, name: str) -> Callable[[], Any]:
    """One of `PARTS`, ready to be called.

    A traced evaluation is a vjp whose pullback is not called; a reverse sweep is one call of a pullback that
    stands; a forward sweep is one jvp.
    """
    if name == "traced evaluation":
        return functools.partial(reversead.vjp, workload.function, workload.argument)
    if name == "reverse sweep":
        value, pullback = reversead.vjp(workload.function, workload.argument)
        return functools.partial(pullback, np.ones_like(value))
    if name == "forward sweep":
        return one_derivative(workload, "forward")
    return task(workload, {"plain evaluation": "function", "whole gradient": "reverse"}[name])


@functools.cache
def operations(workload: Workload, mode: str) -> int:
    """How many operations `task(workload, mode)` makes, exactly, as `shared.counting.counter` counts them.

    Finite differences are n + 1 evaluations; the subtraction and the division of each quotient are left out.
    """
    if mode == "finite differences":
        return (workload.inputs + 1) * operations(workload, "function")
    return count_operations(transformed(workload, mode), workload.argument)


@functools.cache
def derivatives(workload: Workload) -> DerivativeCosts:
    """What the derivatives of a workload cost in operations, each way to get them."""
    return derivative_costs(workload.function, workload.argument, forward=dualad, reverse=reversead)


@functools.cache
def bytes_alive(workload: Workload, mode: str) -> int:
    """The most bytes that the values of `one_derivative(workload, mode)` occupy at once, read off its record."""
    return cost(single(workload, mode), workload.argument).peak_bytes
