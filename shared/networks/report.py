"""How a network does, layer by layer: `layer_report`, for gradients that vanish or explode and units that saturate.

It measures what `backprop` has computed, and prints, writes and draws that.  It knows networks and their activations,
and no engine; matplotlib is imported when something is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from shared.core.errors import user_line
from shared.core.visible import kind_of, shortened
from shared.networks.backprop import backprop
from shared.networks.mlp import ACTIVATIONS, MLP, Parameters
from shared.networks.passes import Passes
from shared.programs.tabulation import Tabulated

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["LayerReport", "LayerRow", "Spread", "layer_report"]


@dataclass(frozen=True)
class Spread:
    """Of all elements of an array together, whatever its axes are.

    Attributes:
        norm: the Euclidean norm, as of one long vector.
        mean: the mean.
        deviation: the standard deviation about the mean, of the elements there are (divided by their number).
        zero: the share of elements that are exactly 0.
        saturated: the share of elements that belong to a saturated unit.
    """

    norm: float
    mean: float
    deviation: float
    zero: float
    saturated: float


@dataclass(frozen=True)
class LayerRow:
    """One layer: its index from 1, its activation, its number of units, and how z, a and delta are spread."""

    layer: int
    activation: str
    units: int
    z: Spread
    a: Spread
    delta: Spread


class LayerReport(Tabulated):
    """What `layer_report` returns: it prints as a table, a row a layer, which Jupyter shows by itself.

    Attributes:
        rows: a tuple of `LayerRow`, from the first layer to the last: ``rows[0]`` is of layer 1.
        passes: the `Passes` that it was measured on, z, a and delta in full.
        loss: the value of what is minimised.
        saturated_below: which share of an activation's greatest slope is still called saturated.

    `markdown()`, `latex()` and `html()` give the table for documents, `to_dict()` numbers for JSON, `plot()` a figure.
    """

    __slots__ = ("_sizes", "loss", "passes", "rows", "saturated_below")
    _headers = (
        "layer", "units", "saturated",
        "norm z", "mean z", "dev. z", "norm a", "mean a", "dev. a",
        "norm delta", "mean delta", "dev. delta", "zero delta",
    )  # fmt: skip

    def __init__(self, rows: Iterable[LayerRow], passes: Passes, loss: float, saturated_below: float) -> None:
        self.rows = tuple(rows)
        self.passes = passes
        self.loss = loss
        self.saturated_below = saturated_below
        self._sizes = "-".join(str(a.shape[-1]) for a in passes.a.values())

    def _caption(self) -> str:
        examples = self.passes.a[0].size // self.passes.a[0].shape[-1]
        count = f"{examples} {'example' if examples == 1 else 'examples'}"
        return f"{shortened(self._sizes, 40)} network, {count}, loss {self.loss:.4g}"

    def _rows(self) -> list[list[Any]]:
        return [
            [
                f"{row.layer} {row.activation}",
                row.units,
                f"{100 * row.a.saturated:.1f} %",
                *[f"{x:.3g}" for of in (row.z, row.a, row.delta) for x in (of.norm, _seen(of), of.deviation)],
                f"{100 * row.delta.zero:.1f} %",
            ]
            for row in self.rows
        ]

    def __repr__(self) -> str:
        return f"<LayerReport of a {self._caption()}>"

    def to_dict(self) -> dict[str, Any]:
        """The numbers alone, in dictionaries and lists as JSON has them.

        >>> mlp = MLP([2, 3, 1])
        >>> parameters = mlp.initialise("zeros", np.random.default_rng(0))
        >>> found = layer_report(mlp, parameters, [1.0, 2.0], [1.0], loss="half_squared_error").to_dict()
        >>> found["loss"], [layer["delta"]["norm"] for layer in found["layers"]]
        (0.5, [0.0, 1.0])
        """
        return {
            "loss": self.loss,
            "saturated_below": self.saturated_below,
            "layers": [asdict(row) for row in self.rows],
        }

    def plot(self) -> Figure:
        """Six panels: histograms of z, a and delta, a curve a layer; by layer, deviation, saturation and delta's norm.

        A layer's histogram has the area 1 (less what lies outside the panel); the first layer is the darkest, and the
        outputs are dotted.  The norms of delta have a logarithmic axis, on which gradients that vanish or explode by
        the same factor in each layer are a straight line.

        Returns:
            A `matplotlib.figure.Figure`, which belongs to no window: save it with ``.savefig("layers.svg")``.

        Raises:
            ImportError: matplotlib is not installed.
        """
        from shared.networks.report_figure import figure_of

        return figure_of(self)


def layer_report(
    network: MLP,
    parameters: Parameters,
    x: npt.ArrayLike,
    y: npt.ArrayLike,
    *,
    loss: str = "softmax_cross_entropy",
    l2: float = 0.0,
    saturated_below: float = 0.05,
) -> LayerReport:
    """Norm, mean, deviation and share saturated of z, a and delta, by layer.

    The quantities by which Glorot & Bengio (2010, figures 2 to 7) tell whether signals and gradients keep their size
    from layer to layer.  They are those of `backprop(..., deltas=True)`: delta^l = dC/dz^l, C the mean over the batch.

    A unit is saturated, for an example, where the slope of its activation is below a share of the greatest slope that
    activation has: 1/4 of sigmoid, 1 of the others.  With 0.05 that is |z| > 4.4 for sigmoid, |z| > 2.2 for tanh,
    |z| > 3.5 for softsign, z < -2.9 for softplus and z <= 0 for ReLU; the identity never saturates.

    Args:
        network: an `MLP`.
        parameters: pairs (W, b), as ``network.initialise`` returns them.
        x: one example of shape (n_in,), or a batch of shape (batch, n_in).
        y: the target, as the loss takes it.
        loss: one of `shared.networks.losses.LOSSES`.
        l2: strength of the penalty on the weights; it changes the loss, and no delta.
        saturated_below: the share of the greatest slope, above 0 and at most 1.

    Returns:
        A `LayerReport`: print it, or ask for `rows`, `to_dict()`, `plot()`.

    Raises:
        TypeError: the network is not an `MLP`; or as `backprop` does.
        ValueError: saturated_below is out of range; or as `backprop` does.

    Cost: one backpropagation, and a few sweeps over its arrays, in float64 whatever they are.

    >>> mlp = MLP([4, 30, 30, 2], "sigmoid")
    >>> rng = np.random.default_rng(0)
    >>> x = rng.standard_normal((50, 4))
    >>> report = layer_report(mlp, mlp.initialise("standard_normal", rng), x, (x[:, 0] > 0).astype(int))
    >>> report
    <LayerReport of a 4-30-30-2 network, 50 examples, loss 1.768>
    >>> for row in report.rows:
    ...     print(f"{row.layer} {row.activation:8} {row.a.saturated:.3f} {row.z.deviation:.2f} {row.delta.norm:.3f}")
    1 sigmoid  0.053 2.21 0.131
    2 sigmoid  0.223 3.33 0.140
    3 identity 0.000 1.33 0.145
    """
    if not isinstance(network, MLP):
        raise TypeError(
            f"layer_report takes an MLP, not {kind_of(network)}{user_line()}; give the network, then its parameters"
        )
    if not 0 < saturated_below <= 1:
        raise ValueError(
            f"saturated_below is {saturated_below}{user_line()}; give a share of the greatest slope, above 0 to 1"
        )
    value, _, passes = backprop(network, parameters, x, y, loss, l2, deltas=True)
    rows = []
    for layer in range(1, passes.layers + 1):
        name = network.activation if layer < passes.layers else network.output
        z, a, delta = passes.z[layer], passes.a[layer], passes.delta[layer]
        saturated = _share_saturated(name, z, a, saturated_below)
        rows.append(LayerRow(layer, name, z.shape[-1], *[_spread(part, saturated) for part in (z, a, delta)]))
    return LayerReport(rows, passes, float(value), float(saturated_below))


def _seen(spread: Spread) -> float:
    """The mean, or 0 where it is what rounding has left of a sum that cancels."""
    return 0.0 if abs(spread.mean) <= 1e-15 * spread.norm else spread.mean


def _share_saturated(name: str, z: npt.NDArray[Any], a: npt.NDArray[Any], below: float) -> float:
    derivative = ACTIVATIONS[name].derivative
    if derivative is None:
        return 0.0
    # Every activation here but softplus, whose slope tends to 1, is steepest at 0 or beyond it.
    greatest = 0.25 if name == "sigmoid" else 1.0
    return float(np.mean(derivative(z, a) < below * greatest))


def _spread(array: npt.NDArray[Any], saturated: float) -> Spread:
    # A network that exploded is what this is for: its norms are inf, its means may be nan, and it says so.
    with np.errstate(over="ignore", invalid="ignore"):
        wide = array.astype(np.float64).ravel()
        norm, mean, deviation = np.linalg.norm(wide), wide.mean(), wide.std()
    return Spread(float(norm), float(mean), float(deviation), float(np.mean(wide == 0)), saturated)
