"""Programs that a compiled function once got wrong, each by the cause that it showed."""

from __future__ import annotations

import argparse

import numpy as np
import pytest

import reversead
from shared import TracerConversionError, compile, elementwise, trace
from shared.programs.compiling.rewriting import rewritten
from shared.registry import REGISTRY
from shared.tree import flatten


def same(found, expected, rtol=1e-13):
    for one, other in zip(flatten(found)[0], flatten(expected)[0], strict=True):
        assert type(one) is type(other)
        np.testing.assert_allclose(one, other, rtol=rtol, atol=0.0, strict=isinstance(one, np.ndarray))


def _literal_in_two_stretches(x):
    weights = np.arange(200.0) / 7
    y = np.tanh(x * weights) + x
    z = np.cumsum(y, axis=0)
    return (z * weights) * 0.3 + z


def _recursive(x):
    c = np.array([1.0, 2.0])

    def times(k):
        return x * c if k == 0 else times(k - 1)

    return times(3)


LARGE = np.linspace(-1.0, 1.0, 70_000)
CASES = {
    "an array made in the function and read in two stretches": (
        _literal_in_two_stretches,
        (np.linspace(0.0, 1.0, 40_000).reshape(200, 200),),
    ),
    "a large array of single precision and a Python float": (
        lambda x, r: np.tanh(x * r) * r + x,
        (LARGE.astype(np.float32), 0.5),
    ),
    "a large array of half precision and a Python float": (
        lambda x, r: (x * r) * r + x,
        (LARGE.astype(np.float16), 0.5),
    ),
    "a large complex array and a Python float": (lambda x, r: np.exp(x * r) * r + x, (LARGE + 1j, 0.5)),
    "a Python complex number and an array of single precision": (
        lambda s, x: x * (s * 1j),
        (2.0, np.ones(2, np.float32)),
    ),
    "Python complex numbers alone": (lambda s: (s * 1j + 2.0) / (1.0 - 3j * s), (2.0,)),
    "an array that a closure of the function itself holds": (_recursive, (np.ones(2),)),
    "windows of an array that the function makes": (
        lambda x: np.lib.stride_tricks.sliding_window_view(np.arange(5.0), 2) @ x,
        (np.ones(2),),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_compiled_function_equals_the_function(name):
    f, arguments = CASES[name]
    fast = compile(f)
    expected = f(*arguments)
    rtol = {2: 2e-3, 4: 2e-6}.get(flatten(expected)[0][0].dtype.itemsize, 1e-13) if np.ndim(expected) else 1e-13
    same(fast(*arguments), expected, rtol)
    same(fast(*arguments), expected, rtol)


def test_a_function_of_a_user_may_return_its_operand():
    identity = elementwise(lambda x: x, lambda x: 1.0 + 0.0 * x)

    def f(x):
        y = np.sin(x) * 2
        w = identity(y)
        a = np.cos(x) * 3
        return (a * a + x) * x * 1.5, w * 2

    try:
        same(compile(f)(np.arange(4.0)), f(np.arange(4.0)))
    finally:
        del REGISTRY[identity.function]


@pytest.mark.parametrize(
    "f, arguments",
    [
        (lambda x, y: 0.5 * x + 0.5 * y, (1.7e308, 1.7e308)),
        (lambda x, y: 0.25 * x - (-0.25) * y, (1.7e308, 1.7e308)),
        (lambda x, y: (x * 1e-14) * y, (1e160, 1e160)),
        (lambda x, y: (x * 1e14) * y, (1e-165, 1e-165)),
        (lambda x, y: (x * 1e-8) * (y * 1e12), (1e150, 1e150)),
    ],
)
def test_rewriting_neither_overflows_nor_vanishes_where_the_function_does_not(f, arguments):
    for given in (arguments, tuple(np.array([a]) for a in arguments)):
        np.testing.assert_allclose(compile(f)(*given), f(*given), rtol=1e-13)


def test_rewriting_keeps_python_numbers_weak():
    program = trace(lambda x, r, s: x * ((-r) * (2.0 * s)), np.ones(3, np.float32), 0.1, 0.3)
    found = rewritten(program.simplified())
    assert found(np.ones(3, np.float32), 0.1, 0.3).dtype == np.float32


def test_results_of_equations_have_the_types_that_are_written_down():
    def f(x, r, s):
        return np.sum(x * ((-r) * (2.0 * s)) - (r + r) * x), (-r) * (s * 3.0) - r

    for x in (np.linspace(0.0, 1.0, 3), np.linspace(0.0, 1.0, 3, dtype=np.float32)):
        for g in (f, reversead.grad(lambda x, r, s: f(x, r, s)[0].astype(float), argnums=(0, 1, 2))):
            program = rewritten(trace(g, x, 0.5, 0.25).simplified())
            values = program.values(x, 0.5, 0.25)
            for equation in program.equations:
                found, expected = values[equation.result], program.types[equation.result]
                assert getattr(found, "dtype", None) == expected.dtype, equation
                assert isinstance(found, float) == issubclass(expected.kind, float), equation


def test_minus_zero_keeps_its_sign():
    x = np.array([-0.0, 0.0])
    for f in (
        lambda x: np.copysign(1.0, x + 0.0),
        lambda x: np.copysign(1.0, x - 0.0),
        lambda x: np.copysign(1.0, 0.0 + x),
    ):
        np.testing.assert_array_equal(trace(f, x).simplified()(x), f(x))
        np.testing.assert_array_equal(compile(f)(x), f(x))


def test_attributes_of_objects_of_the_standard_library_are_noticed():
    options = argparse.Namespace(rate=2.0)
    closed_over, given = compile(lambda x: x * options.rate), compile(lambda x, o: x * o.rate)
    assert closed_over(1.0) == given(1.0, options) == 2.0
    options.rate = 4.0
    assert closed_over(1.0) == given(1.0, options) == 4.0


def test_an_outer_array_that_only_decides_a_branch_is_noticed():
    limits = np.zeros(5000)
    fast = compile(lambda x: x * 3 if limits[0] <= 1 else x * 2)
    assert fast(1.0) == 3.0
    limits[0] = 5
    assert fast(1.0) == 2.0


def test_an_outer_array_of_equal_numbers_is_noticed():
    scale = np.full(5000, 1.0)
    fast = compile(lambda x: np.sum(x * (scale * 2)))
    assert fast(1.0) == 10_000.0
    scale[:] = 5.0
    assert fast(1.0) == 50_000.0


def test_a_number_cannot_leave_the_record_as_text():
    with pytest.raises(TracerConversionError, match="text was asked of"):
        trace(lambda x: x * 2 if f"{x[0]:.1f}" == "1.0" else x * 3, np.ones(2))
