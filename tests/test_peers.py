"""The referee: every race asks for the derivative that is written by hand, and a wrong or refused answer is no figure.

No other library is needed: those that are not installed are passed over. No clock is asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.peers import __main__ as command
from benchmarks.peers import adapters, drawing, functions, racing, tables
from benchmarks.peers.racing import Result

OWN = [peer for peer in adapters.PEERS if peer.package in adapters.OWN]
OTHERS = [peer for peer in adapters.PEERS if peer.package not in adapters.OWN]
#: `torch.compile` takes seconds a function, and XLA half a second.
SLOW = {adapters.CompiledTorch}


def race_once(race: functions.Race, *peers: adapters.Peer) -> list[Result]:
    """The smallest race there is."""
    return list(racing.run_race(race, peers, rounds=1, seconds_each=1e-6, small=True, memory=False))


@pytest.mark.parametrize("race", functions.RACES, ids=lambda race: race.name)
def test_the_function_of_a_race_is_that_of_its_problem(race: functions.Race) -> None:
    problem = race.problem(small=True)
    wanted = problem.function(problem.arguments[0])
    found = race.function(*race.arguments(problem), *problem.constants)
    np.testing.assert_allclose(found, wanted, rtol=1e-12)


@pytest.mark.parametrize("race", functions.RACES, ids=lambda race: race.name)
def test_this_library_takes_part_in_every_race(race: functions.Race) -> None:
    by_class = dict(zip(OWN, race_once(race, *(peer() for peer in OWN)), strict=True))
    if race.quantity == "gradient":
        assert "forward mode" in by_class.pop(adapters.Dualad).refusal
    for result in by_class.values():
        assert result.refusal == "" and result.ratio is not None and result.first_seconds is not None


@pytest.mark.parametrize("make", [peer for peer in OTHERS if peer not in SLOW], ids=lambda peer: peer.__name__)
def test_a_library_that_is_installed_gives_the_derivative_of_rosenbrock(make: type[adapters.Peer]) -> None:
    try:
        peer = make()
    except ImportError:
        pytest.skip(f"{make.package} is not installed")
    (race,) = command.selected_races(["Rosenbrock, n = 10"])[:1]
    (result,) = race_once(race, peer)
    assert result.refusal == "" and result.ratio is not None


def test_a_function_stands_alone_in_another_namespace() -> None:
    calls = []

    def total(x: Any) -> Any:
        calls.append("sum")
        return np.sum(x)

    written = functions.in_namespace(functions.rosenbrock, SimpleNamespace(sum=total))
    x = np.array([0.5, 0.7])
    assert written(x) == functions.rosenbrock(x) and calls == ["sum"]


class Made(adapters.Peer):
    """A library made for a test, whose gradient is a function of the right one."""

    package, label = "made", "made"

    def __init__(self, change: Callable[[Any], Any]) -> None:
        self.change = change

    def gradient(self, f: Any, arguments: Any, constants: Any) -> Any:
        right = adapters.Reversead().gradient(f, arguments, constants)
        return lambda: self.change(right())


def refused(_: Any) -> Any:
    raise RuntimeError("not today\nnor tomorrow")


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda answer: answer, ""),
        (lambda answer: (answer[0], [1.0001 * part for part in answer[1]]), "another derivative"),
        (lambda answer: (answer[0], [np.full_like(part, np.nan) for part in answer[1]]), "another derivative"),
        (lambda answer: answer[1], "another derivative"),
        (lambda answer: (answer[0], [part[:-1] for part in answer[1]]), "another derivative"),
        (refused, "RuntimeError: not today"),
    ],
    ids=["right", "a ten-thousandth off", "not a number", "no value", "too short", "raises"],
)
def test_only_a_right_answer_has_a_time(change: Callable[[Any], Any], refusal: str) -> None:
    (race,) = command.selected_races(["helmholtz, N = 10"])[:1]
    made, ours = race_once(race, Made(change), adapters.Reversead())
    assert refusal in made.refusal and bool(refusal) == bool(made.refusal)
    assert (made.ratio is None) == bool(refusal)
    assert ours.ratio is not None


def test_what_a_library_has_not_is_said_in_its_words() -> None:
    peer = Made(lambda answer: answer)
    for quantity, word in (("Jacobian", "Jacobians"), ("Hessian product", "second derivatives")):
        (race,) = [race for race in functions.RACES if race.quantity == quantity]
        (result,) = race_once(race, peer)
        assert result.refusal.startswith("has no") and word in result.refusal


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's count of pages is Linux's")
def test_the_resident_peak_counts_what_a_call_holds_at_once() -> None:
    size = 32 * 2**20

    def two_at_once() -> None:
        first, second = np.ones(size // 8), np.ones(size // 8)
        del first, second
        np.ones(size // 8)

    peak = racing.resident_peak(two_at_once)
    if peak is None:
        pytest.skip("this kernel lets no process forget its peak")
    assert 1.9 * size < peak < 2.2 * size


# ---------------------------------------------------------------------------------------------------- tables

MADE = [
    Result("one", "reversead", "eager", "forward-reverse-ad", 2e-3, 1e-2, 5 * 2**20, 1e-3),
    Result("one", "other", "eager", "other", 1e-3, 1e-2, None, 1e-3),
    Result("one", "reversead", "compiled", "forward-reverse-ad", 1.00e-3, 3e-2, 100, 1e-3),
    Result("one", "other", "compiled", "other", 0.95e-3, 4.0, 7 * 2**20, 1e-3),
    Result("two", "reversead", "eager", "forward-reverse-ad", 2e-3, 1e-2, 100, 1e-3),
    Result("two", "other", "eager", "other", refusal="has no twos"),
]


def test_the_tables_have_a_row_a_race_and_a_column_a_library() -> None:
    eager, compiled, first, memory = tables.tables(MADE)
    assert eager.columns == ("derivative", "by hand", "reversead", "other")
    assert eager.rows == [("one", "1 ms", "2", "1"), ("two", "1 ms", "2", "-")]
    assert compiled.rows == [("one", "1 ms", "1", "0.95")]
    assert first.rows == [("one", "30 ms", "4 s")]
    # The second race holds less than what the kernel counts.
    assert memory.columns == ("derivative", "reversead", "other", "reversead, compiled", "other, compiled")
    assert memory.rows == [("one", "5", "-", "< 1", "7")]


def test_losses_are_said_where_they_are_more_than_noise() -> None:
    assert tables.losses(MADE, adapters.OWN) == ["one, eager: reversead takes 2; faster by: other 2 times"]
    assert tables.losses(MADE[2:], adapters.OWN) == []
    assert tables.refusals(MADE) == ["other: has no twos (two)"]
    many = [replace(MADE[-1], race=str(number)) for number in range(5)]
    assert tables.refusals(many) == ["other: has no twos (0; 1; 2; and 2 more)"]


def test_a_table_in_markdown_and_in_columns() -> None:
    table = tables.tables(MADE)[0]
    assert list(tables.as_markdown(table)) == [
        "| derivative | by hand | reversead | other |",
        "| --- | ---: | ---: | ---: |",
        "| one | 1 ms | 2 | 1 |",
        "| two | 1 ms | 2 | - |",
    ]
    assert list(tables.as_text(table))[1] == "one            1 ms          2      1"


def test_the_picture_names_every_library_that_has_a_figure(tmp_path: Path) -> None:
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none"}):
        drawing.draw(MADE, tmp_path / "races.svg", "made up")
    drawn = (tmp_path / "races.svg").read_text()
    assert all(f">{text}<" in drawn for text in ("one", "two", "reversead", "other", "eager", "compiled", "made up"))


def test_the_page_has_every_race_and_every_library() -> None:
    page = (Path(__file__).parent.parent / "docs" / "peers.md").read_text(encoding="utf-8")
    for form in tables.FORMS:
        rows = page.partition(f"### CPU time, {form}")[2].partition("###")[0]
        assert [race.name for race in functions.RACES if f"| {race.name} |" not in rows] == []
        labels = {peer.label for peer in adapters.PEERS if peer.form == form}
        assert labels <= {cell.strip() for cell in rows.strip().splitlines()[2].split("|")} | {"derivative"}


# ---------------------------------------------------------------------------------------------- command line


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--peers", "nobody"], "'nobody' is none of reversead, dualad"),
        (["--only", "nothing"], "no derivative has such a name"),
        (["--output", "a.nothing"], "picture format"),
        (["--output", "no/such/place/a.png"], "directory has to exist"),
        (["--rounds", "0"], "whole number"),
    ],
)
def test_a_bad_option_is_one_line_and_status_two(
    arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    captured = capsys.readouterr()
    assert ended.value.code == 2 and captured.out == ""
    assert complaint in captured.err and captured.err.count("\n") == 1


def test_a_library_that_is_asked_for_and_not_installed_is_an_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(adapters.MyGrad, "module", "surely_not_installed")
    monkeypatch.setattr(racing, "one_core", lambda: None)
    with pytest.raises(SystemExit) as ended:
        command.main(["--peers", "mygrad", "--quick"])
    assert ended.value.code == 2 and "not installed here: mygrad" in capsys.readouterr().err


def test_the_races_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list", "--only", "rosenbrock"]) == 0
    assert capsys.readouterr().out.splitlines() == ["Rosenbrock, n = 10", "Rosenbrock, n = 100,000"]


def test_the_command_prints_figures_with_method_versions_and_machine(tmp_path: Path) -> None:
    # In a process of its own, since it keeps to one core.
    picture = tmp_path / "races.png"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "benchmarks.peers", "--quick", "--json", "--only", "n = 10"),
            *("--peers", "reversead", "--output", str(picture)),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    assert picture.stat().st_size > 1000
    assert "least CPU time" in found["method"] and "Python" in found["machine"] and "reversead" in found["versions"]
    assert {result["race"] for result in found["results"]} >= {"Rosenbrock, n = 10", "Helmholtz, n = 10"}
    results = [Result(**{name: part for name, part in r.items() if name != "ratio"}) for r in found["results"]]
    lines = command.page(results, found, markdown=True)
    assert lines[0].startswith("### CPU time, eager") and found["machine"] in "".join(lines)
