"""The functions that every library differentiates, written once, and the table of what is raced.

A library with a namespace of its own, such as `jax.numpy`, gets the same text with that in the place of `np`, which is
what its users write.  So each function stands alone: it uses its arguments, `np` and constants of this module, and
only what all the libraries have.  The data and the derivative written by hand come from `benchmarks.handwritten`.
They have no annotations, which Tangent would copy into what it makes.
This module knows no library but NumPy and no clock.
"""

import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from benchmarks import handwritten, handwritten_matrices
from benchmarks.handwritten import Problem
from shared.calling.tree import flatten

#: Rounds of the chain, of 8 operations each, and of the multiplications and additions, of 2.
CHAIN_ROUNDS = 125
MULTIPLY_ADD_ROUNDS = 10
GAS_CONSTANT_TIMES_TEMPERATURE = handwritten.GAS_CONSTANT_TIMES_TEMPERATURE
ROOT_TWO = handwritten.ROOT_TWO


def chain(x, constant):
    """`benchmarks.handwritten.chain` on one number."""
    y = x
    for _ in range(CHAIN_ROUNDS):
        y = np.sin(y)
        y = y * x
        y = y + constant
        y = y * constant
        y = y - 0.3
        y = y * 0.9
        y = np.sin(y)
        y = y + x
    return y


def chain_sum(x, constant):
    """The sum of the same chain on a vector."""
    y = x
    for _ in range(CHAIN_ROUNDS):
        y = np.sin(y)
        y = y * x
        y = y + constant
        y = y * constant
        y = y - 0.3
        y = y * 0.9
        y = np.sin(y)
        y = y + x
    return np.sum(y)


def rosenbrock(x):
    """Rosenbrock's function of n variables (Rosenbrock 1960)."""
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


def helmholtz(x, covolumes, attraction):
    """Helmholtz energy of a mixed fluid in a unit volume (Griewank 1989, "On Automatic Differentiation")."""
    filled = np.sum(covolumes * x)
    ideal = GAS_CONSTANT_TIMES_TEMPERATURE * np.sum(x * np.log(x / (1.0 - filled)))
    ratio = (1.0 + (1.0 + ROOT_TWO) * filled) / (1.0 + (1.0 - ROOT_TWO) * filled)
    return ideal - np.sum(x * (attraction @ x)) / (2.0 * ROOT_TWO * filled) * np.log(ratio)


def two_layers(w1, b1, w2, b2, images, labels):
    """Softmax cross-entropy of a tanh network with one hidden layer; a row of `labels` has a one at the right class."""
    hidden = np.tanh(images @ w1 + b1)
    logits = hidden @ w2 + b2
    return np.mean(np.log(np.sum(np.exp(logits), axis=1)) - np.sum(labels * logits, axis=1))


def three_layers(w1, b1, w2, b2, w3, b3, images, labels):
    """The same with two hidden layers."""
    hidden = np.tanh(images @ w1 + b1)
    hidden = np.tanh(hidden @ w2 + b2)
    logits = hidden @ w3 + b3
    return np.mean(np.log(np.sum(np.exp(logits), axis=1)) - np.sum(labels * logits, axis=1))


def multiply_add(x, constant):
    """Multiplications by x and additions of a constant array in turns, then the sum."""
    y = x
    for _ in range(MULTIPLY_ADD_ROUNDS):
        y = y * x
        y = y + constant
    return np.sum(y)


def logistic(weights, data, labels):
    """Mean negative log-likelihood of a logistic regression (Bishop 2006, section 4.3.2)."""
    logits = data @ weights
    return np.mean(np.log(1.0 + np.exp(logits)) - labels * logits)


def two_tanh(x, matrix):
    """tanh(A tanh(A x))."""
    return np.tanh(matrix @ np.tanh(matrix @ x))


def in_namespace(function: Callable[..., Any], namespace: Any) -> Callable[..., Any]:
    """The same function with another namespace in the place of NumPy's: as if the module began by importing that."""
    assert isinstance(function, types.FunctionType)
    return types.FunctionType(function.__code__, function.__globals__ | {"np": namespace}, function.__name__)


Quantity = Literal["gradient", "Jacobian", "Hessian product"]


@dataclass(frozen=True)
class Race:
    """One row: a function, which derivative of it, and the problem that has the data and the answer by hand."""

    name: str
    function: Callable[..., Any]
    make: Callable[..., Problem]
    size: tuple[Any, ...]
    #: A size for tests.
    test_size: tuple[Any, ...]
    quantity: Quantity = "gradient"

    def problem(self, *, small: bool = False) -> Problem:
        """Build the problem, at the size that is measured or at that for tests."""
        return self.make(*(self.test_size if small else self.size))

    def arguments(self, problem: Problem) -> list[Any]:
        """The arrays that the function is differentiated in: the leaves of the problem's first argument."""
        return flatten(problem.arguments[0])[0]


def _logistic_hessian_product(examples: int, features: int) -> Problem:
    """The problem of the Hessian product, with the data that the logistic regression of that size has."""
    problem = handwritten_matrices.logistic_hessian_product(examples, features)
    data = handwritten_matrices.logistic_regression(examples, features).constants
    return Problem(problem.function, problem.arguments, problem.by_hand, constants=data)


#: What is raced, in the order of the tables.
RACES: tuple[Race, ...] = (
    Race("1000 operations on a float", chain, handwritten.float_chain, (CHAIN_ROUNDS,), (CHAIN_ROUNDS,)),
    Race(
        "1000 operations on 10 numbers",
        chain_sum,
        handwritten.vector_chain,
        (10, CHAIN_ROUNDS),
        (3, CHAIN_ROUNDS),
    ),
    Race("Rosenbrock, n = 10", rosenbrock, handwritten.rosenbrock, (10,), (4,)),
    Race("Rosenbrock, n = 100,000", rosenbrock, handwritten.rosenbrock, (100_000,), (5,)),
    Race("Helmholtz, n = 10", helmholtz, handwritten.helmholtz, (10,), (3,)),
    Race("Helmholtz, n = 100", helmholtz, handwritten.helmholtz, (100,), (4,)),
    Race("MLP 784-15-10, batch 32", two_layers, handwritten.perceptron, ((784, 15, 10), 32), ((6, 4, 3), 5)),
    Race(
        "MLP 784-256-256-10, batch 128",
        three_layers,
        handwritten.perceptron,
        ((784, 256, 256, 10), 128),
        ((7, 5, 4, 3), 4),
    ),
    Race(
        "20 multiply/add on 10^6 elements",
        multiply_add,
        handwritten.multiply_add,
        (1_000_000, MULTIPLY_ADD_ROUNDS),
        (5, MULTIPLY_ADD_ROUNDS),
    ),
    Race(
        "logistic regression 10,000 x 100",
        logistic,
        handwritten_matrices.logistic_regression,
        (10_000, 100),
        (12, 4),
    ),
    Race(
        "Jacobian of tanh(A tanh(A x)), n = 100",
        two_tanh,
        handwritten_matrices.two_tanh_layers,
        (100,),
        (5,),
        "Jacobian",
    ),
    Race(
        "Hessian product, logistic 10,000 x 100",
        logistic,
        _logistic_hessian_product,
        (10_000, 100),
        (12, 4),
        "Hessian product",
    ),
)
