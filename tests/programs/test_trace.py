"""Recorded programs: the numbers of the function that was recorded, wherever it would do the same; else a clear error.

Every primitive by the samples of the registry, and the errors one by one; random programs are those of the fuzzer.
"""

from __future__ import annotations

import gc
import math
import pickle
import sys
import threading
import warnings
from collections import namedtuple

import numpy as np
import pytest
from derivative_checks import ENGINES, direction
from registry_samples import COMPLEX, CONSTANTS, ONE_SHAPE, ONE_SHAPE_COMPLEX, SAMPLES, one_shape_a_kind

import dualad
import reversead
from shared import simplify, vmap
from shared.calling.tree import flatten, tree_map
from shared.core.errors import ClosedLevelError, NoRuleError, ProgramGuardError, TracerConversionError
from shared.core.levels import RECORDING
from shared.linear.checkpointing import checkpoint, checkpoint_loop
from shared.linear.custom import custom_derivative
from shared.programs import trace

X = np.array([1.0, 2.0, 3.0])

# --- comparison -------------------------------------------------------------------------------------------------------


def form(value):
    return np.shape(value), np.asarray(value).dtype


def assert_equal(what, found, expected, rtol=0.0):
    """Equal structure, shapes and dtypes; numbers equal bit for bit, or to rounding."""
    leaves, structure = flatten(found)
    wanted, wanted_structure = flatten(expected)
    assert structure == wanted_structure, what
    for leaf, want in zip(leaves, wanted, strict=True):
        assert form(leaf) == form(want), f"{what}: {leaf!r} for {want!r}"
        scale = np.abs(np.asarray(want)).max(initial=1.0) if np.all(np.isfinite(want)) else 1.0
        if rtol:
            np.testing.assert_allclose(leaf, want, rtol=rtol, atol=rtol * scale, err_msg=what)
        else:
            np.testing.assert_array_equal(leaf, want, err_msg=what)


def traced(f, *args):
    """The program of a call, and what the call gave while it was recorded."""
    seen = []

    def watched(*given):
        out = f(*given)
        seen.append(tree_map(lambda leaf: getattr(leaf, "primal", leaf), out))
        return out

    program = trace(watched, *args)
    return program, tree_map(np.array, seen[0])


def moved(args):
    """Other values of the same shapes and types."""

    def one(value):
        array = np.asarray(value)
        change = np.linspace(0.99, 1.02, array.size).reshape(array.shape)
        if isinstance(value, np.ndarray):
            return np.asarray(array * change, array.dtype)
        return type(value)(value * 1.01)

    return [one(a) for a in args]


def check(what, f, args, others=None, rtol=1e-10):
    """The program of f equals f, or says that it does not fit; so does the simplified one."""
    expected = f(*args)
    program, seen = traced(f, *args)
    simplified = simplify(program)
    assert_equal(f"{what}, as recorded", program(*args), seen)
    assert_equal(f"{what}, as computed", program(*args), expected, 1e-13)
    assert_equal(f"{what}, simplified", simplified(*args), expected, rtol)
    assert len(simplified.equations) <= len(program.equations)
    assert str(program).count("\n") >= len(program.steps)
    if others is not None:
        for variant in (program, simplified):
            try:
                found = variant(*others)
            except ProgramGuardError:
                continue
            assert_equal(f"{what}, elsewhere", found, f(*others), rtol)
    return program


# --- every primitive --------------------------------------------------------------------------------------------------


#: A record tells Python's numbers from NumPy's and from arrays; for derivatives one sample an expression is enough.
EVERY = one_shape_a_kind([*SAMPLES, *COMPLEX, *CONSTANTS])
DIFFERENTIABLE = [*ONE_SHAPE, *ONE_SHAPE_COMPLEX]


def forward(f, tangents):
    return lambda *args: dualad.jvp(f, args, tangents)[1]


def backward(f, cotangents):
    return lambda *args: reversead.vjp(f, *args)[1](cotangents)


@pytest.mark.parametrize("sample", EVERY, ids=str)
def test_a_program_of_a_primitive_equals_it(sample):
    args = sample.arguments()
    if not all(
        isinstance(leaf, (np.ndarray, np.generic, float, int, complex)) for leaf in flatten(sample.function(*args))[0]
    ):
        with pytest.raises(TypeError, match="a program returns numbers"):
            trace(sample.function, *args)
        return
    check("value", sample.function, args, moved(args))


@pytest.mark.parametrize("sample", DIFFERENTIABLE, ids=str)
def test_a_program_of_a_derivative_equals_it(sample):
    f, args = sample.function, sample.arguments()
    tangents, cotangents = direction(args, 1), direction(f(*args), 2)
    check("jvp", forward(f, tuple(tangents)), args, moved(args))
    check("vjp", backward(f, cotangents), args, moved(args))


@pytest.mark.parametrize("sample", DIFFERENTIABLE, ids=str)
def test_the_derivative_of_a_program_is_that_of_the_function(sample):
    f, args = sample.function, sample.arguments()
    tangents, cotangents = tuple(direction(args, 1)), direction(f(*args), 2)
    program = trace(f, *args)
    for variant in (program, simplify(program)):
        for engine in ENGINES.values():
            found = engine.jvp(variant, args, tangents)[1]
            assert_equal("jvp", found, engine.jvp(f, args, tangents)[1], 1e-9)
            assert_equal("vjp", engine.vjp(variant, *args)[1](cotangents), engine.vjp(f, *args)[1](cotangents), 1e-9)


#: Samples that compute something from a plain argument alone before a traced value comes into play: that is not seen.
ALONE = ("np.modf(x)[0] * y", "np.fft.fft(y)", "np.sort(y)", "0.4 * y", "- 3.0", ".astype(complex) * y",
    "3 * np.eye(", "np.eye(3))", "[:, None] ==", "(np.arange(3) ==", "(np.arange(2) ==",
    "with_data(", "0.1 * x, y", "0.3 * x, y", "lu_factor(x), y",
)  # fmt: skip


@pytest.mark.parametrize("sample", [s for s in DIFFERENTIABLE if not any(t in s.expression for t in ALONE)], ids=str)
def test_a_captured_array_is_read_at_each_run(sample):
    """Arguments, tangents and cotangents that belong to somebody else, changed in place between recording and run."""
    args = sample.arguments()
    for k in range(len(args)):
        arrays = [np.array(a) for a in sample.arguments()]
        if not all(isinstance(a, np.ndarray) and a.ndim for j, a in enumerate(args) if j != k):
            continue

        def f(x, arrays=arrays, k=k):
            return sample.function(*[x if j == k else a for j, a in enumerate(arrays)])

        x = np.array(arrays[k])
        point, tangent = x.copy(), np.array(direction(x, 1))
        cotangents = tree_map(np.array, direction(f(x), 2))
        functions = {
            "value": f,
            "forward jvp": lambda x, f=f, t=tangent: dualad.jvp(f, (x,), (t,))[1],
            "reverse jvp": lambda x, f=f, t=tangent: reversead.jvp(f, (x,), (t,))[1],
            "forward vjp": lambda x, f=f, c=cotangents: dualad.vjp(f, x)[1](c),
            "reverse vjp": lambda x, f=f, c=cotangents: reversead.vjp(f, x)[1](c),
            "checkpoint": lambda x, f=f, c=cotangents: reversead.vjp(checkpoint(f), x)[1](c),
            "jvp at a captured point": lambda v, f=f, p=point: dualad.jvp(f, (p,), (v,))[1],
            "vjp at a captured point": lambda x, f=f, p=point, c=cotangents: np.sum(x) * reversead.vjp(f, p)[1](c)[0],
            "vmap": lambda x, f=f: vmap(f)(np.stack([x, x * 1.001])),
        }
        for name, function in functions.items():
            try:
                function(x)
            except (NoRuleError, TracerConversionError, TypeError):
                continue  # vmap refuses some of them
            program = trace(function, x)
            for array in [*(a for j, a in enumerate(arrays) if j != k), point, tangent, *flatten(cotangents)[0]]:
                array *= 1.01
            try:
                found = program(x)
            except ProgramGuardError:
                continue
            assert_equal(name, found, function(x), 1e-9)


def hvp(engine, f, x, v):
    return engine.jvp(engine.grad(f), (x,), (v,))[1]


# --- whole functions --------------------------------------------------------------------------------------------------

WEIGHTS = np.array([[0.3, -0.2, 0.5], [0.1, 0.7, -0.4], [-0.6, 0.2, 0.9]])


softened = custom_derivative(
    lambda x: np.log1p(np.exp(x)),
    jvp=lambda tangents, out, x: tangents[0] / (1.0 + np.exp(-x)),
    vjp=lambda c, out, x: (c / (1.0 + np.exp(-x)),),
)


def ruled(x):
    return np.sum(softened(WEIGHTS @ x) * x)


def layered(x):
    for _ in range(3):
        x = checkpoint(lambda y: np.tanh(WEIGHTS @ y))(x)
    return np.sum(x * x)


def looped(x):
    return np.sum(checkpoint_loop(lambda y, k: np.tanh(WEIGHTS @ y) + 0.1 * k, x, 5, snapshots=2))


def branching(x):
    total = 0.0
    for part in x:
        total = total + (part if part > 1.5 else -part * part)
    while total > 1.0:
        total = total * 0.5
    return max(total, x[0] * 0.01)


@pytest.mark.parametrize("f", [layered, looped, branching, ruled], ids=lambda f: f.__name__)
@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_transforms_of_whole_functions(f, engine):
    check("value", f, (X,), (X * 1.001,))
    check("grad", engine.grad(f), (X,), (X * 1.001,))
    check("value_and_grad", engine.value_and_grad(f), (X,), (X * 1.001,))
    check("hessian", engine.hessian(f), (X,), (X * 1.001,))
    check("jacobian", engine.jacobian(engine.grad(f), chunk_size=2), (X,), (X * 1.001,))
    check("hvp", lambda x, v: hvp(engine, f, x, v), (X, X), (X * 1.001, X))
    check("a derivative of a derivative", lambda x: dualad.jvp(reversead.grad(f), (x,), (X,))[1], (X,))
    check("vmap of grad", vmap(engine.grad(lambda x: np.sum(np.sin(WEIGHTS @ x)))), (np.stack([X, X * 2]),))


# --- what a record relies on ------------------------------------------------------------------------------------------


def halved(x):
    while np.sum(x) > 1.0:
        x = x * 0.5
    return x


def asserted(x):
    assert x[0] > 0.5, "too small"
    return x


SMALL = np.array([0.6, 2.0, 3.0])
BRANCHES = {
    "if": (lambda x: x if x[0] > 0 else -x, -X, "x[0] > 0"),
    "while": (halved, X * 4, "> 1.0"),
    "max": (lambda x: max(x[0], x[1]) * 1.0, X[::-1].copy(), "x[1] > x[0]"),
    "in": (lambda x: x * (2.0 if 2.0 in x else 3.0), X + 0.5, "x == 2.0"),
    "assert": (asserted, X * 0.1, "x[0] > 0.5"),
    "allclose": (lambda x: x if np.allclose(x, X) else -x, X * 2, "allclose(x"),
    "and": (lambda x: x if x[0] > 0 and x[1] > 0 else -x, X * [1, -1, 1], "x[1] > 0"),
    "mask": (lambda x: x[x > 1.5], X + 1.0, "x[x > 1.5]"),
    "nonzero": (lambda x: x[np.nonzero(x > 1.5)[0]], X + 1.0, "nonzero(x > 1.5)"),
    "argwhere": (lambda x: np.argwhere(x > 1.5), X + 1.0, "argwhere(x > 1.5)"),
}


@pytest.mark.parametrize("name", BRANCHES)
def test_another_branch_is_an_error_that_names_the_comparison_and_the_line(name):
    f, other, comparison = BRANCHES[name]
    for variant in (trace(f, X), simplify(trace(f, X))):
        assert_equal("where it was recorded", variant(X), f(X))
        with pytest.raises(ProgramGuardError) as error:
            variant(other)
        text = str(error.value)
        assert comparison in text
        assert "test_trace.py:" in text
        assert "race it again" in text


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((X[:2], 3, "a"), r"shape \(3,\) as x, not an array of float64 with shape \(2,\)"),
        ((X.astype(np.float32), 3, "a"), "not an array of float32"),
        ((X.tolist(), 3, "a"), r"structure \(\*, \*, \*\), not \(\[\*, \*, \*\], \*, \*\)"),
        ((X, 4, "a"), r"recorded with 3 for args\[1\], not 4"),
        ((X, 3.0, "a"), r"recorded with 3 for args\[1\], not 3.0"),
        ((X, True, "a"), r"recorded with 3 for args\[1\], not True"),
        ((X, 3, "b"), r"'a' for args\[2\], not 'b'"),
        ((X, 3), "structure"),
        ((np.ma.masked_array(X), 3, "a"), "as x"),
    ],
)
def test_other_arguments_are_an_error(args, said):
    program = trace(lambda x, n, s: x * n if s == "a" else x, X, 3, "a")
    with pytest.raises(ProgramGuardError, match=said):
        program(*args)


def test_kinds_of_numbers_are_told_apart():
    for kind, others in ((float, (np.float64, np.float32, complex)), (np.float64, (float, np.float32))):
        program = trace(lambda x: x * 2, kind(1.5))
        assert type(program(kind(2.0))) is type(kind(2.0) * 2)
        for other in (*others, np.array):
            with pytest.raises(ProgramGuardError, match="was recorded for a"):
                program(other(1.5))


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_a_gradient_is_the_kind_of_number_that_its_argument_is(engine):
    for x in (2.0, np.float64(2.0), np.float32(2.0), np.array(2.0), 2.0 + 1.0j):
        gradient = engine.grad(lambda x: np.abs(np.sin(x)) ** 2)
        assert type(trace(gradient, x)(x)) is type(gradient(x))
        assert type(simplify(trace(gradient, x))(x)) is type(gradient(x))
    single = np.ones(3, np.float32)
    for x in (2.0, np.float64(2.0)):
        # A Python float takes the dtype of what it meets, a NumPy scalar does not.
        def f(x):
            return engine.grad(lambda a: a * a)(x) * single

        assert trace(f, x)(x).dtype == f(x).dtype


def test_containers_and_keywords_keep_their_structure():
    point = namedtuple("point", "x y")

    def f(p, *, options):
        return {"out": point(p.x * options["w"], [p.y, None])}

    program = trace(f, point(X, 1.0), options={"w": X})
    found = program(point(X * 2, 3.0), options={"w": X})
    assert isinstance(found["out"], point)
    np.testing.assert_array_equal(found["out"].x, X * 2 * X)
    assert sorted(program.names.values()) == ["options['w']", "p.x", "p.y"]


# --- arrays from outside ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("out_axes", [0, -1, None])
def test_an_array_from_outside_that_vmap_returns_is_read_at_each_run(out_axes):
    weights = np.array([1.0, 2.0])
    mapped = vmap(lambda x: {"w": weights, "x": x}, out_axes={"w": out_axes, "x": 0})
    program = trace(mapped, X)
    weights[0] = 5.0
    assert_equal("vmap", program(X), mapped(X))


def test_a_captured_array_that_changes_its_form_is_an_error_at_the_line_that_reads_it():
    changes = {
        "shape": lambda a: setattr(a, "shape", (3, 2)),
        "dtype": lambda a: setattr(a, "dtype", np.int64),
        "resize": lambda a: a.resize(12, refcheck=False),
    }
    for change in changes.values():
        weights = np.arange(6.0)
        program = trace(lambda x, weights=weights: np.sum(x) * weights, X)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of assignments to shape, as of NumPy 2.5
            change(weights)
        with pytest.raises(ProgramGuardError, match=r"reads an array from outside.*test_trace.py:"):
            program(X)


def test_indices_masks_views_and_assigned_values_are_read_at_each_run():
    index, mask, values, table = np.array([0, 2]), np.array([True, False, True]), np.ones(2), np.arange(12.0)

    def f(x):
        y = x * 1.0
        y[index] = values
        y[1:][mask[1:]] *= 2.0
        return x[index] + y[mask] + table[2:4] + np.take(table * x[0], index), np.where(mask, x, table[::4])

    programs_ = [trace(g, X) for g in (f, reversead.jacobian(f), dualad.jacobian(f))]
    index[:], values[:], table[:] = [1, 0], [3.0, -1.0], np.cos(table)
    mask[:] = [True, True, False]
    for program, g in zip(programs_, (f, reversead.jacobian(f), dualad.jacobian(f)), strict=True):
        assert_equal("changed", program(X), g(X), 1e-13)


def test_an_array_that_the_function_itself_rewrites_is_part_of_the_program():
    scratch = np.zeros(3)

    def own(x):
        row, out = np.zeros(3), x * 0.0
        for k in range(3):
            row[:] = 0.0
            row[k] = k + 1.0
            out = out + x * row
        row[:] = 7.0
        return out

    def outer(x):
        out = x * 0.0
        for k in range(3):
            scratch[:] = 0.0
            scratch[k] = k + 1.0
            out = out + x * scratch
        return out

    for f in (own, outer):
        program = trace(f, X)
        expected = f(X)
        scratch[:] = 100.0
        assert_equal(f.__name__, program(X), expected)
        assert not program.captured


def test_a_large_array_is_locked_while_it_is_recorded_and_free_afterwards():
    large = np.ones(200_000)

    def f(x):
        y = x * large
        large[0] = 2.0
        return y

    with pytest.raises(ValueError, match="read-only") as error:
        trace(f, np.ones(200_000))
    assert any("trace locks" in note for note in error.value.__notes__)
    assert large.flags.writeable
    trace(lambda x: x * large, np.ones(200_000))
    assert large.flags.writeable


def test_results_share_no_memory_with_arguments_constants_or_each_other():
    table = np.arange(3.0)
    program = trace(lambda x: (x, x[1:], table, np.zeros(3), x * 1.0, x.reshape(3, 1)), X)
    x = X.copy()
    first = program(x)
    for part in first:
        part[...] = -1.0
    assert_equal("again", program(X), (X, X[1:], np.arange(3.0), np.zeros(3), X, X.reshape(3, 1)))
    np.testing.assert_array_equal(x, X)


# --- what cannot be recorded ------------------------------------------------------------------------------------------

LEAVING = {
    "float": lambda x: float(x[0]),
    "complex": lambda x: complex(x[0]),
    "int": lambda x: int(x[0]),
    "item": lambda x: x[0].item(),
    "round": lambda x: round(x[0]),
    "index": lambda x: [1, 2, 3, 4][x[0].astype(int)],
    "range": lambda x: range(x[0].astype(int)),
    "slice": lambda x: x[: x[0].astype(int)],
    "array": lambda x: np.array(x),
    "array of parts": lambda x: np.array([x[0], x[1]]),
    "math": lambda x: math.sin(x[0]),
    "pickle": pickle.dumps,
}


@pytest.mark.parametrize("name", LEAVING)
def test_a_value_that_would_leave_the_record_is_an_error(name):
    with pytest.raises(TracerConversionError, match=r"being recorded \(at .*test_trace.py:\d+\)"):
        trace(LEAVING[name], X)


@pytest.mark.parametrize("result", ["text", object(), {1, 2}, (k for k in "a"), len])
def test_a_result_that_is_no_number_is_an_error(result):
    with pytest.raises(TypeError, match=r"a program returns numbers, arrays and containers"):
        trace(lambda x: [x, result], X)


def test_no_result_is_a_result():
    assert trace(lambda x: None, X)(X) is None
    assert trace(lambda x: (), X)(X) == ()


def test_tracing_inside_a_differentiation_is_an_error():
    for engine in ENGINES.values():
        with pytest.raises(TracerConversionError, match="trace the outermost function"):
            engine.grad(lambda x: trace(np.sin, x)(x))(1.0)
        with pytest.raises(TracerConversionError, match="Trace the outermost function"):
            engine.grad(lambda x: trace(lambda y: y * x, 2.0)(2.0) * x)(1.0)


def test_a_value_is_of_no_use_after_its_record_has_ended():
    kept = []
    trace(lambda x: kept.append(x) or x, X)
    for use in (lambda x: x * 2, lambda x: bool(x[0] > 0), lambda x: x.__setitem__(0, 1.0), np.sin):
        with pytest.raises(ClosedLevelError, match=r"after trace had ended.*test_trace.py:"):
            use(kept[0])


def test_a_value_is_of_no_use_in_another_thread():
    found = []

    def elsewhere(x):
        try:
            np.sin(x)
        except ClosedLevelError as error:
            found.append(str(error))

    def f(x):
        thread = threading.Thread(target=elsewhere, args=(x,))
        thread.start()
        thread.join()
        return x

    trace(f, X)
    assert "call trace inside each thread" in found[0]


def test_threads_record_at_once():
    failures = []

    def record(k):
        def f(x):
            for _ in range(200):
                x = np.sin(x) * k
            return x

        for _ in range(5):
            program = trace(reversead.grad(lambda x: np.sum(f(x))), X)
            if not np.array_equal(program(X), reversead.grad(lambda x: np.sum(f(x)))(X)):
                failures.append(k)

    threads = [threading.Thread(target=record, args=(k + 1.0,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_an_exception_leaves_nothing_behind():
    weights = np.ones(300_000)

    def f(x):
        y = np.sum(x * weights)
        raise KeyError("from f") if y > 0 else ValueError

    with pytest.raises(KeyError, match="from f"):
        trace(f, np.ones(300_000))
    assert RECORDING.get() is None
    assert weights.flags.writeable
    assert isinstance(reversead.grad(np.sin)(1.0), float)


def test_nothing_is_kept_beyond_the_program_and_there_are_no_cycles():
    weights = np.ones(1000)
    gradient = reversead.grad(lambda x: np.sum(np.sin(x)[1:] * weights[1:]) + np.sum(x * weights))
    trace(gradient, np.ones(1000))
    gc.collect()
    before = sys.getrefcount(weights)
    gc.disable()
    try:
        program = trace(gradient, np.ones(1000))
        assert sys.getrefcount(weights) <= before + 2  # the array, and the view of it
        del program
        assert sys.getrefcount(weights) == before
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_an_error_in_a_run_names_the_operation_and_the_line():
    program = trace(lambda x: np.linalg.inv(x * 2.0), np.eye(2))
    with pytest.raises(np.linalg.LinAlgError) as error:
        program(np.zeros((2, 2)))
    assert "inv(v2) (at " in error.value.__notes__[0]


# --- text -------------------------------------------------------------------------------------------------------------


def test_one_readable_line_an_equation():
    def f(x, w):
        y = np.sin(x)[1:] * w
        y[:1][0] = 2.0
        return -y @ y, np.sum(x, axis=0), y.astype(np.float32), x.reshape(3, 1).T, np.sum(x, keepdims=True)

    lines = str(trace(f, X, 2.0)).splitlines()
    texts = [line.split("  ")[1] for line in lines[1:-1]]
    assert lines[0] == "f(x: float64[3], w: float)"
    assert [text.partition(" = ")[2] for text in texts] == [
        "sin(x)",
        "v2[1:]",
        "v4 * w",
        "v5[:1]",
        "v5 with [:1][0] = 2.0",
        "v10[:1]",
        "-v10",
        "v12 @ v10",
        "sum(x, axis=0)",
        "v10.astype(float32)",
        "reshape(x, (3, 1))",
        "v16.T",
        "sum(x, keepdims=True)",
    ]
    assert all("test_trace.py:" in line and "/" not in line for line in lines[1:-1])
    assert len({line.index("float") for line in lines[1:-1] if "astype" not in line}) == 1
    assert lines[-1].startswith("  return (v13, v14, ")


def test_a_long_program_is_recorded_simplified_printed_and_pickled():
    def f(x):
        for _ in range(12_500):
            x = np.sin(x) * 0.5 + x * 0.25
        return x

    program = trace(f, 1.0)
    assert len(program.equations) == 50_000
    assert program(0.3) == f(0.3)
    assert simplify(program)(0.3) == f(0.3)
    assert str(program).count("\n") == 50_001
    assert pickle.loads(pickle.dumps(program))(0.3) == f(0.3)


def test_a_whole_power_of_a_python_float_records_no_branch():
    for whole in (trace(dualad.grad(lambda x: x**2.0), -0.5), trace(reversead.grad(lambda x: x**2.0), -0.5)):
        assert whole(0.5) == 1.0
    root = trace(reversead.grad(lambda x: abs(x**1.5)), 0.25)
    with pytest.raises(ProgramGuardError, match="< 0"):
        root(-0.25)
