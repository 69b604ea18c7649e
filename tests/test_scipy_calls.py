"""SciPy's functions as they stand, on traced values: those that work, and what the others answer.

What is checked here is also what the page says, of which `python -m tests.test_scipy_calls` writes the part about it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import scipy
from scipy import stats

import dualad
import reversead
from shared import TracerConversionError
from shared.core.callers import OF_EVERY_ARRAY
from tests.scipy_calls import VARIABLE, calls

#: The version of SciPy that the page, and what is said to work, is written for; in a newer one more may work
WRITTEN_FOR = "1.17"
of_that_version = scipy.__version__.startswith(f"{WRITTEN_FOR}.")

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "scipy.md"
BEGIN, END = "<!-- written by tests.test_scipy_calls -->", "<!-- to here -->"

#: Why a function does not work, by what the error says.
REASONS = {
    "plain NumPy array": "turns its argument into a plain array",
    "plain integer": "turns its argument into a plain array",
    "Multiple namespaces": "mixes its argument with plain arrays of its own",
    "item assignment": "assigns to what is a number",
    "view was used after its base": "reads a view of an array that it has written to since",
    "has no derivative rule": "calls a special function that has no rule",
}


@cache
def outcomes() -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.scipy_calls"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env={**os.environ, VARIABLE: "1"},
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def works() -> set[str]:
    return {f"{module}.{name}" for module, names in OF_EVERY_ARRAY.items() for name in names.split()}


NAMES = sorted({name for name, _, _ in calls()})


@pytest.mark.parametrize("name", NAMES)
def test_a_function_has_the_derivative_that_differences_give_or_an_error(name: str) -> None:
    found = outcomes()[name]
    if name in works():
        assert found == "works"
    elif found == "works":
        assert not of_that_version, "say so in OF_EVERY_ARRAY"
    else:
        # Right, or a clear error: never another number.
        assert "WRONG" not in found and reason(found), found


def test_no_other_function_is_said_to_work() -> None:
    assert works() <= set(NAMES)


def test_a_wrong_derivative_would_be_seen() -> None:
    from tests.scipy_calls import outcome

    point = np.array([1.0, 2.0])
    assert outcome(np.sin, point) == "works"
    assert "WRONG" in outcome(lambda x: np.sin(x) * (1 if isinstance(x, np.ndarray) else 2), point)
    assert "TracerConversionError" in outcome(lambda x: np.asarray(x), point)


@pytest.mark.parametrize("engine", [dualad, reversead])
def test_where_it_is_switched_off_the_error_says_how_to_switch_it_on(engine, monkeypatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(TracerConversionError, match=r'stats\.skew asked for .*os\.environ\["SCIPY_ARRAY_API"\] = "1"'):
        engine.grad(lambda x: stats.skew(x))(np.array([1.0, 2.0, 4.0]))
    with pytest.raises(TracerConversionError, match="write it with NumPy's functions"):
        engine.grad(lambda x: stats.shapiro(x).statistic)(np.array([1.0, 2.0, 4.0]))


# --- the page ---------------------------------------------------------------------------------------------------------


def reason(found: str) -> str:
    return next((text for part, text in REASONS.items() if part in found), "")


def section() -> str:
    """The part of the page that says what became of each function."""
    found = outcomes()
    modules: dict[str, list[str]] = {}
    for name in NAMES:
        modules.setdefault(name.rpartition(".")[0], []).append(name)
    lines = [BEGIN, "", "| module | works |", "| --- | --- |"]
    for module, names in modules.items():
        done = [f"`{name.rpartition('.')[2]}`" for name in names if found[name] == "works"]
        if done:
            lines.append(f"| `{module}` | {', '.join(done)} |")
    lines += ["", "| refused because it | |", "| --- | --- |"]
    for text in dict.fromkeys(REASONS.values()):
        refused = [f"`{name.removeprefix('scipy.')}`" for name in NAMES if reason(found[name]) == text]
        if refused:
            lines.append(f"| {text} | {', '.join(refused)} |")
    return "\n".join([*lines, "", END])


@pytest.mark.skipif(not of_that_version, reason=f"the page is written for SciPy {WRITTEN_FOR}")
def test_the_page_says_what_became_of_each() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert section() in text, "run python -m tests.test_scipy_calls"


if __name__ == "__main__":
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(before + section() + rest.partition(END)[2], encoding="utf-8")
