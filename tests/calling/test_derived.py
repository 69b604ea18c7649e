"""What both engines derive from their few operations: how often it evaluates the function, what it is pickled as."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from tests import parallel_functions as functions

X = np.array([1.0, 2.0, 3.0])


def in_all_directions(engine: Any, f: Callable[..., Any]) -> Any:
    _, f_jvp = engine.linearize(f, X)
    return [f_jvp(direction) for direction in np.eye(3)]


#: a call of a transform of `f`, which is elementwise, and of `g`, which is its sum; and how often forward mode and
#: reverse mode evaluate that
EVALUATIONS: dict[str, tuple[Callable[[Any, Any, Any], Any], int, int]] = {
    "value_and_grad": (lambda ad, f, g: ad.value_and_grad(g)(X), 1, 1),
    "grad": (lambda ad, f, g: ad.grad(g)(X), 1, 1),
    "jvp": (lambda ad, f, g: ad.jvp(f, (X,), (X,)), 1, 1),
    "vjp, one pullback": (lambda ad, f, g: ad.vjp(f, X)[1](X), 2, 1),
    "linearize, three directions": (lambda ad, f, g: in_all_directions(ad, f), 4, 1),
    "derivative": (lambda ad, f, g: ad.derivative(f)(2.0), 1, 1),
    "derivative, two numbers": (lambda ad, f, g: ad.derivative(f, (0, 1))(2.0, 3.0), 2, 1),
    "derivative, no number": (lambda ad, f, g: ad.derivative(f, ())(2.0), 1, 1),
    "elementwise_grad": (lambda ad, f, g: ad.elementwise_grad(f)(X), 2, 1),
    "elementwise_grad, two arguments": (lambda ad, f, g: ad.elementwise_grad(f, (0, 1))(X, X), 4, 1),
    "jacobian": (lambda ad, f, g: ad.jacobian(f)(X), 1, 1),
    "jacobian, one direction at a time": (lambda ad, f, g: ad.jacobian(f, chunk_size=1)(X), 3, 1),
    "value_and_jacobian": (lambda ad, f, g: ad.value_and_jacobian(f)(X), 1, 1),
    "hessian": (lambda ad, f, g: ad.hessian(g)(X), 1, 1),
    "hessian, one direction at a time": (lambda ad, f, g: ad.hessian(g, chunk_size=1)(X), 3, 1),
    "value_grad_and_hessian": (lambda ad, f, g: ad.value_grad_and_hessian(g)(X), 1, 1),
    "hvp": (lambda ad, f, g: ad.hvp(g, X, X), 1, 1),
    "sparse_jacobian": (lambda ad, f, g: ad.sparse_jacobian(f, pattern=np.eye(3, dtype=bool))(X), 2, 1),
    "sparse_hessian": (lambda ad, f, g: ad.sparse_hessian(g, pattern=np.eye(3, dtype=bool))(X), 2, 1),
}


@pytest.mark.parametrize("name", EVALUATIONS)
def test_evaluations_of_the_function(name: str) -> None:
    call, forward, reverse = EVALUATIONS[name]
    evaluations = 0

    def f(x: Any, y: Any = 2.0) -> Any:
        nonlocal evaluations
        evaluations += 1
        return np.sin(x) * y

    def g(x: Any) -> Any:
        return np.sum(f(x))

    for engine, expected in ((dualad, forward), (reversead, reverse)):
        evaluations = 0
        call(engine, f, g)
        assert evaluations == expected, engine.__name__


TRANSFORMS = (
    "grad", "value_and_grad", "derivative", "elementwise_grad", "jacobian", "value_and_jacobian", "hessian",
    "value_grad_and_hessian", "sparse_jacobian", "sparse_hessian",
)  # fmt: skip


@pytest.mark.parametrize("name", TRANSFORMS)
def test_transformed_function_is_pickled_as_the_call_that_made_it(ad: Any, name: str) -> None:
    transform = getattr(ad, name)
    made = transform(functions.energy, "x", has_aux=False)
    again = pickle.loads(pickle.dumps(made))
    for found in (made, again):
        assert found.transform is transform
        assert found.arguments == (functions.energy, "x", False)
        assert repr(found) == f"<{name} of energy>"
        assert found.__wrapped__ is functions.energy
        assert found.__name__ == "energy"


@pytest.mark.parametrize("name", TRANSFORMS)
def test_what_is_no_function_is_refused_by_the_name_of_the_transform(ad: Any, name: str) -> None:
    # Not by the name that `argnums` may be.
    with pytest.raises(TypeError, match=f"^{name}: expected a function, not 3.0"):
        getattr(ad, name)(3.0, "x")
