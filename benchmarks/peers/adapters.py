"""One small class a library: how its users get a gradient, a Jacobian, a product with a Hessian.

Each imports its library when it is made, so that a library that is not installed costs nothing and says so.  A method
takes a function of `benchmarks.peers.functions`, prepares what a user would prepare once (its own arrays, a compiled
function), and returns the call that is timed.  This module knows no clock and no workload.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.peers.functions import Quantity, in_namespace

Call = Callable[[], Any]
Function = Callable[..., Any]
Arrays = Sequence[Any]


class NotOffered(Exception):
    """A library has no such derivative, or no such operation."""


class Peer:
    """A library in one of its forms: eager, where every call runs the user's Python, or compiled."""

    #: The name of the package in the registry and, where it is another, of the module.
    package: str
    module = ""
    form = "eager"
    #: What the tables call it; the package alone when nothing is added.
    label: str

    def __init__(self) -> None:
        """Import the library; raises ImportError where it is not installed."""
        self.library: Any = importlib.import_module(self.module or self.package)

    def version(self) -> str:
        """The version that is installed, or an empty string for a package that is not installed but found."""
        try:
            return importlib.metadata.version(self.package)
        except importlib.metadata.PackageNotFoundError:
            return ""

    def call(self, quantity: Quantity, f: Function, arguments: Arrays, constants: Arrays, along: Any = None) -> Call:
        """Prepare a derivative of `f(*arguments, *constants)` in the arguments; `along` is a Hessian product's vector.

        Raises NotOffered where the library has none.
        """
        if quantity == "gradient":
            return self.gradient(f, arguments, constants)
        (x,) = arguments
        if quantity == "Jacobian":
            return self.jacobian(f, x, constants)
        return self.hessian_product(f, x, along, constants)

    def gradient(self, f: Function, arguments: Arrays, constants: Arrays) -> Call:
        """The call that returns the value, and the gradient in each argument."""
        raise NotOffered("has no gradients")

    def jacobian(self, f: Function, x: Any, constants: Arrays) -> Call:
        """The call that returns the matrix of all derivatives."""
        raise NotOffered("has no Jacobians")

    def hessian_product(self, f: Function, x: Any, along: Any, constants: Arrays) -> Call:
        """The call that returns the Hessian times a vector."""
        raise NotOffered("has no second derivatives")

    def numpy(self, array: Any) -> Any:
        """One array of an answer as NumPy's, for the comparison; not timed."""
        return np.asarray(array)


def _of_first(f: Function, constants: Arrays) -> Function:
    return lambda x: f(x, *constants)


# ------------------------------------------------------------------------------------------------ this library


class Reversead(Peer):
    """This library's reverse mode."""

    package, module, label = "forward-reverse-ad", "reversead", "reversead"

    def gradient(self, f: Function, arguments: Arrays, constants: Arrays) -> Call:
        return partial(self.library.value_and_grad(f, argnums=tuple(range(len(arguments)))), *arguments, *constants)

    def jacobian(self, f: Function, x: Any, constants: Arrays) -> Call:
        return partial(self.library.jacobian(f), x, *constants)

    def hessian_product(self, f: Function, x: Any, along: Any, constants: Arrays) -> Call:
        return partial(self.library.hvp, _of_first(f, constants), x, along)


class CompiledReversead(Reversead):
    """The same derivatives, recorded once and compiled to straight-line NumPy."""

    form, label = "compiled", "reversead"

    def _compiled(self, derivative: Function, *operands: Any) -> Call:
        from shared.programs import compile

        return partial(compile(derivative), *operands)

    def gradient(self, f: Function, arguments: Arrays, constants: Arrays) -> Call:
        derivative = self.library.value_and_grad(f, argnums=tuple(range(len(arguments))))
        return self._compiled(derivative, *arguments, *constants)

    def jacobian(self, f: Function, x: Any, constants: Arrays) -> Call:
        return self._compiled(self.library.jacobian(f), x, *constants)

    def hessian_product(self, f: Function, x: Any, along: Any, constants: Arrays) -> Call:
        def product(x: Any, along: Any, *constants: Any) -> Any:
            return self.library.hvp(_of_first(f, constants), x, along)

        return self._compiled(product, x, along, *constants)


class Dualad(Peer):
    """This library's forward mode, where forward mode is a choice."""

    package, module, label = "forward-reverse-ad", "dualad", "dualad"

    def gradient(self, f: Function, arguments: Arrays, constants: Arrays) -> Call:
        raise NotOffered("forward mode takes a direction for each input: not the mode for a gradient")

    def jacobian(self, f: Function, x: Any, constants: Arrays) -> Call:
        return partial(self.library.jacobian(f), x, *constants)

    def hessian_product(self, f: Function, x: Any, along: Any, constants: Arrays) -> Call:
        gradient = importlib.import_module("reversead").grad(_of_first(f, constants))
        return lambda: self.library.jvp(gradient, (x,), (along,))[1]


# ---------------------------------------------------------------------------------------- eager, on NumPy arrays


class Autograd(Peer):
    """HIPS autograd (Maclaurin 2016), which wraps NumPy."""

    package = label = "autograd"

    def _function(self, f: Function) -> Function:
        return in_namespace(f, importlib.import_module("autograd.numpy"))

    def gradient(self, f: Function, arguments: Arrays, constants: Arrays) -> Call:
        positions = tuple(range(len(arguments)))
        return partial(self.library.value_and_grad(self._function(f), argnum=positions), *arguments, *constants)

    def jacobian(self, f: Function, x: Any, constants: Arrays) -> Call:
        return partial(self.library.jacobian(self._function(f)), x, *constants)

    def hessian_product(self, f: Function, x: Any, along: Any, constants: Arrays) -> Call:
        return partial(self.library.hessian_vector_product(_of_first(self._function(f), constants)), x, along)


class MyGrad(Peer):
    """MyGrad (Soklaski 2019): tensors that NumPy's own functions accept; first derivatives only."""

    package = label = "mygrad"

    def gradient(self, f: Function, arguments: Arrays, constants: Arrays) -> Call:
        def gradient() -> Any:
            tensors = [self.library.tensor(argument, dtype=float) for argument in arguments]
            out = f(*tensors, *constants)
            out.backward()
            return out.data, [tensor.grad for tensor in tensors]

        return gradient


class Advect(Peer):
    """advect (Augenstein 2026): NumPy's own functions, with a graph in Rust."""

    package = label = "advect"

    def gradient(self, f: Function, arguments: Arrays, constants: Arrays) -> Call:
        transform = self.library.value_and_grad(f, argnums=tuple(range(len(arguments))))
        return partial(transform, *arguments, *constants)

    def jacobian(self, f: Function, x: Any, constants: Arrays) -> Call:
        return partial(self.library.jacobian(_of_first(f, constants)), x)

    def hessian_product(self, f: Function, x: Any, along: Any, constants: Arrays) -> Call:
        product = self.library.hvp(_of_first(f, constants))
        return lambda: product(x, vectors=along)[1]


class StagedAdvect(Advect):
    """advect's staged programs, differentiated once."""

    form = "compiled"

    def gradient(self, f: Function, arguments: Arrays, constants: Arrays) -> Call:
        return super().gradient(self.library.stage(f, *arguments, *constants), arguments, constants)

    def jacobian(self, f: Function, x: Any, constants: Arrays) -> Call:
        return super().jacobian(self.library.stage(_of_first(f, constants), x), x, ())

    def hessian_product(self, f: Function, x: Any, along: Any, constants: Arrays) -> Call:
        return super().hessian_product(self.library.stage(_of_first(f, constants), x), x, along, ())


# --------------------------------------------------------------------------------------------- arrays of their own


class Jax(Peer):
    """JAX (Bradbury et al. 2018) on the CPU, every operation dispatched by itself."""

    package = label = "jax"

    def __init__(self) -> None:
        os.environ.setdefault("JAX_PLATFORMS", "cpu")
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
        super().__init__()
        self.library.config.update("jax_enable_x64", True)
        self.namespace = importlib.import_module("jax.numpy")

    def _timed(self, derivative: Function, operands: Arrays) -> Call:
        operands = [self.namespace.asarray(operand) for operand in operands]
        return lambda: self.library.block_until_ready(derivative(*operands))

    def gradient(self, f: Function, arguments: Arrays, constants: Arrays) -> Call:
        derivative = self.library.value_and_grad(in_namespace(f, self.namespace), tuple(range(len(arguments))))
        return self._timed(derivative, [*arguments, *constants])

    def jacobian(self, f: Function, x: Any, constants: Arrays) -> Call:
        return self._timed(self.library.jacrev(in_namespace(f, self.namespace)), [x, *constants])

    def hessian_product(self, f: Function, x: Any, along: Any, constants: Arrays) -> Call:
        written = in_namespace(f, self.namespace)

        def product(x: Any, along: Any, *constants: Any) -> Any:
            return self.library.jvp(self.library.grad(_of_first(written, constants)), (x,), (along,))[1]

        return self._timed(product, [x, along, *constants])


class CompiledJax(Jax):
    """JAX, the whole derivative compiled by XLA."""

    form = "compiled"

    def _timed(self, derivative: Function, operands: Arrays) -> Call:
        return super()._timed(self.library.jit(derivative), operands)


class Torch(Peer):
    """PyTorch (Paszke et al. 2019) on the CPU, with one thread."""

    package = label = "torch"

    def __init__(self) -> None:
        super().__init__()
        self.library.set_num_threads(1)

    def _function(self, f: Function) -> Function:
        return in_namespace(f, self.library)

    def _tensors(self, arrays: Arrays, *, requires_grad: bool = False) -> list[Any]:
        return [self.library.tensor(array, dtype=self.library.float64, requires_grad=requires_grad) for array in arrays]

    def gradient(self, f: Function, arguments: Arrays, constants: Arrays) -> Call:
        written = self._function(f)
        operands, rest = self._tensors(arguments, requires_grad=True), self._tensors(constants)

        def gradient() -> Any:
            out = written(*operands, *rest)
            return out, self.library.autograd.grad(out, operands)

        return gradient

    def jacobian(self, f: Function, x: Any, constants: Arrays) -> Call:
        return partial(self.library.func.jacrev(self._function(f)), *self._tensors([x, *constants]))

    def hessian_product(self, f: Function, x: Any, along: Any, constants: Arrays) -> Call:
        written = _of_first(self._function(f), self._tensors(constants))
        (operand,), (vector,) = self._tensors([x], requires_grad=True), self._tensors([along])

        def product() -> Any:
            (gradient,) = self.library.autograd.grad(written(operand), operand, create_graph=True)
            return self.library.autograd.grad(gradient, operand, vector)[0]

        return product

    def numpy(self, array: Any) -> Any:
        return array.detach().numpy()


class CompiledTorch(Torch):
    """PyTorch, compiled by torch.compile to C++; it needs a C++ compiler."""

    form = "compiled"

    def __init__(self) -> None:
        # What it compiled in an earlier run, and kept on disk, would make the first call look cheap.
        self.cache = tempfile.TemporaryDirectory()
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = self.cache.name
        os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
        os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
        super().__init__()

    def _function(self, f: Function) -> Function:
        compiled: Function = self.library.compile(super()._function(f), dynamic=False)
        return compiled

    def jacobian(self, f: Function, x: Any, constants: Arrays) -> Call:
        compiled = self.library.compile(self.library.func.jacrev(super()._function(f)), dynamic=False)
        return partial(compiled, *self._tensors([x, *constants]))

    def hessian_product(self, f: Function, x: Any, along: Any, constants: Arrays) -> Call:
        raise NotOffered("torch.compile does not differentiate twice")


# ------------------------------------------------------------------------------------------- compiled by nature


class Tangent(Peer):
    """Tangent (van Merriënboer, Moldovan and Wiltschko 2018): Python source for the derivative, from the function's."""

    package, module, label, form = "tangent-ad", "tangent", "tangent", "compiled"

    def gradient(self, f: Function, arguments: Arrays, constants: Arrays) -> Call:
        # It keeps what it made of a function in an earlier race, which would make the first call look cheap.
        self.library.clear_cache()
        derivative = self.library.grad(f, wrt=tuple(range(len(arguments))), preserve_result=True)

        def gradient() -> Any:
            *gradients, value = derivative(*arguments, *constants)
            return value, gradients

        return gradient


class Casadi(Peer):
    """CasADi (Andersson et al. 2019): a graph of matrices that its own virtual machine runs.

    It has matrices alone, and copies nothing along an axis: what needs broadcasting cannot be written as it stands.
    """

    package = label = "casadi"
    form = "compiled"

    def _function(self, f: Function) -> Function:
        ca = self.library

        def total(x: Any, axis: int | None = None) -> Any:
            if axis is None:
                return ca.sum1(ca.sum2(x))
            return ca.sum2(x) if axis == 1 else ca.sum1(x)

        namespace = SimpleNamespace(
            sin=ca.sin,
            log=ca.log,
            exp=ca.exp,
            tanh=ca.tanh,
            sum=total,
            mean=lambda x: total(x) / x.numel(),
        )
        return in_namespace(f, namespace)

    def _symbols(self, arrays: Arrays) -> list[Any]:
        return [self.library.MX.sym(f"x{number}", *self.library.DM(array).shape) for number, array in enumerate(arrays)]

    def _timed(self, symbols: Arrays, outputs: Arrays, operands: Arrays) -> Call:
        compiled = self.library.Function("derivative", list(symbols), list(outputs))
        return partial(compiled, *(self.library.DM(operand) for operand in operands))

    def numpy(self, array: Any) -> Any:
        return array.full()

    def gradient(self, f: Function, arguments: Arrays, constants: Arrays) -> Call:
        symbols, rest = self._symbols(arguments), [self.library.DM(constant) for constant in constants]
        out = self._function(f)(*symbols, *rest)
        return self._timed(symbols, [out, *(self.library.gradient(out, s) for s in symbols)], arguments)

    def jacobian(self, f: Function, x: Any, constants: Arrays) -> Call:
        symbols = self._symbols([x])
        out = self._function(f)(*symbols, *map(self.library.DM, constants))
        return self._timed(symbols, [self.library.jacobian(out, symbols[0])], [x])

    def hessian_product(self, f: Function, x: Any, along: Any, constants: Arrays) -> Call:
        symbol, vector = self._symbols([x, along])
        gradient = self.library.gradient(self._function(f)(symbol, *map(self.library.DM, constants)), symbol)
        return self._timed([symbol, vector], [self.library.jtimes(gradient, symbol, vector)], [x, along])


#: Every library in every form, in the order of the tables: this one first.
PEERS: tuple[type[Peer], ...] = (
    Reversead,
    Dualad,
    Autograd,
    MyGrad,
    Advect,
    Torch,
    Jax,
    CompiledReversead,
    StagedAdvect,
    Tangent,
    Casadi,
    CompiledTorch,
    CompiledJax,
)

#: The packages of which this library is made.
OWN = frozenset({"forward-reverse-ad"})
