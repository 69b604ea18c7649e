"""The page without a browser: its numbers are the engines', its counts too, and what it refuses it says clearly."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
import shared
from shared import MLP, ReverseSweep, count_operations, derivative_costs, trace
from shared.core.errors import ShapeError
from shared.page.command_line import main
from shared.page.counting import step_costs
from shared.page.folding import MOST_OPENED, boxes, items
from shared.page.sources import blocks, line_key
from shared.programs.explaining.layers import layers
from shared.programs.explaining.naming import Names

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").exists())


def textbook(x1: Any, x2: Any) -> Any:
    return np.log(x1) + x1 * x2 - np.sin(x2)


def neuron(w0: Any, w1: Any, w2: Any, x0: Any, x1: Any) -> Any:
    return 1 / (1 + np.exp(-(w0 * x0 + w1 * x1 + w2)))


def selected(x: Any, y: Any) -> Any:
    return np.max(x) * np.sum(np.maximum(x, y)) + x[0]


def perceptron(theta: Any) -> Any:
    data, labels = np.linspace(-1.0, 1.0, 12).reshape(4, 3), np.eye(2)[[0, 1, 1, 0]]
    return MLP([3, 5, 2], "tanh").objective()(theta, data, labels)


def deep(theta: Any, x: Any, y: Any) -> Any:
    return MLP([3, *[5] * 49, 2], "tanh").objective()(theta, x, y)


def parameters(*sizes: int) -> Any:
    return MLP(sizes).initialise("xavier_normal", np.random.default_rng(0))


PROGRAMS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "textbook": (textbook, (2.0, 5.0)),
    "neuron": (neuron, (2.0, -3.0, -3.0, -1.0, -2.0)),
    "selected": (selected, (np.array([1.0, 5.0, 2.0]), np.array([3.0, 1.0, 4.0]))),
    "perceptron": (perceptron, (parameters(3, 5, 2),)),
}


def data_of(page: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(page.html().split('id="data">')[1].split("</script>")[0])
    return found


def number(datum: list[str]) -> Any:
    return json.loads(datum[1].replace("−", "-"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_numbers_are_those_of_both_engines(name: str) -> None:
    f, args = PROGRAMS[name]
    data = data_of(shared.page(f, *args))
    totals: dict[int, Any] = {}
    for step in data["back"]:
        totals |= {k: total for k, _, total, _, _ in step["add"]}
    every = tuple(range(len(args)))
    for engine in (dualad, reversead):
        slopes, _ = shared.flatten(list(engine.grad(f, every)(*args)))
        for k, slope in zip(data["parameters"], slopes, strict=True):
            if np.size(slope) <= 4:
                np.testing.assert_allclose(number(totals[k]), slope, rtol=1e-4 if np.ndim(slope) else 1e-14)
            else:
                assert totals[k][1].endswith(f"norm {np.linalg.norm(slope):.5g}")
    gradient = np.concatenate([np.ravel(slope) for slope in slopes])
    (out,) = data["outputs"]
    tangents = [number(one["t"][str(out)]) for one in data["passes"]]
    np.testing.assert_allclose(tangents, gradient[: len(tangents)], rtol=1e-13, atol=1e-16)
    assert len(tangents) == min(data["n"], 12) and data["n"] == gradient.size


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_steps_add_up_to_what_the_engines_are_counted_to_do(name: str) -> None:
    f, args = PROGRAMS[name]
    costs = derivative_costs(f, *args, forward=dualad, reverse=reversead)
    found = data_of(shared.page(f, *args))["race"]
    expected = ["value", "value and direction, forward", "value and gradient, reverse"]
    assert found == [costs[row].operations for row in expected]


def test_what_is_alive_is_what_cost_finds_the_peak_of() -> None:
    f, args = PROGRAMS["perceptron"]
    sweep = ReverseSweep(f, *args)
    added = {step.equation.result: [part.operand for part in step.contributions] for step in sweep}
    found = step_costs(sweep, {k: operands for k, operands in added.items() if operands})
    assert max(found.forward_bytes) <= 2 * shared.cost(sweep.program).peak_bytes
    assert found.up_bytes == sorted(found.up_bytes) and found.evaluation == count_operations(f, *args)


def test_a_network_has_the_names_of_the_textbooks() -> None:
    f, args = PROGRAMS["perceptron"]
    program = trace(f, *args)
    names = Names(program, program.values(*args), layers(program, program.inputs))
    assert [names.name(k) for k in program.inputs] == ["w¹ᵀ", "b¹", "w²ᵀ", "b²"]
    found = [names.name(equation.result) for equation in program.equations]
    assert [name for name in found if name[0] in "zaC"] == ["z¹", "a¹", "z²", "C"]
    (z,) = [k for k, layer in names.weighted.items() if layer == 1]
    assert names.adjoint_name(z) == "δ¹"
    assert not re.search(r"theta\[|v-", data_text(shared.page(f, *args)))


def data_text(page: Any) -> str:
    return json.dumps(data_of(page)["names"], ensure_ascii=False)


def test_other_programs_keep_the_names_of_their_arguments() -> None:
    def f(w: Any, x: Any) -> Any:
        return np.sum(np.tanh(w["in"] @ x)) * w["v1"]

    names = data_of(shared.page(f, {"in": np.ones((2, 3)), "v1": 2.0}, np.ones(3), argnums="w"))["names"]
    assert [names[k][0] for k in ("0", "1", "2")] == ["w['in']", "w['v1']", "x"]
    plain = data_of(shared.page(lambda v1, v2: v1 * v2, 2.0, 3.0))["names"]
    assert len({name for name, _, _ in plain.values()}) == 3


def test_equal_layers_and_rounds_are_folded() -> None:
    args = (parameters(3, *[5] * 49, 2), np.ones((4, 3)), np.eye(2)[[0, 1, 1, 0]])
    page = shared.page(deep, *args, argnums=0)
    assert "48 equal layers, 2 to 49" in page.html() and len(page.html().encode()) < 1_000_000

    def loop(x: Any) -> Any:
        for _ in range(30):
            x = x + 0.1 * np.sin(x)
        return x

    program = trace(loop, 1.0)
    (item,) = items(program, [], Names(program, program.values(1.0), []))
    assert item.title == "30 equal rounds" and item.size == 90
    views = data_of(shared.page(loop, 1.0))["views"]
    assert next(iter(views)) == "fold" and set(views) == {"fold", "0", "all"}


def test_an_item_too_long_to_be_drawn_opens_into_units_of_its_own_names() -> None:
    def long(theta: Any, x: Any) -> Any:
        penalty = sum(np.sum(theta[0][0] ** (k + 2)) for k in range(60))
        return np.sum(np.tanh(x @ theta[0][0] + theta[0][1]) @ theta[1][0] + theta[1][1]) + penalty

    program = trace(long, parameters(3, 5, 2), np.ones((4, 3)))
    groups = layers(program, program.inputs[:4])
    names = Names(program, program.values(parameters(3, 5, 2), np.ones((4, 3))), groups)
    found = items(program, groups, names)
    for place, item in enumerate(found):
        for box, layer_name in zip(boxes(item, place, names, opened=True), item.names, strict=False):
            assert box.lines[0] == layer_name
    assert any(item.size > MOST_OPENED for item in found)
    assert [item.names for item in found] == [(group.title,) for group in groups]


def test_files_of_one_name_keep_their_lines_apart(tmp_path: Path) -> None:
    wheres = []
    for folder, text in (("a", "def f(x):\n    return x\n"), ("b", "def g(x):\n    y = x\n    return y\n")):
        (tmp_path / folder).mkdir()
        file = tmp_path / folder / "model.py"
        file.write_text(text, encoding="utf-8")
        wheres.append(f" (at {file}:2)")
    found = blocks(wheres)
    assert [(block.file, block.lines[0]) for block in found] == [("model.py", "def f(x):"), ("model.py", "def g(x):")]
    assert [line_key(found, where) for where in wheres] == ["0:2", "1:2"]


def test_the_file_needs_nothing_else_and_lets_no_other_script_run() -> None:
    text = shared.page(textbook, 2.0, 5.0).html()
    assert not re.search(r"https?:|src=|@import|url\(", text.replace("http://www.w3.org/2000/svg", ""))
    assert "default-src 'none'" in text and len(re.findall("<script", text)) == 3


def test_a_page_shows_itself_and_is_saved(tmp_path: Path) -> None:
    page = shared.page(textbook, 2.0, 5.0)
    assert repr(page).startswith("<page of textbook(x1, x2): 5 steps, 2 inputs, ")
    assert page.save(tmp_path / "f.html").read_text(encoding="utf-8") == str(page) == page.html()
    frame = page._repr_html_()
    assert frame.startswith("<iframe sandbox=") and "max-width: 100%" in frame and frame.count("<") == 2
    with pytest.raises(ValueError, match=r"page is written as .html, not as '.svg'.*test_page.py"):
        page.save(tmp_path / "f.svg")


def slow(x: Any) -> Any:
    for _ in range(700):
        x = x + 0.1
    return x


@pytest.mark.parametrize(
    ("call", "kind", "told"),
    [
        (lambda: shared.page(slow, 1.0), ValueError, "takes 700 operations.*600.*fewer steps of a loop"),
        (lambda: shared.page(np.sin, np.ones(3)), ShapeError, r"array of shape \(3,\).*cotangent=np.ones"),
        (lambda: shared.page(textbook, 2.0, 5.0, engines=[dualad]), TypeError, "a forward and a reverse engine"),
        (lambda: shared.page(textbook, 2.0, 5.0, argnums="z"), ValueError, "page: argnums 'z' names no argument"),
        (lambda: shared.page(3, 2.0), TypeError, "page: expected a function"),
    ],
)
def test_what_has_no_page_is_told(call: Callable[[], Any], kind: type[Exception], told: str) -> None:
    with pytest.raises(kind, match=told):
        call()


def test_an_array_of_results_goes_with_a_cotangent() -> None:
    data = data_of(shared.page(np.sin, np.array([0.0, 1.0]), cotangent=np.array([1.0, 2.0])))
    assert number(data["back"][0]["add"][0][1]) == pytest.approx([1.0, 2 * np.cos(1.0)], rel=1e-4)


def test_the_derivative_costs_of_two_engines_stand_beside() -> None:
    text = shared.page(textbook, 2.0, 5.0, engines=(dualad, reversead)).html()
    assert "Hessian-vector product, forward over reverse" in text


def test_orders_of_elimination_are_shown_of_small_programs_of_numbers() -> None:
    orders = data_of(shared.page(textbook, 2.0, 5.0))["orders"]
    found = shared.elimination_orders(textbook, 2.0, 5.0)
    for name in ("forward", "reverse", "markowitz"):
        assert orders[name][-1][1] == found[name].multiplications
        assert [vertex for vertex, _ in orders[name]][1:] != []
    part = data_of(shared.page(neuron, *PROGRAMS["neuron"][1], argnums=(0, 1, 2)))["orders"]
    w0, w1, w2, x0, x1 = PROGRAMS["neuron"][1]
    alone = shared.elimination_orders(lambda w0, w1, w2: neuron(w0, w1, w2, x0, x1), w0, w1, w2)
    assert {name: stages[-1][1] for name, stages in part.items()} == {
        name: alone[name].multiplications for name in part
    }
    assert data_of(shared.page(*[selected, *PROGRAMS["selected"][1]]))["orders"] == {}


def test_the_example_of_the_documentation_prints_what_it_says(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "microscope.md").read_text(encoding="utf-8")
    code, printed = re.findall(r"```(?:python|text)\n(.*?)```", text, re.DOTALL)
    exec(code, {"__name__": "microscope"})
    assert capsys.readouterr().out == printed


# --- from a shell -----------------------------------------------------------------------------------------------------


def test_a_page_from_a_shell(tmp_path: Path) -> None:
    command = ["-m", "shared.page", "numpy:hypot", "--example", "3.0, 4.0", "--output", "f.html"]
    done = subprocess.run(
        [sys.executable, *command], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"page: {tmp_path / 'f.html'}\n" and done.stderr == ""
    assert "Hessian-vector product" in (tmp_path / "f.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["numpy:sin", "--output", "f.html"], "--example"),
        (["math:sin", "--example", "1.0", "--cotangent", "ones(3)"], "is not defined; write np.ones"),
        (["numpy:sin", "--example", "1.0", "--output", "f.svg"], "a page ends in .html"),
        (["numpy:sin", "--example", "1.0", "--output", "no/such/f.html"], "its folder has to exist"),
        (["numpy", "--example", "1.0", "--output", "f.html"], "write MODULE:FUNCTION"),
        (["numpy:sin", "--example", "1 +", "--output", "f.html"], "SyntaxError"),
    ],
)
def test_a_bad_option_is_one_line_and_status_2(
    options: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(options)
    told = capsys.readouterr().err
    assert stopped.value.code == 2 and told.count("\n") == 1 and named in told


def test_a_cotangent_and_the_name_of_the_file_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["numpy:square", "--example", "np.arange(3.0)", "--cotangent", "-np.ones(3)"]) == 0
    assert capsys.readouterr().out == f"page: {tmp_path / 'square.html'}\n"
    assert (tmp_path / "square.html").exists()


def test_a_function_without_a_gradient_is_one_line_and_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["numpy:sin", "--example", "np.ones(3)", "--output", str(tmp_path / "f.html")]) == 1
    assert "ShapeError" in capsys.readouterr().err and not (tmp_path / "f.html").exists()
