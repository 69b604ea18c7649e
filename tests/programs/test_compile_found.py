"""Programs that a compiled function once got wrong, each by the cause that it showed."""

from __future__ import annotations

import argparse
import gc
import warnings

import numpy as np
import pytest

import dualad
import reversead
from shared import CompilationError, TracerConversionError, compile, elementwise, simplify, trace, vmap
from shared.calling.tree import flatten
from shared.core.errors import ImpureFunctionError, ProgramGuardError, RecordLengthError, StaleViewError
from shared.core.registry import REGISTRY
from shared.programs import recorder
from shared.programs.compiling.rewriting import rewritten


def same(found, expected, rtol=1e-13):
    for one, other in zip(flatten(found)[0], flatten(expected)[0], strict=True):
        assert type(one) is type(other)
        np.testing.assert_allclose(one, other, rtol=rtol, atol=0.0, strict=isinstance(one, np.ndarray))


def _literal_in_two_stretches(x):
    weights = np.arange(200.0) / 7
    y = np.tanh(x * weights) + x
    z = np.cumsum(y, axis=0)
    return (z * weights) * 0.3 + z


def _recursive(x):
    c = np.array([1.0, 2.0])

    def times(k):
        return x * c if k == 0 else times(k - 1)

    return times(3)


def _uninitialised(x):
    y = np.empty_like(x)
    y[...] = x
    return y * 2


def _windows_of_a_view(x):
    made = (WEIGHTS - WEIGHTS)[None]
    return x + np.lib.stride_tricks.sliding_window_view(made, 1, axis=0)[..., 0] + made


WEIGHTS = np.array([1.0, 2.0])
LARGE = np.linspace(-1.0, 1.0, 70_000)
CASES = {
    "an array made in the function and read in two fused loops": (
        _literal_in_two_stretches,
        (np.linspace(0.0, 1.0, 80_000).reshape(400, 200),),
    ),
    "a large array of single precision and a Python float": (
        lambda x, r: np.tanh(x * r) * r + x,
        (LARGE.astype(np.float32), 0.5),
    ),
    "a large array of half precision and a Python float": (
        lambda x, r: (x * r) * r + x,
        (LARGE.astype(np.float16), 0.5),
    ),
    "a large complex array and a Python float": (lambda x, r: np.exp(x * r) * r + x, (LARGE + 1j, 0.5)),
    "a Python complex number and an array of single precision": (
        lambda s, x: x * (s * 1j),
        (2.0, np.ones(2, np.float32)),
    ),
    "Python complex numbers alone": (lambda s: (s * 1j + 2.0) / (1.0 - 3j * s), (2.0,)),
    "an array that a closure of the function itself holds": (_recursive, (np.ones(2),)),
    "windows of an array that the function makes": (
        lambda x: np.lib.stride_tricks.sliding_window_view(np.arange(5.0), 2) @ x,
        (np.ones(2),),
    ),
    "windows of a view of an array that the function makes": (_windows_of_a_view, (np.ones(2),)),
    "an array without axes in another precision": (lambda x: x.astype(np.float32), (np.array(1.5),)),
    "the negative of a Python complex number": (lambda s: -s, (0.5 + 1j,)),
    "truth values to a power": (lambda x: (x > 0) ** 2.0, (np.array([1.0, -1.0]),)),
    "the square of truth values": (lambda x: (x > 0) ** 2, (np.array([1.0, -1.0]),)),
    "the first power of truth values": (lambda x: (x > 0) ** 1, (np.array([1.0, -1.0]),)),
    "the largest of truth values": (lambda x: np.nanmax(x > 0), (np.array([1.0, -1.0]),)),
    "differences of truth values": (lambda x: np.diff(x > 0), (np.array([1.0, -1.0]),)),
    "truth values without NaN": (lambda x: np.nan_to_num(x > 0), (np.array([1.0, -1.0]),)),
    "complex numbers without NaN": (np.nan_to_num, (np.array([complex(np.inf, 1.0), complex(2.0, np.nan)]),)),
    "a variance of fewer elements than are taken off": (
        lambda x: np.var(x, ddof=2),
        (np.array([1.0]),),
    ),
    "a variance in half precision": (
        lambda x: np.var(x * 2, axis=-1),
        (np.array([[1.0, 3.0, 0.1, 7.0, 2.0], [0.4146, 0.555, 1.501, -0.4978, 0.3657]], np.float16),),
    ),
    "a Jacobian of numbers": (dualad.jacobian(lambda x: x ** np.float64(2)), (np.float64(2.0),)),
    "a Jacobian of a wider dtype, that is zero": (
        reversead.jacobian(lambda x, y: y.astype(complex)),
        (np.ones(2, np.float32), np.ones(2, np.float32)),
    ),
    "an array that is not initialised, over a batch": (vmap(_uninitialised), (np.ones((2, 3)),)),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", CASES)
def test_a_compiled_function_equals_the_function(name):
    f, arguments = CASES[name]
    fast = compile(f)
    expected = f(*arguments)
    rtol = {2: 2e-3, 4: 2e-6}.get(flatten(expected)[0][0].dtype.itemsize, 1e-13) if np.ndim(expected) else 1e-13
    same(fast(*arguments), expected, rtol)
    same(fast(*arguments), expected, rtol)


def test_a_function_of_a_user_may_return_its_operand():
    identity = elementwise(lambda x: x, lambda x: 1.0 + 0.0 * x)

    def f(x):
        y = np.sin(x) * 2
        w = identity(y)
        a = np.cos(x) * 3
        return (a * a + x) * x * 1.5, w * 2

    try:
        same(compile(f)(np.arange(4.0)), f(np.arange(4.0)))
    finally:
        del REGISTRY[identity.function]


@pytest.mark.parametrize(
    "f, arguments",
    [
        (lambda x, y: 0.5 * x + 0.5 * y, (1.7e308, 1.7e308)),
        (lambda x, y: 0.25 * x - (-0.25) * y, (1.7e308, 1.7e308)),
        (lambda x, y: (x * 1e-14) * y, (1e160, 1e160)),
        (lambda x, y: (x * 1e14) * y, (1e-165, 1e-165)),
        (lambda x, y: (x * 1e-8) * (y * 1e12), (1e150, 1e150)),
    ],
)
def test_rewriting_neither_overflows_nor_vanishes_where_the_function_does_not(f, arguments):
    for given in (arguments, tuple(np.array([a]) for a in arguments)):
        np.testing.assert_allclose(compile(f)(*given), f(*given), rtol=1e-13)


def test_an_inner_product_overflows_no_sooner_than_the_sum():
    x = np.full(10, 1e154)
    np.testing.assert_allclose(compile(lambda x: np.sum(x * x * 1e-10))(x), 1e299, rtol=1e-13)


def test_rewriting_keeps_python_numbers_weak():
    program = trace(lambda x, r, s: x * ((-r) * (2.0 * s)), np.ones(3, np.float32), 0.1, 0.3)
    found = rewritten(simplify(program))
    assert found(np.ones(3, np.float32), 0.1, 0.3).dtype == np.float32


def test_results_of_equations_have_the_types_that_are_written_down():
    def f(x, r, s):
        return np.sum(x * ((-r) * (2.0 * s)) - (r + r) * x), (-r) * (s * 3.0) - r

    for x in (np.linspace(0.0, 1.0, 3), np.linspace(0.0, 1.0, 3, dtype=np.float32)):
        for g in (f, reversead.grad(lambda x, r, s: f(x, r, s)[0].astype(float), argnums=(0, 1, 2))):
            program = rewritten(simplify(trace(g, x, 0.5, 0.25)))
            values = program.values(x, 0.5, 0.25)
            for equation in program.equations:
                found, expected = values[equation.result], program.types[equation.result]
                assert getattr(found, "dtype", None) == expected.dtype, equation
                assert isinstance(found, float) == issubclass(expected.kind, float), equation


def test_minus_zero_keeps_its_sign():
    x = np.array([-0.0, 0.0])
    for f in (
        lambda x: np.copysign(1.0, x + 0.0),
        lambda x: np.copysign(1.0, x - 0.0),
        lambda x: np.copysign(1.0, 0.0 + x),
    ):
        np.testing.assert_array_equal(simplify(trace(f, x))(x), f(x))
        np.testing.assert_array_equal(compile(f)(x), f(x))


def test_a_number_cannot_leave_the_record_as_text():
    with pytest.raises(TracerConversionError, match="text was asked of"):
        trace(lambda x: x * 2 if f"{x[0]:.1f}" == "1.0" else x * 3, np.ones(2))


# --- functions that a record does not stand for -----------------------------------------------------------------------


class Model:
    def __init__(self):
        self.w = np.ones(2)
        self.history = []
        self._rate = 0.5
        self.options = argparse.Namespace(scale=2.0)

    factor = 3.0

    @property
    def rate(self):
        return self._rate

    def update(self, x):
        self.w = self.w - x
        return np.sum(self.w)

    def remember(self, x):
        self.last = x
        return np.sum(x)

    def note(self, x):
        self.history.append(np.sum(x))
        return self.history[-1]

    def scaled(self, x):
        return x * self.rate * self.options.scale * self.factor

    @classmethod
    def of_class(cls, x):
        return x * cls.factor


def _assigning(w):
    w -= 0.1 * w
    return np.sum(w)


def _storing(x):
    global last_value
    last_value = x
    return x * 2


generator = np.random.default_rng(0)
UNFAITHFUL = {
    "it assigns to its argument": (_assigning, "assigned to its argument w .*np.copy"),
    "it asks whether a value is an array": (
        lambda x: (x if isinstance(x, np.ndarray) else np.zeros(2)) * 2,
        "computes otherwise when it is recorded",
    ),
    "it draws numbers that do not show": (
        lambda x: np.sum(x) if np.random.rand() < 2 else np.sum(x * x),
        "draws random numbers",
    ),
    "it draws from a generator that it names": (lambda x: x + generator.random(), "is not deterministic: x .* had the"),
    "it stores a value as an attribute": (Model().update, "stores a value of the record in 'w'"),
    "it stores a value as an attribute that it does not read": (
        Model().remember,
        "stores a value of the record in 'last'",
    ),
    "it stores a value as a global variable": (_storing, "stores a value of the record in 'last_value'"),
    "it appends a value to a list": (Model().note, "stores a value of the record"),
}


@pytest.fixture
def every_object_is_looked_at():
    # What was there when the tests began is kept from the collector, which also tells who refers to what.
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.mark.usefixtures("every_object_is_looked_at")
@pytest.mark.parametrize("name", UNFAITHFUL)
def test_a_function_is_refused_if(name):
    f, message = UNFAITHFUL[name]
    with pytest.raises((CompilationError, ImpureFunctionError), match=message):
        compile(f)(np.array([1.0, 2.0]))


def test_a_view_is_not_returned_after_its_base_was_assigned_to():
    def f(x):
        whole = x * 1.0
        part = whole[..., None]
        whole[whole > 0] *= -1.0
        return part

    for transform in (trace, lambda f, x: compile(f)(x)):
        with pytest.raises(StaleViewError, match="a view was used after its base array was assigned to"):
            transform(f, np.array([1.0, -2.0]))


def test_windows_of_what_the_function_makes_are_not_read_from_outside():
    assert not trace(_windows_of_a_view, np.ones(2)).captured


def test_what_is_zero_but_for_rounding_is_not_taken_for_another_function():
    def remainder(x):
        total = np.add.reduce(x) if isinstance(x, np.ndarray) else x @ np.ones(x.size)
        return total - np.sum(x)

    x = 1e3 * np.random.default_rng(0).standard_normal(1003)
    assert remainder(x) == 0.0 < abs(trace(remainder, x)(x))
    assert abs(compile(remainder)(x)) < 1e-6


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_zero_times_an_infinite_derivative_is_said_to_be_the_reason():
    fast = compile(dualad.jacobian(np.sqrt))
    with pytest.raises(CompilationError, match="computes NaN at these arguments"):
        fast(np.array([0.0, 1.0]))
    np.testing.assert_array_equal(fast(np.array([1.0, 4.0])), [[0.5, 0.0], [0.0, 0.25]])


def test_a_branch_that_all_examples_of_a_batch_take_is_guarded():
    def f(x):
        return x * 2 if np.sum(x) > 0 else x * 3

    def doubled_or_tripled(xs):
        return np.sum(vmap(f)(xs))

    xs = np.array([[1.0, 2.0], [3.0, 4.0]])
    for g in (vmap(f), vmap(dualad.jacobian(f)), reversead.grad(doubled_or_tripled)):
        fast, program = compile(g), trace(g, xs)
        for given in (xs, -xs, 2 * xs):
            np.testing.assert_array_equal(fast(given), g(given))
        with pytest.raises(ProgramGuardError, match="the branch on"):
            program(-xs)
        with pytest.raises(TracerConversionError, match="differs among the examples"):
            fast(np.array([[1.0, 2.0], [-3.0, -4.0]]))


def test_a_function_that_seeds_its_own_random_numbers_may_be_compiled():
    def seeded(x):
        return x * np.random.default_rng(3).random()

    assert compile(seeded)(2.0) == seeded(2.0)


def test_a_configuration_that_makes_its_attributes_up_can_be_read():
    class Made:
        def __getattr__(self, name):
            return {"rate": 2.0}[name]

    made = Made()
    assert compile(lambda x: x * made.rate)(3.0) == 6.0


def test_a_function_that_needs_another_variant_each_time_runs_as_it_is():
    data = np.arange(400.0).reshape(200, 2)
    by_index, by_shape = compile(lambda w, k: np.sum(data[k : k + 3] @ w)), compile(np.sum)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for k in range(80):
            assert by_index(np.ones(2), k) == np.sum(data[k : k + 3])
            assert by_shape(np.ones(k)) == k
    assert len(caught) == 2
    for name in ("k may differ", "the shapes of the arguments"):
        assert sum(name in str(warning.message) for warning in caught) == 1


def test_a_loop_that_does_not_end_is_given_up(monkeypatch):
    monkeypatch.setattr(recorder, "LONGEST_RECORD", 1000)

    def endless(x):
        while x > -1.0:
            x = x + 1.0
        return x

    with pytest.raises(RecordLengthError, match="values were recorded, and the function goes on"):
        trace(endless, 1.0)


def test_there_is_no_source_before_the_first_call():
    with pytest.raises(CompilationError, match="before the first call"):
        compile(lambda x: x).source()


def test_numbers_joined_to_a_vector_are_assigned():
    fast = compile(lambda y: np.stack([y[1], -y[0], y[0] * y[1], 2.0]))
    y = np.array([0.5, 3.0])
    np.testing.assert_array_equal(fast(y), [3.0, -0.5, 1.5, 2.0])
    assert "concatenate" not in fast.source()


def test_whether_a_reshape_that_is_written_to_copies_is_decided_for_each_layout():
    def reversed_rows(x):
        v = x.swapaxes(0, -1) * 2
        w = v.ravel()
        w[::-1] = np.arange(6.0)
        return v

    fast, c = compile(reversed_rows), np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(fast(c), reversed_rows(c))
    # Here the reshaped array is a view, through which a record cannot write.
    with pytest.raises(StaleViewError, match="a reshape, a transpose"):
        fast(np.asfortranarray(c))
    np.testing.assert_array_equal(fast(c), reversed_rows(c))
    with pytest.raises(ProgramGuardError, match="another order of elements"):
        trace(reversed_rows, c)(np.asfortranarray(c))


# --- roots of negative numbers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("f", [lambda x: x**0.5, lambda x: (2.0 * x) ** 1.5 + 1.0, lambda x: np.power(x, 0.5)])
def test_a_root_is_complex_to_python_and_nan_to_numpy(f):
    with np.errstate(all="ignore"):
        for points in ((-2.0, -3.0, -2.0), (2.0, -2.0, 3.0), (-np.inf, 2.0, -np.inf)):
            compiled = compile(f)
            for x in points:
                same(compiled(x), f(x))


@pytest.mark.parametrize("engine", [dualad, reversead])
def test_the_derivative_of_a_complex_root(engine):
    gradient = engine.grad(lambda x: (x**0.5).imag)
    compiled = compile(gradient)
    for x in (-2.0, -3.0, -2.0):
        same(compiled(x), gradient(x))
        assert gradient(x) == pytest.approx(-0.5 / np.sqrt(-x))
    with np.errstate(all="ignore"):
        for root in (lambda x: np.power(x, 0.5), lambda x: np.float_power(x, 0.5)):
            assert np.isnan(engine.grad(root)(-2.0))
        assert np.isnan(engine.grad(lambda x: x**0.5)(np.float64(-2.0)))
