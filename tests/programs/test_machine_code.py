"""`compile(f, backend="c")`: swapped in when it is there, and NumPy's source wherever it cannot be or may not stay."""

from __future__ import annotations

import math
import pickle
import re
import threading
import warnings

import numpy as np
import pytest
from machine_programs import as_machine_code, code_of, machine_of, require_compiler

import reversead
from shared import StaleProgramError, compile
from shared.programs.machine_code import placing
from shared.programs.machine_code.emission import StretchText
from shared.programs.machine_code.kernels import Kernel
from shared.programs.machine_code.operations import said

require_compiler()


def valley(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


X = np.linspace(-1.0, 1.5, 1000)


# --- right, and NumPy's source where it has to be ---------------------------------------------------------------------


def test_the_first_call_does_not_wait_and_later_ones_run_machine_code():
    compiled = compile(reversead.value_and_grad(valley), backend="c")
    assert compiled(X)[0] == pytest.approx(valley(X), rel=1e-14)
    assert compiled.wait(60.0)
    value, gradient = compiled(X)
    np.testing.assert_allclose(value, valley(X), rtol=1e-14)
    np.testing.assert_allclose(gradient, reversead.grad(valley)(X), rtol=1e-13, atol=1e-12)
    assert "int stretch0(" in compiled.source()
    assert compiled._variants[0].machine.refusals == 0


@pytest.mark.parametrize("dtype, rounding", [(np.float64, 2.3e-16), (np.float32, 1.2e-7)])
@pytest.mark.parametrize("shape, axis", [((1_000_000,), None), ((1000, 1000), 1), ((1000, 1000), None), ((7, 999), -1)])
def test_sums_round_as_little_as_those_of_numpy(shape, axis, dtype, rounding):
    x = (np.random.default_rng(3).random(shape) * 0.1 + 0.05).astype(dtype)
    found = machine_of(lambda x: np.sum(x * x, axis=axis), x)(x)
    rows = (x * x).astype(float).reshape(-1, shape[-1]) if axis is not None else [(x * x).astype(float).ravel()]
    exact = np.array([math.fsum(row) for row in rows])
    assert np.max(np.abs(np.ravel(found) - exact) / exact) < 8 * rounding


@pytest.mark.parametrize("shape", [(5,), (64,), (1000,), (3, 700), (700, 3), (4, 5, 90), (65, 64)])
def test_extrema_of_rows_columns_and_all_with_and_without_nan(shape):
    def extrema(x):
        y = np.sin(x) * 3.0
        return np.max(y), np.min(x), np.max(x, axis=0), np.min(y, axis=-1), np.max(x, axis=-1, keepdims=True) - y

    x = np.random.default_rng(5).standard_normal(shape)
    with_nan = x.copy()
    with_nan.flat[x.size // 2] = np.nan
    compiled = machine_of(extrema, x)
    for point in (x, with_nan, np.where(x > 0.0, np.inf, -np.inf)):
        with np.errstate(invalid="ignore"):
            for found, expected in zip(compiled(point), extrema(point), strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-15)


def test_warnings_and_raised_errors_are_those_of_numpy():
    f = machine_of(lambda x: np.sum(np.log(x) / (x - 1.0)), X[600:] * 3.0)
    bad = np.zeros(400)
    with pytest.warns(RuntimeWarning, match="divide by zero encountered in log"):
        f(bad)
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        f(bad)
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert f(bad) == np.inf
    assert f(X[600:] * 3.0) == pytest.approx(np.sum(np.log(X[600:] * 3.0) / (X[600:] * 3.0 - 1.0)))


def test_underflow_is_told_of_when_asked():
    f = machine_of(lambda x: x * 1e-300, X)
    with np.errstate(under="raise"), pytest.raises(FloatingPointError):
        f(X * 1e-10)
    assert f(X * 1e-10)[0] == X[0] * 1e-10 * 1e-300


def test_python_floats_raise_as_python_does():
    f = machine_of(lambda x: 1.0 / x + x, 2.0)
    with np.errstate(all="ignore"), pytest.raises(ZeroDivisionError):
        f(0.0)
    assert f(4.0) == 4.25 and type(f(4.0)) is float


def test_a_branch_that_goes_another_way_makes_another_variant():
    def bent(x):
        return np.sum(x * x) if x[0] > 0.0 else np.sum(-x)

    f = machine_of(bent, X + 2.0)
    np.testing.assert_allclose(f(-X - 3.0), bent(-X - 3.0), rtol=1e-14)
    assert f.wait(60.0)
    for x in (X + 2.0, -X - 3.0):
        np.testing.assert_allclose(f(x), bent(x), rtol=1e-14)
    assert len(list(f.variants)) == 2


def test_an_index_out_of_range_is_an_error():
    labels = np.array([0, 2, 1])

    def chosen(x):
        return np.sum(x[np.arange(3), labels] ** 2)

    f = machine_of(reversead.grad(chosen), np.ones((3, 3)))
    labels[1] = -1
    np.testing.assert_array_equal(f(np.ones((3, 3))), reversead.grad(chosen)(np.ones((3, 3))))
    labels[1] = 3
    with pytest.raises(IndexError):
        f(np.ones((3, 3)))


def test_arrays_in_any_layout():
    f, g = machine_of(lambda x: x.T @ x + x[0], np.ones((3, 3))), lambda x: x.T @ x + x[0]
    base = np.random.default_rng(0).random((6, 6))
    unaligned = np.zeros(8 * 9 + 1, np.uint8)[1:].view(np.float64).reshape(3, 3)
    unaligned[...] = base[:3, :3]
    for x in (base[:3, :3], base[::2, ::-2], np.asfortranarray(base[3:, 3:]), unaligned):
        np.testing.assert_allclose(f(x), g(x), rtol=1e-15)


def test_captured_arrays_are_read_at_each_call():
    data = np.ones(5)
    f = machine_of(lambda x: np.sum(data * x), np.arange(5.0), verify="never")
    data[:] = 2.0
    assert f(np.arange(5.0)) == 20.0


def test_captured_arrays_in_fortran_order_are_not_copied():
    data = np.asfortranarray(np.random.default_rng(0).random((300, 40)))

    def f(x):
        return np.sum(np.tanh(data * x)) + np.sum(data @ x) + np.sum(data[::3, 5])

    compiled = machine_of(reversead.value_and_grad(f), np.linspace(0.0, 1.0, 40))
    value, gradient = compiled(np.linspace(1.0, 2.0, 40))
    np.testing.assert_allclose(value, f(np.linspace(1.0, 2.0, 40)), rtol=1e-13)
    np.testing.assert_allclose(gradient, reversead.grad(f)(np.linspace(1.0, 2.0, 40)), rtol=1e-13)
    assert "FITS_FORTRAN(o" in compiled.source()
    assert compiled._variants[0].machine.refusals == 0


def test_many_assignments_to_parts_of_arrays():
    def f(x):
        y = np.zeros_like(x, shape=(600,))
        for k in range(100):
            y[k : k + 400] += np.sin(x * k)
            y[k] = x[k]
        return y

    compiled = machine_of(f, np.linspace(0.0, 1.0, 400))
    np.testing.assert_allclose(compiled(np.linspace(0.0, 1.5, 400)), f(np.linspace(0.0, 1.5, 400)), rtol=1e-12)


@pytest.mark.parametrize("n", [9, 2000])
def test_assignments_that_overlap_are_made_in_their_order(n):
    order = np.arange(n)[::-1] // 2

    def f(x):
        y, z, w = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
        y[:-1] = np.sin(x[:-1])
        y[1:] = np.cos(x[:-1])
        z[1:] += x[1:]
        z[:-1] = x[1:] * 2.0
        z[1:] += x[:-1]
        w[...] = x * 3.0
        np.add.at(w, order, x)
        w[...] += x
        w[::-1] = w * 0.5
        return y, z, w

    compiled = machine_of(f, np.linspace(0.0, 1.0, n))
    for found, expected in zip(compiled(np.linspace(0.0, 1.5, n)), f(np.linspace(0.0, 1.5, n)), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_literal_and_captured_arrays_keep_their_names():
    first, second = np.array([0.5, 1.5, 2.5]), np.array([2.0, 3.0, 4.0])

    def f(x):
        ones = np.array([7.0, 8.0, 9.0])
        return np.float_power(np.abs(x) + 2.0, first) * ones - second * np.array([1.0, 0.0, 3.0])

    f = machine_of(f, np.ones(3)), f
    np.testing.assert_allclose(f[0](np.full(3, 0.5)), f[1](np.full(3, 0.5)), rtol=1e-14)


def test_what_numpy_computes_stands_between_stretches():
    def mixed(x):
        y = np.cumsum(np.sin(x) * x + 1.0)
        z = np.sort(y * x - 0.5)
        return np.sum(z * z * x), np.cumsum(z * 2.0 + x)

    f = machine_of(mixed, X)
    for found, expected in zip(f(X * 0.5), mixed(X * 0.5), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13)
    assert "stretch1" in f.source()


@pytest.mark.parametrize("by_blas", [True, False])
def test_products_by_blas_and_without(by_blas, monkeypatch):
    if by_blas:
        pytest.importorskip("scipy")
    else:
        monkeypatch.setattr("shared.programs.machine_code.machine.routines", lambda: None)
    random = np.random.default_rng(0)
    a, b, v = random.random((40, 50)), random.random((50, 60)), random.random(50)

    def products(a, b, v):
        c = np.tanh(a @ b)
        return c, c.T @ a, a.T[:, :30].T @ b, a @ v, v @ b, (b @ c.T)[::2] @ a[:, ::2], a[::-1] @ b[:, ::-1]

    for dtype, rtol in ((np.float64, 1e-13), (np.float32, 1e-5)):
        given = [x.astype(dtype) for x in (a, b, v)]
        f = machine_of(products, *given)
        for found, expected in zip(f(*given), products(*given), strict=True):
            assert found.dtype == dtype
            np.testing.assert_allclose(found, expected, rtol=rtol)
        assert ("gemm" in f.source().partition("body_of")[2]) is by_blas


def test_small_and_large_loops_with_few_statements_and_many(monkeypatch):
    monkeypatch.setattr(placing, "MOST_STATEMENTS", 3)
    f = reversead.value_and_grad(valley)
    compiled = compile(f)
    compiled(X)
    assert as_machine_code([compiled])
    value, gradient = compiled(X)
    np.testing.assert_allclose(value, f(X)[0], rtol=1e-14)
    np.testing.assert_allclose(gradient, f(X)[1], rtol=1e-13, atol=1e-12)


def test_elementwise_work_and_its_sum_are_one_loop_without_intermediates():
    compiled = compile(lambda x: np.sum(np.exp(x * 2.0) + np.sin(x)) * np.sum(x))
    compiled(X)
    stretches = code_of(compiled._variants[0]).stretches
    assert len(stretches) == 1 and isinstance(stretches[0], StretchText)
    assert [k.domain for k in stretches[0].stretch.kernels if isinstance(k, Kernel)] == [(1000,), ()]
    assert stretches[0].bytes < 1000


def test_threads_have_workspaces_of_their_own():
    f = machine_of(reversead.value_and_grad(valley), X)
    points = [X * (1.0 + 0.01 * k) for k in range(4)]
    expected = [f(x) for x in points]
    wrong = []

    def work(k):
        for _ in range(300):
            value, gradient = f(points[k])
            if value != expected[k][0] or not np.array_equal(gradient, expected[k][1]):
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_stale_variant_stays_stale():
    rate = [0.5]
    compiled = compile(lambda x: np.sum(x * rate[0]), backend="c", verify="always")
    compiled(X)
    rate[0] = 0.25
    with pytest.raises(StaleProgramError):
        compiled(X)
    compiled.wait(60.0)
    with pytest.raises(StaleProgramError):
        compiled(X)


def test_a_function_that_always_has_to_warn_becomes_source_again():
    f = machine_of(lambda x: np.sum(np.log(x)), X + 2.0, verify="never")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(100):
            f(X)
    assert not f.wait(1.0)
    assert f.source().startswith("# <lambda>")


def test_automatic_compilation_begins_when_a_function_is_called_often():
    f = compile(lambda x: np.sum(x * x), backend="auto")
    for _ in range(3):
        f(X)
    assert f._variants[0].machine is None
    for _ in range(20):
        f(X)
    assert f._variants[0].machine is not None and f.wait(60.0)
    np.testing.assert_allclose(f(X), np.sum(X * X), rtol=1e-14)


def test_pickled_functions_keep_their_backend():
    f = pickle.loads(pickle.dumps(compile(np.sin, backend="c")))
    assert f.backend == "c"
    with pytest.raises(ValueError, match='backend="java"'.replace('"', "'")):
        compile(np.sin, backend="java")


# --- names ------------------------------------------------------------------------------------------------------------


def test_what_users_call_things_stands_in_comments_of_plain_signs():
    for name in ("x */ system(); /*", "x\\", "x\\\n", "??/", "\u2028int main", "'\"`$", "// x", "\x00\r\n", "λ"):
        found = said(name)
        assert re.fullmatch(r"// [A-Za-z0-9 _.,:;()\[\]<>=+*/@'-]*", found), found


def test_hostile_names_reach_no_line_of_c(tmp_path):
    hostile = 'x\\\n"; int system(); /*'

    def f(parameters):
        return np.sum(parameters[hostile] ** 2)

    f.__name__ = f.__qualname__ = hostile
    compiled = machine_of(f, {hostile: X})
    assert compiled({hostile: X}) == pytest.approx(np.sum(X**2))
    source = compiled.source()
    assert source.isascii()
    for line in source.splitlines():
        assert "system" not in line.partition("//")[0]
