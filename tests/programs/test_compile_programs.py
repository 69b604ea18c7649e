"""`compile` over generated functions: samples of the registry, and random programs of reads, writes and views.

A compiled function returns what the function returns, in kind, dtype and shape, at the arguments it was compiled for
and at others; a result is nobody else's memory, and no argument is written.  At zeros, infinities, NaNs and numbers
near the limits of the format it returns what its record does, which computes in NumPy alone.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager

import numpy as np
import pytest
from derivative_checks import direction
from fuzz import points, records
from fuzz.case import Case
from fuzz.checks import outcome
from fuzz.drawing import drawn_program
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

import dualad
import reversead
from shared import ProgramGuardError, StaleViewError, compile, source, trace
from shared.calling.results import has_nan
from shared.calling.tree import flatten
from shared.programs.compiling import plan
from shared.programs.compiling.compiled import Variant

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::DeprecationWarning")

#: One sample of so many is run: 1 runs them all, in two minutes.
EVERY = 3


@contextmanager
def counted_refusals():
    """How often a text refused numbers: at ordinary points never, or a mistake in it would go unnoticed."""
    refusals = []
    interpreted = Variant._interpreted

    def noted(self, args, kwargs):
        refusals.append(self.text)
        return interpreted(self, args, kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Variant, "_interpreted", noted)
        yield refusals


def check(what, function, arguments, special=False):
    scale = max([float(np.abs(a).max()) for a in arguments if np.size(a) and is_inexact(a)], default=0.0)
    with counted_refusals() as refusals:
        compiled = compile(function, cache_size=64)
        earlier = []
        for name, point in other_points(arguments):
            kept = copied(point)
            expected, found = function(*copied(point)), compiled(*point)
            assert_same(found, expected, f"{what}, {name}", scale)
            assert_owned(found, point, f"{what}, {name}")
            assert_same(point, kept, f"{what}, {name}: an argument was written", exactly=True)
            for result, copy in earlier:
                assert_same(result, copy, f"{what}, {name}: an earlier result has changed", exactly=True)
            earlier = [*earlier[-1:], (found, copied(found))]
    assert not refusals, f"{what}: refused by\n{refusals[0]}"
    if special and not any(name in what for name in FINITE_ONLY):
        record = trace(function, *arguments)
        for name, point in special_points(arguments):
            try:
                expected = record(*copied(point))
                if compiled._differentiates and has_nan(flatten(expected)[0]):
                    # A derivative with a NaN is computed with care for exact zeros, by the function itself.
                    expected = function(*copied(point))
            except (ProgramGuardError, ArithmeticError, ValueError):
                continue  # another branch, or numbers that NumPy refuses, too
            assert_same(compiled(*point), expected, f"{what}, {name}", scale)


# --- samples of the registry ------------------------------------------------------------------------------------------

CHUNKS = 24


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_samples_compiled_as_they_are(chunk):
    for sample in SAMPLES[::EVERY][chunk::CHUNKS]:
        check(str(sample), sample.function, sample.arguments())


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_samples_pushed_forward_or_pulled_back_and_compiled(chunk):
    for k, sample in enumerate(SAMPLES[1::EVERY][chunk::CHUNKS]):
        arguments = sample.arguments()
        if k % 2:
            tangents = direction(tuple(arguments), 3)
            check(f"jvp of {sample}", tangents_of(sample.function, len(arguments)), [*arguments, *tangents])
        else:
            out = sample.function(*arguments)
            if not flatten(out)[1].children:
                cotangent = np.cos(out)
                check(f"vjp of {sample}", cotangents_of(sample.function), [*arguments, cotangent])


@pytest.mark.parametrize("chunk", range(8))
def test_samples_at_zeros_infinities_and_nans(chunk):
    # What a composite of NumPy computes at such points is the record's affair; here it is the text's to do the same.
    for sample in SAMPLES[2 :: 4 * EVERY][chunk::8]:
        check(str(sample), sample.function, sample.arguments(), special=True)
        check(f"grad of {sample}", reversead.grad(summed(sample.function)), sample.arguments(), special=True)


@pytest.mark.parametrize("chunk", range(4))
def test_samples_in_single_precision(chunk):
    for sample in SAMPLES[:: 4 * EVERY][chunk::4]:
        check(str(sample), sample.function, sample.arguments(np.float32))


@pytest.mark.parametrize("sample", [*COMPLEX[::EVERY], *CONSTANTS[::EVERY]], ids=str)
def test_complex_samples_and_constants(sample):
    check(str(sample), sample.function, sample.arguments())


# --- random programs --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", range(4))
def test_random_programs_are_not_refused_by_their_text(chunk):
    """At the numbers that they were compiled at, and near them; what they compute, the fuzzer compares."""
    for seed in range(1000 + chunk, 1080, 4):
        case = Case(drawn_program(seed))
        for name, function in records.functions(case):
            with counted_refusals() as refusals, np.errstate(all="ignore"):
                try:
                    compiled = compile(function, cache_size=64)
                    for point in (case.program.values(), points.near(case.program)):
                        compiled(*point)
                except StaleViewError:
                    continue
            assert not refusals, f"{name} of\n{case.program.source()}\nrefused by\n{refusals[0]}"


@pytest.mark.parametrize("chunk", range(4))
def test_random_programs_in_blocks(chunk):
    for seed in range(2000 + chunk, 2040, 4):
        program = drawn_program(seed)
        with small_blocks(4, 2):
            found = outcome(program, "compile")
        assert found.kind != "failed", f"{found.why}\n{source(program)}"


# --- fused loops ------------------------------------------------------------------------------------------------------


@contextmanager
def small_blocks(smallest, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plan, "SMALLEST", smallest)
        patch.setattr(plan, "BLOCK", block)
        patch.setattr(plan, "FOR_TWO_THREADS", 1)
        yield


def assigned(x):
    y = x * 1.0
    y[2:] = np.sin(y[:-2]) * y[2:] + 1.0
    return np.sum(y * y * np.cos(y))


def inside_and_outside(x):
    y = np.tanh(x) * 2.0 + 1.0
    return np.sum(y * y) + np.sum(np.exp(y)[1:] * y[:-1]) + np.dot(y, y)


OF_VECTORS = {
    "chain": lambda x: np.sum(np.exp(-np.sin(x) * x) + x),
    "sum read by rows": lambda x: np.sum(np.sin(x) / np.sum(np.exp(x)) * x),
    "inside and outside": inside_and_outside,
    "neighbours": lambda x: np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2),
    "three neighbours": lambda x: np.sum((x[2:] - 2.0 * x[1:-1] + x[:-2]) ** 2 * np.sin(x[1:-1])),
    "backwards": lambda x: np.sum(np.sin(x) * x[::-1] * np.exp(x[::-1])),
    "every other": lambda x: np.sum(np.sin(x[::2]) * np.exp(x[::2])) + np.sum(np.cos(x[1::2]) * 2.0 * x[1::2]),
    "a number": lambda x: np.sum(np.sin(x) * x[0] * 2.0 + x[0] * x[0]),
    "equal numbers": lambda x: np.sum(np.ones_like(x) * x[0]) + np.sum(np.ones_like(x) * 3.0 * x),
    "where": lambda x: np.sum(np.where(x > 0.1, np.sin(x), x * x) * np.maximum(x, 0.2)),
    "single precision": lambda x: np.sum(np.sin(x.astype(np.float32) * np.float32(2)).astype(float) * x),
    "between": lambda x: np.sum(np.cumsum(np.sin(x) * x) * np.cos(x)),
    "assigned": assigned,
}

OF_ARRAYS = {
    "rows and columns": (lambda a, b, c: np.sum(np.tanh(a * b + c) * a) + np.sum(a * a * b), ("n3", "3", "n1")),
    "sums of columns": (lambda a, b, c: np.sum(np.sum(np.tanh(a * b + c) * a, axis=0) ** 2), ("n3", "13", "n1")),
    "layers": (lambda a, b, c: np.sum(np.tanh(np.tanh(a @ b + c) @ b) ** 2), ("n4", "44", "4")),
    "square": (lambda a, b, c: np.sum((a * b + np.sin(b) * a) * np.cos(c) * a.T), ("nn", "n", "n1")),
    "three axes": (lambda a, b, c: np.sum(np.sin(a * b) * c) + np.sum(np.transpose(a, (1, 0, 2)) * b),
                   ("nn2", "n2", "n11")),
    "floats": (lambda a, b, c: np.sum(np.sin(a * b) * c + a / c), ("n", "", "")),
    "grid": (lambda a, b, c: np.sum((a[2:, 1:-1] + a[:-2, 1:-1] - 4.0 * a[1:-1, 1:-1]) ** 2 * c * b[1:-1]),
             ("nn", "n", "")),
}  # fmt: skip


def drawn(shape, n, seed):
    if not shape:
        return 1.5 + seed
    return np.random.default_rng(seed).standard_normal([n if letter == "n" else int(letter) for letter in shape])


@pytest.mark.parametrize("smallest, block", [(4, 3), (3, 2), (8, 7), (16, 4)])
@pytest.mark.parametrize("name", OF_VECTORS)
def test_vectors_in_blocks(name, smallest, block):
    f = OF_VECTORS[name]
    with small_blocks(smallest, block):
        for n in (8, 17):
            x = drawn("n", n, 1)
            check(f"{name}, n = {n}", reversead.value_and_grad(f), [x])
            check(f"{name}, n = {n}, hvp", lambda x, t, f=f: dualad.jvp(reversead.grad(f), (x,), (t,)), [x, x + 1.0])


@pytest.mark.parametrize("smallest, block", [(4, 3), (8, 7), (16, 4)])
@pytest.mark.parametrize("name", OF_ARRAYS)
def test_arrays_in_blocks(name, smallest, block):
    f, shapes = OF_ARRAYS[name]
    with small_blocks(smallest, block):
        for n in (5, 9):
            arguments = [drawn(shape, n, k) for k, shape in enumerate(shapes)]
            check(f"{name}, n = {n}", reversead.value_and_grad(f, argnums=(0, 1, 2)), arguments)


def test_there_are_blocks_and_two_threads():
    with small_blocks(8, 3):
        text = compile(OF_VECTORS["chain"]).source(drawn("n", 40, 0))
    assert "def fused0" in text
    assert "in_two_threads(fused0" in text


def test_large_arrays_in_blocks_as_they_are():
    x = np.random.default_rng(0).standard_normal(300_001)
    f = OF_VECTORS["neighbours"]
    compiled = compile(reversead.value_and_grad(f))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compiled(x)
    value, gradient = reversead.value_and_grad(f)(x)
    assert "fused0" in compiled.source()
    assert found[0] == pytest.approx(value, rel=1e-12)
    np.testing.assert_allclose(found[1], gradient, rtol=1e-11, atol=1e-10)
