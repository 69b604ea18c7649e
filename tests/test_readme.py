"""The README's examples run, and say what is true."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import dualad
import reversead
from shared.core.registry import REGISTRY

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def test_the_whole_api_fits_in_25_lines():
    assert len(EXAMPLES[0].strip().splitlines()) < 25
    assert len(EXAMPLES[1].strip().splitlines()) < 25
    for name in set(reversead.__all__) & set(dualad.__all__) - {"stop_gradient"}:
        assert f"ad.{name}(" in EXAMPLES[0] + EXAMPLES[1], name


@pytest.mark.parametrize("number", range(5))
def test_every_example_prints_what_it_says(number, capsys):
    known, scope = set(REGISTRY), {}
    exec(EXAMPLES[number], scope)
    for function in set(REGISTRY) - known:
        del REGISTRY[function]
    assert capsys.readouterr().out.splitlines() == re.findall("# prints: (.*)", EXAMPLES[number])
    if "compare" in EXAMPLES[number]:
        assert str(scope["advice"]).startswith("61 inputs, 60 outputs: forward")
        assert scope["kept"].steps == 20


def test_the_second_example_prints_what_it_says(ad, capsys):
    scope: dict = {}
    exec(EXAMPLES[1].replace("import reversead as ad", f"import {ad.__name__} as ad"), scope)
    assert capsys.readouterr().out.splitlines() == re.findall("# prints: (.*)", EXAMPLES[1])
    for k, x in enumerate((scope["x"], scope["x"] + 1.0)):
        np.testing.assert_allclose(scope["rows"][k], reversead.grad(scope["energy"])(x), rtol=1e-12)
    np.testing.assert_allclose(scope["H"].toarray(), reversead.hessian(scope["energy"])(scope["x"]), atol=1e-10)
    np.testing.assert_array_equal(scope["J"].toarray(), np.diff(np.eye(50), axis=0))
    np.testing.assert_allclose(scope["deep"], 1 - np.tanh(scope["x"]) ** 2, rtol=1e-12)

    def plain(x):
        for _ in range(1000):
            x = x + 0.01 * np.sin(x)
        return np.sum(x)

    np.testing.assert_allclose(scope["last"], reversead.grad(plain)(scope["x"]), rtol=1e-10)


def test_the_api_example_gives_the_same_numbers_with_either_engine():
    results = {}
    for name in ("reversead", "dualad"):
        scope: dict = {}
        exec(EXAMPLES[0].replace("import reversead as ad", f"import {name} as ad"), scope)
        results[name] = scope
    for key in ("value", "tangent", "J", "H", "Hv"):
        np.testing.assert_allclose(results["dualad"][key], results["reversead"][key], rtol=1e-12)
    for key in ("in", "out"):
        np.testing.assert_allclose(
            results["dualad"]["gradient"][key], results["reversead"]["gradient"][key], rtol=1e-12
        )


def test_an_operation_declared_as_in_the_readme_works_in_both_engines(ad):
    scope: dict = {}
    exec(EXAMPLES[4], scope)
    softclip = scope["softclip"]
    try:
        assert ad.derivative(softclip)(1.0) == pytest.approx(2**-1.5)
        assert ad.derivative(ad.derivative(softclip))(1.0) == pytest.approx(-3 * 2**-2.5)
    finally:
        del REGISTRY[softclip.function]


def test_the_example_of_recorded_programs_runs() -> None:
    scope: dict = {}
    exec(EXAMPLES[2], scope)
    assert scope["cost"].operations > 0 and "exp" in str(scope["program"]) and "digraph" in scope["drawing"].dot
    assert scope["theorem"].holds
    assert "[Graphviz]" in README and scope["drawing"].svg.startswith("<svg")
    np.testing.assert_allclose(scope["slopes"], scope["gradient"](*scope["point"]), rtol=1e-13)
