"""`compile`: which variant runs, what is noticed of changes outside, and what becomes of memory, threads and errors."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
import tracemalloc
import warnings
from collections import namedtuple
from enum import Enum

import numpy as np
import pytest
from registry_samples import COMPLEX, CONSTANTS, OF_SCIPY, SAMPLES

import dualad
import reversead
from shared import CompilationError, compile, elementwise, simplify, trace, vmap
from shared.calling.tree import flatten
from shared.programs.compiling import compiled as compiling
from shared.programs.compiling import plan
from shared.programs.compiling.compiled import LONGEST
from shared.programs.compiling.rewriting import rewritten

V = np.array([1.0, 2.0, 3.0])


def same(found, expected):
    assert type(found) is type(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-14, strict=True)


# --- rewriting keeps the numbers --------------------------------------------------------------------------------------

EXPRESSIONS = {
    "a product that is an output, and summed as a multiple": lambda x, y: (x * y, np.sum(2.0 * (x * y))),
    "a multiple read twice": lambda x, y: (2.0 * x) * (3.0 * y) + 2.0 * x,
    "a negated value read twice": lambda x, y: (-x) * (3.0 * y) - (-x),
    "two multiples of one negated product": lambda x, y: (np.sum(2.0 * -(x * y)), 3.0 * -(x * y)),
    "differences": lambda x, y: (x - y, y - x, -x + y, -x - y, 2.0 * x - 2.0 * y, 2.0 * x - (-2.0) * y, x - -y),
    "quotients": lambda x, y: (x / 4.0 - y / 4.0, 4.0 / x, -(x / -3.0), (x * 3.0) / (y * 5.0)),
    "a call times a call": lambda x, y: 1.0 / (np.sqrt(x + 1.0) * np.sqrt(y + 2.0)),
    "a power of a sum": lambda x, y: (x + y) ** 2 - (x - y) ** 3 + 2.0 ** (x - y),
    "a softmax": lambda x, y: np.exp(
        (x - np.max(x)) - np.log(np.sum(np.exp(x - np.max(x))))
    ) * y,
    "an inner product": lambda x, y: np.sum(x * y) * np.sum(x * x) - np.sum(-x * (3.0 * y)),
}  # fmt: skip


@pytest.mark.parametrize("name", EXPRESSIONS)
@pytest.mark.parametrize("arguments", [(V, V[::-1] + 0.5), (1.25, 2.5), (np.float64(1.25), 0.3)], ids=["a", "f", "s"])
def test_values_after_rewriting(name, arguments):
    f = EXPRESSIONS[name]
    found, expected = compile(f)(*arguments), f(*arguments)
    for one, other in zip(*[v if isinstance(v, tuple) else (v,) for v in (found, expected)], strict=True):
        same(one, other)


def test_rewriting_takes_the_inner_product_of_a_multiple():
    program = rewritten(simplify(trace(lambda x, y: np.sum(2.0 * (x * y)), V, V)))
    assert [e.primitive.name for e in program.equations] == ["matmul", "multiply"]


# --- memory -----------------------------------------------------------------------------------------------------------


def test_a_value_returned_twice_is_two_arrays():
    def f(x):
        y = x * 2.0
        return y, y, x, x

    results = compile(f)(V)
    for k, array in enumerate(results):
        for other in (*results[:k], V):
            assert not np.may_share_memory(array, other)


def _strict(x):
    with np.errstate(divide="raise"):
        return x * 1.0


AS_THEY_ARE = {
    "a NaN at the first call": (lambda x: np.log(-x), [V]),
    "a NaN of a derivative": (reversead.grad(lambda x: np.sum(np.sqrt(x) * x)), [V, V, V * 0.0 - 1.0]),
    "a number that Python refuses": (lambda x: np.log(x[0] - x[0]) + x, [V, V]),
    "an errstate that a text does not keep": (_strict, [V, V]),
}


@pytest.mark.parametrize("name", AS_THEY_ARE)
def test_arrays_are_nobody_elses_also_where_the_function_runs_as_it_is(name):
    f, points = AS_THEY_ARE[name]
    fast = compile(lambda x: (f(x), x, x))
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for x in points:
            _, one, other = fast(x)
            assert not any(np.may_share_memory(*pair) for pair in ((one, other), (one, x), (other, x)))


@pytest.mark.parametrize("index", [1, np.int64(1), np.array(1)], ids=["int", "int64", "array"])
def test_a_row_selected_by_an_argument_outlives_its_buffer(index):
    def f(x, i):
        b = np.sin(x) * 2.0
        row = b[i]
        d = np.exp(np.cos(b) * 2.0) * 2.0
        e = np.tanh(d) + 1.0
        return row * e[0] + np.sin(e[1] * 2.0) * 3.0, row, x[i]

    x = np.arange(6.0).reshape(2, 3)
    found = compile(f)(x, index)
    for one, other in zip(found, f(x, index), strict=True):
        same(one, other)
    assert not any(np.may_share_memory(one, x) for one in found)


@pytest.mark.parametrize("subscripts", ["ij->ji", "ii->i", "i...->..."])
def test_a_view_made_by_einsum_is_copied(subscripts):
    f = compile(lambda x: np.einsum(subscripts, np.sin(x)))
    x = np.arange(9.0).reshape(3, 3)
    first = f(x)
    kept = first.copy()
    f(x + 1.0)
    np.testing.assert_array_equal(first, kept)


def test_a_buffer_whose_old_contents_are_needed_is_not_written():
    def f(x):
        y = np.sin(x)
        before, row = y * 1.0, y[1:] * 2.0
        y[0] = 7.0
        y[1:] += row * before[1:]
        z = y.copy()
        y[:] = 0.0
        return y + z, before, np.sum(z[1:] * row)

    for one, other in zip(compile(f)(V), f(V), strict=True):
        same(one, other)


def test_repeated_indices_add_up():
    index = np.array([0, 1, 0, 2, 2])

    def f(x, i):
        return np.sum(x[i] ** 3) + np.sum(x[i, ...] * x[index])

    gradient = reversead.grad(f)
    same(compile(gradient)(V, index), gradient(V, index))
    x = np.arange(12.0).reshape(2, 3, 2)
    gradient = reversead.grad(lambda x, i: np.sum(x[:, i] ** 2 * x[:, ::-1][:, i]))
    same(compile(gradient)(x, np.array([0, 0, 1])), gradient(x, np.array([0, 0, 1])))


def test_an_index_without_parts():
    def f(x):
        y = np.zeros_like(x)
        y[()] = 3.0
        y[...] += x
        return y

    same(compile(f)(V), f(V))
    same(compile(f)(np.array(2.0)), f(np.array(2.0)))


def test_empty_arrays_keep_their_shape():
    def f(x):
        y = np.zeros_like(x)
        y[:, 1:] = x[:, 1:] * 2.0 - np.ones((2, 0, 3))
        return y, np.sum(x[:, :0] * np.ones((2, 0, 3)), axis=1)

    x = np.ones((2, 1, 3))
    compiled = compile(f)
    for one, other in zip(compiled(x), f(x), strict=True):
        same(one, other)
    assert compiled._variants[0].refusals == 0


def test_numbers_without_axes_are_read_as_they_are():
    rate = np.array(2.0)

    def f(x, s):
        return x * rate * s, s[None] * 2.0, np.transpose(s) * 1.0

    compiled = compile(f)
    for value in (2.0, 5.0):
        rate[()] = value
        for one, other in zip(compiled(V, np.array(value)), f(V, np.array(value)), strict=True):
            same(one, other)


def test_workspaces_do_not_accumulate():
    compiled = compile(reversead.grad(lambda x: np.sum(np.sin(x) * np.exp(x))))
    x = np.linspace(0.0, 1.0, 1000)
    for _ in range(50):
        compiled(x)
    assert len(compiled._variants[0]._spare) == 1


def test_two_hundred_operations_on_a_million_elements_stay_within_a_few_arrays():
    def f(x):
        y = x
        for _ in range(100):
            y = y * 1.0001 + x
        return np.sum(y)

    # The function itself, which is now and then run beside it, needs more.
    compiled = compile(reversead.value_and_grad(f), verify="never")
    x = np.ones(10**6)
    compiled(x)
    tracemalloc.start()
    try:
        compiled(x)
        assert tracemalloc.get_traced_memory()[1] < 25e6
    finally:
        tracemalloc.stop()


# --- which variant runs -----------------------------------------------------------------------------------------------

Point = namedtuple("Point", "x y")


class Elsewhere:
    Point = namedtuple("Point", "x y")


class Colour(Enum):
    RED = 1


def test_every_type_structure_and_static_value_has_its_variant():
    def f(x, n=2, *, mode="a", data=None):
        out = x * n if mode == "a" else x + n
        for value in (data or {}).values():
            out = out + (value[0] if isinstance(value, (list, tuple)) else value)
        return out

    compiled = compile(f, cache_size=50)
    calls = [
        ((V,), {}), ((V, 3), {}), ((V, True), {}), ((V, 3.0), {}), ((V, 1), {"mode": "b"}), ((V.astype("f4"),), {}),
        ((V[:2],), {}), ((1.5,), {}), ((np.float64(1.5),), {}), ((V, 1), {"data": {"b": 1.0, "a": 2.0}}),
        ((V, 1), {"data": {"a": 2.0, "b": 1.0}}), ((V, 1), {"data": {"a": [2.0]}}), ((V, 1), {"data": {"a": (2.0,)}}),
        ((V, 1), {"data": {"a": Point(2.0, 1.0)}}), ((np.arange(3),), {}), ((V + 1j,), {}), ((V > 1,), {}),
    ]  # fmt: skip
    for args, kwargs in 2 * calls:
        same(compiled(*args, **kwargs), f(*args, **kwargs))
    assert len(list(compiled.variants)) == len(calls) - 1  # the order of keys makes no difference


def test_containers_of_results():
    def f(x):
        return {
            "a": [x, (x * 2.0,)], 2: Point(x, None), Colour.RED: Elsewhere.Point(x, x), (1, "b"): (), np.int64(7): x,
        }  # fmt: skip

    found = compile(f)(V)
    assert list(map(type, found.values())) == [list, Point, Elsewhere.Point, tuple, np.ndarray]
    assert found[2].y is None
    assert found.keys() == f(V).keys()


def test_a_named_tuple_may_bear_any_name():
    for name in ("np", "math", "call", "v1", "x0", "float"):
        kind = namedtuple(name, "a b")
        assert compile(lambda x, kind=kind: kind(np.sin(x), x * 2.0))(V)._fields == ("a", "b")


def test_arrays_of_strings_and_objects_of_the_users_are_compared():
    compiled = compile(lambda x, names: x * float(len(names)))
    for names in (["a", "b"], ["a", "b"], ["a", "b", "c"]):
        same(compiled(V, np.array(names)), V * float(len(names)))
    names = np.array(["a", "b"])
    compiled = compile(lambda x, names: x * (2.0 if names[0] == "a" else 3.0))
    same(compiled(V, names), V * 2.0)
    names[0] = "c"
    same(compiled(V, names), V * 3.0)


def test_the_variants_called_last_stay():
    compiled = compile(lambda x: x * 2.0, cache_size=2)
    seen = []
    make = compiling.Compiled._make
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiling.Compiled, "_make", lambda self, *rest: seen.append(1) or make(self, *rest))
        for n in (1, 2, 1, 3, 1, 4, 1):
            compiled(np.ones(n))
    assert len(seen) == 4
    assert {p.types[p.inputs[0]].shape for p in compiled.variants} == {(1,), (4,)}


def test_branches_make_variants_up_to_the_bound():
    def f(x):
        return x * float(sum(x > k for k in range(6)))

    def stairs(x):
        for k in range(6):
            if x < k:
                return x * float(k)
        return x

    compiled = compile(stairs, cache_size=4)
    for k in (0, 1, 2, 3, 0, 1, 2, 3):
        same(compiled(k - 0.5), stairs(k - 0.5))
    with pytest.raises(CompilationError, match=r"another way .* in each of 5 calls .*(x < \d).*test_compile.py:\d+"):
        compiled(4.5)


def test_a_number_that_python_refuses_may_also_change_the_branch():
    def f(x):
        y = np.log(x)
        return y * 2.0 if y > 0 else y * 3.0

    compiled = compile(f)
    with np.errstate(divide="ignore"):
        for x in (2.0, 0.0, 0.5, 0.0, 3.0):
            assert compiled(x) == f(x)


def test_a_branch_that_rounding_decides_is_no_new_variant_each_time():
    compiled = compile(lambda x: x * 2.0 if (x * 0.1) * 3.0 * 10.0 > x * 3.0 else x * 3.0, cache_size=3)
    for k in range(40):
        x = 0.1 * k + 0.03
        assert compiled(x) in (x * 2.0, x * 3.0)
    assert len(list(compiled.variants)) <= 2


def test_text_refuses_numbers_as_python_does_and_numpy_computes_them():
    f = compile(lambda x: np.exp(x) + np.log(x) + np.sqrt(x))
    f(1.0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("error")
        assert f(1000.0) == np.inf
        assert f(0.0).__class__ is np.float64
        assert np.isnan(f(-1.0))
    with np.errstate(all="raise"), pytest.raises(FloatingPointError):
        f(1000.0)


# --- composing --------------------------------------------------------------------------------------------------------


def loss(x):
    return np.sum(np.sin(x) * np.cos(x) * np.exp(-x * x))


def test_inside_transforms_and_records_it_is_the_function():
    compiled = compile(loss)
    compiled(V)
    for engine in (dualad, reversead):
        same(engine.grad(compiled)(V), engine.grad(loss)(V))
        same(engine.hvp(compiled, V, V), engine.hvp(loss, V, V))
    same(vmap(compiled)(np.stack([V, V])), vmap(loss)(np.stack([V, V])))
    assert str(trace(compiled, V)) == str(trace(loss, V))
    assert compile(compile(loss))(V) == pytest.approx(loss(V), rel=1e-15)
    assert len(list(compiled.variants)) == 1


def factorial(x, n):
    return x if n == 0 else x * recursive(x, n - 1)


recursive = compile(factorial, cache_size=20)


@compile
def doubled(x):
    return x * 2.0


def test_recursion_through_the_compiled_function():
    assert recursive(2.0, 5) == 64.0


def test_pickles():
    assert pickle.loads(pickle.dumps(doubled)) is doubled
    assert pickle.loads(pickle.dumps(recursive))(2.0, 3) == 16.0
    copy = pickle.loads(pickle.dumps(compile(loss)))
    assert copy(V) == pytest.approx(loss(V), rel=1e-15)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_forked_processes_go_on():
    compiled = compile(reversead.grad(loss))
    expected = compiled(V)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(compiled(V), expected) and compiled(V[:2]).shape == (2,) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# --- errors and threads -----------------------------------------------------------------------------------------------


def test_errors_of_the_function_at_the_first_call_and_later():
    def f(x):
        if x.shape == (2,):
            raise KeyError("two")
        return np.linalg.inv(x)

    compiled = compile(f)
    with pytest.raises(KeyError, match="two"):
        compiled(np.ones(2))
    same(compiled(np.eye(3) * 2.0), np.eye(3) / 2.0)
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        compiled(np.ones((3, 3)))
    same(compiled(np.eye(3) * 4.0), np.eye(3) / 4.0)


def test_an_interrupted_workspace_is_not_used_again():
    compiled = compile(lambda x: np.linalg.inv(x) + np.sin(x))
    compiled(np.eye(2))
    variant = compiled._variants[0]
    [run] = variant._spare

    def interrupted(*args):
        raise KeyboardInterrupt

    variant._spare[:] = [interrupted]
    with pytest.raises(KeyboardInterrupt):
        compiled(np.eye(2))
    assert variant._spare == []
    same(compiled(np.eye(2)), np.eye(2) + np.sin(np.eye(2)))
    assert variant._spare not in ([], [run])


def test_random_numbers_are_refused():
    random = np.random.default_rng(0)
    with pytest.raises(CompilationError, match=r"not deterministic: x \* 0.* \(at .*test_compile.py:\d+"):
        compile(lambda x: x * random.random())(V)
    with pytest.raises(CompilationError, match=r"draws random numbers.*test_compile.py:\d+"):
        compile(lambda x: x if np.random.random() < 2 else -x)(V)


def test_threads_with_several_shapes_also_at_the_first_call():
    compiled, reference = compile(reversead.value_and_grad(loss)), reversead.value_and_grad(loss)
    found, start = [], threading.Barrier(8)

    def work(seed):
        random = np.random.default_rng(seed)
        start.wait()
        for k in range(40):
            x = random.standard_normal(3 + (seed + k) % 4)
            value, gradient = compiled(x)
            expected, wanted = reference(x)
            found.append(np.isclose(value, expected, rtol=1e-13) and np.allclose(gradient, wanted, rtol=1e-12))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 320
    assert all(found)
    assert len(list(compiled.variants)) == 4


def test_a_function_that_waits_for_threads_which_compile():
    inner = compile(lambda x: x * 2.0)

    def f(x):
        found = []
        thread = threading.Thread(target=lambda: found.append(outer_again(np.ones(2))))
        thread.start()
        thread.join(timeout=30)
        return x * found[0][0] if found else x * np.nan

    outer_again = compile(lambda x: inner(x) + 1.0)
    same(compile(f)(V), V * 3.0)


def test_settings_for_warnings_hold_in_both_threads(monkeypatch):
    for name, value in (("SMALLEST", 8), ("BLOCK", 4), ("FOR_TWO_THREADS", 1)):
        monkeypatch.setattr(plan, name, value)
    compiled = compile(lambda x: np.sum(np.log(x) * x + 1.0))
    x = np.ones(64)
    compiled(x)
    assert "in_two_threads" in compiled.source()
    for place in (0, 63):
        y = x.copy()
        y[place] = -1.0
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("error")
            assert np.isnan(compiled(y))
        with np.errstate(all="raise"), pytest.raises(FloatingPointError):
            compiled(y)
        with pytest.warns(RuntimeWarning, match="invalid value encountered in log"):
            compiled(y)


# --- text -------------------------------------------------------------------------------------------------------------

ALONE = {
    "vector": (reversead.value_and_grad(lambda x: np.sum(np.exp(x) * x[::-1]) + np.prod(x)), (V,)),
    "number": (reversead.value_and_grad(lambda x: np.sin(x) * np.exp(x) / x), (1.5,)),
    "matrices": (reversead.grad(lambda w, x: np.sum(np.tanh(x @ w) ** 2)), (np.eye(3) * 0.5, np.ones((4, 3)))),
}


@pytest.mark.parametrize("name", ALONE)
def test_text_runs_without_this_library(name, tmp_path):
    function, arguments = ALONE[name]
    compiled = compile(function)
    text = compiled.source(*arguments)
    assert "shared" not in text
    (tmp_path / "text.py").write_text(text, encoding="utf-8")
    with open(tmp_path / "given.pickle", "wb") as file:
        pickle.dump(arguments, file)
    code = (
        "import pickle, sys; import text; given = pickle.load(open('given.pickle', 'rb'));"
        "pickle.dump(text.call(*given), open('found.pickle', 'wb'));"
        "assert not {'shared', 'dualad', 'reversead'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env={**os.environ, "PYTHONPATH": ""})
    with open(tmp_path / "found.pickle", "rb") as file:
        found = pickle.load(file)
    expected = compiled(*arguments)
    for one, other in zip(*[v if isinstance(v, tuple) else (v,) for v in (found, expected)], strict=True):
        np.testing.assert_array_equal(one, other)


OF_NUMPY = [s for s in [*SAMPLES[::7], *COMPLEX[::3], *CONSTANTS[::3]] if s not in OF_SCIPY]


@pytest.mark.parametrize("sample", OF_NUMPY, ids=str)
def test_text_of_samples_needs_numpy_alone(sample):
    """Executed with NumPy, `math` and the arrays that it lists; nothing of this library is left to be assigned."""
    arguments = sample.arguments()
    compiled = compile(sample.function)
    text = compiled.source(*arguments)
    needed = {line.split()[1].rstrip(":") for line in text.split("\n") if line.endswith("to be assigned")}
    scope = dict(compiled._variants[0].namespace)
    assert needed == scope.keys()
    assert all(isinstance(value, np.ndarray) for value in scope.values())
    exec(text, scope)
    found, expected = flatten(scope["call"](*arguments))[0], flatten(compiled(*arguments))[0]
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["exp", "dot", "call", "x0", "v1", "float", "np", "lambda", "own"])
def test_a_primitive_may_have_a_name_that_the_text_uses(name):
    def tripled(x):
        return np.sqrt(x) * 3.0

    tripled.__name__ = name
    primitive = elementwise(tripled, lambda x: 1.5 / np.sqrt(x))
    compiled = compile(lambda x: np.exp(primitive(x)) * 2.0)
    for x in (np.array([1.0, 0.25]), 0.5):
        same(compiled(x), np.exp(tripled(x)) * 2.0)


def test_text_names_what_has_to_be_assigned():
    data = np.linspace(0.0, 1.0, 50)
    text = compile(lambda x: np.sum(x * data)).source(np.ones(50))
    assert "# array1: float64[50], to be assigned" in text


# --- long programs ----------------------------------------------------------------------------------------------------


def test_a_long_program_is_not_compiled_and_says_so_once(monkeypatch):
    monkeypatch.setattr(compiling, "LONGEST", 100)

    def f(x):
        nonlocal operations
        for _ in range(300):
            operations += 1
            x = np.sin(x) + 0.5
        return x

    operations, compiled = 0, compile(reversead.grad(lambda x: np.sum(f(x))))
    with pytest.warns(UserWarning, match="grad of <lambda> runs uncompiled .* more than 100 operations") as noted:
        found = compiled(V)
    # It is given up when it is found to be too long, and not recorded to its end.
    assert operations < 60 + 300
    same(found, reversead.grad(lambda x: np.sum(f(x)))(V))
    assert len(noted) == 1
    assert noted[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(compiled(V * 2.0), reversead.grad(lambda x: np.sum(f(x)))(V * 2.0))
    assert LONGEST >= 10_000
