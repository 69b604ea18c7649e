"""The real data: the loss gradient of a network on handwritten digits, taken in every way and compared.

The digits are the 1,797 images of 8 by 8 pixels that scikit-learn carries (E. Alpaydin and C. Kaynak, Optical
Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998).  This module knows nothing of tables
and pictures.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks import workloads
from benchmarks.measure import interleaved_minimum
from shared.calling.tree import flatten
from shared.checking.differences import finite_difference_gradient
from shared.networks.backprop import backprop
from shared.networks.mlp import MLP

BY_HAND = "backprop by hand"
FINITE_DIFFERENCES = "finite differences"

#: What two exact derivatives may differ by, relative to the largest entry: thousands of rounding units.
ROUNDING_BOUND = 1e-12

#: What forward differences may differ by: rounding over their step is 1e-8 of the loss, not of its gradient, whose
#: largest entry is some hundred times smaller.
DIFFERENCE_BOUND = 1e-5


@dataclass(frozen=True)
class Gradient:
    """A loss gradient as one flat vector, the way it was taken, and the least CPU seconds that takes."""

    way: str
    entries: np.ndarray
    seconds: float


@dataclass(frozen=True)
class Disagreement:
    """The largest difference of two gradients relative to their largest entry, and what is allowed."""

    ways: tuple[str, str]
    relative: float
    bound: float

    @property
    def acceptable(self) -> bool:
        """Whether the two agree as closely as their kinds allow; a NaN does not."""
        return self.relative <= self.bound


def load() -> tuple[np.ndarray, np.ndarray]:
    """The images, (1797, 64) float64 between 0 and 1, and their labels, (1797,) integers 0 to 9.

    Raises ModuleNotFoundError without scikit-learn, which carries the digits: nothing is downloaded.
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return images / 16.0, labels


#: What each mode of an engine is called here.
WAYS = {
    "reverse": "reversead",
    "forward": "dualad, one by one",
    "batched forward": "dualad, batched",
}


class Comparison:
    """The cross-entropy of a tanh network 64-hidden-10 on labelled images, differentiated in several ways."""

    def __init__(self, images: np.ndarray, labels: np.ndarray, hidden: int, rng: np.random.Generator):
        self.images = images
        self.labels = labels
        self.mlp = MLP((images.shape[1], hidden, 10), "tanh")
        self.workload = workloads.classifier(self.mlp, images, labels, rng)

    def ways(self, modes: Iterable[str]) -> dict[str, Callable[[], Any]]:
        """The name of every way to take the gradient, and the call that does."""
        ways: dict[str, Callable[[], Any]] = {}
        for mode in filter(WAYS.__contains__, modes):
            ways[WAYS[mode]] = functools.partial(self.by_mode, mode)
        ways[BY_HAND] = self.by_hand
        ways[FINITE_DIFFERENCES] = self.finite_differences
        return ways

    def gradients(self, modes: Iterable[str]) -> Iterator[Gradient]:
        """Every gradient in turn, with its time."""
        for way, call in self.ways(modes).items():
            taken: list[Any] = []

            # What is timed is also what is compared: one gradient of some ways takes a second.
            def kept(call: Callable[[], Any] = call, taken: list[Any] = taken) -> None:
                taken[:] = [call()]

            seconds = interleaved_minimum({way: kept}, rounds=1)[way]
            leaves, _ = flatten(taken)
            yield Gradient(way, np.concatenate([np.ravel(leaf) for leaf in leaves]), seconds)

    def by_mode(self, mode: str) -> Any:
        """The gradient by an engine, in one of the differentiating modes."""
        _, gradient = workloads.transformed(self.workload, mode)(self.workload.argument)
        return gradient

    def by_hand(self) -> Any:
        """The gradient by the backpropagation that is written out by hand, without either engine."""
        _, gradient = backprop(self.mlp, self.workload.argument, self.images, self.labels)
        return gradient

    def finite_differences(self) -> Any:
        """The gradient by forward differences, one evaluation of the loss a parameter, and one more."""
        return finite_difference_gradient(self.workload.function, self.workload.argument)


def disagreements(gradients: list[Gradient]) -> list[Disagreement]:
    """Every pair of gradients, in order, with how far apart they are."""
    pairs = []
    for position, first in enumerate(gradients):
        for second in gradients[position + 1 :]:
            largest = max(np.max(np.abs(first.entries)), np.max(np.abs(second.entries)))
            difference = float(np.max(np.abs(first.entries - second.entries)) / largest)
            exact = FINITE_DIFFERENCES not in (first.way, second.way)
            bound = ROUNDING_BOUND if exact else DIFFERENCE_BOUND
            pairs.append(Disagreement((first.way, second.way), difference, bound))
    return pairs
