"""Layers: which equations of a recorded program make up a layer of a network, or its loss.

The rule is one of structure alone, so it finds the layers of networks of any origin: a layer is a matrix product with a
weight, the addition of a bias, and elementwise functions until the next product.  This module knows nothing of drawing
and no derivative.
"""

from __future__ import annotations

import heapq
import operator
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from shared.core.primitive import Primitive
from shared.programs.equations import Equation, Guard, Write
from shared.programs.program import Program
from shared.rules import shapes, special

#: functions that treat every element alike, though their rules are not of the elementwise form
_ELEMENTWISE = frozenset((np.where, special.RELU.function, special.STOP_GRADIENT.function, shapes.ASTYPE.function))
#: Python's own comparisons, as `z > 0`
_COMPARISONS = frozenset((operator.lt, operator.le, operator.gt, operator.ge, operator.eq, operator.ne))


@dataclass(frozen=True)
class Layer:
    """Equations that belong together, of which one value is used elsewhere.

    `title` is "layer 1", "layer 2", ... ("layer" of a single one), or "loss"; `equations` are in the order of the
    program; `exit` is the value that others use; `inside` are the weights and biases: leaves that a picture shows
    inside of the layer.
    """

    title: str
    equations: tuple[Equation, ...]
    exit: int
    inside: frozenset[int]
    guards: tuple[Guard, ...] = ()

    @property
    def results(self) -> frozenset[int]:
        """The values that its equations make."""
        return frozenset(equation.result for equation in self.equations)


def layers(program: Program, parameters: Collection[int]) -> list[Layer]:
    """The layers of a network, and its loss, among the equations of a program.

    A layer starts from a matrix product one of whose operands is a weight: an input or an array read from outside,
    itself or a view of it (transposed, reshaped, a slice).  It takes in the addition of a bias (another such leaf)
    that follows the product at once, or of other such products, as in a recurrent network; and then elementwise
    functions of what it has so far and of numbers, such as `tanh(z)`, `1 / (1 + exp(-z))` or
    `where(z > 0, z, 0.1 * z)`, for as long as a single value of it is used elsewhere.
    Where both operands are leaves, as in `x @ W`, the weight is the one of the kind that the other layers have for
    theirs, then a parameter, then the one in the place (left or right) that is usual in the program, then the first.
    What starts none: a product with the transpose of a weight met before, or with the input of a layer met before, as
    reverse sweeps make them, and an inner product without a bias.

    The loss is what is left between the last layer and a single output of one number: all that no layer depends on.
    It begins where the output of the network meets other data, or what is not elementwise, such as a sum.

    `parameters` are the numbers of the inputs that count as parameters.  Cost: a pass over the equations.

    >>> from shared.programs import trace
    >>> def error(W, b, x, y):
    ...     return np.sum(np.square(np.tanh(x @ W + b) - y))
    >>> program = trace(error, np.ones((3, 2)), np.ones(2), np.ones(3), np.ones(2))
    >>> for layer in layers(program, program.inputs):
    ...     print(layer.title, [equation.primitive.name for equation in layer.equations])
    layer ['matmul', 'add', 'tanh']
    loss ['subtract', 'square', 'sum']
    """
    reading = _Reading(program, parameters)
    found: list[Layer] = []
    taken: set[int] = set()
    for product, weight in reading.products():
        if product.result in taken:
            continue
        layer = reading.layer(f"layer {len(found) + 1}", product, weight)
        if layer is not None and not taken & layer.results:
            found.append(layer)
            taken |= layer.results
    if len(found) == 1:
        found = [replace(found[0], title="layer")]
    loss = reading.loss(found) if found else None
    return [*found, loss] if loss is not None else found


class _Reading:
    """Who makes and who uses each value of a program."""

    def __init__(self, program: Program, parameters: Collection[int]):
        self.program = program
        self.parameters = frozenset(parameters)
        self.made: dict[int, Equation] = {}
        self.position: dict[int, int] = {}
        self.users: dict[int, list[Equation]] = {}
        #: how often a value is used, by equations, guards and as an output
        self.uses: Counter[int] = Counter(program.outputs)
        #: of each product that starts a layer, the position of the weight
        self.starts: dict[int, int] = {}
        for position, step in enumerate(program.steps):
            self.uses.update(step.operands)
            if isinstance(step, Equation):
                self.made[step.result] = step
                self.position[step.result] = position
                for k in dict.fromkeys(step.operands):
                    self.users.setdefault(k, []).append(step)

    # --- weights ---

    def leaf(self, number: int) -> tuple[int, bool] | None:
        """The input or array from outside that a value is or is a view of, and whether transposed."""
        transposed = False
        while number in self.made:
            equation = self.made[number]
            is_view = equation.primitive.memory == "view"
            if not is_view or not all(k in self.program.literals for k in equation.operands[1:]):
                return None
            if _function(equation) is shapes.TRANSPOSE.function:
                transposed = not transposed
            number = equation.operands[0]
        if number in self.program.literals or not self.program.types[number].shape:
            return None
        return number, transposed

    def _views(self, number: int) -> list[Equation]:
        """The equations between a leaf and a view of it that nothing else uses."""
        found: list[Equation] = []
        while number in self.made and self.uses[number] == 1:
            found.append(self.made[number])
            number = self.made[number].operands[0]
        return found[::-1]

    def products(self) -> list[tuple[Equation, int]]:
        """The products that start a layer, and the position of the weight in each."""
        found = list(self._products())
        self.starts = {product.result: place for product, place in found}
        return found

    def _products(self) -> Iterator[tuple[Equation, int]]:
        candidates: list[tuple[Equation, list[int]]] = []
        kinds: Counter[bool] = Counter()
        places: Counter[int] = Counter()
        for equation in self.program.equations:
            if _function(equation) is np.matmul and len(equation.operands) == 2:
                found = [place for place, k in enumerate(equation.operands) if self.leaf(k) is not None]
                if len(found) == 1 and self.program.types[equation.result].shape:
                    kinds[self._is_parameter(equation.operands[found[0]])] += 1
                    places[found[0]] += 1
                if found:
                    candidates.append((equation, found))
        transposes: dict[int, bool] = {}
        data: set[int] = set()
        for equation, found in candidates:
            operands = equation.operands
            place = min(found, key=lambda place: self._preference(operands[place], place, kinds, places))
            number, transposed = self.leaf(operands[place]) or (-1, False)
            if number not in data and transposes.setdefault(number, transposed) is transposed:
                other = self.leaf(operands[1 - place])
                if other is not None:
                    data.add(other[0])
                yield equation, place

    def _preference(self, operand: int, place: int, kinds: Counter[bool], places: Counter[int]) -> tuple[Any, ...]:
        """A key of which the weight has the least."""
        kind = self._is_parameter(operand)
        return (-kinds[kind], not kind, -places[place], self.leaf(operand))

    def _is_parameter(self, operand: int) -> bool:
        leaf = self.leaf(operand)
        return leaf is not None and leaf[0] in self.parameters

    # --- one layer ---

    def layer(self, title: str, product: Equation, place: int) -> Layer | None:
        """The layer that starts from a product: as many equations as leave a single value to others."""
        inside = {k: leaf for k, leaf in [self._weight(product, place)]}
        region = [product]
        results = {product.result}
        waiting = [self.position[e.result] for e in self.users.get(product.result, ())]
        heapq.heapify(waiting)
        open_uses = Counter({product.result: self.uses[product.result]})
        best, exit = 1, product.result
        affine = True
        while waiting:
            equation = self.program.steps[heapq.heappop(waiting)]
            if not isinstance(equation, Equation) or equation.result in results:
                continue
            accepted = self._accepted(equation, results, inside, affine)
            if accepted is None:
                continue
            affine = affine and len(accepted) > 1
            region += accepted
            results.update(e.result for e in accepted)
            open_uses[equation.result] = self.uses[equation.result]
            for k in equation.operands:
                open_uses[k] -= k in open_uses
            open_uses = +open_uses
            if len(open_uses) == 1:
                best, exit = len(region), next(iter(open_uses))
            for user in self.users.get(equation.result, ()):
                heapq.heappush(waiting, self.position[user.result])
        region = region[:best]
        used = {k for equation in region for k in equation.operands}
        biases = used & inside.keys() - {product.operands[place]}
        if not self.program.types[product.result].shape and not biases:
            return None
        views = [view for k in inside if k in used for view in self._views(k)]
        equations = sorted([*views, *region], key=lambda equation: self.position[equation.result])
        return Layer(title, tuple(equations), exit, frozenset(leaf for k, leaf in inside.items() if k in used))

    def _weight(self, product: Equation, place: int) -> tuple[int, int]:
        """The operand of a product that is a weight, and the leaf that it is a view of."""
        operand = product.operands[place]
        return operand, (self.leaf(operand) or (operand, False))[0]

    def _accepted(
        self, equation: Equation, results: set[int], inside: dict[int, int], affine: bool
    ) -> list[Equation] | None:
        """What goes on with a layer: an equation, and the product that it adds; weights are noted in `inside`.

        `affine` says that the layer consists of products and their sums so far, so that a bias may be added.
        """
        if not _treats_elements_alike(equation):
            return None
        others = [k for k in equation.operands if k not in results and not self._is_number(k)]
        if affine and len(others) == 1 and _function(equation) is np.add:
            other = others[0]
            if other in self.starts and self.uses[other] == 1:
                operand, leaf = self._weight(self.made[other], self.starts[other])
                inside[operand] = leaf
                return [self.made[other], equation]
            found = self.leaf(other) or ((other, False) if self._is_scalar_input(other) else None)
            if found is not None:
                inside[other] = found[0]
                return [equation]
        return None if others else [equation]

    def _is_number(self, number: int) -> bool:
        literal = self.program.literals.get(number)
        return literal is not None and self.program.types[number].size == 1 and not isinstance(literal, slice)

    def _is_scalar_input(self, number: int) -> bool:
        return number in self.parameters and not self.program.types[number].shape

    # --- the loss ---

    def loss(self, found: list[Layer]) -> Layer | None:
        """What no layer depends on and a single number comes out of; None if there is no such thing."""
        program = self.program
        outputs = program.outputs
        if len(outputs) != 1 or program.types[outputs[0]].size != 1 or outputs[0] not in self.made:
            return None
        taken = {k for layer in found for k in layer.results}
        before = {k for layer in found for equation in layer.equations for k in equation.operands}
        rest: list[Equation] = []
        for equation in reversed(program.equations):
            if equation.result in before:
                before.update(equation.operands)
            elif equation.result not in taken:
                rest.append(equation)
        if len(rest) < 2 or outputs[0] in taken:
            return None
        results = {equation.result for equation in rest}
        inside = frozenset(leaf for layer in found for leaf in layer.inside)
        used = frozenset(k for equation in rest for k in equation.operands)
        guards = tuple(guard for guard in program.guards if guard.operands[0] in results)
        return Layer("loss", tuple(reversed(rest)), outputs[0], inside & used, guards)


def _function(equation: Equation) -> Any:
    return equation.primitive.function if isinstance(equation.primitive, Primitive) else None


def _treats_elements_alike(equation: Equation) -> bool:
    primitive = equation.primitive
    if isinstance(primitive, Write):
        return False
    function = primitive.function
    if primitive.elementwise or function in _ELEMENTWISE:
        return True
    if isinstance(function, np.ufunc):
        return function.signature is None
    return function in _COMPARISONS


__all__ = ["Layer", "layers"]
