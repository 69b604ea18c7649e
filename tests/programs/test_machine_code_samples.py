"""Machine code beside the function and its NumPy source: samples of the registry, special values, random programs.

One sample of so many is run; `MACHINE_CODE_EVERY=1 python -m pytest tests/programs/test_machine_code_samples.py` runs
all of them.  Programs are compiled some hundred at a time, which takes the C compiler seconds.
"""

from __future__ import annotations

import os
from itertools import islice

import numpy as np
import pytest
from derivative_checks import direction
from fuzz import points, records
from fuzz.case import Case
from fuzz.drawing import drawn_program
from machine_programs import as_machine_code, require_compiler
from programs_compared import (
    FINITE_ONLY,
    assert_owned,
    assert_same,
    copied,
    cotangents_of,
    is_inexact,
    other_points,
    special_points,
    summed,
    tangents_of,
)
from registry_samples import COMPLEX, CONSTANTS, SAMPLES

import reversead
from shared import ProgramGuardError, StaleViewError, compile, trace
from shared.calling.results import has_nan
from shared.calling.tree import flatten

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")
require_compiler()

EVERY = int(os.environ.get("MACHINE_CODE_EVERY", "48"))
#: Programs in one call of the C compiler.
TOGETHER = 150
#: An operation rounds otherwise here than in NumPy's BLAS, where a sum of huge products decides between inf and NaN.
PRODUCTS = ("dot", "@", "matmul", "einsum", "inner", "tensordot", "convolve", "correlate", "multi_dot", "vecdot",
            "matvec", "vecmat", "kron", "cov", "corrcoef", "matrix_power")  # fmt: skip


def plain(samples, dtype=np.float64):
    for sample in samples:
        yield str(sample), sample.function, sample.arguments(dtype)


def pushed(samples):
    for sample in samples:
        arguments = sample.arguments()
        tangents = direction(tuple(arguments), 3)
        yield f"jvp of {sample}", tangents_of(sample.function, len(arguments)), [*arguments, *tangents]


def pulled(samples):
    for sample in samples:
        arguments = sample.arguments()
        out = sample.function(*arguments)
        if not flatten(out)[1].children:
            yield f"vjp of {sample}", cotangents_of(sample.function), [*arguments, np.cos(out)]


def gradients(samples):
    for sample in samples:
        yield f"grad of {sample}", reversead.grad(summed(sample.function)), sample.arguments()


CASES = {
    "as they are": lambda: plain(SAMPLES[::EVERY]),
    "pushed forward": lambda: pushed(SAMPLES[EVERY // 4 :: EVERY]),
    "pulled back": lambda: pulled(SAMPLES[EVERY // 2 :: EVERY]),
    "differentiated": lambda: gradients(SAMPLES[3 * EVERY // 4 :: EVERY]),
    "in single precision": lambda: plain(SAMPLES[EVERY // 3 :: EVERY], np.float32),
    "complex and constant": lambda: plain([*COMPLEX[::EVERY], *CONSTANTS[::EVERY]]),
}


@pytest.mark.parametrize("kind", CASES)
def test_samples_three_ways(kind):
    cases = CASES[kind]()
    while together := list(islice(cases, TOGETHER)):
        compare(together)


def compare(cases):
    """What functions, their NumPy sources and their machine code return, at some arguments of the same types."""
    texts = []
    for what, function, arguments in cases:
        compiled = compile(function, cache_size=64)
        at_points = list(other_points(arguments))
        texts.append((what, function, arguments, compiled, [compiled(*copied(point)) for _, point in at_points]))
    machines = as_machine_code(compiled for *_, compiled, _ in texts)
    for what, function, arguments, compiled, by_text in texts:
        scale = max([float(np.abs(a).max()) for a in arguments if np.size(a) and is_inexact(a)], default=0.0)
        earlier = []
        for (name, point), text in zip(other_points(arguments), by_text, strict=True):
            kept = copied(point)
            found = compiled(*point)
            assert_same(found, text, f"{what}, {name}, beside its source", scale)
            assert_same(found, function(*copied(point)), f"{what}, {name}", scale)
            assert_owned(found, point, f"{what}, {name}")
            assert_same(point, kept, f"{what}, {name}: an argument was written", exactly=True)
            for result, copy in earlier:
                assert_same(result, copy, f"{what}, {name}: an earlier result has changed", exactly=True)
            earlier = [*earlier[-1:], (found, copied(found))]
        assert "nan" in what or "log" in what or not any(
            v.machine.refusals for v in compiled._variants if v.machine is not None
        ), f"{what}: machine code raised a flag at ordinary numbers"  # fmt: skip
        if not any(name in what for name in (*FINITE_ONLY, *PRODUCTS)):
            compare_at_special_values(what, function, arguments, compiled, scale)
    assert machines or not texts


def compare_at_special_values(what, function, arguments, compiled, scale):
    record = trace(function, *arguments)
    for name, point in special_points(arguments):
        with np.errstate(all="ignore"):  # so that no flag sends the call to the source
            try:
                expected = record(*copied(point))
                if compiled._differentiates and has_nan(flatten(expected)[0]):
                    expected = function(*copied(point))
            except (ProgramGuardError, ArithmeticError, ValueError):
                continue  # another branch, or numbers that NumPy refuses, too
            assert_same(compiled(*point), expected, f"{what}, {name}", scale)


@pytest.mark.parametrize("first", [5000, 6000])
def test_random_programs_three_ways(first):
    cases = []
    with np.errstate(all="ignore"):
        for seed in range(first, first + 40):
            case = Case(drawn_program(seed))
            for name, function in records.functions(case):
                compiled, at_points = (
                    compile(function, cache_size=64),
                    [case.program.values(), points.near(case.program)],
                )
                try:
                    texts = [(compiled(*copied(point)), function(*copied(point))) for point in at_points]
                except StaleViewError:
                    continue
                cases.append((f"{name} of\n{case.program.source()}", compiled, at_points, texts))
        assert len(as_machine_code(compiled for _, compiled, *_ in cases)) > 20
        for what, compiled, at_points, texts in cases:
            for point, (text, expected) in zip(at_points, texts, strict=True):
                kept = copied(point)
                found = compiled(*point)
                # Results in double precision may have been rounded to single precision on the way.
                scale = 1e8 if "float32" in what else 1.0
                assert_same(found, text, f"{what}, beside its source", scale)
                # The function may round a number that a later operation magnifies; its source rounds like the record.
                assert_same(found, expected, what, max(scale, 1e3))
                assert_same(point, kept, f"{what}: an argument was written", exactly=True)
