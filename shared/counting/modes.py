"""Which of two engines is the forward one: told by what they cost, for nothing else of an engine is known here.

It knows no engine by name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from shared.calling.engine import Engine
from shared.core.errors import user_line
from shared.counting.counter import count_operations

#: Of a sum of so many inputs one cotangent costs each mode's price: n tangents, or one sweep.
_INPUTS = 16


def require_order(name: str, forward: Engine, reverse: Engine) -> None:
    """Raise ValueError where the engines are exchanged: every row would have the other's name.

    One engine in both places is nobody's mistake.  Cost: two cotangents of a sum of 16 sines, about a millisecond.
    """
    if _cotangent(forward) < _cotangent(reverse):
        raise ValueError(
            f"{name}: the forward engine and the reverse one are exchanged{user_line()}; write "
            "engines=(dualad, reversead), or forward=dualad, reverse=reversead"
        )


def _cotangent(engine: Engine) -> int:
    def gradient(x: Any) -> Any:
        return engine.vjp(lambda x: np.sum(np.sin(x)), x)[1](1.0)

    return count_operations(gradient, np.ones(_INPUTS))


__all__ = ["require_order"]
