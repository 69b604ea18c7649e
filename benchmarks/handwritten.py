"""The speed workloads: plain NumPy functions, each beside its derivative as one writes it well by hand.

The hand-written derivative is the speed limit: it does the same arithmetic with no bookkeeping, so the ratio
of an engine's time to it is what automatic differentiation costs.  Here are gradients and one direction;
matrices and second derivatives are in `benchmarks.handwritten_matrices`.  This module knows no engine and no
clock, and allocates nothing before a problem is made; `benchmarks.speed_table` chooses the sizes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from shared.networks.backprop import backprop
from shared.networks.losses import softmax_cross_entropy
from shared.networks.mlp import MLP

FloatArray = NDArray[np.floating[Any]]

#: How many primitive operations one round of `chain` makes.
OPERATIONS_A_ROUND = 8


@dataclass(frozen=True)
class Problem:
    """A function to differentiate at given arguments, and the answer written by hand.

    `by_hand(*arguments)` returns what the workload's way of differentiating returns: the value and the gradient in
    the first argument; of a jvp the value and the tangent; a Jacobian, a Hessian, a product with a Hessian, or the
    gradients of all examples alone.  Where one direction is asked for, the arguments are the primal and that
    direction, and `function` takes the primal alone.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    by_hand: Callable[..., Any]
    #: Operations that `function` makes, where a cost per operation says something.
    operations: int | None = None
    #: Where `by_hand` is a second derivative: the gradient by hand, of which the tests take differences.
    gradient: Callable[..., Any] | None = None
    #: The data that `function` computes with besides its arguments, as `benchmarks.peers.functions` takes it.
    constants: tuple[Any, ...] = ()


# ----------------------------------------------------------------------------------- multilayer perceptrons


def perceptron(sizes: tuple[int, ...], batch: int, dtype: DTypeLike = np.float64) -> Problem:
    """Softmax cross-entropy of a tanh network on random images, differentiated in every weight and bias."""
    random = np.random.default_rng(20)
    network = MLP(sizes, "tanh")
    parameters = [
        (weights.astype(dtype), biases.astype(dtype)) for weights, biases in network.initialise("xavier_normal", random)
    ]
    images = random.uniform(0.0, 1.0, (batch, sizes[0])).astype(dtype)
    labels = random.integers(0, sizes[-1], batch)

    def loss(parameters: Any) -> Any:
        return softmax_cross_entropy(network(parameters, images), labels)

    def by_hand(parameters: Any) -> tuple[Any, Any]:
        return backprop(network, parameters, images, labels, loss="softmax_cross_entropy")

    return Problem(loss, (parameters,), by_hand, constants=(images, np.eye(sizes[-1])[labels]))


# -------------------------------------------------------------------------------------------- long chains


def chain(x: Any, constant: Any, rounds: int) -> Any:
    """Apply `8 * rounds` operations to x one after the other; what a round hands on is at most `1 + |x|`.

    The mix covers what an operand can be: another traced value, a constant array (or float), a Python float.
    """
    y = x
    for _ in range(rounds):
        y = np.sin(y)
        y = y * x
        y = y + constant
        y = y * constant
        y = y - 0.3
        y = y * 0.9
        y = np.sin(y)
        y = y + x
    return y


def chain_gradient(x: FloatArray, constant: FloatArray, rounds: int) -> tuple[Any, FloatArray]:
    """Value and gradient of `np.sum(chain(x, constant, rounds))`: three arrays are kept a round, no more."""
    y = x
    kept = []
    for _ in range(rounds):
        sine = np.sin(y)
        inner = ((sine * x + constant) * constant - 0.3) * 0.9
        kept.append((y, sine, inner))
        y = np.sin(inner) + x
    value = np.sum(y)
    cotangent = np.ones_like(x)
    gradient = np.zeros_like(x)
    while kept:
        y, sine, inner = kept.pop()
        gradient += cotangent
        cotangent = cotangent * np.cos(inner) * 0.9 * constant
        gradient += cotangent * sine
        cotangent = cotangent * x * np.cos(y)
    gradient += cotangent
    return value, gradient


def chain_derivative(x: float, constant: float, rounds: int) -> tuple[float, float]:
    """Value and derivative of `chain(x, constant, rounds)` for Python floats, in reverse, without NumPy."""
    y = x
    kept = []
    for _ in range(rounds):
        sine = math.sin(y)
        inner = ((sine * x + constant) * constant - 0.3) * 0.9
        kept.append((y, sine, inner))
        y = math.sin(inner) + x
    cotangent = 1.0
    derivative = 0.0
    for before, sine, inner in reversed(kept):
        derivative += cotangent
        cotangent *= math.cos(inner) * 0.9 * constant
        derivative += cotangent * sine
        cotangent *= x * math.cos(before)
    return y, derivative + cotangent


def chain_tangent(
    x: FloatArray, direction: FloatArray, constant: FloatArray, rounds: int
) -> tuple[FloatArray, FloatArray]:
    """Value and tangent of `chain(x, constant, rounds)` along `direction`, both carried forward together."""
    y, tangent = x, direction
    for _ in range(rounds):
        tangent = tangent * np.cos(y)
        y = np.sin(y)
        tangent = tangent * x + y * direction
        y = (y * x + constant) * constant - 0.3
        tangent = tangent * constant * 0.9
        y = y * 0.9
        tangent = tangent * np.cos(y) + direction
        y = np.sin(y) + x
    return y, tangent


def _chain_operands(length: int) -> tuple[FloatArray, FloatArray]:
    random = np.random.default_rng(21)
    return random.uniform(0.5, 1.0, length), random.uniform(0.8, 1.2, length)


def vector_chain(length: int, rounds: int) -> Problem:
    """The chain on a vector of the given length, summed at the end."""
    x, constant = _chain_operands(length)
    return Problem(
        lambda x: np.sum(chain(x, constant, rounds)),
        (x,),
        lambda x: chain_gradient(x, constant, rounds),
        OPERATIONS_A_ROUND * rounds,
        constants=(constant,),
    )


def float_chain(rounds: int) -> Problem:
    """The chain on one Python float; the limit is float arithmetic and `math.sin`, which no array reaches."""
    constant = 1.1
    return Problem(
        lambda x: chain(x, constant, rounds),
        (0.7,),
        lambda x: chain_derivative(x, constant, rounds),
        OPERATIONS_A_ROUND * rounds,
        constants=(constant,),
    )


def vector_chain_tangent(length: int, rounds: int) -> Problem:
    """One directional derivative of the chain on a vector, not summed."""
    x, constant = _chain_operands(length)
    direction = np.random.default_rng(22).normal(size=length)
    return Problem(
        lambda x: chain(x, constant, rounds),
        (x, direction),
        lambda x, direction: chain_tangent(x, direction, constant, rounds),
        OPERATIONS_A_ROUND * rounds,
    )


# ------------------------------------------------------------------------------------ classic test functions


def rosenbrock_value(x: Any) -> Any:
    """Rosenbrock's function of n variables (Rosenbrock 1960; the form of Moré, Garbow and Hillstrom 1981)."""
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def rosenbrock_gradient(x: FloatArray) -> tuple[Any, FloatArray]:
    """Value and gradient of `rosenbrock_value`, sharing the two residuals."""
    left = x[:-1]
    curve = x[1:] - left**2
    distance = 1.0 - left
    value = np.sum(100.0 * curve**2 + distance**2)
    gradient = np.empty_like(x)
    curve *= 200.0
    gradient[:-1] = -2.0 * (left * curve + distance)
    gradient[-1] = 0.0
    gradient[1:] += curve
    return value, gradient


def rosenbrock(length: int) -> Problem:
    """Rosenbrock's function by whole slices, away from its minimum."""
    return Problem(rosenbrock_value, (np.random.default_rng(23).uniform(-1.5, 1.5, length),), rosenbrock_gradient)


#: R T of the Helmholtz workload, kJ/mol at 300 K.
GAS_CONSTANT_TIMES_TEMPERATURE = 8.314462618e-3 * 300.0
ROOT_TWO = math.sqrt(2.0)


def helmholtz_energy(x: Any, covolumes: FloatArray, attraction: FloatArray) -> Any:
    """Helmholtz energy of a mixed fluid in a unit volume (Griewank 1989, "On Automatic Differentiation")."""
    filled = covolumes @ x
    ideal = GAS_CONSTANT_TIMES_TEMPERATURE * np.sum(x * np.log(x / (1.0 - filled)))
    ratio = (1.0 + (1.0 + ROOT_TWO) * filled) / (1.0 + (1.0 - ROOT_TWO) * filled)
    return ideal - (x @ (attraction @ x)) / (math.sqrt(8.0) * filled) * np.log(ratio)


def helmholtz_gradient(x: FloatArray, covolumes: FloatArray, attraction: FloatArray) -> tuple[float, FloatArray]:
    """Value and gradient of `helmholtz_energy`; plain floats for scalars, `attraction` known symmetric."""
    filled = float(covolumes @ x)
    free = 1.0 - filled
    logarithms = np.log(x / free)
    attracted = attraction @ x
    numerator = 1.0 + (1.0 + ROOT_TWO) * filled
    denominator = 1.0 + (1.0 - ROOT_TWO) * filled
    logarithm = math.log(numerator / denominator)
    weight = 1.0 / (math.sqrt(8.0) * filled)
    pairs = float(x @ attracted)
    value = GAS_CONSTANT_TIMES_TEMPERATURE * float(x @ logarithms) - pairs * weight * logarithm
    slope = (1.0 + ROOT_TWO) / numerator - (1.0 - ROOT_TWO) / denominator
    along_covolumes = (
        GAS_CONSTANT_TIMES_TEMPERATURE * float(np.sum(x)) / free
        + pairs * weight / filled * logarithm
        - pairs * weight * slope
    )
    gradient = GAS_CONSTANT_TIMES_TEMPERATURE * (logarithms + 1.0)
    gradient += along_covolumes * covolumes
    gradient -= (2.0 * weight * logarithm) * attracted
    return value, gradient


def helmholtz(components: int) -> Problem:
    """The free energy of a mixture that fills half the volume, with a symmetric `attraction`."""
    random = np.random.default_rng(24)
    covolumes = random.uniform(0.5, 1.5, components)
    attraction = random.uniform(0.5, 1.5, (components, components))
    attraction = (attraction + attraction.T) / 2.0
    x = random.uniform(0.5, 1.5, components)
    x *= 0.5 / (covolumes @ x)
    return Problem(
        lambda x: helmholtz_energy(x, covolumes, attraction),
        (x,),
        lambda x: helmholtz_gradient(x, covolumes, attraction),
        constants=(covolumes, attraction),
    )


# ---------------------------------------------------------------------------------------------- large arrays


def multiply_add(length: int, rounds: int) -> Problem:
    """`rounds` multiplications by x and as many additions of a constant array, then the sum."""
    random = np.random.default_rng(25)
    x = random.uniform(0.5, 1.0, length)
    constant = random.uniform(-0.5, 0.5, length)

    def function(x: Any) -> Any:
        y = x
        for _ in range(rounds):
            y = y * x
            y = y + constant
        return np.sum(y)

    def by_hand(x: FloatArray) -> tuple[Any, FloatArray]:
        y = x
        kept = []
        for _ in range(rounds):
            kept.append(y)
            y = y * x
            y += constant
        value = np.sum(y)
        cotangent = np.ones_like(x)
        gradient = np.zeros_like(x)
        while kept:
            gradient += cotangent * kept.pop()
            cotangent *= x
        gradient += cotangent
        return value, gradient

    return Problem(function, (x,), by_hand, constants=(constant,))
