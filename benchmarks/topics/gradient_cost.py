"""The cost of a gradient: a constant number of evaluations in reverse mode, whatever the number of inputs.

Against the inputs, the work of f grows in proportion to their number n: a network on a fixed batch, and Rosenbrock's
function.  A gradient in reverse mode stays at a small multiple of f (Baur & Strassen 1983), forward mode takes a
direction for each input, and finite differences n + 1 evaluations.

Against the depth, the number of operations of f with its inputs left alone, every way grows as f does.
"""

from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import workloads
from benchmarks.curves import Plot
from benchmarks.topics.sweep import _Exponent, _Sweep, grid, named


class _Workload(_Sweep):
    """Value and gradient of a workload, in every mode."""

    version = "3"

    @staticmethod
    def workload(size: int) -> workloads.Workload:
        raise NotImplementedError

    @classmethod
    def call(cls, size: int, way: str) -> Callable[[], Any]:
        return workloads.task(cls.workload(size), way)

    @classmethod
    def count(cls, size: int, way: str) -> int:
        return workloads.operations(cls.workload(size), way)


@named("A. value and gradient of a network, against its parameters")
class AgainstInputs(_Workload):
    params = (grid(workloads.LOG2_INPUTS), workloads.MODES)
    param_names = ("log2_n", "mode")
    workload = staticmethod(workloads.network)


@named("A. value and gradient of Rosenbrock's function, against its variables")
class AgainstVariables(_Workload):
    params = (grid(workloads.LOG2_INPUTS[:5]), workloads.MODES)
    param_names = ("log2_n", "mode")
    workload = staticmethod(workloads.rosenbrock)


@named("B. value and gradient of a chain, against its depth")
class AgainstDepth(_Workload):
    params = (grid(workloads.LOG2_DEPTHS), workloads.MODES)
    param_names = ("log2_depth", "mode")
    workload = staticmethod(workloads.chain)


@named("A. value and gradient of Rosenbrock's function, against its variables")
class AgainstVariablesExponent(_Exponent):
    sweep = AgainstVariables
    params = (workloads.MODES,)


@named("B. value and gradient of a chain, against its depth")
class AgainstDepthExponent(_Exponent):
    sweep = AgainstDepth
    params = (workloads.MODES,)


def plots() -> Iterator[Plot]:
    """The pictures of this topic, in ratios that are counted exactly."""
    yield AgainstInputs.plot(
        "value and gradient of a network", "Reverse mode is flat, every other way rises with n.", "n, parameters"
    )
    yield AgainstVariables.plot(
        "value and gradient of Rosenbrock's function",
        "The same where the work of f is exactly proportional to n.",
        "n, variables",
    )
    yield AgainstDepth.plot(
        "value and gradient of a chain of operations on 10 numbers",
        "Every way is a constant multiple of f, however deep f is.",
        "operations in the chain",
    )
