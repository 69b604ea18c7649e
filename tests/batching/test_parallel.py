"""An executor changes where a derivative is computed, and nothing else; what cannot be sent or is lost is said."""

from __future__ import annotations

import copy
import gc
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import parallel_functions as functions
import pytest

import dualad
import reversead
from shared.batching.parallel import SPANS, ExecutorError, sum_over_shards
from shared.batching.vmap import vmap
from shared.calling.tree import flatten
from shared.core.errors import ClosedLevelError, ShapeError
from shared.counting.counter import count_operations
from shared.linear.checkpointing import checkpoint

pytestmark = [
    # From Python 3.12 on `fork` warns where other threads run; it is tested because it is Linux's default up to 3.13.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning"),
]

#: Long enough for a machine that does other things; only a failure takes so long.
PATIENCE = 120.0


# --- the executors ----------------------------------------------------------------------------------------------------


def processes(method: str) -> Iterator[Executor]:
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this system does not start processes by {method}")
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context(method)) as executor:
        executor.submit(os.getpid).result(PATIENCE)
        yield executor


@pytest.fixture(scope="module", autouse=True)
def forked() -> Iterator[Executor | None]:
    # Before any other executor, so that the processes are made while this one has no threads of theirs.
    if "fork" in multiprocessing.get_all_start_methods():
        yield from processes("fork")
    else:
        yield None


@pytest.fixture(scope="module")
def spawned() -> Iterator[Executor]:
    yield from processes("spawn")


@pytest.fixture(scope="module")
def threads() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as executor:
        yield executor


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A dask cluster of two worker processes, each with a nanny that starts it again when it dies."""
    distributed = pytest.importorskip("distributed", reason="dask is not installed: the extra [distributed] has it")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            # Any free port: None means 8787, which warns that it is in use where two of these run at a time.
            dashboard_address="127.0.0.1:0",
            memory_limit=0,
            local_directory=str(tmp_path_factory.mktemp("dask")),
        ) as cluster,
        distributed.Client(cluster, timeout=PATIENCE) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def dask(client: Any) -> Executor:
    return client.get_executor(pure=False)  # type: ignore[no-any-return]


@pytest.fixture(params=["threads", "forked", "spawned", "dask"])
def executor(request: pytest.FixtureRequest) -> Executor:
    found = request.getfixturevalue(request.param)
    if found is None:
        pytest.skip("this system does not fork")
    return found  # type: ignore[no-any-return]


@pytest.fixture(params=["forked", "spawned", "dask"])
def elsewhere(request: pytest.FixtureRequest) -> Executor:
    """An executor of other processes."""
    found = request.getfixturevalue(request.param)
    if found is None:
        pytest.skip("this system does not fork")
    return found  # type: ignore[no-any-return]


class Counting(Executor):
    """Does its work at once, and counts it."""

    def __init__(self) -> None:
        self.submitted = 0

    def submit(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.submitted += 1
        return done(f(*args, **kwargs))


def done(result: Any) -> Future[Any]:
    # Not a variable above: the traceback of an exception refers to that frame, too.
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def in_time(call: Callable[[], Any]) -> Any:
    """What `call()` gives, where a bug would make it wait for ever."""
    found: list[tuple[bool, Any]] = []

    def attempt() -> None:
        try:
            found.append((True, call()))
        except BaseException as error:
            found.append((False, error))

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    assert found, "no answer"
    succeeded, result = found[0]
    if not succeeded:
        raise result
    return result


def assert_same(found: Any, expected: Any) -> None:
    """Equal containers of arrays and numbers of equal types, up to how matrix products of other sizes are rounded."""
    leaves, structure = flatten(found)
    wanted, expected_structure = flatten(expected)
    assert structure == expected_structure
    for a, b in zip(leaves, wanted, strict=True):
        assert type(a) is type(b)
        if isinstance(a, (np.ndarray, np.generic)):
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            np.testing.assert_allclose(a, b, rtol=1e-6 if a.dtype.itemsize == 4 else 1e-13, atol=1e-14)
        else:
            assert a == b
        if isinstance(a, np.ndarray):
            assert a.flags.writeable


# --- the same derivatives ---------------------------------------------------------------------------------------------

X = np.linspace(0.1, 1.0, 7)
Z = X[:3] + 1j * X[3:6]
FIRST = {"layer": functions.Layer(np.linspace(-1, 1, 6).reshape(2, 3), np.ones(3)), "input": X[:2]}

JACOBIANS = {
    "keyword argument": (functions.sines, (X,), {"power": 3}, {}),
    "argument by name": (functions.sines, (X,), {"scale": 1.5}, {"argnums": "scale"}),
    "several arguments": (functions.sines, (X,), {"scale": 1.5}, {"argnums": (0, "scale")}),
    "containers": (functions.layers, (FIRST, [2.0, 3.0]), {}, {"argnums": (0, 1)}),
    "complex": (functions.holomorphic, (Z,), {}, {}),
    "complex to real": (functions.modulus, (Z,), {}, {}),
    "aux": (functions.counted, (X,), {"label": "mine"}, {"has_aux": True}),
    "no input": (functions.sines, (np.zeros(0),), {}, {}),
    "no output": (functions.nothing, (X,), {}, {}),
    "a number": (functions.cube, (2.0,), {}, {}),
    "one direction": (functions.cube, (np.array([2.0]),), {}, {}),
    "more directions than tasks": (functions.cube, (np.linspace(0, 1, 3 * SPANS + 1),), {}, {}),
    "single precision": (functions.single, (X.astype(np.float32), 2.0), {}, {"argnums": (0, 1)}),
}


@pytest.mark.parametrize("case", JACOBIANS)
def test_jacobian_is_that_without_executor(ad: Any, executor: Executor, case: str) -> None:
    f, args, kwargs, options = JACOBIANS[case]
    for transform in (ad.jacobian, ad.value_and_jacobian):
        expected = transform(f, **options)(*args, **kwargs)
        assert_same(transform(f, **options, executor=executor)(*args, **kwargs), expected)
        assert_same(transform(f, **options, executor=executor, chunk_size=2)(*args, **kwargs), expected)


DATA = (np.linspace(-1, 1, 12).reshape(4, 3), np.linspace(0, 1, 4))
PARAMETERS = {"w": np.linspace(-1, 1, 3), "b": 0.5}

SCALARS = {
    "array": (functions.energy, (X,), {}, {}),
    "containers": (functions.loss, (PARAMETERS, *DATA), {}, {}),
    "argument by name": (functions.energy, (X,), {"scale": 2.0}, {"argnums": "scale"}),
    "several arguments": (functions.energy, (X,), {"scale": 2.0}, {"argnums": ("scale", 0)}),
    "aux": (functions.energy_and_label, (X, "mine"), {}, {"has_aux": True}),
    "no input": (functions.energy, (np.zeros(0),), {}, {}),
    "a number": (functions.cube, (2.0,), {}, {}),
    "single precision": (functions.energy, (X.astype(np.float32),), {"scale": 2.0}, {"argnums": (0, "scale")}),
}


@pytest.mark.parametrize("case", SCALARS)
def test_gradient_and_hessian_are_those_without_executor(ad: Any, executor: Executor, case: str) -> None:
    f, args, kwargs, options = SCALARS[case]
    for transform in (ad.grad, ad.value_and_grad, ad.hessian, ad.value_grad_and_hessian):
        expected = transform(f, **options)(*args, **kwargs)
        assert_same(transform(f, **options, executor=executor)(*args, **kwargs), expected)
        assert_same(transform(f, **options, executor=executor, chunk_size=3)(*args, **kwargs), expected)


def test_engines_are_mixed_on_an_executor(executor: Executor) -> None:
    expected = dualad.hessian(functions.energy)(X)
    for outer in (dualad, reversead):
        for inner in (dualad, reversead):
            assert_same(outer.jacobian(inner.grad(functions.energy), executor=executor)(X), expected)


def test_function_of_a_test_module_is_found_by_the_workers(elsewhere: Executor) -> None:
    found = reversead.jacobian(of_this_module, executor=elsewhere)(X)
    np.testing.assert_array_equal(found, 2 * np.eye(len(X)))


def of_this_module(x: Any) -> Any:
    return 2 * x


def test_work_is_done_in_other_processes(ad: Any, elsewhere: Executor) -> None:
    with pytest.raises(KeyError):
        ad.jacobian(functions.of_another_process, executor=elsewhere)(X, os.getpid())


# --- how many tasks ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("directions", [1, 5, 6, 7, 40])
@pytest.mark.parametrize("chunk_size", [1, 3, 100, None])
def test_number_of_tasks_is_that_of_chunks(ad: Any, directions: int, chunk_size: int | None) -> None:
    executor = Counting()
    x = np.linspace(0, 1, directions)
    matrix = ad.jacobian(functions.cube, executor=executor, chunk_size=chunk_size)(x)
    np.testing.assert_array_equal(matrix, np.diag(3 * x**2))
    if chunk_size is None:
        # As many as there are spans of equal length, at most 16.
        assert executor.submitted == -(-directions // -(-directions // SPANS)) <= SPANS
    else:
        assert executor.submitted == -(-directions // chunk_size)


def test_complex_numbers_are_two_directions() -> None:
    executor = Counting()
    dualad.jacobian(functions.holomorphic, executor=executor, chunk_size=1)(Z)
    assert executor.submitted == 2 * len(Z)


def test_nothing_is_submitted_where_there_is_no_direction(ad: Any) -> None:
    executor = Counting()
    ad.jacobian(functions.cube, executor=executor)(np.zeros(0))
    assert executor.submitted == 0


def test_reverse_gradient_is_one_sweep_and_needs_no_executor() -> None:
    executor = Counting()
    reversead.grad(functions.energy, executor=executor)(X)
    assert executor.submitted == 0
    dualad.grad(functions.energy, executor=executor, chunk_size=2)(X)
    assert executor.submitted == 4


def test_value_and_aux_are_sent_once() -> None:
    class Listening(Counting):
        def submit(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future = super().submit(f, *args, **kwargs)
            sizes.append(len(pickle.dumps(future.result())))
            return future

    sizes: list[int] = []
    dualad.jacobian(functions.counted, has_aux=True, executor=Listening(), chunk_size=1)(X, "long" * 10_000)
    assert sizes[0] > 40_000 > 4_000 > max(sizes[1:])


# --- a sum over shards of data ----------------------------------------------------------------------------------------

SHARDS = [(DATA[0][:1], DATA[1][:1]), (DATA[0][1:3], DATA[1][1:3]), (DATA[0][3:], DATA[1][3:])]


def test_sum_over_shards_is_the_derivative_of_the_whole(ad: Any, executor: Executor) -> None:
    value, gradient = sum_over_shards(ad.value_and_grad(functions.loss), SHARDS, executor)(PARAMETERS)
    whole, slope = ad.value_and_grad(functions.loss)(PARAMETERS, *DATA)
    np.testing.assert_allclose(value, whole, rtol=1e-14)
    assert_same(gradient, slope)


def test_sum_over_shards_is_added_in_their_order(ad: Any, executor: Executor) -> None:
    local = sum_over_shards(ad.value_and_grad(functions.loss), SHARDS)(PARAMETERS)
    found = sum_over_shards(ad.value_and_grad(functions.loss), iter(SHARDS), executor)(PARAMETERS)
    assert found[0] == local[0]
    np.testing.assert_array_equal(found[1]["w"], local[1]["w"])
    assert type(found[1]["b"]) is type(local[1]["b"]) is float
    assert found[1]["b"] == local[1]["b"]


def test_sum_over_one_shard_is_fresh(ad: Any, executor: Executor) -> None:
    total = sum_over_shards(ad.value_and_grad(functions.loss), SHARDS[:1], executor)
    assert_same(total(PARAMETERS), ad.value_and_grad(functions.loss)(PARAMETERS, *SHARDS[0]))


def test_sum_over_shards_of_single_precision(ad: Any, executor: Executor) -> None:
    single = [tuple(array.astype(np.float32) for array in shard) for shard in SHARDS]
    parameters = {"w": PARAMETERS["w"].astype(np.float32), "b": np.zeros((), np.float32)}
    value, gradient = sum_over_shards(ad.value_and_grad(functions.loss), single, executor)(parameters)
    assert value.dtype == gradient["w"].dtype == gradient["b"].dtype == np.float32
    # An array without axes stays one.
    assert isinstance(gradient["b"], np.ndarray)


def test_sum_over_shards_returns_every_aux(ad: Any, executor: Executor) -> None:
    of_one = ad.value_and_grad(functions.loss_and_size, has_aux=True)
    (value, sizes), gradient = sum_over_shards(of_one, SHARDS, executor, has_aux=True)(PARAMETERS)
    assert sizes == [1, 2, 1]
    expected = sum_over_shards(ad.value_and_grad(functions.loss), SHARDS)(PARAMETERS)
    assert value == expected[0]
    assert_same(gradient, expected[1])


def test_sum_over_shards_takes_any_arguments_of_the_engine(executor: Executor) -> None:
    of_one = reversead.value_and_grad(functions.energy, argnums=(0, "scale"))
    value, (x, scale) = sum_over_shards(of_one, [(1.0,), (2.0,)], executor)(X)
    assert value == pytest.approx(3 * functions.energy(X))
    assert scale == pytest.approx(2 * functions.energy(X))
    np.testing.assert_allclose(x, 3 * reversead.grad(functions.energy)(X))


def test_shards_that_a_cluster_holds(client: Any, dask: Executor) -> None:
    held = [tuple(client.scatter(list(shard))) for shard in SHARDS]
    found = sum_over_shards(reversead.value_and_grad(functions.loss), held, dask)(PARAMETERS)
    assert_same(found, sum_over_shards(reversead.value_and_grad(functions.loss), SHARDS)(PARAMETERS))


def test_sum_over_shards_without_executor_can_be_differentiated(ad: Any) -> None:
    def squared_slope(w: Any) -> Any:
        value, gradient = sum_over_shards(ad.value_and_grad(functions.energy), [(1.0,), (2.0,)])(w)
        return np.sum(gradient**2) + value

    expected = ad.grad(lambda w: np.sum((3 * ad.grad(functions.energy)(w)) ** 2) + 3 * functions.energy(w))(X)
    np.testing.assert_allclose(ad.grad(squared_slope)(X), expected)


@pytest.mark.parametrize(
    ("shards", "error", "message"),
    [
        ([], ValueError, "there are no shards"),
        # Unpacked, the rows of an array would be taken for arguments.
        ([np.ones((2, 2))], TypeError, r"a shard must be a tuple .* not a ndarray .*of one array x it is \(x,\)"),
        ([{"x": 1.0}], TypeError, "a shard must be a tuple"),
    ],
)
def test_shards_that_are_none(ad: Any, shards: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        sum_over_shards(ad.value_and_grad(functions.loss), shards)


@pytest.mark.parametrize(
    ("make", "has_aux", "error", "message"),
    [
        # Of two parameters a gradient is an array of two numbers, which could be taken for a value and a gradient.
        (lambda ad: ad.grad(functions.cube), False, TypeError, "returned a .* in place of .value, gradient."),
        (lambda ad: functions.cube, False, TypeError, "give it an engine's value_and_grad"),
        (lambda ad: ad.value_and_jacobian(lambda x: x * np.ones(2)), False, ShapeError, "must be one number"),
        (lambda ad: ad.value_and_grad(lambda x: (x, 1), has_aux=True), False, TypeError, "must be a number .*has_aux"),
        (lambda ad: ad.value_and_grad(functions.cube), True, TypeError, r"must be \(value, aux\)"),
    ],
)
def test_function_that_is_no_value_and_grad(
    ad: Any, make: Callable[[Any], Any], has_aux: bool, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        sum_over_shards(make(ad), [(), ()], has_aux=has_aux)(2.0)


def test_traced_parameters_of_shards_are_refused(ad: Any, threads: Executor) -> None:
    total = sum_over_shards(reversead.value_and_grad(functions.energy), [(1.0,)], threads)
    with pytest.raises(ExecutorError, match="sum_over_shards: an executor cannot be used inside another"):
        ad.grad(lambda x: total(x)[0])(X)


# --- what transforms return is sent as what it is ---------------------------------------------------------------------

TRANSFORMED = {
    "grad": (lambda ad: ad.grad(functions.energy), (X,)),
    "value_and_grad": (lambda ad: ad.value_and_grad(functions.energy), (X,)),
    "grad by name": (lambda ad: ad.grad(functions.energy_and_label, "x", has_aux=True), (X, "mine")),
    "derivative": (lambda ad: ad.derivative(functions.cube), (2.0,)),
    "elementwise_grad": (lambda ad: ad.elementwise_grad(functions.cube), (X,)),
    "jacobian": (lambda ad: ad.jacobian(functions.sines, chunk_size=3), (X,)),
    "value_and_jacobian": (lambda ad: ad.value_and_jacobian(functions.counted, has_aux=True), (X,)),
    "hessian": (lambda ad: ad.hessian(functions.energy, (0, "scale")), (X, 2.0)),
    "value_grad_and_hessian": (lambda ad: ad.value_grad_and_hessian(functions.energy), (X,)),
    "vmap": (lambda ad: vmap(functions.sines, (0, None), out_axes=1), (X.reshape(7, 1), 2.0)),
    "checkpoint": (lambda ad: checkpoint(functions.energy), (X,)),
    "nested": (lambda ad: vmap(ad.grad(ad.derivative(ad.grad(functions.cube)))), (X,)),
    "decorated": (lambda ad: functions.slope, (X,)),
    "of what is decorated": (lambda ad: ad.jacobian(functions.slope), (X,)),
    "decorated in a class": (lambda ad: functions.Model.nested, (X,)),
    "checkpoint as decorator": (lambda ad: ad.jacobian(functions.kept_small), (X,)),
    "custom derivative": (lambda ad: ad.jacobian(functions.squared), (X,)),
    "partial": (lambda ad: ad.grad(partial(functions.energy, scale=3.0)), (X,)),
    "bound method": (lambda ad: ad.grad(functions.Model(2.0).energy), (X,)),
}


@pytest.mark.parametrize("case", TRANSFORMED)
def test_transformed_function_does_not_come_back_as_the_one_it_was_made_of(
    ad: Any, elsewhere: Executor, case: str
) -> None:
    make, args = TRANSFORMED[case]
    f = make(ad)
    expected = f(*args)
    assert_same(elsewhere.submit(f, *args).result(PATIENCE), expected)
    for other in (pickle.loads(pickle.dumps(f)), copy.copy(f), copy.deepcopy(f)):
        assert_same(other(*args), expected)


def test_transformed_function_of_a_local_one_is_no_pickle(ad: Any) -> None:
    with pytest.raises((pickle.PicklingError, AttributeError), match="local"):
        pickle.dumps(ad.grad(lambda x: x))


def test_transformed_function_says_what_it_is(ad: Any) -> None:
    assert repr(ad.grad(functions.energy)) == "<grad of energy>"
    assert (
        repr(ad.hessian(ad.grad(partial(max, 1))))
        == "<hessian of <grad of functools.partial(<built-in function max>, 1)>>"
    )
    assert functions.slope.__doc__ == "The gradient of a sum of cubes."


def test_transformed_method_is_bound_to_its_instance(ad: Any) -> None:
    class Scaled:
        scale = 3.0

        @partial(ad.grad, argnums=1)
        def slope(self, x: Any) -> Any:
            return self.scale * x**2

    assert Scaled().slope(2.0) == 12.0


# --- values of an outer differentiation -------------------------------------------------------------------------------


def test_traced_arguments_are_refused(ad: Any, threads: Executor) -> None:
    message = "jacobian: an executor cannot be used inside another differentiation or vmap .*leave out executor here"
    inner = ad.jacobian(functions.sines, executor=threads)
    for outer in (dualad, reversead):
        with pytest.raises(ExecutorError, match=message):
            outer.jacobian(inner)(X)
        with pytest.raises(ExecutorError, match=message):
            outer.jacobian(lambda s: inner(X, scale=s))(1.0)
    with pytest.raises(ExecutorError, match=message):
        vmap(inner)(X.reshape(1, 7))
    with pytest.raises(ExecutorError, match=message):
        count_operations(inner, X)


def test_traced_value_that_a_function_closes_over_is_right_in_threads(ad: Any, threads: Executor) -> None:
    def matrix(a: Any, executor: Executor | None) -> Any:
        return ad.jacobian(lambda x: np.cumsum(np.sin(a * x) * a[0]), executor=executor, chunk_size=1)(X)

    # A dual number, or a batch, is the same in every thread.
    for transform in (dualad.jacobian, vmap):
        given = X if transform is dualad.jacobian else X.reshape(1, 7) * np.ones((3, 1))
        expected = transform(partial(matrix, executor=None))(given)
        assert np.any(expected != 0)
        assert_same(transform(partial(matrix, executor=threads))(given), expected)


def test_variable_that_a_function_closes_over_is_refused_in_threads(ad: Any, threads: Executor) -> None:
    def total(a: Any) -> Any:
        return np.sum(ad.jacobian(lambda x: np.sin(a * x), executor=threads)(X))

    with pytest.raises(ClosedLevelError, match="a tape was used in a thread that did not make it"):
        reversead.grad(total)(X)


def test_operations_in_threads_are_all_counted(threads: Executor) -> None:
    def matrix(a: Any, executor: Executor | None) -> Any:
        return dualad.jacobian(lambda x: np.sin(a * x) * a, executor=executor, chunk_size=1)(X)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        found = count_operations(partial(matrix, executor=threads), X)
    finally:
        sys.setswitchinterval(interval)
    assert found == count_operations(partial(matrix, executor=Counting()), X)


def test_traced_value_that_a_function_holds_does_not_leave_the_process(ad: Any, elsewhere: Executor) -> None:
    # Unpickled it would have a level of its own, and its derivative would be lost.
    def total(a: Any) -> Any:
        return np.sum(ad.jacobian(partial(functions.scaled, a), executor=elsewhere)(X))

    for outer in (dualad, reversead):
        with pytest.raises(ExecutorError, match="an executor cannot be used inside another differentiation"):
            outer.derivative(total)(2.0)


# --- what cannot be done is said --------------------------------------------------------------------------------------


def test_exception_of_the_function_is_raised_as_it_is(ad: Any, executor: Executor) -> None:
    for transform in (ad.jacobian, ad.hessian, ad.value_and_jacobian, dualad.grad):
        with pytest.raises(KeyError) as caught:
            transform(functions.key_error, executor=executor)(X)
        assert caught.value.args == ("no such weight", 7)
    # Its text may look like an executor's.
    with pytest.raises(TypeError) as confusing:
        ad.jacobian(functions.confusing_error, executor=executor)(X)
    assert type(confusing.value) is TypeError
    assert str(confusing.value) == "cannot pickle this cucumber"
    # And the executor is as good as before.
    np.testing.assert_array_equal(ad.jacobian(functions.cube, executor=executor)(np.ones(1)), [[3.0]])


def test_exception_of_another_process_has_the_traceback_there(ad: Any, elsewhere: Executor) -> None:
    with pytest.raises(KeyError) as caught:
        ad.jacobian(functions.of_another_process, executor=elsewhere)(X, os.getpid())
    [note] = caught.value.__notes__
    assert note.startswith("Raised on a worker of the executor:\nTraceback")
    assert "in of_another_process" in note


def test_exception_that_cannot_be_unpickled_is_told(ad: Any, elsewhere: Executor) -> None:
    # Unpickling it raises a TypeError: a pool of processes would be broken, and dask would wait for ever.
    with pytest.raises(ExecutorError, match=r"cannot send what the function returned or raised .*wanted") as caught:
        in_time(lambda: ad.jacobian(functions.mismatch_in_another_process, executor=elsewhere)(X, os.getpid()))
    assert "Mismatch: three, not two" in caught.value.__notes__[0]
    np.testing.assert_array_equal(ad.jacobian(functions.cube, executor=elsewhere)(np.ones(1)), [[3.0]])


def test_any_exception_is_raised_in_threads(ad: Any, threads: Executor) -> None:
    with pytest.raises(functions.Mismatch, match="three, not two"):
        ad.jacobian(functions.mismatch, executor=threads)(X)


def test_result_that_cannot_be_pickled_is_refused_and_not_waited_for(elsewhere: Executor) -> None:
    with pytest.raises(
        ExecutorError, match=r"cannot send what the function returned or raised .*cannot pickle '_thread"
    ):
        in_time(lambda: dualad.jacobian(functions.jacobian_with_lock, has_aux=True, executor=elsewhere)(X))
    np.testing.assert_array_equal(dualad.jacobian(functions.cube, executor=elsewhere)(np.ones(1)), [[3.0]])


def test_function_that_cannot_be_pickled_is_refused(ad: Any, spawned: Executor) -> None:
    message = "jacobian: the executor cannot send the function or its arguments .*define functions .*at the top level"
    with pytest.raises(ExecutorError, match=message):
        ad.jacobian(lambda x: x * x, executor=spawned)(X)
    with pytest.raises(ExecutorError, match="sum_over_shards: the executor cannot send"):
        sum_over_shards(ad.value_and_grad(lambda x: x), [()], spawned)(1.0)


def test_argument_that_cannot_be_pickled_is_refused(elsewhere: Executor) -> None:
    with pytest.raises(ExecutorError, match=r"cannot send the function or its arguments .*cannot pickle '_thread"):
        in_time(lambda: dualad.jacobian(functions.sines, executor=elsewhere)(X, power=threading.Lock()))


def test_function_of_no_module_is_sent_by_dask(ad: Any, dask: Executor) -> None:
    factor = 3.0
    assert_same(ad.jacobian(lambda x: factor * x, executor=dask)(X), factor * np.eye(len(X)))
    value, gradient = sum_over_shards(ad.value_and_grad(lambda x: factor * x), [(), ()], dask)(2.0)
    assert (value, gradient) == (12.0, 6.0)


def test_functions_that_differ_in_a_number_alone_are_told_apart_by_dask(ad: Any, client: Any) -> None:
    # By default dask takes equal work for done, and tells work apart by what it is pickled to.
    executor = client.get_executor()
    found = [ad.jacobian(lambda x, k=k: k * x, executor=executor)(X)[0, 0] for k in (1.0, 2.0, 3.0)]
    assert found == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("name", ["spawn", "dask"])
def test_functions_of_a_script_are_sent(name: str, tmp_path: Path) -> None:
    if name == "dask":
        pytest.importorskip("distributed", reason="dask is not installed: the extra [distributed] has it")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), name], capture_output=True, text=True, timeout=PATIENCE, check=False, cwd=tmp_path
    )
    assert done.stdout.split() == ["6.0", "6.0", "Mine"], done.stderr[-2000:]


SCRIPT = """
import multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
import numpy as np
import dualad, reversead
from shared import sum_over_shards

class Mine(Exception):
    pass

def loss(w, x):
    return np.sum(w * x)

@reversead.grad
def slope(x):
    return np.sum(x**3)

def failing(x):
    raise Mine

def use(executor):
    print(sum_over_shards(reversead.value_and_grad(loss), [(2.0,), (4.0,)], executor)(1.0)[1])
    print(dualad.jacobian(slope, executor=executor)(np.ones(2))[0, 0])
    try:
        dualad.jacobian(failing, executor=executor)(np.ones(2))
    except Mine:
        print("Mine")

if __name__ == "__main__":
    if sys.argv[1] == "spawn":
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
            use(executor)
    else:
        from distributed import Client, LocalCluster
        with LocalCluster(1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
            client = Client(cluster)
            use(client.get_executor())
            client.close()
"""


def test_module_that_workers_cannot_import_is_named(
    ad: Any, spawned: Executor, dask: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By itself dask waits for ever, and a pool of processes breaks.
    module = type(os)("only_here")
    exec("def double(x):\n    return 2 * x", module.__dict__)
    monkeypatch.setitem(sys.modules, "only_here", module)
    for executor in (spawned, dask):
        with pytest.raises(ExecutorError, match=r"cannot send the function .*ModuleNotFoundError: .*'only_here'"):
            in_time(partial(ad.jacobian(module.double, executor=executor), X))
        np.testing.assert_array_equal(ad.jacobian(functions.cube, executor=executor)(np.ones(1)), [[3.0]])


def test_message_of_a_worker_names_no_line_of_the_executor(executor: Executor) -> None:
    with pytest.raises(ShapeError, match=r"^grad: the function returned an array of shape \(7,\), but"):
        dualad.grad(functions.cube, executor=executor)(X)


@pytest.mark.parametrize("kind", [ThreadPoolExecutor, ProcessPoolExecutor])
def test_executor_that_was_shut_down_is_refused(ad: Any, kind: Any) -> None:
    executor = kind(1)
    executor.shutdown()
    with pytest.raises(ExecutorError, match=r"jacobian: the executor was shut down .*make a new one"):
        ad.jacobian(functions.cube, executor=executor)(X)


def test_executor_of_dask_that_was_shut_down_is_refused(ad: Any, client: Any) -> None:
    executor = client.get_executor()
    executor.shutdown()
    with pytest.raises(ExecutorError, match="jacobian: the executor was shut down"):
        ad.jacobian(functions.cube, executor=executor)(X)


TRANSFORMS = ("grad", "value_and_grad", "jacobian", "value_and_jacobian", "hessian", "value_grad_and_hessian")


@pytest.mark.parametrize("executor", [2, "threads", ThreadPoolExecutor, object()])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_what_is_no_executor_is_refused_at_once(ad: Any, name: str, executor: Any) -> None:
    with pytest.raises(TypeError, match=rf"{name}: executor must be a concurrent.futures.Executor.*at {__file__}"):
        getattr(ad, name)(functions.energy, executor=executor)
    with pytest.raises(TypeError, match="sum_over_shards: executor must be"):
        sum_over_shards(ad.value_and_grad(functions.loss), SHARDS, executor)


@pytest.mark.parametrize("chunk_size", [0, -3])
@pytest.mark.parametrize("name", TRANSFORMS)
def test_chunk_without_directions_is_refused_at_once(ad: Any, threads: Executor, name: str, chunk_size: int) -> None:
    with pytest.raises(ValueError, match=f"{name}: chunk_size={chunk_size} .*a chunk has 1 direction or more"):
        getattr(ad, name)(functions.energy, executor=threads, chunk_size=chunk_size)


# --- what remains after a failure -------------------------------------------------------------------------------------


class Scripted(Executor):
    """Whose futures fail as it is told, or are never done."""

    def __init__(self, *failures: BaseException | None):
        self.failures = iter(failures)
        self.futures: list[Future[Any]] = []

    def submit(self, f: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        failure = next(self.failures)
        if isinstance(failure, MemoryError):
            raise failure
        future: Future[Any] = Future()
        if failure is not None:
            future.set_exception(failure)
        self.futures.append(future)
        return future


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (BrokenProcessPool("gone"), "a worker of the executor was lost"),
        (CancelledError(), "or its work cancelled"),
        (OSError("no route"), r"the executor failed .*\(OSError: no route\)"),
        (KeyboardInterrupt("stop"), "^stop$"),
    ],
)
def test_failure_cancels_what_is_waiting(failure: BaseException, expected: str) -> None:
    executor = Scripted(failure, None, None)
    with pytest.raises(ExecutorError if isinstance(failure, Exception) else KeyboardInterrupt, match=expected):
        dualad.jacobian(functions.cube, executor=executor)(np.ones(3))
    assert [future.cancelled() for future in executor.futures] == [False, True, True]


def test_failure_to_submit_cancels_what_was(ad: Any) -> None:
    executor = Scripted(None, None, MemoryError("full"))
    with pytest.raises(ExecutorError, match=r"the executor failed .*\(MemoryError: full\)"):
        ad.jacobian(functions.cube, executor=executor)(np.ones(3))
    assert all(future.cancelled() for future in executor.futures)


def test_failure_leaves_no_reference_cycle(spawned: Executor) -> None:
    for executor, home in ((Counting(), 0), (spawned, os.getpid())):
        for failing in (functions.kept_exception, functions.mismatch_in_another_process):
            gc.collect()
            gc.disable()
            try:
                try:
                    dualad.jacobian(failing, executor=executor)(X, home)
                except (functions.Kept, functions.Mismatch, ExecutorError) as error:
                    seen = weakref.ref(error)
                assert seen() is None
            finally:
                gc.enable()


# --- workers that die -------------------------------------------------------------------------------------------------


def test_killed_process_is_told(ad: Any, tmp_path: Path) -> None:
    marker = str(tmp_path / "killed")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        with pytest.raises(ExecutorError, match="jacobian: a worker of the executor was lost") as caught:
            in_time(lambda: ad.jacobian(functions.kill_once, executor=executor)(X, os.getpid(), marker))
        assert isinstance(caught.value.__cause__, BrokenProcessPool)
        # Such a pool is of no more use, and says so.
        with pytest.raises(ExecutorError, match="a worker of the executor was lost"):
            ad.jacobian(functions.cube, executor=executor)(X)
    assert os.path.exists(marker)


def test_work_of_a_killed_dask_worker_is_done_by_another(ad: Any, dask: Executor, tmp_path: Path) -> None:
    marker = str(tmp_path / "killed")
    expected = ad.jacobian(functions.kill_once)(X, os.getpid(), marker)
    found = in_time(lambda: ad.jacobian(functions.kill_once, executor=dask)(X, os.getpid(), marker))
    assert os.path.exists(marker)
    assert_same(found, expected)


def test_work_that_kills_every_dask_worker_is_told(
    ad: Any, client: Any, dask: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    # By default a task may take four workers with it, and waiting for these to start again takes its time.
    monkeypatch.setattr(client.cluster.scheduler, "allowed_failures", 0)
    with pytest.raises(ExecutorError, match=r"a worker of the executor was lost, .*\(KilledWorker") as caught:
        in_time(lambda: ad.jacobian(functions.kill_always, executor=dask)(X, os.getpid()))
    assert type(caught.value.__cause__).__name__ == "KilledWorker"
