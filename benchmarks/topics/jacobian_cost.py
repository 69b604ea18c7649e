"""The cost of a Jacobian of m outputs by n inputs: forward mode takes n directions, reverse mode m sweeps.

So forward mode is cheaper for n < m, and reverse mode for m < n: where both run f once, the ratio of the two is about
n / m, and is 1 on the diagonal.  One direction at a time, forward mode runs f for each.  Where a Jacobian is sparse, a
few directions carry many columns at once: of a tridiagonal matrix three, whatever its size (Curtis, Powell & Reid
1974).
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import dualad
import reversead
from benchmarks import workloads
from benchmarks.curves import Curve, Plot
from benchmarks.topics.sweep import _Sweep, grid, named
from shared import colour, jacobian_pattern
from shared.counting.counter import count_operations

#: log2 of the numbers of inputs and of outputs.
LOG2_SIZES = (1, 2, 3, 4, 5, 6, 7, 8)
#: log2 of the size that stays while the other one grows.
LOG2_FIXED = 5
LOG2_SPARSE_SIZES = (4, 6, 8, 10)

WAYS = workloads.MODES
SPARSE_WAYS = (*WAYS, "sparse forward", "sparse forward, pattern given")

Function = Callable[[Any], Any]


@functools.cache
def layer(log2_inputs: int, log2_outputs: int) -> tuple[Function, np.ndarray]:
    """A layer tanh(W x) of a network, and a point: each output depends on every input."""
    n, m = 2**log2_inputs, 2**log2_outputs
    weights = np.random.default_rng(n + m).normal(size=(m, n)) / np.sqrt(n)
    return lambda x: np.tanh(weights @ x), np.linspace(-1.0, 1.0, n)


@functools.cache
def diffusion(log2_inputs: int) -> tuple[Function, np.ndarray]:
    """A step of diffusion with a reaction on a line of points: each output depends on three inputs."""

    def step(x: Any) -> Any:
        inner = x[1:-1]
        return inner + 0.1 * (x[2:] - 2.0 * inner + x[:-2]) - 0.1 * inner**3

    return step, np.linspace(-1.0, 1.0, 2**log2_inputs)


def differences(f: Function) -> Function:
    """The Jacobian by forward differences, a column an evaluation."""

    def columns(x: np.ndarray) -> np.ndarray:
        start, step = f(x), 2.0**-26
        return np.stack([(f(x + step * direction) - start) / step for direction in np.eye(x.size)], axis=-1)

    return columns


@functools.cache
def colouring(log2_inputs: int) -> Any:
    """The colouring of the diffusion's columns, made once for many points."""
    return colour(jacobian_pattern(*diffusion(log2_inputs)), "columns")


def transformed(f: Function, way: str) -> Function:
    """One of `WAYS`, or the sparse Jacobian with its pattern detected, as a function of the point."""
    return {
        "function": lambda: f,
        "reverse": lambda: reversead.jacobian(f),
        "forward": lambda: dualad.jacobian(f, chunk_size=1),
        "batched forward": lambda: dualad.jacobian(f),
        "finite differences": lambda: differences(f),
        "sparse forward": lambda: dualad.sparse_jacobian(f),
    }[way]()


@functools.cache
def operations(log2_inputs: int, log2_outputs: int, way: str) -> int:
    """The operations of a layer's Jacobian, exactly; differences are n + 1 evaluations, quotients left out."""
    f, x = layer(log2_inputs, log2_outputs)
    if way == "finite differences":
        return (x.size + 1) * count_operations(f, x)
    return count_operations(transformed(f, way), x)


def forward_over_reverse(log2_inputs: int, log2_outputs: int) -> float:
    """The ratio of the operations of the two modes, each batched: below 1 where forward mode is the cheaper."""
    return operations(log2_inputs, log2_outputs, "batched forward") / operations(log2_inputs, log2_outputs, "reverse")


class _Layer(_Sweep):
    @classmethod
    def sizes(cls, size: int) -> tuple[int, int]:
        raise NotImplementedError

    @classmethod
    def call(cls, size: int, way: str) -> Callable[[], Any]:
        f, x = layer(*cls.sizes(size))
        return functools.partial(transformed(f, way), x)

    @classmethod
    def count(cls, size: int, way: str) -> int:
        return operations(*cls.sizes(size), way)


@named("C. Jacobian of 32 outputs, against its inputs")
class AgainstInputs(_Layer):
    params = (grid(LOG2_SIZES), WAYS)
    param_names = ("log2_n", "mode")

    @classmethod
    def sizes(cls, size: int) -> tuple[int, int]:
        return size, LOG2_FIXED


@named("C. Jacobian of 32 inputs, against its outputs")
class AgainstOutputs(_Layer):
    params = (grid(LOG2_SIZES), WAYS)
    param_names = ("log2_m", "mode")

    @classmethod
    def sizes(cls, size: int) -> tuple[int, int]:
        return LOG2_FIXED, size


class Crossover:
    """The grid of n and m: forward over reverse in operations, below 1 where forward mode is the cheaper."""

    version = "1"
    params = (grid(LOG2_SIZES), grid(LOG2_SIZES))
    param_names = ("log2_n", "log2_m")

    def track_forward_over_reverse(self, log2_n: int, log2_m: int) -> float:
        return round(forward_over_reverse(log2_n, log2_m), 3)

    track_forward_over_reverse.pretty_name = "C. Jacobian: forward over reverse, operations"  # type: ignore[attr-defined]
    track_forward_over_reverse.unit = "ratio"  # type: ignore[attr-defined]


@named("C. tridiagonal Jacobian, against its size")
class Sparse(_Sweep):
    params = (grid(LOG2_SPARSE_SIZES), SPARSE_WAYS)
    param_names = ("log2_n", "way")

    @staticmethod
    def call(size: int, way: str) -> Callable[[], Any]:
        f, x = diffusion(size)
        if way == "sparse forward, pattern given":
            return functools.partial(dualad.sparse_jacobian(f, pattern=colouring(size)), x)
        return functools.partial(transformed(f, way), x)

    @staticmethod
    @functools.cache
    def count(size: int, way: str) -> int:
        f, x = diffusion(size)
        if way == "finite differences":
            return (x.size + 1) * count_operations(f, x)
        if way == "sparse forward, pattern given":
            return count_operations(dualad.sparse_jacobian(f, pattern=colouring(size)), x)
        return count_operations(transformed(f, way), x)


def plots() -> Iterator[Plot]:
    """The pictures of this topic, in ratios that are counted exactly."""
    yield AgainstInputs.plot(
        "Jacobian of 32 outputs", "Reverse mode stops rising with n, and is cheaper beyond n = 32.", "n, inputs"
    )
    yield AgainstOutputs.plot(
        "Jacobian of 32 inputs", "Forward mode is flat against m, and cheaper beyond m = 32.", "m, outputs"
    )
    xs = [2**log2_n for log2_n in LOG2_SIZES]
    ratios = [
        Curve(f"m = {2**log2_m}", xs, [forward_over_reverse(log2_n, log2_m) for log2_n in LOG2_SIZES])
        for log2_m in (2, 4, 6, 8)
    ]
    yield Plot(
        "Jacobian: forward over reverse",
        "Each curve is 1 where there are as many inputs as outputs.",
        "n, inputs",
        "operations of forward over reverse",
        ratios,
    )
    yield Sparse.plot(
        "tridiagonal Jacobian", "With the pattern given, three directions do, whatever the size.", "n, inputs", 8
    )
