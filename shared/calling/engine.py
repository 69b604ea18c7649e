"""The interface of an engine: what `dualad` and `reversead` both are, as modules.

`import dualad as ad` or `import reversead as ad`: the names, the signatures and the numbers are the same, and only the
cost differs.  Functions that need an engine (`check_grads`, `train`) take any module with this interface.

`argnums` is everywhere the position of an argument, its name, or a sequence of these.  For a position or a name,
tangents, cotangents and derivatives are those of that argument, bare; for a sequence they come in its order, as tuples;
and for None (the default of `jvp`, `vjp` and `linearize`) every primal varies, and there is one for each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Protocol

from shared.calling.arguments import Argnums

Function = Callable[..., Any]


class Engine(Protocol):
    """A way of differentiating Python functions of NumPy arrays."""

    @property
    def __name__(self) -> str: ...

    def jvp(
        self,
        f: Function,
        primals: Sequence[Any],
        tangents: Any,
        has_aux: bool = False,
        *,
        argnums: Argnums | None = None,
    ) -> tuple[Any, ...]:
        """The value of `f` at `primals`, and its derivative in the direction `tangents`; with `has_aux` aux, too."""

    def vjp(self, f: Function, *primals: Any, has_aux: bool = False, argnums: Argnums | None = None) -> tuple[Any, ...]:
        """The value of `f`, and its pullback from a cotangent of the output to cotangents of the primals."""

    def linearize(
        self, f: Function, *primals: Any, has_aux: bool = False, argnums: Argnums | None = None
    ) -> tuple[Any, ...]:
        """The value of `f`, and its derivative there as a linear function of tangents."""

    def grad(
        self,
        f: Function,
        argnums: Argnums = 0,
        has_aux: bool = False,
        *,
        chunk_size: int | None = None,
        executor: Executor | None = None,
    ) -> Function:
        """The gradient of a scalar function."""

    def value_and_grad(
        self,
        f: Function,
        argnums: Argnums = 0,
        has_aux: bool = False,
        *,
        chunk_size: int | None = None,
        executor: Executor | None = None,
    ) -> Function:
        """The value and the gradient of a scalar function."""

    def derivative(self, f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
        """The derivative of a function with respect to one number."""

    def elementwise_grad(self, f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
        """The derivative of a function that acts on each element alone."""

    def jacobian(
        self,
        f: Function,
        argnums: Argnums = 0,
        has_aux: bool = False,
        *,
        chunk_size: int | None = None,
        executor: Executor | None = None,
    ) -> Function:
        """The Jacobian of a function of arrays."""

    def value_and_jacobian(
        self,
        f: Function,
        argnums: Argnums = 0,
        has_aux: bool = False,
        *,
        chunk_size: int | None = None,
        executor: Executor | None = None,
    ) -> Function:
        """The value and the Jacobian of a function of arrays."""

    def hessian(
        self,
        f: Function,
        argnums: Argnums = 0,
        has_aux: bool = False,
        *,
        chunk_size: int | None = None,
        executor: Executor | None = None,
    ) -> Function:
        """The Hessian of a scalar function."""

    def value_grad_and_hessian(
        self,
        f: Function,
        argnums: Argnums = 0,
        has_aux: bool = False,
        *,
        chunk_size: int | None = None,
        executor: Executor | None = None,
    ) -> Function:
        """The value, the gradient and the Hessian of a scalar function."""

    def hvp(self, f: Function, x: Any, v: Any, has_aux: bool = False, *, argnums: Argnums | None = None) -> Any:
        """The Hessian of a scalar function at `x`, times `v`."""

    def sparse_jacobian(
        self,
        f: Function,
        argnums: Argnums = 0,
        has_aux: bool = False,
        *,
        pattern: Any = None,
        by: str = "best",
        report: Callable[[str], Any] | None = None,
    ) -> Function:
        """The Jacobian as a sparse matrix, from as few products as its pattern allows."""

    def sparse_hessian(
        self,
        f: Function,
        argnums: Argnums = 0,
        has_aux: bool = False,
        *,
        pattern: Any = None,
        report: Callable[[str], Any] | None = None,
    ) -> Function:
        """The Hessian as a sparse matrix, from as few products as its pattern allows."""

    def vmap(self, f: Function, in_axes: Any = 0, out_axes: Any = 0) -> Function:
        """The function that maps `f` over an axis of its arguments."""

    def checkpoint(self, f: Function) -> Function:
        """`f`, of which reverse mode keeps the arguments alone and computes the rest again."""

    def checkpoint_loop(self, step: Function, state: Any, n: int, snapshots: int | None = None) -> Any:
        """`n` steps from a state, of which reverse mode keeps a few states and computes the rest again."""

    def stop_gradient(self, x: Any) -> Any:
        """The value of `x`, through which no differentiation sees."""
