"""Which call took a traced value for a plain one: it is named as the user wrote it, with the remedy that fits it."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from math import acos
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import reversead
import shared

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
    for f in (lambda x: np.sum(matrix @ x), lambda x: np.sum(matrix.dot(x)), lambda x: np.sum(sparse.eye_array(2) @ x)):
        found = message(f, np.ones(2))
        assert "A.toarray()" in found and __file__ in found
    found = message(lambda x: interpolate.interp1d([0.0, 1.0], [0.0, 1.0])(x))
    assert "SciPy computes it" in found and "shared.custom_derivative" in found


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
