"""Work on other cores and machines: directions of a derivative, and shards of data, given to an executor.

Any `concurrent.futures.Executor` serves: threads, processes, `mpi4py.futures`, or a dask cluster's
`Client(...).get_executor(pure=False)` (without `pure=False` dask hashes all arguments, to know work that it has done).
Spans of directions and shards of data do not depend on each other, so there is nothing to schedule here: each is
submitted, and the results are put together in order.  This module knows no engine.
"""

from __future__ import annotations

import pickle
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor
from traceback import format_exception
from typing import Any, NoReturn, TypeVar

from shared.calling.arguments import as_leaf
from shared.calling.options import checked_executor
from shared.calling.tree import flatten, tree_map
from shared.core.edges import Like
from shared.core.errors import DifferentiationError, ShapeError, TracerConversionError, user_line
from shared.core.levels import Tracer
from shared.core.visible import kind_of

E = TypeVar("E", bound=BaseException)

#: Without a chunk size, directions are cut into this many spans: enough to keep as many workers busy.
SPANS = 16

#: What dask raises where a worker died, or its work was lost with it, too often; by name, as dask is not imported here.
_LOST = frozenset(("KilledWorker", "FutureCancelledError", "FuturesCancelledError", "LostRunError"))


class ExecutorError(DifferentiationError, RuntimeError):
    """An executor could not do its work: it cannot be sent to another process, or its worker was lost."""


def on_executor(
    name: str, executor: Executor, job: Callable[..., Any], tasks: Iterable[tuple[Any, ...]]
) -> Generator[Any, None, None]:
    """`job(*task)` for each task, run by the executor, in the order of the tasks.

    What the job itself raises is raised here as it is, with the worker's traceback in a note if that was another
    process.  Raises ExecutorError for what the executor raises: it was shut down, a worker was lost, or the job, a
    task or a result cannot be pickled for another process.  What is still waiting is then cancelled.
    """
    futures: deque[Any] = deque()
    sent = _Job(job, by_dask=type(executor).__module__.startswith("distributed."))
    try:
        for task in tasks:
            try:
                futures.append(executor.submit(on_worker, sent, *task))
            except Exception as error:
                raise _failed(name, error, submitting=True) from error
        while futures:
            # No variable holds the outcome: its exception's traceback would refer to this frame, and that to it.
            yield _outcome(name, futures.popleft()).get(name)
    finally:
        for future in futures:
            future.cancel()


def _outcome(name: str, future: Any) -> Any:
    try:
        return future.result()
    except Exception as error:
        raise _failed(name, error) from error


# --- what goes to a worker, and comes back ----------------------------------------------------------------------------
#
# What another process cannot unpickle breaks a pool of processes, and dask waits for it for ever.  So what is sent are
# bytes, which are unpickled where an exception is an answer.


class _Job:
    """A function on its way to a worker."""

    def __init__(self, call: Callable[..., Any], by_dask: bool = False):
        self.call = call
        self.by_dask = by_dask

    def __reduce__(self) -> Any:
        try:
            content = pickle.dumps(self.call)
        except Exception:
            content = b""
        if content and b"__main__" not in content:
            return _SentJob, (content,)
        # A function of a script, or of no module, is not found by its name everywhere.  Dask sends it whole; another
        # sender may have a way of its own, or says that there is none.
        if self.by_dask:
            return _SentJob, (_whole(self.call),)
        return _Job, (self.call,)


class _SentJob:
    def __init__(self, content: bytes):
        self.content = content

    @property
    def call(self) -> Callable[..., Any]:
        found: Callable[..., Any] = pickle.loads(self.content)
        return found


def on_worker(job: _Job | _SentJob, *task: Any) -> _Outcome | _NotSent:
    """What a worker does: the job, whose exceptions are results, so that those of the executor are told from them."""
    try:
        call = job.call
    except Exception as error:
        return _NotSent("the function or its arguments", _told(error))
    try:
        return _Outcome(call(*task), None)
    except Exception as error:
        return _Outcome(None, error)


class _Outcome:
    """What became of a task: the result, or the exception that the job raised."""

    def __init__(self, value: Any, error: Exception | None):
        self.value = value
        self.error = error

    def get(self, name: str) -> Any:
        if self.error is None:
            return self.value
        try:
            raise self.error
        finally:
            del self

    def __reduce__(self) -> Any:
        report = "" if self.error is None else "".join(format_exception(self.error))
        try:
            return _SentOutcome, (_pickled((self.value, self.error)), report)
        except Exception as failure:
            return _NotSent, ("what the function returned or raised", _told(failure), report)


class _SentOutcome:
    """The outcome of a task in another process, with the traceback of its exception, which cannot be pickled."""

    def __init__(self, content: bytes, report: str):
        self.content = content
        self.report = report

    def get(self, name: str) -> Any:
        try:
            value, error = pickle.loads(self.content)
        except Exception as failure:
            _NotSent("what the function returned or raised", _told(failure), self.report).get(name)
        if error is None:
            return value
        try:
            raise _noted(error, self.report)
        finally:
            del error


class _NotSent:
    """Why there is no outcome: what could not be pickled, or unpickled where it went."""

    def __init__(self, what: str, why: str, report: str = ""):
        self.what = what
        self.why = why
        self.report = report

    def get(self, name: str) -> NoReturn:
        raise _not_sent(name, self.what, self.why, self.report) from None


def _pickled(value: Any) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception:
        if "cloudpickle" not in sys.modules:
            raise
        return _whole(value)


def _whole(value: Any) -> bytes:
    """A pickle of what no module defines.  Where dask is, this package is, too."""
    cloudpickle: Any = sys.modules["cloudpickle"]
    return bytes(cloudpickle.dumps(value))


# --- refusals ---------------------------------------------------------------------------------------------------------


def _failed(name: str, error: Exception, submitting: bool = False) -> ExecutorError:
    """Why an executor did not do its work."""
    if submitting and isinstance(error, RuntimeError) and "shutdown" in str(error):
        return ExecutorError(f"{name}: the executor was shut down{user_line()}; make a new one")
    if isinstance(error, (BrokenExecutor, CancelledError)) or type(error).__name__ in _LOST:
        return ExecutorError(
            f"{name}: a worker of the executor was lost, or its work cancelled, before it had finished{user_line()} "
            f"({_told(error)}); no result is returned, since a part of it is missing"
        )
    first: BaseException = error
    while isinstance(first.__cause__, Exception) and type(first.__cause__).__name__ != "_RemoteTraceback":
        # Of an error of pickling, dask makes one of its own.
        first = first.__cause__
    if isinstance(first, TracerConversionError):
        return _traced(name)
    if isinstance(first, (pickle.PicklingError, AttributeError, TypeError, ImportError)):
        return _not_sent(name, "the function or its arguments", _told(first))
    return ExecutorError(f"{name}: the executor failed{user_line()} ({_told(error)})")


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _not_sent(name: str, what: str, why: str, report: str = "") -> ExecutorError:
    refusal = ExecutorError(
        f"{name}: the executor cannot send {what} to another process{user_line()} ({why}); define functions and "
        "classes at the top level of a module that the workers can import, or use threads"
    )
    return _noted(refusal, report)


def _noted(error: E, report: str) -> E:
    """An exception with the traceback that it had on a worker, if it had one."""
    if report:
        error.add_note(f"Raised on a worker of the executor:\n{report}")
    return error


def refuse_traced(name: str, arguments: Any) -> None:
    """Refuse values of an outer differentiation, which mean nothing in another process."""
    if any(isinstance(leaf, Tracer) for leaf in flatten(arguments)[0]):
        raise _traced(name)


def _traced(name: str) -> ExecutorError:
    return ExecutorError(
        f"{name}: an executor cannot be used inside another differentiation or vmap{user_line()}: traced values "
        "do not leave their thread; leave out executor here, or give one to the outermost transform"
    )


def spans_of(total: int, chunk_size: int | None) -> list[tuple[int, int]]:
    """The directions 0 ... total cut into spans of `chunk_size`, or into `SPANS` of about equal length."""
    size = chunk_size or max(1, -(-total // SPANS))
    return [(start, min(start + size, total)) for start in range(0, total, size)]


def sum_over_shards(
    value_and_grad: Callable[..., tuple[Any, Any]],
    shards: Iterable[Sequence[Any]],
    executor: Executor | None = None,
    *,
    has_aux: bool = False,
) -> Callable[[Any], tuple[Any, Any]]:
    """The value and gradient of a loss that is a sum over shards of data, each computed on a worker.

    `value_and_grad` is an engine's, of the loss of one shard: it is called as `value_and_grad(parameters, *shard)`,
    where a shard is a tuple.  The result is a function of the parameters, which returns `(value, gradient)`, summed
    over the shards in their order, with the structure, shapes and dtypes of one.  With `has_aux`, given to both,
    it returns `((value, [aux, ...]), gradient)`, one aux a shard.  For a mean, divide each shard's loss by the size of
    all the data.  Without an executor the shards are taken in turn.

    Cost: one `value_and_grad` a shard.  The shards are sent with every call, so on a cluster hold large ones there,
    and give what names them (a file, a future of dask).  For processes the loss has to be defined at the top level of
    a module.  Raises ExecutorError where a worker is lost or the function cannot be sent, and where the parameters are
    traced; TypeError for a shard that is no tuple, or a function that is no `value_and_grad`.  Data-parallel sums: Dean
    et al. 2012, Large scale distributed deep networks, section 4.

    >>> import numpy as np
    >>> import reversead
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> def loss(w, x, y):
    ...     return np.sum((x @ w - y) ** 2)
    >>> x, y = np.eye(2), np.ones(2)
    >>> shards = [(x[:1], y[:1]), (x[1:], y[1:])]
    >>> with ThreadPoolExecutor(2) as executor:
    ...     sum_over_shards(reversead.value_and_grad(loss), shards, executor)(np.zeros(2))
    (np.float64(2.0), array([-2., -2.]))
    """
    name = "sum_over_shards"
    checked_executor(name, executor)
    parts = list(shards)
    if not parts:
        raise ValueError(f"{name}: there are no shards{user_line()}, so there is nothing to add up")
    for shard in parts:
        if not isinstance(shard, (tuple, list)):
            raise TypeError(
                f"{name}: a shard must be a tuple of the loss's further arguments, not a {kind_of(shard)}"
                f"{user_line()}; of one array x it is (x,)"
            )

    def of_parameters(parameters: Any) -> tuple[Any, Any]:
        """The sum of the values, and the sum of the gradients."""
        tasks = [(parameters, *shard) for shard in parts]
        if executor is None:
            results: Generator[Any, None, None] = (value_and_grad(*task) for task in tasks)
        else:
            refuse_traced(name, tasks)
            results = on_executor(name, executor, value_and_grad, tasks)
        total, gradient, extras = None, None, []
        try:
            for result in results:
                value, slope, aux = _parts(name, result, has_aux)
                extras.append(aux)
                total = value if total is None else as_leaf(total + value, value)
                gradient = slope if gradient is None else tree_map(lambda a, b: as_leaf(a + b, b), gradient, slope)
        except BaseException:
            # Cancels what is waiting; the exception may be kept, and with it this frame.
            results.close()
            raise
        return ((total, extras) if has_aux else total), gradient

    return of_parameters


def _parts(name: str, result: Any, has_aux: bool) -> tuple[Any, Any, Any]:
    """The value, the gradient and the auxiliary value of one shard."""
    if not (isinstance(result, tuple) and len(result) == 2):
        raise TypeError(
            f"{name}: the function returned a {kind_of(result)}{user_line()} in place of (value, gradient); give "
            "it an engine's value_and_grad(loss)"
        )
    value, gradient = result
    aux = None
    if isinstance(value, tuple) != has_aux or (has_aux and len(value) != 2):
        raise TypeError(
            f"{name}: with has_aux={has_aux} the value of a shard must be "
            f"{'(value, aux)' if has_aux else 'a number'}{user_line()}; give has_aux to value_and_grad and to {name}"
        )
    if has_aux:
        value, aux = value
    if Like(value).shape != () or not (isinstance(value, (int, float)) or hasattr(value, "dtype")):
        raise ShapeError(f"{name}: the value of a shard must be one number{user_line()}, not {value!r}")
    return value, gradient, aux
