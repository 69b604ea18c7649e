"""The hand-written derivatives of the speed table are right, and the engines give the same.

Otherwise the ratios of the table would mean nothing. Knows nothing of time: no test here reads a clock.
"""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmarks import speed, speed_table
from benchmarks.handwritten import OPERATIONS_A_ROUND, Problem, chain
from benchmarks.handwritten_matrices import logistic_hessian, logistic_hessian_product, perceptron_hessian_product
from benchmarks.speed_table import WORKLOADS, Workload
from shared.calling.tree import flatten, unflatten

each_workload = pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)

#: One row for each problem, whatever the ways in which the table differentiates it.
PROBLEMS = {(workload.make, workload.test_size): workload for workload in WORKLOADS}
each_problem = pytest.mark.parametrize("workload", PROBLEMS.values(), ids=lambda workload: workload.name)

#: The ways that take the engine's derivative along one direction, the problem's second argument.
ALONG_ONE_DIRECTION = {
    "dualad.jvp",
    *speed_table.HESSIAN_PRODUCTS,
    "compile(reversead.hvp)",
    "compile(dualad.jvp(reversead.grad))",
}

#: The ways whose answer is a value and a derivative, and not a derivative alone.
WITH_VALUE = {
    "reversead.value_and_grad",
    "dualad.value_and_grad",
    "dualad.jvp",
    "compile(reversead.value_and_grad)",
    "compile(reversead.value_and_grad), C",
}


def numbers(tree: Any) -> np.ndarray:
    """All numbers of a tree of arrays."""
    return np.concatenate([np.ravel(leaf) for leaf in flatten(tree)[0]])


def differentiated(problem: Problem, first: Any) -> np.ndarray:
    """What the derivative by hand is the first derivative of: the function, or a gradient by hand."""
    if problem.gradient is not None:
        return numbers(problem.gradient(first))
    _, *rest = problem.arguments
    if len(rest) == 2:
        # One value an example.
        return np.array([problem.function(first, *example) for example in zip(*rest, strict=True)])
    return np.ravel(problem.function(first))


def central_difference(problem: Problem, direction: list[Any], step: float = 1e-5) -> np.ndarray:
    """Differentiate along one direction, given as leaves of the first argument, to an error of O(step^2)."""
    leaves, structure = flatten(problem.arguments[0])

    def moved(distance: float) -> np.ndarray:
        shifted = [leaf + distance * along for leaf, along in zip(leaves, direction, strict=True)]
        return differentiated(problem, unflatten(structure, shifted))

    return (moved(step) - moved(-step)) / (2.0 * step)


def directions(problem: Problem) -> list[list[Any]]:
    """Every coordinate direction of the first argument, as leaves."""
    leaves = flatten(problem.arguments[0])[0]
    found = []
    for position, leaf in enumerate(leaves):
        for index in np.ndindex(np.shape(leaf)):
            direction = [np.zeros(np.shape(other)) for other in leaves]
            direction[position][index] = 1.0
            found.append(direction)
    return found


@each_problem
def test_the_derivative_by_hand_equals_finite_differences(workload: Workload) -> None:
    problem = workload.test_problem()
    derivative = problem.by_hand(*problem.arguments)
    if workload.way in WITH_VALUE:
        value, derivative = derivative
        np.testing.assert_allclose(value, problem.function(problem.arguments[0]), rtol=1e-12)
    if workload.way in ALONG_ONE_DIRECTION:
        found, expected = numbers(derivative), central_difference(problem, flatten(problem.arguments[1])[0])
    else:
        # A row for each number that was differentiated, a column for each direction.
        rows = differentiated(problem, problem.arguments[0]).size
        found = np.concatenate([np.reshape(leaf, (rows, -1)) for leaf in flatten(derivative)[0]], axis=1)
        expected = np.stack([central_difference(problem, direction) for direction in directions(problem)], axis=1)
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8 * np.abs(expected).max())


@pytest.mark.parametrize("make", [logistic_hessian, logistic_hessian_product, perceptron_hessian_product])
def test_the_gradient_of_a_second_derivative_by_hand_equals_finite_differences(make: Callable[..., Problem]) -> None:
    problem = next(workload for workload in WORKLOADS if workload.make is make).test_problem()
    assert problem.gradient is not None
    found = numbers(problem.gradient(problem.arguments[0]))
    first = Problem(problem.function, problem.arguments, problem.by_hand)
    expected = np.concatenate([central_difference(first, direction) for direction in directions(problem)])
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-8 * np.abs(expected).max())


@each_workload
def test_each_way_gives_the_derivative_by_hand(workload: Workload) -> None:
    problem = workload.test_problem()
    expected = problem.by_hand(*problem.arguments)
    # What dualad calls the same gives the same, though it need not be a row of the table.
    for way in {workload.way, workload.way.replace("reversead", "dualad")} & speed.WAYS.keys():
        found = speed.call_of(way, problem)()
        expected_leaves, found_leaves = flatten(expected)[0], flatten(found)[0]
        for got, wanted in zip(found_leaves, expected_leaves, strict=True):
            assert np.shape(got) == np.shape(wanted), way
            np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-13, err_msg=way)


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


def test_a_workload_without_a_target_neither_reaches_nor_misses_it() -> None:
    (without,) = [each for each in WORKLOADS if each.name.endswith("reversead.hessian")]
    found = speed.Measurement(without.name, "time", without.reference, 1.0, 3.0, None, without.target, None)
    assert found.reached is None and speed.row(found)[-1] == ""
    assert dataclasses.replace(found, target=2.0).reached is False
    assert dataclasses.replace(found, target=3.0).reached is True


@each_workload
def test_a_small_version_of_each_workload_can_be_measured(workload: Workload) -> None:
    small = dataclasses.replace(workload, size=workload.test_size)
    found = speed.measure(small, repeat=1)
    assert found.reference_figure > 0.0 and found.engine > 0.0
    assert len(speed.row(found)) == len(speed.COLUMNS)


def test_a_wrong_answer_is_not_measured() -> None:
    with pytest.raises(ArithmeticError, match="disagree"):
        speed.check_agreement(WORKLOADS[0], (1.0, np.ones(3)), (1.0, np.array([1.0, 1.0, 1.1])))


def test_the_command_prints_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = ["--only", "jvp THROUGH 1000", "--only", "Rosenbrock, n = 100: ", "--repeat", "1"]
    assert speed.main([*chosen, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert [found["name"] for found in figures] == [
        "jvp through 1000 operations, length 10",
        "Rosenbrock, n = 100: dualad.value_and_grad",
    ]
    assert all(found["ratio"] == found["engine"] / found["reference_figure"] for found in figures)
    assert speed.main(chosen) == 0
    table = capsys.readouterr().out
    assert "jvp through 1000" in table and "Rosenbrock, n = 100: dualad" in table and "<= 2.5" in table


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
