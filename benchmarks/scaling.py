"""How the cost of a gradient grows with the number of inputs: measured now, or saved by asv earlier.

This module knows nothing of tables and pictures.  A saved result is asv's documented JSON (result files of
version 2), read without asv.
"""

import ast
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import workloads
from benchmarks.curves import exponent
from benchmarks.measure import interleaved_minimum

TIME_BENCHMARK = "topics.gradient_cost.AgainstInputs.time_derivative"
OPERATIONS_BENCHMARK = "topics.gradient_cost.AgainstInputs.track_operations"
RESULT_FILE_VERSION = 2


class NoSavedResult(Exception):
    """There is no saved asv result that the picture can be drawn from; the message says how to make one."""


@dataclass(frozen=True)
class Row:
    """CPU seconds and operations of each mode at one network size, a loss of `inputs` parameters."""

    inputs: int
    seconds: Mapping[str, float]
    operations: Mapping[str, int]

    @property
    def evaluations(self) -> dict[str, float]:
        """The operations of each mode over those of one evaluation of the loss: the ratio that the claim is about."""
        return {mode: count / self.operations["function"] for mode, count in self.operations.items()}


def exponents_of_time(rows: Sequence[Row]) -> dict[str, float]:
    """The fitted exponent of each mode's CPU time in the number of inputs."""
    return _exponents(rows, [row.seconds for row in rows])


def exponents_of_operations(rows: Sequence[Row]) -> dict[str, float]:
    """The fitted exponent of each mode's operation count in the number of inputs."""
    return _exponents(rows, [row.operations for row in rows])


def _exponents(rows: Sequence[Row], costs: Sequence[Mapping[str, float]]) -> dict[str, float]:
    sizes = [row.inputs for row in rows]
    return {mode: exponent(sizes, [cost[mode] for cost in costs]) for mode in costs[0]}


def measure_row(log2_inputs: int, modes: Iterable[str]) -> Row:
    """Time and count the loss and its gradients, one network size."""
    network = workloads.network(log2_inputs)
    tasks = {mode: workloads.task(network, mode) for mode in modes}
    operations = {mode: workloads.operations(network, mode) for mode in tasks}
    return Row(network.inputs, interleaved_minimum(tasks), operations)


def saved_rows(results: Path, modes: Sequence[str]) -> tuple[list[Row], str]:
    """The rows of the newest asv result below the directory `results`, and of which machine and day they are.

    Raises NoSavedResult when no result file holds both the times and the operation counts of two sizes or
    more.
    """
    found: list[tuple[float, str, list[Row]]] = []
    for path in sorted(results.glob("*/*.json")):
        if path.name in ("machine.json", "benchmarks.json"):
            continue
        saved = json.loads(path.read_text())
        if saved.get("version") != RESULT_FILE_VERSION:
            continue
        rows = _rows(_columns(saved, TIME_BENCHMARK), _columns(saved, OPERATIONS_BENCHMARK), modes)
        if len(rows) > 1:
            # asv counts milliseconds since 1970.
            started = _columns(saved, TIME_BENCHMARK).get("started_at") or 0
            day = datetime.fromtimestamp(started / 1000, UTC).date()
            found.append((started, f"operations counted exactly; CPU time measured by asv on {day}", rows))
    if not found:
        raise NoSavedResult(
            f"no saved asv result below {results} holds {TIME_BENCHMARK} and {OPERATIONS_BENCHMARK}: "
            "make one with `make bench`"
        )
    _, origin, rows = max(found)
    return rows, origin


def _columns(saved: Mapping[str, Any], benchmark: str) -> dict[str, Any]:
    """The named columns of one benchmark in a result file; empty where the benchmark was not run."""
    return dict(zip(saved["result_columns"], saved["results"].get(benchmark, ()), strict=False))


def _rows(times: Mapping[str, Any], operations: Mapping[str, Any], modes: Sequence[str]) -> list[Row]:
    """A row for every size at which each of the modes has both a time and a count."""
    seconds_at, operations_at = _by_parameters(times), _by_parameters(operations)
    rows = []
    for log2_inputs in sorted({log2_inputs for log2_inputs, _ in seconds_at}):
        cells = [(log2_inputs, mode) for mode in modes]
        if all(cell in seconds_at and cell in operations_at for cell in cells):
            rows.append(
                Row(
                    inputs=2**log2_inputs,
                    seconds={mode: seconds_at[log2_inputs, mode] for mode in modes},
                    operations={mode: int(operations_at[log2_inputs, mode]) for mode in modes},
                )
            )
    return rows


def _by_parameters(columns: Mapping[str, Any]) -> dict[tuple[Any, ...], float]:
    """The results by parameter values, which asv writes as Python literals; failed cells are left out."""
    values = [[ast.literal_eval(value) for value in axis] for axis in columns.get("params") or ()]
    cells = zip(itertools.product(*values), columns.get("result") or (), strict=False)
    return {cell: value for cell, value in cells if value is not None and math.isfinite(value)}
