"""What values are called for readers: as in the textbooks where a network is shown, as the user has them otherwise.

Of a network the weights, biases, weighted inputs and activations are w, b, z and a with the index of their layer above,
the loss is C, and the adjoint of z is delta (Nielsen 2015, chapters 2 and 5; see `shared.networks.passes`, which holds
the same arrays).  Everywhere else arguments are called what they are called, and results v1, v2, ... in their order
(Griewank & Walther 2008, section 2.2).  Formulas are those of the evaluation trace; this module gives them the names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from shared.core.visible import one_line, shortened
from shared.programs.equations import Equation
from shared.programs.explaining.expressions import Marks, theirs, typeset
from shared.programs.explaining.layers import Layer
from shared.programs.program import Program

_ABOVE = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
#: A name that takes an accent: a letter, and perhaps an index.
_SHORT = re.compile(r"[^\W\d_]['₀-₉⁰-⁹¹²³0-9ᵀ]{0,4}")
_POSITION = re.compile(r"\[[0-9]+\]")
_LONGEST = 40


def above(number: int) -> str:
    """A number as an upper index.

    >>> above(12)
    '¹²'
    """
    return str(number).translate(_ABOVE)


class Names(Marks):
    """The names of the values of a program, and its formulas in them.

    `groups` are its layers, if it has any; `network` says whether the names are those of the textbooks.
    """

    def __init__(self, program: Program, values: Sequence[Any], groups: Sequence[Layer]):
        super().__init__({}, {}, values)
        self.program = program
        self.groups = [group for group in groups if group.title != "loss"]
        self.network = _is_network(program, self.groups)
        self.names: dict[int, str] = {}
        #: whether a value is a weighted input, whose adjoint is delta, and of which layer
        self.weighted: dict[int, int] = {}
        #: what further a value is, such as the stored transpose of the textbook's w
        self.notes: dict[int, str] = {}
        taken = set()
        for k in (*program.inputs, *program.captured):
            self.names[k] = one_line(program.name_of(k))
            taken.add(self.names[k])
        #: the values that have a name of the textbooks
        self.textbook: frozenset[int] = frozenset()
        if self.network:
            given = dict(self.names)
            self._textbook()
            self.textbook = frozenset(k for k, name in self.names.items() if given.get(k) != name)
            taken = set(self.names.values())
        for number, equation in enumerate(program.equations, 1):
            if equation.result in self.names:
                continue
            name = f"v{number}"
            while name in taken:
                name += "'"
            self.names[equation.result] = name
            taken.add(name)

    # --- the names of a network ---

    def _textbook(self) -> None:
        made = {equation.result: equation for equation in self.program.equations}
        for number, layer in enumerate(self.groups, 1):
            index = above(number)
            product = next(e for e in layer.equations if _function(e) is np.matmul)
            affine = product.result
            for equation in layer.equations:
                if _function(equation) is np.add and affine in equation.operands:
                    for k in equation.operands:
                        self._name_leaf(k, layer, f"b{index}", "the biases of layer", number, made)
                    affine = equation.result
            for place, k in enumerate(product.operands):
                stored = f"w{index}ᵀ" if place else f"w{index}"
                self._name_leaf(k, layer, stored, "the weights of layer", number, made)
                if number == 1 and k in self.names and k not in layer.inside and _is_nameless(self.names[k]):
                    self.names[k] = f"a{above(0)}"
            self.names.setdefault(affine, f"z{index}")
            self.weighted[affine] = number
            self.names.setdefault(layer.exit, f"a{index}")
        outputs = self.program.outputs
        if len(outputs) == 1 and outputs[0] in made and not self.program.types[outputs[0]].shape:
            self.names.setdefault(outputs[0], "C")

    def _name_leaf(self, k: int, layer: Layer, name: str, what: str, number: int, made: dict[int, Equation]) -> None:
        while k in made and made[k].primitive.memory == "view":
            k = made[k].operands[0]
        was = self.names.get(k, "")
        if k in layer.inside and _is_nameless(was) and name not in self.names.values():
            self.names[k] = name
            self.notes[k] = f"{what} {number}, {was}"

    # --- names ---

    def name(self, k: int) -> str:
        """What value k is called; a literal is written out."""
        return self.names.get(k) or self.program.name_of(k)

    def tangent_name(self, k: int) -> str:
        """What the tangent of value k is called: a dot above."""
        return _accented(self.name(k), "\u0307", "dot")

    def adjoint_name(self, k: int) -> str:
        """What the adjoint of value k is called: delta of a weighted input, otherwise a bar above."""
        if k in self.weighted and self.network:
            return f"δ{above(self.weighted[k])}"
        return _accented(self.name(k), "\u0304", "bar")

    # --- formulas, as `Marks` writes them ---

    def value(self, k: int) -> str:
        if k in self.program.literals:
            literal = self.program.literals[k]
            plain = isinstance(literal, (int, float, complex, slice, np.number)) or literal is Ellipsis
            text = shortened(self.program.name_of(k), _LONGEST)
            return text if plain else theirs(text)
        return theirs(shortened(self.name(k), _LONGEST))

    def tangent(self, k: int) -> str:
        return theirs(shortened(self.tangent_name(k), _LONGEST))

    def adjoint(self, k: int) -> str:
        return theirs(shortened(self.adjoint_name(k), _LONGEST))

    def formula(self, equation: Equation) -> str:
        """The right side of an equation, as text."""
        return typeset(self.primal(equation))


def _accented(name: str, accent: str, word: str) -> str:
    if _SHORT.fullmatch(name):
        return name[0] + accent + name[1:]
    return f"{word}({name})"


def _function(equation: Equation) -> Any:
    return getattr(equation.primitive, "function", None)


def _is_nameless(path: str) -> bool:
    """Whether a leaf is told by its position in a list, as `theta[0][1]` is: nobody has given it a name."""
    return _POSITION.search(path) is not None


def _is_network(program: Program, groups: Sequence[Layer]) -> bool:
    """Whether textbook names say more than the user's own: of several layers, or of weights that have but numbers."""
    weights = {k for layer in groups for k in layer.inside}
    return bool(groups) and (len(groups) > 1 or any(_is_nameless(program.name_of(k)) for k in weights))


__all__ = ["Names", "above"]
