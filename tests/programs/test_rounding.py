"""The rounding-error estimate: a bound of the errors that are made, not far above them, and put down to the right line.

The errors are measured: a program is run in float32, and again with the same numbers in float64, where its own errors
are too small to matter.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import rounding_error, trace, trace_table
from shared.core.errors import ShapeError
from shared.programs.explaining.rounding import local_error
from shared.programs.text import text_lines

SINGLE, DOUBLE = np.finfo(np.float32).eps, np.finfo(np.float64).eps

# --- a bound ----------------------------------------------------------------------------------------------------------

UNARY = ["np.sin({})", "np.cos({})", "np.tanh({})", "np.exp(-({}) * ({}))", "np.sqrt(1 + {} * {})", "-{}", "({}) ** 2",
         "np.log(2 + {} * {})", "1 / (1 + {} * {})", "np.arctan({})"]  # fmt: skip
BINARY = ["({} + {})", "({} - {})", "({} * {})", "({} / (1.5 + np.cos({})))", "np.maximum({}, {})", "np.hypot({}, {})"]
SCALAR_RESULTS = ["np.sum({})", "np.mean({})", "np.sum({} * {})", "{} @ {}", "np.prod({})", "np.cumsum({})[-1]",
                  "np.einsum('i,i->', {}, {})", "np.sum(np.concatenate([{}, {}]))"]  # fmt: skip


@st.composite
def single_programs(draw):
    """A list of statements that make v2, v3, ... of the vectors v0 and v1, and a number of them."""
    lines = []
    for k in range(2, 2 + draw(st.integers(1, 7))):
        name = st.sampled_from([f"v{i}" for i in range(k)])
        template = draw(st.sampled_from(UNARY + BINARY))
        first, rest = draw(name), draw(name)
        parts = template.split("{}")
        text = first.join(parts) if template in UNARY else parts[0] + first + rest.join(parts[1:])
        lines.append(f"v{k} = {text}")
    last = f"v{1 + len(lines)}"
    other = draw(st.sampled_from([f"v{i}" for i in range(2 + len(lines))]))
    parts = draw(st.sampled_from(SCALAR_RESULTS)).split("{}")
    lines.append("result = " + (last.join(parts) if len(parts) == 2 else parts[0] + last + parts[1] + other + parts[2]))
    return lines


def run(lines, x, y):
    scope = {"np": np, "v0": x, "v1": y}
    exec("\n".join(lines), scope)
    return scope["result"]


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(single_programs(), st.integers(0, 10**6))
def test_the_estimate_bounds_the_error_of_single_precision(lines, seed):
    x, y = np.random.default_rng(seed).uniform(-2, 2, (2, 6)).astype(np.float32)
    value = run(lines, x, y)
    assert value.dtype == np.float32
    exact = run(lines, x.astype(np.float64), y.astype(np.float64))
    estimate = rounding_error(lambda x, y: run(lines, x, y), x, y)
    error = abs(float(value) - float(exact))
    # Second-order terms, and what NumPy's single-precision functions are off by beyond a unit in the last place.
    allowed = 1.05 * estimate.bound + 40 * SINGLE**2 * (1 + abs(float(exact)))
    assert error <= allowed, f"{lines}: off by {error}, estimated {estimate}"


def cancelling(x):
    return (1 - np.cos(x)) / x**2


def smaller_root(a, b, c):
    return (-b + np.sqrt(b * b - 4 * a * c)) / (2 * a)


def variance(x):
    return np.mean(x * x) - np.mean(x) ** 2


def added_up(x):
    total = x[0]
    for k in range(1, x.size):
        total = total + x[k]
    return total


CANCELLATIONS = {
    "1 - cos x": (cancelling, lambda rng: (np.float32(rng.uniform(0.005, 0.02)),), "cos"),
    "the smaller root": (
        smaller_root,
        lambda rng: (np.float32(rng.uniform(1, 2)), np.float32(rng.uniform(40, 90)), np.float32(rng.uniform(1, 2))),
        "sqrt",
    ),
    "the variance by moments": (variance, lambda rng: (rng.normal(100.0, 1.0, 50).astype(np.float32),), "mean"),
    "a sum one by one": (added_up, lambda rng: (rng.normal(0.0, 1.0, 50).astype(np.float32),), "add"),
}


@pytest.mark.parametrize("name", CANCELLATIONS)
def test_the_estimate_is_above_the_largest_error_but_not_far(name):
    """Over many points the largest error comes to at least a fortieth of the bound, and never above it."""
    function, draw, blamed = CANCELLATIONS[name]
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(100):
        args = draw(rng)
        exact = function(*[np.float64(a) if np.ndim(a) == 0 else a.astype(np.float64) for a in args])
        estimate = rounding_error(function, *args)
        ratios.append(abs(float(function(*args)) - float(exact)) / estimate.bound)
        assert estimate.worst(1)[0].equation.primitive.name == blamed
    assert 1 / 40 < max(ratios) <= 1.0


def test_a_stable_form_has_a_small_estimate():
    assert rounding_error(cancelling, 1e-5).relative > 1e-7
    assert rounding_error(lambda x: 2 * (np.sin(x / 2) / x) ** 2, 1e-5).relative < 10 * DOUBLE


def test_shares_and_lines_add_up():
    estimate = rounding_error(smaller_root, 1.0, 1e5, 1.0)
    assert sum(line.amount for line in estimate.lines) == pytest.approx(estimate.bound, abs=0)
    assert sum(line.share for line in estimate.lines) == pytest.approx(1.0)
    assert [line.text for line in estimate.lines] == [
        p.split(" = ", 1)[1] for p, _, _ in text_lines(estimate_program())
    ]
    assert float(estimate) == estimate.bound
    assert "test_rounding.py" in estimate.worst(1)[0].where
    assert "sqrt" in str(estimate)
    assert "more lines" in str(estimate)


def estimate_program():
    return trace(smaller_root, 1.0, 1e5, 1.0)


# --- what rounds ------------------------------------------------------------------------------------------------------

EXACT = {
    "negation": lambda x: -x,
    "an element": lambda x: x[1],
    "elements": lambda x: x[np.array([0, 0, 2])],
    "a reshape": lambda x: np.reshape(x, (2, 2)).T,
    "a copy": lambda x: x.copy(),
    "a maximum": lambda x: np.maximum(x, 0.25),
    "the largest": lambda x: np.max(x),
    "a choice": lambda x: np.where(x > 0, x, -x),
    "joining": lambda x: np.concatenate([x, x]),
    "the magnitude": lambda x: np.abs(x),
    "sorting": lambda x: np.sort(x),
    "the real part": lambda x: np.real(x),
    "stretching": lambda x: np.broadcast_to(x, (3, 4)),
    "assigning": lambda x: assigned(x),
    "more digits": lambda x: x.astype(np.float32).astype(np.float64) if x.dtype == np.float32 else x.astype(float),
    "a permutation by einsum": lambda x: np.einsum("ij->ji", np.reshape(x, (2, 2))),
    "a sum of one": lambda x: np.sum(np.reshape(x, (4, 1)), axis=1),
    "padding": lambda x: np.pad(x, 1),
    "rolling": lambda x: np.roll(x, 1),
}  # fmt: skip


def assigned(x):
    y = np.zeros_like(x)
    y[1:] = x[1:]
    y[0] = x[2]
    return y


@pytest.mark.parametrize("name", EXACT)
def test_exact_operations_do_not_count(name):
    x = np.array([0.1, -0.7, 1.3, 0.4])
    assert rounding_error(EXACT[name], x, cotangent=np.ones_like(EXACT[name](x))).bound == 0.0


#: Local bounds by hand: the function, its argument, and the bound of the error of the result, in units of eps.
ROUNDED = {
    "one product": (lambda x: x[0] * x[1], [3.0, 5.0], 15.0),
    "a sum of three": (lambda x: np.sum(x), [3.0, -5.0, 4.0], 2 * 12.0 / 2),
    "a mean of four": (lambda x: np.mean(x), [3.0, -5.0, 4.0, 2.0], 4 * 14.0 / 4 / 2),
    "an inner product": (lambda x: x @ x, [1.0, 2.0], 2 * 5.0 / 2),
    "a running sum": (lambda x: np.sum(np.cumsum(x)), [1.0, 1.0], 2.0 / 2 + 3.0 / 2),
    "a product of three": (lambda x: np.prod(x), [2.0, 3.0, 4.0], 2 * 24.0),
    "adding at an index": (lambda x: added_at(x), [1.0, 2.0], 1 * (2.0 + 1.0)),
}


def added_at(x):
    y = x.copy()
    y[1:] += x[:1]
    return y[1]


@pytest.mark.parametrize("name", ROUNDED)
def test_the_bound_of_one_operation(name):
    function, argument, units = ROUNDED[name]
    assert rounding_error(function, np.array(argument)).bound == pytest.approx(units * DOUBLE, rel=1e-12, abs=0)


def test_fewer_digits_count_by_their_own_precision():
    estimate = rounding_error(lambda x: np.sum(x.astype(np.float32)), np.array([3.0]))
    assert estimate.bound == pytest.approx(3.0 * SINGLE, abs=0)
    assert rounding_error(lambda x: x * x, np.float32(3.0)).bound == pytest.approx(9.0 * SINGLE, abs=0)
    assert rounding_error(lambda x: x * x, 3.0).bound == pytest.approx(9.0 * DOUBLE, abs=0)


def test_assigning_to_fewer_digits_rounds_what_is_assigned():
    def f(x, y):
        z = np.zeros_like(x)
        z[1] = y
        return z

    estimate = rounding_error(f, np.ones(2, np.float32), np.float64(3.0), cotangent=np.ones(2, np.float32))
    assert estimate.bound == pytest.approx(3.0 * SINGLE, abs=0)


def test_complex_products_are_bounded():
    rng = np.random.default_rng(1)
    for _ in range(100):
        z, w = rng.normal(size=4).astype(np.float32).view(np.complex64)
        for operate in (np.multiply, np.divide, np.add):
            error = abs(complex(operate(z, w)) - operate(complex(z), complex(w)))
            program = trace(operate, z, w)
            (equation,) = program.equations
            assert error <= local_error(equation, [z, w], operate(z, w))


def test_algorithms_are_counted_once_and_named():
    estimate = rounding_error(lambda A: np.linalg.det(A) * 2.0, np.eye(3) + 0.1)
    assert estimate.nominal == ["det"]
    assert "det" in str(estimate).splitlines()[-1]
    assert rounding_error(cancelling, 0.1).nominal == []


def test_lines_that_do_not_reach_the_output_add_nothing():
    def f(x):
        np.exp(x)
        return x[0]

    assert rounding_error(f, np.ones(2)).bound == 0.0
    assert rounding_error(lambda x: x * 0.0, 1.0).relative == 0.0


def test_several_outputs_need_a_cotangent():
    with pytest.raises(ShapeError, match="cotangent"):
        rounding_error(lambda x: x * x, np.ones(2))
    estimate = rounding_error(lambda x: (x * x, x + x), 3.0, cotangent=(1.0, 0.0))
    assert estimate.bound == pytest.approx(9 * DOUBLE, abs=0)


def test_what_is_not_finite_is_said_to_be():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert not np.isfinite(rounding_error(lambda x: np.log(x) * x, 0.0).bound)


# --- as a column ------------------------------------------------------------------------------------------------------


def test_the_column_of_the_table_is_the_estimate():
    table = trace_table(cancelling, 1e-5, columns=("primal", "rounding"))
    estimate = rounding_error(cancelling, 1e-5)
    amounts = [line.rounding for line in table.lines if line.rounding is not None]
    assert amounts == [*(line.amount for line in estimate.lines), estimate.bound]
    assert "rounding" in str(table).splitlines()[1]
