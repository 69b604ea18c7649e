"""Memory against depth: reverse mode keeps what its sweep needs, forward mode nothing, checkpoints lie between.

The chain is of operations whose derivative needs their operand, so reverse mode keeps an array an operation.  With
checkpoints it keeps a few states and evaluates the steps between them again (Griewank & Walther 2000): about
sqrt(2 n) of them by default, or any number you give.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import reversead
from benchmarks import workloads
from benchmarks.curves import Curve, Plot
from benchmarks.measure import peak_bytes
from benchmarks.topics.sweep import grid
from shared import checkpoint_loop, cost
from shared.counting.counter import count_operations

SNAPSHOTS = 4
WAYS = (*workloads.SINGLE_MODES, "reverse, checkpoints", f"reverse, {SNAPSHOTS} checkpoints")


def checkpointed(log2_depth: int, snapshots: int | None) -> Callable[[Any], Any]:
    """Value and gradient of the same chain as `workloads.chain`, with checkpoints."""

    def repeated_sine(x: Any) -> Any:
        return np.sum(checkpoint_loop(lambda state, _: np.sin(state), x, 2**log2_depth, snapshots=snapshots))

    return reversead.value_and_grad(repeated_sine)


def call(log2_depth: int, inputs: int, way: str) -> Callable[[], Any]:
    """One of `WAYS` on a chain of 2**log2_depth operations on that many numbers."""
    chain = workloads.chain(log2_depth, inputs)
    if "checkpoints" not in way:
        return workloads.one_derivative(chain, way)
    return functools.partial(checkpointed(log2_depth, _snapshots(way)), chain.argument)


@functools.cache
def arrays_alive(log2_depth: int, way: str) -> float:
    """The most arrays of the chain's size that are alive at once, exactly, without Python's own memory."""
    chain = workloads.chain(log2_depth)
    if "checkpoints" not in way:
        alive = workloads.bytes_alive(chain, way)
    else:
        alive = cost(checkpointed(log2_depth, _snapshots(way)), chain.argument).peak_bytes
    return alive / chain.argument.nbytes


@functools.cache
def evaluations(log2_depth: int, way: str) -> float:
    """What the saved memory costs: the operations, as a multiple of one evaluation."""
    chain = workloads.chain(log2_depth)
    if "checkpoints" in way:
        operations = count_operations(checkpointed(log2_depth, _snapshots(way)), chain.argument)
    else:
        operations = count_operations(workloads.single(chain, way), chain.argument)
    return operations / workloads.operations(chain, "function")


def _snapshots(way: str) -> int | None:
    return None if way == "reverse, checkpoints" else SNAPSHOTS


class AgainstDepth:
    """A gradient in reverse mode, with and without checkpoints, and one direction in the other modes."""

    version = "1"
    params = (grid(workloads.LOG2_MEMORY_DEPTHS), WAYS)
    param_names = ("log2_depth", "way")

    def peakmem_derivative(self, log2_depth: int, way: str) -> None:
        call(log2_depth, workloads.MEMORY_CHAIN_INPUTS, way)()

    def track_peak_bytes(self, log2_depth: int, way: str) -> int:
        return peak_bytes(call(log2_depth, workloads.MEMORY_CHAIN_INPUTS, way))

    def track_arrays_alive(self, log2_depth: int, way: str) -> float:
        return round(arrays_alive(log2_depth, way), 3)

    def track_evaluations(self, log2_depth: int, way: str) -> float:
        return round(evaluations(log2_depth, way), 3)

    peakmem_derivative.pretty_name = "D. memory of the process, against depth"  # type: ignore[attr-defined]
    track_peak_bytes.pretty_name = "D. memory of one call, against depth"  # type: ignore[attr-defined]
    track_peak_bytes.unit = "bytes"  # type: ignore[attr-defined]
    track_arrays_alive.pretty_name = "D. arrays alive at once, against depth: counted exactly"  # type: ignore[attr-defined]
    track_arrays_alive.unit = "arrays"  # type: ignore[attr-defined]
    track_evaluations.pretty_name = "D. what checkpoints cost, against depth"  # type: ignore[attr-defined]
    track_evaluations.unit = "evaluations of f"  # type: ignore[attr-defined]


def plots() -> Iterator[Plot]:
    """The pictures of this topic, in figures that are counted exactly."""
    depths = (*workloads.LOG2_MEMORY_DEPTHS, 8, 9)
    xs = [2**depth for depth in depths]
    kept = "Reverse mode is proportional to the depth, forward mode is flat."
    paid = "Checkpoints pay for it with evaluations, by default two more at most."
    for title, claim, unit, figure in (
        ("arrays alive at once", kept, "arrays", arrays_alive),
        ("operations", paid, "evaluations of f", evaluations),
    ):
        curves = [Curve(way, xs, [figure(depth, way) for depth in depths]) for way in WAYS]
        yield Plot(f"a chain's derivative: {title}", claim, "operations in the chain", unit, curves)
