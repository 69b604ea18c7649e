"""Training by plain stochastic gradient descent: minibatches, gradient clipping, a progress bar.

It minimises any function of (parameters, inputs, targets) whose value and gradient it is given; where those
come from (an engine, backpropagation by hand) it does not know.  Parameters are any nested containers of
arrays.  Randomness comes only from the generator that is passed in.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from shared.calling.tree import flatten, tree_map
from shared.core.errors import user_line
from shared.core.visible import kind_of
from shared.networks.mlp import MLP

if TYPE_CHECKING:
    from shared.networks.report import LayerReport

__all__ = ["History", "Report", "clip_by_global_norm", "global_norm", "minibatches", "sgd", "train"]


class HasValueAndGrad(Protocol):
    """What training asks of an engine: the modules `dualad` and `reversead` both have it."""

    def value_and_grad(self, f: Callable[..., Any], /) -> Callable[..., Any]:
        """A function that returns the value of f and its gradient with respect to the first argument."""


class Report(Protocol):
    """What a watcher of `train` can call for a `LayerReport`."""

    def __call__(self, x: Any = None, y: Any = None) -> LayerReport:
        """The report of the step's minibatch, or of the examples x with targets y."""


@dataclass(frozen=True)
class History:
    """What happened in training, one row an epoch and one column a step.

    Attributes:
        losses: the objective on the minibatch before the step, shape (epochs, steps).
        gradient_norms: the global norm of its gradient before clipping, shape (epochs, steps).
    """

    losses: npt.NDArray[np.float64]
    gradient_norms: npt.NDArray[np.float64]

    @property
    def epoch_losses(self) -> npt.NDArray[np.float64]:
        """The mean over the steps of each epoch, shape (epochs,)."""
        means: npt.NDArray[np.float64] = self.losses.mean(axis=1)
        return means


def train(
    engine: HasValueAndGrad,
    mlp: MLP,
    parameters: Any,
    inputs: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    loss: str = "softmax_cross_entropy",
    l2: float = 0.0,
    watch: Callable[[int, Any, Report], None] | None = None,
    **options: Any,
) -> tuple[Any, History]:
    """Train a network: `sgd` on ``mlp.objective(loss, l2)``, differentiated by the engine.

    Args:
        engine: the module `dualad` or `reversead`, or anything with their `value_and_grad`.
        mlp: the network.
        parameters: where to start, as `MLP.initialise` returns them; not changed.
        inputs: shape (examples, n_in).
        targets: one row (or one integer label) an example, as the loss takes them.
        loss: one of `shared.networks.losses.LOSSES`.
        l2: strength of the penalty ``l2 / 2 * sum |W|^2``.
        watch: when given, called before each step with its number from 0, the parameters, and a function `report`:
            ``report()`` is the `layer_report` of the step's minibatch, ``report(x, y)`` that of other examples, and
            what is not called costs nothing.  The parameters are those that training goes on with: keep them, and
            do not write into them.
        options: epochs, batch_size, learning_rate, rng, and if wanted clip_norm and progress, as `sgd` takes
            them.

    Returns:
        The parameters after the last step, and the `History`.

    Raises:
        ValueError: an unknown loss, shapes that do not fit, or what `sgd` raises.
        FloatingPointError: the loss is no longer finite.

    Cost: a step costs one value and gradient of a minibatch: one sweep in reverse mode, one pass a parameter
    in forward mode; a report, one backpropagation.

    Mean and deviation of each layer's activations over training (Glorot & Bengio 2010, figure 2), at every tenth step::

        curves = []

        def watch(step, parameters, report):
            if step % 10 == 0:
                curves.append([(row.a.mean, row.a.deviation) for row in report(test_images, test_labels).rows])

        mlp = MLP([64, 30, 10])
        parameters = mlp.initialise("xavier_normal", rng)
        parameters, history = train(
            reversead, mlp, parameters, images, labels,
            epochs=10, batch_size=32, learning_rate=0.1, rng=rng, watch=watch,
        )
    """
    inputs = np.asarray(inputs)
    mlp.check(parameters, inputs)
    if watch is not None:
        options["watch"] = _reporting(watch, mlp, loss, l2)
    return sgd(engine.value_and_grad(mlp.objective(loss, l2)), parameters, inputs, targets, **options)


def _reporting(
    watch: Callable[[int, Any, Report], None], mlp: MLP, loss: str, l2: float
) -> Callable[[int, Any, Any, Any], None]:
    """A watcher as `sgd` calls it, which gives `watch` a report to ask for."""
    # Loaded here: it brings everything that prints tables, which training alone does not need.
    from shared.networks.report import layer_report

    def watcher(step: int, parameters: Any, inputs: Any, targets: Any) -> None:
        def report(x: Any = None, y: Any = None) -> LayerReport:
            if (x is None) != (y is None):
                raise TypeError(f"report takes both x and y, or neither for the examples of the step{user_line()}")
            of = (inputs, targets) if x is None else (x, y)
            return layer_report(mlp, parameters, *of, loss=loss, l2=l2)

        watch(step, parameters, report)

    return watcher


def sgd(
    value_and_gradient: Callable[[Any, Any, Any], tuple[Any, Any]],
    parameters: Any,
    inputs: npt.ArrayLike,
    targets: npt.ArrayLike,
    *,
    epochs: int,
    batch_size: int,
    learning_rate: float | Callable[[int], float],
    rng: np.random.Generator,
    clip_norm: float | None = None,
    progress: bool = False,
    watch: Callable[[int, Any, Any, Any], None] | None = None,
) -> tuple[Any, History]:
    """Minimise a function by stochastic gradient descent.

    Every epoch goes once through the examples in a new random order, in minibatches; every step subtracts
    ``learning_rate * gradient`` (Robbins & Monro 1951; Bottou 1998).

    Args:
        value_and_gradient: a function of (parameters, inputs, targets) that returns a scalar and its gradient
            with respect to the parameters, such as ``reversead.value_and_grad(mlp.objective())`` or
            ``partial(backprop, mlp)``.
        parameters: where to start, nested containers of arrays; not changed.
        inputs: shape (examples, ...).
        targets: shape (examples, ...).
        epochs: how often to go through the examples, at least 1.
        batch_size: examples a step; the last step of an epoch takes what remains. 1 to the number of
            examples.
        learning_rate: the step, above 0; or a function that gives it for the number of the step, from 0.
        rng: the generator that shuffles.
        clip_norm: when given, a gradient whose global norm is larger is scaled down to it (Pascanu, Mikolov &
            Bengio 2013).
        progress: show a progress bar on standard error; needs the package rich.
        watch: when given, called before each step with its number from 0, the parameters (not to be written into), and
            the inputs and targets of the minibatch.

    Returns:
        The parameters after the last step, in the same containers and dtypes, and the `History`.

    Raises:
        ValueError: inputs and targets of different lengths or none, or an option out of range.
        TypeError: rng is not a generator.
        FloatingPointError: the loss is no longer finite; the message names the epoch and the step.
        ImportError: progress is asked for and rich is not installed.

    >>> def half_square(w, x, y):
    ...     return float(np.mean((x * w - y) ** 2)) / 2, np.mean((x * w - y) * x)
    >>> x = np.arange(1.0, 5.0)
    >>> options = dict(epochs=50, batch_size=2, learning_rate=0.1, rng=np.random.default_rng(0))
    >>> w, history = sgd(half_square, np.array(0.0), x, 3.0 * x, **options)
    >>> round(float(w), 6), history.losses.shape
    (3.0, (50, 2))
    """
    inputs, targets = np.asarray(inputs), np.asarray(targets)
    _check_options(inputs, targets, epochs, batch_size, learning_rate, rng, clip_norm)
    limit = math.inf if clip_norm is None else float(clip_norm)
    steps = -(-len(inputs) // batch_size)
    losses, norms = np.empty((epochs, steps)), np.empty((epochs, steps))
    with _progress_bar(epochs * steps, progress) as advance:
        for epoch in range(epochs):
            for step, chosen in enumerate(minibatches(len(inputs), batch_size, rng)):
                if watch is not None:
                    watch(epoch * steps + step, parameters, inputs[chosen], targets[chosen])
                value, gradient = value_and_gradient(parameters, inputs[chosen], targets[chosen])
                gradient, norm = clip_by_global_norm(gradient, limit)
                if not (math.isfinite(value) and math.isfinite(norm)):
                    raise FloatingPointError(
                        f"the loss is {value} and its gradient's norm {norm} in epoch {epoch}, step {step}:"
                        f" lower learning_rate, or set clip_norm{user_line()}"
                    )
                losses[epoch, step], norms[epoch, step] = value, norm
                rate = _rate(learning_rate, epoch * steps + step)
                parameters = tree_map(lambda p, g, rate=rate: p - rate * g, parameters, gradient)
                advance(float(value))
    return parameters, History(losses, norms)


def minibatches(examples: int, batch_size: int, rng: np.random.Generator) -> Iterator[npt.NDArray[np.intp]]:
    """The indices 0 to examples - 1 in a random order, batch_size at a time; the last may be fewer.

    >>> sorted(len(chosen) for chosen in minibatches(10, 4, np.random.default_rng(0)))
    [2, 4, 4]
    """
    order = rng.permutation(examples)
    for start in range(0, examples, batch_size):
        yield order[start : start + batch_size]


def global_norm(gradient: Any) -> float:
    """The Euclidean norm of all numbers of a gradient together, whatever its containers.

    >>> global_norm([(np.array([[3.0]]), np.array([0.0, 4.0]))])
    5.0
    """
    leaves, _ = flatten(gradient)
    return math.hypot(*(float(np.linalg.norm(np.ravel(leaf))) for leaf in leaves))


def clip_by_global_norm(gradient: Any, clip_norm: float) -> tuple[Any, float]:
    """The gradient, scaled down to that global norm if it is longer, and the norm it had.

    The direction is kept, and so are the dtypes (Pascanu, Mikolov & Bengio 2013, section 3.2).

    >>> clip_by_global_norm([np.array([3.0, 4.0])], 1.0)
    ([array([0.6, 0.8])], 5.0)
    """
    norm = global_norm(gradient)
    if norm > clip_norm:
        # A Python float, so that a float32 gradient stays float32.
        factor = clip_norm / norm
        gradient = tree_map(lambda leaf: leaf * factor, gradient)
    return gradient, norm


def _check_options(
    inputs: npt.NDArray[Any],
    targets: npt.NDArray[Any],
    epochs: int,
    batch_size: int,
    learning_rate: float | Callable[[int], float],
    rng: np.random.Generator,
    clip_norm: float | None,
) -> None:
    """Raise, in one sentence, for whatever `sgd` cannot work with."""
    if inputs.ndim == 0 or targets.ndim == 0 or len(inputs) != len(targets) or len(inputs) == 0:
        raise ValueError(
            f"inputs of shape {inputs.shape} and targets of shape {targets.shape} do not pair up{user_line()}"
            ": both need"
            " one row an example, and at least one"
        )
    if epochs < 1:
        raise ValueError(f"epochs is {epochs}{user_line()}; give at least 1")
    if not 1 <= batch_size <= len(inputs):
        raise ValueError(
            f"batch_size is {batch_size}{user_line()}; with {len(inputs)} examples it has to be 1 to {len(inputs)}"
        )
    if not callable(learning_rate):
        _rate(learning_rate, 0)
    if clip_norm is not None and not clip_norm > 0:
        raise ValueError(f"clip_norm is {clip_norm}{user_line()}; give a number above 0, or None not to clip")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng is {kind_of(rng)}{user_line()}; give a generator, such as np.random.default_rng(0)")


def _rate(learning_rate: float | Callable[[int], float], step: int) -> float:
    rate = learning_rate(step) if callable(learning_rate) else learning_rate
    if not rate > 0:
        of = f" of step {step}" if callable(learning_rate) else ""
        raise ValueError(f"learning_rate{of} is {rate}{user_line()}; give a number above 0")
    return float(rate)  # a NumPy float64 would promote float32 parameters; a Python float does not


@contextmanager
def _progress_bar(steps: int, shown: bool) -> Iterator[Callable[[float], None]]:
    """A function to call with the loss after each step; it moves a bar on standard error, if shown."""
    if not shown:
        yield lambda loss: None
        return
    try:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError as error:
        raise ImportError("a progress bar needs the package rich: pip install rich, or leave progress=False") from error
    columns = (
        TextColumn("training"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.4g}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("training", total=steps, loss=math.nan)
        yield lambda loss: bar.update(task, advance=1, loss=loss)
