"""The interface of an engine: what `dualad` and `reversead` both are, as modules.

`import dualad as ad` or `import reversead as ad`: the names, the signatures and the numbers are the same, and only the
cost differs.  Functions that need an engine (`check_grads`, `train`) take any module with this interface.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

Function = Callable[..., Any]


class Engine(Protocol):
    """A way of differentiating Python functions of NumPy arrays."""

    @property
    def __name__(self) -> str: ...

    def jvp(self, f: Function, primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
        """The value of `f` at `primals`, and its derivative in the direction `tangents`."""

    def vjp(self, f: Function, *primals: Any) -> tuple[Any, Function]:
        """The value of `f`, and its pullback from a cotangent of the output to a tuple of cotangents."""

    def linearize(self, f: Function, *primals: Any) -> tuple[Any, Function]:
        """The value of `f`, and its derivative there as a linear function of tangents."""

    def grad(self, f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
        """The gradient of a scalar function."""

    def value_and_grad(self, f: Function, argnums: int | Sequence[int] = 0, has_aux: bool = False) -> Function:
        """The value and the gradient of a scalar function."""

    def derivative(self, f: Function) -> Function:
        """The derivative of a function of one number."""

    def elementwise_grad(self, f: Function) -> Function:
        """The derivative of a function that acts on each element alone."""

    def jacobian(self, f: Function, argnums: int | Sequence[int] = 0) -> Function:
        """The Jacobian of a function of arrays."""

    def hessian(self, f: Function, argnums: int | Sequence[int] = 0) -> Function:
        """The Hessian of a scalar function."""

    def hvp(self, f: Function, x: Any, v: Any) -> Any:
        """The Hessian of a scalar function at `x`, times `v`."""

    def stop_gradient(self, x: Any) -> Any:
        """The value of `x`, through which no differentiation sees."""
