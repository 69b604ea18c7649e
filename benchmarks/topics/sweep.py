"""What the classes of the topics have in common: sizes before ways, exact counts, ratios, exponents and times.

This module knows no topic.  Its classes start with an underscore, or asv would take them for benchmarks.
"""

import os
import time
import types
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

from benchmarks.curves import Curve, Plot, exponent

Size = TypeVar("Size")
Class = TypeVar("Class", bound=type)

#: What a method measures, by its name: the words for people, and the unit.
QUANTITIES = {
    "time_derivative": ("CPU time", "seconds"),
    "track_operations": ("operations, counted exactly", "operations"),
    "track_evaluations": ("ratio to one evaluation of f", "evaluations of f"),
    "track_exponent": ("fitted exponent of the operations", "power of the size"),
}


def grid(sizes: Sequence[Size]) -> list[Size]:
    """The sizes of a sweep; where the environment has BENCHMARKS_QUICK, as in `make bench-quick`, the least two."""
    return list(sizes[:2] if os.environ.get("BENCHMARKS_QUICK") else sizes)


def named(subject: str) -> Callable[[Class], Class]:
    """Give every benchmark of a class the name and the unit that asv shows; inherited ones are the class's own then."""

    def name(benchmarks: Class) -> Class:
        for method, (quantity, unit) in QUANTITIES.items():
            inherited = getattr(benchmarks, method, None)
            if inherited is None:
                continue
            own = types.FunctionType(inherited.__code__, inherited.__globals__, method, None, inherited.__closure__)
            own.pretty_name = f"{subject}: {quantity}"  # type: ignore[attr-defined]
            own.unit = unit  # type: ignore[attr-defined]
            setattr(benchmarks, method, own)
        return benchmarks

    return name


class _Timed:
    """CPU time, and enough samples for a steady median."""

    timer = time.process_time
    repeat = (5, 200, 0.5)


class _Sweep(_Timed):
    """Ways to take a derivative over sizes given as log2; a subclass defines `call` and `count`.

    One of the ways is "function", the plain evaluation that the ratios are to.
    """

    version = "1"
    params: ClassVar[tuple[list[int], Sequence[str]]]
    param_names: ClassVar[tuple[str, str]]

    @staticmethod
    def call(size: int, way: str) -> Callable[[], Any]:
        """What is timed."""
        raise NotImplementedError

    @staticmethod
    def count(size: int, way: str) -> int:
        """The operations of that, exactly."""
        raise NotImplementedError

    @classmethod
    def evaluations(cls, size: int, way: str) -> float:
        """The ratio of the operations to those of the function."""
        return cls.count(size, way) / cls.count(size, "function")

    def time_derivative(self, size: int, way: str) -> None:
        self.call(size, way)()

    def track_operations(self, size: int, way: str) -> int:
        return self.count(size, way)

    def track_evaluations(self, size: int, way: str) -> float:
        # Rounded: a benchmark without noise should compare equal, not almost equal.
        return round(self.evaluations(size, way), 3)

    @classmethod
    def fitted(cls, way: str) -> float:
        """The exponent of the operations in the size."""
        sizes = cls.params[0]
        return exponent([2**size for size in sizes], [cls.count(size, way) for size in sizes])

    @classmethod
    def plot(cls, title: str, claim: str, x_label: str, largest: int = 10) -> Plot:
        """Every way as a multiple of one evaluation, at sizes that are counted in a second or two."""
        sizes = [size for size in cls.params[0] if size <= largest]
        xs = [2**size for size in sizes]
        curves = [Curve(way, xs, [cls.evaluations(size, way) for size in sizes]) for way in cls.params[1]]
        return Plot(title, claim, x_label, "evaluations of f", curves)


class _Exponent:
    """The power law of each way of a sweep: the same numbers in one figure, free of noise."""

    version = "1"
    sweep: ClassVar[type[_Sweep]]
    param_names = ("way",)

    def track_exponent(self, way: str) -> float:
        return round(self.sweep.fitted(way), 3)
