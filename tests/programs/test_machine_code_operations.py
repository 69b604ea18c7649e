"""Every operation that machine code has, number by number: values, signs of zeros, NaN, warnings, rounding.

Correctly rounded operations have NumPy's bits.  Functions of the C library are within `UNITS` units in the last place
of NumPy's, which has its own versions of them.
"""

from __future__ import annotations

import warnings
from functools import cache
from itertools import product

import numpy as np
import pytest
from machine_programs import as_machine_code, require_compiler

from shared import compile
from shared.programs.machine_code.operations import ARITHMETIC, LOGIC, TRUTHS

require_compiler()

#: Units in the last place between the C library's functions, in versions for vectors, and NumPy's: at most 4 each.
UNITS = {np.float64: 8, np.float32: 8}
ROUNDED = frozenset((np.add, np.subtract, np.multiply, np.divide, np.negative, np.positive, np.conjugate, np.square,
                     np.reciprocal, np.absolute, np.fabs, np.copysign, np.sqrt, np.maximum, np.minimum, np.fmax,
                     np.fmin, np.sign, np.floor, np.ceil, np.trunc, np.rint))  # fmt: skip
GRID = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, 3.0, -3.0, 100.0, -100.0, 1e10, 1e-10, 800.0, -800.0, np.inf, -np.inf,
        np.nan]  # fmt: skip
EXTREME = {np.float64: [1e308, -1e308, 5e-324, 1e-308], np.float32: [1e38, -1e38, 1e-45, 1e-38]}
#: Of two zeros NumPy itself takes the one or the other.
OF_EITHER_ZERO = (np.maximum, np.minimum, np.fmax, np.fmin)
#: Enough of one number for vectors of any width, and some left over.
LENGTH = 19


OPERATIONS = list({**ARITHMETIC, **TRUTHS})


def points(ufunc, dtype):
    numbers = [*GRID, *EXTREME[dtype]]
    if ufunc.nin == 1:
        return [(number,) for number in numbers]
    return [*product(numbers[::2], numbers), *product(numbers[1::2], numbers[::2])]


@cache
def compiled(dtype):
    """Of each operation machine code for arrays of a dtype, for Python floats, and for numbers of the dtype."""
    made = {}
    for ufunc in OPERATIONS:
        function = lambda *xs, ufunc=ufunc: ufunc(*xs)  # noqa: E731
        made[ufunc] = compile(function, verify="never", cache_size=64)
        with np.errstate(all="ignore"):
            for one in (np.full(LENGTH, 0.5, dtype), 0.5, dtype(0.5)):
                made[ufunc](*[one] * ufunc.nin)
    machines = as_machine_code(made.values())
    assert len(machines) > 2.8 * len(made)  # what hands a value on is refused
    return made


def outcome(function, arguments):
    """What a call returns, and what NumPy warns of; a Python float may raise instead."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = function(*arguments)
        except (ArithmeticError, ValueError) as error:
            return type(error), set()
    return np.asarray(found), {str(w.message).split(" encountered")[0] for w in caught}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("ufunc", OPERATIONS, ids=lambda ufunc: ufunc.__name__)
def test_special_values_and_warnings(ufunc, dtype):
    function, units = compiled(dtype)[ufunc], 0 if ufunc in ROUNDED or ufunc in TRUTHS else UNITS[dtype]
    source = compile(lambda *xs: ufunc(*xs), verify="never", cache_size=64)
    for numbers in points(ufunc, dtype):
        with np.errstate(all="ignore"):
            arrays = [np.full(LENGTH, number, dtype) for number in numbers]
        # Of numbers the NumPy source is the measure: it computes with Python's, of which it warns less.
        forms = [(ufunc, arrays), (source, [dtype(number) for number in numbers])]
        if dtype is np.float64:
            forms.append((source, [float(number) for number in numbers]))
        for reference, arguments in forms:
            expected, told = outcome(reference, arguments)
            found, told_too = outcome(function, arguments)
            where = f"{ufunc.__name__} of {arguments}"
            # Of a power by infinity IEEE 754 leaves open whether it divides by zero.
            if ufunc is not np.power or np.isfinite(numbers[1]):
                assert told_too == told, where
            if isinstance(expected, type):
                assert found is expected, where
            else:
                assert_near(found, expected, dtype, units, ufunc not in OF_EITHER_ZERO, where)


def assert_near(found, expected, dtype, units, signed, where):
    """Equal, to some units in the last place; NaN to NaN, and `signed`, zeros of one sign."""
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape), where
    if found.dtype == bool or not units:
        np.testing.assert_array_equal(found, expected, where)
        if found.dtype != bool and signed:
            zero = expected == 0
            np.testing.assert_array_equal(np.signbit(found[zero]), np.signbit(expected[zero]), where)
        return
    np.testing.assert_array_equal(np.isnan(found), np.isnan(expected), where)
    finite = np.isfinite(expected)
    np.testing.assert_array_equal(found[~finite], expected[~finite], where)
    found, expected = found[finite], expected[finite]
    with np.errstate(all="ignore"):
        unit = np.maximum(np.spacing(np.abs(expected)), np.finfo(dtype).smallest_subnormal)
        assert np.all(np.abs(found - expected) <= units * unit), f"{where}: {found} and not {expected}"


DOMAINS = {np.log1p: (-1.0, 1e3), np.arctanh: (-1.0, 1.0), np.arcsin: (-1.0, 1.0), np.arccos: (-1.0, 1.0),
           np.arccosh: (1.0, 1e3), np.power: (0.0, 20.0), np.log: (0.0, 1e3), np.log2: (0.0, 1e3),
           np.log10: (0.0, 1e3), np.sin: (-1e3, 1e3), np.cos: (-1e3, 1e3)}  # fmt: skip


LIBRARY = [ufunc for ufunc in ARITHMETIC if ufunc not in ROUNDED]


@cache
def at_random_numbers(dtype):
    """Of each function of the C library 2,000 arguments, and machine code for them."""
    random, made = np.random.default_rng(1), {}
    for ufunc in LIBRARY:
        low, high = DOMAINS.get(ufunc, (-20.0, 20.0))
        xs = [random.uniform(low, high, 2000).astype(dtype) for _ in range(ufunc.nin)]
        function = compile(lambda *xs, ufunc=ufunc: ufunc(*xs), verify="never")
        function(*xs)
        made[ufunc] = function, xs
    assert len(as_machine_code(function for function, _ in made.values())) == len(LIBRARY)
    return made


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("ufunc", LIBRARY, ids=lambda ufunc: ufunc.__name__)
def test_units_in_the_last_place(ufunc, dtype):
    """Against the function in extended precision or, of single precision, in double."""
    function, xs = at_random_numbers(dtype)[ufunc]
    wide = np.longdouble if dtype is np.float64 else np.float64
    exact = ufunc(*[x.astype(wide) for x in xs])
    error = np.abs(function(*xs).astype(wide) - exact) / np.spacing(np.abs(exact).astype(dtype)).astype(wide)
    assert error.max() <= 4.0, f"{ufunc.__name__}: {error.max()} units at {[x[error.argmax()] for x in xs]}"


@pytest.mark.parametrize("ufunc", LOGIC, ids=lambda ufunc: ufunc.__name__)
def test_truth_values(ufunc):
    x = np.array([-1.0, 0.0, 2.0, np.nan] * 4)
    y = np.repeat([-1.0, 0.0, 2.0, np.nan], 4)

    def f(*xs):
        return np.where(ufunc(*[x > 0.5 for x in xs]), xs[0], xs[-1] + 1.0)

    arguments = [x, y][: ufunc.nin]
    function = compile(f, verify="never")
    function(*arguments)
    assert as_machine_code([function])
    np.testing.assert_array_equal(function(*arguments), f(*arguments))
