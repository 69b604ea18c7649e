"""What the tests of checkpoints share: what they compare with, the transforms they compare by, what refusing means."""

from __future__ import annotations

import re
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from shared.calling.tree import flatten
from shared.linear.checkpointing import checkpoint
from shared.linear.purity import SUMS

X = np.array([0.3, 0.7, 1.1, -0.4, 0.2])
V = np.array([1.0, -2.0, 0.5, 0.25, 3.0])

Function = Callable[..., Any]


def unchanged(f: Function) -> Function:
    """What `checkpoint` is compared with."""
    return f


def plain_loop(step: Function, state: Any, n: int, snapshots: int | None = None) -> Any:
    for k in range(n):
        state = step(state, k)
    return state


def assert_same(found: Any, expected: Any, tolerance: float = 1e-12) -> None:
    found_leaves, found_structure = flatten(found)
    leaves, structure = flatten(expected)
    assert found_structure == structure
    for a, b in zip(found_leaves, leaves, strict=True):
        assert type(a) is type(b)
        assert getattr(a, "dtype", None) == getattr(b, "dtype", None)
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1.0, float(np.max(np.abs(b)))))


TRANSFORMS: dict[str, Callable[[Any, Function], Any]] = {
    "value_and_grad": lambda ad, f: ad.value_and_grad(f)(X),
    "jvp": lambda ad, f: ad.jvp(f, (X,), (V,)),
    "vjp twice": lambda ad, f: [pull(2.0) for pull in [ad.vjp(f, X)[1]] for _ in range(2)],
    "linearize": lambda ad, f: [push(V) for push in [ad.linearize(f, X)[1]] for _ in range(2)],
    "derivative": lambda ad, f: ad.derivative(lambda t: f(t * X))(0.7),
    "hvp": lambda ad, f: ad.hvp(f, X, V),
    "hessian": lambda ad, f: ad.hessian(f)(X),
    "forward over reverse": lambda ad, f: dualad.jvp(reversead.grad(f), (X,), (V,)),
    "reverse over forward": lambda ad, f: reversead.grad(lambda x: dualad.jvp(f, (x,), (V,))[1])(X),
    "pushed through a gradient": lambda ad, f: reversead.jvp(reversead.grad(f), (X,), (V,)),
    "third order": lambda ad, f: dualad.jvp(lambda x: reversead.hvp(f, x, V), (X,), (V,)),
}


SIZE = 20_000


def peak_arrays(call: Callable[[], Any], size: int = SIZE) -> float:
    """The most memory that a call holds at once, in arrays of the given size."""
    # What is imported at the first use is not the call's.
    reversead.grad(lambda x: np.sum(checkpoint(np.sin)(x)))(np.ones(2 * SUMS))
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / (8 * size)
    finally:
        tracemalloc.stop()


def refused(f: Function, error: type[Exception], words: str) -> None:
    for derivative in (
        reversead.grad(f),
        lambda x: reversead.vjp(f, x)[1](1.0),
        lambda x: reversead.jvp(f, (x,), (x,)),
        lambda x: dualad.jvp(reversead.grad(f), (x,), (x,)),
    ):
        with pytest.raises(error, match=words) as caught:
            derivative(X)
        # The line that is named is one of this file or of the test: never one of the library.
        assert re.search(r"(checkpointed_programs|test_checkpoint\w*)\.py", str(caught.value))
