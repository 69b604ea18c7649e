"""Bad input and escapes: each is an error that says what went wrong, at which line of the user, and what to write
instead; and after each of them the next call works, with nothing left locked."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

import dualad
import reversead
import shared
from shared.core import elsewhere
from shared.core.errors import (
    ClosedLevelError,
    DifferentiationError,
    LeafTypeError,
    NoRuleError,
    ShapeError,
    TracerConversionError,
)

THREE = np.array([1.0, 2.0, 3.0])
MASK = np.array([True, False, True])


def assert_next_call_works(ad: Any) -> None:
    value, gradient = ad.value_and_grad(lambda x: np.sum(x * x))(THREE)
    assert value == 14.0
    assert gradient.tolist() == [2.0, 4.0, 6.0]


def assert_at_line_of(f: Callable[..., Any], message: str) -> None:
    assert f"{__file__}:{f.__code__.co_firstlineno}" in message


def caught(call: Callable[[], Any]) -> BaseException | None:
    try:
        call()
    except Exception as error:
        return error
    return None


# --- escapes: what would drop a derivative ------------------------------------------------------------------------


def into_new_array(x: Any) -> Any:
    out = np.zeros(3)
    out[0] = x[0]
    return np.sum(out)


ESCAPES = [
    pytest.param(lambda x: np.sum(np.array([x[0], x[1]])), TracerConversionError, "np.stack", id="np.array of a list"),
    pytest.param(lambda x: np.sum(np.asarray(x)), TracerConversionError, "np.zeros_like", id="np.asarray"),
    pytest.param(lambda x: np.sum([x[0], x[1]]), TracerConversionError, "np.stack", id="np.sum of a list"),
    pytest.param(lambda x: np.dot([x[0]], [x[1]]), TracerConversionError, "np.stack", id="np.dot of lists"),
    pytest.param(lambda x: np.array([1.0, x[0]])[1], TracerConversionError, "np.stack", id="a mixed list"),
    pytest.param(lambda x: float(x[0]), TracerConversionError, "stop_gradient", id="float"),
    pytest.param(lambda x: int(x[0]) * x[0], TracerConversionError, "stop_gradient", id="int"),
    pytest.param(lambda x: complex(x[0]).real, TracerConversionError, "stop_gradient", id="complex"),
    pytest.param(lambda x: math.sin(x[0]), TracerConversionError, "np.sin", id="math.sin"),
    pytest.param(lambda x: math.floor(x[0]) * x[1], TracerConversionError, "stop_gradient", id="math.floor"),
    pytest.param(lambda x: round(x[0]) * x[1], TracerConversionError, "np.round", id="round"),
    pytest.param(lambda x: [1.0, 2.0][x[0]], TracerConversionError, "stop_gradient", id="index of a list"),
    pytest.param(lambda x: THREE[x[0]], TracerConversionError, "", id="index of an array"),
    pytest.param(lambda x: sum(x[0] for _ in range(x[1])), TracerConversionError, "stop_gradient", id="range"),
    pytest.param(lambda x: np.float64(x[0]), TracerConversionError, "", id="np.float64"),
    pytest.param(lambda x: np.sum(np.vectorize(math.sin)(x)), TracerConversionError, "vmap", id="np.vectorize"),
    pytest.param(lambda x: np.random.default_rng(0).normal(x[0]), TracerConversionError, "", id="random numbers"),
    pytest.param(lambda x: np.packbits(x), NoRuleError, "shared.composite", id="without a rule"),
    pytest.param(lambda x: np.unravel_index(x, 3), NoRuleError, "unravel", id="another function without a rule"),
    pytest.param(lambda x: np.gcd(x, x)[0], NoRuleError, "gcd", id="ufunc without a rule"),
    pytest.param(lambda x: np.gcd.reduce(x), NoRuleError, "gcd.reduce", id="ufunc method without a rule"),
    pytest.param(
        lambda x: np.add.at(np.zeros(3), [0], x[0]), TracerConversionError, "like=x", id="add.at on a plain array"
    ),
    pytest.param(lambda x: np.copyto(np.zeros(3), x), TracerConversionError, "like=x", id="copyto a plain array"),
    pytest.param(lambda x: np.add(x, x, dtype=int)[0], TypeError, "cast", id="dtype= of a ufunc"),
    pytest.param(lambda x: np.pad(x, 1, "empty", end_values=x[0]), ValueError, "'empty' takes none", id="pad keyword"),
    pytest.param(lambda x: np.pad(x, 1, "edges"), ValueError, "write one of constant, edge", id="pad mode"),
    pytest.param(lambda x: np.pad(x, 1.5), TypeError, "such as ((1, 2), (0, 0))", id="pad width"),
    pytest.param(lambda x: np.pad(x, -1), ValueError, "x[1:-1] to cut off", id="negative pad width"),
    pytest.param(lambda x: np.pad(x[:0], 1, "edge"), ValueError, 'mode="constant"', id="pad of an empty axis"),
    pytest.param(lambda x: np.pad(x, 1, "maximum", stat_length=0), ValueError, "at least 1", id="pad by no elements"),
    pytest.param(lambda x: sliding_window_view(x, (1, 2)), ValueError, "a length for each axis", id="windows"),
    pytest.param(lambda x: np.resize(x, (2, -1)), ValueError, "write every length out", id="resize"),
    pytest.param(lambda x: np.insert(x, [[0]], x[0]), ValueError, "write an integer, or a list", id="places to insert"),
    pytest.param(lambda x: np.insert(x, 7, x[0]), IndexError, "between -3 and 3", id="place to insert"),
    pytest.param(lambda x: np.trim_zeros(x, "z"), ValueError, '"fb", "f" or "b"', id="trim_zeros"),
]

#: each leaves its result in `out`, as NumPy has it
OUTPUTS = [
    pytest.param(lambda x, out: np.add(x, x, out=out), id="ufunc"),
    pytest.param(lambda x, out: np.add(x, x, out), id="ufunc by position"),
    pytest.param(lambda x, out: np.sin(x, out=(out,)), id="ufunc of one argument"),
    pytest.param(lambda x, out: np.add.reduce(np.ones((2, 1)) * x, 0, None, out), id="reduce by position"),
    pytest.param(lambda x, out: np.cumsum(x, out=out), id="cumsum"),
    pytest.param(lambda x, out: np.cumsum(x, 0, None, out), id="cumsum by position"),
    pytest.param(lambda x, out: x.cumsum(out=out), id="cumsum method"),
    pytest.param(lambda x, out: (np.ones((2, 1)) * x).mean(axis=0, out=out), id="mean method"),
    pytest.param(lambda x, out: (np.ones((2, 1)) * x).var(axis=0, out=out), id="var method"),
    pytest.param(lambda x, out: (np.ones((2, 1)) * x).std(0, None, out), id="std method by position"),
    pytest.param(lambda x, out: np.var(np.ones((2, 1)) * x, 0, None, out), id="var by position"),
    pytest.param(lambda x, out: np.take(x, [0, 1, 2], out=out), id="take"),
    pytest.param(lambda x, out: np.take(x, [0, 1, 2], None, out), id="take by position"),
    pytest.param(lambda x, out: x.take([0, 1, 2], out=out), id="take method"),
    pytest.param(lambda x, out: x.clip(0, 1, out=out), id="clip method"),
    pytest.param(lambda x, out: np.clip(x, 0, 1, out), id="clip by position"),
    pytest.param(lambda x, out: np.round(x, 1, out), id="round by position"),
    pytest.param(lambda x, out: np.compress([True] * 3, x, None, out), id="compress by position"),
    pytest.param(lambda x, out: np.concatenate([x[:1], x[1:]], 0, out), id="concatenate by position"),
    pytest.param(lambda x, out: np.stack([x[0], x[1], x[2]], 0, out), id="stack by position"),
    pytest.param(lambda x, out: np.dot(np.eye(3), x, out), id="dot by position"),
    pytest.param(lambda x, out: np.matmul(np.eye(3), x, out=out), id="matmul"),
    pytest.param(lambda x, out: np.einsum("i->i", x, out=out), id="einsum"),
    pytest.param(lambda x, out: np.trace(x * np.ones((2, 2, 1)), 0, 0, 1, None, out), id="trace by position"),
]


@pytest.mark.parametrize(("f", "kind", "advice"), ESCAPES)
def test_escape_says_where_and_what_to_write(ad: Any, f: Callable[..., Any], kind: type, advice: str) -> None:
    with pytest.raises(kind) as refusal:
        ad.grad(f)(THREE)
    assert advice in str(refusal.value)
    assert_at_line_of(f, str(refusal.value))
    assert_next_call_works(ad)


@pytest.mark.parametrize("f", OUTPUTS)
def test_output_array_is_refused(ad: Any, f: Callable[..., Any]) -> None:
    out = np.full(3, -7.0)
    error = caught(lambda: ad.jvp(lambda x: f(x, out), (THREE,), (THREE,)))
    # Ignoring the array would leave the caller with the numbers that were in it before.
    assert isinstance(error, DifferentiationError), error
    assert "out" in str(error)
    assert "returned value" in str(error)
    assert out.tolist() == [-7.0] * 3
    assert_next_call_works(ad)


def test_traced_output_array_is_refused(ad: Any) -> None:
    with pytest.raises(DifferentiationError, match="out"):
        ad.grad(lambda x: np.sum(np.sin(THREE, out=np.zeros_like(x))))(THREE)


@pytest.mark.parametrize("statement", ["out += x", "out -= x", "out *= x", "out /= x", "out **= x", "out @= x"])
def test_plain_array_changed_by_a_traced_value_is_refused(ad: Any, statement: str) -> None:
    def f(x: Any) -> Any:
        names = {"out": np.ones((3, 3)) if "@" in statement else np.ones(3), "x": x}
        exec(statement, names)
        return np.sum(names["out"])

    x = np.eye(3) if "@" in statement else THREE
    error = caught(lambda: ad.grad(f)(x))
    assert isinstance(error, DifferentiationError), error
    assert "plain_array = plain_array + traced" in "".join([str(error), *getattr(error, "__notes__", ())])
    assert_next_call_works(ad)


def test_element_of_a_plain_array_assigned_from_a_traced_value(ad: Any) -> None:
    # NumPy replaces the text of the error by its own, so ours is the cause, and the last line.
    with pytest.raises((ValueError, TypeError)) as refusal:
        ad.grad(into_new_array)(THREE)
    error = refusal.value if isinstance(refusal.value, DifferentiationError) else refusal.value.__cause__
    assert isinstance(error, TracerConversionError)
    assert "out = np.zeros_like(x, shape=out.shape)" in str(error)
    assert f"{__file__}:{into_new_array.__code__.co_firstlineno + 2}" in str(error)
    assert refusal.value is error or refusal.value.__notes__ == [str(error)]
    assert_next_call_works(ad)


@pytest.mark.parametrize("make", [lambda x: np.zeros_like(x), lambda x: np.zeros(3, like=x)])
def test_what_the_message_advises_works(ad: Any, make: Callable[..., Any]) -> None:
    def f(x: Any) -> Any:
        out = make(x)
        for k in range(3):
            out[k] = x[k] ** 2
        return np.sum(out)

    assert ad.grad(f)(THREE).tolist() == [2.0, 4.0, 6.0]


def test_names_of_other_libraries_are_told_what_to_write() -> None:
    for package, name in ((reversead, "jit"), (dualad, "jacfwd"), (shared, "grad")):
        assert not hasattr(package, name)
        with pytest.raises(AttributeError, match=rf"no attribute '{name}'; write (shared|dualad|reversead)\."):
            getattr(package, name)
    for text in elsewhere._HERE.values():
        for package, name in re.findall(r"\b(dualad|reversead|shared)\.(\w+)", text):
            assert callable(getattr(sys.modules[package], name)), text


def test_slice_of_a_plain_array_assigned_from_a_traced_value(ad: Any) -> None:
    def f(x: Any) -> Any:
        out = np.zeros(3)
        out[:] = x
        return np.sum(out)

    with pytest.raises(TracerConversionError, match=r"out = np.zeros_like\(x, shape=out.shape\)"):
        ad.grad(f)(THREE)


def test_formatting_drops_nothing_and_is_allowed(ad: Any) -> None:
    def f(x: Any) -> Any:
        assert f"{x:.2f}" == "3.00"
        assert "3.0" in str(x)
        assert "3.0" in repr(x)
        return x * x

    assert ad.grad(f)(3.0) == 6.0


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
def test_a_matrix_is_refused_or_means_what_numpy_means(ad: Any) -> None:
    # Between np.matrix and anything, * is the product of matrices, so a rule for elements would be wrong.
    matrix = np.asmatrix([[1.0, 2.0], [3.0, 4.0]])
    x, t = np.array([[1.0, -1.0], [0.5, 2.0]]), np.array([[1.0, 0.5], [0.0, 2.0]])
    for f, primal, tangent, expected in [
        (lambda x: x * matrix, x, t, t @ np.asarray(matrix)),
        (lambda x: matrix * x, x, t, np.asarray(matrix) @ t),
        (lambda x: x * x, matrix, np.asmatrix(t), np.asarray(matrix) @ t + t @ np.asarray(matrix)),
    ]:
        try:
            _, found = ad.jvp(f, (primal,), (tangent,))
            cotangent = ad.vjp(f, primal)[1](np.ones((2, 2)))[0]
        except (DifferentiationError, TypeError):
            continue
        np.testing.assert_allclose(np.asarray(found), expected)
        assert np.sum(np.asarray(cotangent) * np.asarray(tangent)) == pytest.approx(np.sum(expected))


# --- bad arguments of a transform ---------------------------------------------------------------------------------


def make_bad_calls() -> list[Any]:
    square, total = (lambda x: x * x), (lambda x: np.sum(x * x))

    def case(name: str, call: Callable[[Any], Any], kind: type, advice: str) -> Any:
        return pytest.param(call, kind, advice, id=name)

    transforms_of_leaves = [
        ("grad", lambda ad, x: ad.grad(total)(x)),
        ("value_and_grad", lambda ad, x: ad.value_and_grad(total)(x)),
        ("jvp", lambda ad, x: ad.jvp(total, (x,), (1.0,))),
        ("vjp", lambda ad, x: ad.vjp(total, x)),
        ("linearize", lambda ad, x: ad.linearize(total, x)),
        ("jacobian", lambda ad, x: ad.jacobian(square)(x)),
        ("hessian", lambda ad, x: ad.hessian(total)(x)),
        ("derivative", lambda ad, x: ad.derivative(square)(x)),
        ("elementwise_grad", lambda ad, x: ad.elementwise_grad(square)(x)),
        ("hvp", lambda ad, x: ad.hvp(total, x, x)),
    ]
    leaves = {
        "True": True,
        "np.True_": np.True_,
        "text": "3.0",
        "array of bools": MASK,
        "array of objects": np.array([1.0, None], dtype=object),
        "array of texts": np.array(["a"]),
        "dates": np.array(["2001-01-01"], dtype="datetime64[D]"),
        "set": {1.0},
        "function": math.sin,
    }
    cases = []
    for leaf_name, leaf in leaves.items():
        for name, transform in transforms_of_leaves:
            scalar = not np.ndim(leaf)
            if name == "derivative" and not scalar:
                continue
            cases.append(
                case(f"{name} of {leaf_name}", lambda ad, t=transform, v=leaf: t(ad, v), LeafTypeError, "argument")
            )
    advice = "jacobian"
    cases += [
        case("grad of an array output", lambda ad: ad.grad(square)(THREE), ShapeError, advice),
        case("grad of a constant array", lambda ad: ad.grad(lambda x: THREE)(THREE), ShapeError, advice),
        case("grad of a tuple", lambda ad: ad.grad(lambda x: (x, x))(1.0), ShapeError, "has_aux"),
        case("grad of a list", lambda ad: ad.grad(lambda x: [x])(1.0), ShapeError, "has_aux"),
        case("grad of None", lambda ad: ad.grad(lambda x: None)(1.0), ShapeError, "None"),
        case("grad of a text", lambda ad: ad.grad(lambda x: "x")(1.0), ShapeError, "str"),
        case("grad of a complex number", lambda ad: ad.grad(lambda x: x * 1j)(1.0), ShapeError, "real part"),
        case("hessian of an array output", lambda ad: ad.hessian(square)(THREE), ShapeError, advice),
        case("hvp of an array output", lambda ad: ad.hvp(square, THREE, THREE), ShapeError, advice),
        case("has_aux without a pair", lambda ad: ad.grad(total, has_aux=True)(THREE), ShapeError, "(value, aux)"),
        case(
            "has_aux with three", lambda ad: ad.grad(lambda x: (x, x, x), has_aux=True)(1.0), ShapeError, "(value, aux)"
        ),
        case("derivative of an array", lambda ad: ad.derivative(square)(THREE), ShapeError, "elementwise_grad"),
        case("derivative of a list", lambda ad: ad.derivative(square)([1.0]), ShapeError, "elementwise_grad"),
        case("elementwise of a sum", lambda ad: ad.elementwise_grad(total)(THREE), ShapeError, advice),
        case("tangent of another shape", lambda ad: ad.jvp(square, (THREE,), (np.ones(2),)), ShapeError, "(3,)"),
        case("tangent to be broadcast", lambda ad: ad.jvp(square, (THREE,), (1.0,)), ShapeError, "(3,)"),
        case("tangent of one element", lambda ad: ad.jvp(square, (THREE,), (np.ones(1),)), ShapeError, "(3,)"),
        case("tangent of another structure", lambda ad: ad.jvp(square, (THREE,), ([THREE],)), ShapeError, "structure"),
        case("a tangent too few", lambda ad: ad.jvp(square, (THREE,), ()), ShapeError, "structure"),
        case("a tangent too many", lambda ad: ad.jvp(square, (THREE,), (THREE, THREE)), ShapeError, "structure"),
        case("complex tangent of a real", lambda ad: ad.jvp(square, (THREE,), (1j * THREE,)), LeafTypeError, "complex"),
        case("complex tangent of a float", lambda ad: ad.jvp(square, (1.0,), (1j,)), LeafTypeError, "complex"),
        case("bool tangent", lambda ad: ad.jvp(square, (THREE,), (MASK,)), LeafTypeError, "tangent"),
        case("linearize: shape", lambda ad: ad.linearize(square, THREE)[1](np.ones(2)), ShapeError, "(3,)"),
        case("linearize: none", lambda ad: ad.linearize(square, THREE)[1](), ShapeError, "structure"),
        case("cotangent of another shape", lambda ad: ad.vjp(square, THREE)[1](np.ones(2)), ShapeError, "(3,)"),
        case("cotangent to be broadcast", lambda ad: ad.vjp(square, THREE)[1](1.0), ShapeError, "(3,)"),
        case("cotangent of another structure", lambda ad: ad.vjp(square, THREE)[1]((THREE,)), ShapeError, "structure"),
        case("complex cotangent of a real", lambda ad: ad.vjp(square, THREE)[1](1j * THREE), LeafTypeError, "complex"),
        case("complex cotangent of a float", lambda ad: ad.vjp(square, 1.0)[1](1j), LeafTypeError, "complex"),
        case("text as a cotangent", lambda ad: ad.vjp(square, 1.0)[1]("1"), LeafTypeError, "cotangent"),
        case("vector of hvp", lambda ad: ad.hvp(total, THREE, np.ones(2)), ShapeError, "(3,)"),
        case("argnums out of range", lambda ad: ad.grad(total, argnums=1)(THREE), ValueError, "1 positional argument"),
        case("argnums below range", lambda ad: ad.grad(total, argnums=-2)(THREE), ValueError, "1 positional argument"),
        case("one of argnums", lambda ad: ad.jacobian(square, argnums=(0, 5))(THREE), ValueError, "argnums=5"),
        case("argnums twice", lambda ad: ad.grad(total, argnums=(0, -1))(THREE), ValueError, "twice"),
        case("argnums of another type", lambda ad: ad.grad(total, argnums="0")(THREE), TypeError, "argnums"),
        case("argnums a float", lambda ad: ad.grad(total, argnums=0.0)(THREE), TypeError, "argnums"),
        case("argnums a bool", lambda ad: ad.grad(total, argnums=True)(1.0, 2.0), TypeError, "argnums"),
        case("only keywords", lambda ad: ad.grad(total)(x=THREE), ValueError, "0 positional arguments"),
        case("no function", lambda ad: ad.grad(3.0)(THREE), TypeError, "float"),
        case("masked array", lambda ad: ad.grad(total)(np.ma.masked_array([1.0])), LeafTypeError, "filled"),
    ]
    return cases


@pytest.mark.parametrize(("call", "kind", "advice"), make_bad_calls())
def test_bad_argument_is_refused(ad: Any, call: Callable[[Any], Any], kind: type, advice: str) -> None:
    with pytest.raises(kind) as refusal:
        call(ad)
    assert advice in str(refusal.value)
    assert_next_call_works(ad)


@pytest.mark.parametrize(
    "call",
    [
        lambda ad: ad.grad(lambda x: x)(THREE),
        lambda ad: ad.grad(np.sum)(MASK),
        lambda ad: ad.jvp(np.sin, (THREE,), (np.ones(2),)),
        lambda ad: ad.vjp(np.sin, THREE)[1](np.ones(2)),
        lambda ad: ad.grad(np.sum, argnums=1)(THREE),
        lambda ad: ad.derivative(np.sin)(THREE),
        lambda ad: ad.elementwise_grad(np.sum)(THREE),
        lambda ad: ad.elementwise_grad(np.cumsum)(THREE),
    ],
)
def test_bad_argument_names_the_line(ad: Any, call: Callable[[Any], Any]) -> None:
    with pytest.raises((DifferentiationError, ValueError)) as refusal:
        call(ad)
    assert_at_line_of(call, str(refusal.value))


def test_integers_are_taken_as_float64(ad: Any) -> None:
    for x in (3, np.int8(3), np.uint64(3), np.array(3)):
        gradient = ad.grad(lambda x: x * x)(x)
        assert gradient == 6.0
        assert np.asarray(gradient).dtype == np.float64


def test_error_leaves_a_traced_array_as_it_was(ad: Any) -> None:
    def f(x: Any) -> Any:
        y = np.copy(x)
        for index, value in ((7, 1.0), (slice(0, 2), np.ones(3)), (0, "text"), (MASK, np.ones(3))):
            with pytest.raises((IndexError, ValueError, TypeError)):
                y[index] = value
        return np.sum(y * y)

    assert ad.grad(f)(THREE).tolist() == [2.0, 4.0, 6.0]


# --- values that outlive their differentiation, and exceptions ----------------------------------------------------


@pytest.mark.parametrize(
    "use",
    [
        lambda kept: kept * 2.0,
        lambda kept: 2.0 - kept,
        lambda kept: np.sin(kept),
        lambda kept: kept[0],
        lambda kept: np.sum(kept),
        lambda kept: kept.reshape(3, 1),
        lambda kept: kept.T,
        lambda kept: np.where(MASK, kept, 0.0),
        lambda kept: kept.__setitem__(0, 1.0),
        lambda kept: kept.__iadd__(1.0),
        lambda kept: np.concatenate([kept, kept]),
        lambda kept: np.zeros_like(kept) + kept,
        lambda kept: kept @ THREE,
        lambda kept: np.einsum("i,i", kept, kept),
    ],
)
@pytest.mark.parametrize("transform", ["grad", "jvp", "vjp", "linearize", "jacobian"])
def test_value_used_after_its_transform(ad: Any, use: Callable[..., Any], transform: str) -> None:
    kept: list[Any] = []

    def f(x: Any) -> Any:
        kept.append(x * 1.0)
        return np.sum(x)

    calls: dict[str, Callable[[], Any]] = {
        "grad": lambda: ad.grad(f)(THREE),
        "jvp": lambda: ad.jvp(f, (THREE,), (THREE,)),
        "vjp": lambda: ad.vjp(f, THREE),
        "linearize": lambda: ad.linearize(f, THREE),
        "jacobian": lambda: ad.jacobian(f)(THREE),
    }
    calls[transform]()
    with pytest.raises(ClosedLevelError) as refusal:
        use(kept[-1])
    assert "has_aux" in str(refusal.value)
    assert_at_line_of(use, str(refusal.value))
    assert_next_call_works(ad)


@pytest.mark.parametrize("transform", ["grad", "jvp", "vjp", "linearize", "jacobian", "elementwise_grad", "hvp"])
def test_exception_in_the_function_leaves_nothing_behind(ad: Any, transform: str) -> None:
    large, x = np.ones(20_000), np.ones(20_000)

    def f(x: Any) -> Any:
        y = x * large
        raise KeyError("stop") if y[0] == 1.0 else AssertionError

    calls: dict[str, Callable[[], Any]] = {
        "grad": lambda: ad.grad(f)(x),
        "jvp": lambda: ad.jvp(f, (x,), (x,)),
        "vjp": lambda: ad.vjp(f, x),
        "linearize": lambda: ad.linearize(f, x),
        "jacobian": lambda: ad.jacobian(f)(x),
        "elementwise_grad": lambda: ad.elementwise_grad(f)(x),
        "hvp": lambda: ad.hvp(f, x, x),
    }
    with pytest.raises(KeyError) as error:
        calls[transform]()
    # The exception is still alive here, and with it the frames of the program, as at an interactive prompt.
    assert error.value.__traceback__ is not None
    assert large.flags.writeable
    assert x.flags.writeable
    large[0] = 2.0
    assert_next_call_works(ad)


def test_exception_in_an_inner_transform_can_be_caught(ad: Any) -> None:
    def f(x: Any) -> Any:
        with pytest.raises(ZeroDivisionError):
            ad.grad(lambda y: y * x / 0)(1.0)
        return x * ad.grad(lambda y: y * y * x)(1.0)

    assert ad.grad(f)(3.0) == 12.0


def test_keyboard_interrupt_leaves_nothing_behind(ad: Any) -> None:
    large = np.ones(20_000)

    def f(x: Any) -> Any:
        np.sum(x * large)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ad.grad(f)(np.ones(20_000))
    assert large.flags.writeable
    assert_next_call_works(ad)
