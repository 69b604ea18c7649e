"""The page on the sensitivities of differential equations: its code runs, its numbers are right, its counts are so."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

import reversead
from benchmarks import sensitivities
from shared import SolutionError
from shared.linear.checkpointing import default_snapshots, evaluations

PAGE = (Path(__file__).parent.parent / "docs" / "sensitivities.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def page() -> dict[str, Any]:
    """The names that the examples define, run one after the other as they are printed."""
    scope: dict[str, Any] = {}
    for example in EXAMPLES:
        exec(example, scope)
    return scope


def lynxes(rates: Any, start: Any = (1.0, 0.5), times: Any = (0.0, 4.0)) -> float:
    """What the animals are by SciPy alone, as exactly as it can."""
    a, b, c, d = rates
    found = solve_ivp(
        lambda t, y: [a * y[0] - b * y[0] * y[1], c * y[0] * y[1] - d * y[1]],
        times, start, method="DOP853", rtol=1e-13, atol=1e-14,
    )  # fmt: skip
    return float(found.y[1, -1])


def differences(f: Any, x: Any, h: float) -> Any:
    """Central differences of order 4 (Fornberg 1988, table 1)."""
    weights = ((1, 2 / 3), (2, -1 / 12))
    return np.array([sum(w * (f(x + k * h * e) - f(x - k * h * e)) / h for k, w in weights) for e in np.eye(len(x))])


def test_the_four_derivatives_are_one(page: dict[str, Any]) -> None:
    expected = differences(lynxes, page["rates"], 1e-3)
    for name, rtol in (("forward", 1e-7), ("adjoint", 1e-7), ("discrete_forward", 1e-6), ("discrete_adjoint", 1e-6)):
        np.testing.assert_allclose(page[name], expected, rtol=rtol, err_msg=name)
    # Those of the steps are the same number.
    np.testing.assert_allclose(page["discrete_forward"], page["discrete_adjoint"], rtol=1e-12)


def test_the_derivatives_by_the_start_and_the_times(page: dict[str, Any]) -> None:
    rates = page["rates"]
    by_start, by_times = page["by_start_and_times"]
    np.testing.assert_allclose(by_start, differences(lambda y: lynxes(rates, y), page["start"], 1e-3), rtol=1e-7)
    expected = differences(lambda t: lynxes(rates, times=t), np.array([0.0, 4.0]), 1e-3)
    np.testing.assert_allclose(by_times, [expected[0], 0.0, expected[1]], rtol=1e-6, atol=1e-9)


def test_the_curvature(page: dict[str, Any]) -> None:
    gradient, rates = reversead.grad(page["lynxes_of"](page["exact"])), page["rates"]
    along = differences(lambda h: gradient(rates + h[0]), np.zeros(1), 1e-3)[0]
    np.testing.assert_allclose(page["curvature"] @ np.ones(4), along, rtol=1e-5)


def test_friction(page: dict[str, Any]) -> None:
    assert page["slope"] == pytest.approx(-2 * np.exp(-10.0), abs=1e-9)
    whole = page["ode_solution"](page["friction"], reversead)
    with pytest.raises(SolutionError, match="more pieces"):
        reversead.grad(lambda k: whole(1.0, [0.0, 2.0], k)[-1])(20.0)


def test_the_landing(page: dict[str, Any]) -> None:
    def landing(speed: float, drag: float) -> float:
        def height(t: float) -> float:
            return (speed + 9.81 / drag) * (1 - np.exp(-drag * t)) / drag - 9.81 * t / drag

        return brentq(height, 0.1, 10.0, xtol=1e-15)

    assert page["lands"] == pytest.approx(landing(10.0, 0.2), rel=1e-9)
    expected = differences(lambda p: landing(*p), np.array([10.0, 0.2]), 1e-3)
    np.testing.assert_allclose([page["by_speed"], page["by_drag"]], expected, rtol=1e-7)


def test_the_fit(page: dict[str, Any]) -> None:
    np.testing.assert_allclose(page["fit"].x, page["rates"], rtol=1e-6)


def test_the_counts_of_the_table() -> None:
    """The steps of SciPy's solver may differ by a few among machines, those of a fixed number not at all."""
    rows = re.findall(r"^\| +(\d[\d,]*) \|(.*)\|$", PAGE, re.MULTILINE)
    stated = {int(p): [int(n.replace(",", "")) for n in counts.split("|")] for p, counts in rows}
    assert list(stated) == [5 * width for width in sensitivities.WIDTHS]
    heads = sensitivities.table([sensitivities.Row(1, dict.fromkeys(sensitivities.STYLES, 1))]).splitlines()[0]
    assert heads in PAGE
    for width in sensitivities.WIDTHS[:2]:
        row = sensitivities.measured(width)
        counts = dict(zip(row.evaluations, stated[row.parameters], strict=True))
        for name in ("forward steps", "adjoint steps"):
            assert row.evaluations[name] == counts[name]
        for name in ("value", "forward", "adjoint"):
            assert row.evaluations[name] == pytest.approx(counts[name], rel=0.15)
    p = np.array([*stated])
    value, forward, adjoint, forward_steps, adjoint_steps = np.array([*stated.values()]).T
    # Proportional to p, and flat.
    np.testing.assert_allclose(forward / p, (forward / p)[-1], rtol=0.2)
    np.testing.assert_array_equal(forward_steps, 4 * sensitivities.STEPS * p)
    assert np.all(adjoint < 3 * value)
    # The weights are in every step, and the start is fixed.
    snapshots = default_snapshots(sensitivities.STEPS)
    np.testing.assert_array_equal(adjoint_steps, 4 * (1 + evaluations(sensitivities.STEPS - 1, snapshots)))


def test_the_picture_shows_every_way(tmp_path: Path) -> None:
    from matplotlib import rc_context

    rows = [sensitivities.Row(n, {name: n + k for k, name in enumerate(sensitivities.STYLES)}) for n in (10, 20)]
    with rc_context({"svg.fonttype": "none"}):
        sensitivities.draw(rows, tmp_path / "ways.svg")
    drawn = (tmp_path / "ways.svg").read_text()
    assert all(f">{style.label}<" in drawn for style in sensitivities.STYLES.values())
