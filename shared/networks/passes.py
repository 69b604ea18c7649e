"""What both passes of backpropagation compute, by the textbooks' names: w, b, z, a, delta and the index of a layer.

It holds arrays and names them, and knows no formula: `backprop` fills it in, `report` measures it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["Passes"]

Floats: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Passes:
    """Weights, weighted inputs, activations and errors of every layer; ``delta[2]`` is delta^2 of the books.

    The layers that have parameters are counted from 1 to L, so a^0 is the input x, as in Nielsen 2015, chapter 5, and
    Goodfellow, Bengio & Courville 2016, section 6.5.  (Nielsen's chapter 2 counts the input as layer 1: everything
    there has an index one higher.)

    Attributes:
        w: w^l for l = 1..L, shape (n_l, n_{l-1}): w_jk goes from neuron k of layer l - 1 to neuron j of layer l.  It is
            the transpose of the W that a network stores: a view, which cannot be written to.
        b: b^l, shape (n_l,), a view too.
        z: z^l = w^l a^{l-1} + b^l, shape (n_l,) for one example, (batch, n_l) for a batch, an example a row.
        a: a^l = sigma(z^l) for l = 0..L, shaped like z^l; a^0 is x, a view too.
        delta: delta^l = dC/dz^l, shaped like z^l.  C is what is minimised, a mean over the batch: a row is 1/batch of
            the delta that its example has alone.

    >>> from shared.networks.backprop import backprop
    >>> from shared.networks.mlp import MLP
    >>> mlp = MLP([2, 3, 1], "sigmoid")
    >>> parameters = mlp.initialise("xavier_normal", np.random.default_rng(0))
    >>> _, gradient, found = backprop(mlp, parameters, [1.0, 2.0], [0.5], "half_squared_error", deltas=True)
    >>> found
    Passes(layers=2, a^0: 2, a^1: 3, a^2: 1)
    >>> bool(np.allclose(found.delta[1], found.w[2].T @ found.delta[2] * found.a[1] * (1 - found.a[1])))
    True
    >>> list(found.named())
    ['a^0', 'w^1', 'b^1', 'z^1', 'a^1', 'w^2', 'b^2', 'z^2', 'a^2', 'delta^2', 'delta^1']
    """

    w: dict[int, Floats]
    b: dict[int, Floats]
    z: dict[int, Floats]
    a: dict[int, Floats]
    delta: dict[int, Floats]

    @property
    def layers(self) -> int:
        """L, the number of layers that have parameters."""
        return len(self.z)

    def named(self) -> dict[str, Floats]:
        """Every array under its name, in the order of the passes: a^0, w^1, b^1, z^1, a^1, ... delta^L, ... delta^1."""
        found = {"a^0": self.a[0]}
        for layer in range(1, self.layers + 1):
            for name in ("w", "b", "z", "a"):
                found[f"{name}^{layer}"] = getattr(self, name)[layer]
        return found | {f"delta^{layer}": self.delta[layer] for layer in range(self.layers, 0, -1)}

    def __repr__(self) -> str:
        sizes = ", ".join(f"a^{layer}: {a.shape[-1]}" for layer, a in self.a.items())
        return f"Passes(layers={self.layers}, {sizes})"


def view(array: npt.ArrayLike) -> Floats:
    """The array itself, in a view that cannot be written to."""
    found = np.asarray(array).view()
    found.flags.writeable = False
    return found
