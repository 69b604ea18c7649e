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
        near = [equation.result] if backwards else active
        if isinstance(equation.primitive, Write) or not unit.intersection(near):
            continue
        found = _of_one(program, equation, active, products, constants)
        if found is None:
            continue
        total += found * (len(active) if backwards else len(unit.intersection(active)))
        if not equation.primitive.elementwise:
            continue
        if not backwards and len(active) == 1:
            unit.add(equation.result)
        elif backwards:
            unit.update(k for k in active if uses[k] == 1)
    return total


def _of_one(program: Program, equation: Equation, active: list[int], products: int, constants: Machine) -> float | None:
    """What one equation saves for each operand, None where the seeds are no unit seeds from here on."""
    types, out = program.types, program.types[equation.result]
    if equation.primitive.elementwise and all(types[k].shape == out.shape for k in active):
        moved = _READ_AND_WRITTEN * products * out.size
        return constants.moving(moved, moved)
    others = [types[k] for k in equation.operands if k not in active]
    if equation.primitive.function is np.matmul and len(others) == 1 and len(others[0].shape) == 2:
        return constants.product * 2 * others[0].size * products
    return None


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
