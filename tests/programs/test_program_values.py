"""All values of a program at one point: computed as a call computes them, and kept as they were."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import reversead
from shared import ProgramGuardError, trace

WEIGHTS = np.array([1.0, 2.0, 3.0])


def written(x: Any) -> Any:
    y = np.exp(x)
    y[0] = 7.0
    y[1:] *= x[1:]
    return np.sum(y * WEIGHTS), y


def test_values_are_those_of_each_equation() -> None:
    x = np.array([0.1, 0.2, 0.3])
    for program in (trace(written, x), trace(reversead.grad(lambda x: written(x)[0]), x)):
        values = program.values(x + 1.0)
        assert len(values) == len(program.types)
        for equation in program.equations:
            again = equation.primitive.raw(*[values[k] for k in equation.operands], **equation.static)
            np.testing.assert_array_equal(values[equation.result], again)
        outputs = [values[k] for k in program.outputs]
        expected = program(x + 1.0)
        for found, wanted in zip(outputs, expected if len(outputs) > 1 else [expected], strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_nothing_is_changed_in_place() -> None:
    """The array that is assigned to is there as it was, and as it is after each assignment."""
    x = np.array([0.1, 0.2, 0.3])
    program = trace(written, x)
    values = program.values(x)
    made = {equation.primitive.name: values[equation.result] for equation in program.equations}
    np.testing.assert_array_equal(made["exp"], np.exp(x))
    assert made["setitem"][0] == 7.0
    assert not any(np.shares_memory(made["exp"], values[k]) for k in program.outputs)


def test_later_changes_of_arguments_and_of_arrays_outside_are_not_seen() -> None:
    x, outside = np.ones(3), np.ones(3)
    program = trace(lambda x: x[1:] + outside[1:], x)
    values = program.values(x)
    before = [np.copy(value) for value in values if isinstance(value, np.ndarray)]
    x[:], outside[:] = 5.0, 6.0
    after = [value for value in values if isinstance(value, np.ndarray)]
    assert len(before) == 4
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


def test_arguments_and_branches_are_checked_as_in_a_call() -> None:
    program = trace(lambda x, scale: x * scale if x > 0 else -x, 2.0, scale=3.0)
    assert program.values(4.0, scale=0.5)[program.outputs[0]] == program(4.0, scale=0.5) == 2.0
    for args in ((-1.0,), (np.ones(2),), (1.0, 2.0)):
        with pytest.raises(ProgramGuardError) as called:
            program(*args, scale=0.5)
        with pytest.raises(ProgramGuardError) as valued:
            program.values(*args, scale=0.5)
        assert str(called.value).split(" (at ")[0] == str(valued.value).split(" (at ")[0]
    with pytest.raises(np.linalg.LinAlgError) as failed:
        trace(np.linalg.inv, np.eye(2)).values(np.zeros((2, 2)))
    assert "in inv(" in failed.value.__notes__[0]
