"""The rows of the speed table: which problem, at which size, differentiated in which way, and what is aimed at.

A way is the name of a transform in `benchmarks.speed.WAYS`.  This module knows no engine and no clock, and allocates
nothing before a row's `problem()` is asked for.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.handwritten import (
    Problem,
    float_chain,
    helmholtz,
    multiply_add,
    perceptron,
    rosenbrock,
    vector_chain,
    vector_chain_tangent,
)
from benchmarks.handwritten_matrices import (
    logistic_hessian,
    logistic_hessian_product,
    logistic_regression,
    perceptron_examples,
    perceptron_hessian_product,
    two_tanh_layers,
)

BY_HAND = "by hand"


@dataclass(frozen=True)
class Workload:
    """A row of the speed table: a problem, the size measured, a size for tests, and what is to be reached."""

    name: str
    make: Callable[..., Problem]
    size: tuple[Any, ...]
    test_size: tuple[Any, ...]
    #: The largest ratio to the reference aimed at; dimensionless.
    target: float | None
    #: The longest time an operation aimed at, in microseconds.
    operation_target: float | None = None
    #: How an engine takes the derivative: a key of `benchmarks.speed.WAYS`.
    way: str = "reversead.value_and_grad"
    #: What it is compared with: the derivative by hand, or another way.
    reference: str = BY_HAND
    quantity: Literal["time", "peak memory"] = "time"

    def problem(self) -> Problem:
        """Build the problem at the size that is measured."""
        return self.make(*self.size)

    def test_problem(self) -> Problem:
        """Build the problem at a size small enough for finite differences."""
        return self.make(*self.test_size)


def in_ways(
    name: str,
    make: Callable[..., Problem],
    size: tuple[Any, ...],
    test_size: tuple[Any, ...],
    targets: Mapping[str, float | None],
    reference: str = BY_HAND,
) -> list[Workload]:
    """A row for each of several ways to take the same derivative; `targets` has the largest ratio of each."""
    return [
        Workload(f"{name}: {way}", make, size, test_size, target, way=way, reference=reference)
        for way, target in targets.items()
    ]


def compiled(
    name: str, make: Callable[..., Problem], size: tuple[Any, ...], test_size: tuple[Any, ...], target: float
) -> list[Workload]:
    """The row of a compiled value and gradient."""
    return in_ways(name, make, size, test_size, {"compile(reversead.value_and_grad)": target})


def as_machine_code(
    name: str, make: Callable[..., Problem], size: tuple[Any, ...], test_size: tuple[Any, ...], target: float
) -> list[Workload]:
    """The row of a value and gradient that a C compiler has compiled."""
    return in_ways(name, make, size, test_size, {"compile(reversead.value_and_grad), C": target})


#: The ways to multiply a Hessian with a vector; all but the last start afresh in every call.
HESSIAN_PRODUCTS = (
    "dualad.jvp(reversead.grad)",
    "reversead.grad(dualad.jvp)",
    "reversead.hvp",
    "reversead.linearize, applied",
)

#: The rows of the speed table, in its order; measured by `python -m benchmarks.speed`.
WORKLOADS: list[Workload] = [
    Workload("MLP 784-15-10 tanh, batch 1", perceptron, ((784, 15, 10), 1), ((6, 4, 3), 1), 1.6),
    Workload("MLP 784-15-10 tanh, batch 32", perceptron, ((784, 15, 10), 32), ((6, 4, 3), 5), 1.4),
    Workload("MLP 784-256-256-10, batch 128", perceptron, ((784, 256, 256, 10), 128), ((7, 5, 4, 3), 4), 1.05),
    Workload("MLP of 50 layers of 32, batch 16", perceptron, ((32,) * 51, 16), ((3,) * 11, 4), 1.6),
    Workload("chain of 1000 operations, length 10", vector_chain, (10, 125), (4, 2), 3.0, 1.9),
    Workload("chain of 1000 operations, Python float", float_chain, (125,), (3,), 25.0, 0.75),
    Workload(
        "jvp through 1000 operations, length 10",
        vector_chain_tangent,
        (10, 125),
        (4, 2),
        None,
        1.6,
        way="dualad.jvp",
    ),
    Workload("Rosenbrock, n = 10", rosenbrock, (10,), (7,), 4.0),
    Workload("Rosenbrock, n = 100,000", rosenbrock, (100_000,), (12,), 2.0),
    Workload("Helmholtz, n = 10", helmholtz, (10,), (4,), 5.0),
    Workload("Helmholtz, n = 100", helmholtz, (100,), (9,), 5.0),
    Workload("20 multiply/add on 10^6 elements", multiply_add, (1_000_000, 10), (5, 3), 1.1),
    Workload(
        "peak memory of 200 operations on 10^6 elements",
        vector_chain,
        (1_000_000, 25),
        (6, 3),
        1.1,
        quantity="peak memory",
    ),
    # The same gradients, recorded and compiled to straight-line NumPy.
    *compiled("MLP 784-15-10 tanh, batch 1", perceptron, ((784, 15, 10), 1), ((6, 4, 3), 1), 0.9),
    *compiled("MLP 784-15-10 tanh, batch 32", perceptron, ((784, 15, 10), 32), ((6, 4, 3), 5), 0.95),
    *compiled("MLP 784-256-256-10, batch 128", perceptron, ((784, 256, 256, 10), 128), ((7, 5, 4, 3), 4), 1.0),
    *compiled("MLP of 50 layers of 32, batch 16", perceptron, ((32,) * 51, 16), ((3,) * 11, 4), 0.9),
    *compiled("chain of 1000 operations, length 10", vector_chain, (10, 125), (4, 2), 0.75),
    *compiled("chain of 1000 operations, Python float", float_chain, (125,), (3,), 1.6),
    *compiled("20 multiply/add on 10^6 elements", multiply_add, (1_000_000, 10), (5, 3), 0.5),
    Workload(
        "peak memory of 200 multiply/add on 10^6 elements, compiled",
        multiply_add,
        (1_000_000, 100),
        (6, 3),
        25e6 / 816e6,  # 25 MB of the 816 MB by hand, where one array of 8 MB is kept for each multiplication
        way="compile(reversead.value_and_grad)",
        quantity="peak memory",
    ),
    *compiled("Rosenbrock, n = 10", rosenbrock, (10,), (7,), 0.9),
    *compiled("Rosenbrock, n = 1,000", rosenbrock, (1_000,), (8,), 1.0),
    *compiled("Rosenbrock, n = 100,000", rosenbrock, (100_000,), (12,), 1.0),
    *compiled("Helmholtz, n = 10", helmholtz, (10,), (4,), 1.6),
    *compiled("Helmholtz, n = 100", helmholtz, (100,), (9,), 1.6),
    *compiled("logistic regression 10,000 x 100", logistic_regression, (10_000, 100), (12, 4), 0.95),
    # The same as machine code.
    *as_machine_code("MLP 784-15-10 tanh, batch 1", perceptron, ((784, 15, 10), 1), ((6, 4, 3), 1), 0.3),
    *as_machine_code("MLP 784-15-10 tanh, batch 32", perceptron, ((784, 15, 10), 32), ((6, 4, 3), 5), 0.8),
    *as_machine_code("MLP 784-256-256-10, batch 128", perceptron, ((784, 256, 256, 10), 128), ((7, 5, 4, 3), 4), 1.0),
    *as_machine_code("MLP of 50 layers of 32, batch 16", perceptron, ((32,) * 51, 16), ((3,) * 11, 4), 0.5),
    *as_machine_code("chain of 1000 operations, length 10", vector_chain, (10, 125), (4, 2), 0.12),
    *as_machine_code("chain of 1000 operations, Python float", float_chain, (125,), (3,), 0.3),
    *as_machine_code("20 multiply/add on 10^6 elements", multiply_add, (1_000_000, 10), (5, 3), 0.1),
    *as_machine_code("Rosenbrock, n = 10", rosenbrock, (10,), (7,), 0.3),
    *as_machine_code("Rosenbrock, n = 100,000", rosenbrock, (100_000,), (12,), 0.5),
    *as_machine_code("Helmholtz, n = 10", helmholtz, (10,), (4,), 0.5),
    *as_machine_code("Helmholtz, n = 100", helmholtz, (100,), (9,), 1.0),
    *as_machine_code("logistic regression 10,000 x 100", logistic_regression, (10_000, 100), (12, 4), 0.95),
    # Many directions at once: gradients forwards, Jacobians, Hessians, gradients of many examples.
    *in_ways(
        "Rosenbrock, n = 10",
        rosenbrock,
        (10,),
        (7,),
        {"dualad.value_and_grad": 1.2},
        reference="reversead.value_and_grad",
    ),
    *in_ways(
        "Rosenbrock, n = 100",
        rosenbrock,
        (100,),
        (8,),
        {"dualad.value_and_grad": 2.5},
        reference="reversead.value_and_grad",
    ),
    *in_ways(
        "tanh(A tanh(A x)), n = 100",
        two_tanh_layers,
        (100,),
        (5,),
        {"dualad.jacobian": 2.0, "reversead.jacobian": 2.0},
    ),
    *in_ways(
        "tanh(A tanh(A x)), n = 500",
        two_tanh_layers,
        (500,),
        (6,),
        {"dualad.jacobian": 2.0, "reversead.jacobian": 2.0},
    ),
    *in_ways(
        "logistic regression 500 x 50",
        logistic_hessian,
        (500, 50),
        (12, 4),
        {"dualad.jacobian(reversead.grad)": None, "reversead.hessian": None, "dualad.hessian": None},
    ),
    *in_ways(
        "MLP 784-15-10, each of 32 examples",
        perceptron_examples,
        ((784, 15, 10), 32),
        ((6, 4, 3), 5),
        {"vmap(reversead.grad)": None, "reversead.grad in a loop": None},
    ),
    # One product with a Hessian.
    *in_ways(
        "logistic regression 10,000 x 100",
        logistic_hessian_product,
        (10_000, 100),
        (12, 4),
        {
            **dict.fromkeys(HESSIAN_PRODUCTS, 1.6),
            "compile(reversead.hvp)": 1.1,
            "compile(dualad.jvp(reversead.grad))": 1.1,
        },
    ),
    *in_ways(
        "MLP 784-256-256-10, batch 128",
        perceptron_hessian_product,
        ((784, 256, 256, 10), 128),
        ((6, 5, 4, 3), 4),
        dict.fromkeys(HESSIAN_PRODUCTS, 1.2),
    ),
]
