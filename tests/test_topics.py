"""The asv suite: every method runs, every claim of a topic holds in exact counts, the links lead to what there is.

No clock is asked here. What is asserted about cost is counted, so it is the same on every machine.
"""

import ast
import base64
import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs

import numpy as np
import pytest

from benchmarks import offline, picture, scaling, site, workloads
from benchmarks.topics import (
    TOPICS,
    chain_order,
    differences,
    gradient_cost,
    jacobian_cost,
    memory,
    second_order,
)
from shared.linear.checkpointing import default_snapshots, evaluations

ROOT = Path(__file__).resolve().parent.parent
DIRECTORY = ROOT / "benchmarks"
MODULES = sorted(DIRECTORY.rglob("*.py"))
BENCHMARKS = [(topic, candidate, method) for topic in site.modules() for candidate, method in site.benchmarks_of(topic)]
CLASSES = sorted({candidate for _, candidate, _ in BENCHMARKS}, key=lambda each: (each.__module__, each.__name__))


def name_of(candidate: type) -> str:
    return f"{candidate.__module__.rpartition('.')[2]}.{candidate.__name__}"


def smallest(candidate: type) -> list[tuple[Any, ...]]:
    """The smallest size with every way; nothing for a class without parameters.

    Of works that are called alike, one: `test_speed_workloads` measures a small version of each.
    """
    axes = getattr(candidate, "params", ())
    if not axes:
        return [()]
    if name_of(candidate) == "engines_speed.Ratio":
        return [(axes[0][0],)]
    return [(*(axis[0] for axis in axes[:-1]), last) for last in axes[-1]]


CALLS = [
    pytest.param(candidate, method, parameters, id="-".join(map(str, (name_of(candidate), method, *parameters))))
    for _, candidate, method in BENCHMARKS
    for parameters in smallest(candidate)
]


@pytest.mark.parametrize(("candidate", "method", "parameters"), CALLS)
def test_every_benchmark_runs_on_its_smallest_size(candidate: type, method: str, parameters: tuple[Any, ...]) -> None:
    result = getattr(candidate(), method)(*parameters)
    if method == "track_exponent":
        assert -0.1 < result < 3.0
    elif method.startswith("track_"):
        assert np.isfinite(result) and result > 0


@pytest.mark.parametrize("candidate", CLASSES, ids=name_of)
def test_every_class_has_a_version_and_sizes_before_ways(candidate: Any) -> None:
    assert isinstance(candidate.version, str)
    if hasattr(candidate, "params"):
        assert len(candidate.params) == len(candidate.param_names)
        # One axis alone may be names, as of the ways whose exponent is fitted.
        assert len(candidate.params) == 1 or re.match("log2_|digits_", candidate.param_names[0])


def test_every_benchmark_with_parameters_says_in_words_what_it_measures() -> None:
    names = [getattr(getattr(c, method), "pretty_name", None) for _, c, method in BENCHMARKS if hasattr(c, "params")]
    assert None not in names
    assert len(set(names)) == len(names)


def test_differences_are_a_way_wherever_ways_are_compared() -> None:
    for candidate in CLASSES:
        for axis, values in zip(getattr(candidate, "param_names", ()), getattr(candidate, "params", ()), strict=True):
            if axis in ("mode", "way"):
                assert any("finite differences" in value for value in values), name_of(candidate)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(DIRECTORY)))
def test_no_module_imports_at_its_top_what_the_asv_environment_lacks(path: Path) -> None:
    """asv imports every module of the directory, in an environment that has NumPy and the three packages."""
    imported = set()
    for statement in ast.parse(path.read_text()).body:
        if isinstance(statement, ast.Import):
            imported |= {name.name.partition(".")[0] for name in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            imported.add((statement.module or "").partition(".")[0])
    assert imported.isdisjoint({"asv", "asv_runner", "matplotlib", "pytest", "rich", "scipy", "sklearn"})


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(DIRECTORY)))
def test_no_function_and_no_base_class_has_a_name_that_asv_takes_for_a_benchmark(path: Path) -> None:
    """asv looks for them in every module of the directory: a function `time_table` would be run and timed."""
    statements = ast.parse(path.read_text()).body
    functions = [statement.name for statement in statements if isinstance(statement, ast.FunctionDef)]
    assert [name for name in functions if site.BENCHMARK_NAME.fullmatch(name)] == []
    if path.stem not in TOPICS:
        classes = [statement for statement in statements if isinstance(statement, ast.ClassDef)]
        methods = {(c.name, f.name) for c in classes for f in c.body if isinstance(f, ast.FunctionDef)}
        assert [name for name, method in methods if site.BENCHMARK_NAME.fullmatch(method) and name[0] != "_"] == []


def test_the_picture_of_a_saved_result_is_made_from_benchmarks_that_there_are() -> None:
    names = {f"topics.{name_of(candidate)}.{method}" for _, candidate, method in BENCHMARKS}
    assert {scaling.TIME_BENCHMARK, scaling.OPERATIONS_BENCHMARK} <= names


def test_a_quick_run_takes_the_two_least_sizes() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", "from benchmarks.topics import gradient_cost as g; print(g.AgainstInputs.params[0])"],
        cwd=ROOT,
        env={**os.environ, "BENCHMARKS_QUICK": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(shown.stdout) == [6, 7]


# --- what the topics claim, in exact counts


@pytest.mark.parametrize("size", [6, 7, 8])
def test_a_gradient_in_reverse_is_a_constant_multiple_of_f_and_the_others_rise_with_n(size: int) -> None:
    n = 2**size
    ratio = {mode: gradient_cost.AgainstVariables.evaluations(size, mode) for mode in workloads.MODES}
    assert ratio["reverse"] == pytest.approx(2.75, abs=0.01)
    assert ratio["finite differences"] == n + 1
    assert n < ratio["batched forward"] < 2 * n < ratio["forward"] < 3 * n


def test_exponents_say_the_same_in_one_number_each() -> None:
    fitted = {mode: gradient_cost.AgainstVariables.fitted(mode) for mode in workloads.MODES}
    expected = {"function": 1, "reverse": 1, "forward": 2, "batched forward": 2, "finite differences": 2}
    assert fitted == pytest.approx(expected, abs=0.02)
    for mode in workloads.MODES:
        assert gradient_cost.AgainstDepth.fitted(mode) == pytest.approx(1.0, abs=0.02)


def test_forward_and_reverse_jacobians_cost_the_same_where_there_are_as_many_inputs_as_outputs() -> None:
    for log2_inputs in jacobian_cost.LOG2_SIZES:
        for log2_outputs in jacobian_cost.LOG2_SIZES:
            ratio = jacobian_cost.forward_over_reverse(log2_inputs, log2_outputs)
            assert np.sign(ratio - 1.0) == np.sign(log2_inputs - log2_outputs)


@pytest.mark.parametrize("log2_outputs", [2, 5])
def test_the_ratio_of_the_jacobians_tends_to_inputs_over_outputs(log2_outputs: int) -> None:
    grown = [jacobian_cost.forward_over_reverse(log2_inputs, log2_outputs) for log2_inputs in (7, 8)]
    assert grown[1] / grown[0] == pytest.approx(2.0, rel=0.05)


def test_a_sparse_jacobian_takes_three_directions_whatever_its_size() -> None:
    ways = ("sparse forward", "sparse forward, pattern given")
    for way in ways:
        small, large = (jacobian_cost.Sparse.evaluations(size, way) for size in (4, 8))
        assert small == pytest.approx(large, rel=0.01)
    assert {jacobian_cost.colouring(size).jvps for size in (4, 8)} == {3}
    f, x = jacobian_cost.diffusion(4)
    dense = jacobian_cost.transformed(f, "reverse")(x)
    for way in ways:
        found = jacobian_cost.Sparse.call(4, way)()
        matrix = found.toarray() if hasattr(found, "toarray") else found
        np.testing.assert_allclose(matrix, dense, atol=1e-14)
    np.testing.assert_allclose(jacobian_cost.transformed(f, "finite differences")(x), dense, atol=1e-6)


def test_the_tape_grows_with_depth_checkpoints_as_its_root_and_forward_mode_not_at_all() -> None:
    alive = {way: [memory.arrays_alive(depth, way) for depth in (6, 8)] for way in memory.WAYS}
    assert alive["reverse"][1] - alive["reverse"][0] == pytest.approx(2**8 - 2**6, rel=1e-12)
    assert 1.8 < alive["reverse, checkpoints"][1] / alive["reverse, checkpoints"][0] < 2.2
    for way in ("function", "forward", "finite differences", f"reverse, {memory.SNAPSHOTS} checkpoints"):
        assert alive[way][0] == alive[way][1]


def test_checkpoints_take_the_same_gradient_with_the_evaluations_that_their_schedule_says() -> None:
    chain = workloads.chain(6)
    value, gradient = workloads.task(chain, "reverse")()
    plain = memory.evaluations(6, "reverse")
    for snapshots, way in zip((None, memory.SNAPSHOTS), memory.WAYS[-2:], strict=True):
        other, checkpointed = memory.checkpointed(6, snapshots)(chain.argument)
        assert other == value
        np.testing.assert_array_equal(checkpointed, gradient)
        again = evaluations(2**6, snapshots or default_snapshots(2**6)) / 2**6 - 1
        assert memory.evaluations(6, way) == pytest.approx(plain + again, rel=0.02)


def test_a_product_with_the_hessian_is_flat_where_a_reverse_mode_is_in_it() -> None:
    for way in second_order.WAYS:
        small, large = (second_order.AgainstVariables.evaluations(size, way) for size in (3, 6))
        rises = way.startswith("Hessian") or way == "product, forward over forward"
        assert large / small == pytest.approx(8.0 if rises else 1.0, rel=0.15), way


@pytest.mark.parametrize("way", [way for way in second_order.WAYS if way != "function"])
def test_every_way_takes_the_same_second_derivative(way: str) -> None:
    f, x = second_order.second_derivative(3, way)
    hessian = second_order.WAYS["Hessian, forward over reverse"](workloads.rosenbrock(3).function, x, np.ones_like(x))
    expected = hessian if way.startswith("Hessian") else hessian @ np.ones_like(x)
    # Entries are up to thousands, of which differences lose half of the digits.
    relative, absolute = (1e-4, 1e-3) if "differences" in way else (1e-12, 1e-11)
    np.testing.assert_allclose(f(x), expected, rtol=relative, atol=absolute)


@pytest.mark.parametrize("end", chain_order.ENDS)
def test_the_products_of_jacobians_cost_what_the_formula_says(end: str) -> None:
    assert chain_order.operations(6, end) == chain_order.counted(6, end)


def test_the_order_of_the_chain_rule_is_a_factor_n_and_not_another_result() -> None:
    scalar, inputs = chain_order.ENDS
    for size in chain_order.LOG2_UNITS:
        n = 2**size
        ratio = chain_order.operations(size, inputs) / chain_order.operations(size, scalar)
        assert ratio == (2 * n + 1) / 3
    products = [chain_order.product(*chain_order.factors(6), end) for end in chain_order.ENDS]
    np.testing.assert_allclose(*products, rtol=1e-3, atol=1e-4)


def test_the_error_of_differences_over_the_step_is_a_v_and_that_of_the_modes_is_none() -> None:
    steps = differences.DIGITS_OF_STEP
    errors = {way: [differences.error(digits, way) for digits in steps] for way in differences.WAYS}
    for way, digits_lost in (("finite differences", 1e-9), ("central differences", 1e-12)):
        tip = int(np.argmin(errors[way]))
        assert 2 <= tip <= 10 and errors[way][tip] > digits_lost
        assert errors[way][0] > 1e5 * errors[way][tip] and errors[way][-1] > 1e5 * errors[way][tip]
    assert errors["complex step"][0] > 1e-3 and max(errors["complex step"][8:]) < 1e-14
    assert max(errors["forward"] + errors["reverse"]) < 1e-14


@pytest.mark.parametrize(("mode", "runs"), [*zip(workloads.MODES, (1, 1, 16, 1, 17), strict=True)], ids=str)
def test_runs_of_f_for_a_gradient_of_16_numbers(mode: str, runs: int) -> None:
    assert differences.evaluations(4, mode) == runs


# --- the site


def addresses() -> Iterator[tuple[ModuleType, type, str, str]]:
    for topic, candidate, method in BENCHMARKS:
        yield topic, candidate, method, site.address(candidate, method)


def test_a_link_leads_to_the_plot_with_sizes_along_x_and_every_way_in_it() -> None:
    for topic, candidate, method, address in addresses():
        place, _, options = address.partition("?")
        assert place == f"asv.html#topics.{topic.__name__.rpartition('.')[2]}.{candidate.__name__}.{method}"
        assert importlib.import_module(topic.__name__) is topic
        if hasattr(candidate, "params"):
            chosen = parse_qs(options)
            assert chosen.pop("x-axis") == [candidate.param_names[0]]
            assert chosen.pop("y-axis-scale") == ["log"]
            # asv knows a value by its representation.
            assert chosen == {
                f"p-{axis}": [repr(value) for value in values]
                for axis, values in zip(candidate.param_names, candidate.params, strict=True)
            }


def test_the_front_page_has_words_pictures_and_links_and_needs_nothing_from_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chain_order, "LOG2_UNITS", (4, 5))
    shown = site.front_page([chain_order])
    assert "2 n / 3 times the operations" in shown and "O(n^3) a layer" in shown
    loaded = re.findall('src="([^"]*)"', shown)
    assert len(loaded) == 2 and all(address.startswith("data:image/png;base64,") for address in loaded)
    linked = re.findall('href="([^"]*)"', shown)
    assert len(linked) == 4 and all(address.startswith("asv.html") for address in linked)


def asv_like_page(content: bytes, url: str = "https://a.example/x/lib.js") -> str:
    digest = base64.b64encode(hashlib.sha256(content).digest()).decode()
    return f'<script src="{url}" integrity="sha256-{digest}" crossorigin="anonymous"></script>'


def unreachable(url: str) -> bytes:
    raise OSError(f"{url} is not reached from here")


def test_what_the_pages_of_asv_load_from_elsewhere_is_copied_once_and_checked(tmp_path: Path) -> None:
    asked = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return b"code"

    # `asv publish` empties its folder, not the one in which copies are kept.
    for folder in ("html", "published again"):
        local = offline.with_copies(asv_like_page(b"code"), tmp_path / folder, tmp_path / "kept", fetch)
        assert local == '<script src="local/lib.js"></script>'
        assert (tmp_path / folder / "local" / "lib.js").read_bytes() == b"code"
    assert asked == ["https://a.example/x/lib.js"]


def test_what_an_address_does_not_give_comes_from_a_package(tmp_path: Path) -> None:
    page = asv_like_page(b"code")
    offline.with_copies(page, tmp_path, tmp_path / "kept", unreachable, lambda url: b"code")
    assert (tmp_path / "local" / "lib.js").read_bytes() == b"code"


def test_a_package_may_have_the_longer_form_of_a_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = "https://a.example/x/lib.js"
    digest = base64.b64encode(hashlib.sha256(b"long code").digest()).decode()
    monkeypatch.setitem(offline.PACKED, url, offline.Packed("lib@1.0.0", "lib.js", f"sha256-{digest}"))
    offline.with_copies(asv_like_page(b"code"), tmp_path, tmp_path / "kept", unreachable, lambda url: b"long code")
    assert (tmp_path / "local" / "lib.js").read_bytes() == b"long code"
    with pytest.raises(offline.WrongDigest):
        offline.with_copies(asv_like_page(b"code"), tmp_path, tmp_path / "new", unreachable, lambda url: b"other")


def test_the_numbers_that_a_page_asks_for_are_in_its_script(tmp_path: Path) -> None:
    graphs = tmp_path / "graphs" / "cpu-a b"
    graphs.mkdir(parents=True)
    (tmp_path / "index.json").write_text('{"project": "p"}')
    (graphs / "topics.x.json").write_text("[[0, 1.5]]")
    for _ in range(2):
        shown = offline.with_numbers("<head></head>", tmp_path)
        assert offline.with_numbers(shown, tmp_path) == shown == '<head><script src="local/numbers.js"></script></head>'
    _, _, rest = (tmp_path / "local" / "numbers.js").read_text().partition("var saved = ")
    saved, _ = json.JSONDecoder().raw_decode(rest)
    assert saved == {"index.json": {"project": "p"}, "graphs/cpu-a b/topics.x.json": [[0, 1.5]]}


def test_where_the_copies_cannot_be_had_the_front_page_says_what_the_links_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(site, "modules", lambda: iter(()))
    monkeypatch.setattr(offline, "load", unreachable)
    monkeypatch.setattr(offline, "load_packed", unreachable)
    html = tmp_path / "html"
    html.mkdir()
    (html / "index.html").write_text(f"<head>{asv_like_page(b'code')}</head>")
    assert site.main(["--html", str(html)]) == 0
    assert "need the internet" in capsys.readouterr().err
    assert "need the internet" in (html / "index.html").read_text()
    assert "https://a.example/x/lib.js" in (html / "asv.html").read_text()


def test_the_front_page_stands_before_the_page_of_asv_however_often_it_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site, "modules", lambda: iter(()))
    (tmp_path / "index.html").write_text("<title>of asv</title>")
    for _ in range(2):
        assert site.main(["--html", str(tmp_path)]) == 0
        assert "What derivatives cost" in (tmp_path / "index.html").read_text()
        assert (tmp_path / "asv.html").read_text() == "<title>of asv</title>"


def test_without_a_published_site_the_way_to_make_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert site.main(["--html", str(tmp_path)]) == 1
    assert "make site" in capsys.readouterr().err


def test_a_copy_that_is_not_what_the_page_expects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(offline.WrongDigest, match=r"https://a\.example/x/lib\.js"):
        offline.with_copies(asv_like_page(b"code"), tmp_path, tmp_path / "kept", lambda url: b"other code")
    assert not list(tmp_path.iterdir())


def test_the_installed_asv_loads_nothing_from_elsewhere_that_would_not_be_copied() -> None:
    asv = pytest.importorskip("asv")
    shown = (Path(asv.__file__).parent / "www" / "index.html").read_text(encoding="utf-8")
    outside = re.findall('(?:src|href)="(https://[^"]*\\.(?:js|css))"', shown)
    assert [url for url, _ in offline.ELSEWHERE.findall(shown)] == outside != []


def test_npm_has_each_file_that_the_installed_asv_loads() -> None:
    asv = pytest.importorskip("asv")
    shown = (Path(asv.__file__).parent / "www" / "index.html").read_text(encoding="utf-8")
    assert {url for url, _ in offline.ELSEWHERE.findall(shown)} == set(offline.PACKED)


@pytest.mark.parametrize("steps", [False, True], ids=["numbers of inputs", "steps"])
def test_a_plot_names_its_curves_at_their_ends(steps: bool, tmp_path: Path) -> None:
    plot = next(differences.plots() if steps else chain_order.plots())
    from matplotlib import rc_context

    with rc_context({"svg.fonttype": "none"}):
        picture.figure_of(plot).savefig(tmp_path / "plot.svg")
    drawn = (tmp_path / "plot.svg").read_text()
    assert all(f">{curve.name}<" in drawn for curve in plot.curves)
