"""Names that other libraries have for what is here: what to write instead of one that there is none of.

A table of names for the message of an error; it knows nothing of what they do.
"""

from __future__ import annotations

#: What to write here, by the name in autograd, JAX and PyTorch
_HERE = {
    "config": "nothing of it: float64 is the default, and float32 stays float32",
    "custom_jvp": "shared.custom_derivative(f, jvp=...)",
    "custom_vjp": "shared.custom_derivative(f, vjp=...)",
    "detach": "stop_gradient(x)",
    "elementwise_grad": "dualad.elementwise_grad(f) or reversead.elementwise_grad(f)",
    "grad": "reversead.grad(f), or dualad.grad(f) for few inputs",
    "grad_and_value": "value_and_grad(f), which returns the value first",
    "hessian": "reversead.hessian(f)",
    "hessian_vector_product": "hvp(f, x, v)",
    "jacfwd": "dualad.jacobian(f)",
    "jacobian": "dualad.jacobian(f) by columns, reversead.jacobian(f) by rows",
    "jacrev": "reversead.jacobian(f)",
    "jit": "shared.compile(f)",
    "jvp": "dualad.jvp(f, (x,), (v,))",
    "lax": "Python's own loops and branches",
    "make_jaxpr": "shared.trace(f, *args)",
    "make_jvp": "linearize(f, x)",
    "make_vjp": "vjp(f, x)",
    "numpy": "import numpy as np: plain NumPy is differentiated",
    "primitive": "shared.elementwise(f, slope), or shared.custom_derivative(f, ...)",
    "remat": "checkpoint(f)",
    "value_and_grad": "reversead.value_and_grad(f)",
    "vjp": "reversead.vjp(f, x)",
}


def written_here(name: str) -> str:
    """The end of a sentence that says that there is no such name; empty where nothing is known of it.

    >>> written_here("jit")
    '; write shared.compile(f)'
    """
    return f"; write {_HERE[name]}" if name in _HERE else ""


__all__ = ["written_here"]
