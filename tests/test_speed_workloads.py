"""The hand-written derivatives of the speed table are right, and the engines give the same.

Otherwise the ratios of the table would mean nothing. Knows nothing of time: no test here reads a clock.
"""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from benchmarks import speed
from benchmarks.handwritten import OPERATIONS_A_ROUND, WORKLOADS, Workload, chain
from shared.tree import flatten, unflatten

each_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
each_engine = pytest.mark.parametrize("engine", [dualad, reversead], ids=["dualad", "reversead"])


def central_difference(workload: Workload, direction: list[Any], step: float = 1e-5) -> Any:
    """Differentiate along one direction, given as leaves of the first argument, to an error of O(step^2)."""
    problem = workload.test_problem()
    leaves, structure = flatten(problem.arguments[0])

    def moved(distance: float) -> Any:
        shifted = [leaf + distance * along for leaf, along in zip(leaves, direction, strict=True)]
        return problem.function(unflatten(structure, shifted))

    return (moved(step) - moved(-step)) / (2.0 * step)


def directions(workload: Workload) -> list[list[Any]]:
    """Every coordinate direction of the first argument, as leaves."""
    leaves = flatten(workload.test_problem().arguments[0])[0]
    found = []
    for position, leaf in enumerate(leaves):
        for index in np.ndindex(np.shape(leaf)):
            direction = [np.zeros(np.shape(other)) for other in leaves]
            direction[position][index] = 1.0
            found.append(direction)
    return found


@each_workload
def test_the_derivative_by_hand_equals_finite_differences(workload: Workload) -> None:
    problem = workload.test_problem()
    value, derivative = problem.by_hand(*problem.arguments)
    np.testing.assert_allclose(value, problem.function(problem.arguments[0]), rtol=1e-12)
    if workload.transform == "jvp":
        expected = central_difference(workload, [problem.arguments[1]])
        np.testing.assert_allclose(derivative, expected, rtol=1e-7, atol=1e-8)
        return
    by_hand = np.concatenate([np.ravel(leaf) for leaf in flatten(derivative)[0]])
    expected = np.array([central_difference(workload, direction) for direction in directions(workload)])
    np.testing.assert_allclose(by_hand, expected, rtol=1e-7, atol=1e-8 * np.abs(expected).max())


@each_engine
@each_workload
def test_both_engines_give_the_derivative_by_hand(workload: Workload, engine: Any) -> None:
    problem = workload.test_problem()
    expected = problem.by_hand(*problem.arguments)
    if workload.transform == "jvp":
        primal, tangent = problem.arguments
        found = engine.jvp(problem.function, (primal,), (tangent,))
    else:
        found = engine.value_and_grad(problem.function)(*problem.arguments)
    expected_leaves, found_leaves = flatten(expected)[0], flatten(found)[0]
    for got, wanted in zip(found_leaves, expected_leaves, strict=True):
        assert np.shape(got) == np.shape(wanted)
        np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-13)


def test_a_round_of_the_chain_makes_the_operations_it_claims() -> None:
    class Counted(float):
        made = 0

        def counted(self, *_: Any, **__: Any) -> "Counted":
            Counted.made += 1
            return self

        __add__ = __sub__ = __mul__ = __array_ufunc__ = counted

    chain(Counted(0.7), 1.1, 3)
    assert Counted.made == 3 * OPERATIONS_A_ROUND


def test_workloads_have_different_names() -> None:
    assert len({workload.name for workload in WORKLOADS}) == len(WORKLOADS)


@each_workload
def test_a_small_version_of_each_workload_can_be_measured(workload: Workload) -> None:
    small = Workload(
        workload.name,
        workload.make,
        workload.test_size,
        workload.test_size,
        workload.target,
        workload.operation_target,
        workload.transform,
        workload.quantity,
    )
    found = speed.measure(small, repeat=1)
    assert found.by_hand > 0.0 and found.engine > 0.0
    assert len(speed.row(found)) == len(speed.COLUMNS)


def test_a_wrong_answer_is_not_measured() -> None:
    with pytest.raises(ArithmeticError, match="disagree"):
        speed.check_agreement(WORKLOADS[0], (1.0, np.ones(3)), (1.0, np.array([1.0, 1.0, 1.1])))


def test_the_command_prints_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--only", "rosenbrock, N = 100", "--only", "Helmholtz, n = 100", "--repeat", "1"]
    assert speed.main([*chosen, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert [found["name"] for found in figures] == ["Rosenbrock, n = 100,000", "Helmholtz, n = 100"]
    assert all(found["ratio"] == found["engine"] / found["by_hand"] for found in figures)
    assert speed.main(chosen) == 0
    table = capsys.readouterr().out
    assert "Rosenbrock, n = 100,000" in table and "Helmholtz, n = 100" in table and "<= 5" in table


@pytest.mark.parametrize("wrong", [["--repeat", "0"], ["--repeat", "x"], ["--only", "no such"], ["--fast"]])
def test_a_bad_option_is_told_in_one_line(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        speed.main(wrong)
    assert stopped.value.code == 2
    complaint = capsys.readouterr().err
    assert complaint.count("\n") == 1 and wrong[-1] in complaint


def test_the_command_runs_as_a_module() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "benchmarks.speed", "--help"], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    for option in ("--only", "--repeat", "--json"):
        assert option in finished.stdout
