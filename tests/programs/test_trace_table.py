"""The evaluation trace: the numbers of the published example, the same numbers as the engines', and every notation."""

from __future__ import annotations

import contextlib
import html.parser
import io
import operator
import re
from pathlib import Path

import numpy as np
import pytest

import dualad
import reversead
from shared import REGISTRY, custom_derivative, flatten, log_softmax, logsumexp, relu, trace, trace_table
from shared.core.errors import LeafTypeError, ProgramGuardError, ShapeError, TracerConversionError
from shared.programs.explaining.expressions import PARTIALS, as_latex, plain, width
from shared.rules.special import SIGMOID

DOCUMENT = (Path(__file__).parents[2] / "docs" / "explaining.md").read_text(encoding="utf-8")

# --- the example of Baydin, Pearlmutter, Radul & Siskind (2018) -------------------------------------------------------


def example(x1, x2):
    v1 = np.log(x1)
    v2 = x1 * x2
    v3 = np.sin(x2)
    return v1 + v2 - v3


#: Name: primal, tangent along x1, adjoint, as printed in tables 2 and 3; those that the paper rounds are given in full.
PAPER = {
    "v-1": (2.0, 1.0, 5.5),
    "v0": (5.0, 0.0, 1.716),
    "v1": (0.693, 0.5, 1.0),
    "v2": (10.0, 5.0, 1.0),
    "v3": (-0.959, 0.0, -1.0),
    "v4": (10.693, 5.5, 1.0),
    "v5": (11.652, 5.5, 1.0),
    "y": (11.652, 5.5, 1.0),
}


@pytest.mark.parametrize("kind", [float, np.float64])
def test_the_published_example(kind):
    table = trace_table(example, kind(2), kind(5), direction=(1.0, 0.0))
    assert [line.name for line in table.lines] == list(PAPER)
    for line in table.lines:
        found = [round(float(value), 3) for value in (line.value, line.tangent, line.adjoint)]
        assert found == pytest.approx(PAPER[line.name], abs=1e-12), line
    assert [float(term.value) for term in table["v-1"].contributions] == [5.0, 0.5]
    assert [round(float(term.value), 3) for term in table["v0"].contributions] == [-0.284, 2.0]


def test_the_published_example_as_text():
    text = str(trace_table(example, 2.0, 5.0, direction=(1.0, 0.0), number_format=".3f"))
    rows = [re.split(r"  +", row) for row in text.splitlines()[3:]]
    assert rows[0] == ["v₋₁ = x1", "2.000", "v̇₋₁", "1.000", "v̄₋₁ = v̄₂·v₀ + v̄₁/v₋₁", "5.000 + 0.500 = 5.500"]
    assert rows[1][4:] == ["v̄₀ = v̄₃·cos(v₀) + v̄₂·v₋₁", "-0.284 + 2.000 = 1.716"]
    assert rows[2] == ["v₁ = log(v₋₁)", "0.693", "v̇₁ = v̇₋₁/v₋₁", "0.500", "v̄₁ = v̄₄", "1.000"]
    assert rows[3] == ["v₂ = v₋₁·v₀", "10.000", "v̇₂ = v̇₋₁·v₀ + v̇₀·v₋₁", "5.000", "v̄₂ = v̄₄", "1.000"]
    assert rows[6] == ["v₅ = v₄ - v₃", "11.652", "v̇₅ = v̇₄ - v̇₃", "5.500", "v̄₅ = ȳ", "1.000"]
    assert rows[7] == ["y = v₅", "11.652", "ẏ = v̇₅", "5.500", "ȳ", "1.000"]


def test_columns_are_aligned():
    rows = str(trace_table(example, 2.0, 5.0, direction=(1.0, 0.0))).splitlines()
    ends = [sum(map(len, dashes)) for dashes in [rows[2].split("  ")]]
    assert len(rows[2]) == ends[0] + 2 * 5
    starts = [match.start() for match in re.finditer(r"-+", rows[2])]
    for row in rows[3:]:
        columns = [k for k in range(len(row))]
        positions = [width(row[:k]) for k in columns]
        for start in starts[1:]:
            assert row[positions.index(start) - 2 : positions.index(start)].replace("\u0304", "").endswith(" ")


# --- the same numbers as the engines' ---------------------------------------------------------------------------------


def layers(parameters, x):
    for weights, bias in parameters:
        x = np.tanh(weights @ x + bias)
    return x


def test_the_gradients_of_a_network_are_the_adjoints_of_its_inputs():
    rng = np.random.default_rng(0)
    parameters = [(rng.normal(size=(4, 3)), rng.normal(size=4)), (rng.normal(size=(2, 4)), rng.normal(size=2))]
    x = rng.normal(size=3)

    def loss(parameters, x):
        return np.sum(layers(parameters, x) ** 2)

    table = trace_table(loss, parameters, x, direction=(None, x))
    gradients = reversead.grad(loss, argnums=(0, 1))(parameters, x)
    leaves = flatten(gradients)[0]
    assert len(leaves) == 5
    for line, expected in zip(table.lines[:5], leaves, strict=True):
        np.testing.assert_allclose(line.adjoint, expected, rtol=1e-13)
    np.testing.assert_allclose(table["y"].tangent, dualad.jvp(lambda x: loss(parameters, x), (x,), (x,))[1], rtol=1e-13)
    assert "(4, 3) of norm" in str(table)
    assert "parameters[0][1]" in str(table)


def test_numbers_of_the_formulas_partials_are_those_of_the_registry():
    """What the table says a derivative is, evaluated, is what the registry computes."""
    x, y = 0.7, 1.9
    for function, formulas in PARTIALS.items():
        primitive = REGISTRY[function]
        arguments = [np.array(v) for v in (x, y)[: len(formulas)]]
        out = primitive.raw(*arguments)
        for k, formula in enumerate(formulas):
            text = formula.replace("·", "*").replace("↑", "**").format(x="x", y="y", out="out")
            said = eval(text, {"x": x, "y": y, "out": float(out), **vars(np)})
            tangents = [np.array(1.0) if j == k else None for j in range(len(arguments))]
            expected = primitive.push(out, arguments, tangents, {})
            assert said == pytest.approx(float(expected), rel=1e-14), f"{primitive.name}: {formula}"
    assert SIGMOID.function in PARTIALS


@pytest.mark.parametrize("n", [-2, -1.0, 0, 0.1, 0.5, 1, 1.5, 2, 2.0, 3, np.float64(4.0)])
def test_powers_of_a_known_exponent_print_simplified_and_mean_the_same(n):
    table = trace_table(lambda x: x**n, 0.7)
    text = table["v0"].contributions[0].text
    for mark, value in (("⟨v0⟩", "0.7"), ("⟨a1⟩", "1.0"), ("⟨z⟩", "1.0"), ("·", "*"), ("↑", "**")):
        text = text.replace(mark, value)
    assert "- 1" not in text and ".0)" not in text
    assert eval(text) == pytest.approx(reversead.grad(lambda x: x**n)(0.7), rel=1e-14)


def test_numbers_in_formulas_have_no_more_than_they_need():
    def f(x):
        return -1.0 * x**2 * (-1.0) + x**3.0 / (-2.0)

    rows = [re.split(r"  +", row) for row in str(trace_table(f, 2.0)).splitlines()[3:]]
    assert rows[0][2] == "v̄₀ = v̄₄·3·v₀^2 + v̄₁·2·v₀"
    assert [row[0] for row in rows[1:6]] == ["v₁ = v₀^2", "v₂ = -1·v₁", "v₃ = v₂·(-1)", "v₄ = v₀^3", "v₅ = v₄/(-2)"]
    assert rows[1][2] == "v̄₁ = -v̄₂"
    assert str(trace_table(lambda x: (-1.0) ** np.floor(x), 2.0)).count("(-1)^") == 1


def test_assignments_reads_and_broadcasts_are_told():
    def f(x, b):
        y = x * b
        y[0] = 2.0 * x[1]
        y[1:] += x[1:]
        return np.sum(y)

    text = str(trace_table(f, np.ones(3), 0.5, direction=(np.ones(3), 1.0)))
    for part in ("with [0] := v", "with [1:] := v", "v₋₁[1]", " at [1]", "with [0] := 0)", "sum(v̄₁·v₋₁)", "sum(v̇"):
        assert part in text, f"{part} is not in\n{text}"


def test_what_has_no_derivative_has_values_only():
    table = trace_table(
        lambda x, k: np.where(x > 0, x, 0.0)[k], np.array([1.0, -2.0]), np.array([0]), cotangent=np.ones(1)
    )
    masks = [line for line in table.lines if np.asarray(line.value).dtype.kind in "bi"]
    assert len(masks) == 2
    assert all(line.adjoint is None for line in masks)


def test_lines_that_do_not_reach_the_output_have_adjoint_zero():
    def f(x, y):
        y * y
        return x * 2.0

    table = trace_table(f, 1.0, 3.0)
    assert (table["v0"].adjoint, table["v1"].adjoint, table["v-1"].adjoint) == (0.0, 0.0, 2.0)
    assert "v̄₁ = 0" in str(table)


def test_a_recorded_derivative_is_a_program_too():
    program = trace(reversead.grad(lambda x: x**3), 2.0)
    table = trace_table(program, 2.0)
    assert table["y"].value == pytest.approx(12.0)
    assert table["v0"].adjoint == pytest.approx(12.0)
    assert reversead.grad(program)(2.0) == dualad.grad(program)(2.0) == pytest.approx(12.0)


def test_several_outputs():
    table = trace_table(lambda x: (x * x, np.sin(x)), 3.0, cotangent=(1.0, 2.0), direction=1.0)
    assert [line.name for line in table.lines] == ["v0", "v1", "v2", "y1", "y2"]
    assert table["v0"].adjoint == pytest.approx(6 + 2 * np.cos(3))
    assert "v̄₁ = ȳ₁" in str(table)
    values_only = trace_table(lambda x: (x * x, np.sin(x)), 3.0, columns="primal")
    assert values_only["y1"].value == 9.0
    assert values_only["y1"].adjoint is None


def test_arrays_from_outside_are_shown_as_such():
    outside = np.array([1.0, 2.0])
    table = trace_table(lambda x: np.sum(x * outside), np.ones(2))
    assert "read from outside" in str(table)
    np.testing.assert_array_equal(table["v0"].adjoint, outside)


# --- arguments that are integers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [(2, 5.0), (2.0, 5), (2, 5), (np.int64(2), np.float64(5.0)), (np.float32(2), 5)])
def test_integers_are_numbers_to_differentiate_by_as_for_the_engines(args):
    expected = reversead.grad(example, argnums=(0, 1))(*args)
    table = trace_table(example, *args, direction=(1, 0))
    assert table.title == "example(x1, x2)"
    assert [float(table[name].adjoint) for name in ("x1", "x2")] == pytest.approx([float(d) for d in expected])
    assert float(table["y"].tangent) == pytest.approx(float(expected[0]))
    program = trace(example, 2.0, 5.0)
    assert str(trace_table(program, 2, 5)) == str(trace_table(program, 2.0, 5.0))


def test_what_belongs_to_the_program_stands_in_the_title():
    table = trace_table(lambda x, options, name: x * options["times"], 2.0, {"times": 3}, "a long name of a thing")
    assert table.title == "<lambda>(x, options['times']=3, name='a long na… a thing')"
    assert trace_table(trace(lambda x, n: x**n, 2.0, 3), 2.0, 3).title == "<lambda>(x, args[1]=3)"
    assert trace_table(lambda x, double: x * 2 if double else x, 2.0, True).title == "<lambda>(x, double=True)"


def test_an_integer_that_counts_is_refused_with_what_to_write():
    def iterated(x, times):
        for _ in range(times):
            x = np.sin(x)
        return x

    with pytest.raises(TracerConversionError) as refused:
        trace_table(iterated, 1.0, 3)
    assert "trace_table(lambda x: f(x, 3), x)" in refused.value.__notes__[-1]
    assert len(trace_table(lambda x: iterated(x, 3), 1.0)) == 5


# --- formulas of arrays -----------------------------------------------------------------------------------------------

A, B, X, Y = np.arange(6.0).reshape(2, 3) - 2, np.arange(12.0).reshape(3, 4) - 5, np.arange(3.0) + 1, np.arange(2.0) - 3
CUBE = np.arange(24.0).reshape(2, 3, 4)
ONES = np.ones

#: A function of the inputs; its formula and, of each input, that of the adjoint, and what it means in NumPy.
FORMULAS = [
    (np.matmul, (A, B), "v₋₁ v₀", [("v̄₁ v₀ᵀ", lambda c, a, b: c @ b.T), ("v₋₁ᵀ v̄₁", lambda c, a, b: a.T @ c)]),
    (np.matmul, (A, X), "v₋₁ v₀", [("v̄₁ v₀ᵀ", lambda c, a, b: np.outer(c, b)), ("v₋₁ᵀ v̄₁", lambda c, a, b: a.T @ c)]),
    (np.matmul, (Y, A), "v₋₁ᵀ v₀", [("v₀ v̄₁", lambda c, a, b: b @ c), ("v₋₁ v̄₁ᵀ", lambda c, a, b: np.outer(a, c))]),
    (np.matmul, (X, X + 1), "v₋₁ᵀ v₀", [("v̄₁·v₀", lambda c, a, b: c * b), ("v̄₁·v₋₁", lambda c, a, b: c * a)]),
    (np.transpose, (A,), "v₀ᵀ", [("v̄₁ᵀ", lambda c, a: c.T)]),
    (lambda a: np.transpose(a, (1, 2, 0)), (CUBE,), "transpose(v₀, axes=(1, 2, 0))",
     [("transpose(v̄₁, axes=(2, 0, 1))", lambda c, a: np.transpose(c, (2, 0, 1)))]),
    (np.ravel, (A,), "reshape(v₀, (6,))", [("reshape(v̄₁, (2, 3))", lambda c, a: c.reshape(2, 3))]),
    (np.sum, (A,), "sum(v₀)", [("1·v̄₁", lambda c, a: c * ONES(a.shape))]),
    (lambda a: np.sum(a, 0), (A,), "sum(v₀, axis=0)", [("1 v̄₁ᵀ", lambda c, a: np.outer(ONES(2), c))]),
    (lambda a: np.sum(a, -1), (A,), "sum(v₀, axis=-1)", [("v̄₁ 1ᵀ", lambda c, a: np.outer(c, ONES(3)))]),
    (lambda a: np.sum(a, 0, keepdims=True), (A,), "sum(v₀, axis=0, keepdims=True)",
     [("1 v̄₁", lambda c, a: ONES((2, 1)) @ c)]),
    (lambda a: np.sum(a, 1, keepdims=True), (A,), "sum(v₀, axis=1, keepdims=True)",
     [("v̄₁ 1ᵀ", lambda c, a: c @ ONES((1, 3)))]),
    (lambda a: np.sum(a, 1), (CUBE,), "sum(v₀, axis=1)",
     [("1·expand_dims(v̄₁, axis=1)", lambda c, a: ONES(a.shape) * np.expand_dims(c, 1))]),
    (np.mean, (A,), "mean(v₀)", [("1·v̄₁/6", lambda c, a: c * ONES(a.shape) / 6)]),
    (lambda a: np.mean(a, 0), (A,), "mean(v₀, axis=0)", [("1 v̄₁ᵀ/2", lambda c, a: np.outer(ONES(2), c) / 2)]),
    (np.max, (A,), "max(v₀)", [("v̄₁·(v₀ == v₁)", lambda c, a: c * (a == np.max(a)))]),
    (np.min, (np.zeros(3),), "min(v₀)", [("v̄₁·(v₀ == v₁)/3", lambda c, a: c * (a == np.min(a)) / 3)]),
    (lambda a: np.max(a, 1, keepdims=True), (A,), "max(v₀, axis=1, keepdims=True)",
     [("v̄₁·(v₀ == v₁)", lambda c, a: c * (a == np.max(a, 1, keepdims=True)))]),
    (np.maximum, (X, X[::-1] + 0.5), "maximum(v₋₁, v₀)",
     [("v̄₁·(v₋₁ > v₀)", lambda c, a, b: c * (a > b)), ("v̄₁·(v₋₁ < v₀)", lambda c, a, b: c * (a < b))]),
    (np.minimum, (X, X[::-1] + 0.5), "minimum(v₋₁, v₀)",
     [("v̄₁·(v₋₁ < v₀)", lambda c, a, b: c * (a < b)), ("v̄₁·(v₋₁ > v₀)", lambda c, a, b: c * (a > b))]),
    (relu, (X - 2,), "relu(v₀)", [("v̄₁·(v₀ > 0)", lambda c, a: c * (a > 0))]),
    (lambda a, b: np.where(a > 0, a, b), (A, 1.5), "v₋₁ > 0",
     [("where(v₁, v̄₂, 0)", lambda c, a, b: np.where(a > 0, c, 0)),
      ("sum(where(v₁, 0, v̄₂))", lambda c, a, b: np.sum(np.where(a > 0, 0, c)))]),
    (np.add, (A, X), "v₋₁ + v₀", [("v̄₁", lambda c, a, b: c), ("sum(v̄₁, axis=0)", lambda c, a, b: np.sum(c, 0))]),
    (np.multiply, (A, Y[:, None]), "v₋₁·v₀",
     [("v̄₁·v₀", lambda c, a, b: c * b),
      ("sum(v̄₁·v₋₁, axis=1, keepdims=True)", lambda c, a, b: np.sum(c * a, 1, keepdims=True))]),
    (lambda a, b: np.concatenate([a, b]), (X, Y), "concatenate(v₋₁, v₀, axis=0)",
     [("v̄₁[0:3]", lambda c, a, b: c[0:3]), ("v̄₁[3:5]", lambda c, a, b: c[3:5])]),
    (lambda a, b: np.concatenate([a, b], 1), (A, A), "concatenate(v₋₁, v₀, axis=1)",
     [("v̄₁[:, 0:3]", lambda c, a, b: c[:, 0:3]), ("v̄₁[:, 3:6]", lambda c, a, b: c[:, 3:6])]),
    (log_softmax, (A,), "log_softmax(v₀, axis=-1)",
     [("v̄₁ - exp(v₁)·sum(v̄₁, axis=-1, keepdims=True)",
       lambda c, a: c - np.exp(log_softmax(a)) * np.sum(c, axis=-1, keepdims=True))]),
    (logsumexp, (X,), "logsumexp(v₀)", [("v̄₁·exp(v₀ - v₁)", lambda c, a: c * np.exp(a - logsumexp(a)))]),
]  # fmt: skip


@pytest.mark.parametrize(("f", "args", "formula", "adjoints"), FORMULAS, ids=[row[2] for row in FORMULAS])
def test_a_formula_of_arrays_is_what_a_lecturer_writes_and_what_is_computed(f, args, formula, adjoints):
    cotangent = np.random.default_rng(0).normal(size=np.shape(f(*args)))
    cotangent = float(cotangent) if cotangent.ndim == 0 else cotangent
    table = trace_table(f, *args, cotangent=cotangent)
    assert plain(table["v1"]._primal_text) == formula
    for line, (text, meaning) in zip(table, adjoints, strict=False):
        assert plain(line._adjoint_text) == text
        np.testing.assert_allclose(line.adjoint, meaning(cotangent, *args), rtol=1e-13)


def test_ties_of_an_elementwise_maximum_have_no_simple_formula():
    assert "∂v₁/∂v₀" in str(trace_table(lambda x: np.maximum(x, 1.0), 1.0))


@pytest.mark.parametrize(
    ("compare", "sign"),
    [
        (operator.lt, "<"),
        (operator.le, "≤"),
        (operator.gt, ">"),
        (operator.ge, "≥"),
        (operator.eq, "=="),
        (operator.ne, "≠"),
    ],
)
def test_a_comparison_is_written_with_its_sign(compare, sign):
    for x in (2.0, np.ones(3)):
        table = trace_table(lambda x: np.sum(np.where(compare(x, 0.5), x, 0.0)), x)
        assert plain(table["v1"]._primal_text) == f"v₀ {sign} 0.5"
        assert table.latex().isascii()


def test_a_choice_is_told_with_its_condition():
    table = trace_table(lambda x: np.where((x >= 0) & (x != 3), x, 0.0), 2.0, direction=1.0)
    assert plain(table["v1"]._primal_text) == "v₀ ≥ 0"
    assert plain(table["v2"]._primal_text) == "v₀ ≠ 3"
    assert plain(table["v4"]._tangent_text) == "where(v₃, v̇₀, 0)"
    assert plain(table["v0"]._adjoint_text) == "where(v₃, v̄₄, 0)"
    assert "v₀ > 0" in str(trace_table(lambda x: np.where(x > 0, x, 0.0), 2.0))


def test_a_number_made_another_kind_is_written_as_a_call():
    text = str(trace_table(reversead.grad(lambda x: np.sin(x)), 2.0))
    assert text.startswith("grad of <lambda>(x)\n")
    assert re.search(r"= float\(v.\) ", text)
    assert "as_kind" not in text + str(trace(reversead.grad(lambda x: np.sin(x)), 2.0))


# --- labels -----------------------------------------------------------------------------------------------------------


def test_labels_as_printed_are_keys():
    table = trace_table(example, 2.0, 5.0)
    for line in table:
        printed = plain(line._mark)
        assert table[printed] is table[line.name] is line
        assert line.name[0] == "y" or table[int(line.name[1:])] is line
    assert table["x1"] is table[-1]
    assert table["x2"] is table[0]
    named_as_output = trace_table(lambda x, y: x * y, 2.0, 3.0)
    assert (named_as_output["y"].value, named_as_output["x"].value) == (6.0, 2.0)
    several = trace_table(lambda x: (x, x * x), 2.0, cotangent=(1.0, 1.0))
    assert several["y₂"].value == 4.0
    assert trace_table(lambda p: p["w"][0] * 2, {"w": [3.0]})["p['w'][0]"].value == 3.0


def test_a_missing_label_is_told_all_there_are():
    with pytest.raises(KeyError, match=r"no line 9 .*its lines are: v-1 \(x1\), .*, v5, y"):
        trace_table(example, 2.0, 5.0)[9]
    for missing in (None, 1.5, True, ""):
        with pytest.raises(KeyError, match="has no line"):
            trace_table(example, 2.0, 5.0)[missing]
    with pytest.raises(KeyError, match=r"v0 \(x\), v1, .*, v14, \.\.\., v87, .*v100, y"):
        trace_table(long, 1.0)["v101"]


def test_contributions_read_as_formulas():
    assert repr(trace_table(example, 2.0, 5.0)["x1"].contributions) == "[<v̄₂·v₀ = 5>, <v̄₁/v₋₁ = 0.5>]"


# --- options and notations --------------------------------------------------------------------------------------------


def long(x):
    for _ in range(100):
        x = np.sin(x)
    return x


def test_long_programs_are_cut_in_the_middle_and_say_so():
    table = trace_table(long, 1.0, max_lines=11)
    for text in (str(table), table.markdown().replace("\\_", "_"), table.html()):
        assert "91 lines left out, v6 to v96: max_lines=102 shows all" in text
    rows = str(table).splitlines()
    assert len(rows) == 3 + 11 + 1
    assert rows[3 + 6].startswith("... 91")
    assert len(str(trace_table(long, 1.0, max_lines=None)).splitlines()) == 3 + 102
    assert "left out" not in str(trace_table(long, 1.0, max_lines=102))
    assert "lines left out" in table.latex()


def test_columns_can_be_chosen():
    head = str(trace_table(example, 2.0, 5.0, columns=("adjoint", "primal"))).splitlines()[1]
    assert head.split() == ["adjoint", "primal"]
    assert str(trace_table(example, 2.0, 5.0)).splitlines()[1].split() == ["primal", "adjoint"]


class Checker(html.parser.HTMLParser):
    """Sees to it that tags are closed in order, and notes which there are."""

    def __init__(self):
        super().__init__()
        self.open, self.tags = [], set()

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


NASTY = {"<script>|_&%$#{}~^\\": 1.5, "θ_1": 2.0, "名": 0.5}


def nasty(p):
    a, b, c = p.values()
    return a * b**-1.5 * np.linalg.norm(np.stack([c, b])) * np.where(a > 1e-30, a, b) ** 12 - 1e-05


def test_html_is_escaped_and_well_formed():
    text = trace_table(nasty, NASTY)._repr_html_()
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert checker.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td", "i", "sub", "sup"}
    assert "&lt;script&gt;" in text


def test_markdown_has_the_same_number_of_cells_in_every_row():
    title, empty, *rows = trace_table(nasty, NASTY, direction=({k: 1.0 for k in NASTY},)).markdown().splitlines()
    assert title.startswith("**nasty(p")
    assert title.endswith(")**")
    assert not empty
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
    assert "<script" not in "\n".join([title, *rows])


@pytest.mark.parametrize(
    "table",
    [
        trace_table(example, 2.0, 5.0, direction=(1.0, 0.0), columns=("primal", "tangent", "adjoint", "rounding")),
        trace_table(nasty, NASTY, direction=(dict.fromkeys(NASTY, 1.0),)),
        trace_table(lambda x: (x @ x) * x[0], np.ones(5), direction=np.ones(5)),
        trace_table(lambda a, b: a**b + a**10 - (a - b) ** 2.5, 2.0, 1e-7, direction=(1.0, 1.0)),
        trace_table(lambda a, x: np.sum(np.where(a.T >= 0.5, a.T, 0.0) @ x) + np.max(a), np.eye(2), np.ones(2)),
    ],
)
def test_latex_is_valid(table):
    """Every formula is read by matplotlib's own TeX, and outside of formulas nothing needs escaping."""
    mathtext = pytest.importorskip("matplotlib.mathtext")
    parser = mathtext.MathTextParser("path")
    text = table.latex()
    assert text.startswith(r"\begin{tabular}{l")
    assert text.endswith(r"\end{tabular}")
    formulas = re.findall(r"\$(.*?)(?<!\\)\$", text)
    assert formulas
    for formula in formulas:
        parser.parse(f"${formula}$".replace(r"\&", ""))  # which matplotlib does not know
    outside = re.sub(r"\$(.*?)(?<!\\)\$", "", text)
    assert re.fullmatch(r"[\w\s&\\{}]*", outside)
    title, *body = [row for row in text.splitlines() if row.endswith(r"\\")]
    assert re.fullmatch(r"\\multicolumn\{\d\}\{l\}\{\$.*\$\} \\\\", title)
    assert len({len(re.findall(r"(?<!\\)&", row)) for row in body}) == 1
    assert text.isascii()
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


def test_powers_in_latex():
    assert as_latex("⟨v1⟩↑⟨v-1⟩") == "v_{1}^{v_{-1}}"
    assert as_latex("⟨v1⟩↑12") == "v_{1}^{12}"
    assert as_latex("⟨v1⟩↑(⟨v2⟩ - 1)") == "v_{1}^{v_{2}-1}"
    assert as_latex("1.5e-07") == r"1.5\cdot 10^{-7}"
    assert plain("⟨u2⟩ = ⟨t-3⟩↑2") == "ẏ₂ = v̇₋₃^2"


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_errors_name_the_function_that_was_called():
    for call in (
        lambda: trace_table(lambda x: x[0], np.arange(2)),
        lambda: trace_table(lambda x: (x, x), 1.0),
        lambda: trace_table(np.sin, np.ones(3)),
        lambda: trace_table(lambda x: x * 1j, 1.0),
        lambda: trace_table(np.sin, np.ones(3), cotangent=np.ones(2)),
        lambda: trace_table(example, 2.0, 5.0, direction=1.0),
        lambda: trace_table(example, 2.0, 5.0, direction=(1.0, np.ones(2))),
        lambda: trace_table(lambda x, k: x, 2.0, "a", direction=(1.0, 2.0)),
        lambda: trace_table(3.0, 2.0),
    ):
        with pytest.raises((TypeError, ValueError), match=r"^trace_table: "):
            call()


def test_what_cannot_be_tabulated_is_refused():
    with pytest.raises(ShapeError, match="2 values") as refused:
        trace_table(lambda x: (x, x), 1.0)
    assert "columns" in refused.value.__notes__[0]
    with pytest.raises(ShapeError, match=r"array of shape \(3,\)"):
        trace_table(np.sin, np.ones(3))
    with pytest.raises(ValueError, match=r"needs a direction.*direction=\(1.0, 0.0\)"):
        trace_table(example, 2.0, 5.0, columns="tangent")
    with pytest.raises(ValueError, match="columns must be chosen from primal"):
        trace_table(example, 2.0, 5.0, columns=("primal", "hessian"))
    with pytest.raises(ValueError, match="no format"):
        trace_table(example, 2.0, 5.0, number_format="abc")
    with pytest.raises(ValueError, match="at least 2"):
        trace_table(example, 2.0, 5.0, max_lines=1)
    with pytest.raises(ShapeError, match="one tangent an argument"):
        trace_table(example, 2.0, 5.0, direction=1.0)
    with pytest.raises(KeyError, match=r"v-1 \(x1\), v0 \(x2\), v1, v2, v3, v4, v5, y"):
        trace_table(example, 2.0, 5.0)["v9"]
    with pytest.raises(TypeError, match="expected a function"):
        trace_table(3.0, 2.0)
    with pytest.raises(LeafTypeError, match="differentiation in progress"):
        reversead.grad(lambda x: trace_table(np.sin, x)["y"].value)(1.0)
    with pytest.raises(LeafTypeError, match=r"trace_table: no argument .*write x.astype\(float\)"):
        trace_table(lambda x: x[0] * 2, np.arange(3))
    own = custom_derivative(np.sin, jvp=lambda tangents, out, x: tangents[0] * np.cos(x))
    with pytest.raises(ProgramGuardError, match="derivative of its own"):
        trace_table(lambda x: own(x), 1.0)


# --- the documentation ------------------------------------------------------------------------------------------------


def test_the_examples_of_the_documentation_run_and_print_what_they_say():
    half = DOCUMENT[: DOCUMENT.index("## Drawing")]
    scope = {"__name__": "explaining"}
    for code, output in re.findall(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```)?", half, re.DOTALL):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(code, scope)
        said = [line.rstrip() for line in output.splitlines()]
        assert [
            re.sub(r" \(at .*|<string>:\d+$", "", line).rstrip() for line in printed.getvalue().splitlines()
        ] == said
