"""The arrows between packages, rooms and modules, drawn from the sources and held to the tables below.

An import counts wherever it stands, within functions too; annotations under TYPE_CHECKING do not count.
"""

from __future__ import annotations

import ast
import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest

ROOT = next(folder for folder in Path(__file__).resolve().parents if (folder / "pyproject.toml").exists())

#: What each package may import of the others.
PACKAGES = {
    "shared": set(),
    "dualad": {"shared"},
    "reversead": {"shared"},
    "benchmarks": {"dualad", "reversead", "shared"},
}

#: What each room of `shared` may import of the others.
ROOMS: dict[str, set[str]] = {
    "core": set(),
    "rules": {"core"},
    "calling": {"core", "rules"},
    "batching": {"core", "rules", "calling"},
    "linear": {"core", "rules", "calling", "batching"},
    "implicit": {"core", "rules", "calling", "batching", "linear"},
    "sparse": {"core", "rules", "calling", "batching", "linear"},
    "series": {"core", "rules", "calling", "batching", "linear", "sparse"},
    "counting": {"core", "rules", "calling"},
    "checking": {"core", "calling"},
    "programs": {"core", "rules", "calling", "counting", "checking"},
    "networks": {"core", "rules", "calling", "programs"},
    "scipy": {"core", "rules", "calling"},
    "comparison": {"core", "rules", "calling", "batching", "linear", "sparse", "counting", "checking", "programs"},
    "page": {"core", "calling", "counting", "programs"},
}

Arrow = tuple[str, str]


def test_packages_import_what_their_table_says() -> None:
    arrows = {(package(a), package(b)) for a, b in all_arrows()}
    found = {(a, b) for a, b in arrows if a != b and a in PACKAGES}
    allowed = {(a, b) for a, targets in PACKAGES.items() for b in targets}
    assert found <= allowed, explained(found - allowed, package)
    assert ("dualad", "shared") in found and ("reversead", "shared") in found


def test_every_module_of_shared_is_in_a_room() -> None:
    files = {path.stem for path in (ROOT / "shared").glob("*.py")}
    folders = {path.parent.name for path in (ROOT / "shared").glob("*/__init__.py")}
    assert files == {"__init__"} and folders == set(ROOMS)


def test_rooms_import_what_their_table_says() -> None:
    found = {(room(a), room(b)) for a, b in all_arrows() if package(a) == package(b) == "shared"}
    found = {(a, b) for a, b in found if a != b and a != "shared"}
    allowed = {(a, b) for a, targets in ROOMS.items() for b in targets}
    assert found <= allowed, explained(found - allowed, room)


def test_the_tables_have_no_circle() -> None:
    assert not circle(PACKAGES) and not circle(ROOMS)


@pytest.mark.parametrize("name", PACKAGES)
def test_no_modules_import_each_other_in_a_circle(name: str) -> None:
    graph: dict[str, set[str]] = {}
    for a, b in all_arrows():
        if package(a) == package(b) == name:
            graph.setdefault(a, set()).add(b)
    found = circle(graph)
    assert not found, f"these import each other: {' -> '.join(found)}"


def test_no_test_imports_another_one() -> None:
    files = sorted((ROOT / "tests").rglob("*.py"))
    tests = {path.stem for path in files if path.stem.startswith("test_")}
    assert len(tests) > 50
    found = [f"{path.name} imports {name}" for path in files for name in imported_tests(path.read_text("utf-8"), tests)]
    assert not found, f"{found}: move what they share into a module without test_ in its name"


def test_an_import_of_a_test_is_seen_in_every_spelling() -> None:
    one = {"test_one"}
    for text in (
        "import test_one",
        "from test_one import name",
        "import tests.rules.test_one",
        "from tests.rules.test_one import name",
        "from tests.rules import test_one",
        "from . import test_one",
        "def f():\n    from .test_one import name",
        "import importlib\nimportlib.import_module('tests.test_one')",
        "run([python, '-c', 'import sys\\nfrom test_one import name'])",
    ):
        assert list(imported_tests(text, one)) == ["test_one"], text
    for text in ("from module import test_two", "import test", "see('tests/test_one.py')", "name = 'test_one'"):
        assert not list(imported_tests(text, one)), text


def test_every_room_says_what_it_is_for() -> None:
    for name in ROOMS:
        text = ast.get_docstring(ast.parse((ROOT / "shared" / name / "__init__.py").read_text(encoding="utf-8"))) or ""
        assert "knows" in text and "ublic" in text, name


@pytest.mark.parametrize("name", ROOMS)
def test_no_public_name_of_a_room_is_hidden_by_a_module_of_it(name: str) -> None:
    # An import of the module would put it in the place of the name.
    package = importlib.import_module(f"shared.{name}")
    modules = {path.stem for path in (ROOT / "shared" / name).glob("*.py")}
    for public in modules & set(getattr(package, "__all__", ())):
        assert isinstance(getattr(package, public), ModuleType), public


def test_circles_and_arrows_are_found() -> None:
    tree = ast.parse(
        "import a.b\nfrom typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import c\n"
        "def f():\n    from d import e\n    from . import g\n"
    )
    assert set(imported(tree, "p.q", is_package=False)) == {"a.b", "typing.TYPE_CHECKING", "d.e", "p.g"}
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}}) and not circle({"a": {"b", "c"}, "b": {"c"}})


# --- what an import loads ---------------------------------------------------------------------------------------------


def loaded(statement: str) -> set[str]:
    """The modules of this library that a fresh interpreter has after a statement."""
    code = f"import sys\n{statement}\nprint(*[m for m in sys.modules if m.partition('.')[0] in {sorted(PACKAGES)!r}])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


@pytest.mark.parametrize("engine", ["dualad", "reversead"])
def test_an_engine_loads_what_a_gradient_needs(engine: str) -> None:
    found = loaded(f"import {engine}")
    assert len(found) <= 50, sorted(found)
    rooms = {room(name) for name in found if name.startswith("shared.")}
    assert rooms.isdisjoint({"programs", "networks", "checking", "sparse", "series", "counting"})
    # A gradient loads nothing more.
    gradient = f"import numpy as np, {engine}\n{engine}.grad(lambda x: np.sum(np.sin(x) * x))(np.ones(3))"
    assert loaded(gradient) == found


def test_shared_loads_what_is_asked_for() -> None:
    before = loaded("import shared")
    assert {room(name) for name in before if name != "shared"} <= {"core", "rules", "calling", "batching"}
    assert "shared.counting.counter" in loaded("from shared import count_operations")
    assert "shared.checking.differences" in loaded("import shared.checking.differences")
    assert "shared.programs.program" in loaded("import shared; shared.programs")


def test_every_public_name_is_there() -> None:
    code = (
        "import shared\n"
        "assert set(shared.__all__) | {'compile'} <= set(dir(shared))\n"
        "for name in shared.__all__: getattr(shared, name)\n"
        "try: shared.nothing\n"
        "except AttributeError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "module 'shared' has no attribute 'nothing'"


def test_a_star_import_leaves_builtins_alone() -> None:
    code = (
        "import builtins\n"
        "from shared import *\n"
        "print(*[name for name in vars(builtins) if name in globals() and not name.startswith('__')])\n"
        "import shared\n"
        "print(shared.compile is not compile)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == ["True"]


@pytest.mark.parametrize("engine", ["dualad", "reversead"])
@pytest.mark.parametrize("kind", ["a file", "a package", "imported before"])
def test_a_file_that_hides_shared_is_named(engine: str, kind: str, tmp_path: Path) -> None:
    file = tmp_path / "shared.py" if kind != "a package" else tmp_path / "shared" / "__init__.py"
    file.parent.mkdir(exist_ok=True)
    file.write_text("secret = 1\n")
    code = f"{'import shared; ' if kind == 'imported before' else ''}import {engine}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env=environment)
    told = done.stderr.strip().splitlines()[-1]
    expected = f"ImportError: {file} hides the package `shared` that {engine} is installed with; give it another name"
    assert done.returncode == 1 and told == expected


# --- drawing arrows ---------------------------------------------------------------------------------------------------


def package(module: str) -> str:
    return module.partition(".")[0]


def room(module: str) -> str:
    """The room of a module of `shared`; of its public face, `shared` itself."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def explained(arrows: set[Arrow], group: object) -> str:
    rows = [f"{a} imports {b}" for a, b in sorted(all_arrows()) if (group(a), group(b)) in arrows]  # type: ignore[operator]
    return "; ".join(rows)


@cache
def modules() -> dict[str, Path]:
    found = {}
    for name in PACKAGES:
        for path in sorted((ROOT / name).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def all_arrows() -> frozenset[Arrow]:
    """Every import of one module of ours by another one."""
    found = set()
    for name, path in modules().items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for target in imported(tree, name, is_package=path.name == "__init__.py"):
            while target and target not in modules():
                target = target.rpartition(".")[0]
            if target and target != name:
                found.add((name, target))
    return frozenset(found)


def imported_tests(text: str, tests: set[str]) -> Iterator[str]:
    """The modules of tests that a module imports, by a statement, by name or in code that it runs elsewhere."""
    tree = ast.parse(text)
    names = list(imported(tree, "module", is_package=False))
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and "import" in ast.unparse(node.func):
            names += [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            names += re.findall(r"^\s*(?:import|from)\s+([\w.]+)", node.value, re.MULTILINE)
    yield from sorted({part for name in names for part in name.split(".") if part in tests})


def imported(node: ast.AST, module: str, is_package: bool) -> Iterator[str]:
    """What is imported anywhere in a module, with the names taken from there, as dotted names."""
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test) and "not" not in ast.unparse(node.test):
        for part in node.orelse:
            yield from imported(part, module, is_package)
        return
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            parts = module.split(".")
            parts = parts[: len(parts) - node.level + is_package]
            base = ".".join([*parts, *([base] if base else [])])
        for alias in node.names:
            yield f"{base}.{alias.name}"
    for child in ast.iter_child_nodes(node):
        yield from imported(child, module, is_package)


def circle(graph: dict[str, set[str]]) -> list[str]:
    """The nodes of one circle, in order; none if there is no circle."""
    finished: set[str] = set()
    for start in graph:
        path: list[str] = []
        pending = [(start, iter(graph.get(start, ())))]
        while pending:
            node, targets = pending[-1]
            if not path or path[-1] != node:
                path.append(node)
            following = next((t for t in targets if t not in finished), None)
            if following is None:
                finished.add(path.pop())
                pending.pop()
            elif following in path:
                return [*path[path.index(following) :], following]
            else:
                pending.append((following, iter(graph.get(following, ()))))
    return []


def test_rooms_have_the_names_that_users_import_from_them() -> None:
    script = """
from shared.checking import Comparison, GradientMismatch, GradientReport, InconclusiveDifferences, check_grads
from shared.counting import ELEMENTARY, Count, count_operations
import shared
assert check_grads is shared.check_grads and count_operations is shared.count_operations
assert "check_grads" in dir(shared.checking)
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)
