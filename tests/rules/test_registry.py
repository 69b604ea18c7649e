"""Cross-validation generated from the registry: every entry, every argument alone and all at once.

The calls are in `registry_samples`, the checks in `derivative_checks`; this file runs the one over the other,
sees to it that nothing in the registry goes untested, and tries the checks themselves on rules that are wrong
on purpose.
"""

from __future__ import annotations

import contextlib
from collections import Counter

import numpy as np
import pytest
from derivative_checks import (
    COMPOSITIONS,
    ENGINES,
    Report,
    argument_sets,
    assert_close,
    assert_same_form,
    check_adjoint,
    check_first_derivative,
    check_second_derivative,
    check_single_precision,
    check_single_precision_throughout,
    check_value,
    direction,
    with_constants,
    witnessed_calls,
)
from registry_samples import COMPLEX, CONSTANTS, SAMPLES, one_shape_a_kind
from registry_samples.scipy_special import ALL as SCIPY

import dualad
import reversead
from shared import REGISTRY, composite, elementwise, multilinear, rule
from shared.calling.tree import flatten, tree_map
from shared.core.duck_array import UFUNC_METHODS, DuckArray
from shared.core.levels import Tracer
from shared.core.primitive import Primitive
from shared.core.registry import Composite
from shared.rules.special import STOP_GRADIENT

FORMS = ("elementwise", "multilinear", "rule", "composite", "constant")
every_sample = pytest.mark.parametrize("sample", SAMPLES, ids=str)
every_constant = pytest.mark.parametrize("sample", CONSTANTS, ids=str)
every_complex_sample = pytest.mark.parametrize("sample", COMPLEX, ids=str)


def key_name(key):
    if isinstance(key, tuple):
        return f"{key[0].__name__}.{key[1]}"
    return f"{getattr(key, '__module__', None) or 'numpy'}.{key.__name__}"


# --- nothing is left out ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sampled():
    """The functions that samples call, and all those that are reached from there."""
    called, reached = set(), set()
    for sample in [*SAMPLES, *COMPLEX, *CONSTANTS, *SCIPY]:
        report = Report()
        with contextlib.suppress(Exception):  # a sample that does not run fails its own tests
            witnessed_calls(sample.function, sample.arguments(), report)
        called |= report.called
        reached |= report.reached
    return called, reached


#: `isnat` takes dates only, which are never differentiated: it has a test of its own below.  The others are of integers
#: and truth values, which vmap alone traces: see tests/batching/test_batching.py.
NEVER_DIFFERENTIATED = (np.isnat, np.bitwise_and, np.bitwise_or, np.bitwise_xor, np.invert)


@pytest.mark.parametrize(
    "key", [key for key in (*REGISTRY, *UFUNC_METHODS) if key not in NEVER_DIFFERENTIATED], ids=key_name
)
def test_every_entry_has_a_sample(sampled, key):
    called, reached = sampled
    # A function of NumPy is called by users, so a sample must call it; the library's own primitives lie
    # beneath.
    public = not key_name(key).startswith("shared.")
    assert key in (called if public else reached), (
        f"{key_name(key)} has no sample: add a call of it to the file of its family in tests/registry_samples"
    )


def test_isnat_of_numbers_is_refused_as_by_numpy():
    with pytest.raises(TypeError):
        np.isnat(1.0)
    for engine in ENGINES.values():
        with pytest.raises(TypeError):
            engine.jvp(np.isnat, (1.0,), (1.0,))


def test_every_entry_has_one_of_the_five_forms(capsys):
    count = Counter(entry.form for entry in REGISTRY.values())
    with capsys.disabled():
        print("\nentries of the registry: " + ", ".join(f"{count[form]} {form}" for form in FORMS))
    assert set(count) == set(FORMS)
    assert sum(count.values()) == len(REGISTRY)


def test_simple_forms_outnumber_explicit_rules():
    count = Counter(entry.form for entry in REGISTRY.values())
    assert count["rule"] < count["elementwise"] + count["multilinear"] < len(REGISTRY)


@pytest.mark.parametrize(
    "entry",
    sorted({e for e in REGISTRY.values() if e.form == "rule"}, key=lambda e: e.name),
    ids=lambda entry: entry.name,
)
def test_every_explicit_rule_says_why_no_simpler_form_fits(entry):
    assert len(entry.reason.split()) >= 4, f"{entry.name}: {entry.reason!r}"
    assert "\n" not in entry.reason


def test_entries_are_keyed_by_the_function_they_stand_for():
    for key, entry in REGISTRY.items():
        assert isinstance(entry, (Primitive, Composite))
        assert entry.function is key or REGISTRY[entry.function] is entry, key_name(key)


# --- derivatives --------------------------------------------------------------------------------------------


@every_sample
def test_value(sample):
    check_value(sample.function, sample.arguments())


@every_sample
def test_first_derivative(sample):
    check_first_derivative(sample.function, sample.arguments())


@every_sample
def test_adjoint(sample):
    check_adjoint(sample.function, sample.arguments())


@every_sample
def test_second_derivative(sample):
    check_second_derivative(sample.function, sample.arguments())


def is_single(value):
    return all(np.asarray(leaf).dtype != np.float64 or (isinstance(leaf, float) and not isinstance(leaf,
        np.generic))
               for leaf in flatten(value)[0])  # fmt: skip


@pytest.mark.parametrize("sample", one_shape_a_kind(SAMPLES), ids=str)
def test_single_precision(sample):
    single = sample.arguments(np.float32)
    check_single_precision(sample.function, single, sample.arguments())
    # A sample whose value NumPy itself computes in float64 (of Python floats, of float64 constants) says
    # nothing more.
    if is_single(sample.function(*single)) and not all(isinstance(a, float) for a in single):
        check_single_precision_throughout(sample.function, single)


@every_complex_sample
def test_complex(sample):
    check_value(sample.function, sample.arguments())
    check_first_derivative(sample.function, sample.arguments())
    check_adjoint(sample.function, sample.arguments())


# --- constants ----------------------------------------------------------------------------------------------


@every_constant
@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")  # by NumPy 2.5, itself
def test_constants_have_derivative_zero(sample):
    args = sample.arguments()
    expected = sample.function(*args)
    # The derivative is zero wherever it exists: the function does not change over a short step.
    for active in argument_sets(args):
        f, primals = with_constants(sample.function, args, active)
        nearby = f(*[p + 1e-9 * t for p, t in zip(primals, direction(primals, 1), strict=True)])
        assert_close("the function over a short step", nearby, expected, 0.0)
        for name, engine in ENGINES.items():
            out, tangent = engine.jvp(lambda *p, f=f: _numbers(f(*p)), primals, direction(primals, 2))
            assert_close(f"{name}.jvp: value", out, _numbers(expected), 0.0)
            assert all(np.all(np.asarray(t) == 0) for t in flatten(tangent)[0])
            out, pullback = engine.vjp(lambda *p, f=f: _numbers(f(*p)), *primals)
            pulled = pullback(direction(out, 3))
            assert_same_form(f"{name}.vjp: cotangents", pulled, primals)
            assert all(np.all(np.asarray(c) == 0) for c in flatten(pulled)[0])


@every_constant
@pytest.mark.filterwarnings("ignore:numpy.fix is deprecated:DeprecationWarning")  # by NumPy 2.5, itself
def test_constants_are_plain_values(sample):
    args = sample.arguments()
    expected = sample.function(*args)

    def checking(*inner):
        found = sample.function(*inner)
        assert all(not isinstance(leaf, Tracer) for leaf in flatten(found)[0]), f"{found!r} is traced"
        leaves, wanted = flatten(found)[0], flatten(expected)[0]
        assert [type(leaf) for leaf in leaves] == [type(leaf) for leaf in wanted]
        assert_close("the value", leaves, wanted, 0.0)
        return sum(np.sum(x) for x in inner)

    for outer, inner in COMPOSITIONS:

        def derivative(*values, inner=inner):
            return ENGINES[inner].jvp(checking, values, direction(args, 4))[1]

        ENGINES[outer].jvp(derivative, tuple(args), direction(tuple(args), 5))


def _numbers(value):
    """A constant result as floating-point arrays, which an output can be."""
    return tree_map(lambda leaf: np.asarray(leaf, float), flatten(value)[0])


# --- the checks are tried on wrong rules --------------------------------------------------------------------

FIRST = (check_first_derivative,)
ADJOINT = (check_adjoint,)
SECOND = (check_second_derivative,)
EVERY_CHECK = (check_value, check_first_derivative, check_adjoint, check_second_derivative)
POINT = [np.array([0.4, -1.2, 0.9])]
PAIR = [np.array([0.4, -1.2, 0.9]), np.array([[0.5, 1.5, -0.7], [1.1, 0.3, -0.6]])]


@pytest.fixture(autouse=True)
def undeclared():
    """Takes what a test declares out of the registry again."""
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


def hyperbolic(x):
    return np.tanh(x)


def sine(x):
    return np.sin(x)


def product(x, y):
    return x * y


def total(x):
    return np.sum(x)


def primal(x):
    """What a rule must never do: strip the level off an operand, and with it an outer derivative."""
    return x.primal if isinstance(x, (dualad.Dual, reversead.Variable)) else x


RIGHT_RULES = {
    "elementwise": (lambda: elementwise(sine, lambda x: np.cos(x)), POINT),
    "by the output": (lambda: elementwise(hyperbolic, lambda out: 1 - out * out), POINT),
    "two arguments": (lambda: elementwise(product, lambda y: y, lambda x: x), PAIR),
    "multilinear": (lambda: multilinear(total, lambda c, x: np.broadcast_to(c, x.shape)), POINT),
    "rule": (
        lambda: rule(
            product,
            vjps=(lambda c, y: c * y, lambda c, x: c * x),
            jvps=(lambda t, y: t * y, lambda t, x: t * x),
            broadcasts=True,
            because="it is a control",
        ),
        PAIR,
    ),
}


@pytest.mark.parametrize("form", RIGHT_RULES)
def test_a_right_rule_passes_every_check(form):
    declare, args = RIGHT_RULES[form]
    primitive = declare()
    for check in EVERY_CHECK:
        check(primitive, args)


def sine_rule(vjp, jvp):
    return rule(sine, vjps=(vjp,), jvps=(jvp,), because="it is wrong on purpose")


def unsummed_product():
    vjps = lambda c, y: c * y, lambda c, x: c * x
    return rule(product, vjps=vjps, jvps=vjps, because="it is wrong on purpose")


#: Name: a wrong rule, where it is tried, the check that must catch it, and those that it slips through.
WRONG_RULES = {
    # Both engines read the wrong partial, so they agree with each other, and the jvp with the vjp.
    "a wrong sign": (lambda: elementwise(sine, lambda x: -np.cos(x)), POINT, FIRST, ADJOINT),
    "a wrong factor": (lambda: elementwise(sine, lambda x: 2 * np.cos(x)), POINT, FIRST, ADJOINT),
    "a forgotten argument": (lambda: elementwise(product, lambda y: y, None), PAIR, FIRST, ADJOINT),
    "swapped partials": (lambda: elementwise(product, lambda x: x, lambda y: y), PAIR, FIRST, ADJOINT),
    "a wrong sign of the pullback alone": (
        lambda: sine_rule(lambda c, x: -c * np.cos(x), lambda t, x: t * np.cos(x)), POINT, ADJOINT, FIRST,
    ),
    "a pullback of a wrong shape": (lambda: multilinear(total, lambda c, x: c), POINT, ADJOINT, FIRST),
    "a broadcast that is not undone": (unsummed_product, PAIR, ADJOINT, FIRST),
    "a scaled transpose": (
        lambda: multilinear(total, lambda c, x: np.broadcast_to(2 * c, x.shape)), POINT, ADJOINT, FIRST,
    ),
    "wrong at second order only": (
        lambda: elementwise(sine, lambda x: STOP_GRADIENT(np.cos(x))), POINT, SECOND, FIRST + ADJOINT,
    ),
    "a partial whose own derivative is wrong": (
        lambda: elementwise(sine, lambda out, x: np.cos(x) + 3 * (out - STOP_GRADIENT(out))),
        POINT, SECOND, FIRST + ADJOINT,
    ),
    "operands unwrapped by a partial": (
        lambda: elementwise(sine, lambda x: np.cos(primal(x))), POINT, SECOND, FIRST + ADJOINT,
    ),
    "operands unwrapped by the pullback alone": (
        lambda: sine_rule(lambda c, x: c * np.cos(primal(x)), lambda t, x: t * np.cos(x)),
        POINT, SECOND, FIRST + ADJOINT,
    ),
    "operands unwrapped by a composite": (lambda: composite(sine)(lambda x: np.sin(primal(x))), POINT, FIRST,
        ADJOINT),
    "a cotangent unwrapped": (
        lambda: sine_rule(lambda c, x: primal(c) * np.cos(x), lambda t, x: t * np.cos(x)),
        POINT, SECOND, FIRST + ADJOINT,
    ),
    "a tangent unwrapped": (
        lambda: sine_rule(lambda c, x: c * np.cos(x), lambda t, x: primal(t) * np.cos(x)),
        POINT, SECOND, FIRST + ADJOINT,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_RULES)
def test_a_wrong_rule_is_caught(name):
    declare, args, caught_by, missed_by = WRONG_RULES[name]
    primitive = declare()
    for check in missed_by:
        check(primitive, args)
    for check in caught_by:
        with pytest.raises(AssertionError):
            check(primitive, args)


def test_float64_inside_a_float32_rule_is_caught():
    args = [np.array([0.4, -1.2, 0.9], np.float32)]
    check_single_precision_throughout(elementwise(lambda x: np.sin(x), lambda x: np.cos(x)), args)
    wide = elementwise(sine, lambda x: np.float64(1.0) * np.cos(x))
    with pytest.raises(AssertionError, match="float64"):
        check_single_precision_throughout(wide, args)


def test_a_value_of_another_dtype_or_number_is_caught():
    for wrong in (
        lambda x: np.sin(x).astype(np.float32),
        lambda x: np.sin(x) + 1e-6,
        lambda x: np.sin(x)[None],
    ):
        # Traced and plain calls differ as no right primitive's do.
        with pytest.raises(AssertionError):
            check_value(lambda x, wrong=wrong: wrong(x) if isinstance(x, DuckArray) else np.sin(x), POINT)
