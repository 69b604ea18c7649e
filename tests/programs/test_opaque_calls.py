"""Functions with a derivative of their own that are no NumPy: one operation of a record, called as it is."""

import math
import pickle

import numpy as np
import pytest

import dualad
import reversead
import shared
from shared import compile, custom_derivative, simplify, trace

sparse = pytest.importorskip("scipy.sparse", reason="SciPy is optional")
spsolve = pytest.importorskip("scipy.sparse.linalg", reason="SciPy is optional").spsolve


def laplacian(k):
    n = len(k)
    return sparse.diags([k + 2.0, -np.ones(n - 1), -np.ones(n - 1)], [0, 1, -1], format="csc")


def solve_rule(cotangent, out, k, b):
    adjoint = spsolve(laplacian(k).T.tocsc(), cotangent)
    return -adjoint * out, adjoint


def solve_jvp(tangents, out, k, b):
    return spsolve(laplacian(k), tangents[1] - tangents[0] * out)


@custom_derivative(vjp=solve_rule, jvp=solve_jvp)
def solve(k, b):
    """The field of a source b in a medium k: a sparse solver, which no tracer can enter."""
    return spsolve(laplacian(k), b)


def compliance(k, b):
    return np.sum(solve(np.exp(k), b) * b)


@custom_derivative(jvp=lambda tangents, out, x: tangents[0] / (2 * out))
def root(x):
    return math.sqrt(x)


@custom_derivative(vjp=lambda c, out, a: (c / (2.0 * out),))
def newton(a):
    y = a
    while abs(y * y - a) > 1e-12 * a:  # takes another number of turns at each value
        y = 0.5 * (y + a / y)
    return y


@custom_derivative(vjp=lambda c, out, x, n: (c["sum"] * np.ones(3) + c["parts"][0] * np.array([1.0, 0, 0]), None))
def several(x, n):
    return {"sum": float(np.asarray(x).sum()), "parts": (np.asarray(x)[0].item() * 1.0, int(n))}


K, B = np.linspace(0.1, 0.9, 6), np.linspace(1.0, 2.0, 6)
OTHER_K, OTHER_B = K[::-1].copy(), np.sqrt(B)


@pytest.mark.parametrize("g", [compliance, reversead.grad(compliance), reversead.value_and_grad(compliance)])
def test_a_sparse_solver_and_its_rule_are_recorded_and_compiled(g):
    program, compiled = trace(g, K, B), compile(g, verify="always")
    for k, b in ((K, B), (OTHER_K, OTHER_B), (K, B)):
        expected = shared.flatten(g(k, b))[0]
        for found in (program(k, b), simplify(program)(k, b), compiled(k, b)):
            for one, other in zip(shared.flatten(found)[0], expected, strict=True):
                assert np.allclose(one, other, rtol=1e-13)
    assert compiled._variants[0].refusals == 0


def test_the_recorded_gradient_agrees_with_differences():
    program = trace(reversead.grad(compliance), K, B)
    step = 1e-6
    differences = [
        (compliance(OTHER_K + step * unit, B) - compliance(OTHER_K - step * unit, B)) / (2 * step) for unit in np.eye(6)
    ]
    assert np.allclose(program(OTHER_K, B), differences, rtol=1e-7)


def test_it_is_one_operation_and_counted_as_opaque():
    program = trace(compliance, K, B)
    names = [equation.primitive.name for equation in program.equations]
    assert names.count("solve (opaque)") == 1
    cost = shared.cost(compliance, K, B)
    assert cost["solve (opaque)"].calls == 1 and cost["solve (opaque)"].operations == 0
    assert "solve (opaque)" in str(cost) and "solve (opaque)" in str(program)
    gradient = shared.cost(reversead.grad(compliance), K, B)
    assert gradient["the vjp of solve (opaque)"].calls == 1


def test_the_operations_around_it_are_counted_while_it_runs():
    counted = shared.count_operations(compliance, K, B)
    assert counted == shared.cost(compliance, K, B).operations == 6 * 10 + 6 + 6
    gradient = reversead.grad(compliance)
    assert shared.count_operations(gradient, K, B) >= shared.cost(gradient, K, B).operations > counted


def test_numbers_and_containers():
    for g in (root, dualad.derivative(root), reversead.grad(root)):
        compiled, program = compile(g), trace(g, 4.0)
        for x in (4.0, 9.0, 2.0):
            assert compiled(x) == program(x) == g(x)

    def f(x):
        found = several(x, 7)
        return found["sum"] * found["parts"][0]

    g = reversead.grad(f)
    x = np.array([1.0, 2.0, 4.0])
    assert np.allclose(trace(g, x)(x + 1), g(x + 1)) and np.allclose(compile(g)(x), g(x))


def test_a_loop_until_convergence_is_called_and_not_recorded_with_its_number_of_turns():
    g = reversead.grad(lambda a: newton(a) * a)
    program, compiled = trace(g, 2.0), compile(g, cache_size=2)
    assert not [guard for guard in program.guards if isinstance(guard.expected, bool)]
    for a in (2.0, 9.0, 1e6, 1e-3, 5.0):
        assert np.isclose(program(a), g(a), rtol=1e-14) and np.isclose(compiled(a), g(a), rtol=1e-14)


def test_what_is_numpy_is_followed_as_before():
    @custom_derivative(jvp=lambda tangents, out, x: 3.0 * x**2 * tangents[0])
    def cube(x):
        return x * x * x

    assert "multiply" in [e.primitive.name for e in trace(cube, 2.0).equations]


@pytest.mark.parametrize("transform", [lambda f: f, reversead.grad, dualad.grad])
def test_examples_are_taken_one_by_one(transform):
    g = shared.vmap(transform(compliance), in_axes=(0, None))
    ks = np.stack([K, OTHER_K])
    expected = np.stack([transform(compliance)(k, B) for k in ks])
    assert np.allclose(g(ks, B), expected, rtol=1e-13)
    program, compiled = trace(g, ks, B), compile(g)
    for points in (ks, ks[::-1].copy()):
        assert np.allclose(program(points, B), g(points, B), rtol=1e-13)
        assert np.allclose(compiled(points, B), g(points, B), rtol=1e-13)


def test_an_error_of_the_function_is_its_own():
    @custom_derivative(vjp=lambda c, out, x: (c,))
    def picky(x):
        if float(x) < 0:
            raise KeyError("negative")
        return float(x)

    with pytest.raises(KeyError, match="negative"):
        trace(picky, -1.0)
    program = trace(picky, 1.0)
    with pytest.raises(KeyError, match="negative"):
        program(-1.0)
    compiled = compile(picky)
    assert compiled(1.0) == 1.0
    with pytest.raises(KeyError, match="negative"):
        compiled(-1.0)


def test_results_share_no_memory_with_what_the_function_was_given():
    @custom_derivative(vjp=lambda c, out, x: (c,))
    def same(x):
        found = np.frombuffer(memoryview(x), float)  # which no tracer allows
        assert not found.flags.writeable
        return found

    def f(x):
        y = x * 2.0
        z = same(y)
        y += 1.0
        return z * y

    program, compiled = trace(f, B), compile(f, verify="never")
    for x in (B, OTHER_B):
        expected = 2.0 * x * (2.0 * x + 1.0)
        assert np.array_equal(program(x), expected) and np.allclose(compiled(x), expected, rtol=1e-15)


def test_captured_arrays_are_read_at_each_call():
    b = B.copy()
    program = trace(lambda k: np.sum(solve(k, b)), K)
    b[:] = OTHER_B
    assert np.isclose(program(K), np.sum(solve(K, OTHER_B)))


def test_a_result_that_is_no_number_is_refused():
    @custom_derivative(vjp=lambda c, out, x: (c[0],))
    def labelled(x):
        return float(x), "label"

    with pytest.raises(shared.TracerConversionError, match="returned a str"):
        trace(labelled, 1.0)


def test_a_program_with_one_pickles_and_is_not_differentiated():
    program = pickle.loads(pickle.dumps(trace(compliance, K, B)))
    assert np.isclose(program(OTHER_K, B), compliance(OTHER_K, B))
    with pytest.raises(shared.ProgramGuardError, match="has a derivative of its own"):
        reversead.grad(program)(K, B)


def test_an_attempt_to_follow_leaves_nothing_in_the_record():
    @custom_derivative(vjp=lambda c, out, x: (c,))
    def half_numpy(x):
        y = np.sin(x) + np.exp(x)
        try:
            return float(y)
        finally:
            np.cos(x)

    program = trace(half_numpy, 1.0)
    assert [e.primitive.name for e in program.equations] == ["half_numpy (opaque)", "part"]
    assert not program.guards
    # and the exception that ended the attempt is not one that the function caught
    assert program(2.0) == half_numpy(2.0)


def test_code_that_differentiates_inside_is_no_part_of_the_record(ad):
    """What it takes a derivative of was a value of the record, so its result was one that it seemed to close over."""

    def slope_of_sine(x):
        return ad.derivative(np.sin)(float(x))

    f = custom_derivative(slope_of_sine, jvp=lambda tangents, out, x: -tangents[0] * np.sin(x))
    program, compiled = trace(f, 1.0), compile(f)
    assert "slope_of_sine (opaque)" in str(program)
    for x in (1.0, 2.0):
        assert program(x) == compiled(x) == pytest.approx(np.cos(x))


def test_a_rule_that_calls_such_code_is_followed_around_it():
    """The shape of what the call returns is guarded, which was taken for a branch on a value."""
    solved = custom_derivative(lambda x: np.array([float(x)]), jvp=lambda tangents, out, x: np.ones(1) * tangents[0])
    f = custom_derivative(lambda x: 2.0 * float(x), jvp=lambda tangents, out, x: tangents[0] * solved(x)[0] * 2.0)
    program = trace(dualad.derivative(f), 1.5)
    assert "jvp" not in str(program) and str(program).count("(opaque)") == 2
    assert (program(1.5), program(2.5)) == (3.0, 5.0)
