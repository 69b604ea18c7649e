"""Special values in both engines: infinities, the largest and the least numbers, zeros of both signs, NaN.

Over a grid of these, in both arguments of functions of two, as Python floats and as arrays of double and single
precision: values are NumPy's (of floats under operators, Python's), the engines agree, derivatives by several arguments
fit those by each, and where a derivative exists it is the right one.  What is known to be wrong stands in
`special_faults.py`, and is compared exactly: a new fault fails, and so does a row whose fault is mended.
"""

from __future__ import annotations

import numpy as np
import pytest
from special_faults import FAULTS, Fault, known
from special_functions import BINARY, ONE_ARGUMENT, TWO_ARGUMENTS, UNARY, Function, exact
from special_values import (
    DOUBLE,
    Finding,
    Wide,
    compared,
    evaluated,
    findings,
    is_exact,
    points,
    same,
)

import dualad

EVERY = {**UNARY, **BINARY}
ELEMENTWISE = {name: f for name, f in EVERY.items() if name not in ("sum", "prod", "max", "min", "cumsum", "cumprod")}

if np.finfo(np.longdouble).maxexp <= np.finfo(np.float64).maxexp:
    pytest.skip("here extended precision has no wider range, which exact derivatives need", allow_module_level=True)


def test_every_function_has_an_exact_derivative() -> None:
    assert set(ONE_ARGUMENT) == set(UNARY) and set(TWO_ARGUMENTS) == set(BINARY)
    assert {name for fault in FAULTS for name in fault.functions.split("; ")} <= set(EVERY)
    assert all(fault.right for fault in FAULTS)


@pytest.mark.parametrize("name", EVERY)
def test_values_and_derivatives_at_special_values(name: str) -> None:
    found, expected = findings(name), known(name)
    new, mended = sorted(found - expected), sorted(expected - found)
    assert not new, f"{name} is wrong at points that are not known: {new}"
    assert not mended, f"{name} is right now: take these out of special_faults.py: {mended}"


# --- gradients in forward mode, whose directions go together ----------------------------------------------------------


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_forward_gradient_by_an_array_keeps_its_elements_apart(name: str) -> None:
    f, (_, columns) = EVERY[name], points(name, "double")
    with np.errstate(all="ignore"):
        rows = evaluated(f, columns)
        for k, column in enumerate(columns):

            def total(x: np.ndarray, k: int = k) -> np.ndarray:
                return np.sum(f(*columns[:k], x, *columns[k + 1 :]))

            right = same(dualad.grad(total)(column), rows.partials[k]["dualad.jvp"])
            assert np.all(right), f"by argument {k}"


@pytest.mark.parametrize("name", [name for name in BINARY if name in ELEMENTWISE])
def test_a_forward_gradient_by_two_numbers_is_that_by_each(name: str) -> None:
    f, (_, columns) = BINARY[name], points(name, "double")
    with np.errstate(all="ignore"):
        for x, y in zip(*map(np.ndarray.tolist, columns), strict=True):
            try:
                if isinstance(f(x, y), complex):
                    continue  # as Python has it, for a root of a negative float; it has no gradient
                both = dualad.grad(f, (0, 1))(x, y)
            except ArithmeticError:
                continue  # as Python's own operators, and as the table says
            each = dualad.grad(lambda x, y=y: f(x, y))(x), dualad.grad(lambda y, x=x: f(x, y))(y)
            assert np.all(same(np.array(both, float), np.array(each, float))), f"at {x}, {y}: {both}, each {each}"


# --- the checks see errors --------------------------------------------------------------------------------------------


def found_in(f: Function, name: str = "exp") -> set[tuple[str, str]]:
    """The checks that a function fails if it is taken for another one, and where."""
    names, columns = points(name, "double")
    with np.errstate(all="ignore"):
        rows = evaluated(f, columns)
        rows = rows._replace(value=EVERY[name](*columns))
        return {(finding.check, finding.point) for finding in compared(name, "double", np.array(names), rows, columns)}


def test_a_wrong_value_or_derivative_at_one_point_is_seen() -> None:
    assert found_in(np.exp) == set()
    assert ("value", "0") in found_in(lambda x: np.exp(x) + np.where(x == 0, 1e-15, 0))
    # The same value, and another slope at zero, of either sign.
    assert found_in(lambda x: np.exp(x) + np.where(x == 0, x, 0)) == {("exact", "0"), ("exact", "-0")}
    # What is not chosen contributes nothing, in both modes, whatever its slope.
    assert found_in(lambda x: np.where(np.isposinf(x), np.inf, np.exp(x))) == {("exact", "inf")}


def test_a_difference_between_the_engines_is_seen() -> None:
    names, columns = points("exp", "double")
    with np.errstate(all="ignore"):
        rows = evaluated(np.exp, columns)
        at = columns[0] == 1.0
        rows.partials[0]["reversead.jvp"] = rows.partials[0]["reversead.jvp"] + np.where(at, 1e-9, 0)
        found = {(f.check, f.point) for f in compared("exp", "double", np.array(names), rows, columns)}
    assert found == {("engines", "1")}


def test_derivatives_by_two_arguments_are_compared_with_those_by_each() -> None:
    names, columns = points("add", "double")
    with np.errstate(all="ignore"):
        rows = evaluated(np.add, columns)
        for wrong in (
            rows._replace(joint={"dualad": rows.joint["dualad"] + 1e-9}),
            rows._replace(pulled=[rows.pulled[0], rows.pulled[1] + 1e-9]),
        ):
            found = set(compared("add", "double", np.array(names), wrong, columns))
            assert found and {finding.check for finding in found} == {"joint"}


def test_equality_and_exactness_tell_zeros_infinities_and_nan() -> None:
    values = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, 5e-324])
    with np.errstate(invalid="ignore"):
        table = same(values[:, None], values)
    zeros = np.zeros((7, 7), bool)
    zeros[:2, :2] = True
    least = values == 5e-324
    zeros |= (least[:, None] & (np.abs(values) < 1e-300)) | (least & (np.abs(values) < 1e-300)[:, None])
    np.testing.assert_array_equal(table, zeros | np.eye(7, dtype=bool))
    wide = values.astype(Wide)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(is_exact(values, wide), np.ones(7, bool))
        np.testing.assert_array_equal(is_exact(np.full(7, 2.0), wide), np.isnan(values))
        # What overflows double precision is infinite there; what is finite must not be.
        infinite = np.array([np.inf, np.inf])
        np.testing.assert_array_equal(is_exact(infinite, np.array(["1e400", "1e300"], Wide)), [True, False])


def test_a_row_of_the_table_stands_for_its_points() -> None:
    fault = Fault("f", "exact", "x", "0 -0, 1; * - nan inf, huge", "", ("float",))
    assert len(fault.findings()) == 2 + 8
    assert Finding("exact", "x", "-0, 1", "float") in fault.findings()
    with pytest.raises(AssertionError, match="no such points"):
        fault._replace(points="0, one").findings()


def test_exact_derivatives_are_those_of_differences_at_ordinary_points() -> None:
    """The formulas themselves, away from special values, against differences in extended precision."""
    for name, f in EVERY.items():
        x = np.array([0.6, 1.7], Wide) if name in UNARY else np.array([0.6, 1.7, -0.4], Wide)
        columns = [x] if name in UNARY else [np.array([1.3, 0.4, 2.7], Wide), np.array([0.45, 1.9, 0.8], Wide)]
        for k, partial in enumerate(exact(name)):
            step = Wide(2) ** -20
            with np.errstate(invalid="ignore"):
                above, below = (
                    f(*[c + sign * step if j == k else c for j, c in enumerate(columns)]) for sign in (1, -1)
                )
                told = partial(*columns)
            if name == "spacing" or name == "nextafter":
                continue  # of the precision at hand, not of the number
            defined = np.isfinite(above) & np.isfinite(below) & np.isfinite(told)
            assert np.any(defined), name
            np.testing.assert_allclose(
                ((np.asarray(above, Wide) - below) / (2 * step))[defined],
                told[defined],
                rtol=1e-7,
                atol=1e-9,
                err_msg=name,
            )


def test_the_grid_holds_what_it_should() -> None:
    names, columns = points("add", "single")
    assert len(names) == len(set(names)) == 100 and columns[0].dtype == np.float32
    assert len(set(np.array(list(DOUBLE.values())).tobytes())) > 1 and np.signbit(DOUBLE["-0"])
    assert DOUBLE["least"] / 2 == 0.0 < DOUBLE["least"]
