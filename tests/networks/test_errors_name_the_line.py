"""Bad arguments of the networks: each error names the line of the user's code, and what to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shared import MLP, layer_report
from shared.networks import lenet

NETWORK = MLP([3, 4, 2], "tanh")
PARAMETERS = NETWORK.initialise("xavier_normal", np.random.default_rng(0))
X, Y = np.ones((5, 3)), np.array([0, 1, 0, 1, 0])


@pytest.mark.parametrize(
    ("call", "advice"),
    [
        (lambda: MLP([3]), "as in [64, 10]"),
        (lambda: MLP([3, 2.5]), "has to be an integer"),
        (lambda: MLP([3, 2], "tan"), "choose one of"),
        (lambda: NETWORK.initialise("best", np.random.default_rng(0)), "choose one of"),
        (lambda: NETWORK.initialise("xavier_normal", 0), "np.random.default_rng(0)"),
        (lambda: NETWORK(PARAMETERS, np.ones((5, 4))), "takes (3,) or (batch, 3)"),
        (lambda: NETWORK(PARAMETERS[:1], X), "each a pair (W, b)"),
        (lambda: NETWORK.objective()(PARAMETERS, X, Y[:3]), "needs (5, 2), or integers of shape (5,)"),
        (lambda: NETWORK.objective()(PARAMETERS, X, Y + 1), "0 to 1"),
        (lambda: layer_report(NETWORK, PARAMETERS, X, Y, saturated_below=2.0), "above 0 to 1"),
        (lambda: lenet.predict(lenet.parameters(np.random.default_rng(0))[:2], np.ones((1, 32, 32))), "pairs (W, b)"),
    ],
)
def test_it_does(call: Callable[[], Any], advice: str) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        call()
    assert f"(at {__file__}:{call.__code__.co_firstlineno})" in str(caught.value)
    assert advice in str(caught.value)
