"""The comparison of all ways to a derivative: counts are exact, disagreements are found where they are, no time is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from time import sleep
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from shared import (
    compare,
    cost,
    count_operations,
    custom_derivative,
    derivative_costs,
    elementwise,
    multilinear,
    trace,
)
from shared.comparison import ModeComparison, figures
from shared.comparison.agreement import agreement
from shared.comparison.figures import MOST_CALLS, relative_difference
from shared.comparison.point import Point
from shared.comparison.timing import interleaved_minimum
from shared.core.errors import ImpureFunctionError, LeafTypeError, TracerConversionError
from shared.core.registry import REGISTRY

ENGINES: Any = (dualad, reversead)


@pytest.fixture(autouse=True)
def _without_own_primitives() -> Iterator[None]:
    known = set(REGISTRY)
    yield
    for function in set(REGISTRY) - known:
        del REGISTRY[function]


def compared(f: Callable[..., Any], *args: Any, seconds: float = 0.05, **options: Any) -> ModeComparison:
    return compare(f, *args, engines=ENGINES, seconds=seconds, show_progress=False, **options)


def energy(x: Any) -> Any:
    return np.sum((x[1:] - x[:-1] ** 2) ** 2)


def field(a: Any, w: Any) -> Any:
    return np.tanh(np.outer(w["scale"], a)) + w["shift"]


X = np.linspace(0.0, 1.0, 12)
FIELD = (np.linspace(0.1, 0.5, 5), {"scale": np.linspace(1.0, 2.0, 2), "shift": 0.5})


@pytest.fixture(scope="module")
def of_energy() -> ModeComparison:
    return compared(energy, X)


@pytest.fixture(scope="module")
def of_field() -> ModeComparison:
    return compared(field, *FIELD)


# --- counts -----------------------------------------------------------------------------------------------------------


def test_a_scalar_function_has_its_gradient_and_hessian_in_all_ways(of_energy: ModeComparison) -> None:
    assert (of_energy.inputs, of_energy.outputs) == (12, 1)
    assert {group for group, _ in of_energy} == {
        "value", "direction", "cotangent", "gradient", "Hessian-vector product", "Hessian",
    }  # fmt: skip
    orders = [f"{outer} over {inner}" for outer in ("forward", "reverse") for inner in ("forward", "reverse")]
    for order in orders:
        assert of_energy["Hessian-vector product", order].seconds is not None
        assert of_energy["Hessian", order].seconds is not None
    assert of_energy["Hessian", "sparse"].error == pytest.approx(0.0, abs=1e-13)
    assert of_energy.colouring == "3 hvps instead of 12 hvps"


def test_a_function_of_several_arguments_and_many_outputs_has_its_jacobian_in_all_ways(
    of_field: ModeComparison,
) -> None:
    assert (of_field.inputs, of_field.outputs, of_field.argnums) == (8, 10, (0, 1))
    names = [name for group, name in of_field if group == "Jacobian"]
    assert names == [
        "forward, one by one", "forward, batched", "reverse, one by one", "reverse, batched", "sparse, forward",
        "forward, compiled", "reverse, compiled", "differences", "complex step",
    ]  # fmt: skip
    assert ("gradient", "reverse") not in list(of_field)


def test_operations_are_those_that_are_counted_otherwise(of_energy: ModeComparison, of_field: ModeComparison) -> None:
    theorem = derivative_costs(energy, X, forward=dualad, reverse=reversead)
    assert of_energy["value", "as it is"].operations == theorem["value"].operations
    for way, name in {
        "reverse": "value and gradient, reverse",
        "forward, one by one": "value and gradient, forward",
        "forward, batched": "value and gradient, batched forward",
    }.items():
        assert of_energy["gradient", way].operations == theorem[name].operations
        assert of_energy["gradient", way].evaluations == pytest.approx(theorem[name].multiple)
    jacobian = reversead.jacobian(field, argnums=(0, 1))
    assert of_field["Jacobian", "reverse, batched"].operations == count_operations(jacobian, *FIELD)
    assert of_field["Jacobian", "reverse, batched"].bytes_alive == cost(trace(jacobian, *FIELD)).peak_bytes
    value = of_field["value", "as it is"].operations
    assert value is not None
    assert of_field["Jacobian", "differences"].operations == 9 * value
    assert of_field["Jacobian", "differences"].evaluations == 9


@pytest.mark.parametrize("of", ["of_energy", "of_field"])
def test_every_way_gives_the_same_numbers(of: str, request: pytest.FixtureRequest) -> None:
    for figure in request.getfixturevalue(of).figures:
        assert not figure.note.startswith("left out") and "Error" not in figure.note, figure
        assert figure.error is not None and figure.error < (1e-13 if figure.exact else 1e-5), figure
        # A clock is asked, and no answer expected.
        assert figure.seconds is not None and figure.seconds > 0


def test_differences_lose_digits_and_a_complex_step_does_not(of_energy: ModeComparison) -> None:
    assert of_energy["gradient", "differences"].error > 1e-10  # type: ignore[operator]
    assert of_energy["gradient", "complex step"].error < 1e-14  # type: ignore[operator]


def test_a_long_way_is_counted_by_one_of_its_equal_parts_and_not_run() -> None:
    n = 15_000
    x = np.linspace(0.0, 1.0, n)
    found = compared(energy, x)
    one = count_operations(lambda x: dualad.jvp(energy, (x,), (np.ones(n),))[1], x)
    figure = found["gradient", "forward, one by one"]
    assert n * 5 > MOST_CALLS and figure.operations == n * one
    assert figure.seconds is None and figure.note.startswith("left out: may take")
    dense = found["Hessian", "forward over reverse"]
    assert dense.seconds is None and (dense.note.startswith("left out") and dense.bytes_alive is None)
    # It would be a matrix of gigabytes.
    assert found["Hessian", "sparse"].seconds is not None and found["Hessian", "sparse"].error is None


def test_arguments_may_be_chosen() -> None:
    found = compared(field, *FIELD, argnums=1)
    assert (found.inputs, found.argnums) == (3, 1)
    mixed = compared(lambda a, w: a * np.tanh(w[:4] * w[4:]), 2.0, np.linspace(0.1, 0.8, 8))
    assert mixed["Jacobian", "mixed"].error == pytest.approx(0.0, abs=1e-14)


def test_arguments_may_be_chosen_by_name() -> None:
    found = compared(lambda a, b: a * b * b, 2.0, 3.0, argnums="b")
    assert found.argnums == 1 and not any("Error" in figure.note for figure in found.figures)


@pytest.mark.parametrize(
    "f",
    [
        lambda x: x,
        lambda x: np.ones(3) * 2.0,
        lambda x: {"a": x**2, "b": np.sum(x), "n": 3},
        lambda x: np.log(x - 1.0),
        lambda x: np.sort(x),
        lambda x: x if x[0] > 0 else -x,
        lambda x: np.abs(np.fft.fft(x)),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_odd_functions_are_compared_without_a_refusal(f: Any) -> None:
    found = compared(f, np.linspace(0.5, 1.5, 4))
    assert found.agreement.holds, str(found)
    refused = [figure for figure in found.figures if figure.exact and "Error" in figure.note]
    assert not refused


def test_single_precision_agrees_to_its_own_digits() -> None:
    found = compared(lambda x: np.sum(np.sin(x) * x), np.linspace(0.1, 1.0, 7, dtype=np.float32))
    assert found.agreement.holds
    assert found["gradient", "forward, batched"].error < 1e-5  # type: ignore[operator]
    many = compared(lambda x: np.tanh(x) * x, np.ones(4, np.float32))
    assert many["Jacobian", "sparse, forward"].error < 1e-5  # type: ignore[operator]


def test_complex_functions_are_compared_where_they_have_a_derivative() -> None:
    found = compared(lambda z: z * z * 1j, np.array([1.0 + 2.0j, 0.5 - 1.0j]))
    assert found.agreement.holds
    assert found["Jacobian", "reverse, batched"].error == pytest.approx(0.0, abs=1e-14)
    assert ("Jacobian", "differences") not in list(found)


# --- agreement --------------------------------------------------------------------------------------------------------


def parting(f: Callable[..., Any], *args: Any) -> Any:
    found = agreement(Point("compare", f, args, None, ENGINES))
    assert not found.holds and "DISAGREEMENT" in str(found)
    return found.parting


def test_a_wrong_transpose_is_found_at_its_primitive() -> None:
    tripled = multilinear(lambda x: 3.0 * x, lambda c, x: 2.0 * c)

    def f(x: Any) -> Any:
        y = np.sin(x) * np.exp(x)
        z = tripled(y)
        return np.sum(np.cos(z) * y)

    found = parting(f, X)
    assert found.number == 3 and f":{f.__code__.co_firstlineno + 2}" in found.where
    assert "dualad has" in found.text and "reversead" in found.text


def test_a_wrong_partial_that_both_engines_share_is_found_by_differences() -> None:
    halved = elementwise(lambda x: 0.5 * x, lambda x: 0.25)

    def f(x: Any) -> Any:
        y = np.square(x)
        return np.sum(halved(y) * y)

    found = parting(f, X)
    assert found.number == 1 and "both engines have" in found.text


def test_a_wrong_derivative_of_ones_own_is_named() -> None:
    def sine(x: Any) -> Any:
        return np.sin(x)

    own = custom_derivative(sine, jvp=lambda tangents, out, x: tangents[0] * np.sin(x))
    found = parting(lambda x: np.sum(own(x) * x), X)
    assert found.primitive is None and "sine" in found.text


def test_right_derivatives_agree_where_terms_cancel_and_where_there_is_a_kink() -> None:
    for f in (
        lambda x: np.sum(np.abs(x - x[0])),
        lambda x: np.max(np.stack([x, x])),
        lambda x: np.sum(x) - np.sum(x[::-1]) + 0.0 * x[0],
        lambda x: np.sum(np.sort(x)[:3]),
    ):
        found = agreement(Point("compare", f, (X,), None, ENGINES))
        assert found.holds, str(found)


def test_a_disagreement_is_part_of_the_report() -> None:
    halved = elementwise(lambda x: 0.5 * x, lambda x: 0.25)
    found = compared(lambda x: np.sum(halved(x)), X)
    assert not found.agreement.holds
    for text in (str(found), found.markdown(), found.html()):
        assert "DISAGREEMENT" in text and "operation 1" in text


# --- the result -------------------------------------------------------------------------------------------------------


def test_the_result_is_text_markdown_html_and_plain_numbers(of_energy: ModeComparison) -> None:
    text = str(of_energy)
    assert text.splitlines()[0] == "energy: 12 inputs, 1 output"
    for part in (
        "Advice: 12 inputs, 1 output: reverse", "Fastest of all: gradient, ", "Check: values agree",
        "memory against time", "the tape keeps",
    ):  # fmt: skip
        assert part in text
    assert repr(of_energy) == text
    assert of_energy.markdown().count("| --- |") == 3
    html = of_energy._repr_html_()
    assert html.count("<table>") == 3 and html.count("<tr>") == html.count("</tr>")
    plain = json.loads(json.dumps(of_energy.to_dict(), allow_nan=False))
    assert plain["inputs"] == 12 and plain["agreement"]["holds"] and plain["advice"]["predicted"] == "reverse"
    assert [(row["group"], row["name"]) for row in plain["figures"]] == list(of_energy)
    assert len(of_energy) == len(of_energy.figures)
    with pytest.raises(KeyError, match=r"there is no way .*; there are: value: as it is; value: compiled"):
        of_energy["gradient", "sideways"]


def test_the_picture_has_a_bar_a_way(of_energy: ModeComparison, tmp_path: Any) -> None:
    canvas = of_energy.plot(tmp_path / "ways.svg")
    bars = [len(axes.patches) for axes in canvas.axes]
    assert bars == [len(of_energy)] * 2
    labels = [label.get_text() for label in canvas.axes[0].get_yticklabels()]
    assert labels[0] == "value" and "gradient: forward, batched" in labels
    assert "<svg" in (tmp_path / "ways.svg").read_text()


# --- what is refused --------------------------------------------------------------------------------------------------


def test_what_a_function_raises_comes_through() -> None:
    def f(x: Any) -> Any:
        raise RuntimeError("no reading today")

    with pytest.raises(RuntimeError, match="no reading today"):
        compared(f, 1.0)


@pytest.mark.parametrize(
    ("f", "args", "kind", "message"),
    [
        (lambda x: "text", (1.0,), TypeError, r"returned 'text' \(type str\).*test_compare.py"),
        (lambda x: None, (1.0,), TypeError, "returned no floating-point number"),
        (lambda x: [x, np.array(["a"])], (1.0,), TypeError, "returned array"),
        (lambda x: 3, (1.0,), TypeError, "returned no floating-point number"),
        (np.sum, (np.arange(3),), LeafTypeError, "no argument of sum is a floating-point number"),
        (np.sum, (), LeafTypeError, "no argument of sum"),
        ("f", (1.0,), TypeError, "expected a function, not 'f'"),
        (np.sin, (iter([1.0]),), TypeError, "iterator"),
        (np.sum, (np.ones(0),), ValueError, "the arguments of sum that vary hold no number"),
        (lambda x: x[:0], (np.ones(2),), ValueError, "returned no number"),
        (lambda x: float(x) * 2.0, (1.0,), TracerConversionError, "a plain float was asked"),
    ],
)
def test_what_has_no_derivative_is_refused(f: Any, args: Any, kind: Any, message: str) -> None:
    with pytest.raises(kind, match=message):
        compared(f, *args)


def test_an_impure_function_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(
        ImpureFunctionError, match=r"a second evaluation of noisy .* gave another number.*as an argument"
    ):

        def noisy(x: Any) -> Any:
            return x * rng.random()

        compared(noisy, 1.0)


def test_a_function_that_changes_its_argument_changes_a_copy() -> None:
    def f(x: Any) -> Any:
        x[0] = 2.0
        return np.sum(x * x)

    x = np.ones(3)
    with pytest.raises(Exception, match="assign"):
        compared(f, x)
    np.testing.assert_array_equal(x, 1.0)


def test_integers_are_floats_and_arrays_of_integers_are_labels() -> None:
    found = compared(lambda x, labels, n: np.sum(x[labels]) * n, np.ones(3), np.array([0, 1]), 2)
    assert (found.inputs, found.argnums) == (4, (0, 2))


def test_engines_and_times_have_to_be_what_they_are() -> None:
    with pytest.raises(TypeError, match=r"engines=\(dualad, reversead\)"):
        compare(np.sin, 1.0, engines=(dualad,))
    with pytest.raises(TypeError, match="engines must be a forward and a reverse engine"):
        compare(np.sin, 1.0, engines=("dualad", "reversead"))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"compare: the forward engine and the reverse one are exchanged .*compare.py"):
        compare(np.sin, 1.0, engines=(reversead, dualad))
    with pytest.raises(ValueError, match="seconds must be a positive number, not -1"):
        compare(np.sin, 1.0, engines=ENGINES, seconds=-1)
    with pytest.raises(LeafTypeError, match="belongs to a differentiation in progress"):
        reversead.grad(lambda x: compared(np.sin, x).inputs)(1.0)


def test_an_integer_that_is_fixed_stays_one() -> None:
    def chosen(x: Any, k: int) -> Any:
        return x[k] ** 2

    found = compared(chosen, np.ones(3), 1, argnums=0)
    assert (found.inputs, found.agreement.holds) == (3, True)
    with pytest.raises(IndexError) as caught:
        compared(chosen, np.ones(3), 1)
    assert "here 1 at position 1" in caught.value.__notes__[0] and "argnums=0" in caught.value.__notes__[0]


@pytest.mark.parametrize(
    "f",
    [
        lambda x: (np.sum(x**2), x > 2.0),
        lambda x: (np.sum(x**2), np.argmax(x)),
        lambda x: {"value": x**2, "labels": x.astype(np.uint8)},
    ],
    ids=["truth values", "a place", "unsigned integers"],
)
def test_outputs_without_a_derivative_may_stand_beside_others(f: Any) -> None:
    assert compared(f, np.array([1.25, 3.5])).agreement.holds


def test_truth_values_and_unsigned_integers_differ_by_a_number() -> None:
    assert relative_difference(np.array([True, False]), np.array([True, True])) == 1.0
    assert relative_difference(np.array([1], np.uint8), np.array([2], np.uint8)) == 0.5


def test_of_a_slow_function_little_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    evaluations = 0

    def slow(x: Any) -> Any:
        nonlocal evaluations
        evaluations += 1
        sleep(0.003)
        return np.sum(np.sin(x) ** 2)

    monkeypatch.setattr(Point, "is_slow", True)
    found = compared(slow, np.ones(3), seconds=1e-6)
    assert evaluations < 50
    run = {(figure.group, figure.name) for figure in found.figures if figure.seconds is not None}
    assert run == {
        ("value", "as it is"), ("direction", "forward"), ("gradient", "reverse"), ("gradient", "forward, batched"),
        ("Hessian-vector product", "forward over reverse"),
    }  # fmt: skip
    assert "one evaluation takes" in found["Hessian", "forward over reverse"].note
    assert found.agreement.holds and np.isinf(found.agreement.uncertain)
    assert found.advice.predicted == found.advice.measured == "reverse"


def test_of_a_long_function_no_record_of_a_hessian_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_LONG", 3)
    found = compared(lambda x: np.sum(np.sin(np.cos(np.tanh(x)))), np.ones(3))
    assert "4 NumPy calls" in found["Hessian", "forward over reverse"].note
    assert found["gradient", "reverse"].operations and found["Hessian", "forward over reverse"].operations is None


def test_a_task_that_waits_is_not_called_until_its_cpu_time_is_spent() -> None:
    calls = 0

    def waiting() -> None:
        nonlocal calls
        calls += 1
        sleep(0.01)

    interleaved_minimum({"waiting": waiting}, rounds=1, seconds_each=0.005)
    # One to learn how long it takes, then 0.02 seconds by the clock on the wall; by CPU time it would be hundreds.
    assert calls <= 4
