"""Which call took a traced value for a plain one: it is named as the user wrote it, with the remedy that fits it."""

from __future__ import annotations

import functools
import linecache
import math
import sys
from collections.abc import Callable
from importlib import import_module
from math import acos
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import scipy.sparse.linalg

import reversead
import shared
from shared.core.callers import OFFERED

GENERATOR = np.random.default_rng(0)


def message(f: Callable[[Any], Any], x: Any = 0.5) -> str:
    with pytest.raises(shared.TracerConversionError) as caught:
        reversead.grad(f)(x)
    return str(caught.value)


@pytest.mark.parametrize(
    ("f", "called", "remedy"),
    [
        (lambda x: math.sin(x), "math.sin asked for a plain float", "Write np.sin "),
        (lambda x: 2.0 * acos(x) + 1.0, "acos asked", "Write np.arccos "),
        (lambda x: math.pow(x, 2.0), "math.pow asked", "Write np.power "),
        (lambda x: math.gamma(x), "math.gamma asked", "with those"),
        (lambda x: np.random.normal(x), "np.random.normal asked", "mean + deviation"),
        (lambda x: GENERATOR.normal(scale=x), "GENERATOR.normal asked", "mean + deviation"),
        (lambda x: sum([1.0, math.cos(
            x
        )]), "math.cos asked", "Write np.cos "),
    ],
    ids=["math", "imported from math", "another name", "no such function", "np.random", "a generator", "lines"],
)  # fmt: skip
def test_the_call_is_named_with_its_remedy(f: Callable[[Any], Any], called: str, remedy: str) -> None:
    found = message(f)
    assert found.startswith(called) and remedy in found and __file__ in found


@pytest.mark.parametrize("f", [lambda x: float(x), lambda x: np.array([x, x]), lambda x: int(x), lambda x: [1, 2][x]])
def test_what_is_no_other_packages_is_told_as_before(f: Callable[[Any], Any]) -> None:
    assert "was asked of a value that is being differentiated" in message(f)


def test_scipy_and_its_sparse_matrices_are_told_apart() -> None:
    sparse = pytest.importorskip("scipy.sparse")
    interpolate = pytest.importorskip("scipy.interpolate")
    matrix = sparse.csr_array(np.eye(2))
    for f in (lambda x: np.sum(matrix.multiply(x)), lambda x: np.sum(matrix * x), lambda x: sparse.eye_array(2) * x):
        found = message(f, np.ones(2))
        assert "A.toarray()" in found and __file__ in found
    found = message(lambda x: interpolate.interp1d([0.0, 1.0], [0.0, 1.0])(x))
    assert "SciPy computes it" in found and "shared.custom_derivative" in found


OURS = {name: import_module(f"shared.{name}") for name in OFFERED}


def test_what_is_said_to_be_offered_is_there() -> None:
    assert {name: set(module.__all__) for name, module in OURS.items()} == {
        k: set(v.split()) for k, v in OFFERED.items()
    }


#: Not called here: a sparse matrix takes no traced nonzeros to begin with; SciPy's `circulant` asks for strides, which
#: is another error, and its `solve_circulant` is NumPy code that has its derivatives as it stands.
OTHERWISE = ("factorized", "splu", "circulant", "solve_circulant")
CALLED = [f"{module}.{name}" for module, names in OFFERED.items() for name in names.split() if name not in OTHERWISE]


@pytest.mark.parametrize("name", CALLED)
def test_the_error_at_a_function_of_scipys_names_the_one_with_derivatives(name: str, tmp_path: Any) -> None:
    module, _, function = name.rpartition(".")
    first = {"cho_solve": "(x, False)", "lu_solve": "(x, [0, 1])"}.get(function, "x")
    first = f"csc_array([[1.0, 0.0], [0.0, 1.0]]), {first}" if function == "spsolve" else first
    path = tmp_path / "program.py"
    path.write_text(
        f"from scipy.sparse import csc_array\nimport {module} as module\n\ndef f(x):\n"
        f"    return module.{function}({_arguments(function, first)})\n",
        encoding="utf-8",
    )
    code: dict[str, Any] = {}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), code)
    linecache.checkcache(str(path))
    with pytest.raises(shared.TracerConversionError, match=f"Call shared.{name} in place of it"):
        reversead.vjp(code["f"], np.eye(2) * 2.0)


def _arguments(function: str, first: str) -> str:
    """Plain arguments after the first one, which is traced."""
    if function == "solve_banded":
        return f"(0, 1), {first}, [1.0, 1.0]"
    if function == "lfilter":
        return f"[1.0], [1.0], {first}"
    more = {"solve_sylvester": ", [[1.0]], [[1.0], [1.0]]", "khatri_rao": f", {first}", "expm_frechet": f", {first}"}
    binary = ("solve", "lstsq", "lyapunov", "triangular", "toeplitz", "convolve", "correlate", "circulant")
    takes_two = function not in ("toeplitz", "circulant", "spsolve") and any(part in function for part in binary)
    return first + more.get(function, ", [[1.0, 2.0], [3.0, 4.0]]" if takes_two else "")


def test_factors_of_scipys_name_those_with_derivatives() -> None:
    factors = scipy.sparse.linalg.splu(scipy.sparse.csc_array(np.eye(2)))
    for f in (
        lambda x: factors.solve(x),
        lambda x: scipy.sparse.linalg.splu(scipy.sparse.eye_array(2).tocsc()).solve(x),
    ):
        assert "Call shared.scipy.sparse.linalg.splu(A).solve in place of it" in message(f, np.ones(2))


def test_a_line_of_an_installed_package_is_not_blamed(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site-packages"
    folder.mkdir()
    (folder / "between.py").write_text("def kept(x):\n    return float(x)\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(folder))
    import between  # type: ignore[import-not-found]

    assert isinstance(between, ModuleType)
    found = message(lambda x: between.kept(x))
    assert __file__ in found and "between.py" not in found
    del sys.modules["between"]


def test_a_name_in_the_call_is_one_line_of_text() -> None:
    scope: dict[str, Any] = {"math": math}
    # Source that cannot be read any more: nothing is named, and the error is told all the same.
    exec(compile("def f(x):\n    return math.sin(x)\n", "gone.py", "exec"), scope)
    assert "was asked of a value" in message(scope["f"])


# --- plain arrays -----------------------------------------------------------------------------------------------------

TABLE = np.arange(10.0)
WORK = np.zeros(3)
LARGE = np.ones(5000)


def refused(ad: Any, f: Callable[[Any], Any], x: Any, error: type[Exception] = shared.DifferentiationError) -> str:
    """What a refusal says; where it is the cause of an error of NumPy's, what that says, and its notes."""
    with pytest.raises((error, ValueError)) as caught:
        ad.grad(f)(x)
    found = caught.value
    if not isinstance(found, error):
        assert isinstance(found.__cause__, error)
        found = found.__cause__
    assert __file__ in str(found)
    return str(found)


def test_an_element_of_a_plain_array_takes_no_traced_value(ad: Any) -> None:
    def stiffness(x: Any) -> Any:
        K = np.zeros((3, 3))
        K[0, 1] += x[0]
        return np.sum(K)

    def rows(x: Any) -> Any:
        K = np.zeros((3, 3))
        K[0] += x
        return np.sum(K)

    def assigned(x: Any) -> Any:
        K = np.zeros((3, 3))
        K[0, 1] = x[0]
        return np.sum(K)

    for f, written in ((stiffness, "K[0, 1] = ..."), (rows, "K[0] += ..."), (assigned, "K[0, 1] = ...")):
        found = refused(ad, f, np.ones(3))
        assert found.startswith(written) and "K = np.zeros_like(x, shape=K.shape)" in found

    def advised(x: Any) -> Any:
        K = np.zeros((3, 3))
        K = np.zeros_like(x, shape=K.shape)
        K[0, 1] += x[0]
        K[0] += x
        K[2, 2] = x[0]
        return np.sum(K)

    assert ad.grad(advised)(np.ones(3)).tolist() == [3, 1, 1]


def test_a_work_buffer_that_is_used_again(ad: Any) -> None:
    def in_place(x: Any) -> Any:
        work = WORK
        work += x
        return np.sum(work)

    def filled(x: Any) -> Any:
        WORK[:] = 2.0 * x
        return np.sum(WORK)

    assert "work = work + ... makes a new one" in refused(ad, in_place, np.ones(3))
    assert "a work buffer that is used again" in refused(ad, lambda x: np.sum(np.exp(x, out=WORK)), np.ones(3))
    assert "WORK[:] = ... asked for" in refused(ad, filled, np.ones(3))
    assert WORK.tolist() == [0, 0, 0]


def test_a_plain_array_at_a_traced_index(ad: Any) -> None:
    found = refused(ad, lambda x: TABLE[x] * x, 2.0)
    assert found.startswith("TABLE[x] asked for") and "np.interp(x, grid, TABLE)" in found
    assert ad.grad(lambda x: TABLE[int(shared.stop_gradient(x))] * x)(2.0) == 2.0
    assert ad.grad(lambda x: np.sum(TABLE[np.argsort(x)] * x))(np.array([3.0, 1.0, 2.0])).tolist() == [1, 2, 0]


def test_running_statistics_keep_no_traced_value(ad: Any) -> None:
    kept: dict[str, Any] = {"mean": 0.0}

    def centred(x: Any) -> Any:
        kept["mean"] = 0.9 * kept["mean"] + 0.1 * np.mean(x)
        return np.sum((x - kept["mean"]) ** 2)

    ad.grad(centred)(np.ones(2))
    assert "stop_gradient(x), as of running statistics" in refused(ad, centred, np.ones(2))

    def advised(x: Any) -> Any:
        kept["mean"] = shared.stop_gradient(0.9 * kept["mean"] + 0.1 * np.mean(x))
        return np.sum((x - kept["mean"]) ** 2)

    kept["mean"] = 0.0
    for _ in range(2):
        ad.grad(advised)(np.ones(2))
    assert kept["mean"] == pytest.approx(0.19)


def test_a_cached_function_of_a_traced_value(ad: Any) -> None:
    @functools.lru_cache
    def kernel(scale: float) -> Any:
        return np.exp(-scale)

    found = refused(ad, lambda x: kernel(x) * x, 2.0, shared.TracerConversionError)
    assert "unhashable" in found and "f.__wrapped__(x)" in found
    assert ad.grad(lambda x: kernel.__wrapped__(x))(0.0) == -1.0


def test_a_point_in_place_of_argnums(ad: Any) -> None:
    for transform in (ad.grad, ad.value_and_grad, ad.jacobian, ad.hessian, ad.derivative, ad.elementwise_grad):
        for point in (np.ones(2), 2.0, [1.0, 2.0], np.float64(1.0)):
            with pytest.raises(TypeError, match=r"at a point x it is \w+\(f\)\(x\)") as caught:
                transform(np.sum, point)
            assert __file__ in str(caught.value)
    assert ad.grad(lambda x, y: x * y, np.array([0, 1]))(2.0, 3.0) == (3.0, 2.0)


def test_who_locked_an_array_that_is_written_to() -> None:
    def f(x: Any) -> Any:
        y = np.sum(x * LARGE)
        LARGE[0] = 3.0
        return y

    def g(x: Any) -> Any:
        y = np.sum(x * LARGE)
        np.multiply(LARGE, 2.0, out=LARGE)
        return y

    for function in (f, g):
        with pytest.raises(ValueError, match="read-only") as caught:
            reversead.grad(function)(np.ones(5000))
        (note,) = caught.value.__notes__
        assert note.startswith("LARGE is read-only") and "(grad)" in note and __file__ in note
    own = np.ones(3)
    own.flags.writeable = False

    def not_ours(x: Any) -> Any:
        own[0] = 1.0
        return x

    with pytest.raises(ValueError, match="read-only") as caught:
        reversead.grad(not_ours)(1.0)
    assert not hasattr(caught.value, "__notes__")
