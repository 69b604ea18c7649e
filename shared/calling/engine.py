"""The interface of an engine: what `dualad` and `reversead` both are, as modules.

`import dualad as ad` or `import reversead as ad`: the names, the signatures and the numbers are the same, and only the
cost differs.  Functions that need an engine (`check_grads`, `train`) take any module with this interface.

`argnums` is everywhere the position of an argument, its name, or a sequence of these.  For a position or a name,
tangents, cotangents and derivatives are those of that argument, bare; for a sequence they come in its order, as tuples;
and for None (the default of `jvp`, `vjp` and `linearize`) every primal varies, and there is one for each.

With `has_aux` the function returns a pair `(value, aux)`, of which `value` alone is differentiated.  Where a transform
gives the value, it then gives that pair; where it does not, aux comes behind the derivative.

What a transform returns is called like the function it was given, and its type says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Any, Literal, ParamSpec, Protocol, TypeVar, overload

from shared.calling.arguments import Argnums

Function = Callable[..., Any]
P = ParamSpec("P")
V = TypeVar("V")
A = TypeVar("A")
#: a function that returns `(value, aux)`
HasAux = Callable[..., tuple[V, A]]


class Engine(Protocol):
    """A way of differentiating Python functions of NumPy arrays."""

    @property
    def __name__(self) -> str: ...

    @overload
    def jvp(
        self,
        f: Callable[..., V],
        primals: Sequence[Any],
        tangents: Any,
        has_aux: Literal[False] = False,
        *,
        argnums: Argnums | None = None,
    ) -> tuple[V, V]: ...
    @overload
    def jvp(
        self,
        f: HasAux[V, A],
        primals: Sequence[Any],
        tangents: Any,
        has_aux: Literal[True],
        *,
        argnums: Argnums | None = None,
    ) -> tuple[V, V, A]: ...
    @overload
    def jvp(
        self, f: HasAux[V, A], primals: Sequence[Any], tangents: Any, has_aux: bool, *, argnums: Argnums | None = None
    ) -> tuple[Any, ...]: ...
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

    @overload
    def vjp(
        self, f: Callable[..., V], *primals: Any, has_aux: Literal[False] = False, argnums: Argnums | None = None
    ) -> tuple[V, Callable[[Any], Any]]: ...
    @overload
    def vjp(
        self, f: HasAux[V, A], *primals: Any, has_aux: Literal[True], argnums: Argnums | None = None
    ) -> tuple[V, Callable[[Any], Any], A]: ...
    @overload
    def vjp(self, f: HasAux[V, A], *primals: Any, has_aux: bool, argnums: Argnums | None = None) -> tuple[Any, ...]: ...
    def vjp(self, f: Function, *primals: Any, has_aux: bool = False, argnums: Argnums | None = None) -> tuple[Any, ...]:
        """The value of `f`, and its pullback from a cotangent of the output to cotangents of the primals."""

    @overload
    def linearize(
        self, f: Callable[..., V], *primals: Any, has_aux: Literal[False] = False, argnums: Argnums | None = None
    ) -> tuple[V, Callable[..., V]]: ...
    @overload
    def linearize(
        self, f: HasAux[V, A], *primals: Any, has_aux: Literal[True], argnums: Argnums | None = None
    ) -> tuple[V, Callable[..., V], A]: ...
    @overload
    def linearize(
        self, f: HasAux[V, A], *primals: Any, has_aux: bool, argnums: Argnums | None = None
    ) -> tuple[Any, ...]: ...
    def linearize(
        self, f: Function, *primals: Any, has_aux: bool = False, argnums: Argnums | None = None
    ) -> tuple[Any, ...]:
        """The value of `f`, and its derivative there as a linear function of tangents."""

    def grad(
        self,
        f: Callable[P, Any],
        argnums: Argnums = 0,
        has_aux: bool = False,
        *,
        chunk_size: int | None = None,
        executor: Executor | None = None,
    ) -> Callable[P, Any]:
        """The gradient of a scalar function."""

    def value_and_grad(
        self,
        f: Callable[P, V],
        argnums: Argnums = 0,
        has_aux: bool = False,
        *,
        chunk_size: int | None = None,
        executor: Executor | None = None,
    ) -> Callable[P, tuple[V, Any]]:
        """The value and the gradient of a scalar function."""

    def derivative(
        self, f: Callable[P, Any], argnums: Argnums = 0, has_aux: bool = False, *, order: int = 1
    ) -> Callable[P, Any]:
        """The derivative, of an order, of a function with respect to one number."""

    def taylor(
        self,
        f: Function,
        x: Any,
        v: Any,
        order: int,
        has_aux: bool = False,
        *,
        argnums: Argnums | None = None,
        higher: Sequence[Any] = (),
    ) -> Any:
        """The Taylor coefficients of `f` along a line or curve."""

    def elementwise_grad(self, f: Callable[P, Any], argnums: Argnums = 0, has_aux: bool = False) -> Callable[P, Any]:
        """The derivative of a function that acts on each element alone."""

    def jacobian(
        self,
        f: Callable[P, Any],
        argnums: Argnums = 0,
        has_aux: bool = False,
        *,
        chunk_size: int | None = None,
        executor: Executor | None = None,
    ) -> Callable[P, Any]:
        """The Jacobian of a function of arrays."""

    def value_and_jacobian(
        self,
        f: Callable[P, V],
        argnums: Argnums = 0,
        has_aux: bool = False,
        *,
        chunk_size: int | None = None,
        executor: Executor | None = None,
    ) -> Callable[P, tuple[V, Any]]:
        """The value and the Jacobian of a function of arrays."""

    def hessian(
        self,
        f: Callable[P, Any],
        argnums: Argnums = 0,
        has_aux: bool = False,
        *,
        chunk_size: int | None = None,
        executor: Executor | None = None,
    ) -> Callable[P, Any]:
        """The Hessian of a scalar function."""

    def value_grad_and_hessian(
        self,
        f: Callable[P, V],
        argnums: Argnums = 0,
        has_aux: bool = False,
        *,
        chunk_size: int | None = None,
        executor: Executor | None = None,
    ) -> Callable[P, tuple[V, Any, Any]]:
        """The value, the gradient and the Hessian of a scalar function."""

    def hvp(self, f: Function, x: Any, v: Any, has_aux: bool = False, *, argnums: Argnums | None = None) -> Any:
        """The Hessian of a scalar function at `x`, times `v`."""

    def laplacian(
        self, f: Callable[P, Any], argnums: Argnums = 0, has_aux: bool = False, *, method: str = "taylor"
    ) -> Callable[P, Any]:
        """The trace of the Hessian of a scalar function."""

    def hessian_diagonal(
        self, f: Callable[P, Any], argnums: Argnums = 0, has_aux: bool = False, *, method: str = "taylor"
    ) -> Callable[P, Any]:
        """The diagonal of the Hessian of a scalar function, in the structure of the argument."""

    def sparse_jacobian(
        self,
        f: Callable[P, Any],
        argnums: Argnums = 0,
        has_aux: bool = False,
        *,
        pattern: Any = None,
        by: str = "best",
        report: Callable[[str], Any] | None = None,
    ) -> Callable[P, Any]:
        """The Jacobian as a sparse matrix, from as few products as its pattern allows."""

    def sparse_hessian(
        self,
        f: Callable[P, Any],
        argnums: Argnums = 0,
        has_aux: bool = False,
        *,
        pattern: Any = None,
        report: Callable[[str], Any] | None = None,
    ) -> Callable[P, Any]:
        """The Hessian as a sparse matrix, from as few products as its pattern allows."""

    def vmap(self, f: Function, in_axes: Any = 0, out_axes: Any = 0) -> Function:
        """The function that maps `f` over an axis of its arguments."""

    def checkpoint(self, f: Callable[P, V]) -> Callable[P, V]:
        """`f`, of which reverse mode keeps the arguments alone and computes the rest again."""

    def checkpoint_loop(self, step: Function, state: Any, n: int, snapshots: int | None = None) -> Any:
        """`n` steps from a state, of which reverse mode keeps a few states and computes the rest again."""

    def stop_gradient(self, x: Any) -> Any:
        """The value of `x`, through which no differentiation sees."""
