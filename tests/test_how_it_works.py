"""The page that explains the library: its code runs, and prints what the page says.

Where the library takes another path, or a file another size, the page has to be read again.
`python -m tests.executed_pages` writes what its code prints now; the text around that is for people to mend.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from executed_pages import BLOCK, as_run

from shared.calling import arguments, results
from shared.core import duck_array

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "how-it-works.md"
PAGE = DOCUMENT.read_text(encoding="utf-8")


def section(heading: str) -> str:
    """What stands below a heading of the second rank."""
    found: str = re.split(r"^## ", PAGE.partition(f"\n## {heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    assert found, heading
    return found


def test_the_examples_print_what_the_page_says(monkeypatch: pytest.MonkeyPatch) -> None:
    # Once a process has met arrays of another library, results are looked through for them.
    monkeypatch.setattr(duck_array, "LIBRARIES", [])
    monkeypatch.setattr(arguments, "LIBRARIES", [])
    monkeypatch.setattr(results, "LIBRARIES", [])
    assert as_run(PAGE, DOCUMENT.name) == PAGE


def test_a_page_that_says_something_else_is_found() -> None:
    right = "a\n```python\nx = 1\n```\nb\n```pycon\n>>> x + 1\n2\n>>> if x:\n...     print(x)\n1\n```\n"
    assert as_run(right, "page.md") == right
    assert as_run(right.replace("2\n", "3\n"), "page.md") == right
    assert as_run(right.replace("2\n", ""), "page.md") == right


def test_the_contents_list_every_section() -> None:
    headings = re.findall(r"^## (.*)$", PAGE, re.MULTILINE)
    links = re.findall(r"^- \[(.*)\]\(#(.*)\)$", PAGE, re.MULTILINE)
    assert links == [(h, re.sub(r"[^\w -]", "", h).lower().replace(" ", "-")) for h in headings]


def test_each_file_to_read_imports_of_the_others_only_those_before_it() -> None:
    files = re.findall(r"^    (\S+\.py) ", section("What to read, in order"), re.MULTILINE)
    modules = [path.removesuffix(".py").replace("/", ".") for path in files]
    assert len(modules) > 10
    for k, path in enumerate(files):
        # What is imported at run time, when the module is: not what its annotations or a rare call need.
        statements = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
        imported = {node.module for node in statements if isinstance(node, ast.ImportFrom)}
        assert not imported & set(modules[k + 1 :]), path


def test_the_first_reading_is_as_short_as_the_page_says() -> None:
    text = section("What to read, in order")
    total = re.findall(r"^all of them +\d+ +(\d+)$", text, re.MULTILINE)
    engines = re.findall(r"^(?:dualad|reversead) (\d+)$", text, re.MULTILINE)
    assert len(total) == 1 and int(total[0]) <= 1500 and "most 1,500 lines" in text
    assert len(engines) == 2 and max(map(int, engines)) <= 500 and "most 500 lines" in text


def test_every_function_that_is_entered_is_explained() -> None:
    explained: set[str] = set()
    for heading in ("A gradient, call by call", "A directional derivative, call by call"):
        text = section(heading)
        entered = set(re.findall(r"^(?:\. )*(\S+) +(?:dualad|reversead|shared)/\S+$", text, re.MULTILINE))
        # What the first of the two explains need not be explained again in the second.
        explained |= set(re.findall(r"`([^`\n]+)`", BLOCK.sub("", text)))
        assert len(entered) > 20 and entered <= explained, entered - explained


def test_the_rooms_are_those_of_the_architecture() -> None:
    tree = ast.parse((ROOT / "tests" / "test_architecture.py").read_text(encoding="utf-8"))
    rooms = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == "ROOMS" and node.value is not None
    )
    above: set[str] = set()
    found: dict[str, set[str]] = {}
    for room, imports in re.findall(
        r"^\| \[`(\w+)`\]\(\S+\) \| .* \| (.*) \|$", section("Where is what?"), re.MULTILINE
    ):
        names = set(re.findall(r"`(\w+)`", imports))
        found[room] = set(above) if imports == "the rooms above" else names
        assert imports in ("the rooms above", "nothing") or names, imports
        above.add(room)
    assert found == rooms


# --- the engines of the page ------------------------------------------------------------------------------------------

ENGINES = "\n".join(body for kind, body in BLOCK.findall(section("Both engines in 150 lines")) if kind == "python")


@pytest.fixture(scope="module")
def small() -> dict[str, Any]:
    scope: dict[str, Any] = {"__name__": "small"}
    exec(compile(ENGINES, "small.py", "exec"), scope)
    return scope


def test_both_engines_run_from_an_empty_file(tmp_path: Path) -> None:
    assert 140 <= len(ENGINES.splitlines()) <= 155
    assert set(re.findall(r"^(?:import|from) (\w+)", ENGINES, re.MULTILINE)) == {"itertools", "numpy"}
    script = tmp_path / "small.py"
    script.write_text(
        ENGINES
        + "\nx = np.array([1.0, 2.0])\n"
        + "f = lambda x: np.sum(np.sin(x) * x)\n"
        + "assert np.allclose(grad(f)(x), np.cos(x) * x + np.sin(x))\n"
        + "assert np.allclose(jvp(grad(f), x, x)[1], (2 * np.cos(x) - x * np.sin(x)) * x)\n"
        + "print('both ran')\n"
    )
    # Isolated: neither this library nor the current folder can be imported.
    done = subprocess.run([sys.executable, "-I", str(script)], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == "both ran\n", done.stderr


#: Functions of one array of positive numbers, of shape (2, 3), with every operation of the table.
PROGRAMS = {
    "add": lambda x: np.sum(x + np.ones((4, 1, 3)) * x),
    "subtract": lambda x: np.sum((1.0 - x) * x - (x - 2.0)),
    "divide": lambda x: np.sum(x / (x + 2.0) + 3.0 / x),
    "power": lambda x: np.sum(x**3.0 + 2.0**x + x**x),
    "negative, sin, cos": lambda x: np.sum(np.sin(x) - np.cos(-x) * x),
    "exp, log, tanh": lambda x: np.sum(np.exp(x) * np.log(x) + np.tanh(x)),
    "sum along an axis": lambda x: np.sum(np.sum(x * x, axis=1) ** 2.0 + np.sum(x, axis=-1)),
    "sum with axes kept": lambda x: np.sum(x * np.sum(x * x, axis=(0, 1), keepdims=True)),
    "broadcast_to, reshape": lambda x: np.sum(np.broadcast_to(np.reshape(x, (2, 1, 3)), (2, 5, 3)) ** 2.0),
    "transpose, matmul": lambda x: np.sum((np.transpose(x) @ x) ** 2.0),
    "a column to a matrix": lambda x: np.sum(np.sum(x, axis=1, keepdims=True) * np.arange(6.0).reshape(2, 3) * x),
    "branches": lambda x: np.sum(x * x) if np.sum(x) > 1.0 and np.sum(x) < 9.0 else np.sum(x),
    "a constant": lambda x: 3.0,
    "shapes and signs": lambda x: np.sum(np.sign(x) * x * x) * np.ndim(x) * np.shape(x)[0],
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_engines_of_the_page_against_differences(small: dict[str, Any], name: str) -> None:
    f, x, step = PROGRAMS[name], np.linspace(0.5, 1.5, 6).reshape(2, 3), 1e-6
    grad, jvp = small["grad"], small["jvp"]
    units = np.eye(6).reshape(6, 2, 3)
    expected = np.array([(f(x + step * u) - f(x - step * u)) / (2 * step) for u in units])
    np.testing.assert_allclose(np.ravel(grad(f)(x)), expected, rtol=1e-7, atol=1e-7)
    np.testing.assert_allclose([jvp(f, x, u)[1] for u in units], expected, rtol=1e-7, atol=1e-7)
    bent = np.array([(grad(f)(x + step * u) - grad(f)(x - step * u)).ravel() / (2 * step) for u in units])
    products = {
        "forward over reverse": [jvp(grad(f), x, u)[1] for u in units],
        "reverse over forward": [grad(lambda x, u=u: jvp(f, x, u)[1])(x) for u in units],
        "reverse over reverse": [grad(lambda x, u=u: np.sum(grad(f)(x) * u))(x) for u in units],
    }
    for order, found in products.items():
        np.testing.assert_allclose(np.reshape(found, (6, 6)), bent, rtol=1e-6, atol=1e-6, err_msg=order)
    twice = [[jvp(lambda y, u=u: jvp(f, y, u)[1], x, w)[1] for u in units] for w in units]
    np.testing.assert_allclose(twice, bent, rtol=1e-6, atol=1e-6)


def test_every_row_of_the_page_is_used_by_a_program(small: dict[str, Any]) -> None:
    used: set[Any] = set()
    bind = small["bind"]

    def noting(primitive: Any, args: Any, keywords: Any) -> Any:
        used.add(primitive.function)
        return bind(primitive, args, keywords)

    small["bind"] = noting
    try:
        for f in PROGRAMS.values():
            small["grad"](f)(np.linspace(0.5, 1.5, 6).reshape(2, 3))
    finally:
        small["bind"] = bind
    assert used == set(small["REGISTRY"])
