"""Pictures of a network in the two forms that textbooks draw: layer by layer, and neuron by neuron.

Layer by layer, variables are boxes and linear layers are trapezoids, as wide above and below as the layer is; the pass
backwards runs beside the pass forwards, with its arrows turned round.  Neuron by neuron, units are circles and weights
are lines.  The pictures are SVG, written here: no Graphviz, no matplotlib.  This module computes no derivative: the
numbers it shows are those of `Passes`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from shared.core.errors import user_line
from shared.core.visible import kind_of, one_line, shortened
from shared.networks.losses import find_loss
from shared.networks.mlp import MLP
from shared.networks.passes import Passes
from shared.programs.explaining.appearance import ADJOINT, FONT, GREY, NAME, VALUE, WIRE
from shared.programs.markup import html_text

__all__ = ["NetworkDiagram", "network_diagram"]

#: More layers than this are folded: so many are drawn at the beginning, and so many at the end.
_MOST_LAYERS, _FIRST, _LAST = 8, 3, 2
#: The same for the units of a layer.
_MOST_UNITS, _FIRST_UNITS, _LAST_UNITS = 7, 4, 2
#: Signs that look like others, by their numbers.
_MINUS, _TIMES, _PRIME = "\u2212", "\u00d7", "\u2032"
_BLUE, _YELLOW, _ROSE = "#CFE4F5", "#FBF0CF", "#F8D9C4"


class NetworkDiagram:
    """A picture of a network: `svg` is its text, `save(path)` writes it, and a notebook shows it by itself."""

    def __init__(self, svg: str):
        self.svg = svg

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the SVG to a file and return its path.

        Raises:
            ValueError: the path does not end in .svg.
        """
        path = Path(path)
        if path.suffix.lower() != ".svg":
            raise ValueError(
                f"save: a network's diagram is written as .svg, not as {path.suffix!r}{user_line()}; name it so"
            )
        path.write_text(self.svg, encoding="utf-8")
        return path

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<NetworkDiagram, {len(self.svg):,} characters of SVG>"


def network_diagram(
    network: MLP,
    passes: Passes | None = None,
    *,
    form: Literal["layers", "neurons"] = "layers",
    loss: str = "softmax_cross_entropy",
    backward: bool = True,
    inputs: Iterable[str] = (),
    outputs: Iterable[str] = (),
) -> NetworkDiagram:
    """A network drawn layer by layer, with its pass backwards, or neuron by neuron.

    In the form "layers" a variable is a box with its size, a linear layer z = W a + b a trapezoid, and an activation
    stands on the arrow.  Beside them the derivatives of the loss C run upwards: dC/dz and dC/da in turn, through the
    transposes of the weights, and from each dC/dz to the right what the layer's parameters get, dC/dW = dC/dz a^T
    and dC/db = dC/dz.  After softmax (or sigmoid) with cross-entropy the box of the loss is left out, since dC/dz is
    a - y there (Goodfellow, Bengio & Courville 2016, section 6.5); its a^L is the softmax, where `Passes` has logits.

    In the form "neurons" a unit is a circle, and a weight the line between two.  Where `passes` are given, each unit
    shows its a, a line's colour says its weight's sign and its width the size, and with `backward` delta = dC/dz stands
    below each unit.  Of many units and layers the first and the last are drawn, and the number of them is told.

    Args:
        network: an `MLP`.
        passes: what ``backprop(..., deltas=True)`` returns for one example; for the form "neurons".
        form: "layers" or "neurons".
        loss: one of `shared.networks.losses.LOSSES`; for the form "layers".
        backward: whether the pass backwards is drawn.
        inputs: names of the inputs, from the first; as many as there are, or fewer.
        outputs: names of the outputs, likewise; both for the form "neurons".

    Returns:
        A `NetworkDiagram`, at most 880 pixels wide.

    Raises:
        TypeError: the network is not an `MLP`.
        ValueError: an unknown form or loss, passes of a batch or of another network, or more names than units.

    Cost: none of `network`; it is not evaluated.

    >>> diagram = network_diagram(MLP([784, 15, 10], "sigmoid"))
    >>> "∂C/∂W² = ∂C/∂z² (a¹)ᵀ" in diagram.svg, "Loss" in diagram.svg
    (True, False)
    """
    if not isinstance(network, MLP):
        raise TypeError(
            f"network_diagram draws an MLP, not {kind_of(network)}{user_line()}"
            "; draw(trace(f, *args)) draws any program"
        )
    find_loss(loss)
    if form == "layers":
        return NetworkDiagram(_layer_by_layer(network, loss, backward))
    if form != "neurons":
        raise ValueError(f"there is no form {form!r}{user_line()}; choose 'layers' or 'neurons'")
    if passes is not None and tuple(a.shape for a in passes.a.values()) != tuple((size,) for size in network.sizes):
        shapes = ", ".join(str(a.shape) for a in passes.a.values())
        raise ValueError(
            f"the passes have activations of shapes {shapes}{user_line()}"
            f"; a network of sizes {network.sizes} is drawn with those of"
            " one example: backprop(network, parameters, x[0], target[0], deltas=True)"
        )
    names = []
    for kind, given, size in (("inputs", inputs, network.sizes[0]), ("outputs", outputs, network.sizes[-1])):
        found = [given] if isinstance(given, str) else [str(name) for name in given]
        if len(found) > size:
            raise ValueError(f"{kind} names {len(found)} units{user_line()}; the network has {size}")
        names.append(found)
    return NetworkDiagram(_neuron_by_neuron(network, passes, backward, *names))


# --- what both forms are made of --------------------------------------------------------------------------------------


class _Canvas:
    """Pieces of an SVG. All text goes through `text`, which alone escapes."""

    def __init__(self) -> None:
        self.pieces: list[str] = []

    def text(
        self, x: float, y: float, what: str, fill: str = "#222222", anchor: str = "middle", size: int = 14
    ) -> None:
        self.pieces.append(
            f'<text x="{x:g}" y="{y + 0.35 * size:g}" fill="{fill}" text-anchor="{anchor}" font-size="{size}">'
            f"{html_text(what)}</text>"
        )

    def shape(self, points: Sequence[tuple[float, float]], fill: str, stroke: str) -> None:
        corners = " ".join(f"{x:g},{y:g}" for x, y in points)
        self.pieces.append(f'<polygon points="{corners}" fill="{fill}" stroke="{stroke}" stroke-linejoin="round"/>')

    def box(self, x: float, y: float, width: float, what: str, fill: str, stroke: str = "#333333") -> None:
        """A box of a variable, 30 high, with its centre at (x, y)."""
        corner = (x - width / 2, y - 15)
        self.pieces.append(
            f'<rect x="{corner[0]:g}" y="{corner[1]:g}" width="{width:g}" height="30" fill="{fill}" stroke="{stroke}"/>'
        )
        self.text(x, y, what)

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: str, width: float) -> None:
        self.pieces.append(
            f'<line x1="{start[0]:g}" y1="{start[1]:g}" x2="{end[0]:g}" y2="{end[1]:g}" stroke="{colour}" '
            f'stroke-width="{width:g}"/>'
        )

    def arrow(self, start: tuple[float, float], end: tuple[float, float], colour: str = WIRE) -> None:
        """An arrow whose tip is at `end`; it runs straight down, up, or to a side."""
        (x, y), down, right = end, np.sign(end[1] - start[1]), np.sign(end[0] - start[0])
        back = (x - 7 * right, y - 7 * down)
        self.line(start, back, colour, 1.4)
        side = (4 * abs(down), 4 * abs(right))
        tip = [(x, y), (back[0] + side[0], back[1] + side[1]), (back[0] - side[0], back[1] - side[1])]
        self.shape(tip, colour, colour)

    def svg(self, width: float, height: float, title: str) -> str:
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" style="max-width:100%;height:auto" role="img" font-family="{FONT}">'
        )
        ground = f'<title>{html_text(title)}</title><rect width="{width:g}" height="{height:g}" fill="white"/>'
        return "\n".join([head, ground, *self.pieces, "</svg>", ""])


def _shown(count: int, most: int, first: int, last: int) -> list[int | None]:
    """The numbers 0 to count - 1 that are drawn, and None where the others would stand.

    >>> _shown(3, 3, 1, 1), _shown(9, 3, 1, 1)
    ([0, 1, 2], [0, None, 8])
    """
    if count <= most:
        return list(range(count))
    return [*range(first), None, *range(count - last, count)]


def _raised(number: int | str) -> str:
    """A layer's index as a superscript.

    >>> "z" + _raised(12)
    'z¹²'
    """
    return str(number).translate(str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _number(value: float) -> str:
    """A number in a circle, with a minus sign that is one."""
    text = f"{value:.2f}" if value == 0 or 0.005 <= abs(value) < 1000 else f"{value:.0e}"
    return text.replace("-", _MINUS)


# --- layer by layer ---------------------------------------------------------------------------------------------------

_FORWARD, _BACKWARD, _GRADIENTS = 120.0, 400.0, 680.0
#: What makes the outputs of a cross-entropy's logits; for these losses the derivative by the logits is a - y.
_LINKS = {"softmax_cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}


def _layer_by_layer(network: MLP, loss: str, backward: bool) -> str:
    canvas, sizes, layers = _Canvas(), network.sizes, len(network.sizes) - 1
    widest = max(sizes)

    def width(size: int) -> float:
        # Logarithmic: 784 inputs beside 10 outputs, and both legible.
        return 90.0 + 90.0 * float(np.log1p(size) / np.log1p(widest))

    y = 60.0
    canvas.text(_FORWARD, 22, "forward", VALUE)
    if backward:
        canvas.text(_BACKWARD, 22, "backward", ADJOINT)
        canvas.text(_GRADIENTS, 22, "gradient of the parameters", ADJOINT)
    canvas.box(_FORWARD, y, 130, f"x = a⁰ : {sizes[0]}", _YELLOW)
    for number in _shown(layers, _MOST_LAYERS, _FIRST, _LAST):
        if number is None:
            y += 46
            canvas.arrow((_FORWARD, y - 31), (_FORWARD, y - 12))
            canvas.text(_FORWARD, y, f"⋮  {layers - _FIRST - _LAST} more layers", GREY)
            if backward:
                canvas.text(_BACKWARD, y, "⋮", GREY)
                canvas.arrow((_BACKWARD, y - 12), (_BACKWARD, y - 31), ADJOINT)
            continue
        y = _layer(canvas, y, number + 1, network, (width(sizes[number]), width(sizes[number + 1])), backward, loss)
    title = f"network {shortened('-'.join(map(str, sizes)), 60)}, layer by layer"
    return canvas.svg(800 if backward else 240, y + 30, title)


def _layer(
    canvas: _Canvas, y: float, layer: int, network: MLP, widths: tuple[float, float], backward: bool, loss: str
) -> float:
    """One layer below the box of a^{l-1}, whose centre is at y; returns where the centre of the last box is."""
    before, here = _raised(layer - 1), _raised(layer)
    is_last, units = layer == len(network.sizes) - 1, network.sizes[layer]
    name = network.output if is_last else network.activation
    top, bottom, z, a = y + 33, y + 77, y + 110, y + 168
    canvas.arrow((_FORWARD, y + 15), (_FORWARD, top))
    size = f"{units} {_TIMES} {network.sizes[layer - 1]}"
    _trapezoid(canvas, _FORWARD, (top, widths[0]), (bottom, widths[1]), f"W{here}, b{here}", size)
    canvas.arrow((_FORWARD, bottom), (_FORWARD, z - 15))
    canvas.box(_FORWARD, z, 130, f"z{here} : {units}", "white")
    if backward:
        if layer > 1:
            canvas.arrow((_BACKWARD, top), (_BACKWARD, y + 15), ADJOINT)
            _trapezoid(canvas, _BACKWARD, (top, widths[0]), (bottom, widths[1]), f"(W{here})ᵀ", fill=_ROSE)
            canvas.arrow((_BACKWARD, z - 15), (_BACKWARD, bottom), ADJOINT)
        canvas.box(_BACKWARD, z, 130, f"∂C/∂z{here} = δ{here}", _ROSE)
        canvas.arrow((_BACKWARD + 65, z), (_GRADIENTS - 100, z), ADJOINT)
        canvas.box(_GRADIENTS, z - 16, 200, f"∂C/∂W{here} = ∂C/∂z{here} (a{before})ᵀ", _BLUE, NAME)
        canvas.box(_GRADIENTS, z + 16, 200, f"∂C/∂b{here} = ∂C/∂z{here}", _BLUE, NAME)
    is_linked = is_last and name == "identity" and loss in _LINKS
    name = _LINKS[loss] if is_linked else name
    canvas.arrow((_FORWARD, z + 15), (_FORWARD, a - 15))
    canvas.text(_FORWARD + 12, (z + a) / 2, name, VALUE, "start")
    canvas.box(_FORWARD, a, 130, f"a{here} : {units}", "white")
    if backward and is_linked:
        # From a to the right, then up: a - y, without a box of the loss.
        canvas.line((_FORWARD + 65, a), (_BACKWARD, a), ADJOINT, 1.4)
        canvas.arrow((_BACKWARD, a), (_BACKWARD, z + 15), ADJOINT)
        canvas.text((_FORWARD + 65 + _BACKWARD) / 2, a - 11, f"a{here} {_MINUS} y", ADJOINT)
    elif backward:
        canvas.arrow((_BACKWARD, a - 15), (_BACKWARD, z + 15), ADJOINT)
        factor = f"{_TIMES} 1" if name == "identity" else f"{_TIMES} {name}{_PRIME}(z{here})"
        canvas.text(_BACKWARD + 12, (z + a) / 2, factor, ADJOINT, "start")
        canvas.box(_BACKWARD, a, 130, f"∂C/∂a{here}", _ROSE)
    if not is_last or is_linked:
        return a
    end = a + 60
    canvas.arrow((_FORWARD, a + 15), (_FORWARD, end - 15))
    canvas.box(_FORWARD, end, 190, f"Loss C = {_FORMULAS.get(loss, loss)}", _YELLOW)
    if backward:
        canvas.line((_FORWARD + 95, end), (_BACKWARD, end), ADJOINT, 1.4)
        canvas.arrow((_BACKWARD, end), (_BACKWARD, a + 15), ADJOINT)
        if loss in _FORMULAS:
            canvas.text((_FORWARD + 95 + _BACKWARD) / 2, end - 11, f"a{here} {_MINUS} y", ADJOINT)
    return end


_FORMULAS = {"half_squared_error": f"½ |a {_MINUS} y|²"}


def _trapezoid(
    canvas: _Canvas,
    x: float,
    above: tuple[float, float],
    below: tuple[float, float],
    what: str,
    size: str = "",
    fill: str = _BLUE,
) -> None:
    """A linear layer between two heights, each given with the width there; its size stands below its name."""
    (top, wide), (bottom, narrow) = above, below
    corners = [(x - wide / 2, top), (x + wide / 2, top), (x + narrow / 2, bottom), (x - narrow / 2, bottom)]
    canvas.shape(corners, fill, NAME if fill == _BLUE else ADJOINT)
    middle = (top + bottom) / 2
    canvas.text(x, middle - 8 if size else middle, what)
    if size:
        canvas.text(x, middle + 10, size, GREY, size=12)


# --- neuron by neuron -------------------------------------------------------------------------------------------------

_RADIUS, _SPACE = 21, 66
_POSITIVE, _NEGATIVE = NAME, ADJOINT


def _neuron_by_neuron(
    network: MLP, passes: Passes | None, backward: bool, inputs: Sequence[str], outputs: Sequence[str]
) -> str:
    canvas, sizes = _Canvas(), network.sizes
    columns = _shown(len(sizes), _MOST_LAYERS, _FIRST, _LAST)
    units = {k: _shown(sizes[k], _MOST_UNITS, _FIRST_UNITS, _LAST_UNITS) for k in columns if k is not None}
    height = 90 + _SPACE * max(map(len, units.values()))
    margin = 130
    step = (880 - 2 * margin) / max(len(columns) - 1, 1)
    step = min(step, 220)
    places: dict[tuple[int, int | None], tuple[float, float]] = {}
    for column, k in enumerate(columns):
        if k is None:
            continue
        first = (height - 20) / 2 + 10 - _SPACE * (len(units[k]) - 1) / 2
        for row, unit in enumerate(units[k]):
            places[k, unit] = margin + column * step, first + row * _SPACE
    for column, k in enumerate(columns):
        if k is None:
            canvas.text(margin + column * step, height / 2, f"⋯ {len(sizes) - _FIRST - _LAST} more layers ⋯", GREY)
        elif k - 1 in units:
            _weights(canvas, k, places, units, passes)
    for (k, place), (x, y) in places.items():
        if place is None:
            canvas.text(x, y, "⋮", GREY, size=20)
            continue
        canvas.pieces.append(
            f'<circle cx="{x:g}" cy="{y:g}" r="{_RADIUS}" fill="{_YELLOW if k == 0 else "white"}" stroke="#333333"/>'
        )
        index = str(place + 1).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
        shown = _number(passes.a[k][place]) if passes else f"a{_raised(k)}{index}"
        canvas.text(x, y, shown, VALUE, size=13 if len(shown) < 6 else 10)
        if passes and backward and k:
            canvas.text(x, y + _RADIUS + 9, f"δ = {_number(passes.delta[k][place])}", ADJOINT, size=11)
        named = inputs if k == 0 else outputs if k == len(sizes) - 1 else ()
        if place < len(named):
            side, anchor = (-1, "end") if k == 0 else (1, "start")
            canvas.text(x + side * (_RADIUS + 8), y, shortened(one_line(named[place]), 11), anchor=anchor)
    for column, k in enumerate(columns):
        if k is not None:
            many = f"{sizes[k]} {'unit' if sizes[k] == 1 else 'units'}"
            what = "inputs" if k == 0 else f"layer {k}"
            canvas.text(margin + column * step, 16, what, size=13)
            canvas.text(margin + column * step, 33, many, GREY, size=12)
    width = 2 * margin + step * (len(columns) - 1)
    title = f"network {shortened('-'.join(map(str, sizes)), 60)}, neuron by neuron"
    return canvas.svg(width, height, title)


def _weights(
    canvas: _Canvas,
    layer: int,
    places: dict[tuple[int, int | None], tuple[float, float]],
    units: dict[int, list[int | None]],
    passes: Passes | None,
) -> None:
    """A line for each weight between two units that are drawn."""
    w: Any = None if passes is None else passes.w[layer]
    largest = 1.0 if w is None else float(np.max(np.abs(w))) or 1.0
    for k in units[layer - 1]:
        for j in units[layer]:
            if j is None or k is None:
                continue
            (x, y), (to_x, to_y) = places[layer - 1, k], places[layer, j]
            weight = None if w is None else float(w[j, k])
            colour = WIRE if weight is None else _POSITIVE if weight >= 0 else _NEGATIVE
            width = 1.0 if weight is None else 0.3 + 3.0 * abs(weight) / largest
            reach = _RADIUS / float(np.hypot(to_x - x, to_y - y))
            dx, dy = reach * (to_x - x), reach * (to_y - y)
            canvas.line((x + dx, y + dy), (to_x - dx, to_y - dy), colour, width)
