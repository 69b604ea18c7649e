"""The pictures of networks: what is in them, in SVG that a parser reads, whatever units are called."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hostile_names import NAMES, visible

from shared.core.visible import shortened
from shared.networks.backprop import backprop
from shared.networks.diagram import NetworkDiagram, network_diagram
from shared.networks.mlp import MLP

SVG = "{http://www.w3.org/2000/svg}"


def elements(diagram: NetworkDiagram, tag: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(diagram.svg).iter(SVG + tag))


def texts(diagram: NetworkDiagram) -> list[str]:
    return ["".join(element.itertext()) for element in elements(diagram, "text")]


def small() -> tuple[MLP, list[tuple[np.ndarray, np.ndarray]]]:
    mlp = MLP([2, 3, 2], "sigmoid")
    return mlp, mlp.initialise("xavier_normal", np.random.default_rng(1))


def test_layers_have_their_variables_and_the_derivatives_alternate_backwards() -> None:
    diagram = network_diagram(MLP([784, 15, 10], "sigmoid"))
    forward = [text for text in texts(diagram) if re.match(r"(x = )?[za][⁰¹²] : ", text)]
    assert forward == ["x = a⁰ : 784", "z¹ : 15", "a¹ : 15", "z² : 10", "a² : 10"]
    derivatives = {
        "".join(e.itertext()): float(e.get("y", "nan"))
        for e in elements(diagram, "text")
        if re.match(r"∂C/∂[za]", "".join(e.itertext()))
    }
    upwards = sorted(derivatives, key=lambda name: -derivatives[name])
    assert upwards == ["∂C/∂z² = δ²", "∂C/∂a¹", "∂C/∂z¹ = δ¹"]
    assert {"∂C/∂W² = ∂C/∂z² (a¹)ᵀ", "∂C/∂b² = ∂C/∂z²", "15 \u00d7 784", "(W²)ᵀ"} <= set(texts(diagram))


@pytest.mark.parametrize("output", ["identity", "sigmoid"])
@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "binary_cross_entropy", "half_squared_error"])
def test_the_loss_is_left_out_only_after_logits_of_a_cross_entropy(loss: str, output: str) -> None:
    drawn = texts(network_diagram(MLP([2, 2], output=output), loss=loss))
    left_out = output == "identity" and loss != "half_squared_error"
    assert any(text.startswith("Loss") for text in drawn) != left_out
    assert ("∂C/∂a¹" in drawn) != left_out


def test_a_linear_layer_is_as_wide_as_its_sizes_say() -> None:
    corners = elements(network_diagram(MLP([100, 5, 100]), backward=False), "polygon")
    widths = []
    for corner in corners:
        points = [tuple(map(float, point.split(","))) for point in corner.get("points", "").split()]
        if len(points) == 4:
            widths.append((points[1][0] - points[0][0], points[2][0] - points[3][0]))
    assert widths[0] == widths[1][::-1] and widths[0][0] > widths[0][1]


def test_neurons_show_the_numbers_of_the_passes() -> None:
    mlp, parameters = small()
    _, _, passes = backprop(mlp, parameters, [1.0, -2.0], 0, deltas=True)
    diagram = network_diagram(mlp, passes, form="neurons", inputs=["left", "right"], outputs=["cat"])
    shown = texts(diagram)
    assert {"left", "right", "cat"} <= set(shown)
    for layer, a in passes.a.items():
        for unit in a:
            assert f"{unit:.2f}".replace("-", "\u2212") in shown, layer
    for delta in passes.delta.values():
        for unit in delta:
            assert f"δ = {unit:.2f}".replace("-", "\u2212") in shown
    weights = np.concatenate([passes.w[layer].T.ravel() for layer in (1, 2)])
    lines = elements(diagram, "line")
    assert len(lines) == len(weights) == 12
    colours = [line.get("stroke") for line in lines]
    assert [colour == colours[int(np.argmax(weights))] for colour in colours] == list(weights >= 0)
    thickest = [float(line.get("stroke-width", "nan")) for line in lines[:6]]
    assert np.argmax(thickest) == np.argmax(np.abs(weights[:6]))
    assert not any("δ" in text for text in texts(network_diagram(mlp, passes, form="neurons", backward=False)))


@pytest.mark.parametrize("backward", [True, False])
@pytest.mark.parametrize("form", ["layers", "neurons"])
@pytest.mark.parametrize(
    "sizes",
    [[1, 1], [784, 15, 10], [30] * 8, [20] * 150, [150528, 25088, 4096, 1000]],
    ids=lambda sizes: str(sizes[:3]),
)
def test_large_networks_fold_and_nothing_leaves_the_picture(sizes: list[int], form: str, backward: bool) -> None:
    diagram = network_diagram(MLP(sizes, "softsign"), form=form, backward=backward)  # type: ignore[call-overload]
    width, height = (float(ElementTree.fromstring(diagram.svg).get(side, "nan")) for side in ("width", "height"))
    assert width <= 880 and len(diagram.svg) < 60_000
    for tag, names in (("line", ("x1", "y1")), ("line", ("x2", "y2")), ("circle", ("cx", "cy"))):
        for element in elements(diagram, tag):
            x, y = (float(element.get(name, "nan")) for name in names)
            assert 0 <= x <= width and 0 <= y <= height
    for element in elements(diagram, "text"):
        long = 0.55 * float(element.get("font-size", "nan")) * len("".join(element.itertext()))
        left = (
            float(element.get("x", "nan"))
            - {"start": 0.0, "middle": 0.5, "end": 1.0}[element.get("text-anchor", "")] * long
        )
        assert left >= 0 and left + long <= width and 0 < float(element.get("y", "nan")) < height
    assert any("more layers" in text for text in texts(diagram)) == (len(sizes) > 8)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_names_of_units_are_text(name: str) -> None:
    mlp, _ = small()
    diagram = network_diagram(mlp, form="neurons", inputs=[name], outputs=["b", name])
    harmless = network_diagram(mlp, form="neurons", inputs=["a"], outputs=["b", "a"])
    parts = [[element.tag for element in ElementTree.fromstring(d.svg).iter()] for d in (diagram, harmless)]
    assert parts[0] == parts[1]
    assert texts(diagram).count(shortened(visible(name), 11)) == 2


def test_what_cannot_be_drawn_says_why(tmp_path: Path) -> None:
    mlp, parameters = small()
    _, _, passes = backprop(mlp, parameters, np.ones((4, 2)), [0, 1, 0, 1], deltas=True)
    with pytest.raises(ValueError, match="those of one example"):
        network_diagram(mlp, passes, form="neurons")
    with pytest.raises(ValueError, match="choose 'layers' or 'neurons'"):
        network_diagram(mlp, form="units")  # type: ignore[call-overload]
    with pytest.raises(ValueError, match=r"inputs names 3 units \(at .*test_diagram.py:[0-9]+\); the network has 2"):
        network_diagram(mlp, form="neurons", inputs=list("abc"))
    with pytest.raises(ValueError, match="there is no loss 'none'"):
        network_diagram(mlp, loss="none")
    with pytest.raises(TypeError, match="draws an MLP, not list"):
        network_diagram([2, 3])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"written as \.svg, not as '\.png'"):
        network_diagram(mlp).save(tmp_path / "network.png")
    path = network_diagram(mlp).save(tmp_path / "network.svg")
    assert path.read_text(encoding="utf-8") == network_diagram(mlp)._repr_svg_()
