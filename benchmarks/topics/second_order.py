"""Second derivatives: a product with the Hessian is a constant number of evaluations, the whole Hessian n of them.

Two modes compose in four ways.  Every product that has a reverse mode in it is flat against the number n of
parameters; forward over forward takes a direction of every derivative forwards, and rises with n.  Finite differences
of a reverse gradient take two gradients, and lose half of the digits.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import dualad
import reversead
from benchmarks import workloads
from benchmarks.curves import Plot
from benchmarks.topics.sweep import _Exponent, _Sweep, grid, named
from shared.counting.counter import count_operations

LOG2_VARIABLES = (3, 4, 5, 6, 7, 8)


def _hessian_by_differences(f: Callable[[Any], Any], x: Any) -> Any:
    gradient, step = reversead.grad(f), workloads.DIFFERENCE_STEP
    start = gradient(x)
    return np.stack([(gradient(x + step * direction) - start) / step for direction in np.eye(x.size)])


#: Each way, as a function of the function, the point and the direction.
WAYS: dict[str, Callable[[Callable[[Any], Any], Any, Any], Any]] = {
    "function": lambda f, x, v: f(x),
    "product, forward over reverse": lambda f, x, v: dualad.jvp(reversead.grad(f), (x,), (v,))[1],
    "product, reverse over forward": lambda f, x, v: reversead.grad(lambda y: dualad.jvp(f, (y,), (v,))[1])(x),
    "product, reverse over reverse": lambda f, x, v: reversead.vjp(reversead.grad(f), x)[1](v)[0],
    "product, forward over forward": lambda f, x, v: dualad.jvp(dualad.grad(f, chunk_size=1), (x,), (v,))[1],
    "product, finite differences": lambda f, x, v: (
        (reversead.grad(f)(x + workloads.DIFFERENCE_STEP * v) - reversead.grad(f)(x)) / workloads.DIFFERENCE_STEP
    ),
    "Hessian, forward over reverse": lambda f, x, v: dualad.jacobian(reversead.grad(f), chunk_size=1)(x),
    "Hessian, finite differences": lambda f, x, v: _hessian_by_differences(f, x),
}


@functools.cache
def second_derivative(size: int, way: str) -> tuple[Callable[[Any], Any], Any]:
    """One of `WAYS` for Rosenbrock's function along ones, and the point."""
    workload = workloads.rosenbrock(size)
    direction = np.ones(workload.inputs)
    return (lambda x: WAYS[way](workload.function, x, direction)), workload.argument


@named("E. second derivatives of Rosenbrock's function, against its variables")
class AgainstVariables(_Sweep):
    params = (grid(LOG2_VARIABLES), tuple(WAYS))
    param_names = ("log2_n", "way")

    @staticmethod
    def call(size: int, way: str) -> Callable[[], Any]:
        return functools.partial(*second_derivative(size, way))

    @staticmethod
    @functools.cache
    def count(size: int, way: str) -> int:
        return count_operations(*second_derivative(size, way))


@named("E. second derivatives of Rosenbrock's function, against its variables")
class AgainstVariablesExponent(_Exponent):
    sweep = AgainstVariables
    params = (tuple(WAYS),)


def plots() -> Iterator[Plot]:
    """The picture of this topic, in ratios that are counted exactly."""
    yield AgainstVariables.plot(
        "second derivatives of Rosenbrock's function",
        "A product with the Hessian is flat where a reverse mode is in it; the Hessian takes n products.",
        "n, variables",
        8,
    )
