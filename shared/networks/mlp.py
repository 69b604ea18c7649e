"""The multilayer perceptron: its shape, its initial parameters, its activations and its forward function.

A network is a function of its parameters like any other: `MLP` holds only its shape and the names of its
activations, and the parameters are a plain list of pairs (W, b) of arrays, which the engines differentiate as
they are.  An example is a row: a layer computes ``z = a @ W + b`` and then ``activation(z)``, with W of shape
(n_in, n_out), so that a batch of shape (batch, n_in) goes through without a transpose.  The module knows
nothing about engines, backpropagation or training.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from shared.core.errors import user_line
from shared.core.visible import kind_of
from shared.networks.losses import find_loss, l2_penalty
from shared.rules.special import relu, sigmoid, softplus, softsign

__all__ = ["ACTIVATIONS", "INITIALISERS", "MLP", "Activation", "find_activation", "initial_parameters"]

#: A NumPy array, or the tracer that stands for one while it is differentiated.
Array: TypeAlias = Any

#: One pair (W, b) a layer, W of shape (n_in, n_out) and b of shape (n_out,).
Parameters: TypeAlias = Sequence[tuple[Array, Array]]


# ---------------------------------------------------------------- activations


class Activation(NamedTuple):
    """An activation function and, for backpropagation by hand, its derivative.

    ``function(z)`` is differentiable NumPy code.  ``derivative(z, a)`` is given what the forward pass has
    already computed, the weighted input z and ``a = function(z)``, as plain arrays; it returns a fresh array
    of z's shape and dtype, or None where the derivative is 1 everywhere and nothing has to be multiplied.
    """

    function: Callable[[Array], Array]
    derivative: Callable[[Array, Array], Array] | None


def _identity(z: Array) -> Array:
    return z


#: Every activation by its name.
ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation(_identity, None),
    "sigmoid": Activation(sigmoid, lambda z, a: a - a * a),
    "tanh": Activation(np.tanh, lambda z, a: 1.0 - a * a),
    # a is never negative, so its sign is 1 where z > 0 and otherwise 0, the library's convention at the kink.
    "relu": Activation(relu, lambda z, a: np.sign(a)),
    # a = log(1 + e^z), so the derivative sigmoid(z) = 1 - 1 / (1 + e^z) is 1 - e^-a.
    "softplus": Activation(softplus, lambda z, a: -np.expm1(-a)),
    "softsign": Activation(softsign, lambda z, a: np.square(1.0 / (1.0 + np.abs(z)))),
}


def find_activation(name: str) -> Activation:
    """The activation of that name, from `ACTIVATIONS`.

    Raises:
        ValueError: there is no such activation; the message lists those there are.

    >>> float(find_activation("softsign").function(np.array(3.0)))
    0.75
    """
    if name not in ACTIVATIONS:
        raise ValueError(
            f"there is no activation {name!r}{user_line()}; choose one of {', '.join(sorted(ACTIVATIONS))}"
        )
    return ACTIVATIONS[name]


# --------------------------------------------------------------- initialisers

Draw: TypeAlias = Callable[[np.random.Generator, int, int], npt.NDArray[np.float64]]


def _normal(deviation: Callable[[int, int], float]) -> Draw:
    return lambda rng, n_in, n_out: rng.normal(0.0, deviation(n_in, n_out), (n_in, n_out))


def _uniform(bound: Callable[[int, int], float]) -> Draw:
    def draw(rng: np.random.Generator, n_in: int, n_out: int) -> npt.NDArray[np.float64]:
        limit = bound(n_in, n_out)
        return rng.uniform(-limit, limit, (n_in, n_out))

    return draw


#: Every initialiser by its name: a function of (rng, n_in, n_out); weights of shape (n_in, n_out).
INITIALISERS: dict[str, Draw] = {
    "xavier_normal": _normal(lambda n_in, n_out: (2.0 / (n_in + n_out)) ** 0.5),
    "xavier_uniform": _uniform(lambda n_in, n_out: (6.0 / (n_in + n_out)) ** 0.5),
    "he_normal": _normal(lambda n_in, n_out: (2.0 / n_in) ** 0.5),
    "he_uniform": _uniform(lambda n_in, n_out: (6.0 / n_in) ** 0.5),
    "scaled_normal": _normal(lambda n_in, n_out: n_in**-0.5),
    "scaled_uniform": _uniform(lambda n_in, n_out: n_in**-0.5),
    "standard_normal": _normal(lambda n_in, n_out: 1.0),
    "zeros": lambda rng, n_in, n_out: np.zeros((n_in, n_out)),
}


def initial_parameters(
    shapes: Iterable[tuple[int, int]], scheme: str, rng: np.random.Generator, dtype: npt.DTypeLike
) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
    """A pair (W, b) for each shape of W, as `MLP.initialise` says.

    >>> [(W, b)] = initial_parameters([(4, 2)], "zeros", np.random.default_rng(0), np.float32)
    >>> W.shape, b.shape
    ((4, 2), (2,))
    """
    if scheme not in INITIALISERS:
        raise ValueError(
            f"there is no initialiser {scheme!r}{user_line()}; choose one of {', '.join(sorted(INITIALISERS))}"
        )
    if not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng is {kind_of(rng)}{user_line()}; give a generator, such as np.random.default_rng(0)")
    kind = np.dtype(dtype)
    if kind.kind != "f":
        raise ValueError(
            f"parameters cannot have dtype {kind}{user_line()}; choose a floating one, as np.float64 or np.float32"
        )
    draw = INITIALISERS[scheme]
    return [(draw(rng, *shape).astype(kind), np.zeros(shape[1], kind)) for shape in shapes]


# -------------------------------------------------------------------- network


@dataclass(frozen=True, init=False)
class MLP:
    """A multilayer perceptron: fully connected layers with an activation between them.

    Attributes:
        sizes: number of inputs, of units in each hidden layer, and of outputs.
        activation: name of the hidden layers' activation, one of `ACTIVATIONS`.
        output: name of the last layer's activation.  The cross-entropies take logits: leave it at "identity"
            for them.

    Raises:
        ValueError: fewer than two sizes, a size below 1, or an unknown activation.
        TypeError: a size that is not an integer.

    >>> mlp = MLP([2, 3, 1], "tanh")
    >>> parameters = mlp.initialise("xavier_normal", np.random.default_rng(0))
    >>> [(W.shape, b.shape) for W, b in parameters]
    [((2, 3), (3,)), ((3, 1), (1,))]
    >>> mlp(parameters, np.zeros((5, 2))).shape
    (5, 1)
    """

    sizes: tuple[int, ...]
    activation: str
    output: str

    def __init__(self, sizes: Iterable[int], activation: str = "tanh", output: str = "identity") -> None:
        checked = tuple(_size(size) for size in sizes)
        if len(checked) < 2:
            raise ValueError(
                f"sizes {checked} name no layer{user_line()}: give the numbers of inputs and of outputs, as in [64, 10]"
            )
        find_activation(activation)
        find_activation(output)
        object.__setattr__(self, "sizes", checked)
        object.__setattr__(self, "activation", activation)
        object.__setattr__(self, "output", output)

    @property
    def number_of_parameters(self) -> int:
        """How many numbers the weights and biases hold together.

        >>> MLP([784, 15, 10]).number_of_parameters
        11935
        """
        return sum((n_in + 1) * n_out for n_in, n_out in zip(self.sizes, self.sizes[1:], strict=False))

    def initialise(
        self, scheme: str, rng: np.random.Generator, dtype: npt.DTypeLike = np.float64
    ) -> list[tuple[npt.NDArray[Any], npt.NDArray[Any]]]:
        """Draw initial parameters: biases zero in every scheme, and weights as the scheme says.

        For a layer with n_in inputs and n_out outputs the weights are

        - "xavier_normal": normal with variance 2 / (n_in + n_out);
        - "xavier_uniform": uniform with that same variance, within +- sqrt(6 / (n_in + n_out)) (Glorot &
          Bengio 2010, equation 16; Xavier is Glorot's first name);
        - "he_normal": normal with variance 2 / n_in, for ReLU, which lets half of it through (He et al. 2015,
          equation 10);
        - "he_uniform": uniform with that same variance, within +- sqrt(6 / n_in);
        - "scaled_normal": normal with standard deviation 1 / sqrt(n_in) (LeCun et al. 1998, section 4.6);
        - "scaled_uniform": uniform within +- 1 / sqrt(n_in), standard deviation 1 / sqrt(3 n_in) (Glorot &
          Bengio 2010, equation 1);
        - "standard_normal": normal with variance 1, to see why not: 500 inputs of size 1 make a weighted input of
          standard deviation 22.4, where a sigmoid is flat (Nielsen 2015, chapter 3);
        - "zeros": zero, to see why not: all units of a layer then get the same gradient, and stay the same
          for ever.

        Args:
            scheme: one of the names above.
            rng: a `numpy.random.Generator`; the same seed gives the same parameters, rounded when dtype is
                float32.
            dtype: a real floating dtype.

        Returns:
            A list of pairs (W, b), one a layer, W of shape (n_in, n_out) and b of shape (n_out,).

        Raises:
            ValueError: an unknown scheme, or a dtype that is not a real floating one.
            TypeError: rng is not a generator.

        >>> [(W, b)] = MLP([4, 1]).initialise("scaled_uniform", np.random.default_rng(0), np.float32)
        >>> W.dtype, bool(np.all(np.abs(W) <= 0.5))
        (dtype('float32'), True)
        """
        return initial_parameters(zip(self.sizes, self.sizes[1:], strict=False), scheme, rng, dtype)

    def __call__(self, parameters: Parameters, x: Array) -> Array:
        """The network's output: the logits, unless `output` names an activation for the last layer.

        Args:
            parameters: pairs (W, b), as `initialise` returns them; arrays or tracers.
            x: one example of shape (n_in,), or a batch of shape (batch, n_in).

        Returns:
            Shape (n_out,) or (batch, n_out), of the dtype NumPy promotes x and the parameters to.

        Raises:
            ValueError: parameters or x do not fit the sizes.

        Cost: three NumPy operations a layer.

        >>> parameters = [(np.array([[1.0], [2.0]]), np.array([0.5]))]
        >>> MLP([2, 1])(parameters, np.array([[1.0, 1.0], [0.0, 2.0]]))
        array([[3.5],
               [4.5]])
        """
        if not hasattr(x, "shape"):
            x = np.asarray(x)
        if len(parameters) != len(self.sizes) - 1:
            self.check(parameters, x)
        activation = ACTIVATIONS[self.activation].function
        a = x
        try:
            for weights, bias in parameters[:-1]:
                a = activation(a @ weights + bias)
            weights, bias = parameters[-1]
            z = a @ weights + bias
        except ValueError:
            # NumPy's own words name neither the layer nor the sizes; the check costs nothing while all fits.
            self.check(parameters, x)
            raise
        return ACTIVATIONS[self.output].function(z)

    def objective(
        self, loss: str = "softmax_cross_entropy", l2: float = 0.0
    ) -> Callable[[Parameters, Array, Array], Array]:
        """The function to minimise: the loss of the network's output, plus an L2 penalty on its weights.

        Args:
            loss: one of `shared.networks.losses.LOSSES`.
            l2: strength of the penalty ``l2 / 2 * sum |W|^2``; 0 for none.

        Returns:
            A function of (parameters, x, target) that returns a scalar; differentiate it with respect to the
            first.

        Raises:
            ValueError: an unknown loss.

        >>> f = MLP([1, 1]).objective("half_squared_error", l2=1.0)
        >>> float(f([(np.array([[2.0]]), np.array([0.0]))], np.array([[1.0]]), np.array([[0.0]])))
        4.0
        """
        loss_of = find_loss(loss)

        def objective(parameters: Parameters, x: Array, target: Array) -> Array:
            return loss_of(self(parameters, x), target)

        def penalised_objective(parameters: Parameters, x: Array, target: Array) -> Array:
            return loss_of(self(parameters, x), target) + l2_penalty(parameters, l2)

        return penalised_objective if l2 else objective

    def check(self, parameters: Sequence[Any], x: Array) -> None:
        """Raise unless the parameters have the network's sizes and x fits its inputs.

        Raises:
            ValueError: with the layer or the argument that does not fit, its shape, and the shape wanted.

        >>> MLP([2, 1]).check([(np.zeros((2, 1)), np.zeros(1))], np.zeros(3))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        ValueError: x has shape (3,) (at ...); a network of sizes (2, 1) takes (2,) or (batch, 2)
        """
        layers = len(self.sizes) - 1
        if len(parameters) != layers:
            raise ValueError(
                f"there are parameters for {len(parameters)} layers{user_line()}; a network of sizes {self.sizes} has"
                f" {layers}, each a pair (W, b)"
            )
        for number, (layer, n_in, n_out) in enumerate(zip(parameters, self.sizes, self.sizes[1:], strict=False)):
            if len(layer) != 2 or layer[0].shape != (n_in, n_out) or layer[1].shape != (n_out,):
                found = ", ".join(str(np.shape(part)) for part in layer)
                raise ValueError(
                    f"layer {number} has parameters of shape {found}{user_line()}"
                    f"; a network of sizes {self.sizes} wants W"
                    f" of shape {(n_in, n_out)} and b of shape {(n_out,)}"
                )
        inputs = self.sizes[0]
        if x.ndim not in (1, 2) or x.shape[-1] != inputs:
            raise ValueError(
                f"x has shape {x.shape}{user_line()}"
                f"; a network of sizes {self.sizes} takes ({inputs},) or (batch, {inputs})"
            )


def _size(size: Any) -> int:
    """The size as a Python int; floats and booleans are mistakes, not sizes."""
    try:
        number = operator.index(size)
    except TypeError:
        number = None
    if number is None or isinstance(size, bool):
        raise TypeError(f"a layer's size has to be an integer, not {size!r}{user_line()}")
    if number < 1:
        raise ValueError(f"a layer needs at least 1 unit, not {number}{user_line()}")
    return number
