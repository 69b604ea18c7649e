"""Drawing recorded programs: what the DOT text says of values, adjoints, layers and operands; and files and errors.

No test needs Graphviz, except those that say so: they are skipped where its program `dot` is not installed.
"""

from __future__ import annotations

import html
import pickle
import re
import runpy
import shutil
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from shared import MLP, ProgramGuardError, ShapeError, draw, relu, sigmoid, trace
from shared.networks.losses import softmax_cross_entropy
from shared.programs.explaining import labels
from shared.programs.explaining.appearance import KINDS
from shared.programs.explaining.drawing import LARGEST, Drawing
from shared.programs.explaining.layers import layers

GRAPHS = Path(__file__).parents[2] / "docs" / "graphs"
TIMES = "\N{MULTIPLICATION SIGN}"
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz's program dot is not installed")


# --- reading DOT text ---------------------------------------------------------------------------------------------


class Read:
    """A drawing's text, read again: the labels of its nodes, what they look like, and its edges."""

    def __init__(self, drawing: Drawing):
        self.label: dict[str, str] = {}
        self.look: dict[str, str] = {}
        self.edges: list[tuple[str, str]] = []
        self.ends: list[tuple[str, str]] = []
        for line in drawing.dot.splitlines():
            node = re.fullmatch(r"\s*(\w+) \[label=<(.*?)>, (shape=.*), tooltip=\"(?:[^\"\\]|\\.)*\"\];", line)
            edge = re.fullmatch(r"\s*([\w:]+) -> ([\w:]+)(?: \[.*\])?;", line)
            if node:
                self.label[node[1]], self.look[node[1]] = node[2], node[3]
            elif edge:
                self.ends.append((edge[1], edge[2]))
                self.edges.append((edge[1].split(":")[0], edge[2].split(":")[0]))

    def text(self, node: str) -> list[str]:
        """The pieces of text in a node's label."""
        root = ElementTree.fromstring(f"<label>{self.label[node]}</label>".replace("&#160;", " "))
        # Of two backslashes Graphviz makes one.
        return [piece.strip().replace("\\\\", "\\") for piece in root.itertext() if piece.strip()]

    def told(self) -> dict[str, list[str]]:
        """What the wire behind each node says: the value, and the adjoint if there is one."""
        return {self.source(wire): self.text(wire) for wire in self.label if wire.startswith("w")}

    def source(self, wire: str) -> str:
        return next(tail for tail, head in self.edges if head == wire)

    def without_wires(self) -> list[tuple[str, str]]:
        return [
            (self.source(tail) if tail.startswith("w") else tail, head)
            for tail, head in self.edges
            if not head.startswith("w")
        ]

    def operands(self, node: str) -> list[str]:
        """The text of the nodes whose edges enter a node, from the upper left to the lower left."""
        order = {"nw": 0, "sw": 1, "p0:w": 0, "p1:w": 1, "p2:w": 2}
        found = []
        for tail, head in self.ends:
            name, _, side = head.partition(":")
            if name == node:
                start = tail.split(":")[0]
                start = self.source(start) if start.startswith("w") else start
                found.append((order[side], self.text(start)[0]))
        return [text for _, text in sorted(found)]

    def of_kind(self, kind: str) -> list[str]:
        return [node for node, look in self.look.items() if look == KINDS[kind][0]]


def reaches(edges: list[tuple[str, str]], start: str, goal: str) -> bool:
    seen, waiting = set(), [start]
    while waiting:
        node = waiting.pop()
        if node == goal:
            return True
        if node not in seen:
            seen.add(node)
            waiting += [head for tail, head in edges if tail == node]
    return False


def is_acyclic(edges: list[tuple[str, str]]) -> bool:
    incoming = Counter(head for _, head in edges)
    waiting = [node for node in {tail for tail, _ in edges} if not incoming[node]]
    passed = 0
    while waiting:
        node = waiting.pop()
        for tail, head in edges:
            if tail == node:
                passed += 1
                incoming[head] -= 1
                if not incoming[head]:
                    waiting.append(head)
    return passed == len(edges)


# --- programs -----------------------------------------------------------------------------------------------------


def product(x: Any, y: Any, z: Any) -> Any:
    return (x + y) * z


def neuron(w0: Any, w1: Any, w2: Any, x0: Any, x1: Any) -> Any:
    return 1 / (1 + np.exp(-(w0 * x0 + w1 * x1 + w2)))


def two_layers() -> tuple[Any, tuple[Any, ...]]:
    network = MLP([3, 5, 2])
    rng = np.random.default_rng(0)
    parameters = network.initialise("xavier_normal", rng)
    return network.objective(), (parameters, rng.normal(size=(4, 3)), np.eye(2)[[0, 1, 1, 0]])


def recurrent(W: Any, U: Any, b: Any, xs: Any) -> Any:
    state = np.zeros(4)
    for x in xs:
        state = np.tanh(state @ W + x @ U + b)
    return np.sum(np.abs(state))


def assigning(x: Any) -> Any:
    y = np.zeros_like(x)
    y[0] = x[1] * 2
    if y[0] > 0:
        y[1:] += x[0]
    return y.sum(), np.sort(x)


RNG = np.random.default_rng(1)
A, V, B, X = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 2)), RNG.normal(size=4), RNG.normal(size=(5, 3))


def _flat(theta: Any, x: Any) -> Any:
    hidden = np.tanh(x @ theta[:12].reshape(3, 4) + theta[12:16])
    return hidden @ theta[16:24].reshape(4, 2)


def _leaky(A: Any, V: Any, x: Any) -> Any:
    z = x @ A
    h = np.where(z > 0, z, 0.1 * z) @ V
    return h * sigmoid(h)


#: function, arguments, parameters, and for each layer found its operations (views of weights are not listed)
LAYERS: dict[str, tuple[Any, tuple[Any, ...], int | None, list[str]]] = {
    "regression": (
        lambda w, b, x, y: np.mean((x @ w + b - y) ** 2),
        (A[:, 0], 0.5, X, X[:, 0]),
        2,
        ["layer: matmul add", "loss: subtract square mean"],
    ),
    "regression, every argument a parameter": (
        lambda w, b, x, y: np.mean((x @ w + b - y) ** 2),
        (A[:, 0], 0.5, X, X[:, 0]),
        None,
        ["layer: matmul add", "loss: subtract square mean"],
    ),
    "softmax regression": (
        lambda W, b, x, y: softmax_cross_entropy(x @ W + b, y),
        (A, B, X, np.eye(4)[[0, 1, 2, 3, 0]]),
        2,
        ["layer: matmul add", "loss: log_softmax matmul multiply"],
    ),
    "data captured": (lambda W, b: np.sum(np.tanh(X @ W + b)), (A, B), None, ["layer: matmul add tanh"]),
    "parameters captured": (
        lambda x: np.sum(np.tanh(x @ A + B) @ V),
        (X,),
        None,
        ["layer 1: matmul add tanh", "layer 2: matmul"],
    ),
    "columns": (
        lambda W, b, U, x: U @ np.tanh(W @ x + b),
        (A.T, B, V.T, X[0]),
        3,
        ["layer 1: matmul add tanh", "layer 2: matmul"],
    ),
    "transposed weights": (lambda W, x: relu(x @ W.T), (A.T, X), 1, ["layer: matmul relu"]),
    "one flat vector of parameters": (
        _flat,
        (RNG.normal(size=24), X),
        1,
        ["layer 1: matmul add tanh", "layer 2: matmul"],
    ),
    "activations of several operations": (
        _leaky,
        (A, V, X),
        2,
        ["layer 1: matmul gt multiply where", "layer 2: matmul sigmoid multiply"],
    ),
    "residual": (
        lambda W, x: np.sum(x + np.tanh(x @ W) + 1.0),
        (A[:, :3], X),
        1,
        ["layer: matmul tanh", "loss: add add sum"],
    ),
    "recurrent": (
        recurrent,
        (np.eye(4), A, B, [X[0], X[1]]),
        3,
        ["layer 1: matmul matmul add add tanh", "layer 2: matmul matmul add add tanh absolute"],
    ),
    "a product used twice": (
        lambda W, U, x: (lambda q: np.tanh(x @ W + q) * np.sum(q))(x @ U),
        (A, 2 * A, X),
        2,
        ["layer 1: matmul", "layer 2: matmul"],
    ),
    "logistic neuron on vectors": (
        lambda w, b, x: 1 / (1 + np.exp(-(w @ x + b))),
        (A[:, 0], 0.1, X[0]),
        2,
        ["layer: matmul add negative exp add divide"],
    ),
    "an inner product alone": (lambda x, y: np.exp(x @ y), (X[0], X[1]), None, []),
    "a hidden value used elsewhere": (
        lambda W, b, x: (np.tanh(x @ W + b), x @ W),
        (A, B, X),
        2,
        ["layer 1: matmul add tanh", "layer 2: matmul"],
    ),
    "a weighted input used twice": (
        lambda W, b, x: (lambda z: np.tanh(z) * 2 + np.sum(z))(x @ W + b),
        (A, B, X),
        2,
        ["layer: matmul add"],
    ),
    "no product": (product, (1.0, 2.0, 3.0), None, []),
}


def parameters_of(program: Any, count: int | None) -> list[int]:
    return list(program.inputs[:count])


@pytest.mark.parametrize("case", LAYERS)
def test_layers_are_found(case: str) -> None:
    f, args, count, expected = LAYERS[case]
    program = trace(f, *args)
    found = [
        f"{layer.title}: {' '.join(e.primitive.name for e in layer.equations if not labels.is_view(e))}"
        for layer in layers(program, parameters_of(program, count))
    ]
    assert found == expected


@pytest.mark.parametrize("case", LAYERS)
def test_one_value_of_a_layer_is_used_elsewhere(case: str) -> None:
    f, args, count, _ = LAYERS[case]
    program = trace(f, *args)
    for layer in layers(program, parameters_of(program, count)):
        own = layer.results
        outside = {k for step in program.steps if step.result not in own for k in step.operands} | set(program.outputs)
        assert own & outside <= {layer.exit}


def test_the_reverse_sweep_of_a_network_has_no_layers_of_its_own() -> None:
    f, args = two_layers()
    program = trace(reversead.grad(f), *args)
    found = layers(program, program.inputs[:4])
    assert [layer.title for layer in found] == ["layer 1", "layer 2"]
    assert [e.primitive.name for e in found[0].equations] == ["matmul", "add", "tanh"]


# --- values and adjoints ------------------------------------------------------------------------------------------


def test_edges_carry_value_and_adjoint() -> None:
    # The first example of most lecture notes on backpropagation: x = -2, y = 5, z = -4.
    read = Read(draw(trace(product, -2.0, 5.0, -4.0), -2.0, 5.0, -4.0))
    assert read.told() == {
        "v0": ["-2", "-4"],
        "v1": ["5", "-4"],
        "v2": ["-4", "3"],
        "v3": ["3", "-4"],
        "v4": ["-12", "1"],
    }


def test_values_and_adjoints_are_those_of_the_engines() -> None:
    point = (2.0, -3.0, -3.0, -1.0, -2.0)
    told = Read(draw(trace(neuron, *point), *point, digits=17)).told()
    gradient = reversead.grad(neuron, argnums=(0, 1, 2, 3, 4))(*point)
    for k in range(5):
        assert [float(text) for text in told[f"v{k}"]] == pytest.approx([point[k], gradient[k]], rel=1e-15)


def test_of_arrays_edges_carry_shape_and_norm() -> None:
    x = np.array([[3.0, 0.0], [0.0, 4.0]])
    told = Read(draw(trace(lambda x: np.sum(x * x), x), x)).told()
    assert told == {"v0": ["‖5‖", "‖10‖"], "v1": [f"2{TIMES}2 ‖18.4‖", "‖2‖"], "v2": ["25", "1"]}


def test_norms_do_not_overflow() -> None:
    x = np.array([3e200, -4e200])
    assert Read(draw(trace(lambda x: x[0], x), x)).told()["v0"] == ["‖5e+200‖", "‖1‖"]


def test_what_depends_on_data_alone_has_no_adjoint() -> None:
    f = lambda w, x: w * np.sin(x)  # noqa: E731
    told = Read(draw(trace(f, 2.0, 0.5), 2.0, 0.5, argnums=0)).told()
    assert [len(told[node]) for node in ("v0", "v1", "v2", "v3")] == [2, 1, 1, 2]
    told = Read(draw(trace(f, 2.0, 0.5), 2.0, 0.5)).told()
    assert [len(told[node]) for node in ("v0", "v1", "v2", "v3")] == [2, 2, 2, 2]


def test_a_value_used_twice_has_one_wire_that_forks() -> None:
    read = Read(draw(trace(lambda x: np.sin(x) * np.cos(x), 1.0), 1.0))
    assert [head for tail, head in read.edges if tail == "w0"] == ["v1", "v2"]
    assert sum(head == "w0" for _, head in read.edges) == 1


def test_without_arguments_there_are_no_values() -> None:
    read = Read(draw(trace(product, -2.0, 5.0, -4.0)))
    assert read.told() == {}
    assert read.edges == [("v0", "v3"), ("v1", "v3"), ("v3", "v4"), ("v2", "v4"), ("v4", "out0")]


def test_adjoints_need_a_number_or_a_cotangent() -> None:
    x = np.array([1.0, 2.0])
    program = trace(lambda x: x * 3.0, x)
    assert Read(draw(program, x)).told()["v0"] == ["‖2.24‖"]
    assert Read(draw(program, x, cotangent=np.array([1.0, 0.0]))).told()["v0"] == ["‖2.24‖", "‖3‖"]
    with pytest.raises(ShapeError, match="cotangent"):
        draw(program, x, adjoints=True)
    number = trace(product, 1.0, 2.0, 3.0)
    assert Read(draw(number, 1.0, 2.0, 3.0, adjoints=False)).told()["v0"] == ["1"]


def test_values_are_of_the_arguments_given_and_guards_are_checked() -> None:
    program = trace(lambda x: x * 2.0 if x > 0 else -x, 1.0)
    assert ["6", "1"] in Read(draw(program, 3.0)).told().values()
    for adjoints in (True, False):
        with pytest.raises(ProgramGuardError, match="branch"):
            draw(program, -3.0, adjoints=adjoints)
    with pytest.raises(ProgramGuardError, match="structure"):
        draw(program, 1.0, 2.0)


def test_drawing_changes_neither_program_nor_arguments() -> None:
    f, args = two_layers()
    program = trace(f, *args)
    before = pickle.dumps((program, args))
    draw(program, *args)
    draw(program, *args, fold=False, direction="down")
    assert pickle.dumps((program, args)) == before


# --- what nodes look like -----------------------------------------------------------------------------------------


def test_kinds_differ_in_grey() -> None:
    def colourless(look: str) -> str:
        return re.sub(r"(, )?(fill|font)?color=(\"#\w+\"|\w+)", "", look)

    assert len({colourless(look) for look, _ in KINDS.values()}) == len(KINDS)


def test_kinds_of_nodes() -> None:
    def f(w: Any, x: Any) -> Any:
        h = w * x
        if h[0] > 0.0:
            h = h + A[0, :3]
        np.exp(h)
        return np.sum(h * np.arange(3.0))

    read = Read(draw(trace(f, np.ones(3), np.ones(3)), argnums=0))

    def texts(kind: str) -> list[str]:
        return [read.text(node)[0] for node in read.of_kind(kind)]

    assert texts("parameter") == ["w"]
    assert texts("data") == ["x", "array1", "array([0.0, 1.0, 2.0])"]
    assert texts("constant") == ["0.0"]
    assert texts("guard") == ["is True"]
    assert texts("unused") == ["exp"]
    assert texts("output") == ["f"]
    assert texts("operation") == ["[0]", "sum"]


def test_integers_are_data() -> None:
    read = Read(draw(trace(lambda x, n: x * n, 1.0, np.arange(3))))
    assert [read.text(node) for node in read.of_kind("data")] == [["n", "int64 (3)"]]


def test_the_legend_lists_what_there_is() -> None:
    program = trace(product, 1.0, 2.0, 3.0)
    words = draw(program, 1.0, 2.0, 3.0).dot.splitlines()[-2]
    assert [word in words for word in ("parameter", "operation", "output", "value", "adjoint")] == [True] * 5
    assert [word in words for word in ("data", "constant", "guard", "norm", "unused", "first")] == [False] * 6
    assert "legend" not in draw(program, legend=False).dot and "parameter" not in draw(program, legend=False).dot


OPERATIONS = {
    "+": lambda x: x + x[0],
    "*": lambda x: x * 2.0,
    "/": lambda x: 1.0 / x,
    "-": lambda x: -x,
    "**": lambda x: x**3.5,
    "%": lambda x: x % 2.0,
    ">=": lambda x: np.where(x >= 0.0, x, 0.0),
    "@": lambda x: x @ x,
    "[0:2]": lambda x: x[0:2],
    "[::-1]": lambda x: x[::-1],
    "[1] =": lambda x: _assigned(x),
    "exp": np.exp,
    "axis=1": lambda x: np.sum(np.outer(x, x), axis=1),
}


def _assigned(x: Any) -> Any:
    y = np.copy(x)
    y[1] = 0.0
    return y


@pytest.mark.parametrize("text", OPERATIONS)
def test_operators_are_infix_and_indices_in_brackets(text: str) -> None:
    read = Read(draw(trace(OPERATIONS[text], np.array([1.0, 2.0, 3.0])), fold=False))
    assert text in [piece for node in read.label for piece in read.text(node)]


@pytest.mark.parametrize(
    ("f", "operands"),
    [
        (lambda x, y: x - y, ["x", "y"]),
        (lambda x, y: y - x, ["y", "x"]),
        (lambda x, y: 2.0 / x, ["2.0", "x"]),
        (lambda x, y: y @ x, ["y", "x"]),
        (lambda x, y: np.where(y, x, 1.0), ["y", "x", "1.0"]),
    ],
)
def test_operands_enter_in_order(f: Any, operands: list[str]) -> None:
    program = trace(f, np.full((2, 2), 1.0), np.full((2, 2), 2.0))
    read = Read(draw(program, fold=False))
    assert read.operands(f"v{program.outputs[0]}") == operands


def test_where_the_order_does_not_matter_there_is_none() -> None:
    assert Read(draw(trace(lambda x, y: x * y, 1.0, 2.0))).ends == [("v0", "v2"), ("v1", "v2"), ("v2", "out0")]


def test_downwards_the_first_operand_is_left() -> None:
    program = trace(lambda x, y: np.where(x > y, x, y), 1.0, 2.0)
    assert Read(draw(program, direction="down")).ends[:5] == [
        ("v0", "v2:nw"),
        ("v1", "v2:ne"),
        ("v2", "v3:p0:n"),
        ("v0", "v3:p1:n"),
        ("v1", "v3:p2:n"),
    ]


def test_many_operands_are_numbered() -> None:
    drawing = draw(trace(lambda x: np.concatenate([x, 2 * x, 3 * x, 4 * x]), np.ones(2)))
    assert re.findall(r"headlabel=<<font[^>]*>(\d)</font>>", drawing.dot) == ["1", "2", "3", "4"]


def test_outputs_are_named_by_their_place() -> None:
    read = Read(draw(trace(lambda x: {"a": (x, 2.0), "b": x * x}, 3.0)))
    outputs = read.of_kind("output")
    assert [read.text(node)[0] for node in outputs] == ["output['a'][0]", "output['a'][1]", "output['b']"]
    assert [read.text(tail)[0] for tail, head in read.edges if head in outputs] == ["x", "2.0", "*"]


# --- folding ------------------------------------------------------------------------------------------------------


def test_a_network_is_drawn_as_boxes() -> None:
    f, args = two_layers()
    program = trace(f, *args)
    read = Read(draw(program, argnums=0))
    boxes = {node: read.text(node) for node in read.of_kind("layer")}
    assert list(boxes.values()) == [
        ["layer 1", "@ parameters[0][0]", f"3{TIMES}5", "+ parameters[0][1]", "(5)", "tanh"],
        ["layer 2", "@ parameters[1][0]", f"5{TIMES}2", "+ parameters[1][1]", "(2)"],
        ["loss", "log_softmax", "target @", "* -0.25"],
    ]
    assert sorted(read.without_wires()) == sorted(
        [("v4", "layer1"), ("layer1", "layer2"), ("layer2", "layer3"), ("v5", "layer3"), ("layer3", "out0")]
    )


def test_a_box_shows_weights_with_values_and_adjoints() -> None:
    f, args = two_layers()
    read = Read(draw(trace(f, *args), *args, argnums=0))
    (weights, bias), _ = args[0]
    gradient = reversead.grad(f)(*args)[0]
    norms = [f"‖{np.linalg.norm(a):.3g}‖" for a in (weights, gradient[0], bias, gradient[1])]
    assert [text for text in read.text("layer1") if text.startswith("‖")] == norms
    assert len(read.told()["layer1"]) == 2


def test_auto_folds_networks_and_nothing_else() -> None:
    f, args = two_layers()
    network = trace(f, *args)
    assert draw(network, argnums=0).dot == draw(network, argnums=0, fold=True).dot
    regression = trace(*_case("regression"))
    assert draw(regression, argnums=(0, 1)).dot == draw(regression, argnums=(0, 1), fold=False).dot
    assert Read(draw(regression, argnums=(0, 1), fold=True)).of_kind("layer")
    scalar = trace(product, 1.0, 2.0, 3.0)
    assert draw(scalar, fold=True).dot == draw(scalar, fold=False).dot


def _case(name: str) -> tuple[Any, ...]:
    f, args, _, _ = LAYERS[name]
    return (f, *args)


def test_unfolded_layers_have_frames() -> None:
    f, args = two_layers()
    dot = draw(trace(f, *args), argnums=0, fold=False).dot
    frames = re.findall(r"subgraph cluster_\d \{(.*?)\n  \}", dot, re.DOTALL)
    assert [re.search(r'label="(.*?)"', frame)[1] for frame in frames] == ["layer 1", "layer 2", "loss"]  # type: ignore[index]
    assert [re.findall(r"(\w+) \[label=<(?:parameters|target|x)", frame) for frame in frames] == [
        ["v0", "v1"],
        ["v2", "v3"],
        [],
    ]


def _named(x: Any) -> Any:
    return x * 2.0


_named.__name__ = '"<&\\N\x00\ud800'

DRAWN: dict[str, tuple[Any, tuple[Any, ...]]] = {
    **{name: (f, args) for name, (f, args, _, _) in LAYERS.items()},
    "network": two_layers(),
    "penalty": (MLP([3, 5, 2]).objective(l2=0.1), (*two_layers()[1][:2], np.array([0, 1, 1, 0]))),
    "gradient of a network": (reversead.grad(two_layers()[0]), two_layers()[1]),
    "forward gradient": (dualad.grad(product), (1.0, 2.0, 3.0)),
    "assignments and guards": (assigning, (np.array([1.0, 2.0, 0.5]),)),
    "shapes from values": (lambda x: x[np.nonzero(x > 0)].sum(), (np.array([1.0, -1.0]),)),
    "weights as data": (lambda A, V, x: (x @ A).sum() + (A @ V).sum(), (A, V, X)),
    "constants returned": (lambda x: (1.0, x, np.ones(3)), (2.0,)),
    "no arguments": (lambda: np.ones(3) + A[0, :3], ()),
    "complex": (lambda z: np.abs(z * z), (1.0 + 2.0j,)),
    "nothing": (lambda x: x.sum(), (np.ones((0, 3)),)),
    "not finite": (lambda x: x * 2.0, (np.array([np.nan, np.inf]),)),
    "a name of any characters": (_named, (1.0,)),
    "text everywhere": (lambda d: d['"<b>&\n\\N'] * d["é€\x00\ud800"], ({'"<b>&\n\\N': 1.0, "é€\x00\ud800": 2.0},)),
}


@pytest.mark.parametrize("fold", [True, False], ids=["folded", "unfolded"])
@pytest.mark.parametrize("case", DRAWN)
def test_graphs_are_acyclic_and_well_formed(case: str, fold: bool) -> None:
    f, args = DRAWN[case]
    program = trace(f, *args)
    for drawing in (draw(program, fold=fold), draw(program, *args, fold=fold, direction="down")):
        read = Read(drawing)
        assert is_acyclic(read.edges)
        assert {node for edge in read.edges for node in edge} <= read.label.keys()
        for node in read.label:
            assert read.text(node)
        drawing.dot.encode("utf-8")
        assert all(c.isprintable() or c == "\n" for c in drawing.dot)
        # Every line is a statement that has been read as one, or one of the graph's own.
        statements = [line for line in drawing.dot.splitlines() if " [label=<" in line or " -> " in line]
        assert len(statements) == len(read.label) + len(read.edges)


@pytest.mark.parametrize("case", DRAWN)
def test_folding_keeps_what_depends_on_what(case: str) -> None:
    f, args = DRAWN[case]
    program = trace(f, *args)
    folded, unfolded = Read(draw(program, fold=True)), Read(draw(program, fold=False))
    inside = {k for layer in layers(program, program.inputs) for k in layer.inside}
    for k in set(program.inputs) - inside:
        for place in range(len(program.outputs)):
            ends = f"v{k}", f"out{place}"
            assert reaches(folded.edges, *ends) == reaches(unfolded.edges, *ends)


def test_a_weight_that_is_data_of_another_layer_is_drawn_too() -> None:
    program = trace(lambda V, A, x: (x @ A).sum() + (A @ V).sum(), V, A, X)
    read = Read(draw(program, argnums=(0, 1), fold=True))
    assert [read.text(box)[1] for box in ("layer1", "layer2")] == ["@ A", "@ V"]
    assert [tail for tail, head in read.without_wires() if head == "layer2"] == ["v1"]


def test_text_of_any_kind_arrives() -> None:
    f, args = DRAWN["text everywhere"]
    drawing = draw(trace(f, *args))
    assert [html.unescape(Read(drawing).text(node)[0]) for node in ("v0", "v1")] == [
        r"""d['"<b>&\n\\N']""",
        r"d['é€\x00\ud800']",
    ]


# --- bounds and errors --------------------------------------------------------------------------------------------


def _chain(x: Any, length: int) -> Any:
    for _ in range(length):
        x = np.sin(x)
    return x


def test_large_graphs_are_refused() -> None:
    # one node for the input and one for the output
    draw(trace(_chain, 1.0, LARGEST - 2))
    program = trace(_chain, 1.0, LARGEST - 1)
    with pytest.raises(ValueError, match=rf"{LARGEST + 1} nodes.*test_drawing.py:\d+.*limit={LARGEST + 1}"):
        draw(program)
    assert len(Read(draw(program, limit=LARGEST + 1)).label) == LARGEST + 1


def test_a_layer_too_large_to_draw_is_folded() -> None:
    program = trace(lambda W, x: _chain(x @ W, LARGEST), A, X)
    (box,) = (read := Read(draw(program, argnums=0))).of_kind("layer")
    # Its title, the product with the shape of the weight, six more rows, and what is left of the rows.
    assert read.text(box)[-2:] == ["sin", f"… {LARGEST + 1 - 7} more"]


def test_large_networks_are_folded_and_say_how() -> None:
    network = MLP([2] * 41)
    parameters = network.initialise("xavier_normal", np.random.default_rng(0))
    program = trace(network, parameters, np.ones(2))
    assert len(Read(draw(program, argnums=0)).of_kind("layer")) == 40
    with pytest.raises(ValueError, match="fold=True"):
        draw(program, argnums=0, fold=False)
    with pytest.raises(ValueError, match="folded already"):
        draw(program, argnums=0, limit=20)


def test_parameters_are_chosen_by_position_or_name() -> None:
    network = MLP([2, 2])
    parameters = network.initialise("xavier_normal", np.random.default_rng(0))
    program = trace(network, parameters, np.ones(2))
    assert draw(program, argnums="parameters").dot == draw(program, argnums=0).dot
    assert draw(program, argnums=("x", 0)).dot == draw(program).dot
    assert draw(program, argnums="x").dot == draw(program, argnums=[1]).dot != draw(program).dot
    assert draw(trace(product, 1.0, 2.0, 3.0), argnums="z").dot == draw(trace(product, 1.0, 2.0, 3.0), argnums=-1).dot


def test_integers_are_taken_as_floats_where_a_program_takes_those() -> None:
    program = trace(product, -2.0, 5.0, -4.0)
    assert draw(program, -2, 5, -4).dot == draw(program, -2.0, 5.0, -4.0).dot
    assert draw(program, -2, 5, -4, adjoints=False).dot == draw(program, -2.0, 5.0, -4.0, adjoints=False).dot
    with pytest.raises(ValueError, match=r"argnums 1 is an argument of <lambda> without .*record it with 2.0"):
        draw(trace(lambda x, n: x**n, 2.0, 3), argnums=1)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"argnums": 3}, ValueError, r"argnums 3 .*test_drawing.py:\d+.* 3 positional"),
        ({"argnums": "w"}, ValueError, "argnums 'w' names no argument.*are: x, y, z"),
        ({"argnums": 1.5}, TypeError, "an int, the name of an argument, or a sequence of these, not 1.5"),
        ({"fold": "layers"}, ValueError, "True, False or 'auto'"),
        ({"direction": "up"}, ValueError, "'right' or 'down'"),
        ({"digits": 0}, ValueError, "1 to 17"),
        ({"cotangent": 1.0}, TypeError, "give the arguments"),
        ({"adjoints": True}, TypeError, "give the arguments"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        draw(trace(product, 1.0, 2.0, 3.0), **options)


# --- files and notebooks ------------------------------------------------------------------------------------------


@pytest.fixture
def no_dot(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setenv("PATH", str(empty))


@pytest.fixture
def drawing() -> Drawing:
    return draw(trace(product, 1.0, 2.0, 3.0))


@pytest.mark.usefixtures("no_dot")
def test_without_graphviz_there_is_text_but_no_other_picture(drawing: Drawing, tmp_path: Path) -> None:
    for ending in ("dot", "gv", "DOT"):
        path = drawing.save(tmp_path / f"graph.{ending}")
        assert path.read_text(encoding="utf-8") == drawing.dot
    for ending in ("png", "pdf"):
        with pytest.raises(FileNotFoundError, match=r"test_drawing.py:\d+.*save\('graph.svg'\).*apt install graphviz"):
            drawing.save(tmp_path / f"graph.{ending}")
        assert not (tmp_path / f"graph.{ending}").exists()


@pytest.mark.usefixtures("no_dot")
def test_without_graphviz_there_is_a_picture(drawing: Drawing, tmp_path: Path) -> None:
    assert drawing.save(tmp_path / "graph.svg").read_text(encoding="utf-8") == drawing.svg
    assert drawing._repr_mimebundle_() == {"image/svg+xml": drawing.svg, "text/plain": repr(drawing)}


def test_other_endings_are_refused(drawing: Drawing, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"\.svg, \.png or \.pdf, not as '\.jpg'"):
        drawing.save(str(tmp_path / "graph.jpg"))


def _pretend(script: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Put a program named dot on the PATH, alone."""
    program = tmp_path / "dot"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


@pytest.mark.skipif(sys.platform == "win32", reason="the program named dot is a shell script")
def test_the_picture_is_what_dot_writes(drawing: Drawing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _pretend('echo "$@"; while read -r line; do last=$line; done; echo "$last"', monkeypatch, tmp_path)
    assert drawing.save(tmp_path / "graph.pdf").read_text() == "-Tpdf\n}\n"


@pytest.mark.skipif(sys.platform == "win32", reason="the program named dot is a shell script")
def test_what_dot_complains_of_is_told(drawing: Drawing, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _pretend("while read -r line; do :; done; echo no fonts >&2; exit 3", monkeypatch, tmp_path)
    with pytest.raises(RuntimeError, match=r"status 3.*no fonts"):
        drawing.save(tmp_path / "graph.png")
    assert not (tmp_path / "graph.png").exists()


@needs_dot
@pytest.mark.parametrize("case", DRAWN)
def test_graphviz_reads_the_text(case: str, tmp_path: Path) -> None:
    f, args = DRAWN[case]
    program = trace(f, *args)
    for fold in (True, False):
        path = draw(program, *args, fold=fold).save(tmp_path / "graph.png")
        assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("case", DRAWN)
def test_the_picture_tells_what_the_text_tells(case: str) -> None:
    f, args = DRAWN[case]
    program = trace(f, *args)
    space = "{http://www.w3.org/2000/svg}"
    for options in ({"fold": True}, {"fold": False}, {"fold": False, "direction": "down"}):
        drawing = draw(program, *args, **options)  # type: ignore[arg-type]
        root = ElementTree.fromstring(drawing.svg)
        seen = Counter(e.text for e in root.iter(f"{space}text") if "told" in e.get("class", ""))
        for texts in Read(drawing).told().values():
            assert all(seen[text.replace("-", "\N{MINUS SIGN}")] for text in texts), texts
        if options.get("direction") is None:
            # Narrow enough to be read where a page is 880 pixels wide, but for a box that is wider by itself.
            assert float(root.get("width", "inf")) <= 880 or any(
                float(e.get("width", 0)) > 300 for e in root.iter(f"{space}rect") if e.get("class") == "box"
            )


# --- the documentation --------------------------------------------------------------------------------------------


def test_the_drawings_in_the_documentation_are_current() -> None:
    # run_path leaves no compiled file behind
    made = dict(runpy.run_path(str(GRAPHS / "draw.py"))["drawings"]())
    assert {path.stem for path in GRAPHS.glob("*.dot")} == made.keys()
    for name, found in made.items():
        kept = (GRAPHS / f"{name}.dot").read_text(encoding="utf-8")
        assert found.dot == kept, f"{name}: run python docs/graphs/draw.py"
        assert found.svg == (GRAPHS / f"{name}.svg").read_text(encoding="utf-8"), f"{name}: run docs/graphs/draw.py"


def test_the_examples_of_the_documentation_run_and_its_pictures_exist() -> None:
    text = (GRAPHS.parent / "explaining.md").read_text(encoding="utf-8")
    section = text[text.index("## Drawing") :]
    scope: dict[str, Any] = {"__name__": "explaining"}
    for code in re.findall(r"```python\n(.*?)```", section, re.DOTALL):
        exec(code, scope)
    assert Read(scope["drawing"]).told()["v4"] == ["-12", "1"]
    assert len(Read(scope["boxes"]).of_kind("layer")) == 3
    assert not Read(scope["everything"]).of_kind("layer")
    pictures = set(re.findall(r"\(graphs/(.*?)\)", section))
    assert pictures == {path.name for path in GRAPHS.glob("*.svg")}
