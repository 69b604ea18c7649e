"""The advice on modes: what is predicted from counts and fixed constants, and the sentence that says why.

No clock is asked: the constants of the machine are given.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from benchmarks import advice as grid
from shared import advise, cost, trace
from shared.comparison.advice import LONGEST_RECORD, Advice, candidates, colouring, hessian_colouring, predict
from shared.comparison.calibration import MODES, Machine, machine
from shared.comparison.point import Point
from shared.comparison.unit_seeds import saved
from shared.comparison.ways import mixture
from shared.sparse.sparsity import jacobian_pattern

ENGINES: Any = (dualad, reversead)

#: a machine of round numbers
CONSTANTS = Machine(
    call=dict(zip(MODES, (8e-7, 9e-7, 1.3e-6, 1.4e-6), strict=True)),
    index=dict(zip(MODES, (8e-7, 1e-6, 1e-6, 3e-6), strict=True)),
    start=dict.fromkeys(MODES, 2e-5),
    byte=2e-11, far=1.5e-10, elementary=3.5e-9, product=2e-11, sparse=1e-4, entry=3e-8,
)  # fmt: skip


def advised(f: Callable[..., Any], *args: Any) -> Advice:
    point = Point("advise", f, args, None, ENGINES)
    return predict(point, colouring(point), CONSTANTS)


def chain(x: Any) -> Any:
    for _ in range(5):
        x = np.sin(x) * x
    return x


def curve(t: Any) -> Any:
    line = np.linspace(0.0, 1.0, 40_000)
    return t[0] + sum(t[k] * np.sin(k * line) for k in range(1, 12))


def apart(a: Any, w: Any) -> Any:
    line = np.linspace(0.0, 1.0, 60_000)
    for _ in range(5):
        line = np.sin(line * a[0] + a[1])
    return np.sum(line.reshape(60, 1000), axis=1) + np.sum(w.reshape(60, -1), axis=1) ** 2


@pytest.mark.parametrize(
    ("f", "args", "predicted", "reason"),
    [
        (lambda x: np.sum(chain(x)), (np.ones(500),), "reverse", r"500 inputs, 1 output: reverse, \d+ times cheaper"),
        (curve, (np.ones(12),), "forward, batched", r"12 inputs, 40,000 outputs: forward, [\d,]+ times cheaper than"),
        (
            lambda x: np.tanh(np.ones((3, 400)) @ chain(x)), (np.ones(400),), "reverse, batched",
            r"400 inputs, 3 outputs: reverse, [\d.]+ times cheaper than forward$",
        ),
        (
            chain, (np.ones(2000),), "sparse, forward",
            r"2,000 inputs, 2,000 outputs: forward and reverse are alike, .*; the pattern needs 1 direction: sparse "
            r"forward, [\d,]+ times cheaper still$",
        ),
        (
            chain, (np.ones(4),), "forward, batched",
            r"4 inputs, 4 outputs: forward and reverse are alike, forward ahead by \d+%; the pattern needs 1 product, "
            "which so few numbers do not repay$",
        ),
        (
            apart, (np.ones(2), np.ones(180)), "mixed",
            r"182 inputs, 60 outputs: .*; a \(2 numbers\) forwards and w \(180 numbers\) in reverse: mixed, [\d.]+ "
            "times cheaper still$",
        ),
    ],
    ids=["gradient", "tall", "wide", "diagonal", "small", "mixed"],
)  # fmt: skip
def test_the_way_that_counts_predict_and_why(f: Any, args: Any, predicted: str, reason: str) -> None:
    found = advised(f, *args)
    assert found.predicted == predicted == min(found.seconds, key=lambda name: found.seconds[name])
    assert re.match(reason, found.reason), found.reason


def test_a_prediction_is_calls_and_arithmetic_of_the_record() -> None:
    def f(x: Any) -> Any:
        return np.sum(np.sin(x) * np.cos(x))

    x = np.ones(10)
    found = cost(trace(reversead.grad(f), x))
    seconds = CONSTANTS.start["reverse"] + found.total.calls * CONSTANTS.call["reverse"] + CONSTANTS.arithmetic(found)
    assert advised(f, x).seconds["reverse"] == pytest.approx(seconds)


def test_what_is_too_long_to_record_is_told_from_one_product() -> None:
    point = Point("advise", chain, (np.ones(3000),), None, ENGINES)
    found = predict(point, None, CONSTANTS)
    assert min(found.seconds.values()) > LONGEST_RECORD
    twice = predict(Point("advise", chain, (np.ones(6000),), None, ENGINES), None, CONSTANTS)
    for name, seconds in found.seconds.items():
        assert 3.5 < twice.seconds[name] / seconds < 5.0


def test_unit_seeds_save_their_first_operations_and_no_more() -> None:
    W = np.ones((50, 40))
    x, y = np.ones(40), np.ones((40, 2))

    def saving(f: Any, *args: Any, backwards: bool = False, products: int = 40) -> float:
        return saved(trace(f, *args), backwards, products, CONSTANTS)

    assert saving(lambda x: W @ x, x) == pytest.approx(CONSTANTS.product * 2 * W.size * 40)
    once = saving(np.sin, x)
    assert once > 0
    assert saving(lambda x: np.sin(np.sin(x)), x) == pytest.approx(2 * once)
    assert saving(lambda x: np.sin(x * (1.0 + np.sum(x))), x) == pytest.approx(once)
    # A sum hands the seeds on as they are, and saves nothing; a difference and a quotient fill them in.
    assert saving(lambda x: np.sin(x + 1.0), x) == pytest.approx(once)
    assert saving(lambda x: np.sin(1.0 - x), x) == 0.0
    assert saving(lambda x: np.sin(x / 2.0), x) == 0.0
    assert saving(lambda x: np.sin(np.sum(x) * x), x, backwards=True) == pytest.approx(2 * once)
    assert saving(lambda x: W @ np.flip(x), x) == saving(np.sin, x, products=1) == saving(np.add, x, x) == 0.0
    assert saving(lambda x: W @ x, y, products=80) > 0


def test_the_ways_advice_chooses_among_are_run_as_they_are_named() -> None:
    point = Point("advise", apart, (np.ones(2), np.ones(180)), None, ENGINES)
    assert mixture(point) == ((0,), (1,))
    sparse = colouring(point)
    matrices = [way.flat(way.program(*point.args)) for way in candidates(point, sparse)]
    assert len(matrices) == len(advised(apart, *point.args).seconds) >= 3
    for matrix in matrices[1:]:
        np.testing.assert_allclose(matrix, matrices[0], rtol=1e-10, atol=1e-12)


def test_a_pattern_is_looked_for_unless_it_is_dense(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Any] = []

    def watched(*args: Any, **options: Any) -> Any:
        looked.append(args[0])
        return jacobian_pattern(*args, **options)

    monkeypatch.setattr("shared.comparison.advice.jacobian_pattern", watched)
    W = np.full((30, 30), 0.01)
    for f, sparse in ((lambda x: np.tanh(W @ x), False), (lambda x: x * x[0], True), (np.square, True)):
        looked.clear()
        found = colouring(Point("advise", f, (np.ones(30),), None, ENGINES))
        assert bool(looked) is (found is not None) is sparse
    for g, sparse in ((lambda x: np.sum(W @ x) ** 2, False), (lambda x: np.sum(x**3), True)):
        looked.clear()
        second = hessian_colouring(Point("compare", g, (np.ones(30),), None, ENGINES))
        assert bool(looked) is (second is not None) is sparse


def test_a_sparse_matrix_that_is_constant_is_no_hindrance() -> None:
    found = advised(lambda x: x[1:] - x[:-1], np.ones(50))
    assert any("sparse" in name for name in found.seconds)


def test_advice_beside_what_was_measured() -> None:
    advice = Advice(
        "Jacobian", "forward, batched", {"forward, batched": 1.0, "reverse, batched": 2.0}, "counts: forward"
    )
    assert str(advice) == "Counts: forward."
    right = advice.beside({"forward, batched": 1.0, "reverse, batched": 3.0})
    assert right.apart == 1.0 and str(right) == "Counts: forward. Measured: forward is the fastest."
    wrong = advice.beside({"forward, batched": 3.0, "reverse, batched": 2.0, "differences": 1.0})
    assert wrong.measured == "reverse, batched" and wrong.apart == 1.5
    assert str(wrong).endswith("Measured: reverse is the fastest, 1.50 times faster than predicted.")
    assert advice.beside({"reverse, batched": 1.0}) is advice


def test_advise_measures_the_machine_and_no_derivative() -> None:
    found = advise(lambda x: np.sum(chain(x)), np.ones(300), engines=ENGINES)
    assert found.predicted == "reverse" and found.measured is None
    constants = machine(*ENGINES)
    assert constants is machine(*ENGINES)
    for seconds in (*constants.call.values(), *constants.index.values(), constants.byte, constants.far):
        assert 0 < seconds < 1e-3
    assert set(constants.to_dict()) >= {"byte", "far", "product", "sparse"}


# --- the grid ---------------------------------------------------------------------------------------------------------


def test_the_grid_varies_what_it_says() -> None:
    cases = list(grid.grid())
    assert len(cases) >= 60
    sizes = [sum(np.size(arg) for arg in case.args) for case in cases]
    assert min(sizes) <= 2 and max(sizes) >= 1_000
    assert [case.name for case in grid.drawn(20, seed=3)] == [case.name for case in grid.drawn(20, seed=3)]


def test_a_run_of_the_grid_prints_its_table(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    path = tmp_path / "grid.json"
    assert grid.main(["log of a sum", "--rounds", "1", "--milliseconds", "1", "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "log of a sum" in printed and re.search(r"\d of 1 \(\d+%\) are the fastest", printed)
    assert '"predicted": "reverse"' in path.read_text()
    with pytest.raises(SystemExit) as stopped:
        grid.main(["no such function"])
    assert stopped.value.code == 2
    assert "no function of the grid has 'no such function' in its name" in capsys.readouterr().err
