"""Which arrays share memory: every entry of the registry gives a fresh array or a view, exactly as NumPy's
does.

A program that writes to a result, or to an argument after the call, must see what it sees in plain NumPy, in
both engines; where the two share memory, an error that says so will do as well.  Never a different number.
"""

from __future__ import annotations

import numpy as np
import pytest
from derivative_checks import assert_close, assert_fits, direction
from registry_samples import MOVES, SAMPLES, one_shape
from registry_samples.selection import joined, one_shape_a_rank

import dualad
import reversead
from shared import DifferentiationError
from shared.checking.differences import difference_jvp

ENGINES = {"dualad": dualad, "reversead": reversead}


def independent(args):
    return [a.copy() if isinstance(a, np.ndarray) or (hasattr(a, "lift") and a.shape) else a for a in args]


def write_to_result(f, *args):
    args = independent(args)
    result = f(*args)
    result[...] = 0.25
    return [*args, result]


def add_to_result(f, *args):
    args = independent(args)
    result = f(*args)
    result += 0.25
    return [*args, result]


def add_to_part_of_result(f, *args):
    """The result may be a view of an array that nobody else sees, and is written to by a view of it."""
    result = f(*independent(args))
    result[...] += 0.25
    return [result]


def write_to_argument(f, *args):
    args = independent(args)
    result = f(*args)
    args[0][...] = 0.75
    return [*args, result]


def write_elsewhere_in_argument(f, *args):
    """Only the last element changes, so a result that depends on others must keep its derivative."""
    args = independent(args)
    result = f(*args)
    args[0][(-1,) * args[0].ndim] = 0.75
    return [*args, result]


PROGRAMS = [write_to_result, add_to_result, add_to_part_of_result, write_to_argument, write_elsewhere_in_argument]


def is_array_to_array(sample):
    args = sample.arguments()
    if not isinstance(args[0], np.ndarray) or not args[0].size or not args[0].ndim:
        return False
    result = sample.function(*args)
    return isinstance(result, np.ndarray) and result.dtype == np.float64


SHARING = joined(one_shape(filter(is_array_to_array, SAMPLES)), one_shape_a_rank(filter(is_array_to_array, MOVES)))


@pytest.mark.parametrize("sample", list(SHARING), ids=str)
def test_results_share_memory_as_in_numpy(sample):
    args = sample.arguments()
    result = sample.function(*args)
    writable = result.flags.writeable
    fresh = not any(np.may_share_memory(a, result) for a in args if isinstance(a, np.ndarray))
    # Of memory of its own a result shows in one write to it and one to the argument that it is so.
    for program in (write_to_result, write_to_argument) if fresh else PROGRAMS:
        # NumPy itself refuses to write to some views; that they are views shows when the argument changes.
        if writable or program in (write_to_argument, write_elsewhere_in_argument):
            assert_shares_memory(sample, program)


def assert_shares_memory(sample, program):
    args = sample.arguments()
    expected = program(sample.function, *args)
    # An empty view shares nothing, but it is one.
    result = expected[-1]
    shares = not result.size or any(np.shares_memory(a, result) for a in expected[:-1] if isinstance(a, np.ndarray))
    tangents = tuple(direction(args, 1))
    pushed = {}
    for name, engine in ENGINES.items():
        try:
            found, pushed[name] = engine.jvp(lambda *a: program(sample.function, *a), tuple(args), tangents)
        except DifferentiationError:
            if shares:
                continue
            raise
        assert_close(f"{name}: {program.__name__}", found, expected, 1e-12)
    if pushed:
        estimate = difference_jvp(lambda *a: program(sample.function, *a), tuple(args), tangents)
        for name, tangent in pushed.items():
            assert_fits(f"{name}: {program.__name__}", tangent, estimate)
