"""The page in a real browser: it is gone through step by step, and what it shows is compared with both engines.

One browser is started for all of it; where there is none, or no driver of it, the tests say so.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
import shared
from shared import MLP

selenium = pytest.importorskip("selenium", reason="selenium is not installed (the extra `test` has it)")
CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if p), None)
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="no chromium and chromedriver on the PATH, so no page is looked at"
)
#: Seconds that a slow machine may take for what usually takes a tenth of one.
PATIENCE = 120


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    profile = tmp_path_factory.mktemp("profile")
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", f"--user-data-dir={profile}",
        "--window-size=1200,900",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    try:
        driver.set_page_load_timeout(PATIENCE)
        driver.set_script_timeout(PATIENCE)
        yield driver
    finally:
        driver.quit()


class Reader:
    """What a reader sees of a page, and does with it."""

    def __init__(self, driver: Any, page: Any, folder: Path):
        self.driver = driver
        driver.get_log("browser")
        driver.get(page.save(folder / "page.html").as_uri())
        driver.execute_script("document.getElementById('digits').click()")

    def press(self, *keys: str) -> None:
        script = (
            "for (const key of arguments[0]) document.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}))"
        )
        self.driver.execute_script(script, keys)

    def text(self, id: str) -> str:
        return str(self.driver.execute_script("return document.getElementById(arguments[0]).textContent", id))

    def column(self, column: int) -> dict[str, str]:
        """The cells of a column of the trace, by what stands on the left."""
        script = (
            "return Object.fromEntries([...document.querySelectorAll('tr[data-v]')].map(r => "
            "[r.children[0].textContent.split(' = ')[0], r.children[arguments[0]].textContent]))"
        )
        found: dict[str, str] = self.driver.execute_script(script, column)
        return found

    def lit(self) -> dict[str, Any]:
        """What is lit up: the row, the nodes of the graph that is shown, the line of the source."""
        script = (
            "const of = (s, f) => [...document.querySelectorAll(s)].map(f);"
            "return {rows: of('tr.now:not(.item)', e => e.dataset.v),"
            " nodes: of('.view:not([hidden]).wide g.node.now:not(.connector)', e => e.dataset.v),"
            " lines: of('li.now', e => e.textContent.trim())}"
        )
        found: dict[str, Any] = self.driver.execute_script(script)
        return found

    def complaints(self) -> list[Any]:
        return list(self.driver.get_log("browser"))


def number(text: str) -> float:
    """A number off the page: what it comes to, if it is a sum."""
    return float(text.split(" = ")[-1].replace("−", "-"))


@pytest.fixture
def read(browser: Any, tmp_path: Path) -> Callable[[Any], Reader]:
    return lambda page: Reader(browser, page, tmp_path)


def textbook(x1: Any, x2: Any) -> Any:
    v1 = np.log(x1)
    v2 = x1 * x2
    v3 = np.sin(x2)
    return v1 + v2 - v3


def test_the_textbook_example_step_by_step(read: Callable[[Any], Reader]) -> None:
    args = (2.0, 5.0)
    page = read(shared.page(textbook, *args))
    assert page.text("where") == "values: step 0 of 5" and page.column(1)["v1"] == ""
    page.press("ArrowRight", "ArrowRight", "ArrowRight")
    assert page.lit() == {"rows": ["4"], "nodes": ["4"], "lines": ["v3 = np.sin(x2)"]}
    assert number(page.column(1)["v3"]) == np.sin(5.0) and page.column(1)["v4"] == ""
    page.press("PageDown", "ArrowRight", "ArrowRight", "ArrowRight")
    said = page.text("sentence")
    assert said.startswith("v3 = sin(x2): adjoint −1 adds") and "= −0.28366 to x2" in said
    assert page.lit() == {"rows": ["4"], "nodes": ["4"], "lines": ["v3 = np.sin(x2)"]}
    page.press("ArrowRight")
    assert "multiply switches: " in page.text("sentence") and "which then has 1.7163" in page.text("sentence")
    for engine in (dualad, reversead):
        page.press("r", "End")
        adjoints, gradient = page.column(5), engine.grad(textbook, (0, 1))(*args)
        assert [number(adjoints[name]) for name in ("x1", "x2")] == pytest.approx(gradient, rel=1e-15)
    assert adjoints["x1"].startswith("5.0 + 0.5 = ")
    page.press("f", "End")
    assert page.text("where") == "pass 2 of 2, step 5 of 5"
    assert number(page.column(3)["v5"]) == dualad.jvp(textbook, args, (0.0, 1.0))[1]
    page.press("PageUp", "ArrowLeft")
    assert number(page.column(3)["v5"]) == dualad.jvp(textbook, args, (1.0, 0.0))[1]
    assert number(page.text("operations").replace(",", "")) == shared.count_operations(
        lambda *x: dualad.jvp(textbook, x, (1.0, 0.0)), *args
    )
    assert page.complaints() == []


def test_space_plays_where_the_slider_has_the_focus(read: Callable[[Any], Reader]) -> None:
    page = read(shared.page(textbook, 2.0, 5.0))
    for pressed in ("true", "false"):
        page.driver.execute_script(
            "document.getElementById('step').dispatchEvent(new KeyboardEvent('keydown', {key: ' ', bubbles: true}))"
        )
        playing = page.driver.execute_script("return document.getElementById('play').getAttribute('aria-pressed')")
        assert playing == pressed


def test_a_network_with_its_layers_opened(read: Callable[[Any], Reader]) -> None:
    network = MLP([2, 3, 1], "tanh")
    theta = network.initialise("xavier_normal", np.random.default_rng(0))
    loss = network.objective("half_squared_error")
    x, y = np.array([[0.5, -1.0]]), np.array([[0.25]])
    page = read(shared.page(loss, theta, x, y, argnums=0))
    page.press("End")
    assert (
        page.driver.execute_script(
            "return getComputedStyle(document.querySelector('.folding tr:nth-child(2)')).display"
        )
        == "none"
    )
    page.driver.execute_script(
        "document.querySelector('.view.wide:not([hidden]) g.layer')"
        ".dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    assert page.driver.execute_script("return document.querySelector('.view:not([hidden])').dataset.view") == "0"
    adjoints = page.column(5)
    found = [adjoints[name] for name in ("w¹ᵀ", "b¹", "w²ᵀ", "b²")]
    for engine in (dualad, reversead):
        slopes = [slope for layer in engine.grad(loss)(theta, x, y) for slope in layer]
        assert [text.split("norm ")[-1] for text in found[:1]] == [f"{np.linalg.norm(slopes[0]):.5g}"]
        assert json.loads(found[1].replace("−", "-")) == pytest.approx(slopes[1], rel=1e-4)
        assert json.loads(found[3].replace("−", "-")) == pytest.approx(slopes[3], rel=1e-4)
    assert "δ¹" in page.driver.execute_script("return document.querySelector('table').textContent")
    page.driver.execute_script(
        "const s = document.getElementById('chain-step'); s.value = 2; s.dispatchEvent(new Event('input'))"
    )
    assert page.text("chain-where").startswith("2 of 2 products; 9 mult")
    assert page.complaints() == []


def loop(x: Any, n: Any) -> Any:
    total = np.zeros(3, like=x)
    for k in range(3):
        total[k] = np.sin(x[k]) * x[k - 1]
    return np.sum(total * n)


def test_a_loop_over_an_array(read: Callable[[Any], Reader]) -> None:
    args = (np.array([0.5, -1.0, 2.0]), np.array([1.0, 2.0, 3.0]))
    page = read(shared.page(loop, *args, argnums=0))
    page.press("End")
    shown = json.loads(page.column(5)["x"].split(" = ")[-1].replace("−", "-"))
    for engine in (dualad, reversead):
        np.testing.assert_allclose(shown, engine.grad(loop)(*args), rtol=1e-4)
    page.press("f")
    seen = []
    for keys in (["PageDown", "ArrowLeft"], ["PageDown", "PageDown", "ArrowLeft"], ["End"]):
        page.press("Home", *keys)
        seen.append(number(page.column(3)["loop"]))
    np.testing.assert_allclose(seen, reversead.grad(loop)(*args), rtol=1e-14)
    assert page.complaints() == []


def test_vertices_are_eliminated_one_at_a_time(read: Callable[[Any], Reader]) -> None:
    page = read(shared.page(textbook, 2.0, 5.0))
    orders = shared.elimination_orders(textbook, 2.0, 5.0)
    for name in ("forward", "reverse", "markowitz"):
        last = page.driver.execute_script(
            "document.querySelector(`#order-tabs [data-order=${arguments[0]}]`).click();"
            "const s = document.getElementById('order-step'); s.value = s.max; s.dispatchEvent(new Event('input'));"
            "return [...document.querySelectorAll('.stage:not([hidden]) .partial .above')].map(e => e.textContent)",
            name,
        )
        assert page.text("order-where").endswith(f"{orders[name].multiplications} multiplications")
        assert sorted(map(number, last)) == pytest.approx([1.72, 5.5])
    assert page.complaints() == []


def test_a_notebook_shows_it_in_a_frame(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "notebook.html"
    page = shared.page(textbook, 2.0, 5.0)
    path.write_text(f'<!DOCTYPE html><meta charset="utf-8"><body>{page._repr_html_()}', encoding="utf-8")
    browser.get_log("browser")
    browser.get(path.as_uri())
    browser.switch_to.frame(0)
    assert browser.execute_script("return document.getElementById('where').textContent") == "values: step 0 of 5"
    browser.switch_to.default_content()
    assert browser.get_log("browser") == []


def test_names_run_no_script(read: Callable[[Any], Reader]) -> None:
    hostile = "</script><script>hit=1</script><img src=x onerror=hit=1>\u2028'\"><svg onload=hit=1>"

    def f(p: Any) -> Any:
        return np.sin(p[hostile]) * p[hostile]

    f.__name__ = f.__qualname__ = hostile
    page = read(shared.page(f, {hostile: 0.5}))
    page.press("End")
    assert page.driver.execute_script("return [typeof hit, document.images.length, document.scripts.length]") == [
        "undefined", 0, 3,
    ]  # fmt: skip
    assert "</script><script>hit=1" in page.driver.execute_script("return document.querySelector('h1').textContent")
    assert page.complaints() == []


@pytest.mark.parametrize("width", [1200, 400])
def test_a_page_is_no_wider_than_its_window(width: int, browser: Any, tmp_path: Path) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    )
    browser.get(shared.page(textbook, 2.0, 5.0).save(tmp_path / "page.html").as_uri())
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
