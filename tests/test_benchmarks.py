"""The benchmarks: workloads are what they say, costs are bounded as operation counts.

No clock is asked here. What is asserted about cost is counted, so it is the same on every machine.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import curves, digits, measure, page, picture, report, scaling, workloads
from shared.calling.tree import flatten

FORWARD_MODES = ("forward", "batched forward")


# --- workloads


@pytest.mark.parametrize("log2_inputs", range(*workloads.LOG2_INPUTS_RANGE))
def test_a_network_has_exactly_the_number_of_parameters_asked_for(log2_inputs: int) -> None:
    network = workloads.network(log2_inputs)
    assert network.inputs == 2**log2_inputs
    assert sum(leaf.size for leaf in flatten(network.argument)[0]) == 2**log2_inputs


def test_a_network_too_small_to_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="5 or more"):
        workloads.network(4)


@pytest.mark.parametrize("mode", workloads.MODES[2:])
def test_every_mode_takes_the_same_gradient(mode: str) -> None:
    network = workloads.network(6)
    (value, gradient), (other_value, other_gradient) = (workloads.task(network, m)() for m in ("reverse", mode))
    assert value == pytest.approx(other_value, rel=1e-14)
    # Differences lose half of the digits.
    relative, absolute = (1e-4, 1e-6) if mode == "finite differences" else (1e-11, 1e-14)
    for leaf, other in zip(flatten(gradient)[0], flatten(other_gradient)[0], strict=True):
        np.testing.assert_allclose(leaf, other, rtol=relative, atol=absolute)


def test_forward_mode_runs_the_function_once_a_direction_and_differences_once_more() -> None:
    runs = 0

    def counted(x: Any) -> Any:
        nonlocal runs
        runs += 1
        return np.sum(x * x)

    found = {}
    for mode in workloads.MODES:
        runs = 0
        workloads.task(workloads.Workload("counted", counted, np.ones(12), 12), mode)()
        found[mode] = runs
    assert found == {"function": 1, "reverse": 1, "forward": 12, "batched forward": 1, "finite differences": 13}


def test_the_chain_is_as_deep_as_it_says() -> None:
    x = np.linspace(0.5, 1.5, workloads.CHAIN_INPUTS)
    for _ in range(8):
        x = np.sin(x)
    assert workloads.task(workloads.chain(3), "function")() == np.sum(x)


# --- cost, as counts


@pytest.mark.parametrize("log2_inputs", workloads.LOG2_INPUTS)
def test_reverse_mode_costs_at_most_five_evaluations_whatever_the_number_of_inputs(log2_inputs: int) -> None:
    network = workloads.network(log2_inputs)
    evaluation = workloads.operations(network, "function")
    assert evaluation < workloads.operations(network, "reverse") <= 5 * evaluation


@pytest.mark.parametrize("log2_inputs", workloads.LOG2_INPUTS[:3])
def test_forward_mode_costs_at_most_four_evaluations_an_input_and_at_least_one(log2_inputs: int) -> None:
    network = workloads.network(log2_inputs)
    evaluation = workloads.operations(network, "function")
    passes = workloads.operations(network, "forward") / network.inputs
    assert evaluation < passes <= 4 * evaluation


@pytest.mark.parametrize("log2_inputs", workloads.LOG2_INPUTS[:5])
def test_batching_saves_a_constant_factor_of_the_operations_and_no_more(log2_inputs: int) -> None:
    network = workloads.network(log2_inputs)
    single, batched = (workloads.operations(network, mode) for mode in FORWARD_MODES)
    assert 0.25 < batched / single < 0.75


@pytest.mark.parametrize("mode", FORWARD_MODES)
def test_the_gap_to_reverse_mode_grows_as_the_number_of_inputs(mode: str) -> None:
    sizes = workloads.LOG2_INPUTS[:5]
    networks = [workloads.network(log2_inputs) for log2_inputs in sizes]
    gap = [workloads.operations(n, mode) / workloads.operations(n, "reverse") for n in networks]
    assert curves.exponent([network.inputs for network in networks], gap) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("mode", workloads.MODES)
def test_operations_grow_as_the_depth(mode: str) -> None:
    shallow, deep = (workloads.operations(workloads.chain(log2_depth), mode) for log2_depth in (4, 8))
    assert deep / shallow == pytest.approx(16, rel=0.1)


def test_reverse_memory_grows_with_depth_and_forward_memory_does_not() -> None:
    inputs = 2**14
    array = 8 * inputs
    peak = {
        (mode, log2_depth): measure.peak_bytes(workloads.one_derivative(workloads.chain(log2_depth, inputs), mode))
        for mode in ("reverse", "forward")
        for log2_depth in (4, 6)
    }
    more_operations = 2**6 - 2**4
    grown = peak["reverse", 6] - peak["reverse", 4]
    # One array an operation, and at most one percent beside it for the tape's own lists.
    assert more_operations * array <= grown <= 1.05 * more_operations * array
    assert peak["forward", 6] - peak["forward", 4] < array / 2


def test_batched_forward_memory_does_not_grow_with_depth() -> None:
    inputs = 2**8
    shallow, deep = (
        measure.peak_bytes(workloads.task(workloads.chain(log2_depth, inputs), "batched forward"))
        for log2_depth in (4, 6)
    )
    # A batch of all directions is a matrix, of which a deeper chain holds no more at once.
    assert shallow >= 8 * inputs**2
    assert deep - shallow < 8 * inputs**2 / 2


# --- measuring


def test_peak_bytes_counts_what_one_call_holds_at_once() -> None:
    size = 10**6

    def two_at_once() -> None:
        first = np.ones(size)
        second = np.ones(size)
        del first, second
        np.ones(size)

    assert 16 * size <= measure.peak_bytes(two_at_once) < 17 * size


def test_interleaved_minimum_has_a_figure_for_every_task() -> None:
    calls = dict.fromkeys(("first", "second"), 0)

    def task(name: str) -> None:
        calls[name] += 1

    seconds = measure.interleaved_minimum(
        {name: lambda name=name: task(name) for name in calls}, rounds=2, seconds_each=1e-4
    )
    assert seconds.keys() == calls.keys()
    assert all(0 < value < np.inf for value in seconds.values())
    assert all(calls.values())


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_a_power_law_has_its_power_as_exponent(power: float) -> None:
    sizes = [64, 128, 4096]
    assert curves.exponent(sizes, [3.0 * size**power for size in sizes]) == pytest.approx(power, abs=1e-12)


def test_figures_are_written_with_the_unit_that_suits_them() -> None:
    assert [report.seconds_text(value) for value in (1.23e-5, 0.5, 12.0)] == ["12.3 µs", "500 ms", "12 s"]
    assert [report.count_text(value) for value in (12, 1234, 45_600_000)] == ["12", "1.23k", "45.6M"]
    assert [report.ratio_text(value) for value in (2.944, 12345.6)] == ["2.94", "12,346"]


def rows_of(modes: tuple[str, ...]) -> list[scaling.Row]:
    """Rows of three sizes, in which every mode has an exponent of its own."""
    powers = {"function": 0.5, "reverse": 0.75, "forward": 1.5, "batched forward": 1.25, "finite differences": 1.5}
    costs = [{mode: size ** powers[mode] for mode in modes} for size in (64, 128, 256)]
    counts = [{mode: round(1000 * cost[mode]) for mode in modes} for cost in costs]
    return [scaling.Row(n, cost, count) for n, cost, count in zip((64, 128, 256), costs, counts, strict=True)]


def test_both_tables_show_every_mode_beside_the_function() -> None:
    for table in (report.seconds_table, report.operations_table):
        shown = table(rows_of(workloads.MODES))
        assert [column.header for column in shown.columns] == [
            *("n", "f", "reverse", "/f", "forward", "/f", "batched\nforward", "/f", "finite\ndifferences", "/f")
        ]
        exponents = [list(column.cells)[-1] for column in shown.columns[1:]]
        assert exponents == ["0.50", "0.75", "0.25", "1.50", "1.00", "1.25", "0.75", "1.50", "1.00"]


def test_the_explanation_says_how_both_forward_modes_grow() -> None:
    told = report.explanation(rows_of(workloads.MODES))
    for figure in ("n^0.50 for f", "for forward by 1.00", "for batched forward by 0.75"):
        assert figure in told
    assert "batched" not in report.explanation(rows_of(("function", "reverse")))


def test_the_first_table_is_the_ratio_to_one_evaluation() -> None:
    shown = report.ratio_table(rows_of(("function", "reverse", "forward")))
    assert [list(column.cells) for column in shown.columns] == [
        ["64", "128", "256"],
        ["2.83", "3.36", "4"],
        ["64", "128", "256"],
    ]


@pytest.mark.parametrize("modes", [workloads.MODES, ("function", "reverse")], ids=["every mode", "no forward mode"])
def test_the_picture_leads_with_the_ratio_and_names_each_mode_at_its_curve(
    modes: tuple[str, ...], tmp_path: Path
) -> None:
    from matplotlib import rc_context

    # Letters stay letters, and are not drawn.
    with rc_context({"svg.fonttype": "none"}):
        picture.figure_of_rows(rows_of(modes), "made up").savefig(tmp_path / "cost.svg")
    drawn = (tmp_path / "cost.svg").read_text()
    labels = re.findall("<text[^>]*>([^<]*: [^<]*)</text>", drawn)
    exponents = {"function": 0.5, "reverse": 0.75, "forward": 1.5, "batched forward": 1.25, "finite differences": 1.5}
    ratios = {
        "function": "f alone: 1",
        "reverse": "reverse: 4.00",
        "forward": "forward, one by one: 1 n",
        "batched forward": "forward, batched: 0.25 n",
        "finite differences": "finite differences: n + 1",
    }
    powers = [f"{picture.STYLES[mode].label}: n^{exponents[mode]:.2f}" for mode in modes]
    assert labels == [ratios[mode] for mode in modes] + powers + powers


def test_the_claim_speaks_of_what_was_measured() -> None:
    assert picture.sentence(rows_of(workloads.MODES)) == (
        "Value and gradient cost 2.8 to 4.0 evaluations in reverse mode, whatever the number n of inputs, "
        "evaluations in proportion to n in forward mode, n + 1 by finite differences"
    )
    assert "forward" not in picture.sentence(rows_of(("function", "reverse")))


def test_labels_at_the_ends_of_curves_keep_their_distance_and_their_order() -> None:
    ends = [3.0, 0.0, 3.5, 2.0, 40.0]
    moved = curves.spread(ends, 5.0)
    assert np.argsort(moved).tolist() == np.argsort(ends).tolist()
    assert np.diff(sorted(moved)).min() >= 5.0 - 1e-9
    assert moved[4] == 40.0


def test_the_report_needs_no_other_file() -> None:
    figure = picture.figure_of_rows(rows_of(workloads.MODES), "made up")
    shown = page.document(
        "cost <of> f",
        [page.image(picture.inline(figure), "a"), page.table(report.ratio_table(rows_of(workloads.MODES)))],
    )
    assert re.findall('(?:src|href)="([^"]{22})', shown) == ["data:image/png;base64,"]
    assert "<h1>cost &lt;of&gt; f</h1>" in shown and "<td>2.83</td>" in shown


# --- the comparison on the digits


@pytest.fixture(scope="module")
def gradients() -> list[digits.Gradient]:
    images, labels = digits.load()
    comparison = digits.Comparison(images[:100], labels[:100], 2, np.random.default_rng(1))
    return list(comparison.gradients(("reverse", *FORWARD_MODES)))


def test_the_digits_are_the_real_ones() -> None:
    images, labels = digits.load()
    assert images.shape == (1797, 64) and labels.shape == (1797,)
    assert images.min() == 0.0 and images.max() == 1.0
    assert set(labels) == set(range(10))


def test_five_gradients_on_the_digits_agree_pair_by_pair(gradients: list[digits.Gradient]) -> None:
    assert [gradient.way for gradient in gradients] == [
        "reversead",
        "dualad, one by one",
        "dualad, batched",
        digits.BY_HAND,
        digits.FINITE_DIFFERENCES,
    ]
    pairs = digits.disagreements(gradients)
    assert len(pairs) == 10
    assert [pair.ways for pair in pairs if not pair.acceptable] == []
    assert np.max(np.abs(gradients[0].entries)) > 1e-3


@pytest.mark.parametrize("wrong", [1e-4, np.nan])
def test_a_wrong_entry_shows_as_a_disagreement(gradients: list[digits.Gradient], wrong: float) -> None:
    largest = np.max(np.abs(gradients[0].entries))
    entries = gradients[0].entries.copy()
    entries[7] += wrong * largest
    changed = digits.Gradient("changed", entries, 0.0)
    assert not any(pair.acceptable for pair in digits.disagreements([changed, gradients[0]]))
    assert not any(pair.acceptable for pair in digits.disagreements([changed, gradients[-1]]))


# --- saved asv results


def saved_result(started_at: float, times: list[float | None]) -> dict[str, Any]:
    """A result file of version 2 as asv writes it, with the two benchmarks that the picture needs."""
    parameters = [["6", "7", "8"], ["'function'", "'reverse'"]]
    return {
        "version": 2,
        "result_columns": ["result", "params", "version", "started_at", "duration"],
        "results": {
            scaling.TIME_BENCHMARK: [times, parameters, "1", started_at, 1.0],
            scaling.OPERATIONS_BENCHMARK: [[10, 30, 20, 60, 40, 120], parameters, "1", started_at],
        },
    }


def test_rows_come_from_the_newest_saved_result(tmp_path: Path) -> None:
    machine = tmp_path / "machine"
    machine.mkdir()
    (machine / "machine.json").write_text("{}")
    (machine / "old.json").write_text(json.dumps(saved_result(1.0, [9.0] * 6)))
    newest = saved_result(1.796e12, [1.0, 3.0, 2.0, None, 4.0, 12.0])
    (machine / "new.json").write_text(json.dumps(newest))
    rows, origin = scaling.saved_rows(tmp_path, ("function", "reverse"))
    assert origin == "operations counted exactly; CPU time measured by asv on 2026-11-30"
    # The size 2**7 has a failed cell, so it has no row.
    assert rows == [
        scaling.Row(64, {"function": 1.0, "reverse": 3.0}, {"function": 10, "reverse": 30}),
        scaling.Row(256, {"function": 4.0, "reverse": 12.0}, {"function": 40, "reverse": 120}),
    ]
    assert scaling.exponents_of_time(rows) == pytest.approx({"function": 1.0, "reverse": 1.0})


@pytest.mark.parametrize("version", [1, 3])
def test_a_result_file_of_another_version_is_left_alone(tmp_path: Path, version: int) -> None:
    (tmp_path / "machine").mkdir()
    saved = saved_result(1.0, [1.0] * 6) | {"version": version}
    (tmp_path / "machine" / "result.json").write_text(json.dumps(saved))
    with pytest.raises(scaling.NoSavedResult, match="make bench"):
        scaling.saved_rows(tmp_path, ("function", "reverse"))
