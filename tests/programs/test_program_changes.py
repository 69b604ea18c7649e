"""What has changed between two records of one function: the first difference, with the user's line."""

import itertools
import time

import numpy as np
import pytest

import reversead
from shared import trace
from shared.programs.compiling.verification import differences

weights = np.arange(6.0)


def twice(f, *args):
    return differences(trace(f, *args), trace(f, *args))


def test_a_pure_function_does_not_differ():
    def f(x):
        y = np.zeros(3) + x
        y[0] = 2.0
        return y @ np.arange(3.0) if y[1] > 0 else np.nan * x, weights, "".join(()) or 1.0

    for g in (f, reversead.jacobian(f), reversead.grad(lambda x: f(x)[0])):
        assert twice(g, np.ones(3)) is None


numbers = itertools.count()


def _branching(x):
    return np.sin(x) if next(numbers) % 2 else np.cos(x)


def _growing(x):
    for _ in range(next(numbers) % 7 + 1):
        x = x * 2.0
    return x


def _keywords(x):
    return np.sum(x, axis=next(numbers) % 2)


def _guards(x):
    return x if np.sum(x) > next(numbers) - 1000 else -x


DIFFERENT = {
    "random numbers": (lambda x: x * np.random.random(), "had the operand 0."),
    "an array of random numbers": (lambda x: x * np.random.random(2), "had the operand array("),
    "a large array of random numbers": (lambda x: np.sum(x) * np.random.random(5000), "had the operand array<"),
    "random numbers that are returned": (lambda x: (x, np.random.random(2)), "output 1 had the operand"),
    "a counter": (lambda x: x + next(numbers), "had the operand"),
    "the clock": (lambda x: x * time.perf_counter(), "had the operand"),
    "another operation": (_branching, "cos(x)"),
    "more operations": (_growing, " was evaluated "),
    "another keyword": (_keywords, "axis=1) then"),
    "another bound of a branch": (_guards, "had the operand"),
    "another index": (lambda x: x[next(numbers) % 2], "had the operand"),
    "another shape": (lambda x: np.sum(x) * np.ones(next(numbers) % 5 + 1), "had the operand"),
    "another result": (lambda x: [x] * (next(numbers) % 5 + 1), "had the structure"),
    "minus zero": (lambda x: x + (0.0 if next(numbers) % 2 else -0.0), "had the operand"),
    "another array from outside": (lambda x: x * (weights[:2], held)[next(numbers) % 2], "array from outside"),
}
held = np.ones(2)


@pytest.mark.parametrize("name", DIFFERENT)
def test_a_function_that_is_not_deterministic_is_found_out(name):
    f, said = DIFFERENT[name]
    found = twice(f, np.eye(2))
    assert found is not None
    assert said in found
    if "output" not in said and "structure" not in said:
        assert "test_program_changes.py:" in found
