"""The asv suite: the cost of a gradient against inputs and depth, in time, memory and operations.

asv finds the classes by their methods' names: `time_` (CPU seconds), `peakmem_` (bytes of the whole process)
and `track_` (any number).  This module only names what `benchmarks.workloads` defines; it does not import asv.

There is no `setup`: with one, asv makes one call a sample, too few for a call of microseconds.  The workloads
are built in the unmeasured first call and kept. asv notices a changed method but not a changed workload: who
changes a workload raises the `version` of the classes that use it.
"""

import time

import numpy as np

from benchmarks import speed, workloads
from benchmarks.measure import peak_bytes
from benchmarks.speed_table import WORKLOADS


class _Timed:
    """What every timed class has in common: CPU time, and enough samples for a steady median."""

    timer = time.process_time
    repeat = (5, 200, 0.5)


class GradientVersusInputs(_Timed):
    """Value and gradient of a network's loss against its number of parameters n, beside the loss alone."""

    version = "2"
    params = (workloads.LOG2_INPUTS, workloads.MODES)
    param_names = ("log2_n", "mode")

    def time_gradient(self, log2_n: int, mode: str) -> None:
        workloads.task(workloads.network(log2_n), mode)()


class GradientVersusDepth(_Timed):
    """Value and gradient of a chain of operations against its length, beside the chain alone."""

    version = "2"
    params = (workloads.LOG2_DEPTHS, workloads.MODES)
    param_names = ("log2_depth", "mode")

    def time_gradient(self, log2_depth: int, mode: str) -> None:
        workloads.task(workloads.chain(log2_depth), mode)()


class MemoryVersusDepth:
    """Memory of a chain on a large vector against its length: a gradient in reverse, one jvp forward."""

    version = "1"
    params = (workloads.LOG2_MEMORY_DEPTHS, workloads.SINGLE_MODES)
    param_names = ("log2_depth", "mode")

    def peakmem_derivative(self, log2_depth: int, mode: str) -> None:
        workloads.one_derivative(workloads.chain(log2_depth, workloads.MEMORY_CHAIN_INPUTS), mode)()

    def track_peak_bytes(self, log2_depth: int, mode: str) -> int:
        large_chain = workloads.chain(log2_depth, workloads.MEMORY_CHAIN_INPUTS)
        return peak_bytes(workloads.one_derivative(large_chain, mode))

    track_peak_bytes.unit = "bytes"  # type: ignore[attr-defined]


class Operations:
    """Exact operation counts, free of noise: a network's loss, and value and gradient in every mode."""

    version = "3"
    params = (workloads.LOG2_INPUTS, workloads.MODES)
    param_names = ("log2_n", "mode")

    def track_operations(self, log2_n: int, mode: str) -> int:
        return workloads.operations(workloads.network(log2_n), mode)

    track_operations.unit = "operations"  # type: ignore[attr-defined]

    def track_cost_ratio(self, log2_n: int, mode: str) -> float:
        network = workloads.network(log2_n)
        # Rounded: a benchmark without noise should compare equal, not almost equal.
        return round(workloads.operations(network, mode) / workloads.operations(network, "function"), 3)

    track_cost_ratio.unit = "evaluations of the function"  # type: ignore[attr-defined]


class Derivatives:
    """The theorem in exact counts: gradients, directions and products with the Hessian of a network's loss."""

    version = "1"
    params = (workloads.LOG2_INPUTS[::2], workloads.DERIVATIVES)
    param_names = ("log2_n", "derivative")

    def track_operations(self, log2_n: int, derivative: str) -> int:
        return workloads.derivatives(workloads.network(log2_n))[derivative].operations

    track_operations.unit = "operations"  # type: ignore[attr-defined]

    def track_cost_ratio(self, log2_n: int, derivative: str) -> float:
        return round(workloads.derivatives(workloads.network(log2_n))[derivative].multiple, 3)

    track_cost_ratio.unit = "evaluations of the function"  # type: ignore[attr-defined]


class BytesAlive:
    """The memory of a chain's derivatives against its length, exactly: values alive at once, without Python's own."""

    version = "1"
    params = (workloads.LOG2_MEMORY_DEPTHS, workloads.SINGLE_MODES)
    param_names = ("log2_depth", "mode")

    def track_bytes_alive(self, log2_depth: int, mode: str) -> int:
        return workloads.bytes_alive(workloads.chain(log2_depth), mode)

    track_bytes_alive.unit = "bytes"  # type: ignore[attr-defined]


class Parts(_Timed):
    """What a reverse gradient is made of, and one forward direction beside it."""

    version = "1"
    params = (workloads.LOG2_INPUTS[::3], workloads.PARTS)
    param_names = ("log2_n", "part")

    def time_part(self, log2_n: int, part: str) -> None:
        workloads.part(workloads.network(log2_n), part)()


class Speed:
    """An engine beside its reference, in one process and in turns: the table of `benchmarks.speed`.

    The reference is the same derivative by hand but for the gradients forwards, which stand beside those in reverse.
    """

    version = "2"
    params = ([workload.name for workload in WORKLOADS if workload.quantity == "time"],)
    param_names = ("work",)

    def track_ratio(self, work: str) -> float:
        (workload,) = [each for each in WORKLOADS if each.name == work]
        return round(speed.measure(workload, repeat=10).ratio, 2)

    track_ratio.unit = "times the reference's time"  # type: ignore[attr-defined]


class Control(_Timed):
    """No automatic differentiation: if these change from one commit to the next, the machine did."""

    version = "1"

    def time_matrix_product(self) -> None:
        _matrix() @ _matrix()

    def time_elementwise(self) -> None:
        np.sin(_matrix())

    def time_interpreter(self) -> int:
        total = 0
        for number in range(1000):
            total += number
        return total


def _matrix() -> np.ndarray:
    """A 128 by 128 matrix, cheap beside what is done with it."""
    return np.full((128, 128), 0.5)
