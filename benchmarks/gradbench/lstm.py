"""GradBench's `lstm`: the loss of a recurrent network that predicts the next character, and its gradient.

Long short-term memory (Hochreiter & Schmidhuber 1997; with forget gates, Gers, Schmidhuber & Cummins 2000), as ADBench
has it: every weight matrix is diagonal, and the normaliser adds 2 to the sum of exponentials.  Characters are vectors
of b bits.  The gradient in all parameters is one reverse sweep through the whole sequence.
"""

from functools import partial
from typing import Any

import numpy as np

import reversead
from benchmarks.gradbench.protocol import Function, Input

#: A logistic gate is (1 + tanh(z / 2)) / 2, so that one tanh serves three gates and the candidate.
HALVED = np.array([0.5, 0.5, 0.5, 1.0])


def mean_loss(main: Any, extra: Any, state: Any, sequence: Any) -> Any:
    """The mean loss of predicting each character but the first from those before.

    `main` has shape (2 layers, 4 b): weights and biases in turns, each for the forget, input and output gates and the
    candidate; `extra` has the weights of the input, and weights and biases of the output; `state` the hidden and cell
    values of each layer at first; `sequence` a character a row.
    """
    layers, bits = main.shape[0] // 2, sequence.shape[1]
    scaled = main * np.repeat(HALVED, bits)
    weights, biases = [scaled[2 * k] for k in range(layers)], [scaled[2 * k + 1] for k in range(layers)]
    hidden, cells = [state[2 * k] for k in range(layers)], [state[2 * k + 1] for k in range(layers)]
    outputs = []
    for character in sequence[:-1]:
        below = character * extra[0]
        for k in range(layers):
            # The forget and output gates see what comes from below, the input gate and the candidate what was before.
            squashed = np.tanh(np.concatenate([below, hidden[k], below, hidden[k]]) * weights[k] + biases[k])
            gates = 0.5 + 0.5 * squashed[: 3 * bits]
            cells[k] = cells[k] * gates[:bits] + gates[bits : 2 * bits] * squashed[3 * bits :]
            below = hidden[k] = gates[2 * bits :] * np.tanh(cells[k])
        outputs.append(below)
    predicted = np.stack(outputs) * extra[1] + extra[2]
    normalisers = np.log(2.0 + np.sum(np.exp(predicted), axis=1, keepdims=True))
    return -np.mean(sequence[1:] * (predicted - normalisers))


gradient = reversead.grad(mean_loss, argnums=(0, 1))


def _operands(given: Input) -> tuple[Any, ...]:
    return tuple(np.array(given[name], dtype=float) for name in ("main_params", "extra_params", "state", "sequence"))


FUNCTIONS = {
    "objective": Function(lambda given: partial(mean_loss, *_operands(given))),
    "jacobian": Function(
        lambda given: partial(gradient, *_operands(given)),
        lambda found: np.concatenate([part.ravel() for part in found]).tolist(),
    ),
}
