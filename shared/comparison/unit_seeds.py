"""What unit seeds save: the arithmetic that a record of a Jacobian has, and that a run of it does without.

The seeds of a Jacobian are unit directions, each with one element that is not zero.  As long as they only pass through
elementwise functions a run carries that one element, and their product with a matrix is its columns (`shared.batching.
one_hot`); a record is made of ordinary arrays.  This module walks the record of the function, from its inputs for
directions and from its output for sweeps, and adds up what is saved.  It runs nothing.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from shared.comparison.calibration import Machine
from shared.programs.equations import Equation, ValueType, Write
from shared.programs.program import Program

#: Products of a batch with numbers read the batch and write another.
_READ_AND_WRITTEN = 16

#: Elementwise functions whose derivative is no product, so that what is one element becomes a whole array.  That of a
#: sum is nothing at all.
_FILLING_IN = (np.negative, np.subtract)


def saved(program: Program, backwards: bool, products: int, constants: Machine) -> float:
    """The seconds that unit seeds save in so many directions, or sweeps backwards, all of one array."""
    ends = program.outputs if backwards else program.inputs
    arrays = [k for k in ends if program.types[k].is_array and program.types[k].shape]
    if products == 1 or len(arrays) != 1 or len(ends) != 1:
        return 0.0
    unit = set(arrays)
    varies = _varying(program)
    uses = Counter(k for equation in program.equations for k in equation.operands if varies[k])
    total = 0.0
    for equation in reversed(program.equations) if backwards else program.equations:
        active = [k for k in equation.operands if varies[k]]
        reached = equation.result in unit if backwards else not unit.isdisjoint(active)
        if isinstance(equation.primitive, Write) or not reached or equation.primitive.function in _FILLING_IN:
            continue
        if equation.primitive.elementwise:
            out = program.types[equation.result]
            alike = [k for k in active if program.types[k].shape == out.shape and (backwards or k in unit)]
            moved = _READ_AND_WRITTEN * products * out.size
            if equation.primitive.function is not np.add:
                total += len(alike) * constants.moving(moved, moved)
            if backwards:
                unit.update(k for k in alike if uses[k] == 1)
            elif alike == active and len(active) == 1:
                unit.add(equation.result)
        elif equation.primitive.function is np.matmul:
            total += products * _of_matrix(program, equation, active) * constants.product
    return total


def _of_matrix(program: Program, equation: Equation, active: list[int]) -> int:
    """The operations of a product with a constant matrix; zero where both factors vary, or it is a vector."""
    others = [program.types[k] for k in equation.operands if k not in active]
    return 2 * others[0].size if len(others) == 1 and len(others[0].shape) == 2 else 0


def _is_inexact(type_: ValueType) -> bool:
    return issubclass(type_.kind, (float, complex)) if type_.dtype is None else type_.dtype.kind in "fc"


def _varying(program: Program) -> list[bool]:
    varies = [False] * len(program.types)
    for k in program.inputs:
        varies[k] = _is_inexact(program.types[k])
    for equation in program.equations:
        reached = any(varies[k] for k in equation.operands) and not equation.primitive.constant
        varies[equation.result] = reached and _is_inexact(program.types[equation.result])
    return varies
