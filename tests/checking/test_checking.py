"""The checker is checked: it passes right derivatives of hard functions, and catches wrong ones planted
here."""

from __future__ import annotations

import math
import re
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dualad
import reversead
from shared import logsumexp, relu, sigmoid, softmax, stop_gradient
from shared.checking.gradients import GradientMismatch, InconclusiveDifferences, check_grads
from shared.core import registry
from shared.core.errors import LeafTypeError

ENGINES = (dualad, reversead)
engines = pytest.mark.parametrize("engine", ENGINES, ids=[engine.__name__ for engine in ENGINES])

Point = namedtuple("Point", "x y")

X = np.array([0.3, -0.7, 1.2])
Y = np.array([1.1, 0.4, -0.6])


def _assigned(x: Any) -> Any:
    out = np.zeros_like(x)
    out[:] = x * x
    out[0] += x[1]
    return out


# --- check_grads passes what is right -----------------------------------------------------------------------


def _mlp(parameters: Any, x: Any) -> Any:
    for weights, bias in parameters:
        x = np.tanh(weights @ x + bias)
    return np.sum(x * x)


_RNG = np.random.default_rng(1)
_LAYERS = [(_RNG.normal(size=(4, 3)), _RNG.normal(size=4)), (_RNG.normal(size=(2, 4)), _RNG.normal(size=2))]


def _newton(a: Any) -> Any:
    x = 1.0 + 0 * a
    for _ in range(6):
        x = x - (x * x - a) / (2 * x)
    return x


RIGHT: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "tiny and large elements": (lambda x: np.log(x) * np.sqrt(x), (np.array([1e-6, 1.0, 1e6]),)),
    "sine of a large number": (np.sin, (np.array([1e6, 2e5]),)),
    "polynomial of a large number": (lambda x: x**3 - 2 * x, (1e6,)),
    "polynomial of a tiny number": (lambda x: x**3 - 2 * x, (1e-6,)),
    "float32": (lambda x: np.sin(x) * np.exp(x), (X.astype(np.float32),)),
    "float32 and float64": (lambda x, y: x * np.cos(y), (X.astype(np.float32), Y)),
    "float32 product": (
        lambda a, b: np.tanh(a @ b),
        (_RNG.normal(size=(5, 8)).astype("f4"), np.ones(8, "f4")),
    ),
    "Python floats": (lambda x, y: x * np.exp(-y) / (x + y), (2.0, 0.5)),
    "underflow in float32": (lambda x: logsumexp(300 * x), (X.astype(np.float32),)),
    "float32 and a Python float": (lambda x, y: np.sin(x) * y, (X.astype(np.float32), 0.7)),
    "NumPy scalar": (lambda x: np.sin(x) * x, (np.float64(0.7),)),
    "0-d array": (lambda x: np.sin(x) * x, (np.array(0.7),)),
    "empty array": (lambda x: np.sin(x) * x, (np.zeros((0, 3)),)),
    "empty and other": (lambda x, y: np.sum(x) * y + y * y, (np.zeros((0, 3)), 2.0)),
    "zeros": (lambda x: np.sin(x) + x * x, (np.zeros(3),)),
    "zero among others": (lambda x: np.exp(x) * x[0], (np.array([0.0, 1e-17, 3.0]),)),
    "constant": (lambda x: 0.0 * x + 1.0, (X,)),
    "independent output": (lambda x: (np.sum(x * x), np.ones(2)), (X,)),
    "integer output": (lambda x: {"value": x * x, "best": np.argmax(x)}, (X,)),
    "linear": (lambda x: np.cumsum(x)[::-1], (X,)),
    "broadcasting": (lambda x, y: x[:, None] * y + y, (X, Y)),
    "containers": (
        lambda p, q: {"out": (p["w"][0] * q.x, p["w"][1] + q.y), "sum": np.sum(p["w"][0])},
        ({"w": [X, 2.0], "n": 3}, Point(Y, 0.5)),
    ),
    "unused argument": (lambda x, y: np.sum(x * x), (X, Y)),
    "integer and string arguments": (
        lambda x, labels, how: np.sum(x[labels] ** 2),
        (X, np.array([0, 2, 2]), "sum"),
    ),
    "network": (_mlp, (_LAYERS, X)),
    "cancellation": (lambda x: (x + 1e4) - 1e4 + np.sin(x), (X,)),
    "near a kink": (lambda x: np.maximum(x, 0.299) + np.abs(x - 0.301), (X,)),
    "branches": (lambda x: np.where(x > 0, np.exp(x), x * x), (X,)),
    "edge of the domain": (lambda x: np.arcsin(x) + np.sqrt(1 - x), (np.array([0.999, -0.5]),)),
    "saturation": (sigmoid, (np.array([-30.0, 0.1, 12.0]),)),
    "softmax of large numbers": (softmax, (np.array([1000.0, 1001.0, 998.0]),)),
    "cancellation in the complex step": (np.sinc, (1e-6 * X,)),
    "assignment": (_assigned, (X,)),
    "Newton iteration": (_newton, (2.0,)),
    "chain of many operations": (lambda x: _repeat(lambda v: np.sin(v) + 0.5 * v, x, 60), (X,)),
    "complex": (lambda z: z * np.exp(z), (np.array([0.3 + 0.4j, -1.0 + 0.2j]),)),
    "complex but not analytic": (lambda z: np.conj(z) * np.abs(z), (np.array([0.3 + 0.4j, -1.0 + 0.2j]),)),
    "real and complex arguments": (lambda x, z: x * z, (X, np.array([1j, 2.0, 1 - 1j]))),
    "Fortran order": (lambda x: np.sin(x) * x[0], (np.asfortranarray(np.outer(X, Y)),)),
    "real to complex to real": (lambda x: np.abs(np.exp(1j * x) + x), (X,)),
    "float32 inside": (lambda x: np.sin(x.astype(np.float32)) * 0.3, (X,)),
}


def _repeat(f: Callable[..., Any], x: Any, times: int) -> Any:
    for _ in range(times):
        x = f(x)
    return x


@pytest.mark.parametrize("name", RIGHT)
def test_right_derivatives_pass(name: str) -> None:
    f, args = RIGHT[name]
    report = check_grads(f, *args, engines=ENGINES, order=2)
    kinds = {comparison.engine for comparison in report.comparisons}
    assert {
        f"{o.__name__}.{m} over {i.__name__}.{k}" for o in ENGINES for i in ENGINES for m in MODES for k in MODES
    } < kinds


MODES = ("jvp", "vjp")


@pytest.mark.parametrize("name", ["tiny and large elements", "float32", "network", "softmax of large numbers"])
def test_right_derivatives_pass_whatever_the_direction(name: str) -> None:
    f, args = RIGHT[name]
    for seed in range(10):
        check_grads(f, *args, engines=ENGINES, order=1, directions=2, rng=seed)


@engines
def test_third_order(engine: Any) -> None:
    report = check_grads(lambda x: np.exp(x) * np.sin(x), 0.4, engines=(engine,), order=3)
    name = engine.__name__
    assert f"{name}.vjp over {name}.jvp over {name}.vjp" in {c.engine for c in report.comparisons}


def test_modes_restrict_what_is_run() -> None:
    reverse_only = SimpleNamespace(__name__="reverse only", vjp=reversead.vjp)
    report = check_grads(lambda x: np.sin(x) * x, X, engines=(reverse_only,), modes=("vjp",))
    assert {(c.engine, c.reference) for c in report.comparisons} == {
        ("reverse only.vjp", "differences"),
        ("reverse only.vjp over reverse only.vjp", "differences"),
    }
    forward_only = SimpleNamespace(__name__="forward only", jvp=dualad.jvp)
    report = check_grads(np.tanh, X, engines=(forward_only,), modes=("jvp",))
    assert {c.engine for c in report.comparisons} == {
        "forward only.jvp",
        "forward only.jvp over forward only.jvp",
    }


def test_argnums_leave_the_other_arguments_alone() -> None:
    seen: list[type] = []

    def f(x: Any, y: Any) -> Any:
        seen.append(type(y))
        return x * y

    check_grads(f, X, Y, engines=ENGINES, argnums=0)
    assert set(seen) == {np.ndarray}


def test_integers_named_in_argnums_are_taken_as_floats() -> None:
    check_grads(lambda x, n: x**3 * n, 2, 5, engines=ENGINES, argnums=0)
    check_grads(lambda x, n: x**3 * n, 2, 5, engines=ENGINES, argnums=(0, -1))


def test_report_says_what_was_compared() -> None:
    report = check_grads(lambda x: np.sin(x) * x, X, engines=ENGINES, order=1)
    assert [(c.engine, c.reference) for c in report.comparisons] == [
        ("dualad.jvp", "differences"),
        ("dualad.jvp", "the complex step"),
        ("dualad.vjp", "the adjoint identity"),
        ("reversead.jvp", "differences"),
        ("reversead.jvp", "the complex step"),
        ("reversead.vjp", "the adjoint identity"),
    ]
    assert 0 < report.largest < 1e-9
    assert "6 comparisons passed; largest relative disagreement" in repr(report)
    assert "reversead.vjp  " in repr(report) and "against the adjoint identity" in repr(report)


def test_report_says_why_the_complex_step_was_skipped() -> None:
    report = check_grads(relu, X, engines=ENGINES, order=1)
    assert "maximum is not analytic" in report.skipped and report.skipped in repr(report)
    assert "the complex step" not in {c.reference for c in report.comparisons}


def test_equal_seeds_make_equal_comparisons() -> None:
    reports = [check_grads(np.sin, X, engines=ENGINES, rng=seed) for seed in (7, 7, 8)]
    assert reports[0] == reports[1] != reports[2]


def test_arguments_are_not_changed() -> None:
    x = X.copy()

    def destructive(x: Any) -> Any:
        x *= x
        return x

    check_grads(destructive, x, engines=ENGINES)
    np.testing.assert_array_equal(x, X)


# --- check_grads catches what is wrong: engines -------------------------------------------------------------


def planted(name: str, **replaced: Callable[..., Any]) -> Any:
    """An engine that is `reversead` but for what is replaced."""
    return SimpleNamespace(__name__=name, **{"jvp": reversead.jvp, "vjp": reversead.vjp, **replaced})


def changed_jvp(change: Callable[[Any], Any]) -> Callable[..., Any]:
    def jvp(f: Any, primals: Any, tangents: Any) -> Any:
        out, tangent = reversead.jvp(f, primals, tangents)
        return out, change(tangent)

    return jvp


def changed_vjp(change: Callable[[Any], Any]) -> Callable[..., Any]:
    def vjp(f: Any, *primals: Any) -> Any:
        out, pullback = reversead.vjp(f, *primals)
        return out, lambda cotangent: tuple(change(c) for c in pullback(cotangent))

    return vjp


def at_index(index: Any, factor: float) -> Callable[[Any], Any]:
    """Multiplies one element of arrays of three; leaves everything else alone."""

    def change(values: Any) -> Any:
        if np.shape(values) != (3,):
            return values
        factors = np.ones(3)
        factors[index] = factor
        return values * factors

    return change


def product(p: Any) -> Any:
    return np.sin(p["w"][1]) * p["w"][0] + p["b"]


ARGUMENT = {"w": [X, Y], "b": np.float64(0.5)}

WRONG_ENGINES: dict[str, tuple[Any, str]] = {
    "sign of jvp": (
        planted("planted", jvp=changed_jvp(lambda t: -t)),
        "planted.jvp disagrees with differences",
    ),
    "sign of vjp": (
        planted("planted", vjp=changed_vjp(lambda c: -c)),
        "planted.vjp disagrees with the adjoint",
    ),
    "jvp by a ten-millionth": (
        planted("planted", jvp=changed_jvp(lambda t: t * (1 + 1e-7))),
        "planted.jvp disagrees",
    ),
    "vjp by a million-millionth": (
        planted("planted", vjp=changed_vjp(lambda c: c * (1 + 1e-12))),
        "the adjoint identity",
    ),
    "not a number": (planted("planted", jvp=changed_jvp(lambda t: t * np.nan)), "planted.jvp disagrees"),
    "infinite": (planted("planted", vjp=changed_vjp(lambda c: c * np.inf)), "planted.vjp disagrees"),
    "zero": (planted("planted", vjp=changed_vjp(lambda c: c * 0.0)), "planted.vjp disagrees"),
    "jvp at one index": (planted("planted", jvp=changed_jvp(at_index(1, 1.001))), "index 1"),
    "vjp at one index": (planted("planted", vjp=changed_vjp(at_index(2, 1.001))), "index 2"),
    "shape of tangents": (
        planted("planted", jvp=changed_jvp(lambda t: t[None])),
        r"planted.jvp: the tangent of output has shape \(1, 3\), but must have \(3,\)",
    ),
    "shape of cotangents": (
        planted("planted", vjp=changed_vjp(lambda c: np.sum(c))),
        r"planted.vjp: the cotangent of args\[0\]\['w'\]\[0\] has shape \(\), but must have \(3,\)",
    ),
    "dtype of cotangents": (
        planted("planted", vjp=changed_vjp(lambda c: np.float32(c))),
        r"planted.vjp: the cotangent of args\[0\]\['b'\] has dtype float32, but must have float64",
    ),
    "number of cotangents": (
        planted("planted", vjp=lambda f, *p: (f(*p), lambda c: reversead.vjp(f, *p)[1](c)[:-1])),
        "planted.vjp returns 2 cotangents instead of 3",
    ),
    "cotangents in another order": (
        planted("planted", vjp=lambda f, *p: (f(*p), lambda c: _swapped(reversead.vjp(f, *p)[1](c)))),
        "planted.vjp disagrees with the adjoint identity",
    ),
    "value": (
        planted("planted", jvp=lambda f, p, t: (f(*p) + 1.0, reversead.jvp(f, p, t)[1])),
        "planted.jvp computes another value of output",
    ),
    "value of vjp": (
        planted("planted", vjp=lambda f, *p: (f(*p) * 2, reversead.vjp(f, *p)[1])),
        "planted.vjp computes another value",
    ),
}


def _swapped(cotangents: Any) -> Any:
    first, second, third = cotangents
    return first, third, second


@pytest.mark.parametrize("name", WRONG_ENGINES)
def test_wrong_engine_is_caught(name: str) -> None:
    engine, message = WRONG_ENGINES[name]
    with pytest.raises(GradientMismatch, match=message):
        check_grads(product, ARGUMENT, engines=(dualad, engine), order=1)


@pytest.mark.parametrize("name", ["sign of vjp", "vjp at one index", "not a number", "infinite", "shape of cotangents"])
def test_wrong_pullback_is_caught_without_a_jvp(name: str) -> None:
    engine = (
        WRONG_ENGINES[name][0]
        if "vjp" in name or "cotangents" in name or name == "infinite"
        else planted("planted", vjp=changed_vjp(lambda c: c * np.nan))
    )
    with pytest.raises(GradientMismatch, match=r"planted\.vjp"):
        check_grads(product, ARGUMENT, engines=(engine,), modes=("vjp",), order=1)


def test_mismatch_names_engine_argument_index_values_and_error() -> None:
    engine = planted("planted", vjp=changed_vjp(at_index(2, -1.0)))
    with pytest.raises(GradientMismatch) as caught:
        check_grads(product, ARGUMENT, engines=(dualad, engine), order=1)
    mismatch = caught.value
    assert isinstance(mismatch, AssertionError)
    assert mismatch.engine == "planted.vjp"
    assert mismatch.reference == "the adjoint identity"
    assert mismatch.path in ("args[0]['w'][0]", "args[0]['w'][1]")
    assert mismatch.index == (2,)
    assert mismatch.actual == pytest.approx(-mismatch.expected, rel=1e-12)
    for part in ("planted.vjp", mismatch.path, "index 2", str(mismatch.actual), str(mismatch.expected)):
        assert part in str(mismatch)


def test_mismatch_of_a_jvp_names_the_output_and_the_partial_derivative() -> None:
    def jvp(f: Any, primals: Any, tangents: Any) -> Any:
        out, tangent = reversead.jvp(f, primals, tangents)
        wrong = np.zeros((2, 3))
        wrong[1, 2] = 0.5 * tangents[0][2]
        return out, tangent + wrong

    with pytest.raises(GradientMismatch) as caught:
        check_grads(lambda x: np.stack([x, x * x]), X, engines=(planted("planted", jvp=jvp),), order=1)
    mismatch = caught.value
    assert "output, index (1, 2)" in str(mismatch)
    assert (mismatch.path, mismatch.index) == ("args[0]", (2,))
    assert mismatch.expected == pytest.approx(2 * X[2], rel=1e-9)
    assert mismatch.actual == pytest.approx(2 * X[2] + 0.5, rel=1e-9)
    assert 0 < mismatch.error < 1e-8


def test_error_of_a_jvp_that_is_not_linear_is_reported_along_a_direction() -> None:
    # It is right along every single element, and wrong along directions of more than one.
    def jvp(f: Any, primals: Any, tangents: Any) -> Any:
        out, tangent = reversead.jvp(f, primals, tangents)
        return out, tangent * (1.0 if np.count_nonzero(tangents[0]) < 2 else 1.1)

    with pytest.raises(GradientMismatch, match="along a random direction") as caught:
        check_grads(np.sin, X[:2], engines=(planted("planted", jvp=jvp),), order=1)
    assert caught.value.path is None


@pytest.mark.parametrize("mode", MODES)
@engines
def test_engine_that_is_wrong_at_second_order_only(engine: Any, mode: str) -> None:
    """It unwraps what it is given, so that what is traced from outside becomes a constant."""

    def jvp(f: Any, primals: Any, tangents: Any) -> Any:
        return reversead.jvp(f, tuple(map(stop_gradient, primals)), tangents)

    def vjp(f: Any, *primals: Any) -> Any:
        return reversead.vjp(f, *map(stop_gradient, primals))

    inner = planted("planted", **{mode: {"jvp": jvp, "vjp": vjp}[mode]})
    check_grads(lambda x: np.sin(x) * x, X, engines=(engine, inner), order=1)
    with pytest.raises(GradientMismatch) as caught:
        check_grads(lambda x: np.sin(x) * x, X, engines=(engine, inner), order=2)
    assert caught.value.engine == f"{engine.__name__}.jvp over planted.{mode}"
    # The value of an inner transform of stopped arguments has no outer derivative at all.
    assert caught.value.path == "args[0]"


def test_exception_of_an_engine_says_which_one_it_was() -> None:
    def vjp(f: Any, *primals: Any) -> Any:
        raise RuntimeError("tape torn")

    with pytest.raises(RuntimeError, match="tape torn") as caught:
        check_grads(np.sin, X, engines=(planted("planted", vjp=vjp),))
    assert any("planted.vjp" in note for note in caught.value.__notes__)


# --- check_grads catches what is wrong: rules ---------------------------------------------------------------


@pytest.fixture
def planting() -> Iterator[None]:
    """Takes the planted primitives out of the registry again, so that no other test meets them."""
    before = set(registry.REGISTRY)
    yield
    for function in set(registry.REGISTRY) - before:
        del registry.REGISTRY[function]


def _cube(x: Any) -> Any:
    return x * x * x


def _scaled_product(x: Any, y: Any) -> Any:
    return 2.0 * x * y


WRONG_RULES: dict[str, tuple[Callable[[], Any], int, str]] = {
    "sign": (lambda: registry.elementwise(lambda x: _cube(x), lambda x: -3 * x * x), 1, "differences"),
    "factor": (lambda: registry.elementwise(lambda x: _cube(x), lambda x: 3.0003 * x * x), 1, "differences"),
    "seen by the complex step only": (
        lambda: registry.elementwise(lambda x: _cube(x), lambda x: 3 * x * x * (1 + 2e-13)),
        1,
        "the complex step",
    ),
    "one element": (
        lambda: registry.elementwise(lambda x: _cube(x), lambda x: np.where(x > 0.9, 3.001, 3.0) * x * x),
        1,
        "differences",
    ),
    "unwraps its operand": (
        lambda: registry.elementwise(lambda x: _cube(x), lambda x: 3 * _unwrapped(x) * _unwrapped(x)),
        2,
        "differences",
    ),
    "second order only": (
        lambda: registry.elementwise(lambda x: _cube(x), lambda x: 3 * x * stop_gradient(x)),
        2,
        "differences",
    ),
    "unwraps its cotangent and tangent": (
        lambda: registry.rule(
            lambda x: _cube(x),
            vjps=(lambda c, x: _unwrapped(c) * 3 * x * x,),
            jvps=(lambda t, x: _unwrapped(t) * 3 * x * x,),
            because="planted",
        ),
        2,
        "differences",
    ),
    "vjp is not the transpose": (
        lambda: registry.rule(
            lambda x: np.cumsum(x),
            vjps=(lambda c: np.cumsum(c),),
            jvps=(lambda t: np.cumsum(t),),
            because="planted",
        ),
        1,
        "the adjoint identity",
    ),
    "transpose of a multilinear function": (
        lambda: registry.multilinear(lambda x: x[::-1] * 2.0, lambda c, x: c * 2.0),
        1,
        "the adjoint identity",
    ),
}


def _unwrapped(value: Any) -> Any:
    # Of a batch of directions nothing is taken off, which would be noticed at once by its shape.
    while isinstance(value, (dualad.Dual, reversead.Variable)):
        value = value.primal
    return value


@pytest.mark.usefixtures("planting")
@pytest.mark.parametrize("name", WRONG_RULES)
def test_wrong_rule_that_both_engines_share_is_caught(name: str) -> None:
    plant, order, reference = WRONG_RULES[name]
    wrong = plant()
    if order > 1:  # it is right at first order
        check_grads(lambda x: wrong(np.sin(x)), X, engines=ENGINES, order=order - 1)
    f = (lambda x: wrong(x)) if order == 1 else (lambda x: wrong(np.sin(x)))
    with pytest.raises(GradientMismatch) as caught:
        check_grads(f, X, engines=ENGINES, order=order)
    assert caught.value.reference == reference
    assert caught.value.engine.count(" over ") == order - 1


@pytest.mark.usefixtures("planting")
@pytest.mark.parametrize("name", WRONG_RULES)
@engines
def test_wrong_rule_is_caught_through_each_engine_that_reads_it(engine: Any, name: str) -> None:
    plant, _, reference = WRONG_RULES[name]
    wrong = plant()
    if reference == "the adjoint identity" and engine is dualad:  # which never reads a transpose
        check_grads(lambda x: wrong(np.sin(x)), X, engines=(engine,))
        return
    with pytest.raises(GradientMismatch) as caught:
        check_grads(lambda x: wrong(np.sin(x)), X, engines=(engine,))
    assert caught.value.engine.startswith(engine.__name__)


@pytest.mark.usefixtures("planting")
def test_wrong_partial_of_one_of_two_arguments_names_that_argument() -> None:
    wrong = registry.elementwise(lambda x, y: _scaled_product(x, y), lambda y: 2 * y, lambda x: 2.02 * x)
    with pytest.raises(GradientMismatch) as caught:
        check_grads(lambda p: wrong(p["x"], p["y"]), {"x": X, "y": Y}, engines=ENGINES)
    assert caught.value.path == "args[0]['y']"
    assert caught.value.actual == pytest.approx(1.01 * caught.value.expected, rel=1e-9)


@pytest.mark.usefixtures("planting")
@engines
def test_wrong_shape_is_caught(engine: Any) -> None:
    wrong = registry.rule(
        lambda x: x + np.sum(x), vjps=(lambda c: np.sum(c),), jvps=(lambda t: np.sum(t),), because="planted"
    )
    with pytest.raises(GradientMismatch) as caught:
        check_grads(lambda x: wrong(x), X, engines=(engine,), order=1, modes=("jvp",))
    assert caught.value.engine == f"{engine.__name__}.jvp"
    with pytest.raises(GradientMismatch) as caught:
        check_grads(lambda x: wrong(x), X, engines=(engine,), order=1, modes=("vjp",))
    assert caught.value.engine == f"{engine.__name__}.vjp"


# --- what cannot be checked ---------------------------------------------------------------------------------


def test_kink_is_explained() -> None:
    with pytest.raises(GradientMismatch) as caught:
        check_grads(relu, np.array([1.0, 0.0]), engines=ENGINES)
    assert any("kink" in note for note in caught.value.__notes__)


def test_noise_is_inconclusive() -> None:
    # The derivative is right, and values beside it jump up and down by a hundredth, from one number to the next.
    def noisy(x: Any) -> Any:
        return x + 0.01 * np.sign(np.sin(1e17 * stop_gradient(x)))

    with pytest.raises(InconclusiveDifferences, match="estimated error"):
        check_grads(noisy, np.array([0.37, 0.81]), engines=ENGINES, order=1)


def test_random_function_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="two calls with the same arguments"):
        check_grads(lambda x: x * rng.random(3), X, engines=ENGINES)


def test_point_where_f_is_not_finite_is_refused() -> None:
    with pytest.raises(ValueError, match="not finite"), np.errstate(divide="ignore"):
        check_grads(np.log, np.array([1.0, 0.0]), engines=ENGINES)


@pytest.mark.parametrize(
    ("args", "options", "error", "message"),
    [
        ((X,), {"order": 0}, ValueError, "order"),
        ((X,), {"engines": ()}, ValueError, "engines"),
        ((X,), {"modes": ("forward",)}, ValueError, "modes"),
        ((X,), {"modes": ()}, ValueError, "modes"),
        ((X,), {"argnums": 1}, ValueError, "out of range"),
        ((3,), {}, ValueError, "no argument is a real"),
        ((np.array([True]),), {"argnums": 0}, LeafTypeError, "bool"),
    ],
)
def test_bad_call_is_refused(args: Any, options: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check_grads(np.sin, *args, **{"engines": ENGINES, **options})


def test_function_without_a_real_output_is_refused() -> None:
    with pytest.raises(ValueError, match="nothing to differentiate"):
        check_grads(np.argmax, X, engines=ENGINES)


def test_engines_must_be_named() -> None:
    with pytest.raises(TypeError, match="engines"):
        check_grads(np.sin, X)  # type: ignore[call-arg]


# --- the documentation page ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("planting")
def test_documentation_page_runs_and_shows_what_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "checking.md").read_text(encoding="utf-8")
    example, report, mistake = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    printed, message = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    names["test_energy_is_differentiated_rightly"]()
    exec(report, names)
    _assert_alike(capsys.readouterr().out, printed)
    with pytest.raises(GradientMismatch) as caught:
        exec(mistake, names)
    _assert_alike(str(caught.value), message.rstrip())


_FIGURE = re.compile(r"\d+\.\d+(?:e[+-]\d+)?")


def _assert_alike(text: str, page: str) -> None:
    """The same text, and of every figure the same size: of roundings the digits differ between machines."""
    assert _FIGURE.sub("#", text) == _FIGURE.sub("#", page)
    for found, said in zip(_FIGURE.findall(text), _FIGURE.findall(page), strict=True):
        assert float(found) == float(said) == 0.0 or abs(math.log10(float(found) / float(said))) < 1.5, (found, said)


def test_a_stale_figure_of_the_page_is_found() -> None:
    with pytest.raises(AssertionError, match=r"2\.6e-09"):
        _assert_alike("estimated error 2.6e-09", "estimated error 2.5e-13")
    _assert_alike("0.0e+00 and 3.7e-17", "0.0e+00 and 5.9e-17")
