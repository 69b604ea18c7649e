"""The derivatives of scipy.special: every rule against differences, those in parameters against mpmath, the edges.

The samples are in `registry_samples.scipy_special`.  That nothing goes without one is seen to in `test_registry.py`.
"""

from __future__ import annotations

import pickle
import subprocess
import sys
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.special as special
from derivative_checks import (
    ENGINES,
    assert_fits,
    check_adjoint,
    check_first_derivative,
    check_single_precision,
    check_single_precision_throughout,
    check_value,
    direction,
)
from registry_samples.sample import Sample
from registry_samples.scipy_special import (
    REPLACED,
    SCIPY_SPECIAL,
    SCIPY_SPECIAL_COMPLEX,
    SCIPY_SPECIAL_CONSTANTS,
    SCIPY_SPECIAL_FIRST_ORDER,
)

import dualad
import reversead
import shared
from shared.calling.tree import flatten
from shared.checking.differences import difference_jvp
from shared.core.errors import NoRuleError, TracerConversionError
from shared.scipy import special as own
from shared.scipy.elliptic import SYMMETRIC
from shared.scipy.incomplete import BETA_SLOPE, GAMMA_SLOPE
from shared.scipy.masks import BLOCK
from shared.scipy.orders import MACDONALD
from shared.scipy.refused import REFUSED, arguments_of

# Pickling a ufunc asks every module for it, and some of mpmath's warn.
pytestmark = [
    pytest.mark.filterwarnings("ignore:the .* module is deprecated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:numpy.core is deprecated:DeprecationWarning"),
]

FIRST_ORDER = [*SCIPY_SPECIAL, *SCIPY_SPECIAL_FIRST_ORDER]


@pytest.mark.parametrize("sample", [*FIRST_ORDER, *SCIPY_SPECIAL_COMPLEX], ids=str)
def test_first_derivative(sample: Sample) -> None:
    args = sample.arguments()
    check_value(sample.function, args)
    check_first_derivative(sample.function, args)
    check_adjoint(sample.function, args)


@pytest.mark.parametrize("sample", SCIPY_SPECIAL, ids=str)
def test_second_derivative(sample: Sample) -> None:
    """Along two directions, by each engine over each: differences of a first derivative, whose check is above."""
    f, args = sample.function, tuple(sample.arguments())
    t, u = tuple(direction(list(args), 1)), tuple(direction(list(args), 2))

    def slope(*values: Any) -> Any:
        return flatten(dualad.jvp(f, values, t)[1])[0]

    estimate = difference_jvp(slope, args, u)
    assert_fits("forward over forward", dualad.jvp(slope, args, u)[1], estimate)
    c = direction(f(*args), 3)
    if any(np.iscomplexobj(leaf) for leaf in flatten(c)[0]):
        return
    expected = sum(np.vdot(a, b) for a, b in zip(flatten(c)[0], flatten(estimate.value)[0], strict=True))

    def along(cotangents: Any, tangents: Any) -> Any:
        return sum(np.sum(a * b) for a, b in zip(cotangents, tangents, strict=True))

    def pulled(*values: Any) -> Any:
        return along(reversead.vjp(f, *values)[1](c), t)

    found = [
        along(reversead.vjp(lambda *x: along(flatten(c)[0], slope(*x)), *args)[1](1.0), u),
        dualad.jvp(pulled, args, u)[1],
        along(reversead.vjp(pulled, *args)[1](1.0), u),
    ]
    np.testing.assert_allclose(found, expected, rtol=2e-7, atol=1e-9)


def _is_single(value: Any) -> bool:
    return all(np.asarray(leaf).dtype == np.float32 for leaf in flatten(value)[0])


@pytest.mark.parametrize("sample", SCIPY_SPECIAL_CONSTANTS, ids=str)
def test_constants(sample: Sample) -> None:
    for engine in ENGINES.values():
        assert not np.any(engine.jacobian(sample.function)(*sample.arguments()))


def test_functions_in_place_of_scipys_have_their_values() -> None:
    numbers = {"x": np.array([0.3, 0.7, 1.9]), "y": np.array([0.1, 0.4, 0.6])}
    for call in REPLACED.split():
        expected, found = (eval(call, vars(module) | numbers) for module in (special, own))
        np.testing.assert_allclose(found, expected, rtol=1e-13, err_msg=call)
    x = numbers["x"]
    for name, sign in (("spherical_jn", -1), ("spherical_yn", 1), ("spherical_in", -1)):
        np.testing.assert_array_equal(getattr(own, name)(1, -x), sign * getattr(own, name)(1, x))
    for name in ("comb", "perm"):
        assert getattr(own, name)(5, 2, exact=True) == getattr(special, name)(5, 2, exact=True)


# --- what a rule brings beside the derivative -------------------------------------------------------------------------


def test_every_row_acts_element_by_element() -> None:
    entries = [e for f, e in shared.REGISTRY.items() if getattr(e, "function", None) in vars(special).values()]
    assert len(entries) > 150
    assert all(e.form in ("composite", "constant") or e.dependence == "elementwise" for e in entries)


@pytest.mark.parametrize("sample", SCIPY_SPECIAL, ids=str)
def test_single_precision_batches_and_records(sample: Sample) -> None:
    f, args = sample.function, sample.arguments()
    expected = flatten(f(*args))[0]
    if "[0,1,2]" not in str(sample):
        for found, want in zip(flatten(shared.vmap(f)(*args))[0], expected, strict=True):
            np.testing.assert_allclose(found, want, rtol=1e-13)
    program = pickle.loads(pickle.dumps(shared.trace(f, *args)))
    for found, want in zip(flatten(program(*args))[0], expected, strict=True):
        np.testing.assert_array_equal(found, want)
    if "bdtr" in str(sample):
        return  # whose numbers of trials are whole
    # Beside a Python number many ufuncs of SciPy compute in float64.
    single = sample.arguments(np.float32)
    if _is_single(f(*single)):
        check_single_precision(f, single, args)
        check_single_precision_throughout(f, single)


def _posterior(x: Any) -> Any:
    scale = special.gammainc(2.0 + x[0], x) * special.erf(x[1]) + special.airy(x)[0]
    return np.sum(scale * special.betainc(x, 1.5, 0.3) + special.exp2(x))


def test_compiled_derivatives() -> None:
    x = np.array([0.4, 0.8])
    for derive in (reversead.grad, dualad.grad, reversead.hessian):
        compiled = shared.compile(derive(_posterior))
        np.testing.assert_allclose(compiled(x), derive(_posterior)(x), rtol=1e-13)
        np.testing.assert_allclose(compiled(x + 0.1), derive(_posterior)(x + 0.1), rtol=1e-13)
    source = shared.compile(_posterior).source(x)
    assert "from scipy.special import gammainc as scipy_gammainc" in source and "scipy_exp2(" in source
    np.testing.assert_allclose(shared.compile(_posterior)(x), _posterior(x), rtol=1e-14)


def test_a_record_is_loaded_where_nothing_was_differentiated() -> None:
    program = shared.trace(lambda x: special.erf(x) * special.airy(x)[1] * special.gammainc(x, x), np.ones(2))
    code = f"import pickle, numpy as np; print(pickle.loads({pickle.dumps(program)!r})(np.ones(2)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(program(np.ones(2)))


def test_rules_are_loaded_when_a_ufunc_of_scipy_is_met() -> None:
    code = (
        "import sys, numpy as np, scipy.special, reversead\n"
        "reversead.grad(lambda x: np.sum(np.sin(x)))(np.ones(3))\n"
        "print('shared.scipy' in sys.modules)\n"
        "print(reversead.grad(scipy.special.erf)(0.0))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", str(2 / np.sqrt(np.pi))]


def test_quadratures_of_many_elements_are_done_in_blocks() -> None:
    x = np.linspace(0.2, 3.0, 2 * BLOCK + 4, dtype=np.float32).reshape(3, -1)
    rules = (
        lambda x: GAMMA_SLOPE(x, 1.5, order=1),
        lambda x: BETA_SLOPE(x, 1.5, 0.3, 0.7, order=(0, 1)),
        lambda x: MACDONALD(1.5, x, order=1, scaled=False),
        lambda x: SYMMETRIC(x, 1.0, 2.0, 1.0, exponents=(0.5, 0.5, 1.5, 0.0)),
    )
    for rule in rules:
        found = rule(x)
        assert found.shape == x.shape and found.dtype == np.float32
        np.testing.assert_allclose(found[:, -7:], rule(x[:, -7:]), rtol=1e-6)


def test_keywords_and_methods() -> None:
    x = np.array([0.3, 0.6])
    mask = np.array([True, False])
    assert dualad.jvp(lambda x: special.erf(x, where=mask), (x,), (np.ones(2),))[1][1] == 0
    outer = reversead.grad(lambda x: np.sum(special.xlogy.outer(x, x)))(x)
    np.testing.assert_allclose(outer, reversead.grad(lambda x: np.sum(special.xlogy(x[:, None], x)))(x))


# --- in parameters, against mpmath ------------------------------------------------------------------------------------


def _gammainc(a: Any, x: Any) -> Any:
    return x**a * mpmath.exp(-x) * mpmath.hyp1f1(1, a + 1, x) / mpmath.gamma(a + 1)


def _betainc(a: Any, b: Any, x: Any) -> Any:
    lower = x < a / (a + b)
    return mpmath.betainc(a, b, 0, x, regularized=True) if lower else -mpmath.betainc(a, b, x, 1, regularized=True)


#: Name: the function, what it is by mpmath up to a constant, and points
PARAMETERS: dict[str, tuple[Any, Any, list[tuple[float, ...]]]] = {
    "gammainc": (
        special.gammainc,
        _gammainc,
        [(1e-3, 1e-5), (0.05, 3.0), (0.5, 1e-30), (1.5, 1.5), (3.0, 40.0), (20.0, 19.0), (300.0, 150.0), (1e4, 1.02e4)],
    ),
    "betainc": (
        special.betainc,
        _betainc,
        [
            (1e-3, 40.0, 1e-5), (0.3, 0.5, 0.999), (1.0, 2.0, 1e-20), (7.0, 2.0, 0.5), (7.0, 30.0, 0.9),
            (200.0, 40.0, 0.8), (300.0, 400.0, 0.43),
        ],
    ),
    "kv": (special.kv, mpmath.besselk, [(2.5, 1e-3)]),
    "zeta": (special.zeta, mpmath.zeta, [(1.01, 0.3), (3.0, 1.0), (12.0, 40.0)]),
    "zeta of one argument": (special.zeta, mpmath.zeta, [(0.5,), (-0.9,), (2.0,)]),
    "ellipkinc": (special.ellipkinc, mpmath.ellipf, [(0.3, 0.5), (1.5, -9.0), (7.0, 0.99), (-2.0, 0.3)]),
    "ellipeinc": (special.ellipeinc, mpmath.ellipe, [(0.3, 0.5), (1.5, -9.0), (7.0, 0.99), (-2.0, 0.3)]),
    "elliprj": (special.elliprj, mpmath.elliprj, [(0.1, 2.0, 30.0, 0.4), (1.0, 1.0, 1.0, 1.0)]),
    "log_ndtr": (special.log_ndtr, lambda x: mpmath.log(mpmath.ncdf(x)), [(-1e3,), (-30.0,), (0.5,), (9.0,)]),
    "erfcx": (special.erfcx, lambda x: mpmath.exp(x * x) * mpmath.erfc(x), [(-2.0,), (1.1,), (30.0,)]),
    "boxcox": (special.boxcox, lambda x, y: (x**y - 1) / y, [(1.5, 1e-5), (9.0, -0.4), (1e-3, 2.0)]),
    "kolmogorov": (
        special.kolmogorov,
        lambda x: 2 * mpmath.nsum(lambda k: (-1) ** (k - 1) * mpmath.exp(-2 * k * k * x * x), [1, 40]),
        [(0.2,), (0.79,), (0.81,), (2.0,)],
    ),
    "stdtr": (
        special.stdtr,
        lambda v, t: -0.5 * mpmath.betainc(v / 2, 0.5, 0, v / (v + t * t), regularized=True),
        [(0.4, 3.0), (3.0, 200.0), (30.0, 1.5)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_against_mpmath(name: str) -> None:
    """Every partial derivative to a relative 1e-11, the second one in the first argument to 1e-9."""
    f, reference, points = PARAMETERS[name]
    for point in points:
        exact = [mpmath.mpf(value) for value in point]
        gradient = reversead.grad(f, argnums=tuple(range(len(point))))(*point)
        with mpmath.workdps(45):
            for k, found in enumerate(gradient):
                orders = tuple(int(j == k) for j in range(len(point)))
                want = mpmath.diff(reference, exact, orders, h=mpmath.mpf(10) ** -20 * abs(exact[k]))
                assert abs(float(found) - want) <= 1e-11 * abs(want), (point, k, float(found), float(want))
            second = dualad.derivative(dualad.derivative(f))(*point)
            twice = (2, *[0] * (len(point) - 1))
            want = mpmath.diff(reference, exact, twice, h=mpmath.mpf(10) ** -15 * abs(exact[0]))
            assert abs(float(second) - want) <= 1e-9 * abs(want), (point, float(second), float(want))


# --- edges ------------------------------------------------------------------------------------------------------------

INF, NAN = np.inf, np.nan

#: A function, where, and its partial derivatives there: limits from within the domain, or NaN
EDGES: list[tuple[Any, tuple[float, ...], tuple[float, ...]]] = [
    (special.xlogy, (0.0, 0.0), (-INF, 0.0)),
    (special.xlogy, (0.0, 2.0), (np.log(2.0), 0.0)),
    (special.xlog1py, (0.0, -1.0), (-INF, 0.0)),
    (special.entr, (0.0,), (INF,)),
    (special.entr, (-1.0,), (NAN,)),
    (special.rel_entr, (0.0, 2.0), (-INF, 0.0)),
    (special.kl_div, (0.0, 2.0), (-INF, 1.0)),
    (special.kl_div, (2.0, 2.0), (0.0, 0.0)),
    (special.huber, (-1.0, 2.0), (NAN, NAN)),
    (special.ndtri, (0.0,), (INF,)),
    (special.ndtri, (1.0,), (INF,)),
    (special.erfinv, (1.0,), (INF,)),
    (special.erfcinv, (0.0,), (-INF,)),
    (special.logit, (0.0,), (INF,)),
    (special.logit, (1.0,), (INF,)),
    (special.expit, (-1000.0,), (0.0,)),
    (special.log_expit, (-1000.0,), (1.0,)),
    (special.log_ndtr, (60.0,), (0.0,)),
    (special.gammaln, (-0.5,), (float(special.psi(-0.5)),)),
    (special.rgamma, (0.0,), (1.0,)),
    (special.rgamma, (-1.0,), (-1.0,)),
    (special.exprel, (0.0,), (0.5,)),
    (special.boxcox, (2.0, 0.0), (0.5, 0.5 * np.log(2.0) ** 2)),
    (special.boxcox, (0.0, 2.0), (0.0, 0.25)),
    (special.inv_boxcox, (2.0, 0.0), (np.exp(2.0), -2.0 * np.exp(2.0))),
    (special.powm1, (0.0, 0.0), (0.0, 0.0)),
    (special.gammainc, (2.0, 0.0), (0.0, 0.0)),
    (special.gammainc, (1.0, 0.0), (0.0, 1.0)),
    (special.gammainc, (0.5, 0.0), (0.0, INF)),
    (special.gammainc, (1.5, -0.5), (NAN, NAN)),
    (special.betainc, (1.5, 0.5, 1.5), (NAN, NAN, NAN)),
    (special.betainc, (1.0, 3.0, 0.0), (0.0, 0.0, 3.0)),
    (special.betainc, (2.0, 0.5, 1.0), (0.0, 0.0, INF)),
    (special.ellipk, (0.0,), (np.pi / 8,)),
    (special.ellipkinc, (0.7, 0.0), (1.0, (0.7 - 0.5 * np.sin(1.4)) / 4)),
    (special.spence, (1.0,), (-1.0,)),
    (special.i0e, (0.0,), (0.0,)),
    (special.j1, (0.0,), (0.5,)),
]  # fmt: skip


@pytest.mark.parametrize("case", EDGES, ids=lambda case: f"{case[0].__name__}{case[1]}")
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_at_the_edges(case: Any) -> None:
    f, point, expected = case
    for kind in (float, np.array):
        values = tuple(kind(value) for value in point)
        for k, want in enumerate(expected):
            np.testing.assert_allclose(reversead.grad(f, argnums=k)(*values), want, rtol=1e-14, atol=1e-15)
            seed = tuple(np.float64(j == k) * value**0 for j, value in enumerate(values))
            if np.isfinite(expected).all():
                np.testing.assert_allclose(dualad.jvp(f, values, seed)[1], want, rtol=1e-14, atol=1e-15)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_mixed_second_derivatives_at_zero() -> None:
    # What is zero at x = 0 varies with x.
    for f in (special.xlogy, special.kl_div):
        found = dualad.derivative(lambda x, f=f: dualad.derivative(f, 1)(x, 4.0))(0.0)
        np.testing.assert_allclose(found, 0.25 if f is special.xlogy else -0.25)
    assert np.isnan(dualad.derivative(lambda t: dualad.derivative(special.stdtr)(3.0, t))(0.0))
    assert dualad.derivative(special.stdtr)(3.0, 0.0) == 0
    np.testing.assert_allclose(dualad.derivative(dualad.derivative(special.rgamma))(0.0), 2 * np.euler_gamma)


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case[0].__name__}-{case[1]}")
def test_refused_arguments(case: Any) -> None:
    ufunc, position = case
    values = [0.5] * ufunc.nin
    name = arguments_of(ufunc)[position]
    for engine in ENGINES.values():
        with pytest.raises(
            NoRuleError, match=rf"scipy\.special\.{ufunc.__name__} .* argument {name} \(at .*docs/scipy"
        ):
            engine.derivative(lambda x: ufunc(*values[:position], x, *values[position + 1 :]))(1.0)


def test_what_has_no_rule_says_where_to_look() -> None:
    with pytest.raises(NoRuleError, match=r"scipy\.special\.wright_bessel has no .*docs/scipy-special\.md"):
        reversead.grad(lambda x: special.wright_bessel(x, 1.0, 1.0))(1.0)
    with pytest.raises(TracerConversionError, match=r"shared\.scipy\.special has functions of the same name"):
        reversead.grad(lambda x: special.polygamma(1, x))(1.0)
    with pytest.raises(NoRuleError, match="complex"):
        dualad.jvp(lambda z: special.ive(2.0, z), (1 + 1j,), (1 + 0j,))


def test_engines_agree_that_nothing_is_complex_by_mistake() -> None:
    x = np.array([0.3, 2.0])
    assert reversead.grad(lambda x: np.sum(special.lambertw(x).real))(x).dtype == np.float64
